//! A kernel's tables, read from its dump for whoever judges them.
//!
//! **It is read from the kernel alone**: what evpnd believes of the kernel is not asked.

use evpn_dataplane::facts::Link;
use evpn_dataplane::object::{FdbKey, FdbTarget, FloodKey, IfIndex, NeighbourKey, NexthopId};
use evpn_dataplane::observe::{
    MacState, NexthopSpec, Observation, PROTOCOL, SeenNeighbour, SeenRoute,
};
use evpn_proto::types::MacAddr;
use std::collections::{BTreeMap, BTreeSet};

/// An entry of a bridge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BridgeEntry {
    pub(crate) port: IfIndex,
    pub(crate) state: MacState,
    pub(crate) sticky: bool,
}

/// See the module.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Tables {
    pub(crate) links: BTreeMap<IfIndex, Link>,
    pub(crate) bridge: BTreeMap<(IfIndex, MacAddr), BridgeEntry>,
    pub(crate) vxlan: BTreeMap<FdbKey, FdbTarget>,
    pub(crate) flood: BTreeSet<FloodKey>,
    pub(crate) neighbours: BTreeMap<NeighbourKey, SeenNeighbour>,
    /// Those of evpnd's protocol.
    pub(crate) routes: Vec<SeenRoute>,
    /// Those of evpnd's protocol.
    pub(crate) nexthops: BTreeMap<NexthopId, NexthopSpec>,
}

impl Tables {
    pub(crate) fn of(dump: Vec<Observation>) -> Self {
        let mut tables = Self::default();
        for seen in dump {
            tables.add(seen);
        }
        tables
    }

    fn add(&mut self, seen: Observation) {
        match seen {
            Observation::Link(link) => {
                self.links.insert(link.index, *link);
            }
            Observation::BridgeMac(seen) => {
                let entry = BridgeEntry { port: seen.port, state: seen.state, sticky: seen.sticky };
                self.bridge.insert((seen.bridge, seen.mac), entry);
            }
            Observation::VxlanMac { key, to, .. } => {
                self.vxlan.insert(key, to);
            }
            Observation::Flood { key, .. } => {
                self.flood.insert(key);
            }
            Observation::Neighbour(seen) => {
                self.neighbours.insert(seen.key, seen);
            }
            Observation::Route(seen) if seen.protocol == PROTOCOL => self.routes.push(seen),
            Observation::Nexthop { id, spec, protocol: PROTOCOL } => {
                self.nexthops.insert(id, spec);
            }
            _ => {}
        }
    }
}
