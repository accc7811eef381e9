//! The 3-octet label field of an EVPN route.

use super::Vni;
use std::fmt;

/// The 24 bits of an EVPN route's label field.
///
/// With VXLAN encapsulation all 24 are the VNI, without a shift (RFC 8365 section 5.1.3); with MPLS
/// the high 20 are the label. Which it is, the encapsulation community says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Label([u8; 3]);

impl Label {
    /// From the wire.
    pub const fn from_octets(octets: [u8; 3]) -> Self {
        Self(octets)
    }

    /// To the wire.
    pub const fn octets(self) -> [u8; 3] {
        self.0
    }

    /// The field as a number of 24 bits.
    pub const fn value(self) -> u32 {
        let [a, b, c] = self.0;
        u32::from_be_bytes([0, a, b, c])
    }

    /// The field read as a VNI; none where it is zero.
    pub fn vni(self) -> Option<Vni> {
        Vni::new(self.value())
    }
}

impl From<Vni> for Label {
    fn from(vni: Vni) -> Self {
        let [_, a, b, c] = vni.get().to_be_bytes();
        Self([a, b, c])
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value().fmt(f)
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Label({})", self.value())
    }
}
