//! The session with one configured neighbor: the state machine of RFC 4271 section 8, sans-IO.
//!
//! It dials, listens to who dials, resolves collisions, judges and answers OPENs, keeps the session
//! alive, and says why it went down and what becomes of the routes. It does not read UPDATEs, does
//! not know a route, and holds no socket: no I/O, no clock, no randomness but a seed.
//!
//! **Whatever the order of inputs: at most one connection is Established, nothing panics, and a
//! session that is started always has a deadline or waits for a neighbor that dials.**
//!
//! How to drive it:
//!
//! 1. [`Session::handle`] for everything that happens, with everything received before a
//!    [`Input::Timeout`];
//! 2. then [`Session::poll_output`] until it answers `None`, carrying out each [`Output`] in order;
//! 3. then wait until [`Session::next_deadline`] at most, and hand in [`Input::Timeout`].
//!
//! ```text
//!                 Start                 connected              OPEN accepted           KEEPALIVE
//!   Idle (stopped) ---> Connect/Active ----------> Opening ------------------> Opening ----------> Established
//!        ^  Stop, lasting    ^                     OpenSent, and beside it     OpenConfirm              |
//!        '-------------------|-------------------- a dial or another           |                        |
//!                            |                     connection                  |                        |
//!                            '--- Idle (backing off, longer every time) <------'------------------------'
//! ```
//!
//! Two things are not the RFC's letter. A dial that fails leads to Active and not to Idle, so that
//! the neighbor can reach us meanwhile. And a session that was lost lets the neighbor in while it
//! backs off: the wait is for our dialling, and a neighbor that returns need not wait for us.
//! Versions and optional parameters are not negotiated down: every neighbor that speaks EVPN knows
//! capabilities.
//!
//! [`events`] has the table of RFC 4271's events, with those that are not implemented.

pub mod collision;
mod config;
mod established;
pub mod events;
mod history;
mod lifecycle;
mod notification;
mod open;
mod opening;
mod reason;
mod role;
mod state;
mod timers;

#[cfg(test)]
mod tests;

pub use config::{
    Change, ConfigError, GracefulRestartConfig, HOLD_TIME_MAX, Mode, PeerAs, RESTART_TIME_MAX,
    SEND_HOLD_TIME_MIN, SessionConfig,
};
pub use events::{
    ConnectionId, Detector, Direction, Input, Output, ReceivedMessage, Routes, TransportError,
};
pub use history::{EVENTS_MAX, Event, EventKind, MessageCounts, RefreshStep, Reset};
pub use notification::{
    SHUTDOWN_TEXT_OCTETS_MAX, describe as describe_notification, meaning as notification_meaning,
    shutdown_text,
};
pub use open::{Negotiated, Notice, PeerKind};
pub use reason::{OpenRefusal, Reason, StopReason};
pub use state::{Endpoints, SessionState};
pub use timers::Timer;

use crate::bgp::message::{Capability, Family, Message, Open};
use crate::types::Time;
use history::History;
use state::State;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use timers::{Backoff, Jitter, TimerTable};

/// The session with one neighbor. See the module for how to drive it.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    state: State,
    timers: TimerTable,
    jitter: Jitter,
    backoff: Backoff,
    dials: u64,
    /// Our own connection on which an OPEN is waited for a short time only.
    hurried: Option<ConnectionId>,
    history: History,
    outputs: VecDeque<Output>,
}

