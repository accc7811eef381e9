//! Why a session or one of its connections ended.
//!
//! **Every end has a reason, the reason says what to do about it, and it alone decides what the
//! neighbor is told and whether its routes may stay.**

use super::config::PeerAs;
use super::events::{Detector, TransportError};
use super::notification::{self, cease, code, describe};
use super::state::SessionState;
use crate::bgp::message::Notification;
use crate::bgp::role::Role;
use crate::types::Asn;
use std::net::Ipv4Addr;
use std::time::Duration;
use thiserror::Error;

/// Why we end a session.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum StopReason {
    /// The operator shut the neighbor down, until a start.
    #[error("shut down by the operator{}: start the neighbor again", Self::spoken(.text))]
    AdminShutdown {
        /// What to tell the neighbor's operator (RFC 9003); may be empty.
        text: String,
    },
    /// The operator cleared the session. It comes up again by itself.
    #[error("cleared by the operator{}", Self::spoken(.text))]
    Reset {
        /// What to tell the neighbor's operator (RFC 9003); may be empty.
        text: String,
    },
    /// The neighbor is no longer in the configuration.
    #[error("the neighbor was removed from the configuration")]
    Deconfigured,
    /// The configuration has changed. It comes up again by itself.
    #[error("the configuration has changed")]
    ConfigChanged,
    /// The neighbor announced more than it may; down until a start.
    #[error(
        "the neighbor announced more routes than its limit: raise the limit, then start the neighbor again"
    )]
    MaximumPrefixes,
    /// The interface that leads to the neighbor is down or gone, or somebody else is there now;
    /// down until a start.
    #[error("the interface toward the neighbor is down or gone, or leads to another one now")]
    PathGone,
    /// We have no room for its routes. It comes up again by itself.
    #[error("out of resources")]
    OutOfResources,
    /// evpnd ends and forwarding stays: the connection is closed without a word, so that the
    /// neighbor keeps our routes (RFC 4724 section 4.2).
    #[error("evpnd restarts")]
    Restart,
}

impl StopReason {
    fn spoken(text: &str) -> String {
        if text.is_empty() { String::new() } else { format!(", saying {text:?}") }
    }

    /// Whether the session stays down until [`Input::Start`](super::Input::Start).
    pub const fn is_lasting(&self) -> bool {
        match self {
            Self::AdminShutdown { .. }
            | Self::Deconfigured
            | Self::MaximumPrefixes
            | Self::PathGone
            | Self::Restart => true,
            Self::Reset { .. } | Self::ConfigChanged | Self::OutOfResources => false,
        }
    }

    fn notification(&self) -> Option<Notification> {
        Some(match self {
            Self::AdminShutdown { text } => {
                notification::cease_with_text(cease::ADMIN_SHUTDOWN, text)
            }
            Self::Reset { text } => notification::cease_with_text(cease::ADMIN_RESET, text),
            Self::Deconfigured => notification::plain(code::CEASE, cease::DECONFIGURED),
            Self::ConfigChanged => notification::plain(code::CEASE, cease::CONFIG_CHANGE),
            Self::MaximumPrefixes => notification::plain(code::CEASE, cease::MAXIMUM_PREFIXES),
            Self::OutOfResources => notification::plain(code::CEASE, cease::OUT_OF_RESOURCES),
            // Nobody would hear it.
            Self::PathGone | Self::Restart => return None,
        })
    }
}

/// Why a neighbor's OPEN is not accepted (RFC 4271 section 6.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum OpenRefusal {
    /// 2/2.
    #[error(
        "peer says AS {said}, configured is {configured}: correct `as` of the neighbor or the peer's configuration"
    )]
    WrongAs {
        /// What the OPEN says.
        said: Asn,
        /// What we expect.
        configured: PeerAs,
    },
    /// 2/3 (RFC 6286 section 2.2).
    #[error("peer says router id 0.0.0.0: give the peer a router id")]
    NoRouterId,
    /// 2/3 (RFC 6286 section 2.2): within an AS it must differ from ours.
    #[error("peer of our own AS has our router id {0}: give each router its own")]
    SameRouterId(Ipv4Addr),
    /// 2/6.
    #[error("peer offers a hold time of {0:?}: it must be 0 or at least 3 s")]
    HoldTime(Duration),
    /// 2/11 (RFC 9234 section 4.2).
    #[error(
        "peer says it is our {}, and we are to be its {ours}: correct `role` here or at the peer, its opposite is {}",
        Role::name_of(*.theirs), .ours.opposite()
    )]
    RoleMismatch {
        /// What we are.
        ours: Role,
        /// The number that the OPEN says.
        theirs: u8,
    },
    /// 2/11: it does not say what it is, and we insist.
    #[error(
        "peer does not say its role, and `role-strict` wants it to be {}: give it that role there, or remove `role-strict`",
        .ours.opposite()
    )]
    NoRole {
        /// What we are.
        ours: Role,
    },
    /// 2/11: it says that it is several.
    #[error(
        "peer says two roles, {} and {}: report this to its vendor",
        Role::name_of(*.first), Role::name_of(*.other)
    )]
    SeveralRoles {
        /// The first number.
        first: u8,
        /// Another one.
        other: u8,
    },
}

