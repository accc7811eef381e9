//! FDB entries: two halves in the kernel, one object here; and the local hosts beside them.
//!
//! **A half is believed to be there only if the kernel showed it or took it**: a bridge that moves
//! an entry to an access port says nothing of the VXLAN port that lost it.

use crate::object::{FdbKey, FdbTarget, IfIndex};
use crate::observe::{BridgeMac, MacState};
use crate::obstacle::Key;
use crate::reconciler::{BridgeHalf, FdbHave, Reconciler, VxlanHalf};
use crate::table::Marks;
use crate::verdict::is_group;
use evpn_proto::types::MacAddr;

impl Reconciler {
    pub(crate) fn bridge_mac(&mut self, entry: &BridgeMac) {
        let filters = self.tracker.filters_vlans(entry.bridge);
        if filters && entry.vlan.is_none() {
            // Such a bridge forwards by its entries with a VLAN.
            return;
        }
        if entry.state == MacState::Permanent || !self.tracker.is_vxlan(entry.port) {
            self.local_mac(entry);
            return;
        }
        if !self.tracker.locals.is_empty() && self.tracker.local_gone(entry.bridge, entry.mac) {
            self.queue_remote(entry.bridge, entry.mac);
        }
        let key = FdbKey { device: entry.port, mac: entry.mac };
        if entry.state == MacState::Learned && !self.fdb.rows.contains_key(&key) {
            return;
        }
        if !filters {
            self.moved_from_other_vxlans(entry);
        }
        let half = BridgeHalf { state: entry.state, sticky: entry.sticky };
        self.set_bridge_half(key, Some(half));
    }

    /// One address has one port: another VXLAN port of the same bridge has lost it.
    fn moved_from_other_vxlans(&mut self, entry: &BridgeMac) {
        if self.tracker.has_one_vxlan(entry.bridge) {
            return;
        }
        for port in self.tracker.vxlans_of(entry.bridge) {
            if port == entry.port {
                continue;
            }
            let key = FdbKey { device: port, mac: entry.mac };
            if self.fdb.rows.contains_key(&key) {
                self.set_bridge_half(key, None);
            }
        }
    }

    fn local_mac(&mut self, entry: &BridgeMac) {
        if !self.tracker.local(entry) {
            return;
        }
        for port in self.tracker.vxlans_of(entry.bridge) {
            let key = FdbKey { device: port, mac: entry.mac };
            if let Some(row) = self.fdb.rows.get_mut(&key) {
                row.marks.clear(Marks::DECIDED);
                self.set_bridge_half(key, None);
            }
        }
    }

    pub(crate) fn bridge_mac_gone(&mut self, entry: &BridgeMac) {
        if self.tracker.filters_vlans(entry.bridge) && entry.vlan.is_none() {
            return;
        }
        let place = (entry.bridge, entry.mac);
        if self.tracker.locals.get(&place).is_some_and(|local| local.port == entry.port) {
            self.tracker.local_gone(entry.bridge, entry.mac);
            self.queue_remote(entry.bridge, entry.mac);
        }
        let key = FdbKey { device: entry.port, mac: entry.mac };
        if self.fdb.rows.contains_key(&key) {
            self.set_bridge_half(key, None);
        }
    }

    /// Nothing local stands against the remote entries of an address any more.
    pub(crate) fn queue_remote(&mut self, bridge: IfIndex, mac: MacAddr) {
        for device in self.tracker.vxlans_of(bridge) {
            self.fdb.queue(FdbKey { device, mac });
        }
    }

    pub(crate) fn vxlan_mac(&mut self, key: FdbKey, to: FdbTarget, state: MacState) {
        if state == MacState::Learned && !self.fdb.rows.contains_key(&key) {
            return;
        }
        self.set_vxlan_half(key, Some(VxlanHalf { to, state }));
    }

    pub(crate) fn set_bridge_half(&mut self, key: FdbKey, half: Option<BridgeHalf>) {
        if half.is_none() && !self.fdb.rows.contains_key(&key) {
            return;
        }
        let row = self.fdb.entry(key);
        if self.dumping {
            row.marks.set(Marks::SEEN);
        }
        let mut have = row.have.unwrap_or_default();
        if have.bridge == half {
            return;
        }
        have.bridge = half;
        self.put_fdb(key, have);
    }

    pub(crate) fn set_vxlan_half(&mut self, key: FdbKey, half: Option<VxlanHalf>) {
        if half.is_none() && !self.fdb.rows.contains_key(&key) {
            return;
        }
        let row = self.fdb.entry(key);
        if self.dumping {
            row.marks.set(Marks::SEEN_VXLAN);
        }
        let mut have = row.have.unwrap_or_default();
        let old = have.vxlan;
        if old == half {
            return;
        }
        have.vxlan = half;
        if let Some(VxlanHalf { to: FdbTarget::Group(id), .. }) = half {
            self.nexthops.add_ref(id);
        }
        if let Some(VxlanHalf { to: FdbTarget::Group(id), .. }) = old {
            self.nexthops.drop_ref(id);
        }
        self.put_fdb(key, have);
    }

    fn put_fdb(&mut self, key: FdbKey, have: FdbHave) {
        let audit = self.dumping && self.adopted;
        let row = self.fdb.entry_queued(key);
        row.have = (have != FdbHave::default()).then_some(have);
        if audit {
            row.marks.set(Marks::AUDIT);
        }
        let stale = row.want.is_none() && row.have.is_some() && !row.marks.has(Marks::RUN);
        if stale {
            self.note_stale(Key::Fdb(key));
        }
    }

    /// Both halves are written: what the kernel has now. It is not believed where the kernel
    /// pretends to make a destination of a group, because the deletion before has failed.
    pub(crate) fn fdb_written(&mut self, key: FdbKey, to: FdbTarget) {
        let Some(row) = self.fdb.rows.get_mut(&key) else { return };
        let old = row.have.unwrap_or_default();
        if old.vxlan.is_some_and(|half| is_group(half.to) != is_group(to)) {
            self.fdb.queue(key);
            return;
        }
        if let FdbTarget::Group(id) = to {
            self.nexthops.add_ref(id);
        }
        // An entry that was there keeps its stickiness.
        let sticky = old.bridge.is_some_and(|half| half.sticky);
        row.have = Some(FdbHave {
            bridge: Some(BridgeHalf { state: MacState::External, sticky }),
            vxlan: Some(VxlanHalf { to, state: MacState::External }),
        });
        if row.want.is_some_and(|want| want.sticky != sticky) {
            self.fdb.queue(key);
        }
        if let Some(VxlanHalf { to: FdbTarget::Group(id), .. }) = old.vxlan {
            self.nexthops.drop_ref(id);
        }
        self.worked(Key::Fdb(key));
    }
}
