//! Timers as data: an array indexed by an enum. Jitter and back-off beside them.
//!
//! **A timer is a moment in a table; whoever holds the table looks, nothing calls.**

use crate::types::Time;
use std::time::Duration;

/// The timers of a session and of its connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Timer {
    /// Session: when a dial that has not succeeded is given up, or the next one begins (RFC 4271
    /// section 8.2.2, ConnectRetryTimer).
    ConnectRetry,
    /// Session: when a session that fell into Idle comes up again (RFC 4271 section 8.1.1,
    /// IdleHoldTimer).
    IdleHold,
    /// Connection: when the neighbor's silence ends it (RFC 4271 section 6.5).
    Hold,
    /// Connection, Established: when our own silence ends it (RFC 9687).
    SendHold,
    /// Connection: when the lease under which KEEPALIVEs are sent is renewed.
    Lease,
}

impl Timer {
    /// All, in the order in which they are looked at when several have expired.
    pub const ALL: [Self; 5] =
        [Self::ConnectRetry, Self::IdleHold, Self::Hold, Self::SendHold, Self::Lease];
}

/// When each timer expires.
#[derive(Clone, Default, Debug)]
pub(super) struct TimerTable {
    deadlines: [Option<Time>; Timer::ALL.len()],
}

impl TimerTable {
    fn slot(&mut self, timer: Timer) -> Option<&mut Option<Time>> {
        self.deadlines.get_mut(timer as usize)
    }

    /// Sets a timer, whatever it was.
    pub(super) fn arm(&mut self, timer: Timer, deadline: Time) {
        if let Some(slot) = self.slot(timer) {
            *slot = Some(deadline);
        }
    }

    /// Sets a running timer later, never earlier, and leaves one that does not run alone.
    pub(super) fn postpone(&mut self, timer: Timer, deadline: Time) {
        if let Some(Some(running)) = self.slot(timer) {
            *running = deadline.max(*running);
        }
    }

    /// Sets a running timer earlier, never later, and leaves one that does not run alone.
    pub(super) fn hasten(&mut self, timer: Timer, deadline: Time) {
        if let Some(Some(running)) = self.slot(timer) {
            *running = deadline.min(*running);
        }
    }

    /// Stops a timer.
    pub(super) fn disarm(&mut self, timer: Timer) {
        if let Some(slot) = self.slot(timer) {
            *slot = None;
        }
    }

    /// When a timer expires; none if it does not run.
    pub(super) fn deadline(&self, timer: Timer) -> Option<Time> {
        self.deadlines.get(timer as usize).copied().flatten()
    }

    /// When the first of them expires.
    pub(super) fn next(&self) -> Option<Time> {
        self.deadlines.iter().flatten().min().copied()
    }

    /// The first timer, in the order of [`Timer::ALL`], that has expired by `now`; it is stopped.
    pub(super) fn take_expired(&mut self, now: Time) -> Option<Timer> {
        let timer =
            Timer::ALL.into_iter().find(|timer| self.deadline(*timer).is_some_and(|t| t <= now))?;
        self.disarm(timer);
        Some(timer)
    }
}

/// Makes intervals a little shorter, each by another share, so that neighbors that started together
/// do not stay together (RFC 4271 section 10).
#[derive(Clone, Debug)]
pub(super) struct Jitter {
    seed: u64,
    counter: u64,
}

impl Jitter {
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed, counter: 0 }
    }

    /// `base` times a factor between 0.75 and 1.
    pub(super) fn apply(&mut self, base: Duration) -> Duration {
        // The factor is 768 to 1024 parts of 1024.
        let parts = 768 + u32::try_from(self.next() % 257).unwrap_or(0);
        base.checked_mul(parts).map_or(base, |product| product / 1024)
    }

    /// SplitMix64 of a counter: the n-th number needs nothing but the seed and n.
    fn next(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(1);
        let mut z = self.seed.wrapping_add(self.counter.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// How long a session rests in Idle: twice as long after every failure, up to a limit.
#[derive(Clone, Default, Debug)]
pub(super) struct Backoff {
    last: Duration,
    /// Calls of the neighbor's that came to nothing, since one last stood for a while.
    vain_calls: u32,
}

/// A session that ended sooner was none.
const SHORT_SESSION: Duration = Duration::from_secs(1);
/// So many of them in a row are let in at once. Each costs every neighbor the routes that came and
/// went with it.
const VAIN_CALLS_MAX: u32 = 3;

/// No configuration makes a failing session try more often than this.
const IDLE_HOLD_FLOOR: Duration = Duration::from_millis(100);

impl Backoff {
    /// The wait after one more failure, before jitter.
    pub(super) fn next(&mut self, min: Duration, max: Duration) -> Duration {
        let min = min.max(IDLE_HOLD_FLOOR);
        self.last = self.last.saturating_mul(2).clamp(min, max.max(min));
        self.last
    }

    /// The next failure counts as the first.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// A call of the neighbor's ended.
    pub(super) const fn call_ended(&mut self) {
        self.vain_calls = self.vain_calls.saturating_add(1);
    }

    /// A session stood for so long before it ended.
    pub(super) fn stood(&mut self, time: Duration) {
        if time >= SHORT_SESSION {
            self.vain_calls = 0;
        }
    }

    /// Whether the neighbor has to wait too: it calls again and again, and ends each call at once.
    pub(super) const fn keeps_callers_out(&self) -> bool {
        self.vain_calls > VAIN_CALLS_MAX
    }
}
