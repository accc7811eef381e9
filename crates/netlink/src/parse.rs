//! From a message to what it says.
//!
//! **What is not understood is passed over, not guessed**: a message without what it needs makes no
//! observation.

use crate::encode::{AF_BRIDGE, AF_INET, AF_INET6, nda, nha, ntf, nud, rta};
use crate::parse_link;
use crate::wire::{Attributes, Message, kind, octets, u16_at, u32_at};
use evpn_dataplane::object::{
    FdbKey, FdbTarget, FloodKey, IfIndex, Member, NeighbourKey, Nexthop, NexthopGroup, NexthopId,
    Resilience, RouteKey,
};
use evpn_dataplane::observe::{
    BridgeMac, MacState, NexthopSpec, Observation, Resolution, SeenNeighbour, SeenRoute,
};
use evpn_proto::types::{MacAddr, VlanId};
use ipnet::IpNet;
use std::net::IpAddr;
use std::time::Duration;

const NEIGHBOUR_HEADER: usize = 12;
const ROUTE_HEADER: usize = 12;
const NEXTHOP_HEADER: usize = 8;
const PROTOCOL_KERNEL: u8 = 2;
const SCOPE_LINK: u8 = 253;
const UNICAST: u8 = 1;
/// A route of the cache, in an answer to a question that we do not ask.
const CLONED: u32 = 0x200;
/// Reachable, stale, delay, probe: bits of `ndm_state`.
const RESOLVED: u16 = 0x02 | 0x04 | 0x08 | 0x10;

/// What a message says, if it is about something that we look at.
pub(crate) fn parse(message: &Message<'_>) -> Option<Observation> {
    match message.kind {
        kind::NEWNEIGH | kind::DELNEIGH => {
            let gone = message.kind == kind::DELNEIGH;
            match *message.payload.first()? {
                AF_BRIDGE => bridge_neighbour(message.payload, gone),
                AF_INET | AF_INET6 => neighbour(message.payload, gone),
                _ => None,
            }
        }
        kind::NEWROUTE => route(message.payload).map(Observation::Route),
        kind::DELROUTE => route(message.payload).map(Observation::RouteGone),
        kind::NEWNEXTHOP => nexthop(message.payload),
        kind::DELNEXTHOP => {
            let attributes = message.payload.get(NEXTHOP_HEADER..)?;
            let (_, id) = Attributes(attributes).find(|(kind, _)| *kind == nha::ID)?;
            Some(Observation::NexthopGone(NexthopId(u32_at(id, 0)?)))
        }
        kind::NEWLINK => parse_link::link(message.payload),
        kind::DELLINK => parse_link::link_gone(message.payload),
        kind::NEWADDR | kind::DELADDR => {
            parse_link::address(message.payload, message.kind == kind::DELADDR)
        }
        _ => None,
    }
}

pub(crate) fn ip(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => Some(IpAddr::from(octets::<4>(value, 0)?)),
        16 => Some(IpAddr::from(octets::<16>(value, 0)?)),
        _ => None,
    }
}

pub(crate) fn mac(value: &[u8]) -> Option<MacAddr> {
    if value.len() == 6 { octets(value, 0).map(MacAddr) } else { None }
}

/// What a neighbour message has in its attributes.
#[derive(Default)]
struct Found {
    destination: Option<IpAddr>,
    mac: Option<MacAddr>,
    vlan: Option<VlanId>,
    master: Option<IfIndex>,
    nexthop: Option<NexthopId>,
    protocol: u8,
    other_vni: bool,
}

impl Found {
    fn read(payload: &[u8]) -> Option<Self> {
        let mut found = Self::default();
        for (kind, value) in Attributes(payload.get(NEIGHBOUR_HEADER..)?) {
            match kind {
                nda::DST => found.destination = ip(value),
                nda::LLADDR => found.mac = mac(value),
                nda::VLAN => found.vlan = u16_at(value, 0).and_then(VlanId::new),
                nda::MASTER => found.master = u32_at(value, 0).map(IfIndex),
                nda::NH_ID => found.nexthop = u32_at(value, 0).map(NexthopId),
                nda::PROTOCOL => found.protocol = value.first().copied().unwrap_or_default(),
                nda::SRC_VNI => found.other_vni = true,
                _ => {}
            }
        }
        Some(found)
    }
}

