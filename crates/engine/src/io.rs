//! What goes into the engine and what comes out of it.

use crate::interface::RouterPort;
use bytes::Bytes;
use evpn_dataplane::facts::KernelEvent;
use evpn_dataplane::object::{Change, Command, IfIndex, Mode};
use evpn_energy::{FeedError, Level, Reading, Snapshot, UnixSeconds};
use evpn_proto::bgp::message::{Message, Notification};
use evpn_proto::bgp::session::{ConnectionId, MessageCounts, StopReason, TransportError};
use evpn_proto::bgp::wire::DecodeContext;
use evpn_proto::types::{InterfaceName, MacAddr, NeighborId, Time, Vni};
use evpn_rib::PeerIdx;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// The present moment, on both clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// By the monotonic clock: everything that is timed is timed by it.
    pub time: Time,
    /// By the wall clock: for time stamps of sources and for what survives a restart.
    pub wall: UnixSeconds,
}

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// News of the kernel.
    Kernel(Vec<KernelEvent>),
    /// A router advertised itself on an interface that [`Output::Advertise`] named.
    RouterSeen {
        /// The interface.
        device: IfIndex,
        /// Its link-local address there.
        address: Ipv6Addr,
    },
    /// Somebody dialled us. The engine answers with [`Output::Close`] if it is nobody it knows.
    Accepted {
        /// New for every accepted connection.
        serial: u64,
        /// Our end.
        local: SocketAddr,
        /// Theirs.
        remote: SocketAddr,
    },
    /// A dialled connection stands.
    Connected {
        /// Whose.
        peer: PeerIdx,
        /// Which.
        connection: ConnectionId,
        /// Our end.
        local: SocketAddr,
        /// Theirs.
        remote: SocketAddr,
    },
    /// A dialled connection did not come about.
    ConnectFailed {
        /// Whose.
        peer: PeerIdx,
        /// Which.
        connection: ConnectionId,
        /// Why.
        error: TransportError,
    },
    /// A connection ended.
    Closed {
        /// Whose.
        peer: PeerIdx,
        /// Which.
        connection: ConnectionId,
        /// How.
        error: TransportError,
    },
    /// A message was read.
    Received {
        /// Whose.
        peer: PeerIdx,
        /// From where.
        connection: ConnectionId,
        /// What; boxed, since most inputs are small.
        message: Box<Message>,
        /// When its last octet was read.
        at: Time,
    },
    /// A message was read that ends the session.
    Malformed {
        /// Whose.
        peer: PeerIdx,
        /// From where.
        connection: ConnectionId,
        /// What the neighbour must be told.
        notification: Notification,
    },
    /// The socket took octets.
    Written {
        /// Whose.
        peer: PeerIdx,
        /// Which.
        connection: ConnectionId,
        /// How many octets of [`Output::Send`].
        octets: usize,
        /// Messages that did not come from [`Output::Send`] (keepalives under the lease).
        messages: MessageCounts,
        /// When.
        at: Time,
    },
    /// The battery was read.
    Reading(Reading),
    /// The battery could not be read.
    FeedFailed(FeedError),
    /// The operator resets a session.
    Clear {
        /// Whose.
        peer: PeerIdx,
        /// Whether only the routes are exchanged again.
        kind: ClearKind,
    },
    /// The settings have changed; they were checked and are taken as a whole.
    Reconfigure(Box<crate::settings::Settings>),
}

/// How a session is cleared.
#[derive(Clone, Debug)]
pub enum ClearKind {
    /// The routes are sent and asked for again; the session stands.
    Soft,
    /// Only the neighbour's routes are asked for.
    SoftIn,
    /// Only ours are sent.
    SoftOut,
    /// The session ends and starts again.
    Hard(StopReason),
}

