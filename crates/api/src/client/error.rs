//! Why the daemon could not be asked, or what it answered instead.
//!
//! **Every failure to reach it names the socket, the cause and the next step.**

use crate::ErrorBody;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The socket cannot be connected to.
    #[error("cannot reach evpnd at {}: {cause}", socket.display())]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// Why.
        cause: Unreachable,
    },
    /// It took the connection and did not answer in time.
    #[error(
        "evpnd at {} did not answer within {} s: it may be busy or stopped; try `systemctl status evpnd`",
        socket.display(),
        timeout.as_secs()
    )]
    Timeout {
        /// The socket.
        socket: PathBuf,
        /// How long we waited.
        timeout: Duration,
    },
    /// The connection broke, or what came is not HTTP.
    #[error(
        "evpnd at {} broke off: {text}; `journalctl -u evpnd -n 50` may say why", socket.display()
    )]
    Broken {
        /// The socket.
        socket: PathBuf,
        /// What happened.
        text: String,
    },
    /// The answer is larger than any that this client asks for.
    #[error("the answer is larger than {limit} octets; ask for less with --limit")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// The answer is not what this version expects.
    #[error(
        "the answer to {path} is not understood: {text}; are evpnctl and evpnd of one version? \
         (`evpnctl show version`)"
    )]
    NotUnderstood {
        /// What was asked.
        path: String,
        /// What is wrong with it.
        text: String,
    },
    /// It answered that it cannot or will not.
    #[error("{}", body.error)]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said.
        body: ErrorBody,
    },
}

impl ClientError {
    /// The remedy that the daemon sent along.
    pub fn remedy(&self) -> Option<&str> {
        match self {
            Self::Refused { body, .. } => body.remedy.as_deref(),
            _ => None,
        }
    }

    /// The single problems that the daemon sent along.
    pub fn details(&self) -> &[String] {
        match self {
            Self::Refused { body, .. } => &body.details,
            _ => &[],
        }
    }

    /// The error of connecting to a socket.
    pub(crate) fn connecting(socket: &Path, error: &io::Error) -> Self {
        Self::Unreachable { socket: socket.to_owned(), cause: Unreachable::of(socket, error) }
    }
}

/// Why a socket cannot be connected to.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum Unreachable {
    /// It belongs to a group that we are not in.
    #[error(
        "permission denied: add yourself to group evpnd (`sudo usermod -aG evpnd $USER`, then log \
         in again) or use sudo"
    )]
    PermissionDenied,
    /// There is no such file.
    #[error(
        "no such socket: evpnd is not running: `systemctl start evpnd`, or name its socket with \
         --socket"
    )]
    NotRunning,
    /// There is a socket, and nobody listens: the daemon died.
    #[error(
        "nobody listens there: evpnd has stopped: `systemctl start evpnd`; `journalctl -u evpnd -n \
         50` may say why"
    )]
    Stopped,
    /// There is a file, and it is no socket.
    #[error("it is not a socket: name evpnd's with --socket")]
    NotASocket,
    /// The path does not fit the kernel's address of a socket.
    #[error("the path is too long: the kernel takes at most {MAX_SOCKET_PATH} octets")]
    PathTooLong,
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// The longest path of a Unix socket, in octets: `sun_path` less its terminating zero.
pub const MAX_SOCKET_PATH: usize = 107;

impl Unreachable {
    fn of(socket: &Path, error: &io::Error) -> Self {
        if socket.as_os_str().len() > MAX_SOCKET_PATH {
            return Self::PathTooLong;
        }
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::PermissionDenied,
            io::ErrorKind::NotFound => Self::NotRunning,
            // Connecting to a file of another type is refused in the same words.
            io::ErrorKind::ConnectionRefused if is_socket(socket) => Self::Stopped,
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotADirectory => Self::NotASocket,
            _ => Self::Other(error.to_string()),
        }
    }
}

fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::metadata(path).is_ok_and(|found| found.file_type().is_socket())
}
