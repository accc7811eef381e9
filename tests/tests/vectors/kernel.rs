//! What the kernel holds, as lines of text that can be compared, and which lines a message makes.
//!
//! **A snapshot is everything that evpnd can write**: both halves of the FDB, neighbours, nexthops
//! and the routes of every table, in both families.

use super::leaf::{L2VNI, LeafKind};
use evpn_tests::Ns;
use serde_json::{Deserializer, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The MAC address of flood entries.
const FLOOD: &str = "00:00:00:00:00:00";

pub(super) type Lines = BTreeSet<String>;

/// Everything, in one run of the shell.
pub(super) fn snapshot(ns: &Ns) -> Lines {
    let text = ns.sh("bridge -j fdb show; ip -j -6 route show table all; \
                      printf 'neigh show\\nnexthop show\\nroute show table all\\n' | ip -j -batch -");
    let tables = [fdb, route, neighbour, nexthop, route];
    let answers: Vec<Value> = Deserializer::from_str(&text)
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap_or_else(|e| panic!("{e}: {text}"));
    assert_eq!(answers.len(), tables.len(), "{text}");
    let lines = answers
        .iter()
        .zip(tables)
        .flat_map(|(answer, line)| answer.as_array().expect("a list").iter().filter_map(line));
    lines.collect()
}

fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or("-")
}

fn fdb(value: &Value) -> Option<String> {
    let half = if value["master"].is_string() { "bridge" } else { "self" };
    let group = value["nhid"].as_u64().map(|id| id.to_string());
    let to = group.unwrap_or_else(|| word(value, "dst").to_owned());
    Some(fdb_line(word(value, "ifname"), word(value, "mac"), half, &to))
}

fn fdb_line(device: &str, mac: &str, half: &str, to: &str) -> String {
    format!("fdb {device} {mac} {half} {to}")
}

fn neighbour(value: &Value) -> Option<String> {
    // What the underlay's device learns by ARP is the kernel's.
    let learnt = value.get("extern_learn").is_none() && value.get("proto").is_none();
    let (device, ip, mac) = (word(value, "dev"), word(value, "dst"), word(value, "lladdr"));
    (device != "up0" || !learnt).then(|| format!("neighbour {device} {ip} {mac}"))
}

/// The two nexthops of a way are one line: their ids say nothing here.
fn nexthop(value: &Value) -> Option<String> {
    Some(format!("nexthop {} {} {}", word(value, "dev"), word(value, "gateway"), value["group"]))
}

fn route(value: &Value) -> Option<String> {
    let via = value["via"]["host"].as_str().unwrap_or_else(|| word(value, "gateway"));
    let (to, device, table) = (word(value, "dst"), word(value, "dev"), word(value, "table"));
    Some(format!("route {to} {via} {device} {table}"))
}

/// What a message says, as `evpnctl decode` tells it.
pub(super) struct Said<'a> {
    decoded: &'a Value,
    next_hop: Option<IpAddr>,
    targets: BTreeSet<u64>,
    router_mac: Option<String>,
    flood_to: Option<IpAddr>,
}

fn address(value: &Value) -> Option<IpAddr> {
    value.as_str()?.parse().ok()
}

/// Whether a MAC address can be a host's.
fn is_host(mac: &str) -> bool {
    mac != FLOOD && u8::from_str_radix(&mac[..2], 16).is_ok_and(|first| first & 1 == 0)
}

fn can_be_vtep(address: &IpAddr) -> bool {
    !address.is_unspecified() && !address.is_multicast() && !address.is_loopback()
}

impl<'a> Said<'a> {
    pub(super) fn new(decoded: &'a Value) -> Self {
        let mut values: BTreeMap<&str, &Value> = BTreeMap::new();
        for attribute in decoded["attributes"].as_array().into_iter().flatten() {
            // RFC 7606 section 3: the first of several counts.
            values.entry(word(attribute, "name")).or_insert(&attribute["value"]);
        }
        let of = |name: &str| values.get(name).copied().unwrap_or(&Value::Null);
        let communities = of("EXTENDED_COMMUNITIES").as_array().into_iter().flatten();
        let named = |name: &'static str| communities.clone().filter(move |c| c["name"] == name);
        let number = |rt: &Value| rt["value"].as_str()?.rsplit_once(':')?.1.parse().ok();
        let router_macs = named("router-mac").filter_map(|c| c["value"].as_str());
        let tunnel = of("PMSI_TUNNEL");
        let replicates = tunnel["tunnel"] == "ingress-replication";
        Self {
            decoded,
            next_hop: address(&of("MP_REACH_NLRI")["next-hop"]),
            targets: named("route-target").filter_map(number).collect(),
            router_mac: router_macs.min().filter(|mac| is_host(mac)).map(str::to_owned),
            flood_to: address(&tunnel["endpoint"]).filter(|a| replicates && can_be_vtep(a)),
        }
    }

