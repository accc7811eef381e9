//! Starting, stopping, dialling and waiting; and what every end has in common.
//!
//! **Every way down leads to a wait that ends by itself, unless somebody asked for a lasting stop.**

use super::config::{Change, Mode};
use super::events::{ConnectionId, Detector, Direction, Output, TransportError};
use super::history::EventKind;
use super::reason::{Reason, StopReason};
use super::state::{Callers, Idle, Opening, Rival, SessionState, State};
use super::timers::Timer;
use super::{Session, SessionConfig};
use crate::bgp::message::{Message, Notification};
use crate::types::Time;
use std::mem;
use std::time::Duration;

/// No configuration makes us dial more often than this.
const CONNECT_RETRY_FLOOR: Duration = Duration::from_secs(1);

impl Session {
    pub(super) fn start(&mut self, now: Time) {
        match self.state {
            State::Idle(Idle::Stopped) => {
                self.backoff.reset();
                self.state = self.begin(now);
            }
            State::Idle(Idle::BackingOff(_)) | State::Active => self.state = self.begin(now),
            State::Connect(_) | State::Opening(_) | State::Established(_) => {}
        }
    }

    pub(super) fn stop(&mut self, now: Time, reason: StopReason) {
        let stays_down = self.is_stopped() && !reason.is_lasting();
        if !stays_down {
            // What somebody asked for is no failure.
            self.backoff.reset();
            self.shut(now, Reason::Stopped(reason));
        }
    }

    pub(super) fn link_down(&mut self, now: Time, detector: Detector) {
        if !matches!(self.state, State::Idle(_) | State::Active) {
            self.shut(now, Reason::LinkDown(detector));
        }
    }

    /// Dials, or waits for the neighbor to.
    pub(super) fn begin(&mut self, now: Time) -> State {
        self.timers.disarm(Timer::IdleHold);
        match self.config.mode {
            Mode::Active => self.dial(now),
            Mode::Passive => {
                self.timers.disarm(Timer::ConnectRetry);
                State::Active
            }
        }
    }

    fn dial(&mut self, now: Time) -> State {
        self.dials = self.dials.wrapping_add(1);
        let connection = ConnectionId::outgoing(self.dials);
        self.outputs.push_back(Output::Connect { connection });
        self.arm_connect_retry(now);
        State::Connect(connection)
    }

    fn arm_connect_retry(&mut self, now: Time) {
        let wait = self.jitter.apply(self.config.connect_retry.max(CONNECT_RETRY_FLOOR));
        self.timers.arm(Timer::ConnectRetry, now + wait);
    }

    pub(super) fn dial_failed(
        &mut self,
        now: Time,
        connection: ConnectionId,
        error: TransportError,
    ) {
        self.state = match mem::take(&mut self.state) {
            State::Connect(dial) if dial == connection => {
                self.note_dial_failed(now, error);
                self.await_next_dial(now)
            }
            State::Opening(opening) => match *opening {
                Opening { link, rival: Rival::Dial(dial) } if dial == connection => {
                    self.note_dial_failed(now, error);
                    self.timers.disarm(Timer::ConnectRetry);
                    State::Opening(Box::new(Opening { link, rival: Rival::None }))
                }
                other => State::Opening(Box::new(other)),
            },
            other => other,
        };
    }

    fn await_next_dial(&mut self, now: Time) -> State {
        match self.config.mode {
            Mode::Active => self.arm_connect_retry(now),
            Mode::Passive => self.timers.disarm(Timer::ConnectRetry),
        }
        State::Active
    }

    fn note_dial_failed(&mut self, now: Time, error: TransportError) {
        self.history.note(now, EventKind::ConnectFailed(error.clone()));
        self.history.last_connect_error = Some((now, error));
    }

    pub(super) fn timeout(&mut self, now: Time) {
        while let Some(timer) = self.timers.take_expired(now) {
            match (timer, &self.state) {
                (Timer::IdleHold, State::Idle(Idle::BackingOff(_))) => {
                    self.state = self.begin(now);
                }
                (Timer::ConnectRetry, _) => self.retry(now),
                _ => {}
            }
        }
        while let Some((connection, timer)) = self.state.take_expired(now) {
            match timer {
                Timer::Lease => self.renew_lease(now, connection),
                Timer::Hold => self.hold_expired(now, connection),
                Timer::SendHold => self.send_hold_expired(now, connection),
                Timer::ConnectRetry | Timer::IdleHold => {}
            }
        }
    }

    /// ConnectRetry has expired: a dial is given up, and the next one begins where one is wanted.
    fn retry(&mut self, now: Time) {
        self.state = match mem::take(&mut self.state) {
            State::Connect(connection) => {
                self.outputs.push_back(Output::Close { connection });
                self.note_dial_failed(now, TransportError::TimedOut);
                self.begin(now)
            }
            State::Active => self.begin(now),
            State::Opening(mut opening) => {
                self.stop_dialling(&mut opening.rival);
                State::Opening(opening)
            }
            other => other,
        };
    }

