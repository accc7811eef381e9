//! What is known of a lab outside its own processes: one directory with a journal, a
//! lock and the nodes' logs.
//!
//! **Nothing is created before the journal names it, and nobody cleans up while somebody
//! creates.** Each process writes its own line before it makes or enters anything; who
//! creates holds the lock shared (and its children inherit it, so that a killed `up`
//! leaves it held until its last half-made child has finished), who cleans up holds it
//! alone. The journal's first line is a header in JSON; each further line is one fact.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::error::LabError;
use crate::process::{ProcessId, parse_stat};

const JOURNAL: &str = "journal";
const LOCK: &str = "lock";
/// The version of the journal's format.
const FORMAT: u32 = 1;

/// The journal's first line.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Header {
    #[serde(rename = "evpnd-lab")]
    pub(crate) format: u32,
    pub(crate) name: String,
    pub(crate) file: PathBuf,
    /// Processes of another boot are gone, whatever their numbers.
    pub(crate) boot_id: String,
    /// Whether the lab lives in a user namespace of its own.
    pub(crate) rootless: bool,
    /// Whether the last lab to go takes /run/netns with it.
    pub(crate) made_netns_dir: bool,
    pub(crate) nodes: Vec<HeaderNode>,
}

/// What later commands need to know of a node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct HeaderNode {
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) env: Vec<(String, String)>,
}

/// What a recorded process is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Owns the user namespace of a lab without root.
    Anchor,
    /// Holds the namespaces of a node.
    Holder,
    /// Was started in a node.
    Command,
}

impl Role {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Anchor, "anchor"), (Self::Holder, "holder"), (Self::Command, "command")];

    /// The beginning of the line of such a process; its stat line follows.
    pub(crate) fn prefix(self, node: &str) -> Vec<u8> {
        let word = Self::ALL.iter().find(|(role, _)| *role == self).map_or("", |(_, word)| word);
        format!("{word} {node} ").into_bytes()
    }
}

/// A lab's journal as it was read.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) header: Header,
    pub(crate) processes: Vec<(Role, String, ProcessId)>,
    /// Whether `up` came to its end.
    pub(crate) ready: bool,
}

impl Journal {
    /// The recorded process of a role and node.
    pub(crate) fn process(&self, role: Role, node: &str) -> Option<ProcessId> {
        self.processes.iter().find(|(r, n, _)| *r == role && n == node).map(|(_, _, id)| *id)
    }
}

/// A lab's directory.
#[derive(Debug, Clone)]
pub(crate) struct StateDir {
    path: PathBuf,
}

impl StateDir {
    /// Makes the directory of a new lab, held shared by the returned lock.
    pub(crate) fn create(name: &str) -> Result<(Self, File), LabError> {
        let base = writable_base()?;
        let path = base.join(name);
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(|e| LabError::io(&path, e))?;
        let state = Self { path };
        let lock = state.open_lock()?;
        flock(&lock, FlockOperation::LockShared).map_err(|e| LabError::io(state.lock_path(), e))?;
        Ok((state, lock))
    }

    /// The directory of a lab by its name, if it is there.
    pub(crate) fn find(name: &str) -> Option<Self> {
        bases()
            .into_iter()
            .map(|base| base.join(name))
            .find(|path| is_ours(path))
            .map(|path| Self { path })
    }

    /// All labs of this user.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let entries =
            bases().into_iter().filter_map(|base| fs::read_dir(base).ok()).flatten().flatten();
        entries.map(|entry| Self { path: entry.path() }).filter(|state| is_ours(&state.path))
    }

    /// The lab that was brought up from a file.
    pub(crate) fn find_by_file(file: &Path) -> Option<Self> {
        Self::all().find(|state| matches!(state.journal(), Ok(Some(j)) if j.header.file == file))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn lock_path(&self) -> PathBuf {
        self.path.join(LOCK)
    }

    pub(crate) fn journal_path(&self) -> PathBuf {
        self.path.join(JOURNAL)
    }

    /// Where a node's own output goes.
    pub(crate) fn log_path(&self, node: &str) -> PathBuf {
        self.path.join(format!("{node}.log"))
    }

    fn open_lock(&self) -> Result<File, LabError> {
        let path = self.lock_path();
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(|e| LabError::io(path, e))
    }

    /// Waits until nobody creates anything in this lab, and keeps it so. `waiting` is
    /// called if that takes a wait.
    pub(crate) fn lock_alone(&self, waiting: impl FnOnce()) -> Result<File, LabError> {
        let lock = self.open_lock()?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            waiting();
            flock(&lock, FlockOperation::LockExclusive)
                .map_err(|e| LabError::io(self.lock_path(), e))?;
        }
        Ok(lock)
    }

    /// Writes the header: from now on the lab can be found and taken down.
    pub(crate) fn begin(&self, header: &Header) -> Result<(), LabError> {
        let (new, path) = (self.path.join("journal.new"), self.journal_path());
        let mut line = serde_json::to_vec(header).map_err(|e| LabError::io(&new, e))?;
        line.push(b'\n');
        fs::write(&new, line)
            .and_then(|()| fs::rename(&new, &path))
            .map_err(|e| LabError::io(path, e))
    }

    /// The journal, open for processes to write their lines into.
    pub(crate) fn append(&self) -> Result<OwnedFd, LabError> {
        let path = self.journal_path();
        OpenOptions::new()
            .append(true)
            .open(&path)
            .map(OwnedFd::from)
            .map_err(|e| LabError::io(path, e))
    }

    /// Notes that `up` came to its end.
    pub(crate) fn finish(&self) -> Result<(), LabError> {
        File::from(self.append()?)
            .write_all(b"ready\n")
            .map_err(|e| LabError::io(self.journal_path(), e))
    }

    /// The journal, or `None` where `up` ended before it wrote one, which is before it
    /// created anything.
    pub(crate) fn journal(&self) -> Result<Option<Journal>, LabError> {
        let path = self.journal_path();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(LabError::io(path, e)),
        };
        let (header, lines) = text.split_once('\n').unwrap_or((&text, ""));
        let header: Header = serde_json::from_str(header).map_err(|e| LabError::io(&path, e))?;
        if header.format != FORMAT {
            let message =
                format!("the journal has format {}, this program knows {FORMAT}", header.format);
            return Err(LabError::io(path, io::Error::new(io::ErrorKind::Unsupported, message)));
        }
        let ready = lines.lines().any(|l| l == "ready");
        Ok(Some(Journal {
            header,
            processes: lines.lines().filter_map(parse_line).collect(),
            ready,
        }))
    }

    /// Removes the directory, and the base with it when this was the last lab.
    pub(crate) fn remove(&self) -> Result<(), LabError> {
        // The journal goes first: a process that waited for the lock sees by it that the lab is gone.
        for path in [self.journal_path(), self.path.join("journal.new")] {
            match fs::remove_file(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(LabError::io(path, e)),
                _ => {}
            }
        }
        fs::remove_dir_all(&self.path).map_err(|e| LabError::io(&self.path, e))?;
        if let Some(base) = self.path.parent() {
            // It stays while another lab is in it.
            fs::remove_dir(base).ok();
        }
        Ok(())
    }
}

