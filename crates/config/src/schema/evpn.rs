//! `[evpn]`: what is advertised of the bridge, and how it is kept in step.
//!
//! **The defaults fit a leaf whose VXLAN devices the operator's own tools made.**

use super::{Default, Key, SectionDoc, seconds};
use crate::Effect;
use crate::parse;
use crate::section::{Reading, Section};
use crate::value::as_duration;
use serde::Serialize;
use std::time::Duration;

/// What is advertised of the bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Evpn {
    /// Whether every VNI with a VXLAN device is advertised, or only those that `[[vni]]` names.
    pub advertise_all_vni: bool,
    /// The form of automatic route targets.
    pub route_target: AutoRouteTarget,
    /// The time between comparisons of the kernel's tables with what the routes say.
    #[serde(serialize_with = "as_duration")]
    pub audit_interval: Duration,
}

/// The form of automatic route targets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AutoRouteTarget {
    /// `(AS & 0xffff):VNI`, as most speakers do.
    #[default]
    Auto,
    /// With the type of the network in the number (RFC 8365 section 5.1.2.1).
    Rfc8365,
}

pub(crate) static EVPN: SectionDoc = SectionDoc {
    path: "evpn",
    keys: &[&[
        Key {
            name: "advertise-all-vni",
            kind: "boolean",
            default: Default::Value("true"),
            why: "a VXLAN device is there to be used; false: only VNIs that [[vni]] names",
            effect: Effect::Live,
        },
        Key {
            name: "route-target",
            kind: "\"auto\" or \"rfc8365\"",
            default: Default::Value("'auto'"),
            why: "(AS & 0xffff):VNI, which FRR, Cumulus, SONiC and others derive alike",
            effect: Effect::Live,
        },
        Key {
            name: "audit-interval",
            kind: "duration, 1s to 24h",
            default: Default::Value("'60s'"),
            why: "bounds how long a lost kernel event can matter; \"1h\" saves wake-ups",
            effect: Effect::Live,
        },
    ]],
};

pub(crate) fn read(root: &Section<'_>, reading: &mut Reading) -> Evpn {
    let section = root.child(reading, &EVPN);
    section.finish(reading);
    let day = seconds(1)..=seconds(86_400);
    Evpn {
        advertise_all_vni: section.get(reading, "advertise-all-vni", parse::boolean),
        route_target: section.get(
            reading,
            "route-target",
            parse::word(&[("auto", AutoRouteTarget::Auto), ("rfc8365", AutoRouteTarget::Rfc8365)]),
        ),
        audit_interval: section.get(reading, "audit-interval", parse::duration(day)),
    }
}
