//! From a socket to the engine: whole messages, decoded, stamped and paid for by the octets that
//! they take here.

use super::{Link, PEER_READ_OCTETS_MAX, transport_error};
use bytes::{Buf, Bytes, BytesMut};
use evpn_engine::Input;
use evpn_proto::bgp::message::{Message, Notification};
use evpn_proto::bgp::session::TransportError;
use evpn_proto::bgp::wire::{self, DecodeContext};
use evpn_proto::types::{Route, RouteKey};
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::{Semaphore, oneshot};

/// Octets read at a time.
const READ_OCTETS: usize = 64 * 1024;

/// Why reading ends.
enum End {
    /// The connection is gone.
    Transport(TransportError),
    /// The neighbour sent what cannot be read on from.
    Malformed(Notification),
    /// The engine has no use for what comes.
    Unwanted,
}

pub(super) async fn run(
    mut socket: OwnedReadHalf,
    link: Link,
    budget: Arc<Semaphore>,
    context_known: oneshot::Receiver<DecodeContext>,
) {
    let (peer, connection) = (link.peer, link.connection);
    let mut reader = Reader {
        link: &link,
        budget,
        context: DecodeContext::INITIAL,
        context_known: Some(context_known),
        buffer: BytesMut::new(),
    };
    match reader.read(&mut socket).await {
        End::Transport(error) => link.closed(error).await,
        End::Malformed(notification) => {
            let input = Input::Malformed { peer, connection, notification };
            link.engine.input(input).await;
        }
        End::Unwanted => {}
    }
}

struct Reader<'a> {
    link: &'a Link,
    budget: Arc<Semaphore>,
    context: DecodeContext,
    context_known: Option<oneshot::Receiver<DecodeContext>>,
    buffer: BytesMut,
}

impl Reader<'_> {
    async fn read(&mut self, socket: &mut OwnedReadHalf) -> End {
        loop {
            self.buffer.reserve(READ_OCTETS);
            match socket.read_buf(&mut self.buffer).await {
                Ok(0) => return End::Transport(TransportError::Closed),
                Ok(_) => {}
                Err(error) => return End::Transport(transport_error(&error)),
            }
            if let Err(end) = self.take_messages().await {
                return end;
            }
        }
    }

    /// Hands on every whole message in the buffer.
    async fn take_messages(&mut self) -> Result<(), End> {
        let at = self.link.clock.time();
        loop {
            let frame =
                wire::frame(&self.buffer, self.context.length_max).map_err(End::Malformed)?;
            let Some(frame) = frame else { return Ok(()) };
            let octets = self.buffer.split_to(frame.length).freeze();
            let message = self.decode(octets)?;
            let is_open = matches!(message, Message::Open(_));
            let cost = cost(frame.length, &message);
            let permit = Arc::clone(&self.budget).acquire_many_owned(cost).await;
            let permit = permit.map_err(|_| End::Unwanted)?;
            let (peer, connection) = (self.link.peer, self.link.connection);
            let message = Box::new(message);
            let input = Input::Received { peer, connection, message, at };
            self.link.engine.read(input, permit).await;
            if is_open {
                self.await_context().await?;
            }
            if !self.buffer.has_remaining() {
                return Ok(());
            }
        }
    }

    fn decode(&self, octets: Bytes) -> Result<Message, End> {
        wire::decode(&octets, &self.context).map_err(End::Malformed)
    }

    /// What comes after an OPEN is read as both sides agreed, which only the engine knows.
    async fn await_context(&mut self) -> Result<(), End> {
        let Some(known) = self.context_known.take() else { return Ok(()) };
        self.context = known.await.map_err(|_| End::Unwanted)?;
        Ok(())
    }
}

/// What a message takes in memory, at most all that there is: a prefix can be a single octet on the
/// wire, and a message of such is many times as long when it has been read.
fn cost(length: usize, message: &Message) -> u32 {
    let routes = match message {
        Message::Update(update) => {
            let classic = update.classic.as_ref().map_or(0, |classic| classic.announced.len());
            let announced = update.announced.len().saturating_add(classic);
            let withdrawn = update.withdrawn.len().saturating_mul(size_of::<RouteKey>());
            announced.saturating_mul(size_of::<Route>()).saturating_add(withdrawn)
        }
        _ => 0,
    };
    u32::try_from(length.max(routes).min(PEER_READ_OCTETS_MAX)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use evpn_proto::bgp::wire::FamilySet;
    use evpn_proto::types::Family;

    #[test]
    fn a_message_costs_what_it_takes_in_memory_and_never_more_than_there_is() {
        let families: FamilySet = [Family::IPV4_UNICAST].into_iter().collect();
        let length_max = usize::from(u16::MAX);
        let context = DecodeContext { families, length_max, ..DecodeContext::INITIAL };
        // Default routes, withdrawn, of an octet each.
        let read = |count: u16| {
            let length = (23 + count).to_be_bytes();
            let withdrawn = vec![0; count.into()];
            let head = [&[0xff; 16][..], &length, &[2], &count.to_be_bytes()].concat();
            let octets = [head, withdrawn, vec![0, 0]].concat();
            (octets.len(), wire::decode(&octets, &context).unwrap())
        };
        let (length, message) = read(4000);
        assert_eq!(usize::try_from(cost(length, &message)).unwrap(), 4000 * size_of::<RouteKey>());
        let (length, message) = read(60_000);
        assert_eq!(usize::try_from(cost(length, &message)).unwrap(), PEER_READ_OCTETS_MAX);
        assert_eq!(cost(19, &Message::Keepalive), 19);
    }
}
