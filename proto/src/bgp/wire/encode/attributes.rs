//! Path attributes, all but MP_REACH_NLRI (RFC 4271 section 4.3).
//!
//! **Equal sets make equal octets: attributes go out by ascending code, whatever order they came
//! in.**

use crate::bgp::attributes::{
    AS_SEGMENT_MAX, AsPath, AsSegment, AsSegmentKind, PathAttributes, PmsiTunnel, RawAttribute,
};
use crate::bgp::wire::AsWidth;
use crate::bgp::wire::codes::attribute::{
    self as code, FLAG_EXTENDED_LENGTH, FLAG_OPTIONAL, FLAG_PARTIAL, FLAG_TRANSITIVE,
};
use crate::bgp::wire::error::EncodeError;
use crate::types::{AS_TRANS, Asn, Family};
use bytes::{BufMut, Bytes, BytesMut};
use std::net::IpAddr;

pub(super) const WELL_KNOWN: u8 = FLAG_TRANSITIVE;
pub(super) const OPTIONAL: u8 = FLAG_OPTIONAL;
pub(super) const RELAYED: u8 = FLAG_OPTIONAL | FLAG_TRANSITIVE;

/// The attributes as they follow MP_REACH_NLRI in an UPDATE, or for IPv4 unicast with an IPv4 next
/// hop with NEXT_HOP among them: what [`announce`](super::announce) takes. Made once per set, family
/// and width, they serve every neighbour of that width.
///
/// # Errors
/// An attribute beyond 65535 octets.
pub fn encode_attributes(
    attributes: &PathAttributes,
    family: Family,
    as_width: AsWidth,
) -> Result<Bytes, EncodeError> {
    let set = attributes;
    let mut list = List { out: BytesMut::with_capacity(96), relayed: set.unknown.iter(), as_width };
    list.put(WELL_KNOWN, code::ORIGIN, 1, |out| out.put_u8(set.origin as u8))?;
    list.put(WELL_KNOWN, code::AS_PATH, path_length(&set.as_path, as_width), |out| {
        put_path(&set.as_path, as_width, out);
    })?;
    if let (Family::IPV4_UNICAST, IpAddr::V4(hop)) = (family, set.next_hop) {
        list.put(WELL_KNOWN, code::NEXT_HOP, 4, |out| out.put_slice(&hop.octets()))?;
    }
    if let Some(med) = set.med {
        list.put(OPTIONAL, code::MED, 4, |out| out.put_u32(med))?;
    }
    if let Some(local_pref) = set.local_pref {
        list.put(WELL_KNOWN, code::LOCAL_PREF, 4, |out| out.put_u32(local_pref))?;
    }
    if !set.communities.is_empty() {
        list.put(
            relayed(set.partial.communities),
            code::COMMUNITIES,
            4 * set.communities.len(),
            |out| {
                set.communities.iter().for_each(|community| out.put_u32(community.0));
            },
        )?;
    }
    if let Some(id) = set.originator_id {
        list.put(OPTIONAL, code::ORIGINATOR_ID, 4, |out| out.put_slice(&id.octets()))?;
    }
    if !set.cluster_list.is_empty() {
        list.put(OPTIONAL, code::CLUSTER_LIST, 4 * set.cluster_list.len(), |out| {
            set.cluster_list.iter().for_each(|id| out.put_slice(&id.octets()));
        })?;
    }
    if !set.ext_communities.is_empty() {
        list.put(
            relayed(set.partial.ext_communities),
            code::EXT_COMMUNITIES,
            8 * set.ext_communities.len(),
            |out| {
                set.ext_communities.iter().for_each(|community| out.put_slice(&community.0));
            },
        )?;
    }
    if let Some(path) = as4_path(&set.as_path, as_width) {
        list.put(RELAYED, code::AS4_PATH, path_length(&path, AsWidth::Four), |out| {
            put_path(&path, AsWidth::Four, out);
        })?;
    }
    if let Some(value) = as4_aggregator(&set.unknown, as_width) {
        list.put(RELAYED, code::AS4_AGGREGATOR, 8, |out| out.put_slice(&value))?;
    }
    if let Some(pmsi) = &set.pmsi {
        list.put(relayed(set.partial.pmsi), code::PMSI_TUNNEL, 5 + pmsi.identifier.len(), |out| {
            put_pmsi(pmsi, out)
        })?;
    }
    list.finish()
}

/// The flags of an optional transitive attribute, with the Partial bit that it came with.
const fn relayed(is_partial: bool) -> u8 {
    if is_partial { RELAYED | FLAG_PARTIAL } else { RELAYED }
}

/// Attributes written so far, and those relayed that are still to come between them.
struct List<'a> {
    out: BytesMut,
    relayed: std::slice::Iter<'a, RawAttribute>,
    as_width: AsWidth,
}

impl List<'_> {
    /// Writes an attribute of `length` octets, after the relayed ones of lower code.
    fn put(
        &mut self,
        flags: u8,
        code: u8,
        length: usize,
        value: impl FnOnce(&mut BytesMut),
    ) -> Result<(), EncodeError> {
        while let Some(raw) = self.relayed.as_slice().first().filter(|raw| raw.code < code) {
            self.relayed.next();
            put_relayed(raw, self.as_width, &mut self.out)?;
        }
        put_head(flags, code, length, &mut self.out)?;
        value(&mut self.out);
        Ok(())
    }

    fn finish(mut self) -> Result<Bytes, EncodeError> {
        for raw in self.relayed {
            put_relayed(raw, self.as_width, &mut self.out)?;
        }
        Ok(self.out.freeze())
    }
}

