//! One run of evpnd on a node: an engine and a reconciler, with a shell between them and the world.
//!
//! The shell is the daemon's in virtual time. The engine and the dataplane have each a queue that
//! the other writes to, and what is in it comes late: a report of the kernel's may be on its way to
//! the engine while a wish from before is on its way back, and a host may move between a plan and
//! its execution.
//!
//! **What has died does nothing more**: a death comes between any two outputs, and nothing of the
//! process is left but its disk, its kernel and the octets that it wrote.

use crate::around::Around;
use crate::dataplane::{Dataplane, QUEUE_MAX, Wish};
use crate::network::End;
use crate::site::{self, Birth, NodeId};
use crate::socket::Socket;
use crate::witness::Deletion;
use bytes::Bytes;
use evpn_dataplane::facts::KernelEvent;
use evpn_dataplane::object::Mode;
use evpn_engine::{Engine, Event, Input, Progress};
use evpn_proto::bgp::message::Message;
use evpn_proto::bgp::session::{ConnectionId, TransportError};
use evpn_proto::types::{RouteKey, Time};
use evpn_rib::PeerIdx;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

/// Whether a process lived through what it did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    Lives,
    Died,
}

/// Somebody who dialled us and of whom the engine has not said who it is.
#[derive(Debug)]
struct Caller {
    end: End,
    early: Vec<Bytes>,
    ended: Option<TransportError>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Process {
    engine: Engine,
    dataplane: Dataplane,
    sockets: BTreeMap<(PeerIdx, ConnectionId), Socket>,
    callers: BTreeMap<u64, Caller>,
    dials: BTreeMap<End, (PeerIdx, ConnectionId)>,
    inputs: Vec<Input>,
    news: VecDeque<(Time, u64, Vec<KernelEvent>)>,
    /// The last report that the engine has taken in.
    heard: u64,
    engine_at: Option<Time>,
    pub(crate) born: Time,
    /// Its restart is complete: what is stale may go.
    pub(crate) complete: bool,
    /// Outputs until it dies.
    dies_after: Option<usize>,
}

impl Process {
    pub(crate) fn start(around: &mut Around<'_>, birth: Birth) -> Self {
        let settings = site::settings(around.scenario, around.node, birth);
        let now = around.clocks();
        let engine = Engine::new(settings, around.disk.memory(birth), around.random.next(), now);
        around.note(|| "evpnd starts".to_owned());
        Self {
            engine,
            dataplane: Dataplane::start(around),
            sockets: BTreeMap::new(),
            callers: BTreeMap::new(),
            dials: BTreeMap::new(),
            inputs: Vec::new(),
            news: VecDeque::new(),
            heard: 0,
            engine_at: Some(now.time),
            born: now.time,
            complete: false,
            dies_after: None,
        }
    }

    /// It dies once it has carried out so many outputs.
    pub(crate) fn doom(&mut self, outputs: usize) {
        self.dies_after = Some(outputs);
    }

    /// The kernel closes what the process had open.
    pub(crate) fn bury(mut self, around: &mut Around<'_>) {
        self.dataplane.bury(around);
        let sockets = self.sockets.into_values().map(|socket| socket.end);
        let callers = self.callers.into_values().map(|caller| caller.end);
        for end in sockets.chain(callers).chain(self.dials.into_keys()) {
            around.network.close(around.now, end);
        }
    }

    /// When it is to be called if nothing comes in.
    pub(crate) fn next_at(&self) -> Option<Time> {
        let keepalives = self.sockets.values().filter_map(Socket::next_at);
        keepalives.chain(self.engine_at).chain(self.dataplane.next_at()).min()
    }

    /// Does what is due.
    pub(crate) fn run(&mut self, around: &mut Around<'_>) -> Fate {
        let now = around.now;
        self.write_sockets(around);
        if self.engine_at.is_some_and(|at| at <= now) && self.think(around) == Fate::Died {
            return Fate::Died;
        }
        if self.dataplane.next_at().is_some_and(|at| at <= now) {
            for (report, events) in self.dataplane.run(around) {
                let at = around.now + around.random.up_to(QUEUE_MAX);
                let at = self.news.back().map_or(at, |(last, ..)| at.max(*last));
                self.news.push_back((at, report, events));
                self.engine_at = Some(self.engine_at.map_or(at, |earlier| earlier.min(at)));
            }
        }
        Fate::Lives
    }

    /// Something came in for the engine.
    fn rouse(&mut self, around: &mut Around<'_>) {
        let at = around.now + around.random.up_to(QUEUE_MAX / 10);
        self.engine_at = Some(self.engine_at.map_or(at, |earlier| earlier.min(at)));
    }

    pub(crate) fn input(&mut self, around: &mut Around<'_>, input: Input) {
        self.inputs.push(input);
        self.rouse(around);
    }

    /// The kernel has something to say.
    pub(crate) fn rouse_dataplane(&mut self, around: &mut Around<'_>) {
        self.dataplane.rouse(around);
    }

