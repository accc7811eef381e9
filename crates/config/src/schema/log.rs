//! `[log]`: how much is said.
//!
//! **Nothing per route is logged above `debug`.**

use super::{Default, Key, SectionDoc};
use crate::Effect;
use crate::parse;
use crate::section::{Reading, Section};
use serde::Serialize;

/// How much is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Log {
    /// The least important kind that is still said.
    pub level: LogLevel,
}

/// How important a message is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// Something failed and needs a person.
    Error,
    /// Something is not as it should be.
    Warn,
    /// What an operator wants to have read later.
    #[default]
    Info,
    /// What a developer wants to know.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];

    /// The level's word, as a log filter takes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

pub(crate) static LOG: SectionDoc = SectionDoc {
    path: "log",
    keys: &[&[Key {
        name: "level",
        kind: "\"error\", \"warn\", \"info\", \"debug\" or \"trace\"",
        default: Default::Value("'info'"),
        why: "sessions, decisions and repairs, nothing per route",
        effect: Effect::Live,
    }]],
};

pub(crate) fn read(root: &Section<'_>, reading: &mut Reading) -> Log {
    let section = root.child(reading, &LOG);
    section.finish(reading);
    Log { level: section.get(reading, "level", parse::word(LogLevel::WORDS)) }
}
