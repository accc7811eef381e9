//! IPv4 and IPv6 unicast, and route target constraints, beside EVPN: **what happens to one family of
//! a neighbour leaves its others alone.**

mod common;
#[path = "unicast/constraints.rs"]
mod constraints;
#[path = "unicast/hops.rs"]
mod hops;
#[path = "unicast/why.rs"]
mod why;

use common::*;
use evpn_dataplane::facts::{KernelEvent, Link, LinkKind};
use evpn_dataplane::object::{IfIndex, Mode};
use evpn_engine::Input;
use evpn_engine::settings::Settings;
use evpn_engine::view::neighbors::FamilyState;
use evpn_engine::view::routes::{PathFate, Route, RouteFilter, RoutePath};
use evpn_proto::bgp::aigp;
use evpn_proto::bgp::attributes::{AsPath, Origin, PathAttributes, RawAttribute};
use evpn_proto::bgp::message::{Message, Update};
use evpn_proto::bgp::session::SessionState;
use evpn_proto::bgp::wire::FamilySet;
use evpn_proto::bgp::wire::error::Action;
use evpn_proto::types::{Asn, Family, Route as Announced, RouteKey};
use evpn_rib::decision::Step;
use ipnet::IpNet;
use std::net::IpAddr;
use std::time::Duration;

/// The table of the underlay's own routes.
const MAIN: u32 = 254;

/// A bridge or device that is nobody's but the operator's.
const DUMMY: IfIndex = IfIndex(40);

/// The loopback address of leaf `n`, which it announces.
fn loopback(n: u8) -> IpNet {
    prefix(&format!("10.0.0.{n}/32"))
}

fn loopback6(n: u8) -> IpNet {
    prefix(&format!("2001:db8::{n}/128"))
}

/// Leaf `n` speaks these families with its neighbours, and announces its loopback.
fn speaks(n: u8, peers: &[u8], ases: Ases, families: &[Family]) -> Settings {
    let mut settings = settings(n, peers, ases);
    settings.unicast.prefixes = vec![loopback(n), loopback6(n)];
    for neighbor in &mut settings.neighbors {
        neighbor.session.families = families.to_vec();
        if let Some(restart) = neighbor.session.graceful_restart.as_mut() {
            restart.preserved = families.to_vec();
        }
    }
    settings
}

const BOTH: [Family; 2] = [Family::EVPN, Family::IPV4_UNICAST];

fn two(families: &[Family]) -> Net {
    let all = [(1, 2), (2, 1)].map(|(n, peer)| speaks(n, &[peer], Ases::Each, families));
    Net::up(all.to_vec())
}

/// Leaves 1 and 4 with the spines 2 and 3 between them.
fn fabric() -> Net {
    let families = [Family::IPV4_UNICAST];
    Net::up(vec![
        speaks(1, &[2, 3], Ases::Each, &families),
        speaks(2, &[1, 4], Ases::Each, &families),
        speaks(3, &[1, 4], Ases::Each, &families),
        speaks(4, &[2, 3], Ases::Each, &families),
    ])
}

fn routes(net: &Net, leaf: usize, family: Family) -> Vec<Route> {
    let filter = RouteFilter { family: Some(family), ..RouteFilter::default() };
    net.view(leaf).routes(&filter, None, 1000).routes
}

fn paths(net: &Net, leaf: usize, wanted: IpNet) -> Vec<RoutePath> {
    let key = RouteKey::Unicast { prefix: wanted };
    let found = routes(net, leaf, key.family()).into_iter().find(|route| route.key == key);
    found.map(|route| route.paths).unwrap_or_default()
}

fn prefixes(net: &Net, leaf: usize, family: Family) -> Vec<String> {
    routes(net, leaf, family).iter().map(|route| route.key.to_string()).collect()
}

fn exchanged(net: &Net, leaf: usize, family: Family) -> Option<FamilyState> {
    let neighbors = net.view(leaf).neighbors();
    neighbors[0].families.iter().find(|state| state.family == family).copied()
}

