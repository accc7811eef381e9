//! AS_PATH and AS4_PATH (RFC 4271 section 4.3, RFC 5065 section 3, RFC 6793 section 4).
//!
//! ```text
//! +----------------+----------------+-------------------------------- - -
//! | segment kind   | count          | AS numbers (count x 2 or 4 octets)
//! +----------------+----------------+-------------------------------- - -
//! ```
//!
//! **A path that is read holds no empty segment and no AS 0.**
//!
//! Sets are read although RFC 9774 would have them treated as withdrawn: a route that an older
//! speaker aggregated is still a route. They are never originated.

use crate::bgp::attributes::{AS_SEGMENT_MAX, AsPath, AsSegment, AsSegmentKind};
use crate::bgp::wire::AsWidth;
use crate::bgp::wire::error::{ErrorKind, WireError};
use crate::bgp::wire::reader::Reader;
use crate::types::Asn;

/// Reads a path (RFC 7606 section 7.2 lists what makes it malformed).
pub(super) fn as_path(mut value: Reader<'_>, width: AsWidth) -> Result<AsPath, WireError> {
    let mut segments = Vec::new();
    while !value.is_empty() {
        let at = value;
        let [kind, count] = value.array("AS_PATH segment")?;
        let kind = match kind {
            1 => AsSegmentKind::Set,
            2 => AsSegmentKind::Sequence,
            3 => AsSegmentKind::ConfedSequence,
            4 => AsSegmentKind::ConfedSet,
            _ => return Err(at.error("AS_PATH segment type", ErrorKind::BadValue(kind.into()))),
        };
        if count == 0 {
            return Err(at.error("AS_PATH segment length", ErrorKind::BadLength(0)));
        }
        let octets = usize::from(count).saturating_mul(width.octets());
        let numbers = value.take(octets, "AS_PATH segment")?;
        segments.push(AsSegment { kind, asns: asns(numbers, width)? });
    }
    Ok(AsPath { segments })
}

fn asns(numbers: Reader<'_>, width: AsWidth) -> Result<Vec<Asn>, WireError> {
    let asns: Vec<Asn> = match width {
        AsWidth::Two => {
            let (pairs, _) = numbers.octets().as_chunks::<2>();
            pairs.iter().map(|o| Asn(u16::from_be_bytes(*o).into())).collect()
        }
        AsWidth::Four => {
            let (quads, _) = numbers.octets().as_chunks::<4>();
            quads.iter().map(|o| Asn(u32::from_be_bytes(*o))).collect()
        }
    };
    // RFC 7607 §2: a path with AS 0 is malformed.
    if asns.contains(&Asn(0)) {
        return Err(numbers.error("AS_PATH", ErrorKind::BadValue(0)));
    }
    Ok(asns)
}

/// Whether a segment is a confederation's (RFC 5065 section 3).
pub(super) const fn is_confederation(segment: &AsSegment) -> bool {
    matches!(segment.kind, AsSegmentKind::ConfedSequence | AsSegmentKind::ConfedSet)
}

/// The true path out of AS_PATH and AS4_PATH from a neighbour with 2-octet numbers (RFC 6793
/// section 4.2.3): AS4_PATH, with what AS_PATH has more than it in front.
pub(super) fn merged(path: AsPath, as4_path: AsPath) -> AsPath {
    let (Some(surplus), false) =
        (path.length().checked_sub(as4_path.length()), as4_path.segments.is_empty())
    else {
        // A longer AS4_PATH belongs to another path; an empty one says nothing.
        return path;
    };
    let mut surplus = usize::try_from(surplus).unwrap_or(usize::MAX);
    let mut segments: Vec<AsSegment> = Vec::new();
    for mut segment in path.segments {
        match segment.kind {
            // Confederation segments in front, or next to what is kept, are kept; they count none.
            AsSegmentKind::ConfedSequence | AsSegmentKind::ConfedSet => segments.push(segment),
            _ if surplus == 0 => break,
            AsSegmentKind::Set => {
                surplus = surplus.saturating_sub(1);
                segments.push(segment);
            }
            AsSegmentKind::Sequence => {
                segment.asns.truncate(surplus);
                surplus = surplus.saturating_sub(segment.asns.len());
                segments.push(segment);
            }
        }
    }
    let mut tail = as4_path.segments;
    // A sequence that was cut at the seam goes on where it was cut.
    if let (Some(cut), Some(rest)) = (segments.last_mut(), tail.first())
        && cut.kind == AsSegmentKind::Sequence
        && rest.kind == AsSegmentKind::Sequence
        && cut.asns.len().saturating_add(rest.asns.len()) <= AS_SEGMENT_MAX
    {
        cut.asns.append(&mut tail.remove(0).asns);
    }
    segments.append(&mut tail);
    AsPath { segments }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(segments: &[(AsSegmentKind, &[u32])]) -> AsPath {
        let segment = |(kind, asns): &(AsSegmentKind, &[u32])| AsSegment {
            kind: *kind,
            asns: asns.iter().copied().map(Asn).collect(),
        };
        AsPath { segments: segments.iter().map(segment).collect() }
    }

    #[test]
    fn as4_path_replaces_the_tail_of_equal_length_and_a_longer_one_is_ignored() {
        use AsSegmentKind::{ConfedSequence, Sequence, Set};
        let old = path(&[(Sequence, &[65001, 23456, 23456])]);
        let new = path(&[(Sequence, &[70000, 70001])]);
        assert_eq!(merged(old.clone(), new), path(&[(Sequence, &[65001, 70000, 70001])]));
        let longer = path(&[(Sequence, &[1, 2, 3, 4])]);
        assert_eq!(merged(old.clone(), longer), old);
        assert_eq!(merged(old.clone(), AsPath::default()), old);
        // A set counts one (RFC 4271 §9.1.2.2), a confederation segment none.
        let old = path(&[(ConfedSequence, &[64512]), (Sequence, &[7, 23456]), (Set, &[1, 2])]);
        let new = path(&[(Sequence, &[70000]), (Set, &[1, 80000])]);
        let whole =
            path(&[(ConfedSequence, &[64512]), (Sequence, &[7, 70000]), (Set, &[1, 80000])]);
        assert_eq!(merged(old, new), whole);
    }

    #[test]
    fn a_malformed_path_is_refused() {
        let read = |octets: &[u8]| as_path(Reader::new(octets), AsWidth::Four);
        assert_eq!(read(&[]), Ok(AsPath::default()));
        assert!(read(&[2, 1, 0, 0, 0xfd, 0xe9]).is_ok());
        for bad in [
            &[2][..],               // half a segment header
            &[2, 0],                // empty segment
            &[5, 1, 0, 0, 0, 1],    // unknown kind
            &[2, 2, 0, 0, 0, 1],    // overrun
            &[2, 1, 0, 0, 0, 0],    // AS 0
            &[2, 1, 0, 0, 0, 1, 2], // underrun
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
