//! What was set aside after a failure, and until when.
//!
//! **A row that is set aside says why and what brings it back**: a time, a device, or a new wish.

use crate::object::{FdbKey, FloodKey, IfIndex, NeighbourKey, NexthopId};
use crate::op::{ErrorClass, Failure, KernelRoute};
use evpn_proto::types::Time;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The first wait after a failure.
const BACKOFF_FIRST: Duration = Duration::from_millis(500);
/// The longest wait after repeated failures.
const BACKOFF_LAST: Duration = Duration::from_secs(60);
/// How many different texts of the kernel are kept; beyond, the class must do.
const TEXTS: usize = 64;

/// Any row.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Key {
    /// A nexthop or group, by the engine's id.
    Nexthop(NexthopId),
    /// A nexthop or group, by the kernel's id.
    Held(NexthopId),
    Route(KernelRoute),
    Neighbour(NeighbourKey),
    Flood(FloodKey),
    Fdb(FdbKey),
}

/// What brings a row back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Until {
    At(Time),
    /// News of a device.
    Link(IfIndex),
    /// A new wish, or the next full dump.
    Changed,
}

#[derive(Clone, Debug)]
pub(crate) struct Parked {
    pub(crate) until: Until,
    pub(crate) class: ErrorClass,
    pub(crate) errno: i32,
    pub(crate) text: Arc<str>,
    attempts: u8,
}

#[derive(Debug)]
pub(crate) struct Obstacles {
    rows: HashMap<Key, Parked, FixedState>,
    due: BTreeMap<Time, Vec<Key>>,
    texts: Vec<Arc<str>>,
    other: Arc<str>,
}

impl Obstacles {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rows: HashMap::with_hasher(FixedState::with_seed(seed)),
            due: BTreeMap::new(),
            texts: Vec::new(),
            other: Arc::from("see the counters"),
        }
    }

    /// Sets a row aside. `until` gets the wait that its number of failures deserves.
    pub(crate) fn park(&mut self, key: Key, failure: &Failure, until: impl Fn(Duration) -> Until) {
        let attempts = self.rows.get(&key).map_or(0, |old| old.attempts).saturating_add(1);
        let until = until(backoff(attempts));
        let text = self.text(&failure.text);
        if let Until::At(at) = until {
            self.due.entry(at).or_default().push(key);
        }
        let parked = Parked { until, class: failure.class, errno: failure.errno, text, attempts };
        self.rows.insert(key, parked);
    }

    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.iter().find(|t| &***t == text) {
            return Arc::clone(known);
        }
        if self.texts.len() >= TEXTS {
            return Arc::clone(&self.other);
        }
        let new: Arc<str> = Arc::from(text);
        self.texts.push(Arc::clone(&new));
        new
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Parked> {
        self.rows.get(key)
    }

    /// A row works again, or wants something else.
    pub(crate) fn forget(&mut self, key: &Key) {
        if !self.rows.is_empty() {
            self.rows.remove(key);
        }
    }

    /// The rows whose time has come. They stay known, so that their next wait is longer.
    pub(crate) fn take_due(&mut self, now: Time) -> Vec<Key> {
        let mut keys = Vec::new();
        while let Some(first) = self.due.first_entry()
            && *first.key() <= now
        {
            let (at, candidates) = first.remove_entry();
            keys.extend(candidates.into_iter().filter(|key| {
                self.rows.get(key).is_some_and(|parked| parked.until == Until::At(at))
            }));
        }
        keys
    }

    /// The rows that wait for news of a device.
    pub(crate) fn on_link(&self, device: IfIndex) -> Vec<Key> {
        let on_it = |p: &Parked| p.until == Until::Link(device);
        self.rows.iter().filter(|(_, p)| on_it(p)).map(|(key, _)| *key).collect()
    }

    /// The rows that the kernel refused: a full dump gives them another chance.
    pub(crate) fn refused(&self) -> Vec<Key> {
        self.rows.iter().filter(|(_, p)| p.until == Until::Changed).map(|(key, _)| *key).collect()
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.due.keys().next().copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }
}

/// Doubles from failure to failure.
pub(crate) fn backoff(attempts: u8) -> Duration {
    let doublings = u32::from(attempts.saturating_sub(1)).min(10);
    BACKOFF_FIRST.saturating_mul(1 << doublings).min(BACKOFF_LAST)
}
