//! `[router]`: who this speaker is, and how it restarts.
//!
//! **Nothing here can change while sessions are up, but the times of a restart.**

use super::{Default, Key, SectionDoc, seconds};
use crate::Effect;
use crate::parse;
use crate::section::{Reading, Section};
use crate::value::{as_duration, as_optional_text, as_text, as_texts};
use evpn_proto::types::Asn;
use serde::Serialize;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// Who this speaker is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Router {
    /// Our AS number.
    #[serde(rename = "as", serialize_with = "as_text")]
    pub asn: Asn,
    /// How evpnctl writes AS numbers in its text.
    pub as_notation: AsNotation,
    /// The BGP identifier; none: derived at start (RFC 6286).
    #[serde(serialize_with = "as_optional_text")]
    pub id: Option<Ipv4Addr>,
    /// What marks the routes that we reflect (RFC 4456 section 7); none: the BGP identifier.
    #[serde(serialize_with = "as_optional_text")]
    pub cluster_id: Option<Ipv4Addr>,
    /// The address of our VXLAN tunnels, the next hop of what we advertise; none: derived.
    #[serde(serialize_with = "as_optional_text")]
    pub vtep: Option<IpAddr>,
    /// Where BGP listens; empty: nowhere, sessions are only opened from here.
    #[serde(serialize_with = "as_texts")]
    pub listen: Vec<IpAddr>,
    /// The TCP port of `listen`, 1 to 65535.
    pub port: u16,
    /// Whether peers are asked to keep our routes while we restart (RFC 4724).
    pub graceful_restart: bool,
    /// How long peers shall wait for our return, whole seconds up to 4095 (RFC 4724 section 3).
    #[serde(serialize_with = "as_duration")]
    pub restart_time: Duration,
    /// The most that a restarted neighbor's routes are kept after its session is back and before
    /// its End-of-RIB (RFC 4724 section 4.2).
    #[serde(serialize_with = "as_duration")]
    pub stale_time: Duration,
    /// When, after our own start, adopted entries that no route confirmed are swept even though
    /// an End-of-RIB is missing.
    #[serde(serialize_with = "as_duration")]
    pub sweep_delay: Duration,
}

/// How AS numbers are written for people (RFC 5396).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AsNotation {
    /// A decimal number.
    #[default]
    Plain,
    /// With a dot where 16 bits do not hold it.
    Dot,
}

/// The largest restart time: twelve bits (RFC 4724 section 3).
const MAX_RESTART_SECONDS: u64 = 4095;

pub(crate) static ROUTER: SectionDoc = SectionDoc {
    path: "router",
    keys: &[&[
        Key {
            name: "as",
            kind: "AS number, 1 to 4294967294 or \"65000.1\"",
            default: Default::Required("write as = 65001 under [router], with your AS number"),
            why: "our AS number",
            effect: Effect::Restart,
        },
        Key {
            name: "as-notation",
            kind: "\"plain\" or \"dot\"",
            default: Default::Value("'plain'"),
            why: "how evpnctl writes AS numbers in text (RFC 5396); both are read, and JSON has numbers",
            effect: Effect::Live,
        },
        Key {
            name: "id",
            kind: "IPv4 address",
            default: Default::Derived("the VTEP if it is IPv4, else the lowest IPv4 address"),
            why: "the BGP identifier, unique in the AS; the VTEP is unique already",
            effect: Effect::Restart,
        },
        Key {
            name: "cluster-id",
            kind: "IPv4 address",
            default: Default::Derived("id"),
            why: "marks reflected routes (RFC 4456); reflectors of the same clients may share one",
            effect: Effect::Restart,
        },
        Key {
            name: "vtep",
            kind: "IP address",
            default: Default::Derived("the local address of the VXLAN devices"),
            why: "the next hop of our routes; the devices know it, and both must agree",
            effect: Effect::Restart,
        },
        Key {
            name: "listen",
            kind: "list of IP addresses",
            default: Default::Value("['0.0.0.0', '::']"),
            why: "every address: only configured neighbors are answered",
            effect: Effect::Restart,
        },
        Key {
            name: "port",
            kind: "integer, 1 to 65535",
            default: Default::Value("179"),
            why: "the port of BGP (RFC 4271)",
            effect: Effect::Restart,
        },
        Key {
            name: "graceful-restart",
            kind: "boolean",
            default: Default::Value("true"),
            why: "a restart leaves forwarding in place, so peers need not withdraw (RFC 4724)",
            effect: Effect::NextSession,
        },
        Key {
            name: "restart-time",
            kind: "duration, 1s to 4095s",
            default: Default::Value("'120s'"),
            why: "the field's usual time, enough for a reboot of a small switch",
            effect: Effect::NextSession,
        },
        Key {
            name: "stale-time",
            kind: "duration, 1s to 1h",
            default: Default::Value("'360s'"),
            why: "the most from a neighbor's return to its End-of-RIB, and for a refresh of its routes; a full table takes minutes",
            effect: Effect::Live,
        },
        Key {
            name: "sweep-delay",
            kind: "duration, 1s to 1h",
            default: Default::Value("'180s'"),
            why: "restart-time and a minute for the table: a peer that restarted with us is back",
            effect: Effect::Live,
        },
    ]],
};

pub(crate) fn read(root: &Section<'_>, reading: &mut Reading) -> Router {
    let section = root.child(reading, &ROUTER);
    section.finish(reading);
    Router {
        asn: section.opt(reading, "as", parse::asn).unwrap_or(Asn(0)),
        as_notation: section.get(
            reading,
            "as-notation",
            parse::word(&[("plain", AsNotation::Plain), ("dot", AsNotation::Dot)]),
        ),
        id: section.opt(reading, "id", parse::router_id),
        cluster_id: section.opt(reading, "cluster-id", parse::router_id),
        vtep: section.opt(reading, "vtep", parse::host_address),
        listen: section.get(reading, "listen", parse::list(parse::address)),
        port: section.get(reading, "port", parse::integer(1..=65_535)),
        graceful_restart: section.get(reading, "graceful-restart", parse::boolean),
        restart_time: section.get(
            reading,
            "restart-time",
            parse::whole_seconds(1..=MAX_RESTART_SECONDS),
        ),
        stale_time: section.get(reading, "stale-time", parse::duration(seconds(1)..=seconds(3600))),
        sweep_delay: section.get(
            reading,
            "sweep-delay",
            parse::duration(seconds(1)..=seconds(3600)),
        ),
    }
}
