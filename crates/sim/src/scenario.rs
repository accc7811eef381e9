//! What happens in a run: who is there, and which acts come when.
//!
//! **A scenario is a value, computed from its seed before the run begins**: what the nodes do in
//! answer changes nothing of it, so that two runs with and without a planted bug can be compared.

use crate::random::Random;
use crate::site::{DOMAINS, L3, NodeId};
use evpn_dataplane::object::IfIndex;
use evpn_dataplane::op::ErrorClass;
use std::time::Duration;

/// When the first trouble may come: by then the sessions stand.
const TROUBLE_BEGINS: Duration = Duration::from_secs(20);
/// When the last act is over, and everything is mended that is going to be.
pub(crate) const TROUBLE_ENDS: Duration = Duration::from_secs(180);
/// The longest that a process is away.
const AWAY_MAX: Duration = Duration::from_secs(30);
/// The longest that a path is cut: longer than the hold time, and sometimes than the restart time.
const CUT_MAX: Duration = Duration::from_secs(70);
/// Outputs of the engine after which a process dies that is to die in the middle of its work.
const DEATH_OUTPUTS_MAX: usize = 12;

/// How the nodes are connected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Topology {
    /// One AS, a session between any two leaves.
    Mesh,
    /// Each node an AS of its own; leaves speak with the spine only.
    Spine,
}

/// A host, by its place in [`Scenario::hosts`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HostId(pub usize);

/// How a node's news are lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loss {
    /// The monitor overran, and says so.
    Told,
    /// Nobody notices before the next audit.
    Silent,
}

/// How a host leaves its port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Departure {
    /// The port loses its carrier and the bridge forgets it.
    Unplugged,
    /// Nobody sees it (a virtual machine migrates).
    Unseen,
}

/// How a session is cleared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clear {
    /// Routes are exchanged again.
    Soft,
    /// The session ends and starts again.
    Hard,
}

/// Something that happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// The host is behind this leaf from now on, and speaks.
    Arrive(HostId, NodeId, Departure),
    /// The host is switched off where it is, and nobody is told.
    SwitchOff(HostId),
    /// The host is back, and speaks.
    SwitchOn(HostId),
    /// evpnd dies at once or, where it is not 0, once the engine has put out so many outputs more;
    /// its kernel goes on.
    Crash(NodeId, usize),
    /// evpnd ends as upon SIGTERM.
    Stop(NodeId),
    /// evpnd starts again with what is on its disk.
    Restart(NodeId),
    /// Nothing passes between two nodes; what was sent waits.
    Cut(NodeId, NodeId),
    /// It passes again.
    Mend(NodeId, NodeId),
    /// The device toward the others loses its carrier.
    UplinkDown(NodeId),
    /// It has one again.
    UplinkUp(NodeId),
    /// The operator deletes a VXLAN device.
    DeviceGone(NodeId, IfIndex),
    /// And makes it again.
    DeviceBack(NodeId, IfIndex),
    /// Somebody deletes objects of evpnd's from the kernel, so many.
    Meddle(NodeId, usize),
    /// The operator takes a bridge or a VXLAN device down.
    DeviceDown(NodeId, IfIndex),
    /// And up again.
    DeviceUp(NodeId, IfIndex),
    /// The operator clears a session.
    Clear(NodeId, NodeId, Clear),
    /// The next dial to a node is refused.
    Refuse(NodeId),
    /// The next writes to the kernel fail; `applied` ones take effect all the same.
    FailWrites {
        /// Whose kernel.
        node: NodeId,
        /// How many.
        count: usize,
        /// With what.
        class: ErrorClass,
        /// Whether only the answer is lost.
        applied: bool,
    },
    /// What the kernel said and nobody has read yet is lost.
    LoseNews(NodeId, Loss),
    /// The battery has this much, in percent.
    Battery(NodeId, u8),
    /// The feed says this instead, in percent, for a while.
    Lie(NodeId, u8),
    /// The feed tells the truth again.
    Honest(NodeId),
    /// The feed says nothing.
    FeedSilent(NodeId),
}

