//! `why`: how a MAC address or a prefix came to be forwarded as it is.
//!
//! **Every path that was ever a candidate is told with the reason for its fate**, whether it was
//! rejected, lost or won; an unknown subject is an answer too.

use crate::{NeighborId, Notice};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Parameters of `GET why`: exactly one of `mac` and `prefix`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WhyQuery {
    /// A host's MAC address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// A prefix, or an address, which stands for the longest prefix that covers it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Only in this VNI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vni: Option<u32>,
}

/// `GET why`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    /// What was asked for, in its usual form.
    pub subject: String,
    /// What happens to frames or packets to it, in one sentence.
    pub verdict: String,
    /// Something forwards to it, and the kernel contradicts it nowhere.
    pub reachable: bool,
    /// Each place where it is known: a VNI or a VRF.
    pub tables: Vec<WhyTable>,
}

/// How a table came to its choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WhyTable {
    /// `VNI 100` or `VRF red`.
    pub table: String,
    /// Every candidate: the winner first, then the losers, then the rejected.
    pub candidates: Vec<Candidate>,
    /// Why the winner won, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub winner: Option<String>,
    /// What the kernel holds of it, each object in the form of `bridge` and `ip`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kernel: Vec<String>,
    /// The kernel holds what it should.
    pub kernel_ok: bool,
    /// Why frames or packets do not go where the routes say: what the kernel does with them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contradictions: Vec<Notice>,
    /// What energy does to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub energy: Vec<String>,
}

/// A path, a local host or a local prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// Its fate.
    pub fate: Fate,
    /// Why this fate, in one sentence.
    pub reason: String,
    /// The route, or the local entry.
    pub route: String,
    /// Who told; none for a local one.
    pub peer_id: Option<NeighborId>,
    /// The VTEP; none for a local one.
    pub nexthop: Option<IpAddr>,
}

/// What became of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fate {
    /// In use.
    Best,
    /// In use beside the best.
    Multipath,
    /// Accepted, and another is better.
    Lost,
    /// Not accepted.
    Rejected,
}