impl Header {
    pub(crate) fn new(name: &str, file: &Path, nodes: Vec<HeaderNode>) -> Self {
        let (name, file) = (name.to_owned(), file.to_owned());
        Self {
            format: FORMAT,
            name,
            file,
            boot_id: boot_id(),
            rootless: false,
            made_netns_dir: false,
            nodes,
        }
    }

    /// Whether the lab's processes can still be there at all.
    pub(crate) fn is_of_this_boot(&self) -> bool {
        self.boot_id == boot_id()
    }
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

fn parse_line(line: &str) -> Option<(Role, String, ProcessId)> {
    let (word, rest) = line.split_once(' ')?;
    let (role, _) = Role::ALL.iter().find(|(_, w)| *w == word)?;
    let (node, stat) = rest.split_once(' ')?;
    Some((*role, node.to_owned(), parse_stat(stat)?.0))
}

/// Where labs' directories may be, the preferred place first.
fn bases() -> Vec<PathBuf> {
    let uid = rustix::process::geteuid();
    let fallback = PathBuf::from(format!("/tmp/evpnd-lab-{}", uid.as_raw()));
    if uid.is_root() {
        return vec![PathBuf::from("/run/evpnd-lab"), fallback];
    }
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|d| !d.is_empty());
    runtime.map(|d| PathBuf::from(d).join("evpnd-lab")).into_iter().chain([fallback]).collect()
}

/// The first of the bases that can be used, made if need be.
fn writable_base() -> Result<PathBuf, LabError> {
    let mut last = None;
    for base in bases() {
        match fs::DirBuilder::new().mode(0o700).create(&base) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                last = Some(LabError::io(base, e))
            }
            _ if is_ours(&base) => return Ok(base),
            _ => {
                let e = io::Error::new(
                    io::ErrorKind::PermissionDenied,
                    "is not a directory of yours; remove it, or set XDG_RUNTIME_DIR",
                );
                last = Some(LabError::io(base, e));
            }
        }
    }
    Err(last.unwrap_or_else(|| LabError::io("/tmp", io::Error::from(io::ErrorKind::NotFound))))
}

/// A real directory of this user's: in /tmp anybody could have put something there.
fn is_ours(path: &Path) -> bool {
    fs::symlink_metadata(path)
        .is_ok_and(|m| m.is_dir() && m.uid() == rustix::process::geteuid().as_raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> (tempfile::TempDir, StateDir) {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir { path: dir.path().join("lab") };
        fs::create_dir(&state.path).unwrap();
        (dir, state)
    }

    #[test]
    fn a_process_is_read_back_as_it_recorded_itself() {
        let (_dir, state) = state();
        assert!(state.journal().unwrap().is_none(), "nothing is known before the header");
        state.begin(&Header::new("lab", Path::new("/f"), vec![])).unwrap();
        let journal = state.append().unwrap();
        crate::ops::record(std::os::fd::AsFd::as_fd(&journal), &Role::Holder.prefix("n1")).unwrap();
        let read = state.journal().unwrap().unwrap();
        let me = ProcessId::of(std::process::id().cast_signed());
        assert_eq!(read.process(Role::Holder, "n1"), me);
        assert_eq!(read.process(Role::Command, "n1"), None);
        assert!(!read.ready && read.header.is_of_this_boot());
        state.finish().unwrap();
        assert!(state.journal().unwrap().unwrap().ready);
    }

    #[test]
    fn a_journal_of_another_format_is_refused_and_left_alone() {
        let (_dir, state) = state();
        let header = Header { format: FORMAT + 1, ..Header::new("lab", Path::new("/f"), vec![]) };
        state.begin(&header).unwrap();
        assert!(state.journal().unwrap_err().to_string().contains("format 2"));
        assert!(state.journal_path().exists());
    }

    #[test]
    fn who_cleans_up_waits_for_who_creates() {
        let (_dir, state) = state();
        let creator = state.open_lock().unwrap();
        flock(&creator, FlockOperation::LockShared).unwrap();
        let cleaner = state.open_lock().unwrap();
        assert!(flock(&cleaner, FlockOperation::NonBlockingLockExclusive).is_err());
        drop(creator);
        let mut waited = false;
        let _alone = state.lock_alone(|| waited = true).unwrap();
        assert!(!waited);
    }
}
