//! Route target constraints (RFC 4684): neighbours say which routes they want, and we say which we do.
//!
//! **Who has said nothing of what it wants is told nothing; who did not agree on the family is told
//! everything.**

use crate::evi::Evi;
use crate::rib::Rib;
use crate::settings::Targets;
use crate::vrf::Vrf;
use evpn_proto::bgp::attributes::{ExtCommunity, PathAttributes};
use evpn_proto::types::{Asn, Route, RouteKey, RouteTarget, RtMembership, Vni};
use evpn_rib::{Map, PeerIdx};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// What each neighbour wants.
#[derive(Debug, Default)]
pub(crate) struct Wants(Map<PeerIdx, Wanted>);

/// What a neighbour wants. Every route is held against it, so how much it is must not count.
#[derive(Debug, Default)]
struct Wanted {
    memberships: BTreeSet<RtMembership>,
    /// The first bits of targets, by how many they are, and how many memberships name them.
    targets: BTreeMap<u8, BTreeMap<u64, usize>>,
}

impl Wanted {
    fn add(&mut self, membership: RtMembership) -> bool {
        let (bits, first) = membership.first_bits();
        let is_new = self.memberships.insert(membership);
        if is_new {
            *self.targets.entry(bits).or_default().entry(first).or_default() += 1;
        }
        is_new
    }

    fn remove(&mut self, membership: &RtMembership) -> bool {
        let (bits, first) = membership.first_bits();
        let was_there = self.memberships.remove(membership);
        if let Some(of_length) = self.targets.get_mut(&bits).filter(|_| was_there) {
            let left = of_length.get_mut(&first).map(|count| {
                *count = count.saturating_sub(1);
                *count
            });
            if left == Some(0) {
                of_length.remove(&first);
            }
            if of_length.is_empty() {
                self.targets.remove(&bits);
            }
        }
        was_there
    }

    fn covers(&self, target: RouteTarget) -> bool {
        let covered = |(bits, firsts): (&u8, &BTreeMap<u64, usize>)| {
            firsts.contains_key(&RtMembership::first_bits_of(target, *bits))
        };
        self.targets.iter().any(covered)
    }
}

impl Wants {
    /// A neighbour wants it from now on. Tells whether that is new.
    pub(crate) fn add(&mut self, peer: PeerIdx, membership: RtMembership) -> bool {
        self.0.entry(peer).or_default().add(membership)
    }

    /// A neighbour does no longer want it. Tells whether it did.
    pub(crate) fn remove(&mut self, peer: PeerIdx, membership: &RtMembership) -> bool {
        self.0.get_mut(&peer).is_some_and(|wants| wants.remove(membership))
    }

    /// A neighbour is gone for good, or what it has said of its wants is void.
    pub(crate) fn forget(&mut self, peer: PeerIdx) {
        self.0.remove(&peer);
    }

    /// Whether a neighbour wants routes with these attributes. A route without a target is nobody's
    /// to want and is told: whoever gets it by mistake cannot import it.
    pub(crate) fn takes(&self, peer: PeerIdx, attributes: &PathAttributes) -> bool {
        let mut targets = attributes.ext_communities.iter().filter_map(constrained).peekable();
        if targets.peek().is_none() {
            return true;
        }
        let Some(wants) = self.0.get(&peer) else { return false };
        targets.any(|target| wants.covers(target))
    }
}

/// A community by which routes are constrained: a route target, or the ES-import target of a
/// segment (RFC 7432 section 7.6).
fn constrained(community: &ExtCommunity) -> Option<RouteTarget> {
    match community.0 {
        [0x06, 0x02, ..] => Some(RouteTarget(community.0)),
        octets => RouteTarget::from_community(octets),
    }
}

/// What we want ourselves: the targets that our VNIs import by. An automatic import takes its VNI
/// from any AS, which no prefix can say, so with one we want everything.
pub(crate) fn our_wants(
    asn: Asn,
    evis: &BTreeMap<Vni, Evi>,
    vrfs: &BTreeMap<usize, Vrf>,
) -> BTreeSet<RtMembership> {
    let of_evis = evis.values().map(|evi| &evi.import);
    let imports: Vec<&Targets> = of_evis.chain(vrfs.values().map(|vrf| &vrf.import)).collect();
    if imports.iter().any(|targets| targets.auto) {
        return BTreeSet::from([RtMembership::DEFAULT]);
    }
    let explicit = imports.iter().flat_map(|targets| &targets.explicit);
    explicit.map(|target| RtMembership::of(asn, *target)).collect()
}

