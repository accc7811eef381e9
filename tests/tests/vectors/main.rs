//! Every case of the two tables of BGP octets, through `evpnctl decode` and through a session of its
//! own with a running evpnd: **what evpnd does is one of the actions that are right, and the kernel
//! holds exactly what the routes that stand say, which is nothing where nothing may be programmed.**
//!
//! A case is followed by a marker on the same session: two routes that nobody else has. Once they
//! are in the kernel, everything before them was dealt with. Where the session or its family ended,
//! another neighbour's routes do the same.
#![cfg(feature = "kernel-tests")]

mod case;
mod kernel;
mod leaf;

use case::{Case, Kind, message, ours, shared};
use evpn_tests::bgp::{Connection, End, KEEPALIVE};
use evpn_tests::{binary, now};
use kernel::{Lines, Said, snapshot};
use leaf::{Imports, LeafKind, Stage, Underlay, address_of, marker_mac, promptly};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// The L3VNIs of the two tables.
const SHARED_L3VNI: u32 = 1000;
const OUR_L3VNI: u32 = 300;

/// Where a session does something else than `evpnctl decode` says, and why both are right.
const DIFFERENCES: [(&str, &str); 2] = [
    ("message without a body", "no octet is no message: a session waits for one"),
    ("NOTIFICATION with a text", "it is well formed, and ends the session of who sends it"),
];

/// The action that ends the family and not the session (RFC 7606 section 2).
const DISABLED: &str = "disable-afi-safi";

/// How it became clear that a case was dealt with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Settled {
    /// Its session's marker is in the kernel.
    Marked,
    /// The session stands, and routes on it are not heard.
    Deaf,
    /// The session ended.
    Ended(End),
}

/// What came of a case on a session.
struct Outcome {
    action: &'static str,
    end: Option<End>,
    /// What the kernel has in addition.
    lines: Lines,
    /// The case's routes that evpnd holds.
    held: BTreeSet<String>,
}

fn decode(kind: Kind, options: &BTreeSet<String>, hex: &str) -> Value {
    let mut command = Command::new(binary("evpnctl"));
    command.args(["decode", "-j", "--as", kind.word()]).args(options).arg(hex);
    let output = command.output().unwrap_or_else(|e| panic!("evpnctl: {e}"));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{hex}: {e}: {output:?}"))
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The action that evpnd's own counters tell: the worst of which there was one.
fn counted(neighbor: &Value) -> &'static str {
    let was = |key: &str| neighbor["errors"][key].as_u64().is_some_and(|count| count > 0);
    let all = [
        ("familiesDisabled", DISABLED),
        ("treatAsWithdraw", "treat-as-withdraw"),
        ("routesDiscarded", "discard-nlri"),
        ("attributesDiscarded", "discard-attribute"),
    ];
    all.into_iter().find(|(key, _)| was(key)).map_or("accept", |(_, action)| action)
}

impl Stage {
    fn neighbor(&self, number: usize) -> Value {
        let address = address_of(number).to_string();
        self.evpnd.json(&["show", "bgp", "neighbor", &address]).unwrap_or_else(|e| panic!("{e}"))
    }

    /// The routes held from a neighbour, as FRR writes them, less the marker.
    fn held(&self, number: usize) -> BTreeSet<String> {
        let page = self.evpnd.json(&["show", "bgp", "l2vpn", "evpn", "route"]);
        let page = page.unwrap_or_else(|e| panic!("{e}"));
        let address = address_of(number).to_string();
        let from_it = |route: &&Value| {
            let mut paths = route["paths"].as_array().into_iter().flatten();
            route["rd"] != "10.0.0.1:77" && paths.any(|path| path["peerId"] == *address)
        };
        let routes = page["items"].as_array().expect("a page").iter().filter(from_it);
        routes.map(|route| route["prefix"].as_str().expect("a text").to_owned()).collect()
    }

    /// Waits until the case was dealt with.
    fn settle(&mut self, number: usize, case: &Case, connection: &mut Connection) -> Settled {
        let settled = promptly(&case.name, || {
            if let Some(end) = connection.ended() {
                return Ok(Settled::Ended(end));
            }
            if self.is_marked(number) {
                return Ok(Settled::Marked);
            }
            let neighbor = self.neighbor(number);
            let deaf = case.not_negotiated || counted(&neighbor) == DISABLED;
            // End-of-RIB, the case and the marker.
            let heard_all = neighbor["messageStats"]["updatesRecv"].as_u64() >= Some(3);
            if deaf && heard_all { Ok(Settled::Deaf) } else { Err(neighbor) }
        });
        if settled != Settled::Marked {
            self.ask_witness(number);
            assert!(!self.is_marked(number), "{}: the marker is programmed", case.name);
        }
        settled
    }

