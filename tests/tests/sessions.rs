//! Who a neighbour is when nobody wrote its address: whoever is at the other end of an interface
//! (FRR's `neighbor swp1 interface`), and whoever dials from a range (`bgp listen range`).
//!
//! **Evidence is FRR's own show**, packets between hosts, and what tshark reads on the link.
#![cfg(feature = "kernel-tests")]

use evpn_tests::pair::{Pair, VNI, VXLAN, frr};
use evpn_tests::{
    Capture, Evpnd, Fabric, Fdb, Flow, Frr, FrrVersion, Leaf, UNDERLAY_MTU, eventually, holds_for,
    now, pause,
};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
/// Long enough for several attempts to connect.
const LONG: Duration = Duration::from_secs(6);
/// Packets a second of a flow.
const RATE: u32 = 200;
/// The link between two leaves that has no addresses but its own.
const LINK: &str = "e0";

/// Two leaves on one link without addresses. Their VTEPs are on loopbacks, which static routes
/// over the link make reachable: that is somebody else's task.
fn unnumbered(test: &str) -> Pair {
    let pair = Pair::new(test);
    let [a, b] = &pair.leaves;
    pair.fabric.link((&a.ns, LINK), (&b.ns, LINK), UNDERLAY_MTU);
    for (leaf, other) in [(a, b), (b, a)] {
        leaf.ns.ip("link del up0");
        leaf.ns.ip(&format!("addr add {}/32 dev lo", leaf.ip()));
        to_vtep(leaf, other);
    }
    pair
}

fn to_vtep(leaf: &Leaf, other: &Leaf) {
    leaf.ns.ip(&format!("route replace {}/32 dev {LINK} src {}", other.ip(), leaf.ip()));
}

/// The configuration of leaf 1 or 2 whose neighbour is on an interface.
fn on(number: u8, interface: &str, more: &str) -> String {
    format!(
        "[router]\nas = 6500{number}\n[timers]\nconnect-retry = \"1s\"\n\
         [[neighbor]]\ninterface = \"{interface}\"\nas = \"external\"\n{more}"
    )
}

/// The same for FRR; `neighbor` is what it says of it.
fn frr_config(number: u8, neighbor: &str) -> String {
    let activate = if neighbor.is_empty() { "" } else { "  neighbor e0 activate\n" };
    format!(
        "router bgp 6500{number}
 bgp router-id 10.0.0.{number}
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
{neighbor}
 address-family l2vpn evpn
{activate}  advertise-all-vni
"
    )
}

const FRR_NEIGHBOR: &str = " neighbor e0 interface remote-as external
 neighbor e0 timers 3 9
 neighbor e0 timers connect 1";

fn frr_on_link(fabric: &Fabric, leaf: &Leaf) -> Frr {
    Frr::start(fabric, leaf, "", &frr_config(leaf.number, FRR_NEIGHBOR))
}

/// FRR's state of its session with a neighbour.
fn state(frr: &Frr, neighbor: &str) -> Result<String, String> {
    let value = frr.json(&format!("show bgp neighbors {neighbor} json"))?;
    let state = &value[neighbor]["bgpState"];
    state.as_str().map(str::to_owned).ok_or_else(|| value.to_string())
}

fn is_up(frr: &Frr, neighbor: &str) -> Result<(), String> {
    match state(frr, neighbor)?.as_str() {
        "Established" => Ok(()),
        other => Err(other.to_owned()),
    }
}

/// What evpnd says of a neighbour in the summary.
fn seen(evpnd: &Evpnd, neighbor: &str) -> Result<serde_json::Value, String> {
    let summary = evpnd.json(&["show", "bgp", "summary"])?;
    let peer = &summary["peers"][neighbor];
    if peer.is_null() { Err(summary["peers"].to_string()) } else { Ok(peer.clone()) }
}

fn waits_for(evpnd: &Evpnd, neighbor: &str, cause: &str) -> Result<(), String> {
    let peer = seen(evpnd, neighbor)?;
    if peer["lastReset"]["cause"] == cause { Ok(()) } else { Err(peer.to_string()) }
}

fn established(evpnd: &Evpnd, neighbor: &str) -> Result<(), String> {
    let peer = seen(evpnd, neighbor)?;
    if peer["state"] == "Established" { Ok(()) } else { Err(peer.to_string()) }
}

fn nothing_from_afar(leaf: &Leaf) -> Result<(), String> {
    let known = Fdb::read(&leaf.ns).remote(VXLAN);
    if known.is_empty() { Ok(()) } else { Err(format!("{known:?}")) }
}

