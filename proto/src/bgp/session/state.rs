//! The states (RFC 4271 section 8.2.2), each with what exists only in it.
//!
//! **A connection is held by exactly one place of the state, and at most one is Established.**

use super::events::{ConnectionId, Direction};
use super::open::Negotiated;
use super::timers::{Timer, TimerTable};
use crate::bgp::message::Open;
use crate::types::Time;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// The state as people know it; with two connections, that of the one that is further.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SessionState {
    /// Down, until a start or until the back-off ends.
    Idle,
    /// Dialling.
    Connect,
    /// Waiting for the neighbor to dial, or for our next attempt.
    Active,
    /// Connected; our OPEN is sent.
    OpenSent,
    /// The neighbor's OPEN is accepted; its KEEPALIVE is awaited.
    OpenConfirm,
    /// Up.
    Established,
}

impl fmt::Display for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "Idle",
            Self::Connect => "Connect",
            Self::Active => "Active",
            Self::OpenSent => "OpenSent",
            Self::OpenConfirm => "OpenConfirm",
            Self::Established => "Established",
        })
    }
}

/// Both ends of the connection that carries a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Endpoints {
    /// Which connection.
    pub connection: ConnectionId,
    /// Our end.
    pub local: SocketAddr,
    /// The neighbor's end.
    pub remote: SocketAddr,
}

/// Why Idle, and what ends it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Idle {
    /// A start.
    Stopped,
    /// [`Timer::IdleHold`], or a start, or a caller where they are let in.
    BackingOff(Callers),
}

/// What happens to a neighbor that dials while we wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Callers {
    LetIn,
    Refused,
}

/// A connection that stands.
#[derive(Debug)]
pub(super) struct Transport {
    pub(super) ends: Endpoints,
    pub(super) timers: TimerTable,
}

impl Transport {
    pub(super) const fn connection(&self) -> ConnectionId {
        self.ends.connection
    }
}

/// A connection on its way up.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) transport: Transport,
    pub(super) phase: Phase,
}

/// How far it is.
#[derive(Debug)]
pub(super) enum Phase {
    /// What we sent.
    OpenSent(Open),
    /// What both agreed upon.
    OpenConfirm(Arc<Negotiated>),
}

impl Link {
    pub(super) const fn connection(&self) -> ConnectionId {
        self.transport.connection()
    }

    pub(super) const fn state(&self) -> SessionState {
        match self.phase {
            Phase::OpenSent(_) => SessionState::OpenSent,
            Phase::OpenConfirm(_) => SessionState::OpenConfirm,
        }
    }

    const fn negotiated(&self) -> Option<&Arc<Negotiated>> {
        match &self.phase {
            Phase::OpenSent(_) => None,
            Phase::OpenConfirm(negotiated) => Some(negotiated),
        }
    }
}

/// What there is beside a connection on its way up: never one of the same direction.
#[derive(Debug)]
pub(super) enum Rival {
    None,
    /// A dial of ours, [`Timer::ConnectRetry`] running.
    Dial(ConnectionId),
    Link(Link),
}

/// One connection on its way up and what there is beside it.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) link: Link,
    pub(super) rival: Rival,
}

impl Opening {
    /// Takes out one connection; back comes what else there is. Gives itself back if it has no such
    /// connection that stands.
    pub(super) fn split(self, connection: ConnectionId) -> Result<(Link, Rival), Box<Self>> {
        match self {
            Self { link, rival } if link.connection() == connection => Ok((link, rival)),
            Self { link, rival: Rival::Link(other) } if other.connection() == connection => {
                Ok((other, Rival::Link(link)))
            }
            other => Err(Box::new(other)),
        }
    }

    /// Takes out the connection of a direction, if one of it stands.
    pub(super) fn split_direction(self, direction: Direction) -> Result<(Link, Rival), Box<Self>> {
        let link = self.link.connection();
        match &self.rival {
            _ if link.direction() == direction => self.split(link),
            Rival::Link(other) if other.connection().direction() == direction => {
                let other = other.connection();
                self.split(other)
            }
            _ => Err(Box::new(self)),
        }
    }

    fn furthest(&self) -> &Link {
        match &self.rival {
            Rival::Link(other) if other.state() > self.link.state() => other,
            _ => &self.link,
        }
    }
}

