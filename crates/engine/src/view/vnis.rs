//! VNIs: whether they work, and what they hold.

use super::View;
use crate::evi::export_targets;
use crate::fabric;
use crate::import::{announced_vni, importable};
use crate::settings::{Targets, VrfSettings};
use evpn_proto::types::{Rd, RouteKey, RouteTarget, Vni as Number};
use evpn_rib::mac_vrf::{MacEntry, MacVrf};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A VNI, up or down.
#[derive(Clone, Debug)]
pub struct Vni<'a> {
    /// Its devices, what keeps it down, and what else is wrong.
    pub fabric: &'a fabric::Evi,
    /// The VRF of an L3VNI; none of an L2VNI.
    pub vrf: Option<&'a VrfSettings>,
    /// Its route distinguisher, also while it is down.
    pub rd: Rd,
    /// By which targets routes are imported.
    pub import: Targets,
    /// With which targets routes are exported.
    pub export: Vec<RouteTarget>,
    /// MAC addresses of an L2VNI.
    pub macs: Count,
    /// IP addresses of an L2VNI.
    pub ips: Count,
    /// VTEPs that flooded frames are copied to, sorted.
    pub flood_vteps: Vec<IpAddr>,
    /// Somebody announces an L2VNI in a way that cannot be used, and nobody in another: who, and
    /// why it cannot.
    pub mismatch: Option<&'a str>,
    /// Prefixes of an L3VNI: ours, and those that are programmed.
    pub prefixes: Count,
}

/// A VTEP that announces an L2VNI of ours with route targets that nothing here imports.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Unimported {
    /// The originator of its type 3 route.
    pub vtep: IpAddr,
    /// What it carries.
    pub targets: Vec<RouteTarget>,
}

/// How many are here and how many elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Count {
    /// Here.
    pub local: usize,
    /// Elsewhere.
    pub remote: usize,
}

impl Count {
    /// Both.
    pub const fn total(self) -> usize {
        self.local.saturating_add(self.remote)
    }
}

impl<'a> View<'a> {
    /// Every VNI by its number, L2VNIs first. Counts the hosts of each one by one.
    pub fn vnis(&self) -> Vec<Vni<'a>> {
        let fabric = &self.engine.fabric;
        let l2 = fabric.evis.values().map(|evi| self.l2(evi));
        let l3 = fabric.vrfs.iter().zip(&self.settings().vrfs).enumerate();
        let mut l3: Vec<_> = l3.map(|(place, (evi, vrf))| self.l3(place, evi, vrf)).collect();
        l3.sort_by_key(|vni| vni.fabric.vni);
        l2.chain(l3).collect()
    }

    /// Who announces an L2VNI that is up here with route targets that nothing here imports, each
    /// VTEP once, sorted. Walks the whole table: the routes are in no other place.
    pub fn unimported(&self) -> BTreeMap<Number, Vec<Unimported>> {
        let rib = &self.engine.ribs.evpn;
        let mut found: BTreeMap<Number, Vec<Unimported>> = BTreeMap::new();
        for (_, dest) in rib.table.iter().filter(|(_, d)| matches!(d.key, RouteKey::Imet { .. })) {
            let attributes = importable(dest).and_then(|path| rib.store.get(path.attributes));
            let Some(attributes) = attributes else { continue };
            let Some((vni, vtep)) = announced_vni(&dest.key, attributes) else { continue };
            let is_up = self.engine.evis.contains_key(&vni);
            if is_up && self.engine.index.targets(attributes).is_empty() {
                let targets = attributes.route_targets().collect();
                found.entry(vni).or_default().push(Unimported { vtep, targets });
            }
        }
        for vteps in found.values_mut() {
            vteps.sort_unstable();
            vteps.dedup_by_key(|unimported| unimported.vtep);
        }
        found
    }

    fn l2(&self, fabric: &'a fabric::Evi) -> Vni<'a> {
        let vni = fabric.vni;
        let settings = self.settings().vnis.get(&vni).cloned().unwrap_or_default();
        let evi = self.engine.evis.get(&vni);
        let rd = evi.map(|evi| evi.rd).or(settings.rd);
        Vni {
            fabric,
            vrf: None,
            rd: rd.unwrap_or_else(|| self.engine.automatic_rd(vni)),
            export: export_targets(self.settings(), &settings.export, vni),
            import: settings.import,
            macs: evi.map(|evi| count_macs(&evi.macs)).unwrap_or_default(),
            ips: evi.map(|evi| count_ips(&evi.macs)).unwrap_or_default(),
            flood_vteps: evi.map(|evi| evi.flood.keys().copied().collect()).unwrap_or_default(),
            mismatch: evi.and_then(|evi| evi.mismatch.as_deref()),
            prefixes: Count::default(),
        }
    }

    fn l3(&self, place: usize, fabric: &'a fabric::Evi, settings: &'a VrfSettings) -> Vni<'a> {
        let vni = fabric.vni;
        let vrf = self.engine.vrfs.get(&place);
        let rd = vrf.map(|vrf| vrf.rd).or(settings.rd);
        let prefixes =
            vrf.map(|vrf| Count { local: vrf.announced.len(), remote: vrf.fib.prefixes().count() });
        Vni {
            fabric,
            vrf: Some(settings),
            rd: rd.unwrap_or_else(|| self.engine.automatic_rd(vni)),
            export: export_targets(self.settings(), &settings.export, vni),
            import: settings.import.clone(),
            macs: Count::default(),
            ips: Count::default(),
            flood_vteps: Vec::new(),
            mismatch: None,
            prefixes: prefixes.unwrap_or_default(),
        }
    }
}

pub(crate) fn count_macs(macs: &MacVrf) -> Count {
    let places = macs.macs().map(|(_, entry)| entry);
    places.fold(Count::default(), |count, entry| match entry {
        MacEntry { local: Some(_), .. } => Count { local: count.local + 1, ..count },
        entry if entry.remote.is_empty() => count,
        _ => Count { remote: count.remote + 1, ..count },
    })
}

fn count_ips(macs: &MacVrf) -> Count {
    let places = macs.ips().map(|(_, entry)| entry);
    places.fold(Count::default(), |count, entry| match (entry.local, entry.remote.is_empty()) {
        (Some(_), _) => Count { local: count.local + 1, ..count },
        (None, true) => count,
        (None, false) => Count { remote: count.remote + 1, ..count },
    })
}
