//! What messages say of devices and their addresses.
//!
//! **A message of a bridge about its port is not one about the device**: `RTM_DELLINK` of family
//! `AF_BRIDGE` says that a device left its bridge, not that it is gone.

use crate::encode::{AF_BRIDGE, AF_INET, AF_INET6};
use crate::parse::{ip, mac};
use crate::wire::{Attributes, u16_at, u32_at};
use evpn_dataplane::facts::{BridgePort, Link, LinkKind, Vxlan};
use evpn_dataplane::object::IfIndex;
use evpn_dataplane::observe::Observation;
use evpn_proto::types::Vni;
use ipnet::IpNet;

pub(crate) const LINK_HEADER: usize = 16;
const ADDRESS_HEADER: usize = 8;
pub(crate) const UP: u32 = 0x1;
const LOWER_UP: u32 = 0x1_0000;

pub(crate) mod ifla {
    pub(crate) const ADDRESS: u16 = 1;
    pub(crate) const NAME: u16 = 3;
    pub(crate) const MTU: u16 = 4;
    pub(crate) const MASTER: u16 = 10;
    pub(crate) const PROTINFO: u16 = 12;
    pub(crate) const LINKINFO: u16 = 18;
}

pub(crate) mod info {
    pub(crate) const KIND: u16 = 1;
    pub(crate) const DATA: u16 = 2;
    pub(crate) const SLAVE_KIND: u16 = 4;
    pub(crate) const SLAVE_DATA: u16 = 5;
    pub(crate) const BRIDGE_VLAN_FILTERING: u16 = 7;
    pub(crate) const PORT_LEARNING: u16 = 8;
    pub(crate) const PORT_NEIGH_SUPPRESS: u16 = 32;
}

pub(crate) mod vxlan {
    pub(crate) const ID: u16 = 1;
    pub(crate) const LOCAL: u16 = 4;
    pub(crate) const LEARNING: u16 = 7;
    pub(crate) const PORT: u16 = 15;
    pub(crate) const LOCAL6: u16 = 17;
    pub(crate) const COLLECT_METADATA: u16 = 25;
}

mod ifa {
    pub(super) const ADDRESS: u16 = 1;
    pub(super) const LOCAL: u16 = 2;
}

pub(crate) fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value.strip_suffix(&[0]).unwrap_or(value)).into_owned()
}

pub(crate) fn find(value: &[u8], wanted: u16) -> Option<&[u8]> {
    Attributes(value).find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
}

pub(crate) fn is_set(value: &[u8], wanted: u16) -> bool {
    find(value, wanted).is_some_and(|value| value.first().is_some_and(|octet| *octet != 0))
}

/// A device; or, from its bridge, its settings as a port.
pub(crate) fn link(payload: &[u8]) -> Option<Observation> {
    let index = IfIndex(u32_at(payload, 4)?);
    let flags = u32_at(payload, 8)?;
    let attributes = payload.get(LINK_HEADER..)?;
    if *payload.first()? == AF_BRIDGE {
        let settings = find(attributes, ifla::PROTINFO)?;
        return Some(Observation::Port { device: index, port: port(settings) });
    }
    let mut link = Link {
        index,
        name: String::new(),
        mac: None,
        mtu: 0,
        admin_up: flags & UP != 0,
        carrier: flags & LOWER_UP != 0,
        master: None,
        port: None,
        kind: LinkKind::Other(String::new()),
        addresses: Vec::new(),
    };
    for (kind, value) in Attributes(attributes) {
        match kind {
            ifla::NAME => link.name = text(value),
            ifla::ADDRESS => link.mac = mac(value),
            ifla::MTU => link.mtu = u32_at(value, 0).unwrap_or_default(),
            ifla::MASTER => link.master = u32_at(value, 0).map(IfIndex),
            ifla::LINKINFO => {
                link.kind = link_kind(value);
                let bridge = find(value, info::SLAVE_KIND).is_some_and(|k| text(k) == "bridge");
                link.port = find(value, info::SLAVE_DATA).filter(|_| bridge).map(port);
            }
            _ => {}
        }
    }
    if link.name.is_empty() {
        return None;
    }
    Some(Observation::Link(Box::new(link)))
}

pub(crate) fn link_gone(payload: &[u8]) -> Option<Observation> {
    let index = IfIndex(u32_at(payload, 4)?);
    (*payload.first()? != AF_BRIDGE).then_some(Observation::LinkGone(index))
}

fn port(settings: &[u8]) -> BridgePort {
    BridgePort {
        learning: is_set(settings, info::PORT_LEARNING),
        neigh_suppress: is_set(settings, info::PORT_NEIGH_SUPPRESS),
    }
}

fn link_kind(value: &[u8]) -> LinkKind {
    let data = find(value, info::DATA).unwrap_or_default();
    match find(value, info::KIND).map(text).unwrap_or_default().as_str() {
        "bridge" => LinkKind::Bridge { vlan_filtering: is_set(data, info::BRIDGE_VLAN_FILTERING) },
        "vxlan" => LinkKind::Vxlan(vxlan_settings(data)),
        other => LinkKind::Other(other.to_owned()),
    }
}

fn vxlan_settings(data: &[u8]) -> Vxlan {
    let id = find(data, vxlan::ID).and_then(|value| u32_at(value, 0)).unwrap_or_default();
    let external = is_set(data, vxlan::COLLECT_METADATA);
    let port = find(data, vxlan::PORT).and_then(|value| u16_at(value, 0)).unwrap_or_default();
    Vxlan {
        vni: Vni::new(id).filter(|_| !external),
        local: find(data, vxlan::LOCAL)
            .or_else(|| find(data, vxlan::LOCAL6))
            .and_then(ip)
            .filter(|address| !address.is_unspecified()),
        port: u16::from_be(port),
        learning: is_set(data, vxlan::LEARNING),
        external,
    }
}

/// A device has or had an address.
pub(crate) fn address(payload: &[u8], gone: bool) -> Option<Observation> {
    let family = *payload.first()?;
    let length = *payload.get(1)?;
    let device = IfIndex(u32_at(payload, 4)?);
    let attributes = payload.get(ADDRESS_HEADER..)?;
    if family != AF_INET && family != AF_INET6 {
        return None;
    }
    // With a peer, `ADDRESS` is the peer's.
    let own = find(attributes, ifa::LOCAL).or_else(|| find(attributes, ifa::ADDRESS))?;
    let address = IpNet::new(ip(own)?, length).ok()?;
    Some(if gone {
        Observation::AddressGone { device, address }
    } else {
        Observation::Address { device, address }
    })
}
