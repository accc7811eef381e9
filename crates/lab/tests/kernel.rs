//! Labs on the running kernel: as root, and without root wherever user namespaces are
//! allowed. Needs iproute2 and iputils-ping. `cargo test -p evpn-lab --features kernel-tests`
#![cfg(feature = "kernel-tests")]
#![allow(clippy::disallowed_methods, reason = "tests of the kernel wait for the kernel")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use evpn_lab::{Down, Lab, LabError, ProcessId, Silent, Topology, UpOptions};
use tempfile::TempDir;

/// A user that owns nothing.
const NOBODY: u32 = 65534;

/// A topology file of a test's own, removed with its lab even if the test fails.
struct Fixture {
    dir: TempDir,
    name: String,
}

impl Fixture {
    /// `tag` and the process id make the name unique; `@` in `nodes` stands for it.
    fn new(tag: &str, body: &str) -> Self {
        let name = format!("{tag}{}", std::process::id());
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let text =
            format!("name: {name}\ntopology:\n  defaults: {{kind: linux, image: evpnd}}\n{body}")
                .replace('@', &name);
        fs::write(dir.path().join("t.clab.yml"), text).unwrap();
        Self { dir, name }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("t.clab.yml")
    }

    fn up(&self) -> Result<Lab, LabError> {
        Lab::up(&Topology::load(self.file())?, &UpOptions::default(), &mut Silent)
    }

    /// What is left of this lab anywhere on the machine.
    fn traces(&self) -> Vec<String> {
        let mut traces = Vec::new();
        for base in ["/run/evpnd-lab", "/tmp/evpnd-lab-0", "/tmp/evpnd-lab-65534", "/run/netns"] {
            let entries = fs::read_dir(base).into_iter().flatten().flatten();
            let ours = entries.filter(|e| e.file_name().to_string_lossy().starts_with(&self.name));
            traces.extend(ours.map(|e| e.path().display().to_string()));
        }
        for file in ["/proc/self/mounts", "/proc/net/dev"] {
            let text = fs::read_to_string(file).unwrap();
            let ours = |l: &&str| l.contains(&self.name) || l.contains("/run/.lab");
            traces.extend(text.lines().filter(ours).map(|l| format!("{file}: {l}")));
        }
        for pid in fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok())
        {
            let read = |what: &str| {
                String::from_utf8_lossy(
                    &fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default(),
                )
                .into_owned()
            };
            let (comm, args, env) = (read("comm"), read("cmdline"), read("environ"));
            // A holder is called after its node, in 15 letters; a child of these tests knows
            // the file from its environment; a command of a node has the lab's name among its
            // arguments. The dead have no arguments.
            let held = ["a", "b", "sw"]
                .map(|n| format!("lab-{n}-{}", self.name).chars().take(15).collect::<String>());
            let dir = self.dir.path().to_string_lossy();
            let ours = held.iter().any(|h| h == comm.trim())
                || env.contains(&*dir)
                || args.contains(&self.name);
            if pid != std::process::id() as i32 && ours && !args.is_empty() {
                traces.push(format!("process {pid}: {comm} {args}"));
            }
        }
        traces
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        Lab::down_by(self.file(), &mut Silent).ok();
    }
}

fn ping(lab: &Lab, node: &str, to: &str) -> bool {
    let mut ping = lab.command(node, "ping").unwrap();
    ping.args(["-c", "1", "-W", "1", to]).stdout(Stdio::null()).stderr(Stdio::null());
    ping.status().unwrap().success()
}

/// As ping, for a path that may need a moment to come back.
fn ping_soon(lab: &Lab, node: &str, to: &str) -> bool {
    (0..10).any(|_| ping(lab, node, to))
}

