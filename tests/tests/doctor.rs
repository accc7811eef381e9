//! `evpnctl doctor` on real devices: each setting that the dataplane needs made wrong, one at a
//! time, is named with its value, what breaks and a command; and that very command mends it.
//! And `evpnctl tech-support`: what is in the archive, and what is not.
#![cfg(feature = "kernel-tests")]

use evpn_tests::{Answer, Evpnd, Fabric, Leaf, binary, eventually, require};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
/// The widest line.
const COLUMNS: usize = 100;
/// A user that may nothing.
const NOBODY: &str = "65534";
/// What the machine that runs the tests may be lacking, whatever the leaf is like.
const OF_THE_MACHINE: [&str; 1] = ["clock"];

/// Two leaves with an L2VNI and an L3VNI on both, each with a running evpnd.
struct Site {
    leaf: Leaf,
    evpnd: Evpnd,
    _other: Evpnd,
    fabric: Fabric,
}

fn config(number: u8, more: &str) -> String {
    let other = 3 - number;
    format!(
        "[router]\nas = 6500{number}\n[timers]\nconnect-retry = \"1s\"\n\
         [[neighbor]]\naddress = \"10.0.0.{other}\"\nas = 6500{other}\n\
         [[vrf]]\nl3vni = 4000\nprefixes = [{{ prefix = \"198.51.100.{number}/32\" }}, \
         {{ prefix = \"2001:db8:5::{number}/128\" }}]\n{more}"
    )
}

/// A leaf as an operator would set it.
fn healthy_leaf(fabric: &mut Fabric, number: u8) -> Leaf {
    let leaf = fabric.leaf(number);
    leaf.vni(100).l3vni(4000);
    leaf.ns.ip("addr add 172.16.100.1/24 dev br100");
    for key in ["bridge-nf-call-iptables", "bridge-nf-call-ip6tables"] {
        leaf.ns.sh(&format!("f=/proc/sys/net/bridge/{key}; ! test -e $f || echo 0 >$f"));
    }
    leaf
}

impl Site {
    fn new(test: &str, more: &str) -> Self {
        let mut fabric = Fabric::new(test);
        let leaf = healthy_leaf(&mut fabric, 1);
        let second = healthy_leaf(&mut fabric, 2);
        fabric.host("a", &leaf, 100, 11);
        let evpnd = Evpnd::start(&fabric, &leaf, &config(1, more));
        let other = Evpnd::start(&fabric, &second, &config(2, ""));
        let site = Self { leaf, evpnd, _other: other, fabric };
        eventually(SOON, "evpnd is ready and the doctor content", || {
            let found = site.unwell();
            if found.is_empty() { Ok(()) } else { Err(format!("{found:#?}")) }
        });
        site
    }

    /// What warns or is wrong, what the machine of the test lacks aside.
    fn unwell(&self) -> Vec<Value> {
        let report = self.evpnd.json(&["doctor"]).expect("JSON");
        let checks = report["checks"].as_array().expect("checks").clone();
        let matters = |finding: &Value| {
            let state = finding["state"].as_str().unwrap();
            let check = finding["check"].as_str().unwrap();
            (state == "wrong" || state == "warning") && !OF_THE_MACHINE.contains(&check)
        };
        checks.into_iter().filter(matters).collect()
    }

    fn doctor(&self) -> Answer {
        self.evpnd.ctl(&["doctor"])
    }
}

/// A setting that is wrong.
struct Mistake {
    /// What makes it wrong, as lines of shell.
    wrong: &'static str,
    check: &'static str,
    state: &'static str,
    setting: &'static str,
    value: &'static str,
    /// What the explanation holds.
    breaks: &'static str,
    /// What the mend does not bring back of what `wrong` did.
    after: &'static str,
}

