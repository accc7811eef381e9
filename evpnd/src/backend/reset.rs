//! Why a session is down, in the API's causes.

use super::{family, msec};
use evpn_api::reset::{Cause, LastReset, LinkFault, Whom};
use evpn_engine::Obstacle;
use evpn_engine::view::View;
use evpn_engine::view::neighbors::Neighbor;
use evpn_proto::bgp::message::Notification;
use evpn_proto::bgp::role::Role;
use evpn_proto::bgp::session::{
    Detector, Notice, OpenRefusal, PeerAs, Reason, SessionState, StopReason, TransportError,
    describe_notification, notification_meaning,
};
use evpn_proto::types::Time;

/// BGP's port (RFC 4271 section 4).
const PORT: u16 = 179;

/// Why the session last went down or does not come up.
pub(super) fn last_reset(view: View<'_>, neighbor: &Neighbor<'_>) -> Option<LastReset> {
    let (cause, at) = cause(neighbor)?;
    let ago = view.now().time.saturating_since(at);
    let whom = Whom { id: super::neighbors::named(neighbor.id()), address: neighbor.address };
    Some(LastReset::new(&cause, &whom, msec(ago)))
}

fn cause(neighbor: &Neighbor<'_>) -> Option<(Cause, Time)> {
    let session = neighbor.session;
    let reset = session.last_reset();
    if neighbor.settings.shutdown {
        return Some((Cause::AdminDown, reset.map_or(Time::ZERO, |reset| reset.at)));
    }
    if let Some((obstacle, since)) = neighbor.obstacle {
        return Some((of_obstacle(neighbor, obstacle), since));
    }
    if neighbor.is_established() {
        let agreed = session.negotiated()?;
        let no_family = agreed.notices().into_iter().find_map(|notice| match notice {
            Notice::NoCommonFamily { ours, theirs } => Some((ours, theirs)),
            _ => None,
        });
        if let Some((ours, theirs)) = no_family {
            let (ours, theirs) = (family::names(&ours), family::names(&theirs));
            return Some((Cause::NoCommonFamily { ours, theirs }, Time::ZERO));
        }
    }
    // What went wrong before the first time that it came up has been overcome.
    let overcome = neighbor.is_established() && session.times_established() == 1;
    let ended = reset.filter(|_| !overcome);
    let ended = ended.map(|reset| (of_reason(neighbor, &reset.reason), reset.at));
    let dialled = session.last_connect_error().filter(|_| !neighbor.is_established());
    let dialled = dialled.map(|(at, error)| (of_dial(error), *at));
    ended.into_iter().chain(dialled).max_by_key(|(_, at)| *at)
}

fn of_obstacle(neighbor: &Neighbor<'_>, obstacle: Obstacle) -> Cause {
    let fault = match obstacle {
        Obstacle::NoDevice => LinkFault::Missing,
        Obstacle::NotUp => LinkFault::Down,
        Obstacle::NoCarrier => LinkFault::NoCarrier,
        Obstacle::BridgePort => LinkFault::BridgePort,
        Obstacle::NoLinkLocal => LinkFault::NoLinkLocal,
        Obstacle::NoRouter => LinkFault::NoRouter,
    };
    Cause::Interface { name: neighbor.id().to_string(), fault }
}

fn of_dial(error: &TransportError) -> Cause {
    match error {
        TransportError::Refused => Cause::TcpRefused { port: PORT },
        TransportError::TimedOut => Cause::TcpTimeout { port: PORT },
        TransportError::Unreachable => Cause::NoRoute,
        TransportError::Reset | TransportError::Closed | TransportError::Other(_) => {
            Cause::Closed { what: error.to_string() }
        }
    }
}

