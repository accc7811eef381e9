//! `evpnctl tech-support`: one archive with what a report of a problem needs.
//!
//! ```text
//! sources ──► one after the other ──► archive (tar, mode 0600), MANIFEST last
//! ```
//!
//! What is not there, not readable or too slow is named in the MANIFEST, and nothing waits for it.
//!
//! **No secret goes in**: no file that the configuration names is opened, no environment is read,
//! and a value whose key speaks of a secret is replaced, also where it stands by mistake.

mod archive;
mod secrets;
mod sources;

use crate::doctor;
use crate::out::{self, Form};
use crate::show::Lines;
use crate::text::counted;
use crate::{Exit, Failure, Outcome, cli};
use archive::Archive;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Octets of one source that are kept.
pub(crate) const MOST_OCTETS: u64 = 8 << 20;

/// What became of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Collected {
    /// Its name in the archive.
    name: String,
    /// Octets of it in the archive.
    octets: u64,
    /// It was longer, and its end is missing.
    cut: bool,
    /// Why it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// The answer in JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    file: PathBuf,
    sources: Vec<Collected>,
}

/// Runs the command.
pub(crate) fn run(args: &cli::TechSupportArgs, socket: &Path, form: Form) -> Outcome {
    let now = now();
    let name = default_name(now);
    let file = args.file.clone().unwrap_or_else(|| PathBuf::from(format!("{name}.tar")));
    let archive = Archive::create(&file, &name, now).map_err(|error| cannot_write(&file, error))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Io("cannot start".to_owned(), error))?;
    let sources = doctor::Sources { socket: socket.to_owned(), config: args.config.clone() };
    let sources = match runtime.block_on(fill(archive, sources)) {
        Ok(sources) => sources,
        Err(error) => {
            // Half an archive helps nobody. That it cannot be removed is the lesser trouble.
            fs::remove_file(&file).unwrap_or_default();
            return Err(cannot_write(&file, error));
        }
    };
    let written = Written { file, sources };
    out::answer(form, &written, view)?;
    Ok(Exit::Yes)
}

fn cannot_write(file: &Path, error: std::io::Error) -> Failure {
    Failure::Io(format!("cannot write {}", file.display()), error)
}

async fn fill(mut archive: Archive, from: doctor::Sources) -> std::io::Result<Vec<Collected>> {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {wide_msg}");
    let all = sources::all();
    let bar = ProgressBar::new(u64::try_from(all.len()).unwrap_or(u64::MAX));
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut collected = Vec::new();
    for (name, source) in all {
        bar.set_message(name);
        let found = match source.read(&from).await {
            Ok(output) => {
                archive.add(name, &output.octets)?;
                let octets = u64::try_from(output.octets.len()).unwrap_or(u64::MAX);
                Collected { name: name.to_owned(), octets, cut: output.cut, error: None }
            }
            Err(error) => {
                Collected { name: name.to_owned(), octets: 0, cut: false, error: Some(error) }
            }
        };
        collected.push(found);
        bar.inc(1);
    }
    archive.add("MANIFEST", manifest(&collected).as_bytes())?;
    archive.finish()?;
    bar.finish_and_clear();
    Ok(collected)
}

/// What is inside, and what is not.
fn manifest(collected: &[Collected]) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut text = format!(
        "Collected by evpnctl {version} tech-support.\n\
         Left out on purpose: the content of every file that the configuration names (passwords), \
         environments.\n\
         It does name hosts, their addresses and the neighbors: look through it before you pass it \
         on.\n\n"
    );
    for source in collected {
        let state = match (&source.error, source.cut) {
            (Some(error), _) => format!("FAILED: {}", error.replace('\n', " ")),
            (None, true) => format!("{} octets, CUT: it was longer", source.octets),
            (None, false) => format!("{} octets", source.octets),
        };
        // Writing to a string does not fail.
        writeln!(text, "{:<24} {state}", source.name).unwrap_or_default();
    }
    text
}

fn view(written: &Written) -> String {
    let mut lines = Lines::default();
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let failed: Vec<&Collected> = written.sources.iter().filter(|s| s.error.is_some()).collect();
    let there = counted(count(written.sources.len() - failed.len()), "source");
    let missing = match failed.len() {
        0 => String::new(),
        more => format!(", {more} could not be had (MANIFEST says why)"),
    };
    lines.block(&format!("{}\n", written.file.display()));
    lines.add(0, &format!("{there}{missing}; it holds no passwords, but names and addresses"));
    lines.into_text()
}

/// Seconds since 1970.
fn now() -> u64 {
    #[allow(clippy::disallowed_methods, reason = "people sort their archives by the time of day")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// `evpnd-HOST-20260801T120000Z`.
fn default_name(now: u64) -> String {
    let system = nix::sys::utsname::uname().ok();
    let host = system.and_then(|system| system.nodename().to_str().map(str::to_owned));
    let host = host.unwrap_or_else(|| "switch".to_owned());
    let kept = |c: char| if c.is_ascii_alphanumeric() || "-.".contains(c) { c } else { '_' };
    let host: String = host.chars().map(kept).collect();
    format!("evpnd-{host}-{}", time_of_day(now))
}

/// Seconds since 1970 as `20260801T120000Z`, after H. Hinnant's days-to-civil.
fn time_of_day(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Years of this count begin in March, so that a leap day is the last one.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + later;
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_as_the_calendar_has_it() {
        for (seconds, text) in [
            (0, "19700101T000000Z"),
            (951_782_399, "20000228T235959Z"),
            (951_782_400, "20000229T000000Z"),
            (1_767_225_599, "20251231T235959Z"),
            (1_772_323_200, "20260301T000000Z"),
        ] {
            assert_eq!(time_of_day(seconds), text);
        }
    }

    #[test]
    fn what_failed_and_what_was_cut_is_named() {
        let source = |name: &str, cut, error: Option<&str>| Collected {
            name: name.to_owned(),
            octets: 7,
            cut,
            error: error.map(str::to_owned),
        };
        let text = manifest(&[
            source("doctor.json", false, None),
            source("bridge/fdb.json", true, None),
            source("journal.txt", false, Some("not\npermitted")),
        ]);
        assert!(text.contains("doctor.json              7 octets\n"), "{text}");
        assert!(text.contains("bridge/fdb.json          7 octets, CUT"), "{text}");
        assert!(text.contains("journal.txt              FAILED: not permitted\n"), "{text}");
    }
}
