//! Whole messages to values.
//!
//! **What comes back is either a message that can be acted on as it stands, or the NOTIFICATION
//! that ends the session; there is no third state.** What RFC 7606 lets an UPDATE's errors cost is
//! already taken off it: see [`Update`](crate::bgp::message::Update).

mod as_path;
mod attributes;
mod faults;
mod mp;
mod nlri;
mod open;
mod update;

pub use super::context::DecodeContext;
pub use faults::ERRORS_MAX;
pub use nlri::{Direction, EvpnRoutes, decode_nlri};

use super::codes::{error, header, route_refresh};
use super::error::WireError;
use super::frame::{HEADER_LENGTH, MessageType, frame, refuse};
use super::reader::Reader;
use crate::bgp::message::{Family, Message, Notification, RouteRefresh};
use bytes::Bytes;

/// Reads one whole message, header included, as [`frame`] delimits it.
///
/// Of the context an OPEN, a NOTIFICATION and a KEEPALIVE use only the length. The values keep no
/// reference to `message`: octets that outlive it are copied, so that a route never pins a buffer.
///
/// # Errors
/// The NOTIFICATION to send before the session ends (RFC 4271 section 6, RFC 7606, RFC 7313).
pub fn decode(message: &[u8], context: &DecodeContext) -> Result<Message, Notification> {
    let found = frame(message, context.length_max)?.filter(|f| f.length == message.len());
    let mut body = Reader::new(message);
    let (Some(found), Ok(_)) = (found, body.take(HEADER_LENGTH, "header")) else {
        // The caller cut it elsewhere than the length field says.
        return Err(refuse(header::BAD_LENGTH, message.get(16..18).unwrap_or_default()));
    };
    match found.kind {
        MessageType::Open => open::open(body).map(Message::Open),
        MessageType::Update => update::update(body, context).map(Message::Update),
        MessageType::Notification => {
            notification(body).map(Message::Notification).map_err(|_| cut_short(message))
        }
        MessageType::Keepalive => Ok(Message::Keepalive),
        MessageType::RouteRefresh => refresh(body, message).map(Message::RouteRefresh),
    }
}

fn notification(mut body: Reader<'_>) -> Result<Notification, WireError> {
    let code = body.u8("Error code")?;
    let subcode = body.u8("Error subcode")?;
    Ok(Notification { code, subcode, data: Bytes::copy_from_slice(body.octets()) })
}

/// A ROUTE-REFRESH. Of subtype 0 it may go on with outbound route filters (RFC 5291), which are not
/// offered and thus not read.
fn refresh(mut body: Reader<'_>, message: &[u8]) -> Result<RouteRefresh, Notification> {
    let [a, b, subtype, safi] = body.array("ROUTE-REFRESH").map_err(|_| cut_short(message))?;
    // RFC 7313 §5: begin and end of a refresh have exactly four octets.
    if matches!(subtype, 1 | 2) && !body.is_empty() {
        return Err(Notification {
            code: error::ROUTE_REFRESH,
            subcode: route_refresh::INVALID_LENGTH,
            data: Bytes::copy_from_slice(message),
        });
    }
    Ok(RouteRefresh { family: Family { afi: u16::from_be_bytes([a, b]), safi }, subtype })
}

/// The frame layer has checked the least length of each type; this is its error once more.
fn cut_short(message: &[u8]) -> Notification {
    refuse(header::BAD_LENGTH, message.get(16..18).unwrap_or_default())
}
