//! What is said of a leaf's devices, from a leaf with one thing changed.

mod common;

use common::*;
use evpn_dataplane::facts::{KernelEvent, Link, LinkKind};
use evpn_dataplane::object::IfIndex;
use evpn_engine::fabric::{Evi, fabric};
use evpn_engine::settings::{AllVnis, Settings};
use evpn_engine::{Event, Input};

/// The devices of leaf 1, its loopback with the VTEP among them.
fn leaf() -> Vec<Link> {
    let mut links = links(1);
    let (index, name) = (IfIndex(1), "lo".to_owned());
    let lo = Link { index, name, mtu: 65536, addresses: vec![vtep(1).into()], ..links[0].clone() };
    links.push(lo);
    links
}

/// What becomes of the L2VNI of leaf 1.
fn l2vni(links: &[Link]) -> Evi {
    fabric(&settings(1, &[2], Ases::Each), links).evis.remove(&vni(VNI)).unwrap()
}

fn link<'l>(links: &'l mut [Link], name: &str) -> &'l mut Link {
    links.iter_mut().find(|link| link.name == name).unwrap()
}

#[test]
fn control_of_a_leaf_as_it_should_be_nothing_is_said() {
    let evi = l2vni(&leaf());
    assert!(evi.state.is_ok(), "{evi:?}");
    assert_eq!(evi.warnings, Vec::<String>::new());
}

#[test]
fn an_uplink_that_is_too_narrow_for_the_hosts_of_a_bridge_is_named() {
    let mut links = leaf();
    link(&mut links, "eth0").mtu = 1500;
    let warnings = l2vni(&links).warnings;
    let [said] = &warnings[..] else { panic!("{warnings:?}") };
    assert!(said.starts_with("MTU short by 50: eth0 takes 1500, swp1 needs 1550"), "{said}");
}

#[test]
fn without_a_bridge_a_device_has_no_hosts_whose_frames_would_not_fit() {
    let mut links = leaf();
    link(&mut links, "eth0").mtu = 1600;
    link(&mut links, "vx100").master = None;
    let evi = l2vni(&links);
    assert_eq!(
        evi.state,
        Err("vx100 is not a port of a bridge: ip link set vx100 master BRIDGE".to_owned())
    );
    assert_eq!(evi.warnings, Vec::<String>::new());
}

#[test]
fn a_device_toward_a_neighbor_that_became_a_port_is_to_leave_the_bridge() {
    let mut links = leaf();
    let uplink = link(&mut links, "eth0");
    (uplink.master, uplink.mtu) = (Some(BRIDGE), 1600);
    // No MTU of it is spoken of: it would have to be larger than itself.
    let said = "eth0 leads to a neighbor, and is a port of br100: ip link set eth0 nomaster";
    assert_eq!(l2vni(&links).warnings, [said]);
}

#[test]
fn a_vtep_that_is_on_no_device_is_named_and_keeps_no_vni_down() {
    let mut links = leaf();
    link(&mut links, "lo").addresses.clear();
    let evi = l2vni(&links);
    assert!(evi.state.is_ok(), "{evi:?}");
    let said =
        "vx100 sends from 10.0.0.1, which is on no device here: ip addr add 10.0.0.1/32 dev lo";
    assert_eq!(evi.warnings, [said]);
}

#[test]
fn a_vtep_that_differs_from_that_of_other_devices_is_to_be_theirs() {
    let mut links = leaf();
    let LinkKind::Vxlan(vxlan) = &mut link(&mut links, "vx100").kind else { panic!("no VXLAN") };
    vxlan.local = Some(vtep(9));
    let said = "vx100 sends from 10.0.0.9, which is on no device here, while other devices send from \
                10.0.0.1: ip link set vx100 type vxlan local 10.0.0.1";
    assert_eq!(l2vni(&links).warnings, [said]);
}

#[test]
fn where_a_device_has_no_local_address_that_of_the_settings_has_to_be_here() {
    let mut settings = settings(1, &[2], Ases::Each);
    settings.vtep = Some(vtep(9));
    let mut links = leaf();
    let LinkKind::Vxlan(vxlan) = &mut link(&mut links, "vx100").kind else { panic!("no VXLAN") };
    vxlan.local = None;
    let evi = fabric(&settings, &links).evis.remove(&vni(VNI)).unwrap();
    assert!(evi.warnings[0].ends_with("ip addr add 10.0.0.9/32 dev lo"), "{evi:?}");
}

#[test]
fn a_device_that_is_taken_away_is_said_to_be_gone_and_not_only_down() {
    let mut net = Net::mesh(2, Ases::Each, |_| {});
    let mut links = links(1);
    link(&mut links, "vx100").admin_up = false;
    net.kernel(0, vec![KernelEvent::Links(links.clone())]);
    links.retain(|link| link.name != "vx100");
    net.kernel(0, vec![KernelEvent::Links(links)]);
    let last = net.leaves[0].events.last().map(Event::to_string);
    assert_eq!(last.as_deref(), Some("VNI 100: vx100 is gone: the VNI is no longer served"));
}

#[test]
fn a_device_that_is_no_longer_to_be_served_is_not_said_to_be_gone() {
    let mut net = Net::mesh(2, Ases::Each, |_| {});
    let other = Settings { all_vnis: AllVnis::NamedOnly, ..settings(1, &[2], Ases::Each) };
    net.input(0, Input::Reconfigure(Box::new(other)));
    let told: Vec<String> = net.leaves[0].events.iter().map(Event::to_string).collect();
    assert!(net.view(0).vnis().iter().all(|vni| vni.fabric.vni != self::vni(VNI)));
    assert!(!told.iter().any(|text| text.contains("gone")), "{told:?}");
}
