//! Properties of the wire that hold for every value and for any octets.

use bytes::{Bytes, BytesMut};
use evpn_proto::bgp::attributes::{
    AsPath, AsSegment, AsSegmentKind, Community, ExtCommunity, Origin, Partial, PathAttributes,
    PmsiTunnel, RawAttribute,
};
use evpn_proto::bgp::message::{
    Capability, Family, ForwardingPreserved, GracefulRestart, Message, Notification, Open,
    RouteRefresh, Update,
};
use evpn_proto::bgp::role::Role;
use evpn_proto::bgp::wire::decode::{Direction, ERRORS_MAX, decode_nlri};
use evpn_proto::bgp::wire::error::{Action, EncodeError};
use evpn_proto::bgp::wire::{
    AsWidth, DecodeContext, EXTENDED_MESSAGE_LENGTH_MAX, EncodeContext, FamilySet,
    MESSAGE_LENGTH_MAX, SessionKind, decode, encode_announcements, encode_end_of_rib,
    encode_notification, encode_open, encode_route_refresh, encode_withdrawals, frame,
};
use evpn_proto::types::{
    Asn, Esi, EthernetTag, Flow, Label, MacAddr, Membership, MulticastKey, Rd, Route, RouteKey,
    RouteType,
};
use ipnet::IpNet;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

const GOLDEN: [&str; 2] =
    [include_str!("golden/frr-8.4.4.txt"), include_str!("golden/gobgp-3.10.0.txt")];

fn context(as_width: AsWidth, length_max: usize) -> DecodeContext {
    let (families, session) = (FamilySet::EVPN, SessionKind::Internal);
    DecodeContext { as_width, length_max, families, session, ..DecodeContext::INITIAL }
}

fn golden_messages() -> Vec<Vec<u8>> {
    let hex = |line: &str| -> Vec<u8> {
        let octet = |i| u8::from_str_radix(&line[i..i + 2], 16).unwrap();
        (0..line.len()).step_by(2).map(octet).collect()
    };
    GOLDEN.iter().flat_map(|text| text.lines()).filter(|l| !l.starts_with('#')).map(hex).collect()
}

fn any_width() -> impl Strategy<Value = AsWidth> {
    prop_oneof![Just(AsWidth::Two), Just(AsWidth::Four)]
}

fn any_ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(|o| IpAddr::V4(Ipv4Addr::from(o))),
        any::<[u8; 16]>().prop_map(|o| IpAddr::V6(Ipv6Addr::from(o))),
    ]
}

fn any_hop() -> impl Strategy<Value = IpAddr> {
    any_ip().prop_filter("a host", |ip| {
        !ip.is_unspecified() && !ip.is_multicast() && *ip != IpAddr::V4(Ipv4Addr::BROADCAST)
    })
}

prop_compose! {
    fn any_rd()(octets: [u8; 8]) -> Rd { Rd(octets) }
}
prop_compose! {
    fn any_label()(octets: [u8; 3]) -> Label { Label::from_octets(octets) }
}
prop_compose! {
    fn any_esi()(octets in prop_oneof![Just([0; 10]), any::<[u8; 10]>()]) -> Esi { Esi(octets) }
}
fn segment_esi() -> impl Strategy<Value = Esi> {
    any::<[u8; 9]>().prop_map(|[a, b, c, d, e, f, g, h, i]| Esi([3, a, b, c, d, e, f, g, h, i]))
}

fn any_prefix() -> impl Strategy<Value = (IpNet, Option<IpAddr>)> {
    (any_ip(), any::<u8>(), any::<bool>()).prop_map(|(ip, bits, has_gateway)| {
        let bits = if ip.is_ipv4() { bits % 33 } else { bits % 129 };
        let gateway = Some(ip).filter(|ip| has_gateway && !ip.is_unspecified());
        (IpNet::new(ip, bits).unwrap().trunc(), gateway)
    })
}

