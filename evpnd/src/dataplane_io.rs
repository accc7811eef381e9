//! The thread that owns what the kernel holds: it listens, compares and writes.
//!
//! ```text
//!  engine ──Mail──► │ reconciler: desired │ ──ops──► requests socket ──► kernel
//!  engine ◄──news── │ and actual          │ ◄─────── monitor socket  ◄── kernel
//!                   │                     │ ◄─────── snooper's sockets ◄── hosts' ARP and ND
//! ```
//!
//! The engine never waits for this thread: its mail is a list that is taken as a whole, and that
//! forgets what was overtaken once it is longer than [`MAIL_MIN`], so that it holds at most twice
//! what there are objects. This thread may wait for the engine when it tells news. **So nobody
//! waits in a circle.**
//!
//! An overrun of the monitor makes everything suspect: the tables are read again and compared, at
//! most once every [`DUMP_PAUSE`], and never for more than a tenth of the time. Our own writes do
//! not overrun it: a plan is small enough for the monitor's buffer, and is followed by a look at it.

use crate::backend::{Dataplane, DataplaneReport, Lookups, Pending};
use crate::clock::Clock;
use crate::engine_io::EngineHandle;
use crate::peer_io::lock;
use evpn_dataplane::facts::KernelEvent;
use evpn_dataplane::object::{Change, Command, IfIndex, Mode};
use evpn_dataplane::op::{Failure, Op};
use evpn_dataplane::reconciler::{Reconciler, Settings as ReconcilerSettings};
use evpn_netlink::others::{self, Writes};
use evpn_netlink::wait::Waker;
use evpn_netlink::{Monitor, Requests, Snooper};
use evpn_proto::types::Time;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::oneshot;

/// Writes between two looks at the monitor and the mail.
const PLAN_MAX: usize = 1024;
/// And where the monitor's buffer is tiny: overruns are healed, at a price.
const PLAN_MIN: usize = 16;
/// Octets of the monitor's buffer that the news of one write take: two messages of 768, of which
/// the kernel grants twice what was asked for, and as much again for the news of others.
const NEWS_OF_A_WRITE: usize = 1536;
/// Changes that may wait before those that were overtaken are forgotten.
const MAIL_MIN: usize = 1 << 16;
/// News told to the engine at a time.
const NEWS_MAX: usize = 1024;
/// The least time between two dumps that overruns ask for.
const DUMP_PAUSE: Duration = Duration::from_millis(500);
/// And how many times as long as the last dump took: the kernel walks its tables again for every
/// piece of one, which is quadratic, 2 s for 100,000 entries in one bridge.
const DUMP_REST: u32 = 10;
/// How long hosts are not listened to after more of them spoke than one look takes: a storm costs
/// no more than that look, and the kernel drops the rest.
const STORM_PAUSE: Duration = Duration::from_millis(100);
/// The least time between two warnings about writes that fail.
const WARNING_PAUSE: Duration = Duration::from_secs(10);
/// How long to wait after a failure to read the kernel.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// What the dataplane is started with.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The number that marks what is ours.
    pub(crate) protocol: u8,
    /// Octets of news that may wait.
    pub(crate) receive_buffer: u64,
    /// The time between two audits.
    pub(crate) audit_interval: Duration,
    /// Whether anything is written at all.
    pub(crate) write: Writing,
}

/// Whether the kernel's tables are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Writing {
    /// They are.
    Program,
    /// What would be written is computed and shown, and not written.
    DryRun,
}

