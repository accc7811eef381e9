//! With GoBGP as internal and external peer, both ways, and with ExaBGP as a receiver.
//!
//! **Evidence is the kernel's tables and the peer's own table.** What crossed the wire is looked
//! through by tshark.
#![cfg(feature = "kernel-tests")]

use evpn_tests::dissect::{bgp_messages, complaints};
use evpn_tests::octets::{self, Attribute, Update};
use evpn_tests::pair::VNI;
use evpn_tests::{
    Capture, Evpnd, Exabgp, Fabric, Fdb, Gobgp, Host, Leaf, NeighEntry, Speaker, eventually,
    gratuitous_arp, holds_for,
};
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
const LONG: Duration = Duration::from_secs(1);
const VXLAN: &str = "vx100";
const L3VNI: u32 = 5000;
const SERVICE: &str = "198.51.100.10/32";
const PEER: &str = "10.0.0.2";
/// Hosts that only the peer speaks of.
const FAR: &str = "02:00:00:00:aa:01";
const FAR_IP: &str = "172.16.100.21";
const FAR_IP6: &str = "2001:db8:100::21";
/// A host that is now here, now there.
const ROAMER: &str = "02:00:00:00:aa:07";
const ROAMER_IP: &str = "172.16.100.77";
/// One with a route target that nobody imports.
const STRANGER: &str = "02:00:00:00:aa:ee";
const ROUTER_MAC: &str = "02:00:00:00:50:02";

/// evpnd on the first leaf with a host behind it; the second leaf is the peer's.
struct Site {
    capture: Capture,
    evpnd: Evpnd,
    host: Host,
    leaf: Leaf,
    peer: Leaf,
    fabric: Fabric,
}

fn config(own: u32, theirs: u32, prefixes: &str) -> String {
    format!(
        "[router]\nas = {own}\n[timers]\nconnect-retry = \"1s\"\n\
         [[neighbor]]\naddress = \"{PEER}\"\nas = {theirs}\n\
         [[vrf]]\nl3vni = {L3VNI}\nprefixes = [{prefixes}]\n"
    )
}

fn service() -> String {
    format!("{{ prefix = \"{SERVICE}\" }}")
}

impl Site {
    fn new(test: &str, own: u32, theirs: u32) -> Self {
        let mut fabric = Fabric::new(test);
        let [leaf, peer] = [1, 2].map(|n| fabric.leaf(n));
        leaf.vni(VNI).l3vni(L3VNI);
        let host = fabric.host("a", &leaf, VNI, 11);
        let file = fabric.path("interop.pcap");
        let capture = Capture::start(&leaf.ns, "up0", "tcp port 179", &file);
        let evpnd = Evpnd::start(&fabric, &leaf, &config(own, theirs, &service()));
        Self { capture, evpnd, host, leaf, peer, fabric }
    }

    /// The host says that it is there, in both families.
    fn host_speaks(&self) {
        for to in ["172.16.100.254", "2001:db8:100::254"] {
            // Nobody answers: it is heard all the same.
            self.host.ns.ping(to, 56).ok();
        }
    }

    /// evpnd's path to a route from the peer, by the route's text.
    fn path(&self, route: &str) -> Result<Value, String> {
        let table = self.evpnd.json(&["show", "bgp", "l2vpn", "evpn", "route"])?;
        let rows = table["items"].as_array().ok_or_else(|| table.to_string())?;
        // Our route of the same host differs in its distinguisher only.
        let of_route = rows.iter().filter(|r| r["prefix"] == route);
        let mut paths = of_route.filter_map(|r| r["paths"].as_array()).flatten();
        let path = paths.find(|p| p["peerId"] == PEER).cloned();
        path.ok_or_else(|| format!("no {route} of the peer's in {table:#}"))
    }

    fn flooded_to_peer(&self) -> bool {
        let flood = ("00:00:00:00:00:00".to_owned(), PEER.to_owned());
        Fdb::read(&self.leaf.ns).remote(VXLAN).contains(&flood)
    }

    /// The VTEP of a host in the kernel.
    fn vtep(&self, mac: &str) -> Option<String> {
        let remote = Fdb::read(&self.leaf.ns).remote(VXLAN);
        remote.into_iter().find(|(known, _)| known == mac).map(|(_, vtep)| vtep)
    }

