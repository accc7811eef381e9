//! What neighbours that are told the same are told (Adj-RIB-Out).
//!
//! A group remembers, for each route, the number of its last change. A neighbour is a cursor in
//! that order: what lies behind it the neighbour knows, what lies ahead it is still to be told. A
//! route that changes again before it was told just moves to the end.
//!
//! **A slow neighbour costs a cursor: memory is bounded by the table, never by how often it
//! changes.** A withdrawn route stays as a tombstone until every neighbour has passed it.

use crate::table::{DestId, Table};
use crate::{Map, PeerIdx};
use std::collections::{BTreeMap, BTreeSet};

/// What neighbours are to hold of a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Export {
    /// The best path, which came from this neighbour (or [`PeerIdx::LOCAL`]); it is not told back.
    Announce(PeerIdx),
    /// Nothing.
    Withdraw,
}

#[derive(Clone, Copy, Debug)]
struct Out {
    sequence: u64,
    export: Export,
    /// The source of the best path was told of another one before, which must end there.
    withdraw_at_source: bool,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    peer: PeerIdx,
    /// Everything up to here has been told.
    cursor: u64,
    /// Withdrawals up to here concern what was never told.
    joined: u64,
}

/// The next changes that a neighbour is to be told.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Batch {
    /// The cursor afterwards.
    pub to: u64,
    /// Routes whose best path to announce, in order of change.
    pub announce: Vec<DestId>,
    /// Routes to withdraw.
    pub withdraw: Vec<DestId>,
    /// Another neighbour at the same cursor would be given something else.
    pub of_one: bool,
}

/// A group of neighbours.
#[derive(Debug, Default)]
pub struct UpdateGroup {
    out: Map<DestId, Out>,
    changes: BTreeMap<u64, DestId>,
    tombstones: BTreeSet<u64>,
    members: Vec<Member>,
    /// How many of the announced routes came from each neighbour, who is not told them back.
    from: Map<PeerIdx, usize>,
    last: u64,
}

impl UpdateGroup {
    /// A neighbour joins and is to be told everything.
    pub fn join(&mut self, peer: PeerIdx) {
        self.members.retain(|m| m.peer != peer);
        self.members.push(Member { peer, cursor: 0, joined: self.last });
    }

    /// A neighbour is to be told everything again, with the withdrawals that it has not heard yet.
    pub fn retell(&mut self, peer: PeerIdx) {
        if let Some(member) = self.members.iter_mut().find(|m| m.peer == peer) {
            member.cursor = 0;
        }
    }

    /// Every neighbour is to be told everything that there is now.
    pub fn rejoin_all(&mut self) {
        for member in &mut self.members {
            (member.cursor, member.joined) = (0, self.last);
        }
    }

    /// A neighbour leaves.
    pub fn leave(&mut self, table: &mut Table, peer: PeerIdx) {
        self.members.retain(|m| m.peer != peer);
        self.collect(table);
    }

    /// Whether it has no neighbours left and can be dropped, after [`UpdateGroup::clear`].
    pub fn is_idle(&self) -> bool {
        self.members.is_empty()
    }

    /// Lets go of every destination.
    pub fn clear(&mut self, table: &mut Table) {
        for (_, id) in std::mem::take(&mut self.changes) {
            table.let_go(id);
        }
        self.out.clear();
        self.from.clear();
        self.tombstones.clear();
    }

    /// How many routes the group's neighbours are told (those of their own included).
    pub fn announced(&self) -> usize {
        self.out.len() - self.tombstones.len()
    }

    /// How many routes the neighbour is told, when it is current.
    pub fn announced_to(&self, peer: PeerIdx) -> usize {
        self.announced().saturating_sub(self.from.get(&peer).copied().unwrap_or(0))
    }

    /// Whether the route is among them.
    pub fn is_announced(&self, id: DestId, peer: PeerIdx) -> bool {
        let export = self.out.get(&id).map(|o| o.export);
        matches!(export, Some(Export::Announce(source)) if source != peer)
    }

