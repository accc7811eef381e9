//! Processes by identity, not by number.
//!
//! **No signal is ever sent by number alone**: a process is its id together with its
//! start time, held by a pidfd while it is looked at and signalled, so an id that the
//! kernel has given to somebody else is never hit.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A process that cannot be mistaken for another of the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProcessId {
    /// Its number, in the pid namespace of the caller.
    pub pid: i32,
    /// When it was started, in clock ticks since boot (field 22 of /proc/PID/stat).
    pub start_ticks: u64,
}

impl ProcessId {
    /// The process that has this number now.
    pub fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(parse_stat(&stat)?.0)
    }

    /// Whether it lives (a zombie does not).
    pub fn is_alive(self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        matches!(parse_stat(&stat), Some((id, state, _)) if id == self && !"ZX".contains(state))
    }

    /// Whether it is dead and waits for a parent that is not this process.
    pub(crate) fn is_zombie_of_another(self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        let me = std::process::id().cast_signed();
        matches!(parse_stat(&stat), Some((id, 'Z', parent)) if id == self && parent != me)
    }

    /// A descriptor of exactly this process, or `None` if it is gone.
    pub(crate) fn open(self) -> Option<OwnedFd> {
        // Opened first and checked after: from then on the number cannot change hands unnoticed.
        let pidfd = pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::empty()).ok()?;
        (Self::of(self.pid) == Some(self)).then_some(pidfd)
    }
}

/// Identity, state letter and parent of a process from its stat line.
pub(crate) fn parse_stat(stat: &str) -> Option<(ProcessId, char, i32)> {
    // The name in parentheses may hold anything, so the rest is counted from its end.
    let (head, tail) = stat.rsplit_once(") ")?;
    let pid = head.split_once(' ')?.0.parse().ok()?;
    let mut fields = tail.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    // Fields 5 to 21 lie between.
    let start_ticks = fields.nth(17)?.parse().ok()?;
    Some((ProcessId { pid, start_ticks }, state, parent))
}

/// A namespace: the device and inode of its file.
type NamespaceId = (u64, u64);

/// The kinds by which a process is known to belong to a lab.
const KINDS: [&str; 3] = ["net", "mnt", "user"];

/// The namespaces of a process that is there.
fn namespaces(pid: &str) -> impl Iterator<Item = (PathBuf, NamespaceId)> {
    let paths = KINDS.map(|kind| PathBuf::from(format!("/proc/{pid}/ns/{kind}")));
    paths.into_iter().filter_map(|path| {
        let meta = fs::metadata(&path).ok()?;
        Some((path, (meta.dev(), meta.ino())))
    })
}

/// The namespaces that belong to a lab alone, kept from being reused while this lives.
#[derive(Debug)]
pub(crate) struct Territory {
    ids: HashSet<NamespaceId>,
    /// An open file keeps its namespace, and so its number.
    _files: Vec<fs::File>,
}

impl Territory {
    /// What the living among `residents` are in and this process is not.
    pub(crate) fn of(residents: &[ProcessId]) -> Self {
        let ours: HashSet<NamespaceId> = namespaces("self").map(|(_, id)| id).collect();
        let mut territory = Self { ids: HashSet::new(), _files: Vec::new() };
        for resident in residents {
            let Some(_pidfd) = resident.open() else { continue };
            for (path, id) in namespaces(&resident.pid.to_string()) {
                let Ok(file) = fs::File::open(&path) else { continue };
                // Read from the open file: the process may have ended since.
                let same = file.metadata().is_ok_and(|m| (m.dev(), m.ino()) == id);
                if same && !ours.contains(&id) && ProcessId::of(resident.pid) == Some(*resident) {
                    territory.ids.insert(id);
                    territory._files.push(file);
                }
            }
        }
        territory
    }

    /// Every living process inside, and their descendants (which may have gone into
    /// namespaces of their own), except this one.
    pub(crate) fn inhabitants(&self) -> Vec<ProcessId> {
        let mut found: HashMap<i32, ProcessId> = HashMap::new();
        let mut others: Vec<(ProcessId, i32)> = Vec::new();
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        for pid in entries.filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok()) {
            let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
            let Some((id, state, parent)) = parse_stat(&stat) else { continue };
            if "ZX".contains(state) || pid == std::process::id().cast_signed() {
                continue;
            }
            if namespaces(&pid.to_string()).any(|(_, ns)| self.ids.contains(&ns)) {
                found.insert(pid, id);
            } else {
                others.push((id, parent));
            }
        }
        loop {
            let (children, rest): (Vec<_>, Vec<_>) =
                others.into_iter().partition(|(_, parent)| found.contains_key(parent));
            if children.is_empty() {
                return found.into_values().collect();
            }
            found.extend(children.into_iter().map(|(id, _)| (id.pid, id)));
            others = rest;
        }
    }
}

/// How long the kernel may take to end a killed process.
const DEATH_MS: u16 = 5_000;

/// Kills these processes and waits for their end; returns those that did not end.
pub(crate) fn kill(processes: &[ProcessId]) -> Vec<ProcessId> {
    let open: Vec<_> = processes.iter().filter_map(|p| Some((*p, p.open()?))).collect();
    for (_, pidfd) in &open {
        // It may have ended by itself since: then there is nothing to do.
        pidfd_send_signal(pidfd, Signal::KILL).ok();
    }
    let ended = |pidfd: &OwnedFd| {
        // A pidfd becomes readable when its process ends.
        let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        matches!(poll(&mut fds, PollTimeout::from(DEATH_MS)), Ok(n) if n > 0)
    };
    open.into_iter().filter(|(_, pidfd)| !ended(pidfd)).map(|(id, _)| id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_past_any_process_name() {
        let tail = "S 7 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 100 200";
        for name in ["sleep", "a) S 1 (b", "x ) y"] {
            let (id, state, parent) = parse_stat(&format!("42 ({name}) {tail}")).unwrap();
            assert_eq!((id, state, parent), (ProcessId { pid: 42, start_ticks: 987_654 }, 'S', 7));
        }
        assert_eq!(parse_stat("42 (sleep) S 7"), None);
    }

    #[test]
    fn a_recycled_number_is_not_the_recorded_process() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let real = ProcessId::of(child.id().cast_signed()).unwrap();
        let recorded = ProcessId { start_ticks: real.start_ticks - 1, ..real };
        assert!(recorded.open().is_none());
        assert!(kill(&[recorded]).is_empty());
        assert!(real.is_alive(), "a stranger of the same number must not be hit");
        assert!(kill(&[real]).is_empty());
        assert!(!real.is_alive());
        child.wait().unwrap();
    }

    #[test]
    fn our_own_namespaces_are_never_a_labs_territory() {
        let me = ProcessId::of(std::process::id().cast_signed()).unwrap();
        let territory = Territory::of(&[me]);
        assert!(territory.ids.is_empty() && territory.inhabitants().is_empty());
    }
}
