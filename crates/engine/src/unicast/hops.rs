//! Where neighbours are to find us, when addresses come and go under sessions that stand: an IPv6
//! address is there only when the kernel has made sure that nobody else has it.
//!
//! **Who is told another next hop misses no withdrawal**: a neighbour changes its group when it has
//! heard all of the former.
//!
//! Not here: a next hop that is gone without another. What was told with it stays told, and the
//! session goes with the link.

use crate::engine::Engine;
use crate::rib::{GroupKey, SelfHop};
use evpn_proto::types::Family;
use evpn_rib::PeerIdx;

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
        self.leave_group(family, former, index);
        let up = self.peer_mut(index).and_then(|peer| peer.up.as_mut());
        if let Some(exchange) = up.and_then(|up| up.families.get_mut(&family)) {
            exchange.group = group;
        }
        self.join_group(index, family, group);
        true
    }
}
