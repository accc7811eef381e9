//! The network of the demo: the topology `three-solar-sites`, its daemons, and processes in it.
//!
//! The topology is part of this program, so the demo needs no files but evpnctl and evpnd. Daemons
//! are started after everything that watches them.
//!
//! **Whatever is started here lives inside the lab and ends with it.**

use super::clock;
use super::files::{self, Files};
use evpn_lab::{LabError, Node, Progress, Runs, Topology, UpOptions};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::de::DeserializeOwned;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The lab's name: one demo at a time for each user.
pub(crate) const NAME: &str = "evpnd-demo";
/// Lines of a daemon's log that are shown when something goes wrong.
const LOG_LINES: usize = 12;
/// This program, whatever it is called; nodes see the same /proc.
const SELF: &str = "/proc/self/exe";

/// What keeps the demo from going on; a claim that is not met is none.
#[derive(Debug)]
pub(crate) struct Trouble {
    /// What went wrong.
    pub(crate) what: String,
    /// What was seen.
    pub(crate) details: Vec<String>,
}

impl Trouble {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), details: Vec::new() }
    }

    pub(crate) fn already_up() -> Self {
        Self::new(
            "a demo is up already, or was left behind: `./demo down`, or `evpnctl demo down`, ends it",
        )
    }
}

impl From<LabError> for Trouble {
    fn from(error: LabError) -> Self {
        match error {
            LabError::AlreadyUp { .. } => Self::already_up(),
            error @ LabError::NoNamespaces { .. } => {
                let program = std::env::current_exe().unwrap_or_else(|_| SELF.into());
                let details = vec![format!("with sudo: sudo {} demo", program.display())];
                Self { what: error.to_string(), details }
            }
            other => Self::new(other.to_string()),
        }
    }
}

/// The network while it is up.
pub(crate) struct Lab {
    lab: evpn_lab::Lab,
    files: Files,
    /// Each node with a daemon: what it runs.
    daemons: Vec<(String, Vec<String>)>,
    /// The spine's commands that give its end of the uplink its routes: the kernel forgets them when
    /// the interface goes down.
    uplink_routes: Vec<Vec<String>>,
}

/// The uplink that is cut: the spine's end, as when a cable is pulled at the site.
const CUT: (&str, &str, &str) = ("spine", "eth1", "10.1.1.2");

impl Lab {
    /// Brings it up, without its daemons.
    ///
    /// # Errors
    /// What the system lacks or forbids.
    pub(crate) fn up(files: Files, progress: &mut dyn Progress) -> Result<Self, Trouble> {
        let mut topology = Topology::load(files.topology())?;
        NAME.clone_into(&mut topology.name);
        topology.prefix = format!("{NAME}-");
        for node in &mut topology.nodes {
            node.binds.extend(files.fragments_bind(&node.name));
        }
        let mut options = UpOptions::default();
        options.without_commands = true;
        let daemons = topology.nodes.iter().filter_map(daemon).collect();
        let uplink_routes = topology
            .nodes
            .iter()
            .filter(|node| node.name == CUT.0)
            .flat_map(|node| node.exec.iter())
            .filter(|words| words.iter().any(|w| w == "route") && words.iter().any(|w| w == CUT.2))
            .cloned()
            .collect();
        let lab = evpn_lab::Lab::up(&topology, &options, progress)?;
        Ok(Self { lab, files, daemons, uplink_routes })
    }

    pub(crate) const fn files(&self) -> &Files {
        &self.files
    }

    /// Whether it lives in a user namespace.
    pub(crate) fn is_rootless(&self) -> bool {
        self.lab.is_rootless()
    }

    /// Starts every evpnd.
    ///
    /// # Errors
    /// If one cannot be started.
    pub(crate) fn start_daemons(&self) -> Result<Vec<Daemon>, Trouble> {
        let mut started = Vec::with_capacity(self.daemons.len());
        for (node, words) in &self.daemons {
            let Some((program, args)) = words.split_first() else { continue };
            let log = self.files.log(node);
            let file = || OpenOptions::new().create(true).append(true).open(&log);
            let io = |e| Trouble::new(format!("{}: {e}", log.display()));
            let mut command = self.command(node, program)?;
            command.args(args).stdin(Stdio::null()).process_group(0);
            command.stdout(file().map_err(io)?).stderr(file().map_err(io)?);
            let child = command.spawn();
            let child = child.map_err(|e| match e.kind() {
                ErrorKind::NotFound => Trouble::new(format!(
                    "{program} is neither beside evpnctl nor in $EVPND_BIN_DIR or PATH: cargo build \
                     --release -p evpnd"
                )),
                _ => Trouble::new(format!("{node}: {program}: {e}")),
            })?;
            started.push(Daemon { node: node.clone(), child });
        }
        Ok(started)
    }

    pub(crate) fn command(&self, node: &str, program: &str) -> Result<Command, Trouble> {
        Ok(self.lab.command(node, program)?)
    }

    /// Runs a program in a node to its end, and returns what it wrote.
    ///
    /// # Errors
    /// If it fails, with what it said.
    pub(crate) fn output(
        &self,
        node: &str,
        program: &str,
        args: &[&str],
    ) -> Result<String, Trouble> {
        finish(node, program, self.command(node, program)?.args(args))
    }

