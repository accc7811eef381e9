//! Who counts what a client is told.
//!
//! It reads as much of an UPDATE as it must: the way to the routes in MP_REACH_NLRI, and of each its
//! distinguisher, MAC and IP address, which have to be those of the number in the MAC.
//!
//! **A route counts once, however often it comes; a withdrawal, a NOTIFICATION, a foreign or a
//! broken route ends the measurement.**

use crate::reflector::routes;
use crate::site;
use evpn_proto::bgp::wire::HEADER_LENGTH;
use std::io::Read;
use std::net::TcpStream;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

/// Octets read at a time, at most.
const BUFFER: usize = 1 << 20;
const UPDATE: u8 = 2;
const NOTIFICATION: u8 = 3;
const MP_REACH: u8 = 14;
const MP_UNREACH: u8 = 15;
const EXTENDED_LENGTH: u8 = 0x10;
const MAC_IP: u8 = 2;
/// Where a MAC/IP route's parts are in its body (RFC 7432 section 7.2).
const MAC_AT: usize = 23;
/// The body of one with an IPv4 address and one label.
const BODY: usize = 37;

/// What came to one client.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Counts {
    /// Different routes.
    pub(crate) distinct: u32,
    /// Routes that had come before.
    pub(crate) repeated: u64,
    /// UPDATEs with routes.
    pub(crate) updates: u64,
    /// Octets.
    pub(crate) octets: u64,
}

/// Counts by a bit for each number.
struct Tally {
    seen: Vec<u64>,
    routes: u32,
    counts: Counts,
}

impl Tally {
    fn new(routes: u32) -> Self {
        Self { seen: vec![0; routes.div_ceil(64) as usize], routes, counts: Counts::default() }
    }

    fn is_complete(&self) -> bool {
        self.counts.distinct == self.routes
    }

    /// Takes every whole message and tells how many octets they were.
    fn take(&mut self, octets: &[u8]) -> Result<usize, String> {
        let mut rest = octets;
        while let Some(length) = rest.get(16..18).and_then(|l| l.first_chunk()) {
            let length = usize::from(u16::from_be_bytes(*length));
            if length < HEADER_LENGTH {
                return Err(format!("a message of {length} octets"));
            }
            let Some((message, after)) = rest.split_at_checked(length) else { break };
            match message.get(18) {
                Some(&UPDATE) => self.update(message).ok_or("an UPDATE that cannot be read")??,
                Some(&NOTIFICATION) => {
                    return Err(format!("a NOTIFICATION: {:?}", message.get(HEADER_LENGTH..)));
                }
                _ => {}
            }
            rest = after;
        }
        let taken = octets.len() - rest.len();
        self.counts.octets += taken as u64;
        Ok(taken)
    }

    fn update(&mut self, message: &[u8]) -> Option<Result<(), String>> {
        let (withdrawn, rest) = counted(message.get(HEADER_LENGTH..)?)?;
        let (mut attributes, plain) = counted(rest)?;
        if !withdrawn.is_empty() || !plain.is_empty() {
            return Some(Err("IPv4 routes".to_owned()));
        }
        while let [flags, code, rest @ ..] = attributes {
            let (value, rest) = if flags & EXTENDED_LENGTH == 0 {
                let (length, rest) = rest.split_first()?;
                rest.split_at_checked(usize::from(*length))?
            } else {
                counted(rest)?
            };
            match *code {
                MP_REACH => {
                    self.counts.updates += 1;
                    let next_hop = usize::from(*value.get(3)?);
                    if let Err(error) = self.routes(value.get(4 + next_hop + 1..)?)? {
                        return Some(Err(error));
                    }
                }
                // End-of-RIB has nothing behind the family.
                MP_UNREACH if value.len() > 3 => return Some(Err("a withdrawal".to_owned())),
                _ => {}
            }
            attributes = rest;
        }
        Some(Ok(()))
    }

    fn routes(&mut self, mut octets: &[u8]) -> Option<Result<(), String>> {
        while let [kind, length, rest @ ..] = octets {
            let (body, rest) = rest.split_at_checked(usize::from(*length))?;
            if !self.route(*kind, body) {
                return Some(Err(format!(
                    "a route that nobody has sent: type {kind}, {body:02x?}"
                )));
            }
            octets = rest;
        }
        Some(Ok(()))
    }

