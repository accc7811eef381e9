//! Neighbours on an interface: facts come in any order, nobody is dialled before all are there, and
//! what keeps a neighbour away is told.

mod common;

use common::*;
use evpn_dataplane::facts::{KernelEvent, Link};
use evpn_dataplane::object::IfIndex;
use evpn_engine::settings::{ListenSettings, Settings};
use evpn_engine::{Event, Input, Obstacle};
use evpn_proto::bgp::session::{Mode, PeerAs, Reason, SessionState, StopReason};
use evpn_proto::types::NeighborId;
use evpn_rib::PeerIdx;
use std::net::{SocketAddr, SocketAddrV6};
use std::time::Duration;

fn swp(name: &str) -> NeighborId {
    name.parse().unwrap()
}

/// The settings of leaf `n` whose one neighbour is on `eth0`.
fn unnumbered(n: u8) -> Settings {
    let mut settings = settings(n, &[9], Ases::Each);
    settings.neighbors[0].id = swp("eth0");
    settings.neighbors[0].session.peer_as = PeerAs::External;
    settings
}

/// Two leaves on a link that nobody has advertised himself on yet.
fn two() -> Net {
    let mut net = Net::new(vec![unnumbered(1), unnumbered(2)]);
    net.boot();
    net
}

fn see(net: &mut Net, leaf: usize, device: IfIndex, n: u8) {
    net.input(leaf, Input::RouterSeen { device, address: link_local(n) });
}

/// Both hear of each other.
fn meet(net: &mut Net) {
    see(net, 0, UNDERLAY, 2);
    see(net, 1, UNDERLAY, 1);
    net.advance(Duration::from_secs(15));
}

fn up() -> Net {
    let mut net = two();
    meet(&mut net);
    assert!(is_up(&net));
    net
}

fn is_up(net: &Net) -> bool {
    net.view(0).neighbor(swp("eth0")).unwrap().is_established()
}

fn obstacle(net: &Net) -> Option<Obstacle> {
    net.view(0).neighbor(swp("eth0")).unwrap().obstacle.map(|(obstacle, _)| obstacle)
}

/// The links of leaf 1 with a change of the underlay's.
fn with(change: impl Fn(&mut Link)) -> Vec<KernelEvent> {
    let mut links = links(1);
    change(&mut links[0]);
    vec![KernelEvent::Links(links)]
}

#[test]
fn two_leaves_without_addresses_find_each_other_and_exchange_routes() {
    let mut net = two();
    assert_eq!(obstacle(&net), Some(Obstacle::NoRouter));
    assert_eq!(net.leaves[0].dialled, []);
    assert_eq!(net.view(0).neighbor(swp("eth0")).unwrap().session.next_deadline(), None);
    meet(&mut net);
    assert!(is_up(&net));
    net.learn(1, 7);
    assert_eq!(net.tables(0).host(mac(7)), Some(vtep(2)));
    let neighbor = net.view(0).neighbor(swp("eth0")).unwrap();
    assert_eq!(neighbor.address, Some(link_local(2).into()));
    assert_eq!(neighbor.obstacle, None);
    let ends = neighbor.session.endpoints().unwrap();
    let SocketAddr::V6(remote) = ends.remote else { panic!("{ends:?}") };
    assert_eq!((*remote.ip(), remote.scope_id()), (link_local(2), UNDERLAY.0));
    let filter = evpn_engine::view::routes::RouteFilter { mac: Some(mac(7)), ..Default::default() };
    let path = &net.view(0).routes(&filter, None, 1).routes[0].paths[0];
    assert_eq!(path.peer, Some(swp("eth0")), "routes name it as people do");
}

