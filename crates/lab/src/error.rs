//! What can go wrong with a lab, each with its remedy in the text.
//!
//! **Every error names the node, file or setting it is about and what to do next.**

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// Any failure of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// A file or directory could not be used.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// What was being read, written or made.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The topology file is not valid, or says something that this lab does not do.
    #[error("{path}:{line}:{column}: {message}", path = path.display())]
    Topology {
        /// The topology file.
        path: PathBuf,
        /// 1-based line; 0 when the place is not known.
        line: u64,
        /// 1-based column; 0 when the place is not known.
        column: u64,
        /// What is wrong, and what would be right.
        message: String,
    },
    /// This system lets us make no namespaces.
    #[error("this system lets us make no network namespaces: {cause}. {remedy}")]
    NoNamespaces {
        /// The setting or missing right that forbids it.
        cause: String,
        /// How to allow it or get round it.
        remedy: String,
    },
    /// Something on this machine is missing; nothing has been touched yet.
    #[error("node {node}: {message}")]
    Preflight {
        /// The node that needs it.
        node: String,
        /// What is missing, and how to get it.
        message: String,
    },
    /// A lab of this name exists.
    #[error(
        "lab {name} is up already, or was left half-built by an interrupted `lab up` (from {file}); `evpnctl lab down {file}` removes it",
        file = file.display()
    )]
    AlreadyUp {
        /// The lab's name.
        name: String,
        /// The topology file it was brought up from.
        file: PathBuf,
    },
    /// No lab of this name is up.
    #[error("lab {name} is not up; `evpnctl lab up FILE` brings it up")]
    NotUp {
        /// The lab's name.
        name: String,
    },
    /// The lab has no such node.
    #[error("no node {node} in lab {lab}; its nodes are {known}")]
    UnknownNode {
        /// The lab's name.
        lab: String,
        /// The name that was asked for.
        node: String,
        /// The names there are, comma-separated.
        known: String,
    },
    /// The process that holds a node's namespaces is gone.
    #[error(
        "node {node} of lab {lab} is gone: the process that held its namespaces ended; `lab down` and `lab up` rebuild it"
    )]
    NodeGone {
        /// The lab's name.
        lab: String,
        /// The node.
        node: String,
    },
    /// A system call of building the lab failed.
    #[error("node {node}: {what}: {source}")]
    Step {
        /// The node that was being built.
        node: String,
        /// What was being done.
        what: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A command of a node could not be started.
    #[error("node {node}: cannot run `{command}`: {source}")]
    Start {
        /// The node.
        node: String,
        /// The command as words.
        command: String,
        /// The system's answer.
        source: io::Error,
    },
    /// A command of a node's `exec` list failed.
    #[error("node {node}: `{command}` failed ({status}): {stderr}")]
    Exec {
        /// The node.
        node: String,
        /// The command as words.
        command: String,
        /// Its exit status.
        status: ExitStatus,
        /// What it wrote to its standard error (and output, if that is empty).
        stderr: String,
    },
    /// Processes of the lab did not die.
    #[error(
        "processes of lab {name} are still there after SIGKILL: {pids}; run `lab down` again once the kernel lets them go"
    )]
    Stubborn {
        /// The lab's name.
        name: String,
        /// Their ids.
        pids: String,
    },
    /// Building failed, and so did the removal of what had been built.
    #[error("{cause}; and taking the lab down again failed too: {teardown}")]
    Teardown {
        /// Why the lab was not built.
        cause: Box<LabError>,
        /// Why it could not be removed.
        teardown: Box<LabError>,
    },
}

impl LabError {
    /// An [`LabError::Io`] about `path`.
    pub(crate) fn io(path: impl Into<PathBuf>, source: impl Into<io::Error>) -> Self {
        Self::Io { path: path.into(), source: source.into() }
    }
}
