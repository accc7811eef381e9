//! Neighbours.

use super::reset::last_reset;
use super::{count, family, msec};
use crate::api::backend::{Answer, ApiError};
use evpn_api::bgp::{PeerSummary, SessionState, Summary};
use evpn_api::neighbor::{
    CapabilityState, ClearRequest, Done, GracefulRestartState, MessageErrors, MessageStats,
    Neighbor, SoftDirection, Timers,
};
use evpn_api::{AddressFamily, Event};
use evpn_engine::view::View;
use evpn_engine::view::neighbors as seen;
use evpn_engine::{ClearKind, Engine, Input, Now};
use evpn_proto::bgp::message::{Capability, GracefulRestart};
use evpn_proto::bgp::session::{
    self, PeerAs, SEND_HOLD_TIME_MIN, SHUTDOWN_TEXT_OCTETS_MAX, StopReason, Timer,
};
use evpn_proto::bgp::wire::codes::capability::ROLE;
use evpn_proto::types::NeighborId;
use std::collections::BTreeMap;
use std::time::Duration;

/// The capability that tells a host's name (draft-walton-bgp-hostname-capability).
const FQDN: u8 = 73;
/// What a neighbor is told of a reset unless the operator says something else.
const CLEARED: &str = "cleared by an operator";

/// A neighbour's name in the API's words.
pub(super) fn named(id: &NeighborId) -> evpn_api::NeighborId {
    match id {
        NeighborId::Address(address) => evpn_api::NeighborId::Address(*address),
        NeighborId::Interface(name) => evpn_api::NeighborId::Interface(name.to_string()),
    }
}

pub(super) fn unknown(id: &NeighborId) -> ApiError {
    ApiError::not_found(format!("{id} is no neighbor"))
        .remedy("evpnctl show bgp l2vpn evpn summary lists the neighbors")
}

pub(super) fn summary(view: View<'_>) -> Summary {
    let settings = view.settings();
    let neighbors = view.neighbors();
    let failed = neighbors.iter().filter(|n| !n.is_established()).count();
    let line = |n: &seen::Neighbor<'_>| (named(n.id()), peer_summary(view, n));
    Summary {
        router_id: settings.router_id,
        local_as: settings.asn.0,
        vrf_name: "default".to_owned(),
        rib_count: count(view.route_count()),
        rib_counts: family::counts(view).into_iter().filter(|(_, routes)| *routes > 0).collect(),
        rib_memory: count(view.route_octets()),
        total_peers: u32::try_from(neighbors.len()).unwrap_or(u32::MAX),
        failed_peers: u32::try_from(failed).unwrap_or(u32::MAX),
        peers: neighbors.iter().map(line).collect(),
    }
}

fn peer_summary(view: View<'_>, neighbor: &seen::Neighbor<'_>) -> PeerSummary {
    let session = neighbor.session;
    let now = view.now().time;
    let was_up = session.last_reset().filter(|_| session.times_established() > 0);
    let since = session.uptime(now).or(was_up.map(|reset| now.saturating_since(reset.at)));
    PeerSummary {
        id_type: named(neighbor.id()).kind().to_owned(),
        dynamic_group: neighbor.dynamic.map(str::to_owned),
        hostname: hostname(neighbor),
        desc: description(neighbor),
        remote_as: remote_as(neighbor),
        local_as: session.config().local_as.0,
        state: state(session.state()),
        admin_down: neighbor.settings.shutdown,
        msg_rcvd: session.messages_received().total(),
        msg_sent: session.messages_sent().total(),
        peer_uptime_msec: since.map(msec),
        pfx_rcd: count(neighbor.received.held),
        pfx_snt: count(neighbor.advertised),
        families_not_negotiated: family::missing(neighbor).collect(),
        families_given_up: family::given_up(neighbor).collect(),
        connections_established: session.times_established(),
        connections_dropped: dropped(neighbor),
        last_reset: last_reset(view, neighbor),
    }
}

