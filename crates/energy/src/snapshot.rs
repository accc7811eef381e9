//! The form in which a [`State`] outlives the daemon.
//!
//! JSON with a version. Magic, checksum, fsync and rename belong to whoever writes the file.
//!
//! Monotonic times become ages and remaining times. What passed while the daemon was down counts for the end of an
//! override and for nothing else: a level has at least the dwell it still had to serve, and no wall clock that
//! jumped can shorten it.
//!
//! **No clock, however it jumps, extends an override beyond the time it had left or makes a level worse.**

use std::time::Duration;

use evpn_proto::types::Time;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::policy::{DAY, Level, MAX_CHANGES_PER_DAY};
use crate::reading::UnixSeconds;
use crate::state::{MAX_OVERRIDE, Mark, Override, OverrideMode, State, one_line};

/// The version written. Older ones are migrated, newer ones refused.
pub const SNAPSHOT_VERSION: u32 = 1;

/// The largest snapshot read, in bytes; one that is written has a few kilobytes at most.
pub const MAX_SNAPSHOT_BYTES: usize = 64 * 1024;

/// Older than anything the policy asks about; larger ages are cut to it.
const MAX_AGE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A state at rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    version: u32,
    /// Wall-clock time of the snapshot.
    saved: UnixSeconds,
    level: Level,
    level_age_ms: u64,
    heard_age_ms: u64,
    change_ages_ms: Vec<u64>,
    #[serde(rename = "override", default, skip_serializing_if = "Option::is_none")]
    override_: Option<SavedOverride>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SavedOverride {
    mode: OverrideMode,
    remaining_ms: u64,
    set: UnixSeconds,
    expires: UnixSeconds,
    reason: String,
}

/// A snapshot that cannot be used. The daemon then begins at the normal level and leaves the file untouched.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// Written by a later version.
    #[error(
        "the saved energy state has version {0}, this program knows up to {SNAPSHOT_VERSION}: run \
         the newer program, or move the file away to begin at the normal level"
    )]
    Newer(u32),
    /// Too large to be one.
    #[error(
        "the saved energy state has {0} bytes, more than {MAX_SNAPSHOT_BYTES}: it is not ours; move it away"
    )]
    TooLarge(usize),
    /// Not a snapshot.
    #[error(
        "the saved energy state cannot be read ({0}): move the file away to begin at the normal level"
    )]
    Malformed(#[from] serde_json::Error),
}

impl Snapshot {
    /// The state as it is at `now`, which the wall clock calls `wall`.
    pub fn of(state: &State, now: Time, wall: UnixSeconds) -> Self {
        Self {
            version: SNAPSHOT_VERSION,
            saved: wall,
            level: state.level,
            level_age_ms: millis(state.since.age(now)),
            heard_age_ms: millis(state.heard.age(now)),
            change_ages_ms: state.changes.iter().map(|change| millis(change.age(now))).collect(),
            override_: state.override_.as_ref().map(|o| SavedOverride {
                mode: o.mode,
                remaining_ms: millis(o.until.saturating_since(now)),
                set: o.set,
                expires: o.expires,
                reason: o.reason.clone(),
            }),
        }
    }

    /// The state to go on from at `now`, which the wall clock calls `wall`.
    ///
    /// Readings are not part of it: what they confirmed must be confirmed again. Values that no daemon would have
    /// written are cut to sense.
    pub fn restore(self, now: Time, wall: UnixSeconds) -> State {
        let mark = |age_ms| Mark::aged(now, Duration::from_millis(age_ms).min(MAX_AGE));
        let mut changes: Vec<Mark> = self.change_ages_ms.iter().map(|age| mark(*age)).collect();
        changes.retain(|change| change.age(now) < DAY);
        changes.sort_by_key(|change| std::cmp::Reverse(change.age(now)));
        let surplus = changes.len().saturating_sub(usize::from(MAX_CHANGES_PER_DAY));
        changes.drain(..surplus);

        let mut state = State::new(now);
        state.level = self.level;
        state.since = mark(self.level_age_ms);
        state.heard = mark(self.heard_age_ms);
        state.changes = changes;
        let saved = self.saved;
        state.override_ = self.override_.and_then(|o| o.restore(saved, now, wall));
        state
    }

    /// The text to write to a file.
    ///
    /// # Errors
    /// Never for a snapshot made by [`Snapshot::of`]; the encoder's type says otherwise.
    pub fn encode(&self) -> Result<String, SnapshotError> {
        Ok(serde_json::to_string(self)?)
    }

    /// Reads what [`Snapshot::encode`] wrote.
    ///
    /// # Errors
    /// If it is no snapshot, or one of a newer program.
    pub fn decode(bytes: &[u8]) -> Result<Self, SnapshotError> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        if bytes.len() > MAX_SNAPSHOT_BYTES {
            return Err(SnapshotError::TooLarge(bytes.len()));
        }
        let Version { version } = serde_json::from_slice(bytes)?;
        if version > SNAPSHOT_VERSION {
            return Err(SnapshotError::Newer(version));
        }
        Ok(serde_json::from_slice(bytes)?)
    }
}

