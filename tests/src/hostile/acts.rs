//! What a hostile neighbour does, one thing at a time.

use super::random::Random;
use super::speaker::{Connection, Ears, open};
use super::{Deeds, Target, corpus};
use crate::wait::pause;
use evpn_proto::bgp::message::{Family, RouteRefresh};
use evpn_proto::bgp::wire::{encode_keepalive, encode_route_refresh};
use std::io;
use std::time::{Duration, Instant};

/// Mutated messages of one session, if it lasts.
const MUTATIONS: usize = 400;
/// Routes of a flood.
const FLOOD: u32 = 20_000;
/// How long a slow reader keeps from reading.
const SLOW: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Act {
    /// A session that is let in, then messages that are wrong.
    Mutate,
    /// A session that announces as fast as it can, and breaks off.
    Flood,
    /// A session that asks for everything and takes nothing.
    SlowRead,
    /// A connection that says nothing, or half an OPEN.
    HalfOpen,
    /// Two connections at once.
    Collide,
    /// A reset at some point of a session's life.
    Reset,
    /// An OPEN that is wrong.
    WrongOpen,
    /// Octets that are no BGP.
    Garbage,
}

impl Act {
    pub(super) const ALL: [Self; 8] = [
        Self::Mutate,
        Self::Flood,
        Self::SlowRead,
        Self::HalfOpen,
        Self::Collide,
        Self::Reset,
        Self::WrongOpen,
        Self::Garbage,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Mutate => "mutated",
            Self::Flood => "flooded",
            Self::SlowRead => "read slowly",
            Self::HalfOpen => "left half open",
            Self::Collide => "collided",
            Self::Reset => "reset",
            Self::WrongOpen => "opened wrongly",
            Self::Garbage => "garbage",
        }
    }

    /// Does it. Whatever ends it early is the other side's right.
    pub(super) fn carry_out(
        self,
        target: Target,
        random: &mut Random,
        deeds: &mut Deeds,
        end: Instant,
    ) {
        let outcome = match self {
            Self::Mutate => mutate(target, random, deeds, end),
            Self::Flood => flood(target, random, deeds),
            Self::SlowRead => slow_read(target, deeds, end),
            Self::HalfOpen => half_open(target, random, deeds),
            Self::Collide => collide(target, random, deeds),
            Self::Reset => reset(target, random, deeds),
            Self::WrongOpen => wrong_open(target, random, deeds),
            Self::Garbage => garbage(target, random, deeds),
        };
        if outcome.is_err() {
            // It may be keeping us out for a while.
            pause(Duration::from_millis(20));
        }
    }
}

fn mutate(target: Target, random: &mut Random, deeds: &mut Deeds, end: Instant) -> io::Result<()> {
    let mut connection = Connection::establish(target, Ears::Open, deeds)?;
    for _ in 0..MUTATIONS {
        if Instant::now() > end || !connection.is_open() {
            break;
        }
        let message = corpus::message(target.own_asn, target.from, random);
        let message = if random.once_in(5) { message } else { corpus::mutated(message, random) };
        connection.say(&message, deeds)?;
        if random.once_in(10) {
            connection.say(&encode_keepalive(), deeds)?;
        }
    }
    Ok(())
}

fn flood(target: Target, random: &mut Random, deeds: &mut Deeds) -> io::Result<()> {
    let mut connection = Connection::establish(target, Ears::Open, deeds)?;
    let octets = corpus::announcements(target.own_asn, target.from, FLOOD, random);
    let sent = octets.len() / 2 + random.below(octets.len() / 2);
    connection.say(&octets[..sent], deeds)?;
    if random.once_in(2) {
        connection.reset();
    }
    Ok(())
}

fn slow_read(target: Target, deeds: &mut Deeds, end: Instant) -> io::Result<()> {
    let mut connection = Connection::establish(target, Ears::Shut, deeds)?;
    let refresh = encode_route_refresh(&RouteRefresh { family: Family::EVPN, subtype: 0 });
    let until = end.min(Instant::now() + SLOW);
    while Instant::now() < until {
        for _ in 0..50 {
            connection.say(&refresh, deeds)?;
        }
        connection.say(&encode_keepalive(), deeds)?;
        pause(Duration::from_millis(5));
    }
    Ok(())
}

fn half_open(target: Target, random: &mut Random, deeds: &mut Deeds) -> io::Result<()> {
    let mut connections = Vec::new();
    for _ in 0..1 + random.below(20) {
        let mut connection = Connection::dial(target, Ears::Open)?;
        let open = open(target);
        let part = random.below(open.len());
        connection.say(&open[..part], deeds)?;
        connections.push(connection);
    }
    pause(Duration::from_millis(u64::from(random.octet())));
    Ok(())
}

fn collide(target: Target, random: &mut Random, deeds: &mut Deeds) -> io::Result<()> {
    let mut first = Connection::dial(target, Ears::Open)?;
    let mut second = Connection::dial(target, Ears::Open)?;
    let open = open(target);
    let (one, other) =
        if random.once_in(2) { (&mut first, &mut second) } else { (&mut second, &mut first) };
    one.say(&open, deeds)?;
    other.say(&open, deeds)?;
    one.say(&encode_keepalive(), deeds)?;
    other.say(&encode_keepalive(), deeds)?;
    pause(Duration::from_millis(u64::from(random.octet() / 4)));
    one.say(&corpus::message(target.own_asn, target.from, random), deeds)
}

fn reset(target: Target, random: &mut Random, deeds: &mut Deeds) -> io::Result<()> {
    let stage = random.below(6);
    let mut connection = Connection::dial(target, Ears::Open)?;
    if stage > 0 {
        connection.say(&open(target), deeds)?;
    }
    if stage > 1 {
        connection.hear(1)?;
    }
    if stage > 2 {
        connection.say(&encode_keepalive(), deeds)?;
    }
    if stage > 3 {
        connection.hear(4)?;
        deeds.established += 1;
    }
    if stage > 4 {
        let message = corpus::message(target.own_asn, target.from, random);
        connection.say(&message[..random.below(message.len())], deeds)?;
    }
    connection.reset();
    Ok(())
}

fn wrong_open(target: Target, random: &mut Random, deeds: &mut Deeds) -> io::Result<()> {
    let mut connection = Connection::dial(target, Ears::Open)?;
    connection.say(&corpus::mutated(open(target), random), deeds)?;
    connection.say(&encode_keepalive(), deeds)?;
    pause(Duration::from_millis(10));
    connection.say(&corpus::message(target.own_asn, target.from, random), deeds)
}

fn garbage(target: Target, random: &mut Random, deeds: &mut Deeds) -> io::Result<()> {
    let mut connection = Connection::dial(target, Ears::Open)?;
    if random.once_in(2) {
        connection.say(&open(target), deeds)?;
    }
    connection.say(&corpus::garbage(random), deeds)
}
