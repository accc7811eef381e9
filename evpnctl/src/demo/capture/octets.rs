//! BGP UPDATEs in a stream of captured octets, read with nothing of evpnd's own decoder: a second
//! opinion on what is on the wire.
//!
//! It takes what the demo shows of type 5 routes and passes over the rest.
//!
//! **What it does not understand it does not report**; it never guesses.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Every BGP message begins with it (RFC 4271 section 4.1).
const MARKER: [u8; 16] = [0xff; 16];
/// Marker, length, type.
const HEADER_OCTETS: usize = 19;
/// The type of an UPDATE.
const UPDATE: u8 = 2;
/// The longest message, with extended messages (RFC 8654).
const MESSAGE_OCTETS_MAX: usize = 65_535;
/// Attribute types: COMMUNITIES, MP_REACH_NLRI, MP_UNREACH_NLRI, EXTENDED COMMUNITIES.
const COMMUNITIES: u8 = 8;
const MP_REACH: u8 = 14;
const MP_UNREACH: u8 = 15;
const EXTENDED: u8 = 16;
/// AFI 25, SAFI 70: EVPN (RFC 7432 section 7).
const EVPN: [u8; 3] = [0, 25, 70];
/// The type of an IP prefix route (RFC 9136 section 3).
const IP_PREFIX: u8 = 5;
/// Link bandwidth, non-transitive and transitive (draft-ietf-idr-link-bandwidth).
const LINK_BANDWIDTH: [[u8; 2]; 2] = [[0x40, 0x04], [0x00, 0x04]];
/// GRACEFUL_SHUTDOWN (RFC 8326 section 4.1).
const GRACEFUL_SHUTDOWN: [u8; 4] = [0xff, 0xff, 0x00, 0x00];

/// What an UPDATE says of type 5 routes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// The next hop: the VTEP of the site. None for a withdrawal.
    pub(crate) next_hop: Option<IpAddr>,
    /// The prefixes, as `198.51.100.10/32`.
    pub(crate) prefixes: Vec<String>,
    /// The link bandwidth in octets a second, if it is there.
    pub(crate) bandwidth: Option<f32>,
    /// Whether GRACEFUL_SHUTDOWN is there.
    pub(crate) graceful_shutdown: bool,
}

/// Takes the next whole message off the front of a stream. Octets before a marker are skipped: a
/// capture may begin, or resume, in the midst of a message.
pub(crate) fn next_message(stream: &mut Vec<u8>) -> Option<Vec<u8>> {
    let start = stream.windows(MARKER.len()).position(|window| window == MARKER);
    let Some(start) = start else {
        // A marker may have begun.
        let keep = stream.len().saturating_sub(MARKER.len() - 1);
        stream.drain(..keep);
        return None;
    };
    stream.drain(..start);
    let length: [u8; 2] = stream.get(16..18)?.try_into().ok()?;
    let length = usize::from(u16::from_be_bytes(length));
    if !(HEADER_OCTETS..=MESSAGE_OCTETS_MAX).contains(&length) {
        stream.drain(..1);
        return next_message(stream);
    }
    (stream.len() >= length).then(|| stream.drain(..length).collect())
}

/// What a message says of type 5 routes, if it is an UPDATE that says anything of them.
pub(crate) fn update(message: &[u8]) -> Option<Seen> {
    if message.get(18) != Some(&UPDATE) {
        return None;
    }
    let mut body = Reader(message.get(HEADER_OCTETS..)?);
    body.block16()?;
    let mut attributes = Reader(body.block16()?);
    let mut seen = Seen::default();
    while !attributes.0.is_empty() {
        let [flags, kind] = attributes.array()?;
        // RFC 4271 section 4.3: the fourth bit says that the length has two octets.
        let value = if flags & 0x10 == 0 { attributes.block8()? } else { attributes.block16()? };
        match kind {
            MP_REACH => reach(value, &mut seen)?,
            MP_UNREACH => seen.prefixes.extend(prefixes(value.strip_prefix(&EVPN)?)),
            EXTENDED => {
                let mut all = value.chunks_exact(8);
                seen.bandwidth = all.find_map(bandwidth).or(seen.bandwidth);
            }
            COMMUNITIES => {
                seen.graceful_shutdown = value.chunks_exact(4).any(|c| c == GRACEFUL_SHUTDOWN);
            }
            _ => {}
        }
    }
    (!seen.prefixes.is_empty()).then_some(seen)
}

fn reach(value: &[u8], seen: &mut Seen) -> Option<()> {
    let mut value = Reader(value.strip_prefix(&EVPN)?);
    seen.next_hop = address(value.block8()?);
    // SNPA, of no use any more.
    value.array::<1>()?;
    seen.prefixes.extend(prefixes(value.0));
    Some(())
}

