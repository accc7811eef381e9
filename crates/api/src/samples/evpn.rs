//! VNIs, hosts, the kernel and explanations.

use super::{strings, v4};
use crate::bgp::VniKind;
use crate::consistency::{Consistency, Difference, DifferenceKind, ObjectCount};
use crate::evpn::{Arp, ArpState, Mac, Vni};
use crate::why::{Candidate, Fate, Why, WhyTable};
use crate::{Locality, Notice, Page, UpDown};

/// One that works, and one for each reason not to.
pub fn vnis() -> Vec<Vni> {
    let up = Vni {
        vni: 100,
        kind: VniKind::L2,
        state: UpDown::Up,
        notices: vec![],
        vxlan_if: Some("vx100".into()),
        bridge: Some("br100".into()),
        vlan: None,
        svi_if: Some("br100".into()),
        tenant_vrf: "default".into(),
        vtep_ip: Some(v4(10, 0, 0, 1)),
        num_macs: 24,
        num_arp_nd: 31,
        num_remote_vteps: 2,
        remote_vteps: vec![v4(10, 0, 0, 11), v4(10, 0, 0, 12)],
    };
    let troubled = |vni: u32, state, text: &str, remedy: &str| Vni {
        vni,
        state,
        notices: vec![Notice::new(text, remedy)],
        vxlan_if: Some(format!("vx{vni}")),
        bridge: Some(format!("br{vni}")),
        num_macs: 1,
        num_arp_nd: 0,
        num_remote_vteps: 0,
        remote_vteps: vec![],
        ..up.clone()
    };
    vec![
        up.clone(),
        troubled(
            200,
            UpDown::Down,
            "VXLAN learning is on",
            "ip link set vx200 type vxlan nolearning",
        ),
        troubled(
            300,
            UpDown::Down,
            "the VXLAN device has no local address",
            "ip link set vx300 type vxlan local 10.0.0.1",
        ),
        troubled(
            400,
            UpDown::Up,
            "MTU of vx400 is 50 short of the underlay's: 1500 + 50 > 1500 on swp1",
            "ip link set swp1 mtu 1550, or ip link set vx400 mtu 1450",
        ),
        troubled(
            500,
            UpDown::Up,
            "no remote VTEP",
            "evpnctl show bgp l2vpn evpn route --type multicast: does anybody announce this VNI, \
             with a route target that we import?",
        ),
        Vni {
            vxlan_if: None,
            bridge: None,
            kind: VniKind::L3,
            svi_if: None,
            vlan: Some(4_094),
            tenant_vrf: "tenant-with-a-long-name".into(),
            vtep_ip: None,
            ..troubled(16_777_215, UpDown::Down, "no VXLAN device carries it", "ip link add ...")
        },
    ]
}

/// Local, remote, multihomed, sticky, duplicate.
pub fn macs() -> Page<Mac> {
    let local = Mac {
        vni: 100,
        mac: "02:00:00:00:00:01".into(),
        kind: Locality::Local,
        intf: Some("swp1".into()),
        remote_vtep: None,
        remote_es: None,
        local_sequence: 0,
        remote_sequence: 0,
        sticky: false,
    };
    let remote = Mac {
        mac: "02:00:00:00:00:11".into(),
        kind: Locality::Remote,
        intf: None,
        remote_vtep: Some(v4(10, 0, 0, 11)),
        remote_sequence: 3,
        ..local.clone()
    };
    Page::whole(vec![
        local.clone(),
        remote.clone(),
        Mac {
            mac: "02:00:00:00:00:12".into(),
            remote_es: Some("03:44:38:39:ff:ff:01:00:00:01".into()),
            ..remote.clone()
        },
        Mac { vni: 200, local_sequence: 5, remote_sequence: 6, ..local },
        Mac { vni: 16_777_215, sticky: true, ..remote },
    ])
}

/// IPv4 and IPv6, local and remote.
pub fn arp() -> Page<Arp> {
    let local = Arp {
        vni: 100,
        ip: v4(10, 1, 0, 1),
        kind: Locality::Local,
        state: ArpState::Active,
        mac: "02:00:00:00:00:01".into(),
        remote_vtep: None,
        local_sequence: 0,
        remote_sequence: 0,
    };
    Page::whole(vec![
        local.clone(),
        Arp {
            ip: "2001:db8:1234:5678:9abc:def0:1234:5678".parse().unwrap_or(local.ip),
            kind: Locality::Remote,
            state: ArpState::Inactive,
            mac: "02:00:00:00:00:11".into(),
            remote_vtep: "2001:db8:ffff:ffff:ffff:ffff:ffff:fffe".parse().ok(),
            remote_sequence: 3,
            ..local
        },
    ])
}

