//! What people see of leaves, against what the leaves do.

mod common;

use common::*;
use evpn_engine::settings::AllVnis;
use evpn_engine::view::hosts::Place;
use evpn_engine::view::routes::RouteFilter;
use evpn_proto::bgp::session::SessionState;
use evpn_proto::types::RouteType;

fn two() -> Net {
    let mut net = Net::mesh(2, Ases::Each, |_| {});
    net.learn(0, 1);
    net.learn(1, 2);
    net
}

#[test]
fn the_views_say_what_the_tables_hold() {
    let net = two();
    let view = net.view(0);
    let neighbors = view.neighbors();
    let [neighbor] = &neighbors[..] else { panic!("one neighbor") };
    assert_eq!(neighbor.session.state(), SessionState::Established);
    // MAC, MAC with address, flood route and two prefixes, each way.
    assert_eq!((neighbor.received.held, neighbor.advertised), (5, 5));
    assert_eq!(neighbor.received.rejected, 0);
    assert!(neighbor.end_of_rib_sent && neighbor.end_of_rib_received);
    assert!(!neighbor.owes_end_of_rib(view.now().time));

    let vnis = view.vnis();
    assert_eq!(vnis.len(), 2);
    assert_eq!((vnis[0].macs.local, vnis[0].macs.remote), (1, 1));
    assert_eq!((vnis[0].ips.local, vnis[0].ips.remote), (1, 1));
    assert_eq!(vnis[0].flood_vteps, [vtep(2)]);
    assert_eq!(vnis[0].rd.to_string(), "10.0.0.1:100");
    assert_eq!(vnis[0].export[0].to_string(), "65001:100");
    assert_eq!((vnis[1].prefixes.local, vnis[1].prefixes.remote), (2, 2));

    let macs = view.macs(None, None, 10).hosts;
    assert_eq!(macs.iter().map(|m| m.mac).collect::<Vec<_>>(), [mac(1), mac(2)]);
    assert_eq!(macs[0].place, Place::Local(Some("swp1")));
    assert!(matches!(macs[1].place, Place::Remote { vtep: v, .. } if v == vtep(2)));
    let addresses = view.addresses(Some(vni(VNI)), None, 10).hosts;
    assert_eq!(addresses.iter().map(|a| a.ip).collect::<Vec<_>>(), [host(1), host(2)]);
    assert_eq!((addresses[0].vtep, addresses[1].vtep), (None, Some(vtep(2))));
    assert!(addresses.iter().all(|a| a.active));
}

#[test]
fn why_tells_the_place_of_a_host_and_what_was_refused() {
    let mut net = two();
    let why = net.view(0).why_mac(mac(2), None);
    assert!(why.reachable);
    assert_eq!(why.verdict, "frames to it in VNI 100 go to VTEP 10.0.0.2");
    assert_eq!(why.tables[0].name, "VNI 100");
    assert_eq!(why.tables[0].winner.as_deref(), Some("only 10.0.0.2 announces it"));
    assert_eq!(why.tables[0].candidates.len(), 2, "with its address and without");
    assert_eq!(why.tables[0].intended.len(), 1);

    let why = net.view(0).why_mac(mac(1), None);
    assert_eq!(why.verdict, "frames to it in VNI 100 go out of swp1");

    // It moves away: the kernel still has it here, the route wins.
    net.learn(1, 1);
    let why = net.view(0).why_mac(mac(1), Some(vni(VNI)));
    assert_eq!(why.verdict, "frames to it in VNI 100 go to VTEP 10.0.0.2");
    let local = why.tables[0].candidates.iter().find(|c| c.peer.is_none()).unwrap();
    assert!(local.reason.contains("mobility sequence 1"), "{}", local.reason);

    let why = net.view(0).why_mac(mac(99), Some(vni(VNI)));
    assert!(!why.reachable && why.tables.is_empty());
    assert_eq!(
        why.verdict,
        "nothing is known of it: frames to it in VNI 100 are flooded to 1 VTEP; 2 hosts known \
         there, 0 here and 2 elsewhere"
    );
    let why = net.view(0).why_mac(mac(2), Some(vni(7)));
    assert_eq!(
        why.tables[0].candidates[0].reason,
        "VNI 7 is not served here: evpnctl show evpn vni lists those that are"
    );
}