/// A session that is up.
#[derive(Debug)]
pub(super) struct Established {
    pub(super) transport: Transport,
    pub(super) negotiated: Arc<Negotiated>,
    pub(super) since: Time,
    /// A connection of a neighbor that may have restarted (RFC 4724 section 5).
    pub(super) challenger: Option<Link>,
}

/// Where a session stands.
#[derive(Debug)]
pub(super) enum State {
    Idle(Idle),
    /// Dialling; [`Timer::ConnectRetry`] running.
    Connect(ConnectionId),
    /// [`Timer::ConnectRetry`] running, unless passive.
    Active,
    Opening(Box<Opening>),
    Established(Box<Established>),
}

impl Default for State {
    fn default() -> Self {
        Self::Idle(Idle::Stopped)
    }
}

impl State {
    /// As people know it.
    pub(super) fn name(&self) -> SessionState {
        match self {
            Self::Idle(_) => SessionState::Idle,
            Self::Connect(_) => SessionState::Connect,
            Self::Active => SessionState::Active,
            Self::Opening(opening) => opening.furthest().state(),
            Self::Established(_) => SessionState::Established,
        }
    }

    /// The agreement of the connection that is further, if there is one.
    pub(super) fn negotiated(&self) -> Option<&Arc<Negotiated>> {
        match self {
            Self::Idle(_) | Self::Connect(_) | Self::Active => None,
            Self::Opening(opening) => opening.furthest().negotiated(),
            Self::Established(established) => Some(&established.negotiated),
        }
    }

    /// The connection that is further, if one stands.
    pub(super) fn main(&self) -> Option<&Transport> {
        match self {
            Self::Idle(_) | Self::Connect(_) | Self::Active => None,
            Self::Opening(opening) => Some(&opening.furthest().transport),
            Self::Established(established) => Some(&established.transport),
        }
    }

    /// The state of one connection that stands.
    pub(super) fn state_of(&self, connection: ConnectionId) -> Option<SessionState> {
        match self {
            Self::Established(e) if e.transport.connection() == connection => {
                Some(SessionState::Established)
            }
            _ => self.links().find(|l| l.connection() == connection).map(Link::state),
        }
    }

    /// Connections on their way up.
    fn links(&self) -> impl Iterator<Item = &Link> {
        let (first, second) = match self {
            Self::Idle(_) | Self::Connect(_) | Self::Active => (None, None),
            Self::Opening(opening) => match &opening.rival {
                Rival::Link(other) => (Some(&opening.link), Some(other)),
                Rival::None | Rival::Dial(_) => (Some(&opening.link), None),
            },
            Self::Established(established) => (established.challenger.as_ref(), None),
        };
        first.into_iter().chain(second)
    }

    /// Every connection that stands.
    pub(super) fn transports(&self) -> impl Iterator<Item = &Transport> {
        let main = match self {
            Self::Established(established) => Some(&established.transport),
            _ => None,
        };
        main.into_iter().chain(self.links().map(|link| &link.transport))
    }

    /// Every connection that stands, with its agreement if it has one.
    pub(super) fn transports_mut(
        &mut self,
    ) -> impl Iterator<Item = (&mut Transport, Option<&Arc<Negotiated>>)> {
        let (main, first, second) = match self {
            Self::Idle(_) | Self::Connect(_) | Self::Active => (None, None, None),
            Self::Opening(opening) => {
                let Opening { link, rival } = opening.as_mut();
                let other = match rival {
                    Rival::Link(other) => Some(other),
                    Rival::None | Rival::Dial(_) => None,
                };
                (None, Some(link), other)
            }
            Self::Established(established) => {
                let Established { transport, negotiated, challenger, .. } = established.as_mut();
                (Some((transport, Some(&*negotiated))), challenger.as_mut(), None)
            }
        };
        let links = first.into_iter().chain(second).map(|link| {
            let Link { transport, phase } = link;
            let negotiated = match phase {
                Phase::OpenSent(_) => None,
                Phase::OpenConfirm(negotiated) => Some(&*negotiated),
            };
            (transport, negotiated)
        });
        main.into_iter().chain(links)
    }

    /// When the first timer of a connection expires.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.transports().filter_map(|transport| transport.timers.next()).min()
    }

    /// A connection's timer that has expired by `now`; it is stopped.
    pub(super) fn take_expired(&mut self, now: Time) -> Option<(ConnectionId, Timer)> {
        self.transports_mut().find_map(|(transport, _)| {
            Some((transport.connection(), transport.timers.take_expired(now)?))
        })
    }
}
