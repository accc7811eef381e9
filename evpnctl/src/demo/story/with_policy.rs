//! (b) and (c): the same again with evpnd's policy, and the way back.
//!
//! **The load is started once and counted through both parts**: what is lost or broken anywhere
//! between the first level and the last counts.

use super::level::{self, Row, TOLERANCE};
use super::{DRAIN_TIME, ENDLESS, FALL, RISE, SERVICE, SETTLED, SITE_A, Story, Window, count};
use crate::demo::clock;
use crate::demo::load::tally::{Broken, Kind, Requests};
use crate::demo::network::Trouble;
use crate::demo::screen::thousands;
use serde::Serialize;
use std::time::Duration;

/// How long a level may take to be announced: the feed, the confirmation, the dwell.
const ANNOUNCED_WITHIN: Duration = Duration::from_secs(20);
/// How long buckets take to follow a change of weight: those that are idle move after an idle time.
const MOVED_AFTER: Duration = Duration::from_millis(4500);
/// The last part of the drain-time, in which site A's share is counted.
const END_OF_DRAIN: Duration = Duration::from_secs(2);
/// How far the moment at which the path goes may be from drain-time: a busy machine looks late.
const DRAIN_TIME_OFF_BY: Duration = Duration::from_secs(1);
/// How long the share is counted when there is no path any more.
const NO_PATH_FOR: Duration = Duration::from_secs(3);
/// How long the site stays dark.
const DARK: Duration = Duration::from_secs(2);
/// The share of new flows that the end of a drain may still have, in thousandths.
const DRAINED_MOST: u64 = 10;
/// Answers that a second must bring, in thousandths of the requests that are asked for.
const RATE_LEAST: u64 = 990;

/// Tells (b) and (c).
///
/// # Errors
/// What keeps the story from going on.
pub(super) fn tell(story: &mut Story<'_>) -> Result<(), Trouble> {
    story
        .screen
        .explain("\n(b) With evpnd's policy: the same battery, the same load, the same cut");
    level::head(story);
    story.doing("(b) load");
    story.start_load()?;
    story.pause(super::WARM_UP)?;
    let begun = story.report();
    let row = level::show(story, 'b', "normal")?;
    claim_share(story, 'b', &row);
    story.doing("(b) the battery runs empty");
    story.battery.discharge(true);
    let [to_prefer_less, to_avoid, to_drained, to_empty] = FALL;
    level_at(story, 'b', to_prefer_less, "prefer-less")?;
    level_at(story, 'b', to_avoid, "avoid")?;
    drains(story, to_drained)?;
    goes_dark(story, to_empty)?;
    claim_nothing_lost(story, 'b', Requests::default(), &[]);
    let (lost_before, broken_before) = (story.report().requests(), story.broken());
    returns(story)?;
    claim_nothing_lost(story, 'c', lost_before, &broken_before);
    claim_rate(story, begun.at_ms, begun.requests());
    Ok(())
}

/// Brings the charge down or up and waits until the capture shows another bandwidth for both
/// families.
fn announced(story: &mut Story<'_>, charges: &[u8]) -> Result<Duration, Trouble> {
    let bandwidth = |story: &Story<'_>| {
        SERVICE.map(|service| story.captured(SITE_A, service).and_then(|(_, seen)| seen.bandwidth))
    };
    let before = bandwidth(story);
    story.charge(charges)?;
    story.wait("another link bandwidth of site A in the capture", ANNOUNCED_WITHIN, |story| {
        Ok(bandwidth(story).iter().zip(&before).all(|(now, before)| now != before))
    })?;
    let [v4, _] = SERVICE;
    Ok(story.captured(SITE_A, v4).map_or_else(clock::now, |(at, _)| at))
}

fn level_at(story: &mut Story<'_>, part: char, charges: &[u8], name: &str) -> Result<(), Trouble> {
    announced(story, charges)?;
    story.pause(MOVED_AFTER)?;
    let row = level::show(story, part, name)?;
    claim_share(story, part, &row);
    Ok(())
}

