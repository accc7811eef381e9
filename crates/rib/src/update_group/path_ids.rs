//! The paths of a route that a group with path identifiers is told, and by which (RFC 7911).
//!
//! **An identifier names one path of a route for as long as that path is told.** A new path takes the
//! lowest number that no path told now has, so two of them never share one, and numbers never exceed
//! how many paths there were at once, however often they change.
//!
//! A number that is taken again from a path that ended replaces it with whoever was told that one
//! (RFC 7911 section 3). Only the neighbour from which the new path came is not told it: for it the
//! number ends.

use super::{Export, UpdateGroup};
use crate::table::{DestId, PathId, PathKey, Table};
use crate::{Map, PeerIdx};
use smallvec::SmallVec;
use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug)]
struct Numbered {
    path: PathKey,
    id: PathId,
    /// The number was another path's, which the source of this one may have been told.
    ends_at_source: bool,
}

/// The numbers of one route.
#[derive(Debug, Default)]
pub(super) struct PathIds {
    /// Of the paths that are told, in the order of their names.
    now: SmallVec<[Numbered; 2]>,
    /// Those of paths that ended, of which somebody may still have to be told. None is in `now`.
    gone: SmallVec<[PathId; 2]>,
}

impl PathIds {
    /// These paths are told from now on, in the order of their names.
    fn set(&mut self, paths: &[PathKey]) {
        let former = std::mem::take(&mut self.now);
        let (stay, end): (SmallVec<[Numbered; 4]>, SmallVec<[Numbered; 4]>) =
            former.into_iter().partition(|numbered| paths.binary_search(&numbered.path).is_ok());
        self.gone.extend(end.iter().map(|numbered| numbered.id));
        let mut used: SmallVec<[u32; 4]> = stay.iter().map(|numbered| numbered.id.0).collect();
        used.sort_unstable();
        let mut free = (1..=u32::MAX).filter(|id| used.binary_search(id).is_err()).map(PathId);
        for path in paths {
            let known = stay.binary_search_by_key(path, |numbered| numbered.path);
            if let Some(numbered) = known.ok().and_then(|place| stay.get(place)) {
                self.now.push(*numbered);
                continue;
            }
            // There are fewer paths than numbers.
            let Some(id) = free.next() else { continue };
            let ended = self.gone.iter().position(|gone| *gone == id);
            if let Some(place) = ended {
                self.gone.swap_remove(place);
            }
            self.now.push(Numbered { path: *path, id, ends_at_source: ended.is_some() });
        }
    }

    /// Every path that is told, with its number.
    pub(super) fn paths(&self) -> impl Iterator<Item = (PathKey, PathId)> {
        self.now.iter().map(|numbered| (numbered.path, numbered.id))
    }

    /// Numbers that ended for everybody.
    pub(super) fn gone(&self) -> impl Iterator<Item = PathId> {
        self.gone.iter().copied()
    }

    /// Numbers that ended only for the neighbour from which their paths came, with that one.
    pub(super) fn gone_at_source(&self) -> impl Iterator<Item = (PeerIdx, PathId)> {
        let ended = self.now.iter().filter(|numbered| numbered.ends_at_source);
        ended.map(|numbered| (numbered.path.peer, numbered.id))
    }

    /// Whether a number has ended of which somebody may still have to be told.
    pub(super) fn has_ended(&self) -> bool {
        !self.gone.is_empty() || self.gone_at_source().next().is_some()
    }

    /// Everybody has been told of what ended.
    pub(super) fn forget_ended(&mut self) {
        self.gone.clear();
        self.now.iter_mut().for_each(|numbered| numbered.ends_at_source = false);
    }
}

