//! Neighbor Discovery as far as routers on a link find each other by it: router solicitations and
//! router advertisements (RFC 4861 sections 4.1 and 4.2).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |  Type 133/134 |    Code 0     |          Checksum             |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! | Cur Hop Limit |M|O|  Reserved |       Router Lifetime         |  134; 133: reserved
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                         Reachable Time                        |  134 only
//! |                          Retrans Timer                        |  134 only
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |   Options: type, length in units of 8 octets, value ...
//! ```
//!
//! Octets are those of the ICMPv6 message, without the IPv6 header: what of that is to be checked
//! comes beside them. The checksum is the kernel's affair in both directions.
//!
//! **Whatever cannot have come from a router on the link is refused**, as RFC 4861 sections 6.1.1
//! and 6.1.2 have it. Prefixes, MTU and the other options are checked for their lengths and not
//! read: they are the kernel's affair too.

use crate::types::MacAddr;
use std::net::Ipv6Addr;
use thiserror::Error;

/// Where solicitations go: every router of the link.
pub const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// Where advertisements go: every node of the link.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// The hop limit of every message: a router on the way would have taken one.
pub const HOP_LIMIT: u8 = 255;
/// The type of a solicitation.
pub const ROUTER_SOLICITATION: u8 = 133;
/// The type of an advertisement.
pub const ROUTER_ADVERTISEMENT: u8 = 134;

/// Octets before the options.
const SOLICITATION_OCTETS: usize = 8;
const ADVERTISEMENT_OCTETS: usize = 16;
/// Lengths of options are in units of so many octets.
const OPTION_UNIT: usize = 8;
/// The option that says the sender's address on the link.
const SOURCE_LINK_ADDRESS: u8 = 1;

/// A message with what the IPv6 header and the socket say of it.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// Where it came from.
    pub source: Ipv6Addr,
    /// The hop limit that it came with.
    pub hop_limit: u8,
    /// The ICMPv6 message.
    pub octets: &'a [u8],
}

/// A message that may be believed to come from the link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message {
    /// Somebody wants routers to advertise themselves now.
    Solicitation,
    /// A router is there.
    Advertisement {
        /// For how many seconds it may be a default router; zero for never.
        lifetime_seconds: u16,
        /// Its address on the link, if it says so.
        link_address: Option<MacAddr>,
    },
}

/// Why a message is not believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum NdError {
    /// It may have come from beyond the link.
    #[error("its hop limit is {0} and not 255")]
    HopLimit(u8),
    /// A router speaks from its link-local address.
    #[error("its source {0} is not link-local")]
    Source(Ipv6Addr),
    /// Neither of the two messages.
    #[error("its type {0} is neither a solicitation nor an advertisement")]
    Type(u8),
    /// Reserved for meanings that nobody has defined.
    #[error("its code is {0} and not 0")]
    Code(u8),
    /// It ends before its options begin.
    #[error("it has {0} octets, too few")]
    TooShort(usize),
    /// An option of no length, or of more than there is.
    #[error("the option at octet {0} has a wrong length")]
    OptionLength(usize),
    /// Who has no address yet cannot say where he is.
    #[error("it names a link address and has no source")]
    LinkAddressWithoutSource,
}

