//! What is said of a leaf's devices, from a leaf with one thing changed.

mod common;

use common::*;
use evpn_dataplane::facts::Link;
use evpn_dataplane::object::IfIndex;
use evpn_engine::fabric::{Evi, fabric};

/// What becomes of the L2VNI of leaf 1.
fn l2vni(links: &[Link]) -> Evi {
    fabric(&settings(1, &[2], Ases::Each), links).evis.remove(&vni(VNI)).unwrap()
}

fn link<'l>(links: &'l mut [Link], name: &str) -> &'l mut Link {
    links.iter_mut().find(|link| link.name == name).unwrap()
}

#[test]
fn control_of_a_leaf_as_it_should_be_nothing_is_said() {
    let evi = l2vni(&links(1));
    assert!(evi.state.is_ok(), "{evi:?}");
    assert_eq!(evi.warnings, Vec::<String>::new());
}

#[test]
fn an_uplink_that_is_too_narrow_for_the_hosts_of_a_bridge_is_named() {
    let mut links = links(1);
    link(&mut links, "eth0").mtu = 1500;
    let warnings = l2vni(&links).warnings;
    let [said] = &warnings[..] else { panic!("{warnings:?}") };
    assert!(said.starts_with("MTU short by 50: eth0 takes 1500, swp1 needs 1550"), "{said}");
}

#[test]
fn without_a_bridge_a_device_has_no_hosts_whose_frames_would_not_fit() {
    let mut links = links(1);
    link(&mut links, "eth0").mtu = 1600;
    let mut lo = link(&mut links, "eth0").clone();
    (lo.index, lo.name, lo.mtu) = (IfIndex(1), "lo".to_owned(), 65536);
    lo.addresses = vec![prefix("10.0.0.1/32")];
    links.push(lo);
    link(&mut links, "vx100").master = None;
    let evi = l2vni(&links);
    assert_eq!(
        evi.state,
        Err("vx100 is not a port of a bridge: ip link set vx100 master BRIDGE".to_owned())
    );
    assert_eq!(evi.warnings, Vec::<String>::new());
}
