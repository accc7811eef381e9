//! From the engine to a socket, and keepalives while the lease lasts.

use super::{Lease, Link, ToWriter, transport_error};
use crate::timer::Timer;
use bytes::Bytes;
use evpn_engine::Input;
use evpn_proto::bgp::session::MessageCounts;
use evpn_proto::bgp::wire::encode_keepalive;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::mpsc::Receiver;

/// When to send keepalives.
struct Keepalives {
    interval: Duration,
    timer: Timer,
}

pub(super) async fn run(
    socket: OwnedWriteHalf,
    link: Link,
    lease: Arc<Lease>,
    queue: Receiver<ToWriter>,
) {
    let mut writer = Writer { socket, link, lease, keepalives: None };
    if let Err(error) = writer.write(queue).await {
        writer.link.closed(transport_error(&error)).await;
    }
}

struct Writer {
    socket: OwnedWriteHalf,
    link: Link,
    lease: Arc<Lease>,
    keepalives: Option<Keepalives>,
}

impl Writer {
    async fn write(&mut self, mut queue: Receiver<ToWriter>) -> io::Result<()> {
        loop {
            match self.next(&mut queue).await? {
                Step::Send(octets) => {
                    self.socket.write_all(&octets).await?;
                    self.written(octets.len(), 0).await;
                }
                Step::Keepalive => self.keepalive().await?,
                Step::Keepalives(interval) => self.begin(interval)?,
                Step::Close => return self.socket.shutdown().await,
            }
        }
    }

    async fn next(&self, queue: &mut Receiver<ToWriter>) -> io::Result<Step> {
        let Some(keepalives) = &self.keepalives else { return Ok(Step::from(queue.recv().await)) };
        tokio::select! {
            biased;
            expired = keepalives.timer.expired() => expired.map(|()| Step::Keepalive),
            message = queue.recv() => Ok(Step::from(message)),
        }
    }

    fn begin(&mut self, interval: Duration) -> io::Result<()> {
        let timer = Timer::new()?;
        timer.set(interval)?;
        self.keepalives = Some(Keepalives { interval, timer });
        Ok(())
    }

    /// An engine that has not renewed the lease is not alive, and the neighbour is not told that it
    /// were.
    async fn keepalive(&mut self) -> io::Result<()> {
        if self.lease.holds(self.link.clock.time()) {
            self.socket.write_all(&encode_keepalive()).await?;
            self.written(0, 1).await;
        }
        let Some(Keepalives { interval, timer }) = &self.keepalives else { return Ok(()) };
        timer.set(*interval)
    }

    async fn written(&self, octets: usize, keepalive: u64) {
        let at = self.link.clock.time();
        let messages = MessageCounts { keepalive, ..MessageCounts::default() };
        let (peer, connection) = (self.link.peer, self.link.connection);
        let input = Input::Written { peer, connection, octets, messages, at };
        self.link.engine.input(input).await;
    }
}

enum Step {
    Send(Bytes),
    Keepalive,
    Keepalives(Duration),
    Close,
}

impl From<Option<ToWriter>> for Step {
    fn from(message: Option<ToWriter>) -> Self {
        match message {
            Some(ToWriter::Send(octets)) => Self::Send(octets),
            Some(ToWriter::Keepalives(interval)) => Self::Keepalives(interval),
            Some(ToWriter::Close) | None => Self::Close,
        }
    }
}
