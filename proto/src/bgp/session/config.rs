//! What the operator decides about one neighbor's session.
//!
//! **A configuration names what we offer; what holds is what both sides' OPENs agree upon.**

use crate::bgp::message::{AddPath, Family};
use crate::bgp::role::Role;
use crate::types::Asn;
use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;
use thiserror::Error;

/// The least that the send hold time may be (RFC 9687 section 3).
pub const SEND_HOLD_TIME_MIN: Duration = Duration::from_secs(8 * 60);
/// The largest hold time that an OPEN can carry.
pub const HOLD_TIME_MAX: Duration = Duration::from_secs(u16::MAX as u64);
/// The largest restart time that the capability can carry: 12 bits of seconds.
pub const RESTART_TIME_MAX: Duration = Duration::from_secs(4095);

/// Which AS the neighbor may be of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PeerAs {
    /// This one.
    Exactly(Asn),
    /// Ours.
    Internal,
    /// Any but ours.
    External,
}

impl PeerAs {
    /// Whether a neighbor of AS `said` is the one that is meant. AS 0 is nobody's (RFC 7607).
    pub fn accepts(self, said: Asn, local: Asn) -> bool {
        said != Asn(0)
            && match self {
                Self::Exactly(asn) => said == asn,
                Self::Internal => said == local,
                Self::External => said != local,
            }
    }
}

impl fmt::Display for PeerAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(asn) => write!(f, "AS {asn}"),
            Self::Internal => f.write_str("\"internal\", our own AS"),
            Self::External => f.write_str("\"external\", any AS but ours"),
        }
    }
}

/// Who opens the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// We dial, and accept as well.
    #[default]
    Active,
    /// We only accept.
    Passive,
}

/// Graceful restart (RFC 4724, RFC 8538), both of us and of the neighbor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GracefulRestartConfig {
    /// For how long we ask the neighbor to keep our routes while we are away; whole seconds.
    pub restart_time: Duration,
    /// We have just restarted and do not have our routes yet: R is set in our OPEN, until
    /// [`Session::restart_complete`](super::Session::restart_complete).
    pub restarting: bool,
    /// Families of which the kernel forwards while evpnd is away: F is set for them.
    pub preserved: Vec<Family>,
}

/// The session with one neighbor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionConfig {
    /// What the operator calls the neighbor.
    pub description: String,
    /// Our AS.
    pub local_as: Asn,
    /// The neighbor's.
    pub peer_as: PeerAs,
    /// Our BGP identifier.
    pub router_id: Ipv4Addr,
    /// How long a silent neighbor counts as alive; whole seconds, zero for ever. The smaller one of
    /// both sides holds.
    pub hold_time: Duration,
    /// Time between two KEEPALIVEs; a third of the negotiated hold time where that is less.
    pub keepalive_time: Duration,
    /// How long a dial may take, and how long to wait before the next.
    pub connect_retry: Duration,
    /// Wait after the first failure.
    pub idle_hold_min: Duration,
    /// The wait doubles with every failure up to this. A session that stood for as long starts
    /// anew with the least.
    pub idle_hold_max: Duration,
    /// Who dials.
    pub mode: Mode,
    /// Families that we offer.
    pub families: Vec<Family>,
    /// Offer next hops of IPv6 for routes of IPv4 unicast (RFC 8950), where that is offered.
    pub extended_next_hop: bool,
    /// Families of which we would send or take several paths to a route (RFC 7911).
    pub add_path: Vec<(Family, AddPath)>,
    /// Graceful restart; none to neither offer it nor keep a neighbor's routes.
    pub graceful_restart: Option<GracefulRestartConfig>,
    /// Offer messages of up to 65535 octets (RFC 8654).
    pub extended_message: bool,
    /// Offer enhanced route refresh (RFC 7313): the engine marks begin and end of a refresh.
    pub enhanced_route_refresh: bool,
    /// What we are toward a neighbor of another AS (RFC 9234).
    pub role: Option<Role>,
    /// Refuse a neighbor that does not say what it is.
    pub role_strict: bool,
}

