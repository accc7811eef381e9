//! Whether a reading is to be believed.
//!
//! A reading behind the feed's border is well formed: its numbers are in range. Here it is held against time and
//! against the reading before. A refused one leaves the last accepted one in place to age, so a feed that talks
//! nonsense ends as a stale feed, and a stale feed never drains.
//!
//! A gate must not shut for ever. After a gap, a swapped battery or a mended sensor the truth is far from the last
//! accepted reading, and every following one would be refused. So when several refused readings in a row agree with
//! each other for a while, the newest is accepted. Two things are never believed that way: a charge of exactly zero
//! that no decline led to (what a dead sensor reports, for as long as it is dead; a battery that comes back from a
//! real zero soon reports more), and a time stamp that is wrong.
//!
//! **A refused reading changes counters and the memory of what was refused, and nothing that a decision reads.**

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use evpn_proto::types::Time;
use serde::{Deserialize, Serialize};

use crate::reading::{AcceptedReading, Alarm, Permille, Reading, UnixSeconds};
use crate::state::Mark;

/// A change that is always believed, whatever the time between two readings: sources report whole percents and
/// filter them.
pub const SLACK: Permille = Permille::percent(2);

/// A charge from which a battery may reach exactly zero between two readings.
pub const ZERO_FOLLOWS: Permille = Permille::percent(20);

/// The longest time between two samples that widens the allowed change. Without this bound a feed that talks
/// nonsense for long enough would be believed at its first word after that.
pub const RATE_COUNTS_FOR: Duration = Duration::from_secs(120);

/// How gates judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gates {
    /// On by default. **Off, every well-formed reading is believed**, so a loose wire can drain the site. For
    /// negative controls in tests only.
    pub enforce: bool,
    /// Most change of charge in a minute, either way, beyond [`SLACK`]. Default 10 %: a battery that lives for ten
    /// minutes, far below any site that is to last a night. 100 % is no limit.
    pub max_change_per_minute: Permille,
    /// The oldest sample taken, by the source's time stamp. Default 5 min.
    pub max_age: Duration,
    /// How far in the future a source's time stamp may lie. Default 2 min: clocks differ.
    pub max_future: Duration,
    /// How far apart two refused readings in a row may be and still agree. Default 10 %.
    pub agree_within: Permille,
    /// How many refused readings in a row must agree before they are believed. Default 3.
    pub agree_readings: u32,
    /// And over how long a time. Default 2 min: a source may repeat one odd sample to everyone who asks until its
    /// next.
    pub agree_for: Duration,
}

impl Default for Gates {
    fn default() -> Self {
        Self {
            enforce: true,
            max_change_per_minute: Permille::percent(10),
            max_age: Duration::from_secs(300),
            max_future: Duration::from_secs(120),
            agree_within: Permille::percent(10),
            agree_readings: 3,
            agree_for: Duration::from_secs(120),
        }
    }
}

/// Why a reading was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// The feed gave no reading: malformed, out of range, or an error of the source.
    Unreadable,
    /// The charge changed faster than a battery can.
    TooFast,
    /// The charge is exactly zero and no decline led to it.
    ZeroWithoutDecline,
    /// The source's time stamp lies in the future.
    FromTheFuture,
    /// The source's time stamp is too old.
    TooOld,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "the feed gave no usable reading: its last error says why",
            Self::TooFast => {
                "the charge changed faster than max-change-per-minute allows: check the sensor, or \
                 raise it for a small battery"
            }
            Self::ZeroWithoutDecline => "the charge is exactly 0 % without a decline: the sensor looks dead",
            Self::FromTheFuture => {
                "the source's time stamp lies in the future: check both clocks, and that it is in seconds"
            }
            Self::TooOld => "the source's time stamp is too old: the source has stopped, or its clock is behind",
        })
    }
}

/// What became of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// To be decided on.
    Accepted(AcceptedReading),
    /// The sample that was accepted last, read again: nothing new, and it keeps its age.
    Repeated,
    /// Not believed.
    Refused(Refusal),
}

/// The last refused reading, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// When.
    pub at: Time,
    /// Why.
    pub refusal: Refusal,
    /// What; `None` if there was no reading at all.
    pub reading: Option<Reading>,
}

/// Refused readings that agree with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Candidate {
    first: Time,
    latest: Reading,
    count: u32,
}

