//! Lists of system calls, prepared here and made in a forked child.
//!
//! Entering a user or mount namespace takes a process of one thread, and the caller
//! may have many; so a child is forked for it. **Between fork and exit a child only
//! makes system calls on memory prepared before the fork**: it allocates nothing, locks
//! nothing and cannot panic. What a list contains is decided in the other modules.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use nix::sched::CloneFlags;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags};
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType};

/// One thing for a child to do.
pub(crate) enum Op {
    /// Write the child's own line into the journal, after this prefix.
    Record { journal: Arc<OwnedFd>, prefix: Vec<u8> },
    /// Leave for new namespaces of these kinds.
    Unshare(CloneFlags),
    /// Enter the namespaces of these kinds of a process (a pidfd) or a namespace file.
    Enter(Arc<OwnedFd>, CloneFlags),
    /// Write an existing file.
    Write { path: CString, bytes: Vec<u8> },
    /// Receive unmounts of the machine, pass nothing on to it.
    FollowMounts,
    /// Mount a file system of this type.
    Mount { fs: &'static CStr, target: CString, flags: MountFlags, data: CString },
    /// Keep what is at a path at hand, to attach it elsewhere, whatever covers the path later.
    Keep { path: CString, slot: usize },
    /// Attach what was kept.
    Attach { slot: usize, target: CString, read_only: bool },
    /// Make a directory unless it is there.
    Mkdir { path: CString, mode: u32 },
    /// Make an empty file unless it is there.
    Touch { path: CString },
    /// Make a symbolic link.
    Symlink { to: CString, path: CString },
    /// Give a path to another owner.
    Chown { path: CString, uid: u32, gid: u32 },
    /// Set the hostname.
    Hostname(Vec<u8>),
    /// Send one rtnetlink request and wait for its acknowledgement.
    Netlink(Vec<u8>),
}

/// An [`Op`] and what it is for, in words for an error message.
pub(crate) struct Step {
    pub(crate) op: Op,
    pub(crate) what: String,
    /// Whether the lab works without it.
    pub(crate) optional: bool,
}

impl Step {
    pub(crate) fn new(op: Op, what: impl Into<String>) -> Self {
        Self { op, what: what.into(), optional: false }
    }
}

/// Which step failed, in words, and how.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) what: String,
    pub(crate) source: io::Error,
}

/// Makes `steps` in a child of its own and waits for it.
pub(crate) fn work(steps: &[Step]) -> Result<(), Failure> {
    in_child(steps, None).map(drop)
}

/// Makes `steps` in a process that afterwards sleeps for ever and so holds the
/// namespaces it made; returns its id. It is nobody's child, shown as `name` by `ps`.
pub(crate) fn hold(steps: &[Step], name: &CStr) -> Result<i32, Failure> {
    in_child(steps, Some(name))
}

/// What a child reports: step, errno, own process id; native integers.
const REPORT_LEN: usize = 12;
/// The step number of a report that all went well.
const ALL_DONE: u32 = u32::MAX;

fn in_child(steps: &[Step], holder: Option<&CStr>) -> Result<i32, Failure> {
    let failure = |what: &str, source: io::Error| Failure { what: what.to_owned(), source };
    let (read_end, write_end) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)
        .map_err(|e| failure("making a pipe", e.into()))?;
    let count = steps.iter().filter(|s| matches!(s.op, Op::Keep { .. })).count();
    let mut slots: Vec<Option<OwnedFd>> = (0..count).map(|_| None).collect();
    // SAFETY: the child calls child_main only, which makes system calls on memory that
    // exists already, neither allocates nor takes a lock, and never returns.
    match unsafe { fork() }.map_err(|e| failure("forking", e.into()))? {
        ForkResult::Child => child_main(steps, &mut slots, holder, write_end.as_fd()),
        ForkResult::Parent { child } => {
            drop(write_end);
            let mut report = [0; REPORT_LEN];
            let read = File::from(read_end).read_exact(&mut report);
            // A caller that ignores SIGCHLD has had it reaped already.
            waitpid(child, None).ok();
            read.map_err(|e| failure("waiting for a helper process, which died", e))?;
            let number = |at: usize| {
                let mut bytes = [0; 4];
                bytes.copy_from_slice(&report[at..at + 4]);
                i32::from_ne_bytes(bytes)
            };
            match steps.get(number(0).cast_unsigned() as usize) {
                None => Ok(number(8)),
                Some(step) => Err(failure(&step.what, io::Error::from_raw_os_error(number(4)))),
            }
        }
    }
}

