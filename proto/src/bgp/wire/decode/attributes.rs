//! The path attributes of an UPDATE together, all but the NLRI in them (RFC 4271 section 4.3, RFC
//! 7606 sections 3, 4 and 7).
//!
//! ```text
//! +----------------+----------------+--------------------+---------------- - -
//! | flags (1)      | code (1)       | length (1, or 2    | value
//! | O T P E 0000   |                | where flag E is 1) |
//! +----------------+----------------+--------------------+---------------- - -
//! ```
//!
//! **Each code is taken once, the first time, and every error costs what the RFC says for that code
//! and no more.**

use super::as_path::merged;
use super::faults::{Faults, Refusal, reset};
use super::mp::{NextHop, is_host};
use super::value::{name, value};
use crate::bgp::attributes::{
    AsPath, AttributeValue, Community, ExtCommunity, Origin, Partial, PathAttributes, PmsiTunnel,
    RawAttribute,
};
use crate::bgp::wire::codes::attribute::{self as code, FLAG_OPTIONAL, FLAG_TRANSITIVE};
use crate::bgp::wire::codes::update;
use crate::bgp::wire::error::{Action, ErrorKind, WireError};
use crate::bgp::wire::reader::Reader;
use crate::bgp::wire::{AsWidth, DecodeContext, SessionKind};
use crate::types::{AS_TRANS, Asn};
use bytes::{BufMut, Bytes, BytesMut};
use std::net::Ipv4Addr;

/// Flags of a well-known attribute.
const WELL_KNOWN: u8 = FLAG_TRANSITIVE;
/// Flags of an optional transitive attribute.
const RELAYED: u8 = FLAG_OPTIONAL | FLAG_TRANSITIVE;
/// Flags that are kept: the others are of the encoding.
const FLAGS_KEPT: u8 = RELAYED | code::FLAG_PARTIAL;

/// One attribute as it stands.
#[derive(Clone, Copy)]
pub(super) struct Attribute<'a> {
    pub(super) flags: u8,
    pub(super) code: u8,
    pub(super) value: Reader<'a>,
    /// With its header, as a NOTIFICATION quotes it.
    pub(super) whole: &'a [u8],
}

impl Attribute<'_> {
    /// RFC 7606 §3(c): only the optional and the transitive bit can conflict.
    pub(super) fn check_flags(&self, wanted: u8, field: &'static str) -> Result<(), WireError> {
        if self.flags & RELAYED == wanted {
            Ok(())
        } else {
            Err(self.value.error(field, ErrorKind::BadFlags(self.flags)))
        }
    }

    fn raw(&self) -> RawAttribute {
        let value = Bytes::copy_from_slice(self.value.octets());
        RawAttribute { flags: self.flags & FLAGS_KEPT, code: self.code, value }
    }
}

/// AGGREGATOR or AS4_AGGREGATOR (RFC 4271 section 5.1.7).
#[derive(Clone, Copy)]
struct Aggregator {
    flags: u8,
    asn: Asn,
    router: Ipv4Addr,
}

/// What the attributes say, before it is known whether they are all there.
#[derive(Clone, Default)]
pub(super) struct Collected<'a> {
    /// MP_REACH_NLRI, to be read by [`super::mp`].
    pub(super) mp_reach: Option<Attribute<'a>>,
    /// MP_UNREACH_NLRI, likewise.
    pub(super) mp_unreach: Option<Attribute<'a>>,
    /// Whether there is any attribute beside MP_UNREACH_NLRI.
    pub(super) others: bool,
    origin: Option<Origin>,
    as_path: Option<AsPath>,
    as4_path: Option<AsPath>,
    next_hop: Option<Ipv4Addr>,
    med: Option<u32>,
    local_pref: Option<u32>,
    communities: Vec<Community>,
    ext_communities: Vec<ExtCommunity>,
    originator_id: Option<Ipv4Addr>,
    cluster_list: Vec<Ipv4Addr>,
    pmsi: Option<PmsiTunnel>,
    aggregator: Option<Aggregator>,
    as4_aggregator: Option<Aggregator>,
    unknown: Vec<RawAttribute>,
    partial: Partial,
}

