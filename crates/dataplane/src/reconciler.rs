//! From what the kernel has to what routing wants.
//!
//! Wishes ([`Reconciler::want`]) and observations ([`Reconciler::observe`]) meet in rows; rows that
//! changed are queued, and [`Reconciler::plan`] turns them into writes, additions before deletions.
//! Whoever executes them says how each went ([`Reconciler::done`]).
//!
//! **What is not marked as ours is never written over and never deleted.**
//!
//! The order that keeps belief and kernel equal: `plan`, execute, `done`, and then `observe` all
//! news that the writes caused before the next `plan`. News may then only be as old as the last
//! batch, and each object is in a batch once.
//!
//! **Host moves.** When a host shows up on an access port, the bridge moves its entry there by
//! itself and clears its mark; the VXLAN device's entry stays. Nothing is written against that: the
//! row is *ceded*, the engine hears of the local host and decides. A wish for the row counts as its
//! decision only if the engine had heard that report when it made it: that is what `heard` says.
//! Not wanted any more: the left-over half is deleted. Wanted again, even with the same value: both
//! halves are written, and the bridge moves its entry back.

use crate::facts::KernelEvent;
use crate::heard::Heard;
use crate::nexthops::NexthopBook;
use crate::object::{
    Change, Command, FdbEntry, FdbKey, FdbTarget, FloodKey, IfIndex, Mode, Neighbour, NeighbourKey,
    NexthopId, RouteKey,
};
use crate::observe::{MacState, NexthopSpec, Observation, PROTOCOL, SeenNeighbour, SeenRoute};
use crate::obstacle::{Key, Obstacles};
use crate::op::{ErrorClass, KernelRoute};
use crate::plan::Stage;
use crate::table::{Marks, Table};
use crate::tracker::Tracker;
use evpn_proto::types::Time;
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

/// What IPv6 makes of a metric of 0 (`IP6_RT_PRIO_USER`).
const IPV6_DEFAULT_METRIC: u32 = 1024;

/// The reconciler's settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The number that marks routes, nexthops and neighbours as ours.
    pub protocol: u8,
    /// Take over what another EVPN daemon left: its flood entries and neighbours count as ours.
    pub takeover: bool,
    /// How many stale objects a sweep deletes at a time.
    pub sweep_batch: usize,
    /// The time between two such batches.
    pub sweep_every: Duration,
}

impl Default for Settings {
    /// 256 every 50 ms: 100,000 entries in 20 s, and a mistaken sweep is stopped by an operator
    /// before it is through.
    fn default() -> Self {
        Self {
            protocol: PROTOCOL,
            takeover: false,
            sweep_batch: 256,
            sweep_every: Duration::from_millis(50),
        }
    }
}

/// What has happened so far.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counters {
    /// Objects written.
    pub written: u64,
    /// Objects deleted, swept ones included.
    pub deleted: u64,
    /// Stale objects deleted.
    pub swept: u64,
    /// Writes that only a dump found necessary: events were missed, or somebody interfered.
    pub repairs: u64,
    /// Full dumps compared.
    pub dumps: u64,
    /// Failures, in the order of [`ErrorClass::ALL`].
    pub failures: [u64; ErrorClass::COUNT],
}

/// How much there is of one kind of object.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Tally {
    /// How many are wanted.
    pub wanted: usize,
    /// How many of ours the kernel has.
    pub present: usize,
}

/// How much there is of everything.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Summary {
    /// FDB entries.
    pub fdb: Tally,
    /// Flood entries.
    pub flood: Tally,
    /// Neighbours.
    pub neighbours: Tally,
    /// Routes.
    pub routes: Tally,
    /// Nexthops and groups.
    pub nexthops: Tally,
    /// Objects set aside after a failure.
    pub parked: usize,
    /// Stale objects that a sweep still has to delete.
    pub to_sweep: usize,
}

/// The bridge's half of an FDB entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BridgeHalf {
    pub(crate) state: MacState,
    pub(crate) sticky: bool,
}

