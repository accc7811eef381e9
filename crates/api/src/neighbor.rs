//! `bgp/neighbors` and `bgp/neighbors/{id}`: all that is known of a neighbour.
//!
//! **Every capability is told both ways**, so that "not negotiated" says which side is missing.

use crate::bgp::SessionState;
use crate::reset::LastReset;
use crate::{Event, NeighborId};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A neighbour in full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Neighbor {
    /// Who it is: its address or its interface.
    pub id: NeighborId,
    /// Its address; none while nobody has been heard on its interface.
    pub address: Option<IpAddr>,
    /// The group by whose `listen` it came; none for a configured one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dynamic_group: Option<String>,
    /// Its name, as it said or as configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The operator's words about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desc: Option<String>,
    /// Its AS; none where any is allowed and none was heard yet.
    pub remote_as: Option<u32>,
    /// The AS that we show it.
    pub local_as: u32,
    /// Its BGP identifier, once heard.
    pub remote_router_id: Option<Ipv4Addr>,
    /// Ours.
    pub local_router_id: Ipv4Addr,
    /// The session's state.
    pub bgp_state: SessionState,
    /// Held down by the configuration or an operator.
    pub admin_down: bool,
    /// Since it was established, in milliseconds; none where it is not.
    pub bgp_timer_up_msec: Option<u64>,
    /// Our end of the connection.
    pub local: Option<SocketAddr>,
    /// Its end of the connection.
    pub remote: Option<SocketAddr>,
    /// Hold, keepalive and retry.
    pub timers: Timers,
    /// What either side can do, sorted by name.
    pub neighbor_capabilities: Vec<CapabilityState>,
    /// Graceful restart (RFC 4724).
    pub graceful_restart_info: GracefulRestartState,
    /// Messages since start.
    pub message_stats: MessageStats,
    /// EVPN routes.
    pub l2_vpn_evpn: FamilyCounters,
    /// What was wrong with its messages.
    pub errors: MessageErrors,
    /// Its routes are reflected to every internal neighbour.
    pub route_reflector_client: bool,
    /// The accumulated IGP metric is taken from it and told to it (RFC 7311).
    pub aigp: bool,
    /// What we are to it (RFC 9234): `provider`, `customer`, `peer`, `rs-server` or `rs-client`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_role: Option<String>,
    /// What it says it is to us.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_role: Option<String>,
    /// How often the session came up.
    pub connections_established: u64,
    /// How often it went down again.
    pub connections_dropped: u64,
    /// Why it last went down or did not come up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_reset: Option<LastReset>,
    /// What happened lately, the newest first.
    pub events: Vec<Event>,
}

/// A session's timers, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Timers {
    /// Hold time negotiated, or offered while none is; zero for none (RFC 4271 section 4.2).
    pub bgp_timer_hold_time_msecs: u64,
    /// Keepalive interval.
    pub bgp_timer_keep_alive_interval_msecs: u64,
    /// Since the last message was received.
    pub bgp_timer_last_read: Option<u64>,
    /// Since the last message was sent.
    pub bgp_timer_last_write: Option<u64>,
    /// Until the hold time is over, unless a message comes.
    pub hold_remaining_msecs: Option<u64>,
    /// Until the next attempt to connect.
    pub next_connect_timer_due_in_msecs: Option<u64>,
}

/// A capability and who has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CapabilityState {
    /// Its name, e.g. `4-octet AS` or `L2VPN EVPN`.
    pub name: String,
    /// We said so.
    pub advertised: bool,
    /// It said so.
    pub received: bool,
}

/// Graceful restart with a neighbour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GracefulRestartState {
    /// We offered it for EVPN.
    pub advertised: bool,
    /// It offered it for EVPN.
    pub received: bool,
    /// Both offered that a NOTIFICATION keeps the routes, too (RFC 8538).
    pub notification: bool,
    /// For how long we ask to be waited for, in seconds.
    pub local_restart_time_sec: u32,
    /// For how long it asks to be waited for, in seconds.
    pub remote_restart_time_sec: Option<u32>,
    /// Routes kept from it while it is away.
    pub stale_routes: u64,
    /// Until those are dropped, in milliseconds.
    pub stale_remaining_msec: Option<u64>,
    /// It has sent all it has (RFC 4724 section 2).
    pub end_of_rib_received: bool,
    /// We have sent all we have.
    pub end_of_rib_sent: bool,
}

/// Messages by type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageStats {
    /// OPEN.
    pub opens_sent: u64,
    /// OPEN.
    pub opens_recv: u64,
    /// UPDATE.
    pub updates_sent: u64,
    /// UPDATE.
    pub updates_recv: u64,
    /// KEEPALIVE.
    pub keepalives_sent: u64,
    /// KEEPALIVE.
    pub keepalives_recv: u64,
    /// NOTIFICATION.
    pub notifications_sent: u64,
    /// NOTIFICATION.
    pub notifications_recv: u64,
    /// ROUTE-REFRESH.
    pub route_refresh_sent: u64,
    /// ROUTE-REFRESH.
    pub route_refresh_recv: u64,
    /// All types.
    pub total_sent: u64,
    /// All types.
    pub total_recv: u64,
}

/// What was wrong with a neighbour's UPDATEs since start, by what became of it (RFC 7606).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageErrors {
    /// Attributes that were left out.
    pub attributes_discarded: u64,
    /// Routes that were left out.
    pub routes_discarded: u64,
    /// Updates whose routes counted as withdrawn.
    pub treat_as_withdraw: u64,
    /// Times that the family was given up.
    pub families_disabled: u64,
    /// The last error in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
}

/// A neighbour's routes of one family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FamilyCounters {
    /// Held from it, rejected ones included.
    pub received_prefix_counter: u64,
    /// Of these, passed by the import policy.
    pub accepted_prefix_counter: u64,
    /// Advertised to it.
    pub sent_prefix_counter: u64,
    /// The most that it may have here; more stop the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix_allowed_max: Option<u32>,
}

/// The body of `POST bgp/neighbors/{id}/clear`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClearRequest {
    /// Ask for the routes again and send ours again, and leave the session up (RFC 2918).
    #[serde(default)]
    pub soft: bool,
    /// With `soft`: only one of the two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<SoftDirection>,
    /// What to tell its operator when the session is reset (RFC 9003); cut to 255 octets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Which routes are exchanged again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SoftDirection {
    /// The neighbour's, which it is asked for.
    In,
    /// Ours, which it is told.
    Out,
}

/// What an operation that has nothing else to say answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Done {
    /// What was done, in one sentence.
    pub text: String,
}