/// Reads the attribute list.
///
/// # Errors
/// What no milder action can mend: MP_REACH_NLRI or MP_UNREACH_NLRI twice or cut off, and a
/// well-known attribute that is not known.
pub(super) fn collect<'a>(
    mut list: Reader<'a>,
    context: &DecodeContext,
    faults: &mut Faults,
) -> Result<Collected<'a>, Refusal> {
    let mut found = Collected::default();
    let mut seen = [false; 256];
    while !list.is_empty() {
        let at = list;
        let next = match next(&mut list) {
            Ok(next) => next,
            Err(error) => {
                found.others = true;
                overrun(at, error, faults)?;
                break;
            }
        };
        found.others |= next.code != code::MP_UNREACH_NLRI;
        let first =
            seen.get_mut(usize::from(next.code)).is_some_and(|slot| !std::mem::replace(slot, true));
        if !first {
            let error = next.value.error(name(next.code), ErrorKind::Duplicate);
            // RFC 7606 §3(g): twice is fatal for these two, and idle for all others.
            if matches!(next.code, code::MP_REACH_NLRI | code::MP_UNREACH_NLRI) {
                return Err(reset(update::MALFORMED_ATTRIBUTE_LIST, &[], error));
            }
            faults.note(error, Action::DiscardAttribute);
            continue;
        }
        if is_misplaced(next.code, context) {
            let error = next.value.error(name(next.code), ErrorKind::WrongSession);
            faults.note(error, Action::DiscardAttribute);
            continue;
        }
        match rule(next.code) {
            None => found.keep_unrecognised(&next)?,
            Some(rule) => {
                if let Err(error) = found.take(next, rule, context) {
                    faults.note(error, rule.on_error);
                }
            }
        }
    }
    Ok(found)
}

/// RFC 7606 §7.5, §7.9, §7.10 and RFC 6793 §4.1: discarded, whatever is in it.
fn is_misplaced(code: u8, context: &DecodeContext) -> bool {
    match code {
        code::LOCAL_PREF | code::ORIGINATOR_ID | code::CLUSTER_LIST => {
            context.session == SessionKind::External
        }
        code::AS4_PATH | code::AS4_AGGREGATOR => context.as_width == AsWidth::Four,
        _ => false,
    }
}

/// RFC 7606 §4: the list ends within an attribute. Routes cannot be found if they were in it, since
/// then `Total Path Attribute Length` is no help (§3(j)).
fn overrun(at: Reader<'_>, error: WireError, faults: &mut Faults) -> Result<(), Refusal> {
    if let [_, code::MP_REACH_NLRI | code::MP_UNREACH_NLRI, ..] = at.octets() {
        return Err(reset(update::MALFORMED_ATTRIBUTE_LIST, &[], error));
    }
    faults.note(error, Action::TreatAsWithdraw);
    Ok(())
}

pub(super) fn next<'a>(list: &mut Reader<'a>) -> Result<Attribute<'a>, WireError> {
    let start = list.octets();
    let [flags, code] = list.array("attribute header")?;
    let length = if flags & code::FLAG_EXTENDED_LENGTH == 0 {
        usize::from(list.u8("attribute length")?)
    } else {
        usize::from(list.u16("attribute length")?)
    };
    let value = list.take(length, name(code))?;
    let whole = start.get(..start.len().saturating_sub(list.len())).unwrap_or_default();
    Ok(Attribute { flags, code, value, whole })
}

/// How an attribute that is known must look, and what it costs if it does not.
#[derive(Clone, Copy)]
struct Rule {
    flags: u8,
    on_error: Action,
}

