//! Route distinguishers (RFC 4364 section 4.2).

use super::asn::decimal;
use super::{Asn, ParseError};
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// A route distinguisher: 8 octets, the first two of which are its type.
///
/// ```text
///  0                   1                   2                   3
/// +-------------------------------+-------------------------------+
/// |             type              | type 0: AS (2)  then number (4)
/// +-------------------------------+ type 1: IPv4 (4) then number (2)
/// |                                 type 2: AS (4)  then number (2)
/// +---------------------------------------------------------------+
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rd(pub [u8; 8]);

impl Rd {
    /// Type 1: `address:number`, the form RFC 7432 section 7.9 asks for.
    pub const fn ipv4(address: Ipv4Addr, number: u16) -> Self {
        let [a, b, c, d] = address.octets();
        let [x, y] = number.to_be_bytes();
        Self([0, 1, a, b, c, d, x, y])
    }
}

impl fmt::Display for Rd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [t0, t1, a, b, c, d, x, y] = self.0;
        let four = u32::from_be_bytes([a, b, c, d]);
        let two = u16::from_be_bytes([x, y]);
        match u16::from_be_bytes([t0, t1]) {
            0 => write!(f, "{}:{}", u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, x, y])),
            1 => write!(f, "{}:{two}", Ipv4Addr::from(four)),
            2 => write!(f, "{four}:{two}"),
            kind => write!(f, "type{kind}:{:012x}", u64::from_be_bytes([0, 0, a, b, c, d, x, y])),
        }
    }
}

impl fmt::Debug for Rd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Rd {
    type Err = ParseError;

    /// `10.0.0.1:100`, `65000:100`, or `4200000000:100`, which is `64086.59904:100` too.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        const SUCH_AS: &str = "a route distinguisher such as 10.0.0.1:100, 65000:100 or 1.10:100";
        let error = || ParseError::new(text, SUCH_AS);
        let (administrator, number) = text.rsplit_once(':').ok_or_else(error)?;
        if let Ok(address) = administrator.parse::<Ipv4Addr>() {
            return Ok(Self::ipv4(address, decimal(number).ok_or_else(error)?));
        }
        let Asn(asn) = administrator.parse().map_err(|_| error())?;
        let [a, b, c, d] = asn.to_be_bytes();
        if asn <= u32::from(u16::MAX) {
            let [w, x, y, z] = decimal(number).map(u32::to_be_bytes).ok_or_else(error)?;
            return Ok(Self([0, 0, c, d, w, x, y, z]));
        }
        let [x, y] = decimal(number).map(u16::to_be_bytes).ok_or_else(error)?;
        Ok(Self([0, 2, a, b, c, d, x, y]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_as_is_read_in_both_notations() {
        for text in ["65000:100", "10.0.0.1:100", "4200000000:100", "0:4294967295"] {
            assert_eq!(text.parse::<Rd>().map(|rd| rd.to_string()).as_deref(), Ok(text));
        }
        for (dotted, plain) in [("1.10:100", "65546:100"), ("0.65000:70000", "65000:70000")] {
            assert_eq!(dotted.parse::<Rd>(), plain.parse(), "{dotted}");
        }
        for text in ["100", "1.10:65536", "1.65536:1", "1.2.3:1", "10.0.0.1:65536", "+1:1", "1:+1"]
        {
            assert!(text.parse::<Rd>().is_err(), "{text}");
        }
    }
}
