//! Leaves against each other: what one says, the other does.

mod common;

use common::*;
use evpn_dataplane::facts::KernelEvent;
use evpn_dataplane::object::{Mode, NeighbourKey};
use evpn_energy::{OverrideRequest, OverrideTerms, Permille, Reading};
use evpn_engine::settings::{Targets, VniSettings};
use evpn_engine::view::hosts::Place;
use evpn_engine::{ClearKind, Event, Input, PersistRecord};
use evpn_proto::bgp::session::StopReason;
use std::collections::BTreeMap;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn two() -> Net {
    let mut net = Net::mesh(2, Ases::Each, |_| {});
    net.learn(0, 1);
    net.learn(1, 2);
    net
}

#[test]
fn two_leaves_learn_each_others_hosts_flood_lists_and_prefixes() {
    let net = two();
    for (here, there, local, remote) in [(0, 2, 1, 2), (1, 1, 2, 1)] {
        let tables = net.tables(here);
        assert_eq!(tables.host(mac(remote)), Some(vtep(there)));
        assert_eq!(tables.host(mac(local)), None, "a local host is not programmed as remote");
        let key = NeighbourKey { device: BRIDGE, address: host(remote) };
        assert_eq!(tables.neighbours[&key].mac, mac(remote));
        assert_eq!(tables.floods(), [vtep(there)]);
        let their_prefix = prefix(&format!("198.51.{there}.0/24"));
        assert_eq!(tables.ways(TABLE, their_prefix), BTreeMap::from([(vtep(there), 1)]));
    }
}

#[test]
fn a_host_that_is_gone_is_gone_everywhere() {
    let mut net = two();
    net.forget(0, 1);
    assert_eq!(net.tables(1).host(mac(1)), None);
    assert!(
        !net.tables(1).neighbours.contains_key(&NeighbourKey { device: BRIDGE, address: host(1) })
    );
    assert_eq!(net.view(1).neighbors()[0].received.held, 3);
    assert_eq!(net.view(0).neighbors()[0].advertised, 3);
    assert!(net.view(0).why_mac(mac(1), None).tables.is_empty());
}

#[test]
fn a_host_that_moves_takes_the_next_sequence_and_leaves_its_old_place() {
    let mut net = two();
    net.learn(1, 1);
    assert_eq!(net.tables(0).host(mac(1)), Some(vtep(2)));
    assert_eq!(net.tables(1).host(mac(1)), None);
    let record = PersistRecord::Sequence(vni(VNI), mac(1), 1);
    assert!(net.leaves[1].persisted.contains(&record), "the sequence is on disk");
    let macs = net.view(0).macs(None, None, 10).hosts;
    assert_eq!((macs[0].local_sequence, macs[0].remote_sequence), (0, 1));
    // And back.
    net.forget(0, 1);
    net.learn(0, 1);
    assert_eq!(net.tables(1).host(mac(1)), Some(vtep(1)));
    let macs = net.view(0).macs(None, None, 10).hosts;
    assert_eq!((macs[0].place, macs[0].local_sequence), (Place::Local(Some("swp1")), 2));
}

#[test]
fn routes_of_a_neighbour_that_is_lost_forward_until_its_restart_time_is_over() {
    let mut net = two();
    let before = net.tables(0).clone();
    net.unplug(1);
    assert_eq!(net.view(0).neighbors()[0].received.stale, 5);
    net.advance(119 * SECOND);
    assert_eq!(*net.tables(0), before);
    net.advance(2 * SECOND);
    assert_eq!(net.tables(0).host(mac(2)), None);
    assert!(net.tables(0).floods().is_empty());
    assert_eq!(net.view(0).neighbors()[0].received.held, 0);
}

