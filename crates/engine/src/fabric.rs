//! Which EVIs and VRFs exist.
//!
//! **One pure function, [`fabric`], of the settings and the kernel's devices says it: start, reload
//! and every link event take it, so that the order of arrival never matters.**

use crate::settings::{AllVnis, Settings};
use evpn_dataplane::facts::{Link, LinkKind, Vxlan};
use evpn_dataplane::object::IfIndex;
use evpn_proto::types::{MacAddr, NeighborId, Vni};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What VXLAN adds to a frame over IPv4: 14 Ethernet, 20 IP, 8 UDP, 8 VXLAN.
const OVERHEAD_IPV4: u32 = 50;
/// The same over IPv6.
const OVERHEAD_IPV6: u32 = 70;

/// Everything there is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Fabric {
    /// L2VNIs.
    pub evis: BTreeMap<Vni, Evi>,
    /// L3VNIs, in the order of the settings' VRFs.
    pub vrfs: Vec<Evi>,
}

impl Fabric {
    /// The VXLAN devices of the VNIs that are up, by ascending index.
    pub fn vxlans(&self) -> Vec<IfIndex> {
        let every = self.evis.values().chain(&self.vrfs);
        let mut devices: Vec<_> =
            every.filter_map(|evi| Some(evi.state.as_ref().ok()?.vxlan)).collect();
        devices.sort_unstable();
        devices
    }
}

/// A VNI with its devices: up, or down with a reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Evi {
    /// Which.
    pub vni: Vni,
    /// The VXLAN device's name, where there is one.
    pub device: Option<String>,
    /// Up with its devices, or down with what to do about it.
    pub state: Result<Devices, String>,
    /// What is wrong without keeping it down, with what to do about it.
    pub warnings: Vec<String>,
}

/// The devices of a VNI that is up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Devices {
    /// The VXLAN device.
    pub vxlan: IfIndex,
    /// The bridge that it is a port of.
    pub bridge: IfIndex,
    /// The bridge's name.
    pub bridge_name: String,
    /// The bridge's MAC address: the router's of an L3VNI.
    pub router_mac: MacAddr,
    /// Our VTEP.
    pub vtep: IpAddr,
    /// Whether the bridge has an address, without which it learns no neighbours.
    pub has_svi: bool,
}

/// What exists, given the settings and every device.
pub fn fabric(settings: &Settings, links: &[Link]) -> Fabric {
    let l3vni = |vni: Vni| settings.vrfs.iter().any(|v| v.l3vni == vni);
    let mut evis = BTreeMap::new();
    for link in links {
        let Some(vni) = vni_of(link) else { continue };
        let named = settings.vnis.get(&vni);
        let served = named.map_or(settings.all_vnis == AllVnis::Served, |n| n.enabled);
        if served && !l3vni(vni) {
            evis.entry(vni).or_insert_with(|| evi(settings, links, vni));
        }
    }
    for (vni, _) in settings.vnis.iter().filter(|(vni, s)| s.enabled && !l3vni(**vni)) {
        evis.entry(*vni).or_insert_with(|| evi(settings, links, *vni));
    }
    let vrfs = settings.vrfs.iter().map(|v| evi(settings, links, v.l3vni)).collect();
    Fabric { evis, vrfs }
}

fn evi(settings: &Settings, links: &[Link], vni: Vni) -> Evi {
    let device = links.iter().find(|l| vni_of(l) == Some(vni));
    let state = match device {
        Some(link) => devices(settings, links, link),
        None => Err(missing(links, vni)),
    };
    let warnings = device.map(|link| warnings(settings, links, link)).unwrap_or_default();
    Evi { vni, device: device.map(|l| l.name.clone()), state, warnings }
}

const fn vxlan_of(link: &Link) -> Option<&Vxlan> {
    match &link.kind {
        LinkKind::Vxlan(vxlan) => Some(vxlan),
        _ => None,
    }
}

/// The VNI of a VXLAN device.
pub(crate) fn vni_of(link: &Link) -> Option<Vni> {
    vxlan_of(link)?.vni
}

fn missing(links: &[Link], vni: Vni) -> String {
    match links.iter().find(|l| vxlan_of(l).is_some_and(|x| x.external)) {
        Some(external) => format!(
            "no VXLAN device for it; {} is in external mode, which is not served: one device for \
             each VNI (ip link add vx{vni} type vxlan id {vni} dstport 4789 local VTEP nolearning)",
            external.name
        ),
        None => format!(
            "no VXLAN device has this VNI: ip link add vx{vni} type vxlan id {vni} dstport 4789 \
             local VTEP nolearning"
        ),
    }
}

fn devices(settings: &Settings, links: &[Link], link: &Link) -> Result<Devices, String> {
    let name = &link.name;
    let Some(vxlan) = vxlan_of(link) else { return Err(format!("{name} is no VXLAN device")) };
    let Some(vtep) = vxlan.local.or(settings.vtep) else {
        return Err(format!(
            "{name} has no local address: ip link set {name} type vxlan local VTEP, or vtep = \
             \"VTEP\" in [router]"
        ));
    };
    let bridge = link.master.and_then(|m| links.iter().find(|l| l.index == m));
    let bridge = bridge.filter(|b| matches!(b.kind, LinkKind::Bridge { .. }));
    let Some(bridge) = bridge else {
        return Err(format!("{name} is not a port of a bridge: ip link set {name} master BRIDGE"));
    };
    if let LinkKind::Bridge { vlan_filtering: true } = bridge.kind {
        return Err(format!(
            "bridge {} filters VLANs, which is not served: one bridge for each VNI (ip link set {} \
             type bridge vlan_filtering 0)",
            bridge.name, bridge.name
        ));
    }
    for device in [link, bridge] {
        if !device.admin_up {
            return Err(format!("{0} is down: ip link set {0} up", device.name));
        }
    }
    let Some(router_mac) = bridge.mac else {
        return Err(format!("bridge {} has no MAC address", bridge.name));
    };
    Ok(Devices {
        vxlan: link.index,
        bridge: bridge.index,
        bridge_name: bridge.name.clone(),
        router_mac,
        vtep,
        has_svi: !bridge.addresses.is_empty(),
    })
}

