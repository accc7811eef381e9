//! Random wishes and a hostile kernel: in the end the tables say what was wanted, and on the way no
//! rule was broken.

mod common;
use common::*;
use evpn_dataplane::difference::Reason;
use evpn_dataplane::fake::{Kernel, failure};
use evpn_dataplane::object::*;
use evpn_dataplane::observe::{MacState, NexthopSpec, Observation, SeenRoute};
use evpn_dataplane::op::{ErrorClass, Op};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

#[derive(Clone, Debug)]
enum Step {
    Fdb(u32, Option<(u8, bool)>),
    FdbGroup(u32, u32),
    Flood(u8, bool),
    Neighbour(u8, Option<u32>),
    Route(u8, Option<(u32, u32)>),
    Nexthop(u32, Option<u8>),
    Group(u32, Option<(Vec<u16>, Option<u16>)>),
    Frame(u32),
    Forget(u32),
    OtherDeletesNexthop(u32),
    OtherDeletesVxlan(u32),
    OtherDeletesRoute(u8),
    LoseNews,
    Down,
    Up,
    Fail(ErrorClass),
    Run,
    Audit,
    Restart,
    Mode(bool),
}

fn step() -> impl Strategy<Value = Step> {
    // A kernel may refuse anything, but it does not say that nothing is there when something is.
    let mut classes = ErrorClass::ALL.to_vec();
    classes.retain(|class| !matches!(class, ErrorClass::NoEntry | ErrorClass::NoDevice));
    let class = prop::sample::select(classes);
    prop_oneof![
        6 => (0..8u32, prop::option::of((1..4u8, any::<bool>()))).prop_map(|(n, v)| Step::Fdb(n, v)),
        2 => (0..8u32, 0..2u32).prop_map(|(n, g)| Step::FdbGroup(n, g)),
        2 => (1..4u8, any::<bool>()).prop_map(|(v, on)| Step::Flood(v, on)),
        2 => (1..4u8, prop::option::of(0..4u32)).prop_map(|(v, m)| Step::Neighbour(v, m)),
        4 => (0..4u8, prop::option::of((0..2u32, 20..22u32))).prop_map(|(n, r)| Step::Route(n, r)),
        3 => (1..4u32, prop::option::of(1..5u8)).prop_map(|(n, v)| Step::Nexthop(n, v)),
        3 => (0..2u32, prop::option::of((prop::collection::vec(0..3u16, 3), prop::option::of(
            prop::sample::select(vec![64u16, 128])))))
            .prop_map(|(n, g)| Step::Group(n, g)),
        3 => (0..6u32).prop_map(Step::Frame),
        1 => (0..6u32).prop_map(Step::Forget),
        1 => (1..4u32).prop_map(Step::OtherDeletesNexthop),
        1 => (0..8u32).prop_map(Step::OtherDeletesVxlan),
        1 => (0..4u8).prop_map(Step::OtherDeletesRoute),
        1 => Just(Step::LoseNews),
        1 => Just(Step::Down),
        1 => Just(Step::Up),
        2 => class.prop_map(Step::Fail),
        8 => Just(Step::Run),
        1 => Just(Step::Audit),
        1 => Just(Step::Restart),
        1 => any::<bool>().prop_map(Step::Mode),
    ]
}

/// What an engine would want, kept consistent: nothing points at what is not wanted.
#[derive(Default)]
struct Wishes {
    fdb: BTreeMap<u32, FdbEntry>,
    flood: BTreeSet<u8>,
    neighbours: BTreeMap<u8, Neighbour>,
    routes: BTreeMap<u8, Route>,
    nexthops: BTreeMap<u32, Nexthop>,
    groups: BTreeMap<u32, NexthopGroup>,
}

const GROUPS: u32 = 100;
const FDB_GROUPS: u32 = 200;

struct World {
    b: Bench,
    wishes: Wishes,
    /// What this run of the daemon has wanted, of FDB entries.
    run: BTreeSet<FdbKey>,
    heard: u64,
}

