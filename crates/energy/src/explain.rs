//! What `evpnctl show energy` and the API show: a decision in the units of people.
//!
//! Data only; how it is laid out on a terminal is the tool's business.
//!
//! **Nothing here feeds back into a decision.**

use std::fmt;

use evpn_proto::types::Time;
use serde::Serialize;

use crate::decide::{Decision, Guard, Inputs, NextThreshold, Reason, seconds_up};
use crate::policy::Level;
use crate::reading::{Reading, UnixSeconds};
use crate::state::OverrideMode;

/// The energy of a site at a glance. Durations are whole seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The latest reading that was accepted.
    pub reading: Option<Reading>,
    /// How old its sample is.
    pub reading_age_seconds: Option<u64>,
    /// The level decided on.
    pub level: Level,
    /// The level that is announced: normal in a dry run.
    pub announced: Level,
    /// For how long the level has lasted.
    pub level_age_seconds: u64,
    /// Where the site goes next if the charge falls below `at`.
    pub falls: Option<NextThreshold>,
    /// Where it goes next if the charge rises to `at`.
    pub rises: Option<NextThreshold>,
    /// How much longer the level must last before it may ease.
    pub dwell_remaining_seconds: u64,
    /// What keeps the site from another level.
    pub blocked_by: Option<Guard>,
    /// Why the level is what it is.
    pub reasons: Vec<Reason>,
    /// Changes of level in the last day.
    pub changes_in_a_day: usize,
    /// The operator's override, if one is in force.
    #[serde(rename = "override")]
    pub override_: Option<OverrideExplanation>,
    /// When the policy looks again without being asked, from now; `None` if only a reading can change anything.
    pub decides_again_in_seconds: Option<u64>,
}

/// An override as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OverrideExplanation {
    /// What is wanted.
    pub mode: OverrideMode,
    /// For how much longer.
    pub seconds_remaining: u64,
    /// When it was set.
    pub set: UnixSeconds,
    /// Why, in the operator's words.
    pub reason: String,
}

impl Explanation {
    /// Explains `decision`, which was made from `inputs`, as it stands at `now`.
    pub fn new(decision: &Decision, inputs: &Inputs, now: Time) -> Self {
        let state = &decision.state;
        Self {
            reading: inputs.reading.map(|r| r.reading),
            reading_age_seconds: inputs.reading.map(|r| r.age(now).as_secs()),
            level: state.level,
            announced: decision.announced,
            level_age_seconds: state.since.age(now).as_secs(),
            falls: decision.falls,
            rises: decision.rises,
            dwell_remaining_seconds: seconds_up(
                decision.dwell_remaining.saturating_sub(now.saturating_since(inputs.now)),
            ),
            blocked_by: decision.blocked_by,
            reasons: decision.reasons.clone(),
            changes_in_a_day: state.changes_in_a_day(),
            override_: state.override_.as_ref().map(|o| OverrideExplanation {
                mode: o.mode,
                seconds_remaining: seconds_up(o.until.saturating_since(now)),
                set: o.set,
                reason: o.reason.clone(),
            }),
            decides_again_in_seconds: decision
                .next_deadline
                .map(|at| seconds_up(at.saturating_since(now))),
        }
    }
}

impl fmt::Display for Explanation {
    /// One line for a log: level, charge and the first reason.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.level)?;
        if self.announced != self.level {
            write!(f, " (announced as {})", self.announced)?;
        }
        for (index, reason) in self.reasons.iter().enumerate() {
            f.write_str(if index == 0 { ": " } else { "; " })?;
            write!(f, "{reason}")?;
        }
        Ok(())
    }
}