fn any_flow() -> impl Strategy<Value = Flow> {
    let v4 = || any::<[u8; 4]>().prop_map(|o| IpAddr::V4(Ipv4Addr::from(o)));
    let v6 = || any::<[u8; 16]>().prop_map(|o| IpAddr::V6(Ipv6Addr::from(o)));
    let pair =
        prop_oneof![(option::of(v4()), option::of(v4())), (option::of(v6()), option::of(v6()))];
    (pair, any_ip()).prop_map(|((source, group), originator)| Flow { source, group, originator })
}

fn any_multicast_key() -> impl Strategy<Value = MulticastKey> {
    let head = || (any_rd(), any::<u32>().prop_map(EthernetTag));
    let tagged = || (head(), any_flow());
    let simple = prop_oneof![
        tagged().prop_map(|((rd, etag), flow)| MulticastKey::Smet { rd, etag, flow }),
        (tagged(), segment_esi()).prop_map(|(((rd, etag), flow), esi)| {
            MulticastKey::JoinSynch { rd, esi, etag, flow }
        }),
        (tagged(), segment_esi()).prop_map(|(((rd, etag), flow), esi)| {
            MulticastKey::LeaveSynch { rd, esi, etag, flow }
        }),
        (head(), any::<[u8; 8]>()).prop_map(|((rd, etag), region)| MulticastKey::RegionPmsi {
            rd,
            etag,
            region
        }),
        tagged().prop_map(|((rd, etag), flow)| MulticastKey::SelectivePmsi { rd, etag, flow }),
    ];
    let leaf = (tagged(), any_ip()).prop_map(|(((rd, etag), flow), originator)| {
        let RouteKey::Opaque { body, .. } =
            RouteKey::from(&MulticastKey::SelectivePmsi { rd, etag, flow })
        else {
            panic!("a route of multicast is opaque")
        };
        let head = [10, u8::try_from(body.len()).unwrap()];
        MulticastKey::Leaf { route_key: [&head[..], &body[..]].concat().into(), originator }
    });
    prop_oneof![5 => simple, 1 => leaf]
}

fn any_multicast_route() -> impl Strategy<Value = Route> {
    (any_multicast_key(), any::<([u8; 4], u8, u8)>()).prop_map(
        |(key, (reserved, max_response, flags))| {
            let key = RouteKey::from(&key);
            match key.route_type().unwrap().membership_octets() {
                0 => Route::bare(key),
                1 => Route::with_membership(key, Membership { flags, ..Membership::default() }),
                _ => Route::with_membership(key, Membership { reserved, max_response, flags }),
            }
        },
    )
}

fn any_route() -> impl Strategy<Value = Route> {
    let etag = || any::<u32>().prop_map(EthernetTag);
    prop_oneof![
        (any_rd(), any_esi(), etag(), any_label())
            .prop_filter("no reserved segment", |(_, esi, ..)| *esi != Esi([0xff; 10]))
            .prop_map(|(rd, esi, etag, label)| {
                Route::labelled(RouteKey::EthernetAd { rd, esi, etag }, label)
            }),
        (
            any_rd(),
            etag(),
            any::<[u8; 6]>().prop_map(MacAddr),
            option::of(any_ip()),
            any_esi(),
            any_label(),
            option::of(any_label())
        )
            .prop_map(|(rd, etag, mac, ip, esi, label1, label2)| {
                let key = RouteKey::MacIp { rd, etag, mac, ip };
                Route { key, esi, gateway: None, label1, label2 }
            }),
        (any_rd(), etag(), any_ip()).prop_map(|(rd, etag, originator)| {
            Route::bare(RouteKey::Imet { rd, etag, originator })
        }),
        (any_rd(), segment_esi(), any_ip()).prop_map(|(rd, esi, originator)| {
            Route::bare(RouteKey::EthernetSegment { rd, esi, originator })
        }),
        // Without a label a prefix may lead nowhere.
        (any_rd(), etag(), any_prefix(), any_esi(), (1_u32..1 << 24)).prop_map(
            |(rd, etag, (prefix, gateway), esi, label)| {
                let [_, octets @ ..] = label.to_be_bytes();
                let label1 = Label::from_octets(octets);
                let esi = if gateway.is_some() { Esi::ZERO } else { esi };
                let key = RouteKey::IpPrefix { rd, etag, prefix };
                Route { key, esi, gateway, label1, label2: None }
            }
        ),
        any_multicast_route(),
        (12..=255_u8, vec(any::<u8>(), 0..=255)).prop_map(|(route_type, body)| {
            let body = Bytes::from(body);
            Route::bare(RouteKey::Opaque { route_type: RouteType(route_type), body })
        }),
    ]
}