/// The addresses that packets to a prefix go to.
fn ways(net: &Net, leaf: usize, prefix: IpNet) -> Vec<String> {
    net.tables(leaf).ways(MAIN, prefix).into_keys().map(|way| way.to_string()).collect()
}

/// How many gateways there are on a link.
fn nexthops(net: &Net, leaf: usize, device: IfIndex) -> usize {
    net.tables(leaf).nexthops.values().filter(|nexthop| nexthop.device == device).count()
}

/// What neighbour `from` could say of prefixes.
fn said(from: u8, next_hop: &str, all: &[IpNet]) -> (PathAttributes, Vec<Announced>) {
    let mut attributes = PathAttributes::originated(next_hop.parse().unwrap());
    attributes.as_path = AsPath::default().prepended(Asn(65000 + u32::from(from)));
    let bare = |prefix: &IpNet| Announced::bare(RouteKey::Unicast { prefix: *prefix });
    (attributes, all.iter().map(bare).collect())
}

fn inject(net: &mut Net, leaf: usize, from: u8, next_hop: &str, all: &[IpNet]) {
    let (attributes, announced) = said(from, next_hop, all);
    net.inject(leaf, from, attributes, announced);
}

#[test]
fn what_is_announced_is_told_with_our_address_and_programmed() {
    let net = two(&BOTH);
    let [path] = &paths(&net, 1, loopback(1))[..] else { panic!("one path") };
    assert_eq!(path.fate, PathFate::Best(None));
    assert_eq!((path.attributes.next_hop, path.attributes.link_local), (underlay(1), None));
    assert_eq!(path.attributes.as_path, AsPath::default().prepended(Asn(65001)));
    assert_eq!(path.attributes.origin, Origin::Igp);
    assert_eq!(ways(&net, 1, loopback(1)), ["10.9.0.1"]);
    // Our own is known, and forwarded by nobody's but the kernel's own route.
    assert_eq!(prefixes(&net, 1, Family::IPV4_UNICAST), ["10.0.0.1/32", "10.0.0.2/32"]);
    assert!(ways(&net, 1, loopback(2)).is_empty());
    // Nobody agreed on IPv6.
    assert_eq!(prefixes(&net, 1, Family::IPV6_UNICAST), ["2001:db8::2/128"]);
}

#[test]
fn a_prefix_that_is_no_longer_announced_goes() {
    let mut net = two(&BOTH);
    net.reconfigure(0, |settings| settings.unicast.prefixes = vec![prefix("10.7.0.0/16")]);
    assert_eq!(prefixes(&net, 1, Family::IPV4_UNICAST), ["10.0.0.2/32", "10.7.0.0/16"]);
    assert!(ways(&net, 1, loopback(1)).is_empty());
    assert_eq!(nexthops(&net, 1, UNDERLAY), 1, "shared");
}

#[test]
fn connected_prefixes_are_announced_but_for_those_of_tenants() {
    let mut net = two(&BOTH);
    net.reconfigure(0, |settings| settings.unicast.redistribute_connected = true);
    let dummy = Link {
        index: DUMMY,
        name: "lo1".into(),
        master: None,
        port: None,
        kind: LinkKind::Other("dummy".into()),
        addresses: vec![prefix("10.255.0.1/32"), prefix("10.255.1.1/24")],
        ..links(1).remove(0)
    };
    let mut all = links(1);
    all.push(dummy);
    let connected = |underlay: &str| {
        let of = |device, net: &str| (device, prefix(net));
        KernelEvent::Connected(vec![
            of(UNDERLAY, underlay),
            of(BRIDGE, "192.168.100.0/24"),
            of(UNDERLAY, "fe80::/64"),
        ])
    };
    net.kernel(0, vec![KernelEvent::Links(all.clone()), connected("10.9.0.0/24")]);
    let told = ["10.0.0.1/32", "10.0.0.2/32", "10.9.0.0/24", "10.255.0.1/32"];
    assert_eq!(prefixes(&net, 1, Family::IPV4_UNICAST), told);
    let path = paths(&net, 1, prefix("10.255.0.1/32")).remove(0);
    assert_eq!(path.attributes.origin, Origin::Incomplete, "nobody named it");
    // Its own prefix is told back, and is not to be reached through somebody else.
    let own = paths(&net, 1, prefix("10.9.0.0/24"));
    assert_eq!(own.len(), 1);

    all.pop();
    net.kernel(0, vec![KernelEvent::Links(all)]);
    assert_eq!(prefixes(&net, 1, Family::IPV4_UNICAST), told[..3]);
}

