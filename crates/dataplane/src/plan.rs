//! Which writes come next.
//!
//! Rows are judged in rounds. A round takes what is queued when it begins: nexthops, groups,
//! neighbours, FDB entries, flood entries, routes; then, in reverse, what is to be deleted.
//!
//! **No deletion of a round comes before its additions**, and what comes in meanwhile waits for the
//! next round, so that neither starves the other.

use crate::nexthops::{Judged, Moved};
use crate::object::{Command, FdbTarget, Mode, NeighbourKey, NexthopId};
use crate::obstacle::Key;
use crate::op::Op;
use crate::reconciler::Reconciler;
use crate::table::{Marks, Table};
use crate::verdict::Verdict;
use evpn_proto::types::Time;
use std::hash::Hash;

/// How far a round has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    Idle,
    Nexthops,
    Groups,
    Neighbours,
    Fdb,
    Flood,
    Routes,
    RoutesGone,
    NeighboursGone,
    FloodGone,
    FdbGone,
    NexthopsGone,
}

impl Stage {
    const fn next(self) -> Self {
        match self {
            Self::Idle => Self::Nexthops,
            Self::Nexthops => Self::Groups,
            Self::Groups => Self::Neighbours,
            Self::Neighbours => Self::Fdb,
            Self::Fdb => Self::Flood,
            Self::Flood => Self::Routes,
            Self::Routes => Self::RoutesGone,
            Self::RoutesGone => Self::NeighboursGone,
            Self::NeighboursGone => Self::FloodGone,
            Self::FloodGone => Self::FdbGone,
            Self::FdbGone => Self::NexthopsGone,
            Self::NexthopsGone => Self::Idle,
        }
    }

    /// Whether what follows depends on how this stage's writes went.
    const fn is_barrier(self) -> bool {
        matches!(self, Self::Nexthops | Self::Groups | Self::FdbGone | Self::NexthopsGone)
    }
}

impl Reconciler {
    /// Appends at most about `limit` writes. Execute them in order, hand the results to
    /// [`Reconciler::done`], observe the news that they caused, and plan again until nothing comes.
    pub fn plan(&mut self, now: Time, limit: usize, ops: &mut Vec<Op>) {
        self.tick(now);
        if self.mode == Mode::Adopt || !self.adopted {
            return;
        }
        if self.paused_until.is_some_and(|until| now < until) {
            return;
        }
        self.paused_until = None;
        for key in self.obstacles.take_due(now) {
            self.unpark(key);
        }
        self.feed_sweep(now);
        let begun = ops.len();
        let limit = begun.saturating_add(limit);
        self.plan_commands(limit, ops);
        self.plan_heard(limit, ops);
        while ops.len() < limit {
            if self.stage == Stage::Idle && !self.start_round() {
                return;
            }
            if !self.run_stage(limit, ops) {
                return;
            }
            let barrier = self.stage.is_barrier();
            self.stage = self.stage.next();
            if barrier && ops.len() > begun {
                return;
            }
        }
    }

    /// Whether there is something to plan now, time apart.
    pub fn has_work(&self) -> bool {
        self.adopted
            && self.mode != Mode::Adopt
            && self.paused_until.is_none()
            && (self.stage != Stage::Idle
                || !self.commands.is_empty()
                || self.heard.any_due
                || self.nexthops.has_work()
                || self.fdb.has_work()
                || self.flood.has_work()
                || self.neighbours.has_work()
                || self.routes.has_work())
    }

    /// When to plan again although nothing happens.
    pub fn next_deadline(&self) -> Option<Time> {
        let sweep = (self.sweeps() && !self.stale.is_empty()).then_some(self.next_sweep);
        match self.paused_until {
            Some(until) => Some(until),
            None => [self.obstacles.next(), sweep].into_iter().flatten().min(),
        }
    }

