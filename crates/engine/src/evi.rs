//! An L2VNI at work: its hosts, its flood list, and the routes that we originate for them.
//!
//! **What is announced and what is programmed follow from the MAC-VRF alone**; this file says with
//! which attributes and on which devices.

use crate::fabric::Devices;
use crate::io::{Event, Output, PersistRecord};
use crate::rib::Rib;
use crate::settings::{RouteTargetForm, Settings, Targets};
use evpn_dataplane::facts::MacOrigin;
use evpn_dataplane::object::{
    Change, Command, FdbEntry, FdbKey, FdbTarget, FloodKey, Neighbour, NeighbourKey,
};
use evpn_proto::bgp::attributes::{
    ENCAP_VXLAN, ExtCommunity, MacMobility, PathAttributes, PmsiTunnel,
};
use evpn_proto::types::{EthernetTag, Label, MacAddr, Rd, Route, RouteKey, RouteTarget, Vni};
use evpn_rib::mac_vrf::{Action, MacVrf, Sticky};
use evpn_rib::table::DestId;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// VTEPs of a VNI of whose route targets the log is told.
const TOLD_MAX: usize = 8;

/// An L2VNI that is up.
#[derive(Debug)]
pub(crate) struct Evi {
    pub(crate) vni: Vni,
    pub(crate) devices: Devices,
    pub(crate) rd: Rd,
    pub(crate) import: Targets,
    pub(crate) export: Vec<RouteTarget>,
    pub(crate) macs: MacVrf,
    /// VTEPs that take flooded frames, each with the routes that say so.
    pub(crate) flood: BTreeMap<IpAddr, Vec<DestId>>,
    /// Somebody announces this VNI in a way that cannot be used, and nobody in another.
    pub(crate) mismatch: Option<String>,
    /// VTEPs of whose route targets the log was told.
    told: BTreeSet<IpAddr>,
}

/// The targets that a VNI's routes are exported with.
pub(crate) fn export_targets(settings: &Settings, targets: &Targets, vni: Vni) -> Vec<RouteTarget> {
    let auto = match settings.route_target_form {
        RouteTargetForm::AsVni => RouteTarget::auto(settings.asn, vni),
        RouteTargetForm::Rfc8365 => RouteTarget::auto_rfc8365(settings.asn, vni),
    };
    let auto = Some(auto).filter(|_| targets.auto);
    auto.into_iter().chain(targets.explicit.iter().copied()).collect()
}

/// Attributes of a route of ours: next hop, targets, VXLAN.
pub(crate) fn base_attributes(vtep: IpAddr, export: &[RouteTarget]) -> PathAttributes {
    let mut attributes = PathAttributes::originated(vtep);
    let targets = export.iter().map(|rt| ExtCommunity::route_target(*rt));
    attributes.ext_communities = targets.chain([ExtCommunity::encap(ENCAP_VXLAN)]).collect();
    attributes
}

impl Evi {
    pub(crate) fn new(
        settings: &Settings,
        vni: Vni,
        devices: Devices,
        rd: Rd,
        sequences: impl IntoIterator<Item = (MacAddr, u32)>,
    ) -> Self {
        let exception = settings.vnis.get(&vni).cloned().unwrap_or_default();
        let export = export_targets(settings, &exception.export, vni);
        let macs = MacVrf::new(devices.vtep, sequences);
        Self {
            vni,
            devices,
            rd,
            import: exception.import,
            export,
            macs,
            flood: BTreeMap::new(),
            mismatch: None,
            told: BTreeSet::new(),
        }
    }

    fn imet_key(&self) -> RouteKey {
        RouteKey::Imet { rd: self.rd, etag: EthernetTag(0), originator: self.devices.vtep }
    }

