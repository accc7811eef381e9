//! Ten classic mistakes: the log and `evpnctl` name each, with its cause and its remedy.
//!
//! What is compared is the whole text, less what differs from run to run; so a message that loses
//! its remedy fails.
#![cfg(feature = "kernel-tests")]

use evpn_tests::pair::{Pair, UP, VNI, VXLAN, config, frr};
use evpn_tests::{Evpnd, Fabric, Leaf, eventually};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);
/// The widest table.
const COLUMNS: usize = 100;
/// A user that may nothing.
const NOBODY: u32 = 65534;

/// What warns in a log, once each, in the order of appearance.
fn warnings(evpnd: &Evpnd) -> Vec<String> {
    let mut seen = Vec::new();
    for line in evpnd.daemon.log().lines() {
        let known = |level: &&str| line.contains(&format!(" {level} "));
        let Some(level) = ["WARN", "ERROR"].into_iter().find(known) else { continue };
        let Some((_, text)) = line.split_once(&format!(" {level} ")) else { continue };
        let text = format!("{level} {}", plain(text));
        if !seen.contains(&text) {
            seen.push(text);
        }
    }
    seen
}

/// A text without what differs from run to run: ages, directories, and which of the two ends of a
/// connection was faster (whoever closes it with octets unread resets it).
fn plain(text: &str) -> String {
    let text = text.replace("connection reset by", "connection closed by");
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let bare = word.trim_matches(|c: char| "(),;:\"".contains(c));
        let is_age = bare.len() == 8
            && bare
                .bytes()
                .enumerate()
                .all(|(i, b)| if i == 2 || i == 5 { b == b':' } else { b.is_ascii_digit() });
        let replaced = if is_age {
            word.replace(bare, "AGE")
        } else if let Some(start) = word.find("/tmp/e2e-") {
            let (before, path) = word.split_at(start);
            let name = path.rsplit('/').next().unwrap_or_default();
            format!("{before}DIR/{name}")
        } else {
            word.to_owned()
        };
        words.push(replaced);
    }
    words.join(" ")
}

/// The answer of evpnctl: what it says below the rows, which is cause and remedy. No line is wider
/// than a terminal.
fn explained(evpnd: &Evpnd, args: &[&str]) -> String {
    let answer = evpnd.ctl(args);
    let text = answer.stdout + &answer.stderr;
    for line in text.lines() {
        assert!(line.chars().count() <= COLUMNS, "{} columns: {line}", line.chars().count());
    }
    let indented = text.lines().filter(|l| l.starts_with("    ") && !l.trim().is_empty());
    plain(&indented.collect::<Vec<_>>().join("\n"))
}

/// Waits until log and evpnctl speak of the mistake, and compares both with what they said before.
#[track_caller]
fn told(name: &str, evpnd: &Evpnd, args: &[&str], log_has: &str) {
    eventually(SOON, &format!("{name}: the log and evpnctl tell"), || {
        let log = warnings(evpnd);
        let shown = explained(evpnd, args);
        if !log.iter().any(|l| l.contains(log_has)) {
            return Err(format!("no {log_has:?} in the log:\n{}", evpnd.daemon.log()));
        }
        if shown.is_empty() {
            let answer = evpnd.ctl(args);
            return Err(format!("nothing is explained:\n{}{}", answer.stdout, answer.stderr));
        }
        Ok(())
    });
    let log: Vec<String> =
        warnings(evpnd).into_iter().filter(|line| line.contains(log_has)).collect();
    let shown = explained(evpnd, args);
    let text = format!("log:\n{}\n\nevpnctl {}:\n{shown}\n", log.join("\n"), args.join(" "));
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(name, text);
    });
}

const SUMMARY: &[&str] = &["show", "bgp", "summary"];
const VNIS: &[&str] = &["show", "evpn", "vni"];

/// Without a mistake nothing warns and nothing needs explaining.
#[test]
fn control_without_a_mistake_nothing_is_explained() {
    let pair = Pair::new("no-mistake");
    let [first, second] = pair.start("");
    pair.reach_each_other();
    for evpnd in [&first, &second] {
        eventually(UP, "nothing to explain", || {
            let seen = [SUMMARY, VNIS].map(|args| explained(evpnd, args)).concat();
            if seen.is_empty() { Ok(()) } else { Err(seen) }
        });
    }
    // The second came up beside a running neighbor: it has no reason to warn of anything.
    assert_eq!(warnings(&second), Vec::<String>::new());
}

#[test]
fn wrong_as() {
    let pair = Pair::new("wrong-as");
    let [first, second] = &pair.leaves;
    let wrong = config(1, "").replace("as = 65002", "as = 65009");
    let evpnd = Evpnd::start(&pair.fabric, first, &wrong);
    let other = Evpnd::start(&pair.fabric, second, &config(2, ""));
    told("wrong_as", &evpnd, SUMMARY, "65009");
    told("our_as_refused", &other, SUMMARY, "Bad Peer AS");
}

#[test]
fn wrong_source_address() {
    let pair = Pair::new("wrong-source");
    let [first, second] = &pair.leaves;
    second.ns.ip("addr add 10.0.0.22/24 dev up0");
    // It waits for the other to come, and the other comes from elsewhere.
    let waits = config(1, "passive = true\n");
    let comes = config(2, "update-source = \"10.0.0.22\"\n");
    let evpnd = Evpnd::start(&pair.fabric, first, &waits);
    let other = Evpnd::start(&pair.fabric, second, &comes);
    told("wrong_source", &other, SUMMARY, "10.0.0.1");
    eventually(SOON, "the one who refuses says so too", || {
        let log = warnings(&evpnd);
        if log.iter().any(|l| l.contains("10.0.0.22")) { Ok(()) } else { Err(format!("{log:?}")) }
    });
    let log: Vec<String> =
        warnings(&evpnd).into_iter().filter(|l| l.contains("10.0.0.22")).collect();
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("unknown_peer", log.join("\n"));
    });
}

