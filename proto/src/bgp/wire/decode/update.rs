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
use super::nlri::{Direction, PathIds, Routes, Run, routes};
use crate::bgp::attributes::PathAttributes;
use crate::bgp::message::{Classic, Update};
use crate::bgp::wire::codes::update::{INVALID_NETWORK, MALFORMED_ATTRIBUTE_LIST};
use crate::bgp::wire::error::{Action, ErrorKind, WireError};
use crate::bgp::wire::reader::Reader;
use crate::bgp::wire::{DecodeContext, FamilySet};
use crate::types::{Family, Label, MacAddr, Route, RouteKey};
use std::sync::Arc;

pub(super) struct Fields<'a> {
    pub(super) withdrawn: Reader<'a>,
    pub(super) attributes: Reader<'a>,
    pub(super) nlri: Reader<'a>,
}

/// The three fields of an UPDATE's body.
pub(super) fn fields(mut body: Reader<'_>) -> Result<Fields<'_>, WireError> {
    let length = body.u16("withdrawn routes length")?;
    let withdrawn = body.take(length.into(), "withdrawn routes")?;
    let length = body.u16("total path attribute length")?;
    let attributes = body.take(length.into(), "path attributes")?;
    Ok(Fields { withdrawn, attributes, nlri: body })
}

/// Reads the body of an UPDATE. What is wrong is in the UPDATE, or, where there is none, in
/// `faults` and the error.
///
/// # Errors
/// What RFC 7606 still answers with a reset.
pub(super) fn update(
    body: Reader<'_>,
    context: &DecodeContext,
    faults: &mut Faults,
) -> Result<Update, Refusal> {
    // RFC 7606 §3(b): lengths that contradict the message's.
    let fields = fields(body).map_err(|error| reset(MALFORMED_ATTRIBUTE_LIST, &[], error))?;
    let is_classic = !fields.withdrawn.is_empty() || !fields.nlri.is_empty();
    if !is_classic && fields.attributes.is_empty() {
        let family = Family::IPV4_UNICAST;
        let end_of_rib = context.families.contains(family).then_some(family);
        return Ok(Update { end_of_rib, ..Update::default() });
    }
    let gone = classic(fields.withdrawn, Direction::Withdrawn, context, faults)?;
    let come = classic(fields.nlri, Direction::Announced, context, faults)?;
    let mut found = collect(fields.attributes, context, faults)?;
    let unreach = match found.mp_unreach.take() {
        Some(attribute) => mp::unreach(attribute, context, faults)?,
        None => mp::Unreach::default(),
    };
    let reach = match found.mp_reach.take() {
        Some(attribute) => mp::reach(attribute, context, faults)?,
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
    let end_of_rib = unreach.empty.filter(|_| !is_classic && !found.others);
    let mut update = Update { end_of_rib, ..Update::default() };
    for routes in [gone, unreach.ours].into_iter().flatten() {
        update.withdraw(routes.withdrawn, routes.withdrawn_ids);
    }
    let list = fields.attributes;
    if let Some(routes) = come {
        update.withdraw(routes.withdrawn, routes.withdrawn_ids);
        if !routes.announced.is_empty() {
            // Routes of MP_REACH_NLRI in the same message need it too.
            let set = match reach.ours {
                Some(_) => found.clone(),
                None => std::mem::take(&mut found),
            };
            let attributes = set.for_classic(list, faults).map(Arc::new);
            update.announce_classic(attributes, routes.announced, routes.announced_ids);
        }
    }
    if let Some((next_hop, routes)) = reach.ours {
        update.withdraw(routes.withdrawn, routes.withdrawn_ids);
        update.announced = routes.announced;
        update.path_ids.announced = routes.announced_ids;
        if !update.announced.is_empty() {
            update.attributes = found.into_attributes(next_hop, list, faults).map(Arc::new);
            update.withdraw_prefixes_without_a_way(list, faults);
        }
    }
    Ok(settled(update, faults))
}

impl Update {
    fn withdraw(&mut self, keys: Vec<RouteKey>, path_ids: Vec<u32>) {
        // A session agrees on path identifiers for each family: where some of the routes have them
        // and others have not, those that have not count as identifier 0.
        if !path_ids.is_empty() || !self.path_ids.withdrawn.is_empty() {
            self.path_ids.withdrawn.resize(self.withdrawn.len(), 0);
            self.path_ids.withdrawn.extend(path_ids);
        }
        self.withdrawn.extend(keys);
        if !self.path_ids.withdrawn.is_empty() {
            self.path_ids.withdrawn.resize(self.withdrawn.len(), 0);
        }
    }

    /// The routes of families that are given up go as a whole.
    fn drop_withdrawn_of(&mut self, families: FamilySet) {
        let is_kept = |key: &RouteKey| !families.contains(key.family());
        let keep: Vec<bool> = self.withdrawn.iter().map(is_kept).collect();
        let (mut of_keys, mut of_ids) = (keep.iter(), keep.iter());
        self.withdrawn.retain(|_| of_keys.next().is_some_and(|keep| *keep));
        self.path_ids.withdrawn.retain(|_| of_ids.next().is_some_and(|keep| *keep));
    }

    /// RFC 9136 §3: type 5 routes of which nobody could tell where packets go count as withdrawn. The
    /// other routes have no part in it.
    fn withdraw_prefixes_without_a_way(&mut self, list: Reader<'_>, faults: &mut Faults) {
        let Some(attributes) = self.attributes.clone() else { return };
        let wrong = |route: &Route| no_way(route, &attributes);
        let Some(field) = self.announced.iter().find_map(wrong) else { return };
        faults.note_routes(list.error(field, ErrorKind::Conflict), Action::TreatAsWithdraw);
        let (mut bad, mut bad_ids) = (Vec::new(), Vec::new());
        let ids = std::mem::take(&mut self.path_ids.announced);
        let mut ids = ids.into_iter();
        for route in std::mem::take(&mut self.announced) {
            let id = ids.next();
            if wrong(&route).is_some() {
                bad.push(route.key);
                bad_ids.extend(id);
            } else {
                self.announced.push(route);
                self.path_ids.announced.extend(id);
            }
        }
        self.withdraw(bad, bad_ids);
        if self.announced.is_empty() {
            self.attributes = None;
        }
    }

    /// Without attributes (RFC 7606 §3(d)) the routes count as withdrawn.
    fn announce_classic(
        &mut self,
        attributes: Option<Arc<PathAttributes>>,
        routes: Vec<Route>,
        path_ids: Vec<u32>,
    ) {
        match attributes {
            Some(attributes) => {
                self.classic = Some(Classic { attributes, announced: routes });
                self.path_ids.classic = path_ids;
            }
            None => self.withdraw(routes.into_iter().map(|route| route.key).collect(), path_ids),
        }
    }
}

/// What is missing of a type 5 route (RFC 9136 sections 3.1 and 3.2). With a gateway the router's MAC
/// says nothing; a segment, or a MAC, may stand in for the label.
fn no_way(route: &Route, attributes: &PathAttributes) -> Option<&'static str> {
    if !matches!(route.key, RouteKey::IpPrefix { .. }) || route.gateway.is_some() {
        return None;
    }
    let mac = attributes.router_mac();
    if mac.is_some_and(MacAddr::is_multicast) {
        return Some("router's MAC of an IP prefix route");
    }
    let has_index = !route.esi.is_zero() || mac.is_some_and(MacAddr::is_host);
    let has_label = route.label1 != Label::from_octets([0; 3]);
    (!has_label && !has_index).then_some("label of an IP prefix route")
}

/// The update with what its errors demand taken off it.
fn settled(mut update: Update, faults: &mut Faults) -> Update {
    match faults.action {
        Action::Accept | Action::DiscardAttribute | Action::DiscardNlri => {}
        Action::TreatAsWithdraw | Action::DisableAfiSafi => {
            update.attributes = None;
            let keys = |routes: Vec<Route>| routes.into_iter().map(|route| route.key).collect();
            if let Some(classic) = update.classic.take() {
                let ids = std::mem::take(&mut update.path_ids.classic);
                update.withdraw(keys(classic.announced), ids);
            }
            let announced = std::mem::take(&mut update.announced);
            let ids = std::mem::take(&mut update.path_ids.announced);
            update.withdraw(keys(announced), ids);
            update.disabled = faults.disabled;
            if !update.disabled.is_empty() {
                update.end_of_rib = None;
                update.drop_withdrawn_of(update.disabled);
            }
        }
        Action::ResetSession => update = Update::default(),
    }
    update.action = faults.worst();
    update.errors = std::mem::take(&mut faults.errors);
    update
}

/// The two fields of RFC 4271 that hold IPv4 unicast routes. RFC 7606 §5.3 resets for an error in
/// their form, whether or not the family was agreed on: fields that cannot be read may as well be
/// something else's.
fn classic(
    field: Reader<'_>,
    direction: Direction,
    context: &DecodeContext,
    faults: &mut Faults,
) -> Result<Option<Routes>, Refusal> {
    let family = Family::IPV4_UNICAST;
    if field.is_empty() {
        return Ok(None);
    }
    let path_ids = PathIds::of(family, context);
    let read = routes(Run { rest: field, family, path_ids }, direction);
    let found = read.map_err(|error| reset(INVALID_NETWORK, &[], error))?;
    if context.families.contains(family) {
        faults.absorb_routes(&found);
        return Ok(Some(found));
    }
    let name = match direction {
        Direction::Announced => "NLRI",
        Direction::Withdrawn => "withdrawn routes",
    };
    let kind = ErrorKind::NotNegotiated { afi: family.afi, safi: family.safi };
    faults.note(field.error(name, kind), Action::DiscardNlri);
    Ok(None)
}
