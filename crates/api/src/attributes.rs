//! What a path carries beside what every path has.
//!
//! **Nothing that it carries is left out**: what has no key of its own is told in words, and what
//! nobody knows as its octets.

use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// Attributes that few paths have; those that are absent have no key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MoreAttributes {
    /// Large communities (RFC 8092): `65000:1:2`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub large_community: Vec<String>,
    /// IPv6 address specific extended communities (RFC 5701): `RT:[2001:db8::1]:100`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extended_ipv6_community: Vec<String>,
    /// Who brought it into the AS, where it was reflected (RFC 4456).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub originator_id: Option<Ipv4Addr>,
    /// The clusters that reflected it, the nearest first (RFC 4456).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cluster_list: Vec<Ipv4Addr>,
    /// The accumulated IGP metric (RFC 7311).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aigp_metric: Option<u64>,
    /// The AS whose customers alone it is for (RFC 9234).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otc: Option<u32>,
    /// The AS that aggregated it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregator_as: Option<u32>,
    /// The router that aggregated it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregator_id: Option<Ipv4Addr>,
    /// ATOMIC_AGGREGATE.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub atomic_aggregate: bool,
    /// Any other, each in words: `tunnel encapsulation: vxlan to 192.0.2.1`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_attributes: Vec<String>,
}
