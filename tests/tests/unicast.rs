//! evpnd as the only BGP speaker of a fabric: it routes the underlay as well, between FRR 8.4 and
//! itself, over links with IPv4 addresses and over links with none.
//!
//! ```text
//!   host a ── leaf 1 ──192.0.2.0/31── spine 3 (FRR) ──192.0.2.2/31── leaf 2 ── host b
//!                  └───192.0.2.4/31── spine 4 (evpnd) ─192.0.2.6/31───┘
//! ```
//!
//! **Evidence is the kernel's routes, FRR's own show, and packets between hosts.** Nothing but BGP
//! leads from one VTEP to another: they are addresses of loopbacks.
#![cfg(feature = "kernel-tests")]

use evpn_tests::pair::{VNI, reach_each_other};
use evpn_tests::{
    Bird, Evpnd, Fabric, Flow, Frr, FrrVersion, Gobgp, GobgpConfig, Host, Leaf, Ns, eventually,
    holds_for, pause,
};
use serde_json::Value;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
const MTU: u32 = evpn_tests::UNDERLAY_MTU;

/// A namespace whose VTEP address is on its loopback.
fn node(fabric: &mut Fabric, number: u8) -> Leaf {
    let ns = fabric.node(&format!("node{number}"));
    ns.ip(&format!("link set lo up\naddr add 10.0.0.{number}/32 dev lo"));
    for key in ["net.ipv4.ip_forward", "net.ipv4.fib_multipath_hash_policy"] {
        ns.sysctl(key, "1");
    }
    ns.sysctl("net.ipv6.conf.all.forwarding", "1");
    for scope in ["all", "default"] {
        ns.sysctl(&format!("net.ipv4.conf.{scope}.rp_filter"), "0");
    }
    Leaf { ns, number }
}

/// A link with a /31 of 192.0.2.0/24: the leaf has the even address.
fn link(fabric: &Fabric, leaf: &Leaf, spine: &Leaf, subnet: u8) {
    let (down, up) = (format!("to{}", spine.number), format!("to{}", leaf.number));
    fabric.link((&leaf.ns, &down), (&spine.ns, &up), MTU);
    leaf.ns.ip(&format!("addr add 192.0.2.{subnet}/31 dev {down}"));
    spine.ns.ip(&format!("addr add 192.0.2.{}/31 dev {up}", subnet + 1));
}

/// The configuration of a speaker with its neighbours of both families.
fn ours(number: u8, announce: &str, neighbors: &[(&str, u32)]) -> String {
    let neighbors: String = neighbors
        .iter()
        .map(|(address, asn)| {
            format!("[[neighbor]]\naddress = \"{address}\"\nas = {asn}\ngroup = \"fabric\"\n")
        })
        .collect();
    format!(
        "[router]\nas = 6500{number}\nid = \"10.0.0.{number}\"\n\
         [unicast]\nannounce = [{announce}]\n\
         [timers]\nconnect-retry = \"1s\"\nhold = \"9s\"\n\
         [[group]]\nname = \"fabric\"\nas = \"external\"\n\
         families = [\"ipv4-unicast\", \"l2vpn-evpn\"]\n{neighbors}"
    )
}

/// FRR as a spine that leaves the next hops of EVPN as they are.
fn spine(fabric: &Fabric, leaf: &Leaf, neighbors: &[(&str, u32)]) -> Frr {
    let each = |line: &dyn Fn(&str, u32) -> String| -> String {
        neighbors.iter().map(|(address, asn)| line(address, *asn)).collect()
    };
    let sessions = each(&|address, asn| {
        format!(
            " neighbor {address} remote-as {asn}\n neighbor {address} timers 3 9\n \
             neighbor {address} timers connect 1\n"
        )
    });
    let evpn = each(&|address, _| {
        format!(
            "  neighbor {address} activate\n  neighbor {address} attribute-unchanged next-hop\n"
        )
    });
    let bgpd = format!(
        "router bgp 6500{number}\n bgp router-id 10.0.0.{number}\n no bgp ebgp-requires-policy\n\
         {sessions} address-family ipv4 unicast\n  network 10.0.0.{number}/32\n exit-address-family\n\
         address-family l2vpn evpn\n{evpn}",
        number = leaf.number
    );
    Frr::start(fabric, leaf, "", &bgpd)
}