fn foreign(kernel: &Kernel) -> Vec<Observation> {
    let ours = |seen: &Observation| match seen {
        Observation::VxlanMac { state, .. } => *state == MacState::External,
        Observation::Flood { external, .. } => *external,
        Observation::Route(route) => route.protocol == 110,
        Observation::Nexthop { protocol, .. } => *protocol == 110,
        Observation::Neighbour(n) => n.external && n.protocol == 110,
        Observation::BridgeMac(m) => m.state != MacState::Static,
        _ => true,
    };
    kernel.dump().into_iter().filter(|seen| !ours(seen)).collect()
}

impl World {
    fn new() -> Self {
        let mut k = kernel();
        let theirs = FdbKey { device: VXLAN, mac: mac(7) };
        k.other_vxlan_mac(theirs, to(9), MacState::Static);
        k.operator_mac(ACCESS, mac(6), MacState::Static);
        k.other_nexthop(NexthopId(5), NexthopSpec::Fdb(vtep(9)), 11);
        k.other_route(SeenRoute {
            key: prefix(3),
            metric: 20,
            protocol: 3,
            nexthop: None,
            connected: None,
        });
        // Left by an earlier run.
        k.other_nexthop(id(2), spec(3), 110);
        k.other_vxlan_mac(key(0), to(9), MacState::External);
        let mut b = Bench::adopting(k);
        b.r.set_mode(Mode::Grow);
        Self { b, wishes: Wishes::default(), run: BTreeSet::new(), heard: ALL }
    }

    fn want(&mut self, change: Change) {
        if let Change::Fdb(key, Some(_)) = &change {
            self.run.insert(*key);
        }
        self.b.r.want(change, self.heard);
    }

    /// Executes like `Kernel::run`, and looks at every write.
    fn execute(&mut self) {
        for turn in 0.. {
            assert!(turn < 10_000, "it never ends");
            self.b.kernel.tell(&mut self.b.r);
            if self.b.r.take_suspect() {
                self.b.kernel.audit(&mut self.b.r);
            }
            let mut ops = Vec::new();
            self.b.r.plan(self.b.now, 5, &mut ops);
            if ops.is_empty() && !self.b.r.has_work() {
                break;
            }
            for op in &ops {
                self.check(op);
                let result = self.b.kernel.apply(op);
                self.b.r.done(op, result, self.b.now);
            }
        }
    }

    fn check(&self, op: &Op) {
        let grows = self.b.r.mode() == Mode::Grow;
        match op {
            Op::FdbDelete { key, .. } => {
                assert!(!grows || self.run.contains(key), "stale and deleted in Grow: {key:?}");
            }
            Op::NexthopDelete(id) => {
                for seen in self.b.kernel.dump() {
                    let uses = match &seen {
                        Observation::Route(route) => route.nexthop == Some(*id),
                        Observation::VxlanMac { to, .. } => *to == FdbTarget::Group(*id),
                        Observation::Nexthop { spec, .. } => {
                            spec.group().is_some_and(|g| g.members.iter().any(|m| m.nexthop == *id))
                        }
                        _ => false,
                    };
                    assert!(!uses, "{id:?} is deleted and {seen:?} uses it");
                }
            }
            _ => {}
        }
    }

    fn group_is_used(&self, n: u32) -> bool {
        let used = id(GROUPS + n);
        self.wishes.routes.values().any(|route| route.nexthop == used)
    }

    fn want_group(&mut self, n: u32, value: Option<(Vec<u16>, Option<u16>)>) {
        let group = value.map(|(weights, buckets)| {
            let members = (1..=3)
                .zip(weights)
                .filter(|(n, w)| *w > 0 && self.wishes.nexthops.contains_key(n))
                .map(|(n, w)| Member { nexthop: id(n), weight: w })
                .collect();
            let idle = Duration::from_secs(1);
            let resilience = buckets.map(|buckets| Resilience { buckets, idle });
            NexthopGroup { members, resilience }
        });
        match group.filter(|group| !group.members.is_empty()) {
            Some(group) => {
                self.wishes.groups.insert(n, group.clone());
                self.want(Change::Group(id(GROUPS + n), Some(group)));
            }
            None if !self.group_is_used(n) => {
                self.wishes.groups.remove(&n);
                self.want(Change::Group(id(GROUPS + n), None));
            }
            None => {}
        }
    }

