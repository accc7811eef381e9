//! What a session is used for beyond families: roles, what is said when it is taken down, AIGP.

mod common;

use common::*;
use evpn_engine::settings::Settings;
use evpn_engine::view::routes::{PathFate, RouteFilter};
use evpn_engine::{ClearKind, Input};
use evpn_proto::bgp::attributes::{PathAttributes, RawAttribute};
use evpn_proto::bgp::otc;
use evpn_proto::bgp::role::Role;
use evpn_proto::bgp::session::{SessionState, StopReason};
use evpn_proto::types::Asn;
use evpn_rib::decision::Step;
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

/// Three leaves of three ASes: the second takes the metric from the first, and tells it to the third
/// if both ends have it on.
fn with_aigp(first: bool, third: [bool; 2]) -> Net {
    Net::mesh(3, Ases::Each, |settings| {
        let own = settings.router_id.octets()[3];
        for neighbor in &mut settings.neighbors {
            neighbor.aigp = match (own, neighbor.id.address()) {
                (2, address) if address == Some(underlay(1)) => first,
                (2, _) => third[0],
                (3, address) if address == Some(underlay(2)) => third[1],
                _ => false,
            };
        }
    })
}

/// Attributes of leaf 1 with a metric, a TLV that nobody knows, and more.
fn metered(metric: u8) -> PathAttributes {
    let mut attributes = attributes(1);
    attributes.as_path = attributes.as_path.prepended(Asn(65001));
    let value = [&[1, 0, 11, 0, 0, 0, 0, 0, 0, 0, metric][..], &[9, 0, 4, 42]].concat();
    attributes.unknown = vec![RawAttribute { flags: 0x80, code: 26, value: value.into() }];
    attributes
}

/// The relayed attributes of the path to host 7 that leaf `n` told a leaf.
fn relayed(net: &Net, leaf: usize, n: u8) -> Vec<RawAttribute> {
    let filter = RouteFilter { mac: Some(mac(7)), ..RouteFilter::default() };
    let routes = net.view(leaf).routes(&filter, None, 10).routes;
    let path = routes[0].paths.iter().find(|p| p.peer == Some(underlay(n).into())).unwrap();
    path.attributes.unknown.clone()
}

#[test]
fn the_metric_goes_where_both_ends_have_it_on_and_nowhere_else() {
    for (first, third, taken, told) in [
        (true, [true, true], true, true),
        (true, [false, true], true, false),
        (true, [true, false], true, false),
        (false, [true, true], false, false),
    ] {
        let mut net = with_aigp(first, third);
        net.inject(1, 1, metered(7), vec![mac_route(1, mac(7))]);
        let whole = metered(7).unknown;
        assert_eq!(relayed(&net, 1, 1), if taken { whole.clone() } else { vec![] });
        assert_eq!(relayed(&net, 2, 2), if told { whole } else { vec![] }, "{first} {third:?}");
        let faults = net.view(1).neighbors()[0].faults;
        assert_eq!(faults, evpn_engine::Faults::default(), "nothing is wrong with it");
    }
}

#[test]
fn the_lower_metric_beats_the_shorter_path_and_says_so() {
    let mut net = Net::mesh(3, Ases::One, |_| {});
    let mut far = metered(5);
    far.as_path = far.as_path.prepended(Asn(64999));
    net.inject(0, 2, metered(7), vec![mac_route(2, mac(7))]);
    net.inject(0, 3, far, vec![mac_route(2, mac(7))]);
    let filter = RouteFilter { mac: Some(mac(7)), ..RouteFilter::default() };
    let best = |net: &Net| {
        let routes = net.view(0).routes(&filter, None, 10).routes;
        (routes[0].paths[0].peer.clone(), routes[0].paths[0].fate)
    };
    assert_eq!(best(&net), (Some(underlay(3).into()), PathFate::Best(Some(Step::Aigp))));
    // Off toward one of them: what it says counts nothing, after a new session.
    net.reconfigure(0, |settings| {
        settings.neighbors.iter_mut().for_each(|n| n.aigp = n.id.address() != Some(underlay(3)));
    });
    net.advance(Duration::from_secs(30));
    net.inject(0, 3, metered(5), vec![mac_route(2, mac(7))]);
    net.inject(0, 2, metered(7), vec![mac_route(2, mac(7))]);
    assert_eq!(best(&net), (Some(underlay(2).into()), PathFate::Best(Some(Step::Aigp))));
}
