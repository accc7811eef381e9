//! What the kernel has of flood entries, neighbours, routes and nexthops, and what goes with what.
//!
//! **The model cascades as the kernel does**: a device takes its nexthops along, a nexthop its last
//! group, a group the routes and VXLAN entries that use it, and the kernel tells of none of them.

use crate::facts::LinkKind;
use crate::object::{FdbKey, FdbTarget, FloodKey, IfIndex, NeighbourKey, NexthopGroup, NexthopId};
use crate::observe::NexthopSpec;
use crate::obstacle::Key;
use crate::op::KernelRoute;
use crate::reconciler::{FloodHave, NeighbourHave, Reconciler, VxlanHalf};
use crate::table::{Marks, Table};
use std::hash::Hash;

/// What the kernel shows of a row. Whether the row is stale now.
fn put<K: Copy + Eq + Hash, W, H: PartialEq>(
    table: &mut Table<K, W, H>,
    key: K,
    have: Option<H>,
    (dumping, audit): (bool, bool),
) -> bool {
    if have.is_none() && !table.rows.contains_key(&key) {
        return false;
    }
    let row = table.entry(key);
    if dumping {
        row.marks.set(Marks::SEEN);
    }
    if row.have == have {
        return false;
    }
    row.have = have;
    if audit {
        row.marks.set(Marks::AUDIT);
    }
    let stale = row.want.is_none() && row.have.is_some() && !row.marks.has(Marks::RUN);
    table.queue(key);
    stale
}

impl Reconciler {
    const fn occasion(&self) -> (bool, bool) {
        (self.dumping, self.dumping && self.adopted)
    }

    /// A stale object turned up.
    pub(crate) fn note_stale(&mut self, key: Key) {
        if self.mode >= crate::object::Mode::Sweep && !self.dumping {
            self.stale.push_back(key);
        }
    }

    pub(crate) fn set_flood(&mut self, key: FloodKey, have: Option<FloodHave>) {
        let occasion = self.occasion();
        if put(&mut self.flood, key, have, occasion) {
            self.note_stale(Key::Flood(key));
        }
    }

    pub(crate) fn set_neighbour(&mut self, key: NeighbourKey, have: Option<NeighbourHave>) {
        let occasion = self.occasion();
        if put(&mut self.neighbours, key, have, occasion) {
            self.note_stale(Key::Neighbour(key));
        }
    }

    pub(crate) fn set_route(&mut self, route: KernelRoute, have: Option<NexthopId>) {
        if have.is_none() && !self.routes.rows.contains_key(&route) {
            return;
        }
        let old = self.routes.rows.get(&route).and_then(|row| row.have);
        if let Some(id) = have.filter(|have| old != Some(*have)) {
            self.nexthops.add_ref(id);
        }
        if let Some(id) = old.filter(|old| have != Some(*old)) {
            self.nexthops.drop_ref(id);
        }
        let occasion = self.occasion();
        if put(&mut self.routes, route, have, occasion) {
            self.note_stale(Key::Route(route));
        }
    }

    pub(crate) fn seen_nexthop(&mut self, id: NexthopId, spec: NexthopSpec, protocol: u8) {
        if !id.is_ours() {
            return;
        }
        let ours = protocol == self.settings.protocol;
        let audit = self.dumping && self.adopted;
        let dumping = self.dumping;
        let old = self.nexthops.kernel.get(&id);
        let news = old.is_none_or(|held| held.have.as_ref() != Some(&spec));
        let unknown = old.is_none_or(|held| held.have.is_none() && held.logical.is_none());
        if news {
            self.nexthops.set_have(id, Some(spec), ours);
        }
        let Some(held) = self.nexthops.kernel.get_mut(&id) else { return };
        if dumping {
            held.marks.set(Marks::SEEN);
        }
        let logical = held.logical;
        if let Some(logical) = logical.filter(|_| news) {
            if audit && let Some(row) = self.nexthops.logical.get_mut(&logical) {
                row.marks.set(Marks::AUDIT);
            }
            self.nexthops.queue(logical);
        }
        if unknown && ours {
            self.note_stale(Key::Held(id));
        }
        if news {
            self.nexthop_ready();
        }
    }

    /// What waited for a nexthop gets another look.
    pub(crate) fn nexthop_ready(&mut self) {
        let waiting: Vec<Key> = self.waiting.drain().collect();
        for key in waiting {
            self.queue(key);
        }
    }

    /// A nexthop or group is gone from the kernel, with all that depended on it.
    pub(crate) fn nexthop_vanished(&mut self, id: NexthopId) {
        let Some(held) = self.nexthops.kernel.get(&id) else { return };
        let (ours, logical, refs) = (held.ours, held.logical, held.refs);
        self.nexthops.set_have(id, None, ours);
        if let Some(logical) = logical {
            if self.dumping
                && self.adopted
                && let Some(row) = self.nexthops.logical.get_mut(&logical)
            {
                row.marks.set(Marks::AUDIT);
            }
            self.nexthops.queue(logical);
        }
        if refs == 0 {
            return;
        }
        for group in self.nexthops.groups_with(id) {
            self.member_vanished(group, id);
        }
        let users = |have: &Option<NexthopId>| *have == Some(id);
        let routes: Vec<_> =
            self.routes.rows.iter().filter(|(_, r)| users(&r.have)).map(|(k, _)| *k).collect();
        for route in routes {
            self.set_route(route, None);
        }
        let entries: Vec<_> = self
            .fdb
            .rows
            .iter()
            .filter(|(_, row)| {
                let half = row.have.and_then(|have| have.vxlan);
                matches!(half, Some(VxlanHalf { to: FdbTarget::Group(group), .. }) if group == id)
            })
            .map(|(key, _)| *key)
            .collect();
        for key in entries {
            self.set_vxlan_half(key, None);
        }
    }

