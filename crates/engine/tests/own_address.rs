//! The address of the switch that a VRF announces beside its prefixes: which one, and that no level
//! touches it.

mod common;

use common::*;
use evpn_dataplane::facts::{KernelEvent, Link, LinkKind};
use evpn_dataplane::object::IfIndex;
use evpn_energy::{Permille, Reading};
use evpn_engine::Input;
use evpn_engine::settings::{AnnouncedPrefix, Settings};
use evpn_engine::view::routes::RouteFilter;
use evpn_proto::bgp::attributes::PathAttributes;
use evpn_proto::types::{RouteKey, RouteType};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What is done to devices.
type Change<'a> = &'a dyn Fn(&mut Vec<Link>);

const SERVICE6: &str = "2001:db8:a::10/128";

fn announce(settings: &mut Settings, text: &str) {
    let drain_time = Duration::from_secs(120);
    settings.vrfs[0].prefixes.push(AnnouncedPrefix { prefix: prefix(text), drain_time });
}

/// Leaf 1 has energy, leaf 2 listens. The bridge of VNI 100 has addresses of both families.
fn net(change: impl Fn(&mut Settings)) -> Net {
    let mut net = Net::mesh(2, Ases::One, |settings| {
        if settings.router_id.octets()[3] == 1 {
            settings.energy = Some(energy());
            announce(settings, SERVICE6);
            change(settings);
        }
    });
    devices(&mut net, with_addresses(&["192.168.100.201/24", "2001:db8:64::201/64", "fe80::1/64"]));
    net
}

/// The devices of leaf 1, with these addresses on the bridge of VNI 100.
fn with_addresses(addresses: &[&str]) -> Vec<Link> {
    let mut links = links(1);
    links[1].addresses = addresses.iter().map(|a| prefix(a)).collect();
    links
}

fn devices(net: &mut Net, links: Vec<Link>) {
    net.kernel(0, vec![KernelEvent::Links(links)]);
}

/// Leaf 1's prefixes with their attributes, as leaf 2 has them.
fn received(net: &Net) -> BTreeMap<IpNet, PathAttributes> {
    let filter = RouteFilter { route_type: Some(RouteType::IP_PREFIX), ..RouteFilter::default() };
    let routes = net.view(1).routes(&filter, None, 1000).routes.into_iter();
    let theirs = routes.filter_map(|route| {
        let RouteKey::IpPrefix { prefix, .. } = route.key else { return None };
        let path = route.paths.iter().find(|path| path.peer.is_some())?;
        Some((prefix, PathAttributes::clone(&path.attributes)))
    });
    theirs.collect()
}

/// What leaf 1 announces beside the prefixes that its settings name.
fn own(net: &Net) -> Vec<IpNet> {
    let view = net.view(0);
    let named: BTreeSet<IpNet> =
        view.settings().vrfs[0].prefixes.iter().map(|p| p.prefix).collect();
    received(net).into_keys().filter(|prefix| !named.contains(prefix)).collect()
}

fn prefixes(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| prefix(text)).collect()
}

#[test]
fn one_address_of_each_family_says_the_same_at_every_level_while_the_prefixes_do_not() {
    let mut net = net(|_| {});
    let anchors = prefixes(&["192.168.100.201/32", "2001:db8:64::201/128"]);
    assert_eq!(own(&net), anchors);
    let mut seen: BTreeMap<IpNet, Vec<PathAttributes>> = BTreeMap::new();
    let mut levels = Vec::new();
    for percent in [90, 75, 60, 45, 45, 30, 25, 25, 12, 10, 10] {
        net.input(0, Input::Reading(Reading::of_charge(Permille::percent(percent))));
        net.advance(Duration::from_secs(90));
        levels.push(net.view(0).energy().unwrap().explanation.announced);
        for (prefix, attributes) in received(&net) {
            let seen = seen.entry(prefix).or_default();
            seen.extend(Some(attributes).filter(|now| seen.last() != Some(now)));
        }
    }
    levels.dedup();
    assert_eq!(levels.len(), 4, "every level was seen: {levels:?}");
    for (prefix, attributes) in &seen {
        // Four levels, and the last lever of the last.
        let expected = if anchors.contains(prefix) { 1 } else { 5 };
        assert_eq!(attributes.len(), expected, "{prefix}: {attributes:?}");
    }
    assert_eq!(seen.len(), 5, "{:?}", seen.keys());
    let view = net.view(0);
    let levered = view.energy().unwrap().prefixes;
    assert!(levered.iter().all(|p| !anchors.contains(&p.prefix)), "energy does nothing to them");
    let why = view.why_prefix(anchors[0], None);
    assert_eq!(why.verdict, "packets to 192.168.100.201/32 in VRF red stay here, on br100");
    assert!(why.tables[0].energy.is_empty(), "{:?}", why.tables[0].energy);
}

