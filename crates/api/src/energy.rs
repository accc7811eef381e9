//! `energy` and `energy/override`: the battery, the level, and what is announced because of it.
//!
//! **A level is always told with why it stands**: the reading, the next threshold, the guard that
//! holds it, the override that sets it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How much a site asks traffic to go elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Not at all.
    Normal,
    /// A smaller share for this site.
    PreferLess,
    /// The smallest share.
    Avoid,
    /// None, if anybody else can carry it.
    Drained,
}

impl Level {
    /// Every level, from the least to the most.
    pub const ALL: [Self; 4] = [Self::Normal, Self::PreferLess, Self::Avoid, Self::Drained];
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Normal => "normal",
            Self::PreferLess => "prefer-less",
            Self::Avoid => "avoid",
            Self::Drained => "drained",
        })
    }
}

/// `GET energy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Energy {
    /// Whether the configuration has a feed at all.
    pub enabled: bool,
    /// Decisions are made and recorded, and nothing is announced because of them.
    pub dry_run: bool,
    /// This site, first; then sites that others tell us about, sorted by name.
    pub sites: Vec<Site>,
}

/// A site's energy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Site {
    /// Its name.
    pub name: String,
    /// This switch stands there.
    pub local: bool,
    /// Its level.
    pub level: Level,
    /// For how long, in milliseconds.
    pub level_for_msec: u64,
    /// Why this level, in one sentence.
    pub reason: String,
    /// The last reading that passed the gates.
    pub reading: Option<Reading>,
    /// Why the feed gives no readings at present, with the remedy; for this site only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feed_error: Option<String>,
    /// Readings that did not pass, since start.
    pub rejected_readings: u64,
    /// The last that did not, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_rejected: Option<String>,
    /// Where the level changes next, downwards and upwards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<Threshold>,
    /// Until a level may change again, in milliseconds; zero for at once.
    pub dwell_remaining_msec: u64,
    /// The guard that holds the level against what the reading asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked: Option<Blocked>,
    /// What an operator has ordered.
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    pub manual: Option<Override>,
    /// What is announced; for this site only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub announced: Option<Announced>,
    /// Prefixes that drain or have drained, sorted; for this site only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<PrefixDrain>,
    /// Changes of level since start.
    pub transitions: u64,
}

/// A reading of the battery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reading {
    /// The feed that it came from.
    pub feed: String,
    /// Since its source took it, in milliseconds.
    pub age_msec: u64,
    /// Older than the configuration allows: it no longer moves a level.
    pub stale: bool,
    /// State of charge in thousandths of full.
    pub soc_permille: Option<u16>,
    /// Power from the sun, in watts.
    pub pv_watts: Option<i64>,
    /// Power that the site takes, in watts.
    pub load_watts: Option<i64>,
    /// The source says that the battery is low or that it will cut the power.
    pub low_battery: bool,
}

/// A threshold of the state of charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Threshold {
    /// The level beyond it.
    pub level: Level,
    /// Below it when draining, above it when recovering, in thousandths of full.
    pub soc_permille: u16,
}

/// A guard that holds a level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Blocked {
    /// The level that the reading asks for.
    pub wanted: Level,
    /// The guard's name: `dwell`, `daily-cap`, `fleet-floor`, `sole-path`, `stale-feed`.
    pub guard: String,
    /// What it says, in one sentence.
    pub text: String,
}

/// What an operator has ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Override {
    /// The order.
    pub verb: Verb,
    /// Who gave it.
    pub who: String,
    /// Why.
    pub reason: String,
    /// Until it expires, in seconds.
    pub expires_in_sec: u64,
}

/// An order to a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Go to the last level.
    Drain,
    /// Stay at the present level.
    Hold,
    /// Go by the readings again.
    Auto,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Drain => "drain",
            Self::Hold => "hold",
            Self::Auto => "auto",
        })
    }
}