    fn member_vanished(&mut self, group: NexthopId, member: NexthopId) {
        let Some(held) = self.nexthops.kernel.get(&group) else { return };
        let (ours, logical) = (held.ours, held.logical);
        let without = |group: &NexthopGroup| NexthopGroup {
            members: group.members.iter().filter(|m| m.nexthop != member).copied().collect(),
            resilience: group.resilience,
        };
        let left = match &held.have {
            Some(NexthopSpec::Group(group)) => NexthopSpec::Group(without(group)),
            Some(NexthopSpec::FdbGroup(group)) => NexthopSpec::FdbGroup(without(group)),
            _ => return,
        };
        if left.group().is_some_and(|group| group.members.is_empty()) {
            self.nexthop_vanished(group);
            return;
        }
        self.nexthops.set_have(group, Some(left), ours);
        if let Some(logical) = logical {
            self.nexthops.queue(logical);
        }
    }

    /// A device is down: the kernel has dropped its nexthops without a word. Whether there were any.
    pub(crate) fn drop_nexthops_on(&mut self, device: IfIndex) -> bool {
        let on_it = |spec: &Option<NexthopSpec>| matches!(spec, Some(NexthopSpec::Routed(nexthop)) if nexthop.device == device);
        let mut ids: Vec<_> = self
            .nexthops
            .kernel
            .iter()
            .filter(|(_, held)| on_it(&held.have))
            .map(|(id, _)| *id)
            .collect();
        ids.sort_unstable();
        let any = !ids.is_empty();
        for id in ids {
            self.nexthop_vanished(id);
        }
        any
    }

    /// A device is gone, and what was on it.
    pub(crate) fn device_gone(&mut self, device: IfIndex) {
        self.drop_nexthops_on(device);
        let fdb: Vec<FdbKey> =
            self.fdb.rows.keys().filter(|key| key.device == device).copied().collect();
        for key in fdb {
            self.set_bridge_half(key, None);
            self.set_vxlan_half(key, None);
            self.give_back(Key::Fdb(key));
        }
        let flood: Vec<FloodKey> =
            self.flood.rows.keys().filter(|key| key.device == device).copied().collect();
        for key in flood {
            self.set_flood(key, None);
            self.give_back(Key::Flood(key));
        }
        let neighbours: Vec<NeighbourKey> =
            self.neighbours.rows.keys().filter(|key| key.device == device).copied().collect();
        for key in neighbours {
            self.set_neighbour(key, None);
            self.give_back(Key::Neighbour(key));
        }
    }

    /// A device appeared, came up or changed its bridge: what waits on it gets another look, and so
    /// does what is written on the VXLAN ports of a bridge.
    pub(crate) fn device_ready(&mut self, device: IfIndex) {
        for key in self.obstacles.on_link(device) {
            self.unpark(key);
        }
        let wanted = self.tracker.links.get(&device).map(|link| link.kind.clone());
        if matches!(wanted, Some(LinkKind::Vxlan(_))) {
            self.fdb.queue_where(|key, _| key.device == device);
            self.flood.queue_where(|key, _| key.device == device);
        }
        self.neighbours.queue_where(|key, _| key.device == device);
        let on_it: Vec<NexthopId> = self
            .nexthops
            .logical
            .iter()
            .filter(|(_, row)| {
                matches!(&row.want, NexthopSpec::Routed(nexthop) if nexthop.device == device)
            })
            .map(|(id, _)| *id)
            .collect();
        for id in on_it {
            self.nexthops.queue(id);
        }
    }

    /// Gives a row that was set aside another chance.
    pub(crate) fn unpark(&mut self, key: Key) {
        self.clear_parked(key);
        self.queue(key);
    }

    pub(crate) fn clear_parked(&mut self, key: Key) {
        match key {
            Key::Nexthop(id) => {
                if let Some(row) = self.nexthops.logical.get_mut(&id) {
                    row.marks.clear(Marks::PARKED);
                }
            }
            Key::Held(_) => {}
            Key::Route(route) => clear_parked(&mut self.routes, route),
            Key::Neighbour(key) => clear_parked(&mut self.neighbours, key),
            Key::Flood(key) => clear_parked(&mut self.flood, key),
            Key::Fdb(key) => clear_parked(&mut self.fdb, key),
        }
    }

    /// Has a row judged in the next round.
    pub(crate) fn queue(&mut self, key: Key) {
        match key {
            Key::Nexthop(id) => self.nexthops.queue(id),
            Key::Held(id) => self.nexthops.gone.push(id),
            Key::Route(route) => self.routes.queue(route),
            Key::Neighbour(key) => self.neighbours.queue(key),
            Key::Flood(key) => self.flood.queue(key),
            Key::Fdb(key) => self.fdb.queue(key),
        }
    }
}

fn clear_parked<K: Copy + Eq + Hash, W, H>(table: &mut Table<K, W, H>, key: K) {
    if let Some(row) = table.rows.get_mut(&key) {
        row.marks.clear(Marks::PARKED);
    }
}
