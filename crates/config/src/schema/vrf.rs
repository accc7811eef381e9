//! `[[vrf]]`: routed prefixes over an L3 VNI, and how gently they drain.
//!
//! **Every prefix has a drain time: its own, its VRF's, or that of `[energy]`.**

use super::energy::{DRAIN_TIME_KEYS, Drain};
use super::vni::{TARGET_KEYS, Vnis};
use super::{Default, Key, SectionDoc};
use crate::Effect;
use crate::parse;
use crate::problem::Problem;
use crate::section::{Reading, Section};
use crate::source::Place;
use crate::value::{DrainTime, RdChoice, RtChoice, as_text, as_texts};
use evpn_proto::types::Vni;
use ipnet::IpNet;
use serde::Serialize;
use std::collections::BTreeMap;

/// The one VRF of this version: the kernel's default.
pub const DEFAULT_VRF: &str = "default";

/// One IP-VRF.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Vrf {
    /// Its name, which identifies it.
    pub name: String,
    /// The VNI of its routed packets.
    #[serde(serialize_with = "as_text")]
    pub l3vni: Vni,
    /// The kernel's table number.
    pub table: u32,
    /// Its route distinguisher.
    #[serde(serialize_with = "as_text")]
    pub rd: RdChoice,
    /// The route targets that it imports.
    #[serde(serialize_with = "as_texts")]
    pub import: Vec<RtChoice>,
    /// The route targets that its routes carry.
    #[serde(serialize_with = "as_texts")]
    pub export: Vec<RtChoice>,
    /// What of the kernel's table is advertised beside `prefixes`.
    pub redistribute: Vec<Redistribute>,
    /// Whether an address of the switch is advertised beside its prefixes, at every level alike.
    pub advertise_own_address: bool,
    /// The drain time of what is redistributed or received.
    #[serde(serialize_with = "as_text")]
    pub drain_time: DrainTime,
    /// The prefixes that this site advertises, in their order.
    pub prefixes: Vec<Prefix>,
}

/// A kind of route that can be advertised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Redistribute {
    /// The prefixes of the switch's own addresses.
    Connected,
}

/// A prefix that this site advertises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Prefix {
    /// The prefix, which identifies it; without host bits.
    #[serde(serialize_with = "as_text")]
    pub prefix: IpNet,
    /// How long its traffic may take to leave.
    #[serde(serialize_with = "as_text")]
    pub drain_time: DrainTime,
}

pub(crate) static VRF: SectionDoc = SectionDoc {
    path: "vrf[]",
    keys: &[
        &[
            Key {
                name: "name",
                kind: "\"default\"",
                default: Default::Value("'default'"),
                why: "the kernel's default VRF is the only one in this version",
                effect: Effect::Live,
            },
            Key {
                name: "l3vni",
                kind: "integer, 1 to 16777215",
                default: Default::Required(
                    "write l3vni = 5000 with the number of its VXLAN device",
                ),
                why: "routed packets travel in a VNI of their own (RFC 9136)",
                effect: Effect::Live,
            },
            Key {
                name: "table",
                kind: "integer, 1 to 4294967295",
                default: Default::Value("254"),
                why: "the kernel's main table",
                effect: Effect::Live,
            },
            Key {
                name: "redistribute",
                kind: "list of \"connected\"",
                default: Default::Value("[]"),
                why: "nothing is advertised that was not asked for",
                effect: Effect::Live,
            },
            Key {
                name: "advertise-own-address",
                kind: "boolean",
                default: Default::Value("true"),
                why: "a route that no level changes: FRR 8.4 loses a site whose every route changes",
                effect: Effect::Live,
            },
        ],
        TARGET_KEYS,
        DRAIN_TIME_KEYS,
    ],
};

