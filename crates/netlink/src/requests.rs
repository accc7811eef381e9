//! Asking the kernel: dumps, and writes in batches.
//!
//! A batch is one datagram of about 16 KiB in which only the last message asks to be acknowledged:
//! the kernel works through it in order, answers each that fails, and then the last.
//!
//! **No answer within [`ANSWER_WAIT`] is an answer too**: what is not known to be written counts as
//! failed, and the caller dumps.

use crate::encode::{AF_BRIDGE, AF_INET, AF_INET6, encode, neighbour_header};
use crate::error::{Error, class, failure, result};
use crate::parse::parse;
use crate::socket::{self, Buffer};
use crate::wire::{Message, Messages, Writer, flag, kind, octets};
use evpn_dataplane::object::NexthopId;
use evpn_dataplane::observe::Observation;
use evpn_dataplane::op::{ErrorClass, Failure, Op};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use std::io;
use std::time::Duration;

/// How many octets of messages go into one datagram: measured to be the fastest.
const BATCH_OCTETS: usize = 16 * 1024;
/// How many FDB entries that is; a good limit for a plan.
pub const BATCH_OPS: usize = 320;
/// How long the kernel may take for an answer.
pub const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// Room for one datagram of answers; the kernel's dumps send at most 32 KiB.
const ANSWER_ROOM: usize = 64 * 1024;
/// Room for the answers to a batch of which every message fails.
const ANSWER_BUFFER: usize = 1 << 20;
/// Parts of a dump, by name.
const DEVICES: &str = "devices";
const ADDRESSES: &str = "addresses";
const NEIGHBOURS: &str = "neighbours";
/// How often a dump that was interrupted by a change is begun again.
const DUMP_TRIES: usize = 10;

/// A socket that asks.
#[derive(Debug)]
pub struct Requests {
    socket: Socket,
    protocol: u8,
    sequence: u32,
    writer: Writer,
    answers: Vec<u8>,
}

/// One part of a full dump: its name, the question, and what follows its header.
struct Part {
    what: &'static str,
    kind: u16,
    payload: Vec<u8>,
}

impl Requests {
    /// Opens the socket. `protocol` marks what is written as ours.
    ///
    /// # Errors
    /// No netlink socket is to be had.
    pub fn open(protocol: u8) -> Result<Self, Error> {
        let mut socket = Socket::new(NETLINK_ROUTE).map_err(Error::socket("open"))?;
        if socket::set_receive_buffer(&socket, ANSWER_BUFFER, Buffer::Forced).is_err() {
            // The system's limit holds the answers to a batch with some failures, and one whose
            // answers are lost counts as failed.
            socket::set_receive_buffer(&socket, ANSWER_BUFFER, Buffer::Limited)
                .map_err(Error::socket("give room to"))?;
        }
        socket::set_receive_timeout(&socket, ANSWER_WAIT).map_err(Error::socket("set up"))?;
        // Words with errors, and errors without a copy of what was asked.
        socket.set_ext_ack(true).map_err(Error::socket("set up"))?;
        socket.set_cap_ack(true).map_err(Error::socket("set up"))?;
        socket.set_netlink_get_strict_chk(true).map_err(Error::socket("set up"))?;
        socket.bind(&SocketAddr::new(0, 0)).map_err(Error::socket("bind"))?;
        socket.connect(&SocketAddr::new(0, 0)).map_err(Error::socket("connect"))?;
        let writer = Writer::default();
        Ok(Self { socket, protocol, sequence: 0, writer, answers: vec![0; ANSWER_ROOM] })
    }

    /// The number that marks what is ours.
    pub(crate) const fn protocol(&self) -> u8 {
        self.protocol
    }

    /// Finds out whether this process may write, by a deletion that names nothing.
    ///
    /// # Errors
    /// [`Error::NotPermitted`]: it may not.
    pub fn check_permission(&mut self) -> Result<(), Error> {
        let mut results = Vec::new();
        self.execute(&[Op::NexthopDelete(NexthopId(0))], &mut results);
        match results.first() {
            Some(Err(failure)) if failure.class == ErrorClass::Denied => Err(Error::NotPermitted),
            _ => Ok(()),
        }
    }

