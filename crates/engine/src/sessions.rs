//! The engine's side of its sessions: who dials us, who comes up, and what becomes of routes when a
//! session ends. What UPDATEs do to the tables is in [`crate::updates`].

use crate::engine::Engine;
use crate::io::{Event, Now, Output};
use crate::peer::{Peer, translate};
use crate::rib::{GroupKey, Ribs};
use crate::settings::Settings;
use crate::tell::fill_group;
use evpn_dataplane::facts::Link;
use evpn_dataplane::object::IfIndex;
use evpn_proto::bgp::message::Message;
use evpn_proto::bgp::session::{
    self, Change, ConnectionId, Detector, MessageCounts, PeerKind, ReceivedMessage, Routes,
    StopReason,
};
use evpn_proto::types::{Family, RouteKey, Time};
use evpn_rib::PeerIdx;
use evpn_rib::decision::Source;
use evpn_rib::table::{PeerInfo, Which};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

impl Engine {
    pub(crate) fn peer(&self, peer: PeerIdx) -> Option<&Peer> {
        self.peers.get(peer)
    }

    pub(crate) fn peer_mut(&mut self, peer: PeerIdx) -> Option<&mut Peer> {
        self.peers.get_mut(peer)
    }

    pub(crate) fn accepted(
        &mut self,
        now: Now,
        serial: u64,
        local: SocketAddr,
        remote: SocketAddr,
    ) {
        // Before the kernel is read nobody is let in: what we would say of ourselves is not known.
        let caller = if self.is_adopted() { self.caller(now, remote) } else { Err(None) };
        let peer = match caller {
            Ok(peer) => peer,
            Err(event) => {
                self.outputs.extend(event.map(Output::Event));
                self.output(Output::Refused { serial });
                return;
            }
        };
        let connection = ConnectionId::incoming(serial);
        self.output(Output::Adopted { serial, peer, connection });
        self.session(now, peer, session::Input::Connected { connection, local, remote });
    }

    /// Whose a connection from there is; if nobody's, what to tell of it.
    fn caller(&mut self, now: Now, remote: SocketAddr) -> Result<PeerIdx, Option<Event>> {
        let address = remote.ip().to_canonical();
        let device = match remote {
            SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() => {
                Some((IfIndex(v6.scope_id()), *v6.ip()))
            }
            _ => None,
        };
        // An address on a link says nothing without the link.
        let is_from = |p: &&Peer| match p.remote() {
            Some((known, Some(on))) => known == address && device.is_some_and(|(d, _)| d == on),
            Some((known, None)) => known == address,
            None => false,
        };
        let known = self.peers.iter().find(is_from);
        match known {
            Some(peer) if peer.settings.shutdown => {
                let why = "the configuration holds this neighbor down".to_owned();
                Err(Some(Event::PeerRefused(address, why)))
            }
            Some(peer) => Ok(peer.index),
            None => match device {
                Some((device, address)) => Err(Some(self.unheard(device, address))),
                None => self.welcome(now, address),
            },
        }
    }

    /// Has a session come up that may, once there is somebody to talk to.
    pub(crate) fn start(&mut self, now: Now, index: PeerIdx) {
        let may = |p: &Peer| !p.settings.shutdown && !p.is_over_limit && p.remote().is_some();
        if self.is_adopted() && self.peer(index).is_some_and(may) {
            self.session(now, index, session::Input::Start);
        }
    }

    /// Hands an input to a session and carries out what it says.
    pub(crate) fn session(&mut self, now: Now, index: PeerIdx, input: session::Input) {
        let Some(peer) = self.peer_mut(index) else { return };
        peer.session.handle(now.time, input);
        while let Some(output) = self.peer_mut(index).and_then(|p| p.session.poll_output()) {
            match &output {
                session::Output::Established { connection } => {
                    self.established(now, index, *connection);
                }
                session::Output::Down { routes, .. } => self.down(now, index, routes.clone()),
                session::Output::Connect { connection } => self.dial(index, *connection),
                _ => {}
            }
            if let Some(output) = translate(index, output) {
                self.output(output);
            }
        }
        self.tell_failure(index);
        self.give_way(now, index);
    }

    fn dial(&mut self, peer: PeerIdx, connection: ConnectionId) {
        // Who is nowhere is not started.
        let Some((address, device)) = self.peer(peer).and_then(Peer::remote) else { return };
        let Some(neighbor) = self.peer(peer).map(Peer::id) else { return };
        self.output(Output::Connect { peer, connection, neighbor, address, device });
    }

