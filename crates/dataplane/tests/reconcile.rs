//! What the reconciler does to a kernel, rule by rule.

mod common;
use common::*;
use evpn_dataplane::difference::Reason;
use evpn_dataplane::fake::{Kernel, failure};
use evpn_dataplane::object::*;
use evpn_dataplane::observe::{MacState, NexthopSpec, Observation, SeenRoute};
use evpn_dataplane::op::{Birth, ErrorClass, Halves, Op};
use evpn_proto::types::Time;

fn has(kernel: &Kernel, what: impl Fn(&Observation) -> bool) -> bool {
    kernel.dump().iter().any(what)
}

fn fdb_target(kernel: &Kernel, n: u32) -> Option<FdbTarget> {
    kernel.dump().into_iter().find_map(|seen| match seen {
        Observation::VxlanMac { key: k, to, .. } if k == key(n) => Some(to),
        _ => None,
    })
}

fn route_via(kernel: &Kernel, n: u8) -> Vec<(u32, Option<NexthopId>)> {
    let routes = kernel.dump().into_iter().filter_map(|seen| match seen {
        Observation::Route(SeenRoute { key, metric, nexthop, .. }) if key == prefix(n) => {
            Some((metric, nexthop))
        }
        _ => None,
    });
    routes.collect()
}

#[test]
fn adopt_writes_nothing() {
    let mut b = Bench::adopting(kernel());
    b.want(fdb(1, 2));
    assert_eq!(b.run(), 0);
    b.r.set_mode(Mode::Grow);
    assert_eq!(b.run(), 1);
}

#[test]
fn nothing_is_written_before_the_first_dump_is_complete() {
    let mut kernel = kernel();
    let mut r = evpn_dataplane::reconciler::Reconciler::new(Default::default(), 1);
    r.set_mode(Mode::Grow);
    r.want(fdb(1, 2), ALL);
    let mut ops = Vec::new();
    kernel.tell(&mut r);
    r.plan(Time::ZERO, 10, &mut ops);
    assert_eq!(ops, []);
    kernel.audit(&mut r);
    r.plan(Time::ZERO, 10, &mut ops);
    assert_eq!(ops, [Op::Fdb { key: key(1), to: to(2) }]);
}

#[test]
fn one_write_sets_both_halves_and_a_repeated_wish_writes_nothing() {
    let mut b = Bench::new(Mode::Steady);
    b.want(fdb(1, 2));
    assert_eq!(b.run(), 1);
    b.want(fdb(1, 2));
    assert_eq!(b.run(), 0);
    b.want(fdb(1, 3));
    assert_eq!(b.run(), 1);
    assert_eq!(fdb_target(&b.kernel, 1), Some(to(3)));
    b.want(no_fdb(1));
    assert_eq!(b.run(), 1);
    assert_eq!(fdb_target(&b.kernel, 1), None);
    b.assert_no_difference();
}

#[test]
fn grow_keeps_what_is_stale_and_deletes_what_is_withdrawn() {
    let mut b = Bench::new(Mode::Steady);
    (1..=3).for_each(|n| b.want(fdb(n, 2)));
    b.run();
    b.restart();
    b.r.set_mode(Mode::Grow);
    b.want(fdb(1, 2));
    b.want(fdb(4, 2));
    // Never wanted in this run: stale, whatever is said of it.
    b.want(no_fdb(2));
    assert_eq!(b.run(), 1, "only the new one is written");
    b.want(no_fdb(4));
    assert_eq!(b.run(), 1, "a withdraw is obeyed at once");
    assert_eq!(fdb_target(&b.kernel, 2), Some(to(2)));
    assert_eq!(b.r.differences(9).first[0].reason, Reason::Stale);
    b.r.set_mode(Mode::Sweep);
    b.settle();
    assert_eq!(fdb_target(&b.kernel, 1), Some(to(2)));
    assert_eq!(fdb_target(&b.kernel, 2), None);
    assert_eq!(fdb_target(&b.kernel, 3), None);
    assert_eq!(b.r.counters().swept, 2);
    b.assert_no_difference();
}

