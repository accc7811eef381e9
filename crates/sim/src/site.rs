//! Who is who: addresses, devices and settings of every node, computed from its number.
//!
//! **VTEPs are in another order than router ids and neighbours' addresses**, so that whoever mixes
//! them up is found.

use crate::scenario::{Scenario, Topology};
use evpn_dataplane::facts::{BridgePort, Link, LinkKind, Vxlan};
use evpn_dataplane::object::IfIndex;
use evpn_energy::policy::{Pace, Staleness};
use evpn_energy::{Gates, Levers, Permille, Policy};
use evpn_engine::settings::{
    AllVnis, AnnouncedPrefix, EnergySettings, GroupWeights, Multipath, NeighborSettings,
    RouteTargetForm, Settings, Targets, VrfSettings,
};
use evpn_proto::bgp::message::Family;
use evpn_proto::bgp::session::{GracefulRestartConfig, PeerAs, SessionConfig};
use evpn_proto::types::{Asn, MacAddr, Vni};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// A node, by its place in the simulation: leaves first, then the spine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeId(pub usize);

/// The device toward the other nodes.
pub(crate) const UPLINK: IfIndex = IfIndex(10);
/// The routing table of the announced prefix.
pub(crate) const TABLE: u32 = 254;
/// How long a drained prefix still takes the flows that it has.
pub(crate) const DRAIN_TIME: Duration = Duration::from_secs(8);
/// How long neighbours keep the routes of a node that restarts.
pub(crate) const RESTART_TIME: Duration = Duration::from_secs(45);
/// How long a silent neighbour counts as alive.
pub(crate) const HOLD_TIME: Duration = Duration::from_secs(12);
/// How long what is stale may forward after a start.
const SWEEP_DELAY: Duration = Duration::from_secs(35);
/// How long a neighbour that is back may take to confirm what was kept of it.
const STALE_TIME: Duration = Duration::from_secs(40);
/// How long a level lasts before it eases.
const DWELL: Duration = Duration::from_secs(20);

/// A bridge domain's devices: the same numbers at every leaf.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Domain {
    pub(crate) vni: u32,
    pub(crate) bridge: IfIndex,
    pub(crate) vxlan: IfIndex,
    /// Where hosts are; an L3VNI has none.
    pub(crate) port: Option<IfIndex>,
}

/// The bridge domains that hosts are in.
pub(crate) const DOMAINS: [Domain; 2] = [
    Domain { vni: 100, bridge: IfIndex(20), vxlan: IfIndex(21), port: Some(IfIndex(22)) },
    Domain { vni: 200, bridge: IfIndex(30), vxlan: IfIndex(31), port: Some(IfIndex(32)) },
];

/// The domain of routed traffic.
pub(crate) const L3: Domain =
    Domain { vni: 5000, bridge: IfIndex(40), vxlan: IfIndex(41), port: None };

/// The prefixes that two leaves announce, one of each family.
pub(crate) fn anycast() -> [IpNet; 2] {
    let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 0);
    [
        IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(198, 51, 100, 0), 24)),
        IpNet::V6(Ipv6Net::new_assert(v6, 48)),
    ]
}

/// What the leaves that announce these also say of themselves, at every level alike: the gateway of
/// their first domain, an address that they share.
pub(crate) fn own_addresses() -> [IpNet; 2] {
    host_ips(DOMAINS[0], 0).map(IpNet::from)
}

/// Where a prefix's traffic goes to reach a VTEP: for IPv6 its mapped form.
pub(crate) fn gateway(prefix: &IpNet, vtep: IpAddr) -> IpAddr {
    match (prefix, vtep) {
        (IpNet::V6(_), IpAddr::V4(v4)) => v4.to_ipv6_mapped().into(),
        _ => vtep,
    }
}

/// The VNI, if the number is one.
pub(crate) fn vni(number: u32) -> Option<Vni> {
    Vni::new(number)
}

fn last_octet(node: NodeId) -> u8 {
    u8::try_from(node.0.saturating_add(1)).unwrap_or(u8::MAX)
}

/// Where a node's sessions end.
pub(crate) fn address(node: NodeId) -> IpAddr {
    IpAddr::from([10, 0, 0, last_octet(node)])
}

