//! `[dataplane]`: how the kernel is spoken to.
//!
//! **In `dry-run` nothing is written to the kernel.**

use super::{Default, Key, SectionDoc};
use crate::Effect;
use crate::parse::{self, Parsed};
use crate::section::{Reading, Section};
use crate::source::{Node, Value};
use serde::Serialize;

/// How the kernel is spoken to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Dataplane {
    /// Whether the kernel is programmed.
    pub mode: DataplaneMode,
    /// The protocol number by which our routes and neighbours are known.
    pub protocol: u8,
    /// The receive buffer of the monitoring socket, octets.
    pub receive_buffer: u64,
}

/// Whether the kernel is programmed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataplaneMode {
    /// Yes.
    #[default]
    Program,
    /// No: what would be written is only shown.
    DryRun,
}

/// Protocol numbers of `rtnetlink.h` that are another's.
const TAKEN: &[(i64, &str)] = &[
    (0, "unspecified"),
    (1, "ICMP redirects"),
    (2, "the kernel"),
    (3, "boot"),
    (4, "static routes"),
    (8, "GateD"),
    (9, "router advertisements"),
    (10, "MRTd"),
    (11, "Zebra"),
    (12, "BIRD"),
    (13, "DECnet"),
    (14, "XORP"),
    (15, "netsukuku"),
    (16, "DHCP"),
    (17, "mrouted"),
    (18, "keepalived"),
    (42, "babeld"),
    (99, "Open/R"),
    (186, "FRR's BGP"),
    (187, "FRR's IS-IS"),
    (188, "FRR's OSPF"),
    (189, "FRR's RIP"),
    (192, "FRR's EIGRP"),
    (193, "FRR's LDP"),
    (194, "FRR's SHARP"),
    (195, "FRR's PBR"),
    (196, "FRR's static routes"),
    (197, "FRR's OpenFabric"),
    (198, "FRR's SRTE"),
];

pub(crate) static DATAPLANE: SectionDoc = SectionDoc {
    path: "dataplane",
    keys: &[&[
        Key {
            name: "mode",
            kind: "\"program\" or \"dry-run\"",
            default: Default::Value("'program'"),
            why: "dry-run is for a first look beside another daemon",
            effect: Effect::Restart,
        },
        Key {
            name: "protocol",
            kind: "integer, 5 to 255, no other daemon's",
            default: Default::Value("110"),
            why: "free in rtnetlink.h, and of FRR's 186 to 198; shown by ip route as the owner of our entries",
            effect: Effect::Restart,
        },
        Key {
            name: "receive-buffer",
            kind: "amount of memory, 64KiB to 1GiB",
            default: Default::Value("'16MiB'"),
            why: "takes a burst of ten thousand events; memory is used only while they queue up",
            effect: Effect::Restart,
        },
    ]],
};

pub(crate) fn read(root: &Section<'_>, reading: &mut Reading) -> Dataplane {
    let section = root.child(reading, &DATAPLANE);
    section.finish(reading);
    Dataplane {
        mode: section.get(
            reading,
            "mode",
            parse::word(&[("program", DataplaneMode::Program), ("dry-run", DataplaneMode::DryRun)]),
        ),
        protocol: section.get(reading, "protocol", protocol),
        receive_buffer: section.get(reading, "receive-buffer", parse::octets(65_536..=1 << 30)),
    }
}

fn protocol(node: &Node) -> Parsed<u8> {
    if let Value::Integer(number) = node.value
        && let Some((_, owner)) = TAKEN.iter().find(|(taken, _)| *taken == number)
    {
        let message = format!("is {number}, which belongs to {owner}");
        let help = "evpnd sweeps what carries its number: take a free one such as 110";
        return parse::refuse(node, message, help);
    }
    parse::integer(5..=255)(node)
}
