//! The tables with what hangs on them, one for each family: every change of a best path leaves a
//! mark, and every group of neighbours hears of it.
//!
//! **Families share nothing**: what is counted, kept, told or given up of one leaves the others as
//! they are.

use crate::peer::may_be_reflected;
use bytes::Bytes;
use evpn_proto::bgp::attributes::PathAttributes;
use evpn_proto::bgp::otc;
use evpn_proto::bgp::wire::AsWidth;
use evpn_proto::bgp::wire::error::EncodeError;
use evpn_proto::types::{Family, Route, RouteKey};
use evpn_rib::PeerIdx;
use evpn_rib::attr_store::{AttrId, AttrStore};
use evpn_rib::table::{DestId, Outcome, Path, PathKey, Reject, Table, Which};
use evpn_rib::update_group::UpdateGroup;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem::Discriminant;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// Neighbours for which this is equal are told the same octets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct GroupKey {
    pub(crate) audience: Audience,
    pub(crate) four_octet_as: bool,
    pub(crate) length_max: usize,
    /// The accumulated IGP metric is told to its neighbours.
    pub(crate) aigp: bool,
    /// What our role keeps from its neighbours (RFC 9234 section 5).
    pub(crate) otc: otc::Rules,
    /// The next hop of what is ours, or becomes ours on its way to another AS; of families whose
    /// next hop is the speaker (RFC 4271 section 5.1.3).
    pub(crate) self_hop: Option<SelfHop>,
    /// IPv6 next hops of IPv4 routes were agreed on (RFC 8950).
    pub(crate) extended_next_hop: bool,
    /// The neighbour, where it is told what nobody else is: the EVPN routes that it wants, and what
    /// others want (RFC 4684).
    pub(crate) alone: Option<PeerIdx>,
    /// Its neighbours are told every path, each with an identifier (RFC 7911).
    pub(crate) path_ids: bool,
}

/// Where we are to be reached, seen from a neighbour.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct SelfHop {
    pub(crate) address: IpAddr,
    /// On the link that we share (RFC 2545 section 3).
    pub(crate) link_local: Option<Ipv6Addr>,
}

impl GroupKey {
    pub(crate) const fn as_width(self) -> AsWidth {
        if self.four_octet_as { AsWidth::Four } else { AsWidth::Two }
    }
}

/// Who a group's neighbours are to us.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Audience {
    /// In another AS.
    External,
    /// Internal, and a client of ours: it is told what other internal neighbours say (RFC 4456).
    Client,
    /// Internal, and told what our clients say.
    Internal,
}

/// A group with the octets that it was last given, for those who stand at the same place.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) updates: UpdateGroup,
    pub(crate) cache: VecDeque<Encoded>,
    /// The kind of error for which a route was last not told to the group.
    pub(crate) untold: Option<Discriminant<EncodeError>>,
}

/// A stretch of a group's changes as octets.
#[derive(Debug, Clone)]
pub(crate) struct Encoded {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) octets: Bytes,
    pub(crate) messages: u64,
    /// Where in the octets what came from a neighbour stands, which it is not told back.
    pub(crate) own: Vec<Own>,
}

/// A part of a stretch that all came from one neighbour.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Own {
    pub(crate) source: PeerIdx,
    pub(crate) begin: usize,
    pub(crate) end: usize,
    pub(crate) messages: u64,
}

/// A table for each family.
#[derive(Debug)]
pub(crate) struct Ribs {
    pub(crate) evpn: Rib,
    pub(crate) ipv4: Rib,
    pub(crate) ipv6: Rib,
    pub(crate) constraints: Rib,
}

impl Default for Ribs {
    fn default() -> Self {
        Self {
            evpn: Rib::new(Family::EVPN),
            ipv4: Rib::new(Family::IPV4_UNICAST),
            ipv6: Rib::new(Family::IPV6_UNICAST),
            constraints: Rib::new(Family::RT_CONSTRAINT),
        }
    }
}

impl Ribs {
    pub(crate) fn get(&self, family: Family) -> Option<&Rib> {
        self.iter().find(|rib| rib.family == family)
    }

