//! Routes that are not taken or cannot be passed on: each is told with its reason, and nothing else
//! suffers from it.

mod common;

use bytes::Bytes;
use common::*;
use evpn_dataplane::facts::KernelEvent;
use evpn_engine::settings::{Settings, Targets, VniSettings};
use evpn_engine::view::routes::{PathFate, RouteFilter};
use evpn_engine::view::why::Fate;
use evpn_engine::{ClearKind, Event, Input};
use evpn_proto::bgp::attributes::{ExtCommunity, PathAttributes, PmsiTunnel, RawAttribute};
use evpn_proto::bgp::session::{PeerAs, SessionState, StopReason};
use evpn_proto::types::{Asn, EthernetTag, Label, Rd, Route, RouteKey, RouteTarget};
use evpn_rib::decision::Step;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// Optional and transitive (RFC 4271 section 4.3).
const RELAYED: u8 = 0xc0;

/// A tunnel type (RFC 9012 section 13).
const MPLS: u16 = 10;

fn two() -> Net {
    Net::mesh(2, Ases::Each, |_| {})
}

#[test]
fn a_route_with_our_as_in_its_path_is_shown_as_rejected_and_not_used() {
    let mut net = two();
    let mut looped = attributes(2);
    looped.as_path = looped.as_path.prepended(Asn(65001));
    net.inject(0, 2, looped, vec![mac_route(2, mac(7))]);
    assert_eq!(net.tables(0).host(mac(7)), None);
    let filter = RouteFilter { mac: Some(mac(7)), ..RouteFilter::default() };
    let routes = net.view(0).routes(&filter, None, 10).routes;
    assert_eq!(routes[0].paths[0].fate, PathFate::Rejected("our own AS is in its AS_PATH"));
    assert_eq!(net.view(0).neighbors()[0].received.rejected, 1);
    let why = net.view(0).why_mac(mac(7), None);
    assert!(!why.reachable);
    assert!(why.verdict.starts_with("none of 1 path for it is used: "), "{}", why.verdict);
    assert_eq!(why.tables[0].candidates[0].fate, Fate::Rejected);
    assert_eq!(why.tables[0].candidates[0].reason, "our own AS is in its AS_PATH");
}

#[test]
fn a_route_that_no_vni_imports_says_what_it_carries_and_what_we_import() {
    let mut net = two();
    let mut stranger = attributes(2);
    let target = RouteTarget::auto(Asn(65002), vni(200));
    stranger.ext_communities[0] = ExtCommunity::route_target(target);
    net.inject(0, 2, stranger, vec![mac_route(2, mac(7))]);
    let why = net.view(0).why_mac(mac(7), None);
    assert_eq!(why.tables[0].name, "not imported");
    assert_eq!(why.tables[0].candidates[0].reason, "no VNI imports 65002:200");
    let why = net.view(0).why_mac(mac(7), Some(vni(VNI)));
    assert_eq!(
        why.tables[0].candidates[0].reason,
        "no route target of VNI 100: it carries 65002:200; VNI 100 imports *:100"
    );

    let mut mislabelled = mac_route(2, mac(8));
    mislabelled.label1 = Label::from(vni(200));
    net.inject(0, 2, attributes(2), vec![mislabelled]);
    let why = net.view(0).why_mac(mac(8), None);
    assert!(why.tables[0].candidates[0].reason.starts_with("its label is 200"));
    assert_eq!(net.tables(0).host(mac(8)), None);
}

