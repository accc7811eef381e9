//! `evpnctl lab down` finds whatever a killed `evpnctl lab up` left, at whatever moment.
#![cfg(feature = "kernel-tests")]

use evpn_tests::{Fabric, binary, eventually, now, pause, wait_until};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const POINTS: u32 = 10;
const SOON: Duration = Duration::from_secs(20);

/// What a lab could leave behind on a machine.
#[derive(Debug, PartialEq, Eq)]
struct Machine {
    namespaces: BTreeSet<String>,
    links: BTreeSet<String>,
    mounts: BTreeSet<String>,
    processes: BTreeSet<String>,
}

impl Machine {
    /// The machine as far as it has to do with a lab: others may run theirs beside it.
    fn look(lab: &str, directory: &Path) -> Self {
        let own = |text: &str| text.contains(lab);
        let lines = |file: &str| {
            let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{file}: {e}"));
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let mut namespaces = BTreeSet::new();
        for base in ["/run/netns", "/run/evpnd-lab"] {
            let entries = fs::read_dir(base).into_iter().flatten().flatten();
            let names = entries.map(|e| e.path().display().to_string());
            namespaces.extend(names.filter(|name| own(name)));
        }
        let links = lines("/proc/net/dev");
        let mounts = lines("/proc/self/mountinfo");
        Self {
            namespaces,
            links: links
                .iter()
                .filter_map(|l| Some(l.split_once(':')?.0.trim().to_owned()))
                .collect(),
            // The number of a mount and its parent's say nothing; the rest does.
            mounts: mounts
                .iter()
                .map(|l| l.splitn(3, ' ').last().unwrap_or_default().to_owned())
                .collect(),
            processes: processes(lab, directory),
        }
    }
}

/// Processes in other network namespaces than ours that know the lab's name or directory.
fn processes(lab: &str, directory: &Path) -> BTreeSet<String> {
    let here = fs::metadata("/proc/self/ns/net").map(|m| m.ino()).ok();
    let directory = directory.display().to_string();
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != std::process::id())
        .filter_map(|pid| {
            let read = |what: &str| {
                let octets = fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
                String::from_utf8_lossy(&octets).replace('\0', " ")
            };
            let (args, environment, comm) = (read("cmdline"), read("environ"), read("comm"));
            let ours =
                [&args, &environment].iter().any(|t| t.contains(lab) || t.contains(&directory));
            // A holder's name is cut to 15 letters.
            let holder = comm.starts_with("lab-");
            let elsewhere =
                fs::metadata(format!("/proc/{pid}/ns/net")).map(|m| m.ino()).ok() != here;
            (ours || (holder && elsewhere && comm.contains("e2e")))
                .then(|| format!("{pid} {} {args}", comm.trim()))
        })
        .collect()
}

/// A lab of four nodes with files, links and a process in each.
fn topology(lab: &str, directory: &Path) -> PathBuf {
    let nodes: String = (1..=4)
        .map(|n| {
            format!(
                "    e2e{n}:
      cmd: sleep 86400
      binds: [\"conf:/etc/lab-e2e{n}.conf:ro\"]
      sysctls: {{net.ipv4.ip_forward: 1}}
      exec: [ip link add br0 type bridge, ip link set br0 up, ip addr add 192.0.2.{n}/24 dev br0]
"
            )
        })
        .collect();
    let links: String = [(1, 2), (2, 3), (3, 4), (4, 1)]
        .map(|(a, b)| format!("    - endpoints: [\"e2e{a}:to{b}\", \"e2e{b}:to{a}\"]\n"))
        .concat();
    fs::write(directory.join("conf"), "bound\n").unwrap_or_else(|e| panic!("{e}"));
    let file = directory.join("t.clab.yml");
    let text = format!(
        "name: {lab}\ntopology:\n  defaults: {{kind: linux, image: evpnd}}\n  nodes:\n{nodes}  links:\n{links}"
    );
    fs::write(&file, text).unwrap_or_else(|e| panic!("{e}"));
    file
}

fn lab(verb: &str, file: &Path) -> Command {
    let mut command = Command::new(binary("evpnctl"));
    command.args(["lab", verb]).arg(file);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[track_caller]
fn down(file: &Path) {
    let output = lab("down", file).output().unwrap_or_else(|e| panic!("evpnctl: {e}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_lab_killed_at_ten_points_goes_down_without_a_trace() {
    let fabric = Fabric::new("lab");
    let name = format!("e2elab{}", std::process::id());
    let directory = fabric.path("lab");
    fs::create_dir(&directory).unwrap_or_else(|e| panic!("{e}"));
    let file = topology(&name, &directory);
    let before = Machine::look(&name, &directory);

    // How long an undisturbed one takes; and, as the control, that it is seen when it is there.
    let began = now();
    let output = lab("up", &file).output().unwrap_or_else(|e| panic!("evpnctl: {e}"));
    let whole = began.elapsed();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let there = Machine::look(&name, &directory);
    assert!(there.namespaces.len() > before.namespaces.len(), "control: {there:?}");
    assert!(there.processes.len() >= 4, "control: {there:?}");
    down(&file);
    let gone = || {
        let after = Machine::look(&name, &directory);
        if after == before { Ok(()) } else { Err(format!("{after:?}\nbefore: {before:?}")) }
    };
    eventually(SOON, "a lab that came up goes down", gone);

    let mut killed = 0;
    for point in 0..POINTS {
        let mut up = lab("up", &file).spawn().unwrap_or_else(|e| panic!("evpnctl: {e}"));
        pause(whole * (2 * point + 1) / (2 * POINTS));
        killed += u32::from(matches!(up.try_wait(), Ok(None)));
        up.kill().ok();
        up.wait().ok();
        down(&file);
        if let Err(seen) = wait_until(SOON, gone) {
            panic!("killed at point {point} of {whole:?}: {seen}");
        }
    }
    println!("an undisturbed `lab up` takes {whole:?}; {killed} of {POINTS} were still at it");
    // The moments are fractions of one measured run, and runs differ: one that has come up early is
    // killed after the fact. What every kill must leave is asserted above; here only that enough of
    // them came in the middle. On a quiet machine 7 to 9 do.
    assert!(killed >= POINTS / 2, "too many had come up: {killed}");
}
