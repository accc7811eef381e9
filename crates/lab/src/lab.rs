//! A lab that is up: its nodes, and running commands in them.
//!
//! **A command of a node is in all the node's namespaces before its first instruction,
//! and in the journal before that.**

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;

use nix::sched::CloneFlags;
use rustix::fs::{CWD, FlockOperation, Mode, OFlags};

use crate::error::LabError;
use crate::netlink;
use crate::ops::{self, Failure, Op, Step, work};
use crate::privilege::node_namespaces;
use crate::process::ProcessId;
use crate::state::{HeaderNode, Role, StateDir};
use crate::topology::Topology;

/// Where system tools are; a user's own PATH often lacks them.
const SYSTEM_PATHS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
/// Names the directory of evpnd and evpnctl for the nodes, before all others.
const BIN_DIR_VARIABLE: &str = "EVPND_BIN_DIR";

/// A lab in network namespaces. Dropping it leaves it up: [`Lab::down`] removes it.
#[derive(Debug)]
pub struct Lab {
    pub(crate) name: String,
    pub(crate) state: StateDir,
    pub(crate) nodes: Vec<LabNode>,
    pub(crate) rootless: bool,
    /// What `up` started and this process must reap.
    pub(crate) children: Vec<(String, Child)>,
}

/// A node as commands need it.
#[derive(Debug)]
pub(crate) struct LabNode {
    pub(crate) about: HeaderNode,
    pub(crate) holder: ProcessId,
}

impl Lab {
    /// The lab that is up by this name, or from this topology file.
    ///
    /// # Errors
    /// [`LabError::NotUp`] if there is none, [`LabError::NodeGone`] if it is only
    /// half there.
    pub fn open(name_or_file: impl AsRef<Path>) -> Result<Self, LabError> {
        let (name, state) = locate(name_or_file.as_ref())?;
        let not_up = || LabError::NotUp { name: name.clone() };
        let state = state.ok_or_else(not_up)?;
        let journal = state
            .journal()?
            .filter(|j| j.ready && j.header.is_of_this_boot())
            .ok_or_else(not_up)?;
        let mut nodes = Vec::with_capacity(journal.header.nodes.len());
        for about in &journal.header.nodes {
            let holder = journal.process(Role::Holder, &about.name).filter(|h| h.is_alive());
            let gone = || LabError::NodeGone { lab: name.clone(), node: about.name.clone() };
            nodes.push(LabNode { about: about.clone(), holder: holder.ok_or_else(gone)? });
        }
        Ok(Self { name, state, nodes, rootless: journal.header.rootless, children: Vec::new() })
    }

    /// The lab's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names of its nodes, in the order of the file.
    pub fn nodes(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().map(|n| n.about.name.as_str())
    }

    /// Whether it lives in a user namespace of its own.
    pub fn is_rootless(&self) -> bool {
        self.rootless
    }

    /// The file that takes a node's own output (that of its `cmd`).
    pub fn log_path(&self, node: &str) -> PathBuf {
        self.state.log_path(node)
    }

    /// The process that holds a node's namespaces; `/proc/PID/ns` and `/proc/PID/root`
    /// lead into the node.
    ///
    /// # Errors
    /// [`LabError::UnknownNode`].
    pub fn holder(&self, node: &str) -> Result<ProcessId, LabError> {
        self.node(node).map(|n| n.holder)
    }

    /// The living processes that were started in a node, in the order of their start.
    ///
    /// # Errors
    /// [`LabError::UnknownNode`], or [`LabError::Io`] if the journal cannot be read.
    pub fn processes(&self, node: &str) -> Result<Vec<ProcessId>, LabError> {
        self.node(node)?;
        let journal =
            self.state.journal()?.ok_or_else(|| LabError::NotUp { name: self.name.clone() })?;
        let commands =
            journal.processes.iter().filter(|(role, n, _)| *role == Role::Command && n == node);
        Ok(commands.map(|(_, _, id)| *id).filter(|id| id.is_alive()).collect())
    }

    /// A command that will run in a node; the caller adds arguments, variables and
    /// files for its output, and starts it as often as wanted. evpnd and evpnctl are
    /// looked up in $EVPND_BIN_DIR, then beside the running program, then in PATH.
    /// The command keeps its working directory where the node has it, else starts in /.
    ///
    /// # Errors
    /// [`LabError::UnknownNode`], [`LabError::NodeGone`].
    pub fn command(&self, node: &str, program: impl AsRef<OsStr>) -> Result<Command, LabError> {
        self.command_in(node, program.as_ref(), Session::Callers)
    }

