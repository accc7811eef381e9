//! From what the kernel says to what routing has to know: devices, local hosts, resolved
//! neighbours, connected prefixes.
//!
//! **What is told is the latest state, never a queue of what happened**: news of one key that
//! nobody has taken yet overtake each other, so the news that wait are never more than the keys.

use crate::facts::{BridgePort, KernelEvent, Link, LinkKind, MacOrigin};
use crate::object::{IfIndex, NeighbourKey};
use crate::observe::{BridgeMac, MacState, Resolution, SeenNeighbour, SeenRoute};
use evpn_proto::types::{MacAddr, is_link_local};
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};

type Map<K, V> = HashMap<K, V, FixedState>;
type Set<K> = HashSet<K, FixedState>;

/// Not told to anybody yet.
const UNTOLD: u64 = u64::MAX;
/// The routing table whose connected prefixes are facts.
const MAIN_TABLE: u32 = 254;

/// An entry of a bridge that is not remote.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Local {
    pub(crate) port: IfIndex,
    pub(crate) state: MacState,
    /// The report that told the engine.
    pub(crate) since: u64,
    seen: bool,
}

impl Local {
    const fn origin(self) -> Option<MacOrigin> {
        match self.state {
            MacState::Learned => Some(MacOrigin::Learned),
            MacState::Static => Some(MacOrigin::Static),
            MacState::External | MacState::Permanent => None,
        }
    }
}

/// A neighbour that the kernel resolved, or the operator wrote.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resolved {
    pub(crate) mac: MacAddr,
    pub(crate) permanent: bool,
    seen: bool,
}

/// What a device's news mean for what is written on it.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct LinkNews {
    /// It appeared, came up, or changed its bridge: what waits on it may go on.
    pub(crate) ready: bool,
    /// It cannot carry frames: the kernel has silently dropped its nexthops and IPv4 routes.
    pub(crate) down: bool,
}

#[derive(Debug)]
pub(crate) struct Tracker {
    pub(crate) links: BTreeMap<IfIndex, Link>,
    /// The VXLAN ports of each bridge.
    vxlans: Map<IfIndex, Vec<IfIndex>>,
    pub(crate) locals: Map<(IfIndex, MacAddr), Local>,
    pub(crate) neighbours: Map<NeighbourKey, Resolved>,
    connected: BTreeSet<(IfIndex, IpNet)>,
    seen_links: BTreeSet<IfIndex>,
    seen_addresses: BTreeSet<(IfIndex, IpNet)>,
    seen_connected: BTreeSet<(IfIndex, IpNet)>,
    links_news: bool,
    connected_news: bool,
    mac_news: Set<(IfIndex, MacAddr)>,
    neighbour_news: Set<NeighbourKey>,
    adopted_news: bool,
    told: u64,
}

impl Tracker {
    pub(crate) fn new(seed: u64) -> Self {
        let hasher = || FixedState::with_seed(seed);
        Self {
            links: BTreeMap::new(),
            vxlans: HashMap::with_hasher(hasher()),
            locals: HashMap::with_hasher(hasher()),
            neighbours: HashMap::with_hasher(hasher()),
            connected: BTreeSet::new(),
            seen_links: BTreeSet::new(),
            seen_addresses: BTreeSet::new(),
            seen_connected: BTreeSet::new(),
            links_news: false,
            connected_news: false,
            mac_news: HashSet::with_hasher(hasher()),
            neighbour_news: HashSet::with_hasher(hasher()),
            adopted_news: false,
            told: 0,
        }
    }

    pub(crate) fn is_vxlan(&self, device: IfIndex) -> bool {
        self.links.get(&device).is_some_and(|link| matches!(link.kind, LinkKind::Vxlan(_)))
    }

    /// The bridge that a device is a port of.
    pub(crate) fn bridge_of(&self, device: IfIndex) -> Option<IfIndex> {
        self.links.get(&device).and_then(|link| link.master)
    }

    pub(crate) fn vxlans_of(&self, bridge: IfIndex) -> Vec<IfIndex> {
        self.vxlans.get(&bridge).cloned().unwrap_or_default()
    }

    /// The usual case: one bridge, one VXLAN port.
    pub(crate) fn has_one_vxlan(&self, bridge: IfIndex) -> bool {
        self.vxlans.get(&bridge).is_none_or(|ports| ports.len() < 2)
    }

    pub(crate) fn filters_vlans(&self, bridge: IfIndex) -> bool {
        self.links
            .get(&bridge)
            .is_some_and(|l| matches!(l.kind, LinkKind::Bridge { vlan_filtering: true }))
    }

