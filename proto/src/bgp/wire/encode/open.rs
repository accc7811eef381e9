//! OPEN messages (RFC 4271 section 4.2, RFC 5492, RFC 9072).
//!
//! **All capabilities go into one optional parameter, in the extended form only where the short one
//! cannot hold them.**

use super::{bounded, message};
use crate::bgp::message::{Capability, ForwardingPreserved, GracefulRestart, Open};
use crate::bgp::wire::codes::capability as code;
use crate::bgp::wire::frame::{HEADER_LENGTH, MESSAGE_LENGTH_MAX, MessageType};
use bytes::{BufMut, Bytes, BytesMut};
use std::time::Duration;

/// Version, AS, hold time, identifier and the length of the parameters.
const FIXED: usize = 10;
/// In the extended form: marker, length; then type and length of the one parameter.
const EXTENDED: usize = 3 + 3;
/// Octets of capabilities that the short form can hold.
const SHORT_MAX: usize = 255 - 2;
/// Octets of capabilities that a message can hold.
const CAPABILITIES_MAX: usize = MESSAGE_LENGTH_MAX - HEADER_LENGTH - FIXED - EXTENDED;
/// The longest restart time, 12 bits (RFC 4724 section 3).
const RESTART_TIME_MAX: u16 = 4095;

/// An OPEN.
///
/// Times are cut to what their fields can say. A capability longer than its length octet can say,
/// or for which the message has no room left, is not offered; neither can come from one that was
/// read.
pub fn encode_open(open: &Open) -> Bytes {
    let mut list = BytesMut::new();
    for capability in &open.capabilities {
        let mut value = BytesMut::new();
        let code = put_capability(capability, &mut value);
        let Ok(length) = u8::try_from(value.len()) else { continue };
        if list.len() + 2 + value.len() <= CAPABILITIES_MAX {
            list.put_slice(&[code, length]);
            list.put_slice(&value);
        }
    }
    let short = u8::try_from(list.len()).ok().filter(|_| list.len() <= SHORT_MAX);
    let parameters = match short {
        Some(0) => 0,
        Some(_) => 2 + list.len(),
        None => EXTENDED + list.len(),
    };
    let mut out = message(MessageType::Open, FIXED + parameters);
    out.put_u8(4);
    out.put_u16(open.asn.two_octet());
    out.put_u16(seconds(open.hold_time, u16::MAX));
    out.put_slice(&open.router_id.octets());
    match short {
        Some(0) => out.put_u8(0),
        Some(length) => out.put_slice(&[length + 2, code::PARAMETER, length]),
        None => {
            out.put_slice(&[255, 255]);
            out.put_u16(bounded(3 + list.len()));
            out.put_u8(code::PARAMETER);
            out.put_u16(bounded(list.len()));
        }
    }
    out.put_slice(&list);
    out.freeze()
}

/// Writes the value and answers the code.
fn put_capability(capability: &Capability, out: &mut BytesMut) -> u8 {
    match capability {
        Capability::Multiprotocol(family) => {
            out.put_u16(family.afi);
            out.put_slice(&[0, family.safi]);
            code::MULTIPROTOCOL
        }
        Capability::RouteRefresh => code::ROUTE_REFRESH,
        Capability::ExtendedMessage => code::EXTENDED_MESSAGE,
        Capability::Role(role) => {
            out.put_u8(role.number());
            code::ROLE
        }
        Capability::GracefulRestart(restart) => {
            put_graceful_restart(restart, out);
            code::GRACEFUL_RESTART
        }
        Capability::FourOctetAs(asn) => {
            out.put_u32(asn.0);
            code::FOUR_OCTET_AS
        }
        Capability::EnhancedRouteRefresh => code::ENHANCED_ROUTE_REFRESH,
        Capability::ExtendedNextHop(families) => {
            for (family, next_hop_afi) in families {
                out.put_u16(family.afi);
                out.put_u16(family.safi.into());
                out.put_u16(*next_hop_afi);
            }
            code::EXTENDED_NEXT_HOP
        }
        Capability::AddPath(families) => {
            for (family, mode) in families {
                out.put_u16(family.afi);
                out.put_slice(&[family.safi, *mode as u8]);
            }
            code::ADD_PATH
        }
        Capability::Unknown { code, value } => {
            out.put_slice(value);
            *code
        }
    }
}

fn put_graceful_restart(restart: &GracefulRestart, out: &mut BytesMut) {
    let mut head = seconds(restart.restart_time, RESTART_TIME_MAX);
    if restart.restarting {
        head |= 0x8000;
    }
    if restart.notification {
        head |= 0x4000;
    }
    out.put_u16(head);
    for (family, preserved) in &restart.families {
        out.put_u16(family.afi);
        let flags = if *preserved == ForwardingPreserved::Yes { 0x80 } else { 0 };
        out.put_slice(&[family.safi, flags]);
    }
}

/// Whole seconds, at most `max`.
fn seconds(duration: Duration, max: u16) -> u16 {
    u16::try_from(duration.as_secs()).unwrap_or(max).min(max)
}
