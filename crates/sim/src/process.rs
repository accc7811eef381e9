//! One run of evpnd on a node: an engine and a reconciler, with a shell between them and the world.
//!
//! The shell is the daemon's in virtual time. The engine and the dataplane have each a queue that
//! the other writes to, and what is in it comes late: a report of the kernel's may be on its way to
//! the engine while a wish from before is on its way back, and a host may move between a plan and
//! its execution.
//!
//! **What has died does nothing more**: a death comes between any two outputs, and nothing of the
//! process is left but its disk, its kernel and the octets that it wrote.

use crate::machine::Machine;
use crate::network::{End, Network};
use crate::plant::Planted;
use crate::random::Random;
use crate::scenario::{Act, Loss, Scenario};
use crate::site::{self, Birth, NodeId};
use crate::socket::Socket;
use crate::trace::Trace;
use crate::witness::{Deletion, Sequences};
use bytes::Bytes;
use evpn_dataplane::facts::KernelEvent;
use evpn_dataplane::object::{Change, Command, IfIndex, Mode};
use evpn_dataplane::observe::Observation;
use evpn_dataplane::op::{ErrorClass, Op};
use evpn_dataplane::reconciler::{self, Reconciler};
use evpn_energy::{Snapshot, UnixSeconds};
use evpn_engine::{Engine, Event, Input, Memory, Now, PersistRecord, Progress, Start};
use evpn_proto::bgp::message::Message;
use evpn_proto::bgp::session::{ConnectionId, TransportError};
use evpn_proto::types::{MacAddr, RouteKey, Time, Vni};
use evpn_rib::PeerIdx;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// The wall clock at the start of a run.
const WALL_START: u64 = 1_780_000_000;
/// The longest that anything waits in a queue.
const QUEUE_MAX: Duration = Duration::from_millis(3);
/// The longest that the kernel takes for a batch.
const EXECUTION_MAX: Duration = Duration::from_millis(4);
/// The time between two audits.
const AUDIT_EVERY: Duration = Duration::from_secs(40);
/// The longest that a dump takes; news that come meanwhile wait.
const DUMP_MAX: Duration = Duration::from_millis(5);
/// Of a hundred dumps, how many fail half way.
const DUMPS_FAIL_PERCENT: usize = 5;
/// Rounds of planning that yield nothing, after which the rest waits for the next time.
const PLANS_MAX: usize = 64;

/// What outlives a process.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    sequences: BTreeMap<Vni, BTreeMap<MacAddr, u32>>,
    energy: Option<Snapshot>,
}

impl Disk {
    fn write(&mut self, record: PersistRecord, planted: Planted) {
        match record {
            PersistRecord::Sequence(..) if planted.forgets_sequences() => {}
            PersistRecord::Sequence(vni, mac, sequence) => {
                self.sequences.entry(vni).or_default().insert(mac, sequence);
            }
            PersistRecord::Energy(snapshot) => self.energy = Some(*snapshot),
        }
    }

    fn memory(&self, birth: Birth) -> Memory {
        let start = match birth {
            Birth::First => Start::Cold,
            Birth::Restart => Start::Restart,
        };
        let sequences = self.sequences.iter();
        let sequences = sequences.map(|(vni, macs)| (*vni, macs.clone().into_iter().collect()));
        Memory { sequences: sequences.collect(), energy: self.energy.clone(), start }
    }
}

/// What a process acts upon.
pub(crate) struct Around<'a> {
    pub(crate) now: Time,
    pub(crate) node: NodeId,
    pub(crate) scenario: &'a Scenario,
    pub(crate) network: &'a mut Network,
    pub(crate) machine: &'a mut Machine,
    pub(crate) disk: &'a mut Disk,
    pub(crate) random: &'a mut Random,
    pub(crate) sequences: &'a mut Sequences,
    pub(crate) planted: Planted,
    pub(crate) trace: &'a mut Trace,
    /// When anything last happened that a network at rest does not do.
    pub(crate) active: &'a mut Time,
}

