//! `show consistency`.
//!
//! **The first word of the answer is the answer.**

use super::Lines;
use crate::table::{Column, Table};
use crate::text::{counted, duration};
use evpn_api::consistency::Consistency;

/// `show consistency`.
pub(crate) fn consistency(found: &Consistency) -> String {
    let mut lines = Lines::default();
    let verdict = match found.ok {
        true => "consistent: the kernel holds what the routes say".to_owned(),
        false => format!("DIFFERENT: {}", counted(found.total_differences, "difference")),
    };
    lines.add(0, &verdict);
    let ago = duration(found.checked_ago_msec);
    lines.add(0, &format!("kernel read {ago} ago, dataplane mode {}", found.mode));
    lines.gap();
    let mut table =
        Table::new([Column::Word("Kind"), Column::Number("Intended"), Column::Number("Kernel")]);
    for count in &found.objects {
        table.row([count.kind.clone(), count.intended.to_string(), count.kernel.to_string()]);
    }
    lines.block(&table.render());
    if found.differences.is_empty() {
        return lines.into_text();
    }
    lines.gap();
    for difference in &found.differences {
        let (what, kind, object) = (difference.what, &difference.kind, &difference.object);
        lines.add(0, &format!("{what} {kind} {object}"));
        let sides = [("intended", &difference.intended), ("kernel", &difference.kernel)];
        for (side, value) in sides {
            if let Some(value) = value {
                lines.item(&format!("    {side}"), 14, value);
            }
        }
        if let Some(reason) = &difference.reason {
            lines.add(4, reason);
        }
    }
    let shown = u64::try_from(found.differences.len()).unwrap_or(u64::MAX);
    if let more @ 1.. = found.total_differences.saturating_sub(shown) {
        lines.gap();
        lines.add(0, &format!("{more} more, not shown"));
    }
    lines.into_text()
}