fn bridge_neighbour(payload: &[u8], gone: bool) -> Option<Observation> {
    let device = IfIndex(u32_at(payload, 4)?);
    let state = u16_at(payload, 8)?;
    let flags = *payload.get(10)?;
    let found = Found::read(payload)?;
    let address = found.mac?;
    let external = flags & ntf::EXT_LEARNED != 0;
    if flags & ntf::SELF != 0 {
        // One device for many VNIs is not ours to read or write.
        if found.other_vni {
            return None;
        }
        return vxlan_entry(device, address, &found, (state, external), gone);
    }
    let entry = BridgeMac {
        bridge: found.master?,
        port: device,
        mac: address,
        vlan: found.vlan,
        state: if external {
            MacState::External
        } else if state & nud::PERMANENT != 0 {
            MacState::Permanent
        } else if state & nud::NOARP != 0 {
            MacState::Static
        } else {
            MacState::Learned
        },
        sticky: flags & ntf::STICKY != 0,
    };
    Some(if gone { Observation::BridgeMacGone(entry) } else { Observation::BridgeMac(entry) })
}

fn vxlan_entry(
    device: IfIndex,
    address: MacAddr,
    found: &Found,
    (state, external): (u16, bool),
    gone: bool,
) -> Option<Observation> {
    if address == MacAddr::ZERO {
        let key = FloodKey { device, vtep: found.destination? };
        return Some(if gone {
            Observation::FloodGone(key)
        } else {
            Observation::Flood { key, external }
        });
    }
    let key = FdbKey { device, mac: address };
    let to = match (found.nexthop, found.destination) {
        (Some(id), _) => FdbTarget::Group(id),
        (None, Some(vtep)) => FdbTarget::Vtep(vtep),
        // A filter of a device that is no VXLAN.
        (None, None) => return None,
    };
    if gone {
        return Some(Observation::VxlanMacGone(key));
    }
    let state = if external {
        MacState::External
    } else if state & (nud::PERMANENT | nud::NOARP) != 0 {
        MacState::Static
    } else {
        MacState::Learned
    };
    Some(Observation::VxlanMac { key, to, state })
}

fn neighbour(payload: &[u8], gone: bool) -> Option<Observation> {
    let device = IfIndex(u32_at(payload, 4)?);
    let state = u16_at(payload, 8)?;
    let flags = *payload.get(10)?;
    if flags & ntf::PROXY != 0 {
        return None;
    }
    let found = Found::read(payload)?;
    let key = NeighbourKey { device, address: found.destination? };
    if gone {
        return Some(Observation::NeighbourGone(key));
    }
    let resolution = if state & nud::PERMANENT != 0 {
        Resolution::Permanent
    } else if state & nud::NOARP != 0 {
        Resolution::NoArp
    } else if state & RESOLVED != 0 {
        Resolution::Resolved
    } else {
        Resolution::Unresolved
    };
    Some(Observation::Neighbour(SeenNeighbour {
        key,
        mac: found.mac,
        resolution,
        external: flags & ntf::EXT_LEARNED != 0,
        router: flags & ntf::ROUTER != 0,
        protocol: found.protocol,
    }))
}

