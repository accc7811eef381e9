//! What a leaf is made of: settings, devices, hosts, and routes that it could send.

use evpn_dataplane::facts::{BridgePort, KernelEvent, Link, LinkKind, MacOrigin, Vxlan};
use evpn_dataplane::object::IfIndex;
use evpn_energy::{Gates, Levers, Policy};
use evpn_engine::settings::{
    AllVnis, AnnouncedPrefix, EnergySettings, GroupWeights, Multipath, NeighborSettings,
    RouteTargetForm, Settings, Targets, VrfSettings,
};
use evpn_proto::bgp::attributes::{AsPath, ENCAP_VXLAN, ExtCommunity, PathAttributes};
use evpn_proto::bgp::message::Family;
use evpn_proto::bgp::session::{GracefulRestartConfig, PeerAs, SessionConfig};
use evpn_proto::types::{
    Asn, EthernetTag, Label, MacAddr, Rd, Route, RouteKey as Key, RouteTarget, Vni,
};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

pub(crate) const VNI: u32 = 100;
pub(crate) const L3VNI: u32 = 5000;
pub(crate) const UNDERLAY: IfIndex = IfIndex(2);
pub(crate) const PORT: IfIndex = IfIndex(12);
pub(crate) const BRIDGE: IfIndex = IfIndex(10);
pub(crate) const VXLAN: IfIndex = IfIndex(11);
pub(crate) const L3_BRIDGE: IfIndex = IfIndex(20);
pub(crate) const L3_VXLAN: IfIndex = IfIndex(21);
pub(crate) const TABLE: u32 = 1005;

pub(crate) fn vni(number: u32) -> Vni {
    Vni::new(number).unwrap()
}

pub(crate) fn mac(n: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, n])
}

pub(crate) fn host(n: u8) -> IpAddr {
    IpAddr::from([192, 168, 100, n])
}

pub(crate) fn prefix(text: &str) -> IpNet {
    text.parse().unwrap()
}

/// Where the session with leaf `n` is.
pub(crate) fn underlay(n: u8) -> IpAddr {
    IpAddr::from([10, 9, 0, n])
}

/// The address of leaf `n` on the link of the underlay.
pub(crate) fn link_local(n: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, n.into())
}

/// The VTEP of leaf `n`, which is its router id too.
pub(crate) fn vtep(n: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, n).into()
}

/// An AS for each leaf, or one for all.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ases {
    Each,
    One,
}

/// The settings of leaf `n`, whose neighbours are `peers`.
pub(crate) fn settings(n: u8, peers: &[u8], ases: Ases) -> Settings {
    let asn = |n: u8| match ases {
        Ases::Each => Asn(65000 + u32::from(n)),
        Ases::One => Asn(65000),
    };
    let router_id = Ipv4Addr::new(10, 0, 0, n);
    let neighbor = |peer: &u8| {
        let mut session = SessionConfig::new(asn(n), PeerAs::Exactly(asn(*peer)), router_id);
        session.graceful_restart = Some(GracefulRestartConfig {
            restart_time: Duration::from_secs(120),
            restarting: false,
            preserved: vec![Family::EVPN],
        });
        NeighborSettings {
            id: underlay(*peer).into(),
            session,
            shutdown: false,
            shutdown_message: String::new(),
            multihop: false,
            route_reflector_client: false,
            aigp: ases == Ases::One,
            max_prefix: None,
        }
    };
    Settings {
        asn: asn(n),
        router_id,
        cluster_id: router_id,
        vtep: None,
        neighbors: peers.iter().map(neighbor).collect(),
        listen: Vec::new(),
        all_vnis: AllVnis::Served,
        vnis: BTreeMap::new(),
        route_target_form: RouteTargetForm::AsVni,
        unicast: Default::default(),
        vrfs: vec![vrf(n)],
        multipath: Multipath { max_paths: 8, buckets: 64, weights: GroupWeights::Octet },
        sweep_delay: Duration::from_secs(60),
        stale_time: Duration::from_secs(60),
        energy: None,
    }
}

/// A VRF that announces 198.51.N.0/24 and the service address that every leaf has.
fn vrf(n: u8) -> VrfSettings {
    let drain_time = Duration::from_secs(120);
    let own = prefix(&format!("198.51.{n}.0/24"));
    let announced = |prefix| AnnouncedPrefix { prefix, drain_time };
    VrfSettings {
        name: "red".into(),
        l3vni: vni(L3VNI),
        table: TABLE,
        prefixes: vec![announced(own), announced(service())],
        redistribute_connected: false,
        advertise_own_address: true,
        drain_time,
        rd: None,
        import: Targets::default(),
        export: Targets::default(),
    }
}

pub(crate) fn service() -> IpNet {
    prefix("203.0.113.10/32")
}