pub(super) fn neighbor(view: View<'_>, neighbor: &seen::Neighbor<'_>) -> Neighbor {
    let session = neighbor.session;
    let now = view.now().time;
    let ends = session.endpoints();
    Neighbor {
        id: named(neighbor.id()),
        address: neighbor.address,
        dynamic_group: neighbor.dynamic.map(str::to_owned),
        hostname: hostname(neighbor),
        desc: description(neighbor),
        remote_as: remote_as(neighbor),
        local_as: session.config().local_as.0,
        remote_router_id: session.last_open_received().map(|open| open.router_id),
        local_router_id: session.config().router_id,
        bgp_state: state(session.state()),
        admin_down: neighbor.settings.shutdown,
        bgp_timer_up_msec: session.uptime(now).map(msec),
        local: ends.map(|ends| ends.local),
        remote: ends.map(|ends| ends.remote),
        timers: timers(view, neighbor),
        neighbor_capabilities: capabilities(neighbor),
        graceful_restart_info: graceful_restart(view, neighbor),
        message_stats: messages(neighbor),
        l2_vpn_evpn: family::counters(view, neighbor, AddressFamily::L2VpnEvpn),
        address_family_info: family::exchanged(view, neighbor).collect(),
        errors: errors(neighbor),
        route_reflector_client: neighbor.settings.route_reflector_client,
        aigp: neighbor.settings.aigp,
        local_role: session.config().role.map(|role| role.to_string()),
        remote_role: remote_role(neighbor),
        connections_established: session.times_established(),
        connections_dropped: dropped(neighbor),
        last_reset: last_reset(view, neighbor),
        events: events(view, neighbor),
    }
}

fn errors(neighbor: &seen::Neighbor<'_>) -> MessageErrors {
    let faults = neighbor.faults;
    MessageErrors {
        attributes_discarded: faults.attributes_discarded,
        routes_discarded: faults.routes_discarded,
        treat_as_withdraw: faults.treated_as_withdrawn,
        families_disabled: faults.family_disabled,
        last: neighbor.last_fault.map(str::to_owned),
    }
}

/// What happened lately, the newest first.
fn events(view: View<'_>, neighbor: &seen::Neighbor<'_>) -> Vec<Event> {
    let mut events: Vec<Event> = neighbor
        .session
        .events()
        .map(|event| {
            let ago_msec = msec(view.now().time.saturating_since(event.at));
            let text = match event.times {
                0 | 1 => event.kind.to_string(),
                times => format!("{} ({times} times)", event.kind),
            };
            Event { ago_msec, text }
        })
        .collect();
    events.reverse();
    events
}

const fn state(state: session::SessionState) -> SessionState {
    match state {
        session::SessionState::Idle => SessionState::Idle,
        session::SessionState::Connect => SessionState::Connect,
        session::SessionState::Active => SessionState::Active,
        session::SessionState::OpenSent => SessionState::OpenSent,
        session::SessionState::OpenConfirm => SessionState::OpenConfirm,
        session::SessionState::Established => SessionState::Established,
    }
}

fn dropped(neighbor: &seen::Neighbor<'_>) -> u64 {
    let up = u64::from(neighbor.is_established());
    neighbor.session.times_established().saturating_sub(up)
}

fn description(neighbor: &seen::Neighbor<'_>) -> Option<String> {
    Some(neighbor.session.config().description.clone()).filter(|text| !text.is_empty())
}

/// Its AS as heard, else as configured.
pub(super) fn remote_as(neighbor: &seen::Neighbor<'_>) -> Option<u32> {
    let config = neighbor.session.config();
    match (neighbor.session.last_open_received(), config.peer_as) {
        (Some(open), _) => Some(open.asn.0),
        (None, PeerAs::Exactly(asn)) => Some(asn.0),
        (None, PeerAs::Internal) => Some(config.local_as.0),
        (None, PeerAs::External) => None,
    }
}

/// The name that it says, as far as that is plain text: nothing of a neighbour's reaches a
/// terminal as it came.
fn hostname(neighbor: &seen::Neighbor<'_>) -> Option<String> {
    let open = neighbor.session.last_open_received()?;
    let value = open.capabilities.iter().find_map(|capability| match capability {
        Capability::Unknown { code: FQDN, value } => Some(value),
        _ => None,
    })?;
    let (length, rest) = value.split_first()?;
    let name = std::str::from_utf8(rest.get(..usize::from(*length))?).ok()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (!name.is_empty() && name.chars().all(plain)).then(|| name.to_owned())
}