    fn neighbour(&self, address: &str) -> Option<String> {
        let known = NeighEntry::of(&self.leaf.ns, address);
        known.into_iter().find(|n| n.extern_learn && n.device == "br100").and_then(|n| n.mac)
    }

    fn routed(&self, prefix: &str) -> String {
        let family = if prefix.contains(':') { "-6" } else { "-4" };
        self.leaf.ns.sh(&format!("ip {family} route show {prefix}"))
    }

    /// What the kernel has of the peer's, in one text.
    fn programmed(&self) -> String {
        let fdb = Fdb::read(&self.leaf.ns).remote(VXLAN);
        let neighbours = [FAR_IP, FAR_IP6].map(|a| self.neighbour(a));
        let routes: Vec<String> = PREFIXES.iter().map(|p| self.routed(p)).collect();
        format!("{fdb:?} {neighbours:?} {routes:?}")
    }

    /// tshark sees every message that evpnd sent, and complains about none.
    fn tshark_is_content(&mut self) {
        let file = self.capture.finish();
        let sent = bgp_messages(file, "10.0.0.1", PEER).len();
        let (seen, complaints) = complaints(file, "10.0.0.1");
        println!("tshark: {seen} messages of evpnd's, {} complaints", complaints.len());
        assert!(complaints.is_empty(), "{complaints:#?}");
        assert_eq!(seen, sent, "tshark sees every message");
    }
}

const PREFIXES: [&str; 2] = ["203.0.113.0/24", "2001:db8:a::/48"];
const SEGMENT: &str = "05:00:00:fd:ea:00:00:00:64:00";

/// What GoBGP is told to announce, in the words of its command, with the route target's AS.
fn announcements(asn: u32) -> Vec<String> {
    let l2 = format!("rd {PEER}:100 rt {asn}:100 encap vxlan");
    let l3 = format!("label 5000 rd {PEER}:5000 rt {asn}:5000 encap vxlan router-mac {ROUTER_MAC}");
    let [v4, v6] = PREFIXES;
    vec![
        format!(
            "a-d esi AS 65002 100 etag 4294967295 label 0 rd {PEER}:1 rt {asn}:100 encap vxlan \
             esi-label 100"
        ),
        format!("a-d esi AS 65002 100 etag 0 label 100 {l2}"),
        format!("macadv {FAR} 0.0.0.0 etag 0 label 100 {l2}"),
        format!(
            "macadv {FAR} {FAR_IP} etag 0 label 100,5000 rd {PEER}:100 rt {asn}:100 {asn}:5000 \
             encap vxlan router-mac {ROUTER_MAC}"
        ),
        format!("macadv {FAR} {FAR_IP6} etag 0 label 100 {l2}"),
        format!("multicast {PEER} etag 0 {l2} pmsi ingress-repl 100 {PEER}"),
        format!("esi {PEER} esi AS 65002 100 rd {PEER}:1 rt {asn}:100 encap vxlan"),
        format!("prefix {v4} gw 0.0.0.0 etag 0 {l3}"),
        format!("prefix {v6} gw :: etag 0 {l3}"),
    ]
}

/// A policy by which GoBGP adds link bandwidth to what it announces to evpnd.
fn with_link_bandwidth(asn: u32) -> String {
    format!(
        "[global.apply-policy.config]\nexport-policy-list = [\"bandwidth\"]\n\
         [[policy-definitions]]\nname = \"bandwidth\"\n\
         [[policy-definitions.statements]]\n\
         [policy-definitions.statements.actions.bgp-actions.set-ext-community]\noptions = \"add\"\n\
         [policy-definitions.statements.actions.bgp-actions.set-ext-community.set-ext-community-method]\n\
         communities-list = [\"lb:{asn}:1250000\"]\n"
    )
}

fn is_programmed(site: &Site) -> Result<(), String> {
    let [v4, v6] = PREFIXES.map(|p| site.routed(p));
    let has = site.flooded_to_peer()
        && site.vtep(FAR).as_deref() == Some(PEER)
        && site.neighbour(FAR_IP).as_deref() == Some(FAR)
        && site.neighbour(FAR_IP6).as_deref() == Some(FAR)
        && v4.contains("proto 110")
        && v6.contains("proto 110");
    if has { Ok(()) } else { Err(site.programmed()) }
}