#[test]
fn equal_paths_share_the_traffic_and_a_spine_is_the_next_hop_of_what_it_passes_on() {
    let mut net = fabric();
    let at_leaf = paths(&net, 0, loopback(4));
    let hops: Vec<IpAddr> = at_leaf.iter().map(|path| path.attributes.next_hop).collect();
    assert_eq!(hops, [underlay(2), underlay(3)]);
    assert_eq!(at_leaf[0].fate, PathFate::Best(Some(Step::RouterId)));
    assert_eq!(at_leaf[1].fate, PathFate::Lost(Step::RouterId));
    assert_eq!(at_leaf.iter().map(|path| path.multipath).collect::<Vec<_>>(), [false, true]);
    assert_eq!(ways(&net, 0, loopback(4)), ["10.9.0.2", "10.9.0.3"]);
    // The loopback of a spine has one way, over no group.
    assert_eq!(ways(&net, 0, loopback(2)), ["10.9.0.2"]);
    assert_eq!((net.tables(0).groups.len(), net.tables(0).nexthops.len()), (1, 2));

    net.unplug(2);
    // Its routes are kept over a restart, and go when that takes too long.
    assert_eq!(ways(&net, 0, loopback(4)).len(), 2);
    net.advance(Duration::from_secs(130));
    assert_eq!(ways(&net, 0, loopback(4)), ["10.9.0.2"]);
    assert!(ways(&net, 0, loopback(3)).is_empty());
    assert_eq!((net.tables(0).groups.len(), net.tables(0).nexthops.len()), (0, 1));
}

#[test]
fn a_spine_that_becomes_the_next_hop_adds_to_the_metric_and_a_reflector_does_not() {
    for (ases, wanted) in [(Ases::Each, 8), (Ases::One, 7)] {
        let mut net = Net::up(Vec::from([1, 2, 3].map(|n| {
            let peers: &[u8] = if n == 2 { &[1, 3] } else { &[2] };
            let mut settings = speaks(n, peers, ases, &[Family::IPV4_UNICAST]);
            for neighbor in &mut settings.neighbors {
                neighbor.aigp = true;
                neighbor.route_reflector_client = n == 2 && ases == Ases::One;
            }
            settings
        })));
        let (mut attributes, announced) = said(3, "10.9.0.3", &[prefix("10.5.0.0/16")]);
        let value = vec![1, 0, 11, 0, 0, 0, 0, 0, 0, 0, 7];
        attributes.unknown = vec![RawAttribute { flags: 0x80, code: 26, value: value.into() }];
        if ases == Ases::One {
            (attributes.as_path, attributes.local_pref) = (AsPath::default(), Some(100));
        }
        net.inject(1, 3, attributes, announced);
        let found = paths(&net, 0, prefix("10.5.0.0/16"));
        assert_eq!(aigp::metric(&found[0].attributes), Some(wanted));
    }
}

#[test]
fn no_more_ways_are_used_than_the_settings_allow() {
    let mut net = fabric();
    net.reconfigure(0, |settings| settings.multipath.max_paths = 1);
    assert_eq!(ways(&net, 0, loopback(4)), ["10.9.0.2"], "the preferred one");
}

