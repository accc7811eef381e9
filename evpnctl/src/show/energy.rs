//! `show energy`.
//!
//! **It answers "why does this site carry what it carries" from top to bottom**: what was read,
//! what follows, what holds it back, who overrules it, and what others are told.

use super::Lines;
use crate::table::{Column, Table};
use crate::text::{counted, duration, permille, show_seconds};
use evpn_api::energy::{Announced, Energy, Level, Reading, Site, Verb};

/// `show energy`.
pub(crate) fn energy(energy: &Energy) -> String {
    let mut lines = Lines::default();
    if !energy.enabled {
        lines.add(0, "No energy feed is configured: this switch announces nothing about energy.");
        lines.remedy(0, "add an [energy] section to the configuration");
    }
    if energy.dry_run {
        lines.add(0, "Dry run: decisions are made and recorded; nothing is announced.");
        lines.gap();
    }
    for (index, site) in energy.sites.iter().enumerate() {
        if index > 0 {
            lines.gap();
        }
        add_site(&mut lines, site);
    }
    lines.into_text()
}

fn add_site(lines: &mut Lines, site: &Site) {
    let here = if site.local { " (this site)" } else { "" };
    lines.add(0, &format!("Site {}{here}", site.name));
    let held = duration(site.level_for_msec);
    lines.field("  Level", &format!("{} for {held}: {}", site.level, site.reason));
    match &site.reading {
        Some(read) => lines.field("  Reading", &reading(read)),
        None if site.local => lines.field("  Reading", "none yet"),
        None => {}
    }
    if let Some(error) = &site.feed_error {
        lines.field("  Feed", error);
    }
    if site.rejected_readings > 0 {
        let last = site.last_rejected.as_deref().unwrap_or("no reason kept");
        let count = site.rejected_readings;
        lines.field("  Rejected readings", &format!("{count}, the last because {last}"));
    }
    for next in &site.next {
        let side = if next.level > site.level { "below" } else { "above" };
        lines.field(
            "  Next level",
            &format!("{} {side} {}", next.level, permille(next.soc_permille)),
        );
    }
    if site.dwell_remaining_msec > 0 {
        let left = duration(site.dwell_remaining_msec);
        lines.field("  Dwell", &format!("no change for another {left}"));
    }
    if let Some(blocked) = &site.blocked {
        let (wanted, guard, text) = (blocked.wanted, &blocked.guard, &blocked.text);
        lines.field("  Held back", &format!("{wanted} is wanted; guard {guard}: {text}"));
    }
    if let Some(order) = &site.manual {
        let left = show_seconds(order.expires_in_sec);
        let text = format!("{} by {}, expires in {left}: {}", order.verb, order.who, order.reason);
        lines.field("  Override", &text);
        if order.verb != Verb::Auto {
            lines.remedy(20, &format!("evpnctl energy auto {}", site.name));
        }
    }
    if let Some(sent) = &site.announced {
        lines.field("  Announced", &announced(sent, site.level));
    }
    if !site.prefixes.is_empty() {
        lines.block(&prefixes(site));
    }
}

fn reading(reading: &Reading) -> String {
    let mut parts = Vec::new();
    if let Some(soc) = reading.soc_permille {
        parts.push(format!("battery {}", permille(soc)));
    }
    if let Some(sun) = reading.pv_watts {
        parts.push(format!("sun {sun} W"));
    }
    if let Some(load) = reading.load_watts {
        parts.push(format!("load {load} W"));
    }
    if reading.low_battery {
        parts.push("LOW BATTERY".to_owned());
    }
    let stale = if reading.stale { ", STALE: it no longer moves the level" } else { "" };
    let values = parts.join(", ");
    format!("{values}; {} old, from {}{stale}", duration(reading.age_msec), reading.feed)
}

fn announced(announced: &Announced, level: Level) -> String {
    let mut parts = vec![format!("link bandwidth {} %", announced.link_bandwidth_percent)];
    if let Some(preference) = announced.loc_prf {
        parts.push(format!("local preference {preference}"));
    }
    if announced.graceful_shutdown {
        parts.push("GRACEFUL_SHUTDOWN".to_owned());
    }
    if let Some(preference) = announced.df_preference {
        parts.push(format!("DF preference {preference}"));
    }
    let what = parts.join(", ");
    format!("{what}; on {}, because of level {level}", counted(announced.routes, "route"))
}

fn prefixes(site: &Site) -> String {
    let mut table = Table::new([
        Column::Word("  Prefix"),
        Column::Text("VRF"),
        Column::Word("State"),
        Column::Word("Remaining"),
        Column::Word("Drain time"),
        Column::Text("Reason"),
    ]);
    for prefix in &site.prefixes {
        let remaining = match prefix.remaining_msec {
            0 => "-".to_owned(),
            left => duration(left),
        };
        table.row([
            format!("    {}", prefix.prefix),
            prefix.vrf.clone(),
            prefix.state.to_string(),
            remaining,
            show_seconds(prefix.drain_time_sec),
            prefix.reason.clone().unwrap_or_default(),
        ]);
    }
    table.render()
}