/// Why the dataplane cannot start.
#[derive(Debug, Error)]
pub(crate) enum SpawnError {
    /// Netlink.
    #[error(transparent)]
    Netlink(#[from] evpn_netlink::Error),
    /// Threads or descriptors.
    #[error("cannot start the dataplane: {0}")]
    System(#[from] std::io::Error),
}

/// Whether the kernel is read before the answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Look {
    /// Compare with what the kernel says now.
    Now,
    /// Tell what is believed.
    Believed,
}

enum Question {
    Report { look: Look, limit: usize, answer: oneshot::Sender<DataplaneReport> },
    Lookups { to: Vec<IpAddr>, answer: oneshot::Sender<Lookups> },
}

#[derive(Default)]
struct Mail {
    /// Each with the number of the last news that the engine had taken in.
    changes: Vec<(u64, Change)>,
    /// How long the list was after it was last tidied.
    tidied: usize,
    commands: Vec<Command>,
    serve: Option<Vec<IfIndex>>,
    mode: Option<Mode>,
    audit_interval: Option<Duration>,
    questions: Vec<Question>,
    stop: bool,
}

impl Mail {
    fn change(&mut self, heard: u64, changes: Vec<Change>) {
        self.changes.extend(changes.into_iter().map(|change| (heard, change)));
        if self.changes.len() > MAIL_MIN.max(2 * self.tidied) {
            // The last word on each object, in the order in which they were said.
            let mut seen = HashSet::with_capacity(self.changes.len());
            self.changes.reverse();
            self.changes.retain(|(_, change)| seen.insert(change.key()));
            self.changes.reverse();
            self.tidied = self.changes.len();
        }
    }
}

/// The way to the dataplane.
#[derive(Clone)]
pub(crate) struct Handle {
    mail: Arc<Mutex<Mail>>,
    waker: Waker,
}

impl Handle {
    fn post(&self, write: impl FnOnce(&mut Mail)) {
        write(&mut lock(&self.mail));
        self.waker.wake();
    }

    /// The kernel is to hold this. `heard` is the number of the last news that the engine had taken
    /// in.
    pub(crate) fn changes(&self, heard: u64, changes: Vec<Change>) {
        self.post(|mail| mail.change(heard, changes));
    }

    /// To be done once.
    pub(crate) fn command(&self, command: Command) {
        self.post(|mail| mail.commands.push(command));
    }

    /// These VXLAN devices are ours, from now on.
    pub(crate) fn serve(&self, devices: Vec<IfIndex>) {
        self.post(|mail| mail.serve = Some(devices));
    }

    /// How far reconciling may go.
    pub(crate) fn mode(&self, mode: Mode) {
        self.post(|mail| mail.mode = Some(mode));
    }

    /// The time between two audits, from now on.
    pub(crate) fn audit_interval(&self, interval: Duration) {
        self.post(|mail| mail.audit_interval = Some(interval));
    }

    /// How it stands; none once the thread has ended.
    async fn ask(&self, look: Look, limit: usize) -> Option<DataplaneReport> {
        let (answer, answered) = oneshot::channel();
        self.post(|mail| mail.questions.push(Question::Report { look, limit, answer }));
        answered.await.ok()
    }

    /// Ends the thread. What the kernel holds stays.
    pub(crate) fn stop(&self) {
        self.post(|mail| mail.stop = true);
    }
}

impl Dataplane for Handle {
    /// Whoever wants differences in words wants them to be true now; figures are as believed.
    fn report(&self, limit: usize) -> Pending<'_, Result<DataplaneReport, String>> {
        let look = if limit > 0 { Look::Now } else { Look::Believed };
        Box::pin(async move {
            let report = self.ask(look, limit).await;
            report.ok_or_else(|| "the dataplane has ended".to_owned())
        })
    }

    fn lookups(&self, to: Vec<IpAddr>) -> Pending<'_, Lookups> {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            self.post(|mail| mail.questions.push(Question::Lookups { to, answer }));
            answered.await.unwrap_or_default()
        })
    }
}

