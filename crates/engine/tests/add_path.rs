//! Several paths to a route (RFC 7911): **who takes them is told every path of others, each under a
//! number that is its own for as long as it is there, and forwards by all that cost the same.**

mod common;

use common::*;
use evpn_dataplane::facts::KernelEvent;
use evpn_engine::settings::{AllVnis, Settings, Targets};
use evpn_engine::view::routes::{RouteFilter, RoutePath};
use evpn_engine::{ClearKind, Input};
use evpn_proto::bgp::attributes::{Community, PathAttributes};
use evpn_proto::bgp::message::{AddPath, Message, PathIdentifiers, Update};
use evpn_proto::bgp::session::StopReason;
use evpn_proto::types::{Asn, Family, Route, RouteKey, RouteTarget};
use evpn_rib::table::{PATHS_MAX, PathId};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

const MAIN_TABLE: u32 = 254;

fn anycast() -> IpNet {
    prefix("203.0.113.1/32")
}

/// A leaf that speaks IPv4 unicast beside EVPN, with what it would do with path identifiers.
fn leaf(n: u8, peers: &[u8], add_path: impl Fn(u8) -> Option<AddPath>) -> Settings {
    let mut settings = settings(n, peers, Ases::One);
    for (neighbor, peer) in settings.neighbors.iter_mut().zip(peers) {
        let families = vec![Family::IPV4_UNICAST, Family::EVPN];
        let mode = add_path(*peer);
        let session = &mut neighbor.session;
        session.add_path = mode.iter().flat_map(|m| families.iter().map(|f| (*f, *m))).collect();
        session.families = families;
        session.enhanced_route_refresh = true;
        neighbor.route_reflector_client = n == 1;
    }
    settings
}

fn announces(settings: &mut Settings, prefixes: &[IpNet]) {
    settings.unicast.prefixes = prefixes.to_vec();
}

/// Leaf 1 reflects among its clients and would send every path; 2 and 3 announce one prefix, 4 takes
/// several paths, 5 does not.
fn star() -> Net {
    let mut all = vec![leaf(1, &[2, 3, 4, 5], |_| Some(AddPath::Send))];
    for n in 2..=5 {
        let mut settings = leaf(n, &[1], |_| (n == 4).then_some(AddPath::Receive));
        if n < 4 {
            announces(&mut settings, &[anycast()]);
        }
        all.push(settings);
    }
    Net::up(all)
}

fn unicast_paths(net: &Net, leaf: usize) -> Vec<RoutePath> {
    let family = Some(Family::IPV4_UNICAST);
    net.paths(leaf, &RouteFilter { family, prefix: Some(anycast()), ..RouteFilter::default() })
}

/// The paths that a leaf was told, by next hop.
fn told(net: &Net, leaf: usize) -> BTreeMap<IpAddr, Option<PathId>> {
    let paths = unicast_paths(net, leaf).into_iter().filter(|path| path.peer.is_some());
    paths.map(|path| (path.attributes.next_hop, path.path_id)).collect()
}

fn hops(net: &Net, leaf: usize) -> Vec<IpAddr> {
    net.tables(leaf).ways(MAIN_TABLE, anycast()).into_keys().collect()
}

fn advertised(net: &Net, n: u8) -> usize {
    let neighbor = net.view(0).neighbor(underlay(n)).unwrap();
    let of_family = neighbor.families.iter().find(|f| f.family == Family::IPV4_UNICAST);
    of_family.unwrap().advertised
}

/// Leaf 1 hears of routes from a neighbour, as an UPDATE says it.
fn hear(net: &mut Net, from: u8, update: Update) {
    let neighbor = net.view(0).neighbor(underlay(from)).unwrap();
    let (peer, connection) = (neighbor.index, neighbor.session.endpoints().unwrap().connection);
    let (message, at) = (Box::new(Message::Update(update)), net.now.time);
    net.input(0, Input::Received { peer, connection, message, at });
}

/// An UPDATE with several paths to the prefix.
fn several(ids: &[u32], next_hop: IpAddr) -> Update {
    let route = Route::bare(RouteKey::Unicast { prefix: anycast() });
    Update {
        attributes: Some(Arc::new(PathAttributes::originated(next_hop))),
        announced: vec![route; ids.len()],
        path_ids: PathIdentifiers { announced: ids.to_vec(), ..PathIdentifiers::default() },
        ..Update::default()
    }
}

