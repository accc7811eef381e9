//! Families whose routes are prefixes, on the wire: IPv4 and IPv6 unicast, route target constraints.
//!
//! **What is written is what is read, in the fields of RFC 4271 as in the attributes of RFC 4760.**

use bytes::{Bytes, BytesMut};
use evpn_proto::bgp::attributes::PathAttributes;
use evpn_proto::bgp::message::{AddPath, Capability, Message, Open, Update};
use evpn_proto::bgp::wire::error::Action;
use evpn_proto::bgp::wire::{
    AsWidth, DecodeContext, EncodeContext, FamilySet, MESSAGE_LENGTH_MAX, SessionKind, Shared,
    announce, decode, encode_announcements, encode_attributes, encode_end_of_rib, encode_open,
    encode_withdrawals, frame, withdraw,
};
use evpn_proto::types::{Asn, Family, Route, RouteKey, RtMembership};
use ipnet::IpNet;
use proptest::collection::vec;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

const ENCODE: EncodeContext =
    EncodeContext { as_width: AsWidth::Four, length_max: MESSAGE_LENGTH_MAX };

fn context() -> DecodeContext {
    DecodeContext {
        as_width: AsWidth::Four,
        length_max: MESSAGE_LENGTH_MAX,
        families: FamilySet::ALL,
        extended_next_hop: FamilySet::EMPTY.with(Family::IPV4_UNICAST),
        session: SessionKind::External,
        ..DecodeContext::INITIAL
    }
}

fn unicast(text: &str) -> Route {
    Route::bare(RouteKey::Unicast { prefix: text.parse().unwrap() })
}

fn attributes(next_hop: &str) -> PathAttributes {
    PathAttributes::originated(next_hop.parse().unwrap())
}

fn updates(mut octets: &[u8], context: &DecodeContext) -> Vec<Update> {
    let mut found = Vec::new();
    while !octets.is_empty() {
        let length = frame(octets, context.length_max).unwrap().unwrap().length;
        let (message, rest) = octets.split_at(length);
        let Message::Update(update) = decode(message, context).unwrap() else {
            panic!("no UPDATE")
        };
        found.push(update);
        octets = rest;
    }
    found
}

fn announced(attributes: &PathAttributes, routes: &[Route]) -> BytesMut {
    let mut out = BytesMut::new();
    encode_announcements(attributes, &ENCODE, routes.iter(), &mut out).unwrap();
    out
}

/// A body of an UPDATE with its header.
fn message(body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(19 + body.len()).unwrap().to_be_bytes();
    [&[0xff; 16][..], &length, &[2], body].concat()
}

#[test]
fn ipv4_goes_in_the_fields_of_rfc_4271() {
    let octets = announced(&attributes("192.0.2.1"), &[unicast("10.1.0.0/16")]);
    let wire = [
        &[0, 0, 0, 14][..],
        &[0x40, 1, 1, 0],            // ORIGIN
        &[0x40, 2, 0],               // AS_PATH
        &[0x40, 3, 4, 192, 0, 2, 1], // NEXT_HOP
        &[16, 10, 1],
    ];
    assert_eq!(octets[..], message(&wire.concat()));
    let mut out = BytesMut::new();
    let key = unicast("10.1.0.0/16").key;
    encode_withdrawals(std::iter::once(&key), &ENCODE, &mut out).unwrap();
    assert_eq!(out[..], message(&[0, 3, 16, 10, 1, 0, 0]));
    assert_eq!(updates(&out, &context())[0].withdrawn, [key]);
}

#[test]
fn both_kinds_of_routes_of_one_message_have_their_own_next_hop() {
    let v6 = announced(&attributes("2001:db8::1"), &[unicast("2001:db8:1::/48")]);
    // The attributes of the IPv6 message, with a NEXT_HOP and an IPv4 route after them.
    let (length, rest) = v6[21..].split_at(2);
    let length = u16::from_be_bytes([length[0], length[1]]) + 7;
    let body = [
        &[0, 2, 8, 99][..], // 99.0.0.0/8 withdrawn
        &length.to_be_bytes(),
        rest,
        &[0x40, 3, 4, 192, 0, 2, 1],
        &[8, 10],
    ];
    let update = &updates(&message(&body.concat()), &context())[0];
    assert_eq!(
        (update.action, &update.announced[..]),
        (Action::Accept, &[unicast("2001:db8:1::/48")][..])
    );
    assert_eq!(update.attributes.as_ref().unwrap().next_hop.to_string(), "2001:db8::1");
    let classic = update.classic.as_ref().unwrap();
    assert_eq!(classic.announced, [unicast("10.0.0.0/8")]);
    assert_eq!(classic.attributes.next_hop.to_string(), "192.0.2.1");
    assert_eq!(update.withdrawn, [unicast("99.0.0.0/8").key]);
}

