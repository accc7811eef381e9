//! The rules that an operator sets: levels, thresholds, waits and guards.
//!
//! Data with production defaults and a check; the rules are applied by `decide`. Reading them from a file is the
//! business of the config crate.
//!
//! **Every default is meant for production**: a site that sets nothing is drained late, returns slowly, and is
//! never drained by a feed that fell silent.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::reading::Permille;

/// Fewest changes a day that a policy may allow: down to drained in three steps and one step back.
pub const MIN_CHANGES_PER_DAY: u8 = 4;
/// Most changes a day that a policy may allow; also the bound of the memory kept for the cap.
pub const MAX_CHANGES_PER_DAY: u8 = 64;
/// The window of the cap on changes.
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How much a site asks others to avoid it, best first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// An ordinary EVPN leaf.
    #[default]
    Normal,
    /// Somewhat less than its share of traffic.
    PreferLess,
    /// A small share of traffic.
    Avoid,
    /// As little as can be had without withdrawing a route.
    Drained,
}

impl Level {
    /// All levels, best first.
    pub const ALL: [Self; 4] = [Self::Normal, Self::PreferLess, Self::Avoid, Self::Drained];

    /// The next better level, if there is one.
    pub const fn better(self) -> Option<Self> {
        match self {
            Self::Normal => None,
            Self::PreferLess => Some(Self::Normal),
            Self::Avoid => Some(Self::PreferLess),
            Self::Drained => Some(Self::Avoid),
        }
    }

    /// The next worse level, if there is one.
    pub const fn worse(self) -> Option<Self> {
        match self {
            Self::Normal => Some(Self::PreferLess),
            Self::PreferLess => Some(Self::Avoid),
            Self::Avoid => Some(Self::Drained),
            Self::Drained => None,
        }
    }

    /// How many worse levels there are.
    pub const fn steps_to_drained(self) -> usize {
        match self {
            Self::Normal => 3,
            Self::PreferLess => 2,
            Self::Avoid => 1,
            Self::Drained => 0,
        }
    }

    /// The name as written in configuration, JSON and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::PreferLess => "prefer-less",
            Self::Avoid => "avoid",
            Self::Drained => "drained",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The charge below which each level begins. A threshold of zero switches its level off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// Below this, prefer-less. Default 50 %: half a battery carries most sites through a night, so traffic
    /// starts to move while there is still a choice.
    pub prefer_less: Permille,
    /// Below this, avoid. Default 30 %.
    pub avoid: Permille,
    /// Below this, drained. Default 15 %: what is left is for the switch itself, and many UPSs call a battery
    /// low at 10 to 20 %.
    pub drained: Permille,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            prefer_less: Permille::percent(50),
            avoid: Permille::percent(30),
            drained: Permille::percent(15),
        }
    }
}

impl Thresholds {
    /// The charge below which `level` begins; the normal level has none.
    pub const fn of(&self, level: Level) -> Option<Permille> {
        match level {
            Level::Normal => None,
            Level::PreferLess => Some(self.prefer_less),
            Level::Avoid => Some(self.avoid),
            Level::Drained => Some(self.drained),
        }
    }
}

/// Guards that may be switched off to show that they are what protects a site. Never in production.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guards {
    /// On by default. **Off, a feed that falls silent is taken for an empty battery and drains the site**: a
    /// cable that somebody unplugs then moves all traffic. For negative controls in tests only.
    pub stale_feed_never_drains: bool,
}

impl Default for Guards {
    fn default() -> Self {
        Self { stale_feed_never_drains: true }
    }
}

/// The drain policy of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// Where each level begins.
    pub thresholds: Thresholds,
    /// How the site moves between levels.
    pub pace: Pace,
    /// What a silent feed means.
    pub stale: Staleness,
    /// Guards against a drain that the battery did not ask for.
    pub guards: Guards,
    /// Decide and record as always, but announce the normal level.
    pub dry_run: bool,
}

/// How the site moves between levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How far above the threshold of its level the charge must rise before the level eases. Default 8 %: more
    /// than the voltage of a lead battery swings back when load goes away.
    pub recovery: Permille,
    /// How long a level lasts before it may ease by one step, and so the least time between two easings. Default
    /// 10 min.
    pub dwell: Duration,
    /// How long readings must show a charge beyond a threshold, up or down, before it counts; at least two
    /// readings, unless this is zero. Default 60 s: one odd value moves nothing.
    pub confirm: Duration,
    /// Most changes of level in any 24 hours. Default 12: two full drains and returns. Kept by refusing to ease
    /// while the way back down would not fit, so a site that has to go down always can.
    pub max_changes_per_day: u8,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            recovery: Permille::percent(8),
            dwell: Duration::from_secs(600),
            confirm: Duration::from_secs(60),
            max_changes_per_day: 12,
        }
    }
}

/// What a silent feed means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Staleness {
    /// A reading older than this says nothing. Default 5 min.
    pub after: Duration,
    /// How long a level lasts once the feed is stale, before it eases by one step each dwell. Default 1 h: long
    /// enough to mend a feed, short enough that a broken one does not keep a charged site empty.
    pub hold: Duration,
}

