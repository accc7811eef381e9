//! A kernel to test against: the objects that evpnd writes, with the real one's quirks.
//!
//! What it does as Linux 6.18 was seen to do:
//! - One write sets both halves of an FDB entry; the bridge's half is taken first, and a failure of
//!   the other leaves it. A deletion of both stops where the bridge's half is missing.
//! - `dst` to a group by replace is refused; a group to `dst` succeeds and changes nothing.
//! - A write that changes nothing makes no news.
//! - A frame moves the bridge's entry to the port that it came in by and clears its mark, unless it
//!   is sticky; the VXLAN device's entry stays, and nothing is said of it.
//! - Flood entries are appended, and the deletion of one that is not there succeeds.
//! - A marked write takes over an entry of the operator's, so nobody but the writer protects those.
//! - The last member of a group takes the group along, and a group the routes and VXLAN entries
//!   that use it: the latter, and IPv4 routes, without a word.
//! - A device that goes down takes its nexthops along without a word.
//!
//! What it is not: it forwards nothing, ages nothing, and knows no VLANs.
//!
//! **Its dump is its state**: two kernels with equal dumps are equal.

mod writes;

use crate::facts::{BridgePort, Link, LinkKind, Vxlan};
use crate::object::{FdbKey, FdbTarget, FloodKey, IfIndex, NeighbourKey, NexthopId, RouteKey};
use crate::observe::{
    BridgeMac, MacState, NexthopSpec, Observation, Resolution, SeenNeighbour, SeenRoute,
};
use crate::op::{ErrorClass, Failure, KernelRoute, Op};
use crate::reconciler::Reconciler;
use evpn_proto::types::{MacAddr, Time, Vni};
use ipnet::IpNet;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

/// How many writes [`Kernel::run`] executes at a time.
const BATCH: usize = 64;

/// An entry of a bridge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Entry {
    port: IfIndex,
    state: MacState,
    sticky: bool,
}

/// See the [module documentation](self).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Kernel {
    links: BTreeMap<IfIndex, Link>,
    bridge: BTreeMap<(IfIndex, MacAddr), Entry>,
    vxlan: BTreeMap<FdbKey, (FdbTarget, MacState)>,
    flood: BTreeMap<FloodKey, bool>,
    neighbours: BTreeMap<NeighbourKey, SeenNeighbour>,
    routes: BTreeMap<KernelRoute, SeenRoute>,
    nexthops: BTreeMap<NexthopId, (NexthopSpec, u8)>,
    news: VecDeque<Observation>,
    failures: VecDeque<Failure>,
    log: Vec<Op>,
}

/// A failure of a class, with the kernel's number.
pub fn failure(class: ErrorClass, errno: i32, text: &str) -> Failure {
    Failure { class, errno, text: text.to_owned() }
}

impl Kernel {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or changes a device.
    pub fn set_link(&mut self, link: Link) {
        let index = link.index;
        let was_up = self.links.get(&index).is_some_and(Link::is_up);
        let down = was_up && !link.is_up();
        self.news.push_back(Observation::Link(Box::new(link.clone())));
        self.links.insert(index, link);
        if down {
            self.drop_nexthops_on(index);
        }
    }

    /// Adds a bridge that is up.
    pub fn add_bridge(&mut self, index: u32, name: &str) {
        self.set_link(device(index, name, None, LinkKind::Bridge { vlan_filtering: false }));
    }

    /// Adds a VXLAN device as a port of a bridge, up.
    pub fn add_vxlan(&mut self, index: u32, name: &str, bridge: u32, vni: Vni) {
        let vxlan =
            Vxlan { vni: Some(vni), local: None, port: 4789, learning: false, external: false };
        self.set_link(device(index, name, Some(bridge), LinkKind::Vxlan(vxlan)));
    }

    /// Adds an access port of a bridge, up.
    pub fn add_port(&mut self, index: u32, name: &str, bridge: u32) {
        self.set_link(device(index, name, Some(bridge), LinkKind::Other("veth".to_owned())));
    }

