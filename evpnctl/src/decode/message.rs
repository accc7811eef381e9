//! Messages and what is wrong with them, as JSON.
//!
//! **The keys are stable, and `action` is there whatever the input.**

use super::attribute::{self, Attribute, as_path, family};
use super::hex;
use super::route::{RouteDoc, route};
use evpn_proto::bgp::message::{
    Capability, ForwardingPreserved, GracefulRestart, Message, Notification, Open, Update,
};
use evpn_proto::bgp::wire::decode::Inspection;
use evpn_proto::bgp::wire::error::UpdateError;
use serde::Serialize;
use serde_json::{Value, json};

/// The answer.
#[derive(Debug, Serialize)]
pub(super) struct Decoded {
    action: &'static str,
    /// Its type and fields; absent where the input is no message.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Value>,
    routes: Vec<RouteDoc>,
    withdrawn: Vec<RouteDoc>,
    attributes: Vec<Attribute>,
    errors: Vec<Problem>,
    /// What a session would answer before it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    notification: Option<Value>,
}

#[derive(Debug, Serialize)]
struct Problem {
    offset: u16,
    field: &'static str,
    reason: String,
    action: &'static str,
}

/// What was found, as it is shown.
pub(super) fn decoded(seen: &Inspection) -> Decoded {
    Decoded {
        action: seen.action.word(),
        message: message(seen),
        routes: seen.routes.iter().map(route).collect(),
        withdrawn: seen.withdrawn.iter().map(route).collect(),
        attributes: seen.attributes.iter().map(attribute::attribute).collect(),
        errors: seen.errors.iter().map(problem).collect(),
        notification: seen.notification.as_ref().map(notification),
    }
}

fn problem(error: &UpdateError) -> Problem {
    Problem {
        offset: error.error.offset,
        field: error.error.field,
        reason: error.error.kind.to_string(),
        action: error.action.word(),
    }
}

fn message(seen: &Inspection) -> Option<Value> {
    let name = match seen.message_type? {
        1 => json!("OPEN"),
        2 => json!("UPDATE"),
        3 => json!("NOTIFICATION"),
        4 => json!("KEEPALIVE"),
        5 => json!("ROUTE-REFRESH"),
        other => json!(other),
    };
    let mut shown = match &seen.message {
        Some(Message::Open(sent)) => open(sent),
        Some(Message::Update(sent)) => update(sent),
        Some(Message::Notification(sent)) => notification(sent),
        Some(Message::RouteRefresh(sent)) => json!({
            "family": family(sent.family),
            "afi": sent.family.afi,
            "safi": sent.family.safi,
            "subtype": sent.subtype,
        }),
        Some(Message::Keepalive) | None => json!({}),
    };
    shown["type"] = name;
    Some(shown)
}

fn open(open: &Open) -> Value {
    let capabilities: Value = open.capabilities.iter().map(capability).collect();
    json!({
        "version": 4,
        "as": open.asn.0,
        "hold-time": open.hold_time.as_secs(),
        "router-id": open.router_id,
        "capabilities": capabilities,
    })
}

fn capability(capability: &Capability) -> Value {
    match capability {
        Capability::Multiprotocol(of) => {
            json!({ "name": "multiprotocol", "family": family(*of), "afi": of.afi, "safi": of.safi })
        }
        Capability::RouteRefresh => json!({ "name": "route-refresh" }),
        Capability::ExtendedMessage => json!({ "name": "extended-message" }),
        Capability::GracefulRestart(restart) => graceful_restart(restart),
        Capability::FourOctetAs(asn) => json!({ "name": "four-octet-as", "as": asn.0 }),
        Capability::Role(role) => json!({ "name": "role", "role": role.word() }),
        Capability::EnhancedRouteRefresh => json!({ "name": "enhanced-route-refresh" }),
        Capability::ExtendedNextHop(families) => {
            let families = families.iter().map(|(of, next_hop_afi)| {
                json!({ "afi": of.afi, "safi": of.safi, "next-hop-afi": next_hop_afi })
            });
            json!({ "name": "extended-next-hop", "families": families.collect::<Vec<_>>() })
        }
        Capability::AddPath(families) => {
            let families = families.iter().map(|(of, mode)| {
                let (receive, send) = (mode.receives(), mode.sends());
                json!({ "afi": of.afi, "safi": of.safi, "receive": receive, "send": send })
            });
            json!({ "name": "add-path", "families": families.collect::<Vec<_>>() })
        }
        Capability::Unknown { code, value } => {
            json!({ "code": code, "hex": hex::text(value) })
        }
    }
}

fn graceful_restart(restart: &GracefulRestart) -> Value {
    let shown = |(of, preserved): &(_, ForwardingPreserved)| {
        let preserved = *preserved == ForwardingPreserved::Yes;
        json!({ "family": family(*of), "forwarding-preserved": preserved })
    };
    let families: Value = restart.families.iter().map(shown).collect();
    json!({
        "name": "graceful-restart",
        "restarting": restart.restarting,
        "notification": restart.notification,
        "restart-time": restart.restart_time.as_secs(),
        "families": families,
    })
}

/// What an UPDATE says beside its routes and single attributes: the path after AS4_PATH has been
/// merged into it (RFC 6793 section 4.2.3), and whether it ends a table.
fn update(update: &Update) -> Value {
    let mut shown = json!({ "end-of-rib": update.end_of_rib.map(family) });
    if let Some(attributes) = &update.attributes {
        shown["as-path"] = json!(as_path(&attributes.as_path));
        shown["next-hop"] = json!(attributes.next_hop);
    }
    shown
}

fn notification(notification: &Notification) -> Value {
    json!({
        "code": notification.code,
        "subcode": notification.subcode,
        "data": hex::text(&notification.data),
    })
}
