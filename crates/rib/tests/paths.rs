//! Several paths of one neighbour (RFC 7911): **the table holds what a map from neighbour and
//! identifier to path would, prefers what sorting would put first, and says of each change what
//! others can see of it.**

use evpn_proto::bgp::attributes::PathAttributes;
use evpn_proto::types::{Esi, EthernetTag, Label, Rd, Route, RouteKey, Vni};
use evpn_rib::PeerIdx;
use evpn_rib::attr_store::AttrStore;
use evpn_rib::decision::{Source, Step};
use evpn_rib::table::{
    Outcome, PATHS_MAX, PathCounts, PathId, PathKey, PeerInfo, Reject, Stale, Table, Which,
};
use proptest::prelude::*;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

const PEERS: u16 = 3;
const DESTS: u8 = 3;

fn key(n: u8) -> RouteKey {
    let rd = Rd::ipv4(Ipv4Addr::new(10, 0, 0, 1), 100);
    let prefix = format!("192.0.2.{n}/32").parse().unwrap();
    RouteKey::IpPrefix { rd, etag: EthernetTag(0), prefix }
}

/// What a path says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Said {
    local_pref: u32,
    med: u32,
    esi: u8,
    reject: Option<Reject>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Held {
    said: Said,
    stale: Stale,
}

#[derive(Clone, Debug)]
enum Op {
    Announce(PathKey, u8, Said),
    Withdraw(PathKey, u8),
    Reject(PathKey, u8, Option<Reject>),
    MarkStale(PeerIdx),
    MarkUnrefreshed(PeerIdx),
    Drop(PeerIdx, Which),
}

fn any_path() -> impl Strategy<Value = PathKey> {
    let path_id = prop_oneof![
        Just(None),
        prop_oneof![Just(0), 1..4_u32, Just(u32::MAX)].prop_map(|id| Some(PathId(id))),
    ];
    (0..PEERS, path_id).prop_map(|(peer, path_id)| PathKey { peer: PeerIdx(peer), path_id })
}

fn any_reject() -> impl Strategy<Value = Option<Reject>> {
    prop_oneof![3 => Just(None), 1 => Just(Some(Reject::Unreachable))]
}

fn any_op() -> impl Strategy<Value = Op> {
    let peer = || (0..PEERS).prop_map(PeerIdx);
    let said = (100..102_u32, 0..2_u32, 0..2_u8, any_reject())
        .prop_map(|(local_pref, med, esi, reject)| Said { local_pref, med, esi, reject });
    let which = prop_oneof![Just(Which::All), Just(Which::Stale), Just(Which::Unrefreshed)];
    prop_oneof![
        12 => (any_path(), 0..DESTS, said).prop_map(|(p, n, said)| Op::Announce(p, n, said)),
        6 => (any_path(), 0..DESTS).prop_map(|(path, n)| Op::Withdraw(path, n)),
        3 => (any_path(), 0..DESTS, any_reject()).prop_map(|(p, n, r)| Op::Reject(p, n, r)),
        1 => peer().prop_map(Op::MarkStale),
        1 => peer().prop_map(Op::MarkUnrefreshed),
        2 => (peer(), which).prop_map(|(peer, which)| Op::Drop(peer, which)),
    ]
}

/// The oracle: all that was said, by destination, neighbour and identifier.
type Oracle = BTreeMap<u8, BTreeMap<PathKey, Held>>;

struct Rib {
    table: Table,
    store: AttrStore,
    oracle: Oracle,
}

fn rib() -> Rib {
    let mut table = Table::default();
    for n in 0..PEERS {
        let router_id = Ipv4Addr::new(10, 0, 0, u8::try_from(n + 1).unwrap());
        let (source, address) = (Source::Internal, router_id.into());
        let info = PeerInfo { source, router_id, address, route_reflector_client: false };
        table.set_peer(PeerIdx(n), info);
    }
    Rib { table, store: AttrStore::default(), oracle: (0..DESTS).map(|n| (n, [].into())).collect() }
}

/// Less is better, by all that counts before the tie-breaks.
fn cost(said: &Said) -> (Reverse<u32>, u32) {
    (Reverse(said.local_pref), said.med)
}

fn best_of(paths: &BTreeMap<PathKey, Held>, beside: Option<PeerIdx>) -> Option<PathKey> {
    let eligible =
        paths.iter().filter(|(key, held)| held.said.reject.is_none() && Some(key.peer) != beside);
    eligible.min_by_key(|(key, held)| (cost(&held.said), **key)).map(|(key, _)| *key)
}