/// What a site announces because of its level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Announced {
    /// Share of the configured link bandwidth, in percent; never zero.
    pub link_bandwidth_percent: u8,
    /// LOCAL_PREF, where it is lowered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loc_prf: Option<u32>,
    /// With the GRACEFUL_SHUTDOWN community (RFC 8326).
    pub graceful_shutdown: bool,
    /// DF preference, where it is lowered (RFC 9785).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub df_preference: Option<u16>,
    /// Routes that carry it.
    pub routes: u64,
}

/// A prefix that drains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PrefixDrain {
    /// The VRF.
    pub vrf: String,
    /// The prefix.
    pub prefix: String,
    /// How far it is.
    pub state: DrainState,
    /// Its `drain-time`, in seconds.
    pub drain_time_sec: u64,
    /// Until the next state, in milliseconds; zero where it has arrived.
    pub remaining_msec: u64,
    /// Why it does not drain, of one that is held back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How far a prefix has drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DrainState {
    /// It does not drain.
    Normal,
    /// Its weight is the smallest; flows end by themselves.
    Draining,
    /// Its drain time is over; preference is lowered too.
    Drained,
    /// Ours is the only path, or a guard forbids it.
    HeldBack,
    /// Its weight returns.
    Returning,
}

impl fmt::Display for DrainState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Normal => "normal",
            Self::Draining => "draining",
            Self::Drained => "drained",
            Self::HeldBack => "held back",
            Self::Returning => "returning",
        })
    }
}

/// The body of `POST energy/override`. Who gives the order the server knows from the connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OverrideRequest {
    /// The order.
    pub verb: Verb,
    /// The site; this one unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// For how long, in seconds; required for `drain` and `hold`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub for_seconds: Option<u64>,
    /// Why; required for `drain` and `hold`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The longest that an override may last: a week. Who needs longer changes the configuration.
pub const MAX_OVERRIDE_SECONDS: u64 = 7 * 24 * 3600;

/// The longest reason, in characters.
pub const MAX_REASON_CHARS: usize = 200;

impl OverrideRequest {
    /// Whether it is complete and within bounds.
    ///
    /// # Errors
    /// What is missing or too large, and what to do.
    pub fn check(&self) -> Result<(), crate::Notice> {
        if self.verb == Verb::Auto {
            return Ok(());
        }
        let verb = self.verb;
        if !matches!(self.for_seconds, Some(1..=MAX_OVERRIDE_SECONDS)) {
            return Err(crate::Notice::new(
                format!("{verb} lasts between 1 s and {MAX_OVERRIDE_SECONDS} s"),
                "say for how long, e.g. --for 2h; for good belongs into the configuration",
            ));
        }
        let reason = self.reason.as_deref().unwrap_or_default().trim();
        if reason.is_empty() || reason.chars().count() > MAX_REASON_CHARS {
            return Err(crate::Notice::new(
                format!("{verb} needs a reason of at most {MAX_REASON_CHARS} characters"),
                "say why, e.g. --reason \"battery exchange\": it is shown to others and recorded",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(verb: Verb, for_seconds: Option<u64>, reason: &str) -> OverrideRequest {
        OverrideRequest { verb, site: None, for_seconds, reason: Some(reason.into()) }
    }

    #[test]
    fn an_override_always_ends_and_always_says_why() {
        for verb in [Verb::Drain, Verb::Hold] {
            assert!(request(verb, Some(7200), "battery exchange").check().is_ok());
            assert!(request(verb, None, "battery exchange").check().is_err());
            assert!(request(verb, Some(0), "battery exchange").check().is_err());
            assert!(request(verb, Some(MAX_OVERRIDE_SECONDS + 1), "for good").check().is_err());
            assert!(request(verb, Some(7200), "  ").check().is_err());
            assert!(request(verb, Some(7200), &"x".repeat(MAX_REASON_CHARS + 1)).check().is_err());
        }
    }

    #[test]
    fn returning_to_the_readings_needs_neither() {
        assert!(request(Verb::Auto, None, "").check().is_ok());
    }

    #[test]
    fn levels_are_ordered_from_the_least_to_the_most() {
        assert!(Level::ALL.is_sorted());
    }
}