fn reload(evpnd: &Evpnd, fabric: &Fabric, config: &str) {
    evpnd.write_config(fabric, config);
    let answer = evpnd.ctl(&["config", "reload"]);
    assert_eq!(answer.status, 0, "{}{}", answer.stdout, answer.stderr);
}

fn key(fabric: &Fabric, name: &str, text: &str) -> PathBuf {
    let path = fabric.path(name);
    fs::write(&path, text).expect("the test's directory can be written");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("the file is ours");
    path
}

/// A text without its line breaks.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn frr_on_an_unnumbered_link_is_found_and_hosts_reach_each_other() {
    let pair = unnumbered("unnumbered");
    let [first, second] = &pair.leaves;
    // Controls: FRR that does not advertise itself, and an interface that leads elsewhere.
    let frr = Frr::start(&pair.fabric, second, "", &frr_config(2, ""));
    let evpnd = Evpnd::start(&pair.fabric, first, &on(1, LINK, ""));
    let unheard = || waits_for(&evpnd, LINK, "noRouterAdvertisement");
    eventually(SOON, "nobody is heard", unheard);
    holds_for(LONG, "nobody is found", || {
        unheard()?;
        nothing_from_afar(first)
    });
    let told = words(&evpnd.ctl(&["show", "bgp", "summary"]).stdout);
    assert!(told.contains("no router advertisement heard on e0 yet"), "{told}");
    assert!(told.contains("the other end needs IPv6 router advertisements"), "{told}");
    pair.control_nothing_connects();
    first.ns.ip("link add e1 type veth peer name e2\nlink set e1 up\nlink set e2 up");
    reload(&evpnd, &pair.fabric, &on(1, "e1", ""));
    frr.vtysh(&format!(
        "conf t\nrouter bgp 65002\n{FRR_NEIGHBOR}\naddress-family l2vpn evpn\nneighbor e0 activate"
    ));
    let unheard = || waits_for(&evpnd, "e1", "noRouterAdvertisement");
    eventually(SOON, "e1 has an address", unheard);
    holds_for(LONG, "on another interface nobody is found", || {
        unheard()?;
        nothing_from_afar(first)
    });
    reload(&evpnd, &pair.fabric, &on(1, "h11", ""));
    eventually(SOON, "a bridge's port is none", || waits_for(&evpnd, "h11", "bridgePort"));

    let began = now();
    reload(&evpnd, &pair.fabric, &on(1, LINK, ""));
    eventually(SOON, "FRR counts it as up", || is_up(&frr, LINK));
    println!(
        "up {:.1} s after the configuration named the interface",
        began.elapsed().as_secs_f64()
    );
    pair.reach_each_other();
    let value = frr.json("show bgp neighbors e0 json").expect("FRR knows it");
    let remote = value[LINK]["hostForeign"].as_str().unwrap_or_default().to_owned();
    assert!(remote.starts_with("fe80:"), "the session is over link-local addresses: {remote}");
    let routes = frr.vtysh("show bgp l2vpn evpn route type macip");
    assert!(routes.contains(&pair.hosts[0].mac), "{routes}");
    let shown = evpnd.ctl(&["show", "bgp", "neighbor", LINK]).stdout;
    assert!(shown.contains("BGP neighbor is e0") && shown.contains("fe80:"), "{shown}");

    // It is cleared by its name and comes back.
    assert_eq!(evpnd.ctl(&["clear", "bgp", LINK]).status, 0);
    eventually(SOON, "it comes back", || established(&evpnd, LINK));
    assert_eq!(evpnd.ctl(&["clear", "bgp", LINK, "soft"]).status, 0);
    pair.reach_each_other();
}

#[test]
fn our_advertisements_are_as_rfc_4861_has_them_and_no_more_often() {
    let pair = unnumbered("adverts");
    let [first, second] = &pair.leaves;
    let file = pair.fabric.path("nd.pcap");
    let filter = "icmp6 and (ip6[40] == 133 or ip6[40] == 134)";
    let mut capture = Capture::start(&second.ns, LINK, filter, &file);
    let evpnd = Evpnd::start(&pair.fabric, first, &on(1, LINK, ""));
    pause(Duration::from_secs(45));
    let own = first.ns.sh(&format!("ip -br link show {LINK}"));
    let mac = own.split_whitespace().nth(2).expect("a MAC address").to_owned();
    let fields = [
        "frame.time_relative",
        "ipv6.src",
        "ipv6.dst",
        "ipv6.hlim",
        "icmpv6.nd.ra.router_lifetime",
        "icmpv6.opt.linkaddr",
        "icmpv6.checksum.status",
    ];
    let ours = format!("icmpv6.type == 134 && eth.src == {mac}");
    let adverts = capture.fields(&ours, &fields);
    let times: Vec<f64> = adverts.iter().filter_map(|a| a[0].parse().ok()).collect();
    println!("advertisements at {times:.1?} s");
    for advert in &adverts {
        assert!(advert[1].starts_with("fe80:"), "{advert:?}");
        assert_eq!(advert[2..6], ["ff02::1", "255", "0", mac.as_str()], "{advert:?}");
        assert_eq!(advert[6], "1", "its checksum is right: {advert:?}");
    }
    assert!((5..=9).contains(&adverts.len()), "{times:?}");
    for pair in times.windows(2) {
        assert!(pair[1] - pair[0] > 2.9, "never more than one in three seconds: {times:?}");
    }
    drop(evpnd);
}

