//! Which devices evpnd works with, given what the configuration wants.
//!
//! **Devices that evpnd does not serve are somebody else's, and nobody judges them.**

use super::super::facts::{Facts, Intent};
use evpn_dataplane::facts::{Link, LinkKind, Vxlan};
use evpn_dataplane::object::IfIndex;
use evpn_netlink::survey::Device;
use evpn_proto::types::{Vni, is_link_local};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The devices of the namespace, and those of them that are served.
pub(super) struct Fabric<'f> {
    pub(super) facts: &'f Facts,
    pub(super) devices: &'f [Device],
    /// One for each VNI, by VNI.
    pub(super) served: Vec<Served<'f>>,
    /// Further devices of VNIs that have one already.
    pub(super) surplus: Vec<(Vni, &'f Link, &'f Link)>,
}

/// A VXLAN device that evpnd serves.
#[derive(Clone, Copy)]
pub(super) struct Served<'f> {
    pub(super) vni: Vni,
    pub(super) link: &'f Link,
    pub(super) vxlan: Vxlan,
    /// The bridge that it is a port of.
    pub(super) bridge: Option<&'f Device>,
    /// The VNI of a VRF.
    pub(super) l3: bool,
}

impl Served<'_> {
    pub(super) fn name(&self) -> &str {
        &self.link.name
    }
}

impl<'f> Fabric<'f> {
    pub(super) fn of(facts: &'f Facts, devices: &'f [Device]) -> Self {
        let mut first: BTreeMap<Vni, &'f Link> = BTreeMap::new();
        let mut surplus = Vec::new();
        for link in devices.iter().map(|device| &device.link) {
            let Some(vni) = vxlan_of(link).and_then(|vxlan| vxlan.vni) else { continue };
            if !is_served(facts.intent.as_ref(), vni) {
                continue;
            }
            match first.get(&vni) {
                Some(kept) => surplus.push((vni, *kept, link)),
                None => {
                    first.insert(vni, link);
                }
            }
        }
        let mut fabric = Self { facts, devices, served: Vec::new(), surplus };
        fabric.served =
            first.into_iter().filter_map(|(vni, link)| fabric.serve(vni, link)).collect();
        fabric
    }

    fn serve(&self, vni: Vni, link: &'f Link) -> Option<Served<'f>> {
        let vxlan = vxlan_of(link)?;
        let bridge = self.bridge_of(link);
        let l3 = match &self.facts.intent {
            Some(intent) => intent.l3vnis.contains_key(&vni),
            // Nobody says: a bridge without hosts is a router's.
            None => bridge.is_some_and(|b| self.host_ports(b.link.index).next().is_none()),
        };
        Some(Served { vni, link, vxlan, bridge, l3 })
    }

    fn device(&self, index: Option<IfIndex>) -> Option<&'f Device> {
        index.and_then(|index| self.devices.iter().find(|d| d.link.index == index))
    }

    /// The ports of a bridge that lead to hosts.
    pub(super) fn host_ports(&self, bridge: IfIndex) -> impl Iterator<Item = &'f Link> {
        let links = self.devices.iter().map(|device| &device.link);
        let ports = links.filter(move |l| l.master == Some(bridge) && vxlan_of(l).is_none());
        ports.filter(|l| !self.facts.underlay.contains(&l.index))
    }

    /// The bridge that a device is a port of.
    pub(super) fn bridge_of(&self, port: &Link) -> Option<&'f Device> {
        self.device(port.master).filter(|master| master.bridge.is_some())
    }

    /// Bridges of served VNIs, each once, with their VNI.
    pub(super) fn bridges(&self) -> Vec<(Served<'f>, &'f Device)> {
        let mut found: Vec<(Served<'f>, &'f Device)> = Vec::new();
        for served in &self.served {
            let Some(bridge) = served.bridge else { continue };
            if !found.iter().any(|(_, known)| known.link.index == bridge.link.index) {
                found.push((*served, bridge));
            }
        }
        found
    }

    /// The devices through which neighbors and VTEPs are reached, loopbacks aside.
    pub(super) fn underlay(&self) -> impl Iterator<Item = &'f Link> {
        let links = self.devices.iter().map(|device| &device.link);
        links.filter(|l| self.facts.underlay.contains(&l.index) && l.name != LOOPBACK)
    }

    /// An address of this machine that would do as a VTEP, or a word in its place.
    pub(super) fn vtep(&self) -> String {
        let configured = self.facts.intent.as_ref().and_then(|intent| intent.vtep);
        let of_others = || self.served.iter().find_map(|served| served.vxlan.local);
        let global = |link: &Link| link.addresses.iter().map(|net| net.addr()).find(is_global);
        let loopback = || {
            let mut links = self.devices.iter().map(|device| &device.link);
            links.find(|link| link.name == LOOPBACK).and_then(global)
        };
        let uplink = || self.underlay().find_map(global);
        let vtep = configured.or_else(of_others).or_else(loopback).or_else(uplink);
        vtep.map_or_else(|| "VTEP".to_owned(), |address| address.to_string())
    }
}

/// The name of the loopback device, which every namespace has.
pub(super) const LOOPBACK: &str = "lo";

pub(super) const fn vxlan_of(link: &Link) -> Option<Vxlan> {
    match link.kind {
        LinkKind::Vxlan(vxlan) => Some(vxlan),
        _ => None,
    }
}

fn is_served(intent: Option<&Intent>, vni: Vni) -> bool {
    intent.is_none_or(|intent| {
        let named = intent.named.contains(&vni) || intent.l3vnis.contains_key(&vni);
        named || (intent.all_vnis && !intent.disabled.contains(&vni))
    })
}

/// Neither loopback nor link-local.
pub(super) fn is_global(address: &IpAddr) -> bool {
    !address.is_loopback() && !is_link_local(*address)
}
