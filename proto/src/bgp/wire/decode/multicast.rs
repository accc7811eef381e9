//! EVPN routes of types 6 to 11 (RFC 9251 section 9, RFC 9572 section 3).
//!
//! **A route whose lengths do not add up to its body is none; of one that is, every octet is kept.**
//!
//! Not checked: whether a group is a multicast address and whether flags go together, since a route
//! that is only relayed does no harm by it.

use super::nlri::{self, Direction, MAX_ESI, sized_ip};
use crate::bgp::wire::error::{ErrorKind, WireError};
use crate::bgp::wire::reader::{Reader, leaf};
use crate::types::{Esi, Flow, Membership, MulticastKey, Route, RouteKey, RouteType};
use bytes::Bytes;
use std::net::IpAddr;

/// Octets of a route distinguisher.
const RD: usize = 8;
/// Octets of an ESI.
const ESI: usize = 10;
/// Octets of an Ethernet tag.
const TAG: usize = 4;
/// Octets of a region (RFC 9572 section 3.1).
const REGION: usize = 8;

impl RouteKey {
    /// What the octets of a key of types 6 to 11 say; none of other types, and of octets that this
    /// module would not have accepted.
    pub fn multicast(&self) -> Option<MulticastKey> {
        let Self::Opaque { route_type, body } = self else { return None };
        let mut body = Reader::new(body);
        let found = key(*route_type, &mut body).ok().flatten()?;
        body.is_empty().then_some(found)
    }
}

/// Reads a route of types 6 to 11.
pub(super) fn route(route_type: RouteType, body: Reader<'_>) -> Result<Route, WireError> {
    let mut rest = body;
    key(route_type, &mut rest)?;
    let length = body.len().saturating_sub(rest.len());
    let octets = body.octets().get(..length).unwrap_or_default();
    let key = RouteKey::Opaque { route_type, body: Bytes::copy_from_slice(octets) };
    if rest.len() != route_type.membership_octets() {
        return Err(rest.bad_length("what follows the key of a multicast route"));
    }
    Ok(match *rest.octets() {
        [flags] => Route::with_membership(key, Membership { flags, ..Membership::default() }),
        [a, b, c, d, max_response, flags] => {
            let reserved = [a, b, c, d];
            Route::with_membership(key, Membership { reserved, max_response, flags })
        }
        _ => Route::bare(key),
    })
}

/// The key at the front of `body`; none where the type is no type of multicast.
fn key(route_type: RouteType, body: &mut Reader<'_>) -> Result<Option<MulticastKey>, WireError> {
    Ok(Some(match route_type {
        RouteType::SMET => {
            let head = body.take(RD + TAG, "SMET route")?;
            let (rd, etag) = head.parse("SMET route", (leaf::rd, leaf::etag))?;
            MulticastKey::Smet { rd, etag, flow: flow(body)? }
        }
        RouteType::JOIN_SYNCH | RouteType::LEAVE_SYNCH => {
            const FIELD: &str = "multicast synch route";
            let start = *body;
            let head = body.take(RD + ESI + TAG, FIELD)?;
            let (rd, esi, etag) = head.parse(FIELD, (leaf::rd, leaf::esi, leaf::etag))?;
            // RFC 9251 §9.2.1: that of the segment; neither reserved value is a segment's (RFC 7432
            // §5).
            if esi == Esi::ZERO || esi == MAX_ESI {
                let at = start.after(RD);
                return Err(at.error("multicast synch route's reserved ESI", ErrorKind::Conflict));
            }
            let flow = flow(body)?;
            if route_type == RouteType::JOIN_SYNCH {
                MulticastKey::JoinSynch { rd, esi, etag, flow }
            } else {
                MulticastKey::LeaveSynch { rd, esi, etag, flow }
            }
        }
        RouteType::REGION_PMSI => {
            const FIELD: &str = "per-region I-PMSI route";
            let head = body.take(RD + TAG, FIELD)?;
            let (rd, etag) = head.parse(FIELD, (leaf::rd, leaf::etag))?;
            let region = body.array::<REGION>("region of a per-region I-PMSI route")?;
            MulticastKey::RegionPmsi { rd, etag, region }
        }
        RouteType::SELECTIVE_PMSI => {
            let head = body.take(RD + TAG, "S-PMSI route")?;
            let (rd, etag) = head.parse("S-PMSI route", (leaf::rd, leaf::etag))?;
            MulticastKey::SelectivePmsi { rd, etag, flow: flow(body)? }
        }
        RouteType::LEAF => leaf_route(body)?,
        _ => return Ok(None),
    }))
}

/// ```text
/// length in bits (1) | source | length in bits (1) | group | length in bits (1) | originator
/// ```
fn flow(body: &mut Reader<'_>) -> Result<Flow, WireError> {
    let source = sized_ip(body, "multicast source length")?;
    let at = *body;
    let group = sized_ip(body, "multicast group length")?;
    if let (Some(source), Some(group)) = (source, group)
        && source.is_ipv4() != group.is_ipv4()
    {
        return Err(
            at.error("multicast group of another family than its source", ErrorKind::Conflict)
        );
    }
    let originator = originator(body)?;
    Ok(Flow { source, group, originator })
}

fn originator(body: &mut Reader<'_>) -> Result<IpAddr, WireError> {
    const FIELD: &str = "multicast originator length";
    let at = *body;
    sized_ip(body, FIELD)?.ok_or_else(|| at.error(FIELD, ErrorKind::BadValue(0)))
}

/// ```text
/// type (1) | length (1) | body of the route that is answered | length in bits (1) | originator
/// ```
///
/// RFC 9572 §3.3: the route key is the NLRI of the route that is answered. Those of today (types 3,
/// 9 and 10) are checked; what else may ask for an answer one day is not known here.
fn leaf_route(body: &mut Reader<'_>) -> Result<MulticastKey, WireError> {
    let start = *body;
    let (inner_type, inner) = nlri::next(body)?;
    if matches!(inner_type, RouteType::IMET | RouteType::REGION_PMSI | RouteType::SELECTIVE_PMSI) {
        nlri::route(inner_type, inner, Direction::Announced)?;
    } else if inner_type == RouteType(0) || inner_type == RouteType::LEAF {
        let kind = ErrorKind::BadValue(inner_type.0.into());
        return Err(start.error("type of the route that a leaf route answers", kind));
    }
    let length = start.len().saturating_sub(body.len());
    let octets = start.octets().get(..length).unwrap_or_default();
    let route_key = Bytes::copy_from_slice(octets);
    Ok(MulticastKey::Leaf { route_key, originator: originator(body)? })
}
