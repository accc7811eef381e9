//! Sessions with FRR that ask for more than an address: a key, a distance, a limit of routes, and a
//! reflector between two leaves. Keys and reflectors with FRR 8.4 and FRR 10, the rest with 8.4.
//!
//! **Evidence is FRR's own show**, the kernel's tables and packets between hosts.
#![cfg(feature = "kernel-tests")]

use evpn_tests::FrrVersion::{Eight, Ten};
use evpn_tests::pair::{Pair, UP, VNI, VXLAN, config, frr, frr_leaf, reach_each_other};
use evpn_tests::{Evpnd, Fabric, Fdb, Frr, FrrBgp, FrrVersion, Leaf, eventually, holds_for};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
/// Long enough for several attempts to connect.
const LONG: Duration = Duration::from_secs(4);

fn is(frr: &Frr, neighbor: &str, wanted: &str) -> Result<(), String> {
    let state = frr.state(neighbor)?;
    if state == wanted { Ok(()) } else { Err(state) }
}

fn is_not_up(frr: &Frr, neighbor: &str) -> Result<(), String> {
    match frr.state(neighbor)?.as_str() {
        "Established" => Err("it is Established".to_owned()),
        _ => Ok(()),
    }
}

/// A file with a password in it.
fn secret(fabric: &Fabric, name: &str, text: &str, mode: u32) -> PathBuf {
    let path = fabric.path(name);
    fs::write(&path, text).expect("the test's directory can be written");
    fs::set_permissions(&path, Permissions::from_mode(mode)).expect("the file is ours");
    path
}

/// A text without its line breaks.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn reload(evpnd: &Evpnd, fabric: &Fabric, config: &str) -> (i32, String) {
    evpnd.write_config(fabric, config);
    let answer = evpnd.ctl(&["config", "reload"]);
    (answer.status, answer.stdout + &answer.stderr)
}

fn key(test: &str, version: FrrVersion) {
    let pair = Pair::new(test);
    let [first, second] = &pair.leaves;
    let frr = version.start(&pair.fabric, second, "", &frr_leaf(second, 65002, (1, 65001)));
    frr.vtysh("conf t\nrouter bgp 65002\nneighbor 10.0.0.1 password geheim");
    let right = secret(&pair.fabric, "right", "geheim\n", 0o600);
    let wrong = secret(&pair.fabric, "wrong", "falsch\n", 0o640);
    let open = secret(&pair.fabric, "open", "geheim\n", 0o644);
    let keyed = |path: &PathBuf| config(1, &format!("password-file = {path:?}\n"));

    // Controls: no key and a wrong one.
    let evpnd = Evpnd::start(&pair.fabric, first, &config(1, ""));
    holds_for(LONG, "without a key nothing comes up", || is_not_up(&frr, "10.0.0.1"));
    assert_eq!(reload(&evpnd, &pair.fabric, &keyed(&wrong)).0, 0);
    holds_for(LONG, "nor with a wrong one", || is_not_up(&frr, "10.0.0.1"));

    // A file that others can read is no secret, and what was in force stays.
    let (status, text) = reload(&evpnd, &pair.fabric, &keyed(&open));
    assert_eq!(status, 1, "{text}");
    assert!(words(&text).contains("chmod 640") && !text.contains("geheim"), "{text}");

    assert_eq!(reload(&evpnd, &pair.fabric, &keyed(&right)).0, 0);
    eventually(SOON, "with the right one it does", || is(&frr, "10.0.0.1", "Established"));
    pair.reach_each_other();
    let shown = evpnd.ctl(&["config", "show", "--effective"]);
    assert!(!(shown.stdout + &evpnd.daemon.log()).contains("geheim"), "the key is shown nowhere");

    // The neighbour that dials is asked for it as well.
    let waits = keyed(&right).replacen("as = 65002\n", "as = 65002\npassive = true\n", 1);
    assert_eq!(reload(&evpnd, &pair.fabric, &waits).0, 0);
    frr.vtysh("clear bgp *");
    eventually(SOON, "it comes up when the neighbour dials", || {
        is(&frr, "10.0.0.1", "Established")
    });
}

