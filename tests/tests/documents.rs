//! What the documents promise of themselves.
//!
//! **A link leads to a file that is there, and its anchor to a heading of that file.** Every feature
//! names a test that is there, and the list of decisions has each of them.

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

/// Whether a test of that name is there: `file::function` below `tests/tests`, or with its path
/// `folder/file.rs::function`.
fn is_a_test(name: &str) -> bool {
    let Some((file, function)) = name.split_once("::") else { return false };
    let path = if file.contains('/') { file.to_owned() } else { format!("tests/tests/{file}.rs") };
    let text = fs::read_to_string(root().join(path)).unwrap_or_default();
    text.replace("\n    ", "\n").contains(&format!("#[test]\nfn {function}()"))
}

/// What stands in a line between backticks.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// A feature is what a test shows: each that evpnd has names one, and each that is named is there.
#[test]
fn every_feature_names_a_test_that_is_there() {
    let text = fs::read_to_string(root().join("docs/features.md")).unwrap();
    let (mut names, mut problems) = (0, Vec::new());
    for line in text.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [feature, evpnd, _, shown] = cells[..] else {
            problems.push(format!("not four columns: {line}"));
            continue;
        };
        let is_heading = feature.starts_with("**");
        let elsewhere = shown.starts_with("the same") || shown.starts_with("the demo");
        let tests: Vec<&str> = quoted(shown).collect();
        if tests.is_empty() && !elsewhere && !is_heading && evpnd != "no" {
            problems.push(format!("nothing shows it: {line}"));
        }
        names += tests.len();
        let missing = tests.iter().filter(|name| !is_a_test(name));
        problems.extend(missing.map(|name| format!("no such test: {name}")));
    }
    assert!(problems.is_empty(), "{problems:#?}");
    assert!(names > 50, "{names}");
}

#[test]
fn a_test_that_is_not_there_is_found() {
    assert!(is_a_test("documents::a_test_that_is_not_there_is_found"));
    assert!(is_a_test("proto/tests/cases.rs::every_case_gets_a_verdict_that_is_right"));
    // A function that is no test, one that is nowhere, and a file that is nowhere.
    for name in ["documents::root", "documents::nowhere", "nowhere::nothing", "documents"] {
        assert!(!is_a_test(name), "{name}");
    }
}

/// The pages of decisions by their numbers, and the rows of their list.
#[test]
fn every_decision_is_in_the_list_once() {
    let folder = root().join("docs/adr");
    let names = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
    let pages: Vec<String> = names.filter_map(|name| name.into_string().ok()).collect();
    let mut pages: Vec<String> = pages.into_iter().filter(|name| name != "README.md").collect();
    pages.sort();
    let list = fs::read_to_string(folder.join("README.md")).unwrap();
    let rows: Vec<&str> = list.lines().filter(|line| line.starts_with("| [")).collect();
    assert_eq!(pages.len(), rows.len());
    for (index, (page, row)) in pages.iter().zip(rows).enumerate() {
        let number = format!("{:04}", index + 1);
        let title = fs::read_to_string(folder.join(page)).unwrap();
        let title = title.lines().next().unwrap_or_default();
        let title = title.strip_prefix(&format!("# {number}: ")).unwrap_or_else(|| {
            panic!("{page} is not number {number}: {title}");
        });
        assert_eq!(row, format!("| [{number}]({page}) | {title} |"));
    }
}
