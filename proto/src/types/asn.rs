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

impl fmt::Debug for Asn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AS{}", self.0)
    }
}

impl FromStr for Asn {
    type Err = ParseError;

    /// `65001` (asplain) or `1.10` (asdot).
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let error = || ParseError::new(text, "an AS number such as 65001 or 1.10");
        let number = match text.split_once('.') {
            Some((high, low)) => {
                let high: u16 = high.parse().map_err(|_| error())?;
                let low: u16 = low.parse().map_err(|_| error())?;
                (u32::from(high) << 16) | u32::from(low)
            }
            None => text.parse().map_err(|_| error())?,
        };
        Ok(Self(number))
    }
}
