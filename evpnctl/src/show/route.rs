//! `show bgp l2vpn evpn route`.
//!
//! **Every path is shown, a rejected one with the reason.**

use super::Lines;
use super::underlay::next_hop;
use crate::text::{AsNotation, counted, duration, or_dash};
use evpn_api::Page;
use evpn_api::attributes::MoreAttributes;
use evpn_api::route::{PathFrom, Route, RoutePath};

const LEGEND: &str = "Status codes: * valid, > best, = multipath, S stale, x rejected";

/// `show bgp l2vpn evpn route`.
pub(crate) fn routes(page: &Page<Route>, notation: AsNotation) -> String {
    let mut lines = Lines::default();
    legend(&mut lines);
    let mut rd = "";
    for route in &page.items {
        if let Some(other) = route.rd.as_deref().filter(|other| *other != rd) {
            lines.gap();
            lines.add(0, &format!("Route Distinguisher: {other}"));
            rd = other;
        }
        lines.add(1, &route.prefix);
        for path in &route.paths {
            add_path(&mut lines, path, notation);
        }
    }
    finish(lines, page)
}

/// What the marks before a path mean.
pub(super) fn legend(lines: &mut Lines) {
    lines.add(0, LEGEND);
}

/// How many there are.
pub(super) fn finish(mut lines: Lines, page: &Page<Route>) -> String {
    lines.gap();
    let paths: usize = page.items.iter().map(|route| route.paths.len()).sum();
    let count = |count: usize, noun| counted(u64::try_from(count).unwrap_or(u64::MAX), noun);
    lines.add(0, &format!("{}, {}", count(page.items.len(), "route"), count(paths, "path")));
    if page.next_cursor.is_some() {
        lines.add(0, "There are more: --limit was reached.");
    }
    lines.into_text()
}

pub(super) fn add_path(lines: &mut Lines, path: &RoutePath, notation: AsNotation) {
    let from = match (path.path_from, path.peer_id.as_ref()) {
        (PathFrom::Local, _) => "local".to_owned(),
        (_, peer) => format!("from {}", or_dash(peer)),
    };
    let path_id = path.addpath_rx_id.map(|id| format!(" path-id {id}")).unwrap_or_default();
    let mut text = format!("via {} {from}{path_id}", next_hop(path));
    if let Some(vni) = path.vni.as_ref().filter(|vni| !vni.is_empty()) {
        let vni = vni.iter().map(u32::to_string).collect::<Vec<_>>().join("/");
        text += &format!(" vni {vni}");
    }
    if let Some(preference) = path.loc_prf {
        text += &format!(" locprf {preference}");
    }
    if let Some(metric) = path.metric {
        text += &format!(" med {metric}");
    }
    if let Some(bandwidth) = path.link_bandwidth {
        text += &format!(" bandwidth {bandwidth} B/s");
    }
    if let Some(esi) = &path.esi {
        text += &format!(" esi {esi}");
    }
    let origin = path.origin.chars().next().unwrap_or('?').to_ascii_lowercase();
    let separator = if path.path.is_empty() { "" } else { " " };
    let as_path = notation.path(&path.path);
    text += &format!(" path {as_path}{separator}{origin} age {}", duration(path.age_msec));
    lines.extend(crate::text::hang(&format!("  {}  ", flags(path)), 8, &text));
    let communities = [&path.extended_community[..], &path.community[..]].concat();
    if !communities.is_empty() {
        lines.add(8, &communities.join(" "));
    }
    for line in more(&path.more, notation) {
        lines.extend(crate::text::wrap(&line, 8));
    }
    let reasons = [
        (&path.selection_reason, "best"),
        (&path.not_imported, "not imported"),
        (&path.rejected, "rejected"),
    ];
    for (reason, word) in reasons {
        if let Some(reason) = reason {
            lines.add(8, &format!("{word}: {reason}"));
        }
    }
}

/// What few paths carry, in lines.
fn more(more: &MoreAttributes, notation: AsNotation) -> Vec<String> {
    let mut lines = Vec::new();
    if !more.large_community.is_empty() {
        lines.push(format!("large {}", more.large_community.join(" ")));
    }
    if !more.extended_ipv6_community.is_empty() {
        lines.push(more.extended_ipv6_community.join(" "));
    }
    let mut facts = Vec::new();
    facts.extend(more.aigp_metric.map(|metric| format!("AIGP metric {metric}")));
    facts.extend(more.otc.map(|asn| format!("only to customers of AS {}", notation.asn(asn))));
    if let (Some(asn), Some(router)) = (more.aggregator_as, more.aggregator_id) {
        facts.push(format!("aggregated by AS {} {router}", notation.asn(asn)));
    }
    if more.atomic_aggregate {
        facts.push("atomic aggregate".to_owned());
    }
    facts.extend(more.originator_id.map(|id| format!("originator {id}")));
    if !more.cluster_list.is_empty() {
        let clusters: Vec<_> = more.cluster_list.iter().map(ToString::to_string).collect();
        facts.push(format!("clusters {}", clusters.join(" ")));
    }
    if !facts.is_empty() {
        lines.push(facts.join(", "));
    }
    lines.extend(more.other_attributes.iter().cloned());
    lines
}

/// Always four characters.
fn flags(path: &RoutePath) -> String {
    let first = if path.valid { '*' } else { 'x' };
    let second = match (path.bestpath, path.multipath) {
        (true, _) => '>',
        (false, true) => '=',
        (false, false) => ' ',
    };
    let third = if path.stale { 'S' } else { ' ' };
    format!("{first}{second}{third} ")
}
