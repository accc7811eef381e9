//! Values to whole messages.
//!
//! **Every length is known before the first octet is written, and no message is longer than the
//! neighbour takes.** What a neighbour should be told (LOCAL_PREF to whom, which path) is the
//! caller's to decide: a value is written as it is.

mod attributes;
mod multicast;
mod nlri;
mod open;
mod update;
mod value;

pub use super::context::EncodeContext;
pub use super::error::EncodeError;
pub use attributes::encode_attributes;
pub use open::encode_open;
pub use update::{
    Shared, announce, encode_announcements, encode_end_of_rib, encode_withdrawals, withdraw,
};
pub use value::encode_attribute;

use super::frame::{HEADER_LENGTH, MARKER, MESSAGE_LENGTH_MAX, MessageType};
use crate::bgp::message::{Notification, RouteRefresh};
use bytes::{BufMut, Bytes, BytesMut};

/// A KEEPALIVE (RFC 4271 section 4.4).
pub fn encode_keepalive() -> Bytes {
    message(MessageType::Keepalive, 0).freeze()
}

/// A NOTIFICATION (RFC 4271 section 4.5). Its data is cut where the message would exceed 4096
/// octets: that much is always allowed.
pub fn encode_notification(notification: &Notification) -> Bytes {
    const DATA_MAX: usize = MESSAGE_LENGTH_MAX - HEADER_LENGTH - 2;
    let data = notification.data.get(..DATA_MAX).unwrap_or(&notification.data);
    let mut out = message(MessageType::Notification, 2 + data.len());
    out.put_slice(&[notification.code, notification.subcode]);
    out.put_slice(data);
    out.freeze()
}

/// A ROUTE-REFRESH (RFC 2918 section 3).
pub fn encode_route_refresh(refresh: &RouteRefresh) -> Bytes {
    let mut out = message(MessageType::RouteRefresh, 4);
    out.put_u16(refresh.family.afi);
    out.put_slice(&[refresh.subtype, refresh.family.safi]);
    out.freeze()
}

/// A buffer that holds the header of a message with `body` octets to come.
fn message(kind: MessageType, body: usize) -> BytesMut {
    let mut out = BytesMut::with_capacity(HEADER_LENGTH.saturating_add(body));
    put_header(&mut out, kind, HEADER_LENGTH.saturating_add(body));
    out
}

fn put_header(out: &mut BytesMut, kind: MessageType, length: usize) {
    out.put_slice(&MARKER);
    out.put_u16(bounded(length));
    out.put_u8(kind as u8);
}

/// A length that its caller has already kept within 16 bits.
fn bounded(length: usize) -> u16 {
    debug_assert!(u16::try_from(length).is_ok(), "{length} octets were not kept within 16 bits");
    u16::try_from(length).unwrap_or(u16::MAX)
}
