//! Why packets to a prefix go where they go.

use super::{Candidate, Fate, NOT_IMPORTED, Table, Why, counted, no_target, route_targets};
use crate::import::{Candidate as Offered, Target};
use crate::underlay::UNDERLAY_TABLE;
use crate::view::View;
use crate::view::energy::Drain;
use crate::view::hosts::address;
use crate::view::routes::{Route, RoutePath};
use crate::vrf::Vrf;
use evpn_proto::bgp::attributes::Community;
use evpn_proto::types::{RouteKey, Vni};
use evpn_rib::decision::Candidate as Compared;
use evpn_rib::ip_vrf::{PrefixPath, multipath};
use evpn_rib::table::DestId;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};

impl View<'_> {
    /// Why packets to a prefix go where they go, in the VRF of one L3VNI or in all and by the
    /// underlay's own routes; of a host's address that no route covers, where its frames go.
    ///
    /// An address (a prefix of full length), and a prefix that nobody announces, stand for the
    /// longest prefix that covers them. Walks the whole table.
    pub fn why_prefix(&self, asked: IpNet, only: Option<Vni>) -> Why {
        let mut routes =
            self.routes_where(|key| prefix_of(key).is_some_and(|p| p.contains(&asked)));
        let vrfs = self.engine.vrfs.iter();
        let vrfs: Vec<(usize, &Vrf, IpNet)> = vrfs
            .filter(|(_, vrf)| only.is_none_or(|vni| vrf.settings.l3vni == vni))
            .flat_map(|(place, vrf)| {
                // A prefix whose paths are all rejected is in no VRF, and what people look for.
                let told = self.longest_told(*place, &routes);
                let used = longest(vrf, &asked).filter(|used| Some(*used) != told);
                told.into_iter().chain(used).map(move |prefix| (*place, vrf, prefix))
            })
            .collect();
        let mut wanted: BTreeSet<IpNet> = vrfs.iter().map(|(_, _, prefix)| *prefix).collect();
        wanted.insert(asked);
        routes.retain(|(_, route)| prefix_of(&route.key).is_some_and(|p| wanted.contains(&p)));
        let mut tables = Vec::new();
        let mut verdicts = Vec::new();
        if only.is_none() {
            for (table, verdict) in self.unicast(&asked) {
                verdicts.extend(verdict);
                tables.push(table);
            }
        }
        for (place, vrf, prefix) in vrfs {
            let (mut table, verdict) = self.table(place, vrf, prefix, &routes);
            table.routed = Some(asked).filter(|_| vrf.settings.table == UNDERLAY_TABLE);
            table.routed = table.routed.filter(|_| !table.vteps.is_empty());
            verdicts.extend(verdict);
            tables.push(table);
        }
        let nowhere = self.nowhere(&routes, only);
        if !nowhere.is_empty() {
            tables.push(Table::new(NOT_IMPORTED.to_owned(), nowhere));
        }
        let reachable = !verdicts.is_empty();
        if let Some(host) = self.as_host(&asked, only).filter(|_| !reachable) {
            tables.extend(host.tables);
            return Why { subject: asked.to_string(), tables, ..host };
        }
        let verdict = if reachable {
            verdicts.join("; ")
        } else {
            self.unknown_prefix(&asked, only, &tables)
        };
        Why { subject: asked.to_string(), verdict, reachable, tables }
    }

    /// Where frames go to a host of L2VNIs that has the address: nothing routes to it here, and
    /// those who are in its VNI reach it all the same.
    fn as_host(&self, asked: &IpNet, only: Option<Vni>) -> Option<Why> {
        if asked.prefix_len() != asked.max_prefix_len() {
            return None;
        }
        let evis = self.engine.evis.values().filter(|evi| only.is_none_or(|vni| evi.vni == vni));
        let hosts = evis.filter_map(|evi| address(evi, asked.addr()));
        let mut answers = hosts.map(|host| {
            let why = self.why_mac(host.mac, Some(host.vni));
            let verdict = format!("it is host {} in VNI {}: {}", host.mac, host.vni, why.verdict);
            Why { verdict, ..why }
        });
        let first = answers.next()?;
        Some(answers.fold(first, |all, next| Why {
            verdict: format!("{}; {}", all.verdict, next.verdict),
            reachable: all.reachable && next.reachable,
            tables: [all.tables, next.tables].concat(),
            ..all
        }))
    }

    /// The longest prefix of which a path, whatever became of it, has a route target of a VRF.
    fn longest_told(&self, place: usize, routes: &[(DestId, Route)]) -> Option<IpNet> {
        let leads_there = |path: &RoutePath| {
            path.peer.is_some()
                && self.engine.index.targets(&path.attributes).contains(&Target::L3(place))
        };
        // A host is for a VRF only with a second label (RFC 9135 section 4.1).
        let is_told = |route: &Route| match route.key {
            RouteKey::MacIp { .. } => {
                route.paths.iter().any(|path| path.labels.len() > 1 && leads_there(path))
            }
            _ => route.paths.iter().any(leads_there),
        };
        let told = routes.iter().filter(|(_, route)| is_told(route));
        told.filter_map(|(_, route)| prefix_of(&route.key)).max_by_key(IpNet::prefix_len)
    }

    /// The nearest facts about a prefix that nothing forwards to.
    fn unknown_prefix(&self, asked: &IpNet, only: Option<Vni>, tables: &[Table]) -> String {
        let paths = tables.iter().map(|t| t.candidates.len()).sum();
        let known = match paths {
            0 => "no route for it".to_owned(),
            n => format!("none of {} for it is used", counted(n, "path")),
        };
        let unicast = self.unicast_known(asked).filter(|_| only.is_none());
        let mut facts: Vec<String> = unicast.into_iter().collect();
        for (evi, vrf) in self.engine.fabric.vrfs.iter().zip(&self.settings().vrfs) {
            if only.is_some_and(|vni| vni != vrf.l3vni) {
                continue;
            }
            let up = self.engine.vrfs.values().find(|v| v.settings.l3vni == vrf.l3vni);
            facts.push(match (&evi.state, up) {
                (Err(why), _) => format!("VRF {} is down: {why}", vrf.name),
                (_, Some(up)) => {
                    let prefixes = up.table.iter().count();
                    format!("{} from others in VRF {}", plural_prefix(prefixes), vrf.name)
                }
                (_, None) => format!("VRF {} comes up", vrf.name),
            });
        }
        match (facts.is_empty(), only) {
            (false, _) => format!("{known}: {}", facts.join("; ")),
            (true, Some(vni)) if self.engine.evis.contains_key(&vni) => {
                format!("{known}: VNI {vni} is an L2VNI, and no host of it is known to have it")
            }
            (true, Some(vni)) => format!("{known}: no VRF has the L3VNI {vni}"),
            (true, None) => format!("{known}: no VRF is configured ([[vrf]])"),
        }
    }

    /// Paths that lead into no VRF that was asked for.
    fn nowhere(&self, routes: &[(DestId, Route)], only: Option<Vni>) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for (_, route) in routes {
            for path in route.paths.iter().filter(|path| path.peer.is_some()) {
                let targets = self.engine.index.targets(&path.attributes);
                let mut places = targets.iter().filter_map(l3);
                let is_host = matches!(route.key, RouteKey::MacIp { .. });
                if only.is_some() || is_host || places.next().is_some() {
                    continue;
                }
                let reason = format!("no VRF imports {}", route_targets(path));
                let beaten = Candidate::beaten(route, path);
                let rejected = || Candidate::of(route, path, Fate::Rejected, reason);
                candidates.push(beaten.unwrap_or_else(rejected));
            }
        }
        candidates
    }

    fn table(
        &self,
        place: usize,
        vrf: &Vrf,
        prefix: IpNet,
        routes: &[(DestId, Route)],
    ) -> (Table, Option<String>) {
        let name = &vrf.settings.name;
        let here = self.own_device(&prefix);
        let mut candidates: Vec<Candidate> = self.own(vrf, prefix, here).into_iter().collect();
        for (id, route) in routes.iter().filter(|(_, r)| prefix_of(&r.key) == Some(prefix)) {
            for path in route.paths.iter().filter(|path| path.peer.is_some()) {
                let targets = self.engine.index.targets(&path.attributes);
                let beaten = Candidate::beaten(route, path);
                candidates.push(match beaten {
                    Some(beaten) if targets.contains(&Target::L3(place)) => beaten,
                    None if targets.contains(&Target::L3(place)) => {
                        let (fate, reason) = self.fate_of_prefix(*id, vrf, prefix, here);
                        Candidate::of(route, path, fate, reason)
                    }
                    _ => {
                        let imports = vrf.import.texts(vrf.settings.l3vni);
                        let reason = no_target(path, &format!("VRF {name}"), &imports);
                        Candidate::of(route, path, Fate::Rejected, reason)
                    }
                });
            }
        }
        let mut table = Table::new(format!("VRF {name}, {prefix}"), candidates);
        table.winner = self.winner(vrf, prefix, here);
        table.intended = vrf.fib.objects(&prefix);
        if here.is_none() {
            table.vteps = vrf.fib.hops(&prefix).iter().map(|hop| hop.vtep).collect();
        }
        table.energy = self.energy_of(vrf, prefix, routes);
        let verdict = verdict(vrf, &prefix, here);
        (table, verdict)
    }

    /// The device that holds the prefix or the address here, so that the kernel delivers it itself.
    pub(super) fn own_device(&self, prefix: &IpNet) -> Option<&str> {
        let links = &self.engine.links;
        let connected = self.engine.connected.iter().find(|(_, net)| net == prefix);
        let by_index = connected.and_then(|(index, _)| links.iter().find(|l| l.index == *index));
        let holds = |address: &IpNet| address.addr() == prefix.addr();
        let full = prefix.prefix_len() == prefix.max_prefix_len();
        let by_address = || links.iter().find(|l| full && l.addresses.iter().any(holds));
        by_index.or_else(by_address).map(|link| link.name.as_str())
    }

    /// Our own announcement of the prefix.
    fn own(&self, vrf: &Vrf, prefix: IpNet, here: Option<&str>) -> Option<Candidate> {
        vrf.announced.get(&prefix)?;
        let named = vrf.settings.prefixes.iter().any(|p| p.prefix == prefix);
        let origin = match named {
            true => "the configuration names it",
            false if vrf.own.contains(&prefix) => "it is the switch's own, and no level changes it",
            false => "it is connected",
        };
        let (fate, reason) = match here {
            Some(device) => {
                (Fate::Best, format!("it is here, on {device}, which the kernel prefers"))
            }
            None if vrf.fib.hops(&prefix).is_empty() => {
                (Fate::Best, format!("announced by us: {origin}; nobody else announces it"))
            }
            None => (Fate::Multipath, format!("announced by us: {origin}")),
        };
        Some(Candidate::local(fate, reason, format!("{prefix} announced by us, rd {}", vrf.rd)))
    }

    /// What becomes of a route's best path in a VRF that has its route target.
    fn fate_of_prefix(
        &self,
        id: DestId,
        vrf: &Vrf,
        prefix: IpNet,
        here: Option<&str>,
    ) -> (Fate, String) {
        let rejected = |why: String| (Fate::Rejected, why);
        let offered = self.engine.ribs.evpn.table.get(id).and_then(|dest| {
            let path = dest.best()?;
            let attributes = self.engine.ribs.evpn.store.get(path.attributes)?;
            Some(Offered { id, dest, path, attributes })
        });
        let Some(offered) = offered else { return rejected("it has just gone".into()) };
        if let Err(why) = offered.check_l3(vrf.settings.l3vni, vrf.devices.vtep) {
            return rejected(why.text());
        }
        if vrf.captures.contains_key(&prefix) && !self.engine.unicast.fib.ways(&prefix).is_empty() {
            return rejected("the underlay has a unicast route of its own to it".into());
        }
        if let Some(address) = vrf.captures.get(&prefix) {
            return rejected(format!(
                "it would capture {address}, which the underlay must keep reaching by itself"
            ));
        }
        let paths = vrf.table.paths(&prefix);
        let chosen = multipath(paths);
        let (Some(winner), Some(path)) = (chosen.first(), paths.iter().find(|p| p.dest == id))
        else {
            return rejected("it has just come and was not dealt with yet".into());
        };
        if !chosen.iter().any(|p| p.dest == id) {
            let (_, step) = compared(winner).compare_cost(&compared(path));
            return (Fate::Lost, format!("the path to {} is preferred by {step}", winner.vtep));
        }
        if let Some(device) = here {
            return (Fate::Lost, format!("it is here, on {device}, which the kernel prefers"));
        }
        self.share(vrf, &prefix, winner, path)
    }

    /// Of a path that costs no more than the best: what part of the traffic it carries.
    fn share(
        &self,
        vrf: &Vrf,
        prefix: &IpNet,
        winner: &PrefixPath,
        path: &PrefixPath,
    ) -> (Fate, String) {
        let hops = vrf.fib.hops(prefix);
        let weighed = vrf.fib.weights(hops).into_iter().zip(hops);
        let weighed: Vec<(u32, _)> = weighed
            .map(|(copies, hop)| (copies.iter().map(|w| u32::from(*w)).sum(), hop))
            .collect();
        let all: u32 = weighed.iter().map(|(weight, _)| weight).sum();
        let mine = weighed.iter().find(|(_, hop)| hop.vtep == path.vtep).map(|(weight, _)| *weight);
        let fate = if path.dest == winner.dest { Fate::Best } else { Fate::Multipath };
        match mine {
            Some(_) if weighed.len() == 1 => (fate, "it carries all of the traffic".to_owned()),
            Some(weight) => {
                (fate, format!("it costs as much as the best: weight {weight} of {all}"))
            }
            None if self.is_restarting() => {
                let reason = "not programmed yet: after our start routes are chosen when every \
                              neighbor has told its own";
                (Fate::Lost, reason.to_owned())
            }
            None if path.bandwidth == Some(0.0) => {
                (Fate::Lost, "its link bandwidth is 0: it asks for no traffic".to_owned())
            }
            None => {
                let most = vrf.fib.max_paths();
                (Fate::Lost, format!("{most} paths are in use already: [multipath] max-paths"))
            }
        }
    }

    fn winner(&self, vrf: &Vrf, prefix: IpNet, here: Option<&str>) -> Option<String> {
        if let Some(device) = here {
            return Some(format!(
                "the kernel's own route or address on {device} comes before ours"
            ));
        }
        match vrf.fib.hops(&prefix) {
            [] => None,
            [only] => Some(format!("only the path to {} is usable, or it is the best", only.vtep)),
            hops => {
                let weighted = hops.iter().any(|h| h.share != 1.0);
                let by = if weighted { "by their link bandwidths" } else { "equally" };
                Some(format!("{} paths cost the same and share the traffic {by}", hops.len()))
            }
        }
    }

    /// What energy does to a prefix: ours, and those of others who drain.
    fn energy_of(&self, vrf: &Vrf, prefix: IpNet, routes: &[(DestId, Route)]) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(energy) = self.energy() {
            let name = &vrf.settings.name;
            let ours = energy.prefixes.iter().find(|p| p.vrf == name && p.prefix == prefix);
            if let Some(ours) = ours {
                let permille = ours.says.lever.bandwidth.permille();
                let (whole, tenth) = (permille / 10, permille % 10);
                let mut line = format!(
                    "site {} is at level {}: ours says {whole}.{tenth} % of its link bandwidth",
                    energy.settings.site, energy.explanation.level
                );
                if let Some(preference) = ours.says.lever.local_pref {
                    line.push_str(&format!(", LOCAL_PREF {preference} and GRACEFUL_SHUTDOWN"));
                }
                if let Drain::Draining(left) = ours.drain {
                    line.push_str(&format!("; its preference falls in {} s", left.as_secs()));
                }
                lines.push(line);
            }
        }
        let mut others: BTreeMap<_, &RoutePath> = BTreeMap::new();
        for (_, route) in routes.iter().filter(|(_, r)| prefix_of(&r.key) == Some(prefix)) {
            let leaving = |p: &&RoutePath| p.attributes.has_community(Community::GRACEFUL_SHUTDOWN);
            for path in route.paths.iter().filter(|p| p.peer.is_some()).filter(leaving) {
                others.insert(path.attributes.next_hop, path);
            }
        }
        lines.extend(others.keys().map(|vtep| {
            format!(
                "VTEP {vtep} asks to be avoided (GRACEFUL_SHUTDOWN): it is used if nobody else is"
            )
        }));
        lines
    }
}

