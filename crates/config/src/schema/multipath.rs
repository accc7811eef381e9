//! `[multipath]`: how traffic to a prefix of several sites is spread.
//!
//! **The number of buckets bounds how finely a drain can be steered.**

use super::{Default, Key, SectionDoc};
use crate::Effect;
use crate::parse;
use crate::section::{Reading, Section};
use serde::Serialize;

/// How traffic to a prefix of several sites is spread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Multipath {
    /// The most paths that one prefix uses.
    pub max_paths: u16,
    /// The buckets of a resilient nexthop group.
    pub buckets: u16,
}

pub(crate) static MULTIPATH: SectionDoc = SectionDoc {
    path: "multipath",
    keys: &[&[
        Key {
            name: "max-paths",
            kind: "integer, 1 to 256",
            default: Default::Value("64"),
            why: "more sites than one anycast prefix usually has; 1 turns multipath off",
            effect: Effect::Live,
        },
        Key {
            name: "buckets",
            kind: "integer, 1 to 65535",
            default: Default::Value("32768"),
            why: "more than the new flows of one idle time, or weights do nothing; 1 MiB a group",
            effect: Effect::Live,
        },
    ]],
};

pub(crate) fn read(root: &Section<'_>, reading: &mut Reading) -> Multipath {
    let section = root.child(reading, &MULTIPATH);
    section.finish(reading);
    let multipath = Multipath {
        max_paths: section.get(reading, "max-paths", parse::integer(1..=256)),
        buckets: section.get(reading, "buckets", parse::integer(1..=65_535)),
    };
    if multipath.buckets < multipath.max_paths && section.has("buckets") {
        let message = format!("buckets is {}, fewer than max-paths", multipath.buckets);
        let help = format!("write at least {}: each path needs one", multipath.max_paths);
        section.refuse(reading, "buckets", message, help);
    }
    multipath
}
