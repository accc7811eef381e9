//! One fixed value of every answer, for the tests of whoever shows or serves them.
//!
//! They are made to be awkward: long names, IPv6, sessions that are down for every classic reason.
//!
//! **Nothing in here depends on time, place or chance.**

mod bgp;
mod evpn;
mod site;
mod underlay;

pub use bgp::{bgp_vnis, neighbor, routes, summary};
pub use evpn::{
    arp, consistency_differs, consistency_ok, macs, vnis, why_mac, why_prefix, why_unknown,
};
pub use site::{
    effective_config, energy, energy_off, health_ready, health_waiting, log_level, reloaded,
    version,
};
pub use underlay::{ipv4_routes, ipv6_routes, rt_constraints};

use crate::Event;
use std::net::IpAddr;

/// An IPv4 address.
const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(std::net::Ipv4Addr::new(a, b, c, d))
}

fn event(ago_msec: u64, text: &str) -> Event {
    Event { ago_msec, text: text.to_owned() }
}

fn strings<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}