#[test]
fn a_vtep_of_the_other_address_family_is_not_programmed_and_says_why() {
    let mut net = two();
    let mut far = attributes(2);
    far.next_hop = "2001:db8::2".parse().unwrap();
    net.inject(0, 2, far, vec![mac_route(2, mac(7))]);
    assert_eq!(net.tables(0).host(mac(7)), None);
    let why = net.view(0).why_mac(mac(7), None);
    let reason = "its VTEP 2001:db8::2 and ours are of different address families";
    assert_eq!(why.tables[0].candidates[0].reason, reason);
    // Of one that was programmed nothing stays.
    net.inject(0, 2, attributes(2), vec![mac_route(2, mac(8))]);
    assert_eq!(net.tables(0).host(mac(8)), Some(vtep(2)));
    let mut far = attributes(2);
    far.next_hop = "2001:db8::2".parse().unwrap();
    net.inject(0, 2, far, vec![mac_route(2, mac(8))]);
    assert_eq!(net.tables(0).host(mac(8)), None);
}

#[test]
fn a_next_hop_within_ourselves_is_not_programmed() {
    let mut net = two();
    let mut local = attributes(2);
    local.next_hop = "127.0.0.2".parse().unwrap();
    net.inject(0, 2, local, vec![mac_route(2, mac(7))]);
    assert_eq!(net.tables(0).host(mac(7)), None);
    let why = net.view(0).why_mac(mac(7), None);
    assert_eq!(why.tables[0].candidates[0].reason, "its next hop is our own address");
}

#[test]
fn of_several_encapsulations_vxlan_is_enough_in_either_order() {
    let mut net = two();
    let mut several = attributes(2);
    several.ext_communities.push(ExtCommunity::encap(MPLS));
    net.inject(0, 2, several.clone(), vec![mac_route(2, mac(7))]);
    several.ext_communities.swap(1, 2);
    net.inject(0, 2, several.clone(), vec![mac_route(2, mac(8))]);
    several.ext_communities.truncate(2);
    net.inject(0, 2, several, vec![mac_route(2, mac(9))]);
    let known = [7, 8, 9].map(|n| net.tables(0).host(mac(n)));
    assert_eq!(known, [Some(vtep(2)), Some(vtep(2)), None]);
}

/// A flood route of a VTEP that nobody has, with and without a tunnel.
fn flood_route(originator: &str, tunnel: Option<(u8, &str)>) -> (PathAttributes, Route) {
    let octets = |address: &str| match address.parse().unwrap() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let mut attributes = attributes(2);
    attributes.pmsi = tunnel.map(|(tunnel_type, end)| PmsiTunnel {
        flags: 0,
        tunnel_type,
        label: Label::from(vni(VNI)),
        identifier: octets(end).into(),
    });
    let rd = Rd::ipv4([10, 0, 0, 7].into(), 100);
    let originator = originator.parse().unwrap();
    (attributes, Route::bare(RouteKey::Imet { rd, etag: EthernetTag(0), originator }))
}

#[test]
fn flooded_frames_go_only_where_a_host_has_asked_for_them() {
    const REPLICATION: u8 = PmsiTunnel::INGRESS_REPLICATION;
    const ASSISTED: u8 = 10;
    let mut net = two();
    assert_eq!(net.tables(0).floods(), [vtep(2)], "what everybody else says");
    let refused = [
        ("10.0.0.7", None),
        ("10.0.0.7", Some((ASSISTED, "10.0.0.7"))),
        ("10.0.0.7", Some((REPLICATION, "0.0.0.0"))),
        ("10.0.0.7", Some((REPLICATION, "239.1.1.1"))),
        ("10.0.0.7", Some((REPLICATION, "2001:db8::7"))),
        ("0.0.0.0", Some((REPLICATION, "10.0.0.7"))),
        ("127.0.0.1", Some((REPLICATION, "10.0.0.7"))),
    ];
    for (originator, tunnel) in refused {
        let (attributes, route) = flood_route(originator, tunnel);
        net.inject(0, 2, attributes, vec![route]);
        assert_eq!(net.tables(0).floods(), [vtep(2)], "{originator} {tunnel:?}");
    }
    let (attributes, route) = flood_route("10.0.0.7", Some((REPLICATION, "10.0.0.7")));
    net.inject(0, 2, attributes, vec![route]);
    assert_eq!(net.tables(0).floods(), [vtep(2), vtep(7)]);
    let (attributes, route) = flood_route("10.0.0.7", None);
    net.inject(0, 2, attributes, vec![route]);
    assert_eq!(net.tables(0).floods(), [vtep(2)], "the tunnel is taken back");
}

