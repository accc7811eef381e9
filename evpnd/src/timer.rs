//! Waiting long at the cost of one wake-up.
//!
//! Tokio's timers wake the thread two or three times on the way to a deadline that is seconds away,
//! since their wheel is read level by level. For what comes again and again that is three times the
//! wake-ups that there need to be; for short or rare waits tokio's timers are right.
//!
//! **The thread wakes when the time is over, and not before.**

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Goes off once for each time that it is set.
#[derive(Debug)]
pub(crate) struct Timer(AsyncFd<Descriptor>);

#[derive(Debug)]
struct Descriptor(TimerFd);

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Timer {
    /// One that is not set.
    ///
    /// # Errors
    /// No descriptor is to be had.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        // SAFETY: the descriptor is the timer's own, who closes it when the `AsyncFd` is dropped and
        // never exchanges it.
        let registered =
            unsafe { AsyncFd::register_with_interest(Descriptor(timer), Interest::READABLE) };
        Ok(Self(registered?))
    }

    /// Has it go off after `time`, in place of when it would have.
    ///
    /// # Errors
    /// The system's, none of which is expected.
    pub(crate) fn set(&self, time: Duration) -> io::Result<()> {
        // Zero would turn it off.
        let time = TimeSpec::from(time.max(Duration::from_nanos(1)));
        let once = Expiration::OneShot(time);
        Ok(self.0.get_ref().0.set(once, TimerSetTimeFlags::empty())?)
    }

    /// Waits until it goes off; for ever if it is not set. Nothing is lost when this is given up.
    ///
    /// # Errors
    /// The system's, none of which is expected.
    pub(crate) async fn expired(&self) -> io::Result<()> {
        loop {
            let mut ready = self.0.readable().await?;
            // Reading says how often it went off, and where it did not, that it would block.
            if let Ok(read) = ready.try_io(|timer| Ok(timer.get_ref().0.wait()?)) {
                return read;
            }
        }
    }

    /// Waits for `time`.
    ///
    /// # Errors
    /// The system's, none of which is expected.
    pub(crate) async fn sleep(&self, time: Duration) -> io::Result<()> {
        self.set(time)?;
        self.expired().await
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "what is tested is real time")]
mod tests {
    use super::*;
    use std::time::Instant;
    use tokio::time::timeout;

    const SHORT: Duration = Duration::from_millis(30);

    #[tokio::test]
    async fn it_goes_off_when_the_time_is_over_and_once() {
        let timer = Timer::new().unwrap();
        let start = Instant::now();
        timer.sleep(SHORT).await.unwrap();
        assert!(start.elapsed() >= SHORT);
        assert!(timeout(SHORT, timer.expired()).await.is_err(), "it went off twice");
    }

    #[tokio::test]
    async fn no_time_at_all_is_over_at_once() {
        let timer = Timer::new().unwrap();
        let slept = timeout(Duration::from_secs(10), timer.sleep(Duration::ZERO)).await;
        assert!(slept.is_ok());
    }

    #[tokio::test]
    async fn a_wait_that_was_given_up_loses_nothing() {
        let timer = Timer::new().unwrap();
        timer.set(SHORT).unwrap();
        assert!(timeout(SHORT / 10, timer.expired()).await.is_err());
        let waited = timeout(Duration::from_secs(10), timer.expired()).await;
        assert!(waited.is_ok());
    }
}
