//! Dialling a neighbour.

use super::guard::{self, Guard};
use super::transport_error;
use evpn_proto::bgp::session::TransportError;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
use tokio::net::{TcpSocket, TcpStream};

/// Where a neighbour is and how to reach it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    /// Its address and port.
    pub(crate) address: SocketAddr,
    /// The address to dial from.
    pub(crate) source: Option<IpAddr>,
    /// Hops that our packets may take.
    pub(crate) ttl: Option<u8>,
    /// What it has to show.
    pub(crate) guard: Guard,
}

pub(super) async fn dial(
    target: &Target,
) -> Result<(TcpStream, SocketAddr, SocketAddr), TransportError> {
    let socket = socket(target).map_err(|e| TransportError::Other(e.to_string()))?;
    if let Some(source) = target.source {
        socket.bind(SocketAddr::new(source, 0)).map_err(|e| bind_error(source, &e))?;
    }
    let connected = socket.connect(target.address).await;
    let stream = connected.map_err(|e| transport_error(&e))?;
    let ends = stream.local_addr().and_then(|local| Ok((local, stream.peer_addr()?)));
    let (local, remote) = ends.map_err(|e| transport_error(&e))?;
    Ok((stream, local, remote))
}

fn socket(target: &Target) -> io::Result<TcpSocket> {
    let domain = Domain::for_address(target.address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    guard::set_distance(&socket, target)?;
    if let Some(key) = &target.guard.key {
        guard::sign(&socket, target.address.ip(), Some(key))?;
    }
    Ok(TcpSocket::from_std_stream(socket.into()))
}

fn bind_error(source: IpAddr, error: &io::Error) -> TransportError {
    TransportError::Other(match error.kind() {
        io::ErrorKind::AddrNotAvailable => format!(
            "update-source {source} is not an address of this machine: correct it in [[neighbor]], \
             or add the address (ip address add)"
        ),
        _ => format!("cannot dial from {source}: {error}"),
    })
}
