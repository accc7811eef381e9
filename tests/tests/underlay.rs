//! Beside BIRD, which carries the underlay: the VTEPs are loopback addresses that only its OSPF
//! makes reachable. It is no rival, so what is stale is swept, and its routes are left alone.
#![cfg(feature = "kernel-tests")]

use evpn_tests::pair::{Pair, UP, VXLAN};
use evpn_tests::{Bird, Evpnd, Fdb, Leaf, eventually, holds_for};
use std::time::Duration;

/// A MAC address of nobody, put into the kernel as a former evpnd would have.
const STALE: &str = "02:00:00:00:de:ad";
const LONG: Duration = Duration::from_secs(2);

fn vtep(leaf: &Leaf) -> String {
    format!("10.255.0.{}", leaf.number)
}

fn config(leaf: &Leaf) -> String {
    let other = 3 - leaf.number;
    format!(
        "[router]\nas = 65000\n[timers]\nconnect-retry = \"1s\"\n\
         [[neighbor]]\naddress = \"10.255.0.{other}\"\nas = \"internal\"\nupdate-source = \"{}\"\n",
        vtep(leaf)
    )
}

/// The kernel's route to a VTEP.
fn route(leaf: &Leaf, to: &Leaf) -> String {
    leaf.ns.sh(&format!("ip route show {}", vtep(to)))
}

fn is_there(leaf: &Leaf, mac: &str) -> bool {
    !Fdb::read(&leaf.ns).of(mac).is_empty()
}

#[test]
fn beside_bird_hosts_reach_each_other_and_what_is_stale_goes() {
    let pair = Pair::new("bird");
    let [first, second] = &pair.leaves;
    for leaf in [first, second] {
        let local = vtep(leaf);
        leaf.ns.ip(&format!(
            "addr add {local}/32 dev lo
             link set {VXLAN} type vxlan local {local}"
        ));
    }
    let leave_stale = || {
        first.ns.bridge(&format!(
            "fdb add {STALE} dev {VXLAN} dst {} self extern_learn
             fdb add {STALE} dev {VXLAN} master extern_learn",
            vtep(second)
        ));
    };
    let swept = || {
        eventually(UP, "the sweep is not held", || {
            if is_there(first, STALE) { Err("it is still there") } else { Ok(()) }
        });
    };
    leave_stale();
    let mut beside = Bird::start(&pair.fabric, first);
    holds_for(LONG, "BIRD sweeps nothing", || {
        if is_there(first, STALE) { Ok(()) } else { Err("it is gone") }
    });
    let mut evpnds = [first, second].map(|leaf| Evpnd::start(&pair.fabric, leaf, &config(leaf)));
    swept();
    // Control: there is no other way between the leaves than BIRD's.
    holds_for(LONG, "nothing connects yet", || {
        match pair.hosts[0].ns.ping(&pair.hosts[1].ip, 56) {
            Ok(()) => Err("the hosts reach each other"),
            Err(_) => Ok(()),
        }
    });
    let mut other = Bird::start(&pair.fabric, second);
    pair.reach_each_other();
    assert!(route(first, second).contains("proto bird"), "{}", route(first, second));
    let health = evpnds[0].ctl(&["health"]);
    assert!(!health.stdout.to_lowercase().contains("another"), "{}", health.stdout);

    // A restart beside it sweeps too, and takes nothing of BIRD's.
    let before = route(first, second);
    evpnds[0].daemon.kill9();
    leave_stale();
    evpnds[0].start_again();
    evpnds[0].wait_ready();
    swept();
    pair.reach_each_other();
    assert_eq!(route(first, second), before);
    beside.daemon.expect_alive();
    other.daemon.expect_alive();
}
