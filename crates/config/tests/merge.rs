//! Several files, one configuration.

use evpn_config::{Loaded, MAX_SOURCE_OCTETS, Origin, Source, effective, load};

fn sources(texts: &[(&str, &str)]) -> Vec<Source> {
    texts.iter().map(|(name, text)| Source::new(*name, *text)).collect()
}

fn loaded(texts: &[(&str, &str)]) -> Loaded {
    match load(&sources(texts)) {
        Ok(loaded) => loaded,
        Err(errors) => panic!("{}", errors.report()),
    }
}

const MAIN: &str = "[router]\nas = 65001\n[[neighbor]]\naddress = \"10.0.0.2\"\nas = 65002\n";

#[test]
fn tables_merge_lists_append_and_a_later_file_wins() {
    let loaded = loaded(&[
        (
            "evpnd.toml",
            "[router]\nas = 65001\nport = 1790\n[[neighbor]]\naddress = \"10.0.0.3\"\nas = 65002\n",
        ),
        (
            "conf.d/10.toml",
            "[router]\nid = \"10.0.0.1\"\n[[neighbor]]\naddress = \"10.0.0.2\"\nas = 65002\n",
        ),
        ("conf.d/20.toml", "[router]\nport = 1791\nlisten = [\"::\"]\n"),
    ]);
    let router = &loaded.config.router;
    assert_eq!((router.asn.0, router.port), (65_001, 1791));
    assert_eq!(router.id.map(|id| id.to_string()).as_deref(), Some("10.0.0.1"));
    assert_eq!(router.listen.len(), 1, "a list of values is replaced, not extended");
    let addresses: Vec<String> = loaded.config.neighbors.iter().map(|n| n.id.to_string()).collect();
    assert_eq!(addresses, ["10.0.0.2", "10.0.0.3"]);
    let lines = effective(&loaded, &[]);
    let origin =
        |key: &str| lines.iter().find(|line| line.key == key).map(|line| line.origin.to_string());
    assert_eq!(origin("router.port").as_deref(), Some("conf.d/20.toml:2"));
    assert_eq!(origin("neighbor[10.0.0.2].as").as_deref(), Some("conf.d/10.toml:5"));
}

#[test]
fn a_feed_of_another_type_replaces_the_earlier_one_whole() {
    let loaded = loaded(&[
        ("evpnd.toml", "router.as = 65001\n[energy]\nfeed = { type = \"nut\", ups = \"site\" }\n"),
        ("conf.d/10.toml", "[energy.feed]\ntype = \"manual\"\n"),
    ]);
    assert_eq!(loaded.config.energy.feed, evpn_config::Feed::Manual);
}

#[test]
fn the_same_thing_in_two_files_is_refused_naming_both_places() {
    let again = "[[neighbor]]\naddress = \"10.0.0.2\"\nas = 65009\n";
    let errors = load(&sources(&[("evpnd.toml", MAIN), ("conf.d/10.toml", again)])).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "conf.d/10.toml:2:11: neighbor 10.0.0.2 is defined twice (first defined at evpnd.toml:4:11); keep one of them, or merge the two"
    );
    let twice = |text: &str| {
        load(&sources(&[("evpnd.toml", &format!("{MAIN}{text}")), ("b.toml", text)]))
            .unwrap_err()
            .to_string()
    };
    let group = twice("[[group]]\nname = \"spines\"\n");
    assert!(
        group.starts_with(
            "b.toml:2:8: group \"spines\" is defined twice (first defined at evpnd.toml:7:8)"
        ),
        "{group}"
    );
    let vni = twice("[[vni]]\nvni = 100\n");
    assert!(
        vni.starts_with("b.toml:2:7: VNI 100 is defined twice (first defined at evpnd.toml:7:7)"),
        "{vni}"
    );
    let vrf = twice("[[vrf]]\nname = \"default\"\nl3vni = 5000\n");
    assert!(
        vrf.starts_with(
            "b.toml:2:8: vrf \"default\" is defined twice (first defined at evpnd.toml:7:8)"
        ),
        "{vrf}"
    );
}

#[test]
fn a_mistake_is_reported_in_the_file_that_has_it() {
    let errors =
        load(&sources(&[("evpnd.toml", MAIN), ("conf.d/10.toml", "\n[log]\nlevel = \"loud\"\n")]));
    assert!(errors.unwrap_err().to_string().starts_with("conf.d/10.toml:3:9: level is \"loud\""));
}

#[test]
fn an_address_in_another_spelling_is_the_same_neighbor() {
    let two = |a: &str, b: &str| {
        let neighbor =
            |address: &str| format!("[[neighbor]]\naddress = \"{address}\"\nas = 65002\n");
        load(&[Source::new(
            "evpnd.toml",
            format!("router.as = 65001\n{}{}", neighbor(a), neighbor(b)),
        )])
    };
    assert!(two("2001:db8::1", "2001:DB8:0::1").unwrap_err().to_string().contains("defined twice"));
    assert!(two("2001:db8::1", "2001:db8::2").is_ok());
}

#[test]
fn a_file_that_is_too_large_is_refused_unread() {
    let errors = load(&[Source::new("evpnd.toml", "#".repeat(MAX_SOURCE_OCTETS + 1))]).unwrap_err();
    assert!(errors.to_string().contains("larger than 4 MiB"), "{errors}");
}

#[test]
fn no_sources_at_all_are_refused_with_what_is_missing() {
    assert!(load(&[]).unwrap_err().to_string().contains("[router] has no \"as\""));
}

#[test]
fn an_inherited_value_names_the_group_it_came_by() {
    let text = "router.as = 65001\n[[group]]\nname = \"spines\"\nas = 65000\n[[neighbor]]\naddress = \"10.0.0.2\"\ngroup = \"spines\"\n";
    let lines = effective(&loaded(&[("evpnd.toml", text)]), &[]);
    let line = lines.iter().find(|line| line.key == "neighbor[10.0.0.2].as").unwrap();
    let via = Some("group[spines]".to_owned());
    assert_eq!(line.origin, Origin::File { file: "evpnd.toml".into(), line: 4, via });
    assert_eq!(line.origin.to_string(), "evpnd.toml:4 by group[spines]");
}