    /// RFC 7432 section 11: tells others to send us copies of flooded frames.
    pub(crate) fn originate_imet(&self, rib: &mut Rib) {
        let mut attributes = base_attributes(self.devices.vtep, &self.export);
        let identifier = match self.devices.vtep {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        attributes.pmsi = Some(PmsiTunnel {
            flags: 0,
            tunnel_type: PmsiTunnel::INGRESS_REPLICATION,
            label: Label::from(self.vni),
            identifier: identifier.into(),
        });
        rib.originate(Route::bare(self.imet_key()), &Arc::new(attributes));
    }

    fn mac_key(&self, mac: MacAddr, ip: Option<IpAddr>) -> RouteKey {
        RouteKey::MacIp { rd: self.rd, etag: EthernetTag(0), mac, ip }
    }

    fn originate_mac(&self, rib: &mut Rib, key: RouteKey, mobility: MacMobility) {
        let mut attributes = base_attributes(self.devices.vtep, &self.export);
        // RFC 7432 section 7.7: a host that never moved carries no mobility community.
        if mobility != MacMobility::default() {
            attributes.ext_communities.push(ExtCommunity::with_mac_mobility(mobility));
        }
        let route = Route::labelled(key, Label::from(self.vni));
        rib.originate(route, &Arc::new(attributes));
    }

    /// Somebody announces this VNI in a way that cannot be used. Said once, and not where some VTEPs
    /// are imported.
    pub(crate) fn complain(&mut self, text: impl FnOnce() -> String) -> Option<Event> {
        if self.mismatch.is_some() || !self.flood.is_empty() {
            return None;
        }
        let text = text();
        self.mismatch = Some(text.clone());
        Some(Event::Vni(self.vni, text))
    }

    /// A VTEP announces this VNI with route targets that nothing here imports. Said once of each,
    /// and of the first [`TOLD_MAX`]: `show evpn vni` counts them all.
    pub(crate) fn complain_of_targets(
        &mut self,
        vtep: IpAddr,
        text: impl FnOnce(&Self) -> String,
    ) -> Option<Event> {
        if self.told.len() >= TOLD_MAX || !self.told.insert(vtep) {
            return None;
        }
        Some(Event::Vni(self.vni, text(self)))
    }

    /// A remote VTEP's flood route came (`Some`) or went.
    pub(crate) fn set_flood(
        &mut self,
        vtep: IpAddr,
        dest: DestId,
        present: bool,
    ) -> Option<Change> {
        let key = FloodKey { device: self.devices.vxlan, vtep };
        let routes = self.flood.entry(vtep).or_default();
        let had = !routes.is_empty();
        routes.retain(|d| *d != dest);
        if present {
            routes.push(dest);
            self.mismatch = None;
            self.told.remove(&vtep);
        }
        let has = !routes.is_empty();
        if !has {
            self.flood.remove(&vtep);
        }
        (had != has).then(|| Change::Flood(key, has.then_some(())))
    }

    /// A host behind one of our ports.
    pub(crate) fn local_mac(&mut self, mac: MacAddr, origin: MacOrigin) {
        let sticky = match origin {
            MacOrigin::Static => Sticky::Yes,
            MacOrigin::Learned => Sticky::No,
        };
        self.macs.local_learned(mac, sticky);
    }

    /// Carries out what the MAC-VRF decided. Persisted comes before announced.
    pub(crate) fn settle(
        &mut self,
        rib: &mut Rib,
        changes: &mut Vec<Change>,
        commands: &mut Vec<Command>,
        outputs: &mut impl Extend<Output>,
    ) {
        for action in self.macs.take_actions() {
            match action {
                Action::Persist(mac, sequence) => {
                    let record = PersistRecord::Sequence(self.vni, mac, sequence);
                    outputs.extend([Output::Persist(record)]);
                }
                Action::Program(mac, to) => changes.push(self.fdb(mac, to)),
                Action::ProgramNeighbour(ip, mac) => changes.push(self.neighbour(ip, mac)),
                Action::Announce(mac, ip, Some(mobility)) => {
                    self.originate_mac(rib, self.mac_key(mac, ip), mobility);
                }
                Action::Announce(mac, ip, None) => rib.end(&self.mac_key(mac, ip)),
                Action::Probe(address, mac) => {
                    let device = self.devices.bridge;
                    let probe = Command::ProbeNeighbour { device, address, mac };
                    commands.push(probe);
                }
                Action::Forget(address) => {
                    let device = self.devices.bridge;
                    let forget = Command::ForgetNeighbour { device, address };
                    commands.push(forget);
                }
            }
        }
    }

    fn fdb(&self, mac: MacAddr, to: Option<(IpAddr, Sticky)>) -> Change {
        let entry = to.map(|(vtep, sticky)| FdbEntry {
            to: FdbTarget::Vtep(vtep),
            sticky: sticky == Sticky::Yes,
        });
        Change::Fdb(FdbKey { device: self.devices.vxlan, mac }, entry)
    }

    fn neighbour(&self, address: IpAddr, mac: Option<MacAddr>) -> Change {
        let key = NeighbourKey { device: self.devices.bridge, address };
        let entry = mac.map(|mac| Neighbour { mac, router: false });
        Change::Neighbour(key, entry)
    }

    /// Takes back everything that was announced and programmed.
    pub(crate) fn tear_down(&mut self, rib: &mut Rib, changes: &mut Vec<Change>) {
        rib.end(&self.imet_key());
        let mut macs: Vec<_> = self.macs.macs().map(|(mac, _)| mac).collect();
        macs.sort_unstable();
        for mac in macs {
            rib.end(&self.mac_key(mac, None));
            changes.push(self.fdb(mac, None));
        }
        let mut ips: Vec<_> = self.macs.ips().map(|(ip, e)| (ip, e.local)).collect();
        ips.sort_unstable();
        for (ip, mac) in ips {
            if let Some(mac) = mac {
                rib.end(&self.mac_key(mac, Some(ip)));
            }
            changes.push(self.neighbour(ip, None));
        }
        for vtep in std::mem::take(&mut self.flood).into_keys() {
            let key = FloodKey { device: self.devices.vxlan, vtep };
            changes.push(Change::Flood(key, None));
        }
    }
}