/// The whole life of a child.
fn child_main(
    steps: &[Step],
    slots: &mut [Option<OwnedFd>],
    holder: Option<&CStr>,
    report_to: BorrowedFd<'_>,
) -> ! {
    if let Some(name) = holder {
        // A second fork makes it nobody's child: whoever called us has no zombie to reap.
        // SAFETY: as above; this process has one thread.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => {}
            Ok(ForkResult::Parent { .. }) => exit(),
            Err(e) => {
                report(report_to, 0, e as i32);
                exit()
            }
        }
        rustix::process::setsid().ok();
        rustix::thread::set_name(name).ok();
    }
    for (number, step) in (0u32..).zip(steps) {
        match run(&step.op, slots) {
            Err(errno) if !step.optional => {
                report(report_to, number, errno.raw_os_error());
                exit();
            }
            _ => {}
        }
    }
    if holder.is_some() {
        rustix::process::chdir(c"/").ok();
    }
    report(report_to, ALL_DONE, 0);
    if holder.is_none() {
        exit();
    }
    // Nothing of the caller's (pipes, locks, terminals) may stay open in a holder.
    // SAFETY: this process uses no descriptor after this line.
    unsafe { libc::syscall(libc::SYS_close_range, 0, libc::c_uint::MAX, 0) };
    loop {
        rustix::event::pause();
    }
}

fn report(to: BorrowedFd<'_>, step: u32, errno: i32) {
    let mut bytes = [0; REPORT_LEN];
    bytes[..4].copy_from_slice(&step.to_ne_bytes());
    bytes[4..8].copy_from_slice(&errno.to_ne_bytes());
    bytes[8..].copy_from_slice(&rustix::process::getpid().as_raw_pid().to_ne_bytes());
    rustix::io::write(to, &bytes).ok();
}

fn exit() -> ! {
    // SAFETY: ends the child at once; the caller's exit handlers must not run in it.
    unsafe { libc::_exit(0) }
}

