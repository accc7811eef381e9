//! The accumulated IGP metric (RFC 7311): what it is of a set of attributes, adding to it, and
//! leaving it out.
//!
//! **Where it is not enabled it is nobody's: neither taken nor told.** The attribute itself stands
//! among the relayed ones, so that its other TLVs go on as they came and sets without it take no
//! more memory.

use super::attributes::{AttributeValue, PathAttributes};
use super::wire::codes::attribute::{AIGP, TLV_HEAD};
use super::wire::decode::relayed;

/// The type of the TLV that is the metric (RFC 7311 section 3).
pub const METRIC: u8 = 1;

/// The metric of a route with these attributes: that of the first TLV which says one (RFC 7311
/// section 3). Never [`u64::MAX`], which the decoder does not let in.
pub fn metric(attributes: &PathAttributes) -> Option<u64> {
    first_metric(attributes).map(|found| found.metric)
}

/// The first metric of a route.
struct Found {
    /// Which of the relayed attributes it is in.
    attribute: usize,
    /// Where its octets begin there.
    place: usize,
    metric: u64,
}

fn first_metric(attributes: &PathAttributes) -> Option<Found> {
    let attribute = attributes.unknown.iter().position(|raw| raw.code == AIGP)?;
    let raw = attributes.unknown.get(attribute)?;
    let Some(AttributeValue::Aigp(tlvs)) = relayed(raw) else { return None };
    let mut place = TLV_HEAD;
    for tlv in &tlvs {
        if tlv.kind == METRIC {
            let octets = <[u8; 8]>::try_from(tlv.value.as_ref()).ok()?;
            return Some(Found { attribute, place, metric: u64::from_be_bytes(octets) });
        }
        place = place.saturating_add(tlv.value.len()).saturating_add(TLV_HEAD);
    }
    None
}

/// Adds a distance to the metric of a route whose next hop becomes the speaker itself; at the most
/// it stays [`u64::MAX`] (RFC 7311 section 3.4.3). Without a metric nothing is done.
pub fn increase(attributes: &mut PathAttributes, distance: u64) {
    let Some(Found { attribute, place, metric }) = first_metric(attributes) else { return };
    let Some(raw) = attributes.unknown.get_mut(attribute) else { return };
    let mut value = raw.value.to_vec();
    let sum = metric.saturating_add(distance).to_be_bytes();
    value.iter_mut().skip(place).zip(sum).for_each(|(octet, new)| *octet = new);
    raw.value = value.into();
}

/// Whether there is anything to leave out.
pub fn is_present(attributes: &PathAttributes) -> bool {
    attributes.unknown.iter().any(|raw| raw.code == AIGP)
}

/// Leaves the attribute out.
pub fn remove(attributes: &mut PathAttributes) {
    attributes.unknown.retain(|raw| raw.code != AIGP);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bgp::attributes::RawAttribute;
    use bytes::Bytes;
    use std::net::IpAddr;

    fn set(value: &[u8]) -> PathAttributes {
        let mut attributes = PathAttributes::originated(IpAddr::from([192, 0, 2, 1]));
        let value = Bytes::copy_from_slice(value);
        attributes.unknown.push(RawAttribute { flags: 0x80, code: AIGP, value });
        attributes
    }

    #[test]
    fn the_first_metric_counts_and_other_tlvs_are_nothing_to_it() {
        let other = [2, 0, 4, 9];
        let metric_of = |n: u8| [1, 0, 11, 0, 0, 0, 0, 0, 0, 0, n];
        let rows: [(&[u8], Option<u64>); 4] = [
            (&metric_of(7), Some(7)),
            (&[&other[..], &metric_of(7), &metric_of(5)].concat(), Some(7)),
            (&other, None),
            (&[1, 0, 4, 9], None),
        ];
        for (value, wanted) in rows {
            assert_eq!(metric(&set(value)), wanted, "{value:?}");
        }
    }

    #[test]
    fn a_distance_is_added_to_the_first_metric_and_to_nothing_else() {
        let other = [1, 0, 4, 9];
        let metric_of = |n: u64| [&[1, 0, 11][..], &n.to_be_bytes()].concat();
        let unknown = [2, 0, 4, 9];
        for (before, distance, after) in [(7, 1, 8), (255, 1, 256), (u64::MAX - 1, 9, u64::MAX)] {
            let of = |n| [&unknown[..], &metric_of(n), &metric_of(5)].concat();
            let mut attributes = set(&of(before));
            increase(&mut attributes, distance);
            assert_eq!(attributes, set(&of(after)), "{before} and {distance}");
        }
        for value in [&other[..], &unknown] {
            let mut attributes = set(value);
            increase(&mut attributes, 1);
            assert_eq!(attributes, set(value));
        }
    }

    #[test]
    fn a_set_from_which_it_is_left_out_is_as_if_it_had_never_been_there() {
        let mut attributes = set(&[2, 0, 4, 9]);
        assert!(is_present(&attributes));
        remove(&mut attributes);
        assert_eq!(attributes, PathAttributes::originated(IpAddr::from([192, 0, 2, 1])));
    }
}
