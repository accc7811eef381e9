//! The negative control: bugs planted at the simulation's own seams are found, each for what it is.

use evpn_sim::{Plant, run};

/// A planted bug counts as found within so many seeds.
const SEEDS: u64 = 100;

/// Finds the bug with the first seed that can, and holds the same run without it against that.
fn is_caught(name: &str, symptom: &str) {
    let plant = Plant::named(name).unwrap();
    let violation = (0..SEEDS).find_map(|seed| run(seed, Some(plant)).err());
    let violation = violation.unwrap_or_else(|| panic!("{name} was not found"));
    let text = violation.to_string();
    assert!(text.contains(symptom), "{name} was found as something else: {text}");
    let command = format!("--seed {} --trace --plant {name}", violation.seed);
    assert!(text.contains(&command), "{text}");
    assert!(run(violation.seed, None).is_ok(), "it is not the plant that was found");
}

#[test]
fn a_sequence_that_was_not_on_disk_before_its_update_is_found() {
    is_caught("forgets-sequences", "has sequence 0, after 1");
}

#[test]
fn a_vxlan_half_that_stays_when_its_host_comes_here_is_found() {
    is_caught("keeps-vxlan-half", "is stale: Vtep");
}

#[test]
fn a_sweep_before_end_of_rib_is_found() {
    is_caught("sweeps-early", "deletes what is valid");
}

#[test]
fn news_that_were_lost_and_never_made_up_for_are_found() {
    is_caught("trusts-lost-news", "should be");
}