/// The kernel's routes to a destination.
fn routes(ns: &Ns, prefix: &str) -> Vec<Value> {
    let family = if prefix.contains(':') { "-6" } else { "-4" };
    let text = ns.sh(&format!("ip -j {family} route show {prefix}"));
    serde_json::from_str(&text).unwrap_or_default()
}

/// How many ways the kernel has to a prefix, by what `ip route` shows of its nexthops.
fn ways(ns: &Ns, prefix: &str) -> Result<usize, String> {
    let routes = routes(ns, prefix);
    let [route] = &routes[..] else { return Err(format!("{routes:?}")) };
    if route["protocol"] != "110" {
        return Err(format!("not ours: {route}"));
    }
    Ok(route["nexthops"].as_array().map_or(1, Vec::len))
}

fn expect_ways(ns: &Ns, prefix: &str, wanted: usize) {
    eventually(SOON, &format!("{wanted} ways to {prefix}"), || match ways(ns, prefix)? {
        count if count == wanted => Ok(()),
        count => Err(format!("{count} ways")),
    });
}

fn hosts(fabric: &mut Fabric, leaves: [&Leaf; 2]) -> [Host; 2] {
    leaves.map(|leaf| {
        leaf.vni(VNI);
        fabric.host(&format!("host{}", leaf.number), leaf, VNI, 10 + leaf.number)
    })
}

#[test]
fn a_fabric_of_frr_spine_and_two_leaves() {
    let mut fabric = Fabric::new("underlay");
    let [one, two, three, four] = [1, 2, 3, 4].map(|n| node(&mut fabric, n));
    for (leaf, spine, subnet) in
        [(&one, &three, 0), (&two, &three, 2), (&one, &four, 4), (&two, &four, 6)]
    {
        link(&fabric, leaf, spine, subnet);
    }
    let [a, b] = hosts(&mut fabric, [&one, &two]);
    let mut frr = spine(&fabric, &three, &[("192.0.2.0", 65001), ("192.0.2.2", 65002)]);
    let leaf = |number: u8, announce: &str| {
        let subnet = 2 * (number - 1);
        let spines = [format!("192.0.2.{}", subnet + 1), format!("192.0.2.{}", subnet + 5)];
        ours(number, announce, &[(&spines[0], 65003), (&spines[1], 65004)])
    };
    let _first = Evpnd::start(&fabric, &one, &leaf(1, "\"10.0.0.1/32\""));
    // Control: the second leaf says nothing of its VTEP, so no packet gets there.
    let second = Evpnd::start(&fabric, &two, &leaf(2, ""));
    let fourth = ours(4, "\"10.0.0.4/32\"", &[("192.0.2.4", 65001), ("192.0.2.6", 65002)]);
    let mut evpnd = Evpnd::start(&fabric, &four, &fourth);
    expect_ways(&two.ns, "10.0.0.1", 2);
    holds_for(Duration::from_secs(2), "no way back", || match a.ns.ping(&b.ip, 56) {
        Err(_) => Ok(()),
        Ok(()) => Err("control: packets pass to a VTEP that nobody announced"),
    });
    second.write_config(&fabric, &leaf(2, "\"10.0.0.2/32\""));
    assert_eq!(second.ctl(&["config", "reload"]).status, 0);

    expect_ways(&one.ns, "10.0.0.2", 2);
    expect_ways(&one.ns, "10.0.0.3", 1);
    expect_ways(&one.ns, "10.0.0.4", 1);
    reach_each_other(&a, &b);
    // FRR forwards by what we told it, and sees us as next hop.
    let seen = frr.json("show bgp ipv4 unicast 10.0.0.2/32 json").unwrap();
    let path = &seen["paths"][0];
    assert_eq!(path["nexthops"][0]["ip"], "192.0.2.2", "{seen}");
    assert_eq!(path["aspath"]["string"], "65002", "{seen}");
    let underlay = one.ns.sh("ip -4 route get 10.0.0.2");
    assert!(underlay.contains("via 192.0.2."), "{underlay}");
    frr.expect_alive();

    // A spine that dies takes one way with it; what remains carries on.
    let flow = Flow::start((&a.ns, &a.ip), (&b.ns, &b.ip), 5000, 500);
    pause(Duration::from_secs(1));
    evpnd.daemon.terminate();
    four.ns.ip("link set to1 down\nlink set to2 down");
    expect_ways(&one.ns, "10.0.0.2", 1);
    pause(Duration::from_secs(1));
    let report = flow.stop();
    let (sent, received) = (report.sent.len(), report.received.len());
    println!("a dead spine: {} of {sent} packets lost", sent - received);
    assert!(received * 10 > sent * 9, "{received} of {sent}");
    reach_each_other(&a, &b);
}

