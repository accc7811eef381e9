//! The shell's thread that speaks with the kernel: it owns the reconciler.
//!
//! It does one thing at a time, and each takes time: a batch of writes, a dump. What the engine
//! wishes and what the kernel says wait meanwhile, and hosts do not.
//!
//! **The order is the reconciler's: plan, execute, done, then all news before the next plan.**

use crate::around::Around;
use crate::scenario::{Act, Loss};
use crate::witness::Deletion;
use evpn_dataplane::facts::KernelEvent;
use evpn_dataplane::object::{Change, Command, IfIndex, Mode};
use evpn_dataplane::observe::Observation;
use evpn_dataplane::op::{ErrorClass, Halves, Op};
use evpn_dataplane::reconciler::{self, Reconciler};
use evpn_proto::types::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// The longest that anything waits in a queue.
pub(crate) const QUEUE_MAX: Duration = Duration::from_millis(3);
/// The longest that the kernel takes for a batch.
const EXECUTION_MAX: Duration = Duration::from_millis(10);
/// Most writes of a batch.
const BATCH_MAX: usize = 40;
/// Most news of a report.
const REPORT_MAX: usize = 32;
/// The time between two audits.
const AUDIT_EVERY: Duration = Duration::from_secs(40);
/// The longest that a dump takes.
const DUMP_MAX: Duration = Duration::from_millis(5);
/// Of a hundred dumps, how many fail half way.
const DUMPS_FAIL_PERCENT: usize = 5;
/// Rounds of planning that yield nothing, after which the rest waits for the next time.
const PLANS_MAX: usize = 64;

/// What the engine wants.
#[derive(Debug)]
pub(crate) enum Wish {
    Changes(Vec<Change>),
    Command(Command),
    Serve(Vec<IfIndex>),
    Mode(Mode),
}

/// What the engine is told: a report's number and its news.
pub(crate) type Report = (u64, Vec<KernelEvent>);

/// See the module.
#[derive(Debug)]
pub(crate) struct Dataplane {
    reconciler: Reconciler,
    wishes: VecDeque<(Time, u64, Wish)>,
    batch: Option<(Time, Vec<Op>)>,
    /// A dump that is under way, with what it showed when it began.
    dump: Option<(Time, Vec<Observation>)>,
    at: Option<Time>,
    /// None where nobody audits: what is right at rest then is so without.
    audit_at: Option<Time>,
    dumped: bool,
    deletions: Vec<Deletion>,
}

impl Dataplane {
    pub(crate) fn start(around: &mut Around<'_>) -> Self {
        let seed = around.random.next();
        let reconciler = Reconciler::new(reconciler::Settings::default(), seed);
        Self {
            reconciler,
            wishes: VecDeque::new(),
            batch: None,
            dump: None,
            at: Some(around.now + around.random.up_to(QUEUE_MAX)),
            audit_at: audits(around).then(|| around.now + AUDIT_EVERY),
            dumped: false,
            deletions: Vec::new(),
        }
    }

    /// When it is to be called if nothing comes in.
    pub(crate) fn next_at(&self) -> Option<Time> {
        let batch = self.batch.as_ref().map(|(at, _)| *at);
        let busy_until = batch.or(self.dump.as_ref().map(|(at, _)| *at));
        busy_until.or_else(|| {
            let sweep = self.reconciler.next_deadline();
            [self.at, sweep, self.audit_at].into_iter().flatten().min()
        })
    }

    /// The kernel has something to say.
    pub(crate) fn rouse(&mut self, around: &mut Around<'_>) {
        let at = around.now + around.random.up_to(QUEUE_MAX);
        self.at = Some(self.at.map_or(at, |earlier| earlier.min(at)));
    }

    /// Takes a wish of an engine that had heard so many reports.
    pub(crate) fn wish(&mut self, around: &mut Around<'_>, heard: u64, wish: Wish) {
        *around.active = around.now;
        around.note(|| format!("wishes {wish:?} having heard {heard}"));
        let at = around.now + around.random.up_to(QUEUE_MAX);
        let at = self.wishes.back().map_or(at, |(last, ..)| at.max(*last));
        self.wishes.push_back((at, heard, wish));
        self.at = Some(self.at.map_or(at, |earlier| earlier.min(at)));
    }

    /// What was deleted from the kernel since it was asked last.
    pub(crate) fn take_deletions(&mut self) -> Vec<Deletion> {
        std::mem::take(&mut self.deletions)
    }

    /// Finishes a batch, takes news and wishes, plans the next batch. What the engine is to hear.
    pub(crate) fn run(&mut self, around: &mut Around<'_>) -> Vec<Report> {
        self.at = None;
        if let Some((_, ops)) = self.batch.take() {
            self.execute(around, &ops);
        }
        self.listen(around);
        if self.dump.is_some() {
            return Vec::new();
        }
        self.take_wishes(around);
        self.plan(around);
        let mut reports = Vec::new();
        while self.reconciler.has_news() {
            reports.push(self.reconciler.take_news(1 + around.random.below(REPORT_MAX)));
        }
        reports
    }

    /// The process dies: of a batch that is on its way the kernel executes what it was given.
    pub(crate) fn bury(&mut self, around: &mut Around<'_>) {
        let Some((_, ops)) = self.batch.take() else { return };
        let given = around.random.below(ops.len() + 1);
        for op in ops.iter().take(given) {
            let result = around.machine.apply(around.now, op);
            around.note(|| format!("kernel {op:?} -> {result:?}, and nobody hears it"));
        }
    }

