//! The path attributes of an UPDATE, all but the NLRI in them (RFC 4271 section 4.3, RFC 7606
//! sections 3, 4 and 7).
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

use super::as_path::{as_path, is_confederation, merged};
use super::faults::{Faults, reset};
use crate::bgp::attributes::{
    AsPath, Community, ExtCommunity, Origin, PathAttributes, PmsiTunnel, RawAttribute,
};
use crate::bgp::message::Notification;
use crate::bgp::wire::codes::attribute::{self as code, FLAG_OPTIONAL, FLAG_TRANSITIVE};
use crate::bgp::wire::codes::update;
use crate::bgp::wire::error::{Action, ErrorKind, WireError};
use crate::bgp::wire::reader::{Reader, leaf};
use crate::bgp::wire::{AsWidth, DecodeContext, SessionKind};
use crate::types::AS_TRANS;
use bytes::{BufMut, Bytes, BytesMut};
use nom::Parser;
use nom::number::complete::{be_u8, be_u16, be_u32};
use std::net::{IpAddr, Ipv4Addr};

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
    asn: u32,
    router: [u8; 4],
}

/// What the attributes say, before it is known whether they are all there.
#[derive(Default)]
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
) -> Result<Collected<'a>, Notification> {
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
            // RFC 7606 §3(g): twice is fatal for these two, and idle for all others.
            if matches!(next.code, code::MP_REACH_NLRI | code::MP_UNREACH_NLRI) {
                return Err(reset(update::MALFORMED_ATTRIBUTE_LIST, &[]));
            }
            let error = next.value.error(name(next.code), ErrorKind::Duplicate);
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
fn overrun(at: Reader<'_>, error: WireError, faults: &mut Faults) -> Result<(), Notification> {
    if let [_, code::MP_REACH_NLRI | code::MP_UNREACH_NLRI, ..] = at.octets() {
        return Err(reset(update::MALFORMED_ATTRIBUTE_LIST, &[]));
    }
    faults.note(error, Action::TreatAsWithdraw);
    Ok(())
}

fn next<'a>(list: &mut Reader<'a>) -> Result<Attribute<'a>, WireError> {
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
        // RFC 7606 §7.1 to §7.5. NEXT_HOP is checked and not used (RFC 4760 §3).
        code::ORIGIN | code::AS_PATH | code::NEXT_HOP | code::LOCAL_PREF => {
            (WELL_KNOWN, TreatAsWithdraw)
        }
        code::MED => (FLAG_OPTIONAL, TreatAsWithdraw),
        // RFC 7606 §3(f), §7.6, §7.7; RFC 6793 §6.
        code::ATOMIC_AGGREGATE => (WELL_KNOWN, DiscardAttribute),
        code::AGGREGATOR | code::AS4_PATH | code::AS4_AGGREGATOR => (RELAYED, DiscardAttribute),
        // RFC 7606 §7.9, §7.10.
        code::ORIGINATOR_ID | code::CLUSTER_LIST => (FLAG_OPTIONAL, TreatAsWithdraw),
        // RFC 7606 §7.8, §7.14, §7.15; RFC 8092 §6; RFC 9234 §5; RFC 6514 §5.
        code::COMMUNITIES
        | code::EXT_COMMUNITIES
        | code::IPV6_EXT_COMMUNITIES
        | code::LARGE_COMMUNITIES
        | code::ONLY_TO_CUSTOMER
        | code::PMSI_TUNNEL => (RELAYED, TreatAsWithdraw),
        // Their errors are judged where they are read.
        code::MP_REACH_NLRI | code::MP_UNREACH_NLRI => (FLAG_OPTIONAL, Action::DisableAfiSafi),
        _ => return None,
    };
    Some(Rule { flags, on_error })
}