impl Around<'_> {
    fn clocks(&self) -> Now {
        let wall = UnixSeconds(WALL_START + self.now.as_nanos() / 1_000_000_000);
        Now { time: self.now, wall }
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        let node = self.node.0;
        self.trace.note(self.now, || format!("[{node}] {}", line()));
    }
}

/// Whether a node is audited: where news are lost and nobody notices, or the kernel refuses what it
/// should not, nothing else helps; elsewhere as it comes.
fn audits(around: &mut Around<'_>) -> bool {
    let helps = |act: &Act| match act {
        Act::LoseNews(node, Loss::Silent)
        | Act::FailWrites { node, class: ErrorClass::Refused, .. } => *node == around.node,
        _ => false,
    };
    around.scenario.acts.iter().any(|(_, act)| helps(act)) || around.random.chance(30)
}

/// Whether a process lived through what it did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    Lives,
    Died,
}

#[derive(Debug)]
enum Wish {
    Changes(Vec<Change>),
    Command(Command),
    Mode(Mode),
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
    reconciler: Reconciler,
    sockets: BTreeMap<(PeerIdx, ConnectionId), Socket>,
    callers: BTreeMap<u64, Caller>,
    dials: BTreeMap<End, (PeerIdx, ConnectionId)>,
    inputs: Vec<Input>,
    news: VecDeque<(Time, u64, Vec<KernelEvent>)>,
    /// The last report that the engine has taken in.
    heard: u64,
    wishes: VecDeque<(Time, u64, Wish)>,
    batch: Option<(Time, Vec<Op>)>,
    /// A dump that is under way, with what it showed of some tables when it began.
    dump: Option<(Time, Vec<Observation>)>,
    engine_at: Option<Time>,
    dataplane_at: Option<Time>,
    /// None where nobody audits: what is right at rest then is so without.
    audit_at: Option<Time>,
    dumped: bool,
    pub(crate) born: Time,
    /// Its restart is complete: what is stale may go.
    pub(crate) complete: bool,
    /// Outputs until it dies.
    dies_after: Option<usize>,
    /// What was deleted from the kernel since the last look.
    pub(crate) deletions: Vec<Deletion>,
}

impl Process {
    pub(crate) fn start(around: &mut Around<'_>, birth: Birth) -> Self {
        let settings = site::settings(around.scenario, around.node, birth);
        let now = around.clocks();
        let engine = Engine::new(settings, around.disk.memory(birth), around.random.next(), now);
        let seed = around.random.next();
        let mut reconciler = Reconciler::new(reconciler::Settings::default(), seed);
        if site::is_leaf(around.scenario, around.node) {
            let domains = site::DOMAINS.into_iter().chain([site::L3]);
            let devices: Vec<IfIndex> = domains.map(|domain| domain.vxlan).collect();
            reconciler.manage(&devices);
        }
        around.note(|| "evpnd starts".to_owned());
        Self {
            engine,
            reconciler,
            sockets: BTreeMap::new(),
            callers: BTreeMap::new(),
            dials: BTreeMap::new(),
            inputs: Vec::new(),
            news: VecDeque::new(),
            heard: 0,
            wishes: VecDeque::new(),
            batch: None,
            dump: None,
            engine_at: Some(now.time),
            dataplane_at: Some(now.time + around.random.up_to(QUEUE_MAX)),
            audit_at: audits(around).then(|| now.time + AUDIT_EVERY),
            dumped: false,
            born: now.time,
            complete: false,
            dies_after: None,
            deletions: Vec::new(),
        }
    }

    /// It dies once it has carried out so many outputs.
    pub(crate) fn doom(&mut self, outputs: usize) {
        self.dies_after = Some(outputs);
    }

    /// The kernel closes what the process had open.
    pub(crate) fn bury(self, now: Time, network: &mut Network) {
        let sockets = self.sockets.into_values().map(|socket| socket.end);
        let callers = self.callers.into_values().map(|caller| caller.end);
        for end in sockets.chain(callers).chain(self.dials.into_keys()) {
            network.close(now, end);
        }
    }

    /// When it is to be called if nothing comes in.
    pub(crate) fn next_at(&self) -> Option<Time> {
        let keepalives = self.sockets.values().filter_map(Socket::next_at);
        keepalives.chain(self.engine_at).chain(self.dataplane_next_at()).min()
    }