/// Nothing differs.
pub fn consistency_ok() -> Consistency {
    let count = |kind: &str, both| ObjectCount { kind: kind.into(), intended: both, kernel: both };
    Consistency {
        ok: true,
        mode: "steady".into(),
        checked_ago_msec: 1_200,
        objects: vec![count("fdb", 48), count("flood", 4), count("neighbour", 31)],
        differences: vec![],
        total_differences: 0,
    }
}

/// One difference of each kind.
pub fn consistency_differs() -> Consistency {
    let difference =
        |what, intended: Option<&str>, kernel: Option<&str>, reason: Option<&str>| Difference {
            what,
            kind: "fdb".into(),
            object: "02:00:00:00:00:11 vni 100".into(),
            intended: intended.map(str::to_owned),
            kernel: kernel.map(str::to_owned),
            reason: reason.map(str::to_owned),
        };
    let refused =
        "the kernel refused it 3 times: No space left on device (ENOSPC); next try in 30 s";
    Consistency {
        ok: false,
        objects: vec![
            ObjectCount { kind: "fdb".into(), intended: 48, kernel: 47 },
            ObjectCount { kind: "flood".into(), intended: 4, kernel: 4 },
        ],
        differences: vec![
            difference(DifferenceKind::Missing, Some("dst 10.0.0.11"), None, Some(refused)),
            difference(DifferenceKind::Unexpected, None, Some("dst 10.0.0.99"), None),
            difference(
                DifferenceKind::Differs,
                Some("dst 10.0.0.11"),
                Some("dst 10.0.0.12"),
                Some("written by another program; mended at the next audit"),
            ),
        ],
        total_differences: 5,
        ..consistency_ok()
    }
}

fn candidate(fate: Fate, reason: &str, peer: Option<u8>) -> Candidate {
    Candidate {
        fate,
        reason: reason.into(),
        route: "[2]:[0]:[48]:[02:00:00:00:00:11] rd 10.0.0.11:100".into(),
        peer_id: peer.map(|last| v4(10, 0, 0, last).into()),
        nexthop: peer.map(|_| v4(10, 0, 0, 11)),
    }
}

/// A host with a winner, a loser and a rejected path.
pub fn why_mac() -> Why {
    Why {
        subject: "02:00:00:00:00:11".into(),
        verdict: "frames to it in VNI 100 go to VTEP 10.0.0.11".into(),
        reachable: true,
        tables: vec![WhyTable {
            table: "VNI 100".into(),
            candidates: vec![
                candidate(Fate::Best, "higher mobility sequence: 3 against 2", Some(2)),
                candidate(Fate::Lost, "lower mobility sequence: 2 against 3", None),
                candidate(
                    Fate::Rejected,
                    "no route target of ours: it carries 65011:200, VNI 100 imports *:100",
                    Some(3),
                ),
            ],
            winner: Some(
                "10.0.0.2's path has the highest mobility sequence number (RFC 7432 §15)".into(),
            ),
            kernel: strings([
                "02:00:00:00:00:11 dev vx100 master br100 extern_learn",
                "02:00:00:00:00:11 dev vx100 dst 10.0.0.11 self extern_learn",
            ]),
            kernel_ok: true,
            contradictions: vec![],
            energy: vec![],
        }],
    }
}

/// A prefix that drains.
pub fn why_prefix() -> Why {
    Why {
        subject: "10.1.0.0/24".into(),
        verdict:
            "the kernel has no route to VTEP 10.0.0.13; by the routes, packets to it in VRF red \
                  are shared between 2 VTEPs"
                .into(),
        reachable: false,
        tables: vec![WhyTable {
            table: "VRF red".into(),
            candidates: [(Fate::Best, "oldest of equal paths", 2), (Fate::Multipath, "equal", 3)]
                .map(|(fate, reason, peer)| Candidate {
                    route: format!("[5]:[0]:[24]:[10.1.0.0] rd 10.0.0.1{peer}:4000"),
                    ..candidate(fate, reason, Some(peer))
                })
                .to_vec(),
            winner: Some("two paths are equal; both are in use, by weight".into()),
            kernel: strings(["10.1.0.0/24 nhid 2001 proto evpnd"]),
            kernel_ok: false,
            contradictions: vec![Notice::new(
                "the kernel has no route to VTEP 10.0.0.13",
                "ip route get 10.0.0.13",
            )],
            energy: strings([
                "site barn (10.0.0.11) is at avoid: its weight is 1 of 255 since 00:12:00",
                "flows that stay quiet for 30 s move to 10.0.0.12",
            ]),
        }],
    }
}

/// A host that nobody knows.
pub fn why_unknown() -> Why {
    Why {
        subject: "02:00:00:00:00:99".into(),
        verdict: "nothing is known of it: frames to it are flooded".into(),
        reachable: false,
        tables: vec![],
    }
}
