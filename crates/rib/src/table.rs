//! Every route with the paths of every neighbour: Adj-RIB-In and Loc-RIB in one.
//!
//! A route ([`Dest`]) is named by its key; its paths are kept together, so that the decision looks
//! at one place, and a withdrawal costs one look-up.
//!
//! **A destination exists while somebody needs it: a path, or a neighbour still to be told of its
//! end** ([`Table::hold`]).

mod overlays;
mod paths;
mod refresh;

use crate::attr_store::{AttrId, AttrStore};
use crate::decision::{self, Candidate, Source, Step};
pub use crate::path::{PathId, PathKey};
use crate::slab::Slab;
use crate::{Map, PeerIdx};
use evpn_proto::types::{Label, Route, RouteKey, Time};
use overlays::{Beside, Overlays};
pub use paths::PATHS_MAX;
use smallvec::SmallVec;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv4Addr};

/// Names a destination.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DestId(pub u32);

/// Why a path does not take part in the decision.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Reject {
    /// RFC 4271 section 9.1.2: our AS is in its AS_PATH.
    AsLoop,
    /// RFC 4456 section 8: its ORIGINATOR_ID is our router id.
    OriginatorLoop,
    /// RFC 4456 section 8: our cluster id is in its CLUSTER_LIST.
    ClusterLoop,
    /// RFC 4271 section 5.1.3: its next hop is one of our addresses.
    OwnNextHop,
    /// RFC 7432 section 7.2: a multicast or all-zero MAC address is no host.
    NotAHost,
    /// RFC 4271 section 9.1.2.1: no connected link leads to its next hop.
    Unreachable,
    /// RFC 7432 section 7.3: the originator of a flood route is a PE, and this is no host's address.
    NotAnOriginator,
    /// RFC 4291 section 2.5.6: what is of a link or of a host alone is nobody's to route.
    NotRoutable,
    /// It would lead the way to a neighbour away from the link that both are on.
    Captures,
    /// RFC 9234 section 5: ONLY_TO_CUSTOMER says that this neighbour should not have told it.
    RouteLeak,
}

impl Reject {
    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::AsLoop => "our own AS is in its AS_PATH",
            Self::OriginatorLoop => "its ORIGINATOR_ID is our router id",
            Self::ClusterLoop => "our cluster id is in its CLUSTER_LIST",
            Self::OwnNextHop => "its next hop is our own address",
            Self::NotAHost => "its MAC address cannot belong to a host",
            Self::Unreachable => "its next hop is on no connected link",
            Self::NotAnOriginator => "its originator's address cannot belong to a host",
            Self::NotRoutable => "its prefix is of a link or of a host alone",
            Self::Captures => "it would lead the way to a neighbor away from the link to it",
            Self::RouteLeak => "it is a route leak by its ONLY_TO_CUSTOMER and the neighbor's role",
        }
    }
}

/// A neighbour's path to a destination. Small: there is one for each route and neighbour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Path {
    /// Its attributes.
    pub attributes: AttrId,
    /// ESI, gateway and path identifier, where it has any.
    beside: Beside,
    /// When it last said something else, in whole seconds of the shell's clock.
    pub changed_at_seconds: u32,
    /// First label.
    pub label1: Label,
    label2: Label,
    /// Whose it is.
    pub peer: PeerIdx,
    /// Why it is left out, if it is.
    pub reject: Option<Reject>,
    /// Kept over the neighbour's restart (RFC 4724 section 4.2).
    pub stale: Stale,
}

const _: () = assert!(size_of::<Path>() <= 24);

/// Whether a path waits for its neighbour to confirm it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stale {
    /// It stands.
    No,
    /// The neighbour restarts; End-of-RIB or a timer ends the wait.
    Yes,
    /// The neighbour tells everything again (RFC 7313 section 4), and this not yet. Forgotten when it
    /// restarts meanwhile: then it is kept as all others are.
    Unrefreshed,
}

impl Path {
    /// Whether it carries an ESI or a gateway beside its key.
    pub const fn has_overlay(&self) -> bool {
        matches!(self.beside, Beside::Overlay(_) | Beside::OverlayAndPathId(_))
    }

    /// Second label.
    pub fn label2(&self) -> Option<Label> {
        Some(self.label2).filter(|l| l.value() != 0)
    }
}

/// The place of no path.
const NONE: u32 = u32::MAX;