const fn name(code: u8) -> &'static str {
    match code {
        code::ORIGIN => "ORIGIN",
        code::AS_PATH => "AS_PATH",
        code::NEXT_HOP => "NEXT_HOP",
        code::MED => "MULTI_EXIT_DISC",
        code::LOCAL_PREF => "LOCAL_PREF",
        code::ATOMIC_AGGREGATE => "ATOMIC_AGGREGATE",
        code::AGGREGATOR => "AGGREGATOR",
        code::COMMUNITIES => "COMMUNITIES",
        code::ORIGINATOR_ID => "ORIGINATOR_ID",
        code::CLUSTER_LIST => "CLUSTER_LIST",
        code::MP_REACH_NLRI => "MP_REACH_NLRI",
        code::MP_UNREACH_NLRI => "MP_UNREACH_NLRI",
        code::EXT_COMMUNITIES => "extended communities",
        code::AS4_PATH => "AS4_PATH",
        code::AS4_AGGREGATOR => "AS4_AGGREGATOR",
        code::PMSI_TUNNEL => "PMSI_TUNNEL",
        code::IPV6_EXT_COMMUNITIES => "IPv6 extended communities",
        code::LARGE_COMMUNITIES => "LARGE_COMMUNITY",
        code::ONLY_TO_CUSTOMER => "Only to Customer",
        _ => "path attribute",
    }
}

impl<'a> Collected<'a> {
    /// RFC 4271 §5: optional transitive attributes are passed on, other optional ones are dropped;
    /// §6.3, which RFC 7606 leaves as it is: a well-known one that is not known ends the session.
    fn keep_unrecognised(&mut self, next: &Attribute<'_>) -> Result<(), Notification> {
        match next.flags & RELAYED {
            RELAYED => self.unknown.push(next.raw()),
            FLAG_OPTIONAL => {}
            _ => return Err(reset(update::UNRECOGNIZED_WELL_KNOWN, next.whole)),
        }
        Ok(())
    }

    fn take(
        &mut self,
        next: Attribute<'a>,
        rule: Rule,
        context: &DecodeContext,
    ) -> Result<(), WireError> {
        let (value, field) = (next.value, name(next.code));
        match next.code {
            code::MP_REACH_NLRI => {
                self.mp_reach = Some(next);
                return Ok(());
            }
            code::MP_UNREACH_NLRI => {
                self.mp_unreach = Some(next);
                return Ok(());
            }
            _ => next.check_flags(rule.flags, field)?,
        }
        match next.code {
            code::ORIGIN => self.origin = Some(origin(value)?),
            code::AS_PATH => self.as_path = Some(checked_as_path(value, context)?),
            code::NEXT_HOP => value.exactly::<4>(field).map(drop)?,
            code::MED => self.med = Some(value.parse(field, be_u32)?),
            code::LOCAL_PREF => self.local_pref = Some(value.parse(field, be_u32)?),
            code::ATOMIC_AGGREGATE => {
                value.exactly::<0>(field)?;
                self.unknown.push(next.raw());
            }
            code::AGGREGATOR => self.aggregator = Some(aggregator(&next, context.as_width)?),
            code::AS4_AGGREGATOR => {
                self.as4_aggregator = Some(aggregator(&next, AsWidth::Four)?);
            }
            code::AS4_PATH => {
                // RFC 6793 §6: confederation segments in it are dropped, the rest is used.
                let mut path = as_path(value, AsWidth::Four)?;
                path.segments.retain(|segment| !is_confederation(segment));
                self.as4_path = Some(path);
            }
            code::COMMUNITIES => {
                let groups = value.groups::<4>(field)?.iter();
                self.communities = groups.map(|o| Community(u32::from_be_bytes(*o))).collect();
            }
            code::ORIGINATOR_ID => {
                self.originator_id = Some(Ipv4Addr::from(value.exactly::<4>(field)?));
            }
            code::CLUSTER_LIST => {
                let groups = value.groups::<4>(field)?.iter();
                self.cluster_list = groups.map(|o| Ipv4Addr::from(*o)).collect();
            }
            code::EXT_COMMUNITIES => {
                let groups = value.groups::<8>(field)?.iter();
                self.ext_communities = groups.map(|o| ExtCommunity(*o)).collect();
            }
            code::PMSI_TUNNEL => self.pmsi = Some(pmsi(value)?),
            _ => self.keep_checked(&next)?,
        }
        Ok(())
    }

    /// Attributes that are relayed as they came, once their length is right.
    fn keep_checked(&mut self, next: &Attribute<'_>) -> Result<(), WireError> {
        let field = name(next.code);
        match next.code {
            code::LARGE_COMMUNITIES => next.value.groups::<12>(field).map(drop)?,
            code::IPV6_EXT_COMMUNITIES => next.value.groups::<20>(field).map(drop)?,
            code::ONLY_TO_CUSTOMER => next.value.exactly::<4>(field).map(drop)?,
            _ => {}
        }
        self.unknown.push(next.raw());
        Ok(())
    }

