//! Several paths to a route from one neighbour and to one (RFC 7911).
//!
//! **Which family has path identifiers is what the session agreed on**, and never guessed from what
//! an UPDATE has.

use crate::engine::Engine;
use crate::io::{Event, Output};
use evpn_proto::types::{Family, Route};
use evpn_rib::PeerIdx;
use evpn_rib::table::{PATHS_MAX, PathId, PathKey};

/// Routes of one family as an UPDATE announces them.
pub(crate) struct Announced {
    pub(crate) routes: Vec<Route>,
    /// Of each route; empty where the family has none.
    pub(crate) path_ids: Vec<u32>,
}

impl Announced {
    /// Each route with what names its path.
    pub(crate) fn from(self, peer: PeerIdx) -> impl Iterator<Item = (PathKey, Route)> {
        let path_ids = self.path_ids.into_iter().map(Some).chain(std::iter::repeat(None));
        let named = move |(path_id, route): (Option<u32>, Route)| {
            (PathKey { peer, path_id: path_id.map(PathId) }, route)
        };
        path_ids.zip(self.routes).map(named)
    }
}

impl Engine {
    /// What names the path that a neighbour withdraws. A message may withdraw routes of two families
    /// of which one has no path identifiers: then what stands in their place means nothing.
    pub(crate) fn withdrawn_path(
        &self,
        peer: PeerIdx,
        family: Family,
        path_id: Option<&u32>,
    ) -> PathKey {
        let agreed = || {
            let up = self.peer(peer).and_then(|p| p.up.as_ref());
            up.is_some_and(|up| up.negotiated.add_path_received.contains(family))
        };
        PathKey { peer, path_id: path_id.filter(|_| agreed()).copied().map(PathId) }
    }

    /// So many paths of a neighbour were not taken, since it has enough to the same destinations.
    pub(crate) fn too_many_paths(&mut self, index: PeerIdx, count: u64) {
        let Some(peer) = self.peer_mut(index).filter(|_| count > 0) else { return };
        peer.faults.routes_discarded += count;
        let text = format!("more than {PATHS_MAX} paths to one route");
        if peer.last_fault.as_ref() != Some(&text) {
            peer.last_fault = Some(text.clone());
            let event = Event::PeerErrors(peer.id(), format!("{text}: the rest is left out"));
            self.output(Output::Event(event));
        }
    }
}