fn bandwidth(community: &[u8]) -> Option<f32> {
    let (kind, rest) = community.split_at_checked(2)?;
    let value: [u8; 4] = rest.get(2..6)?.try_into().ok()?;
    LINK_BANDWIDTH.iter().any(|k| k == kind).then(|| f32::from_be_bytes(value))
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => <[u8; 4]>::try_from(octets).ok().map(|o| Ipv4Addr::from(o).into()),
        16 => <[u8; 16]>::try_from(octets).ok().map(|o| Ipv6Addr::from(o).into()),
        _ => None,
    }
}

/// The prefixes of the type 5 routes among these.
fn prefixes(nlri: &[u8]) -> Vec<String> {
    let mut routes = Reader(nlri);
    let mut found = Vec::new();
    while let Some([kind]) = routes.array() {
        let Some(route) = routes.block8() else { break };
        if kind == IP_PREFIX {
            found.extend(prefix(route));
        }
    }
    found
}

/// RFC 9136 section 3.1: RD (8), ESI (10), Ethernet tag (4), length (1), prefix, gateway, label.
fn prefix(route: &[u8]) -> Option<String> {
    let address_octets = if route.len() == 34 { 4 } else { 16 };
    let length = route.get(22)?;
    let address = address(route.get(23..23 + address_octets)?)?;
    Some(format!("{address}/{length}"))
}

/// Reads from the front.
struct Reader<'o>(&'o [u8]);

impl<'o> Reader<'o> {
    fn take(&mut self, count: usize) -> Option<&'o [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// A block after its length of one octet.
    fn block8(&mut self) -> Option<&'o [u8]> {
        let [length] = self.array()?;
        self.take(length.into())
    }

    /// A block after its length of two octets.
    fn block16(&mut self) -> Option<&'o [u8]> {
        let length = u16::from_be_bytes(self.array()?);
        self.take(length.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An UPDATE that FRR 8.4.4 sent: type 5, 10.0.0.1/32, L3VNI 300.
    const FRR: &str = "ffffffffffffffffffffffffffffffff00780200000061900e002d001946040a000001000522\
        00010a00000100000000000000000000000000000000200a0000010000000000012c4001010050020006020100\
        00fde980040400000000c01018030c0000000000080002fde90000012c06030200000001ff";

    fn frr() -> Vec<u8> {
        let digits: Vec<u8> = FRR.bytes().filter(u8::is_ascii_hexdigit).collect();
        let octet =
            |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(octet).collect()
    }

    /// The same with more attributes.
    fn with(attributes: &[u8]) -> Vec<u8> {
        let mut message = frr();
        message.extend(attributes);
        let length = u16::try_from(message.len()).unwrap();
        message[16..18].copy_from_slice(&length.to_be_bytes());
        message[21..23].copy_from_slice(&(length - 23).to_be_bytes());
        message
    }

    #[test]
    fn a_route_of_another_implementation_is_read() {
        let seen = update(&frr()).unwrap();
        assert_eq!(seen.next_hop, Some(IpAddr::from([10, 0, 0, 1])));
        assert_eq!(seen.prefixes, ["10.0.0.1/32"]);
        assert_eq!((seen.bandwidth, seen.graceful_shutdown), (None, false));
    }

    #[test]
    fn link_bandwidth_and_graceful_shutdown_are_read_from_their_octets() {
        // 125,000,000 octets a second is 4c ee 6b 28 in IEEE 754.
        let bandwidth = [0xc0, 16, 8, 0x40, 0x04, 0xfd, 0xe9, 0x4c, 0xee, 0x6b, 0x28];
        let shutdown = [0xc0, 8, 4, 0xff, 0xff, 0, 0];
        let seen = update(&with(&[&bandwidth[..], &shutdown[..]].concat())).unwrap();
        assert_eq!(seen.bandwidth, Some(125_000_000.0));
        assert!(seen.graceful_shutdown);
        let other = [0xc0, 8, 4, 0xff, 0xff, 0, 1];
        assert!(!update(&with(&other)).unwrap().graceful_shutdown);
    }

    #[test]
    fn messages_are_found_in_whatever_pieces_they_arrive() {
        let keepalive = [&[0xff; 16][..], &[0, 19, 4]].concat();
        let whole = [&[1, 2, 3][..], &keepalive, &frr(), &keepalive].concat();
        for piece in [1, 7, 16, 19, 50, whole.len()] {
            let (mut stream, mut found) = (Vec::new(), Vec::new());
            for octets in whole.chunks(piece) {
                stream.extend(octets);
                while let Some(message) = next_message(&mut stream) {
                    found.push(message);
                }
            }
            assert_eq!(found, [keepalive.clone(), frr(), keepalive.clone()], "{piece}");
        }
    }

    #[test]
    fn cut_off_octets_are_never_reported() {
        let whole = frr();
        for end in 0..whole.len() {
            assert_eq!(update(&whole[..end]), None, "{end}");
        }
    }
}
