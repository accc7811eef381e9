//! Neighbours that nobody named: whoever dials from within a group's `listen` is one, for as long
//! as there is something of it.
//!
//! **A dynamic neighbour ends with its session**, once nothing of its routes is kept and its back-off
//! is over: then its number is free for the next. Who is named in the configuration is never dynamic,
//! also while it is shut down.

use crate::engine::Engine;
use crate::io::{Event, Now, Output};
use crate::peer::Peer;
use crate::settings::{ListenSettings, NeighborSettings, Settings};
use evpn_proto::bgp::session::{self, SessionState, StopReason};
use evpn_proto::types::{NeighborId, Time};
use evpn_rib::PeerIdx;
use evpn_rib::table::Which;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// How often at most the log is told that a group has no room.
const FULL_TOLD_EVERY: Duration = Duration::from_secs(60);
/// Callers whose last failure is remembered, so that each is told once.
const FAILURES_MAX: usize = 64;

/// What outlives a dynamic neighbour.
#[derive(Debug, Default)]
pub(crate) struct Dynamic {
    /// Why the last callers failed, as it was told.
    failures: VecDeque<(IpAddr, String)>,
    /// When it was last told that a group is full.
    full: BTreeMap<Arc<str>, Time>,
}

impl Dynamic {
    fn remember(&mut self, address: IpAddr, failure: String) {
        self.failures.retain(|(of, _)| *of != address);
        if self.failures.len() >= FAILURES_MAX {
            self.failures.pop_front();
        }
        self.failures.push_back((address, failure));
    }

    fn last_failure(&self, address: IpAddr) -> Option<String> {
        self.failures.iter().find(|(of, _)| *of == address).map(|(_, failure)| failure.clone())
    }
}

impl Settings {
    /// The group that an address belongs to: that of the longest prefix around it.
    pub(crate) fn listens_for(&self, address: IpAddr) -> Option<&ListenSettings> {
        let lengths = |listen: &ListenSettings| {
            let around = listen.prefixes.iter().filter(|prefix| prefix.contains(&address));
            around.map(ipnet::IpNet::prefix_len).max()
        };
        let groups = self.listen.iter().filter_map(|l| Some((lengths(l)?, l)));
        groups.max_by_key(|(length, _)| *length).map(|(_, listen)| listen)
    }

    /// What is wanted of a neighbour that there is already, and the group of a dynamic one; none if
    /// it is to go.
    pub(crate) fn wanted(&self, peer: &Peer) -> Option<(NeighborSettings, Option<Arc<str>>)> {
        let named = self.neighbors.iter().find(|n| n.id == peer.settings.id);
        let (Some(_), Some(address)) = (&peer.group, peer.settings.id.address()) else {
            return named.map(|neighbor| (neighbor.clone(), None));
        };
        if named.is_some() {
            return None;
        }
        let listen = self.listens_for(address).filter(|listen| !listen.neighbor.shutdown)?;
        Some((listen.at(address), Some(Arc::clone(&listen.group))))
    }
}

impl Engine {
    /// Makes a neighbour of a caller that is not named, if a group listens for it.
    ///
    /// # Errors
    /// What to tell of it; none where it has been told.
    pub(crate) fn welcome(&mut self, now: Now, address: IpAddr) -> Result<PeerIdx, Option<Event>> {
        let unknown = Some(Event::UnknownPeer(address));
        let listen = self.settings.listens_for(address).ok_or(unknown)?;
        let (group, limit) = (Arc::clone(&listen.group), listen.limit);
        if listen.neighbor.shutdown {
            let why = format!("its group {group} is shut down");
            return Err(Some(Event::PeerRefused(address, why)));
        }
        let neighbor = listen.at(address);
        let of_group = |p: &&Peer| p.group.as_ref() == Some(&group);
        if self.peers.iter().filter(of_group).count() >= usize::from(limit) {
            let last = self.dynamic.full.get(&group).copied();
            if last.is_some_and(|at| now.time < at + FULL_TOLD_EVERY) {
                return Err(None);
            }
            let why = format!("group {group} has {limit} dynamic neighbors, its listen-limit");
            self.dynamic.full.insert(group, now.time);
            return Err(Some(Event::PeerRefused(address, why)));
        }
        let full = || Some(Event::PeerRefused(address, "all numbers are taken".to_owned()));
        let index = self.add_peer(neighbor).ok_or_else(full)?;
        let told = self.dynamic.last_failure(address);
        if let Some(peer) = self.peer_mut(index) {
            peer.group = Some(group);
            peer.told = told;
        }
        self.session(now, index, session::Input::Start);
        Ok(index)
    }

    /// Takes out dynamic neighbours of which nothing is left but a session that waits.
    pub(crate) fn end_dynamic(&mut self, now: Now) {
        let ended = |p: &&Peer| {
            // One that backs off is kept out by being there.
            let waits = match p.session.state() {
                SessionState::Idle => p.session.is_stopped(),
                state => state == SessionState::Active,
            };
            p.group.is_some() && waits && p.stale_until.is_none() && !p.is_over_limit
        };
        let ended: Vec<PeerIdx> = self.peers.iter().filter(ended).map(|p| p.index).collect();
        for index in ended {
            self.retire(now, index, None);
        }
    }

    /// Ends a neighbour for good, with everything that came from it. `reason` is for a session that
    /// has not ended by itself.
    pub(crate) fn retire(&mut self, now: Now, index: PeerIdx, reason: Option<StopReason>) {
        let is_stopped = self.peer(index).is_none_or(|peer| peer.session.is_stopped());
        if let Some(reason) = reason.filter(|_| !is_stopped) {
            self.stop(now, index, reason);
        }
        // Kept over a restart of which nobody will be back.
        self.drop_all_paths(index, Which::All);
        self.told(index);
        if let Some(peer) = self.peer_mut(index)
            && let (Some(_), Some(address)) = (&peer.group, peer.settings.id.address())
            && let Some(failure) = peer.told.take()
        {
            self.dynamic.remember(address, failure);
        }
        if let Some(NeighborId::Interface(interface)) = self.peer(index).map(Peer::id) {
            self.output(Output::Located { interface, remote: None });
        }
        self.peers.remove(index);
        self.underlay.forget_fixed();
    }

    /// Frees the numbers of neighbours that are gone, once every change of theirs has been dealt
    /// with: until then tables and groups may name them.
    pub(crate) fn free_numbers(&mut self) {
        for index in self.peers.take_leaving() {
            for rib in self.ribs.iter_mut() {
                rib.table.forget_peer(index);
            }
            self.wants.forget(index);
        }
    }
}
