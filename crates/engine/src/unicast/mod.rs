//! IPv4 and IPv6 unicast: the underlay's own routes, for a leaf or spine that runs no other daemon.
//!
//! **A received prefix is forwarded by every path that costs the same, and only over links that
//! lead to their next hops**: what no connected link leads to is rejected, and comes back with the
//! link (RFC 4271 section 9.1.2.1).
//!
//! Not here: next hops that are themselves routes (recursion), and what other daemons route.

mod fib;
mod hops;

pub(crate) use fib::{Fib, Way};

use crate::engine::Engine;
use crate::interface::FarEnd;
use crate::peer::Peer;
use crate::rib::SelfHop;
use crate::vrf::is_routable;
use evpn_dataplane::facts::{Link, LinkKind};
use evpn_dataplane::object::IfIndex;
use evpn_proto::bgp::attributes::{Origin, PathAttributes};
use evpn_proto::types::{Family, Route, RouteKey, is_link_local};
use evpn_rib::PeerIdx;
use evpn_rib::table::{DestId, PathKey, Reject};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// The families of this room.
const FAMILIES: [Family; 2] = [Family::IPV4_UNICAST, Family::IPV6_UNICAST];

/// What we announce, and what is programmed.
#[derive(Debug, Default)]
pub(crate) struct Unicast {
    announced: BTreeMap<IpNet, Origin>,
    /// What decided where every path leads, when that was last looked at.
    reach: Option<Reach>,
    /// Addresses have come or gone since neighbours were told where to find us.
    hops_may_differ: bool,
    pub(crate) fib: Fib,
}

/// All that decides where a received path leads, beside the path: links come and go by the hundred
/// with hosts, and most of them change nothing of this.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Reach {
    connected: Vec<(IfIndex, IpNet)>,
    /// Devices of connected prefixes, and whether each is up.
    up: Vec<(IfIndex, bool)>,
    /// Where neighbours on interfaces are.
    far: Vec<(PeerIdx, Option<(Ipv6Addr, IfIndex)>)>,
    near: Vec<(IpAddr, u8)>,
    max_paths: usize,
}

impl Engine {
    /// Devices, connected prefixes or settings are others: announces what is to be announced, and
    /// looks again at what leads where.
    pub(crate) fn refresh_unicast(&mut self) {
        self.unicast.hops_may_differ = true;
        self.originate_unicast();
        let reach = self.reach();
        if self.unicast.reach.as_ref() == Some(&reach) {
            return;
        }
        self.unicast.reach = Some(reach);
        for family in FAMILIES {
            self.recheck(family);
        }
    }

    fn reach(&self) -> Reach {
        let leads = |link: &&Link| self.connected.iter().any(|(device, _)| *device == link.index);
        let far = |peer: &Peer| Some((peer.index, peer.far_end.as_ref()?.remote()));
        Reach {
            connected: self.connected.clone(),
            up: self.links.iter().filter(leads).map(|link| (link.index, link.is_up())).collect(),
            far: self.peers.iter().filter_map(far).collect(),
            near: self.near(),
            max_paths: self.settings.multipath.max_paths,
        }
    }

    fn originate_unicast(&mut self) {
        let wanted = self.wanted_unicast();
        let before = std::mem::replace(&mut self.unicast.announced, wanted.clone());
        for prefix in before.keys().filter(|prefix| !wanted.contains_key(*prefix)) {
            let key = RouteKey::Unicast { prefix: *prefix };
            if let Some(rib) = self.ribs.get_mut(key.family()) {
                rib.end(&key);
            }
        }
        for (prefix, origin) in wanted.into_iter().filter(|(p, o)| before.get(p) != Some(o)) {
            let key = RouteKey::Unicast { prefix };
            // Whoever is told it is told where to find us instead.
            let nowhere = match prefix {
                IpNet::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                IpNet::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            };
            let attributes = PathAttributes { origin, ..PathAttributes::originated(nowhere) };
            if let Some(rib) = self.ribs.get_mut(key.family()) {
                rib.originate(Route::bare(key), &Arc::new(attributes));
            }
        }
    }