    fn want_nexthop(&mut self, n: u32, value: Option<u8>) {
        match value {
            Some(v) => {
                self.wishes.nexthops.insert(n, hop(v));
                self.want(Change::Nexthop(id(n), Some(hop(v))));
            }
            None => {
                let used = |g: &NexthopGroup| g.members.iter().any(|m| m.nexthop == id(n));
                if !self.wishes.groups.values().any(used) {
                    self.wishes.nexthops.remove(&n);
                    self.want(Change::Nexthop(id(n), None));
                }
            }
        }
    }

    fn wish(&mut self, step: Step) {
        match step {
            Step::Fdb(n, value) => {
                let entry = value.map(|(v, sticky)| FdbEntry { to: to(v), sticky });
                match entry {
                    Some(entry) => self.wishes.fdb.insert(n, entry),
                    None => self.wishes.fdb.remove(&n),
                };
                self.want(Change::Fdb(key(n), entry));
            }
            Step::FdbGroup(n, g) => {
                let to = FdbTarget::Group(id(FDB_GROUPS + g));
                let entry = FdbEntry { to, sticky: false };
                self.wishes.fdb.insert(n, entry);
                self.want_fdb_groups();
                self.want(Change::Fdb(key(n), Some(entry)));
            }
            Step::Flood(v, on) => {
                if on {
                    self.wishes.flood.insert(v)
                } else {
                    self.wishes.flood.remove(&v)
                };
                let key = FloodKey { device: VXLAN, vtep: vtep(v) };
                self.want(Change::Flood(key, on.then_some(())));
            }
            Step::Neighbour(v, m) => {
                let key = NeighbourKey { device: BRIDGE, address: vtep(v) };
                let value = m.map(|m| Neighbour { mac: mac(m), router: false });
                match value {
                    Some(value) => self.wishes.neighbours.insert(v, value),
                    None => self.wishes.neighbours.remove(&v),
                };
                self.want(Change::Neighbour(key, value));
            }
            Step::Route(n, value) => {
                let value = value.filter(|(g, _)| self.wishes.groups.contains_key(g));
                let value = value.map(|(g, metric)| Route { nexthop: id(GROUPS + g), metric });
                match value {
                    Some(value) => self.wishes.routes.insert(n, value),
                    None => self.wishes.routes.remove(&n),
                };
                self.want(Change::Route(prefix(n), value));
            }
            Step::Nexthop(n, value) => self.want_nexthop(n, value),
            Step::Group(n, value) => self.want_group(n, value),
            other => self.chaos(other),
        }
    }

    fn want_fdb_groups(&mut self) {
        for g in 0..2 {
            self.want(Change::FdbNexthop(id(FDB_GROUPS + 10 + g), Some(vtep(20 + g as u8))));
            let group = group(&[(FDB_GROUPS + 10 + g, 1)]);
            self.want(Change::FdbGroup(id(FDB_GROUPS + g), Some(group)));
        }
    }

    fn chaos(&mut self, step: Step) {
        let b = &mut self.b;
        match step {
            Step::Frame(n) => b.kernel.frame(ACCESS, mac(n)),
            Step::Forget(n) => b.kernel.forget_mac(BRIDGE, mac(n)),
            Step::OtherDeletesNexthop(n) => b.kernel.other_nexthop_delete(id(n)),
            Step::OtherDeletesVxlan(7) => {}
            Step::OtherDeletesVxlan(n) => b.kernel.other_vxlan_delete(key(n)),
            Step::OtherDeletesRoute(3) => {}
            Step::OtherDeletesRoute(n) => {
                let route = evpn_dataplane::op::KernelRoute { key: prefix(n), metric: 20 };
                b.kernel.other_route_delete(route);
            }
            Step::LoseNews => b.kernel.lose_news(),
            Step::Down => b.kernel.set_up(L3_BRIDGE, false),
            Step::Up => b.kernel.set_up(L3_BRIDGE, true),
            Step::Fail(class) => b.kernel.fail_next([failure(class, 1, "by the test")]),
            Step::Audit => b.kernel.audit(&mut b.r),
            Step::Restart => {
                b.restart();
                b.r.set_mode(Mode::Grow);
                self.run.clear();
                self.replay();
            }
            Step::Mode(steady) => b.r.set_mode(if steady { Mode::Steady } else { Mode::Grow }),
            _ => self.execute(),
        }
    }

