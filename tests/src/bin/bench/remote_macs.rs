//! From a BGP peer into the kernel: many remote MACs at once.
//!
//! The clock runs from the first octet of an encoded stream of UPDATEs to the last notification of
//! the kernel, when each MAC is in the bridge and in the VXLAN device. The control is `bridge
//! -batch`, which is handed the same entries in a file, a line each, and speaks no BGP.
//!
//! **Both sides of a ratio come from the same run, in a fresh namespace each, seen by the same
//! monitor; who goes first changes from run to run.**

use crate::daemon::{self, Daemon};
use crate::monitor::Monitor;
use crate::process::{Memory, processor_time};
use crate::report::{Spread, Verdict, head};
use crate::site::{SPEAKERS, Site};
use crate::speaker::{Form, HOLD, Speaker, updates};
use crate::{Common, Result};
use bytes::Bytes;
use clap::Args;
use serde_json::json;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::NamedTempFile;

/// Evpnd's time over that of `bridge -batch`, at most.
const RATIO_MAX: f64 = 1.0;
/// Between two measurements, for the kernel to free what the former one left.
const REST: Duration = Duration::from_millis(500);

/// What to measure.
#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    common: Common,
    /// Remote MACs.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=4_000_000))]
    macs: u32,
    /// Runs; each measures evpnd and the control.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// How routes are put into UPDATEs; by default both.
    #[arg(long, value_enum)]
    form: Option<Form>,
}

/// What `bridge -batch` took.
struct Control {
    /// From the start of the process to the last notification.
    whole: Duration,
    /// From the first notification to the last.
    writing: Duration,
}

/// What evpnd took.
struct Trial {
    /// From the first octet to the last notification.
    whole: Duration,
    /// Processor time of all its threads in the meantime.
    processor: Duration,
    before: Memory,
    after: Memory,
}

/// A form with what was measured of it.
struct Measured {
    form: Form,
    updates: Bytes,
    trials: Vec<Trial>,
}

/// Measures, prints, judges.
pub(crate) fn run(options: &Options) -> Result<Verdict> {
    let program = daemon::program(&options.common)?;
    let batch = batch_file(options.macs)?;
    let forms = options.form.map_or(vec![Form::Packed, Form::Single], |form| vec![form]);
    let mut measured = Vec::new();
    for form in forms {
        let updates = updates(options.macs, form)?;
        measured.push(Measured { form, updates, trials: Vec::new() });
    }
    let mut controls = Vec::new();
    for run in 0..options.runs as usize {
        let sides = measured.len() + 1;
        for side in 0..sides {
            match measured.get_mut((run + side) % sides) {
                Some(m) => {
                    let trial = evpnd(&program, options.macs, &m.updates)?;
                    progress(run, options.runs, &format!("evpnd {:?}", m.form), trial.whole);
                    m.trials.push(trial);
                }
                None => {
                    let control = bridge_batch(&batch, options.macs)?;
                    progress(run, options.runs, "bridge -batch", control.whole);
                    controls.push(control);
                }
            }
            std::thread::sleep(REST);
        }
    }
    let verdicts = measured.iter().map(|m| ratios(m, &controls).verdict());
    let verdict = verdicts.fold(Verdict::Kept, Verdict::and);
    if options.common.json {
        print_json(options, &measured, &controls, verdict);
    } else {
        print_table(options, &measured, &controls, verdict);
    }
    Ok(verdict)
}

fn progress(run: usize, runs: u32, what: &str, time: Duration) {
    eprintln!("run {} of {runs}: {what}: {:.0} ms", run + 1, time.as_secs_f64() * 1000.0);
}

fn batch_file(macs: u32) -> Result<NamedTempFile> {
    let failed = |e: std::io::Error| format!("the batch file: {e}");
    let mut file = NamedTempFile::new().map_err(failed)?;
    let lines: String = (0..macs).map(Site::batch_line).collect();
    file.write_all(lines.as_bytes()).map_err(failed)?;
    file.flush().map_err(failed)?;
    Ok(file)
}

fn bridge_batch(batch: &NamedTempFile, macs: u32) -> Result<Control> {
    let site = Site::new()?;
    let monitor = Monitor::start(&site.leaf, macs)?;
    let mut command = site.leaf.command("bridge");
    command.arg("-batch").arg(batch.path()).stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let mut child = command.spawn().map_err(|e| format!("bridge: {e}"))?;
    let seen = monitor.wait();
    let status = child.wait().map_err(|e| format!("bridge: {e}"))?;
    let seen = seen?;
    if !status.success() {
        return Err(format!("bridge -batch ended with {status}"));
    }
    check(&site, macs)?;
    site.tear_down()?;
    Ok(Control { whole: seen.last - start, writing: seen.last - seen.first })
}

fn evpnd(program: &Path, macs: u32, updates: &[u8]) -> Result<Trial> {
    let site = Site::new()?;
    let [address, _] = SPEAKERS;
    let daemon = Daemon::start(program, &site.leaf, &[address], "")?;
    let with_log = |e: String| format!("{e}\nevpnd says:\n{}", daemon.log());
    let speaker = Speaker::establish(&site.core, address, HOLD).map_err(with_log)?;
    std::thread::sleep(REST);
    let monitor = Monitor::start(&site.leaf, macs)?;
    let before = Memory::of(daemon.pid())?;
    let processor = processor_time(daemon.pid())?;
    let start = speaker.say(updates).map_err(with_log)?;
    let seen = monitor.wait().map_err(with_log)?;
    let processor = processor_time(daemon.pid())?.saturating_sub(processor);
    std::thread::sleep(REST);
    let after = Memory::of(daemon.pid())?;
    if !speaker.is_up() {
        return Err(with_log("the session went down".to_owned()));
    }
    check(&site, macs).map_err(with_log)?;
    drop(speaker);
    daemon.stop()?;
    site.tear_down()?;
    Ok(Trial { whole: seen.last - start, processor, before, after })
}