    /// Why a session ended or does not come up goes to the log once, until the reason is another.
    fn tell_failure(&mut self, index: PeerIdx) {
        let Some(peer) = self.peer_mut(index) else { return };
        if peer.up.is_some() {
            return;
        }
        let reset = peer.session.last_reset().map(|r| (r.at, r.reason.to_string()));
        let error = peer.session.last_connect_error().map(|(at, e)| (*at, e.to_string()));
        let Some((_, text)) = reset.into_iter().chain(error).max_by_key(|(at, _)| *at) else {
            return;
        };
        if peer.told.as_ref() == Some(&text) {
            return;
        }
        peer.told = Some(text.clone());
        let event = Event::PeerDown(peer.id(), text);
        self.output(Output::Event(event));
    }

    fn established(&mut self, now: Now, index: PeerIdx, connection: ConnectionId) {
        let self_hops = self.self_hops(index);
        let Some(peer) = self.peer_mut(index) else { return };
        peer.told = None;
        let (id, address) = (peer.id(), peer.address());
        let hop = |family: Family| self_hops.get(&family).copied();
        let Some(up) = peer.established(now.time, connection, hop) else { return };
        let negotiated = Arc::clone(&up.negotiated);
        let families: Vec<(Family, GroupKey)> =
            up.families.iter().map(|(family, exchange)| (*family, exchange.group)).collect();
        let source = match negotiated.kind {
            PeerKind::Internal => Source::Internal,
            PeerKind::External => Source::External,
        };
        let router_id = negotiated.received.router_id;
        let route_reflector_client = self.peer(index).is_some_and(Peer::is_client);
        let address = address.unwrap_or_else(|| router_id.into());
        let info = PeerInfo { source, router_id, address, route_reflector_client };
        for rib in self.ribs.iter_mut() {
            rib.table.set_peer(index, info);
        }
        for family in Ribs::FAMILIES {
            if !negotiated.retains(family) {
                // RFC 4724 section 4.2: forwarding was not preserved, so what was kept is void.
                self.drop_paths(index, family, Which::Stale);
            }
        }
        let stale_time = self.settings.stale_time;
        if let Some(peer) = self.peer_mut(index).filter(|p| p.stale_until.is_some()) {
            // It is back: from now on its End-of-RIB is waited for, not its return.
            peer.stale_until = Some(now.time + stale_time);
        }
        for (family, key) in &families {
            self.join_group(index, *family, *key);
        }
        if families.is_empty() {
            // Nothing will be told, so nothing is waited for.
            self.told(index);
        }
        if negotiated.graceful_restart.is_none() {
            self.will_not_tell(now, index);
        }
        self.awaited_is_up(index, negotiated.peer_is_restarting());
        self.output(Output::Event(Event::PeerUp(id.clone())));
        for notice in negotiated.notices() {
            self.output(Output::Event(Event::PeerErrors(id.clone(), notice.to_string())));
        }
    }

    pub(crate) fn join_group(&mut self, index: PeerIdx, family: Family, key: GroupKey) {
        let Some(rib) = self.ribs.get_mut(family) else { return };
        let fresh = !rib.groups.contains_key(&key);
        let group = rib.groups.entry(key).or_default();
        group.cache.clear();
        group.updates.join(index);
        rib.tells_paths |= key.path_ids;
        if fresh {
            // A new group is told of every route that there is.
            fill_group(rib, &self.wants, key);
            // The neighbour that made the group joins after its routes, to be told End-of-RIB after
            // them.
            if let Some(group) = rib.groups.get_mut(&key) {
                group.updates.rejoin_all();
            }
        }
    }

    /// The neighbour is told everything of a family again.
    pub(crate) fn resend(&mut self, index: PeerIdx, family: Family) {
        let up = self.peer(index).and_then(|p| p.up.as_ref());
        let Some(key) = up.and_then(|up| Some(up.exchange(family)?.group)) else { return };
        if let Some(group) = self.ribs.get_mut(family).and_then(|rib| rib.groups.get_mut(&key)) {
            group.cache.clear();
            group.updates.retell(index);
        }
    }

