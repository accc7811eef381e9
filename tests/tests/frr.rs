//! With FRR 8.4 and FRR 10: hosts reach each other, routes of types 2, 3 and 5 go both ways, and a drain
//! moves FRR's share of traffic first and its best path last.
#![cfg(feature = "kernel-tests")]

use evpn_tests::FrrVersion::{Eight, Ten};
use evpn_tests::pair::{Pair, UP, VNI, VXLAN, frr_leaf, reach_each_other};
use evpn_tests::{
    Capture, Evpnd, Fabric, Fdb, Frr, FrrVersion, Leaf, Ns, eventually, holds_for, now, pause,
    shares, wait_until,
};
use serde_json::Value;
use std::time::Duration;

/// A second L2VNI.
const OTHER_VNI: u32 = 200;
const L3VNI: u32 = 5000;
const SERVICE: &str = "198.51.100.10";
const SERVICE6: &str = "2001:db8:a::10";
const DRAIN_TIME: Duration = Duration::from_secs(6);
const SOON: Duration = Duration::from_secs(10);
const FLOWS: u32 = 2000;
/// An operator's order to drain.
const DRAIN: [&str; 6] = ["energy", "drain", "--for", "1h", "--reason", "a test"];

/// Autonomous systems of the leaves 1, 2 and 3.
type Systems = [u32; 3];
const IBGP: Systems = [65001, 65001, 65001];
const EBGP: Systems = [65001, 65002, 65003];

fn has(text: String, wanted: &str) -> Result<(), String> {
    if text.contains(wanted) { Ok(()) } else { Err(format!("no {wanted} in:\n{text}")) }
}

/// The addresses of FRR's routes of a type in its own words.
fn routes(frr: &Frr, kind: &str) -> String {
    frr.vtysh(&format!("show bgp l2vpn evpn route type {kind}"))
}

fn layer2(test: &str, version: FrrVersion, systems: Systems) {
    let mut pair = Pair::new(test);
    let (ours, theirs) = (pair.leaves[0].clone(), pair.leaves[1].clone());
    for leaf in [&ours, &theirs] {
        leaf.vni(OTHER_VNI);
        // Without an address FRR's bridge learns no neighbours.
        if leaf.number == 2 {
            leaf.ns.ip(&format!("addr add 172.16.{VNI}.2/24 dev br{VNI}"));
            leaf.ns.ip(&format!("addr add 2001:db8:{VNI}::2/64 dev br{VNI} nodad"));
        }
    }
    let c = pair.fabric.host("c", &ours, OTHER_VNI, 13);
    let d = pair.fabric.host("d", &theirs, OTHER_VNI, 14);
    pair.control_nothing_connects();
    let [own, other, _] = systems;
    let frr = version.start(&pair.fabric, &theirs, "", &frr_leaf(&theirs, other, (1, own)));
    let config = format!(
        "[router]\nas = {own}\n[timers]\nconnect-retry = \"1s\"\n\
         [[neighbor]]\naddress = \"10.0.0.2\"\nas = {other}\n"
    );
    let _evpnd = Evpnd::start(&pair.fabric, &ours, &config);
    let [a, b] = &pair.hosts;
    pair.reach_each_other();
    reach_each_other(&c, &d);

    // Type 3 both ways, in both VNIs: FRR's own word, and our kernel's flood entries.
    for vni in [VNI, OTHER_VNI] {
        eventually(SOON, "FRR floods to us", || {
            has(frr.vtysh(&format!("show evpn vni {vni}")), "10.0.0.1 flood: HER")
        });
        let flood = ("00:00:00:00:00:00".to_owned(), "10.0.0.2".to_owned());
        let remote = Fdb::read(&ours.ns).remote(&format!("vx{vni}"));
        assert!(remote.contains(&flood), "{remote:?}");
    }
    // Type 2 both ways: FRR knows our host with both its addresses, and we know FRR's.
    let known = |wanted: &str| {
        eventually(SOON, "FRR has our type 2", || has(routes(&frr, "macip"), wanted))
    };
    known(&format!("[2]:[0]:[48]:[{}]\n", a.mac));
    known(&format!("[2]:[0]:[48]:[{}]:[32]:[{}]", a.mac, a.ip));
    known(&format!("[2]:[0]:[48]:[{}]:[128]:[{}]", a.mac, a.ip6));
    eventually(SOON, "zebra has our host", || {
        has(frr.vtysh(&format!("show evpn mac vni {VNI} mac {}", a.mac)), "Remote VTEP: 10.0.0.1")
    });
    let remote = Fdb::read(&ours.ns).remote(VXLAN);
    assert!(remote.contains(&(b.mac.clone(), "10.0.0.2".to_owned())), "{remote:?}");

    suppression(&pair, &theirs);
}

