//! Properties of looking at octets from outside a session, and of what is relayed.

use bytes::BytesMut;
use evpn_proto::bgp::attributes::PathAttributes;
use evpn_proto::bgp::wire::decode::{
    Direction, ERRORS_MAX, Inspection, PathIds, decode_nlri, inspect_message, inspect_nlri,
    inspect_update,
};
use evpn_proto::bgp::wire::error::Action;
use evpn_proto::bgp::wire::{
    AsWidth, DecodeContext, EXTENDED_MESSAGE_LENGTH_MAX, EncodeContext, FamilySet, SessionKind,
    encode_announcements, encode_attribute, encode_withdrawals,
};
use evpn_proto::types::{Family, Membership, MulticastKey, Route, RouteKey, RouteType};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr};

const CASES: &str = include_str!("vectors/cases.json");

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

/// Octets of the cases of a kind.
fn cases(kind: &str) -> Vec<Vec<u8>> {
    let all: Value = serde_json::from_str(CASES).unwrap();
    let cases = all["cases"].as_array().unwrap().iter().filter(|case| case["as"] == kind);
    cases.map(|case| hex(case["hex"].as_str().unwrap())).collect()
}

fn context(as_width: AsWidth, session: SessionKind) -> DecodeContext {
    let (length_max, families) = (EXTENDED_MESSAGE_LENGTH_MAX, FamilySet::EVPN);
    DecodeContext { as_width, length_max, families, session, ..DecodeContext::INITIAL }
}

fn any_context() -> impl Strategy<Value = DecodeContext> {
    let width = prop_oneof![Just(AsWidth::Two), Just(AsWidth::Four)];
    let session = prop_oneof![Just(SessionKind::Internal), Just(SessionKind::External)];
    (width, session).prop_map(|(width, session)| context(width, session))
}

fn any_path_ids() -> impl Strategy<Value = PathIds> {
    prop_oneof![Just(PathIds::Absent), Just(PathIds::Present)]
}

