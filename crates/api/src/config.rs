//! `config/effective` and `config/reload`.
//!
//! **Every value of the effective configuration tells where it came from**, and a reload either
//! takes all of a new configuration or none of it.

use serde::{Deserialize, Serialize};

/// `GET config/effective`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EffectiveConfig {
    /// Files it was read from, in order.
    pub files: Vec<String>,
    /// Since it is in force, in milliseconds.
    pub loaded_ago_msec: u64,
    /// Every value, in the order of the reference.
    pub values: Vec<ConfigValue>,
}

/// A value of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigValue {
    /// Its key, e.g. `neighbor[10.0.0.2].hold`.
    pub key: String,
    /// The value in TOML's notation. Secrets are replaced by `"***"`.
    pub value: String,
    /// Where it came from: `evpnd.toml:12`, `default`, `derived: address of lo`.
    pub origin: String,
}

/// `POST config/reload`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reloaded {
    /// What changed, in the order of the reference; empty where nothing did.
    pub changes: Vec<ConfigChange>,
}

/// A change of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigChange {
    /// What changed, in one sentence: `neighbor 10.0.0.2: hold 90s -> 30s`.
    pub text: String,
    /// What that does: `none`, `resets the session with 10.0.0.2`, `needs a restart`.
    pub effect: String,
}
