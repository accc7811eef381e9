//! What a write's result means.
//!
//! | class | a write | a deletion |
//! |---|---|---|
//! | exists | ours was overlooked, or it is somebody else's: dump, again, then set aside | |
//! | no entry | what it needs is gone: dump, and again later | it is as it should be |
//! | no device, net down | again on news of the device | no device: as it should be |
//! | refused | set aside until a new wish or the next dump, and shown | the same |
//! | no memory, denied | everything waits, longer each time | the same |
//! | busy, other | again later, longer each time | the same |
//!
//! **A failure never drops a row**: it is written, or it says what it waits for.

use crate::object::{FdbKey, IfIndex};
use crate::observe::NexthopSpec;
use crate::obstacle::{Key, Until, backoff};
use crate::op::{ErrorClass, Failure, Halves, KernelRoute, Op};
use crate::reconciler::{BridgeHalf, FloodHave, NeighbourHave, Reconciler};
use crate::table::{Marks, Table};
use evpn_proto::types::Time;
use std::hash::Hash;
use std::time::Duration;

/// The wait when the kernel says that we may not.
const DENIED_WAIT: Duration = Duration::from_secs(30);
/// The first wait when the kernel has no memory.
const MEMORY_WAIT_DIVISOR: u32 = 5;

impl Reconciler {
    /// How a planned write went.
    pub fn done(&mut self, op: &Op, result: Result<(), Failure>, now: Time) {
        match result {
            Ok(()) => self.succeeded(op),
            Err(failure) => self.failed(op, &failure, now),
        }
    }

    fn succeeded(&mut self, op: &Op) {
        self.pauses = 0;
        if op.is_delete() {
            self.counters.deleted += 1;
            self.deleted(op);
        } else {
            self.counters.written += 1;
            self.written(op);
        }
    }

    fn written(&mut self, op: &Op) {
        match op {
            Op::Fdb { key, to } => self.fdb_written(*key, *to),
            Op::FdbSticky { key, sticky } => {
                if let Some(half) = self.bridge_half(*key) {
                    self.set_bridge_half(*key, Some(BridgeHalf { sticky: *sticky, ..half }));
                }
            }
            Op::Flood(key) => {
                self.set_flood(*key, Some(FloodHave { ours: true }));
                self.worked(Key::Flood(*key));
            }
            Op::Neighbour { key, value } => {
                self.tracker.neighbour_gone(*key);
                self.set_neighbour(*key, Some(NeighbourHave::Ours(*value)));
                self.worked(Key::Neighbour(*key));
            }
            Op::Route { route, nexthop, .. } => {
                self.set_route(*route, Some(*nexthop));
                self.worked(Key::Route(*route));
            }
            Op::Nexthop { id, spec, .. } => {
                self.nexthops.set_have(*id, Some(spec.clone()), true);
                if let Some(logical) = self.nexthops.kernel.get(id).and_then(|h| h.logical) {
                    self.worked(Key::Nexthop(logical));
                    self.nexthops.queue(logical);
                }
                self.nexthop_ready();
            }
            _ => {}
        }
    }

    /// A row is no longer set aside.
    pub(crate) fn worked(&mut self, key: Key) {
        if self.obstacles.get(&key).is_some() {
            self.obstacles.forget(&key);
            self.clear_parked(key);
        }
    }

    fn bridge_half(&self, key: FdbKey) -> Option<BridgeHalf> {
        self.fdb.rows.get(&key)?.have?.bridge
    }

    fn deleted(&mut self, op: &Op) {
        if let Some(key) = self.key_of(op) {
            self.worked(key);
        }
        match op {
            Op::FdbDelete { key, halves } => {
                if *halves != Halves::Vxlan {
                    self.set_bridge_half(*key, None);
                }
                if *halves != Halves::Bridge {
                    self.set_vxlan_half(*key, None);
                }
            }
            Op::FloodDelete(key) => self.set_flood(*key, None),
            Op::NeighbourDelete(key) => {
                self.tracker.neighbour_gone(*key);
                self.set_neighbour(*key, None);
            }
            Op::RouteDelete(route) => self.set_route(*route, None),
            Op::NexthopDelete(id) => self.nexthop_vanished(*id),
            _ => {}
        }
    }

