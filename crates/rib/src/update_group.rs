//! What neighbours that are told the same are told (Adj-RIB-Out).
//!
//! A group keeps a log of changes and remembers, for each route, the number of its last one. A
//! neighbour is a cursor in the log: what lies behind it the neighbour knows, what lies ahead it is
//! still to be told. A route that changes again before it was told just moves to the end; what it
//! leaves behind in the log is void, and goes when half of the log is.
//!
//! **A slow neighbour costs a cursor: memory is bounded by the table, never by how often it
//! changes.** A withdrawn route stays as a tombstone until every neighbour has passed it.
//!
//! Neighbours that take path identifiers (RFC 7911) are in groups of their own, which are told of
//! changes by [`UpdateGroup::change_paths`] alone: on a change of any path of a route they are told
//! all of them, and which identifiers are gone.

mod next;
mod path_ids;

use crate::table::{DestId, Table};
use crate::{Map, PeerIdx};
pub use next::{Batch, Stretch};
use path_ids::PathIds;
use std::collections::VecDeque;

/// Void entries that a log may have beside as many as there are others.
const VOID_MAX: usize = 1024;

/// What neighbours are to hold of a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Export {
    /// The best path, which came from this neighbour (or [`PeerIdx::LOCAL`]); it is not told back.
    Announce(PeerIdx),
    /// Nothing.
    Withdraw,
}

/// What a group was told of a route last.
#[derive(Clone, Copy, Debug)]
struct Out {
    /// The number of that change; 0 for a route that the group knows nothing of.
    sequence: u64,
    export: Export,
    /// The source of the best path was told of another one before, which must end there.
    withdraw_at_source: bool,
}

const _: () = assert!(size_of::<Out>() <= 16);

impl Out {
    const NOTHING: Self = Self { sequence: 0, export: Export::Withdraw, withdraw_at_source: false };
}

#[derive(Clone, Copy, Debug)]
struct Member {
    peer: PeerIdx,
    /// Everything up to here has been told.
    cursor: u64,
    /// Withdrawals up to here concern what was never told.
    joined: u64,
    /// Up to here is what it asked to be told again, 0 if it never did.
    retelling: u64,
}

/// A group of neighbours.
#[derive(Debug, Default)]
pub struct UpdateGroup {
    /// By the destinations' numbers.
    outs: Vec<Out>,
    /// Routes in the order of their changes; the first has the number after `before`.
    log: VecDeque<DestId>,
    before: u64,
    /// The numbers of changes that ended something of which somebody may still have to be told,
    /// ascending.
    tombstones: VecDeque<u64>,
    members: Vec<Member>,
    /// How many of the announced routes came from each neighbour, who is not told them back.
    from: Map<PeerIdx, usize>,
    announced: usize,
    /// Entries of the log that are not void.
    live: usize,
    /// Of a group with path identifiers: those of each route in the log.
    paths: Map<DestId, PathIds>,
}

impl UpdateGroup {
    /// The number of the last change.
    fn last(&self) -> u64 {
        self.before.saturating_add(count(self.log.len()))
    }

    fn out(&self, id: DestId) -> Option<Out> {
        let out = usize::try_from(id.0).ok().and_then(|place| self.outs.get(place));
        out.copied().filter(|out| out.sequence != 0)
    }

    fn put(&mut self, id: DestId, out: Out) {
        let Ok(place) = usize::try_from(id.0) else { return };
        if place >= self.outs.len() {
            self.outs.resize(place.saturating_add(1), Out::NOTHING);
        }
        if let Some(slot) = self.outs.get_mut(place) {
            *slot = out;
        }
    }

    /// The change with a number, unless it is void.
    fn at(&self, sequence: u64) -> Option<(DestId, Out)> {
        let place = usize::try_from(sequence.checked_sub(self.before)?.checked_sub(1)?).ok()?;
        let id = *self.log.get(place)?;
        self.out(id).filter(|out| out.sequence == sequence).map(|out| (id, out))
    }

