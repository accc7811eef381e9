//! A run: virtual time jumps from one thing that happens to the next, until all is at rest.
//!
//! **Nothing decides but the seed and the scenario**: of things that happen at the same moment the
//! network comes first, then acts and hosts, then machines, then processes, each by number.

use crate::acts::READING_EVERY;
use crate::around::{Around, Disk};
use crate::machine::Machine;
use crate::network::{Arrival, Network};
use crate::oracle::Truth;
use crate::plant::{Plant, Planted};
use crate::process::{Fate, Process};
use crate::random::Random;
use crate::scenario::{Act, HostId, Kind, Scenario, TROUBLE_ENDS};
use crate::site::{self, Birth, NodeId};
use crate::trace::Trace;
use crate::witness::{Deletion, Sequences};
use crate::world::{KNOWN_AFTER, World};
use evpn_proto::types::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;
use thiserror::Error;

/// Rest is when nothing has changed for longer than any timer but the keepalives' runs.
const REST_AFTER: Duration = Duration::from_secs(150);
/// By then it must have come to rest.
const REST_WITHIN: Duration = Duration::from_secs(800);
/// After so long without trouble nothing that is valid is deleted any more: every hold, restart,
/// back-off and ageing time has run out.
const CALM_AFTER_NANOS: u64 = 100_000_000_000;
/// By then every process has started for the first time.
const FIRST_STARTS_WITHIN: Duration = Duration::from_secs(2);
/// Steps at one moment; more means that something goes round in circles.
const STEPS_AT_ONCE_MAX: u32 = 50_000;

/// Something is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub struct Violation {
    /// Of which run.
    pub seed: u64,
    /// What was planted in it.
    pub plant: Option<Plant>,
    /// When it was found.
    pub at: Time,
    /// What is wrong, line by line.
    pub findings: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}, at {:?}:", self.seed, self.at)?;
        for finding in &self.findings {
            writeln!(f, "  {finding}")?;
        }
        write!(f, "reproduce: cargo run -p evpn-sim")?;
        if self.plant.is_some() {
            write!(f, " --features planted-bugs")?;
        }
        write!(f, " -- --seed {} --trace", self.seed)?;
        match self.plant {
            Some(plant) => write!(f, " --plant {}", plant.name()),
            None => Ok(()),
        }
    }
}

/// What a run that went well amounted to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Summary {
    /// When it came to rest.
    pub rested: Time,
    /// Steps of virtual time.
    pub steps: u64,
    /// All numbers drawn after the end are a function of this: equal runs have equal ones.
    pub fingerprint: u64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Due {
    Act(Act),
    Speech(HostId, u32),
    Reading(NodeId),
    Doom(NodeId, Time),
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) machine: Machine,
    disk: Disk,
    process: Option<Process>,
}

/// See the module.
#[derive(Debug)]
pub struct Simulation {
    seed: u64,
    pub(crate) scenario: Scenario,
    pub(crate) now: Time,
    steps: u64,
    pub(crate) random: Random,
    pub(crate) network: Network,
    pub(crate) nodes: Vec<Node>,
    pub(crate) world: World,
    agenda: BTreeMap<(Time, u64), Due>,
    pub(crate) refusals: BTreeSet<NodeId>,
    sequences: Sequences,
    invalid: Vec<String>,
    planted: Planted,
    active: Time,
    pub(crate) trace: Trace,
}

impl Simulation {
    /// A run before its beginning.
    pub fn new(seed: u64, scenario: Scenario) -> Self {
        let mut random = Random::new(seed);
        let nodes = site::nodes(&scenario).map(|id| {
            let (links, addresses) = (site::links(&scenario, id), site::addresses(&scenario, id));
            let machine = Machine::new(links, addresses, Random::new(random.next()));
            Node { id, machine, disk: Disk::default(), process: None }
        });
        let nodes = nodes.collect();
        let mut simulation = Self {
            seed,
            now: Time::ZERO,
            steps: 0,
            network: Network::new(Random::new(random.next())),
            nodes,
            world: World::new(&scenario),
            agenda: BTreeMap::new(),
            refusals: BTreeSet::new(),
            sequences: Sequences::default(),
            invalid: Vec::new(),
            planted: Planted::default(),
            active: Time::ZERO,
            trace: Trace::default(),
            random,
            scenario,
        };
        simulation.prepare();
        simulation
    }