/// Reads a message.
///
/// # Errors
/// Why it is not to be believed.
pub fn parse(received: Received<'_>) -> Result<Message, NdError> {
    let Received { source, hop_limit, octets } = received;
    if hop_limit != HOP_LIMIT {
        return Err(NdError::HopLimit(hop_limit));
    }
    let &[kind, code, ..] = octets else { return Err(NdError::TooShort(octets.len())) };
    let fixed = match kind {
        ROUTER_SOLICITATION => SOLICITATION_OCTETS,
        ROUTER_ADVERTISEMENT => ADVERTISEMENT_OCTETS,
        other => return Err(NdError::Type(other)),
    };
    if code != 0 {
        return Err(NdError::Code(code));
    }
    let Some(options) = octets.get(fixed..) else { return Err(NdError::TooShort(octets.len())) };
    let link_address = link_address(options, fixed)?;
    let is_advertisement = kind == ROUTER_ADVERTISEMENT;
    match source {
        _ if source.is_unicast_link_local() => {}
        // A host that has just come up may solicit without an address.
        _ if source.is_unspecified() && !is_advertisement => {
            if link_address.is_some() {
                return Err(NdError::LinkAddressWithoutSource);
            }
        }
        // A host may solicit from any address of its own.
        _ if !is_advertisement && !source.is_multicast() => {}
        _ => return Err(NdError::Source(source)),
    }
    if !is_advertisement {
        return Ok(Message::Solicitation);
    }
    let &[_, _, _, _, _, _, high, low, ..] = octets else {
        return Err(NdError::TooShort(octets.len()));
    };
    let lifetime_seconds = u16::from_be_bytes([high, low]);
    Ok(Message::Advertisement { lifetime_seconds, link_address: link_address.flatten() })
}

/// Goes through the options. The source link-layer address is there, and maybe one of 6 octets.
fn link_address(options: &[u8], offset: usize) -> Result<Option<Option<MacAddr>>, NdError> {
    let (mut rest, mut at, mut found) = (options, offset, None);
    while let Some((&kind, after)) = rest.split_first() {
        let wrong = NdError::OptionLength(at);
        let units = after.first().copied().map(usize::from).filter(|units| *units > 0);
        let length = units.map(|units| units.saturating_mul(OPTION_UNIT)).ok_or(wrong)?;
        let option = rest.get(..length).ok_or(wrong)?;
        if kind == SOURCE_LINK_ADDRESS {
            let address = option.get(2..).and_then(|value| value.try_into().ok()).map(MacAddr);
            found = Some(address);
        }
        rest = rest.get(length..).unwrap_or_default();
        at = at.saturating_add(length);
    }
    Ok(found)
}

