//! The site's energy: readings in, a level out, and what the level makes of our prefixes.
//!
//! **Deciding is `evpn_energy::decide`'s alone; nothing here has an opinion.**

use crate::io::{Event, Now, Output, PersistRecord};
use crate::settings::EnergySettings;
use crate::vrf::Advertised;
use evpn_energy::levers::link_bandwidth_bytes_per_second;
use evpn_energy::plausibility::{Gate, Verdict};
use evpn_energy::{
    Decision, Explanation, FeedError, Inputs, Level, Mark, OverrideRequest, Reading, Snapshot,
    State, decide,
};
use evpn_proto::types::Time;
use std::time::Duration;

/// The energy of the site.
#[derive(Debug)]
pub(crate) struct Energy {
    pub(crate) settings: EnergySettings,
    pub(crate) gate: Gate,
    decision: Decision,
    /// Since when the announced level has been announced: in a dry run and after it that is not
    /// since when the site has been at its level.
    announced_since: Mark,
    /// The last failure of the feed, until it speaks again.
    pub(crate) feed_error: Option<(Time, String)>,
    pub(crate) feed_errors: u64,
    pub(crate) transitions: u64,
}

impl Energy {
    pub(crate) fn new(settings: EnergySettings, snapshot: Option<Snapshot>, now: Now) -> Self {
        let state = match snapshot {
            Some(snapshot) => snapshot.restore(now.time, now.wall),
            None => State::new(now.time),
        };
        let inputs = Inputs { now: now.time, reading: None };
        let decision = decide(&settings.policy, &state, &inputs);
        Self {
            settings,
            gate: Gate::new(),
            announced_since: decision.state.since,
            decision,
            feed_error: None,
            feed_errors: 0,
            transitions: 0,
        }
    }

    /// The settings have changed: what is known stays.
    pub(crate) fn reconfigure(&mut self, settings: EnergySettings, now: Now) -> Vec<Output> {
        self.settings = settings;
        self.decide(now)
    }

    pub(crate) fn reading(&mut self, reading: Reading, now: Now) -> Vec<Output> {
        self.feed_error = None;
        let verdict = self.gate.judge(&self.settings.plausibility, reading, now.time, now.wall);
        let mut outputs = match verdict {
            Verdict::Refused(refusal) => {
                let text = format!("a reading of {} was not believed: {refusal}", reading.soc);
                vec![Output::Event(Event::Feed(text))]
            }
            Verdict::Accepted(_) | Verdict::Repeated => Vec::new(),
        };
        outputs.extend(self.decide(now));
        outputs
    }

    pub(crate) fn feed_failed(&mut self, error: &FeedError, now: Now) -> Vec<Output> {
        let text = error.to_string();
        self.feed_errors += 1;
        if said_nonsense(error) {
            self.gate.unreadable(now.time);
        }
        let news = self.feed_error.as_ref().is_none_or(|(_, last)| *last != text);
        self.feed_error = Some((now.time, text.clone()));
        let mut outputs = self.decide(now);
        if news {
            outputs.push(Output::Event(Event::Feed(text)));
        }
        outputs
    }

    pub(crate) fn request(
        &mut self,
        request: OverrideRequest,
        now: Now,
    ) -> Result<Vec<Output>, String> {
        let asked = self.decision.state.request(request, now.time, now.wall);
        asked.map_err(|e| e.to_string())?;
        let mut outputs = self.decide(now);
        outputs.push(self.persist(now));
        Ok(outputs)
    }

    pub(crate) fn persist(&self, now: Now) -> Output {
        let snapshot = Snapshot::of(&self.decision.state, now.time, now.wall);
        Output::Persist(PersistRecord::Energy(Box::new(snapshot)))
    }

    /// Decides anew, as often as the decision asks for at this moment.
    pub(crate) fn decide(&mut self, now: Now) -> Vec<Output> {
        let mut outputs = Vec::new();
        for _ in Level::ALL {
            let inputs = self.inputs(now.time);
            let decision = decide(&self.settings.policy, &self.decision.state, &inputs);
            if decision.announced != self.decision.announced {
                self.announced_since = Mark::new(now.time);
            }
            let overridden = self.decision.state.override_ != decision.state.override_;
            self.decision = decision;
            if self.decision.changed() {
                self.transitions += 1;
                let why = self.decision.reasons.first().map(ToString::to_string);
                let (from, to) = (self.decision.from, self.decision.level());
                let event = Event::Level(from, to, why.unwrap_or_default());
                outputs.extend([self.persist(now), Output::Event(event)]);
            } else if overridden {
                outputs.push(self.persist(now));
            }
            if self.decision.next_deadline.is_none_or(|d| d > now.time) {
                break;
            }
        }
        outputs
    }

    fn inputs(&self, now: Time) -> Inputs {
        Inputs { now, reading: self.gate.last() }
    }

    /// When to decide again, or to pull the last lever of one of these `drain-time`s.
    pub(crate) fn next_deadline(
        &self,
        now: Time,
        drain_times: impl Iterator<Item = Duration>,
    ) -> Option<Time> {
        let (levers, since) = (&self.settings.levers, self.announced_since);
        let announced = self.decision.announced;
        let lever = drain_times.filter_map(|d| levers.changes_at(announced, since, d, now)).min();
        [self.decision.next_deadline, lever].into_iter().flatten().min()
    }

    /// What a prefix with this `drain-time` says.
    pub(crate) fn advertised(&self, now: Time, drain_time: Duration) -> Advertised {
        let lasting = self.announced_since.age(now);
        let levers = &self.settings.levers;
        let lever = levers.lever(self.decision.announced, lasting, drain_time);
        let bandwidth =
            link_bandwidth_bytes_per_second(self.settings.capacity_bits, lever.bandwidth);
        Advertised { lever, bandwidth }
    }

    /// The level that is announced.
    pub(crate) const fn announced(&self) -> Level {
        self.decision.announced
    }

    /// For how long the level has lasted.
    pub(crate) fn level_age(&self, now: Time) -> Duration {
        self.decision.state.since.age(now)
    }

    pub(crate) fn explain(&self, now: Time) -> Explanation {
        Explanation::new(&self.decision, &self.inputs(now), now)
    }
}

/// Whether the source spoke and made no sense, rather than not having been heard.
const fn said_nonsense(error: &FeedError) -> bool {
    matches!(
        error,
        FeedError::NotNut(_)
            | FeedError::TooLong(_)
            | FeedError::FileTooLarge(_)
            | FeedError::FileEmpty
            | FeedError::NotJson(_)
            | FeedError::NoKey(_)
            | FeedError::WrongType { .. }
            | FeedError::BadNumber { .. }
    )
}
