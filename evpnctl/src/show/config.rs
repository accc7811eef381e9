//! `config show` and `config reload`.
//!
//! **Every value is followed by where it came from.**

use super::Lines;
use crate::text::{WIDTH, duration};
use evpn_api::config::{EffectiveConfig, Reloaded};

/// Where origins begin, if the value leaves room.
const ORIGIN_COLUMN: usize = 44;

/// `config show --effective`.
pub(crate) fn effective(config: &EffectiveConfig) -> String {
    let mut lines = Lines::default();
    let ago = duration(config.loaded_ago_msec);
    lines.add(0, &format!("# in force for {ago}, from {}", config.files.join(" ")));
    for value in &config.values {
        let text = format!("{} = {}", value.key, value.value);
        let one_line = format!("{text:<ORIGIN_COLUMN$} # {}", value.origin);
        if one_line.chars().count() <= WIDTH {
            lines.block(&format!("{one_line}\n"));
        } else {
            match text.chars().count() <= WIDTH {
                true => lines.block(&format!("{text}\n")),
                false => lines.add(0, &text),
            }
            lines.extend(crate::text::hang("    # ", 6, &value.origin));
        }
    }
    lines.into_text()
}

/// `config reload`.
pub(crate) fn reloaded(reloaded: &Reloaded) -> String {
    let mut lines = Lines::default();
    if reloaded.changes.is_empty() {
        lines.add(0, "nothing has changed");
    }
    for change in &reloaded.changes {
        lines.add(0, &format!("{} ({})", change.text, change.effect));
    }
    lines.into_text()
}
