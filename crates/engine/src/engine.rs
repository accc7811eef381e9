//! The engine itself: inputs to the room that they concern, and `run`, which carries what follows
//! from room to room until nothing is left to do.

use crate::constraints::Wants;
use crate::dynamic::Dynamic;
use crate::energy::Energy;
use crate::evi::Evi;
use crate::fabric::Fabric;
use crate::fib::Ids;
use crate::hosts::{Host, Hosts};
use crate::import::{ImportIndex, TargetSet};
use crate::interface::RouterPort;
use crate::io::{ClearKind, Event, Input, Now, Output};
use crate::peer::{Peer, Sender, Up};
use crate::peers::Peers;
use crate::restart::{Complete, Restart};
use crate::rib::Ribs;
use crate::settings::{EnergySettings, Settings};
use crate::underlay::{Underlaid, Underlay};
use crate::unicast::Unicast;
use crate::vrf::Vrf;
use evpn_dataplane::facts::{KernelEvent, Link};
use evpn_dataplane::object::{Change, Command, IfIndex, Mode};
use evpn_energy::Snapshot;
use evpn_proto::bgp::session;
use evpn_proto::types::{MacAddr, RtMembership, Time, Vni};
use evpn_rib::decision::Source;
use evpn_rib::table::{DestId, PeerInfo, Which};
use evpn_rib::{Map, PeerIdx};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

/// Destinations that one [`Engine::run`] deals with at most.
pub(crate) const RUN_BUDGET: usize = 8192;

/// What the engine is born with beside its settings.
#[derive(Debug, Default)]
pub struct Memory {
    /// Sequences of MAC addresses that were announced before.
    pub sequences: BTreeMap<Vni, Vec<(MacAddr, u32)>>,
    /// The energy policy's state.
    pub energy: Option<Snapshot>,
    /// Whether the kernel may still forward by what an earlier process wrote.
    pub start: Start,
}

/// What a start finds in the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Start {
    /// Nothing of ours: there is nothing to wait for.
    #[default]
    Cold,
    /// What an earlier process wrote: it forwards until every neighbour has told its routes.
    Restart,
}

/// Whether [`Engine::run`] left something to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Call it again, after inputs that have come in the meantime.
    More,
    /// There is nothing to do until the next input or deadline.
    Idle,
}

/// Sessions, tables, hosts and energy of one leaf.
#[derive(Debug)]
pub struct Engine {
    pub(crate) settings: Settings,
    pub(crate) ribs: Ribs,
    pub(crate) peers: Peers,
    /// Which EVPN routes neighbours want (RFC 4684).
    pub(crate) wants: Wants,
    pub(crate) our_wants: BTreeSet<RtMembership>,
    /// Neighbours that want others than before.
    pub(crate) rewanted: BTreeSet<PeerIdx>,
    pub(crate) unicast: Unicast,
    pub(crate) fabric: Fabric,
    pub(crate) links: Vec<Link>,
    pub(crate) connected: Vec<(IfIndex, IpNet)>,
    pub(crate) hosts: Hosts,
    pub(crate) evis: BTreeMap<Vni, Evi>,
    pub(crate) vrfs: BTreeMap<usize, Vrf>,
    pub(crate) index: ImportIndex,
    /// Where each route is imported.
    pub(crate) imports: Map<DestId, TargetSet>,
    /// Routes to be imported again because the VNIs have changed.
    pub(crate) reimports: Vec<DestId>,
    pub(crate) sequences: BTreeMap<Vni, BTreeMap<MacAddr, u32>>,
    pub(crate) ids: Ids,
    pub(crate) restart: Restart,
    pub(crate) underlay: Underlay,
    pub(crate) dynamic: Dynamic,
    /// Where the shell was told to advertise us.
    pub(crate) advertised: Vec<RouterPort>,
    /// How often an interface of a neighbour has come up.
    pub(crate) epoch: u64,
    pub(crate) energy: Option<Energy>,
    pub(crate) changes: Vec<Change>,
    /// What to do once; after the changes, since a wish that still stands forbids it.
    commands: Vec<Command>,
    pub(crate) outputs: VecDeque<Output>,
    start: Start,
    seed: u64,
}

