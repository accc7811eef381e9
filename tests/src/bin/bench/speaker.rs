//! A BGP neighbour that says what it was given, as fast as the socket takes it.
//!
//! **What is measured is encoded before the clock starts**; what the other side says after its OPEN
//! is read by whoever the session is given to, or thrown away.

use crate::Result;
use crate::netns::Netns;
use crate::site::{self, LEAF, REMOTE_VTEP, SPEAKER_AS};
use bytes::{Bytes, BytesMut};
use clap::ValueEnum;
use evpn_proto::bgp::attributes::{AsPath, ENCAP_VXLAN, ExtCommunity, PathAttributes};
use evpn_proto::bgp::message::{Capability, Family, Open};
use evpn_proto::bgp::wire::{
    AsWidth, EncodeContext, HEADER_LENGTH, MESSAGE_LENGTH_MAX, MessageType, encode_announcements,
    encode_keepalive, encode_open, frame,
};
use evpn_proto::types::{Asn, EthernetTag, Label, Rd, Route, RouteKey, RouteTarget};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long evpnd may take until it accepts us.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two attempts.
const RETRY: Duration = Duration::from_millis(50);
/// What is thrown away is read in pieces of this size.
const DISCARD_OCTETS: usize = 256 * 1024;
/// BGP's port.
pub(crate) const PORT: u16 = 179;
/// The hold time that evpnd offers, too.
pub(crate) const HOLD: Duration = Duration::from_secs(90);

/// How routes are put into UPDATEs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Form {
    /// As many to an UPDATE as fit.
    Packed,
    /// One to an UPDATE.
    Single,
}

/// Who a neighbour says that it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    /// Its address and BGP identifier.
    pub(crate) address: Ipv4Addr,
    /// Its AS.
    pub(crate) asn: u32,
    /// The hold time that it offers.
    pub(crate) hold: Duration,
}

/// An established session; it ends with this value.
pub(crate) struct Speaker {
    /// Whole messages only: keepalives go in between.
    stream: Arc<Mutex<TcpStream>>,
    /// The same, without a lock: to close it.
    end: TcpStream,
    reader: JoinHandle<()>,
    /// Its end ends the keepalives.
    _alive: SyncSender<()>,
}

impl Speaker {
    /// Dials evpnd from `address` until the session is established; offers the hold time and
    /// throws away what it is told.
    pub(crate) fn establish(core: &Netns, address: Ipv4Addr, hold: Duration) -> Result<Self> {
        Self::listening(core, &Identity { address, asn: SPEAKER_AS, hold }, discard)
    }

    /// Dials until the session is established; `read` is given what comes, in a thread of its own,
    /// and the session counts as up until it returns.
    pub(crate) fn listening(
        core: &Netns,
        who: &Identity,
        read: impl FnOnce(TcpStream) + Send + 'static,
    ) -> Result<Self> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let attempt = core.inside(|| connect(who.address))?;
            match attempt.and_then(|stream| handshake(stream, who)) {
                Ok(stream) => return Self::live(stream, who.hold, read),
                Err(error) if Instant::now() > deadline => {
                    return Err(format!("no session within {PATIENCE:?}: {error}"));
                }
                Err(_) => std::thread::sleep(RETRY),
            }
        }
    }

    fn live(
        stream: TcpStream,
        hold: Duration,
        read: impl FnOnce(TcpStream) + Send + 'static,
    ) -> Result<Self> {
        let failed = |e: std::io::Error| format!("the session: {e}");
        stream.set_read_timeout(None).map_err(failed)?;
        let incoming = stream.try_clone().map_err(failed)?;
        let end = stream.try_clone().map_err(failed)?;
        let reader = std::thread::spawn(move || read(incoming));
        let stream = Arc::new(Mutex::new(stream));
        let (alive, ended) = sync_channel::<()>(0);
        let outgoing = Arc::clone(&stream);
        std::thread::spawn(move || {
            while ended.recv_timeout(hold / 3) == Err(RecvTimeoutError::Timeout) {
                if write(&outgoing, &encode_keepalive()).is_err() {
                    return;
                }
            }
        });
        Ok(Self { stream, end, reader, _alive: alive })
    }

    /// Writes octets to the end and tells when it began.
    pub(crate) fn say(&self, octets: &[u8]) -> Result<Instant> {
        let start = Instant::now();
        write(&self.stream, octets)?;
        Ok(start)
    }

    /// Ends the session, also under whoever is writing to it.
    pub(crate) fn close(&self) {
        // It may be closed already.
        self.end.shutdown(Shutdown::Both).ok();
    }

    /// Whether the other side still holds the session.
    pub(crate) fn is_up(&self) -> bool {
        !self.reader.is_finished()
    }
}

fn write(stream: &Mutex<TcpStream>, octets: &[u8]) -> Result<()> {
    let mut stream = stream.lock().map_err(|_| "the session: its writer panicked".to_owned())?;
    stream.write_all(octets).map_err(|e| format!("the session: {e}"))
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.close();
    }
}

fn connect(from: Ipv4Addr) -> Result<TcpStream> {
    let dial = || {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.bind(&SocketAddr::from((from, 0)).into())?;
        socket.connect_timeout(&SocketAddr::from((LEAF, PORT)).into(), Duration::from_secs(1))?;
        socket.set_tcp_nodelay(true)?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        Ok::<_, std::io::Error>(TcpStream::from(socket))
    };
    dial().map_err(|e| format!("dialling {LEAF}:{PORT} from {from}: {e}"))
}

