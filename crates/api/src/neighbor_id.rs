//! Who a neighbour is, in paths and as a key: its address, or the name of its interface.
//!
//! **What is written is what the configuration says**, so that an operator can type it back.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A neighbour's name. Those with an address come first, in the order of addresses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NeighborId {
    /// By its address.
    Address(IpAddr),
    /// By the interface at whose other end it is.
    Interface(String),
}

impl NeighborId {
    /// Its kind, as FRR calls it: `ipv4`, `ipv6` or `interface`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Address(IpAddr::V4(_)) => "ipv4",
            Self::Address(IpAddr::V6(_)) => "ipv6",
            Self::Interface(_) => "interface",
        }
    }
}

impl From<IpAddr> for NeighborId {
    fn from(address: IpAddr) -> Self {
        Self::Address(address)
    }
}

impl FromStr for NeighborId {
    type Err = Infallible;

    /// What is no address is a name: whether it is anybody's, evpnd knows.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let address = text.parse().map(Self::Address);
        Ok(address.unwrap_or_else(|_| Self::Interface(text.to_owned())))
    }
}

impl fmt::Display for NeighborId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Interface(name) => f.pad(name),
        }
    }
}

impl Serialize for NeighborId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NeighborId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let Ok(id) = text.parse();
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_survives_as_text_and_addresses_come_first() {
        let texts = ["10.0.0.2", "10.0.0.10", "2001:db8::1", "eth0", "swp1"];
        let ids: Vec<NeighborId> = texts.iter().map(|text| text.parse().unwrap()).collect();
        assert!(ids.is_sorted());
        for (id, text) in ids.iter().zip(texts) {
            assert_eq!(serde_json::to_value(id).unwrap(), text);
            assert_eq!(serde_json::from_value::<NeighborId>(text.into()).unwrap(), *id);
        }
        assert_eq!(ids.iter().map(NeighborId::kind).collect::<Vec<_>>().join(" "), {
            "ipv4 ipv4 ipv6 interface interface"
        });
    }
}
