//! The battery, the level, and orders about it.

use super::{count, msec};
use crate::api::backend::{ApiError, Caller};
use evpn_api::energy::{
    Announced, Blocked, DrainState, Energy, Level, Override, OverrideRequest, PrefixDrain, Reading,
    Site, Threshold, Verb,
};
use evpn_energy::{Explanation, Guard, OverrideMode, OverrideTerms, Reason};
use evpn_engine::view::View;
use evpn_engine::view::energy as seen;
use evpn_engine::view::energy::Drain;

/// The feed of a site whose battery only people read.
const MANUAL: &str = "manual";
/// Between who gave an order and why, in what the engine keeps of it. No user's name has a colon.
const SEPARATOR: &str = ": ";

pub(super) const fn level(level: evpn_energy::Level) -> Level {
    match level {
        evpn_energy::Level::Normal => Level::Normal,
        evpn_energy::Level::PreferLess => Level::PreferLess,
        evpn_energy::Level::Avoid => Level::Avoid,
        evpn_energy::Level::Drained => Level::Drained,
    }
}

pub(super) fn energy(view: View<'_>, feed: &str) -> Energy {
    let Some(energy) = view.energy() else {
        return Energy { enabled: false, dry_run: false, sites: Vec::new() };
    };
    let explanation = &energy.explanation;
    let ordered = explanation.override_.is_some();
    let enabled = feed != MANUAL || ordered || explanation.level != evpn_energy::Level::Normal;
    let mut site = site(&energy, feed);
    // Whatever routes say then is not because of energy.
    site.announced = site.announced.filter(|_| enabled);
    Energy { enabled, dry_run: energy.settings.policy.dry_run, sites: vec![site] }
}

fn site(energy: &seen::Energy<'_>, feed: &str) -> Site {
    let explanation = &energy.explanation;
    let thresholds = [explanation.falls, explanation.rises].into_iter().flatten();
    let next = thresholds
        .map(|next| Threshold { level: level(next.level), soc_permille: next.at.get() })
        .collect();
    let manual = explanation.override_.as_ref().map(|order| {
        let (who, reason) = told_apart(&order.reason);
        Override {
            verb: match order.mode {
                OverrideMode::Drain => Verb::Drain,
                OverrideMode::Hold => Verb::Hold,
            },
            who,
            reason,
            expires_in_sec: order.seconds_remaining,
        }
    });
    Site {
        name: energy.settings.site.clone(),
        local: true,
        level: level(explanation.level),
        level_for_msec: msec(energy.level_age),
        reason: explanation.reasons.first().map(|r| reason(r, feed)).unwrap_or_default(),
        reading: reading(energy, feed),
        feed_error: energy.feed_error.map(|(_, error)| error.to_owned()),
        rejected_readings: energy.refused,
        last_rejected: energy.last_refused.map(|refused| match energy.feed_error {
            Some((_, error)) if refused.reading.is_none() => error.to_owned(),
            _ => refused.refusal.to_string(),
        }),
        next,
        dwell_remaining_msec: explanation.dwell_remaining_seconds.saturating_mul(1000),
        blocked: blocked(explanation, feed),
        manual,
        announced: announced(energy),
        prefixes: energy.prefixes.iter().filter_map(prefix).collect(),
        transitions: energy.transitions,
    }
}

/// A reason in words. A battery that only people read has no feed that could be silent.
fn reason(reason: &Reason, feed: &str) -> String {
    match reason {
        Reason::NoReadingYet | Reason::StaleKept { .. } if feed == MANUAL => {
            "there is no feed; the level is kept".to_owned()
        }
        Reason::StaleEased { .. } if feed == MANUAL => {
            "there is no feed; the level eases step by step".to_owned()
        }
        reason => reason.to_string(),
    }
}

