//! Routes and their paths, in the notation of FRR's tables.

use super::attributes::more;
use super::{count, family, msec, neighbors};
use crate::api::params;
use evpn_api::route::{Afi, Nexthop, PathFrom, Route, RoutePath, Scope};
use evpn_api::{AddressFamily, Page};
use evpn_engine::view::routes as seen;
use evpn_engine::view::routes::PathFate;
use evpn_proto::bgp::attributes::{
    AsPath, AsSegmentKind, Community, ExtCommunity, Origin, PathAttributes,
};
use evpn_proto::types::{Asn, RouteKey, RouteTarget, RouteType, is_link_local};
use evpn_rib::decision::Source;
use std::net::IpAddr;

/// Of a path that is the best and of no use here; its route targets are among its communities.
const NOT_IMPORTED: &str = "no VNI and no VRF here imports its route targets";

pub(super) fn filter(filter: &params::RouteFilter) -> seen::RouteFilter {
    seen::RouteFilter {
        family: Some(family::of_api(filter.family)),
        route_type: filter.kind.map(|kind| RouteType(kind.number())),
        rd: filter.rd,
        vni: filter.vni,
        mac: filter.mac,
        prefix: filter.prefix,
    }
}

pub(super) fn page(found: &seen::Routes) -> Page<Route> {
    Page {
        items: found.routes.iter().map(route).collect(),
        next_cursor: found.next.as_ref().map(ToString::to_string),
        total: found.total.map(count),
    }
}

fn route(route: &seen::Route) -> Route {
    let (eth_tag, mac, ip) = match &route.key {
        RouteKey::EthernetAd { etag, .. } => (etag.0, None, None),
        RouteKey::MacIp { etag, mac, ip, .. } => {
            (etag.0, Some(mac.to_string()), ip.map(|ip| ip.to_string()))
        }
        RouteKey::Imet { etag, originator, .. } => (etag.0, None, Some(originator.to_string())),
        RouteKey::EthernetSegment { originator, .. } => (0, None, Some(originator.to_string())),
        RouteKey::IpPrefix { etag, prefix, .. } => (etag.0, None, Some(prefix.to_string())),
        RouteKey::Opaque { .. } => (0, None, None),
        RouteKey::Unicast { .. } | RouteKey::RtMembership(_) => return beside_evpn(route),
    };
    Route {
        family: AddressFamily::L2VpnEvpn,
        // An opaque route's distinguisher is not read.
        rd: Some(route.key.rd().map(|rd| rd.to_string()).unwrap_or_default()),
        prefix: route.key.to_string(),
        route_type: route.key.route_type().map(|kind| kind.0),
        eth_tag: Some(eth_tag),
        mac,
        ip,
        paths: route.paths.iter().map(path).collect(),
    }
}

/// A route of another family, without what only EVPN has.
fn beside_evpn(route: &seen::Route) -> Route {
    let is_unicast = route.key.family().is_unicast();
    let of = |seen: &seen::RoutePath| {
        let path = RoutePath { vni: None, ..path(seen) };
        let nexthops = if is_unicast { next_hops(&seen.attributes, path.valid) } else { vec![] };
        RoutePath { nexthops, ..path }
    };
    Route {
        family: family::to_api(route.key.family()).unwrap_or_default(),
        rd: None,
        prefix: route.key.to_string(),
        route_type: None,
        eth_tag: None,
        mac: None,
        ip: None,
        paths: route.paths.iter().map(of).collect(),
    }
}

/// The next hop, and the one of the link beside it, which comes first where there is one.
fn next_hops(attributes: &PathAttributes, valid: bool) -> Vec<Nexthop> {
    let hop = |ip: IpAddr, used| {
        let scope = if is_link_local(ip) { Scope::LinkLocal } else { Scope::Global };
        let (afi, scope) = match ip {
            IpAddr::V4(_) => (Afi::Ipv4, None),
            IpAddr::V6(_) => (Afi::Ipv6, Some(scope)),
        };
        Nexthop { ip, afi, scope, used: used && valid }
    };
    let of_link = attributes.link_local.map(IpAddr::V6);
    let first = Some(attributes.next_hop).filter(|ip| of_link != Some(*ip));
    let first = first.map(|ip| hop(ip, of_link.is_none()));
    first.into_iter().chain(of_link.map(|ip| hop(ip, true))).collect()
}

