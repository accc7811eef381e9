//! Octets looked at from outside a session: everything that they say and everything that is wrong
//! with them, for `evpnctl decode` and for tests.
//!
//! **The verdict is that of the code that sessions run; only the telling is more.** Nothing here is
//! on a session's path.

use super::attributes::next;
use super::faults::{Faults, Refusal};
use super::nlri::{Direction, PathIds, Run, route, routes};
use super::update::{attributes_of, update};
use super::value::{known_name, value};
use super::{TYPE_AT, read};
use crate::bgp::attributes::AttributeValue;
use crate::bgp::message::{Family, Message, Notification, Update};
use crate::bgp::wire::DecodeContext;
use crate::bgp::wire::error::{Action, UpdateError, WireError};
use crate::bgp::wire::frame::{HEADER_LENGTH, MessageType};
use crate::bgp::wire::reader::Reader;
use crate::types::Route;
use bytes::Bytes;

/// What octets say, and what a session would make of them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Inspection {
    /// The worst that anything in them demands.
    pub action: Action,
    /// What is wrong, in the order found; at most [`ERRORS_MAX`](super::ERRORS_MAX), and one more
    /// for which the session ends.
    pub errors: Vec<UpdateError>,
    /// The type in the header of a message, whether or not it is one that is known.
    pub message_type: Option<u8>,
    /// The message as a session takes it. None where it ends the session, or where the input is no
    /// message.
    pub message: Option<Message>,
    /// What a session answers before it ends.
    pub notification: Option<Notification>,
    /// Every attribute in the order sent, those with errors included.
    pub attributes: Vec<SeenAttribute>,
    /// EVPN routes that are announced, after what the errors took away.
    pub routes: Vec<SeenRoute>,
    /// EVPN routes that are withdrawn, those included that an error withdraws.
    pub withdrawn: Vec<SeenRoute>,
}

/// A route with what a run of NLRI says around it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SeenRoute {
    /// Its path identifier (RFC 7911), where there are any.
    pub path_id: Option<u32>,
    /// The route, labels included also where it is withdrawn.
    pub route: Route,
}

/// An attribute as it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SeenAttribute {
    /// All of its flags.
    pub flags: u8,
    /// Its code.
    pub code: u8,
    /// Its name, if the code is known.
    pub name: Option<&'static str>,
    /// What it says; none where the code is not known.
    pub value: Result<Option<AttributeValue>, WireError>,
    /// The octets of its value.
    pub octets: Bytes,
}

/// Looks at a whole message, header included.
pub fn inspect_message(octets: &[u8], context: &DecodeContext, path_ids: PathIds) -> Inspection {
    let mut faults = Faults::default();
    let read = read(octets, context, path_ids, &mut faults);
    let mut seen =
        Inspection { message_type: octets.get(TYPE_AT).copied(), ..Inspection::default() };
    let mut body = Reader::new(octets);
    // A message that is cut off is looked at as far as it goes, unless it is none at all.
    let is_update = seen.message_type == Some(MessageType::Update as u8);
    if body.take(HEADER_LENGTH, "header").is_ok() && is_update {
        seen.attributes = attributes(body, context);
    }
    settle(&mut seen, read, faults, path_ids);
    seen
}

/// Looks at the body of an UPDATE: a message without its header.
pub fn inspect_update(octets: &[u8], context: &DecodeContext, path_ids: PathIds) -> Inspection {
    let mut faults = Faults::default();
    let body = Reader::new(octets);
    let read = update(body, context, path_ids, &mut faults).map(Message::Update);
    let mut seen = Inspection {
        message_type: Some(MessageType::Update as u8),
        attributes: attributes(body, context),
        ..Inspection::default()
    };
    settle(&mut seen, read, faults, path_ids);
    seen
}