fn nothing_is_programmed(site: &Site) -> Result<(), String> {
    let seen = site.programmed();
    let nothing = Fdb::read(&site.leaf.ns).remote(VXLAN).is_empty()
        && [FAR_IP, FAR_IP6].iter().all(|a| site.neighbour(a).is_none())
        && PREFIXES.iter().all(|p| site.routed(p).is_empty());
    if nothing { Ok(()) } else { Err(seen) }
}

/// What evpnd shows of each of the peer's routes: labels, next hop, communities.
fn shown_as_sent(site: &Site, asn: u32) {
    let l2 = format!("RT:{asn}:100");
    let l3 = format!("RT:{asn}:5000");
    let router = format!("Rmac:{ROUTER_MAC}");
    let [v4, v6] = PREFIXES.map(|p| p.split_once('/').expect("a prefix"));
    let wanted: Vec<(String, &[u32], Vec<&str>)> = vec![
        (format!("[1]:[4294967295]:[{SEGMENT}]"), &[], vec![&l2]),
        (format!("[1]:[0]:[{SEGMENT}]"), &[100], vec![&l2]),
        (format!("[2]:[0]:[48]:[{FAR}]"), &[100], vec![&l2]),
        (format!("[2]:[0]:[48]:[{FAR}]:[32]:[{FAR_IP}]"), &[100, 5000], vec![&l2, &l3, &router]),
        (format!("[2]:[0]:[48]:[{FAR}]:[128]:[{FAR_IP6}]"), &[100], vec![&l2]),
        (format!("[3]:[0]:[32]:[{PEER}]"), &[100], vec![&l2]),
        (format!("[4]:[{SEGMENT}]:[32]:[{PEER}]"), &[], vec![&l2]),
        (format!("[5]:[0]:[{}]:[{}]", v4.1, v4.0), &[5000], vec![&l3, &router]),
        (format!("[5]:[0]:[{}]:[{}]", v6.1, v6.0), &[5000], vec![&l3, &router]),
    ];
    for (route, labels, communities) in wanted {
        let path = eventually(SOON, &format!("evpnd knows {route}"), || site.path(&route));
        assert_eq!(path["nexthop"], PEER, "{route}: {path:#}");
        assert_eq!(path["vni"], serde_json::json!(labels), "{route}: {path:#}");
        assert_eq!(path["linkBandwidth"], 1_250_000, "{route}: {path:#}");
        assert_eq!(path["valid"], true, "{route}: {path:#}");
        let shown = path["extendedCommunity"].to_string();
        for community in communities.into_iter().chain(["ET:8"]) {
            assert!(shown.contains(community), "{route}: no {community} in {shown}");
        }
    }
}

/// GoBGP's path to a route of evpnd's whose NLRI passes `is`.
fn gobgp_path(gobgp: &Gobgp, is: impl Fn(&Value) -> bool) -> Result<Value, String> {
    let paths = gobgp.paths();
    let found = paths.iter().find(|p| is(&p["nlri"])).cloned();
    found.ok_or_else(|| format!("not among {}", Value::from(paths)))
}

/// The attribute of a code in GoBGP's path.
fn attribute(path: &Value, code: u8) -> Value {
    let mut all = path["attrs"].as_array().into_iter().flatten();
    all.find(|a| a["type"] == code).cloned().unwrap_or_default()
}

/// What GoBGP says of a path of evpnd's: next hop, route target, VXLAN.
#[track_caller]
fn is_ours(path: &Value, target: &str) {
    assert_eq!(attribute(path, 14)["nexthop"], "10.0.0.1", "{path:#}");
    let communities = attribute(path, 16)["value"].to_string();
    assert!(communities.contains(&format!("\"value\":\"{target}\"")), "{target}: {communities}");
    assert!(communities.contains("\"tunnel_type\":8"), "{communities}");
}