#[test]
fn what_no_connected_link_leads_to_is_rejected_until_the_link_is_back() {
    let mut net = two(&BOTH);
    let fate = |net: &Net| paths(net, 1, loopback(1)).remove(0).fate;
    net.kernel(1, vec![KernelEvent::Connected(Vec::new())]);
    assert_eq!(fate(&net), PathFate::Rejected("its next hop is on no connected link"));
    assert!(ways(&net, 1, loopback(1)).is_empty());
    assert_eq!(exchanged(&net, 1, Family::IPV4_UNICAST).unwrap().received.rejected, 1);
    assert_eq!(exchanged(&net, 1, Family::EVPN).unwrap().received.rejected, 0);

    net.kernel(1, vec![KernelEvent::Connected(vec![(UNDERLAY, prefix("10.9.0.0/24"))])]);
    assert_eq!(fate(&net), PathFate::Best(None));
    assert_eq!(ways(&net, 1, loopback(1)), ["10.9.0.1"]);
    // The link is another one now.
    net.kernel(1, vec![KernelEvent::Connected(vec![(DUMMY, prefix("10.9.0.0/24"))])]);
    assert_eq!((nexthops(&net, 1, DUMMY), nexthops(&net, 1, UNDERLAY)), (1, 0));
}

#[test]
fn what_a_link_without_carrier_leads_to_is_reached_by_the_next_best_way_at_once() {
    let families = [Family::IPV4_UNICAST];
    let mut net = Net::up(vec![
        speaks(1, &[2, 3], Ases::Each, &families),
        speaks(2, &[1], Ases::Each, &families),
        speaks(3, &[1], Ases::Each, &families),
    ]);
    let mut all = links(1);
    let name = "eth1".into();
    all.push(Link {
        index: DUMMY,
        name,
        addresses: vec![prefix("10.8.0.1/24")],
        ..links(1).remove(0)
    });
    let nets = [(UNDERLAY, "10.9.0.0/24"), (DUMMY, "10.8.0.0/24")];
    let connected = nets.map(|(device, net)| (device, prefix(net))).to_vec();
    net.kernel(0, vec![KernelEvent::Links(all.clone()), KernelEvent::Connected(connected)]);
    let far = prefix("10.77.0.0/16");
    let (mut better, routes) = said(2, "10.8.0.2", &[far]);
    better.as_path = AsPath::default();
    net.inject(0, 2, better, routes);
    net.reconfigure(2, |settings| settings.unicast.prefixes.push(far));
    assert_eq!(ways(&net, 0, far), ["10.8.0.2"]);
    // The kernel keeps the connected prefix, and drops what leads over the link.
    all.last_mut().unwrap().carrier = false;
    net.kernel(0, vec![KernelEvent::Links(all)]);
    assert_eq!(ways(&net, 0, far), ["10.9.0.3"]);
    assert_eq!(net.view(0).neighbors().iter().filter(|n| n.is_established()).count(), 2);
}

#[test]
fn a_rejected_path_is_not_passed_on() {
    let mut net = fabric();
    net.kernel(1, vec![KernelEvent::Connected(Vec::new())]);
    assert_eq!(ways(&net, 0, loopback(4)), ["10.9.0.3"]);
    assert_eq!(paths(&net, 0, loopback(4)).len(), 1);
    assert_eq!(ways(&net, 0, loopback(2)), ["10.9.0.2"], "its own it still announces");
}

#[test]
fn a_next_hop_of_the_link_needs_no_connected_prefix() {
    let mut net = two(&BOTH);
    let far = prefix("10.77.0.0/16");
    inject(&mut net, 0, 2, "fe80::2", &[far]);
    assert_eq!(ways(&net, 0, far), ["fe80::2"]);
    assert_eq!(nexthops(&net, 0, UNDERLAY), 2);
    inject(&mut net, 0, 2, "172.31.0.1", &[far]);
    let fate = paths(&net, 0, far).remove(0).fate;
    assert_eq!(fate, PathFate::Rejected("its next hop is on no connected link"));
    assert!(ways(&net, 0, far).is_empty());
}