    /// Sends a case on a session of its own.
    fn run(&mut self, number: usize, case: &Case, octets: &[u8]) -> Outcome {
        let mut connection = self.establish(number, case);
        connection.say(octets).expect("the session is up");
        // It may have ended by then.
        connection.say(&self.marker(number, case)).ok();
        let settled = self.settle(number, case, &mut connection);
        let seen = snapshot(&self.leaf.ns);
        let host = format!(" {} ", marker_mac(number));
        let halves = seen.iter().filter(|line| line.contains(&host)).count();
        assert_eq!(halves, if settled == Settled::Marked { 2 } else { 0 }, "{}", case.name);
        let after = self.without_markers(seen);
        let gone: Vec<_> = self.before.difference(&after).collect();
        assert!(gone.is_empty(), "{}: {gone:?} are gone", case.name);
        let neighbor = self.neighbor(number);
        let end = match settled {
            Settled::Ended(end) => Some(end),
            Settled::Marked | Settled::Deaf => {
                assert_eq!(neighbor["bgpState"], "Established", "{}", case.name);
                assert_eq!(connection.ended(), None, "{}", case.name);
                None
            }
        };
        let outcome = Outcome {
            action: if end.is_some() { "reset-session" } else { counted(&neighbor) },
            end,
            lines: after.difference(&self.before).cloned().collect(),
            held: self.held(number),
        };
        drop(connection);
        self.wait_for_silence(&case.name);
        outcome
    }

    /// A case that is an OPEN is what its session begins with.
    fn open(&mut self, number: usize, case: &Case) -> Outcome {
        let mut connection = self.dial(number);
        connection.say(&case.octets).expect("the connection is up");
        let accepted = connection.hear(KEEPALIVE).is_ok();
        let outcome = Outcome {
            action: if accepted { "accept" } else { "reset-session" },
            end: connection.ended(),
            lines: Lines::new(),
            held: self.held(number),
        };
        drop(connection);
        self.wait_for_silence(&case.name);
        outcome
    }

    fn wait_for_silence(&self, name: &str) {
        promptly(&format!("nothing of it stays: {name}"), || {
            let left = self.without_markers(snapshot(&self.leaf.ns));
            if left == self.before { Ok(()) } else { Err(format!("{left:#?}")) }
        });
    }
}

/// What a case's neighbour sends.
fn octets(stage: &Stage, case: &Case) -> Vec<u8> {
    match case.kind {
        Kind::Nlri => stage.envelope().around(&case.octets),
        Kind::Message => case.octets.clone(),
        Kind::Update => message(&case.octets),
    }
}

/// Everything that is wrong with an outcome, and why nothing had to be programmed if so.
struct Verdict {
    wrong: Vec<String>,
    nothing: Option<&'static str>,
}

fn judge(kind: LeafKind, case: &Case, octets: &[u8], outcome: &Outcome) -> Verdict {
    let Outcome { action, end, lines, held } = outcome;
    // The leaf does not ask for ADD-PATH, so that no session of its has path identifiers.
    let mut options = case.options.clone();
    let as_it_is = !options.remove("--add-path");
    if case.not_negotiated {
        // Whatever it was that was agreed on, it was not EVPN.
        options.insert("--family=ipv4-unicast".to_owned());
    }
    let sent = decode(Kind::Message, &options, &hex(octets));
    let told = match case.kind {
        Kind::Message if as_it_is => sent.clone(),
        _ => decode(case.kind, &case.options, &case.hex),
    };
    let said = Said::new(&sent);
    let allowed = |action: &str| case.actions.contains(action);
    let differs = DIFFERENCES.iter().any(|(name, _)| *name == case.name);
    let deaf = case.not_negotiated || end.is_some();
    let (stand, expected) = if deaf {
        (BTreeSet::new(), Lines::new())
    } else {
        (said.routes().into_keys().map(str::to_owned).collect(), said.lines(kind))
    };
    let program = case.program.filter(|_| as_it_is);
    let nothing = said.why_nothing(kind).filter(|_| program == Some(true) && lines.is_empty());

    let mut wrong = Vec::new();
    let mut check = |holds: bool, text: String| {
        if !holds {
            wrong.push(format!("{}: {text}", case.name));
        }
    };
    check(
        allowed(told["action"].as_str().unwrap_or_default()),
        format!("decode says {}, not one of {:?}", told["action"], case.actions),
    );
    check(
        !as_it_is || differs || allowed(action),
        format!("the session says {action}, not one of {:?}", case.actions),
    );
    check(
        (sent["action"] == *action) != differs,
        format!("the session says {action}, decode {}", sent["action"]),
    );
    check(
        *end != Some(End::Closed) || differs,
        "the session ended without a NOTIFICATION".to_owned(),
    );
    check(*held == stand, format!("evpnd holds {held:?}, not {stand:?}"));
    check(*lines == expected, format!("the kernel has {lines:#?}, not {expected:#?}"));
    match program {
        Some(false) => check(lines.is_empty(), format!("the kernel has {lines:#?}")),
        Some(true) => {
            check(!lines.is_empty() || nothing.is_some(), "the kernel has nothing".to_owned());
        }
        None => {}
    }
    Verdict { wrong, nothing }
}

