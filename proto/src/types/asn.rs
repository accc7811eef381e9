//! Autonomous system numbers (RFC 6793, text form RFC 5396).

use super::ParseError;
use std::fmt;
use std::str::FromStr;

/// Stands for a 4-octet AS number toward a speaker of 2 octets (RFC 6793 section 9).
pub const AS_TRANS: u16 = 23456;

/// An autonomous system number of 4 octets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asn(pub u32);

impl Asn {
    /// The low 16 bits, which automatic route targets carry (RFC 8365 section 5.1.2.1).
    pub const fn low16(self) -> u16 {
        (self.0 & 0xffff) as u16
    }

    /// As asdot (RFC 5396): with a dot where 16 bits do not hold the number.
    pub const fn dotted(self) -> Dotted {
        Dotted(self)
    }

    /// What stands in the 2-octet field of an OPEN: the number itself, or [`AS_TRANS`].
    pub fn two_octet(self) -> u16 {
        u16::try_from(self.0).unwrap_or(AS_TRANS)
    }
}

impl fmt::Display for Asn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An AS number that is shown as asdot; [`Asn`] itself is shown as asplain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dotted(Asn);

impl fmt::Display for Dotted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.0 >> 16, self.0.low16()) {
            (0, low) => low.fmt(f),
            (high, low) => write!(f, "{high}.{low}"),
        }
    }
}

impl fmt::Debug for Asn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AS{}", self.0)
    }
}

impl FromStr for Asn {
    type Err = ParseError;

    /// `65001` (asplain), or `1.10` (asdot and asdot+).
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let number = match text.split_once('.') {
            Some((high, low)) => {
                let halves = decimal::<u16>(high).zip(decimal::<u16>(low));
                halves.map(|(high, low)| (u32::from(high) << 16) | u32::from(low))
            }
            None => decimal(text),
        };
        let error = || ParseError::new(text, "an AS number such as 65001 or 1.10");
        number.map(Self).ok_or_else(error)
    }
}

/// A number in decimal digits and nothing else: neither a sign nor blanks.
pub(super) fn decimal<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|octet| octet.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_notations_of_rfc_5396_are_read() {
        let rows = [
            ("65001", 65_001),
            ("65536", 65_536),
            ("4294967295", u32::MAX),
            ("1.0", 65_536),
            ("1.10", 65_546),
            ("0.65001", 65_001),
            ("65535.65535", u32::MAX),
        ];
        for (text, number) in rows {
            assert_eq!(text.parse(), Ok(Asn(number)), "{text}");
        }
        for text in [
            "",
            ".",
            "1.",
            ".1",
            "1.10.1",
            "1.65536",
            "65536.0",
            "4294967296",
            "+1",
            "1.+1",
            " 1",
            "-1",
        ] {
            assert!(text.parse::<Asn>().is_err(), "{text}");
        }
    }

    #[test]
    fn asdot_has_a_dot_where_16_bits_do_not_hold_the_number() {
        for (number, text) in [(65_001, "65001"), (65_535, "65535"), (65_546, "1.10")] {
            assert_eq!(Asn(number).dotted().to_string(), text);
            assert_eq!(text.parse(), Ok(Asn(number)));
        }
    }
}
