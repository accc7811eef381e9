//! What must hold at every moment, not only at rest.
//!
//! **No receiver ever hears a leaf announce a MAC address with a lower sequence than before, and
//! nothing that is valid is deleted from a kernel before its restart is complete, nor where nobody
//! has been in trouble for long.**

use crate::site::NodeId;
use crate::tables::Tables;
use evpn_dataplane::object::{FdbKey, FdbTarget, FloodKey, NeighbourKey};
use evpn_dataplane::op::Op;
use evpn_proto::bgp::message::Message;
use evpn_proto::types::{MacAddr, RouteKey, Time};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The sequences that each node has heard, by route.
#[derive(Debug, Default)]
pub(crate) struct Sequences {
    heard: BTreeMap<(NodeId, RouteKey), u32>,
    pub(crate) fallen: Vec<String>,
}

impl Sequences {
    /// A node reads a message of a neighbour. A route's distinguisher says whose it is.
    pub(crate) fn heard(
        &mut self,
        now: Time,
        node: NodeId,
        from: Option<NodeId>,
        message: &Message,
    ) {
        let Message::Update(update) = message else { return };
        let Some(attributes) = &update.attributes else { return };
        let sequence = attributes.mac_mobility().unwrap_or_default().sequence;
        for route in &update.announced {
            if !matches!(route.key, RouteKey::MacIp { .. }) {
                continue;
            }
            let highest = self.heard.entry((node, route.key.clone())).or_default();
            if sequence < *highest {
                let from = from.map_or(usize::MAX, |from| from.0);
                self.fallen.push(format!(
                    "at {now:?} node {node} hears from node {from} that {key} has sequence \
                     {sequence}, after {highest}",
                    node = node.0,
                    key = route.key,
                ));
            }
            *highest = sequence.max(*highest);
        }
    }
}

/// Something of evpnd's that was deleted from a kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Deletion {
    /// An FDB entry, which led there.
    Fdb(FdbKey, IpAddr),
    /// A flood entry.
    Flood(FloodKey),
    /// A neighbour, which had this MAC address.
    Neighbour(NeighbourKey, MacAddr),
    /// A route.
    Route(IpNet),
}

impl Deletion {
    /// What an operation that is about to be executed takes away.
    pub(crate) fn of(op: &Op, tables: &Tables) -> Option<Self> {
        match op {
            Op::FdbDelete { key, .. } => match tables.vxlan.get(key)? {
                FdbTarget::Vtep(vtep) => Some(Self::Fdb(*key, *vtep)),
                FdbTarget::Group(_) => None,
            },
            Op::FloodDelete(key) => tables.flood.contains(key).then_some(Self::Flood(*key)),
            Op::NeighbourDelete(key) => {
                let seen = tables.neighbours.get(key).filter(|seen| seen.external)?;
                Some(Self::Neighbour(*key, seen.mac?))
            }
            Op::RouteDelete(route) => Some(Self::Route(route.key.prefix)),
            _ => None,
        }
    }
}
