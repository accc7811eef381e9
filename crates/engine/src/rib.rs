//! The tables with what hangs on them: every change of a best path leaves a mark, and every group of
//! neighbours hears of it.

use bytes::Bytes;
use evpn_proto::bgp::attributes::PathAttributes;
use evpn_proto::bgp::otc;
use evpn_proto::bgp::wire::AsWidth;
use evpn_proto::bgp::wire::error::EncodeError;
use evpn_proto::types::{Route, RouteKey};
use evpn_rib::PeerIdx;
use evpn_rib::attr_store::{AttrId, AttrStore};
use evpn_rib::table::{DestId, Outcome, Reject, Table};
use evpn_rib::update_group::UpdateGroup;
use std::collections::{BTreeMap, VecDeque};
use std::mem::Discriminant;
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

#[derive(Debug, Default)]
pub(crate) struct Rib {
    pub(crate) store: AttrStore,
    pub(crate) table: Table,
    pub(crate) groups: BTreeMap<GroupKey, Group>,
    /// Destinations whose best path changed and has not been dealt with, in order; each is held.
    pub(crate) dirty: Vec<DestId>,
}

impl Rib {
    fn note(&mut self, outcome: Outcome) {
        if let Outcome::BestChanged(id) = outcome {
            // Who imported it must be able to leave it: it stays until that is done, also where the
            // last group of neighbours has let go of it in the meantime.
            self.table.hold(id);
            self.dirty.push(id);
        }
    }

    /// A neighbour's route. The caller keeps its own use of the set of attributes.
    pub(crate) fn announce(
        &mut self,
        peer: PeerIdx,
        route: Route,
        attributes: AttrId,
        reject: Option<Reject>,
    ) {
        self.store.retain(attributes);
        let outcome = self.table.announce(&mut self.store, peer, route, attributes, reject);
        self.note(outcome);
    }

    /// A neighbour's withdrawal.
    pub(crate) fn withdraw(&mut self, peer: PeerIdx, key: &RouteKey) {
        let outcome = self.table.withdraw(&mut self.store, peer, key);
        self.note(outcome);
    }

    /// Removes a neighbour's path.
    pub(crate) fn remove(&mut self, peer: PeerIdx, id: DestId) {
        let outcome = self.table.remove_path(&mut self.store, peer, id);
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
