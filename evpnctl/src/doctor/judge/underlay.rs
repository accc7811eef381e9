//! The way to other leaves, as far as it begins here.
//!
//! **A device of the underlay is no port of a bridge**: what arrives there is for this machine.

use super::super::finding::{Finding, State};
use super::or_ok;
use super::served::Fabric;
use evpn_dataplane::facts::Link;

pub(super) fn judge(fabric: &Fabric<'_>) -> Vec<Finding> {
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
