//! What both sides of a comparison are given: the same devices in a fresh namespace.
//!
//! ```text
//!   speaker 10.0.0.2, 10.0.0.3 ── up0 ───── up0 ── 10.0.0.1 leaf: br100 ── vx100 (VNI 100)
//! ```
//!
//! **Two sites differ in nothing but what is done to them.**

use crate::Result;
use crate::netns::Netns;
use evpn_proto::types::{MacAddr, Vni};
use std::net::Ipv4Addr;

/// The leaf, in the underlay.
pub(crate) const LEAF: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// Speakers, in the underlay.
pub(crate) const SPEAKERS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 3)];
/// The VTEP that remote MACs are behind.
pub(crate) const REMOTE_VTEP: Ipv4Addr = SPEAKERS[0];
/// The leaf's AS.
pub(crate) const LEAF_AS: u32 = 65001;
/// The speakers' AS.
pub(crate) const SPEAKER_AS: u32 = 65000;
/// The VNI, by number.
const VNI: u32 = 100;
/// The first octets of the remote MACs; their number follows.
const MAC_PREFIX: [u8; 2] = [0x02, 0x42];

/// The VNI.
pub(crate) fn vni() -> Vni {
    Vni::new(VNI).expect("100 is a VNI")
}

/// The remote MAC of this number.
pub(crate) fn mac(number: u32) -> MacAddr {
    let ([p, q], [a, b, c, d]) = (MAC_PREFIX, number.to_be_bytes());
    MacAddr([p, q, a, b, c, d])
}

/// The number of a remote MAC.
pub(crate) fn number(mac: [u8; 6]) -> Option<u32> {
    let [p, q, number @ ..] = mac;
    ([p, q] == MAC_PREFIX).then(|| u32::from_be_bytes(number))
}

/// A leaf and its speakers' side.
#[derive(Debug)]
pub(crate) struct Site {
    /// With bridge and VXLAN device.
    pub(crate) leaf: Netns,
    /// With the speakers' addresses.
    pub(crate) core: Netns,
}

impl Site {
    /// Makes both.
    pub(crate) fn new() -> Result<Self> {
        let (leaf, core) = (Netns::new()?, Netns::new()?);
        leaf.batch(
            "ip",
            &format!(
                "link add up0 type veth peer name up0 netns {}
                 addr add {LEAF}/24 dev up0
                 link set up0 mtu 1600
                 link set up0 up
                 link add br{VNI} type bridge
                 link add vx{VNI} type vxlan id {VNI} dstport 4789 local {LEAF} nolearning
                 link set vx{VNI} mtu 1500
                 link set vx{VNI} master br{VNI}
                 link set vx{VNI} up
                 link set br{VNI} up",
                core.path()
            ),
        )?;
        leaf.batch("bridge", &format!("link set dev vx{VNI} learning off neigh_suppress on"))?;
        let [first, second] = SPEAKERS;
        core.batch(
            "ip",
            &format!(
                "link set up0 mtu 1600
                 addr add {first}/24 dev up0
                 addr add {second}/24 dev up0
                 link set up0 up"
            ),
        )?;
        Ok(Self { leaf, core })
    }

    /// A line of `bridge -batch` that does what evpnd does for a remote MAC.
    pub(crate) fn batch_line(number: u32) -> String {
        let mac = mac(number);
        format!("fdb add {mac} dev vx{VNI} dst {REMOTE_VTEP} self master extern_learn\n")
    }

    /// How many remote MACs the bridge has, and how many the VXLAN device, by `bridge fdb show`.
    pub(crate) fn count(&self) -> Result<(usize, usize)> {
        let [p, q] = MAC_PREFIX;
        let prefix = format!("{p:02x}:{q:02x}:");
        let text = self.leaf.output("bridge", &["fdb", "show", "dev", &format!("vx{VNI}")])?;
        let dst = format!("dst {REMOTE_VTEP} ");
        let ours = || text.lines().filter(|line| line.starts_with(&prefix));
        let bridge = ours().filter(|line| line.contains(&format!("master br{VNI}"))).count();
        let vxlan = ours().filter(|line| line.contains(&dst) && line.contains("self")).count();
        Ok((bridge, vxlan))
    }

    /// Removes the devices now, so that the kernel does not do it during the next measurement.
    pub(crate) fn tear_down(self) -> Result<()> {
        self.leaf.batch("ip", &format!("link del vx{VNI}\nlink del br{VNI}\nlink del up0"))
    }
}