#[test]
fn a_vni_whose_flood_routes_name_no_tunnel_says_so_once() {
    let mut net = Net::mesh(2, Ases::Each, |settings| {
        // The other leaf does not have the VNI.
        let enabled = settings.router_id.octets()[3] == 1;
        settings.vnis.insert(vni(VNI), VniSettings { enabled, ..VniSettings::default() });
    });
    for originator in ["10.0.0.7", "10.0.0.8"] {
        let (attributes, route) = flood_route(originator, None);
        net.inject(0, 2, attributes, vec![route]);
    }
    let all = net.leaves[0].events.iter().map(ToString::to_string);
    let told: Vec<String> = all.filter(|text| text.contains("nothing is flooded")).collect();
    let why = "it names no PMSI tunnel for ingress replication (RFC 7432 section 11.2)";
    let text = format!("VNI 100: 10.0.0.7 announces it, but nothing is flooded there: {why}");
    assert_eq!(told, [text]);
}

#[test]
fn a_vni_that_somebody_announces_with_other_targets_is_told_once() {
    let mut net = two();
    let told = |net: &Net| {
        let all = net.leaves[0].events.iter();
        all.filter(|e| e.to_string().contains("announces it with route target")).count()
    };
    assert_eq!(told(&net), 0, "what is imported is no mistake");
    net.reconfigure(0, |settings| {
        let import = Targets { auto: false, explicit: vec![RouteTarget::auto(Asn(9), vni(9))] };
        settings.vnis.insert(vni(VNI), VniSettings { import, ..VniSettings::default() });
    });
    assert_eq!(told(&net), 1, "{:?}", net.leaves[0].events);
    let peer = net.view(0).neighbors()[0].index;
    net.input(0, Input::Clear { peer, kind: ClearKind::Soft });
    assert_eq!(told(&net), 1);
    let text = net.leaves[0].events.iter().map(ToString::to_string).find(|t| t.contains("[[vni]]"));
    assert_eq!(
        text.as_deref(),
        Some(
            "VNI 100: 10.0.0.2 announces it with route target 65002:100, and 9:9 is imported: add \
             the one to `import` of [[vni]] 100, or correct `export` there"
        )
    );
}

#[test]
fn every_vtep_whose_targets_nothing_imports_is_named_whether_or_not_others_match() {
    let of_third = |settings: &mut Settings| {
        if settings.router_id.octets()[3] == 3 {
            let explicit = vec!["65003:777".parse().unwrap()];
            let export = Targets { auto: false, explicit };
            settings.vnis.insert(vni(VNI), VniSettings { export, ..VniSettings::default() });
        }
    };
    let mut net = Net::mesh(3, Ases::Each, of_third);
    let named = |net: &Net| {
        let found = net.view(0).unimported().remove(&vni(VNI)).unwrap_or_default();
        found.iter().map(|u| (u.vtep, u.targets[0].to_string())).collect::<Vec<_>>()
    };
    let told = |net: &Net| {
        let all = net.leaves[0].events.iter().map(ToString::to_string);
        all.filter(|text| text.contains("announces it with route target")).collect::<Vec<_>>()
    };
    assert_eq!(net.tables(0).floods(), [vtep(2)]);
    assert_eq!(named(&net), [(vtep(3), "65003:777".to_owned())]);
    let [event] = &told(&net)[..] else { panic!("{:?}", told(&net)) };
    assert!(event.contains("10.0.0.3 announces it with route target 65003:777, and *:100"));
    // The route is the best there is, and of no use here.
    let routes = net.view(0).routes(&RouteFilter::default(), None, 100).routes;
    let floods = routes.iter().filter_map(|route| match route.key {
        RouteKey::Imet { originator, .. } => Some((originator, route.paths[0].unimported)),
        _ => None,
    });
    let floods: BTreeMap<IpAddr, bool> = floods.collect();
    assert_eq!(floods, [(vtep(1), false), (vtep(2), false), (vtep(3), true)].into());
    // A host behind it is not reached by flooding either.
    net.learn(2, 9);
    let why = net.view(0).why_mac(mac(9), None);
    assert!(
        why.verdict.ends_with("; not to 10.0.0.3: no flood route of theirs is used"),
        "{why:?}"
    );

    let import = |explicit: &str, auto| {
        let import = Targets { auto, explicit: vec![explicit.parse().unwrap()] };
        VniSettings { import, ..VniSettings::default() }
    };
    net.reconfigure(0, |settings| {
        settings.vnis.insert(vni(VNI), import("65001:999", false));
    });
    let both = [(vtep(2), "65002:100".to_owned()), (vtep(3), "65003:777".to_owned())];
    assert_eq!(named(&net), both);
    net.reconfigure(0, |settings| {
        settings.vnis.insert(vni(VNI), import("65003:777", false));
    });
    assert_eq!(named(&net), both[..1]);
    net.reconfigure(0, |settings| {
        settings.vnis.insert(vni(VNI), import("65003:777", true));
    });
    assert_eq!(named(&net), []);
}

