//! Neighbours: their sessions, and how many routes they carry.

use super::View;
use crate::interface::{FarEnd, Obstacle};
use crate::peer::{Faults, Peer};
use crate::restart::SILENT_NEIGHBOUR_TAKES;
use crate::settings::NeighborSettings;
use evpn_proto::bgp::message::{Capability, Family};
use evpn_proto::bgp::session::{Session, SessionState};
use evpn_proto::types::{NeighborId, Time};
use evpn_rib::PeerIdx;
use evpn_rib::table::PathCounts;
use std::net::IpAddr;

/// A neighbour, configured or dynamic.
#[derive(Clone, Debug)]
pub struct Neighbor<'a> {
    /// Its number in the engine's inputs.
    pub index: PeerIdx,
    /// Its settings.
    pub settings: &'a NeighborSettings,
    /// The group by whose `listen` it came, where nobody named it.
    pub dynamic: Option<&'a str>,
    /// Where it is, if that is known.
    pub address: Option<IpAddr>,
    /// What keeps one on an interface from being dialled, and since when.
    pub obstacle: Option<(Obstacle, Time)>,
    /// Its session.
    pub session: &'a Session,
    /// What is exchanged, family by family, ascending; empty while the session is down.
    pub families: Vec<FamilyState>,
    /// Routes held from it, of all families.
    pub received: PathCounts,
    /// Routes that it is told, of all families.
    pub advertised: usize,
    /// What was wrong with its messages.
    pub faults: Faults,
    /// The last thing that was.
    pub last_fault: Option<&'a str>,
    /// Until when its routes are kept without it, or unconfirmed.
    pub stale_until: Option<Time>,
    /// We have told it everything, of every family (RFC 4724 section 2).
    pub end_of_rib_sent: bool,
    /// It has told us everything.
    pub end_of_rib_received: bool,
}

/// What is exchanged with a neighbour of one family.
#[derive(Clone, Copy, Debug)]
pub struct FamilyState {
    /// Which.
    pub family: Family,
    /// Routes held from it.
    pub received: PathCounts,
    /// Routes that it is told.
    pub advertised: usize,
    /// We have told it everything.
    pub end_of_rib_sent: bool,
    /// It has told us everything.
    pub end_of_rib_received: bool,
    /// After an error nothing of it is heard any more (RFC 7606 section 2).
    pub given_up: bool,
}

impl Neighbor<'_> {
    /// Who it is.
    pub const fn id(&self) -> &NeighborId {
        &self.settings.id
    }

    /// Whether the session is Established.
    pub fn is_established(&self) -> bool {
        self.session.state() == SessionState::Established
    }

    /// Whether routes flow: the session stands and there is a family in common.
    pub const fn exchanges_routes(&self) -> bool {
        !self.families.is_empty()
    }

    /// Whether it has still to tell its routes: the session stands and no End-of-RIB has come. One
    /// that did not promise any by its graceful restart capability need not send it, and is given
    /// some seconds.
    pub fn owes_end_of_rib(&self, now: Time) -> bool {
        let fresh = self.session.uptime(now).is_some_and(|up| up < SILENT_NEIGHBOUR_TAKES);
        let promised = |family: Family| {
            self.session.negotiated().is_some_and(|negotiated| {
                negotiated.received.capabilities.iter().any(|c| match c {
                    Capability::GracefulRestart(restart) => {
                        restart.families.iter().any(|(promised, _)| *promised == family)
                    }
                    _ => false,
                })
            })
        };
        let mut untold =
            self.families.iter().filter(|state| !state.end_of_rib_received && !state.given_up);
        untold.any(|state| fresh || promised(state.family))
    }
}

impl<'a> View<'a> {
    /// Every neighbour: those with an address by it, then those on interfaces.
    pub fn neighbors(&self) -> Vec<Neighbor<'a>> {
        let peers = self.engine.peers.iter();
        let mut neighbors: Vec<_> = peers.map(|peer| self.of_peer(peer)).collect();
        neighbors.sort_by(|a, b| a.id().cmp(b.id()));
        neighbors
    }

    /// The neighbour of this name.
    pub fn neighbor(&self, id: impl Into<NeighborId>) -> Option<Neighbor<'a>> {
        self.engine.peers.named(&id.into()).map(|peer| self.of_peer(peer))
    }

    /// Routes of a family that are held from a neighbour, also while it is away.
    pub fn held(&self, neighbor: PeerIdx, family: Family) -> PathCounts {
        let rib = self.engine.ribs.get(family);
        rib.map(|rib| rib.table.counts(neighbor)).unwrap_or_default()
    }

    fn of_peer(&self, peer: &'a Peer) -> Neighbor<'a> {
        let ribs = &self.engine.ribs;
        let exchanged = peer.up.iter().flat_map(|up| &up.families);
        let families = exchanged.filter_map(|(family, exchange)| {
            let rib = ribs.get(*family)?;
            let updates = &rib.groups.get(&exchange.group)?.updates;
            Some(FamilyState {
                family: *family,
                received: rib.table.counts(peer.index),
                advertised: updates.announced_to(peer.index),
                end_of_rib_sent: exchange.end_of_rib_sent,
                end_of_rib_received: exchange.end_of_rib_received,
                given_up: exchange.given_up,
            })
        });
        let families: Vec<FamilyState> = families.collect();
        let every =
            |wanted: fn(&FamilyState) -> bool| !families.is_empty() && families.iter().all(wanted);
        let (sent, received) = (every(|f| f.end_of_rib_sent), every(|f| f.end_of_rib_received));
        let mut counts = PathCounts::default();
        for held in ribs.iter().map(|rib| rib.table.counts(peer.index)) {
            counts.held += held.held;
            counts.rejected += held.rejected;
            counts.stale += held.stale;
        }
        Neighbor {
            index: peer.index,
            settings: &peer.settings,
            dynamic: peer.group.as_deref(),
            address: peer.address(),
            obstacle: peer.far_end.as_ref().and_then(FarEnd::obstacle),
            session: &peer.session,
            received: counts,
            advertised: families.iter().map(|family| family.advertised).sum(),
            families,
            faults: peer.faults,
            last_fault: peer.last_fault.as_deref(),
            stale_until: peer.stale_until,
            end_of_rib_sent: sent,
            end_of_rib_received: received,
        }
    }
}
