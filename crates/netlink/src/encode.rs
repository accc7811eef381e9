//! From a write to its message.
//!
//! The FDB entry is the hot one: 48 octets without an allocation.
//!
//! **A message never creates what should be there and never overwrites what should not**: `EXCL`
//! for what is new, `REPLACE` without `CREATE` for what is ours.

use crate::wire::{Writer, flag, kind};
use evpn_dataplane::object::{
    FdbKey, FdbTarget, FloodKey, IfIndex, Neighbour, NeighbourKey, NexthopGroup, NexthopId,
};
use evpn_dataplane::observe::NexthopSpec;
use evpn_dataplane::op::{Birth, Halves, KernelRoute, Op};
use evpn_proto::types::MacAddr;
use std::net::IpAddr;

pub(crate) const AF_BRIDGE: u8 = 7;
pub(crate) const AF_INET: u8 = 2;
pub(crate) const AF_INET6: u8 = 10;

pub(crate) mod nda {
    pub(crate) const DST: u16 = 1;
    pub(crate) const LLADDR: u16 = 2;
    pub(crate) const VLAN: u16 = 5;
    pub(crate) const MASTER: u16 = 9;
    pub(crate) const SRC_VNI: u16 = 11;
    pub(crate) const PROTOCOL: u16 = 12;
    pub(crate) const NH_ID: u16 = 13;
}

pub(crate) mod ntf {
    pub(crate) const SELF: u8 = 0x02;
    pub(crate) const MASTER: u8 = 0x04;
    pub(crate) const PROXY: u8 = 0x08;
    pub(crate) const EXT_LEARNED: u8 = 0x10;
    pub(crate) const STICKY: u8 = 0x40;
    pub(crate) const ROUTER: u8 = 0x80;
}

pub(crate) mod nud {
    pub(crate) const REACHABLE: u16 = 0x02;
    pub(crate) const STALE: u16 = 0x04;
    pub(crate) const PROBE: u16 = 0x10;
    pub(crate) const NOARP: u16 = 0x40;
    pub(crate) const PERMANENT: u16 = 0x80;
}

pub(crate) mod rta {
    pub(crate) const DST: u16 = 1;
    pub(crate) const OIF: u16 = 4;
    pub(crate) const GATEWAY: u16 = 5;
    pub(crate) const PRIORITY: u16 = 6;
    pub(crate) const TABLE: u16 = 15;
    pub(crate) const VIA: u16 = 18;
    pub(crate) const NH_ID: u16 = 30;
}

pub(crate) mod nha {
    pub(crate) const ID: u16 = 1;
    pub(crate) const GROUP: u16 = 2;
    pub(crate) const GROUP_TYPE: u16 = 3;
    pub(crate) const OIF: u16 = 5;
    pub(crate) const GATEWAY: u16 = 6;
    pub(crate) const FDB: u16 = 11;
    pub(crate) const RES_GROUP: u16 = 12;
    /// Within `RES_GROUP`.
    pub(crate) const RES_BUCKETS: u16 = 1;
    /// Within `RES_GROUP`, in units of 10 ms.
    pub(crate) const RES_IDLE: u16 = 2;
    /// Within `RES_GROUP`: 0 never forces a busy bucket to move.
    pub(crate) const RES_UNBALANCED: u16 = 3;
    /// `GROUP_TYPE`: resilient.
    pub(crate) const TYPE_RESILIENT: u16 = 1;
}

/// What a nexthop's flags say: the gateway is on the link, whatever its address.
const ONLINK: u32 = 4;
const SCOPE_UNIVERSE: u8 = 0;
/// In a deletion: any scope.
const SCOPE_NOWHERE: u8 = 255;
const UNICAST: u8 = 1;