    /// The routes that stand, by their text; of one that stands twice the last.
    pub(super) fn routes(&self) -> BTreeMap<&'a str, &'a Value> {
        let routes = self.decoded["routes"].as_array().into_iter().flatten();
        routes.map(|route| (word(route, "text"), route)).collect()
    }

    fn has_target(&self, vni: u32) -> bool {
        self.targets.contains(&u64::from(vni))
    }

    /// The lines that a leaf's kernel should have of it.
    pub(super) fn lines(&self, leaf: LeafKind) -> Lines {
        let mut lines = Lines::new();
        if !self.next_hop.is_some_and(|hop| can_be_vtep(&hop)) {
            return lines;
        }
        for route in self.routes().values() {
            match route["type"].as_u64() {
                Some(2) => self.host(leaf, route, &mut lines),
                Some(3) => self.flood(leaf, route, &mut lines),
                Some(5) => {
                    let bare = route["gateway"].is_null()
                        && word(route, "esi") == "00:00:00:00:00:00:00:00:00:00";
                    if bare && route["labels"][0] == leaf.l3vni {
                        self.prefix(leaf, word(route, "prefix"), &mut lines);
                    }
                }
                // All others are checked and passed on.
                _ => {}
            }
        }
        lines
    }

    fn vtep(&self, leaf: LeafKind) -> Option<IpAddr> {
        self.next_hop.filter(|hop| leaf.reaches(hop))
    }

    fn host(&self, leaf: LeafKind, route: &Value, lines: &mut Lines) {
        let mac = word(route, "mac");
        let Some(vtep) = self.vtep(leaf).filter(|_| is_host(mac)) else { return };
        let ip = route["ip"].as_str();
        if self.has_target(L2VNI) && route["labels"][0] == L2VNI {
            let device = format!("vx{L2VNI}");
            lines.insert(fdb_line(&device, mac, "bridge", "-"));
            lines.insert(fdb_line(&device, mac, "self", &vtep.to_string()));
            lines.extend(ip.map(|ip| format!("neighbour br{L2VNI} {ip} {mac}")));
        }
        if let Some(ip) = ip.filter(|_| route["labels"][1] == leaf.l3vni) {
            self.prefix(leaf, ip, lines);
        }
    }

    fn flood(&self, leaf: LeafKind, route: &Value, lines: &mut Lines) {
        let originator = address(&route["originator"]).filter(can_be_vtep);
        let to = self.flood_to.filter(|to| leaf.reaches(to) && originator.is_some());
        if let Some(to) = to.filter(|_| self.has_target(L2VNI)) {
            lines.insert(fdb_line(&format!("vx{L2VNI}"), FLOOD, "self", &to.to_string()));
        }
    }

    fn prefix(&self, leaf: LeafKind, prefix: &str, lines: &mut Lines) {
        let (Some(vtep), Some(mac)) = (self.vtep(leaf), &self.router_mac) else { return };
        let vni = leaf.l3vni;
        if !self.has_target(vni) {
            return;
        }
        // The kernel takes a gateway of the route's own family only.
        let gateway = match vtep {
            IpAddr::V4(v4) if prefix.contains(':') => IpAddr::from(v4.to_ipv6_mapped()),
            other => other,
        };
        let shown = match prefix {
            "0.0.0.0/0" | "::/0" => "default",
            other => other.trim_end_matches("/32").trim_end_matches("/128"),
        };
        let device = format!("vx{vni}");
        lines.insert(fdb_line(&device, mac, "bridge", "-"));
        lines.insert(fdb_line(&device, mac, "self", &vtep.to_string()));
        lines.insert(format!("neighbour br{vni} {gateway} {mac}"));
        lines.insert(format!("nexthop br{vni} {gateway} null"));
        lines.insert(format!("route {shown} {gateway} br{vni} -"));
    }

    /// Why a right message makes nothing in the kernel, where it is none of evpnd's faults.
    pub(super) fn why_nothing(&self, leaf: LeafKind) -> Option<&'static str> {
        let routes = self.routes();
        let all = |takes: fn(&Value) -> bool| routes.values().all(|route| takes(route));
        if all(|route| !matches!(route["type"].as_u64(), Some(2 | 3 | 5))) {
            Some("routes of types that are passed on and not acted on")
        } else if all(|route| route["type"] == 5 && !route["gateway"].is_null()) {
            Some("a gateway to be resolved first (RFC 9136 section 4.2) is not served")
        } else if [self.next_hop, self.flood_to].into_iter().flatten().any(|a| !leaf.reaches(&a)) {
            Some("a VTEP of the other address family than the leaf's")
        } else {
            None
        }
    }
}
