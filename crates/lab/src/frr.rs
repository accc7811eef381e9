//! Runs the machine's own FRR in a node, the way FRR's image does: the daemons that
//! /etc/frr/daemons asks for, then `vtysh -b` with the node's /etc/frr/frr.conf.
//!
//! **Two nodes' FRRs share nothing**: sockets and pid files lie in the node's private
//! /run, and FRR's other directories are private to the node.

use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::User;

use crate::error::LabError;
use crate::lab::{Lab, step_error};
use crate::ops::{Op, Step, work};
use crate::topology::words;
use crate::up::{run, spawn};

/// What FRR writes outside /run.
pub(crate) const PRIVATE_DIRS: &[&str] = &["/var/lib/frr", "/var/log/frr", "/var/tmp/frr"];
const PROGRAMS: &str = "/usr/lib/frr";
const RUN_DIR: &str = "/run/frr";
const USER: &str = "frr";
/// Started first and always where they exist, as FRR's own script does.
const ALWAYS: [&str; 3] = ["mgmtd", "zebra", "staticd"];
/// How long a daemon may take until it listens.
const START_TRIES: u32 = 200;
const START_PAUSE: Duration = Duration::from_millis(50);

/// Whether FRR can run here at all.
pub(crate) fn check(may_set_groups: bool) -> Result<(), String> {
    if !Path::new(PROGRAMS).join("zebra").is_file() {
        return Err(format!(
            "FRR is not installed ({PROGRAMS}/zebra is missing); apt-get install frr"
        ));
    }
    if !may_set_groups {
        return Err("FRR changes its user and groups when it starts, which a lab without root does not allow; bring this lab up with sudo".to_owned());
    }
    Ok(())
}

/// Starts the daemons of a node and gives them their configuration.
pub(crate) fn start(lab: &mut Lab, node: &str) -> Result<(), LabError> {
    let root = PathBuf::from(format!("/proc/{}/root", lab.holder(node)?.pid));
    let list = root.join("etc/frr/daemons");
    let text = fs::read_to_string(&list).map_err(|e| LabError::io("/etc/frr/daemons", e))?;
    make_run_dir(lab, node)?;
    for (daemon, options) in daemons(&text) {
        let mut argv = vec![format!("{PROGRAMS}/{daemon}")];
        argv.extend(options);
        spawn(lab, node, &argv)?;
        wait_for(lab, node, &daemon, &root.join(&RUN_DIR[1..]).join(format!("{daemon}.vty")))?;
    }
    run(lab, node, &["vtysh", "-b"].map(String::from))
}

/// The daemons to start, in order, with their options, from the text of /etc/frr/daemons.
fn daemons(text: &str) -> Vec<(String, Vec<String>)> {
    let settings: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|l| l.trim().split_once('='))
        .filter(|(name, _)| !name.starts_with('#'))
        .collect();
    let asked = settings.iter().filter(|(_, value)| value.trim() == "yes").map(|(name, _)| *name);
    let mut names: Vec<&str> = ALWAYS.to_vec();
    for name in asked {
        // `vtysh_enable=yes` and the like name no daemon.
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.retain(|name| Path::new(PROGRAMS).join(name).is_file());
    let options = |name: &str| {
        let key = format!("{name}_options");
        let value = settings.iter().rev().find(|(k, _)| *k == key).map_or("", |(_, v)| v.trim());
        words::split(value.trim_matches(|c| "\"'()".contains(c))).unwrap_or_default()
    };
    names.into_iter().map(|name| (name.to_owned(), options(name))).collect()
}

fn make_run_dir(lab: &Lab, node: &str) -> Result<(), LabError> {
    let user = User::from_name(USER).ok().flatten();
    let (uid, gid) = user.map_or((0, 0), |u| (u.uid.as_raw(), u.gid.as_raw()));
    let path = || CString::from(c"/run/frr");
    let node = lab.node(node)?;
    let what = format!("making {RUN_DIR}");
    let mut steps = vec![
        lab.enter_step(node)?,
        Step::new(Op::Mkdir { path: path(), mode: 0o755 }, what.clone()),
        Step::new(Op::Chown { path: path(), uid, gid }, what.clone()),
    ];
    // Where a package made them they belong to FRR; what the lab made belongs to root.
    for dir in PRIVATE_DIRS {
        let path = CString::new(*dir).unwrap_or_default();
        steps.push(Step::new(Op::Chown { path, uid, gid }, what.clone()));
    }
    work(&steps).map_err(|f| step_error(node, f))
}

/// Waits until a daemon listens for vtysh.
fn wait_for(lab: &mut Lab, node: &str, daemon: &str, socket: &Path) -> Result<(), LabError> {
    for _ in 0..START_TRIES {
        if socket.exists() {
            return Ok(());
        }
        let ended = lab.children.last_mut().and_then(|(_, child)| child.try_wait().ok().flatten());
        if let Some(status) = ended {
            let stderr =
                fs::read_to_string(lab.log_path(node)).unwrap_or_default().trim().to_owned();
            return Err(LabError::Exec {
                node: node.to_owned(),
                command: daemon.to_owned(),
                status,
                stderr,
            });
        }
        #[allow(
            clippy::disallowed_methods,
            reason = "a daemon gives no sign by which to await its socket"
        )]
        std::thread::sleep(START_PAUSE);
    }
    let what = format!("waiting for {daemon} to listen");
    Err(LabError::Step { node: node.to_owned(), what, source: std::io::ErrorKind::TimedOut.into() })
}
