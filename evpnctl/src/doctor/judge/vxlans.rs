//! VXLAN devices: one for each VNI, set so that BGP alone says where hosts are.
//!
//! **The commands are those that an operator would type**, with the names that are there.

use super::super::finding::{Finding, State};
use super::or_ok;
use super::served::{Fabric, Served, vxlan_of};
use evpn_dataplane::facts::LinkKind;
use evpn_proto::types::Vni;
use std::net::IpAddr;

/// The port that every other VTEP sends to (RFC 7348): EVPN has no way to announce another.
const PORT: u16 = 4789;

/// A check's name, what is said where everything passes, and the check of one device.
type Check = (&'static str, &'static str, fn(&Fabric<'_>, &Served<'_>) -> Option<Finding>);

const CHECKS: [Check; 8] = [
    ("device-up", "VXLAN devices and their bridges are up", device_up),
    ("bridge-port", "every VXLAN device is a port of a bridge", bridge_port),
    ("vtep-address", "every VXLAN device has a local address", vtep_address),
    ("vtep-local", "these addresses are on this machine, on devices that are up", vtep_local),
    ("vxlan-port", "every VXLAN device sends to UDP 4789", vxlan_port),
    ("vxlan-learning", "no VXLAN device learns from frames", vxlan_learning),
    ("port-learning", "no bridge learns from frames of a VXLAN device", port_learning),
    ("neigh-suppress", "every L2VNI suppresses ARP and ND", neigh_suppress),
];

pub(super) fn judge(fabric: &Fabric<'_>) -> Vec<Finding> {
    let mut findings = vec![summary(fabric)];
    findings.extend(missing(fabric));
    findings.extend(fabric.surplus.iter().map(|(vni, kept, link)| {
        Finding::of(
            "vni-twice",
            State::Wrong,
            format!("{} has VNI {vni}, as {} does", link.name, kept.name),
        )
        .about(&link.name)
        .breaks(format!(
            "evpnd serves {} alone: hosts behind {} are announced to nobody and reach nobody",
            kept.name, link.name
        ))
        .mend(format!("ip link del {}", link.name))
    }));
    findings.extend(external(fabric));
    if fabric.served.is_empty() {
        return findings;
    }
    for (check, well, judge) in CHECKS {
        let found = fabric.served.iter().filter_map(|served| judge(fabric, served)).collect();
        findings.extend(or_ok(found, check, well));
    }
    findings
}

fn summary(fabric: &Fabric<'_>) -> Finding {
    let l3 = fabric.served.iter().filter(|served| served.l3).count();
    match fabric.served.len() {
        0 => Finding::of("vni", State::Note, "no VXLAN device that evpnd would serve"),
        all => Finding::ok("vni", format!("{} L2, {l3} L3", all - l3)),
    }
}

/// VNIs that the configuration names and no device has.
fn missing(fabric: &Fabric<'_>) -> Vec<Finding> {
    let Some(intent) = &fabric.facts.intent else { return Vec::new() };
    let wanted = intent.named.iter().chain(intent.l3vnis.keys());
    let absent = wanted.filter(|vni| !fabric.served.iter().any(|served| served.vni == **vni));
    let finding = |vni: &Vni| {
        let (device, bridge) = (format!("vx{vni}"), format!("br{vni}"));
        let l3 = intent.l3vnis.contains_key(vni);
        let vtep = fabric.vtep();
        let bridge_too = match fabric.devices.iter().any(|device| device.link.name == bridge) {
            true => String::new(),
            false => format!("ip link add {bridge} type bridge && ip link set {bridge} up && "),
        };
        Finding::of("vni-device", State::Wrong, format!("no VXLAN device has VNI {vni}"))
            .about(format!("VNI {vni}"))
            .breaks("the configuration names it; it stays down, and its hosts reach nobody")
            .mend(bridge_too + &make(&device, *vni, &vtep, &bridge, l3))
    };
    absent.map(finding).collect()
}

/// The commands that make a VXLAN device as a leaf needs it.
fn make(device: &str, vni: Vni, vtep: &str, bridge: &str, l3: bool) -> String {
    format!(
        "ip link add {device} type vxlan id {vni} dstport {PORT} local {vtep} nolearning && \
         ip link set {device} master {bridge} up && {}",
        port_settings(device, l3)
    )
}

