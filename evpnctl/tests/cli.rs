//! The program as people run it: exit status, the two outputs, and a daemon that answers fixed
//! values over a real socket.

use evpn_api::config::ConfigValue;
use evpn_api::samples;
use serde::Serialize;
use std::fs::Permissions;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

/// A daemon: it answers each path with a status and a body, and remembers what it was asked.
struct Daemon {
    _folder: tempfile::TempDir,
    socket: PathBuf,
    asked: Arc<Mutex<Vec<String>>>,
}

/// What it answers to a request's first line and body.
type Answers = fn(&str) -> (u16, String);

impl Daemon {
    fn start(answers: Answers) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let listener = UnixListener::bind(&socket).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                converse(stream.unwrap(), answers, &noted);
            }
        });
        Self { _folder: folder, socket, asked }
    }

    fn run(&self, line: &str) -> Output {
        evpnctl().env("EVPND_SOCKET", &self.socket).args(line.split(' ')).output().unwrap()
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn converse(stream: UnixStream, answers: Answers, noted: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(&stream);
    let mut head = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 || line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if head.is_empty() {
            head = line.trim_end_matches(" HTTP/1.1\r\n").to_owned();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let request = format!("{head} {}", String::from_utf8(body).unwrap()).trim().to_owned();
    let (status, answer) = answers(&request);
    noted.lock().unwrap().push(request);
    let length = answer.len();
    write!(&stream, "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n{answer}").ok();
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

/// A daemon at work.
fn at_work(request: &str) -> (u16, String) {
    let path = request.split([' ', '?']).nth(1).unwrap().trim_start_matches("/api/v1/");
    let body = match path {
        "version" => json(&samples::version()),
        "health" => json(&samples::health_ready()),
        "bgp/l2vpn/evpn/summary" => json(&samples::summary()),
        "bgp/l2vpn/evpn/routes" => json(&samples::routes()),
        "bgp/l2vpn/evpn/vni" => json(&samples::bgp_vnis()),
        "bgp/ipv4/unicast/routes" if request.contains("prefix=10.9") => {
            json(&evpn_api::Page::<()>::whole(vec![]))
        }
        "bgp/ipv4/unicast/routes" => json(&samples::ipv4_routes()),
        "bgp/ipv6/unicast/routes" => json(&samples::ipv6_routes()),
        "bgp/rt-constraint/routes" => json(&samples::rt_constraints()),
        "bgp/neighbors" => json(&vec![samples::neighbor()]),
        "bgp/neighbors/10.0.0.2" => json(&samples::neighbor()),
        "bgp/neighbors/10.0.0.2/clear" => r#"{"text": "done"}"#.to_owned(),
        "evpn/vni" => json(&samples::vnis()),
        "evpn/mac" | "evpn/arp" if request.contains("vni=") => {
            json(&evpn_api::Page::<()>::whole(vec![]))
        }
        "evpn/mac" => json(&samples::macs()),
        "evpn/arp" => json(&samples::arp()),
        "energy" | "energy/override" => json(&samples::energy()),
        "consistency" => json(&samples::consistency_ok()),
        "why" => json(&samples::why_mac()),
        "config/effective" => json(&samples::effective_config()),
        "config/reload" => json(&samples::reloaded()),
        "log-level" => json(&samples::log_level()),
        _ => return (404, r#"{"error": "no such thing", "remedy": "look elsewhere"}"#.to_owned()),
    };
    (200, body)
}

/// A daemon in trouble: everything is a no.
fn in_trouble(request: &str) -> (u16, String) {
    let path = request.split([' ', '?']).nth(1).unwrap().trim_start_matches("/api/v1/");
    match path {
        "health" => (200, json(&samples::health_waiting())),
        "consistency" => (200, json(&samples::consistency_differs())),
        "why" => (200, json(&samples::why_unknown())),
        "config/reload" => {
            let body = r#"{"error": "the configuration has 1 error; nothing changed",
                "details": ["evpnd.toml:3:1: unknown key"], "remedy": "mend it"}"#;
            (422, body.to_owned())
        }
        _ => (503, r#"{"error": "busy"}"#.to_owned()),
    }
}

fn evpnctl() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evpnctl"));
    command.env_remove("EVPND_SOCKET").stdin(Stdio::null());
    command
}

fn text(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).unwrap()
}

const QUESTIONS: &[&str] = &[
    "show version",
    "show bgp summary",
    "show bgp l2vpn evpn summary",
    "show bgp l2vpn evpn route",
    "show bgp l2vpn evpn vni",
    "show bgp ipv4 unicast",
    "show bgp ipv4 unicast 10.0.0.4",
    "show bgp ipv4 unicast summary",
    "sh bgp ipv6 uni",
    "show bgp rt-constraint",
    "show bgp neighbor",
    "show bgp neighbors 10.0.0.2",
    "clear bgp 10.0.0.2 soft",
    "show evpn vni",
    "show evpn vni 100",
    "show evpn mac vni all",
    "show evpn arp vni 100",
    "show energy",
    "energy drain --reason x",
    "energy auto",
    "show consistency",
    "why 02:00:00:00:00:11",
    "config show --effective",
    "config reload",
    "log-level debug",
    "health",
    "health --wait",
];

#[test]
fn every_question_is_answered_in_text_and_in_json_with_status_0() {
    let daemon = Daemon::start(at_work);
    for line in QUESTIONS {
        let shown = daemon.run(line);
        assert_eq!(shown.status.code(), Some(0), "{line}: {}", text(&shown.stderr));
        let shown = text(&shown.stdout);
        assert!(!shown.is_empty() && !shown.contains('\x1b'), "{line}: {shown}");
        assert!(shown.lines().all(|line| line.chars().count() <= 100), "{line}: {shown}");
        let machine = daemon.run(&format!("{line} --json"));
        assert_eq!(machine.status.code(), Some(0), "{line}");
        serde_json::from_slice::<serde_json::Value>(&machine.stdout).expect(line);
    }
}

#[test]
fn json_is_what_the_daemon_said() {
    let daemon = Daemon::start(at_work);
    let shown = daemon.run("show bgp summary json");
    let shown: evpn_api::bgp::Summary = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown, samples::summary());
}

#[test]
fn a_no_has_status_1_in_text_and_in_json() {
    let daemon = Daemon::start(in_trouble);
    for line in [
        "show consistency",
        "show consistency -j",
        "why 02:00:00:00:00:99",
        "health",
        "health --wait --timeout 1s",
        "config reload",
    ] {
        assert_eq!(daemon.run(line).status.code(), Some(1), "{line}");
    }
    let daemon = Daemon::start(at_work);
    for line in
        ["show bgp neighbor 10.0.0.9", "show evpn vni 999", "show bgp ipv4 unicast 10.9.0.0/16"]
    {
        assert_eq!(daemon.run(line).status.code(), Some(1), "{line}");
    }
}

#[test]
fn a_refusal_shows_what_is_wrong_and_what_to_do_and_nothing_on_standard_output() {
    let daemon = Daemon::start(in_trouble);
    let refused = daemon.run("config reload");
    assert_eq!(text(&refused.stdout), "");
    assert_eq!(
        text(&refused.stderr),
        "evpnctl: the configuration has 1 error; nothing changed\n\
         evpnd.toml:3:1: unknown key\n      -> mend it\n"
    );
}

#[test]
fn a_busy_daemon_and_an_absent_one_have_status_2() {
    let daemon = Daemon::start(in_trouble);
    assert_eq!(daemon.run("show version").status.code(), Some(2));
    let absent = evpnctl().args(["--socket", "/nowhere/s", "show", "version"]).output().unwrap();
    assert_eq!(absent.status.code(), Some(2));
    let said = text(&absent.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("cannot reach evpnd at /nowhere/s"), "{said}");
    assert!(said.contains("systemctl start evpnd"), "{said}");
    let waited = evpnctl()
        .args(["--socket", "/nowhere/s", "health", "--wait", "--timeout", "1s"])
        .output()
        .unwrap();
    assert_eq!(waited.status.code(), Some(2));
}

#[test]
fn wrong_usage_has_status_2_and_never_reaches_the_daemon() {
    let daemon = Daemon::start(at_work);
    for line in [
        "show nothing",
        "show bgp l2vpn evpn route vlan 7",
        "show bgp l2vpn evpn route type 9",
        "show bgp ipv4 unicast 2001:db8::/32",
        "show bgp ipv6 unicast 10.0.0.0/8",
        "show bgp ipv4 unicast spine",
        "show evpn mac vni x",
        "show evpn mac vni",
        "energy drain",
        "energy drain --reason",
        "energy drain --for 30d --reason x",
        "why nobody",
    ] {
        let refused = daemon.run(line);
        assert_eq!(refused.status.code(), Some(2), "{line}: {}", text(&refused.stdout));
        assert!(!refused.stderr.is_empty(), "{line}");
    }
    assert!(daemon.asked().is_empty());
}

#[test]
fn an_order_says_how_long_it_lasts_and_sends_the_reason() {
    let daemon = Daemon::start(at_work);
    let order = daemon.run("energy drain barn --reason battery");
    assert!(text(&order.stdout).starts_with("drain of barn for 2h: it ends by itself"));
    let sent = daemon.asked();
    let body = r#"{"verb":"drain","site":"barn","forSeconds":7200,"reason":"battery"}"#;
    assert_eq!(sent, [format!("POST /api/v1/energy/override {body}")]);
}

#[test]
fn words_and_options_ask_the_same() {
    let daemon = Daemon::start(at_work);
    daemon.run("-j show bgp l2vpn evpn route type prefix vni 4000 rd 10.0.0.1:100");
    daemon.run("-j show bgp l2vpn evpn route --type prefix --vni 4000 --rd 10.0.0.1:100");
    let asked = daemon.asked();
    assert_eq!(asked[0], asked[1]);
    assert!(asked[0].contains("type=prefix&rd=10.0.0.1%3A100&vni=4000"), "{}", asked[0]);
}

#[test]
fn an_address_is_asked_for_as_a_prefix_and_a_prefix_without_what_is_beyond_its_length() {
    let daemon = Daemon::start(at_work);
    daemon.run("-j show bgp ipv4 unicast 10.0.0.4");
    daemon.run("-j show bgp ipv6 unicast 2001:db8::1/32 --limit 3");
    daemon.run("-j show bgp rt-constraint");
    assert_eq!(
        daemon.asked().iter().map(|asked| asked.trim()).collect::<Vec<_>>(),
        [
            "GET /api/v1/bgp/ipv4/unicast/routes?prefix=10.0.0.4%2F32",
            "GET /api/v1/bgp/ipv6/unicast/routes?prefix=2001%3Adb8%3A%3A%2F32&limit=3",
            "GET /api/v1/bgp/rt-constraint/routes",
        ]
    );
}

/// A daemon at work whose configuration wants AS numbers with a dot.
fn dotted(request: &str) -> (u16, String) {
    if !request.contains("config/effective") {
        return at_work(request);
    }
    let mut config = samples::effective_config();
    config.values.push(ConfigValue {
        key: "router.as-notation".to_owned(),
        value: "\"dot\"".to_owned(),
        origin: "evpnd.toml:3".to_owned(),
    });
    (200, json(&config))
}

#[test]
fn as_numbers_are_written_as_the_configuration_says_and_are_numbers_in_json() {
    let shown = |answers, line| text(&Daemon::start(answers).run(line).stdout);
    let [plain, with_dot] = [at_work, dotted].map(|a: Answers| shown(a, "show bgp summary"));
    assert!(plain.contains(" 4200000001 ") && !plain.contains("64086.59905"), "{plain}");
    assert!(with_dot.contains(" 64086.59905 ") && !with_dot.contains("4200000001"), "{with_dot}");
    let as_json = shown(dotted, "-j show bgp summary");
    assert!(as_json.contains("4200000001") && !as_json.contains("64086"), "{as_json}");
}

/// Fifteen neighbors, one of which the configuration holds down.
fn clearing(request: &str) -> (u16, String) {
    match request {
        r if r.contains("/10.0.0.20/clear") => {
            (409, r#"{"error":"the configuration holds 10.0.0.20 down"}"#.to_owned())
        }
        r if r.contains("/clear") => (200, r#"{"text":"asked"}"#.to_owned()),
        r => at_work(r),
    }
}

#[test]
fn all_neighbors_are_cleared_each_by_itself_and_one_that_refuses_makes_the_status_1() {
    let daemon = Daemon::start(clearing);
    let cleared = daemon.run("clear bgp all --soft --in");
    let lines = text(&cleared.stdout);
    assert_eq!((cleared.status.code(), lines.lines().count()), (Some(1), 15), "{lines}");
    assert!(lines.contains("10.0.0.11: asked\n"), "{lines}");
    assert!(lines.contains("10.0.0.20: ") && lines.contains("holds 10.0.0.20 down"), "{lines}");
    let asked = daemon.asked();
    let body = r#"{"soft":true,"direction":"in"}"#;
    assert_eq!(asked.iter().filter(|a| a.starts_with("POST") && a.ends_with(body)).count(), 15);
    let one = daemon.run("clear bgp 10.0.0.11 --message moves");
    assert_eq!(one.status.code(), Some(0));
    assert!(daemon.asked()[0].ends_with(r#"{"soft":false,"message":"moves"}"#));
}

/// A table of five pages.
fn five_pages(request: &str) -> (u16, String) {
    let cursor = request.split("cursor=").nth(1).map_or(0, |n| n.parse::<u32>().unwrap());
    let mut page = samples::macs();
    page.next_cursor = (cursor < 4).then(|| (cursor + 1).to_string());
    (200, json(&page))
}

#[test]
fn a_table_is_read_to_its_end_or_to_the_limit() {
    let daemon = Daemon::start(five_pages);
    let shown = text(&daemon.run("show evpn mac").stdout);
    assert!(shown.ends_with("25 MACs\n"), "{shown}");
    assert_eq!(daemon.asked().len(), 5);
    let shown = text(&daemon.run("show evpn mac --limit 7").stdout);
    assert!(shown.ends_with("There are more: --limit was reached.\n"), "{shown}");
    let asked = daemon.asked();
    assert!(asked[0].contains("limit=7") && asked[1].contains("limit=2"), "{asked:?}");
    assert_eq!(asked.len(), 2);
}

/// An endless table.
fn endless(_: &str) -> (u16, String) {
    (200, json(&evpn_api::Page::<()> { items: vec![], next_cursor: Some("x".into()), total: None }))
}

#[test]
fn a_daemon_that_gives_tokens_without_items_does_not_hold_us_for_ever() {
    let daemon = Daemon::start(endless);
    assert_eq!(daemon.run("show evpn mac").status.code(), Some(0));
    assert_eq!(daemon.asked().len(), 1);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let daemon = Daemon::start(at_work);
    let mut child = evpnctl()
        .env("EVPND_SOCKET", &daemon.socket)
        .args(["-j", "show", "bgp", "summary"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(text(&ended.stderr), "");
}

fn check(path: &Path, form: &[&str]) -> Output {
    evpnctl().args(["config", "check"]).arg(path).args(form).output().unwrap()
}

#[test]
fn a_configuration_is_checked_without_a_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("evpnd.toml");
    assert_eq!(check(folder.path(), &[]).status.code(), Some(2), "there is no file yet");
    std::fs::write(&file, "[router]\nas = 65000\nasn = 1\n").unwrap();
    let wrong = check(&file, &[]);
    assert_eq!(wrong.status.code(), Some(1));
    let said = text(&wrong.stderr);
    assert!(said.contains("asn") && !said.contains('\x1b'), "{said}");
    let wrong = check(folder.path(), &["-j"]);
    assert_eq!(wrong.status.code(), Some(1));
    let said: serde_json::Value = serde_json::from_slice(&wrong.stdout).unwrap();
    assert_eq!((&said["ok"], &said["errors"][0]["line"]), (&false.into(), &3.into()), "{said}");
    std::fs::write(&file, "[router]\nas = 65000\n").unwrap();
    std::fs::write(&file, "[router]\nas = \"\x1b[2J\"\n").unwrap();
    assert!(!text(&check(&file, &[]).stderr).contains('\x1b'));
    std::fs::write(&file, "[router]\nas = 65000\n").unwrap();
    let right = check(&file, &[]);
    assert_eq!(right.status.code(), Some(0), "{}", text(&right.stderr));
    // A part that is wrong makes the whole wrong.
    std::fs::create_dir(folder.path().join("conf.d")).unwrap();
    assert_eq!(check(folder.path(), &[]).status.code(), Some(0));
    std::fs::write(folder.path().join("conf.d/10-x.toml"), "x = 1\n").unwrap();
    std::fs::write(folder.path().join("conf.d/README"), "not TOML").unwrap();
    let wrong = check(folder.path(), &[]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(text(&wrong.stderr).contains("10-x.toml"));
}

#[test]
fn the_files_of_secrets_are_judged_as_evpnd_judges_them_at_its_start() {
    let folder = tempfile::tempdir().unwrap();
    let (file, key) = (folder.path().join("evpnd.toml"), folder.path().join("spine.key"));
    let neighbor = "[router]\nas = 65000\n[[neighbor]]\naddress = \"10.0.0.2\"\nas = 65001\n";
    std::fs::write(&file, format!("{neighbor}password-file = {key:?}\n")).unwrap();
    let refused = |why: &str| {
        let wrong = check(&file, &[]);
        let said = text(&wrong.stderr);
        assert_eq!(wrong.status.code(), Some(1), "{said}");
        assert!(said.contains("evpnd.toml:6: neighbor 10.0.0.2: password-file"), "{said}");
        assert!(said.contains(why) && said.contains("1 error; evpnd would refuse"), "{said}");
    };
    refused("No such file");
    std::fs::write(&key, "geheim\n").unwrap();
    std::fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    refused("chmod 640");
    let wrong = check(&file, &["-j"]);
    let said: serde_json::Value = serde_json::from_slice(&wrong.stdout).unwrap();
    assert_eq!((&said["ok"], &said["errors"][0]["line"]), (&false.into(), &6.into()), "{said}");
    std::fs::set_permissions(&key, Permissions::from_mode(0o640)).unwrap();
    let right = check(&file, &[]);
    assert_eq!(right.status.code(), Some(0), "{}", text(&right.stderr));
    std::fs::write(&key, "").unwrap();
    refused("its first line is empty");
}

#[test]
fn completions_and_manual_pages_come_from_the_definition() {
    for shell in ["bash", "zsh", "fish"] {
        let completions = evpnctl().args(["completions", shell]).output().unwrap();
        assert_eq!(completions.status.code(), Some(0));
        for word in ["consistency", "rt-constraint", "ipv6", "unicast"] {
            assert!(text(&completions.stdout).contains(word), "{shell}: {word}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let man = evpnctl().arg("man").arg(folder.path()).output().unwrap();
    assert_eq!(man.status.code(), Some(0), "{}", text(&man.stderr));
    let page = std::fs::read_to_string(folder.path().join("evpnctl.1")).unwrap();
    assert!(page.contains("EVPND_SOCKET"));
    for command in ["show-consistency", "show-bgp-ipv6-unicast", "show-bgp-rt-constraint"] {
        assert!(folder.path().join(format!("evpnctl-{command}.1")).exists(), "{command}");
    }
    let nowhere = evpnctl().args(["man", "/nowhere"]).output().unwrap();
    assert_eq!(nowhere.status.code(), Some(2));
}

#[test]
fn a_topology_that_cannot_be_read_is_told_with_its_place() {
    let up = evpnctl().args(["lab", "up", "/nowhere.clab.yml"]).output().unwrap();
    assert_eq!(up.status.code(), Some(2));
    assert!(text(&up.stderr).contains("/nowhere.clab.yml"));
}

#[test]
fn hosts_of_a_vni_that_is_not_served_are_a_no_and_those_of_an_empty_one_are_none() {
    let daemon = Daemon::start(at_work);
    for table in ["mac", "arp"] {
        let missing = daemon.run(&format!("show evpn {table} vni 777"));
        assert_eq!(missing.status.code(), Some(1), "{table}");
        assert!(missing.stdout.is_empty());
        let whole = daemon.run("show evpn vni 777");
        assert_eq!(text(&missing.stderr), text(&whole.stderr), "{table}");
        assert!(text(&missing.stderr).contains("no VNI 777"));
        let empty = daemon.run(&format!("show evpn {table} vni 100"));
        assert_eq!(empty.status.code(), Some(0), "{}", text(&empty.stderr));
    }
}
