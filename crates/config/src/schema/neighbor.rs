//! `[[neighbor]]`, and what it inherits from: its `[[group]]`, then `[timers]`.
//!
//! **A neighbor that has been read is complete: nothing needs to look at its group again.**

use super::dynamic::{DynamicGroup, DynamicGroups, LISTEN_KEYS};
use super::identity::{check_addresses, check_interface, read_id};
use super::router::Router;
use super::session::{self, Session};
use super::{Default, Key, SectionDoc, seconds};
use crate::parse::{self, Parsed};
use crate::problem::Problem;
use crate::section::{Reading, Section};
use crate::source::{Node, Place, Value};
use crate::value::{
    PeerAs, as_duration, as_neighbor_id, as_optional_text, as_text, as_texts, show_duration,
};
use crate::{Effect, suggest};
use evpn_proto::bgp::message::AddPath;
use evpn_proto::bgp::role::Role;
use evpn_proto::types::{Asn, Family, NeighborId};
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// One BGP neighbor, with everything it inherits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Neighbor {
    /// Who it is: its address, or the interface at whose other end it is.
    #[serde(flatten, serialize_with = "as_neighbor_id")]
    pub id: NeighborId,
    /// The group it takes values from.
    pub group: Option<String>,
    /// Its AS.
    #[serde(rename = "as", serialize_with = "as_text")]
    pub asn: PeerAs,
    /// What people call it.
    pub description: Option<String>,
    /// The address to speak from; none: the kernel's choice.
    #[serde(serialize_with = "as_optional_text")]
    pub update_source: Option<IpAddr>,
    /// The TTL of packets to it, 1 to 255.
    pub multihop: u8,
    /// The address families that are offered to it.
    #[serde(serialize_with = "as_texts")]
    pub families: Vec<Family>,
    /// Whether to wait for it to open the session.
    pub passive: bool,
    /// Whether the session is held down by the administrator.
    pub shutdown: bool,
    /// Whether its routes are reflected to every internal neighbor (RFC 4456).
    pub route_reflector_client: bool,
    /// The most routes that it may have here; none: no limit.
    pub max_prefix: Option<u32>,
    /// The file whose first line is the key of TCP MD5 (RFC 2385).
    pub password_file: Option<PathBuf>,
    /// The most hops that its packets may have come (RFC 5082); none: not looked at.
    pub ttl_security: Option<u8>,
    /// What we are to a neighbor of another AS (RFC 9234).
    #[serde(serialize_with = "as_optional_text")]
    pub role: Option<Role>,
    /// Whether it is refused if it does not say what it is.
    pub role_strict: bool,
    /// What its operator is told when `shutdown` ends the session (RFC 9003).
    pub shutdown_message: Option<String>,
    /// Whether the accumulated IGP metric is taken from it and told to it (RFC 7311).
    pub aigp: bool,
    /// Whether several paths to a route are taken from it or sent to it (RFC 7911); none: neither.
    #[serde(serialize_with = "as_optional_text")]
    pub add_path: Option<AddPath>,
    /// The TCP port to connect to.
    pub port: u16,
    /// The hold time that we propose, whole seconds, 0 or at least 3 s (RFC 4271 section 4.2).
    #[serde(serialize_with = "as_duration")]
    pub hold: Duration,
    /// The time between keepalives, whole seconds; zero with a hold time of zero.
    #[serde(serialize_with = "as_duration")]
    pub keepalive: Duration,
    /// The time between attempts to connect.
    #[serde(serialize_with = "as_duration")]
    pub connect_retry: Duration,
}

impl Neighbor {
    /// Whether the session is internal to our AS.
    pub fn is_internal(&self, own: Asn) -> bool {
        self.asn.is_internal(own)
    }
}

const TIMER_KEYS: &[Key] = &[
    Key {
        name: "hold",
        kind: "duration, 0s (never expires) or 3s to 65535s",
        default: Default::Value("'90s'"),
        why: "RFC 4271 section 10; three lost keepalives of a busy peer are not a failure",
        effect: Effect::ResetsSession,
    },
    Key {
        name: "keepalive",
        kind: "duration, 1s and shorter than hold",
        default: Default::Derived("a third of hold"),
        why: "RFC 4271 section 10: two may get lost before the hold time ends",
        effect: Effect::Live,
    },
    Key {
        name: "connect-retry",
        kind: "duration, 1s to 1h",
        default: Default::Value("'10s'"),
        why: "a link that comes up carries routes within seconds; a wake-up each 10 s is cheap",
        effect: Effect::Live,
    },
];

