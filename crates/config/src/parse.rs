//! From a value of TOML to a value of ours, one small function per kind.
//!
//! Each message is a predicate of the key ("is 2s; it must be ..."): the section puts the key's
//! name in front.
//!
//! **A value out of range is refused with the range in the text, never clamped.**

use crate::problem::Problem;
use crate::source::{Node, Value};
use crate::suggest;
use crate::value::{Bandwidth, DrainTime, Endpoint, RdChoice, RtChoice, show_duration};
use evpn_proto::types::{Asn, InterfaceName, Vni};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// A value, or everything that is wrong with it.
pub(crate) type Parsed<T> = Result<T, Vec<Problem>>;

/// A refusal of the whole value.
pub(crate) fn refuse<T>(
    node: &Node,
    message: impl Into<String>,
    help: impl Into<String>,
) -> Parsed<T> {
    Err(vec![Problem::new(node.place.clone(), message).help(help)])
}

/// A refusal whose message says all there is.
fn refuse_plainly<T>(node: &Node, message: String) -> Parsed<T> {
    Err(vec![Problem::new(node.place.clone(), message)])
}

/// A refusal because of the kind of value.
fn wrong_kind<T>(node: &Node, wanted: &str, example: &str) -> Parsed<T> {
    refuse(
        node,
        format!("is {}; it must be {wanted}", node.kind()),
        format!("for example {example}"),
    )
}

/// Any text that is not empty.
pub(crate) fn text(node: &Node) -> Parsed<String> {
    match &node.value {
        Value::Text(text) if text.trim().is_empty() => {
            refuse(node, "is empty", "write a text, or leave the key out")
        }
        Value::Text(text) => Ok(text.clone()),
        _ => wrong_kind(node, "a string", "\"spine-1\""),
    }
}

/// `true` or `false`.
pub(crate) fn boolean(node: &Node) -> Parsed<bool> {
    match &node.value {
        Value::Bool(on) => Ok(*on),
        _ => wrong_kind(node, "true or false", "true"),
    }
}

/// An integer of a range; `T` is wide enough for it.
pub(crate) fn integer<T>(range: RangeInclusive<i64>) -> impl Fn(&Node) -> Parsed<T>
where
    T: TryFrom<i64>,
{
    move |node| {
        let Value::Integer(number) = node.value else {
            return wrong_kind(node, "an integer", &range.start().to_string());
        };
        match T::try_from(number) {
            Ok(value) if range.contains(&number) => Ok(value),
            _ => {
                let (low, high) = (range.start(), range.end());
                refuse_plainly(node, format!("is {number}; it must be {low} to {high}"))
            }
        }
    }
}

/// One word of a fixed set.
pub(crate) fn word<T: Copy>(words: &'static [(&'static str, T)]) -> impl Fn(&Node) -> Parsed<T> {
    move |node| {
        let given = match &node.value {
            Value::Text(text) => text.as_str(),
            _ => "",
        };
        if let Some((_, value)) = words.iter().find(|(name, _)| *name == given) {
            return Ok(*value);
        }
        let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
        let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
        let message = format!("is {}; it must be {}", node.render(), quoted.join(" or "));
        match suggest::word(given, &names) {
            Some(near) => refuse(node, message, format!("did you mean \"{near}\"?")),
            None => refuse_plainly(node, message),
        }
    }
}

