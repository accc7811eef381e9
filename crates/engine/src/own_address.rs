//! Which addresses of the switch itself a VRF announces beside its prefixes, as host routes that no
//! level of energy touches.
//!
//! Some receivers (FRR 8.4 among them) lose the way to a VTEP once every type 5 route that it
//! announces in a family has changed its attributes. One route that never changes keeps it.
//!
//! **The choice is a pure function of settings, devices and what the VRF announces: never of a
//! level, of a neighbour's routes or of time.**

use crate::settings::Settings;
use evpn_dataplane::facts::{Link, LinkKind};
use evpn_dataplane::object::IfIndex;
use evpn_proto::types::is_link_local;
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The kernel's name of the device whose addresses are the underlay's or nobody's.
const LOOPBACK: &str = "lo";
/// The kernel's name of a device that binds its ports to a table of their own.
const VRF_DEVICE: &str = "vrf";

/// The addresses, one at most for each family of which the VRF `announces` prefixes. One within an
/// announced prefix comes first, since it tells nobody anything new; then one that is not on a VNI's
/// bridge, where gateways are that many switches share; then the lowest.
pub(crate) fn own_addresses(
    settings: &Settings,
    links: &[Link],
    l3_bridge: IfIndex,
    announces: &BTreeSet<IpNet>,
) -> BTreeSet<IpNet> {
    let underlay: BTreeSet<IpAddr> = underlay(settings, links).collect();
    let serves = |link: &&Link| {
        link.admin_up
            && link.name != LOOPBACK
            && link.index != l3_bridge
            && !in_another_table(links, link)
    };
    let fits = |net: &IpNet| {
        is_global(net.addr())
            && !underlay.iter().any(|address| net.contains(address))
            && !is_of_a_service(net, announces)
    };
    let mut ranked = BTreeSet::new();
    for link in links.iter().filter(serves) {
        for net in link.addresses.iter().filter(|net| fits(net)) {
            let host = IpNet::from(net.addr());
            let uncovered = !announces.iter().any(|prefix| prefix.contains(&host));
            if !announces.contains(&host) {
                ranked.insert((uncovered, has_vni(links, link), host));
            }
        }
    }
    let first = |is_of: fn(&IpNet) -> bool| {
        let (_, _, host) = ranked.iter().find(|(_, _, host)| is_of(host))?;
        announces.iter().any(is_of).then_some(*host)
    };
    let v4 = first(|net| matches!(net, IpNet::V4(_)));
    let v6 = first(|net| matches!(net, IpNet::V6(_)));
    v4.into_iter().chain(v6).collect()
}

/// Whether a VXLAN device is a port of it.
fn has_vni(links: &[Link], bridge: &Link) -> bool {
    let is_vxlan = |l: &&Link| matches!(l.kind, LinkKind::Vxlan(_));
    links.iter().filter(is_vxlan).any(|vxlan| vxlan.master == Some(bridge.index))
}

/// What the underlay has to reach by itself, as far as no route is needed to know it: neighbours
/// and our own VTEPs.
fn underlay(settings: &Settings, links: &[Link]) -> impl Iterator<Item = IpAddr> {
    let vteps = links.iter().filter_map(|link| match &link.kind {
        LinkKind::Vxlan(vxlan) => vxlan.local,
        _ => None,
    });
    let neighbors = settings.neighbors.iter().filter_map(|n| n.id.address());
    vteps.chain(settings.vtep).chain(neighbors)
}

/// Whether the device is a VRF's or a port of one: its addresses are not in the tables of this VRF.
fn in_another_table(links: &[Link], link: &Link) -> bool {
    let is_vrf = |l: &Link| matches!(&l.kind, LinkKind::Other(kind) if kind == VRF_DEVICE);
    let master = links.iter().find(|l| Some(l.index) == link.master);
    is_vrf(link) || master.is_some_and(is_vrf)
}

/// An address without a network of its own, within a prefix that has levers: a service that other
/// sites may have too. A host route without levers would take its traffic past every level.
fn is_of_a_service(net: &IpNet, announces: &BTreeSet<IpNet>) -> bool {
    net.prefix_len() == net.max_prefix_len() && announces.iter().any(|prefix| prefix.contains(net))
}

const fn is_global(address: IpAddr) -> bool {
    !is_link_local(address)
        && !address.is_unspecified()
        && !address.is_loopback()
        && !address.is_multicast()
}