#[test]
fn none_is_announced_without_energy_nor_where_the_operator_does_not_want_it() {
    assert!(!own(&net(|_| {})).is_empty(), "control");
    assert_eq!(own(&net(|settings| settings.energy = None)), []);
    assert_eq!(own(&net(|settings| settings.vrfs[0].advertise_own_address = false)), []);
    // And by a reload, either way.
    let mut net = net(|_| {});
    net.reconfigure(0, |settings| settings.vrfs[0].advertise_own_address = false);
    assert_eq!(own(&net), []);
    net.reconfigure(0, |settings| settings.vrfs[0].advertise_own_address = true);
    assert_eq!(own(&net).len(), 2);
    net.reconfigure(0, |settings| settings.energy = None);
    assert_eq!(own(&net), []);
}

#[test]
fn a_family_without_prefixes_has_no_address_either() {
    let only_v4 = net(|settings| settings.vrfs[0].prefixes.retain(|p| p.prefix.addr().is_ipv4()));
    assert_eq!(own(&only_v4), prefixes(&["192.168.100.201/32"]));
    assert_eq!(own(&net(|settings| settings.vrfs[0].prefixes.clear())), []);
}

#[test]
fn the_lowest_address_is_taken_that_is_ours_and_not_the_underlays() {
    let mut net = net(|settings| announce(settings, "10.8.7.0/24"));
    let mut chosen = |links: Vec<Link>| {
        devices(&mut net, links);
        own(&net).into_iter().filter(|net| net.addr().is_ipv4()).collect::<Vec<_>>()
    };
    let unfit = [
        ("a loopback address", "127.0.0.2/8"),
        ("a link-local one", "169.254.0.1/16"),
        ("in the network of a neighbour", "10.9.0.77/24"),
        ("our VTEP", "10.0.0.1/32"),
        ("in the network of our VTEP", "10.0.0.77/8"),
        ("a named prefix itself", "203.0.113.10/24"),
        ("a service in a named prefix", "198.51.1.99/32"),
    ];
    for (why, address) in unfit {
        assert_eq!(chosen(with_addresses(&[address])), [], "{why}");
        let both = chosen(with_addresses(&[address, "192.168.100.201/24"]));
        assert_eq!(both, prefixes(&["192.168.100.201/32"]), "{why}");
    }
    let two = ["192.168.100.201/24", "192.168.100.7/24"];
    assert_eq!(chosen(with_addresses(&two)), prefixes(&["192.168.100.7/32"]));
    // One within a prefix that is announced anyway tells nobody anything new.
    let covered = ["10.7.0.1/24", "10.8.7.1/24", "10.8.7.2/24"];
    assert_eq!(chosen(with_addresses(&covered)), prefixes(&["10.8.7.1/32"]));

    // Rather one that no other switch has than a gateway that they may share.
    let mut shared = with_addresses(&["10.8.7.1/24"]);
    shared[3].addresses = prefixes(&["10.8.7.2/24"]);
    shared[3].master = None;
    assert_eq!(chosen(shared), prefixes(&["10.8.7.2/32"]));

    let on = |change: Change<'_>| {
        let mut links = with_addresses(&["192.168.100.201/24"]);
        change(&mut links);
        links
    };
    let control = prefixes(&["192.168.100.201/32"]);
    assert_eq!(chosen(on(&|_| {})), control);
    let carrierless = on(&|links| links[1].carrier = false);
    assert_eq!(chosen(carrierless), control, "the kernel still answers to it");
    let elsewhere: [(&str, Change<'_>); 4] = [
        ("down", &|links| links[1].admin_up = false),
        ("loopback", &|links| links[1].name = "lo".into()),
        ("the L3VNI's bridge", &|links| {
            links[4].addresses = std::mem::take(&mut links[1].addresses);
        }),
        ("another VRF", &|links| {
            let mut red = links[1].clone();
            red.index = IfIndex(77);
            red.addresses.clear();
            red.kind = LinkKind::Other("vrf".into());
            links[1].master = Some(red.index);
            links.push(red);
        }),
    ];
    for (why, change) in elsewhere {
        assert_eq!(chosen(on(change)), [], "{why}");
    }
}

#[test]
fn an_address_that_the_switch_loses_is_no_longer_announced() {
    let mut net = net(|_| {});
    devices(&mut net, with_addresses(&["192.168.100.9/24", "192.168.100.201/24"]));
    assert_eq!(own(&net), prefixes(&["192.168.100.9/32"]));
    devices(&mut net, with_addresses(&["192.168.100.201/24"]));
    assert_eq!(own(&net), prefixes(&["192.168.100.201/32"]));
    devices(&mut net, with_addresses(&[]));
    assert_eq!(own(&net), []);
}

#[test]
fn connected_prefixes_count_as_announced() {
    let mut net = net(|settings| {
        settings.vrfs[0].prefixes.clear();
        settings.vrfs[0].redistribute_connected = true;
    });
    let connected = vec![(BRIDGE, prefix("192.168.100.0/24"))];
    net.kernel(0, vec![KernelEvent::Connected(connected)]);
    assert_eq!(own(&net), prefixes(&["192.168.100.0/24", "192.168.100.201/32"]));
    net.kernel(0, vec![KernelEvent::Connected(Vec::new())]);
    assert_eq!(own(&net), []);
}
