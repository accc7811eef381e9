//! `evpn/vni`, `evpn/mac` and `evpn/arp`: what EVPN does with the kernel's devices.
//!
//! **A VNI that is down says why, and how to mend it.**

use crate::bgp::VniKind;
use crate::{Locality, Notice, UpDown};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// An item of `GET evpn/vni`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Vni {
    /// The VNI.
    pub vni: u32,
    /// `L2` or `L3`.
    #[serde(rename = "type")]
    pub kind: VniKind,
    /// Whether it works.
    pub state: UpDown,
    /// What keeps it down, or does not but should be mended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<Notice>,
    /// Its VXLAN device, where there is one.
    pub vxlan_if: Option<String>,
    /// The bridge of that.
    pub bridge: Option<String>,
    /// The VLAN in a VLAN-aware bridge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// The bridge's own interface with addresses, where it has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub svi_if: Option<String>,
    /// The VRF that it belongs to.
    pub tenant_vrf: String,
    /// Our VTEP address.
    pub vtep_ip: Option<IpAddr>,
    /// Hosts known, local and remote.
    pub num_macs: u64,
    /// Addresses of hosts known, local and remote.
    pub num_arp_nd: u64,
    /// VTEPs that flooded frames are copied to.
    pub num_remote_vteps: u64,
    /// These, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remote_vteps: Vec<IpAddr>,
}

/// Parameters of `GET evpn/mac` and `GET evpn/arp`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostQuery {
    /// Only of this VNI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vni: Option<u32>,
    /// How many at most; see [`crate::page`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The token of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// An item of `GET evpn/mac`, sorted by VNI and address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mac {
    /// The VNI.
    pub vni: u32,
    /// The address.
    pub mac: String,
    /// Behind this switch or another.
    #[serde(rename = "type")]
    pub kind: Locality,
    /// The port, of a local one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intf: Option<String>,
    /// The VTEP, of a remote one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_vtep: Option<IpAddr>,
    /// The Ethernet segment, of a multihomed one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_es: Option<String>,
    /// Our mobility sequence number (RFC 7432 section 15).
    pub local_sequence: u32,
    /// The best remote one.
    pub remote_sequence: u32,
    /// May not move (RFC 7432 section 15.2).
    #[serde(default)]
    pub sticky: bool,
}

/// An item of `GET evpn/arp`, sorted by VNI and address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Arp {
    /// The VNI.
    pub vni: u32,
    /// The host's address.
    pub ip: IpAddr,
    /// Behind this switch or another.
    #[serde(rename = "type")]
    pub kind: Locality,
    /// Whether the kernel holds it as it should.
    pub state: ArpState,
    /// The host's MAC address.
    pub mac: String,
    /// The VTEP, of a remote one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_vtep: Option<IpAddr>,
    /// Our mobility sequence number.
    pub local_sequence: u32,
    /// The best remote one.
    pub remote_sequence: u32,
}

/// Whether an address's binding is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ArpState {
    /// It is.
    Active,
    /// Its MAC address is not known, or is elsewhere.
    Inactive,
}
