//! What each kernel must hold when everything is at rest, computed naively from the ground truth.
//!
//! **It knows no sessions, sequences, update groups or modes**: only where the hosts are, who
//! reaches whom, and what the batteries hold.

use crate::scenario::Kind;
use crate::site::{self, DOMAINS, Domain, L3, NodeId};
use crate::tables::{BridgeEntry, Tables};
use crate::world::{Host, World};
use evpn_dataplane::object::{FdbKey, FdbTarget, FloodKey, IfIndex, NeighbourKey};
use evpn_dataplane::observe::{MacState, NexthopSpec, Resolution};
use evpn_energy::{Level, Levers, Thresholds};
use evpn_proto::types::MacAddr;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// How far a weight may be from the share of bandwidth that it stands for: 512 steps, halves up.
const WEIGHT_TOLERANCE: f64 = 0.004;

/// What is there when everything is at rest.
pub(crate) struct Truth<'a> {
    pub(crate) world: &'a World,
    /// The leaves with an evpnd that runs.
    pub(crate) leaves: Vec<NodeId>,
    pub(crate) announcers: &'a [NodeId],
    /// Whether two nodes reach each other directly.
    pub(crate) passes: &'a dyn Fn(NodeId, NodeId) -> bool,
}

impl Truth<'_> {
    fn reaches(&self, from: NodeId, to: NodeId) -> bool {
        self.world.way(from, to).windows(2).all(|pair| match pair {
            [a, b] => (self.passes)(*a, *b),
            _ => true,
        })
    }

    fn remotes(&self, leaf: NodeId) -> impl Iterator<Item = NodeId> {
        self.leaves
            .iter()
            .copied()
            .filter(move |other| *other != leaf && self.reaches(leaf, *other))
    }

    /// Everything that a leaf's kernel has otherwise than it should.
    pub(crate) fn differences(&self, leaf: NodeId, tables: &Tables) -> Vec<String> {
        let mut expected = Expected::default();
        for host in &self.world.hosts {
            match host.speaks_at() {
                Some(place) if place == leaf => expected.local(host),
                Some(place) if self.reaches(leaf, place) => expected.remote(host, place),
                _ => {}
            }
        }
        for other in self.remotes(leaf) {
            for domain in DOMAINS {
                expected.flood.insert(FloodKey { device: domain.vxlan, vtep: site::vtep(other) });
            }
        }
        let ways = self.ways(leaf);
        let every = self.every_way(leaf);
        for other in every.keys() {
            expected.router(*other);
        }
        let mut found = expected.compare(tables);
        for prefix in site::anycast() {
            found.extend(compare_route(tables, &prefix, &ways));
        }
        for address in site::own_addresses() {
            found.extend(compare_route(tables, &address, &every));
        }
        found.extend(leftovers(tables, &every));
        found
    }

    /// The leaves that a leaf sends the prefix's traffic to, each with its share of bandwidth. One
    /// that has been drained for long is used only where there is no other.
    fn ways(&self, leaf: NodeId) -> BTreeMap<NodeId, f64> {
        let announcers = self.remotes(leaf).filter(|other| self.announcers.contains(other));
        let levels: Vec<_> = announcers.map(|other| (other, self.level(other))).collect();
        let any_better = levels.iter().any(|(_, level)| *level != Level::Drained);
        let used = levels.into_iter().filter(|(_, l)| !any_better || *l != Level::Drained);
        used.map(|(other, level)| (other, bandwidth(other, level))).collect()
    }

    /// All leaves that announce something: no level touches the addresses that they have themselves.
    fn every_way(&self, leaf: NodeId) -> BTreeMap<NodeId, f64> {
        let announcers = self.remotes(leaf).filter(|other| self.announcers.contains(other));
        announcers.map(|other| (other, 1.0)).collect()
    }

    /// The level that a charge calls for, far from every threshold and after all dwells.
    fn level(&self, leaf: NodeId) -> Level {
        let charge = self.world.batteries.get(&leaf).copied().unwrap_or(100);
        let below = |level: &Level| {
            let threshold = Thresholds::default().of(*level);
            threshold.is_some_and(|t| u16::from(charge) * 10 < t.get())
        };
        Level::ALL.into_iter().rev().find(below).unwrap_or(Level::Normal)
    }
}

