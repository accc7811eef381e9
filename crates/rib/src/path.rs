//! What names a path within its destination.
//!
//! **A neighbour has one path to a destination, or, where it sends path identifiers (RFC 7911), one
//! for each identifier.**

use crate::PeerIdx;
use std::fmt;

/// A path identifier as a neighbour gave it; any number may be one (RFC 7911 section 3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PathId(pub u32);

impl fmt::Display for PathId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names a path within a destination. Their order is that of a destination's paths.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PathKey {
    /// Whose it is.
    pub peer: PeerIdx,
    /// The identifier it came with, if it came with one.
    pub path_id: Option<PathId>,
}

impl From<PeerIdx> for PathKey {
    /// The only path of a neighbour that sends no identifiers.
    fn from(peer: PeerIdx) -> Self {
        Self { peer, path_id: None }
    }
}