/// The routes as NLRI.
fn nlri<'a>(routes: impl Iterator<Item = &'a Route>) -> Vec<u8> {
    let routes: Vec<&Route> = routes.collect();
    if routes.is_empty() {
        return Vec::new();
    }
    let attributes = PathAttributes::originated(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let encode = EncodeContext { as_width: AsWidth::Four, length_max: EXTENDED_MESSAGE_LENGTH_MAX };
    let mut out = BytesMut::new();
    encode_announcements(&attributes, &encode, routes.into_iter(), &mut out).unwrap();
    // Header 19, two lengths of fields, then MP_REACH_NLRI with an extended length: 4, and 9 before
    // its routes.
    let length = usize::from(u16::from_be_bytes([out[25], out[26]]));
    out[27 + 9..27 + length].to_vec()
}

fn check_sound(seen: &Inspection) {
    let worst = seen.errors.iter().map(|error| error.action).max().unwrap_or_default();
    if seen.errors.len() < ERRORS_MAX {
        assert_eq!(seen.action, worst, "{seen:?}");
    }
    assert!(seen.errors.len() <= ERRORS_MAX + 1);
    if seen.action >= Action::DisableAfiSafi {
        assert!(seen.routes.is_empty() && seen.withdrawn.is_empty(), "{seen:?}");
    }
}

/// Octets with some of them changed, or the end cut off.
fn damaged(kind: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let at = any::<prop::sample::Index>;
    (at(), vec((at(), any::<u8>()), 0..4), any::<bool>(), at()).prop_map(
        move |(which, damage, cut, end)| {
            let all = cases(kind);
            let mut octets = which.get(&all).clone();
            if octets.is_empty() {
                return octets;
            }
            for (at, octet) in damage {
                let at = at.index(octets.len());
                octets[at] = octet;
            }
            if cut {
                octets.truncate(end.index(octets.len()));
            }
            octets
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_octets_are_looked_at_without_harm(
        octets in vec(any::<u8>(), 0..400),
        context in any_context(),
        path_ids in any_path_ids(),
    ) {
        check_sound(&inspect_nlri(&octets, Family::EVPN, path_ids));
        check_sound(&inspect_update(&octets, &context, path_ids));
        check_sound(&inspect_message(&octets, &context, path_ids));
    }

    #[test]
    fn damaged_messages_are_looked_at_without_harm(
        message in damaged("message"),
        body in damaged("update"),
        context in any_context(),
        path_ids in any_path_ids(),
    ) {
        check_sound(&inspect_message(&message, &context, path_ids));
        check_sound(&inspect_update(&body, &context, path_ids));
    }

    #[test]
    fn routes_that_were_accepted_are_written_and_read_again(run in damaged("nlri")) {
        let seen = inspect_nlri(&run, Family::EVPN, PathIds::Absent);
        check_sound(&seen);
        let routes: Vec<Route> = seen.routes.into_iter().map(|seen| seen.route).collect();
        let wire = nlri(routes.iter());
        let again = decode_nlri(&wire, Direction::Announced).unwrap();
        prop_assert_eq!(&again.announced, &routes);
        prop_assert_eq!(again.action, Action::Accept);
        // From then on nothing changes.
        prop_assert_eq!(nlri(again.announced.iter()), wire);
        for route in &routes {
            if let Some(key) = route.key.multicast() {
                prop_assert_eq!(&RouteKey::from(&key), &route.key);
            }
        }
    }

    #[test]
    fn an_attribute_that_can_be_read_is_written_and_read_again(
        code in prop_oneof![1..=18_u8, 22..=26_u8, Just(32), Just(35), Just(40)],
        octets in prop_oneof![vec(any::<u8>(), 0..60), vec(0..3_u8, 0..60)],
        context in any_context(),
    ) {
        let body = |attribute: &[u8]| {
            let length = u16::try_from(attribute.len()).unwrap().to_be_bytes();
            [&[0, 0][..], &length, attribute].concat()
        };
        let length = u8::try_from(octets.len()).unwrap();
        let attribute = [&[0xc0, code, length][..], &octets].concat();
        let seen = inspect_update(&body(&attribute), &context, PathIds::Absent);
        prop_assert_eq!(seen.attributes.len(), 1);
        if let Ok(Some(value)) = &seen.attributes[0].value {
            let wire = encode_attribute(value, context.as_width).unwrap();
            let again = inspect_update(&body(&wire), &context, PathIds::Absent);
            // Of an AS4_PATH that held a confederation alone (RFC 6793 §6) nothing is left to write.
            if wire.len() > 3 || code == 2 || code == 6 {
                prop_assert_eq!(again.attributes[0].value.as_ref(), Ok(&Some(value.clone())));
            }
        }
    }
}

#[test]
fn what_is_relayed_is_what_was_received_octet_for_octet() {
    let mut relayed = std::collections::BTreeSet::new();
    for run in cases("nlri") {
        let seen = inspect_nlri(&run, Family::EVPN, PathIds::Absent);
        let masked = seen.routes.iter().any(|seen| {
            // RFC 9136 §3.1: the key is the masked prefix, so bits beyond it are not kept.
            seen.route.key.route_type() == Some(RouteType::IP_PREFIX)
        });
        if seen.action == Action::Accept && !masked {
            assert_eq!(nlri(seen.routes.iter().map(|seen| &seen.route)), run);
            relayed.extend(seen.routes.iter().map(|seen| seen.route.key.route_type().unwrap().0));
        }
    }
    assert!(relayed.iter().copied().filter(|t| *t <= 11).eq([1, 2, 3, 4, 6, 7, 8, 9, 10, 11]));
}

fn only(run: &str) -> Route {
    let mut seen = inspect_nlri(&hex(run), Family::EVPN, PathIds::Absent);
    assert_eq!((seen.action, seen.routes.len()), (Action::Accept, 1), "{seen:?}");
    seen.routes.remove(0).route
}

#[test]
fn flags_and_response_times_do_not_make_another_route() {
    let smet = "061800010a0000010064000000000020ef010101200a000001";
    let leave = "082700010a000001006403445566778801000001000000000020ef010101200a000001";
    for (one, other) in [
        (format!("{smet}02"), format!("{smet}0a")),
        (format!("{leave}000000000a02"), format!("{leave}01020304ff04")),
    ] {
        let (one, other) = (only(&one), only(&other));
        assert_eq!(one.key, other.key);
        // The table tells the change from a repetition, and passes it on.
        assert_ne!((one.label1, one.label2), (other.label1, other.label2));
    }
    let expected = Membership { reserved: [1, 2, 3, 4], max_response: 255, flags: Membership::V3 };
    assert_eq!(only(&format!("{leave}01020304ff04")).membership(), Some(expected));
}

#[test]
fn a_withdrawal_of_a_multicast_route_names_the_route() {
    let route = only("061800010a0000010064000000000020ef010101200a0000010a");
    let encode = EncodeContext { as_width: AsWidth::Four, length_max: EXTENDED_MESSAGE_LENGTH_MAX };
    let mut out = BytesMut::new();
    encode_withdrawals(std::iter::once(&route.key), &encode, &mut out).unwrap();
    let context = context(AsWidth::Four, SessionKind::External);
    let seen = inspect_message(&out, &context, PathIds::Absent);
    assert_eq!((seen.action, seen.withdrawn.len()), (Action::Accept, 1), "{seen:?}");
    assert_eq!(seen.withdrawn[0].route.key, route.key);
}

#[test]
fn the_views_of_multicast_routes_say_what_stands_in_them() {
    let route = only("061800010a0000010064000000000020ef010101200a00000102");
    let Some(MulticastKey::Smet { rd, etag, flow }) = route.key.multicast() else {
        panic!("{route:?}")
    };
    assert_eq!((rd.to_string().as_str(), etag.0), ("10.0.0.1:100", 0));
    assert_eq!((flow.source, flow.group), (None, Some("239.1.1.1".parse().unwrap())));
    assert_eq!(flow.originator, IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)));
    assert_eq!(route.labels().count(), 0);
    assert_eq!(only("6300").key.multicast(), None);
}

#[test]
fn a_key_takes_no_more_memory_for_them() {
    assert!(size_of::<RouteKey>() <= 40, "{}", size_of::<RouteKey>());
    assert!(size_of::<Route>() <= 80, "{}", size_of::<Route>());
}
