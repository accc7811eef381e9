//! Takes a lab down, whole or half-built, as the journal knows it.
//!
//! **Afterwards nothing of the lab is left, and nothing else is missing**: every
//! process inside the lab's namespaces ends, its names under /run/netns and its state
//! directory go; interfaces and mounts end with their namespaces.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::LabError;
use crate::lab::{Lab, locate};
use crate::process::{ProcessId, Territory, kill};
use crate::progress::Progress;
use crate::state::{Journal, Role, StateDir};

/// Where `ip netns` looks for names.
pub(crate) const NETNS_DIR: &str = "/run/netns";
/// Kills are repeated, since what was dying may have been starting something.
const ROUNDS: usize = 20;

/// How long the dead are waited for: 3 s.
const REAP_TRIES: u32 = 150;
const REAP_PAUSE: Duration = Duration::from_millis(20);

/// What [`Lab::down_by`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Down {
    /// A lab was there and is gone.
    Removed,
    /// There was none.
    NothingThere,
}

impl Lab {
    /// Takes this lab down.
    ///
    /// # Errors
    /// [`LabError::Stubborn`] if a process survives SIGKILL, [`LabError::Io`] if the
    /// state cannot be read or removed. It can be repeated then.
    pub fn down(mut self, progress: &mut dyn Progress) -> Result<(), LabError> {
        let result = remove(&self.name, &self.state, progress);
        for (_, child) in &mut self.children {
            // They have been killed; this only takes note of it.
            child.try_wait().ok();
        }
        result
    }

    /// Takes the lab of this name, or from this topology file, down, in whatever state
    /// an interrupted `up` left it.
    ///
    /// # Errors
    /// As [`Lab::down`], and [`LabError::Topology`] if the file says no name.
    pub fn down_by(
        name_or_file: impl AsRef<Path>,
        progress: &mut dyn Progress,
    ) -> Result<Down, LabError> {
        match locate(name_or_file.as_ref())? {
            (name, Some(state)) => remove(&name, &state, progress).map(|()| Down::Removed),
            (_, None) => Ok(Down::NothingThere),
        }
    }
}

fn remove(name: &str, state: &StateDir, progress: &mut dyn Progress) -> Result<(), LabError> {
    progress.total(3);
    let _lock =
        state.lock_alone(|| progress.step("", "waiting for another command of this lab"))?;
    if let Some(journal) = state.journal()? {
        if journal.header.is_of_this_boot() {
            progress.step("", "ending its processes");
            end_processes(name, &journal)?;
        }
        progress.step("", "removing its names");
        remove_names(&journal)?;
    }
    progress.step("", "removing its state");
    state.remove()
}

fn end_processes(name: &str, journal: &Journal) -> Result<(), LabError> {
    let recorded: Vec<ProcessId> = journal.processes.iter().map(|(_, _, id)| *id).collect();
    // Taken before the first kill: it keeps the namespaces' numbers from being reused.
    let territory = Territory::of(&recorded);
    let mut left = kill(&recorded);
    let mut killed = recorded;
    for _ in 0..ROUNDS {
        let inhabitants = territory.inhabitants();
        if inhabitants.is_empty() && left.is_empty() {
            wait_for_reaping(&killed);
            return Ok(());
        }
        left = kill(&inhabitants);
        killed.extend(inhabitants);
    }
    let pids = left.iter().map(|id| id.pid.to_string()).collect::<Vec<_>>().join(", ");
    Err(LabError::Stubborn { name: name.to_owned(), pids })
}

/// Waits until whoever inherited the dead has buried them, so that the list of
/// processes is as before. Most init processes do so at once; some only now and then,
/// and that is no reason to fail.
fn wait_for_reaping(dead: &[ProcessId]) {
    for _ in 0..REAP_TRIES {
        if !dead.iter().any(|id| id.is_zombie_of_another()) {
            return;
        }
        #[allow(
            clippy::disallowed_methods,
            reason = "only its parent is told when a zombie is reaped"
        )]
        std::thread::sleep(REAP_PAUSE);
    }
}

/// The name of a node under /run/netns, and what it links to.
pub(crate) fn netns_link(namespace: &str, holder: ProcessId) -> (PathBuf, PathBuf) {
    (Path::new(NETNS_DIR).join(namespace), PathBuf::from(format!("/proc/{}/ns/net", holder.pid)))
}

fn remove_names(journal: &Journal) -> Result<(), LabError> {
    for node in &journal.header.nodes {
        let Some(holder) = journal.process(Role::Holder, &node.name) else { continue };
        let (path, to) = netns_link(&node.namespace, holder);
        // Only the very link that this lab made: somebody else may use the same name.
        if fs::read_link(&path).is_ok_and(|found| found == to) {
            fs::remove_file(&path).map_err(|e| LabError::io(path, e))?;
        }
    }
    if journal.header.made_netns_dir {
        // It stays while it holds the name of another lab or program.
        fs::remove_dir(NETNS_DIR).ok();
    }
    Ok(())
}
