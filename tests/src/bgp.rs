//! One connection to a BGP speaker, and every octet that goes over it in a test's own hands.
//!
//! It is no session: nothing is sent by itself, and nothing is read that is not asked for.
//!
//! **It judges nothing**: what comes is told as it came.

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// The type of an OPEN (RFC 4271 section 4.1).
pub const OPEN: u8 = 1;
/// The type of a NOTIFICATION.
pub const NOTIFICATION: u8 = 3;
/// The type of a KEEPALIVE.
pub const KEEPALIVE: u8 = 4;

const PORT: u16 = 179;
const HEADER: usize = 19;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// How a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// By a NOTIFICATION, with its code and subcode.
    Notified(u8, u8),
    /// Without a word.
    Closed,
}

/// A machine that was stopped for a moment interrupts whoever waits in it; nothing has happened.
pub(crate) fn uninterrupted<T>(mut wait: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match wait() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// What has come and was not looked at: less than a message.
    rest: Vec<u8>,
    notified: Option<End>,
}

impl Connection {
    /// Dials `to` from an address of this namespace; `room` is the receive buffer, if not the
    /// kernel's choice.
    ///
    /// # Errors
    /// The kernel's.
    pub fn dial(from: Ipv4Addr, to: Ipv4Addr, room: Option<usize>) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        if let Some(octets) = room {
            socket.set_recv_buffer_size(octets)?;
        }
        socket.bind(&SocketAddr::from((from, 0)).into())?;
        socket.connect_timeout(&SocketAddr::from((to, PORT)).into(), PATIENCE)?;
        socket.set_tcp_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream: socket.into(), rest: Vec::new(), notified: None })
    }

    /// Sends octets.
    ///
    /// # Errors
    /// The kernel's: the other side has closed, or takes nothing for too long.
    pub fn say(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.write_all(octets)
    }

    /// Waits for a message of a type, and skips others.
    ///
    /// # Errors
    /// A NOTIFICATION came, the other side closed, or it took too long.
    pub fn hear(&mut self, wanted: u8) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            while let Some((kind, body)) = self.take_message() {
                if kind == wanted {
                    return Ok(());
                }
                if kind == NOTIFICATION {
                    return Err(io::Error::other(format!("NOTIFICATION {body:?}")));
                }
            }
            let mut room = [0; 16384];
            match uninterrupted(|| self.stream.read(&mut room))? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.rest.extend(&room[..count]),
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    fn take_message(&mut self) -> Option<(u8, Vec<u8>)> {
        let header = self.rest.get(..HEADER)?;
        let length = usize::from(u16::from_be_bytes([header[16], header[17]])).max(HEADER);
        let kind = header[18];
        self.rest.get(..length)?;
        let message: Vec<u8> = self.rest.drain(..length).collect();
        let body = message[HEADER..].to_vec();
        if let (NOTIFICATION, [code, subcode, ..]) = (kind, &body[..]) {
            self.notified = Some(End::Notified(*code, *subcode));
        }
        Some((kind, body))
    }

    /// Takes what is there without waiting, and tells whether the other side has ended it.
    pub fn ended(&mut self) -> Option<End> {
        let mut room = [0; 16384];
        drop(self.stream.set_nonblocking(true));
        let closed = loop {
            match uninterrupted(|| self.stream.read(&mut room)) {
                Ok(0) => break true,
                Ok(count) => self.rest.extend(&room[..count]),
                Err(error) => break error.kind() != io::ErrorKind::WouldBlock,
            }
        };
        drop(self.stream.set_nonblocking(false));
        while self.take_message().is_some() {}
        self.notified.or(closed.then_some(End::Closed))
    }

    /// Takes what is there without waiting, and forgets it.
    pub fn drain(&mut self) {
        let _end = self.ended();
    }

    /// Whether the other side still holds the connection. Nothing is taken.
    pub fn is_open(&self) -> bool {
        let mut room = [0; 1];
        drop(self.stream.set_nonblocking(true));
        let peeked = uninterrupted(|| self.stream.peek(&mut room));
        drop(self.stream.set_nonblocking(false));
        match peeked {
            Ok(count) => count > 0,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }

    /// Ends it with a reset instead of a close.
    pub fn reset(self) {
        drop(SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)));
    }
}
