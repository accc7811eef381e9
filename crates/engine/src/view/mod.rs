//! What people and other programs may see of the engine, as values.
//!
//! - [`neighbors`]: sessions, with what they carry.
//! - [`routes`]: the table of routes, in pages.
//! - [`vnis`] and [`hosts`]: VNIs, with their MAC and IP addresses in pages.
//! - [`energy`]: the level, and what our prefixes say because of it.
//! - [`why`]: how a host or a prefix came to be forwarded as it is.
//!
//! What the kernel holds is not seen from here: the dataplane knows.
//!
//! **Looking changes nothing**: everything here takes `&Engine`, and the same state yields the same
//! answer in the same order.

pub mod energy;
pub mod hosts;
pub mod neighbors;
pub mod routes;
pub mod vnis;
pub mod why;

use crate::engine::Engine;
use crate::io::Now;
use crate::settings::Settings;
use evpn_dataplane::facts::Link;
use evpn_dataplane::object::Mode;
use evpn_proto::types::Family;
use std::collections::{BTreeMap, BinaryHeap};

/// Octets that a route takes with its share of the index, by measure.
const ROUTE_OCTETS: usize = 120;
/// Octets that a set of attributes takes with what it points to, by measure.
const ATTRIBUTES_OCTETS: usize = 512;

/// The engine at a moment.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) now: Now,
}

impl Engine {
    /// What may be seen of it now.
    pub const fn view(&self, now: Now) -> View<'_> {
        View { engine: self, now }
    }
}

impl<'a> View<'a> {
    /// The settings in force.
    pub const fn settings(&self) -> &'a Settings {
        &self.engine.settings
    }

    /// The moment.
    pub const fn now(&self) -> Now {
        self.now
    }

    /// Every device of the kernel, as last told.
    pub fn links(&self) -> &'a [Link] {
        &self.engine.links
    }

    /// How far reconciling may go.
    pub const fn mode(&self) -> Mode {
        self.engine.restart.mode()
    }

    /// Whether routes are still being collected after our start, so that nothing is swept yet.
    pub const fn is_restarting(&self) -> bool {
        self.engine.restart.in_progress()
    }

    /// How many EVPN routes there are, each counted once whatever its paths.
    pub fn route_count(&self) -> usize {
        self.engine.ribs.evpn.table.len()
    }

    /// How many routes there are of each family, ascending.
    pub fn route_counts(&self) -> BTreeMap<Family, usize> {
        self.engine.ribs.iter().map(|rib| (rib.family, rib.table.len())).collect()
    }

    /// About how many octets the routes of all families take with their attributes.
    pub fn route_octets(&self) -> usize {
        let octets = self.engine.ribs.iter().map(|rib| {
            let routes = rib.table.len().saturating_mul(ROUTE_OCTETS);
            routes.saturating_add(rib.store.len().saturating_mul(ATTRIBUTES_OCTETS))
        });
        octets.sum()
    }
}

/// The `limit` smallest items, sorted, and whether there are others.
///
/// Looks at each item once and keeps no more than the page, so that a page of a table of millions
/// costs one walk and no copy.
pub(crate) fn smallest<T: Ord>(items: impl Iterator<Item = T>, limit: usize) -> (Vec<T>, bool) {
    let mut kept = BinaryHeap::new();
    let mut more = false;
    for item in items {
        if kept.len() < limit {
            kept.push(item);
            continue;
        }
        more = true;
        if let Some(mut largest) = kept.peek_mut()
            && item < *largest
        {
            *largest = item;
        }
    }
    (kept.into_sorted_vec(), more)
}
