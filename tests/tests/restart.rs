//! The death of a daemon is no event for the packets (RFC 4724, as helper and as restarter).
#![cfg(feature = "kernel-tests")]

use evpn_tests::pair::{Pair, VNI, VXLAN};
use evpn_tests::{
    Capture, Daemon, Evpnd, Fdb, Flow, Host, Leaf, NeighEntry, eventually, gratuitous_arp,
    holds_for, pause,
};
use nix::sys::signal::Signal;
use std::time::Duration;

const KILLS: usize = 20;
const RATE: u32 = 1000;
/// A MAC address of nobody, put into the kernel as if it had been learnt before the crash.
const STALE: &str = "02:00:00:00:de:ad";
/// The number by which evpnd knows neighbours and routes that it has made.
const OURS: u8 = 110;
const SOON: Duration = Duration::from_secs(10);

/// Whether a leaf has swept after its restart: only then does it count as being up again.
fn restart_is_over(evpnd: &Evpnd) -> Result<(), String> {
    let log = evpnd.daemon.log();
    if log.contains("restart complete") { Ok(()) } else { Err(log) }
}

fn established(evpnd: &Evpnd) -> Result<(), String> {
    let summary = evpnd.json(&["show", "bgp", "summary"])?;
    let peers = summary["peers"].as_object().ok_or("no peers")?;
    match peers.values().find(|p| p["state"] != "Established") {
        None => Ok(()),
        Some(peer) => Err(peer.to_string()),
    }
}

fn start_watching(pair: &Pair, leaf: &Leaf) -> Daemon {
    let log = pair.fabric.path(&format!("monitor{}.log", leaf.number));
    let mut command = leaf.ns.command("bridge");
    let daemon =
        Daemon::spawn("bridge monitor", command.args(["-timestamp", "monitor", "fdb"]), &log);
    // It listens once it reports a change of ours, on a link that is no port of a bridge.
    eventually(SOON, "the monitor reports", || {
        leaf.ns.bridge(
            "fdb add 02:00:00:00:be:ef dev up0 self\nfdb del 02:00:00:00:be:ef dev up0 self",
        );
        if daemon.log().contains("02:00:00:00:be:ef") { Ok(()) } else { Err("nothing") }
    });
    daemon
}

/// Deletions of entries of a VXLAN device that a monitor has reported.
fn deletions(monitor: &Daemon) -> Vec<String> {
    let of_device = |l: &&str| l.starts_with("Deleted") && l.contains(VXLAN);
    monitor.log().lines().filter(of_device).map(str::to_owned).collect()
}

#[test]
fn twenty_kills_lose_no_packet() {
    let pair = Pair::new("kills");
    let mut evpnds = pair.start("");
    pair.reach_each_other();
    let [a, b] = &pair.hosts;
    let monitors = pair.leaves.each_ref().map(|leaf| start_watching(&pair, leaf));
    let there = Flow::start((&a.ns, &a.ip), (&b.ns, &b.ip), 5000, RATE);
    let back = Flow::start((&b.ns, &b.ip), (&a.ns, &a.ip), 5001, RATE);
    for kill in 0..KILLS {
        let [first, second] = &mut evpnds;
        let victim = if kill % 2 == 0 { first } else { second };
        victim.daemon.kill9();
        pause(Duration::from_millis(300));
        victim.start_again();
        victim.wait_ready();
        eventually(SOON, "the session is up", || established(victim));
        eventually(SOON, "the restart is over", || restart_is_over(victim));
    }
    let (there, back) = (there.stop(), back.stop());
    println!("{KILLS} kills: {}; {}", there.summary(), back.summary());
    for report in [there, back] {
        assert!(report.sent.len() > KILLS * 300, "{}", report.summary());
        assert_eq!(report.lost.len(), 0, "{}", report.summary());
    }
    // Neither the one who was killed nor the one who helped deleted an entry.
    for monitor in &monitors {
        assert_eq!(deletions(monitor), Vec::<String>::new());
    }
}

/// The same without graceful restart: the neighbour takes the routes away, and packets are lost.
#[test]
fn control_without_graceful_restart_packets_are_lost() {
    let pair = Pair::new("no-gr");
    let evpnds = pair.leaves.each_ref().map(|leaf| {
        let config = evpn_tests::pair::config(leaf.number, "");
        let config = config.replacen("[router]\n", "[router]\ngraceful-restart = false\n", 1);
        Evpnd::start(&pair.fabric, leaf, &config)
    });
    pair.reach_each_other();
    let [a, b] = &pair.hosts;
    let [mut first, _second] = evpnds;
    let back = Flow::start((&b.ns, &b.ip), (&a.ns, &a.ip), 5001, RATE);
    pause(Duration::from_millis(300));
    first.daemon.kill9();
    pause(Duration::from_secs(1));
    first.start_again();
    first.wait_ready();
    eventually(SOON, "the session is up", || established(&first));
    pause(Duration::from_secs(1));
    let report = back.stop();
    println!("without graceful restart: {}", report.summary());
    assert!(report.lost.len() > 100, "control: {}", report.summary());
}

