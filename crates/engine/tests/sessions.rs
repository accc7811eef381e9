//! What neighbours agree on beyond families: roles, and what is said when a session is taken down.

mod common;

use common::*;
use evpn_engine::settings::Settings;
use evpn_engine::view::routes::RouteFilter;
use evpn_engine::{ClearKind, Input};
use evpn_proto::bgp::otc;
use evpn_proto::bgp::role::Role;
use evpn_proto::bgp::session::{SessionState, StopReason};
use evpn_proto::types::Asn;
use std::time::Duration;

/// Two leaves of two ASes, the first of which is this to the second, and the second that.
fn as_roles(first: Role, second: Role) -> Net {
    Net::mesh(2, Ases::Each, |settings| {
        let role = if settings.asn == Asn(65001) { first } else { second };
        settings.neighbors[0].session.role = Some(role);
    })
}

fn state(net: &Net, leaf: usize) -> SessionState {
    net.view(leaf).neighbors()[0].session.state()
}

/// Everything that a leaf's log says.
fn log(net: &Net, leaf: usize) -> String {
    let lines: Vec<String> = net.leaves[leaf].events.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[test]
fn roles_that_contradict_each_other_keep_the_session_down_and_both_sides_say_why() {
    let net = as_roles(Role::Customer, Role::Peer);
    assert_ne!(state(&net, 0), SessionState::Established);
    for told in [log(&net, 0), log(&net, 1)] {
        assert!(told.contains("correct `role` here or at the peer"), "{told}");
    }
}

#[test]
fn evpn_routes_are_no_leaks_whatever_the_roles_are() {
    let mut net = as_roles(Role::Provider, Role::Customer);
    assert_eq!(state(&net, 0), SessionState::Established);
    // RFC 9234 section 5: from a customer it would be a leak, were it unicast.
    let mut marked = attributes(2);
    otc::mark(&mut marked, Asn(65009));
    net.inject(0, 2, marked, vec![mac_route(2, mac(7))]);
    assert_eq!(net.tables(0).host(mac(7)), Some(vtep(2)));
    net.learn(0, 1);
    assert_eq!(net.tables(1).host(mac(1)), Some(vtep(1)));
    let filter = RouteFilter { mac: Some(mac(1)), ..RouteFilter::default() };
    let routes = net.view(1).routes(&filter, None, 10).routes;
    assert_eq!(otc::only_to_customer(&routes[0].paths[0].attributes), None, "nothing is added");
}

#[test]
fn another_role_takes_a_new_session() {
    let mut net = as_roles(Role::Provider, Role::Customer);
    let peers = |settings: &mut Settings| settings.neighbors[0].session.role = Some(Role::Peer);
    net.reconfigure(0, peers);
    net.advance(Duration::from_secs(20));
    assert_ne!(state(&net, 0), SessionState::Established);
    net.reconfigure(1, peers);
    net.advance(Duration::from_secs(120));
    assert_eq!(state(&net, 0), SessionState::Established);
}

#[test]
fn what_is_said_at_a_shutdown_is_in_the_neighbors_log() {
    let mut net = as_roles(Role::Peer, Role::Peer);
    net.reconfigure(0, |settings| {
        settings.neighbors[0].shutdown_message = "rack 7 moves".to_owned();
    });
    assert_eq!(state(&net, 1), SessionState::Established, "a message by itself ends nothing");
    net.reconfigure(0, |settings| settings.neighbors[0].shutdown = true);
    assert_ne!(state(&net, 1), SessionState::Established);
    let told = log(&net, 1);
    assert!(told.contains("Administrative Shutdown (6/2) \"rack 7 moves\""), "{told}");
}

#[test]
fn what_is_said_at_a_reset_is_in_the_neighbors_log() {
    let mut net = as_roles(Role::Peer, Role::Peer);
    let peer = net.view(0).neighbors()[0].index;
    let text = "a\u{1b}[2J".to_owned();
    net.input(0, Input::Clear { peer, kind: ClearKind::Hard(StopReason::Reset { text }) });
    let told = log(&net, 1);
    assert!(told.contains("Administrative Reset (6/4) \"a\\u{1b}[2J\""), "{told}");
}
