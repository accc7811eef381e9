//! What a neighbour tells again (RFC 7313 section 4), and what it has not told again yet.
//!
//! **A refresh marks only what nothing else has marked**: of what a restart keeps, the restart
//! decides.

use super::{Stale, Table};
use crate::PeerIdx;

impl Table {
    /// Marks the paths of a neighbour, which it begins to tell again.
    pub fn mark_unrefreshed(&mut self, peer: PeerIdx) {
        for path in self.paths_of_mut(peer).filter(|path| path.stale == Stale::No) {
            path.stale = Stale::Unrefreshed;
        }
    }
}
