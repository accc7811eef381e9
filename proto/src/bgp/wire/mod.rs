//! Octets to values and back (RFC 4271 section 4, RFC 4760, RFC 7432 section 7, RFC 7606).
//!
//! Four layers, each of which trusts the one before: [`mod@frame`] finds the whole message,
//! [`mod@decode`] reads it by its type, then an UPDATE's attributes, then the routes in them;
//! [`encode`] is the way back. What a session, a table or a policy makes of it is not decided here.
//!
//! **No octets make this module panic, wait for more, or take memory out of proportion to their
//! number, and every message it writes it also reads.**
//!
//! Families that were not agreed on are not read (their syntax is checked where an error could hide
//! our routes, then they are ignored).

pub mod codes;
mod context;
pub mod decode;
pub mod encode;
pub mod error;
pub mod frame;
mod reader;

pub use context::{AsWidth, DecodeContext, EncodeContext, FamilySet, SessionKind};
pub use decode::decode;
pub use encode::{
    Shared, announce, encode_announcements, encode_attribute, encode_attributes, encode_end_of_rib,
    encode_keepalive, encode_notification, encode_open, encode_route_refresh, encode_withdrawals,
    withdraw,
};
pub use frame::{
    EXTENDED_MESSAGE_LENGTH_MAX, Frame, HEADER_LENGTH, MESSAGE_LENGTH_MAX, MessageType, frame,
};
