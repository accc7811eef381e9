//! The site's energy: the level with its reasons, and what our prefixes say because of it.

use super::View;
use crate::settings::EnergySettings;
use crate::vrf::Advertised;
use evpn_energy::plausibility::Refused;
use evpn_energy::{Explanation, Level};
use evpn_proto::types::Time;
use ipnet::IpNet;
use std::time::Duration;

/// The energy of the site at a moment.
#[derive(Clone, Debug)]
pub struct Energy<'a> {
    /// The site's settings.
    pub settings: &'a EnergySettings,
    /// The level, why, and what comes next.
    pub explanation: Explanation,
    /// For how long the level has lasted, to the nanosecond.
    pub level_age: Duration,
    /// How old the last accepted reading's sample is.
    pub reading_age: Option<Duration>,
    /// Whether that is too old to move a level.
    pub is_stale: bool,
    /// Readings that were accepted.
    pub accepted: u64,
    /// Readings that were not.
    pub refused: u64,
    /// The last that was not.
    pub last_refused: Option<Refused>,
    /// The feed's last failure, until it speaks again.
    pub feed_error: Option<(Time, &'a str)>,
    /// Failures of the feed.
    pub feed_errors: u64,
    /// Changes of level since start.
    pub transitions: u64,
    /// Our prefixes, sorted by VRF and prefix.
    pub prefixes: Vec<Prefix<'a>>,
}

/// A prefix of ours.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Prefix<'a> {
    /// Its VRF.
    pub vrf: &'a str,
    /// Which.
    pub prefix: IpNet,
    /// How long a drained site still takes the flows that it has.
    pub drain_time: Duration,
    /// What its route says now.
    pub says: Advertised,
    /// How far it has drained.
    pub drain: Drain,
}

/// How far a prefix has drained.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Drain {
    /// The site is not drained.
    No,
    /// Its share is the smallest; its preference falls in so much time.
    Draining(Duration),
    /// Its `drain-time` is over.
    Drained,
}

impl<'a> View<'a> {
    /// The site's energy; none where it is not our concern.
    pub fn energy(&self) -> Option<Energy<'a>> {
        let energy = self.engine.energy.as_ref()?;
        let now = self.now.time;
        let level_age = energy.level_age(now);
        let reading_age = energy.gate.last().map(|reading| reading.age(now));
        let explanation = energy.explain(now);
        let announced = explanation.announced;
        let stale_after = energy.settings.policy.stale.after;
        Some(Energy {
            settings: &energy.settings,
            explanation,
            level_age,
            reading_age,
            is_stale: reading_age.is_none_or(|age| age >= stale_after),
            accepted: energy.gate.accepted(),
            refused: energy.gate.refusals().map(|(_, count)| count).sum(),
            last_refused: energy.gate.last_refused(),
            feed_error: energy.feed_error.as_ref().map(|(at, text)| (*at, text.as_str())),
            feed_errors: energy.feed_errors,
            transitions: energy.transitions,
            prefixes: self.energy_of_prefixes(announced, level_age),
        })
    }

    fn energy_of_prefixes(&self, announced: Level, level_age: Duration) -> Vec<Prefix<'a>> {
        let mut prefixes = Vec::new();
        for vrf in self.engine.vrfs.values() {
            for (prefix, drain_time) in vrf.wanted(&self.engine.connected) {
                let Some(Some(says)) = vrf.announced.get(&prefix) else { continue };
                let drain = match drain_time.checked_sub(level_age) {
                    _ if announced != Level::Drained => Drain::No,
                    Some(left) if !left.is_zero() => Drain::Draining(left),
                    _ => Drain::Drained,
                };
                let vrf = vrf.settings.name.as_str();
                prefixes.push(Prefix { vrf, prefix, drain_time, says: *says, drain });
            }
        }
        prefixes.sort_by_key(|p| (p.vrf, p.prefix));
        prefixes
    }
}
