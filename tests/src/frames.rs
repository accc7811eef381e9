//! Frames that hosts send by themselves.
//!
//! **Each call sends exactly one frame**, through AF_PACKET, so that nothing else of a host's
//! speaks.

use crate::ns::Ns;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

const ETH_P_ARP: u16 = 0x0806;
/// A gratuitous ARP request: sender and target are the host's own address.
const ARP_REQUEST: u16 = 1;

/// The six octets of a MAC address in text.
///
/// # Panics
/// Where it is none.
pub fn parse_mac(text: &str) -> [u8; 6] {
    let mut parts = text.split(':').map(|p| u8::from_str_radix(p, 16));
    std::array::from_fn(|_| {
        parts.next().and_then(Result::ok).unwrap_or_else(|| panic!("{text} is no MAC address"))
    })
}

/// Sends one gratuitous ARP from a device.
///
/// # Panics
/// Where the frame cannot be sent.
pub fn gratuitous_arp(ns: &Ns, device: &str, mac: &str, ip: &str) {
    let mac = parse_mac(mac);
    let ip: Ipv4Addr = ip.parse().unwrap_or_else(|e| panic!("{ip}: {e}"));
    let mut frame = Vec::with_capacity(60);
    frame.extend([0xff; 6]);
    frame.extend(mac);
    frame.extend(ETH_P_ARP.to_be_bytes());
    frame.extend([0, 1, 8, 0, 6, 4]);
    frame.extend(ARP_REQUEST.to_be_bytes());
    frame.extend(mac);
    frame.extend(ip.octets());
    frame.extend([0; 6]);
    frame.extend(ip.octets());
    frame.resize(60, 0);
    ns.inside(|| send_frame(device, &frame));
}

fn send_frame(device: &str, frame: &[u8]) {
    let index = nix::net::if_::if_nametoindex(device).unwrap_or_else(|e| panic!("{device}: {e}"));
    // SAFETY: the call takes no pointer; its result is checked before it is owned.
    let socket = unsafe {
        let number = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0);
        assert!(number >= 0, "AF_PACKET: {}", std::io::Error::last_os_error());
        OwnedFd::from_raw_fd(number)
    };
    // SAFETY: every field of a sockaddr_ll may be zero.
    let mut to: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    to.sll_family = libc::AF_PACKET.try_into().expect("a small constant");
    to.sll_protocol = ETH_P_ARP.to_be();
    to.sll_ifindex = index.try_into().expect("an index is small");
    to.sll_halen = 6;
    to.sll_addr[..6].copy_from_slice(&[0xff; 6]);
    let length = libc::socklen_t::try_from(size_of_val(&to)).expect("an address is small");
    // SAFETY: both pointers are to live values, passed with their own lengths.
    let sent = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            frame.as_ptr().cast(),
            frame.len(),
            0,
            (&raw const to).cast(),
            length,
        )
    };
    assert_eq!(
        usize::try_from(sent),
        Ok(frame.len()),
        "sending on {device}: {}",
        std::io::Error::last_os_error()
    );
}
