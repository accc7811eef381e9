//! The only place that reads a clock.

use evpn_energy::UnixSeconds;
use evpn_engine::Now;
use evpn_proto::types::Time;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The monotonic clock, from the start of the process on, and the wall clock beside it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    #[allow(clippy::disallowed_methods, reason = "time has to come from somewhere: from here")]
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    #[allow(clippy::disallowed_methods, reason = "time has to come from somewhere: from here")]
    pub(crate) fn now(self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { time: self.time(), wall: UnixSeconds(wall.as_secs()) }
    }

    #[allow(clippy::disallowed_methods, reason = "time has to come from somewhere: from here")]
    pub(crate) fn time(self) -> Time {
        Time::ZERO + self.start.elapsed()
    }

    /// How long it is until then; zero if it has passed.
    pub(crate) fn until(self, time: Time) -> Duration {
        time.saturating_since(self.time())
    }
}