/// A list, each item parsed alike, no item twice.
pub(crate) fn list<T: PartialEq>(
    item: impl Fn(&Node) -> Parsed<T>,
) -> impl Fn(&Node) -> Parsed<Vec<T>> {
    move |node| {
        let Value::List(nodes) = &node.value else {
            return wrong_kind(node, "a list", &format!("[{}]", node.render()));
        };
        let (mut values, mut problems) = (Vec::with_capacity(nodes.len()), Vec::new());
        for node in nodes {
            match item(node) {
                Ok(value) if values.contains(&value) => {
                    let message = format!("names {} twice", node.render());
                    problems.push(Problem::new(node.place.clone(), message).help("remove one"));
                }
                Ok(value) => values.push(value),
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() { Ok(values) } else { Err(problems) }
    }
}

/// An AS number: an integer, or a string in asplain or asdot (RFC 5396).
pub(crate) fn asn(node: &Node) -> Parsed<Asn> {
    let asn = match &node.value {
        Value::Integer(number) => u32::try_from(*number).ok().map(Asn),
        Value::Text(text) => text.parse().ok(),
        // TOML takes 1.10 for the fraction 1.1.
        Value::Other(_) => {
            let message = format!("is {}; it must be an AS number", node.kind());
            return refuse(node, message, "one with a dot is written in quotes: \"65000.1\"");
        }
        _ => return wrong_kind(node, "an AS number", "65001 or \"65000.1\""),
    };
    match asn {
        // RFC 7607 (0), RFC 6793 section 9 (23456), RFC 7300 (the last of 16 and of 32 bits).
        Some(Asn(0 | 23_456 | 65_535 | u32::MAX)) => {
            let message = format!("is {}, a reserved AS number", node.render());
            refuse(node, message, "private ones are 64512 to 65534 and 4200000000 to 4294967294")
        }
        Some(asn) => Ok(asn),
        None => refuse(
            node,
            format!("is {}; it must be an AS number, 1 to 4294967294", node.render()),
            "for example 65001 or \"65000.1\"",
        ),
    }
}

/// A VXLAN network identifier.
pub(crate) fn vni(node: &Node) -> Parsed<Vni> {
    let number: u32 = integer(1..=i64::from(Vni::MAX))(node)?;
    Vni::new(number).map_or_else(|| wrong_kind(node, "a VNI", "100"), Ok)
}

fn from_text<T: std::str::FromStr>(node: &Node, wanted: &str, example: &str) -> Parsed<T> {
    let Value::Text(text) = &node.value else { return wrong_kind(node, wanted, example) };
    text.parse().or_else(|_| {
        let message = format!("is {}; it must be {wanted}", node.render());
        refuse(node, message, format!("for example {example}"))
    })
}

/// Any address, IPv4 or IPv6.
pub(crate) fn address(node: &Node) -> Parsed<IpAddr> {
    from_text(node, "an IPv4 or IPv6 address", "\"10.0.0.2\"")
}

/// An address that packets can be sent to and from: one host's, and without an interface.
pub(crate) fn host_address(node: &Node) -> Parsed<IpAddr> {
    if let Value::Text(text) = &node.value
        && (text.contains('%') || text.to_ascii_lowercase().starts_with("fe80:"))
    {
        let message = format!("is {text}, a link-local address, which says nothing by itself");
        let help = "a neighbor on a link is named by interface = \"swp1\" in place of address";
        return refuse(node, message, help);
    }
    let address = address(node)?;
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    if address.is_unspecified() || address.is_multicast() || broadcast {
        return refuse(
            node,
            format!("is {address}, which is no host's address"),
            "write one host's",
        );
    }
    Ok(address)
}

/// A router id: a host's IPv4 address by form (RFC 6286: any but 0.0.0.0).
pub(crate) fn router_id(node: &Node) -> Parsed<Ipv4Addr> {
    let id: Ipv4Addr =
        from_text(node, "four octets in the form of an IPv4 address", "\"10.0.0.1\"")?;
    if id.is_unspecified() {
        return refuse(
            node,
            "is 0.0.0.0, which RFC 6286 forbids",
            "write one of the switch's addresses",
        );
    }
    Ok(id)
}

/// The name of a network interface.
pub(crate) fn interface(node: &Node) -> Parsed<InterfaceName> {
    from_text(node, "the name of an interface, 15 octets at most", "\"swp1\"")
}

/// A prefix without host bits.
pub(crate) fn prefix(node: &Node) -> Parsed<IpNet> {
    let prefix: IpNet = from_text(node, "a prefix with its length", "\"198.51.100.10/32\"")?;
    let masked = prefix.trunc();
    if masked != prefix {
        let message = format!("is {prefix}, which has host bits set");
        return refuse(node, message, format!("write \"{masked}\""));
    }
    Ok(prefix)
}

/// `host:port`, `[v6]:port`, or a host alone, which gets the default port.
pub(crate) fn endpoint(default_port: u16) -> impl Fn(&Node) -> Parsed<Endpoint> {
    move |node| {
        let wanted = "a host and a port";
        let Value::Text(text) = &node.value else {
            return wrong_kind(node, wanted, "\"127.0.0.1:3493\"");
        };
        Endpoint::parse(text, default_port).map_or_else(
            || {
                let message = format!("is {}; it must be {wanted}", node.render());
                refuse(node, message, "for example \"127.0.0.1:3493\" or \"[::1]:3493\"")
            },
            Ok,
        )
    }
}

/// An absolute path.
pub(crate) fn path(node: &Node) -> Parsed<PathBuf> {
    let path = PathBuf::from(text(node)?);
    if !path.is_absolute() {
        let message = format!("is {}, which depends on the working directory", node.render());
        return refuse(node, message, "write a path that starts with \"/\"");
    }
    Ok(path)
}

/// A file's permission bits, in octal.
pub(crate) fn file_mode(node: &Node) -> Parsed<u32> {
    let wanted = "permission bits in octal";
    let Value::Text(text) = &node.value else { return wrong_kind(node, wanted, "\"0660\"") };
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode > 0o777 => {
            refuse(node, format!("is {text}; it must be {wanted}"), "for example \"0660\"")
        }
        Ok(mode) if mode & 0o002 != 0 => refuse(
            node,
            format!("is {text}, which lets every user of the switch drain it"),
            "write \"0660\" and add people to the group",
        ),
        Ok(mode) => Ok(mode),
        Err(_) => refuse(
            node,
            format!("is {}; it must be {wanted}", node.render()),
            "for example \"0660\"",
        ),
    }
}

/// A route distinguisher or `auto`.
pub(crate) fn rd(node: &Node) -> Parsed<RdChoice> {
    match &node.value {
        Value::Text(text) if text == "auto" => Ok(RdChoice::Auto),
        _ => {
            from_text(node, "\"auto\" or a route distinguisher", "\"10.0.0.1:100\" or \"1.10:100\"")
                .map(RdChoice::Fixed)
        }
    }
}

/// A route target or `auto`.
pub(crate) fn route_target(node: &Node) -> Parsed<RtChoice> {
    match &node.value {
        Value::Text(text) if text == "auto" => Ok(RtChoice::Auto),
        _ => from_text(node, "\"auto\" or a route target", "\"65000:100\" or \"1.10:100\"")
            .map(RtChoice::Fixed),
    }
}

/// The units of durations, the longest first.
const DURATION_UNITS: &[(&str, u64)] =
    &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A duration of a range: `500ms`, `90s`, `10m`, `2h`, `1h30m`.
pub(crate) fn duration(range: RangeInclusive<Duration>) -> impl Fn(&Node) -> Parsed<Duration> {
    move |node| {
        let value = any_duration(node)?;
        if range.contains(&value) {
            return Ok(value);
        }
        let (low, high) = (show_duration(*range.start()), show_duration(*range.end()));
        refuse_plainly(node, format!("is {}; it must be {low} to {high}", show_duration(value)))
    }
}

fn any_duration(node: &Node) -> Parsed<Duration> {
    let wanted = "a duration with its unit";
    match &node.value {
        Value::Integer(number) => refuse(
            node,
            format!("is {number} without a unit; it must be {wanted}"),
            format!("write \"{number}s\" for seconds; the units are ms, s, m, h and d"),
        ),
        Value::Text(text) => parse_duration(text).map_or_else(
            || {
                let message = format!("is {}; it must be {wanted}", node.render());
                refuse(node, message, "for example \"500ms\", \"90s\", \"10m\" or \"1h30m\"")
            },
            Ok,
        ),
        _ => wrong_kind(node, wanted, "\"90s\""),
    }
}

/// Sums number-and-unit pairs, each unit shorter than the one before.
fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut units = DURATION_UNITS.iter();
    let mut total: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at_checked(digits)?;
        let letters = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (unit, tail) = tail.split_at_checked(letters)?;
        let (_, factor) = units.by_ref().find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*factor)?)?;
        rest = tail;
    }
    Some(Duration::from_millis(total))
}

