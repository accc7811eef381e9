//! Several paths to a route (ADD-PATH, RFC 7911) with FRR and GoBGP: two sites announce one anycast
//! prefix to a reflector, and whoever takes several paths from it forwards by both.
//!
//! ```text
//!   site 1 (evpnd) ──┐                      ┌── leaf 4
//!                    ├── reflector 3 ───────┤      all on 10.0.0.0/24, AS 65000
//!   site 2 (evpnd) ──┘                      └── (the one that takes several paths)
//! ```
//!
//! **Evidence is the kernel's routes, the peer's own show, and packets that both sites count.** Each
//! test begins as its own control: without `add-path` there is one way.
#![cfg(feature = "kernel-tests")]

use evpn_tests::FrrVersion::{Eight, Ten};
use evpn_tests::{Evpnd, Fabric, Frr, FrrVersion, Gobgp, GobgpConfig, Leaf, Ns, eventually};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
const SERVICE: &str = "203.0.113.1/32";
const SITES: [&str; 2] = ["10.0.0.1", "10.0.0.2"];

/// A speaker of IPv4 unicast in AS 65000. `keys` are those of each neighbor.
fn ours(number: u8, announce: &str, neighbors: &[u8], keys: impl Fn(u8) -> String) -> String {
    let each =
        |n: &u8| format!("[[neighbor]]\naddress = \"10.0.0.{n}\"\ngroup = \"all\"\n{}", keys(*n));
    let neighbors: String = neighbors.iter().map(each).collect();
    format!(
        "[router]\nas = 65000\nid = \"10.0.0.{number}\"\n[unicast]\nannounce = [{announce}]\n\
         [timers]\nconnect-retry = \"1s\"\nhold = \"9s\"\n\
         [[group]]\nname = \"all\"\nas = \"internal\"\nfamilies = [\"ipv4-unicast\"]\n{neighbors}"
    )
}

fn site(number: u8, announce: bool) -> String {
    let announce = if announce { format!("\"{SERVICE}\"") } else { String::new() };
    ours(number, &announce, &[3], |_| String::new())
}

/// Leaf 4. `key` is what it says of the reflector.
fn client(key: &str) -> String {
    ours(4, "", &[3], |_| key.to_owned())
}

/// The reflector. `key` is what it says of leaf 4.
fn reflector(key: &str) -> String {
    ours(3, "", &[1, 2, 4], |n| {
        let several = if n == 4 { key } else { "" };
        format!("route-reflector-client = true\n{several}")
    })
}

/// A site with the service's address.
fn start_site(fabric: &Fabric, leaf: &Leaf) -> Evpnd {
    leaf.ns.ip(&format!("link set lo up\naddr add {SERVICE} dev lo"));
    Evpnd::start(fabric, leaf, &site(leaf.number, true))
}

fn reload(fabric: &Fabric, evpnd: &Evpnd, config: &str) {
    evpnd.write_config(fabric, config);
    assert_eq!(evpnd.ctl(&["config", "reload"]).status, 0);
}

/// The gateways of the kernel's route to the service.
fn gateways(ns: &Ns) -> Result<BTreeSet<String>, String> {
    let text = ns.sh(&format!("ip -j -4 route show {SERVICE}"));
    let routes: Vec<Value> = serde_json::from_str(&text).unwrap_or_default();
    let [route] = &routes[..] else { return Err(format!("no single route: {text}")) };
    let gateway = |hop: &Value| hop["gateway"].as_str().map(str::to_owned);
    let hops = route["nexthops"].as_array().cloned().unwrap_or_else(|| vec![route.clone()]);
    Ok(hops.iter().filter_map(gateway).collect())
}

fn expect_gateways(ns: &Ns, wanted: &[&str]) {
    let wanted: BTreeSet<String> = wanted.iter().map(|g| (*g).to_owned()).collect();
    eventually(SOON, &format!("the kernel forwards to {wanted:?}"), || match gateways(ns)? {
        found if found == wanted => Ok(()),
        found => Err(format!("{found:?}")),
    });
}

/// Which way the kernel takes for flows of different ports.
fn ways_of_flows(ns: &Ns) -> BTreeSet<String> {
    let service = SERVICE.trim_end_matches("/32");
    let via = |port: u16| {
        let text = ns.sh(&format!("ip -4 route get {service} ipproto udp sport {port} dport 53"));
        let mut words = text.split_whitespace().skip_while(|word| *word != "via");
        words.nth(1).unwrap_or_default().to_owned()
    };
    (4000..4064).map(via).collect()
}