#[test]
fn ipv4_over_links_without_ipv4_addresses() {
    over_ipv6("rfc8950", FrrVersion::Eight);
}

#[test]
fn ipv4_over_links_without_ipv4_addresses_with_frr_10() {
    over_ipv6("rfc8950-10", FrrVersion::Ten);
}

fn over_ipv6(test: &str, version: FrrVersion) {
    let mut fabric = Fabric::new(test);
    let [one, two] = [1, 2].map(|n| node(&mut fabric, n));
    fabric.link((&one.ns, "up0"), (&two.ns, "up0"), MTU);
    for leaf in [&one, &two] {
        let number = leaf.number;
        leaf.ns.ip(&format!(
            "addr add 2001:db8:ff::{number}/64 dev up0 nodad\naddr add 2001:db8::{number}/128 dev lo"
        ));
    }
    let [a, b] = hosts(&mut fabric, [&one, &two]);
    let bgpd = |capability: &str| {
        format!(
            "router bgp 65002
 bgp router-id 10.0.0.2
 no bgp ebgp-requires-policy
 neighbor 2001:db8:ff::1 remote-as 65001
 neighbor 2001:db8:ff::1 timers 3 9
 neighbor 2001:db8:ff::1 timers connect 1
{capability} address-family ipv4 unicast
  network 10.0.0.2/32
 exit-address-family
 address-family ipv6 unicast
  neighbor 2001:db8:ff::1 activate
  network 2001:db8::2/128
 exit-address-family
 address-family l2vpn evpn
  neighbor 2001:db8:ff::1 activate
  advertise-all-vni
"
        )
    };
    // Control: FRR does not offer it, so no IPv4 route comes of the session.
    let frr = version.start(&fabric, &two, "", &bgpd(""));
    let config = ours(1, "\"10.0.0.1/32\", \"2001:db8::1/128\"", &[("2001:db8:ff::2", 65002)])
        .replace("\"ipv4-unicast\",", "\"ipv4-unicast\", \"ipv6-unicast\",");
    let _evpnd = Evpnd::start(&fabric, &one, &config);
    expect_ways(&one.ns, "2001:db8::2", 1);
    assert_eq!(routes(&one.ns, "10.0.0.2"), Vec::<Value>::new(), "control");
    frr.vtysh("conf t\nrouter bgp 65002\nneighbor 2001:db8:ff::1 capability extended-nexthop");
    frr.vtysh("clear bgp *");

    expect_ways(&one.ns, "10.0.0.2", 1);
    let ours = one.ns.sh("ip -4 route show 10.0.0.2");
    assert!(
        ours.contains("via inet6 fe80::"),
        "by the link-local address beside the global: {ours}"
    );
    eventually(SOON, "FRR has our IPv4 route over IPv6", || {
        let theirs = two.ns.sh("ip -4 route show 10.0.0.1");
        if theirs.contains("via inet6 ") { Ok(()) } else { Err(theirs) }
    });
    expect_ways(&one.ns, "2001:db8::2", 1);
    one.ns.ping("2001:db8::2", 56).expect("the loopback of the other by IPv6");
    reach_each_other(&a, &b);
}

