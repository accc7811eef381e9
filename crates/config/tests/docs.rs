//! docs/configuration.md is true: every key is in it as the schema has it, every example loads.

use evpn_config::{KeyDoc, Source, load, schema_keys};

const DOCS: &str = include_str!("../../../docs/configuration.md");

/// A key's row in the reference.
fn row(key: &KeyDoc) -> String {
    let KeyDoc { path, type_, default, why, effect } = key;
    let default = match default.as_str() {
        "required" | "unset" => format!("*{default}*"),
        derived if derived.starts_with("derived: ") => format!("*{derived}*"),
        value => format!("`{value}`"),
    };
    let name = path.rsplit_once('.').map_or(path.as_str(), |(_, name)| name);
    format!("| `{name}` | {type_} | {default} | {why} | {} |", effect.as_str())
}

/// The heading under which a section's keys stand.
fn heading(section: &str) -> String {
    match section.strip_suffix("[]") {
        _ if section.is_empty() => "### Top level".to_owned(),
        Some(list) => format!("### `[[{}]]`", list.replace("[]", "")),
        None => format!("### `[{section}]`"),
    }
}

#[test]
fn the_reference_has_every_key_as_the_schema_has_it() {
    let mut missing = Vec::new();
    for key in schema_keys() {
        let section = key.path.rsplit_once('.').map_or("", |(section, _)| section);
        // A group takes a neighbor's keys, and a neighbor those of the timers: told once.
        let inherited =
            ["group[].", "neighbor[]."].iter().find_map(|prefix| key.path.strip_prefix(prefix));
        let told = |parent: &str| {
            let path = inherited.map(|name| format!("{parent}.{name}"));
            path.is_some_and(|path| {
                path != key.path && schema_keys().iter().any(|other| other.path == path)
            })
        };
        if told("timers") || (section == "group[]" && told("neighbor[]")) {
            continue;
        }
        let heading = heading(section);
        let body = DOCS.split_once(&format!("{heading}\n")).map_or("", |(_, rest)| rest);
        let body = body.split("\n### ").next().unwrap_or_default();
        if !body.contains(&row(&key)) {
            missing.push(format!("{heading}\n{}", row(&key)));
        }
    }
    assert!(missing.is_empty(), "docs/configuration.md lacks:\n{}", missing.join("\n"));
}

#[test]
fn the_reference_has_no_row_of_a_key_that_is_gone() {
    let rows: Vec<String> = schema_keys().iter().map(row).collect();
    for line in DOCS.lines().filter(|line| line.starts_with("| `")) {
        assert!(rows.iter().any(|row| row == line), "not in the schema: {line}");
    }
}

/// Other documents with examples. One that does not say who the router is adds to another.
const OTHERS: [(&str, &str); 6] = [
    ("coming-from-frr.md", include_str!("../../../docs/coming-from-frr.md")),
    ("README.md", include_str!("../../../README.md")),
    ("energy.md", include_str!("../../../docs/energy.md")),
    ("getting-started.md", include_str!("../../../docs/getting-started.md")),
    ("neighbors.md", include_str!("../../../docs/neighbors.md")),
    ("underlay.md", include_str!("../../../docs/underlay.md")),
];

/// The bodies of the reference's fences of a language.
fn fences(language: &str) -> Vec<&'static str> {
    fences_of(DOCS, language)
}

fn fences_of<'a>(document: &'a str, language: &str) -> Vec<&'a str> {
    let open = format!("```{language}\n");
    document.split(&open).skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

#[test]
fn every_example_of_other_documents_loads() {
    let mut count = 0;
    for (name, document) in OTHERS {
        for example in fences_of(document, "toml") {
            count += 1;
            let router = if example.contains("[router]") { "" } else { "[router]\nas = 65001\n" };
            if let Err(errors) = load(&[Source::new(name, format!("{router}{example}"))]) {
                panic!("{}", errors.report());
            }
        }
    }
    assert!(count >= 4, "{count}");
}

/// The configuration that the package brings, with the # of its examples taken away.
#[test]
fn the_packages_configuration_says_nothing_and_its_examples_load() {
    let text = include_str!("../../../packaging/evpnd.toml");
    let is_comment = |line: &str| line.is_empty() || line.starts_with('#');
    assert!(text.lines().all(is_comment), "nothing is in force as it is installed");
    let examples = text.lines().filter_map(|line| line.strip_prefix('#'));
    let examples = examples.filter(|line| !line.is_empty() && !line.starts_with(' '));
    let examples = examples.collect::<Vec<_>>().join("\n");
    if let Err(errors) = load(&[Source::new("evpnd.toml", examples)]) {
        panic!("{}", errors.report());
    }
}

#[test]
fn every_example_loads() {
    let examples = fences("toml");
    assert!(examples.len() >= 5, "{}", examples.len());
    for example in examples {
        if let Err(errors) = load(&[Source::new("configuration.md", example)]) {
            panic!("{}", errors.report());
        }
    }
}

#[test]
fn the_first_example_takes_at_most_ten_lines() {
    let first = fences("toml").first().copied().unwrap_or_default();
    let lines =
        first.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).count();
    assert!((1..=10).contains(&lines), "{lines}");
}

#[test]
fn the_messages_shown_are_those_that_are_given() {
    let broken =
        fences("text").into_iter().find(|text| text.starts_with("evpnd.toml:")).expect("a report");
    let text = "[router]\nas = 65001\n\n[[neighbour]]\naddress = \"10.0.0.254\"\nas = 65000\n\n[timers]\nhold = \"2s\"\n";
    let errors = load(&[Source::new("evpnd.toml", text)]).expect_err("two mistakes");
    assert_eq!(errors.report().trim_end(), broken.trim_end());
}
