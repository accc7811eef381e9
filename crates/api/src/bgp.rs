//! `bgp/l2vpn/evpn/summary` and `bgp/l2vpn/evpn/vni`.
//!
//! **A neighbour that is not established always carries the reason for it**, as far as one is
//! known.

use crate::reset::LastReset;
use crate::{AddressFamily, NeighborId, Notice, UpDown};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// A session's state (RFC 4271 section 8.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SessionState {
    /// Not trying.
    Idle,
    /// Waiting for the TCP connection that it opened.
    Connect,
    /// Waiting for the neighbour to connect, or to try again.
    Active,
    /// OPEN sent, none received.
    OpenSent,
    /// OPEN received, waiting for KEEPALIVE.
    OpenConfirm,
    /// Up.
    Established,
}

impl fmt::Display for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Idle => "Idle",
            Self::Connect => "Connect",
            Self::Active => "Active",
            Self::OpenSent => "OpenSent",
            Self::OpenConfirm => "OpenConfirm",
            Self::Established => "Established",
        })
    }
}

/// `GET bgp/l2vpn/evpn/summary`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Our BGP identifier.
    pub router_id: Ipv4Addr,
    /// Our AS.
    #[serde(rename = "as")]
    pub local_as: u32,
    /// Always `default`: BGP runs outside of VRFs.
    pub vrf_name: String,
    /// EVPN routes held, paths to one route counted once.
    pub rib_count: u64,
    /// The same by family, of those of which any are held.
    #[serde(default)]
    pub rib_counts: BTreeMap<AddressFamily, u64>,
    /// What the routes of every family and their attributes take, in octets.
    pub rib_memory: u64,
    /// Neighbours, configured and dynamic.
    pub total_peers: u32,
    /// Those of them that are not established.
    pub failed_peers: u32,
    /// Each neighbour by its address or its interface, sorted.
    pub peers: BTreeMap<NeighborId, PeerSummary>,
}

/// A neighbour's line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerSummary {
    /// What it is known by: `ipv4`, `ipv6` or `interface`.
    pub id_type: String,
    /// The group by whose `listen` it came; none for a configured one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dynamic_group: Option<String>,
    /// Its name, as it said in the FQDN capability or as configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The operator's words about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desc: Option<String>,
    /// Its AS; none where any is allowed and none was heard yet.
    pub remote_as: Option<u32>,
    /// The AS that we show it.
    pub local_as: u32,
    /// The session's state.
    pub state: SessionState,
    /// Held down by the configuration or an operator.
    pub admin_down: bool,
    /// Messages received since start.
    pub msg_rcvd: u64,
    /// Messages sent since start.
    pub msg_sent: u64,
    /// Since it was established, or since it last was, in milliseconds; none where it never was.
    pub peer_uptime_msec: Option<u64>,
    /// Routes held from it, of all families.
    pub pfx_rcd: u64,
    /// Routes advertised to it, of all families.
    pub pfx_snt: u64,
    /// Families that we offer and an established neighbour does not: no route of them is exchanged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub families_not_negotiated: Vec<AddressFamily>,
    /// Families of which nothing is heard any more after an error (RFC 7606 section 2).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub families_given_up: Vec<AddressFamily>,
    /// How often the session came up.
    pub connections_established: u64,
    /// How often it went down again.
    pub connections_dropped: u64,
    /// Why it last went down or did not come up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_reset: Option<LastReset>,
}

/// An item of `GET bgp/l2vpn/evpn/vni`: what BGP says of a VNI.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BgpVni {
    /// The VNI.
    pub vni: u32,
    /// `L2` or `L3`.
    #[serde(rename = "type")]
    pub kind: VniKind,
    /// Whether a device in the kernel carries it.
    pub in_kernel: bool,
    /// Whether routes of it are announced, and why not.
    pub state: UpDown,
    /// What keeps it down.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<Notice>,
    /// Its route distinguisher.
    pub rd: String,
    /// The VTEP address that we announce.
    pub originator_ip: Option<IpAddr>,
    /// The VRF that it belongs to.
    pub tenant_vrf: String,
    /// Route targets that routes are imported by, sorted.
    #[serde(rename = "importRTs")]
    pub import_rts: Vec<String>,
    /// Route targets that routes are exported with, sorted.
    #[serde(rename = "exportRTs")]
    pub export_rts: Vec<String>,
}

/// What a VNI stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VniKind {
    /// A bridge domain.
    L2,
    /// A VRF.
    L3,
}

impl fmt::Display for VniKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::L2 => "L2",
            Self::L3 => "L3",
        })
    }
}
