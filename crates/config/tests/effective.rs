//! `config show --effective`: every key, its value and where it came from.

use evpn_config::{Derived, EffectiveLine, Origin, Source, effective, load, schema_keys};
use std::collections::BTreeSet;

const LEAF: &str = r#"
[router]
as = 65001
[[neighbor]]
address = "10.0.0.2"
as = 65002
hold = "9s"
"#;

fn lines(text: &str, derived: &[Derived]) -> Vec<EffectiveLine> {
    effective(&load(&[Source::new("evpnd.toml", text)]).unwrap(), derived)
}

fn show(lines: &[EffectiveLine], key: &str) -> String {
    let line = lines.iter().find(|line| line.key == key).unwrap_or_else(|| panic!("no {key}"));
    format!("{} = {} # {}", line.key, line.value, line.origin)
}

/// The path in the schema: `neighbor[10.0.0.2].hold` is `neighbor[].hold`.
fn schema_path(key: &str) -> String {
    let mut path = String::new();
    let mut depth = 0;
    for c in key.chars() {
        depth -= i32::from(c == ']');
        if depth == 0 {
            path.push(c);
        }
        depth += i32::from(c == '[');
    }
    path
}

#[test]
fn each_value_comes_with_its_origin() {
    let lines = lines(LEAF, &[]);
    assert_eq!(show(&lines, "router.as"), "router.as = 65001 # evpnd.toml:3");
    assert_eq!(
        show(&lines, "router.port"),
        "router.port = 179 # default (the port of BGP (RFC 4271))"
    );
    assert_eq!(
        show(&lines, "neighbor[10.0.0.2].hold"),
        "neighbor[10.0.0.2].hold = \"9s\" # evpnd.toml:7"
    );
    assert_eq!(
        show(&lines, "neighbor[10.0.0.2].keepalive"),
        "neighbor[10.0.0.2].keepalive = \"3s\" # derived (a third of hold)"
    );
    assert_eq!(
        show(&lines, "neighbor[10.0.0.2].multihop"),
        "neighbor[10.0.0.2].multihop = 1 # derived (an external neighbor)"
    );
    assert_eq!(
        show(&lines, "router.vtep"),
        "router.vtep = auto # derived (the local address of the VXLAN devices)"
    );
}

#[test]
fn every_key_of_the_schema_appears_whatever_is_written() {
    let every: BTreeSet<String> = schema_keys().into_iter().map(|key| key.path).collect();
    for text in ["router.as = 65001", LEAF, include_str!("full.toml")] {
        let shown: BTreeSet<String> =
            lines(text, &[]).iter().map(|line| schema_path(&line.key)).collect();
        assert_eq!(shown, every);
    }
}

#[test]
fn no_key_appears_twice_and_the_order_is_that_of_the_schema() {
    let lines = lines(include_str!("full.toml"), &[]);
    let keys: BTreeSet<&String> = lines.iter().map(|line| &line.key).collect();
    assert_eq!(keys.len(), lines.len());
    let schema: Vec<String> = schema_keys().into_iter().map(|key| key.path).collect();
    let section =
        |key: &str| key.rsplit_once('.').map_or(String::new(), |(above, _)| above.to_owned());
    let order = |path: &str| schema.iter().position(|key| section(key) == section(path)).unwrap();
    let positions: Vec<usize> = lines.iter().map(|line| order(&schema_path(&line.key))).collect();
    assert!(positions.is_sorted(), "{positions:?}");
}

#[test]
fn what_the_daemon_derives_is_laid_over_defaults_and_never_over_the_text() {
    let derived = |key: &str, value: &str| Derived {
        key: key.into(),
        value: value.into(),
        from: "vx100".into(),
    };
    let with = [
        derived("router.vtep", "10.0.0.1"),
        derived("router.as", "1"),
        derived("vni[100].rd", "10.0.0.1:2"),
    ];
    let lines = lines(LEAF, &with);
    assert_eq!(show(&lines, "router.vtep"), "router.vtep = 10.0.0.1 # derived (vx100)");
    assert_eq!(show(&lines, "router.as"), "router.as = 65001 # evpnd.toml:3");
    assert_eq!(show(&lines, "vni[100].rd"), "vni[100].rd = 10.0.0.1:2 # derived (vx100)");
}

#[test]
fn every_default_has_a_reason_that_is_shown() {
    for line in lines("router.as = 65001", &[]) {
        if let Origin::Default { why } = &line.origin {
            assert!(!why.is_empty(), "{}", line.key);
        }
    }
    for key in schema_keys() {
        assert!(
            !key.why.is_empty() && !key.type_.is_empty() && !key.default.is_empty(),
            "{}",
            key.path
        );
    }
}