#[test]
fn a_client_that_takes_several_paths_forwards_by_all_of_them() {
    let net = star();
    let both = [underlay(2), underlay(3)];
    assert_eq!(hops(&net, 3), both);
    let ids: Vec<Option<PathId>> = told(&net, 3).into_values().collect();
    assert!(ids[0].is_some() && ids[1].is_some() && ids[0] != ids[1], "{ids:?}");
    assert_eq!(unicast_paths(&net, 3).iter().filter(|path| path.multipath).count(), 1);
    assert_eq!(advertised(&net, 4), 2);
    // Control: who does not take them has one way.
    assert_eq!(told(&net, 4), [(underlay(2), None)].into());
    assert_eq!((hops(&net, 4), advertised(&net, 5)), (vec![underlay(2)], 1));
}

#[test]
fn a_path_that_ends_leaves_the_others_under_their_numbers() {
    let mut net = star();
    let before = told(&net, 3);
    net.reconfigure(1, |settings| announces(settings, &[]));
    let rest = BTreeMap::from([(underlay(3), before[&underlay(3)])]);
    assert_eq!(told(&net, 3), rest, "the best one has gone");
    assert_eq!(hops(&net, 3), [underlay(3)]);
    net.reconfigure(1, |settings| announces(settings, &[anycast()]));
    assert_eq!(told(&net, 3).len(), 2);
    net.reconfigure(2, |settings| announces(settings, &[]));
    assert_eq!(told(&net, 3).into_keys().collect::<Vec<_>>(), [underlay(2)], "not the best");
    net.reconfigure(1, |settings| announces(settings, &[]));
    assert_eq!(told(&net, 3), BTreeMap::new());
    assert!(hops(&net, 3).is_empty());
    assert_eq!((advertised(&net, 4), advertised(&net, 5)), (0, 0));
}

#[test]
fn a_session_that_ends_takes_its_paths_with_it_and_brings_them_back() {
    let mut net = star();
    net.unplug(1);
    assert_eq!(told(&net, 3).len(), 2, "it may come back (RFC 4724)");
    net.advance(Duration::from_secs(200));
    assert_eq!(told(&net, 3).into_keys().collect::<Vec<_>>(), [underlay(3)], "it does not");
    net.leaves[1].unplugged = false;
    net.advance(Duration::from_secs(120));
    assert_eq!(hops(&net, 3), [underlay(2), underlay(3)]);
    let peer = net.view(0).neighbor(underlay(4)).unwrap().index;
    let connection = |net: &Net| {
        net.view(3).neighbor(underlay(1)).unwrap().session.endpoints().unwrap().connection
    };
    let before = connection(&net);
    let kind = ClearKind::Hard(StopReason::ConfigChanged);
    net.input(0, Input::Clear { peer, kind });
    net.advance(Duration::from_secs(120));
    assert_ne!(connection(&net), before, "control: the session is another one");
    assert_eq!(hops(&net, 3), [underlay(2), underlay(3)]);
    assert_eq!(advertised(&net, 4), 2);
}

#[test]
fn a_refresh_loses_nothing_and_ends_what_was_not_told_again() {
    let mut net = star();
    let before = told(&net, 3);
    // A path that the reflector does not know of.
    let phantom = 77;
    let neighbor = net.view(3).neighbor(underlay(1)).unwrap();
    let (peer, connection) = (neighbor.index, neighbor.session.endpoints().unwrap().connection);
    let message = Box::new(Message::Update(several(&[phantom], underlay(9))));
    net.input(3, Input::Received { peer, connection, message, at: net.now.time });
    assert_eq!(told(&net, 3).get(&underlay(9)), Some(&Some(PathId(phantom))));
    net.input(3, Input::Clear { peer, kind: ClearKind::Soft });
    assert_eq!(told(&net, 3), before);
    assert_eq!(hops(&net, 3), [underlay(2), underlay(3)]);
}

