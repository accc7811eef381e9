//! What the policy remembers between decisions, and what an operator may put into it.
//!
//! Not here: the form on disk (`snapshot`) and the rules that change the state (`decide`).
//!
//! **An override always has an end, and nothing but the operator can move it later.**

use std::fmt;
use std::time::Duration;

use evpn_proto::types::Time;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::policy::{DAY, Level, MAX_CHANGES_PER_DAY, Policy};
use crate::reading::{AcceptedReading, Permille, UnixSeconds};

/// The longest override. A site that is to stay drained longer is given another threshold in its configuration.
pub const MAX_OVERRIDE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The longest reason kept with an override, in characters; the rest is cut.
pub const MAX_OVERRIDE_REASON_CHARS: usize = 200;

/// A moment from which an age is counted; it may lie before the start of the monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark {
    at: Time,
    before: Duration,
}

impl Mark {
    /// A mark at `now`.
    pub const fn new(now: Time) -> Self {
        Self { at: now, before: Duration::ZERO }
    }

    /// A mark that is `age` old at `now`.
    pub const fn aged(now: Time, age: Duration) -> Self {
        Self { at: now, before: age }
    }

    /// How old the mark is.
    pub const fn age(self, now: Time) -> Duration {
        now.saturating_since(self.at).saturating_add(self.before)
    }

    /// When it will be, or became, `age` old; not before the mark was made.
    pub fn reaches(self, age: Duration) -> Time {
        self.at + age.saturating_sub(self.before)
    }
}

/// What an operator wants instead of the policy's own choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OverrideMode {
    /// Be drained.
    Drain,
    /// Stay at the present level, whatever the battery says, alarms included.
    Hold,
}

impl fmt::Display for OverrideMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Drain => "drain",
            Self::Hold => "hold",
        })
    }
}

/// An override in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// What is wanted.
    pub mode: OverrideMode,
    /// When it ends. This binds; the wall-clock times are for people and for restarts.
    pub until: Time,
    /// When it was set.
    pub set: UnixSeconds,
    /// When it was to end when it was set.
    pub expires: UnixSeconds,
    /// Why, in the operator's words: one line, at most [`MAX_OVERRIDE_REASON_CHARS`] characters.
    pub reason: String,
}

/// A request of an operator: `drain`, `hold` or `auto`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "kebab-case", deny_unknown_fields)]
pub enum OverrideRequest {
    /// Be drained for a while.
    Drain(OverrideTerms),
    /// Stay at the present level for a while.
    Hold(OverrideTerms),
    /// Back to the policy. The level then eases as always: one step each dwell.
    Auto,
}

/// For how long an override is wanted, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverrideTerms {
    /// For how long, in whole seconds; at most [`MAX_OVERRIDE`].
    pub seconds: u64,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// An override that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OverrideError {
    /// It would end at once.
    #[error(
        "an override of zero seconds ends at once: give a duration, or `auto` to end the present one"
    )]
    Zero,
    /// It would last too long.
    #[error(
        "an override of {0:?} is longer than {MAX_OVERRIDE:?}: an override ends by itself; to keep \
         a site drained longer change its thresholds"
    )]
    TooLong(Duration),
}

/// Since when readings have been on either side of the thresholds of one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Crossing {
    /// First of the consecutive readings below the threshold.
    below: Option<Time>,
    /// First of the consecutive readings at or above threshold plus recovery.
    above: Option<Time>,
    /// The latest reading.
    latest: Time,
}

impl Crossing {
    fn note(&mut self, soc: Permille, begins: Permille, ends: Permille, received: Time) {
        self.below = if soc < begins { Some(self.below.unwrap_or(received)) } else { None };
        self.above = if soc >= ends { Some(self.above.unwrap_or(received)) } else { None };
        self.latest = received;
    }

    /// For how long readings have been below; `None` if the latest is not.
    pub(crate) fn below_for(&self) -> Option<Duration> {
        self.below.map(|first| self.latest.saturating_since(first))
    }

    /// For how long readings have been above; `None` if the latest is not.
    pub(crate) fn above_for(&self) -> Option<Duration> {
        self.above.map(|first| self.latest.saturating_since(first))
    }
}

/// What the policy remembers. Made once, then handed from decision to decision.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// The level the policy is at, dry run or not.
    pub level: Level,
    /// Since when.
    pub since: Mark,
    /// When the youngest sample was taken that counted as fresh; at first the start of the daemon.
    pub heard: Mark,
    /// The operator's override, until it ends.
    pub override_: Option<Override>,
    /// Changes of level in the last day, oldest first, at most [`MAX_CHANGES_PER_DAY`].
    pub(crate) changes: Vec<Mark>,
    prefer_less: Crossing,
    avoid: Crossing,
    drained: Crossing,
}

impl State {
    /// A site that has just begun, at the normal level.
    pub fn new(now: Time) -> Self {
        Self { since: Mark::new(now), heard: Mark::new(now), ..Self::default() }
    }