    /// What was deleted from the kernel since it was asked last.
    pub(crate) fn take_deletions(&mut self) -> Vec<Deletion> {
        self.dataplane.take_deletions()
    }

    fn write_sockets(&mut self, around: &mut Around<'_>) {
        let before = self.inputs.len();
        for socket in self.sockets.values_mut() {
            if socket.next_at().is_some_and(|at| at <= around.now) {
                socket.write(around.now, around.network, around.random, &mut self.inputs);
            }
        }
        if self.inputs.len() > before {
            self.rouse(around);
        }
    }

    /// Somebody dials this node.
    pub(crate) fn called(&mut self, around: &mut Around<'_>, end: End, from: NodeId) {
        around.network.accept(around.now, end);
        let serial = end.connection;
        self.callers.insert(serial, Caller { end, early: Vec::new(), ended: None });
        let local = SocketAddr::new(site::address(around.node), 179);
        let remote = SocketAddr::new(site::address(from), port_of(end));
        self.input(around, Input::Accepted { serial, local, remote });
    }

    /// A dialled connection stands.
    pub(crate) fn connected(&mut self, around: &mut Around<'_>, end: End) {
        let Some((peer, connection)) = self.dials.remove(&end) else { return };
        self.sockets.insert((peer, connection), Socket::new(end, peer, connection));
        let local = SocketAddr::new(site::address(around.node), port_of(end));
        let to = neighbour(around, peer).unwrap_or(around.node);
        let remote = SocketAddr::new(site::address(to), 179);
        self.input(around, Input::Connected { peer, connection, local, remote });
    }

    /// A dial failed.
    pub(crate) fn dial_failed(&mut self, around: &mut Around<'_>, end: End, error: TransportError) {
        if let Some((peer, connection)) = self.dials.remove(&end) {
            self.input(around, Input::ConnectFailed { peer, connection, error });
        }
    }

    /// Octets came.
    pub(crate) fn data(&mut self, around: &mut Around<'_>, end: End, octets: Bytes) {
        if let Some(caller) = self.callers.values_mut().find(|c| c.end == end) {
            caller.early.push(octets);
        } else if let Some(socket) = self.sockets.values_mut().find(|s| s.end == end) {
            socket.take(around.now, &octets, &mut self.inputs);
            self.rouse(around);
        }
    }

    /// A connection ended.
    pub(crate) fn ended(&mut self, around: &mut Around<'_>, end: End, error: TransportError) {
        if let Some(caller) = self.callers.values_mut().find(|c| c.end == end) {
            caller.ended = Some(error);
        } else if let Some(socket) = self.sockets.values_mut().find(|s| s.end == end) {
            socket.end(around.now, error, &mut self.inputs);
            self.rouse(around);
        }
    }

    /// There is room to write.
    pub(crate) fn room(&mut self, around: &mut Around<'_>, end: End) {
        let Some(socket) = self.sockets.values_mut().find(|s| s.end == end) else { return };
        let before = self.inputs.len();
        socket.write(around.now, around.network, around.random, &mut self.inputs);
        if self.inputs.len() > before {
            self.rouse(around);
        }
    }

    /// Ends as upon SIGTERM.
    pub(crate) fn shut_down(&mut self, around: &mut Around<'_>) {
        self.engine.shut_down(around.clocks());
        self.dies_after = None;
        self.carry_out(around);
    }

    /// The engine takes in what has come, and everything that follows is carried out.
    fn think(&mut self, around: &mut Around<'_>) -> Fate {
        let now = around.clocks();
        for input in std::mem::take(&mut self.inputs) {
            if let Input::Received { message, peer, .. } = &input {
                let from = neighbour(around, *peer);
                around.note(|| format!("hears from node {from:?}: {}", gist(message)));
                around.sequences.heard(around.now, around.node, from, message);
            }
            self.engine.handle(now, input);
        }
        while let Some((at, report, events)) = self.news.pop_front() {
            if at > around.now {
                self.news.push_front((at, report, events));
                break;
            }
            around.note(|| format!("engine hears report {report}: {events:?}"));
            self.engine.handle(now, Input::Kernel(events));
            self.heard = report;
        }
        while self.engine.run(now) == Progress::More {
            if self.carry_out(around) == Fate::Died {
                return Fate::Died;
            }
        }
        if self.carry_out(around) == Fate::Died {
            return Fate::Died;
        }
        let deadline = self.engine.next_deadline(around.now);
        let news = self.news.front().map(|(at, ..)| *at);
        let inputs = (!self.inputs.is_empty()).then_some(around.now);
        self.engine_at = [deadline, news, inputs].into_iter().flatten().min();
        Fate::Lives
    }

    fn carry_out(&mut self, around: &mut Around<'_>) -> Fate {
        while let Some(output) = self.engine.poll_output() {
            match &mut self.dies_after {
                Some(0) => return Fate::Died,
                Some(left) => *left -= 1,
                None => {}
            }
            self.output(around, output);
        }
        Fate::Lives
    }

