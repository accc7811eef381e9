//! `why`.
//!
//! **It reads from the answer down to its reasons.**

use super::Lines;
use crate::text::or_dash;
use evpn_api::why::{Candidate, Fate, Why, WhyTable};

/// `why MAC|PREFIX`.
pub(crate) fn why(why: &Why) -> String {
    let mut lines = Lines::default();
    lines.add(0, &format!("{}: {}", why.subject, why.verdict));
    for table in &why.tables {
        lines.gap();
        add_table(&mut lines, table);
    }
    lines.into_text()
}

fn add_table(lines: &mut Lines, table: &WhyTable) {
    lines.add(0, &table.table);
    for candidate in &table.candidates {
        let from = match &candidate.peer_id {
            Some(peer) => format!("from {peer} via {}", or_dash(candidate.nexthop)),
            None => "local".to_owned(),
        };
        lines.add(2, &format!("{} {from}: {}", fate(candidate), candidate.reason));
        lines.add(6, &candidate.route);
    }
    if let Some(winner) = &table.winner {
        lines.add(2, &format!("decision: {winner}"));
    }
    let kernel = match (table.kernel_ok, table.kernel.is_empty()) {
        (true, true) => "kernel: holds nothing, as it should",
        (true, false) => "kernel: holds it, as it should",
        (false, true) => "kernel: DOES NOT hold it",
        (false, false) => "kernel: holds ANOTHER than it should",
    };
    lines.add(2, kernel);
    for object in &table.kernel {
        lines.add(6, object);
    }
    if !table.kernel_ok {
        lines.remedy(6, "evpnctl show consistency");
    }
    for contradiction in &table.contradictions {
        lines.add(2, &format!("BUT {}", contradiction.text));
        if let Some(remedy) = &contradiction.remedy {
            lines.remedy(6, remedy);
        }
    }
    for effect in &table.energy {
        lines.add(2, &format!("energy: {effect}"));
    }
}

const fn fate(candidate: &Candidate) -> &'static str {
    match candidate.fate {
        Fate::Best => "BEST",
        Fate::Multipath => "also used",
        Fate::Lost => "lost",
        Fate::Rejected => "rejected",
    }
}
