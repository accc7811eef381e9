//! What people call what attributes say, where more than one place shows it.
//!
//! **What has no name here has none**: whoever shows it shows its number or its octets.

use super::attributes::{Ipv6ExtCommunity, LargeCommunity, Tunnel};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// The type of a tunnel's sub-TLV that names its end (RFC 9012 section 3.1).
const TUNNEL_EGRESS: u8 = 6;
/// Octets before the address in it: reserved, address family.
const TUNNEL_EGRESS_HEAD: usize = 6;

impl fmt::Display for LargeCommunity {
    /// RFC 8092 section 4.1: three numbers in decimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.global, self.local1, self.local2)
    }
}

impl Ipv6ExtCommunity {
    /// What it is, the address and the number (RFC 5701 section 2).
    pub fn parts(self) -> (u8, Ipv6Addr, u16) {
        let [_, subtype, address @ .., a, b] = self.0;
        (subtype, Ipv6Addr::from(address), u16::from_be_bytes([a, b]))
    }
}

impl Tunnel {
    /// Its end, if it names one.
    pub fn egress(&self) -> Option<IpAddr> {
        let sub_tlv = self.sub_tlvs.iter().find(|sub| sub.kind == TUNNEL_EGRESS)?;
        let octets = sub_tlv.value.get(TUNNEL_EGRESS_HEAD..)?;
        let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
        v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
    }
}

/// A tunnel type's name (IANA "BGP Tunnel Encapsulation Attribute Tunnel Types").
pub const fn tunnel_name(tunnel_type: u16) -> Option<&'static str> {
    Some(match tunnel_type {
        2 => "gre",
        7 => "ip-in-ip",
        8 => "vxlan",
        9 => "nvgre",
        10 => "mpls",
        11 => "mpls-in-gre",
        12 => "vxlan-gpe",
        13 => "mpls-in-udp",
        19 => "geneve",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bgp::attributes::Tlv;
    use bytes::Bytes;

    #[test]
    fn the_end_of_a_tunnel_is_an_address_of_either_family_or_none() {
        let egress = |value: &'static [u8]| {
            let sub_tlvs = vec![Tlv { kind: TUNNEL_EGRESS, value: Bytes::from_static(value) }];
            Tunnel { tunnel_type: 8, sub_tlvs }.egress()
        };
        let v4 = egress(&[0, 0, 0, 0, 0, 1, 192, 0, 2, 1]);
        assert_eq!(v4, Some(IpAddr::from([192, 0, 2, 1])));
        assert_eq!(egress(&[0, 0, 0, 0, 0, 0]), None);
        assert_eq!(egress(&[0, 0]), None);
        let mut octets = [0; 20];
        octets[1] = 2;
        octets[17..].copy_from_slice(&[1, 0, 100]);
        let address: Ipv6Addr = "::1".parse().unwrap();
        assert_eq!(Ipv6ExtCommunity(octets).parts(), (2, address, 100));
    }
}