/// How a host comes to be in its bridge's table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// It speaks, and the bridge learns.
    Speaking,
    /// The operator writes it there, and deletes it where it was.
    Written,
}

/// A host before it comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HostPlan {
    /// The place of its bridge domain.
    pub domain: usize,
    /// How it comes.
    pub kind: Kind,
}

/// Everything that is decided before a run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// How many leaves.
    pub leaves: usize,
    /// How they are connected.
    pub topology: Topology,
    /// The hosts.
    pub hosts: Vec<HostPlan>,
    /// The leaves that announce the anycast prefix.
    pub announcers: Vec<NodeId>,
    /// What happens, by ascending time.
    pub acts: Vec<(Duration, Act)>,
}

impl Scenario {
    /// The scenario of a seed.
    pub fn of_seed(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x5ce7_a510);
        let leaves = 3 + random.below(3);
        let topology = if random.chance(60) { Topology::Mesh } else { Topology::Spine };
        let host = |random: &mut Random| HostPlan {
            domain: random.below(DOMAINS.len()),
            kind: if random.chance(10) { Kind::Written } else { Kind::Speaking },
        };
        let hosts = (0..6 + random.below(10)).map(|_| host(&mut random)).collect();
        let first = random.below(leaves);
        let second = (first + 1 + random.below(leaves - 1)) % leaves;
        let announcers = vec![NodeId(first), NodeId(second)];
        let scenario = Self { leaves, topology, hosts, announcers, acts: Vec::new() };
        Writer { random, scenario }.write()
    }

    fn spine(&self) -> Option<NodeId> {
        (self.topology == Topology::Spine).then_some(NodeId(self.leaves))
    }
}

struct Writer {
    random: Random,
    scenario: Scenario,
}

impl Writer {
    fn write(mut self) -> Scenario {
        for host in (0..self.scenario.hosts.len()).map(HostId) {
            self.live(host);
        }
        for leaf in (0..self.scenario.leaves).map(NodeId) {
            if self.scenario.announcers.contains(&leaf) {
                self.energy(leaf);
            }
        }
        for _ in 0..2 + self.random.below(7) {
            self.trouble();
        }
        if self.random.chance(20) {
            self.last_cut();
        }
        self.scenario.acts.sort_by_key(|(at, _)| *at);
        self.scenario
    }

    fn act(&mut self, at: Duration, act: Act) {
        self.scenario.acts.push((at.min(TROUBLE_ENDS), act));
    }

    /// Any moment, or one at which much else is going on: right after an act that is planned.
    fn moment(&mut self) -> Duration {
        let most = TROUBLE_ENDS - Duration::from_secs(5);
        let any = self.random.between(TROUBLE_BEGINS, most);
        let place = self.random.below(self.scenario.acts.len());
        let busy = self.scenario.acts.get(place).map(|(at, _)| *at);
        let busy = busy.filter(|at| *at > TROUBLE_BEGINS && *at < most);
        match busy.filter(|_| self.random.chance(50)) {
            Some(at) => at + self.random.up_to(Duration::from_millis(15)),
            None => any,
        }
    }

    fn leaf(&mut self) -> NodeId {
        NodeId(self.random.below(self.scenario.leaves))
    }

    /// Any node; the spine as often as all leaves together, since all depends on it.
    fn node(&mut self) -> NodeId {
        match self.scenario.spine() {
            Some(spine) if self.random.chance(40) => spine,
            _ => self.leaf(),
        }
    }

    /// Two nodes with a session.
    fn pair(&mut self) -> (NodeId, NodeId) {
        let one = self.leaf();
        match self.scenario.spine() {
            Some(spine) => (one, spine),
            None => {
                let leaves = self.scenario.leaves;
                (one, NodeId((one.0 + 1 + self.random.below(leaves - 1)) % leaves))
            }
        }
    }