impl OpenRefusal {
    fn notification(self) -> Notification {
        let subcode = match self {
            Self::WrongAs { .. } => notification::open::BAD_PEER_AS,
            Self::NoRouterId | Self::SameRouterId(_) => notification::open::BAD_IDENTIFIER,
            Self::HoldTime(_) => notification::open::BAD_HOLD_TIME,
            Self::RoleMismatch { .. } | Self::NoRole { .. } | Self::SeveralRoles { .. } => {
                notification::open::ROLE_MISMATCH
            }
        };
        notification::plain(code::OPEN, subcode)
    }
}

/// Why a session or a connection ended.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Reason {
    /// We ended it.
    #[error("{0}")]
    Stopped(StopReason),
    /// The neighbor's OPEN was not accepted.
    #[error("OPEN refused: {0}")]
    Refused(OpenRefusal),
    /// The neighbor ended it and said why.
    #[error("ended by the neighbor: {}{}", describe(.0), Self::remedy_of(.0))]
    PeerNotification(Notification),
    /// The connection broke, or the neighbor ended it without a word.
    #[error("{error}, in {state}{}", Self::hint(*.state))]
    ConnectionClosed {
        /// How.
        error: TransportError,
        /// In which state.
        state: SessionState,
    },
    /// The neighbor was silent for too long.
    #[error(
        "nothing heard from the neighbor for {hold_time:?}, in {state}: check the path and its MTU"
    )]
    HoldExpired {
        /// For how long.
        hold_time: Duration,
        /// In which state.
        state: SessionState,
    },
    /// The neighbor took nothing from us for too long (RFC 9687).
    #[error(
        "the neighbor has read nothing for {0:?} though it keeps talking: it is overloaded or broken"
    )]
    SendHoldExpired(Duration),
    /// A message came that the state does not allow (RFC 6608).
    #[error(
        "{message} received in {state}, where it is not allowed: report this to the peer's vendor"
    )]
    UnexpectedMessage {
        /// Its name.
        message: &'static str,
        /// In which state.
        state: SessionState,
    },
    /// A message came that cannot be understood.
    #[error("malformed message: {}", describe(.0))]
    Malformed(Notification),
    /// The path is gone.
    #[error("{}", match .0 {
        Detector::Interface => "the interface toward the neighbor is down",
        Detector::Bfd => "BFD says that the path to the neighbor is down",
    })]
    LinkDown(Detector),
    /// The neighbor opened a new session while the old one stood (RFC 4724 section 5).
    #[error("the neighbor restarted: it opened a new session while this one stood")]
    PeerRestarted,
    /// Of two connections the other one stayed (RFC 4271 section 6.8).
    #[error("connection collision: the other connection stays")]
    Collision,
    /// The neighbor dialled again before this connection came up.
    #[error("the neighbor opened another connection instead of this one")]
    Superseded,
    /// The neighbor dialled while we do not want to talk.
    #[error("connection refused: the session is down")]
    NotWanted,
}

/// How RFC 4724 and RFC 8538 see an end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    /// TCP ended without a NOTIFICATION: routes stay (RFC 4724 section 4.2).
    Silent,
    /// With a NOTIFICATION: routes stay if both sides have set N (RFC 8538 section 4).
    Notified,
    /// For good: routes go, and the neighbor shall drop ours.
    Hard,
}

impl Reason {
    fn remedy_of(notification: &Notification) -> String {
        notification::remedy(notification).map_or_else(String::new, |text| format!(": {text}"))
    }

