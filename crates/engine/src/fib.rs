//! From ways to a prefix to the kernel's objects: neighbours, FDB entries, nexthops, groups, routes.
//!
//! A prefix that never had two ways points at a plain nexthop. One that has, or had, points at a
//! resilient group of its own, in which **a way is always [`COPIES`] nexthops with the same gateway,
//! whatever its weight**: the kernel moves the buckets of a member that leaves a group at once, busy
//! or not, so members come and go only with their VTEP; and a group never has a single member, or
//! the kernel would not notice which of its buckets are busy.
//!
//! A group is born with the one way that the prefix had, and takes in the others one idle time
//! later, when the kernel knows which buckets are busy: so even the first change breaks no flow.

use crate::settings::{GroupWeights, Multipath, VrfSettings};
use evpn_dataplane::object::{
    Change, FdbEntry, FdbKey, FdbTarget, IfIndex, Member, Neighbour, NeighbourKey, Nexthop,
    NexthopGroup, NexthopId, Resilience, Route, RouteKey,
};
use evpn_proto::types::{MacAddr, Time};
use evpn_rib::Map;
use evpn_rib::ip_vrf::{Hop, Hops};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// Nexthops of one way in a group.
const COPIES: u8 = 2;
/// Weight of the heaviest way, over its copies: each at most 256, which every kernel takes.
const WEIGHT_MAX: u16 = 512;
/// The part of the heaviest way's share at which a way is drained: a thousandth is the smallest that is
/// ever announced. It is met by rounding, hence a little more.
const DRAINED: f32 = 0.0011;
/// Priority of our IPv4 routes, as FRR's: a route of the operator's (0) or of the kernel comes first.
const METRIC_IPV4: u32 = 20;
/// The same for IPv6, where the kernel gives its own routes 256 and the operator's 1024: with less, two
/// sites that offer a prefix would send it to each other.
const METRIC_IPV6: u32 = 1024 + METRIC_IPV4;
/// A flow that is quiet for longer than this part of `drain-time` may move.
const IDLE_DIVISOR: u32 = 4;

/// Ids for nexthops and groups, the same after a restart for the same things, so that what the
/// kernel holds is adopted rather than replaced.
#[derive(Debug, Default)]
pub(crate) struct Ids(Map<u32, ()>);

impl Ids {
    pub(crate) fn take(&mut self, name: &[&[u8]]) -> NexthopId {
        let span = NexthopId::OURS_LAST - NexthopId::OURS_FIRST + 1;
        let mut offset = fnv1a(name) % span;
        while self.0.insert(offset, ()).is_some() && self.0.len() < span as usize {
            offset = (offset + 1) % span;
        }
        NexthopId(NexthopId::OURS_FIRST + offset)
    }

    pub(crate) fn give_back(&mut self, id: NexthopId) {
        self.0.remove(&(id.0.wrapping_sub(NexthopId::OURS_FIRST)));
    }
}

/// FNV-1a, spelled out because ids must not change with the version of a library.
fn fnv1a(parts: &[&[u8]]) -> u32 {
    let octets = parts.iter().flat_map(|part| part.iter());
    octets.fold(0x811c_9dc5, |hash, octet| (hash ^ u32::from(*octet)).wrapping_mul(0x0100_0193))
}

#[derive(Debug)]
struct Gateway {
    router_mac: MacAddr,
    nexthops: [NexthopId; COPIES as usize],
    users: u32,
}

#[derive(Debug)]
struct Way {
    hops: Hops,
    group: Option<Group>,
}

#[derive(Debug)]
struct Group {
    id: NexthopId,
    /// Until then only these ways are in it: those that the prefix had before it became a group.
    settling: Option<(Time, Hops)>,
}

/// What is programmed for one VRF.
#[derive(Debug)]
pub(crate) struct Fib {
    table: u32,
    vxlan: IfIndex,
    bridge: IfIndex,
    multipath: Multipath,
    idle: Duration,
    gateways: BTreeMap<IpAddr, Gateway>,
    ways: BTreeMap<IpNet, Way>,
}

/// The idle time that belongs to a `drain-time`.
pub(crate) fn idle_time(drain_time: Duration) -> Duration {
    drain_time / IDLE_DIVISOR
}

impl Fib {
    pub(crate) fn new(
        vrf: &VrfSettings,
        multipath: Multipath,
        vxlan: IfIndex,
        bridge: IfIndex,
    ) -> Self {
        let idle = idle_time(vrf.drain_time);
        let (gateways, ways) = (BTreeMap::new(), BTreeMap::new());
        Self { table: vrf.table, vxlan, bridge, multipath, idle, gateways, ways }
    }

