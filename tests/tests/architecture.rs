//! The house's rules that the compiler does not know: which room may lead to which, what a pure
//! crate begins with, how long a file may be, and that whatever is banned or allowed says why.
//!
//! **Each rule is read from the sources as they are, so an exception has to be written down here.**

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use toml::Table;

/// Each crate and the crates of ours that it may depend on, tests included.
const ARROWS: &[(&str, &[&str])] = &[
    ("evpn-proto", &[]),
    ("evpn-config", &["evpn-proto"]),
    ("evpn-rib", &["evpn-proto"]),
    ("evpn-energy", &["evpn-proto"]),
    ("evpn-dataplane", &["evpn-proto"]),
    ("evpn-engine", &["evpn-proto", "evpn-rib", "evpn-energy", "evpn-dataplane"]),
    ("evpn-netlink", &["evpn-proto", "evpn-dataplane"]),
    ("evpn-api", &[]),
    ("evpn-lab", &[]),
    ("evpn-sim", &["evpn-proto", "evpn-rib", "evpn-energy", "evpn-dataplane", "evpn-engine"]),
    (
        "evpnd",
        &[
            "evpn-proto",
            "evpn-rib",
            "evpn-energy",
            "evpn-dataplane",
            "evpn-engine",
            "evpn-netlink",
            "evpn-config",
            "evpn-api",
        ],
    ),
    (
        "evpnctl",
        &[
            "evpn-proto",
            "evpn-energy",
            "evpn-config",
            "evpn-api",
            "evpn-lab",
            // The doctor reads devices and tries out the kernel, also where evpnd does not run.
            "evpn-dataplane",
            "evpn-netlink",
        ],
    ),
    // Evidence comes from outside: the tests see the daemon as an operator does.
    ("evpn-tests", &["evpn-proto", "evpn-api", "evpn-lab"]),
];

/// Crates without input, output, clock or randomness.
const PURE: &[&str] = &[
    "evpn-proto",
    "evpn-config",
    "evpn-rib",
    "evpn-energy",
    "evpn-dataplane",
    "evpn-engine",
    "evpn-sim",
];

/// What would give a pure crate sockets, clocks, threads or chance.
const IMPURE: &[&str] = &[
    "axum",
    "crossbeam-channel",
    "hyper",
    "hyper-util",
    "libc",
    "netlink-packet-core",
    "netlink-packet-route",
    "netlink-sys",
    "nix",
    "rand",
    "rtnetlink",
    "rustix",
    "sd-notify",
    "socket2",
    "tempfile",
    "tokio",
];

/// What a pure crate may not contain outside its tests.
const PURE_BEGINS: &str = "#![cfg_attr(not(test),forbid(clippy::unwrap_used,clippy::expect_used,\
     clippy::panic,clippy::unreachable,clippy::todo,clippy::unimplemented,\
     clippy::indexing_slicing,clippy::string_slice))]";

/// A longer file is a sign that a room is missing.
const MAX_LINES: usize = 600;
/// What a longer file begins a line with, and says why there.
const LONG: &str = "// LONG: ";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn table(path: &Path) -> Table {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.parse().unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The workspace's crates: name, directory, manifest.
fn members() -> Vec<(String, PathBuf, Table)> {
    let workspace = table(&root().join("Cargo.toml"));
    let members = workspace["workspace"]["members"].as_array().unwrap();
    let member = |path: &toml::Value| {
        let directory = root().join(path.as_str().unwrap());
        let manifest = table(&directory.join("Cargo.toml"));
        let name = manifest["package"]["name"].as_str().unwrap().to_owned();
        (name, directory, manifest)
    };
    members.iter().map(member).collect()
}

/// The names in the tables of dependencies with this name, those of single targets included.
fn dependencies(manifest: &Table, kinds: &[&str]) -> BTreeSet<String> {
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let targets = targets.into_iter().flat_map(|t| t.values()).filter_map(toml::Value::as_table);
    let tables = targets.chain([manifest]);
    let kinds = tables.flat_map(|t| kinds.iter().filter_map(|kind| t.get(*kind)));
    let names = kinds.filter_map(toml::Value::as_table).flat_map(Table::keys);
    names.cloned().collect()
}

/// Every Rust file below a directory, without what is built.
fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Every Rust file of the workspace with its text.
fn all_sources() -> Vec<(PathBuf, String)> {
    let mut paths = Vec::new();
    for (_, directory, _) in members() {
        sources(&directory, &mut paths);
    }
    assert!(paths.len() > 100, "only {} files were found", paths.len());
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        (path.strip_prefix(root()).unwrap().to_owned(), text)
    };
    paths.into_iter().map(read).collect()
}

fn without_space(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    text.replace(",)", ")")
}

