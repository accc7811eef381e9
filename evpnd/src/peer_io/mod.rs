//! Sockets of neighbours: listening, dialling, and two tasks for each connection.
//!
//! ```text
//!  listener ──Accepted──► engine ──Adopted/Refused──┐
//!  engine ──Connect──► dial task ──Connected──► engine
//!                                                   ▼
//!  socket ─► reader: frame, decode, stamp ─(permit for the octets)─► engine
//!  engine ─► writer: octets, and keepalives under the lease ─► socket ─Written─► engine
//! ```
//!
//! - A reader holds at most [`PEER_READ_OCTETS_MAX`] octets that the engine has not dealt with, as
//!   they came or as they were read, whichever is more; then it stops reading, and TCP slows the
//!   neighbour down.
//! - After an OPEN a reader waits until the engine says how to read on.
//! - A writer's queue holds at most [`WRITER_QUEUE_MAX`] pieces; the engine's window keeps it far
//!   below, and a connection that overflows it is closed.
//!
//! **A task owns a socket and nothing else; what a message means is decided in the engine.**

mod dial;
pub(crate) mod guard;
mod listen;
mod reader;
pub(crate) mod targets;
mod writer;

pub(crate) use listen::{Listener, ListenerState};
pub(crate) use targets::Target;

use crate::clock::Clock;
use crate::engine_io::EngineHandle;
use bytes::Bytes;
use evpn_dataplane::object::IfIndex;
use evpn_engine::{Input, Output};
use evpn_proto::bgp::session::{ConnectionId, TransportError};
use evpn_proto::bgp::wire::DecodeContext;
use evpn_proto::types::{NeighborId, Time};
use evpn_rib::PeerIdx;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Octets of a neighbour that may wait for the engine.
pub(crate) const PEER_READ_OCTETS_MAX: usize = 1 << 20;
/// Pieces that may wait for a socket.
pub(crate) const WRITER_QUEUE_MAX: usize = 8192;
/// How long connections may take to end with the daemon.
pub(crate) const PARTING: Duration = Duration::from_millis(200);
/// How long a closed connection may take to send what it was given.
pub(crate) const LINGER: Duration = Duration::from_secs(2);

/// What a writer is told.
pub(crate) enum ToWriter {
    Send(Bytes),
    /// From now on keepalives go out at this interval, for as long as the lease holds.
    Keepalives(Duration),
    Close,
}

/// Until when a writer may send keepalives without asking. The engine's thread renews it, which
/// wakes nobody.
#[derive(Debug, Default)]
pub(crate) struct Lease(AtomicU64);

impl Lease {
    fn renew(&self, until: Time) {
        self.0.store(until.as_nanos(), Ordering::Relaxed);
    }

    fn holds(&self, at: Time) -> bool {
        at.as_nanos() <= self.0.load(Ordering::Relaxed)
    }
}

struct Connection {
    writer: mpsc::Sender<ToWriter>,
    lease: Arc<Lease>,
    /// Whether the writer has been told to send keepalives.
    keeps_alive: bool,
    context: Option<oneshot::Sender<DecodeContext>>,
    tasks: [JoinHandle<()>; 2],
}

type Key = (PeerIdx, ConnectionId);

/// How each neighbour is reached; whoever listens hears of changes.
pub(crate) type Targets = Arc<watch::Sender<targets::Table>>;

/// Connections that were accepted and wait for the engine's word.
pub(crate) type Accepted = Arc<Mutex<HashMap<u64, TcpStream>>>;

/// The engine's way to its neighbours. Never blocks.
pub(crate) struct ToPeers {
    runtime: tokio::runtime::Handle,
    engine: EngineHandle,
    clock: Clock,
    accepted: Accepted,
    targets: Targets,
    dials: HashMap<Key, JoinHandle<()>>,
    /// A place for each dial until it is adopted or given up; none in it while it is under way.
    dialled: Arc<Mutex<HashMap<Key, Option<TcpStream>>>>,
    connections: HashMap<Key, Connection>,
}

/// What tasks need to talk to the engine.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) engine: EngineHandle,
    pub(crate) clock: Clock,
    pub(crate) peer: PeerIdx,
    pub(crate) connection: ConnectionId,
}

impl Link {
    pub(crate) async fn closed(&self, error: TransportError) {
        let (peer, connection) = (self.peer, self.connection);
        self.engine.input(Input::Closed { peer, connection, error }).await;
    }
}

impl ToPeers {
    pub(crate) fn new(
        runtime: tokio::runtime::Handle,
        engine: EngineHandle,
        clock: Clock,
        accepted: Accepted,
        targets: Targets,
    ) -> Self {
        Self {
            runtime,
            engine,
            clock,
            accepted,
            targets,
            dials: HashMap::new(),
            dialled: Arc::default(),
            connections: HashMap::new(),
        }
    }

    /// Carries out what the engine wants of a neighbour.
    pub(crate) fn output(&mut self, output: Output) {
        match output {
            Output::Connect { peer, connection, neighbor, address, device } => {
                self.dial((peer, connection), &neighbor, (address, device));
            }
            Output::Located { interface, remote } => {
                self.targets.send_if_modified(|known| known.locate(interface, remote));
            }
            Output::Adopted { serial, peer, connection } => {
                let stream = lock(&self.accepted).remove(&serial);
                if let Some(stream) = stream {
                    self.start((peer, connection), stream);
                }
            }
            Output::Refused { serial } => drop(lock(&self.accepted).remove(&serial)),
            Output::Send { peer, connection, octets } => {
                self.tell((peer, connection), ToWriter::Send(octets));
            }
            Output::Lease { peer, connection, interval, until } => {
                self.renew_lease((peer, connection), interval, until);
            }
            Output::Negotiated { peer, connection, context } => {
                let found = self.connections.get_mut(&(peer, connection));
                if let Some(sender) = found.and_then(|c| c.context.take()) {
                    // A reader that is gone has reported its end itself.
                    drop(sender.send(context));
                }
            }
            Output::Close { peer, connection } => self.close((peer, connection)),
            Output::Dataplane(_)
            | Output::Command(_)
            | Output::Serve(_)
            | Output::Advertise(_)
            | Output::Mode(_)
            | Output::Persist(_)
            | Output::Event(_) => {}
        }
    }

