//! Sockets that frames are read from, and waiting for many of them.

use super::{AT_ONCE, checked, set_option_of};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

/// Every kind of frame. A socket for ARP alone is asked after the bridge has taken the frame away.
const ALL: u16 = libc::ETH_P_ALL as u16;

/// A socket that takes the frames which enter a device and pass a filter.
pub(crate) fn open(
    device: u32,
    filter: &[libc::sock_filter],
    buffer: usize,
) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // Without a protocol nothing comes in before the filter is there.
    // SAFETY: no pointers; the descriptor is new and ours alone.
    let fd = checked(unsafe { libc::socket(libc::AF_PACKET, kind, 0) })?;
    // SAFETY: as above.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let length = u16::try_from(filter.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len: length, filter: filter.as_ptr().cast_mut() };
    // The kernel copies the program and writes to none of it.
    set_option_of(&socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)?;
    let yes: libc::c_int = 1;
    set_option_of(&socket, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, &yes)?;
    let buffer = libc::c_int::try_from(buffer).unwrap_or(libc::c_int::MAX);
    set_option_of(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, &buffer)?;
    bind(&socket, device)?;
    Ok(socket)
}

fn bind(socket: &OwnedFd, device: u32) -> io::Result<()> {
    // SAFETY: all zeros is a valid `sockaddr_ll`.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = u16::try_from(libc::AF_PACKET).map_err(io::Error::other)?;
    address.sll_protocol = ALL.to_be();
    address.sll_ifindex = i32::try_from(device).map_err(io::Error::other)?;
    let length = libc::socklen_t::try_from(size_of_val(&address)).map_err(io::Error::other)?;
    let place = ptr::from_ref(&address).cast();
    // SAFETY: `place` points at `length` octets that outlive the call.
    checked(unsafe { libc::bind(socket.as_raw_fd(), place, length) }).map(drop)
}

/// Takes one frame, or as much of it as there is room for, without waiting.
pub(crate) fn receive<'a>(socket: &OwnedFd, room: &'a mut [u8]) -> io::Result<&'a [u8]> {
    let (place, length) = (room.as_mut_ptr().cast(), room.len());
    // SAFETY: `room` is ours and `length` octets long.
    let got = unsafe { libc::recv(socket.as_raw_fd(), place, length, 0) };
    let got = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
    Ok(room.get(..got).unwrap_or_default())
}

/// Waits for many descriptors, and is one itself.
#[derive(Debug)]
pub(crate) struct Epoll(OwnedFd);

impl Epoll {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no pointers; the descriptor is new and ours alone.
        let fd = checked(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: as above.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Waits for this one too; `name` tells it from the others. It leaves when it is closed.
    pub(crate) fn add(&self, fd: &impl AsRawFd, name: u64) -> io::Result<()> {
        let events = u32::try_from(libc::EPOLLIN).map_err(io::Error::other)?;
        let mut event = libc::epoll_event { events, u64: name };
        let (here, place) = (self.0.as_raw_fd(), ptr::from_mut(&mut event));
        // SAFETY: `place` points at an event that outlives the call.
        checked(unsafe { libc::epoll_ctl(here, libc::EPOLL_CTL_ADD, fd.as_raw_fd(), place) })
            .map(drop)
    }

    /// The names of some that can be read from now.
    pub(crate) fn ready(&self) -> io::Result<impl Iterator<Item = u64> + use<>> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; AT_ONCE];
        let room = libc::c_int::try_from(AT_ONCE).map_err(io::Error::other)?;
        // SAFETY: there is room for that many events, which outlive the call.
        let count = unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), room, 0) };
        let count = match checked(count) {
            Ok(count) => usize::try_from(count).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(error),
        };
        Ok(events.into_iter().take(count).map(|event| event.u64))
    }
}

impl AsRawFd for Epoll {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
