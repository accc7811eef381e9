//! docs/getting-started.md, done as it stands: package, devices, configuration, start, Established.
//!
//! Every block of commands of the document is run, in its order, by one shell in a copy of this
//! machine. Only `systemctl enable --now evpnd` is done by the test, as the installed unit says:
//! there is no systemd in the copy. The neighbor is an FRR with a host behind it. That it works is
//! told by FRR, by pings and by the kernel.
#![cfg(feature = "kernel-tests")]

use evpn_tests::pair::{UP, VNI, VXLAN, frr, reach_each_other};
use evpn_tests::{
    Daemon, Fabric, Fdb, Frr, Host, LEAF_PORT_MTU, Leaf, Machine, Unit, binary, eventually, now,
};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const START: &str = "systemctl enable --now evpnd";
/// What follows it, and returns when the session is Established.
const WAIT: &str = "evpnctl health --wait\n";
/// What the document calls the leaf's neighbor, and its host.
const PEER: u8 = 254;
const NEIGHBOR: &str = "10.0.0.254";
const LEAF: &str = "10.0.0.1";
/// A package is built and installed within.
const PATIENCE: Duration = Duration::from_secs(300);
const READY: Duration = Duration::from_secs(15);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// What stands in a document for the reader to run.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// Lines of shell, and the line of the document in which they begin.
    Run { line: usize, text: String },
    /// A line for systemd.
    Systemctl(String),
}

/// The `sh` blocks of a document, each taken apart at its lines for systemd.
fn steps(document: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut text = String::new();
    let mut inside = false;
    for (number, line) in document.lines().enumerate() {
        let ends = inside && (line == "```" || line.starts_with("systemctl"));
        if ends && !text.is_empty() {
            let line = number + 1 - text.lines().count();
            steps.push(Step::Run { line, text: std::mem::take(&mut text) });
        }
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            _ if ends => steps.push(Step::Systemctl(line.to_owned())),
            _ if inside => text += &format!("{line}\n"),
            _ => {}
        }
    }
    steps
}

/// The surroundings that the document describes, and the copy of the machine.
struct Site {
    machine: Machine,
    /// Behind `swp1` of the leaf, and behind the neighbor.
    hosts: [Host; 2],
    peer: Frr,
    leaf: Leaf,
    daemon: Option<Daemon>,
    fabric: Fabric,
}

impl Site {
    fn new() -> Self {
        let mut fabric = Fabric::new("started");
        let leaf = fabric.leaf(1);
        leaf.ns.ip("link set up0 down\nlink set up0 name eth0\nlink set eth0 up");
        let near = near_host(&mut fabric, &leaf);
        let neighbor = fabric.leaf(PEER);
        neighbor.vni(VNI);
        let far = fabric.host("far", &neighbor, VNI, 12);
        let peer = frr(&fabric, &neighbor, 65000, 1, 65001);
        let release = binary("evpnctl");
        let build = release.parent().and_then(Path::parent).expect("target/release/evpnctl");
        let machine = Machine::copy(&leaf.ns, &fabric.path("copy"), &root(), build);
        Self { machine, hosts: [near, far], peer, leaf, daemon: None, fabric }
    }

    /// Runs a block as it stands.
    fn run(&mut self, line: usize, text: &str) -> String {
        let start = now();
        let said = self.machine.run(text, PATIENCE).unwrap_or_else(|said| {
            panic!("getting-started.md, line {line}:\n{text}\nfailed and said:\n{said}")
        });
        println!("--- line {line}, {:.1?}:\n{text}--- said:\n{said}", start.elapsed());
        said
    }

    fn control_nothing_works_yet(&self) {
        let [near, far] = &self.hosts;
        assert!(near.ns.ping(&far.ip, 56).is_err(), "control: packets pass before it runs");
        let state = self.state().expect("FRR tells the state of its neighbor");
        assert_ne!(state, "Established", "control: nobody is there yet");
    }

    /// What systemd would do: start it, as the unit says, and come back when it is ready.
    fn start(&mut self) {
        let unit = Unit::installed(&self.machine, "evpnd");
        let (notify, log) = (self.fabric.path("notify"), self.fabric.path("evpnd.log"));
        let daemon = self.machine.start_service(&unit, notify, &log, READY);
        let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
        for (set, key) in [("CapEff", "AmbientCapabilities"), ("CapBnd", "CapabilityBoundingSet")] {
            let expected = format!("{set}:\t{:016x}", unit.capabilities(key));
            assert!(status.lines().any(|l| l == expected), "no {expected} in\n{status}");
        }
        assert!(!status.contains("\nUid:\t0\t"), "it runs as root:\n{status}");
        self.daemon = Some(daemon);
    }

    /// What FRR says of the session.
    fn state(&self) -> Result<String, String> {
        let summary = self.peer.json("show bgp l2vpn evpn summary json")?;
        let state = summary["peers"][LEAF]["state"].as_str().map(str::to_owned);
        state.ok_or_else(|| summary.to_string())
    }

    fn established(&self) -> Result<(), String> {
        let state = self.state()?;
        if state == "Established" { Ok(()) } else { Err(state) }
    }

    /// The kernel of the leaf sends frames for the far host to its neighbor.
    fn far_host_is_in_the_fdb(&self) -> Result<(), String> {
        let remote = Fdb::read(&self.leaf.ns).remote(VXLAN);
        let expected = (self.hosts[1].mac.clone(), NEIGHBOR.to_owned());
        if remote.contains(&expected) { Ok(()) } else { Err(format!("{remote:?}")) }
    }

