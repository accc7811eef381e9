//! What routing has to know of the kernel.
//!
//! **A fact is what the kernel said, never what evpnd wrote**: remote entries of ours are not facts.

use crate::object::IfIndex;
use evpn_proto::types::{MacAddr, Vni};
use ipnet::IpNet;
use std::net::IpAddr;

/// A device of the namespace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// Its index.
    pub index: IfIndex,
    /// Its name.
    pub name: String,
    /// Its MAC address, where it has one of 6 octets.
    pub mac: Option<MacAddr>,
    /// Its MTU in octets.
    pub mtu: u32,
    /// Administratively up.
    pub admin_up: bool,
    /// Has a carrier (`IFF_LOWER_UP`).
    pub carrier: bool,
    /// The bridge (or other master) that it is a port of.
    pub master: Option<IfIndex>,
    /// Its settings as a port of a bridge.
    pub port: Option<BridgePort>,
    /// What it is.
    pub kind: LinkKind,
    /// Its addresses with their prefix lengths, link-local ones included, sorted.
    pub addresses: Vec<IpNet>,
}

impl Link {
    /// Whether it can carry frames.
    pub const fn is_up(&self) -> bool {
        self.admin_up && self.carrier
    }
}

/// Settings of a bridge's port that the dataplane depends on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BridgePort {
    /// Whether the bridge learns from frames that enter here. On a VXLAN port it must not.
    pub learning: bool,
    /// Whether the bridge answers ARP and ND here from its neighbour table.
    pub neigh_suppress: bool,
}

/// What a device is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LinkKind {
    /// A bridge.
    Bridge {
        /// Whether it tells VLANs apart.
        vlan_filtering: bool,
    },
    /// A VXLAN device.
    Vxlan(Vxlan),
    /// Anything else, by the kernel's name of its kind (`veth`, empty for plain Ethernet).
    Other(String),
}

/// A VXLAN device's settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vxlan {
    /// Its VNI; none in `external` mode.
    pub vni: Option<Vni>,
    /// The VTEP address that it sends from.
    pub local: Option<IpAddr>,
    /// UDP destination port.
    pub port: u16,
    /// Whether it learns VTEPs from frames (`learning`). It must not.
    pub learning: bool,
    /// One device for many VNIs.
    pub external: bool,
}

/// How a host came to be in a bridge's table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum MacOrigin {
    /// Learned from a frame.
    Learned,
    /// Written by the operator (`static`): announced as sticky.
    Static,
}

/// News of the kernel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KernelEvent {
    /// Every device there is, by ascending index; sent whole after any change.
    Links(Vec<Link>),
    /// A host is behind a port of a bridge that is not a VXLAN device.
    LocalMac {
        /// The bridge.
        bridge: IfIndex,
        /// The port.
        port: IfIndex,
        /// The host.
        mac: MacAddr,
        /// How it is known.
        origin: MacOrigin,
    },
    /// It is no longer: aged out, flushed with its port, or taken over by a remote entry.
    LocalMacGone {
        /// The bridge.
        bridge: IfIndex,
        /// The host.
        mac: MacAddr,
    },
    /// The kernel itself resolved a neighbour (reachable, stale, delay, probe or permanent).
    Neighbour {
        /// The device.
        device: IfIndex,
        /// Its address.
        address: IpAddr,
        /// Its MAC address.
        mac: MacAddr,
    },
    /// It failed, was deleted, or was replaced by an entry of ours.
    NeighbourGone {
        /// The device.
        device: IfIndex,
        /// Its address.
        address: IpAddr,
    },
    /// Every connected prefix (protocol kernel, scope link, main table) with its device, sorted;
    /// sent whole after any change.
    Connected(Vec<(IfIndex, IpNet)>),
    /// The first dump is complete: what was told before is all there is.
    Adopted,
}