const fn l3(target: &Target) -> Option<usize> {
    match target {
        Target::L3(place) => Some(*place),
        Target::L2(_) => None,
    }
}

fn plural_prefix(count: usize) -> String {
    if count == 1 { "1 prefix".to_owned() } else { format!("{count} prefixes") }
}

/// The prefix that a route leads to, if it leads to any.
fn prefix_of(key: &RouteKey) -> Option<IpNet> {
    match key {
        RouteKey::IpPrefix { prefix, .. } => Some(*prefix),
        RouteKey::MacIp { ip: Some(ip), .. } => Some(IpNet::from(*ip)),
        _ => None,
    }
}

/// The prefix itself if the VRF has it, or the longest that covers it.
fn longest(vrf: &Vrf, asked: &IpNet) -> Option<IpNet> {
    let known = vrf.table.iter().map(|(prefix, _)| prefix).chain(vrf.announced.keys().copied());
    known.filter(|prefix| prefix.contains(asked)).max_by_key(IpNet::prefix_len)
}

const fn compared(path: &PrefixPath) -> Compared<'_> {
    let PrefixPath { key, source, router_id, peer, .. } = path;
    Compared { key, source: *source, router_id: *router_id, peer: *peer, path_id: None }
}

fn verdict(vrf: &Vrf, prefix: &IpNet, here: Option<&str>) -> Option<String> {
    let name = &vrf.settings.name;
    if let Some(device) = here {
        return Some(format!("packets to {prefix} in VRF {name} stay here, on {device}"));
    }
    match vrf.fib.hops(prefix) {
        [] => None,
        [only] => Some(format!("packets to {prefix} in VRF {name} go to VTEP {}", only.vtep)),
        hops => {
            let count = hops.len();
            Some(format!("packets to {prefix} in VRF {name} are shared between {count} VTEPs"))
        }
    }
}