    /// Takes an operator's request; `decide` acts on it. A later request replaces an earlier one.
    ///
    /// # Errors
    /// If it has no duration, or one beyond [`MAX_OVERRIDE`]; the state is then unchanged.
    pub fn request(
        &mut self,
        request: OverrideRequest,
        now: Time,
        wall: UnixSeconds,
    ) -> Result<(), OverrideError> {
        let (mode, terms) = match request {
            OverrideRequest::Auto => {
                self.override_ = None;
                return Ok(());
            }
            OverrideRequest::Drain(terms) => (OverrideMode::Drain, terms),
            OverrideRequest::Hold(terms) => (OverrideMode::Hold, terms),
        };
        let lasting = Duration::from_secs(terms.seconds);
        if lasting.is_zero() {
            return Err(OverrideError::Zero);
        }
        if lasting > MAX_OVERRIDE {
            return Err(OverrideError::TooLong(lasting));
        }
        self.override_ = Some(Override {
            mode,
            until: now + lasting,
            set: wall,
            expires: wall.saturating_add(lasting),
            reason: one_line(&terms.reason),
        });
        Ok(())
    }

    /// How many changes of level the last day saw.
    pub fn changes_in_a_day(&self) -> usize {
        self.changes.len()
    }

    pub(crate) fn crossing(&self, level: Level) -> Option<&Crossing> {
        match level {
            Level::Normal => None,
            Level::PreferLess => Some(&self.prefer_less),
            Level::Avoid => Some(&self.avoid),
            Level::Drained => Some(&self.drained),
        }
    }

    pub(crate) fn note_reading(&mut self, policy: &Policy, accepted: &AcceptedReading) {
        // Also when nobody decided during the silence.
        if accepted.received.saturating_since(self.drained.latest) >= policy.stale.after {
            self.forget_readings();
        }
        let levels = [
            (Level::PreferLess, &mut self.prefer_less),
            (Level::Avoid, &mut self.avoid),
            (Level::Drained, &mut self.drained),
        ];
        for (level, crossing) in levels {
            if let (Some(begins), Some(ends)) =
                (policy.thresholds.of(level), policy.recovers_at(level))
            {
                crossing.note(accepted.reading.soc, begins, ends, accepted.received);
            }
        }
    }

    /// Silence confirms nothing: what readings showed before it does not count after it.
    pub(crate) fn forget_readings(&mut self) {
        self.prefer_less = Crossing::default();
        self.avoid = Crossing::default();
        self.drained = Crossing::default();
    }

    pub(crate) fn forget_old_changes(&mut self, now: Time) {
        self.changes.retain(|change| change.age(now) < DAY);
    }

    pub(crate) fn change_to(&mut self, level: Level, now: Time) {
        self.level = level;
        self.since = Mark::new(now);
        if self.changes.len() >= usize::from(MAX_CHANGES_PER_DAY) {
            self.changes.remove(0);
        }
        self.changes.push(Mark::new(now));
    }
}

/// A text for logs and terminals: no control characters, bounded.
pub(crate) fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_OVERRIDE_REASON_CHARS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_keeps_an_age_from_before_the_clock_began() {
        let mark = Mark::aged(Time::from_nanos(5), Duration::from_secs(3600));
        assert_eq!(mark.age(Time::from_nanos(5)), Duration::from_secs(3600));
        let later = Time::ZERO + Duration::from_secs(100);
        assert!(mark.age(later) > Duration::from_secs(3699));
        assert_eq!(mark.reaches(Duration::from_secs(60)), Time::from_nanos(5));
        assert_eq!(
            mark.reaches(Duration::from_secs(3660)),
            Time::from_nanos(5) + Duration::from_secs(60)
        );
    }

    #[test]
    fn an_override_has_an_end_and_a_reason_of_one_line() {
        let (now, wall) = (Time::from_nanos(7), UnixSeconds(1_000));
        let mut state = State::new(now);
        let drain = |seconds, reason: &str| {
            OverrideRequest::Drain(OverrideTerms { seconds, reason: reason.to_owned() })
        };
        assert_eq!(state.request(drain(0, ""), now, wall), Err(OverrideError::Zero));
        assert!(matches!(
            state.request(drain(u64::MAX, ""), now, wall),
            Err(OverrideError::TooLong(_))
        ));
        assert_eq!(state.override_, None);

        state.request(drain(60, &format!("a\nb\x1b{}", "x".repeat(500))), now, wall).unwrap();
        let set = state.override_.clone().unwrap();
        assert_eq!((set.until, set.expires), (now + Duration::from_secs(60), UnixSeconds(1_060)));
        assert!(
            set.reason.starts_with("a b x")
                && set.reason.chars().count() == MAX_OVERRIDE_REASON_CHARS
        );

        state.request(OverrideRequest::Auto, now, wall).unwrap();
        assert_eq!(state.override_, None);
    }

    #[test]
    fn requests_are_written_as_an_operator_would_expect() {
        let auto: OverrideRequest = serde_json::from_str(r#"{"mode":"auto"}"#).unwrap();
        assert_eq!(auto, OverrideRequest::Auto);
        let drain: OverrideRequest =
            serde_json::from_str(r#"{"mode":"drain","seconds":60,"reason":"works"}"#).unwrap();
        let expected =
            OverrideRequest::Drain(OverrideTerms { seconds: 60, reason: "works".to_owned() });
        assert_eq!(drain, expected);
        assert_eq!(
            serde_json::from_str::<OverrideRequest>(&serde_json::to_string(&drain).unwrap())
                .unwrap(),
            drain
        );
    }
}