#[test]
fn what_is_ours_is_preferred_to_what_is_told() {
    let mut net = two(&BOTH);
    let anycast = prefix("10.99.0.1/32");
    for leaf in [0, 1] {
        net.reconfigure(leaf, |settings| settings.unicast.prefixes.push(anycast));
    }
    let both = paths(&net, 0, anycast);
    assert_eq!(both[0].peer, None);
    assert_eq!(both[1].fate, PathFate::Lost(Step::Local));
    assert!(ways(&net, 0, anycast).is_empty());
    net.reconfigure(0, |settings| settings.unicast.prefixes.clear());
    assert_eq!(ways(&net, 0, anycast), ["10.9.0.2"]);
}

#[test]
fn a_reflector_keeps_the_next_hop() {
    let families = [Family::IPV4_UNICAST];
    let mut reflector = speaks(1, &[2, 3], Ases::One, &families);
    reflector.neighbors.iter_mut().for_each(|n| n.route_reflector_client = true);
    let client = |n| speaks(n, &[1], Ases::One, &families);
    let net = Net::up(vec![reflector, client(2), client(3)]);
    let reflected = paths(&net, 2, loopback(2)).remove(0).attributes;
    assert_eq!(reflected.next_hop, underlay(2));
    assert_eq!(reflected.originator_id, Some("10.0.0.2".parse().unwrap()));
    assert_eq!(ways(&net, 2, loopback(2)), ["10.9.0.2"]);
    let own = paths(&net, 2, loopback(1)).remove(0).attributes;
    assert_eq!(own.next_hop, underlay(1), "its own it announces with its own");
}

#[test]
fn a_route_whose_next_hop_a_neighbour_cannot_read_is_not_told_to_it() {
    let families = [Family::IPV4_UNICAST];
    let mut reflector = speaks(1, &[2, 3, 4], Ases::One, &families);
    reflector.neighbors.iter_mut().for_each(|n| n.route_reflector_client = true);
    let client = |n, extended| {
        let mut settings = speaks(n, &[1], Ases::One, &families);
        settings.neighbors[0].session.extended_next_hop = extended;
        settings
    };
    let mut net = Net::up(vec![reflector, client(2, true), client(3, false), client(4, true)]);
    let v6 = vec![(UNDERLAY, prefix("10.9.0.0/24")), (UNDERLAY, prefix("2001:db8:9::/64"))];
    for leaf in 0..4 {
        net.kernel(leaf, vec![KernelEvent::Connected(v6.clone())]);
    }
    let far = prefix("10.77.0.0/16");
    inject(&mut net, 0, 2, "2001:db8:9::2", &[far]);
    assert_eq!(ways(&net, 0, far), ["2001:db8:9::2"]);
    assert_eq!(ways(&net, 3, far), ["2001:db8:9::2"]);
    assert!(paths(&net, 2, far).is_empty(), "RFC 8950 was not agreed on");
    assert!(exchanged(&net, 2, Family::IPV4_UNICAST).is_some(), "and its family stands");
    assert_eq!(paths(&net, 2, loopback(2)).len(), 1);
    // Once it says what can be told, it is.
    inject(&mut net, 0, 2, "10.9.0.2", &[far]);
    assert_eq!(ways(&net, 2, far), ["10.9.0.2"]);
    inject(&mut net, 0, 2, "2001:db8:9::2", &[far]);
    assert!(paths(&net, 2, far).is_empty());
}

