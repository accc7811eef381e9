//! An L3VNI at work: the prefixes that we announce, and those that we route to.

use crate::evi::{base_attributes, export_targets};
use crate::fabric::Devices;
use crate::fib::{Fib, Ids};
use crate::own_address::own_addresses;
use crate::rib::Rib;
use crate::settings::{Settings, Targets, VrfSettings};
use crate::underlay::{UNDERLAY_TABLE, Underlay};
use evpn_dataplane::facts::Link;
use evpn_dataplane::object::{Change, IfIndex};
use evpn_energy::Lever;
use evpn_proto::bgp::attributes::{Community, ExtCommunity, PathAttributes};
use evpn_proto::types::{
    EthernetTag, Label, Rd, Route, RouteKey, RouteTarget, Time, is_link_local,
};
use evpn_rib::ip_vrf::{Hops, IpVrf};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// What a prefix of ours says of the site's energy.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Advertised {
    /// What the level does.
    pub lever: Lever,
    /// Link bandwidth in octets a second.
    pub bandwidth: f32,
}

/// A VRF that is up.
#[derive(Debug)]
pub(crate) struct Vrf {
    pub(crate) settings: VrfSettings,
    pub(crate) devices: Devices,
    pub(crate) rd: Rd,
    pub(crate) import: Targets,
    pub(crate) export: Vec<RouteTarget>,
    pub(crate) table: IpVrf,
    pub(crate) fib: Fib,
    /// Addresses of the switch itself to announce, untouched by any level.
    pub(crate) own: BTreeSet<IpNet>,
    /// Prefixes that we announce, each with what it says.
    pub(crate) announced: BTreeMap<IpNet, Option<Advertised>>,
    /// Received prefixes that are not programmed because they would capture this address.
    pub(crate) captures: BTreeMap<IpNet, IpAddr>,
}

impl Vrf {
    pub(crate) fn new(settings: &Settings, vrf: &VrfSettings, devices: Devices, rd: Rd) -> Self {
        let fib = Fib::new(vrf, settings.multipath, devices.vxlan, devices.bridge);
        Self {
            settings: vrf.clone(),
            rd,
            import: vrf.import.clone(),
            export: export_targets(settings, &vrf.export, vrf.l3vni),
            table: IpVrf::default(),
            fib,
            own: BTreeSet::new(),
            announced: BTreeMap::new(),
            captures: BTreeMap::new(),
            devices,
        }
    }

    fn key(&self, prefix: IpNet) -> RouteKey {
        RouteKey::IpPrefix { rd: self.rd, etag: EthernetTag(0), prefix }
    }

    /// The prefixes to announce, each with its `drain-time`.
    pub(crate) fn wanted(&self, connected: &[(IfIndex, IpNet)]) -> BTreeMap<IpNet, Duration> {
        let redistribute = self.settings.redistribute_connected;
        let connected = connected
            .iter()
            .filter(|(device, _)| redistribute && *device != self.devices.bridge)
            .filter(|(_, net)| is_routable(net))
            .map(|(_, net)| (*net, self.settings.drain_time));
        let named = self.settings.prefixes.iter().map(|p| (p.prefix, p.drain_time));
        connected.chain(named).collect()
    }

    /// Chooses the switch's own addresses anew: devices, connected prefixes or settings may be
    /// others.
    pub(crate) fn choose_own(
        &mut self,
        settings: &Settings,
        links: &[Link],
        connected: &[(IfIndex, IpNet)],
    ) {
        self.own = if self.settings.advertise_own_address {
            let announces = self.wanted(connected).into_keys().collect();
            own_addresses(settings, links, self.devices.bridge, &announces)
        } else {
            BTreeSet::new()
        };
    }

    /// What to announce, each with what it says: the prefixes and, where these have levers, the
    /// addresses that have none.
    fn says(
        &self,
        connected: &[(IfIndex, IpNet)],
        advertised: impl Fn(Duration) -> Option<Advertised>,
    ) -> BTreeMap<IpNet, Option<Advertised>> {
        let prefixes = self.wanted(connected).into_iter().map(|(p, d)| (p, advertised(d)));
        let mut says: BTreeMap<IpNet, Option<Advertised>> = prefixes.collect();
        if says.values().any(Option::is_some) {
            for address in &self.own {
                says.entry(*address).or_default();
            }
        }
        says
    }

