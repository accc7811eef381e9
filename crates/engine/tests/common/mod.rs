//! Leaves wired to each other: engines as they are, octets between them, kernels as tables.
//!
//! What it leaves out, since the simulator has it: delay, loss, partial writes and a kernel that
//! answers back.
#![allow(dead_code, reason = "each test uses a part of it")]

mod site;

pub(crate) use site::*;

use bytes::Bytes;
use evpn_dataplane::facts::KernelEvent;
use evpn_dataplane::object::{
    Change, FdbEntry, FdbKey, FdbTarget, FloodKey, IfIndex, Mode, Neighbour, NeighbourKey, Nexthop,
    NexthopGroup, NexthopId, Route as KernelRoute, RouteKey,
};
use evpn_energy::UnixSeconds;
use evpn_engine::settings::Settings;
use evpn_engine::view::routes::{RouteFilter, RoutePath};
use evpn_engine::{
    Engine, Event, Input, Memory, Now, Output, PersistRecord, Progress, RouterPort, Start,
};
use evpn_proto::bgp::attributes::PathAttributes;
use evpn_proto::bgp::message::{Message, Update};
use evpn_proto::bgp::session::{ConnectionId, MessageCounts, TransportError};
use evpn_proto::bgp::wire::{DecodeContext, HEADER_LENGTH, decode};
use evpn_proto::types::{MacAddr, Route, Time};
use evpn_rib::PeerIdx;
use ipnet::IpNet;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::Duration;

/// The time that an idle session may stand without a step of the clock.
const STEP: Duration = Duration::from_secs(1);

/// What the engine wants the kernel to hold.
#[derive(Clone, Default, Debug, PartialEq)]
pub(crate) struct Tables {
    pub(crate) fdb: BTreeMap<FdbKey, FdbEntry>,
    pub(crate) flood: BTreeMap<FloodKey, ()>,
    pub(crate) neighbours: BTreeMap<NeighbourKey, Neighbour>,
    pub(crate) routes: BTreeMap<RouteKey, KernelRoute>,
    pub(crate) nexthops: BTreeMap<NexthopId, Nexthop>,
    pub(crate) groups: BTreeMap<NexthopId, NexthopGroup>,
}

fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => drop(map.insert(key, value)),
        None => drop(map.remove(&key)),
    }
}

impl Tables {
    fn apply(&mut self, change: Change) {
        match change {
            Change::Fdb(key, value) => put(&mut self.fdb, key, value),
            Change::Flood(key, value) => put(&mut self.flood, key, value),
            Change::Neighbour(key, value) => put(&mut self.neighbours, key, value),
            Change::Route(key, value) => put(&mut self.routes, key, value),
            Change::Nexthop(id, value) => put(&mut self.nexthops, id, value),
            Change::Group(id, value) => put(&mut self.groups, id, value),
            Change::FdbNexthop(..) | Change::FdbGroup(..) => {}
        }
    }

    /// Where frames to a host of VNI 100 go.
    pub(crate) fn host(&self, mac: MacAddr) -> Option<IpAddr> {
        match self.fdb.get(&FdbKey { device: VXLAN, mac })?.to {
            FdbTarget::Vtep(vtep) => Some(vtep),
            FdbTarget::Group(_) => None,
        }
    }

    /// The VTEPs that flooded frames of VNI 100 go to.
    pub(crate) fn floods(&self) -> Vec<IpAddr> {
        self.flood.keys().filter(|key| key.device == VXLAN).map(|key| key.vtep).collect()
    }

    /// The ways to a prefix, each with its weight over all of its nexthops.
    pub(crate) fn ways(&self, table: u32, prefix: IpNet) -> BTreeMap<IpAddr, u32> {
        let Some(route) = self.routes.get(&RouteKey { table, prefix }) else {
            return BTreeMap::new();
        };
        let mut ways = BTreeMap::new();
        match self.groups.get(&route.nexthop) {
            Some(group) => {
                for member in &group.members {
                    let gateway = self.nexthops[&member.nexthop].gateway;
                    *ways.entry(gateway).or_default() += u32::from(member.weight);
                }
            }
            None => drop(ways.insert(self.nexthops[&route.nexthop].gateway, 1)),
        }
        ways
    }
}

