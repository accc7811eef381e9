//! Route target memberships (RFC 4684 section 4): who wants which routes.

use super::{Asn, RouteTarget};
use std::fmt;

/// A set of route targets that an AS wants to be told of: a prefix of up to 96 bits.
///
/// ```text
/// origin AS (4) | route target (8)
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RtMembership {
    origin: Asn,
    target: [u8; 8],
    bits: u8,
}

/// Bits of the origin AS, below which only the default is a membership (RFC 4684 section 4).
const ORIGIN_BITS: u8 = 32;

impl RtMembership {
    /// The most bits.
    pub const BITS_MAX: u8 = 96;
    /// Every route target there is.
    pub const DEFAULT: Self = Self { origin: Asn(0), target: [0; 8], bits: 0 };

    /// One route target, wanted by an AS.
    pub const fn of(origin: Asn, target: RouteTarget) -> Self {
        Self { origin, target: target.0, bits: Self::BITS_MAX }
    }

    /// From a prefix; bits beyond its length count as zero. None if the length is neither 0 nor 32
    /// to 96.
    pub fn from_prefix(bits: u8, octets: [u8; 12]) -> Option<Self> {
        if bits == 0 {
            return Some(Self::DEFAULT);
        }
        if !(ORIGIN_BITS..=Self::BITS_MAX).contains(&bits) {
            return None;
        }
        let [a, b, c, d, target @ ..] = octets;
        let mask = mask(bits - ORIGIN_BITS);
        let target = (u64::from_be_bytes(target) & mask).to_be_bytes();
        Some(Self { origin: Asn(u32::from_be_bytes([a, b, c, d])), target, bits })
    }

    /// The prefix's length in bits.
    pub const fn bits(self) -> u8 {
        self.bits
    }

    /// The prefix, zero beyond its length.
    pub fn octets(self) -> [u8; 12] {
        let ([a, b, c, d], [e, f, g, h, i, j, k, l]) = (self.origin.0.to_be_bytes(), self.target);
        [a, b, c, d, e, f, g, h, i, j, k, l]
    }

    /// The AS that wants them.
    pub const fn origin(self) -> Asn {
        self.origin
    }

    /// Whether the target is among those wanted.
    pub fn covers(self, target: RouteTarget) -> bool {
        let (bits, first) = self.first_bits();
        Self::first_bits_of(target, bits) == first
    }

    /// How many bits of a route target it names, and these. RFC 4684 section 5: the origin AS is only
    /// for the way of the membership itself.
    pub fn first_bits(self) -> (u8, u64) {
        let bits = self.bits.saturating_sub(ORIGIN_BITS);
        (bits, Self::first_bits_of(RouteTarget(self.target), bits))
    }

    /// So many bits of a route target.
    pub fn first_bits_of(target: RouteTarget, bits: u8) -> u64 {
        u64::from_be_bytes(target.0) & mask(bits)
    }
}

/// The first `bits` of 64.
fn mask(bits: u8) -> u64 {
    u64::MAX.checked_shl(64 - u32::from(bits.min(64))).unwrap_or(0)
}

impl fmt::Display for RtMembership {
    /// `65000:RT:65000:100/96`; the default is `default`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bits == 0 {
            return f.write_str("default");
        }
        match RouteTarget::from_community(self.target) {
            Some(target) => write!(f, "{}:RT:{target}/{}", self.origin, self.bits),
            None => {
                write!(f, "{}:{:016x}/{}", self.origin, u64::from_be_bytes(self.target), self.bits)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_membership_covers_the_targets_that_begin_with_its_prefix() {
        let target: RouteTarget = "65000:100".parse().unwrap();
        let other: RouteTarget = "65000:101".parse().unwrap();
        let exact = RtMembership::of(Asn(65001), target);
        assert!(exact.covers(target) && !exact.covers(other));
        assert!(RtMembership::DEFAULT.covers(target) && RtMembership::DEFAULT.covers(other));
        // The origin alone: any target; and up to the AS in the target: any number.
        for (bits, covers_other) in [(32, true), (64, true), (95, true), (96, false)] {
            let some = RtMembership::from_prefix(bits, exact.octets()).unwrap();
            assert!(some.covers(target), "{bits}");
            assert_eq!(some.covers(other), covers_other, "{bits}");
        }
        assert_eq!(RtMembership::from_prefix(31, exact.octets()), None);
        assert_eq!(RtMembership::from_prefix(97, exact.octets()), None);
    }

    #[test]
    fn bits_beyond_the_length_make_no_other_membership() {
        let all = RtMembership::from_prefix(40, [0xff; 12]).unwrap();
        assert_eq!(RtMembership::from_prefix(all.bits(), all.octets()), Some(all));
        assert_eq!(all.octets()[5..], [0; 7]);
    }
}