/// evpnd's own routes as GoBGP knows them.
fn gobgp_knows_ours(site: &Site, gobgp: &Gobgp, own: u32) {
    let l2 = format!("{own}:100");
    let l3 = format!("{own}:5000");
    let Host { mac, ip, ip6, .. } = &site.host;
    for address in [None, Some(ip), Some(ip6)] {
        let path = eventually(SOON, "GoBGP knows our host", || {
            gobgp_path(gobgp, |n| {
                let value = &n["value"];
                let said = value["ip"].as_str().filter(|ip| ip.parse::<IpAddr>().is_ok());
                n["type"] == 2 && value["mac"] == *mac && said == address.map(String::as_str)
            })
        });
        assert_eq!(path["nlri"]["value"]["labels"], serde_json::json!([100]), "{path:#}");
        assert_eq!(path["nlri"]["value"]["esi"], "single-homed", "{path:#}");
        is_ours(&path, &l2);
    }
    let flood = gobgp_path(gobgp, |n| n["type"] == 3 && n["value"]["ip"] == "10.0.0.1");
    let flood = flood.expect("our type 3");
    let tunnel = attribute(&flood, 22);
    assert_eq!([&tunnel["tunnel-type"], &tunnel["label"]], [6, 100], "{tunnel}");
    assert_eq!(tunnel["tunnel-id"], "10.0.0.1", "{tunnel}");
    is_ours(&flood, &l2);
    let prefix = gobgp_path(gobgp, is_service).expect("our type 5");
    assert_eq!(prefix["nlri"]["value"]["label"], L3VNI, "{prefix:#}");
    is_ours(&prefix, &l3);
    let communities = attribute(&prefix, 16)["value"].to_string();
    assert!(communities.contains("02:00:00:00:50:01"), "router's MAC: {communities}");
    // 10 Gbit/s in octets a second.
    assert!(
        communities.contains("\"bandwidth\":1250000000") || communities.contains("1.25e+09"),
        "{communities}"
    );
}

fn is_service(nlri: &Value) -> bool {
    let prefix = nlri["value"]["prefix"].as_str().unwrap_or_default();
    nlri["type"] == 5 && SERVICE.starts_with(prefix) && !prefix.is_empty()
}

/// A host that was the peer's first speaks here, is announced there again, and speaks here again:
/// each move has a higher sequence than the last, to both.
fn a_host_moves(site: &Site, gobgp: &Gobgp, own: u32, theirs: u32) {
    // GoBGP counts moves among routes that share a target.
    let announce = || {
        let targets =
            if own == theirs { format!("{own}:100") } else { format!("{theirs}:100 {own}:100") };
        gobgp.announce(&format!(
            "macadv {ROAMER} 0.0.0.0 etag 0 label 100 rd {PEER}:100 rt {targets} encap vxlan"
        ));
    };
    let speaks = || gratuitous_arp(&site.host.ns, "eth0", ROAMER, ROAMER_IP);
    let is_at = |wanted: Option<&str>| {
        eventually(SOON, &format!("the kernel has it at {wanted:?}"), || {
            let seen = site.vtep(ROAMER);
            if seen.as_deref() == wanted { Ok(()) } else { Err(format!("{seen:?}")) }
        });
    };
    let ours = |sequence: u32| {
        eventually(SOON, &format!("GoBGP has our route with sequence {sequence}"), || {
            let is_ours =
                |n: &Value| n["value"]["mac"] == ROAMER && n["value"]["rd"]["admin"] == "10.0.0.1";
            let path = gobgp_path(gobgp, is_ours)?;
            let shown = attribute(&path, 16)["value"].to_string();
            if shown.contains(&format!("\"sequence\":{sequence}")) { Ok(()) } else { Err(shown) }
        });
    };
    announce();
    is_at(Some(PEER));
    speaks();
    is_at(None);
    ours(1);
    announce();
    is_at(Some(PEER));
    let path = site.path(&format!("[2]:[0]:[48]:[{ROAMER}]")).expect("it is there");
    assert!(path["extendedCommunity"].to_string().contains("MM:2"), "{path:#}");
    speaks();
    is_at(None);
    ours(3);
    gobgp.withdraw(&format!("macadv {ROAMER} 0.0.0.0 etag 0 label 100 rd {PEER}:100"));
}

