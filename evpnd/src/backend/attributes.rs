//! Attributes that few paths have, for people: those that evpnd acts upon, and those that it passes
//! on.

use evpn_api::attributes::MoreAttributes;
use evpn_proto::bgp::aigp;
use evpn_proto::bgp::attributes::{
    AttributeValue, Ipv6ExtCommunity, PathAttributes, RawAttribute, Tlv, Tunnel,
};
use evpn_proto::bgp::wire::codes::attribute::AIGP;
use evpn_proto::bgp::wire::decode::relayed;
use evpn_proto::bgp::words::tunnel_name;

/// Octets of an attribute that nobody knows which are shown.
const OCTETS_SHOWN: usize = 32;

/// Of a path with these attributes.
pub(super) fn more(attributes: &PathAttributes) -> MoreAttributes {
    let mut more = MoreAttributes {
        originator_id: attributes.originator_id,
        cluster_list: attributes.cluster_list.clone(),
        aigp_metric: aigp::metric(attributes),
        ..MoreAttributes::default()
    };
    for raw in &attributes.unknown {
        add(&mut more, raw);
    }
    more
}

fn add(more: &mut MoreAttributes, raw: &RawAttribute) {
    match relayed(raw) {
        Some(AttributeValue::LargeCommunities(list)) => {
            more.large_community = list.iter().map(ToString::to_string).collect();
        }
        Some(AttributeValue::Ipv6ExtCommunities(list)) => {
            more.extended_ipv6_community = list.iter().map(|c| ipv6_community(*c)).collect();
        }
        Some(AttributeValue::OnlyToCustomer(asn)) => more.otc = Some(asn.0),
        Some(AttributeValue::Aggregator { asn, router }) => {
            (more.aggregator_as, more.aggregator_id) = (Some(asn.0), Some(router));
        }
        Some(AttributeValue::AtomicAggregate) => more.atomic_aggregate = true,
        Some(AttributeValue::Aigp(tlvs)) => {
            let others = tlvs.iter().filter(|tlv| tlv.kind != 1);
            more.other_attributes.extend(others.map(|t| format!("AIGP TLV {}", tlv(t))));
        }
        Some(AttributeValue::TunnelEncapsulation(tunnels)) => {
            let tunnels: Vec<String> = tunnels.iter().map(tunnel).collect();
            let text = format!("tunnel encapsulation: {}", tunnels.join(", "));
            more.other_attributes.push(text);
        }
        Some(AttributeValue::PrefixSid(tlvs)) => {
            let tlvs: Vec<String> = tlvs.iter().map(tlv).collect();
            more.other_attributes.push(format!("prefix SID: TLV {}", tlvs.join(", ")));
        }
        // A form that the decoder has checked is no surprise here.
        Some(_) => {}
        None if raw.code == AIGP => {}
        None => {
            let text = format!("attribute {}, not known: {}", raw.code, octets(&raw.value));
            more.other_attributes.push(text);
        }
    }
}

fn ipv6_community(community: Ipv6ExtCommunity) -> String {
    let (name, number) = match community.parts() {
        (0x02, address, number) => ("RT", format!("[{address}]:{number}")),
        (0x03, address, number) => ("SoO", format!("[{address}]:{number}")),
        _ => ("UNK", octets(&community.0)),
    };
    format!("{name}:{number}")
}

fn tunnel(tunnel: &Tunnel) -> String {
    let number = tunnel.tunnel_type;
    let name = tunnel_name(number).map_or_else(|| format!("type {number}"), str::to_owned);
    match tunnel.egress() {
        Some(address) => format!("{name} to {address}"),
        None => name,
    }
}

fn tlv(tlv: &Tlv) -> String {
    format!("{} {}", tlv.kind, octets(&tlv.value))
}