fn path(path: &seen::RoutePath) -> RoutePath {
    let attributes = &path.attributes;
    let (selection_reason, rejected) = match path.fate {
        PathFate::Best(None) => (Some("only path".to_owned()), None),
        PathFate::Best(Some(step)) => (Some(step.to_string()), None),
        PathFate::Lost(_) => (None, None),
        PathFate::Rejected(why) => (None, Some(why.to_owned())),
    };
    RoutePath {
        valid: rejected.is_none(),
        bestpath: selection_reason.is_some(),
        multipath: path.multipath,
        stale: path.stale,
        selection_reason,
        rejected,
        not_imported: path.unimported.then(|| NOT_IMPORTED.to_owned()),
        path_from: match path.source {
            Source::Local => PathFrom::Local,
            Source::External => PathFrom::External,
            Source::Internal => PathFrom::Internal,
        },
        peer_id: path.peer.as_ref().map(neighbors::named),
        addpath_rx_id: path.path_id.map(|id| id.0),
        path: as_path(&attributes.as_path),
        origin: match attributes.origin {
            Origin::Igp => "IGP",
            Origin::Egp => "EGP",
            Origin::Incomplete => "incomplete",
        }
        .to_owned(),
        loc_prf: attributes.local_pref,
        metric: attributes.med,
        nexthop: Some(attributes.next_hop),
        nexthops: vec![],
        vni: Some(vnis(path)),
        esi: Some(path.esi).filter(|esi| !esi.is_zero()).map(|esi| esi.to_string()),
        community: attributes.communities.iter().map(|c| community(*c)).collect(),
        extended_community: extended_communities(attributes),
        link_bandwidth: attributes.link_bandwidth().map(whole_octets),
        more: more(attributes),
        age_msec: msec(path.age),
    }
}

/// The VNIs of a path: its labels, of a flood route the one of its PMSI tunnel.
fn vnis(path: &seen::RoutePath) -> Vec<u32> {
    let flooded = path.attributes.pmsi.as_ref().map(|tunnel| tunnel.label);
    let flooded = flooded.filter(|label| path.labels.is_empty() && label.value() != 0);
    path.labels.iter().copied().chain(flooded).map(|label| label.value()).collect()
}

/// A float's whole part; what is beyond 64 bits is cut.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "see above")]
fn whole_octets(bandwidth: f32) -> u64 {
    bandwidth as u64
}

/// The usual notation: a set in braces, confederation segments in brackets.
fn as_path(path: &AsPath) -> String {
    let segments = path.segments.iter().map(|segment| {
        let join = |asns: &[Asn], by: &str| {
            asns.iter().map(ToString::to_string).collect::<Vec<_>>().join(by)
        };
        match segment.kind {
            AsSegmentKind::Sequence => join(&segment.asns, " "),
            AsSegmentKind::Set => format!("{{{}}}", join(&segment.asns, ",")),
            AsSegmentKind::ConfedSequence => format!("({})", join(&segment.asns, " ")),
            AsSegmentKind::ConfedSet => format!("[{}]", join(&segment.asns, ",")),
        }
    });
    segments.collect::<Vec<_>>().join(" ")
}

fn community(community: Community) -> String {
    match community {
        Community::GRACEFUL_SHUTDOWN => "graceful-shutdown".to_owned(),
        Community::NO_EXPORT => "no-export".to_owned(),
        Community::NO_ADVERTISE => "no-advertise".to_owned(),
        Community::NO_EXPORT_SUBCONFED => "local-AS".to_owned(),
        Community(value) => format!("{}:{}", value >> 16, value & 0xffff),
    }
}

fn extended_communities(attributes: &PathAttributes) -> Vec<String> {
    attributes.ext_communities.iter().map(|c| extended_community(*c)).collect()
}

fn extended_community(community: ExtCommunity) -> String {
    if let Some(target) = RouteTarget::from_community(community.0) {
        return format!("RT:{target}");
    }
    match community.0 {
        [0x03, 0x0c, _, _, _, _, a, b] => format!("ET:{}", u16::from_be_bytes([a, b])),
        [0x03, 0x0d, ..] => "Default Gateway".to_owned(),
        [0x06, 0x00, flags, _, a, b, c, d] => {
            let sticky = if flags & 1 == 1 { ", sticky MAC" } else { "" };
            format!("MM:{}{sticky}", u32::from_be_bytes([a, b, c, d]))
        }
        [0x06, 0x01, flags, ..] => {
            format!("ESI-label-Rt:{}", if flags & 1 == 1 { "SA" } else { "AA" })
        }
        [0x06, 0x02, mac @ ..] => format!("ES-Import-Rt:{}", evpn_proto::types::MacAddr(mac)),
        [0x06, 0x03, mac @ ..] => format!("Rmac:{}", evpn_proto::types::MacAddr(mac)),
        [0x00 | 0x40, 0x04, a, b, w, x, y, z] => {
            let bandwidth = f32::from_be_bytes([w, x, y, z]);
            format!("LB:{}:{bandwidth}", u16::from_be_bytes([a, b]))
        }
        octets => {
            let hex: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
            format!("UNK:{hex}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn communities_of_segments_are_written_as_frr_writes_them() {
        let text = |octets| extended_community(ExtCommunity(octets));
        assert_eq!(text([6, 1, 0, 0, 0, 0, 0, 100]), "ESI-label-Rt:AA");
        assert_eq!(text([6, 1, 1, 0, 0, 0, 0, 100]), "ESI-label-Rt:SA");
        assert_eq!(text([6, 2, 2, 0, 0, 0, 0, 1]), "ES-Import-Rt:02:00:00:00:00:01");
        assert_eq!(text([6, 99, 0, 0, 0, 0, 0, 1]), "UNK:0663000000000001");
    }
}