fn port_settings(device: &str, l3: bool) -> String {
    let suppress = if l3 { "" } else { " neigh_suppress on" };
    format!("bridge link set dev {device} learning off{suppress}")
}

fn external(fabric: &Fabric<'_>) -> Vec<Finding> {
    let links = fabric.devices.iter().map(|device| &device.link);
    let external = links.filter(|link| vxlan_of(link).is_some_and(|vxlan| vxlan.external));
    let finding = |name: &String| {
        Finding::setting("vxlan-external", State::Warning, format!("{name} external"), "on")
            .about(name)
            .breaks(
                "a device for many VNIs is not served: evpnd leaves it alone, and its VNIs are \
                 announced to nobody. One device for each VNI",
            )
            .mend(format!(
                "ip link del {name} && ip link add vxVNI type vxlan id VNI dstport {PORT} local {} \
                 nolearning",
                fabric.vtep()
            ))
    };
    external.map(|link| finding(&link.name)).collect()
}

fn device_up(_: &Fabric<'_>, served: &Served<'_>) -> Option<Finding> {
    let links = [Some(served.link), served.bridge.map(|bridge| &bridge.link)];
    let down = links.into_iter().flatten().find(|link| !link.admin_up)?;
    let vni = served.vni;
    let finding =
        Finding::setting("device-up", State::Wrong, format!("{} state", down.name), "down");
    Some(
        finding
            .about(&down.name)
            .breaks(format!("VNI {vni} stays down: no frame passes"))
            .mend(format!("ip link set {} up", down.name)),
    )
}

fn bridge_port(fabric: &Fabric<'_>, served: &Served<'_>) -> Option<Finding> {
    if served.bridge.is_some() {
        return None;
    }
    let (name, vni) = (served.name(), served.vni);
    let settings = port_settings(name, served.l3);
    // A bridge that is made for this VNI, by its name.
    let links = fabric.devices.iter().map(|device| &device.link);
    let mut bridges = links.filter(|link| matches!(link.kind, LinkKind::Bridge { .. }));
    let bridge = bridges.find(|link| {
        let digits = link.name.trim_start_matches(|c: char| !c.is_ascii_digit());
        digits == vni.to_string()
    });
    let mend = match bridge {
        Some(bridge) => format!("ip link set {name} master {} && {settings}", bridge.name),
        None => format!(
            "ip link add br{vni} type bridge && ip link set br{vni} up && ip link set {name} master \
             br{vni} && {settings}"
        ),
    };
    Some(
        Finding::setting("bridge-port", State::Wrong, format!("{name} master"), "none")
            .about(name)
            .breaks(format!("VNI {vni} stays down: without a bridge it has no hosts"))
            .mend(mend),
    )
}

fn vtep_address(fabric: &Fabric<'_>, served: &Served<'_>) -> Option<Finding> {
    if served.vxlan.local.is_some() {
        return None;
    }
    let (name, vni) = (served.name(), served.vni);
    if let Some(vtep) = fabric.facts.intent.as_ref().and_then(|intent| intent.vtep) {
        let note = format!("{name} has no local address; router.vtep = {vtep} is announced");
        return Some(Finding::of("vtep-address", State::Note, note).about(name).breaks(
            "it sends from whatever address the route gives: make sure that this is the same",
        ));
    }
    Some(
        Finding::setting("vtep-address", State::Wrong, format!("{name} local"), "none")
            .about(name)
            .breaks(format!(
                "VNI {vni} stays down: nobody knows which address to announce as its next hop"
            ))
            .mend(format!("ip link set {name} type vxlan local {}", fabric.vtep())),
    )
}