#[test]
fn the_log_is_told_of_a_few_vteps_with_other_targets_and_the_view_of_all() {
    let mut net = two();
    for n in 7..40u8 {
        let address = format!("10.0.0.{n}");
        let tunnel = (PmsiTunnel::INGRESS_REPLICATION, address.as_str());
        let (mut attributes, mut route) = flood_route(&address, Some(tunnel));
        let target = RouteTarget::auto(Asn(9), vni(9));
        attributes.ext_communities[0] = ExtCommunity::route_target(target);
        let rd = Rd::ipv4([10, 0, 0, n].into(), 100);
        let originator = address.parse().unwrap();
        route.key = RouteKey::Imet { rd, etag: EthernetTag(0), originator };
        net.inject(0, 2, attributes, vec![route]);
    }
    let all = net.leaves[0].events.iter().map(ToString::to_string);
    assert_eq!(all.filter(|text| text.contains("announces it with route target")).count(), 8);
    assert_eq!(net.view(0).unimported()[&vni(VNI)].len(), 33);
}

#[test]
fn a_prefix_that_would_capture_the_underlay_is_not_programmed_whichever_came_first() {
    let mut net = Net::mesh(2, Ases::Each, |settings| settings.vrfs[0].table = 254);
    let (wide, route) = prefix_route(2, prefix("10.0.0.0/8"));
    net.inject(0, 2, wide.clone(), vec![route.clone()]);
    let ways = |net: &Net| net.tables(0).ways(254, prefix("10.0.0.0/8"));
    assert_eq!(ways(&net), BTreeMap::new());
    let why = net.view(0).why_prefix(prefix("10.0.0.0/8"), None);
    assert!(!why.reachable);
    assert_eq!(
        why.tables[0].candidates[0].reason,
        "it would capture 10.0.0.2, which the underlay must keep reaching by itself"
    );
    // A prefix that holds no address of the underlay is programmed, until it does.
    let (_, elsewhere) = prefix_route(2, prefix("10.77.0.0/16"));
    net.inject(0, 2, wide, vec![elsewhere]);
    let ways = |net: &Net| net.tables(0).ways(254, prefix("10.77.0.0/16"));
    assert_eq!(ways(&net).len(), 1);
    let mut far = settings(1, &[2], Ases::Each).neighbors[0].clone();
    far.id = IpAddr::from([10, 77, 0, 9]).into();
    far.multihop = true;
    net.reconfigure(0, |settings| settings.neighbors.push(far));
    assert_eq!(ways(&net), BTreeMap::new());
    net.reconfigure(0, |settings| settings.neighbors.truncate(1));
    assert_eq!(ways(&net).len(), 1);
}

