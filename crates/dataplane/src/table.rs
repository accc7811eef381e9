//! Rows of what is wanted and what is there, side by side, and the queue of those to look at.
//!
//! **A row is queued at most once, and judged by what it says when its turn comes**: changes that
//! overtake each other cost one write.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::hash::Hash;

/// How much room an empty queue keeps; a burst's is given back.
const QUEUE_KEPT: usize = 4096;

/// What is known of a row besides its values.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Marks(u8);

impl Marks {
    /// Waits in a queue.
    pub(crate) const QUEUED: Self = Self(1);
    /// Was wanted in this run: what is not wanted any more is deleted, not left as stale.
    pub(crate) const RUN: Self = Self(2);
    /// Was wanted by an engine that knew of the local host of this address.
    pub(crate) const DECIDED: Self = Self(4);
    /// Stale, and its time has come.
    pub(crate) const CONDEMNED: Self = Self(8);
    /// Set aside after a failure; `obstacle` knows until when.
    pub(crate) const PARKED: Self = Self(16);
    /// A dump contradicted what was believed.
    pub(crate) const AUDIT: Self = Self(32);
    /// Seen in the running dump (for FDB entries: the bridge's half).
    pub(crate) const SEEN: Self = Self(64);
    /// The VXLAN device's half was seen in the running dump.
    pub(crate) const SEEN_VXLAN: Self = Self(128);

    pub(crate) const fn has(self, mark: Self) -> bool {
        self.0 & mark.0 != 0
    }

    pub(crate) fn set(&mut self, mark: Self) {
        self.0 |= mark.0;
    }

    pub(crate) fn clear(&mut self, mark: Self) {
        self.0 &= !mark.0;
    }
}

/// One object: wanted, present, both or (for a moment) neither.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<W, H> {
    pub(crate) want: Option<W>,
    pub(crate) have: Option<H>,
    pub(crate) marks: Marks,
}

impl<W, H> Row<W, H> {
    const EMPTY: Self = Self { want: None, have: None, marks: Marks(0) };

    /// Wanted, and something of it is there.
    pub(crate) const fn is_wanted_and_there(&self) -> bool {
        self.want.is_some() && self.have.is_some()
    }
}

/// All objects of one kind.
#[derive(Debug)]
pub(crate) struct Table<K, W, H> {
    pub(crate) rows: HashMap<K, Row<W, H>, FixedState>,
    /// To be judged in the next round.
    pub(crate) pending: Vec<K>,
    /// To be judged in this round.
    pub(crate) round: Vec<K>,
    /// To be deleted at the end of this round.
    pub(crate) deletes: Vec<K>,
}

impl<K: Copy + Eq + Hash, W, H> Table<K, W, H> {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rows: HashMap::with_hasher(FixedState::with_seed(seed)),
            pending: Vec::new(),
            round: Vec::new(),
            deletes: Vec::new(),
        }
    }

    /// The row of a key, made if there is none.
    pub(crate) fn entry(&mut self, key: K) -> &mut Row<W, H> {
        self.rows.entry(key).or_insert(Row::EMPTY)
    }

    /// The row of a key and its place in the queue, in one look-up.
    pub(crate) fn entry_queued(&mut self, key: K) -> &mut Row<W, H> {
        let row = self.rows.entry(key).or_insert(Row::EMPTY);
        if !row.marks.has(Marks::QUEUED) {
            row.marks.set(Marks::QUEUED);
            self.pending.push(key);
        }
        row
    }

    pub(crate) fn queue(&mut self, key: K) {
        if let Some(row) = self.rows.get_mut(&key)
            && !row.marks.has(Marks::QUEUED)
        {
            row.marks.set(Marks::QUEUED);
            self.pending.push(key);
        }
    }

    /// Queues every row that `which` picks.
    pub(crate) fn queue_where(&mut self, mut which: impl FnMut(&K, &mut Row<W, H>) -> bool) {
        let Self { rows, pending, .. } = self;
        for (key, row) in rows.iter_mut() {
            if which(key, row) && !row.marks.has(Marks::QUEUED) {
                row.marks.set(Marks::QUEUED);
                pending.push(*key);
            }
        }
    }

    /// Forgets a row that says nothing any more.
    pub(crate) fn tidy(&mut self, key: K) {
        if let Some(row) = self.rows.get(&key)
            && row.want.is_none()
            && row.have.is_none()
            && !row.marks.has(Marks::QUEUED)
            && !row.marks.has(Marks::PARKED)
        {
            self.rows.remove(&key);
        }
    }

    /// Takes what waits into the round; whether there is anything.
    pub(crate) fn start_round(&mut self) -> bool {
        std::mem::swap(&mut self.pending, &mut self.round);
        self.pending.shrink_to(QUEUE_KEPT);
        self.deletes.shrink_to(QUEUE_KEPT);
        !self.round.is_empty()
    }

    /// The next row of the round, no longer queued.
    pub(crate) fn next(&mut self) -> Option<K> {
        let key = self.round.pop()?;
        if let Some(row) = self.rows.get_mut(&key) {
            row.marks.clear(Marks::QUEUED);
        }
        Some(key)
    }

    /// Whether anything waits.
    pub(crate) fn has_work(&self) -> bool {
        !(self.pending.is_empty() && self.round.is_empty() && self.deletes.is_empty())
    }

    /// No sweep any more: what was only stale stays.
    pub(crate) fn pardon(&mut self) {
        self.rows.values_mut().for_each(|row| row.marks.clear(Marks::CONDEMNED));
    }

    pub(crate) fn forget_seen(&mut self) {
        for row in self.rows.values_mut() {
            row.marks.clear(Marks::SEEN);
            row.marks.clear(Marks::SEEN_VXLAN);
        }
    }
}