fn only(family: Family) -> FamilySet {
    FamilySet::EMPTY.with(family)
}

#[test]
fn an_ipv6_next_hop_of_ipv4_routes_has_to_be_agreed_on() {
    let mut set = attributes("2001:db8::1");
    set.link_local = Some("fe80::1".parse().unwrap());
    let octets = announced(&set, &[unicast("10.1.0.0/16")]);
    let update = &updates(&octets, &context())[0];
    assert_eq!(update.announced, [unicast("10.1.0.0/16")]);
    assert_eq!(update.attributes.as_deref(), Some(&set));
    let plain = DecodeContext { extended_next_hop: FamilySet::EMPTY, ..context() };
    let update = &updates(&octets, &plain)[0];
    assert_eq!(
        (update.action, update.disabled),
        (Action::DisableAfiSafi, only(Family::IPV4_UNICAST))
    );
}

#[test]
fn errors_cost_what_rfc_7606_says() {
    let attributes: &[u8] = &[0x40, 1, 1, 0, 0x40, 2, 0];
    let hop: &[u8] = &[0x40, 3, 4, 192, 0, 2, 1];
    let body = |attributes: &[u8], nlri: &[u8]| {
        let length = u16::try_from(attributes.len()).unwrap().to_be_bytes();
        message(&[&[0, 0][..], &length, attributes, nlri].concat())
    };
    let read = |octets: &[u8]| decode(octets, &context());
    let one = |octets: &[u8]| updates(octets, &context()).remove(0);
    // §3(d): without NEXT_HOP, and with one that is nobody's, the routes count as withdrawn.
    for hop in [&[][..], &[0x40, 3, 4, 0, 0, 0, 0], &[0x40, 3, 4, 224, 0, 0, 1]] {
        let update = one(&body(&[attributes, hop].concat(), &[8, 10]));
        assert_eq!(update.action, Action::TreatAsWithdraw, "{hop:?}");
        assert_eq!((update.withdrawn, update.classic), (vec![unicast("10.0.0.0/8").key], None));
    }
    // §5.3: where the next route begins is unknown.
    let set = [attributes, hop].concat();
    for nlri in [&[33, 10, 0, 0, 0, 0][..], &[24, 10, 0]] {
        let notification = read(&body(&set, nlri)).unwrap_err();
        assert_eq!((notification.code, notification.subcode), (3, 10), "{nlri:?}");
    }
    // RFC 4271 §6.3: a prefix that cannot be routed to is ignored, and only it.
    let update = one(&body(&set, &[8, 224, 8, 10]));
    assert_eq!(update.action, Action::DiscardNlri);
    assert_eq!(update.classic.unwrap().announced, [unicast("10.0.0.0/8")]);
    // RFC 4684 §4: a membership of 1 to 31 bits is none.
    let rtc: &[u8] = &[0x80, 15, 8, 0, 1, 132, 8, 1, 32, 0, 0];
    let update = one(&body(&[0x80, 15, 10, 0, 1, 132, 8, 1, 32, 0, 0, 0xfd, 0xe8], &[]));
    assert_eq!((update.action, update.withdrawn.len()), (Action::DiscardNlri, 1));
    let update = one(&body(rtc, &[]));
    assert_eq!(
        (update.action, update.disabled),
        (Action::DisableAfiSafi, only(Family::RT_CONSTRAINT))
    );
}