#[test]
fn ipv6_over_a_session_of_ipv4_has_the_links_addresses_as_next_hops() {
    let families = [Family::IPV6_UNICAST];
    let all = [(1, 2), (2, 1)].map(|(n, peer)| speaks(n, &[peer], Ases::Each, &families));
    let mut net = Net::new(all.to_vec());
    for (leaf, n) in [(0, 1), (1, 2)] {
        let mut links = links(n);
        links[0].addresses.push(prefix(&format!("2001:db8:9::{n}/64")));
        links[0].addresses.push(prefix(&format!("fe80::{n}/64")));
        let connected = ["10.9.0.0/24", "2001:db8:9::/64", "fe80::/64"];
        let connected = connected.map(|net| (UNDERLAY, prefix(net))).to_vec();
        net.kernel(
            leaf,
            vec![
                KernelEvent::Links(links),
                KernelEvent::Connected(connected),
                KernelEvent::Adopted,
            ],
        );
    }
    net.advance(Duration::from_secs(15));
    let path = paths(&net, 1, loopback6(1)).remove(0);
    assert_eq!(path.attributes.next_hop, "2001:db8:9::1".parse::<IpAddr>().unwrap());
    assert_eq!(path.attributes.link_local, Some("fe80::1".parse().unwrap()));
    assert_eq!(ways(&net, 1, loopback6(1)), ["fe80::1"]);
    // Without the link-local address it would be the global one.
    inject(&mut net, 1, 1, "2001:db8:9::1", &[loopback6(9)]);
    assert_eq!(ways(&net, 1, loopback6(9)), ["2001:db8:9::1"]);
}

#[test]
fn who_is_on_no_common_link_is_not_told_a_link_local_address() {
    let families = [Family::IPV6_UNICAST];
    let all = [(1, 2), (2, 1)].map(|(n, peer)| speaks(n, &[peer], Ases::One, &families));
    let mut net = Net::new(all.to_vec());
    for (leaf, n) in [(0, 1), (1, 2)] {
        let mut links = links(n);
        let own =
            [format!("10.9.0.{n}/32"), format!("2001:db8:9::{n}/128"), format!("fe80::{n}/64")];
        links[0].addresses = own.iter().map(|net| prefix(net)).collect();
        let connected = KernelEvent::Connected(vec![(DUMMY, prefix("2001:db8:9::/64"))]);
        net.kernel(leaf, vec![KernelEvent::Links(links), connected, KernelEvent::Adopted]);
    }
    net.advance(Duration::from_secs(15));
    let path = paths(&net, 1, loopback6(1)).remove(0);
    assert_eq!(path.attributes.next_hop, "2001:db8:9::1".parse::<IpAddr>().unwrap());
    assert_eq!(path.attributes.link_local, None);
    assert_eq!(ways(&net, 1, loopback6(1)), ["2001:db8:9::1"]);
}

#[test]
fn an_address_that_comes_under_a_session_that_stands_is_told_as_the_next_hop() {
    let families = [Family::IPV6_UNICAST];
    let all = [(1, 2), (2, 1)].map(|(n, peer)| speaks(n, &[peer], Ases::Each, &families));
    let mut net = Net::new(all.to_vec());
    let without = |n| {
        let mut links = links(n);
        links[0].addresses.retain(|net| net.addr().is_ipv4());
        links
    };
    for (leaf, n) in [(0, 1), (1, 2)] {
        let connected = KernelEvent::Connected(vec![(UNDERLAY, prefix("10.9.0.0/24"))]);
        net.kernel(leaf, vec![KernelEvent::Links(without(n)), connected, KernelEvent::Adopted]);
    }
    net.advance(Duration::from_secs(15));
    assert!(exchanged(&net, 1, Family::IPV6_UNICAST).unwrap().end_of_rib_received);
    assert!(paths(&net, 1, loopback6(1)).is_empty(), "there is no way to say where we are");

    let mut with = without(1);
    with[0].addresses.push(prefix("fe80::1/64"));
    net.kernel(0, vec![KernelEvent::Links(with.clone())]);
    assert_eq!(ways(&net, 1, loopback6(1)), ["fe80::1"]);
    with[0].addresses.push(prefix("2001:db8:9::1/64"));
    net.kernel(0, vec![KernelEvent::Links(with.clone())]);
    let path = paths(&net, 1, loopback6(1)).remove(0);
    assert_eq!(path.attributes.next_hop, "2001:db8:9::1".parse::<IpAddr>().unwrap());
    // And what is no longer announced from then on goes.
    net.reconfigure(0, |settings| settings.unicast.prefixes.clear());
    assert!(paths(&net, 1, loopback6(1)).is_empty());
    // The same addresses again tell nobody anything.
    let sent = net.leaves[0].sent;
    net.kernel(0, vec![KernelEvent::Links(with)]);
    assert_eq!(net.leaves[0].sent, sent);
}

