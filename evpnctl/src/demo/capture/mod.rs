//! A capture of BGP on a leaf's uplink: `evpnctl demo __capture`, a process of its own in the leaf.
//!
//! It sees the packets as the kernel does, by a packet socket with a filter for TCP port 179, puts
//! each direction's octets in order, and writes what [`octets`] finds as lines of JSON.
//!
//! **It takes part in nothing**: it opens no connection and asks nobody.

pub(crate) mod octets;

use octets::{Seen, next_message, update};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use std::collections::HashMap;
use std::io::{self, Read};

/// The port of BGP.
const BGP: u16 = 179;
/// Most octets kept of one direction: some of the longest messages.
const STREAM_OCTETS_MAX: usize = 1 << 18;
/// The largest packet.
const PACKET_OCTETS_MAX: usize = 1 << 16;

/// One direction of one session.
#[derive(Default)]
struct Direction {
    next: Option<u32>,
    octets: Vec<u8>,
}

/// Source, destination and both ports.
type Flow = ([u8; 8], [u8; 4]);

/// Runs until it is ended.
///
/// # Errors
/// If it may not capture, or nobody reads its lines.
pub(crate) fn run() -> io::Result<()> {
    let mut socket = open()?;
    let mut packet = vec![0; PACKET_OCTETS_MAX];
    let mut flows: HashMap<Flow, Direction> = HashMap::new();
    loop {
        let count = socket.read(&mut packet)?;
        let Some(segment) = packet.get(..count).and_then(segment) else { continue };
        let direction = flows.entry(segment.flow).or_default();
        direction.take(&segment);
        while let Some(message) = next_message(&mut direction.octets) {
            if let Some(seen) = update(&message) {
                super::load::tell::<Seen>(&seen)?;
            }
        }
    }
}

/// IPv4 packets of TCP port 179 on every interface of this namespace.
fn open() -> io::Result<Socket> {
    let protocol = i32::from(u16::to_be(libc::ETH_P_IP.try_into().unwrap_or_default()));
    let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(protocol)))?;
    socket.attach_filter(&filter())?;
    Ok(socket)
}

/// What tcpdump makes of `ip proto 6 and port 179`, for packets that begin with their IP header.
/// Without it every packet of the load would be copied here.
fn filter() -> [SockFilter; 9] {
    let code = |parts: [u32; 3]| u16::try_from(parts.iter().sum::<u32>()).unwrap_or_default();
    let load_octet = code([libc::BPF_LD, libc::BPF_B, libc::BPF_ABS]);
    let load_port = code([libc::BPF_LD, libc::BPF_H, libc::BPF_IND]);
    let header_length = code([libc::BPF_LDX, libc::BPF_B, libc::BPF_MSH]);
    let equal = code([libc::BPF_JMP, libc::BPF_JEQ, libc::BPF_K]);
    let end = code([libc::BPF_RET, libc::BPF_K, 0]);
    let port = u32::from(BGP);
    [
        SockFilter::new(load_octet, 0, 0, 9),
        SockFilter::new(equal, 0, 6, 6),
        SockFilter::new(header_length, 0, 0, 0),
        SockFilter::new(load_port, 0, 0, 0),
        SockFilter::new(equal, 2, 0, port),
        SockFilter::new(load_port, 0, 0, 2),
        SockFilter::new(equal, 0, 1, port),
        SockFilter::new(end, 0, 0, u32::MAX),
        SockFilter::new(end, 0, 0, 0),
    ]
}

/// A TCP segment as far as it matters here.
#[derive(Debug, PartialEq)]
struct Segment<'p> {
    flow: Flow,
    sequence: u32,
    begins: bool,
    payload: &'p [u8],
}

/// The segment in an IPv4 packet.
fn segment(packet: &[u8]) -> Option<Segment<'_>> {
    let header = usize::from(packet.first()? & 0x0f) * 4;
    let total = usize::from(u16::from_be_bytes(packet.get(2..4)?.try_into().ok()?));
    let addresses = packet.get(12..20)?.try_into().ok()?;
    // What follows the packet's own length is padding.
    let tcp = packet.get(header..total)?;
    let ports = tcp.get(..4)?.try_into().ok()?;
    let sequence = u32::from_be_bytes(tcp.get(4..8)?.try_into().ok()?);
    let offset = usize::from(tcp.get(12)? >> 4) * 4;
    let begins = tcp.get(13)? & 0x02 != 0;
    Some(Segment { flow: (addresses, ports), sequence, begins, payload: tcp.get(offset..)? })
}

impl Direction {
    /// Appends what is new. After a gap it begins anew: the next marker will be found.
    fn take(&mut self, segment: &Segment<'_>) {
        if segment.begins {
            self.octets.clear();
            self.next = Some(segment.sequence.wrapping_add(1));
            return;
        }
        let next = *self.next.get_or_insert(segment.sequence);
        // Less than half the circle ahead of what is due, or behind.
        let ahead = segment.sequence.wrapping_sub(next);
        let known = if ahead > u32::MAX / 2 { ahead.wrapping_neg() } else { 0 };
        let new = usize::try_from(known).ok().and_then(|known| segment.payload.get(known..));
        let Some(new) = new.filter(|new| !new.is_empty()) else { return };
        if known == 0 && ahead > 0 || self.octets.len() > STREAM_OCTETS_MAX {
            self.octets.clear();
        }
        self.octets.extend(new);
        let length = u32::try_from(segment.payload.len()).unwrap_or_default();
        self.next = Some(segment.sequence.wrapping_add(length));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sequence: u32, payload: &[u8]) -> Segment<'_> {
        Segment { flow: Default::default(), sequence, begins: false, payload }
    }

    #[test]
    fn repeated_octets_count_once_and_a_gap_starts_anew() {
        let mut direction = Direction::default();
        let start = u32::MAX - 1;
        direction.take(&of(start, b"abc"));
        direction.take(&of(start, b"abc"));
        direction.take(&of(start.wrapping_add(2), b"cde"));
        assert_eq!(direction.octets, b"abcde");
        direction.take(&of(start.wrapping_add(9), b"xyz"));
        assert_eq!(direction.octets, b"xyz");
    }

    #[test]
    fn a_segment_is_what_the_lengths_say() {
        let mut packet = vec![0x45, 0, 0, 43, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        packet.extend([0, 179, 0x9c, 0x40, 0, 0, 0, 7, 0, 0, 0, 0, 0x50, 0x10, 0, 0, 0, 0, 0, 0]);
        packet.extend(b"bgp");
        packet.extend([0; 5]);
        let segment = segment(&packet).unwrap();
        assert_eq!((segment.sequence, segment.payload, segment.begins), (7, &b"bgp"[..], false));
        for end in 0..43 {
            assert_eq!(super::segment(&packet[..end]), None, "{end}");
        }
    }
}