#[test]
fn a_sweep_is_rate_limited_and_can_be_held() {
    let mut b = Bench::new(Mode::Steady);
    (0..1000).for_each(|n| b.want(fdb(n, 2)));
    b.run();
    b.restart();
    b.r.hold_sweep(Some("another EVPN daemon is at work".to_owned()));
    b.r.set_mode(Mode::Sweep);
    assert_eq!(b.run(), 0);
    assert_eq!(b.r.next_deadline(), None);
    b.r.hold_sweep(None);
    assert_eq!(b.run(), 256);
    assert_eq!(b.run(), 0, "not before its time");
    b.now = b.r.next_deadline().unwrap();
    assert_eq!(b.run(), 256);
    b.settle();
    b.assert_no_difference();
}

#[test]
fn only_managed_devices_are_swept_and_foreign_objects_never() {
    let mut k = kernel();
    k.add_bridge(30, "br30");
    k.add_vxlan(31, "vx30", 30, evpn_proto::types::Vni::new(30).unwrap());
    let theirs = FdbKey { device: IfIndex(31), mac: mac(1) };
    k.other_vxlan_mac(theirs, to(9), MacState::External);
    k.other_vxlan_mac(key(1), to(9), MacState::Static);
    k.other_flood(FloodKey { device: VXLAN, vtep: vtep(9) }, false);
    let foreign = Nexthop { gateway: vtep(9), device: L3_BRIDGE };
    k.other_nexthop(NexthopId(5), NexthopSpec::Routed(foreign), 11);
    k.other_nexthop(id(5), NexthopSpec::Routed(foreign), 11);
    k.other_vxlan_mac(key(2), to(9), MacState::External);
    let mut b = Bench::adopting(k);
    b.r.set_mode(Mode::Steady);
    b.want(fdb(1, 2));
    b.settle();
    assert_eq!(fdb_target(&b.kernel, 1), Some(to(9)), "the operator's entry stays");
    assert_eq!(fdb_target(&b.kernel, 2), None, "what carries our mark on our device goes");
    assert!(has(&b.kernel, |s| matches!(s, Observation::VxlanMac { key, .. } if *key == theirs)));
    assert!(has(&b.kernel, |s| matches!(s, Observation::Flood { .. })));
    assert!(has(&b.kernel, |s| matches!(s, Observation::Nexthop { id: i, .. } if *i == id(5))));
    assert_eq!(b.r.differences(9).first[0].reason, Reason::Foreign);
    b.kernel.other_vxlan_delete(key(1));
    b.settle();
    assert_eq!(fdb_target(&b.kernel, 1), Some(to(2)), "and gives way once it is gone");
}

#[test]
fn conversion_between_vtep_and_group_is_delete_and_add() {
    let mut b = Bench::new(Mode::Steady);
    b.want(Change::FdbNexthop(id(1), Some(vtep(1))));
    b.want(Change::FdbNexthop(id(2), Some(vtep(2))));
    b.want(Change::FdbGroup(id(3), Some(group(&[(1, 1), (2, 1)]))));
    b.want(fdb(1, 2));
    b.run();
    b.kernel.take_log();
    let entry = FdbEntry { to: FdbTarget::Group(id(3)), sticky: false };
    b.want(Change::Fdb(key(1), Some(entry)));
    b.run();
    let delete = Op::FdbDelete { key: key(1), halves: Halves::Vxlan };
    let add = Op::Fdb { key: key(1), to: FdbTarget::Group(id(3)) };
    assert_eq!(b.kernel.take_log(), [delete.clone(), add]);
    b.want(fdb(1, 2));
    b.run();
    assert_eq!(b.kernel.take_log(), [delete, Op::Fdb { key: key(1), to: to(2) }]);
    assert_eq!(fdb_target(&b.kernel, 1), Some(to(2)));
    b.kernel.audit(&mut b.r);
    b.assert_no_difference();
}

#[test]
fn a_sticky_entry_takes_a_write_of_its_own_and_does_not_move() {
    let mut b = Bench::new(Mode::Steady);
    b.want(Change::Fdb(key(1), Some(FdbEntry { to: to(2), sticky: true })));
    assert_eq!(b.run(), 2);
    b.kernel.frame(ACCESS, mac(1));
    b.kernel.audit(&mut b.r);
    b.assert_no_difference();
    b.want(fdb(1, 2));
    assert_eq!(b.run(), 1);
    b.kernel.audit(&mut b.r);
    b.assert_no_difference();
}

mod host_moves {
    use super::*;
    use evpn_dataplane::facts::{KernelEvent, MacOrigin};