fn route(payload: &[u8]) -> Option<SeenRoute> {
    let &[family, length, source, tos, table, protocol, scope, what] =
        payload.first_chunk::<8>()?;
    let flags = u32_at(payload, 8)?;
    if what != UNICAST || source != 0 || tos != 0 || flags & CLONED != 0 {
        return None;
    }
    let unspecified = match family {
        AF_INET => IpAddr::from([0; 4]),
        AF_INET6 => IpAddr::from([0; 16]),
        _ => return None,
    };
    let (mut destination, mut metric, mut table) = (unspecified, 0, u32::from(table));
    let (mut nexthop, mut device, mut gateway) = (None, None, false);
    for (kind, value) in Attributes(payload.get(ROUTE_HEADER..)?) {
        match kind {
            rta::DST => destination = ip(value)?,
            rta::PRIORITY => metric = u32_at(value, 0)?,
            rta::TABLE => table = u32_at(value, 0)?,
            rta::NH_ID => nexthop = u32_at(value, 0).map(NexthopId),
            rta::OIF => device = u32_at(value, 0).map(IfIndex),
            rta::GATEWAY | rta::VIA => gateway = true,
            _ => {}
        }
    }
    let on_link = family == AF_INET6 || scope == SCOPE_LINK;
    let connected = device.filter(|_| protocol == PROTOCOL_KERNEL && on_link && !gateway);
    let prefix = IpNet::new(destination, length).ok()?.trunc();
    Some(SeenRoute { key: RouteKey { table, prefix }, metric, protocol, nexthop, connected })
}

fn nexthop(payload: &[u8]) -> Option<Observation> {
    let protocol = *payload.get(2)?;
    let (mut id, mut device, mut gateway) = (None, None, None);
    let (mut members, mut resilience, mut fdb) = (None, None, false);
    for (kind, value) in Attributes(payload.get(NEXTHOP_HEADER..)?) {
        match kind {
            nha::ID => id = u32_at(value, 0).map(NexthopId),
            nha::OIF => device = u32_at(value, 0).map(IfIndex),
            nha::GATEWAY => gateway = ip(value),
            nha::GROUP => members = Some(group_members(value)),
            nha::RES_GROUP => resilience = resilient(value),
            nha::FDB => fdb = true,
            _ => {}
        }
    }
    let spec = match (members, device, gateway) {
        (Some(members), ..) => {
            let group = NexthopGroup { members, resilience };
            if fdb { NexthopSpec::FdbGroup(group) } else { NexthopSpec::Group(group) }
        }
        (None, _, Some(vtep)) if fdb => NexthopSpec::Fdb(vtep),
        (None, Some(device), Some(gateway)) => NexthopSpec::Routed(Nexthop { gateway, device }),
        _ => NexthopSpec::Other,
    };
    Some(Observation::Nexthop { id: id?, spec, protocol })
}

fn group_members(value: &[u8]) -> Vec<Member> {
    let mut members: Vec<Member> = value
        .chunks_exact(8)
        .filter_map(|entry| {
            let weight = u16::from_le_bytes(octets(entry, 4)?).saturating_add(1);
            Some(Member { nexthop: NexthopId(u32_at(entry, 0)?), weight })
        })
        .collect();
    members.sort_unstable_by_key(|member| member.nexthop);
    members
}

