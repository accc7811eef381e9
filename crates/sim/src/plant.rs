//! Bugs that can be planted at the simulation's own seams, to show that its oracle has eyes.
//!
//! **Without the feature `planted-bugs` this type has no values**, so that a build without it cannot
//! hold a planted bug; and no other crate knows of any.

/// A bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Plant {
    /// A sequence is not on disk before the UPDATE that carries it, nor afterwards.
    #[cfg(feature = "planted-bugs")]
    ForgetsSequences,
    /// When a host comes here, the VXLAN device's half of its former entry stays.
    #[cfg(feature = "planted-bugs")]
    KeepsVxlanHalf,
    /// What is stale is swept as soon as the kernel has been read, before End-of-RIB.
    #[cfg(feature = "planted-bugs")]
    SweepsEarly,
    /// The news that a monitor lost are not made up for by a dump.
    #[cfg(feature = "planted-bugs")]
    TrustsLostNews,
}

impl Plant {
    /// All there are, with their names.
    pub const ALL: &[(&str, Self)] = &[
        #[cfg(feature = "planted-bugs")]
        ("forgets-sequences", Self::ForgetsSequences),
        #[cfg(feature = "planted-bugs")]
        ("keeps-vxlan-half", Self::KeepsVxlanHalf),
        #[cfg(feature = "planted-bugs")]
        ("sweeps-early", Self::SweepsEarly),
        #[cfg(feature = "planted-bugs")]
        ("trusts-lost-news", Self::TrustsLostNews),
    ];

    /// The bug of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, plant)| *plant)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, plant)| *plant == self).map_or("", |(name, _)| name)
    }
}

/// What is planted in a run, asked at each seam.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Planted(pub(crate) Option<Plant>);

#[cfg(feature = "planted-bugs")]
impl Planted {
    pub(crate) fn forgets_sequences(self) -> bool {
        self.0 == Some(Plant::ForgetsSequences)
    }

    pub(crate) fn keeps_vxlan_half(self) -> bool {
        self.0 == Some(Plant::KeepsVxlanHalf)
    }

    pub(crate) fn sweeps_early(self) -> bool {
        self.0 == Some(Plant::SweepsEarly)
    }

    pub(crate) fn trusts_lost_news(self) -> bool {
        self.0 == Some(Plant::TrustsLostNews)
    }
}

#[cfg(not(feature = "planted-bugs"))]
impl Planted {
    pub(crate) const fn forgets_sequences(self) -> bool {
        false
    }

    pub(crate) const fn keeps_vxlan_half(self) -> bool {
        false
    }

    pub(crate) const fn sweeps_early(self) -> bool {
        false
    }

    pub(crate) const fn trusts_lost_news(self) -> bool {
        false
    }
}