    fn start_round(&mut self) -> bool {
        let fdb = self.fdb.start_round();
        let flood = self.flood.start_round();
        let neighbours = self.neighbours.start_round();
        let routes = self.routes.start_round();
        let book = &mut self.nexthops;
        for id in std::mem::take(&mut book.pending) {
            let Some(row) = book.logical.get(&id) else { continue };
            if row.want.group().is_some() {
                book.round_groups.push(id);
            } else {
                book.round.push(id);
            }
        }
        std::mem::swap(&mut book.gone, &mut book.round_gone);
        let any = fdb || flood || neighbours || routes || self.nexthops.has_work();
        if any {
            self.stage = Stage::Nexthops;
        } else {
            self.contradicted = false;
        }
        any
    }

    /// Whether the stage is through.
    fn run_stage(&mut self, limit: usize, ops: &mut Vec<Op>) -> bool {
        match self.stage {
            Stage::Idle => true,
            Stage::Nexthops => self.run_nexthops(limit, ops, |r| r.nexthops.round.pop()),
            Stage::Groups => self.run_nexthops(limit, ops, |r| r.nexthops.round_groups.pop()),
            Stage::Neighbours => {
                self.run(limit, ops, |r| &mut r.neighbours, Self::judge_neighbour, Key::Neighbour)
            }
            Stage::Fdb => self.run(limit, ops, |r| &mut r.fdb, Self::judge_fdb, Key::Fdb),
            Stage::Flood => self.run(limit, ops, |r| &mut r.flood, Self::judge_flood, Key::Flood),
            Stage::Routes => self.run(limit, ops, |r| &mut r.routes, Self::judge_route, Key::Route),
            Stage::RoutesGone => self.run_gone(limit, ops, |r| &mut r.routes, Self::judge_route),
            Stage::NeighboursGone => {
                self.run_gone(limit, ops, |r| &mut r.neighbours, Self::judge_neighbour)
            }
            Stage::FloodGone => self.run_gone(limit, ops, |r| &mut r.flood, Self::judge_flood),
            Stage::FdbGone => self.run_gone(limit, ops, |r| &mut r.fdb, Self::judge_fdb),
            Stage::NexthopsGone => self.run_nexthops_gone(limit, ops),
        }
    }

    fn run<K: Copy + Eq + Hash, W, H>(
        &mut self,
        limit: usize,
        ops: &mut Vec<Op>,
        table: impl Fn(&mut Self) -> &mut Table<K, W, H>,
        judge: impl Fn(&Self, K) -> Verdict,
        key_of: impl Fn(K) -> Key,
    ) -> bool {
        while ops.len() < limit {
            let Some(key) = table(self).next() else { return true };
            match judge(self, key) {
                Verdict::Write(op) => {
                    self.count_repair(key, &table);
                    ops.push(op);
                }
                Verdict::Rewrite(first, second) => {
                    self.count_repair(key, &table);
                    ops.push(first);
                    ops.push(second);
                }
                Verdict::Delete(_) => table(self).deletes.push(key),
                Verdict::Waits => {
                    self.waiting.insert(key_of(key));
                }
                Verdict::Held(_) => {}
                Verdict::Settled => {
                    if let Some(row) = table(self).rows.get_mut(&key) {
                        row.marks.clear(Marks::AUDIT);
                    }
                    self.obstacles.forget(&key_of(key));
                    table(self).tidy(key);
                }
            }
        }
        false
    }

    /// Counts a write that only a dump found necessary. The look-up is spared in ordinary times.
    fn count_repair<K: Copy + Eq + Hash, W, H>(
        &mut self,
        key: K,
        table: impl Fn(&mut Self) -> &mut Table<K, W, H>,
    ) {
        if !self.contradicted {
            return;
        }
        if let Some(row) = table(self).rows.get_mut(&key)
            && row.marks.has(Marks::AUDIT)
        {
            row.marks.clear(Marks::AUDIT);
            self.counters.repairs += 1;
        }
    }

    fn run_gone<K: Copy + Eq + Hash, W, H>(
        &mut self,
        limit: usize,
        ops: &mut Vec<Op>,
        table: impl Fn(&mut Self) -> &mut Table<K, W, H>,
        judge: impl Fn(&Self, K) -> Verdict,
    ) -> bool {
        while ops.len() < limit {
            let Some(key) = table(self).deletes.pop() else { return true };
            match judge(self, key) {
                Verdict::Delete(op) => ops.push(op),
                Verdict::Settled => table(self).tidy(key),
                // Wanted again since: its turn comes in the next round.
                _ => table(self).queue(key),
            }
        }
        false
    }

