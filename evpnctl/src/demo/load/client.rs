//! The client: sends requests at a steady rate, keeps sessions going, and counts.
//!
//! **It sends what the clock asks for**: where the machine stalled it catches up, and a request
//! that could not be sent is counted as that, so that a quiet client is never taken for a network
//! without losses.

use super::tally::{Broken, Kind, Report, Requests, Sessions};
use super::tcp::{Chance, Life, Slot};
use super::udp::Requester;
use super::{REPORT_EVERY, tell};
use clap::Args;
use std::cell::RefCell;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::LocalSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often requests that are due are sent.
const TICK: Duration = Duration::from_millis(5);
/// Requests of one tick at most: what a stalled machine missed is not sent all at once.
const BURST_MAX: u64 = 40;

/// What load.
#[derive(Debug, Args)]
pub(crate) struct ClientArgs {
    /// The service's addresses: one, or one of each family.
    #[arg(long, required = true)]
    pub(crate) service: Vec<IpAddr>,
    /// Addresses of this host to come from.
    #[arg(long, required = true)]
    pub(crate) from: Vec<IpAddr>,
    /// Requests a second.
    #[arg(long)]
    pub(crate) rate: u64,
    /// TCP sessions at a time that end; every other one pauses.
    #[arg(long)]
    pub(crate) sessions: u64,
    /// TCP sessions that do not end.
    #[arg(long)]
    pub(crate) endless: u64,
    /// Longest pause of those that pause, in milliseconds.
    #[arg(long)]
    pub(crate) pause_ms: u64,
    /// Longest life of those that end, in milliseconds.
    #[arg(long)]
    pub(crate) life_ms: u64,
}

/// What was counted so far.
#[derive(Debug)]
pub(super) struct Tally {
    start: Instant,
    report: Report,
}

/// One thread counts; its tasks take turns.
pub(super) type SharedTally = Rc<RefCell<Tally>>;

impl Tally {
    fn new() -> Self {
        Self { start: Instant::now(), report: Report::default() }
    }

    pub(super) const fn requests(&mut self, v6: bool) -> &mut Requests {
        if v6 { &mut self.report.v6 } else { &mut self.report.v4 }
    }

    pub(super) fn unsent(&mut self, error: &io::Error) {
        self.report.unsent += 1;
        self.report.unsent_why = Some(error.to_string());
    }

    pub(super) fn sessions(&mut self, kind: Kind) -> &mut Sessions {
        self.report.sessions.entry(kind).or_default()
    }

    fn at(&mut self, kind: Kind, site: char) -> &mut u64 {
        let sessions = self.sessions(kind);
        if site == 'A' { &mut sessions.at_a } else { &mut sessions.at_b }
    }

    pub(super) fn arrives(&mut self, kind: Kind, site: char) {
        *self.at(kind, site) += 1;
    }

    pub(super) fn leaves(&mut self, kind: Kind, site: char) {
        let at = self.at(kind, site);
        *at = at.saturating_sub(1);
    }

    /// Notes a broken session of this age; `describe` gets milliseconds: now, and its age.
    pub(super) fn broken(&mut self, age: Duration, describe: impl FnOnce(u64, u64) -> Broken) {
        let broken = describe(milliseconds(self.start.elapsed()), milliseconds(age));
        self.sessions(broken.kind).broken += 1;
        self.report.broken.push(broken);
    }

