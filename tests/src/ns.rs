//! A network namespace with a name, and ways to work in it.
//!
//! **A command runs in the namespace as the very process that was started**: no wrapper stands
//! between a test and the process that it kills.

use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Where `ip netns` keeps names.
pub(crate) const NETNS_DIR: &str = "/run/netns";

/// A handle on a namespace; clones share it.
#[derive(Clone, Debug)]
pub struct Ns {
    name: Arc<str>,
    file: Arc<File>,
}

impl Ns {
    /// Makes a namespace with loopback up.
    pub(crate) fn create(name: &str) -> Self {
        run_here("ip", &["netns", "add", name]);
        let path = format!("{NETNS_DIR}/{name}");
        let file = File::open(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        let ns = Self { name: name.into(), file: Arc::new(file) };
        ns.ip("link set lo up");
        ns
    }

    /// Its name, as `ip netns` shows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that will run in this namespace and die with the test.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        let file = Arc::clone(&self.file);
        let enter = move || {
            setns(file.as_fd(), CloneFlags::CLONE_NEWNET)?;
            nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
            Ok(())
        };
        // SAFETY: between fork and exec only two system calls are made.
        unsafe { command.pre_exec(enter) };
        command
    }

    /// Runs a line of shell and gives its standard output.
    ///
    /// # Errors
    /// Its standard error, where it does not end with status 0.
    pub fn try_sh(&self, line: &str) -> Result<String, String> {
        let output = self
            .command("sh")
            .args(["-c", line])
            .stdin(Stdio::null())
            .output()
            .map_err(|e| format!("sh: {e}"))?;
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(format!("{line}: {}{}", text(&output.stdout), text(&output.stderr)))
        }
    }

    /// As [`Ns::try_sh`], where failure is the test's.
    ///
    /// # Panics
    /// Where the line fails.
    #[track_caller]
    pub fn sh(&self, line: &str) -> String {
        self.try_sh(line).unwrap_or_else(|e| panic!("in {}: {e}", self.name))
    }

    /// Runs lines of `ip -batch`.
    ///
    /// # Panics
    /// Where a line fails.
    #[track_caller]
    pub fn ip(&self, lines: &str) {
        self.batch("ip", lines);
    }

    /// Runs lines of `bridge -batch`.
    ///
    /// # Panics
    /// Where a line fails.
    #[track_caller]
    pub fn bridge(&self, lines: &str) {
        self.batch("bridge", lines);
    }

    #[track_caller]
    fn batch(&self, program: &str, lines: &str) {
        let mut child = self
            .command(program)
            .args(["-batch", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{program}: {e}; apt-get install iproute2"));
        let mut input = child.stdin.take().expect("its input is a pipe");
        let text: String = lines.lines().map(|l| format!("{}\n", l.trim())).collect();
        input.write_all(text.as_bytes()).unwrap_or_else(|e| panic!("{program} -batch: {e}"));
        drop(input);
        let output = child.wait_with_output().unwrap_or_else(|e| panic!("{program}: {e}"));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} -batch in {}: {stderr}\n{text}", self.name);
    }

    /// Sets a sysctl.
    ///
    /// # Panics
    /// Where the kernel refuses it.
    #[track_caller]
    pub fn sysctl(&self, key: &str, value: &str) {
        self.sh(&format!("echo {value} >/proc/sys/{}", key.replace('.', "/")));
    }

    /// Runs `work` inside: sockets that it opens stay there.
    ///
    /// # Panics
    /// Where the namespace cannot be entered, and where `work` does.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let task = scope.spawn(|| {
                setns(self.file.as_fd(), CloneFlags::CLONE_NEWNET)
                    .unwrap_or_else(|e| panic!("entering {}: {e}", self.name));
                work()
            });
            task.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause))
        })
    }

    /// Whether one ping of `size` octets of payload, not to be fragmented, is answered.
    pub fn ping(&self, to: &str, size: usize) -> Result<(), String> {
        self.try_sh(&format!("ping -n -c 1 -W 1 -M do -s {size} {to}")).map(|_| ())
    }
}

/// Runs a command in the test's own namespace.
///
/// # Panics
/// Where it fails.
#[track_caller]
pub(crate) fn run_here(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|e| panic!("{program}: {e}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {}: {stderr}", args.join(" "));
}