#[test]
fn a_restart_keeps_forwarding_and_takes_away_only_what_is_not_told_again() {
    let mut net = two();
    net.learn(1, 3);
    let before = net.tables(0).clone();
    let own = net.tables(1).clone();
    // Host 3 left while evpnd of leaf 2 was away.
    net.kill(1);
    assert_eq!(*net.tables(0), before, "nothing moves when the session is lost");
    assert_eq!(net.view(0).neighbors()[0].received.stale, 7);
    net.advance(3 * SECOND);
    net.leaves[1].tables = Tables::default();
    net.start_again(1, host_events(2));
    net.advance(20 * SECOND);
    assert_eq!(net.leaves[1].at_sweep.as_ref(), Some(&own), "all of it before the word to sweep");
    let twice = [Mode::Grow, Mode::Sweep, Mode::Grow, Mode::Sweep];
    assert_eq!(net.leaves[1].modes, twice, "the sweep waits for End-of-RIB");
    assert_eq!(net.tables(0).host(mac(2)), Some(vtep(2)));
    assert_eq!(net.tables(0).host(mac(3)), None, "not told again");
    assert_eq!(net.view(0).neighbors()[0].received.stale, 0);
    assert_eq!(net.tables(1).fdb, own.fdb);
    assert_eq!(net.tables(1).routes, own.routes);
}

/// As after a loss of power. Each sweeps when it has heard the other.
#[test]
fn two_that_restart_do_not_wait_for_each_others_end_of_rib_with_their_own() {
    let mut net = two();
    let own = [net.tables(0).clone(), net.tables(1).clone()];
    for leaf in [0, 1] {
        net.kill(leaf);
        net.leaves[leaf].tables = Tables::default();
    }
    for leaf in [0, 1] {
        net.start_again(leaf, host_events(u8::try_from(leaf + 1).unwrap()));
    }
    net.advance(20 * SECOND);
    for leaf in [0, 1] {
        assert_eq!(net.leaves[leaf].modes, [Mode::Grow, Mode::Sweep, Mode::Grow, Mode::Sweep]);
        assert_eq!(net.leaves[leaf].at_sweep.as_ref(), Some(&own[leaf]), "leaf {leaf}");
    }
}

#[test]
fn a_hard_clear_takes_the_routes_and_comes_back() {
    let mut net = two();
    let peer = net.view(0).neighbors()[0].index;
    let reason = StopReason::Reset { text: "cleared by an operator".into() };
    net.input(0, Input::Clear { peer, kind: ClearKind::Hard(reason) });
    assert_eq!(net.tables(0).host(mac(2)), None);
    assert_eq!(net.tables(1).host(mac(1)), None);
    net.advance(20 * SECOND);
    assert_eq!(net.tables(0).host(mac(2)), Some(vtep(2)));
    assert_eq!(net.tables(1).host(mac(1)), Some(vtep(1)));
}

#[test]
fn a_soft_clear_moves_nothing_and_sends_all_routes_again() {
    let mut net = two();
    let (before, sent) = (net.tables(1).clone(), net.leaves[0].sent);
    let theirs = net.leaves[1].sent;
    let peer = net.view(0).neighbors()[0].index;
    net.input(0, Input::Clear { peer, kind: ClearKind::Soft });
    assert!(net.leaves[0].sent > sent && net.leaves[1].sent > theirs);
    assert_eq!(*net.tables(1), before);
}

/// Leaves 1 and 2 announce the service; leaf 1 has a battery; leaf 3 sends traffic to both.
fn three(ases: Ases) -> Net {
    let mut net = Net::mesh(3, ases, |settings| {
        if settings.router_id.octets()[3] == 1 {
            settings.energy = Some(energy());
        }
        if settings.router_id.octets()[3] == 3 {
            settings.vrfs[0].prefixes.clear();
        }
        if settings.router_id.octets()[3] == 2 {
            // Link bandwidth counts only if every path has one.
            settings.energy = Some(energy());
        }
    });
    net.advance(60 * SECOND);
    net
}

fn shares(net: &Net) -> BTreeMap<std::net::IpAddr, u32> {
    net.tables(2).ways(TABLE, service())
}

