//! One measurement: a fresh pair of namespaces, a reflector, its clients, a stream.
//!
//! ```text
//!   10.0.0.2 ... senders ─┐
//!                         ├─ up0 ───── up0 ── 10.0.0.1 reflector
//!   10.0.0.102 ... sinks ─┘
//! ```
//!
//! **The clock runs from the first octet of the first sender to the last different route at the
//! last sink.** All sessions are up before, and idle.

use crate::Result;
use crate::daemon::Daemon;
use crate::netns::Netns;
use crate::process::{Memory, processor_time};
use crate::reflector::frr::{self, Bgpd};
use crate::reflector::relay::Relay;
use crate::reflector::routes::{AS, VTEPS};
use crate::reflector::sink::{self, Counts, Outcome};
use crate::speaker::{HOLD, Identity, Speaker, discard};
use bytes::Bytes;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Barrier;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// The reflector's address.
pub(crate) const REFLECTOR: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// Between the last session and the first octet.
const REST: Duration = Duration::from_secs(1);

/// Who reflects.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    /// Nobody: octets are copied.
    Relay,
    /// Evpnd.
    Evpnd(PathBuf),
    /// FRR.
    Frr(frr::Program),
}

/// What clients do.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// What each sender says.
    pub(crate) streams: Vec<Bytes>,
    /// Routes of all senders together.
    pub(crate) routes: u32,
    /// As many as senders.
    pub(crate) sinks: u8,
    /// How long a sink may wait for its next octet.
    pub(crate) patience: Duration,
}

/// What was measured.
#[derive(Clone, Debug)]
pub(crate) struct Trial {
    pub(crate) time: Duration,
    /// Of a daemon; the relay is a part of ourselves.
    pub(crate) daemon: Option<DaemonCosts>,
    /// What came to each sink until it had everything.
    pub(crate) sinks: Vec<Counts>,
}

/// What a daemon needed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DaemonCosts {
    /// Processor time of all threads while the clock ran.
    pub(crate) processor: Duration,
    /// With its sessions and without routes.
    pub(crate) before: Memory,
    /// Right after the last route came.
    pub(crate) after: Memory,
}

enum Running {
    Relay(Relay),
    Evpnd(Daemon),
    Frr(Bgpd),
}

impl Running {
    fn start(subject: &Subject, namespace: &Netns, clients: &[Ipv4Addr]) -> Result<Self> {
        Ok(match subject {
            Subject::Relay => Self::Relay(Relay::start(namespace)?),
            Subject::Evpnd(program) => {
                let config = evpnd_configuration(clients).map_err(|e| e.to_string())?;
                Self::Evpnd(Daemon::configured(program, namespace, &config)?)
            }
            Subject::Frr(program) => Self::Frr(Bgpd::start(program, namespace, clients)?),
        })
    }

    fn pid(&self) -> Option<u32> {
        match self {
            Self::Relay(Relay) => None,
            Self::Evpnd(daemon) => Some(daemon.pid()),
            Self::Frr(bgpd) => Some(bgpd.pid()),
        }
    }

    fn log(&self) -> String {
        match self {
            Self::Relay(Relay) => String::new(),
            Self::Evpnd(daemon) => daemon.log(),
            Self::Frr(bgpd) => bgpd.log(),
        }
    }
}

fn evpnd_configuration(clients: &[Ipv4Addr]) -> std::result::Result<String, std::fmt::Error> {
    let mut out = format!("[router]\nas = {AS}\nid = \"{REFLECTOR}\"\n");
    for client in clients {
        write!(
            out,
            "[[neighbor]]\naddress = \"{client}\"\nas = {AS}\npassive = true\n\
             route-reflector-client = true\n"
        )?;
    }
    Ok(out)
}