    /// The neighbor has been told where the host with this address is. Nothing on the leaf but a
    /// packet socket can know: its bridge has no address.
    fn near_host_is_told_with_its_address(&self) -> Result<(), String> {
        let host = &self.hosts[0];
        let known = self.peer.json(&format!("show evpn arp-cache vni {VNI} json"))?;
        let entry = &known[&host.ip];
        let is_so = entry["mac"] == host.mac.as_str() && entry["remoteVtep"] == LEAF;
        if is_so { Ok(()) } else { Err(known.to_string()) }
    }
}

/// The host behind `swp1`, which is there and down: it is for the document to take it up.
fn near_host(fabric: &mut Fabric, leaf: &Leaf) -> Host {
    let host = Host {
        ns: fabric.node("near"),
        mac: "02:00:00:00:64:0b".to_owned(),
        ip: "172.16.100.11".to_owned(),
        ip6: "2001:db8:100::11".to_owned(),
        port: "swp1".to_owned(),
    };
    fabric.link((&leaf.ns, "swp1"), (&host.ns, "eth0"), LEAF_PORT_MTU);
    leaf.ns.ip("link set swp1 down");
    host.ns.ip(&format!("link set eth0 address {}", host.mac));
    host.set_up("eth0");
    host
}

/// What would show on the machine itself if the package were installed there.
fn traces() -> BTreeMap<String, Option<SystemTime>> {
    let paths = [
        "/etc/evpnd/evpnd.toml",
        "/run/evpnd",
        "/usr/bin/evpnctl",
        "/usr/lib/systemd/system/evpnd.service",
        "/usr/lib/sysusers.d/evpnd.conf",
        "/usr/sbin/evpnd",
        "/var/lib/dpkg/info/evpnd.list",
        "/var/lib/evpnd",
    ];
    let changed = |path: &str| fs::metadata(path).and_then(|m| m.modified()).ok();
    let mut traces: BTreeMap<_, _> = paths.map(|path| (path.to_owned(), changed(path))).into();
    for path in ["/etc/passwd", "/etc/group"] {
        let text = fs::read_to_string(path).unwrap();
        let lines = text.lines().filter(|line| line.starts_with("evpnd:"));
        traces.extend(lines.map(|line| (format!("{path}: {line}"), None)));
    }
    traces
}

#[test]
fn what_it_says_ends_in_a_leaf_that_works() {
    let before = traces();
    let document = fs::read_to_string(root().join("docs/getting-started.md")).unwrap();
    let steps = steps(&document);
    let starts = steps.windows(2).filter(|pair| match pair {
        [Step::Systemctl(start), Step::Run { text, .. }] => start == START && text == WAIT,
        _ => false,
    });
    assert_eq!(starts.count(), 1, "the document starts evpnd once, and waits: {steps:#?}");

    let mut site = Site::new();
    let mut outputs = String::new();
    for step in steps {
        match step {
            Step::Run { line, text } => {
                outputs += &site.run(line, &text);
                if text == WAIT {
                    site.established().expect("it waited for that");
                    let [near, far] = &site.hosts;
                    reach_each_other(near, far);
                }
            }
            Step::Systemctl(line) => {
                assert_eq!(line, START, "this test does not know how to do that");
                site.control_nothing_works_yet();
                site.start();
            }
        }
    }

    site.established().unwrap();
    site.far_host_is_in_the_fdb().unwrap();
    eventually(UP, "FRR knows the near host's address", || {
        site.near_host_is_told_with_its_address()
    });
    let [_, far] = &site.hosts;
    let shown = format!("{} dst {NEIGHBOR}", far.mac);
    assert!(outputs.lines().any(|l| l.starts_with(&shown)), "no {shown:?} in\n{outputs}");
    if let Some(daemon) = &mut site.daemon {
        daemon.expect_alive();
        assert!(!daemon.log().contains(" WARN "), "{}", daemon.log());
    }
    assert!(site.machine.path("/usr/sbin/evpnd").exists(), "control: the copy has it");
    assert_eq!(traces(), before, "the machine itself is as it was");
}

#[test]
fn control_a_command_that_fails_is_noticed() {
    let mut fabric = Fabric::new("started-control");
    let leaf = fabric.leaf(1);
    let build = binary("evpnctl");
    let build = build.parent().and_then(Path::parent).unwrap();
    let mut machine = Machine::copy(&leaf.ns, &fabric.path("copy"), &root(), build);
    let soon = Duration::from_secs(10);
    assert_eq!(machine.run("name=$(echo a b)\n", soon), Ok(String::new()));
    assert_eq!(machine.run("echo \"$name\"; cat; touch /etc/new", soon), Ok("a b\n".to_owned()));
    assert!(machine.path("/etc/new").exists() && !Path::new("/etc/new").exists());
    let failed = machine.run("echo before\nfalse\necho after\n", soon);
    assert_eq!(failed, Err("before\n".to_owned()));
}

#[test]
fn blocks_are_found_in_their_order() {
    let document = "text\n```sh\na\nb\n```\n```toml\nc = 1\n```\n```sh\nd\nsystemctl e\nf\n```\n";
    let run = |line, text: &str| Step::Run { line, text: text.to_owned() };
    let expected = [
        run(3, "a\nb\n"),
        run(10, "d\n"),
        Step::Systemctl("systemctl e".to_owned()),
        run(12, "f\n"),
    ];
    assert_eq!(steps(document), expected);
}
