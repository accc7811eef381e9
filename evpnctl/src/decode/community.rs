//! Communities in words.
//!
//! **A community that has no name here is shown as its octets, never left out.**

use super::hex;
use evpn_proto::bgp::attributes::{Community, ExtCommunity, Ipv6ExtCommunity};
use evpn_proto::bgp::words::tunnel_name;
use evpn_proto::types::MacAddr;
use serde_json::{Value, json};
use std::net::Ipv4Addr;

/// A community of RFC 1997: its name where it has one, or `AS:number`.
pub(super) fn community(community: Community) -> String {
    match community {
        Community::GRACEFUL_SHUTDOWN => "graceful-shutdown".to_owned(),
        Community::NO_EXPORT => "no-export".to_owned(),
        Community::NO_ADVERTISE => "no-advertise".to_owned(),
        Community::NO_EXPORT_SUBCONFED => "no-export-subconfed".to_owned(),
        Community(value) => format!("{}:{}", value >> 16, value & 0xffff),
    }
}

/// A community of RFC 4360: name and value, and its octets.
pub(super) fn extended(community: ExtCommunity) -> Value {
    let octets = community.0;
    let (name, value) = known(octets).unwrap_or(("unknown", Value::Null));
    json!({ "name": name, "value": value, "hex": hex::text(&octets) })
}

/// A community of RFC 5701: address and number.
pub(super) fn ipv6(community: Ipv6ExtCommunity) -> Value {
    let (subtype, address, number) = community.parts();
    let name = match subtype {
        0x02 => "route-target",
        0x03 => "route-origin",
        _ => "unknown",
    };
    let value = format!("[{address}]:{number}");
    json!({ "name": name, "value": value, "hex": hex::text(&community.0) })
}

/// Name and value (IANA "BGP Extended Communities", and the RFC of each).
fn known(octets: [u8; 8]) -> Option<(&'static str, Value)> {
    let [kind, subtype, a, b, c, d, e, f] = octets;
    let mac = || json!(MacAddr([a, b, c, d, e, f]).to_string());
    let last = u32::from_be_bytes([c, d, e, f]);
    let label = u32::from_be_bytes([0, d, e, f]);
    Some(match (kind & 0xbf, subtype) {
        (0x00..=0x02, 0x02) => ("route-target", administered(octets)),
        (0x00..=0x02, 0x03) => ("route-origin", administered(octets)),
        (0x00, 0x04) => {
            let asn = u16::from_be_bytes([a, b]);
            let bandwidth = f32::from_be_bytes([c, d, e, f]);
            // RFC 10005: octets a second; what is no such number is shown as null.
            ("link-bandwidth", json!({ "as": asn, "octets-per-second": bandwidth }))
        }
        (0x03, 0x0b) => ("color", json!(last)),
        (0x03, 0x0c) => ("encapsulation", json!(encapsulation(u16::from_be_bytes([e, f])))),
        (0x03, 0x0d) => ("default-gateway", Value::Null),
        (0x06, 0x00) => ("mac-mobility", json!({ "sequence": last, "sticky": a & 1 == 1 })),
        (0x06, 0x01) => ("esi-label", json!({ "label": label, "single-active": a & 1 == 1 })),
        (0x06, 0x02) => ("es-import", mac()),
        (0x06, 0x03) => ("router-mac", mac()),
        (0x06, 0x04) => {
            let (flags, mtu) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            ("layer-2-attributes", json!({ "flags": flags, "mtu": mtu }))
        }
        (0x06, 0x05) => ("e-tree", json!({ "flags": a, "label": label })),
        (0x06, 0x06) => {
            let (algorithm, preference) = (a & 0x1f, u16::from_be_bytes([e, f]));
            let bits = u16::from_be_bytes([b, c]);
            let value = json!({ "algorithm": algorithm, "bits": bits, "preference": preference });
            ("df-election", value)
        }
        (0x06, 0x08) => ("arp-nd", json!({ "flags": a })),
        (0x06, 0x09) => ("multicast-flags", json!({ "flags": u16::from_be_bytes([a, b]) })),
        // RFC 9251 §9.5: the EVI's route target, whose form the sub-type says.
        (0x06, 0x0a..=0x0c) => {
            ("evi-route-target", administered([subtype.saturating_sub(0x0a), 2, a, b, c, d, e, f]))
        }
        _ => return None,
    })
}

/// `administrator:number` in the three forms of RFC 4360 and RFC 5668.
fn administered([kind, _, a, b, c, d, e, f]: [u8; 8]) -> Value {
    let (four, two) = (u32::from_be_bytes([a, b, c, d]), u16::from_be_bytes([e, f]));
    let text = match kind & 0x3f {
        0 => format!("{}:{}", u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, f])),
        1 => format!("{}:{two}", Ipv4Addr::from(four)),
        _ => format!("{four}:{two}"),
    };
    json!(text)
}

/// A tunnel type's name, or its number.
pub(super) fn encapsulation(tunnel_type: u16) -> Value {
    tunnel_name(tunnel_type).map_or_else(|| json!(tunnel_type), |name| json!(name))
}
