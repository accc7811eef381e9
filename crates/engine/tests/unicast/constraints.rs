//! Route target constraints (RFC 4684): who is told which EVPN routes.

use super::*;
use evpn_engine::settings::{Targets, VniSettings};
use evpn_proto::types::{RouteTarget, RtMembership};

/// What leaf `n` imports, in both of its VNIs.
fn imports(settings: &mut Settings, l2: &str, l3: &str) {
    let only = |target: &str| Targets { auto: false, explicit: vec![target.parse().unwrap()] };
    let of_vni = VniSettings { import: only(l2), ..VniSettings::default() };
    settings.vnis.insert(vni(VNI), of_vni);
    settings.vrfs[0].import = only(l3);
}

#[test]
fn a_neighbour_is_told_the_evpn_routes_that_it_wants_and_no_others() {
    let families = [Family::EVPN, Family::RT_CONSTRAINT];
    let mut picky = speaks(1, &[2], Ases::Each, &families);
    imports(&mut picky, "65002:100", "65002:7");
    let mut net = Net::up(vec![picky, speaks(2, &[1], Ases::Each, &families)]);
    net.learn(1, 2);
    let wants = |net: &Net, leaf| prefixes(net, leaf, Family::RT_CONSTRAINT);
    assert_eq!(
        wants(&net, 1),
        ["default", "65001:RT:65002:7/96", "65001:RT:65002:100/96"],
        "leaf 2 imports from any AS, so it wants everything"
    );
    // The host, with its address and without, and the flood route; no prefix.
    let told = |net: &Net| exchanged(net, 0, Family::EVPN).unwrap().received.held;
    assert_eq!(told(&net), 3);
    assert!(net.tables(0).ways(TABLE, service()).is_empty());
    assert_eq!(exchanged(&net, 1, Family::EVPN).unwrap().received.held, 3);

    net.reconfigure(0, |settings| imports(settings, "65002:8", "65002:5000"));
    assert_eq!(wants(&net, 1).len(), 3);
    assert_eq!(told(&net), 2, "the two prefixes");
    assert_eq!(net.tables(0).host(mac(2)), None);
    assert_eq!(net.tables(0).ways(TABLE, service()).len(), 1);

    net.reconfigure(0, |settings| settings.vrfs[0].import = Targets::default());
    assert_eq!(wants(&net, 1), ["default"], "both want everything");
    assert_eq!(told(&net), 5);
}

#[test]
fn whoever_wants_nothing_yet_is_told_that_it_has_everything_only_when_that_is_known() {
    let families = [Family::EVPN, Family::RT_CONSTRAINT];
    let net = two(&families);
    for leaf in [0, 1] {
        let evpn = exchanged(&net, leaf, Family::EVPN).unwrap();
        assert!(evpn.end_of_rib_sent && evpn.end_of_rib_received);
        assert_eq!(evpn.received.held, 3, "flood route and two prefixes");
    }
}

#[test]
fn whose_wants_cannot_be_read_any_more_is_told_everything() {
    let families = [Family::EVPN, Family::RT_CONSTRAINT];
    let mut picky = speaks(2, &[1], Ases::Each, &families);
    imports(&mut picky, "65001:100", "65001:7");
    let mut net = Net::up(vec![speaks(1, &[2], Ases::Each, &families), picky]);
    net.learn(0, 1);
    let told = |net: &Net| exchanged(net, 1, Family::EVPN).map(|state| state.received.held);
    assert_eq!(told(&net), Some(3));
    give_up(&mut net, Family::RT_CONSTRAINT);
    assert_eq!(told(&net), Some(5), "the prefixes too");
    // On a new session it may say again.
    net.kill(1);
    net.start_again(1, Vec::new());
    net.advance(Duration::from_secs(30));
    assert_eq!(told(&net), Some(3));
}

#[test]
fn what_one_wants_is_passed_on_to_the_others() {
    let families = [Family::EVPN, Family::RT_CONSTRAINT];
    let mut picky = speaks(1, &[2], Ases::Each, &families);
    imports(&mut picky, "65003:100", "65003:7");
    let mut between = speaks(2, &[1, 3], Ases::Each, &families);
    imports(&mut between, "65002:1", "65002:2");
    let mut net = Net::up(vec![picky, between, speaks(3, &[2], Ases::Each, &families)]);
    net.learn(2, 30);
    let through = prefixes(&net, 2, Family::RT_CONSTRAINT);
    assert!(through.contains(&"65001:RT:65003:100/96".to_owned()), "{through:?}");
    assert_eq!(net.tables(0).host(mac(30)), Some(vtep(3)));
    let target: RouteTarget = "65003:100".parse().unwrap();
    let held = routes(&net, 0, Family::EVPN);
    let others = held.iter().filter(|r| r.paths.iter().any(|p| p.peer.is_some()));
    assert!(others.clone().count() > 0);
    for route in others {
        assert!(route.paths[0].attributes.route_targets().any(|rt| rt == target), "{}", route.key);
    }
}

#[test]
fn two_that_exchange_wants_do_not_wait_for_each_other_after_a_restart() {
    let families = [Family::EVPN, Family::RT_CONSTRAINT];
    let mut net = two(&families);
    net.kill(1);
    net.start_again(1, Vec::new());
    net.advance(Duration::from_secs(30));
    let evpn = exchanged(&net, 1, Family::EVPN).unwrap();
    assert!(evpn.end_of_rib_received, "leaf 1 knows what leaf 2 wants and has told it");
    assert_eq!(net.leaves[1].modes.last(), Some(&Mode::Sweep));
    assert!(exchanged(&net, 0, Family::EVPN).unwrap().end_of_rib_received);
}

