//! From the tables to the VNIs: which of them a route belongs to, by its route targets.
//!
//! **Where a route was imported is remembered, so that it leaves exactly where it entered**,
//! whatever has become of its attributes in between.

use crate::evi::Evi;
use crate::io::Event;
use crate::settings::Targets;
use crate::vrf::Vrf;
use evpn_dataplane::object::Change;
use evpn_proto::bgp::attributes::{ENCAP_VXLAN, PathAttributes, PmsiTunnel};
use evpn_proto::types::{Label, RouteKey, RouteTarget, Vni, can_be_vtep};
use evpn_rib::ip_vrf::PrefixPath;
use evpn_rib::mac_vrf::Remote;
use evpn_rib::table::{Dest, DestId, Path, PeerInfo};
use evpn_rib::{Map, PeerIdx};
use ipnet::IpNet;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Where a route is imported.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Target {
    /// An L2VNI.
    L2(Vni),
    /// A VRF, by its place in the settings.
    L3(usize),
}

pub(crate) type TargetSet = SmallVec<[Target; 2]>;

/// Which route targets lead where.
#[derive(Debug, Default)]
pub(crate) struct ImportIndex {
    explicit: Map<RouteTarget, TargetSet>,
    /// Automatic targets of whatever AS, by their VNI.
    auto: Map<Vni, Target>,
}

impl ImportIndex {
    pub(crate) fn new(evis: &BTreeMap<Vni, Evi>, vrfs: &BTreeMap<usize, Vrf>) -> Self {
        let mut index = Self::default();
        for evi in evis.values() {
            index.add(Target::L2(evi.vni), evi.vni, &evi.import);
        }
        for (place, vrf) in vrfs {
            index.add(Target::L3(*place), vrf.settings.l3vni, &vrf.import);
        }
        index
    }

    fn add(&mut self, target: Target, vni: Vni, import: &Targets) {
        if import.auto {
            self.auto.insert(vni, target);
        }
        for rt in &import.explicit {
            let entry = self.explicit.entry(*rt).or_default();
            if !entry.contains(&target) {
                entry.push(target);
            }
        }
    }

    /// Everything that the attributes' route targets lead to.
    pub(crate) fn targets(&self, attributes: &PathAttributes) -> TargetSet {
        let mut found = TargetSet::new();
        for rt in attributes.route_targets() {
            let auto = rt.auto_vni().and_then(|vni| self.auto.get(&vni));
            let explicit = self.explicit.get(&rt).into_iter().flatten();
            for target in auto.into_iter().chain(explicit) {
                if !found.contains(target) {
                    found.push(*target);
                }
            }
        }
        found
    }
}

/// Why a route of which a VNI has the route target is not imported there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unimported {
    /// Not VXLAN.
    Encapsulation(u16),
    /// A VTEP of IPv6 where ours is of IPv4, or the reverse: a VXLAN device sends by one of them.
    AddressFamily(IpAddr),
    /// Nothing says where flooded frames are to be sent.
    NoFloodTunnel,
    /// Another VNI in the label than ours: needs a downstream-assigned VNI, which is not served.
    Label(Label),
    /// No router's MAC community: nobody to send routed frames to.
    NoRouterMac,
    /// A gateway or segment to be resolved first (RFC 9136 section 4.2 to 4.4), which is not served.
    OverlayIndex,
    /// Not a kind of route that this VNI takes.
    Kind,
}

impl Unimported {
    pub(crate) fn text(self) -> String {
        match self {
            Self::Encapsulation(kind) => format!("its encapsulation is {kind}, not VXLAN (8)"),
            Self::AddressFamily(vtep) => {
                format!("its VTEP {vtep} and ours are of different address families")
            }
            Self::NoFloodTunnel => {
                "it names no PMSI tunnel for ingress replication (RFC 7432 section 11.2)".to_owned()
            }
            Self::Label(label) => {
                format!("its label is {label}: VNIs that differ from leaf to leaf are not served")
            }
            Self::NoRouterMac => "it has no router's MAC community".to_owned(),
            Self::OverlayIndex => {
                "it has a gateway or segment to be resolved first, which is not served".to_owned()
            }
            Self::Kind => "this kind of route is not for this VNI".to_owned(),
        }
    }
}