/// Announces what we want, and ends what we no longer do.
pub(crate) fn originate(
    rib: &mut Rib,
    before: &BTreeSet<RtMembership>,
    now: &BTreeSet<RtMembership>,
) {
    for gone in before.difference(now) {
        rib.end(&RouteKey::RtMembership(*gone));
    }
    let unspecified = IpAddr::from([0, 0, 0, 0]);
    let attributes = Arc::new(PathAttributes::originated(unspecified));
    for new in now.difference(before) {
        rib.originate(Route::bare(RouteKey::RtMembership(*new)), &attributes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(communities: &[ExtCommunity]) -> PathAttributes {
        let mut attributes = PathAttributes::originated(IpAddr::from([10, 0, 0, 1]));
        attributes.ext_communities = communities.to_vec();
        attributes
    }

    #[test]
    fn a_neighbour_gets_what_it_wants_and_what_nobody_can_want() {
        let target = |text: &str| text.parse::<RouteTarget>().unwrap();
        let route = |text: &str| with(&[ExtCommunity::route_target(target(text))]);
        let (peer, other) = (PeerIdx(1), PeerIdx(2));
        let mut wants = Wants::default();
        assert!(!wants.takes(peer, &route("65000:100")), "it has said nothing");
        assert!(wants.takes(peer, &with(&[])));
        let membership = RtMembership::of(Asn(65001), target("65000:100"));
        assert!(wants.add(peer, membership) && !wants.add(peer, membership));
        assert!(wants.takes(peer, &route("65000:100")) && !wants.takes(peer, &route("65000:101")));
        assert!(!wants.takes(other, &route("65000:100")));
        assert!(wants.remove(peer, &membership) && !wants.takes(peer, &route("65000:100")));
        wants.add(peer, RtMembership::DEFAULT);
        assert!(wants.takes(peer, &route("1:1")));
        // Of two that name the same target one is enough, and each counts.
        let other_as = RtMembership::of(Asn(65002), target("65000:100"));
        assert!(wants.remove(peer, &RtMembership::DEFAULT));
        assert!(wants.add(peer, membership) && wants.add(peer, other_as));
        assert!(wants.remove(peer, &membership) && wants.takes(peer, &route("65000:100")));
        assert!(wants.remove(peer, &other_as) && !wants.takes(peer, &route("65000:100")));
        wants.add(peer, RtMembership::DEFAULT);
        let es_import = with(&[ExtCommunity([6, 2, 2, 0, 0, 0, 0, 1])]);
        assert!(wants.takes(peer, &es_import) && !wants.takes(other, &es_import));
    }

    #[test]
    fn what_is_covered_is_what_one_of_the_memberships_covers() {
        let peer = PeerIdx(1);
        let (mut wants, mut naive) = (Wants::default(), BTreeSet::new());
        let mut state = 1u64;
        for _ in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let below = |bits: u32, bound: u64| u8::try_from((state >> bits) % bound).unwrap();
            let octets = [0, 0, 0, below(20, 2), 0, 2, 0, 0, 0, 0, below(24, 3), below(28, 4)];
            let bits = [0, 32, 80, 88, 95, 96][usize::from(below(32, 6))];
            let membership = RtMembership::from_prefix(bits, octets).unwrap();
            let changed = if below(40, 2) == 0 {
                assert_eq!(wants.add(peer, membership), naive.insert(membership));
                true
            } else {
                wants.remove(peer, &membership) == naive.remove(&membership)
            };
            assert!(changed);
            let target = RouteTarget([0, 2, 0, 0, 0, 0, below(44, 3), below(48, 4)]);
            let wanted = naive.iter().any(|membership| membership.covers(target));
            assert_eq!(wants.takes(peer, &with(&[ExtCommunity::route_target(target)])), wanted);
        }
    }
}
