//! MP_REACH_NLRI and MP_UNREACH_NLRI (RFC 4760 sections 3 and 4, RFC 7606 sections 5.3 and 7.11).
//!
//! ```text
//! MP_REACH_NLRI:   AFI (2) | SAFI (1) | length (1) | next hop | reserved (1) | NLRI
//! MP_UNREACH_NLRI: AFI (2) | SAFI (1) | NLRI
//! ```
//!
//! **An attribute of a family that was not agreed on changes nothing; one that was and cannot be
//! read disables the family and leaves the session (RFC 7606 section 2).**

use super::attributes::Attribute;
use super::faults::{Faults, Refusal, reset};
use super::nlri::{Direction, PathIds, Routes, Run, routes};
use crate::bgp::message::Family;
use crate::bgp::wire::DecodeContext;
use crate::bgp::wire::codes::{attribute, update};
use crate::bgp::wire::error::{Action, ErrorKind, WireError};
use crate::bgp::wire::reader::{Reader, leaf};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What MP_REACH_NLRI says.
#[derive(Default)]
pub(super) struct Reach {
    /// Whether it is there and names routes, be they ours or not: RFC 7606 §5.2 asks.
    pub(super) names_routes: bool,
    /// The routes with their next hop, of a family that was agreed on.
    pub(super) ours: Option<(NextHop, Routes)>,
}

/// A next hop, with the link-local address beside it where there is one (RFC 2545 section 3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct NextHop {
    pub(super) address: IpAddr,
    pub(super) link_local: Option<Ipv6Addr>,
}

/// What MP_UNREACH_NLRI says.
#[derive(Default)]
pub(super) struct Unreach {
    /// The routes, of a family that was agreed on.
    pub(super) ours: Option<Routes>,
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
    faults: &mut Faults,
) -> Result<Reach, Refusal> {
    let mut value = found.value;
    let family = family(&mut value, &found)?;
    if !is_ours(family, found.value, context, faults) {
        return Ok(Reach { names_routes: true, ours: None });
    }
    let read = flags(&found).and_then(|()| next_hop(&mut value, family, context)).and_then(|hop| {
        let found = routes(run(value, family, context), Direction::Announced)?;
        Ok((hop, found))
    });
    match read {
        Ok((hop, found_routes)) => {
            // Without a route the next hop is nobody's.
            if !value.is_empty() && !is_host(hop.address) {
                let error = found.value.error("next hop", ErrorKind::Conflict);
                faults.note(error, Action::TreatAsWithdraw);
            }
            faults.absorb_routes(&found_routes);
            Ok(Reach { names_routes: !value.is_empty(), ours: Some((hop, found_routes)) })
        }
        Err(error) => {
            faults.disable(family, error);
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
    faults: &mut Faults,
) -> Result<Unreach, Refusal> {
    let mut value = found.value;
    let family = family(&mut value, &found)?;
    if value.is_empty() && !context.families.contains(family) {
        // The End-of-RIB of a family that nobody waits for says nothing.
        return Ok(Unreach::default());
    }
    let empty = value.is_empty().then_some(family);
    if !is_ours(family, found.value, context, faults) {
        return Ok(Unreach { ours: None, empty });
    }
    let read =
        flags(&found).and_then(|()| routes(run(value, family, context), Direction::Withdrawn));
    match read {
        Ok(found_routes) => {
            faults.absorb_routes(&found_routes);
            Ok(Unreach { ours: Some(found_routes), empty })
        }
        Err(error) => {
            faults.disable(family, error);
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
    true
}

fn run<'a>(rest: Reader<'a>, family: Family, context: &DecodeContext) -> Run<'a> {
    let path_ids = PathIds::of(family, context);
    Run { rest, family, path_ids }
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
fn next_hop(
    value: &mut Reader<'_>,
    family: Family,
    context: &DecodeContext,
) -> Result<NextHop, WireError> {
    const FIELD: &str = "next hop";
    let at = *value;
    let length = value.u8("next hop length")?;
    let octets = value.take(length.into(), FIELD)?;
    // RFC 8950 §3: IPv6 next hops of IPv4 prefixes are to be agreed on; of other families either
    // goes, but for IPv6 prefixes, which need their own.
    let takes_v4 = family != Family::IPV6_UNICAST;
    let takes_v6 = family != Family::IPV4_UNICAST || context.extended_next_hop.contains(family);
    let (address, link_local) = match length {
        4 if takes_v4 => (octets.parse(FIELD, leaf::ipv4)?, None),
        16 if takes_v6 => (octets.parse(FIELD, leaf::ipv6)?, None),
        // RFC 2545 §3: global, then link-local.
        32 if takes_v6 => {
            let (global, beside) = octets.parse(FIELD, (leaf::ipv6, leaf::ipv6))?;
            (global, link_local(beside))
        }
        _ => return Err(at.error("next hop length", ErrorKind::BadLength(length.into()))),
    };
    value.u8("reserved octet")?;
    Ok(NextHop { address, link_local })
}

/// The second address of a next hop, which is of use only if it is link-local.
fn link_local(address: IpAddr) -> Option<Ipv6Addr> {
    match address {
        IpAddr::V6(address) if address.is_unicast_link_local() => Some(address),
        _ => None,
    }
}

/// Whether an address can be that of a VTEP: encapsulation towards any other would flood or vanish.
pub(super) fn is_host(hop: IpAddr) -> bool {
    !hop.is_unspecified() && !hop.is_multicast() && hop != IpAddr::V4(Ipv4Addr::BROADCAST)
}
