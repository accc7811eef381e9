//! From facts to findings.
//!
//! A check of which everything passes is one finding; of what does not pass each is one.
//!
//! **Pure: the same facts yield the same findings, in the same order**, so that every one of them
//! is held by a table test.

mod bridges;
mod daemons;
mod evpnd;
mod machine;
mod mtu;
mod served;
pub(super) mod sysctls;
mod underlay;
mod vxlans;

use super::facts::Facts;
use super::finding::Finding;
use served::Fabric;

/// Judges everything.
pub(crate) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = machine::kernel(facts);
    match &facts.survey {
        Some(Ok(survey)) => {
            let fabric = Fabric::of(facts, &survey.devices);
            findings.extend(vxlans::judge(&fabric));
            findings.extend(bridges::judge(&fabric));
            findings.extend(underlay::judge(&fabric));
            findings.extend(mtu::judge(&fabric));
            findings.extend(sysctls::judge(&fabric, survey));
        }
        Some(Err(error)) => findings.push(
            Finding::of("devices", super::finding::State::Unknown, "devices cannot be read")
                .breaks(error.clone()),
        ),
        None => {}
    }
    findings.extend(machine::surroundings(facts));
    findings.extend(daemons::judge(facts));
    findings.extend(evpnd::judge(facts));
    findings
}

/// What does not pass; or, where everything does, that.
fn or_ok(findings: Vec<Finding>, check: &'static str, well: impl Into<String>) -> Vec<Finding> {
    if findings.is_empty() { vec![Finding::ok(check, well)] } else { findings }
}
