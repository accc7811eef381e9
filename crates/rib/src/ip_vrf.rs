//! The prefixes of one L3VNI: best paths, and which of them share the traffic (RFC 9136).
//!
//! **A prefix's paths are all those that cost the same as the best** (as far as LOCAL_PREF, AS_PATH
//! length, ORIGIN, MED and internal or external go; of the AS_PATH the length counts, not the
//! numbers in it), weighted by their link bandwidths if every one of them has one.

use crate::Map;
use crate::attr_store::DecisionKey;
use crate::decision::{Candidate, Source, best};
use crate::table::DestId;
use evpn_proto::types::MacAddr;
use ipnet::IpNet;
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

/// A route for a prefix.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PrefixPath {
    /// The route.
    pub dest: DestId,
    /// Whose.
    pub source: Source,
    /// The neighbour's router id.
    pub router_id: Ipv4Addr,
    /// The neighbour.
    pub peer: IpAddr,
    /// What the decision reads of its attributes.
    pub key: DecisionKey,
    /// Its next hop.
    pub vtep: IpAddr,
    /// The MAC address of the router there.
    pub router_mac: MacAddr,
    /// Octets a second; none where the route says none.
    pub bandwidth: Option<f32>,
}

impl PrefixPath {
    fn candidate(&self) -> Candidate<'_> {
        let Self { key, source, router_id, peer, .. } = self;
        let path_id = None;
        Candidate { key, source: *source, router_id: *router_id, peer: *peer, path_id }
    }
}

/// A way to a prefix, as it is to be programmed.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Hop {
    /// The VTEP.
    pub vtep: IpAddr,
    /// The MAC address of the router there.
    pub router_mac: MacAddr,
    /// Its part of the traffic in relation to the others'; 1 for each where bandwidths do not count.
    pub share: f32,
}

/// The ways to a prefix, by ascending VTEP.
pub type Hops = SmallVec<[Hop; 2]>;

/// The prefixes of one L3VNI.
#[derive(Debug, Default)]
pub struct IpVrf {
    prefixes: Map<IpNet, SmallVec<[PrefixPath; 2]>>,
    /// The next hops of all paths, each with how many there are.
    vteps: BTreeMap<IpAddr, usize>,
    dirty: BTreeSet<IpNet>,
}

impl IpVrf {
    /// A route is (or is still) imported.
    pub fn added(&mut self, prefix: IpNet, path: PrefixPath) {
        let paths = self.prefixes.entry(prefix).or_default();
        *self.vteps.entry(path.vtep).or_default() += 1;
        match paths.iter_mut().find(|p| p.dest == path.dest) {
            Some(slot) if *slot == path => {
                forget(&mut self.vteps, path.vtep);
                return;
            }
            Some(slot) => forget(&mut self.vteps, std::mem::replace(slot, path).vtep),
            None => {
                paths.push(path);
                paths.sort_by_key(|p| p.dest);
            }
        }
        self.dirty.insert(prefix);
    }

    /// A route is no longer imported.
    pub fn removed(&mut self, prefix: IpNet, dest: DestId) {
        let Some(paths) = self.prefixes.get_mut(&prefix) else { return };
        if let Some(place) = paths.iter().position(|p| p.dest == dest) {
            forget(&mut self.vteps, paths.remove(place).vtep);
        }
        if paths.is_empty() {
            self.prefixes.remove(&prefix);
        }
        self.dirty.insert(prefix);
    }

    /// A prefix's ways are to be looked at again, for a reason that is not in here.
    pub fn touch(&mut self, prefix: IpNet) {
        self.dirty.insert(prefix);
    }

    /// The next hops of all paths, sorted.
    pub fn vteps(&self) -> impl Iterator<Item = IpAddr> {
        self.vteps.keys().copied()
    }

    /// Prefixes whose ways may have changed since the last call, sorted.
    pub fn take_dirty(&mut self) -> BTreeSet<IpNet> {
        std::mem::take(&mut self.dirty)
    }

    /// Whether there are any.
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Every prefix with its paths, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = (IpNet, &[PrefixPath])> {
        self.prefixes.iter().map(|(prefix, paths)| (*prefix, paths.as_slice()))
    }

    /// A prefix's paths.
    pub fn paths(&self, prefix: &IpNet) -> &[PrefixPath] {
        self.prefixes.get(prefix).map_or(&[], |paths| paths.as_slice())
    }

