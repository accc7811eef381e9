//! Connections on their way up: accepted or refused, OPEN judged, collisions resolved.
//!
//! **Of two connections one goes when an OPEN tells which, and never both.**

use super::Session;
use super::collision::{Rank, Verdict, resolve};
use super::config::SessionConfig;
use super::events::{ConnectionId, Direction, Output, ReceivedMessage};
use super::open::{Negotiated, negotiate, our_open};
use super::reason::{OpenRefusal, Reason};
use super::state::{
    Callers, Endpoints, Established, Idle, Link, Opening, Phase, Rival, State, Transport,
};
use super::timers::{Timer, TimerTable};
use crate::bgp::message::{Message, Open};
use crate::types::Time;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

/// The hold time until the neighbor's OPEN is there (RFC 4271 section 8.2.2 suggests 4 minutes).
pub(super) const OPEN_HOLD_TIME: Duration = Duration::from_secs(4 * 60);

/// The same for a neighbor that has called meanwhile: something else than it answers our dials, such
/// as a listener that never reads, and its calls must not be sent away for minutes.
const OPEN_HOLD_TIME_OF_A_CALLER: Duration = Duration::from_secs(10);

/// The two times of a message.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    /// When it is handled.
    pub(super) now: Time,
    /// When it was read.
    pub(super) at: Time,
}

impl Session {
    pub(super) fn connected(&mut self, now: Time, ends: Endpoints) {
        let connection = ends.connection;
        if self.state.state_of(connection).is_some() {
            return;
        }
        self.state = match (mem::take(&mut self.state), connection.direction()) {
            (State::Connect(dial), Direction::Outgoing) if dial == connection => {
                self.timers.disarm(Timer::ConnectRetry);
                self.open(now, ends, Rival::None)
            }
            // The dial goes on: if both sides gave up theirs for the other's, none would be left.
            (State::Connect(dial), Direction::Incoming) => self.open(now, ends, Rival::Dial(dial)),
            (
                State::Active | State::Idle(Idle::BackingOff(Callers::LetIn)),
                Direction::Incoming,
            ) => {
                self.timers.disarm(Timer::ConnectRetry);
                self.timers.disarm(Timer::IdleHold);
                self.open(now, ends, Rival::None)
            }
            (State::Opening(opening), Direction::Outgoing) => match *opening {
                Opening { link, rival: Rival::Dial(dial) } if dial == connection => {
                    self.timers.disarm(Timer::ConnectRetry);
                    self.open(now, ends, Rival::Link(link))
                }
                other => self.decline(connection, State::Opening(Box::new(other))),
            },
            (State::Opening(opening), Direction::Incoming) => {
                self.another_caller(now, *opening, ends)
            }
            (State::Established(established), Direction::Incoming) => {
                self.challenged(now, established, ends)
            }
            (state @ State::Idle(_), Direction::Incoming) => {
                self.hang_up(now, connection, &Reason::NotWanted);
                state
            }
            // Dialled in vain: we have closed it while it came about.
            (state, Direction::Outgoing) => self.decline(connection, state),
        };
    }

    fn decline(&mut self, connection: ConnectionId, state: State) -> State {
        self.outputs.push_back(Output::Close { connection });
        state
    }

    fn open(&mut self, now: Time, ends: Endpoints, rival: Rival) -> State {
        let link = self.open_link(now, ends);
        State::Opening(Box::new(Opening { link, rival }))
    }

    /// Sends our OPEN on a new connection.
    pub(super) fn open_link(&mut self, now: Time, ends: Endpoints) -> Link {
        let sent = our_open(&self.config);
        self.send(ends.connection, Message::Open(sent.clone()));
        let mut timers = TimerTable::default();
        timers.arm(Timer::Hold, now + OPEN_HOLD_TIME);
        Link { transport: Transport { ends, timers }, phase: Phase::OpenSent(sent) }
    }

