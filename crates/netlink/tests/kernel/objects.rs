//! Each kind of object: what we write is what `ip` and `bridge` show, and what we read.

use crate::namespace::*;
use evpn_dataplane::facts::{BridgePort, KernelEvent, LinkKind, MacOrigin};
use evpn_dataplane::object::*;
use evpn_dataplane::op::{Birth, ErrorClass, Halves, Op};
use evpn_dataplane::reconciler::Reconciler;
use std::time::Duration;

fn id(n: u32) -> NexthopId {
    NexthopId(NexthopId::OURS_FIRST + n)
}

fn group(members: &[(u32, u16)], buckets: Option<u16>) -> NexthopGroup {
    let members = members.iter().map(|(n, w)| Member { nexthop: id(*n), weight: *w }).collect();
    let resilience = buckets.map(|buckets| Resilience { buckets, idle: Duration::from_secs(2) });
    NexthopGroup { members, resilience }
}

#[test]
fn one_write_makes_both_halves_of_an_fdb_entry() {
    enter();
    let mut d = Daemon::steady();
    d.want(fdb(key(1), 2));
    assert_eq!(d.work(), 1);
    let m = mac(1);
    assert_eq!(
        shown(m),
        [
            format!("{m} dev vx0 dst 10.0.0.2 self extern_learn permanent"),
            format!("{m} dev vx0 extern_learn master br0"),
        ]
    );
    d.assert_equal();
    d.want(fdb(key(1), 3));
    d.work();
    assert!(shown(m)[0].contains("dst 10.0.0.3"));
    d.assert_equal();
    d.want(Change::Fdb(key(1), None));
    d.work();
    assert_eq!(shown(m), [""; 0]);
    d.assert_equal();
}

#[test]
fn an_ipv6_vtep_is_read_as_it_is_written() {
    enter();
    ip("link add vx6 type vxlan id 600 dstport 4789 local 2001:db8::1 nolearning");
    ip("link set vx6 master br5000");
    let mut d = Daemon::steady();
    let key = FdbKey { device: index("vx6"), mac: mac(1) };
    let to = FdbTarget::Vtep("2001:db8::2".parse().unwrap());
    d.want(Change::Fdb(key, Some(FdbEntry { to, sticky: false })));
    let vtep = "2001:db8::3".parse().unwrap();
    d.want(Change::Flood(FloodKey { device: key.device, vtep }, Some(())));
    assert_eq!(d.work(), 2);
    assert!(shown(mac(1))[0].contains("dst 2001:db8::2 self"));
    d.assert_equal();
}

#[test]
fn a_sticky_entry_stays_ours_and_does_not_move() {
    enter();
    let mut d = Daemon::steady();
    let to = FdbTarget::Vtep(vtep(2));
    d.want(Change::Fdb(key(1), Some(FdbEntry { to, sticky: true })));
    assert_eq!(d.work(), 2);
    let m = mac(1);
    assert_eq!(shown(m)[1], format!("{m} dev vx0 extern_learn sticky master br0"));
    frame(m);
    assert!(shown(m)[1].contains("dev vx0"));
    d.assert_equal();
    d.want(fdb(key(1), 2));
    assert_eq!(d.work(), 1);
    assert_eq!(shown(m)[1], format!("{m} dev vx0 extern_learn master br0"));
    d.assert_equal();
}

#[test]
fn flood_entries_are_appended_and_deleted_one_by_one() {
    enter();
    let mut d = Daemon::steady();
    let flood = |v| FloodKey { device: index("vx0"), vtep: vtep(v) };
    (2..5).for_each(|v| d.want(Change::Flood(flood(v), Some(()))));
    d.work();
    let zero = evpn_proto::types::MacAddr::ZERO;
    let line = |v| format!("{zero} dev vx0 dst 10.0.0.{v} self extern_learn permanent");
    assert_eq!(shown(zero), [line(2), line(3), line(4)]);
    d.want(Change::Flood(flood(3), None));
    d.work();
    assert_eq!(shown(zero), [line(2), line(4)]);
    d.assert_equal();
}

#[test]
fn neighbours_carry_our_mark() {
    enter();
    let mut d = Daemon::steady();
    let key = NeighbourKey { device: index("br0"), address: "192.0.2.9".parse().unwrap() };
    d.want(Change::Neighbour(key, Some(Neighbour { mac: mac(9), router: true })));
    d.work();
    let line = ip("neigh show 192.0.2.9 nud all");
    let m = mac(9);
    assert_eq!(
        line.trim_end(),
        format!("192.0.2.9 dev br0 lladdr {m} router extern_learn NOARP proto 110")
    );
    d.assert_equal();
    d.want(Change::Neighbour(key, Some(Neighbour { mac: mac(8), router: false })));
    d.work();
    let line = ip("neigh show 192.0.2.9 nud all");
    let m = mac(8);
    assert_eq!(
        line.trim_end(),
        format!("192.0.2.9 dev br0 lladdr {m} extern_learn NOARP proto 110")
    );
    d.assert_equal();
    let v6 = NeighbourKey { device: index("br0"), address: "2001:db8::9".parse().unwrap() };
    d.want(Change::Neighbour(v6, Some(Neighbour { mac: mac(9), router: false })));
    d.want(Change::Neighbour(key, None));
    d.work();
    assert_eq!(ip("neigh show 192.0.2.9 nud all"), "");
    assert!(ip("neigh show 2001:db8::9 nud all").contains("extern_learn NOARP proto 110"));
    d.assert_equal();
}