const COMMON_KEYS: &[Key] = &[
    Key {
        name: "as",
        kind: "AS number, \"internal\" or \"external\"",
        default: Default::Required(
            "write as = 65002 (or \"internal\", \"external\") in the neighbor or in its group",
        ),
        why: "a session with an unexpected AS is a mistake that should not come up",
        effect: Effect::ResetsSession,
    },
    Key {
        name: "update-source",
        kind: "IP address of the neighbor's family",
        default: Default::Unset,
        why: "the kernel picks the address of the route to the neighbor",
        effect: Effect::ResetsSession,
    },
    Key {
        name: "multihop",
        kind: "integer, 1 to 255",
        default: Default::Derived("1 for an external neighbor, 255 for an internal one"),
        why: "the TTL of packets to the neighbor: an external one is usually on the same link",
        effect: Effect::ResetsSession,
    },
    Key {
        name: "families",
        kind: "list of \"l2vpn-evpn\", \"ipv4-unicast\", \"ipv6-unicast\", \"rt-constraint\"",
        default: Default::Value("['l2vpn-evpn']"),
        why: "evpnd is for EVPN; an underlay that another daemon routes needs no more",
        effect: Effect::ResetsSession,
    },
    Key {
        name: "passive",
        kind: "boolean",
        default: Default::Value("false"),
        why: "both ends trying makes the session come up sooner",
        effect: Effect::Live,
    },
    Key {
        name: "shutdown",
        kind: "boolean",
        default: Default::Value("false"),
        why: "holds the session down without forgetting its configuration",
        effect: Effect::ResetsSession,
    },
    Key {
        name: "route-reflector-client",
        kind: "boolean",
        default: Default::Value("false"),
        why: "reflecting is what a spine or server does on purpose (RFC 4456); internal only",
        effect: Effect::ResetsSession,
    },
    Key {
        name: "max-prefix",
        kind: "integer, 1 to 4294967295",
        default: Default::Unset,
        why: "a neighbor that announces more is stopped until `evpnctl clear bgp`; a limit needs a size",
        effect: Effect::Live,
    },
    Key {
        name: "password-file",
        kind: "absolute path",
        default: Default::Unset,
        why: "its first line is the key of TCP MD5 (RFC 2385); passwords stand in no configuration",
        effect: Effect::ResetsSession,
    },
    Key {
        name: "ttl-security",
        kind: "integer, 1 to 254",
        default: Default::Unset,
        why: "farthest hops that its packets may have come (RFC 5082); both ends need it",
        effect: Effect::ResetsSession,
    },
    Key {
        name: "port",
        kind: "integer, 1 to 65535",
        default: Default::Value("179"),
        why: "the port of BGP (RFC 4271)",
        effect: Effect::ResetsSession,
    },
];

pub(crate) static TIMERS: SectionDoc = SectionDoc { path: "timers", keys: &[TIMER_KEYS] };

pub(crate) static GROUP: SectionDoc = SectionDoc {
    path: "group[]",
    keys: &[
        &[Key {
            name: "name",
            kind: "string",
            default: Default::Required("write name = \"spines\", or what you call the group"),
            why: "neighbors name the group that they take values from",
            effect: Effect::Live,
        }],
        LISTEN_KEYS,
        COMMON_KEYS,
        session::KEYS,
        TIMER_KEYS,
    ],
};

pub(crate) static NEIGHBOR: SectionDoc = SectionDoc {
    path: "neighbor[]",
    keys: &[
        &[
            Key {
                name: "address",
                kind: "IP address",
                default: Default::Unset,
                why: "the neighbor's identity: this or interface",
                effect: Effect::ResetsSession,
            },
            Key {
                name: "interface",
                kind: "name of an interface",
                default: Default::Unset,
                why: "in place of address: whoever advertises himself as a router on this link",
                effect: Effect::ResetsSession,
            },
            Key {
                name: "group",
                kind: "name of a [[group]]",
                default: Default::Unset,
                why: "a neighbor stands for itself unless it shares values with others",
                effect: Effect::Live,
            },
            Key {
                name: "description",
                kind: "string",
                default: Default::Unset,
                why: "only for people",
                effect: Effect::Live,
            },
        ],
        COMMON_KEYS,
        session::KEYS,
        TIMER_KEYS,
    ],
};