    pub(crate) fn command_in(
        &self,
        node: &str,
        program: &OsStr,
        session: Session,
    ) -> Result<Command, LabError> {
        let node = self.node(node)?;
        let entry = Entry {
            lock: ops::c_path(&self.state.lock_path()).map_err(|f| step_error(node, f))?,
            journal: self.state.append()?,
            prefix: Role::Command.prefix(&node.about.name),
            holder: self.open_holder(node)?,
            namespaces: self.namespaces(),
            session,
        };
        let mut command = Command::new(program);
        command.envs(node.about.env.iter().map(|(k, v)| (k, v)));
        let own = node.about.env.iter().find(|(k, _)| k == "PATH").map(|(_, v)| OsString::from(v));
        command.env("PATH", search_path(own.or_else(|| std::env::var_os("PATH"))));
        // SAFETY: enter makes system calls only, on memory that the closure owns.
        unsafe { command.pre_exec(move || entry.enter()) };
        Ok(command)
    }

    /// Runs a command in a node on this process's own input and output, to its end.
    ///
    /// # Errors
    /// As [`Lab::command`], and [`LabError::Start`] if it cannot be started.
    pub fn exec<I: IntoIterator<Item: AsRef<OsStr>>>(
        &self,
        node: &str,
        argv: I,
    ) -> Result<ExitStatus, LabError> {
        let argv: Vec<OsString> = argv.into_iter().map(|a| a.as_ref().to_owned()).collect();
        let shown = argv.join(OsStr::new(" ")).to_string_lossy().into_owned();
        let failed =
            |source| LabError::Start { node: node.to_owned(), command: shown.clone(), source };
        let Some((program, args)) = argv.split_first() else {
            return Err(failed(io::Error::new(
                io::ErrorKind::InvalidInput,
                "no command was given",
            )));
        };
        self.command(node, program)?.args(args).status().map_err(failed)
    }

    /// Sets an interface of a node down, as `ip link set down` would: the other end
    /// loses its carrier, and this node the routes and IPv6 addresses on it. To pull a
    /// cable as a node sees it, set the other end down.
    ///
    /// # Errors
    /// [`LabError::Step`] if the node has no such interface.
    pub fn link_down(&self, node: &str, interface: &str) -> Result<(), LabError> {
        self.set_link(node, interface, "taking down", netlink::set_down(interface))
    }

    /// Sets an interface of a node up again.
    ///
    /// # Errors
    /// [`LabError::Step`] if the node has no such interface.
    pub fn link_up(&self, node: &str, interface: &str) -> Result<(), LabError> {
        self.set_link(node, interface, "taking up", netlink::set_up(interface))
    }

    fn set_link(
        &self,
        node: &str,
        interface: &str,
        what: &str,
        request: Vec<u8>,
    ) -> Result<(), LabError> {
        let node = self.node(node)?;
        let steps = [
            self.enter_step(node)?,
            Step::new(Op::Netlink(request), format!("{what} {interface}")),
        ];
        work(&steps).map_err(|f| step_error(node, f))
    }

    pub(crate) fn node(&self, node: &str) -> Result<&LabNode, LabError> {
        self.nodes.iter().find(|n| n.about.name == node).ok_or_else(|| LabError::UnknownNode {
            lab: self.name.clone(),
            node: node.to_owned(),
            known: self.nodes().collect::<Vec<_>>().join(", "),
        })
    }

    /// The step by which a helper process enters a node.
    pub(crate) fn enter_step(&self, node: &LabNode) -> Result<Step, LabError> {
        let holder = Arc::new(self.open_holder(node)?);
        Ok(Step::new(Op::Enter(holder, self.namespaces()), "entering the node"))
    }

    fn open_holder(&self, node: &LabNode) -> Result<OwnedFd, LabError> {
        let gone = || LabError::NodeGone { lab: self.name.clone(), node: node.about.name.clone() };
        node.holder.open().ok_or_else(gone)
    }

    /// The kinds of namespaces to enter with a holder's pidfd.
    fn namespaces(&self) -> CloneFlags {
        if self.rootless {
            node_namespaces() | CloneFlags::CLONE_NEWUSER
        } else {
            node_namespaces()
        }
    }
}