/// A node's VTEP.
pub(crate) fn vtep(node: NodeId) -> IpAddr {
    IpAddr::from([10, 1, 0, 100_u8.saturating_sub(last_octet(node).wrapping_mul(37) % 97)])
}

/// A node's router MAC address.
pub(crate) fn router_mac(node: NodeId) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0x50, last_octet(node)])
}

/// What a leaf can take in bits a second.
pub(crate) fn capacity_bits(node: NodeId) -> u64 {
    1_000_000_000 * u64::from(last_octet(node) % 3 + 1)
}

/// What a level makes of a prefix.
pub(crate) fn levers() -> Levers {
    Levers::default()
}

fn policy() -> Policy {
    Policy {
        pace: Pace {
            dwell: DWELL,
            confirm: Duration::from_secs(6),
            max_changes_per_day: evpn_energy::policy::MAX_CHANGES_PER_DAY,
            ..Pace::default()
        },
        stale: Staleness { after: Duration::from_secs(15), hold: Duration::from_secs(60) },
        ..Policy::default()
    }
}

fn gates() -> Gates {
    Gates {
        max_change_per_minute: Permille::percent(100),
        agree_for: Duration::from_secs(8),
        ..Gates::default()
    }
}

/// Whether a node has hosts.
pub(crate) const fn is_leaf(scenario: &Scenario, node: NodeId) -> bool {
    node.0 < scenario.leaves
}

/// Every node.
pub(crate) fn nodes(scenario: &Scenario) -> impl Iterator<Item = NodeId> + use<> {
    let spines = match scenario.topology {
        Topology::Mesh => 0,
        Topology::Spine => 1,
    };
    (0..scenario.leaves + spines).map(NodeId)
}

/// A node's neighbours, in the order of its settings.
pub(crate) fn neighbours(scenario: &Scenario, node: NodeId) -> Vec<NodeId> {
    let meets = |other: &NodeId| match scenario.topology {
        Topology::Mesh => *other != node,
        Topology::Spine => is_leaf(scenario, node) != is_leaf(scenario, *other),
    };
    nodes(scenario).filter(meets).collect()
}

fn asn(scenario: &Scenario, node: NodeId) -> Asn {
    match scenario.topology {
        Topology::Mesh => Asn(65_000),
        // Beyond 16 bits, so that AS_TRANS and 4-octet paths are walked too.
        Topology::Spine => Asn(4_200_000_000 + u32::from(last_octet(node))),
    }
}

/// Whether a process is the first on its node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Birth {
    First,
    Restart,
}

/// A node's settings.
pub(crate) fn settings(scenario: &Scenario, node: NodeId, birth: Birth) -> Settings {
    let local = asn(scenario, node);
    let router_id = match address(node) {
        IpAddr::V4(v4) => v4,
        IpAddr::V6(_) => Ipv4Addr::LOCALHOST,
    };
    let neighbour = |other: NodeId| {
        let peer_as = PeerAs::Exactly(asn(scenario, other));
        let session = SessionConfig {
            hold_time: HOLD_TIME,
            keepalive_time: HOLD_TIME / 3,
            connect_retry: Duration::from_secs(4),
            idle_hold_max: Duration::from_secs(8),
            graceful_restart: Some(GracefulRestartConfig {
                restart_time: RESTART_TIME,
                restarting: birth == Birth::Restart,
                preserved: vec![Family::EVPN],
            }),
            ..SessionConfig::new(local, peer_as, router_id)
        };
        NeighborSettings {
            id: address(other).into(),
            session,
            shutdown: false,
            shutdown_message: String::new(),
            multihop: false,
            route_reflector_client: false,
            aigp: false,
            max_prefix: None,
        }
    };
    let leaf = is_leaf(scenario, node);
    let announcer = scenario.announcers.contains(&node);
    Settings {
        asn: local,
        router_id,
        cluster_id: router_id,
        vtep: leaf.then(|| vtep(node)),
        neighbors: neighbours(scenario, node).into_iter().map(neighbour).collect(),
        listen: Vec::new(),
        all_vnis: AllVnis::Served,
        vnis: BTreeMap::new(),
        route_target_form: RouteTargetForm::AsVni,
        unicast: Default::default(),
        vrfs: if leaf { vrf(announcer).into_iter().collect() } else { Vec::new() },
        multipath: Multipath { max_paths: 8, buckets: 64, weights: GroupWeights::Octet },
        sweep_delay: SWEEP_DELAY,
        stale_time: STALE_TIME,
        energy: announcer.then(|| EnergySettings {
            site: format!("site-{}", node.0),
            capacity_bits: capacity_bits(node),
            policy: policy(),
            levers: levers(),
            plausibility: gates(),
        }),
    }
}

