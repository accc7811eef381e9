//! TCP between the nodes, as far as BGP can tell: ordered streams of octets in pieces of any size.
//!
//! What it is not: it loses nothing and corrupts nothing within a connection, as TCP does not. A
//! path that is cut holds everything back, the end of a connection included, until it is mended.
//!
//! **What was written arrives in order, or the connection ends; what was written before an end
//! arrives before it.**

use crate::random::Random;
use crate::site::NodeId;
use bytes::Bytes;
use evpn_proto::bgp::session::TransportError;
use evpn_proto::types::Time;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Octets of one direction that may be under way; beyond it the writer waits.
const WINDOW_OCTETS: usize = 8 * 1024;
/// The longest way.
const LATENCY_MAX: Duration = Duration::from_millis(8);
/// How long after a path is mended what waited is sent again.
const RETRANSMISSION_MAX: Duration = Duration::from_millis(900);
/// The time between two attempts to open a connection over a path that is cut.
const SYN_RETRY: Duration = Duration::from_secs(1);
/// How many there are.
const SYN_ATTEMPTS: u8 = 6;

/// One side of a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Side {
    Dialler,
    Acceptor,
}

impl Side {
    const fn other(self) -> Self {
        match self {
            Self::Dialler => Self::Acceptor,
            Self::Acceptor => Self::Dialler,
        }
    }
}

/// One end of one connection; none is ever used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct End {
    pub(crate) connection: u64,
    pub(crate) side: Side,
}

impl End {
    const fn other(self) -> Self {
        Self { connection: self.connection, side: self.side.other() }
    }
}

/// Something that a node is to be told.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// Somebody dials; answer with [`Network::accept`] or [`Network::refuse`].
    Dial { end: End, from: NodeId },
    /// A dialled connection stands.
    Established { end: End },
    /// A dial failed.
    Failed { end: End, error: TransportError },
    /// Octets.
    Data { end: End, octets: Bytes },
    /// The connection has ended.
    Ended { end: End, error: TransportError },
    /// There is room to write.
    Room { end: End },
}

#[derive(Debug)]
enum Segment {
    Accepted,
    Refused,
    Data(Bytes),
    Closed,
    Reset,
}

/// What flows toward one end.
#[derive(Debug, Default)]
struct Pipe {
    segments: VecDeque<(Time, Segment)>,
    octets: usize,
    last: Time,
    /// A delivery is in the agenda.
    scheduled: bool,
}

#[derive(Debug)]
struct Connection {
    dialler: NodeId,
    acceptor: NodeId,
    open: BTreeSet<Side>,
    toward_dialler: Pipe,
    toward_acceptor: Pipe,
}

impl Connection {
    const fn node(&self, side: Side) -> NodeId {
        match side {
            Side::Dialler => self.dialler,
            Side::Acceptor => self.acceptor,
        }
    }

    const fn pipe(&mut self, toward: Side) -> &mut Pipe {
        match toward {
            Side::Dialler => &mut self.toward_dialler,
            Side::Acceptor => &mut self.toward_acceptor,
        }
    }

    fn is_over(&self) -> bool {
        self.open.is_empty()
            && self.toward_dialler.segments.is_empty()
            && self.toward_acceptor.segments.is_empty()
    }
}

#[derive(Clone, Copy, Debug)]
enum Due {
    Syn { connection: u64, attempt: u8 },
    Deliver(End),
    Room(End),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Network {
    connections: BTreeMap<u64, Connection>,
    cuts: BTreeSet<(NodeId, NodeId)>,
    downs: BTreeSet<NodeId>,
    agenda: BTreeMap<(Time, u64), Due>,
    random: Random,
    serial: u64,
}

impl Network {
    pub(crate) const fn new(random: Random) -> Self {
        Self {
            connections: BTreeMap::new(),
            cuts: BTreeSet::new(),
            downs: BTreeSet::new(),
            agenda: BTreeMap::new(),
            random,
            serial: 0,
        }
    }

    fn schedule(&mut self, at: Time, due: Due) {
        self.serial += 1;
        self.agenda.insert((at, self.serial), due);
    }

    fn latency(&mut self) -> Duration {
        self.random.between(LATENCY_MAX / 80, LATENCY_MAX)
    }

