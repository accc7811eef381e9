//! Path attributes as JSON.
//!
//! **Every attribute that stands in the message is shown, in its order; what cannot be read is
//! shown as its octets.**

use super::{community, hex};
use evpn_proto::bgp::aigp;
use evpn_proto::bgp::attributes::{
    AsPath, AsSegment, AsSegmentKind, AttributeValue, Origin, PmsiTunnel, Tlv, Tunnel,
};
use evpn_proto::bgp::message::Family;
use evpn_proto::bgp::wire::decode::SeenAttribute;
use evpn_proto::types::Asn;
use serde::Serialize;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, Ipv6Addr};

/// An attribute.
#[derive(Debug, Serialize)]
pub(super) struct Attribute {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
    #[serde(rename = "type")]
    code: u8,
    flags: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
    /// Its octets, where they are not known or cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// An attribute as it is shown.
pub(super) fn attribute(seen: &SeenAttribute) -> Attribute {
    let mut shown = Attribute {
        name: seen.name,
        code: seen.code,
        flags: seen.flags,
        value: None,
        hex: None,
        error: None,
    };
    match &seen.value {
        Ok(Some(said)) => shown.value = Some(value(said)),
        Ok(None) => shown.hex = Some(hex::text(&seen.octets)),
        Err(error) => {
            shown.hex = Some(hex::text(&seen.octets));
            shown.error = Some(error.to_string());
        }
    }
    shown
}

fn value(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::Origin(Origin::Igp) => json!("igp"),
        AttributeValue::Origin(Origin::Egp) => json!("egp"),
        AttributeValue::Origin(Origin::Incomplete) => json!("incomplete"),
        AttributeValue::AsPath(path) | AttributeValue::As4Path(path) => {
            json!({ "text": as_path(path), "segments": segments(path) })
        }
        AttributeValue::NextHop(ip) | AttributeValue::OriginatorId(ip) => json!(ip),
        AttributeValue::Med(number) | AttributeValue::LocalPref(number) => json!(number),
        AttributeValue::AtomicAggregate => json!(true),
        AttributeValue::Aggregator { asn, router }
        | AttributeValue::As4Aggregator { asn, router } => {
            json!({ "as": asn.0, "router": router })
        }
        AttributeValue::Communities(list) => {
            list.iter().map(|c| community::community(*c)).collect()
        }
        AttributeValue::LargeCommunities(list) => list.iter().map(ToString::to_string).collect(),
        AttributeValue::ExtCommunities(list) => {
            list.iter().map(|c| community::extended(*c)).collect()
        }
        AttributeValue::Ipv6ExtCommunities(list) => {
            list.iter().map(|c| community::ipv6(*c)).collect()
        }
        AttributeValue::ClusterList(list) => json!(list),
        AttributeValue::MpReach { family, next_hop, addresses, nlri } => {
            let mut shown = reach(*family, nlri);
            shown["next-hop"] = match addresses.first() {
                Some(address) => json!(address),
                None => json!(hex::text(next_hop)),
            };
            if let [_, link_local] = addresses[..] {
                shown["link-local"] = json!(link_local);
            }
            shown
        }
        AttributeValue::MpUnreach { family, nlri } => reach(*family, nlri),
        AttributeValue::Pmsi(pmsi) => pmsi_tunnel(pmsi),
        AttributeValue::TunnelEncapsulation(tunnels) => tunnels.iter().map(tunnel).collect(),
        AttributeValue::Aigp(tlvs) => tlvs.iter().map(aigp).collect(),
        AttributeValue::OnlyToCustomer(Asn(asn)) => json!(asn),
        AttributeValue::PrefixSid(tlvs) => tlvs.iter().map(tlv).collect(),
    }
}

/// A family's name as operators write it, or its numbers.
pub(super) fn family(family: Family) -> String {
    family.to_string()
}

fn reach(of: Family, nlri: &[u8]) -> Value {
    json!({ "family": family(of), "afi": of.afi, "safi": of.safi, "nlri": hex::text(nlri) })
}

/// A path as FRR shows it: sets in braces, a confederation's segments in parentheses or brackets.
pub(super) fn as_path(path: &AsPath) -> String {
    let part = |segment: &AsSegment| {
        let join =
            |by: &str| segment.asns.iter().map(ToString::to_string).collect::<Vec<_>>().join(by);
        match segment.kind {
            AsSegmentKind::Sequence => join(" "),
            AsSegmentKind::Set => format!("{{{}}}", join(",")),
            AsSegmentKind::ConfedSequence => format!("({})", join(" ")),
            AsSegmentKind::ConfedSet => format!("[{}]", join(",")),
        }
    };
    path.segments.iter().map(part).collect::<Vec<_>>().join(" ")
}

fn segments(path: &AsPath) -> Value {
    let segment = |segment: &AsSegment| {
        let kind = match segment.kind {
            AsSegmentKind::Set => "set",
            AsSegmentKind::Sequence => "sequence",
            AsSegmentKind::ConfedSequence => "confed-sequence",
            AsSegmentKind::ConfedSet => "confed-set",
        };
        let asns: Vec<u32> = segment.asns.iter().map(|asn| asn.0).collect();
        json!({ "kind": kind, "as": asns })
    };
    path.segments.iter().map(segment).collect()
}

fn pmsi_tunnel(pmsi: &PmsiTunnel) -> Value {
    // IANA "P-Multicast Service Interface Tunnel (PMSI Tunnel) Tunnel Types".
    let name = match pmsi.tunnel_type {
        0 => "none",
        1 => "rsvp-te-p2mp",
        2 => "mldp-p2mp",
        3 => "pim-ssm",
        4 => "pim-sm",
        5 => "pim-bidir",
        PmsiTunnel::INGRESS_REPLICATION => "ingress-replication",
        7 => "mldp-mp2mp",
        8 => "transport-tunnel",
        0x0a => "assisted-replication",
        0x0b => "bier",
        0x0c => "sr-mpls-p2mp",
        _ => "other",
    };
    let endpoint = match (pmsi.tunnel_type, &pmsi.identifier[..]) {
        (PmsiTunnel::INGRESS_REPLICATION, ip) => address(ip),
        _ => Value::Null,
    };
    json!({
        "flags": pmsi.flags,
        "tunnel-type": pmsi.tunnel_type,
        "tunnel": name,
        "label": pmsi.label.value(),
        "endpoint": endpoint,
        "identifier": hex::text(&pmsi.identifier),
    })
}

/// Four or sixteen octets as an address.
fn address(octets: &[u8]) -> Value {
    if let Ok(v4) = <[u8; 4]>::try_from(octets) {
        return json!(Ipv4Addr::from(v4));
    }
    <[u8; 16]>::try_from(octets).map_or(Value::Null, |v6| json!(Ipv6Addr::from(v6)))
}

fn tlv(tlv: &Tlv) -> Value {
    json!({ "type": tlv.kind, "hex": hex::text(&tlv.value) })
}

fn aigp(found: &Tlv) -> Value {
    match <[u8; 8]>::try_from(&found.value[..]) {
        Ok(metric) if found.kind == aigp::METRIC => {
            json!({ "type": found.kind, "metric": u64::from_be_bytes(metric) })
        }
        _ => tlv(found),
    }
}

fn tunnel(tunnel: &Tunnel) -> Value {
    let sub_tlvs: Value = tunnel.sub_tlvs.iter().map(tlv).collect();
    json!({
        "tunnel-type": tunnel.tunnel_type,
        "tunnel": community::encapsulation(tunnel.tunnel_type),
        "egress": tunnel.egress(),
        "sub-tlvs": sub_tlvs,
    })
}
