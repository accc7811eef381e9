//! BGP messages as octets: cut apart, and made by hand (RFC 4271, RFC 4760, RFC 7432).
//!
//! **Nothing here is evpnd's**: what evpnd wrote is judged by another reading of the RFCs than its
//! own. It reads what is well formed and fails the test on the rest.

use std::collections::BTreeMap;
use std::fmt::Write;

/// The marker, a length and a type.
const HEADER: usize = 19;
const FLAG_EXTENDED_LENGTH: u8 = 0x10;
/// AFI 25, SAFI 70 (RFC 7432 section 7).
const EVPN: [u8; 3] = [0, 25, 70];

/// Types of message.
pub mod kind {
    /// RFC 4271 section 4.2.
    pub const OPEN: u8 = 1;
    /// RFC 4271 section 4.3.
    pub const UPDATE: u8 = 2;
    /// RFC 4271 section 4.5.
    pub const NOTIFICATION: u8 = 3;
    /// RFC 4271 section 4.4.
    pub const KEEPALIVE: u8 = 4;
}

/// Codes of path attributes.
pub mod code {
    #![allow(missing_docs, reason = "the names are IANA's")]
    pub const ORIGIN: u8 = 1;
    pub const AS_PATH: u8 = 2;
    pub const MED: u8 = 4;
    pub const LOCAL_PREF: u8 = 5;
    pub const COMMUNITIES: u8 = 8;
    pub const ORIGINATOR_ID: u8 = 9;
    pub const CLUSTER_LIST: u8 = 10;
    pub const MP_REACH_NLRI: u8 = 14;
    pub const MP_UNREACH_NLRI: u8 = 15;
    pub const EXT_COMMUNITIES: u8 = 16;
    pub const PMSI_TUNNEL: u8 = 22;
    pub const AIGP: u8 = 26;
    pub const LARGE_COMMUNITIES: u8 = 32;
}

/// A path attribute: its flags without the one that says how long its length is, and its value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attribute {
    /// Optional 0x80, transitive 0x40, partial 0x20.
    pub flags: u8,
    /// Its value.
    pub value: Vec<u8>,
}

/// Attributes by their code.
pub type Attributes = BTreeMap<u8, Attribute>;

/// An UPDATE of EVPN routes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Update {
    /// All but MP_REACH_NLRI and MP_UNREACH_NLRI.
    pub attributes: Attributes,
    /// The next hop of MP_REACH_NLRI.
    pub next_hop: Vec<u8>,
    /// Announced routes, each with its type and length.
    pub announced: Vec<Vec<u8>>,
    /// Withdrawn routes.
    pub withdrawn: Vec<Vec<u8>>,
}

/// Octets in hexadecimal.
pub fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        write!(text, "{octet:02x}").expect("a string takes it");
        text
    })
}

/// The octets that hexadecimal digits name; blanks between them do not count.
///
/// # Panics
/// Where it is something else.
#[track_caller]
pub fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let pair = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    };
    let octets: Option<Vec<u8>> = digits.chunks(2).map(pair).collect();
    octets.unwrap_or_else(|| panic!("no octets: {text}"))
}

/// Cuts a stream into its whole messages, header included.
pub fn messages(mut stream: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while let Some([high, low]) = stream.get(16..18) {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some((message, rest)) = stream.split_at_checked(length) else { break };
        found.push(message.to_vec());
        stream = rest;
    }
    found
}

/// The type of a message.
pub fn kind_of(message: &[u8]) -> u8 {
    message[HEADER - 1]
}

/// Reads a message that is an UPDATE; others are none.
///
/// # Panics
/// Where it is not well formed.
#[track_caller]
pub fn update_of(message: &[u8]) -> Option<Update> {
    if kind_of(message) != kind::UPDATE {
        return None;
    }
    let mut rest = &message[HEADER..];
    let withdrawn = counted(&mut rest, 2);
    assert!(withdrawn.is_empty(), "IPv4 routes: {}", hex(message));
    let mut list = counted(&mut rest, 2);
    assert!(rest.is_empty(), "IPv4 routes: {}", hex(message));
    let mut update = Update::default();
    while !list.is_empty() {
        let [flags, code] = [list[0], list[1]];
        list = &list[2..];
        let width = if flags & FLAG_EXTENDED_LENGTH == 0 { 1 } else { 2 };
        let value = counted(&mut list, width);
        match code {
            code::MP_REACH_NLRI => {
                assert_eq!(value[..3], EVPN, "{}", hex(message));
                let mut value = &value[3..];
                update.next_hop = counted(&mut value, 1).to_vec();
                update.announced = routes(&value[1..]);
            }
            code::MP_UNREACH_NLRI => {
                assert_eq!(value[..3], EVPN, "{}", hex(message));
                update.withdrawn = routes(&value[3..]);
            }
            _ => {
                let attribute =
                    Attribute { flags: flags & !FLAG_EXTENDED_LENGTH, value: value.to_vec() };
                let twice = update.attributes.insert(code, attribute);
                assert_eq!(twice, None, "attribute {code} twice in {}", hex(message));
            }
        }
    }
    Some(update)
}