    /// Most ways of a prefix at once.
    pub(crate) const fn max_paths(&self) -> usize {
        self.multipath.max_paths
    }

    /// The weights of the copies of each of these ways.
    pub(crate) fn weights(&self, hops: &[Hop]) -> Vec<[u16; COPIES as usize]> {
        weights(hops, self.multipath.weights)
    }

    /// The ways of a prefix as programmed.
    pub(crate) fn hops(&self, prefix: &IpNet) -> &[Hop] {
        self.ways.get(prefix).map_or(&[], |way| way.hops.as_slice())
    }

    /// What the kernel is to hold for a prefix: its group, where it has one, and its route.
    pub(crate) fn objects(&self, prefix: &IpNet) -> Vec<Change> {
        let mut objects = Vec::new();
        if let Some(way) = self.ways.get(prefix) {
            self.write(prefix, way, &mut objects);
        }
        objects
    }

    /// Every prefix that is programmed.
    pub(crate) fn prefixes(&self) -> impl Iterator<Item = &IpNet> {
        self.ways.keys()
    }

    /// The ways of a prefix are these from now on; none removes it.
    pub(crate) fn set(
        &mut self,
        ids: &mut Ids,
        now: Time,
        prefix: IpNet,
        hops: Hops,
        changes: &mut Vec<Change>,
    ) {
        let former = self.ways.remove(&prefix);
        if hops.is_empty() {
            self.remove(ids, prefix, former, changes);
            return;
        }
        for hop in &hops {
            self.use_gateway(ids, gateway(&prefix, hop.vtep), hop, changes);
        }
        let group = match &former {
            Some(Way { group: Some(group), .. }) => {
                let settling = group.settling.clone();
                Some(Group { id: group.id, settling })
            }
            _ if hops.len() < 2 => None,
            former => Some(self.new_group(ids, now, &prefix, former.as_ref())),
        };
        let way = Way { hops, group };
        self.write(&prefix, &way, changes);
        // What the former ways needed goes last: make before break.
        for hop in former.iter().flat_map(|f| f.hops.iter()) {
            self.release_gateway(ids, gateway(&prefix, hop.vtep), changes);
        }
        self.ways.insert(prefix, way);
    }

    fn new_group(&self, ids: &mut Ids, now: Time, prefix: &IpNet, former: Option<&Way>) -> Group {
        let id = ids.take(&[b"group", &self.table.to_be_bytes(), prefix.to_string().as_bytes()]);
        let settling = former.map(|way| (now + self.idle, way.hops.clone()));
        Group { id, settling }
    }

    fn remove(
        &mut self,
        ids: &mut Ids,
        prefix: IpNet,
        former: Option<Way>,
        changes: &mut Vec<Change>,
    ) {
        let Some(way) = former else { return };
        changes.push(Change::Route(RouteKey { table: self.table, prefix }, None));
        if let Some(group) = way.group {
            changes.push(Change::Group(group.id, None));
            ids.give_back(group.id);
        }
        for hop in &way.hops {
            self.release_gateway(ids, gateway(&prefix, hop.vtep), changes);
        }
    }

    fn write(&self, prefix: &IpNet, way: &Way, changes: &mut Vec<Change>) {
        let nexthop = match &way.group {
            Some(group) => {
                changes.push(Change::Group(group.id, Some(self.group(prefix, way, group))));
                Some(group.id)
            }
            None => way.hops.first().and_then(|hop| {
                let gateway = self.gateways.get(&gateway(prefix, hop.vtep))?;
                gateway.nexthops.first().copied()
            }),
        };
        let Some(nexthop) = nexthop else { return };
        let key = RouteKey { table: self.table, prefix: *prefix };
        changes.push(Change::Route(key, Some(Route { nexthop, metric: metric(prefix) })));
    }

    fn group(&self, prefix: &IpNet, way: &Way, group: &Group) -> NexthopGroup {
        // While settling only the ways from before; if none of them is left there is nothing to
        // protect.
        let settling = group.settling.as_ref().map(|(_, before)| before);
        let kept: Hops = way
            .hops
            .iter()
            .filter(|h| settling.is_some_and(|before| before.iter().any(|b| b.vtep == h.vtep)))
            .copied()
            .collect();
        let hops = if kept.is_empty() { &way.hops } else { &kept };
        let mut members: Vec<Member> = self
            .weights(hops)
            .into_iter()
            .zip(hops)
            .filter_map(|(weights, hop)| {
                let gateway = self.gateways.get(&gateway(prefix, hop.vtep))?;
                Some(gateway.nexthops.into_iter().zip(weights))
            })
            .flatten()
            .map(|(nexthop, weight)| Member { nexthop, weight })
            .collect();
        members.sort_by_key(|m| m.nexthop);
        let resilience = Resilience { buckets: self.multipath.buckets, idle: self.idle };
        NexthopGroup { members, resilience: Some(resilience) }
    }