/// Smallest weight, drain-time, then no path.
fn drains(story: &mut Story<'_>, charges: &[u8]) -> Result<(), Trouble> {
    let since = announced(story, charges)?;
    story.doing("(b) site A drains");
    let at_a = story.report().of(Kind::Endless).at_a;
    let counted_from = since + DRAIN_TIME - END_OF_DRAIN;
    story.pause(counted_from.saturating_sub(clock::now()))?;
    // Not to its very end: reports are a fifth of a second apart.
    let window = story.measure(END_OF_DRAIN * 4 / 5)?;
    let row = level::show_window(story, 'b', "drained", window)?;
    let most = row.most();
    let figure = row.counted();
    let ok = most.is_some_and(|most| most <= DRAINED_MOST);
    story.claim('b', "by the end of drain-time at most 1 % at A", figure, "host-c", ok);
    let within = DRAIN_TIME + Duration::from_secs(5);
    story.wait("GRACEFUL_SHUTDOWN of site A in the capture", within, |story| {
        let shut =
            |service| story.captured(SITE_A, service).is_some_and(|(_, s)| s.graceful_shutdown);
        Ok(SERVICE.into_iter().all(shut))
    })?;
    let [v4, _] = SERVICE;
    let until = story.captured(SITE_A, v4).map_or(since, |(at, _)| at);
    let kept = until.saturating_sub(since);
    let figure = format!("{:.1} s", kept.as_secs_f64());
    let claim = format!("smallest weight for a drain-time of {} s", DRAIN_TIME.as_secs());
    story.claim('b', claim, figure, "capture", kept.abs_diff(DRAIN_TIME) <= DRAIN_TIME_OFF_BY);
    story.wait("site-c to have no path to site A", within, |story| {
        Ok(story.weights()?.iter().all(|w| !w.contains_key(&SITE_A) && !w.is_empty()))
    })?;
    no_path(story, at_a)
}

fn no_path(story: &mut Story<'_>, at_a: u64) -> Result<(), Trouble> {
    story.doing("(b) no path to site A");
    // Requests that were under way, and the reports of them.
    story.pause(Duration::from_millis(700))?;
    let before = story.served('A');
    let window = story.measure(NO_PATH_FOR)?;
    let arrived = story.served('A') - before;
    level::show_window(story, 'b', "no path", window)?;
    let answered = window.v4.a + window.v6.a;
    let figure = format!("{answered} and {arrived} of {}", thousands(sent(&window)));
    let ok = answered == 0 && arrived == 0;
    story.claim('b', "after drain-time no new flow at A", figure, "host-c, host-a", ok);
    list_endless(story, at_a);
    Ok(())
}

const fn sent(window: &Window) -> u64 {
    window.v4.sent + window.v6.sent
}

#[derive(Serialize)]
struct EndlessOnes {
    #[serde(rename = "atSiteA")]
    at_a: u64,
    broken: Vec<Broken>,
}

/// The sessions that no drain can keep.
fn list_endless(story: &mut Story<'_>, at_a: u64) {
    let mut broken = story.broken();
    broken.retain(|b| b.kind == Kind::Endless);
    let mut text = format!(
        "  of {ENDLESS} endless sessions {at_a} were at site A when it drained; broken when its path went:"
    );
    for one in &broken {
        let site = one.site.unwrap_or('-');
        text += &format!(
            "\n    endless, IPv{}, at site {site}, {} s old: {}",
            one.family,
            one.age_ms / 1000,
            one.why
        );
    }
    if broken.is_empty() {
        text += " none";
    }
    let ones = EndlessOnes { at_a, broken };
    story.screen.say("endless", &ones, &text);
    let count = u64::try_from(ones.broken.len()).unwrap_or(u64::MAX);
    let only_a = ones.broken.iter().all(|b| b.site == Some('A'));
    let figure = format!("{count} of {at_a} that were at A");
    let claim = "broken: only endless ones that A had";
    story.claim('b', claim, figure, "host-c", only_a && count <= at_a);
}