/// A destination with its paths.
#[derive(Debug)]
pub struct Dest {
    /// Its name.
    pub key: RouteKey,
    /// Every neighbour's paths, in order of the neighbours and their identifiers.
    paths: SmallVec<[Path; 1]>,
    /// The place of the preferred one among them, or [`NONE`].
    best: u32,
    holders: u16,
}

impl Dest {
    /// The preferred path.
    pub fn best(&self) -> Option<&Path> {
        self.paths.get(usize::try_from(self.best).ok()?)
    }

    /// Every path, in order of the neighbours and their identifiers.
    pub fn paths(&self) -> &[Path] {
        &self.paths
    }
}

/// What the decision has to know of a neighbour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeerInfo {
    /// Local, external or internal.
    pub source: Source,
    /// The neighbour's router id.
    pub router_id: Ipv4Addr,
    /// The neighbour's address.
    pub address: IpAddr,
    /// Whether we reflect its routes to every internal neighbour (RFC 4456).
    pub route_reflector_client: bool,
}

const _: () = assert!(size_of::<Dest>() <= size_of::<RouteKey>() + 48);

/// How many paths a neighbour has in the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PathCounts {
    /// All of them.
    pub held: usize,
    /// Of these, left out by the decision.
    pub rejected: usize,
    /// Of these, kept over the neighbour's restart and not confirmed yet.
    pub stale: usize,
}

/// What came of a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The preferred path is another one, or says something else.
    BestChanged(DestId),
    /// A path changed that is not preferred and was not.
    OthersChanged(DestId),
    /// Nothing that anybody else could see.
    Unchanged,
    /// The neighbour has [`PATHS_MAX`] other paths to the destination, and this one was not taken.
    TooMany,
}

/// The table.
#[derive(Debug, Default)]
pub struct Table {
    dests: Slab<Dest>,
    /// Number and hash of each destination: growing reads no destination.
    index: hashbrown::HashTable<(u32, u32)>,
    overlays: Overlays,
    peers: Map<PeerIdx, PeerInfo>,
    counts: Map<PeerIdx, PathCounts>,
    seconds: u32,
    hasher: foldhash::fast::FixedState,
}

impl Table {
    /// What time it is: the age of paths is counted from it.
    pub fn set_time(&mut self, now: Time) {
        // 136 years of seconds.
        self.seconds = u32::try_from(now.as_nanos() / 1_000_000_000).unwrap_or(u32::MAX);
    }

    /// How many paths a neighbour has here.
    pub fn counts(&self, peer: PeerIdx) -> PathCounts {
        self.counts.get(&peer).copied().unwrap_or_default()
    }

    /// Tells who a neighbour is; before its first path, and again when that changes.
    pub fn set_peer(&mut self, peer: PeerIdx, info: PeerInfo) {
        self.peers.insert(peer, info);
    }

    /// A neighbour without paths is gone, and its number may be another's.
    pub fn forget_peer(&mut self, peer: PeerIdx) {
        self.peers.remove(&peer);
        self.counts.remove(&peer);
    }

    /// Who a neighbour is.
    pub fn peer(&self, peer: PeerIdx) -> Option<&PeerInfo> {
        self.peers.get(&peer)
    }

    /// Finds a destination.
    pub fn find(&self, key: &RouteKey) -> Option<DestId> {
        let hash = self.hash(key);
        let same = |(id, of): &(u32, u32)| {
            *of == hash && self.dests.get(*id).is_some_and(|d| d.key == *key)
        };
        self.index.find(spread(hash), same).map(|(id, _)| DestId(*id))
    }

    /// The destination.
    pub fn get(&self, id: DestId) -> Option<&Dest> {
        self.dests.get(id.0)
    }

    /// Every destination, by ascending number.
    pub fn iter(&self) -> impl Iterator<Item = (DestId, &Dest)> {
        self.dests.iter().map(|(id, dest)| (DestId(id), dest))
    }

    /// How many destinations there are.
    pub fn len(&self) -> usize {
        self.dests.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.dests.is_empty()
    }

    /// The route as `path` announces it, ready to be sent on.
    pub fn route(&self, dest: &Dest, path: &Path) -> Route {
        let (esi, gateway) = self.overlays.of(path.beside);
        let key = dest.key.clone();
        Route { key, esi, gateway, label1: path.label1, label2: path.label2() }
    }