/// What to do, in this order.
#[derive(Debug)]
pub enum Output {
    /// Dial.
    Connect {
        /// Whom.
        peer: PeerIdx,
        /// The name of the connection to be.
        connection: ConnectionId,
        /// Who that is.
        neighbor: NeighborId,
        /// Where it is.
        address: IpAddr,
        /// The interface on which a link-local address is.
        device: Option<IfIndex>,
    },
    /// Close, after what was sent has left.
    Close {
        /// Whose.
        peer: PeerIdx,
        /// Which.
        connection: ConnectionId,
    },
    /// An accepted connection is a neighbour's: read from it.
    Adopted {
        /// The number that it was accepted with.
        serial: u64,
        /// Whose.
        peer: PeerIdx,
        /// Its name from now on.
        connection: ConnectionId,
    },
    /// An accepted connection is nobody's: close it.
    Refused {
        /// The number that it was accepted with.
        serial: u64,
    },
    /// Send octets.
    Send {
        /// Whose.
        peer: PeerIdx,
        /// Where.
        connection: ConnectionId,
        /// Whole messages.
        octets: Bytes,
    },
    /// Reading may go on after the OPEN.
    Negotiated {
        /// Whose.
        peer: PeerIdx,
        /// Which.
        connection: ConnectionId,
        /// How to read.
        context: DecodeContext,
    },
    /// Send keepalives without being told.
    Lease {
        /// Whose.
        peer: PeerIdx,
        /// Which.
        connection: ConnectionId,
        /// Time between two.
        interval: Duration,
        /// Until when.
        until: Time,
    },
    /// The kernel is to hold this.
    Dataplane(Vec<Change>),
    /// The kernel is to do this once.
    Command(Command),
    /// The VXLAN devices of the VNIs that are up, by ascending index, whole after any change: there
    /// evpnd's marks are its own, and hosts behind the other ports of their bridges are heard.
    Serve(Vec<IfIndex>),
    /// The interfaces on which we advertise ourselves and look for routers, whole after any change.
    Advertise(Vec<RouterPort>),
    /// Where the neighbour on an interface is from now on, if anywhere.
    Located {
        /// The interface, which is who it is.
        interface: InterfaceName,
        /// Its address and the device.
        remote: Option<(Ipv6Addr, IfIndex)>,
    },
    /// How far reconciling may go.
    Mode(Mode),
    /// Write to disk **before** any output that comes after it.
    Persist(PersistRecord),
    /// Something worth a line in the log.
    Event(Event),
}

/// What survives the death of the process.
#[derive(Clone, PartialEq, Debug)]
pub enum PersistRecord {
    /// A MAC address's sequence, before it is announced.
    Sequence(Vni, MacAddr, u32),
    /// The state of the energy policy.
    Energy(Box<Snapshot>),
}

/// Something that happened, for people.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// A session came up.
    PeerUp(NeighborId),
    /// A session went down or could not come up; the text names cause and remedy.
    PeerDown(NeighborId, String),
    /// A neighbour's messages had errors that the session survived.
    PeerErrors(NeighborId, String),
    /// A connection from an address that is not a neighbour's.
    UnknownPeer(IpAddr),
    /// A connection that is not let in, and why.
    PeerRefused(IpAddr, String),
    /// A VNI came up, went down, or is served with a warning.
    Vni(Vni, String),
    /// The level changed.
    Level(Level, Level, String),
    /// The feed failed, or a reading was not believed.
    Feed(String),
    /// Restart: what is stale may go now.
    RestartComplete(&'static str),
}

impl Event {
    /// Whether an operator should look.
    pub const fn is_warning(&self) -> bool {
        !matches!(self, Self::PeerUp(_) | Self::RestartComplete(_) | Self::Level(..))
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerUp(peer) => write!(f, "neighbor {peer} is Established"),
            Self::PeerDown(peer, why) => write!(f, "neighbor {peer} is down: {why}"),
            Self::PeerErrors(peer, what) => write!(f, "neighbor {peer}: {what}"),
            Self::UnknownPeer(peer) => write!(
                f,
                "connection from {peer} refused: no [[neighbor]] has this address; if it is one of \
                 yours, its update-source differs from the address configured here"
            ),
            Self::PeerRefused(peer, why) => write!(f, "connection from {peer} refused: {why}"),
            Self::Vni(vni, what) => write!(f, "VNI {vni}: {what}"),
            Self::Level(from, to, why) => write!(f, "energy level {from} -> {to}: {why}"),
            Self::Feed(what) => write!(f, "energy feed: {what}"),
            Self::RestartComplete(why) => {
                write!(f, "restart complete ({why}): sweeping what is stale")
            }
        }
    }
}
