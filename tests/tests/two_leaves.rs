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

/// `why` tells what happens to frames and not what the routes mean to happen.
#[test]
fn why_follows_the_kernel() {
    let pair = Pair::new("why-kernel");
    let [evpnd, _other] = pair.start("");
    pair.reach_each_other();
    let (ns, host) = (&pair.leaves[0].ns, &pair.hosts[1]);
    let ask = |subject: &str| {
        let answer = evpnd.ctl(&["why", subject]);
        // In one line, wherever it is wrapped.
        let text = answer.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        (answer.status, text)
    };
    // An address that no route covers is a host's.
    for subject in [&host.mac, &host.ip] {
        let (status, text) = ask(subject);
        assert!(status == 0 && text.contains("go to VTEP 10.0.0.2 VNI 100 BEST"), "{text}");
    }
    ns.ip("route add blackhole 10.0.0.2/32");
    for subject in [&host.mac, &host.ip] {
        let (status, text) = ask(subject);
        let told = "the kernel drops packets to VTEP 10.0.0.2 (blackhole route); by the routes,";
        assert!(status == 1 && text.contains(told), "{status}: {text}");
    }
    let vnis = evpnd.ctl(&["show", "evpn", "vni"]).stdout;
    assert!(vnis.contains("-> ip route get 10.0.0.2"), "{vnis}");
    ns.ip("route del blackhole 10.0.0.2/32");
    assert_eq!(ask(&host.mac).0, 0);
    // Somebody else's entry, which is never written over, sends the frames to another VTEP.
    ns.bridge(&format!("fdb del {} dev {VXLAN} dst 10.0.0.2 self", host.mac));
    ns.bridge(&format!("fdb replace {} dev {VXLAN} dst 10.0.0.9 self static", host.mac));
    let (status, text) = ask(&host.mac);
    assert!(status == 1 && text.contains("the kernel has another mac"), "{status}: {text}");
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
