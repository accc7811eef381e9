//! What `evpnd` says about itself under `/api/v1`, as JSON, and the client that asks.
//!
//! The daemon serves these types, `evpnctl` shows them, and other programs may rely on them: key
//! names are those of FRR's JSON where FRR has one (`remoteAs`, `pfxRcd`, `peerUptimeMsec`), in
//! camel case otherwise. Identities (MAC addresses, route distinguishers, prefixes) travel in the
//! form people read. Durations are whole milliseconds and named so, unless a name says seconds.
//!
//! What is not here: how the daemon finds the answers (`evpnd::api::Backend`), and how they look on
//! a terminal (`evpnctl`).
//!
//! **Within `v1` a key is never renamed, removed or given another meaning; new ones may appear, and
//! a reader ignores those that it does not know.** Requests are the opposite: an unknown parameter
//! is refused, since ignoring a mistyped filter would answer another question.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    forbid(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::unimplemented,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

pub mod attributes;
pub mod bgp;
pub mod client;
pub mod config;
pub mod consistency;
#[cfg(test)]
mod contract;
pub mod energy;
pub mod evpn;
pub mod neighbor;
mod neighbor_id;
pub mod page;
pub mod reset;
pub mod route;
#[cfg(any(test, feature = "samples"))]
pub mod samples;
pub mod system;
pub mod why;

pub use client::{Client, ClientError};
pub use neighbor_id::NeighborId;
pub use page::Page;

use serde::{Deserialize, Serialize};

/// The path that every resource of this version begins with.
pub const PREFIX: &str = "/api/v1";

/// Where the daemon listens unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/evpnd/evpnd.sock";

/// The body of every answer that is not a success.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody {
    /// What went wrong, in one sentence.
    pub error: String,
    /// What to do about it, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Where it was more than one thing, each: a configuration's problems with their places.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
}

/// Something an operator should know, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// What is the matter, in one sentence.
    pub text: String,
    /// What to do about it, often a command line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Notice {
    /// A notice with its remedy.
    pub fn new(text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { text: text.into(), remedy: Some(remedy.into()) }
    }
}

/// Whether something works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UpDown {
    /// It does.
    Up,
    /// It does not.
    Down,
}

/// Whose something is: a host behind this switch, or one behind another VTEP. FRR says the same
/// words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Locality {
    /// Behind this switch.
    Local,
    /// Behind another VTEP.
    Remote,
}

/// Something that happened a while ago.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// How long ago, in milliseconds.
    pub ago_msec: u64,
    /// What, in one sentence.
    pub text: String,
}
