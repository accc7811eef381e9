//! The socket on which a service tells systemd how it is, held by the test.
//!
//! **What arrives here is what systemd would see, when it would see it.**

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A NOTIFY_SOCKET.
#[derive(Debug)]
pub struct NotifySocket {
    socket: UnixDatagram,
    path: PathBuf,
}

impl NotifySocket {
    /// Makes one.
    ///
    /// # Panics
    /// Where it cannot be made.
    #[track_caller]
    pub fn new(path: PathBuf) -> Self {
        let socket =
            UnixDatagram::bind(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self { socket, path }
    }

    /// The value of the environment's variable.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next message, if one comes within the time.
    ///
    /// # Panics
    /// Where the socket fails.
    pub fn next(&self, within: Duration) -> Option<String> {
        let within = within.max(Duration::from_millis(1));
        self.socket.set_read_timeout(Some(within)).expect("a socket takes a timeout");
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    /// Messages until one has the line, which ends the wait; the time it took.
    ///
    /// # Errors
    /// What came instead.
    pub fn wait_for(&self, line: &str, within: Duration) -> Result<Duration, Vec<String>> {
        let start = Instant::now();
        let mut seen = Vec::new();
        while let Some(rest) = within.checked_sub(start.elapsed()) {
            if let Some(message) = self.next(rest) {
                if message.lines().any(|l| l == line) {
                    return Ok(start.elapsed());
                }
                seen.push(message);
            }
        }
        Err(seen)
    }
}
