//! Energy, configuration and the daemon itself.

use super::strings;
use crate::config::{ConfigChange, ConfigValue, EffectiveConfig, Reloaded};
use crate::energy::{
    Announced, Blocked, DrainState, Energy, Level, Override, PrefixDrain, Reading, Site, Threshold,
    Verb,
};
use crate::system::{Check, Health, LogLevel, Version};

/// A site that drains on an operator's order, and another site in the sun.
pub fn energy() -> Energy {
    let prefix = |prefix: &str, state, remaining_msec, reason: Option<&str>| PrefixDrain {
        vrf: "red".into(),
        prefix: prefix.into(),
        state,
        drain_time_sec: 120,
        remaining_msec,
        reason: reason.map(str::to_owned),
    };
    let barn = Site {
        name: "barn".into(),
        local: true,
        level: Level::Avoid,
        level_for_msec: 754_000,
        reason: "state of charge 31.5 % is below 35 %".into(),
        reading: Some(Reading {
            feed: "ups".into(),
            age_msec: 8_000,
            stale: false,
            soc_permille: Some(315),
            pv_watts: Some(42),
            load_watts: Some(310),
            low_battery: false,
        }),
        feed_error: None,
        rejected_readings: 2,
        last_rejected: Some("state of charge rose by 40 % in 10 s".into()),
        next: vec![
            Threshold { level: Level::Drained, soc_permille: 200 },
            Threshold { level: Level::PreferLess, soc_permille: 420 },
        ],
        dwell_remaining_msec: 146_000,
        blocked: Some(Blocked {
            wanted: Level::Drained,
            guard: "sole-path".into(),
            text: "10.1.7.0/24 has no other path".into(),
        }),
        manual: Some(Override {
            verb: Verb::Drain,
            who: "ana (uid 1000)".into(),
            reason: "battery exchange".into(),
            expires_in_sec: 6_900,
        }),
        announced: Some(Announced {
            link_bandwidth_percent: 1,
            loc_prf: Some(50),
            graceful_shutdown: true,
            df_preference: Some(1),
            routes: 412,
        }),
        prefixes: vec![
            prefix("10.1.0.0/24", DrainState::Draining, 61_000, None),
            prefix("10.1.1.0/24", DrainState::Drained, 0, None),
            prefix("10.1.7.0/24", DrainState::HeldBack, 0, Some("no other path to it")),
        ],
        transitions: 3,
    };
    let mill = Site {
        name: "mill".into(),
        local: false,
        level: Level::Normal,
        level_for_msec: 90_000_000,
        reason: "state of charge 96 % is above 60 %".into(),
        reading: None,
        feed_error: None,
        rejected_readings: 0,
        last_rejected: None,
        next: vec![],
        dwell_remaining_msec: 0,
        blocked: None,
        manual: None,
        announced: None,
        prefixes: vec![],
        transitions: 0,
    };
    Energy { enabled: true, dry_run: true, sites: vec![barn, mill] }
}

/// A switch on the mains.
pub fn energy_off() -> Energy {
    Energy { enabled: false, dry_run: false, sites: vec![] }
}

/// A daemon.
pub fn version() -> Version {
    Version {
        version: "0.1.0".into(),
        api_version: "v1".into(),
        hostname: "leaf1".into(),
        pid: 4_711,
        uptime_msec: 93_784_000,
        kernel: "6.18.0".into(),
    }
}

fn check(name: &str, ok: bool, text: &str) -> Check {
    Check { name: name.into(), ok, text: text.into() }
}

/// Every check passes.
pub fn health_ready() -> Health {
    Health::of(vec![
        check("config", true, "loaded"),
        check("kernel", true, "tables read, mode steady"),
        check("peers", true, "2 of 2 established"),
    ])
}

/// A daemon that has just started.
pub fn health_waiting() -> Health {
    Health::of(vec![
        check("config", true, "loaded"),
        check("kernel", true, "tables read, mode grow"),
        check("peers", false, "1 of 2 established; 10.0.0.14: connection refused"),
        check("end-of-rib", false, "waiting for spine1"),
    ])
}

/// A configuration.
pub fn effective_config() -> EffectiveConfig {
    let value = |key: &str, value: &str, origin: &str| ConfigValue {
        key: key.into(),
        value: value.into(),
        origin: origin.into(),
    };
    EffectiveConfig {
        files: strings(["/etc/evpnd/evpnd.toml", "/etc/evpnd/conf.d/10-spines.toml"]),
        loaded_ago_msec: 93_780_000,
        values: vec![
            value("router.as", "65000", "evpnd.toml:2"),
            value("router.id", "\"10.0.0.1\"", "derived: address of lo"),
            value("neighbor[10.0.0.2].hold", "\"90s\"", "default"),
            value("neighbor[10.0.0.2].password", "\"***\"", "conf.d/10-spines.toml:7"),
            value(
                "energy.thresholds",
                "{ prefer-less = 60, avoid = 35, drained = 20, recover-by = 7, low-battery = true }",
                "evpnd.toml:31",
            ),
        ],
    }
}

/// A reload that changed two things.
pub fn reloaded() -> Reloaded {
    let change =
        |text: &str, effect: &str| ConfigChange { text: text.into(), effect: effect.into() };
    Reloaded {
        changes: vec![
            change("neighbor 10.0.0.2: hold 90s -> 30s", "resets the session with 10.0.0.2"),
            change("log.level: info -> debug", "none"),
        ],
    }
}

/// A level.
pub fn log_level() -> LogLevel {
    LogLevel { level: "info,evpn_engine=debug".into() }
}