    pub(crate) fn next_at(&self) -> Option<Time> {
        self.agenda.first_key_value().map(|((at, _), _)| *at)
    }

    /// Whether anything passes between two nodes.
    pub(crate) fn passes(&self, a: NodeId, b: NodeId) -> bool {
        !self.cuts.contains(&(a.min(b), a.max(b)))
            && !self.downs.contains(&a)
            && !self.downs.contains(&b)
    }

    pub(crate) fn cut(&mut self, a: NodeId, b: NodeId) {
        self.cuts.insert((a.min(b), a.max(b)));
    }

    pub(crate) fn mend(&mut self, now: Time, a: NodeId, b: NodeId) {
        self.cuts.remove(&(a.min(b), a.max(b)));
        self.resume(now);
    }

    pub(crate) fn uplink(&mut self, now: Time, node: NodeId, up: bool) {
        if up {
            self.downs.remove(&node);
            self.resume(now);
        } else {
            self.downs.insert(node);
        }
    }

    /// What waited is sent again.
    fn resume(&mut self, now: Time) {
        let ends: Vec<End> = self
            .connections
            .keys()
            .flat_map(|c| [Side::Dialler, Side::Acceptor].map(|side| End { connection: *c, side }))
            .collect();
        for end in ends {
            let wait = self.random.up_to(RETRANSMISSION_MAX);
            self.wake(now + wait, end);
        }
    }

    /// Sees to it that the next segment toward an end is delivered, not before `at`.
    fn wake(&mut self, at: Time, end: End) {
        let Some(connection) = self.connections.get_mut(&end.connection) else { return };
        let (from, to) = (connection.node(end.side.other()), connection.node(end.side));
        let pipe = connection.pipe(end.side);
        let Some((due, _)) = pipe.segments.front().filter(|_| !pipe.scheduled) else { return };
        let at = at.max(*due);
        if !self.passes(from, to) {
            return;
        }
        if let Some(connection) = self.connections.get_mut(&end.connection) {
            connection.pipe(end.side).scheduled = true;
        }
        self.schedule(at, Due::Deliver(end));
    }

    fn push(&mut self, now: Time, toward: End, segment: Segment) {
        let latency = self.latency();
        let Some(connection) = self.connections.get_mut(&toward.connection) else { return };
        let pipe = connection.pipe(toward.side);
        let at = (now + latency).max(pipe.last);
        pipe.last = at;
        if let Segment::Data(octets) = &segment {
            pipe.octets += octets.len();
        }
        pipe.segments.push_back((at, segment));
        self.wake(now, toward);
    }

    /// Dials. The end is the dialler's.
    pub(crate) fn dial(&mut self, now: Time, from: NodeId, to: NodeId) -> End {
        self.serial += 1;
        let number = self.serial;
        let connection = Connection {
            dialler: from,
            acceptor: to,
            open: BTreeSet::from([Side::Dialler]),
            toward_dialler: Pipe::default(),
            toward_acceptor: Pipe::default(),
        };
        self.connections.insert(number, connection);
        let at = now + self.latency();
        self.schedule(at, Due::Syn { connection: number, attempt: 0 });
        End { connection: number, side: Side::Dialler }
    }

    pub(crate) fn accept(&mut self, now: Time, end: End) {
        if let Some(connection) = self.connections.get_mut(&end.connection) {
            connection.open.insert(end.side);
        }
        self.push(now, end.other(), Segment::Accepted);
    }

    pub(crate) fn refuse(&mut self, now: Time, end: End) {
        self.push(now, end.other(), Segment::Refused);
    }

    /// How many octets may be written now.
    pub(crate) fn room(&mut self, end: End) -> usize {
        self.connections
            .get_mut(&end.connection)
            .map_or(0, |c| WINDOW_OCTETS.saturating_sub(c.pipe(end.side.other()).octets))
    }

    pub(crate) fn write(&mut self, now: Time, end: End, octets: Bytes) {
        self.push(now, end.other(), Segment::Data(octets));
    }

    /// Ends a connection, after what was written.
    pub(crate) fn close(&mut self, now: Time, end: End) {
        let Some(connection) = self.connections.get_mut(&end.connection) else { return };
        if connection.open.remove(&end.side) {
            self.push(now, end.other(), Segment::Closed);
        }
        self.tidy(end.connection);
    }

