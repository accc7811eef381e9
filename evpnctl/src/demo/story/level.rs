//! One level's chain of evidence: charge, link bandwidth, weights, share.
//!
//! **The share that is asked for is computed from the captured bandwidths of both sites**, and
//! compared with what the hosts counted for each address family.

use super::{SERVICE, SITE_A, SITE_B, Story, Window};
use crate::demo::network::Trouble;
use crate::demo::screen::percent;
use crate::demo::weights::Source;
use serde::Serialize;
use std::net::IpAddr;
use std::time::Duration;

/// How far a counted share may be from the one that is asked for, in thousandths.
pub(super) const TOLERANCE: u64 = 80;
/// How long a level is counted.
const COUNTED_FOR: Duration = Duration::from_secs(3);

const BY_NETLINK: &str = "  * read by netlink: this `ip` does not show nexthops, or of weights above 256 the lower octet";

/// The evidence.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    part: char,
    level: String,
    charge_percent: String,
    bandwidth_octets_per_second: [Option<f32>; 2],
    graceful_shutdown: bool,
    weights: [Option<u32>; 2],
    weights_by: Source,
    asked_permille: Option<u64>,
    counted_permille: [Option<u64>; 2],
    requests: u64,
    lost: u64,
}

/// The table's head; people see it once a part.
pub(super) fn head(story: &Story<'_>) {
    let charge = story.battery.source();
    story.screen.explain(&format!(
        "  {:<12}{:>7}  {:>17}  {:>11}  {:>8}  {:>8}{:>8}  {:>5}",
        "level", "charge", "bandwidth, MB/s", "weights ", "asked", "IPv4", "IPv6", "lost"
    ));
    story.screen.explain(&format!(
        "  {:<12}{charge:>7}  {:>17}  {:>11}  {:>8}  {:>16}  {:>5}",
        "", "capture", "ip nexthop ", "of A", "of A, counted", "so far"
    ));
}

/// Counts for some seconds and shows a level's evidence.
///
/// # Errors
/// Of whoever is asked.
pub(super) fn show(story: &mut Story<'_>, part: char, level: &str) -> Result<Row, Trouble> {
    let window = story.measure(COUNTED_FOR)?;
    show_window(story, part, level, window)
}

/// Shows a level's evidence with what was counted already.
///
/// # Errors
/// Of whoever is asked.
pub(super) fn show_window(
    story: &mut Story<'_>,
    part: char,
    level: &str,
    window: Window,
) -> Result<Row, Trouble> {
    let [v4, _] = SERVICE;
    let last = |site: IpAddr| story.captured(site, v4).map(|(_, seen)| seen);
    let [a, b] = [last(SITE_A), last(SITE_B)];
    let graceful_shutdown = a.as_ref().is_some_and(|seen| seen.graceful_shutdown);
    let bandwidth = [a, b].map(|seen| seen.and_then(|seen| seen.bandwidth));
    let (weights, weights_by) = story.weights_shown()?;
    let weight = |site| weights.get(&site).copied();
    let row = Row {
        part,
        level: level.to_owned(),
        charge_percent: story.battery.read(story.lab)?,
        bandwidth_octets_per_second: bandwidth,
        graceful_shutdown,
        weights: [weight(SITE_A), weight(SITE_B)],
        weights_by,
        asked_permille: if graceful_shutdown { Some(0) } else { asked(bandwidth) },
        counted_permille: [window.v4.share_of_a(), window.v6.share_of_a()],
        requests: window.v4.sent + window.v6.sent,
        lost: story.report().requests().lost,
    };
    story.screen.say("level", &row, &row.text());
    if weights_by == Source::Netlink {
        story.screen.explain(BY_NETLINK);
    }
    Ok(row)
}

/// Site A's share by bandwidth, in thousandths.
fn asked([a, b]: [Option<f32>; 2]) -> Option<u64> {
    let (a, b) = (f64::from(a?), f64::from(b?));
    // Both are finite and positive on the wire; the share is 0 to 1000.
    (a + b > 0.0).then(|| (1000.0 * a / (a + b)).round() as u64)
}

impl Row {
    /// The largest distance between asked and counted, in thousandths.
    pub(super) fn distance(&self) -> Option<u64> {
        let asked = self.asked_permille?;
        let [v4, v6] = self.counted_permille;
        Some(v4?.abs_diff(asked).max(v6?.abs_diff(asked)))
    }

    pub(super) fn level(&self) -> &str {
        &self.level
    }

    /// The counted shares, for the verdict.
    pub(super) fn counted(&self) -> String {
        let [v4, v6] = self.counted_permille.map(dash);
        format!("{v4} and {v6}")
    }

    pub(super) fn asked(&self) -> String {
        dash(self.asked_permille)
    }

    /// The larger of both counted shares.
    pub(super) fn most(&self) -> Option<u64> {
        let [v4, v6] = self.counted_permille;
        Some(v4?.max(v6?))
    }

    fn text(&self) -> String {
        let mega = |octets: Option<f32>| {
            octets.map_or_else(|| "-".to_owned(), |o| format!("{}", f64::from(o) / 1e6))
        };
        let [a, b] = self.bandwidth_octets_per_second.map(mega);
        let shut = if self.graceful_shutdown { "GSHUT " } else { "" };
        let weight = |w: Option<u32>| w.map_or_else(|| "-".to_owned(), |w| w.to_string());
        let star = if self.weights_by == Source::Netlink { "*" } else { " " };
        let [wa, wb] = self.weights.map(weight);
        let [v4, v6] = self.counted_permille.map(dash);
        format!(
            "  {:<12}{:>7}  {:>17}  {:>11}  {:>8}  {v4:>8}{v6:>8}  {:>5}",
            self.level,
            format!("{} %", self.charge_percent),
            format!("{shut}{a} : {b}"),
            format!("{wa} : {wb}{star}"),
            dash(self.asked_permille),
            self.lost
        )
    }
}

fn dash(permille: Option<u64>) -> String {
    permille.map_or_else(|| "-".to_owned(), percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_asked_for_is_that_of_the_bandwidths() {
        assert_eq!(asked([Some(1.25e9), Some(1.25e9)]), Some(500));
        assert_eq!(asked([Some(6.25e8), Some(1.25e9)]), Some(333));
        assert_eq!(asked([Some(1.25e6), Some(1.25e9)]), Some(1));
        assert_eq!(asked([None, Some(1.25e9)]), None);
    }
}
