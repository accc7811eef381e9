//! Neighbours and routes.

use super::{event, strings, v4};
use crate::attributes::MoreAttributes;
use crate::bgp::{BgpVni, PeerSummary, SessionState, Summary, VniKind};
use crate::neighbor::{
    CapabilityState, FamilyCounters, GracefulRestartState, MessageErrors, MessageStats, Neighbor,
    Timers,
};
use crate::reset::{Cause, LastReset, LinkFault, Whom};
use crate::route::{PathFrom, Route, RoutePath};
use crate::{AddressFamily, NeighborId, Notice, Page, UpDown};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const ROUTER_ID: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const SPINE6: IpAddr =
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xfffe));

fn down(peer: &Whom, state: SessionState, cause: &Cause, ago_msec: u64) -> PeerSummary {
    PeerSummary {
        id_type: peer.id.kind().into(),
        dynamic_group: None,
        hostname: None,
        desc: None,
        remote_as: Some(65_001),
        local_as: 65_000,
        state,
        admin_down: *cause == Cause::AdminDown,
        msg_rcvd: 3,
        msg_sent: 4,
        peer_uptime_msec: None,
        pfx_rcd: 0,
        pfx_snt: 0,
        families_not_negotiated: Vec::new(),
        families_given_up: Vec::new(),
        connections_established: 0,
        connections_dropped: 0,
        last_reset: Some(LastReset::new(cause, peer, ago_msec)),
    }
}

/// Neighbours of every kind that are up, one that is not heard, and one for each classic mistake.
pub fn summary() -> Summary {
    use SessionState::{Active, Connect, Established, Idle, OpenSent};
    let up = PeerSummary {
        hostname: Some("spine1".into()),
        state: Established,
        msg_rcvd: 1_204_331,
        msg_sent: 88_120,
        peer_uptime_msec: Some((3 * 24 * 3600 + 4 * 3600 + 125) * 1000),
        pfx_rcd: 1_048_576,
        pfx_snt: 12_000,
        connections_established: 1,
        last_reset: None,
        ..down(&v4(10, 0, 0, 2).into(), Established, &Cause::NoRoute, 0)
    };
    let mut peers = std::collections::BTreeMap::new();
    let up6 = PeerSummary {
        id_type: "ipv6".into(),
        hostname: Some("spine2.a-rather-long-name.solar.example".into()),
        remote_as: Some(4_200_000_001),
        peer_uptime_msec: Some(62_000),
        ..up.clone()
    };
    let guest = PeerSummary {
        dynamic_group: Some("guests".into()),
        families_given_up: vec![AddressFamily::L2VpnEvpn],
        ..up.clone()
    };
    let unnumbered = PeerSummary {
        id_type: "interface".into(),
        families_not_negotiated: vec![AddressFamily::L2VpnEvpn],
        ..up.clone()
    };
    peers.insert(v4(10, 0, 0, 2).into(), up);
    peers.insert(v4(10, 0, 0, 3).into(), guest);
    peers.insert(SPINE6.into(), up6);
    let on = |name: &str| NeighborId::Interface(name.into());
    peers.insert(on("swp1"), unnumbered);
    let unheard = Whom { id: on("swp2"), address: None };
    let fault = Cause::Interface { name: "swp2".into(), fault: LinkFault::NoRouter };
    peers.insert(unheard.id.clone(), down(&unheard, Idle, &fault, 2_000));
    let mistakes = [
        (Idle, Cause::WrongAs { configured: 65_001, received: 65_009 }),
        (Active, Cause::OurAsRefused { ours: 65_000 }),
        (Active, Cause::WrongSource { ours: Some(v4(192, 168, 1, 1)) }),
        (Connect, Cause::TcpRefused { port: 179 }),
        (Connect, Cause::TcpTimeout { port: 179 }),
        (Idle, Cause::NotConnected),
        (
            OpenSent,
            Cause::NoCommonFamily { ours: "l2vpn evpn".into(), theirs: "ipv4 unicast".into() },
        ),
        (Active, Cause::HoldExpired { seconds: 90 }),
        (Idle, Cause::BadRouterId { received: "10.0.0.1".into() }),
        (Idle, Cause::AdminDown),
    ];
    for (number, (state, cause)) in (11u8..).zip(&mistakes) {
        let peer = v4(10, 0, 0, number);
        peers.insert(peer.into(), down(&peer.into(), *state, cause, u64::from(number) * 1000));
    }
    Summary {
        router_id: ROUTER_ID,
        local_as: 65_000,
        vrf_name: "default".into(),
        rib_count: 1_048_602,
        rib_counts: [(AddressFamily::L2VpnEvpn, 1_048_602), (AddressFamily::Ipv4Unicast, 1)].into(),
        rib_memory: 201_326_592,
        total_peers: 15,
        failed_peers: 11,
        peers,
    }
}