    /// With a bug.
    #[must_use]
    pub fn planting(mut self, plant: Plant) -> Self {
        self.planted = Planted(Some(plant));
        self
    }

    /// Keeps every line of what happens, for [`Simulation::trace`].
    #[must_use]
    pub fn watched(mut self) -> Self {
        self.trace = Trace::watched();
        self
    }

    /// What has happened so far, if it is watched.
    pub fn trace(&self) -> &[String] {
        self.trace.lines()
    }

    fn prepare(&mut self) {
        for (at, act) in self.scenario.acts.clone() {
            self.schedule(Time::ZERO + at, Due::Act(act));
        }
        for node in site::nodes(&self.scenario) {
            let at = Time::ZERO + self.random.up_to(FIRST_STARTS_WITHIN);
            self.schedule(at, Due::Act(Act::Restart(node)));
        }
        for leaf in self.scenario.announcers.clone() {
            let at = Time::ZERO + self.random.up_to(READING_EVERY);
            self.schedule(at, Due::Reading(leaf));
        }
    }

    pub(crate) fn schedule(&mut self, at: Time, due: Due) {
        // The number keeps what was scheduled first before what was scheduled later.
        self.steps += 1;
        self.agenda.insert((at, self.steps), due);
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// What was found wrong first.
    pub fn run(&mut self) -> Result<Summary, Violation> {
        let end = Time::ZERO + TROUBLE_ENDS;
        let mut at_once = 0;
        while self.now < end || self.now.saturating_since(self.active.max(end)) < REST_AFTER {
            let Some(next) = self.next_at() else { break };
            let rest = self.now.saturating_since(end) > REST_WITHIN;
            at_once = if next > self.now { 0 } else { at_once + 1 };
            if rest || at_once > STEPS_AT_ONCE_MAX {
                let what = if rest { "it does not come to rest" } else { "it goes in circles" };
                let found = std::iter::once(what.to_owned()).chain(self.judge());
                return Err(self.violation(found.collect()));
            }
            self.now = next.max(self.now);
            self.step();
            let found = std::mem::take(&mut self.sequences.fallen);
            let found: Vec<String> = found.into_iter().chain(self.invalid.drain(..)).collect();
            if !found.is_empty() {
                return Err(self.violation(found));
            }
        }
        let found = self.judge();
        if !found.is_empty() {
            return Err(self.violation(found));
        }
        let fingerprint = self.random.clone().next();
        Ok(Summary { rested: self.active, steps: self.steps, fingerprint })
    }

    fn violation(&self, findings: Vec<String>) -> Violation {
        Violation { seed: self.seed, plant: self.planted.0, at: self.now, findings }
    }

    fn next_at(&self) -> Option<Time> {
        let agenda = self.agenda.first_key_value().map(|((at, _), _)| *at);
        let machines = self.nodes.iter().map(|node| node.machine.next_at());
        let processes = self.nodes.iter().filter_map(|node| node.process.as_ref()?.next_at());
        machines.chain(processes).chain(agenda).chain(self.network.next_at()).min()
    }

    fn step(&mut self) {
        self.steps += 1;
        while let Some((node, arrival)) = self.network.poll(self.now) {
            self.arrive(node, arrival);
        }
        while let Some(first) = self.agenda.first_entry() {
            if first.key().0 > self.now {
                break;
            }
            let due = first.remove();
            self.happen(due);
        }
        for node in 0..self.nodes.len() {
            self.machine(node);
        }
        for node in 0..self.nodes.len() {
            self.process(node);
        }
    }

    /// A node's process, if there is one, and what it acts upon.
    fn parts(&mut self, node: NodeId) -> Option<(&mut Option<Process>, Around<'_>)> {
        let Node { id, machine, disk, process } = self.nodes.get_mut(node.0)?;
        let around = Around {
            now: self.now,
            node: *id,
            scenario: &self.scenario,
            network: &mut self.network,
            machine,
            disk,
            random: &mut self.random,
            sequences: &mut self.sequences,
            planted: self.planted,
            trace: &mut self.trace,
            active: &mut self.active,
        };
        Some((process, around))
    }

    /// Lets a process do something, if there is one.
    pub(crate) fn with<T>(
        &mut self,
        node: NodeId,
        act: impl FnOnce(&mut Process, &mut Around<'_>) -> T,
    ) -> Option<T> {
        let (process, mut around) = self.parts(node)?;
        process.as_mut().map(|process| act(process, &mut around))
    }

    fn arrive(&mut self, node: NodeId, arrival: Arrival) {
        match arrival {
            Arrival::Dial { end, from } => {
                let refused = self.refusals.remove(&node);
                if refused || self.with(node, |p, around| p.called(around, end, from)).is_none() {
                    self.network.refuse(self.now, end);
                }
            }
            Arrival::Established { end } => {
                self.with(node, |p, around| p.connected(around, end));
            }
            Arrival::Failed { end, error } => {
                self.with(node, |p, around| p.dial_failed(around, end, error));
            }
            Arrival::Data { end, octets } => {
                self.with(node, |p, around| p.data(around, end, octets));
            }
            Arrival::Ended { end, error } => {
                self.with(node, |p, around| p.ended(around, end, error));
            }
            Arrival::Room { end } => {
                self.with(node, |p, around| p.room(around, end));
            }
        }
    }

    fn machine(&mut self, place: usize) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(place) else { return };
        if node.machine.next_at() > now {
            return;
        }
        node.machine.age(now);
        let id = node.id;
        for probe in node.machine.due_probes(now) {
            let asked = self.world.hosts.iter().find(|host| host.ips.contains(&probe.key.address));
            let at =
                asked.filter(|host| host.mac == probe.mac).and_then(|h| Some((*h, h.speaks_at()?)));
            let answered = at.is_some_and(|(_, place)| place == id || self.reaches(id, place));
            if let Some(node) = self.nodes.get_mut(place) {
                if let Some((host, _)) = at.filter(|(_, place)| *place == id)
                    && host.kind == Kind::Speaking
                    && let Some(port) = host.domain.port
                {
                    node.machine.frame(now, port, host.mac);
                }
                node.machine.answer(now, probe, answered);
            }
        }
        self.with(id, |process, around| process.rouse_dataplane(around));
    }

    pub(crate) fn reaches(&self, from: NodeId, to: NodeId) -> bool {
        self.world.way(from, to).windows(2).all(|pair| match pair {
            [a, b] => self.network.passes(*a, *b),
            _ => true,
        })
    }

    fn process(&mut self, place: usize) {
        let node = NodeId(place);
        let due = |p: &Process, now: Time| p.next_at().is_some_and(|at| at <= now);
        let now = self.now;
        if !self.nodes.get(place).and_then(|n| n.process.as_ref()).is_some_and(|p| due(p, now)) {
            return;
        }
        if self.with(node, |process, around| process.run(around)) == Some(Fate::Died) {
            self.bury(node);
            return;
        }
        let Some((deletions, since)) = self.with(node, |process, _| {
            // Before its restart is complete it is enough that the others were there all along.
            let calm = now.as_nanos().saturating_sub(CALM_AFTER_NANOS);
            let calm = process.born.max(Time::from_nanos(calm));
            let since = if process.complete { calm } else { process.born };
            let after_calm = !process.complete || calm > process.born;
            let since = after_calm.then_some((since, process.complete));
            (process.take_deletions(), since)
        }) else {
            return;
        };
        let Some((since, complete)) = since else { return };
        if complete && !self.world.all_untroubled_since(since) {
            return;
        }
        for deletion in deletions {
            if self.was_valid(node, since, deletion) {
                self.invalid.push(format!("node {place} deletes what is valid: {deletion:?}"));
            }
        }
    }

    /// Whether what was deleted was right by the ground truth, and the leaf behind it has been
    /// there and in no trouble since before that moment.
    fn was_valid(&self, leaf: NodeId, since: Time, deletion: Deletion) -> bool {
        let vouches = |other: NodeId| {
            let older = self.nodes.get(other.0).and_then(|n| n.process.as_ref());
            let way = self.world.way(leaf, other);
            let all_there = way
                .iter()
                .all(|node| self.nodes.get(node.0).is_some_and(|node| node.process.is_some()));
            other != leaf
                && all_there
                && older.is_some_and(|p| p.born + KNOWN_AFTER < since)
                && self.reaches(leaf, other)
                && self.world.untroubled_since(since, leaf, other)
        };
        let at_vtep = |vtep| self.nodes.iter().map(|n| n.id).find(|id| site::vtep(*id) == vtep);
        // Where a host is, others may claim too, if they were cut off when it moved there.
        let claimed = !self.world.all_untroubled_since(since);
        match deletion {
            Deletion::Fdb(..) | Deletion::Neighbour(..) if claimed => false,
            Deletion::Fdb(key, vtep) => {
                let host = self.world.known(self.now, key.mac);
                let host = host.filter(|(_, place)| Some(*place) == at_vtep(vtep));
                host.is_some_and(|(_, place)| vouches(place))
            }
            Deletion::Neighbour(key, mac) => {
                let host =
                    self.world.known(self.now, mac).filter(|(h, _)| h.ips.contains(&key.address));
                host.is_some_and(|(_, place)| vouches(place))
            }
            Deletion::Flood(key) => at_vtep(key.vtep).is_some_and(vouches),
            Deletion::Route(prefix) => {
                [site::anycast(), site::own_addresses()].concat().contains(&prefix)
                    && self.scenario.announcers.iter().copied().any(vouches)
            }
        }
    }

    /// A process is no more; its machine goes on.
    pub(crate) fn bury(&mut self, node: NodeId) {
        self.world.trouble(self.now, node);
        self.active = self.now;
        let Some((process, mut around)) = self.parts(node) else { return };
        if let Some(process) = process.take() {
            around.note(|| "evpnd is gone".to_owned());
            process.bury(&mut around);
        }
    }

    /// Starts a process where there is none.
    pub(crate) fn start(&mut self, node: NodeId) {
        let first = self.now.saturating_since(Time::ZERO) < FIRST_STARTS_WITHIN;
        let birth = if first { Birth::First } else { Birth::Restart };
        let Some((process, mut around)) = self.parts(node).filter(|(p, _)| p.is_none()) else {
            return;
        };
        *process = Some(Process::start(&mut around, birth));
        self.active = self.now;
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Act(act) => self.act(act),
            Due::Speech(host, epoch) => self.speech(host, epoch),
            Due::Reading(leaf) => self.reading(leaf),
            Due::Doom(node, born) => {
                let there = self.nodes.get(node.0).and_then(|node| node.process.as_ref());
                if there.is_some_and(|process| process.born == born) {
                    self.bury(node);
                }
            }
        }
    }

    /// Compares every kernel with the ground truth.
    fn judge(&self) -> Vec<String> {
        let leaves = self.nodes.iter().filter(|n| site::is_leaf(&self.scenario, n.id));
        let passes = |a: NodeId, b: NodeId| self.network.passes(a, b);
        let truth = Truth {
            world: &self.world,
            leaves: leaves.clone().filter(|n| n.process.is_some()).map(|n| n.id).collect(),
            announcers: &self.scenario.announcers,
            passes: &passes,
        };
        let mut found = Vec::new();
        for node in leaves {
            let name = node.id.0;
            let wrong = truth.differences(node.id, &node.machine.tables());
            let believed = node.process.as_ref().map(Process::differences).unwrap_or_default();
            let believed = believed.into_iter().map(|b| format!("its reconciler says: {b}"));
            let lines = wrong.into_iter().chain(believed);
            found.extend(lines.map(|line| format!("node {name}: {line}")));
            match &node.process {
                None => found.push(format!("node {name} has no evpnd")),
                Some(process) if !process.complete => {
                    found.push(format!("the restart of node {name} is not complete"));
                }
                Some(_) => {}
            }
        }
        found
    }
}
