//! The rules of reconciling, with the real kernel on the other side.

use crate::namespace::*;
use evpn_dataplane::difference::Reason;
use evpn_dataplane::facts::KernelEvent;
use evpn_dataplane::object::*;
use evpn_dataplane::op::{Halves, Op};

#[test]
fn a_restart_writes_nothing_and_a_sweep_takes_what_is_stale() {
    enter();
    let mut d = Daemon::steady();
    (0..600).for_each(|n| d.want(fdb(key(n), 2)));
    let flood = FloodKey { device: index("vx0"), vtep: vtep(2) };
    d.want(Change::Flood(flood, Some(())));
    d.settle();
    bridge(&format!("fdb add {} dev vx0 dst 10.0.0.9 self permanent", mac(9999)));
    let mut d = Daemon::start(BUFFER);
    d.r.set_mode(Mode::Grow);
    (0..300).for_each(|n| d.want(fdb(key(n), 2)));
    d.want(Change::Flood(flood, Some(())));
    assert_eq!(d.work(), 0);
    d.r.set_mode(Mode::Sweep);
    d.settle();
    let left =
        bridge("fdb show dev vx0").lines().filter(|l| l.contains("dst 10.0.0.2 self")).count();
    assert_eq!(left, 301);
    assert_eq!(shown(mac(9999)).len(), 1, "the operator's entry stays");
    d.assert_equal();
}

#[test]
fn a_host_that_moves_here_is_ceded_and_the_left_over_half_goes_when_local_wins() {
    enter();
    let mut d = Daemon::steady();
    d.want(fdb(key(1), 2));
    d.settle();
    frame(mac(1));
    d.wait_until(|r| r.differences(1).total > 0);
    assert_eq!(d.work(), 0);
    assert_eq!(d.r.differences(5).first[0].reason, Reason::Ceded);
    let (told, news) = d.r.take_news(usize::MAX);
    assert!(news.iter().any(|e| matches!(e, KernelEvent::LocalMac { mac: m, .. } if *m == mac(1))));
    d.r.want(Change::Fdb(key(1), None), told);
    d.work();
    assert_eq!(d.log.last(), Some(&Op::FdbDelete { key: key(1), halves: Halves::Vxlan }));
    let m = mac(1);
    assert_eq!(shown(m), [format!("{m} dev acc0 master br0")]);
    d.assert_equal();
}

#[test]
fn a_host_that_moves_here_is_taken_back_when_remote_wins() {
    enter();
    let mut d = Daemon::steady();
    d.want(fdb(key(1), 2));
    d.settle();
    frame(mac(1));
    d.wait_until(|r| r.differences(1).total > 0);
    d.work();
    let (told, _) = d.r.take_news(usize::MAX);
    d.r.want(fdb(key(1), 2), told);
    assert_eq!(d.work(), 1);
    let m = mac(1);
    assert_eq!(shown(m)[1], format!("{m} dev vx0 extern_learn master br0"));
    let (_, news) = d.r.take_news(usize::MAX);
    assert_eq!(news, [KernelEvent::LocalMacGone { bridge: index("br0"), mac: m }]);
    d.assert_equal();
}

#[test]
fn what_a_device_takes_along_silently_comes_back_with_it() {
    enter();
    let mut d = Daemon::steady();
    let id = |n| NexthopId(NexthopId::OURS_FIRST + n);
    let device = index("br5000");
    d.want(Change::Nexthop(id(1), Some(Nexthop { gateway: vtep(2), device })));
    let key = RouteKey { table: 254, prefix: "198.51.100.0/24".parse().unwrap() };
    d.want(Change::Route(key, Some(Route { nexthop: id(1), metric: 20 })));
    d.settle();
    d.assert_equal();
    ip("link set br5000 down");
    assert_eq!(ip("nexthop show"), "");
    d.settle();
    assert_eq!(d.r.counters().failures, [0; 9], "nothing is tried on a device that is down");
    ip("link set br5000 up");
    d.settle();
    assert!(ip("route show 198.51.100.0/24").contains("proto 110"));
    d.assert_equal();
}

#[test]
fn an_operators_route_and_static_host_are_not_written_over() {
    enter();
    ip("route add 198.51.100.0/24 dev br0 metric 20");
    bridge(&format!("fdb add {} dev acc0 master static", mac(1)));
    let mut d = Daemon::steady();
    let id = NexthopId(NexthopId::OURS_FIRST);
    let device = index("br5000");
    d.want(Change::Nexthop(id, Some(Nexthop { gateway: vtep(2), device })));
    let key = RouteKey { table: 254, prefix: "198.51.100.0/24".parse().unwrap() };
    d.want(Change::Route(key, Some(Route { nexthop: id, metric: 20 })));
    d.want(fdb(self::key(1), 2));
    d.settle();
    let m = mac(1);
    assert_eq!(shown(m), [format!("{m} dev acc0 master br0 static")]);
    assert!(!ip("route show 198.51.100.0/24").contains("proto 110"));
    let found = d.r.differences(5);
    let words = found.first[0].failure.as_ref().unwrap();
    assert_eq!((found.total, words.errno), (2, libc::EEXIST));
    ip("route del 198.51.100.0/24 dev br0 metric 20");
    bridge(&format!("fdb del {} dev acc0 master", mac(1)));
    d.settle();
    assert!(ip("route show 198.51.100.0/24").contains("proto 110"));
    assert_eq!(shown(m).len(), 2);
    d.assert_equal();
}

#[test]
fn an_overrun_is_healed_by_a_dump() {
    enter();
    // As small as the kernel makes it: 2304 octets.
    let mut d = Daemon::start(1);
    d.r.set_mode(Mode::Steady);
    (0..1000).for_each(|n| d.want(fdb(key(n), 2)));
    d.work();
    assert!(d.overruns > 0, "nothing was lost");
    // Somebody interferes, and the news of it drown in a burst of others.
    bridge(&format!("fdb del {} dev vx0 self", mac(7)));
    ip("link set br5000 down");
    (2000..3000).for_each(|n| d.want(fdb(key(n), 2)));
    d.work();
    d.dump();
    d.hear();
    d.settle();
    assert_eq!(shown(mac(7)).len(), 2);
    d.assert_equal();
}
