//! What kind of an IP address it is.

use std::net::{IpAddr, Ipv4Addr};

/// Whether an address can be that of a VTEP: packets to any other would go to many, to ourselves or
/// nowhere.
///
/// ```
/// use evpn_proto::types::can_be_vtep;
/// assert!(can_be_vtep([10, 0, 0, 1].into()));
/// assert!(!can_be_vtep([239, 1, 1, 1].into()));
/// ```
pub fn can_be_vtep(address: IpAddr) -> bool {
    let broadcast = address == IpAddr::V4(Ipv4Addr::BROADCAST);
    !address.is_unspecified() && !address.is_multicast() && !address.is_loopback() && !broadcast
}

/// Whether an address means something on one link only (RFC 3927, RFC 4291 section 2.5.6).
pub const fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_to_many_to_ourselves_or_nowhere_is_no_vtep() {
        for no in ["0.0.0.0", "127.0.0.2", "224.0.0.1", "255.255.255.255", "::", "::1", "ff02::1"] {
            assert!(!can_be_vtep(no.parse().unwrap()), "{no}");
        }
        for yes in ["10.0.0.1", "192.0.2.255", "2001:db8::1", "fe80::1"] {
            assert!(can_be_vtep(yes.parse().unwrap()), "{yes}");
        }
    }
}
