//! `[[vni]]`: exceptions for single L2 VNIs; most leaves need none.
//!
//! **Each VNI is named once.**

use super::{Default, Key, SectionDoc};
use crate::Effect;
use crate::parse;
use crate::problem::Problem;
use crate::section::{Reading, Section};
use crate::source::Place;
use crate::value::{RdChoice, RtChoice, as_text, as_texts};
use evpn_proto::types::Vni;
use serde::Serialize;
use std::collections::BTreeMap;

/// What is special about one L2 VNI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct VniConfig {
    /// The VNI, which identifies it.
    #[serde(serialize_with = "as_text")]
    pub vni: Vni,
    /// Its route distinguisher.
    #[serde(serialize_with = "as_text")]
    pub rd: RdChoice,
    /// The route targets that it imports.
    #[serde(serialize_with = "as_texts")]
    pub import: Vec<RtChoice>,
    /// The route targets that its routes carry.
    #[serde(serialize_with = "as_texts")]
    pub export: Vec<RtChoice>,
    /// Whether it takes part in EVPN.
    pub enabled: bool,
}

/// The keys that L2 VNIs and VRFs share.
pub(super) const TARGET_KEYS: &[Key] = &[
    Key {
        name: "rd",
        kind: "\"auto\", \"10.0.0.1:100\" or \"65000:100\"",
        default: Default::Value("'auto'"),
        why: "router id and a number of its own: unique per leaf (RFC 7432 section 7.9)",
        effect: Effect::Live,
    },
    Key {
        name: "import",
        kind: "list of route targets or \"auto\"",
        default: Default::Value("['auto']"),
        why: "the VNI under whatever AS, so that eBGP leaves import each other's routes",
        effect: Effect::Live,
    },
    Key {
        name: "export",
        kind: "list of route targets or \"auto\"",
        default: Default::Value("['auto']"),
        why: "our AS and the VNI",
        effect: Effect::Live,
    },
];

pub(crate) static VNI: SectionDoc = SectionDoc {
    path: "vni[]",
    keys: &[
        &[
            Key {
                name: "vni",
                kind: "integer, 1 to 16777215",
                default: Default::Required("write vni = 100 with the number of the VXLAN device"),
                why: "the VNI that this exception is for",
                effect: Effect::Live,
            },
            Key {
                name: "enabled",
                kind: "boolean",
                default: Default::Value("true"),
                why: "a VNI that is named is wanted; false keeps its device out of EVPN",
                effect: Effect::Live,
            },
        ],
        TARGET_KEYS,
    ],
};

/// The exceptions in the order of their VNIs, and where each stands.
pub(crate) struct Vnis(BTreeMap<Vni, (VniConfig, Place)>);

impl Vnis {
    /// Where a VNI that takes part in EVPN as an L2 VNI is named.
    pub(super) fn place_of(&self, vni: Vni) -> Option<&Place> {
        self.0.get(&vni).filter(|(config, _)| config.enabled).map(|(_, place)| place)
    }

    pub(super) fn into_configs(self) -> Vec<VniConfig> {
        self.0.into_values().map(|(config, _)| config).collect()
    }
}

pub(crate) fn read(root: &Section<'_>, reading: &mut Reading) -> Vnis {
    let mut vnis: BTreeMap<Vni, (VniConfig, Place)> = BTreeMap::new();
    for section in root.children(reading, &VNI, &["vni"]) {
        section.finish(reading);
        let vni = section.opt(reading, "vni", parse::vni);
        let enabled = section.get(reading, "enabled", parse::boolean);
        let rd = section.get(reading, "rd", parse::rd);
        let import = section.get(reading, "import", parse::list(parse::route_target));
        let export = section.get(reading, "export", parse::list(parse::route_target));
        let Some(vni) = vni else { continue };
        let place = section.place("vni");
        if let Some((_, first)) = vnis.get(&vni) {
            let problem = Problem::new(place, format!("VNI {vni} is defined twice"))
                .also(first.clone(), "first defined at")
                .help("keep one of them, or merge the two");
            reading.problems.push(problem);
        } else {
            vnis.insert(vni, (VniConfig { vni, rd, import, export, enabled }, place));
        }
    }
    Vnis(vnis)
}