    /// What names a path within its destination.
    pub fn path_key(&self, path: &Path) -> PathKey {
        self.overlays.path_key(path)
    }

    /// The path of a name.
    pub fn path(&self, id: DestId, key: PathKey) -> Option<&Path> {
        let paths = &self.dests.get(id.0)?.paths;
        paths.get(self.overlays.place(paths, key).ok()?)
    }

    /// Marks every path of a neighbour as stale, so that forwarding goes on while it restarts.
    pub fn mark_stale(&mut self, peer: PeerIdx) -> usize {
        let stale = self.paths_of_mut(peer).map(|p| p.stale = Stale::Yes).count();
        self.counts.entry(peer).or_default().stale = stale;
        stale
    }

    fn paths_of_mut(&mut self, peer: PeerIdx) -> impl Iterator<Item = &mut Path> {
        // As in `of_peer`: who has no route must not have us look at those of all others.
        let has_some = self.counts(peer).held > 0;
        let dests = has_some.then(|| self.dests.iter_mut()).into_iter().flatten();
        dests.flat_map(|dest| dest.paths.iter_mut()).filter(move |path| path.peer == peer)
    }

    /// The destinations of a neighbour's paths, or of some of them.
    pub fn of_peer(&self, peer: PeerIdx, which: Which) -> Vec<DestId> {
        let counts = self.counts(peer);
        // Whoever comes and goes without a route must not have us look at those of all others.
        if counts.held == 0 || (which == Which::Stale && counts.stale == 0) {
            return Vec::new();
        }
        let wanted = |path: &Path| which.takes(peer, path);
        self.iter().filter(|(_, d)| d.paths.iter().any(wanted)).map(|(id, _)| id).collect()
    }

    fn hash(&self, key: &RouteKey) -> u32 {
        let [a, b, c, d, ..] = self.hasher.hash_one(key).to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }

    fn find_or_insert(&mut self, key: RouteKey) -> Option<DestId> {
        let hash = self.hash(&key);
        let dests = &self.dests;
        let same =
            |(id, of): &(u32, u32)| *of == hash && dests.get(*id).is_some_and(|d| d.key == key);
        if let Some((id, _)) = self.index.find(spread(hash), same) {
            return Some(DestId(*id));
        }
        let dest = Dest { key, paths: SmallVec::new(), best: NONE, holders: 0 };
        let id = self.dests.insert(dest)?;
        self.index.insert_unique(spread(hash), (id, hash), |(_, hash)| spread(*hash));
        Some(DestId(id))
    }

    /// Decides anew. `former` was the best path, and `touched` says something else than before: if
    /// it is the best, what others see has changed even if the best path is still the same.
    fn decide(
        &mut self,
        store: &AttrStore,
        id: DestId,
        former: Option<PathKey>,
        touched: Option<PathKey>,
    ) -> Outcome {
        let Some(dest) = self.dests.get(id.0) else { return Outcome::Unchanged };
        let best = match dest.paths.as_slice() {
            [only] => Some(0).filter(|_| only.reject.is_none()),
            paths => self.best_of(store, paths, |_| true),
        };
        let overlays = &self.overlays;
        let Some(dest) = self.dests.get_mut(id.0) else { return Outcome::Unchanged };
        dest.best = best.and_then(|place| u32::try_from(place).ok()).unwrap_or(NONE);
        let best = dest.best().map(|best| overlays.path_key(best));
        if former != best || (best.is_some() && best == touched) {
            return Outcome::BestChanged(id);
        }
        self.collect(id);
        if self.dests.get(id.0).is_some() {
            return Outcome::OthersChanged(id);
        }
        Outcome::Unchanged
    }