/// The gate of one feed: the last accepted reading, and counters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gate {
    last: Option<AcceptedReading>,
    candidate: Option<Candidate>,
    accepted: u64,
    refused: BTreeMap<Refusal, u64>,
    last_refused: Option<Refused>,
}

impl Gate {
    /// A gate that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The last accepted reading, however old: the one to decide on.
    pub const fn last(&self) -> Option<AcceptedReading> {
        self.last
    }

    /// How many readings were accepted.
    pub const fn accepted(&self) -> u64 {
        self.accepted
    }

    /// How many were refused for `refusal`.
    pub fn refused(&self, refusal: Refusal) -> u64 {
        self.refused.get(&refusal).copied().unwrap_or(0)
    }

    /// The counters of refusals, those that are not zero, in a fixed order.
    pub fn refusals(&self) -> impl Iterator<Item = (Refusal, u64)> + '_ {
        self.refused.iter().map(|(refusal, count)| (*refusal, *count))
    }

    /// The last refused reading.
    pub const fn last_refused(&self) -> Option<Refused> {
        self.last_refused
    }

    /// Counts a poll of the feed that gave no reading.
    pub fn unreadable(&mut self, now: Time) {
        self.refuse(Refusal::Unreadable, None, now);
    }

    /// Judges a reading that came in at `now`, which the wall clock calls `wall`.
    pub fn judge(
        &mut self,
        gates: &Gates,
        reading: Reading,
        now: Time,
        wall: UnixSeconds,
    ) -> Verdict {
        let age = reading.source_time.map_or(Duration::ZERO, |taken| wall.saturating_since(taken));
        let offered = AcceptedReading { reading, received: now, sampled: Mark::aged(now, age) };
        if reading.source_time.is_some() && self.last.is_some_and(|last| last.reading == reading) {
            return Verdict::Repeated;
        }
        let refusal = if gates.enforce { self.find_fault(gates, &offered, wall) } else { None };
        match refusal {
            None => self.accept(offered),
            Some(Refusal::TooFast) if self.agrees(gates, reading, now) => self.accept(offered),
            Some(refusal) => {
                self.refuse(refusal, Some(reading), now);
                Verdict::Refused(refusal)
            }
        }
    }

    fn find_fault(
        &self,
        gates: &Gates,
        offered: &AcceptedReading,
        wall: UnixSeconds,
    ) -> Option<Refusal> {
        let reading = &offered.reading;
        if let Some(taken) = reading.source_time {
            if taken.saturating_since(wall) > gates.max_future {
                return Some(Refusal::FromTheFuture);
            }
            if wall.saturating_since(taken) > gates.max_age {
                return Some(Refusal::TooOld);
            }
        }
        // An alarm is a second witness: a battery that collapses falls fast, and its controller says so.
        if reading.alarm != Alarm::None {
            return None;
        }
        let before = self.last.map(|last| last.reading.soc);
        if reading.soc == Permille::ZERO && before.is_none_or(|soc| soc > ZERO_FOLLOWS) {
            return Some(Refusal::ZeroWithoutDecline);
        }
        let last = self.last.as_ref()?;
        let between = last.age(offered.received).saturating_sub(offered.age(offered.received));
        let change = last.reading.soc.abs_diff(reading.soc);
        (u128::from(change.get()) > allowed_change(gates, between)).then_some(Refusal::TooFast)
    }

    /// Whether enough refused readings in a row, this one included, agree with each other.
    fn agrees(&mut self, gates: &Gates, reading: Reading, now: Time) -> bool {
        let candidate = match self.candidate {
            Some(seen) if seen.latest.soc.abs_diff(reading.soc) <= gates.agree_within => {
                // One sample with a time stamp counts once, however often it is read.
                let same_sample =
                    reading.source_time.is_some() && reading.source_time == seen.latest.source_time;
                let count = if same_sample { seen.count } else { seen.count.saturating_add(1) };
                Candidate { latest: reading, count, ..seen }
            }
            _ => Candidate { first: now, latest: reading, count: 1 },
        };
        self.candidate = Some(candidate);
        candidate.count >= gates.agree_readings
            && now.saturating_since(candidate.first) >= gates.agree_for
    }

    fn accept(&mut self, offered: AcceptedReading) -> Verdict {
        self.last = Some(offered);
        self.candidate = None;
        self.accepted = self.accepted.saturating_add(1);
        Verdict::Accepted(offered)
    }

    fn refuse(&mut self, refusal: Refusal, reading: Option<Reading>, now: Time) {
        let count = self.refused.entry(refusal).or_default();
        *count = count.saturating_add(1);
        self.last_refused = Some(Refused { at: now, refusal, reading });
    }
}

