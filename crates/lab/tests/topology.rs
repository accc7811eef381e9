//! What a topology file may say, and how it is told what it may not.

use std::path::Path;
use std::time::Duration;

use evpn_lab::{Bind, Kind, LabError, Runs, Task, Topology};

fn parse(text: &str) -> Result<Topology, LabError> {
    Topology::parse(text, Path::new("/labs/t.clab.yml"), &|name| {
        (name == "IMAGE").then(|| "evpnd:1".to_owned())
    })
}

/// Line, column and text of the error that `text` gives.
fn refusal(text: &str) -> (u64, u64, String) {
    match parse(text) {
        Err(LabError::Topology { line, column, message, .. }) => (line, column, message),
        other => panic!("{text}\ngave {other:?}"),
    }
}

/// A topology whose only node `n` has these lines.
fn one_node(lines: &str) -> String {
    format!(
        "name: t\ntopology:\n  nodes:\n    n:\n      kind: linux\n      image: evpnd\n      {lines}\n"
    )
}

#[test]
fn the_projects_own_topologies_are_understood() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../topologies");
    for (name, nodes, links) in
        [("two-leaves", 4, 3), ("evpnd-and-frr", 4, 3), ("three-solar-sites", 7, 6)]
    {
        let topology = Topology::load(dir.join(name).join(format!("{name}.clab.yml"))).unwrap();
        assert_eq!(
            (topology.name.as_str(), topology.nodes.len(), topology.links.len()),
            (name, nodes, links)
        );
        for bind in topology.nodes.iter().flat_map(|n| &n.binds) {
            assert!(bind.source.is_file(), "{}", bind.source.display());
        }
    }
}

const EVERYTHING: &str = r#"
name: t
prefix: lab
mgmt: { network: none, ipv4-subnet: 10.9.0.0/24 }
topology:
  defaults:
    kind: linux
    image: ${IMAGE:=other}
    env: { A: one, B: 2 }
    exec: [ip link set lo up]
    binds: ["base:/etc/x:ro", "all:/etc/y"]
    labels: { site: south }
  kinds:
    linux:
      env: { B: three, NODE: __clabNodeName__ }
      sysctls: { net.ipv4.ip_forward: 1 }
      cap-add: [NET_ADMIN]
  nodes:
    b:
      cmd: run --name __clabNodeName__ 'two words' ${NOT_SET}
      exec: ["sh -c 'echo $x'"]
      binds: ["/abs:/etc/x", "__clabNodeDir__/f:/srv/f"]
      startup-delay: 2
      network-mode: none
      privileged: false
      group: leaves
      sysctls: { net/ipv4/conf/eth1.7/forwarding: 0 }
    a:
    sw: { kind: bridge }
  links:
    - endpoints: ["b:eth1", "a:eth1"]
    - type: veth
      mtu: 1400
      endpoints:
        - { node: a, interface: eth2, mac: "02:00:00:00:00:0a" }
        - { node: sw, interface: p1 }
"#;

#[test]
fn node_over_kind_over_defaults_as_in_containerlab() {
    let t = parse(EVERYTHING).unwrap();
    let [b, a, sw] = t.nodes.as_slice() else { panic!("{:?}", t.nodes) };
    assert_eq!(t.namespace(b), "lab-t-b");
    assert_eq!((b.name.as_str(), b.kind, sw.kind), ("b", Kind::Linux, Kind::Bridge));
    assert_eq!(b.image.as_deref(), Some("evpnd:1"), "the environment wins over the default");
    let words = ["run", "--name", "b", "two words", "${NOT_SET}"].map(String::from);
    assert_eq!(b.runs, Runs::Command(words.to_vec()));
    assert_eq!(b.exec, [vec!["ip", "link", "set", "lo", "up"], vec!["sh", "-c", "echo $x"]]);
    let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
    assert_eq!(b.env, [pair("A", "one"), pair("B", "three"), pair("NODE", "b")]);
    assert_eq!(
        b.sysctls,
        [pair("net/ipv4/ip_forward", "1"), pair("net/ipv4/conf/eth1.7/forwarding", "0")]
    );
    let bind = |s: &str, t: &str| Bind { source: s.into(), target: t.into(), read_only: false };
    let own =
        [bind("/labs/all", "/etc/y"), bind("/abs", "/etc/x"), bind("/labs/clab-t/b/f", "/srv/f")];
    assert_eq!(b.binds, own, "a node's bind takes the place of the default's");
    assert!(a.binds[0].read_only && a.binds[0].source == *"/labs/base");
    assert_eq!(b.startup_delay, Duration::from_secs(2));
    assert_eq!((b.group.as_deref(), a.group.as_deref()), (Some("leaves"), None));
    assert_eq!(
        (a.labels.as_slice(), &a.runs),
        ([pair("site", "south")].as_slice(), &Runs::Nothing)
    );
}

