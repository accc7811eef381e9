//! Which of a route's paths is preferred (RFC 4271 section 9.1.2.2, RFC 7311 section 4.1, RFC 7432
//! section 15.1).
//!
//! **The order is total and the same whatever the order of arrival**, MEDs included: within one
//! neighbouring AS the best by MED is found first, then the winners are compared without it.

use crate::attr_store::DecisionKey;
use crate::path::PathId;
use smallvec::SmallVec;
use std::cmp::{Ordering, Reverse};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// Whose path it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Source {
    /// Originated here.
    Local,
    /// From a neighbour in another AS.
    External,
    /// From a neighbour in our AS.
    Internal,
}

/// A path as the decision sees it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// What its attributes say.
    pub key: &'a DecisionKey,
    /// Whose it is.
    pub source: Source,
    /// The neighbour's router id.
    pub router_id: Ipv4Addr,
    /// The neighbour's address.
    pub peer: IpAddr,
    /// The identifier it came with, if the neighbour sends any.
    pub path_id: Option<PathId>,
}

/// The step at which one path beat another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// A higher MAC mobility sequence, or sticky against not sticky.
    Mobility,
    /// Originated here.
    Local,
    /// A higher LOCAL_PREF.
    LocalPref,
    /// A lower AIGP metric, or one against none.
    Aigp,
    /// A shorter AS_PATH.
    AsPath,
    /// A lower ORIGIN.
    Origin,
    /// A lower MED from the same neighbouring AS.
    Med,
    /// From another AS rather than ours.
    External,
    /// A lower router id (or ORIGINATOR_ID).
    RouterId,
    /// A shorter CLUSTER_LIST.
    ClusterList,
    /// A lower neighbour's address.
    PeerAddress,
    /// A lower path identifier of the same neighbour.
    PathId,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mobility => "MAC mobility",
            Self::Local => "locally originated",
            Self::LocalPref => "LOCAL_PREF",
            Self::Aigp => "AIGP metric",
            Self::AsPath => "AS_PATH length",
            Self::Origin => "ORIGIN",
            Self::Med => "MED",
            Self::External => "external over internal",
            Self::RouterId => "router id",
            Self::ClusterList => "CLUSTER_LIST length",
            Self::PeerAddress => "neighbor address",
            Self::PathId => "path identifier",
        })
    }
}

impl Candidate<'_> {
    /// How much the two have in common before the tie-breaks that multipath ignores: equal means
    /// that both may carry traffic at once. MEDs compare within one neighbouring AS only.
    pub fn compare_cost(&self, other: &Self) -> (Ordering, Step) {
        let (a, b) = (self.key, other.key);
        let steps = [
            (Reverse(a.mobility.sticky).cmp(&Reverse(b.mobility.sticky)), Step::Mobility),
            (Reverse(a.mobility.sequence).cmp(&Reverse(b.mobility.sequence)), Step::Mobility),
            ((self.source != Source::Local).cmp(&(other.source != Source::Local)), Step::Local),
            (Reverse(a.local_pref).cmp(&Reverse(b.local_pref)), Step::LocalPref),
            // RFC 7311 §4.1: before all that breaks ties.
            (a.aigp.cmp(&b.aigp), Step::Aigp),
            (a.as_path_length.cmp(&b.as_path_length), Step::AsPath),
            (a.origin.cmp(&b.origin), Step::Origin),
            (self.compare_med(other), Step::Med),
            (self.source.cmp(&other.source), Step::External),
        ];
        first_difference(steps).unwrap_or((Ordering::Equal, Step::External))
    }

    fn compare_med(&self, other: &Self) -> Ordering {
        if self.key.neighbour_as == other.key.neighbour_as {
            self.key.med.cmp(&other.key.med)
        } else {
            Ordering::Equal
        }
    }

    fn compare_identity(&self, other: &Self) -> (Ordering, Step) {
        let (a, b) = (self.key, other.key);
        let a_id = a.originator_id.unwrap_or(self.router_id);
        let b_id = b.originator_id.unwrap_or(other.router_id);
        let steps = [
            (a_id.cmp(&b_id), Step::RouterId),
            (a.cluster_list_length.cmp(&b.cluster_list_length), Step::ClusterList),
            (self.peer.cmp(&other.peer), Step::PeerAddress),
            // No RFC says so; without it paths that a neighbour tells apart would be equal.
            (self.path_id.cmp(&other.path_id), Step::PathId),
        ];
        first_difference(steps).unwrap_or((Ordering::Equal, Step::PathId))
    }

    /// Less means preferred. Transitive only among paths of one neighbouring AS, or with equal
    /// MEDs: see [`best`].
    pub fn compare(&self, other: &Self) -> (Ordering, Step) {
        match self.compare_cost(other) {
            (Ordering::Equal, _) => self.compare_identity(other),
            decided => decided,
        }
    }
}

