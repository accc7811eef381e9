//! A long-running process of a test: its log, its end.
//!
//! **It ends with the test, by its own number, whatever happens.**

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// How long a process may take to end after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(10);

/// A process with its log.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    child: Child,
    log: PathBuf,
    log_start: u64,
}

impl Daemon {
    /// Starts it; both its outputs are appended to `log`.
    ///
    /// # Panics
    /// Where it cannot be started.
    #[track_caller]
    pub fn spawn(name: &str, command: &mut Command, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log);
        let file = file.unwrap_or_else(|e| panic!("{}: {e}", log.display()));
        let log_start = file.metadata().map_or(0, |m| m.len());
        let second = file.try_clone().unwrap_or_else(|e| panic!("{}: {e}", log.display()));
        let child = command.stdin(Stdio::null()).stdout(file).stderr(second).spawn();
        let child = child.unwrap_or_else(|e| panic!("{name} ({command:?}): {e}"));
        Self { name: name.to_owned(), child, log: log.to_owned(), log_start }
    }

    /// Its number.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap_or(i32::MAX)
    }

    /// What this process has written so far, without colours.
    pub fn log(&self) -> String {
        let octets = fs::read(&self.log).unwrap_or_default();
        let own = octets.get(usize::try_from(self.log_start).unwrap_or(0)..).unwrap_or_default();
        String::from_utf8_lossy(own).into_owned()
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// Where it has ended already.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal)
            .unwrap_or_else(|e| panic!("{signal} to {}: {e}", self.name));
    }

    /// The status it ended with, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Ends it at once, as a crash would.
    pub fn kill9(&mut self) {
        // Both fail only where it has ended, which is what is wanted.
        self.child.kill().ok();
        self.child.wait().ok();
    }

    /// Ends it by SIGTERM and gives its status.
    ///
    /// # Panics
    /// Where it does not end.
    #[track_caller]
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        crate::wait::eventually(PATIENCE, &format!("{} ends after SIGTERM", self.name), || {
            self.ended().ok_or("it runs")
        })
    }

    /// Fails the test, with the log, if it has ended.
    ///
    /// # Panics
    /// Where it has ended.
    #[track_caller]
    pub fn expect_alive(&mut self) {
        if let Some(status) = self.ended() {
            panic!("{} has ended with {status}:\n{}", self.name, self.log());
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill9();
        if std::thread::panicking() {
            eprintln!("--- log of {}:\n{}", self.name, tail(&self.log(), 60));
        }
    }
}

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Fails the test, with what to install, where a program is missing.
///
/// # Panics
/// Where it is missing.
#[track_caller]
pub fn require(program: &str, package: &str) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = if program.starts_with('/') {
        Path::new(program).is_file()
    } else {
        std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
    };
    assert!(found, "{program} is missing: apt-get install {package}");
}
