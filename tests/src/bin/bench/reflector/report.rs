//! What was measured, in words and as JSON, against the bounds.
//!
//! **A ratio's two sides are of the same run; a bound is judged by the median of the runs.**

use crate::reflector::routes::{PER_RD, PER_SET};
use crate::reflector::trial::{DaemonCosts, Subject, Trial};
use crate::report::{Spread, Verdict, head};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// FRR's best time over evpnd's, at least.
const SPEED_MIN: f64 = 2.0;
/// Evpnd's memory over FRR's least, at most.
const MEMORY_MAX: f64 = 1.0 / 3.0;
/// The fastest daemon's time over the relay's, at least: else the clients are what is measured.
const CLIENTS_MIN: f64 = 3.0;

/// Who was measured, with what.
pub(crate) struct Measured {
    pub(crate) name: String,
    pub(crate) subject: Subject,
    pub(crate) trials: Vec<Trial>,
}

impl Measured {
    pub(crate) fn new(name: &str, subject: Subject) -> Self {
        Self { name: name.to_owned(), subject, trials: Vec::new() }
    }

    const fn is_evpnd(&self) -> bool {
        matches!(self.subject, Subject::Evpnd(_))
    }

    const fn is_frr(&self) -> bool {
        matches!(self.subject, Subject::Frr(_))
    }

    const fn is_relay(&self) -> bool {
        matches!(self.subject, Subject::Relay)
    }

    fn seconds(&self) -> Spread {
        Spread::of(self.trials.iter().map(|t| t.time.as_secs_f64()))
    }

    fn costs(&self, of: impl Fn(&DaemonCosts) -> f64) -> Spread {
        Spread::of(self.trials.iter().filter_map(|t| t.daemon.as_ref()).map(of))
    }
}

/// Everything that was measured.
pub(crate) struct Report {
    pub(crate) routes: u32,
    pub(crate) clients: u8,
    pub(crate) measured: Vec<Measured>,
}

/// The ratios that have bounds; none where a side of it was not measured.
struct Ratios {
    /// The faster FRR's time over evpnd's.
    speed: Option<Spread>,
    /// Evpnd's most memory over the thriftier FRR's.
    memory: Option<Spread>,
    /// The fastest daemon's time over the relay's.
    clients: Option<Spread>,
}

impl Report {
    fn ratios(&self) -> Ratios {
        let time = |t: &Trial| Some(t.time.as_secs_f64());
        let peak = |t: &Trial| t.daemon.map(|d| d.after.peak as f64);
        let frr_time = self.least(Measured::is_frr, time);
        let evpnd_time = self.least(Measured::is_evpnd, time);
        let relay_time = self.least(Measured::is_relay, time);
        let daemon_time = self.least(|m| !m.is_relay(), time);
        let frr_peak = self.least(Measured::is_frr, peak);
        let evpnd_peak = self.least(Measured::is_evpnd, peak);
        Ratios {
            speed: over(&frr_time, &evpnd_time),
            memory: over(&evpnd_peak, &frr_peak),
            clients: over(&daemon_time, &relay_time),
        }
    }

    /// For each run the least figure among those that are asked for.
    fn least(
        &self,
        which: impl Fn(&Measured) -> bool,
        figure: impl Fn(&Trial) -> Option<f64>,
    ) -> Vec<f64> {
        let asked: Vec<&Measured> = self.measured.iter().filter(|m| which(m)).collect();
        let runs = asked.iter().map(|m| m.trials.len()).min().unwrap_or(0);
        (0..runs)
            .filter_map(|run| {
                let figures = asked.iter().filter_map(|m| figure(m.trials.get(run)?));
                figures.min_by(f64::total_cmp)
            })
            .collect()
    }