fn first_difference<const N: usize>(steps: [(Ordering, Step); N]) -> Option<(Ordering, Step)> {
    steps.into_iter().find(|(order, _)| order.is_ne())
}

/// The place of the preferred candidate; none where there is none.
///
/// The best of each neighbouring AS is found first, so that MEDs, which compare only there, cannot
/// make the outcome depend on the order (RFC 4451 section 1.1).
pub fn best(candidates: &[Candidate<'_>]) -> Option<usize> {
    let mut winners: SmallVec<[(usize, &Candidate<'_>); 4]> = SmallVec::new();
    for (i, c) in candidates.iter().enumerate() {
        let of_its_as =
            |(_, w): &&mut (_, &Candidate<'_>)| w.key.neighbour_as == c.key.neighbour_as;
        match winners.iter_mut().find(of_its_as) {
            Some(winner) if c.compare(winner.1).0.is_lt() => *winner = (i, c),
            Some(_) => {}
            None => winners.push((i, c)),
        }
    }
    winners.into_iter().min_by(|(i, a), (j, b)| a.compare(b).0.then(i.cmp(j))).map(|(i, _)| i)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attr_store::AIGP_NONE;
    use evpn_proto::bgp::attributes::{MacMobility, Origin};
    use evpn_proto::types::Asn;

    fn key() -> DecisionKey {
        DecisionKey {
            local_pref: 100,
            aigp: AIGP_NONE,
            as_path_length: 1,
            origin: Origin::Igp,
            med: 0,
            neighbour_as: Some(Asn(65001)),
            mobility: MacMobility::default(),
            originator_id: None,
            cluster_list_length: 0,
        }
    }

    fn candidate(key: &DecisionKey, n: u8) -> Candidate<'_> {
        let address = Ipv4Addr::new(10, 0, 0, n);
        let (source, peer) = (Source::External, address.into());
        Candidate { key, source, router_id: address, peer, path_id: None }
    }

    #[test]
    fn each_step_decides_before_those_after_it() {
        let base = key();
        let better: [(DecisionKey, Step); 6] = [
            (
                DecisionKey { mobility: MacMobility { sequence: 1, sticky: false }, ..base },
                Step::Mobility,
            ),
            (DecisionKey { local_pref: 200, ..base }, Step::LocalPref),
            (DecisionKey { aigp: 9, as_path_length: 7, ..base }, Step::Aigp),
            (DecisionKey { as_path_length: 0, ..base }, Step::AsPath),
            (DecisionKey { local_pref: 100, med: 0, ..base }, Step::Med),
            (DecisionKey { cluster_list_length: 0, ..base }, Step::RouterId),
        ];
        let worse = DecisionKey { med: 5, ..base };
        for (i, (better, step)) in better.iter().enumerate() {
            let worse = if i < 5 { &worse } else { &base };
            let (order, by) = candidate(better, 1).compare(&candidate(worse, 2));
            assert_eq!((order, by), (Ordering::Less, *step));
        }
    }

    #[test]
    fn the_lower_metric_wins_and_one_without_loses_whatever_the_paths_are() {
        let with = |aigp, as_path_length| DecisionKey { aigp, as_path_length, ..key() };
        let keys = [with(AIGP_NONE, 0), with(20, 1), with(10, 9), with(10, 8)];
        let mut all: Vec<_> = keys.iter().zip(1..).map(|(key, n)| candidate(key, n)).collect();
        for _ in 0..4 {
            all.rotate_left(1);
            assert_eq!(all[best(&all).unwrap()].peer, IpAddr::from([10, 0, 0, 4]));
        }
        let (order, step) = all[3].compare(&all[2]);
        assert_eq!((order, step), (Ordering::Less, Step::AsPath), "equal metrics decide nothing");
    }

    #[test]
    fn the_winner_does_not_depend_on_the_order_of_arrival() {
        // The classic: A and B share an AS and differ in MED, C is of another AS.
        let a = DecisionKey { med: 10, ..key() };
        let b = DecisionKey { med: 5, ..key() };
        let c = DecisionKey { neighbour_as: Some(Asn(65002)), ..key() };
        let mut all = vec![candidate(&a, 1), candidate(&b, 3), candidate(&c, 2)];
        let mut winners = Vec::new();
        for _ in 0..3 {
            all.rotate_left(1);
            winners.push(all[best(&all).unwrap()].peer);
            all.swap(0, 1);
            winners.push(all[best(&all).unwrap()].peer);
        }
        winners.dedup();
        assert_eq!(winners, [IpAddr::from([10, 0, 0, 2])]);
        assert_eq!(best(&[]), None);
    }
}
