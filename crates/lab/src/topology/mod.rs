//! A containerlab topology, read and resolved: defaults and kinds applied, variables
//! expanded, every reference checked. Reads one file; touches nothing.
//!
//! **What this returns can be built as it stands; what cannot be built is an error
//! here, with its line.**

mod expand;
mod order;
mod refuse;
mod resolve;
mod schema;
pub(crate) mod words;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_saphyr::Location;

use crate::error::LabError;
pub use order::Task;

/// A topology that can be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// The file it was read from, absolute.
    pub path: PathBuf,
    /// The lab's name: letters, digits, `.`, `_`, `-`.
    pub name: String,
    /// What stands before a node's name in the name of its namespace.
    pub prefix: String,
    /// In the order of the file.
    pub nodes: Vec<Node>,
    /// In the order of the file.
    pub links: Vec<Link>,
    /// Starts and configurations in the order that `stages` ask for.
    pub tasks: Vec<Task>,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A host, router or switch with namespaces of its own.
    Linux,
    /// A namespace of its own that holds one bridge with the node's name, whose ports
    /// are the node's links. (containerlab takes a bridge of the machine's; here labs
    /// never touch the machine's own network.)
    Bridge,
}

/// What a node runs by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runs {
    /// Nothing: it is there for its `exec` and for `lab exec`.
    Nothing,
    /// `entrypoint` and `cmd` as words.
    Command(Vec<String>),
    /// FRR's daemons as the node's /etc/frr/daemons lists them.
    Frr,
}

/// A file or directory of the machine that a node sees at a place of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// Absolute path on the machine.
    pub source: PathBuf,
    /// Absolute path in the node.
    pub target: PathBuf,
    /// Whether the node may only read it.
    pub read_only: bool,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name, also its hostname.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// The image that containerlab would run; here it only says what runs by default.
    pub image: Option<String>,
    /// What it runs.
    pub runs: Runs,
    /// Commands to run once all links are up, as words.
    pub exec: Vec<Vec<String>>,
    /// What it sees of the machine's files elsewhere.
    pub binds: Vec<Bind>,
    /// Variables for every process of the node.
    pub env: Vec<(String, String)>,
    /// Kernel settings below /proc/sys/net: path and value.
    pub sysctls: Vec<(String, String)>,
    /// How long to wait before `runs` is started.
    pub startup_delay: Duration,
    /// Free labels.
    pub labels: Vec<(String, String)>,
    /// Free text that tools group nodes by.
    pub group: Option<String>,
}

/// One end of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Index into [`Topology::nodes`].
    pub node: usize,
    /// The interface's name in that node.
    pub interface: String,
    /// Its address, if the file gives one.
    pub mac: Option<[u8; 6]>,
}

/// A pair of virtual Ethernet interfaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Both ends.
    pub ends: [Endpoint; 2],
    /// Of both ends, in bytes.
    pub mtu: u32,
}

impl Topology {
    /// Reads and resolves the topology at `path`, with the process's environment.
    ///
    /// # Errors
    /// [`LabError::Io`] if it cannot be read, [`LabError::Topology`] with line and
    /// column if it is wrong or asks for what this lab does not do.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, LabError> {
        let path = path.as_ref();
        let absolute = std::path::absolute(path).map_err(|e| LabError::io(path, e))?;
        let text = std::fs::read_to_string(path).map_err(|e| LabError::io(path, e))?;
        Self::parse(&text, &absolute, &|name| std::env::var(name).ok())
    }

    /// Resolves `text` as if it were the file at the absolute `path`, with the
    /// variables that `env` gives.
    ///
    /// # Errors
    /// [`LabError::Topology`] with line and column.
    pub fn parse(
        text: &str,
        path: &Path,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, LabError> {
        let text = expand::environment(text, env);
        let file: schema::File =
            serde_saphyr::from_str(&text).map_err(|e| syntax_error(path, &e))?;
        resolve::topology(path, &file).map_err(|wrong| LabError::Topology {
            path: path.to_owned(),
            line: wrong.at.line(),
            column: wrong.at.column(),
            message: wrong.message,
        })
    }

    /// The name of a node's namespace, as `ip netns` shows it.
    pub fn namespace(&self, node: &Node) -> String {
        format!("{}{}", self.prefix, node.name)
    }
}

/// Something wrong at a place of the file.
#[derive(Debug)]
struct Wrong {
    at: Location,
    message: String,
}

impl Wrong {
    fn new(at: Location, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }
}

/// What the parser said, with refused keys explained.
fn syntax_error(path: &Path, error: &serde_saphyr::Error) -> LabError {
    let at = error.location().unwrap_or(Location::UNKNOWN);
    let message = match error.without_snippet() {
        serde_saphyr::Error::SerdeUnknownField { field, expected, .. } => {
            refuse::explain(field, expected)
        }
        other => {
            let text = other.to_string();
            // The place stands before the message already.
            let text = text.split(" at line ").next().unwrap_or(&text);
            text.replace("invalid u32", "this must be a whole number")
        }
    };
    LabError::Topology { path: path.to_owned(), line: at.line(), column: at.column(), message }
}