impl Engine {
    /// An engine that knows nothing of its kernel and has not dialled anybody.
    ///
    /// `seed` is the only randomness that it ever has.
    pub fn new(settings: Settings, memory: Memory, seed: u64, now: Now) -> Self {
        let energy =
            settings.energy.clone().map(|settings| Energy::new(settings, memory.energy, now));
        let sequences =
            memory.sequences.into_iter().map(|(vni, s)| (vni, s.into_iter().collect())).collect();
        let mut engine = Self {
            ribs: Ribs::default(),
            wants: Wants::default(),
            our_wants: BTreeSet::new(),
            rewanted: BTreeSet::new(),
            unicast: Unicast::default(),
            peers: Peers::default(),
            fabric: Fabric::default(),
            links: Vec::new(),
            connected: Vec::new(),
            hosts: Hosts::default(),
            evis: BTreeMap::new(),
            vrfs: BTreeMap::new(),
            index: ImportIndex::default(),
            imports: Map::default(),
            reimports: Vec::new(),
            sequences,
            ids: Ids::default(),
            restart: Restart::new(),
            underlay: Underlay::default(),
            dynamic: Dynamic::default(),
            advertised: Vec::new(),
            epoch: 0,
            energy,
            changes: Vec::new(),
            commands: Vec::new(),
            outputs: VecDeque::new(),
            start: memory.start,
            seed,
            settings,
        };
        engine.tell_who_we_are();
        for neighbor in engine.settings.neighbors.clone() {
            engine.add_peer(neighbor);
        }
        engine
    }

    /// Tells the table whose our own routes are.
    pub(crate) fn tell_who_we_are(&mut self) {
        let router_id = self.settings.router_id;
        let local = PeerInfo {
            source: Source::Local,
            router_id,
            address: router_id.into(),
            route_reflector_client: false,
        };
        for rib in self.ribs.iter_mut() {
            rib.table.set_peer(PeerIdx::LOCAL, local);
        }
    }

    pub(crate) fn add_peer(
        &mut self,
        neighbor: crate::settings::NeighborSettings,
    ) -> Option<PeerIdx> {
        let seed = self.seed;
        self.underlay.forget_fixed();
        self.peers.add(|index, former| Peer::new(index, neighbor, seed).after(former))
    }

    /// Takes in what happened. [`Engine::run`] is to follow, soon but not at once: inputs may be
    /// taken in batches.
    pub fn handle(&mut self, now: Now, input: Input) {
        for rib in self.ribs.iter_mut() {
            rib.table.set_time(now.time);
        }
        match input {
            Input::Kernel(events) => self.kernel(now, events),
            Input::RouterSeen { device, address } => self.router_seen(now, device, address),
            Input::Accepted { serial, local, remote } => self.accepted(now, serial, local, remote),
            Input::Connected { peer, connection, local, remote } => {
                self.session(now, peer, session::Input::Connected { connection, local, remote });
            }
            Input::ConnectFailed { peer, connection, error } => {
                self.session(now, peer, session::Input::ConnectFailed { connection, error });
            }
            Input::Closed { peer, connection, error } => {
                self.session(now, peer, session::Input::Closed { connection, error });
            }
            Input::Received { peer, connection, message, at } => {
                self.received(now, peer, connection, *message, at);
            }
            Input::Malformed { peer, connection, notification } => {
                self.session(now, peer, session::Input::Malformed { connection, notification });
            }
            Input::Written { peer, connection, octets, messages, at } => {
                self.written(now, peer, connection, octets, messages, at);
            }
            Input::Reading(reading) => self.with_energy(now, |e| e.reading(reading, now)),
            Input::FeedFailed(error) => self.with_energy(now, |e| e.feed_failed(&error, now)),
            Input::Clear { peer, kind } => self.clear(now, peer, kind),
            Input::Reconfigure(settings) => self.reconfigure(now, *settings),
        }
    }

    /// Takes an operator's override.
    ///
    /// # Errors
    /// What is wrong with it, for the operator; nothing has changed then.
    pub fn request(
        &mut self,
        now: Now,
        request: evpn_energy::OverrideRequest,
    ) -> Result<(), String> {
        let energy = self.energy.as_mut().ok_or(
            "no energy is configured here: add an [energy] section with at least feed = { type = \
             \"manual\" }",
        )?;
        let outputs = energy.request(request, now)?;
        self.outputs.extend(outputs);
        self.originate_prefixes(now);
        Ok(())
    }

