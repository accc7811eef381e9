//! TCP sessions: each says a number, hears it again, and says the next one.
//!
//! A slot holds one session at a time and follows it with a new one. **A session is broken if a
//! word of it has no answer within [`ANSWER_WITHIN`], or another one than was due, or its
//! connection ends early**; an end that it asked for itself is none.

use super::client::SharedTally;
use super::tally::{Broken, Kind};
use super::{ANSWER_OCTETS, PORT, site_of};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};

/// How long a word's answer, a connection and an orderly end may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// Between the words of a busy session.
const BUSY_GAP: Duration = Duration::from_millis(100);
/// Between a broken session and the next one.
const AFTER_BREAK: Duration = Duration::from_millis(500);

/// The life that sessions of a slot lead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    pub(super) kind: Kind,
    /// Longest pause between two words.
    pub(super) pause: Duration,
    /// Longest life; endless ones have none.
    pub(super) life: Option<Duration>,
}

/// A slot.
pub(super) struct Slot {
    pub(super) service: IpAddr,
    pub(super) sources: Vec<IpAddr>,
    pub(super) life: Life,
    pub(super) chance: Chance,
}

/// What breaks a session.
#[derive(Debug)]
struct Break {
    site: Option<char>,
    why: String,
}

impl Slot {
    /// One session after the other, for ever.
    pub(super) async fn run(mut self, tally: SharedTally) {
        // Not all at once.
        sleep(self.chance.up_to(Duration::from_secs(1))).await;
        loop {
            let begun = Instant::now();
            tally.borrow_mut().sessions(self.life.kind).begun += 1;
            let outcome = self.session(begun, &tally).await;
            match outcome {
                Ok(()) => tally.borrow_mut().sessions(self.life.kind).ended += 1,
                Err(Break { site, why }) => {
                    let age = begun.elapsed();
                    tally.borrow_mut().broken(age, |at_ms, age_ms| {
                        let family = if self.service.is_ipv6() { 6 } else { 4 };
                        Broken { kind: self.life.kind, family, site, at_ms, age_ms, why }
                    });
                    sleep(AFTER_BREAK).await;
                }
            }
        }
    }

    async fn session(&mut self, begun: Instant, tally: &SharedTally) -> Result<(), Break> {
        let early = |error: io::Error| Break { site: None, why: error.to_string() };
        let service = SocketAddr::new(self.service, PORT);
        let source = self.chance.one_of(&self.sources);
        let connection = timeout(ANSWER_WITHIN, connect(source, service)).await;
        let late = || Break { site: None, why: "no connection".to_owned() };
        let mut connection = connection.map_err(|_| late())?.map_err(early)?;
        // At least a quarter of the longest life, so that many are alive at any moment.
        let until = self.life.life.map(|life| {
            let rest = life.saturating_sub(self.life.pause);
            begun + rest / 4 + self.chance.up_to(rest * 3 / 4)
        });
        let mut at = None;
        let outcome = self.talk(&mut connection, until, &mut at, tally).await;
        if let Some(site) = at {
            tally.borrow_mut().leaves(self.life.kind, site);
        }
        outcome.map_err(|why| Break { site: at, why })
    }

    async fn talk(
        &mut self,
        connection: &mut TcpStream,
        until: Option<Instant>,
        at: &mut Option<char>,
        tally: &SharedTally,
    ) -> Result<(), String> {
        for number in 0u64.. {
            if until.is_some_and(|until| Instant::now() >= until) {
                break;
            }
            let heard = timeout(ANSWER_WITHIN, exchange(connection, number)).await;
            let octets = heard.map_err(|_| "no answer")?.map_err(|error| error.to_string())?;
            let site = site_of(&octets, number).ok_or("another answer than was due")?;
            if at.is_none() {
                *at = Some(site);
                tally.borrow_mut().arrives(self.life.kind, site);
            }
            if *at != Some(site) {
                return Err(format!("answered by site {site} all of a sudden"));
            }
            sleep(self.pause()).await;
        }
        match timeout(ANSWER_WITHIN, end(connection)).await {
            Ok(ended) => ended.map_err(|error| error.to_string()),
            Err(_) => Err("no answer to its end".to_owned()),
        }
    }

    fn pause(&mut self) -> Duration {
        match self.life.kind {
            Kind::Busy => BUSY_GAP,
            Kind::Pausing | Kind::Endless => self.chance.up_to(self.life.pause).max(BUSY_GAP),
        }
    }
}

async fn connect(source: Option<IpAddr>, service: SocketAddr) -> io::Result<TcpStream> {
    let socket = if service.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }?;
    if let Some(source) = source {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    let connection = socket.connect(service).await?;
    connection.set_nodelay(true)?;
    Ok(connection)
}

async fn exchange(connection: &mut TcpStream, number: u64) -> io::Result<[u8; ANSWER_OCTETS]> {
    connection.write_all(&number.to_be_bytes()).await?;
    let mut octets = [0; ANSWER_OCTETS];
    connection.read_exact(&mut octets).await?;
    Ok(octets)
}

/// Says that nothing follows and waits until the other end says so too.
async fn end(connection: &mut TcpStream) -> io::Result<()> {
    connection.shutdown().await?;
    match connection.read(&mut [0; 1]).await? {
        0 => Ok(()),
        _ => Err(io::Error::other("an answer to nothing")),
    }
}

/// A sequence of numbers that looks like chance and is the same in every run (xorshift64*).
#[derive(Clone, Copy, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) const fn new(seed: u64) -> Self {
        // The state must not be zero.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.next() % most.max(1))
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        let count = u64::try_from(choices.len()).ok().filter(|count| *count > 0)?;
        choices.get(usize::try_from(self.next() % count).ok()?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_stays_within_bounds_and_reaches_both_ends() {
        let mut chance = Chance::new(3);
        let most = Duration::from_millis(1000);
        let drawn: Vec<Duration> = (0..1000).map(|_| chance.up_to(most)).collect();
        assert!(drawn.iter().all(|d| *d < most));
        assert!(drawn.iter().any(|d| *d < most / 20));
        assert!(drawn.iter().any(|d| *d > most * 19 / 20));
        assert_eq!(chance.one_of::<u8>(&[]), None);
    }
}
