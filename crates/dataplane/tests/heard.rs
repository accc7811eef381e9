//! **Hearsay never writes over a neighbour that routing wants**, and becomes the kernel's own.

mod common;

use common::*;
use evpn_dataplane::facts::KernelEvent;
use evpn_dataplane::heard::{Binding, HEARD_FOR, HEARD_MAX};
use evpn_dataplane::object::*;
use evpn_dataplane::observe::Observation;
use evpn_dataplane::op::Op;
use evpn_proto::types::MacAddr;
use std::net::IpAddr;

const HOST: &str = "192.0.2.9";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn says(address: &str, n: u32) -> Binding {
    Binding { address: ip(address), mac: mac(n) }
}

fn learn(address: &str, n: u32) -> Op {
    Op::Learn { device: BRIDGE, address: ip(address), mac: mac(n) }
}

fn key_of(address: &str) -> NeighbourKey {
    NeighbourKey { device: BRIDGE, address: ip(address) }
}

fn wants(address: &str, n: Option<u32>) -> Change {
    let value = n.map(|n| Neighbour { mac: mac(n), router: false });
    Change::Neighbour(key_of(address), value)
}

/// A bridge with an address.
fn bench() -> Bench {
    let mut b = Bench::new(Mode::Steady);
    for net in ["192.0.2.1/24", "2001:db8::1/64", "fe80::1/64"] {
        let address = net.parse().unwrap();
        b.r.observe(Observation::Address { device: BRIDGE, address });
    }
    let _ = b.news();
    b.r.tick(b.now);
    b
}

impl Bench {
    fn writes_after(&mut self, port: IfIndex, binding: Binding) -> Vec<Op> {
        self.r.heard(port, binding);
        self.run();
        self.kernel.take_log()
    }
}

#[test]
fn hosts_are_heard_on_access_ports_of_bridges_with_a_vxlan_port() {
    let mut b = bench();
    assert_eq!(b.r.access_ports(), [ACCESS]);
    assert_eq!(b.writes_after(VXLAN, says(HOST, 9)), [], "another leaf's host");
    assert_eq!(b.writes_after(L3_BRIDGE, says(HOST, 9)), []);
    b.kernel.add_port(30, "other", L3_BRIDGE.0);
    let _ = b.news();
    assert_eq!(b.r.access_ports(), [ACCESS], "a bridge without a VXLAN port");
}

#[test]
fn a_host_that_spoke_becomes_a_neighbour_of_the_kernels_and_a_fact_once() {
    let mut b = bench();
    assert_eq!(b.writes_after(ACCESS, says(HOST, 9)), [learn(HOST, 9)]);
    let told = KernelEvent::Neighbour { device: BRIDGE, address: ip(HOST), mac: mac(9) };
    assert_eq!(b.news(), [told]);
    assert_eq!(b.writes_after(ACCESS, says(HOST, 9)), [], "known");
    assert_eq!(b.writes_after(ACCESS, says(HOST, 8)), [learn(HOST, 8)], "another host has it now");
    b.assert_no_difference();
}

#[test]
fn what_cannot_be_a_hosts_address_here_is_not_believed() {
    let mut b = bench();
    for address in [
        "192.0.2.1",
        "198.51.100.9",
        "0.0.0.0",
        "255.255.255.255",
        "127.0.0.1",
        "224.0.0.1",
        "2001:db8::1",
        "2001:db9::9",
        "fe80::1",
        "::",
        "::1",
        "ff02::1",
    ] {
        assert_eq!(b.writes_after(ACCESS, says(address, 9)), [], "{address}");
    }
    for address in ["192.0.2.9", "2001:db8::9", "fe80::9"] {
        assert_eq!(b.writes_after(ACCESS, says(address, 9)), [learn(address, 9)]);
    }
    let multicast = Binding { address: ip("192.0.2.10"), mac: MacAddr([0xff; 6]) };
    assert_eq!(b.writes_after(ACCESS, multicast), []);
}

#[test]
fn a_bridge_without_an_address_of_a_family_has_hosts_with_any() {
    let mut b = bench();
    let address = "192.0.2.1/24".parse().unwrap();
    b.r.observe(Observation::AddressGone { device: BRIDGE, address });
    assert_eq!(b.writes_after(ACCESS, says("198.51.100.9", 9)), [learn("198.51.100.9", 9)]);
    assert_eq!(b.writes_after(ACCESS, says("2001:db9::9", 9)), [], "of IPv6 it has one");
}

#[test]
fn a_wanted_neighbour_stays_until_routing_gives_it_up() {
    let mut b = bench();
    b.want(wants(HOST, Some(1)));
    b.run();
    b.kernel.take_log();
    assert_eq!(b.writes_after(ACCESS, says(HOST, 1)), [], "its host moved: that is for routing");
    assert_eq!(b.writes_after(ACCESS, says(HOST, 9)), [], "its address moved to another host");
    b.want(wants(HOST, None));
    b.run();
    assert_eq!(b.kernel.take_log(), [learn(HOST, 9)], "and nothing is deleted");
    b.assert_no_difference();
}

#[test]
fn hearsay_is_forgotten_after_a_while() {
    let mut b = bench();
    b.want(wants(HOST, Some(1)));
    b.run();
    b.r.heard(ACCESS, says(HOST, 9));
    b.run();
    b.now = b.now + HEARD_FOR;
    b.want(wants(HOST, None));
    b.run();
    let log = b.kernel.take_log();
    assert!(!log.contains(&learn(HOST, 9)), "{log:?}");
}

#[test]
fn a_storm_of_addresses_fills_no_more_than_its_bound() {
    let mut b = bench();
    for n in 0..HEARD_MAX + 500 {
        let [.., c, d] = u32::try_from(n).unwrap().to_be_bytes();
        b.r.heard(ACCESS, says(&format!("2001:db8::{c:x}{d:02x}:1"), 9));
    }
    b.run();
    assert_eq!(b.kernel.take_log().len(), HEARD_MAX);
    assert_eq!(b.writes_after(ACCESS, says(HOST, 9)), [learn(HOST, 9)], "whoever speaks later");
}