fn drain(net: &mut Net, seconds: u64) {
    let terms = OverrideTerms { seconds, reason: "ana (uid 1000): battery exchange".into() };
    let now = net.now;
    net.leaves[0].engine.request(now, OverrideRequest::Drain(terms)).unwrap();
    net.advance(SECOND);
}

fn a_drain_and_the_return(ases: Ases) {
    let mut net = three(ases);
    let even = BTreeMap::from([(vtep(1), 512), (vtep(2), 512)]);
    assert_eq!(shares(&net), even);

    drain(&mut net, 600);
    let smallest = BTreeMap::from([(vtep(1), 2), (vtep(2), 512)]);
    assert_eq!(shares(&net), smallest, "the share shrinks, the way stays");
    let says = net.view(0).energy().unwrap().prefixes[1].says;
    assert_eq!((says.lever.local_pref, says.lever.graceful_shutdown), (None, false));

    net.advance(117 * SECOND);
    assert_eq!(shares(&net), smallest, "until drain-time is over");
    net.advance(5 * SECOND);
    let only = shares(&net);
    assert_eq!(only.keys().copied().collect::<Vec<_>>(), [vtep(2)], "then nothing goes there");
    let own = prefix("198.51.1.0/24");
    let sole = net.tables(2).ways(TABLE, own);
    assert_eq!(sole.keys().copied().collect::<Vec<_>>(), [vtep(1)], "the only path is kept");

    let now = net.now;
    net.leaves[0].engine.request(now, OverrideRequest::Auto).unwrap();
    let full = Reading::of_charge(Permille::percent(90));
    for _ in 0..60 {
        net.input(0, Input::Reading(full));
        net.advance(60 * SECOND);
    }
    assert_eq!(shares(&net), even, "the sun returns, and with it the traffic");
}

#[test]
fn a_drain_within_an_as_moves_shares_first_and_preference_after_drain_time() {
    a_drain_and_the_return(Ases::One);
}

#[test]
fn a_drain_across_ases_moves_shares_first_and_preference_after_drain_time() {
    a_drain_and_the_return(Ases::Each);
}

#[test]
fn a_low_battery_drains_step_by_step() {
    let mut net = three(Ases::One);
    let mut seen = Vec::new();
    for percent in [90, 75, 60, 45, 45, 30, 25, 25, 12, 10, 10] {
        net.input(0, Input::Reading(Reading::of_charge(Permille::percent(percent))));
        net.advance(90 * SECOND);
        seen.push(shares(&net).get(&vtep(1)).copied().unwrap_or(0));
    }
    seen.dedup();
    assert_eq!(seen, [512, 256, 51, 2, 0]);
    let levels = net.leaves[0].events.iter().filter(|e| matches!(e, Event::Level(..))).count();
    assert_eq!(levels, 3);
}

#[test]
fn why_tells_the_shares_of_a_prefix_and_what_energy_does_to_it() {
    let mut net = three(Ases::One);
    drain(&mut net, 600);
    let why = net.view(2).why_prefix(service(), None);
    assert_eq!(why.verdict, "packets to 203.0.113.10/32 in VRF red are shared between 2 VTEPs");
    let reasons: Vec<&str> = why.tables[0].candidates.iter().map(|c| c.reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "it costs as much as the best: weight 2 of 514",
            "it costs as much as the best: weight 512 of 514"
        ]
    );
    let ours = net.view(0).why_prefix(service(), None);
    assert_eq!(
        ours.tables[0].energy[0],
        "site barn is at level drained: ours says 0.1 % of its link bandwidth; its preference \
         falls in 119 s"
    );

    net.advance(121 * SECOND);
    let why = net.view(2).why_prefix(service(), None);
    assert_eq!(why.verdict, "packets to 203.0.113.10/32 in VRF red go to VTEP 10.0.0.2");
    let lost = &why.tables[0].candidates[1];
    assert_eq!(lost.reason, "the path to 10.0.0.2 is preferred by LOCAL_PREF");
    assert!(why.tables[0].energy[0].contains("10.0.0.1 asks to be avoided"));

    let inside = net.view(2).why_prefix(prefix("198.51.2.77/32"), None);
    assert_eq!(inside.verdict, "packets to 198.51.2.0/24 in VRF red go to VTEP 10.0.0.2");
    let unknown = net.view(2).why_prefix(prefix("192.0.2.1/32"), None);
    assert!(!unknown.reachable);
    assert_eq!(unknown.verdict, "no route for it: 5 prefixes from others in VRF red");
}