    /// The set, once a route has claimed it. RFC 7606 §3(d): without ORIGIN or AS_PATH there is
    /// none, and its routes count as withdrawn. `list` says where they should have been.
    pub(super) fn into_attributes(
        self,
        next_hop: IpAddr,
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
        // RFC 6793 §4.2.3: where AGGREGATOR names a true AS, an older speaker has aggregated since,
        // and neither AS4 attribute is about this route any more.
        let stale = self.aggregator.is_some_and(|a| a.asn != u32::from(AS_TRANS));
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
            next_hop,
            med: self.med,
            local_pref: self.local_pref,
            communities: self.communities,
            ext_communities: self.ext_communities,
            originator_id: self.originator_id,
            cluster_list: self.cluster_list,
            pmsi: self.pmsi,
            unknown,
        })
    }
}

fn origin(value: Reader<'_>) -> Result<Origin, WireError> {
    match value.exactly::<1>("ORIGIN")? {
        [0] => Ok(Origin::Igp),
        [1] => Ok(Origin::Egp),
        [2] => Ok(Origin::Incomplete),
        [other] => Err(value.error("ORIGIN", ErrorKind::BadValue(other.into()))),
    }
}

fn checked_as_path(value: Reader<'_>, context: &DecodeContext) -> Result<AsPath, WireError> {
    let path = as_path(value, context.as_width)?;
    // RFC 5065 §5: confederation segments do not cross the confederation's border.
    let external = context.session == SessionKind::External;
    if external && path.segments.iter().any(is_confederation) {
        return Err(value.error("AS_PATH", ErrorKind::WrongSession));
    }
    Ok(path)
}

fn aggregator(next: &Attribute<'_>, width: AsWidth) -> Result<Aggregator, WireError> {
    let (value, field) = (next.value, name(next.code));
    let (asn, router) = match width {
        AsWidth::Two => value.parse(field, (be_u16.map(u32::from), be_u32))?,
        AsWidth::Four => value.parse(field, (be_u32, be_u32))?,
    };
    // RFC 7607 §2: AS 0 makes it malformed.
    if asn == 0 {
        return Err(value.error(field, ErrorKind::BadValue(0)));
    }
    Ok(Aggregator { flags: next.flags & FLAGS_KEPT, asn, router: router.to_be_bytes() })
}

impl Aggregator {
    fn merged(self, told: Option<Self>) -> Self {
        told.map_or(self, |told| Self { flags: self.flags, ..told })
    }

    /// With a 4-octet AS, whatever the neighbour's width.
    fn raw(self) -> RawAttribute {
        let mut value = BytesMut::with_capacity(8);
        value.put_u32(self.asn);
        value.put_slice(&self.router);
        RawAttribute { flags: self.flags, code: code::AGGREGATOR, value: value.freeze() }
    }
}

/// RFC 6514 §5: shorter than its fixed part, of an undefined type, or with an identifier that its
/// type cannot have, it is malformed.
///
/// ```text
/// flags (1) | tunnel type (1) | label (3) | tunnel identifier
/// ```
fn pmsi(mut value: Reader<'_>) -> Result<PmsiTunnel, WireError> {
    const FIELD: &str = "PMSI_TUNNEL";
    let whole = value;
    let head = value.take(5, FIELD)?;
    let (flags, tunnel_type, label) = head.parse(FIELD, (be_u8, be_u8, leaf::label))?;
    match tunnel_type {
        PmsiTunnel::INGRESS_REPLICATION if !matches!(value.len(), 4 | 16) => {
            return Err(whole.bad_length("PMSI_TUNNEL's tunnel identifier"));
        }
        // Those that IANA has given out (RFC 7385 and after), and from 0x7b on experimental ones
        // and composites (RFC 8317 §4).
        0..=8 | 0x0a..=0x0d | 0x7b.. => {}
        other => return Err(whole.error("PMSI_TUNNEL's type", ErrorKind::BadValue(other.into()))),
    }
    let identifier = Bytes::copy_from_slice(value.octets());
    Ok(PmsiTunnel { flags, tunnel_type, label, identifier })
}