#[test]
fn a_probed_neighbour_loses_our_mark_and_is_told_as_a_fact() {
    enter();
    let mut d = Daemon::steady();
    let address = "192.0.2.9".parse().unwrap();
    let device = index("br0");
    let key = NeighbourKey { device, address };
    d.want(Change::Neighbour(key, Some(Neighbour { mac: mac(9), router: false })));
    d.work();
    d.want(Change::Neighbour(key, None));
    d.r.command(Command::ProbeNeighbour { device, address, mac: mac(9) });
    d.work();
    let line = ip("neigh show 192.0.2.9 nud all");
    assert!(line.contains("PROBE") && !line.contains("extern_learn"), "{line}");
    let (_, news) = d.r.take_news(usize::MAX);
    let told = KernelEvent::Neighbour { device, address, mac: mac(9) };
    assert!(news.contains(&told), "{news:?}");
    d.r.command(Command::ForgetNeighbour { device, address });
    d.work();
    assert_eq!(ip("neigh show 192.0.2.9 nud all"), "");
}

#[test]
fn nexthops_groups_and_routes_are_as_shown() {
    enter();
    let mut d = Daemon::steady();
    let device = index("br5000");
    let hop = |gateway: &str| Some(Nexthop { gateway: gateway.parse().unwrap(), device });
    d.want(Change::Nexthop(id(1), hop("10.0.0.2")));
    d.want(Change::Nexthop(id(2), hop("10.0.0.3")));
    d.want(Change::Nexthop(id(3), hop("::ffff:10.0.0.2")));
    d.want(Change::Group(id(10), Some(group(&[(1, 1), (2, 256)], Some(64)))));
    d.want(Change::Group(id(11), Some(group(&[(1, 10), (2, 20)], None))));
    let route = |prefix: &str, n, metric| {
        let key = RouteKey { table: 254, prefix: prefix.parse().unwrap() };
        Change::Route(key, Some(Route { nexthop: id(n), metric }))
    };
    d.want(route("198.51.100.0/24", 10, 20));
    d.want(route("203.0.113.1/32", 1, 0));
    d.want(route("2001:db8:1::/64", 3, 0));
    assert_eq!(d.work(), 8);
    let shown = ip("nexthop show");
    let n = |n: u32| NexthopId::OURS_FIRST + n;
    for line in [
        format!("id {} via 10.0.0.2 dev br5000 scope link proto 110 onlink", n(1)),
        format!("id {} via ::ffff:10.0.0.2 dev br5000 scope link proto 110 onlink", n(3)),
        format!(
            "id {} group {}/{},256 type resilient buckets 64 idle_timer 2 unbalanced_timer 0",
            n(10),
            n(1),
            n(2)
        ),
        format!("id {} group {},10/{},20 proto 110", n(11), n(1), n(2)),
    ] {
        assert!(shown.contains(&line), "{line}\n{shown}");
    }
    let line = format!("198.51.100.0/24 nhid {} proto 110 metric 20", n(10));
    assert!(ip("route show").contains(&line), "{}", ip("route show"));
    assert!(ip("-6 route show").contains("2001:db8:1::/64 nhid"), "{}", ip("-6 route show"));
    d.assert_equal();
    // Another table, another metric, another weight.
    let key = RouteKey { table: 1000, prefix: "198.51.100.0/24".parse().unwrap() };
    d.want(Change::Route(key, Some(Route { nexthop: id(11), metric: 5 })));
    d.want(route("198.51.100.0/24", 11, 30));
    d.want(Change::Group(id(10), Some(group(&[(1, 256), (2, 1)], Some(64)))));
    d.work();
    let shown = ip("route show 198.51.100.0/24");
    assert!(shown.contains("metric 30") && !shown.contains("metric 20"), "{shown}");
    assert!(ip("route show table 1000").contains("metric 5"));
    d.assert_equal();
}

#[test]
fn fdb_groups_conversions_and_the_death_of_the_last_member() {
    enter();
    let mut d = Daemon::steady();
    d.want(Change::FdbNexthop(id(1), Some(vtep(2))));
    d.want(Change::FdbNexthop(id(2), Some(vtep(3))));
    d.want(Change::FdbGroup(id(10), Some(group(&[(1, 1), (2, 3)], None))));
    d.want(fdb(key(1), 9));
    d.work();
    let to = FdbTarget::Group(id(10));
    d.want(Change::Fdb(key(1), Some(FdbEntry { to, sticky: false })));
    d.work();
    assert!(shown(mac(1))[0].contains(&format!("nhid {}", id(10).0)), "{:?}", shown(mac(1)));
    d.assert_equal();
    // Somebody deletes both members; the kernel deletes the group and the entry.
    ip(&format!("nexthop del id {}", id(1).0));
    ip(&format!("nexthop del id {}", id(2).0));
    assert_eq!(shown(mac(1)).len(), 1);
    d.work();
    assert!(shown(mac(1))[0].contains(&format!("nhid {}", id(10).0)));
    d.assert_equal();
    d.want(fdb(key(1), 9));
    d.work();
    assert!(shown(mac(1))[0].contains("dst 10.0.0.9"));
    d.assert_equal();
}

