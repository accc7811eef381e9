//! Hosts that spoke: ARP and neighbour discovery heard on a bridge's access ports.
//!
//! The kernel learns a neighbour only from what is said to itself, so a host that never spoke to
//! the switch would be announced without its address, and others would have to flood for it. What
//! was heard is handed to the kernel as a neighbour of its own (stale, as it enters those who ask
//! it), and comes back as a fact like any other: there is one table of neighbours and it is the
//! kernel's.
//!
//! **Hearsay never writes over a neighbour that routing wants**: a host that comes from another
//! leaf has moved when its MAC address has, or when that leaf no longer says that it has it.

use crate::object::{Change, IfIndex, NeighbourKey};
use crate::op::Op;
use crate::reconciler::Reconciler;
use crate::tracker::Tracker;
use evpn_proto::types::{MacAddr, Time, is_link_local};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use ipnet::IpNet;
use std::net::IpAddr;
use std::time::Duration;

/// Hosts that wait for their turn: a storm of made-up addresses fills no more than this, and
/// whoever was not taken in speaks again.
pub const HEARD_MAX: usize = 1024;
/// How long a host waits for routing to give up what it wants in its place.
pub const HEARD_FOR: Duration = Duration::from_secs(60);

/// A host said which address it has.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Binding {
    /// Its IP address.
    pub address: IpAddr,
    /// Its MAC address.
    pub mac: MacAddr,
}

/// What was heard and is not a neighbour of the kernel's yet.
#[derive(Debug)]
pub(crate) struct Heard {
    hosts: HashMap<NeighbourKey, (MacAddr, Time), FixedState>,
    /// Some of them may be written now.
    pub(crate) any_due: bool,
}

impl Heard {
    pub(crate) fn new(seed: u64) -> Self {
        Self { hosts: HashMap::with_hasher(FixedState::with_seed(seed)), any_due: false }
    }
}

impl Reconciler {
    /// The ports that hosts are heard on: of bridges with a VXLAN port of ours, those that are no
    /// VXLAN ports. By ascending index.
    pub fn access_ports(&self) -> Vec<IfIndex> {
        let links = self.tracker.links.keys().copied();
        links.filter(|port| self.access_bridge(*port).is_some()).collect()
    }

    /// The bridge that hosts behind a port are heard for.
    fn access_bridge(&self, port: IfIndex) -> Option<IfIndex> {
        let bridge = self.tracker.bridge_of(port).filter(|_| !self.tracker.is_vxlan(port))?;
        let vxlans = self.tracker.vxlans_of(bridge);
        vxlans.iter().any(|vxlan| self.managed.contains(vxlan)).then_some(bridge)
    }

    /// A host said on a port which address it has.
    pub fn heard(&mut self, port: IfIndex, binding: Binding) {
        let Binding { address, mac } = binding;
        let Some(bridge) = self.access_bridge(port) else { return };
        if !mac.is_host() || !self.tracker.may_live_on(bridge, address) {
            return;
        }
        let key = NeighbourKey { device: bridge, address };
        if self.tracker.neighbours.get(&key).is_some_and(|n| n.mac == mac || n.permanent) {
            return;
        }
        let (hosts, now) = (&mut self.heard.hosts, self.now);
        if hosts.len() >= HEARD_MAX && !hosts.contains_key(&key) {
            hosts.retain(|_, (_, since)| now.saturating_since(*since) < HEARD_FOR);
        }
        if hosts.len() < HEARD_MAX || hosts.contains_key(&key) {
            hosts.insert(key, (mac, now));
            self.heard.any_due = true;
        }
    }

    /// Routing wants something else of a neighbour: whoever said here meanwhile that he has its
    /// address may get his turn.
    pub(crate) fn hear_again(&mut self, change: &Change) {
        if let Change::Neighbour(key, _) = change {
            self.heard.any_due |= self.heard.hosts.contains_key(key);
        }
    }

    pub(crate) fn plan_heard(&mut self, limit: usize, ops: &mut Vec<Op>) {
        if !std::mem::take(&mut self.heard.any_due) {
            return;
        }
        let Self { heard, neighbours, tracker, now, .. } = self;
        let mut left = limit.saturating_sub(ops.len());
        heard.hosts.retain(|key, (mac, since)| {
            // A neighbour that the kernel resolved by itself since.
            let known = tracker.neighbours.get(key).is_some_and(|n| n.mac == *mac || n.permanent);
            if known || now.saturating_since(*since) >= HEARD_FOR {
                return false;
            }
            match neighbours.rows.get_mut(key) {
                // It moved here as a whole, which is for routing to find out.
                Some(row) if row.want.is_some_and(|want| want.mac == *mac) => return false,
                Some(row) if row.want.is_some() => return true,
                // The write takes our mark away: there is nothing left to delete.
                Some(row) if left > 0 => row.have = None,
                _ => {}
            }
            if left == 0 {
                heard.any_due = true;
                return true;
            }
            left -= 1;
            ops.push(Op::Learn { device: key.device, address: key.address, mac: *mac });
            false
        });
    }
}

impl Tracker {
    /// Whether a host with this address may be behind a bridge: what a bridge with addresses of a
    /// family leads to are its connected prefixes and nothing else.
    fn may_live_on(&self, bridge: IfIndex, address: IpAddr) -> bool {
        let nobodys = address.is_unspecified() || address.is_loopback() || address.is_multicast();
        let Some(link) = self.links.get(&bridge).filter(|_| !nobodys) else { return false };
        let own = |net: &&IpNet| net.addr().is_ipv4() == address.is_ipv4();
        if link.addresses.iter().any(|net| net.addr() == address) {
            return false;
        }
        let routed = link.addresses.iter().filter(own).filter(|net| !is_link_local(net.addr()));
        let mut routed = routed.peekable();
        is_link_local(address)
            || routed.peek().is_none()
            || routed.any(|net| net.contains(&address))
    }
}
