//! (a): the battery of site A runs empty, nothing is done about it, and the site goes dark.
//!
//! It is the control of (b): **the same charges, the same load, the same cut**.

use super::{FALL, SETTLED, Story, count, level};
use crate::demo::load::tally::Kind;
use crate::demo::network::Trouble;
use crate::demo::screen::{percent, thousands};
use serde::Serialize;
use std::time::Duration;

/// How long the site stays dark.
const DARK: Duration = Duration::from_secs(2);
/// How long the network may take to be whole again.
const WHOLE_WITHIN: Duration = Duration::from_secs(40);
/// The share of site A, in thousandths, from which it takes its part again.
const WHOLE_FROM: u64 = 400;

#[derive(Serialize)]
struct Dark {
    part: char,
    requests: u64,
    lost: u64,
    broken: usize,
}

/// Tells (a), and leaves the network whole.
///
/// # Errors
/// What keeps the story from going on.
pub(super) fn tell(story: &mut Story<'_>) -> Result<(), Trouble> {
    story
        .screen
        .explain("\n(a) Without policy: site A's battery is read, and nothing is done about it");
    level::head(story);
    story.doing("(a) load");
    story.start_load()?;
    story.pause(super::WARM_UP)?;
    level::show(story, 'a', "no policy")?;
    story.doing("(a) the battery runs empty");
    story.battery.discharge(true);
    for charges in FALL {
        story.charge(charges)?;
    }
    level::show(story, 'a', "no policy")?;
    let before = story.report().requests();
    story.doing("(a) site A is dark");
    story.lab.cut_uplink()?;
    story.pause(DARK + SETTLED)?;
    let lost = story.report().requests() - before;
    let broken = story.broken();
    let dark = Dark { part: 'a', requests: lost.sent, lost: lost.lost, broken: broken.len() };
    let text = format!(
        "  empty, uplink cut: {} of {} requests lost, {} sessions broken ({} busy, {} pausing, {} endless)",
        thousands(lost.lost),
        thousands(lost.sent),
        broken.len(),
        count(&broken, Kind::Busy),
        count(&broken, Kind::Pausing),
        count(&broken, Kind::Endless)
    );
    story.screen.say("dark", &dark, &text);
    // The same counts as in (b), where they have to be zero.
    let ended = broken.len() - count(&broken, Kind::Endless);
    let figure = format!("{} and {}", thousands(lost.lost), broken.len());
    let ok = lost.lost > 0 || ended > 0;
    story.claim('a', "control: requests lost and sessions broken", figure, "host-c", ok);
    whole_again(story)
}

/// The sun rises: charge and link return, and from now on evpnd acts on the battery.
fn whole_again(story: &mut Story<'_>) -> Result<(), Trouble> {
    story.doing("site A comes back for part (b)");
    story.battery.discharge(false);
    story.charge(&[100])?;
    story.lab.restore_uplink()?;
    story.set_policy(true)?;
    story.wait("site A to take its part again", WHOLE_WITHIN, |story| {
        let last = story.last_second().map(|w| (w.v4.share_of_a(), w.v6.share_of_a()));
        Ok(matches!(last, Some((Some(v4), Some(v6))) if v4.min(v6) >= WHOLE_FROM))
    })?;
    let share = story.last_second().and_then(|w| (w.v4 + w.v6).share_of_a());
    let share = share.map_or_else(String::new, percent);
    story.screen.explain(&format!("  charge and link restored: site A answers {share} again"));
    Ok(())
}
