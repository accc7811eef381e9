//! What the routes ask for, against what the kernel holds.

use super::{DataplaneReport, count, msec};
use evpn_api::consistency::{Consistency, Difference, DifferenceKind, ObjectCount};
use evpn_dataplane::difference;
use evpn_dataplane::object::Mode;
use evpn_dataplane::reconciler::Tally;

/// Differences that one answer tells.
pub(super) const DIFFERENCES_MAX: usize = 1000;

pub(super) fn consistency(report: &DataplaneReport) -> Consistency {
    let summary = &report.summary;
    let objects = [
        ("fdb", summary.fdb),
        ("flood", summary.flood),
        ("neighbour", summary.neighbours),
        ("nexthop", summary.nexthops),
        ("route", summary.routes),
    ];
    let total = report.differences.total;
    Consistency {
        // Before the first dump nothing is known, and nothing known is not consistent.
        ok: total == 0 && report.mode != Mode::Adopt,
        mode: mode(report.mode).to_owned(),
        checked_ago_msec: msec(report.checked_ago),
        objects: objects.map(|(kind, tally)| object_count(kind, tally)).to_vec(),
        differences: report.differences.first.iter().map(difference).collect(),
        total_differences: count(total),
    }
}

pub(super) const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Adopt => "adopt",
        Mode::Grow => "grow",
        Mode::Sweep => "sweep",
        Mode::Steady => "steady",
    }
}

fn object_count(kind: &str, tally: Tally) -> ObjectCount {
    ObjectCount {
        kind: kind.to_owned(),
        intended: count(tally.wanted),
        kernel: count(tally.present),
    }
}

fn difference(found: &difference::Difference) -> Difference {
    let what = match (&found.intended, &found.kernel) {
        (Some(_), None) => DifferenceKind::Missing,
        (None, _) => DifferenceKind::Unexpected,
        (Some(_), Some(_)) => DifferenceKind::Differs,
    };
    let mut reason = found.reason.to_string();
    if let Some(failure) = &found.failure {
        reason.push_str(&format!(": {} (errno {})", failure.text, failure.errno));
    }
    Difference {
        what,
        kind: kind(&found.object).to_owned(),
        object: found.object.clone(),
        intended: found.intended.clone(),
        kernel: found.kernel.clone(),
        reason: Some(reason),
    }
}

/// An object's kind, by the first word of its name.
fn kind(object: &str) -> &str {
    match object.split(' ').next().unwrap_or_default() {
        "mac" => "fdb",
        other => other,
    }
}
