//! The bridges of served VNIs.
//!
//! **Nothing here is about a bridge that no VXLAN device of ours is a port of.**

use super::super::finding::{Finding, State};
use super::or_ok;
use super::served::{Fabric, is_global};
use super::sysctls;
use evpn_dataplane::facts::LinkKind;
use evpn_netlink::survey::Device;
use std::time::Duration;

/// What the kernel gives a bridge, in the unit of `ip link`: hundredths of a second.
const DEFAULT_AGEING: u32 = 30_000;

pub(super) fn judge(fabric: &Fabric<'_>) -> Vec<Finding> {
    let bridges = fabric.bridges();
    if bridges.is_empty() {
        return Vec::new();
    }
    let each = |judge: fn(&Device) -> Option<Finding>| {
        bridges.iter().filter_map(|(_, bridge)| judge(bridge)).collect::<Vec<_>>()
    };
    let mut findings = or_ok(each(filtering), "vlan-filtering", "no bridge filters VLANs");
    findings.extend(or_ok(each(ageing), "bridge-ageing", "bridges remember silent hosts"));
    findings.extend(or_ok(each(spanning_tree), "bridge-stp", "no bridge speaks spanning tree"));
    findings.extend(ipv6(fabric, &bridges));
    findings.extend(svi(&bridges));
    findings
}

fn filtering(bridge: &Device) -> Option<Finding> {
    let name = &bridge.link.name;
    let LinkKind::Bridge { vlan_filtering: true } = bridge.link.kind else { return None };
    Some(
        Finding::setting("vlan-filtering", State::Wrong, format!("{name} vlan_filtering"), "1")
            .about(name)
            .breaks("a bridge that tells VLANs apart is not served: its VNI stays down")
            .mend(format!("ip link set {name} type bridge vlan_filtering 0")),
    )
}

fn ageing(bridge: &Device) -> Option<Finding> {
    let name = &bridge.link.name;
    bridge.bridge.filter(|settings| settings.ageing == Duration::ZERO)?;
    Some(
        Finding::setting("bridge-ageing", State::Wrong, format!("{name} ageing_time"), "0")
            .about(name)
            .breaks(
                "the bridge forgets every host at once: frames are flooded, and each host is \
                 announced and withdrawn again and again",
            )
            .mend(format!("ip link set {name} type bridge ageing_time {DEFAULT_AGEING}")),
    )
}

fn spanning_tree(bridge: &Device) -> Option<Finding> {
    let name = &bridge.link.name;
    bridge.bridge.filter(|settings| settings.spanning_tree)?;
    Some(
        Finding::setting("bridge-stp", State::Warning, format!("{name} stp_state"), "1")
            .about(name)
            .breaks(
                "it sends its BPDUs to all other leaves, may block the VXLAN device, and holds \
                 ports back for half a minute after each start",
            )
            .mend(format!("ip link set {name} type bridge stp_state 0")),
    )
}

/// Without IPv6 a bridge holds no IPv6 neighbour, and takes none from evpnd.
fn ipv6(fabric: &Fabric<'_>, bridges: &[(super::served::Served<'_>, &Device)]) -> Vec<Finding> {
    let disabled = |bridge: &&(super::served::Served<'_>, &Device)| {
        let key = sysctls::of_device("ipv6", &bridge.1.link.name, "disable_ipv6");
        fabric.facts.sysctls.get(&key).is_some_and(|value| value != "0")
    };
    let finding = |(_, bridge): &(super::served::Served<'_>, &Device)| {
        let key = sysctls::of_device("ipv6", &bridge.link.name, "disable_ipv6");
        sysctls::finding("bridge-ipv6", State::Warning, &key, "1", "0")
            .about(&bridge.link.name)
            .breaks(
                "the kernel takes no IPv6 neighbour on it: evpnd's are refused, and ND is flooded \
                 instead of answered",
            )
    };
    let found = bridges.iter().filter(disabled).map(finding).collect();
    or_ok(found, "bridge-ipv6", "bridges take IPv6 neighbours")
}

/// Bridges of L2VNIs whose addresses are known by listening.
fn svi(bridges: &[(super::served::Served<'_>, &Device)]) -> Option<Finding> {
    let bare = bridges.iter().filter(|(served, bridge)| {
        !served.l3 && !bridge.link.addresses.iter().any(|net| is_global(&net.addr()))
    });
    let names: Vec<&str> = bare.map(|(_, bridge)| bridge.link.name.as_str()).collect();
    let first = names.first()?;
    let which = match names.len() {
        1 => format!("{first} has"),
        more => format!("{first} and {} more have", more - 1),
    };
    let text = format!("{which} no address");
    Some(Finding::of("svi", State::Note, text).breaks(
        "the addresses of hosts there are known by the ARP and ND that evpnd hears on access ports \
         (it needs CAP_NET_RAW for that), not from the kernel",
    ))
}
