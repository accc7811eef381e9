//! Listening to ARP and neighbour discovery on access ports.
//!
//! A socket of its own for each port, with a filter in the kernel (`filter`): frames of other
//! kinds cost a few instructions there and never wake anybody.
//!
//! **What hosts say is taken from what enters a port**, never from what leaves it: what other
//! leaves' hosts say goes out there too.

mod filter;
mod frame;

use crate::error::Error;
use crate::socket::packet::{self, Epoll};
use evpn_dataplane::heard::Binding;
use evpn_dataplane::object::IfIndex;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// Frames taken by one [`Snooper::read`].
const READ_MAX: usize = 256;
/// Octets of a port's frames that may wait; what does not fit is lost, and hosts repeat themselves.
const BUFFER: usize = 64 * 1024;
/// Octets of a frame that are looked at: headers and a neighbour advertisement with some options.
const FRAME_MAX: usize = filter::KEPT as usize;

/// Listens on ports.
#[derive(Debug)]
pub struct Snooper {
    epoll: Epoll,
    ports: BTreeMap<IfIndex, OwnedFd>,
}

impl Snooper {
    /// One that listens nowhere yet.
    ///
    /// # Errors
    /// No descriptor is to be had.
    pub fn new() -> io::Result<Self> {
        Ok(Self { epoll: Epoll::new()?, ports: BTreeMap::new() })
    }

    /// Listens on these ports and on no others.
    ///
    /// # Errors
    /// The first of the ports' failures; the others are listened on. CAP_NET_RAW is needed.
    pub fn listen_on(&mut self, ports: &[IfIndex]) -> Result<(), Error> {
        // A closed socket leaves the epoll set by itself.
        self.ports.retain(|port, _| ports.contains(port));
        let mut outcome = Ok(());
        for port in ports {
            if self.ports.contains_key(port) {
                continue;
            }
            match self.open(*port) {
                Ok(socket) => drop(self.ports.insert(*port, socket)),
                // It went away meanwhile.
                Err(error) if error.raw_os_error() == Some(libc::ENODEV) => {}
                Err(error) => outcome = outcome.and(Err(Error::snoop(error))),
            }
        }
        outcome
    }

    fn open(&self, port: IfIndex) -> io::Result<OwnedFd> {
        let socket = packet::open(port.0, &filter::program(), BUFFER)?;
        self.epoll.add(&socket, u64::from(port.0))?;
        Ok(socket)
    }

    /// Hands over what was heard, without waiting. True if there is more than one look takes.
    ///
    /// # Errors
    /// The system's, none of which is expected.
    pub fn read(&mut self, sink: &mut dyn FnMut(IfIndex, Binding)) -> io::Result<bool> {
        let mut left = READ_MAX;
        let mut frame = [0; FRAME_MAX];
        for port in self.epoll.ready()? {
            let Ok(port) = u32::try_from(port).map(IfIndex) else { continue };
            let Some(socket) = self.ports.get(&port) else { continue };
            loop {
                let Some(rest) = left.checked_sub(1) else { return Ok(true) };
                left = rest;
                match packet::receive(socket, &mut frame) {
                    Ok(frame) => {
                        if let Some(binding) = frame::binding(frame) {
                            sink(port, binding);
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    // Nothing more; or the port is down, which is said once and does not matter.
                    Err(_) => break,
                }
            }
        }
        Ok(false)
    }
}

impl AsRawFd for Snooper {
    fn as_raw_fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }
}
