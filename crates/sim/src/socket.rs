//! One connection as the shell sees it: octets to messages and back, and keepalives under a lease.
//!
//! **Octets are framed, decoded and encoded as in the daemon**: a piece may end anywhere, nothing is
//! read after an OPEN until its context has come back, and a lease that is not renewed falls silent.

use crate::network::{End, Network};
use crate::random::Random;
use bytes::{Buf, Bytes, BytesMut};
use evpn_engine::Input;
use evpn_proto::bgp::message::Message;
use evpn_proto::bgp::session::{ConnectionId, MessageCounts, TransportError};
use evpn_proto::bgp::wire::{DecodeContext, decode, encode_keepalive, frame};
use evpn_proto::types::Time;
use evpn_rib::PeerIdx;
use std::collections::VecDeque;
use std::time::Duration;

/// The largest piece that a stream is cut into.
const PIECE_OCTETS_MAX: usize = 1400;

#[derive(Clone, PartialEq, Eq, Debug)]
enum Reading {
    /// Until the OPEN, and after it with what was agreed upon.
    Goes(DecodeContext),
    /// An OPEN was read, and its context has not come back.
    Waits,
    /// Something was read that ends the session.
    Over,
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    next: Time,
    interval: Duration,
    until: Time,
}

#[derive(Debug)]
enum Unsent {
    Engine(Bytes),
    Keepalive(Bytes),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) end: End,
    peer: PeerIdx,
    connection: ConnectionId,
    reading: Reading,
    buffer: BytesMut,
    /// The stream has ended, which counts once the buffer is read.
    ended: Option<TransportError>,
    unsent: VecDeque<Unsent>,
    lease: Option<Lease>,
}

impl Socket {
    pub(crate) fn new(end: End, peer: PeerIdx, connection: ConnectionId) -> Self {
        Self {
            end,
            peer,
            connection,
            reading: Reading::Goes(DecodeContext::INITIAL),
            buffer: BytesMut::new(),
            ended: None,
            unsent: VecDeque::new(),
            lease: None,
        }
    }

    /// Takes octets from the stream.
    pub(crate) fn take(&mut self, now: Time, octets: &[u8], inputs: &mut Vec<Input>) {
        self.buffer.extend_from_slice(octets);
        self.read(now, inputs);
    }

    /// The stream has ended.
    pub(crate) fn end(&mut self, now: Time, error: TransportError, inputs: &mut Vec<Input>) {
        self.ended = Some(error);
        self.read(now, inputs);
    }

    /// The OPEN was accepted: reading goes on.
    pub(crate) fn go_on(&mut self, now: Time, context: DecodeContext, inputs: &mut Vec<Input>) {
        self.reading = Reading::Goes(context);
        self.read(now, inputs);
    }

    fn read(&mut self, now: Time, inputs: &mut Vec<Input>) {
        let (peer, connection) = (self.peer, self.connection);
        while let Reading::Goes(context) = &self.reading {
            let found = match frame(&self.buffer, context.length_max) {
                Ok(None) => break,
                Ok(Some(found)) => Ok(found.length),
                Err(notification) => Err(notification),
            };
            let read = found.and_then(|length| {
                let octets = self.buffer.split_to(length.min(self.buffer.len()));
                decode(&octets, context)
            });
            inputs.push(match read {
                Ok(message) => {
                    if matches!(message, Message::Open(_)) {
                        self.reading = Reading::Waits;
                    }
                    Input::Received { peer, connection, message: Box::new(message), at: now }
                }
                Err(notification) => {
                    self.reading = Reading::Over;
                    Input::Malformed { peer, connection, notification }
                }
            });
        }
        if self.reading != Reading::Waits
            && let Some(error) = self.ended.take()
        {
            inputs.push(Input::Closed { peer, connection, error });
        }
    }

    /// Takes whole messages of the engine to be sent.
    pub(crate) fn send(&mut self, octets: Bytes) {
        self.unsent.push_back(Unsent::Engine(octets));
    }

    /// Takes or renews a lease: a renewal moves its end and nothing else.
    pub(crate) fn lease(&mut self, now: Time, interval: Duration, until: Time) {
        match &mut self.lease {
            Some(lease) => lease.until = until,
            None => self.lease = Some(Lease { next: now + interval, interval, until }),
        }
    }

    /// When a keepalive is due.
    pub(crate) fn next_at(&self) -> Option<Time> {
        self.lease.filter(|lease| lease.next <= lease.until).map(|lease| lease.next)
    }

    /// Sends what is due and what there is room for, and reports what the connection took.
    pub(crate) fn write(
        &mut self,
        now: Time,
        network: &mut Network,
        random: &mut Random,
        inputs: &mut Vec<Input>,
    ) {
        if let Some(lease) = self.lease.as_mut().filter(|l| l.next <= now && l.next <= l.until) {
            lease.next = now + lease.interval;
            if self.unsent.is_empty() {
                self.unsent.push_back(Unsent::Keepalive(encode_keepalive()));
            }
        }
        let (mut octets, mut messages) = (0, MessageCounts::default());
        loop {
            let room = network.room(self.end);
            let most = room.min(1 + random.below(PIECE_OCTETS_MAX));
            let Some(piece) = self.next_piece(most, &mut octets, &mut messages) else { break };
            network.write(now, self.end, piece);
        }
        if octets > 0 || messages.total() > 0 {
            let (peer, connection) = (self.peer, self.connection);
            inputs.push(Input::Written { peer, connection, octets, messages, at: now });
        }
    }

    fn next_piece(
        &mut self,
        most: usize,
        octets: &mut usize,
        messages: &mut MessageCounts,
    ) -> Option<Bytes> {
        if most == 0 {
            return None;
        }
        let (rest, piece) = match self.unsent.front_mut()? {
            Unsent::Engine(rest) => {
                let piece = rest.split_to(most.min(rest.len()));
                *octets += piece.len();
                (rest, piece)
            }
            Unsent::Keepalive(rest) => {
                let piece = rest.split_to(most.min(rest.len()));
                messages.keepalive += u64::from(rest.is_empty());
                (rest, piece)
            }
        };
        if !rest.has_remaining() {
            self.unsent.pop_front();
        }
        Some(piece)
    }

    /// Closes, after what was sent has left.
    pub(crate) fn close(mut self, now: Time, network: &mut Network) {
        let (mut octets, mut messages) = (0, MessageCounts::default());
        while let Some(piece) = self.next_piece(PIECE_OCTETS_MAX, &mut octets, &mut messages) {
            network.write(now, self.end, piece);
        }
        network.close(now, self.end);
    }
}