    /// What the settings name, and what is connected where that is asked for: prefixes of links that
    /// are up and no bridge of a VNI, whose hosts are not the underlay's, and addresses of devices
    /// that lead nowhere, such as the loopback.
    fn wanted_unicast(&self) -> BTreeMap<IpNet, Origin> {
        let settings = &self.settings.unicast;
        let mut wanted = BTreeMap::new();
        if settings.redistribute_connected {
            let up = |device: IfIndex| self.links.iter().any(|l| l.index == device && l.is_up());
            let tenants: BTreeSet<IfIndex> = self.links.iter().filter_map(bridge_of_vni).collect();
            let connected = self.connected.iter();
            let nets = connected.filter(|(d, _)| up(*d) && !tenants.contains(d)).map(|(_, n)| *n);
            let own = self.links.iter().filter(|l| leads_nowhere(l) && l.admin_up);
            let addresses = own.flat_map(|l| l.addresses.iter()).filter(|n| is_host(n));
            let all = nets.chain(addresses.copied()).filter(is_routable);
            // What was not named by anybody has no known origin, as every speaker tells it.
            wanted.extend(all.map(|net| (net.trunc(), Origin::Incomplete)));
        }
        wanted.extend(settings.prefixes.iter().map(|prefix| (prefix.trunc(), Origin::Igp)));
        wanted
    }

    /// Looks again at every received path of a family: whether and where its next hop is reached.
    fn recheck(&mut self, family: Family) {
        let Some(rib) = self.ribs.get(family) else { return };
        let mut changed: Vec<(PathKey, DestId, Option<Reject>)> = Vec::new();
        let mut touched = Vec::new();
        let near = self.near();
        for (id, dest) in rib.table.iter() {
            for path in dest.paths().iter().filter(|path| path.peer != PeerIdx::LOCAL) {
                let Some(attributes) = rib.store.get(path.attributes) else { continue };
                let reject = match path.reject {
                    None | Some(Reject::Unreachable | Reject::Captures) => {
                        let is_reached = self.way(path.peer, attributes).is_some();
                        let unreachable = (!is_reached).then_some(Reject::Unreachable);
                        unreachable.or_else(|| captures(&near, &dest.key))
                    }
                    other => other,
                };
                if reject != path.reject {
                    changed.push((rib.table.path_key(path), id, reject));
                }
            }
            touched.push(dest.key.clone());
        }
        let Some(rib) = self.ribs.get_mut(family) else { return };
        for (from, id, reject) in changed {
            rib.set_reject(from, id, reject);
        }
        rib.touched.extend(touched);
    }

    /// Where packets to a neighbour's next hop go: its link-local address on the link that we
    /// share, or an address of a connected prefix.
    pub(crate) fn way(&self, peer: PeerIdx, attributes: &PathAttributes) -> Option<Way> {
        let on_link = attributes
            .link_local
            .map(IpAddr::V6)
            .or_else(|| Some(attributes.next_hop).filter(|next_hop| is_link_local(*next_hop)));
        if let Some(gateway) = on_link
            && let Some(device) = self.device_of(peer)
        {
            return Some(Way { gateway, device });
        }
        // Whoever is on no link with us may say what it was told on another: that means nothing here.
        let gateway = Some(attributes.next_hop).filter(|next_hop| !is_link_local(*next_hop))?;
        Some(Way { gateway, device: self.connected_device(gateway)? })
    }

    /// Neighbours on connected links, each with the length of the prefix that leads to it.
    pub(crate) fn near(&self) -> Vec<(IpAddr, u8)> {
        let connected = |address: IpAddr| {
            let covering = self.connected.iter().filter(|(_, net)| net.contains(&address));
            covering.map(|(_, net)| net.prefix_len()).max().map(|bits| (address, bits))
        };
        self.peers.iter().filter_map(Peer::address).filter_map(connected).collect()
    }

