//! Requests over UDP: each from a socket of its own, so each a new flow.
//!
//! **No flow repeats within [`REPEATS_AFTER`] requests of an address**: ports are taken in turn, not
//! by chance, so that no kernel on the way has seen a request's flow before.

use super::client::SharedTally;
use super::{ANSWER_OCTETS, NUMBER_OCTETS, PORT, site_of};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// The first port that requests come from.
const FIRST_PORT: u16 = 10_000;
/// Requests of one address until a port comes again.
const REPEATS_AFTER: u16 = 50_000;
/// A request that has no answer by then is lost.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long a second answer is looked out for.
const SECOND_ANSWER_WITHIN: Duration = Duration::from_millis(150);

/// One family's requests.
#[derive(Debug)]
pub(super) struct Requester {
    pub(super) service: IpAddr,
    pub(super) sources: Vec<IpAddr>,
    next: u64,
}

impl Requester {
    pub(super) const fn new(service: IpAddr, sources: Vec<IpAddr>) -> Self {
        Self { service, sources, next: 0 }
    }

    /// Where the next request comes from, and its number; none without addresses.
    fn take(&mut self) -> Option<(SocketAddr, u64)> {
        let addresses = u64::try_from(self.sources.len()).ok().filter(|count| *count > 0)?;
        let number = self.next;
        self.next += 1;
        let which = usize::try_from(number % addresses).ok()?;
        let turn = (number / addresses) % u64::from(REPEATS_AFTER);
        let port = FIRST_PORT + u16::try_from(turn).ok()?;
        self.sources.get(which).map(|source| (SocketAddr::new(*source, port), number))
    }

    /// Sends the next request and lets a task of its own wait for the answer.
    pub(super) fn send(&mut self, tally: &SharedTally) {
        let Some((source, number)) = self.take() else { return };
        let service = SocketAddr::new(self.service, PORT);
        let v6 = self.service.is_ipv6();
        match open(source, service).and_then(|socket| post(socket, number)) {
            Ok(socket) => {
                tally.borrow_mut().requests(v6).sent += 1;
                let tally = SharedTally::clone(tally);
                tokio::task::spawn_local(wait(socket, number, v6, tally));
            }
            Err(error) => tally.borrow_mut().unsent(&error),
        }
    }
}

fn open(source: SocketAddr, service: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(source), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.bind(&source.into())?;
    socket.connect(&service.into())?;
    Ok(socket)
}

fn post(socket: Socket, number: u64) -> io::Result<UdpSocket> {
    socket.send(&number.to_be_bytes())?;
    UdpSocket::from_std(socket.into())
}

async fn wait(socket: UdpSocket, number: u64, v6: bool, tally: SharedTally) {
    match timeout(ANSWER_WITHIN, receive(&socket)).await {
        Ok(octets) => {
            let site = site_of(&octets, number);
            let mut tally = tally.borrow_mut();
            let requests = tally.requests(v6);
            match site {
                Some('A') => requests.a += 1,
                Some('B') => requests.b += 1,
                _ => requests.odd += 1,
            }
        }
        Err(_) => tally.borrow_mut().requests(v6).lost += 1,
    }
    if timeout(SECOND_ANSWER_WITHIN, receive(&socket)).await.is_ok() {
        tally.borrow_mut().requests(v6).odd += 1;
    }
}

/// The next datagram. What ICMP says in between is no answer: a router may say so while it learns.
async fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut octets = [0; ANSWER_OCTETS + NUMBER_OCTETS];
    loop {
        if let Ok(count) = socket.recv(&mut octets).await {
            return octets.get(..count).unwrap_or_default().to_vec();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_flow_repeats_before_every_address_has_used_every_port() {
        let sources: Vec<IpAddr> = (1..=3).map(|n| IpAddr::from([192, 0, 2, n])).collect();
        let mut requester = Requester::new(IpAddr::from([198, 51, 100, 10]), sources);
        let count = 3 * usize::from(REPEATS_AFTER);
        let flows: BTreeSet<SocketAddr> =
            (0..count).filter_map(|_| requester.take()).map(|(source, _)| source).collect();
        assert_eq!(flows.len(), count);
        let (again, number) = requester.take().unwrap();
        assert!(flows.contains(&again));
        assert_eq!(number, u64::try_from(count).unwrap());
    }
}