    /// The paths that may carry traffic beside the preferred one, it among them, in the order of the
    /// neighbours: those that cost the same by the steps before the tie-breaks.
    pub fn multipath<'a>(&'a self, store: &'a AttrStore, dest: &'a Dest) -> Vec<&'a Path> {
        let Some(best) = dest.best() else { return Vec::new() };
        let Some(preferred) = self.candidate(store, best) else { return Vec::new() };
        let equal = |path: &&Path| {
            path.reject.is_none()
                && self
                    .candidate(store, path)
                    .is_some_and(|other| preferred.compare_cost(&other).0.is_eq())
        };
        dest.paths.iter().filter(equal).collect()
    }

    /// The preferred path of some.
    pub fn best_among<'a>(
        &self,
        store: &AttrStore,
        dest: &'a Dest,
        among: impl Fn(&Path) -> bool,
    ) -> Option<&'a Path> {
        dest.paths.get(self.best_of(store, &dest.paths, among)?)
    }

    /// The place of the preferred path, of some.
    fn best_of(
        &self,
        store: &AttrStore,
        paths: &[Path],
        among: impl Fn(&Path) -> bool,
    ) -> Option<usize> {
        let takes_part = |path: &Path| path.reject.is_none() && among(path);
        let (places, candidates): (SmallVec<[usize; 4]>, SmallVec<[Candidate<'_>; 4]>) = paths
            .iter()
            .enumerate()
            .filter(|(_, path)| takes_part(path))
            .filter_map(|(place, path)| Some((place, self.candidate(store, path)?)))
            .unzip();
        decision::best(&candidates).and_then(|i| places.get(i)).copied()
    }

    /// The path as the decision sees it.
    pub fn candidate<'a>(&self, store: &'a AttrStore, path: &Path) -> Option<Candidate<'a>> {
        let &PeerInfo { source, router_id, address, .. } = self.peers.get(&path.peer)?;
        let key = store.decision_key(path.attributes)?;
        let path_id = self.path_key(path).path_id;
        Some(Candidate { key, source, router_id, peer: address, path_id })
    }

    /// The step at which the best path beat `loser`.
    pub fn beaten_by(&self, store: &AttrStore, dest: &Dest, loser: &Path) -> Option<Step> {
        let best = self.candidate(store, dest.best()?)?;
        Some(best.compare(&self.candidate(store, loser)?).1)
    }

    /// Keeps the destination, even without paths, until [`Table::let_go`].
    pub fn hold(&mut self, id: DestId) {
        if let Some(dest) = self.dests.get_mut(id.0) {
            dest.holders = dest.holders.saturating_add(1);
        }
    }

    /// Ends a [`Table::hold`].
    pub fn let_go(&mut self, id: DestId) {
        if let Some(dest) = self.dests.get_mut(id.0) {
            dest.holders = dest.holders.saturating_sub(1);
        }
        self.collect(id);
    }

    /// Forgets the destination if nobody needs it. To be called when a change of its best path has
    /// been dealt with.
    pub fn collect(&mut self, id: DestId) {
        let Some(dest) = self.dests.get(id.0) else { return };
        if !dest.paths.is_empty() || dest.holders > 0 {
            return;
        }
        let hash = spread(self.hash(&dest.key));
        if let Ok(entry) = self.index.find_entry(hash, |(other, _)| *other == id.0) {
            entry.remove();
        }
        self.dests.remove(id.0);
    }
}

/// Half a hash as a whole: tables look at its upper bits too.
const fn spread(half: u32) -> u64 {
    ((half as u64) << 32) | half as u64
}

/// Which of a neighbour's paths.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    /// Every one.
    All,
    /// Those not confirmed since its restart.
    Stale,
    /// Those not told again since it began to tell everything again.
    Unrefreshed,
}

