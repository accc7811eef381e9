//! `bgp/l2vpn/evpn/routes`, `bgp/ipv4/unicast/routes`, `bgp/ipv6/unicast/routes` and
//! `bgp/rt-constraint/routes`: routes and all paths to them, the rejected ones included.
//!
//! **A path is valid or it says why not**, and exactly one valid path of a route is the best.

use crate::attributes::MoreAttributes;
use crate::{AddressFamily, NeighborId};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Parameters of `GET bgp/l2vpn/evpn/routes`. All that are given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RouteQuery {
    /// Only routes of this type.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<RouteKind>,
    /// Only routes of this route distinguisher.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rd: Option<String>,
    /// Only routes imported into or exported from this VNI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vni: Option<u32>,
    /// Only routes of this MAC address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Only type 5 routes of this prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// How many routes at most; see [`crate::page`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The token of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Parameters of `GET bgp/ipv4/unicast/routes` and `GET bgp/ipv6/unicast/routes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrefixQuery {
    /// Only this prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// How many routes at most; see [`crate::page`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The token of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Parameters of `GET bgp/rt-constraint/routes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PageQuery {
    /// How many routes at most; see [`crate::page`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The token of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// The type of a route in the words that FRR's command line uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RouteKind {
    /// Type 1: Ethernet auto-discovery.
    Ead,
    /// Type 2: MAC/IP.
    Macip,
    /// Type 3: inclusive multicast.
    Multicast,
    /// Type 4: Ethernet segment.
    Es,
    /// Type 5: IP prefix.
    Prefix,
}

impl RouteKind {
    /// The type's number on the wire.
    pub const fn number(self) -> u8 {
        match self {
            Self::Ead => 1,
            Self::Macip => 2,
            Self::Multicast => 3,
            Self::Es => 4,
            Self::Prefix => 5,
        }
    }
}

/// A route and the paths to it. EVPN routes come sorted by distinguisher, then by type and key;
/// those of other families by prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// Its family.
    #[serde(default)]
    pub family: AddressFamily,
    /// Route distinguisher, of EVPN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rd: Option<String>,
    /// The route as FRR writes it, e.g. `[2]:[0]:[48]:[02:00:00:00:00:01]:[32]:[10.1.0.1]`; of
    /// unicast the prefix; of route target constraints who wants what, `65001:RT:65001:100/96`.
    pub prefix: String,
    /// Its type's number, of EVPN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route_type: Option<u8>,
    /// Ethernet tag, of EVPN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eth_tag: Option<u32>,
    /// The host's MAC address, of type 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// The host's address of type 2, the prefix of type 5, the originator of types 3 and 4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// Every path, the best first, then the valid ones, then the rejected.
    pub paths: Vec<RoutePath>,
}

/// A path to a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoutePath {
    /// Passed every rule of import.
    pub valid: bool,
    /// The one in use and advertised.
    pub bestpath: bool,
    /// In use beside the best (ECMP).
    #[serde(default)]
    pub multipath: bool,
    /// Kept from a neighbour that is away (RFC 4724).
    #[serde(default)]
    pub stale: bool,
    /// Why it is the best; given for that path only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selection_reason: Option<String>,
    /// Why it is not valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
    /// Why nothing here uses it although it is the best.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_imported: Option<String>,
    /// Where it came from.
    pub path_from: PathFrom,
    /// The neighbour that sent it; none for ours.
    pub peer_id: Option<NeighborId>,
    /// The path identifier that it came with, where the neighbour sends any (RFC 7911).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addpath_rx_id: Option<u32>,
    /// AS path in the usual notation, empty for ours and within the AS.
    pub path: String,
    /// `IGP`, `EGP` or `incomplete`.
    pub origin: String,
    /// LOCAL_PREF.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loc_prf: Option<u32>,
    /// MULTI_EXIT_DISC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
    /// The next hop, of EVPN the VTEP; none for a withdrawn or broken path. All zeros for what we
    /// announce ourselves of other families.
    pub nexthop: Option<IpAddr>,
    /// Every next hop, of unicast.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nexthops: Vec<Nexthop>,
    /// Labels of the route: VNIs. Of EVPN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vni: Option<Vec<u32>>,
    /// Ethernet segment, where it is not zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub esi: Option<String>,
    /// Communities, in the usual notation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub community: Vec<String>,
    /// Extended communities, in FRR's notation: `RT:65000:100`, `ET:8`, `MM:1`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extended_community: Vec<String>,
    /// Link bandwidth in octets per second, where the path carries it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_bandwidth: Option<u64>,
    /// What few paths carry.
    #[serde(flatten)]
    pub more: MoreAttributes,
    /// Since it last changed, in milliseconds.
    pub age_msec: u64,
}

/// Where packets to a prefix go, as a path says it (RFC 2545 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Nexthop {
    /// The address.
    pub ip: IpAddr,
    /// Its own family: an IPv4 prefix may have next hops of IPv6 (RFC 8950).
    pub afi: Afi,
    /// Where it means something; given for IPv6 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// The one of the path that is programmed where the path is used.
    pub used: bool,
}

/// An address's family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Afi {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

/// Where an IPv6 address means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Everywhere.
    Global,
    /// On the link that we share with who said it.
    LinkLocal,
}

/// Where a path came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PathFrom {
    /// Ours.
    Local,
    /// A neighbour of our AS.
    Internal,
    /// A neighbour of another AS.
    External,
}