fn octets(octets: &[u8]) -> String {
    let shown: String = octets.iter().take(OCTETS_SHOWN).map(|o| format!("{o:02x}")).collect();
    match octets.len() {
        0 => "empty".to_owned(),
        1..=OCTETS_SHOWN => shown,
        length => format!("{shown}... ({length} octets)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use evpn_proto::bgp::attributes::LargeCommunity;
    use evpn_proto::bgp::wire::{AsWidth, encode_attribute};
    use evpn_proto::types::Asn;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    /// An attribute as it is kept.
    fn raw(value: &AttributeValue) -> RawAttribute {
        let octets = encode_attribute(value, AsWidth::Four).unwrap();
        RawAttribute { flags: octets[0], code: octets[1], value: octets.slice(3..) }
    }

    fn ipv6(subtype: u8, address: Ipv6Addr, number: u16) -> Ipv6ExtCommunity {
        let octets = [&[0, subtype][..], &address.octets(), &number.to_be_bytes()].concat();
        Ipv6ExtCommunity(octets.try_into().unwrap())
    }

    #[test]
    fn everything_that_a_path_carries_is_shown() {
        let router = Ipv4Addr::new(192, 0, 2, 1);
        let large = |global| LargeCommunity { global, local1: 1, local2: u32::MAX };
        let mut attributes = PathAttributes::originated(IpAddr::from([192, 0, 2, 1]));
        attributes.originator_id = Some(router);
        attributes.cluster_list = vec![router, Ipv4Addr::new(192, 0, 2, 2)];
        let egress = Bytes::from_static(&[0, 0, 0, 0, 0, 1, 192, 0, 2, 9]);
        let tunnel = |tunnel_type, sub_tlvs| Tunnel { tunnel_type, sub_tlvs };
        let tlv = |kind, value: &'static [u8]| Tlv { kind, value: Bytes::from_static(value) };
        let address: Ipv6Addr = "2001:db8::1".parse().unwrap();
        attributes.unknown = [
            AttributeValue::AtomicAggregate,
            AttributeValue::Aggregator { asn: Asn(4_200_000_001), router },
            AttributeValue::TunnelEncapsulation(vec![
                tunnel(8, vec![Tlv { kind: 6, value: egress }]),
                tunnel(999, vec![]),
            ]),
            AttributeValue::Ipv6ExtCommunities(vec![ipv6(2, address, 100), ipv6(9, address, 1)]),
            AttributeValue::Aigp(vec![tlv(1, &[0, 0, 0, 0, 0, 0, 0, 7]), tlv(9, &[42])]),
            AttributeValue::LargeCommunities(vec![large(65_000), large(65_001)]),
            AttributeValue::OnlyToCustomer(Asn(65_002)),
            AttributeValue::PrefixSid(vec![tlv(1, &[0, 1])]),
        ]
        .iter()
        .map(raw)
        .collect();
        let code = |code, value: &[u8]| RawAttribute {
            flags: 0xc0,
            code,
            value: Bytes::copy_from_slice(value),
        };
        attributes.unknown.extend([code(99, &[1, 2]), code(100, &[]), code(101, &[7; 33])]);
        assert_eq!(
            more(&attributes),
            MoreAttributes {
                large_community: vec!["65000:1:4294967295".into(), "65001:1:4294967295".into()],
                extended_ipv6_community: vec![
                    "RT:[2001:db8::1]:100".into(),
                    "UNK:000920010db80000000000000000000000010001".into(),
                ],
                originator_id: Some(router),
                cluster_list: attributes.cluster_list.clone(),
                aigp_metric: Some(7),
                otc: Some(65_002),
                aggregator_as: Some(4_200_000_001),
                aggregator_id: Some(router),
                atomic_aggregate: true,
                other_attributes: vec![
                    "tunnel encapsulation: vxlan to 192.0.2.9, type 999".into(),
                    "AIGP TLV 9 2a".into(),
                    "prefix SID: TLV 1 0001".into(),
                    "attribute 99, not known: 0102".into(),
                    "attribute 100, not known: empty".into(),
                    format!("attribute 101, not known: {}... (33 octets)", "07".repeat(32)),
                ],
            }
        );
        let plain = PathAttributes::originated(IpAddr::from([192, 0, 2, 1]));
        assert_eq!(more(&plain), MoreAttributes::default());
    }
}