/// A neighbour that came back after its hold time ran out.
pub fn neighbor() -> Neighbor {
    let peer = v4(10, 0, 0, 2);
    let capability = |name: &str, advertised, received| CapabilityState {
        name: name.to_owned(),
        advertised,
        received,
    };
    let evpn = FamilyCounters {
        received_prefix_counter: 12_000,
        accepted_prefix_counter: 11_998,
        sent_prefix_counter: 402,
        prefix_allowed_max: Some(20_000),
        end_of_rib_received: true,
        end_of_rib_sent: true,
    };
    let few = FamilyCounters {
        received_prefix_counter: 3,
        accepted_prefix_counter: 2,
        sent_prefix_counter: 1,
        ..evpn
    };
    Neighbor {
        id: peer.into(),
        address: Some(peer),
        dynamic_group: None,
        hostname: Some("spine1".into()),
        desc: Some("first spine, rack 4, fed by the barn".into()),
        remote_as: Some(65_001),
        local_as: 65_000,
        remote_router_id: Some(Ipv4Addr::new(10, 0, 0, 2)),
        local_router_id: ROUTER_ID,
        bgp_state: SessionState::Established,
        admin_down: false,
        bgp_timer_up_msec: Some(3_725_000),
        local: Some(SocketAddr::new(v4(10, 0, 0, 1), 40_112)),
        remote: Some(SocketAddr::new(peer, 179)),
        timers: Timers {
            bgp_timer_hold_time_msecs: 90_000,
            bgp_timer_keep_alive_interval_msecs: 30_000,
            bgp_timer_last_read: Some(4_000),
            bgp_timer_last_write: Some(12_000),
            hold_remaining_msecs: Some(86_000),
            next_connect_timer_due_in_msecs: None,
        },
        neighbor_capabilities: vec![
            capability("4-octet AS", true, true),
            capability("enhanced route refresh", true, false),
            capability("extended message", true, false),
            capability("graceful restart", true, true),
            capability("ipv4 unicast", false, true),
            capability("l2vpn evpn", true, true),
            capability("route refresh", true, true),
        ],
        graceful_restart_info: GracefulRestartState {
            advertised: true,
            received: true,
            notification: false,
            local_restart_time_sec: 120,
            remote_restart_time_sec: Some(120),
            stale_routes: 0,
            stale_remaining_msec: None,
            end_of_rib_received: true,
            end_of_rib_sent: true,
        },
        message_stats: MessageStats {
            opens_sent: 2,
            opens_recv: 2,
            updates_sent: 400,
            updates_recv: 12_331,
            keepalives_sent: 130,
            keepalives_recv: 131,
            notifications_sent: 1,
            notifications_recv: 0,
            route_refresh_sent: 0,
            route_refresh_recv: 1,
            total_sent: 533,
            total_recv: 12_465,
        },
        l2_vpn_evpn: evpn,
        address_family_info: [
            (AddressFamily::L2VpnEvpn, evpn),
            (AddressFamily::Ipv4Unicast, FamilyCounters { end_of_rib_received: false, ..few }),
            (AddressFamily::Ipv6Unicast, few),
            (AddressFamily::RtConstraint, few),
        ]
        .into(),
        errors: MessageErrors {
            attributes_discarded: 1,
            treat_as_withdraw: 2,
            last: Some("PMSI_TUNNEL at offset 78: its length is 4".into()),
            ..MessageErrors::default()
        },
        route_reflector_client: true,
        aigp: true,
        local_role: Some("customer".into()),
        remote_role: Some("provider".into()),
        connections_established: 2,
        connections_dropped: 1,
        last_reset: Some(LastReset::new(
            &Cause::HoldExpired { seconds: 90 },
            &peer.into(),
            3_800_000,
        )),
        events: vec![
            event(3_725_000, "established"),
            event(3_800_000, "hold timer expired; routes kept for 120 s"),
            event(86_400_000, "established"),
        ],
    }
}

/// A path that is the best.
pub(super) fn best() -> RoutePath {
    RoutePath {
        valid: true,
        bestpath: true,
        multipath: false,
        stale: false,
        selection_reason: Some("shorter AS path".into()),
        rejected: None,
        not_imported: None,
        path_from: PathFrom::External,
        peer_id: Some(v4(10, 0, 0, 2).into()),
        addpath_rx_id: None,
        path: "65001 65011".into(),
        origin: "IGP".into(),
        loc_prf: None,
        metric: None,
        nexthop: Some(v4(10, 0, 0, 11)),
        nexthops: vec![],
        vni: Some(vec![100]),
        esi: None,
        community: vec![],
        extended_community: strings(["RT:65011:100", "ET:8", "MM:1"]),
        link_bandwidth: Some(125_000_000),
        more: MoreAttributes::default(),
        age_msec: 62_000,
    }
}