    fn with_energy(&mut self, now: Now, act: impl FnOnce(&mut Energy) -> Vec<Output>) {
        let Some(energy) = self.energy.as_mut() else { return };
        let outputs = act(energy);
        self.outputs.extend(outputs);
        self.originate_prefixes(now);
    }

    /// Puts the settings' energy in place of the former.
    pub(crate) fn reconfigure_energy(&mut self, now: Now, settings: Option<EnergySettings>) {
        match (self.energy.as_mut(), settings) {
            (Some(energy), Some(settings)) => {
                let outputs = energy.reconfigure(settings, now);
                self.outputs.extend(outputs);
            }
            (None, Some(settings)) => self.energy = Some(Energy::new(settings, None, now)),
            (_, None) => self.energy = None,
        }
        self.choose_own_addresses(now);
    }

    fn kernel(&mut self, now: Now, events: Vec<KernelEvent>) {
        for event in events {
            match event {
                KernelEvent::Links(links) => {
                    self.follow_links(now, &links);
                    self.links = links;
                    self.refresh_interfaces(now);
                    self.refresh_fabric();
                    self.choose_own_addresses(now);
                    self.refresh_unicast();
                }
                KernelEvent::Connected(connected) => {
                    self.connected = connected;
                    self.choose_own_addresses(now);
                    self.refresh_unicast();
                }
                KernelEvent::LocalMac { bridge, port, mac, origin } if mac.is_host() => {
                    self.hosts.macs.insert((bridge, mac), Host { port, origin });
                    if let Some(evi) = evi_on(&mut self.evis, bridge) {
                        evi.local_mac(mac, origin);
                    }
                }
                KernelEvent::LocalMac { .. } => {}
                KernelEvent::LocalMacGone { bridge, mac } => {
                    self.hosts.macs.remove(&(bridge, mac));
                    if let Some(evi) = evi_on(&mut self.evis, bridge) {
                        evi.macs.local_gone(mac);
                    }
                }
                KernelEvent::Neighbour { device, address, mac } => {
                    self.hosts.neighbours.insert((device, address), mac);
                    if let Some(evi) = evi_on(&mut self.evis, device).filter(|_| announced(address))
                    {
                        evi.macs.neighbour(address, mac);
                    }
                }
                KernelEvent::NeighbourGone { device, address } => {
                    self.hosts.neighbours.remove(&(device, address));
                    if let Some(evi) = evi_on(&mut self.evis, device) {
                        evi.macs.neighbour_gone(address);
                    }
                }
                KernelEvent::Adopted => self.adopted(now),
            }
        }
    }

    /// The kernel has been read: what is there is known, and neighbours may come up.
    fn adopted(&mut self, now: Now) {
        let expected: Vec<PeerIdx> =
            self.peers.iter().filter(|p| !p.settings.shutdown).map(|p| p.index).collect();
        // Who dialled before us from where we listen nobody knows any more: all the time there is.
        let unnamed = Some(PeerIdx::LOCAL).filter(|_| !self.settings.listen.is_empty());
        let awaited = expected.iter().copied().chain(unnamed);
        let awaited = awaited.filter(|_| self.start == Start::Restart);
        self.restart.adopted(now.time, self.settings.sweep_delay, awaited);
        self.outputs.push_back(Output::Mode(self.restart.mode()));
        // An override must not gain time by restarts: what is left of it is written down at once.
        let persisted = self.energy.as_ref().map(|e| e.persist(now));
        self.outputs.extend(persisted);
        for peer in expected {
            self.start(now, peer);
        }
    }

    pub(crate) fn is_adopted(&self) -> bool {
        self.restart.mode() != Mode::Adopt
    }

    /// Chooses the addresses that are announced beside our prefixes, and announces both.
    pub(crate) fn choose_own_addresses(&mut self, now: Now) {
        for vrf in self.vrfs.values_mut() {
            vrf.choose_own(&self.settings, &self.links, &self.connected);
        }
        self.originate_prefixes(now);
    }

    /// Announces our prefixes as the energy has them now.
    pub(crate) fn originate_prefixes(&mut self, now: Now) {
        let energy = self.energy.as_ref();
        for vrf in self.vrfs.values_mut() {
            vrf.originate(&mut self.ribs.evpn, &self.settings, &self.connected, |drain_time| {
                energy.map(|e| e.advertised(now.time, drain_time))
            });
        }
    }

