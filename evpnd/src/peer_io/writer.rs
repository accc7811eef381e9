//! From the engine to a socket, and keepalives while the lease lasts.

use super::{LINGER, Link, ToWriter, transport_error};
use bytes::Bytes;
use evpn_engine::Input;
use evpn_proto::bgp::session::MessageCounts;
use evpn_proto::bgp::wire::encode_keepalive;
use evpn_proto::types::Time;
use std::io;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

/// Sends keepalives without asking, until the engine has not renewed it for too long.
struct Lease {
    interval: Duration,
    until: Time,
    next: Time,
}

pub(super) async fn run(socket: OwnedWriteHalf, link: Link, queue: Receiver<ToWriter>) {
    let mut writer = Writer { socket, link, lease: None };
    if let Err(error) = writer.write(queue).await {
        writer.link.closed(transport_error(&error)).await;
    }
}

struct Writer {
    socket: OwnedWriteHalf,
    link: Link,
    lease: Option<Lease>,
}

impl Writer {
    async fn write(&mut self, mut queue: Receiver<ToWriter>) -> io::Result<()> {
        loop {
            match self.next(&mut queue).await {
                Step::Send(octets) => {
                    self.socket.write_all(&octets).await?;
                    self.written(octets.len(), 0).await;
                }
                Step::Keepalive => {
                    self.socket.write_all(&encode_keepalive()).await?;
                    self.written(0, 1).await;
                }
                Step::Lease { interval, until } => self.lease(interval, until),
                Step::Close => {
                    // A neighbour that does not take the rest in time does without it.
                    return timeout(LINGER, self.socket.shutdown()).await.unwrap_or(Ok(()));
                }
            }
        }
    }

    async fn next(&self, queue: &mut Receiver<ToWriter>) -> Step {
        let Some(lease) = &self.lease else { return Step::from(queue.recv().await) };
        if lease.next > lease.until {
            return Step::from(queue.recv().await);
        }
        match timeout(self.link.clock.until(lease.next), queue.recv()).await {
            Ok(message) => Step::from(message),
            Err(_) => Step::Keepalive,
        }
    }

    fn lease(&mut self, interval: Duration, until: Time) {
        match &mut self.lease {
            Some(lease) => lease.until = until,
            None if interval.is_zero() => {}
            None => {
                let next = self.link.clock.time() + interval;
                self.lease = Some(Lease { interval, until, next });
            }
        }
    }

    async fn written(&mut self, octets: usize, keepalive: u64) {
        let at = self.link.clock.time();
        if let Some(lease) = self.lease.as_mut().filter(|_| keepalive > 0) {
            lease.next = at + lease.interval;
        }
        let messages = MessageCounts { keepalive, ..MessageCounts::default() };
        let (peer, connection) = (self.link.peer, self.link.connection);
        let input = Input::Written { peer, connection, octets, messages, at };
        self.link.engine.input(input).await;
    }
}

enum Step {
    Send(Bytes),
    Keepalive,
    Lease { interval: Duration, until: Time },
    Close,
}

impl From<Option<ToWriter>> for Step {
    fn from(message: Option<ToWriter>) -> Self {
        match message {
            Some(ToWriter::Send(octets)) => Self::Send(octets),
            Some(ToWriter::Lease { interval, until }) => Self::Lease { interval, until },
            Some(ToWriter::Close) | None => Self::Close,
        }
    }
}