    /// Executes writes in order. `results` holds each one's own afterwards.
    pub fn execute(&mut self, ops: &[Op], results: &mut Vec<Result<(), Failure>>) {
        results.clear();
        let mut left = ops;
        while !left.is_empty() {
            self.writer.clear();
            let first = self.sequence.wrapping_add(1);
            let mut count = 0;
            for op in left {
                self.sequence = self.sequence.wrapping_add(1);
                encode(op, self.protocol, self.sequence, &mut self.writer);
                count += 1;
                if self.writer.buffer.len() >= BATCH_OCTETS {
                    break;
                }
            }
            self.writer.ask_for_ack();
            let begun = results.len();
            results.resize(begun + count, Ok(()));
            if let Some(results) = results.get_mut(begun..) {
                self.exchange(first, results);
            }
            left = left.get(count..).unwrap_or_default();
        }
    }

    /// Sends the batch and takes its answers.
    fn exchange(&mut self, first: u32, results: &mut [Result<(), Failure>]) {
        if let Err(error) = self.socket.send(&self.writer.buffer, 0) {
            let errno = error.raw_os_error().unwrap_or_default();
            results.fill(Err(failure(errno, None)));
            return;
        }
        let last = results.len().saturating_sub(1);
        loop {
            let datagram = match socket::receive(&self.socket, &mut self.answers) {
                Ok(datagram) => datagram,
                Err(error) => {
                    lost(results, &error);
                    return;
                }
            };
            for message in Messages(datagram).filter(|message| message.kind == kind::ERROR) {
                // Answers to an earlier batch that came too late do not fit.
                let place = message.sequence.wrapping_sub(first);
                let Ok(place) = usize::try_from(place) else { continue };
                let Some(slot) = results.get_mut(place) else { continue };
                *slot = result(&message);
                if place == last {
                    return;
                }
            }
        }
    }

    /// Reads everything that [`Observation`] can tell of, devices first and routes last.
    ///
    /// # Errors
    /// The kernel refused, did not answer, or changed too fast. What was observed until then is
    /// true, and not complete.
    pub fn dump(&mut self, sink: &mut dyn FnMut(Observation)) -> Result<(), Error> {
        for part in parts(self.protocol) {
            self.dump_messages(&part, &mut |message| {
                if let Some(seen) = parse(message) {
                    sink(seen);
                }
            })?;
        }
        Ok(())
    }

