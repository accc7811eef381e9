//! A leaf's machine without evpnd: its kernel, the hosts' frames that reach it, and its faults.
//!
//! What the fake kernel leaves out is here: entries age, ARP does not touch what a control plane
//! wrote, a probe is answered or fails, and a device that goes down takes its learned entries along.
//!
//! **It outlives every process**, and nothing in here knows what evpnd wants.

use crate::random::Random;
use crate::scenario::Loss;
use crate::tables::Tables;
use evpn_dataplane::facts::{Link, LinkKind};
use evpn_dataplane::fake::{Kernel, connected, failure, resolved};
use evpn_dataplane::object::{FdbKey, IfIndex, NeighbourKey};
use evpn_dataplane::observe::{MacState, Observation, Resolution, SeenNeighbour};
use evpn_dataplane::op::{ErrorClass, Failure, Halves, KernelRoute, Op};
use evpn_proto::types::{MacAddr, Time};
use ipnet::IpNet;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

/// A learned entry that was not refreshed for this long goes.
const MAC_AGE_MAX: Duration = Duration::from_secs(50);
/// So does a neighbour, after a probe that nobody answers.
const NEIGHBOUR_AGE_MAX: Duration = Duration::from_secs(70);
/// The time between two looks at ages.
const AGEING_EVERY: Duration = Duration::from_secs(5);
/// The longest that a host takes to answer, and that the kernel waits for it.
const ANSWER_MAX: Duration = Duration::from_secs(1);
/// How long the monitor loses what comes.
const DEAF_FOR: Duration = Duration::from_secs(6);

/// Writes that are to fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trouble {
    pub(crate) class: ErrorClass,
    pub(crate) applied: bool,
}

/// A probe that waits for its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Probe {
    pub(crate) key: NeighbourKey,
    pub(crate) mac: MacAddr,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Machine {
    kernel: Kernel,
    links: Vec<Link>,
    addresses: Vec<(IfIndex, IpNet)>,
    spoke: BTreeMap<(IfIndex, MacAddr), Time>,
    answered: BTreeMap<NeighbourKey, Time>,
    probes: BTreeMap<Time, Vec<Probe>>,
    troubles: VecDeque<Trouble>,
    deaf: Option<(Time, Loss)>,
    next_ageing: Time,
    random: Random,
}

impl Machine {
    pub(crate) fn new(
        links: Vec<Link>,
        addresses: Vec<(IfIndex, IpNet)>,
        mut random: Random,
    ) -> Self {
        let mut kernel = Kernel::new();
        for link in &links {
            kernel.set_link(link.clone());
        }
        for (device, address) in &addresses {
            kernel.other_route(connected(*device, address.trunc()));
        }
        let next_ageing = Time::ZERO + random.up_to(AGEING_EVERY);
        Self {
            kernel,
            links,
            addresses,
            spoke: BTreeMap::new(),
            answered: BTreeMap::new(),
            probes: BTreeMap::new(),
            troubles: VecDeque::new(),
            deaf: None,
            next_ageing,
            random,
        }
    }

    pub(crate) fn tables(&self) -> Tables {
        Tables::of(self.kernel.dump())
    }

    /// Everything, as a dump shows it.
    pub(crate) fn dump(&self) -> Vec<Observation> {
        let addresses = self
            .addresses
            .iter()
            .map(|(device, address)| Observation::Address { device: *device, address: *address });
        let is_link = |seen: &Observation| matches!(seen, Observation::Link(_));
        let (links, others): (Vec<_>, Vec<_>) = self.kernel.dump().into_iter().partition(is_link);
        links.into_iter().chain(addresses).chain(others).collect()
    }

    /// What the monitor has to say.
    pub(crate) fn take_news(&mut self, now: Time) -> Vec<Observation> {
        if self.deaf.is_some_and(|(until, _)| now < until) {
            self.kernel.lose_news();
        }
        self.kernel.take_news()
    }

    /// Whether the monitor knows that it lost something.
    pub(crate) fn has_lost_news(&mut self, now: Time) -> bool {
        match self.deaf {
            Some((until, loss)) if now < until => {
                let lost = !self.kernel.take_news().is_empty();
                lost && loss == Loss::Told
            }
            _ => false,
        }
    }

    pub(crate) fn lose_news(&mut self, now: Time, loss: Loss) {
        self.deaf = Some((now + DEAF_FOR, loss));
    }

    pub(crate) fn fail_next(&mut self, trouble: Trouble, count: usize) {
        self.troubles.extend(std::iter::repeat_n(trouble, count));
    }

    /// Faults are over.
    pub(crate) fn behave(&mut self) {
        self.troubles.clear();
        self.deaf = None;
    }

