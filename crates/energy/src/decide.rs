//! The decision: from readings, rules and what went before to a level, with its reasons.
//!
//! [`decide`] is the only place where a level changes. It is a function of its arguments alone and defined for all
//! of them, also for policies that [`Policy::validate`] refuses and for clocks that stand still.
//!
//! **A level worsens because of a battery (or an operator), never because of silence; it improves by one step at a
//! time, at most once per dwell.**

use std::fmt;
use std::time::Duration;

use evpn_proto::types::Time;
use serde::Serialize;

use crate::policy::{DAY, Level, Policy};
use crate::reading::{AcceptedReading, Alarm, Permille};
use crate::state::{OverrideMode, State};

/// What a decision is made from, besides policy and state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inputs {
    /// The present moment.
    pub now: Time,
    /// The latest reading that passed the gates, however old; `None` before the first.
    pub reading: Option<AcceptedReading>,
}

/// What stands between a site and the level it would otherwise take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guard {
    /// Readings must show the charge for longer.
    Confirm,
    /// The level must last longer before it eases.
    Dwell,
    /// Too many changes in the last day.
    ChangesPerDay,
    /// The feed is silent, and the level is kept for a while.
    StaleHold,
    /// An operator holds the level, whatever the rules would do.
    Override,
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Confirm => "confirm",
            Self::Dwell => "dwell",
            Self::ChangesPerDay => "max-changes-per-day",
            Self::StaleHold => "stale-hold",
            Self::Override => "override",
        })
    }
}

/// Why a level is what it is. Durations are whole seconds, rounded up, so that "0 s" is never a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Reason {
    /// The charge calls for no less preference.
    Enough {
        /// The charge.
        soc: Permille,
    },
    /// The charge fell below a threshold for long enough.
    Below {
        /// The charge.
        soc: Permille,
        /// The threshold.
        threshold: Permille,
        /// The level that begins below it.
        level: Level,
    },
    /// The charge is below a threshold, but not yet for long enough.
    Confirming {
        /// The charge.
        soc: Permille,
        /// The level it points to: worse, or one step better.
        level: Level,
        /// How much longer readings must show it.
        seconds: u64,
    },
    /// The charge is not yet far enough above the threshold of the level.
    NotRecovered {
        /// The charge.
        soc: Permille,
        /// The charge at which the level may ease.
        needs: Permille,
    },
    /// The charge has recovered.
    Recovered {
        /// The charge.
        soc: Permille,
        /// The charge from which the level may ease.
        needs: Permille,
    },
    /// The battery's controller raised an alarm.
    Alarm {
        /// Which.
        alarm: Alarm,
    },
    /// No reading has come in since the start.
    NoReadingYet,
    /// The feed is silent, and the level is kept.
    StaleKept {
        /// How long the feed has been silent.
        silent: u64,
    },
    /// The feed has been silent for so long that the site behaves as an ordinary leaf again, step by step.
    StaleEased {
        /// How long the feed has been silent.
        silent: u64,
    },
    /// The feed is silent and the guard that protects against that is switched off.
    StaleGuardOff {
        /// How long the feed has been silent.
        silent: u64,
    },
    /// The level could ease, but has not lasted for a dwell.
    Dwelling {
        /// How much longer.
        seconds: u64,
    },
    /// The level could ease, but the day's changes are used up, counting those that a way back down would take.
    ChangesUsedUp {
        /// Changes in the last day.
        changes: usize,
        /// The cap.
        cap: u8,
    },
    /// An operator wants it so.
    Override {
        /// What was asked for.
        mode: OverrideMode,
        /// For how much longer.
        seconds: u64,
    },
    /// An override has just ended.
    OverrideEnded {
        /// What it was.
        mode: OverrideMode,
    },
    /// Dry run: the level is computed and the normal one announced.
    DryRun,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enough { soc } => write!(f, "the charge is {soc}, above every threshold"),
            Self::Below { soc, threshold, level } => {
                write!(f, "the charge is {soc}, below {threshold}, where {level} begins")
            }
            Self::Confirming { soc, level, seconds } => {
                write!(
                    f,
                    "the charge of {soc} points to {level}; readings must show it for another {seconds} s"
                )
            }
            Self::NotRecovered { soc, needs } => {
                write!(f, "the charge is {soc}; the level eases from {needs}")
            }
            Self::Recovered { soc, needs } => {
                write!(f, "the charge is {soc} and has recovered beyond {needs}")
            }
            Self::Alarm { alarm } => write!(f, "the battery reports: {alarm}"),
            Self::NoReadingYet => f.write_str("no reading has come in yet; the level is kept"),
            Self::StaleKept { silent } => {
                write!(f, "the feed has been silent for {silent} s; the level is kept")
            }
            Self::StaleEased { silent } => {
                write!(f, "the feed has been silent for {silent} s; the level eases step by step")
            }
            Self::StaleGuardOff { silent } => {
                write!(
                    f,
                    "the feed has been silent for {silent} s and the guard stale-feed-never-drains is OFF"
                )
            }
            Self::Dwelling { seconds } => {
                write!(f, "the level must last for another {seconds} s before it eases")
            }
            Self::ChangesUsedUp { changes, cap } => {
                write!(
                    f,
                    "{changes} changes in the last day; easing needs room for the way back under the cap of {cap}"
                )
            }
            Self::Override { mode, seconds } => {
                write!(f, "an operator's {mode} is in force for another {seconds} s")
            }
            Self::OverrideEnded { mode } => write!(f, "an operator's {mode} has ended"),
            Self::DryRun => f.write_str("dry run: the normal level is announced"),
        }
    }
}

