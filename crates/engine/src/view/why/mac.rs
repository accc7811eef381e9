//! Why a host is where it is.

use super::{Candidate, Fate, NOT_IMPORTED, Table, Why, counted, no_target, route_targets};
use crate::evi::Evi;
use crate::import::{Candidate as Offered, Target};
use crate::view::View;
use crate::view::routes::{Route, RoutePath};
use crate::view::vnis::count_macs;
use evpn_dataplane::object::{Change, FdbEntry, FdbKey, FdbTarget};
use evpn_proto::types::{MacAddr, RouteKey, Vni};
use evpn_rib::mac_vrf::{MacEntry, Remote};
use evpn_rib::table::DestId;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// VTEPs that a sentence names; the rest is counted.
const NAMED_MAX: usize = 3;

impl View<'_> {
    /// Why a host is forwarded to where it is, in one VNI or in all. Walks the whole table.
    pub fn why_mac(&self, mac: MacAddr, only: Option<Vni>) -> Why {
        let routes = self
            .routes_where(|key| matches!(key, RouteKey::MacIp { mac: other, .. } if *other == mac));
        let mut tables: BTreeMap<Vni, Vec<Candidate>> = BTreeMap::new();
        let mut nowhere = Vec::new();
        for evi in self.engine.evis.values().filter(|evi| only.is_none_or(|vni| evi.vni == vni)) {
            let local = self.local_host(evi, mac);
            if local.is_some() || evi.macs.mac(mac).is_some() {
                tables.entry(evi.vni).or_default().extend(local);
            }
        }
        for (id, route) in &routes {
            for path in route.paths.iter().filter(|path| path.peer.is_some()) {
                let targets = self.engine.index.targets(&path.attributes);
                let mut vnis: Vec<Vni> = targets.iter().filter_map(l2).collect();
                if let Some(only) = only {
                    vnis = vec![only];
                }
                for vni in &vnis {
                    let candidate = Candidate::beaten(route, path)
                        .unwrap_or_else(|| self.judge_host(*id, route, path, *vni));
                    tables.entry(*vni).or_default().push(candidate);
                }
                if vnis.is_empty() {
                    let reason = format!("no VNI imports {}", route_targets(path));
                    let beaten = Candidate::beaten(route, path);
                    let rejected = || Candidate::of(route, path, Fate::Rejected, reason);
                    nowhere.push(beaten.unwrap_or_else(rejected));
                }
            }
        }
        self.host_answer(mac, only, tables, nowhere)
    }

    fn host_answer(
        &self,
        mac: MacAddr,
        only: Option<Vni>,
        tables: BTreeMap<Vni, Vec<Candidate>>,
        nowhere: Vec<Candidate>,
    ) -> Why {
        let mut verdicts = Vec::new();
        let mut answered = Vec::new();
        for (vni, candidates) in tables {
            let mut table = Table::new(format!("VNI {vni}"), candidates);
            if let Some(evi) = self.engine.evis.get(&vni) {
                verdicts.extend(self.conclude(evi, mac, &mut table));
            }
            answered.push(table);
        }
        if !nowhere.is_empty() {
            answered.push(Table::new(NOT_IMPORTED.to_owned(), nowhere));
        }
        let reachable = !verdicts.is_empty();
        let verdict = if reachable {
            verdicts.join("; ")
        } else {
            let paths = answered.iter().map(|t| t.candidates.len()).sum();
            self.unknown_host(only, paths) + &self.unflooded(only, &answered)
        };
        Why { subject: mac.to_string(), verdict, reachable, tables: answered }
    }

    /// The nearest facts about a host that nothing forwards to.
    fn unknown_host(&self, only: Option<Vni>, rejected: usize) -> String {
        let known = match rejected {
            0 => "nothing is known of it".to_owned(),
            n => format!("none of {} for it is used", counted(n, "path")),
        };
        let Some(vni) = only else {
            let vnis = counted(self.engine.evis.len(), "VNI");
            return format!("{known}: frames to it are flooded ({vnis} up)");
        };
        let Some(evi) = self.engine.evis.get(&vni) else {
            return format!("{known}: {}", self.why_no_vni(vni));
        };
        let count = count_macs(&evi.macs);
        format!(
            "{known}: frames to it in VNI {vni} are flooded to {}; {} known there, {} here and {} \
             elsewhere",
            counted(evi.flood.len(), "VTEP"),
            counted(count.total(), "host"),
            count.local,
            count.remote
        )
    }

    /// The VTEPs that announce a host and take no flooded frames from us either; nothing if there
    /// are none.
    fn unflooded(&self, only: Option<Vni>, tables: &[Table]) -> String {
        let evis = self.engine.evis.values().filter(|evi| only.is_none_or(|vni| evi.vni == vni));
        let flooded: BTreeSet<IpAddr> = evis.flat_map(|evi| evi.flood.keys().copied()).collect();
        let candidates = tables.iter().flat_map(|table| &table.candidates);
        let announce: BTreeSet<IpAddr> = candidates.filter_map(|c| c.next_hop).collect();
        let mut left_out = announce.difference(&flooded).map(ToString::to_string);
        let named: Vec<String> = left_out.by_ref().take(NAMED_MAX).collect();
        let more = match left_out.count() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        match named.is_empty() {
            true => String::new(),
            false => {
                format!("; not to {}{more}: no flood route of theirs is used", named.join(", "))
            }
        }
    }

    fn why_no_vni(&self, vni: Vni) -> String {
        match self.engine.fabric.evis.get(&vni).map(|evi| &evi.state) {
            Some(Err(why)) => format!("VNI {vni} is down: {why}"),
            _ if self.settings().vrfs.iter().any(|vrf| vrf.l3vni == vni) => {
                format!("VNI {vni} is an L3VNI: ask for a prefix")
            }
            _ => {
                format!("VNI {vni} is not served here: evpnctl show evpn vni lists those that are")
            }
        }
    }

    /// What becomes of a route's best path in a VNI.
    fn judge_host(&self, id: DestId, route: &Route, path: &RoutePath, vni: Vni) -> Candidate {
        let (fate, reason) = self.fate_of_host(id, path, vni);
        Candidate::of(route, path, fate, reason)
    }

    fn fate_of_host(&self, id: DestId, path: &RoutePath, vni: Vni) -> (Fate, String) {
        let rejected = |why: String| (Fate::Rejected, why);
        let Some(evi) = self.engine.evis.get(&vni) else { return rejected(self.why_no_vni(vni)) };
        if !self.engine.index.targets(&path.attributes).contains(&Target::L2(vni)) {
            let imports = evi.import.texts(vni);
            return rejected(no_target(path, &format!("VNI {vni}"), &imports));
        }
        let dest = self.engine.ribs.evpn.table.get(id);
        let offered = dest.and_then(|dest| {
            let path = dest.best()?;
            let attributes = self.engine.ribs.evpn.store.get(path.attributes)?;
            Some((dest, Offered { id, dest, path, attributes }))
        });
        let Some((dest, offered)) = offered else { return rejected("it has just gone".into()) };
        if let Err(why) = offered.check_l2(vni, evi.devices.vtep) {
            return rejected(why.text());
        }
        let RouteKey::MacIp { mac, .. } = dest.key else { return rejected(String::new()) };
        let entry = evi.macs.mac(mac);
        let remote = entry.and_then(|e| e.remote.iter().find(|r| r.dest == id));
        match (entry, remote) {
            (Some(entry), Some(remote)) => among_remotes(evi, entry, remote),
            _ => rejected("it has just come and was not dealt with yet".into()),
        }
    }

    /// The host as the kernel has it here, with what becomes of that.
    fn local_host(&self, evi: &Evi, mac: MacAddr) -> Option<Candidate> {
        let entry = evi.macs.mac(mac);
        let port = self.port_of(evi, mac).unwrap_or("a port of ours");
        let at = format!("{mac} on {port} of bridge {}", evi.devices.bridge_name);
        if let Some(local) = entry.and_then(|e| e.local) {
            let sticky = if local.mobility.sticky { ", sticky" } else { "" };
            let sequence = local.mobility.sequence;
            let reason = format!("it is here, with mobility sequence {sequence}{sticky}");
            return Some(Candidate::local(Fate::Best, reason, at));
        }
        self.engine.hosts.macs.get(&(evi.devices.bridge, mac))?;
        let winner = entry.and_then(MacEntry::best_remote)?;
        let reason = format!(
            "the kernel has it here too, but {} announces it with mobility sequence {}{}",
            winner.vtep,
            winner.mobility.sequence,
            if winner.mobility.sticky { ", sticky" } else { ", and no move here was seen since" }
        );
        Some(Candidate::local(Fate::Lost, reason, at))
    }

    /// The winner's sentence and what the kernel is to hold; the verdict, if anything forwards to it.
    fn conclude(&self, evi: &Evi, mac: MacAddr, table: &mut Table) -> Option<String> {
        let vni = evi.vni;
        let entry = evi.macs.mac(mac)?;
        if entry.local.is_some() {
            let port = self.port_of(evi, mac).unwrap_or("a port of ours");
            table.winner = Some("a local host is forwarded to by the bridge itself".into());
            return Some(format!("frames to it in VNI {vni} go out of {port}"));
        }
        let best = remote_winner(evi, entry)?;
        table.winner = Some(why_best(evi, entry, best));
        table.vteps = vec![best.vtep];
        let entry = FdbEntry { to: FdbTarget::Vtep(best.vtep), sticky: best.mobility.sticky };
        table.intended = vec![Change::Fdb(FdbKey { device: evi.devices.vxlan, mac }, Some(entry))];
        Some(format!("frames to it in VNI {vni} go to VTEP {}", best.vtep))
    }
}

