//! What a write does, in the words of whoever reads the log.
//!
//! **A device is called by its name** as long as the kernel has told one, since its number means
//! nothing to anybody.

use crate::difference::{neighbour_text, target_text};
use crate::op::{Birth, Halves, Op};
use crate::reconciler::Reconciler;

impl Reconciler {
    /// A write, in words.
    pub fn words(&self, op: &Op) -> String {
        match op {
            Op::Nexthop { id, spec, birth } => {
                format!("{} nexthop {} {}", verb(*birth), id.0, self.spec_text(spec))
            }
            Op::NexthopDelete(id) => format!("delete nexthop {}", id.0),
            Op::Fdb { key, to } => format!("write {}, {}", self.fdb_name(*key), target_text(*to)),
            Op::FdbSticky { key, sticky } => {
                let what = if *sticky { "sticky" } else { "no longer sticky" };
                format!("make {} {what}", self.fdb_name(*key))
            }
            Op::FdbDelete { key, halves } => {
                let of = match halves {
                    Halves::Both => "",
                    Halves::Bridge => " from its bridge",
                    Halves::Vxlan => " from the device itself",
                };
                format!("delete {}{of}", self.fdb_name(*key))
            }
            Op::Flood(key) => format!("write {}", self.flood_name(*key)),
            Op::FloodDelete(key) => format!("delete {}", self.flood_name(*key)),
            Op::Neighbour { key, value } => {
                format!("write {}, mac {}", self.neighbour_name(*key), neighbour_text(*value))
            }
            Op::NeighbourDelete(key) => format!("delete {}", self.neighbour_name(*key)),
            Op::Route { route, nexthop, birth } => {
                format!("{} route {route} nexthop {}", verb(*birth), nexthop.0)
            }
            Op::RouteDelete(route) => format!("delete route {route}"),
            Op::Learn { device, address, mac } => {
                format!("learn neighbour {address} on {}, mac {mac}", self.name(*device))
            }
            Op::Probe { device, address, mac } => {
                format!("probe neighbour {address} on {}, mac {mac}", self.name(*device))
            }
        }
    }
}

const fn verb(birth: Birth) -> &'static str {
    match birth {
        Birth::New => "add",
        Birth::Replace => "replace",
    }
}