/// One end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct End {
    leaf: usize,
    peer: PeerIdx,
    connection: ConnectionId,
}

#[derive(Debug)]
struct Connected {
    far: End,
    context: DecodeContext,
    lease: Option<(Duration, Time)>,
    kept_alive: Time,
}

/// A leaf with its kernel and disk.
pub(crate) struct Leaf {
    pub(crate) n: u8,
    pub(crate) engine: Engine,
    pub(crate) tables: Tables,
    pub(crate) persisted: Vec<PersistRecord>,
    pub(crate) events: Vec<Event>,
    /// How far reconciling was allowed to go, in order.
    pub(crate) modes: Vec<Mode>,
    /// What had been asked for when it was told to sweep: anything else may have gone since.
    pub(crate) at_sweep: Option<Tables>,
    /// The VXLAN devices that it may take for its own.
    pub(crate) served: Vec<IfIndex>,
    /// Where it advertises itself as a router.
    pub(crate) advertised: Vec<RouterPort>,
    /// Where it said that its neighbour on an interface is, in order.
    pub(crate) located: Vec<Option<(Ipv6Addr, IfIndex)>>,
    /// Every connection that it dialled, in order.
    pub(crate) dialled: Vec<(PeerIdx, ConnectionId)>,
    /// Octets that it has sent.
    pub(crate) sent: usize,
    /// Objects that it wanted written or deleted.
    pub(crate) changes: usize,
    /// Unplugged: nobody reaches it.
    pub(crate) unplugged: bool,
}

/// The end of a leaf of a connection to `to`: a link-local one names the interface.
fn end_of(n: u8, to: IpAddr, port: u16) -> SocketAddr {
    match to {
        IpAddr::V6(_) => SocketAddrV6::new(link_local(n), port, 0, UNDERLAY.0).into(),
        IpAddr::V4(_) => SocketAddr::new(underlay(n), port),
    }
}

/// Leaves on one wire.
pub(crate) struct Net {
    pub(crate) leaves: Vec<Leaf>,
    pub(crate) now: Now,
    ends: BTreeMap<End, Connected>,
    queue: VecDeque<(usize, Input)>,
    serials: u64,
}

impl Net {
    pub(crate) fn new(all: Vec<Settings>) -> Self {
        let now = Now { time: Time::ZERO + Duration::from_secs(1000), wall: UnixSeconds(1 << 31) };
        let mut net = Self {
            leaves: Vec::new(),
            now,
            ends: BTreeMap::new(),
            queue: VecDeque::new(),
            serials: 0,
        };
        for settings in all {
            let n = settings.router_id.octets()[3];
            net.leaves.push(Leaf {
                n,
                engine: Engine::new(settings, Memory::default(), n.into(), now),
                tables: Tables::default(),
                persisted: Vec::new(),
                events: Vec::new(),
                modes: Vec::new(),
                at_sweep: None,
                served: Vec::new(),
                advertised: Vec::new(),
                located: Vec::new(),
                dialled: Vec::new(),
                sent: 0,
                changes: 0,
                unplugged: false,
            });
        }
        net
    }

    /// Leaves whose kernels have told what they have, with the time to come up.
    pub(crate) fn up(all: Vec<Settings>) -> Self {
        let mut net = Self::new(all);
        net.boot();
        net.advance(Duration::from_secs(15));
        net
    }

    /// Full mesh of `count` leaves, numbered from 1, all up.
    pub(crate) fn mesh(count: u8, ases: Ases, change: impl Fn(&mut Settings)) -> Self {
        let all = (1..=count).map(|n| {
            let peers: Vec<u8> = (1..=count).filter(|p| *p != n).collect();
            let mut settings = settings(n, &peers, ases);
            change(&mut settings);
            settings
        });
        Self::up(all.collect())
    }

