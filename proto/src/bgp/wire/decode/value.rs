//! What single attributes say: their values, one by one (RFC 4271 section 4.3 and the RFC of each).
//!
//! **A value is read here and nowhere else, for a session as for whoever only looks.**
//!
//! What an error in it costs, and what attributes say together, is [`super::attributes`]' business.

use super::as_path::{as_path, is_confederation};
use crate::bgp::aigp;
use crate::bgp::attributes::{
    AsPath, AttributeValue, Community, ExtCommunity, Ipv6ExtCommunity, LargeCommunity, Origin,
    PmsiTunnel, RawAttribute, Tlv, Tunnel,
};
use crate::bgp::message::Family;
use crate::bgp::wire::codes::attribute::{self as code, TLV_HEAD};
use crate::bgp::wire::error::{ErrorKind, WireError};
use crate::bgp::wire::reader::{Reader, leaf};
use crate::bgp::wire::{AsWidth, DecodeContext, SessionKind};
use crate::types::Asn;
use bytes::Bytes;
use nom::Parser;
use nom::number::complete::{be_u8, be_u16, be_u32};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Octets of the AIGP TLV with its head (RFC 7311 section 3).
const AIGP_METRIC_LENGTH: usize = 11;
/// From this type on, the length of a tunnel's sub-TLV takes two octets (RFC 9012 section 2).
const LONG_SUB_TLV: u8 = 128;

/// An attribute's name in its RFC's words; one that is not known has none.
pub(super) const fn known_name(code: u8) -> Option<&'static str> {
    Some(match code {
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
        code::EXT_COMMUNITIES => "EXTENDED_COMMUNITIES",
        code::AS4_PATH => "AS4_PATH",
        code::AS4_AGGREGATOR => "AS4_AGGREGATOR",
        code::PMSI_TUNNEL => "PMSI_TUNNEL",
        code::TUNNEL_ENCAPSULATION => "TUNNEL_ENCAPSULATION",
        code::IPV6_EXT_COMMUNITIES => "IPV6_EXTENDED_COMMUNITIES",
        code::AIGP => "AIGP",
        code::LARGE_COMMUNITIES => "LARGE_COMMUNITY",
        code::ONLY_TO_CUSTOMER => "ONLY_TO_CUSTOMER",
        code::PREFIX_SID => "PREFIX_SID",
        _ => return None,
    })
}

/// An attribute's name, for errors.
pub(super) const fn name(code: u8) -> &'static str {
    match known_name(code) {
        Some(name) => name,
        None => "path attribute",
    }
}

/// Reads the value of an attribute; none where the code is not known.
pub(super) fn value(
    code: u8,
    octets: Reader<'_>,
    context: &DecodeContext,
) -> Result<Option<AttributeValue>, WireError> {
    let field = name(code);
    Ok(Some(match code {
        code::ORIGIN => AttributeValue::Origin(origin(octets)?),
        code::AS_PATH => AttributeValue::AsPath(checked_as_path(octets, context)?),
        code::NEXT_HOP => AttributeValue::NextHop(Ipv4Addr::from(octets.exactly::<4>(field)?)),
        code::MED => AttributeValue::Med(octets.parse(field, be_u32)?),
        code::LOCAL_PREF => AttributeValue::LocalPref(octets.parse(field, be_u32)?),
        code::ATOMIC_AGGREGATE => {
            octets.exactly::<0>(field)?;
            AttributeValue::AtomicAggregate
        }
        code::AGGREGATOR => {
            let (asn, router) = aggregator(octets, context.as_width, field)?;
            AttributeValue::Aggregator { asn, router }
        }
        code::AS4_AGGREGATOR => {
            let (asn, router) = aggregator(octets, AsWidth::Four, field)?;
            AttributeValue::As4Aggregator { asn, router }
        }
        code::AS4_PATH => {
            // RFC 6793 §6: it holds at least one number; confederation segments in it are dropped,
            // the rest is used.
            if octets.is_empty() {
                return Err(octets.bad_length(field));
            }
            let mut path = as_path(octets, AsWidth::Four)?;
            path.segments.retain(|segment| !is_confederation(segment));
            AttributeValue::As4Path(path)
        }
        code::ORIGINATOR_ID => {
            AttributeValue::OriginatorId(Ipv4Addr::from(octets.exactly::<4>(field)?))
        }
        code::ONLY_TO_CUSTOMER => AttributeValue::OnlyToCustomer(only_to_customer(octets)?),
        code::PMSI_TUNNEL => AttributeValue::Pmsi(pmsi(octets)?),
        code::TUNNEL_ENCAPSULATION => AttributeValue::TunnelEncapsulation(tunnels(octets)?),
        code::AIGP => AttributeValue::Aigp(aigp(octets)?),
        code::PREFIX_SID => AttributeValue::PrefixSid(prefix_sid(octets)?),
        code::MP_REACH_NLRI => mp_reach(octets)?,
        code::MP_UNREACH_NLRI => {
            let mut nlri = octets;
            let family = family(&mut nlri)?;
            AttributeValue::MpUnreach { family, nlri: Bytes::copy_from_slice(nlri.octets()) }
        }
        _ => return list(code, octets),
    }))
}

