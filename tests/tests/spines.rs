//! A spine in an AS of its own between leaves of two others: next hops stay those of the leaves, so
//! packets go from leaf to leaf and not to the spine, which has no VNI.
//!
//! **Evidence is FRR's own show**, the kernel's tables and packets between hosts.
#![cfg(feature = "kernel-tests")]

use evpn_tests::FrrVersion::{Eight, Ten};
use evpn_tests::pair::{Pair, UP, VXLAN, frr_leaf};
use evpn_tests::{Evpnd, Fdb, FrrBgp, FrrVersion, Host, Leaf, eventually, pause};
use std::time::Duration;

const SPINE: u8 = 3;
const SPINE_AS: u32 = 65003;
const SOON: Duration = Duration::from_secs(20);

/// Whether a leaf's kernel has a host behind that VTEP.
fn is_behind(leaf: &Leaf, host: &Host, vtep: &str) -> Result<(), String> {
    let remote = Fdb::read(&leaf.ns).remote(VXLAN);
    let wanted = (host.mac.clone(), vtep.to_owned());
    if remote.contains(&wanted) { Ok(()) } else { Err(format!("{remote:?}")) }
}

fn each_host_is_behind_its_leaf(pair: &Pair) {
    for (at, other) in [(0, 1), (1, 0)] {
        eventually(SOON, "a host is behind its leaf", || {
            is_behind(&pair.leaves[at], &pair.hosts[other], &pair.leaves[other].ip())
        });
    }
}

/// evpnd's leaves with FRR as the spine: with its default, told to leave next hops alone, and, as
/// the control, told to put itself there.
fn frr_between_ours(test: &str, version: FrrVersion) {
    let mut pair = Pair::new(test);
    let spine = pair.fabric.leaf(SPINE);
    let config = |own: u8| {
        format!(
            "[router]\nas = 6500{own}\n[timers]\nconnect-retry = \"1s\"\n\
             [[neighbor]]\naddress = \"10.0.0.{SPINE}\"\nas = {SPINE_AS}\n"
        )
    };
    let start = |leaf: &Leaf| Evpnd::start(&pair.fabric, leaf, &config(leaf.number));
    let _evpnds = pair.leaves.each_ref().map(start);
    pair.control_nothing_connects();
    let bgp = FrrBgp {
        own_as: SPINE_AS,
        neighbours: &[(1, 65001), (2, 65002)],
        evpn: &["attribute-unchanged next-hop"],
        ..FrrBgp::default()
    };
    let frr = version.start(&pair.fabric, &spine, "", &bgp.text(SPINE));
    pair.reach_each_other();
    each_host_is_behind_its_leaf(&pair);
    let told = |what: &str| {
        let line = |n| format!("{}\n", what.replace("ADDRESS", &format!("neighbor 10.0.0.{n}")));
        let all: String = [1, 2].map(line).concat();
        let context = format!("conf t\nrouter bgp {SPINE_AS}\naddress-family l2vpn evpn\n");
        let said = frr.vtysh(&format!("{context}{all}end\nclear bgp *"));
        assert_eq!(said.trim(), "", "{version}");
    };
    told("no ADDRESS attribute-unchanged next-hop");
    pause(Duration::from_secs(2));
    each_host_is_behind_its_leaf(&pair);
    pair.reach_each_other();
    told("ADDRESS next-hop-self force");
    eventually(SOON, "control: the spine is the next hop", || {
        is_behind(&pair.leaves[0], &pair.hosts[1], &spine.ip())
    });
    let [a, b] = &pair.hosts;
    assert!(a.ns.ping(&b.ip, 56).is_err(), "control: packets pass by a spine without a VNI");
}

#[test]
fn our_leaves_reach_each_other_by_a_spine_that_is_frr() {
    frr_between_ours("spine-frr", Eight);
}

#[test]
fn our_leaves_reach_each_other_by_a_spine_that_is_frr_10() {
    frr_between_ours("spine-frr10", Ten);
}

/// Leaves of FRR 8.4 and FRR 10 with evpnd as the spine, which leaves next hops alone.
#[test]
fn leaves_of_frr_reach_each_other_by_our_spine() {
    let mut pair = Pair::new("spine");
    let spine = pair.fabric.leaf(SPINE);
    let start = |leaf: &Leaf, version: FrrVersion| {
        let own = 65000 + u32::from(leaf.number);
        version.start(&pair.fabric, leaf, "", &frr_leaf(leaf, own, (SPINE, SPINE_AS)))
    };
    let frrs = [start(&pair.leaves[0], Eight), start(&pair.leaves[1], Ten)];
    pair.control_nothing_connects();
    let config = format!(
        "[router]\nas = {SPINE_AS}\nid = \"10.0.0.{SPINE}\"\n[timers]\nconnect-retry = \"1s\"\n\
         [[neighbor]]\naddress = \"10.0.0.1\"\nas = 65001\n\
         [[neighbor]]\naddress = \"10.0.0.2\"\nas = 65002\n"
    );
    let _evpnd = Evpnd::start(&pair.fabric, &spine, &config);
    pair.reach_each_other();
    for (at, other) in [(0, 1), (1, 0)] {
        let (host, frr) = (&pair.hosts[other], &frrs[at]);
        eventually(UP, "FRR has the route by the spine, with the leaf as next hop", || {
            let shown = frr.paths(&host.mac);
            let leaf = pair.leaves[other].ip();
            let path = format!("{SPINE_AS} {}", 65001 + other);
            let next_hop = format!("{leaf} from 10.0.0.{SPINE}");
            let as_wanted = shown.contains(&path) && shown.contains(&next_hop);
            if as_wanted { Ok(()) } else { Err(format!("{}: {shown}", frr.version())) }
        });
    }
    each_host_is_behind_its_leaf(&pair);
}