impl UpdateGroup {
    /// Something of a route's paths changed; `paths` are those that concern this group, in the order
    /// of their names.
    pub fn change_paths(&mut self, table: &mut Table, id: DestId, paths: &[PathKey]) {
        let former = self.out(id);
        if paths.is_empty() && former.is_none_or(|former| former.export == Export::Withdraw) {
            return;
        }
        let path_ids = self.paths.entry(id).or_default();
        count(&mut self.from, &mut self.announced, path_ids, |n| n.saturating_sub(1));
        path_ids.set(paths);
        count(&mut self.from, &mut self.announced, path_ids, |n| n.saturating_add(1));
        let export = match paths {
            [] => Export::Withdraw,
            // To whom which is not told stands with each.
            _ => Export::Announce(PeerIdx::LOCAL),
        };
        self.note(table, id, former, export, false);
    }

    /// The numbers under which a neighbour that is current holds paths.
    pub fn numbers_held_by(&self, peer: PeerIdx) -> BTreeSet<(DestId, PathId)> {
        let every = self.paths.iter().flat_map(|(id, ids)| ids.paths().map(move |of| (*id, of)));
        let told = every.filter(|(_, (path, _))| path.peer != peer);
        told.map(|(id, (_, number))| (id, number)).collect()
    }

    /// Whether the group was told of others than these paths of a route.
    pub fn is_otherwise_by_path(&self, id: DestId, paths: &[PathKey]) -> bool {
        match self.paths.get(&id) {
            Some(path_ids) => !path_ids.paths().map(|(path, _)| path).eq(paths.iter().copied()),
            None => !paths.is_empty(),
        }
    }
}