    /// The device by which an address is reached without a gateway. A link without a carrier keeps
    /// its connected prefix and leads nowhere: what a restart keeps of the neighbour there must not
    /// keep back the next best way.
    fn connected_device(&self, address: IpAddr) -> Option<IfIndex> {
        let is_dead = |device| self.links.iter().any(|l| l.index == device && !l.is_up());
        let covering =
            self.connected.iter().filter(|(d, net)| net.contains(&address) && !is_dead(*d));
        let nearest = covering.max_by_key(|(_, net)| net.prefix_len())?;
        Some(nearest.0)
    }

    /// The device that leads to a neighbour on the same link, whether or not its session is up: while
    /// it restarts its paths are kept.
    fn device_of(&self, peer: PeerIdx) -> Option<IfIndex> {
        let peer = self.peer(peer)?;
        match peer.far_end.as_ref().and_then(FarEnd::remote) {
            Some((_, device)) => Some(device),
            None => self.connected_device(peer.address()?),
        }
    }

    /// Where a neighbour is to find us, by family.
    pub(crate) fn self_hops(&self, index: PeerIdx) -> BTreeMap<Family, SelfHop> {
        let Some(peer) = self.peer(index) else { return BTreeMap::new() };
        let (Some(ends), Some(negotiated)) = (peer.session.endpoints(), peer.session.negotiated())
        else {
            return BTreeMap::new();
        };
        let local = ends.local.ip().to_canonical();
        let scope = match ends.local {
            SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() => Some(IfIndex(v6.scope_id())),
            _ => None,
        };
        let ours = |link: &&Link| match scope {
            Some(device) => link.index == device,
            None => link.addresses.iter().any(|net| net.addr() == local),
        };
        let link = self.links.iter().find(ours);
        let remote = ends.remote.ip().to_canonical();
        let is_on = |link: &Link| {
            let connected = self.connected.iter().filter(|(device, _)| *device == link.index);
            let nets = link.addresses.iter().chain(connected.map(|(_, net)| net));
            nets.into_iter().any(|net| net.contains(&remote))
        };
        let is_shared = scope.is_some() || link.is_some_and(is_on);
        let v4 = || of_link(link, |ip| ip.is_ipv4() && !is_link_local(ip));
        let v6_hop = || {
            let hop = v6_hop(local, link)?;
            if is_shared {
                return Some(hop);
            }
            // RFC 2545 section 3: the link-local one only for who is on the link too.
            Some(SelfHop { link_local: None, ..hop }).filter(|hop| !is_link_local(hop.address))
        };
        let hops = negotiated.families.iter().filter_map(|family| {
            let hop = match (*family, local) {
                (Family::IPV4_UNICAST, IpAddr::V4(_)) | (Family::RT_CONSTRAINT, _) => {
                    Some(SelfHop { address: local, link_local: None })
                }
                (Family::IPV4_UNICAST, _) if negotiated.extended_next_hop.contains(*family) => {
                    v6_hop()
                }
                (Family::IPV4_UNICAST, _) => {
                    v4().map(|address| SelfHop { address, link_local: None })
                }
                (Family::IPV6_UNICAST, _) => v6_hop(),
                _ => None,
            };
            hop.map(|hop| (*family, hop))
        });
        hops.collect()
    }

    /// Programs what has changed. Unlike prefixes that come through tunnels these do not wait for
    /// the end of a restart: neighbours farther away are reached by them.
    pub(crate) fn program_unicast(&mut self) {
        if !self.is_adopted() {
            return;
        }
        for family in FAMILIES {
            let Some(rib) = self.ribs.get_mut(family) else { continue };
            for key in std::mem::take(&mut rib.touched) {
                let RouteKey::Unicast { prefix } = key else { continue };
                let ways = self.ways(&key);
                if self.unicast.fib.set(&mut self.ids, prefix, ways, &mut self.changes) {
                    self.underlay.forget_unicast();
                }
            }
        }
    }

