//! The families beside EVPN, as the API tells them.

use super::net::{Ases, Net, underlay};
use super::{Daemon, Kernel, RouteFilter, WhySubject, page, prefix};
use crate::api::backend::Backend;
use crate::api::metrics;
use evpn_api::AddressFamily;
use evpn_api::bgp::SessionState;
use evpn_api::route::{Afi, PathFrom, Route, Scope};
use evpn_api::why::Fate;
use evpn_dataplane::facts::KernelEvent;
use evpn_engine::settings::Settings;
use evpn_proto::types::Family;

/// Two leaves that speak these families and announce their loopbacks.
fn two(families: [&[Family]; 2]) -> Net {
    Net::mesh(2, Ases::Each, |settings: &mut Settings| {
        let n = settings.router_id.octets()[3];
        settings.unicast.prefixes =
            vec![prefix(&format!("10.0.0.{n}/32")), prefix(&format!("2001:db8::{n}/128"))];
        let offered = families[usize::from(n) - 1];
        settings.neighbors[0].session.families = offered.to_vec();
    })
}

const ALL: &[Family] =
    &[Family::EVPN, Family::IPV4_UNICAST, Family::IPV6_UNICAST, Family::RT_CONSTRAINT];

fn daemon() -> Daemon {
    Daemon::new(two([ALL, ALL]), Kernel::default())
}

async fn routes(daemon: &Daemon, family: AddressFamily) -> Vec<Route> {
    let filter = RouteFilter { family, ..RouteFilter::default() };
    daemon.backend.routes(filter, page(100, None)).await.unwrap().items
}

#[tokio::test]
async fn each_family_has_its_own_table() {
    let daemon = daemon();
    let ipv4 = routes(&daemon, AddressFamily::Ipv4Unicast).await;
    let prefixes: Vec<&str> = ipv4.iter().map(|route| route.prefix.as_str()).collect();
    assert_eq!(prefixes, ["10.0.0.1/32", "10.0.0.2/32"]);
    let own = &ipv4[0].paths[0];
    assert_eq!((own.path_from, &own.peer_id), (PathFrom::Local, &None));
    let [route] = &ipv4[1..] else { panic!("two routes") };
    assert_eq!(
        (route.family, &route.rd, route.route_type),
        (AddressFamily::Ipv4Unicast, &None, None)
    );
    let path = &route.paths[0];
    assert!(path.valid && path.bestpath && path.vni.is_none());
    assert_eq!((path.path.as_str(), path.origin.as_str()), ("65002", "IGP"));
    let [hop] = path.nexthops[..] else { panic!("one next hop") };
    assert_eq!((hop.ip, hop.afi, hop.scope, hop.used), (underlay(2), Afi::Ipv4, None, true));
    // The link has no address of IPv6 but its own, which is told once.
    let ipv6 = routes(&daemon, AddressFamily::Ipv6Unicast).await;
    assert_eq!(ipv6[1].prefix, "2001:db8::2/128");
    let [hop] = ipv6[1].paths[0].nexthops[..] else { panic!("one next hop") };
    assert_eq!((hop.afi, hop.scope, hop.used), (Afi::Ipv6, Some(Scope::LinkLocal), true));
    let wants = routes(&daemon, AddressFamily::RtConstraint).await;
    assert_eq!(wants[0].prefix, "default");
    assert_eq!((wants[0].paths.len(), wants[0].paths[0].nexthops.len()), (2, 0));
    assert!(routes(&daemon, AddressFamily::L2VpnEvpn).await.iter().all(|r| r.rd.is_some()));
}

#[tokio::test]
async fn a_path_that_leads_nowhere_says_so_and_its_next_hop_is_not_used() {
    let daemon = daemon();
    daemon.net.lock().unwrap().kernel(0, vec![KernelEvent::Connected(Vec::new())]);
    let filter = RouteFilter {
        family: AddressFamily::Ipv4Unicast,
        prefix: Some(prefix("10.0.0.2/32")),
        ..RouteFilter::default()
    };
    let found = daemon.backend.routes(filter, page(100, None)).await.unwrap().items;
    let path = &found[0].paths[0];
    assert_eq!(path.rejected.as_deref(), Some("its next hop is on no connected link"));
    assert!(!path.valid && !path.nexthops[0].used);
}