#[test]
fn a_family_that_is_given_up_leaves_no_route_of_another_behind() {
    let reach: &[u8] = &[0x80, 14, 7, 0, 2, 1, 2, 0, 0, 0];
    let attributes = [&[0x40, 1, 1, 0, 0x40, 2, 0, 0x40, 3, 4, 192, 0, 2, 1][..], reach].concat();
    let length = u8::try_from(attributes.len()).unwrap();
    let body = [&[0, 2, 8, 99, 0, length][..], &attributes, &[8, 10]].concat();
    let update = &updates(&message(&body), &context())[0];
    let given_up = (update.action, update.disabled);
    assert_eq!(given_up, (Action::DisableAfiSafi, only(Family::IPV6_UNICAST)));
    let [gone, unsure] = ["99.0.0.0/8", "10.0.0.0/8"].map(|prefix| unicast(prefix).key);
    assert_eq!((&update.withdrawn[..], &update.classic), (&[gone, unsure][..], &None));
}

#[test]
fn one_update_may_cost_two_families() {
    let reach: &[u8] = &[0x80, 14, 7, 0, 2, 1, 2, 0, 0, 0];
    let unreach: &[u8] = &[0x80, 15, 5, 0, 25, 70, 2, 9];
    let attributes = [&[0x40, 1, 1, 0, 0x40, 2, 0][..], reach, unreach].concat();
    let length = u8::try_from(attributes.len()).unwrap();
    let body = [&[0, 0, 0, length][..], &attributes].concat();
    let update = &updates(&message(&body), &context())[0];
    assert_eq!(update.action, Action::DisableAfiSafi);
    assert_eq!(update.disabled, FamilySet::EVPN.with(Family::IPV6_UNICAST));
}

#[test]
fn a_family_that_was_not_agreed_on_is_ignored() {
    let evpn = DecodeContext { families: FamilySet::EVPN, ..context() };
    for octets in [
        announced(&attributes("192.0.2.1"), &[unicast("10.1.0.0/16")]),
        announced(&attributes("2001:db8::1"), &[unicast("2001:db8:1::/48")]),
    ] {
        let update = &updates(&octets, &evpn)[0];
        assert_eq!(update.action, Action::DiscardNlri);
        assert!(update.announced.is_empty() && update.classic.is_none());
    }
}

#[test]
fn the_end_of_each_table_is_told_apart() {
    for family in [Family::EVPN, Family::IPV4_UNICAST, Family::IPV6_UNICAST, Family::RT_CONSTRAINT]
    {
        let update = &updates(&encode_end_of_rib(family), &context())[0];
        assert_eq!(*update, Update { end_of_rib: Some(family), ..Update::default() });
    }
}

#[test]
fn an_open_says_what_it_takes() {
    let capabilities = vec![
        Capability::Multiprotocol(Family::IPV4_UNICAST),
        Capability::ExtendedNextHop(vec![(Family::IPV4_UNICAST, 2)]),
        Capability::AddPath(vec![
            (Family::IPV4_UNICAST, AddPath::Both),
            (Family::EVPN, AddPath::Receive),
        ]),
    ];
    let open = Open {
        asn: Asn(65001),
        hold_time: Duration::from_secs(90),
        router_id: Ipv4Addr::new(10, 0, 0, 1),
        capabilities,
    };
    let octets = encode_open(&open);
    // FRR's own octets of both capabilities.
    let frr: [&[u8]; 2] = [&[5, 6, 0, 1, 0, 1, 0, 2], &[69, 8, 0, 1, 1, 3, 0, 25, 70, 1]];
    for wire in frr {
        assert!(octets.windows(wire.len()).any(|part| part == wire), "{octets:02x?}");
    }
    let read = decode(&octets, &DecodeContext::INITIAL).unwrap();
    assert_eq!(read, Message::Open(open));
}

fn any_route() -> impl Strategy<Value = Vec<Route>> {
    let v4 = (any::<[u8; 4]>(), 0..=32_u8)
        .prop_map(|(ip, bits)| IpNet::new(IpAddr::from(ip), bits).unwrap());
    let v6 = (any::<[u8; 16]>(), 0..=128_u8)
        .prop_map(|(ip, bits)| IpNet::new(IpAddr::from(ip), bits).unwrap());
    let prefix = |net: IpNet| Route::bare(RouteKey::Unicast { prefix: net.trunc() });
    let routable = |route: &Route| match route.key {
        RouteKey::Unicast { prefix } => !prefix.addr().is_multicast(),
        _ => true,
    };
    let membership =
        (any::<[u8; 12]>(), prop_oneof![Just(0_u8), 32..=96_u8]).prop_map(|(o, bits)| {
            Route::bare(RouteKey::RtMembership(RtMembership::from_prefix(bits, o).unwrap()))
        });
    prop_oneof![
        vec(v4.prop_map(prefix).prop_filter("routable", routable), 1..1500),
        vec(v6.prop_map(prefix).prop_filter("routable", routable), 1..600),
        vec(membership, 1..600),
    ]
}