/// Measures once.
pub(crate) fn measure(subject: &Subject, load: &Load) -> Result<Trial> {
    let addresses = |first: u8| {
        let count = u8::try_from(load.streams.len()).unwrap_or(u8::MAX);
        (0..count).map(move |n| Ipv4Addr::new(10, 0, 0, first + n)).collect::<Vec<_>>()
    };
    let (senders, sinks) = (addresses(2), addresses(102));
    let clients = [&senders[..], &sinks[..]].concat();
    let (leaf, core) = namespaces(&clients)?;
    let running = Running::start(subject, &leaf, &clients)?;
    let with_log = |error: String| match running.log() {
        log if log.is_empty() => error,
        log => format!("{error}\nits log:\n{log}"),
    };
    let identity = |address| Identity { address, asn: AS, hold: HOLD };
    let (tell, told) = sync_channel::<Outcome>(sinks.len());
    let mut listeners = Vec::new();
    for address in sinks {
        let (tell, routes, patience) = (tell.clone(), load.routes, load.patience);
        let count = move |stream| sink::count(stream, routes, patience, &tell);
        listeners.push(Speaker::listening(&core, &identity(address), count).map_err(with_log)?);
    }
    drop(tell);
    let mut speakers = Vec::new();
    for address in senders {
        let speaker = Speaker::listening(&core, &identity(address), discard);
        speakers.push(speaker.map_err(with_log)?);
    }
    thread::sleep(REST);
    let before = running.pid().map(|pid| Ok::<_, String>((Memory::of(pid)?, processor_time(pid)?)));
    let before = before.transpose()?;
    let (time, counts) = race(&speakers, load, &told).map_err(with_log)?;
    let daemon = match (before, running.pid()) {
        (Some((before, processor)), Some(pid)) => {
            let processor = processor_time(pid)?.saturating_sub(processor);
            Some(DaemonCosts { processor, before, after: Memory::of(pid)? })
        }
        _ => None,
    };
    if !speakers.iter().chain(&listeners).all(Speaker::is_up) {
        return Err(with_log("a session went down".to_owned()));
    }
    Ok(Trial { time, daemon, sinks: counts })
}

/// Lets all senders begin at once and waits for all sinks.
fn race(
    speakers: &[Speaker],
    load: &Load,
    told: &Receiver<Outcome>,
) -> Result<(Duration, Vec<Counts>)> {
    let begin = Barrier::new(speakers.len());
    thread::scope(|scope| {
        let tasks: Vec<_> = speakers
            .iter()
            .zip(&load.streams)
            .map(|(speaker, stream)| {
                scope.spawn(|| {
                    begin.wait();
                    speaker.say(stream)
                })
            })
            .collect();
        let arrived = collect(told, load);
        if arrived.is_err() {
            // Whoever still writes to a reflector that has stopped reading would wait for ever.
            speakers.iter().for_each(Speaker::close);
        }
        let starts: Result<Vec<Instant>> = tasks
            .into_iter()
            .map(|task| task.join().map_err(|_| "a sender panicked".to_owned())?)
            .collect();
        let arrived = arrived?;
        let start = starts?.into_iter().min().ok_or("no sender")?;
        let last = arrived.iter().map(|(at, _)| *at).max().ok_or("no sink")?;
        Ok((last.duration_since(start), arrived.into_iter().map(|(_, counts)| counts).collect()))
    })
}

fn collect(told: &Receiver<Outcome>, load: &Load) -> Result<Vec<(Instant, Counts)>> {
    // A sink itself tells when nothing comes, and how far it got: this is for one that crawls.
    let deadline = Instant::now() + 2 * load.patience;
    (0..load.sinks)
        .map(|_| {
            let left = deadline.saturating_duration_since(Instant::now());
            let late = |_| format!("a sink has not got everything within {:?}", 2 * load.patience);
            told.recv_timeout(left).map_err(late)?
        })
        .collect()
}

/// The reflector's namespace and that of its clients.
fn namespaces(clients: &[Ipv4Addr]) -> Result<(Netns, Netns)> {
    let (leaf, core) = (Netns::new()?, Netns::new()?);
    let first = clients.first().ok_or("no client")?;
    leaf.batch(
        "ip",
        &format!(
            "link add up0 type veth peer name up0 netns {}
             addr add {REFLECTOR}/24 dev up0
             link set up0 up
             route add {VTEPS} via {first}",
            core.path()
        ),
    )?;
    let addresses: String =
        clients.iter().map(|address| format!("addr add {address}/24 dev up0\n")).collect();
    core.batch("ip", &format!("{addresses}link set up0 up"))?;
    Ok((leaf, core))
}