#[test]
fn a_prefix_in_a_table_of_its_own_captures_nothing_even_beside_one_in_main() {
    let mut net = two();
    let everything = prefix("0.0.0.0/0");
    net.kernel(0, vec![KernelEvent::Links(links_with(1, 6000))]);
    net.reconfigure(0, |settings| {
        let mut main = settings.vrfs[0].clone();
        (main.name, main.l3vni, main.table) = ("main".into(), vni(6000), 254);
        main.import.explicit = vec!["65002:5000".parse().unwrap()];
        settings.vrfs.push(main);
    });
    let (mut attributes, route) = prefix_route(2, everything);
    net.inject(0, 2, attributes.clone(), vec![route.clone()]);
    assert_eq!(net.tables(0).ways(TABLE, everything).len(), 1);

    let target = RouteTarget::auto(Asn(65002), vni(6000));
    attributes.ext_communities[0] = ExtCommunity::route_target(target);
    let mut of_main = route;
    of_main.label1 = Label::from(vni(6000));
    of_main.key = RouteKey::IpPrefix {
        rd: Rd::ipv4([10, 0, 0, 2].into(), 6000),
        etag: EthernetTag(0),
        prefix: everything,
    };
    net.inject(0, 2, attributes, vec![of_main]);
    assert_eq!(net.tables(0).ways(254, everything).len(), 0);
    assert_eq!(net.tables(0).ways(TABLE, everything).len(), 1);
    let why = net.view(0).why_prefix(everything, Some(vni(6000)));
    assert!(why.tables[0].candidates.iter().any(|c| c.reason.starts_with("it would capture")));
}