#[test]
fn every_write_of_a_batch_gets_its_own_result_in_the_kernels_words() {
    enter();
    let mut requests = evpn_netlink::Requests::open(110).unwrap();
    let good = |n| Op::Fdb { key: key(n), to: FdbTarget::Vtep(vtep(2)) };
    let nowhere = FdbKey { device: IfIndex(9999), mac: mac(1) };
    let ops = [
        good(1),
        Op::Fdb { key: nowhere, to: FdbTarget::Vtep(vtep(2)) },
        Op::Fdb { key: key(2), to: FdbTarget::Group(id(99)) },
        good(3),
        Op::FdbDelete { key: key(77), halves: Halves::Both },
        Op::Route {
            route: evpn_dataplane::op::KernelRoute {
                key: RouteKey { table: 254, prefix: "192.0.2.0/24".parse().unwrap() },
                metric: 0,
            },
            nexthop: id(99),
            birth: Birth::New,
        },
        good(4),
    ];
    let mut results = Vec::new();
    requests.execute(&ops, &mut results);
    let classes: Vec<_> =
        results.iter().map(|r| r.as_ref().err().map(|failure| failure.class)).collect();
    assert_eq!(
        classes,
        [
            None,
            Some(ErrorClass::NoDevice),
            Some(ErrorClass::Refused),
            None,
            Some(ErrorClass::NoEntry),
            Some(ErrorClass::Refused),
            None
        ]
    );
    let words = &results[5].as_ref().unwrap_err().text;
    assert_eq!(words, "Nexthop id does not exist");
    assert_eq!(shown(mac(4)).len(), 2);
}

#[test]
fn devices_addresses_and_connected_prefixes_are_told() {
    enter();
    let mut d = Daemon::start(BUFFER);
    let link = |d: &mut Daemon, name: &str| {
        d.hear();
        let (_, news) = d.r.take_news(usize::MAX);
        let links = news.into_iter().find_map(|event| match event {
            KernelEvent::Links(links) => Some(links),
            _ => None,
        });
        links.unwrap().into_iter().find(|link| link.name == name)
    };
    bridge("link set dev vx0 learning on");
    let vx0 = link(&mut d, "vx0").unwrap();
    assert_eq!(vx0.port, Some(BridgePort { learning: true, neigh_suppress: true }));
    assert_eq!(vx0.master, Some(index("br0")));
    let LinkKind::Vxlan(vxlan) = vx0.kind else { panic!("{:?}", vx0.kind) };
    assert_eq!((vxlan.vni.unwrap().get(), vxlan.port, vxlan.learning), (100, 4789, false));
    assert_eq!(vxlan.local, Some(vtep(1)));
    ip("link set vx0 nomaster");
    let vx0 = link(&mut d, "vx0").unwrap();
    assert_eq!((vx0.master, vx0.port), (None, None));
    ip("addr add 198.51.100.1/24 dev br0");
    let br0 = link(&mut d, "br0").unwrap();
    assert!(br0.addresses.contains(&"198.51.100.1/24".parse().unwrap()));
    assert!(br0.is_up());
    ip("link del vx0");
    assert_eq!(link(&mut d, "vx0"), None);
    ip("link set br0 down");
    d.hear();
    let (_, news) = d.r.take_news(usize::MAX);
    let connected = news.iter().find_map(|event| match event {
        KernelEvent::Connected(list) => Some(list.clone()),
        _ => None,
    });
    assert_eq!(connected, Some(Vec::new()), "the kernel says nothing of these: {news:?}");
}

#[test]
fn local_hosts_are_told_and_the_machines_own_addresses_are_not() {
    enter();
    let mut d = Daemon::start(BUFFER);
    frame(mac(1));
    bridge(&format!("fdb add {} dev acc0 master static", mac(2)));
    bridge(&format!("fdb add {} dev acc0 master permanent", mac(3)));
    d.wait_until(Reconciler::has_news);
    d.hear();
    let (_, mut news) = d.r.take_news(usize::MAX);
    news.retain(|event| matches!(event, KernelEvent::LocalMac { .. }));
    let local = |n, origin| KernelEvent::LocalMac {
        bridge: index("br0"),
        port: index("acc0"),
        mac: mac(n),
        origin,
    };
    assert!(news.contains(&local(1, MacOrigin::Learned)), "{news:?}");
    assert!(news.contains(&local(2, MacOrigin::Static)), "{news:?}");
    assert!(
        !news.iter().any(|e| matches!(e, KernelEvent::LocalMac { mac: m, .. } if *m == mac(3)))
    );
}