    /// Executes one write.
    pub(crate) fn apply(&mut self, now: Time, op: &Op) -> Result<(), Failure> {
        let result = match self.troubles.pop_front() {
            Some(trouble) => {
                // "No such entry" is never said of one that stays: somebody else was faster.
                let gone = trouble.class == ErrorClass::NoEntry && op.is_delete();
                if trouble.applied || gone {
                    self.execute(now, op).ok();
                }
                Err(failure(trouble.class, errno(trouble.class), "a fault of the simulation"))
            }
            None => self.execute(now, op),
        };
        self.kernel.take_log();
        result
    }

    fn execute(&mut self, now: Time, op: &Op) -> Result<(), Failure> {
        self.kernel.apply(op)?;
        if let Op::Probe { device, address, mac } = op {
            let key = NeighbourKey { device: *device, address: *address };
            let at = now + self.random.up_to(ANSWER_MAX);
            self.probes.entry(at).or_default().push(Probe { key, mac: *mac });
        }
        Ok(())
    }

    /// When something happens here by itself.
    pub(crate) fn next_at(&self) -> Time {
        let probe = self.probes.first_key_value().map(|(at, _)| *at);
        probe.map_or(self.next_ageing, |at| at.min(self.next_ageing))
    }

    /// Probes whose answer is due; [`Machine::answer`] each.
    pub(crate) fn due_probes(&mut self, now: Time) -> Vec<Probe> {
        let mut due = Vec::new();
        while let Some(first) = self.probes.first_entry() {
            if *first.key() > now {
                break;
            }
            due.extend(first.remove());
        }
        due
    }

    /// A probe was answered, or not.
    pub(crate) fn answer(&mut self, now: Time, probe: Probe, answered: bool) {
        let probed = |seen: &SeenNeighbour| !seen.external && seen.mac == Some(probe.mac);
        if !self.tables().neighbours.get(&probe.key).is_some_and(probed) {
            return;
        }
        if answered {
            self.answered.insert(probe.key, now);
            self.kernel.other_neighbour(resolved(probe.key.device, probe.key.address, probe.mac));
        } else {
            self.fail_neighbour(probe.key);
        }
    }

    fn fail_neighbour(&mut self, key: NeighbourKey) {
        let failed = resolved(key.device, key.address, MacAddr::ZERO);
        let failed = SeenNeighbour { mac: None, resolution: Resolution::Unresolved, ..failed };
        self.kernel.other_neighbour(failed);
    }

    /// A frame of a host comes in by a port.
    pub(crate) fn frame(&mut self, now: Time, port: IfIndex, mac: MacAddr) {
        let tables = self.tables();
        let Some(bridge) = tables.links.get(&port).and_then(|link| link.master) else { return };
        if !tables.links.get(&bridge).is_some_and(Link::is_up) {
            return;
        }
        self.kernel.frame(port, mac);
        self.spoke.insert((bridge, mac), now);
    }

    /// The kernel sees an ARP message of a host, which says nothing new of an entry that a control
    /// plane wrote (`noarp`).
    pub(crate) fn arp(&mut self, now: Time, device: IfIndex, address: IpAddr, mac: MacAddr) {
        let tables = self.tables();
        let key = NeighbourKey { device, address };
        let former = tables.neighbours.get(&key);
        let fixed = former.is_some_and(|seen| {
            seen.external || matches!(seen.resolution, Resolution::NoArp | Resolution::Permanent)
        });
        if fixed || !tables.links.get(&device).is_some_and(Link::is_up) {
            return;
        }
        self.answered.insert(key, now);
        let seen = resolved(device, address, mac);
        let known =
            |former: &SeenNeighbour| former.mac == seen.mac && former.resolution == seen.resolution;
        if !former.is_some_and(known) {
            self.kernel.other_neighbour(seen);
        }
    }

    /// A host's port loses its carrier: the bridge forgets what it learned there.
    pub(crate) fn unplug(&mut self, bridge: IfIndex, mac: MacAddr) {
        if self.is_learned(bridge, mac) {
            self.kernel.forget_mac(bridge, mac);
        }
    }

    /// The operator writes a host's entry.
    pub(crate) fn write_host(&mut self, port: IfIndex, mac: MacAddr) {
        self.kernel.operator_mac(port, mac, MacState::Static);
    }

    /// The operator deletes a host's entry, wherever the bridge has it.
    pub(crate) fn delete_host(&mut self, bridge: IfIndex, mac: MacAddr) {
        let entry = self.tables().bridge.get(&(bridge, mac)).copied();
        if entry.is_some_and(|entry| entry.state == MacState::Static) {
            self.kernel.forget_mac(bridge, mac);
        }
    }