    /// A route's best path changed; `export` says what of it concerns this group.
    pub fn change(&mut self, table: &mut Table, id: DestId, export: Export) {
        let former = self.out.get(&id).copied();
        let withdraw_at_source = match (former.map(|f| f.export), export) {
            (None | Some(Export::Withdraw), Export::Withdraw) => return,
            (Some(Export::Announce(was)), Export::Announce(is)) => was != is,
            _ => false,
        };
        if let Some(Export::Announce(was)) = former.map(|f| f.export) {
            let count = self.from.entry(was).or_default();
            *count = count.saturating_sub(1);
        }
        if let Export::Announce(is) = export {
            *self.from.entry(is).or_default() += 1;
        }
        self.last += 1;
        let sequence = self.last;
        self.out.insert(id, Out { sequence, export, withdraw_at_source });
        self.changes.insert(sequence, id);
        match former {
            Some(former) => {
                self.changes.remove(&former.sequence);
                self.tombstones.remove(&former.sequence);
            }
            None => table.hold(id),
        }
        if export == Export::Withdraw {
            self.tombstones.insert(sequence);
            self.collect(table);
        }
    }

    /// Whether the neighbour knows everything.
    pub fn is_current(&self, peer: PeerIdx) -> bool {
        self.member(peer).is_none_or(|m| m.cursor >= self.last)
    }

    /// Whether the neighbour has been told all that there was when it joined, so that End-of-RIB
    /// is due.
    pub fn is_initial_done(&self, peer: PeerIdx) -> bool {
        self.member(peer).is_some_and(|m| m.cursor >= m.joined)
    }

    /// The cursor: neighbours that stand at the same one are told the same next.
    pub fn cursor(&self, peer: PeerIdx) -> Option<u64> {
        self.member(peer).map(|m| m.cursor)
    }

    fn member(&self, peer: PeerIdx) -> Option<&Member> {
        self.members.iter().find(|m| m.peer == peer)
    }

    /// What to tell the neighbour next, `count_max` changes at most. Empty when it is current.
    pub fn next_batch(&self, peer: PeerIdx, count_max: usize) -> Batch {
        let Some(member) = self.member(peer) else { return Batch::default() };
        let mut batch = Batch { to: member.cursor, ..Batch::default() };
        let joined_last = self.members.iter().map(|m| m.joined).max().unwrap_or(0);
        let ahead = self.changes.range(member.cursor + 1..);
        for (sequence, id) in ahead.take(count_max) {
            batch.to = *sequence;
            let Some(out) = self.out.get(id) else { continue };
            batch.of_one |= match out.export {
                Export::Announce(source) => self.member(source).is_some(),
                Export::Withdraw => *sequence <= joined_last,
            };
            match out.export {
                Export::Announce(source) if source != peer => batch.announce.push(*id),
                Export::Announce(_) if !out.withdraw_at_source => {}
                _ if *sequence <= member.joined => {}
                _ => batch.withdraw.push(*id),
            }
        }
        if batch.announce.is_empty() && batch.withdraw.is_empty() && batch.to == member.cursor {
            batch.to = self.last;
        }
        batch
    }

    /// The neighbour has been told all up to `to`.
    pub fn advance(&mut self, table: &mut Table, peer: PeerIdx, to: u64) {
        if let Some(member) = self.members.iter_mut().find(|m| m.peer == peer) {
            member.cursor = member.cursor.max(to);
        }
        self.collect(table);
    }