    /// The neighbor dialled while something is on its way up. One that dials again has given up
    /// what it dialled before; a connection that we dialled stays beside the new one.
    fn another_caller(&mut self, now: Time, opening: Opening, ends: Endpoints) -> State {
        match opening.split_direction(Direction::Incoming) {
            Ok((earlier, rest)) => {
                self.hang_up(now, earlier.connection(), &Reason::Superseded);
                self.open(now, ends, rest)
            }
            Err(opening) => self.open(now, ends, Rival::Link(opening.link)),
        }
    }

    pub(super) fn received(
        &mut self,
        now: Time,
        connection: ConnectionId,
        message: ReceivedMessage,
        at: Time,
    ) {
        let moment = Moment { now, at };
        if self.state.state_of(connection).is_none() {
            return;
        }
        self.history.received.count_received(&message);
        if let ReceivedMessage::Open(open) = &message {
            self.history.last_open = Some(open.clone());
        }
        self.state = match mem::take(&mut self.state) {
            State::Opening(opening) => match opening.split(connection) {
                Ok((link, rest)) => self.received_in_opening(moment, link, rest, message),
                Err(opening) => State::Opening(opening),
            },
            State::Established(established) => {
                self.received_in_established(moment, established, connection, message)
            }
            other => other,
        };
    }

    fn received_in_opening(
        &mut self,
        moment: Moment,
        link: Link,
        rest: Rival,
        message: ReceivedMessage,
    ) -> State {
        let state = link.state();
        let reason = match (link.phase, message) {
            (Phase::OpenSent(sent), ReceivedMessage::Open(open)) => {
                match self.judge(&sent, &open) {
                    Ok(negotiated) => {
                        let link = Confirmed { transport: link.transport, negotiated };
                        return self.open_accepted(moment, link, rest);
                    }
                    Err(refusal) => Reason::Refused(refusal),
                }
            }
            (Phase::OpenConfirm(negotiated), ReceivedMessage::Keepalive) => {
                let link = Confirmed { transport: link.transport, negotiated };
                return self.establish(moment, link, rest);
            }
            (_, ReceivedMessage::Notification(notification)) => {
                Reason::PeerNotification(notification)
            }
            (_, message) => Reason::UnexpectedMessage { message: message.name(), state },
        };
        self.hang_up(moment.now, link.transport.connection(), &reason);
        self.go_on_with(moment.now, rest, state, reason)
    }

    pub(super) fn judge(
        &mut self,
        sent: &Open,
        open: &Open,
    ) -> Result<Arc<Negotiated>, OpenRefusal> {
        let mut negotiated = negotiate(&self.config, sent, open)?;
        negotiated.keepalive_interval = self.jitter.apply(negotiated.keepalive_interval);
        Ok(Arc::new(negotiated))
    }

    /// The neighbor's OPEN is good: whatever is beside this connection may collide with it.
    fn open_accepted(&mut self, moment: Moment, link: Confirmed, mut rest: Rival) -> State {
        // With its KEEPALIVE one side commits itself; a dial that succeeded later would only
        // threaten what then stands.
        self.stop_dialling(&mut rest);
        let (connection, collides) = (link.transport.connection(), &link.negotiated);
        let rank = |open: &Open| Rank { router_id: open.router_id, asn: open.asn };
        let (local, remote) = (rank(&collides.sent), rank(&collides.received));
        let rest = match rest {
            Rival::None | Rival::Dial(_) => Rival::None,
            Rival::Link(other) => match resolve(local, remote, connection.direction()) {
                Verdict::KeepBoth => Rival::Link(other),
                Verdict::KeepOpened => {
                    self.hang_up(moment.now, other.connection(), &Reason::Collision);
                    Rival::None
                }
                Verdict::KeepOther => {
                    self.hang_up(moment.now, connection, &Reason::Collision);
                    let link = self.hurry(moment.now, other);
                    return State::Opening(Box::new(Opening { link, rival: Rival::None }));
                }
            },
        };
        self.confirm(moment, link, rest)
    }

