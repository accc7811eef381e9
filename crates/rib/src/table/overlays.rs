//! What few paths have beside what all have: ESI and gateway, and the identifier that came with them.
//!
//! **Who has none of it pays for none of it**: a path identifier alone stands in the path itself, and
//! ESI and gateway in a row that only such paths have.

use super::{Path, PathId, PathKey};
use crate::slab::Slab;
use evpn_proto::types::{Esi, Route};
use std::net::IpAddr;

/// What a path has beside what all have. Octets, not numbers, so that a path has no gaps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Beside {
    Nothing,
    /// A path identifier.
    PathId([u8; 4]),
    /// ESI or gateway, in the row of this number.
    Overlay([u8; 4]),
    /// The same, with a path identifier in the row.
    OverlayAndPathId([u8; 4]),
}

impl Beside {
    const fn row(self) -> Option<u32> {
        match self {
            Self::Nothing | Self::PathId(_) => None,
            Self::Overlay(row) | Self::OverlayAndPathId(row) => Some(u32::from_be_bytes(row)),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Overlay {
    esi: Esi,
    gateway: Option<IpAddr>,
    path_id: [u8; 4],
}

/// The rows.
#[derive(Debug, Default)]
pub(super) struct Overlays(Slab<Overlay>);

impl Overlays {
    pub(super) fn insert(&mut self, route: &Route, path_id: Option<PathId>) -> Beside {
        let path_id = path_id.map(|id| id.0.to_be_bytes());
        let row = if route.esi.is_zero() && route.gateway.is_none() {
            None
        } else {
            let (esi, gateway) = (route.esi, route.gateway);
            self.0.insert(Overlay { esi, gateway, path_id: path_id.unwrap_or_default() })
        };
        match (row.map(u32::to_be_bytes), path_id) {
            (None, None) => Beside::Nothing,
            (None, Some(path_id)) => Beside::PathId(path_id),
            (Some(row), None) => Beside::Overlay(row),
            (Some(row), Some(_)) => Beside::OverlayAndPathId(row),
        }
    }

    pub(super) fn remove(&mut self, beside: Beside) {
        if let Some(row) = beside.row() {
            self.0.remove(row);
        }
    }

    pub(super) fn of(&self, beside: Beside) -> (Esi, Option<IpAddr>) {
        let row = beside.row().and_then(|row| self.0.get(row));
        row.map(|row| (row.esi, row.gateway)).unwrap_or_default()
    }

    pub(super) fn path_key(&self, path: &Path) -> PathKey {
        let path_id = match path.beside {
            Beside::Nothing | Beside::Overlay(_) => None,
            Beside::PathId(path_id) => Some(path_id),
            Beside::OverlayAndPathId(row) => {
                self.0.get(u32::from_be_bytes(row)).map(|overlay| overlay.path_id)
            }
        };
        PathKey { peer: path.peer, path_id: path_id.map(u32::from_be_bytes).map(PathId) }
    }

    /// Where the path of a name is among a destination's, or where it would be.
    pub(super) fn place(&self, paths: &[Path], key: PathKey) -> Result<usize, usize> {
        paths.binary_search_by(|path| self.path_key(path).cmp(&key))
    }
}
