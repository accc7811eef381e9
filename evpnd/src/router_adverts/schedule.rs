//! When to advertise on an interface, as RFC 4861 section 6.2.4 has it. Time and chance are
//! arguments.
//!
//! **Advertisements to all are never less than [`BETWEEN_MIN`] apart**, whoever asks for them and
//! however often.

use evpn_proto::types::Time;
use std::time::Duration;

/// Between two advertisements, give or take [`JITTER`]. A neighbour that has missed the first ones,
/// and whose own solicitation got lost, waits as long for us.
const INTERVAL: Duration = Duration::from_secs(10);
/// A quarter either way, so that routers of a link do not speak at once.
const JITTER: Duration = Duration::from_millis(2500);
/// `MIN_DELAY_BETWEEN_RAS` (RFC 4861 section 10).
pub(super) const BETWEEN_MIN: Duration = Duration::from_secs(3);
/// `MAX_INITIAL_RTR_ADVERTISEMENTS`: so many come in quick succession.
const INITIAL: u32 = 3;
/// At first, after what the kernel refused: the link-local address may still be looked at by others
/// (RFC 4862 section 5.4).
const RETRY: Duration = Duration::from_millis(500);

/// An interface's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Schedule {
    next: Time,
    last: Option<Time>,
    sent: u32,
    /// How often in a row it could not be sent.
    failures: u32,
    /// Somebody has advertised himself: nobody has to be asked to.
    heard: bool,
}

impl Schedule {
    /// The interface has just come up.
    pub(super) const fn new(now: Time) -> Self {
        Self { next: now, last: None, sent: 0, failures: 0, heard: false }
    }

    /// When to send.
    pub(super) const fn next(&self) -> Time {
        self.next
    }

    /// Whether a solicitation goes with the next advertisement.
    pub(super) const fn solicits(&self) -> bool {
        !self.heard && self.sent < INITIAL
    }

    /// It was sent. `chance` is any number.
    pub(super) fn sent(&mut self, now: Time, chance: u64) {
        self.sent = self.sent.saturating_add(1);
        self.failures = 0;
        self.last = Some(now);
        self.next = now + if self.sent < INITIAL { BETWEEN_MIN } else { jittered(chance) };
    }

    /// It could not be sent: the wait doubles up to the usual one. Tells how often in a row.
    pub(super) fn failed(&mut self, now: Time) -> u32 {
        let wait = RETRY.saturating_mul(1 << self.failures.min(8));
        self.next = now + wait.min(INTERVAL);
        self.failures = self.failures.saturating_add(1);
        self.failures
    }

    /// Somebody asked for it.
    pub(super) fn solicited(&mut self, now: Time) {
        let earliest = self.last.map_or(now, |last| last + BETWEEN_MIN);
        self.next = self.next.min(earliest.max(now));
    }

    /// Somebody advertised himself.
    pub(super) const fn heard(&mut self) {
        self.heard = true;
    }
}

fn jittered(chance: u64) -> Duration {
    let span = u64::try_from(JITTER.as_millis()).unwrap_or_default().saturating_mul(2);
    let more = Duration::from_millis(chance.checked_rem(span.saturating_add(1)).unwrap_or(0));
    INTERVAL.saturating_sub(JITTER) + more
}

/// The next of a row of numbers that look like chance (SplitMix64).
pub(super) const fn chance(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut number = *seed;
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_first_come_quickly_and_ask_and_the_others_every_ten_seconds_or_so() {
        let (mut schedule, mut seed) = (Schedule::new(Time::ZERO), 7);
        let mut at = Vec::new();
        let mut asked = 0;
        while schedule.next() < Time::ZERO + SECOND * 1000 {
            let now = schedule.next();
            asked += u32::from(schedule.solicits());
            schedule.sent(now, chance(&mut seed));
            at.push(now);
        }
        assert_eq!(at[..3], [0, 3, 6].map(|s| Time::ZERO + SECOND * s));
        assert_eq!(asked, 3);
        for pair in at[2..].windows(2) {
            let gap = pair[1].saturating_since(pair[0]);
            assert!((INTERVAL - JITTER..=INTERVAL + JITTER).contains(&gap), "{gap:?}");
        }
        assert!((95..=110).contains(&at.len()), "{}", at.len());
    }

    #[test]
    fn who_asks_is_answered_at_once_but_not_more_often_than_allowed() {
        let mut schedule = Schedule::new(Time::ZERO);
        for _ in 0..3 {
            schedule.sent(schedule.next(), 0);
        }
        let last = Time::ZERO + BETWEEN_MIN * 2;
        schedule.solicited(last + SECOND);
        schedule.solicited(last + SECOND * 2);
        assert_eq!(schedule.next(), last + BETWEEN_MIN);
        let sent = schedule.next();
        schedule.sent(sent, 0);
        let later = sent + BETWEEN_MIN + SECOND;
        schedule.solicited(later);
        assert_eq!(schedule.next(), later);
        // One that is due anyway is not put off.
        schedule.solicited(later + SECOND);
        assert_eq!(schedule.next(), later);
    }

    #[test]
    fn nobody_is_asked_once_somebody_was_heard_and_what_failed_is_tried_soon() {
        let mut schedule = Schedule::new(Time::ZERO);
        schedule.failed(Time::ZERO);
        assert_eq!(schedule.next(), Time::ZERO + RETRY);
        assert_eq!(schedule.failed(schedule.next()), 2);
        assert_eq!(schedule.next(), Time::ZERO + RETRY * 3);
        for _ in 0..40 {
            schedule.failed(Time::ZERO);
        }
        assert_eq!(schedule.next(), Time::ZERO + INTERVAL);
        assert!(schedule.solicits());
        schedule.heard();
        assert!(!schedule.solicits());
    }
}