pub(crate) fn energy() -> EnergySettings {
    EnergySettings {
        site: "barn".into(),
        capacity_bits: 8_000_000_000,
        policy: Policy::default(),
        levers: Levers::default(),
        plausibility: Gates::default(),
    }
}

/// The devices of leaf `n`.
pub(crate) fn links(n: u8) -> Vec<Link> {
    let link = |index: IfIndex, name: &str, kind| Link {
        index,
        name: name.into(),
        mac: Some(MacAddr([2, n, 0, 0, 0, u8::try_from(index.0).unwrap()])),
        mtu: 1500,
        admin_up: true,
        carrier: true,
        master: None,
        port: None,
        kind,
        addresses: Vec::new(),
    };
    let port = Some(BridgePort { learning: false, neigh_suppress: true });
    let vxlan = |index, name: &str, number, master| Link {
        master: Some(master),
        port,
        ..link(
            index,
            name,
            LinkKind::Vxlan(Vxlan {
                vni: Some(vni(number)),
                local: Some(vtep(n)),
                port: 4789,
                learning: false,
                external: false,
            }),
        )
    };
    let bridge = || LinkKind::Bridge { vlan_filtering: false };
    let other = || LinkKind::Other("veth".into());
    vec![
        Link {
            addresses: vec![
                IpNet::new(underlay(n), 24).unwrap(),
                IpNet::new(link_local(n).into(), 64).unwrap(),
            ],
            mtu: 9000,
            ..link(UNDERLAY, "eth0", other())
        },
        Link {
            addresses: vec![prefix(&format!("192.168.100.{}/24", 200 + n))],
            ..link(BRIDGE, "br100", bridge())
        },
        vxlan(VXLAN, "vx100", VNI, BRIDGE),
        Link { master: Some(BRIDGE), ..link(PORT, "swp1", other()) },
        link(L3_BRIDGE, "br5000", bridge()),
        vxlan(L3_VXLAN, "vx5000", L3VNI, L3_BRIDGE),
    ]
}

/// The devices of leaf `n` and those of another VNI.
pub(crate) fn links_with(n: u8, number: u32) -> Vec<Link> {
    let mut links = links(n);
    let (mut bridge, mut vxlan) = (links[4].clone(), links[5].clone());
    (bridge.index, bridge.name) = (IfIndex(30), format!("br{number}"));
    bridge.mac = Some(mac(n));
    (vxlan.index, vxlan.name) = (IfIndex(31), format!("vx{number}"));
    vxlan.master = Some(bridge.index);
    if let LinkKind::Vxlan(vxlan) = &mut vxlan.kind {
        vxlan.vni = Some(vni(number));
    }
    links.extend([bridge, vxlan]);
    links
}

/// What a kernel says of a host behind a port, with its address.
pub(crate) fn host_events(n: u8) -> Vec<KernelEvent> {
    let (mac, origin) = (mac(n), MacOrigin::Learned);
    vec![
        KernelEvent::LocalMac { bridge: BRIDGE, port: PORT, mac, origin },
        KernelEvent::Neighbour { device: BRIDGE, address: host(n), mac },
    ]
}

/// Attributes of a route that leaf `n` could have sent, for VNI 100.
pub(crate) fn attributes(n: u8) -> PathAttributes {
    let mut attributes = PathAttributes::originated(vtep(n));
    attributes.as_path = AsPath::default().prepended(Asn(65000 + u32::from(n)));
    let target = RouteTarget::auto(Asn(65000 + u32::from(n)), vni(VNI));
    attributes.ext_communities =
        vec![ExtCommunity::route_target(target), ExtCommunity::encap(ENCAP_VXLAN)];
    attributes
}

/// A route for a host behind leaf `n`, with its VNI in the label.
pub(crate) fn mac_route(n: u8, mac: MacAddr) -> Route {
    let rd = Rd::ipv4(Ipv4Addr::new(10, 0, 0, n), 100);
    let key = Key::MacIp { rd, etag: EthernetTag(0), mac, ip: None };
    Route::labelled(key, Label::from(vni(VNI)))
}

/// A prefix behind leaf `n`, with the attributes that carry it.
pub(crate) fn prefix_route(n: u8, prefix: IpNet) -> (PathAttributes, Route) {
    let mut attributes = attributes(n);
    let target = RouteTarget::auto(Asn(65000 + u32::from(n)), vni(L3VNI));
    attributes.ext_communities[0] = ExtCommunity::route_target(target);
    let router = ExtCommunity::with_router_mac(MacAddr([2, 9, 9, 9, 9, n]));
    attributes.ext_communities.push(router);
    let rd = Rd::ipv4(Ipv4Addr::new(10, 0, 0, n), 5000);
    let key = Key::IpPrefix { rd, etag: EthernetTag(0), prefix };
    (attributes, Route::labelled(key, Label::from(vni(L3VNI))))
}
