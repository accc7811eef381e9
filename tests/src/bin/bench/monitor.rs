//! A netlink socket that sees the kernel's FDB change, apart from whoever changes it.
//!
//! **Either every notification was seen, or the measurement fails**: an overrun is an error, and
//! each MAC is counted once per table, by its number.

use crate::Result;
use crate::netns::Netns;
use crate::site;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Room for more notifications than a measurement makes.
const RECEIVE_BUFFER: libc::c_int = 512 << 20;
/// Notifications taken by one system call at most.
const AT_ONCE: usize = 64;
/// A neighbour's notification is shorter.
const NOTIFICATION_MAX: usize = 512;
/// How long nothing at all may happen before we give up.
const PATIENCE: Duration = Duration::from_secs(30);

/// When the remote MACs came into the kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// The first notification of a remote MAC.
    pub(crate) first: Instant,
    /// The one that made both tables complete.
    pub(crate) last: Instant,
}

/// A monitor at work.
pub(crate) struct Monitor(JoinHandle<Result<Seen>>);

impl Monitor {
    /// Listens in the namespace until `macs` remote MACs are in both tables.
    pub(crate) fn start(namespace: &Netns, macs: u32) -> Result<Self> {
        let namespace = namespace.clone();
        let (ready, is_ready) = sync_channel(1);
        let thread = std::thread::spawn(move || {
            namespace.inside(|| {
                let socket = open();
                let outcome = socket.as_ref().map(drop).map_err(Clone::clone);
                ready.send(outcome).map_err(|_| "nobody waits for the monitor".to_owned())?;
                Tally::new(macs).watch(&socket?)
            })?
        });
        is_ready.recv().map_err(|_| "the monitor did not start".to_owned())??;
        Ok(Self(thread))
    }

    /// Waits until both tables are complete.
    pub(crate) fn wait(self) -> Result<Seen> {
        self.0.join().map_err(|_| "the monitor panicked".to_owned())?
    }
}

/// A socket in the group of neighbours' and FDB's news.
fn open() -> Result<OwnedFd> {
    let failed = |what: &str| format!("netlink, {what}: {}", io::Error::last_os_error());
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // SAFETY: a system call without pointers; its result is checked before it is owned.
    let fd = unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_ROUTE) };
    if fd < 0 {
        return Err(failed("socket"));
    }
    // SAFETY: the descriptor is new and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    if set(&socket, libc::SO_RCVBUFFORCE, &RECEIVE_BUFFER).is_err() {
        // Refused in a user namespace: then the kernel's maximum has to do.
        set(&socket, libc::SO_RCVBUF, &RECEIVE_BUFFER).map_err(|()| failed("SO_RCVBUF"))?;
        eprintln!("evpn-bench: SO_RCVBUFFORCE is refused here: as root the monitor cannot overrun");
    }
    let seconds = libc::time_t::try_from(PATIENCE.as_secs()).unwrap_or(libc::time_t::MAX);
    let patience = libc::timeval { tv_sec: seconds, tv_usec: 0 };
    set(&socket, libc::SO_RCVTIMEO, &patience).map_err(|()| failed("SO_RCVTIMEO"))?;
    // SAFETY: all zeros is a valid sockaddr_nl.
    let mut address: libc::sockaddr_nl = unsafe { mem::zeroed() };
    address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
    address.nl_groups = libc::RTMGRP_NEIGH as u32;
    let length = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the address is as long as it is said to be.
    let bound = unsafe { libc::bind(fd, (&raw const address).cast(), length) };
    if bound < 0 { Err(failed("bind")) } else { Ok(socket) }
}

fn set<T>(socket: &OwnedFd, option: libc::c_int, value: &T) -> std::result::Result<(), ()> {
    let length = size_of::<T>() as libc::socklen_t;
    let value = std::ptr::from_ref(value).cast();
    let fd = socket.as_raw_fd();
    // SAFETY: the value is as long as it is said to be.
    let set = unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, option, value, length) };
    if set < 0 { Err(()) } else { Ok(()) }
}

/// Which of a MAC's two entries.
#[derive(Clone, Copy)]
enum Half {
    Bridge,
    Vxlan,
}

struct Tally {
    /// Per MAC: bit 0 the bridge has it, bit 1 the VXLAN device.
    macs: Vec<u8>,
    /// Halves still to come.
    missing: usize,
    first: Option<Instant>,
}

impl Tally {
    fn new(macs: u32) -> Self {
        let macs = vec![0; macs as usize];
        Self { missing: 2 * macs.len(), macs, first: None }
    }

    fn watch(mut self, socket: &OwnedFd) -> Result<Seen> {
        let mut buffers = vec![[0u8; NOTIFICATION_MAX]; AT_ONCE];
        let mut lengths = [0usize; AT_ONCE];
        loop {
            let count = receive(socket, &mut buffers, &mut lengths).map_err(|e| {
                let done = 2 * self.macs.len() - self.missing;
                let all = 2 * self.macs.len();
                match e.raw_os_error() {
                    Some(libc::ENOBUFS) => "the monitor overran: run it as root".to_owned(),
                    Some(libc::EAGAIN) => {
                        format!("{done} of {all} entries came, then none for {PATIENCE:?}")
                    }
                    _ => format!("the monitor: {e}"),
                }
            })?;
            let now = Instant::now();
            for (buffer, length) in buffers.iter().zip(lengths).take(count) {
                for (number, half) in buffer.get(..length).into_iter().flat_map(entries) {
                    self.count(number, half, now);
                }
            }
            if let (0, Some(first)) = (self.missing, self.first) {
                return Ok(Seen { first, last: now });
            }
        }
    }