    pub(crate) fn get_mut(&mut self, family: Family) -> Option<&mut Rib> {
        self.iter_mut().find(|rib| rib.family == family)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Rib> {
        [&self.evpn, &self.ipv4, &self.ipv6, &self.constraints].into_iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Rib> {
        [&mut self.evpn, &mut self.ipv4, &mut self.ipv6, &mut self.constraints].into_iter()
    }

    /// Whether a change of a best path has not been dealt with.
    pub(crate) fn is_dirty(&self) -> bool {
        self.iter().any(|rib| !rib.dirty.is_empty() || !rib.others.is_empty())
    }

    /// How many changes have not been dealt with.
    pub(crate) fn backlog(&self) -> usize {
        self.iter().map(|rib| rib.dirty.len().saturating_add(rib.others.len())).sum()
    }

    /// The families, in the order in which neighbours are told of them: RFC 4684 section 6 has
    /// memberships come first.
    pub(crate) const FAMILIES: [Family; 4] =
        [Family::RT_CONSTRAINT, Family::IPV4_UNICAST, Family::IPV6_UNICAST, Family::EVPN];
}

#[derive(Debug)]
pub(crate) struct Rib {
    pub(crate) family: Family,
    pub(crate) store: AttrStore,
    pub(crate) table: Table,
    pub(crate) groups: BTreeMap<GroupKey, Group>,
    /// Destinations whose best path changed and has not been dealt with, in order; each is held.
    pub(crate) dirty: Vec<DestId>,
    /// Destinations of which another path changed, where a group is told every path; each is held.
    pub(crate) others: Vec<DestId>,
    /// Whether a group is told every path.
    pub(crate) tells_paths: bool,
    /// Of families that forward by several paths at once: destinations of which any path changed.
    pub(crate) touched: BTreeSet<RouteKey>,
}

impl Rib {
    pub(crate) fn new(family: Family) -> Self {
        Self {
            family,
            store: AttrStore::default(),
            table: Table::default(),
            groups: BTreeMap::new(),
            dirty: Vec::new(),
            others: Vec::new(),
            tells_paths: false,
            touched: BTreeSet::new(),
        }
    }

    fn note(&mut self, outcome: Outcome) {
        if let Outcome::BestChanged(id) = outcome {
            // Who imported it must be able to leave it: it stays until that is done, also where the
            // last group of neighbours has let go of it in the meantime.
            self.table.hold(id);
            self.dirty.push(id);
        }
        if let Outcome::OthersChanged(id) = outcome
            && self.tells_paths
        {
            self.table.hold(id);
            self.others.push(id);
        }
        let (Outcome::BestChanged(id) | Outcome::OthersChanged(id)) = outcome else { return };
        if self.family == Family::RT_CONSTRAINT {
            // Each neighbour is told the best path of others, which need not be the best of all.
            if let Outcome::OthersChanged(id) = outcome {
                self.table.hold(id);
                self.dirty.push(id);
            }
        } else if self.family.is_unicast()
            && let Some(dest) = self.table.get(id)
        {
            self.touched.insert(dest.key.clone());
        }
    }

    /// Rejects a neighbour's path, or no longer does.
    pub(crate) fn set_reject(&mut self, from: PathKey, id: DestId, reject: Option<Reject>) {
        let outcome = self.table.set_reject(&self.store, from, id, reject);
        self.note(outcome);
    }

    /// The path that a group is told: the preferred one, or, where a neighbour is told what others
    /// want, the preferred one of those that it may be told. RFC 4684 section 3.2: that another
    /// reflector wants the same must not hide from it what a client of ours does.
    pub(crate) fn told_path(&self, id: DestId, key: GroupKey) -> Option<&Path> {
        let dest = self.table.get(id)?;
        match key.alone.filter(|_| self.family == Family::RT_CONSTRAINT) {
            Some(peer) => {
                let may = |path: &Path| path.peer != peer && may_be_reflected(self, path, key);
                self.table.best_among(&self.store, dest, may)
            }
            None => dest.best(),
        }
    }

    /// A neighbour's route. The caller keeps its own use of the set of attributes.
    pub(crate) fn announce(
        &mut self,
        from: impl Into<PathKey>,
        route: Route,
        attributes: AttrId,
        reject: Option<Reject>,
    ) -> Outcome {
        self.store.retain(attributes);
        let outcome = self.table.announce(&mut self.store, from, route, attributes, reject);
        self.note(outcome);
        outcome
    }

    /// A neighbour's withdrawal.
    pub(crate) fn withdraw(&mut self, from: impl Into<PathKey>, key: &RouteKey) {
        let outcome = self.table.withdraw(&mut self.store, from, key);
        self.note(outcome);
    }

    /// Removes a neighbour's paths from a destination.
    pub(crate) fn remove(&mut self, peer: PeerIdx, id: DestId, which: Which) {
        let outcome = self.table.remove_paths(&mut self.store, peer, id, which);
        self.note(outcome);
    }

    /// A route of our own.
    pub(crate) fn originate(&mut self, route: Route, attributes: &Arc<PathAttributes>) {
        let Some(set) = self.store.intern(attributes) else { return };
        self.announce(PeerIdx::LOCAL, route, set, None);
        self.store.release(set);
    }

    /// The end of a route of our own.
    pub(crate) fn end(&mut self, key: &RouteKey) {
        self.withdraw(PeerIdx::LOCAL, key);
    }
}
