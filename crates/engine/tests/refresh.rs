//! Refreshes with a begin and an end (RFC 7313): what goes, what stays, and what a restart has to do
//! with it.

mod common;

use common::*;
use evpn_engine::{ClearKind, Input};
use evpn_proto::bgp::message::{Family, Message, RouteRefresh};
use evpn_proto::bgp::session::SessionState;
use std::time::Duration;

const REQUEST: u8 = 0;
const BEGIN: u8 = 1;
const END: u8 = 2;
const SECOND: Duration = Duration::from_secs(1);

/// Two leaves, each with a host; the second has told the first of host 7 as well.
fn two() -> Net {
    let mut net = Net::mesh(2, Ases::Each, |_| {});
    net.learn(0, 1);
    net.learn(1, 2);
    net.inject(0, 2, attributes(2), vec![mac_route(2, mac(7))]);
    assert_eq!(hosts(&net), [Some(vtep(2)), Some(vtep(2))]);
    net
}

/// Where leaf 1 sends frames to hosts 2 and 7.
fn hosts(net: &Net) -> [Option<std::net::IpAddr>; 2] {
    [2, 7].map(|n| net.tables(0).host(mac(n)))
}

/// A ROUTE-REFRESH reaches a leaf as if its first neighbour had sent it.
fn refresh_of(net: &mut Net, leaf: usize, family: Family, subtype: u8) {
    let neighbor = &net.view(leaf).neighbors()[0];
    let (peer, connection) = (neighbor.index, neighbor.session.endpoints().unwrap().connection);
    let message = Box::new(Message::RouteRefresh(RouteRefresh { family, subtype }));
    let at = net.now.time;
    net.input(leaf, Input::Received { peer, connection, message, at });
}

fn refresh(net: &mut Net, leaf: usize, subtype: u8) {
    refresh_of(net, leaf, Family::EVPN, subtype);
}

fn clear(net: &mut Net, leaf: usize, kind: ClearKind) {
    let peer = net.view(leaf).neighbors()[0].index;
    net.input(leaf, Input::Clear { peer, kind });
}

/// What happened at a leaf to the refreshes with its first neighbour, the oldest first.
fn steps(net: &Net, leaf: usize) -> Vec<String> {
    let events = net.view(leaf).neighbors()[0].session.events();
    let texts = events.map(|event| event.kind.to_string());
    texts.filter_map(|t| Some(t.strip_prefix("refresh of l2vpn-evpn: ")?.to_owned())).collect()
}

fn refreshes_sent(net: &Net, leaf: usize) -> u64 {
    net.view(leaf).neighbors()[0].session.messages_sent().route_refresh
}

#[test]
fn what_is_not_told_again_between_begin_and_end_is_gone_and_nothing_else_moves() {
    let mut net = two();
    let before = net.tables(1).clone();
    // Host 7 is in nobody's table but ours: the neighbour does not tell it again.
    clear(&mut net, 0, ClearKind::SoftIn);
    assert_eq!(hosts(&net), [Some(vtep(2)), None]);
    assert_eq!(
        steps(&net, 0),
        [
            "we ask the neighbor for its routes",
            "the neighbor begins to send its routes again",
            "ended by the neighbor, routes gone: 1",
        ]
    );
    let sent = ["our routes are sent again", "all of our routes have been sent again"];
    assert_eq!(steps(&net, 1), sent);
    assert_eq!((refreshes_sent(&net, 0), refreshes_sent(&net, 1)), (1, 2));
    assert_eq!(*net.tables(1), before, "the one that was asked heard nothing");
}

#[test]
fn between_begin_and_end_everything_forwards() {
    let mut net = two();
    refresh(&mut net, 0, BEGIN);
    assert_eq!(hosts(&net), [Some(vtep(2)), Some(vtep(2))]);
    net.inject(0, 2, attributes(2), vec![mac_route(2, mac(7))]);
    net.inject(0, 2, attributes(2), vec![mac_route(2, mac(8))]);
    assert_eq!(hosts(&net), [Some(vtep(2)), Some(vtep(2))]);
    refresh(&mut net, 0, END);
    assert_eq!(hosts(&net), [None, Some(vtep(2))]);
    assert_eq!(net.tables(0).host(mac(8)), Some(vtep(2)), "what is new is no refresh's");
}

#[test]
fn a_begin_begins_anew_and_an_end_without_one_means_nothing() {
    let mut net = two();
    refresh(&mut net, 0, END);
    assert_eq!(hosts(&net), [Some(vtep(2)), Some(vtep(2))]);
    refresh(&mut net, 0, BEGIN);
    net.inject(0, 2, attributes(2), vec![mac_route(2, mac(7))]);
    net.advance(SECOND);
    refresh(&mut net, 0, BEGIN);
    refresh(&mut net, 0, END);
    assert_eq!(hosts(&net), [None, None]);
}

#[test]
fn who_begins_again_without_end_is_not_listened_to() {
    let mut net = two();
    refresh(&mut net, 0, BEGIN);
    net.inject(0, 2, attributes(2), vec![mac_route(2, mac(7))]);
    refresh(&mut net, 0, END);
    assert_eq!(hosts(&net), [None, Some(vtep(2))]);
    // What was told before the last begin that counts is not told again.
    for _ in 0..1000 {
        refresh(&mut net, 0, BEGIN);
    }
    assert_eq!(steps(&net, 0).len(), 4, "{:?}", steps(&net, 0));
    net.inject(0, 2, attributes(2), vec![mac_route(2, mac(7))]);
    refresh(&mut net, 0, END);
    assert_eq!(hosts(&net), [None, Some(vtep(2))]);
    refresh(&mut net, 0, BEGIN);
    refresh(&mut net, 0, END);
    assert_eq!(hosts(&net), [None, Some(vtep(2))], "too often");
    net.advance(SECOND);
    refresh(&mut net, 0, BEGIN);
    refresh(&mut net, 0, END);
    assert_eq!(hosts(&net), [None, None]);
}

