//! `version`, `health` and `log-level`, and `/healthz` and `/readyz` beside them.
//!
//! **Ready means that every named check passes**; one that does not says what it waits for.

use serde::{Deserialize, Serialize};

/// `GET version`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// The daemon's version.
    pub version: String,
    /// The newest version of this interface that it serves.
    pub api_version: String,
    /// The switch's name.
    pub hostname: String,
    /// The daemon's process.
    pub pid: u32,
    /// Since it started, in milliseconds.
    pub uptime_msec: u64,
    /// The kernel's release.
    pub kernel: String,
}

/// `GET health` and `/readyz`; the latter with status 503 where it is not ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Every check passes.
    pub ready: bool,
    /// Each check, in the order in which they pass at start.
    pub checks: Vec<Check>,
}

impl Health {
    /// Ready where every check passes.
    pub fn of(checks: Vec<Check>) -> Self {
        Self { ready: checks.iter().all(|check| check.ok), checks }
    }
}

/// A condition of being ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// Its name: `config`, `kernel`, `peers`, `end-of-rib`, `feed`.
    pub name: String,
    /// It passes.
    pub ok: bool,
    /// What was found, or what it waits for.
    pub text: String,
}

/// The body of `PUT` or `POST log-level`, and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogLevel {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,evpn_engine=debug`.
    pub level: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_that_every_check_passes() {
        let check = |ok| Check { name: "kernel".into(), ok, text: String::new() };
        assert!(Health::of(vec![check(true), check(true)]).ready);
        assert!(!Health::of(vec![check(true), check(false)]).ready);
    }
}
