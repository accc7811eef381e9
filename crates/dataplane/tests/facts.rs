//! What the engine is told.

mod common;
use common::*;
use evpn_dataplane::facts::{BridgePort, KernelEvent, MacOrigin};
use evpn_dataplane::fake::{connected, resolved};
use evpn_dataplane::object::*;
use evpn_dataplane::observe::{MacState, Observation, Resolution};

fn local(n: u32, origin: MacOrigin) -> KernelEvent {
    KernelEvent::LocalMac { bridge: BRIDGE, port: ACCESS, mac: mac(n), origin }
}

#[test]
fn the_first_report_is_everything_and_ends_in_adopted() {
    let mut k = kernel();
    k.frame(ACCESS, mac(1));
    k.operator_mac(ACCESS, mac(2), MacState::Static);
    k.operator_mac(ACCESS, mac(3), MacState::Permanent);
    k.other_route(connected(BRIDGE, "192.0.2.0/24".parse().unwrap()));
    let mut b = Bench::adopting(k);
    let (_, news) = b.r.take_news(usize::MAX);
    assert!(matches!(&news[0], KernelEvent::Links(links) if links.len() == 4));
    assert!(news.contains(&local(1, MacOrigin::Learned)));
    assert!(news.contains(&local(2, MacOrigin::Static)));
    assert_eq!(news.len(), 5, "a machine's own address is no host: {news:?}");
    let prefix = "192.0.2.0/24".parse().unwrap();
    assert_eq!(news[3], KernelEvent::Connected(vec![(BRIDGE, prefix)]));
    assert_eq!(news[4], KernelEvent::Adopted);
    assert!(!b.r.has_news());
}

#[test]
fn adopted_comes_last_even_if_the_report_is_cut() {
    let mut k = kernel();
    (0..10).for_each(|n| k.frame(ACCESS, mac(n)));
    let mut b = Bench::adopting(k);
    let mut macs = 0;
    while b.r.has_news() {
        let (_, news) = b.r.take_news(4);
        macs += news.iter().filter(|e| matches!(e, KernelEvent::LocalMac { .. })).count();
        let last = news.contains(&KernelEvent::Adopted);
        assert_eq!(last, !b.r.has_news());
    }
    assert_eq!(macs, 10);
}

#[test]
fn our_own_writes_are_no_facts() {
    let mut b = Bench::new(Mode::Steady);
    b.want(fdb(1, 2));
    let key = NeighbourKey { device: BRIDGE, address: vtep(50) };
    b.want(Change::Neighbour(key, Some(Neighbour { mac: mac(1), router: false })));
    b.run();
    assert!(!b.r.has_news());
}

#[test]
fn news_overtake_each_other() {
    let mut b = Bench::new(Mode::Steady);
    b.kernel.frame(ACCESS, mac(1));
    b.kernel.forget_mac(BRIDGE, mac(1));
    assert_eq!(b.news(), [KernelEvent::LocalMacGone { bridge: BRIDGE, mac: mac(1) }]);
}

#[test]
fn a_neighbour_is_a_fact_as_long_as_the_kernel_has_it_resolved() {
    let mut b = Bench::new(Mode::Steady);
    let device = BRIDGE;
    let address = vtep(50);
    let gone = KernelEvent::NeighbourGone { device, address };
    b.kernel.other_neighbour(resolved(device, address, mac(1)));
    assert_eq!(b.news(), [KernelEvent::Neighbour { device, address, mac: mac(1) }]);
    b.kernel.other_neighbour(resolved(device, address, mac(1)));
    assert!(!b.r.has_news(), "reachable to stale is no news");
    let mut failed = resolved(device, address, mac(1));
    failed.resolution = Resolution::Unresolved;
    b.kernel.other_neighbour(failed);
    assert_eq!(b.news(), std::slice::from_ref(&gone));
    b.kernel.other_neighbour(resolved(device, address, mac(1)));
    let _ = b.news();
    let key = NeighbourKey { device, address };
    b.want(Change::Neighbour(key, Some(Neighbour { mac: mac(2), router: false })));
    b.run();
    assert_eq!(b.news(), [gone], "replaced by ours");
}

#[test]
fn what_a_dump_does_not_show_any_more_is_told() {
    let mut b = Bench::new(Mode::Steady);
    b.kernel.frame(ACCESS, mac(1));
    b.kernel.other_neighbour(resolved(BRIDGE, vtep(50), mac(1)));
    b.kernel.other_route(connected(BRIDGE, "192.0.2.0/24".parse().unwrap()));
    let _ = b.news();
    b.kernel.remove_link(ACCESS);
    b.kernel.remove_link(BRIDGE);
    b.kernel.lose_news();
    b.kernel.audit(&mut b.r);
    let (_, news) = b.r.take_news(usize::MAX);
    assert!(matches!(&news[0], KernelEvent::Links(links) if links.len() == 2));
    assert!(news.contains(&KernelEvent::LocalMacGone { bridge: BRIDGE, mac: mac(1) }));
    assert!(news.contains(&KernelEvent::NeighbourGone { device: BRIDGE, address: vtep(50) }));
    // The fake kernel keeps the route; a device that is not there has none.
    assert!(!b.r.has_news());
}

#[test]
fn ports_and_addresses_are_part_of_their_device() {
    let mut b = Bench::new(Mode::Steady);
    let port = BridgePort { learning: true, neigh_suppress: false };
    b.r.observe(Observation::Port { device: VXLAN, port });
    let address = "192.0.2.1/24".parse().unwrap();
    b.r.observe(Observation::Address { device: BRIDGE, address });
    let news = b.news();
    let [KernelEvent::Links(links)] = &news[..] else { panic!("{news:?}") };
    assert_eq!(links[1].port, Some(port));
    assert_eq!(links[0].addresses, [address]);
    b.r.observe(Observation::Address { device: BRIDGE, address });
    assert!(!b.r.has_news());
    b.r.observe(Observation::AddressGone { device: BRIDGE, address });
    assert!(b.r.has_news());
}

#[test]
fn a_device_that_is_down_has_no_connected_prefixes() {
    let mut b = Bench::new(Mode::Steady);
    b.kernel.other_route(connected(BRIDGE, "192.0.2.0/24".parse().unwrap()));
    b.kernel.other_route(connected(BRIDGE, "fe80::/64".parse().unwrap()));
    assert_eq!(b.news(), [KernelEvent::Connected(vec![(BRIDGE, "192.0.2.0/24".parse().unwrap())])]);
    b.kernel.set_up(BRIDGE, false);
    assert_eq!(b.news()[1], KernelEvent::Connected(vec![]));
}