/// ARP for a remote host is answered by the leaf; the other host hears nothing of it. With
/// suppression off (the control) it does.
fn suppression(pair: &Pair, frr_leaf: &Leaf) {
    let [a, b] = &pair.hosts;
    // FRR's kernel learns its host's addresses when it speaks with it.
    for address in [&b.ip, &b.ip6] {
        eventually(SOON, "FRR's leaf reaches its host", || frr_leaf.ns.ping(address, 56));
    }
    for (asker, answerer, leaf) in [(a, b, &pair.leaves[0]), (b, a, &pair.leaves[1])] {
        eventually(SOON, "the leaf knows the neighbour", || {
            let known = leaf.ns.sh(&format!("ip neigh show to {}", answerer.ip));
            has(known, "extern_learn")
        });
        let requests = |tag: &str| {
            let file = pair.fabric.path(&format!("arp-{tag}-{}.pcap", leaf.number));
            let filter = format!("arp[6:2] == 1 and arp src {} and ether broadcast", asker.ip);
            let mut capture =
                Capture::start(&answerer.ns, "eth0", &filter.replace("arp src", "src"), &file);
            asker.ns.ip("neigh flush dev eth0");
            asker.ns.ping(&answerer.ip, 56).expect("a ping with ARP before it");
            capture.fields("arp", &["arp.dst.proto_ipv4"]).len()
        };
        assert_eq!(requests("on"), 0, "a request crossed the fabric to {}", answerer.ip);
        leaf.ns.bridge(&format!("link set dev {VXLAN} neigh_suppress off"));
        assert!(requests("off") > 0, "control: without suppression the request is heard");
        leaf.ns.bridge(&format!("link set dev {VXLAN} neigh_suppress on"));
    }
}

#[test]
fn layer2_over_ibgp() {
    layer2("frr-ibgp", Eight, IBGP);
}

#[test]
fn layer2_over_ebgp() {
    layer2("frr-ebgp", Eight, EBGP);
}

#[test]
fn layer2_over_ibgp_with_frr_10() {
    layer2("frr10-ibgp", Ten, IBGP);
}

#[test]
fn layer2_over_ebgp_with_frr_10() {
    layer2("frr10-ebgp", Ten, EBGP);
}

/// Two sites with one service, both evpnd; a third, FRR, whose host is the client.
struct Sites {
    leaves: [Leaf; 3],
    hosts: [Ns; 3],
    evpnds: [Evpnd; 2],
    frr: Frr,
    systems: Systems,
    fabric: Fabric,
}

fn site(fabric: &mut Fabric, number: u8) -> (Leaf, Ns) {
    let leaf = fabric.leaf(number);
    leaf.l3vni(L3VNI);
    let host = fabric.node(&format!("host{number}"));
    fabric.link((&leaf.ns, "acc0"), (&host, "eth0"), evpn_tests::LEAF_PORT_MTU);
    leaf.ns.ip(&format!(
        "addr add 172.16.{number}.1/24 dev acc0
         addr add 2001:db8:{number}::1/64 dev acc0 nodad"
    ));
    host.ip(&format!(
        "addr add 172.16.{number}.2/24 dev eth0
         addr add 2001:db8:{number}::2/64 dev eth0 nodad
         route add default via 172.16.{number}.1
         route add default via 2001:db8:{number}::1"
    ));
    if number < 3 {
        host.ip(&format!("addr add {SERVICE}/32 dev lo\naddr add {SERVICE6}/128 dev lo"));
        leaf.ns.ip(&format!(
            "route add {SERVICE} via 172.16.{number}.2
             route add {SERVICE6} via 2001:db8:{number}::2"
        ));
    }
    (leaf, host)
}