pub(super) fn put_head(
    flags: u8,
    code: u8,
    length: usize,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    if let Ok(short) = u8::try_from(length) {
        out.put_slice(&[flags, code, short]);
        return Ok(());
    }
    let long = u16::try_from(length).map_err(|_| EncodeError::AttributeTooLong { code, length })?;
    out.put_slice(&[flags | FLAG_EXTENDED_LENGTH, code]);
    out.put_u16(long);
    Ok(())
}

fn put_relayed(
    raw: &RawAttribute,
    as_width: AsWidth,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let mut flags = raw.flags & (RELAYED | FLAG_PARTIAL);
    if !is_recognised(raw.code) {
        // RFC 4271 §5: who passes on what he does not recognise says so.
        flags |= FLAG_PARTIAL;
    }
    if let (Some((asn, router)), AsWidth::Two) = (aggregator(raw), as_width) {
        put_head(flags, raw.code, 6, out)?;
        out.put_u16(asn.two_octet());
        out.put_slice(&router);
        return Ok(());
    }
    put_head(flags, raw.code, raw.value.len(), out)?;
    out.put_slice(&raw.value);
    Ok(())
}

/// Attributes that are relayed unread and yet known, since their form is checked.
const fn is_recognised(code: u8) -> bool {
    matches!(
        code,
        code::ATOMIC_AGGREGATE
            | code::AGGREGATOR
            | code::AIGP
            | code::IPV6_EXT_COMMUNITIES
            | code::LARGE_COMMUNITIES
            | code::ONLY_TO_CUSTOMER
            | code::PREFIX_SID
            | code::TUNNEL_ENCAPSULATION
    )
}

/// An AGGREGATOR as it is kept: a 4-octet AS, then the router.
fn aggregator(raw: &RawAttribute) -> Option<(Asn, [u8; 4])> {
    match (raw.code, raw.value.as_ref()) {
        (code::AGGREGATOR, [a, b, c, d, router @ ..]) => {
            let router = <[u8; 4]>::try_from(router).ok()?;
            Some((Asn(u32::from_be_bytes([*a, *b, *c, *d])), router))
        }
        _ => None,
    }
}

/// RFC 6793 §4.2.2: AS4_AGGREGATOR where AGGREGATOR has to say AS_TRANS for a longer number.
fn as4_aggregator(unknown: &[RawAttribute], as_width: AsWidth) -> Option<[u8; 8]> {
    let raw = unknown.iter().find(|raw| raw.code == code::AGGREGATOR)?;
    let (asn, _) = aggregator(raw)?;
    if as_width == AsWidth::Two && needs_four_octets(asn) {
        <[u8; 8]>::try_from(raw.value.as_ref()).ok()
    } else {
        None
    }
}

/// RFC 6793 §4.2.2: AS4_PATH where some number does not fit 2 octets; without the confederation's
/// segments.
fn as4_path(path: &AsPath, as_width: AsWidth) -> Option<AsPath> {
    let public =
        |segment: &&AsSegment| matches!(segment.kind, AsSegmentKind::Set | AsSegmentKind::Sequence);
    let mut numbers = path.segments.iter().filter(public).flat_map(|segment| &segment.asns);
    if as_width == AsWidth::Four || !numbers.any(|asn| needs_four_octets(*asn)) {
        return None;
    }
    Some(AsPath { segments: path.segments.iter().filter(public).cloned().collect() })
}

fn needs_four_octets(asn: Asn) -> bool {
    asn.two_octet() == AS_TRANS && asn.0 != u32::from(AS_TRANS)
}

/// Octets that [`put_path`] writes.
pub(super) fn path_length(path: &AsPath, width: AsWidth) -> usize {
    let length = |segment: &AsSegment| {
        let count = segment.asns.len();
        2 * count.div_ceil(AS_SEGMENT_MAX) + width.octets() * count
    };
    path.segments.iter().map(length).sum()
}

/// A segment longer than its count octet can say goes out in several of its kind; an empty one,
/// which would be malformed, in none.
pub(super) fn put_path(path: &AsPath, width: AsWidth, out: &mut BytesMut) {
    for segment in &path.segments {
        for part in segment.asns.chunks(AS_SEGMENT_MAX) {
            let count = u8::try_from(part.len()).unwrap_or(u8::MAX);
            out.put_slice(&[segment.kind as u8, count]);
            match width {
                AsWidth::Two => part.iter().for_each(|asn| out.put_u16(asn.two_octet())),
                AsWidth::Four => part.iter().for_each(|asn| out.put_u32(asn.0)),
            }
        }
    }
}

pub(super) fn put_pmsi(pmsi: &PmsiTunnel, out: &mut BytesMut) {
    out.put_slice(&[pmsi.flags, pmsi.tunnel_type]);
    out.put_slice(&pmsi.label.octets());
    out.put_slice(&pmsi.identifier);
}
