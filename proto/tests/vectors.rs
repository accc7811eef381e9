//! The project's cases of good and malformed EVPN routes and messages, each made from a bug that
//! was reported against some daemon: what the decoder says of each is what the case allows.

use evpn_proto::bgp::message::{Family, Message, Update};
use evpn_proto::bgp::wire::error::Action;
use evpn_proto::bgp::wire::{
    AsWidth, DecodeContext, FamilySet, MESSAGE_LENGTH_MAX, SessionKind, decode,
};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

const CASES: &str = include_str!("vectors/evpn-cases.json");

fn context() -> DecodeContext {
    DecodeContext {
        as_width: AsWidth::Four,
        length_max: MESSAGE_LENGTH_MAX,
        families: FamilySet::EVPN,
        session: SessionKind::External,
        ..DecodeContext::INITIAL
    }
}

fn hex(text: &str) -> Vec<u8> {
    assert_eq!(text.len() % 2, 0);
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

/// The NLRI in an UPDATE that is valid apart from them.
fn wrapped(nlri: &[u8]) -> Vec<u8> {
    let mut mp = hex("00194604c000020100");
    mp.extend(nlri);
    let mut attributes = vec![0x90, 14];
    attributes.extend(u16::try_from(mp.len()).unwrap().to_be_bytes());
    attributes.extend(mp);
    attributes.extend(hex("4001010040020602010000fde9c010100002fde900000064030c000000000008"));
    let mut message = vec![0xff; 16];
    message.extend(u16::try_from(23 + attributes.len()).unwrap().to_be_bytes());
    message.extend([2, 0, 0]);
    message.extend(u16::try_from(attributes.len()).unwrap().to_be_bytes());
    message.extend(attributes);
    message
}

/// The verdict in the words of the cases.
fn verdict(message: &[u8], context: &DecodeContext) -> (&'static str, Option<Update>) {
    let update = match decode(message, context) {
        Ok(Message::Update(update)) => update,
        Ok(other) => panic!("not an UPDATE: {other:?}"),
        Err(notification) => {
            assert_eq!(notification.code, 3, "{notification:?}");
            return ("reset-session", None);
        }
    };
    let word = match update.action {
        Action::Accept => "accept",
        Action::DiscardAttribute => "discard-attribute",
        Action::DiscardNlri => "discard-nlri",
        Action::TreatAsWithdraw => "treat-as-withdraw",
        Action::DisableAfiSafi => "disable-afi-safi",
        Action::ResetSession => "reset-session",
    };
    (word, Some(update))
}

fn cases(list: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(CASES).unwrap();
    all[list].as_array().unwrap().clone()
}

fn check(case: &Value, message: &[u8]) {
    let name = case["name"].as_str().unwrap();
    let mut context = context();
    if case.get("session").is_some() {
        context.families = FamilySet::EMPTY;
    }
    let (word, update) = verdict(message, &context);
    let allowed: BTreeSet<&str> =
        case["actions"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(allowed.contains(word), "{name}: {word}, not of {allowed:?}: {update:?}");
    let Some(update) = update else { return };
    assert_eq!(update.announced.is_empty(), update.attributes.is_none(), "{name}");
    assert_eq!(update.action == Action::Accept, update.errors.is_empty(), "{name}");
    if matches!(word, "treat-as-withdraw" | "disable-afi-safi") {
        assert!(update.announced.is_empty(), "{name}: {update:?}");
    }
    // What may end in the kernel has to come out of here at all.
    if case["program"] == Value::Bool(true) {
        assert!(!update.announced.is_empty(), "{name}: {update:?}");
    }
}

#[test]
fn every_nlri_case_gets_a_verdict_that_is_right_and_what_is_refused_is_not_announced() {
    let cases = cases("nlri");
    assert!(cases.len() >= 43);
    for case in &cases {
        check(case, &wrapped(&hex(case["hex"].as_str().unwrap())));
    }
}

#[test]
fn every_message_case_gets_a_verdict_that_is_right() {
    let cases = cases("messages");
    assert!(cases.len() >= 26);
    for case in &cases {
        check(case, &hex(case["hex"].as_str().unwrap()));
    }
}

fn named(list: &str, name: &str) -> Update {
    let case = cases(list).into_iter().find(|case| case["name"] == name).unwrap();
    let octets = hex(case["hex"].as_str().unwrap());
    let message = if list == "nlri" { wrapped(&octets) } else { octets };
    verdict(&message, &context()).1.unwrap()
}

#[test]
fn host_bits_of_a_prefix_do_not_make_another_key() {
    let update = named("nlri", "T5 v4 host bits set 10.10.10.1/24");
    assert_eq!(update.announced[0].key.to_string(), "[5]:[0]:[24]:[10.10.10.0]");
}

#[test]
fn the_esi_is_each_routes_own() {
    let update = named("nlri", "two T2, ESI differs");
    let [first, second] = &update.announced[..] else { panic!("{update:?}") };
    assert!(!first.esi.is_zero());
    assert!(second.esi.is_zero());
}

#[test]
fn an_unknown_type_does_not_cost_the_route_after_it() {
    for name in ["unknown type 12, then valid T3", "unknown type 99 length 0, then valid T2"] {
        let types: Vec<u8> = named("nlri", name)
            .announced
            .iter()
            .map(|route| route.key.route_type().unwrap().0)
            .collect();
        assert!(types == [12, 3] || types == [99, 2], "{types:?}");
    }
}

#[test]
fn an_esi_beside_a_gateway_withdraws_that_route_and_no_other() {
    let bad = cases("nlri").into_iter().find(|case| case["name"] == "T5 ESI and GW both nonzero");
    let good = cases("nlri").into_iter().find(|case| case["name"] == "T5 v4 default route");
    let octets = |case: Option<Value>| hex(case.unwrap()["hex"].as_str().unwrap());
    let run = [octets(bad), octets(good)].concat();
    let update = verdict(&wrapped(&run), &context()).1.unwrap();
    assert_eq!(update.action, Action::TreatAsWithdraw);
    assert_eq!(update.withdrawn.len(), 1);
    assert_eq!(update.announced[0].key.to_string(), "[5]:[0]:[0]:[0.0.0.0]");
}

#[test]
fn treat_as_withdraw_names_the_route_to_withdraw() {
    for name in ["extended communities length 12", "attribute length past the end"] {
        let update = named("messages", name);
        assert_eq!(update.withdrawn[0].to_string(), "[2]:[0]:[48]:[00:11:22:33:44:55]", "{name}");
    }
}

#[test]
fn of_two_mobility_communities_the_higher_sequence_counts() {
    let attributes = named("messages", "two MAC Mobility ECs, seq 5 and 9").attributes.unwrap();
    assert_eq!(attributes.mac_mobility().unwrap().sequence, 9);
}

#[test]
fn of_two_routers_macs_the_lower_counts_in_either_order() {
    let mut attributes = named("messages", "two different RMAC ECs on T5").attributes.unwrap();
    for _ in 0..2 {
        assert_eq!(attributes.router_mac().unwrap().to_string(), "02:00:00:00:00:01");
        Arc::make_mut(&mut attributes).ext_communities.reverse();
    }
}

#[test]
fn a_link_bandwidth_that_is_no_number_is_not_read() {
    for name in ["link bandwidth NaN", "link bandwidth -1.0", "link bandwidth +Inf"] {
        assert_eq!(named("messages", name).attributes.unwrap().link_bandwidth(), None, "{name}");
    }
    let zero = named("messages", "link bandwidth 0 (RFC 10005, AS 65001)").attributes.unwrap();
    assert_eq!(zero.link_bandwidth(), Some(0.0));
}

#[test]
fn the_end_of_rib_marker_is_told_from_a_withdrawal() {
    assert_eq!(named("messages", "EVPN End-of-RIB").end_of_rib, Some(Family::EVPN));
    assert_eq!(named("messages", "MP_UNREACH T5 plen 33").end_of_rib, None);
}

#[test]
fn a_next_hop_pair_is_its_global_address() {
    let update = named("messages", "EVPN next hop 32 (global+link-local)");
    assert_eq!(update.attributes.unwrap().next_hop.to_string(), "2001:db8::1");
}