    /// Reads devices, addresses and neighbours, and hands over each message as it came.
    pub(crate) fn dump_devices(&mut self, sink: &mut dyn FnMut(&Message<'_>)) -> Result<(), Error> {
        let wanted = [DEVICES, ADDRESSES, NEIGHBOURS];
        for part in parts(self.protocol).into_iter().filter(|part| wanted.contains(&part.what)) {
            self.dump_messages(&part, sink)?;
        }
        Ok(())
    }

    /// Begins a dump again until it shows one state of the table.
    fn dump_messages(
        &mut self,
        part: &Part,
        sink: &mut dyn FnMut(&Message<'_>),
    ) -> Result<(), Error> {
        let mut tries = 0;
        while self.dump_part(part, sink)? == Consistent::No {
            tries += 1;
            if tries >= DUMP_TRIES {
                return Err(Error::Unstable { what: part.what });
            }
        }
        Ok(())
    }

    /// Asks one question, whose message `write` completes after its header, and hands over the
    /// answer that is no acknowledgement.
    ///
    /// # Errors
    /// The kernel refuses, or does not answer.
    pub(crate) fn ask(
        &mut self,
        kind: u16,
        flags: u16,
        write: impl FnOnce(&mut Writer),
        sink: &mut dyn FnMut(&Message<'_>),
    ) -> Result<(), Failure> {
        let lost = |error: &io::Error| failure(error.raw_os_error().unwrap_or_default(), None);
        self.sequence = self.sequence.wrapping_add(1);
        self.writer.clear();
        self.writer.begin(kind, flag::REQUEST | flag::ACK | flags, self.sequence);
        write(&mut self.writer);
        self.writer.end();
        self.socket.send(&self.writer.buffer, 0).map_err(|error| lost(&error))?;
        loop {
            let datagram =
                socket::receive(&self.socket, &mut self.answers).map_err(|error| lost(&error))?;
            for message in Messages(datagram).filter(|m| m.sequence == self.sequence) {
                match message.kind {
                    kind::ERROR => return result(&message),
                    _ => sink(&message),
                }
            }
        }
    }

    fn dump_part(
        &mut self,
        part: &Part,
        sink: &mut dyn FnMut(&Message<'_>),
    ) -> Result<Consistent, Error> {
        let what = part.what;
        self.sequence = self.sequence.wrapping_add(1);
        self.writer.clear();
        self.writer.begin(part.kind, flag::REQUEST | flag::DUMP, self.sequence);
        self.writer.put(&part.payload);
        self.writer.end();
        self.socket.send(&self.writer.buffer, 0).map_err(Error::socket("write to"))?;
        let mut consistent = Consistent::Yes;
        loop {
            let datagram = match socket::receive(&self.socket, &mut self.answers) {
                Ok(datagram) => datagram,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(Error::Timeout { what });
                }
                Err(error) => return Err(Error::socket("read from")(error)),
            };
            for message in Messages(datagram) {
                if message.sequence != self.sequence {
                    continue;
                }
                if message.flags & flag::DUMP_INTERRUPTED != 0 {
                    consistent = Consistent::No;
                }
                match message.kind {
                    kind::DONE => {
                        // It carries a code as an error does; negative is one.
                        let code = octets(message.payload, 0).map_or(0, i32::from_ne_bytes);
                        if code < 0 {
                            let failure = failure(code.saturating_neg(), None);
                            return Err(Error::Dump { what, failure });
                        }
                        return Ok(consistent);
                    }
                    kind::ERROR => {
                        result(&message).map_err(|failure| Error::Dump { what, failure })?;
                    }
                    _ => sink(&message),
                }
            }
        }
    }
}

/// Whether a dump shows one state of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Consistent {
    Yes,
    No,
}

/// Nobody knows what became of those without an answer.
fn lost(results: &mut [Result<(), Failure>], error: &io::Error) {
    let failure = Failure {
        class: ErrorClass::Busy,
        errno: error.raw_os_error().unwrap_or_default(),
        text: match error.raw_os_error().map(class) {
            Some(ErrorClass::Busy) => "no answer from the kernel in time".to_owned(),
            _ => format!("the kernel's answer was lost: {error}"),
        },
    };
    for result in results.iter_mut().filter(|result| result.is_ok()) {
        *result = Err(failure.clone());
    }
}

/// The questions, in the order in which the answers refer to each other.
fn parts(protocol: u8) -> Vec<Part> {
    /// `IFLA_EXT_MASK` with `RTEXT_FILTER_SKIP_STATS`, as an attribute.
    const NO_STATISTICS: [u8; 8] = {
        let [l0, l1] = 8u16.to_ne_bytes();
        let [k0, k1] = 29u16.to_ne_bytes();
        let [v0, v1, v2, v3] = 8u32.to_ne_bytes();
        [l0, l1, k0, k1, v0, v1, v2, v3]
    };
    const UNICAST: u8 = 1;
    const PROTOCOL_KERNEL: u8 = 2;
    let part = |what, kind, payload| Part { what, kind, payload };
    let routes = |family, protocol| {
        let header = vec![family, 0, 0, 0, 0, protocol, 0, UNICAST, 0, 0, 0, 0];
        part("routes", kind::GETROUTE, header)
    };
    let links = [[0; 16].as_slice(), NO_STATISTICS.as_slice()].concat();
    vec![
        part(DEVICES, kind::GETLINK, links),
        part(ADDRESSES, kind::GETADDR, vec![0; 8]),
        part("nexthops", kind::GETNEXTHOP, vec![0; 8]),
        part("FDB entries", kind::GETNEIGH, neighbour_header(AF_BRIDGE, 0, 0, 0).to_vec()),
        part(NEIGHBOURS, kind::GETNEIGH, neighbour_header(0, 0, 0, 0).to_vec()),
        routes(AF_INET, PROTOCOL_KERNEL),
        routes(AF_INET, protocol),
        routes(AF_INET6, PROTOCOL_KERNEL),
        routes(AF_INET6, protocol),
    ]
}
