//! Two sessions, and between them a network that is a queue of events sorted by time.
//!
//! **Time jumps to the next event: nothing waits, and the same delays give the same run.**

use super::*;
use std::collections::{BTreeMap, HashMap, HashSet};

/// What is under way.
enum Event {
    Input(Input),
    /// A dial's handshake ends.
    Dialled(ConnectionId),
    /// The peer task sends a KEEPALIVE, if its lease lasts.
    Keepalive(ConnectionId),
}

/// A session and its shell.
pub(super) struct Side {
    pub(super) session: Session,
    pub(super) outputs: Vec<(Time, Output)>,
    /// It accepts connections.
    pub(super) listens: bool,
    /// Its engine does nothing until then; its peer task works.
    pub(super) busy_until: Time,
    /// Nothing that it sends leaves.
    pub(super) stuck: bool,
    dials: HashSet<ConnectionId>,
    /// Open connections with their names at the other side.
    open: HashMap<ConnectionId, ConnectionId>,
    leases: HashMap<ConnectionId, (Duration, Time)>,
}

impl Side {
    fn new(session: Session) -> Self {
        Self {
            session,
            outputs: Vec::new(),
            listens: true,
            busy_until: Time::ZERO,
            stuck: false,
            dials: HashSet::new(),
            open: HashMap::new(),
            leases: HashMap::new(),
        }
    }

    pub(super) fn count(&self, wanted: impl Fn(&Output) -> bool) -> usize {
        self.outputs.iter().filter(|(_, output)| wanted(output)).count()
    }

    fn established(&self) -> Option<ConnectionId> {
        let ends = self.session.endpoints()?;
        self.session.is_established(ends.connection).then_some(ends.connection)
    }
}

pub(super) struct Pair {
    pub(super) now: Time,
    pub(super) sides: [Side; 2],
    /// How often the last connection that stood was closed.
    pub(super) losses: usize,
    events: BTreeMap<(Time, u64), (usize, Event)>,
    /// When the last event of a connection reaches a side: a connection keeps its order.
    arrivals: HashMap<(usize, ConnectionId), Time>,
    serial: u64,
    delay: Box<dyn FnMut() -> Duration>,
}

impl Pair {
    pub(super) fn new(
        configs: [SessionConfig; 2],
        delay: impl FnMut() -> Duration + 'static,
    ) -> Self {
        let [a, b] = configs;
        Self {
            now: Time::ZERO,
            sides: [Side::new(Session::new(a, 1)), Side::new(Session::new(b, 2))],
            losses: 0,
            events: BTreeMap::new(),
            arrivals: HashMap::new(),
            serial: 0,
            delay: Box::new(delay),
        }
    }

    /// A pair with 10 ms between them, both started.
    pub(super) fn started(configs: [SessionConfig; 2]) -> Self {
        let mut pair = Self::new(configs, || Duration::from_millis(10));
        pair.input(0, Input::Start);
        pair.input(1, Input::Start);
        pair
    }

    pub(super) fn input(&mut self, side: usize, input: Input) {
        self.sides[side].session.handle(self.now, input);
        while let Some(output) = self.sides[side].session.poll_output() {
            self.carry_out(side, output.clone());
            self.sides[side].outputs.push((self.now, output));
        }
    }

    /// Hands in an input later.
    pub(super) fn input_after(&mut self, side: usize, wait: Duration, input: Input) {
        self.schedule(self.now + wait, side, Event::Input(input));
    }

    /// The power of a side fails: its connections are gone, and nobody tells the other.
    pub(super) fn power_cycle(&mut self, side: usize, config: SessionConfig) {
        self.sides[side] = Side::new(Session::new(config, 3));
        self.sides[1 - side].open.clear();
    }

    /// Both Established, on the same connection.
    pub(super) fn agree(&self) -> bool {
        let [a, b] = &self.sides;
        match (a.established(), b.established()) {
            (Some(of_a), Some(of_b)) => a.open.get(&of_a) == Some(&of_b),
            _ => false,
        }
    }

    fn some_connection_stands(&self) -> bool {
        let [a, b] = &self.sides;
        a.open.iter().any(|(here, there)| b.open.get(there) == Some(here))
    }

