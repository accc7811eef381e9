//! What one row needs: nothing, a write, a deletion, or patience.
//!
//! **The same judgement plans the writes and explains what is still apart**, so that what an
//! operator reads is why nothing was written.

use crate::difference::Reason;
use crate::object::{FdbKey, FdbTarget, FloodKey, Mode, NeighbourKey, NexthopId};
use crate::observe::{MacState, NexthopSpec};
use crate::op::{Birth, Halves, KernelRoute, Op};
use crate::reconciler::{NeighbourHave, Reconciler, VxlanHalf};
use crate::table::Marks;

/// What a row needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Nothing: it is as it should be.
    Settled,
    /// A nexthop that is not there yet.
    Waits,
    /// It is not as it should be, and for this reason stays so for now.
    Held(Reason),
    Write(Op),
    /// First one, then the other: what the kernel does not do in place.
    Rewrite(Op, Op),
    Delete(Op),
}

impl Reconciler {
    /// What an unwanted object of ours needs.
    fn unwanted(&self, marks: Marks, delete: Op) -> Verdict {
        if marks.has(Marks::RUN) || marks.has(Marks::CONDEMNED) {
            Verdict::Delete(delete)
        } else {
            Verdict::Held(Reason::Stale)
        }
    }

    pub(crate) fn judge_fdb(&self, key: FdbKey) -> Verdict {
        let Some(row) = self.fdb.rows.get(&key) else { return Verdict::Settled };
        if row.marks.has(Marks::PARKED) {
            return Verdict::Held(Reason::Failed);
        }
        let have = row.have.unwrap_or_default();
        let Some(want) = row.want else {
            let bridge = have.bridge.is_some_and(|half| half.state == MacState::External);
            let vxlan = have.vxlan.is_some_and(|half| half.state == MacState::External);
            let halves = match (bridge, vxlan) {
                (true, true) => Halves::Both,
                (true, false) => Halves::Bridge,
                (false, true) => Halves::Vxlan,
                (false, false) => return Verdict::Settled,
            };
            return self.unwanted(row.marks, Op::FdbDelete { key, halves });
        };
        let Some(bridge) = self.tracker.bridge_of(key.device) else {
            return Verdict::Held(Reason::NoDevice);
        };
        if let Some(local) = self.tracker.locals.get(&(bridge, key.mac)) {
            match local.state {
                MacState::Learned if row.marks.has(Marks::DECIDED) => {}
                MacState::Learned => return Verdict::Held(Reason::Ceded),
                _ => return Verdict::Held(Reason::Foreign),
            }
        }
        let to = match want.to {
            FdbTarget::Vtep(_) => want.to,
            FdbTarget::Group(id) => match self.nexthops.ready(id) {
                Some(id) => FdbTarget::Group(id),
                None => return Verdict::Waits,
            },
        };
        let operators = have.bridge.is_some_and(|half| half.state == MacState::Static)
            || have.vxlan.is_some_and(|half| half.state == MacState::Static);
        if operators {
            return Verdict::Held(Reason::Foreign);
        }
        let write = Op::Fdb { key, to };
        match (have.bridge, have.vxlan) {
            // The kernel refuses to make a nexthop of a destination, and pretends to do the
            // reverse: a new entry is needed. Frames are flooded in between.
            (_, Some(half)) if is_group(half.to) != is_group(to) => {
                Verdict::Rewrite(Op::FdbDelete { key, halves: Halves::Vxlan }, write)
            }
            (Some(bridge), Some(VxlanHalf { to: there, state: MacState::External }))
                if there == to && bridge.state == MacState::External =>
            {
                if bridge.sticky == want.sticky {
                    Verdict::Settled
                } else {
                    Verdict::Write(Op::FdbSticky { key, sticky: want.sticky })
                }
            }
            _ => Verdict::Write(write),
        }
    }

    pub(crate) fn judge_flood(&self, key: FloodKey) -> Verdict {
        let Some(row) = self.flood.rows.get(&key) else { return Verdict::Settled };
        if row.marks.has(Marks::PARKED) {
            return Verdict::Held(Reason::Failed);
        }
        match (row.want, row.have) {
            (Some(()), Some(_)) => Verdict::Settled,
            (Some(()), None) if self.tracker.is_vxlan(key.device) => Verdict::Write(Op::Flood(key)),
            (Some(()), None) => Verdict::Held(Reason::NoDevice),
            (None, Some(have)) if have.ours => self.unwanted(row.marks, Op::FloodDelete(key)),
            (None, _) => Verdict::Settled,
        }
    }

    pub(crate) fn judge_neighbour(&self, key: NeighbourKey) -> Verdict {
        let Some(row) = self.neighbours.rows.get(&key) else { return Verdict::Settled };
        if row.marks.has(Marks::PARKED) {
            return Verdict::Held(Reason::Failed);
        }
        let Some(value) = row.want else {
            return match row.have {
                Some(NeighbourHave::Ours(_)) => self.unwanted(row.marks, Op::NeighbourDelete(key)),
                Some(NeighbourHave::Foreign) | None => Verdict::Settled,
            };
        };
        match row.have {
            Some(NeighbourHave::Ours(have)) if have == value => Verdict::Settled,
            Some(NeighbourHave::Foreign) => Verdict::Held(Reason::Foreign),
            _ if self.tracker.neighbours.get(&key).is_some_and(|n| n.permanent) => {
                Verdict::Held(Reason::Foreign)
            }
            _ if !self.tracker.links.get(&key.device).is_some_and(|link| link.admin_up) => {
                Verdict::Held(Reason::NoDevice)
            }
            _ => Verdict::Write(Op::Neighbour { key, value }),
        }
    }

    pub(crate) fn judge_route(&self, route: KernelRoute) -> Verdict {
        let Some(row) = self.routes.rows.get(&route) else { return Verdict::Settled };
        if row.marks.has(Marks::PARKED) {
            return Verdict::Held(Reason::Failed);
        }
        let Some(want) = row.want else {
            return match row.have {
                Some(_) => self.unwanted(row.marks, Op::RouteDelete(route)),
                None => Verdict::Settled,
            };
        };
        let Some(nexthop) = self.nexthops.ready(want) else { return Verdict::Waits };
        match row.have {
            Some(have) if have == nexthop => Verdict::Settled,
            Some(_) => Verdict::Write(Op::Route { route, nexthop, birth: Birth::Replace }),
            None => Verdict::Write(Op::Route { route, nexthop, birth: Birth::New }),
        }
    }

    /// Whether the device of a nexthop carries frames; the kernel takes none on one that does not.
    pub(crate) fn nexthop_has_device(&self, id: NexthopId) -> bool {
        let Some(row) = self.nexthops.logical.get(&id) else { return false };
        match &row.want {
            NexthopSpec::Routed(nexthop) => {
                self.tracker.links.get(&nexthop.device).is_some_and(|link| link.is_up())
            }
            _ => true,
        }
    }

    /// Whether stale objects are deleted now.
    pub(crate) fn sweeps(&self) -> bool {
        self.mode >= Mode::Sweep && self.adopted && self.sweep_hold.is_none()
    }
}

pub(crate) const fn is_group(to: FdbTarget) -> bool {
    matches!(to, FdbTarget::Group(_))
}
