//! OPEN messages (RFC 4271 section 4.2) and the capabilities in them (RFC 5492, RFC 9072).
//!
//! ```text
//! version (1) | my AS (2) | hold time (2) | BGP identifier (4) | parameters length (1) | parameters
//! ```
//!
//! **An OPEN that comes back names a true AS and identifier and a hold time that can be kept.**
//!
//! A capability that is known but of the wrong form is refused only where the session cannot do
//! without it (multiprotocol, 4-octet AS); any other is kept as unknown and thereby not agreed on:
//! a session without an extra is better than none.

use super::faults::Refusal;
use crate::bgp::message::{
    AddPath, Capability, Family, ForwardingPreserved, GracefulRestart, Notification, Open,
};
use crate::bgp::role::Role;
use crate::bgp::wire::codes::{capability as code, error, open as sub};
use crate::bgp::wire::error::{ErrorKind, WireError};
use crate::bgp::wire::reader::Reader;
use crate::types::{AS_TRANS, Asn};
use bytes::Bytes;
use nom::number::complete::{be_u8, be_u16, be_u32};
use std::net::Ipv4Addr;
use std::time::Duration;

/// The version of BGP that is spoken.
const VERSION: u8 = 4;
/// As length and as type of the first parameter: lengths take two octets (RFC 9072 section 2).
const EXTENDED: u8 = 255;

/// Reads the body of an OPEN.
///
/// # Errors
/// An OPEN Message Error (RFC 4271 section 6.2).
pub(super) fn open(mut body: Reader<'_>) -> Result<Open, Refusal> {
    let start = body;
    let head = body.array::<10>("OPEN").map_err(malformed)?;
    let [version, as1, as2, hold1, hold2, id @ .., parameters_length] = head;
    if version != VERSION {
        let error = start.error("version", ErrorKind::BadValue(version.into()));
        return Err(refuse(sub::UNSUPPORTED_VERSION, &[0, VERSION], error));
    }
    let capabilities = capabilities(body, parameters_length).map_err(malformed_or)?;
    let asn = true_asn(u16::from_be_bytes([as1, as2]), &capabilities, start.after(1))?;
    let hold_time = u16::from_be_bytes([hold1, hold2]);
    if matches!(hold_time, 1 | 2) {
        let error = start.after(3).error("hold time", ErrorKind::BadValue(hold_time.into()));
        return Err(refuse(sub::UNACCEPTABLE_HOLD_TIME, &[], error));
    }
    let router_id = Ipv4Addr::from(id);
    // RFC 6286 §2.1: any number but zero.
    if router_id.is_unspecified() {
        let error = start.after(5).error("BGP identifier", ErrorKind::BadValue(0));
        return Err(refuse(sub::BAD_IDENTIFIER, &[], error));
    }
    let hold_time = Duration::from_secs(hold_time.into());
    Ok(Open { asn, hold_time, router_id, capabilities })
}

/// The AS out of the field and the capability (RFC 6793 section 4.1, RFC 7607 section 2).
fn true_asn(field: u16, capabilities: &[Capability], at: Reader<'_>) -> Result<Asn, Refusal> {
    let told = capabilities.iter().find_map(|capability| match capability {
        Capability::FourOctetAs(asn) => Some(*asn),
        _ => None,
    });
    let asn = told.unwrap_or(Asn(field.into()));
    // AS_TRANS in the field stands for whatever the capability says, but is nobody's own number.
    let consistent = field == AS_TRANS || Asn(field.into()) == asn;
    if asn == Asn(0) || field == 0 || asn == Asn(AS_TRANS.into()) || !consistent {
        let error = at.error("AS number", ErrorKind::BadValue(asn.0));
        return Err(refuse(sub::BAD_PEER_AS, &[], error));
    }
    Ok(asn)
}

/// Why the optional parameters are refused.
enum Refused {
    Malformed(WireError),
    UnsupportedParameter(WireError),
}

impl From<WireError> for Refused {
    fn from(error: WireError) -> Self {
        Self::Malformed(error)
    }
}

fn capabilities(mut rest: Reader<'_>, length: u8) -> Result<Vec<Capability>, Refused> {
    const FIELD: &str = "optional parameters";
    // RFC 9072 §2: the type says that the form is extended; the short length then says nothing.
    let extended = length != 0 && rest.octets().first() == Some(&EXTENDED);
    let length = if extended {
        rest.u8(FIELD)?;
        usize::from(rest.u16(FIELD)?)
    } else {
        usize::from(length)
    };
    let mut parameters = rest.take(length, FIELD)?;
    if !rest.is_empty() {
        return Err(rest.bad_length(FIELD).into());
    }
    let mut found = Vec::new();
    while !parameters.is_empty() {
        let at = parameters;
        let kind = parameters.u8("optional parameter type")?;
        let length = if extended {
            usize::from(parameters.u16("optional parameter length")?)
        } else {
            usize::from(parameters.u8("optional parameter length")?)
        };
        let mut list = parameters.take(length, "optional parameter")?;
        if kind != code::PARAMETER {
            let kind = ErrorKind::BadValue(kind.into());
            let error = at.error("optional parameter type", kind);
            return Err(Refused::UnsupportedParameter(error));
        }
        while !list.is_empty() {
            let [code, length] = list.array("capability")?;
            found.push(capability(code, list.take(usize::from(length), "capability")?)?);
        }
    }
    Ok(found)
}

