//! `why`: the engine's reasons beside what the kernel holds.

use super::{ApiError, DataplaneReport, neighbors};
use crate::api::params::WhySubject;
use evpn_api::why::{Candidate, Fate, Why, WhyTable};
use evpn_dataplane::object::{Change, FdbTarget, IfIndex};
use evpn_engine::view::View;
use evpn_engine::view::why as seen;
use std::collections::BTreeMap;

/// The engine's answer, with the names of devices.
#[derive(Debug)]
pub(super) struct Seen {
    why: seen::Why,
    devices: BTreeMap<IfIndex, String>,
}

pub(super) fn see(view: View<'_>, subject: &WhySubject) -> Seen {
    let why = match subject {
        WhySubject::Mac { mac, vni } => view.why_mac(*mac, *vni),
        WhySubject::Prefix { prefix, vni } => view.why_prefix(*prefix, *vni),
    };
    Seen { why, devices: view.links().iter().map(|l| (l.index, l.name.clone())).collect() }
}

pub(super) fn why(seen: Seen, report: Result<&DataplaneReport, &ApiError>) -> Why {
    let Seen { why, devices } = seen;
    Why {
        subject: why.subject,
        verdict: why.verdict,
        reachable: why.reachable,
        tables: why.tables.into_iter().map(|t| table(t, &devices, report)).collect(),
    }
}

fn table(
    table: seen::Table,
    devices: &BTreeMap<IfIndex, String>,
    report: Result<&DataplaneReport, &ApiError>,
) -> WhyTable {
    let (kernel, kernel_ok) = kernel(&table.intended, devices, report);
    WhyTable {
        table: table.name,
        candidates: table.candidates.into_iter().map(candidate).collect(),
        winner: table.winner,
        kernel,
        kernel_ok,
        energy: table.energy,
    }
}

fn candidate(candidate: seen::Candidate) -> Candidate {
    Candidate {
        fate: match candidate.fate {
            seen::Fate::Best => Fate::Best,
            seen::Fate::Multipath => Fate::Multipath,
            seen::Fate::Lost => Fate::Lost,
            seen::Fate::Rejected => Fate::Rejected,
        },
        reason: candidate.reason,
        route: candidate.route,
        peer_id: candidate.peer.as_ref().map(neighbors::named),
        nexthop: candidate.next_hop,
    }
}

/// What the kernel holds: what is intended, unless the dataplane names a difference.
fn kernel(
    intended: &[Change],
    devices: &BTreeMap<IfIndex, String>,
    report: Result<&DataplaneReport, &ApiError>,
) -> (Vec<String>, bool) {
    let Ok(report) = report else { return (Vec::new(), false) };
    let (mut held, mut ok) = (Vec::new(), true);
    for object in intended {
        let Object { name, lines } = describe(object, devices);
        let differs = report.differences.first.iter().find(|d| d.object == name);
        match differs {
            None => held.extend(lines),
            Some(difference) => {
                ok = false;
                held.extend(difference.kernel.iter().map(|is| format!("{name}: {is}")));
            }
        }
    }
    // Differences beyond those that were told may concern it.
    let all_told = report.differences.total <= report.differences.first.len();
    (held, ok && (all_told || intended.is_empty()))
}

/// An object by the name that the dataplane gives it, and as `bridge` and `ip` show it.
struct Object {
    name: String,
    lines: Vec<String>,
}

fn describe(object: &Change, devices: &BTreeMap<IfIndex, String>) -> Object {
    let device = |index: &IfIndex| devices.get(index).cloned().unwrap_or_else(|| index.to_string());
    match object {
        Change::Fdb(key, entry) => {
            let (mac, dev) = (key.mac, device(&key.device));
            let to = match entry.map(|entry| entry.to) {
                Some(FdbTarget::Vtep(vtep)) => format!("dst {vtep}"),
                Some(FdbTarget::Group(id)) => format!("nhid {}", id.0),
                None => String::new(),
            };
            let sticky = if entry.is_some_and(|e| e.sticky) { " sticky" } else { "" };
            Object {
                name: format!("mac {mac} on {dev}"),
                lines: vec![
                    format!("{mac} dev {dev} master extern_learn{sticky}"),
                    format!("{mac} dev {dev} {to} self extern_learn"),
                ],
            }
        }
        Change::Group(id, group) => {
            let members = group.iter().flat_map(|group| &group.members);
            let members: Vec<String> =
                members.map(|m| format!("{},{}", m.nexthop.0, m.weight)).collect();
            Object {
                name: format!("nexthop {}", id.0),
                lines: vec![format!("id {} group {} type resilient", id.0, members.join("/"))],
            }
        }
        Change::Route(key, route) => {
            let id = route.map(|route| route.nexthop.0).unwrap_or_default();
            let metric = route.map(|route| route.metric).unwrap_or_default();
            let (prefix, table) = (key.prefix, key.table);
            Object {
                name: format!("route {prefix} table {table} metric {metric}"),
                lines: vec![format!("{prefix} nhid {id} table {table} metric {metric}")],
            }
        }
        other => Object { name: format!("{other:?}"), lines: Vec::new() },
    }
}