#[test]
fn frr_that_restarts_and_a_link_that_flaps_are_found_again() {
    let pair = unnumbered("flap");
    let [first, second] = &pair.leaves;
    let frr = frr_on_link(&pair.fabric, second);
    let evpnd = Evpnd::start(&pair.fabric, first, &on(1, LINK, ""));
    pair.reach_each_other();

    // FRR goes and comes.
    drop(frr);
    eventually(SOON, "the session ends", || match established(&evpnd, LINK) {
        Ok(()) => Err("it stands"),
        Err(_) => Ok(()),
    });
    let frr = frr_on_link(&pair.fabric, second);
    eventually(SOON, "it is up again", || is_up(&frr, LINK));
    pair.reach_each_other();

    // The other end goes down: the carrier is lost here, which ends the session at once.
    second.ns.ip(&format!("link set {LINK} down"));
    eventually(Duration::from_secs(2), "the loss is noticed", || {
        waits_for(&evpnd, LINK, "noCarrier")?;
        nothing_from_afar(first)
    });
    let told = words(&evpnd.ctl(&["show", "bgp", "summary"]).stdout);
    assert!(told.contains("interface e0 has no carrier"), "{told}");
    second.ns.ip(&format!("link set {LINK} up"));
    to_vtep(second, first);
    let began = now();
    eventually(SOON, "it is up again", || is_up(&frr, LINK));
    println!("up {:.1} s after the link", began.elapsed().as_secs_f64());
    pair.reach_each_other();

    // Our end goes down.
    first.ns.ip(&format!("link set {LINK} down"));
    eventually(SOON, "that is told", || waits_for(&evpnd, LINK, "interfaceDown"));
    first.ns.ip(&format!("link set {LINK} up"));
    to_vtep(first, second);
    pair.reach_each_other();

    // The interface is gone, and another of its name comes.
    first.ns.ip(&format!("link del {LINK}"));
    eventually(SOON, "that is told", || waits_for(&evpnd, LINK, "noInterface"));
    pair.fabric.link((&first.ns, LINK), (&second.ns, LINK), UNDERLAY_MTU);
    to_vtep(first, second);
    to_vtep(second, first);
    eventually(SOON, "it is up on the new link", || is_up(&frr, LINK));
    pair.reach_each_other();
}

#[test]
fn evpnd_finds_evpnd_on_an_unnumbered_link_with_a_key_and_a_distance() {
    let pair = unnumbered("both");
    let [first, second] = &pair.leaves;
    let right = key(&pair.fabric, "right", "geheim\n");
    let wrong = key(&pair.fabric, "wrong", "falsch\n");
    let guarded =
        |n: u8, key: &PathBuf| on(n, LINK, &format!("ttl-security = 1\npassword-file = {key:?}\n"));
    // The interface comes up after both have started.
    for leaf in [first, second] {
        leaf.ns.ip(&format!("link set {LINK} down"));
    }
    let one = Evpnd::start(&pair.fabric, first, &guarded(1, &right));
    let other = Evpnd::start(&pair.fabric, second, &guarded(2, &wrong));
    eventually(SOON, "its state is told", || waits_for(&one, LINK, "interfaceDown"));
    for (leaf, far) in [(first, second), (second, first)] {
        leaf.ns.ip(&format!("link set {LINK} up"));
        to_vtep(leaf, far);
    }
    eventually(SOON, "both are heard", || match seen(&one, LINK)?["lastReset"]["cause"].as_str() {
        Some("interfaceDown" | "noCarrier" | "noLinkLocal" | "noRouterAdvertisement") => {
            Err("not yet".to_owned())
        }
        _ => Ok(()),
    });
    holds_for(LONG, "control: with another key nothing comes up", || {
        match established(&one, LINK) {
            Ok(()) => Err("it is up".to_owned()),
            Err(_) => nothing_from_afar(first),
        }
    });
    reload(&other, &pair.fabric, &guarded(2, &right));
    eventually(SOON, "with the same key it does", || established(&one, LINK));
    pair.reach_each_other();
    // One of them is killed and found again.
    let mut other = other;
    other.daemon.kill9();
    other.start_again();
    other.wait_ready();
    eventually(SOON, "it is back", || established(&other, LINK));
    pair.reach_each_other();
}