const fn l2(target: &Target) -> Option<Vni> {
    match target {
        Target::L2(vni) => Some(*vni),
        Target::L3(_) => None,
    }
}

fn remote_winner<'a>(evi: &Evi, entry: &'a MacEntry) -> Option<&'a Remote> {
    entry.best_remote().filter(|r| r.vtep != evi.devices.vtep)
}

fn why_best(evi: &Evi, entry: &MacEntry, best: &Remote) -> String {
    let rival = entry
        .remote
        .iter()
        .filter(|r| r.vtep != best.vtep && r.vtep != evi.devices.vtep)
        .max_by_key(|r| r.rank());
    match rival {
        None => format!("only {} announces it", best.vtep),
        Some(rival) => format!("{} wins over {}: {}", best.vtep, rival.vtep, by_what(best, rival)),
    }
}

/// By what one route counts more than another (RFC 7432 sections 15.1 and 15.2).
fn by_what(best: &Remote, other: &Remote) -> String {
    let (ours, theirs) = (best.mobility, other.mobility);
    if ours.sticky != theirs.sticky {
        "the address is sticky there (RFC 7432 section 15.2)".to_owned()
    } else if ours.sequence != theirs.sequence {
        let (a, b) = (ours.sequence, theirs.sequence);
        format!("higher mobility sequence, {a} against {b} (RFC 7432 section 15.1)")
    } else {
        format!(
            "equal mobility sequence {}, and the lower VTEP address (RFC 7432 section 15.1)",
            ours.sequence
        )
    }
}

fn among_remotes(evi: &Evi, entry: &MacEntry, remote: &Remote) -> (Fate, String) {
    let sequence = remote.mobility.sequence;
    if remote.vtep == evi.devices.vtep {
        return (Fate::Rejected, "its VTEP is our own".to_owned());
    }
    if let Some(local) = entry.local {
        let (ours, vtep) = (local.mobility, evi.devices.vtep);
        let reason = if ours.sticky && !remote.mobility.sticky {
            "the host is here, sticky".to_owned()
        } else if ours.sequence > sequence {
            format!("the host is here, mobility sequence {} against {sequence}", ours.sequence)
        } else {
            format!(
                "the host is here, equal mobility sequence {sequence}, and our VTEP {vtep} is lower"
            )
        };
        return (Fate::Lost, reason);
    }
    let Some(best) = remote_winner(evi, entry) else { return (Fate::Rejected, String::new()) };
    if best.dest == remote.dest {
        (Fate::Best, format!("mobility sequence {sequence}"))
    } else if best.vtep == remote.vtep {
        (Fate::Multipath, format!("it leads to the same VTEP, mobility sequence {sequence}"))
    } else {
        (Fate::Lost, format!("{} wins: {}", best.vtep, by_what(best, remote)))
    }
}