/// The charge at which another level comes into reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct NextThreshold {
    /// The level.
    pub level: Level,
    /// The charge: below it for a worse level, at or above it for a better one.
    pub at: Permille,
}

/// The outcome, with all that explains it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What to remember. Its `level` is the level decided on.
    pub state: State,
    /// The level before.
    pub from: Level,
    /// The level to announce: that of the state, or normal in a dry run.
    pub announced: Level,
    /// Why, most telling first.
    pub reasons: Vec<Reason>,
    /// What keeps the site from another level now.
    pub blocked_by: Option<Guard>,
    /// Where it goes next if the charge falls.
    pub falls: Option<NextThreshold>,
    /// Where it goes next if the charge rises.
    pub rises: Option<NextThreshold>,
    /// How much longer the level must last before it may ease.
    pub dwell_remaining: Duration,
    /// When to decide again if no reading and no request comes first.
    pub next_deadline: Option<Time>,
}

impl Decision {
    /// The level decided on, dry run or not.
    pub const fn level(&self) -> Level {
        self.state.level
    }

    /// Whether the level changed.
    pub fn changed(&self) -> bool {
        self.from != self.state.level
    }
}

/// What the feed has to say at the moment.
#[derive(Clone, Copy)]
enum Evidence {
    Fresh(AcceptedReading),
    /// Nothing heard, but not for long enough to mean anything.
    Quiet,
    /// Silent for this long.
    Stale(Duration),
}

/// Where the rules point from the present state.
struct Course {
    target: Level,
    reason: Reason,
    blocked_by: Option<Guard>,
    /// When the course may differ without a new reading.
    wake: Option<Time>,
}

impl Course {
    fn stay(state: &State, reason: Reason) -> Self {
        Self { target: state.level, reason, blocked_by: None, wake: None }
    }

    fn blocked(state: &State, reason: Reason, guard: Guard, wake: Option<Time>) -> Self {
        Self { target: state.level, reason, blocked_by: Some(guard), wake }
    }

    fn go(target: Level, reason: Reason) -> Self {
        Self { target, reason, blocked_by: None, wake: None }
    }
}

/// Decides the level of a site.
///
/// At most one change of level comes out of one call; if more is due, `next_deadline` is in the past or now.
pub fn decide(policy: &Policy, state: &State, inputs: &Inputs) -> Decision {
    let now = inputs.now;
    let mut next = state.clone();
    next.forget_old_changes(now);
    let ended =
        next.override_.take_if(|o| o.until <= now).map(|o| Reason::OverrideEnded { mode: o.mode });
    let evidence = weigh(policy, &mut next, inputs);

    let course = set_course(policy, &next, evidence, now);
    let mut reasons = vec![course.reason];
    reasons.extend(ended);
    let after = if course.target == next.level {
        course
    } else {
        next.change_to(course.target, now);
        set_course(policy, &next, evidence, now)
    };
    if policy.dry_run {
        reasons.push(Reason::DryRun);
    }

    let more = (after.target != next.level).then_some(now);
    let override_ends = next.override_.as_ref().map(|o| o.until);
    let reading_ages = match evidence {
        Evidence::Fresh(accepted) => Some(accepted.sampled.reaches(policy.stale.after)),
        Evidence::Quiet => Some(next.heard.reaches(policy.stale.after)),
        Evidence::Stale(_) => None,
    };
    Decision {
        from: state.level,
        announced: if policy.dry_run { Level::Normal } else { next.level },
        reasons,
        blocked_by: after.blocked_by,
        falls: next_worse(policy, next.level),
        rises: next_better(policy, next.level),
        dwell_remaining: policy.pace.dwell.saturating_sub(next.since.age(now)),
        next_deadline: [more, after.wake, override_ends, reading_ages].into_iter().flatten().min(),
        state: next,
    }
}

/// Sorts the reading into fresh, quiet or stale, and notes it.
fn weigh(policy: &Policy, state: &mut State, inputs: &Inputs) -> Evidence {
    let now = inputs.now;
    if let Some(accepted) = inputs.reading.filter(|r| r.age(now) < policy.stale.after) {
        if accepted.age(now) < state.heard.age(now) {
            state.heard = accepted.sampled;
        }
        state.note_reading(policy, &accepted);
        return Evidence::Fresh(accepted);
    }
    state.forget_readings();
    let silent = state.heard.age(now);
    if silent < policy.stale.after { Evidence::Quiet } else { Evidence::Stale(silent) }
}

