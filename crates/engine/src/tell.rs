//! What changed in a table, told to the groups of its neighbours.
//!
//! **A group whose neighbours take path identifiers hears of every change of any path, all others of
//! the path that they are told.**

use crate::constraints::Wants;
use crate::peer::{export_to, is_told};
use crate::rib::{GroupKey, Rib};
use evpn_rib::table::{DestId, PathKey};
use smallvec::SmallVec;

/// The paths of a route of which a group is told, by their names.
type Paths = SmallVec<[PathKey; 8]>;

/// RFC 7911 section 2: whatever could be forwarded by, each path by the rules for one.
fn paths_to(rib: &Rib, wants: &Wants, id: DestId, key: GroupKey) -> Paths {
    let paths = rib.table.get(id).map(|dest| dest.paths()).unwrap_or_default().iter();
    let eligible = paths.filter(|path| path.reject.is_none() && is_told(rib, wants, path, key));
    eligible.map(|path| rib.table.path_key(path)).collect()
}

/// The groups that are `meant` hear of a route. What each is told does not depend on any of them.
fn tell(rib: &mut Rib, wants: &Wants, id: DestId, meant: impl Fn(&GroupKey) -> bool) {
    let mut groups = std::mem::take(&mut rib.groups);
    for (key, group) in groups.iter_mut().filter(|(key, _)| meant(key)) {
        if key.path_ids {
            let paths = paths_to(rib, wants, id, *key);
            group.updates.change_paths(&mut rib.table, id, &paths);
        } else {
            let export = export_to(rib, wants, id, *key);
            group.updates.change(&mut rib.table, id, export);
        }
    }
    rib.groups = groups;
}

/// A best path changed: every group hears of it.
pub(crate) fn tell_groups(rib: &mut Rib, wants: &Wants, id: DestId) {
    tell(rib, wants, id, |_| true);
}

/// Other paths than the best ones changed: groups with path identifiers hear of them, of so many at
/// most. Returns of how many.
pub(crate) fn tell_others(rib: &mut Rib, wants: &Wants, count_max: usize) -> usize {
    let batch = count_max.min(rib.others.len());
    for id in rib.others.drain(..batch).collect::<Vec<_>>() {
        tell(rib, wants, id, |key| key.path_ids);
        rib.table.let_go(id);
    }
    batch
}

/// A group hears of every route that there is.
pub(crate) fn fill_group(rib: &mut Rib, wants: &Wants, key: GroupKey) {
    let Some(mut group) = rib.groups.remove(&key) else { return };
    let all: Vec<DestId> = rib.table.iter().map(|(id, _)| id).collect();
    for id in all {
        if key.path_ids {
            let paths = paths_to(rib, wants, id, key);
            if group.updates.is_otherwise_by_path(id, &paths) {
                group.updates.change_paths(&mut rib.table, id, &paths);
            }
            continue;
        }
        let export = export_to(rib, wants, id, key);
        if group.updates.is_otherwise(id, export) {
            group.updates.change(&mut rib.table, id, export);
        }
    }
    rib.groups.insert(key, group);
}
