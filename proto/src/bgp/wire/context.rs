//! What two speakers agreed on that changes how octets are read and written.
//!
//! **A context is fixed for the life of a session: the same octets under the same context are the
//! same value.**

use crate::bgp::message::Family;

/// Octets of an AS number in AS_PATH and AGGREGATOR (RFC 6793 section 4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AsWidth {
    /// One side or both lack the capability: 2 octets, the rest in AS4_PATH.
    Two,
    /// Both sides have it.
    Four,
}

impl AsWidth {
    /// The number of octets.
    pub const fn octets(self) -> usize {
        match self {
            Self::Two => 2,
            Self::Four => 4,
        }
    }
}

/// On which side of an AS border the neighbour is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SessionKind {
    /// In our AS (iBGP).
    Internal,
    /// In another (eBGP).
    External,
}

/// A set of the families that this implementation can speak of; a family beyond them is in none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct FamilySet(u8);

impl FamilySet {
    /// No family.
    pub const EMPTY: Self = Self(0);
    /// L2VPN EVPN alone.
    pub const EVPN: Self = Self(1);

    /// All of them.
    pub const ALL: Self = Self(15);

    const MEMBERS: [Family; 4] =
        [Family::EVPN, Family::IPV4_UNICAST, Family::IPV6_UNICAST, Family::RT_CONSTRAINT];

    /// The set and the family; unchanged by a family that this implementation does not know.
    #[must_use]
    pub fn with(self, family: Family) -> Self {
        Self(self.0 | Self::bit(family))
    }

    /// Whether the family is in it.
    pub fn contains(self, family: Family) -> bool {
        self.0 & Self::bit(family) != 0
    }

    /// Whether it has no member.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its members, EVPN first.
    pub fn iter(self) -> impl Iterator<Item = Family> {
        Self::MEMBERS.into_iter().filter(move |family| self.contains(*family))
    }

    fn bit(family: Family) -> u8 {
        match family {
            Family::EVPN => 1,
            Family::IPV4_UNICAST => 2,
            Family::IPV6_UNICAST => 4,
            Family::RT_CONSTRAINT => 8,
            _ => 0,
        }
    }
}

impl FromIterator<Family> for FamilySet {
    /// Families that this implementation does not know are left out.
    fn from_iter<I: IntoIterator<Item = Family>>(families: I) -> Self {
        families.into_iter().fold(Self::EMPTY, Self::with)
    }
}

/// What reading a neighbour's messages needs to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DecodeContext {
    /// Octets of an AS number.
    pub as_width: AsWidth,
    /// The longest message allowed, header included: [`MESSAGE_LENGTH_MAX`] or, once both sides
    /// offered it, [`EXTENDED_MESSAGE_LENGTH_MAX`].
    ///
    /// [`MESSAGE_LENGTH_MAX`]: super::MESSAGE_LENGTH_MAX
    /// [`EXTENDED_MESSAGE_LENGTH_MAX`]: super::EXTENDED_MESSAGE_LENGTH_MAX
    pub length_max: usize,
    /// Families that both sides offered.
    pub families: FamilySet,
    /// Families of which a next hop may be of IPv6 where the routes are of IPv4 (RFC 8950).
    pub extended_next_hop: FamilySet,
    /// Families whose routes come with path identifiers (RFC 7911).
    pub add_path: FamilySet,
    /// Internal or external.
    pub session: SessionKind,
}

impl DecodeContext {
    /// Before the OPEN: nothing is agreed on. OPEN, KEEPALIVE and NOTIFICATION need no more.
    pub const INITIAL: Self = Self {
        as_width: AsWidth::Two,
        length_max: super::MESSAGE_LENGTH_MAX,
        families: FamilySet::EMPTY,
        extended_next_hop: FamilySet::EMPTY,
        add_path: FamilySet::EMPTY,
        session: SessionKind::External,
    };
}

/// What writing to a neighbour needs to know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EncodeContext {
    /// Octets of an AS number.
    pub as_width: AsWidth,
    /// The longest message that the neighbour takes, header included.
    pub length_max: usize,
}
