//! `[api]`: where evpnctl and others reach the daemon.
//!
//! **Whoever reaches the socket may drain the switch, so it is never open to every user.**

use super::{Default, Key, SectionDoc};
use crate::Effect;
use crate::parse;
use crate::section::{Reading, Section};
use serde::{Serialize, Serializer};
use std::path::PathBuf;

/// Where the daemon is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Api {
    /// The Unix socket.
    pub socket: PathBuf,
    /// The group that owns the socket.
    pub group: String,
    /// The socket's permission bits.
    #[serde(serialize_with = "as_octal")]
    pub mode: u32,
}

fn as_octal<S: Serializer>(mode: &u32, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&format!("{mode:04o}"))
}

pub(crate) static API: SectionDoc = SectionDoc {
    path: "api",
    keys: &[&[
        Key {
            name: "socket",
            kind: "absolute path",
            default: Default::Value("'/run/evpnd/evpnd.sock'"),
            why: "the unit's runtime directory; evpnctl looks there",
            effect: Effect::Restart,
        },
        Key {
            name: "group",
            kind: "string",
            default: Default::Value("'evpnd'"),
            why: "members may use evpnctl without being root",
            effect: Effect::Restart,
        },
        Key {
            name: "mode",
            kind: "permission bits in octal, not writable by all",
            default: Default::Value("'0660'"),
            why: "the daemon and the group, nobody else",
            effect: Effect::Restart,
        },
    ]],
};

pub(crate) fn read(root: &Section<'_>, reading: &mut Reading) -> Api {
    let section = root.child(reading, &API);
    section.finish(reading);
    Api {
        socket: section.get(reading, "socket", parse::path),
        group: section.get(reading, "group", parse::text),
        mode: section.get(reading, "mode", parse::file_mode),
    }
}