#[test]
fn a_session_with_a_key_comes_up_with_the_same_key_only() {
    key("md5", Eight);
}

#[test]
fn a_session_with_a_key_and_frr_10() {
    key("md5-frr10", Ten);
}

#[test]
fn a_neighbour_farther_away_than_it_may_be_does_not_come_up() {
    let pair = Pair::new("gtsm");
    let [first, second] = &pair.leaves;
    let near = config(1, "ttl-security = 1\n");
    // FRR sends with a TTL of 1, as to any external neighbour.
    let frr = frr(&pair.fabric, second, 65002, 1, 65001);
    let evpnd = Evpnd::start(&pair.fabric, first, &near);
    // FRR hears us and counts the session as up; what it says is not heard here, so no route comes.
    holds_for(LONG, "packets with a small TTL are dropped", || {
        let known = Fdb::read(&first.ns).remote(VXLAN);
        if known.is_empty() { Ok(()) } else { Err(format!("{known:?}")) }
    });
    frr.vtysh("conf t\nrouter bgp 65002\nneighbor 10.0.0.1 ttl-security hops 1");
    eventually(SOON, "both look at the distance", || is(&frr, "10.0.0.1", "Established"));
    pair.reach_each_other();
    // Who only answers shows where he is as well.
    assert_eq!(reload(&evpnd, &pair.fabric, &format!("{near}passive = true\n")).0, 0);
    frr.vtysh("clear bgp *");
    eventually(SOON, "FRR dials", || is(&frr, "10.0.0.1", "Established"));
    // Control: with it at FRR only, our small TTL is refused there.
    assert_eq!(reload(&evpnd, &pair.fabric, &config(1, "")).0, 0);
    eventually(SOON, "the session ends", || is_not_up(&frr, "10.0.0.1"));
    holds_for(LONG, "FRR drops ours", || is_not_up(&frr, "10.0.0.1"));
}

#[test]
fn a_neighbour_with_too_many_routes_is_stopped_and_told_why() {
    let pair = Pair::new("maximum");
    let [first, second] = &pair.leaves;
    let frr = frr(&pair.fabric, second, 65002, 1, 65001);
    let evpnd = Evpnd::start(&pair.fabric, first, &config(1, "max-prefix = 20\n"));
    pair.reach_each_other();
    let leak =
        |n: u32| format!("fdb add 02:00:00:00:ff:{n:02x} dev {} master static", pair.hosts[1].port);
    second.ns.bridge(&(0..30).map(leak).collect::<Vec<_>>().join("\n"));
    eventually(SOON, "the session ends", || is_not_up(&frr, "10.0.0.1"));
    let reason = frr.vtysh("show bgp neighbors 10.0.0.1");
    assert!(reason.contains("Maximum Number of Prefixes Reached"), "{reason}");
    eventually(SOON, "and its routes are gone", || {
        let known = Fdb::read(&first.ns).remote(VXLAN);
        if known.is_empty() { Ok(()) } else { Err(format!("{known:?}")) }
    });
    holds_for(LONG, "it does not come back by itself", || is_not_up(&frr, "10.0.0.1"));
    let told = words(&evpnd.ctl(&["show", "bgp", "summary"]).stdout);
    assert!(told.contains("max-prefix") && told.contains("evpnctl clear bgp 10.0.0.2"), "{told}");
    let events = evpnd.ctl(&["show", "bgp", "neighbor", "10.0.0.2", "events"]).stdout;
    assert!(events.contains("more routes than its limit"), "{events}");

    let leak = |n: u32| format!("fdb del 02:00:00:00:ff:{n:02x} dev {} master", pair.hosts[1].port);
    second.ns.bridge(&(0..30).map(leak).collect::<Vec<_>>().join("\n"));
    assert_eq!(evpnd.ctl(&["clear", "bgp", "10.0.0.2"]).status, 0);
    pair.reach_each_other();
}

