//! Two leaves with one L2VNI and a host behind each: what most tests begin with.
//!
//! **Nothing connects the leaves but the underlay**: until somebody speaks EVPN on both, no packet
//! passes between the hosts.

use crate::evpnd::Evpnd;
use crate::fabric::{Fabric, Host, Leaf};
use crate::frr::{Frr, FrrBgp, FrrVersion};
use crate::wait::eventually;
use std::time::Duration;

/// The L2VNI of a pair.
pub const VNI: u32 = 100;
/// The bridge port of the VXLAN device of a pair.
pub const VXLAN: &str = "vx100";
/// Sessions come up and routes are exchanged long before.
pub const UP: Duration = Duration::from_secs(20);
/// The payload of a full-size frame of 1500 octets, less the headers of IPv4 and ICMP.
pub const FULL_IPV4: usize = 1472;
/// The same for IPv6.
pub const FULL_IPV6: usize = 1452;

/// Two leaves and a host behind each.
#[derive(Debug)]
pub struct Pair {
    /// 10.0.0.1 and 10.0.0.2.
    pub leaves: [Leaf; 2],
    /// 172.16.100.11 behind the first, .12 behind the second.
    pub hosts: [Host; 2],
    /// The last field: it goes last.
    pub fabric: Fabric,
}

impl Pair {
    /// Makes it.
    ///
    /// # Panics
    /// As [`Fabric::new`].
    #[track_caller]
    pub fn new(test: &str) -> Self {
        let mut fabric = Fabric::new(test);
        let leaves = [1, 2].map(|n| fabric.leaf(n));
        for leaf in &leaves {
            leaf.vni(VNI);
        }
        let [a, b] = &leaves;
        let hosts = [fabric.host("a", a, VNI, 11), fabric.host("b", b, VNI, 12)];
        Self { leaves, hosts, fabric }
    }

    /// Starts evpnd on both leaves, in autonomous systems of their own, with `more` configured.
    #[track_caller]
    pub fn start(&self, more: &str) -> [Evpnd; 2] {
        let [a, b] = &self.leaves;
        [a, b].map(|leaf| Evpnd::start(&self.fabric, leaf, &config(leaf.number, more)))
    }

    /// Fails the test unless the hosts reach each other, in both families and at full size.
    ///
    /// # Panics
    /// Where they do not.
    #[track_caller]
    pub fn reach_each_other(&self) {
        let [a, b] = &self.hosts;
        reach_each_other(a, b);
    }

    /// Fails the test if the hosts reach each other.
    ///
    /// # Panics
    /// Where they do.
    #[track_caller]
    pub fn control_nothing_connects(&self) {
        let [a, b] = &self.hosts;
        assert!(a.ns.ping(&b.ip, 56).is_err(), "control: nobody speaks EVPN, yet packets pass");
    }
}

/// The configuration of leaf 1 or 2 of a pair, in an autonomous system of its own.
pub fn config(number: u8, more: &str) -> String {
    let other = 3 - number;
    format!(
        "[router]\nas = 6500{number}\n[timers]\nconnect-retry = \"1s\"\n\
         [[neighbor]]\naddress = \"10.0.0.{other}\"\nas = 6500{other}\n{more}"
    )
}

/// Starts FRR 8.4 on a leaf with one neighbour and every VNI.
#[track_caller]
pub fn frr(fabric: &Fabric, leaf: &Leaf, own_as: u32, other: u8, other_as: u32) -> Frr {
    FrrVersion::Eight.start(fabric, leaf, "", &frr_leaf(leaf, own_as, (other, other_as)))
}

/// The configuration of bgpd on a leaf with one neighbour, by its number and AS, and every VNI.
pub fn frr_leaf(leaf: &Leaf, own_as: u32, neighbour: (u8, u32)) -> String {
    FrrBgp { own_as, neighbours: &[neighbour], is_leaf: true, ..FrrBgp::default() }
        .text(leaf.number)
}

/// Fails the test unless two hosts reach each other, in both families and at full size.
///
/// # Panics
/// Where they do not.
#[track_caller]
pub fn reach_each_other(a: &Host, b: &Host) {
    eventually(UP, "the hosts ping each other", || a.ns.ping(&b.ip, 56));
    for (from, to) in [(a, b), (b, a)] {
        eventually(UP, "a full-size IPv4 packet passes", || from.ns.ping(&to.ip, FULL_IPV4));
        eventually(UP, "a full-size IPv6 packet passes", || from.ns.ping(&to.ip6, FULL_IPV6));
    }
}
