//! The ground truth: where every host is, what every battery holds, and who was in trouble when.
//!
//! **Nothing in here was told by evpnd.**

use crate::scenario::{HostId, HostPlan, Kind, Scenario, Topology};
use crate::site::{self, DOMAINS, Domain, NodeId};
use evpn_proto::types::{MacAddr, Time};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// How long a host must have been where it is for everybody to know: one that moved again before
/// anybody knew is found when it speaks the next time but one.
pub(crate) const KNOWN_AFTER: Duration = Duration::from_secs(30);

/// A host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Host {
    pub(crate) domain: Domain,
    pub(crate) mac: MacAddr,
    pub(crate) ips: [IpAddr; 2],
    pub(crate) kind: Kind,
    pub(crate) place: Option<NodeId>,
    pub(crate) on: bool,
    /// When it last came, went, or was switched.
    pub(crate) changed: Time,
    /// Counts its changes, so that what it was about to say before is not said after.
    pub(crate) epoch: u32,
}

impl Host {
    /// Where it speaks, if it does.
    pub(crate) fn speaks_at(&self) -> Option<NodeId> {
        self.place.filter(|_| self.on)
    }
}

/// What a feed says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Feed {
    Honest,
    Says(u8),
    Silent,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) hosts: Vec<Host>,
    pub(crate) batteries: BTreeMap<NodeId, u8>,
    pub(crate) feeds: BTreeMap<NodeId, Feed>,
    troubles: BTreeMap<NodeId, Time>,
    path_troubles: BTreeMap<(NodeId, NodeId), Time>,
    spine: Option<NodeId>,
}

impl World {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let host = |(number, plan): (usize, &HostPlan)| {
            let domain = DOMAINS.get(plan.domain).copied()?;
            let octet = u8::try_from(number).ok()?.checked_add(10)?;
            let mac = MacAddr([2, 0xaa, 0, 0, 0, octet]);
            let (ips, kind) = (site::host_ips(domain, octet), plan.kind);
            let (place, on, changed, epoch) = (None, false, Time::ZERO, 0);
            Some(Host { domain, mac, ips, kind, place, on, changed, epoch })
        };
        let full = scenario.announcers.iter().map(|node| (*node, 95)).collect();
        Self {
            hosts: scenario.hosts.iter().enumerate().filter_map(host).collect(),
            batteries: full,
            feeds: BTreeMap::new(),
            troubles: BTreeMap::new(),
            path_troubles: BTreeMap::new(),
            spine: (scenario.topology == Topology::Spine).then_some(NodeId(scenario.leaves)),
        }
    }

    pub(crate) fn host(&self, host: HostId) -> Option<&Host> {
        self.hosts.get(host.0)
    }

    /// Changes a host, and its epoch with it.
    pub(crate) fn change(&mut self, now: Time, host: HostId, change: impl FnOnce(&mut Host)) {
        if let Some(host) = self.hosts.get_mut(host.0) {
            change(host);
            host.changed = now;
            host.epoch += 1;
        }
    }

    /// A node is in trouble of its own until then.
    pub(crate) fn trouble(&mut self, until: Time, node: NodeId) {
        let last = self.troubles.entry(node).or_insert(until);
        *last = until.max(*last);
    }

    /// The way between two nodes is.
    pub(crate) fn path_trouble(&mut self, now: Time, a: NodeId, b: NodeId) {
        self.path_troubles.insert((a.min(b), a.max(b)), now);
    }

    /// The nodes by which routes of `to` reach `from`, both included.
    pub(crate) fn way(&self, from: NodeId, to: NodeId) -> Vec<NodeId> {
        std::iter::once(from).chain(self.spine).chain([to]).collect()
    }

    /// Whether nothing was wrong with any node or path between the two from that moment on.
    pub(crate) fn untroubled_since(&self, since: Time, from: NodeId, to: NodeId) -> bool {
        let way = self.way(from, to);
        let after = |at: Option<&Time>| at.is_none_or(|at| *at < since);
        way.iter().all(|node| after(self.troubles.get(node)))
            && way.windows(2).all(|pair| match pair {
                [a, b] => after(self.path_troubles.get(&(*a.min(b), *a.max(b)))),
                _ => true,
            })
    }

    /// Whether nothing was wrong anywhere from that moment on.
    pub(crate) fn all_untroubled_since(&self, since: Time) -> bool {
        self.troubles.values().chain(self.path_troubles.values()).all(|at| *at < since)
    }

    /// The host that everybody knows to be at a leaf, by its MAC address.
    pub(crate) fn known(&self, now: Time, mac: MacAddr) -> Option<(&Host, NodeId)> {
        let host = self.hosts.iter().find(|host| host.mac == mac)?;
        let place = host.speaks_at()?;
        (now.saturating_since(host.changed) >= KNOWN_AFTER).then_some((host, place))
    }
}
