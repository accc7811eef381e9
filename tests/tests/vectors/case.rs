//! The cases of both tables, as the octets that a session sends.

use serde_json::Value;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

const OURS: &str = include_str!("../../../proto/tests/vectors/cases.json");
const SHARED: &str = include_str!("../../../proto/tests/vectors/evpn-cases.json");

const UPDATE: u8 = 2;
/// Flags of a transitive attribute, with an extended length: well-known, and optional.
const WELL_KNOWN: u8 = 0x50;
const OPTIONAL: u8 = 0xd0;

/// What the octets are, in the words of `evpnctl decode --as`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Nlri,
    Message,
    Update,
}

impl Kind {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Nlri => "nlri",
            Self::Message => "message",
            Self::Update => "update",
        }
    }
}

/// A case.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) hex: String,
    pub(super) octets: Vec<u8>,
    /// Those of `evpnctl decode`.
    pub(super) options: BTreeSet<String>,
    pub(super) actions: BTreeSet<String>,
    /// Whether it may lead to an entry in the kernel; none where both are right.
    pub(super) program: Option<bool>,
    /// The session is to be without 25/70.
    pub(super) not_negotiated: bool,
}

impl Case {
    pub(super) fn has(&self, option: &str) -> bool {
        self.options.contains(option)
    }

    /// Whether it is what a session begins with, rather than a message on one.
    pub(super) fn opens(&self) -> bool {
        self.kind == Kind::Message && self.octets.get(18) == Some(&evpn_tests::bgp::OPEN)
    }
}

fn octets(hex: &str) -> Vec<u8> {
    let digits = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
    (0..hex.len()).step_by(2).map(digits).collect()
}

fn case(value: &Value, kind: Kind) -> Case {
    let texts = |key: &str| -> BTreeSet<String> {
        let list = value[key].as_array().into_iter().flatten();
        list.map(|text| text.as_str().expect("a text").to_owned()).collect()
    };
    let hex = value["hex"].as_str().expect("octets").to_owned();
    Case {
        name: value["name"].as_str().expect("a name").to_owned(),
        kind,
        octets: octets(&hex),
        hex,
        options: texts("options"),
        actions: texts("actions"),
        program: value["program"].as_bool(),
        not_negotiated: value.get("session").is_some(),
    }
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).expect("the tables are JSON")
}

/// The project's table.
pub(super) fn ours() -> Vec<Case> {
    let all = parse(OURS);
    let kind = |value: &Value| match value["as"].as_str() {
        Some("nlri") => Kind::Nlri,
        Some("message") => Kind::Message,
        Some("update") => Kind::Update,
        other => panic!("{other:?}"),
    };
    let cases = all["cases"].as_array().expect("cases");
    cases.iter().map(|value| case(value, kind(value))).collect()
}

/// The table that was given to the project.
pub(super) fn shared() -> Vec<Case> {
    let all = parse(SHARED);
    let list = |name: &str, kind| -> Vec<Case> {
        all[name].as_array().expect("cases").iter().map(|value| case(value, kind)).collect()
    };
    [list("nlri", Kind::Nlri), list("messages", Kind::Message)].concat()
}

/// What makes routes ones that the leaf imports.
#[derive(Clone, Debug)]
pub(super) struct Envelope {
    pub(super) next_hop: Ipv4Addr,
    /// The numbers of the route targets, below AS 65001.
    pub(super) targets: Vec<u32>,
    /// The VNI of the flooding tunnel, which ends at the next hop.
    pub(super) flood: u32,
    pub(super) router_mac: [u8; 6],
}

fn attribute(flags: u8, code: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).expect("short");
    [&[flags, code][..], &length.to_be_bytes(), value].concat()
}

impl Envelope {
    fn communities(&self) -> Vec<u8> {
        let targets = self.targets.iter().flat_map(|number| {
            let [a, b, c, d] = number.to_be_bytes();
            [0, 2, 0xfd, 0xe9, a, b, c, d]
        });
        let vxlan = [3, 0x0c, 0, 0, 0, 0, 0, 8];
        let [a, b, c, d, e, f] = self.router_mac;
        targets.chain(vxlan).chain([6, 3, a, b, c, d, e, f]).collect()
    }

    /// Routes in an UPDATE that is valid apart from them.
    pub(super) fn around(&self, nlri: &[u8]) -> Vec<u8> {
        let hop = self.next_hop.octets();
        let reach = [&[0, 25, 70, 4][..], &hop, &[0], nlri].concat();
        let [_, a, b, c] = self.flood.to_be_bytes();
        let tunnel = [&[0, 6, a, b, c][..], &hop].concat();
        let attributes = [
            attribute(OPTIONAL & 0xbf, 14, &reach),
            attribute(WELL_KNOWN, 1, &[0]),
            attribute(WELL_KNOWN, 2, &[2, 1, 0, 0, 0xfd, 0xe9]),
            attribute(OPTIONAL, 16, &self.communities()),
            attribute(OPTIONAL, 22, &tunnel),
        ]
        .concat();
        let length = u16::try_from(attributes.len()).expect("short");
        message(&[&[0, 0][..], &length.to_be_bytes(), &attributes].concat())
    }
}

/// The body of an UPDATE behind its header.
pub(super) fn message(body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(19 + body.len()).expect("short");
    [&[0xff; 16][..], &length.to_be_bytes(), &[UPDATE], body].concat()
}