/// Counts once, by another way than notifications.
fn check(site: &Site, macs: u32) -> Result<()> {
    let expected = (macs as usize, macs as usize);
    let found = site.count()?;
    if found == expected {
        return Ok(());
    }
    Err(format!("bridge fdb show has {found:?} entries (bridge, VXLAN) instead of {expected:?}"))
}

/// Evpnd's time over that of the control, of each run.
struct Ratios {
    /// Over the control from its start.
    whole: Spread,
    /// Over the control from its first notification, which leaves out its start.
    strict: Spread,
}

impl Ratios {
    fn verdict(&self) -> Verdict {
        Verdict::of(self.whole.median <= RATIO_MAX && self.strict.median <= RATIO_MAX)
    }
}

fn ratios(measured: &Measured, controls: &[Control]) -> Ratios {
    let over = |of: fn(&Control) -> Duration| {
        let pairs = measured.trials.iter().zip(controls);
        Spread::of(pairs.map(|(t, c)| t.whole.as_secs_f64() / of(c).as_secs_f64()))
    };
    Ratios { whole: over(|c| c.whole), strict: over(|c| c.writing) }
}

/// Memory that the routes of a trial took, in octets a route.
fn octets_per_route(trial: &Trial, macs: u32) -> f64 {
    let grown = trial.after.resident.saturating_sub(trial.before.resident);
    grown as f64 * 1024.0 / f64::from(macs)
}

fn print_table(options: &Options, measured: &[Measured], controls: &[Control], verdict: Verdict) {
    let (macs, runs) = (options.macs, options.runs);
    println!("{macs} remote MACs, each in bridge and VXLAN, {runs} runs\n");
    println!("{}", head("time, ms"));
    let whole = Spread::milliseconds(controls.iter().map(|c| c.whole));
    println!("{}", whole.line("bridge -batch, start of the process to last entry", 0));
    let writing = Spread::milliseconds(controls.iter().map(|c| c.writing));
    println!("{}", writing.line("bridge -batch, first entry to last entry", 0));
    for m in measured {
        let whole = Spread::milliseconds(m.trials.iter().map(|t| t.whole));
        let form = form_words(m.form);
        println!("{}", whole.line(&format!("evpnd, {form}: first octet to last entry"), 0));
    }
    println!("\n{}", head("evpnd over bridge -batch of the same run"));
    for m in measured {
        let Ratios { whole, strict } = ratios(m, controls);
        let form = form_words(m.form);
        println!("{}", whole.line(&format!("{form}, against its start to last entry"), 2));
        println!("{}", strict.line(&format!("{form}, against its first to last entry"), 2));
    }
    println!("\n{}", head("evpnd's own costs"));
    for m in measured {
        let form = form_words(m.form);
        let time = Spread::milliseconds(m.trials.iter().map(|t| t.processor));
        println!("{}", time.line(&format!("{form}: processor time of all threads, ms"), 0));
        let mib =
            |of: fn(&Trial) -> u64| Spread::of(m.trials.iter().map(|t| of(t) as f64 / 1024.0));
        println!(
            "{}",
            mib(|t| t.before.resident).line(&format!("{form}: resident before, MiB"), 1)
        );
        println!("{}", mib(|t| t.after.resident).line(&format!("{form}: resident after, MiB"), 1));
        println!("{}", mib(|t| t.after.peak).line(&format!("{form}: most resident, MiB"), 1));
        let each = Spread::of(m.trials.iter().map(|t| octets_per_route(t, macs)));
        println!("{}", each.line(&format!("{form}: octets per route"), 0));
    }
    println!("\nratio at most {RATIO_MAX}, by the median and both definitions: {}", verdict.word());
}

const fn form_words(form: Form) -> &'static str {
    match form {
        Form::Packed => "full UPDATEs",
        Form::Single => "one route an UPDATE",
    }
}

fn print_json(options: &Options, measured: &[Measured], controls: &[Control], verdict: Verdict) {
    let forms = measured.iter().map(|m| {
        let Ratios { whole, strict } = ratios(m, controls);
        let kib = |of: fn(&Trial) -> u64| Spread::of(m.trials.iter().map(|t| of(t) as f64)).json();
        json!({
            "form": form_words(m.form),
            "streamOctets": m.updates.len(),
            "timeMs": Spread::milliseconds(m.trials.iter().map(|t| t.whole)).json(),
            "processorMs": Spread::milliseconds(m.trials.iter().map(|t| t.processor)).json(),
            "ratioToStart": whole.json(),
            "ratioToFirstEntry": strict.json(),
            "residentBeforeKiB": kib(|t| t.before.resident),
            "residentAfterKiB": kib(|t| t.after.resident),
            "residentPeakKiB": kib(|t| t.after.peak),
            "octetsPerRoute":
                Spread::of(m.trials.iter().map(|t| octets_per_route(t, options.macs))).json(),
        })
    });
    let report = json!({
        "macs": options.macs,
        "runs": options.runs,
        "bridgeBatchMs": Spread::milliseconds(controls.iter().map(|c| c.whole)).json(),
        "bridgeBatchWritingMs": Spread::milliseconds(controls.iter().map(|c| c.writing)).json(),
        "evpnd": forms.collect::<Vec<_>>(),
        "ratioMax": RATIO_MAX,
        "kept": verdict == Verdict::Kept,
    });
    println!("{report:#}");
}