fn reflector(clients: &str) -> String {
    format!(
        "[router]\nas = 65000\nid = \"10.0.0.3\"\n[timers]\nconnect-retry = \"1s\"\n\
         [[group]]\nname = \"leaves\"\nas = \"internal\"\n{clients}\
         [[neighbor]]\naddress = \"10.0.0.1\"\ngroup = \"leaves\"\n\
         [[neighbor]]\naddress = \"10.0.0.2\"\ngroup = \"leaves\"\n"
    )
}

#[test]
fn two_leaves_of_frr_reach_each_other_through_our_reflector() {
    let mut fabric = Fabric::new("reflector");
    let [a, b, spine] = [1, 2, 3].map(|n| fabric.leaf(n));
    a.vni(VNI);
    b.vni(VNI);
    let hosts = [fabric.host("a", &a, VNI, 11), fabric.host("b", &b, VNI, 12)];
    let client = |leaf: &Leaf, version: FrrVersion| {
        version.start(&fabric, leaf, "", &frr_leaf(leaf, 65000, (3, 65000)))
    };
    let [one, other] = [client(&a, Eight), client(&b, Ten)];
    // Control: as an ordinary internal neighbour it passes nothing on.
    let evpnd = Evpnd::start(&fabric, &spine, &reflector(""));
    for frr in [&one, &other] {
        eventually(UP, "both are up", || is(frr, "10.0.0.3", "Established"));
    }
    assert!(hosts[0].ns.ping(&hosts[1].ip, 56).is_err(), "control: nothing is reflected");
    let (status, text) = reload(&evpnd, &fabric, &reflector("route-reflector-client = true\n"));
    assert_eq!(status, 0, "{text}");
    reach_each_other(&hosts[0], &hosts[1]);
    for (frr, host, leaf) in [(&other, &hosts[0], "10.0.0.1"), (&one, &hosts[1], "10.0.0.2")] {
        let routes = frr.paths(&host.mac);
        let from = format!("Originator: {leaf}, Cluster list: 10.0.0.3");
        assert!(routes.contains(&from), "{}: {routes}", frr.version());
        let next_hop = format!("{leaf} from 10.0.0.3");
        assert!(routes.contains(&next_hop), "the next hop is the leaf: {routes}");
    }
}

/// evpnd's leaves as clients of a reflector that is FRR.
fn frr_reflects(test: &str, version: FrrVersion) {
    let mut fabric = Fabric::new(test);
    let [a, b, spine] = [1, 2, 3].map(|n| fabric.leaf(n));
    a.vni(VNI);
    b.vni(VNI);
    let hosts = [fabric.host("a", &a, VNI, 11), fabric.host("b", &b, VNI, 12)];
    let ours = |number: u8| {
        format!(
            "[router]\nas = 65000\n[timers]\nconnect-retry = \"1s\"\n\
             [[neighbor]]\naddress = \"10.0.0.3\"\nas = \"internal\"\ndescription = \"{number}\"\n"
        )
    };
    let _evpnds = [&a, &b].map(|leaf| Evpnd::start(&fabric, leaf, &ours(leaf.number)));
    assert!(hosts[0].ns.ping(&hosts[1].ip, 56).is_err(), "control: nobody reflects yet");
    let bgp = FrrBgp {
        own_as: 65000,
        neighbours: &[(1, 65000), (2, 65000)],
        evpn: &["route-reflector-client"],
        ..FrrBgp::default()
    };
    let _frr = version.start(&fabric, &spine, "", &bgp.text(3));
    reach_each_other(&hosts[0], &hosts[1]);
}

#[test]
fn our_leaves_reach_each_other_through_a_reflector_that_is_frr() {
    frr_reflects("frr-reflector", Eight);
}

#[test]
fn our_leaves_reach_each_other_through_a_reflector_that_is_frr_10() {
    frr_reflects("frr10-reflector", Ten);
}
