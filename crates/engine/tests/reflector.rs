//! Route reflection (RFC 4456): **a client's routes reach every internal neighbour, those of others
//! reach clients, and none comes back to where it began.**

mod common;

use common::*;
use evpn_engine::settings::Settings;
use evpn_engine::view::routes::{PathFate, RouteFilter, RoutePath};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// Leaf 1 reflects among leaves that know nobody else; `clients` of them are its clients.
fn star(leaves: u8, clients: &[u8]) -> Net {
    let mut all = vec![reflector(1, &(2..=leaves).collect::<Vec<_>>(), clients)];
    all.extend((2..=leaves).map(|n| settings(n, &[1], Ases::One)));
    Net::up(all)
}

fn reflector(n: u8, peers: &[u8], clients: &[u8]) -> Settings {
    let mut settings = settings(n, peers, Ases::One);
    for neighbor in &mut settings.neighbors {
        let client = clients.iter().any(|n| neighbor.id == underlay(*n).into());
        neighbor.route_reflector_client = client;
    }
    settings
}

/// The paths of a host's MAC route at a leaf.
fn paths(net: &Net, leaf: usize, n: u8) -> Vec<RoutePath> {
    let filter = RouteFilter { mac: Some(mac(n)), ..RouteFilter::default() };
    net.paths(leaf, &filter)
}

fn knows(net: &Net, leaf: usize, n: u8) -> bool {
    net.tables(leaf).host(mac(n)).is_some()
}

#[test]
fn who_is_told_what() {
    // 2 and 3 are clients, 4 and 5 are not.
    let mut net = star(5, &[2, 3]);
    net.learn(1, 20);
    net.learn(3, 40);
    let told = |net: &Net, host| [1, 2, 3, 4].map(|leaf| knows(net, leaf, host));
    assert_eq!(told(&net, 20), [false, true, true, true], "a client's host, here known as local");
    assert_eq!(told(&net, 40), [true, true, false, false], "a host of another reaches clients");
    assert!(knows(&net, 0, 20) && knows(&net, 0, 40));
    net.forget(1, 20);
    assert_eq!(told(&net, 20), [false; 4], "and its end as well");
}

#[test]
fn a_reflected_route_says_who_began_it_and_by_whom_it_came_and_is_else_unchanged() {
    let mut net = star(3, &[2, 3]);
    net.learn(1, 20);
    let path = paths(&net, 2, 20).remove(0);
    assert_eq!(path.attributes.originator_id, Some(Ipv4Addr::new(10, 0, 0, 2)));
    assert_eq!(path.attributes.cluster_list, [Ipv4Addr::new(10, 0, 0, 1)]);
    assert_eq!(path.attributes.next_hop, IpAddr::from([10, 0, 0, 2]));
    assert_eq!(path.attributes.local_pref, Some(100));
    let at_reflector = paths(&net, 0, 20).remove(0);
    let strip = |mut attributes: evpn_proto::bgp::attributes::PathAttributes| {
        (attributes.originator_id, attributes.cluster_list) = (None, Default::default());
        attributes
    };
    assert_eq!(strip((*path.attributes).clone()), strip((*at_reflector.attributes).clone()));
}

#[test]
fn equal_attributes_of_two_clients_keep_their_own_originators() {
    let mut net = star(4, &[2, 3, 4]);
    // Both say the same next hop: one set of attributes at the reflector.
    for n in [2, 3] {
        net.inject(0, n, attributes(2), vec![mac_route(n, mac(n))]);
    }
    let originator = |n| paths(&net, 3, n).remove(0).attributes.originator_id;
    let id = |n| Some(Ipv4Addr::new(10, 0, 0, n));
    assert_eq!([originator(2), originator(3)], [id(2), id(3)]);
}

#[test]
fn between_two_reflectors_nothing_goes_in_circles() {
    // 1 and 2 are each other's clients and both have 3 and 4 as clients.
    let all = vec![
        reflector(1, &[2, 3, 4], &[2, 3, 4]),
        reflector(2, &[1, 3, 4], &[1, 3, 4]),
        settings(3, &[1, 2], Ases::One),
        settings(4, &[1, 2], Ases::One),
    ];
    let mut net = Net::up(all);
    net.learn(2, 30);
    let at_client = paths(&net, 3, 30);
    assert_eq!(at_client.len(), 4, "two routes, from both reflectors");
    assert!(at_client.iter().all(|p| p.attributes.cluster_list.len() == 1), "{at_client:#?}");
    let back: Vec<_> = paths(&net, 2, 30).into_iter().filter(|p| p.peer.is_some()).collect();
    assert!(
        back.iter().all(|p| p.fate == PathFate::Rejected("its ORIGINATOR_ID is our router id")),
        "{back:#?}"
    );
    let sent = net.leaves.iter().map(|l| l.sent).sum::<usize>();
    net.advance(Duration::from_secs(5));
    assert_eq!(net.leaves.iter().map(|l| l.sent).sum::<usize>(), sent, "all is said");
}

#[test]
fn a_route_that_was_in_our_cluster_is_shown_as_rejected() {
    let mut net = star(3, &[2, 3]);
    let mut looped = attributes(9);
    looped.originator_id = Some(Ipv4Addr::new(10, 0, 0, 9));
    looped.cluster_list = vec![Ipv4Addr::new(10, 0, 0, 7), Ipv4Addr::new(10, 0, 0, 1)];
    net.inject(0, 2, looped, vec![mac_route(9, mac(9))]);
    let fate = paths(&net, 0, 9).remove(0).fate;
    assert_eq!(fate, PathFate::Rejected("our cluster id is in its CLUSTER_LIST"));
    assert!(!knows(&net, 2, 9));
}

#[test]
fn whoever_becomes_a_client_is_told_from_then_on() {
    let mut net = star(4, &[]);
    net.learn(1, 20);
    assert!(!knows(&net, 2, 20) && !knows(&net, 3, 20));
    net.reconfigure(0, |settings| {
        let neighbors = settings.neighbors.iter_mut();
        for neighbor in neighbors.filter(|n| n.id == underlay(3).into()) {
            neighbor.route_reflector_client = true;
        }
    });
    net.advance(Duration::from_secs(30));
    assert!(knows(&net, 2, 20), "leaf 3 is a client");
    assert!(!knows(&net, 3, 20), "leaf 4 is none");
}
