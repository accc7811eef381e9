//! UPDATE messages (RFC 4271 section 4.3), with errors handled as RFC 7606 revises them.
//!
//! ```text
//! withdrawn routes length (2) | withdrawn routes | total path attribute length (2)
//! | path attributes | NLRI
//! ```
//!
//! **A route of an UPDATE with an error is announced only if the RFC lets that error pass; it is
//! never half applied.**

use super::attributes::collect;
use super::faults::{Faults, Refusal, reset};
use super::mp;
use super::nlri::PathIds;
use crate::bgp::message::{Family, Update};
use crate::bgp::wire::DecodeContext;
use crate::bgp::wire::codes::update::{INVALID_NETWORK, MALFORMED_ATTRIBUTE_LIST};
use crate::bgp::wire::error::{Action, ErrorKind, WireError};
use crate::bgp::wire::reader::Reader;
use std::sync::Arc;

/// The longest IPv4 prefix, in bits.
const IPV4_BITS: u8 = 32;

struct Fields<'a> {
    withdrawn: Reader<'a>,
    attributes: Reader<'a>,
    nlri: Reader<'a>,
}

fn fields(mut body: Reader<'_>) -> Result<Fields<'_>, WireError> {
    let length = body.u16("withdrawn routes length")?;
    let withdrawn = body.take(length.into(), "withdrawn routes")?;
    let length = body.u16("total path attribute length")?;
    let attributes = body.take(length.into(), "path attributes")?;
    Ok(Fields { withdrawn, attributes, nlri: body })
}

/// The path attributes of an UPDATE's body, if they can be found.
pub(super) fn attributes_of(body: Reader<'_>) -> Option<Reader<'_>> {
    fields(body).ok().map(|fields| fields.attributes)
}

/// Reads the body of an UPDATE. What is wrong is in the UPDATE, or, where there is none, in
/// `faults` and the error.
///
/// # Errors
/// What RFC 7606 still answers with a reset.
pub(super) fn update(
    body: Reader<'_>,
    context: &DecodeContext,
    path_ids: PathIds,
    faults: &mut Faults,
) -> Result<Update, Refusal> {
    // RFC 7606 §3(b): lengths that contradict the message's.
    let fields = fields(body).map_err(|error| reset(MALFORMED_ATTRIBUTE_LIST, &[], error))?;
    let legacy = !fields.withdrawn.is_empty() || !fields.nlri.is_empty();
    if !legacy && fields.attributes.is_empty() {
        let family = Family::IPV4_UNICAST;
        let end_of_rib = context.families.contains(family).then_some(family);
        return Ok(Update { end_of_rib, ..Update::default() });
    }
    ipv4_unicast(fields.withdrawn, "withdrawn routes", context, faults)?;
    ipv4_unicast(fields.nlri, "NLRI", context, faults)?;
    let mut found = collect(fields.attributes, context, faults)?;
    let unreach = match found.mp_unreach.take() {
        Some(attribute) => mp::unreach(attribute, context, path_ids, faults)?,
        None => mp::Unreach::default(),
    };
    let reach = match found.mp_reach.take() {
        Some(attribute) => mp::reach(attribute, context, path_ids, faults)?,
        None => mp::Reach::default(),
    };
    // RFC 7606 §5.2: attributes with an error and no route to go with them, so the routes may be
    // what the error has hidden.
    let names_routes = reach.names_routes || !fields.nlri.is_empty();
    if found.others && !names_routes && faults.action >= Action::TreatAsWithdraw {
        let hidden =
            || fields.attributes.error("path attributes without a route", ErrorKind::Conflict);
        let error = faults.first_of(Action::TreatAsWithdraw).unwrap_or_else(hidden);
        return Err(reset(MALFORMED_ATTRIBUTE_LIST, &[], error));
    }
    // RFC 4724 §2: nothing but an MP_UNREACH_NLRI without routes.
    let end_of_rib = unreach.empty.filter(|_| !legacy && !found.others);
    let mut update = Update { end_of_rib, ..Update::default() };
    if let Some(routes) = unreach.ours {
        update.withdrawn = routes.withdrawn;
    }
    if let Some((next_hop, routes)) = reach.ours {
        update.withdrawn.extend(routes.withdrawn);
        update.announced = routes.announced;
        if !update.announced.is_empty() {
            let attributes = found.into_attributes(next_hop, fields.attributes, faults);
            update.attributes = attributes.map(Arc::new);
        }
    }
    Ok(settled(update, faults))
}

/// The update with what its errors demand taken off it.
fn settled(mut update: Update, faults: &mut Faults) -> Update {
    match faults.action {
        Action::Accept | Action::DiscardAttribute | Action::DiscardNlri => {}
        Action::TreatAsWithdraw => {
            update.attributes = None;
            let announced = std::mem::take(&mut update.announced);
            update.withdrawn.extend(announced.into_iter().map(|route| route.key));
        }
        Action::DisableAfiSafi | Action::ResetSession => update = Update::default(),
    }
    update.action = faults.worst();
    update.errors = std::mem::take(&mut faults.errors);
    update
}

/// The two fields of RFC 4271 that hold IPv4 unicast routes, which this version does not take.
/// Their form is checked (RFC 7606 §5.3), since an error there could hide what follows; unless the
/// family was agreed on it costs only themselves.
fn ipv4_unicast(
    field: Reader<'_>,
    name: &'static str,
    context: &DecodeContext,
    faults: &mut Faults,
) -> Result<(), Refusal> {
    if field.is_empty() {
        return Ok(());
    }
    let walked = walk_ipv4(field, name);
    if context.families.contains(Family::IPV4_UNICAST) {
        return walked.map_err(|error| reset(INVALID_NETWORK, &[], error));
    }
    let Family { afi, safi } = Family::IPV4_UNICAST;
    let unasked = field.error(name, ErrorKind::NotNegotiated { afi, safi });
    faults.note(walked.err().unwrap_or(unasked), Action::DiscardNlri);
    Ok(())
}

fn walk_ipv4(mut field: Reader<'_>, name: &'static str) -> Result<(), WireError> {
    while !field.is_empty() {
        let at = field;
        let bits = field.u8(name)?;
        if bits > IPV4_BITS {
            return Err(at.error(name, ErrorKind::BadValue(bits.into())));
        }
        field.take(usize::from(bits.div_ceil(8)), name)?;
    }
    Ok(())
}