    /// The ways of a prefix, the preferred one's family only; none if the preferred path is ours.
    fn ways(&self, key: &RouteKey) -> Vec<Way> {
        let Some(rib) = self.ribs.get(key.family()) else { return Vec::new() };
        let Some(dest) = rib.table.find(key).and_then(|id| rib.table.get(id)) else {
            return Vec::new();
        };
        let Some(best) = dest.best().filter(|best| best.peer != PeerIdx::LOCAL) else {
            return Vec::new();
        };
        let way = |path: &evpn_rib::table::Path| {
            self.way(path.peer, rib.store.get(path.attributes)?.as_ref())
        };
        let Some(preferred) = way(best) else { return Vec::new() };
        let paths = rib.table.multipath(&rib.store, dest);
        let mut ways: Vec<Way> = paths
            .into_iter()
            .filter_map(way)
            .filter(|way| way.gateway.is_ipv4() == preferred.gateway.is_ipv4())
            .filter(|way| *way != preferred)
            .collect();
        ways.sort_unstable();
        ways.dedup();
        ways.truncate(self.settings.multipath.max_paths.saturating_sub(1));
        ways.push(preferred);
        ways.sort_unstable();
        ways
    }
}

/// Whether a prefix covers a neighbour more closely than the link to it does: whoever tells it would
/// pull that neighbour's session to itself.
pub(crate) fn captures(near: &[(IpAddr, u8)], key: &RouteKey) -> Option<Reject> {
    let RouteKey::Unicast { prefix } = key else { return None };
    let closer =
        |(address, bits): &(IpAddr, u8)| prefix.contains(address) && prefix.prefix_len() > *bits;
    near.iter().any(closer).then_some(Reject::Captures)
}

/// Whether a device has nobody at its other end.
fn leads_nowhere(link: &Link) -> bool {
    matches!(&link.kind, LinkKind::Other(kind) if kind == "dummy") || link.name == "lo"
}

/// The bridge that a VXLAN device is a port of.
fn bridge_of_vni(link: &Link) -> Option<IfIndex> {
    link.master.filter(|_| matches!(link.kind, LinkKind::Vxlan(_)))
}

fn is_host(net: &IpNet) -> bool {
    net.prefix_len() == net.max_prefix_len()
}

fn of_link(link: Option<&Link>, wanted: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    link?.addresses.iter().map(|net| net.addr()).find(|address| wanted(*address))
}

/// Where we are to be reached by IPv6 on a link: by the session's own address or another global one
/// of the link, with the link-local one beside it; by that alone where there is no other.
fn v6_hop(local: IpAddr, link: Option<&Link>) -> Option<SelfHop> {
    let global = |ip: IpAddr| ip.is_ipv6() && !is_link_local(ip) && !ip.is_loopback();
    let beside = of_link(link, |ip| ip.is_ipv6() && is_link_local(ip));
    let link_local = match (local, beside) {
        (IpAddr::V6(own), _) if own.is_unicast_link_local() => Some(own),
        (_, Some(IpAddr::V6(own))) => Some(own),
        _ => None,
    };
    let address = Some(local)
        .filter(|ip| global(*ip))
        .or_else(|| of_link(link, global))
        .or(link_local.map(IpAddr::V6))?;
    Some(SelfHop { address, link_local })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(addresses: &[&str]) -> Link {
        let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        Link {
            index: IfIndex(2),
            name: "eth0".to_owned(),
            mac: None,
            mtu: 1500,
            admin_up: true,
            carrier: true,
            master: None,
            port: None,
            kind: LinkKind::Other(String::new()),
            addresses,
        }
    }

    #[test]
    fn a_next_hop_of_ipv6_is_a_global_address_where_there_is_one() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let both = link(&["10.0.0.1/31", "2001:db8::1/64", "fe80::1/64"]);
        let ll = Some("fe80::1".parse().unwrap());
        for local in ["10.0.0.1", "2001:db8::1", "fe80::1"] {
            let hop = v6_hop(ip(local), Some(&both));
            assert_eq!(
                hop,
                Some(SelfHop { address: ip("2001:db8::1"), link_local: ll }),
                "{local}"
            );
        }
        let local_only = link(&["fe80::1/64"]);
        let hop = v6_hop(ip("fe80::1"), Some(&local_only));
        assert_eq!(hop, Some(SelfHop { address: ip("fe80::1"), link_local: ll }));
        assert_eq!(v6_hop(ip("10.0.0.1"), Some(&link(&["10.0.0.1/31"]))), None);
    }
}