impl SavedOverride {
    fn restore(self, saved: UnixSeconds, now: Time, wall: UnixSeconds) -> Option<Override> {
        let had_left = Duration::from_millis(self.remaining_ms).min(MAX_OVERRIDE);
        // A clock that went back says nothing about the time that passed; one that went forward ends the override
        // early, which is the harmless direction.
        let left = had_left.saturating_sub(wall.saturating_since(saved));
        if left.is_zero() {
            return None;
        }
        Some(Override {
            mode: self.mode,
            until: now + left,
            set: self.set,
            expires: self.expires,
            reason: one_line(&self.reason),
        })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{OverrideRequest, OverrideTerms};

    const HOUR: Duration = Duration::from_secs(3600);

    fn drained_with_override(now: Time, wall: UnixSeconds) -> State {
        let mut state = State::new(now);
        state.change_to(Level::Drained, now);
        let request = OverrideRequest::Drain(OverrideTerms {
            seconds: 7200,
            reason: "battery swap".to_owned(),
        });
        state.request(request, now, wall).unwrap();
        state
    }

    fn through_a_file(
        state: &State,
        saved_at: (Time, UnixSeconds),
        restored_at: (Time, UnixSeconds),
    ) -> State {
        let text = Snapshot::of(state, saved_at.0, saved_at.1).encode().unwrap();
        Snapshot::decode(text.as_bytes()).unwrap().restore(restored_at.0, restored_at.1)
    }

    #[test]
    fn a_drained_site_stays_drained_over_a_restart_and_keeps_its_age() {
        let start = Time::from_nanos(0);
        let state = drained_with_override(start, UnixSeconds(1_000));
        // The new process's clock begins anew.
        let restored = through_a_file(
            &state,
            (start + HOUR, UnixSeconds(4_600)),
            (Time::from_nanos(9), UnixSeconds(4_660)),
        );
        assert_eq!(restored.level, Level::Drained);
        assert_eq!(restored.since.age(Time::from_nanos(9)), HOUR);
        assert_eq!(restored.changes_in_a_day(), 1);
        let left = restored.override_.unwrap().until.saturating_since(Time::from_nanos(9));
        assert_eq!(left, HOUR - Duration::from_secs(60));
    }

    #[test]
    fn no_jump_of_the_clock_extends_an_override() {
        let start = Time::from_nanos(0);
        let state = drained_with_override(start, UnixSeconds(1_000_000));
        let saved_at = (start + HOUR, UnixSeconds(1_003_600));
        for (wall, left) in [
            (0, Some(HOUR)),
            (1_000_000, Some(HOUR)),
            (1_003_600, Some(HOUR)),
            (1_005_400, Some(HOUR / 2)),
            (1_007_200, None),
            (u64::MAX, None),
        ] {
            let restored = through_a_file(&state, saved_at, (start, UnixSeconds(wall)));
            assert_eq!(
                restored.override_.map(|o| o.until.saturating_since(start)),
                left,
                "wall {wall}"
            );
            assert_eq!(restored.level, Level::Drained);
        }
    }

    #[test]
    fn nonsense_in_a_snapshot_is_cut_to_sense() {
        let text = r#"{"version":1,"saved":5,"level":"avoid","level_age_ms":18446744073709551615,
            "heard_age_ms":18446744073709551615,"change_ages_ms":[18446744073709551615,3,9,1],
            "override":{"mode":"hold","remaining_ms":18446744073709551615,"set":0,"expires":0,"reason":"a\nb"}}"#;
        let now = Time::from_nanos(u64::MAX);
        let state = Snapshot::decode(text.as_bytes()).unwrap().restore(now, UnixSeconds(0));
        assert_eq!(state.level, Level::Avoid);
        assert_eq!(state.since.age(now), MAX_AGE);
        let ages: Vec<_> = state.changes.iter().map(|c| c.age(now).as_millis()).collect();
        assert_eq!(ages, [9, 3, 1], "oldest first, those older than a day gone");
        assert_eq!(state.override_.unwrap().reason, "a b");
    }

    #[test]
    fn a_newer_or_broken_snapshot_is_refused() {
        let newer = Snapshot::decode(br#"{"version":2,"shape":"unknown"}"#);
        assert!(matches!(newer, Err(SnapshotError::Newer(2))));
        for broken in [&b""[..], b"{}", b"null", br#"{"version":1,"level":"gone"}"#] {
            assert!(matches!(Snapshot::decode(broken), Err(SnapshotError::Malformed(_))));
        }
        let large = vec![b' '; MAX_SNAPSHOT_BYTES + 1];
        assert!(matches!(Snapshot::decode(&large), Err(SnapshotError::TooLarge(_))));
    }

    #[test]
    fn version_1_is_read_for_ever() {
        let fixture = include_bytes!("../tests/fixtures/snapshot-v1.json");
        let state = Snapshot::decode(fixture)
            .unwrap()
            .restore(Time::from_nanos(0), UnixSeconds(1_700_000_060));
        assert_eq!(state.level, Level::Drained);
        assert_eq!(state.since.age(Time::from_nanos(0)), Duration::from_secs(600));
        let held = state.override_.unwrap();
        assert_eq!((held.mode, held.reason.as_str()), (OverrideMode::Hold, "new panels"));
        assert_eq!(held.until, Time::from_nanos(0) + Duration::from_secs(3540));
    }
}
