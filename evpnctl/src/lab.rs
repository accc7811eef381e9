//! `lab up|exec|down`.
//!
//! **A lab that did not come up leaves nothing behind**, interrupted or not, unless `--keep` asks
//! for it.

use crate::cli;
use crate::out::{self, Form};
use crate::show::Lines;
use crate::{Exit, Outcome};
use evpn_lab::{Down, Lab, Progress, Topology, UpOptions};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{self, ExitStatus};
use tokio::signal::unix::{SignalKind, signal};

/// The status of a command that was interrupted, as shells tell it: 128 and SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;

/// The answer in JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct State {
    lab: String,
    up: bool,
    nodes: Vec<String>,
}

/// Runs a command.
pub(crate) fn run(command: cli::Lab, form: Form) -> Outcome {
    match command {
        cli::Lab::Up { file, keep } => {
            let topology = Topology::load(&file)?;
            let mut options = UpOptions::default();
            options.keep_on_failure = keep;
            clear_away_when_interrupted(&file, keep);
            let mut bar = Bar::new();
            let lab = Lab::up(&topology, &options, &mut bar)?;
            drop(bar);
            let nodes = lab.nodes().map(str::to_owned).collect();
            let state = State { lab: lab.name().to_owned(), up: true, nodes };
            let file = file.display();
            out::answer(form, &state, |state| {
                let mut lines = Lines::default();
                lines.add(0, &format!("lab {} is up: {}", state.lab, state.nodes.join(", ")));
                lines.remedy(0, &format!("evpnctl lab exec {file} NODE COMMAND"));
                lines.remedy(0, &format!("evpnctl lab down {file}"));
                lines.into_text()
            })?;
            Ok(Exit::Yes)
        }
        cli::Lab::Exec { lab, node, command } => {
            let status = Lab::open(&lab)?.exec(&node, command)?;
            Ok(Exit::Of(code_of(status)))
        }
        cli::Lab::Down { lab, status } => {
            let name = Lab::open(&lab).map(|lab| lab.name().to_owned());
            let name = name.unwrap_or_else(|_| lab.display().to_string());
            let mut bar = Bar::new();
            let found = Lab::down_by(&lab, &mut bar)?;
            drop(bar);
            let state = State { lab: name, up: false, nodes: vec![] };
            out::answer(form, &state, |state| match found {
                Down::Removed => format!("lab {} is down\n", state.lab),
                Down::NothingThere => format!("lab {} was not up\n", state.lab),
            })?;
            Ok(Exit::Of(status))
        }
    }
}

/// On Ctrl-C or SIGTERM, turns this process into one that takes the half-built lab down. Becoming
/// another program ends whatever `up` is about to do, and gives up its lock.
fn clear_away_when_interrupted(file: &Path, keep: bool) {
    let status = INTERRUPTED.to_string();
    let mut down = process::Command::new("/proc/self/exe");
    down.args(["lab", "down", "--status", &status]).arg("--").arg(file);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let waited = runtime.and_then(|runtime| runtime.block_on(interrupted()));
        if waited.is_ok() {
            if !keep {
                out::complain("interrupted: taking the lab down\n");
                let error = down.exec();
                out::complain(&out::failure(&error.to_string(), None, &[]));
            }
            process::exit(INTERRUPTED.into());
        }
    });
}

pub(crate) async fn interrupted() -> io::Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupt = tokio::signal::ctrl_c() => interrupt,
        _ = terminated.recv() => Ok(()),
    }
}

/// As a shell tells it: the status, or 128 and the signal.
pub(crate) fn code_of(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

/// A bar on a terminal; nothing in a pipe.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {wide_msg}");
        Self(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
    }
}

impl Progress for Bar {
    fn total(&mut self, steps: usize) {
        self.0.set_length(u64::try_from(steps).unwrap_or(u64::MAX));
        self.0.set_position(0);
    }

    fn step(&mut self, node: &str, what: &str) {
        self.0.inc(1);
        self.0.set_message(format!("{node} {what}"));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
