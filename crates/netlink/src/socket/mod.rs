//! The few system calls that `netlink-sys` does not offer, and those for frames ([`packet`]).
//!
//! **Every unsafe block of this crate is in this room.**

pub(crate) mod packet;

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

/// Datagrams received by one system call.
const AT_ONCE: usize = 32;
/// Room for one: the longest news, a device with many virtual functions, takes 8 to 16 KiB; what
/// does not fit is reported as lost. Pages that nothing is received into are never touched.
const ROOM: usize = 32 * 1024;

fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Sets an option whose value is laid out as the kernel wants it.
fn set_option_of<T>(
    fd: &impl AsRawFd,
    level: libc::c_int,
    option: libc::c_int,
    value: &T,
) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<T>()).map_err(io::Error::other)?;
    let place = ptr::from_ref(value).cast();
    // SAFETY: `place` points at `length` octets that outlive the call.
    checked(unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, place, length) }).map(drop)
}

/// Sets the receive buffer, beyond the system's limit if `force` is permitted.
pub(crate) fn set_receive_buffer(fd: &impl AsRawFd, octets: usize, how: Buffer) -> io::Result<()> {
    let octets = libc::c_int::try_from(octets).unwrap_or(libc::c_int::MAX);
    let option = match how {
        Buffer::Forced => libc::SO_RCVBUFFORCE,
        Buffer::Limited => libc::SO_RCVBUF,
    };
    set_option_of(fd, libc::SOL_SOCKET, option, &octets)
}

/// Whether the system's limit on buffers counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Buffer {
    Forced,
    Limited,
}

/// Has reads fail with `EAGAIN` after a while.
pub(crate) fn set_receive_timeout(fd: &impl AsRawFd, timeout: Duration) -> io::Result<()> {
    let time = libc::timeval {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_usec: libc::suseconds_t::from(timeout.subsec_micros()),
    };
    set_option_of(fd, libc::SOL_SOCKET, libc::SO_RCVTIMEO, &time)
}

/// Receives one datagram, waiting for it; one that is longer than the buffer is an error.
pub(crate) fn receive<'a>(fd: &impl AsRawFd, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
    loop {
        let (place, length) = (buffer.as_mut_ptr().cast(), buffer.len());
        // SAFETY: `buffer` is ours and `length` octets long.
        let got = unsafe { libc::recv(fd.as_raw_fd(), place, length, libc::MSG_TRUNC) };
        let Ok(got) = usize::try_from(got) else {
            let error = io::Error::last_os_error();
            if error.kind() == io::ErrorKind::Interrupted {
                continue;
            }
            return Err(error);
        };
        return buffer.get(..got).ok_or_else(|| io::Error::from_raw_os_error(libc::EMSGSIZE));
    }
}

/// Receives many datagrams by one system call.
#[derive(Debug)]
pub(crate) struct Receiver {
    room: Vec<u8>,
    lengths: Vec<(usize, bool)>,
}

impl Receiver {
    pub(crate) fn new() -> Self {
        Self { room: vec![0; AT_ONCE * ROOM], lengths: Vec::with_capacity(AT_ONCE) }
    }

    /// What is there, without waiting: each datagram, and whether it was cut.
    pub(crate) fn receive(
        &mut self,
        fd: &impl AsRawFd,
    ) -> io::Result<impl Iterator<Item = (&[u8], bool)>> {
        let mut places: [libc::iovec; AT_ONCE] =
            [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; AT_ONCE];
        for (place, room) in places.iter_mut().zip(self.room.chunks_exact_mut(ROOM)) {
            *place = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: ROOM };
        }
        // SAFETY: all zeros is a valid `mmsghdr`: no name, no control data, no vector.
        let mut headers: [libc::mmsghdr; AT_ONCE] = unsafe { std::mem::zeroed() };
        for (header, place) in headers.iter_mut().zip(&mut places) {
            header.msg_hdr.msg_iov = ptr::from_mut(place);
            header.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: each header points at one vector, each vector at `ROOM` octets of `room`, and
        // all of them outlive the call.
        let count = checked(unsafe {
            libc::recvmmsg(
                fd.as_raw_fd(),
                headers.as_mut_ptr(),
                AT_ONCE as libc::c_uint,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        })?;
        let count = usize::try_from(count).unwrap_or_default();
        self.lengths.clear();
        self.lengths.extend(headers.iter().take(count).map(|header| {
            let cut = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
            (usize::try_from(header.msg_len).unwrap_or(ROOM).min(ROOM), cut)
        }));
        let rooms = self.room.chunks_exact(ROOM);
        let got = rooms.zip(&self.lengths);
        Ok(got.map(|(room, (length, cut))| (room.get(..*length).unwrap_or_default(), *cut)))
    }
}

/// A counter that makes a descriptor readable.
pub(crate) fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: no pointers; the descriptor is new and ours alone.
    let fd = checked(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
    // SAFETY: as above.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Waits until one of some descriptors is readable; no timeout waits for ever. Negative ones are
/// not waited for.
pub(crate) fn poll<const N: usize>(
    fds: [RawFd; N],
    timeout: Option<Duration>,
) -> io::Result<[bool; N]> {
    // Rounded up: a timer that ends too early would have us look again for nothing.
    let milliseconds = timeout.map_or(-1, |t| {
        libc::c_int::try_from(t.as_nanos().div_ceil(1_000_000)).unwrap_or(libc::c_int::MAX)
    });
    let mut set = fds.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    let count = libc::nfds_t::try_from(N).map_err(io::Error::other)?;
    // SAFETY: `set` has that many entries and outlives the call.
    let result = checked(unsafe { libc::poll(set.as_mut_ptr(), count, milliseconds) });
    match result {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok([false; N]),
        Err(error) => Err(error),
        Ok(_) => Ok(set.map(|entry| entry.revents != 0)),
    }
}
