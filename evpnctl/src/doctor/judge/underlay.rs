//! The way to other leaves and back, as far as it begins here.
//!
//! **A device of the underlay is no port of a bridge**, since what arrives there is for this machine;
//! **and where evpnd routes the underlay, somebody is told of every VTEP.**

use super::super::facts::{ConfigFound, Told};
use super::super::finding::{Finding, State};
use super::or_ok;
use super::served::{Fabric, LOOPBACK};
use crate::local::MAIN_FILE;
use evpn_dataplane::facts::{Link, LinkKind};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;

pub(super) fn judge(fabric: &Fabric<'_>) -> Vec<Finding> {
    let mut findings = ports(fabric);
    findings.extend(vteps(fabric));
    findings
}

fn ports(fabric: &Fabric<'_>) -> Vec<Finding> {
    if fabric.underlay().next().is_none() {
        return Vec::new();
    }
    let ports = fabric.underlay().filter_map(|link| port(fabric, link)).collect();
    or_ok(ports, "uplink-port", "no device toward neighbors is a port of a bridge")
}

fn port(fabric: &Fabric<'_>, link: &Link) -> Option<Finding> {
    let (name, bridge) = (&link.name, &fabric.bridge_of(link)?.link.name);
    Some(
        Finding::setting("uplink-port", State::Wrong, format!("{name} master"), bridge)
            .about(name)
            .breaks(format!(
                "neighbors or VTEPs are reached by {name}. As a port of {bridge} it hands what \
                 arrives to the bridge: sessions end, and nothing of other leaves comes in"
            ))
            .mend(format!("ip link set {name} nomaster")),
    )
}

/// VTEPs of a family that evpnd speaks with some neighbor, and that nobody is told of.
fn vteps(fabric: &Fabric<'_>) -> Vec<Finding> {
    let Some(intent) = &fabric.facts.intent else { return Vec::new() };
    let told = &intent.told;
    let mut vteps: BTreeMap<IpAddr, &str> = BTreeMap::new();
    for served in &fabric.served {
        let vtep = served.vxlan.local.or(intent.vtep).filter(|vtep| told.families.has(*vtep));
        if let Some(vtep) = vtep {
            vteps.entry(vtep).or_insert(served.name());
        }
    }
    if vteps.is_empty() {
        return Vec::new();
    }
    let untold = vteps.iter().filter(|(vtep, _)| !is_told(fabric, told, **vtep));
    let found = untold.map(|(vtep, device)| unannounced(fabric, told, *vtep, device)).collect();
    or_ok(found, "vtep-announced", "neighbors are told of every VTEP")
}

/// Whether others learn the way to an address: by what is announced, or since they share a link with
/// it. One that is not here at all is a matter of its own.
fn is_told(fabric: &Fabric<'_>, told: &Told, vtep: IpAddr) -> bool {
    let links = || fabric.devices.iter().map(|device| &device.link);
    let holds = |link: &Link| link.addresses.iter().any(|net| net.addr() == vtep);
    let shares = |net: &IpNet| net.contains(&vtep) && net.prefix_len() < net.max_prefix_len();
    let is_here = links().any(holds);
    let announced = told.prefixes.iter().any(|prefix| prefix.contains(&vtep));
    let on_a_link = links().any(|l| !leads_nowhere(l) && l.addresses.iter().any(shares));
    announced || on_a_link || told.connected || !is_here
}

/// As evpnd takes it: the addresses of such a device are on no link that others share.
fn leads_nowhere(link: &Link) -> bool {
    link.name == LOOPBACK || matches!(&link.kind, LinkKind::Other(kind) if kind == "dummy")
}

fn unannounced(fabric: &Fabric<'_>, told: &Told, vtep: IpAddr, device: &str) -> Finding {
    let list = |prefixes: &[IpNet]| {
        let quoted: Vec<String> = prefixes.iter().map(|prefix| format!("\"{prefix}\"")).collect();
        format!("[{}]", quoted.join(", "))
    };
    let with_it: Vec<IpNet> = told.prefixes.iter().copied().chain([vtep.into()]).collect();
    let before = list(&told.prefixes);
    Finding::setting("vtep-announced", State::Warning, "[unicast] announce", before)
        .about(vtep.to_string())
        .breaks(format!(
            "no neighbor is told of {vtep}, the VTEP of {device}: unless another daemon announces \
             it, other leaves know hosts here and no way to them. In [unicast] write announce = {}",
            list(&with_it)
        ))
        .mend(format!("editor {} && evpnctl config reload", written_in(fabric)))
}

/// The file in which the configuration is written.
fn written_in(fabric: &Fabric<'_>) -> String {
    match &fabric.facts.config {
        ConfigFound::Valid(path) if path.extension().is_some() => path.display().to_string(),
        ConfigFound::Valid(folder) => folder.join(MAIN_FILE).display().to_string(),
        _ => "/etc/evpnd/evpnd.toml".to_owned(),
    }
}
