//! Whole messages to values.
//!
//! **What comes back is either a message that can be acted on as it stands, or the NOTIFICATION
//! that ends the session; there is no third state.** What RFC 7606 lets an UPDATE's errors cost is
//! already taken off it: see [`Update`](crate::bgp::message::Update).

mod as_path;
mod attributes;
mod faults;
mod inspect;
mod mp;
mod multicast;
mod nlri;
mod open;
mod prefix;
mod update;
mod value;

pub use super::context::DecodeContext;
pub use faults::ERRORS_MAX;
pub use inspect::{
    Inspection, SeenAttribute, SeenRoute, inspect_message, inspect_nlri, inspect_update,
};
pub use nlri::{Direction, PathIds, Routes, decode_nlri};
pub use value::relayed;

use super::codes::{error, header, route_refresh};
use super::error::{ErrorKind, WireError};
use super::frame::{HEADER_LENGTH, MessageType, frame, refuse};
use super::reader::Reader;
use crate::bgp::message::{Family, Message, Notification, RouteRefresh};
use bytes::Bytes;
use faults::{Faults, Refusal};

/// Where the header says how long the message is, and of what type.
const LENGTH_AT: usize = 16;
const TYPE_AT: usize = 18;

/// Reads one whole message, header included, as [`frame`] delimits it.
///
/// Of the context an OPEN, a NOTIFICATION and a KEEPALIVE use only the length. The values keep no
/// reference to `message`: octets that outlive it are copied, so that a route never pins a buffer.
///
/// # Errors
/// The NOTIFICATION to send before the session ends (RFC 4271 section 6, RFC 7606, RFC 7313).
pub fn decode(message: &[u8], context: &DecodeContext) -> Result<Message, Notification> {
    read(message, context, &mut Faults::default()).map_err(|refusal| refusal.notification)
}

/// As [`decode`], and tells what is wrong and where.
fn read(message: &[u8], context: &DecodeContext, faults: &mut Faults) -> Result<Message, Refusal> {
    let whole = Reader::new(message);
    let found = frame(message, context.length_max).map_err(|n| of_header(n, whole))?;
    let mut body = whole;
    let (Some(found), Ok(_)) =
        (found.filter(|f| f.length == message.len()), body.take(HEADER_LENGTH, "header"))
    else {
        // The caller cut it elsewhere than the length field says.
        return Err(cut_elsewhere(whole));
    };
    match found.kind {
        MessageType::Open => open::open(body).map(Message::Open),
        MessageType::Update => update::update(body, context, faults).map(Message::Update),
        MessageType::Notification => {
            notification(body).map(Message::Notification).map_err(|error| cut_short(message, error))
        }
        MessageType::Keepalive => Ok(Message::Keepalive),
        MessageType::RouteRefresh => refresh(body, message).map(Message::RouteRefresh),
    }
}

/// What is wrong with a header, by the NOTIFICATION that answers it.
fn of_header(notification: Notification, whole: Reader<'_>) -> Refusal {
    let value = notification.data.iter().fold(0, |v, octet| (v << 8) | u32::from(*octet));
    let error = match notification.subcode {
        header::NOT_SYNCHRONIZED => whole.error("marker", ErrorKind::Conflict),
        header::BAD_LENGTH => {
            whole.after(LENGTH_AT).error("message length", ErrorKind::BadValue(value))
        }
        _ => whole.after(TYPE_AT).error("message type", ErrorKind::BadValue(value)),
    };
    Refusal { notification, error }
}

fn cut_elsewhere(whole: Reader<'_>) -> Refusal {
    let at = whole.after(LENGTH_AT);
    let told = { at }.u16("message length").map_or(HEADER_LENGTH, usize::from);
    let error = match { whole }.take(told, "message") {
        Err(truncated) => truncated,
        Ok(_) => whole.after(told).bad_length("octets after the message"),
    };
    cut_short(whole.octets(), error)
}

fn notification(mut body: Reader<'_>) -> Result<Notification, WireError> {
    let code = body.u8("Error code")?;
    let subcode = body.u8("Error subcode")?;
    Ok(Notification { code, subcode, data: Bytes::copy_from_slice(body.octets()) })
}

/// A ROUTE-REFRESH. Of subtype 0 it may go on with outbound route filters (RFC 5291), which are not
/// offered and thus not read.
fn refresh(mut body: Reader<'_>, message: &[u8]) -> Result<RouteRefresh, Refusal> {
    let [a, b, subtype, safi] =
        body.array("ROUTE-REFRESH").map_err(|error| cut_short(message, error))?;
    // RFC 7313 §5: begin and end of a refresh have exactly four octets.
    if matches!(subtype, 1 | 2) && !body.is_empty() {
        let notification = Notification {
            code: error::ROUTE_REFRESH,
            subcode: route_refresh::INVALID_LENGTH,
            data: Bytes::copy_from_slice(message),
        };
        return Err(Refusal { notification, error: body.bad_length("ROUTE-REFRESH") });
    }
    Ok(RouteRefresh { family: Family { afi: u16::from_be_bytes([a, b]), safi }, subtype })
}

/// The frame layer has checked the least length of each type; this is its error once more.
fn cut_short(message: &[u8], error: WireError) -> Refusal {
    let data = message.get(LENGTH_AT..TYPE_AT).unwrap_or_default();
    Refusal { notification: refuse(header::BAD_LENGTH, data), error }
}
