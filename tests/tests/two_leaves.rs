//! Hosts of one L2VNI behind two leaves reach each other.
#![cfg(feature = "kernel-tests")]

use evpn_tests::pair::{Pair, VXLAN, frr};
use evpn_tests::{Evpnd, Fdb, Flow, eventually, pause};
use std::time::Duration;

/// The fabric itself: with a daemon that is not ours the hosts reach each other, and without
/// any they do not.
#[test]
fn control_frr_to_frr() {
    let pair = Pair::new("frr-frr");
    pair.control_nothing_connects();
    let [first, second] = &pair.leaves;
    let _frrs =
        (frr(&pair.fabric, first, 65001, 2, 65002), frr(&pair.fabric, second, 65002, 1, 65001));
    pair.reach_each_other();
    let [a, b] = &pair.hosts;
    let flow = Flow::start((&a.ns, &a.ip), (&b.ns, &b.ip), 5000, 1000);
    pause(Duration::from_secs(1));
    let report = flow.stop();
    assert!(report.sent.len() > 900 && report.lost.is_empty(), "{}", report.summary());
}

#[test]
fn hosts_behind_two_leaves_reach_each_other() {
    let pair = Pair::new("two-leaves");
    pair.control_nothing_connects();
    let evpnds = pair.start("");
    pair.reach_each_other();

    // The kernel's tables, by the kernel's own tools: flooding to the other leaf, its host's MAC
    // address behind its VTEP, and nothing else.
    for (leaf, other, host) in [(0, "10.0.0.2", 1), (1, "10.0.0.1", 0)] {
        let wanted = [
            ("00:00:00:00:00:00".to_owned(), other.to_owned()),
            (pair.hosts[host].mac.clone(), other.to_owned()),
        ];
        eventually(Duration::from_secs(5), "the other's host and flood entry", || {
            let remote = Fdb::read(&pair.leaves[leaf].ns).remote(VXLAN);
            if remote == wanted { Ok(()) } else { Err(format!("{remote:?}")) }
        });
    }
    for evpnd in &evpnds {
        let answer = evpnd.ctl(&["show", "consistency"]);
        assert_eq!(answer.status, 0, "{}{}", answer.stdout, answer.stderr);
        let long = answer.stdout.lines().find(|l| l.chars().count() > 100);
        assert_eq!(long, None);
    }
}

/// SIGTERM leaves forwarding in place.
#[test]
fn an_ended_daemon_leaves_forwarding_in_place() {
    let pair = Pair::new("sigterm");
    let [mut first, _second] = pair.start("");
    pair.reach_each_other();
    let [a, b] = &pair.hosts;
    let flow = Flow::start((&a.ns, &a.ip), (&b.ns, &b.ip), 5000, 1000);
    let status = first.daemon.terminate();
    assert!(status.success(), "{status}:\n{}", first.daemon.log());
    pause(Duration::from_secs(2));
    Evpnd::start_again(&mut first);
    first.wait_ready();
    pause(Duration::from_secs(2));
    let report = flow.stop();
    assert!(report.sent.len() > 3000 && report.lost.is_empty(), "{}", report.summary());
}