#[test]
fn a_reflector_that_restarts_says_that_wants_are_complete_when_it_has_heard_them_all() {
    let families = [Family::EVPN, Family::RT_CONSTRAINT];
    let mut reflector = speaks(1, &[2, 3], Ases::One, &families);
    reflector.neighbors.iter_mut().for_each(|n| n.route_reflector_client = true);
    let client = |n| speaks(n, &[1], Ases::One, &families);
    let mut net = Net::up(vec![reflector, client(2), client(3)]);
    net.unplug(2);
    net.kill(0);
    net.start_again(0, Vec::new());
    net.advance(Duration::from_secs(30));
    let told = |net: &Net| exchanged(net, 1, Family::RT_CONSTRAINT).unwrap().end_of_rib_received;
    assert!(!told(&net), "leaf 3 has not said what it wants");
    net.leaves[2].unplugged = false;
    net.advance(Duration::from_secs(29));
    assert!(told(&net));
    assert_eq!(net.leaves[0].modes.last(), Some(&Mode::Sweep));
}

#[test]
fn wants_that_cannot_be_read_any_more_are_not_waited_for() {
    let families = [Family::EVPN, Family::RT_CONSTRAINT];
    let mut reflector = speaks(2, &[1, 3], Ases::One, &families);
    reflector.neighbors.iter_mut().for_each(|n| n.route_reflector_client = true);
    let client = |n| speaks(n, &[2], Ases::One, &families);
    let mut net = Net::up(vec![client(1), reflector, client(3)]);
    net.unplug(2);
    net.kill(1);
    net.start_again(1, Vec::new());
    net.advance(Duration::from_secs(30));
    let told_all = |net: &Net| exchanged(net, 0, Family::EVPN).unwrap().end_of_rib_sent;
    assert!(!told_all(&net), "the reflector waits for leaf 3 with what it wants");
    give_up(&mut net, Family::RT_CONSTRAINT);
    assert!(told_all(&net));
}

/// Three reflectors that are no clients of each other; leaf 4 is a client of the third.
#[test]
fn a_reflector_is_told_what_a_client_wants_although_another_reflector_wants_the_same() {
    let families = [Family::EVPN, Family::RT_CONSTRAINT];
    let own = |n: u8, peers: &[u8]| {
        let mut settings = speaks(n, peers, Ases::One, &families);
        imports(&mut settings, "65000:1", "65000:2");
        settings
    };
    let mut all = vec![own(1, &[2, 3]), own(2, &[1, 3]), own(3, &[1, 2, 4])];
    let ours = |n: u8| {
        let mut settings = speaks(n, &[if n == 4 { 3 } else { 1 }], Ases::One, &families);
        imports(&mut settings, "65000:100", "65000:5000");
        settings
    };
    // Leaf 5, a client of the first reflector, wants the same.
    all[0].neighbors.extend(speaks(1, &[5], Ases::One, &families).neighbors);
    all[2].neighbors[2].route_reflector_client = true;
    all[0].neighbors[2].route_reflector_client = true;
    all.extend([ours(4), ours(5)]);
    let mut net = Net::up(all);
    // Behind the second reflector, which imports it by another target than it exports.
    net.learn(1, 2);
    assert_eq!(net.tables(3).host(mac(2)), Some(vtep(2)));
    assert_eq!(net.tables(4).host(mac(2)), Some(vtep(2)));
    let held = prefixes(&net, 1, Family::RT_CONSTRAINT).join(" ");
    assert!(held.contains("65000:RT:65000:100/96"), "{held}");
    for leaf in [3, 4] {
        assert_eq!(net.tables(leaf).host(mac(2)), Some(vtep(2)), "leaf {}", leaf + 1);
    }
}

#[test]
fn whoever_changes_its_mind_without_end_is_told_what_it_wants_now_and_then() {
    let families = [Family::EVPN, Family::RT_CONSTRAINT];
    let mut picky = speaks(2, &[1], Ases::Each, &families);
    imports(&mut picky, "65001:1", "65001:2");
    let mut net = Net::up(vec![speaks(1, &[2], Ases::Each, &families), picky]);
    net.learn(0, 1);
    let held = |net: &Net| exchanged(net, 1, Family::EVPN).unwrap().received.held;
    assert_eq!(held(&net), 0);
    let membership = RtMembership::of(Asn(65002), "65001:100".parse().unwrap());
    let key = RouteKey::RtMembership(membership);
    let mut attributes = PathAttributes::originated(underlay(2));
    attributes.as_path = AsPath::default().prepended(Asn(65002));
    let neighbor = net.view(0).neighbors().remove(0);
    let (peer, connection) = (neighbor.index, neighbor.session.endpoints().unwrap().connection);
    let mut told = Vec::new();
    for _ in 0..50 {
        net.inject(0, 2, attributes.clone(), vec![Announced::bare(key.clone())]);
        told.push(held(&net));
        let withdrawn = vec![key.clone()];
        let message = Message::Update(Update { withdrawn, ..Update::default() });
        let (message, at) = (Box::new(message), net.now.time);
        net.input(0, Input::Received { peer, connection, message, at });
        told.push(held(&net));
    }
    assert_eq!(told[..4], [3, 0, 3, 0], "once in a while it is told at once");
    told.dedup();
    assert!(told.len() < 12, "each time costs a look at every route: {}", told.len());
    net.inject(0, 2, attributes, vec![Announced::bare(key)]);
    net.advance(Duration::from_secs(2));
    assert_eq!(held(&net), 3, "and in the end it has what it wants");
}