#[test]
fn a_route_too_long_for_a_neighbour_is_withdrawn_from_it_and_told_once() {
    // Leaf 3 takes messages of 4096 octets only.
    let mut net = Net::mesh(3, Ases::Each, |settings| {
        settings
            .neighbors
            .retain(|n| settings.router_id.octets()[3] == 2 || n.id == underlay(2).into());
        for neighbor in &mut settings.neighbors {
            neighbor.session.extended_message = settings.router_id.octets()[3] != 3;
        }
    });
    let sets = |net: &Net, n: u8| net.tables(2).host(mac(n));
    net.inject(1, 1, attributes(1), vec![mac_route(1, mac(7)), mac_route(1, mac(8))]);
    assert_eq!((sets(&net, 7), sets(&net, 8)), (Some(vtep(1)), Some(vtep(1))));

    let mut long = attributes(1);
    long.unknown =
        vec![RawAttribute { flags: RELAYED, code: 200, value: Bytes::from(vec![0; 5000]) }];
    net.inject(1, 1, long.clone(), vec![mac_route(1, mac(7)), mac_route(1, mac(9))]);
    assert_eq!(sets(&net, 7), None, "what it was told before no longer holds");
    assert_eq!(sets(&net, 8), Some(vtep(1)), "others do not suffer");
    let told = |net: &Net| {
        let events = net.leaves[1].events.iter();
        events
            .filter(|e| matches!(e, Event::PeerErrors(..)))
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(told(&net).len(), 1);
    assert!(told(&net)[0].contains("10.9.0.3: 2 routes cannot be told to it, the first is [2]:[0]:[48]:[02:00:00:00:00:07]: a message of 5"), "{:?}", told(&net));
    net.inject(1, 1, long, vec![mac_route(1, mac(10))]);
    assert_eq!(told(&net).len(), 1, "once");

    net.inject(1, 1, attributes(1), vec![mac_route(1, mac(7))]);
    assert_eq!(sets(&net, 7), Some(vtep(1)));
}

#[test]
fn of_two_paths_the_loser_says_at_which_step_it_lost() {
    let mut net = Net::mesh(3, Ases::Each, |_| {});
    net.learn(1, 7);
    let filter = RouteFilter { mac: Some(mac(7)), ..RouteFilter::default() };
    let routes = net.view(0).routes(&filter, None, 10).routes;
    let fates: Vec<PathFate> = routes[0].paths.iter().map(|p| p.fate).collect();
    assert_eq!(fates, [PathFate::Best(Some(Step::AsPath)), PathFate::Lost(Step::AsPath)]);
    let why = net.view(0).why_mac(mac(7), None);
    let lost = why.tables[0].candidates.last().unwrap();
    assert_eq!(lost.reason, "of the same route, that of 10.9.0.2 is preferred by AS_PATH length");
}

#[test]
fn a_sticky_host_stays_and_the_loser_says_why() {
    let mut net = two();
    net.learn(0, 7);
    let mut sticky = attributes(2);
    let mobility = evpn_proto::bgp::attributes::MacMobility { sequence: 0, sticky: true };
    sticky.ext_communities.push(ExtCommunity::with_mac_mobility(mobility));
    net.inject(0, 2, sticky, vec![mac_route(2, mac(7))]);
    assert_eq!(net.tables(0).host(mac(7)), Some(vtep(2)));
    let macs = net.view(0).macs(None, None, 10).hosts;
    assert!(macs[0].sticky);
    let why = net.view(0).why_mac(mac(7), None);
    let local = why.tables[0].candidates.iter().find(|c| c.peer.is_none()).unwrap();
    assert!(local.reason.ends_with("mobility sequence 0, sticky"), "{}", local.reason);
}

#[test]
fn a_neighbour_that_announces_more_than_it_may_is_stopped_until_somebody_lets_it_in_again() {
    let mut net = two();
    net.reconfigure(0, |settings| settings.neighbors[0].max_prefix = Some(10));
    let more = |net: &mut Net, from: u8, to: u8| {
        let routes = (from..=to).map(|n| mac_route(2, mac(n))).collect();
        net.inject(0, 2, attributes(2), routes);
    };
    let state = |net: &Net| net.view(0).neighbors()[0].session.state();
    let held = |net: &Net| net.view(0).neighbors()[0].received.held;
    let room = u8::try_from(10 - held(&net)).unwrap();
    more(&mut net, 100, 99 + room);
    assert_eq!((held(&net), state(&net)), (10, SessionState::Established), "as many as it may");
    more(&mut net, 120, 120);
    assert_eq!((held(&net), state(&net)), (0, SessionState::Idle));
    assert_eq!(net.tables(0).host(mac(100)), None);
    net.advance(Duration::from_secs(600));
    assert_eq!(state(&net), SessionState::Idle, "it does not come back by itself");
    let peer = net.view(0).neighbors()[0].index;
    let reason = StopReason::Reset { text: String::new() };
    net.input(0, Input::Clear { peer, kind: ClearKind::Hard(reason) });
    net.advance(Duration::from_secs(30));
    assert_eq!(state(&net), SessionState::Established, "an operator lets it in");
    more(&mut net, 100, 120);
    assert_eq!(state(&net), SessionState::Idle, "the limit still holds");
    net.reconfigure(0, |settings| settings.neighbors[0].max_prefix = None);
    net.advance(Duration::from_secs(30));
    assert_eq!(state(&net), SessionState::Established, "and so does another limit");
    more(&mut net, 100, 120);
    assert_eq!(state(&net), SessionState::Established);
    net.reconfigure(0, |settings| settings.neighbors[0].max_prefix = Some(10));
    assert_eq!(state(&net), SessionState::Idle, "what it holds already counts");
}

#[test]
fn what_is_kept_of_a_neighbour_goes_when_somebody_wants_to_begin_anew() {
    let kept = |net: &Net| net.view(0).neighbors()[0].received.stale;
    let clear = |net: &mut Net| {
        let peer = net.view(0).neighbors()[0].index;
        let reason = StopReason::Reset { text: String::new() };
        net.input(0, Input::Clear { peer, kind: ClearKind::Hard(reason) });
    };
    let shutdown = |net: &mut Net| net.reconfigure(0, |s| s.neighbors[0].shutdown = true);
    let another = |net: &mut Net| {
        let other = PeerAs::Exactly(Asn(65009));
        net.reconfigure(0, |s| s.neighbors[0].session.peer_as = other);
    };
    let nothing = |net: &mut Net| net.reconfigure(0, |s| s.neighbors[0].max_prefix = Some(99));
    type Act<'a> = &'a dyn Fn(&mut Net);
    let acts: [(Act<'_>, bool); 4] =
        [(&clear, true), (&shutdown, true), (&another, true), (&nothing, false)];
    for (place, (act, goes)) in acts.into_iter().enumerate() {
        let mut net = two();
        net.learn(1, 2);
        net.unplug(1);
        net.advance(Duration::from_secs(95));
        assert!(kept(&net) > 0 && net.tables(0).host(mac(2)).is_some(), "{place}");
        act(&mut net);
        assert_eq!(
            (kept(&net) == 0, net.tables(0).host(mac(2)).is_none()),
            (goes, goes),
            "{place}"
        );
    }
}

#[test]
fn what_is_kept_of_a_former_session_does_not_count_against_the_limit() {
    let mut net = two();
    net.learn(1, 2);
    let held = net.view(0).neighbors()[0].received.held;
    net.reconfigure(0, |s| s.neighbors[0].max_prefix = Some(u32::try_from(held).unwrap()));
    net.kill(1);
    net.start_again(1, Vec::new());
    // Another host than before its restart, of which nobody has told that the former one is gone.
    net.inject(0, 2, attributes(2), vec![mac_route(2, mac(77))]);
    assert_eq!(net.view(0).neighbors()[0].session.state(), SessionState::Established);
}

#[test]
fn a_prefix_with_our_as_in_its_path_is_told_as_rejected_beside_what_covers_it() {
    let mut net = two();
    let rejected = prefix("198.51.2.0/25");
    let known = net.view(0).routes(&RouteFilter::default(), None, 100).routes;
    let is_theirs = |key: &RouteKey| matches!(key, RouteKey::IpPrefix { prefix: p, .. } if p.contains(&rejected));
    let theirs = known.iter().find(|route| is_theirs(&route.key)).unwrap();
    let path = &theirs.paths[0];
    let mut looped = (*path.attributes).clone();
    looped.as_path = looped.as_path.prepended(Asn(65001));
    let rd = theirs.key.rd().unwrap();
    let key = RouteKey::IpPrefix { rd, etag: EthernetTag(0), prefix: rejected };
    net.inject(0, 2, looped.clone(), vec![Route::labelled(key, path.labels[0])]);

    let l3vni = Some(vni(L3VNI));
    for (asked, only) in
        [("198.51.2.0/25", None), ("198.51.2.1/32", None), ("198.51.2.1/32", l3vni)]
    {
        let why = net.view(0).why_prefix(prefix(asked), only);
        let names: Vec<&str> = why.tables.iter().map(|table| table.name.as_str()).collect();
        assert_eq!(names, ["VRF red, 198.51.2.0/25", "VRF red, 198.51.2.0/24"], "{asked}");
        let [candidate] = &why.tables[0].candidates[..] else { panic!("{why:#?}") };
        assert_eq!(candidate.fate, Fate::Rejected);
        assert_eq!(candidate.reason, "our own AS is in its AS_PATH");
        assert_eq!(why.verdict, "packets to 198.51.2.0/24 in VRF red go to VTEP 10.0.0.2");
    }
    // With nothing that covers it, the rejected path is all that there is.
    let alone = prefix("203.0.113.0/24");
    let key = RouteKey::IpPrefix { rd, etag: EthernetTag(0), prefix: alone };
    net.inject(0, 2, looped, vec![Route::labelled(key, path.labels[0])]);
    let why = net.view(0).why_prefix(alone, None);
    assert!(!why.reachable && why.tables.len() == 1, "{why:#?}");
    assert!(why.verdict.starts_with("none of 1 path for it is used: "), "{}", why.verdict);
}
