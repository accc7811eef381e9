//! What a neighbour tells again (RFC 7313 section 4), and what it has not told again yet.
//!
//! **A refresh marks only what nothing else has marked**: of what a restart keeps, the restart
//! decides.

use super::{Stale, Table};
use crate::PeerIdx;
use evpn_proto::types::RouteKey;

impl Table {
    /// Marks the paths of a neighbour that it begins to tell again: those whose key is `of` them.
    pub fn mark_unrefreshed(&mut self, peer: PeerIdx, of: impl Fn(&RouteKey) -> bool) {
        let dests = self.dests.iter_mut().filter(|dest| of(&dest.key));
        let paths = dests.flat_map(|dest| dest.paths.iter_mut()).filter(|p| p.peer == peer);
        for path in paths.filter(|p| p.stale == Stale::No) {
            path.stale = Stale::Unrefreshed;
        }
    }
}
