//! Waiting for news of the kernel and for other threads at once.
//!
//! **A waiting thread uses no processor**: nothing here looks twice.

use crate::monitor::Monitor;
use crate::snoop::Snooper;
use crate::socket;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

/// A descriptor that is not waited for.
const NOBODY: RawFd = -1;

/// Wakes the thread that waits on it; clones wake the same one.
#[derive(Clone, Debug)]
pub struct Waker(Arc<File>);

impl Waker {
    /// A new one.
    ///
    /// # Errors
    /// No descriptor is to be had.
    pub fn new() -> io::Result<Self> {
        socket::eventfd().map(|fd| Self(Arc::new(File::from(fd))))
    }

    /// Wakes the thread, now or as soon as it waits.
    pub fn wake(&self) {
        // A counter that is full says "wake" already.
        drop((&*self.0).write(&1u64.to_ne_bytes()));
    }

    /// Waits for news, for hosts that speak (where there is a snooper) or for a wake-up, at most for
    /// `timeout`.
    ///
    /// # Errors
    /// The system's, none of which is expected.
    pub fn wait(
        &self,
        monitor: &Monitor,
        snooper: Option<&Snooper>,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        let heard = snooper.map_or(NOBODY, AsRawFd::as_raw_fd);
        let fds = [monitor.as_raw_fd(), heard, self.0.as_raw_fd()];
        let [_, _, woken] = socket::poll(fds, timeout)?;
        if woken {
            // Takes the counter back to zero; whoever was faster has done so.
            drop((&*self.0).read(&mut [0; 8]));
        }
        Ok(())
    }
}