    /// Kept if every bound of what was asked for was.
    pub(crate) fn verdict(&self) -> Verdict {
        let Ratios { speed, memory, clients } = self.ratios();
        let kept = speed.is_none_or(|s| s.median >= SPEED_MIN)
            && memory.is_none_or(|s| s.median <= MEMORY_MAX)
            && clients.is_none_or(|s| s.median >= CLIENTS_MIN);
        Verdict::of(kept)
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a string does not fail.
        self.write(&mut out).ok();
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let (routes, clients) = (self.routes, self.clients);
        let (rds, sets) = (routes / PER_RD, routes / PER_SET);
        writeln!(out, "{routes} MAC/IP routes, {rds} RDs, {sets} attribute sets, from {clients}")?;
        writeln!(out, "client(s) to {clients} other(s)\n\n{}", head("first octet to last route"))?;
        for m in &self.measured {
            writeln!(out, "{}", m.seconds().line(&format!("{}, s", m.name), 2))?;
        }
        for m in self.measured.iter().filter(|m| !m.is_relay()) {
            let mib = |of: fn(&DaemonCosts) -> u64| m.costs(|c| of(c) as f64 / 1024.0);
            writeln!(out, "\n{}", head(&m.name))?;
            let processor = m.costs(|c| c.processor.as_secs_f64());
            writeln!(out, "{}", processor.line("processor time of all threads, s", 2))?;
            writeln!(out, "{}", mib(|c| c.before.resident).line("resident before, MiB", 1))?;
            writeln!(out, "{}", mib(|c| c.after.resident).line("resident after, MiB", 1))?;
            writeln!(out, "{}", mib(|c| c.after.peak).line("most resident (VmHWM), MiB", 1))?;
            let each = m.costs(|c| octets_a_route(c, routes));
            writeln!(out, "{}", each.line("most resident beyond before, octets a route", 0))?;
        }
        let Ratios { speed, memory, clients } = self.ratios();
        writeln!(out, "\n{}", head("ratios, both sides of the same run"))?;
        let at_least = |s: Spread, bound| Verdict::of(s.median >= bound).word();
        if let Some(speed) = speed {
            writeln!(out, "{}", speed.line("the faster FRR's time over evpnd's", 2))?;
            writeln!(out, "  at least {SPEED_MIN}: {}", at_least(speed, SPEED_MIN))?;
        }
        if let Some(memory) = memory {
            let word = Verdict::of(memory.median <= MEMORY_MAX).word();
            writeln!(out, "{}", memory.line("evpnd's VmHWM over the thriftier FRR's", 2))?;
            writeln!(out, "  at most {MEMORY_MAX:.2}: {word}")?;
        }
        if let Some(clients) = clients {
            writeln!(out, "{}", clients.line("the fastest daemon's time over the relay's", 2))?;
            write!(out, "  at least {CLIENTS_MIN}: {}", at_least(clients, CLIENTS_MIN))?;
        }
        Ok(())
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let measured = self.measured.iter().map(|m| {
            let kib = |of: fn(&DaemonCosts) -> u64| m.costs(|c| of(c) as f64).json();
            let first = m.trials.first().map(|t| t.sinks.as_slice()).unwrap_or_default();
            let mut one = json!({
                "name": m.name,
                "seconds": m.seconds().json(),
                "sinks": first.iter().map(|c| json!({
                    "distinct": c.distinct,
                    "repeated": c.repeated,
                    "updates": c.updates,
                    "octets": c.octets,
                })).collect::<Vec<_>>(),
            });
            if !m.is_relay() {
                one["processorSeconds"] = m.costs(|c| c.processor.as_secs_f64()).json();
                one["residentBeforeKiB"] = kib(|c| c.before.resident);
                one["residentAfterKiB"] = kib(|c| c.after.resident);
                one["residentPeakKiB"] = kib(|c| c.after.peak);
                one["octetsPerRoute"] = m.costs(|c| octets_a_route(c, self.routes)).json();
            }
            one
        });
        let Ratios { speed, memory, clients } = self.ratios();
        json!({
            "routes": self.routes,
            "clients": self.clients,
            "measured": measured.collect::<Vec<_>>(),
            "frrOverEvpnd": speed.map(Spread::json),
            "memoryOverFrr": memory.map(Spread::json),
            "daemonOverRelay": clients.map(Spread::json),
            "kept": self.verdict() == Verdict::Kept,
        })
    }
}

fn over(above: &[f64], below: &[f64]) -> Option<Spread> {
    let ratios: Vec<f64> = above.iter().zip(below).map(|(a, b)| a / b).collect();
    (!ratios.is_empty()).then(|| Spread::of(ratios))
}

fn octets_a_route(costs: &DaemonCosts, routes: u32) -> f64 {
    let grown = costs.after.peak.saturating_sub(costs.before.resident);
    grown as f64 * 1024.0 / f64::from(routes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Memory;
    use std::path::PathBuf;
    use std::time::Duration;

    fn measured(name: &str, subject: Subject, runs: &[(u64, u64)]) -> Measured {
        let memory = |peak| Memory { resident: 0, peak, proportional: 0, anonymous: 0 };
        let trial = |(seconds, peak): &(u64, u64)| Trial {
            time: Duration::from_secs(*seconds),
            daemon: Some(DaemonCosts {
                processor: Duration::ZERO,
                before: memory(0),
                after: memory(*peak),
            }),
            sinks: Vec::new(),
        };
        Measured { name: name.to_owned(), subject, trials: runs.iter().map(trial).collect() }
    }

    fn report(evpnd: &[(u64, u64)]) -> Report {
        let measured = vec![
            measured("relay", Subject::Relay, &[(1, 0), (1, 0)]),
            measured("evpnd", Subject::Evpnd(PathBuf::new()), evpnd),
        ];
        Report { routes: 1000, clients: 1, measured }
    }

    #[test]
    fn without_frr_only_the_clients_are_judged() {
        assert_eq!(report(&[(3, 9), (4, 9)]).verdict(), Verdict::Kept);
        assert_eq!(report(&[(2, 9), (3, 9)]).verdict(), Verdict::Missed);
        assert!(report(&[(3, 9), (4, 9)]).ratios().speed.is_none());
    }

    #[test]
    fn a_ratio_is_of_one_run_and_the_least_of_its_kind() {
        let frr = |name: &str, runs| {
            measured(name, Subject::Frr(crate::reflector::frr::Program::default()), runs)
        };
        let mut report = report(&[(4, 10), (8, 10)]);
        report.measured.push(frr("a", &[(12, 30), (30, 30)]));
        report.measured.push(frr("b", &[(20, 40), (16, 20)]));
        let Ratios { speed, memory, .. } = report.ratios();
        let speed = speed.expect("both sides");
        assert_eq!((speed.min, speed.max), (2.0, 3.0));
        let memory = memory.expect("both sides");
        assert_eq!((memory.min, memory.max), (1.0 / 3.0, 0.5));
        assert_eq!(report.verdict(), Verdict::Missed);
    }
}
