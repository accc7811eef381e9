//! What a reload changes.

use evpn_config::{Change, ChangeKind, Effect, Source, Subject, diff, load};

const LEAF: &str = r#"
[router]
as = 65001
[[neighbor]]
address = "10.0.0.2"
as = 65002
[[vni]]
vni = 100
[[vrf]]
l3vni = 5000
prefixes = [{ prefix = "198.51.100.10/32" }, { prefix = "198.51.100.11/32" }]
"#;

fn changes(old: &str, new: &str) -> Vec<Change> {
    let config = |text: &str| match load(&[Source::new("evpnd.toml", text)]) {
        Ok(loaded) => loaded.config,
        Err(errors) => panic!("{}", errors.report()),
    };
    diff(&config(old), &config(new))
}

/// The changes when `from` becomes `to` in the leaf, as shown.
#[track_caller]
fn assert_changes(from: &str, to: &str, expected: &[&str]) {
    assert!(LEAF.contains(from), "{from}");
    let shown: Vec<String> =
        changes(LEAF, &LEAF.replacen(from, to, 1)).iter().map(Change::to_string).collect();
    assert_eq!(shown, expected);
}

#[test]
fn another_text_with_the_same_meaning_is_no_change() {
    assert_changes(
        "as = 65002",
        "hold = \"1m30s\"\nas = \"65002\"\nkeepalive = \"30s\" # as ever",
        &[],
    );
    assert_changes(
        "{ prefix = \"198.51.100.10/32\" }, { prefix = \"198.51.100.11/32\" }",
        "{ prefix = \"198.51.100.11/32\", drain-time = \"1m\" }, { prefix = \"198.51.100.10/32\" }",
        &[],
    );
    assert_changes("[[vni]]", "[timers]\nconnect-retry = \"10s\"\n[[vni]]", &[]);
}

#[test]
fn neighbors_come_go_and_change_with_what_it_does_to_their_session() {
    assert_changes(
        "[[vni]]",
        "[[neighbor]]\naddress = \"10.0.0.3\"\nas = 65002\n[[vni]]",
        &["+ neighbor[10.0.0.3] (live)"],
    );
    assert_changes(
        "address = \"10.0.0.2\"",
        "address = \"10.0.0.3\"",
        &["- neighbor[10.0.0.2] (resets the session)", "+ neighbor[10.0.0.3] (live)"],
    );
    assert_changes(
        "as = 65002",
        "as = 65002\ndescription = \"spine\"\nhold = \"9s\"",
        &[
            "~ neighbor[10.0.0.2].description: unset -> \"spine\" (live)",
            "~ neighbor[10.0.0.2].hold: \"90s\" -> \"9s\" (resets the session)",
            "~ neighbor[10.0.0.2].keepalive: \"30s\" -> \"3s\" (live)",
        ],
    );
}

#[test]
fn a_group_that_listens_is_a_thing_of_its_own_and_one_that_only_lends_is_none() {
    assert_changes("[[vni]]", "[[group]]\nname = \"a\"\nas = 65002\n[[vni]]", &[]);
    let listens = |more: &str| {
        format!("[[group]]\nname = \"a\"\nas = 65002\nlisten = [\"10.1.0.0/16\"]\n{more}[[vni]]")
    };
    assert_changes("[[vni]]", &listens(""), &["+ group[a] (live)"]);
    let shown = |old: &str, new: &str| -> Vec<String> {
        changes(old, new).iter().map(Change::to_string).collect()
    };
    let old = LEAF.replace("[[vni]]", &listens(""));
    assert_eq!(shown(&old, LEAF), ["- group[a] (resets the session)"]);
    let new = LEAF.replace("[[vni]]", &listens("listen-limit = 5\nhold = \"9s\"\n"));
    assert_eq!(
        shown(&old, &new),
        [
            "~ group[a].hold: \"90s\" -> \"9s\" (resets the session)",
            "~ group[a].keepalive: \"30s\" -> \"3s\" (live)",
            "~ group[a].listen-limit: 100 -> 5 (live)",
        ]
    );
}

#[test]
fn a_change_of_the_timers_shows_at_every_neighbor_that_inherits_them() {
    assert_changes(
        "[[vni]]",
        "[timers]\nconnect-retry = \"5s\"\n[[vni]]",
        &["~ neighbor[10.0.0.2].connect-retry: \"10s\" -> \"5s\" (live)"],
    );
}