#[test]
fn what_is_stale_goes_after_end_of_rib_and_not_before() {
    let pair = Pair::new("stale");
    let [mut first, second] = pair.start(&format!("[dataplane]\nprotocol = {OURS}\n"));
    pair.reach_each_other();
    let [leaf, _] = &pair.leaves;
    eventually(SOON, "the first restart is over", || restart_is_over(&first));
    let before = Fdb::read(&leaf.ns).remote(VXLAN);
    assert!(before.len() >= 2, "{before:?}");
    let monitor = start_watching(&pair, leaf);

    // While the neighbour hangs, no End-of-RIB can come.
    second.daemon.signal(Signal::SIGSTOP);
    first.daemon.kill9();
    leaf.ns.bridge(&format!(
        "fdb replace {STALE} dev {VXLAN} dst 10.0.0.2 self extern_learn
         fdb replace {STALE} dev {VXLAN} master extern_learn"
    ));
    leaf.ns.ip(&format!(
        "neigh replace 172.16.100.222 lladdr {STALE} dev br{VNI} nud noarp extern_learn proto {OURS}"
    ));
    first.start_again();
    first.wait_ready();
    holds_for(Duration::from_secs(3), "nothing is deleted before End-of-RIB", || {
        let deleted = deletions(&monitor);
        if deleted.is_empty() { Ok(()) } else { Err(deleted.join("\n")) }
    });
    assert_eq!(Fdb::read(&leaf.ns).of(STALE).len(), 2, "stale entries forward until then");

    second.daemon.signal(Signal::SIGCONT);
    eventually(SOON, "what is stale is swept after End-of-RIB", || {
        let fdb = Fdb::read(&leaf.ns);
        let left = fdb.of(STALE);
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
    eventually(SOON, "the stale neighbour too", || {
        let left = NeighEntry::of(&leaf.ns, "172.16.100.222");
        let left: Vec<_> = left.iter().filter(|n| n.extern_learn).collect();
        let answer = first.ctl(&["show", "consistency"]);
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}\n{}", answer.stdout)) }
    });
    assert_eq!(Fdb::read(&leaf.ns).remote(VXLAN), before, "the rest was adopted");
    let deleted = deletions(&monitor);
    assert!(deleted.iter().all(|l| l.contains(STALE)), "only what was stale: {deleted:?}");
}

/// Gives `to` the host's MAC address and lets it speak: a move, seen from the leaves.
fn move_to(host: &Host, to: &Host, home: &Host) {
    let (from, gone) = (home, "02:00:00:00:ee:01");
    from.ns.ip(&format!("link set eth0 address {gone}"));
    to.ns.ip(&format!("link set eth0 address {}", host.mac));
    gratuitous_arp(&to.ns, "eth0", &host.mac, &host.ip);
}

#[test]
fn a_sequence_never_falls_when_its_leaf_is_killed_right_after_a_move() {
    let mut pair = Pair::new("sequence");
    let (leaf1, leaf2) = (pair.leaves[0].clone(), pair.leaves[1].clone());
    let places = [pair.fabric.host("m1", &leaf1, VNI, 21), pair.fabric.host("m2", &leaf2, VNI, 22)];
    let mover = pair.fabric.host("m0", &leaf1, VNI, 31);
    mover.ns.ip("link set eth0 down");
    let file = pair.fabric.path("bgp.pcap");
    let mut capture = Capture::start(&leaf1.ns, "up0", "tcp port 179", &file);
    let mut evpnds = pair.start("");
    for round in 0..6 {
        let (to, from) = (&places[round % 2], &places[(round + 1) % 2]);
        move_to(&mover, to, from);
        let other = &pair.leaves[(round + 1) % 2];
        let at = pair.leaves[round % 2].ip();
        eventually(SOON, "the other leaf knows of the move", || {
            let remote = Fdb::read(&other.ns).remote(VXLAN);
            if remote.contains(&(mover.mac.clone(), at.clone())) {
                Ok(())
            } else {
                Err(format!("{remote:?}"))
            }
        });
        let victim = &mut evpnds[round % 2];
        victim.daemon.kill9();
        victim.start_again();
        victim.wait_ready();
        eventually(SOON, "the session is up", || established(victim));
        eventually(SOON, "the restart is over", || restart_is_over(victim));
    }
    let seen: Vec<_> =
        capture.mac_announcements().into_iter().filter(|a| a.mac == mover.mac).collect();
    println!("{seen:?}");
    let highest = seen.iter().map(|a| a.sequence).max();
    assert!(highest >= Some(5), "six places are five moves: {seen:?}");
    for leaf in &pair.leaves {
        let own: Vec<u32> =
            seen.iter().filter(|a| a.source == leaf.ip()).map(|a| a.sequence).collect();
        assert!(own.len() >= 6, "announced before and after each kill: {own:?}");
        assert!(own.is_sorted(), "leaf {}: {own:?}", leaf.number);
    }
}