/// What it says it is to us.
fn remote_role(neighbor: &seen::Neighbor<'_>) -> Option<String> {
    let open = neighbor.session.last_open_received()?;
    open.capabilities.iter().find_map(|capability| match capability {
        Capability::Role(role) => Some(role.to_string()),
        _ => None,
    })
}

fn timers(view: View<'_>, neighbor: &seen::Neighbor<'_>) -> Timers {
    let session = neighbor.session;
    let left = |timer| session.deadline(timer).map(|at| at.saturating_since(view.now().time));
    let agreed = session.negotiated();
    let hold = agreed.map_or(session.config().hold_time, |agreed| agreed.hold_time);
    let keepalive = agreed.map_or(session.config().keepalive_time, |a| a.keepalive_interval);
    let hold_left = left(Timer::Hold).filter(|_| agreed.is_some());
    // Each runs from the last message on, the latter as RFC 9687 section 3 has it.
    let send_hold = SEND_HOLD_TIME_MIN.max(hold.saturating_mul(2));
    let ago = |whole: Duration, left: Option<Duration>| Some(msec(whole.checked_sub(left?)?));
    let dials = left(Timer::IdleHold).or_else(|| left(Timer::ConnectRetry));
    Timers {
        bgp_timer_hold_time_msecs: msec(hold),
        bgp_timer_keep_alive_interval_msecs: msec(keepalive),
        bgp_timer_last_read: ago(hold, hold_left),
        bgp_timer_last_write: ago(send_hold, left(Timer::SendHold)),
        hold_remaining_msecs: hold_left.map(msec),
        next_connect_timer_due_in_msecs: dials.filter(|_| !neighbor.is_established()).map(msec),
    }
}

fn capabilities(neighbor: &seen::Neighbor<'_>) -> Vec<CapabilityState> {
    let mut states: BTreeMap<String, (bool, bool)> = BTreeMap::new();
    for capability in neighbor.session.capabilities_sent() {
        states.entry(capability_name(&capability)).or_default().0 = true;
    }
    let received = neighbor.session.last_open_received().map(|open| open.capabilities.as_slice());
    for capability in received.unwrap_or_default() {
        states.entry(capability_name(capability)).or_default().1 = true;
    }
    let state = |(name, (advertised, received))| CapabilityState { name, advertised, received };
    states.into_iter().map(state).collect()
}

fn capability_name(capability: &Capability) -> String {
    match capability {
        Capability::Multiprotocol(family) => family::name(*family),
        Capability::RouteRefresh => "route refresh".to_owned(),
        Capability::ExtendedMessage => "extended message".to_owned(),
        Capability::GracefulRestart(_) => "graceful restart".to_owned(),
        Capability::FourOctetAs(_) => "4-octet AS".to_owned(),
        Capability::EnhancedRouteRefresh => "enhanced route refresh".to_owned(),
        Capability::ExtendedNextHop(_) => "extended next hop".to_owned(),
        Capability::AddPath(_) => "ADD-PATH".to_owned(),
        Capability::Role(_) | Capability::Unknown { code: ROLE, .. } => "role".to_owned(),
        Capability::Unknown { code: FQDN, .. } => "host name".to_owned(),
        Capability::Unknown { code, .. } => format!("code {code}"),
    }
}

/// A graceful restart capability that covers a family of ours.
fn restart_of(capabilities: &[Capability]) -> Option<&GracefulRestart> {
    capabilities.iter().rev().find_map(|capability| match capability {
        Capability::GracefulRestart(restart) => {
            let mut families = restart.families.iter();
            families.any(|(family, _)| family::to_api(*family).is_some()).then_some(restart)
        }
        _ => None,
    })
}

