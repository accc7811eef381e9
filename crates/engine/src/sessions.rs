//! The engine's side of its sessions: who dials us, what UPDATEs do to the tables, and what becomes
//! of routes when a session ends.

use crate::engine::Engine;
use crate::io::{Event, Now, Output};
use crate::peer::{Peer, translate};
use crate::settings::Settings;
use evpn_dataplane::facts::Link;
use evpn_dataplane::object::IfIndex;
use evpn_proto::bgp::attributes::{Community, PathAttributes};
use evpn_proto::bgp::message::{Family, Message, RouteRefresh, Update};
use evpn_proto::bgp::session::{
    self, Change, ConnectionId, Detector, MessageCounts, PeerKind, ReceivedMessage, Routes,
    StopReason,
};
use evpn_proto::bgp::wire::error::Action;
use evpn_proto::types::{RouteKey, Time, can_be_vtep};
use evpn_rib::PeerIdx;
use evpn_rib::decision::Source;
use evpn_rib::table::{PeerInfo, Reject, Which};
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
        let Some(peer) = self.peer_mut(index) else { return };
        peer.told = None;
        let (id, address) = (peer.id(), peer.address());
        let Some(up) = peer.established(connection) else { return };
        let (group, negotiated) = (up.group, Arc::clone(&up.negotiated));
        let source = match negotiated.kind {
            PeerKind::Internal => Source::Internal,
            PeerKind::External => Source::External,
        };
        let router_id = negotiated.received.router_id;
        let route_reflector_client = self.peer(index).is_some_and(Peer::is_client);
        let address = address.unwrap_or_else(|| router_id.into());
        let info = PeerInfo { source, router_id, address, route_reflector_client };
        self.rib.table.set_peer(index, info);
        if !negotiated.retains(Family::EVPN) {
            // RFC 4724 section 4.2: forwarding was not preserved, so what was kept is void.
            self.drop_paths(index, Which::Stale);
        }
        let stale_time = self.settings.stale_time;
        if let Some(peer) = self.peer_mut(index).filter(|p| p.stale_until.is_some()) {
            // It is back: from now on its End-of-RIB is waited for, not its return.
            peer.stale_until = Some(now.time + stale_time);
        }
        match group {
            Some(key) => {
                let fresh = !self.rib.groups.contains_key(&key);
                let members = self.rib.groups.entry(key).or_default();
                members.cache.clear();
                members.updates.join(index);
                if fresh {
                    self.fill(key);
                }
            }
            // Nothing will be told, so nothing is waited for.
            None => self.told(index),
        }
        if negotiated.graceful_restart.is_none() {
            self.will_not_tell(now, index);
        }
        if negotiated.peer_is_restarting() {
            // RFC 4724 section 4.1: two that restart do not wait for each other.
            self.told(index);
        }
        self.output(Output::Event(Event::PeerUp(id.clone())));
        for notice in negotiated.notices() {
            self.output(Output::Event(Event::PeerErrors(id.clone(), notice.to_string())));
        }
    }

    /// A new group is told of every route that there is.
    fn fill(&mut self, key: crate::rib::GroupKey) {
        let all: Vec<_> = self.rib.table.iter().map(|(id, _)| id).collect();
        for id in all {
            let export = crate::peer::export_to(&self.rib, id, key);
            if let Some(group) = self.rib.groups.get_mut(&key) {
                group.updates.change(&mut self.rib.table, id, export);
            }
        }
        // The neighbour that made the group joins after its routes, to be told End-of-RIB after them.
        if let Some(group) = self.rib.groups.get_mut(&key) {
            group.updates.rejoin_all();
        }
    }

    /// The neighbour is told everything again.
    pub(crate) fn resend(&mut self, index: PeerIdx) {
        let Some(key) = self.peer(index).and_then(|p| p.up.as_ref()?.group) else { return };
        if let Some(group) = self.rib.groups.get_mut(&key) {
            group.cache.clear();
            group.updates.retell(index);
        }
    }

    fn down(&mut self, now: Now, index: PeerIdx, routes: Routes) {
        let Some(peer) = self.peer_mut(index) else { return };
        let group = peer.up.take().and_then(|up| up.group);
        if let Some(key) = group {
            self.leave_group(key, index);
        }
        match routes {
            Routes::Keep { families, restart_time } if families.contains(&Family::EVPN) => {
                // RFC 4724 section 4.2: what was stale already is not kept twice.
                self.drop_paths(index, Which::Stale);
                self.rib.table.mark_stale(index);
                if let Some(peer) = self.peer_mut(index) {
                    peer.stale_until = Some(now.time + restart_time);
                }
            }
            Routes::Keep { .. } | Routes::Drop => self.drop_paths(index, Which::All),
        }
    }

    fn leave_group(&mut self, key: crate::rib::GroupKey, index: PeerIdx) {
        let Some(group) = self.rib.groups.get_mut(&key) else { return };
        group.cache.clear();
        group.updates.leave(&mut self.rib.table, index);
        if group.updates.is_idle() {
            group.updates.clear(&mut self.rib.table);
            self.rib.groups.remove(&key);
        }
    }

    /// Removes a neighbour's paths; with [`Which::Stale`] those that its restart did not confirm.
    pub(crate) fn drop_paths(&mut self, index: PeerIdx, which: Which) {
        if let Some(peer) = self.peer_mut(index) {
            peer.stale_until = None;
        }
        for id in self.rib.table.of_peer(index, which) {
            self.rib.remove(index, id);
        }
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
            Message::RouteRefresh(refresh) if counts => self.refresh(index, refresh),
            _ => {}
        }
    }

    fn refresh(&mut self, index: PeerIdx, refresh: RouteRefresh) {
        // RFC 7313: begin and end of the neighbour's own refresh ask nothing of us.
        if refresh.family == Family::EVPN && refresh.subtype == 0 {
            self.resend(index);
        }
    }

    fn update(&mut self, now: Now, index: PeerIdx, update: Update) {
        let Some(peer) = self.peer_mut(index) else { return };
        let Some(up) = peer.up.as_mut().filter(|up| up.group.is_some()) else { return };
        if update.action != Action::Accept {
            self.fault(index, &update);
            if update.action == Action::DisableAfiSafi {
                self.disable(index);
                return;
            }
        } else if update.end_of_rib == Some(Family::EVPN) {
            up.end_of_rib_received = true;
            self.drop_paths(index, Which::Stale);
            self.told(index);
            return;
        }
        for key in &update.withdrawn {
            self.rib.withdraw(index, key);
        }
        let Some(attributes) = update.attributes.filter(|_| !update.announced.is_empty()) else {
            return;
        };
        let external = self
            .peer(index)
            .and_then(|p| p.up.as_ref())
            .is_some_and(|up| up.negotiated.kind == PeerKind::External);
        let attributes = imported(attributes, external);
        let reject = reject(&self.settings, &self.links, &attributes);
        // One use of the set for each route, looked up once.
        let Some(set) = self.rib.store.intern(&attributes) else { return };
        for route in update.announced {
            let reject = reject.or_else(|| no_host(&route.key));
            self.rib.announce(index, route, set, reject);
        }
        self.rib.store.release(set);
        self.check_limit(now, index);
    }

    /// RFC 4486 section 4: a neighbour that announces more than it may is stopped, before what it
    /// announces takes the room of others.
    fn check_limit(&mut self, now: Now, index: PeerIdx) {
        let held = self.rib.table.counts(index).held;
        let Some(peer) = self.peer_mut(index) else { return };
        let limit = peer.settings.max_prefix.and_then(|max| usize::try_from(max).ok());
        if limit.is_some_and(|max| held > max) && !peer.is_over_limit {
            peer.is_over_limit = true;
            self.stop(now, index, StopReason::MaximumPrefixes);
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

    /// Counts what was wrong with an UPDATE and tells it once for each text.
    fn fault(&mut self, index: PeerIdx, update: &Update) {
        let Some(peer) = self.peer_mut(index) else { return };
        for error in &update.errors {
            let faults = &mut peer.faults;
            *match error.action {
                Action::Accept | Action::DiscardAttribute => &mut faults.attributes_discarded,
                Action::DiscardNlri => &mut faults.routes_discarded,
                Action::TreatAsWithdraw => &mut faults.treated_as_withdrawn,
                Action::DisableAfiSafi | Action::ResetSession => &mut faults.family_disabled,
            } += 1;
        }
        let text = update.errors.last().map(|e| e.error.to_string()).unwrap_or_default();
        let news = peer.last_fault.as_ref() != Some(&text);
        peer.last_fault = Some(text.clone());
        if news {
            let text = format!("error in an UPDATE, the session stands: {text}");
            let event = Event::PeerErrors(peer.id(), text);
            self.output(Output::Event(event));
        }
    }

    /// RFC 7606 section 2, "AFI/SAFI disable": the family's routes go, and no more are heard.
    fn disable(&mut self, index: PeerIdx) {
        let group = self.peer_mut(index).and_then(|p| p.up.as_mut()?.group.take());
        if let Some(key) = group {
            self.leave_group(key, index);
        }
        self.drop_paths(index, Which::All);
        self.told(index);
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
        // A client is in another group of neighbours, and its routes go elsewhere.
        let client = wanted.route_reflector_client != peer.settings.route_reflector_client;
        let change = if client { Change::ResetNeeded } else { change };
        let shutdown = wanted.shutdown;
        let again = peer.is_over_limit && wanted.max_prefix != peer.settings.max_prefix;
        peer.settings = wanted;
        match (was_shutdown, shutdown, change) {
            (false, true, _) => {
                self.stop(now, index, StopReason::AdminShutdown { text: String::new() });
            }
            (true, false, _) => self.start(now, index),
            (false, false, _) if again => self.reset(now, index, StopReason::ConfigChanged),
            (false, false, Change::ResetNeeded) => self.stop(now, index, StopReason::ConfigChanged),
            _ => {}
        }
    }

    pub(crate) fn stop(&mut self, now: Now, index: PeerIdx, reason: StopReason) {
        self.session(now, index, session::Input::Stop { reason });
    }

    /// Every session ends without a word, so that neighbours keep our routes while we are away.
    pub fn shut_down(&mut self, now: Now) {
        for index in self.peers.indices() {
            self.stop(now, index, StopReason::Restart);
        }
    }
}

/// What a neighbour's attributes count as. RFC 8326 section 4.2: from another AS,
/// GRACEFUL_SHUTDOWN makes the path the least preferred.
fn imported(attributes: Arc<PathAttributes>, external: bool) -> Arc<PathAttributes> {
    if external && attributes.has_community(Community::GRACEFUL_SHUTDOWN) {
        let mut attributes = PathAttributes::clone(&attributes);
        attributes.local_pref = Some(0);
        return Arc::new(attributes);
    }
    attributes
}

fn reject(settings: &Settings, links: &[Link], attributes: &PathAttributes) -> Option<Reject> {
    let ours = |address: IpAddr| {
        settings.vtep == Some(address)
            || links.iter().any(|l| l.addresses.iter().any(|a| a.addr() == address))
    };
    if attributes.as_path.contains(settings.asn) {
        Some(Reject::AsLoop)
    } else if attributes.originator_id == Some(settings.router_id) {
        Some(Reject::OriginatorLoop)
    } else if attributes.cluster_list.contains(&settings.cluster_id) {
        Some(Reject::ClusterLoop)
    } else if attributes.next_hop.is_loopback() || ours(attributes.next_hop) {
        Some(Reject::OwnNextHop)
    } else {
        None
    }
}

fn no_host(key: &RouteKey) -> Option<Reject> {
    match key {
        RouteKey::MacIp { mac, .. } if !mac.is_host() => Some(Reject::NotAHost),
        RouteKey::Imet { originator, .. } if !can_be_vtep(*originator) => {
            Some(Reject::NotAnOriginator)
        }
        _ => None,
    }
}
