//! The daemon itself: its version and its configuration.

use super::{ConfigSource, msec};
use crate::api::backend::{Answer, ApiError};
use evpn_api::config::{ConfigChange, ConfigValue, EffectiveConfig, Reloaded};
use evpn_api::system::Version;
use evpn_config::Effect;
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

/// What only a restart takes is no mistake in the files.
fn remedy(problems: &[String]) -> &'static str {
    let effect = format!("({})", Effect::Restart.as_str());
    if problems.iter().all(|problem| problem.ends_with(&effect)) {
        "systemctl restart evpnd takes it"
    } else {
        "mend the files, then evpnctl config reload"
    }
}

pub(super) fn reloaded(outcome: super::sources::Reload) -> Answer<Reloaded> {
    let changes = outcome.map_err(|problems| {
        let count = problems.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        ApiError::unprocessable(format!("the configuration has {count} {noun}; nothing changed"))
            .remedy(remedy(&problems))
            .details(problems)
    })?;
    let change = |(text, effect): (String, String)| {
        // The effect has a place of its own.
        let text = text.strip_suffix(&format!(" ({effect})")).map(str::to_owned).unwrap_or(text);
        ConfigChange { text, effect }
    };
    Ok(Reloaded { changes: changes.into_iter().map(change).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_a_restart_takes_is_no_mistake_in_the_files() {
        let of_restart = "router.as: 65001 -> 65002 (needs a restart)".to_owned();
        let refused = |problems: &[String]| {
            let answer = reloaded(Err(problems.to_vec()));
            format!("{:?}", answer.unwrap_err())
        };
        assert!(refused(std::slice::from_ref(&of_restart)).contains("systemctl restart evpnd"));
        let both = [of_restart, "evpnd.toml:3: unknown key".to_owned()];
        assert!(refused(&both).contains("mend the files"));
    }
}