/// Appends the message of a write.
pub(crate) fn encode(op: &Op, protocol: u8, sequence: u32, to: &mut Writer) {
    match op {
        Op::Fdb { key, to: target } => fdb(*key, *target, sequence, to),
        Op::FdbSticky { key, sticky } => {
            to.begin(kind::NEWNEIGH, flag::REQUEST | flag::REPLACE, sequence);
            let sticky = if *sticky { ntf::STICKY } else { 0 };
            // A state that neither ages nor makes the entry the operator's: it stays marked.
            to.put(&neighbour_header(
                AF_BRIDGE,
                key.device.0,
                nud::REACHABLE,
                ntf::MASTER | sticky,
            ));
            to.attribute(nda::LLADDR, &key.mac.0);
        }
        Op::FdbDelete { key, halves } => {
            to.begin(kind::DELNEIGH, flag::REQUEST, sequence);
            let halves = match halves {
                Halves::Both => ntf::SELF | ntf::MASTER,
                Halves::Bridge => ntf::MASTER,
                Halves::Vxlan => ntf::SELF,
            };
            // Without a destination: with another than it has, the kernel reports success and
            // deletes nothing.
            to.put(&neighbour_header(AF_BRIDGE, key.device.0, 0, halves));
            to.attribute(nda::LLADDR, &key.mac.0);
        }
        Op::Flood(key) => flood(*key, kind::NEWNEIGH, sequence, to),
        Op::FloodDelete(key) => flood(*key, kind::DELNEIGH, sequence, to),
        Op::Neighbour { key, value } => neighbour(*key, *value, protocol, sequence, to),
        Op::NeighbourDelete(key) => {
            to.begin(kind::DELNEIGH, flag::REQUEST, sequence);
            to.put(&neighbour_header(family(key.address), key.device.0, 0, 0));
            address(to, nda::DST, key.address);
        }
        Op::Learn { device, address, mac } => {
            not_ours(nud::STALE, *device, *address, *mac, sequence, to);
        }
        Op::Probe { device, address, mac } => {
            not_ours(nud::PROBE, *device, *address, *mac, sequence, to);
        }
        Op::Route { route: key, nexthop, birth } => {
            to.begin(kind::NEWROUTE, flag::REQUEST | birth_flags(*birth), sequence);
            route(*key, protocol, SCOPE_UNIVERSE, to);
            to.attribute(rta::NH_ID, &nexthop.0.to_ne_bytes());
        }
        Op::RouteDelete(key) => {
            // The kernel compares the protocol: nobody else's route is deleted.
            to.begin(kind::DELROUTE, flag::REQUEST, sequence);
            route(*key, protocol, SCOPE_NOWHERE, to);
        }
        Op::Nexthop { id, spec, birth } => {
            to.begin(kind::NEWNEXTHOP, flag::REQUEST | birth_flags(*birth), sequence);
            nexthop(*id, spec, protocol, to);
        }
        Op::NexthopDelete(id) => {
            to.begin(kind::DELNEXTHOP, flag::REQUEST, sequence);
            to.put(&[0; 8]);
            to.attribute(nha::ID, &id.0.to_ne_bytes());
        }
    }
    to.end();
}

/// A neighbour of the kernel's own, without our mark.
fn not_ours(
    state: u16,
    device: IfIndex,
    asked: IpAddr,
    mac: MacAddr,
    sequence: u32,
    to: &mut Writer,
) {
    to.begin(kind::NEWNEIGH, flag::REQUEST | flag::CREATE | flag::REPLACE, sequence);
    to.put(&neighbour_header(family(asked), device.0, state, 0));
    address(to, nda::DST, asked);
    to.attribute(nda::LLADDR, &mac.0);
}

const fn birth_flags(birth: Birth) -> u16 {
    match birth {
        Birth::New => flag::CREATE | flag::EXCL,
        Birth::Replace => flag::REPLACE,
    }
}

pub(crate) const fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => AF_INET,
        IpAddr::V6(_) => AF_INET6,
    }
}

/// ```text
/// struct ndmsg  family:8 0:8 0:16  device:32  state:16 flags:8 type:8
/// ```
pub(crate) const fn neighbour_header(family: u8, device: u32, state: u16, flags: u8) -> [u8; 12] {
    let [d0, d1, d2, d3] = device.to_ne_bytes();
    let [s0, s1] = state.to_ne_bytes();
    [family, 0, 0, 0, d0, d1, d2, d3, s0, s1, flags, 0]
}

fn address(to: &mut Writer, kind: u16, address: IpAddr) {
    match address {
        IpAddr::V4(address) => to.attribute(kind, &address.octets()),
        IpAddr::V6(address) => to.attribute(kind, &address.octets()),
    }
}

fn fdb(key: FdbKey, target: FdbTarget, sequence: u32, to: &mut Writer) {
    to.begin(kind::NEWNEIGH, flag::REQUEST | flag::CREATE | flag::REPLACE, sequence);
    // Permanent: the VXLAN device's half would not outlive a short "down" otherwise.
    let state = nud::NOARP | nud::PERMANENT;
    let flags = ntf::SELF | ntf::MASTER | ntf::EXT_LEARNED;
    to.put(&neighbour_header(AF_BRIDGE, key.device.0, state, flags));
    to.attribute(nda::LLADDR, &key.mac.0);
    match target {
        FdbTarget::Vtep(vtep) => address(to, nda::DST, vtep),
        FdbTarget::Group(id) => to.attribute(nda::NH_ID, &id.0.to_ne_bytes()),
    }
}

