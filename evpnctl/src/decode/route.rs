//! Routes as JSON.
//!
//! **A key that does not apply to a route's type is left out; one that applies and is empty in this
//! route (no IP address, any source) is null.**

use super::hex;
use evpn_proto::bgp::wire::decode::SeenRoute;
use evpn_proto::types::{
    Esi, EthernetTag, Family, Flow, Label, Membership, MulticastKey, Rd, Route, RouteKey,
};
use serde::Serialize;
use std::net::IpAddr;

/// A route.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct RouteDoc {
    /// Of a route that is none of EVPN.
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<String>,
    /// Of an EVPN route.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    route_type: Option<u8>,
    /// In the notation of FRR's tables.
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rd: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    esi: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<Option<IpAddr>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<Option<IpAddr>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Option<IpAddr>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<Option<IpAddr>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    originator: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    /// Who wants a route target.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin_as: Option<u32>,
    /// The NLRI that a type 11 route answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    route_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_response: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flags: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<u32>>,
    /// The body of a type that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
}

/// A route as it is shown.
pub(super) fn route(seen: &SeenRoute) -> RouteDoc {
    let route = &seen.route;
    let head = RouteDoc {
        family: Some(route.key.family()).filter(|f| *f != Family::EVPN).map(|f| f.to_string()),
        route_type: route.key.route_type().map(|kind| kind.0),
        text: route.key.to_string(),
        path_id: seen.path_id,
        rd: route.key.rd().map(|rd| rd.to_string()),
        ..RouteDoc::default()
    };
    match &route.key {
        RouteKey::EthernetAd { esi, etag, .. } => RouteDoc {
            esi: Some(esi.to_string()),
            etag: Some(etag.0),
            labels: Some(labels(route)),
            ..head
        },
        RouteKey::MacIp { etag, mac, ip, .. } => RouteDoc {
            esi: Some(route.esi.to_string()),
            etag: Some(etag.0),
            mac: Some(mac.to_string()),
            ip: Some(*ip),
            labels: Some(labels(route)),
            ..head
        },
        RouteKey::Imet { etag, originator, .. } => {
            RouteDoc { etag: Some(etag.0), originator: Some(*originator), ..head }
        }
        RouteKey::EthernetSegment { esi, originator, .. } => {
            RouteDoc { esi: Some(esi.to_string()), originator: Some(*originator), ..head }
        }
        RouteKey::IpPrefix { etag, prefix, .. } => RouteDoc {
            esi: Some(route.esi.to_string()),
            etag: Some(etag.0),
            prefix: Some(prefix.to_string()),
            gateway: Some(route.gateway),
            labels: Some(labels(route)),
            ..head
        },
        RouteKey::Unicast { prefix } => RouteDoc { prefix: Some(prefix.to_string()), ..head },
        RouteKey::RtMembership(membership) => RouteDoc {
            origin_as: Some(membership.origin().0),
            prefix: Some(format!("{}/{}", hex::text(&membership.octets()), membership.bits())),
            ..head
        },
        RouteKey::Opaque { body, .. } => match route.key.multicast() {
            Some(key) => multicast(&key, route.membership(), head),
            None => RouteDoc { hex: Some(hex::text(body)), ..head },
        },
    }
}

fn labels(route: &Route) -> Vec<u32> {
    route.labels().map(Label::value).collect()
}

fn multicast(key: &MulticastKey, membership: Option<Membership>, head: RouteDoc) -> RouteDoc {
    let flags = membership.map(|membership| membership.flags);
    match key {
        MulticastKey::Smet { rd, etag, flow } => {
            RouteDoc { flags, ..with_flow(*rd, *etag, *flow, head) }
        }
        MulticastKey::JoinSynch { rd, esi, etag, flow } => {
            RouteDoc { flags, esi: told(*esi), ..with_flow(*rd, *etag, *flow, head) }
        }
        MulticastKey::LeaveSynch { rd, esi, etag, flow } => RouteDoc {
            flags,
            esi: told(*esi),
            max_response: membership.map(|membership| membership.max_response),
            ..with_flow(*rd, *etag, *flow, head)
        },
        MulticastKey::RegionPmsi { rd, etag, region } => RouteDoc {
            rd: Some(rd.to_string()),
            etag: Some(etag.0),
            region: Some(hex::text(region)),
            ..head
        },
        MulticastKey::SelectivePmsi { rd, etag, flow } => with_flow(*rd, *etag, *flow, head),
        MulticastKey::Leaf { route_key, originator } => RouteDoc {
            route_key: Some(hex::text(route_key)),
            originator: Some(*originator),
            ..head
        },
    }
}

fn with_flow(rd: Rd, etag: EthernetTag, flow: Flow, head: RouteDoc) -> RouteDoc {
    RouteDoc {
        rd: Some(rd.to_string()),
        etag: Some(etag.0),
        source: Some(flow.source),
        group: Some(flow.group),
        originator: Some(flow.originator),
        ..head
    }
}

fn told(esi: Esi) -> Option<String> {
    Some(esi.to_string())
}
