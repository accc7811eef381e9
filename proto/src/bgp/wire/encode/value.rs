//! Single attributes, head and value (RFC 4271 section 4.3 and the RFC of each).
//!
//! **What is written here is read back as the value that it was made from.**
//!
//! The attributes of a route are written by [`super::encode_attributes`], together and in order;
//! this is for those that stand alone: made for a test, or put among the
//! [relayed](crate::bgp::attributes::PathAttributes::unknown) ones.

use super::attributes::{OPTIONAL, RELAYED, WELL_KNOWN, path_length, put_head, put_path, put_pmsi};
use crate::bgp::attributes::{AttributeValue, Tlv, Tunnel};
use crate::bgp::message::Family;
use crate::bgp::wire::AsWidth;
use crate::bgp::wire::codes::attribute::{self as code, TLV_HEAD};
use crate::bgp::wire::error::EncodeError;
use crate::types::Asn;
use bytes::{BufMut, Bytes, BytesMut};
use std::net::Ipv4Addr;

/// From this type on, the length of a tunnel's sub-TLV takes two octets (RFC 9012 section 2).
const LONG_SUB_TLV: u8 = 128;

/// An attribute with its flags, code and length.
///
/// # Errors
/// A value, or a TLV in it, longer than its length field can say.
pub fn encode_attribute(value: &AttributeValue, width: AsWidth) -> Result<Bytes, EncodeError> {
    let (flags, code) = head(value);
    let mut octets = BytesMut::new();
    put_value(value, width, &mut octets).map_err(|length| too_long(code, length))?;
    let mut out = BytesMut::with_capacity(octets.len().saturating_add(4));
    put_head(flags, code, octets.len(), &mut out)?;
    out.put_slice(&octets);
    Ok(out.freeze())
}

const fn too_long(code: u8, length: usize) -> EncodeError {
    EncodeError::AttributeTooLong { code, length }
}

/// Flags and code.
const fn head(value: &AttributeValue) -> (u8, u8) {
    match value {
        AttributeValue::Origin(_) => (WELL_KNOWN, code::ORIGIN),
        AttributeValue::AsPath(_) => (WELL_KNOWN, code::AS_PATH),
        AttributeValue::NextHop(_) => (WELL_KNOWN, code::NEXT_HOP),
        AttributeValue::Med(_) => (OPTIONAL, code::MED),
        AttributeValue::LocalPref(_) => (WELL_KNOWN, code::LOCAL_PREF),
        AttributeValue::AtomicAggregate => (WELL_KNOWN, code::ATOMIC_AGGREGATE),
        AttributeValue::Aggregator { .. } => (RELAYED, code::AGGREGATOR),
        AttributeValue::Communities(_) => (RELAYED, code::COMMUNITIES),
        AttributeValue::OriginatorId(_) => (OPTIONAL, code::ORIGINATOR_ID),
        AttributeValue::ClusterList(_) => (OPTIONAL, code::CLUSTER_LIST),
        AttributeValue::MpReach { .. } => (OPTIONAL, code::MP_REACH_NLRI),
        AttributeValue::MpUnreach { .. } => (OPTIONAL, code::MP_UNREACH_NLRI),
        AttributeValue::ExtCommunities(_) => (RELAYED, code::EXT_COMMUNITIES),
        AttributeValue::As4Path(_) => (RELAYED, code::AS4_PATH),
        AttributeValue::As4Aggregator { .. } => (RELAYED, code::AS4_AGGREGATOR),
        AttributeValue::Pmsi(_) => (RELAYED, code::PMSI_TUNNEL),
        AttributeValue::TunnelEncapsulation(_) => (RELAYED, code::TUNNEL_ENCAPSULATION),
        AttributeValue::Ipv6ExtCommunities(_) => (RELAYED, code::IPV6_EXT_COMMUNITIES),
        AttributeValue::Aigp(_) => (OPTIONAL, code::AIGP),
        AttributeValue::LargeCommunities(_) => (RELAYED, code::LARGE_COMMUNITIES),
        AttributeValue::OnlyToCustomer(_) => (RELAYED, code::ONLY_TO_CUSTOMER),
        AttributeValue::PrefixSid(_) => (RELAYED, code::PREFIX_SID),
    }
}