    fn tidy(&mut self, connection: u64) {
        if self.connections.get(&connection).is_some_and(Connection::is_over) {
            self.connections.remove(&connection);
        }
    }

    /// The next thing to tell a node at `now`, and whom.
    pub(crate) fn poll(&mut self, now: Time) -> Option<(NodeId, Arrival)> {
        loop {
            let first = self.agenda.first_entry()?;
            if first.key().0 > now {
                return None;
            }
            let arrival = match first.remove() {
                Due::Syn { connection, attempt } => self.syn(now, connection, attempt),
                Due::Deliver(end) => self.deliver(now, end),
                Due::Room(end) => self.room_for(end),
            };
            if arrival.is_some() {
                return arrival;
            }
        }
    }

    fn room_for(&mut self, end: End) -> Option<(NodeId, Arrival)> {
        let connection = self.connections.get(&end.connection)?;
        let open = connection.open.contains(&end.side);
        open.then(|| (connection.node(end.side), Arrival::Room { end }))
    }

    fn syn(&mut self, now: Time, number: u64, attempt: u8) -> Option<(NodeId, Arrival)> {
        let connection = self.connections.get(&number)?;
        if !connection.open.contains(&Side::Dialler) {
            self.connections.remove(&number);
            return None;
        }
        let (from, to) = (connection.dialler, connection.acceptor);
        let end = End { connection: number, side: Side::Dialler };
        if self.passes(from, to) {
            return Some((to, Arrival::Dial { end: end.other(), from }));
        }
        let unreachable = self.downs.contains(&from);
        if unreachable || attempt >= SYN_ATTEMPTS {
            let error =
                if unreachable { TransportError::Unreachable } else { TransportError::TimedOut };
            self.connections.remove(&number);
            return Some((from, Arrival::Failed { end, error }));
        }
        self.schedule(now + SYN_RETRY, Due::Syn { connection: number, attempt: attempt + 1 });
        None
    }

    fn deliver(&mut self, now: Time, end: End) -> Option<(NodeId, Arrival)> {
        let connection = self.connections.get_mut(&end.connection)?;
        let (from, to) = (connection.node(end.side.other()), connection.node(end.side));
        connection.pipe(end.side).scheduled = false;
        if !self.passes(from, to) {
            return None;
        }
        let connection = self.connections.get_mut(&end.connection)?;
        let pipe = connection.pipe(end.side);
        let (_, segment) = pipe.segments.pop_front()?;
        if let Segment::Data(octets) = &segment {
            pipe.octets = pipe.octets.saturating_sub(octets.len());
        }
        let open = connection.open.contains(&end.side);
        let sender_open = connection.open.contains(&end.side.other());
        self.wake(now, end);
        if let Segment::Data(_) = &segment
            && sender_open
        {
            self.schedule(now, Due::Room(end.other()));
        }
        let arrival = self.arrival(now, end, segment, open, sender_open);
        self.tidy(end.connection);
        arrival.map(|arrival| (to, arrival))
    }

    fn arrival(
        &mut self,
        now: Time,
        end: End,
        segment: Segment,
        open: bool,
        sender_open: bool,
    ) -> Option<Arrival> {
        if !open {
            // Nobody is there any more, and the sender is told, unless it has left as well.
            if sender_open && !matches!(segment, Segment::Reset | Segment::Refused) {
                self.push(now, end.other(), Segment::Reset);
            }
            return None;
        }
        Some(match segment {
            Segment::Accepted => Arrival::Established { end },
            Segment::Data(octets) => Arrival::Data { end, octets },
            Segment::Refused => {
                self.leave(end);
                Arrival::Failed { end, error: TransportError::Refused }
            }
            Segment::Closed => {
                self.leave(end);
                Arrival::Ended { end, error: TransportError::Closed }
            }
            Segment::Reset => {
                self.leave(end);
                Arrival::Ended { end, error: TransportError::Reset }
            }
        })
    }

    /// An end learns that the connection is over: it writes no more.
    fn leave(&mut self, end: End) {
        if let Some(connection) = self.connections.get_mut(&end.connection) {
            connection.open.remove(&end.side);
        }
    }
}
