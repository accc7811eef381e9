//! `why`: the engine's reasons beside what the kernel holds.

use super::{ApiError, DataplaneReport, Lookups, neighbors, reach};
use crate::api::params::WhySubject;
use evpn_api::why::{Candidate, Fate, Why, WhyTable};
use evpn_dataplane::object::{Change, FdbTarget, IfIndex};
use evpn_engine::view::View;
use evpn_engine::view::why as seen;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The engine's answer, with the names of devices.
#[derive(Debug)]
pub(super) struct Seen {
    why: seen::Why,
    devices: BTreeMap<IfIndex, String>,
}

impl Seen {
    /// What the kernel is to be asked for, beside its tables.
    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        let of = |table: &seen::Table| {
            let first = table.routed.as_ref().and_then(reach::first_address);
            table.vteps.iter().copied().chain(first).collect::<Vec<_>>()
        };
        let mut addresses: Vec<IpAddr> = self.why.tables.iter().flat_map(of).collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }
}

pub(super) fn see(view: View<'_>, subject: &WhySubject) -> Seen {
    let why = match subject {
        WhySubject::Mac { mac, vni } => view.why_mac(*mac, *vni),
        WhySubject::Prefix { prefix, vni } => view.why_prefix(*prefix, *vni),
    };
    Seen { why, devices: view.links().iter().map(|l| (l.index, l.name.clone())).collect() }
}

/// The engine's answer beside what the kernel says. Where the two differ, the kernel is right: by
/// what it does frames and packets go.
pub(super) fn why(
    seen: Seen,
    report: Result<&DataplaneReport, &ApiError>,
    lookups: &Lookups,
) -> Why {
    let Seen { why, devices } = seen;
    let mut contradicted: Vec<String> = Vec::new();
    let mut tables = Vec::new();
    for table in why.tables {
        let held = kernel(&table.intended, &devices, report);
        let contradictions = reach::contradictions(&table, lookups, &devices);
        let texts = contradictions.iter().map(|notice| notice.text.clone());
        for text in held.apart.iter().cloned().chain(texts) {
            if !contradicted.contains(&text) {
                contradicted.push(text);
            }
        }
        tables.push(WhyTable {
            table: table.name,
            candidates: table.candidates.into_iter().map(candidate).collect(),
            winner: table.winner,
            kernel: held.lines,
            kernel_ok: held.ok,
            contradictions,
            energy: table.energy,
        });
    }
    let verdict = match contradicted.is_empty() {
        true => why.verdict,
        false => format!("{}; by the routes, {}", contradicted.join("; "), why.verdict),
    };
    let reachable = why.reachable && contradicted.is_empty();
    Why { subject: why.subject, verdict, reachable, tables }
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

/// What the kernel holds of a table.
#[derive(Default)]
struct Held {
    lines: Vec<String>,
    /// It holds what it should.
    ok: bool,
    /// The entry or route that is missing or another, in words. Of what these only lead to, a
    /// difference of weights say, packets may well get through.
    apart: Option<String>,
}

/// What the kernel holds: what is intended, unless the dataplane names a difference.
fn kernel(
    intended: &[Change],
    devices: &BTreeMap<IfIndex, String>,
    report: Result<&DataplaneReport, &ApiError>,
) -> Held {
    let Ok(report) = report else { return Held::default() };
    let mut held = Held { ok: true, ..Held::default() };
    for object in intended {
        let Object { name, lines } = describe(object, devices);
        let differs = report.differences.first.iter().find(|d| d.object == name);
        match differs {
            None => held.lines.extend(lines),
            Some(difference) => {
                held.ok = false;
                held.lines.extend(difference.kernel.iter().map(|is| format!("{name}: {is}")));
                if matches!(object, Change::Fdb(..) | Change::Route(..)) {
                    held.apart = Some(match &difference.kernel {
                        Some(is) => format!("the kernel has another {name}: {is}"),
                        None => format!("the kernel does not hold {name}"),
                    });
                }
            }
        }
    }
    // Differences beyond those that were told may concern it.
    let all_told = report.differences.total <= report.differences.first.len();
    held.ok &= all_told || intended.is_empty();
    held
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
            let resilient = group.as_ref().is_some_and(|group| group.resilience.is_some());
            let kind = if resilient { " type resilient" } else { "" };
            Object {
                name: format!("nexthop {}", id.0),
                lines: vec![format!("id {} group {}{kind}", id.0, members.join("/"))],
            }
        }
        Change::Nexthop(id, nexthop) => {
            let way = nexthop.map(|n| format!(" via {} dev {}", n.gateway, device(&n.device)));
            let line = format!("id {}{}", id.0, way.unwrap_or_default());
            Object { name: format!("nexthop {}", id.0), lines: vec![line] }
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