    fn output(&mut self, around: &mut Around<'_>, output: evpn_engine::Output) {
        use evpn_engine::Output;
        match output {
            Output::Connect { peer, connection, .. } => {
                if let Some(to) = neighbour(around, peer) {
                    let end = around.network.dial(around.now, around.node, to);
                    self.dials.insert(end, (peer, connection));
                }
            }
            Output::Close { peer, connection } => self.close(around, peer, connection),
            Output::Adopted { serial, peer, connection } => {
                self.adopted(around, serial, peer, connection);
            }
            Output::Refused { serial } => {
                if let Some(caller) = self.callers.remove(&serial) {
                    around.network.close(around.now, caller.end);
                }
            }
            Output::Send { peer, connection, octets } => {
                self.send(around, (peer, connection), octets);
            }
            Output::Negotiated { peer, connection, context } => {
                if let Some(socket) = self.sockets.get_mut(&(peer, connection)) {
                    socket.go_on(around.now, context, &mut self.inputs);
                }
            }
            Output::Lease { peer, connection, interval, until } => {
                if let Some(socket) = self.sockets.get_mut(&(peer, connection)) {
                    socket.lease(around.now, interval, until);
                }
            }
            Output::Dataplane(changes) => {
                self.dataplane.wish(around, self.heard, Wish::Changes(changes))
            }
            Output::Command(command) => {
                self.dataplane.wish(around, self.heard, Wish::Command(command))
            }
            Output::Mode(Mode::Grow) if around.planted.sweeps_early() => {
                self.dataplane.wish(around, self.heard, Wish::Mode(Mode::Sweep));
            }
            Output::Mode(mode) => self.dataplane.wish(around, self.heard, Wish::Mode(mode)),
            Output::Serve(devices) => {
                self.dataplane.wish(around, self.heard, Wish::Serve(devices));
            }
            // Nobody here has neighbours on interfaces.
            Output::Advertise(_) | Output::Located { .. } => {}
            Output::Persist(record) => {
                around.note(|| format!("persists {record:?}"));
                around.disk.write(record, around.planted);
            }
            Output::Event(event) => {
                around.note(|| event.to_string());
                self.complete |= matches!(event, Event::RestartComplete(_));
            }
        }
    }

    fn send(&mut self, around: &mut Around<'_>, key: (PeerIdx, ConnectionId), octets: Bytes) {
        /// The octet of the header that says what a message is, and what it is in an UPDATE.
        const UPDATE: (usize, u8) = (18, 2);
        if octets.get(UPDATE.0) == Some(&UPDATE.1) {
            *around.active = around.now;
        }
        let Some(socket) = self.sockets.get_mut(&key) else { return };
        socket.send(octets);
        socket.write(around.now, around.network, around.random, &mut self.inputs);
    }

    fn close(&mut self, around: &mut Around<'_>, peer: PeerIdx, connection: ConnectionId) {
        if let Some(socket) = self.sockets.remove(&(peer, connection)) {
            socket.close(around.now, around.network);
        }
        let dial = self.dials.iter().find(|(_, name)| **name == (peer, connection));
        if let Some(end) = dial.map(|(end, _)| *end) {
            self.dials.remove(&end);
            around.network.close(around.now, end);
        }
    }

    fn adopted(
        &mut self,
        around: &mut Around<'_>,
        serial: u64,
        peer: PeerIdx,
        connection: ConnectionId,
    ) {
        let Some(caller) = self.callers.remove(&serial) else { return };
        let mut socket = Socket::new(caller.end, peer, connection);
        for octets in caller.early {
            socket.take(around.now, &octets, &mut self.inputs);
        }
        if let Some(error) = caller.ended {
            socket.end(around.now, error, &mut self.inputs);
        }
        self.sockets.insert((peer, connection), socket);
    }

    /// What the reconciler says is still apart, for whoever looks into a failure.
    pub(crate) fn differences(&self) -> Vec<String> {
        self.dataplane.differences()
    }
}

/// A message in a line, for whoever looks into a failure.
fn gist(message: &Message) -> String {
    let Message::Update(update) = message else { return format!("{message:?}") };
    let sequence = update.attributes.as_ref().and_then(|a| a.mac_mobility());
    let name = |key: &RouteKey| {
        let rd = key.rd().map(|rd| rd.to_string()).unwrap_or_default();
        format!("{rd} {key}")
    };
    let announced: Vec<String> = update.announced.iter().map(|route| name(&route.key)).collect();
    let withdrawn: Vec<String> = update.withdrawn.iter().map(name).collect();
    let end = if update.end_of_rib.is_some() { ", End-of-RIB" } else { "" };
    format!("announced {announced:?} with {sequence:?}, withdrawn {withdrawn:?}{end}")
}

fn neighbour(around: &Around<'_>, peer: PeerIdx) -> Option<NodeId> {
    site::neighbours(around.scenario, around.node).get(usize::from(peer.0)).copied()
}

fn port_of(end: End) -> u16 {
    // Any port above the well-known ones does.
    u16::try_from(end.connection % 20_000).unwrap_or(0).saturating_add(30_000)
}