    fn live(&mut self, host: HostId) {
        let mut at = self.random.between(Duration::from_secs(3), Duration::from_secs(60));
        let leaf = self.leaf();
        self.act(at, Act::Arrive(host, leaf, Departure::Unseen));
        for _ in 0..self.random.below(4) {
            // Now and then a host moves again before anybody knows where it was.
            let pause = if self.random.chance(25) { 1 } else { 60 };
            at += self.random.up_to(Duration::from_secs(pause));
            let leaf = self.leaf();
            if self.random.chance(8) {
                let loss = if self.random.chance(50) { Loss::Told } else { Loss::Silent };
                self.act(at, Act::LoseNews(leaf, loss));
            }
            if at > TROUBLE_BEGINS && self.random.chance(15) {
                self.death_at_work(at);
            }
            let unplugged = self.random.chance(30);
            let departure = if unplugged { Departure::Unplugged } else { Departure::Unseen };
            self.act(at, Act::Arrive(host, leaf, departure));
        }
        if self.random.chance(20) {
            at += self.random.up_to(Duration::from_secs(40));
            self.act(at, Act::SwitchOff(host));
            if self.random.chance(50) {
                at += self.random.up_to(Duration::from_secs(100));
                self.act(at, Act::SwitchOn(host));
            }
        }
    }

    /// A process dies while it tells its kernel of a host that has just moved.
    fn death_at_work(&mut self, at: Duration) {
        let leaf = self.leaf();
        let (least, most) = (Duration::from_millis(5), Duration::from_millis(20));
        let death = at + self.random.between(least, most);
        let back = death + self.random.up_to(AWAY_MAX);
        self.act(death, Act::Crash(leaf, 0));
        self.act(back, Act::Restart(leaf));
        self.act(TROUBLE_ENDS, Act::Restart(leaf));
    }

    fn energy(&mut self, leaf: NodeId) {
        // Far from the thresholds of 50, 30 and 15 percent, also with the recovery on top.
        const CHARGES: [u8; 4] = [90, 42, 26, 6];
        let charge = |random: &mut Random| random.pick(&CHARGES).unwrap_or(90);
        for _ in 0..self.random.below(3) {
            let (at, charge) = (self.moment(), charge(&mut self.random));
            self.act(at, Act::Battery(leaf, charge));
        }
        for _ in 0..self.random.below(3) {
            let at = self.moment();
            let until = at + self.random.up_to(Duration::from_secs(30));
            let lie = self.random.pick(&[0, 3, 100]).unwrap_or(0);
            let silent = self.random.chance(50);
            self.act(at, if silent { Act::FeedSilent(leaf) } else { Act::Lie(leaf, lie) });
            self.act(until, Act::Honest(leaf));
        }
        let last = charge(&mut self.random);
        self.act(TROUBLE_ENDS, Act::Honest(leaf));
        self.act(TROUBLE_ENDS, Act::Battery(leaf, last));
    }

    fn trouble(&mut self) {
        let at = self.moment();
        match self.random.below(20) {
            0..=3 => self.absence(at),
            18 | 19 => self.lonely_restart(at),
            4 | 5 => {
                let (a, b) = self.pair();
                let until = at + self.random.up_to(CUT_MAX);
                self.act(at, Act::Cut(a, b));
                self.act(until, Act::Mend(a, b));
                self.act(TROUBLE_ENDS, Act::Mend(a, b));
            }
            6 => {
                let node = self.node();
                let until = at + self.random.up_to(CUT_MAX);
                self.act(at, Act::UplinkDown(node));
                self.act(until, Act::UplinkUp(node));
                self.act(TROUBLE_ENDS, Act::UplinkUp(node));
            }
            7 => {
                let devices = DOMAINS.into_iter().chain([L3]).flat_map(|d| [d.bridge, d.vxlan]);
                let devices: Vec<IfIndex> = devices.collect();
                let Some(device) = self.random.pick(&devices) else { return };
                let leaf = self.leaf();
                let until = at + self.random.up_to(Duration::from_secs(20));
                self.act(at, Act::DeviceDown(leaf, device));
                self.act(until, Act::DeviceUp(leaf, device));
                self.act(TROUBLE_ENDS, Act::DeviceUp(leaf, device));
            }
            8 => {
                let (a, b) = self.pair();
                let kind = if self.random.chance(50) { Clear::Soft } else { Clear::Hard };
                self.act(at, Act::Clear(a, b, kind));
            }
            9 => {
                let node = self.node();
                self.act(at, Act::Refuse(node));
            }
            10 | 11 => self.failing_writes(at),
            12 => {
                let domains: Vec<IfIndex> =
                    DOMAINS.into_iter().chain([L3]).map(|domain| domain.vxlan).collect();
                let Some(device) = self.random.pick(&domains) else { return };
                let leaf = self.leaf();
                let until = at + self.random.up_to(Duration::from_secs(20));
                self.act(at, Act::DeviceGone(leaf, device));
                self.act(until, Act::DeviceBack(leaf, device));
            }
            13 | 14 => {
                let (leaf, count) = (self.leaf(), 1 + self.random.below(5));
                self.act(at, Act::Meddle(leaf, count));
            }
            _ => {
                let node = self.leaf();
                let loss = if self.random.chance(50) { Loss::Told } else { Loss::Silent };
                self.act(at, Act::LoseNews(node, loss));
            }
        }
    }