    fn run_nexthops(
        &mut self,
        limit: usize,
        ops: &mut Vec<Op>,
        next: impl Fn(&mut Self) -> Option<NexthopId>,
    ) -> bool {
        while ops.len() < limit {
            let Some(id) = next(self) else { return true };
            let has_device = self.nexthop_has_device(id);
            let Some(row) = self.nexthops.logical.get_mut(&id) else { continue };
            if !row.marks.has(Marks::QUEUED) {
                // Withdrawn and wanted again meanwhile: it had its turn.
                continue;
            }
            row.marks.clear(Marks::QUEUED);
            let audit = row.marks.has(Marks::AUDIT);
            row.marks.clear(Marks::AUDIT);
            if row.marks.has(Marks::PARKED) || !has_device {
                continue;
            }
            let mut moved = Moved::default();
            let Self { routes, nexthops, .. } = self;
            let alone = |kernel_id: NexthopId, id: NexthopId| {
                let mut users = routes.rows.values().filter(|row| row.have == Some(kernel_id));
                users.all(|row| row.want == Some(id))
            };
            match nexthops.judge(id, alone, &mut moved) {
                Judged::Write(op) => {
                    self.counters.repairs += u64::from(audit);
                    ops.push(op);
                }
                Judged::Waits => {
                    self.waiting.insert(Key::Nexthop(id));
                }
                Judged::Settled => {}
            }
            for id in moved.rebound {
                self.queue_users(id);
            }
        }
        false
    }

    /// What the engine points at one of its ids stands for another kernel id now.
    fn queue_users(&mut self, id: NexthopId) {
        self.routes.queue_where(|_, row| row.want == Some(id));
        self.fdb.queue_where(|_, row| row.want.is_some_and(|want| want.to == FdbTarget::Group(id)));
        let groups: Vec<NexthopId> = self
            .nexthops
            .logical
            .iter()
            .filter(|(_, row)| {
                row.want.group().is_some_and(|g| g.members.iter().any(|m| m.nexthop == id))
            })
            .map(|(group, _)| *group)
            .collect();
        for group in groups {
            self.nexthops.queue(group);
        }
    }

    fn run_nexthops_gone(&mut self, limit: usize, ops: &mut Vec<Op>) -> bool {
        while ops.len() < limit {
            let Some(id) = self.nexthops.round_gone.pop() else { return true };
            if self.nexthops.deletable(id) {
                ops.push(Op::NexthopDelete(id));
            }
        }
        false
    }

    fn plan_commands(&mut self, limit: usize, ops: &mut Vec<Op>) {
        while ops.len() < limit {
            let Some(command) = self.commands.pop_front() else { return };
            match command {
                Command::ProbeNeighbour { device, address, mac } => {
                    let key = NeighbourKey { device, address };
                    let row = self.neighbours.rows.get_mut(&key);
                    if row.as_ref().is_some_and(|row| row.want.is_some()) {
                        continue;
                    }
                    // The write takes our mark away: there is nothing left to delete.
                    if let Some(row) = row {
                        row.have = None;
                    }
                    ops.push(Op::Probe { device, address, mac });
                }
                Command::ForgetNeighbour { device, address } => {
                    let key = NeighbourKey { device, address };
                    if self.tracker.neighbours.get(&key).is_some_and(|n| !n.permanent) {
                        ops.push(Op::NeighbourDelete(key));
                    }
                }
            }
        }
    }

    /// Lets the next few stale objects go, if it is time.
    fn feed_sweep(&mut self, now: Time) {
        if !self.sweeps() || self.stale.is_empty() || now < self.next_sweep {
            return;
        }
        self.next_sweep = now + self.settings.sweep_every;
        for _ in 0..self.settings.sweep_batch {
            let Some(key) = self.stale.pop_front() else { return };
            if self.condemn(key) {
                self.counters.swept += 1;
                self.queue(key);
            }
        }
    }
}
