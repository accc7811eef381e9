//! What the documents promise of themselves.
//!
//! **A link leads to a file that is there, and its anchor to a heading of that file.**

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every document of the repository.
fn documents(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            documents(&path, found);
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
}

/// A document without what is quoted in it.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let outside = |line: &&str| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    };
    text.lines().filter(outside).collect::<Vec<_>>().join("\n")
}

/// The targets of its links.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let after = prose.split("](").skip(1);
    after.filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect()
}

/// How a heading is linked to.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let kept = heading.trim_start_matches('#').trim().chars().filter(kept);
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn problem(document: &Path, link: &str) -> Option<String> {
    if link.contains("://") {
        return None;
    }
    let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
    let target = match path {
        "" => document.to_owned(),
        path => document.parent().unwrap().join(path),
    };
    if !target.exists() {
        return Some(format!("{}: {link} leads nowhere", document.display()));
    }
    if fragment.is_empty() || target.is_dir() {
        return None;
    }
    let text = prose(&fs::read_to_string(&target).unwrap());
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let mut anchors = headings.map(anchor);
    (!anchors.any(|a| a == fragment))
        .then(|| format!("{}: {link} names a heading that is not there", document.display()))
}

#[test]
fn every_link_leads_somewhere() {
    let mut found = Vec::new();
    documents(&root(), &mut found);
    assert!(found.len() > 10, "only {} documents were found", found.len());
    let mut problems = Vec::new();
    for document in found {
        let text = fs::read_to_string(&document).unwrap();
        problems.extend(links(&text).iter().filter_map(|link| problem(&document, link)));
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn a_broken_link_is_found() {
    let document = root().join("README.md");
    assert!(problem(&document, "docs/nowhere.md").is_some());
    assert!(problem(&document, "docs/energy.md#no-such-heading").is_some());
    assert_eq!(problem(&document, "docs/energy.md#guards"), None);
    assert_eq!(links("[a](b.md) ```\n[c](d.md)\n``` [e](f.md#g)").first().unwrap(), "b.md");
}

/// A feature is what a test shows: each test that docs/features.md names is there.
#[test]
fn every_test_that_a_feature_names_is_there() {
    let table = fs::read_to_string(root().join("docs/features.md")).unwrap();
    let mut names = 0;
    for name in table.split('`').skip(1).step_by(2) {
        if let Some((file, function)) = name.split_once("::") {
            let path = root().join(format!("tests/tests/{file}.rs"));
            let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(text.contains(&format!("fn {function}()")), "{name}");
            names += 1;
        } else if name.ends_with(".rs") {
            let places = [root().join(name), root().join("tests/tests").join(name)];
            assert!(places.iter().any(|place| place.exists()), "{name}");
        }
    }
    assert!(names > 20, "{names}");
}