/// What follows a length of so many octets.
fn counted<'a>(rest: &mut &'a [u8], width: usize) -> &'a [u8] {
    let (length, after) = rest.split_at(width);
    let length = length.iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet));
    let (value, after) = after.split_at(length);
    *rest = after;
    value
}

fn routes(mut rest: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (route, after) = rest.split_at(2 + usize::from(rest[1]));
        found.push(route.to_vec());
        rest = after;
    }
    found
}

/// A message.
///
/// # Panics
/// Where it is too long for BGP.
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(HEADER + body.len()).expect("a message fits its length");
    [&[0xff; 16], &length.to_be_bytes()[..], &[kind], body].concat()
}

/// An OPEN for EVPN with 4-octet AS numbers and no other capability.
pub fn open(asn: u32, router_id: [u8; 4], hold_seconds: u16) -> Vec<u8> {
    let two = u16::try_from(asn).unwrap_or(23456).to_be_bytes();
    let capabilities =
        [&[1, 4, EVPN[0], EVPN[1], 0, EVPN[2]], &[65, 4][..], &asn.to_be_bytes()].concat();
    let length = u8::try_from(capabilities.len()).expect("they are few");
    let parameters = [&[2, length], &capabilities[..]].concat();
    let body =
        [&[4][..], &two, &hold_seconds.to_be_bytes(), &router_id, &[length + 2], &parameters]
            .concat();
    message(kind::OPEN, &body)
}

/// An UPDATE as octets: MP_REACH_NLRI first, then the attributes by their code.
///
/// # Panics
/// Where it is too long for BGP.
pub fn update(update: &Update) -> Vec<u8> {
    let mut list = Vec::new();
    if !update.announced.is_empty() {
        let hop = u8::try_from(update.next_hop.len()).expect("a next hop is short");
        let value = [&EVPN, &[hop][..], &update.next_hop, &[0], &update.announced.concat()];
        put(&mut list, 0x80, code::MP_REACH_NLRI, &value.concat());
    }
    if !update.withdrawn.is_empty() {
        let value = [&EVPN[..], &update.withdrawn.concat()].concat();
        put(&mut list, 0x80, code::MP_UNREACH_NLRI, &value);
    }
    for (code, attribute) in &update.attributes {
        put(&mut list, attribute.flags, *code, &attribute.value);
    }
    let length = u16::try_from(list.len()).expect("the attributes fit their length");
    message(kind::UPDATE, &[&[0, 0], &length.to_be_bytes()[..], &list].concat())
}

fn put(list: &mut Vec<u8>, flags: u8, code: u8, value: &[u8]) {
    let length = u16::try_from(value.len()).expect("an attribute fits its length");
    list.extend([flags | FLAG_EXTENDED_LENGTH, code]);
    list.extend(length.to_be_bytes());
    list.extend(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_together_comes_apart_the_same() {
        let attribute = |flags, value: &[u8]| Attribute { flags, value: value.to_vec() };
        let whole = Update {
            attributes: [(code::ORIGIN, attribute(0x40, &[0])), (200, attribute(0xe0, &[7; 300]))]
                .into(),
            next_hop: vec![10, 0, 0, 2],
            announced: vec![unhex("0302 aabb"), unhex("0b01 00")],
            withdrawn: vec![unhex("0400")],
        };
        let octets = update(&whole);
        let stream = [octets.clone(), message(kind::KEEPALIVE, &[]), vec![0xff; 18]].concat();
        let cut = messages(&stream);
        assert_eq!(cut.len(), 2);
        assert_eq!(update_of(&cut[0]), Some(whole));
        assert_eq!(update_of(&cut[1]), None);
    }
}