#[test]
fn a_crate_depends_on_no_room_that_its_arrows_do_not_lead_to() {
    let arrows: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    let mut wrong = Vec::new();
    for (name, _, manifest) in members() {
        let Some(allowed) = arrows.get(name.as_str()) else {
            wrong.push(format!("{name} is not in the table of arrows"));
            continue;
        };
        let all = ["dependencies", "dev-dependencies", "build-dependencies"];
        for dependency in dependencies(&manifest, &all) {
            let ours = arrows.contains_key(dependency.as_str());
            if ours && dependency != name && !allowed.contains(&dependency.as_str()) {
                wrong.push(format!("{name} -> {dependency}"));
            }
        }
    }
    assert!(wrong.is_empty(), "no arrow leads there: {wrong:#?}");
}

#[test]
fn no_arrow_leads_to_a_crate_that_is_gone() {
    let members: BTreeSet<_> = members().into_iter().map(|(name, ..)| name).collect();
    for (from, to) in ARROWS {
        for name in to.iter().chain([from]) {
            assert!(members.contains(*name), "{name} is no member of the workspace");
        }
    }
}

#[test]
fn a_pure_crate_links_nothing_that_talks_waits_or_throws_dice() {
    for (name, _, manifest) in members() {
        if PURE.contains(&name.as_str()) {
            let used = dependencies(&manifest, &["dependencies", "build-dependencies"]);
            let impure: Vec<_> = IMPURE.iter().filter(|i| used.contains(**i)).collect();
            assert!(impure.is_empty(), "{name} is pure and may not use {impure:?}");
        }
    }
}

#[test]
fn a_pure_crate_begins_by_forbidding_what_could_end_it() {
    for (name, directory, _) in members() {
        if PURE.contains(&name.as_str()) {
            let text = fs::read_to_string(directory.join("src/lib.rs")).unwrap();
            let text = without_space(&text);
            assert!(text.contains(&without_space(PURE_BEGINS)), "{name}/src/lib.rs lacks the line");
            assert!(text.contains("#![forbid(unsafe_code)]"), "{name} may contain unsafe code");
        }
    }
}

#[test]
fn a_file_is_short_or_says_why_it_is_long() {
    let long = |(path, text): (PathBuf, String)| {
        let lines = text.lines().count();
        let reason = text.lines().find_map(|line| line.strip_prefix(LONG));
        let excused = reason.is_some_and(|reason| !reason.trim().is_empty());
        (lines > MAX_LINES && !excused).then(|| format!("{} has {lines} lines", path.display()))
    };
    let long: Vec<_> = all_sources().into_iter().filter_map(long).collect();
    assert!(long.is_empty(), "above {MAX_LINES} lines and without \"{LONG}\": {long:#?}");
}

#[test]
fn a_lint_is_silenced_only_with_a_reason() {
    let mut silent = Vec::new();
    for (path, text) in all_sources() {
        // Written in two parts, or this file would find itself.
        for begin in [concat!("[al", "low("), concat!("[ex", "pect(")] {
            for (at, _) in text.match_indices(begin) {
                let attribute = text[at..].split(")]").next().unwrap_or_default();
                let before = text[..at].ends_with('#') || text[..at].ends_with("#!");
                if before && !attribute.contains("reason = \"") {
                    let line = text[..at].lines().count();
                    silent.push(format!("{}:{line}", path.display()));
                }
            }
        }
    }
    assert!(silent.is_empty(), "a lint is silenced and nobody says why: {silent:#?}");
}

#[test]
fn every_ban_has_a_reason() {
    let bans = |file: &str, path: &[&str]| {
        let mut value = toml::Value::Table(table(&root().join(file)));
        for key in path {
            value = value[*key].clone();
        }
        let bans = value.as_array().unwrap().clone();
        assert!(!bans.is_empty(), "{file} bans nothing");
        for ban in bans {
            let reason = ban.get("reason").and_then(toml::Value::as_str).unwrap_or_default();
            assert!(reason.len() > 10, "{file}: {ban} does not say why");
        }
    };
    bans("clippy.toml", &["disallowed-methods"]);
    bans("deny.toml", &["bans", "deny"]);
    bans("deny.toml", &["bans", "skip"]);
}

#[test]
fn a_crate_says_what_it_is_for_and_what_always_holds() {
    for (name, directory, _) in members() {
        let lib = directory.join("src/lib.rs");
        let path = if lib.exists() { lib } else { directory.join("src/main.rs") };
        let text = fs::read_to_string(path).unwrap();
        let docs: String = text.lines().filter_map(|line| line.strip_prefix("//!")).collect();
        assert!(docs.contains("**"), "{name} states no invariant in bold");
    }
}