const fn mistake(
    wrong: &'static str,
    [check, state, setting, value]: [&'static str; 4],
    breaks: &'static str,
) -> Mistake {
    Mistake { wrong, check, state, setting, value, breaks, after: "" }
}

const DEVICES: &[Mistake] = &[
    mistake(
        "ip link set vx100 type vxlan learning",
        ["vxlan-learning", "wrong", "vx100 learning", "on"],
        "fights with what BGP says",
    ),
    mistake(
        "bridge link set dev vx100 learning on",
        ["port-learning", "wrong", "vx100 bridge port learning", "on"],
        "takes remote hosts for its own",
    ),
    mistake(
        "bridge link set dev vx100 neigh_suppress off",
        ["neigh-suppress", "warning", "vx100 neigh_suppress", "off"],
        "flooded to every leaf",
    ),
    mistake(
        "ip link del vx100
         ip link add vx100 type vxlan id 100 dstport 4789 nolearning
         ip link set vx100 master br100 up
         bridge link set dev vx100 learning off neigh_suppress on",
        ["vtep-address", "wrong", "vx100 local", "none"],
        "next hop",
    ),
    mistake(
        "ip link del vx100
         ip link add vx100 type vxlan id 100 dstport 8472 local 10.0.0.1 nolearning
         ip link set vx100 master br100 up
         bridge link set dev vx100 learning off neigh_suppress on",
        ["vxlan-port", "wrong", "vx100 dstport", "8472"],
        "nothing arrives, either way",
    ),
    Mistake {
        after: "ip addr del 10.0.0.1/32 dev lo; ip addr add 10.0.0.1/24 dev up0",
        ..mistake(
            "ip addr del 10.0.0.1/24 dev up0",
            ["vtep-local", "wrong", "vx100 local", "10.0.0.1, an address that this machine"],
            "an address that is not here",
        )
    },
    mistake(
        "ip link set vx100 type vxlan local 10.0.0.9",
        ["vtep-local", "wrong", "vx100 local", "10.0.0.9, an address that this machine"],
        "vx4000 has 10.0.0.1, so that the VTEPs differ",
    ),
    mistake(
        "ip link set up0 master br100",
        ["uplink-port", "wrong", "up0 master", "br100"],
        "sessions end",
    ),
    mistake(
        "ip link set up0 down",
        ["vtep-local", "wrong", "vx4000 local", "10.0.0.1, on up0, which is down"],
        "a device that is down",
    ),
    mistake(
        "ip link set vx100 down",
        ["device-up", "wrong", "vx100 state", "down"],
        "VNI 100 stays down",
    ),
    mistake(
        "ip link set br4000 down",
        ["device-up", "wrong", "br4000 state", "down"],
        "VNI 4000 stays down",
    ),
    mistake(
        "ip link set vx100 nomaster",
        ["bridge-port", "wrong", "vx100 master", "none"],
        "without a bridge it has no hosts",
    ),
    mistake(
        "ip link add vx100b type vxlan id 100 dstport 4789 local 2001:db8::1 nolearning",
        ["vni-twice", "wrong", "", ""],
        "evpnd serves vx100 alone",
    ),
    mistake("ip link del vx4000", ["vni-device", "wrong", "", ""], "the configuration names it"),
    mistake(
        "ip link set vx100 mtu 1400",
        ["mtu", "wrong", "vx100 mtu", "1400"],
        "larger packets than 1400 vanish",
    ),
    mistake("ip link set up0 mtu 1500", ["mtu", "wrong", "up0 mtu", "1500"], "short by 50"),
    mistake(
        "ip link set br100 type bridge ageing_time 0",
        ["bridge-ageing", "wrong", "br100 ageing_time", "0"],
        "forgets every host at once",
    ),
    mistake(
        "ip link set br100 type bridge stp_state 1",
        ["bridge-stp", "warning", "br100 stp_state", "1"],
        "BPDUs",
    ),
    mistake(
        "ip link set br100 type bridge nf_call_iptables 1",
        ["bridge-netfilter", "warning", "br100 nf_call_iptables", "1"],
        "firewall",
    ),
];

const SYSCTLS: &[Mistake] = &[
    mistake(
        "sysctl -qw net.ipv4.ip_forward=0",
        ["ip-forward", "wrong", "net.ipv4.ip_forward", "0"],
        "drops what it should route for VRF default",
    ),
    mistake(
        "sysctl -qw net.ipv6.conf.all.forwarding=0",
        ["ip-forward", "wrong", "net.ipv6.conf.all.forwarding", "0"],
        "drops what it should route for VRF default",
    ),
    mistake(
        "sysctl -qw net.ipv4.fib_multipath_hash_policy=0",
        ["multipath-hash", "wrong", "net.ipv4.fib_multipath_hash_policy", "0"],
        "pairs of hosts",
    ),
    mistake(
        "sysctl -qw net.ipv6.fib_multipath_hash_policy=0",
        ["multipath-hash", "wrong", "net.ipv6.fib_multipath_hash_policy", "0"],
        "pairs of hosts",
    ),
    mistake(
        "sysctl -qw net.ipv4.conf.br4000.rp_filter=1",
        ["rp-filter", "wrong", "net.ipv4.conf.br4000.rp_filter", "1"],
        "whose way back is another",
    ),
    Mistake {
        after: "sysctl -qw net.ipv4.conf.all.rp_filter=0",
        ..mistake(
            "sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.br4000.rp_filter=0",
            ["rp-filter", "wrong", "net.ipv4.conf.br4000.rp_filter", "0"],
            "strict by net.ipv4.conf.all.rp_filter = 1",
        )
    },
    mistake(
        "sysctl -qw net.ipv6.conf.br100.disable_ipv6=1",
        ["bridge-ipv6", "warning", "net.ipv6.conf.br100.disable_ipv6", "1"],
        "no IPv6 neighbour",
    ),
    mistake(
        "sysctl -qw net.bridge.bridge-nf-call-iptables=1",
        ["bridge-netfilter", "warning", "net.bridge.bridge-nf-call-iptables", "1"],
        "firewall",
    ),
];

/// The words of a text, without what breaks its lines.
fn flat(text: &str) -> String {
    text.split_whitespace().filter(|word| *word != "\\").collect::<Vec<_>>().join(" ")
}

/// Makes one thing wrong, has the doctor name it, runs its command, and has the doctor content.
#[track_caller]
fn named_and_mended(site: &Site, mistake: &Mistake) {
    let Mistake { wrong, check, state, setting, value, breaks, after } = mistake;
    let ns = &site.leaf.ns;
    ns.sh(&format!("set -e\n{wrong}"));
    let found = site.unwell();
    let about = |finding: &&Value| {
        finding["check"] == *check && finding["setting"].as_str().unwrap_or_default() == *setting
    };
    let finding = found.iter().find(about);
    let finding = finding.unwrap_or_else(|| panic!("{wrong}: not named: {found:#?}"));
    assert_eq!(finding["state"], *state, "{wrong}: {finding:#}");
    assert!(finding["value"].as_str().unwrap_or_default().starts_with(value), "{finding:#}");
    assert!(finding["breaks"].as_str().unwrap().contains(breaks), "{wrong}: {finding:#}");
    let mend = finding["mend"].as_str().expect("a command");
    let answer = site.doctor();
    let status = i32::from(found.iter().any(|finding| finding["state"] == "wrong"));
    assert_eq!(answer.status, status, "{wrong}: {}", answer.stdout);
    if *state == "wrong" {
        assert_eq!(answer.status, 1, "{wrong}");
    }
    for part in [finding["found"].as_str().unwrap(), breaks, mend] {
        assert!(flat(&answer.stdout).contains(&flat(part)), "{part:?}: {}", answer.stdout);
    }
    for line in answer.stdout.lines() {
        assert!(line.chars().count() <= COLUMNS, "{} columns: {line}", line.chars().count());
    }
    ns.sh(mend);
    let left = site.unwell();
    assert!(!left.iter().any(|f| f["check"] == *check), "{mend} does not mend: {left:#?}");
    ns.sh(after);
    eventually(SOON, &format!("all is well again after {wrong}"), || {
        let found = site.unwell();
        if found.is_empty() { Ok(()) } else { Err(format!("{found:#?}")) }
    });
}

#[test]
fn control_on_a_healthy_leaf_the_doctor_is_content() {
    let site = Site::new("dr-well", "");
    let answer = site.doctor();
    assert_eq!(answer.status, 0, "{}", answer.stdout);
    for line in
        ["vni               ok       1 L2, 1 L3", "bgp-port          ok       evpnd listens"]
    {
        assert!(answer.stdout.contains(line), "{line:?} is not in\n{}", answer.stdout);
    }
    // Every feature was tried out, for real, and nothing of it is left behind.
    assert!(answer.stdout.contains("kernel-features   ok"), "{}", answer.stdout);
    let links = site.leaf.ns.sh("ip -o link");
    assert!(!links.contains("probe"), "{links}");
    assert!(!site.leaf.ns.sh("ip nexthop").contains("198.51"), "a trace of the probe");
}

#[test]
fn each_wrong_setting_of_a_device_is_named_and_its_command_mends_it() {
    let site = Site::new("dr-devices", "");
    for mistake in DEVICES {
        named_and_mended(&site, mistake);
    }
}

#[test]
fn each_wrong_sysctl_is_named_and_its_command_mends_it() {
    let site = Site::new("dr-sysctls", "");
    for mistake in SYSCTLS {
        named_and_mended(&site, mistake);
    }
}

#[test]
fn it_works_without_a_running_evpnd_and_says_so() {
    let mut site = Site::new("dr-absent", "");
    site.evpnd.daemon.terminate();
    let config = site.fabric.path("evpnd1.toml");
    let config = config.to_str().unwrap();
    let run = |args: &[&str]| site.evpnd.ctl(&[&["doctor", "--config", config], args].concat());
    let answer = run(&[]);
    assert_eq!(answer.status, 0, "{}", answer.stdout);
    assert!(answer.stdout.contains("evpnd = not running"), "{}", answer.stdout);
    assert!(answer.stdout.contains("systemctl enable --now evpnd"), "{}", answer.stdout);
    // It knows what is wanted all the same.
    site.leaf.ns.sysctl("net.ipv4.ip_forward", "0");
    let answer = run(&[]);
    assert_eq!(answer.status, 1, "{}", answer.stdout);
    assert!(answer.stdout.contains("net.ipv4.ip_forward = 0"), "{}", answer.stdout);
    site.leaf.ns.sysctl("net.ipv4.ip_forward", "1");
    fs::write(config, "[router]\nas = 65001\nnonsense = 1\n").unwrap();
    let answer = run(&[]);
    assert_eq!(answer.status, 1, "{}", answer.stdout);
    assert!(answer.stdout.contains(&format!("evpnctl config check {config}")), "{}", answer.stdout);
    assert!(answer.stdout.contains("nonsense"), "{}", answer.stdout);
}

#[test]
fn another_listener_on_the_port_is_named() {
    let mut fabric = Fabric::new("dr-port");
    let leaf = healthy_leaf(&mut fabric, 1);
    let _listener = leaf.ns.inside(|| TcpListener::bind("0.0.0.0:179").expect("port 179"));
    let evpnd = Evpnd::start(&fabric, &leaf, &config(1, ""));
    let report = evpnd.json(&["doctor"]).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let finding = checks.iter().find(|finding| finding["check"] == "bgp-port").unwrap();
    let own = fs::read_to_string("/proc/self/comm").unwrap();
    assert_eq!(finding["state"], "wrong", "{finding:#}");
    assert_eq!(finding["value"], format!("taken by {}", own.trim()));
}

#[test]
fn an_ordinary_user_is_told_what_could_not_be_looked_at() {
    let site = Site::new("dr-nobody", "");
    site.leaf.ns.sh("ip link set vx100 type vxlan learning");
    let tool = site.fabric.path("evpnctl");
    fs::copy(binary("evpnctl"), &tool).unwrap();
    // The namespace is entered first, with the rights for it.
    require("setpriv", "util-linux");
    let mut command = site.leaf.ns.command("setpriv");
    command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]).arg(tool);
    command.arg("--socket").arg(site.evpnd.socket()).args(["doctor", "-j"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let state = |check: &str| {
        let finding = checks.iter().find(|finding| finding["check"] == check);
        finding.map(|finding| finding["state"].as_str().unwrap().to_owned())
    };
    assert_eq!(state("vxlan-learning").as_deref(), Some("wrong"), "{report:#}");
    assert_eq!(state("evpnd").as_deref(), Some("unknown"), "{report:#}");
    // Tried out in a user namespace, or said not to have been.
    let features = state("kernel-features");
    assert!(matches!(features.as_deref(), Some("ok" | "unknown")), "{report:#}");
}

/// A password that must not be found anywhere.
const PASSWORD: &str = "marker-7f3a-of-a-password";
/// What stands in the environment of whoever collects.
const ENVIRONMENT: &str = "marker-91bc-of-the-environment";

#[test]
fn an_archive_for_support_holds_everything_but_secrets() {
    let mut fabric = Fabric::new("dr-support");
    let leaf = healthy_leaf(&mut fabric, 1);
    let secret = fabric.path("nut-password");
    fs::write(&secret, PASSWORD).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o640)).unwrap();
    let feed = format!(
        "[energy]\nsite = \"barn\"\nfeed = {{ type = \"nut\", ups = \"site\", username = \"site\", \
         password-file = \"{}\" }}\n",
        secret.display()
    );
    let evpnd = Evpnd::start(&fabric, &leaf, &config(1, &feed));
    let archive = fabric.path("support.tar");
    let collect = || {
        let mut command = leaf.ns.command(binary("evpnctl"));
        command.arg("--socket").arg(evpnd.socket()).arg("tech-support").arg(&archive);
        command.env("EVPND_SECRET", ENVIRONMENT).output().unwrap()
    };
    let output = collect();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.lines().next(), archive.to_str(), "{said}");
    let mode = fs::metadata(&archive).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode, 0o600, "{mode:o}");

    let tar = |args: &[&str]| {
        let output = Command::new("tar").args(args).arg(&archive).output().unwrap();
        assert!(output.status.success());
        output.stdout
    };
    let names = String::from_utf8(tar(&["tf"])).unwrap();
    let names: BTreeSet<&str> = names.lines().filter_map(|n| Some(n.split_once('/')?.1)).collect();
    for name in [
        "MANIFEST",
        "versions.json",
        "doctor.json",
        "show/health.json",
        "show/summary.json",
        "show/neighbors.json",
        "show/vni.json",
        "show/routes.json",
        "show/mac.json",
        "show/arp.json",
        "show/energy.json",
        "show/consistency.json",
        "metrics.txt",
        "config.json",
        "sysctls.txt",
        "ip/link.json",
        "ip/nexthop.json",
        "bridge/fdb.json",
    ] {
        assert!(names.contains(name), "{name} is missing: {names:?}");
    }
    let octets = fs::read(&archive).unwrap();
    let holds = |needle: &str| octets.windows(needle.len()).any(|w| w == needle.as_bytes());
    // The controls: what is there is found by the same search.
    assert!(holds("vx4000") && holds(secret.to_str().unwrap()), "the path is no secret");
    assert!(!holds(PASSWORD) && !holds(ENVIRONMENT));
    let manifest =
        String::from_utf8(tar(&["--wildcards", "*/MANIFEST", "-xOf"])).unwrap_or_default();
    for name in names.iter().filter(|name| **name != "MANIFEST") {
        assert!(manifest.contains(name), "{name} is not in the MANIFEST:\n{manifest}");
    }

    let again = collect();
    assert_eq!(again.status.code(), Some(2), "it replaces no file");
    assert_eq!(fs::read(&archive).unwrap(), octets);
}

#[test]
fn an_archive_says_what_could_not_be_had() {
    let mut fabric = Fabric::new("dr-nothing");
    let leaf = healthy_leaf(&mut fabric, 1);
    let archive = fabric.path("support.tar");
    let mut command = leaf.ns.command(binary("evpnctl"));
    command.arg("--socket").arg(fabric.path("nobody.sock")).args(["tech-support", "-j"]);
    let output = command.arg(&archive).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let sources = answer["sources"].as_array().unwrap();
    let failed = |name: &str| {
        let source = sources.iter().find(|source| source["name"] == name).unwrap();
        source["error"].is_string()
    };
    assert!(failed("show/summary.json") && failed("metrics.txt"), "{answer:#}");
    assert!(!failed("doctor.json") && !failed("ip/link.json"), "{answer:#}");
}