/// A route about to be imported.
pub(crate) struct Candidate<'a> {
    pub(crate) id: DestId,
    pub(crate) dest: &'a Dest,
    pub(crate) path: &'a Path,
    pub(crate) attributes: &'a PathAttributes,
}

impl Candidate<'_> {
    fn check_encapsulation(&self) -> Result<(), Unimported> {
        // RFC 8365 section 5.1.3: without the community the default is the operator's; here VXLAN.
        let mut all = self.attributes.encapsulations().peekable();
        match all.peek().copied() {
            Some(first) if all.all(|kind| kind != ENCAP_VXLAN) => {
                Err(Unimported::Encapsulation(first))
            }
            _ => Ok(()),
        }
    }

    fn check_label(&self, label: Label, vni: Vni) -> Result<(), Unimported> {
        if label == Label::from(vni) { Ok(()) } else { Err(Unimported::Label(label)) }
    }

    /// Whether an L2VNI takes it, in which our VTEP is `ours`.
    pub(crate) fn check_l2(&self, vni: Vni, ours: IpAddr) -> Result<(), Unimported> {
        self.check_encapsulation()?;
        match self.dest.key {
            RouteKey::MacIp { .. } => {
                self.check_label(self.path.label1, vni)?;
                check_family(self.attributes.next_hop, ours)
            }
            RouteKey::Imet { .. } => {
                check_family(self.flood_vtep().ok_or(Unimported::NoFloodTunnel)?, ours)
            }
            _ => Err(Unimported::Kind),
        }
    }

    /// Whether a VRF takes it, in which our VTEP is `ours`: a prefix, or a host with a second label
    /// (RFC 9135 section 4.1).
    pub(crate) fn check_l3(&self, l3vni: Vni, ours: IpAddr) -> Result<IpNet, Unimported> {
        self.check_encapsulation()?;
        let prefix = match self.dest.key {
            RouteKey::IpPrefix { prefix, .. } => {
                self.check_label(self.path.label1, l3vni)?;
                if self.path.has_overlay() {
                    return Err(Unimported::OverlayIndex);
                }
                prefix
            }
            RouteKey::MacIp { ip: Some(ip), .. } => {
                self.check_label(self.path.label2().ok_or(Unimported::Kind)?, l3vni)?;
                IpNet::from(ip)
            }
            _ => return Err(Unimported::Kind),
        };
        if self.attributes.router_mac().is_none_or(|mac| !mac.is_host()) {
            return Err(Unimported::NoRouterMac);
        }
        check_family(self.attributes.next_hop, ours)?;
        Ok(prefix)
    }

    /// Where flooded frames go: the end of the PMSI tunnel. RFC 7432 section 11.2: without the
    /// attribute nobody has asked for any.
    fn flood_vtep(&self) -> Option<IpAddr> {
        let tunnel = self.attributes.pmsi.as_ref();
        let replicated = tunnel.filter(|t| t.tunnel_type == PmsiTunnel::INGRESS_REPLICATION);
        let end = replicated.and_then(|t| {
            let octets = t.identifier.as_ref();
            let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
            v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
        });
        end.filter(|address| can_be_vtep(*address))
    }

    /// Brings it into an L2VNI.
    pub(crate) fn enter_l2(&self, evi: &mut Evi, changes: &mut Vec<Change>) {
        match self.dest.key {
            RouteKey::MacIp { mac, ip, .. } => {
                let mobility = self.attributes.mac_mobility().unwrap_or_default();
                let vtep = self.attributes.next_hop;
                evi.macs.remote_added(ip, Remote { dest: self.id, mac, vtep, mobility });
            }
            RouteKey::Imet { .. } => {
                let Some(vtep) = self.flood_vtep() else { return };
                leave_flood(evi, self.id, Some(vtep), changes);
                changes.extend(evi.set_flood(vtep, self.id, true));
            }
            _ => {}
        }
    }

    /// Brings it into a VRF.
    pub(crate) fn enter_l3(
        &self,
        vrf: &mut Vrf,
        info: &PeerInfo,
        key: &evpn_rib::attr_store::DecisionKey,
        prefix: IpNet,
    ) {
        let Some(router_mac) = self.attributes.router_mac() else { return };
        let path = PrefixPath {
            dest: self.id,
            source: info.source,
            router_id: info.router_id,
            peer: info.address,
            key: *key,
            vtep: self.attributes.next_hop,
            router_mac,
            bandwidth: self.attributes.link_bandwidth(),
        };
        vrf.table.added(prefix, path);
    }
}

