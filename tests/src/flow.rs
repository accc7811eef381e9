//! Numbered UDP packets at a steady rate, recorded by the receiver.
//!
//! **A packet counts as lost only if it was sent and its number never arrived.** Threads of the
//! test process send and receive; their sockets were opened inside the namespaces.

use crate::ns::Ns;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Room for what arrives while the receiver waits for a processor.
const RECEIVE_BUFFER: libc::c_int = 8 << 20;
const RECEIVE_PATIENCE: Duration = Duration::from_millis(50);
/// How long packets may be on their way when the sender has stopped.
const SETTLE: Duration = Duration::from_millis(300);

/// A running flow.
#[derive(Debug)]
pub struct Flow {
    stop_sending: Arc<AtomicBool>,
    stop_receiving: Arc<AtomicBool>,
    sender: JoinHandle<Vec<Instant>>,
    receiver: JoinHandle<Vec<(u64, Instant)>>,
}

/// What became of a flow.
#[derive(Clone, Debug, Default)]
pub struct FlowReport {
    /// When each number was sent.
    pub sent: Vec<Instant>,
    /// What arrived, in order of arrival.
    pub received: Vec<(u64, Instant)>,
    /// Numbers that never arrived.
    pub lost: Vec<u64>,
}

impl Flow {
    /// Sends `rate` packets a second from one address to another.
    ///
    /// # Panics
    /// Where a socket cannot be opened.
    pub fn start(from: (&Ns, &str), to: (&Ns, &str), port: u16, rate: u32) -> Self {
        let sink = to.0.inside(|| bind(SocketAddr::new(address(to.1), port)));
        let source = from.0.inside(|| {
            let socket = bind(SocketAddr::new(address(from.1), port));
            socket.connect(SocketAddr::new(address(to.1), port)).expect("a route to the receiver");
            socket
        });
        enlarge(&sink);
        sink.set_read_timeout(Some(RECEIVE_PATIENCE)).expect("a socket takes a timeout");
        let (stop_sending, stop_receiving) =
            (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let stop = Arc::clone(&stop_receiving);
        let receiver = std::thread::spawn(move || receive(&sink, &stop));
        let stop = Arc::clone(&stop_sending);
        let sender = std::thread::spawn(move || send(&source, rate, &stop));
        Self { stop_sending, stop_receiving, sender, receiver }
    }

    /// Stops sending, waits for what is on its way, and counts.
    ///
    /// # Panics
    /// Where a thread of the flow did.
    pub fn stop(self) -> FlowReport {
        self.stop_sending.store(true, Ordering::Relaxed);
        let sent = self.sender.join().expect("the sender ends");
        crate::wait::pause(SETTLE);
        self.stop_receiving.store(true, Ordering::Relaxed);
        let received = self.receiver.join().expect("the receiver ends");
        let mut arrived = vec![false; sent.len()];
        for (number, _) in &received {
            let index = usize::try_from(*number).unwrap_or(usize::MAX);
            *arrived.get_mut(index).expect("only what was sent arrives") = true;
        }
        let lost = (0..).zip(arrived).filter(|(_, arrived)| !arrived).map(|(n, _)| n).collect();
        FlowReport { sent, received, lost }
    }
}

impl FlowReport {
    /// Packets lost of those sent between two moments.
    pub fn lost_between(&self, from: Instant, to: Instant) -> usize {
        let sent_at = |n: &u64| usize::try_from(*n).ok().and_then(|n| self.sent.get(n));
        self.lost.iter().filter(|n| sent_at(n).is_some_and(|t| (from..to).contains(t))).count()
    }

    /// From the first packet that was lost to the last one, by when they were sent.
    pub fn outage(&self) -> Duration {
        let sent_at = |n: &u64| usize::try_from(*n).ok().and_then(|n| self.sent.get(n));
        let [first, last] = [self.lost.first(), self.lost.last()].map(|n| n.and_then(sent_at));
        first.zip(last).map_or(Duration::ZERO, |(first, last)| *last - *first)
    }

    /// One line for the test's output.
    pub fn summary(&self) -> String {
        format!("{} sent, {} lost", self.sent.len(), self.lost.len())
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn bind(address: SocketAddr) -> UdpSocket {
    UdpSocket::bind(address).unwrap_or_else(|e| panic!("{address}: {e}"))
}

fn enlarge(socket: &UdpSocket) {
    let octets = RECEIVE_BUFFER;
    let size = libc::socklen_t::try_from(size_of::<libc::c_int>()).expect("four fits");
    // SAFETY: the option takes an int, and that is what is passed, with its size.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUFFORCE,
            (&raw const octets).cast(),
            size,
        )
    };
    assert_eq!(result, 0, "SO_RCVBUFFORCE: {}", std::io::Error::last_os_error());
}

/// Sends on a schedule: who is late catches up.
fn send(socket: &UdpSocket, rate: u32, stop: &AtomicBool) -> Vec<Instant> {
    let start = Instant::now();
    let mut sent = Vec::new();
    for number in 0_u32.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let due = start + Duration::from_secs(1) * number / rate;
        if let Some(early) = due.checked_duration_since(Instant::now()) {
            crate::wait::pause(early);
        }
        sent.push(Instant::now());
        // A refusal (no neighbour, link down) is a loss, which the receiver's count shows.
        socket.send(&u64::from(number).to_be_bytes()).ok();
    }
    sent
}

fn receive(socket: &UdpSocket, stop: &AtomicBool) -> Vec<(u64, Instant)> {
    let mut received = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let mut packet = [0; 8];
        if let Ok(8) = socket.recv(&mut packet) {
            received.push((u64::from_be_bytes(packet), Instant::now()));
        }
    }
    received
}
