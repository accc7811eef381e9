//! Address families, in the words of FRR's JSON.
//!
//! **A family has one name** in keys, in values and in paths.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A family that evpnd speaks.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub enum AddressFamily {
    /// L2VPN EVPN (RFC 7432).
    #[default]
    L2VpnEvpn,
    /// IPv4 unicast.
    Ipv4Unicast,
    /// IPv6 unicast.
    Ipv6Unicast,
    /// Route target constraints (RFC 4684).
    RtConstraint,
}

impl AddressFamily {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 4] =
        [Self::L2VpnEvpn, Self::Ipv4Unicast, Self::Ipv6Unicast, Self::RtConstraint];

    /// The path of its routes under [`crate::PREFIX`].
    pub const fn routes_path(self) -> &'static str {
        match self {
            Self::L2VpnEvpn => "bgp/l2vpn/evpn/routes",
            Self::Ipv4Unicast => "bgp/ipv4/unicast/routes",
            Self::Ipv6Unicast => "bgp/ipv6/unicast/routes",
            Self::RtConstraint => "bgp/rt-constraint/routes",
        }
    }
}

impl fmt::Display for AddressFamily {
    /// What people call it: `EVPN`, `IPv4 unicast`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::L2VpnEvpn => "EVPN",
            Self::Ipv4Unicast => "IPv4 unicast",
            Self::Ipv6Unicast => "IPv6 unicast",
            Self::RtConstraint => "RT constraint",
        })
    }
}
