//! NOTIFICATION messages: made, wrapped as hard resets, and told in words.
//!
//! **Whatever a neighbor writes into one is shown escaped: it never reaches a terminal as it came.**

use crate::bgp::message::Notification;
use bytes::Bytes;

/// Error codes (RFC 4271 section 4.5, RFC 9687).
pub(super) mod code {
    pub(in super::super) const MESSAGE_HEADER: u8 = 1;
    pub(in super::super) const OPEN: u8 = 2;
    pub(in super::super) const UPDATE: u8 = 3;
    pub(in super::super) const HOLD_TIMER: u8 = 4;
    pub(in super::super) const FSM: u8 = 5;
    pub(in super::super) const CEASE: u8 = 6;
    pub(in super::super) const ROUTE_REFRESH: u8 = 7;
    pub(in super::super) const SEND_HOLD_TIMER: u8 = 8;
}

/// Subcodes of an OPEN error (RFC 4271 section 4.5).
pub(super) mod open {
    pub(in super::super) const BAD_PEER_AS: u8 = 2;
    pub(in super::super) const BAD_IDENTIFIER: u8 = 3;
    pub(in super::super) const BAD_HOLD_TIME: u8 = 6;
    pub(in super::super) const ROLE_MISMATCH: u8 = 11;
}

/// Subcodes of Cease (RFC 4486, RFC 8538, RFC 9384).
pub(super) mod cease {
    pub(in super::super) const UNSPECIFIC: u8 = 0;
    pub(in super::super) const MAXIMUM_PREFIXES: u8 = 1;
    pub(in super::super) const ADMIN_SHUTDOWN: u8 = 2;
    pub(in super::super) const DECONFIGURED: u8 = 3;
    pub(in super::super) const ADMIN_RESET: u8 = 4;
    pub(in super::super) const REJECTED: u8 = 5;
    pub(in super::super) const CONFIG_CHANGE: u8 = 6;
    pub(in super::super) const COLLISION: u8 = 7;
    pub(in super::super) const OUT_OF_RESOURCES: u8 = 8;
    pub(in super::super) const HARD_RESET: u8 = 9;
    pub(in super::super) const BFD_DOWN: u8 = 10;
}

/// The longest shutdown communication (RFC 9003 section 2): one octet tells its length.
pub const SHUTDOWN_TEXT_OCTETS_MAX: usize = 255;

/// A NOTIFICATION without data.
pub(super) const fn plain(code: u8, subcode: u8) -> Notification {
    Notification { code, subcode, data: Bytes::new() }
}

/// A Cease with a shutdown communication (RFC 9003), cut at a character if it is too long. No text
/// is no data, which those who know only RFC 4486 expect.
pub(super) fn cease_with_text(subcode: u8, text: &str) -> Notification {
    let cut = (0..=SHUTDOWN_TEXT_OCTETS_MAX.min(text.len())).rev();
    let text = cut.into_iter().find_map(|end| text.get(..end)).unwrap_or_default();
    let data = match u8::try_from(text.len()) {
        Ok(length @ 1..) => [&[length], text.as_bytes()].concat(),
        Ok(0) | Err(_) => Vec::new(),
    };
    Notification { code: code::CEASE, subcode, data: data.into() }
}

/// The text of an Administrative Shutdown or Reset, if it holds one that is well formed.
pub fn shutdown_text(notification: &Notification) -> Option<String> {
    communication(notification)?.ok().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The shutdown communication of an Administrative Shutdown or Reset, if there is one; where it is
/// not well formed, its octets.
fn communication(notification: &Notification) -> Option<Result<&str, &[u8]>> {
    let spoken = notification.code == code::CEASE
        && matches!(notification.subcode, cease::ADMIN_SHUTDOWN | cease::ADMIN_RESET);
    let (length, rest) = notification.data.split_first().filter(|_| spoken)?;
    let text = rest.get(..usize::from(*length)).and_then(|text| std::str::from_utf8(text).ok());
    Some(text.ok_or(&notification.data))
}

/// What was said, escaped: neither a control character nor one that turns the direction of writing
/// comes through. RFC 9003 §4: of what is not well formed the operator hears too, in hexadecimal.
fn said(notification: &Notification) -> Option<String> {
    Some(match communication(notification)? {
        Ok("") => return None,
        Ok(text) => format!(" {text:?}"),
        Err(octets) => {
            let hex: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
            format!(" with a shutdown communication that is not well formed: {hex}")
        }
    })
}

/// Wraps a NOTIFICATION so that a neighbor that keeps our routes upon NOTIFICATIONs drops them
/// (RFC 8538 section 3.1).
pub(super) fn hard_reset(inner: &Notification) -> Notification {
    let data = [&[inner.code, inner.subcode], inner.data.as_ref()].concat();
    Notification { code: code::CEASE, subcode: cease::HARD_RESET, data: data.into() }
}

/// Whether it is a hard reset.
pub(super) const fn is_hard_reset(notification: &Notification) -> bool {
    notification.code == code::CEASE && notification.subcode == cease::HARD_RESET
}

/// What a NOTIFICATION is about: what a hard reset wraps, or itself.
pub fn meaning(notification: &Notification) -> Notification {
    unwrap_hard_reset(notification).unwrap_or_else(|| notification.clone())
}

/// What a hard reset wraps, if it says so.
fn unwrap_hard_reset(notification: &Notification) -> Option<Notification> {
    match notification.data.get(..2)? {
        [code, subcode] if is_hard_reset(notification) => {
            let data = notification.data.slice(2..);
            Some(Notification { code: *code, subcode: *subcode, data })
        }
        _ => None,
    }
}

/// It in words: `Cease/Administrative Shutdown (6/2) "rack 7 moves"`.
pub fn describe(notification: &Notification) -> String {
    let numbers = (notification.code, notification.subcode);
    let name = match subcode_name(numbers.0, numbers.1) {
        Some(subcode) => format!("{}/{subcode}", code_name(numbers.0)),
        None => code_name(numbers.0).to_owned(),
    };
    let inner = unwrap_hard_reset(notification);
    let wrapped = inner.as_ref().map(|inner| {
        let (code, subcode) = (inner.code, inner.subcode);
        let name = subcode_name(code, subcode).unwrap_or_else(|| code_name(code));
        format!(" of {name} ({code}/{subcode})")
    });
    let spoken = said(inner.as_ref().unwrap_or(notification));
    let (wrapped, spoken) = (wrapped.unwrap_or_default(), spoken.unwrap_or_default());
    format!("{name} ({}/{}){wrapped}{spoken}", numbers.0, numbers.1)
}

/// What to do about one that the neighbor sent, where that can be said.
pub(super) const fn remedy(notification: &Notification) -> Option<&'static str> {
    match (notification.code, notification.subcode) {
        (code::OPEN, open::BAD_PEER_AS) => {
            Some("correct our AS or the one that the neighbor has configured for us")
        }
        (code::OPEN, open::BAD_IDENTIFIER) => {
            Some("give each router a router id that no other has")
        }
        (code::OPEN, open::BAD_HOLD_TIME) => {
            Some("the neighbor wants a longer hold time: raise ours")
        }
        (code::OPEN, open::ROLE_MISMATCH) => {
            Some("`role` here and the neighbor's role for us must be each other's opposite")
        }
        (code::OPEN, 7) => Some("the neighbor demands a capability that we do not offer"),
        (code::HOLD_TIMER, _) => {
            Some("nothing of ours reached the neighbor: check the path and its MTU")
        }
        (code::CEASE, cease::ADMIN_SHUTDOWN) => {
            Some("it comes up when the neighbor's operator says so")
        }
        (code::CEASE, cease::DECONFIGURED | cease::REJECTED) => {
            Some("the neighbor does not have us configured, or is not ready")
        }
        (code::CEASE, cease::MAXIMUM_PREFIXES) => {
            Some("we announce more routes than the neighbor accepts: raise its limit")
        }
        _ => None,
    }
}