fn any_path() -> impl Strategy<Value = AsPath> {
    let asn = prop_oneof![1..=0xffff_u32, 1..=u32::MAX].prop_map(Asn);
    let segment = (any::<bool>(), vec(asn, 1..6)).prop_map(|(is_set, asns)| {
        let kind = if is_set { AsSegmentKind::Set } else { AsSegmentKind::Sequence };
        AsSegment { kind, asns }
    });
    vec(segment, 0..4).prop_map(|segments| AsPath { segments })
}

/// A router's MAC is no group's, which would withdraw type 5 routes.
fn any_ext_community() -> impl Strategy<Value = ExtCommunity> {
    any::<[u8; 8]>().prop_map(|mut octets| {
        if octets[..2] == [6, 3] {
            octets[2] &= 0xfe;
        }
        ExtCommunity(octets)
    })
}

fn any_pmsi() -> impl Strategy<Value = PmsiTunnel> {
    let ingress = any_ip().prop_map(|ip| {
        let identifier = match ip {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        (6, identifier)
    });
    let kind = prop_oneof![
        ingress,
        (Just(0), vec(any::<u8>(), 0..20)),
        (Just(1), vec(any::<u8>(), 12)),
        (3..=5_u8, vec(any::<u8>(), 8)),
        (3..=5_u8, vec(any::<u8>(), 32)),
    ];
    (any::<u8>(), kind, any_label()).prop_map(|(flags, (tunnel_type, identifier), label)| {
        PmsiTunnel { flags, tunnel_type, label, identifier: identifier.into() }
    })
}

/// Attributes relayed unread; partial, since that is how unrecognised ones go out.
fn any_unknown() -> impl Strategy<Value = Vec<RawAttribute>> {
    let unrecognised = btree_map(41..=255_u8, vec(any::<u8>(), 0..300), 0..3);
    let aggregator = option::of((1..=u32::MAX, any::<[u8; 4]>()));
    (any::<bool>(), aggregator, unrecognised).prop_map(|(atomic, aggregator, others)| {
        let mut list = Vec::new();
        if atomic {
            list.push(RawAttribute { flags: 0x40, code: 6, value: Bytes::new() });
        }
        if let Some((asn, router)) = aggregator {
            let value = [asn.to_be_bytes(), router].concat().into();
            list.push(RawAttribute { flags: 0xc0, code: 7, value });
        }
        list.extend(others.into_iter().map(|(code, value)| RawAttribute {
            flags: 0xe0,
            code,
            value: value.into(),
        }));
        list
    })
}

prop_compose! {
    fn any_attributes()(
        origin in prop_oneof![Just(Origin::Igp), Just(Origin::Egp), Just(Origin::Incomplete)],
        as_path in any_path(),
        next_hop in any_hop(),
        (med, local_pref, originator_id) in any::<(Option<u32>, Option<u32>, Option<u32>)>(),
        communities in vec(any::<u32>().prop_map(Community), 0..70),
        ext_communities in vec(any_ext_community(), 0..40),
        cluster_list in vec(any::<u32>().prop_map(Ipv4Addr::from), 0..4),
        pmsi in option::of(any_pmsi()),
        unknown in any_unknown(),
        partial in any::<[bool; 3]>(),
    ) -> PathAttributes {
        let originator_id = originator_id.map(Ipv4Addr::from);
        let has = (!communities.is_empty(), !ext_communities.is_empty());
        PathAttributes {
            origin, as_path, next_hop, link_local: None, med, local_pref, communities, ext_communities,
            originator_id, cluster_list, unknown,
            // What is not there has no flags either.
            partial: Partial {
                communities: partial[0] && has.0,
                ext_communities: partial[1] && has.1,
                pmsi: partial[2] && pmsi.is_some(),
            },
            pmsi,
        }
    }
}

/// The messages that stand one after another, each framed and read.
fn all(mut octets: &[u8], context: &DecodeContext) -> Vec<(usize, Update)> {
    let mut found = Vec::new();
    while !octets.is_empty() {
        let length = frame(octets, context.length_max).unwrap().unwrap().length;
        let (message, rest) = octets.split_at(length);
        match decode(message, context).unwrap() {
            Message::Update(update) => found.push((length, update)),
            other => panic!("{other:?}"),
        }
        octets = rest;
    }
    found
}

fn announce(
    attributes: &PathAttributes,
    context: &EncodeContext,
    routes: &[Route],
) -> Result<Bytes, EncodeError> {
    let mut out = BytesMut::new();
    encode_announcements(attributes, context, routes.iter(), &mut out)?;
    Ok(out.freeze())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn routes_and_attributes_survive_the_wire_and_messages_are_packed_full(
        attributes in any_attributes(),
        routes in vec(any_route(), 0..120),
        as_width in any_width(),
        length_max in prop_oneof![Just(MESSAGE_LENGTH_MAX), Just(EXTENDED_MESSAGE_LENGTH_MAX)],
    ) {
        let wire = announce(&attributes, &EncodeContext { as_width, length_max }, &routes).unwrap();
        let updates = all(&wire, &context(as_width, length_max));
        let read: Vec<Route> =
            updates.iter().flat_map(|(_, update)| update.announced.clone()).collect();
        prop_assert_eq!(&read, &routes);
        let mut before = 0;
        for (index, (length, update)) in updates.iter().enumerate() {
            prop_assert_eq!(update.attributes.as_deref(), Some(&attributes));
            prop_assert_eq!(update.action, Action::Accept, "{:?}", &update.errors);
            prop_assert!(*length <= length_max);
            before += update.announced.len();
            if index + 1 < updates.len() {
                // The route that opened the next message had no room in this one.
                let context = EncodeContext { as_width, length_max: EXTENDED_MESSAGE_LENGTH_MAX };
                let bare = announce(&attributes, &context, &routes[before..=before]).unwrap().len()
                    - nlri_length(&routes[before]);
                let full: usize = update.announced.iter().map(nlri_length).sum();
                prop_assert!(bare + full + nlri_length(&routes[before]) > length_max);
            }
        }
    }

    #[test]
    fn keys_survive_a_withdrawal(routes in vec(any_route(), 0..300)) {
        let keys: Vec<RouteKey> = routes.into_iter().map(|route| route.key).collect();
        let (as_width, length_max) = (AsWidth::Four, MESSAGE_LENGTH_MAX);
        let mut out = BytesMut::new();
        let encode = EncodeContext { as_width, length_max };
        encode_withdrawals(keys.iter(), &encode, &mut out).unwrap();
        let updates = all(&out, &context(as_width, length_max));
        prop_assert!(updates.iter().all(|(_, update)| update.action == Action::Accept));
        let read: Vec<RouteKey> = updates.into_iter().flat_map(|(_, u)| u.withdrawn).collect();
        prop_assert_eq!(read, keys);
    }

    #[test]
    fn attributes_that_leave_no_room_are_an_error_and_write_nothing(
        attributes in any_attributes(),
        route in any_route(),
        length_max in 23..400_usize,
    ) {
        let context = EncodeContext { as_width: AsWidth::Four, length_max };
        let mut out = BytesMut::from(&b"before"[..]);
        let routes = [route];
        match encode_announcements(&attributes, &context, routes.iter(), &mut out) {
            Ok(()) => prop_assert!(out.len() - 6 <= length_max),
            Err(EncodeError::MessageTooLong { needed, length_max: told }) => {
                prop_assert_eq!(told, length_max);
                prop_assert!(needed > length_max);
                prop_assert_eq!(&out[..], b"before");
                // What it says is needed is exactly what would do.
                let enough = EncodeContext { length_max: needed, ..context };
                prop_assert_eq!(announce(&attributes, &enough, &routes).unwrap().len(), needed);
            }
            Err(other) => prop_assert!(false, "{other:?}"),
        }
    }

    #[test]
    fn an_open_survives_the_wire(
        asn in (1..=u32::MAX).prop_filter("not AS_TRANS", |asn| *asn != 23456),
        hold in prop_oneof![Just(0_u16), 3..=u16::MAX],
        router_id in 1..=u32::MAX,
        unknown in vec((71..=255_u8, vec(any::<u8>(), 0..255)), 0..8),
        restart in option::of((any::<(bool, bool)>(), 0..4096_u64, vec(any::<(u16, u8, bool)>(), 0..4))),
    ) {
        let mut capabilities = vec![
            Capability::Multiprotocol(Family::EVPN),
            Capability::RouteRefresh,
            Capability::ExtendedMessage,
            Capability::FourOctetAs(Asn(asn)),
            Capability::EnhancedRouteRefresh,
            Capability::Role(Role::Customer),
        ];
        if let Some(((restarting, notification), seconds, families)) = restart {
            let forwarding = |preserved| {
                if preserved { ForwardingPreserved::Yes } else { ForwardingPreserved::No }
            };
            let families = families
                .into_iter()
                .map(|(afi, safi, preserved)| (Family { afi, safi }, forwarding(preserved)))
                .collect();
            let restart_time = Duration::from_secs(seconds);
            capabilities.push(Capability::GracefulRestart(GracefulRestart {
                restarting, notification, restart_time, families,
            }));
        }
        capabilities.extend(
            unknown.into_iter().map(|(code, value)| Capability::Unknown { code, value: value.into() }),
        );
        let hold_time = Duration::from_secs(hold.into());
        let router_id = Ipv4Addr::from(router_id);
        let open = Open { asn: Asn(asn), hold_time, router_id, capabilities };
        let wire = encode_open(&open);
        prop_assert_eq!(decode(&wire, &DecodeContext::INITIAL), Ok(Message::Open(open)));
    }

    #[test]
    fn small_messages_survive_the_wire(
        (code, subcode, afi, safi) in any::<(u8, u8, u16, u8)>(),
        data in vec(any::<u8>(), 0..5000),
    ) {
        let context = context(AsWidth::Four, MESSAGE_LENGTH_MAX);
        let data = Bytes::from(data);
        let wire = encode_notification(&Notification { code, subcode, data: data.clone() });
        prop_assert!(wire.len() <= MESSAGE_LENGTH_MAX);
        let data = data.slice(..data.len().min(MESSAGE_LENGTH_MAX - 21));
        let notification = Notification { code, subcode, data };
        prop_assert_eq!(decode(&wire, &context), Ok(Message::Notification(notification)));
        let refresh = RouteRefresh { family: Family { afi, safi }, subtype: subcode };
        let wire = encode_route_refresh(&refresh);
        prop_assert_eq!(decode(&wire, &context), Ok(Message::RouteRefresh(refresh)));
    }

    #[test]
    fn any_octets_are_a_value_or_an_error(
        octets in vec(any::<u8>(), 0..300),
        kind in 0..7_u8,
        as_width in any_width(),
    ) {
        let mut message = vec![0xff; 16];
        message.extend(u16::try_from(19 + octets.len()).unwrap().to_be_bytes());
        message.push(kind);
        message.extend(&octets);
        let context = context(as_width, MESSAGE_LENGTH_MAX);
        drop(decode(&message, &context));
        drop(decode(&octets, &context));
        for direction in [Direction::Announced, Direction::Withdrawn] {
            if let Ok(routes) = decode_nlri(&octets, direction) {
                prop_assert!(routes.announced.len() + routes.withdrawn.len() <= octets.len() / 2);
                prop_assert!(routes.errors.len() <= ERRORS_MAX);
            }
        }
    }

    /// Damaged messages of other implementations reach far deeper than octets by chance.
    #[test]
    fn what_is_read_from_a_damaged_message_can_be_written_and_read_again(
        index in any::<prop::sample::Index>(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        as_width in any_width(),
    ) {
        let mut message = index.get(&golden_messages()).clone();
        let body = message.len() - 19;
        for (at, octet) in damage {
            if body > 0 {
                message[19 + at.index(body)] = octet;
            }
        }
        let context = context(as_width, MESSAGE_LENGTH_MAX);
        if let Ok(Message::Update(update)) = decode(&message, &context) {
            prop_assert_eq!(update.announced.is_empty(), update.attributes.is_none());
            prop_assert_eq!(update.action == Action::Accept, update.errors.is_empty());
            if let Some(attributes) = &update.attributes {
                let encode = EncodeContext { as_width, length_max: MESSAGE_LENGTH_MAX };
                let wire = announce(attributes, &encode, &update.announced).unwrap();
                let again = all(&wire, &context);
                prop_assert_eq!(again.len(), 1);
                prop_assert_eq!(&again[0].1.announced, &update.announced);
                // The first encoding marks as partial what is relayed; from then on nothing changes.
                let second = announce(again[0].1.attributes.as_ref().unwrap(), &encode, &update.announced);
                prop_assert_eq!(second.unwrap(), wire);
            }
        }
    }
}

fn nlri_length(route: &Route) -> usize {
    let mut out = BytesMut::new();
    let hop = PathAttributes::originated(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let context =
        EncodeContext { as_width: AsWidth::Four, length_max: EXTENDED_MESSAGE_LENGTH_MAX };
    encode_announcements(&hop, &context, std::iter::once(route), &mut out).unwrap();
    // Flags, code, length (2), AFI, SAFI, hop (1 + 4), reserved: 9 before the routes.
    usize::from(u16::from_be_bytes([out[25], out[26]])) - 9
}

#[test]
fn a_message_cut_anywhere_is_an_error_or_less_and_never_more() {
    let context = context(AsWidth::Four, MESSAGE_LENGTH_MAX);
    for whole in golden_messages() {
        let routes = |message: Message| match message {
            Message::Update(update) => update.announced.len() + update.withdrawn.len(),
            _ => 0,
        };
        let in_whole = routes(decode(&whole, &context).unwrap());
        for length in 0..whole.len() {
            assert_eq!(frame(&whole[..length], MESSAGE_LENGTH_MAX), Ok(None));
            assert!(decode(&whole[..length], &context).is_err());
            if length < 19 {
                continue;
            }
            // Cut, and honest about its length.
            let mut cut = whole[..length].to_vec();
            cut[16..18].copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
            if let Ok(message) = decode(&cut, &context) {
                assert!(routes(message) <= in_whole);
            }
            // Cut within the attributes, and honest about both lengths: never a clean UPDATE that
            // has lost routes.
            if whole[18] == 2 && length >= 23 {
                cut[21..23].copy_from_slice(&u16::try_from(length - 23).unwrap().to_be_bytes());
                if let Ok(Message::Update(update)) = decode(&cut, &context)
                    && update.announced.len() + update.withdrawn.len() < in_whole
                    && length > 23
                {
                    assert!(
                        update.action > Action::DiscardNlri
                            || update.announced.len() + update.withdrawn.len() == 0,
                        "{update:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_message_of_rubbish_routes_keeps_a_bounded_number_of_errors() {
    let rubbish = [0_u8, 0].repeat(30_000);
    let routes = decode_nlri(&rubbish, Direction::Announced).unwrap();
    assert_eq!(routes.errors.len(), ERRORS_MAX);
    assert_eq!(routes.action, Action::DiscardNlri);
    assert!(routes.announced.is_empty());
}

#[test]
fn an_end_of_rib_marker_of_each_family_is_read_as_such() {
    let mut context = context(AsWidth::Four, MESSAGE_LENGTH_MAX);
    let families = [Family::EVPN, Family::IPV4_UNICAST, Family::IPV6_UNICAST];
    context.families = families.into_iter().collect();
    for family in families {
        let wire = encode_end_of_rib(family);
        let expected = Update { end_of_rib: Some(family), ..Update::default() };
        assert_eq!(decode(&wire, &context), Ok(Message::Update(expected)));
    }
}