    /// Every kernel tells what it has.
    pub(crate) fn boot(&mut self) {
        for leaf in 0..self.leaves.len() {
            self.boot_one(leaf, Vec::new());
        }
    }

    /// A kernel tells its devices, these hosts, and that this was all.
    pub(crate) fn boot_one(&mut self, leaf: usize, hosts: Vec<KernelEvent>) {
        let n = self.leaves[leaf].n;
        let mut events = vec![
            KernelEvent::Links(links(n)),
            KernelEvent::Connected(vec![(UNDERLAY, prefix("10.9.0.0/24"))]),
        ];
        events.extend(hosts);
        events.push(KernelEvent::Adopted);
        self.kernel(leaf, events);
    }

    /// evpnd of a leaf dies; the kernel keeps what it has.
    pub(crate) fn kill(&mut self, leaf: usize) {
        let ends: Vec<End> = self.ends.keys().filter(|end| end.leaf == leaf).copied().collect();
        for end in ends {
            self.close(end);
        }
        self.settle();
    }

    /// It starts anew; the kernel tells these hosts.
    pub(crate) fn start_again(&mut self, leaf: usize, hosts: Vec<KernelEvent>) {
        let mut settings = self.leaves[leaf].engine.view(self.now).settings().clone();
        for neighbor in &mut settings.neighbors {
            if let Some(restart) = neighbor.session.graceful_restart.as_mut() {
                restart.restarting = true;
            }
        }
        let memory = Memory { start: Start::Restart, ..Memory::default() };
        self.leaves[leaf].engine = Engine::new(settings, memory, 99, self.now);
        self.boot_one(leaf, hosts);
    }

    pub(crate) fn kernel(&mut self, leaf: usize, events: Vec<KernelEvent>) {
        self.input(leaf, Input::Kernel(events));
    }

    pub(crate) fn input(&mut self, leaf: usize, input: Input) {
        self.queue.push_back((leaf, input));
        self.settle();
    }

    /// A host shows up behind a leaf's port, with its address.
    pub(crate) fn learn(&mut self, leaf: usize, n: u8) {
        self.kernel(leaf, host_events(n));
    }

    /// A host is gone from a leaf's port.
    pub(crate) fn forget(&mut self, leaf: usize, n: u8) {
        let gone = KernelEvent::LocalMacGone { bridge: BRIDGE, mac: mac(n) };
        let address = KernelEvent::NeighbourGone { device: BRIDGE, address: host(n) };
        self.kernel(leaf, vec![gone, address]);
    }

    /// The settings of a leaf change.
    pub(crate) fn reconfigure(&mut self, leaf: usize, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.view(leaf).settings().clone();
        change(&mut settings);
        self.input(leaf, Input::Reconfigure(Box::new(settings)));
    }

    /// An UPDATE reaches a leaf as if its neighbour at `from` had sent it.
    pub(crate) fn inject(
        &mut self,
        leaf: usize,
        from: u8,
        attributes: PathAttributes,
        announced: Vec<Route>,
    ) {
        let neighbor = self.view(leaf).neighbor(underlay(from)).unwrap();
        let (peer, connection) = (neighbor.index, neighbor.session.endpoints().unwrap().connection);
        let attributes = Some(Arc::new(attributes));
        let update = Update { attributes, announced, ..Update::default() };
        let message = Box::new(Message::Update(update));
        let at = self.now.time;
        self.input(leaf, Input::Received { peer, connection, message, at });
    }

    /// Every connection of a leaf breaks, and none comes about until it is plugged in again.
    pub(crate) fn unplug(&mut self, leaf: usize) {
        self.leaves[leaf].unplugged = true;
        let ends: Vec<End> = self.ends.keys().filter(|end| end.leaf == leaf).copied().collect();
        for end in ends {
            self.close(end);
            let error = TransportError::Reset;
            let End { peer, connection, .. } = end;
            self.queue.push_back((leaf, Input::Closed { peer, connection, error }));
        }
        self.settle();
    }