/// The values that a neighbor shares with its group.
struct Common {
    asn: Option<PeerAs>,
    update_source: Option<IpAddr>,
    multihop: Option<u8>,
    families: Vec<Family>,
    passive: bool,
    shutdown: bool,
    route_reflector_client: bool,
    max_prefix: Option<u32>,
    password_file: Option<PathBuf>,
    ttl_security: Option<u8>,
    session: Session,
    port: u16,
    timers: Timers,
}

struct Timers {
    hold: Option<Duration>,
    keepalive: Option<Duration>,
    connect_retry: Duration,
}

fn read_timers(section: &Section<'_>, reading: &mut Reading) -> Timers {
    Timers {
        hold: section.opt(reading, "hold", parse::hold_time),
        keepalive: section.opt(reading, "keepalive", parse::whole_seconds(1..=65_535)),
        connect_retry: section.get(
            reading,
            "connect-retry",
            parse::duration(seconds(1)..=seconds(3600)),
        ),
    }
}

fn read_common(section: &Section<'_>, reading: &mut Reading) -> Common {
    Common {
        asn: section.opt(reading, "as", peer_as),
        update_source: section.opt(reading, "update-source", parse::host_address),
        multihop: section.opt(reading, "multihop", parse::integer(1..=255)),
        families: section.get(reading, "families", families),
        passive: section.get(reading, "passive", parse::boolean),
        shutdown: section.get(reading, "shutdown", parse::boolean),
        route_reflector_client: section.get(reading, "route-reflector-client", parse::boolean),
        max_prefix: section.opt(reading, "max-prefix", parse::integer(1..=u32::MAX.into())),
        password_file: section.opt(reading, "password-file", parse::path),
        ttl_security: section.opt(reading, "ttl-security", parse::integer(1..=254)),
        session: session::read(section, reading),
        port: section.get(reading, "port", parse::integer(1..=65_535)),
        timers: read_timers(section, reading),
    }
}

/// The families by their names.
const FAMILIES: &[(&str, Family)] = &[
    ("l2vpn-evpn", Family::EVPN),
    ("ipv4-unicast", Family::IPV4_UNICAST),
    ("ipv6-unicast", Family::IPV6_UNICAST),
    ("rt-constraint", Family::RT_CONSTRAINT),
];

fn families(node: &Node) -> Parsed<Vec<Family>> {
    let families = parse::list(parse::word(FAMILIES))(node)?;
    if families.is_empty() {
        let help = "write families = [\"l2vpn-evpn\"], or leave it out";
        return parse::refuse(node, "is empty, which offers no family at all", help);
    }
    Ok(families)
}

fn peer_as(node: &Node) -> Parsed<PeerAs> {
    match &node.value {
        Value::Text(text) if text == "internal" => Ok(PeerAs::Internal),
        Value::Text(text) if text == "external" => Ok(PeerAs::External),
        Value::Text(text) if text.starts_with(|c: char| !c.is_ascii_digit()) => {
            let message =
                format!("is \"{text}\"; it must be an AS number, \"internal\" or \"external\"");
            let problem = Problem::new(node.place.clone(), message);
            Err(vec![match suggest::nearest(text, &["internal", "external"]) {
                Some(near) => problem.help(format!("did you mean \"{near}\"?")),
                None => problem.help("for example as = 65002"),
            }])
        }
        _ => parse::asn(node).map(PeerAs::Number),
    }
}

