//! The demo's clock.
//!
//! **Only the demo waits by sleeping**: it watches other processes, which tell nobody when they are
//! done.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Time since the demo began.
#[allow(clippy::disallowed_methods, reason = "the demo's one look at a clock")]
pub(crate) fn now() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// Waits.
#[allow(clippy::disallowed_methods, reason = "other processes tell nobody when they are done")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