    /// When a group that settles is to take in its other ways.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        let until = |way: &Way| Some(way.group.as_ref()?.settling.as_ref()?.0);
        self.ways.values().filter_map(until).min()
    }

    /// Lets groups that have settled take in their other ways.
    pub(crate) fn settle(&mut self, now: Time, changes: &mut Vec<Change>) {
        let due = |way: &Way| {
            let settling = way.group.as_ref().and_then(|g| g.settling.as_ref());
            settling.is_some_and(|(until, _)| *until <= now)
        };
        let settled: Vec<IpNet> =
            self.ways.iter().filter(|(_, way)| due(way)).map(|(prefix, _)| *prefix).collect();
        for prefix in settled {
            if let Some(group) = self.ways.get_mut(&prefix).and_then(|way| way.group.as_mut()) {
                group.settling = None;
            }
            if let Some(way) = self.ways.get(&prefix) {
                self.write(&prefix, way, changes);
            }
        }
    }

    fn use_gateway(
        &mut self,
        ids: &mut Ids,
        address: IpAddr,
        hop: &Hop,
        changes: &mut Vec<Change>,
    ) {
        let (bridge, vxlan, table) = (self.bridge, self.vxlan, self.table);
        let fresh = !self.gateways.contains_key(&address);
        let entry = self.gateways.entry(address).or_insert_with(|| {
            let text = address.to_string();
            let id = |ids: &mut Ids, copy: u8| {
                ids.take(&[b"nexthop", &table.to_be_bytes(), text.as_bytes(), &[copy]])
            };
            let nexthops = [id(ids, 0), id(ids, 1)];
            Gateway { router_mac: hop.router_mac, nexthops, users: 0 }
        });
        entry.users += 1;
        let moved = entry.router_mac != hop.router_mac;
        let former = std::mem::replace(&mut entry.router_mac, hop.router_mac);
        let nexthops = entry.nexthops;
        if fresh || moved {
            let mac = hop.router_mac;
            let to = FdbEntry { to: FdbTarget::Vtep(hop.vtep), sticky: false };
            changes.push(Change::Fdb(FdbKey { device: vxlan, mac }, Some(to)));
            let key = NeighbourKey { device: bridge, address };
            changes.push(Change::Neighbour(key, Some(Neighbour { mac, router: true })));
        }
        if fresh {
            for id in nexthops {
                let nexthop = Nexthop { gateway: address, device: bridge };
                changes.push(Change::Nexthop(id, Some(nexthop)));
            }
        }
        if moved {
            self.drop_router_mac(former, changes);
        }
    }

    fn release_gateway(&mut self, ids: &mut Ids, address: IpAddr, changes: &mut Vec<Change>) {
        let Some(entry) = self.gateways.get_mut(&address) else { return };
        entry.users = entry.users.saturating_sub(1);
        if entry.users > 0 {
            return;
        }
        let Some(entry) = self.gateways.remove(&address) else { return };
        for id in entry.nexthops {
            changes.push(Change::Nexthop(id, None));
            ids.give_back(id);
        }
        let key = NeighbourKey { device: self.bridge, address };
        changes.push(Change::Neighbour(key, None));
        self.drop_router_mac(entry.router_mac, changes);
    }

    /// The FDB entry of a router goes with the last gateway that leads to it.
    fn drop_router_mac(&self, mac: MacAddr, changes: &mut Vec<Change>) {
        if !self.gateways.values().any(|g| g.router_mac == mac) {
            changes.push(Change::Fdb(FdbKey { device: self.vxlan, mac }, None));
        }
    }

    /// Takes everything back.
    pub(crate) fn tear_down(&mut self, ids: &mut Ids, changes: &mut Vec<Change>) {
        for (prefix, way) in std::mem::take(&mut self.ways) {
            self.remove(ids, prefix, Some(way), changes);
        }
    }
}

/// The priority of our routes.
pub(crate) const fn metric(prefix: &IpNet) -> u32 {
    match prefix {
        IpNet::V4(_) => METRIC_IPV4,
        IpNet::V6(_) => METRIC_IPV6,
    }
}

