//! What the kernel says of its objects, one at a time: in a dump, or as news.
//!
//! **An observation is what was read, without judgement**: whose an object is, and whether it is
//! right, is for [`crate::reconciler`] to say.

use crate::facts::{BridgePort, Link};
use crate::object::{
    FdbKey, FdbTarget, FloodKey, IfIndex, NeighbourKey, Nexthop, NexthopGroup, NexthopId, RouteKey,
};
use evpn_proto::types::{MacAddr, VlanId};
use ipnet::IpNet;
use std::net::IpAddr;

/// The number that marks our routes, nexthops and neighbours (`rtm_protocol`, `nh_protocol`,
/// `NDA_PROTOCOL`). The kernel's header, iproute2 and FRR (which takes 186 to 198) leave it free.
pub const PROTOCOL: u8 = 110;

/// How a MAC address came into a table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MacState {
    /// By a control plane: it carries `NTF_EXT_LEARNED`.
    External,
    /// From a frame; it ages.
    Learned,
    /// By the operator (`static`).
    Static,
    /// An address of the machine itself (`permanent` in the bridge).
    Permanent,
}

/// An entry of a bridge (the `master` half).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BridgeMac {
    /// The bridge.
    pub bridge: IfIndex,
    /// The port; the bridge itself for its own addresses.
    pub port: IfIndex,
    /// The address.
    pub mac: MacAddr,
    /// The VLAN, where the bridge tells them apart.
    pub vlan: Option<VlanId>,
    /// How it came there.
    pub state: MacState,
    /// Whether the bridge keeps it from moving.
    pub sticky: bool,
}

/// How far the kernel got with a neighbour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resolution {
    /// Resolved: reachable, stale, delay or probe.
    Resolved,
    /// Written to stay (`permanent`).
    Permanent,
    /// Needs no resolution (`noarp`): multicast, and every entry of a control plane.
    NoArp,
    /// Incomplete, failed, or none.
    Unresolved,
}

/// A neighbour as the kernel has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SeenNeighbour {
    /// Which.
    pub key: NeighbourKey,
    /// Its MAC address, once there is one.
    pub mac: Option<MacAddr>,
    /// How far the kernel got.
    pub resolution: Resolution,
    /// Whether it carries `NTF_EXT_LEARNED`.
    pub external: bool,
    /// Whether it is a router.
    pub router: bool,
    /// `NDA_PROTOCOL`, 0 where there is none. It outlives the mark: look at `external` first.
    pub protocol: u8,
}

/// A unicast route as the kernel has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SeenRoute {
    /// Which.
    pub key: RouteKey,
    /// Its priority, which is part of its identity in the kernel.
    pub metric: u32,
    /// Who wrote it.
    pub protocol: u8,
    /// The nexthop object that it uses, if it does.
    pub nexthop: Option<NexthopId>,
    /// The device of a directly connected prefix: protocol kernel, no gateway.
    pub connected: Option<IfIndex>,
}

/// What a nexthop object says. Ids within a group are the kernel's.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum NexthopSpec {
    /// A routed nexthop.
    Routed(Nexthop),
    /// An FDB nexthop: a VTEP.
    Fdb(IpAddr),
    /// A group of routed nexthops.
    Group(NexthopGroup),
    /// A group of FDB nexthops.
    FdbGroup(NexthopGroup),
    /// Something that evpnd never writes (a blackhole, a nexthop without gateway).
    Other,
}

impl NexthopSpec {
    /// The group, if it is one.
    pub const fn group(&self) -> Option<&NexthopGroup> {
        match self {
            Self::Group(group) | Self::FdbGroup(group) => Some(group),
            Self::Routed(_) | Self::Fdb(_) | Self::Other => None,
        }
    }

    /// Whether the kernel turns one into the other in place. It does not change address families,
    /// the type of a group or its number of buckets, nor make a group of a nexthop.
    pub fn becomes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Routed(a), Self::Routed(b)) => a.gateway.is_ipv4() == b.gateway.is_ipv4(),
            (Self::Fdb(a), Self::Fdb(b)) => a.is_ipv4() == b.is_ipv4(),
            (Self::Group(a), Self::Group(b)) | (Self::FdbGroup(a), Self::FdbGroup(b)) => {
                a.resilience.map(|r| r.buckets) == b.resilience.map(|r| r.buckets)
            }
            _ => false,
        }
    }
}

/// One thing that the kernel said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Observation {
    /// A device; its addresses are told apart and are not looked at here.
    Link(Box<Link>),
    /// A device is gone, with everything on it.
    LinkGone(IfIndex),
    /// A bridge port's settings changed.
    Port {
        /// The port.
        device: IfIndex,
        /// Its settings.
        port: BridgePort,
    },
    /// A device has an address.
    Address {
        /// The device.
        device: IfIndex,
        /// The address with its prefix length, not masked.
        address: IpNet,
    },
    /// A device lost an address.
    AddressGone {
        /// The device.
        device: IfIndex,
        /// The address.
        address: IpNet,
    },
    /// A bridge has an entry.
    BridgeMac(BridgeMac),
    /// A bridge lost an entry.
    BridgeMacGone(BridgeMac),
    /// A VXLAN device has an entry (the `self` half).
    VxlanMac {
        /// Which.
        key: FdbKey,
        /// Where it sends.
        to: FdbTarget,
        /// How it came there; never `Permanent`.
        state: MacState,
    },
    /// A VXLAN device lost an entry.
    VxlanMacGone(FdbKey),
    /// A VXLAN device floods to a VTEP.
    Flood {
        /// Which.
        key: FloodKey,
        /// Whether its entry carries `NTF_EXT_LEARNED`.
        external: bool,
    },
    /// It does no longer.
    FloodGone(FloodKey),
    /// A neighbour.
    Neighbour(SeenNeighbour),
    /// A neighbour is gone.
    NeighbourGone(NeighbourKey),
    /// A route.
    Route(SeenRoute),
    /// A route is gone.
    RouteGone(SeenRoute),
    /// A nexthop or a group.
    Nexthop {
        /// Its id.
        id: NexthopId,
        /// What it says.
        spec: NexthopSpec,
        /// Who wrote it.
        protocol: u8,
    },
    /// A nexthop or a group is gone.
    NexthopGone(NexthopId),
}