/// The most change of charge in thousandths between two samples.
fn allowed_change(gates: &Gates, between: Duration) -> u128 {
    if gates.max_change_per_minute == Permille::FULL {
        return u128::from(Permille::FULL.get());
    }
    let by_time = u128::from(gates.max_change_per_minute.get())
        * between.min(RATE_COUNTS_FOR).as_millis()
        / 60_000;
    u128::from(SLACK.get()) + by_time
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: UnixSeconds = UnixSeconds(1_700_000_000);

    /// A gate, and a clock that moves on with each reading.
    struct Bench {
        gate: Gate,
        gates: Gates,
        seconds: u64,
    }

    impl Bench {
        fn new() -> Self {
            Self { gate: Gate::new(), gates: Gates::default(), seconds: 0 }
        }

        fn now(&self) -> Time {
            Time::ZERO + Duration::from_secs(self.seconds)
        }

        fn offer(&mut self, seconds_later: u64, reading: Reading) -> Verdict {
            self.seconds += seconds_later;
            let wall = UnixSeconds(WALL.0 + self.seconds);
            self.gate.judge(&self.gates, reading, self.now(), wall)
        }

        fn percent(&mut self, seconds_later: u64, percent: u8) -> Option<Refusal> {
            match self.offer(seconds_later, Reading::of_charge(Permille::percent(percent))) {
                Verdict::Refused(refusal) => Some(refusal),
                Verdict::Accepted(_) => None,
                Verdict::Repeated => panic!("readings without a time stamp are never repeats"),
            }
        }

        fn charge(&self) -> Option<Permille> {
            self.gate.last().map(|last| last.reading.soc)
        }
    }

    #[test]
    fn an_ordinary_decline_passes() {
        let mut bench = Bench::new();
        for (later, percent) in
            [(0, 80), (30, 79), (30, 72), (60, 60), (3600, 40), (1, 38), (60, 50), (60, 52)]
        {
            assert_eq!(bench.percent(later, percent), None, "{percent} %");
        }
        assert_eq!(bench.gate.accepted(), 8);
    }

    #[test]
    fn one_odd_value_changes_nothing_but_a_counter() {
        let mut bench = Bench::new();
        bench.percent(0, 80);
        let before = bench.gate.last();
        assert_eq!(bench.percent(30, 7), Some(Refusal::TooFast));
        assert_eq!(bench.gate.last(), before);
        assert_eq!(bench.gate.refused(Refusal::TooFast), 1);
        assert_eq!(bench.gate.refusals().collect::<Vec<_>>(), [(Refusal::TooFast, 1)]);
        assert_eq!(bench.gate.last_refused().unwrap().reading.unwrap().soc, Permille::percent(7));
        assert_eq!(bench.percent(30, 79), None);
    }

    #[test]
    fn nonsense_that_jumps_about_is_never_believed_however_long_it_lasts() {
        let mut bench = Bench::new();
        bench.percent(0, 80);
        for round in 0..10_000 {
            let percent = if round % 2 == 0 { 3 } else { 40 };
            assert_eq!(bench.percent(30, percent), Some(Refusal::TooFast));
        }
        assert_eq!(bench.charge(), Some(Permille::percent(80)));
    }

    #[test]
    fn a_gate_opens_again_for_readings_that_agree() {
        // A swapped battery: full at once, and it stays so.
        let mut bench = Bench::new();
        bench.percent(0, 20);
        assert_eq!(bench.percent(60, 100), Some(Refusal::TooFast));
        assert_eq!(bench.percent(60, 100), Some(Refusal::TooFast));
        assert_eq!(bench.percent(60, 99), None);
        assert_eq!(bench.charge(), Some(Permille::percent(99)));
    }

    #[test]
    fn agreement_takes_time_and_several_samples() {
        // Many readings in a short time: a source that repeats one odd sample.
        let mut bench = Bench::new();
        bench.percent(0, 90);
        for _ in 0..119 {
            assert_eq!(bench.percent(1, 30), Some(Refusal::TooFast));
        }
        // A file with one odd sample, read again and again.
        let mut bench = Bench::new();
        bench.percent(0, 90);
        let odd = Reading { source_time: Some(WALL), ..Reading::of_charge(Permille::percent(30)) };
        for _ in 0..8 {
            assert_eq!(bench.offer(30, odd), Verdict::Refused(Refusal::TooFast));
        }
    }

    #[test]
    fn a_zero_out_of_nothing_is_never_believed_and_locks_nothing_out() {
        let mut bench = Bench::new();
        assert_eq!(
            bench.percent(0, 0),
            Some(Refusal::ZeroWithoutDecline),
            "as the first word of a feed"
        );
        bench.percent(60, 60);
        for _ in 0..1_000 {
            assert_eq!(bench.percent(60, 0), Some(Refusal::ZeroWithoutDecline));
        }
        assert_eq!(bench.percent(60, 58), None, "the sensor is mended");
        for percent in [40, 21, 10, 0] {
            assert_eq!(bench.percent(120, percent), None, "a true decline to {percent} %");
        }
        // A battery that was at zero behind a dead feed comes back.
        let mut bench = Bench::new();
        bench.percent(0, 60);
        bench.percent(60, 0);
        assert_eq!(
            [bench.percent(60, 1), bench.percent(60, 1), bench.percent(60, 2)].last(),
            Some(&None)
        );
    }

    #[test]
    fn an_alarm_vouches_for_a_fall_but_not_for_an_old_sample() {
        let mut bench = Bench::new();
        bench.percent(0, 60);
        let collapse = Reading { alarm: Alarm::LowBattery, ..Reading::of_charge(Permille::ZERO) };
        assert!(matches!(bench.offer(30, collapse), Verdict::Accepted(_)));
        let old = Reading { source_time: Some(UnixSeconds(WALL.0 - 3600)), ..collapse };
        assert_eq!(bench.offer(30, old), Verdict::Refused(Refusal::TooOld));
    }

    #[test]
    fn time_stamps_must_be_near_the_present() {
        let stamped = |seconds| Reading {
            source_time: Some(UnixSeconds(seconds)),
            ..Reading::of_charge(Permille::percent(50))
        };
        for (taken, expected) in [
            (0, Some(Refusal::TooOld)),
            (WALL.0 - 301, Some(Refusal::TooOld)),
            (WALL.0 - 300, None),
            (WALL.0 + 120, None),
            (WALL.0 + 121, Some(Refusal::FromTheFuture)),
            (u64::MAX, Some(Refusal::FromTheFuture)),
        ] {
            match Bench::new().offer(0, stamped(taken)) {
                Verdict::Accepted(_) => assert_eq!(expected, None, "{taken}"),
                Verdict::Refused(refusal) => assert_eq!(Some(refusal), expected, "{taken}"),
                Verdict::Repeated => panic!("first reading"),
            }
        }
    }

    #[test]
    fn a_sample_ages_from_when_it_was_taken_and_reading_it_again_does_not_refresh_it() {
        let mut bench = Bench::new();
        bench.seconds = 100;
        let sample = Reading {
            source_time: Some(UnixSeconds(WALL.0 + 40)),
            ..Reading::of_charge(Permille::percent(50))
        };
        bench.offer(0, sample);
        assert_eq!(bench.gate.last().unwrap().age(bench.now()), Duration::from_secs(60));
        assert_eq!(bench.offer(30, sample), Verdict::Repeated);
        assert_eq!(bench.gate.last().unwrap().age(bench.now()), Duration::from_secs(90));
        // Even if the wall clock goes back.
        let back = bench.gate.judge(&bench.gates, sample, bench.now(), UnixSeconds(WALL.0));
        assert_eq!(back, Verdict::Repeated);
        assert_eq!(bench.gate.last().unwrap().age(bench.now()), Duration::from_secs(90));
    }

    #[test]
    fn a_flaky_feed_does_not_keep_the_gate_shut() {
        let mut bench = Bench::new();
        bench.percent(0, 20);
        bench.percent(60, 90);
        bench.gate.unreadable(bench.now());
        bench.percent(60, 91);
        bench.gate.unreadable(bench.now());
        assert_eq!(bench.percent(60, 90), None);
        assert_eq!(bench.gate.refused(Refusal::Unreadable), 2);
    }

    #[test]
    fn with_the_gates_off_nonsense_is_believed() {
        let mut bench = Bench::new();
        bench.gates.enforce = false;
        bench.percent(0, 80);
        assert_eq!(bench.percent(1, 0), None);
        assert_eq!(bench.charge(), Some(Permille::ZERO));
    }
}