#[test]
fn why_tells_of_an_address_that_nothing_routes_to_whose_it_is() {
    let net = two();
    let asked = ipnet::IpNet::from(host(2));
    for only in [None, Some(vni(VNI))] {
        let why = net.view(0).why_prefix(asked, only);
        assert!(why.reachable, "{why:#?}");
        assert_eq!(
            why.verdict,
            "it is host 02:00:00:00:00:02 in VNI 100: frames to it in VNI 100 go to VTEP 10.0.0.2"
        );
        let of_mac = net.view(0).why_mac(mac(2), Some(vni(VNI)));
        assert_eq!((&why.subject, &why.tables), (&asked.to_string(), &of_mac.tables));
    }
    // Not in a VNI that it is not in, and no prefix is a host.
    assert!(!net.view(0).why_prefix(asked, Some(vni(L3VNI))).reachable);
    let around = prefix("192.168.100.0/25");
    assert!(net.view(0).why_prefix(around, Some(vni(VNI))).verdict.contains("is an L2VNI"));
    assert!(net.view(0).why_prefix(around, Some(vni(7))).verdict.contains("no VRF has"));
}

#[test]
fn pages_hold_every_route_once_in_order_whatever_their_size() {
    let mut net = two();
    for n in 10..60 {
        net.learn(0, n);
    }
    for leaf in [0, 1] {
        let view = net.view(leaf);
        let all = view.routes(&RouteFilter::default(), None, 10_000);
        assert_eq!(Some(all.routes.len()), all.total);
        assert!(all.next.is_none());
        let rank = |key: &evpn_proto::types::RouteKey| (key.rd(), key.route_type(), key.clone());
        assert!(all.routes.is_sorted_by_key(|route| rank(&route.key)));
        for limit in [1, 7, 109, 110, 1000] {
            let (mut read, mut cursor) = (Vec::new(), None);
            loop {
                let page = view.routes(&RouteFilter::default(), cursor.as_ref(), limit);
                assert!(page.routes.len() <= limit);
                read.extend(page.routes.into_iter().map(|route| route.key));
                // As text and back, as it travels.
                match page.next {
                    Some(next) => cursor = Some(next.to_string().parse().unwrap()),
                    None => break,
                }
            }
            let keys: Vec<_> = all.routes.iter().map(|route| route.key.clone()).collect();
            assert_eq!(read, keys, "limit {limit}");
        }
    }
}

#[test]
fn a_filter_takes_exactly_what_it_says() {
    let net = two();
    let view = net.view(0);
    let count = |filter: RouteFilter| view.routes(&filter, None, 1000).routes.len();
    assert_eq!(count(RouteFilter::default()), 10);
    let of_type = |t| RouteFilter { route_type: Some(t), ..RouteFilter::default() };
    assert_eq!(count(of_type(RouteType::MAC_IP)), 4);
    assert_eq!(count(of_type(RouteType::IMET)), 2);
    assert_eq!(count(of_type(RouteType::IP_PREFIX)), 4);
    assert_eq!(count(RouteFilter { mac: Some(mac(2)), ..RouteFilter::default() }), 2);
    assert_eq!(count(RouteFilter { prefix: Some(service()), ..RouteFilter::default() }), 2);
    assert_eq!(count(RouteFilter { vni: Some(vni(VNI)), ..RouteFilter::default() }), 6);
    assert_eq!(count(RouteFilter { vni: Some(vni(L3VNI)), ..RouteFilter::default() }), 4);
    let rd = "10.0.0.2:100".parse().unwrap();
    assert_eq!(count(RouteFilter { rd: Some(rd), ..RouteFilter::default() }), 3);
}

#[test]
fn only_the_devices_of_served_vnis_are_ours_to_tidy() {
    let net = Net::mesh(2, Ases::Each, |_| {});
    let l3_vxlan = links(1)[5].index;
    assert_eq!(net.leaves[0].served, [VXLAN, l3_vxlan]);
    let named = Net::mesh(2, Ases::Each, |settings| settings.all_vnis = AllVnis::NamedOnly);
    assert_eq!(named.leaves[0].served, [l3_vxlan], "VNI 100 is somebody else's");
}