    /// Carries on what the inputs began. [`Engine::poll_output`] is to follow.
    pub fn run(&mut self, now: Now) -> Progress {
        for rib in self.ribs.iter_mut() {
            rib.table.set_time(now.time);
        }
        self.timeouts(now);
        let mut budget = RUN_BUDGET;
        loop {
            self.propagate_all(&mut budget);
            let again = budget.min(self.reimports.len());
            budget -= again;
            for id in self.reimports.drain(self.reimports.len() - again..).collect::<Vec<_>>() {
                self.import(id);
            }
            let outputs = &mut self.outputs;
            for evi in self.evis.values_mut().filter(|e| e.macs.is_dirty()) {
                evi.settle(&mut self.ribs.evpn, &mut self.changes, &mut self.commands, outputs);
            }
            if budget == 0 || (!self.ribs.is_dirty() && self.reimports.is_empty()) {
                break;
            }
        }
        self.fill_rewanted(now);
        self.follow_hops();
        self.program_prefixes(now);
        self.flush(now);
        if self.ribs.is_dirty() || !self.reimports.is_empty() {
            return Progress::More;
        }
        if let Some(complete) = self.restart.advance(now.time) {
            self.complete_restart(now, complete);
        }
        self.end_dynamic(now);
        if self.ribs.is_dirty() {
            return Progress::More;
        }
        self.free_numbers();
        Progress::Idle
    }

    /// Whether there is more to do than one [`Engine::run`] does. Who takes in more all the same lets
    /// changes, and with them routes that are gone already, pile up as fast as neighbours send.
    pub fn is_behind(&self) -> bool {
        self.ribs.backlog() > RUN_BUDGET
    }

    /// Whoever sweeps before it has heard all that was told deletes what it is then told to put
    /// back: so everything told is handed on first, prefixes included, and the word to sweep last.
    fn complete_restart(&mut self, now: Now, complete: Complete) {
        for peer in self.peers.iter_mut() {
            peer.session.restart_complete();
        }
        self.program_prefixes(now);
        self.flush(now);
        self.outputs.push_back(Output::Mode(self.restart.mode()));
        self.outputs.push_back(Output::Event(Event::RestartComplete(complete.text())));
    }

    /// RFC 4724 section 4.1: after a restart routes are chosen when all are known; until then the
    /// kernel's routes and groups, with the flows in them, stay as they are.
    fn program_prefixes(&mut self, now: Now) {
        self.program_unicast();
        if self.restart.in_progress() {
            return;
        }
        let neighbours = self.peers.iter().filter_map(Peer::address);
        let (connected, fib) = (&self.connected, &self.unicast.fib);
        let moved = self.underlay.refresh(neighbours, &self.evis, &self.vrfs, connected, fib);
        for vrf in self.vrfs.values_mut() {
            if moved == Underlaid::Moved {
                vrf.recheck(&self.underlay);
            }
            if vrf.table.is_dirty() {
                let mut changes = Vec::new();
                vrf.program(&mut self.ids, now.time, &self.underlay, &mut changes);
                // What gives way to a unicast route has been replaced by it already.
                changes.retain(|change| !self.unicast.fib.replaces(change));
                self.changes.append(&mut changes);
            }
        }
    }

    /// Every device of the kernel, as last told.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// How it stands, in a line.
    pub fn status(&self) -> String {
        let enabled = self.peers.iter().filter(|p| !p.settings.shutdown);
        let (up, all) =
            enabled.fold((0, 0), |(up, all), p| (up + usize::from(p.up.is_some()), all + 1));
        let level = self.energy.as_ref().map(|e| e.announced().as_str());
        format!("{up}/{all} neighbors up, energy level {}", level.unwrap_or("not watched"))
    }

    pub(crate) fn sender(&self, now: Now) -> Sender {
        Sender {
            now: now.time,
            asn: self.settings.asn,
            cluster_id: self.settings.cluster_id,
            router_id: self.settings.router_id,
            may_end_of_rib: self.restart.may_end_of_rib(),
            may_end_of_wants: self.restart.may_end_of_wants(|peer| {
                self.peer(peer).and_then(|p| p.up.as_ref()).is_some_and(Up::has_said_its_wants)
            }),
        }
    }

