//! What the kernel's monitor loses is found again, at once and not by the audit.
#![cfg(feature = "kernel-tests")]

use evpn_tests::pair::{Pair, VNI, VXLAN, config, frr};
use evpn_tests::{Evpnd, Fdb, Frr, Leaf, eventually, now, wait_until};
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);
/// From the moment when the kernel stops dropping until the other speaker's table is right.
const REPAIR: Duration = Duration::from_secs(2);
/// The smallest buffer that may be configured, and an audit that will not come to help.
const SETTINGS: &str = "[evpn]\naudit-interval = \"1h\"\n[dataplane]\nreceive-buffer = \"64KiB\"\n";
/// Of 1,000 changes, these take an address away and the others bring one.
const GOING: u32 = 300;
const COMING: u32 = 700;

fn mac(number: u32) -> String {
    format!("02:00:00:01:{:02x}:{:02x}", number / 256, number % 256)
}

/// MAC addresses that the bridge has learnt on the first host's port.
fn local(leaf: &Leaf) -> BTreeSet<String> {
    Fdb::read(&leaf.ns).learnt("h11").into_iter().collect()
}

/// MAC addresses that FRR has from us, in zebra's own words.
fn known_to(frr: &Frr) -> Result<BTreeSet<String>, String> {
    let value = frr.json(&format!("show evpn mac vni {VNI} vtep 10.0.0.1 json"))?;
    let macs = value["macs"].as_object().ok_or_else(|| value.to_string())?;
    Ok(macs.keys().cloned().collect())
}

fn equal(frr: &Frr, leaf: &Leaf) -> Result<(), String> {
    let (here, there) = (local(leaf), known_to(frr)?);
    let missing: Vec<_> = here.difference(&there).collect();
    let extra: Vec<_> = there.difference(&here).collect();
    if missing.is_empty() && extra.is_empty() {
        return Ok(());
    }
    Err(format!("{} missing, {} too many", missing.len(), extra.len()))
}

/// Messages that the kernel has dropped on netlink sockets of a process's threads.
fn drops(pid: i32) -> u64 {
    // Read in the process's own namespace: a namespace shows its own sockets only.
    let text = fs::read_to_string(format!("/proc/{pid}/net/netlink")).unwrap_or_default();
    let sockets = socket_inodes(pid);
    text.lines()
        .skip(1)
        .filter_map(|line| {
            // sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode
            let columns: Vec<&str> = line.split_whitespace().collect();
            let inode: u64 = columns.last()?.parse().ok()?;
            let drops: u64 = columns.get(columns.len().checked_sub(2)?)?.parse().ok()?;
            sockets.contains(&inode).then_some(drops)
        })
        .sum()
}

fn socket_inodes(pid: i32) -> BTreeSet<u64> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries
        .filter_map(|e| fs::read_link(e.path()).ok())
        .filter_map(|target| {
            let text = target.to_str()?;
            text.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
        })
        .collect()
}

fn change(leaf: &Leaf, verb: &str, numbers: std::ops::Range<u32>) {
    let kind = if verb == "add" { "master dynamic" } else { "master" };
    let lines: String =
        numbers.map(|n| format!("fdb {verb} {} dev h11 {kind}\n", mac(n))).collect();
    leaf.ns.bridge(&lines);
}

#[test]
fn an_overrun_is_repaired_without_the_audit() {
    let pair = Pair::new("overrun");
    let [ours, theirs] = &pair.leaves;
    let frr = frr(&pair.fabric, theirs, 65002, 1, 65001);
    let evpnd = Evpnd::start(&pair.fabric, ours, &config(1, SETTINGS));
    pair.reach_each_other();
    change(ours, "add", 0..GOING);
    eventually(SOON, "FRR has every address", || equal(&frr, ours));
    assert!(local(ours).len() > GOING as usize);
    let pid = evpnd.daemon.pid();
    let before = drops(pid);

    // Nobody reads the monitor while the kernel reports 1,000 changes.
    evpnd.daemon.signal(Signal::SIGSTOP);
    change(ours, "del", 0..GOING);
    change(ours, "add", GOING..GOING + COMING);
    let mut dropped = drops(pid);
    assert!(dropped > before, "the test did not overrun the monitor");
    assert!(equal(&frr, ours).is_err(), "control: the tables differ now");
    evpnd.daemon.signal(Signal::SIGCONT);
    let mut last_drop = now();
    let repaired = wait_until(SOON, || {
        let drops = drops(pid);
        if drops > dropped {
            (dropped, last_drop) = (drops, now());
        }
        equal(&frr, ours)
    });
    let took = last_drop.elapsed();
    println!("{} dropped; equal {took:?} after the last: {repaired:?}", dropped - before);
    repaired.expect("FRR's table equals `bridge fdb`");
    assert!(took <= REPAIR, "too late: {took:?}");
    assert_eq!(known_to(&frr).map(|m| m.len()), Ok(local(ours).len()));
    let answer = evpnd.ctl(&["show", "consistency"]);
    assert_eq!(answer.status, 0, "{}{}", answer.stdout, answer.stderr);
}

/// What `show consistency` says is true: where an entry is missing it says so by its status.
#[test]
fn control_an_entry_deleted_by_hand_is_a_difference() {
    let pair = Pair::new("by-hand");
    let [first, _second] = pair.start(SETTINGS);
    pair.reach_each_other();
    let [leaf, _] = &pair.leaves;
    let b = &pair.hosts[1].mac;
    eventually(SOON, "consistent to begin with", || {
        let answer = first.ctl(&["show", "consistency"]);
        if answer.status == 0 { Ok(()) } else { Err(answer.stdout) }
    });
    // evpnd mends what it hears of, so look while it cannot have mended it yet: the question
    // waits on the socket of a daemon that is stopped, and the deletion comes before it goes on.
    let mut seen = None;
    for _ in 0..10 {
        leaf.ns.bridge(&format!("fdb del {b} dev {VXLAN} dst 10.0.0.2 self"));
        let answer = first.ctl(&["show", "consistency"]);
        if answer.status == 1 {
            seen = Some(answer.stdout);
            break;
        }
        eventually(SOON, "it is mended", || {
            let fdb = Fdb::read(&leaf.ns);
            if fdb.remote(VXLAN).iter().any(|(mac, _)| mac == b) { Ok(()) } else { Err("not yet") }
        });
    }
    let seen = seen.expect("the difference shows in the exit status");
    assert!(seen.contains(b), "and names the entry:\n{seen}");
}