/// Counts the paths in or out: each is one that is told, to all but its source.
fn count(
    from: &mut Map<PeerIdx, usize>,
    announced: &mut usize,
    path_ids: &PathIds,
    by_one: fn(usize) -> usize,
) {
    for (path, _) in path_ids.paths() {
        let of_source = from.entry(path.peer).or_default();
        *of_source = by_one(*of_source);
        *announced = by_one(*announced);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn path(peer: u16, id: Option<u32>) -> PathKey {
        PathKey { peer: PeerIdx(peer), path_id: id.map(PathId) }
    }

    /// As long as a path is told it keeps its number, which no other has; and numbers stay small.
    #[test]
    fn a_number_names_one_path_for_as_long_as_it_is_told() {
        let every: Vec<PathKey> = (0..4)
            .flat_map(|peer| [None, Some(0), Some(u32::MAX)].map(|id| path(peer, id)))
            .collect();
        let mut state = 1u64;
        let mut path_ids = PathIds::default();
        let mut known: BTreeMap<PathKey, PathId> = BTreeMap::new();
        for _ in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let bits = state >> 40;
            let paths: Vec<PathKey> = every
                .iter()
                .zip(0..)
                .filter(|(_, n)| bits >> n & 1 == 1)
                .map(|(p, _)| *p)
                .collect();
            path_ids.set(&paths);
            let now: BTreeMap<PathKey, PathId> = path_ids.paths().collect();
            assert!(now.keys().eq(paths.iter()));
            let mut ids: Vec<PathId> = now.values().copied().chain(path_ids.gone()).collect();
            let all = ids.len();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), all, "each once, and none both told and gone");
            assert!(ids.iter().all(|id| (1..=12).contains(&id.0)), "{ids:?}");
            for (path, id) in &now {
                assert!(known.get(path).is_none_or(|former| former == id), "{path:?}");
            }
            known = now;
            if bits >> 20 == 0 {
                path_ids.forget_ended();
                assert!(!path_ids.has_ended());
            }
        }
    }

    #[test]
    fn a_number_taken_again_ends_where_its_new_path_came_from() {
        let mut path_ids = PathIds::default();
        path_ids.set(&[path(1, None), path(2, None)]);
        assert!(!path_ids.has_ended());
        path_ids.set(&[path(2, None)]);
        assert_eq!(path_ids.gone().collect::<Vec<_>>(), [PathId(1)]);
        path_ids.set(&[path(2, None), path(3, None)]);
        assert_eq!(path_ids.gone().count(), 0);
        assert_eq!(path_ids.gone_at_source().collect::<Vec<_>>(), [(PeerIdx(3), PathId(1))]);
    }

    #[test]
    fn whoever_changes_identifiers_without_end_costs_a_slow_neighbour_nothing() {
        let (mut group, mut table) = (UpdateGroup::default(), Table::default());
        group.join(PeerIdx(9));
        for id in 0..5000 {
            group.change_paths(&mut table, DestId(1), &[path(1, Some(id)), path(2, None)]);
        }
        assert!(group.paths[&DestId(1)].gone.len() <= 1, "{:?}", group.paths);
        assert!(group.paths[&DestId(1)].paths().all(|(_, id)| id.0 <= 3), "{:?}", group.paths);
    }

    /// What a path says.
    type Content = u64;
    /// By route and number: which path it is, which the neighbour does not see, and what it says.
    type Held = BTreeMap<(u32, PathId), (PathKey, Content)>;

    /// What was encoded for all who stand at a cursor.
    #[derive(Clone)]
    struct Encoded {
        from: u64,
        to: u64,
        gone: Vec<(DestId, PathId)>,
        paths: Vec<(DestId, PathId, PathKey, Content)>,
    }

    #[derive(Clone, Default)]
    struct Member {
        held: Held,
        /// Told before it asked for everything again, and not since.
        unrefreshed: Option<BTreeMap<(u32, PathId), PathKey>>,
    }

    struct World {
        group: UpdateGroup,
        table: Table,
        truth: Vec<BTreeMap<PathKey, Content>>,
        members: Vec<Option<Member>>,
        kept: Vec<Encoded>,
    }

    impl World {
        fn encode(
            &self,
            paths: Vec<(DestId, PathKey, PathId)>,
        ) -> Vec<(DestId, PathId, PathKey, Content)> {
            let says = |id: DestId, path: &PathKey| self.truth[id.0 as usize][path];
            paths
                .into_iter()
                .map(|(id, path, number)| (id, number, path, says(id, &path)))
                .collect()
        }

        fn tell_some(&mut self, peer: PeerIdx, at_most: usize) {
            let Some(from) = self.group.cursor(peer) else { return };
            let found = self.kept.iter().find(|kept| kept.from == from).cloned();
            let encoded = found.unwrap_or_else(|| match self.group.next_stretch(from, at_most) {
                Some(stretch) => {
                    assert!(stretch.announce.is_empty() && stretch.withdraw.is_empty());
                    let paths = self.encode(stretch.paths);
                    let encoded = Encoded { from, to: stretch.to, gone: stretch.gone, paths };
                    self.kept.push(encoded.clone());
                    encoded
                }
                None => {
                    let batch = self.group.next_batch(peer, at_most);
                    let paths = self.encode(batch.paths);
                    Encoded { from, to: batch.to, gone: batch.gone, paths }
                }
            });
            self.group.advance(&mut self.table, peer, encoded.to);
            let Some(member) = &mut self.members[usize::from(peer.0)] else { return };
            for (id, number) in encoded.gone {
                member.held.remove(&(id.0, number));
            }
            for (id, number, path, content) in encoded.paths {
                if path.peer != peer {
                    member.held.insert((id.0, number), (path, content));
                    if let Some(unrefreshed) = &mut member.unrefreshed {
                        unrefreshed.remove(&(id.0, number));
                    }
                }
            }
            if self.group.is_retold(peer) {
                // RFC 7313 section 4: what was not told again is dropped, and must have ended.
                for ((id, number), path) in member.unrefreshed.take().unwrap_or_default() {
                    if let Some((now, _)) = member.held.remove(&(id, number)) {
                        let is_told = self.truth[id as usize].contains_key(&now);
                        assert!(!is_told || now != path, "{peer:?}: {path:?}");
                    }
                }
            }
        }

        fn check(&self) {
            for (member, peer) in self.members.iter().zip(0..) {
                let Some(Member { held, .. }) = member else { continue };
                let mut told: Vec<_> = held.iter().map(|((id, _), what)| (*id, *what)).collect();
                told.sort_unstable();
                let all = self.truth.iter().zip(0..).flat_map(|(paths, id): (_, u32)| {
                    paths.iter().map(move |(path, content)| (id, (*path, *content)))
                });
                let wanted: Vec<_> = all.filter(|(_, (path, _))| path.peer.0 != peer).collect();
                assert_eq!(told, wanted, "peer {peer}");
                assert_eq!(self.group.announced_to(PeerIdx(peer)), wanted.len());
            }
        }
    }

    /// Whatever changes, whoever comes and goes or asks for everything again, in whatever portions
    /// they are told, and however old these are: each ends up with the paths of others, each under a
    /// number of its own, with what they say.
    #[test]
    fn everybody_ends_up_with_every_path_that_there_is() {
        const PEERS: u16 = 4;
        const IDS: u32 = 30;
        for seed in 0..30u64 {
            let mut state = seed;
            let mut below = |bound: u64| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 33) % bound
            };
            let mut world = World {
                group: UpdateGroup::default(),
                table: Table::default(),
                truth: vec![BTreeMap::new(); IDS as usize],
                members: vec![None; usize::from(PEERS)],
                kept: Vec::new(),
            };
            for content in 0..8000 {
                // Not every source is a member, and not every member a source.
                let peer = PeerIdx(u16::try_from(below((PEERS + 1).into())).unwrap());
                let at = usize::from(peer.0);
                match below(40) {
                    0 if peer.0 < PEERS => {
                        world.kept.clear();
                        world.group.join(peer);
                        world.members[at] = Some(Member::default());
                    }
                    1 if peer.0 < PEERS => {
                        world.kept.clear();
                        world.group.leave(&mut world.table, peer);
                        world.members[at] = None;
                    }
                    2 if peer.0 < PEERS => {
                        world.kept.clear();
                        world.group.retell(peer);
                        if let Some(member) = &mut world.members[at] {
                            let held = member.held.iter().map(|(key, (path, _))| (*key, *path));
                            member.unrefreshed = Some(held.collect());
                        }
                    }
                    3..=9 => world.tell_some(peer, usize::try_from(1 + below(30)).unwrap()),
                    _ => {
                        let id = u32::try_from(below(IDS.into())).unwrap();
                        let paths = &mut world.truth[id as usize];
                        let path_id = [None, Some(PathId(0)), Some(PathId(7))];
                        let path_id = path_id[usize::try_from(below(3)).unwrap()];
                        let path = PathKey { peer, path_id };
                        match below(3) {
                            0 => drop(paths.remove(&path)),
                            1 => drop(paths.insert(path, content)),
                            _ => paths.retain(|path, _| path.peer != peer),
                        }
                        let paths: Vec<PathKey> = paths.keys().copied().collect();
                        world.group.change_paths(&mut world.table, DestId(id), &paths);
                        assert!(!world.group.is_otherwise_by_path(DestId(id), &paths));
                    }
                }
                assert!(world.group.log.len() <= 2 * IDS as usize + super::super::VOID_MAX + 1);
                assert!(world.group.paths.len() <= IDS as usize);
            }
            for peer in (0..PEERS).map(PeerIdx) {
                while !world.group.is_current(peer) {
                    world.tell_some(peer, 7);
                }
            }
            world.check();
            assert!(world.group.paths.values().all(|ids| !ids.has_ended() && !ids.now.is_empty()));
            world.group.clear(&mut world.table);
            let UpdateGroup { announced, live, log, paths, .. } = &world.group;
            assert_eq!((*announced, *live, log.len(), paths.len()), (0, 0, 0, 0));
        }
    }
}
