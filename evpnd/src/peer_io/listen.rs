//! Listening for neighbours that dial us.
//!
//! A port that cannot be had is tried again and again, with its reason shown: sessions that we dial
//! work without it, so it is no reason to stop.

use super::{Accepted, lock};
use crate::engine_io::EngineHandle;
use evpn_engine::Input;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

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

    fn report(&self, address: SocketAddr, result: Result<(), String>) {
        let former = lock(&self.state).insert(address, result.clone());
        match &result {
            _ if former.as_ref() == Some(&result) => {}
            Ok(()) => tracing::info!(%address, "listening"),
            Err(why) => tracing::error!(%address, "{why}"),
        }
    }

    async fn accept(&self, listener: TcpListener) -> io::Error {
        loop {
            let (stream, remote) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) if passes(&error) => continue,
                Err(error) => return error,
            };
            let Ok(local) = stream.local_addr() else { continue };
            // NODELAY fails on a connection that is gone already.
            drop(stream.set_nodelay(true));
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