/// Starts the thread.
///
/// # Errors
/// The kernel cannot be spoken with, or not as needed (CAP_NET_ADMIN).
pub(crate) fn spawn(settings: Settings, engine: EngineHandle) -> Result<Handle, SpawnError> {
    let mut requests = Requests::open(settings.protocol)?;
    if settings.write == Writing::Program {
        requests.check_permission()?;
    }
    let buffer = usize::try_from(settings.receive_buffer).unwrap_or(usize::MAX);
    let snooper = Snooper::new()?;
    let (monitor, small) = Monitor::open(buffer)?;
    if let Some(small) = small {
        tracing::warn!(
            "the kernel grants {} octets for its news instead of {}: bursts will make evpnd read \
             everything again (sysctl net.core.rmem_max={}, or give it CAP_NET_ADMIN)",
            small.got,
            small.asked,
            small.asked
        );
    }
    let granted = small.map_or(buffer, |small| small.got);
    let waker = Waker::new()?;
    let mail = Arc::new(Mutex::new(Mail::default()));
    let handle = Handle { mail: Arc::clone(&mail), waker: waker.clone() };
    let reconciler = ReconcilerSettings { protocol: settings.protocol, ..Default::default() };
    let clock = Clock::start();
    let thread = Thread {
        // Remote hosts choose keys of its tables: they must not know how these are hashed.
        reconciler: Reconciler::new(reconciler, RandomState::new().hash_one(0)),
        requests,
        monitor,
        snooper,
        next_snoop: clock.time(),
        deaf: None,
        waker,
        mail,
        engine,
        clock,
        others: Writes::default(),
        held: None,
        plan_max: (granted / NEWS_OF_A_WRITE).clamp(PLAN_MIN, PLAN_MAX),
        failed: 0,
        next_warning: clock.time(),
        suspect: true,
        checked: clock.time(),
        next_dump: clock.time(),
        next_audit: clock.time() + settings.audit_interval,
        settings,
        ops: Vec::new(),
        results: Vec::new(),
        questions: Vec::new(),
    };
    std::thread::Builder::new().name("dataplane".to_owned()).spawn(move || thread.run())?;
    Ok(handle)
}

struct Thread {
    reconciler: Reconciler,
    requests: Requests,
    monitor: Monitor,
    snooper: Snooper,
    next_snoop: Time,
    /// Why hosts cannot be listened to, as far as somebody was told.
    deaf: Option<String>,
    waker: Waker,
    mail: Arc<Mutex<Mail>>,
    engine: EngineHandle,
    clock: Clock,
    others: Writes,
    held: Option<String>,
    plan_max: usize,
    /// Writes that failed and that nobody was warned of.
    failed: u64,
    next_warning: Time,
    /// What is believed may be wrong; a dump will tell.
    suspect: bool,
    /// When the kernel was last read in full.
    checked: Time,
    next_dump: Time,
    next_audit: Time,
    settings: Settings,
    ops: Vec<Op>,
    results: Vec<Result<(), Failure>>,
    /// Asked and not answered, until the kernel has been read.
    questions: Vec<Question>,
}

impl Thread {
    fn run(mut self) {
        loop {
            let more = self.listen();
            self.snoop();
            if !self.take_mail() {
                return;
            }
            self.look_if_due();
            self.answer();
            if !self.tell_news() {
                return;
            }
            self.write();
            let now = self.clock.time();
            let idle = !more && !self.reconciler.has_work() && !self.reconciler.has_news();
            let timeout = if idle { self.until_next(now) } else { Some(Duration::ZERO) };
            let snooper = (self.next_snoop <= now).then_some(&self.snooper);
            if let Err(error) = self.waker.wait(&self.monitor, snooper, timeout) {
                tracing::error!("the dataplane cannot wait for the kernel: {error}");
            }
        }
    }

    /// Reads the monitor; true if there is more than one look takes.
    fn listen(&mut self) -> bool {
        self.reconciler.tick(self.clock.time());
        let (reconciler, others) = (&mut self.reconciler, &mut self.others);
        let heard = self.monitor.read(&mut |observation| {
            others.notice(&observation);
            reconciler.observe(observation);
        });
        if self.others.any() {
            self.look_for_others();
        }
        match heard {
            Ok(heard) => {
                self.suspect |= heard.overrun;
                heard.more
            }
            Err(error) => {
                tracing::error!("{error}");
                self.suspect = true;
                self.next_dump = self.clock.time() + FAILURE_PAUSE;
                false
            }
        }
    }

    /// Takes in what hosts on access ports say of themselves.
    fn snoop(&mut self) {
        let now = self.clock.time();
        if now < self.next_snoop {
            return;
        }
        let reconciler = &mut self.reconciler;
        match self.snooper.read(&mut |port, binding| reconciler.heard(port, binding)) {
            Ok(false) => {}
            Ok(true) => self.next_snoop = now + STORM_PAUSE,
            Err(error) => {
                tracing::error!("cannot listen to hosts: {error}");
                self.next_snoop = now + FAILURE_PAUSE;
            }
        }
    }