/// Reads until the end and keeps nothing.
pub(crate) fn discard(mut stream: TcpStream) {
    let mut octets = vec![0; DISCARD_OCTETS];
    while stream.read(&mut octets).is_ok_and(|count| count > 0) {}
}

/// OPEN, OPEN, KEEPALIVE, KEEPALIVE.
fn handshake(mut stream: TcpStream, who: &Identity) -> Result<TcpStream> {
    let open = open(who);
    for octets in [encode_open(&open), encode_keepalive()] {
        stream.write_all(&octets).map_err(|e| format!("handshake: {e}"))?;
    }
    for expected in [MessageType::Open, MessageType::Keepalive] {
        let found = message(&mut stream)?;
        if found != expected {
            return Err(format!("it answered {found:?} instead of {expected:?}"));
        }
    }
    Ok(stream)
}

/// The OPEN of a neighbour that speaks EVPN and nothing else.
pub(crate) fn open(who: &Identity) -> Open {
    let asn = Asn(who.asn);
    Open {
        asn,
        hold_time: who.hold,
        router_id: who.address,
        capabilities: vec![Capability::Multiprotocol(Family::EVPN), Capability::FourOctetAs(asn)],
    }
}

/// Reads a message and tells its type.
pub(crate) fn message(stream: &mut TcpStream) -> Result<MessageType> {
    let mut octets = vec![0; HEADER_LENGTH];
    stream.read_exact(&mut octets).map_err(|e| format!("handshake: {e}"))?;
    let length = octets
        .get(16..18)
        .and_then(|l| l.first_chunk())
        .map_or(0, |l| usize::from(u16::from_be_bytes(*l)));
    octets.resize(length.clamp(HEADER_LENGTH, MESSAGE_LENGTH_MAX), 0);
    let body = octets.get_mut(HEADER_LENGTH..).unwrap_or_default();
    stream.read_exact(body).map_err(|e| format!("handshake: {e}"))?;
    let found = frame(&octets, MESSAGE_LENGTH_MAX).map_err(|n| format!("handshake: {n:?}"))?;
    found.map(|f| f.kind).ok_or_else(|| "handshake: half a message".to_owned())
}

/// The UPDATEs that announce `macs` remote MACs.
pub(crate) fn updates(macs: u32, form: Form) -> Result<Bytes> {
    let mut attributes = PathAttributes::originated(IpAddr::V4(REMOTE_VTEP));
    attributes.as_path = AsPath::default().prepended(Asn(SPEAKER_AS));
    attributes.ext_communities = vec![
        ExtCommunity::route_target(RouteTarget::auto(Asn(SPEAKER_AS), site::vni())),
        ExtCommunity::encap(ENCAP_VXLAN),
    ];
    let routes: Vec<Route> = (0..macs)
        .map(|number| {
            let key = RouteKey::MacIp {
                rd: Rd::ipv4(REMOTE_VTEP, 100),
                etag: EthernetTag(0),
                mac: site::mac(number),
                ip: None,
            };
            Route::labelled(key, Label::from(site::vni()))
        })
        .collect();
    let context = EncodeContext { as_width: AsWidth::Four, length_max: MESSAGE_LENGTH_MAX };
    let mut out = BytesMut::new();
    let at_once = match form {
        Form::Packed => routes.len(),
        Form::Single => 1,
    };
    for routes in routes.chunks(at_once.max(1)) {
        encode_announcements(&attributes, &context, routes.iter(), &mut out)
            .map_err(|e| format!("encoding: {e}"))?;
    }
    Ok(out.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use evpn_proto::bgp::message::Message;
    use evpn_proto::bgp::wire::{DecodeContext, FamilySet, SessionKind, decode};
    use std::collections::BTreeSet;

    /// Every MAC that the stream announces, and the number of its UPDATEs.
    fn read(mut stream: &[u8]) -> (BTreeSet<RouteKey>, usize) {
        let context = DecodeContext {
            as_width: AsWidth::Four,
            length_max: MESSAGE_LENGTH_MAX,
            families: FamilySet::EVPN,
            session: SessionKind::External,
            ..DecodeContext::INITIAL
        };
        let (mut keys, mut count) = (BTreeSet::new(), 0);
        while let Some(found) = frame(stream, MESSAGE_LENGTH_MAX).expect("a header") {
            let (message, rest) = stream.split_at(found.length);
            let Ok(Message::Update(update)) = decode(message, &context) else {
                panic!("no UPDATE: {message:?}");
            };
            assert_eq!(update.errors, []);
            keys.extend(update.announced.into_iter().map(|route| route.key));
            (stream, count) = (rest, count + 1);
        }
        (keys, count)
    }

    #[test]
    fn both_forms_announce_the_same_macs() {
        let (packed, full) = read(&updates(1000, Form::Packed).expect("encodes"));
        let (single, each) = read(&updates(1000, Form::Single).expect("encodes"));
        assert_eq!((packed.len(), &packed), (1000, &single));
        assert_eq!(each, 1000);
        assert!(full < 12, "{full} UPDATEs");
    }
}