    fn moved() -> (Bench, u64) {
        let mut b = Bench::new(Mode::Steady);
        b.want(fdb(1, 2));
        b.run();
        b.kernel.frame(ACCESS, mac(1));
        b.kernel.tell(&mut b.r);
        assert_eq!(b.run(), 0, "the kernel is not fought");
        assert_eq!(b.r.differences(9).first[0].reason, Reason::Ceded);
        let (told, news) = b.r.take_news(usize::MAX);
        let local = KernelEvent::LocalMac {
            bridge: BRIDGE,
            port: ACCESS,
            mac: mac(1),
            origin: MacOrigin::Learned,
        };
        assert_eq!(news, [local]);
        (b, told)
    }

    #[test]
    fn local_wins_and_the_left_over_half_is_deleted() {
        let (mut b, told) = moved();
        b.r.want(no_fdb(1), told);
        b.run();
        let delete = Op::FdbDelete { key: key(1), halves: Halves::Vxlan };
        assert_eq!(b.kernel.take_log().last(), Some(&delete));
        assert!(has(&b.kernel, |s| matches!(s, Observation::BridgeMac(e) if e.port == ACCESS)));
        b.assert_no_difference();
    }

    #[test]
    fn remote_wins_with_the_same_value_and_both_halves_are_written() {
        let (mut b, told) = moved();
        b.r.want(fdb(1, 2), told);
        assert_eq!(b.run(), 1);
        let gone = KernelEvent::LocalMacGone { bridge: BRIDGE, mac: mac(1) };
        assert_eq!(b.news(), [gone]);
        b.assert_no_difference();
        // It moves again: the old decision does not hold any more.
        b.kernel.frame(ACCESS, mac(1));
        assert_eq!(b.run(), 0);
        assert_eq!(b.r.differences(9).first[0].reason, Reason::Ceded);
    }

    #[test]
    fn a_wish_from_before_the_news_does_not_fight() {
        let (mut b, told) = moved();
        b.r.want(fdb(1, 3), told - 1);
        assert_eq!(b.run(), 0);
        b.r.want(fdb(1, 3), told);
        assert_eq!(b.run(), 1);
        assert_eq!(fdb_target(&b.kernel, 1), Some(to(3)));
    }

    #[test]
    fn a_local_host_that_is_gone_gives_way_without_a_word_from_the_engine() {
        let (mut b, _) = moved();
        b.kernel.forget_mac(BRIDGE, mac(1));
        assert_eq!(b.run(), 1);
        b.assert_no_difference();
    }

    #[test]
    fn a_missed_move_is_found_by_the_dump_and_ceded_too() {
        let mut b = Bench::new(Mode::Steady);
        b.want(fdb(1, 2));
        b.run();
        b.kernel.frame(ACCESS, mac(1));
        b.kernel.lose_news();
        b.kernel.audit(&mut b.r);
        assert_eq!(b.run(), 0);
        assert_eq!(b.r.differences(9).first[0].reason, Reason::Ceded);
        assert_eq!(b.news().len(), 1);
    }

    #[test]
    fn an_operators_static_host_is_never_taken_over() {
        let mut b = Bench::new(Mode::Steady);
        b.kernel.operator_mac(ACCESS, mac(1), MacState::Static);
        b.kernel.tell(&mut b.r);
        let (told, _) = b.r.take_news(usize::MAX);
        b.r.want(fdb(1, 2), told);
        assert_eq!(b.run(), 0);
        assert_eq!(b.r.differences(9).first[0].reason, Reason::Foreign);
        b.kernel.forget_mac(BRIDGE, mac(1));
        assert_eq!(b.run(), 1);
    }

    #[test]
    fn a_deletion_that_finds_the_entry_moved_still_takes_the_left_over_half() {
        let mut b = Bench::new(Mode::Steady);
        b.want(fdb(1, 2));
        b.run();
        b.want(no_fdb(1));
        let mut ops = Vec::new();
        b.r.plan(b.now, 10, &mut ops);
        assert_eq!(ops, [Op::FdbDelete { key: key(1), halves: Halves::Both }]);
        b.kernel.frame(ACCESS, mac(1));
        let result = b.kernel.apply(&ops[0]);
        assert!(result.is_err());
        b.r.done(&ops[0], result, b.now);
        b.run();
        assert_eq!(fdb_target(&b.kernel, 1), None);
        assert_eq!(b.r.counters().failures, [0; 9], "nothing went wrong");
    }
}