/// The gateway of a prefix behind a VTEP: for IPv6 over an IPv4 VTEP its mapped form, since the
/// kernel refuses IPv4 nexthops for IPv6 routes.
fn gateway(prefix: &IpNet, vtep: IpAddr) -> IpAddr {
    match (prefix, vtep) {
        (IpNet::V6(_), IpAddr::V4(v4)) => IpAddr::V6(v4.to_ipv6_mapped()),
        _ => vtep,
    }
}

/// The weights of each way's copies, in the order of the ways. None is below 1.
///
/// Two copies of weight 1 beside two of 256 still get 0.4 % of new flows, to the end of a drain, and
/// those break when the way goes. So where the kernel takes more and a way is drained, the others
/// grow, and it gets next to nothing.
fn weights(hops: &[Hop], range: GroupWeights) -> Vec<[u16; COPIES as usize]> {
    let heaviest = hops.iter().map(|h| h.share).fold(0.0_f32, f32::max);
    let part = |hop: &Hop| if heaviest > 0.0 { hop.share / heaviest } else { 1.0 };
    let grow = range == GroupWeights::TwoOctets && hops.iter().any(|h| part(h) <= DRAINED);
    let split = |hop: &Hop| {
        // `part` is 0 to 1, so the product is 0 to WEIGHT_MAX and the cast is exact.
        let total = (part(hop) * f32::from(WEIGHT_MAX) + 0.5) as u16;
        let total = total.clamp(COPIES.into(), WEIGHT_MAX);
        let copies = [total.div_ceil(2), total / 2];
        if grow && part(hop) > DRAINED { copies.map(grown) } else { copies }
    };
    hops.iter().map(split).collect()
}

