//! `[unicast]`: what is announced to neighbors that speak IPv4 or IPv6 unicast.
//!
//! **Nothing is announced that was not asked for**, and to whom is the neighbor's `families`.

use super::vrf::Redistribute;
use super::{Default, Key, SectionDoc};
use crate::Effect;
use crate::parse::{self, Parsed};
use crate::problem::Problem;
use crate::section::{Reading, Section};
use crate::source::Node;
use crate::value::as_texts;
use evpn_proto::types::is_link_local;
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

pub(crate) fn read(root: &Section<'_>, reading: &mut Reading) -> Unicast {
    let section = root.child(reading, &UNICAST);
    section.finish(reading);
    let redistribute = parse::word(&[("connected", Redistribute::Connected)]);
    Unicast {
        announce: section.get(reading, "announce", parse::list(announced)),
        redistribute: section.get(reading, "redistribute", parse::list(redistribute)),
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
    Err(vec![Problem::new(node.place.clone(), message).help(help)])
}
