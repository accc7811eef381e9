//! Network namespaces without names.
//!
//! **A namespace lives exactly as long as its handle and the processes in it**: nothing is left
//! behind, however a benchmark ends.

use crate::Result;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::Signal;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

/// A namespace; clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Netns(Arc<File>);

impl Netns {
    /// A new one, with loopback up.
    pub(crate) fn new() -> Result<Self> {
        let made = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).map_err(|e| {
                format!("no network namespace: {e}; run it as root or by `unshare -Urnm`")
            })?;
            File::open("/proc/thread-self/ns/net").map_err(|e| format!("/proc: {e}"))
        });
        let file = made.join().map_err(|_| "the thread of a namespace panicked".to_owned())??;
        let namespace = Self(Arc::new(file));
        namespace.batch("ip", "link set lo up")?;
        Ok(namespace)
    }

    /// A path that names it to `ip`, for as long as this process lives.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }

    /// A command that will run in it and end with the calling thread.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        let file = Arc::clone(&self.0);
        let enter = move || {
            setns(file.as_fd(), CloneFlags::CLONE_NEWNET)?;
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
            Ok(())
        };
        // SAFETY: between fork and exec only two system calls are made.
        unsafe { command.pre_exec(enter) };
        command
    }

    /// Runs `work` inside; sockets that it opens stay there.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        thread::scope(|scope| {
            let task = scope.spawn(|| {
                setns(self.0.as_fd(), CloneFlags::CLONE_NEWNET)
                    .map_err(|e| format!("entering a namespace: {e}"))?;
                Ok(work())
            });
            task.join().map_err(|_| "a thread in a namespace panicked".to_owned())?
        })
    }

    /// Runs lines of `ip -batch` or `bridge -batch` in it.
    pub(crate) fn batch(&self, program: &str, lines: &str) -> Result<()> {
        let mut child = self
            .command(program)
            .args(["-batch", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| format!("{program}: {e}; apt-get install iproute2"))?;
        if let Some(mut input) = child.stdin.take() {
            let text: String = lines.lines().map(|l| format!("{}\n", l.trim())).collect();
            input.write_all(text.as_bytes()).map_err(|e| format!("{program} -batch: {e}"))?;
        }
        let output = child.wait_with_output().map_err(|e| format!("{program}: {e}"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("{program} -batch: {}{lines}", String::from_utf8_lossy(&output.stderr)))
    }

    /// The standard output of a command in it.
    pub(crate) fn output(&self, program: &str, args: &[&str]) -> Result<String> {
        let output = self.command(program).args(args).stdin(Stdio::null()).output();
        let output = output.map_err(|e| format!("{program}: {e}"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let words = String::from_utf8_lossy(&output.stderr);
        Err(format!("{program} {}: {words}", args.join(" ")))
    }
}