    fn failed(&mut self, op: &Op, failure: &Failure, now: Time) {
        if op.is_delete() && self.nothing_to_delete(op, failure.class) {
            return;
        }
        let place = ErrorClass::ALL.iter().position(|class| *class == failure.class);
        if let Some(count) = place.and_then(|place| self.counters.failures.get_mut(place)) {
            *count += 1;
        }
        let Some(key) = self.key_of(op) else {
            // A command is not repeated: the engine asks again if it still matters. The dump finds
            // what became of the entry.
            self.suspect = true;
            return;
        };
        match failure.class {
            ErrorClass::NoMemory => self.pause(now, |n| backoff(n) / MEMORY_WAIT_DIVISOR, key),
            ErrorClass::Denied => self.pause(now, |_| DENIED_WAIT, key),
            ErrorClass::Refused => self.park(key, failure, |_| Until::Changed),
            ErrorClass::NoDevice | ErrorClass::NetDown => {
                let device = self.device_of(op);
                let up = device.and_then(|d| self.tracker.links.get(&d)).map(|link| link.is_up());
                match (device, up) {
                    (Some(device), None | Some(false)) => {
                        self.park(key, failure, |_| Until::Link(device));
                    }
                    _ => self.park(key, failure, |wait| Until::At(now + wait)),
                }
            }
            // The dump has not shown it as ours: it is somebody else's, and news of it, or the next
            // audit, is what to wait for.
            ErrorClass::Exists if self.obstacles.get(&key).is_some() => {
                self.park(key, failure, |_| Until::Changed);
            }
            // What became of it is unknown if the answer was lost.
            ErrorClass::Exists | ErrorClass::NoEntry | ErrorClass::Busy | ErrorClass::Other => {
                self.suspect = true;
                self.park(key, failure, |wait| Until::At(now + wait));
            }
        }
    }

    /// Whether a failed deletion means that the kernel is as it should be.
    fn nothing_to_delete(&mut self, op: &Op, class: ErrorClass) -> bool {
        if !matches!(class, ErrorClass::NoEntry | ErrorClass::NoDevice) {
            return false;
        }
        match op {
            // The bridge's half is gone, or with another port; the kernel stopped there, and the
            // VXLAN device's half, if it is there, is deleted next.
            Op::FdbDelete { key, halves: Halves::Both } if class == ErrorClass::NoEntry => {
                self.set_bridge_half(*key, None);
            }
            _ => self.deleted(op),
        }
        true
    }

    fn pause(&mut self, now: Time, wait: impl Fn(u8) -> Duration, key: Key) {
        self.queue(key);
        if self.paused_until.is_some_and(|until| now < until) {
            // Another of the same batch.
            return;
        }
        self.pauses = self.pauses.saturating_add(1);
        self.paused_until = Some(now + wait(self.pauses));
    }

    pub(crate) fn park(&mut self, key: Key, failure: &Failure, until: impl Fn(Duration) -> Until) {
        self.obstacles.park(key, failure, until);
        match key {
            Key::Nexthop(id) => {
                if let Some(row) = self.nexthops.logical.get_mut(&id) {
                    row.marks.set(Marks::PARKED);
                }
            }
            Key::Held(_) => {}
            Key::Route(route) => set_parked(&mut self.routes, route),
            Key::Neighbour(key) => set_parked(&mut self.neighbours, key),
            Key::Flood(key) => set_parked(&mut self.flood, key),
            Key::Fdb(key) => set_parked(&mut self.fdb, key),
        }
    }

    fn key_of(&self, op: &Op) -> Option<Key> {
        Some(match op {
            Op::Nexthop { id, .. } => Key::Nexthop(self.nexthops.kernel.get(id)?.logical?),
            Op::NexthopDelete(id) => Key::Held(*id),
            Op::Fdb { key, .. } | Op::FdbSticky { key, .. } | Op::FdbDelete { key, .. } => {
                Key::Fdb(*key)
            }
            Op::Flood(key) | Op::FloodDelete(key) => Key::Flood(*key),
            Op::Neighbour { key, .. } | Op::NeighbourDelete(key) => Key::Neighbour(*key),
            Op::Route { route, .. } | Op::RouteDelete(route) => Key::Route(*route),
            Op::Learn { .. } | Op::Probe { .. } => return None,
        })
    }

    fn device_of(&self, op: &Op) -> Option<IfIndex> {
        let of_nexthop = |spec: &NexthopSpec| match spec {
            NexthopSpec::Routed(nexthop) => Some(nexthop.device),
            _ => None,
        };
        match op {
            Op::Nexthop { spec, .. } => of_nexthop(spec),
            Op::Fdb { key, .. } | Op::FdbSticky { key, .. } | Op::FdbDelete { key, .. } => {
                Some(key.device)
            }
            Op::Flood(key) | Op::FloodDelete(key) => Some(key.device),
            Op::Neighbour { key, .. } | Op::NeighbourDelete(key) => Some(key.device),
            Op::Route { nexthop, .. } => of_nexthop(self.nexthops.spec(*nexthop)?),
            Op::Learn { device, .. } | Op::Probe { device, .. } => Some(*device),
            Op::NexthopDelete(_) | Op::RouteDelete(KernelRoute { .. }) => None,
        }
    }
}

fn set_parked<K: Copy + Eq + Hash, W, H>(table: &mut Table<K, W, H>, key: K) {
    table.entry(key).marks.set(Marks::PARKED);
}
