//! Listening to the kernel's news.
//!
//! **An overrun is an answer, not an end**: what was lost is found by a dump.

use crate::error::Error;
use crate::parse::parse;
use crate::socket::{self, Buffer, Receiver};
use crate::wire::Messages;
use evpn_dataplane::observe::Observation;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use std::io;
use std::os::fd::{AsRawFd, RawFd};

/// Devices, neighbours (FDB entries too), addresses and routes of both families, nexthops.
const GROUPS: [u32; 7] = [1, 3, 5, 7, 9, 11, 32];
/// Datagrams taken by one [`Monitor::read`], so that a flood of news does not keep its reader from
/// everything else.
const READ_MAX: usize = 8192;

/// A socket that listens.
#[derive(Debug)]
pub struct Monitor {
    socket: Socket,
    receiver: Receiver,
}

/// What one look brought.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Heard {
    /// How many datagrams.
    pub datagrams: usize,
    /// Some were lost: dump.
    pub overrun: bool,
    /// There are more.
    pub more: bool,
}

/// A receive buffer that is smaller than was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SmallBuffer {
    /// Octets asked for.
    pub asked: usize,
    /// Octets that the system's limit (`net.core.rmem_max`) left, in the same count.
    pub got: usize,
}

impl Monitor {
    /// Listens from now on, with room for `buffer` octets of news. If that is more than the system
    /// grants, it says how much it is.
    ///
    /// # Errors
    /// No netlink socket is to be had, or the kernel lacks one of the groups.
    pub fn open(buffer: usize) -> Result<(Self, Option<SmallBuffer>), Error> {
        let mut socket = Socket::new(NETLINK_ROUTE).map_err(Error::socket("open"))?;
        let forced = socket::set_receive_buffer(&socket, buffer, Buffer::Forced).is_ok();
        let mut small = None;
        if !forced {
            socket::set_receive_buffer(&socket, buffer, Buffer::Limited)
                .map_err(Error::socket("give room to"))?;
            // The kernel doubles what it was given, for its own book-keeping.
            let got = socket.get_rx_buf_sz().map_err(Error::socket("ask"))? / 2;
            small = (got < buffer).then_some(SmallBuffer { asked: buffer, got });
        }
        socket.bind(&SocketAddr::new(0, 0)).map_err(Error::socket("bind"))?;
        for group in GROUPS {
            socket.add_membership(group).map_err(Error::socket("subscribe with"))?;
        }
        Ok((Self { socket, receiver: Receiver::new() }, small))
    }

    /// Hands over the news that are there, without waiting.
    ///
    /// # Errors
    /// The socket is broken, which is not expected. An overrun is no error.
    pub fn read(&mut self, sink: &mut dyn FnMut(Observation)) -> Result<Heard, Error> {
        let mut heard = Heard::default();
        while heard.datagrams < READ_MAX {
            match self.receiver.receive(&self.socket) {
                Ok(datagrams) => {
                    for (datagram, cut) in datagrams {
                        heard.datagrams += 1;
                        heard.overrun |= cut;
                        Messages(datagram).filter_map(|m| parse(&m)).for_each(&mut *sink);
                    }
                }
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => heard.overrun = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(heard),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::socket("read from")(error)),
            }
        }
        heard.more = true;
        Ok(heard)
    }
}

impl AsRawFd for Monitor {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
