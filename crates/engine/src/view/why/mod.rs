//! How a host or a prefix came to be forwarded as it is.
//!
//! A question walks the whole table once: routes that were never imported are in no other place,
//! and they are what people look for.
//!
//! **Every path is told with its fate and the reason for it**, and a subject that nobody knows is
//! answered with what is known instead.

mod mac;
mod prefix;
mod unicast;

use super::View;
use super::routes::{PathFate, Route, RoutePath, order};
use evpn_dataplane::object::Change;
use evpn_proto::types::{NeighborId, RouteKey};
use evpn_rib::table::DestId;
use ipnet::IpNet;
use std::net::IpAddr;

/// An answer.
#[derive(Clone, PartialEq, Debug)]
pub struct Why {
    /// What was asked for, in its usual form.
    pub subject: String,
    /// What happens to frames or packets to it, in one sentence.
    pub verdict: String,
    /// Something forwards to it.
    pub reachable: bool,
    /// Each place where it is known, sorted.
    pub tables: Vec<Table>,
}

/// How a table came to its choice.
#[derive(Clone, PartialEq, Debug)]
pub struct Table {
    /// `VNI 100`, `VRF red`, `IPv4 unicast`, or `not imported`.
    pub name: String,
    /// Every candidate: the winner first, then those in use beside it, the losers, the rejected.
    pub candidates: Vec<Candidate>,
    /// Why the winner won, in one sentence.
    pub winner: Option<String>,
    /// What the kernel is to hold of it.
    pub intended: Vec<Change>,
    /// The VTEPs that it leads to, which the kernel has to reach by itself.
    pub vteps: Vec<IpAddr>,
    /// What was asked for, where packets to it are meant to go by routes of ours in the kernel's
    /// main table: another's there may be preferred.
    pub routed: Option<IpNet>,
    /// What energy does to it.
    pub energy: Vec<String>,
}

/// A path, a local host or a local prefix.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// What became of it.
    pub fate: Fate,
    /// Why, in one sentence.
    pub reason: String,
    /// The route, or the local entry.
    pub route: String,
    /// Who told; none for a local one.
    pub peer: Option<NeighborId>,
    /// The VTEP, of unicast the gateway; none for a local one.
    pub next_hop: Option<IpAddr>,
}

/// What became of a candidate; the order is the one people read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fate {
    /// In use.
    Best,
    /// In use beside the best, or says the same.
    Multipath,
    /// Accepted, and another is better.
    Lost,
    /// Not accepted.
    Rejected,
}

/// The table of paths that no VNI of ours takes.
const NOT_IMPORTED: &str = "not imported";

impl Candidate {
    fn of(route: &Route, path: &RoutePath, fate: Fate, reason: impl Into<String>) -> Self {
        let rd = route.key.rd().map(|rd| format!(" rd {rd}")).unwrap_or_default();
        let path_id = path.path_id.map(|id| format!(" path-id {id}")).unwrap_or_default();
        Self {
            fate,
            reason: reason.into(),
            route: format!("{}{rd}{path_id}", route.key),
            peer: path.peer.clone(),
            next_hop: Some(path.attributes.next_hop),
        }
    }

    /// A path that lost against another of the same route, or never took part; none for the best.
    fn beaten(route: &Route, path: &RoutePath) -> Option<Self> {
        match path.fate {
            PathFate::Best(_) => None,
            PathFate::Rejected(why) => Some(Self::of(route, path, Fate::Rejected, why)),
            PathFate::Lost(step) => {
                let best = route.paths.first().and_then(|best| best.peer.as_ref());
                let whose = best.map_or_else(|| "ours".to_owned(), |p| format!("that of {p}"));
                let reason = format!("of the same route, {whose} is preferred by {step}");
                Some(Self::of(route, path, Fate::Lost, reason))
            }
        }
    }

    fn local(fate: Fate, reason: String, entry: String) -> Self {
        Self { fate, reason, route: entry, peer: None, next_hop: None }
    }
}

impl Table {
    fn new(name: String, mut candidates: Vec<Candidate>) -> Self {
        // Stable: within one fate they stay in the order of the routes and neighbours.
        candidates.sort_by_key(|c| c.fate);
        let (intended, energy, vteps) = (Vec::new(), Vec::new(), Vec::new());
        Self { name, candidates, winner: None, intended, vteps, routed: None, energy }
    }
}

impl View<'_> {
    /// The routes whose key is wanted, in the table's order.
    fn routes_where(&self, wanted: impl Fn(&RouteKey) -> bool) -> Vec<(DestId, Route)> {
        let table = &self.engine.ribs.evpn.table;
        let found = table.iter().filter(|(_, dest)| wanted(&dest.key));
        let mut found: Vec<_> = found.filter_map(|(id, _)| Some((id, self.route(id)?))).collect();
        found.sort_by(|(_, a), (_, b)| order(&a.key, &b.key));
        found
    }
}

/// What a route carries that could have been imported by.
fn route_targets(path: &RoutePath) -> String {
    let targets: Vec<String> = path.attributes.route_targets().map(|rt| rt.to_string()).collect();
    if targets.is_empty() { "no route target".to_owned() } else { targets.join(", ") }
}

fn no_target(path: &RoutePath, place: &str, imports: &[String]) -> String {
    let (carries, imports) = (route_targets(path), imports.join(", "));
    format!("no route target of {place}: it carries {carries}; {place} imports {imports}")
}

/// `1 route`, `2 routes`.
fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