/// Sends every case, and says what is wrong.
fn run(test: &str, kind: LeafKind, cases: &[Case]) -> Vec<String> {
    let mut stage = Stage::new(test, kind, cases);
    let begun = now();
    let (mut wrong, mut actions, mut nothing) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    for (number, case) in cases.iter().enumerate() {
        let octets = octets(&stage, case);
        let outcome =
            if case.opens() { stage.open(number, case) } else { stage.run(number, case, &octets) };
        let verdict = judge(kind, case, &octets, &outcome);
        *actions.entry(outcome.action).or_insert(0) += 1;
        if let Some(reason) = verdict.nothing {
            *nothing.entry(reason).or_insert(0) += 1;
        }
        wrong.extend(verdict.wrong);
    }
    println!("{} cases in {:.1?}: {actions:?}", cases.len(), begun.elapsed());
    println!("valid, and nothing in the kernel: {nothing:#?}");
    let log = stage.evpnd.daemon.log();
    assert!(!log.contains("a write to the kernel failed") && !log.contains("panicked"), "{log}");
    wrong
}

fn kind(l3vni: u32) -> LeafKind {
    LeafKind { l3vni, underlay: Underlay::Ipv4, imports: Imports::Cases }
}

#[test]
fn every_case_that_was_given_does_what_is_right_on_a_session() {
    let cases = shared();
    assert!(cases.len() >= 69, "{}", cases.len());
    let wrong = run("vectors", kind(SHARED_L3VNI), &cases);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_case_of_our_own_does_what_is_right_on_a_session() {
    let cases = ours();
    assert!(cases.len() > 500, "{}", cases.len());
    let wrong = run("our-vectors", kind(OUR_L3VNI), &cases);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Those that a leaf of the other address family cannot send to.
#[test]
fn cases_with_a_vtep_of_ipv6_are_programmed_where_ours_is_of_ipv6() {
    let kind = LeafKind { underlay: Underlay::Ipv6, ..kind(OUR_L3VNI) };
    let mut cases = [shared(), ours()].concat();
    cases.retain(|case| {
        let of_message = case.kind == Kind::Message && case.program == Some(true);
        let sent = decode(case.kind, &case.options, &case.hex);
        of_message && !Said::new(&sent).lines(kind).is_empty()
    });
    assert!(cases.len() >= 2, "{cases:?}");
    let wrong = run("vectors6", kind, &cases);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What the other tests look for in the kernel is there because of the route targets.
#[test]
fn control_without_its_route_target_no_case_is_programmed() {
    let kind = LeafKind { imports: Imports::MarkersOnly, ..kind(SHARED_L3VNI) };
    let mut cases = shared();
    cases.retain(|case| case.program == Some(true));
    let mut stage = Stage::new("vectors-control", kind, &cases);
    let mut would = 0;
    for (number, case) in cases.iter().enumerate() {
        let octets = octets(&stage, case);
        let outcome = stage.run(number, case, &octets);
        assert_eq!(outcome.lines, Lines::new(), "{}", case.name);
        let sent = decode(Kind::Message, &case.options, &hex(&octets));
        would += usize::from(!Said::new(&sent).lines(kind).is_empty());
    }
    assert!(would > 15, "{would} of {}", cases.len());
}