    /// Sets a device up or down.
    pub fn set_up(&mut self, index: IfIndex, up: bool) {
        if let Some(mut link) = self.links.get(&index).cloned() {
            link.admin_up = up;
            link.carrier = up;
            self.set_link(link);
        }
    }

    /// Removes a device with everything on it.
    pub fn remove_link(&mut self, index: IfIndex) {
        if self.links.remove(&index).is_none() {
            return;
        }
        let entries: Vec<_> =
            self.bridge.iter().filter(|(key, e)| key.0 == index || e.port == index).collect();
        let entries: Vec<_> = entries.into_iter().map(|(key, _)| *key).collect();
        for (bridge, mac) in entries {
            self.forget_mac(bridge, mac);
        }
        let on_it: Vec<_> = self.vxlan.keys().filter(|k| k.device == index).copied().collect();
        for key in on_it {
            self.vxlan.remove(&key);
            self.news.push_back(Observation::VxlanMacGone(key));
        }
        let on_it: Vec<_> = self.flood.keys().filter(|k| k.device == index).copied().collect();
        for key in on_it {
            self.flood.remove(&key);
            self.news.push_back(Observation::FloodGone(key));
        }
        let on_it: Vec<_> = self.neighbours.keys().filter(|k| k.device == index).copied().collect();
        for key in on_it {
            self.neighbours.remove(&key);
            self.news.push_back(Observation::NeighbourGone(key));
        }
        self.drop_nexthops_on(index);
        self.news.push_back(Observation::LinkGone(index));
    }

    /// A frame from a host comes in by a port of a bridge.
    pub fn frame(&mut self, port: IfIndex, mac: MacAddr) {
        let Some(bridge) = self.links.get(&port).and_then(|link| link.master) else { return };
        let old = self.bridge.get(&(bridge, mac));
        if old.is_some_and(|old| old.port == port || old.sticky || old.state == MacState::Permanent)
        {
            return;
        }
        // A static entry moves and stays static.
        let state = match old {
            Some(Entry { state: MacState::Static, .. }) => MacState::Static,
            _ => MacState::Learned,
        };
        self.set_bridge(bridge, mac, Entry { port, state, sticky: false });
    }

    /// A bridge's entry ages out, or is deleted by the operator.
    pub fn forget_mac(&mut self, bridge: IfIndex, mac: MacAddr) {
        if let Some(old) = self.bridge.remove(&(bridge, mac)) {
            self.news.push_back(Observation::BridgeMacGone(seen_mac(bridge, mac, old)));
        }
    }

    /// The operator writes a bridge's entry.
    pub fn operator_mac(&mut self, port: IfIndex, mac: MacAddr, state: MacState) {
        if let Some(bridge) = self.links.get(&port).and_then(|link| link.master) {
            self.set_bridge(bridge, mac, Entry { port, state, sticky: false });
        }
    }

    /// Somebody writes a VXLAN device's entry.
    pub fn other_vxlan_mac(&mut self, key: FdbKey, to: FdbTarget, state: MacState) {
        self.vxlan.insert(key, (to, state));
        self.news.push_back(Observation::VxlanMac { key, to, state });
    }

    /// Somebody deletes a VXLAN device's entry.
    pub fn other_vxlan_delete(&mut self, key: FdbKey) {
        if self.vxlan.remove(&key).is_some() {
            self.news.push_back(Observation::VxlanMacGone(key));
        }
    }

    /// Somebody writes a flood entry.
    pub fn other_flood(&mut self, key: FloodKey, external: bool) {
        self.flood.insert(key, external);
        self.news.push_back(Observation::Flood { key, external });
    }

    /// The kernel resolves a neighbour, or somebody writes one.
    pub fn other_neighbour(&mut self, seen: SeenNeighbour) {
        self.neighbours.insert(seen.key, seen);
        self.news.push_back(Observation::Neighbour(seen));
    }

