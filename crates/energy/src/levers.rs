//! What a level does to the routes that a site announces.
//!
//! Which attribute moves which receiver was measured: link bandwidth changes the share of new flows at receivers
//! with weighted ECMP and lets flows that run end by themselves; LOCAL_PREF moves the best path at once, flows
//! that run included. So link bandwidth acts at every level, and LOCAL_PREF with GRACEFUL_SHUTDOWN only at the
//! last one and after the prefix's drain time.
//!
//! **A [`Lever`] has no way to withdraw a route and no way to say zero bandwidth**: receivers read a link
//! bandwidth of zero as no information.

use std::num::NonZeroU16;
use std::time::Duration;

use evpn_proto::types::Time;
use thiserror::Error;

use crate::policy::Level;
use crate::reading::Permille;
use crate::state::Mark;

/// The least link bandwidth ever announced, in bytes per second: receivers that keep whole bytes would read
/// anything below as zero.
pub const MIN_BYTES_PER_SECOND: f32 = 1.0;

/// A share of a site's capacity, 1 to 1000 thousandths. Never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(NonZeroU16);

impl Share {
    /// All of it.
    pub const FULL: Self = Self::clamped(1000);
    /// The smallest share: a thousandth.
    pub const SMALLEST: Self = Self::clamped(1);

    /// `permille` thousandths; less than 1 is taken as 1 and more than 1000 as 1000.
    pub const fn clamped(permille: u16) -> Self {
        let capped = if permille > 1000 { 1000 } else { permille };
        match NonZeroU16::new(capped) {
            Some(share) => Self(share),
            None => Self(NonZeroU16::MIN),
        }
    }

    /// The number of thousandths, 1 to 1000.
    pub const fn permille(self) -> u16 {
        self.0.get()
    }
}

impl From<Permille> for Share {
    /// Zero becomes the smallest share.
    fn from(permille: Permille) -> Self {
        Self::clamped(permille.get())
    }
}

/// What to announce with a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lever {
    /// The share of the site's capacity that the link bandwidth community states.
    pub bandwidth: Share,
    /// LOCAL_PREF to send to internal peers instead of the ordinary one.
    pub local_pref: Option<u32>,
    /// Whether to attach GRACEFUL_SHUTDOWN (RFC 8326).
    pub graceful_shutdown: bool,
}

/// What each level does. The normal level always announces the full capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Levers {
    /// Share at prefer-less. Default 50 %.
    pub prefer_less: Share,
    /// Share at avoid. Default 10 %.
    pub avoid: Share,
    /// Share at drained. Default 0.1 %, the smallest: the path stays, so flows that speak are kept.
    pub drained: Share,
    /// LOCAL_PREF at drained, after the drain time. Default 0, which RFC 8326 §4.1 recommends for paths that are
    /// about to go: lower than anything an operator sets on purpose.
    pub drained_local_pref: u32,
}

impl Default for Levers {
    fn default() -> Self {
        Self {
            prefer_less: Share::clamped(500),
            avoid: Share::clamped(100),
            drained: Share::SMALLEST,
            drained_local_pref: 0,
        }
    }
}

/// Levers that do not pull harder with each level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "the share at {worse} ({worse_permille} ‰) is not below that at {better} ({better_permille} ‰): \
     each level announces less than the one before"
)]
pub struct LeversError {
    better: Level,
    better_permille: u16,
    worse: Level,
    worse_permille: u16,
}

impl Levers {
    /// Checks that each level announces less than the one before.
    ///
    /// # Errors
    /// The first pair of levels that does not.
    pub fn validate(&self) -> Result<(), LeversError> {
        let mut better = (Level::Normal, Share::FULL);
        for worse in [
            (Level::PreferLess, self.prefer_less),
            (Level::Avoid, self.avoid),
            (Level::Drained, self.drained),
        ] {
            if worse.1 >= better.1 {
                return Err(LeversError {
                    better: better.0,
                    better_permille: better.1.permille(),
                    worse: worse.0,
                    worse_permille: worse.1.permille(),
                });
            }
            better = worse;
        }
        Ok(())
    }

