//! The effective configuration: every key, its value, and where that came from.
//!
//! **Every key of the schema appears, also when nobody wrote it.**

use crate::Config;
use crate::schema::{self, Default, SECTIONS};
use serde::Serialize;
use std::fmt;

/// A valid configuration, and where each of its values came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    pub(crate) lines: Vec<Line>,
}

/// One value as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// The key's path in the schema, e.g. `neighbor[].hold`.
    pub(crate) schema: String,
    /// Its path, e.g. `neighbor[10.0.0.2].hold`.
    pub(crate) key: String,
    /// The value in TOML's notation, or `unset`, or `auto` for what the daemon derives.
    pub(crate) value: String,
    pub(crate) origin: Origin,
}

/// Where a value came from. `Display` is what a person sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Nobody wrote it: `default (why)`.
    Default {
        /// The reason for the default.
        why: String,
    },
    /// Written in a file: `evpnd.toml:3`.
    File {
        /// The source's name.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The section it was inherited from, e.g. `group[spines]`.
        via: Option<String>,
    },
    /// Found by the daemon or computed from other values: `derived (from)`.
    Derived {
        /// What from.
        from: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default { why } => write!(f, "default ({why})"),
            Self::File { file, line, via: None } => write!(f, "{file}:{line}"),
            Self::File { file, line, via: Some(via) } => write!(f, "{file}:{line} by {via}"),
            Self::Derived { from } => write!(f, "derived ({from})"),
        }
    }
}

/// A value that the daemon derived for a key that the text leaves open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derived {
    /// The key's path, e.g. `router.id`.
    pub key: String,
    /// The value.
    pub value: String,
    /// What it was derived from, e.g. `the local address of vx100`.
    pub from: String,
}

/// One line of `evpnctl config show --effective`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EffectiveLine {
    /// The key's path; a key of a list that has no element yet shows `[]`, e.g. `vni[].rd`.
    pub key: String,
    /// The value in TOML's notation, `unset`, or `auto` for what is derived later.
    pub value: String,
    /// Where the value came from.
    pub origin: Origin,
}

/// Every key in the order of the schema, with what the daemon derived laid over. What the text
/// says is never overlaid; a derived key that the schema does not have is added at the end.
pub fn effective(loaded: &Loaded, derived: &[Derived]) -> Vec<EffectiveLine> {
    let mut lines = Vec::with_capacity(loaded.lines.len());
    for section in SECTIONS {
        let keys: Vec<(String, &schema::Key)> =
            section.keys().map(|key| (section.path_of(key.name), key)).collect();
        let of_section = |line: &&Line| keys.iter().any(|(path, _)| *path == line.schema);
        lines.extend(loaded.lines.iter().filter(of_section).map(|line| EffectiveLine {
            key: line.key.clone(),
            value: line.value.clone(),
            origin: line.origin.clone(),
        }));
        let unread = |path: &str| !loaded.lines.iter().any(|line| line.schema == path);
        lines.extend(keys.iter().filter(|(path, _)| unread(path)).map(unwritten));
    }
    for Derived { key, value, from } in derived {
        let origin = Origin::Derived { from: from.clone() };
        let overlay = EffectiveLine { key: key.clone(), value: value.clone(), origin };
        match lines.iter_mut().find(|line| line.key == *key) {
            Some(EffectiveLine { origin: Origin::File { .. }, .. }) => {}
            Some(line) => *line = overlay,
            None => lines.push(overlay),
        }
    }
    lines
}

/// The line of a key that no section of the text has.
fn unwritten((path, key): &(String, &schema::Key)) -> EffectiveLine {
    let (value, origin) = match key.default {
        Default::Value(_) => (schema::show_default(key), None),
        Default::Required(_) | Default::Unset => ("unset".to_owned(), None),
        Default::Derived(from) => {
            ("auto".to_owned(), Some(Origin::Derived { from: from.to_owned() }))
        }
    };
    let origin = origin.unwrap_or_else(|| Origin::Default { why: key.why.to_owned() });
    EffectiveLine { key: path.clone(), value, origin }
}