/// About 255 times the weight, of 1 to 256. Its lower octet stays: it is all that an `ip` older than
/// the kernel's wide weights shows, and so that shows the weight as it was.
fn grown(weight: u16) -> u16 {
    // At most 254, for a weight of 256.
    let upper = (254 * u32::from(weight) + 128) / 256;
    u16::try_from(upper).map_or(weight, |upper| 256 * upper + weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use evpn_proto::types::Vni;

    fn hop(n: u8, share: f32) -> Hop {
        let router_mac = MacAddr([2, 0, 0, 0, 0x50, n]);
        Hop { vtep: IpAddr::from([10, 0, 0, n]), router_mac, share }
    }

    fn fib() -> Fib {
        let vrf = VrfSettings {
            name: "default".into(),
            l3vni: Vni::new(5000).unwrap(),
            table: 254,
            prefixes: Vec::new(),
            redistribute_connected: false,
            advertise_own_address: false,
            drain_time: Duration::from_secs(8),
            rd: None,
            import: Default::default(),
            export: Default::default(),
        };
        let multipath = Multipath { max_paths: 8, buckets: 1024, weights: GroupWeights::Octet };
        Fib::new(&vrf, multipath, IfIndex(3), IfIndex(4))
    }

    fn prefix() -> IpNet {
        "198.51.100.10/32".parse().unwrap()
    }

    fn group(changes: &[Change]) -> Option<NexthopGroup> {
        changes.iter().rev().find_map(|c| match c {
            Change::Group(_, Some(group)) => Some(group.clone()),
            _ => None,
        })
    }

    #[test]
    fn the_weights_keep_the_ratio_and_none_is_zero() {
        for range in [GroupWeights::Octet, GroupWeights::TwoOctets] {
            let weights = |hops: &[Hop]| weights(hops, range);
            assert_eq!(weights(&[hop(1, 10.0), hop(2, 10.0)]), [[256, 256], [256, 256]]);
            assert_eq!(weights(&[hop(1, 5.0), hop(2, 10.0)]), [[128, 128], [256, 256]]);
            assert_eq!(weights(&[hop(1, 1.0), hop(2, 10.0)]), [[26, 25], [256, 256]]);
            assert_eq!(weights(&[hop(1, 0.0)]), [[256, 256]]);
        }
        let drained = [hop(1, 0.01), hop(2, 10.0)];
        assert_eq!(weights(&drained, GroupWeights::Octet), [[1, 1], [256, 256]]);
    }

    #[test]
    fn a_drained_way_gets_next_to_nothing_where_the_kernel_takes_wide_weights() {
        let ways = [hop(1, 1.25e6), hop(2, 1.25e9), hop(3, 6.25e8)];
        let [drained, full, half] = weights(&ways, GroupWeights::TwoOctets)[..] else { panic!() };
        assert_eq!((drained, full), ([1, 1], [65_280, 65_280]));
        let ratio = f64::from(half[0]) / f64::from(full[0]);
        assert!((ratio - 0.5).abs() < 0.01, "{ratio}");
        // The kernel shows the weight less one; so its lower octet is the same.
        for weight in 1..=256 {
            assert_eq!((grown(weight) - 1) & 0xff, weight - 1);
            let times = f64::from(grown(weight)) / f64::from(weight);
            assert!((200.0..=260.0).contains(&times), "{weight}: {times}");
        }
    }

    #[test]
    fn a_prefix_with_one_way_needs_no_group() {
        let (mut fib, mut ids, mut changes) = (fib(), Ids::default(), Vec::new());
        fib.set(&mut ids, Time::ZERO, prefix(), [hop(1, 1.0)].into_iter().collect(), &mut changes);
        assert_eq!(group(&changes), None);
        assert!(matches!(changes.last(), Some(Change::Route(_, Some(_)))));
    }

    #[test]
    fn a_route_of_the_operators_comes_before_ours_in_both_families() {
        let (mut fib, mut ids, mut changes) = (fib(), Ids::default(), Vec::new());
        let v6 = "2001:db8:a::10/128".parse().unwrap();
        // What `ip route add` and the kernel itself use.
        for (prefix, theirs) in [(prefix(), 0), (v6, 1024)] {
            let one: Hops = [hop(1, 1.0)].into_iter().collect();
            fib.set(&mut ids, Time::ZERO, prefix, one, &mut changes);
            let ours = changes.iter().find_map(|c| match c {
                Change::Route(key, Some(route)) if key.prefix == prefix => Some(route.metric),
                _ => None,
            });
            assert!(ours.unwrap() > theirs);
        }
    }

    #[test]
    fn a_second_way_enters_one_idle_time_after_the_group_was_born() {
        let (mut fib, mut ids, mut changes) = (fib(), Ids::default(), Vec::new());
        let one: Hops = [hop(1, 1.0)].into_iter().collect();
        let two: Hops = [hop(1, 1.0), hop(2, 1.0)].into_iter().collect();
        fib.set(&mut ids, Time::ZERO, prefix(), one, &mut changes);
        changes.clear();
        fib.set(&mut ids, Time::ZERO, prefix(), two, &mut changes);
        assert_eq!(group(&changes).unwrap().members.len(), 2);
        let due = fib.next_deadline().unwrap();
        assert_eq!(due, Time::ZERO + Duration::from_secs(2));
        changes.clear();
        fib.settle(due, &mut changes);
        assert_eq!(group(&changes).unwrap().members.len(), 4);
        assert_eq!(fib.next_deadline(), None);
    }

    #[test]
    fn a_change_of_weight_changes_no_members() {
        let (mut fib, mut ids, mut changes) = (fib(), Ids::default(), Vec::new());
        let ids_of = |g: NexthopGroup| g.members.into_iter().map(|m| m.nexthop).collect::<Vec<_>>();
        let mut seen = Vec::new();
        for share in [1.0, 0.5, 0.001, 1.0] {
            changes.clear();
            let hops: Hops = [hop(1, share), hop(2, 1.0)].into_iter().collect();
            fib.set(&mut ids, Time::ZERO, prefix(), hops, &mut changes);
            seen.push(ids_of(group(&changes).unwrap()));
            assert!(!changes.iter().any(|c| matches!(c, Change::Nexthop(_, None))));
        }
        seen.dedup();
        assert_eq!(seen.len(), 1);
    }

    #[test]
    fn a_group_outlives_the_loss_of_a_way_with_two_members_left() {
        let (mut fib, mut ids, mut changes) = (fib(), Ids::default(), Vec::new());
        let two: Hops = [hop(1, 1.0), hop(2, 1.0)].into_iter().collect();
        fib.set(&mut ids, Time::ZERO, prefix(), two, &mut changes);
        changes.clear();
        fib.set(&mut ids, Time::ZERO, prefix(), [hop(2, 1.0)].into_iter().collect(), &mut changes);
        assert_eq!(group(&changes).unwrap().members.len(), 2);
    }

    #[test]
    fn everything_goes_with_the_last_way_and_ids_repeat() {
        let (mut fib, mut ids, mut changes) = (fib(), Ids::default(), Vec::new());
        let two: Hops = [hop(1, 1.0), hop(2, 1.0)].into_iter().collect();
        fib.set(&mut ids, Time::ZERO, prefix(), two.clone(), &mut changes);
        let first = std::mem::take(&mut changes);
        fib.set(&mut ids, Time::ZERO, prefix(), Hops::new(), &mut changes);
        assert!(fib.gateways.is_empty() && ids.0.is_empty());
        changes.clear();
        fib.set(&mut ids, Time::ZERO, prefix(), two, &mut changes);
        assert_eq!(changes, first);
    }
}