#[test]
fn prefixes_come_and_go_one_by_one() {
    assert_changes(
        "{ prefix = \"198.51.100.11/32\" }",
        "{ prefix = \"198.51.100.12/32\" }",
        &[
            "+ vrf[default].prefixes[198.51.100.12/32] (live)",
            "- vrf[default].prefixes[198.51.100.11/32] (live)",
        ],
    );
    assert_changes(
        "[{ prefix = \"198.51.100.10/32\" }, { prefix = \"198.51.100.11/32\" }]",
        "[]",
        &[
            "- vrf[default].prefixes[198.51.100.10/32] (live)",
            "- vrf[default].prefixes[198.51.100.11/32] (live)",
        ],
    );
    assert_changes(
        "[[vrf]]\nl3vni = 5000",
        "[[vrf]]\nl3vni = 5001",
        &["~ vrf[default].l3vni: \"5000\" -> \"5001\" (live)"],
    );
}

#[test]
fn a_change_that_needs_a_restart_says_so() {
    for (key, line) in [
        ("router.port", "port = 1790"),
        ("router.id", "id = \"10.0.0.1\""),
        ("router.vtep", "vtep = \"10.0.0.1\""),
        ("state-dir", ""),
        ("api.socket", "[api]\nsocket = \"/run/x\""),
        ("dataplane.mode", "[dataplane]\nmode = \"dry-run\""),
    ] {
        let new = match key {
            "state-dir" => format!("state-dir = \"/x\"\n{LEAF}"),
            _ => LEAF.replacen("as = 65001", &format!("as = 65001\n{line}"), 1),
        };
        let changes = changes(LEAF, &new);
        let [change] = changes.as_slice() else { panic!("{changes:?}") };
        assert_eq!((change.key.as_str(), change.effect), (key, Effect::Restart));
    }
}

#[test]
fn a_feed_of_another_type_shows_what_it_gained_and_lost() {
    let with = |feed: &str| format!("{LEAF}[energy]\nstale-after = \"5m\"\nfeed = {feed}\n");
    let changes = changes(
        &with("{ type = \"nut\", ups = \"site\" }"),
        &with("{ type = \"file\", path = \"/x\" }"),
    );
    let shown: Vec<String> = changes.iter().map(Change::to_string).collect();
    assert_eq!(
        shown,
        [
            "~ energy.feed.address: \"127.0.0.1:3493\" -> unset (live)",
            "~ energy.feed.path: unset -> \"/x\" (live)",
            "~ energy.feed.type: \"nut\" -> \"file\" (live)",
            "~ energy.feed.ups: \"site\" -> unset (live)",
        ]
    );
    assert!(changes.iter().all(|change| change.subject == Subject::Section("energy")));
}

#[test]
fn a_reload_can_ask_what_the_worst_effect_is() {
    let worst = |to: &str| {
        changes(LEAF, &LEAF.replacen("as = 65001", to, 1)).iter().map(|c| c.effect).max()
    };
    assert_eq!(worst("as = 65001"), None);
    assert_eq!(worst("as = 65001\n[log]\nlevel = \"debug\""), Some(Effect::Live));
    assert_eq!(
        worst("as = 65001\nrestart-time = \"60s\"\n[log]\nlevel = \"debug\""),
        Some(Effect::NextSession)
    );
    assert_eq!(worst("as = 65009"), Some(Effect::Restart));
}

#[test]
fn the_reverse_of_a_change_is_its_mirror() {
    let full = include_str!("full.toml");
    let (there, back) = (changes(LEAF, full), changes(full, LEAF));
    assert!(!there.is_empty());
    for change in &there {
        let mirrored = match &change.kind {
            ChangeKind::Added => ChangeKind::Removed,
            ChangeKind::Removed => ChangeKind::Added,
            ChangeKind::Changed { from, to } => {
                ChangeKind::Changed { from: to.clone(), to: from.clone() }
            }
        };
        assert!(back.iter().any(|b| b.key == change.key && b.kind == mirrored), "{change}");
    }
    assert_eq!(there.len(), back.len());
}
