//! A BGP speaker that says what the test says, octet for octet, and listens.
//!
//! **It has no opinion**: no table, no checks, no clock. Its hold time is 0, so nothing but the
//! test makes it speak once its session is up.

use crate::bgp::uninterrupted;
use crate::fabric::Leaf;
use crate::octets::{self, Update, kind};
use crate::wait::eventually;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const UP: Duration = Duration::from_secs(20);
const READ_OCTETS: usize = 64 * 1024;

/// A speaker with an established session.
#[derive(Debug)]
pub struct Speaker {
    stream: TcpStream,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Speaker {
    /// Dials another leaf from a leaf, in an AS, until it answers, and brings the session up.
    ///
    /// # Panics
    /// Where it does not come up.
    #[track_caller]
    pub fn start(leaf: &Leaf, asn: u32, neighbour: &Leaf) -> Self {
        let to: SocketAddr = format!("{}:179", neighbour.ip()).parse().expect("an address");
        let stream =
            eventually(UP, "the neighbour listens", || leaf.ns.inside(|| TcpStream::connect(to)));
        let heard = Arc::<Mutex<Vec<u8>>>::default();
        let (mut reading, into) =
            (stream.try_clone().expect("a socket can be shared"), Arc::clone(&heard));
        // It ends with the connection.
        std::thread::spawn(move || {
            let mut room = vec![0; READ_OCTETS];
            while let Ok(count @ 1..) = uninterrupted(|| reading.read(&mut room)) {
                into.lock().expect("nobody panics with it").extend(&room[..count]);
            }
        });
        let mut speaker = Self { stream, heard };
        speaker.send(&octets::open(asn, [10, 0, 0, leaf.number], 0));
        speaker.send(&octets::message(kind::KEEPALIVE, &[]));
        eventually(UP, "the session is up", || {
            let kinds: Vec<u8> = speaker.heard().iter().map(|m| octets::kind_of(m)).collect();
            if kinds.contains(&kind::KEEPALIVE) { Ok(()) } else { Err(format!("{kinds:?}")) }
        });
        speaker
    }

    /// Sends octets as they are.
    ///
    /// # Panics
    /// Where the connection is gone.
    #[track_caller]
    pub fn send(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).unwrap_or_else(|e| panic!("the connection is gone: {e}"));
    }

    /// Every message heard so far.
    ///
    /// # Panics
    /// Where the reading thread has panicked.
    pub fn heard(&self) -> Vec<Vec<u8>> {
        octets::messages(&self.heard.lock().expect("nobody panics with it"))
    }

    /// Every UPDATE heard so far.
    pub fn updates(&self) -> Vec<Update> {
        self.heard().iter().filter_map(|m| octets::update_of(m)).collect()
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        // It may be closed already.
        self.stream.shutdown(std::net::Shutdown::Both).ok();
    }
}
