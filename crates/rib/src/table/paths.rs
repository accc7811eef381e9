//! Paths come, go, and count or do not.
//!
//! **Whatever changes is decided anew at once, and each call says what others could see of it.**

use super::{Dest, DestId, Outcome, Path, PathKey, Reject, Stale, Table, Which};
use crate::PeerIdx;
use crate::attr_store::{AttrId, AttrStore};
use evpn_proto::types::{Route, RouteKey};
use smallvec::SmallVec;

/// Paths that a neighbour may have to one destination: a change makes the decision look at all of
/// them. More than sites that share a prefix, and too few to keep anybody busy.
pub const PATHS_MAX: usize = 256;

impl Table {
    fn count(&mut self, path: &Path) {
        let counts = self.counts.entry(path.peer).or_default();
        counts.held += 1;
        counts.rejected += usize::from(path.reject.is_some());
        counts.stale += usize::from(path.stale == Stale::Yes);
    }

    fn uncount(&mut self, path: &Path) {
        let counts = self.counts.entry(path.peer).or_default();
        counts.held = counts.held.saturating_sub(1);
        counts.rejected = counts.rejected.saturating_sub(usize::from(path.reject.is_some()));
        counts.stale = counts.stale.saturating_sub(usize::from(path.stale == Stale::Yes));
    }

    /// Stores a neighbour's path in place of its former one. The caller gives up its use of
    /// `attributes` to the table.
    pub fn announce(
        &mut self,
        store: &mut AttrStore,
        from: impl Into<PathKey>,
        route: Route,
        attributes: AttrId,
        reject: Option<Reject>,
    ) -> Outcome {
        let from = from.into();
        let path = self.new_path(from, &route, attributes, reject);
        let Some(id) = self.find_or_insert(route.key) else {
            self.release(store, &path);
            return Outcome::Unchanged;
        };
        let overlays = &self.overlays;
        let Some(dest) = self.dests.get_mut(id.0) else { return Outcome::Unchanged };
        let best = dest.best().map(|best| overlays.path_key(best));
        let former = match overlays.place(&dest.paths, from) {
            Ok(place) => dest.paths.get_mut(place).map(|slot| std::mem::replace(slot, path)),
            Err(_) if from.path_id.is_some() && is_full(dest, from.peer) => {
                self.release(store, &path);
                return Outcome::TooMany;
            }
            Err(place) => {
                dest.paths.insert(place, path);
                None
            }
        };
        let same = former.filter(|f| {
            let Path { stale, beside, changed_at_seconds, .. } = path;
            let refreshed = Path { stale, beside, changed_at_seconds, ..*f };
            refreshed == path && self.overlays.of(f.beside) == self.overlays.of(beside)
        });
        if let (Some(same), Some(slot)) = (same, self.slot(id, from)) {
            slot.changed_at_seconds = same.changed_at_seconds;
        }
        self.count(&path);
        if let Some(former) = former {
            self.uncount(&former);
            self.release(store, &former);
        }
        if same.is_some() { Outcome::Unchanged } else { self.decide(store, id, best, Some(from)) }
    }

    fn slot(&mut self, id: DestId, key: PathKey) -> Option<&mut Path> {
        let paths = &mut self.dests.get_mut(id.0)?.paths;
        let place = self.overlays.place(paths, key).ok()?;
        paths.get_mut(place)
    }

    fn new_path(
        &mut self,
        from: PathKey,
        route: &Route,
        attributes: AttrId,
        reject: Option<Reject>,
    ) -> Path {
        Path {
            attributes,
            beside: self.overlays.insert(route, from.path_id),
            changed_at_seconds: self.seconds,
            label1: route.label1,
            label2: route.label2.unwrap_or_default(),
            peer: from.peer,
            reject,
            stale: Stale::No,
        }
    }

    fn release(&mut self, store: &mut AttrStore, path: &Path) {
        store.release(path.attributes);
        self.overlays.remove(path.beside);
    }

    /// Removes a neighbour's path.
    pub fn withdraw(
        &mut self,
        store: &mut AttrStore,
        from: impl Into<PathKey>,
        key: &RouteKey,
    ) -> Outcome {
        match self.find(key) {
            Some(id) => self.remove_path(store, from.into(), id),
            None => Outcome::Unchanged,
        }
    }

    fn remove_path(&mut self, store: &mut AttrStore, from: PathKey, id: DestId) -> Outcome {
        let overlays = &self.overlays;
        let Some(dest) = self.dests.get_mut(id.0) else { return Outcome::Unchanged };
        let Ok(place) = overlays.place(&dest.paths, from) else { return Outcome::Unchanged };
        let best = dest.best().map(|best| overlays.path_key(best));
        let path = dest.paths.remove(place);
        self.uncount(&path);
        self.release(store, &path);
        self.decide(store, id, best, None)
    }

    /// Removes a neighbour's paths from a destination.
    pub fn remove_paths(
        &mut self,
        store: &mut AttrStore,
        peer: PeerIdx,
        id: DestId,
        which: Which,
    ) -> Outcome {
        let overlays = &self.overlays;
        let Some(dest) = self.dests.get_mut(id.0) else { return Outcome::Unchanged };
        let best = dest.best().map(|best| overlays.path_key(best));
        let mut gone: SmallVec<[Path; 1]> = SmallVec::new();
        dest.paths.retain(|path| {
            let goes = which.takes(peer, path);
            if goes {
                gone.push(*path);
            }
            !goes
        });
        for path in &gone {
            self.uncount(path);
            self.release(store, path);
        }
        if gone.is_empty() { Outcome::Unchanged } else { self.decide(store, id, best, None) }
    }

    /// Rejects a neighbour's path, or no longer does.
    pub fn set_reject(
        &mut self,
        store: &AttrStore,
        from: impl Into<PathKey>,
        id: DestId,
        reject: Option<Reject>,
    ) -> Outcome {
        let from = from.into();
        let best = self.get(id).and_then(Dest::best).map(|best| self.path_key(best));
        let Some(slot) = self.slot(id, from) else { return Outcome::Unchanged };
        let former = *slot;
        if former.reject == reject {
            return Outcome::Unchanged;
        }
        slot.reject = reject;
        let path = *slot;
        self.count(&path);
        self.uncount(&former);
        self.decide(store, id, best, Some(from))
    }
}

fn is_full(dest: &Dest, peer: PeerIdx) -> bool {
    dest.paths.iter().filter(|path| path.peer == peer).count() >= PATHS_MAX
}