/// A VXLAN device takes remote VTEPs of its own address family only.
fn check_family(vtep: IpAddr, ours: IpAddr) -> Result<(), Unimported> {
    if vtep.is_ipv4() == ours.is_ipv4() { Ok(()) } else { Err(Unimported::AddressFamily(vtep)) }
}

/// A flood route that a VNI has the route target of and does not take.
pub(crate) fn refused(evi: &mut Evi, candidate: &Candidate<'_>, why: Unimported) -> Option<Event> {
    let RouteKey::Imet { originator, .. } = candidate.dest.key else { return None };
    evi.complain(|| {
        format!("{originator} announces it, but nothing is flooded there: {}", why.text())
    })
}

/// A flood route that nobody imports although it is for a VNI of ours: the two sides' route targets
/// differ, which is the commonest reason for a VNI in which nothing gets through. Whether others'
/// match is no matter: between us and this VTEP nothing does.
pub(crate) fn mismatch(evis: &mut BTreeMap<Vni, Evi>, candidate: &Candidate<'_>) -> Option<Event> {
    let (vni, vtep) = announced_vni(&candidate.dest.key, candidate.attributes)?;
    evis.get_mut(&vni)?.complain_of_targets(vtep, |evi| {
        let targets = candidate.attributes.route_targets();
        let carries: Vec<String> = targets.map(|rt| rt.to_string()).collect();
        let carries = if carries.is_empty() { "none".to_owned() } else { carries.join(", ") };
        let imports = evi.import.texts(vni).join(", ");
        format!(
            "{vtep} announces it with route target {carries}, and {imports} is imported: add \
             the one to `import` of [[vni]] {vni}, or correct `export` there"
        )
    })
}

/// The VNI that a flood route is for whatever its route targets, by its PMSI tunnel's label, and who
/// announces it.
pub(crate) fn announced_vni(key: &RouteKey, attributes: &PathAttributes) -> Option<(Vni, IpAddr)> {
    let RouteKey::Imet { originator, .. } = key else { return None };
    Some((attributes.pmsi.as_ref()?.label.vni()?, *originator))
}

fn leave_flood(evi: &mut Evi, id: DestId, keep: Option<IpAddr>, changes: &mut Vec<Change>) {
    let here = |(vtep, routes): (&IpAddr, &Vec<DestId>)| {
        (routes.contains(&id) && Some(*vtep) != keep).then_some(*vtep)
    };
    let vteps: Vec<IpAddr> = evi.flood.iter().filter_map(here).collect();
    for vtep in vteps {
        changes.extend(evi.set_flood(vtep, id, false));
    }
}

/// Takes a route out of an L2VNI.
pub(crate) fn leave_l2(evi: &mut Evi, id: DestId, key: &RouteKey, changes: &mut Vec<Change>) {
    match key {
        RouteKey::MacIp { mac, ip, .. } => evi.macs.remote_removed(*mac, *ip, id),
        RouteKey::Imet { .. } => leave_flood(evi, id, None, changes),
        _ => {}
    }
}

/// Takes a route out of a VRF.
pub(crate) fn leave_l3(vrf: &mut Vrf, id: DestId, key: &RouteKey) {
    match key {
        RouteKey::IpPrefix { prefix, .. } => vrf.table.removed(*prefix, id),
        RouteKey::MacIp { ip: Some(ip), .. } => vrf.table.removed(IpNet::from(*ip), id),
        _ => {}
    }
}

/// Whether a path can be imported at all: it is the best one and not our own.
pub(crate) fn importable(dest: &Dest) -> Option<&Path> {
    dest.best().filter(|path| path.peer != PeerIdx::LOCAL)
}