    fn count(&mut self, number: u32, half: Half, now: Instant) {
        let Some(mac) = self.macs.get_mut(number as usize) else { return };
        let bit = 1 << half as u8;
        if *mac & bit == 0 {
            *mac |= bit;
            self.missing -= 1;
            self.first.get_or_insert(now);
        }
    }
}

/// Waits for notifications and takes those that are there.
fn receive(
    socket: &OwnedFd,
    buffers: &mut [[u8; NOTIFICATION_MAX]],
    lengths: &mut [usize],
) -> io::Result<usize> {
    let mut vectors: Vec<libc::iovec> = buffers
        .iter_mut()
        .map(|b| libc::iovec { iov_base: b.as_mut_ptr().cast(), iov_len: NOTIFICATION_MAX })
        .collect();
    let header = |vector: &mut libc::iovec| {
        // SAFETY: all zeros is a valid mmsghdr.
        let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
        header.msg_hdr.msg_iov = vector;
        header.msg_hdr.msg_iovlen = 1;
        header
    };
    let mut headers: Vec<libc::mmsghdr> = vectors.iter_mut().map(header).collect();
    let count = headers.len() as libc::c_uint;
    let flags = libc::MSG_WAITFORONE;
    let (fd, none) = (socket.as_raw_fd(), std::ptr::null_mut());
    // SAFETY: every header points at one vector, and that at a buffer of its length; all three
    // outlive the call.
    let taken = unsafe { libc::recvmmsg(fd, headers.as_mut_ptr(), count, flags, none) };
    let taken = usize::try_from(taken).map_err(|_| io::Error::last_os_error())?;
    for (length, header) in lengths.iter_mut().zip(&headers) {
        *length = header.msg_len as usize;
    }
    Ok(taken)
}

/// The remote MACs that a datagram says are now there.
///
/// ```text
/// nlmsghdr (16): length, type, flags, sequence, port
/// ndmsg    (12): family, 3 octets, ifindex, state (2), flags, type
/// attributes: length (2), type (2), value, padded to 4
/// ```
fn entries(datagram: &[u8]) -> impl Iterator<Item = (u32, Half)> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(*rest.first_chunk()?) as usize;
        let message = rest.get(..length).filter(|m| m.len() >= NDMSG_END)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(entry(message))
    })
    .flatten()
}

const HEADER: usize = 16;
const NDMSG_END: usize = HEADER + 12;
const NTF_SELF: u8 = 0x02;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const NDA_MASTER: u16 = 9;

fn entry(message: &[u8]) -> Option<(u32, Half)> {
    let kind = u16::from_ne_bytes(*message.get(4..)?.first_chunk()?);
    let family = i32::from(*message.get(HEADER)?);
    let is_self = *message.get(HEADER + 10)? & NTF_SELF != 0;
    if kind != libc::RTM_NEWNEIGH || family != libc::AF_BRIDGE {
        return None;
    }
    let (mut number, mut has_master, mut has_dst) = (None, false, false);
    let mut rest = message.get(NDMSG_END..)?;
    while let Some([a, b, c, d]) = rest.first_chunk() {
        let length = usize::from(u16::from_ne_bytes([*a, *b]));
        let value = rest.get(4..length)?;
        match u16::from_ne_bytes([*c, *d]) {
            NDA_LLADDR => number = site::number(*value.first_chunk()?),
            NDA_MASTER => has_master = true,
            NDA_DST => has_dst = true,
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    match (has_master, is_self && has_dst) {
        (true, false) => Some((number?, Half::Bridge)),
        (false, true) => Some((number?, Half::Vxlan)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(4 + value.len()).expect("short");
        let mut octets = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        octets.extend(value);
        octets.resize(octets.len().next_multiple_of(4), 0);
        octets
    }

    fn notification(kind: u16, flags: u8, attributes: &[Vec<u8>]) -> Vec<u8> {
        let mut octets = vec![0, 0, 0, 0];
        octets.extend(kind.to_ne_bytes());
        octets.resize(HEADER, 0);
        octets.push(u8::try_from(libc::AF_BRIDGE).expect("a small number"));
        octets.extend([0; 9]);
        octets.extend([flags, 0]);
        octets.extend(attributes.concat());
        let length = u32::try_from(octets.len()).expect("short");
        octets[..4].copy_from_slice(&length.to_ne_bytes());
        octets
    }

    #[test]
    fn each_half_counts_once_and_nothing_else_does() {
        let mac = attribute(NDA_LLADDR, &site::mac(7).0);
        let dst = attribute(NDA_DST, &[10, 0, 0, 2]);
        let master = attribute(NDA_MASTER, &[3, 0, 0, 0]);
        let bridge = notification(libc::RTM_NEWNEIGH, 0, &[mac.clone(), master.clone()]);
        let vxlan = notification(libc::RTM_NEWNEIGH, NTF_SELF, &[mac.clone(), dst.clone()]);
        let gone = notification(libc::RTM_DELNEIGH, NTF_SELF, &[mac, dst]);
        let other = attribute(NDA_LLADDR, &[2, 0, 0, 0, 0, 7]);
        let other = notification(libc::RTM_NEWNEIGH, 0, &[other, master]);
        let mut tally = Tally::new(8);
        let datagram = [bridge.clone(), vxlan, gone, other, bridge].concat();
        for (number, half) in entries(&datagram) {
            tally.count(number, half, Instant::now());
        }
        assert_eq!((tally.missing, tally.macs[7]), (14, 3));
    }
}
