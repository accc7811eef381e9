//! Keys of a `[[neighbor]]` or `[[group]]` that say how its session is used: roles, what is said at a
//! shutdown, AIGP, several paths.
//!
//! **What makes no sense for a neighbor is refused where it is written, never ignored.**

use super::{Default, Key};
use crate::Effect;
use crate::parse::{self, Parsed};
use crate::section::{Reading, Section};
use crate::source::Node;
use evpn_proto::bgp::message::AddPath;
use evpn_proto::bgp::role::Role;
use evpn_proto::bgp::session::SHUTDOWN_TEXT_OCTETS_MAX;
use evpn_proto::types::Family;

pub(super) const KEYS: &[Key] = &[
    Key {
        name: "role",
        kind: "\"provider\", \"customer\", \"peer\", \"rs-server\" or \"rs-client\"",
        default: Default::Unset,
        why: "what we are to it (RFC 9234): the contract is not ours to guess; external only",
        effect: Effect::ResetsSession,
    },
    Key {
        name: "role-strict",
        kind: "boolean",
        default: Default::Value("false"),
        why: "true refuses a neighbor that says no role; many speakers do not know roles yet",
        effect: Effect::ResetsSession,
    },
    Key {
        name: "shutdown-message",
        kind: "string, up to 255 octets",
        default: Default::Unset,
        why: "told to its operator when `shutdown` ends the session (RFC 9003)",
        effect: Effect::Live,
    },
    Key {
        name: "aigp",
        kind: "boolean",
        default: Default::Derived("true for an internal neighbor, false for an external one"),
        why: "RFC 7311 section 3.3: the metric must not leave the networks of one administration",
        effect: Effect::ResetsSession,
    },
    Key {
        name: "add-path",
        kind: "\"receive\", \"send\" or \"both\"",
        default: Default::Unset,
        why: "several paths to a route (RFC 7911) take room at both ends: for those who use them",
        effect: Effect::ResetsSession,
    },
];

/// Their values.
pub(super) struct Session {
    pub(super) role: Option<Role>,
    pub(super) role_strict: bool,
    pub(super) shutdown_message: Option<String>,
    aigp: Option<bool>,
    pub(super) add_path: Option<AddPath>,
}

pub(super) fn read(section: &Section<'_>, reading: &mut Reading) -> Session {
    const ROLES: &[(&str, Role)] = &[
        ("provider", Role::Provider),
        ("customer", Role::Customer),
        ("peer", Role::Peer),
        ("rs-server", Role::RsServer),
        ("rs-client", Role::RsClient),
    ];
    const ADD_PATH: &[(&str, AddPath)] =
        &[("receive", AddPath::Receive), ("send", AddPath::Send), ("both", AddPath::Both)];
    Session {
        role: section.opt(reading, "role", parse::word(ROLES)),
        role_strict: section.get(reading, "role-strict", parse::boolean),
        shutdown_message: section.opt(reading, "shutdown-message", shutdown_message),
        aigp: section.opt(reading, "aigp", parse::boolean),
        add_path: section.opt(reading, "add-path", parse::word(ADD_PATH)),
    }
}

/// A text that a NOTIFICATION can carry whole.
fn shutdown_message(node: &Node) -> Parsed<String> {
    let text = parse::text(node)?;
    if text.len() <= SHUTDOWN_TEXT_OCTETS_MAX {
        return Ok(text);
    }
    let message = format!("takes {} octets of UTF-8; it may take 255", text.len());
    let help = "shorten it: RFC 9003 section 2 gives its length one octet";
    parse::refuse(node, message, help)
}

/// Refuses what its neighbor cannot have.
pub(super) fn check(
    session: &Session,
    section: &Section<'_>,
    reading: &mut Reading,
    internal: bool,
) {
    if session.role.is_some() && internal {
        let message = "an internal neighbor has no role".to_owned();
        let help = "remove it: roles are between ASes (RFC 9234)";
        section.refuse(reading, "role", message, help.into());
    }
    if session.role_strict && session.role.is_none() && !section.has("role") {
        let message = "role-strict is of no use without role".to_owned();
        let help = "write role too, or remove role-strict";
        section.refuse(reading, "role-strict", message, help.into());
    }
}

/// Refuses several paths where no family can have them.
pub(super) fn check_add_path(
    session: &Session,
    families: &[Family],
    section: &Section<'_>,
    reading: &mut Reading,
) {
    if session.add_path.is_some() && families == [Family::RT_CONSTRAINT] {
        let message = "add-path is of no use with rt-constraint alone".to_owned();
        let help = "remove it: of what a neighbor wants there is one path";
        section.refuse(reading, "add-path", message, help.into());
    }
}

/// Whether AIGP is on: as written, else on within our AS (RFC 7311 section 3.3).
pub(super) fn aigp(
    session: &Session,
    section: &Section<'_>,
    reading: &mut Reading,
    internal: bool,
) -> bool {
    session.aigp.unwrap_or_else(|| {
        // It was refused when it was read, if there is one.
        if !section.has("aigp") {
            let why = if internal { "an internal neighbor" } else { "an external neighbor" };
            section.derived(reading, "aigp", internal.to_string(), why);
        }
        internal
    })
}
