//! Whether full-size frames fit.
//!
//! **A frame that a host may send fits into the VXLAN device, and with what VXLAN adds to it into
//! every device of the underlay.**

use super::super::finding::{Finding, State};
use super::or_ok;
use super::served::{Fabric, Served};
use super::vxlans::overhead;

pub(super) fn judge(fabric: &Fabric<'_>) -> Vec<Finding> {
    if fabric.served.is_empty() {
        return Vec::new();
    }
    let mut findings: Vec<_> =
        fabric.served.iter().filter_map(|served| too_small(fabric, served)).collect();
    findings.extend(underlay(fabric));
    let well = match fabric.underlay().next() {
        Some(_) => "full-size frames fit into the VXLAN devices and the underlay",
        None => "full-size frames fit into the VXLAN devices; no way to a neighbor is known",
    };
    or_ok(findings, "mtu", well)
}

/// The largest packet that comes in from hosts, or from this machine as their router.
fn largest(fabric: &Fabric<'_>, served: &Served<'_>) -> Option<(String, u32)> {
    let bridge = served.bridge?;
    let ports = fabric.host_ports(bridge.link.index);
    let widest = ports.max_by_key(|port| port.mtu).map(|port| (port.name.clone(), port.mtu));
    // A router's bridge has no ports to hosts: what it takes itself is routed into it.
    widest.or_else(|| served.l3.then(|| (bridge.link.name.clone(), bridge.link.mtu)))
}

fn too_small(fabric: &Fabric<'_>, served: &Served<'_>) -> Option<Finding> {
    let (hosts, needed) = largest(fabric, served)?;
    let (name, mtu) = (served.name(), served.link.mtu);
    (mtu < needed).then(|| {
        Finding::setting("mtu", State::Wrong, format!("{name} mtu"), mtu.to_string())
            .about(name)
            .breaks(format!(
                "{hosts} takes {needed}: larger packets than {mtu} vanish on the way to other leaves"
            ))
            .mend(format!("ip link set {name} mtu {needed}"))
    })
}

fn underlay(fabric: &Fabric<'_>) -> Vec<Finding> {
    let needs = fabric.served.iter().filter_map(|served| {
        let (hosts, size) = largest(fabric, served)?;
        Some((size.saturating_add(overhead(served.vxlan.local)), hosts))
    });
    let Some((needed, hosts)) = needs.max() else { return Vec::new() };
    let short = fabric.underlay().filter(|link| link.mtu < needed);
    let finding = |name: &str, mtu: u32| {
        Finding::setting("mtu", State::Wrong, format!("{name} mtu"), mtu.to_string())
            .about(name)
            .breaks(format!(
                "short by {}: {hosts} needs {needed} for full-size frames. Small packets pass, \
                 large ones vanish. The whole way to the other leaves needs it",
                needed.saturating_sub(mtu)
            ))
            .mend(format!("ip link set {name} mtu {needed}"))
    };
    short.map(|link| finding(&link.name, link.mtu)).collect()
}