fn graceful_restart(view: View<'_>, neighbor: &seen::Neighbor<'_>) -> GracefulRestartState {
    let session = neighbor.session;
    let sent = session.capabilities_sent();
    let (ours, heard) = (restart_of(&sent), session.last_open_received());
    let theirs = heard.and_then(|open| restart_of(&open.capabilities));
    let seconds = |restart: &GracefulRestart| {
        u32::try_from(restart.restart_time.as_secs()).unwrap_or(u32::MAX)
    };
    let both = |restart: Option<&GracefulRestart>| restart.is_some_and(|r| r.notification);
    let until = neighbor.stale_until.map(|until| until.saturating_since(view.now().time));
    GracefulRestartState {
        advertised: ours.is_some(),
        received: theirs.is_some(),
        notification: both(ours) && both(theirs),
        local_restart_time_sec: ours.map_or(0, seconds),
        remote_restart_time_sec: theirs.map(seconds),
        stale_routes: count(neighbor.received.stale),
        stale_remaining_msec: until.map(msec),
        end_of_rib_received: neighbor.end_of_rib_received,
        end_of_rib_sent: neighbor.end_of_rib_sent,
    }
}

fn messages(neighbor: &seen::Neighbor<'_>) -> MessageStats {
    let (sent, received) = (neighbor.session.messages_sent(), neighbor.session.messages_received());
    MessageStats {
        opens_sent: sent.open,
        opens_recv: received.open,
        updates_sent: sent.update,
        updates_recv: received.update,
        keepalives_sent: sent.keepalive,
        keepalives_recv: received.keepalive,
        notifications_sent: sent.notification,
        notifications_recv: received.notification,
        route_refresh_sent: sent.route_refresh,
        route_refresh_recv: received.route_refresh,
        total_sent: sent.total(),
        total_recv: received.total(),
    }
}

/// Resets a session, or exchanges its routes again.
pub(super) fn clear(
    engine: &mut Engine,
    now: Now,
    id: &NeighborId,
    request: ClearRequest,
) -> Answer<Done> {
    let view = engine.view(now);
    let neighbor = view.neighbor(id.clone()).ok_or_else(|| unknown(id))?;
    if neighbor.settings.shutdown {
        return Err(ApiError::conflict(format!("the configuration holds {id} down"))
            .remedy(format!("remove `shutdown` from neighbor {id}, then reload")));
    }
    let (peer, up) = (neighbor.index, neighbor.exchanges_routes());
    let refreshes = neighbor.session.negotiated().is_some_and(|agreed| agreed.route_refresh);
    if request.soft && !up {
        let text = format!("no routes are exchanged with {id} that could be refreshed");
        return Err(
            ApiError::conflict(text).remedy(format!("evpnctl show bgp neighbors {id} tells why"))
        );
    }
    let (kind, text) = match (request.soft, request.direction) {
        (false, None) => reset_kind(id, request.message),
        (false, Some(_)) => {
            return Err(ApiError::bad_request("a direction is only for what is soft"));
        }
        (true, _) if request.message.is_some() => {
            let text = "a message is only told when the session is reset";
            return Err(ApiError::bad_request(text));
        }
        (true, Some(SoftDirection::In)) if !refreshes => {
            let text = format!("{id} does not offer to send its routes again");
            let remedy = format!("evpnctl clear bgp {id} resets the session instead");
            return Err(ApiError::conflict(text).remedy(remedy));
        }
        (true, Some(SoftDirection::In)) => {
            (ClearKind::SoftIn, format!("{id} is asked for its routes again"))
        }
        (true, Some(SoftDirection::Out)) => {
            (ClearKind::SoftOut, format!("our routes are sent to {id} again"))
        }
        (true, None) if !refreshes => {
            let text = "our routes are sent again; it does not offer to send its own again";
            (ClearKind::Soft, text.to_owned())
        }
        (true, None) => (ClearKind::Soft, format!("routes are exchanged again with {id}")),
    };
    engine.handle(now, Input::Clear { peer, kind });
    Ok(Done { text })
}

/// What a reset tells the neighbor, and what it answers the operator.
fn reset_kind(id: &NeighborId, message: Option<String>) -> (ClearKind, String) {
    let text = message.unwrap_or_else(|| CLEARED.to_owned());
    let mut done = format!("the session with {id} is reset and comes up again by itself");
    if text.len() > SHUTDOWN_TEXT_OCTETS_MAX {
        done.push_str("; it is told the first 255 octets of the message");
    }
    (ClearKind::Hard(StopReason::Reset { text }), done)
}