mod nexthops {
    use super::*;

    fn two_ways() -> Bench {
        let mut b = Bench::new(Mode::Steady);
        b.want(Change::Nexthop(id(1), Some(hop(1))));
        b.want(Change::Nexthop(id(2), Some(hop(2))));
        b.want(Change::Group(id(3), Some(resilient(&[(1, 1), (2, 1)], 64))));
        b.want(route(1, 3, 20));
        b.run();
        b.assert_no_difference();
        b.kernel.take_log();
        b
    }

    #[test]
    fn weights_change_in_place() {
        let mut b = two_ways();
        b.want(Change::Group(id(3), Some(resilient(&[(1, 1), (2, 256)], 64))));
        b.run();
        let log = b.kernel.take_log();
        assert!(matches!(&log[..], [Op::Nexthop { birth: Birth::Replace, .. }]), "{log:?}");
    }

    #[test]
    fn a_member_leaves_the_group_before_it_goes() {
        let mut b = two_ways();
        b.want(Change::Nexthop(id(1), None));
        b.run();
        assert_eq!(b.kernel.take_log(), [], "it is referenced");
        b.want(Change::Group(id(3), Some(resilient(&[(2, 1)], 64))));
        b.run();
        let log = b.kernel.take_log();
        assert!(matches!(log[0], Op::Nexthop { birth: Birth::Replace, .. }));
        assert_eq!(log[1..], [Op::NexthopDelete(id(1))]);
        b.assert_no_difference();
    }

    #[test]
    fn everything_goes_in_the_order_of_its_users() {
        let mut b = two_ways();
        b.want(Change::Nexthop(id(1), None));
        b.want(Change::Nexthop(id(2), None));
        b.want(Change::Group(id(3), None));
        b.want(Change::Route(prefix(1), None));
        b.run();
        let log = b.kernel.take_log();
        assert!(matches!(log[0], Op::RouteDelete(_)));
        assert_eq!(log[1], Op::NexthopDelete(id(3)));
        assert_eq!(log.len(), 4);
        b.assert_no_difference();
    }

    #[test]
    fn other_buckets_take_a_new_group_and_the_route_moves_before_the_old_one_goes() {
        let mut b = two_ways();
        b.want(Change::Group(id(3), Some(resilient(&[(1, 1), (2, 1)], 128))));
        b.run();
        let log = b.kernel.take_log();
        let [Op::Nexthop { id: new, birth: Birth::New, .. }, moved, gone] = &log[..] else {
            panic!("{log:?}")
        };
        assert!(
            matches!(moved, Op::Route { nexthop, birth: Birth::Replace, .. } if nexthop == new)
        );
        assert_eq!(*gone, Op::NexthopDelete(id(3)));
        b.assert_no_difference();
    }

    #[test]
    fn a_restart_takes_over_groups_under_whatever_id_they_have() {
        let mut b = two_ways();
        b.restart();
        b.r.set_mode(Mode::Grow);
        // The new process numbers them otherwise.
        b.want(Change::Nexthop(id(7), Some(hop(2))));
        b.want(Change::Nexthop(id(1), Some(hop(1))));
        b.want(Change::Group(id(2), Some(resilient(&[(7, 1), (1, 1)], 64))));
        b.want(route(1, 2, 20));
        assert_eq!(b.run(), 0, "{:?}", b.kernel.take_log());
        b.assert_no_difference();
        b.r.set_mode(Mode::Sweep);
        b.settle();
        assert_eq!(b.kernel.take_log(), []);
    }

    #[test]
    fn a_restart_leaves_each_prefix_its_group_also_where_many_say_the_same() {
        let mut b = Bench::new(Mode::Steady);
        b.want(Change::Nexthop(id(1), Some(hop(1))));
        b.want(Change::Nexthop(id(2), Some(hop(2))));
        for n in 0..20 {
            b.want(Change::Group(id(100 + n), Some(resilient(&[(1, 1), (2, 1)], 64))));
            b.want(route(n as u8, 100 + n, 20));
        }
        b.run();
        b.restart();
        b.r.set_mode(Mode::Grow);
        b.want(Change::Nexthop(id(2), Some(hop(2))));
        b.want(Change::Nexthop(id(1), Some(hop(1))));
        // A prefix that was not there before takes nobody's group.
        b.want(Change::Group(id(99), Some(resilient(&[(1, 1), (2, 1)], 64))));
        b.want(route(50, 99, 20));
        b.run();
        assert_eq!(b.kernel.take_log().len(), 2);
        // Half of the ways are known first: the group shrinks in place, under its own prefix.
        for n in (0..20).rev() {
            b.want(Change::Group(id(100 + n), Some(resilient(&[(1, 1)], 64))));
            b.want(route(n as u8, 100 + n, 20));
        }
        b.run();
        let log = b.kernel.take_log();
        let in_place = |op: &Op| matches!(op, Op::Nexthop { birth: Birth::Replace, .. });
        assert!(log.iter().all(in_place) && log.len() == 20, "{log:?}");
    }