    /// A neighbour joins and is to be told everything.
    pub fn join(&mut self, peer: PeerIdx) {
        self.members.retain(|m| m.peer != peer);
        self.members.push(Member { peer, cursor: 0, joined: self.last(), retelling: 0 });
    }

    /// A neighbour is to be told everything again, with the withdrawals that it has not heard yet.
    pub fn retell(&mut self, peer: PeerIdx) {
        let last = self.last();
        if let Some(member) = self.members.iter_mut().find(|m| m.peer == peer) {
            (member.cursor, member.retelling) = (0, last);
        }
    }

    /// Whether a neighbour that asked for everything again has been told it: whatever it held then
    /// and still may hold it has heard of since.
    pub fn is_retold(&self, peer: PeerIdx) -> bool {
        self.member(peer).is_none_or(|m| m.cursor >= m.retelling)
    }

    /// A route that somebody is still to be told again takes another place, and counts there: RFC
    /// 7313 §4: else he would take it for gone once the rest has been told.
    fn retell_later(&mut self, from: u64, to: u64) {
        for member in &mut self.members {
            if member.cursor < from && from <= member.retelling {
                member.retelling = to;
            }
        }
    }

    /// Every neighbour is to be told everything that there is now.
    pub fn rejoin_all(&mut self) {
        let last = self.last();
        for member in &mut self.members {
            (member.cursor, member.joined) = (0, last);
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
        let known = self.outs.iter().enumerate().filter(|(_, out)| out.sequence != 0);
        for id in known.filter_map(|(place, _)| u32::try_from(place).ok()) {
            table.let_go(DestId(id));
        }
        let members = std::mem::take(&mut self.members);
        *self = Self { before: self.last(), members, ..Self::default() };
    }

    /// How many routes the group's neighbours are told (those of their own included).
    pub const fn announced(&self) -> usize {
        self.announced
    }

    /// How many routes the neighbour is told, when it is current.
    pub fn announced_to(&self, peer: PeerIdx) -> usize {
        self.announced().saturating_sub(self.from.get(&peer).copied().unwrap_or(0))
    }

    /// Whether the route is among them.
    pub fn is_announced(&self, id: DestId, peer: PeerIdx) -> bool {
        let export = self.out(id).map(|o| o.export);
        matches!(export, Some(Export::Announce(source)) if source != peer)
    }

    /// Whether the group was told something else of a route than to announce or withdraw it so.
    pub fn is_otherwise(&self, id: DestId, export: Export) -> bool {
        self.out(id).map_or(Export::Withdraw, |out| out.export) != export
    }

    /// A route's best path changed; `export` says what of it concerns this group.
    pub fn change(&mut self, table: &mut Table, id: DestId, export: Export) {
        let former = self.out(id);
        // Whoever is the source now may have been told of another one, and what came in between is
        // not told any more.
        let withdraw_at_source = match (former.map(|f| f.export), export) {
            (None | Some(Export::Withdraw), Export::Withdraw) => return,
            (Some(Export::Announce(was)), Export::Announce(is)) if was == is => {
                former.is_some_and(|f| f.withdraw_at_source)
            }
            (former, _) => former.is_some(),
        };
        if let Some(Export::Announce(was)) = former.map(|f| f.export) {
            let count = self.from.entry(was).or_default();
            *count = count.saturating_sub(1);
            self.announced = self.announced.saturating_sub(1);
        }
        if let Export::Announce(is) = export {
            *self.from.entry(is).or_default() += 1;
            self.announced = self.announced.saturating_add(1);
        }
        self.note(table, id, former, export, withdraw_at_source);
    }

    /// Puts a change at the end of the log.
    fn note(
        &mut self,
        table: &mut Table,
        id: DestId,
        former: Option<Out>,
        export: Export,
        withdraw_at_source: bool,
    ) {
        self.log.push_back(id);
        let sequence = self.last();
        self.put(id, Out { sequence, export, withdraw_at_source });
        if let Some(former) = former {
            self.retell_later(former.sequence, sequence);
        }
        if former.is_none() {
            self.live = self.live.saturating_add(1);
            table.hold(id);
        }
        if self.has_ended(id, export) {
            self.tombstones.push_back(sequence);
            self.collect(table);
        }
        if self.log.len() > self.live.saturating_mul(2).saturating_add(VOID_MAX) {
            self.compact();
        }
    }

    /// Whether something of a route ended that is told so.
    fn has_ended(&self, id: DestId, export: Export) -> bool {
        export == Export::Withdraw || self.paths.get(&id).is_some_and(PathIds::has_ended)
    }

    /// Drops what is void from the log. What stays gets new numbers, all of them above the old
    /// ones, so that a number never stands for two places in the log.
    fn compact(&mut self) {
        let (first, last) = (self.before.saturating_add(1), self.last());
        let mut members = std::mem::take(&mut self.members);
        let ends =
            members.iter_mut().flat_map(|m| [&mut m.cursor, &mut m.joined, &mut m.retelling]);
        let mut ends: Vec<&mut u64> = ends.collect();
        ends.sort_unstable();
        let mut ends = ends.into_iter().peekable();
        let mut log = VecDeque::with_capacity(self.live);
        self.tombstones.clear();
        self.before = last;
        for (sequence, id) in (first..).zip(std::mem::take(&mut self.log)) {
            while let Some(end) = ends.next_if(|end| **end < sequence) {
                *end = last.saturating_add(count(log.len()));
            }
            let Some(mut out) = self.out(id).filter(|out| out.sequence == sequence) else {
                continue;
            };
            log.push_back(id);
            out.sequence = last.saturating_add(count(log.len()));
            if self.has_ended(id, out.export) {
                self.tombstones.push_back(out.sequence);
            }
            self.put(id, out);
        }
        ends.for_each(|end| *end = last.saturating_add(count(log.len())));
        self.log = log;
        self.members = members;
    }

    /// Whether the neighbour knows everything.
    pub fn is_current(&self, peer: PeerIdx) -> bool {
        self.member(peer).is_none_or(|m| m.cursor >= self.last())
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
        while let Some(sequence) = self.tombstones.front().copied().filter(|s| *s <= passed) {
            self.tombstones.pop_front();
            let Some((id, out)) = self.at(sequence) else { continue };
            if out.export != Export::Withdraw {
                if let Some(path_ids) = self.paths.get_mut(&id) {
                    path_ids.forget_ended();
                }
                continue;
            }
            self.paths.remove(&id);
            self.put(id, Out::NOTHING);
            self.live = self.live.saturating_sub(1);
            table.let_go(id);
        }
        while let Some(id) = self.log.front().copied() {
            let sequence = self.before.saturating_add(1);
            if self.out(id).is_some_and(|out| out.sequence == sequence) {
                return;
            }
            self.log.pop_front();
            self.before = sequence;
        }
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

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
        assert!(group.live == 0 && group.log.is_empty());
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
        assert!(group.live <= 1 && group.log.len() <= VOID_MAX + 4, "{}", group.log.len());
    }

    /// Stretches as an engine keeps them for those who come behind, whatever changes meanwhile.
    type Kept = Vec<(u64, Stretch)>;

    fn tell_some(
        (group, table): (&mut UpdateGroup, &mut Table),
        kept: &mut Kept,
        peer: PeerIdx,
        at_most: usize,
        known: &mut BTreeSet<u32>,
    ) -> Vec<u32> {
        let from = group.cursor(peer).unwrap();
        let found = kept.iter().find(|(at, _)| *at == from).map(|(_, stretch)| stretch.clone());
        let stretch = found.or_else(|| {
            let stretch = group.next_stretch(from, at_most)?;
            kept.push((from, stretch.clone()));
            Some(stretch)
        });
        let (to, announce, withdraw) = match stretch {
            Some(Stretch { to, announce, withdraw, .. }) => {
                let others = announce.into_iter().filter(|(_, source)| *source != peer);
                (to, others.map(|(id, _)| id).collect(), withdraw)
            }
            None => {
                let Batch { to, announce, withdraw, .. } = group.next_batch(peer, at_most);
                (to, announce, withdraw)
            }
        };
        group.advance(table, peer, to);
        for id in withdraw {
            known.remove(&id.0);
        }
        let announce: Vec<u32> = announce.iter().map(|id: &DestId| id.0).collect();
        known.extend(&announce);
        announce
    }

    /// What is still to be told again; once all has been, what the neighbour drops.
    fn unrefreshed_of(
        stale: &mut Option<BTreeSet<u32>>,
        known: &BTreeSet<u32>,
        told: &[u32],
        done: bool,
    ) -> BTreeSet<u32> {
        if let Some(stale) = stale {
            stale.retain(|id| known.contains(id) && !told.contains(id));
        }
        stale.take_if(|_| done).unwrap_or_default()
    }

    /// Whatever changes, whoever comes and goes, in whatever portions they are told, and however
    /// old these are: each ends up with what is announced by others, and the log stays small. Who has
    /// been told everything again and drops the rest drops nothing that is announced still.
    #[test]
    fn everybody_ends_up_with_what_there_is() {
        const PEERS: u16 = 4;
        const IDS: u32 = 60;
        for seed in 0..20u64 {
            let mut state = seed;
            let mut below = |bound: u64| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 33) % bound
            };
            let (mut group, mut table) = (UpdateGroup::default(), Table::default());
            let mut truth = [Export::Withdraw; IDS as usize];
            let mut held: [Option<BTreeSet<u32>>; PEERS as usize] = Default::default();
            let mut unrefreshed: [Option<BTreeSet<u32>>; PEERS as usize] = Default::default();
            let mut kept = Kept::new();
            for _ in 0..8000 {
                let peer = u16::try_from(below(PEERS.into())).unwrap();
                let known = &mut held[usize::from(peer)];
                let stale = &mut unrefreshed[usize::from(peer)];
                match below(40) {
                    0 => {
                        kept.clear();
                        group.join(PeerIdx(peer));
                        *known = Some(Default::default());
                        *stale = None;
                    }
                    1 => {
                        kept.clear();
                        group.leave(&mut table, PeerIdx(peer));
                        *known = None;
                        *stale = None;
                    }
                    2 => {
                        kept.clear();
                        group.retell(PeerIdx(peer));
                        stale.clone_from(known);
                    }
                    3..=9 => {
                        if let Some(known) = known {
                            let at_most = usize::try_from(1 + below(30)).unwrap();
                            let both = (&mut group, &mut table);
                            let told = tell_some(both, &mut kept, PeerIdx(peer), at_most, known);
                            let done = group.is_retold(PeerIdx(peer));
                            for id in unrefreshed_of(stale, known, &told, done) {
                                let mine = Export::Announce(PeerIdx(peer));
                                let ended = [Export::Withdraw, mine].contains(&truth[id as usize]);
                                assert!(ended, "peer {peer}, seed {seed}");
                                known.remove(&id);
                            }
                        }
                    }
                    _ => {
                        let id = u32::try_from(below(IDS.into())).unwrap();
                        let export = match below(3) {
                            0 => Export::Withdraw,
                            1 => Export::Announce(PeerIdx::LOCAL),
                            _ => Export::Announce(PeerIdx(peer)),
                        };
                        truth[id as usize] = export;
                        group.change(&mut table, DestId(id), export);
                    }
                }
                assert!(group.log.len() <= 2 * IDS as usize + VOID_MAX + 1);
            }
            for (peer, known) in (0..PEERS).zip(&mut held) {
                let Some(known) = known else { continue };
                while !group.is_current(PeerIdx(peer)) {
                    tell_some((&mut group, &mut table), &mut kept, PeerIdx(peer), 7, known);
                }
                let wanted = truth.iter().zip(0u32..).filter(|(export, _)| {
                    matches!(export, Export::Announce(source) if *source != PeerIdx(peer))
                });
                let wanted: BTreeSet<u32> = wanted.map(|(_, id)| id).collect();
                assert_eq!(*known, wanted, "peer {peer}, seed {seed}");
                assert_eq!(group.announced_to(PeerIdx(peer)), wanted.len());
            }
            group.clear(&mut table);
            assert_eq!((group.announced(), group.live, group.log.len()), (0, 0, 0));
        }
    }
}