fn resilient(value: &[u8]) -> Option<Resilience> {
    let find = |wanted: u16| Attributes(value).find(|(kind, _)| *kind == wanted).map(|(_, v)| v);
    let buckets = u16_at(find(nha::RES_BUCKETS)?, 0)?;
    let idle = u32_at(find(nha::RES_IDLE)?, 0)?;
    Some(Resilience { buckets, idle: Duration::from_millis(u64::from(idle) * 10) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::encode;
    use crate::wire::{Messages, Writer, flag};
    use evpn_dataplane::object::Neighbour;
    use evpn_dataplane::observe::PROTOCOL;
    use evpn_dataplane::op::{Birth, KernelRoute, Op};

    fn round_trip(op: &Op) -> Option<Observation> {
        let mut writer = Writer::default();
        encode(op, PROTOCOL, 1, &mut writer);
        let mut messages = Messages(&writer.buffer);
        let message = messages.next().unwrap();
        assert!(messages.next().is_none());
        parse(&message)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let device = IfIndex(7);
        let id = NexthopId(NexthopId::OURS_FIRST);
        for vtep in [address("10.0.0.1"), address("2001:db8::1")] {
            let key = FdbKey { device, mac: MacAddr([2, 0, 0, 0, 0, 1]) };
            let to = FdbTarget::Vtep(vtep);
            let seen = Observation::VxlanMac { key, to, state: MacState::External };
            assert_eq!(round_trip(&Op::Fdb { key, to }), Some(seen));
            let key = FloodKey { device, vtep };
            let seen = Observation::Flood { key, external: true };
            assert_eq!(round_trip(&Op::Flood(key)), Some(seen));
            assert_eq!(round_trip(&Op::FloodDelete(key)), Some(Observation::FloodGone(key)));
            let key = NeighbourKey { device, address: vtep };
            let value = Neighbour { mac: MacAddr([2, 0, 0, 0, 0, 1]), router: true };
            let seen = SeenNeighbour {
                key,
                mac: Some(value.mac),
                resolution: Resolution::NoArp,
                external: true,
                router: true,
                protocol: PROTOCOL,
            };
            let seen = Some(Observation::Neighbour(seen));
            assert_eq!(round_trip(&Op::Neighbour { key, value }), seen);
            let spec = NexthopSpec::Routed(Nexthop { gateway: vtep, device });
            let seen = Observation::Nexthop { id, spec: spec.clone(), protocol: PROTOCOL };
            let op = Op::Nexthop { id, spec, birth: Birth::New };
            assert_eq!(round_trip(&op), Some(seen));
        }
    }

    #[test]
    fn groups_keep_weights_buckets_and_idle_time() {
        let id = NexthopId(NexthopId::OURS_FIRST);
        let member = |n, weight| Member { nexthop: NexthopId(n), weight };
        let idle = Duration::from_millis(7510);
        for resilience in [None, Some(Resilience { buckets: 65535, idle })] {
            let members = vec![member(1, 1), member(2, 256), member(3, 65535)];
            let spec = NexthopSpec::Group(NexthopGroup { members, resilience });
            let op = Op::Nexthop { id, spec: spec.clone(), birth: Birth::Replace };
            let seen = Observation::Nexthop { id, spec, protocol: PROTOCOL };
            assert_eq!(round_trip(&op), Some(seen));
        }
    }

    #[test]
    fn routes_keep_table_prefix_and_metric() {
        for prefix in ["198.51.100.0/24", "2001:db8::/32", "0.0.0.0/0"] {
            let key = RouteKey { table: 1000, prefix: prefix.parse().unwrap() };
            let route = KernelRoute { key, metric: 20 };
            let nexthop = NexthopId(NexthopId::OURS_FIRST);
            let mut seen = SeenRoute {
                key,
                metric: 20,
                protocol: PROTOCOL,
                nexthop: Some(nexthop),
                connected: None,
            };
            let op = Op::Route { route, nexthop, birth: Birth::New };
            assert_eq!(round_trip(&op), Some(Observation::Route(seen)));
            seen.nexthop = None;
            let gone = Some(Observation::RouteGone(seen));
            assert_eq!(round_trip(&Op::RouteDelete(route)), gone);
        }
    }

    #[test]
    fn a_truncated_message_makes_no_observation_and_no_panic() {
        let key = FdbKey { device: IfIndex(7), mac: MacAddr([2, 0, 0, 0, 0, 1]) };
        let op = Op::Fdb { key, to: FdbTarget::Vtep(address("10.0.0.1")) };
        let mut writer = Writer::default();
        encode(&op, PROTOCOL, 1, &mut writer);
        let payload = &writer.buffer[16..];
        for kind in 0..128 {
            for length in 0..payload.len() {
                let payload = &payload[..length];
                let message = Message { kind, flags: flag::REQUEST, sequence: 1, payload };
                let seen = parse(&message);
                assert!(!matches!(seen, Some(Observation::VxlanMac { .. })));
            }
        }
    }
}