    /// The report so far; what broke is in one report only.
    fn take(&mut self) -> Report {
        self.report.at_ms = milliseconds(self.start.elapsed());
        let report = self.report.clone();
        self.report.broken.clear();
        report
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Runs until nobody reads its reports.
///
/// # Errors
/// Of this machine; what the network does is counted.
pub(crate) fn run(args: &ClientArgs) -> io::Result<()> {
    super::raise_file_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, load(args))
}

async fn load(args: &ClientArgs) -> io::Result<()> {
    let tally = SharedTally::new(RefCell::new(Tally::new()));
    let sources = |service: &IpAddr| -> Vec<IpAddr> {
        args.from.iter().filter(|a| a.is_ipv6() == service.is_ipv6()).copied().collect()
    };
    let families: Vec<(IpAddr, Vec<IpAddr>)> =
        args.service.iter().map(|service| (*service, sources(service))).collect();
    if let Some((service, _)) = families.iter().find(|(_, sources)| sources.is_empty()) {
        return Err(io::Error::other(format!("no --from of the family of {service}")));
    }
    for (number, life) in lives(args).into_iter().enumerate() {
        let Some((service, sources)) = families.get(number / 2 % families.len()) else { continue };
        let chance = Chance::new(u64::try_from(number).unwrap_or_default() + 1);
        let slot = Slot { service: *service, sources: sources.clone(), life, chance };
        tokio::task::spawn_local(slot.run(SharedTally::clone(&tally)));
    }
    let requesters = families.into_iter().map(|(service, from)| Requester::new(service, from));
    tokio::task::spawn_local(ask(requesters.collect(), args.rate, SharedTally::clone(&tally)));
    let mut ticks = interval(REPORT_EVERY);
    loop {
        ticks.tick().await;
        let report = tally.borrow_mut().take();
        tell(&report)?;
    }
}

/// The lives of all slots. Neighbours in this list are a busy and a pausing one.
fn lives(args: &ClientArgs) -> Vec<Life> {
    let pause = Duration::from_millis(args.pause_ms);
    let ending = (0..args.sessions).map(|n| Life {
        kind: if n % 2 == 0 { Kind::Busy } else { Kind::Pausing },
        pause,
        life: Some(Duration::from_millis(args.life_ms)),
    });
    let endless = (0..args.endless).map(|_| Life { kind: Kind::Endless, pause, life: None });
    ending.chain(endless).collect()
}

/// Sends requests, the families in turn.
async fn ask(mut requesters: Vec<Requester>, rate: u64, tally: SharedTally) {
    let families = requesters.len().max(1);
    let start = Instant::now();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut asked = 0;
    loop {
        ticks.tick().await;
        let due = milliseconds(start.elapsed()).saturating_mul(rate) / 1000;
        let until = due.min(asked + BURST_MAX);
        while asked < until {
            let turn = usize::try_from(asked).unwrap_or_default() % families;
            if let Some(requester) = requesters.get_mut(turn) {
                requester.send(&tally);
            }
            asked += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_sessions_pause_and_the_endless_ones_come_on_top() {
        let args = ClientArgs {
            service: vec![],
            from: vec![],
            rate: 0,
            sessions: 20,
            endless: 5,
            pause_ms: 1000,
            life_ms: 4000,
        };
        let lives = lives(&args);
        let count = |kind| lives.iter().filter(|life| life.kind == kind).count();
        assert_eq!([count(Kind::Busy), count(Kind::Pausing), count(Kind::Endless)], [10, 10, 5]);
        assert!(lives.iter().all(|l| l.life.is_none() == (l.kind == Kind::Endless)));
    }

    #[test]
    fn a_broken_session_is_told_once_and_counted_for_ever() {
        let mut tally = Tally::new();
        let broken = |at_ms, age_ms| Broken {
            kind: Kind::Busy,
            family: 4,
            site: Some('A'),
            at_ms,
            age_ms,
            why: "no answer".to_owned(),
        };
        tally.arrives(Kind::Busy, 'A');
        tally.broken(Duration::from_secs(1), broken);
        tally.leaves(Kind::Busy, 'A');
        let first = tally.take();
        assert_eq!((first.broken.len(), first.of(Kind::Busy).broken), (1, 1));
        assert_eq!(first.of(Kind::Busy).at_a, 0);
        let second = tally.take();
        assert_eq!((second.broken.len(), second.of(Kind::Busy).broken), (0, 1));
    }
}