    pub(crate) fn link(&mut self, mut link: Link) -> LinkNews {
        let index = link.index;
        self.seen_links.insert(index);
        let old = self.links.get(&index);
        if let Some(old) = old {
            link.addresses.clone_from(&old.addresses);
            if link.master == old.master && link.port.is_none() {
                link.port = old.port;
            }
            if *old == link {
                return LinkNews::default();
            }
        }
        let news = LinkNews {
            ready: old.is_none_or(|old| {
                (link.is_up() && !old.is_up())
                    || old.master != link.master
                    || (link.admin_up && !old.admin_up)
                    || old.kind != link.kind
            }),
            down: !link.is_up() && old.is_some_and(Link::is_up),
        };
        if !link.admin_up {
            self.drop_connected(index);
        }
        self.links.insert(index, link);
        self.links_changed();
        news
    }

    fn links_changed(&mut self) {
        self.links_news = true;
        self.vxlans.clear();
        for (index, link) in &self.links {
            if let (LinkKind::Vxlan(_), Some(bridge)) = (&link.kind, link.master) {
                self.vxlans.entry(bridge).or_default().push(*index);
            }
        }
    }

    pub(crate) fn link_gone(&mut self, device: IfIndex) {
        if self.links.remove(&device).is_none() {
            return;
        }
        self.links_changed();
        self.drop_connected(device);
        let (locals, news) = (&mut self.locals, &mut self.mac_news);
        locals.retain(|key, local| {
            let stays = key.0 != device && local.port != device;
            if !stays && local.origin().is_some() {
                news.insert(*key);
            }
            stays
        });
        let (neighbours, news) = (&mut self.neighbours, &mut self.neighbour_news);
        neighbours.retain(|key, _| {
            let stays = key.device != device;
            if !stays {
                news.insert(*key);
            }
            stays
        });
    }

    /// The kernel drops the IPv4 ones without a word.
    fn drop_connected(&mut self, device: IfIndex) {
        let before = self.connected.len();
        self.connected.retain(|(d, _)| *d != device);
        self.connected_news |= self.connected.len() != before;
    }

    pub(crate) fn port(&mut self, device: IfIndex, port: BridgePort) {
        if let Some(link) = self.links.get_mut(&device)
            && link.port != Some(port)
        {
            link.port = Some(port);
            self.links_news = true;
        }
    }

    pub(crate) fn address(&mut self, device: IfIndex, address: IpNet) {
        self.seen_addresses.insert((device, address));
        if let Some(link) = self.links.get_mut(&device)
            && let Err(place) = link.addresses.binary_search(&address)
        {
            link.addresses.insert(place, address);
            self.links_news = true;
        }
    }

    pub(crate) fn address_gone(&mut self, device: IfIndex, address: IpNet) {
        if let Some(link) = self.links.get_mut(&device)
            && let Ok(place) = link.addresses.binary_search(&address)
        {
            link.addresses.remove(place);
            self.links_news = true;
        }
    }

    /// An entry of a bridge on a port that is not a VXLAN device, or the machine's own.
    /// Whether that is news.
    pub(crate) fn local(&mut self, entry: &BridgeMac) -> bool {
        let key = (entry.bridge, entry.mac);
        let new = Local { port: entry.port, state: entry.state, since: UNTOLD, seen: true };
        if let Some(old) = self.locals.get_mut(&key)
            && old.port == new.port
            && old.state == new.state
        {
            old.seen = true;
            return false;
        }
        let old = self.locals.insert(key, new);
        if new.origin().is_some() || old.is_some_and(|old| old.origin().is_some()) {
            self.mac_news.insert(key);
        }
        true
    }

    /// An entry is gone, or remote now. Whether that is news.
    pub(crate) fn local_gone(&mut self, bridge: IfIndex, mac: MacAddr) -> bool {
        let key = (bridge, mac);
        let Some(old) = self.locals.remove(&key) else { return false };
        if old.origin().is_some() {
            self.mac_news.insert(key);
        }
        true
    }

    /// A neighbour. Only what the kernel resolved, or the operator wrote, is a fact.
    pub(crate) fn neighbour(&mut self, seen: &SeenNeighbour) {
        let permanent = match seen.resolution {
            Resolution::Resolved => false,
            Resolution::Permanent => true,
            Resolution::NoArp | Resolution::Unresolved => return self.neighbour_gone(seen.key),
        };
        let Some(mac) = seen.mac.filter(|mac| mac.is_host() && !seen.external) else {
            return self.neighbour_gone(seen.key);
        };
        let new = Resolved { mac, permanent, seen: true };
        let old = self.neighbours.insert(seen.key, new);
        if old.is_none_or(|old| old.mac != mac) {
            self.neighbour_news.insert(seen.key);
        }
    }