fn run(op: &Op, slots: &mut [Option<OwnedFd>]) -> Result<(), Errno> {
    match op {
        Op::Record { journal, prefix } => record(journal.as_fd(), prefix),
        Op::Unshare(flags) => nix::sched::unshare(*flags).map_err(errno),
        Op::Enter(fd, flags) => nix::sched::setns(fd, *flags).map_err(errno),
        Op::Write { path, bytes } => {
            let file =
                rustix::fs::open(path.as_c_str(), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
            rustix::io::write(file, bytes).map(drop)
        }
        Op::FollowMounts => rustix::mount::mount_change(
            c"/",
            MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC,
        ),
        Op::Mount { fs, target, flags, data } => {
            rustix::mount::mount(*fs, target.as_c_str(), *fs, *flags, data.as_c_str())
        }
        Op::Keep { path, slot } => {
            let flags = OpenTreeFlags::OPEN_TREE_CLONE
                | OpenTreeFlags::OPEN_TREE_CLOEXEC
                | OpenTreeFlags::AT_RECURSIVE;
            let tree = rustix::mount::open_tree(CWD, path.as_c_str(), flags)?;
            *slots.get_mut(*slot).ok_or(Errno::BADF)? = Some(tree);
            Ok(())
        }
        Op::Attach { slot, target, read_only } => {
            let tree = slots.get(*slot).and_then(Option::as_ref).ok_or(Errno::BADF)?;
            if *read_only {
                make_read_only(tree.as_fd())?;
            }
            let flags =
                MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_SYMLINKS;
            rustix::mount::move_mount(tree, c"", CWD, target.as_c_str(), flags)
        }
        Op::Mkdir { path, mode } => {
            unless_there(rustix::fs::mkdir(path.as_c_str(), Mode::from_raw_mode(*mode)))
        }
        Op::Touch { path } => {
            let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
            rustix::fs::open(path.as_c_str(), flags, Mode::from_raw_mode(0o644)).map(drop)
        }
        Op::Symlink { to, path } => {
            unless_there(rustix::fs::symlink(to.as_c_str(), path.as_c_str()))
        }
        Op::Chown { path, uid, gid } => {
            let (uid, gid) = (rustix::fs::Uid::from_raw(*uid), rustix::fs::Gid::from_raw(*gid));
            rustix::fs::chown(path.as_c_str(), Some(uid), Some(gid))
        }
        Op::Hostname(name) => rustix::system::sethostname(name),
        Op::Netlink(request) => transact(request),
    }
}

fn errno(e: nix::Error) -> Errno {
    Errno::from_raw_os_error(e as i32)
}

fn unless_there(result: Result<(), Errno>) -> Result<(), Errno> {
    if result == Err(Errno::EXIST) { Ok(()) } else { result }
}

/// Longest journal line: a prefix with a node's name and /proc/self/stat.
const RECORD_MAX: usize = 1024;

/// Writes `prefix` and this process's /proc/self/stat as one line, in one write.
/// Makes system calls only, so it may be called between fork and exec.
pub(crate) fn record(journal: BorrowedFd<'_>, prefix: &[u8]) -> Result<(), Errno> {
    let mut line = [0; RECORD_MAX];
    let (head, rest) = line.split_at_mut_checked(prefix.len()).ok_or(Errno::NAMETOOLONG)?;
    head.copy_from_slice(prefix);
    let stat =
        rustix::fs::open(c"/proc/self/stat", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let length = rustix::io::read(stat, &mut *rest)?;
    let stat = rest.get_mut(..length).ok_or(Errno::OVERFLOW)?;
    let Some((last, stat)) = stat.split_last_mut().filter(|(last, _)| **last == b'\n') else {
        return Err(Errno::OVERFLOW);
    };
    *last = b'\n';
    for byte in stat {
        // A process may have a line break in its name.
        if *byte == b'\n' {
            *byte = b'?';
        }
    }
    let length = prefix.len() + length;
    let written = rustix::io::write(journal, line.get(..length).ok_or(Errno::OVERFLOW)?)?;
    if written == length { Ok(()) } else { Err(Errno::NOSPC) }
}

/// Makes a kept tree read-only before it is attached anywhere. Unlike a remount this
/// leaves the other flags alone, which a user namespace may not clear.
fn make_read_only(tree: BorrowedFd<'_>) -> Result<(), Errno> {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: the path is a C string, and the structure outlives the call with its size given.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::INVAL))
    }
}

/// Offset of the error code in an acknowledgement: after the 16 bytes of its header.
const ACK_CODE: std::ops::Range<usize> = 16..20;
/// An acknowledgement repeats at most the request after its code.
const ACK_MAX: usize = 8192;

/// Of all netlink protocols the default one.
const NETLINK_ROUTE: Option<Protocol> = None;

/// Sends one request on a socket of its own and reads the acknowledgement.
fn transact(request: &[u8]) -> Result<(), Errno> {
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        NETLINK_ROUTE,
    )?;
    rustix::net::send(&socket, request, SendFlags::empty())?;
    let mut buffer = [MaybeUninit::<u8>::uninit(); ACK_MAX];
    let ((answer, _), _) = rustix::net::recv(&socket, &mut buffer, RecvFlags::empty())?;
    let code =
        answer.get(ACK_CODE).and_then(|c| <[u8; 4]>::try_from(c).ok()).ok_or(Errno::PROTO)?;
    match i32::from_ne_bytes(code) {
        0 => Ok(()),
        negative => Err(Errno::from_raw_os_error(negative.wrapping_neg())),
    }
}

/// A path for a system call.
pub(crate) fn c_path(path: &std::path::Path) -> Result<CString, Failure> {
    use std::os::unix::ffi::OsStrExt;
    CString::new(path.as_os_str().as_bytes()).map_err(|e| Failure {
        what: format!("using the path {}", path.display()),
        source: e.into(),
    })
}
