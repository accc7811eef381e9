//! Address families (RFC 4760).

use std::fmt;

/// An address family and sub-family (RFC 4760).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Family {
    /// Address family identifier.
    pub afi: u16,
    /// Subsequent address family identifier.
    pub safi: u8,
}

impl Family {
    /// L2VPN EVPN (RFC 7432 section 7): 25/70.
    pub const EVPN: Self = Self { afi: 25, safi: 70 };
    /// IPv4 unicast: 1/1.
    pub const IPV4_UNICAST: Self = Self { afi: 1, safi: 1 };
    /// IPv6 unicast: 2/1.
    pub const IPV6_UNICAST: Self = Self { afi: 2, safi: 1 };
    /// Route target constraints (RFC 4684 section 4): 1/132.
    pub const RT_CONSTRAINT: Self = Self { afi: 1, safi: 132 };

    /// What people call it, in configuration and in what is shown; none of a family that evpnd does
    /// not speak.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::EVPN => "l2vpn-evpn",
            Self::IPV4_UNICAST => "ipv4-unicast",
            Self::IPV6_UNICAST => "ipv6-unicast",
            Self::RT_CONSTRAINT => "rt-constraint",
            _ => return None,
        })
    }

    /// Whether its routes are IP prefixes of the underlay.
    pub const fn is_unicast(self) -> bool {
        matches!(self, Self::IPV4_UNICAST | Self::IPV6_UNICAST)
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}/{}", self.afi, self.safi),
        }
    }
}
