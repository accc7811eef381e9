//! `[unicast]`: what is announced to neighbors that speak IPv4 or IPv6 unicast.
//!
//! **Nothing is announced that was not asked for**, and to whom is the neighbor's `families`.

use super::dynamic::DynamicGroup;
use super::neighbor::Neighbor;
use super::vrf::Redistribute;
use super::{Default, Key, SectionDoc};
use crate::Effect;
use crate::parse::{self, Parsed};
use crate::section::{Reading, Section};
use crate::source::Node;
use crate::value::as_texts;
use evpn_proto::types::{Family, is_link_local};
use ipnet::IpNet;
use serde::Serialize;

/// What is announced of the underlay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Unicast {
    /// Prefixes that are announced always.
    #[serde(serialize_with = "as_texts")]
    pub announce: Vec<IpNet>,
    /// What of the kernel's is announced beside.
    pub redistribute: Vec<Redistribute>,
}

pub(crate) static UNICAST: SectionDoc = SectionDoc {
    path: "unicast",
    keys: &[&[
        Key {
            name: "announce",
            kind: "list of prefixes",
            default: Default::Value("[]"),
            why: "nothing is announced that was not asked for; a leaf names its VTEP address",
            effect: Effect::Live,
        },
        Key {
            name: "redistribute",
            kind: "list of \"connected\"",
            default: Default::Value("[]"),
            why: "prefixes of links and addresses of the loopback; never bridges of VNIs",
            effect: Effect::Live,
        },
    ]],
};

/// The families that any neighbor speaks; none known where there are no neighbors yet.
pub(crate) struct Spoken(Option<Vec<Family>>);

impl Spoken {
    pub(crate) fn by(neighbors: &[Neighbor], groups: &[DynamicGroup]) -> Self {
        let all = neighbors.iter().chain(groups.iter().map(|group| &group.neighbor));
        let is_empty = neighbors.is_empty() && groups.is_empty();
        let families = || all.flat_map(|neighbor| neighbor.families.iter().copied()).collect();
        Self((!is_empty).then(families))
    }

    /// Whether somebody is told routes of one of the families.
    fn has_any(&self, families: &[Family]) -> bool {
        self.0.as_ref().is_none_or(|spoken| families.iter().any(|family| spoken.contains(family)))
    }
}

pub(crate) fn read(root: &Section<'_>, reading: &mut Reading, spoken: &Spoken) -> Unicast {
    let section = root.child(reading, &UNICAST);
    section.finish(reading);
    let redistribute = parse::word(&[("connected", Redistribute::Connected)]);
    let unicast = Unicast {
        announce: section.get(reading, "announce", parse::list(announced)),
        redistribute: section.get(reading, "redistribute", parse::list(redistribute)),
    };
    // Of a neighbor that was refused nobody knows what it would have spoken.
    if reading.problems.is_empty() {
        check_heard(&unicast, &section, reading, spoken);
    }
    unicast
}

/// Refuses what nobody would be told: half an underlay looks like a whole one.
fn check_heard(unicast: &Unicast, section: &Section<'_>, reading: &mut Reading, spoken: &Spoken) {
    let mut refuse = |key: &str, what: &str, family: Family| {
        let message = format!("{key}: no neighbor is told {what}");
        let help = format!("add \"{family}\" to `families` of those that are to be, or remove it");
        section.refuse(reading, key, message, help);
    };
    let either = [Family::IPV4_UNICAST, Family::IPV6_UNICAST];
    for family in either {
        let is_of = |net: &&IpNet| (family == Family::IPV4_UNICAST) == net.addr().is_ipv4();
        if let Some(prefix) = unicast.announce.iter().find(is_of)
            && !spoken.has_any(&[family])
        {
            refuse("announce", &prefix.to_string(), family);
        }
    }
    if !unicast.redistribute.is_empty() && !spoken.has_any(&either) {
        refuse("redistribute", "connected prefixes", Family::IPV4_UNICAST);
    }
}

/// A prefix that packets can be sent to from beyond a link.
fn announced(node: &Node) -> Parsed<IpNet> {
    let prefix = parse::prefix(node)?;
    let address = prefix.addr();
    let what = if address.is_multicast() {
        "groups"
    } else if is_link_local(address) {
        "link-local addresses"
    } else if address.is_loopback() {
        "loopback addresses"
    } else {
        return Ok(prefix);
    };
    let message = format!("is {prefix}, which holds {what}");
    let help = "write prefixes that other switches can send to, such as the VTEP's \"10.0.0.1/32\"";
    parse::refuse(node, message, help)
}