    /// Lets time pass, with the keepalives that the leases allow.
    pub(crate) fn advance(&mut self, duration: Duration) {
        let mut left = duration;
        while !left.is_zero() {
            let step = left.min(STEP);
            left -= step;
            self.now.time = self.now.time + step;
            self.now.wall = self.now.wall.saturating_add(step);
            self.keep_alive();
            for leaf in 0..self.leaves.len() {
                self.run(leaf);
            }
            self.settle();
        }
    }

    fn keep_alive(&mut self) {
        let now = self.now.time;
        let mut heard = Vec::new();
        for (end, connected) in &mut self.ends {
            let Some((interval, until)) = connected.lease else { continue };
            if now.saturating_since(connected.kept_alive) >= interval && now <= until {
                connected.kept_alive = now;
                heard.push((*end, connected.far));
            }
        }
        for (near, far) in heard {
            let messages = MessageCounts { keepalive: 1, ..MessageCounts::default() };
            let End { leaf, peer, connection } = near;
            let written = Input::Written { peer, connection, octets: 0, messages, at: now };
            self.queue.push_back((leaf, written));
            let End { leaf, peer, connection } = far;
            let message = Box::new(Message::Keepalive);
            self.queue.push_back((leaf, Input::Received { peer, connection, message, at: now }));
        }
    }

    /// Delivers until nobody has anything to say.
    pub(crate) fn settle(&mut self) {
        while let Some((leaf, input)) = self.queue.pop_front() {
            self.leaves[leaf].engine.handle(self.now, input);
            self.run(leaf);
        }
    }

    fn run(&mut self, leaf: usize) {
        while self.leaves[leaf].engine.run(self.now) == Progress::More {}
        while let Some(output) = self.leaves[leaf].engine.poll_output() {
            self.carry_out(leaf, output);
        }
    }

    fn carry_out(&mut self, leaf: usize, output: Output) {
        match output {
            Output::Connect { peer, connection, address, .. } => {
                self.connect(End { leaf, peer, connection }, address);
            }
            Output::Close { peer, connection } => self.close(End { leaf, peer, connection }),
            Output::Adopted { serial, peer, connection } => {
                assert_eq!(ConnectionId::incoming(serial), connection);
                self.adopted(End { leaf, peer, connection });
            }
            Output::Refused { serial } => {
                let connection = ConnectionId::incoming(serial);
                let far = self
                    .ends
                    .iter()
                    .find(|(_, c)| c.far.leaf == leaf && c.far.connection == connection);
                let dialler = far.map(|(end, _)| *end);
                if let Some(End { leaf, peer, connection }) = dialler {
                    self.ends.remove(&End { leaf, peer, connection });
                    let error = TransportError::Closed;
                    self.queue.push_back((leaf, Input::Closed { peer, connection, error }));
                }
            }
            Output::Send { peer, connection, octets } => {
                self.send(End { leaf, peer, connection }, octets);
            }
            Output::Negotiated { peer, connection, context } => {
                if let Some(end) = self.ends.get_mut(&End { leaf, peer, connection }) {
                    end.context = context;
                }
            }
            Output::Lease { peer, connection, interval, until } => {
                if let Some(end) = self.ends.get_mut(&End { leaf, peer, connection }) {
                    end.lease = Some((interval, until));
                }
            }
            Output::Dataplane(changes) => {
                self.leaves[leaf].changes += changes.len();
                for change in changes {
                    self.leaves[leaf].tables.apply(change);
                }
            }
            Output::Command(_) => {}
            Output::Serve(devices) => self.leaves[leaf].served = devices,
            Output::Advertise(ports) => self.leaves[leaf].advertised = ports,
            Output::Located { remote, .. } => self.leaves[leaf].located.push(remote),
            Output::Mode(mode) => {
                let leaf = &mut self.leaves[leaf];
                leaf.modes.push(mode);
                if mode == Mode::Sweep {
                    leaf.at_sweep = Some(leaf.tables.clone());
                }
            }
            Output::Persist(record) => self.leaves[leaf].persisted.push(record),
            Output::Event(event) => self.leaves[leaf].events.push(event),
        }
    }

