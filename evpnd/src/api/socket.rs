//! The file of the daemon's socket.
//!
//! **A socket on which somebody answers is never taken away**, and ours is at no moment open to
//! more than its mode allows.

use nix::sys::stat::{Mode, fchmod};
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use thiserror::Error;
use tokio::net::UnixListener;

/// The longest path of a Unix socket, in octets: `sun_path` less its terminating zero.
pub(crate) const MAX_SOCKET_PATH: usize = evpn_api::client::MAX_SOCKET_PATH;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 64;

/// Where to listen, and for whom.
#[derive(Clone, Debug)]
pub(crate) struct SocketOptions {
    /// The socket's path.
    pub(crate) path: PathBuf,
    /// Its permission bits, usually 0660.
    pub(crate) mode: u32,
    /// The group that may connect; the daemon's own unless given.
    pub(crate) group: Option<String>,
}

/// Why the socket could not be opened.
#[derive(Debug, Error)]
pub(crate) enum SocketError {
    /// It does not fit the kernel's address.
    #[error("socket path {} has {length} octets; the kernel takes at most {MAX_SOCKET_PATH}", path.display())]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length.
        length: usize,
    },
    /// Somebody answers there.
    #[error("another evpnd answers at {}: stop it first (`systemctl stop evpnd`)", path.display())]
    InUse {
        /// The path.
        path: PathBuf,
    },
    /// There is a file of another type.
    #[error("{} exists and is not a socket: remove it, or choose another path", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The group does not exist.
    #[error("there is no group \"{group}\": `groupadd --system {group}`, or name another")]
    NoSuchGroup {
        /// The group.
        group: String,
    },
    /// The kernel refused something.
    #[error("cannot {what} {}: {error}", path.display())]
    Refused {
        /// What.
        what: &'static str,
        /// The path.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// A socket that listens, and its file, which goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(super) socket: UnixListener,
    _file: SocketFile,
}

/// The file, and which one it was, lest somebody else's of the same name is removed.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity_of(&self.path).is_ok_and(|now| now == self.identity) {
            // Nothing is left to do about a failure: the next start removes a stale file.
            fs::remove_file(&self.path).ok();
        }
    }
}

fn identity_of(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

/// Opens the socket. Call it within a tokio runtime.
///
/// # Errors
/// [`SocketError`]; nothing is changed on disk then, except that a stale socket may be gone.
pub(crate) fn listen(options: &SocketOptions) -> Result<Listener, SocketError> {
    let SocketOptions { path, mode, group } = options;
    let length = path.as_os_str().len();
    if length > MAX_SOCKET_PATH {
        return Err(SocketError::PathTooLong { path: path.clone(), length });
    }
    let group = group.as_deref().map(group_id).transpose()?;
    remove_stale(path)?;
    let refused =
        |what| move |error: io::Error| SocketError::Refused { what, path: path.clone(), error };
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(refused("open"))?;
    // The mode of an unbound socket is what its file is created with, so that there is no moment
    // at which the file has a wider one.
    let narrow = Mode::from_bits_truncate(mode & 0o600);
    fchmod(&socket, narrow).map_err(|errno| refused("set the mode of")(errno.into()))?;
    let address = SockAddr::unix(path).map_err(refused("name"))?;
    socket.bind(&address).map_err(refused("bind"))?;
    let file =
        SocketFile { path: path.clone(), identity: identity_of(path).map_err(refused("find"))? };
    if group.is_some() {
        chown(path, None, group).map_err(refused("change the group of"))?;
    }
    let mode = fs::Permissions::from_mode(*mode);
    fs::set_permissions(path, mode).map_err(refused("set the mode of"))?;
    socket.listen(BACKLOG).map_err(refused("listen at"))?;
    socket.set_nonblocking(true).map_err(refused("listen at"))?;
    let listener = std::os::unix::net::UnixListener::from(socket);
    let socket = UnixListener::from_std(listener).map_err(refused("listen at"))?;
    Ok(Listener { socket, _file: file })
}

fn group_id(name: &str) -> Result<u32, SocketError> {
    let missing = || SocketError::NoSuchGroup { group: name.to_owned() };
    let found = nix::unistd::Group::from_name(name).map_err(|_| missing())?;
    found.map(|group| group.gid.as_raw()).ok_or_else(missing)
}

/// Removes what a daemon left behind that did not end in order.
fn remove_stale(path: &Path) -> Result<(), SocketError> {
    let refused = |what, error| SocketError::Refused { what, path: path.to_owned(), error };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(refused("look at", error)),
        Ok(file) if !file.file_type().is_socket() => {
            return Err(SocketError::NotASocket { path: path.to_owned() });
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(SocketError::InUse { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|error| refused("remove the stale socket", error))
        }
        Err(error) => Err(refused("tell who is at", error)),
    }
}