    /// Somebody writes a route.
    pub fn other_route(&mut self, seen: SeenRoute) {
        let route = KernelRoute { key: seen.key, metric: seen.metric };
        self.routes.insert(route, seen);
        self.news.push_back(Observation::Route(seen));
    }

    /// Somebody deletes a route.
    pub fn other_route_delete(&mut self, route: KernelRoute) {
        if let Some(seen) = self.routes.remove(&route) {
            self.news.push_back(Observation::RouteGone(seen));
        }
    }

    /// Somebody writes a nexthop.
    pub fn other_nexthop(&mut self, id: NexthopId, spec: NexthopSpec, protocol: u8) {
        self.nexthops.insert(id, (spec.clone(), protocol));
        self.news.push_back(Observation::Nexthop { id, spec, protocol });
    }

    /// Somebody deletes a nexthop.
    pub fn other_nexthop_delete(&mut self, id: NexthopId) {
        self.remove_nexthop(id, true);
    }

    /// The next writes fail, one each.
    pub fn fail_next(&mut self, failures: impl IntoIterator<Item = Failure>) {
        self.failures.extend(failures);
    }

    /// No more failures than those that were.
    pub fn stop_failing(&mut self) {
        self.failures.clear();
    }

    /// The monitor overruns: what nobody has read yet is lost.
    pub fn lose_news(&mut self) {
        self.news.clear();
    }

    /// What happened since it was asked last.
    pub fn take_news(&mut self) -> Vec<Observation> {
        self.news.drain(..).collect()
    }

    /// The writes that succeeded since it was asked last.
    pub fn take_log(&mut self) -> Vec<Op> {
        std::mem::take(&mut self.log)
    }

    /// Everything, as a dump shows it.
    pub fn dump(&self) -> Vec<Observation> {
        let links = self.links.values().map(|link| Observation::Link(Box::new(link.clone())));
        let nexthops = self.nexthops.iter().map(|(id, (spec, protocol))| Observation::Nexthop {
            id: *id,
            spec: spec.clone(),
            protocol: *protocol,
        });
        let bridge = self
            .bridge
            .iter()
            .map(|((bridge, mac), entry)| Observation::BridgeMac(seen_mac(*bridge, *mac, *entry)));
        let vxlan = self.vxlan.iter().map(|(key, (to, state))| Observation::VxlanMac {
            key: *key,
            to: *to,
            state: *state,
        });
        let flood = self
            .flood
            .iter()
            .map(|(key, external)| Observation::Flood { key: *key, external: *external });
        links
            .chain(nexthops)
            .chain(bridge)
            .chain(vxlan)
            .chain(flood)
            .chain(self.neighbours.values().map(|seen| Observation::Neighbour(*seen)))
            .chain(self.routes.values().map(|seen| Observation::Route(*seen)))
            .collect()
    }

    /// Has a reconciler compare everything.
    pub fn audit(&mut self, reconciler: &mut Reconciler) {
        reconciler.begin_dump();
        self.dump().into_iter().for_each(|seen| reconciler.observe(seen));
        reconciler.end_dump();
        self.tell(reconciler);
    }

    /// Tells a reconciler the news.
    pub fn tell(&mut self, reconciler: &mut Reconciler) {
        self.take_news().into_iter().for_each(|seen| reconciler.observe(seen));
    }

    /// Executes what a reconciler plans until it plans nothing more, and tells it the news after
    /// each batch; dumps if it is suspicious. How many writes that took.
    pub fn run(&mut self, reconciler: &mut Reconciler, now: Time) -> usize {
        let mut ops = Vec::new();
        let mut writes = 0;
        loop {
            self.tell(reconciler);
            if reconciler.take_suspect() {
                self.audit(reconciler);
            }
            ops.clear();
            reconciler.plan(now, BATCH, &mut ops);
            if ops.is_empty() {
                if reconciler.has_work() {
                    continue;
                }
                return writes;
            }
            writes += ops.len();
            for op in &ops {
                let result = self.apply(op);
                reconciler.done(op, result, now);
            }
        }
    }

