//! Who receives what of many new flows to one address.
//!
//! **Each packet is a flow of its own**, from a port of its own, so that a router that hashes
//! addresses and ports spreads them by its weights.

use crate::ns::Ns;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Where the service listens.
const PORT: u16 = 7000;
/// Room between two packets, so that no queue on the way overflows.
const GAP: Duration = Duration::from_micros(500);
const SETTLE: Duration = Duration::from_millis(200);

/// Sends `packets` flows of one packet each to `service`, and gives how many each of the servers
/// received.
///
/// # Panics
/// Where a socket cannot be opened.
pub fn shares<const N: usize>(
    client: &Ns,
    service: &str,
    servers: [&Ns; N],
    packets: u32,
) -> [u32; N] {
    let address: IpAddr = service.parse().unwrap_or_else(|e| panic!("{service}: {e}"));
    let to = SocketAddr::new(address, PORT);
    let sinks = servers.map(|ns| ns.inside(|| bind(to)));
    let done = AtomicBool::new(false);
    let count = |sink: &UdpSocket| {
        sink.set_read_timeout(Some(Duration::from_millis(20))).expect("a socket takes a timeout");
        let mut count = 0;
        let mut packet = [0; 8];
        while !done.load(Ordering::Relaxed) {
            count += u32::from(sink.recv(&mut packet).is_ok());
        }
        count
    };
    std::thread::scope(|scope| {
        let counters = sinks.each_ref().map(|sink| scope.spawn(|| count(sink)));
        client.inside(|| {
            for number in 0..packets {
                let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let socket = bind(any.parse().expect("an address"));
                socket.send_to(&u64::from(number).to_be_bytes(), to).ok();
                crate::wait::pause(GAP);
            }
        });
        crate::wait::pause(SETTLE);
        done.store(true, Ordering::Relaxed);
        counters.map(|counter| counter.join().expect("the counter ends"))
    })
}

fn bind(address: SocketAddr) -> UdpSocket {
    UdpSocket::bind(address).unwrap_or_else(|e| panic!("{address}: {e}"))
}