/// Paths of every kind: best, multipath, stale, rejected.
pub fn routes() -> Page<Route> {
    let best = best();
    let second = RoutePath {
        bestpath: false,
        multipath: true,
        stale: true,
        selection_reason: None,
        peer_id: Some(SPINE6.into()),
        ..best.clone()
    };
    let rejected = RoutePath {
        valid: false,
        bestpath: false,
        selection_reason: None,
        rejected: Some("our own AS 65000 is in the AS path".into()),
        path: "65001 65000 65011".into(),
        more: MoreAttributes {
            large_community: strings(["65011:1:2", "65011:1:4294967295"]),
            extended_ipv6_community: strings(["RT:[2001:db8::1]:100"]),
            originator_id: Some(Ipv4Addr::new(10, 0, 0, 11)),
            cluster_list: vec![Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 3)],
            aigp_metric: Some(20),
            otc: Some(65_001),
            aggregator_as: Some(65_011),
            aggregator_id: Some(Ipv4Addr::new(10, 0, 0, 11)),
            atomic_aggregate: true,
            other_attributes: strings(["attribute 99, not known: 0102"]),
        },
        ..best.clone()
    };
    let own = RoutePath {
        selection_reason: Some("only path".into()),
        path_from: PathFrom::Local,
        peer_id: None,
        path: String::new(),
        loc_prf: Some(100),
        nexthop: Some(v4(10, 0, 0, 1)),
        community: strings(["graceful-shutdown"]),
        extended_community: strings(["RT:65000:100", "ET:8"]),
        link_bandwidth: None,
        ..best.clone()
    };
    Page {
        items: vec![
            Route {
                family: AddressFamily::L2VpnEvpn,
                rd: Some("10.0.0.1:100".into()),
                prefix: "[3]:[0]:[32]:[10.0.0.1]".into(),
                route_type: Some(3),
                eth_tag: Some(0),
                mac: None,
                ip: Some("10.0.0.1".into()),
                paths: vec![own],
            },
            Route {
                family: AddressFamily::L2VpnEvpn,
                rd: Some("10.0.0.11:100".into()),
                prefix: "[2]:[0]:[48]:[02:00:00:00:00:11]:[128]:[2001:db8:1234:5678:9abc:def0:1234:5678]"
                    .into(),
                route_type: Some(2),
                eth_tag: Some(0),
                mac: Some("02:00:00:00:00:11".into()),
                ip: Some("2001:db8:1234:5678:9abc:def0:1234:5678".into()),
                paths: vec![best.clone(), second, rejected],
            },
            Route {
                family: AddressFamily::L2VpnEvpn,
                rd: Some("10.0.0.11:100".into()),
                prefix: "[5]:[0]:[24]:[10.1.0.0]".into(),
                route_type: Some(5),
                eth_tag: Some(0),
                mac: None,
                ip: Some("10.1.0.0/24".into()),
                paths: vec![RoutePath {
                    vni: Some(vec![4000]),
                    not_imported: Some("no VNI and no VRF here imports its route targets".into()),
                    ..best
                }],
            },
        ],
        next_cursor: None,
        total: Some(3),
    }
}

/// One that is announced and one that is not.
pub fn bgp_vnis() -> Vec<BgpVni> {
    let up = BgpVni {
        vni: 100,
        kind: VniKind::L2,
        in_kernel: true,
        state: UpDown::Up,
        notices: vec![],
        rd: "10.0.0.1:100".into(),
        originator_ip: Some(v4(10, 0, 0, 1)),
        tenant_vrf: "default".into(),
        import_rts: strings(["*:100"]),
        export_rts: strings(["65000:100"]),
    };
    vec![
        up.clone(),
        BgpVni {
            vni: 16_777_215,
            kind: VniKind::L3,
            in_kernel: false,
            state: UpDown::Down,
            notices: vec![Notice::new(
                "no VXLAN device carries it",
                "ip link add vx16777215 type vxlan id 16777215 local 10.0.0.1 dstport 4789 nolearning",
            )],
            rd: "10.0.0.1:65535".into(),
            originator_ip: None,
            tenant_vrf: "tenant-with-a-long-name".into(),
            import_rts: strings(["*:16777215", "65010:4000", "65011:4000", "65012:4000"]),
            export_rts: strings(["65000:16777215"]),
        },
    ]
}
