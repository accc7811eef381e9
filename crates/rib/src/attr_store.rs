//! Path attributes, each distinct set stored once.
//!
//! A path names its set by an [`AttrId`]. Beside the set stands what the decision needs of it,
//! computed once, so that comparing two paths never reads through attributes.
//!
//! **Two ids are equal if and only if the sets are, for as long as somebody holds them.**

use crate::slab::Slab;
use evpn_proto::bgp::aigp;
use evpn_proto::bgp::attributes::{MacMobility, Origin, PathAttributes};
use evpn_proto::types::Asn;
use hashbrown::HashTable;
use std::hash::BuildHasher;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// LOCAL_PREF of a path that came without one (the value every implementation assumes).
pub const LOCAL_PREF_DEFAULT: u32 = 100;

/// The metric of a path without AIGP: worse than any that can be said.
pub const AIGP_NONE: u64 = u64::MAX;

/// Names a set of path attributes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AttrId(u32);

/// What the decision reads of a set (RFC 4271 section 9.1.2, RFC 7432 section 15).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DecisionKey {
    /// LOCAL_PREF, or the default.
    pub local_pref: u32,
    /// The accumulated IGP metric (RFC 7311), or [`AIGP_NONE`]. The interior cost to the next hop is
    /// taken as 0.
    pub aigp: u64,
    /// AS_PATH's length.
    pub as_path_length: u32,
    /// ORIGIN.
    pub origin: Origin,
    /// MED; a missing one counts 0.
    pub med: u32,
    /// The neighbouring AS, within which MEDs compare.
    pub neighbour_as: Option<Asn>,
    /// MAC mobility; absent counts sequence 0, not sticky.
    pub mobility: MacMobility,
    /// ORIGINATOR_ID, which stands for the neighbour's router id (RFC 4456 section 9).
    pub originator_id: Option<Ipv4Addr>,
    /// CLUSTER_LIST's length.
    pub cluster_list_length: u32,
}

impl DecisionKey {
    fn of(attributes: &PathAttributes) -> Self {
        Self {
            local_pref: attributes.local_pref.unwrap_or(LOCAL_PREF_DEFAULT),
            aigp: aigp::metric(attributes).unwrap_or(AIGP_NONE),
            as_path_length: attributes.as_path.length(),
            origin: attributes.origin,
            med: attributes.med.unwrap_or(0),
            neighbour_as: attributes.as_path.first(),
            mobility: attributes.mac_mobility().unwrap_or_default(),
            originator_id: attributes.originator_id,
            cluster_list_length: u32::try_from(attributes.cluster_list.len()).unwrap_or(u32::MAX),
        }
    }
}

#[derive(Debug)]
struct Row {
    attributes: Arc<PathAttributes>,
    decision: DecisionKey,
    hash: u64,
    users: u32,
}

/// The store.
#[derive(Debug, Default)]
pub struct AttrStore {
    rows: Slab<Row>,
    index: HashTable<u32>,
    hasher: foldhash::fast::FixedState,
}

impl AttrStore {
    /// The id of the set, which gains a user. None when the store is full (2^32 - 1 sets).
    pub fn intern(&mut self, attributes: &Arc<PathAttributes>) -> Option<AttrId> {
        let hash = self.hasher.hash_one(&**attributes);
        let same = |id: &u32| self.rows.get(*id).is_some_and(|r| r.attributes == *attributes);
        if let Some(&id) = self.index.find(hash, same) {
            let row = self.rows.get_mut(id)?;
            row.users = row.users.saturating_add(1);
            return Some(AttrId(id));
        }
        let decision = DecisionKey::of(attributes);
        let row = Row { attributes: Arc::clone(attributes), decision, hash, users: 1 };
        let id = self.rows.insert(row)?;
        let rows = &self.rows;
        self.index.insert_unique(hash, id, |id| rows.get(*id).map_or(0, |r| r.hash));
        Some(AttrId(id))
    }

    /// One more user of a set that has one.
    pub fn retain(&mut self, id: AttrId) {
        if let Some(row) = self.rows.get_mut(id.0) {
            row.users = row.users.saturating_add(1);
        }
    }

    /// One user less; the last one takes the set with it. Tells whether it did.
    pub fn release(&mut self, id: AttrId) -> bool {
        let Some(row) = self.rows.get_mut(id.0) else { return false };
        row.users = row.users.saturating_sub(1);
        if row.users > 0 {
            return false;
        }
        let hash = row.hash;
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == id.0) {
            entry.remove();
        }
        self.rows.remove(id.0);
        true
    }

    /// The set.
    pub fn get(&self, id: AttrId) -> Option<&Arc<PathAttributes>> {
        self.rows.get(id.0).map(|r| &r.attributes)
    }

    /// What the decision reads of it.
    pub fn decision_key(&self, id: AttrId) -> Option<&DecisionKey> {
        self.rows.get(id.0).map(|r| &r.decision)
    }

    /// How many distinct sets there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn set(med: u32) -> Arc<PathAttributes> {
        let mut attributes = PathAttributes::originated(IpAddr::from([10, 0, 0, 1]));
        attributes.med = Some(med);
        Arc::new(attributes)
    }

    #[test]
    fn equal_sets_have_one_id_until_the_last_user_goes() {
        let mut store = AttrStore::default();
        let a = store.intern(&set(1)).unwrap();
        let again = store.intern(&set(1)).unwrap();
        let b = store.intern(&set(2)).unwrap();
        assert_eq!(a, again);
        assert_ne!(a, b);
        assert_eq!(store.len(), 2);
        assert!(!store.release(a));
        assert!(store.get(a).is_some());
        assert!(store.release(again));
        assert!(store.get(a).is_none());
        assert_eq!(store.len(), 1);
        assert_eq!(store.decision_key(b).unwrap().med, 2);
    }
}
