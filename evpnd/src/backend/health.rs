//! Whether the daemon is ready, check by check.
//!
//! **A check that does not pass says what it waits for.**

use super::DataplaneReport;
use super::consistency::mode;
use crate::peer_io::{ListenerState, lock};
use evpn_api::AddressFamily;
use evpn_api::system::{Check, Health};
use evpn_dataplane::object::Mode;
use evpn_engine::view::View;
use evpn_engine::view::neighbors::Neighbor;

/// What the engine knows of it.
#[derive(Debug)]
pub(super) struct Seen {
    mode: Mode,
    is_restarting: bool,
    enabled: usize,
    /// Neighbours that are not Established, each with why.
    down: Vec<String>,
    /// Neighbours that are, without a family that we offer or after one was given up.
    lacking: Vec<String>,
    /// Neighbours that have still to tell their routes.
    owing: Vec<String>,
    /// How the last reading stands: its age in seconds where it is fresh, or what is the matter.
    feed: Option<Result<u64, String>>,
}

pub(super) fn see(view: View<'_>) -> Seen {
    let (neighbors, now) = (view.neighbors(), view.now().time);
    let enabled: Vec<&Neighbor<'_>> = neighbors.iter().filter(|n| !n.settings.shutdown).collect();
    // A dynamic one that is away is nothing to wait for.
    let down = enabled.iter().filter(|n| !n.is_established() && n.dynamic.is_none());
    let lacking = enabled.iter().flat_map(|n| lacks(n));
    let owing = enabled.iter().filter(|n| n.owes_end_of_rib(now));
    Seen {
        mode: view.mode(),
        is_restarting: view.is_restarting(),
        enabled: enabled.len(),
        down: down.map(|n| why_down(view, n)).collect(),
        lacking: lacking.collect(),
        owing: owing.map(|n| n.id().to_string()).collect(),
        feed: view.energy().map(|energy| match (energy.reading_age, energy.feed_error) {
            (Some(age), _) if !energy.is_stale => Ok(age.as_secs()),
            (_, Some((_, error))) => Err(error.to_owned()),
            (Some(age), None) => Err(format!("the last reading is {} s old", age.as_secs())),
            (None, None) => Err("no reading yet".to_owned()),
        }),
    }
}

fn why_down(view: View<'_>, neighbor: &Neighbor<'_>) -> String {
    let (id, state) = (neighbor.id(), neighbor.session.state());
    match super::reset::last_reset(view, neighbor) {
        Some(reset) => format!("{id}: {}", reset.last_reset_due_to),
        None => format!("{id}: {state}"),
    }
}

/// Families that are not exchanged although the session stands, each lot with why.
fn lacks(neighbor: &Neighbor<'_>) -> impl Iterator<Item = String> {
    // Who does not know of route target constraints is told everything, and that is all.
    let missing = super::family::missing(neighbor).filter(|f| *f != AddressFamily::RtConstraint);
    let lots = [
        (missing.collect::<Vec<_>>(), "not negotiated"),
        (super::family::given_up(neighbor).collect(), "given up after an error"),
    ];
    let id = neighbor.id().clone();
    lots.into_iter().filter(|(families, _)| !families.is_empty()).map(move |(families, why)| {
        let names: Vec<String> = families.iter().map(ToString::to_string).collect();
        format!("{id}: {} {why}", names.join(", "))
    })
}

/// The checks, in the order in which they pass at start.
pub(super) fn health(
    seen: &Seen,
    feed: &str,
    report: Result<&DataplaneReport, &String>,
    listeners: &ListenerState,
) -> Health {
    // An invalid configuration is not taken: whoever answers has a valid one.
    let mut checks = vec![check("config", Ok("loaded".to_owned())), listen(listeners)];
    checks.push(check("kernel", kernel(seen)));
    checks.push(check("peers", peers(seen)));
    checks.push(check("end-of-rib", all_told(seen)));
    checks.push(check("sweep", sweep(seen)));
    checks.push(check("dataplane", dataplane(report)));
    if let Some(reading) = seen.feed.as_ref().filter(|_| feed != "manual") {
        let text = reading.as_ref().map(|age| format!("last reading {age} s ago"));
        checks.push(check("feed", text.map_err(Clone::clone)));
    }
    Health::of(checks)
}

fn check(name: &str, outcome: Result<String, String>) -> Check {
    let ok = outcome.is_ok();
    let text = outcome.unwrap_or_else(|waits| waits);
    Check { name: name.to_owned(), ok, text }
}

fn listen(listeners: &ListenerState) -> Check {
    let states = lock(listeners);
    let failed: Vec<String> =
        states.values().filter_map(|state| Some(state.as_ref().err()?.to_string())).collect();
    if !failed.is_empty() {
        return check("listen", Err(failed.join("; ")));
    }
    let addresses: Vec<String> = states.keys().map(ToString::to_string).collect();
    check("listen", Ok(format!("listening on {}", addresses.join(", "))))
}

fn kernel(seen: &Seen) -> Result<String, String> {
    match seen.mode {
        Mode::Adopt => Err("reading the kernel's tables".to_owned()),
        other => Ok(format!("tables read, mode {}", mode(other))),
    }
}

fn peers(seen: &Seen) -> Result<String, String> {
    let up = seen.enabled.saturating_sub(seen.down.len());
    let text = format!("{up} of {} established", seen.enabled);
    let wrong: Vec<&str> = seen.down.iter().chain(&seen.lacking).map(String::as_str).collect();
    if wrong.is_empty() { Ok(text) } else { Err(format!("{text}; {}", wrong.join("; "))) }
}

fn all_told(seen: &Seen) -> Result<String, String> {
    if seen.owing.is_empty() {
        Ok("every neighbor that is up has told its routes".to_owned())
    } else {
        Err(format!("waiting for {}", seen.owing.join(", ")))
    }
}

fn sweep(seen: &Seen) -> Result<String, String> {
    if seen.is_restarting {
        Err("waiting for every neighbor's routes, or the deferral timer, before what is stale goes"
            .to_owned())
    } else {
        Ok("what is stale may go".to_owned())
    }
}

fn dataplane(report: Result<&DataplaneReport, &String>) -> Result<String, String> {
    let report = report.map_err(Clone::clone)?;
    if let Some(other) = &report.held {
        return Err(format!(
            "nothing stale is deleted beside another EVPN daemon ({other}): let one of the two serve \
             this machine (FRR: systemctl disable --now frr)"
        ));
    }
    match report.summary.parked {
        0 => Ok("no object is set aside".to_owned()),
        parked => Err(format!(
            "{parked} set aside after a failure: evpnctl show consistency tells which and why"
        )),
    }
}