#[test]
fn a_family_that_was_not_agreed_on_and_a_subtype_that_is_not_known_are_ignored() {
    let mut net = two();
    for subtype in [REQUEST, BEGIN, END] {
        refresh_of(&mut net, 0, Family::IPV4_UNICAST, subtype);
    }
    for subtype in 3..=u8::MAX {
        refresh(&mut net, 0, subtype);
    }
    refresh(&mut net, 0, END);
    assert_eq!(steps(&net, 0), [""; 0]);
    assert_eq!(hosts(&net), [Some(vtep(2)), Some(vtep(2))]);
}

#[test]
fn a_refresh_that_never_ends_is_ended_by_stale_time() {
    let mut net = two();
    let limit = net.view(0).settings().stale_time;
    refresh(&mut net, 0, BEGIN);
    net.inject(0, 2, attributes(2), vec![mac_route(2, mac(7))]);
    net.advance(limit - SECOND);
    assert_eq!(hosts(&net), [Some(vtep(2)), Some(vtep(2))]);
    net.advance(2 * SECOND);
    assert_eq!(hosts(&net), [None, Some(vtep(2))]);
    let log: Vec<String> = net.leaves[0].events.iter().map(ToString::to_string).collect();
    assert!(log.iter().any(|l| l.contains("not ended by the neighbor in time")), "{log:?}");
    refresh(&mut net, 0, END);
    assert_eq!(hosts(&net), [None, Some(vtep(2))], "the late end finds nothing");
}

#[test]
fn a_restart_in_the_midst_of_a_refresh_keeps_every_route() {
    let mut net = two();
    refresh(&mut net, 0, BEGIN);
    net.inject(0, 2, attributes(2), vec![mac_route(2, mac(7))]);
    net.unplug(1);
    assert_ne!(net.view(0).neighbors()[0].session.state(), SessionState::Established);
    assert_eq!(hosts(&net), [Some(vtep(2)), Some(vtep(2))], "not told again, and kept");
    // The refresh ended with its session: its timer takes nothing.
    net.advance(net.view(0).settings().stale_time + 5 * SECOND);
    assert_eq!(hosts(&net), [Some(vtep(2)), Some(vtep(2))]);
    net.leaves[1].unplugged = false;
    net.advance(30 * SECOND);
    assert_eq!(hosts(&net), [Some(vtep(2)), None], "End-of-RIB decides about what was kept");
    assert_eq!(net.view(0).neighbors()[0].received.stale, 0);
}

/// Leaf 2 has restarted beside leaf 1 and does not say End-of-RIB, since it waits for leaf 3, which
/// is unplugged.
fn before_end_of_rib() -> Net {
    let mut net = Net::mesh(3, Ases::Each, |_| {});
    net.learn(1, 2);
    net.inject(0, 2, attributes(2), vec![mac_route(2, mac(7))]);
    net.unplug(2);
    net.kill(1);
    net.start_again(1, host_events(2));
    net.advance(15 * SECOND);
    assert!(!net.view(0).neighbors()[0].end_of_rib_received);
    assert_eq!(hosts(&net), [Some(vtep(2)), Some(vtep(2))]);
    net
}

#[test]
fn a_begin_before_end_of_rib_is_ignored_and_told() {
    let mut net = before_end_of_rib();
    for _ in 0..3 {
        refresh(&mut net, 0, BEGIN);
        refresh(&mut net, 0, END);
    }
    assert_eq!(hosts(&net), [Some(vtep(2)), Some(vtep(2))]);
    let log: Vec<String> = net.leaves[0].events.iter().map(ToString::to_string).collect();
    let told = log.iter().filter(|l| l.contains("before its End-of-RIB: ignored"));
    assert_eq!(told.count(), 1, "{log:?}");
    net.advance(net.view(0).settings().sweep_delay);
    assert_eq!(hosts(&net), [Some(vtep(2)), None], "its End-of-RIB");
}

#[test]
fn who_asks_before_our_end_of_rib_is_answered_after_it() {
    let mut net = before_end_of_rib();
    clear(&mut net, 0, ClearKind::SoftIn);
    assert_eq!(steps(&net, 1), [""; 0]);
    net.advance(net.view(0).settings().sweep_delay);
    assert!(net.view(0).neighbors()[0].end_of_rib_received);
    assert_eq!(steps(&net, 1).len(), 2, "{:?}", steps(&net, 1));
    let told = steps(&net, 0);
    assert_eq!(told.last().unwrap(), "ended by the neighbor, routes gone: 0", "{told:?}");
}

#[test]
fn a_neighbour_that_knows_no_begin_and_end_is_told_everything_without() {
    let mut net = Net::mesh(2, Ases::Each, |settings| {
        let plain = settings.router_id.octets()[3] == 1;
        settings.neighbors[0].session.enhanced_route_refresh = !plain;
    });
    net.learn(1, 2);
    net.inject(0, 2, attributes(2), vec![mac_route(2, mac(7))]);
    let sent = net.leaves[1].sent;
    clear(&mut net, 0, ClearKind::SoftIn);
    assert!(net.leaves[1].sent > sent);
    assert_eq!((refreshes_sent(&net, 0), refreshes_sent(&net, 1)), (1, 0));
    assert_eq!(hosts(&net), [Some(vtep(2)), Some(vtep(2))], "nothing ends what is not told again");
    refresh(&mut net, 0, BEGIN);
    refresh(&mut net, 0, END);
    assert_eq!(hosts(&net), [Some(vtep(2)), Some(vtep(2))], "it may not say so");
}
