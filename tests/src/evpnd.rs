//! evpnd and evpnctl, as an operator would run them.
//!
//! **The binaries are those that were built**: from EVPND_BIN_DIR, else the release directory of
//! the build; one that is missing fails the test.

use crate::fabric::{Fabric, Leaf};
use crate::ns::Ns;
use crate::process::Daemon;
use crate::wait::eventually;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Everything is up long before.
const START: Duration = Duration::from_secs(15);

/// A running evpnd, and what is needed to start it again.
#[derive(Debug)]
pub struct Evpnd {
    ns: Ns,
    name: String,
    config: PathBuf,
    socket: PathBuf,
    environment: Vec<(String, String)>,
    log: PathBuf,
    /// The process.
    pub daemon: Daemon,
}

/// What evpnctl answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its exit status.
    pub status: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// The path of a binary of this workspace.
///
/// # Panics
/// Where it has not been built.
#[track_caller]
pub fn binary(name: &str) -> PathBuf {
    let directory = std::env::var_os("EVPND_BIN_DIR").map_or_else(
        || {
            let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
            let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
            target.unwrap_or_else(default).join("release")
        },
        PathBuf::from,
    );
    let path = directory.join(name);
    assert!(
        path.is_file(),
        "{} is missing: cargo build --release -p evpnd -p evpnctl, or set EVPND_BIN_DIR",
        path.display()
    );
    path
}

impl Evpnd {
    /// Starts it on a leaf with a configuration, and waits until it answers on its socket.
    ///
    /// # Panics
    /// Where it does not come up.
    #[track_caller]
    pub fn start(fabric: &Fabric, leaf: &Leaf, config: &str) -> Self {
        let mut evpnd = Self::launch(fabric, leaf, config);
        evpnd.wait_ready();
        evpnd
    }

    /// Starts it and does not wait.
    #[track_caller]
    pub fn launch(fabric: &Fabric, leaf: &Leaf, config: &str) -> Self {
        Self::launch_with(fabric, leaf, config, &[])
    }

    /// As [`Evpnd::launch`], with variables in its environment.
    ///
    /// # Panics
    /// Where its files cannot be written.
    #[track_caller]
    pub fn launch_with(
        fabric: &Fabric,
        leaf: &Leaf,
        config: &str,
        environment: &[(&str, &str)],
    ) -> Self {
        let name = format!("evpnd{}", leaf.number);
        let socket = fabric.path(&format!("{name}.sock"));
        let path = fabric.path(&format!("{name}.toml"));
        let log = fabric.path(&format!("{name}.log"));
        fs::write(&path, Self::whole(fabric, &name, config)).unwrap_or_else(|e| panic!("{e}"));
        let environment: Vec<(String, String)> =
            environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let daemon = spawn(&leaf.ns, &name, &path, &environment, &log);
        Self { ns: leaf.ns.clone(), name, config: path, socket, environment, log, daemon }
    }

    /// The test's configuration with the paths that keep it to its own directory. One that says
    /// `[api]` itself keeps what it says.
    fn whole(fabric: &Fabric, name: &str, config: &str) -> String {
        let state = fabric.path(&format!("{name}.state"));
        let socket = fabric.path(&format!("{name}.sock"));
        let api = if config.contains("[api]") {
            String::new()
        } else {
            format!("\n[api]\nsocket = \"{}\"\ngroup = \"root\"\n", socket.display())
        };
        format!("state-dir = \"{}\"\n{config}{api}", state.display())
    }

    /// Replaces its configuration file; it does not know until it is told.
    ///
    /// # Panics
    /// Where the file cannot be written.
    pub fn write_config(&self, fabric: &Fabric, config: &str) {
        let text = Self::whole(fabric, &self.name, config);
        fs::write(&self.config, text).unwrap_or_else(|e| panic!("{e}"));
    }

    /// Waits until it answers on its socket.
    ///
    /// # Panics
    /// Where it ends or does not answer.
    #[track_caller]
    pub fn wait_ready(&mut self) {
        eventually(START, &format!("{} answers on its socket", self.name), || {
            self.daemon.expect_alive();
            let answer = self.ctl(&["show", "version"]);
            if answer.status == 0 { Ok(()) } else { Err(answer.stderr) }
        });
    }

    /// Starts it again, with the same files, after it ended or was killed. Does not wait.
    pub fn start_again(&mut self) {
        let environment = &self.environment;
        self.daemon = spawn(&self.ns, &self.name, &self.config, environment, &self.log);
    }

    /// Asks evpnctl.
    ///
    /// # Panics
    /// Where evpnctl cannot be run.
    #[track_caller]
    pub fn ctl(&self, args: &[&str]) -> Answer {
        let mut command = self.ns.command(binary("evpnctl"));
        command.arg("--socket").arg(&self.socket).args(args);
        let output = command.output().unwrap_or_else(|e| panic!("evpnctl: {e}"));
        Answer {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Asks evpnctl for JSON.
    ///
    /// # Errors
    /// Where it fails or answers with something else.
    pub fn json(&self, args: &[&str]) -> Result<serde_json::Value, String> {
        let answer = self.ctl(&[args, &["--json"]].concat());
        serde_json::from_str(&answer.stdout)
            .map_err(|e| format!("{args:?}: {e}: {}{}", answer.stdout, answer.stderr))
    }

    /// The path of its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

fn spawn(
    ns: &Ns,
    name: &str,
    config: &Path,
    environment: &[(String, String)],
    log: &Path,
) -> Daemon {
    let mut command = ns.command(binary("evpnd"));
    command.arg("--config").arg(config).env("NO_COLOR", "1");
    command.env_remove("NOTIFY_SOCKET").env_remove("WATCHDOG_USEC");
    command.envs(environment.iter().map(|(k, v)| (k, v)));
    Daemon::spawn(name, &mut command, log)
}
