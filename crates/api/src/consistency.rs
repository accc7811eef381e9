//! `consistency`: what the routes ask for, against what the kernel holds.
//!
//! **`ok` is true exactly where the kernel was read and nothing differs.**

use serde::{Deserialize, Serialize};
use std::fmt;

/// `GET consistency`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Consistency {
    /// Nothing differs.
    pub ok: bool,
    /// What the dataplane does: `adopt`, `grow`, `sweep` or `steady`.
    pub mode: String,
    /// Since the kernel was read, in milliseconds.
    pub checked_ago_msec: u64,
    /// Objects by kind.
    pub objects: Vec<ObjectCount>,
    /// What differs, sorted; cut off where it is more than a page.
    pub differences: Vec<Difference>,
    /// How many differ in all.
    pub total_differences: u64,
}

/// How many objects of a kind there should be and are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectCount {
    /// `fdb`, `flood`, `neighbour`, `nexthop`, `route`, ...
    pub kind: String,
    /// Intended.
    pub intended: u64,
    /// Held by the kernel, of what is ours.
    pub kernel: u64,
}

/// An object that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// How it differs.
    pub what: DifferenceKind,
    /// The object's kind.
    pub kind: String,
    /// Which object.
    pub object: String,
    /// How it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intended: Option<String>,
    /// How it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// Why it is not mended, or when it will be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How an object differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DifferenceKind {
    /// The kernel has it not.
    Missing,
    /// The kernel has it, and it should not.
    Unexpected,
    /// The kernel has another.
    Differs,
}

impl fmt::Display for DifferenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Missing => "missing",
            Self::Unexpected => "unexpected",
            Self::Differs => "differs",
        })
    }
}
