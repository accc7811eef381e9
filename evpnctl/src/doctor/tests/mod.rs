//! Every finding, from the healthy leaf with one thing changed.

mod devices;
mod healthy;
mod surroundings;
mod underlay;

use super::facts::Facts;
use super::finding::{Finding, Report, State};
use super::judge::judge;
use super::view;
use crate::text::WIDTH;
use evpn_dataplane::facts::{Link, LinkKind, Vxlan};
use evpn_netlink::survey::{Device, Survey};

/// One thing that is not as it should be, and what has to be said of it.
struct Case {
    /// What is changed.
    change: fn(&mut Facts),
    check: &'static str,
    state: State,
    /// The setting.
    setting: &'static str,
    /// Its value begins so.
    value: &'static str,
    /// The command holds this.
    mend: &'static str,
}

/// What is not well, notes included.
fn unwell(facts: &Facts) -> Vec<Finding> {
    judge(facts).into_iter().filter(|finding| finding.state != State::Ok).collect()
}

fn survey(facts: &mut Facts) -> &mut Survey {
    facts.survey.as_mut().unwrap().as_mut().unwrap()
}

fn device<'f>(facts: &'f mut Facts, name: &str) -> &'f mut Device {
    survey(facts).devices.iter_mut().find(|device| device.link.name == name).unwrap()
}

fn link<'f>(facts: &'f mut Facts, name: &str) -> &'f mut Link {
    &mut device(facts, name).link
}

fn vxlan<'f>(facts: &'f mut Facts, name: &str) -> &'f mut Vxlan {
    match &mut link(facts, name).kind {
        LinkKind::Vxlan(vxlan) => vxlan,
        other => panic!("{other:?}"),
    }
}

fn set(facts: &mut Facts, key: &str, value: &str) {
    let before = facts.sysctls.insert(key.to_owned(), value.to_owned());
    assert!(before.is_some(), "{key} is not read");
}

/// Each case yields what it says, and nothing else that is wrong or warns.
#[track_caller]
fn hold(cases: &[Case]) {
    for case in cases {
        let mut facts = healthy::facts();
        (case.change)(&mut facts);
        let found = unwell(&facts);
        let name = (case.check, case.setting, case.value);
        let about = |finding: &&Finding| {
            finding.check == case.check && finding.setting.as_deref() == Some(case.setting)
        };
        let finding = found.iter().find(about).unwrap_or_else(|| panic!("{name:?}: {found:#?}"));
        assert_eq!(finding.state, case.state, "{name:?}");
        let value = finding.value.as_deref().unwrap_or_default();
        assert!(value.starts_with(case.value), "{name:?}: {value}");
        let mend = finding.mend.as_deref().unwrap_or_default();
        assert!(mend.contains(case.mend), "{name:?}: {mend}");
        let others: Vec<_> =
            found.iter().filter(|f| f.check != case.check && f.state > State::Note).collect();
        assert!(others.is_empty(), "{name:?} has others: {others:#?}");
        explained(&found);
    }
}

/// Whatever warns or is wrong names what it is about, what breaks, and a command.
fn explained(found: &[Finding]) {
    for finding in found.iter().filter(|finding| finding.state >= State::Warning) {
        assert!(finding.breaks.is_some() && finding.mend.is_some(), "{finding:#?}");
        assert!(finding.setting.is_some() || finding.subject.is_some(), "{finding:#?}");
    }
    let text = view::report(&Report::of(found.to_vec()));
    for line in text.lines() {
        assert!(line.chars().count() <= WIDTH, "{} columns: {line}", line.chars().count());
    }
    let flat = |text: &str| {
        let words = text.split_whitespace().filter(|word| *word != "\\");
        words.collect::<Vec<_>>().join(" ")
    };
    for finding in found {
        for part in [&finding.breaks, &finding.mend, &finding.keep].into_iter().flatten() {
            assert!(flat(&text).contains(&flat(part)), "{part} is not shown whole:\n{text}");
        }
    }
}

#[test]
fn control_on_a_healthy_leaf_nothing_is_found() {
    let found = unwell(&healthy::facts());
    assert_eq!(found, Vec::<Finding>::new());
    let report = Report::of(judge(&healthy::facts()));
    assert!(report.ok && report.warnings == 0 && report.unknown == 0);
    assert!(report.checks.len() > 25, "{}", report.checks.len());
    assert!(view::report(&report).starts_with("all well\n"));
}

#[test]
fn the_status_is_that_of_the_worst() {
    let report = |state| Report::of(vec![Finding::ok("a", ""), Finding::of("b", state, "")]);
    for state in [State::Ok, State::Note, State::Unknown, State::Warning] {
        assert!(report(state).ok, "{state:?}");
    }
    assert!(!report(State::Wrong).ok);
}

#[test]
fn a_report_reads_as_it_should() {
    let mut facts = healthy::facts();
    vxlan(&mut facts, "vx100").learning = true;
    vxlan(&mut facts, "vx4000").port = 8472;
    set(&mut facts, "net.ipv4.ip_forward", "0");
    facts.clock_synchronised = Some(false);
    facts.features = Some(Err("this user may not make a network namespace".to_owned()));
    insta::assert_snapshot!(view::report(&Report::of(judge(&facts))));
}

#[test]
fn json_has_stable_keys() {
    let mut facts = healthy::facts();
    set(&mut facts, "net.ipv4.ip_forward", "0");
    let report = Report::of(unwell(&facts));
    let json = serde_json::to_value(&report).unwrap();
    let expected = serde_json::json!({
        "ok": false, "wrong": 1, "warnings": 0, "unknown": 0,
        "checks": [{
            "check": "ip-forward", "state": "wrong", "found": "net.ipv4.ip_forward = 0",
            "setting": "net.ipv4.ip_forward", "value": "0",
            "breaks": "the switch drops what it should route for VRF red",
            "mend": "sysctl -w net.ipv4.ip_forward=1",
            "keep": "echo 'net.ipv4.ip_forward = 1' >>/etc/sysctl.d/60-evpnd.conf",
        }],
    });
    assert_eq!(json, expected);
}