fn with_gobgp(test: &str, own: u32, theirs: u32) {
    let mut site = Site::new(test, own, theirs);
    let mut gobgp =
        Gobgp::start(&site.fabric, &site.peer, theirs, &[(1, own)], &with_link_bandwidth(theirs));
    gobgp.wait_established("10.0.0.1");
    site.host_speaks();
    gobgp_knows_ours(&site, &gobgp, own);

    // Controls: nothing is programmed before it is announced, nor with another route target.
    gobgp.announce(&format!(
        "macadv {STRANGER} 0.0.0.0 etag 0 label 100 rd {PEER}:100 rt {theirs}:999 encap vxlan"
    ));
    let stranger = format!("[2]:[0]:[48]:[{STRANGER}]");
    eventually(SOON, "evpnd knows the stranger", || site.path(&stranger));
    holds_for(LONG, "and programs nothing", || nothing_is_programmed(&site));

    let routes = announcements(theirs);
    for route in &routes {
        gobgp.announce(route);
    }
    eventually(SOON, "types 2, 3 and 5 are in the kernel", || is_programmed(&site));
    assert_eq!(site.vtep(STRANGER), None);
    shown_as_sent(&site, theirs);
    let through = site.routed(PREFIXES[0]);
    let neighbours = site.leaf.ns.sh("ip neigh show dev br5000; bridge fdb show dev vx5000");
    assert!(neighbours.contains(ROUTER_MAC), "{through}\n{neighbours}");
    a_host_moves(&site, &gobgp, own, theirs);

    // Withdrawals, theirs and ours.
    for route in &routes {
        gobgp.withdraw(route);
    }
    eventually(SOON, "the kernel has nothing of the peer's left", || nothing_is_programmed(&site));
    site.leaf.ns.ip(&format!("link set {} down", site.host.port));
    site.evpnd.write_config(&site.fabric, &config(own, theirs, ""));
    assert_eq!(site.evpnd.ctl(&["config", "reload"]).status, 0);
    eventually(SOON, "GoBGP has none of our hosts and prefixes left", || {
        let ours = |n: &Value| n["value"]["rd"]["admin"] == "10.0.0.1" && n["type"] != 3;
        match gobgp_path(&gobgp, ours) {
            Ok(path) => Err(path.to_string()),
            Err(_) => Ok(()),
        }
    });
    gobgp_path(&gobgp, |n| n["type"] == 3).expect("control: the type 3 route stays");
    gobgp.daemon.expect_alive();
    site.tshark_is_content();
}

#[test]
fn gobgp_as_an_external_peer() {
    with_gobgp("gobgp-ebgp", 65001, 65002);
}

#[test]
fn gobgp_as_an_internal_peer() {
    with_gobgp("gobgp-ibgp", 65002, 65002);
}

/// A route that ExaBGP has decoded, and the attributes beside it.
#[derive(Clone, Debug)]
struct Decoded {
    route: Value,
    attributes: Value,
    next_hop: String,
}

/// What ExaBGP was told, route by route: announced, and withdrawn.
fn decoded(exabgp: &Exabgp) -> [Vec<Decoded>; 2] {
    let mut found = [Vec::new(), Vec::new()];
    let [announced, withdrawn] = &mut found;
    for told in exabgp.told() {
        let update = &told["message"]["update"];
        let attributes = &update["attribute"];
        let by_hop = update["announce"]["l2vpn evpn"].as_object().into_iter().flatten();
        for (next_hop, routes) in by_hop {
            announced.extend(routes.as_array().into_iter().flatten().map(|route| Decoded {
                route: route.clone(),
                attributes: attributes.clone(),
                next_hop: next_hop.clone(),
            }));
        }
        let routes = update["withdraw"]["l2vpn evpn"].as_array().into_iter().flatten();
        withdrawn.extend(routes.map(|route| Decoded {
            route: route.clone(),
            attributes: Value::Null,
            next_hop: String::new(),
        }));
    }
    found
}

/// The route of a type with this address (none: without one).
fn find(all: &[Decoded], code: u64, ip: Option<&str>) -> Result<Decoded, String> {
    let is = |d: &&Decoded| d.route["code"] == code && d.route["ip"].as_str() == ip;
    all.iter().find(is).cloned().ok_or_else(|| format!("no type {code} of {ip:?} in {all:#?}"))
}

/// States of its session as ExaBGP told them.
fn states(exabgp: &Exabgp) -> Vec<String> {
    exabgp.told().iter().filter_map(|t| t["state"].as_str().map(str::to_owned)).collect()
}

