//! What evpnd costs while nothing happens: memory, and how often it wakes up.
//!
//! One VNI, two neighbours that only send keepalives. After the sessions are up and have settled,
//! the switches of all threads are counted over a minute: each wake-up is at least one.
//!
//! **A thread that is there at only one end of the minute fails the measurement**: its switches
//! would be missing.

use crate::daemon::{self, Daemon};
use crate::nut::{Nut, UPS};
use crate::process::{Memory, Switches, processor_time};
use crate::report::Verdict;
use crate::site::{SPEAKERS, Site};
use crate::speaker::Speaker;
use crate::{Common, Result};
use clap::Args;
use serde_json::json;
use std::time::Duration;

/// Resident memory, at most.
const RESIDENT_MAX_KIB: u64 = 15 * 1024;
/// Switches a second, at most.
const WAKE_UPS_MAX: f64 = 2.0;

/// What to measure.
#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    common: Common,
    /// Seconds to count.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
    /// Seconds to let it settle before.
    #[arg(long, default_value_t = 10)]
    settle: u32,
    /// The peers' hold time, in seconds; a third of it is the time between keepalives.
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u16).range(3..=90))]
    hold: u16,
    /// With a battery: start a NUT server, which evpnd asks each 10 s.
    #[arg(long)]
    nut: bool,
}

/// Measures, prints, judges.
pub(crate) fn run(options: &Options) -> Result<Verdict> {
    let program = daemon::program(&options.common)?;
    let site = Site::new()?;
    let nut = options.nut.then(|| Nut::start(&site.leaf)).transpose()?;
    let extra = nut.as_ref().map_or_else(String::new, |_| {
        format!("[energy]\nfeed = {{ type = \"nut\", ups = \"{UPS}\", interval = \"10s\" }}\n")
    });
    let daemon = Daemon::start(&program, &site.leaf, &SPEAKERS, &extra)?;
    let with_log = |e: String| format!("{e}\nevpnd says:\n{}", daemon.log());
    let hold = Duration::from_secs(options.hold.into());
    let speakers = SPEAKERS.map(|address| Speaker::establish(&site.core, address, hold));
    std::thread::sleep(Duration::from_secs(options.settle.into()));
    let (before, time) = (Switches::of(daemon.pid())?, processor_time(daemon.pid())?);
    std::thread::sleep(Duration::from_secs(options.seconds.into()));
    let after = Switches::of(daemon.pid())?;
    let time = processor_time(daemon.pid())?.saturating_sub(time);
    let memory = Memory::of(daemon.pid())?;
    for speaker in speakers {
        if !speaker.map_err(with_log)?.is_up() {
            return Err(with_log("a session went down".to_owned()));
        }
    }
    let names = |s: &Switches| s.threads.iter().map(|(name, ..)| name.clone()).collect::<Vec<_>>();
    if names(&before) != names(&after) {
        return Err(format!("threads came or went: {:?}, {:?}", names(&before), names(&after)));
    }
    let figures = Figures { options, before, after, memory, time };
    if options.common.json {
        figures.print_json()
    } else {
        figures.print_table()
    }
    Ok(figures.verdict())
}

struct Figures<'a> {
    options: &'a Options,
    before: Switches,
    after: Switches,
    memory: Memory,
    time: Duration,
}

impl Figures<'_> {
    fn wake_ups(&self) -> f64 {
        let switches = self.after.total().saturating_sub(self.before.total());
        switches as f64 / f64::from(self.options.seconds)
    }

    const fn feed(&self) -> &'static str {
        if self.options.nut { "a NUT feed each 10 s" } else { "no feed" }
    }

    fn memory_verdict(&self) -> Verdict {
        Verdict::of(self.memory.resident <= RESIDENT_MAX_KIB)
    }

    fn wake_ups_verdict(&self) -> Verdict {
        Verdict::of(self.wake_ups() <= WAKE_UPS_MAX)
    }

    fn verdict(&self) -> Verdict {
        self.memory_verdict().and(self.wake_ups_verdict())
    }

    /// Each thread's name with its voluntary and involuntary switches.
    fn threads(&self) -> impl Iterator<Item = (&str, u64, u64)> {
        self.before.threads.iter().zip(&self.after.threads).map(|(before, after)| {
            let (name, voluntary, involuntary) = after;
            (
                name.as_str(),
                voluntary.saturating_sub(before.1),
                involuntary.saturating_sub(before.2),
            )
        })
    }

    fn print_table(&self) {
        let mib = |kib: u64| kib as f64 / 1024.0;
        let Memory { resident, peak, proportional, anonymous } = self.memory;
        let feed = self.feed();
        let Options { seconds, hold, .. } = self.options;
        println!("one VNI, two peers, hold time {hold} s, {feed}; {seconds} s\n");
        println!("{:<24} {:>9} {:>12}", "thread", "voluntary", "involuntary");
        for (name, voluntary, involuntary) in self.threads() {
            println!("{name:<24} {voluntary:>9} {involuntary:>12}");
        }
        println!(
            "\nwake-ups a second        {:>9.2}   at most {WAKE_UPS_MAX}: {}",
            self.wake_ups(),
            self.wake_ups_verdict().word()
        );
        println!(
            "resident, MiB            {:>9.1}   at most {}: {}",
            mib(resident),
            RESIDENT_MAX_KIB / 1024,
            self.memory_verdict().word()
        );
        println!("most resident, MiB       {:>9.1}", mib(peak));
        println!("proportional (Pss), MiB  {:>9.1}", mib(proportional));
        println!("anonymous, MiB           {:>9.1}", mib(anonymous));
        println!("processor time, ms       {:>9}", self.time.as_millis());
    }

    fn print_json(&self) {
        let threads = self.threads().map(|(name, voluntary, involuntary)| {
            json!({ "name": name, "voluntary": voluntary, "involuntary": involuntary })
        });
        let report = json!({
            "seconds": self.options.seconds,
            "holdSeconds": self.options.hold,
            "feed": self.feed(),
            "threads": threads.collect::<Vec<_>>(),
            "wakeUpsPerSecond": self.wake_ups(),
            "wakeUpsPerSecondMax": WAKE_UPS_MAX,
            "residentKiB": self.memory.resident,
            "residentMaxKiB": RESIDENT_MAX_KIB,
            "residentPeakKiB": self.memory.peak,
            "proportionalKiB": self.memory.proportional,
            "anonymousKiB": self.memory.anonymous,
            "processorMs": self.time.as_millis(),
            "kept": self.verdict() == Verdict::Kept,
        });
        println!("{report:#}");
    }
}