/// An advertisement of a router that is nobody's default router: it says that it is there, and
/// nothing that a host would have to change for it. The kernel fills in the checksum.
pub fn encode_advertisement(link_address: Option<MacAddr>) -> Vec<u8> {
    // Hop limit, lifetime and both times of zero: nothing said (RFC 4861 section 4.2).
    let fixed: [u8; ADVERTISEMENT_OCTETS] =
        [ROUTER_ADVERTISEMENT, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    with_link_address(&fixed, link_address)
}

/// A solicitation. The kernel fills in the checksum.
pub fn encode_solicitation(link_address: Option<MacAddr>) -> Vec<u8> {
    let fixed: [u8; SOLICITATION_OCTETS] = [ROUTER_SOLICITATION, 0, 0, 0, 0, 0, 0, 0];
    with_link_address(&fixed, link_address)
}

fn with_link_address(fixed: &[u8], link_address: Option<MacAddr>) -> Vec<u8> {
    let mut octets = fixed.to_vec();
    if let Some(MacAddr(address)) = link_address {
        octets.extend([SOURCE_LINK_ADDRESS, 1]);
        octets.extend(address);
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 0x0a01);
    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0x0a, 1]);
    /// FRR 8.4.4 with `neighbor e0 interface`: zebra's advertisement, and its last one when it ends.
    const FRR: &str = "86002607 4000001e 00000000 00000000 0101 020000000a01";
    const FRR_ENDS: &str = "86002625 40000000 00000000 00000000 0101 020000000a01";
    /// Linux 6.18 when a link comes up.
    const LINUX: &str = "8500672c 00000000 0101 020000000a01";
    /// By hand: what a host without an address says.
    const TENTATIVE: &str = "85000000 00000000";

    fn octets(hex: &str) -> Vec<u8> {
        let digits: String = hex.split_whitespace().collect();
        let octet = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        (0..digits.len()).step_by(2).map(octet).collect()
    }

    fn read(source: Ipv6Addr, octets: &[u8]) -> Result<Message, NdError> {
        parse(Received { source, hop_limit: HOP_LIMIT, octets })
    }

    #[test]
    fn what_frr_and_linux_send_is_read() {
        let of =
            |lifetime_seconds| Message::Advertisement { lifetime_seconds, link_address: Some(MAC) };
        assert_eq!(read(ROUTER, &octets(FRR)), Ok(of(30)));
        assert_eq!(read(ROUTER, &octets(FRR_ENDS)), Ok(of(0)));
        assert_eq!(read(ROUTER, &octets(LINUX)), Ok(Message::Solicitation));
        let nobody = Ipv6Addr::UNSPECIFIED;
        assert_eq!(read(nobody, &octets(TENTATIVE)), Ok(Message::Solicitation));
    }

    #[test]
    fn ours_differ_from_frrs_in_what_they_leave_unsaid() {
        let mut frr = octets(FRR_ENDS);
        // The checksum and the hop limit that hosts are told to use.
        (frr[2], frr[3], frr[4]) = (0, 0, 0);
        assert_eq!(encode_advertisement(Some(MAC)), frr);
        let mut linux = octets(LINUX);
        (linux[2], linux[3]) = (0, 0);
        assert_eq!(encode_solicitation(Some(MAC)), linux);
        assert_eq!(encode_advertisement(None).len(), 16);
    }

    #[test]
    fn what_cannot_come_from_a_router_on_the_link_is_refused() {
        let frr = octets(FRR);
        let far = Received { source: ROUTER, hop_limit: 254, octets: &frr };
        assert_eq!(parse(far), Err(NdError::HopLimit(254)));
        for source in ["2001:db8::1", "::", "ff02::1"] {
            let source = source.parse().unwrap();
            assert_eq!(read(source, &frr), Err(NdError::Source(source)));
        }
        let changed = |place: usize, octet: u8| {
            let mut octets = frr.clone();
            octets[place] = octet;
            read(ROUTER, &octets)
        };
        assert_eq!(changed(0, 136), Err(NdError::Type(136)));
        assert_eq!(changed(1, 1), Err(NdError::Code(1)));
        assert_eq!(changed(17, 0), Err(NdError::OptionLength(16)));
        assert_eq!(changed(17, 2), Err(NdError::OptionLength(16)));
        assert_eq!(read(ROUTER, &frr[..15]), Err(NdError::TooShort(15)));
        assert_eq!(read(ROUTER, &frr[..17]), Err(NdError::OptionLength(16)));
        assert_eq!(read(ROUTER, &[]), Err(NdError::TooShort(0)));
        let nobody = Ipv6Addr::UNSPECIFIED;
        assert_eq!(read(nobody, &octets(LINUX)), Err(NdError::LinkAddressWithoutSource));
    }

    #[test]
    fn options_that_are_not_read_are_passed_over() {
        // MTU (RFC 4861 section 4.6.4), one that nobody knows, then the link address.
        let mut octets = octets(FRR)[..16].to_vec();
        octets.extend([5, 1, 0, 0, 0, 0, 5, 220]);
        octets.extend([253, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
        octets.extend([1, 1, 2, 0, 0, 0, 0x0a, 1]);
        let link_address = Some(MAC);
        let expected = Message::Advertisement { lifetime_seconds: 30, link_address };
        assert_eq!(read(ROUTER, &octets), Ok(expected));
        // A link address of 14 octets is none of ours.
        let place = octets.len() - 8;
        octets[place + 1] = 2;
        octets.extend([0; 8]);
        let expected = Message::Advertisement { lifetime_seconds: 30, link_address: None };
        assert_eq!(read(ROUTER, &octets), Ok(expected));
    }

    proptest! {
        #[test]
        fn no_octets_panic_and_ours_are_read_as_they_were_meant(
            octets in proptest::collection::vec(any::<u8>(), 0..64),
            mac in any::<[u8; 6]>(),
        ) {
            let _whatever = read(ROUTER, &octets);
            let link_address = Some(MacAddr(mac));
            let expected = Message::Advertisement { lifetime_seconds: 0, link_address };
            prop_assert_eq!(read(ROUTER, &encode_advertisement(link_address)), Ok(expected));
            let solicitation = encode_solicitation(link_address);
            prop_assert_eq!(read(ROUTER, &solicitation), Ok(Message::Solicitation));
        }
    }
}