/// The configuration of a site, in a dry run or not.
fn site_config(number: u8, systems: Systems, dry_run: bool) -> String {
    let own = systems[usize::from(number) - 1];
    let drain = DRAIN_TIME.as_secs();
    format!(
        "[router]
as = {own}
[timers]
connect-retry = \"1s\"
[[neighbor]]
address = \"10.0.0.3\"
as = {client}
[[vrf]]
l3vni = {L3VNI}
prefixes = [
    {{ prefix = \"{SERVICE}/32\", drain-time = \"{drain}s\" }},
    {{ prefix = \"{SERVICE6}/128\", drain-time = \"{drain}s\" }},
    {{ prefix = \"172.16.{number}.0/24\" }},
    {{ prefix = \"2001:db8:{number}::/64\" }},
]
[energy]
site = \"site{number}\"
dwell = \"1s\"
stale-after = \"1s\"
stale-hold = \"0s\"
dry-run = {dry_run}
",
        client = systems[2]
    )
}

fn client_config(systems: Systems) -> String {
    let [a, b, own] = systems;
    format!(
        "router bgp {own}
 bgp router-id 10.0.0.3
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 bgp bestpath as-path multipath-relax
 neighbor 10.0.0.1 remote-as {a}
 neighbor 10.0.0.2 remote-as {b}
 neighbor 10.0.0.1 timers 3 9
 neighbor 10.0.0.2 timers 3 9
 neighbor 10.0.0.1 timers connect 1
 neighbor 10.0.0.2 timers connect 1
 address-family ipv4 unicast
  redistribute connected
  maximum-paths 8
  maximum-paths ibgp 8
 exit-address-family
 address-family ipv6 unicast
  redistribute connected
  maximum-paths 8
  maximum-paths ibgp 8
 exit-address-family
 address-family l2vpn evpn
  neighbor 10.0.0.1 activate
  neighbor 10.0.0.2 activate
  advertise-all-vni
  advertise ipv4 unicast
  advertise ipv6 unicast
"
    )
}

impl Sites {
    fn new(test: &str, version: FrrVersion, systems: Systems) -> Self {
        let mut fabric = Fabric::new(test);
        let [(l1, h1), (l2, h2), (l3, h3)] = [1, 2, 3].map(|n| site(&mut fabric, n));
        assert!(h3.ping(SERVICE, 56).is_err(), "control: nobody speaks EVPN yet");
        let frr = version.start(&fabric, &l3, &format!("vni {L3VNI}\n"), &client_config(systems));
        let start =
            |leaf: &Leaf| Evpnd::start(&fabric, leaf, &site_config(leaf.number, systems, true));
        let first = start(&l1);
        // Of paths that are equal otherwise the best is the one that was there first.
        let sites = Self {
            evpnds: [first, {
                eventually(UP, "FRR has the first site's route", || {
                    has(routes(&frr, "prefix"), &format!("[5]:[0]:[32]:[{SERVICE}]"))
                });
                start(&l2)
            }],
            leaves: [l1, l2, l3],
            hosts: [h1, h2, h3],
            frr,
            systems,
            fabric,
        };
        eventually(UP, "the client reaches the service", || sites.hosts[2].ping(SERVICE, 56));
        sites
    }

    /// FRR's best path to the service: the site.
    fn best(&self) -> Result<u8, String> {
        let value = self.frr.json(&format!("show bgp ipv4 unicast {SERVICE}/32 json"))?;
        let paths = value["paths"].as_array().ok_or("no paths")?;
        let best = paths.iter().find(|p| p["bestpath"]["overall"] == Value::Bool(true));
        match best.and_then(|p| p["nexthops"][0]["ip"].as_str()) {
            Some("10.0.0.1") => Ok(1),
            Some("10.0.0.2") => Ok(2),
            _ => Err(value.to_string()),
        }
    }

    /// The weights of the sites in the kernel's route of FRR's leaf; 0 where there is no path.
    fn weights(&self) -> [u64; 2] {
        let text = self.leaves[2].ns.sh(&format!("ip -j route show {SERVICE}"));
        let routes: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
        let route = &routes[0];
        let hops = route["nexthops"].as_array().cloned().unwrap_or_else(|| vec![route.clone()]);
        ["10.0.0.1", "10.0.0.2"].map(|site| {
            let of_site = hops.iter().filter(|h| h["gateway"] == *site);
            of_site.map(|h| h["weight"].as_u64().unwrap_or(1)).sum()
        })
    }

    /// The first site's share of new flows of the client's, in per cent.
    fn share(&self) -> u32 {
        let [a, b, client] = &self.hosts;
        let [at_a, at_b] = shares(client, SERVICE, [a, b], FLOWS);
        assert!(at_a + at_b > FLOWS * 95 / 100, "packets are lost: {at_a} + {at_b}");
        at_a * 100 / (at_a + at_b)
    }
}

fn weights_are(sites: &Sites, wanted: impl Fn(u64, u64) -> bool) -> Result<(), String> {
    let [a, b] = sites.weights();
    if wanted(a, b) { Ok(()) } else { Err(format!("weights {a}, {b}")) }
}

/// What the first site alone has, the switch's own addresses included, in both families. FRR 8.4
/// forgets the way to a VTEP if all of its type 5 routes have changed.
fn first_site_is_reached(sites: &Sites, when: &str) {
    for to in ["172.16.1.1", "172.16.1.2", "2001:db8:1::1", "2001:db8:1::2"] {
        eventually(SOON, &format!("{to} {when}"), || sites.hosts[2].ping(to, 56));
    }
}

/// Type 5 both ways: what one side announces the other's packets reach.
fn type5_both_ways(sites: &Sites) {
    let [site1, _, client] = &sites.hosts;
    for (from, to) in [
        (client, "172.16.1.2"),
        (site1, "172.16.3.2"),
        (client, "2001:db8:1::2"),
        (site1, "2001:db8:3::2"),
        (client, SERVICE6),
    ] {
        eventually(UP, "type 5 routes carry packets", || from.ping(to, 56));
    }
    // FRR announces the underlay too; taking it would lead the way to a VTEP through itself.
    let underlay = sites.leaves[0].ns.sh("ip route get 10.0.0.3");
    assert!(underlay.contains("dev up0"), "{underlay}");
}

fn type5_and_drain(test: &str, systems: Systems) {
    let sites = Sites::new(test, Eight, systems);
    let client = &sites.hosts[2];
    type5_both_ways(&sites);

    // Normal: both sites, evenly, and the first one best.
    eventually(SOON, "both sites in FRR's kernel", || weights_are(&sites, |a, b| a == b && a > 0));
    assert_eq!(sites.best(), Ok(1));
    let share = sites.share();
    assert!((40..=60).contains(&share), "{share} % while normal");

    // Control: in a dry run the order changes nothing.
    let answer = sites.evpnds[0].ctl(&DRAIN);
    assert_eq!(answer.status, 0, "{}{}", answer.stdout, answer.stderr);
    holds_for(Duration::from_secs(2), "a dry run changes nothing", || {
        weights_are(&sites, |a, b| a == b)
    });

    // For real: weights and share first, within a second, and the best path stays.
    sites.evpnds[0].write_config(&sites.fabric, &site_config(1, sites.systems, false));
    let answer = sites.evpnds[0].ctl(&["config", "reload"]);
    assert_eq!(answer.status, 0, "{}{}", answer.stdout, answer.stderr);
    let began = now();
    let drained =
        wait_until(Duration::from_secs(2), || weights_are(&sites, |a, b| a > 0 && a * 50 <= b));
    let ((), took) = drained.expect("the site keeps the smallest weight");
    let share = sites.share();
    println!("{test}: weights {:?} after {took:?}, share {share} %", sites.weights());
    assert!(share <= 5, "{share} % when drained");
    assert!(began.elapsed() < DRAIN_TIME, "measured before the drain time was over");
    first_site_is_reached(&sites, "while it drains");
    while began.elapsed() + Duration::from_secs(1) < DRAIN_TIME {
        assert_eq!(sites.best(), Ok(1), "the best path stays until the drain time is over");
        weights_are(&sites, |a, b| a > 0 && b > 0).expect("both paths stay");
        pause(Duration::from_millis(200));
    }
    // After drain-time: best path, kernel route, receiver.
    eventually(SOON, "the best path moves", || match sites.best() {
        Ok(2) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let took = began.elapsed();
    assert!(took >= DRAIN_TIME, "not before: {took:?}");
    eventually(SOON, "the kernel's route leads to the other site alone", || {
        weights_are(&sites, |a, b| a == 0 && b > 0)
    });
    assert_eq!(sites.share(), 0, "the other site receives everything");
    first_site_is_reached(&sites, "after the drain");

    // And back.
    let answer = sites.evpnds[0].ctl(&["energy", "auto"]);
    assert_eq!(answer.status, 0, "{}{}", answer.stdout, answer.stderr);
    eventually(SOON, "the site is back", || weights_are(&sites, |a, b| a == b && a > 0));
    let share = sites.share();
    println!("{test}: weights {:?} when back, share {share} %", sites.weights());
    assert!((40..=60).contains(&share), "{share} % when back");
    first_site_is_reached(&sites, "when back");
    eventually(SOON, "the service in IPv6 when back", || client.ping(SERVICE6, 56));
}

#[test]
fn type5_and_a_drain_over_ibgp() {
    type5_and_drain("t5-ibgp", IBGP);
}

#[test]
fn type5_and_a_drain_over_ebgp() {
    type5_and_drain("t5-ebgp", EBGP);
}

/// FRR 10.3 shows the link bandwidth of both sites and does not weight imported paths by it (FRR's
/// issue 19161 is alike): what a drain moves there is the best path. So no share is measured before.
fn type5_and_drain_with_frr_10(test: &str, systems: Systems) {
    let sites = Sites::new(test, Ten, systems);
    type5_both_ways(&sites);
    eventually(SOON, "FRR has the link bandwidth", || {
        has(routes(&sites.frr, "prefix"), "LB:65001:")
    });
    eventually(SOON, "both sites in FRR's kernel", || weights_are(&sites, |a, b| a > 0 && b > 0));
    sites.evpnds[0].write_config(&sites.fabric, &site_config(1, sites.systems, false));
    for order in [&["config", "reload"][..], &DRAIN] {
        let answer = sites.evpnds[0].ctl(order);
        assert_eq!(answer.status, 0, "{}{}", answer.stdout, answer.stderr);
    }
    let began = now();
    eventually(DRAIN_TIME + SOON, "the kernel's route leads to the other site alone", || {
        weights_are(&sites, |a, b| a == 0 && b > 0)
    });
    let took = began.elapsed();
    assert!(took + Duration::from_secs(1) >= DRAIN_TIME, "not before its time: {took:?}");
    assert_eq!(sites.best(), Ok(2));
    assert_eq!(sites.share(), 0, "the other site receives everything");
    first_site_is_reached(&sites, "after the drain");
}

#[test]
fn type5_over_ibgp_with_frr_10() {
    type5_and_drain_with_frr_10("t5-frr10-ibgp", IBGP);
}

#[test]
fn type5_over_ebgp_with_frr_10() {
    type5_and_drain_with_frr_10("t5-frr10", EBGP);
}