fn flood(key: FloodKey, what: u16, sequence: u32, to: &mut Writer) {
    let flags = if what == kind::NEWNEIGH { flag::CREATE | flag::APPEND } else { 0 };
    to.begin(what, flag::REQUEST | flags, sequence);
    let state = nud::NOARP | nud::PERMANENT;
    to.put(&neighbour_header(AF_BRIDGE, key.device.0, state, ntf::SELF | ntf::EXT_LEARNED));
    to.attribute(nda::LLADDR, &MacAddr::ZERO.0);
    address(to, nda::DST, key.vtep);
}

fn neighbour(key: NeighbourKey, value: Neighbour, protocol: u8, sequence: u32, to: &mut Writer) {
    to.begin(kind::NEWNEIGH, flag::REQUEST | flag::CREATE | flag::REPLACE, sequence);
    let router = if value.router { ntf::ROUTER } else { 0 };
    let flags = ntf::EXT_LEARNED | router;
    to.put(&neighbour_header(family(key.address), key.device.0, nud::NOARP, flags));
    address(to, nda::DST, key.address);
    to.attribute(nda::LLADDR, &value.mac.0);
    to.attribute(nda::PROTOCOL, &[protocol]);
}

/// ```text
/// struct rtmsg  family:8 dst_len:8 src_len:8 tos:8  table:8 protocol:8 scope:8 type:8  flags:32
/// ```
fn route(route: KernelRoute, protocol: u8, scope: u8, to: &mut Writer) {
    let prefix = route.key.prefix;
    // Tables beyond 255 are in the attribute; it counts for the others too.
    to.put(&[family(prefix.addr()), prefix.prefix_len(), 0, 0, 0, protocol, scope, UNICAST]);
    to.put(&[0; 4]);
    address(to, rta::DST, prefix.network());
    to.attribute(rta::TABLE, &route.key.table.to_ne_bytes());
    to.attribute(rta::PRIORITY, &route.metric.to_ne_bytes());
}

/// ```text
/// struct nhmsg  family:8 scope:8 protocol:8 0:8  flags:32
/// ```
fn nexthop(id: NexthopId, spec: &NexthopSpec, protocol: u8, to: &mut Writer) {
    let (family, flags) = match spec {
        NexthopSpec::Routed(nexthop) => (family(nexthop.gateway), ONLINK),
        NexthopSpec::Fdb(vtep) => (family(*vtep), 0),
        NexthopSpec::Group(_) | NexthopSpec::FdbGroup(_) | NexthopSpec::Other => (0, 0),
    };
    to.put(&[family, SCOPE_UNIVERSE, protocol, 0]);
    to.put(&flags.to_ne_bytes());
    to.attribute(nha::ID, &id.0.to_ne_bytes());
    match spec {
        NexthopSpec::Routed(nexthop) => {
            to.attribute(nha::OIF, &nexthop.device.0.to_ne_bytes());
            address(to, nha::GATEWAY, nexthop.gateway);
        }
        NexthopSpec::Fdb(vtep) => {
            address(to, nha::GATEWAY, *vtep);
            to.attribute(nha::FDB, &[]);
        }
        NexthopSpec::Group(members) => group(members, to),
        NexthopSpec::FdbGroup(members) => {
            group(members, to);
            to.attribute(nha::FDB, &[]);
        }
        NexthopSpec::Other => {}
    }
}

/// ```text
/// struct nexthop_grp  id:32 weight-1:8 weight-1, high:8 0:16
/// ```
fn group(group: &NexthopGroup, to: &mut Writer) {
    let mut members = Vec::with_capacity(8 * group.members.len());
    for member in &group.members {
        let [low, high] = member.weight.saturating_sub(1).to_le_bytes();
        members.extend_from_slice(&member.nexthop.0.to_ne_bytes());
        members.extend_from_slice(&[low, high, 0, 0]);
    }
    to.attribute(nha::GROUP, &members);
    if let Some(resilience) = group.resilience {
        to.attribute(nha::GROUP_TYPE, &nha::TYPE_RESILIENT.to_ne_bytes());
        let idle = u32::try_from(resilience.idle.as_millis() / 10).unwrap_or(u32::MAX);
        let mut nested = Writer::default();
        nested.attribute(nha::RES_BUCKETS, &resilience.buckets.to_ne_bytes());
        nested.attribute(nha::RES_IDLE, &idle.to_ne_bytes());
        nested.attribute(nha::RES_UNBALANCED, &0u32.to_ne_bytes());
        to.attribute(nha::RES_GROUP | NESTED, &nested.buffer);
    }
}

/// Says that an attribute holds attributes.
const NESTED: u16 = 0x8000;