const fn rule(code: u8) -> Option<Rule> {
    use Action::{DiscardAttribute, TreatAsWithdraw};
    let (flags, on_error) = match code {
        // RFC 7606 §7.1 to §7.5.
        code::ORIGIN | code::AS_PATH | code::NEXT_HOP | code::LOCAL_PREF => {
            (WELL_KNOWN, TreatAsWithdraw)
        }
        code::MED => (FLAG_OPTIONAL, TreatAsWithdraw),
        // RFC 7606 §3(f), §7.6, §7.7; RFC 6793 §6.
        code::ATOMIC_AGGREGATE => (WELL_KNOWN, DiscardAttribute),
        code::AGGREGATOR | code::AS4_PATH | code::AS4_AGGREGATOR => (RELAYED, DiscardAttribute),
        // RFC 7606 §7.9, §7.10.
        code::ORIGINATOR_ID | code::CLUSTER_LIST => (FLAG_OPTIONAL, TreatAsWithdraw),
        // RFC 7311 §3.2, RFC 8669 §6.
        code::AIGP => (FLAG_OPTIONAL, DiscardAttribute),
        code::PREFIX_SID => (RELAYED, DiscardAttribute),
        // RFC 7606 §7.8, §7.14, §7.15; RFC 8092 §6; RFC 9234 §5; RFC 6514 §5; RFC 9012 §13.
        code::COMMUNITIES
        | code::EXT_COMMUNITIES
        | code::IPV6_EXT_COMMUNITIES
        | code::LARGE_COMMUNITIES
        | code::ONLY_TO_CUSTOMER
        | code::PMSI_TUNNEL
        | code::TUNNEL_ENCAPSULATION => (RELAYED, TreatAsWithdraw),
        // Their errors are judged where they are read.
        code::MP_REACH_NLRI | code::MP_UNREACH_NLRI => (FLAG_OPTIONAL, Action::DisableAfiSafi),
        _ => return None,
    };
    Some(Rule { flags, on_error })
}