/// What an attribute says that is [relayed](crate::bgp::attributes::PathAttributes::unknown); none
/// where its code is not known.
pub fn relayed(raw: &RawAttribute) -> Option<AttributeValue> {
    // AGGREGATOR is kept with a 4-octet AS, and no other form depends on a session.
    let context = DecodeContext { as_width: AsWidth::Four, ..DecodeContext::INITIAL };
    value(raw.code, Reader::new(&raw.value), &context).ok().flatten()
}

/// Attributes that are nothing but a list: RFC 7606 §7 has each be of at least one item.
fn list(code: u8, octets: Reader<'_>) -> Result<Option<AttributeValue>, WireError> {
    let field = name(code);
    Ok(Some(match code {
        code::COMMUNITIES => {
            let groups = octets.groups::<4>(field)?.iter();
            let community = |o: &[u8; 4]| Community(u32::from_be_bytes(*o));
            AttributeValue::Communities(groups.map(community).collect())
        }
        code::CLUSTER_LIST => {
            let groups = octets.groups::<4>(field)?.iter();
            AttributeValue::ClusterList(groups.map(|o| Ipv4Addr::from(*o)).collect())
        }
        code::EXT_COMMUNITIES => {
            let groups = octets.groups::<8>(field)?.iter();
            AttributeValue::ExtCommunities(groups.map(|o| ExtCommunity(*o)).collect())
        }
        code::IPV6_EXT_COMMUNITIES => {
            let groups = octets.groups::<20>(field)?.iter();
            AttributeValue::Ipv6ExtCommunities(groups.map(|o| Ipv6ExtCommunity(*o)).collect())
        }
        code::LARGE_COMMUNITIES => {
            let groups = octets.groups::<12>(field)?.iter();
            AttributeValue::LargeCommunities(groups.map(large_community).collect())
        }
        _ => return Ok(None),
    }))
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

fn aggregator(
    value: Reader<'_>,
    width: AsWidth,
    field: &'static str,
) -> Result<(Asn, Ipv4Addr), WireError> {
    let (asn, router) = match width {
        AsWidth::Two => value.parse(field, (be_u16.map(u32::from), be_u32))?,
        AsWidth::Four => value.parse(field, (be_u32, be_u32))?,
    };
    // RFC 7607 §2: AS 0 makes it malformed.
    if asn == 0 {
        return Err(value.error(field, ErrorKind::BadValue(0)));
    }
    Ok((Asn(asn), Ipv4Addr::from(router)))
}

fn large_community(octets: &[u8; 12]) -> LargeCommunity {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *octets;
    LargeCommunity {
        global: u32::from_be_bytes([a, b, c, d]),
        local1: u32::from_be_bytes([e, f, g, h]),
        local2: u32::from_be_bytes([i, j, k, l]),
    }
}

/// RFC 9234 §5 makes another length malformed; AS 0 is nobody's (RFC 7607) but is not told to be
/// an error there.
fn only_to_customer(value: Reader<'_>) -> Result<Asn, WireError> {
    value.exactly::<4>("ONLY_TO_CUSTOMER").map(|octets| Asn(u32::from_be_bytes(octets)))
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
    let fits = match tunnel_type {
        // RSVP-TE: extended tunnel id, reserved, tunnel id, P2MP id (RFC 4875 §19.1).
        1 => matches!(value.len(), 12 | 24),
        2 | 7 => is_fec_element(value).unwrap_or(false),
        // PIM: a source and a group.
        3..=5 => matches!(value.len(), 8 | 32),
        // Replication, and assisted replication (RFC 9574 §4): an address.
        PmsiTunnel::INGRESS_REPLICATION | 0x0a => matches!(value.len(), 4 | 16),
        // Others that IANA has given out (RFC 7385 and after), and from 0x7b on experimental ones
        // and composites (RFC 8317 §4).
        0 | 8 | 0x0b..=0x0d | 0x7b.. => true,
        other => return Err(whole.error("PMSI_TUNNEL's type", ErrorKind::BadValue(other.into()))),
    };
    if !fits {
        return Err(whole.bad_length("PMSI_TUNNEL's tunnel identifier"));
    }
    let identifier = Bytes::copy_from_slice(value.octets());
    Ok(PmsiTunnel { flags, tunnel_type, label, identifier })
}

/// Whether this is an element of multipoint LDP (RFC 6388 §2.2).
///
/// ```text
/// type (1) | address family (2) | address length (1) | root | opaque length (2) | opaque value
/// ```
fn is_fec_element(mut value: Reader<'_>) -> Result<bool, WireError> {
    const FIELD: &str = "FEC element";
    value.take(3, FIELD)?;
    let root = value.u8(FIELD)?;
    value.take(root.into(), FIELD)?;
    let opaque = value.u16(FIELD)?;
    value.take(opaque.into(), FIELD)?;
    Ok(value.is_empty())
}

/// RFC 9012 §2. Only the framing is checked: what a tunnel says is for whoever sends packets into
/// it, and evpnd takes the encapsulation community's word.
///
/// ```text
/// tunnel type (2) | length (2) | { type (1) | length (1; from type 128 on 2) | value } ...
/// ```
fn tunnels(mut value: Reader<'_>) -> Result<Vec<Tunnel>, WireError> {
    const FIELD: &str = "TUNNEL_ENCAPSULATION";
    // RFC 9012 §13: without a tunnel it is malformed.
    if value.is_empty() {
        return Err(value.bad_length(FIELD));
    }
    let mut tunnels = Vec::new();
    while !value.is_empty() {
        let tunnel_type = value.u16("tunnel type")?;
        let length = value.u16("tunnel length")?;
        let mut tunnel = value.take(length.into(), "tunnel")?;
        let mut sub_tlvs = Vec::new();
        while !tunnel.is_empty() {
            let kind = tunnel.u8("tunnel sub-TLV")?;
            let length = if kind < LONG_SUB_TLV {
                usize::from(tunnel.u8("tunnel sub-TLV's length")?)
            } else {
                usize::from(tunnel.u16("tunnel sub-TLV's length")?)
            };
            let value = tunnel.take(length, "tunnel sub-TLV")?;
            sub_tlvs.push(Tlv { kind, value: Bytes::copy_from_slice(value.octets()) });
        }
        tunnels.push(Tunnel { tunnel_type, sub_tlvs });
    }
    Ok(tunnels)
}

/// RFC 7311 §3: TLVs whose length counts their head; that of the metric is 11, and all must fit.
fn aigp(mut value: Reader<'_>) -> Result<Vec<Tlv>, WireError> {
    const FIELD: &str = "AIGP";
    if value.is_empty() {
        return Err(value.bad_length(FIELD));
    }
    let (mut tlvs, mut has_metric) = (Vec::new(), false);
    while !value.is_empty() {
        let at = value;
        let kind = value.u8("AIGP TLV")?;
        let length = usize::from(value.u16("AIGP TLV's length")?);
        if length < TLV_HEAD || (kind == aigp::METRIC && length != AIGP_METRIC_LENGTH) {
            let told = u16::try_from(length).unwrap_or(u16::MAX);
            return Err(at.error("AIGP TLV's length", ErrorKind::BadLength(told)));
        }
        let octets = value.take(length.saturating_sub(TLV_HEAD), "AIGP TLV")?;
        // RFC 7311 §3.2: a first metric of all ones makes it malformed.
        let is_first = kind == aigp::METRIC && !std::mem::replace(&mut has_metric, true);
        if is_first && octets.octets().iter().all(|octet| *octet == 0xff) {
            return Err(at.error("AIGP metric", ErrorKind::BadValue(u32::MAX)));
        }
        tlvs.push(Tlv { kind, value: Bytes::copy_from_slice(octets.octets()) });
    }
    Ok(tlvs)
}

/// RFC 8669 §3 and §6: TLVs whose length does not count their head, at least one.
fn prefix_sid(mut value: Reader<'_>) -> Result<Vec<Tlv>, WireError> {
    const FIELD: &str = "PREFIX_SID";
    if value.is_empty() {
        return Err(value.bad_length(FIELD));
    }
    let mut tlvs = Vec::new();
    while !value.is_empty() {
        let kind = value.u8("PREFIX_SID TLV")?;
        let length = value.u16("PREFIX_SID TLV's length")?;
        let octets = value.take(length.into(), "PREFIX_SID TLV")?;
        tlvs.push(Tlv { kind, value: Bytes::copy_from_slice(octets.octets()) });
    }
    Ok(tlvs)
}

fn family(value: &mut Reader<'_>) -> Result<Family, WireError> {
    let [a, b, safi] = value.array("address family")?;
    Ok(Family { afi: u16::from_be_bytes([a, b]), safi })
}

/// MP_REACH_NLRI of any family; what a session checks beyond this of its own families is in
/// [`super::mp`].
fn mp_reach(mut value: Reader<'_>) -> Result<AttributeValue, WireError> {
    let family = family(&mut value)?;
    let length = value.u8("next hop length")?;
    let hop = value.take(length.into(), "next hop")?;
    value.u8("reserved octet")?;
    let addresses = match *hop.octets() {
        [a, b, c, d] => vec![IpAddr::V4(Ipv4Addr::new(a, b, c, d))],
        _ => match hop.octets().as_chunks::<16>() {
            (groups, []) => groups.iter().map(|o| IpAddr::V6(Ipv6Addr::from(*o))).collect(),
            _ => Vec::new(),
        },
    };
    let next_hop = Bytes::copy_from_slice(hop.octets());
    Ok(AttributeValue::MpReach {
        family,
        next_hop,
        addresses,
        nlri: Bytes::copy_from_slice(value.octets()),
    })
}
