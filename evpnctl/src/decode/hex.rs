//! Octets out of hexadecimal text, the way people paste it.
//!
//! **Whatever is neither a digit nor one of the marks that are skipped is an error, never guessed.**

/// The octets that `text` names. White space and colons separate; 0x before a group is skipped.
///
/// # Errors
/// What is no hexadecimal digit, or that half an octet is left.
pub(super) fn octets(text: &str) -> Result<Vec<u8>, String> {
    let mut digits = Vec::new();
    for group in text.split(|c: char| c.is_whitespace() || c == ':') {
        let group = group.strip_prefix("0x").or_else(|| group.strip_prefix("0X")).unwrap_or(group);
        for c in group.chars() {
            let digit = c.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            digits.push(
                digit.ok_or_else(|| format!("'{}' is no hexadecimal digit", c.escape_debug()))?,
            );
        }
    }
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(format!("{} hexadecimal digits are not whole octets", digits.len()));
    }
    Ok(pairs.iter().map(|[high, low]| (high << 4) | low).collect())
}

/// The octets in hexadecimal, without separators.
pub(super) fn text(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_paste_is_understood_and_what_is_not_hexadecimal_is_not() {
        for same in [
            "02210a",
            "02 21 0a",
            "02:21:0A",
            "0x02 0x21 0x0a",
            "0x02210a",
            " 02\n21\t0a\n",
            "0221 0a",
        ] {
            assert_eq!(octets(same), Ok(vec![2, 0x21, 10]), "{same:?}");
        }
        assert_eq!(octets(""), Ok(vec![]));
        for bad in ["0", "022", "0g", "2x02", "00x0", "02-21", "é", "0x0x02"] {
            assert!(octets(bad).is_err(), "{bad:?}");
        }
        assert_eq!(text(&[2, 0x21, 10]), "02210a");
    }
}