fn set_course(policy: &Policy, state: &State, evidence: Evidence, now: Time) -> Course {
    let Some(order) = &state.override_ else {
        return follow_rules(policy, state, evidence, now);
    };
    let reason = Reason::Override {
        mode: order.mode,
        seconds: seconds_up(order.until.saturating_since(now)),
    };
    match order.mode {
        OverrideMode::Drain => Course::go(Level::Drained, reason),
        OverrideMode::Hold => Course::blocked(state, reason, Guard::Override, None),
    }
}

fn follow_rules(policy: &Policy, state: &State, evidence: Evidence, now: Time) -> Course {
    match evidence {
        Evidence::Fresh(accepted) => follow_reading(policy, state, &accepted, now),
        Evidence::Quiet => Course::stay(state, Reason::NoReadingYet),
        Evidence::Stale(silent) => follow_silence(policy, state, silent, now),
    }
}

fn follow_reading(policy: &Policy, state: &State, accepted: &AcceptedReading, now: Time) -> Course {
    let reading = &accepted.reading;
    // The battery's own alarm stands above dwell, confirmation and cap: there may be no second reading.
    if reading.alarm != Alarm::None {
        return Course::go(Level::Drained, Reason::Alarm { alarm: reading.alarm });
    }
    let soc = reading.soc;
    let confirm = policy.pace.confirm;
    let worse = Level::ALL.into_iter().rev().filter(|level| *level > state.level);
    let mut unconfirmed = None;
    for level in worse {
        let (Some(threshold), Some(below_for)) =
            (policy.thresholds.of(level), state.crossing(level).and_then(|c| c.below_for()))
        else {
            continue;
        };
        if below_for >= confirm {
            return Course::go(level, Reason::Below { soc, threshold, level });
        }
        let seconds = seconds_up(confirm.saturating_sub(below_for));
        unconfirmed = unconfirmed.or(Some(Reason::Confirming { soc, level, seconds }));
    }
    if let Some(reason) = unconfirmed {
        return Course::blocked(state, reason, Guard::Confirm, None);
    }
    let (Some(better), Some(needs)) = (state.level.better(), policy.recovers_at(state.level))
    else {
        return Course::stay(state, Reason::Enough { soc });
    };
    match state.crossing(state.level).and_then(|c| c.above_for()) {
        None => Course::stay(state, Reason::NotRecovered { soc, needs }),
        Some(above_for) if above_for < confirm => {
            let seconds = seconds_up(confirm.saturating_sub(above_for));
            Course::blocked(
                state,
                Reason::Confirming { soc, level: better, seconds },
                Guard::Confirm,
                None,
            )
        }
        Some(_) => ease(policy, state, now, Reason::Recovered { soc, needs }),
    }
}

fn follow_silence(policy: &Policy, state: &State, silent: Duration, now: Time) -> Course {
    let seconds = silent.as_secs();
    if !policy.guards.stale_feed_never_drains {
        return Course::go(Level::Drained, Reason::StaleGuardOff { silent: seconds });
    }
    let kept = Reason::StaleKept { silent: seconds };
    if state.level == Level::Normal {
        return Course::stay(state, kept);
    }
    let until = policy.stale.after.saturating_add(policy.stale.hold);
    if silent < until {
        return Course::blocked(state, kept, Guard::StaleHold, Some(state.heard.reaches(until)));
    }
    ease(policy, state, now, Reason::StaleEased { silent: seconds })
}

/// One step better, unless dwell or cap forbid it.
fn ease(policy: &Policy, state: &State, now: Time, reason: Reason) -> Course {
    let Some(better) = state.level.better() else { return Course::stay(state, reason) };
    let dwell = policy.pace.dwell;
    let lasted = state.since.age(now);
    if lasted < dwell {
        let seconds = seconds_up(dwell.saturating_sub(lasted));
        return Course::blocked(
            state,
            Reason::Dwelling { seconds },
            Guard::Dwell,
            Some(state.since.reaches(dwell)),
        );
    }
    // Easing must leave room for the way back down. Then worsening never meets the cap, and the cap always holds.
    let cap = policy.pace.max_changes_per_day;
    let changes = state.changes.len();
    if changes + 1 + better.steps_to_drained() > usize::from(cap) {
        let frees = state.changes.first().map(|oldest| oldest.reaches(DAY));
        return Course::blocked(
            state,
            Reason::ChangesUsedUp { changes, cap },
            Guard::ChangesPerDay,
            frees,
        );
    }
    Course::go(better, reason)
}

fn next_worse(policy: &Policy, level: Level) -> Option<NextThreshold> {
    let mut worse = level;
    loop {
        worse = worse.worse()?;
        if let Some(at) = policy.thresholds.of(worse).filter(|at| *at > Permille::ZERO) {
            return Some(NextThreshold { level: worse, at });
        }
    }
}

fn next_better(policy: &Policy, level: Level) -> Option<NextThreshold> {
    Some(NextThreshold { level: level.better()?, at: policy.recovers_at(level)? })
}

/// Whole seconds, rounded up.
pub(crate) const fn seconds_up(duration: Duration) -> u64 {
    let whole = duration.as_secs();
    if duration.subsec_nanos() == 0 { whole } else { whole.saturating_add(1) }
}
