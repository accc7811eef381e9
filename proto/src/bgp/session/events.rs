//! What goes into a session and what comes out of it.
//!
//! **An input says what happened and an output says what to do; neither holds a socket, and each
//! names its connection, so that one that comes late cannot be taken for another's.**
//!
//! # The 28 events of RFC 4271 section 8.1
//!
//! | Event of the RFC | Here |
//! |---|---|
//! | 1, 4 ManualStart, with passive TCP | [`Input::Start`]; [`Mode`](super::Mode) says which |
//! | 2 ManualStop | [`Input::Stop`] |
//! | 3, 5 AutomaticStart, with passive TCP | the session's own: a reset that nobody asked to last starts again |
//! | 6, 7 AutomaticStart with damping of oscillations | always on: the wait in Idle doubles |
//! | 8 AutomaticStop | [`Input::Stop`] with the engine's reasons, [`Input::LinkDown`] |
//! | 9 ConnectRetryTimer, 10 HoldTimer, 11 KeepaliveTimer (as the lease), 13 IdleHoldTimer | [`Input::Timeout`] |
//! | 16 Tcp_CR_Acked, 17 TcpConnectionConfirmed | [`Input::Connected`] |
//! | 18 TcpConnectionFails | [`Input::ConnectFailed`], [`Input::Closed`] |
//! | 19 BGPOpen, 25 NotifMsg, 26 KeepAliveMsg, 27 UpdateMsg | [`Input::Received`] |
//! | 21 BGPHeaderErr, 22 BGPOpenMsgErr, 28 UpdateMsgErr | [`Input::Malformed`]; the rest of 22 is found here |
//! | 23 OpenCollisionDump | found here when an OPEN arrives |
//!
//! What is not implemented, and why:
//!
//! | Event | Reason |
//! |---|---|
//! | 12 DelayOpenTimer_Expires, 20 BGPOpen with DelayOpenTimer running | DelayOpen is optional. It makes collisions rarer; they are resolved anyway, and it would make every start slower. |
//! | 14 TcpConnection_Valid, 15 Tcp_CR_Invalid | The kernel completes the handshake before anybody is told; the shell refuses who is no neighbor before a session hears of it. |
//! | 24 NotifMsgVerErr | Taken as 25: there is no other version to fall back to. |
//!
//! Of the optional session attributes, DelayOpen, AcceptConnectionsUnconfiguredPeers and
//! TrackTcpState are not implemented; CollisionDetectEstablishedState holds for neighbors with
//! graceful restart only (RFC 4724 section 5).

use super::history::MessageCounts;
use super::open::Negotiated;
use super::reason::{Reason, StopReason};
use super::state::SessionState;
use crate::bgp::message::{Family, Message, Notification, Open};
use crate::types::Time;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// Who opened a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Direction {
    /// We dialled.
    Outgoing,
    /// The neighbor did.
    Incoming,
}

/// One connection, over the whole life of a session: never used twice.
///
/// The session numbers those it dials and the shell those it accepts; since the direction is part
/// of the name, neither needs to know the other's numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnectionId {
    direction: Direction,
    serial: u64,
}

impl ConnectionId {
    /// A connection that the shell accepted. `serial` must be new for this session.
    pub const fn incoming(serial: u64) -> Self {
        Self { direction: Direction::Incoming, serial }
    }

    pub(super) const fn outgoing(serial: u64) -> Self {
        Self { direction: Direction::Outgoing, serial }
    }

    /// Who opened it.
    pub const fn direction(self) -> Direction {
        self.direction
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.direction {
            Direction::Outgoing => write!(f, "out-{}", self.serial),
            Direction::Incoming => write!(f, "in-{}", self.serial),
        }
    }
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// Come up. In a session that waits (back-off, connect retry) it cuts the wait short.
    Start,
    /// Go down.
    Stop {
        /// Why, which also says whether the session starts again by itself.
        reason: StopReason,
    },
    /// A connection that [`Output::Connect`] asked for did not come about.
    ConnectFailed {
        /// Which.
        connection: ConnectionId,
        /// Why.
        error: TransportError,
    },
    /// A TCP connection with the neighbor stands, dialled or accepted.
    Connected {
        /// Which; [`ConnectionId::incoming`] for an accepted one.
        connection: ConnectionId,
        /// Our end.
        local: SocketAddr,
        /// The neighbor's end.
        remote: SocketAddr,
    },
    /// A connection ended without our doing. Our half of it stands until [`Output::Close`].
    Closed {
        /// Which.
        connection: ConnectionId,
        /// How.
        error: TransportError,
    },
    /// A whole message was read.
    Received {
        /// From which connection.
        connection: ConnectionId,
        /// What of it concerns the session.
        message: ReceivedMessage,
        /// When its last octet was read, however long it then waited for us.
        at: Time,
    },
    /// Octets were read that the session has not been shown: the queue to the engine is full, so
    /// the neighbor is not silent, we are slow. Counts as a sign of life.
    Heard {
        /// On which connection.
        connection: ConnectionId,
        /// When they were read last; now, if octets wait in a socket that is not read.
        at: Time,
    },
    /// A message was read that cannot be understood; the session ends with this NOTIFICATION.
    Malformed {
        /// From which connection.
        connection: ConnectionId,
        /// What the decoder says that the neighbor must be told.
        notification: Notification,
    },
    /// The socket took octets. It is enough to tell this right before a [`Input::Timeout`], as
    /// long as it is told then: without it a session counts as stuck (RFC 9687).
    Sent {
        /// On which connection.
        connection: ConnectionId,
        /// When it took them last.
        at: Time,
        /// Messages written since the last report that did not come from [`Output::Send`]:
        /// KEEPALIVEs under the lease, and UPDATEs and ROUTE-REFRESHes of the engine.
        messages: MessageCounts,
    },
    /// The path to the neighbor is gone; do not wait for the hold timer.
    LinkDown {
        /// Who noticed.
        detector: Detector,
    },
    /// The deadline has come. **Everything received until now must have been handed in before.**
    Timeout,
}

