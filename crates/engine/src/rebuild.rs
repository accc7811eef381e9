//! VNIs come up, go down and change: what the engine does when the settings or the kernel's devices
//! are others.
//!
//! **A VNI whose devices and settings are as before is not touched**: nothing of it is withdrawn,
//! told again or taken out of the kernel.

use crate::engine::{Engine, announced};
use crate::evi::Evi;
use crate::fabric::{self, Fabric, fabric};
use crate::import::ImportIndex;
use crate::io::{Event, Output};
use crate::settings::Settings;
use crate::vrf::Vrf;
use evpn_proto::types::{Rd, Vni};
use std::collections::BTreeSet;

impl Engine {
    /// Recomputes which VNIs there are and brings up or down those that differ. What they announce is
    /// for the caller to say ([`Engine::choose_own_addresses`]).
    pub(crate) fn refresh_fabric(&mut self) {
        let wanted = fabric(&self.settings, &self.links);
        if wanted == self.fabric {
            return;
        }
        self.tell_fabric(&wanted);
        let before = std::mem::replace(&mut self.fabric, wanted);
        let served = self.fabric.vxlans();
        if served != before.vxlans() {
            self.outputs.push_back(Output::Serve(served));
        }
        let mut changed = false;
        let vnis: BTreeSet<Vni> =
            before.evis.keys().chain(self.fabric.evis.keys()).copied().collect();
        for vni in vnis {
            let state = |f: &Fabric| f.evis.get(&vni).and_then(|e| e.state.clone().ok());
            if state(&before) != state(&self.fabric) {
                changed |= self.replace_evi(vni, state(&self.fabric));
            }
        }
        for place in 0..before.vrfs.len().max(self.fabric.vrfs.len()) {
            let state = |f: &Fabric| f.vrfs.get(place).and_then(|e| e.state.clone().ok());
            if state(&before) != state(&self.fabric) {
                self.replace_vrf(place, state(&self.fabric));
                changed = true;
            }
        }
        if changed {
            self.reimport();
        }
    }

    /// Takes down and up again the VNIs whose settings have changed, and no others.
    pub(crate) fn rebuild_fabric(&mut self, before: &Settings) {
        let settings = &self.settings;
        // Route distinguishers and targets are made of these.
        let common = |s: &Settings| (s.asn, s.router_id, s.route_target_form);
        let every = common(before) != common(settings);
        let every_vrf = every || before.multipath != settings.multipath;
        let vnis = self.fabric.evis.keys().copied();
        let vnis: Vec<Vni> =
            vnis.filter(|vni| every || before.vnis.get(vni) != settings.vnis.get(vni)).collect();
        let places = 0..self.fabric.vrfs.len();
        let places: Vec<usize> = places
            .filter(|place| every_vrf || before.vrfs.get(*place) != settings.vrfs.get(*place))
            .collect();
        for vni in vnis {
            self.fabric.evis.remove(&vni);
            self.replace_evi(vni, None);
        }
        for place in places {
            if let Some(vrf) = self.fabric.vrfs.get_mut(place) {
                vrf.state = Err("its settings have changed".to_owned());
            }
            self.replace_vrf(place, None);
        }
        self.refresh_fabric();
    }

    fn tell_fabric(&mut self, wanted: &Fabric) {
        let every =
            |f: &Fabric| -> Vec<fabric::Evi> { f.evis.values().chain(&f.vrfs).cloned().collect() };
        let before = every(&self.fabric);
        for evi in every(wanted) {
            let was = before.iter().find(|b| b.vni == evi.vni);
            let problems = |e: &fabric::Evi| -> Vec<String> {
                e.state.as_ref().err().into_iter().chain(&e.warnings).cloned().collect()
            };
            let known = was.map(problems).unwrap_or_default();
            for problem in problems(&evi).into_iter().filter(|p| !known.contains(p)) {
                self.outputs.push_back(Output::Event(Event::Vni(evi.vni, problem)));
            }
        }
        self.tell_gone(wanted);
    }