    fn flush(&mut self, now: Now) {
        // What was taken down to come up again is not told in between.
        if self.reimports.is_empty() {
            if !self.changes.is_empty() {
                self.outputs.push_back(Output::Dataplane(std::mem::take(&mut self.changes)));
            }
            self.outputs.extend(self.commands.drain(..).map(Output::Command));
        }
        let sender = self.sender(now);
        let mut outputs = Vec::new();
        for peer in self.peers.iter_mut() {
            peer.flush(&mut self.ribs, &sender, &mut outputs);
        }
        self.outputs.extend(outputs);
    }

    /// The next thing to do; none until the next input or deadline.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(crate) fn output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    /// When to call [`Engine::run`] if no input comes first.
    pub fn next_deadline(&self, now: Time) -> Option<Time> {
        let sessions = self.peers.iter().filter_map(|p| p.session.next_deadline());
        let stale = self.peers.iter().filter_map(|p| p.stale_until);
        let ups = || self.peers.iter().filter_map(|p| p.up.as_ref());
        let stale = stale.chain(ups().filter_map(|up| up.refreshes.next_deadline()));
        let wants = ups().filter_map(|up| up.awaits_wants());
        let rewanted = self.rewanted.iter().filter_map(|peer| self.peer(*peer)?.up.as_ref());
        let wants = wants.chain(rewanted.map(Up::wants_anew_at));
        let groups = self.vrfs.values().filter_map(|v| v.fib.next_deadline());
        let drain_times = self.vrfs.values().flat_map(|v| v.wanted(&self.connected).into_values());
        let energy = self.energy.as_ref().and_then(|e| e.next_deadline(now, drain_times));
        sessions
            .chain(stale)
            .chain(wants)
            .chain(groups)
            .chain(energy)
            .chain(self.restart.next_deadline())
            .min()
    }

    fn timeouts(&mut self, now: Now) {
        let time = now.time;
        let over = |at: Option<Time>| at.is_some_and(|t| t <= time);
        let due = |p: &&Peer| {
            let refresh = p.up.as_ref().and_then(|up| up.refreshes.next_deadline());
            over(p.stale_until) || over(p.session.next_deadline()) || over(refresh)
        };
        for index in self.peers.iter().filter(due).map(|p| p.index).collect::<Vec<_>>() {
            let Some(peer) = self.peers.get(index) else { continue };
            let stale = over(peer.stale_until);
            if over(peer.session.next_deadline()) {
                self.session(now, index, session::Input::Timeout);
            }
            if stale {
                self.drop_all_paths(index, Which::Stale);
            }
            self.expire_refreshes(now, index);
        }
        for vrf in self.vrfs.values_mut() {
            vrf.fib.settle(time, &mut self.changes);
        }
        let outputs = match self.energy.as_mut() {
            Some(energy) => energy.decide(now),
            None => return,
        };
        self.outputs.extend(outputs);
        self.originate_prefixes(now);
    }

    pub(crate) fn awaited_is_up(&mut self, peer: PeerIdx, has_restarted: bool) {
        self.restart.is_up(peer, has_restarted);
    }

    pub(crate) fn told(&mut self, peer: PeerIdx) {
        self.restart.told(peer);
    }

    pub(crate) fn will_not_tell(&mut self, now: Now, peer: PeerIdx) {
        self.restart.will_not_tell(now.time, peer);
    }

    fn clear(&mut self, now: Now, peer: PeerIdx, kind: ClearKind) {
        match kind {
            ClearKind::Hard(reason) => self.reset(now, peer, reason),
            ClearKind::Soft => {
                for family in Ribs::FAMILIES {
                    self.request_refresh(now, peer, family);
                    self.send_again(now, peer, family);
                }
            }
            ClearKind::SoftIn => {
                for family in Ribs::FAMILIES {
                    self.request_refresh(now, peer, family);
                }
            }
            ClearKind::SoftOut => {
                for family in Ribs::FAMILIES {
                    self.send_again(now, peer, family);
                }
            }
        }
    }
}

/// The L2VNI of a bridge.
fn evi_on(evis: &mut BTreeMap<Vni, Evi>, bridge: IfIndex) -> Option<&mut Evi> {
    evis.values_mut().find(|e| e.devices.bridge == bridge)
}

/// Whether an address is worth announcing: link-local ones mean nothing elsewhere, but neighbours
/// resolve them, so suppression needs them (RFC 9161 section 3.1).
pub(crate) fn announced(address: IpAddr) -> bool {
    !address.is_unspecified() && !address.is_multicast() && !address.is_loopback()
}