impl<'a> Collected<'a> {
    /// RFC 4271 §5: optional transitive attributes are passed on, other optional ones are dropped;
    /// §6.3, which RFC 7606 leaves as it is: a well-known one that is not known ends the session.
    fn keep_unrecognised(&mut self, next: &Attribute<'_>) -> Result<(), Refusal> {
        match next.flags & RELAYED {
            RELAYED => self.unknown.push(next.raw()),
            FLAG_OPTIONAL => {}
            _ => {
                let kind = ErrorKind::BadFlags(next.flags);
                let error = next.value.error("well-known attribute that is not known", kind);
                return Err(reset(update::UNRECOGNIZED_WELL_KNOWN, next.whole, error));
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        next: Attribute<'a>,
        rule: Rule,
        context: &DecodeContext,
    ) -> Result<(), WireError> {
        match next.code {
            code::MP_REACH_NLRI => {
                self.mp_reach = Some(next);
                return Ok(());
            }
            code::MP_UNREACH_NLRI => {
                self.mp_unreach = Some(next);
                return Ok(());
            }
            _ => next.check_flags(rule.flags, name(next.code))?,
        }
        let flags = next.flags & FLAGS_KEPT;
        let partial = flags & code::FLAG_PARTIAL != 0;
        match value(next.code, next.value, context)? {
            Some(AttributeValue::Origin(origin)) => self.origin = Some(origin),
            Some(AttributeValue::AsPath(path)) => self.as_path = Some(path),
            Some(AttributeValue::As4Path(path)) => self.as4_path = Some(path),
            Some(AttributeValue::Med(med)) => self.med = Some(med),
            Some(AttributeValue::LocalPref(value)) => self.local_pref = Some(value),
            Some(AttributeValue::Aggregator { asn, router }) => {
                self.aggregator = Some(Aggregator { flags, asn, router });
            }
            Some(AttributeValue::As4Aggregator { asn, router }) => {
                self.as4_aggregator = Some(Aggregator { flags, asn, router });
            }
            Some(AttributeValue::Communities(list)) => {
                (self.communities, self.partial.communities) = (list, partial);
            }
            Some(AttributeValue::ExtCommunities(list)) => {
                (self.ext_communities, self.partial.ext_communities) = (list, partial);
            }
            Some(AttributeValue::OriginatorId(id)) => self.originator_id = Some(id),
            Some(AttributeValue::ClusterList(list)) => self.cluster_list = list,
            Some(AttributeValue::Pmsi(pmsi)) => {
                (self.pmsi, self.partial.pmsi) = (Some(pmsi), partial);
            }
            // Of no use to the routes of MP_REACH_NLRI, which has its own (RFC 4760 §3).
            Some(AttributeValue::NextHop(hop)) => self.next_hop = Some(hop),
            // Relayed as they came, once they have been found well formed. Of these AIGP is not
            // transitive: whether it is taken is the session's to say (RFC 7311 §3.3).
            _ => self.unknown.push(next.raw()),
        }
        Ok(())
    }

    /// The set of the routes in the NLRI field. RFC 7606 §3(d): without NEXT_HOP they count as
    /// withdrawn, and so do those whose next hop cannot be a host's (RFC 4271 §6.3).
    pub(super) fn for_classic(
        self,
        list: Reader<'_>,
        faults: &mut Faults,
    ) -> Option<PathAttributes> {
        let kind = match self.next_hop {
            None => ErrorKind::Missing,
            Some(hop) if !is_host(hop.into()) => ErrorKind::Conflict,
            Some(hop) => {
                let next_hop = NextHop { address: hop.into(), link_local: None };
                return self.into_attributes(next_hop, list, faults);
            }
        };
        faults.note(list.error(name(code::NEXT_HOP), kind), Action::TreatAsWithdraw);
        None
    }

    /// The set, once a route has claimed it. RFC 7606 §3(d): without ORIGIN or AS_PATH there is
    /// none, and its routes count as withdrawn. `list` says where they should have been.
    pub(super) fn into_attributes(
        self,
        next_hop: NextHop,
        list: Reader<'_>,
        faults: &mut Faults,
    ) -> Option<PathAttributes> {
        for (missing, code) in
            [(self.origin.is_none(), code::ORIGIN), (self.as_path.is_none(), code::AS_PATH)]
        {
            if missing {
                let error = list.error(name(code), ErrorKind::Missing);
                faults.note(error, Action::TreatAsWithdraw);
            }
        }
        let (origin, as_path) = (self.origin?, self.as_path?);
        // RFC 6793 §4.2.3: where AGGREGATOR names a true AS beside an AS4_AGGREGATOR, an older speaker
        // has aggregated since, and neither AS4 attribute is about this route any more.
        let names_true_as = |a: Aggregator| a.asn != Asn(AS_TRANS.into());
        let stale = self.as4_aggregator.is_some() && self.aggregator.is_some_and(names_true_as);
        let as_path = match self.as4_path {
            Some(as4_path) if !stale => merged(as_path, as4_path),
            _ => as_path,
        };
        let mut unknown = self.unknown;
        if let Some(old) = self.aggregator {
            let told = self.as4_aggregator.filter(|_| !stale);
            unknown.push(old.merged(told).raw());
        }
        unknown.sort_unstable_by_key(|raw| raw.code);
        Some(PathAttributes {
            origin,
            as_path,
            next_hop: next_hop.address,
            link_local: next_hop.link_local,
            med: self.med,
            local_pref: self.local_pref,
            communities: self.communities,
            ext_communities: self.ext_communities,
            originator_id: self.originator_id,
            cluster_list: self.cluster_list,
            pmsi: self.pmsi,
            unknown,
            partial: self.partial,
        })
    }
}

impl Aggregator {
    fn merged(self, told: Option<Self>) -> Self {
        told.map_or(self, |told| Self { flags: self.flags, ..told })
    }

    /// With a 4-octet AS, whatever the neighbour's width.
    fn raw(self) -> RawAttribute {
        let mut value = BytesMut::with_capacity(8);
        value.put_u32(self.asn.0);
        value.put_slice(&self.router.octets());
        RawAttribute { flags: self.flags, code: code::AGGREGATOR, value: value.freeze() }
    }
}
