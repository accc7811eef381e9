//! Where neighbours are to find us, when addresses come and go under sessions that stand: an IPv6
//! address is there only when the kernel has made sure that nobody else has it.
//!
//! **Who is told another next hop misses no withdrawal**: a neighbour changes its group when it has
//! heard all of the former. Where groups number paths each has its own numbers: those that the new
//! one does not have end with the change.
//!
//! Not here: a next hop that is gone without another. What was told with it stays told, and the
//! session goes with the link.

use crate::engine::Engine;
use crate::io::Output;
use crate::rib::{GroupKey, SelfHop};
use crate::stretch::{count_messages, put_withdrawals};
use bytes::BytesMut;
use evpn_proto::types::Family;
use evpn_rib::PeerIdx;
use evpn_rib::table::{DestId, PathId};
use std::collections::BTreeSet;

impl Engine {
    /// Tells neighbours where to find us, if that is another place than before.
    pub(crate) fn follow_hops(&mut self) {
        if !std::mem::take(&mut self.unicast.hops_may_differ) {
            return;
        }
        let up = self.peers.iter().filter(|peer| peer.up.is_some());
        for index in up.map(|peer| peer.index).collect::<Vec<_>>() {
            for (family, hop) in self.self_hops(index) {
                if family.is_unicast() && !self.follow_hop(index, family, hop) {
                    self.unicast.hops_may_differ = true;
                }
            }
        }
    }

    /// Tells whether it is done; else it is to be tried again when the neighbour has heard more.
    fn follow_hop(&mut self, index: PeerIdx, family: Family, hop: SelfHop) -> bool {
        let up = self.peer(index).and_then(|peer| peer.up.as_ref());
        let Some(former) = up.and_then(|up| Some(up.exchange(family)?.group)) else { return true };
        if former.self_hop == Some(hop) {
            return true;
        }
        let Some(rib) = self.ribs.get(family) else { return true };
        let current = rib.groups.get(&former).is_none_or(|group| group.updates.is_current(index));
        if !rib.dirty.is_empty() || !current {
            return false;
        }
        let group = GroupKey { self_hop: Some(hop), ..former };
        let held = self.numbers_held(index, family, former);
        self.leave_group(family, former, index);
        let up = self.peer_mut(index).and_then(|peer| peer.up.as_mut());
        if let Some(exchange) = up.and_then(|up| up.families.get_mut(&family)) {
            exchange.group = group;
        }
        self.join_group(index, family, group);
        let kept = self.numbers_held(index, family, group);
        self.end_numbers(index, family, held.difference(&kept).copied().collect());
        true
    }

    fn numbers_held(
        &self,
        index: PeerIdx,
        family: Family,
        key: GroupKey,
    ) -> BTreeSet<(DestId, PathId)> {
        let group = self.ribs.get(family).and_then(|rib| rib.groups.get(&key));
        group.map(|group| group.updates.numbers_held_by(index)).unwrap_or_default()
    }

    /// Withdraws what a neighbour holds under numbers that nobody will name again.
    fn end_numbers(&mut self, index: PeerIdx, family: Family, numbers: Vec<(DestId, PathId)>) {
        let (Some(rib), Some(peer)) = (self.ribs.get(family), self.peers.get_mut(index)) else {
            return;
        };
        let Some(up) = peer.up.as_mut().filter(|_| !numbers.is_empty()) else { return };
        let Some(key) = up.exchange(family).map(|exchange| exchange.group) else { return };
        let mut out = BytesMut::new();
        let all = numbers.iter().map(|(id, number)| (*id, Some(*number)));
        put_withdrawals(rib, all, key, &mut out);
        up.in_flight += out.len();
        up.updates_unreported += count_messages(&out);
        let (connection, octets) = (up.connection, out.freeze());
        self.output(Output::Send { peer: index, connection, octets });
    }
}