    fn set_bridge(&mut self, bridge: IfIndex, mac: MacAddr, entry: Entry) {
        if self.bridge.insert((bridge, mac), entry) != Some(entry) {
            self.news.push_back(Observation::BridgeMac(seen_mac(bridge, mac, entry)));
        }
    }

    fn drop_nexthops_on(&mut self, device: IfIndex) {
        let on_it: Vec<_> = self
            .nexthops
            .iter()
            .filter(|(_, (s, _))| matches!(s, NexthopSpec::Routed(n) if n.device == device))
            .map(|(id, _)| *id)
            .collect();
        for id in on_it {
            self.remove_nexthop(id, false);
        }
    }

    fn remove_nexthop(&mut self, id: NexthopId, aloud: bool) {
        if self.nexthops.remove(&id).is_none() {
            return;
        }
        if aloud {
            self.news.push_back(Observation::NexthopGone(id));
        }
        let mut emptied = Vec::new();
        for (group_id, (spec, protocol)) in &mut self.nexthops {
            let (NexthopSpec::Group(group) | NexthopSpec::FdbGroup(group)) = spec else { continue };
            let before = group.members.len();
            group.members.retain(|member| member.nexthop != id);
            if group.members.is_empty() {
                emptied.push(*group_id);
            } else if group.members.len() != before && aloud {
                let (id, spec, protocol) = (*group_id, spec.clone(), *protocol);
                self.news.push_back(Observation::Nexthop { id, spec, protocol });
            }
        }
        for group in emptied {
            self.remove_nexthop(group, aloud);
        }
        self.vxlan.retain(|_, (to, _)| *to != FdbTarget::Group(id));
        let news = &mut self.news;
        self.routes.retain(|route, seen| {
            let stays = seen.nexthop != Some(id);
            if !stays && matches!(route.key.prefix, IpNet::V6(_)) {
                news.push_back(Observation::RouteGone(*seen));
            }
            stays
        });
    }

    /// Executes one write.
    ///
    /// # Errors
    /// What the kernel would answer.
    pub fn apply(&mut self, op: &Op) -> Result<(), Failure> {
        if let Some(failure) = self.failures.pop_front() {
            return Err(failure);
        }
        let result = self.execute(op);
        if result.is_ok() {
            self.log.push(op.clone());
        }
        result
    }
}

/// A connected prefix of the main table.
pub fn connected(device: IfIndex, prefix: IpNet) -> SeenRoute {
    SeenRoute {
        key: RouteKey { table: 254, prefix },
        metric: 0,
        protocol: 2,
        nexthop: None,
        connected: Some(device),
    }
}

/// A neighbour that the kernel resolved.
pub fn resolved(device: IfIndex, address: IpAddr, mac: MacAddr) -> SeenNeighbour {
    SeenNeighbour {
        key: NeighbourKey { device, address },
        mac: Some(mac),
        resolution: Resolution::Resolved,
        external: false,
        router: false,
        protocol: 0,
    }
}

fn seen_mac(bridge: IfIndex, mac: MacAddr, entry: Entry) -> BridgeMac {
    let Entry { port, state, sticky } = entry;
    BridgeMac { bridge, port, mac, vlan: None, state, sticky }
}

fn device(index: u32, name: &str, master: Option<u32>, kind: LinkKind) -> Link {
    Link {
        index: IfIndex(index),
        name: name.to_owned(),
        mac: None,
        mtu: 1500,
        admin_up: true,
        carrier: true,
        master: master.map(IfIndex),
        port: master.map(|_| BridgePort { learning: false, neigh_suppress: true }),
        kind,
        addresses: Vec::new(),
    }
}
