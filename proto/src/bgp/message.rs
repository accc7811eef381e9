//! BGP messages as values (RFC 4271 section 4).
//!
//! **A value of these types can always be encoded; whatever cannot is refused when it is read.**

use super::attributes::PathAttributes;
use super::role::Role;
use super::wire::FamilySet;
use super::wire::codes::capability::ROLE;
use super::wire::error::{Action, UpdateError};
pub use crate::types::Family;
use crate::types::{Asn, Route, RouteKey};
use bytes::Bytes;
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

/// A whole message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// RFC 4271 section 4.2.
    Open(Open),
    /// RFC 4271 section 4.3.
    Update(Update),
    /// RFC 4271 section 4.5.
    Notification(Notification),
    /// RFC 4271 section 4.4.
    Keepalive,
    /// RFC 2918, RFC 7313.
    RouteRefresh(RouteRefresh),
}

/// An OPEN message. The AS is the true one, whether it came in the capability or in the field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Open {
    /// The sender's AS.
    pub asn: Asn,
    /// Hold time offered, in whole seconds; zero for none.
    pub hold_time: Duration,
    /// The sender's BGP identifier.
    pub router_id: Ipv4Addr,
    /// Capabilities in the order sent.
    pub capabilities: Vec<Capability>,
}

impl Open {
    /// The role numbers that it says, in the order sent; those that are not given out as well (RFC
    /// 9234 section 4.1). A capability of another length than one octet says nothing.
    pub fn roles(&self) -> impl Iterator<Item = u8> + '_ {
        self.capabilities.iter().filter_map(|capability| match capability {
            Capability::Role(role) => Some(role.number()),
            Capability::Unknown { code: ROLE, value } => match value.as_ref() {
                [number] => Some(*number),
                _ => None,
            },
            _ => None,
        })
    }

    /// The first two roles that differ, for which it is to be refused (RFC 9234 section 4.2: several
    /// that say the same are one).
    pub fn two_roles(&self) -> Option<(u8, u8)> {
        let first = self.roles().next()?;
        let other = self.roles().find(|other| *other != first)?;
        Some((first, other))
    }
}

/// A capability (RFC 5492).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Capability {
    /// Code 1 (RFC 4760).
    Multiprotocol(Family),
    /// Code 2 (RFC 2918).
    RouteRefresh,
    /// Code 6 (RFC 8654).
    ExtendedMessage,
    /// Code 9 (RFC 9234); a role that is not given out is [`Self::Unknown`].
    Role(Role),
    /// Code 64 (RFC 4724, N flag RFC 8538).
    GracefulRestart(GracefulRestart),
    /// Code 65 (RFC 6793).
    FourOctetAs(Asn),
    /// Code 70 (RFC 7313).
    EnhancedRouteRefresh,
    /// Code 5 (RFC 8950): families whose routes may have next hops of another, with that one's
    /// address family identifier.
    ExtendedNextHop(Vec<(Family, u16)>),
    /// Code 69 (RFC 7911): families whose routes the sender would send or take with path
    /// identifiers.
    AddPath(Vec<(Family, AddPath)>),
    /// Any other, kept as it came.
    Unknown {
        /// Its code.
        code: u8,
        /// Its value.
        value: Bytes,
    },
}

/// What a speaker would do with path identifiers in a family (RFC 7911 section 4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum AddPath {
    /// 1: take them.
    Receive = 1,
    /// 2: send them.
    Send = 2,
    /// 3: both.
    Both = 3,
}

impl AddPath {
    /// Whether it would take them.
    pub const fn receives(self) -> bool {
        matches!(self, Self::Receive | Self::Both)
    }

    /// Whether it would send them.
    pub const fn sends(self) -> bool {
        matches!(self, Self::Send | Self::Both)
    }
}

impl fmt::Display for AddPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Receive => "receive",
            Self::Send => "send",
            Self::Both => "both",
        })
    }
}

/// The graceful restart capability (RFC 4724 section 3).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct GracefulRestart {
    /// R: the sender has just restarted; do not wait for its End-of-RIB before sending ours.
    pub restarting: bool,
    /// N (RFC 8538): NOTIFICATIONs and hold timer expiry also keep the routes.
    pub notification: bool,
    /// For how long the sender asks to keep its routes; whole seconds, at most 4095.
    pub restart_time: Duration,
    /// Families it restarts gracefully, with F: forwarding was preserved.
    pub families: Vec<(Family, ForwardingPreserved)>,
}

/// The F bit of a family (RFC 4724 section 3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ForwardingPreserved {
    /// The forwarding plane still holds what it held.
    Yes,
    /// It does not, or the sender cannot tell.
    No,
}

/// A NOTIFICATION message: why the session ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notification {
    /// Error code (RFC 4271 section 4.5).
    pub code: u8,
    /// Error subcode.
    pub subcode: u8,
    /// Data, whose form depends on both.
    pub data: Bytes,
}

/// A ROUTE-REFRESH message (RFC 2918; RFC 7313 gives the subtype a meaning).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RouteRefresh {
    /// Which family.
    pub family: Family,
    /// 0 request, 1 begin, 2 end of a refresh.
    pub subtype: u8,
}

/// An UPDATE message, after RFC 7606: what was wrong is already acted upon in `announced` and
/// `withdrawn`, and told in `errors`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Update {
    /// Attributes of `announced`. None where nothing is.
    pub attributes: Option<Arc<PathAttributes>>,
    /// Routes announced in MP_REACH_NLRI, of one family, in the order sent.
    pub announced: Vec<Route>,
    /// Routes withdrawn, of any family, those treated as withdrawn included. They come before
    /// `announced`: a key in both is announced (RFC 4271 section 4.3).
    pub withdrawn: Vec<RouteKey>,
    /// What the NLRI field of RFC 4271 announces beside: IPv4 unicast routes, whose next hop is that
    /// of the NEXT_HOP attribute.
    pub classic: Option<Classic>,
    /// Path identifiers (RFC 7911).
    pub path_ids: PathIdentifiers,
    /// The negotiated family whose End-of-RIB marker this is (RFC 4724 section 2).
    pub end_of_rib: Option<Family>,
    /// The worst that an error in it demands. All of it is done except for
    /// [`Action::DisableAfiSafi`], which is the session's: then `disabled` has the families, and
    /// what the message says of others counts as withdrawn.
    pub action: Action,
    /// The families that [`Action::DisableAfiSafi`] gives up.
    pub disabled: FamilySet,
    /// Errors in the order found, at most
    /// [`ERRORS_MAX`](super::wire::decode::ERRORS_MAX).
    pub errors: Vec<UpdateError>,
}

/// The routes of an UPDATE's own NLRI field (RFC 4271 section 4.3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Classic {
    /// Their attributes.
    pub attributes: Arc<PathAttributes>,
    /// IPv4 unicast routes, in the order sent.
    pub announced: Vec<Route>,
}

/// The path identifiers of an UPDATE's routes, each list beside its routes and as long as it; all
/// are empty where ADD-PATH was not agreed on (RFC 7911 section 3).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PathIdentifiers {
    /// Of `announced`.
    pub announced: Vec<u32>,
    /// Of `withdrawn`.
    pub withdrawn: Vec<u32>,
    /// Of `classic`.
    pub classic: Vec<u32>,
}
