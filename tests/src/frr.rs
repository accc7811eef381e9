//! FRR's zebra and bgpd in a namespace.
//!
//! **What FRR says of itself comes from its own `vtysh`**, over sockets in the test's directory.

use crate::fabric::{Fabric, Leaf};
use crate::ns::Ns;
use crate::process::{Daemon, require};
use crate::wait::eventually;
use nix::unistd::{Group, User, chown};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PROGRAMS: &str = "/usr/lib/frr";
const START: Duration = Duration::from_secs(20);

/// A running FRR.
#[derive(Debug)]
pub struct Frr {
    ns: Ns,
    directory: PathBuf,
    zebra: Daemon,
    /// Its BGP daemon, which a test may kill.
    pub bgpd: Daemon,
}

impl Frr {
    /// Starts zebra and bgpd on a leaf. `zebra` and `bgpd` are their configurations.
    ///
    /// # Panics
    /// Without FRR, and where it does not come up.
    #[track_caller]
    pub fn start(fabric: &Fabric, leaf: &Leaf, zebra: &str, bgpd: &str) -> Self {
        require("vtysh", "frr");
        for program in ["zebra", "bgpd"] {
            require(&format!("{PROGRAMS}/{program}"), "frr");
        }
        let directory = fabric.path(&format!("frr{}", leaf.number));
        fs::create_dir_all(&directory).unwrap_or_else(|e| panic!("{e}"));
        let user = User::from_name("frr").ok().flatten().map(|u| u.uid);
        let group = Group::from_name("frr").ok().flatten().map(|g| g.gid);
        chown(&directory, user, group).unwrap_or_else(|e| panic!("chown: {e}"));
        let zebra = start_one(leaf, &directory, "zebra", zebra, &[]);
        let bgpd = start_one(leaf, &directory, "bgpd", bgpd, &["-p", "179"]);
        Self { ns: leaf.ns.clone(), directory, zebra, bgpd }
    }

    /// Runs a line in vtysh.
    ///
    /// # Panics
    /// Where vtysh cannot be run.
    #[track_caller]
    pub fn vtysh(&self, line: &str) -> String {
        let mut command = self.ns.command("vtysh");
        command.arg("--vty_socket").arg(&self.directory).args(["-c", line]);
        let output = command.output().unwrap_or_else(|e| panic!("vtysh: {e}"));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text + &String::from_utf8_lossy(&output.stderr)
    }

    /// Runs a line that answers in JSON.
    ///
    /// # Errors
    /// What it said, where that is none.
    pub fn json(&self, line: &str) -> Result<Value, String> {
        let text = self.vtysh(line);
        // zebra answers some questions twice over, once for each kind of table.
        let mut values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
        values.next().and_then(Result::ok).ok_or(text)
    }

    /// Fails the test where one of its processes has ended.
    ///
    /// # Panics
    /// Where one has.
    #[track_caller]
    pub fn expect_alive(&mut self) {
        self.zebra.expect_alive();
        self.bgpd.expect_alive();
    }
}

#[track_caller]
fn start_one(leaf: &Leaf, directory: &Path, name: &str, config: &str, more: &[&str]) -> Daemon {
    let file = directory.join(format!("{name}.conf"));
    let text = format!("hostname leaf{}\nlog stdout informational\n{config}", leaf.number);
    fs::write(&file, text).unwrap_or_else(|e| panic!("{e}"));
    let mut command = leaf.ns.command(format!("{PROGRAMS}/{name}"));
    command.arg("-f").arg(&file);
    command.arg("-i").arg(directory.join(format!("{name}.pid")));
    command.arg("-z").arg(directory.join("zserv.api"));
    command.arg("--vty_socket").arg(directory).args(["-A", "127.0.0.1"]).args(more);
    let mut daemon = Daemon::spawn(name, &mut command, &directory.join(format!("{name}.log")));
    eventually(START, &format!("{name} listens for vtysh"), || {
        daemon.expect_alive();
        let socket = directory.join(format!("{name}.vty"));
        if socket.exists() { Ok(()) } else { Err("it does not") }
    });
    daemon
}
