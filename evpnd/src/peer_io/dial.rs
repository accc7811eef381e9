//! Dialling a neighbour.

use super::guard::Signed;
use super::targets::Target;
use super::{guard, transport_error};
use evpn_proto::bgp::session::TransportError;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
use tokio::net::{TcpSocket, TcpStream};

/// Dials; a link-local address comes with its scope.
pub(super) async fn dial(
    address: SocketAddr,
    target: &Target,
) -> Result<(TcpStream, SocketAddr, SocketAddr), TransportError> {
    let socket = socket(address, target).map_err(|e| TransportError::Other(e.to_string()))?;
    if let Some(source) = target.source {
        socket.bind(SocketAddr::new(source, 0)).map_err(|e| bind_error(source, &e))?;
    }
    let connected = socket.connect(address).await;
    let stream = connected.map_err(|e| transport_error(&e))?;
    let ends = stream.local_addr().and_then(|local| Ok((local, stream.peer_addr()?)));
    let (local, remote) = ends.map_err(|e| transport_error(&e))?;
    Ok((stream, local, remote))
}

fn socket(address: SocketAddr, target: &Target) -> io::Result<TcpSocket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    guard::set_distance(&socket, address, target)?;
    if let Some(key) = &target.guard.key {
        guard::sign(&socket, Signed::One(address.ip()), Some(key))?;
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