fn bandwidth(leaf: NodeId, level: Level) -> f64 {
    let levers: Levers = site::levers();
    let permille = match level {
        Level::Normal => 1000,
        Level::PreferLess => levers.prefer_less.permille(),
        Level::Avoid => levers.avoid.permille(),
        Level::Drained => levers.drained.permille(),
    };
    // Far below 2^52: exact.
    site::capacity_bits(leaf) as f64 * f64::from(permille)
}

/// Whose neighbour entry it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Owner {
    Kernel,
    Ours { router: bool },
}

#[derive(Debug, Default)]
struct Expected {
    bridge: BTreeMap<(IfIndex, MacAddr), BridgeEntry>,
    vxlan: BTreeMap<FdbKey, FdbTarget>,
    flood: BTreeSet<FloodKey>,
    neighbours: BTreeMap<NeighbourKey, (MacAddr, Owner)>,
}

impl Expected {
    fn local(&mut self, host: &Host) {
        let Domain { bridge, port, .. } = host.domain;
        let state = match host.kind {
            Kind::Speaking => MacState::Learned,
            Kind::Written => MacState::Static,
        };
        if let Some(port) = port {
            self.bridge.insert((bridge, host.mac), BridgeEntry { port, state, sticky: false });
        }
        for address in host.ips {
            let key = NeighbourKey { device: bridge, address };
            self.neighbours.insert(key, (host.mac, Owner::Kernel));
        }
    }

    fn remote(&mut self, host: &Host, place: NodeId) {
        self.entry(host.domain, host.mac, site::vtep(place), host.kind == Kind::Written);
        for address in host.ips {
            let key = NeighbourKey { device: host.domain.bridge, address };
            self.neighbours.insert(key, (host.mac, Owner::Ours { router: false }));
        }
    }

    fn router(&mut self, place: NodeId) {
        let (mac, vtep) = (site::router_mac(place), site::vtep(place));
        self.entry(L3, mac, vtep, false);
        for prefix in site::anycast() {
            let address = site::gateway(&prefix, vtep);
            let key = NeighbourKey { device: L3.bridge, address };
            self.neighbours.insert(key, (mac, Owner::Ours { router: true }));
        }
    }

    fn entry(&mut self, domain: Domain, mac: MacAddr, vtep: IpAddr, sticky: bool) {
        let entry = BridgeEntry { port: domain.vxlan, state: MacState::External, sticky };
        self.bridge.insert((domain.bridge, mac), entry);
        self.vxlan.insert(FdbKey { device: domain.vxlan, mac }, FdbTarget::Vtep(vtep));
    }

    fn compare(&self, tables: &Tables) -> Vec<String> {
        let ours_or_wanted = tables
            .neighbours
            .values()
            .filter(|seen| seen.external || self.neighbours.contains_key(&seen.key));
        let resolved = ours_or_wanted.filter(|seen| seen.resolution != Resolution::Unresolved);
        let neighbours: BTreeMap<_, _> = resolved
            .map(|seen| {
                let owner = match seen.external {
                    true => Owner::Ours { router: seen.router },
                    false => Owner::Kernel,
                };
                (seen.key, (seen.mac.unwrap_or_default(), owner))
            })
            .collect();
        let flood = |set: &BTreeSet<FloodKey>| set.iter().map(|key| (*key, ())).collect();
        let mut found = compare("bridge entry", &self.bridge, &tables.bridge);
        found.extend(compare("VXLAN entry", &self.vxlan, &tables.vxlan));
        let (wanted, present): (BTreeMap<_, ()>, _) = (flood(&self.flood), flood(&tables.flood));
        found.extend(compare("flood entry", &wanted, &present));
        found.extend(compare("neighbour", &self.neighbours, &neighbours));
        found
    }
}