    fn down(&mut self, now: Now, index: PeerIdx, routes: Routes) {
        let Some(peer) = self.peer_mut(index) else { return };
        let families = peer.up.take().map(|up| up.families).unwrap_or_default();
        let heard = families.iter().filter(|(_, exchange)| !exchange.given_up);
        let heard: Vec<Family> = heard.map(|(family, _)| *family).collect();
        for (family, exchange) in families {
            self.leave_group(family, exchange.group, index);
        }
        let (kept, restart_time) = match routes {
            Routes::Keep { families, restart_time } => (families, Some(restart_time)),
            Routes::Drop => (Vec::new(), None),
        };
        let mut keeps = false;
        for family in Ribs::FAMILIES {
            // Of a family that was given up there is nothing to keep.
            if !kept.contains(&family) || !heard.contains(&family) {
                self.drop_paths(index, family, Which::All);
                continue;
            }
            // RFC 4724 section 4.2: what was stale already is not kept twice.
            self.drop_paths(index, family, Which::Stale);
            if let Some(rib) = self.ribs.get_mut(family) {
                rib.table.mark_stale(index);
            }
            keeps = true;
        }
        if let Some(peer) = self.peer_mut(index) {
            peer.stale_until = restart_time.filter(|_| keeps).map(|time| now.time + time);
        }
    }

    pub(crate) fn leave_group(&mut self, family: Family, key: GroupKey, index: PeerIdx) {
        let Some(rib) = self.ribs.get_mut(family) else { return };
        let Some(group) = rib.groups.get_mut(&key) else { return };
        group.cache.clear();
        group.updates.leave(&mut rib.table, index);
        if group.updates.is_idle() {
            group.updates.clear(&mut rib.table);
            rib.groups.remove(&key);
            rib.tells_paths = rib.groups.keys().any(|key| key.path_ids);
        }
    }

    /// Removes a neighbour's paths of every family.
    pub(crate) fn drop_all_paths(&mut self, index: PeerIdx, which: Which) {
        for family in Ribs::FAMILIES {
            self.drop_paths(index, family, which);
        }
        if let Some(peer) = self.peer_mut(index) {
            peer.stale_until = None;
        }
    }

    /// Removes a neighbour's paths of a family; with [`Which::Stale`] those that its restart did not
    /// confirm. Returns of how many routes.
    pub(crate) fn drop_paths(&mut self, index: PeerIdx, family: Family, which: Which) -> usize {
        let Some(rib) = self.ribs.get_mut(family) else { return 0 };
        if family == Family::RT_CONSTRAINT && which == Which::All {
            self.wants.forget(index);
            self.rewanted.insert(index);
        }
        let ids = rib.table.of_peer(index, which);
        let count = ids.len();
        for id in ids {
            if let Some(RouteKey::RtMembership(gone)) = rib.table.get(id).map(|dest| &dest.key)
                && self.wants.remove(index, gone)
            {
                self.rewanted.insert(index);
            }
            rib.remove(index, id, which);
        }
        count
    }

    pub(crate) fn received(
        &mut self,
        now: Now,
        index: PeerIdx,
        connection: ConnectionId,
        message: Message,
        at: Time,
    ) {
        let seen = ReceivedMessage::from(&message);
        self.session(now, index, session::Input::Received { connection, message: seen, at });
        let counts = self.peer(index).is_some_and(|p| p.up_on(connection).is_some());
        match message {
            Message::Update(update) if counts => self.update(now, index, update),
            Message::RouteRefresh(refresh) if counts => self.refresh(now, index, refresh),
            _ => {}
        }
    }

    /// Ends the session; one that is down for too many routes is let in again.
    pub(crate) fn reset(&mut self, now: Now, index: PeerIdx, reason: StopReason) {
        let over = |peer: &mut Peer| std::mem::take(&mut peer.is_over_limit);
        if self.peer_mut(index).is_some_and(over) {
            self.start(now, index);
        } else {
            self.stop(now, index, reason);
        }
    }

    pub(crate) fn written(
        &mut self,
        now: Now,
        index: PeerIdx,
        connection: ConnectionId,
        octets: usize,
        mut messages: MessageCounts,
        at: Time,
    ) {
        let up = self.peer_mut(index).and_then(|p| p.up.as_mut());
        if let Some(up) = up.filter(|up| up.connection == connection) {
            up.in_flight = up.in_flight.saturating_sub(octets);
            messages.update += std::mem::take(&mut up.updates_unreported);
            messages.route_refresh += std::mem::take(&mut up.refreshes.unreported);
        }
        self.session(now, index, session::Input::Sent { connection, at, messages });
    }