    /// The dataplane does one thing at a time.
    fn dataplane_next_at(&self) -> Option<Time> {
        if let Some(busy_until) = self.busy_until() {
            return Some(busy_until);
        }
        let sweep = self.reconciler.next_deadline();
        [self.dataplane_at, sweep, self.audit_at].into_iter().flatten().min()
    }

    fn busy_until(&self) -> Option<Time> {
        let batch = self.batch.as_ref().map(|(at, _)| *at);
        batch.or(self.dump.as_ref().map(|(at, _)| *at))
    }

    /// Does what is due.
    pub(crate) fn run(&mut self, around: &mut Around<'_>) -> Fate {
        let now = around.now;
        self.write_sockets(around);
        if self.engine_at.is_some_and(|at| at <= now) && self.think(around) == Fate::Died {
            return Fate::Died;
        }
        if self.dataplane_next_at().is_some_and(|at| at <= now) {
            self.work(around);
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

    /// The kernel has something to say, or the engine a wish.
    pub(crate) fn rouse_dataplane(&mut self, around: &mut Around<'_>) {
        let at = around.now + around.random.up_to(QUEUE_MAX);
        self.dataplane_at = Some(self.dataplane_at.map_or(at, |earlier| earlier.min(at)));
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
            Output::Connect { peer, connection } => {
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
            Output::Dataplane(changes) => self.wish(around, Wish::Changes(changes)),
            Output::Command(command) => self.wish(around, Wish::Command(command)),
            Output::Mode(Mode::Grow) if around.planted.sweeps_early() => {
                self.wish(around, Wish::Mode(Mode::Sweep));
            }
            Output::Mode(mode) => self.wish(around, Wish::Mode(mode)),
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

    fn wish(&mut self, around: &mut Around<'_>, wish: Wish) {
        *around.active = around.now;
        around.note(|| format!("wishes {wish:?} having heard {}", self.heard));
        let at = around.now + around.random.up_to(QUEUE_MAX);
        let at = self.wishes.back().map_or(at, |(last, ..)| at.max(*last));
        self.wishes.push_back((at, self.heard, wish));
        self.dataplane_at = Some(self.dataplane_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// The dataplane's turn: finish a batch, take wishes and news, plan the next batch.
    fn work(&mut self, around: &mut Around<'_>) {
        self.dataplane_at = None;
        if let Some((_, ops)) = self.batch.take() {
            self.execute(around, &ops);
        }
        self.listen(around);
        if self.dump.is_some() {
            return;
        }
        while let Some((at, heard, wish)) = self.wishes.pop_front() {
            if at > around.now {
                self.dataplane_at = Some(at);
                self.wishes.push_front((at, heard, wish));
                break;
            }
            match wish {
                Wish::Changes(changes) => {
                    changes.into_iter().for_each(|change| self.reconciler.want(change, heard));
                }
                Wish::Command(command) => self.reconciler.command(command),
                Wish::Mode(mode) => self.reconciler.set_mode(mode),
            }
        }
        self.plan(around);
        self.report(around);
    }

    fn execute(&mut self, around: &mut Around<'_>, ops: &[Op]) {
        use evpn_dataplane::op::Halves;
        for op in ops {
            *around.active = around.now;
            if op.is_delete() {
                self.deletions.extend(Deletion::of(op, &around.machine.tables()));
            }
            let kept = matches!(op, Op::FdbDelete { halves: Halves::Vxlan, .. })
                && around.planted.keeps_vxlan_half();
            let result =
                if kept { Ok(()) } else { around.machine.apply(around.now, op) };
            around.note(|| format!("kernel {op:?} -> {result:?}"));
            self.reconciler.done(op, result, around.now);
        }
    }

    /// Takes what the kernel says, and begins a dump where something may have been missed.
    fn listen(&mut self, around: &mut Around<'_>) {
        if let Some((_, before)) = self.dump.take() {
            self.end_dump(around, before);
        }
        let due = self.audit_at.is_some_and(|at| at <= around.now);
        let audit = due && !around.planted.trusts_lost_news();
        let suspect = self.reconciler.take_suspect();
        let overrun = around.machine.has_lost_news(around.now);
        let lost = overrun && !around.planted.trusts_lost_news();
        let dump = audit || suspect || lost || !self.dumped;
        // News that waited before a dump may be told before it or after it.
        if self.dumped && (!dump || around.random.chance(50)) {
            for seen in around.machine.take_news(around.now) {
                around.note(|| format!("kernel says {seen:?}"));
                self.reconciler.observe(seen);
            }
        }
        if due {
            self.audit_at = Some(around.now + AUDIT_EVERY);
        }
        if dump {
            around.note(|| format!("dumps: audit {audit}, suspect {suspect}, lost {lost}"));
            let at = around.now + around.random.up_to(DUMP_MAX);
            self.dump = Some((at, around.machine.dump()));
        }
    }

    /// A dump is complete: the first tables were read when it began, the others just now. What
    /// happened in between is among the news that wait.
    fn end_dump(&mut self, around: &mut Around<'_>, before: Vec<Observation>) {
        let late = around.random.below(TABLES + 1);
        let before = before.into_iter().filter(|seen| table_of(seen) < late);
        let after = around.machine.dump().into_iter().filter(|seen| table_of(seen) >= late);
        let fails = around.random.chance(DUMPS_FAIL_PERCENT);
        self.reconciler.begin_dump();
        for seen in before.chain(after) {
            if fails && around.random.chance(10) {
                around.note(|| "the dump fails".to_owned());
                self.reconciler.abandon_dump();
                return;
            }
            self.reconciler.observe(seen);
        }
        self.reconciler.end_dump();
        self.dumped = true;
        // What was written meanwhile is not: the news have it.
        self.dataplane_at = Some(around.now);
    }

    fn plan(&mut self, around: &mut Around<'_>) {
        let limit = 1 + around.random.below(40);
        let mut ops = Vec::new();
        for _ in 0..PLANS_MAX {
            self.reconciler.plan(around.now, limit, &mut ops);
            if !ops.is_empty() {
                let at = around.now + around.random.up_to(EXECUTION_MAX);
                self.batch = Some((at, ops));
                return;
            }
            if !self.reconciler.has_work() {
                return;
            }
        }
        *around.active = around.now;
        self.rouse_dataplane(around);
    }

    /// Reports to the engine.
    fn report(&mut self, around: &mut Around<'_>) {
        while self.reconciler.has_news() {
            let (report, events) = self.reconciler.take_news(1 + around.random.below(32));
            let at = around.now + around.random.up_to(QUEUE_MAX);
            let at = self.news.back().map_or(at, |(last, ..)| at.max(*last));
            self.news.push_back((at, report, events));
            self.engine_at = Some(self.engine_at.map_or(at, |earlier| earlier.min(at)));
        }
    }

    /// What the reconciler says is still apart, for whoever looks into a failure.
    pub(crate) fn differences(&self) -> Vec<String> {
        let differences = self.reconciler.differences(20);
        differences.first.iter().map(|difference| format!("{difference:?}")).collect()
    }
}

/// How many tables the kernel dumps one by one, devices first.
const TABLES: usize = 6;

/// The table of the kernel that something is in, in the order of dumping.
const fn table_of(seen: &Observation) -> usize {
    match seen {
        Observation::Link(_) | Observation::LinkGone(_) | Observation::Port { .. } => 0,
        Observation::Address { .. } | Observation::AddressGone { .. } => 1,
        Observation::Nexthop { .. } | Observation::NexthopGone(_) => 2,
        // Both halves and the flood entries come in one dump.
        Observation::BridgeMac(_)
        | Observation::BridgeMacGone(_)
        | Observation::VxlanMac { .. }
        | Observation::VxlanMacGone(_)
        | Observation::Flood { .. }
        | Observation::FloodGone(_) => 3,
        Observation::Neighbour(_) | Observation::NeighbourGone(_) => 4,
        Observation::Route(_) | Observation::RouteGone(_) => 5,
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
