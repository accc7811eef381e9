//! VXLAN network identifiers and VLAN ids.

use std::fmt;

/// A VXLAN network identifier, 1 to 2^24 - 1 (RFC 7348 section 4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vni(u32);

impl Vni {
    /// The largest.
    pub const MAX: u32 = (1 << 24) - 1;

    /// None for 0 and for what does not fit 24 bits.
    pub const fn new(value: u32) -> Option<Self> {
        if value == 0 || value > Self::MAX { None } else { Some(Self(value)) }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// A VLAN id, 1 to 4094 (IEEE 802.1Q).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VlanId(u16);

impl VlanId {
    /// None for 0, 4095 and beyond.
    pub const fn new(value: u16) -> Option<Self> {
        if value == 0 || value > 4094 { None } else { Some(Self(value)) }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

macro_rules! shown_as_its_number {
    ($($name:ident)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    )*};
}
shown_as_its_number!(Vni VlanId);
