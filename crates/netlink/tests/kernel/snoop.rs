//! Hosts are heard on the port that they are behind.

use crate::namespace::*;
use evpn_dataplane::heard::Binding;
use evpn_dataplane::object::IfIndex;
use evpn_netlink::Snooper;
use evpn_netlink::wait::Waker;
use evpn_proto::types::MacAddr;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(5);

fn arp(from: MacAddr, ip: [u8; 4]) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend(from.0);
    frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(from.0);
    frame.extend(ip);
    frame.extend([0; 6]);
    frame.extend(ip);
    frame
}

/// With a VLAN tag behind the addresses.
fn tagged(frame: &[u8]) -> Vec<u8> {
    let (addresses, rest) = frame.split_at(12);
    [addresses, &[0x81, 0, 0, 5], rest].concat()
}

fn heard(snooper: &mut Snooper) -> Vec<(IfIndex, Binding)> {
    let mut all = Vec::new();
    let more = snooper.read(&mut |port, binding| all.push((port, binding))).unwrap();
    assert!(!more);
    all
}

#[test]
fn a_host_is_heard_where_it_speaks_and_nowhere_else() {
    enter();
    ip("link add acc1 type veth peer name host1");
    for device in ["acc1", "host1"] {
        ip(&format!("link set {device} up"));
    }
    ip("link set acc1 master br0");
    let (monitor, _) = evpn_netlink::Monitor::open(BUFFER).unwrap();
    let waker = Waker::new().unwrap();
    let mut snooper = Snooper::new().unwrap();
    let ports = [index("acc0"), index("acc1")];
    snooper.listen_on(&ports).unwrap();
    // The bridge floods it out of acc1, where it is not heard.
    send("host0", &arp(mac(1), [192, 0, 2, 9]));
    waker.wait(&monitor, Some(&snooper), Some(LONG)).unwrap();
    let binding = Binding { address: [192, 0, 2, 9].into(), mac: mac(1) };
    assert_eq!(heard(&mut snooper), [(ports[0], binding)]);
    // What is not ARP, what carries a tag and what is cut short wakes nobody.
    frame(mac(2));
    send("host0", &tagged(&arp(mac(2), [192, 0, 2, 10])));
    send("host0", &arp(mac(2), [192, 0, 2, 10])[..30]);
    assert_eq!(heard(&mut snooper), []);
    // A port that is down and up again is listened to as before.
    ip("link set acc0 down");
    assert_eq!(heard(&mut snooper), []);
    ip("link set acc0 up");
    // The other end notices its carrier a little later.
    let mut said = Vec::new();
    for _ in 0..100 {
        send("host0", &arp(mac(1), [192, 0, 2, 9]));
        waker.wait(&monitor, Some(&snooper), Some(LONG / 100)).unwrap();
        said.extend(heard(&mut snooper));
        if !said.is_empty() {
            break;
        }
    }
    assert_eq!(said.first(), Some(&(ports[0], binding)));
    heard(&mut snooper);
    // One that is none of ours any more is not.
    snooper.listen_on(&ports[1..]).unwrap();
    send("host0", &arp(mac(1), [192, 0, 2, 9]));
    assert_eq!(heard(&mut snooper), []);
    // Nor is one that is gone.
    snooper.listen_on(&[IfIndex(9999)]).unwrap();
}

#[test]
fn a_heard_neighbour_is_the_kernels_own() {
    enter();
    let mut d = Daemon::steady();
    let address = "192.0.2.9".parse().unwrap();
    d.r.heard(index("acc0"), Binding { address, mac: mac(9) });
    d.work();
    let line = ip("neigh show 192.0.2.9 nud all");
    let m = mac(9);
    assert_eq!(line.trim_end(), format!("192.0.2.9 dev br0 lladdr {m} STALE"));
    d.assert_equal();
}
