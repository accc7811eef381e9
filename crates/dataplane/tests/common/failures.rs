//! Writes that fail, devices that are not there, and entries that others delete.

use super::*;

#[test]
fn somebody_elses_route_stays_and_ours_follows_when_it_is_gone() {
    let mut b = Bench::new(Mode::Steady);
    let theirs =
        SeenRoute { key: prefix(1), metric: 20, protocol: 3, nexthop: None, connected: None };
    b.kernel.other_route(theirs);
    b.want(Change::Nexthop(id(1), Some(hop(1))));
    b.want(route(1, 1, 20));
    b.run();
    assert_eq!(route_via(&b.kernel, 1), [(20, None)]);
    let found = b.r.differences(9);
    let shown = found.first[0].failure.as_ref().unwrap();
    assert_eq!((shown.class, shown.errno), (ErrorClass::Exists, 17));
    let gone = evpn_dataplane::op::KernelRoute { key: prefix(1), metric: 20 };
    b.kernel.other_route_delete(gone);
    b.run();
    assert_eq!(route_via(&b.kernel, 1), [(20, Some(id(1)))]);
    b.assert_no_difference();
}

#[test]
fn without_memory_everything_waits_longer_each_time_and_nothing_is_lost() {
    let mut b = Bench::new(Mode::Steady);
    (0..10).for_each(|n| b.want(fdb(n, 2)));
    let none = || failure(ErrorClass::NoMemory, 12, "Cannot allocate memory");
    b.kernel.fail_next((0..20).map(|_| none()));
    b.run();
    let first = b.r.next_deadline().unwrap().saturating_since(b.now);
    b.now = b.now + first;
    b.run();
    let second = b.r.next_deadline().unwrap().saturating_since(b.now);
    assert_eq!(second, first * 2);
    b.settle();
    b.assert_no_difference();
    assert_eq!(b.r.counters().failures[5], 20);
}

#[test]
fn what_the_kernel_refuses_is_shown_and_tried_again_at_the_next_audit() {
    let mut b = Bench::new(Mode::Steady);
    b.want(fdb(1, 2));
    b.kernel.fail_next([failure(ErrorClass::Refused, 22, "Invalid argument: no")]);
    b.run();
    assert_eq!(b.run(), 0);
    assert_eq!(b.r.next_deadline(), None, "no retry by time");
    let found = b.r.differences(9);
    assert_eq!(found.first[0].reason, Reason::Failed);
    assert_eq!(found.first[0].failure.as_ref().unwrap().text, "Invalid argument: no");
    b.kernel.audit(&mut b.r);
    assert_eq!(b.run(), 1);
    b.assert_no_difference();
}

#[test]
fn what_somebody_else_deletes_is_apart_for_a_moment_and_then_back() {
    let mut b = Bench::new(Mode::Steady);
    let key = FdbKey { device: VXLAN, mac: mac(1) };
    b.want(Change::Fdb(key, Some(FdbEntry { to: to(2), sticky: false })));
    assert_eq!(b.run(), 1);
    b.kernel.other_vxlan_delete(key);
    assert_eq!(b.run(), 0, "not at once");
    assert_eq!(b.r.differences(9).first[0].reason, Reason::TakenAway);
    b.settle();
    b.assert_no_difference();
}

#[test]
fn a_wish_for_a_device_that_is_not_there_waits_for_it_without_an_error() {
    let mut b = Bench::new(Mode::Steady);
    let key = FdbKey { device: IfIndex(31), mac: mac(1) };
    b.want(Change::Fdb(key, Some(FdbEntry { to: to(2), sticky: false })));
    b.want(Change::Flood(FloodKey { device: IfIndex(31), vtep: vtep(2) }, Some(())));
    assert_eq!(b.run(), 0);
    assert_eq!(b.r.differences(9).first[0].reason, Reason::NoDevice);
    b.kernel.add_bridge(30, "br30");
    b.kernel.add_vxlan(31, "vx30", 30, evpn_proto::types::Vni::new(30).unwrap());
    assert_eq!(b.run(), 2);
    b.kernel.remove_link(IfIndex(31));
    assert_eq!(b.run(), 0);
    b.kernel.add_vxlan(31, "vx30", 30, evpn_proto::types::Vni::new(30).unwrap());
    assert_eq!(b.run(), 2, "and again when it is made anew");
    b.assert_no_difference();
}

#[test]
fn an_answer_that_is_lost_leads_to_a_dump_and_a_retry() {
    let mut b = Bench::new(Mode::Steady);
    b.want(fdb(1, 2));
    b.kernel.fail_next([failure(ErrorClass::Busy, 0, "no answer in time")]);
    let dumps = b.r.counters().dumps;
    b.settle();
    assert_eq!(b.r.counters().dumps, dumps + 1);
    b.assert_no_difference();
}
