//! `show bgp neighbor`.
//!
//! **What one side offers and the other does not is said in words**, not left to be compared.

use super::Lines;
use crate::table::{Column, Table};
use crate::text::{AsNotation, duration, or_dash, yes_no};
use evpn_api::bgp::SessionState;
use evpn_api::neighbor::{CapabilityState, GracefulRestartState, MessageErrors, Neighbor};
use evpn_api::{AddressFamily, Event, NeighborId};

/// Events shown.
const EVENTS: usize = 20;

/// `show bgp neighbor`, of as many as there are.
pub(crate) fn neighbors(neighbors: &[Neighbor], notation: AsNotation) -> String {
    neighbors.iter().map(|n| neighbor(n, notation)).collect::<Vec<_>>().join("\n")
}

fn neighbor(neighbor: &Neighbor, notation: AsNotation) -> String {
    let mut lines = Lines::default();
    let kind = match neighbor.remote_as {
        Some(remote) if remote == neighbor.local_as => "internal",
        Some(_) => "external",
        None => "AS not heard yet",
    };
    let remote_as = or_dash(neighbor.remote_as.map(|asn| notation.asn(asn)));
    let local_as = notation.asn(neighbor.local_as);
    let head = format!(
        "BGP neighbor is {}, remote AS {remote_as}, local AS {local_as}, {kind}",
        neighbor.id
    );
    lines.add(0, &head);
    if let NeighborId::Interface(_) = neighbor.id {
        lines.field("  Address", &or_dash(neighbor.address));
    }
    if let Some(group) = &neighbor.dynamic_group {
        lines.field("  Dynamic", &format!("by `listen` of group {group}"));
    }
    if let Some(desc) = &neighbor.desc {
        lines.field("  Description", desc);
    }
    lines.field("  Hostname", &or_dash(neighbor.hostname.as_ref()));
    let (local_id, remote_id) = (neighbor.local_router_id, or_dash(neighbor.remote_router_id));
    lines.field("  Router id", &format!("local {local_id}, remote {remote_id}"));
    lines.field("  State", &state(neighbor));
    if let (Some(local), Some(remote)) = (neighbor.local, neighbor.remote) {
        lines.field("  Connection", &format!("local {local}, remote {remote}"));
    }
    lines.field("  Timers", &timers(neighbor));
    if let Some(reset) = &neighbor.last_reset {
        let ago = duration(reset.last_reset_timer_msecs);
        lines.field("  Last reset", &format!("{ago} ago: {}", reset.last_reset_due_to));
        if let Some(remedy) = &reset.remedy {
            lines.remedy(20, remedy);
        }
    }
    let (ups, downs) = (neighbor.connections_established, neighbor.connections_dropped);
    lines.field("  Sessions", &format!("established {ups}, dropped {downs}"));
    add_families(&mut lines, neighbor);
    add_agreements(&mut lines, neighbor);
    add_errors(&mut lines, &neighbor.errors);
    lines.field("  Graceful restart", &graceful_restart(&neighbor.graceful_restart_info));
    lines.add(2, "Capabilities");
    for capability in &neighbor.neighbor_capabilities {
        lines.item(&format!("    {}", capability.name), 30, sides(capability));
    }
    lines.block(&messages(neighbor));
    lines.add(2, "Recent events");
    list(&mut lines, neighbor.events.iter().take(EVENTS));
    lines.into_text()
}

/// What it is to us, beyond its AS.
fn add_agreements(lines: &mut Lines, neighbor: &Neighbor) {
    if neighbor.route_reflector_client {
        lines.field("  Reflection", "a client of ours");
    }
    if neighbor.aigp {
        lines.field("  AIGP", "taken from it and told to it");
    }
    if neighbor.local_role.is_some() || neighbor.remote_role.is_some() {
        let word = |role: &Option<String>| role.clone().unwrap_or_else(|| "nothing".to_owned());
        let (ours, theirs) = (word(&neighbor.local_role), word(&neighbor.remote_role));
        lines.field("  Role", &format!("we say {ours}, the neighbor {theirs}"));
    }
}

fn add_errors(lines: &mut Lines, errors: &MessageErrors) {
    lines.field(
        "  Errors",
        &format!(
            "attributes left out {}, routes left out {}, updates treated as withdrawals {}, \
             family given up {}",
            errors.attributes_discarded,
            errors.routes_discarded,
            errors.treat_as_withdraw,
            errors.families_disabled
        ),
    );
    if let Some(last) = &errors.last {
        lines.field("  Last error", last);
    }
}

