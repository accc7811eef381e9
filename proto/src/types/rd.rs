//! Route distinguishers (RFC 4364 section 4.2).

use super::ParseError;
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

    /// `10.0.0.1:100`, `65000:100` or `4200000000:100`.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let error = || ParseError::new(text, "a route distinguisher such as 10.0.0.1:100");
        let (administrator, number) = text.rsplit_once(':').ok_or_else(error)?;
        if let Ok(address) = administrator.parse::<Ipv4Addr>() {
            return Ok(Self::ipv4(address, number.parse().map_err(|_| error())?));
        }
        let asn: u32 = administrator.parse().map_err(|_| error())?;
        let [a, b, c, d] = asn.to_be_bytes();
        if asn <= u32::from(u16::MAX) {
            let [w, x, y, z] = number.parse::<u32>().map_err(|_| error())?.to_be_bytes();
            return Ok(Self([0, 0, c, d, w, x, y, z]));
        }
        let [x, y] = number.parse::<u16>().map_err(|_| error())?.to_be_bytes();
        Ok(Self([0, 2, a, b, c, d, x, y]))
    }
}
