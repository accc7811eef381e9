//! From changed best paths to whoever is to know: the VNIs that import them, and the groups of
//! neighbours.
//!
//! **A change is dealt with once, in the order of the families, and holds its route until then.**
//! Each family has its share of what is dealt with at a time: a neighbour that floods one does not
//! keep the others from their turn.

use crate::constraints;
use crate::engine::Engine;
use crate::import::{
    Candidate, Target, TargetSet, importable, leave_l2, leave_l3, mismatch, refused,
};
use crate::io::{Now, Output};
use crate::rib::Ribs;
use crate::tell::{fill_group, tell_groups, tell_others};
use evpn_proto::types::{Family, RouteKey};
use evpn_rib::table::{Dest, DestId};

impl Engine {
    /// Best paths changed: VNIs and groups hear of it, of every family.
    pub(crate) fn propagate_all(&mut self, budget: &mut usize) {
        for (family, left) in Ribs::FAMILIES.into_iter().zip((1..=Ribs::FAMILIES.len()).rev()) {
            let Some(rib) = self.ribs.get_mut(family) else { continue };
            let mut share = budget.div_ceil(left);
            let batch = share.min(rib.dirty.len());
            share -= batch;
            *budget -= batch;
            for id in rib.dirty.drain(..batch).collect::<Vec<_>>() {
                if family == Family::EVPN {
                    let is_flood = |d: &Dest| matches!(d.key, RouteKey::Imet { .. });
                    if self.ribs.evpn.table.get(id).is_some_and(is_flood) {
                        self.underlay.forget_fixed();
                    }
                    self.import(id);
                }
                if let Some(rib) = self.ribs.get_mut(family) {
                    tell_groups(rib, &self.wants, id);
                    rib.table.let_go(id);
                }
            }
            if let Some(rib) = self.ribs.get_mut(family) {
                *budget -= tell_others(rib, &self.wants, share);
            }
        }
    }

    /// Who wants other EVPN routes than before is told those and no longer the rest.
    pub(crate) fn fill_rewanted(&mut self, now: Now) {
        for peer in std::mem::take(&mut self.rewanted) {
            let up = self.peers.get_mut(peer).and_then(|p| p.up.as_mut());
            let Some(up) = up else { continue };
            let Some(key) = up.exchange(Family::EVPN).map(|exchange| exchange.group) else {
                continue;
            };
            if up.may_want_anew(now.time) {
                fill_group(&mut self.ribs.evpn, &self.wants, key);
            } else {
                self.rewanted.insert(peer);
            }
        }
    }

    /// Announces which routes we want.
    pub(crate) fn announce_wants(&mut self) {
        let now = constraints::our_wants(self.settings.asn, &self.evis, &self.vrfs);
        constraints::originate(&mut self.ribs.constraints, &self.our_wants, &now);
        self.our_wants = now;
    }

    /// Enters a route where its route targets lead, and takes it out where they no longer do.
    pub(crate) fn import(&mut self, id: DestId) {
        if self.evis.is_empty() && self.vrfs.is_empty() && self.imports.is_empty() {
            return;
        }
        let Some(dest) = self.ribs.evpn.table.get(id) else { return };
        let path = importable(dest);
        let attributes = path.and_then(|p| self.ribs.evpn.store.get(p.attributes));
        let mut entered = TargetSet::new();
        if let (Some(path), Some(attributes)) = (path, attributes) {
            let candidate = Candidate { id, dest, path, attributes };
            let targets = self.index.targets(attributes);
            for target in targets.iter().copied() {
                match target {
                    Target::L2(vni) => {
                        let Some(evi) = self.evis.get_mut(&vni) else { continue };
                        if let Err(why) = candidate.check_l2(vni, evi.devices.vtep) {
                            let event = refused(evi, &candidate, why);
                            self.outputs.extend(event.map(Output::Event));
                            continue;
                        }
                        candidate.enter_l2(evi, &mut self.changes);
                    }
                    Target::L3(place) => {
                        let Some(vrf) = self.vrfs.get_mut(&place) else { continue };
                        let ours = vrf.devices.vtep;
                        let Ok(prefix) = candidate.check_l3(vrf.settings.l3vni, ours) else {
                            continue;
                        };
                        let info = self.ribs.evpn.table.peer(path.peer);
                        let key = self.ribs.evpn.store.decision_key(path.attributes);
                        let (Some(info), Some(key)) = (info, key) else { continue };
                        candidate.enter_l3(vrf, info, key, prefix);
                    }
                }
                entered.push(target);
            }
            if targets.is_empty()
                && let Some(mismatch) = mismatch(&mut self.evis, &candidate)
            {
                self.outputs.push_back(Output::Event(mismatch));
            }
        }
        let former = self.imports.remove(&id).unwrap_or_default();
        for target in former.iter().filter(|t| !entered.contains(t)) {
            match target {
                Target::L2(vni) => {
                    if let Some(evi) = self.evis.get_mut(vni) {
                        leave_l2(evi, id, &dest.key, &mut self.changes);
                    }
                }
                Target::L3(place) => {
                    if let Some(vrf) = self.vrfs.get_mut(place) {
                        leave_l3(vrf, id, &dest.key);
                    }
                }
            }
        }
        if !entered.is_empty() {
            self.imports.insert(id, entered);
        }
    }
}