impl Which {
    fn takes(self, peer: PeerIdx, path: &Path) -> bool {
        match self {
            _ if path.peer != peer => false,
            Self::All => true,
            Self::Stale => path.stale == Stale::Yes,
            Self::Unrefreshed => path.stale == Stale::Unrefreshed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evpn_proto::bgp::attributes::PathAttributes;
    use evpn_proto::types::{EthernetTag, MacAddr, Rd, Vni};
    use std::sync::Arc;

    fn key(n: u8) -> RouteKey {
        let rd = Rd::ipv4(Ipv4Addr::new(10, 0, 0, 1), 100);
        let mac = MacAddr([2, 0, 0, 0, 0, n]);
        RouteKey::MacIp { rd, etag: EthernetTag(0), mac, ip: None }
    }

    fn route(n: u8) -> Route {
        Route::labelled(key(n), Label::from(Vni::new(100).unwrap()))
    }

    struct Rib {
        table: Table,
        store: AttrStore,
    }

    fn rib() -> Rib {
        let mut table = Table::default();
        for n in 1..=2u8 {
            let address = Ipv4Addr::new(10, 0, 0, n);
            let info = PeerInfo {
                source: Source::Internal,
                router_id: address,
                address: address.into(),
                route_reflector_client: false,
            };
            table.set_peer(PeerIdx(n.into()), info);
        }
        Rib { table, store: AttrStore::default() }
    }

    impl Rib {
        fn announce(&mut self, peer: u16, n: u8, local_pref: u32) -> Outcome {
            let mut attributes = PathAttributes::originated(IpAddr::from([10, 0, 0, 9]));
            attributes.local_pref = Some(local_pref);
            let id = self.store.intern(&Arc::new(attributes)).unwrap();
            self.table.announce(&mut self.store, PeerIdx(peer), route(n), id, None)
        }
    }

    #[test]
    fn the_same_announcement_again_changes_nothing_and_leaks_nothing() {
        let mut rib = rib();
        assert!(matches!(rib.announce(1, 1, 100), Outcome::BestChanged(_)));
        assert_eq!(rib.announce(1, 1, 100), Outcome::Unchanged);
        assert_eq!((rib.table.len(), rib.store.len()), (1, 1));
        assert!(matches!(rib.announce(1, 1, 200), Outcome::BestChanged(_)));
        assert_eq!(rib.store.len(), 1);
    }

    #[test]
    fn the_best_path_follows_announcements_and_withdrawals() {
        let mut rib = rib();
        rib.announce(1, 1, 100);
        let Outcome::BestChanged(id) = rib.announce(2, 1, 200) else { panic!("not best") };
        assert_eq!(rib.table.get(id).unwrap().best().unwrap().peer, PeerIdx(2));
        assert!(matches!(rib.announce(1, 1, 50), Outcome::OthersChanged(_)));
        let outcome = rib.table.withdraw(&mut rib.store, PeerIdx(2), &key(1));
        assert_eq!(outcome, Outcome::BestChanged(id));
        assert_eq!(rib.table.get(id).unwrap().best().unwrap().peer, PeerIdx(1));
        rib.table.withdraw(&mut rib.store, PeerIdx(1), &key(1));
        rib.table.collect(id);
        assert_eq!((rib.table.len(), rib.store.len()), (0, 0));
    }

    #[test]
    fn a_destination_without_paths_stays_while_it_is_held() {
        let mut rib = rib();
        let Outcome::BestChanged(id) = rib.announce(1, 1, 100) else { panic!("not best") };
        rib.table.hold(id);
        rib.table.withdraw(&mut rib.store, PeerIdx(1), &key(1));
        rib.table.collect(id);
        assert_eq!(rib.table.find(&key(1)), Some(id));
        rib.table.let_go(id);
        assert_eq!(rib.table.find(&key(1)), None);
    }

    #[test]
    fn stale_paths_are_found_until_confirmed() {
        let mut rib = rib();
        rib.announce(1, 1, 100);
        rib.announce(1, 2, 100);
        assert_eq!(rib.table.mark_stale(PeerIdx(1)), 2);
        assert_eq!(rib.announce(1, 1, 100), Outcome::Unchanged);
        assert_eq!(rib.table.of_peer(PeerIdx(1), Which::Stale).len(), 1);
    }

    #[test]
    fn the_counts_are_those_of_the_table() {
        let mut rib = rib();
        rib.announce(1, 1, 100);
        rib.announce(1, 2, 100);
        rib.announce(2, 1, 100);
        rib.announce(1, 1, 50);
        rib.table.mark_stale(PeerIdx(1));
        rib.announce(1, 1, 50);
        let counts = PathCounts { held: 2, rejected: 0, stale: 1 };
        assert_eq!(rib.table.counts(PeerIdx(1)), counts);
        for id in rib.table.of_peer(PeerIdx(1), Which::All) {
            rib.table.remove_paths(&mut rib.store, PeerIdx(1), id, Which::All);
        }
        assert_eq!(rib.table.counts(PeerIdx(1)), PathCounts::default());
        assert_eq!(rib.table.counts(PeerIdx(2)).held, 1);
    }

    #[test]
    fn a_path_is_as_old_as_what_it_says() {
        let mut rib = rib();
        let mut said_at = |seconds: u64, local_pref| {
            rib.table.set_time(Time::from_nanos(seconds * 1_000_000_000));
            rib.announce(1, 1, local_pref);
            let id = rib.table.find(&key(1)).unwrap();
            rib.table.get(id).unwrap().paths()[0].changed_at_seconds
        };
        assert_eq!([said_at(5, 100), said_at(9, 100), said_at(12, 50)], [5, 5, 12]);
    }
}