fn vtep_local(fabric: &Fabric<'_>, served: &Served<'_>) -> Option<Finding> {
    let local = served.vxlan.local?;
    let name = served.name();
    let has =
        |link: &&evpn_dataplane::facts::Link| link.addresses.iter().any(|net| net.addr() == local);
    let mut holders = fabric.devices.iter().map(|device| &device.link).filter(has).peekable();
    let finding = |value: String| {
        let value = format!("{local}, {value}");
        Finding::setting("vtep-local", State::Wrong, format!("{name} local"), value).about(name)
    };
    let Some(first) = holders.peek().copied() else {
        let nowhere = finding("an address that this machine does not have".to_owned());
        let lost = "other leaves send to an address that is not here: nothing comes back";
        return Some(match other_vtep(fabric, local) {
            Some((other, vtep)) => nowhere
                .breaks(format!("{lost}. {} has {vtep}, so that the VTEPs differ", other.name()))
                .mend(format!("ip link set {name} type vxlan local {vtep}")),
            None => nowhere
                .breaks(lost)
                .mend(format!("ip addr add {} dev lo", ipnet::IpNet::from(local))),
        });
    };
    if holders.any(|link| link.admin_up) {
        return None;
    }
    Some(
        finding(format!("on {}, which is down", first.name))
            .breaks("the kernel does not take packets to an address of a device that is down")
            .mend(format!("ip link set {} up", first.name)),
    )
}

/// Another served device whose local address is on this machine, and that address: two for one leaf
/// are a slip more often than a plan. The kernel changes an address, but not its family.
fn other_vtep<'f>(fabric: &Fabric<'f>, local: IpAddr) -> Option<(Served<'f>, IpAddr)> {
    let nets = || fabric.devices.iter().flat_map(|device| &device.link.addresses);
    let is_here = |vtep: &IpAddr| nets().any(|net| net.addr() == *vtep);
    let others = fabric.served.iter().filter_map(|served| Some((*served, served.vxlan.local?)));
    let mut others = others.filter(|(_, vtep)| vtep.is_ipv4() == local.is_ipv4());
    others.find(|(_, vtep)| is_here(vtep))
}

fn vxlan_port(fabric: &Fabric<'_>, served: &Served<'_>) -> Option<Finding> {
    let (name, port) = (served.name(), served.vxlan.port);
    if port == PORT {
        return None;
    }
    let bridge = served.bridge.map_or_else(|| format!("br{}", served.vni), |b| b.link.name.clone());
    let vtep = served.vxlan.local.map_or_else(|| fabric.vtep(), |local| local.to_string());
    Some(
        Finding::setting("vxlan-port", State::Wrong, format!("{name} dstport"), port.to_string())
            .about(name)
            .breaks(format!(
                "other leaves send to {PORT}, and this one to {port}: nothing arrives, either way. \
                 A device's port cannot be changed: it has to be made again"
            ))
            .mend(format!(
                "ip link del {name} && {}",
                make(name, served.vni, &vtep, &bridge, served.l3)
            )),
    )
}

fn vxlan_learning(_: &Fabric<'_>, served: &Served<'_>) -> Option<Finding> {
    let name = served.name();
    served.vxlan.learning.then(|| {
        Finding::setting("vxlan-learning", State::Wrong, format!("{name} learning"), "on")
            .about(name)
            .breaks("what it learns from frames fights with what BGP says: hosts seem to move")
            .mend(format!("ip link set {name} type vxlan nolearning"))
    })
}

fn port_learning(_: &Fabric<'_>, served: &Served<'_>) -> Option<Finding> {
    let name = served.name();
    let learns = served.bridge.is_some() && served.link.port.is_some_and(|port| port.learning);
    learns.then(|| {
        Finding::setting(
            "port-learning",
            State::Wrong,
            format!("{name} bridge port learning"),
            "on",
        )
        .about(name)
        .breaks(
            "the bridge takes remote hosts for its own from frames, beside BGP: they are \
                 announced twice, and age out",
        )
        .mend(format!("bridge link set dev {name} learning off"))
    })
}

fn neigh_suppress(_: &Fabric<'_>, served: &Served<'_>) -> Option<Finding> {
    let name = served.name();
    let floods = served.bridge.is_some() && served.link.port.is_some_and(|p| !p.neigh_suppress);
    (floods && !served.l3).then(|| {
        Finding::setting("neigh-suppress", State::Warning, format!("{name} neigh_suppress"), "off")
            .about(name)
            .breaks(
                "every ARP and ND question is flooded to every leaf, though the answer is known",
            )
            .mend(format!("bridge link set dev {name} neigh_suppress on"))
    })
}

/// What VXLAN adds to a frame: 14 Ethernet, 20 IPv4 or 40 IPv6, 8 UDP, 8 VXLAN.
pub(super) const fn overhead(local: Option<IpAddr>) -> u32 {
    match local {
        Some(IpAddr::V6(_)) => 70,
        _ => 50,
    }
}
