//! Ethernet addresses.

use super::ParseError;
use std::fmt;
use std::str::FromStr;

/// A 48-bit Ethernet address; shown as `02:00:00:00:00:01`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// The address of flood entries in a VXLAN device.
    pub const ZERO: Self = Self([0; 6]);

    /// Whether it is a group address (broadcast included), which no host may own.
    pub const fn is_multicast(self) -> bool {
        let [first, ..] = self.0;
        first & 1 == 1
    }

    /// Whether a host may own it: neither a group address nor all zeros.
    pub fn is_host(self) -> bool {
        !self.is_multicast() && self != Self::ZERO
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MacAddr {
    type Err = ParseError;

    /// Six hexadecimal pairs with `:` or `-` between them.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let error = || ParseError::new(text, "a MAC address such as 02:00:00:00:00:01");
        let mut octets = [0u8; 6];
        let mut pairs = text.split([':', '-']);
        for octet in &mut octets {
            let pair = pairs.next().filter(|p| p.len() == 2).ok_or_else(error)?;
            *octet = u8::from_str_radix(pair, 16).map_err(|_| error())?;
        }
        match pairs.next() {
            None => Ok(Self(octets)),
            Some(_) => Err(error()),
        }
    }
}