#[test]
fn exabgp_decodes_what_we_say() {
    let mut site = Site::new("exabgp", 65001, 65002);
    let mut exabgp = Exabgp::start(&site.fabric, &site.peer, 65002, (1, 65001));
    site.host_speaks();
    let Host { mac, ip, ip6, .. } = site.host.clone();
    let service = SERVICE.split('/').next();
    for (code, address, labels, target) in [
        (2, None, Some(VNI), "target:65001:100"),
        (2, Some(ip.as_str()), Some(VNI), "target:65001:100"),
        (2, Some(ip6.as_str()), Some(VNI), "target:65001:100"),
        (3, Some("10.0.0.1"), None, "target:65001:100"),
        (5, service, Some(L3VNI), "target:65001:5000"),
    ] {
        let Decoded { route, attributes, next_hop } =
            eventually(SOON, "ExaBGP decodes it", || find(&decoded(&exabgp)[0], code, address));
        assert_eq!(next_hop, "10.0.0.1", "{route}");
        assert_eq!(attributes["as-path"], serde_json::json!([65001]), "{route}");
        let communities = attributes["extended-community"].to_string();
        for wanted in [target, "encap:VXLAN"] {
            assert!(communities.contains(&format!("\"{wanted}\"")), "{route}: {communities}");
        }
        // Each as the label of MPLS and as the whole field, which is the VNI.
        let fields = route["label"][0].as_array();
        let label = fields.and_then(|fields| fields.last()).and_then(Value::as_u64);
        assert_eq!(label, labels.map(u64::from), "{route}");
        match code {
            2 => assert_eq!(route["mac"].as_str().map(str::to_lowercase), Some(mac.clone())),
            3 => assert_eq!(attributes["pmsi"], "pmsi:ingressreplication:0:6(100):10.0.0.1"),
            _ => assert_eq!(route["iplen"], 32),
        }
    }
    assert!(decoded(&exabgp)[1].is_empty(), "control: nothing has been withdrawn");
    site.evpnd.write_config(&site.fabric, &config(65001, 65002, ""));
    assert_eq!(site.evpnd.ctl(&["config", "reload"]).status, 0);
    eventually(SOON, "ExaBGP hears of the withdrawal", || find(&decoded(&exabgp)[1], 5, service));
    exabgp.daemon.expect_alive();
    assert_eq!(states(&exabgp), ["connected", "up"], "the session stands");

    // What ExaBGP decoded is what crossed the wire.
    let raw: BTreeSet<String> = decoded(&exabgp)[0]
        .iter()
        .filter_map(|d| d.route["raw"].as_str().map(str::to_lowercase))
        .collect();
    let file = site.capture.finish();
    let sent: BTreeSet<String> = bgp_messages(file, "10.0.0.1", PEER)
        .iter()
        .filter_map(|m| octets::update_of(m))
        .flat_map(|u| u.announced)
        .map(|route| octets::hex(&route))
        .collect();
    assert_eq!(raw, sent);
    site.tshark_is_content();
}

/// GoBGP's command cannot say it: a MAC address that must not move (RFC 7432 section 15.2).
#[test]
fn a_sticky_host_is_sticky_in_the_kernel() {
    let mut site = Site::new("sticky", 65001, 65002);
    let mut speaker = Speaker::start(&site.peer, 65002, &site.leaf);
    let rd = "0001 0a000002 0064";
    let mut attributes: octets::Attributes =
        [(octets::code::ORIGIN, "00"), (octets::code::AS_PATH, "02 01 0000fdea")]
            .map(|(code, value)| (code, Attribute { flags: 0x40, value: octets::unhex(value) }))
            .into();
    let mut announce = |last: &str, mobility: &str| {
        let communities = octets::unhex(&format!("0002fdea00000064 030c000000000008 {mobility}"));
        let communities = Attribute { flags: 0xc0, value: communities };
        attributes.insert(octets::code::EXT_COMMUNITIES, communities);
        let mac = format!("30 02000000aa{last}");
        let route = format!("02 21 {rd} 00000000000000000000 00000000 {mac} 00 000064");
        speaker.send(&octets::update(&Update {
            attributes: attributes.clone(),
            next_hop: vec![10, 0, 0, 2],
            announced: vec![octets::unhex(&route)],
            withdrawn: Vec::new(),
        }));
    };
    announce("01", "");
    announce("02", "0600010000000000");
    let flags = |mac: &str| {
        eventually(SOON, "the kernel has it", || {
            let table = site.leaf.ns.sh(&format!("bridge fdb show dev {VXLAN}"));
            let line = table.lines().find(|l| l.starts_with(mac) && l.contains("master"));
            line.map(str::to_owned).ok_or(table.clone())
        })
    };
    assert!(flags("02:00:00:00:aa:02").contains("sticky"), "{}", flags("02:00:00:00:aa:02"));
    assert!(!flags(FAR).contains("sticky"), "control: an ordinary one is not");
    site.tshark_is_content();
}