fn capability(code: u8, value: Reader<'_>) -> Result<Capability, WireError> {
    let known = match code {
        code::MULTIPROTOCOL => {
            let (afi, _, safi) = value.parse("multiprotocol capability", (be_u16, be_u8, be_u8))?;
            Some(Capability::Multiprotocol(Family { afi, safi }))
        }
        code::FOUR_OCTET_AS => {
            let asn = value.parse("4-octet AS capability", be_u32)?;
            Some(Capability::FourOctetAs(Asn(asn)))
        }
        code::ROUTE_REFRESH if value.is_empty() => Some(Capability::RouteRefresh),
        code::EXTENDED_MESSAGE if value.is_empty() => Some(Capability::ExtendedMessage),
        code::ENHANCED_ROUTE_REFRESH if value.is_empty() => Some(Capability::EnhancedRouteRefresh),
        code::EXTENDED_NEXT_HOP => extended_next_hop(value).map(Capability::ExtendedNextHop),
        code::ADD_PATH => add_path(value).map(Capability::AddPath),
        code::ROLE => match value.octets() {
            [number] => Role::from_number(*number).map(Capability::Role),
            _ => None,
        },
        code::GRACEFUL_RESTART => graceful_restart(value).map(Capability::GracefulRestart),
        _ => None,
    };
    let unknown = || Capability::Unknown { code, value: Bytes::copy_from_slice(value.octets()) };
    Ok(known.unwrap_or_else(unknown))
}

/// ```text
/// R N 0 0 | restart time (12 bits) | { AFI (2) | SAFI (1) | F 0000000 } ...
/// ```
/// Octets after the last whole family are no family and are ignored.
fn graceful_restart(mut value: Reader<'_>) -> Option<GracefulRestart> {
    let head = value.u16("graceful restart").ok()?;
    let (tuples, _) = value.octets().as_chunks::<4>();
    let family = |[a, b, safi, flags]: &[u8; 4]| {
        let family = Family { afi: u16::from_be_bytes([*a, *b]), safi: *safi };
        let preserved = flags & 0x80 != 0;
        (family, if preserved { ForwardingPreserved::Yes } else { ForwardingPreserved::No })
    };
    Some(GracefulRestart {
        restarting: head & 0x8000 != 0,
        notification: head & 0x4000 != 0,
        restart_time: Duration::from_secs((head & 0x0fff).into()),
        families: tuples.iter().map(family).collect(),
    })
}

/// ```text
/// { AFI (2) | SAFI (2) | next hop's AFI (2) } ...
/// ```
fn extended_next_hop(value: Reader<'_>) -> Option<Vec<(Family, u16)>> {
    let (tuples, []) = value.octets().as_chunks::<6>() else { return None };
    // A SAFI beyond one octet is none that exists.
    let known = tuples.iter().filter(|[_, _, high, ..]| *high == 0);
    let tuple = |[a, b, _, safi, c, d]: &[u8; 6]| {
        let family = Family { afi: u16::from_be_bytes([*a, *b]), safi: *safi };
        (family, u16::from_be_bytes([*c, *d]))
    };
    Some(known.map(tuple).collect())
}

/// ```text
/// { AFI (2) | SAFI (1) | 1, 2 or 3 (1) } ...
/// ```
/// RFC 7911 §4: another number makes its family ignored.
fn add_path(value: Reader<'_>) -> Option<Vec<(Family, AddPath)>> {
    let (tuples, []) = value.octets().as_chunks::<4>() else { return None };
    let tuple = |[a, b, safi, mode]: &[u8; 4]| {
        let mode = match mode {
            1 => AddPath::Receive,
            2 => AddPath::Send,
            3 => AddPath::Both,
            _ => return None,
        };
        Some((Family { afi: u16::from_be_bytes([*a, *b]), safi: *safi }, mode))
    };
    Some(tuples.iter().filter_map(tuple).collect())
}

/// RFC 4271 §6.2: a parameter that is recognised but malformed is an unspecific error.
fn malformed(error: WireError) -> Refusal {
    refuse(sub::UNSPECIFIC, &[], error)
}

fn malformed_or(refused: Refused) -> Refusal {
    match refused {
        Refused::Malformed(error) => malformed(error),
        Refused::UnsupportedParameter(error) => refuse(sub::UNSUPPORTED_PARAMETER, &[], error),
    }
}

fn refuse(subcode: u8, data: &[u8], error: WireError) -> Refusal {
    let data = Bytes::copy_from_slice(data);
    Refusal { notification: Notification { code: error::OPEN, subcode, data }, error }
}
