//! The table of cases in `vectors/`: each gets a verdict that its RFC allows, from the decoder that
//! sessions run and from the one that only looks, and the two agree.

use evpn_proto::bgp::message::Message;
use evpn_proto::bgp::wire::decode::{
    Inspection, PathIds, inspect_message, inspect_nlri, inspect_update,
};
use evpn_proto::bgp::wire::error::Action;
use evpn_proto::bgp::wire::{
    AsWidth, DecodeContext, EXTENDED_MESSAGE_LENGTH_MAX, FamilySet, SessionKind, decode,
    encode_attribute,
};
use evpn_proto::types::Family;
use serde_json::Value;
use std::collections::BTreeSet;

const CASES: &str = include_str!("vectors/cases.json");
const SHARED: &str = include_str!("vectors/evpn-cases.json");

fn cases() -> Vec<Value> {
    let all: Value = serde_json::from_str(CASES).unwrap();
    all["cases"].as_array().unwrap().clone()
}

fn texts(list: &Value) -> BTreeSet<&str> {
    list.as_array().unwrap().iter().map(|item| item.as_str().unwrap()).collect()
}

fn hex(text: &str) -> Vec<u8> {
    assert_eq!(text.len() % 2, 0);
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

struct Reading {
    context: DecodeContext,
    path_ids: PathIds,
}

fn reading(options: &BTreeSet<&str>) -> Reading {
    let has = |option| options.contains(option);
    let as_width = if has("--two-octet-as") { AsWidth::Two } else { AsWidth::Four };
    let session = if has("--ibgp") { SessionKind::Internal } else { SessionKind::External };
    let (length_max, families) = (EXTENDED_MESSAGE_LENGTH_MAX, FamilySet::EVPN);
    let path_ids = if has("--add-path") { PathIds::Present } else { PathIds::Absent };
    let initial = DecodeContext::INITIAL;
    Reading {
        context: DecodeContext { as_width, length_max, families, session, ..initial },
        path_ids,
    }
}

fn inspect(kind: &str, octets: &[u8], reading: &Reading) -> Inspection {
    match kind {
        "nlri" => inspect_nlri(octets, Family::EVPN, reading.path_ids),
        "message" => inspect_message(octets, &reading.context, reading.path_ids),
        "update" => inspect_update(octets, &reading.context, reading.path_ids),
        other => panic!("{other}"),
    }
}

fn routes(seen: &Inspection) -> Vec<String> {
    seen.routes.iter().map(|seen| seen.route.key.to_string()).collect()
}

/// What holds of every inspection.
fn check_sound(name: &str, seen: &Inspection) {
    let worst = seen.errors.iter().map(|error| error.action).max().unwrap_or_default();
    assert_eq!(seen.action, worst, "{name}: {:?}", seen.errors);
    let ends = seen.action == Action::ResetSession;
    assert_eq!(ends, seen.notification.is_some(), "{name}: {seen:?}");
    if seen.action >= Action::DisableAfiSafi {
        assert!(seen.routes.is_empty() && seen.withdrawn.is_empty(), "{name}: {seen:?}");
    }
}

#[test]
fn every_case_gets_a_verdict_that_is_right() {
    let cases = cases();
    assert!(cases.len() > 300, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        let reading = reading(&texts(&case["options"]));
        let octets = hex(case["hex"].as_str().unwrap());
        let seen = inspect(case["as"].as_str().unwrap(), &octets, &reading);
        check_sound(name, &seen);
        if !texts(&case["actions"]).contains(seen.action.word()) {
            wrong.push(format!("{name}: {} {:?}", seen.action.word(), seen.errors));
        }
        if let Some(expected) = case.get("routes") {
            let expected: Vec<&str> =
                expected.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
            if routes(&seen) != expected {
                wrong.push(format!("{name}: {:?}", routes(&seen)));
            }
        }
        match case["program"] {
            Value::Bool(true) => assert!(!seen.routes.is_empty(), "{name}: {seen:?}"),
            Value::Bool(false) if seen.action == Action::TreatAsWithdraw => {
                assert!(seen.routes.is_empty(), "{name}: {seen:?}");
            }
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_shared_cases_get_the_same_verdicts_when_they_are_only_looked_at() {
    let all: Value = serde_json::from_str(SHARED).unwrap();
    let reading = reading(&BTreeSet::new());
    for (list, kind) in [("nlri", "nlri"), ("messages", "message")] {
        for case in all[list].as_array().unwrap() {
            let name = case["name"].as_str().unwrap();
            let seen = inspect(kind, &hex(case["hex"].as_str().unwrap()), &reading);
            check_sound(name, &seen);
            let word = seen.action.word();
            assert!(texts(&case["actions"]).contains(word), "{name}: {word} {:?}", seen.errors);
            if case["program"] == Value::Bool(true) {
                assert!(!seen.routes.is_empty(), "{name}: {seen:?}");
            }
        }
    }
}

#[test]
fn looking_at_a_message_agrees_with_a_session_that_reads_it() {
    for case in cases().iter().filter(|case| case["as"] == "message") {
        let name = case["name"].as_str().unwrap();
        let reading = reading(&texts(&case["options"]));
        if reading.path_ids == PathIds::Present {
            continue;
        }
        let octets = hex(case["hex"].as_str().unwrap());
        let seen = inspect_message(&octets, &reading.context, PathIds::Absent);
        match decode(&octets, &reading.context) {
            Err(notification) => assert_eq!(seen.notification, Some(notification), "{name}"),
            // Which side of an AS border it is on, the session knows once it has read the OPEN.
            Ok(Message::Open(open)) if open.two_roles().is_some() => {
                let told = seen.notification.map(|n| (n.code, n.subcode));
                assert_eq!(told, Some((2, 11)), "{name}");
            }
            Ok(message) => {
                if let Message::Update(update) = &message {
                    assert_eq!(seen.action, update.action, "{name}");
                    let told: Vec<_> = seen.routes.iter().map(|seen| &seen.route).collect();
                    assert_eq!(told, update.announced.iter().collect::<Vec<_>>(), "{name}");
                    let told: Vec<_> = seen.withdrawn.iter().map(|seen| &seen.route.key).collect();
                    assert_eq!(told, update.withdrawn.iter().collect::<Vec<_>>(), "{name}");
                }
                assert_eq!(seen.message, Some(message), "{name}");
            }
        }
    }
}

#[test]
fn every_attribute_and_every_type_has_good_cases_and_bad_ones() {
    let (mut good, mut bad) = (BTreeSet::new(), BTreeSet::new());
    let (mut good_types, mut bad_types) = (BTreeSet::new(), BTreeSet::new());
    for case in cases() {
        let reading = reading(&texts(&case["options"]));
        let octets = hex(case["hex"].as_str().unwrap());
        let seen = inspect(case["as"].as_str().unwrap(), &octets, &reading);
        if seen.action == Action::Accept {
            good.extend(seen.attributes.iter().filter_map(|attribute| attribute.name));
            good_types
                .extend(seen.routes.iter().map(|seen| seen.route.key.route_type().unwrap().0));
        }
        let malformed = seen.attributes.iter().filter(|attribute| attribute.value.is_err());
        bad.extend(malformed.filter_map(|attribute| attribute.name));
        if case["as"] == "nlri" && seen.action == Action::DiscardNlri {
            bad_types.extend(octets.first());
        }
    }
    assert_eq!(good.len(), 22, "{good:?}");
    assert_eq!(good, bad);
    let all: BTreeSet<u8> = (1..=11).collect();
    assert!(
        all.is_subset(&good_types) && all.is_subset(&bad_types),
        "{good_types:?} {bad_types:?}"
    );
}

#[test]
fn an_attribute_that_was_read_is_written_as_it_stood() {
    let mut checked = 0;
    for case in cases().iter().filter(|case| case["as"] == "message") {
        let reading = reading(&texts(&case["options"]));
        let octets = hex(case["hex"].as_str().unwrap());
        for attribute in inspect_message(&octets, &reading.context, PathIds::Absent).attributes {
            let Ok(Some(value)) = &attribute.value else { continue };
            let wire = encode_attribute(value, reading.context.as_width).unwrap();
            // What is dropped (RFC 6793 §6) or ignored (RFC 4760 §3) on receipt is not written.
            let name = case["name"].as_str().unwrap();
            if name.contains("confederation segment") || name.contains("reserved octet") {
                continue;
            }
            assert!(wire.ends_with(&attribute.octets), "{name}: {attribute:?}");
            assert_eq!(wire[1], attribute.code, "{name}");
            checked += 1;
        }
    }
    assert!(checked > 500, "{checked}");
}
