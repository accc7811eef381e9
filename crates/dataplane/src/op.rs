//! What is written to the kernel, and how that can fail.
//!
//! **An operation names one object and says everything that its message needs**: whoever executes
//! it, the kernel or a fake one, looks nothing up.

use crate::object::{
    FdbKey, FdbTarget, FloodKey, IfIndex, Neighbour, NeighbourKey, NexthopId, RouteKey,
};
use crate::observe::NexthopSpec;
use evpn_proto::types::MacAddr;
use std::fmt;
use std::net::IpAddr;

/// Which of an FDB entry's two halves.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Halves {
    /// The bridge's and the VXLAN device's. The kernel takes the bridge's first and stops there if
    /// it fails.
    Both,
    /// The bridge's (`master`).
    Bridge,
    /// The VXLAN device's (`self`).
    Vxlan,
}

/// Whether an object must be new, or may be there.
///
/// A new one never overwrites: what somebody else wrote meanwhile answers `EEXIST`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Birth {
    /// There is none yet (`NLM_F_EXCL`).
    New,
    /// Ours is there and is replaced (`NLM_F_REPLACE`).
    Replace,
}

/// A route as the kernel tells it from others: it may hold several of one prefix.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KernelRoute {
    /// Table and destination.
    pub key: RouteKey,
    /// Its priority.
    pub metric: u32,
}

/// One write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Op {
    /// Write a nexthop or a group.
    Nexthop {
        /// The kernel's id.
        id: NexthopId,
        /// What it says.
        spec: NexthopSpec,
        /// New, or in place.
        birth: Birth,
    },
    /// Delete a nexthop or a group that nothing uses.
    NexthopDelete(NexthopId),
    /// Write both halves of an FDB entry.
    Fdb {
        /// Which.
        key: FdbKey,
        /// Where it sends; a group by the kernel's id.
        to: FdbTarget,
    },
    /// Make the bridge keep an entry of ours where it is, or no longer. A message of its own: the
    /// kernel does not read `NTF_STICKY` beside `NTF_EXT_LEARNED`.
    FdbSticky {
        /// Which.
        key: FdbKey,
        /// Whether it may not move.
        sticky: bool,
    },
    /// Delete an FDB entry, whatever it sends to.
    FdbDelete {
        /// Which.
        key: FdbKey,
        /// What of it.
        halves: Halves,
    },
    /// Append a flood entry.
    Flood(FloodKey),
    /// Delete a flood entry.
    FloodDelete(FloodKey),
    /// Write a neighbour.
    Neighbour {
        /// Which.
        key: NeighbourKey,
        /// What it says.
        value: Neighbour,
    },
    /// Delete a neighbour.
    NeighbourDelete(NeighbourKey),
    /// Write a route.
    Route {
        /// Which.
        route: KernelRoute,
        /// The kernel's id of its nexthop or group.
        nexthop: NexthopId,
        /// New, or in place.
        birth: Birth,
    },
    /// Delete a route.
    RouteDelete(KernelRoute),
    /// Have the kernel know a neighbour that spoke (`nud stale`), as if it had been spoken to; the
    /// entry is not ours.
    Learn {
        /// The bridge (its SVI).
        device: IfIndex,
        /// Who spoke.
        address: IpAddr,
        /// With which MAC address.
        mac: MacAddr,
    },
    /// Have the kernel probe a neighbour; the entry is not ours.
    Probe {
        /// The bridge (its SVI).
        device: IfIndex,
        /// Whom to ask.
        address: IpAddr,
        /// Where it was last seen.
        mac: MacAddr,
    },
}

impl Op {
    /// Whether it takes something away.
    pub const fn is_delete(&self) -> bool {
        matches!(
            self,
            Self::NexthopDelete(_)
                | Self::FdbDelete { .. }
                | Self::FloodDelete(_)
                | Self::NeighbourDelete(_)
                | Self::RouteDelete(_)
        )
    }
}

/// What kind of failure, which decides what follows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ErrorClass {
    /// `EEXIST`: somebody else's object is in the way, or one of ours was overlooked. Dump again.
    Exists,
    /// `ENOENT`, `ESRCH`: a deletion has nothing left to do; a write misses what it needs.
    NoEntry,
    /// `ENODEV`, `ENXIO`: waits for the device.
    NoDevice,
    /// `ENETDOWN`, `ENETUNREACH`, `EHOSTUNREACH`: waits for the device.
    NetDown,
    /// `EINVAL`, `EOPNOTSUPP` and the like: the kernel will not have it. Set aside and shown.
    Refused,
    /// `ENOMEM`, `ENOSPC`, `ENOBUFS`: everything waits.
    NoMemory,
    /// `EPERM`, `EACCES`: `CAP_NET_ADMIN` is missing. Everything waits.
    Denied,
    /// `EBUSY`, `EAGAIN`, no answer in time: again a little later.
    Busy,
    /// Any other.
    Other,
}

impl ErrorClass {
    /// How many classes there are.
    pub const COUNT: usize = 9;
    /// All of them, in the order of the counters.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Exists,
        Self::NoEntry,
        Self::NoDevice,
        Self::NetDown,
        Self::Refused,
        Self::NoMemory,
        Self::Denied,
        Self::Busy,
        Self::Other,
    ];

    /// Its name in counters and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exists => "exists",
            Self::NoEntry => "no-entry",
            Self::NoDevice => "no-device",
            Self::NetDown => "net-down",
            Self::Refused => "refused",
            Self::NoMemory => "no-memory",
            Self::Denied => "denied",
            Self::Busy => "busy",
            Self::Other => "other",
        }
    }
}

/// Why a write failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// What kind.
    pub class: ErrorClass,
    /// The kernel's number, positive; 0 where there is none.
    pub errno: i32,
    /// The kernel's words (extended acknowledgement), or those of the errno.
    pub text: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (errno {}, {})", self.text, self.errno, self.class.name())
    }
}

impl fmt::Display for KernelRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} table {} metric {}", self.key.prefix, self.key.table, self.metric)
    }
}
