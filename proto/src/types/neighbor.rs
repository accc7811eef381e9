//! Who a BGP neighbour is: by its address, or as whoever is at the other end of an interface.
//!
//! **An identity lasts as long as the configuration names it**: the address of a neighbour on an
//! interface may change, who it is does not.

use super::ParseError;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

/// Octets of an interface's name at most: `IFNAMSIZ` less the NUL.
const INTERFACE_NAME_OCTETS_MAX: usize = 15;

/// The name of a network interface, as the kernel takes it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct InterfaceName(Arc<str>);

impl InterfaceName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for InterfaceName {
    type Err = ParseError;

    /// As `dev_valid_name` of the kernel; a name that reads as an IP address is none here, since it
    /// could be taken for one.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let taken = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
        let valid = (1..=INTERFACE_NAME_OCTETS_MAX).contains(&text.len())
            && !matches!(text, "." | "..")
            && !text.contains(taken)
            && text.parse::<IpAddr>().is_err();
        match valid {
            true => Ok(Self(text.into())),
            false => Err(ParseError::new(text, "the name of an interface, such as swp1")),
        }
    }
}

/// Who a neighbour is.
///
/// ```
/// use evpn_proto::types::NeighborId;
/// assert_eq!("10.0.0.2".parse(), Ok(NeighborId::from(std::net::IpAddr::from([10, 0, 0, 2]))));
/// assert_eq!("swp1".parse::<NeighborId>().unwrap().to_string(), "swp1");
/// assert!("10.0.0.2/24".parse::<NeighborId>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum NeighborId {
    /// The one with this address.
    Address(IpAddr),
    /// The one router at the other end of this interface, whatever its address there.
    Interface(InterfaceName),
}

impl NeighborId {
    /// The address that is the identity.
    pub const fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(*address),
            Self::Interface(_) => None,
        }
    }

    /// The interface that is the identity.
    pub const fn interface(&self) -> Option<&InterfaceName> {
        match self {
            Self::Address(_) => None,
            Self::Interface(name) => Some(name),
        }
    }
}

impl From<IpAddr> for NeighborId {
    fn from(address: IpAddr) -> Self {
        Self::Address(address)
    }
}

impl From<InterfaceName> for NeighborId {
    fn from(name: InterfaceName) -> Self {
        Self::Interface(name)
    }
}

impl fmt::Display for NeighborId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Interface(name) => name.fmt(f),
        }
    }
}

impl FromStr for NeighborId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        let expected = "the address or the interface of a neighbor, such as 10.0.0.2 or swp1";
        let interface = text.parse().map_err(|_| ParseError::new(text, expected));
        interface.map(Self::Interface)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_the_kernel_would_not_take_is_none() {
        for name in ["swp1", "eth0.100", "bond-a", "x", "fifteen-octets1", "e\u{e9}"] {
            assert_eq!(name.parse::<InterfaceName>().unwrap().as_str(), name);
        }
        let invalid = ["", ".", "..", "a/b", "a b", "a:1", "sixteen-octets-1", "10.0.0.1", "a\n"];
        for name in invalid {
            assert!(name.parse::<InterfaceName>().is_err(), "{name}");
        }
    }

    #[test]
    fn what_is_shown_is_read_again() {
        for text in ["10.0.0.2", "2001:db8::1", "swp1"] {
            assert_eq!(text.parse::<NeighborId>().unwrap().to_string(), text);
        }
    }
}