impl Rib {
    fn announce(&mut self, path: PathKey, n: u8, said: Said) -> Outcome {
        let mut attributes = PathAttributes::originated(IpAddr::from([10, 0, 0, 9]));
        (attributes.local_pref, attributes.med) = (Some(said.local_pref), Some(said.med));
        let id = self.store.intern(&Arc::new(attributes)).unwrap();
        let mut route = Route::labelled(key(n), Label::from(Vni::new(100).unwrap()));
        route.esi = Esi([said.esi; 10]);
        self.table.announce(&mut self.store, path, route, id, said.reject)
    }

    /// What the table says of a change that left `before` behind.
    fn check_outcome(&mut self, n: u8, before: &BTreeMap<PathKey, Held>, outcome: Outcome) {
        let after = &self.oracle[&n];
        let said = |paths: &BTreeMap<PathKey, Held>| -> BTreeMap<PathKey, Said> {
            paths.iter().map(|(key, held)| (*key, held.said)).collect()
        };
        let best = |paths| best_of(paths, None).map(|key| (key, paths[&key].said));
        let id = self.table.find(&key(n));
        // A rejected path's reason counts for the one that it is of.
        let wanted = if best(before) != best(after) {
            Outcome::BestChanged(id.unwrap())
        } else if said(before) != said(after) && id.is_some() {
            Outcome::OthersChanged(id.unwrap())
        } else {
            Outcome::Unchanged
        };
        assert_eq!(outcome, wanted, "{before:?} to {after:?}");
        if let Outcome::BestChanged(id) = outcome {
            self.table.collect(id);
        }
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Announce(path, n, said) => {
                let before = self.oracle[&n].clone();
                let outcome = self.announce(path, n, said);
                let held = Held { said, stale: Stale::No };
                self.oracle.get_mut(&n).unwrap().insert(path, held);
                self.check_outcome(n, &before, outcome);
            }
            Op::Withdraw(path, n) => {
                let before = self.oracle[&n].clone();
                let outcome = self.table.withdraw(&mut self.store, path, &key(n));
                self.oracle.get_mut(&n).unwrap().remove(&path);
                self.check_outcome(n, &before, outcome);
            }
            Op::Reject(path, n, reject) => {
                let Some(id) = self.table.find(&key(n)) else { return };
                let before = self.oracle[&n].clone();
                let outcome = self.table.set_reject(&self.store, path, id, reject);
                if let Some(held) = self.oracle.get_mut(&n).unwrap().get_mut(&path) {
                    held.said.reject = reject;
                }
                self.check_outcome(n, &before, outcome);
            }
            Op::MarkStale(peer) => {
                let marked = self.table.mark_stale(peer);
                let all = self.oracle.values_mut().flat_map(|paths| paths.iter_mut());
                let of_peer = all.filter(|(key, _)| key.peer == peer);
                assert_eq!(marked, of_peer.map(|(_, held)| held.stale = Stale::Yes).count());
            }
            Op::MarkUnrefreshed(peer) => {
                self.table.mark_unrefreshed(peer);
                let all = self.oracle.values_mut().flat_map(|paths| paths.iter_mut());
                for (_, held) in all.filter(|(key, _)| key.peer == peer) {
                    if held.stale == Stale::No {
                        held.stale = Stale::Unrefreshed;
                    }
                }
            }
            Op::Drop(peer, which) => self.drop_paths(peer, which),
        }
    }

    fn drop_paths(&mut self, peer: PeerIdx, which: Which) {
        let goes = |key: &PathKey, held: &Held| {
            key.peer == peer
                && match which {
                    Which::All => true,
                    Which::Stale => held.stale == Stale::Yes,
                    Which::Unrefreshed => held.stale == Stale::Unrefreshed,
                }
        };
        let ids = self.table.of_peer(peer, which);
        for n in 0..DESTS {
            let before = self.oracle[&n].clone();
            let id = self.table.find(&key(n));
            self.oracle.get_mut(&n).unwrap().retain(|key, held| !goes(key, held));
            let is_among = id.is_some_and(|id| ids.contains(&id));
            assert_eq!(is_among, before != self.oracle[&n]);
            if let Some(id) = id.filter(|_| is_among) {
                let outcome = self.table.remove_paths(&mut self.store, peer, id, which);
                self.check_outcome(n, &before, outcome);
            }
        }
    }

    fn check(&self) {
        for (n, wanted) in &self.oracle {
            let Some(id) = self.table.find(&key(*n)) else {
                assert!(wanted.is_empty());
                continue;
            };
            let dest = self.table.get(id).unwrap();
            let named = |path| self.table.path_key(path);
            let keys: Vec<PathKey> = dest.paths().iter().map(named).collect();
            assert_eq!(keys, wanted.keys().copied().collect::<Vec<_>>());
            for (key, held) in wanted {
                let path = self.table.path(id, *key).unwrap();
                let attributes = self.store.get(path.attributes).unwrap();
                let said = Said {
                    local_pref: attributes.local_pref.unwrap(),
                    med: attributes.med.unwrap(),
                    esi: self.table.route(dest, path).esi.0[0],
                    reject: path.reject,
                };
                assert_eq!(Held { said, stale: path.stale }, *held);
                assert_eq!(path.has_overlay(), said.esi != 0);
            }
            let best = best_of(wanted, None);
            assert_eq!(dest.best().map(named), best);
            let ways: Vec<PathKey> =
                self.table.multipath(&self.store, dest).into_iter().map(named).collect();
            let equal = wanted.iter().filter(|(_, held)| {
                held.said.reject.is_none()
                    && best.is_some_and(|best| cost(&wanted[&best].said) == cost(&held.said))
            });
            assert_eq!(ways, equal.map(|(key, _)| *key).collect::<Vec<_>>());
            for peer in (0..PEERS).map(PeerIdx) {
                let beside =
                    self.table.best_among(&self.store, dest, |path| path.peer != peer).map(named);
                assert_eq!(beside, best_of(wanted, Some(peer)));
            }
        }
        for peer in (0..PEERS).map(PeerIdx) {
            let all = self.oracle.values().flatten().filter(|(key, _)| key.peer == peer);
            let mut counts = PathCounts::default();
            for (_, held) in all {
                counts.held += 1;
                counts.rejected += usize::from(held.said.reject.is_some());
                counts.stale += usize::from(held.stale == Stale::Yes);
            }
            assert_eq!(self.table.counts(peer), counts);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_table_holds_what_a_map_would(ops in prop::collection::vec(any_op(), 1..120)) {
        let mut rib = rib();
        for op in ops {
            rib.apply(op);
            rib.check();
        }
        for peer in (0..PEERS).map(PeerIdx) {
            rib.drop_paths(peer, Which::All);
        }
        prop_assert_eq!((rib.table.len(), rib.store.len()), (0, 0));
    }
}

const PLAIN: Said = Said { local_pref: 100, med: 0, esi: 0, reject: None };

#[test]
fn of_equal_paths_of_one_neighbour_the_lower_identifier_is_preferred() {
    let mut rib = rib();
    let path = |id| PathKey { peer: PeerIdx(1), path_id: Some(PathId(id)) };
    for id in [7, 0, u32::MAX] {
        rib.announce(path(id), 1, PLAIN);
    }
    let dest = rib.table.get(rib.table.find(&key(1)).unwrap()).unwrap();
    assert_eq!(rib.table.path_key(dest.best().unwrap()), path(0));
    let step = rib.table.beaten_by(&rib.store, dest, &dest.paths()[2]);
    assert_eq!(step, Some(Step::PathId));
}

#[test]
fn a_neighbour_has_so_many_paths_to_a_destination_and_no_more() {
    let mut rib = rib();
    let path = |id: usize| {
        let path_id = Some(PathId(u32::try_from(id).unwrap()));
        PathKey { peer: PeerIdx(1), path_id }
    };
    for id in 0..PATHS_MAX {
        assert_ne!(rib.announce(path(id), 1, PLAIN), Outcome::TooMany);
    }
    assert_eq!(rib.announce(path(PATHS_MAX), 1, PLAIN), Outcome::TooMany);
    assert_eq!(rib.table.counts(PeerIdx(1)).held, PATHS_MAX);
    assert_eq!(rib.store.len(), 1);
    // What it has it may change, and others are not concerned.
    let worse = Said { local_pref: 50, ..PLAIN };
    assert!(matches!(rib.announce(path(0), 1, worse), Outcome::BestChanged(_)));
    assert!(matches!(rib.announce(PeerIdx(2).into(), 1, PLAIN), Outcome::OthersChanged(_)));
    rib.table.withdraw(&mut rib.store, path(9), &key(1));
    assert_ne!(rib.announce(path(PATHS_MAX), 1, PLAIN), Outcome::TooMany);
}