#[test]
fn the_limit_of_routes_is_for_each_family() {
    let mut net = two(&BOTH);
    net.learn(1, 2);
    let held = |net: &Net, family| exchanged(net, 0, family).map(|state| state.received.held);
    assert_eq!(held(&net, Family::EVPN), Some(5));
    net.reconfigure(0, |settings| settings.neighbors[0].max_prefix = Some(5));
    let more: Vec<IpNet> = (0..4).map(|n| prefix(&format!("10.7{n}.0.0/16"))).collect();
    inject(&mut net, 0, 2, "10.9.0.2", &more);
    assert_eq!(held(&net, Family::IPV4_UNICAST), Some(5), "and as many of EVPN: it stands");
    inject(&mut net, 0, 2, "10.9.0.2", &[prefix("10.99.0.0/16")]);
    let neighbors = net.view(0).neighbors();
    assert_ne!(neighbors[0].session.state(), SessionState::Established);
    assert_eq!(neighbors[0].received.held, 0);
}

#[test]
fn each_family_ends_its_own_routes() {
    let all = [Family::EVPN, Family::IPV4_UNICAST, Family::IPV6_UNICAST, Family::RT_CONSTRAINT];
    let mut net = two(&all);
    let neighbor = net.view(0).neighbors().remove(0);
    let mut families: Vec<Family> = neighbor.families.iter().map(|state| state.family).collect();
    families.sort();
    assert_eq!(families.len(), 4);
    assert!(neighbor.families.iter().all(|f| f.end_of_rib_sent && f.end_of_rib_received));
    let held: usize = neighbor.families.iter().map(|f| f.received.held).sum();
    assert_eq!(neighbor.received.held, held);

    // Leaf 2 restarts: what it said is stale, of every family, until it ends that family's routes.
    net.kill(1);
    let stale = |net: &Net| net.view(0).neighbors()[0].received.stale;
    assert_eq!(stale(&net), held);
    assert_eq!(ways(&net, 0, loopback(2)), ["10.9.0.2"], "it forwards in the meantime");
    net.start_again(1, Vec::new());
    net.advance(Duration::from_secs(90));
    assert_eq!(stale(&net), 0);
    assert_eq!(ways(&net, 0, loopback(2)), ["10.9.0.2"]);
}

/// An UPDATE of the neighbour for which leaf 1 gives a family up (RFC 7606 section 2).
fn give_up(net: &mut Net, family: Family) {
    give_up_with(net, family, Vec::new());
}

/// The same, which withdraws routes of other families too.
fn give_up_with(net: &mut Net, family: Family, withdrawn: Vec<RouteKey>) {
    let neighbor = net.view(0).neighbors().remove(0);
    let (peer, ends) = (neighbor.index, neighbor.session.endpoints().unwrap());
    let (connection, at) = (ends.connection, net.now.time);
    let (action, disabled) = (Action::DisableAfiSafi, FamilySet::EMPTY.with(family));
    let update = Update { action, disabled, withdrawn, ..Update::default() };
    let message = Box::new(Message::Update(update));
    net.input(0, Input::Received { peer, connection, message, at });
}