    /// Takes what the engine and the API say; false when it is time to end.
    fn take_mail(&mut self) -> bool {
        let mail = std::mem::take(&mut *lock(&self.mail));
        for (heard, change) in mail.changes {
            self.reconciler.want(change, heard);
        }
        for command in mail.commands {
            self.reconciler.command(command);
        }
        if let Some(devices) = mail.serve {
            self.reconciler.manage(&devices);
            self.listen_to_hosts();
        }
        if let Some(mode) = mail.mode.filter(|_| self.settings.write == Writing::Program) {
            if mode >= Mode::Sweep {
                self.look_for_others();
            }
            self.reconciler.set_mode(mode);
        }
        if let Some(interval) = mail.audit_interval {
            self.settings.audit_interval = interval;
            self.next_audit = self.clock.time() + interval;
        }
        self.questions.extend(mail.questions);
        !mail.stop
    }

    /// Reads the kernel's tables if an audit is due, if they are suspect, or if somebody asks.
    fn look_if_due(&mut self) {
        let now = self.clock.time();
        let now_asked =
            |question: &Question| matches!(question, Question::Report { look: Look::Now, .. });
        let asked = self.questions.iter().any(now_asked);
        self.suspect |= self.reconciler.take_suspect();
        let due = self.next_audit <= now || asked || (self.suspect && self.next_dump <= now);
        if !due {
            return;
        }
        let begun = now;
        self.reconciler.begin_dump();
        let reconciler = &mut self.reconciler;
        match self.requests.dump(&mut |observation| reconciler.observe(observation)) {
            Ok(()) => {
                self.reconciler.end_dump();
                self.suspect = false;
                self.checked = self.clock.time();
            }
            Err(error) => {
                tracing::error!("cannot read the kernel's tables: {error}");
                self.reconciler.abandon_dump();
            }
        }
        self.look_for_others();
        let now = self.clock.time();
        let rest = now.saturating_since(begun).saturating_mul(DUMP_REST);
        self.next_dump = now + rest.max(DUMP_PAUSE);
        self.next_audit = now + self.settings.audit_interval;
        // What the monitor heard meanwhile is newer than what the dump began with.
        self.listen();
    }

    /// Another EVPN daemon may own what looks like ours: nothing is swept beside it.
    fn look_for_others(&mut self) {
        let listening = others::listening().unwrap_or_default();
        let writes = self.others.take().map(|name| format!("{name} writes EVPN entries here"));
        let found = listening.into_iter().chain(writes).next();
        if found == self.held {
            return;
        }
        match &found {
            Some(other) => tracing::warn!(
                "another EVPN daemon is at work in this network namespace ({other}): nothing is swept \
                 until it is gone; let one of the two serve this machine (FRR: systemctl disable --now frr)"
            ),
            None => tracing::info!("no other EVPN daemon is at work here any more"),
        }
        self.held.clone_from(&found);
        self.reconciler.hold_sweep(found);
    }

    fn answer(&mut self) {
        for question in std::mem::take(&mut self.questions) {
            // Whoever asked may have given up.
            match question {
                Question::Report { limit, answer, .. } => drop(answer.send(self.report(limit))),
                Question::Lookups { to, answer } => drop(answer.send(self.lookups(to))),
            }
        }
    }

    fn report(&self, limit: usize) -> DataplaneReport {
        DataplaneReport {
            checked_ago: self.clock.time().saturating_since(self.checked),
            differences: self.reconciler.differences(limit),
            counters: *self.reconciler.counters(),
            summary: self.reconciler.summary(),
            mode: self.reconciler.mode(),
            held: self.held.clone(),
        }
    }