fn frr_as_reflector(version: FrrVersion, fabric: &Fabric, leaf: &Leaf) -> Frr {
    let each = |line: fn(u8) -> String| [1, 2, 4].map(line).concat();
    let sessions = each(|n| {
        format!(
            " neighbor 10.0.0.{n} remote-as 65000\n neighbor 10.0.0.{n} timers 3 9\n \
             neighbor 10.0.0.{n} timers connect 1\n"
        )
    });
    let clients = each(|n| {
        let several = if n == 4 { "  neighbor 10.0.0.4 addpath-tx-all-paths\n" } else { "" };
        format!("  neighbor 10.0.0.{n} route-reflector-client\n{several}")
    });
    let bgpd = format!(
        "router bgp 65000\n bgp router-id 10.0.0.3\n{sessions} address-family ipv4 unicast\n{clients}"
    );
    version.start(fabric, leaf, "", &bgpd)
}

#[test]
fn frr_sends_every_path_and_the_kernel_has_all_ways() {
    every_path_is_taken("addpath-in", Eight);
}

#[test]
fn frr_10_sends_every_path_and_the_kernel_has_all_ways() {
    every_path_is_taken("addpath10-in", Ten);
}

fn every_path_is_taken(test: &str, version: FrrVersion) {
    let mut fabric = Fabric::new(test);
    let [one, two, three, four] = [1, 2, 3, 4].map(|n| fabric.leaf(n));
    four.ns.sysctl("net.ipv4.fib_multipath_hash_policy", "1");
    let mut frr = frr_as_reflector(version, &fabric, &three);
    let [first, _second] = [&one, &two].map(|leaf| start_site(&fabric, leaf));
    // Control: FRR would send both, and who does not take several paths has one.
    let evpnd = Evpnd::start(&fabric, &four, &client(""));
    expect_gateways(&four.ns, &SITES[..1]);
    let known = frr.json(&format!("show bgp ipv4 unicast {SERVICE} json")).unwrap();
    assert_eq!(known["paths"].as_array().map(Vec::len), Some(2), "control: {known}");
    assert_eq!(ways_of_flows(&four.ns).len(), 1, "control");

    reload(&fabric, &evpnd, &client("add-path = \"receive\"\n"));
    expect_gateways(&four.ns, &SITES);
    let ways = ways_of_flows(&four.ns);
    assert_eq!(ways.iter().map(String::as_str).collect::<Vec<_>>(), SITES);
    four.ns.ping("203.0.113.1", 56).expect("a site answers");
    let neighbor = evpnd.ctl(&["show", "bgp", "neighbor", "10.0.0.3"]).stdout;
    assert!(neighbor.contains("ADD-PATH"), "{neighbor}");

    // A site that ends, by its own word and with its session, and comes back.
    reload(&fabric, &first, &site(1, false));
    expect_gateways(&four.ns, &SITES[1..]);
    reload(&fabric, &first, &site(1, true));
    expect_gateways(&four.ns, &SITES);
    frr.vtysh("clear bgp 10.0.0.4 soft out");
    frr.vtysh("clear bgp 10.0.0.4");
    expect_gateways(&four.ns, &SITES);
    assert_eq!(evpnd.ctl(&["clear", "bgp", "10.0.0.3", "--soft"]).status, 0);
    expect_gateways(&four.ns, &SITES);
    frr.expect_alive();
}

/// The paths that FRR was sent, by next hop, with their identifiers.
fn paths_of(frr: &Frr) -> Result<Vec<(String, u64)>, String> {
    let shown = frr.json(&format!("show bgp ipv4 unicast {SERVICE} json"))?;
    let paths = shown["paths"].as_array().cloned().unwrap_or_default();
    let path = |path: &Value| {
        let hop = path["nexthops"][0]["ip"].as_str()?.to_owned();
        Some((hop, path["addpathRxId"].as_u64().unwrap_or(0)))
    };
    let mut paths: Vec<(String, u64)> = paths.iter().filter_map(path).collect();
    paths.sort();
    Ok(paths)
}

/// Waits for one path of each; what FRR keeps of a former session until End-of-RIB is one more.
fn expect_paths(frr: &Frr, wanted: &[&str]) -> BTreeMap<String, u64> {
    let mut last = Vec::new();
    eventually(SOON, &format!("FRR has the paths of {wanted:?}"), || {
        last = paths_of(frr)?;
        let hops: Vec<&str> = last.iter().map(|(hop, _)| hop.as_str()).collect();
        if hops == wanted { Ok(()) } else { Err(format!("{last:?}")) }
    });
    last.into_iter().collect()
}

#[test]
fn frr_is_sent_every_path_each_with_its_identifier() {
    every_path_is_sent("addpath-out", Eight);
}

#[test]
fn frr_10_is_sent_every_path_each_with_its_identifier() {
    every_path_is_sent("addpath10-out", Ten);
}