    /// Counts the route, if it is one of ours.
    fn route(&mut self, kind: u8, body: &[u8]) -> bool {
        if kind != MAC_IP || body.len() != BODY {
            return false;
        }
        let mac = body.get(MAC_AT..).and_then(|b| b.first_chunk());
        let Some(number) = mac.and_then(|mac| site::number(*mac)) else { return false };
        let rd = body.first_chunk() == Some(&routes::rd(number).0);
        let ip = body.get(MAC_AT + 7..).and_then(|b| b.first_chunk());
        if !rd || ip != Some(&routes::host(number).octets()) || number >= self.routes {
            return false;
        }
        let Some(word) = self.seen.get_mut(number as usize / 64) else { return false };
        let bit = 1 << (number % 64);
        if *word & bit == 0 {
            *word |= bit;
            self.counts.distinct += 1;
        } else {
            self.counts.repeated += 1;
        }
        true
    }
}

/// What a length of two octets announces, and what is behind it.
fn counted(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = octets.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// How it went at a sink: when the last route came and what had come by then, or why none will.
pub(crate) type Outcome = Result<(Instant, Counts), String>;

/// Counts until all `routes` are there, tells, and reads on without counting. It waits for
/// `patience` at most where nothing comes.
pub(crate) fn count(
    mut stream: TcpStream,
    routes: u32,
    patience: Duration,
    tell: &SyncSender<Outcome>,
) {
    let limit = |stream: &TcpStream, time| stream.set_read_timeout(time).map_err(|e| e.to_string());
    let outcome = limit(&stream, Some(patience)).and_then(|()| read(&mut stream, routes));
    let alive = outcome.is_ok() && limit(&stream, None).is_ok();
    // Nobody listens any more where another sink has failed.
    tell.send(outcome).ok();
    if alive {
        crate::speaker::discard(stream);
    }
}

fn read(stream: &mut TcpStream, routes: u32) -> Outcome {
    let (mut tally, mut buffer, mut filled) = (Tally::new(routes), vec![0; BUFFER], 0);
    let with_count = |tally: &Tally, error: String| {
        format!("{error}, after {} of {routes} routes", tally.counts.distinct)
    };
    while !tally.is_complete() {
        let room = buffer.get_mut(filled..).unwrap_or_default();
        match stream.read(room) {
            Ok(0) => return Err(with_count(&tally, "the session ended".to_owned())),
            Ok(count) => filled += count,
            Err(error) => return Err(with_count(&tally, error.to_string())),
        }
        let octets = buffer.get(..filled).unwrap_or_default();
        let taken = tally.take(octets).map_err(|e| with_count(&tally, e))?;
        buffer.copy_within(taken..filled, 0);
        filled -= taken;
    }
    Ok((Instant::now(), tally.counts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use evpn_proto::bgp::message::Family;
    use evpn_proto::bgp::wire::{
        AsWidth, EncodeContext, MESSAGE_LENGTH_MAX, encode_end_of_rib, encode_keepalive,
        encode_withdrawals,
    };

    #[test]
    fn a_sink_counts_every_route_of_a_sender_once_wherever_the_stream_is_cut() {
        let stream = routes::updates(1000..4000).expect("encodes");
        let twice = [&stream[..], &encode_keepalive()[..], &stream[..]].concat();
        let mut tally = Tally::new(4000);
        let mut pending = Vec::new();
        for piece in twice.chunks(777) {
            pending.extend_from_slice(piece);
            let taken = tally.take(&pending).expect("reads");
            pending.drain(..taken);
        }
        let Counts { distinct, repeated, updates, octets } = tally.counts;
        assert_eq!((distinct, repeated, updates), (3000, 3000, 60));
        assert_eq!(octets, twice.len() as u64);
        assert!(!tally.is_complete());
    }

    #[test]
    fn what_nobody_has_sent_is_an_error() {
        let stream = routes::updates(0..1000).expect("encodes");
        let first = site::mac(0).0;
        let mac = stream.windows(6).position(|octets| octets == first).expect("the first MAC");
        let (rd, ip) = (mac - MAC_AT, mac + 7);
        for broken in [rd + 5, mac, mac + 5, ip + 3] {
            let mut octets = stream.to_vec();
            octets[broken] ^= 1;
            let error = Tally::new(1000).take(&octets).expect_err("one octet is another");
            assert!(error.contains("nobody has sent"), "{broken}: {error}");
        }
        assert!(Tally::new(1000).take(&stream).is_ok());
        assert!(Tally::new(999).take(&stream).is_err(), "a route beyond their number");
    }

    #[test]
    fn a_withdrawal_is_an_error_and_end_of_rib_is_not() {
        let context = EncodeContext { as_width: AsWidth::Four, length_max: MESSAGE_LENGTH_MAX };
        let mut withdrawal = bytes::BytesMut::new();
        let key = routes::route(7).key;
        encode_withdrawals(std::iter::once(&key), &context, &mut withdrawal).expect("encodes");
        assert_eq!(Tally::new(1000).take(&withdrawal), Err("a withdrawal".to_owned()));
        let end = encode_end_of_rib(Family::EVPN);
        assert_eq!(Tally::new(1000).take(&end), Ok(end.len()));
    }
}