/// The configuration of leaf 1 that names nobody.
fn listening(prefix: &str, more: &str) -> String {
    format!(
        "[router]\nas = 65001\n\
         [[group]]\nname = \"guests\"\nas = \"external\"\nlisten = [\"{prefix}\"]\n{more}"
    )
}

#[test]
fn frr_dials_in_from_a_range_and_is_gone_when_it_is_gone() {
    let pair = Pair::new("range");
    let [first, second] = &pair.leaves;
    let frr = frr(&pair.fabric, second, 65002, 1, 65001);
    // Control: outside of the range.
    let evpnd = Evpnd::start(&pair.fabric, first, &listening("10.8.0.0/16", ""));
    holds_for(LONG, "who dials from elsewhere is refused", || {
        if is_up(&frr, "10.0.0.1").is_ok() {
            Err("it is up".into())
        } else {
            nothing_from_afar(first)
        }
    });
    assert!(evpnd.daemon.log().contains("connection from 10.0.0.2 refused"), "and told");

    reload(&evpnd, &pair.fabric, &listening("10.0.0.0/24", ""));
    eventually(SOON, "FRR counts it as up", || is_up(&frr, "10.0.0.1"));
    pair.reach_each_other();
    let peer = seen(&evpnd, "10.0.0.2").expect("it is shown");
    assert_eq!((&peer["dynamicGroup"], &peer["remoteAs"]), (&"guests".into(), &65002.into()));
    let table = evpnd.ctl(&["show", "bgp", "summary"]).stdout;
    assert!(table.contains("(dynamic, guests)"), "{table}");

    // A key for the whole range: FRR without it is not answered.
    let right = key(&pair.fabric, "right", "geheim\n");
    let keyed = listening("10.0.0.0/24", &format!("password-file = {right:?}\n"));
    reload(&evpnd, &pair.fabric, &keyed);
    eventually(SOON, "the session without it ends", || match is_up(&frr, "10.0.0.1") {
        Ok(()) => Err("it stands"),
        Err(_) => Ok(()),
    });
    holds_for(LONG, "and does not come up", || match is_up(&frr, "10.0.0.1") {
        Ok(()) => Err("it is up"),
        Err(_) => Ok(()),
    });
    frr.vtysh("conf t\nrouter bgp 65002\nneighbor 10.0.0.1 password falsch");
    holds_for(LONG, "nor with another key", || match is_up(&frr, "10.0.0.1") {
        Ok(()) => Err("it is up"),
        Err(_) => Ok(()),
    });
    frr.vtysh("conf t\nrouter bgp 65002\nneighbor 10.0.0.1 password geheim");
    eventually(SOON, "with the key it does", || is_up(&frr, "10.0.0.1"));
    pair.reach_each_other();

    // Shut down for good: nothing of it is left.
    frr.vtysh("conf t\nrouter bgp 65002\nneighbor 10.0.0.1 shutdown");
    eventually(SOON, "it is shown no more", || match seen(&evpnd, "10.0.0.2") {
        Ok(peer) => Err(peer.to_string()),
        Err(_) => nothing_from_afar(first),
    });
    frr.vtysh("conf t\nrouter bgp 65002\nno neighbor 10.0.0.1 shutdown");
    pair.reach_each_other();
    // A range that is gone ends its sessions; the neighbor that is named then takes over.
    let named = format!(
        "[router]\nas = 65001\n[timers]\nconnect-retry = \"1s\"\n[[neighbor]]\naddress = \
         \"10.0.0.2\"\nas = 65002\npassword-file = {right:?}\n"
    );
    reload(&evpnd, &pair.fabric, &named);
    eventually(SOON, "it is up as a named one", || established(&evpnd, "10.0.0.2"));
    assert!(seen(&evpnd, "10.0.0.2").expect("it is shown")["dynamicGroup"].is_null());
    pair.reach_each_other();
}