fn of_reason(neighbor: &Neighbor<'_>, reason: &Reason) -> Cause {
    match reason {
        Reason::Stopped(stop) => of_stop(neighbor, stop),
        Reason::Refused(refusal) => of_refusal(neighbor, *refusal),
        Reason::PeerNotification(notification) => of_notification(neighbor, notification),
        Reason::ConnectionClosed { state: SessionState::OpenSent, .. } => {
            Cause::WrongSource { ours: neighbor.session.endpoints().map(|ends| ends.local.ip()) }
        }
        Reason::ConnectionClosed { error, .. } => Cause::Closed { what: error.to_string() },
        Reason::HoldExpired { hold_time, .. } => {
            Cause::HoldExpired { seconds: hold_time.as_secs() }
        }
        Reason::UnexpectedMessage { message, state } => {
            Cause::Malformed { what: format!("{message} in {state}, where it is not allowed") }
        }
        Reason::Malformed(notification) => {
            Cause::Malformed { what: describe_notification(notification) }
        }
        Reason::LinkDown(Detector::Interface) => Cause::LinkDown,
        Reason::LinkDown(Detector::Bfd) => Cause::BfdDown,
        Reason::SendHoldExpired(_)
        | Reason::PeerRestarted
        | Reason::Collision
        | Reason::Superseded
        | Reason::NotWanted => Cause::Closed { what: reason.to_string() },
    }
}

fn of_stop(neighbor: &Neighbor<'_>, stop: &StopReason) -> Cause {
    let by = match stop {
        StopReason::AdminShutdown { .. } => return Cause::AdminDown,
        StopReason::Reset { .. } => "an operator",
        StopReason::Deconfigured => "its removal from the configuration",
        StopReason::ConfigChanged => "a change of the configuration",
        StopReason::MaximumPrefixes => {
            let limit = neighbor.settings.max_prefix.unwrap_or_default();
            return Cause::MaxPrefix { limit: limit.into() };
        }
        StopReason::OutOfResources => "a lack of memory",
        StopReason::PathGone => return Cause::LinkDown,
        StopReason::Restart => "the end of evpnd",
    };
    Cause::AdminReset { by: by.to_owned() }
}

fn of_refusal(neighbor: &Neighbor<'_>, refusal: OpenRefusal) -> Cause {
    match refusal {
        OpenRefusal::WrongAs { said, configured } => match configured {
            PeerAs::Exactly(asn) => Cause::WrongAs { configured: asn.0, received: said.0 },
            PeerAs::Internal => {
                let ours = neighbor.session.config().local_as;
                Cause::WrongAs { configured: ours.0, received: said.0 }
            }
            // "Any but ours" is no number.
            PeerAs::External => Cause::Closed { what: refusal.to_string() },
        },
        OpenRefusal::NoRouterId => Cause::BadRouterId { received: "0.0.0.0".to_owned() },
        OpenRefusal::SameRouterId(id) => Cause::BadRouterId { received: id.to_string() },
        OpenRefusal::HoldTime(time) => {
            Cause::BadHoldTime { seconds: u16::try_from(time.as_secs()).unwrap_or(u16::MAX) }
        }
        OpenRefusal::RoleMismatch { ours, theirs } => {
            Cause::RoleMismatch { ours: ours.to_string(), theirs: Role::name_of(theirs) }
        }
        OpenRefusal::NoRole { ours } => {
            Cause::RoleMismatch { ours: ours.to_string(), theirs: String::new() }
        }
        OpenRefusal::SeveralRoles { .. } => Cause::Malformed { what: refusal.to_string() },
    }
}

fn of_notification(neighbor: &Neighbor<'_>, notification: &Notification) -> Cause {
    let notification = &notification_meaning(notification);
    let Notification { code, subcode, .. } = *notification;
    match (code, subcode) {
        (2, 2) => Cause::OurAsRefused { ours: neighbor.session.config().local_as.0 },
        (2, 11) => {
            let ours = neighbor.session.config().role.map(|role| role.to_string());
            Cause::OurRoleRefused { ours: ours.unwrap_or_default() }
        }
        (4, _) => Cause::HoldExpiredThere,
        _ => {
            // The numbers follow in the cause's own text.
            let numbers = format!(" ({code}/{subcode})");
            let what = describe_notification(notification).replacen(&numbers, "", 1);
            Cause::Notified { code, subcode, what }
        }
    }
}