    /// Gives up a dial beside a connection that stands.
    pub(super) fn stop_dialling(&mut self, rival: &mut Rival) {
        if let Rival::Dial(connection) = *rival {
            self.outputs.push_back(Output::Close { connection });
            self.timers.disarm(Timer::ConnectRetry);
            *rival = Rival::None;
        }
    }

    /// Ends one connection, and the session if nothing else carries it.
    pub(super) fn end(&mut self, now: Time, connection: ConnectionId, reason: Reason) {
        self.state = match mem::take(&mut self.state) {
            State::Opening(opening) => match opening.split(connection) {
                Ok((link, rest)) => {
                    let from = link.state();
                    self.hang_up(now, connection, &reason);
                    self.go_on_with(now, rest, from, reason)
                }
                Err(opening) => State::Opening(opening),
            },
            State::Established(established) => {
                self.end_in_established(now, established, connection, reason)
            }
            other => other,
        };
    }

    /// What remains when one of the connections on their way up has ended in state `from`.
    pub(super) fn go_on_with(
        &mut self,
        now: Time,
        rest: Rival,
        from: SessionState,
        reason: Reason,
    ) -> State {
        match rest {
            Rival::None => self.rest(now, from, reason),
            Rival::Dial(dial) => State::Connect(dial),
            Rival::Link(link) => State::Opening(Box::new(Opening { link, rival: Rival::None })),
        }
    }

    /// Ends all there is.
    fn shut(&mut self, now: Time, reason: Reason) {
        let from = self.state();
        match mem::take(&mut self.state) {
            State::Idle(_) | State::Active => {}
            State::Connect(connection) => self.outputs.push_back(Output::Close { connection }),
            State::Opening(opening) => {
                let Opening { link, mut rival } = *opening;
                self.hang_up(now, link.connection(), &reason);
                self.stop_dialling(&mut rival);
                if let Rival::Link(other) = rival {
                    self.hang_up(now, other.connection(), &reason);
                }
            }
            State::Established(established) => {
                self.put_down(now, &established, &reason);
                if let Some(link) = established.challenger {
                    self.hang_up(now, link.connection(), &reason);
                }
            }
        }
        self.state = self.rest(now, from, reason);
    }

    /// Tells the neighbor why, closes, and remembers.
    pub(super) fn hang_up(&mut self, now: Time, connection: ConnectionId, reason: &Reason) {
        self.hang_up_saying(now, connection, reason, reason.notification());
    }

    /// As [`Session::hang_up`], in other words.
    pub(super) fn hang_up_saying(
        &mut self,
        now: Time,
        connection: ConnectionId,
        reason: &Reason,
        notification: Option<Notification>,
    ) {
        if let Some(notification) = notification {
            self.send(connection, Message::Notification(notification));
        }
        // Also one that the neighbor has closed: our half of it stands until we close it too.
        self.outputs.push_back(Output::Close { connection });
        if connection.direction() == Direction::Incoming && reason.is_of_a_call() {
            self.backoff.call_ended();
        }
        // Callers who are sent away are told by the state; their number is the neighbor's to choose.
        if *reason != Reason::NotWanted {
            self.history.note(now, EventKind::Ended { connection, reason: reason.clone() });
        }
    }

    /// Nothing is left: waits, for a start after a lasting stop, and for the back-off otherwise.
    pub(super) fn rest(&mut self, now: Time, from: SessionState, reason: Reason) -> State {
        self.timers.disarm(Timer::ConnectRetry);
        self.timers.disarm(Timer::IdleHold);
        let stopped = matches!(&reason, Reason::Stopped(stop) if stop.is_lasting());
        let lets_in = reason.lets_callers_in() && !self.backoff.keeps_callers_out();
        let callers = if lets_in { Callers::LetIn } else { Callers::Refused };
        self.history.reset(now, from, reason);
        if stopped {
            return State::Idle(Idle::Stopped);
        }
        let wait = self.backoff.next(self.config.idle_hold_min, self.config.idle_hold_max);
        let wait = self.jitter.apply(wait);
        self.timers.arm(Timer::IdleHold, now + wait);
        State::Idle(Idle::BackingOff(callers))
    }

    pub(super) fn apply_changes(&mut self, now: Time, old: &SessionConfig) -> Change {
        let same_offer = self.config.same_offer(old);
        let same_mode = self.config.mode == old.mode;
        match &self.state {
            State::Opening(_) | State::Established(_) if !same_offer => Change::ResetNeeded,
            State::Opening(_) | State::Established(_) | State::Idle(Idle::Stopped) => {
                Change::Applied
            }
            State::Idle(Idle::BackingOff(_)) if same_offer && same_mode => Change::Applied,
            State::Idle(Idle::BackingOff(_)) => {
                self.backoff.reset();
                self.state = self.begin(now);
                Change::Applied
            }
            State::Connect(_) | State::Active if same_mode => Change::Applied,
            State::Connect(connection) => {
                self.outputs.push_back(Output::Close { connection: *connection });
                self.state = self.begin(now);
                Change::Applied
            }
            State::Active => {
                self.state = self.begin(now);
                Change::Applied
            }
        }
    }
}
