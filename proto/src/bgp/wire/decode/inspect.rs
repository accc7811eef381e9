//! Octets looked at from outside a session: everything that they say and everything that is wrong
//! with them, for `evpnctl decode` and for tests.
//!
//! **The verdict is that of the code that sessions run; only the telling is more.** Nothing here is
//! on a session's path.

use super::attributes::next;
use super::faults::{Faults, Refusal};
use super::nlri::{Direction, PathIds, Run, routes};
use super::update::{fields, update};
use super::value::{known_name, value};
use super::{TYPE_AT, read};
use crate::bgp::attributes::AttributeValue;
use crate::bgp::message::{Message, Notification, Update};
use crate::bgp::wire::codes;
use crate::bgp::wire::error::{Action, ErrorKind, UpdateError, WireError};
use crate::bgp::wire::frame::{HEADER_LENGTH, MessageType};
use crate::bgp::wire::reader::Reader;
use crate::bgp::wire::{DecodeContext, FamilySet, SessionKind};
use crate::types::{Family, Route};
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
    /// Routes that are announced, after what the errors took away.
    pub routes: Vec<SeenRoute>,
    /// Routes that are withdrawn, those included that an error withdraws.
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
    let context = &with_path_ids(context, path_ids);
    let read = read(octets, context, &mut faults).and_then(|m| agreeable(m, octets, context));
    let mut seen =
        Inspection { message_type: octets.get(TYPE_AT).copied(), ..Inspection::default() };
    let mut body = Reader::new(octets);
    // A message that is cut off is looked at as far as it goes, unless it is none at all.
    let is_update = seen.message_type == Some(MessageType::Update as u8);
    if body.take(HEADER_LENGTH, "header").is_ok() && is_update {
        seen.attributes = attributes(body, context);
    }
    settle(&mut seen, read, faults, (body, context));
    seen
}

/// Looks at the body of an UPDATE: a message without its header.
pub fn inspect_update(octets: &[u8], context: &DecodeContext, path_ids: PathIds) -> Inspection {
    let mut faults = Faults::default();
    let body = Reader::new(octets);
    let context = &with_path_ids(context, path_ids);
    let read = update(body, context, &mut faults).map(Message::Update);
    let mut seen = Inspection {
        message_type: Some(MessageType::Update as u8),
        attributes: attributes(body, context),
        ..Inspection::default()
    };
    settle(&mut seen, read, faults, (body, context));
    seen
}

/// Looks at a run of NLRI as it stands in MP_REACH_NLRI of a family.
pub fn inspect_nlri(octets: &[u8], family: Family, path_ids: PathIds) -> Inspection {
    let run = Run { rest: Reader::new(octets), family, path_ids };
    let mut seen = Inspection::default();
    match routes(run, Direction::Announced) {
        Ok(found) => {
            (seen.action, seen.errors) = (found.action, found.errors);
            seen.share_out(run, &found.announced);
        }
        // RFC 7606 §5.3 and §2: where the next route begins cannot be told any more.
        Err(error) => {
            let action = Action::DisableAfiSafi;
            (seen.action, seen.errors) = (action, vec![UpdateError { error, action }]);
        }
    }
    seen
}

/// What a session refuses of an OPEN whatever its own configuration (RFC 9234 section 4.2).
fn agreeable(message: Message, octets: &[u8], context: &DecodeContext) -> Result<Message, Refusal> {
    let roles = match &message {
        Message::Open(open) if context.session == SessionKind::External => open.two_roles(),
        _ => None,
    };
    let Some((_, other)) = roles else { return Ok(message) };
    let kind = ErrorKind::BadValue(other.into());
    let error = Reader::new(octets).after(HEADER_LENGTH).error("second role", kind);
    let (code, subcode, data) = (codes::error::OPEN, codes::open::ROLE_MISMATCH, Bytes::new());
    Err(Refusal { notification: Notification { code, subcode, data }, error })
}

/// Takes over the verdict.
fn settle(
    seen: &mut Inspection,
    read: Result<Message, Refusal>,
    faults: Faults,
    (body, context): (Reader<'_>, &DecodeContext),
) {
    match read {
        Ok(Message::Update(update)) => {
            (seen.action, seen.errors) = (update.action, update.errors.clone());
            if update.action < Action::DisableAfiSafi {
                seen.take_routes(&update, body, context);
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

/// As a session would read it that has agreed on path identifiers for every family, or for none.
fn with_path_ids(context: &DecodeContext, path_ids: PathIds) -> DecodeContext {
    let add_path = match path_ids {
        PathIds::Absent => context.add_path,
        PathIds::Present => FamilySet::ALL,
    };
    DecodeContext { add_path, ..context.clone() }
}

impl Inspection {
    fn take_routes(&mut self, update: &Update, body: Reader<'_>, context: &DecodeContext) {
        let nlri = |wanted: fn(&AttributeValue) -> Option<(Family, Bytes)>| {
            let mut values = self.attributes.iter().filter_map(|a| a.value.as_ref().ok()?.as_ref());
            values.find_map(wanted).filter(|(family, _)| context.families.contains(*family))
        };
        let reach = nlri(|value| match value {
            AttributeValue::MpReach { family, nlri, .. } => Some((*family, nlri.clone())),
            _ => None,
        });
        let unreach = nlri(|value| match value {
            AttributeValue::MpUnreach { family, nlri } => Some((*family, nlri.clone())),
            _ => None,
        });
        let run = |family, rest| Run { rest, family, path_ids: PathIds::of(family, context) };
        let classic = Family::IPV4_UNICAST;
        let fields = fields(body).ok().filter(|_| context.families.contains(classic));
        if let Some(fields) = &fields {
            let gone = run(classic, fields.withdrawn);
            self.withdrawn.extend(seen_routes(gone, Direction::Withdrawn));
        }
        if let Some((family, octets)) = &unreach {
            let gone = run(*family, Reader::new(octets));
            self.withdrawn.extend(seen_routes(gone, Direction::Withdrawn));
        }
        if let Some(fields) = &fields {
            let announced = update.classic.as_ref().map(|classic| classic.announced.as_slice());
            self.share_out(run(classic, fields.nlri), announced.unwrap_or_default());
        }
        if let Some((family, octets)) = &reach {
            self.share_out(run(*family, Reader::new(octets)), &update.announced);
        }
    }

    /// Sorts the routes of a run into those that stand and those that an error withdraws.
    fn share_out(&mut self, run: Run<'_>, announced: &[Route]) {
        let mut announced = announced.iter().peekable();
        for seen in seen_routes(run, Direction::Announced) {
            if announced.next_if(|route| **route == seen.route).is_some() {
                self.routes.push(seen);
            } else {
                self.withdrawn.push(seen);
            }
        }
    }
}

/// The routes of a run that are well formed.
fn seen_routes(run: Run<'_>, direction: Direction) -> impl Iterator<Item = SeenRoute> {
    run.filter_map(move |item| {
        let item = item.ok()?;
        Some(SeenRoute { path_id: item.path_id, route: item.route(direction).ok()? })
    })
}

/// Every attribute of an UPDATE's body, up to where the list breaks off.
fn attributes(body: Reader<'_>, context: &DecodeContext) -> Vec<SeenAttribute> {
    let Some(mut list) = fields(body).ok().map(|fields| fields.attributes) else {
        return Vec::new();
    };
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
