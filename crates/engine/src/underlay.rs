//! Addresses that the underlay must keep reaching by itself: neighbours and VTEPs.
//!
//! **A received prefix is never programmed where it would lead the way to one of them into the
//! tunnels that need it**, whichever of the two was known first.

use crate::evi::Evi;
use crate::unicast;
use crate::vrf::Vrf;
use evpn_dataplane::object::IfIndex;
use evpn_proto::types::Vni;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The routing table by which the underlay forwards: `main`. Prefixes in other tables capture
/// nothing.
pub(crate) const UNDERLAY_TABLE: u32 = 254;

/// What the underlay must reach, and what it reaches by itself.
#[derive(Debug, Default)]
pub(crate) struct Underlay {
    /// Neighbours and VTEPs that take flooded frames: many to collect, and rarely another.
    fixed: BTreeSet<IpAddr>,
    is_fixed_known: bool,
    /// These, and every next hop of a received prefix.
    addresses: BTreeSet<IpAddr>,
    connected: Vec<(IfIndex, IpNet)>,
    /// What it reaches by its own unicast routes.
    unicast: BTreeSet<IpNet>,
    is_unicast_known: bool,
}

/// Whether what was decided before is to be looked at again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Underlaid {
    Moved,
    AsBefore,
}

impl Underlay {
    /// Neighbours or flood lists may have changed.
    pub(crate) fn forget_fixed(&mut self) {
        self.is_fixed_known = false;
    }

    /// Unicast routes have come or gone.
    pub(crate) fn forget_unicast(&mut self) {
        self.is_unicast_known = false;
    }

    /// Takes in what is known now.
    pub(crate) fn refresh(
        &mut self,
        neighbours: impl Iterator<Item = IpAddr>,
        evis: &BTreeMap<Vni, Evi>,
        vrfs: &BTreeMap<usize, Vrf>,
        connected: &[(IfIndex, IpNet)],
        unicast: &unicast::Fib,
    ) -> Underlaid {
        let concerns = |vrf: &Vrf| vrf.settings.table == UNDERLAY_TABLE;
        let unsettled = !self.is_fixed_known
            || !self.is_unicast_known
            || self.connected != connected
            || vrfs.values().any(|vrf| vrf.table.is_dirty());
        if !unsettled || !vrfs.values().any(concerns) {
            return Underlaid::AsBefore;
        }
        if !self.is_fixed_known {
            let flood = evis.values().flat_map(|e| e.flood.keys().copied());
            self.fixed = neighbours.chain(flood).collect();
            self.is_fixed_known = true;
        }
        let next_hops = vrfs.values().flat_map(|vrf| vrf.table.vteps());
        let addresses = self.fixed.iter().copied().chain(next_hops).collect();
        if self.addresses == addresses && self.connected == connected && self.is_unicast_known {
            return Underlaid::AsBefore;
        }
        self.addresses = addresses;
        self.connected = connected.to_vec();
        self.unicast = unicast.routes().map(|(prefix, _)| *prefix).collect();
        self.is_unicast_known = true;
        Underlaid::Moved
    }

    /// The address, if any, that a route to `prefix` in the underlay's table would capture: no
    /// connected prefix and no unicast route covers it more closely. A prefix to which there is a
    /// unicast route is the underlay's.
    pub(crate) fn captured_by(&self, prefix: &IpNet) -> Option<IpAddr> {
        if self.unicast.contains(prefix) {
            return Some(prefix.addr());
        }
        let covered = |address: &IpAddr| {
            let closer =
                |net: &IpNet| net.contains(address) && net.prefix_len() >= prefix.prefix_len();
            self.connected.iter().any(|(_, net)| closer(net)) || self.unicast.iter().any(closer)
        };
        self.addresses.iter().find(|a| prefix.contains(*a) && !covered(a)).copied()
    }
}