pub(crate) fn step_error(node: &LabNode, failure: Failure) -> LabError {
    LabError::Step { node: node.about.name.clone(), what: failure.what, source: failure.source }
}

/// The name and directory of the lab that `target` means. A file is asked for its name
/// only if no lab says that it came from it, so that an edited file still finds its lab.
pub(crate) fn locate(target: &Path) -> Result<(String, Option<StateDir>), LabError> {
    let is_name = target.components().count() == 1 && !target.is_file();
    if let (true, Some(name)) = (is_name, target.to_str()) {
        return Ok((name.to_owned(), StateDir::find(name)));
    }
    let by_file = target.canonicalize().ok().and_then(|file| StateDir::find_by_file(&file));
    if let Some(state) = by_file {
        let name = state.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        return Ok((name, Some(state)));
    }
    let name = Topology::load(target)?.name;
    let state = StateDir::find(&name);
    Ok((name, state))
}

/// PATH for commands in nodes.
pub(crate) fn search_path(own: Option<OsString>) -> OsString {
    let mut dirs: Vec<PathBuf> =
        std::env::var_os(BIN_DIR_VARIABLE).map(PathBuf::from).into_iter().collect();
    if let Some(beside) = std::env::current_exe().ok().as_deref().and_then(Path::parent) {
        // Cargo puts tests and examples one directory below the programs.
        if beside.ends_with("deps") || beside.ends_with("examples") {
            dirs.extend(beside.parent().map(Path::to_owned));
        }
        dirs.push(beside.to_owned());
    }
    dirs.extend(own.iter().flat_map(std::env::split_paths));
    dirs.extend(SYSTEM_PATHS.map(PathBuf::from));
    // Only a directory whose name holds a colon cannot be joined.
    std::env::join_paths(&dirs).or_else(|_| std::env::join_paths(SYSTEM_PATHS)).unwrap_or_default()
}

/// Whose signals from a terminal a command gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Session {
    /// Those of whoever started it.
    Callers,
    /// None: it lives on when the terminal closes.
    Own,
}

/// What a command needs between fork and exec to get into its node.
struct Entry {
    lock: CString,
    journal: OwnedFd,
    prefix: Vec<u8>,
    holder: OwnedFd,
    namespaces: CloneFlags,
    session: Session,
}

impl Entry {
    /// Makes system calls only.
    fn enter(&self) -> io::Result<()> {
        // Held until exec closes it: `down` looks for processes only after that.
        let lock = rustix::fs::open(
            self.lock.as_c_str(),
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        rustix::fs::flock(&lock, FlockOperation::LockShared)?;
        if rustix::fs::fstat(&self.journal)?.st_nlink == 0 {
            // The lab was taken down while we waited for the lock.
            return Err(rustix::io::Errno::STALE.into());
        }
        ops::record(self.journal.as_fd(), &self.prefix)?;
        if self.session == Session::Own {
            rustix::process::setsid()?;
        }
        let mut here = [MaybeUninit::<u8>::uninit(); libc::PATH_MAX as usize];
        let length = rustix::fs::readlinkat_raw(CWD, c"/proc/self/cwd", &mut here)?.0.len();
        nix::sched::setns(&self.holder, self.namespaces)?;
        // Entering a mount namespace sets the working directory to its root.
        if let Some(zero) = here.get_mut(length) {
            zero.write(0);
            // SAFETY: the first `length` bytes were written by the kernel, the next one above.
            let here =
                unsafe { std::slice::from_raw_parts(here.as_ptr().cast::<u8>(), length + 1) };
            if let Ok(here) = std::ffi::CStr::from_bytes_with_nul(here) {
                rustix::process::chdir(here).ok();
            }
        }
        // The lock lives on as a descriptor of this process until exec.
        std::mem::forget(lock);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_tools_are_found_whatever_the_users_path() {
        let path = search_path(Some(OsString::from("/home/me/bin:/usr/bin")));
        let dirs: Vec<_> = std::env::split_paths(&path).collect();
        let place = |dir: &str| dirs.iter().position(|d| d == Path::new(dir)).unwrap();
        assert!(place("/home/me/bin") < place("/usr/bin"));
        assert!(place("/usr/bin") < place("/usr/sbin"));
        let beside = std::env::current_exe().unwrap();
        assert!(
            dirs.iter().position(|d| beside.parent() == Some(d)).unwrap() < place("/home/me/bin")
        );
    }
}