const fn code_name(code: u8) -> &'static str {
    match code {
        code::MESSAGE_HEADER => "Message Header Error",
        code::OPEN => "OPEN Message Error",
        code::UPDATE => "UPDATE Message Error",
        code::HOLD_TIMER => "Hold Timer Expired",
        code::FSM => "Finite State Machine Error",
        code::CEASE => "Cease",
        code::ROUTE_REFRESH => "ROUTE-REFRESH Message Error",
        code::SEND_HOLD_TIMER => "Send Hold Timer Expired",
        _ => "unknown error",
    }
}

/// IANA "BGP Error Subcodes"; none for 0 and for what is not known.
const fn subcode_name(code: u8, subcode: u8) -> Option<&'static str> {
    Some(match (code, subcode) {
        (code::MESSAGE_HEADER, 1) => "Connection Not Synchronized",
        (code::MESSAGE_HEADER, 2) => "Bad Message Length",
        (code::MESSAGE_HEADER, 3) => "Bad Message Type",
        (code::OPEN, 1) => "Unsupported Version Number",
        (code::OPEN, open::BAD_PEER_AS) => "Bad Peer AS",
        (code::OPEN, open::BAD_IDENTIFIER) => "Bad BGP Identifier",
        (code::OPEN, 4) => "Unsupported Optional Parameter",
        (code::OPEN, open::BAD_HOLD_TIME) => "Unacceptable Hold Time",
        (code::OPEN, 7) => "Unsupported Capability",
        (code::OPEN, open::ROLE_MISMATCH) => "Role Mismatch",
        (code::UPDATE, 1) => "Malformed Attribute List",
        (code::UPDATE, 2) => "Unrecognized Well-known Attribute",
        (code::UPDATE, 3) => "Missing Well-known Attribute",
        (code::UPDATE, 4) => "Attribute Flags Error",
        (code::UPDATE, 5) => "Attribute Length Error",
        (code::UPDATE, 6) => "Invalid ORIGIN Attribute",
        (code::UPDATE, 8) => "Invalid NEXT_HOP Attribute",
        (code::UPDATE, 9) => "Optional Attribute Error",
        (code::UPDATE, 10) => "Invalid Network Field",
        (code::UPDATE, 11) => "Malformed AS_PATH",
        (code::FSM, 1) => "Unexpected Message in OpenSent",
        (code::FSM, 2) => "Unexpected Message in OpenConfirm",
        (code::FSM, 3) => "Unexpected Message in Established",
        (code::CEASE, cease::MAXIMUM_PREFIXES) => "Maximum Number of Prefixes Reached",
        (code::CEASE, cease::ADMIN_SHUTDOWN) => "Administrative Shutdown",
        (code::CEASE, cease::DECONFIGURED) => "Peer De-configured",
        (code::CEASE, cease::ADMIN_RESET) => "Administrative Reset",
        (code::CEASE, cease::REJECTED) => "Connection Rejected",
        (code::CEASE, cease::CONFIG_CHANGE) => "Other Configuration Change",
        (code::CEASE, cease::COLLISION) => "Connection Collision Resolution",
        (code::CEASE, cease::OUT_OF_RESOURCES) => "Out of Resources",
        (code::CEASE, cease::HARD_RESET) => "Hard Reset",
        (code::CEASE, cease::BFD_DOWN) => "BFD Down",
        (code::ROUTE_REFRESH, 1) => "Invalid Message Length",
        _ => return None,
    })
}
