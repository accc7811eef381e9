//! The daemon itself: its version and its configuration.

use super::{ConfigSource, msec};
use crate::api::backend::{Answer, ApiError};
use evpn_api::config::{ConfigChange, ConfigValue, EffectiveConfig, Reloaded};
use evpn_api::system::Version;
use evpn_engine::Now;
use std::fs;
use std::time::Duration;

/// What runs here. The clock begins with the process.
pub(super) fn version(now: Now) -> Version {
    Version {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        api_version: "v1".to_owned(),
        hostname: kernel_text("hostname"),
        pid: std::process::id(),
        uptime_msec: msec(Duration::from_nanos(now.time.as_nanos())),
        kernel: kernel_text("osrelease"),
    }
}

/// A text of the kernel's; empty where /proc is not mounted.
fn kernel_text(name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
    text.trim().to_owned()
}

pub(super) fn effective_config(source: ConfigSource, now: Now) -> EffectiveConfig {
    let values = source.values.into_iter().map(|v| {
        let super::ConfigValue { key, value, origin } = v;
        ConfigValue { key, value, origin }
    });
    EffectiveConfig {
        files: source.files,
        loaded_ago_msec: msec(now.time.saturating_since(source.loaded_at)),
        values: values.collect(),
    }
}

pub(super) fn reloaded(outcome: super::sources::Reload) -> Answer<Reloaded> {
    let changes = outcome.map_err(|problems| {
        let count = problems.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        ApiError::unprocessable(format!("the configuration has {count} {noun}; nothing changed"))
            .remedy("mend the files, then evpnctl config reload")
            .details(problems)
    })?;
    let change = |(text, effect): (String, String)| {
        // The effect has a place of its own.
        let text = text.strip_suffix(&format!(" ({effect})")).map(str::to_owned).unwrap_or(text);
        ConfigChange { text, effect }
    };
    Ok(Reloaded { changes: changes.into_iter().map(change).collect() })
}