/// Writes the value, or answers the length that no field can hold.
fn put_value(value: &AttributeValue, width: AsWidth, out: &mut BytesMut) -> Result<(), usize> {
    match value {
        AttributeValue::Origin(origin) => out.put_u8(*origin as u8),
        AttributeValue::AsPath(path) => {
            out.reserve(path_length(path, width));
            put_path(path, width, out);
        }
        AttributeValue::As4Path(path) => put_path(path, AsWidth::Four, out),
        AttributeValue::NextHop(ip) | AttributeValue::OriginatorId(ip) => {
            out.put_slice(&ip.octets());
        }
        AttributeValue::Med(number) | AttributeValue::LocalPref(number) => out.put_u32(*number),
        AttributeValue::OnlyToCustomer(asn) => out.put_u32(asn.0),
        AttributeValue::AtomicAggregate => {}
        AttributeValue::Aggregator { asn, router } => put_aggregator(*asn, *router, width, out),
        AttributeValue::As4Aggregator { asn, router } => {
            put_aggregator(*asn, *router, AsWidth::Four, out);
        }
        AttributeValue::Communities(list) => list.iter().for_each(|c| out.put_u32(c.0)),
        AttributeValue::ClusterList(list) => list.iter().for_each(|c| out.put_slice(&c.octets())),
        AttributeValue::ExtCommunities(list) => list.iter().for_each(|c| out.put_slice(&c.0)),
        AttributeValue::Ipv6ExtCommunities(list) => list.iter().for_each(|c| out.put_slice(&c.0)),
        AttributeValue::LargeCommunities(list) => {
            let numbers = list.iter().flat_map(|c| [c.global, c.local1, c.local2]);
            numbers.for_each(|number| out.put_u32(number));
        }
        AttributeValue::MpReach { family, next_hop, nlri, .. } => {
            put_family(*family, out);
            out.put_u8(u8::try_from(next_hop.len()).map_err(|_| next_hop.len())?);
            out.put_slice(next_hop);
            out.put_u8(0);
            out.put_slice(nlri);
        }
        AttributeValue::MpUnreach { family, nlri } => {
            put_family(*family, out);
            out.put_slice(nlri);
        }
        AttributeValue::Pmsi(pmsi) => put_pmsi(pmsi, out),
        AttributeValue::TunnelEncapsulation(tunnels) => {
            tunnels.iter().try_for_each(|tunnel| put_tunnel(tunnel, out))?;
        }
        AttributeValue::Aigp(tlvs) => {
            // RFC 7311 §3: the length counts type and length.
            tlvs.iter().try_for_each(|tlv| put_tlv(tlv, TLV_HEAD, out))?;
        }
        AttributeValue::PrefixSid(tlvs) => {
            tlvs.iter().try_for_each(|tlv| put_tlv(tlv, 0, out))?;
        }
    }
    Ok(())
}

fn put_family(family: Family, out: &mut BytesMut) {
    out.put_u16(family.afi);
    out.put_u8(family.safi);
}

fn put_aggregator(asn: Asn, router: Ipv4Addr, width: AsWidth, out: &mut BytesMut) {
    match width {
        AsWidth::Two => out.put_u16(asn.two_octet()),
        AsWidth::Four => out.put_u32(asn.0),
    }
    out.put_slice(&router.octets());
}

/// A TLV whose length field says `counted` octets more than the value has.
fn put_tlv(tlv: &Tlv, counted: usize, out: &mut BytesMut) -> Result<(), usize> {
    let length = tlv.value.len().saturating_add(counted);
    out.put_u8(tlv.kind);
    out.put_u16(u16::try_from(length).map_err(|_| length)?);
    out.put_slice(&tlv.value);
    Ok(())
}

fn put_tunnel(tunnel: &Tunnel, out: &mut BytesMut) -> Result<(), usize> {
    let mut body = BytesMut::new();
    for Tlv { kind, value } in &tunnel.sub_tlvs {
        let length = value.len();
        body.put_u8(*kind);
        if *kind < LONG_SUB_TLV {
            body.put_u8(u8::try_from(length).map_err(|_| length)?);
        } else {
            body.put_u16(u16::try_from(length).map_err(|_| length)?);
        }
        body.put_slice(value);
    }
    out.put_u16(tunnel.tunnel_type);
    out.put_u16(u16::try_from(body.len()).map_err(|_| body.len())?);
    out.put_slice(&body);
    Ok(())
}
