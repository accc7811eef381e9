//! Messages that are right, and what becomes of them.

use super::random::Random;
use super::speaker::{FAMILIES, sends_path_ids};
use bytes::BytesMut;
use evpn_proto::bgp::attributes::{
    AsPath, ENCAP_VXLAN, ExtCommunity, MacMobility, PathAttributes, PmsiTunnel,
};
use evpn_proto::bgp::message::RouteRefresh;
use evpn_proto::bgp::wire::{
    AsWidth, MESSAGE_LENGTH_MAX, Shared, announce, encode_attributes, encode_end_of_rib,
    encode_route_refresh, withdraw,
};
use evpn_proto::types::{
    Asn, EthernetTag, Label, MacAddr, Rd, Route, RouteKey, RouteTarget, RtMembership, Vni,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where marker and length of a message end, and its type.
const TYPE_AT: usize = 18;
const HEADER: usize = 19;

/// The VNI that the attacked speaker has.
const VNI: u32 = 100;

fn vni() -> Vni {
    Vni::new(VNI).expect("a VNI")
}

fn attributes(asn: u32, vtep: Ipv4Addr, random: &mut Random) -> PathAttributes {
    let mut attributes = PathAttributes::originated(IpAddr::V4(vtep));
    attributes.as_path = AsPath::default().prepended(Asn(asn));
    attributes.ext_communities = vec![
        ExtCommunity::route_target(RouteTarget::auto(Asn(asn), vni())),
        ExtCommunity::encap(ENCAP_VXLAN),
    ];
    if random.once_in(3) {
        let mobility = MacMobility { sequence: random.octet().into(), sticky: random.once_in(8) };
        attributes.ext_communities.push(ExtCommunity::with_mac_mobility(mobility));
    }
    if random.once_in(4) {
        attributes.med = Some(random.octet().into());
    }
    attributes
}

fn route(vtep: Ipv4Addr, random: &mut Random, number: u32) -> Route {
    let rd = Rd::ipv4(vtep, 100);
    let etag = EthernetTag(0);
    let [_, b, c, d] = number.to_be_bytes();
    let mac = MacAddr([2, 0xee, 0, b, c, d]);
    let key = match random.below(4) {
        0 => RouteKey::MacIp { rd, etag, mac, ip: None },
        1 => RouteKey::MacIp { rd, etag, mac, ip: Some(IpAddr::from([172, 31, c, d])) },
        2 => {
            RouteKey::MacIp { rd, etag, mac, ip: Some(IpAddr::from([0x2001, 0, 0, 0, 0, 0, 1, 9])) }
        }
        _ => {
            let prefix = format!("203.{b}.{c}.0/24").parse().expect("a prefix");
            RouteKey::IpPrefix { rd, etag, prefix }
        }
    };
    Route::labelled(key, Label::from(vni()))
}

/// Whole UPDATEs that announce `count` routes.
pub(super) fn announcements(asn: u32, vtep: Ipv4Addr, count: u32, random: &mut Random) -> Vec<u8> {
    let attributes = attributes(asn, vtep, random);
    let first = u32::from(random.octet()) << 12;
    let routes: Vec<Route> = (0..count).map(|number| route(vtep, random, first + number)).collect();
    announced(asn, &attributes, &routes, random)
}

/// Announcements of routes of one family, each with a path identifier where the attacker has any.
fn announced(asn: u32, set: &PathAttributes, routes: &[Route], random: &mut Random) -> Vec<u8> {
    let Some(family) = routes.first().map(|route| route.key.family()) else { return Vec::new() };
    let octets = encode_attributes(set, family, AsWidth::Four).expect("attributes that fit");
    let ids: Vec<Option<u32>> =
        routes.iter().map(|_| sends_path_ids(asn).then(|| random.octet().into())).collect();
    let mut out = BytesMut::new();
    let shared = Shared::new(&octets, set, family);
    announce(&shared, routes.iter().zip(ids), MESSAGE_LENGTH_MAX, &mut out)
        .expect("routes that fit");
    out.to_vec()
}

fn withdrawn(asn: u32, key: &RouteKey, random: &mut Random) -> Vec<u8> {
    let id = sends_path_ids(asn).then(|| random.octet().into());
    let mut out = BytesMut::new();
    withdraw(std::iter::once((key, id)), MESSAGE_LENGTH_MAX, &mut out).expect("a key that fits");
    out.to_vec()
}

/// Prefixes that nobody has, by next hops of both families; or memberships.
fn of_another_family(asn: u32, own: Ipv4Addr, random: &mut Random) -> Vec<u8> {
    let mut set = attributes(asn, own, random);
    let link_local = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    let octet = random.octet();
    let key = match random.below(4) {
        0 => unicast(&format!("198.18.{octet}.0/24")),
        1 => {
            (set.next_hop, set.link_local) = (IpAddr::V6(link_local), Some(link_local));
            unicast(&format!("198.19.{octet}.0/24"))
        }
        2 => {
            set.next_hop = IpAddr::from([0x2001, 0xdb8, 0xbad, 0, 0, 0, 0, 1]);
            unicast(&format!("2001:db8:bad:{octet:x}::/64"))
        }
        _ => {
            let target =
                RouteTarget::two_octet_as(65001, random.below(200).try_into().unwrap_or(0));
            let one = RtMembership::of(Asn(asn), target);
            RouteKey::RtMembership(random.pick(&[one, RtMembership::DEFAULT]))
        }
    };
    if random.once_in(3) {
        return withdrawn(asn, &key, random);
    }
    announced(asn, &set, &[Route::bare(key)], random)
}

fn unicast(prefix: &str) -> RouteKey {
    RouteKey::Unicast { prefix: prefix.parse().expect("a prefix") }
}

/// One message of any kind that may come once a session is up.
pub(super) fn message(asn: u32, vtep: Ipv4Addr, random: &mut Random) -> Vec<u8> {
    match random.below(9) {
        0 => encode_end_of_rib(random.pick(&FAMILIES)).to_vec(),
        6 | 7 => of_another_family(asn, vtep, random),
        8 => {
            let (family, subtype) = (random.pick(&FAMILIES), random.pick(&[0, 1, 1, 2, 3]));
            encode_route_refresh(&RouteRefresh { family, subtype }).to_vec()
        }
        1 => {
            let key = route(vtep, random, 7).key;
            withdrawn(asn, &key, random)
        }
        2 => {
            let mut attributes = attributes(asn, vtep, random);
            attributes.pmsi = Some(PmsiTunnel {
                flags: 0,
                tunnel_type: PmsiTunnel::INGRESS_REPLICATION,
                label: Label::from(vni()),
                identifier: vtep.octets().to_vec().into(),
            });
            let rd = Rd::ipv4(vtep, 100);
            let key = RouteKey::Imet { rd, etag: EthernetTag(0), originator: IpAddr::V4(vtep) };
            announced(asn, &attributes, &[Route::bare(key)], random)
        }
        _ => {
            let count = 1 + u32::try_from(random.below(20)).unwrap_or(0);
            announcements(asn, vtep, count, random)
        }
    }
}

/// Makes something wrong with a message. Its header mostly stays right, so that it is looked into.
pub(super) fn mutated(mut message: Vec<u8>, random: &mut Random) -> Vec<u8> {
    for _ in 0..=random.below(4) {
        // What is shorter than a header has nothing left to be wrong in.
        if message.len() > HEADER {
            mutate(&mut message, random);
        }
    }
    if !random.once_in(100) {
        set_length(&mut message);
    }
    message
}

fn mutate(message: &mut Vec<u8>, random: &mut Random) {
    let body = message.len().saturating_sub(HEADER);
    let at = HEADER.min(message.len()) + random.below(body.max(1));
    let at = at.min(message.len().saturating_sub(1));
    match random.below(9) {
        0 => message[at] ^= 1 << random.below(8),
        1 => message[at] = random.octet(),
        2 => message[at] = random.pick(&[0, 1, 0x7f, 0x80, 0xff]),
        3 => message.truncate(at.max(HEADER)),
        4 => message.insert(at, random.octet()),
        5 => drop(message.remove(at)),
        6 => {
            // A stretch of it twice: attributes and routes that repeat.
            let end = (at + 1 + random.below(40)).min(message.len());
            let stretch = message[at..end].to_vec();
            message.splice(at..at, stretch);
        }
        7 => {
            let from = HEADER + random.below(body.max(1));
            let end = (from + 8).min(message.len());
            message[from.min(end)..end].iter_mut().for_each(|octet| *octet = random.octet());
        }
        // Rarely: it ends the session, and with it the rest of the attack.
        _ if random.once_in(20) => message[TYPE_AT] = random.pick(&[0, 1, 2, 3, 4, 5, 6, 255]),
        _ => message[at] = message[at].wrapping_add(1),
    }
    message.truncate(MESSAGE_LENGTH_MAX);
}

fn set_length(message: &mut [u8]) {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    if let Some(field) = message.get_mut(16..18) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}

/// Octets that are no BGP at all.
pub(super) fn garbage(random: &mut Random) -> Vec<u8> {
    (0..1 + random.below(300)).map(|_| random.octet()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_made_wrong_can_be_sent() {
        let mut random = Random::new(1);
        for _ in 0..100_000 {
            let message = message(65101, Ipv4Addr::new(10, 0, 0, 101), &mut random);
            let wrong = mutated(message, &mut random);
            assert!((HEADER..=MESSAGE_LENGTH_MAX).contains(&wrong.len()), "{}", wrong.len());
        }
    }
}