impl Session {
    /// A session that is stopped. `seed` should differ from neighbor to neighbor and from router to
    /// router: it spreads their timers.
    pub fn new(config: SessionConfig, seed: u64) -> Self {
        Self {
            config,
            state: State::default(),
            timers: TimerTable::default(),
            jitter: Jitter::new(seed),
            backoff: Backoff::default(),
            dials: 0,
            hurried: None,
            history: History::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Goes on counting its own connections where another session ended, whose place it takes: what
    /// comes late from that one's connections is not mistaken for its own.
    #[must_use]
    pub const fn after_dials(mut self, dials: u64) -> Self {
        self.dials = dials;
        self
    }

    /// How often it has dialled.
    pub const fn dials(&self) -> u64 {
        self.dials
    }

    /// Takes in what happened. Inputs that name a connection which is no more are ignored.
    pub fn handle(&mut self, now: Time, input: Input) {
        let before = self.state();
        match input {
            Input::Start => self.start(now),
            Input::Stop { reason } => self.stop(now, reason),
            Input::ConnectFailed { connection, error } => self.dial_failed(now, connection, error),
            Input::Connected { connection, local, remote } => {
                self.connected(now, Endpoints { connection, local, remote });
            }
            Input::Closed { connection, error } => {
                if let Some(state) = self.state.state_of(connection) {
                    self.end(now, connection, Reason::ConnectionClosed { error, state });
                }
            }
            Input::Received { connection, message, at } => {
                self.received(now, connection, message, at);
            }
            Input::Heard { connection, at } => self.heard(connection, at),
            Input::Malformed { connection, notification } => {
                self.end(now, connection, Reason::Malformed(notification));
            }
            Input::Sent { connection, at, messages } => self.sent(connection, at, &messages),
            Input::LinkDown { detector } => self.link_down(now, detector),
            Input::Timeout => self.timeout(now),
        }
        self.tell_state(now, before);
    }

    /// The next thing to do; `None` when all is done.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is due at the latest. None if only the neighbor or the operator can
    /// change anything.
    pub fn next_deadline(&self) -> Option<Time> {
        self.timers.next().into_iter().chain(self.state.next_deadline()).min()
    }

    /// Takes over a new configuration. What stands goes on as it was negotiated; a session that
    /// waits after a failure tries again at once if the change can make a difference.
    pub fn reconfigure(&mut self, now: Time, config: SessionConfig) -> Change {
        let before = self.state();
        let old = std::mem::replace(&mut self.config, config);
        let change = self.apply_changes(now, &old);
        self.tell_state(now, before);
        change
    }

    /// The routes that a restart had lost are back: R is not set in our next OPEN (RFC 4724
    /// section 4.1).
    pub fn restart_complete(&mut self) {
        if let Some(restart) = &mut self.config.graceful_restart {
            restart.restarting = false;
        }
    }

    /// The configuration that holds from the next OPEN on.
    pub const fn config(&self) -> &SessionConfig {
        &self.config
    }

    /// The state; with two connections, that of the one that is further.
    pub fn state(&self) -> SessionState {
        self.state.name()
    }

    /// Whether it was stopped and waits for a start.
    pub const fn is_stopped(&self) -> bool {
        matches!(self.state, State::Idle(state::Idle::Stopped))
    }

    /// Whether routes of this connection count.
    pub fn is_established(&self, connection: ConnectionId) -> bool {
        self.state.state_of(connection) == Some(SessionState::Established)
    }

    /// What was agreed upon, from OpenConfirm on.
    pub fn negotiated(&self) -> Option<&Arc<Negotiated>> {
        self.state.negotiated()
    }

    /// The connection that carries the session, or is nearest to it.
    pub fn endpoints(&self) -> Option<Endpoints> {
        self.state.main().map(|transport| transport.ends)
    }

    /// For how long it has been Established.
    pub fn uptime(&self, now: Time) -> Option<Duration> {
        match &self.state {
            State::Established(established) => Some(now.saturating_since(established.since)),
            _ => None,
        }
    }

    /// When a timer expires; none if it does not run. Of two connections, that of
    /// [`Session::endpoints`].
    pub fn deadline(&self, timer: Timer) -> Option<Time> {
        self.timers
            .deadline(timer)
            .or_else(|| self.state.main().and_then(|transport| transport.timers.deadline(timer)))
    }

    /// The capabilities we sent, or would send now.
    pub fn capabilities_sent(&self) -> Vec<Capability> {
        self.negotiated()
            .map_or_else(|| open::our_open(&self.config), |agreed| agreed.sent.clone())
            .capabilities
    }

    /// The last OPEN of the neighbor, accepted or not.
    pub const fn last_open_received(&self) -> Option<&Open> {
        self.history.last_open.as_ref()
    }

    /// When and why the session last went down or failed to come up.
    pub const fn last_reset(&self) -> Option<&Reset> {
        self.history.last_reset.as_ref()
    }

    /// When and why a dial last failed.
    pub const fn last_connect_error(&self) -> Option<&(Time, TransportError)> {
        self.history.last_connect_error.as_ref()
    }

    /// How often it became Established.
    pub const fn times_established(&self) -> u64 {
        self.history.established
    }

    /// Messages sent.
    pub const fn messages_sent(&self) -> &MessageCounts {
        &self.history.sent
    }

    /// Messages received.
    pub const fn messages_received(&self) -> &MessageCounts {
        &self.history.received
    }

    /// The last [`EVENTS_MAX`] events, oldest first.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &Event> + ExactSizeIterator {
        self.history.events()
    }

    /// Remembers how far an exchange of routes is, which is the engine's to know.
    pub fn note_refresh(&mut self, now: Time, family: Family, step: RefreshStep) {
        self.history.note(now, EventKind::Refresh { family, step });
    }

    fn tell_state(&mut self, now: Time, from: SessionState) {
        let to = self.state();
        if from != to {
            // An absent neighbor makes us dial for days; only its errors are worth remembering.
            let dialling = |s| matches!(s, SessionState::Connect | SessionState::Active);
            if !(dialling(from) && dialling(to)) {
                self.history.note(now, EventKind::State { from, to });
            }
            self.outputs.push_back(Output::StateChanged { from, to });
        }
    }

    fn send(&mut self, connection: ConnectionId, message: Message) {
        self.history.sent.count_sent(&message);
        self.outputs.push_back(Output::Send { connection, message });
    }
}