#[test]
fn a_new_vni_disturbs_none_of_the_others() {
    let mut net = two();
    for n in 10..200 {
        net.learn(1, n);
    }
    let (before, sent) = (net.tables(0).clone(), net.leaves[0].sent);
    let count = net.leaves[0].changes;
    net.kernel(0, vec![KernelEvent::Links(links_with(1, 200))]);
    assert_eq!(net.view(0).vnis().len(), 3);
    assert_eq!(*net.tables(0), before);
    assert_eq!(net.leaves[0].changes, count, "nothing was written again");
    let update = net.leaves[0].sent - sent;
    assert!((1..200).contains(&update), "the new flood route alone is told: {update} octets");
}

#[test]
fn a_reload_touches_only_what_it_changes() {
    let mut net = two();
    let before = net.tables(0).clone();
    let theirs = net.tables(1).clone();
    let (sent, changes) = (net.leaves[0].sent, net.leaves[0].changes);
    net.reconfigure(0, |settings| settings.sweep_delay *= 2);
    assert_eq!((net.leaves[0].sent, net.leaves[0].changes), (sent, changes));

    // The VRF changes: the hosts of VNI 100 are not touched.
    let drain_time = 2 * net.view(0).settings().vrfs[0].drain_time;
    net.reconfigure(0, |settings| settings.vrfs[0].drain_time = drain_time);
    assert_eq!(net.tables(0).fdb, before.fdb);
    assert_eq!(net.tables(0).routes, before.routes);
    assert_eq!(*net.tables(1), theirs);

    // A VNI has other route targets.
    net.reconfigure(0, |settings| {
        let import = Targets { auto: false, explicit: vec!["65000:1".parse().unwrap()] };
        settings.vnis.insert(vni(VNI), VniSettings { import, ..VniSettings::default() });
    });
    assert_eq!(net.tables(0).host(mac(2)), None);
    assert_eq!(*net.tables(1), theirs, "what we export is as before");
    net.reconfigure(0, |settings| settings.vnis.clear());
    assert_eq!(net.tables(0).fdb, before.fdb);

    // A VNI is no longer served.
    net.reconfigure(0, |settings| {
        let off = VniSettings { enabled: false, ..VniSettings::default() };
        settings.vnis.insert(vni(VNI), off);
    });
    assert_eq!(net.tables(0).host(mac(2)), None);
    assert_eq!(net.tables(1).host(mac(1)), None);
    assert_eq!(net.tables(0).routes, before.routes);
    net.reconfigure(0, |settings| settings.vnis.clear());
    assert_eq!(net.tables(0).fdb, before.fdb);
    assert_eq!(*net.tables(1), theirs);
}

#[test]
fn a_new_as_is_in_every_route_distinguisher_and_target() {
    let mut net = two();
    net.reconfigure(0, |settings| {
        settings.router_id = [10, 0, 0, 77].into();
    });
    net.advance(20 * SECOND);
    let rd = |net: &Net| net.view(0).vnis()[0].rd.to_string();
    assert_eq!(rd(&net), "10.0.0.77:100");
    let routes = net.view(1).routes(&Default::default(), None, 100).routes;
    assert!(routes.iter().any(|r| r.key.rd().is_some_and(|rd| rd.to_string() == "10.0.0.77:100")));
    assert_eq!(net.tables(1).host(mac(1)), Some(vtep(1)));
}
