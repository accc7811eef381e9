//! Listening for neighbours that dial us.
//!
//! A port that cannot be had is tried again and again, with its reason shown: sessions that we dial
//! work without it, so it is no reason to stop.

use super::guard::{self, Key, Signed};
use super::targets::Table;
use super::{Accepted, Targets, lock};
use crate::engine_io::EngineHandle;
use evpn_engine::Input;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Connections that may wait for the engine's word.
const ACCEPTED_MAX: usize = 256;
/// Connections that may wait for us.
const BACKLOG: i32 = 128;
/// How long to wait before a port is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// Which addresses are listened on; each with the reason if it is not.
pub(crate) type ListenerState = Arc<Mutex<BTreeMap<SocketAddr, Result<(), String>>>>;

/// What listening needs.
#[derive(Clone)]
pub(crate) struct Listener {
    pub(crate) engine: EngineHandle,
    pub(crate) accepted: Accepted,
    pub(crate) serials: Arc<AtomicU64>,
    pub(crate) state: ListenerState,
    pub(crate) targets: Targets,
}

impl Listener {
    /// Listens on the address for ever.
    pub(crate) async fn run(self, address: SocketAddr) {
        loop {
            match open(address) {
                Ok(listener) => {
                    self.report(address, Ok(()));
                    let error = self.accept(listener).await;
                    self.report(address, Err(format!("stopped: {error}")));
                }
                Err(error) => self.report(address, Err(explain(address, &error))),
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Whether a connection is as its neighbour's settings ask; a stranger's is for the engine.
    fn is_guarded(&self, stream: &TcpStream, remote: SocketAddr) -> bool {
        let targets = self.targets.borrow();
        let Some(target) = targets.of(remote) else { return true };
        let socket = SockRef::from(stream);
        let guarded = guard::set_distance(&socket, remote, target);
        if let Err(error) = &guarded {
            tracing::warn!(peer = %remote.ip(), "its connection is refused: {error}");
        }
        guarded.is_ok()
    }

    fn report(&self, address: SocketAddr, result: Result<(), String>) {
        let former = lock(&self.state).insert(address, result.clone());
        match &result {
            _ if former.as_ref() == Some(&result) => {}
            Ok(()) => tracing::info!(%address, "listening"),
            Err(why) => tracing::error!(%address, "{why}"),
        }
    }

    async fn accept(&self, listener: TcpListener) -> io::Error {
        let mut targets = self.targets.subscribe();
        let mut signed = BTreeSet::new();
        targets.mark_changed();
        loop {
            let accepted = tokio::select! {
                // The sender is ours too: it is never gone.
                _ = targets.changed() => {
                    sign(&listener, &mut signed, &targets.borrow_and_update());
                    continue;
                }
                accepted = listener.accept() => accepted,
            };
            let (stream, remote) = match accepted {
                Ok(accepted) => accepted,
                Err(error) if passes(&error) => continue,
                Err(error) => return error,
            };
            let Ok(local) = stream.local_addr() else { continue };
            // NODELAY fails on a connection that is gone already.
            drop(stream.set_nodelay(true));
            if !self.is_guarded(&stream, remote) {
                continue;
            }
            let serial = self.serials.fetch_add(1, Ordering::Relaxed);
            {
                let mut accepted = lock(&self.accepted);
                if accepted.len() >= ACCEPTED_MAX {
                    continue;
                }
                accepted.insert(serial, stream);
            }
            self.engine.input(Input::Accepted { serial, local, remote }).await;
        }
    }
}

/// Has the kernel ask every neighbour with a key for it, and no others.
fn sign(listener: &TcpListener, signed: &mut BTreeSet<Signed>, targets: &Table) {
    let family = |whom: &Signed| match listener.local_addr() {
        Ok(own) => own.is_ipv4() == whom.address().is_ipv4(),
        Err(_) => false,
    };
    let former = signed.iter().map(|whom| (*whom, None));
    let wanted = targets.keys().into_iter().map(|(whom, key)| (whom, Some(key)));
    let keys: BTreeMap<Signed, Option<&Key>> =
        former.chain(wanted).filter(|(whom, _)| family(whom)).collect();
    for (whom, key) in keys {
        match guard::sign(listener, whom, key) {
            Ok(()) if key.is_some() => drop(signed.insert(whom)),
            Ok(()) => drop(signed.remove(&whom)),
            Err(error) => tracing::error!(peer = %whom, "cannot sign connections: {error}"),
        }
    }
}

/// Errors of one connection rather than of the listener.
fn passes(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // 0.0.0.0 has a socket of its own.
        socket.set_only_v6(true)?;
    }
    // Who answers a call is not known yet, and a caller who looks at the distance (RFC 5082) drops
    // an answer with less. Once it is known the connection gets what its neighbour is to have.
    guard::set_ttl(&socket, address.ip(), Some(guard::TTL_MAX))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn explain(address: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "cannot listen on {address}: the port is taken, probably by another BGP daemon (ss -ltnp \
             'sport = :{}' names it; FRR: systemctl disable --now frr); tried again every {} s",
            address.port(),
            RETRY.as_secs()
        ),
        io::ErrorKind::PermissionDenied => format!(
            "cannot listen on {address}: CAP_NET_BIND_SERVICE is missing: start evpnd by its systemd \
             unit or as root"
        ),
        io::ErrorKind::AddrNotAvailable => format!(
            "cannot listen on {address}: not an address of this machine: correct `listen` in [router]"
        ),
        _ => format!("cannot listen on {address}: {error}"),
    }
}
