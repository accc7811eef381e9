//! Texts for a terminal: durations, wrapping, cutting.
//!
//! **No line that leaves here is wider than asked for.**

use evpn_proto::types::Asn;

/// The width that every output fits, in columns.
pub(crate) const WIDTH: usize = 100;

/// `01:02:03` up to a day, as FRR writes it; `3d04h` beyond.
pub(crate) fn duration(msec: u64) -> String {
    let seconds = msec / 1000;
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    if days > 0 {
        return format!("{days}d{hours:02}h");
    }
    format!("{hours:02}:{:02}:{:02}", seconds / 60 % 60, seconds % 60)
}

/// As [`duration`], or `never`.
pub(crate) fn duration_or_never(msec: Option<u64>) -> String {
    msec.map_or_else(|| "never".to_owned(), duration)
}

/// A value, or a dash where there is none.
pub(crate) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Thousandths as percent: `31.5 %`.
pub(crate) fn permille(value: u16) -> String {
    match value % 10 {
        0 => format!("{} %", value / 10),
        tenths => format!("{}.{tenths} %", value / 10),
    }
}

/// `yes` or `no`.
pub(crate) const fn yes_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

/// A count with its noun: `1 route`, `2 routes`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// The text in at most `width` columns, its end cut off with an ellipsis.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// The text in lines of at most [`WIDTH`], each after `indent` blanks, broken between words; a word
/// longer than a line is broken anywhere, since it is a command or a path to be copied whole.
pub(crate) fn wrap(text: &str, indent: usize) -> Vec<String> {
    hang(&" ".repeat(indent), indent, text)
}

/// As [`wrap`], with a first line that begins with `lead` instead of blanks.
pub(crate) fn hang(lead: &str, indent: usize, text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = lead.to_owned();
    let mut fresh = true;
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        let room = |line: &str, fresh: bool| {
            WIDTH.saturating_sub(line.chars().count() + usize::from(!fresh))
        };
        if word.len() > room(&line, fresh) && !fresh {
            lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
            fresh = true;
        }
        while word.len() > room(&line, fresh) {
            let rest = word.split_off(room(&line, fresh).clamp(1, word.len()));
            line.extend(word);
            lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
            word = rest;
        }
        if !fresh {
            line.push(' ');
        }
        line.extend(word);
        fresh = false;
    }
    lines.push(line);
    lines
}

/// A duration as people type it: `90s`, `30m`, `2h`, `1d`, `1h30m`.
///
/// # Errors
/// What was expected.
pub(crate) fn parse_duration(text: &str) -> Result<u64, String> {
    let error = || format!("\"{text}\" is not a duration such as 90s, 30m, 2h, 1d or 1h30m");
    let mut total = 0u64;
    let mut number = String::new();
    for character in text.chars() {
        if character.is_ascii_digit() {
            number.push(character);
            continue;
        }
        let unit = match character {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return Err(error()),
        };
        let count: u64 = number.parse().map_err(|_| error())?;
        number.clear();
        total = count
            .checked_mul(unit)
            .and_then(|seconds| total.checked_add(seconds))
            .ok_or_else(error)?;
    }
    if !number.is_empty() || total == 0 {
        return Err(error());
    }
    Ok(total)
}

/// Seconds as people type them: the inverse of [`parse_duration`].
pub(crate) fn show_seconds(seconds: u64) -> String {
    let parts = [
        (seconds / 86_400, 'd'),
        (seconds / 3600 % 24, 'h'),
        (seconds / 60 % 60, 'm'),
        (seconds % 60, 's'),
    ];
    let text: String = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// How AS numbers are written (RFC 5396).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum AsNotation {
    /// A decimal number.
    #[default]
    Plain,
    /// With a dot where 16 bits do not hold it.
    Dot,
}

impl AsNotation {
    /// An AS number.
    pub(crate) fn asn(self, number: u32) -> String {
        match self {
            Self::Plain => number.to_string(),
            Self::Dot => Asn(number).dotted().to_string(),
        }
    }

    /// A path in which AS numbers stand in decimal, between whatever else.
    pub(crate) fn path(self, path: &str) -> String {
        let mut out = String::new();
        let mut rest = path;
        while let Some(begin) = rest.find(|c: char| c.is_ascii_digit()) {
            let (before, number) = rest.split_at(begin);
            let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
            let (number, after) = number.split_at(end);
            out.push_str(before);
            out.push_str(&number.parse().map_or_else(|_| number.to_owned(), |n| self.asn(n)));
            rest = after;
        }
        out + rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_in_frr_up_to_a_day() {
        assert_eq!(duration(0), "00:00:00");
        assert_eq!(duration(3_723_999), "01:02:03");
        assert_eq!(duration(86_399_999), "23:59:59");
        assert_eq!(duration((3 * 24 + 4) * 3_600_000), "3d04h");
        assert_eq!(duration_or_never(None), "never");
    }

    #[test]
    fn no_line_is_wider_than_asked_for_and_no_word_is_lost() {
        let long = "x".repeat(3 * WIDTH);
        for text in ["", "one", &"word ".repeat(100), &long, &format!("a {long} b")] {
            for indent in [0, 4, 60] {
                let lines = wrap(text, indent);
                assert!(lines.iter().all(|line| line.chars().count() <= WIDTH), "{lines:?}");
                let join = |s: String| s.split_whitespace().collect::<String>();
                assert_eq!(join(lines.concat()), join(text.to_owned()));
            }
        }
    }

    #[test]
    fn what_is_cut_shows_that_it_was() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdef", 5), "abcd…");
        assert_eq!(cut("äöüßäö", 5), "äöüß…");
    }

    #[test]
    fn a_typed_duration_is_read_and_anything_else_refused() {
        assert_eq!(parse_duration("2h"), Ok(7200));
        assert_eq!(parse_duration("1h30m"), Ok(5400));
        assert_eq!(parse_duration("1d"), Ok(86_400));
        for wrong in ["", "2", "h", "0s", "-1h", "2 h", "2x", "99999999999999999999d", "2h3"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
        for seconds in [1, 59, 61, 5400, 86_400, 90_061] {
            assert_eq!(parse_duration(&show_seconds(seconds)), Ok(seconds));
        }
    }

    #[test]
    fn a_share_shows_tenths_where_there_are_any() {
        assert_eq!(permille(315), "31.5 %");
        assert_eq!(permille(1000), "100 %");
    }

    #[test]
    fn as_numbers_have_a_dot_if_so_asked_and_where_16_bits_do_not_hold_them() {
        let path = "65001 65546 {4200000000,1} (70000)";
        assert_eq!(AsNotation::Plain.path(path), path);
        assert_eq!(AsNotation::Dot.path(path), "65001 1.10 {64086.59904,1} (1.4464)");
        assert_eq!(
            (AsNotation::Dot.path(""), AsNotation::Dot.asn(65_536)),
            (String::new(), "1.0".into())
        );
    }
}
