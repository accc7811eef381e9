//! Refreshes (RFC 7313): which marks the table keeps for them, and when a group has told everything
//! again.

use evpn_proto::bgp::attributes::PathAttributes;
use evpn_proto::types::{EthernetTag, Label, MacAddr, Rd, Route, RouteKey, Vni};
use evpn_rib::PeerIdx;
use evpn_rib::attr_store::AttrStore;
use evpn_rib::decision::Source;
use evpn_rib::table::{DestId, Outcome, PeerInfo, Stale, Table, Which};
use evpn_rib::update_group::{Export, UpdateGroup};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

const A: PeerIdx = PeerIdx(1);
const B: PeerIdx = PeerIdx(2);

fn key(n: u8) -> RouteKey {
    let rd = Rd::ipv4(Ipv4Addr::new(10, 0, 0, 1), 100);
    let mac = MacAddr([2, 0, 0, 0, 0, n]);
    RouteKey::MacIp { rd, etag: EthernetTag(0), mac, ip: None }
}

struct Rib {
    table: Table,
    store: AttrStore,
}

fn rib() -> Rib {
    let mut table = Table::default();
    for peer in [A, B] {
        let router_id = Ipv4Addr::new(10, 0, 0, u8::try_from(peer.0).unwrap());
        let (source, address) = (Source::Internal, router_id.into());
        let info = PeerInfo { source, router_id, address, route_reflector_client: false };
        table.set_peer(peer, info);
    }
    Rib { table, store: AttrStore::default() }
}

impl Rib {
    fn announce(&mut self, peer: PeerIdx, n: u8) -> Outcome {
        let attributes = PathAttributes::originated(IpAddr::from([10, 0, 0, 9]));
        let id = self.store.intern(&Arc::new(attributes)).unwrap();
        let route = Route::labelled(key(n), Label::from(Vni::new(100).unwrap()));
        self.table.announce(&mut self.store, peer, route, id, None)
    }
}

fn tell(group: &mut UpdateGroup, table: &mut Table, peer: PeerIdx) {
    let batch = group.next_batch(peer, 100);
    group.advance(table, peer, batch.to);
}

#[test]
fn a_refresh_and_a_restart_do_not_take_each_others_marks() {
    let mut rib = rib();
    rib.announce(A, 1);
    rib.announce(A, 2);
    rib.table.mark_stale(A);
    rib.announce(A, 1);
    rib.announce(B, 1);
    let of = |rib: &Rib, which| rib.table.of_peer(A, which).len();
    rib.table.mark_unrefreshed(A);
    assert_eq!((of(&rib, Which::Stale), of(&rib, Which::Unrefreshed)), (1, 1));
    assert_eq!(rib.table.of_peer(B, Which::Unrefreshed).len(), 0);
    assert_eq!(rib.announce(A, 1), Outcome::Unchanged);
    assert_eq!((of(&rib, Which::Stale), of(&rib, Which::Unrefreshed)), (1, 0));
    rib.table.mark_unrefreshed(A);
    // Of what is stale the restart decides.
    assert_eq!((of(&rib, Which::Unrefreshed), rib.table.counts(A).stale), (1, 1));
    rib.table.mark_stale(A);
    assert_eq!((of(&rib, Which::Stale), of(&rib, Which::Unrefreshed)), (2, 0));
}

/// The counts say at once that there is nothing to look for, so they must never say it of something.
#[test]
fn who_has_paths_to_find_is_counted_to_have_some() {
    let mut rib = rib();
    let mut state = 7u64;
    for _ in 0..20_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let below = |bits: u32, bound: u64| (state >> bits) % bound;
        let peer = if below(33, 2) == 0 { A } else { B };
        let n = u8::try_from(below(40, 3)).unwrap();
        match below(45, 8) {
            0 => drop(rib.table.mark_stale(peer)),
            1 => rib.table.mark_unrefreshed(peer),
            2 => drop(rib.table.withdraw(&mut rib.store, peer, &key(n))),
            3 => {
                let which = [Which::All, Which::Stale, Which::Unrefreshed];
                for id in rib.table.of_peer(peer, which[usize::from(n)]) {
                    rib.table.remove_paths(&mut rib.store, peer, id, which[usize::from(n)]);
                }
            }
            _ => drop(rib.announce(peer, n)),
        }
        let all = |peer| {
            let paths = rib.table.iter().flat_map(|(_, dest)| dest.paths());
            paths.filter(|path| path.peer == peer).copied().collect::<Vec<_>>()
        };
        for peer in [A, B] {
            let found = |which| rib.table.of_peer(peer, which).len();
            let marked = |stale| all(peer).iter().filter(|path| path.stale == stale).count();
            assert_eq!(found(Which::All), all(peer).len());
            assert_eq!(found(Which::Stale), marked(Stale::Yes));
            assert_eq!(found(Which::Unrefreshed), marked(Stale::Unrefreshed));
        }
    }
}

#[test]
fn everything_is_told_again_once_what_changed_meanwhile_is_told_too() {
    let (mut group, mut table) = (UpdateGroup::default(), Table::default());
    group.join(A);
    assert!(group.is_retold(A), "nothing was asked for");
    let local = Export::Announce(PeerIdx::LOCAL);
    for id in [1, 2, 3, 4] {
        group.change(&mut table, DestId(id), local);
    }
    tell(&mut group, &mut table, A);
    group.retell(A);
    assert!(!group.is_retold(A));
    let batch = group.next_batch(A, 2);
    group.advance(&mut table, A, batch.to);
    // 1 has been told again; 3 has not, and goes to the end; 4 ends; 5 is none of the question.
    for (id, export) in [(1, local), (3, Export::Announce(B)), (4, Export::Withdraw), (5, local)] {
        group.change(&mut table, DestId(id), export);
    }
    let mut told = Vec::new();
    while !group.is_retold(A) {
        let batch = group.next_batch(A, 1);
        group.advance(&mut table, A, batch.to);
        told.extend(batch.announce.into_iter().map(|id| id.0));
    }
    assert!(told.contains(&3) && !told.contains(&5), "{told:?}");
    tell(&mut group, &mut table, A);
    assert!(group.is_retold(A) && group.is_current(A));
}

/// Tells a neighbour what it is owed, in at most so many steps.
fn tell_all(group: &mut UpdateGroup, table: &mut Table, peer: PeerIdx) {
    for _ in 0..100 {
        if group.is_current(peer) {
            return;
        }
        let from = group.cursor(peer).unwrap();
        let to = group.next_stretch(from, 10).map(|stretch| stretch.to);
        let to = to.unwrap_or_else(|| group.next_batch(peer, 10).to);
        assert!(to > from, "nothing gets on at {from}");
        group.advance(table, peer, to);
    }
    panic!("never current");
}

#[test]
fn where_everything_has_come_and_gone_nothing_is_told_and_nobody_waits() {
    let (mut group, mut table) = (UpdateGroup::default(), Table::default());
    group.join(A);
    for export in [Export::Announce(PeerIdx::LOCAL), Export::Withdraw] {
        group.change(&mut table, DestId(1), export);
        tell_all(&mut group, &mut table, A);
    }
    // A refresh of nothing, and a neighbour to whom nothing is to be told.
    group.retell(A);
    tell_all(&mut group, &mut table, A);
    assert!(group.is_retold(A));
    group.join(B);
    tell_all(&mut group, &mut table, B);
    assert!(group.is_initial_done(B));
    assert_eq!(group.next_batch(B, 10).to, group.cursor(B).unwrap());
}
