//! Hosts of L2VNIs: their MAC and IP addresses, in pages.
//!
//! **A host is shown where it is forwarded to**: here, or at the VTEP of the route that counts.

use super::{View, smallest};
use crate::evi::Evi;
use evpn_proto::types::{Esi, MacAddr, Vni};
use evpn_rib::mac_vrf::{IpEntry, MacEntry, MacVrf, Remote};
use evpn_rib::table::DestId;
use std::net::IpAddr;

/// A page of hosts, and the last one's name if there are more.
#[derive(Debug)]
pub struct Hosts<T, K> {
    /// The hosts, sorted by VNI and address.
    pub hosts: Vec<T>,
    /// Where the next page begins: after this one.
    pub next: Option<(Vni, K)>,
}

/// A MAC address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mac<'a> {
    /// Its VNI.
    pub vni: Vni,
    /// The address.
    pub mac: MacAddr,
    /// Where it is.
    pub place: Place<'a>,
    /// Our mobility sequence (RFC 7432 section 15); 0 if we announce none.
    pub local_sequence: u32,
    /// The best remote one; 0 if there is none.
    pub remote_sequence: u32,
    /// It must not move (RFC 7432 section 15.2).
    pub sticky: bool,
}

/// Where a host is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place<'a> {
    /// Behind this port of ours, where its name is known.
    Local(Option<&'a str>),
    /// There.
    Remote {
        /// The VTEP.
        vtep: IpAddr,
        /// The segment; zero for a single-homed host.
        esi: Esi,
    },
}

/// An IP address of a host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    /// Its VNI.
    pub vni: Vni,
    /// The address.
    pub ip: IpAddr,
    /// Whose.
    pub mac: MacAddr,
    /// The VTEP of a remote one; none of a local one.
    pub vtep: Option<IpAddr>,
    /// Whether the binding is in force: the host itself is known at that place.
    pub active: bool,
    /// Our mobility sequence of the host; 0 if we announce none.
    pub local_sequence: u32,
    /// The best remote one of the address; 0 if there is none.
    pub remote_sequence: u32,
}

impl<'a> View<'a> {
    /// At most `limit` MAC addresses after the last one of the page before, of one VNI or of all.
    pub fn macs(
        &self,
        vni: Option<Vni>,
        after: Option<(Vni, MacAddr)>,
        limit: usize,
    ) -> Hosts<Mac<'a>, MacAddr> {
        let known = |entry: &MacEntry| entry.local.is_some() || !entry.remote.is_empty();
        let keys =
            |evi: &'a Evi| evi.macs.macs().filter(move |(_, e)| known(e)).map(|(mac, _)| mac);
        self.page(vni, after, limit, keys, |evi, mac| self.mac(evi, mac))
    }

    /// At most `limit` IP addresses after the last one of the page before, of one VNI or of all.
    pub fn addresses(
        &self,
        vni: Option<Vni>,
        after: Option<(Vni, IpAddr)>,
        limit: usize,
    ) -> Hosts<Address, IpAddr> {
        let keys = |evi: &'a Evi| evi.macs.ips().map(|(ip, _)| ip);
        self.page(vni, after, limit, keys, address)
    }

    fn page<K: Ord + Copy, T, I: Iterator<Item = K>>(
        &self,
        vni: Option<Vni>,
        after: Option<(Vni, K)>,
        limit: usize,
        keys: impl Fn(&'a Evi) -> I,
        row: impl Fn(&'a Evi, K) -> Option<T>,
    ) -> Hosts<T, K> {
        let mut page = Hosts { hosts: Vec::new(), next: None };
        let mut last = None;
        for evi in self.engine.evis.values().filter(|evi| vni.is_none_or(|vni| evi.vni == vni)) {
            let begins = after.filter(|(vni, _)| *vni >= evi.vni);
            if begins.is_some_and(|(vni, _)| vni > evi.vni) {
                continue;
            }
            let rest = keys(evi).filter(|key| begins.is_none_or(|(_, after)| *key > after));
            let (found, more) = smallest(rest, limit.saturating_sub(page.hosts.len()));
            for key in found {
                page.hosts.extend(row(evi, key));
                last = Some((evi.vni, key));
            }
            if more {
                page.next = last;
                break;
            }
        }
        page
    }

    fn mac(&self, evi: &'a Evi, mac: MacAddr) -> Option<Mac<'a>> {
        let entry = evi.macs.mac(mac)?;
        let remote = entry.best_remote();
        let place = match (entry.local, remote) {
            (Some(_), _) => Place::Local(self.port_of(evi, mac)),
            (None, remote) => {
                let remote = remote?;
                Place::Remote { vtep: remote.vtep, esi: self.esi(remote.dest) }
            }
        };
        let sticky = match entry.local {
            Some(local) => local.mobility.sticky,
            None => remote.is_some_and(|r| r.mobility.sticky),
        };
        Some(Mac {
            vni: evi.vni,
            mac,
            place,
            local_sequence: entry.local.map_or(0, |l| l.mobility.sequence),
            remote_sequence: remote.map_or(0, |r| r.mobility.sequence),
            sticky,
        })
    }

    /// The name of the port that the kernel has a host behind.
    pub(crate) fn port_of(&self, evi: &Evi, mac: MacAddr) -> Option<&'a str> {
        let host = self.engine.hosts.macs.get(&(evi.devices.bridge, mac))?;
        let link = self.engine.links.iter().find(|link| link.index == host.port)?;
        Some(&link.name)
    }

    fn esi(&self, id: DestId) -> Esi {
        let table = &self.engine.ribs.evpn.table;
        let esi = table.get(id).and_then(|dest| Some(table.route(dest, dest.best()?).esi));
        esi.unwrap_or_default()
    }
}

/// The remote route of an address that counts.
pub(crate) fn best_remote(entry: &IpEntry) -> Option<&Remote> {
    entry.remote.iter().max_by_key(|r| r.rank())
}

fn local_sequence(macs: &MacVrf, mac: MacAddr) -> Option<u32> {
    Some(macs.mac(mac)?.local?.mobility.sequence)
}

pub(super) fn address(evi: &Evi, ip: IpAddr) -> Option<Address> {
    let entry = evi.macs.ip(ip)?;
    let remote = best_remote(entry);
    let here = entry.local.and_then(|mac| Some((mac, local_sequence(&evi.macs, mac)?)));
    let remote_sequence = remote.map_or(0, |r| r.mobility.sequence);
    let row = Address {
        vni: evi.vni,
        ip,
        mac: MacAddr::ZERO,
        vtep: None,
        active: true,
        local_sequence: 0,
        remote_sequence,
    };
    Some(match (here, remote, entry.local) {
        (Some((mac, local_sequence)), ..) => Address { mac, local_sequence, ..row },
        (None, Some(remote), _) => {
            // A host that moved here and has not been heard of under this address is asked for it.
            let active = local_sequence(&evi.macs, remote.mac).is_none();
            Address { mac: remote.mac, vtep: Some(remote.vtep), active, ..row }
        }
        (None, None, mac) => Address { mac: mac?, active: false, ..row },
    })
}