    /// The same with a hidden command of this program.
    ///
    /// # Errors
    /// As [`Self::output`].
    pub(crate) fn output_of_self(&self, node: &str, args: &[&str]) -> Result<String, Trouble> {
        finish(node, "evpnctl demo", self.command(node, SELF)?.arg("demo").args(args))
    }

    /// Starts a hidden command of this program in a node and collects the lines it writes.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(crate) fn watch<T: DeserializeOwned + Send + 'static>(
        &self,
        node: &str,
        args: &[String],
    ) -> Result<Lines<T>, Trouble> {
        let what = format!("{} at {node}", args.first().map_or("", String::as_str));
        let log = self.files.log(&what);
        let errors = File::create(&log);
        let errors = errors.map_err(|e| Trouble::new(format!("{}: {e}", log.display())))?;
        let mut command = self.command(node, SELF)?;
        command.arg("demo").args(args).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        let child = command.spawn().map_err(|e| Trouble::new(format!("{what}: {e}")))?;
        Ok(Lines::new(what, child))
    }

    /// Pulls the cable of site A.
    ///
    /// # Errors
    /// Of the kernel.
    pub(crate) fn cut_uplink(&self) -> Result<(), Trouble> {
        Ok(self.lab.link_down(CUT.0, CUT.1)?)
    }

    /// Plugs it in again.
    ///
    /// # Errors
    /// Of the kernel.
    pub(crate) fn restore_uplink(&self) -> Result<(), Trouble> {
        self.lab.link_up(CUT.0, CUT.1)?;
        for words in &self.uplink_routes {
            let Some((program, args)) = words.split_first() else { continue };
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            self.output(CUT.0, program, &args)?;
        }
        Ok(())
    }

    /// The last lines that every daemon wrote, for whoever has to find out what went wrong.
    pub(crate) fn logs(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (node, _) in &self.daemons {
            let log = std::fs::read_to_string(self.files.log(node)).unwrap_or_default();
            let skipped = log.lines().count().saturating_sub(LOG_LINES);
            lines.extend(log.lines().skip(skipped).map(|line| format!("{node}: {line}")));
        }
        lines
    }

    /// Takes it down and removes its files.
    ///
    /// # Errors
    /// If something of it stays.
    pub(crate) fn down(self, progress: &mut dyn Progress) -> Result<(), Trouble> {
        self.lab.down(progress)?;
        files::remove()
    }
}

/// An evpnd that runs.
pub(crate) struct Daemon {
    node: String,
    child: Child,
}

impl Daemon {
    /// Fails if it has ended.
    ///
    /// # Errors
    /// That it has.
    pub(crate) fn check(&mut self) -> Result<(), Trouble> {
        still_runs(&mut self.child, &format!("evpnd at {}", self.node))
    }
}

fn still_runs(child: &mut Child, what: &str) -> Result<(), Trouble> {
    match child.try_wait() {
        Ok(None) => Ok(()),
        Ok(Some(status)) => Err(Trouble::new(format!("{what} ended: {status}"))),
        Err(error) => Err(Trouble::new(format!("{what}: {error}"))),
    }
}

/// A node with a daemon, and the daemon's command line.
fn daemon(node: &Node) -> Option<(String, Vec<String>)> {
    match &node.runs {
        Runs::Command(words) if words.first().is_some_and(|w| w == "evpnd") => {
            Some((node.name.clone(), words.clone()))
        }
        _ => None,
    }
}

fn finish(node: &str, program: &str, command: &mut Command) -> Result<String, Trouble> {
    let failed = |why: String| Trouble::new(format!("{program} at {node}: {why}"));
    let output = command.stdin(Stdio::null()).output().map_err(|e| failed(e.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("{}: {}", output.status, said.trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The lines of a process, each with the moment at which it arrived.
pub(crate) struct Lines<T> {
    what: String,
    child: Child,
    lines: Arc<Mutex<Vec<(Duration, T)>>>,
}

impl<T: DeserializeOwned + Send + 'static> Lines<T> {
    fn new(what: String, mut child: Child) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        if let Some(out) = child.stdout.take() {
            let lines = Arc::clone(&lines);
            std::thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    if let Ok(value) = serde_json::from_str(&line) {
                        locked(&lines).push((clock::now(), value));
                    }
                }
            });
        }
        Self { what, child, lines }
    }
}

impl<T> Lines<T> {
    /// All lines so far.
    pub(crate) fn all(&self) -> MutexGuard<'_, Vec<(Duration, T)>> {
        locked(&self.lines)
    }

    /// Fails if the process has ended.
    ///
    /// # Errors
    /// That it has.
    pub(crate) fn check(&mut self) -> Result<(), Trouble> {
        still_runs(&mut self.child, &self.what)
    }

    /// Ends the process.
    pub(crate) fn end(mut self) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            // It may have ended already.
            kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap_or_default();
        }
        self.child.wait().map(drop).unwrap_or_default();
    }
}

fn locked<T>(lines: &Mutex<T>) -> MutexGuard<'_, T> {
    // A reader that panicked leaves whole lines behind.
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}