impl SessionConfig {
    /// A session for EVPN with the production values.
    pub fn new(local_as: Asn, peer_as: PeerAs, router_id: Ipv4Addr) -> Self {
        Self {
            description: String::new(),
            local_as,
            peer_as,
            router_id,
            // RFC 4271 section 10 suggests 90 s, a third for keepalives, and 120 s for connect
            // retry; a leaf has few neighbors and wants them back sooner than that.
            hold_time: Duration::from_secs(90),
            keepalive_time: Duration::from_secs(30),
            connect_retry: Duration::from_secs(10),
            idle_hold_min: Duration::from_secs(1),
            idle_hold_max: Duration::from_secs(60),
            mode: Mode::Active,
            families: vec![Family::EVPN],
            extended_next_hop: true,
            add_path: Vec::new(),
            graceful_restart: None,
            extended_message: true,
            enhanced_route_refresh: true,
            role: None,
            role_strict: false,
        }
    }

    /// How long our own silence is borne (RFC 9687 section 3) with a negotiated hold time.
    pub(super) fn send_hold_time(hold_time: Duration) -> Duration {
        SEND_HOLD_TIME_MIN.max(hold_time.saturating_mul(2))
    }

    /// Whether what is offered is what can be offered.
    ///
    /// # Errors
    /// What cannot, with what could.
    pub fn check(&self) -> Result<(), ConfigError> {
        let whole = |time: Duration, max: Duration| time.subsec_nanos() == 0 && time <= max;
        if self.local_as == Asn(0) {
            return Err(ConfigError::LocalAs);
        }
        if self.router_id.is_unspecified() {
            return Err(ConfigError::RouterId);
        }
        let hold = self.hold_time;
        if !whole(hold, HOLD_TIME_MAX) || matches!(hold.as_secs(), 1 | 2) {
            return Err(ConfigError::HoldTime(hold));
        }
        if self.role.is_some() && self.peer_as.accepts(self.local_as, self.local_as) {
            return Err(ConfigError::Role);
        }
        match &self.graceful_restart {
            Some(gr) if !whole(gr.restart_time, RESTART_TIME_MAX) => {
                Err(ConfigError::RestartTime(gr.restart_time))
            }
            _ => Ok(()),
        }
    }

    /// Whether the neighbor would have to be told of the difference in a new OPEN. Flags of a
    /// restart are not among it: they are true at the moment an OPEN is sent.
    pub(super) fn same_offer(&self, other: &Self) -> bool {
        let restart_time =
            |c: &Self| c.graceful_restart.as_ref().map(|restart| restart.restart_time);
        self.local_as == other.local_as
            && self.peer_as == other.peer_as
            && self.router_id == other.router_id
            && self.hold_time == other.hold_time
            && self.families == other.families
            && self.extended_next_hop == other.extended_next_hop
            && self.add_path == other.add_path
            && self.extended_message == other.extended_message
            && self.enhanced_route_refresh == other.enhanced_route_refresh
            && self.role == other.role
            && self.role_strict == other.role_strict
            && restart_time(self) == restart_time(other)
    }
}

/// What a session cannot offer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ConfigError {
    /// RFC 7607.
    #[error("AS 0 cannot be ours: give the AS number of this router")]
    LocalAs,
    /// RFC 6286 section 2.1.
    #[error("router id 0.0.0.0 is not allowed: give one that no other router has")]
    RouterId,
    /// RFC 4271 section 4.2.
    #[error("hold time {0:?} is not allowed: give 0 (none) or 3 to 65535 whole seconds")]
    HoldTime(Duration),
    /// RFC 4724 section 3.
    #[error("restart time {0:?} is not allowed: give 0 to 4095 whole seconds")]
    RestartTime(Duration),
    /// RFC 9234 section 3.
    #[error("a neighbor of our own AS has no role: leave it out")]
    Role,
}

/// What a new configuration demands of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// It holds already, or from the next connection on where it cannot matter before.
    Applied,
    /// It holds from the next OPEN on: the session should be stopped with
    /// [`StopReason::ConfigChanged`](super::StopReason::ConfigChanged) when that suits.
    ResetNeeded,
}
