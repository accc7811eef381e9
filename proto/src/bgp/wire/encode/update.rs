//! UPDATEs packed full (RFC 4271 section 4.3, RFC 4760).
//!
//! **Each message but the last of a call has no room left for the route that follows it.** RFC 7606
//! section 5.1: MP_REACH_NLRI or MP_UNREACH_NLRI is the first attribute, and never both in one.

use super::attributes::encode_attributes;
use super::nlri::{Nlri, put_ip};
use super::{bounded, message, put_header};
use crate::bgp::attributes::PathAttributes;
use crate::bgp::message::Family;
use crate::bgp::wire::EncodeContext;
use crate::bgp::wire::codes::attribute::{
    FLAG_EXTENDED_LENGTH, FLAG_OPTIONAL, MP_REACH_NLRI, MP_UNREACH_NLRI,
};
use crate::bgp::wire::error::EncodeError;
use crate::bgp::wire::frame::{EXTENDED_MESSAGE_LENGTH_MAX, HEADER_LENGTH, MessageType};
use crate::types::{Route, RouteKey};
use bytes::{BufMut, Bytes, BytesMut};
use std::net::IpAddr;

/// The lengths of withdrawn routes and of path attributes.
const UPDATE_LENGTHS: usize = 2 + 2;
/// Flags, code and a length of two octets.
const ATTRIBUTE_HEAD: usize = 4;
/// AFI and SAFI.
const FAMILY: usize = 3;

/// Announces routes that share a set of attributes, its next hop included, in as few messages as
/// will hold them. Appends to `out`; without routes nothing.
///
/// # Errors
/// The set or a route cannot be sent to this neighbour; `out` is then as it was.
pub fn encode_announcements<'a>(
    attributes: &PathAttributes,
    context: &EncodeContext,
    routes: impl Iterator<Item = &'a Route> + Clone,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let wire = encode_attributes(attributes, context.as_width)?;
    announce(&wire, attributes.next_hop, routes, context.length_max, out)
}

/// As [`encode_announcements`], with attributes that [`encode_attributes`] has already written and
/// a next hop of the caller's.
///
/// # Errors
/// As [`encode_announcements`].
pub fn announce<'a>(
    attributes: &[u8],
    next_hop: IpAddr,
    routes: impl Iterator<Item = &'a Route> + Clone,
    length_max: usize,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let mut front = BytesMut::with_capacity(FAMILY + 1 + 16 + 1);
    put_family(Family::EVPN, &mut front);
    front.put_u8(if next_hop.is_ipv4() { 4 } else { 16 });
    put_ip(next_hop, &mut front);
    front.put_u8(0); // reserved (RFC 4760 §3)
    let shape = Shape { code: MP_REACH_NLRI, front: &front, others: attributes, length_max };
    pack(routes.map(Nlri::announced), &shape, out)
}

/// Withdraws routes in as few messages as will hold them. Appends to `out`.
///
/// # Errors
/// A route cannot be sent to this neighbour; `out` is then as it was.
pub fn encode_withdrawals<'a>(
    keys: impl Iterator<Item = &'a RouteKey> + Clone,
    context: &EncodeContext,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    withdraw(keys, context.length_max, out)
}

/// As [`encode_withdrawals`].
///
/// # Errors
/// As [`encode_withdrawals`].
pub fn withdraw<'a>(
    keys: impl Iterator<Item = &'a RouteKey> + Clone,
    length_max: usize,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let mut front = BytesMut::with_capacity(FAMILY);
    put_family(Family::EVPN, &mut front);
    let shape = Shape { code: MP_UNREACH_NLRI, front: &front, others: &[], length_max };
    pack(keys.map(Nlri::withdrawn), &shape, out)
}

/// What the messages of one call have in common.
struct Shape<'a> {
    /// The attribute that holds the routes.
    code: u8,
    /// What stands in it before them.
    front: &'a [u8],
    /// The attributes after it.
    others: &'a [u8],
    /// What the neighbour takes.
    length_max: usize,
}

impl Shape<'_> {
    /// Octets of a message without a route.
    fn bare(&self) -> usize {
        HEADER_LENGTH + UPDATE_LENGTHS + ATTRIBUTE_HEAD + self.front.len() + self.others.len()
    }

    /// Writes a message that holds `routes`, which take `octets`.
    fn put<'a>(
        &self,
        routes: impl Iterator<Item = Result<Nlri<'a>, EncodeError>>,
        octets: usize,
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let length = self.bare() + octets;
        out.reserve(length);
        put_header(out, MessageType::Update, length);
        out.put_u16(0); // no withdrawn routes
        out.put_u16(bounded(length - HEADER_LENGTH - UPDATE_LENGTHS));
        out.put_slice(&[FLAG_OPTIONAL | FLAG_EXTENDED_LENGTH, self.code]);
        out.put_u16(bounded(self.front.len() + octets));
        out.put_slice(self.front);
        for route in routes {
            route?.put(out);
        }
        out.put_slice(self.others);
        Ok(())
    }
}

/// All of the routes or, on an error, none.
fn pack<'a>(
    routes: impl Iterator<Item = Result<Nlri<'a>, EncodeError>> + Clone,
    shape: &Shape<'_>,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let before = out.len();
    let packed = pack_on(routes, shape, out);
    if packed.is_err() {
        out.truncate(before);
    }
    packed
}

fn pack_on<'a>(
    mut routes: impl Iterator<Item = Result<Nlri<'a>, EncodeError>> + Clone,
    shape: &Shape<'_>,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let length_max = shape.length_max.min(EXTENDED_MESSAGE_LENGTH_MAX);
    let room = length_max.saturating_sub(shape.bare());
    loop {
        let (mut count, mut octets) = (0, 0);
        for route in routes.clone() {
            let with_it = octets + route?.length();
            if with_it > room {
                if count == 0 {
                    let needed = shape.bare() + with_it;
                    return Err(EncodeError::MessageTooLong { needed, length_max });
                }
                break;
            }
            octets = with_it;
            count += 1;
        }
        if count == 0 {
            return Ok(());
        }
        shape.put(routes.by_ref().take(count), octets, out)?;
    }
}

/// The End-of-RIB marker of a family (RFC 4724 section 2).
pub fn encode_end_of_rib(family: Family) -> Bytes {
    if family == Family::IPV4_UNICAST {
        let mut out = message(MessageType::Update, UPDATE_LENGTHS);
        out.put_bytes(0, UPDATE_LENGTHS);
        return out.freeze();
    }
    let mut out = message(MessageType::Update, UPDATE_LENGTHS + 6);
    out.put_slice(&[0, 0, 0, 6, FLAG_OPTIONAL, MP_UNREACH_NLRI, 3]);
    put_family(family, &mut out);
    out.freeze()
}

fn put_family(family: Family, out: &mut BytesMut) {
    out.put_u16(family.afi);
    out.put_u8(family.safi);
}
