//! What people want to know of a session: counters, the last reset and its reason, recent events.
//!
//! **History is written and shown, never read to decide anything.**

use super::events::{ConnectionId, ReceivedMessage, TransportError};
use super::open::Notice;
use super::reason::Reason;
use super::state::SessionState;
use crate::bgp::message::{Family, Message, Open};
use crate::types::Time;
use std::collections::VecDeque;
use std::fmt;

/// How many recent events a session remembers.
pub const EVENTS_MAX: usize = 32;

/// Messages by type, over the whole life of a session.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct MessageCounts {
    /// OPEN.
    pub open: u64,
    /// UPDATE.
    pub update: u64,
    /// NOTIFICATION.
    pub notification: u64,
    /// KEEPALIVE.
    pub keepalive: u64,
    /// ROUTE-REFRESH.
    pub route_refresh: u64,
}

impl MessageCounts {
    /// Of all types.
    pub const fn total(&self) -> u64 {
        self.open + self.update + self.notification + self.keepalive + self.route_refresh
    }

    pub(super) fn count_received(&mut self, message: &ReceivedMessage) {
        *match message {
            ReceivedMessage::Open(_) => &mut self.open,
            ReceivedMessage::Update => &mut self.update,
            ReceivedMessage::Notification(_) => &mut self.notification,
            ReceivedMessage::Keepalive => &mut self.keepalive,
            ReceivedMessage::RouteRefresh => &mut self.route_refresh,
        } += 1;
    }

    pub(super) fn count_sent(&mut self, message: &Message) {
        *match message {
            Message::Open(_) => &mut self.open,
            Message::Update(_) => &mut self.update,
            Message::Notification(_) => &mut self.notification,
            Message::Keepalive => &mut self.keepalive,
            Message::RouteRefresh(_) => &mut self.route_refresh,
        } += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.open = self.open.saturating_add(other.open);
        self.update = self.update.saturating_add(other.update);
        self.notification = self.notification.saturating_add(other.notification);
        self.keepalive = self.keepalive.saturating_add(other.keepalive);
        self.route_refresh = self.route_refresh.saturating_add(other.route_refresh);
    }
}

/// When and why a session last went down, or failed to come up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reset {
    /// When.
    pub at: Time,
    /// From which state.
    pub from: SessionState,
    /// Why, and what to do about it.
    pub reason: Reason,
}

/// Something that happened to a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// When, for the last time.
    pub at: Time,
    /// How often in a row.
    pub times: u32,
    /// What.
    pub kind: EventKind,
}

/// What happened to a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EventKind {
    /// It went from one state to another.
    State {
        /// Before.
        from: SessionState,
        /// After.
        to: SessionState,
    },
    /// A dial failed.
    ConnectFailed(TransportError),
    /// A connection ended.
    Ended {
        /// Which.
        connection: ConnectionId,
        /// Why.
        reason: Reason,
    },
    /// It came up, but.
    Notice(Notice),
    /// Routes of a family are exchanged again.
    Refresh {
        /// Which.
        family: Family,
        /// How far that is.
        step: RefreshStep,
    },
}

/// How far an exchange of routes that are known already is (RFC 2918, RFC 7313).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefreshStep {
    /// We ask for the neighbor's routes.
    Asked,
    /// Ours are sent again, because the neighbor or the operator asks.
    Sending,
    /// All of ours have been sent again.
    Sent,
    /// The neighbor begins to send its own again.
    Begun,
    /// It has sent all; so many that it had told before are gone.
    Ended(usize),
    /// It did not say that it has sent all, and so many that it did not send are gone.
    TimedOut(usize),
    /// It begins before its End-of-RIB, which counts for nothing (RFC 7313 section 4).
    TooEarly,
    /// It begins again at once, which counts for nothing.
    TooSoon,
}

impl fmt::Display for RefreshStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("we ask the neighbor for its routes"),
            Self::Sending => f.write_str("our routes are sent again"),
            Self::Sent => f.write_str("all of our routes have been sent again"),
            Self::Begun => f.write_str("the neighbor begins to send its routes again"),
            Self::Ended(gone) => write!(f, "ended by the neighbor, routes gone: {gone}"),
            Self::TimedOut(gone) => write!(
                f,
                "begun and not ended by the neighbor in time (stale-time), routes gone: {gone}"
            ),
            Self::TooEarly => f.write_str("begun by the neighbor before its End-of-RIB: ignored"),
            Self::TooSoon => f.write_str("begun again by the neighbor too often: ignored"),
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State { from, to } => write!(f, "{from} to {to}"),
            Self::ConnectFailed(error) => write!(f, "dial failed: {error}"),
            Self::Ended { connection, reason } => write!(f, "connection {connection}: {reason}"),
            Self::Notice(notice) => notice.fmt(f),
            Self::Refresh { family, step } => {
                write!(f, "refresh of {family}: {step}")
            }
        }
    }
}

/// All of it.
#[derive(Clone, Default, Debug)]
pub(super) struct History {
    pub(super) sent: MessageCounts,
    pub(super) received: MessageCounts,
    pub(super) established: u64,
    pub(super) last_open: Option<Open>,
    pub(super) last_reset: Option<Reset>,
    pub(super) last_connect_error: Option<(Time, TransportError)>,
    /// The last reset is a verdict, and the session did not come up since.
    verdict_stands: bool,
    events: VecDeque<Event>,
}

impl History {
    /// Remembers an event; one that repeats takes one place, however often.
    pub(super) fn note(&mut self, at: Time, kind: EventKind) {
        if let Some(last) = self.events.back_mut().filter(|last| last.kind == kind) {
            last.at = at;
            last.times = last.times.saturating_add(1);
            return;
        }
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(Event { at, times: 1, kind });
    }

    /// Remembers an end. One that only follows from a verdict that still stands does not hide it: a
    /// neighbor whose OPEN we refuse backs off too, and sends away who dials it meanwhile.
    pub(super) fn reset(&mut self, at: Time, from: SessionState, reason: Reason) {
        if !(self.verdict_stands && reason.is_mere_refusal()) {
            self.verdict_stands = reason.is_verdict();
            self.last_reset = Some(Reset { at, from, reason });
        }
    }

    /// It came up.
    pub(super) fn came_up(&mut self, at: Time, notices: Vec<Notice>) {
        self.established = self.established.saturating_add(1);
        self.verdict_stands = false;
        for notice in notices {
            self.note(at, EventKind::Notice(notice));
        }
    }

    pub(super) fn events(&self) -> impl DoubleEndedIterator<Item = &Event> + ExactSizeIterator {
        self.events.iter()
    }
}