fn warnings(settings: &Settings, links: &[Link], link: &Link) -> Vec<String> {
    let name = &link.name;
    let mut warnings = Vec::new();
    if vxlan_of(link).is_some_and(|x| x.learning) {
        warnings.push(format!(
            "{name} learns from frames, beside BGP: ip link set {name} type vxlan nolearning"
        ));
    }
    if link.port.is_some_and(|p| p.learning) {
        warnings.push(format!(
            "the bridge learns from frames that leave {name}: bridge link set dev {name} learning off"
        ));
    }
    let l3 = vni_of(link).is_some_and(|vni| settings.vrfs.iter().any(|vrf| vrf.l3vni == vni));
    if !l3 && link.port.is_some_and(|p| !p.neigh_suppress) {
        warnings.push(format!(
            "{name} floods ARP and ND: bridge link set dev {name} neigh_suppress on"
        ));
    }
    warnings.extend(vtep_warning(settings, links, link));
    warnings.extend(port_warning(settings, links, link));
    warnings.extend(mtu_warning(settings, links, link));
    warnings
}

/// What other leaves send to an address that is on no device here comes back from nowhere. It does
/// not keep a VNI down: the address may be on its way, and routes that are withdrawn meanwhile help
/// nobody.
fn vtep_warning(settings: &Settings, links: &[Link], link: &Link) -> Option<String> {
    let is_here =
        |vtep: &IpAddr| links.iter().any(|l| l.addresses.iter().any(|n| n.addr() == *vtep));
    let name = &link.name;
    let local = vxlan_of(link)?.local;
    let vtep = local.or(settings.vtep).filter(|vtep| !is_here(vtep))?;
    // Two addresses for one leaf are a slip of the pen more often than a plan. The kernel changes an
    // address, but not its family.
    let of_others = links.iter().filter_map(|l| vxlan_of(l)?.local);
    let mut of_others = of_others.filter(|o| o.is_ipv4() == vtep.is_ipv4() && is_here(o));
    let nowhere = format!("{name} sends from {vtep}, which is on no device here");
    Some(match of_others.next().filter(|_| local.is_some()) {
        Some(other) => format!(
            "{nowhere}, while other devices send from {other}: ip link set {name} type vxlan local \
             {other}"
        ),
        None => format!("{nowhere}: ip addr add {} dev lo", IpNet::from(vtep)),
    })
}

/// A device toward a neighbor that became a port of the bridge: whatever arrives there is a host's
/// from then on, and no packet to us.
fn port_warning(settings: &Settings, links: &[Link], link: &Link) -> Option<String> {
    let bridge = links.iter().find(|l| Some(l.index) == link.master)?;
    let of_bridge = |l: &&Link| l.master == Some(bridge.index) && leads_to_a_neighbor(settings, l);
    let port = &links.iter().find(of_bridge)?.name;
    let bridge = &bridge.name;
    Some(format!(
        "{port} leads to a neighbor, and is a port of {bridge}: ip link set {port} nomaster"
    ))
}

/// Whether a neighbor is known by this device, or is in a prefix that it has an address of.
fn leads_to_a_neighbor(settings: &Settings, link: &Link) -> bool {
    let ids = || settings.neighbors.iter().map(|n| &n.id);
    let reaches_one = |net: &IpNet| {
        ids().filter_map(NeighborId::address).any(|a| net.contains(&a) && net.addr() != a)
    };
    let is_a_neighbors = ids().filter_map(NeighborId::interface).any(|i| i.as_str() == link.name);
    is_a_neighbors || link.addresses.iter().any(reaches_one)
}

/// Full-size frames of hosts must fit into the underlay with what VXLAN adds to them.
fn mtu_warning(settings: &Settings, links: &[Link], link: &Link) -> Option<String> {
    let leads_to_one = |l: &Link| leads_to_a_neighbor(settings, l);
    // Without a bridge there are no hosts, and whatever else has no master is none of them.
    let bridge = link.master?;
    let of_hosts =
        |l: &&Link| l.master == Some(bridge) && vxlan_of(l).is_none() && !leads_to_one(l);
    let hosts = links.iter().filter(of_hosts).max_by_key(|l| l.mtu)?;
    let underlay =
        links.iter().filter(|l| l.index != link.index && leads_to_one(l)).min_by_key(|l| l.mtu)?;
    let ipv6 = vxlan_of(link).and_then(|x| x.local).is_some_and(|a| a.is_ipv6());
    let overhead = if ipv6 { OVERHEAD_IPV6 } else { OVERHEAD_IPV4 };
    let needed = hosts.mtu.saturating_add(overhead);
    (underlay.mtu < needed).then(|| {
        format!(
            "MTU short by {}: {} takes {}, {} needs {needed} for full-size frames: ip link set {} \
             mtu {needed}",
            needed.saturating_sub(underlay.mtu),
            underlay.name,
            underlay.mtu,
            hosts.name,
            underlay.name
        )
    })
}
