//! Routes of the families beside EVPN.

use super::{bgp, v4};
use crate::route::{Afi, Nexthop, PathFrom, Route, RoutePath, Scope};
use crate::{AddressFamily, Page};
use std::net::IpAddr;

/// A path that says nothing of EVPN, from a neighbour of another AS.
fn path() -> RoutePath {
    RoutePath {
        nexthop: Some(v4(10, 0, 0, 2)),
        vni: None,
        extended_community: vec![],
        link_bandwidth: None,
        selection_reason: Some("router id".into()),
        ..bgp::best()
    }
}

fn ipv4(ip: IpAddr) -> Nexthop {
    Nexthop { ip, afi: Afi::Ipv4, scope: None, used: true }
}

fn route(family: AddressFamily, prefix: &str, paths: Vec<RoutePath>) -> Route {
    let prefix = prefix.to_owned();
    let (rd, route_type, eth_tag, mac, ip) = (None, None, None, None, None);
    Route { family, rd, prefix, route_type, eth_tag, mac, ip, paths }
}

/// Ours, one that two spines share, and one whose next hop nothing leads to.
pub fn ipv4_routes() -> Page<Route> {
    let unspecified = v4(0, 0, 0, 0);
    let own = RoutePath {
        path_from: PathFrom::Local,
        peer_id: None,
        path: String::new(),
        nexthop: Some(unspecified),
        nexthops: vec![ipv4(unspecified)],
        selection_reason: Some("only path".into()),
        ..path()
    };
    let best = RoutePath { nexthops: path().nexthop.map(ipv4).into_iter().collect(), ..path() };
    let second = v4(10, 0, 0, 3);
    let shared = RoutePath {
        bestpath: false,
        multipath: true,
        selection_reason: None,
        nexthop: Some(second),
        nexthops: vec![ipv4(second)],
        ..path()
    };
    let rejected = RoutePath {
        valid: false,
        bestpath: false,
        selection_reason: None,
        rejected: Some("its next hop is on no connected link".into()),
        origin: "incomplete".into(),
        nexthops: path()
            .nexthop
            .map(|ip| Nexthop { used: false, ..ipv4(ip) })
            .into_iter()
            .collect(),
        ..path()
    };
    let of = |prefix: &str, paths| route(AddressFamily::Ipv4Unicast, prefix, paths);
    Page::whole(vec![
        of("10.0.0.1/32", vec![own]),
        of("10.0.0.4/32", vec![best, shared]),
        of("198.51.100.0/24", vec![rejected]),
    ])
}

/// One with a next hop of the link beside the global one.
pub fn ipv6_routes() -> Page<Route> {
    let global = IpAddr::from([0x2001, 0xdb8, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xfffe]);
    let of_link = IpAddr::from([0xfe80, 0, 0, 0, 0xa8bb, 0xccff, 0xfe00, 0x1234]);
    let hop = |ip, scope, used| Nexthop { ip, afi: Afi::Ipv6, scope: Some(scope), used };
    let best = RoutePath {
        nexthop: Some(global),
        nexthops: vec![hop(global, Scope::Global, false), hop(of_link, Scope::LinkLocal, true)],
        ..path()
    };
    let prefix = "2001:db8:1234:5678:9abc:def0:1234:5678/128";
    Page::whole(vec![route(AddressFamily::Ipv6Unicast, prefix, vec![best])])
}

/// One that wants everything, and one that wants a VNI's routes.
pub fn rt_constraints() -> Page<Route> {
    let of = |prefix: &str| route(AddressFamily::RtConstraint, prefix, vec![path()]);
    Page::whole(vec![of("default"), of("65001:RT:65011:100/96")])
}
