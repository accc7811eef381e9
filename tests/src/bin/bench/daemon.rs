//! An evpnd under measurement: in a namespace, with directories of its own.
//!
//! **It runs as a user would run it: the release program, a written configuration, its defaults.**

use crate::netns::Netns;
use crate::site::{LEAF_AS, SPEAKER_AS};
use crate::{Common, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use tempfile::TempDir;

/// A running evpnd; it ends with this value.
pub(crate) struct Daemon {
    child: Child,
    directory: TempDir,
}

impl Daemon {
    /// Starts a leaf with these neighbours, all of the speakers' AS, and `extra` configuration.
    pub(crate) fn start(
        program: &Path,
        namespace: &Netns,
        neighbors: &[Ipv4Addr],
        extra: &str,
    ) -> Result<Self> {
        let mut config = format!("[router]\nas = {LEAF_AS}\n");
        for address in neighbors {
            let written = write!(
                config,
                "[[neighbor]]\naddress = \"{address}\"\nas = {SPEAKER_AS}\npassive = true\n"
            );
            written.map_err(|e| e.to_string())?;
        }
        config.push_str(extra);
        Self::configured(program, namespace, &config)
    }

    /// Starts it with this configuration, which says nothing of files and sockets.
    pub(crate) fn configured(program: &Path, namespace: &Netns, config: &str) -> Result<Self> {
        let directory = TempDir::new().map_err(|e| format!("a temporary directory: {e}"))?;
        let in_it = |name: &str| directory.path().join(name);
        let config = format!(
            "state-dir = \"{}\"\n{config}\n[api]\nsocket = \"{}\"\n",
            in_it("state").display(),
            in_it("evpnd.sock").display(),
        );
        let path = in_it("evpnd.toml");
        fs::write(&path, config).map_err(|e| format!("{}: {e}", path.display()))?;
        let log = File::create(in_it("log")).map_err(|e| format!("evpnd's log: {e}"))?;
        let child = namespace
            .command(program)
            .arg("--config")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|e| format!("{}: {e}", program.display()))?;
        Ok(Self { child, directory })
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The end of its log.
    pub(crate) fn log(&self) -> String {
        let text = fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default().join("\n")
    }

    /// Ends it as systemd would.
    pub(crate) fn stop(mut self) -> Result<()> {
        let pid = i32::try_from(self.pid()).map_err(|e| e.to_string())?;
        kill(Pid::from_raw(pid), Signal::SIGTERM).map_err(|e| format!("ending evpnd: {e}"))?;
        let status = self.child.wait().map_err(|e| format!("evpnd: {e}"))?;
        if status.success() {
            return Ok(());
        }
        Err(format!("evpnd ended with {status}; it says:\n{}", self.log()))
    }
}

/// Lines of a log that an error shows.
const LOG_LINES: usize = 20;

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The evpnd to measure.
pub(crate) fn program(common: &Common) -> Result<PathBuf> {
    let own = std::env::current_exe().map_err(|e| format!("our own path: {e}"))?;
    let beside = || own.with_file_name("evpnd");
    let program = common.evpnd.clone().unwrap_or_else(beside);
    if !program.is_file() {
        let path = program.display();
        return Err(format!("no {path}: cargo build --release -p evpnd, or --evpnd PROGRAM"));
    }
    Ok(program)
}