    /// The ways to a prefix, `max_paths` at most; empty where there is none.
    pub fn hops(&self, prefix: &IpNet, max_paths: usize) -> Hops {
        let chosen = multipath(self.paths(prefix));
        let mut by_vtep: SmallVec<[&PrefixPath; 4]> = SmallVec::new();
        // One VTEP is one way, however many routes lead to it.
        for path in chosen {
            if !by_vtep.iter().any(|p| p.vtep == path.vtep) && by_vtep.len() < max_paths {
                by_vtep.push(path);
            }
        }
        by_vtep.sort_by_key(|p| p.vtep);
        // RFC 10005: the weights count only if every path has one.
        let weighted = by_vtep.iter().all(|p| p.bandwidth.is_some());
        let share = |p: &PrefixPath| p.bandwidth.filter(|_| weighted).unwrap_or(1.0);
        by_vtep
            .iter()
            .map(|p| Hop { vtep: p.vtep, router_mac: p.router_mac, share: share(p) })
            .collect()
    }
}

fn forget(vteps: &mut BTreeMap<IpAddr, usize>, vtep: IpAddr) {
    if let Some(count) = vteps.get_mut(&vtep) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            vteps.remove(&vtep);
        }
    }
}

/// The paths that cost the same as the best one; the best first.
pub fn multipath(paths: &[PrefixPath]) -> SmallVec<[&PrefixPath; 4]> {
    let candidates: SmallVec<[Candidate<'_>; 4]> =
        paths.iter().map(PrefixPath::candidate).collect();
    let Some(winner) = best(&candidates).and_then(|i| paths.get(i)) else {
        return SmallVec::new();
    };
    let equal = |p: &&PrefixPath| {
        p.dest != winner.dest && p.candidate().compare_cost(&winner.candidate()).0.is_eq()
    };
    std::iter::once(winner).chain(paths.iter().filter(equal)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attr_store::AIGP_NONE;
    use evpn_proto::bgp::attributes::{MacMobility, Origin};
    use evpn_proto::types::Asn;

    fn path(n: u8, local_pref: u32, bandwidth: Option<f32>) -> PrefixPath {
        let address = Ipv4Addr::new(10, 0, 0, n);
        PrefixPath {
            dest: DestId(n.into()),
            source: Source::External,
            router_id: address,
            peer: address.into(),
            key: DecisionKey {
                aigp: AIGP_NONE,
                local_pref,
                as_path_length: 1,
                origin: Origin::Igp,
                med: 0,
                neighbour_as: Some(Asn(65000 + u32::from(n))),
                mobility: MacMobility::default(),
                originator_id: None,
                cluster_list_length: 0,
            },
            vtep: address.into(),
            router_mac: MacAddr([2, 0, 0, 0, 0, n]),
            bandwidth,
        }
    }

    fn prefix() -> IpNet {
        "198.51.100.10/32".parse().unwrap()
    }

    fn shares(paths: &[PrefixPath]) -> Vec<(u8, f32)> {
        let mut vrf = IpVrf::default();
        for path in paths {
            vrf.added(prefix(), *path);
        }
        let last = |vtep: IpAddr| match vtep {
            IpAddr::V4(v4) => v4.octets()[3],
            IpAddr::V6(_) => 0,
        };
        vrf.hops(&prefix(), 64).iter().map(|h| (last(h.vtep), h.share)).collect()
    }

    #[test]
    fn the_next_hops_are_those_of_the_paths() {
        let mut vrf = IpVrf::default();
        vrf.added(prefix(), path(1, 100, None));
        vrf.added(prefix(), path(1, 100, None));
        vrf.added(prefix(), path(2, 100, None));
        let moved = PrefixPath { vtep: IpAddr::from([10, 0, 0, 3]), ..path(2, 100, None) };
        vrf.added(prefix(), moved);
        let known: Vec<IpAddr> = vrf.vteps().collect();
        assert_eq!(known, [IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 3])]);
        vrf.removed(prefix(), DestId(1));
        vrf.removed(prefix(), DestId(2));
        assert_eq!(vrf.vteps().count(), 0);
    }

    #[test]
    fn equal_paths_share_by_bandwidth() {
        let paths = [path(2, 100, Some(10.0)), path(1, 100, Some(30.0))];
        assert_eq!(shares(&paths), [(1, 30.0), (2, 10.0)]);
    }

    #[test]
    fn one_path_without_bandwidth_makes_all_equal() {
        let paths = [path(1, 100, Some(30.0)), path(2, 100, None)];
        assert_eq!(shares(&paths), [(1, 1.0), (2, 1.0)]);
    }

    #[test]
    fn a_lower_local_pref_carries_nothing_unless_it_is_the_only_path() {
        assert_eq!(shares(&[path(1, 0, None), path(2, 100, None)]), [(2, 1.0)]);
        assert_eq!(shares(&[path(1, 0, None)]), [(1, 1.0)]);
    }

    #[test]
    fn a_bandwidth_of_zero_is_a_weight_of_zero() {
        let paths = [path(1, 100, Some(0.0)), path(2, 100, Some(5.0))];
        assert_eq!(shares(&paths), [(1, 0.0), (2, 5.0)]);
    }
}