    fn connect(&mut self, near: End, to: IpAddr) {
        let End { leaf, peer, connection } = near;
        self.leaves[leaf].dialled.push((peer, connection));
        let from = self.leaves[leaf].n;
        let is_there = |l: &Leaf| underlay(l.n) == to || IpAddr::from(link_local(l.n)) == to;
        let far = self.leaves.iter().position(is_there);
        let far = far.filter(|far| !self.leaves[*far].unplugged && !self.leaves[leaf].unplugged);
        let Some(far) = far else {
            let error = TransportError::Unreachable;
            self.queue.push_back((leaf, Input::ConnectFailed { peer, connection, error }));
            return;
        };
        self.serials += 1;
        let serial = self.serials;
        let (local, remote) = (
            end_of(from, to, 40_000 + u16::try_from(serial).unwrap()),
            end_of(self.leaves[far].n, to, 179),
        );
        // Whose the far end is, the far engine says.
        let accepted = ConnectionId::incoming(serial);
        let unknown = End { leaf: far, peer: PeerIdx::LOCAL, connection: accepted };
        self.ends.insert(near, self.connected(unknown));
        let accepted = Input::Accepted { serial, local: remote, remote: local };
        self.queue.push_back((far, accepted));
        self.queue.push_back((leaf, Input::Connected { peer, connection, local, remote }));
    }

    fn connected(&self, far: End) -> Connected {
        let context = DecodeContext::INITIAL;
        Connected { far, context, lease: None, kept_alive: self.now.time }
    }

    fn adopted(&mut self, near: End) {
        let dialler = self
            .ends
            .iter_mut()
            .find(|(_, c)| c.far.leaf == near.leaf && c.far.connection == near.connection);
        let Some((far, connected)) = dialler else { return };
        connected.far = near;
        let far = *far;
        self.ends.insert(near, self.connected(far));
    }

    fn close(&mut self, near: End) {
        let Some(connected) = self.ends.remove(&near) else { return };
        let End { leaf, peer, connection } = connected.far;
        if self.ends.remove(&connected.far).is_some() {
            let error = TransportError::Closed;
            self.queue.push_back((leaf, Input::Closed { peer, connection, error }));
        }
    }

    fn send(&mut self, near: End, octets: Bytes) {
        let End { leaf, peer, connection } = near;
        let at = self.now.time;
        let messages = MessageCounts::default();
        let written = Input::Written { peer, connection, octets: octets.len(), messages, at };
        self.queue.push_back((leaf, written));
        let Some(far) = self.ends.get(&near).map(|c| c.far) else { return };
        self.leaves[leaf].sent += octets.len();
        let mut rest: &[u8] = &octets;
        while rest.len() >= HEADER_LENGTH {
            let length = usize::from(u16::from_be_bytes([rest[16], rest[17]]));
            let (message, after) = rest.split_at(length);
            rest = after;
            let context = self.ends.get(&far).map(|c| c.context.clone());
            let context = context.unwrap_or(DecodeContext::INITIAL);
            let End { leaf, peer, connection } = far;
            let input = match decode(message, &context) {
                Ok(message) => Input::Received { peer, connection, message: Box::new(message), at },
                Err(notification) => Input::Malformed { peer, connection, notification },
            };
            self.queue.push_back((leaf, input));
        }
    }

    pub(crate) fn tables(&self, leaf: usize) -> &Tables {
        &self.leaves[leaf].tables
    }

    pub(crate) fn view(&self, leaf: usize) -> evpn_engine::view::View<'_> {
        self.leaves[leaf].engine.view(self.now)
    }

    /// All paths of the first ten routes that the filter lets through.
    pub(crate) fn paths(&self, leaf: usize, filter: &RouteFilter) -> Vec<RoutePath> {
        self.view(leaf).routes(filter, None, 10).routes.into_iter().flat_map(|r| r.paths).collect()
    }
}
