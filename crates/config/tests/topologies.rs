//! The configurations that ship with the topologies are valid.

use evpn_config::{Source, load};
use std::path::{Path, PathBuf};

fn configurations(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            configurations(&path, found);
        } else if path.file_name().is_some_and(|name| name == "evpnd.toml") {
            found.push(path);
        }
    }
}

#[test]
fn every_topology_has_a_valid_configuration() {
    let mut found = Vec::new();
    configurations(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../topologies"), &mut found);
    assert!(!found.is_empty());
    for path in found {
        let text = std::fs::read_to_string(&path).expect("a text");
        if let Err(errors) = load(&[Source::new(path.display().to_string(), text)]) {
            panic!("{}", errors.report());
        }
    }
}