    /// What to announce for a prefix with `drain_time`, at a level that was announced for `lasting`.
    ///
    /// `lasting` is the age of [`State::since`](crate::State), unless a dry run has ended meanwhile: then it counts
    /// from that end.
    ///
    /// A level better than `drained` never moves the best path, however long it lasts.
    pub fn lever(&self, level: Level, lasting: Duration, drain_time: Duration) -> Lever {
        let bandwidth = match level {
            Level::Normal => Share::FULL,
            Level::PreferLess => self.prefer_less,
            Level::Avoid => self.avoid,
            Level::Drained => self.drained,
        };
        let moves_best_path = level == Level::Drained && lasting >= drain_time;
        Lever {
            bandwidth,
            local_pref: moves_best_path.then_some(self.drained_local_pref),
            graceful_shutdown: moves_best_path,
        }
    }

    /// When the lever of a prefix with `drain_time` changes by itself, if that lies ahead.
    pub fn changes_at(
        &self,
        level: Level,
        since: Mark,
        drain_time: Duration,
        now: Time,
    ) -> Option<Time> {
        (level == Level::Drained && since.age(now) < drain_time).then(|| since.reaches(drain_time))
    }
}

/// The value of the link bandwidth community: `share` of a capacity in bits per second, as bytes per second.
///
/// Never less than [`MIN_BYTES_PER_SECOND`], always finite.
pub fn link_bandwidth_bytes_per_second(capacity_bits_per_second: u64, share: Share) -> f32 {
    // Exact in integers; the community is a float of 32 bits, so the last step rounds, the same on every machine.
    let bytes = u128::from(capacity_bits_per_second) * u128::from(share.permille()) / 8_000;
    (bytes as f32).max(MIN_BYTES_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_share_is_never_zero_and_never_more_than_all() {
        assert_eq!(Share::clamped(0), Share::SMALLEST);
        assert_eq!(Share::from(Permille::ZERO), Share::SMALLEST);
        assert_eq!(Share::clamped(u16::MAX), Share::FULL);
    }

    #[test]
    fn link_bandwidth_is_never_zero_and_keeps_the_ratio_of_shares() {
        for bits in [0, 1, 7, 8, 1_000, u64::MAX] {
            for share in [Share::SMALLEST, Share::clamped(10), Share::FULL] {
                let bandwidth = link_bandwidth_bytes_per_second(bits, share);
                assert!(bandwidth >= 1.0 && bandwidth.is_finite(), "{bits} {share:?} {bandwidth}");
            }
        }
        let ten_gigabit = 10_000_000_000;
        assert_eq!(link_bandwidth_bytes_per_second(ten_gigabit, Share::FULL), 1.25e9);
        assert_eq!(link_bandwidth_bytes_per_second(ten_gigabit, Share::clamped(500)), 6.25e8);
        assert_eq!(link_bandwidth_bytes_per_second(ten_gigabit, Share::SMALLEST), 1.25e6);
    }

    #[test]
    fn each_level_announces_less_than_the_one_before() {
        let levers = Levers::default();
        let shares: Vec<u16> = Level::ALL
            .iter()
            .map(|level| levers.lever(*level, HOUR, HOUR).bandwidth.permille())
            .collect();
        assert_eq!(shares, [1000, 500, 100, 1]);
        assert_eq!(levers.validate(), Ok(()));
        let backwards = Levers { drained: Share::clamped(100), ..levers };
        let error = backwards.validate().unwrap_err().to_string();
        assert!(error.contains("at drained (100 ‰) is not below that at avoid"), "{error}");
        assert!(Levers { prefer_less: Share::FULL, ..levers }.validate().is_err());
    }

    #[test]
    fn only_drained_for_longer_than_the_drain_time_moves_the_best_path() {
        let levers = Levers::default();
        for level in Level::ALL {
            for lasting in [Duration::ZERO, HOUR - Duration::from_nanos(1), HOUR, HOUR * 100] {
                let lever = levers.lever(level, lasting, HOUR);
                let moves = level == Level::Drained && lasting >= HOUR;
                assert_eq!(lever.local_pref, moves.then_some(0), "{level} {lasting:?}");
                assert_eq!(lever.graceful_shutdown, moves, "{level} {lasting:?}");
            }
        }
    }

    #[test]
    fn the_deadline_of_a_lever_is_the_moment_it_changes() {
        let levers = Levers::default();
        let start = Time::from_nanos(1_000);
        let since = Mark::aged(start, HOUR / 4);
        let at = levers.changes_at(Level::Drained, since, HOUR, start).unwrap();
        assert_eq!(at, start + HOUR * 3 / 4);
        assert!(levers.lever(Level::Drained, since.age(at), HOUR).graceful_shutdown);
        assert_eq!(levers.changes_at(Level::Drained, since, HOUR, at), None);
        assert_eq!(levers.changes_at(Level::Avoid, since, HOUR, start), None);
    }
}
