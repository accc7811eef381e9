//! Waiting for the world to become as it should, with a deadline.
//!
//! **Nothing waits without a limit, and a wait that fails says what it saw last.**

use std::fmt::Display;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(20);

/// Looks until `look` gives a value, and tells how long that took.
///
/// # Errors
/// What `look` said last.
pub fn wait_until<T, E>(
    within: Duration,
    mut look: impl FnMut() -> Result<T, E>,
) -> Result<(T, Duration), E> {
    let start = Instant::now();
    loop {
        match look() {
            Ok(value) => return Ok((value, start.elapsed())),
            Err(error) if start.elapsed() >= within => return Err(error),
            Err(_) => pause(POLL),
        }
    }
}

/// As [`wait_until`], and fails the test with `what` where it does not come about.
///
/// # Panics
/// Where it does not come about.
#[track_caller]
pub fn eventually<T, E: Display>(
    within: Duration,
    what: &str,
    look: impl FnMut() -> Result<T, E>,
) -> T {
    match wait_until(within, look) {
        Ok((value, _)) => value,
        Err(last) => panic!("not within {within:?}: {what}; last seen: {last}"),
    }
}

/// Fails the test unless `look` holds at every moment of `lasting`.
///
/// # Panics
/// With what `look` said when it first did not hold.
#[track_caller]
pub fn holds_for<E: Display>(
    lasting: Duration,
    what: &str,
    mut look: impl FnMut() -> Result<(), E>,
) {
    let start = Instant::now();
    while start.elapsed() < lasting {
        if let Err(seen) = look() {
            panic!("did not hold, after {:?}: {what}; seen: {seen}", start.elapsed());
        }
        pause(POLL);
    }
}

/// Lets time pass.
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// The present moment.
pub fn now() -> Instant {
    Instant::now()
}