#[test]
fn both_forms_of_a_link_are_understood() {
    let t = parse(EVERYTHING).unwrap();
    let ends = |i: usize| t.links[i].ends.each_ref().map(|e| (e.node, e.interface.as_str(), e.mac));
    assert_eq!(ends(0), [(0, "eth1", None), (1, "eth1", None)]);
    assert_eq!(ends(1), [(1, "eth2", Some([2, 0, 0, 0, 0, 10])), (2, "p1", None)]);
    assert_eq!(
        (t.links[0].mtu, t.links[1].mtu),
        (9500, 1400),
        "containerlab's default, and what is said"
    );
}

#[test]
fn what_an_image_runs_is_known_or_asked_for() {
    let runs = |image: &str| {
        parse(&format!("name: t\ntopology: {{nodes: {{n: {{kind: linux, image: \"{image}\"}}}}}}"))
            .map(|t| t.nodes[0].runs.clone())
    };
    for image in ["quay.io/frrouting/frr:8.5.4", "frr", "registry:5000/a/frr@sha256:00"] {
        assert_eq!(runs(image).unwrap(), Runs::Frr, "{image}");
    }
    assert_eq!(runs("localhost/evpnd:latest").unwrap(), Runs::Nothing);
    assert!(
        runs("docker.io/library/nginx")
            .unwrap_err()
            .to_string()
            .contains("`nginx` runs by itself is not known")
    );
}

#[test]
fn tasks_follow_the_file_except_where_a_node_waits() {
    let order = |stages: &str| {
        parse(&format!(
            "name: t\ntopology:\n  defaults: {{kind: linux, image: evpnd}}\n  nodes:\n    a: {{stages: {stages}}}\n    b: {{}}\n"
        ))
    };
    let (start, configure) = (Task::Start, Task::Configure);
    assert_eq!(order("{}").unwrap().tasks, [start(0), start(1), configure(0), configure(1)]);
    let wait = "{configure: {wait-for: [{node: b, stage: configure}]}}";
    assert_eq!(order(wait).unwrap().tasks, [start(0), start(1), configure(1), configure(0)]);
    let wait = "{create: {wait-for: [{node: b, stage: configure}]}}";
    assert_eq!(order(wait).unwrap().tasks, [start(1), configure(1), start(0), configure(0)]);
    let circle = "{create: {wait-for: [{node: a, stage: configure}]}}";
    assert!(order(circle).unwrap_err().to_string().contains("in a circle"));
    let unknown = "{create: {wait-for: [{node: c, stage: create}]}}";
    assert!(order(unknown).unwrap_err().to_string().contains("no node `c`"));
}

#[test]
fn a_key_that_would_not_be_obeyed_is_refused_at_its_place() {
    let keys = [
        ("image-pull-policy: always", "images are not pulled"),
        ("ports: [80:80]", "lab exec"),
        ("startup-config: x", "bind the configuration file"),
        ("mgmt-ipv4: 10.0.0.1", "no management network"),
        ("wait-for: [a]", "under `stages`"),
        ("restart-policy: always", "stays ended"),
        ("bind: [a:/b]", "did you mean `binds`?"),
        ("sysctl: {}", "did you mean `sysctls`?"),
        ("nonsense: 1", "unknown key `nonsense`; here may stand kind, image"),
    ];
    for (line, told) in keys {
        let (at, column, message) = refusal(&one_node(line));
        assert!(message.contains(told), "{line}: {message}");
        assert_eq!((at, column), (7, 7), "{line}: {message}");
        let key = line.split(':').next().unwrap();
        assert!(message.contains(&format!("`{key}`")), "{message}");
    }
}

#[test]
fn keys_outside_of_nodes_are_refused_too() {
    let node = "  nodes: {n: {kind: linux, image: evpnd}}\n";
    for (text, line, told) in [
        (format!("name: t\nsettings: {{}}\ntopology:\n{node}"), 2, "`settings` is not supported"),
        (format!("name: t\ntopology:\n{node}  link: []\n"), 4, "did you mean `links`?"),
        (
            format!(
                "name: t\ntopology:\n{node}  links:\n  - endpoints: [a:b, c:d]\n    vars: {{}}\n"
            ),
            6,
            "`vars` is not supported",
        ),
        (one_node("stages: {create: {exec: [x]}}"), 7, "use the node's own `exec`"),
        (one_node("stages: {healthy: {}}"), 7, "nodes have no health check"),
    ] {
        let (at, _, message) = refusal(&text);
        assert!(at == line && message.contains(told), "{text}{at}: {message}");
    }
}