    /// A new engine arrives at the same wishes.
    fn replay(&mut self) {
        let wishes = std::mem::take(&mut self.wishes);
        for (n, hop) in wishes.nexthops.iter().rev() {
            self.want(Change::Nexthop(id(*n), Some(*hop)));
        }
        for (n, group) in &wishes.groups {
            self.want(Change::Group(id(GROUPS + n), Some(group.clone())));
        }
        self.want_fdb_groups();
        for (n, entry) in &wishes.fdb {
            self.want(Change::Fdb(key(*n), Some(*entry)));
        }
        for v in &wishes.flood {
            self.want(Change::Flood(FloodKey { device: VXLAN, vtep: vtep(*v) }, Some(())));
        }
        for (v, value) in &wishes.neighbours {
            let key = NeighbourKey { device: BRIDGE, address: vtep(*v) };
            self.want(Change::Neighbour(key, Some(*value)));
        }
        for (n, route) in &wishes.routes {
            self.want(Change::Route(prefix(*n), Some(*route)));
        }
        self.wishes = wishes;
    }

    fn finish(&mut self) {
        let b = &mut self.b;
        b.kernel.stop_failing();
        b.kernel.set_up(L3_BRIDGE, true);
        b.r.set_mode(Mode::Steady);
        self.execute();
        let b = &mut self.b;
        b.kernel.audit(&mut b.r);
        b.settle();
        b.kernel.audit(&mut b.r);
        b.settle();
        // The engine hears of every local host and decides for the remote ones.
        let (told, _) = b.r.take_news(usize::MAX);
        self.heard = told;
        let fdb = self.wishes.fdb.clone();
        for (n, entry) in fdb {
            self.want(Change::Fdb(key(n), Some(entry)));
        }
        self.b.settle();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_kernel_ends_up_with_what_is_wanted(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        let before = foreign(&world.b.kernel);
        for step in steps {
            world.wish(step);
        }
        world.finish();
        prop_assert_eq!(&foreign(&world.b.kernel), &before, "what is not ours has changed");
        let differences = world.b.r.differences(100);
        for left in &differences.first {
            // The two places that are not ours to take, and the route that is in the way.
            let held = left.reason == Reason::Foreign
                && (left.object.contains(&mac(6).to_string())
                    || left.object.contains(&mac(7).to_string()));
            let in_the_way = left.object.contains("198.51.3.0/24") && left.object.contains("metric 20");
            prop_assert!(held || in_the_way, "{:?}", left);
        }
        // What is believed is what the kernel has.
        let mut fresh = Bench::adopting(world.b.kernel.clone());
        fresh.r.set_mode(Mode::Grow);
        for (n, entry) in &world.wishes.fdb {
            if let FdbTarget::Vtep(_) = entry.to && *n < 6 {
                fresh.want(Change::Fdb(key(*n), Some(*entry)));
            }
        }
        prop_assert_eq!(fresh.run(), 0, "{:?}", fresh.kernel.take_log());
        let summary = world.b.r.summary();
        let entries = world.b.kernel.dump().into_iter().filter(|seen| {
            matches!(seen, Observation::VxlanMac { state: MacState::External, .. })
        });
        let wanted = world.wishes.fdb.keys().filter(|n| **n < 6).count();
        prop_assert_eq!(entries.count(), wanted);
        prop_assert_eq!(summary.to_sweep, 0);
    }
}
