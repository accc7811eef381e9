//! MP_REACH_NLRI and MP_UNREACH_NLRI (RFC 4760 sections 3 and 4, RFC 7606 sections 5.3 and 7.11).
//!
//! ```text
//! MP_REACH_NLRI:   AFI (2) | SAFI (1) | length (1) | next hop | reserved (1) | NLRI
//! MP_UNREACH_NLRI: AFI (2) | SAFI (1) | NLRI
//! ```
//!
//! **An attribute of a family that is not ours changes nothing; one of ours that cannot be read
//! disables the family and leaves the session (RFC 7606 section 2).**

use super::attributes::Attribute;
use super::faults::{Faults, Refusal, reset};
use super::nlri::{Direction, EvpnRoutes, PathIds, routes};
use crate::bgp::message::Family;
use crate::bgp::wire::DecodeContext;
use crate::bgp::wire::codes::{attribute, update};
use crate::bgp::wire::error::{Action, ErrorKind, WireError};
use crate::bgp::wire::reader::{Reader, leaf};
use std::net::{IpAddr, Ipv4Addr};

/// What MP_REACH_NLRI says.
#[derive(Default)]
pub(super) struct Reach {
    /// Whether it is there and names routes, be they ours or not: RFC 7606 §5.2 asks.
    pub(super) names_routes: bool,
    /// Our routes with their next hop.
    pub(super) ours: Option<(IpAddr, EvpnRoutes)>,
}

/// What MP_UNREACH_NLRI says.
#[derive(Default)]
pub(super) struct Unreach {
    /// Our routes.
    pub(super) ours: Option<EvpnRoutes>,
    /// The negotiated family of which it names no route.
    pub(super) empty: Option<Family>,
}

/// Reads MP_REACH_NLRI.
///
/// # Errors
/// It is too short to say which family it is of: nothing but a reset is left.
pub(super) fn reach(
    found: Attribute<'_>,
    context: &DecodeContext,
    path_ids: PathIds,
    faults: &mut Faults,
) -> Result<Reach, Refusal> {
    let mut value = found.value;
    let family = family(&mut value, &found)?;
    if !is_ours(family, found.value, context, faults) {
        return Ok(Reach { names_routes: true, ours: None });
    }
    let read = flags(&found)
        .and_then(|()| next_hop(&mut value))
        .and_then(|hop| routes(value, Direction::Announced, path_ids).map(|routes| (hop, routes)));
    match read {
        Ok((hop, found_routes)) => {
            // Without a route the next hop is nobody's.
            if !value.is_empty() && !is_host(hop) {
                let error = found.value.error("next hop", ErrorKind::Conflict);
                faults.note(error, Action::TreatAsWithdraw);
            }
            faults.absorb_routes(&found_routes);
            Ok(Reach { names_routes: !value.is_empty(), ours: Some((hop, found_routes)) })
        }
        Err(error) => {
            faults.note(error, Action::DisableAfiSafi);
            Ok(Reach { names_routes: true, ours: None })
        }
    }
}

/// Reads MP_UNREACH_NLRI.
///
/// # Errors
/// As [`reach`].
pub(super) fn unreach(
    found: Attribute<'_>,
    context: &DecodeContext,
    path_ids: PathIds,
    faults: &mut Faults,
) -> Result<Unreach, Refusal> {
    let mut value = found.value;
    let family = family(&mut value, &found)?;
    let empty = (value.is_empty() && context.families.contains(family)).then_some(family);
    if !is_ours(family, found.value, context, faults) {
        return Ok(Unreach { ours: None, empty });
    }
    match flags(&found).and_then(|()| routes(value, Direction::Withdrawn, path_ids)) {
        Ok(found_routes) => {
            faults.absorb_routes(&found_routes);
            Ok(Unreach { ours: Some(found_routes), empty })
        }
        Err(error) => {
            faults.note(error, Action::DisableAfiSafi);
            Ok(Unreach::default())
        }
    }
}

fn family(value: &mut Reader<'_>, found: &Attribute<'_>) -> Result<Family, Refusal> {
    let [a, b, safi] = value
        .array("address family")
        .map_err(|error| reset(update::OPTIONAL_ATTRIBUTE, found.whole, error))?;
    Ok(Family { afi: u16::from_be_bytes([a, b]), safi })
}

fn is_ours(family: Family, at: Reader<'_>, context: &DecodeContext, faults: &mut Faults) -> bool {
    if !context.families.contains(family) {
        // RFC 4760 §8 forbids sending it; what was not agreed on is ignored.
        let kind = ErrorKind::NotNegotiated { afi: family.afi, safi: family.safi };
        faults.note(at.error("multiprotocol NLRI", kind), Action::DiscardNlri);
        return false;
    }
    family == Family::EVPN
}

/// RFC 7606 §5.3: wrong flags make the attribute incorrect as a whole.
fn flags(found: &Attribute<'_>) -> Result<(), WireError> {
    let field = match found.code {
        attribute::MP_REACH_NLRI => "MP_REACH_NLRI",
        _ => "MP_UNREACH_NLRI",
    };
    found.check_flags(attribute::FLAG_OPTIONAL, field)
}

/// The next hop up to the reserved octet. RFC 7606 §7.11: of another length it hides where the
/// routes begin.
fn next_hop(value: &mut Reader<'_>) -> Result<IpAddr, WireError> {
    const FIELD: &str = "next hop";
    let at = *value;
    let length = value.u8("next hop length")?;
    let octets = value.take(length.into(), FIELD)?;
    let hop = match length {
        4 => octets.parse(FIELD, leaf::ipv4)?,
        16 => octets.parse(FIELD, leaf::ipv6)?,
        // RFC 2545 §3: global, then link-local; the second is of no use across a fabric.
        32 => octets.parse(FIELD, (leaf::ipv6, leaf::ipv6))?.0,
        _ => return Err(at.error("next hop length", ErrorKind::BadLength(length.into()))),
    };
    value.u8("reserved octet")?;
    Ok(hop)
}

/// Whether an address can be that of a VTEP: encapsulation towards any other would flood or vanish.
fn is_host(hop: IpAddr) -> bool {
    !hop.is_unspecified() && !hop.is_multicast() && hop != IpAddr::V4(Ipv4Addr::BROADCAST)
}
