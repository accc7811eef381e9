//! What a group's neighbours are to be told next.
//!
//! **Who stands at the same cursor is told the same, but for what came from himself, and whoever is
//! not current gets on by what he is told, be it nothing.**

use super::{Export, UpdateGroup};
use crate::PeerIdx;
use crate::table::{DestId, PathId, PathKey};

/// The next changes that a neighbour is to be told.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Batch {
    /// The cursor afterwards.
    pub to: u64,
    /// Routes whose best path to announce, in order of change.
    pub announce: Vec<DestId>,
    /// Routes to withdraw.
    pub withdraw: Vec<DestId>,
    /// Of a group with path identifiers: paths to announce.
    pub paths: Vec<(DestId, PathKey, PathId)>,
    /// Of such a group: paths to withdraw.
    pub gone: Vec<(DestId, PathId)>,
}

/// The next changes of every neighbour at a cursor; each leaves out what came from itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stretch {
    /// The cursor afterwards.
    pub to: u64,
    /// Routes whose best path to announce with its source, in order of change.
    pub announce: Vec<(DestId, PeerIdx)>,
    /// Routes to withdraw.
    pub withdraw: Vec<DestId>,
    /// Of a group with path identifiers: paths to announce, in order of change; their sources are in
    /// their names.
    pub paths: Vec<(DestId, PathKey, PathId)>,
    /// Of such a group: paths to withdraw.
    pub gone: Vec<(DestId, PathId)>,
}

impl UpdateGroup {
    /// What to tell everybody at a cursor next, `count_max` changes at most; none where neighbours
    /// differ in more than what came from themselves ([`UpdateGroup::next_batch`] knows then).
    pub fn next_stretch(&self, cursor: u64, count_max: usize) -> Option<Stretch> {
        // What is no longer in the log has nothing to tell, also where the log is empty.
        let from = cursor.max(self.before);
        let mut stretch = Stretch { to: from, ..Stretch::default() };
        let joined_last = self.members.iter().map(|m| m.joined).max().unwrap_or(0);
        let mut told = 0;
        for sequence in from.saturating_add(1)..=self.last() {
            let change = self.at(sequence);
            if change.is_some() && told >= count_max {
                break;
            }
            stretch.to = sequence;
            let Some((id, out)) = change else { continue };
            told += 1;
            if let Some(path_ids) = self.paths.get(&id) {
                let mut ended = path_ids.gone_at_source();
                if ended.any(|(source, _)| self.member(source).is_some())
                    || (path_ids.has_ended() && sequence <= joined_last)
                {
                    return None;
                }
                stretch.paths.extend(path_ids.paths().map(|(path, number)| (id, path, number)));
                stretch.gone.extend(path_ids.gone().map(|number| (id, number)));
                told = told.max(stretch.paths.len());
                continue;
            }
            match out.export {
                Export::Announce(source)
                    if out.withdraw_at_source && self.member(source).is_some() =>
                {
                    return None;
                }
                Export::Announce(source) => stretch.announce.push((id, source)),
                Export::Withdraw if sequence <= joined_last => return None,
                Export::Withdraw => stretch.withdraw.push(id),
            }
        }
        Some(stretch)
    }

    /// What to tell the neighbour next, `count_max` changes at most. Empty when it is current.
    pub fn next_batch(&self, peer: PeerIdx, count_max: usize) -> Batch {
        let Some(member) = self.member(peer) else { return Batch::default() };
        let from = member.cursor.max(self.before);
        let mut batch = Batch { to: from, ..Batch::default() };
        let mut told = 0;
        for sequence in from.saturating_add(1)..=self.last() {
            let change = self.at(sequence);
            if change.is_some() && told >= count_max {
                break;
            }
            batch.to = sequence;
            let Some((id, out)) = change else { continue };
            told += 1;
            if let Some(path_ids) = self.paths.get(&id) {
                let others = path_ids.paths().filter(|(path, _)| path.peer != peer);
                batch.paths.extend(others.map(|(path, number)| (id, path, number)));
                if sequence > member.joined {
                    let own = path_ids.gone_at_source().filter(|(source, _)| *source == peer);
                    let gone = path_ids.gone().chain(own.map(|(_, number)| number));
                    batch.gone.extend(gone.map(|number| (id, number)));
                }
                told = told.max(batch.paths.len());
                continue;
            }
            match out.export {
                Export::Announce(source) if source != peer => batch.announce.push(id),
                Export::Announce(_) if !out.withdraw_at_source => {}
                _ if sequence <= member.joined => {}
                _ => batch.withdraw.push(id),
            }
        }
        batch
    }
}