fn any_hop() -> impl Strategy<Value = (IpAddr, Option<Ipv6Addr>)> {
    prop_oneof![
        Just((IpAddr::from([192, 0, 2, 1]), None)),
        Just(("2001:db8::1".parse().unwrap(), None)),
        Just(("2001:db8::1".parse().unwrap(), Some("fe80::1".parse().unwrap()))),
        Just(("fe80::1".parse().unwrap(), Some("fe80::1".parse().unwrap()))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn routes_survive_the_wire(
        routes in any_route(),
        (next_hop, link_local) in any_hop(),
        with_ids in any::<bool>(),
    ) {
        let family = routes[0].key.family();
        prop_assume!(family != Family::IPV6_UNICAST || next_hop.is_ipv6());
        let mut set = PathAttributes::originated(next_hop);
        set.link_local = link_local;
        let octets = encode_attributes(&set, family, AsWidth::Four).unwrap();
        let shared = Shared::new(&octets, &set, family);
        let id = |n: usize| with_ids.then(|| u32::try_from(n).unwrap());
        let mut out = BytesMut::new();
        let numbered = routes.iter().enumerate().map(|(n, route)| (route, id(n)));
        announce(&shared, numbered, MESSAGE_LENGTH_MAX, &mut out).unwrap();
        let add_path = if with_ids { FamilySet::ALL } else { FamilySet::EMPTY };
        let context = DecodeContext { add_path, ..context() };
        let (mut again, mut ids) = (Vec::new(), Vec::new());
        for update in updates(&out, &context) {
            prop_assert_eq!(update.action, Action::Accept);
            let attributes = match update.classic {
                Some(classic) => {
                    again.extend(classic.announced);
                    ids.extend(update.path_ids.classic);
                    classic.attributes
                }
                None => {
                    again.extend(update.announced);
                    ids.extend(update.path_ids.announced);
                    update.attributes.unwrap()
                }
            };
            prop_assert_eq!(&*attributes, &set);
        }
        prop_assert_eq!(&again, &routes);
        let numbers: Vec<u32> = (0..routes.len()).filter_map(id).collect();
        prop_assert_eq!(ids, numbers.clone());

        out.clear();
        let numbered = routes.iter().enumerate().map(|(n, route)| (&route.key, id(n)));
        withdraw(numbered, MESSAGE_LENGTH_MAX, &mut out).unwrap();
        let (mut gone, mut ids) = (Vec::new(), Vec::new());
        for update in updates(&out, &context) {
            gone.extend(update.withdrawn);
            ids.extend(update.path_ids.withdrawn);
        }
        prop_assert_eq!(gone, routes.into_iter().map(|route| route.key).collect::<Vec<_>>());
        prop_assert_eq!(ids, numbers);
    }

    #[test]
    fn no_octets_of_these_families_panic_or_take_memory_out_of_proportion(
        attributes in vec(any::<u8>(), 0..64),
        nlri in vec(any::<u8>(), 0..200),
        with_ids in any::<bool>(),
    ) {
        let length = u16::try_from(attributes.len()).unwrap().to_be_bytes();
        let octets = message(&[&[0, 0][..], &length, &attributes, &nlri].concat());
        let add_path = if with_ids { FamilySet::ALL } else { FamilySet::EMPTY };
        if let Ok(Message::Update(update)) = decode(&octets, &DecodeContext { add_path, ..context() }) {
            let classic = update.classic.map_or(0, |classic| classic.announced.len());
            prop_assert!(update.announced.len() + update.withdrawn.len() + classic <= octets.len());
        }
        drop(Bytes::from(octets));
    }
}