    fn absence(&mut self, at: Duration) {
        let node = self.node();
        let back = at + self.random.up_to(AWAY_MAX);
        if self.random.chance(70) {
            let outputs = self.random.below(DEATH_OUTPUTS_MAX);
            self.act(at, Act::Crash(node, outputs));
        } else {
            self.act(at, Act::Stop(node));
        }
        self.act(back, Act::Restart(node));
        self.act(TROUBLE_ENDS, Act::Restart(node));
    }

    /// A process starts again while one of its neighbours cannot be reached.
    fn lonely_restart(&mut self, at: Duration) {
        let (a, b) = self.pair();
        let until = at + self.random.between(CUT_MAX / 2, CUT_MAX);
        let away = at + self.random.up_to(Duration::from_secs(10));
        let back = away + self.random.up_to(Duration::from_secs(5));
        self.act(at, Act::Cut(a, b));
        self.act(away, Act::Crash(a, 0));
        self.act(back, Act::Restart(a));
        self.act(until, Act::Mend(a, b));
        self.act(TROUBLE_ENDS, Act::Mend(a, b));
        self.act(TROUBLE_ENDS, Act::Restart(a));
    }

    fn failing_writes(&mut self, at: Duration) {
        const CLASSES: [ErrorClass; 5] = [
            ErrorClass::Busy,
            ErrorClass::NoMemory,
            ErrorClass::Other,
            ErrorClass::NoEntry,
            ErrorClass::Refused,
        ];
        let node = self.leaf();
        let count = 1 + self.random.below(6);
        let class = self.random.pick(&CLASSES).unwrap_or(ErrorClass::Busy);
        let applied = class == ErrorClass::Busy && self.random.chance(50);
        self.act(at, Act::FailWrites { node, count, class, applied });
    }

    /// One path stays cut for good.
    fn last_cut(&mut self) {
        let (a, b) = self.pair();
        self.act(TROUBLE_ENDS, Act::Cut(a, b));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_one_scenario_and_seeds_differ() {
        let acts = |seed| Scenario::of_seed(seed).acts;
        assert_eq!(acts(7), acts(7));
        assert_ne!(acts(7), acts(8));
    }

    #[test]
    fn nothing_happens_after_the_end_and_every_process_is_back_by_then() {
        for seed in 0..200 {
            let scenario = Scenario::of_seed(seed);
            assert!(scenario.acts.is_sorted_by_key(|(at, _)| *at));
            let mut away = std::collections::BTreeSet::new();
            for (at, act) in scenario.acts {
                assert!(at <= TROUBLE_ENDS);
                match act {
                    Act::Crash(node, _) | Act::Stop(node) => {
                        away.insert(node);
                    }
                    Act::Restart(node) => {
                        away.remove(&node);
                    }
                    _ => {}
                }
            }
            assert!(away.is_empty(), "seed {seed}: {away:?}");
        }
    }
}
