//! The kernel's objects that evpnd writes, as values.
//!
//! **A key names one object in the kernel, and its value says everything about it that evpnd
//! decides**, so that desired and actual state can be compared by equality.

use evpn_proto::types::MacAddr;
use ipnet::IpNet;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// A device's index in its network namespace.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct IfIndex(pub u32);

impl fmt::Display for IfIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A nexthop's or nexthop group's id; both share one space. Ours lie in a range of our own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NexthopId(pub u32);

impl NexthopId {
    /// The first id that is ours. The range marks ownership: the kernel's own allocation and other
    /// daemons (FRR: ids from 1, and 0x1xxxxxxx and 0x2xxxxxxx) stay out of it.
    pub const OURS_FIRST: u32 = 0x6e00_0000;
    /// The last id that is ours.
    pub const OURS_LAST: u32 = 0x6eff_ffff;

    /// Whether the id is in our range.
    pub const fn is_ours(self) -> bool {
        self.0 >= Self::OURS_FIRST && self.0 <= Self::OURS_LAST
    }
}

/// An entry of a VXLAN device: where frames to a MAC address go.
///
/// One object stands for two entries of the kernel, the bridge's (`master`) and the VXLAN
/// device's (`self`): they are written together and both are checked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FdbKey {
    /// The VXLAN device, which is a port of the bridge.
    pub device: IfIndex,
    /// The remote host.
    pub mac: MacAddr,
}

/// What an FDB entry says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FdbEntry {
    /// Where its frames go.
    pub to: FdbTarget,
    /// Whether the bridge must not move it to another port (RFC 7432 section 15.2).
    pub sticky: bool,
}

/// Where an FDB entry sends frames.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FdbTarget {
    /// One VTEP: a plain `dst` entry, as every single-homed MAC address has.
    Vtep(IpAddr),
    /// A group of FDB nexthops. The kernel refuses a plain nexthop here.
    Group(NexthopId),
}

/// A flood entry: all-zero MAC address, one per VTEP, always a `dst`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FloodKey {
    /// The VXLAN device.
    pub device: IfIndex,
    /// A VTEP that takes copies.
    pub vtep: IpAddr,
}

/// A neighbour (ARP, ND) entry that evpnd owns.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NeighbourKey {
    /// The bridge (its SVI).
    pub device: IfIndex,
    /// The remote host's, or a VTEP's, address.
    pub address: IpAddr,
}

/// What a neighbour entry says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Neighbour {
    /// Its MAC address.
    pub mac: MacAddr,
    /// Whether it is a router (RFC 9047 section 2).
    pub router: bool,
}

/// A routed nexthop: on-link over the L3VNI's bridge.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Nexthop {
    /// The VTEP; for IPv6 prefixes over an IPv4 VTEP its IPv4-mapped form.
    pub gateway: IpAddr,
    /// The L3VNI's bridge.
    pub device: IfIndex,
}

/// A group of nexthops, all of one address family.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct NexthopGroup {
    /// Members with their weights, by ascending id. Never empty.
    pub members: Vec<Member>,
    /// Hash buckets that keep their flows. Fixed at the group's birth: a change means a new group.
    pub resilience: Option<Resilience>,
}

/// A member of a group.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Member {
    /// A nexthop, not a group.
    pub nexthop: NexthopId,
    /// Its share, 1 to 256 (what every kernel since 5.3 takes).
    pub weight: u16,
}

/// How a group keeps flows where they are (`type resilient`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Resilience {
    /// How many buckets, 1 to 65535.
    pub buckets: u16,
    /// A bucket that saw no packet for this long may move; the kernel counts in 10 ms.
    pub idle: Duration,
}

/// A route that evpnd owns.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RouteKey {
    /// The routing table's number; 254 is main.
    pub table: u32,
    /// The destination, masked.
    pub prefix: IpNet,
}

/// What a route says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Route {
    /// A nexthop or a group.
    pub nexthop: NexthopId,
    /// Its priority: lower is preferred by the kernel.
    pub metric: u32,
}

/// One object wanted as it is given, or, with `None`, not wanted any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// A routed nexthop.
    Nexthop(NexthopId, Option<Nexthop>),
    /// A group of routed nexthops.
    Group(NexthopId, Option<NexthopGroup>),
    /// A nexthop for FDB entries: the address of a VTEP.
    FdbNexthop(NexthopId, Option<IpAddr>),
    /// A group of FDB nexthops, never resilient.
    FdbGroup(NexthopId, Option<NexthopGroup>),
    /// Where frames to a remote host go.
    Fdb(FdbKey, Option<FdbEntry>),
    /// Whether a VTEP takes copies of flooded frames.
    Flood(FloodKey, Option<()>),
    /// A remote host's, or a VTEP's, link-layer address.
    Neighbour(NeighbourKey, Option<Neighbour>),
    /// A route.
    Route(RouteKey, Option<Route>),
}

/// Which object a [`Change`] is about: of two with the same, the later one counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ChangeKey {
    /// A nexthop or group; both share their ids.
    Nexthop(NexthopId),
    /// An FDB entry.
    Fdb(FdbKey),
    /// A flood entry.
    Flood(FloodKey),
    /// A neighbour.
    Neighbour(NeighbourKey),
    /// A route.
    Route(RouteKey),
}

impl Change {
    /// Which object it is about.
    pub const fn key(&self) -> ChangeKey {
        match self {
            Self::Nexthop(id, _)
            | Self::Group(id, _)
            | Self::FdbNexthop(id, _)
            | Self::FdbGroup(id, _) => ChangeKey::Nexthop(*id),
            Self::Fdb(key, _) => ChangeKey::Fdb(*key),
            Self::Flood(key, _) => ChangeKey::Flood(*key),
            Self::Neighbour(key, _) => ChangeKey::Neighbour(*key),
            Self::Route(key, _) => ChangeKey::Route(*key),
        }
    }
}

/// Something to do once, that leaves no object of ours behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// Write the neighbour as one to be probed (`nud probe`), not owned by us: the kernel asks the
    /// host and, on its answer, reports it as local.
    ProbeNeighbour {
        /// The bridge (its SVI).
        device: IfIndex,
        /// Whom to ask.
        address: IpAddr,
        /// Where the host was last seen.
        mac: MacAddr,
    },
    /// Delete a learned neighbour (neither permanent nor ours) whose host is no longer local.
    ForgetNeighbour {
        /// The bridge (its SVI).
        device: IfIndex,
        /// Whose entry.
        address: IpAddr,
    },
}

/// How far reconciling may go.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Mode {
    /// Before the first dump is complete: write nothing.
    Adopt,
    /// While sessions come up: add and replace; what is stale keeps forwarding.
    Grow,
    /// Every peer that was up has sent End-of-RIB, or the deferral timer has run out: delete what
    /// is ours and not wanted, at a limited rate.
    Sweep,
    /// At rest: changes as they come, and the periodic audit.
    Steady,
}