fn compare<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    what: &str,
    wanted: &BTreeMap<K, V>,
    present: &BTreeMap<K, V>,
) -> Vec<String> {
    let mut found = Vec::new();
    for (key, value) in wanted {
        match present.get(key) {
            Some(there) if there == value => {}
            Some(there) => {
                found.push(format!("{what} {key:?} is {there:?}, should be {value:?}"));
            }
            None => found.push(format!("{what} {key:?} is missing, should be {value:?}")),
        }
    }
    for (key, value) in present.iter().filter(|(key, _)| !wanted.contains_key(*key)) {
        found.push(format!("{what} {key:?} is stale: {value:?}"));
    }
    found
}

fn compare_route(tables: &Tables, prefix: &IpNet, ways: &BTreeMap<NodeId, f64>) -> Option<String> {
    let route = tables.routes.iter().find(|route| route.key.prefix == *prefix);
    let heaviest = ways.values().copied().fold(0.0, f64::max);
    let wanted: BTreeMap<IpAddr, f64> = ways
        .iter()
        .map(|(node, share)| (site::gateway(prefix, site::vtep(*node)), share / heaviest))
        .collect();
    let target = route.and_then(|route| route.nexthop);
    let present = target.map(|id| weights(tables, id)).unwrap_or_default();
    let alike = wanted.len() == present.len()
        && wanted.iter().all(|(vtep, share)| {
            present.get(vtep).is_some_and(|there| (there - share).abs() <= WEIGHT_TOLERANCE)
        });
    let wrong = !alike || route.is_some() == ways.is_empty();
    wrong.then(|| format!("the route to {prefix} leads to {present:?}, should lead to {wanted:?}"))
}

/// Routes and nexthops that nothing speaks for.
fn leftovers(tables: &Tables, ways: &BTreeMap<NodeId, f64>) -> Vec<String> {
    let mut found = Vec::new();
    let known = [site::anycast(), site::own_addresses()].concat();
    for other in tables.routes.iter().filter(|r| !known.contains(&r.key.prefix)) {
        found.push(format!("route {other:?} is stale"));
    }
    let gateways: BTreeSet<IpAddr> = site::anycast()
        .iter()
        .flat_map(|prefix| ways.keys().map(|node| site::gateway(prefix, site::vtep(*node))))
        .collect();
    for (id, spec) in &tables.nexthops {
        let used = match spec {
            NexthopSpec::Routed(nexthop) => gateways.contains(&nexthop.gateway),
            _ => tables.routes.iter().any(|route| route.nexthop == Some(*id)),
        };
        if !used {
            found.push(format!("nexthop {id:?} is stale: {spec:?}"));
        }
    }
    found
}

/// Each gateway behind a nexthop, with its weight in relation to the heaviest.
fn weights(tables: &Tables, id: evpn_dataplane::object::NexthopId) -> BTreeMap<IpAddr, f64> {
    let gateway = |id| match tables.nexthops.get(&id) {
        Some(NexthopSpec::Routed(nexthop)) => Some(nexthop.gateway),
        _ => None,
    };
    let mut sums = BTreeMap::new();
    match tables.nexthops.get(&id) {
        Some(NexthopSpec::Group(group)) => {
            for member in &group.members {
                if let Some(gateway) = gateway(member.nexthop) {
                    *sums.entry(gateway).or_insert(0.0) += f64::from(member.weight);
                }
            }
        }
        _ => {
            sums.extend(gateway(id).map(|gateway| (gateway, 1.0)));
        }
    }
    let heaviest = sums.values().copied().fold(0.0, f64::max);
    sums.into_iter().map(|(gateway, sum)| (gateway, sum / heaviest)).collect()
}
