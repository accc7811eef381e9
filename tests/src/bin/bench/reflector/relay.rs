//! The control: a reflector that knows nothing of BGP beyond the handshake.
//!
//! What a session says is written to every other one, in whole messages, which it finds by their
//! lengths. What a client and a sink need for themselves is thus measured over the same sockets.
//!
//! **It looks at no octet of a message but its length.**

use crate::Result;
use crate::netns::Netns;
use crate::reflector::routes::AS;
use crate::reflector::trial::REFLECTOR;
use crate::speaker::{self, HOLD, Identity, PORT};
use evpn_proto::bgp::wire::{HEADER_LENGTH, encode_keepalive, encode_open};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Octets copied at a time, at most.
const BUFFER: usize = 1 << 20;

/// Every session; its writer is shared by all who are copied to it.
type Sessions = Arc<Mutex<Vec<Arc<Mutex<TcpStream>>>>>;

/// A relay. Its threads end with its sessions, but for one that waits for more.
pub(crate) struct Relay;

impl Relay {
    /// Listens in the namespace.
    pub(crate) fn start(namespace: &Netns) -> Result<Self> {
        let listen = || TcpListener::bind(SocketAddr::from((REFLECTOR, PORT)));
        let listener = namespace.inside(listen)?.map_err(|e| format!("the relay: {e}"))?;
        let sessions = Sessions::default();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that fails here says so itself.
                admit(stream, &sessions).ok();
            }
        });
        Ok(Self)
    }
}

fn admit(mut stream: TcpStream, sessions: &Sessions) -> Result<()> {
    let failed = |e: std::io::Error| format!("the relay: {e}");
    stream.set_nodelay(true).map_err(failed)?;
    let _open = speaker::message(&mut stream)?;
    let open = speaker::open(&Identity { address: REFLECTOR, asn: AS, hold: HOLD });
    for octets in [encode_open(&open), encode_keepalive()] {
        stream.write_all(&octets).map_err(failed)?;
    }
    let _keepalive = speaker::message(&mut stream)?;
    let own = Arc::new(Mutex::new(stream.try_clone().map_err(failed)?));
    lock(sessions)?.push(Arc::clone(&own));
    let sessions = Arc::clone(sessions);
    std::thread::spawn(move || copy(stream, &own, &sessions));
    Ok(())
}

/// Copies until the session or one of the others ends.
fn copy(mut from: TcpStream, own: &Arc<Mutex<TcpStream>>, sessions: &Sessions) -> Result<()> {
    let (mut buffer, mut filled) = (vec![0; BUFFER], 0);
    loop {
        let count = from.read(buffer.get_mut(filled..).unwrap_or_default());
        filled += count.ok().filter(|count| *count > 0).ok_or("the session ended")?;
        let whole = whole_messages(buffer.get(..filled).unwrap_or_default());
        let others: Vec<_> =
            lock(sessions)?.iter().filter(|other| !Arc::ptr_eq(other, own)).cloned().collect();
        for other in others {
            let octets = buffer.get(..whole).unwrap_or_default();
            lock(&other)?.write_all(octets).map_err(|e| e.to_string())?;
        }
        buffer.copy_within(whole..filled, 0);
        filled -= whole;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> Result<std::sync::MutexGuard<'_, T>> {
    mutex.lock().map_err(|_| "a thread of the relay panicked".to_owned())
}

/// How many octets are whole messages.
fn whole_messages(octets: &[u8]) -> usize {
    let mut rest = octets;
    while let Some(length) = rest.get(16..18).and_then(|l| l.first_chunk()) {
        let length = usize::from(u16::from_be_bytes(*length)).max(HEADER_LENGTH);
        let Some(after) = rest.get(length..) else { break };
        rest = after;
    }
    octets.len() - rest.len()
}