    /// A VNI that nobody has named ends with its device. The kernel takes a device down before it
    /// takes it away, so that the last word would be that it is down.
    fn tell_gone(&mut self, wanted: &Fabric) {
        let is_there = |vni: Vni| self.links.iter().any(|link| fabric::vni_of(link) == Some(vni));
        let ended = self.fabric.evis.iter().filter(|(vni, _)| !wanted.evis.contains_key(vni));
        for (vni, evi) in ended.filter(|(vni, _)| !is_there(**vni)) {
            let Some(device) = &evi.device else { continue };
            let what = format!("{device} is gone: the VNI is no longer served");
            self.outputs.push_back(Output::Event(Event::Vni(*vni, what)));
        }
    }

    fn replace_evi(&mut self, vni: Vni, devices: Option<fabric::Devices>) -> bool {
        if let Some(mut evi) = self.evis.remove(&vni) {
            self.underlay.forget_fixed();
            self.sequences.entry(vni).or_default().extend(evi.macs.sequences());
            evi.tear_down(&mut self.ribs.evpn, &mut self.changes);
        }
        let Some(devices) = devices else { return true };
        let exception = self.settings.vnis.get(&vni).and_then(|v| v.rd);
        let rd = exception.unwrap_or_else(|| self.automatic_rd(vni));
        let sequences = self.sequences.get(&vni).cloned().unwrap_or_default();
        let bridge = devices.bridge;
        let mut evi = Evi::new(&self.settings, vni, devices, rd, sequences);
        evi.originate_imet(&mut self.ribs.evpn);
        for (mac, origin) in self.hosts.macs_of(bridge) {
            evi.local_mac(mac, origin);
        }
        for (address, mac) in self.hosts.neighbours_of(bridge) {
            if announced(address) {
                evi.macs.neighbour(address, mac);
            }
        }
        self.evis.insert(vni, evi);
        true
    }

    fn replace_vrf(&mut self, place: usize, devices: Option<fabric::Devices>) {
        if let Some(mut vrf) = self.vrfs.remove(&place) {
            vrf.tear_down(&mut self.ribs.evpn, &mut self.ids, &mut self.changes);
        }
        let Some(settings) = self.settings.vrfs.get(place) else { return };
        if let Some(devices) = devices {
            let rd = settings.rd.unwrap_or_else(|| self.automatic_rd(settings.l3vni));
            let vrf = Vrf::new(&self.settings, settings, devices, rd);
            self.vrfs.insert(place, vrf);
        }
    }

    /// RFC 7432 section 7.9: the router id and a number that is unique here: the VNI's low 16 bits,
    /// or the next that no lower VNI has.
    pub(crate) fn automatic_rd(&self, vni: Vni) -> Rd {
        let vnis = self.fabric.evis.keys().copied();
        let mut vnis: Vec<Vni> = vnis.chain(self.settings.vrfs.iter().map(|v| v.l3vni)).collect();
        vnis.sort_unstable();
        vnis.dedup();
        let mut taken = BTreeSet::new();
        for candidate in vnis {
            let [_, _, a, b] = candidate.get().to_be_bytes();
            let mut number = u16::from_be_bytes([a, b]);
            while !taken.insert(number) {
                number = number.wrapping_add(1);
            }
            if candidate == vni {
                return Rd::ipv4(self.settings.router_id, number);
            }
        }
        let [_, _, a, b] = vni.get().to_be_bytes();
        Rd::ipv4(self.settings.router_id, u16::from_be_bytes([a, b]))
    }

    /// Every route is looked at again: which VNIs take it may have changed. Each leaves where it no
    /// longer belongs when its turn comes, and not before: what stays is not touched.
    pub(crate) fn reimport(&mut self) {
        self.index = ImportIndex::new(&self.evis, &self.vrfs);
        self.reimports = self.ribs.evpn.table.iter().map(|(id, _)| id).collect();
        self.announce_wants();
    }
}