    fn take_wishes(&mut self, around: &Around<'_>) {
        while let Some((at, heard, wish)) = self.wishes.pop_front() {
            if at > around.now {
                self.at = Some(at);
                self.wishes.push_front((at, heard, wish));
                return;
            }
            match wish {
                Wish::Changes(changes) => {
                    changes.into_iter().for_each(|change| self.reconciler.want(change, heard));
                }
                Wish::Command(command) => self.reconciler.command(command),
                Wish::Serve(devices) => self.reconciler.manage(&devices),
                Wish::Mode(mode) => self.reconciler.set_mode(mode),
            }
        }
    }

    fn execute(&mut self, around: &mut Around<'_>, ops: &[Op]) {
        for op in ops {
            *around.active = around.now;
            if op.is_delete() {
                self.deletions.extend(Deletion::of(op, &around.machine.tables()));
            }
            let kept = matches!(op, Op::FdbDelete { halves: Halves::Vxlan, .. })
                && around.planted.keeps_vxlan_half();
            let result = if kept { Ok(()) } else { around.machine.apply(around.now, op) };
            around.note(|| format!("kernel {op:?} -> {result:?}"));
            self.reconciler.done(op, result, around.now);
        }
    }

    /// Takes what the kernel says, and begins a dump where something may have been missed.
    fn listen(&mut self, around: &mut Around<'_>) {
        if let Some((_, before)) = self.dump.take() {
            self.end_dump(around, before);
        }
        let due = self.audit_at.is_some_and(|at| at <= around.now);
        let audit = due && !around.planted.trusts_lost_news();
        let suspect = self.reconciler.take_suspect();
        let overrun = around.machine.has_lost_news(around.now);
        let lost = overrun && !around.planted.trusts_lost_news();
        let dump = audit || suspect || lost || !self.dumped;
        // News that waited before a dump may be told before it or after it.
        if self.dumped && (!dump || around.random.chance(50)) {
            for seen in around.machine.take_news(around.now) {
                around.note(|| format!("kernel says {seen:?}"));
                self.reconciler.observe(seen);
            }
        }
        if due {
            self.audit_at = Some(around.now + AUDIT_EVERY);
        }
        if dump {
            around.note(|| format!("dumps: audit {audit}, suspect {suspect}, lost {lost}"));
            let at = around.now + around.random.up_to(DUMP_MAX);
            self.dump = Some((at, around.machine.dump()));
        }
    }

    /// A dump is complete: the first tables were read when it began, the others just now. What
    /// happened in between is among the news that wait.
    fn end_dump(&mut self, around: &mut Around<'_>, before: Vec<Observation>) {
        let late = around.random.below(TABLES + 1);
        let before = before.into_iter().filter(|seen| table_of(seen) < late);
        let after = around.machine.dump().into_iter().filter(|seen| table_of(seen) >= late);
        let fails = around.random.chance(DUMPS_FAIL_PERCENT);
        self.reconciler.begin_dump();
        for seen in before.chain(after) {
            if fails && around.random.chance(10) {
                around.note(|| "the dump fails".to_owned());
                self.reconciler.abandon_dump();
                return;
            }
            self.reconciler.observe(seen);
        }
        self.reconciler.end_dump();
        self.dumped = true;
    }

    fn plan(&mut self, around: &mut Around<'_>) {
        let limit = 1 + around.random.below(BATCH_MAX);
        let mut ops = Vec::new();
        for _ in 0..PLANS_MAX {
            self.reconciler.plan(around.now, limit, &mut ops);
            if !ops.is_empty() {
                let at = around.now + around.random.up_to(EXECUTION_MAX);
                self.batch = Some((at, ops));
                return;
            }
            if !self.reconciler.has_work() {
                return;
            }
        }
        *around.active = around.now;
        self.rouse(around);
    }

    /// What the reconciler says is still apart, for whoever looks into a failure.
    pub(crate) fn differences(&self) -> Vec<String> {
        let differences = self.reconciler.differences(20);
        differences.first.iter().map(|difference| format!("{difference:?}")).collect()
    }
}

/// Whether a node is audited: where news are lost and nobody notices, or the kernel refuses what it
/// should not, nothing else helps; elsewhere as it comes.
fn audits(around: &mut Around<'_>) -> bool {
    let helps = |act: &Act| match act {
        Act::LoseNews(node, Loss::Silent)
        | Act::FailWrites { node, class: ErrorClass::Refused, .. } => *node == around.node,
        _ => false,
    };
    around.scenario.acts.iter().any(|(_, act)| helps(act)) || around.random.chance(30)
}

/// How many tables the kernel dumps one by one, devices first.
const TABLES: usize = 6;

/// The table of the kernel that something is in, in the order of dumping.
const fn table_of(seen: &Observation) -> usize {
    match seen {
        Observation::Link(_) | Observation::LinkGone(_) | Observation::Port { .. } => 0,
        Observation::Address { .. } | Observation::AddressGone { .. } => 1,
        Observation::Nexthop { .. } | Observation::NexthopGone(_) => 2,
        // Both halves and the flood entries come in one dump.
        Observation::BridgeMac(_)
        | Observation::BridgeMacGone(_)
        | Observation::VxlanMac { .. }
        | Observation::VxlanMacGone(_)
        | Observation::Flood { .. }
        | Observation::FloodGone(_) => 3,
        Observation::Neighbour(_) | Observation::NeighbourGone(_) => 4,
        Observation::Route(_) | Observation::RouteGone(_) => 5,
    }
}