    pub(super) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.step(end) {}
        self.now = end;
    }

    /// The next event, or the next deadline where that is earlier.
    fn step(&mut self, end: Time) -> bool {
        let deadline = |side: &Side| Some(side.session.next_deadline()?.max(side.busy_until));
        let next = (0..2).filter_map(|i| Some((deadline(&self.sides[i])?, i))).min();
        let event = self.events.first_key_value().map(|((time, _), _)| *time);
        match (event, next) {
            (Some(time), next) if time <= end && next.is_none_or(|(other, _)| time <= other) => {
                self.now = self.now.max(time);
                let (_, (side, event)) = self.events.pop_first().expect("an event");
                self.happen(side, event);
                true
            }
            (_, Some((time, side))) if time <= end => {
                self.now = self.now.max(time);
                self.input(side, Input::Timeout);
                true
            }
            _ => false,
        }
    }

    fn happen(&mut self, side: usize, event: Event) {
        match event {
            Event::Dialled(connection) => self.dialled(side, connection),
            Event::Keepalive(connection) => self.send_keepalive(side, connection),
            Event::Input(input) if self.now < self.sides[side].busy_until => {
                self.schedule(self.sides[side].busy_until, side, Event::Input(input));
            }
            Event::Input(input) => {
                let here = &mut self.sides[side];
                let stands = match &input {
                    Input::Closed { connection, .. } => here.open.remove(connection).is_some(),
                    Input::Received { connection, .. } => here.open.contains_key(connection),
                    _ => true,
                };
                if stands {
                    self.input(side, input);
                }
            }
        }
    }

    fn carry_out(&mut self, side: usize, output: Output) {
        match output {
            Output::Connect { connection } => {
                self.sides[side].dials.insert(connection);
                let done = self.now + (self.delay)();
                self.schedule(done, side, Event::Dialled(connection));
            }
            Output::Close { connection } => {
                self.sides[side].dials.remove(&connection);
                if let Some(far) = self.sides[side].open.remove(&connection) {
                    let error = TransportError::Closed;
                    self.deliver(1 - side, far, |_| Input::Closed { connection: far, error });
                    self.losses += usize::from(!self.some_connection_stands());
                }
            }
            Output::Send { connection, message } => self.send(side, connection, &message),
            Output::Lease { connection, interval, until } => {
                let known = self.sides[side].leases.insert(connection, (interval, until));
                if known.is_none() {
                    self.schedule(self.now + interval, side, Event::Keepalive(connection));
                }
            }
            Output::Negotiated { .. }
            | Output::Established { .. }
            | Output::Down { .. }
            | Output::StateChanged { .. } => {}
        }
    }

    fn dialled(&mut self, side: usize, connection: ConnectionId) {
        if !self.sides[side].dials.remove(&connection) {
            return;
        }
        if !self.sides[1 - side].listens {
            let error = TransportError::Refused;
            self.input(side, Input::ConnectFailed { connection, error });
            return;
        }
        self.serial += 1;
        let far = ConnectionId::incoming(self.serial);
        self.sides[side].open.insert(connection, far);
        self.sides[1 - side].open.insert(far, connection);
        let (local, remote) = (address(1), address(2));
        self.deliver(1 - side, far, |_| Input::Connected { connection: far, local, remote });
        // The engine of who dialled hears of it later, too, and may have changed its mind by then.
        self.deliver(side, connection, |_| Input::Connected { connection, local, remote });
    }

    fn send(&mut self, side: usize, connection: ConnectionId, message: &Message) {
        let Some(far) = self.sides[side].open.get(&connection).copied() else { return };
        if self.sides[side].stuck {
            return;
        }
        let message = ReceivedMessage::from(message);
        self.deliver(1 - side, far, |at| Input::Received { connection: far, message, at });
    }

    fn send_keepalive(&mut self, side: usize, connection: ConnectionId) {
        let Some((interval, until)) = self.sides[side].leases.get(&connection).copied() else {
            return;
        };
        if !self.sides[side].open.contains_key(&connection) {
            return;
        }
        if self.now <= until && !self.sides[side].stuck {
            self.send(side, connection, &Message::Keepalive);
            let messages = MessageCounts { keepalive: 1, ..MessageCounts::default() };
            let sent = Input::Sent { connection, at: self.now, messages };
            self.happen(side, Event::Input(sent));
        }
        self.schedule(self.now + interval, side, Event::Keepalive(connection));
    }

    fn deliver(
        &mut self,
        side: usize,
        connection: ConnectionId,
        input: impl FnOnce(Time) -> Input,
    ) {
        let arrival = self.arrivals.entry((side, connection)).or_default();
        *arrival = (self.now + (self.delay)()).max(*arrival);
        let at = *arrival;
        self.schedule(at, side, Event::Input(input(at)));
    }

    fn schedule(&mut self, time: Time, side: usize, event: Event) {
        self.serial += 1;
        self.events.insert((time, self.serial), (side, event));
    }
}