#[test]
fn we_advertise_ourselves_on_the_neighbours_interface_only() {
    let mut net = two();
    let [port] = net.leaves[0].advertised.as_slice() else { panic!("one interface") };
    assert_eq!((port.device, port.source), (UNDERLAY, link_local(1)));
    // Not while it cannot be used, nor for one that is shut down, nor when it is gone.
    let first = port.epoch;
    net.kernel(0, with(|link| link.carrier = false));
    assert_eq!(net.leaves[0].advertised, []);
    net.kernel(0, with(|_| {}));
    assert!(net.leaves[0].advertised[0].epoch > first, "what was heard before counts no more");
    net.reconfigure(0, |settings| settings.neighbors[0].shutdown = true);
    assert_eq!(net.leaves[0].advertised, []);
    net.reconfigure(0, |settings| settings.neighbors[0].shutdown = false);
    assert_eq!(net.leaves[0].advertised.len(), 1);
    net.reconfigure(0, |settings| settings.neighbors.clear());
    assert_eq!(net.leaves[0].advertised, []);
}

#[test]
fn each_fact_that_is_missing_is_told_and_the_order_in_which_they_come_never_matters() {
    let mut net = two();
    type Fault<'a> = &'a dyn Fn(&mut Link);
    let steps: [(Fault<'_>, Obstacle); 5] = [
        (&|link| link.name = "eth7".into(), Obstacle::NoDevice),
        (&|link| (link.admin_up, link.carrier) = (false, false), Obstacle::NotUp),
        (&|link| link.carrier = false, Obstacle::NoCarrier),
        (&|link| link.master = Some(BRIDGE), Obstacle::BridgePort),
        (&|link| link.addresses.truncate(1), Obstacle::NoLinkLocal),
    ];
    for (change, expected) in steps {
        net.kernel(0, with(change));
        assert_eq!(obstacle(&net), Some(expected));
        // An advertisement that comes from nowhere is nobody's.
        see(&mut net, 0, UNDERLAY, 2);
        assert_eq!(net.leaves[0].dialled, []);
        net.kernel(0, with(|_| {}));
        assert_eq!(obstacle(&net), Some(Obstacle::NoRouter));
    }
    meet(&mut net);
    assert!(is_up(&net));
    let told: Vec<String> = net.leaves[0].events.iter().map(Event::to_string).collect();
    let count = |text: &str| told.iter().filter(|line| line.contains(text)).count();
    assert_eq!(count("neighbor eth0 is down: interface eth0 does not exist"), 1, "{told:?}");
    assert_eq!(count("interface eth0 is not up"), 1);
    assert_eq!(count("interface eth0 has no carrier"), 1);
}

#[test]
fn a_neighbour_whose_interface_comes_after_the_start_is_found() {
    let mut net = Net::new(vec![unnumbered(1), unnumbered(2)]);
    net.boot_one(1, Vec::new());
    net.kernel(0, vec![KernelEvent::Links(Vec::new()), KernelEvent::Adopted]);
    assert_eq!(obstacle(&net), Some(Obstacle::NoDevice));
    net.kernel(0, with(|_| {}));
    meet(&mut net);
    assert!(is_up(&net));
}

#[test]
fn loss_of_carrier_ends_the_session_at_once_and_everything_begins_anew() {
    let mut net = up();
    net.learn(1, 7);
    net.kernel(0, with(|link| link.carrier = false));
    assert!(!is_up(&net));
    let neighbor = net.view(0).neighbor(swp("eth0")).unwrap();
    let reason = &neighbor.session.last_reset().unwrap().reason;
    assert_eq!(*reason, Reason::Stopped(StopReason::PathGone));
    assert_eq!((neighbor.address, neighbor.session.next_deadline()), (None, None));
    assert_eq!(net.tables(0).host(mac(7)), None, "routes would lead into a hole");
    let dialled = net.leaves[0].dialled.len();
    net.advance(Duration::from_secs(300));
    assert_eq!(net.leaves[0].dialled.len(), dialled, "nobody is dialled meanwhile");
    net.kernel(0, with(|_| {}));
    assert_eq!(obstacle(&net), Some(Obstacle::NoRouter));
    meet(&mut net);
    assert!(is_up(&net));
    assert_eq!(net.tables(0).host(mac(7)), Some(vtep(2)));
}

#[test]
fn an_interface_made_anew_has_another_index_and_the_neighbour_is_looked_for_again() {
    let mut net = up();
    net.kernel(0, with(|link| link.index = IfIndex(77)));
    assert!(!is_up(&net));
    // What the old one heard says nothing.
    see(&mut net, 0, UNDERLAY, 2);
    assert_eq!(obstacle(&net), Some(Obstacle::NoRouter));
    see(&mut net, 0, IfIndex(77), 2);
    let remote = net.view(0).neighbor(swp("eth0")).unwrap().address;
    assert_eq!(remote, Some(link_local(2).into()));
    assert_eq!(net.leaves[0].located.last(), Some(&Some((link_local(2), IfIndex(77)))));
}

#[test]
fn a_newcomer_takes_over_only_where_no_session_stands() {
    let mut net = Net::new([1, 2, 3].map(unnumbered).into());
    net.boot();
    // Nobody answers at the first address.
    see(&mut net, 0, UNDERLAY, 77);
    net.advance(Duration::from_secs(30));
    assert!(!is_up(&net));
    meet(&mut net);
    assert!(is_up(&net));
    let address = |net: &Net| net.view(0).neighbor(swp("eth0")).unwrap().address;
    assert_eq!(address(&net), Some(link_local(2).into()));
    // Another one beside a session that stands is told of, however often both are heard in turn.
    let rivals = |net: &Net| {
        let is = |e: &&Event| e.to_string().contains("another router, fe80::3, is heard");
        net.leaves[0].events.iter().filter(is).count()
    };
    for told in [1, 1, 1, 2] {
        for n in [3, 2] {
            see(&mut net, 0, UNDERLAY, n);
        }
        assert_eq!((address(&net), rivals(&net)), (Some(link_local(2).into()), told));
        net.advance(Duration::from_secs(250));
    }
    assert!(is_up(&net));
    see(&mut net, 0, UNDERLAY, 3);
    // When the session ends, who was heard last is the neighbour.
    see(&mut net, 2, UNDERLAY, 1);
    net.unplug(1);
    net.advance(Duration::from_secs(130));
    assert_eq!(address(&net), Some(link_local(3).into()));
    assert!(is_up(&net));
}

#[test]
fn an_advertisement_of_our_own_or_from_another_interface_is_nobodys() {
    let mut net = two();
    see(&mut net, 0, UNDERLAY, 1);
    see(&mut net, 0, PORT, 2);
    see(&mut net, 0, IfIndex(999), 2);
    assert_eq!(obstacle(&net), Some(Obstacle::NoRouter));
    assert_eq!(net.leaves[0].located, []);
}

fn call(net: &mut Net, serial: u64, n: u8, scope: u32) {
    let remote = SocketAddrV6::new(link_local(n), 40_000, 0, scope).into();
    let local = SocketAddrV6::new(link_local(1), 179, 0, scope).into();
    net.input(0, Input::Accepted { serial, local, remote });
}

#[test]
fn a_call_belongs_to_the_neighbour_by_address_and_link() {
    let mut net = two();
    net.reconfigure(0, |settings| settings.neighbors[0].session.mode = Mode::Passive);
    let state = |net: &Net| net.view(0).neighbor(swp("eth0")).unwrap().session.state();
    let refused = |net: &Net, text: &str| {
        net.leaves[0].events.iter().filter(|e| e.to_string().contains(text)).count()
    };
    call(&mut net, 900, 2, UNDERLAY.0);
    assert_eq!(refused(&net, "fe80::2 refused: it is not the router that is heard on eth0"), 1);
    see(&mut net, 0, UNDERLAY, 2);
    assert_eq!(state(&net), SessionState::Active, "it waits for the neighbour to dial");
    call(&mut net, 901, 2, PORT.0);
    assert_eq!(refused(&net, "connection from fe80::2 refused: no [[neighbor]]"), 1);
    call(&mut net, 902, 3, UNDERLAY.0);
    assert_eq!(state(&net), SessionState::Active);
    call(&mut net, 903, 2, UNDERLAY.0);
    assert_eq!(state(&net), SessionState::OpenSent);
}

#[test]
fn a_link_local_caller_is_no_dynamic_neighbour_even_where_everybody_is_let_in() {
    let mut net = two();
    net.reconfigure(0, |settings| {
        let neighbor = settings.neighbors[0].clone();
        let (group, limit) = ("all".into(), 9);
        settings.listen = vec![ListenSettings {
            group,
            limit,
            neighbor,
            prefixes: vec![prefix("::/0"), prefix("0.0.0.0/0")],
        }];
    });
    call(&mut net, 900, 5, PORT.0);
    assert_eq!(net.view(0).neighbors().len(), 1);
}

#[test]
fn two_neighbours_may_have_one_address_each_on_its_own_link() {
    let mut settings = unnumbered(1);
    let mut second = settings.neighbors[0].clone();
    second.id = swp("swp1");
    settings.neighbors.push(second);
    let mut net = Net::new(vec![settings]);
    net.boot_one(0, Vec::new());
    let mut all = links(1);
    let swp1 = all.iter_mut().find(|l| l.name == "swp1").unwrap();
    (swp1.master, swp1.addresses) = (None, vec![prefix("fe80::1/64")]);
    net.kernel(0, vec![KernelEvent::Links(all)]);
    for device in [UNDERLAY, PORT] {
        see(&mut net, 0, device, 2);
    }
    let states = |net: &Net| -> Vec<(String, SessionState)> {
        let all = net.view(0).neighbors();
        all.iter().map(|n| (n.id().to_string(), n.session.state())).collect()
    };
    call(&mut net, 900, 2, PORT.0);
    let expected = [("eth0".into(), SessionState::Active), ("swp1".into(), SessionState::OpenSent)];
    assert_eq!(states(&net), expected, "nobody answers, and one has called");
    call(&mut net, 901, 2, UNDERLAY.0);
    assert_eq!(states(&net).iter().filter(|(_, s)| *s == SessionState::OpenSent).count(), 2);
    let indices: Vec<PeerIdx> = net.view(0).neighbors().iter().map(|n| n.index).collect();
    assert_ne!(indices[0], indices[1]);
}

#[test]
fn a_learned_address_is_kept_out_of_the_tunnels_as_a_written_one_is() {
    let mut net = Net::new(
        [1, 2]
            .map(|n| {
                let mut settings = unnumbered(n);
                settings.vrfs[0].table = 254;
                settings
            })
            .into(),
    );
    net.boot();
    net.learn(1, 7);
    meet(&mut net);
    // Without connected prefixes nothing covers the address more closely.
    net.kernel(0, vec![KernelEvent::Connected(Vec::new())]);
    let (mut wide, route) = prefix_route(2, prefix("fe80::/10"));
    wide.next_hop = vtep(2);
    let neighbor = net.view(0).neighbor(swp("eth0")).unwrap();
    let (peer, connection) = (neighbor.index, neighbor.session.endpoints().unwrap().connection);
    let update = evpn_proto::bgp::message::Update {
        attributes: Some(std::sync::Arc::new(wide)),
        announced: vec![route],
        ..Default::default()
    };
    let message = Box::new(evpn_proto::bgp::message::Message::Update(update));
    let at = net.now.time;
    net.input(0, Input::Received { peer, connection, message, at });
    assert_eq!(net.tables(0).ways(254, prefix("fe80::/10")).len(), 0);
    let why = net.view(0).why_prefix(prefix("fe80::/10"), None);
    let reasons: Vec<&str> =
        why.tables.iter().flat_map(|t| &t.candidates).map(|c| c.reason.as_str()).collect();
    assert!(reasons.iter().any(|r| r.contains("it would capture")), "{reasons:?}");
}