    #[test]
    fn a_restart_never_points_stale_routes_elsewhere() {
        let mut b = two_ways();
        b.restart();
        b.r.set_mode(Mode::Grow);
        b.want(Change::Nexthop(id(1), Some(hop(9))));
        b.want(Change::Group(id(3), Some(group(&[(1, 1)]))));
        b.want(route(2, 3, 20));
        b.run();
        assert_eq!(route_via(&b.kernel, 1), [(20, Some(id(3)))]);
        assert_ne!(route_via(&b.kernel, 2), [(20, Some(id(3)))]);
        let untouched = b.kernel.take_log();
        assert!(
            untouched.iter().all(|op| !matches!(op, Op::Nexthop { birth: Birth::Replace, .. }))
        );
        b.r.set_mode(Mode::Sweep);
        b.settle();
        assert_eq!(route_via(&b.kernel, 1), []);
        b.assert_no_difference();
    }

    #[test]
    fn a_route_that_differs_is_told_with_where_it_leads() {
        let mut b = two_ways();
        b.restart();
        b.r.set_mode(Mode::Grow);
        let found = b.r.differences(9).first;
        let route = found.iter().find(|d| d.object.starts_with("route ")).unwrap();
        let kernel = route.kernel.as_deref().unwrap();
        let [one, two, both] = [1, 2, 3].map(|n| id(n).0);
        assert!(kernel.starts_with(&format!("nexthop {both} group {one},1/{two},1 ")), "{kernel}");
        assert_eq!((route.intended.as_ref(), route.reason), (None, Reason::Stale));
        let nexthop = found.iter().find(|d| d.object == format!("nexthop {one}")).unwrap();
        assert_eq!(nexthop.kernel.as_deref(), Some("via 10.0.0.1 dev br20"));
    }

    #[test]
    fn a_restart_with_other_weights_replaces_the_group_in_place() {
        let mut b = two_ways();
        b.restart();
        b.r.set_mode(Mode::Grow);
        b.want(Change::Nexthop(id(11), Some(hop(1))));
        b.want(Change::Nexthop(id(12), Some(hop(2))));
        b.want(Change::Group(id(13), Some(resilient(&[(11, 1), (12, 256)], 64))));
        b.want(route(1, 13, 20));
        b.run();
        let log = b.kernel.take_log();
        assert!(
            matches!(&log[..], [Op::Nexthop { id: i, birth: Birth::Replace, .. }] if *i == id(3)),
            "{log:?}"
        );
    }

    #[test]
    fn what_a_device_took_along_silently_is_written_again_when_it_is_up() {
        let mut b = two_ways();
        b.kernel.set_up(L3_BRIDGE, false);
        b.run();
        assert_eq!(route_via(&b.kernel, 1), []);
        assert!(b.r.differences(9).total > 0);
        b.kernel.set_up(L3_BRIDGE, true);
        b.settle();
        assert_eq!(route_via(&b.kernel, 1), [(20, Some(id(3)))]);
        b.assert_no_difference();
    }

    #[test]
    fn when_somebody_deletes_the_last_member_all_that_used_it_is_written_again() {
        let mut b = Bench::new(Mode::Steady);
        b.want(Change::FdbNexthop(id(1), Some(vtep(1))));
        b.want(Change::FdbGroup(id(3), Some(group(&[(1, 1)]))));
        for n in 0..100 {
            let entry = FdbEntry { to: FdbTarget::Group(id(3)), sticky: false };
            b.want(Change::Fdb(key(n), Some(entry)));
        }
        b.run();
        b.kernel.other_nexthop_delete(id(1));
        assert_eq!(fdb_target(&b.kernel, 5), None);
        b.settle();
        assert_eq!(fdb_target(&b.kernel, 5), Some(FdbTarget::Group(id(3))));
        b.kernel.audit(&mut b.r);
        b.assert_no_difference();
    }