/// The type 3 routes that GoBGP holds or is told, by the number in their distinguishers.
fn told(gobgp: &Gobgp, words: &str) -> Result<Vec<u32>, String> {
    let text = gobgp.try_run(words)?;
    let found = text.split("[rd:10.0.0.1:").skip(1);
    let mut found: Vec<u32> =
        found.filter_map(|rest| rest.split(']').next()?.parse().ok()).collect();
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

#[test]
fn gobgp_is_told_what_it_wants_and_tells_what_we_want() {
    let mut fabric = Fabric::new("rtc");
    let [leaf, peer] = [1, 2].map(|n| fabric.leaf(n));
    leaf.vni(VNI).vni(200);
    let config = |families: &str| {
        format!(
            "[router]\nas = 65001\n[timers]\nconnect-retry = \"1s\"\n\
             [[neighbor]]\naddress = \"10.0.0.2\"\nas = 65002\nfamilies = [{families}]\n\
             [[vni]]\nvni = 100\nimport = [\"65002:100\"]\n\
             [[vni]]\nvni = 200\nimport = [\"65002:200\"]\n"
        )
    };
    let families = ["l2vpn-evpn", "rtc"];
    let neighbours = &[(1, 65001)];
    let gobgp_config =
        GobgpConfig { own_as: 65002, neighbours, families: &families, ..GobgpConfig::default() };
    let gobgp = Gobgp::start_with(&fabric, &peer, &gobgp_config);
    let evpnd = Evpnd::start(&fabric, &leaf, &config("\"l2vpn-evpn\", \"rt-constraint\""));
    gobgp.wait_established("10.0.0.1");
    let expect = |what: &str, words: &str, wanted: &[u32]| {
        eventually(SOON, what, || match told(&gobgp, words)? {
            found if found == wanted => Ok(()),
            found => Err(format!("{found:?}")),
        });
    };
    const HELD: &str = "global rib -a evpn";
    holds_for(Duration::from_secs(2), "it wants nothing yet", || match told(&gobgp, HELD)? {
        found if found.is_empty() => Ok(()),
        found => Err(format!("{found:?}")),
    });
    gobgp.run("vrf add v100 rd 65002:100 rt import 65001:100 export 65002:100");
    expect("it wants VNI 100", HELD, &[100]);
    gobgp.run("vrf add v200 rd 65002:200 rt import 65001:200 export 65002:200");
    expect("and VNI 200", HELD, &[100, 200]);
    gobgp.run("vrf del v100");
    expect("VNI 100 no longer", HELD, &[200]);
    // The other way: GoBGP keeps back what we do not import.
    for (number, target) in [(100, 100), (300, 300)] {
        gobgp.announce(&format!(
            "multicast 10.0.0.2 etag 0 rd 10.0.0.2:{number} rt 65002:{target} encap vxlan \
             pmsi ingress-repl {number} 10.0.0.2"
        ));
    }
    eventually(SOON, "GoBGP tells us VNI 100 and not 300", || {
        let out = gobgp.try_run("neighbor 10.0.0.1 adj-out -a evpn")?;
        let has = |number: u32| out.contains(&format!("[rd:10.0.0.2:{number}]"));
        if has(100) && !has(300) { Ok(()) } else { Err(out) }
    });
    let flood = evpn_tests::Fdb::read(&leaf.ns).remote("vx100");
    assert!(flood.iter().any(|(_, vtep)| vtep == "10.0.0.2"), "{flood:?}");
    // Control: without the family on the session everybody is told everything.
    evpnd.write_config(&fabric, &config("\"l2vpn-evpn\""));
    assert_eq!(evpnd.ctl(&["config", "reload"]).status, 0);
    expect("everything", HELD, &[100, 200]);
}

/// FRR and evpnd on links that have no addresses but link-local ones: a spine and two leaves.
fn on_links_without_addresses(test: &str, version: FrrVersion) {
    let mut fabric = Fabric::new(test);
    let [one, two, three] = [1, 2, 3].map(|n| node(&mut fabric, n));
    for leaf in [&one, &two] {
        let up = format!("to{}", leaf.number);
        fabric.link((&leaf.ns, "to3"), (&three.ns, &up), MTU);
    }
    let [a, b] = hosts(&mut fabric, [&one, &two]);
    let sessions: String = ["to1", "to2"]
        .map(|link| {
            format!(
                " neighbor {link} interface remote-as external\n neighbor {link} timers 3 9\n \
                 neighbor {link} timers connect 1\n"
            )
        })
        .concat();
    let evpn: String = ["to1", "to2"]
        .map(|link| {
            format!("  neighbor {link} activate\n  neighbor {link} attribute-unchanged next-hop\n")
        })
        .concat();
    let bgpd = format!(
        "router bgp 65003\n bgp router-id 10.0.0.3\n no bgp ebgp-requires-policy\n{sessions} \
         address-family ipv4 unicast\n  network 10.0.0.3/32\n exit-address-family\n \
         address-family l2vpn evpn\n{evpn}"
    );
    let frr = version.start(&fabric, &three, "", &bgpd);
    let leaf = |number: u8| {
        ours(number, &format!("\"10.0.0.{number}/32\""), &[])
            + "[[neighbor]]\ninterface = \"to3\"\ngroup = \"fabric\"\n"
    };
    let first = Evpnd::start(&fabric, &one, &leaf(1));
    holds_for(Duration::from_secs(2), "control: one leaf alone", || match a.ns.ping(&b.ip, 56) {
        Err(_) => Ok(()),
        Ok(()) => Err("packets pass"),
    });
    let _second = Evpnd::start(&fabric, &two, &leaf(2));
    expect_ways(&one.ns, "10.0.0.2", 1);
    reach_each_other(&a, &b);
    let ours = one.ns.sh("ip -4 route show 10.0.0.2");
    assert!(ours.contains("via inet6 fe80::") && ours.contains("dev to3"), "{ours}");
    let theirs = three.ns.sh("ip -4 route show 10.0.0.1");
    assert!(theirs.contains("via inet6 fe80::") && theirs.contains("dev to1"), "{theirs}");
    let seen = frr.json("show bgp ipv4 unicast 10.0.0.1/32 json").unwrap();
    assert_eq!(seen["paths"][0]["aspath"]["string"], "65001", "{seen}");
    // A link that flaps takes the routes with it, and brings them back.
    three.ns.ip("link set to1 down");
    eventually(SOON, "the route goes with the link", || {
        let routes = routes(&one.ns, "10.0.0.2");
        if routes.is_empty() { Ok(()) } else { Err(format!("{routes:?}")) }
    });
    three.ns.ip("link set to1 up");
    expect_ways(&one.ns, "10.0.0.2", 1);
    reach_each_other(&a, &b);
    drop(first);
}

#[test]
fn a_fabric_on_links_without_addresses() {
    on_links_without_addresses("unnumbered", FrrVersion::Eight);
}

#[test]
fn a_fabric_on_links_without_addresses_with_frr_10() {
    on_links_without_addresses("unnumbered10", FrrVersion::Ten);
}

/// The spine's neighbours: their addresses and AS numbers.
const LEAVES: [(&str, u32); 2] = [("192.0.2.0", 65001), ("192.0.2.2", 65002)];

fn bird_spine(fabric: &Fabric, leaf: &Leaf) -> Bird {
    let sessions = LEAVES.map(|(address, asn)| {
        format!(
            "protocol bgp leaf{asn} {{
    local as 65003; neighbor {address} as {asn};
    hold time 9; connect retry time 1;
    ipv4 {{ import all; export all; }};
}}
"
        )
    });
    let protocols = format!(
        "protocol kernel {{ ipv4 {{ export all; }}; }}
protocol direct {{ ipv4; interface \"lo\"; }}
{}",
        sessions.concat()
    );
    Bird::start_with(fabric, leaf, &protocols)
}

fn frr_spine(version: FrrVersion, fabric: &Fabric, leaf: &Leaf) -> Frr {
    let sessions = LEAVES.map(|(address, asn)| {
        format!(
            " neighbor {address} remote-as {asn}\n neighbor {address} timers 3 9\n \
             neighbor {address} timers connect 1\n"
        )
    });
    let bgpd = format!(
        "router bgp 65003\n bgp router-id 10.0.0.3\n no bgp ebgp-requires-policy\n{} \
         address-family ipv4 unicast\n  network 10.0.0.3/32\n",
        sessions.concat()
    );
    version.start(fabric, leaf, "", &bgpd)
}

#[test]
fn evpn_from_loopback_to_loopback_over_a_spine_that_is_bird() {
    let (_fabric, mut bird) = killed_beneath_its_overlay("bird-bgp", "bird", bird_spine);
    bird.daemon.expect_alive();
}

#[test]
fn evpn_from_loopback_to_loopback_over_a_spine_that_is_frr() {
    let spine = |fabric: &Fabric, leaf: &Leaf| frr_spine(FrrVersion::Eight, fabric, leaf);
    let (_fabric, mut frr) = killed_beneath_its_overlay("frr-bgp", "bgp", spine);
    frr.expect_alive();
}

#[test]
fn evpn_from_loopback_to_loopback_over_a_spine_that_is_frr_10() {
    let spine = |fabric: &Fabric, leaf: &Leaf| frr_spine(FrrVersion::Ten, fabric, leaf);
    let (_fabric, mut frr) = killed_beneath_its_overlay("frr10-bgp", "bgp", spine);
    frr.expect_alive();
}

/// A spine that knows nothing of EVPN: its sessions carry the underlay, and the leaves speak EVPN with
/// each other from VTEP to VTEP, over what these sessions make reachable.
/// `protocol` is the name by which the spine's kernel knows its routes. A leaf is killed, and comes
/// back.
fn killed_beneath_its_overlay<S>(
    test: &str,
    protocol: &str,
    spine: impl FnOnce(&Fabric, &Leaf) -> S,
) -> (Fabric, S) {
    let mut fabric = Fabric::new(test);
    let [one, two, three] = [1, 2, 3].map(|n| node(&mut fabric, n));
    link(&fabric, &one, &three, 0);
    link(&fabric, &two, &three, 2);
    let [a, b] = hosts(&mut fabric, [&one, &two]);
    let leaf = |number: u8| {
        let (other, spine) = (3 - number, 2 * (number - 1) + 1);
        ours(number, &format!("\"10.0.0.{number}/32\""), &[])
            + &format!(
                "[[neighbor]]\naddress = \"192.0.2.{spine}\"\nas = 65003\n\
                 families = [\"ipv4-unicast\"]\n\
                 [[neighbor]]\naddress = \"10.0.0.{other}\"\nas = 6500{other}\nmultihop = 3\n\
                 update-source = \"10.0.0.{number}\"\n"
            )
    };
    let mut first = Evpnd::start(&fabric, &one, &leaf(1));
    let _second = Evpnd::start(&fabric, &two, &leaf(2));
    holds_for(Duration::from_secs(2), "control: no spine yet", || match a.ns.ping(&b.ip, 56) {
        Err(_) => Ok(()),
        Ok(()) => Err("packets pass"),
    });
    let spine = spine(&fabric, &three);
    expect_ways(&one.ns, "10.0.0.2", 1);
    reach_each_other(&a, &b);
    let theirs = three.ns.sh("ip -4 route show 10.0.0.1");
    let proto = format!("proto {protocol}");
    assert!(theirs.contains("via 192.0.2.0") && theirs.contains(&proto), "{theirs}");
    // The overlay's session depends on routes that the same daemon writes: it comes back after a
    // kill, and meanwhile the kernel forwards.
    let flow = Flow::start((&b.ns, &b.ip), (&a.ns, &a.ip), 5000, 500);
    pause(Duration::from_secs(1));
    first.daemon.kill9();
    first.start_again();
    eventually(SOON, "both sessions are up again", || {
        let summary = first.json(&["show", "bgp", "summary"])?;
        if summary["failedPeers"] == 0 { Ok(()) } else { Err(summary.to_string()) }
    });
    pause(Duration::from_secs(2));
    let report = flow.stop();
    println!("evpnd killed under its own overlay: {}", report.summary());
    reach_each_other(&a, &b);
    assert_eq!(report.lost.len(), 0, "{}", report.summary());
    (fabric, spine)
}