#[test]
fn port_179_taken() {
    let pair = Pair::new("port-taken");
    let [first, _] = &pair.leaves;
    let _listener = first.ns.inside(|| TcpListener::bind("0.0.0.0:179").expect("port 179"));
    let evpnd = Evpnd::start(&pair.fabric, first, &config(1, ""));
    told("port_179_taken", &evpnd, &["health"], "179");
}

#[test]
fn vxlan_learning_on() {
    let pair = Pair::new("learning");
    let [first, _] = &pair.leaves;
    first.ns.ip(&format!("link set {VXLAN} type vxlan learning"));
    let evpnd = Evpnd::start(&pair.fabric, first, &config(1, ""));
    told("vxlan_learning_on", &evpnd, VNIS, "learn");
}

#[test]
fn no_local_address() {
    let mut fabric = Fabric::new("no-local");
    let leaf = fabric.leaf(1);
    leaf.ns.ip(&format!(
        "link add br{VNI} type bridge
         link add {VXLAN} type vxlan id {VNI} dstport 4789 nolearning
         link set {VXLAN} master br{VNI}
         link set {VXLAN} up
         link set br{VNI} up"
    ));
    leaf.ns.bridge(&format!("link set dev {VXLAN} learning off neigh_suppress on"));
    let evpnd = Evpnd::start(&fabric, &leaf, &config(1, ""));
    told("no_local_address", &evpnd, VNIS, "local");
}

#[test]
fn mtu_short_by_50() {
    let pair = Pair::new("mtu");
    let [first, _] = &pair.leaves;
    first.ns.ip("link set up0 mtu 1500");
    let evpnd = Evpnd::start(&pair.fabric, first, &config(1, ""));
    told("mtu_short_by_50", &evpnd, VNIS, "MTU");
}

#[test]
fn route_targets_that_do_not_match() {
    let pair = Pair::new("route-targets");
    let [first, second] = &pair.leaves;
    let vni = |which: &str| format!("[[vni]]\nvni = {VNI}\n{which} = [\"65000:999\"]\n");
    let evpnd = Evpnd::start(&pair.fabric, first, &config(1, &vni("import")));
    let _other = Evpnd::start(&pair.fabric, second, &config(2, ""));
    told("route_targets", &evpnd, VNIS, "route target");
    let host = &pair.hosts[1].mac;
    eventually(SOON, "why a host of the other leaf is not used", || {
        let answer = evpnd.ctl(&["why", host]);
        let told = answer.stdout.contains("no VNI imports 65002:100");
        if told { Ok(()) } else { Err(answer.stdout + &answer.stderr) }
    });
}

#[test]
fn socket_permission() {
    let pair = Pair::new("permission");
    let [first, _] = &pair.leaves;
    let evpnd = Evpnd::start(&pair.fabric, first, &config(1, ""));
    // The tool must be readable by the one who may not use the socket.
    let tool = pair.fabric.path("evpnctl");
    std::fs::copy(evpn_tests::binary("evpnctl"), &tool).expect("a copy of evpnctl");
    let output = Command::new(tool)
        .arg("--socket")
        .arg(evpnd.socket())
        .args(["show", "bgp", "summary"])
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .expect("evpnctl runs");
    assert_eq!(output.status.code(), Some(2));
    let text = plain(&String::from_utf8_lossy(&output.stderr));
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("socket_permission", text);
    });
}

#[test]
fn dead_upsd() {
    let pair = Pair::new("no-upsd");
    let [first, _] = &pair.leaves;
    let feed =
        "[energy]\nsite = \"barn\"\nfeed = { type = \"nut\", ups = \"site\", interval = \"1s\" }\n";
    let evpnd = Evpnd::start(&pair.fabric, first, &config(1, feed));
    eventually(SOON, "the log tells", || {
        let log = warnings(&evpnd);
        if log.iter().any(|l| l.contains("3493")) { Ok(()) } else { Err(format!("{log:?}")) }
    });
    let log: Vec<String> = warnings(&evpnd).into_iter().filter(|l| l.contains("3493")).collect();
    let answer = evpnd.ctl(&["show", "energy"]);
    assert!(answer.stdout.lines().all(|l| l.chars().count() <= COLUMNS), "{}", answer.stdout);
    let text =
        format!("log:\n{}\n\nevpnctl show energy:\n{}", log.join("\n"), plain(&answer.stdout));
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("dead_upsd", text);
    });
}

#[test]
fn another_evpn_daemon() {
    let pair = Pair::new("another");
    let [first, second]: &[Leaf; 2] = &pair.leaves;
    let _frr = frr(&pair.fabric, first, 65001, 2, 65002);
    let _peer = frr(&pair.fabric, second, 65002, 1, 65001);
    pair.reach_each_other();
    // FRR works in this namespace already, on the port of BGP too.
    let beside = config(1, "passive = true\n").replacen("[router]\n", "[router]\nport = 1179\n", 1);
    let evpnd = Evpnd::start(&pair.fabric, first, &beside);
    told("another_evpn_daemon", &evpnd, &["health"], "another");
    // What the other daemon has put there stays.
    pair.reach_each_other();
}