/// A message as the session sees it: an UPDATE and a ROUTE-REFRESH are signs of life, no more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReceivedMessage {
    /// OPEN.
    Open(Open),
    /// UPDATE; its contents are the engine's, if [`Session::is_established`](super::Session::is_established).
    Update,
    /// NOTIFICATION.
    Notification(Notification),
    /// KEEPALIVE.
    Keepalive,
    /// ROUTE-REFRESH; its contents are the engine's.
    RouteRefresh,
}

impl ReceivedMessage {
    /// The message's name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Open(_) => "OPEN",
            Self::Update => "UPDATE",
            Self::Notification(_) => "NOTIFICATION",
            Self::Keepalive => "KEEPALIVE",
            Self::RouteRefresh => "ROUTE-REFRESH",
        }
    }
}

impl From<&Message> for ReceivedMessage {
    fn from(message: &Message) -> Self {
        match message {
            Message::Open(open) => Self::Open(open.clone()),
            Message::Update(_) => Self::Update,
            Message::Notification(notification) => Self::Notification(notification.clone()),
            Message::Keepalive => Self::Keepalive,
            Message::RouteRefresh(_) => Self::RouteRefresh,
        }
    }
}

/// Who noticed that the path is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Detector {
    /// The interface toward the neighbor lost its carrier or was taken down.
    Interface,
    /// BFD (RFC 5882).
    Bfd,
}

/// Why a connection did not come about, or how it ended.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum TransportError {
    /// ECONNREFUSED.
    #[error(
        "connection refused: no BGP speaker listens there, or it does not know our address as a neighbor"
    )]
    Refused,
    /// ETIMEDOUT.
    #[error(
        "no answer: check the path, a firewall before TCP port 179, and that both sides have the same password"
    )]
    TimedOut,
    /// EHOSTUNREACH, ENETUNREACH.
    #[error("no route to the neighbor: check the underlay")]
    Unreachable,
    /// ECONNRESET.
    #[error("connection reset by the neighbor")]
    Reset,
    /// An orderly end of the stream.
    #[error("connection closed by the neighbor")]
    Closed,
    /// Any other, in the system's words.
    #[error("{0}")]
    Other(String),
}

/// What to do. Outputs are to be carried out in the order they come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Dial the neighbor; answer with [`Input::Connected`] or [`Input::ConnectFailed`].
    Connect {
        /// The name of the connection to be.
        connection: ConnectionId,
    },
    /// Close, after a short while in which what was sent before may leave; or stop dialling.
    /// Nothing more needs to be told of this connection. Comes for every connection that stood,
    /// whoever ended it; not for a dial that failed.
    Close {
        /// Which.
        connection: ConnectionId,
    },
    /// Send an OPEN, a KEEPALIVE or a NOTIFICATION.
    Send {
        /// Where.
        connection: ConnectionId,
        /// What.
        message: Message,
    },
    /// The neighbor's OPEN was accepted: reading may go on, with what was agreed upon.
    Negotiated {
        /// On which connection.
        connection: ConnectionId,
        /// What.
        negotiated: Arc<Negotiated>,
    },
    /// From the last KEEPALIVE on, send one by yourself every `interval`, until `until`. A renewal
    /// moves `until` and nothing else.
    Lease {
        /// On which connection.
        connection: ConnectionId,
        /// Time between two; the same for the whole life of a connection.
        interval: Duration,
        /// When to stop, if no renewal came: then the engine is dead, and the neighbor shall know.
        until: Time,
    },
    /// Routes may flow.
    Established {
        /// On which connection.
        connection: ConnectionId,
    },
    /// The session that was Established is so no more.
    Down {
        /// On which connection.
        connection: ConnectionId,
        /// Why.
        reason: Reason,
        /// What becomes of the neighbor's routes.
        routes: Routes,
    },
    /// The state that people see has changed.
    StateChanged {
        /// Before.
        from: SessionState,
        /// Now.
        to: SessionState,
    },
}

/// What becomes of a neighbor's routes when its session ends (RFC 4724 section 4.2, RFC 8538).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Routes {
    /// They count as withdrawn.
    Drop,
    /// Those of `families` stay, marked as stale; those of other families count as withdrawn, and
    /// so do those that were stale already (RFC 4724: consecutive restarts).
    Keep {
        /// Of which families, ascending; at least one.
        families: Vec<Family>,
        /// For how long without a new session.
        restart_time: Duration,
    },
}
