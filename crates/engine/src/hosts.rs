//! The hosts that the kernel has told of, also those of bridges that serve no VNI (yet).
//!
//! **What a VNI is given when it comes up is what it would have been told had it been up all along.**

use evpn_dataplane::facts::MacOrigin;
use evpn_dataplane::object::IfIndex;
use evpn_proto::types::MacAddr;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// How the kernel has a host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Host {
    /// The port that it is behind.
    pub(crate) port: IfIndex,
    pub(crate) origin: MacOrigin,
}

#[derive(Debug, Default)]
pub(crate) struct Hosts {
    pub(crate) macs: BTreeMap<(IfIndex, MacAddr), Host>,
    pub(crate) neighbours: BTreeMap<(IfIndex, IpAddr), MacAddr>,
}

impl Hosts {
    pub(crate) fn macs_of(&self, bridge: IfIndex) -> impl Iterator<Item = (MacAddr, MacOrigin)> {
        let from = (bridge, MacAddr::ZERO);
        let theirs = self.macs.range(from..).take_while(move |((b, _), _)| *b == bridge);
        theirs.map(|((_, mac), host)| (*mac, host.origin))
    }

    pub(crate) fn neighbours_of(&self, bridge: IfIndex) -> impl Iterator<Item = (IpAddr, MacAddr)> {
        let theirs = self.neighbours.iter().filter(move |((b, _), _)| *b == bridge);
        theirs.map(|((_, address), mac)| (*address, *mac))
    }
}
