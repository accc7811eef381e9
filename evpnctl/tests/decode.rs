//! `evpnctl decode` as people run it: what it prints, how it ends, and that its document tells the
//! truth.

use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Output, Stdio};

const CASES: &str = include_str!("../../proto/tests/vectors/cases.json");
const SHARED: &str = include_str!("../../proto/tests/vectors/evpn-cases.json");
const DOCUMENT: &str = include_str!("../../docs/decode.md");

const SMET: &str = "061800010a0000010064000000000020ef010101200a00000102";

fn decode(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_evpnctl"))
        .arg("decode")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that ends with wrong usage reads no input.
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap_or_default();
    child.wait_with_output().unwrap()
}

fn json(output: &Output) -> Value {
    assert!(output.stderr.is_empty(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
}

fn check(case: &Value, kind: &str) {
    let name = case["name"].as_str().unwrap();
    let mut args = vec!["-j", "--as", kind];
    args.extend(case["options"].as_array().into_iter().flatten().filter_map(Value::as_str));
    args.push(case["hex"].as_str().unwrap());
    let output = decode(&args, "");
    let said = json(&output);
    assert!(case["actions"].as_array().unwrap().contains(&said["action"]), "{name}: {said}");
    let expected = i32::from(said["action"] != "accept");
    assert_eq!(output.status.code(), Some(expected), "{name}");
    assert_eq!(said["errors"].as_array().unwrap().is_empty(), expected == 0, "{name}: {said}");
    if let Some(routes) = case.get("routes") {
        let texts: Vec<&Value> =
            said["routes"].as_array().unwrap().iter().map(|route| &route["text"]).collect();
        assert_eq!(json!(texts), *routes, "{name}");
    }
    if case["program"] == true {
        assert!(!said["routes"].as_array().unwrap().is_empty(), "{name}: {said}");
    }
    for error in said["errors"].as_array().unwrap() {
        for key in ["offset", "field", "reason", "action"] {
            assert!(!error[key].is_null(), "{name}: {error}");
        }
    }
}

#[test]
fn every_shared_case_ends_with_its_verdict() {
    let all: Value = serde_json::from_str(SHARED).unwrap();
    for (list, kind) in [("nlri", "nlri"), ("messages", "message")] {
        for case in all[list].as_array().unwrap() {
            check(case, kind);
        }
    }
}

#[test]
fn cases_of_our_own_end_with_their_verdict() {
    let all: Value = serde_json::from_str(CASES).unwrap();
    // Every third: the library runs them all.
    for case in all["cases"].as_array().unwrap().iter().step_by(3) {
        check(case, case["as"].as_str().unwrap());
    }
}

#[test]
fn the_form_of_the_input_makes_no_difference() {
    let plain = decode(&["--as", "nlri", SMET], "").stdout;
    let pairs: Vec<&str> = (0..SMET.len()).step_by(2).map(|i| &SMET[i..i + 2]).collect();
    let colons = pairs.join(":");
    let prefixed = pairs.iter().map(|pair| format!("0x{pair} ")).collect::<String>();
    let lines = pairs.chunks(4).map(|chunk| chunk.concat() + "\n").collect::<String>();
    for hex in [&colons, &prefixed, &lines, &SMET.to_uppercase()] {
        assert_eq!(decode(&["--as", "nlri", hex], "").stdout, plain, "{hex}");
        assert_eq!(decode(&["--as", "nlri", "-"], hex).stdout, plain, "{hex}");
    }
    let mut args = vec!["--as", "nlri"];
    args.extend(&pairs);
    assert_eq!(decode(&args, "").stdout, plain);
}

#[test]
fn without_hexadecimal_there_is_no_answer_and_status_2() {
    for (args, input) in [
        (&["--as", "nlri", "xyz"][..], ""),
        (&["022"], ""),
        (&["-"], "not hexadecimal\n"),
        (&[], ""),
        (&["--as", "frame", "00"], ""),
    ] {
        let output = decode(args, input);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn one_line_or_many_it_is_the_same_json() {
    let line = decode(&["-j", "--as", "nlri", SMET], "");
    let lines = decode(&["--as", "nlri", SMET], "");
    assert_eq!(json(&line), json(&lines));
    assert_eq!(String::from_utf8(line.stdout).unwrap().lines().count(), 1);
    assert!(String::from_utf8(lines.stdout).unwrap().lines().count() > 5);
}

#[test]
fn routes_have_the_keys_that_apply_to_them() {
    let key = "030000000000000000a1"; // an ESI
    let one = |hex: &str| {
        let mut said = json(&decode(&["-j", "--as", "nlri", hex], ""));
        let mut route = said["routes"][0].take();
        route.as_object_mut().unwrap().remove("text");
        route
    };
    let esi = "03:00:00:00:00:00:00:00:00:a1";
    assert_eq!(
        one(&format!("022800010a0000010064{key}0000000030001122334455200a000005000064000bb8")),
        json!({ "type": 2, "rd": "10.0.0.1:100", "esi": esi, "etag": 0, "mac": "00:11:22:33:44:55",
                "ip": "10.0.0.5", "labels": [100, 3000] })
    );
    let none = "00".repeat(10);
    assert_eq!(
        one(&format!("05220000fde800000064{none}00000000180a0a0a010a0000630003e8")),
        json!({ "type": 5, "rd": "65000:100", "esi": "00:00:00:00:00:00:00:00:00:00", "etag": 0,
                "prefix": "10.10.10.0/24", "gateway": "10.0.0.99", "labels": [1000] })
    );
    assert_eq!(
        one("091400010a00000100640000000a0009fde900000007"),
        json!({ "type": 9, "rd": "10.0.0.1:100", "etag": 10, "region": "0009fde900000007" })
    );
    assert_eq!(one("0c02beef"), json!({ "type": 12, "hex": "beef" }));
    assert_eq!(
        one(SMET),
        json!({ "type": 6, "rd": "10.0.0.1:100", "etag": 0, "source": null, "group": "239.1.1.1",
                "originator": "10.0.0.1", "flags": 2 })
    );
    assert_eq!(
        one(&format!("082700010a0000010064{key}000000000020ef010101200a000001000000000a02")),
        json!({ "type": 8, "rd": "10.0.0.1:100", "esi": esi, "etag": 0, "source": null,
                "group": "239.1.1.1", "originator": "10.0.0.1", "max-response": 10, "flags": 2 })
    );
}

#[test]
fn attributes_are_told_by_name_and_what_is_not_known_by_its_octets() {
    let all: Value = serde_json::from_str(CASES).unwrap();
    let case = |name: &str| {
        let cases = all["cases"].as_array().unwrap();
        let case = cases.iter().find(|case| case["name"] == name).unwrap();
        let mut args = vec!["-j"];
        args.extend(case["options"].as_array().unwrap().iter().filter_map(Value::as_str));
        args.push(case["hex"].as_str().unwrap());
        let said = json(&decode(&args, ""));
        said["attributes"].as_array().unwrap().clone()
    };
    let value = |name: &str, attribute: &str| {
        let attributes = case(name);
        let found = attributes.iter().find(|found| found["name"] == attribute).unwrap();
        found["value"].clone()
    };
    assert_eq!(value("GoBGP 4.8.0: AIGP 1000", "AIGP"), json!([{ "type": 1, "metric": 1000 }]));
    let large = value("GoBGP 4.8.0: LARGE_COMMUNITY 4200000001:1:2", "LARGE_COMMUNITY");
    assert_eq!(large, json!(["4200000001:1:2"]));
    let communities = value("GoBGP 4.8.0: COMMUNITIES 65001:100 GRACEFUL_SHUTDOWN", "COMMUNITIES");
    assert_eq!(communities, json!(["65001:100", "graceful-shutdown"]));
    let aggregator = value("GoBGP 4.8.0: ATOMIC_AGGREGATE, AGGREGATOR 70000", "AGGREGATOR");
    assert_eq!(aggregator, json!({ "as": 70000, "router": "10.0.0.1" }));
    let extended = value(
        "GoBGP 4.8.0: MAC mobility 5 sticky, ESI label 100, ES import, router MAC, link bandwidth, \
         E-Tree, multicast flags",
        "EXTENDED_COMMUNITIES",
    );
    let told: Vec<_> =
        extended.as_array().unwrap().iter().map(|c| (&c["name"], &c["value"])).collect();
    assert_eq!(
        json!(told[..5]),
        json!([
            ["mac-mobility", { "sequence": 5, "sticky": true }],
            ["esi-label", { "label": 100, "single-active": true }],
            ["es-import", "aa:bb:cc:dd:ee:ff"],
            ["router-mac", "02:00:00:00:00:fe"],
            ["link-bandwidth", { "as": 65001, "octets-per-second": 1.25e9 }],
        ])
    );
    let unknown = case("unknown optional transitive attribute").pop().unwrap();
    assert_eq!(unknown, json!({ "type": 99, "flags": 0xc0, "hex": "0102" }));
    let malformed = case("COMMUNITIES of 3 octets").pop().unwrap();
    assert_eq!((&malformed["name"], &malformed["hex"]), (&json!("COMMUNITIES"), &json!("fde900")));
    assert!(malformed["error"].as_str().unwrap().contains("length 3"), "{malformed}");
}

/// The blocks of the document that show a command: what stands after `$ evpnctl decode`, and what
/// is shown below it.
fn examples() -> Vec<(String, String)> {
    let blocks = DOCUMENT.split("```console\n").skip(1);
    let example = |block: &str| {
        let (block, _) = block.split_once("```").unwrap();
        let (command, answer) = block.split_once('\n').unwrap();
        let arguments = command.strip_prefix("$ evpnctl decode ").unwrap();
        (arguments.to_owned(), answer.to_owned())
    };
    blocks.map(example).collect()
}

#[test]
fn the_examples_of_the_document_are_what_it_prints() {
    let examples = examples();
    assert!(examples.len() >= 3, "{examples:?}");
    for (arguments, answer) in examples {
        let args: Vec<&str> = arguments.split(' ').collect();
        let output = decode(&args, "");
        assert_eq!(String::from_utf8_lossy(&output.stdout), answer, "{arguments}");
    }
}

#[test]
fn routes_of_other_families_are_read_where_they_were_agreed_on() {
    // An UPDATE of RFC 4271: 10.1.0.0/16 by 192.0.2.1, and 99.0.0.0/8 withdrawn.
    let update = "0002 0863 000e 40010100 400200 400304c0000201 100a01";
    let read = |args: &[&str]| {
        let output = decode(args, "");
        (output.status.code().unwrap(), json(&output))
    };
    let (status, seen) = read(&["--as", "update", update]);
    assert_eq!((status, &seen["action"]), (1, &json!("discard-nlri")), "not agreed on");
    let (status, seen) = read(&["--family", "ipv4-unicast", "--as", "update", update]);
    assert_eq!((status, &seen["action"]), (0, &json!("accept")));
    let route = json!({ "family": "ipv4-unicast", "text": "10.1.0.0/16", "prefix": "10.1.0.0/16" });
    assert_eq!(seen["routes"], json!([route]));
    assert_eq!(seen["withdrawn"][0]["prefix"], "99.0.0.0/8");
    let nlri = "60 0000fde9 0002fde800000064";
    let (status, seen) = read(&["--family", "rt-constraint", "--as", "nlri", nlri]);
    assert_eq!((status, &seen["routes"][0]["text"]), (0, &json!("65001:RT:65000:100/96")));
}