fn we_dial_into_a_range(test: &str, version: FrrVersion) {
    let pair = Pair::new(test);
    let [first, second] = &pair.leaves;
    let bgpd = "router bgp 65002
 bgp router-id 10.0.0.2
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 neighbor LEAVES peer-group
 neighbor LEAVES remote-as external
 bgp listen range 10.0.0.0/24 peer-group LEAVES
 address-family l2vpn evpn
  neighbor LEAVES activate
  advertise-all-vni
";
    let frr = version.start(&pair.fabric, second, "", bgpd);
    let _evpnd = Evpnd::start(&pair.fabric, first, &evpn_tests::pair::config(1, ""));
    eventually(SOON, "FRR has let us in", || is_up(&frr, "10.0.0.1"));
    let shown = frr.vtysh("show bgp l2vpn evpn summary");
    assert!(shown.contains("*10.0.0.1"), "as a dynamic neighbor: {shown}");
    pair.reach_each_other();
    let routes = frr.vtysh(&format!("show bgp l2vpn evpn route vni {VNI}"));
    assert!(routes.contains(&pair.hosts[0].mac), "{routes}");
}

#[test]
fn we_dial_into_a_range_of_frr() {
    we_dial_into_a_range("frr-range", FrrVersion::Eight);
}

#[test]
fn we_dial_into_a_range_of_frr_10() {
    we_dial_into_a_range("frr10-range", FrrVersion::Ten);
}

#[test]
fn frr_10_dials_in_from_a_range() {
    let pair = Pair::new("range10");
    let [first, second] = &pair.leaves;
    let evpnd = Evpnd::start(&pair.fabric, first, &listening("10.8.0.0/16", ""));
    let bgpd = frr_config(2, " neighbor e0 remote-as 65001\n neighbor e0 timers connect 1")
        .replace("e0", "10.0.0.1");
    let frr = FrrVersion::Ten.start(&pair.fabric, second, "", &bgpd);
    holds_for(LONG, "control: outside of the range", || match is_up(&frr, "10.0.0.1") {
        Ok(()) => Err("it is up"),
        Err(_) => Ok(()),
    });
    reload(&evpnd, &pair.fabric, &listening("10.0.0.0/24", ""));
    pair.reach_each_other();
    let peer = seen(&evpnd, "10.0.0.2").expect("it is shown");
    assert_eq!(peer["dynamicGroup"], "guests");
}

/// Kills either of two evpnds in turn while packets pass both ways; how many were lost.
fn lost_by_kills(pair: &Pair, evpnds: &mut [(Evpnd, &str); 2], kills: usize) -> usize {
    let [a, b] = &pair.hosts;
    let there = Flow::start((&a.ns, &a.ip), (&b.ns, &b.ip), 5000, RATE);
    let back = Flow::start((&b.ns, &b.ip), (&a.ns, &a.ip), 5001, RATE);
    for kill in 0..kills {
        let (victim, neighbor) = &mut evpnds[kill % 2];
        victim.daemon.kill9();
        pause(Duration::from_millis(300));
        victim.start_again();
        victim.wait_ready();
        eventually(SOON, "the session is up", || established(victim, neighbor));
        eventually(SOON, "the restart is over", || {
            let health = victim.json(&["health"])?;
            let checks = health["checks"].as_array().ok_or("no checks")?;
            match checks.iter().find(|c| c["name"] == "sweep") {
                Some(sweep) if sweep["ok"] == true => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
    }
    let (there, back) = (there.stop(), back.stop());
    println!("{kills} kills: {}; {}", there.summary(), back.summary());
    there.lost.len() + back.lost.len()
}

#[test]
fn kills_beside_neighbours_on_an_interface_lose_no_packet() {
    let pair = unnumbered("kills-link");
    let evpnds = pair.leaves.each_ref();
    let start = |leaf: &Leaf| Evpnd::start(&pair.fabric, leaf, &on(leaf.number, LINK, ""));
    let mut evpnds = evpnds.map(|leaf| (start(leaf), LINK));
    pair.reach_each_other();
    assert_eq!(lost_by_kills(&pair, &mut evpnds, 8), 0);
}

#[test]
fn kills_beside_dynamic_neighbours_lose_no_packet() {
    let pair = Pair::new("kills-range");
    let [first, second] = &pair.leaves;
    // What is stale waits for all of this time, since nobody knows who will return.
    let hub =
        listening("10.0.0.0/24", "").replacen("[router]\n", "[router]\nsweep-delay = \"6s\"\n", 1);
    let hub = Evpnd::start(&pair.fabric, first, &hub);
    let leaf = Evpnd::start(&pair.fabric, second, &evpn_tests::pair::config(2, ""));
    pair.reach_each_other();
    let mut evpnds = [(hub, "10.0.0.2"), (leaf, "10.0.0.1")];
    assert_eq!(lost_by_kills(&pair, &mut evpnds, 6), 0);
}