    fn dial(
        &mut self,
        (peer, connection): Key,
        neighbor: &NeighborId,
        (address, device): (IpAddr, Option<IfIndex>),
    ) {
        let target = self.targets.borrow().neighbors.get(neighbor).cloned();
        let Some(target) = target else { return };
        let remote = match (address, device) {
            (IpAddr::V6(v6), Some(device)) => {
                SocketAddrV6::new(v6, target.port, 0, device.0).into()
            }
            _ => SocketAddr::new(address, target.port),
        };
        let link = self.link((peer, connection));
        let dialled = Arc::clone(&self.dialled);
        lock(&dialled).insert((peer, connection), None);
        let task = self.runtime.spawn(async move {
            match dial::dial(remote, &target).await {
                Ok((stream, local, remote)) => {
                    let place = |place: &mut Option<TcpStream>| *place = Some(stream);
                    let is_wanted =
                        lock(&dialled).get_mut(&(peer, connection)).map(place).is_some();
                    if !is_wanted {
                        // Closed while it came about: an abort does not stop what is running.
                        return;
                    }
                    let input = Input::Connected { peer, connection, local, remote };
                    link.engine.input(input).await;
                }
                Err(error) => {
                    lock(&dialled).remove(&(peer, connection));
                    link.engine.input(Input::ConnectFailed { peer, connection, error }).await;
                }
            }
        });
        // Those that failed are of no more use, and nobody says so.
        self.dials.retain(|_, task| !task.is_finished());
        self.dials.insert((peer, connection), task);
    }

    fn link(&self, (peer, connection): Key) -> Link {
        Link { engine: self.engine.clone(), clock: self.clock, peer, connection }
    }

    fn tell(&mut self, key: Key, message: ToWriter) {
        self.dials.remove(&key);
        // The first word on a dialled connection brings its tasks to life.
        let dialled = lock(&self.dialled).remove(&key).flatten();
        if let Some(stream) = dialled {
            self.start(key, stream);
        }
        let Some(connection) = self.connections.get(&key) else { return };
        if connection.writer.try_send(message).is_err() {
            self.abandon(key);
        }
    }

    /// The interval is agreed on once for a connection, so only the first lease has to be told.
    fn renew_lease(&mut self, key: Key, interval: Duration, until: Time) {
        let Some(connection) = self.connections.get_mut(&key) else { return };
        connection.lease.renew(until);
        let told = std::mem::replace(&mut connection.keeps_alive, true);
        if !told && !interval.is_zero() {
            self.tell(key, ToWriter::Keepalives(interval));
        }
    }

    fn start(&mut self, key: Key, stream: TcpStream) {
        let (read, write) = stream.into_split();
        let (writer, queue) = mpsc::channel(WRITER_QUEUE_MAX);
        let (context, context_known) = oneshot::channel();
        let budget = Arc::new(Semaphore::new(PEER_READ_OCTETS_MAX));
        let reading = reader::run(read, self.link(key), budget, context_known);
        let lease = Arc::new(Lease::default());
        let writing = writer::run(write, self.link(key), Arc::clone(&lease), queue);
        let tasks = [self.runtime.spawn(reading), self.runtime.spawn(writing)];
        let (context, keeps_alive) = (Some(context), false);
        self.connections.insert(key, Connection { writer, lease, keeps_alive, context, tasks });
    }

    fn close(&mut self, key: Key) {
        if let Some(dial) = self.dials.remove(&key) {
            dial.abort();
        }
        lock(&self.dialled).remove(&key);
        let Some(connection) = self.connections.remove(&key) else { return };
        let [reading, writing] = connection.tasks;
        reading.abort();
        if connection.writer.try_send(ToWriter::Close).is_err() {
            writing.abort();
            return;
        }
        // A neighbour that does not take the rest in time does without it.
        self.runtime.spawn(async move {
            let given_up = writing.abort_handle();
            if timeout(LINGER, writing).await.is_err() {
                given_up.abort();
            }
        });
    }

    /// The neighbour does not take what it is sent, or its task is gone.
    fn abandon(&mut self, key: Key) {
        let Some(connection) = self.connections.remove(&key) else { return };
        for task in &connection.tasks {
            task.abort();
        }
        let link = self.link(key);
        let error = TransportError::Other("the connection takes no more octets".to_owned());
        self.runtime.spawn(async move { link.closed(error).await });
    }

    /// Ends every connection once what was sent has left.
    pub(crate) fn stop(&mut self) {
        let keys: Vec<Key> = self.connections.keys().copied().collect();
        for key in keys {
            self.close(key);
        }
    }
}

/// A lock whose holder panicked still holds what it held: nothing is left half done under these.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A socket's error in the session's words.
pub(crate) fn transport_error(error: &io::Error) -> TransportError {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => TransportError::Refused,
        io::ErrorKind::TimedOut => TransportError::TimedOut,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            TransportError::Unreachable
        }
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => TransportError::Reset,
        io::ErrorKind::UnexpectedEof => TransportError::Closed,
        _ => TransportError::Other(error.to_string()),
    }
}