#[tokio::test]
async fn a_neighbor_is_counted_by_family_and_in_all() {
    let daemon = daemon();
    let neighbor = daemon.backend.neighbor(underlay(2).into()).await.unwrap();
    let families = &neighbor.address_family_info;
    assert_eq!(families.keys().copied().collect::<Vec<_>>(), AddressFamily::ALL);
    assert!(families.values().all(|f| f.end_of_rib_received && f.end_of_rib_sent));
    let received = |family| families[&family].received_prefix_counter;
    assert_eq!(neighbor.l2_vpn_evpn, families[&AddressFamily::L2VpnEvpn]);
    assert_eq!(received(AddressFamily::L2VpnEvpn), 3);
    assert_eq!(received(AddressFamily::Ipv4Unicast), 1);
    assert_eq!(received(AddressFamily::Ipv6Unicast), 1);
    assert_eq!(received(AddressFamily::RtConstraint), 1);
    let summary = daemon.backend.summary().await.unwrap();
    assert_eq!(summary.peers[&underlay(2).into()].pfx_rcd, 6);
    assert_eq!(summary.rib_counts[&AddressFamily::Ipv4Unicast], 2);
    assert_eq!(summary.rib_counts[&AddressFamily::L2VpnEvpn], summary.rib_count);

    let text = metrics::encode(daemon.backend.metrics().await.unwrap()).unwrap();
    for (afi, safi, held) in [("l2vpn", "evpn", 3), ("ipv4", "unicast", 1), ("ipv6", "unicast", 1)]
    {
        let line = format!(
            "evpnd_bgp_peer_prefixes_received_count{{vrf=\"default\",afi=\"{afi}\",safi=\"{safi}\",\
             local_as=\"65001\",peer=\"10.9.0.2\",peer_as=\"65002\"}} {held}.0"
        );
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn what_either_side_offers_is_named_where_nothing_is_in_common() {
    let ours = [Family::EVPN, Family::RT_CONSTRAINT];
    let theirs = [Family::IPV4_UNICAST, Family::IPV6_UNICAST];
    let daemon = Daemon::new(two([&ours, &theirs]), Kernel::default());
    let summary = daemon.backend.summary().await.unwrap();
    let line = &summary.peers[&underlay(2).into()];
    assert_eq!(line.state, SessionState::Established);
    let reset = line.last_reset.as_ref().unwrap();
    assert_eq!(
        reset.last_reset_due_to,
        "no address family in common: it offers ipv4 unicast, ipv6 unicast, we \
         rt-constraint, l2vpn evpn"
    );
    let neighbor = daemon.backend.neighbor(underlay(2).into()).await.unwrap();
    assert!(neighbor.address_family_info.is_empty());
}

#[tokio::test]
async fn why_shows_the_kernels_objects_of_a_unicast_route() {
    let subject = || WhySubject::Prefix { prefix: prefix("10.0.0.2/32"), vni: None };
    let why = daemon().backend.why(subject()).await.unwrap();
    assert_eq!(why.verdict, "packets to 10.0.0.2/32 go to 10.9.0.2 on eth0");
    let table = &why.tables[0];
    assert_eq!(
        (table.table.as_str(), table.candidates[0].fate),
        ("IPv4 unicast, 10.0.0.2/32", Fate::Best)
    );
    let [nexthop, route] = &table.kernel[..] else { panic!("{:?}", table.kernel) };
    let id = nexthop.strip_prefix("id ").and_then(|rest| rest.split(' ').next()).unwrap();
    assert_eq!(nexthop, &format!("id {id} via 10.9.0.2 dev eth0"));
    assert_eq!(route, &format!("10.0.0.2/32 nhid {id} table 254 metric 20"));
    // An object that differs is found by the name that the dataplane gives it.
    for differs in [format!("nexthop {id}"), "route 10.0.0.2/32 table 254 metric 20".to_owned()] {
        let kernel = Kernel { differs: vec![differs], ..Kernel::default() };
        let why = Daemon::new(two([ALL, ALL]), kernel).backend.why(subject()).await.unwrap();
        assert!(!why.tables[0].kernel_ok);
    }
}