    #[test]
    fn a_new_metric_is_added_before_the_old_one_goes() {
        let mut b = two_ways();
        b.want(route(1, 3, 30));
        b.run();
        let log = b.kernel.take_log();
        assert!(matches!(&log[..], [Op::Route { birth: Birth::New, .. }, Op::RouteDelete(_)]));
        assert_eq!(route_via(&b.kernel, 1), [(30, Some(id(3)))]);
    }
}

#[path = "common/failures.rs"]
mod failures;
#[test]
fn an_audit_repairs_what_the_news_missed_and_counts_it() {
    let mut b = Bench::new(Mode::Steady);
    (0..50).for_each(|n| b.want(fdb(n, 2)));
    b.want(Change::Flood(FloodKey { device: VXLAN, vtep: vtep(2) }, Some(())));
    b.run();
    b.kernel.other_vxlan_delete(key(1));
    b.kernel.forget_mac(BRIDGE, mac(2));
    b.kernel.other_vxlan_mac(key(3), to(9), MacState::External);
    b.kernel.other_vxlan_mac(key(99), to(9), MacState::External);
    b.kernel.lose_news();
    b.assert_no_difference();
    b.kernel.audit(&mut b.r);
    assert_eq!(b.r.differences(9).total, 4);
    b.settle();
    b.assert_no_difference();
    assert_eq!((b.r.counters().repairs, b.r.counters().swept), (3, 1));
}

#[test]
fn interference_is_repaired_at_once_when_it_is_seen() {
    let mut b = Bench::new(Mode::Steady);
    b.want(fdb(1, 2));
    b.run();
    b.kernel.other_vxlan_mac(key(1), to(9), MacState::External);
    assert_eq!(b.run(), 1);
    assert_eq!(fdb_target(&b.kernel, 1), Some(to(2)));
}

#[test]
fn additions_come_before_deletions_across_batches() {
    let mut b = Bench::new(Mode::Steady);
    (0..300).for_each(|n| b.want(fdb(n, 2)));
    b.run();
    b.kernel.take_log();
    (0..300).for_each(|n| b.want(no_fdb(n)));
    (300..600).for_each(|n| b.want(fdb(n, 2)));
    b.run();
    let log = b.kernel.take_log();
    let first_delete = log.iter().position(Op::is_delete).unwrap();
    assert_eq!(first_delete, 300);
    assert!(log[first_delete..].iter().all(Op::is_delete));
}

#[test]
fn a_probed_neighbour_is_not_ours_any_more_and_is_left_alone() {
    let mut b = Bench::new(Mode::Steady);
    let key = NeighbourKey { device: BRIDGE, address: vtep(50) };
    b.want(Change::Neighbour(key, Some(Neighbour { mac: mac(1), router: false })));
    b.run();
    let _ = b.news();
    b.want(Change::Neighbour(key, None));
    b.r.command(Command::ProbeNeighbour { device: BRIDGE, address: vtep(50), mac: mac(1) });
    b.run();
    let log = b.kernel.take_log();
    assert!(!log.iter().any(Op::is_delete), "{log:?}");
    assert_eq!(b.news().len(), 1, "the kernel's answer is a fact");
    b.assert_no_difference();
    b.r.command(Command::ForgetNeighbour { device: BRIDGE, address: vtep(50) });
    b.run();
    assert_eq!(b.kernel.take_log(), [Op::NeighbourDelete(key)]);
}

#[test]
fn the_operators_flood_entry_is_used_and_never_deleted() {
    let mut b = Bench::new(Mode::Steady);
    let theirs = FloodKey { device: VXLAN, vtep: vtep(1) };
    let ours = FloodKey { device: VXLAN, vtep: vtep(2) };
    b.kernel.other_flood(theirs, false);
    b.want(Change::Flood(theirs, Some(())));
    b.want(Change::Flood(ours, Some(())));
    assert_eq!(b.run(), 1);
    b.want(Change::Flood(theirs, None));
    b.want(Change::Flood(ours, None));
    assert_eq!(b.run(), 1, "without a mark of its own, what this run wrote is still known as ours");
    b.assert_no_difference();
    assert!(has(&b.kernel, |s| matches!(s, Observation::Flood { key, .. } if *key == theirs)));
}