/// All neighbors, in the order of what they are known by, and the groups that listen.
pub(crate) fn read(
    root: &Section<'_>,
    router: &Router,
    reading: &mut Reading,
) -> (Vec<Neighbor>, Vec<DynamicGroup>) {
    let timers = root.child(reading, &TIMERS);
    timers.finish(reading);
    let defaults = read_timers(&timers, reading);
    if let Some(hold) = defaults.hold {
        resolve_keepalive(&timers, reading, hold, defaults.keepalive);
    }
    let (groups, dynamic) = read_groups(root, &timers, router, reading);
    let mut neighbors: BTreeMap<NeighborId, (Neighbor, Place)> = BTreeMap::new();
    for mut section in root.children(reading, &NEIGHBOR, &["address", "interface"]) {
        section.finish(reading);
        let group = section.opt(reading, "group", parse::text);
        if let Some(name) = &group {
            match groups.get(name) {
                Some((lender, _)) => section.inherit(lender),
                None => {
                    refuse_group(&section, reading, name, &groups);
                    // What the group would have said is unknown: nothing is missed for now.
                    section = section.into_lender();
                }
            }
        }
        section.inherit(&timers);
        let place = match section.has("address") {
            true => section.place("address"),
            false => section.place("interface"),
        };
        let Some(neighbor) = read_one(&section, reading, router, group) else { continue };
        match neighbors.get(&neighbor.id) {
            Some((_, first)) => reading.problems.push(
                Problem::new(place, format!("neighbor {} is defined twice", neighbor.id))
                    .also(first.clone(), "first defined at")
                    .help("keep one of them, or merge the two"),
            ),
            None => {
                neighbors.insert(neighbor.id.clone(), (neighbor, place));
            }
        }
    }
    dynamic.check_keys(neighbors.values(), reading);
    let neighbors = neighbors.into_values().map(|(neighbor, _)| neighbor).collect();
    (neighbors, dynamic.into_groups())
}

type Groups<'a> = BTreeMap<String, (Section<'a>, Place)>;

fn read_groups<'a>(
    root: &Section<'a>,
    timers: &Section<'a>,
    router: &Router,
    reading: &mut Reading,
) -> (Groups<'a>, DynamicGroups) {
    let mut groups: Groups<'a> = BTreeMap::new();
    let mut dynamic = DynamicGroups::default();
    for section in root.children(reading, &GROUP, &["name"]) {
        section.finish(reading);
        let Some(name) = section.opt(reading, "name", parse::text) else { continue };
        let mut whole = section.clone();
        let section = section.into_lender();
        if whole.has("listen") {
            whole.inherit(timers);
            dynamic.read(&whole, reading, router, &name);
        } else {
            if section.has("listen-limit") {
                let message = "listen-limit has nothing to limit".to_owned();
                let help = "add listen with the prefixes that neighbors may dial from";
                section.refuse(reading, "listen-limit", message, help.into());
            }
            // Its values are read again by each member; here, so that an unused group is checked
            // too.
            read_common(&section, reading);
        }
        let place = section.place("name");
        if let Some((_, first)) = groups.get(&name) {
            let problem = Problem::new(place, format!("group \"{name}\" is defined twice"))
                .also(first.clone(), "first defined at")
                .help("rename one of them, or merge the two");
            reading.problems.push(problem);
        } else {
            groups.insert(name, (section, place));
        }
    }
    (groups, dynamic)
}

fn refuse_group(section: &Section<'_>, reading: &mut Reading, name: &str, groups: &Groups<'_>) {
    let names: Vec<&str> = groups.keys().map(String::as_str).collect();
    let help = match suggest::nearest(name, &names) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("define it: [[group]] with name = \"{name}\""),
    };
    section.refuse(reading, "group", format!("there is no group \"{name}\""), help);
}

fn read_one(
    section: &Section<'_>,
    reading: &mut Reading,
    router: &Router,
    group: Option<String>,
) -> Option<Neighbor> {
    let id = read_id(section, reading);
    let description = section.opt(reading, "description", parse::text);
    let common = read_common(section, reading);
    let id = id?;
    match &id {
        NeighborId::Address(address) => {
            check_addresses(section, reading, router, *address, common.update_source);
        }
        NeighborId::Interface(name) => check_interface(section, reading, name),
    }
    let who = format!("neighbor {id}");
    complete(section, reading, router, Named { who, id, group, description }, common)
}

