//! Through a route reflector: from clients that say many MAC/IP routes to clients that count them.
//!
//! Evpnd and FRR are measured in the same run, with the same clients. A relay that only copies
//! octets is measured beside them: what it needs is what the clients themselves need, and no daemon
//! can be seen to be faster than that.
//!
//! **A route counts when it has come to every sink, and once; memory is the kernel's VmHWM.**

mod frr;
mod relay;
mod report;
mod routes;
mod sink;
mod trial;

use crate::report::Verdict;
use crate::{Common, Result, daemon};
use clap::{Args, ValueEnum};
use report::{Measured, Report};
use routes::{PER_RD, ROUTES_MAX};
use std::path::PathBuf;
use std::time::Duration;
use trial::{Load, Subject, measure};

/// Between two measurements, for the kernel to free what the former one left.
const REST: Duration = Duration::from_secs(1);

/// What to measure.
#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    common: Common,
    /// Routes of all clients together, in thousands for each of them.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1000..=i64::from(ROUTES_MAX)))]
    routes: u32,
    /// Clients that say routes, and as many others that count them.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=100))]
    clients: u8,
    /// Runs; each measures the relay and every daemon.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Who reflects.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "evpnd,frr-8.4,frr-10")]
    daemons: Vec<Name>,
    /// The folder with FRR 10, as tests/frr-10 makes it; by default `frr-10` beside the folder of
    /// this program.
    #[arg(long, value_name = "FOLDER")]
    frr_10: Option<PathBuf>,
    /// Seconds that a client waits for its next octet.
    #[arg(long, default_value_t = 300)]
    patience: u64,
}

/// Daemons to measure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Name {
    Evpnd,
    #[value(name = "frr-8.4")]
    Frr8,
    #[value(name = "frr-10")]
    Frr10,
}

/// Measures, prints, judges.
pub(crate) fn run(options: &Options) -> Result<Verdict> {
    let (mut measured, missing) = subjects(options)?;
    let load = load(options)?;
    for run in 0..options.runs {
        let mut order: Vec<&mut Measured> = measured.iter_mut().collect();
        if run % 2 == 1 {
            order.reverse();
        }
        for one in order {
            let trial = measure(&one.subject, &load).map_err(|e| format!("{}: {e}", one.name))?;
            let time = trial.time.as_secs_f64();
            eprintln!("run {} of {}: {}: {time:.2} s", run + 1, options.runs, one.name);
            one.trials.push(trial);
            std::thread::sleep(REST);
        }
    }
    let report = Report { routes: options.routes, clients: options.clients, measured };
    if options.common.json {
        println!("{:#}", report.json());
    } else {
        println!("{}", report.text());
    }
    if missing.is_empty() {
        return Ok(report.verdict());
    }
    // Where the fastest is not here, a ratio to the others says nothing.
    Err(format!("not measured: {}", missing.join(", ")))
}

/// The relay and every daemon that is here, and the names of those that are not.
fn subjects(options: &Options) -> Result<(Vec<Measured>, Vec<String>)> {
    let mut subjects = vec![Measured::new("relay", Subject::Relay)];
    let mut missing = Vec::new();
    for name in &options.daemons {
        let found = match name {
            Name::Evpnd => {
                let program = daemon::program(&options.common)?;
                Ok(Measured::new("evpnd", Subject::Evpnd(program)))
            }
            Name::Frr8 => frr::Program::find(None).and_then(|found| of_version(found, "8.4")),
            Name::Frr10 => {
                let folder = frr_10_folder(options)?;
                frr::Program::find(Some(&folder))
                    .and_then(|found| of_version(found, "10."))
                    .map_err(|e| format!("{e}: tests/frr-10 {}", folder.display()))
            }
        };
        match found {
            Ok(found) => subjects.push(found),
            Err(why) => {
                let name = name.to_possible_value().map(|v| v.get_name().to_owned());
                let name = name.unwrap_or_default();
                eprintln!("NOT RUN: {name}: {why}");
                missing.push(name);
            }
        }
    }
    Ok((subjects, missing))
}

fn of_version(program: frr::Program, wanted: &str) -> Result<Measured> {
    if !program.version.starts_with(wanted) {
        return Err(format!("it is FRR {} and not {wanted}", program.version));
    }
    let name = format!("FRR {}", program.version);
    Ok(Measured::new(&name, Subject::Frr(program)))
}

fn frr_10_folder(options: &Options) -> Result<PathBuf> {
    if let Some(folder) = &options.frr_10 {
        return Ok(folder.clone());
    }
    let own = std::env::current_exe().map_err(|e| format!("our own path: {e}"))?;
    let target = own.parent().and_then(|profile| profile.parent());
    Ok(target.ok_or("our own path has no folder")?.join("frr-10"))
}

fn load(options: &Options) -> Result<Load> {
    let clients = u32::from(options.clients);
    let each = options.routes / clients;
    if !options.routes.is_multiple_of(clients) || !each.is_multiple_of(PER_RD) {
        return Err(format!("--routes has to be a multiple of {}", clients * PER_RD));
    }
    let streams: Result<Vec<_>> =
        (0..clients).map(|client| routes::updates(client * each..(client + 1) * each)).collect();
    Ok(Load {
        streams: streams?,
        routes: options.routes,
        sinks: options.clients,
        patience: Duration::from_secs(options.patience),
    })
}