fn output(lab: &Lab, node: &str, script: &str) -> String {
    let output = lab.command(node, "sh").unwrap().args(["-c", script]).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Two hosts on a switch that is a node of kind bridge, and a link between the hosts.
const SWITCHED: &str = r#"
  nodes:
    sw-@: {kind: bridge}
    a-@:
      cmd: sleep 86400.@
      sysctls: {net.ipv4.ip_forward: 1}
      exec: [ip addr add 192.0.2.1/24 dev eth1, ip addr add 198.51.100.1/30 dev eth2]
    b-@:
      exec: [ip addr add 192.0.2.2/24 dev eth1, ip addr add 198.51.100.2/30 dev eth2]
  links:
    - endpoints: ["sw-@:p1", "a-@:eth1"]
    - endpoints: ["sw-@:p2", "b-@:eth1"]
    - {type: veth, mtu: 1400, endpoints: [{node: a-@, interface: eth2, mac: "02:00:00:00:00:0a"}, {node: b-@, interface: eth2}]}
"#;

/// `sleep` takes no such suffix, so the command is given by the shell's `exec -a`.
fn switched(tag: &str) -> Fixture {
    Fixture::new(
        tag,
        &SWITCHED.replace("cmd: sleep 86400.@", "cmd: bash -c 'exec -a sleeper-@ sleep infinity'"),
    )
}

#[test]
fn nodes_reach_each_other_and_down_leaves_nothing() {
    let fixture = switched("reach");
    let lab = fixture.up().unwrap();
    let (a, b) = (format!("a-{}", fixture.name), format!("b-{}", fixture.name));
    assert!(ping_soon(&lab, &a, "192.0.2.2"), "through the switch");
    assert!(ping_soon(&lab, &b, "198.51.100.1"), "over the link");
    assert!(!ping(&lab, &b, "203.0.113.1"), "the probe can fail");
    assert_eq!(
        output(&lab, &a, "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/hostname"),
        format!("1\n{a}")
    );
    let link = output(&lab, &a, "ip link show eth2");
    assert!(link.contains("mtu 1400") && link.contains("02:00:00:00:00:0a"), "{link}");
    assert_eq!(lab.processes(&a).unwrap().len(), 1, "its cmd alone");
    assert_eq!(lab.exec(&a, ["sh", "-c", "exit 7"]).unwrap().code(), Some(7));

    let again = Lab::open(&fixture.name).unwrap();
    assert_eq!(again.nodes().collect::<Vec<_>>(), lab.nodes().collect::<Vec<_>>());
    assert!(matches!(fixture.up(), Err(LabError::AlreadyUp { .. })));
    assert!(matches!(lab.exec("c", ["true"]), Err(LabError::UnknownNode { .. })));
    assert!(!fixture.traces().is_empty(), "the search for traces can find some");
    lab.down(&mut Silent).unwrap();
    assert_eq!(fixture.traces(), Vec::<String>::new());
    assert!(again.exec(&a, ["true"]).is_err(), "a lab that is down runs nothing");
    assert!(matches!(Lab::open(fixture.file()), Err(LabError::NotUp { .. })));
    assert_eq!(Lab::down_by(fixture.file(), &mut Silent).unwrap(), Down::NothingThere);
}

#[test]
fn a_node_has_files_of_its_own_and_the_machine_keeps_its_own() {
    let fixture = Fixture::new(
        "files",
        r#"
  nodes:
    a-@: {binds: ["conf:/etc/lab-@/x/conf:ro", "dir:/srv/lab-@", "conf:/etc/hostname", "conf:/run/deep/conf"]}
    b-@: {env: {WHO: b}}
"#,
    );
    fs::write(fixture.dir.path().join("conf"), "bound\n").unwrap();
    fs::create_dir(fixture.dir.path().join("dir")).unwrap();
    let lab = fixture.up().unwrap();
    let (a, b) = (format!("a-{}", fixture.name), format!("b-{}", fixture.name));
    let own = format!("/etc/lab-{}/x/conf", fixture.name);
    assert_eq!(
        output(&lab, &a, &format!("cat {own} /etc/hostname /run/deep/conf")),
        "bound\nbound\nbound"
    );
    assert_eq!(
        output(&lab, &a, &format!("echo x 2>/dev/null >{own} || echo read-only")),
        "read-only"
    );
    assert_eq!(
        output(&lab, &a, "cmp /etc/passwd /proc/1/root/etc/passwd 2>/dev/null; wc -l </etc/passwd"),
        fs::read_to_string("/etc/passwd").unwrap().lines().count().to_string()
    );
    assert_eq!(output(&lab, &a, &format!("echo out >/srv/lab-{}/file", fixture.name)), "");
    assert_eq!(fs::read_to_string(fixture.dir.path().join("dir/file")).unwrap(), "out\n");
    assert!(
        !Path::new(&own).exists()
            && !Path::new("/srv").join(format!("lab-{}", fixture.name)).exists()
    );

    // One /run for all processes of a node, another for another node.
    output(&lab, &a, "echo mine >/run/evpnd/state");
    output(&lab, &a, "echo mine >/var/lib/evpnd/state");
    assert_eq!(output(&lab, &a, "cat /run/evpnd/state /var/lib/evpnd/state"), "mine\nmine");
    assert_eq!(
        output(&lab, &b, "ls /run/evpnd /var/lib/evpnd; ls /run; echo $WHO"),
        "/run/evpnd:\n\n/var/lib/evpnd:\nevpnd\nlock\nnetns\nb"
    );
    assert_eq!(output(&lab, &b, "ls /sys/class/net"), "lo", "/sys is the node's");
    lab.down(&mut Silent).unwrap();
    assert_eq!(fixture.traces(), Vec::<String>::new());
}

#[test]
fn what_cannot_be_built_is_refused_before_anything_is_touched() {
    for (body, told) in [
        ("  nodes: {a-@: {binds: [\"missing:/etc/x\"]}}", "missing"),
        ("  nodes: {a-@: {binds: [\"t.clab.yml:/etc\"]}}", "both be files"),
        ("  nodes: {a-@: {binds: [\"t.clab.yml:/not-there-@\"]}}", "new directory in /"),
        ("  nodes: {a-@: {cmd: no-such-program-@}}", "is not in PATH"),
        ("  nodes: {a-@: {exec: [no-such-program-@]}}", "is not in PATH"),
    ] {
        let fixture = Fixture::new("refuse", body);
        let error = fixture.up().unwrap_err();
        assert!(
            matches!(error, LabError::Preflight { .. }) && error.to_string().contains(told),
            "{error}"
        );
        assert_eq!(fixture.traces(), Vec::<String>::new());
    }
}

#[test]
fn a_failing_command_is_reported_and_the_lab_taken_down() {
    let body = "  nodes: {a-@: {exec: [\"true\", \"sh -c 'echo why >&2; exit 3'\", \"touch /run/never\"]}}";
    let fixture = Fixture::new("fail", body);
    let error = fixture.up().unwrap_err();
    let LabError::Exec { node, status, stderr, .. } = &error else { panic!("{error}") };
    assert_eq!(
        (node, status.code(), stderr.as_str()),
        (&format!("a-{}", fixture.name), Some(3), "why")
    );
    assert_eq!(fixture.traces(), Vec::<String>::new());

    let mut keep = UpOptions::default();
    keep.keep_on_failure = true;
    Lab::up(&Topology::load(fixture.file()).unwrap(), &keep, &mut Silent).unwrap_err();
    assert!(!fixture.traces().is_empty(), "it was to be kept");
    assert_eq!(Lab::down_by(fixture.file(), &mut Silent).unwrap(), Down::Removed);
    assert_eq!(fixture.traces(), Vec::<String>::new());

    let dies = Fixture::new(
        "dies",
        "  nodes: {a-@: {cmd: \"sh -c 'echo no config; exit 4'\", exec: [sleep 0.5]}}",
    );
    let error = dies.up().unwrap_err();
    assert!(matches!(&error, LabError::Exec { stderr, .. } if stderr == "no config"), "{error}");
}

#[test]
fn a_caller_spawns_processes_and_pulls_cables() {
    let fixture = switched("pull");
    let lab = fixture.up().unwrap();
    let (a, b) = (format!("a-{}", fixture.name), format!("b-{}", fixture.name));
    let mut child = lab
        .command(&b, "sh")
        .unwrap()
        .args(["-c", "echo ready; exec sleep 600"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    let id = ProcessId::of(child.id() as i32).unwrap();
    assert!(
        lab.processes(&b).unwrap().contains(&id),
        "its process is known by the id that the caller sees"
    );

    lab.link_down(&a, "eth2").unwrap();
    assert!(!ping(&lab, &b, "198.51.100.1"));
    lab.link_up(&a, "eth2").unwrap();
    assert!(ping_soon(&lab, &b, "198.51.100.1"));
    assert!(lab.link_down(&a, "eth9").unwrap_err().to_string().contains("eth9"));

    lab.down(&mut Silent).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    assert_eq!(fixture.traces(), Vec::<String>::new());
}

#[test]
fn two_labs_do_not_disturb_each_other() {
    let (one, two) = (switched("one"), switched("two"));
    let (lab_one, lab_two) = (one.up().unwrap(), two.up().unwrap());
    let b = format!("b-{}", two.name);
    lab_one.down(&mut Silent).unwrap();
    assert_eq!(one.traces(), Vec::<String>::new());
    assert!(ping_soon(&lab_two, &b, "192.0.2.1"));
    assert_eq!(lab_two.processes(&format!("a-{}", two.name)).unwrap().len(), 1);
    lab_two.down(&mut Silent).unwrap();
    assert_eq!(two.traces(), Vec::<String>::new());
}

#[test]
fn down_finds_what_hid_from_its_parent() {
    let fixture = switched("hide");
    let lab = fixture.up().unwrap();
    let a = format!("a-{}", fixture.name);
    // A daemon of its own session, and one in further namespaces whose parent is gone into none.
    let daemon = format!(
        "setsid sh -c 'exec -a x sleep 1' 2>/dev/null; setsid bash -c 'exec -a hidden-{} sleep 600' >/dev/null 2>&1 &",
        fixture.name
    );
    output(&lab, &a, &daemon);
    let nested = format!(
        "unshare -n bash -c 'exec -a nested-{} sleep 600' >/dev/null 2>&1 & exec -a outer sleep 600",
        fixture.name
    );
    let mut outer = lab.command(&a, "bash").unwrap().args(["-c", &nested]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let seen = fixture.traces().join("\n");
    assert!(seen.contains("hidden-") && seen.contains("nested-"), "{seen}");
    lab.down(&mut Silent).unwrap();
    outer.wait().unwrap();
    assert_eq!(fixture.traces(), Vec::<String>::new());
}

/// Not a test of its own: what the tests below run as another process, perhaps as
/// another user. `LAB_CHILD` is `up` or `down` and `LAB_FILE` the topology; with
/// `LAB_KILL_AT` it kills itself before that step.
#[test]
fn child_process() {
    let Ok(what) = std::env::var("LAB_CHILD") else { return };
    let file = std::env::var("LAB_FILE").unwrap();
    if what == "down" {
        Lab::down_by(file, &mut Silent).unwrap();
        return;
    }
    let kill_at = std::env::var("LAB_KILL_AT").ok().and_then(|n| n.parse::<usize>().ok());
    let mut steps = 0;
    let mut progress = |_: &str, _: &str| {
        steps += 1;
        if kill_at == Some(steps) {
            nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL).ok();
        }
    };
    Lab::up(&Topology::load(file).unwrap(), &UpOptions::default(), &mut progress).unwrap();
    println!("steps={steps}");
}

fn child(user: u32, what: &str, file: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "child_process", "--nocapture"])
        .env("LAB_CHILD", what)
        .env("LAB_FILE", file);
    command
        .env_remove("XDG_RUNTIME_DIR")
        .current_dir("/")
        .stderr(Stdio::null())
        .stdout(Stdio::piped());
    if user != 0 && nix::unistd::geteuid().is_root() {
        command.uid(user).gid(user);
    }
    command
}

fn down(user: u32, fixture: &Fixture) {
    let output = child(user, "down", &fixture.file()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// How often `up` is killed, per user and manner.
const KILLS: usize = 10;

fn killed_at_steps(user: u32, tag: &str) {
    let fixture = switched(tag);
    let whole = child(user, "up", &fixture.file()).output().unwrap();
    let said = String::from_utf8_lossy(&whole.stdout).into_owned();
    let steps = said
        .split("steps=")
        .nth(1)
        .and_then(|s| s.split_whitespace().next()?.parse::<usize>().ok());
    let steps = steps.unwrap_or_else(|| panic!("up failed: {said}"));
    assert!(steps > KILLS && !fixture.traces().is_empty());
    down(user, &fixture);
    for kill in 0..KILLS {
        let at = 1 + kill * (steps - 1) / (KILLS - 1);
        let mut up =
            child(user, "up", &fixture.file()).env("LAB_KILL_AT", at.to_string()).spawn().unwrap();
        assert_eq!(up.wait().unwrap().signal(), Some(9), "killed at step {at} of {steps}");
        let processes = fixture.traces().iter().filter(|t| t.starts_with("process")).count();
        assert!(
            at < steps || processes >= 4,
            "three holders and a command were there: {processes}"
        );
        down(user, &fixture);
        assert_eq!(fixture.traces(), Vec::<String>::new(), "after a kill at step {at} of {steps}");
    }
}

#[test]
fn up_killed_at_any_step_leaves_nothing_that_down_does_not_remove() {
    killed_at_steps(0, "killed");
}

#[test]
fn up_killed_at_any_step_leaves_nothing_without_root_either() {
    killed_at_steps(NOBODY, "nobody");
}

#[test]
fn up_killed_at_any_moment_leaves_nothing_that_down_does_not_remove() {
    let fixture = switched("moment");
    let start = Instant::now();
    assert!(child(0, "up", &fixture.file()).status().unwrap().success());
    let whole = start.elapsed();
    down(0, &fixture);
    for kill in 1..=KILLS {
        let mut up = child(0, "up", &fixture.file()).spawn().unwrap();
        std::thread::sleep(whole * kill as u32 / (KILLS as u32 + 1));
        up.kill().unwrap();
        let mut rest = String::new();
        // Ends only if nothing that lives on has kept the pipe.
        up.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
        up.wait().unwrap();
        down(0, &fixture);
        assert_eq!(
            fixture.traces(),
            Vec::<String>::new(),
            "after {kill} of {} parts of {whole:?}",
            KILLS + 1
        );
    }
}
