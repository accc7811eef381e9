//! More changes than are dealt with at once: **whoever hands in inputs can tell when to wait, and no
//! family waits for another one's flood to end.**

mod common;

use common::*;
use evpn_dataplane::object::Change;
use evpn_engine::{Input, Output, Progress};
use evpn_proto::bgp::attributes::{AsPath, PathAttributes};
use evpn_proto::bgp::message::{Message, Update};
use evpn_proto::types::{Asn, Family, Route, RouteKey};
use std::sync::Arc;

/// Two leaves, of which the first has not run since its neighbour has sent so many prefixes and,
/// after them, a host.
fn flooded(prefixes: u32) -> Net {
    let all = [(1, 2), (2, 1)].map(|(n, peer)| {
        let mut settings = settings(n, &[peer], Ases::Each);
        settings.neighbors[0].session.families = vec![Family::EVPN, Family::IPV4_UNICAST];
        settings
    });
    let mut net = Net::up(all.to_vec());
    let mut unicast = PathAttributes::originated(underlay(2));
    unicast.as_path = AsPath::default().prepended(Asn(65002));
    let bare = |n: u32| {
        let [_, a, b, c] = n.to_be_bytes();
        let prefix = prefix(&format!("10.{a}.{b}.{c}/32"));
        Route::bare(RouteKey::Unicast { prefix })
    };
    hand_in(&mut net, unicast, (0..prefixes).map(bare).collect());
    hand_in(&mut net, attributes(2), vec![mac_route(2, mac(2))]);
    net
}

fn hand_in(net: &mut Net, attributes: PathAttributes, announced: Vec<Route>) {
    let neighbor = net.view(0).neighbor(underlay(2)).unwrap();
    let (peer, connection) = (neighbor.index, neighbor.session.endpoints().unwrap().connection);
    let attributes = Some(Arc::new(attributes));
    let message = Box::new(Message::Update(Update { attributes, announced, ..Update::default() }));
    let (now, at) = (net.now, net.now.time);
    net.leaves[0].engine.handle(now, Input::Received { peer, connection, message, at });
}

#[test]
fn it_says_that_it_is_behind_until_it_is_not() {
    let mut net = flooded(30_000);
    let now = net.now;
    let engine = &mut net.leaves[0].engine;
    let mut runs = 0;
    while engine.is_behind() {
        assert_eq!(engine.run(now), Progress::More);
        runs += 1;
    }
    assert_eq!(runs, 3);
    assert!(!flooded(100).leaves[0].engine.is_behind());
}

#[test]
fn a_flood_of_one_family_does_not_keep_another_waiting() {
    let mut net = flooded(30_000);
    let now = net.now;
    let engine = &mut net.leaves[0].engine;
    assert_eq!(engine.run(now), Progress::More);
    let mut outputs = std::iter::from_fn(|| engine.poll_output());
    let is_host =
        |change: &Change| matches!(change, Change::Fdb(key, Some(_)) if key.mac == mac(2));
    assert!(outputs.any(|output| match output {
        Output::Dataplane(changes) => changes.iter().any(is_host),
        _ => false,
    }));
}