    fn hint(state: SessionState) -> &'static str {
        match state {
            SessionState::OpenSent => {
                ": it may not have us configured as a neighbor, or be shut down there"
            }
            _ => "",
        }
    }

    /// What the neighbor is told; nothing where it knows, or where silence is the message.
    pub(super) fn notification(&self) -> Option<Notification> {
        Some(match self {
            Self::Stopped(reason) => return reason.notification(),
            Self::Refused(refusal) => refusal.notification(),
            Self::PeerNotification(_) | Self::ConnectionClosed { .. } | Self::PeerRestarted => {
                return None;
            }
            Self::HoldExpired { .. } => notification::plain(code::HOLD_TIMER, 0),
            Self::SendHoldExpired(_) => notification::plain(code::SEND_HOLD_TIMER, 0),
            Self::UnexpectedMessage { state, .. } => {
                // RFC 6608 §3: a subcode for each state.
                let subcode = match state {
                    SessionState::OpenSent => 1,
                    SessionState::OpenConfirm => 2,
                    SessionState::Established => 3,
                    SessionState::Idle | SessionState::Connect | SessionState::Active => 0,
                };
                notification::plain(code::FSM, subcode)
            }
            Self::Malformed(notification) => notification.clone(),
            Self::LinkDown(Detector::Interface) => {
                notification::plain(code::CEASE, cease::UNSPECIFIC)
            }
            Self::LinkDown(Detector::Bfd) => notification::plain(code::CEASE, cease::BFD_DOWN),
            Self::Collision | Self::Superseded => {
                notification::plain(code::CEASE, cease::COLLISION)
            }
            Self::NotWanted => notification::plain(code::CEASE, cease::REJECTED),
        })
    }

    /// How it counts for graceful restart.
    pub(super) fn ending(&self) -> Ending {
        match self {
            Self::ConnectionClosed { .. }
            | Self::PeerRestarted
            | Self::Stopped(StopReason::Restart) => Ending::Silent,
            // RFC 8538 §4: what RFC 4486 calls final is a hard reset, what passes is not. That an
            // operator's clear is a hard one is our choice: it is asked for to begin afresh.
            Self::Stopped(StopReason::ConfigChanged | StopReason::OutOfResources) => {
                Ending::Notified
            }
            Self::Stopped(_) => Ending::Hard,
            Self::PeerNotification(n) if notification::is_hard_reset(n) => Ending::Hard,
            // Where the path is gone, routes that stay would lead into a hole.
            Self::LinkDown(_) => Ending::Hard,
            Self::PeerNotification(_)
            | Self::Refused(_)
            | Self::HoldExpired { .. }
            | Self::SendHoldExpired(_)
            | Self::UnexpectedMessage { .. }
            | Self::Malformed(_)
            | Self::Collision
            | Self::Superseded
            | Self::NotWanted => Ending::Notified,
        }
    }

    /// Whether a neighbor that dials while we wait in back-off is let in: yes after a loss, so that
    /// one that returns need not wait for us; no where the same would only happen again.
    pub(super) const fn lets_callers_in(&self) -> bool {
        match self {
            Self::Stopped(_)
            | Self::PeerNotification(Notification {
                code: code::HOLD_TIMER | code::CEASE, ..
            })
            | Self::ConnectionClosed { .. }
            | Self::HoldExpired { .. }
            | Self::SendHoldExpired(_)
            | Self::LinkDown(_)
            | Self::PeerRestarted
            | Self::Collision
            | Self::Superseded => true,
            Self::PeerNotification(_)
            | Self::Refused(_)
            | Self::UnexpectedMessage { .. }
            | Self::Malformed(_)
            | Self::NotWanted => false,
        }
    }

    /// Whether it is the neighbor's doing that a call of its own ended.
    pub(super) const fn is_of_a_call(&self) -> bool {
        !matches!(self, Self::Stopped(_) | Self::NotWanted | Self::Collision | Self::Superseded)
    }

    /// Whether one side does not want the session as it is: only people can mend that.
    pub(super) const fn is_verdict(&self) -> bool {
        match self {
            Self::Refused(_) => true,
            Self::PeerNotification(n) => {
                let is_final = matches!(
                    n.subcode,
                    cease::MAXIMUM_PREFIXES
                        | cease::ADMIN_SHUTDOWN
                        | cease::DECONFIGURED
                        | cease::HARD_RESET
                );
                n.code == code::OPEN || (n.code == code::CEASE && is_final)
            }
            _ => false,
        }
    }

    /// Whether the neighbor only sent us away.
    pub(super) const fn is_mere_refusal(&self) -> bool {
        matches!(
            self,
            Self::ConnectionClosed { state: SessionState::OpenSent, .. }
                | Self::PeerNotification(Notification {
                    code: code::CEASE,
                    subcode: cease::REJECTED | cease::COLLISION,
                    ..
                })
        )
    }
}
