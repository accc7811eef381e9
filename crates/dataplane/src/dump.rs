//! Comparing everything with a full dump.
//!
//! **After a dump, and the news that came during it, what is believed is what the kernel has**:
//! what the dump did not show is gone.

use crate::object::{FdbKey, Mode};
use crate::observe::MacState;
use crate::obstacle::Key;
use crate::reconciler::{FdbHave, NeighbourHave, Reconciler};
use crate::table::{Marks, Row, Table};

impl Reconciler {
    /// A dump begins: what is observed from now on is what it shows. Observe no news meanwhile;
    /// they keep, and follow after [`Reconciler::end_dump`].
    pub fn begin_dump(&mut self) {
        self.dumping = true;
        self.tracker.begin_dump();
        self.fdb.forget_seen();
        self.flood.forget_seen();
        self.neighbours.forget_seen();
        self.routes.forget_seen();
        self.nexthops.kernel.values_mut().for_each(|held| held.marks.clear(Marks::SEEN));
    }

    /// A dump failed half way: nothing is concluded from what it did not show.
    pub fn abandon_dump(&mut self) {
        self.dumping = false;
        self.suspect = true;
    }

    /// The dump is complete.
    pub fn end_dump(&mut self) {
        self.counters.dumps += 1;
        for device in self.tracker.end_dump() {
            self.device_gone(device);
        }
        for (bridge, mac) in self.tracker.unseen_locals() {
            self.tracker.local_gone(bridge, mac);
            self.queue_remote(bridge, mac);
        }
        self.drop_unseen();
        // What the kernel refused gets another chance: things may have changed unseen.
        for key in self.obstacles.refused() {
            self.unpark(key);
        }
        self.contradicted = self.adopted;
        self.dumping = false;
        if !self.adopted {
            self.adopted = true;
            self.nexthops.offer_for_adoption();
            self.tracker.tell_adopted();
        }
        if self.mode >= Mode::Sweep {
            self.collect_stale();
        }
    }

    fn drop_unseen(&mut self) {
        let mut gone: Vec<_> = self
            .nexthops
            .kernel
            .iter()
            .filter(|(_, held)| held.have.is_some() && !held.marks.has(Marks::SEEN))
            .map(|(id, _)| *id)
            .collect();
        gone.sort_unstable();
        for id in gone {
            self.nexthop_vanished(id);
        }
        for route in unseen(&self.routes) {
            self.set_route(route, None);
        }
        for key in unseen(&self.neighbours) {
            self.set_neighbour(key, None);
        }
        for key in unseen(&self.flood) {
            self.set_flood(key, None);
        }
        let halves: Vec<(FdbKey, bool, bool)> = self
            .fdb
            .rows
            .iter()
            .filter_map(|(key, row)| {
                let have = row.have?;
                let bridge = have.bridge.is_some() && !row.marks.has(Marks::SEEN);
                let vxlan = have.vxlan.is_some() && !row.marks.has(Marks::SEEN_VXLAN);
                (bridge || vxlan).then_some((*key, bridge, vxlan))
            })
            .collect();
        for (key, bridge, vxlan) in halves {
            if bridge {
                self.set_bridge_half(key, None);
            }
            if vxlan {
                self.set_vxlan_half(key, None);
            }
        }
    }

    /// Lists what is ours and was never wanted in this run: those that speak for others first.
    pub(crate) fn collect_stale(&mut self) {
        self.stale.clear();
        let list = &mut self.stale;
        list.extend(stale(&self.routes).map(Key::Route));
        list.extend(stale(&self.neighbours).map(Key::Neighbour));
        list.extend(stale(&self.flood).map(Key::Flood));
        list.extend(stale(&self.fdb).map(Key::Fdb));
        let mut ids: Vec<_> = self
            .nexthops
            .kernel
            .iter()
            .filter(|(_, held)| {
                held.ours
                    && held.have.is_some()
                    && held.logical.is_none()
                    && !held.marks.has(Marks::CONDEMNED)
            })
            .map(|(id, _)| *id)
            .collect();
        ids.sort_unstable();
        list.extend(ids.into_iter().map(Key::Held));
    }

    /// A stale object's time has come. Whether it is stale still, and ours to delete.
    pub(crate) fn condemn(&mut self, key: Key) -> bool {
        match key {
            Key::Route(route) => condemn_row(self.routes.rows.get_mut(&route), |_| true),
            Key::Neighbour(key) => condemn_row(self.neighbours.rows.get_mut(&key), |have| {
                matches!(have, NeighbourHave::Ours(_))
            }),
            Key::Flood(key) => {
                self.managed.contains(&key.device)
                    && condemn_row(self.flood.rows.get_mut(&key), |have| have.ours)
            }
            Key::Fdb(key) => {
                self.managed.contains(&key.device)
                    && condemn_row(self.fdb.rows.get_mut(&key), has_our_half)
            }
            Key::Held(id) => match self.nexthops.kernel.get_mut(&id) {
                Some(held) if held.ours && held.logical.is_none() => {
                    held.marks.set(Marks::CONDEMNED);
                    true
                }
                _ => false,
            },
            Key::Nexthop(_) => false,
        }
    }
}

fn has_our_half(have: &FdbHave) -> bool {
    have.bridge.is_some_and(|half| half.state == MacState::External)
        || have.vxlan.is_some_and(|half| half.state == MacState::External)
}

fn condemn_row<W, H>(row: Option<&mut Row<W, H>>, ours: impl Fn(&H) -> bool) -> bool {
    let Some(row) = row else { return false };
    let stale = row.want.is_none() && row.have.as_ref().is_some_and(ours);
    if stale {
        row.marks.set(Marks::CONDEMNED);
    }
    stale
}

fn unseen<K: Copy, W, H>(table: &Table<K, W, H>) -> Vec<K> {
    let rows = table.rows.iter();
    rows.filter(|(_, row)| row.have.is_some() && !row.marks.has(Marks::SEEN))
        .map(|(key, _)| *key)
        .collect()
}

fn stale<K: Copy, W, H>(table: &Table<K, W, H>) -> impl Iterator<Item = K> {
    let rows = table.rows.iter();
    rows.filter(|(_, row)| row.want.is_none() && row.have.is_some() && !row.marks.has(Marks::RUN))
        .map(|(key, _)| *key)
}