#[test]
fn a_value_that_cannot_be_built_is_refused_at_its_place() {
    let long = "x".repeat(64);
    let nodes: [(String, &str); 16] = [
        ("kind: host".into(), "duplicate"),
        ("network-mode: host".into(), "each node has a network of its own"),
        ("network-mode: container:x".into(), "use `none`"),
        ("exec: [\"sh -c 'x\"]".into(), "quote is not closed"),
        ("exec: ['']".into(), "no words"),
        ("binds: [a]".into(), "SOURCE:TARGET"),
        ("binds: [\":/x\"]".into(), "SOURCE:TARGET"),
        ("binds: [a:b]".into(), "absolute path"),
        ("binds: [a:/]".into(), "absolute path"),
        ("binds: [a:/x/../y]".into(), "without `..`"),
        ("binds: [a:/x:exec]".into(), "option `exec`"),
        ("sysctls: {kernel.pid_max: 1}".into(), "only net.* belongs to a node"),
        ("sysctls: {net.ipv4/../x: 1}".into(), "only net.*"),
        ("env: {\"A=B\": 1}".into(), "cannot name a variable"),
        ("startup-delay: soon".into(), "must be a whole number"),
        (format!("group: g\n    {long}: {{kind: linux, image: evpnd}}"), "cannot be a node's name"),
    ];
    for (line, told) in nodes {
        let (at, _, message) = refusal(&one_node(&line));
        assert!(message.contains(told) && (7..=8).contains(&at), "{line}: {at}: {message}");
    }
    let links = [
        ("endpoints: [a:e1]", "has 1"),
        ("endpoints: [a:e1, a:e1]", "there already"),
        ("endpoints: [a:e1, a]", "NODE:INTERFACE"),
        ("endpoints: [a:e1, leaff1:e1]", "did you mean `leaf1`?"),
        ("endpoints: [a:e1, host:e1]", "the machine's own network"),
        ("endpoints: [a:e1, a:e234567890123456]", "cannot name an interface"),
        ("endpoints: [a:e1, a:lo]", "cannot name an interface"),
        ("endpoints: [a:e1, leaf1:e1]\n      mtu: 20", "out of range"),
        ("type: macvlan\n      endpoints: [a:e1, leaf1:e1]", "use veth"),
        (
            "endpoints: [a:e1, {node: leaf1, interface: e1, mac: \"01:00:00:00:00:01\"}]",
            "unicast MAC",
        ),
        (
            "endpoints: [a:e1, {node: leaf1, interface: e1, ipv4: 10.0.0.1}]",
            "give addresses in `exec`",
        ),
        ("endpoints: [a:e1, {node: leaf1, iface: e1}]", "unknown key `iface`"),
    ];
    for (link, told) in links {
        let text = format!(
            "name: t\ntopology:\n  defaults: {{kind: linux, image: evpnd}}\n  nodes: {{a: {{}}, leaf1: {{}}}}\n  links:\n    - {link}\n"
        );
        let (at, column, message) = refusal(&text);
        assert!(message.contains(told) && at >= 6 && column > 0, "{link}: {at}:{column} {message}");
    }
}

#[test]
fn a_node_needs_a_kind_that_exists_here() {
    let text =
        |kind: &str| format!("name: t\ntopology:\n  nodes:\n    n: {{{kind} image: evpnd}}\n");
    assert!(refusal(&text("")).2.contains("add `kind: linux`"));
    assert!(refusal(&text("kind: host,")).2.contains("the machine's own network"));
    assert!(refusal(&text("kind: nokia_srlinux,")).2.contains("it has linux and bridge"));
    assert_eq!(refusal(&text("kind: host,")).0, 4);
    assert!(refusal("name: t\ntopology:\n  nodes: {}\n").2.contains("at least one node"));
    assert!(
        refusal("name: a/b\ntopology:\n  nodes: {n: {}}\n").2.contains("cannot be the lab's name")
    );
}

#[test]
fn an_error_shows_the_file_and_the_line() {
    let shown = parse(&one_node("imagee: x")).unwrap_err().to_string();
    assert!(shown.starts_with("/labs/t.clab.yml:7:7: unknown key `imagee`"), "{shown}");
    let shown = parse("name: [\n").unwrap_err().to_string();
    assert!(shown.starts_with("/labs/t.clab.yml:"), "{shown}");
}