/// A whole number of seconds, as BGP carries its times.
pub(crate) fn whole_seconds(range: RangeInclusive<u64>) -> impl Fn(&Node) -> Parsed<Duration> {
    let (low, high) = range.into_inner();
    let range = duration(Duration::from_secs(low)..=Duration::from_secs(high));
    move |node| {
        let value = range(node)?;
        if value.subsec_nanos() != 0 {
            let message = format!("is {}; BGP carries whole seconds", show_duration(value));
            return refuse(node, message, format!("write \"{}s\"", value.as_secs().max(1)));
        }
        Ok(value)
    }
}

/// The hold time: 0 (no keepalives) or 3 s and more (RFC 4271 section 4.2).
pub(crate) fn hold_time(node: &Node) -> Parsed<Duration> {
    let hold = whole_seconds(0..=65_535)(node)?;
    if matches!(hold.as_secs(), 1 | 2) {
        let message =
            format!("is {}; it must be 0s (never expires) or 3s to 65535s", show_duration(hold));
        return refuse(node, message, "RFC 4271 section 4.2 allows no other; BFD detects faster");
    }
    Ok(hold)
}

/// How long a drain may take.
pub(crate) fn drain_time(node: &Node) -> Parsed<DrainTime> {
    let value = duration(DrainTime::MIN..=DrainTime::MAX)(node)?;
    DrainTime::new(value).map_or_else(
        || {
            let message = format!("is {}; it must be a multiple of 40ms", show_duration(value));
            let near = DrainTime::rounded(value);
            let why = "a quarter of it is the idle time, which the kernel keeps in units of 10 ms";
            refuse(node, message, format!("write \"{}\": {why}", show_duration(near)))
        },
        Ok,
    )
}