    /// The operator deletes a device.
    pub(crate) fn remove_device(&mut self, device: IfIndex) {
        self.kernel.remove_link(device);
    }

    /// And makes it again as it was.
    pub(crate) fn restore_device(&mut self, device: IfIndex) {
        if let Some(link) = self.links.iter().find(|link| link.index == device) {
            self.kernel.set_link(link.clone());
        }
    }

    /// Somebody deletes objects of evpnd's, with a word from the kernel for each.
    pub(crate) fn meddle(&mut self, count: usize) {
        for _ in 0..count {
            let tables = self.tables();
            let fdb =
                tables.vxlan.keys().map(|key| Op::FdbDelete { key: *key, halves: Halves::Vxlan });
            let bridge = tables.bridge.iter().filter(|(_, e)| e.state == MacState::External);
            let bridge = bridge.map(|((_, mac), entry)| Op::FdbDelete {
                key: FdbKey { device: entry.port, mac: *mac },
                halves: Halves::Bridge,
            });
            let flood = tables.flood.iter().map(|key| Op::FloodDelete(*key));
            let neighbours = tables.neighbours.values().filter(|seen| seen.external);
            let neighbours = neighbours.map(|seen| Op::NeighbourDelete(seen.key));
            let routes = tables
                .routes
                .iter()
                .map(|seen| Op::RouteDelete(KernelRoute { key: seen.key, metric: seen.metric }));
            let nexthops = tables.nexthops.keys().map(|id| Op::NexthopDelete(*id));
            let all: Vec<Op> = fdb
                .chain(bridge)
                .chain(flood)
                .chain(neighbours)
                .chain(routes)
                .chain(nexthops)
                .collect();
            let place = self.random.below(all.len());
            if let Some(op) = all.get(place) {
                self.kernel.apply(op).ok();
            }
        }
        self.kernel.take_log();
    }

    fn is_learned(&self, bridge: IfIndex, mac: MacAddr) -> bool {
        let entry = self.tables().bridge.get(&(bridge, mac)).copied();
        entry.is_some_and(|entry| entry.state == MacState::Learned)
    }

    /// Lets age what has not been refreshed.
    pub(crate) fn age(&mut self, now: Time) {
        if now < self.next_ageing {
            return;
        }
        self.next_ageing = now + AGEING_EVERY;
        let old = |at: &Time, most: Duration| now.saturating_since(*at) > most;
        let macs = self.spoke.iter().filter(|(_, at)| old(at, MAC_AGE_MAX));
        for (bridge, mac) in macs.map(|(key, _)| *key).collect::<Vec<_>>() {
            self.spoke.remove(&(bridge, mac));
            self.unplug(bridge, mac);
        }
        let keys = self.answered.iter().filter(|(_, at)| old(at, NEIGHBOUR_AGE_MAX));
        for key in keys.map(|(key, _)| *key).collect::<Vec<_>>() {
            self.answered.remove(&key);
            let tables = self.tables();
            if tables.neighbours.get(&key).is_some_and(|seen| !seen.external) {
                self.fail_neighbour(key);
            }
        }
    }

    /// Sets a device up or down. A bridge that goes down forgets what it learned, and its
    /// neighbours with it; so does a port.
    pub(crate) fn set_up(&mut self, device: IfIndex, up: bool) {
        let tables = self.tables();
        let Some(link) = tables.links.get(&device).filter(|link| link.is_up() != up) else {
            return;
        };
        self.kernel.set_up(device, up);
        if up {
            return;
        }
        let on_it = |(key, entry): (&(IfIndex, MacAddr), &crate::tables::BridgeEntry)| {
            let here = key.0 == device || entry.port == device;
            (here && entry.state == MacState::Learned).then_some(*key)
        };
        for (bridge, mac) in tables.bridge.iter().filter_map(on_it) {
            self.kernel.forget_mac(bridge, mac);
        }
        if matches!(link.kind, LinkKind::Bridge { .. }) {
            for key in tables.neighbours.keys().filter(|key| key.device == device) {
                self.kernel.apply(&Op::NeighbourDelete(*key)).ok();
            }
            self.kernel.take_log();
        }
    }
}

const fn errno(class: ErrorClass) -> i32 {
    match class {
        ErrorClass::Exists => 17,
        ErrorClass::NoEntry => 2,
        ErrorClass::NoDevice => 19,
        ErrorClass::NetDown => 100,
        ErrorClass::Refused => 22,
        ErrorClass::NoMemory => 105,
        ErrorClass::Denied => 1,
        ErrorClass::Busy => 16,
        ErrorClass::Other => 5,
    }
}