/// A neighbor whose group has no more to say than it itself: one that nobody names.
pub(super) fn common_of_whole(
    section: &Section<'_>,
    reading: &mut Reading,
    router: &Router,
    id: NeighborId,
    group: &str,
) -> Option<Neighbor> {
    let common = read_common(section, reading);
    let who = format!("a neighbor of group \"{group}\"");
    let named = Named { who, id, group: Some(group.to_owned()), description: None };
    complete(section, reading, router, named, common)
}

/// What a neighbor has for itself.
struct Named {
    /// For messages.
    who: String,
    id: NeighborId,
    group: Option<String>,
    description: Option<String>,
}

fn complete(
    section: &Section<'_>,
    reading: &mut Reading,
    router: &Router,
    named: Named,
    common: Common,
) -> Option<Neighbor> {
    let Named { who, id, group, description } = named;
    let (asn, hold) = (common.asn?, common.timers.hold?);
    let keepalive = resolve_keepalive(section, reading, hold, common.timers.keepalive);
    let internal = asn.is_internal(router.asn);
    if common.route_reflector_client && !internal {
        let message = format!("{who} is external and cannot be a client");
        let help = "remove it: routes of other ASes are passed on anyway, with or without it";
        section.refuse(reading, "route-reflector-client", message, help.into());
    }
    session::check(&common.session, section, reading, internal);
    session::check_add_path(&common.session, &common.families, section, reading);
    let aigp = session::aigp(&common.session, section, reading, internal);
    if common.ttl_security.is_some() && section.has("multihop") {
        let message = "ttl-security and multihop exclude each other".to_owned();
        let help = "remove multihop: with ttl-security packets leave with a TTL of 255";
        section.refuse(reading, "ttl-security", message, help.into());
    }
    let multihop = common.multihop.unwrap_or_else(|| {
        let (ttl, why) = match internal {
            true => (u8::MAX, "an internal neighbor"),
            false => (1, "an external neighbor"),
        };
        section.derived(reading, "multihop", ttl.to_string(), why);
        ttl
    });
    Some(Neighbor {
        id,
        group,
        asn,
        description,
        update_source: common.update_source,
        multihop,
        families: common.families,
        passive: common.passive,
        shutdown: common.shutdown,
        route_reflector_client: common.route_reflector_client,
        max_prefix: common.max_prefix,
        password_file: common.password_file,
        ttl_security: common.ttl_security,
        role: common.session.role,
        role_strict: common.session.role_strict,
        shutdown_message: common.session.shutdown_message,
        aigp,
        add_path: common.session.add_path,
        port: common.port,
        hold,
        keepalive,
        connect_retry: common.timers.connect_retry,
    })
}

/// The keepalive time that goes with a hold time: as written, else a third (RFC 4271 section 10).
/// The two are a pair: whoever sets a hold time of its own does not inherit a keepalive time that
/// was meant for another.
fn resolve_keepalive(
    section: &Section<'_>,
    reading: &mut Reading,
    hold: Duration,
    written: Option<Duration>,
) -> Duration {
    let other_pair = match (section.distance("hold"), section.distance("keepalive")) {
        (Some(hold), Some(keepalive)) => keepalive > hold,
        _ => false,
    };
    match written.filter(|_| !other_pair) {
        Some(keepalive) if hold.is_zero() => {
            let message = format!("keepalive is {} but hold is 0s", show_duration(keepalive));
            let help = "with a hold time of 0 no keepalives are sent: remove one of them";
            section.refuse(reading, "keepalive", message, help.into());
            keepalive
        }
        Some(keepalive) if keepalive >= hold => {
            let (shown, hold_shown) = (show_duration(keepalive), show_duration(hold));
            let message =
                format!("keepalive is {shown}; it must be shorter than hold ({hold_shown})");
            let third = show_duration(Duration::from_secs(hold.as_secs() / 3));
            let help = format!("remove it, or write \"{third}\", a third of hold");
            section.refuse(reading, "keepalive", message, help);
            keepalive
        }
        Some(keepalive) => keepalive,
        // It was refused when it was read.
        None if section.has("keepalive") && !other_pair => Duration::ZERO,
        None => {
            let keepalive = Duration::from_secs(hold.as_secs() / 3);
            section.derived(
                reading,
                "keepalive",
                format!("\"{}\"", show_duration(keepalive)),
                "a third of hold",
            );
            keepalive
        }
    }
}
