//! `evpnctl doctor`: whether this machine is set as evpnd needs it.
//!
//! ```text
//! gather ──► facts ──► judge ──► finding ──► view
//! looks      values    pure      values      text
//! ```
//!
//! It works with and without a running evpnd, changes nothing, and needs no rights for most of it.
//!
//! **The judgement is pure**, apart from the looking, so that every finding is held by a test.

mod clock;
mod facts;
mod finding;
mod gather;
mod judge;
#[cfg(test)]
mod tests;
mod view;

pub(crate) use finding::Report;
pub(crate) use gather::{Sources, USUAL_CONFIG, sysctl_values};

use crate::out::{self, Form};
use crate::{Exit, Failure, Outcome, cli};
use std::path::Path;

/// Runs the command.
pub(crate) fn run(args: &cli::DoctorArgs, socket: &Path, form: Form) -> Outcome {
    if args.probe {
        return gather::probe_here();
    }
    let sources = Sources { socket: socket.to_owned(), config: args.config.clone() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Io("cannot start".to_owned(), error))?;
    let report = runtime.block_on(examine(&sources));
    out::answer(form, &report, view::report)?;
    Ok(Exit::verdict(report.ok))
}

/// Looks, and judges.
pub(crate) async fn examine(sources: &Sources) -> Report {
    Report::of(judge::judge(&gather::facts(sources).await))
}