    /// Drops tombstones that every neighbour has passed.
    fn collect(&mut self, table: &mut Table) {
        let passed = self.members.iter().map(|m| m.cursor).min().unwrap_or(u64::MAX);
        while let Some(&sequence) = self.tombstones.first() {
            if sequence > passed {
                return;
            }
            self.tombstones.remove(&sequence);
            if let Some(id) = self.changes.remove(&sequence) {
                self.out.remove(&id);
                table.let_go(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: PeerIdx = PeerIdx(1);
    const B: PeerIdx = PeerIdx(2);

    fn tell(group: &mut UpdateGroup, table: &mut Table, peer: PeerIdx) -> (Vec<u32>, Vec<u32>) {
        let batch = group.next_batch(peer, 100);
        group.advance(table, peer, batch.to);
        let ids = |v: Vec<DestId>| v.into_iter().map(|d| d.0).collect();
        (ids(batch.announce), ids(batch.withdraw))
    }

    #[test]
    fn a_neighbour_is_told_each_route_once_and_the_latest_only() {
        let (mut group, mut table) = (UpdateGroup::default(), Table::default());
        group.join(A);
        for id in [1, 2, 1] {
            group.change(&mut table, DestId(id), Export::Announce(PeerIdx::LOCAL));
        }
        assert_eq!(tell(&mut group, &mut table, A), (vec![2, 1], vec![]));
        assert_eq!(tell(&mut group, &mut table, A), (vec![], vec![]));
        assert!(group.is_current(A));
    }

    #[test]
    fn a_withdrawal_reaches_those_who_knew_and_leaves_nothing_behind() {
        let (mut group, mut table) = (UpdateGroup::default(), Table::default());
        group.join(A);
        group.change(&mut table, DestId(1), Export::Announce(PeerIdx::LOCAL));
        tell(&mut group, &mut table, A);
        group.change(&mut table, DestId(1), Export::Withdraw);
        group.join(B);
        assert_eq!(tell(&mut group, &mut table, B), (vec![], vec![]));
        assert_eq!(tell(&mut group, &mut table, A), (vec![], vec![1]));
        assert!(group.out.is_empty() && group.changes.is_empty());
    }

    #[test]
    fn a_route_is_never_told_to_its_source_but_ended_there_if_it_knew_another() {
        let (mut group, mut table) = (UpdateGroup::default(), Table::default());
        group.join(A);
        group.join(B);
        group.change(&mut table, DestId(1), Export::Announce(A));
        assert_eq!(tell(&mut group, &mut table, A), (vec![], vec![]));
        assert_eq!(tell(&mut group, &mut table, B), (vec![1], vec![]));
        assert_eq!((group.announced_to(A), group.announced_to(B)), (0, 1));
        group.change(&mut table, DestId(1), Export::Announce(B));
        assert_eq!(tell(&mut group, &mut table, A), (vec![1], vec![]));
        assert_eq!(tell(&mut group, &mut table, B), (vec![], vec![1]));
        assert_eq!((group.announced_to(A), group.announced_to(B)), (1, 0));
        group.change(&mut table, DestId(1), Export::Withdraw);
        assert_eq!((group.announced_to(A), group.announced_to(B)), (0, 0));
    }

    #[test]
    fn who_asks_for_everything_again_still_hears_of_what_is_gone() {
        let (mut group, mut table) = (UpdateGroup::default(), Table::default());
        group.join(A);
        for id in [1, 2] {
            group.change(&mut table, DestId(id), Export::Announce(PeerIdx::LOCAL));
        }
        tell(&mut group, &mut table, A);
        group.change(&mut table, DestId(1), Export::Withdraw);
        group.retell(A);
        assert_eq!(tell(&mut group, &mut table, A), (vec![2], vec![1]));
    }

    #[test]
    fn a_slow_neighbour_costs_nothing_but_its_cursor() {
        let (mut group, mut table) = (UpdateGroup::default(), Table::default());
        group.join(A);
        for _ in 0..1000 {
            group.change(&mut table, DestId(1), Export::Announce(PeerIdx::LOCAL));
            group.change(&mut table, DestId(1), Export::Withdraw);
        }
        assert!(group.changes.len() <= 1 && group.tombstones.len() <= 1);
    }
}