#[derive(Serialize)]
struct Cut {
    part: char,
    requests: u64,
    lost: u64,
    broken: usize,
}

fn goes_dark(story: &mut Story<'_>, charges: &[u8]) -> Result<(), Trouble> {
    story.charge(charges)?;
    let before = story.report().requests();
    let broken_before = story.broken().len();
    story.doing("(b) site A is dark");
    story.lab.cut_uplink()?;
    story.pause(DARK + SETTLED)?;
    let after = story.report().requests() - before;
    let broken = story.broken().len() - broken_before;
    let cut = Cut { part: 'b', requests: after.sent, lost: after.lost, broken };
    let text = format!(
        "  empty, uplink cut: {} of {} requests lost, {broken} sessions broken",
        thousands(after.lost),
        thousands(after.sent)
    );
    story.screen.say("dark", &cut, &text);
    Ok(())
}

/// (c): charge and link return, and so does the load.
fn returns(story: &mut Story<'_>) -> Result<(), Trouble> {
    story.screen.explain("\n(c) The sun rises: link and charge return, and so does the load");
    level::head(story);
    story.doing("(c) the battery fills");
    story.battery.discharge(false);
    story.lab.restore_uplink()?;
    let [to_avoid, to_prefer_less, to_normal] = RISE;
    level_at(story, 'c', to_avoid, "avoid")?;
    level_at(story, 'c', to_prefer_less, "prefer-less")?;
    level_at(story, 'c', to_normal, "normal")?;
    story.pause(SETTLED)
}

fn claim_share(story: &mut Story<'_>, part: char, row: &Row) {
    let claim = format!("share of A at {}: {} ± 8 points", row.level(), row.asked());
    let ok = row.distance().is_some_and(|distance| distance <= TOLERANCE);
    story.claim(part, claim, row.counted(), "host-c", ok);
}

/// Nothing lost, nothing broken but endless sessions, since these counts.
fn claim_nothing_lost(
    story: &mut Story<'_>,
    part: char,
    before: Requests,
    broken_before: &[Broken],
) {
    let requests = story.report().requests() - before;
    let unsent = story.report().unsent;
    let figure = format!("{} of {}", requests.lost, thousands(requests.sent));
    let ok = requests.lost == 0 && requests.odd == 0 && unsent == 0;
    story.claim(part, "no request lost", figure, "host-c", ok);
    let all = story.broken();
    let broken = all.get(broken_before.len()..).unwrap_or_default();
    let ended = |kind| story.report().of(kind).ended;
    let sessions = ended(Kind::Busy) + ended(Kind::Pausing);
    let (busy, pausing) = (count(broken, Kind::Busy), count(broken, Kind::Pausing));
    let endless = if part == 'b' { 0 } else { count(broken, Kind::Endless) };
    for one in broken.iter().filter(|b| part != 'b' || b.kind != Kind::Endless) {
        let text = format!("  broken: {one:?}");
        story.screen.say("broken", one, &text);
    }
    let figure = match part {
        'b' => format!("{} of {}", busy + pausing, thousands(sessions)),
        _ => format!("{} of {} and {ENDLESS}", busy + pausing + endless, thousands(sessions)),
    };
    let claim =
        if part == 'b' { "no session broken but endless ones" } else { "no session broken" };
    story.claim(part, claim, figure, "host-c", busy + pausing + endless == 0);
}

fn claim_rate(story: &mut Story<'_>, begun_ms: u64, begun: Requests) {
    let report = story.report();
    let seconds_thousandths = report.at_ms.saturating_sub(begun_ms).max(1);
    let answered = (report.requests() - begun).answered();
    let rate = answered * 1000 / seconds_thousandths;
    let claim = "answered requests a second, each a new flow";
    let ok = rate * 1000 >= super::REQUESTS_A_SECOND * RATE_LEAST;
    story.claim('c', claim, thousands(rate), "host-c", ok);
}