#[test]
fn each_path_goes_where_its_own_rules_let_it() {
    let mut all = vec![leaf(1, &[2, 3, 4, 5], |_| Some(AddPath::Both))];
    all.extend((2..=5).map(|n| leaf(n, &[1], |_| Some(AddPath::Both))));
    // Of internal neighbours 2 alone is a client.
    for neighbor in &mut all[0].neighbors {
        neighbor.route_reflector_client = neighbor.id == underlay(2).into();
    }
    announces(&mut all[1], &[anycast()]);
    announces(&mut all[2], &[anycast()]);
    let mut net = Net::up(all);
    let told_by = |net: &Net, leaf| told(net, leaf).into_keys().collect::<Vec<_>>();
    assert_eq!(told_by(&net, 1), [underlay(3)], "a client: what others say, and not its own");
    assert_eq!(told_by(&net, 2), [underlay(2)], "what a client says");
    assert_eq!(told_by(&net, 3), [underlay(2)], "and not what others say");
    // One of a neighbour's paths is not for others to know.
    let mut secret = several(&[9], underlay(8));
    let attributes = Arc::make_mut(secret.attributes.as_mut().unwrap());
    attributes.communities.push(Community::NO_ADVERTISE);
    hear(&mut net, 2, secret);
    hear(&mut net, 2, several(&[10], underlay(7)));
    assert_eq!(told(&net, 0).len(), 4, "{:?}", told(&net, 0));
    assert_eq!(told_by(&net, 3), [underlay(2), underlay(7)]);
    let ids: Vec<_> = told(&net, 3).into_values().collect();
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn a_withdrawal_names_its_path_and_a_family_without_identifiers_has_none() {
    let mut all = vec![leaf(1, &[2, 3], |_| Some(AddPath::Both)), leaf(2, &[1], |_| None)];
    all.push(leaf(3, &[1], |_| Some(AddPath::Both)));
    let mut net = Net::up(all);
    hear(&mut net, 3, several(&[0, 5, u32::MAX], underlay(9)));
    let ids = |net: &Net| {
        let paths = unicast_paths(net, 0).into_iter();
        paths.map(|path| path.path_id.map(|id| id.0)).collect::<Vec<_>>()
    };
    assert_eq!(ids(&net), [Some(0), Some(5), Some(u32::MAX)]);
    let withdrawal = |ids: &[u32]| Update {
        withdrawn: vec![RouteKey::Unicast { prefix: anycast() }; ids.len()],
        path_ids: PathIdentifiers { withdrawn: ids.to_vec(), ..PathIdentifiers::default() },
        ..Update::default()
    };
    hear(&mut net, 3, withdrawal(&[0, 6, u32::MAX]));
    assert_eq!(ids(&net), [Some(5)]);
    // From leaf 2, which did not agree on any, what stands in its place means nothing.
    let mut plain = several(&[0], underlay(8));
    plain.path_ids = PathIdentifiers::default();
    hear(&mut net, 2, plain);
    assert_eq!(ids(&net), [None, Some(5)]);
    hear(&mut net, 2, withdrawal(&[0]));
    assert_eq!(ids(&net), [Some(5)]);
}

#[test]
fn too_many_paths_to_one_route_are_left_out_and_counted() {
    let all = [leaf(1, &[2], |_| Some(AddPath::Receive)), leaf(2, &[1], |_| Some(AddPath::Send))];
    let mut net = Net::up(all.to_vec());
    let ids: Vec<u32> = (0..u32::try_from(PATHS_MAX).unwrap() + 44).collect();
    hear(&mut net, 2, several(&ids, underlay(9)));
    let neighbor = net.view(0).neighbor(underlay(2)).unwrap();
    let of_family = neighbor.families.iter().find(|f| f.family == Family::IPV4_UNICAST);
    assert_eq!(of_family.unwrap().received.held, PATHS_MAX);
    assert_eq!(neighbor.faults.routes_discarded, 44);
    assert_eq!(neighbor.last_fault, Some("more than 256 paths to one route"));
}

#[test]
fn a_limit_of_routes_counts_paths() {
    let mut all =
        [leaf(1, &[2], |_| Some(AddPath::Receive)), leaf(2, &[1], |_| Some(AddPath::Send))];
    all[0].neighbors[0].max_prefix = Some(10);
    let mut net = Net::up(all.to_vec());
    hear(&mut net, 2, several(&[1, 2, 3], underlay(9)));
    assert!(net.view(0).neighbor(underlay(2)).unwrap().is_established());
    let ids: Vec<u32> = (1..=11).collect();
    hear(&mut net, 2, several(&ids, underlay(9)));
    assert!(!net.view(0).neighbor(underlay(2)).unwrap().is_established());
}

/// The VTEPs of the paths to a prefix that leaves 2 and 3 tell the reflector under one key.
fn vteps_of_one_key(net: &mut Net, leaves: [usize; 2]) -> [Vec<IpAddr>; 2] {
    let service = prefix("198.51.100.0/24");
    let filter = RouteFilter { prefix: Some(service), ..RouteFilter::default() };
    // One distinguisher for both sites.
    let (attributes, route) = prefix_route(9, service);
    for n in [2, 3] {
        let mut attributes = attributes.clone();
        attributes.as_path = Default::default();
        attributes.next_hop = vtep(n);
        net.inject(0, n, attributes, vec![route.clone()]);
    }
    leaves.map(|leaf| {
        let paths = net.paths(leaf, &filter).into_iter();
        paths.map(|path| path.attributes.next_hop).collect()
    })
}

#[test]
fn evpn_routes_of_one_key_keep_their_paths() {
    let [all, one] = vteps_of_one_key(&mut star(), [3, 4]);
    assert_eq!(all, [vtep(2), vtep(3)]);
    assert_eq!(one, [vtep(2)], "control: who does not take them has one");
}

#[test]
fn who_says_what_it_wants_is_told_every_path_of_that_and_no_other() {
    let mut all = vec![leaf(1, &[2, 3, 4, 5], |_| Some(AddPath::Send))];
    all.extend((2..=5).map(|n| leaf(n, &[1], |_| Some(AddPath::Receive))));
    for settings in &mut all {
        for neighbor in &mut settings.neighbors {
            neighbor.session.families = vec![Family::EVPN, Family::RT_CONSTRAINT];
            neighbor.session.add_path.retain(|(family, _)| *family == Family::EVPN);
        }
        // By name, so that not everything is wanted.
        let target = RouteTarget::auto(Asn(65009), vni(L3VNI));
        let wants =
            if settings.router_id.octets()[3] == 5 { "1:1".parse().unwrap() } else { target };
        settings.vrfs[0].import = Targets { auto: false, explicit: vec![wants] };
        settings.all_vnis = AllVnis::NamedOnly;
    }
    let mut net = Net::up(all);
    let [wanted, not_wanted] = vteps_of_one_key(&mut net, [3, 4]);
    assert_eq!(wanted, [vtep(2), vtep(3)]);
    assert_eq!(not_wanted, Vec::<IpAddr>::new(), "leaf 5 wants something else");
    net.reconfigure(4, |settings| {
        let target = RouteTarget::auto(Asn(65009), vni(L3VNI));
        settings.vrfs[0].import = Targets { auto: false, explicit: vec![target] };
    });
    let filter = RouteFilter { prefix: Some(prefix("198.51.100.0/24")), ..RouteFilter::default() };
    assert_eq!(net.paths(4, &filter).len(), 2, "until it wants this one");
}

#[test]
fn who_is_told_another_next_hop_keeps_no_path_under_a_former_number() {
    let family = Family::IPV6_UNICAST;
    let all = (1..=4).map(|n| {
        let peers: &[u8] = if n == 1 { &[2, 3, 4] } else { &[1] };
        let mode = if n == 1 { AddPath::Send } else { AddPath::Receive };
        let mut settings = leaf(n, peers, |peer| (n == 4 || peer == 4).then_some(mode));
        for neighbor in &mut settings.neighbors {
            let session = &mut neighbor.session;
            session.families = vec![family];
            session.add_path = session.add_path.iter().map(|(_, mode)| (family, *mode)).collect();
        }
        settings
    });
    let mut net = Net::up(all.collect());
    let anycast = prefix("2001:db8:a::/48");
    let route = || vec![Route::bare(RouteKey::Unicast { prefix: anycast })];
    for n in [2, 3] {
        net.inject(0, n, PathAttributes::originated(link_local(n).into()), route());
    }
    let filter = RouteFilter { family: Some(family), ..RouteFilter::default() };
    assert_eq!(net.paths(3, &filter).len(), 2);
    let withdrawn = vec![RouteKey::Unicast { prefix: anycast }];
    hear(&mut net, 2, Update { withdrawn, ..Update::default() });
    assert_eq!(net.paths(3, &filter).len(), 1);

    let mut links = links(1);
    links[0].addresses.push(prefix("2001:db8:9::1/64"));
    net.kernel(0, vec![KernelEvent::Links(links)]);
    let paths = net.paths(3, &filter);
    let hops: Vec<IpAddr> = paths.iter().map(|path| path.attributes.next_hop).collect();
    assert_eq!(hops, ["2001:db8:9::1".parse::<IpAddr>().unwrap()]);
}