/// A bandwidth with its unit.
pub(crate) fn bandwidth(node: &Node) -> Parsed<Bandwidth> {
    let wanted = "a bandwidth with its unit, 1Mbit/s to 100Tbit/s";
    let Value::Text(text) = &node.value else { return wrong_kind(node, wanted, "\"10Gbit/s\"") };
    Bandwidth::parse(text).map_or_else(
        || {
            let message = format!("is {}; it must be {wanted}", node.render());
            refuse(node, message, "for example \"10Gbit/s\" or \"2.5Gbit/s\"")
        },
        Ok,
    )
}

/// The units of amounts of memory.
const SIZE_UNITS: &[(&str, u64)] = &[("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// An amount of memory: an integer of octets, or a string with a unit.
pub(crate) fn octets(range: RangeInclusive<u64>) -> impl Fn(&Node) -> Parsed<u64> {
    move |node| {
        let amount = match &node.value {
            Value::Integer(number) => u64::try_from(*number).ok(),
            Value::Text(text) => SIZE_UNITS.iter().find_map(|(unit, factor)| {
                text.strip_suffix(unit)?.trim().parse::<u64>().ok()?.checked_mul(*factor)
            }),
            _ => None,
        };
        match amount {
            Some(amount) if range.contains(&amount) => Ok(amount),
            _ => {
                let (low, high) = (range.start() >> 10, range.end() >> 10);
                let message = format!("is {}; it must be {low}KiB to {high}KiB", node.render());
                refuse(node, message, "for example \"16MiB\", or an integer of octets")
            }
        }
    }
}
