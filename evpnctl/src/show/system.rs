//! `show version` and `health`.
//!
//! **What it waits for comes with the check that waits.**

use super::Lines;
use crate::table::{Column, Table};
use crate::text::duration;
use evpn_api::system::{Health, Version};

/// The longest finding that stands in its row; a longer one, whose end is the remedy, stands below
/// it in full.
const FINDING_ROOM: usize = 70;

/// `show version`.
pub(crate) fn version(version: &Version) -> String {
    let mut lines = Lines::default();
    lines.field("evpnd", &format!("{} on {}", version.version, version.hostname));
    lines.field("evpnctl", env!("CARGO_PKG_VERSION"));
    lines.field("API", &version.api_version);
    lines.field("Running for", &duration(version.uptime_msec));
    lines.field("Process", &version.pid.to_string());
    lines.field("Kernel", &version.kernel);
    lines.into_text()
}

/// `health`.
pub(crate) fn health(health: &Health) -> String {
    let mut lines = Lines::default();
    lines.add(0, if health.ready { "ready" } else { "not ready" });
    let mut table =
        Table::new([Column::Word("Check"), Column::Word("State"), Column::Text("Finding")]);
    for check in &health.checks {
        let verdict = if check.ok { "ok" } else { "waiting" };
        let fits = check.text.chars().count() <= FINDING_ROOM;
        let finding = if fits { check.text.clone() } else { String::new() };
        table.row([check.name.clone(), verdict.to_owned(), finding]);
        if !fits {
            table.note(&check.text);
        }
    }
    lines.block(&table.render());
    lines.into_text()
}