impl Default for Staleness {
    fn default() -> Self {
        Self { after: Duration::from_secs(300), hold: Duration::from_secs(3600) }
    }
}

/// A policy that cannot mean what its author wants. `decide` is total even for these, but the daemon refuses them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// Thresholds that do not go down.
    #[error(
        "the threshold of {worse} ({worse_at}) is not below that of {better} ({better_at}): thresholds \
         go down with each level; 0 switches a level off"
    )]
    ThresholdsNotDescending {
        /// The better level.
        better: Level,
        /// Its threshold.
        better_at: Permille,
        /// The worse level.
        worse: Level,
        /// Its threshold.
        worse_at: Permille,
    },
    /// No margin between going down and coming back.
    #[error(
        "recovery is zero: a charge that hovers at a threshold would change the level again and \
         again; 5 % or more is sensible"
    )]
    NoRecovery,
    /// A threshold so high that the level ends only at a full battery.
    #[error(
        "{level} begins below {threshold} and ends {recovery} above that, beyond a full battery: lower either"
    )]
    NeverRecovers {
        /// The level.
        level: Level,
        /// Where it begins.
        threshold: Permille,
        /// The margin on top.
        recovery: Permille,
    },
    /// A cap that is too small to go down and return, or larger than is kept in memory.
    #[error(
        "max-changes-per-day is {0}: it must be {MIN_CHANGES_PER_DAY} to {MAX_CHANGES_PER_DAY}, \
         since a drain alone takes up to three changes"
    )]
    BadCap(u8),
    /// Readings would be stale at once.
    #[error(
        "stale-after is zero: every reading would be too old on arrival; several feed intervals are sensible"
    )]
    StaleAtOnce,
}

impl Policy {
    /// Checks that the policy can work.
    ///
    /// # Errors
    /// The first contradiction found, with its remedy.
    pub fn validate(&self) -> Result<(), PolicyError> {
        let mut above: Option<(Level, Permille)> = None;
        for level in Level::ALL {
            let Some(threshold) = self.thresholds.of(level).filter(|t| *t > Permille::ZERO) else {
                continue;
            };
            if let Some((better, better_at)) = above.filter(|(_, at)| threshold >= *at) {
                return Err(PolicyError::ThresholdsNotDescending {
                    better,
                    better_at,
                    worse: level,
                    worse_at: threshold,
                });
            }
            above = Some((level, threshold));
            let recovery = self.pace.recovery;
            if threshold.get() + recovery.get() > Permille::FULL.get() {
                return Err(PolicyError::NeverRecovers { level, threshold, recovery });
            }
        }
        if self.pace.recovery == Permille::ZERO {
            return Err(PolicyError::NoRecovery);
        }
        if !(MIN_CHANGES_PER_DAY..=MAX_CHANGES_PER_DAY).contains(&self.pace.max_changes_per_day) {
            return Err(PolicyError::BadCap(self.pace.max_changes_per_day));
        }
        if self.stale.after.is_zero() {
            return Err(PolicyError::StaleAtOnce);
        }
        Ok(())
    }

    /// The charge at which `level` may ease, if it can: its threshold plus the recovery margin.
    pub const fn recovers_at(&self, level: Level) -> Option<Permille> {
        match self.thresholds.of(level) {
            Some(threshold) => Some(threshold.saturating_add(self.pace.recovery)),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(Policy::default().validate(), Ok(()));
    }

    #[test]
    fn a_policy_that_contradicts_itself_is_refused_with_its_remedy() {
        let mut policy = Policy::default();
        policy.thresholds.avoid = Permille::percent(50);
        assert!(matches!(
            policy.validate(),
            Err(PolicyError::ThresholdsNotDescending { worse: Level::Avoid, .. })
        ));

        let mut policy = Policy::default();
        policy.thresholds.prefer_less = Permille::percent(95);
        assert!(matches!(
            policy.validate(),
            Err(PolicyError::NeverRecovers { level: Level::PreferLess, .. })
        ));

        let mut policy = Policy::default();
        policy.pace.recovery = Permille::ZERO;
        assert_eq!(policy.validate(), Err(PolicyError::NoRecovery));

        for cap in [0, 3, 65] {
            let mut policy = Policy::default();
            policy.pace.max_changes_per_day = cap;
            assert_eq!(policy.validate(), Err(PolicyError::BadCap(cap)));
        }

        let mut policy = Policy::default();
        policy.stale.after = Duration::ZERO;
        assert_eq!(policy.validate(), Err(PolicyError::StaleAtOnce));
    }

    #[test]
    fn a_threshold_of_zero_switches_a_level_off_and_is_no_contradiction() {
        let mut policy = Policy::default();
        policy.thresholds.prefer_less = Permille::ZERO;
        policy.thresholds.avoid = Permille::ZERO;
        assert_eq!(policy.validate(), Ok(()));
    }

    #[test]
    fn levels_are_ordered_and_neighbours_agree() {
        for pair in Level::ALL.windows(2) {
            assert!(pair[0] < pair[1]);
            assert_eq!(pair[0].worse(), Some(pair[1]));
            assert_eq!(pair[1].better(), Some(pair[0]));
        }
        assert_eq!(Level::Drained.worse(), None);
        assert_eq!(Level::Normal.better(), None);
    }
}