pub(crate) static PREFIX: SectionDoc = SectionDoc {
    path: "vrf[].prefixes[]",
    keys: &[
        &[Key {
            name: "prefix",
            kind: "IP prefix without host bits",
            default: Default::Required("write prefix = \"198.51.100.10/32\" with the prefix"),
            why: "a type 5 route to advertise from this site",
            effect: Effect::Live,
        }],
        DRAIN_TIME_KEYS,
    ],
};

pub(crate) fn read(
    root: &Section<'_>,
    energy: &Drain<'_>,
    vnis: &Vnis,
    reading: &mut Reading,
) -> Vec<Vrf> {
    let mut vrfs: BTreeMap<String, (Vrf, Place)> = BTreeMap::new();
    for mut section in root.children(reading, &VRF, &["name"]) {
        section.finish(reading);
        section.inherit(energy);
        let place = section.place("name");
        let Some(vrf) = read_one(&section, energy, vnis, reading) else { continue };
        if let Some((_, first)) = vrfs.get(&vrf.name) {
            let problem = Problem::new(place, format!("vrf \"{}\" is defined twice", vrf.name))
                .also(first.clone(), "first defined at")
                .help("keep one of them, or merge the two");
            reading.problems.push(problem);
        } else {
            vrfs.insert(vrf.name.clone(), (vrf, place));
        }
    }
    vrfs.into_values().map(|(vrf, _)| vrf).collect()
}

fn read_one(
    section: &Section<'_>,
    energy: &Drain<'_>,
    vnis: &Vnis,
    reading: &mut Reading,
) -> Option<Vrf> {
    let name = section.get(reading, "name", parse::text);
    if !name.is_empty() && name != DEFAULT_VRF {
        let message =
            format!("vrf \"{name}\" is not supported: this version routes in the default VRF");
        let help = "write name = \"default\", or leave the vrf out".to_owned();
        section.refuse(reading, "name", message, help);
    }
    let l3vni = section.opt(reading, "l3vni", parse::vni);
    if let Some((vni, place)) = l3vni.and_then(|vni| Some((vni, vnis.place_of(vni)?))) {
        let problem = Problem::new(section.place("l3vni"), format!("l3vni {vni} is an L2 VNI too"))
            .also(place.clone(), "defined at")
            .help("give routed packets a VNI of their own");
        reading.problems.push(problem);
    }
    let redistribute = parse::word(&[("connected", Redistribute::Connected)]);
    let rest = Vrf {
        name,
        l3vni: l3vni?,
        table: section.get(reading, "table", parse::integer(1..=i64::from(u32::MAX))),
        rd: section.get(reading, "rd", parse::rd),
        import: section.get(reading, "import", parse::list(parse::route_target)),
        export: section.get(reading, "export", parse::list(parse::route_target)),
        redistribute: section.get(reading, "redistribute", parse::list(redistribute)),
        advertise_own_address: section.get(reading, "advertise-own-address", parse::boolean),
        drain_time: section.get(reading, "drain-time", parse::drain_time),
        prefixes: read_prefixes(section, energy, reading),
    };
    Some(rest)
}

fn read_prefixes(vrf: &Section<'_>, energy: &Drain<'_>, reading: &mut Reading) -> Vec<Prefix> {
    let mut prefixes: BTreeMap<IpNet, (Prefix, Place)> = BTreeMap::new();
    for mut section in vrf.children(reading, &PREFIX, &["prefix"]) {
        section.finish(reading);
        section.inherit(vrf);
        section.inherit(energy);
        let prefix = section.opt(reading, "prefix", parse::prefix);
        let drain_time = section.get(reading, "drain-time", parse::drain_time);
        let Some(prefix) = prefix else { continue };
        let place = section.place("prefix");
        if let Some((_, first)) = prefixes.get(&prefix) {
            let problem = Problem::new(place, format!("prefix {prefix} is listed twice"))
                .also(first.clone(), "first listed at")
                .help("keep one of them");
            reading.problems.push(problem);
        } else {
            prefixes.insert(prefix, (Prefix { prefix, drain_time }, place));
        }
    }
    prefixes.into_values().map(|(prefix, _)| prefix).collect()
}