fn vrf(announces: bool) -> Option<VrfSettings> {
    let announced = |prefix| AnnouncedPrefix { prefix, drain_time: DRAIN_TIME };
    Some(VrfSettings {
        name: "default".to_owned(),
        l3vni: vni(L3.vni)?,
        table: TABLE,
        prefixes: if announces { anycast().map(announced).to_vec() } else { Vec::new() },
        redistribute_connected: false,
        advertise_own_address: true,
        drain_time: DRAIN_TIME,
        rd: None,
        import: Targets::default(),
        export: Targets::default(),
    })
}

/// A node's devices.
pub(crate) fn links(scenario: &Scenario, node: NodeId) -> Vec<Link> {
    let uplink = link(UPLINK, "uplink", MacAddr([2, 0, 0, 0, 0x10, last_octet(node)]));
    let mut links = vec![Link { mtu: 1600, ..uplink }];
    if !is_leaf(scenario, node) {
        return links;
    }
    for domain in DOMAINS.into_iter().chain([L3]) {
        let name = domain.vni;
        let bridge = link(domain.bridge, &format!("br{name}"), router_mac(node));
        links.push(Link { kind: LinkKind::Bridge { vlan_filtering: false }, ..bridge });
        let vxlan = Vxlan {
            vni: vni(domain.vni),
            local: Some(vtep(node)),
            port: 4789,
            learning: false,
            external: false,
        };
        let device = link(domain.vxlan, &format!("vx{name}"), router_mac(node));
        links.push(Link { kind: LinkKind::Vxlan(vxlan), ..port_of(device, domain.bridge) });
        if let Some(port) = domain.port {
            let device = link(port, &format!("access{name}"), router_mac(node));
            links.push(port_of(device, domain.bridge));
        }
    }
    links
}

/// A node's addresses.
pub(crate) fn addresses(scenario: &Scenario, node: NodeId) -> Vec<(IfIndex, IpNet)> {
    let net = |address: IpAddr| IpNet::new(address, if address.is_ipv4() { 24 } else { 64 }).ok();
    let mut addresses: Vec<_> = net(address(node)).map(|net| (UPLINK, net)).into_iter().collect();
    if is_leaf(scenario, node) {
        for domain in DOMAINS {
            let nets = host_ips(domain, 0).into_iter().filter_map(net);
            addresses.extend(nets.map(|net| (domain.bridge, net)));
        }
    }
    addresses
}

/// The addresses of a host, or with 0 of the gateway, in a domain.
pub(crate) fn host_ips(domain: Domain, host: u8) -> [IpAddr; 2] {
    let third = u8::try_from(domain.vni % 256).unwrap_or(0);
    let last = host.saturating_add(1);
    let v6 = Ipv6Addr::new(0x2001, 0xdb8, third.into(), 0, 0, 0, 0, last.into());
    [IpAddr::from([192, 168, third, last]), v6.into()]
}

fn link(index: IfIndex, name: &str, mac: MacAddr) -> Link {
    Link {
        index,
        name: name.to_owned(),
        mac: Some(mac),
        mtu: 1500,
        admin_up: true,
        carrier: true,
        master: None,
        port: None,
        kind: LinkKind::Other("veth".to_owned()),
        addresses: Vec::new(),
    }
}

fn port_of(link: Link, bridge: IfIndex) -> Link {
    let port = Some(BridgePort { learning: false, neigh_suppress: true });
    Link { master: Some(bridge), port, ..link }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_nodes_share_a_vtep_and_their_order_is_another() {
        let vteps: Vec<IpAddr> = (0..6).map(|n| vtep(NodeId(n))).collect();
        assert_eq!(vteps.iter().collect::<BTreeSet<_>>().len(), 6);
        assert!(!vteps.is_sorted() && !vteps.iter().rev().is_sorted());
    }
}