    pub(crate) fn neighbour_gone(&mut self, key: NeighbourKey) {
        if self.neighbours.remove(&key).is_some() {
            self.neighbour_news.insert(key);
        }
    }

    pub(crate) fn route(&mut self, route: &SeenRoute) {
        let Some(key) = connected_key(route) else { return };
        self.seen_connected.insert(key);
        self.connected_news |= self.connected.insert(key);
    }

    pub(crate) fn route_gone(&mut self, route: &SeenRoute) {
        let Some(key) = connected_key(route) else { return };
        self.connected_news |= self.connected.remove(&key);
    }

    pub(crate) fn begin_dump(&mut self) {
        self.seen_links.clear();
        self.seen_addresses.clear();
        self.seen_connected.clear();
        self.locals.values_mut().for_each(|local| local.seen = false);
        self.neighbours.values_mut().for_each(|n| n.seen = false);
    }

    /// Drops what the dump did not show; the devices that are gone.
    pub(crate) fn end_dump(&mut self) -> Vec<IfIndex> {
        let gone: Vec<_> =
            self.links.keys().filter(|i| !self.seen_links.contains(*i)).copied().collect();
        for device in &gone {
            self.link_gone(*device);
        }
        for (index, link) in &mut self.links {
            let before = link.addresses.len();
            link.addresses.retain(|a| self.seen_addresses.contains(&(*index, *a)));
            self.links_news |= link.addresses.len() != before;
        }
        if self.connected != self.seen_connected {
            self.connected = std::mem::take(&mut self.seen_connected);
            self.connected_news = true;
        }
        let unseen: Vec<_> = self.neighbours.iter().filter(|(_, n)| !n.seen).collect();
        let unseen: Vec<_> = unseen.into_iter().map(|(key, _)| *key).collect();
        for key in unseen {
            self.neighbour_gone(key);
        }
        gone
    }

    /// The entries of bridges that the dump did not show.
    pub(crate) fn unseen_locals(&self) -> Vec<(IfIndex, MacAddr)> {
        self.locals.iter().filter(|(_, local)| !local.seen).map(|(key, _)| *key).collect()
    }

    pub(crate) fn tell_adopted(&mut self) {
        self.links_news = true;
        self.connected_news = true;
        self.adopted_news = true;
    }

    pub(crate) fn has_news(&self) -> bool {
        self.links_news
            || self.connected_news
            || self.adopted_news
            || !self.mac_news.is_empty()
            || !self.neighbour_news.is_empty()
    }

    /// At most about `limit` news and the number of this report, which an engine that has heard
    /// them hands back with its wishes.
    pub(crate) fn take_news(&mut self, limit: usize) -> (u64, Vec<KernelEvent>) {
        let mut events = Vec::new();
        self.told += 1;
        if std::mem::take(&mut self.links_news) {
            events.push(KernelEvent::Links(self.links.values().cloned().collect()));
        }
        let macs: Vec<_> = self.mac_news.iter().take(limit).copied().collect();
        for key in macs {
            self.mac_news.remove(&key);
            let (bridge, mac) = key;
            let local = self.locals.get_mut(&key);
            let event = local.and_then(|local| {
                local.since = self.told;
                let origin = local.origin()?;
                Some(KernelEvent::LocalMac { bridge, port: local.port, mac, origin })
            });
            events.push(event.unwrap_or(KernelEvent::LocalMacGone { bridge, mac }));
        }
        let left = limit.saturating_sub(events.len());
        let keys: Vec<_> = self.neighbour_news.iter().take(left).copied().collect();
        for key in keys {
            self.neighbour_news.remove(&key);
            let NeighbourKey { device, address } = key;
            events.push(match self.neighbours.get(&key) {
                Some(n) => KernelEvent::Neighbour { device, address, mac: n.mac },
                None => KernelEvent::NeighbourGone { device, address },
            });
        }
        if std::mem::take(&mut self.connected_news) {
            events.push(KernelEvent::Connected(self.connected.iter().copied().collect()));
        }
        if self.adopted_news && self.mac_news.is_empty() && self.neighbour_news.is_empty() {
            self.adopted_news = false;
            events.push(KernelEvent::Adopted);
        }
        (self.told, events)
    }
}

/// A connected prefix of the main table. Link-local ones lead nowhere from elsewhere.
fn connected_key(route: &SeenRoute) -> Option<(IfIndex, IpNet)> {
    let device = route.connected.filter(|_| route.key.table == MAIN_TABLE)?;
    (!is_link_local(route.key.prefix.addr())).then_some((device, route.key.prefix))
}