fn every_path_is_sent(test: &str, version: FrrVersion) {
    let mut fabric = Fabric::new(test);
    let [one, two, three, four] = [1, 2, 3, 4].map(|n| fabric.leaf(n));
    // FRR takes several paths unless it is told not to.
    let bgpd = "router bgp 65000\n bgp router-id 10.0.0.4\n neighbor 10.0.0.3 remote-as 65000\n \
                neighbor 10.0.0.3 timers 3 9\n neighbor 10.0.0.3 timers connect 1\n \
                address-family ipv4 unicast\n  maximum-paths ibgp 8\n";
    let mut frr = version.start(&fabric, &four, "", bgpd);
    let [first, _second] = [&one, &two].map(|leaf| start_site(&fabric, leaf));
    let evpnd = Evpnd::start(&fabric, &three, &reflector(""));
    let control = expect_paths(&frr, &SITES[..1]);
    assert_eq!(control[SITES[0]], 0, "control: no identifier");

    reload(&fabric, &evpnd, &reflector("add-path = \"send\"\n"));
    let both = expect_paths(&frr, &SITES);
    let ids: BTreeSet<u64> = both.values().copied().collect();
    assert!(ids.len() == 2 && !ids.contains(&0), "{both:?}");
    expect_gateways(&four.ns, &SITES);
    let summary = frr.json("show bgp ipv4 unicast summary json").unwrap();
    assert_eq!(summary["peers"]["10.0.0.3"]["pfxRcd"], 2, "{summary}");

    // What stays keeps its identifier, whoever goes; and who comes back is there again.
    reload(&fabric, &first, &site(1, false));
    let rest = expect_paths(&frr, &SITES[1..]);
    assert_eq!(rest[SITES[1]], both[SITES[1]]);
    reload(&fabric, &first, &site(1, true));
    let again = expect_paths(&frr, &SITES);
    assert_eq!(again[SITES[1]], both[SITES[1]]);
    frr.vtysh("clear bgp 10.0.0.3 soft in");
    assert_eq!(expect_paths(&frr, &SITES), again);
    frr.vtysh("clear bgp 10.0.0.3");
    expect_paths(&frr, &SITES);
    frr.expect_alive();
}

/// GoBGP on a leaf, that takes several paths and sends them to all of its neighbours.
fn gobgp(fabric: &Fabric, leaf: &Leaf, neighbours: &[(u8, u32)], all: &str) -> Gobgp {
    let config = GobgpConfig {
        own_as: 65000,
        neighbours,
        families: &["ipv4-unicast"],
        all,
        every_family: "[neighbors.afi-safis.add-paths.config]\nreceive = true\nsend-max = 8\n",
        more: "",
    };
    Gobgp::start_with(fabric, leaf, &config)
}

#[test]
fn gobgp_sends_every_path_and_the_kernel_has_all_ways() {
    let mut fabric = Fabric::new("addpath-gobgp-in");
    let [one, two, three, four] = [1, 2, 3, 4].map(|n| fabric.leaf(n));
    let neighbours = [1, 2, 4].map(|n| (n, 65000));
    let reflects = "[neighbors.route-reflector.config]\nroute-reflector-client = true\n\
                    route-reflector-cluster-id = \"10.0.0.3\"\n";
    let _gobgp = gobgp(&fabric, &three, &neighbours, reflects);
    let [first, _second] = [&one, &two].map(|leaf| start_site(&fabric, leaf));
    // Control: it would send both.
    let evpnd = Evpnd::start(&fabric, &four, &client(""));
    expect_gateways(&four.ns, &SITES[..1]);
    reload(&fabric, &evpnd, &client("add-path = \"receive\"\n"));
    expect_gateways(&four.ns, &SITES);
    reload(&fabric, &first, &site(1, false));
    expect_gateways(&four.ns, &SITES[1..]);
    reload(&fabric, &first, &site(1, true));
    expect_gateways(&four.ns, &SITES);
}

#[test]
fn gobgp_is_sent_every_path() {
    let mut fabric = Fabric::new("addpath-gobgp-out");
    let [one, two, three, four] = [1, 2, 3, 4].map(|n| fabric.leaf(n));
    let gobgp = gobgp(&fabric, &four, &[(3, 65000)], "");
    let [first, _second] = [&one, &two].map(|leaf| start_site(&fabric, leaf));
    let expect = |wanted: &[&str]| {
        eventually(SOON, &format!("GoBGP has the paths of {wanted:?}"), || {
            let text = gobgp.try_run("global rib -a ipv4 -j")?;
            let table: Value = serde_json::from_str(&text).map_err(|e| format!("{e}: {text}"))?;
            let paths = table[SERVICE].as_array().cloned().unwrap_or_default();
            let hops = |path: &Value| {
                let all = path["attrs"].as_array().cloned().unwrap_or_default();
                all.iter().find_map(|a| a["nexthop"].as_str().map(str::to_owned))
            };
            let found: BTreeSet<String> = paths.iter().filter_map(hops).collect();
            let same = found.iter().eq(wanted) && paths.len() == wanted.len();
            if same { Ok(()) } else { Err(text) }
        });
    };
    let evpnd = Evpnd::start(&fabric, &three, &reflector(""));
    expect(&SITES[..1]);
    reload(&fabric, &evpnd, &reflector("add-path = \"send\"\n"));
    expect(&SITES);
    reload(&fabric, &first, &site(1, false));
    expect(&SITES[1..]);
    reload(&fabric, &first, &site(1, true));
    expect(&SITES);
}
