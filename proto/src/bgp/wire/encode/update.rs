//! UPDATEs packed full (RFC 4271 section 4.3, RFC 4760).
//!
//! **Each message but the last of a call has no room left for the route that follows it.** RFC 7606
//! section 5.1: MP_REACH_NLRI or MP_UNREACH_NLRI is the first attribute, and never both in one.
//! IPv4 unicast goes in the fields that RFC 4271 has for it, which every speaker reads, unless its
//! next hop is of IPv6 (RFC 8950).

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
use std::net::{IpAddr, Ipv6Addr};

/// The lengths of withdrawn routes and of path attributes.
const UPDATE_LENGTHS: usize = 2 + 2;
/// Flags, code and a length of two octets.
const ATTRIBUTE_HEAD: usize = 4;
/// AFI and SAFI.
const FAMILY: usize = 3;

/// Announces routes of one family that share a set of attributes, its next hop included, in as few
/// messages as will hold them. Appends to `out`; without routes nothing.
///
/// # Errors
/// The set or a route cannot be sent to this neighbour; `out` is then as it was.
pub fn encode_announcements<'a>(
    attributes: &PathAttributes,
    context: &EncodeContext,
    routes: impl Iterator<Item = &'a Route> + Clone,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let Some(family) = routes.clone().next().map(|route| route.key.family()) else { return Ok(()) };
    let octets = encode_attributes(attributes, family, context.as_width)?;
    let shared = Shared::new(&octets, attributes, family);
    announce(&shared, routes.map(|route| (route, None)), context.length_max, out)
}

/// What the routes of an announcement have in common.
#[derive(Clone, Copy, Debug)]
pub struct Shared<'a> {
    /// As [`encode_attributes`] has written them for the family.
    octets: &'a [u8],
    next_hop: IpAddr,
    link_local: Option<Ipv6Addr>,
    family: Family,
}

impl<'a> Shared<'a> {
    /// `octets` are what [`encode_attributes`] made of the same set for the same family.
    pub fn new(octets: &'a [u8], attributes: &PathAttributes, family: Family) -> Self {
        let PathAttributes { next_hop, link_local, .. } = *attributes;
        Self { octets, next_hop, link_local, family }
    }

    /// What stands in MP_REACH_NLRI before the routes.
    fn front(&self) -> BytesMut {
        let mut front = BytesMut::with_capacity(FAMILY + 1 + 32 + 1);
        put_family(self.family, &mut front);
        let link_local = self.link_local.filter(|_| self.next_hop.is_ipv6());
        let both = if link_local.is_some() { 32 } else { 16 };
        front.put_u8(if self.next_hop.is_ipv4() { 4 } else { both });
        put_ip(self.next_hop, &mut front);
        if let Some(link_local) = link_local {
            front.put_slice(&link_local.octets());
        }
        front.put_u8(0); // reserved (RFC 4760 §3)
        front
    }
}

/// As [`encode_announcements`], with attributes that [`encode_attributes`] has already written, and
/// each route with its path identifier where the neighbour is sent any (RFC 7911).
///
/// # Errors
/// As [`encode_announcements`].
pub fn announce<'a>(
    shared: &Shared<'_>,
    routes: impl Iterator<Item = (&'a Route, Option<u32>)> + Clone,
    length_max: usize,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let front = shared.front();
    let form = match shared.family {
        Family::IPV4_UNICAST if shared.next_hop.is_ipv4() => Form::Nlri,
        _ => Form::Attribute { code: MP_REACH_NLRI, front: &front },
    };
    let shape = Shape { form, others: shared.octets, length_max };
    let put = |(route, path_id)| Nlri::announced(route).map(|nlri| nlri.with_path_id(path_id));
    pack(routes.map(put), &shape, out)
}

/// Withdraws routes of one family in as few messages as will hold them. Appends to `out`.
///
/// # Errors
/// A route cannot be sent to this neighbour; `out` is then as it was.
pub fn encode_withdrawals<'a>(
    keys: impl Iterator<Item = &'a RouteKey> + Clone,
    context: &EncodeContext,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    withdraw(keys.map(|key| (key, None)), context.length_max, out)
}

/// As [`encode_withdrawals`], each with its path identifier where the neighbour is sent any.
///
/// # Errors
/// As [`encode_withdrawals`].
pub fn withdraw<'a>(
    keys: impl Iterator<Item = (&'a RouteKey, Option<u32>)> + Clone,
    length_max: usize,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let Some(family) = keys.clone().next().map(|(key, _)| key.family()) else { return Ok(()) };
    let mut front = BytesMut::with_capacity(FAMILY);
    put_family(family, &mut front);
    let form = match family {
        Family::IPV4_UNICAST => Form::WithdrawnRoutes,
        _ => Form::Attribute { code: MP_UNREACH_NLRI, front: &front },
    };
    let shape = Shape { form, others: &[], length_max };
    let put = |(key, path_id)| Nlri::withdrawn(key).map(|nlri| nlri.with_path_id(path_id));
    pack(keys.map(put), &shape, out)
}

/// Where the routes of a message stand.
#[derive(Clone, Copy)]
enum Form<'a> {
    /// In an attribute (RFC 4760), after `front`.
    Attribute { code: u8, front: &'a [u8] },
    /// In the NLRI field (RFC 4271 §4.3).
    Nlri,
    /// In the field of withdrawn routes.
    WithdrawnRoutes,
}

/// What the messages of one call have in common.
struct Shape<'a> {
    form: Form<'a>,
    /// The attributes beside the one that holds the routes.
    others: &'a [u8],
    /// What the neighbour takes.
    length_max: usize,
}

impl Shape<'_> {
    /// Octets of a message without a route.
    fn bare(&self) -> usize {
        let attribute = match self.form {
            Form::Attribute { front, .. } => ATTRIBUTE_HEAD + front.len(),
            Form::Nlri | Form::WithdrawnRoutes => 0,
        };
        HEADER_LENGTH + UPDATE_LENGTHS + attribute + self.others.len()
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
        match self.form {
            Form::Attribute { code, front } => {
                out.put_u16(0); // no withdrawn routes
                out.put_u16(bounded(length - HEADER_LENGTH - UPDATE_LENGTHS));
                out.put_slice(&[FLAG_OPTIONAL | FLAG_EXTENDED_LENGTH, code]);
                out.put_u16(bounded(front.len() + octets));
                out.put_slice(front);
                put_all(routes, out)?;
                out.put_slice(self.others);
            }
            Form::Nlri => {
                out.put_u16(0);
                out.put_u16(bounded(self.others.len()));
                out.put_slice(self.others);
                put_all(routes, out)?;
            }
            Form::WithdrawnRoutes => {
                out.put_u16(bounded(octets));
                put_all(routes, out)?;
                out.put_u16(0); // no attributes
            }
        }
        Ok(())
    }
}

fn put_all<'a>(
    mut routes: impl Iterator<Item = Result<Nlri<'a>, EncodeError>>,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    routes.try_for_each(|route| route.map(|route| route.put(out)))
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