    /// Asks the kernel; what it does not answer is left out.
    fn lookups(&mut self, to: Vec<IpAddr>) -> Lookups {
        let asked = to.into_iter().map(|address| (address, self.requests.lookup(address)));
        let answered = asked.filter_map(|(address, lookup)| match lookup {
            Ok(lookup) => Some((address, lookup)),
            Err(failure) => {
                tracing::debug!("the kernel does not say how it reaches {address}: {failure}");
                None
            }
        });
        answered.collect()
    }

    /// Tells the engine what has changed; false once it has ended.
    fn tell_news(&mut self) -> bool {
        if !self.reconciler.has_news() {
            return true;
        }
        let (number, events) = self.reconciler.take_news(NEWS_MAX);
        if events.iter().any(|event| matches!(event, KernelEvent::Links(_))) {
            self.listen_to_hosts();
        }
        self.engine.kernel(number, events)
    }

    /// Hosts are behind the access ports of the bridges that we serve.
    fn listen_to_hosts(&mut self) {
        let heard = self.snooper.listen_on(&self.reconciler.access_ports());
        let deaf = heard.err().map(|error| error.to_string());
        if let Some(reason) = deaf.as_ref().filter(|_| deaf != self.deaf) {
            tracing::warn!("{reason}");
        }
        self.deaf = deaf;
    }

    fn write(&mut self) {
        let now = self.clock.time();
        self.ops.clear();
        self.reconciler.plan(now, self.plan_max, &mut self.ops);
        if self.ops.is_empty() {
            return;
        }
        self.requests.execute(&self.ops, &mut self.results);
        for (op, result) in self.ops.iter().zip(self.results.drain(..)) {
            if let Err(failure) = &result {
                let what = self.reconciler.words(op);
                tracing::debug!("{what}: {failure}");
                self.failed += 1;
                if self.next_warning <= now {
                    self.next_warning = now + WARNING_PAUSE;
                    let failed = std::mem::take(&mut self.failed);
                    tracing::warn!(failed, "a write to the kernel failed: {what}: {failure}");
                }
            }
            self.reconciler.done(op, result, now);
        }
        // News that the writes caused are to be observed before the next plan.
        self.listen();
    }

    fn until_next(&self, now: Time) -> Option<Duration> {
        let dump = self.suspect.then_some(self.next_dump);
        let snoop = (now < self.next_snoop).then_some(self.next_snoop);
        let deadlines = [Some(self.next_audit), dump, snoop, self.reconciler.next_deadline()];
        let next = deadlines.into_iter().flatten().min();
        next.map(|time| time.saturating_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evpn_dataplane::object::{FdbEntry, FdbKey, FdbTarget, IfIndex};
    use evpn_proto::types::MacAddr;
    use std::net::IpAddr;

    fn fdb(host: u32, vtep: u8) -> Change {
        let [a, b, c, d] = host.to_be_bytes();
        let key = FdbKey { device: IfIndex(1), mac: MacAddr([2, 0, a, b, c, d]) };
        let to = FdbTarget::Vtep(IpAddr::from([10, 0, 0, vtep]));
        Change::Fdb(key, Some(FdbEntry { to, sticky: false }))
    }

    #[test]
    fn mail_that_nobody_takes_holds_the_last_word_on_each_object_and_no_more() {
        let mut mail = Mail::default();
        for round in 0..=200u8 {
            mail.change(u64::from(round), (0..1000).map(|host| fdb(host, round)).collect());
            assert!(mail.changes.len() <= MAIL_MIN);
        }
        let last: std::collections::HashMap<_, _> =
            mail.changes.iter().map(|(heard, change)| (change.key(), (*heard, change))).collect();
        assert_eq!(last.len(), 1000);
        for host in 0..1000 {
            let change = fdb(host, 200);
            assert_eq!(last[&change.key()], (200, &change));
        }
    }

    #[test]
    fn mail_about_many_objects_is_kept_whole() {
        let mut mail = Mail::default();
        let objects = 3 * u32::try_from(MAIL_MIN).unwrap();
        for host in 0..objects {
            mail.change(1, vec![fdb(host, 1)]);
        }
        assert_eq!(mail.changes.len(), 3 * MAIL_MIN);
        assert!(mail.changes.iter().zip(0..).all(|((_, change), host)| *change == fdb(host, 1)));
    }
}