    /// Announces what is to be announced and ends the rest. `advertised` says what the energy does
    /// to a prefix with a `drain-time`.
    pub(crate) fn originate(
        &mut self,
        rib: &mut Rib,
        settings: &Settings,
        connected: &[(IfIndex, IpNet)],
        advertised: impl Fn(Duration) -> Option<Advertised>,
    ) {
        let wanted = self.says(connected, advertised);
        let gone: Vec<IpNet> =
            self.announced.keys().filter(|p| !wanted.contains_key(*p)).copied().collect();
        for prefix in gone {
            self.announced.remove(&prefix);
            rib.end(&self.key(prefix));
        }
        for (prefix, says) in wanted {
            if self.announced.get(&prefix) == Some(&says) {
                continue;
            }
            self.announced.insert(prefix, says);
            let attributes = Arc::new(self.attributes(settings, says));
            let label = Label::from(self.settings.l3vni);
            rib.originate(Route::labelled(self.key(prefix), label), &attributes);
        }
    }

    fn attributes(&self, settings: &Settings, says: Option<Advertised>) -> PathAttributes {
        let mut attributes = base_attributes(self.devices.vtep, &self.export);
        let router_mac = ExtCommunity::with_router_mac(self.devices.router_mac);
        attributes.ext_communities.push(router_mac);
        let Some(Advertised { lever, bandwidth }) = says else { return attributes };
        let bandwidth = ExtCommunity::with_link_bandwidth(settings.asn, bandwidth);
        attributes.ext_communities.push(bandwidth);
        attributes.local_pref = lever.local_pref;
        if lever.graceful_shutdown {
            attributes.communities.push(Community::GRACEFUL_SHUTDOWN);
        }
        attributes
    }

    /// The address of the underlay that a received prefix would capture.
    fn captured(&self, underlay: &Underlay, prefix: &IpNet) -> Option<IpAddr> {
        underlay.captured_by(prefix).filter(|_| self.settings.table == UNDERLAY_TABLE)
    }

    /// The underlay is another: prefixes that were programmed may capture something now, and others
    /// no longer do.
    pub(crate) fn recheck(&mut self, underlay: &Underlay) {
        let known = self.fib.prefixes().chain(self.captures.keys());
        let changed = |p: &&IpNet| self.captured(underlay, p).as_ref() != self.captures.get(*p);
        let changed: Vec<IpNet> = known.filter(changed).copied().collect();
        for prefix in changed {
            self.table.touch(prefix);
        }
    }

    /// Programs what has changed.
    pub(crate) fn program(
        &mut self,
        ids: &mut Ids,
        now: Time,
        underlay: &Underlay,
        changes: &mut Vec<Change>,
    ) {
        for prefix in self.table.take_dirty() {
            let mut hops = self.table.hops(&prefix, self.fib.max_paths());
            drop_zero_shares(&mut hops);
            match self.captured(underlay, &prefix).filter(|_| !hops.is_empty()) {
                Some(address) => {
                    self.captures.insert(prefix, address);
                    hops.clear();
                }
                None => {
                    self.captures.remove(&prefix);
                }
            }
            self.fib.set(ids, now, prefix, hops, changes);
        }
    }

    /// Takes back everything.
    pub(crate) fn tear_down(&mut self, rib: &mut Rib, ids: &mut Ids, changes: &mut Vec<Change>) {
        for prefix in std::mem::take(&mut self.announced).into_keys() {
            rib.end(&self.key(prefix));
        }
        self.fib.tear_down(ids, changes);
    }
}

/// A link bandwidth of zero asks for no traffic; obeyed as long as there is another way.
fn drop_zero_shares(hops: &mut Hops) {
    if hops.iter().any(|h| h.share > 0.0) {
        hops.retain(|h| h.share > 0.0);
    }
}

/// Whether whoever is beyond the link can send there.
pub(crate) fn is_routable(net: &IpNet) -> bool {
    !net.addr().is_loopback() && !is_link_local(net.addr())
}