fn reading(energy: &seen::Energy<'_>, feed: &str) -> Option<Reading> {
    let reading = energy.explanation.reading?;
    Some(Reading {
        feed: feed.to_owned(),
        age_msec: msec(energy.reading_age.unwrap_or_default()),
        stale: energy.is_stale,
        soc_permille: Some(reading.soc.get()),
        pv_watts: reading.pv_watts.map(i64::from),
        load_watts: reading.load_watts.map(i64::from),
        low_battery: reading.alarm != evpn_energy::Alarm::None,
    })
}

/// The guard that holds the level. An operator's hold is shown as the order that it is.
fn blocked(explanation: &Explanation, feed: &str) -> Option<Blocked> {
    let guard = explanation.blocked_by.filter(|guard| *guard != Guard::Override)?;
    let found = explanation.reasons.iter().find(|reason| match guard {
        Guard::Confirm => matches!(reason, Reason::Confirming { .. }),
        Guard::Dwell => matches!(reason, Reason::Dwelling { .. }),
        Guard::ChangesPerDay => matches!(reason, Reason::ChangesUsedUp { .. }),
        Guard::StaleHold => matches!(reason, Reason::StaleKept { .. }),
        Guard::Override => false,
    });
    let wanted = match found {
        Some(Reason::Confirming { level, .. }) => *level,
        _ => explanation.level.better()?,
    };
    Some(Blocked {
        wanted: level(wanted),
        guard: guard.to_string(),
        text: found.or(explanation.reasons.first()).map(|r| reason(r, feed)).unwrap_or_default(),
    })
}

/// What is announced: the levers of the prefix that is furthest. None without prefixes.
fn announced(energy: &seen::Energy<'_>) -> Option<Announced> {
    let lever = energy.prefixes.iter().map(|p| p.says.lever).max_by_key(|l| l.graceful_shutdown)?;
    let percent = lever.bandwidth.permille().div_ceil(10);
    Some(Announced {
        link_bandwidth_percent: u8::try_from(percent).unwrap_or(100),
        loc_prf: lever.local_pref,
        graceful_shutdown: lever.graceful_shutdown,
        df_preference: None,
        routes: count(energy.prefixes.len()),
    })
}

fn prefix(prefix: &seen::Prefix<'_>) -> Option<PrefixDrain> {
    let (state, remaining) = match prefix.drain {
        Drain::No => return None,
        Drain::Draining(left) => (DrainState::Draining, left),
        Drain::Drained => (DrainState::Drained, std::time::Duration::ZERO),
    };
    Some(PrefixDrain {
        vrf: prefix.vrf.to_owned(),
        prefix: prefix.prefix.to_string(),
        state,
        drain_time_sec: prefix.drain_time.as_secs(),
        remaining_msec: msec(remaining),
        reason: None,
    })
}

/// The order as the engine takes it: who gave it stands before why, so that it survives a restart.
pub(super) fn order(request: &OverrideRequest, caller: &Caller) -> evpn_energy::OverrideRequest {
    let reason = request.reason.as_deref().unwrap_or_default().trim();
    let terms = OverrideTerms {
        seconds: request.for_seconds.unwrap_or_default(),
        reason: format!("{caller}{SEPARATOR}{reason}"),
    };
    match request.verb {
        Verb::Drain => evpn_energy::OverrideRequest::Drain(terms),
        Verb::Hold => evpn_energy::OverrideRequest::Hold(terms),
        Verb::Auto => evpn_energy::OverrideRequest::Auto,
    }
}

fn told_apart(kept: &str) -> (String, String) {
    match kept.split_once(SEPARATOR) {
        Some((who, reason)) => (who.to_owned(), reason.to_owned()),
        None => ("unknown".to_owned(), kept.to_owned()),
    }
}

/// Whether an order is for this site.
pub(super) fn is_here(view: View<'_>, site: Option<&str>) -> Result<(), ApiError> {
    let ours = view.settings().energy.as_ref().map(|energy| energy.site.as_str());
    match site {
        Some(named) if Some(named) != ours => {
            let ours = ours.unwrap_or("without a name");
            Err(ApiError::not_found(format!("this is site {ours}, not {named}"))
                .remedy(format!("give the order at a switch of site {named}")))
        }
        _ => Ok(()),
    }
}
