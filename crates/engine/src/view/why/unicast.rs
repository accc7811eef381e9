//! Why packets to a prefix go where they go by the underlay's own routes.
//!
//! **A prefix whose paths are all rejected is told with them, and with the shorter one that takes
//! its packets instead.**

use super::{Candidate, Fate, Table, counted};
use crate::unicast::Way;
use crate::view::View;
use crate::view::routes::{PathFate, Route, RoutePath};
use evpn_proto::bgp::attributes::Origin;
use evpn_proto::types::{Family, RouteKey};
use evpn_rib::table::Dest;
use ipnet::IpNet;
use std::net::IpAddr;

/// A table of unicast, and what it makes of the prefix.
pub(super) type Told = (Table, Option<String>);

impl View<'_> {
    /// What unicast knows of a prefix or an address: the longest prefix that covers it, and where
    /// nothing is forwarded by that, the longest of those by which something is.
    pub(super) fn unicast(&self, asked: &IpNet) -> Vec<Told> {
        let (family, name) = family_of(asked);
        let Some(rib) = self.engine.ribs.get(family) else { return Vec::new() };
        let longest = |wanted: fn(&Dest) -> bool| {
            let covering =
                rib.table.iter().filter(|(_, dest)| wanted(dest)).filter_map(|(id, dest)| {
                    let RouteKey::Unicast { prefix } = dest.key else { return None };
                    prefix.contains(asked).then_some((prefix, id))
                });
            covering.max_by_key(|(prefix, _)| prefix.prefix_len())
        };
        let known = longest(|dest| !dest.paths().is_empty());
        let used = longest(|dest| dest.best().is_some());
        let mut found: Vec<_> = known.into_iter().chain(used).collect();
        found.dedup();
        let routes = found.into_iter().filter_map(|(prefix, id)| {
            let route = self.route_of(rib, id)?;
            let (mut table, verdict) = self.unicast_table(name, prefix, &route);
            let forwards = self.own_device(&prefix).is_none() && verdict.is_some();
            table.routed = Some(*asked).filter(|_| forwards);
            Some((table, verdict))
        });
        routes.collect()
    }

    fn unicast_table(&self, name: &str, prefix: IpNet, route: &Route) -> Told {
        let here = self.own_device(&prefix);
        let ways = self.engine.unicast.fib.ways(&prefix);
        let candidates =
            route.paths.iter().map(|path| self.unicast_candidate(route, path, ways, here));
        let mut table = Table::new(format!("{name}, {prefix}"), candidates.collect());
        table.intended = self.engine.unicast.fib.objects(&prefix);
        table.winner = match (here, route.paths.first().map(|path| path.fate)) {
            (Some(device), _) => {
                Some(format!("the kernel's own route or address on {device} comes before ours"))
            }
            (None, Some(PathFate::Best(_))) if ways.len() > 1 => {
                Some(format!("{} paths cost the same and share the traffic equally", ways.len()))
            }
            (None, Some(PathFate::Best(Some(step)))) => Some(format!("the best by {step}")),
            (None, Some(PathFate::Best(None))) => Some("the only path that is usable".to_owned()),
            _ => None,
        };
        (table, self.unicast_verdict(&prefix, ways, here))
    }

    fn unicast_verdict(&self, prefix: &IpNet, ways: &[Way], here: Option<&str>) -> Option<String> {
        if let Some(device) = here {
            return Some(format!("packets to {prefix} stay here, on {device}"));
        }
        match ways {
            [] => None,
            [only] => {
                let device = self.device_name(*only);
                Some(format!("packets to {prefix} go to {} on {device}", only.gateway))
            }
            _ => {
                let count = counted(ways.len(), "next hop");
                Some(format!("packets to {prefix} are shared between {count} of the underlay"))
            }
        }
    }

    fn device_name(&self, way: Way) -> String {
        let link = self.engine.links.iter().find(|link| link.index == way.device);
        link.map_or_else(|| format!("device {}", way.device), |link| link.name.clone())
    }

    fn unicast_candidate(
        &self,
        route: &Route,
        path: &RoutePath,
        ways: &[Way],
        here: Option<&str>,
    ) -> Candidate {
        let gateway = self.gateway(path);
        let told = |fate, reason: String| Candidate {
            next_hop: Some(gateway),
            ..Candidate::of(route, path, fate, reason)
        };
        if path.peer.is_none() {
            return ours(route, path);
        }
        let is_used = ways.iter().any(|way| way.gateway == gateway);
        match path.fate {
            PathFate::Best(_) | PathFate::Lost(_) if here.is_some() => {
                let device = here.unwrap_or_default();
                told(Fate::Lost, format!("it is here, on {device}, which the kernel prefers"))
            }
            PathFate::Best(None) => told(Fate::Best, "the only path that is usable".to_owned()),
            PathFate::Best(Some(step)) => told(Fate::Best, format!("preferred by {step}")),
            PathFate::Lost(step) if path.multipath && is_used => {
                let reason = format!("it costs as much as the best, which has the better {step}");
                told(Fate::Multipath, reason)
            }
            PathFate::Lost(_) if path.multipath => {
                let most = self.settings().multipath.max_paths;
                let reason = match ways.iter().any(|way| way.gateway.is_ipv4() == gateway.is_ipv4())
                {
                    true => format!("{most} paths are in use already: [multipath] max-paths"),
                    false => "the best has a next hop of the other address family".to_owned(),
                };
                told(Fate::Lost, reason)
            }
            PathFate::Lost(_) | PathFate::Rejected(_) => {
                let beaten = Candidate::beaten(route, path);
                let beaten = beaten.map(|beaten| Candidate { next_hop: Some(gateway), ..beaten });
                beaten.unwrap_or_else(|| told(Fate::Lost, "it has just come".to_owned()))
            }
        }
    }

    /// Where a path's packets go; of one that leads nowhere what it says, the address of the link
    /// first.
    fn gateway(&self, path: &RoutePath) -> IpAddr {
        let said = path.attributes.link_local.map_or(path.attributes.next_hop, IpAddr::V6);
        let peer = path.peer.as_ref().and_then(|id| self.engine.peers.named(id));
        let way = peer.and_then(|peer| self.engine.way(peer.index, &path.attributes));
        way.map_or(said, |way| way.gateway)
    }

    /// How many prefixes of the family there are, in words; none where nobody speaks it.
    pub(super) fn unicast_known(&self, asked: &IpNet) -> Option<String> {
        let (family, name) = family_of(asked);
        let offers = |n: &crate::settings::NeighborSettings| n.session.families.contains(&family);
        if !self.settings().neighbors.iter().any(offers) {
            return None;
        }
        let routes = self.engine.ribs.get(family)?.table.len();
        Some(counted(routes, &format!("{name} route")))
    }
}

fn family_of(prefix: &IpNet) -> (Family, &'static str) {
    match prefix {
        IpNet::V4(_) => (Family::IPV4_UNICAST, "IPv4 unicast"),
        IpNet::V6(_) => (Family::IPV6_UNICAST, "IPv6 unicast"),
    }
}

/// Our own announcement.
fn ours(route: &Route, path: &RoutePath) -> Candidate {
    let origin = match path.attributes.origin {
        Origin::Incomplete => "it is connected",
        Origin::Igp | Origin::Egp => "the configuration names it",
    };
    let entry = format!("{} announced by us", route.key);
    let reason = format!("announced by us: {origin}; what we announce we do not forward to others");
    Candidate::local(Fate::Best, reason, entry)
}