    /// Follows the interfaces of directly connected neighbours: one that has lost its carrier ends
    /// the session without waiting for the hold timer, one that has come up is dialled at once.
    pub(crate) fn follow_links(&mut self, now: Now, links: &[Link]) {
        let reaches = |links: &[Link], address: IpAddr| {
            let on = |l: &Link| l.addresses.iter().any(|a| a.contains(&address));
            links.iter().any(|l| l.is_up() && on(l))
        };
        let changed: Vec<(PeerIdx, session::Input)> = self
            .peers
            .iter()
            .filter(|p| !p.settings.shutdown)
            .filter_map(|p| {
                // What an interface neighbour's interface does is looked at on its own.
                let address = p.settings.id.address()?;
                let (was, is) = (reaches(&self.links, address), reaches(links, address));
                match (was, is, p.up.is_some()) {
                    (true, false, true) if !p.settings.multihop => {
                        let detector = Detector::Interface;
                        Some((p.index, session::Input::LinkDown { detector }))
                    }
                    (false, true, false) if !p.session.is_stopped() => {
                        Some((p.index, session::Input::Start))
                    }
                    _ => None,
                }
            })
            .collect();
        for (peer, input) in changed {
            self.session(now, peer, input);
        }
    }

    /// Takes the new settings as a whole: what is equal is not touched.
    pub(crate) fn reconfigure(&mut self, now: Now, settings: Settings) {
        let energy = settings.energy.clone();
        let neighbors = settings.neighbors.clone();
        let before = std::mem::replace(&mut self.settings, settings);
        for index in self.peers.indices() {
            let Some(peer) = self.peers.get(index) else { continue };
            match self.settings.wanted(peer) {
                None => self.retire(now, index, Some(StopReason::Deconfigured)),
                Some((wanted, group)) => self.reconfigure_peer(now, index, wanted, group),
            }
        }
        for neighbor in neighbors {
            if self.peers.named(&neighbor.id).is_none()
                && let Some(index) = self.add_peer(neighbor)
            {
                self.start(now, index);
            }
        }
        if self.settings.listen.is_empty() {
            self.told(PeerIdx::LOCAL);
        }
        self.refresh_interfaces(now);
        self.underlay.forget_fixed();
        self.tell_who_we_are();
        self.rebuild_fabric(&before);
        self.refresh_unicast();
        self.reconfigure_energy(now, energy);
    }

    fn reconfigure_peer(
        &mut self,
        now: Now,
        index: PeerIdx,
        wanted: crate::settings::NeighborSettings,
        group: Option<Arc<str>>,
    ) {
        let Some(peer) = self.peer_mut(index) else { return };
        peer.group = group;
        let was_shutdown = peer.settings.shutdown;
        let change = if peer.settings.session == wanted.session {
            Change::Applied
        } else {
            peer.session.reconfigure(now.time, wanted.session.clone())
        };
        // It would be in another group of neighbours, and its routes go elsewhere or count otherwise.
        let moves = wanted.route_reflector_client != peer.settings.route_reflector_client
            || wanted.aigp != peer.settings.aigp;
        let change = if moves { Change::ResetNeeded } else { change };
        // What another AS told is not this one's.
        let is_another = wanted.session.peer_as != peer.settings.session.peer_as;
        let (shutdown, text) = (wanted.shutdown, wanted.shutdown_message.clone());
        let again = peer.is_over_limit && wanted.max_prefix != peer.settings.max_prefix;
        peer.settings = wanted;
        match (was_shutdown, shutdown, change) {
            (false, true, _) => {
                self.stop(now, index, StopReason::AdminShutdown { text });
            }
            (true, false, _) => self.start(now, index),
            (false, false, _) if again => self.reset(now, index, StopReason::ConfigChanged),
            (false, false, Change::ResetNeeded) => self.stop(now, index, StopReason::ConfigChanged),
            // What it holds already may be more than a new limit allows.
            _ => Ribs::FAMILIES.iter().for_each(|family| self.check_limit(now, index, *family)),
        }
        if is_another {
            self.forget_kept(index);
        }
    }

    pub(crate) fn stop(&mut self, now: Now, index: PeerIdx, reason: StopReason) {
        let begins_anew = matches!(
            reason,
            StopReason::AdminShutdown { .. } | StopReason::Reset { .. } | StopReason::Deconfigured
        );
        self.session(now, index, session::Input::Stop { reason });
        if begins_anew {
            self.forget_kept(index);
        }
    }

    /// What is kept for the return of a neighbour that is away goes: somebody wants to begin anew.
    fn forget_kept(&mut self, index: PeerIdx) {
        if self.peer(index).is_some_and(|peer| peer.up.is_none() && peer.stale_until.is_some()) {
            self.drop_all_paths(index, Which::All);
        }
    }

    /// Every session ends without a word, so that neighbours keep our routes while we are away.
    pub fn shut_down(&mut self, now: Now) {
        for index in self.peers.indices() {
            self.stop(now, index, StopReason::Restart);
        }
    }
}
