//! A server of the service: answers every number with its site's letter and that number.
//!
//! **It answers from the address that was asked**, and only what was asked.

use super::tally::Served;
use super::{NUMBER_OCTETS, PORT, REPORT_EVERY, answer, tell};
use clap::Args;
use socket2::{Domain, Protocol, Socket, Type};
use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::interval;

/// Requests that wait while the machine is busy elsewhere: a second's worth. The kernel may give
/// less.
const RECEIVE_BUFFER: usize = 1 << 20;

/// Which server.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The site's letter.
    #[arg(long)]
    pub(crate) site: char,
    /// The service's addresses.
    #[arg(long, required = true)]
    pub(crate) service: Vec<IpAddr>,
}

type SharedServed = Rc<Cell<Served>>;

/// Runs until it is ended.
///
/// # Errors
/// If it cannot listen.
pub(crate) fn run(args: &ServeArgs) -> io::Result<()> {
    super::raise_file_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, serve(args))
}

async fn serve(args: &ServeArgs) -> io::Result<()> {
    let site = u8::try_from(args.site).map_err(io::Error::other)?;
    let served = Rc::new(Cell::new(Served { site: args.site, v4: 0, v6: 0, sessions: 0 }));
    for address in &args.service {
        let address = SocketAddr::new(*address, PORT);
        spawn_local(requests(udp(address)?, site, Rc::clone(&served)));
        let listener = TcpListener::bind(address).await?;
        spawn_local(sessions(listener, site, Rc::clone(&served)));
    }
    let mut ticks = interval(REPORT_EVERY);
    let mut told = None;
    loop {
        ticks.tick().await;
        let now = served.get();
        if told != Some(now) {
            // The service goes on when nobody reads its reports any more.
            tell(&now).unwrap_or_default();
            told = Some(now);
        }
    }
}

fn udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

fn count(served: &SharedServed, change: impl FnOnce(&mut Served)) {
    let mut now = served.get();
    change(&mut now);
    served.set(now);
}

async fn requests(socket: UdpSocket, site: u8, served: SharedServed) {
    let mut number = [0; NUMBER_OCTETS];
    loop {
        // An error here is an ICMP message about an earlier answer.
        let Ok((NUMBER_OCTETS, client)) = socket.recv_from(&mut number).await else { continue };
        count(&served, |s| if client.is_ipv6() { s.v6 += 1 } else { s.v4 += 1 });
        // An answer that cannot be sent is one that the client counts as lost.
        socket.send_to(&answer(site, number), client).await.unwrap_or_default();
    }
}

async fn sessions(listener: TcpListener, site: u8, served: SharedServed) {
    loop {
        if let Ok((session, _)) = listener.accept().await {
            count(&served, |s| s.sessions += 1);
            spawn_local(async move { converse(session, site).await.unwrap_or_default() });
        }
    }
}

/// Until the client has nothing more to say, or is gone.
async fn converse(mut session: TcpStream, site: u8) -> io::Result<()> {
    session.set_nodelay(true)?;
    let mut number = [0; NUMBER_OCTETS];
    loop {
        if let Err(error) = session.read_exact(&mut number).await {
            return match error.kind() {
                io::ErrorKind::UnexpectedEof => session.shutdown().await,
                _ => Err(error),
            };
        }
        session.write_all(&answer(site, number)).await?;
    }
}
