//! The way to other leaves and back.

use super::super::facts::{Facts, Families, Told};
use super::super::finding::{Finding, State};
use super::healthy::facts;
use super::{explained, link, unwell, vxlan};
use evpn_dataplane::facts::LinkKind;
use evpn_dataplane::object::IfIndex;

#[test]
fn a_device_toward_neighbors_that_became_a_port_is_to_leave_the_bridge() {
    let mut facts = facts();
    link(&mut facts, "up0").master = Some(IfIndex(10));
    let found = unwell(&facts);
    // Its MTU is none of a host's: it would have to be larger than itself.
    let [finding] = found.as_slice() else { panic!("{found:#?}") };
    assert_eq!((finding.check, finding.state), ("uplink-port", State::Wrong));
    assert_eq!(finding.found, "up0 master = br100");
    assert_eq!(finding.mend.as_deref(), Some("ip link set up0 nomaster"));
}

/// A leaf whose neighbors speak IPv4 unicast, and are told this.
fn telling(prefixes: &[&str]) -> Facts {
    let mut facts = facts();
    let prefixes = prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect();
    let families = Families { ipv4: true, ipv6: false };
    facts.intent.as_mut().unwrap().told = Told { families, prefixes, connected: false };
    facts
}

#[test]
fn a_vtep_that_no_neighbor_is_told_of_is_named_with_the_line_to_write() {
    let found = unwell(&telling(&["10.1.0.0/24"]));
    let [finding] = found.as_slice() else { panic!("{found:#?}") };
    assert_eq!((finding.check, finding.state), ("vtep-announced", State::Warning));
    assert_eq!(finding.found, "[unicast] announce = [\"10.1.0.0/24\"]");
    assert_eq!(finding.subject.as_deref(), Some("10.0.0.1"));
    let breaks = finding.breaks.as_deref().unwrap();
    assert!(breaks.contains("no neighbor is told of 10.0.0.1, the VTEP of vx100"), "{breaks}");
    assert!(breaks.ends_with("announce = [\"10.1.0.0/24\", \"10.0.0.1/32\"]"), "{breaks}");
    let mend = "editor /etc/evpnd/evpnd.toml && evpnctl config reload";
    assert_eq!(finding.mend.as_deref(), Some(mend));
    explained(&found);
}

#[test]
fn a_vtep_on_a_dummy_is_as_unknown_as_one_on_the_loopback() {
    let mut facts = telling(&[]);
    link(&mut facts, "lo").kind = LinkKind::Other("dummy".to_owned());
    link(&mut facts, "lo").name = "dummy0".to_owned();
    let found = unwell(&facts);
    assert_eq!(found.iter().map(|f| f.check).collect::<Vec<_>>(), ["vtep-announced"]);
}

#[test]
fn a_vtep_that_others_know_the_way_to_is_well() {
    let none = Vec::<Finding>::new();
    assert_eq!(unwell(&telling(&["10.0.0.1/32"])), none, "by itself");
    assert_eq!(unwell(&telling(&["10.0.0.0/24"])), none, "by a prefix around it");
    let mut connected = telling(&[]);
    connected.intent.as_mut().unwrap().told.connected = true;
    assert_eq!(unwell(&connected), none, "as an address of the loopback");
    let mut shared = telling(&[]);
    for name in ["vx100", "vx4000"] {
        vxlan(&mut shared, name).local = Some("192.0.2.1".parse().unwrap());
    }
    assert_eq!(unwell(&shared), none, "on the link to the neighbor");
}

#[test]
fn where_evpnd_does_not_route_the_underlay_nobody_has_to_be_told() {
    let mut facts = telling(&[]);
    facts.intent.as_mut().unwrap().told.families = Families { ipv4: false, ipv6: true };
    assert_eq!(unwell(&facts), vec![]);
}

#[test]
fn a_vtep_that_is_not_here_is_only_said_not_to_be_here() {
    let mut facts = telling(&[]);
    link(&mut facts, "lo").addresses.clear();
    assert!(unwell(&facts).iter().all(|finding| finding.check == "vtep-local"));
}