/// Looks at a run of NLRI as it stands in MP_REACH_NLRI of family 25/70.
pub fn inspect_nlri(octets: &[u8], path_ids: PathIds) -> Inspection {
    let run = Reader::new(octets);
    let mut seen = Inspection::default();
    match routes(run, Direction::Announced, path_ids) {
        Ok(found) => {
            (seen.action, seen.errors) = (found.action, found.errors);
            seen.share_out(octets, path_ids, &found.announced);
        }
        // RFC 7606 §5.3 and §2: where the next route begins cannot be told any more.
        Err(error) => {
            let action = Action::DisableAfiSafi;
            (seen.action, seen.errors) = (action, vec![UpdateError { error, action }]);
        }
    }
    seen
}

/// Takes over the verdict.
fn settle(
    seen: &mut Inspection,
    read: Result<Message, Refusal>,
    faults: Faults,
    path_ids: PathIds,
) {
    match read {
        Ok(Message::Update(update)) => {
            (seen.action, seen.errors) = (update.action, update.errors.clone());
            if update.action < Action::DisableAfiSafi {
                seen.take_routes(&update, path_ids);
            }
            seen.message = Some(Message::Update(update));
        }
        Ok(message) => seen.message = Some(message),
        Err(Refusal { notification, error }) => {
            let action = Action::ResetSession;
            seen.errors = faults.errors;
            // An error that was noted and then found to be fatal is told once.
            seen.errors.retain(|noted| noted.error != error);
            seen.errors.push(UpdateError { error, action });
            (seen.action, seen.notification) = (action, Some(notification));
        }
    }
}

impl Inspection {
    fn take_routes(&mut self, update: &Update, path_ids: PathIds) {
        let octets = |wanted: fn(&AttributeValue) -> Option<Bytes>| {
            let mut values = self.attributes.iter().filter_map(|a| a.value.as_ref().ok()?.as_ref());
            values.find_map(wanted).unwrap_or_default()
        };
        let reach = octets(|value| match value {
            AttributeValue::MpReach { family: Family::EVPN, nlri, .. } => Some(nlri.clone()),
            _ => None,
        });
        let unreach = octets(|value| match value {
            AttributeValue::MpUnreach { family: Family::EVPN, nlri } => Some(nlri.clone()),
            _ => None,
        });
        if !update.withdrawn.is_empty() {
            self.withdrawn = seen_routes(&unreach, Direction::Withdrawn, path_ids).collect();
        }
        if !(update.announced.is_empty() && update.withdrawn.is_empty()) {
            self.share_out(&reach, path_ids, &update.announced);
        }
    }

    /// Sorts the routes of MP_REACH_NLRI into those that stand and those that an error withdraws.
    fn share_out(&mut self, octets: &[u8], path_ids: PathIds, announced: &[Route]) {
        let mut announced = announced.iter().peekable();
        for seen in seen_routes(octets, Direction::Announced, path_ids) {
            if announced.next_if(|route| **route == seen.route).is_some() {
                self.routes.push(seen);
            } else {
                self.withdrawn.push(seen);
            }
        }
    }
}

/// The routes of a run that are well formed.
fn seen_routes(
    octets: &[u8],
    direction: Direction,
    path_ids: PathIds,
) -> impl Iterator<Item = SeenRoute> {
    let run = Run { rest: Reader::new(octets), path_ids };
    run.filter_map(move |item| {
        let item = item.ok()?;
        let route = route(item.route_type, item.body, direction).ok()?;
        Some(SeenRoute { path_id: item.path_id, route })
    })
}

/// Every attribute of an UPDATE's body, up to where the list breaks off.
fn attributes(body: Reader<'_>, context: &DecodeContext) -> Vec<SeenAttribute> {
    let Some(mut list) = attributes_of(body) else { return Vec::new() };
    let mut seen = Vec::new();
    while !list.is_empty() {
        let Ok(attribute) = next(&mut list) else { break };
        seen.push(SeenAttribute {
            flags: attribute.flags,
            code: attribute.code,
            name: known_name(attribute.code),
            value: value(attribute.code, attribute.value, context),
            octets: Bytes::copy_from_slice(attribute.value.octets()),
        });
    }
    seen
}
