//! Who says in a frame that he has which address.
//!
//! **A frame from outside is never trusted to be as long as it says.** Checksums are not looked at:
//! between two ends of one machine they are not there.

use evpn_dataplane::heard::Binding;
use evpn_proto::types::MacAddr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;
/// Ethernet, IPv4, and the lengths of their addresses (RFC 826).
const ARP_OF_IPV4: [u8; 6] = [0, 1, 8, 0, 6, 4];
const ICMPV6: u8 = 58;
/// RFC 4861 sections 7.1.1 and 7.1.2: what a router passed on is none.
const HOP_LIMIT: u8 = 255;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// RFC 4861 section 4.6.1.
const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;

/// The address that the sender of a frame says that it has; none if the frame does not say, as the
/// probe for a duplicate does not.
///
/// ```text
///  0           6           12    14
/// | to         | from      | type | ARP, or IPv6 with ICMPv6 ...
/// ```
pub(super) fn binding(frame: &[u8]) -> Option<Binding> {
    let (_, rest) = frame.split_at_checked(12)?;
    let (kind, payload) = rest.split_first_chunk()?;
    let binding = match u16::from_be_bytes(*kind) {
        ARP => arp(payload)?,
        IPV6 => neighbour_discovery(payload)?,
        _ => return None,
    };
    (!binding.address.is_unspecified()).then_some(binding)
}

/// RFC 826; requests and answers alike say who sends them.
///
/// ```text
///  0                      6    8           14        18
/// | 1, 0x0800, 6, 4      | op | sender MAC | sender IP | target ...
/// ```
fn arp(packet: &[u8]) -> Option<Binding> {
    let rest = packet.strip_prefix(&ARP_OF_IPV4)?;
    let (_operation, rest) = rest.split_at_checked(2)?;
    let (mac, rest) = rest.split_first_chunk()?;
    let (address, _target) = rest.split_first_chunk::<4>()?;
    Some(Binding { address: IpAddr::V4(Ipv4Addr::from(*address)), mac: MacAddr(*mac) })
}

/// RFC 4861 sections 4.3 and 4.4.
///
/// ```text
/// IPv6:   | version, class, label (4) | length (2) | next | hops | source (16) | destination (16) |
/// ICMPv6: | type | code | checksum (2) | flags (4) | target (16) | options ...
/// ```
fn neighbour_discovery(packet: &[u8]) -> Option<Binding> {
    let (header, message) = packet.split_at_checked(40)?;
    let (_, header) = header.split_at_checked(6)?;
    let ([next, hops], addresses) = header.split_first_chunk()?;
    if (*next, *hops) != (ICMPV6, HOP_LIMIT) {
        return None;
    }
    let (source, _) = addresses.split_first_chunk::<16>()?;
    let ([kind, code, ..], rest) = message.split_first_chunk::<8>()?;
    let (target, options) = rest.split_first_chunk::<16>()?;
    if *code != 0 {
        return None;
    }
    let (address, option) = match *kind {
        SOLICITATION => (source, SOURCE_LINK_LAYER),
        ADVERTISEMENT => (target, TARGET_LINK_LAYER),
        _ => return None,
    };
    let mac = link_layer(options, option)?;
    Some(Binding { address: IpAddr::V6(Ipv6Addr::from(*address)), mac })
}

/// A link-layer address among options: kind, length in units of 8 octets, value.
fn link_layer(mut options: &[u8], wanted: u8) -> Option<MacAddr> {
    while let [kind, units, ..] = options {
        let length = usize::from(*units).checked_mul(8).filter(|length| *length > 0)?;
        let (option, rest) = options.split_at_checked(length)?;
        if *kind == wanted {
            return option.get(2..)?.first_chunk().map(|mac| MacAddr(*mac));
        }
        options = rest;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames as tcpdump showed them on a host's link.
    const REQUEST: &str = "ffffffffffff 020000000001 0806 0001 0800 06 04 0001 \
                           020000000001 ac106401 000000000000 ac106402";
    const GRATUITOUS: &str = "ffffffffffff 020000000001 0806 0001 0800 06 04 0001 \
                              020000000001 ac106401 ffffffffffff ac106401";
    const PROBE: &str = "ffffffffffff 020000000001 0806 0001 0800 06 04 0001 \
                         020000000001 00000000 000000000000 ac106402";
    const ADVERTISED: &str = "333300000001 020000000001 86dd 60000000 0020 3a ff \
                              fe800000000000000000000000000001 ff020000000000000000000000000001 \
                              88 00 0000 20000000 20010db8000000000000000000000001 \
                              02 01 020000000001";
    const SOLICITED: &str = "3333ff000002 020000000001 86dd 60000000 0020 3a ff \
                             20010db8000000000000000000000001 ff0200000000000000000001ff000002 \
                             87 00 0000 00000000 20010db8000000000000000000000002 \
                             01 01 020000000001";
    const DUPLICATE_CHECK: &str = "3333ff000001 020000000001 86dd 60000000 0018 3a ff \
                                   00000000000000000000000000000000 \
                                   ff0200000000000000000001ff000001 \
                                   87 00 0000 00000000 20010db8000000000000000000000001";

    fn octets(hex: &str) -> Vec<u8> {
        let hex: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
        hex.chunks(2).map(|p| pair(p).unwrap()).collect()
    }

    fn said(hex: &str) -> Option<String> {
        let Binding { address, mac } = binding(&octets(hex))?;
        Some(format!("{address} {mac}"))
    }

    #[test]
    fn the_sender_of_arp_and_neighbour_discovery_is_told() {
        let v4 = Some("172.16.100.1 02:00:00:00:00:01".to_owned());
        let v6 = Some("2001:db8::1 02:00:00:00:00:01".to_owned());
        assert_eq!([said(REQUEST), said(GRATUITOUS)], [v4.clone(), v4]);
        assert_eq!([said(ADVERTISED), said(SOLICITED)], [v6.clone(), v6]);
    }

    #[test]
    fn whoever_only_asks_whether_an_address_is_taken_has_none_yet() {
        assert_eq!([said(PROBE), said(DUPLICATE_CHECK)], [None, None]);
    }

    #[test]
    fn what_a_router_passed_on_is_not_believed() {
        assert_eq!(said(&ADVERTISED.replacen("3a ff", "3a fe", 1)), None);
    }

    #[test]
    fn a_frame_cut_anywhere_says_less_and_never_something_else() {
        for whole in [REQUEST, GRATUITOUS, PROBE, ADVERTISED, SOLICITED, DUPLICATE_CHECK] {
            let frame = octets(whole);
            for length in 0..frame.len() {
                let cut = binding(&frame[..length]);
                assert!(cut.is_none() || cut == binding(&frame), "{whole} cut to {length}");
            }
        }
    }

    #[test]
    fn an_option_without_a_length_does_not_hold_the_reader() {
        let without = ADVERTISED.replacen("02 01 02", "05 00 02", 1);
        assert_eq!(said(&without), None);
    }
}