    /// Answers the neighbor's OPEN with a KEEPALIVE, and lets reading and keepalives begin.
    pub(super) fn confirm(&mut self, moment: Moment, link: Confirmed, rival: Rival) -> State {
        let Confirmed { mut transport, negotiated } = link;
        let connection = transport.connection();
        // RFC 4271 §8.2.2: with hold time 0 no timer runs; the KEEPALIVE that ends OpenConfirm is
        // awaited for a limited time all the same.
        let hold = match negotiated.hold_time {
            Duration::ZERO => moment.now + OPEN_HOLD_TIME,
            hold_time => moment.at + hold_time,
        };
        transport.timers.arm(Timer::Hold, hold);
        let agreed = Arc::clone(&negotiated);
        self.outputs.push_back(Output::Negotiated { connection, negotiated: agreed });
        self.send(connection, Message::Keepalive);
        self.outputs.extend(lease(moment.now, &mut transport, &negotiated));
        let link = Link { transport, phase: Phase::OpenConfirm(negotiated) };
        State::Opening(Box::new(Opening { link, rival }))
    }

    /// The neighbor is there, for it has called: its OPEN on the connection that stays is due.
    fn hurry(&mut self, now: Time, mut link: Link) -> Link {
        if matches!(link.phase, Phase::OpenSent(_)) {
            link.transport.timers.hasten(Timer::Hold, now + OPEN_HOLD_TIME_OF_A_CALLER);
            self.hurried = Some(link.connection());
        }
        link
    }

    fn establish(&mut self, moment: Moment, link: Confirmed, mut rest: Rival) -> State {
        let Moment { now, at } = moment;
        let Confirmed { mut transport, negotiated } = link;
        let connection = transport.connection();
        self.stop_dialling(&mut rest);
        if let Rival::Link(other) = rest {
            self.hang_up(now, other.connection(), &Reason::Collision);
        }
        if negotiated.hold_time.is_zero() {
            transport.timers.disarm(Timer::Hold);
        } else {
            let send_hold_time = SessionConfig::send_hold_time(negotiated.hold_time);
            transport.timers.arm(Timer::Hold, at + negotiated.hold_time);
            transport.timers.arm(Timer::SendHold, now + send_hold_time);
        }
        self.history.came_up(now, negotiated.notices());
        self.outputs.push_back(Output::Established { connection });
        State::Established(Box::new(Established {
            transport,
            negotiated,
            since: now,
            challenger: None,
        }))
    }

    pub(super) fn renew_lease(&mut self, now: Time, connection: ConnectionId) {
        for (transport, negotiated) in self.state.transports_mut() {
            if let Some(negotiated) = negotiated.filter(|_| transport.connection() == connection) {
                self.outputs.extend(lease(now, transport, negotiated));
            }
        }
    }

    pub(super) fn hold_expired(&mut self, now: Time, connection: ConnectionId) {
        let Some(state) = self.state.state_of(connection) else { return };
        let agreed = self.state.transports_mut().find_map(|(transport, negotiated)| {
            negotiated.filter(|_| transport.connection() == connection).map(|n| n.hold_time)
        });
        let of_open = match self.hurried == Some(connection) {
            true => OPEN_HOLD_TIME_OF_A_CALLER,
            false => OPEN_HOLD_TIME,
        };
        let hold_time = agreed.filter(|time| !time.is_zero()).unwrap_or(of_open);
        self.end(now, connection, Reason::HoldExpired { hold_time, state });
    }
}

/// A connection whose OPENs agree.
pub(super) struct Confirmed {
    pub(super) transport: Transport,
    pub(super) negotiated: Arc<Negotiated>,
}

/// The lease under which the shell sends KEEPALIVEs; none with hold time 0. It lasts as long as the
/// neighbor would wait for one, and is renewed three times as often: a busy engine costs no session.
fn lease(now: Time, transport: &mut Transport, negotiated: &Negotiated) -> Option<Output> {
    let (interval, hold_time) = (negotiated.keepalive_interval, negotiated.hold_time);
    if hold_time.is_zero() {
        return None;
    }
    transport.timers.arm(Timer::Lease, now + hold_time / 3);
    Some(Output::Lease { connection: transport.connection(), interval, until: now + hold_time })
}