/// The VXLAN device's half; a group by the kernel's id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct VxlanHalf {
    pub(crate) to: FdbTarget,
    pub(crate) state: MacState,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct FdbHave {
    pub(crate) bridge: Option<BridgeHalf>,
    pub(crate) vxlan: Option<VxlanHalf>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FloodHave {
    pub(crate) ours: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NeighbourHave {
    Ours(Neighbour),
    /// Another control plane's.
    Foreign,
}

/// See the [module documentation](self).
#[derive(Debug)]
pub struct Reconciler {
    pub(crate) settings: Settings,
    pub(crate) mode: Mode,
    pub(crate) tracker: Tracker,
    pub(crate) nexthops: NexthopBook,
    pub(crate) fdb: Table<FdbKey, FdbEntry, FdbHave>,
    pub(crate) flood: Table<FloodKey, (), FloodHave>,
    pub(crate) neighbours: Table<NeighbourKey, Neighbour, NeighbourHave>,
    /// Wanted by the engine's id, present by the kernel's; 0 for a route of ours without one.
    pub(crate) routes: Table<KernelRoute, NexthopId, NexthopId>,
    metrics: HashMap<RouteKey, u32, FixedState>,
    pub(crate) commands: VecDeque<Command>,
    pub(crate) heard: Heard,
    pub(crate) obstacles: Obstacles,
    /// Rows that wait for any nexthop to be there.
    pub(crate) waiting: HashSet<Key, FixedState>,
    pub(crate) stale: VecDeque<Key>,
    pub(crate) managed: HashSet<IfIndex, FixedState>,
    pub(crate) sweep_hold: Option<String>,
    pub(crate) next_sweep: Time,
    /// The moment that news are observed at, as far as it was told.
    pub(crate) now: Time,
    pub(crate) paused_until: Option<Time>,
    pub(crate) pauses: u8,
    pub(crate) stage: Stage,
    /// In a dump; the first one repairs nothing.
    pub(crate) dumping: bool,
    pub(crate) adopted: bool,
    pub(crate) suspect: bool,
    /// A dump contradicted some row, which is marked.
    pub(crate) contradicted: bool,
    pub(crate) counters: Counters,
}

impl Reconciler {
    /// In [`Mode::Adopt`], knowing nothing. `seed` is for its hash tables: remote hosts choose keys.
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self {
            settings,
            mode: Mode::Adopt,
            tracker: Tracker::new(seed),
            nexthops: NexthopBook::new(seed),
            fdb: Table::new(seed),
            flood: Table::new(seed),
            neighbours: Table::new(seed),
            routes: Table::new(seed),
            metrics: HashMap::with_hasher(FixedState::with_seed(seed)),
            commands: VecDeque::new(),
            heard: Heard::new(seed),
            obstacles: Obstacles::new(seed),
            waiting: HashSet::with_hasher(FixedState::with_seed(seed)),
            stale: VecDeque::new(),
            managed: HashSet::with_hasher(FixedState::with_seed(seed)),
            sweep_hold: None,
            next_sweep: Time::ZERO,
            now: Time::ZERO,
            paused_until: None,
            pauses: 0,
            stage: Stage::Idle,
            dumping: false,
            adopted: false,
            suspect: false,
            contradicted: false,
            counters: Counters::default(),
        }
    }

    /// Takes a wish of the engine. `heard` is the number of the last report ([`Self::take_news`])
    /// that the engine had taken in when it made it.
    pub fn want(&mut self, change: Change, heard: u64) {
        self.hear_again(&change);
        match change {
            Change::Fdb(key, want) => self.want_fdb(key, want, heard),
            Change::Flood(key, want) => {
                self.managed.insert(key.device);
                let row = self.flood.entry_queued(key);
                row.want = want;
                wish(&mut self.obstacles, Key::Flood(key), &mut row.marks, want.is_some());
            }
            Change::Neighbour(key, want) => {
                let row = self.neighbours.entry_queued(key);
                row.want = want;
                wish(&mut self.obstacles, Key::Neighbour(key), &mut row.marks, want.is_some());
            }
            Change::Route(key, want) => {
                let metric = want.map(|route| metric_of(key, route.metric));
                let old = match metric {
                    Some(metric) => self.metrics.insert(key, metric),
                    None => self.metrics.remove(&key),
                };
                if let Some(old) = old.filter(|old| Some(*old) != metric) {
                    self.want_route(KernelRoute { key, metric: old }, None);
                }
                if let (Some(metric), Some(route)) = (metric, want) {
                    self.want_route(KernelRoute { key, metric }, Some(route.nexthop));
                }
            }
            Change::Nexthop(id, want) => self.want_nexthop(id, want.map(NexthopSpec::Routed)),
            Change::Group(id, want) => self.want_nexthop(id, want.map(NexthopSpec::Group)),
            Change::FdbNexthop(id, want) => self.want_nexthop(id, want.map(NexthopSpec::Fdb)),
            Change::FdbGroup(id, want) => self.want_nexthop(id, want.map(NexthopSpec::FdbGroup)),
        }
    }

    fn want_fdb(&mut self, key: FdbKey, want: Option<FdbEntry>, heard: u64) {
        self.managed.insert(key.device);
        let row = self.fdb.entry_queued(key);
        row.want = want;
        wish(&mut self.obstacles, Key::Fdb(key), &mut row.marks, want.is_some());
        if want.is_none() || self.tracker.locals.is_empty() {
            return;
        }
        let local = self
            .tracker
            .bridge_of(key.device)
            .and_then(|bridge| self.tracker.locals.get(&(bridge, key.mac)));
        if local.is_some_and(|local| heard >= local.since) {
            row.marks.set(Marks::DECIDED);
        }
    }

    fn want_route(&mut self, route: KernelRoute, want: Option<NexthopId>) {
        let row = self.routes.entry_queued(route);
        row.want = want;
        wish(&mut self.obstacles, Key::Route(route), &mut row.marks, want.is_some());
    }

    fn want_nexthop(&mut self, id: NexthopId, want: Option<NexthopSpec>) {
        self.obstacles.forget(&Key::Nexthop(id));
        self.nexthops.want(id, want.map(in_kernel_units));
        if let Some(row) = self.nexthops.logical.get_mut(&id) {
            row.marks.clear(Marks::PARKED);
        }
    }

    /// Takes something to do once.
    pub fn command(&mut self, command: Command) {
        self.commands.push_back(command);
    }

    /// How far it may go. Leaving [`Mode::Adopt`] before the first dump is complete has no effect
    /// until it is.
    pub fn set_mode(&mut self, mode: Mode) {
        let sweeps = mode >= Mode::Sweep;
        let swept = self.mode >= Mode::Sweep;
        self.mode = mode;
        if !sweeps {
            self.stale.clear();
            self.fdb.pardon();
            self.flood.pardon();
            self.neighbours.pardon();
            self.routes.pardon();
            self.nexthops.pardon();
        } else if !swept {
            self.nexthops.end_adoption();
            self.collect_stale();
        }
    }

    /// How far it may go.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Sweeps nothing as long as there is a reason, such as another EVPN daemon at work here.
    pub fn hold_sweep(&mut self, reason: Option<String>) {
        self.sweep_hold = reason;
    }

    /// The VXLAN devices that the configuration gives us. Only on these, and on those that a wish
    /// named, is an unwanted entry ours to sweep.
    pub fn manage(&mut self, devices: &[IfIndex]) {
        self.managed.extend(devices.iter().copied());
        if self.mode >= Mode::Sweep {
            self.collect_stale();
        }
    }

    /// Takes what the kernel says.
    pub fn observe(&mut self, observation: Observation) {
        match observation {
            Observation::BridgeMac(entry) => {
                self.bridge_mac(&entry);
                self.give_back(Key::Fdb(FdbKey { device: entry.port, mac: entry.mac }));
            }
            Observation::BridgeMacGone(entry) => {
                let key = FdbKey { device: entry.port, mac: entry.mac };
                let had = self.has_wanted_fdb(key, |have| have.bridge.is_some());
                self.bridge_mac_gone(&entry);
                self.taken_away_if(had, Key::Fdb(key), key.device);
            }
            Observation::VxlanMac { key, to, state } => {
                self.vxlan_mac(key, to, state);
                self.give_back(Key::Fdb(key));
            }
            Observation::VxlanMacGone(key) => {
                let had = self.has_wanted_fdb(key, |have| have.vxlan.is_some());
                self.set_vxlan_half(key, None);
                self.taken_away_if(had, Key::Fdb(key), key.device);
            }
            Observation::Flood { key, external } => {
                self.seen_flood(key, external);
                self.give_back(Key::Flood(key));
            }
            Observation::FloodGone(key) => {
                let had = self.flood.rows.get(&key).is_some_and(|row| row.is_wanted_and_there());
                self.set_flood(key, None);
                self.taken_away_if(had, Key::Flood(key), key.device);
            }
            Observation::Neighbour(seen) => {
                self.seen_neighbour(&seen);
                self.give_back(Key::Neighbour(seen.key));
            }
            Observation::NeighbourGone(key) => {
                let had =
                    self.neighbours.rows.get(&key).is_some_and(|row| row.is_wanted_and_there());
                self.tracker.neighbour_gone(key);
                self.set_neighbour(key, None);
                self.taken_away_if(had, Key::Neighbour(key), key.device);
            }
            Observation::Route(route) => self.seen_route(&route),
            Observation::RouteGone(route) => self.route_gone(&route),
            Observation::Nexthop { id, spec, protocol } => self.seen_nexthop(id, spec, protocol),
            Observation::NexthopGone(id) => self.nexthop_vanished(id),
            Observation::Link(link) => {
                let index = link.index;
                let news = self.tracker.link(*link);
                if news.down && self.drop_nexthops_on(index) {
                    // The kernel says nothing of what it dropped with them.
                    self.suspect = true;
                }
                if news.ready {
                    self.device_ready(index);
                }
            }
            Observation::LinkGone(device) => {
                self.tracker.link_gone(device);
                self.device_gone(device);
            }
            Observation::Port { device, port } => self.tracker.port(device, port),
            Observation::Address { device, address } => self.tracker.address(device, address),
            Observation::AddressGone { device, address } => {
                self.tracker.address_gone(device, address);
            }
        }
    }

    fn seen_flood(&mut self, key: FloodKey, external: bool) {
        // The mark is the zero address's as a whole and keeps what its first entry had: what this
        // run wrote is ours without it.
        let ours = external
            || self.settings.takeover
            || self.flood.rows.get(&key).and_then(|row| row.have).is_some_and(|have| have.ours);
        self.set_flood(key, Some(FloodHave { ours }));
    }

    fn seen_neighbour(&mut self, seen: &SeenNeighbour) {
        self.tracker.neighbour(seen);
        let ours =
            seen.external && (seen.protocol == self.settings.protocol || self.settings.takeover);
        let have = match seen.mac {
            Some(mac) if ours => Some(NeighbourHave::Ours(Neighbour { mac, router: seen.router })),
            _ if seen.external => Some(NeighbourHave::Foreign),
            _ => None,
        };
        self.set_neighbour(seen.key, have);
    }

    fn seen_route(&mut self, seen: &SeenRoute) {
        self.tracker.route(seen);
        if seen.protocol == self.settings.protocol {
            let route = KernelRoute { key: seen.key, metric: seen.metric };
            self.set_route(route, Some(seen.nexthop.unwrap_or(NexthopId(0))));
        }
    }

    fn route_gone(&mut self, seen: &SeenRoute) {
        self.tracker.route_gone(seen);
        let route = KernelRoute { key: seen.key, metric: seen.metric };
        if seen.protocol == self.settings.protocol {
            self.set_route(route, None);
        } else if self.routes.rows.get(&route).is_some_and(|row| row.marks.has(Marks::PARKED)) {
            // Somebody else's route was in the way.
            self.unpark(Key::Route(route));
        }
    }

    /// News for the engine: whether there are any.
    pub fn has_news(&self) -> bool {
        self.tracker.has_news()
    }

    /// At most about `limit` news, and the number of this report.
    pub fn take_news(&mut self, limit: usize) -> (u64, Vec<KernelEvent>) {
        self.tracker.take_news(limit)
    }

    /// Whether what is believed may be wrong and only a dump can tell. Asking takes the answer.
    pub fn take_suspect(&mut self) -> bool {
        std::mem::take(&mut self.suspect)
    }

    /// What has happened so far.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How much there is of everything. Looks at every row: for people and slow timers.
    pub fn summary(&self) -> Summary {
        Summary {
            fdb: tally(&self.fdb, |have| have.bridge.is_some() || have.vxlan.is_some()),
            flood: tally(&self.flood, |have| have.ours),
            neighbours: tally(&self.neighbours, |h| matches!(h, NeighbourHave::Ours(_))),
            routes: tally(&self.routes, |_| true),
            nexthops: Tally {
                wanted: self.nexthops.logical.len(),
                present: self
                    .nexthops
                    .kernel
                    .values()
                    .filter(|h| h.ours && h.have.is_some())
                    .count(),
            },
            parked: self.obstacles.len(),
            to_sweep: self.stale.len(),
        }
    }
}

fn tally<K, W, H>(table: &Table<K, W, H>, ours: impl Fn(&H) -> bool) -> Tally {
    Tally {
        wanted: table.rows.values().filter(|row| row.want.is_some()).count(),
        present: table.rows.values().filter(|row| row.have.as_ref().is_some_and(&ours)).count(),
    }
}

/// What every new wish does to its row's marks: it counts as this run's, and gets a new chance.
fn wish(obstacles: &mut Obstacles, key: Key, marks: &mut Marks, wanted: bool) {
    if wanted {
        marks.set(Marks::RUN);
        marks.clear(Marks::CONDEMNED);
    } else {
        marks.clear(Marks::DECIDED);
    }
    marks.clear(Marks::AUDIT);
    if marks.has(Marks::PARKED) {
        marks.clear(Marks::PARKED);
        obstacles.forget(&key);
    }
}

/// The kernel counts idle times in 10 ms, and at least one.
fn in_kernel_units(mut spec: NexthopSpec) -> NexthopSpec {
    if let NexthopSpec::Group(group) = &mut spec
        && let Some(resilience) = &mut group.resilience
    {
        let ticks = resilience.idle.as_millis().div_ceil(10).max(1);
        resilience.idle = Duration::from_millis(u64::try_from(ticks * 10).unwrap_or(u64::MAX));
    }
    spec
}

fn metric_of(key: RouteKey, metric: u32) -> u32 {
    match key.prefix.addr() {
        IpAddr::V6(_) if metric == 0 => IPV6_DEFAULT_METRIC,
        _ => metric,
    }
}
