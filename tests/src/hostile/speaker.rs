//! One connection to the speaker under attack.

use super::{Deeds, Target};
use evpn_proto::bgp::message::{Capability, Family, Open};
use evpn_proto::bgp::wire::{encode_keepalive, encode_open};
use evpn_proto::types::Asn;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const PORT: u16 = 179;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(2);
const HOLD: Duration = Duration::from_secs(9);

/// Whether answers are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ears {
    /// Yes.
    Open,
    /// As little as the kernel takes by itself.
    Shut,
}

pub(super) struct Connection {
    stream: TcpStream,
    ears: Ears,
}

/// A right OPEN.
pub(super) fn open(target: Target) -> Vec<u8> {
    let open = Open {
        asn: Asn(target.own_asn),
        hold_time: HOLD,
        router_id: target.from,
        capabilities: vec![
            Capability::Multiprotocol(Family::EVPN),
            Capability::FourOctetAs(Asn(target.own_asn)),
            Capability::RouteRefresh,
        ],
    };
    encode_open(&open).to_vec()
}

impl Connection {
    pub(super) fn dial(target: Target, ears: Ears) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        if ears == Ears::Shut {
            socket.set_recv_buffer_size(2048)?;
        }
        socket.bind(&SocketAddr::from((target.from, 0)).into())?;
        socket.connect_timeout(&SocketAddr::from((target.address, PORT)).into(), PATIENCE)?;
        socket.set_tcp_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream: socket.into(), ears })
    }

    /// Dials and opens; the session is up when this succeeds.
    pub(super) fn establish(target: Target, ears: Ears, deeds: &mut Deeds) -> io::Result<Self> {
        let mut connection = Self::dial(target, ears)?;
        connection.say(&open(target), deeds)?;
        // Its OPEN and its KEEPALIVE, whatever else comes in between.
        connection.hear(1)?;
        connection.say(&encode_keepalive(), deeds)?;
        connection.hear(4)?;
        deeds.established += 1;
        Ok(connection)
    }

    /// Waits for a message of a type.
    pub(super) fn hear(&mut self, wanted: u8) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let mut header = [0; 19];
            self.stream.read_exact(&mut header)?;
            let length = usize::from(u16::from_be_bytes([header[16], header[17]]));
            let mut body = vec![0; length.saturating_sub(header.len())];
            self.stream.read_exact(&mut body)?;
            match header[18] {
                kind if kind == wanted => return Ok(()),
                3 => return Err(io::Error::other(format!("NOTIFICATION {body:?}"))),
                _ => {}
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    pub(super) fn say(&mut self, octets: &[u8], deeds: &mut Deeds) -> io::Result<()> {
        self.stream.write_all(octets)?;
        deeds.messages += 1;
        deeds.octets += u64::try_from(octets.len()).unwrap_or_default();
        if self.ears == Ears::Open {
            self.drain();
        }
        Ok(())
    }

    /// Takes what is there without waiting.
    fn drain(&mut self) {
        let mut room = [0; 16384];
        let nonblocking = |on: bool| drop(self.stream.set_nonblocking(on));
        nonblocking(true);
        while matches!((&self.stream).read(&mut room), Ok(count) if count > 0) {}
        nonblocking(false);
    }

    /// Whether the other side still holds the connection.
    pub(super) fn is_open(&self) -> bool {
        let mut room = [0; 1];
        drop(self.stream.set_nonblocking(true));
        let peeked = self.stream.peek(&mut room);
        drop(self.stream.set_nonblocking(false));
        match peeked {
            Ok(count) => count > 0,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }

    /// Ends it with a reset instead of a close.
    pub(super) fn reset(self) {
        drop(SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)));
    }
}