/// `show bgp neighbor ADDRESS events`: all that is remembered.
pub(crate) fn events(events: &[Event]) -> String {
    let mut lines = Lines::default();
    list(&mut lines, events.iter());
    lines.into_text()
}

fn list<'a>(lines: &mut Lines, events: impl Iterator<Item = &'a Event>) {
    for event in events {
        lines.item(&format!("    {} ago", duration(event.ago_msec)), 18, &event.text);
    }
}

fn state(neighbor: &Neighbor) -> String {
    match (neighbor.bgp_state, neighbor.bgp_timer_up_msec) {
        (SessionState::Established, Some(up)) => format!("Established for {}", duration(up)),
        (state, _) if neighbor.admin_down => format!("{state}, held down by the configuration"),
        (state, _) => state.to_string(),
    }
}

/// A line for each family.
fn add_families(lines: &mut Lines, neighbor: &Neighbor) {
    if neighbor.address_family_info.is_empty() {
        lines.field("  Routes", "none, of any family");
    }
    for (family, routes) in &neighbor.address_family_info {
        let label = match family {
            AddressFamily::L2VpnEvpn => "  EVPN routes".to_owned(),
            other => format!("  {other}"),
        };
        let max = routes.prefix_allowed_max.map(|max| format!(" of at most {max}"));
        let ended = match (routes.end_of_rib_received, routes.end_of_rib_sent) {
            (true, true) => "both ways",
            (true, false) => "received, not sent yet",
            (false, true) => "sent, not received yet",
            (false, false) => "neither way yet",
        };
        let text = format!(
            "received {}{}, accepted {}, sent {}; end-of-RIB {ended}",
            routes.received_prefix_counter,
            max.unwrap_or_default(),
            routes.accepted_prefix_counter,
            routes.sent_prefix_counter,
        );
        lines.field(&label, &text);
    }
}

fn timers(neighbor: &Neighbor) -> String {
    let timers = neighbor.timers;
    let mut text = format!(
        "hold {} s, keepalive {} s",
        timers.bgp_timer_hold_time_msecs / 1000,
        timers.bgp_timer_keep_alive_interval_msecs / 1000
    );
    if let Some(read) = timers.bgp_timer_last_read {
        text += &format!(", last read {} ago", duration(read));
    }
    if let Some(left) = timers.hold_remaining_msecs {
        text += &format!(", hold expires in {}", duration(left));
    }
    if let Some(due) = timers.next_connect_timer_due_in_msecs {
        text += &format!(", next attempt in {}", duration(due));
    }
    text
}

const fn sides(capability: &CapabilityState) -> &'static str {
    match (capability.advertised, capability.received) {
        (true, true) => "both sides",
        (true, false) => "we offer it, the neighbor does not",
        (false, true) => "the neighbor offers it, we do not",
        (false, false) => "neither side",
    }
}

fn graceful_restart(state: &GracefulRestartState) -> String {
    if !(state.advertised && state.received) {
        let (we, it) = (yes_no(state.advertised), yes_no(state.received));
        return format!("in no family: we offer it {we}, the neighbor {it}");
    }
    let theirs = or_dash(state.remote_restart_time_sec);
    let mut text = format!(
        "we ask for {} s, the neighbor for {theirs} s; end-of-RIB received {}, sent {}",
        state.local_restart_time_sec,
        yes_no(state.end_of_rib_received),
        yes_no(state.end_of_rib_sent)
    );
    if !state.notification {
        text += "; not kept across a NOTIFICATION";
    }
    if state.stale_routes > 0 {
        let left = state.stale_remaining_msec.map_or_else(|| "-".into(), duration);
        text += &format!("; {} stale routes kept for {left}", state.stale_routes);
    }
    text
}

fn messages(neighbor: &Neighbor) -> String {
    let mut table = Table::new([
        Column::Word("  Messages"),
        Column::Number("Sent"),
        Column::Number("Received"),
    ]);
    let stats = neighbor.message_stats;
    for (name, sent, received) in [
        ("    Opens", stats.opens_sent, stats.opens_recv),
        ("    Updates", stats.updates_sent, stats.updates_recv),
        ("    Keepalives", stats.keepalives_sent, stats.keepalives_recv),
        ("    Notifications", stats.notifications_sent, stats.notifications_recv),
        ("    Route refreshes", stats.route_refresh_sent, stats.route_refresh_recv),
        ("    Total", stats.total_sent, stats.total_recv),
    ] {
        table.row([name.into(), sent.to_string(), received.to_string()]);
    }
    table.render()
}