#[test]
fn a_family_that_is_given_up_leaves_the_others() {
    for (given_up, other) in [BOTH, [Family::IPV4_UNICAST, Family::EVPN]].map(|[a, b]| (a, b)) {
        let mut net = two(&BOTH);
        net.learn(1, 2);
        let before = exchanged(&net, 0, other).unwrap().received;
        give_up(&mut net, given_up);
        let state = exchanged(&net, 0, given_up).unwrap();
        assert!(state.given_up && state.received.held == 0, "{given_up}");
        assert_eq!(exchanged(&net, 0, other).unwrap().received, before, "{given_up}");
        assert!(net.view(0).neighbors()[0].is_established());
        let is_evpn = given_up == Family::EVPN;
        assert_eq!(net.tables(0).host(mac(2)).is_some(), !is_evpn);
        assert_eq!(ways(&net, 0, loopback(2)).is_empty(), !is_evpn);
        // And what comes of it later is not heard.
        inject(&mut net, 0, 2, "10.9.0.2", &[prefix("10.77.0.0/16")]);
        assert_eq!(ways(&net, 0, prefix("10.77.0.0/16")).is_empty(), !is_evpn);
        // What we tell is told all the same, lest the neighbour keep what is gone.
        net.reconfigure(0, |settings| settings.unicast.prefixes.clear());
        assert!(ways(&net, 1, loopback(1)).is_empty());
        let told = net.leaves[0].events.iter().any(|e| e.to_string().contains("is given up"));
        assert!(told, "{given_up}");
    }
}

#[test]
fn what_is_withdrawn_with_an_error_of_another_family_goes() {
    let mut net = two(&BOTH);
    assert_eq!(ways(&net, 0, loopback(2)), ["10.9.0.2"]);
    give_up_with(&mut net, Family::EVPN, vec![RouteKey::Unicast { prefix: loopback(2) }]);
    assert!(net.view(0).neighbors()[0].is_established());
    assert!(ways(&net, 0, loopback(2)).is_empty());
}

/// Leaf 1 routes what comes through tunnels in the underlay's own table.
fn in_main() -> Net {
    let all = [(1, 2), (2, 1)].map(|(n, peer)| {
        let mut settings = speaks(n, &[peer], Ases::Each, &BOTH);
        settings.vrfs[0].table = MAIN;
        settings
    });
    Net::up(all.to_vec())
}

#[test]
fn a_type_5_route_gives_way_to_a_unicast_route_and_comes_back_when_that_goes() {
    let mut net = in_main();
    let both = prefix("198.51.2.0/24");
    assert_eq!(ways(&net, 0, both), ["10.0.0.2"], "the VTEP");
    net.reconfigure(1, |settings| settings.unicast.prefixes.push(prefix("198.51.2.0/24")));
    assert_eq!(ways(&net, 0, both), ["10.9.0.2"], "the neighbour on the link");
    net.reconfigure(1, |settings| settings.unicast.prefixes.clear());
    assert_eq!(ways(&net, 0, both), ["10.0.0.2"]);
}

#[test]
fn pages_of_prefixes_are_sorted_and_filtered_by_prefix() {
    let mut net = two(&BOTH);
    let all: Vec<IpNet> = (0..40u8).rev().map(|n| prefix(&format!("10.{n}.0.0/16"))).collect();
    inject(&mut net, 0, 2, "10.9.0.2", &all);
    inject(&mut net, 0, 2, "10.9.0.2", &[prefix("10.0.0.0/8"), prefix("9.0.0.0/8")]);
    let family = Some(Family::IPV4_UNICAST);
    let filter = RouteFilter { family, ..RouteFilter::default() };
    let (mut read, mut cursor) = (Vec::new(), None);
    loop {
        let page = net.view(0).routes(&filter, cursor.as_ref(), 7);
        assert_eq!(page.total, Some(44));
        read.extend(page.routes.into_iter().map(|route| match route.key {
            RouteKey::Unicast { prefix } => prefix,
            other => panic!("{other}"),
        }));
        match page.next {
            Some(next) => cursor = Some(next.to_string().parse().unwrap()),
            None => break,
        }
    }
    assert_eq!(read.len(), 44);
    assert_eq!(
        read[..4].iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["9.0.0.0/8", "10.0.0.0/8", "10.0.0.0/16", "10.0.0.1/32"]
    );
    assert!(read.is_sorted());
    let only = RouteFilter { prefix: Some(all[3]), ..filter };
    let found = net.view(0).routes(&only, None, 100);
    assert_eq!((found.routes.len(), found.total), (1, None));
}
