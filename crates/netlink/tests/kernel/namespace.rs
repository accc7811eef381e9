//! A network namespace with a bridge, a VXLAN device and an access port, and a loop that does what
//! evpnd's thread does.

use evpn_dataplane::object::{Change, FdbEntry, FdbKey, FdbTarget, IfIndex, Mode};
use evpn_dataplane::observe::PROTOCOL;
use evpn_dataplane::op::Op;
use evpn_dataplane::reconciler::{Reconciler, Settings};
use evpn_netlink::requests::BATCH_OPS;
use evpn_netlink::{Monitor, Requests};
use evpn_proto::types::{MacAddr, Time};
use nix::sched::{CloneFlags, unshare};
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::time::Duration;

pub(crate) const BUFFER: usize = 8 << 20;

/// Moves this thread into a new network namespace with the usual devices.
pub(crate) fn enter() {
    unshare(CloneFlags::CLONE_NEWNET)
        .expect("these tests need CAP_SYS_ADMIN: run them as root or under `unshare -Urn`");
    for line in [
        "link set lo up",
        "link add br0 type bridge",
        "addr add 192.0.2.1/24 dev br0",
        "link set br0 up",
        "link add vx0 type vxlan id 100 dstport 4789 local 10.0.0.1 nolearning",
        "link set vx0 master br0",
        "link set vx0 up",
        "link add acc0 type veth peer name host0",
        "link set acc0 master br0",
        "link set acc0 up",
        "link set host0 up",
        "link add br5000 type bridge",
        "link set br5000 up",
        "link add vx5000 type vxlan id 5000 dstport 4789 local 10.0.0.1 nolearning",
        "link set vx5000 master br5000",
        "link set vx5000 up",
    ] {
        ip(line);
    }
    run("bridge", "link set dev vx0 learning off neigh_suppress on");
}

pub(crate) fn run(tool: &str, arguments: &str) -> String {
    let output = Command::new(tool)
        .args(arguments.split_ascii_whitespace())
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("{tool}: {e}"));
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool} {arguments}: {words}");
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn ip(arguments: &str) -> String {
    run("ip", arguments)
}

pub(crate) fn bridge(arguments: &str) -> String {
    run("bridge", arguments)
}

/// The lines of `bridge fdb show` about an address: the VXLAN device's, then the bridge's.
pub(crate) fn shown(mac: MacAddr) -> Vec<String> {
    let mut lines: Vec<String> = bridge("fdb show")
        .lines()
        .filter(|line| line.starts_with(&mac.to_string()))
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.sort_by_key(|line| (!line.contains(" self"), line.clone()));
    lines
}

pub(crate) fn index(name: &str) -> IfIndex {
    IfIndex(nix::net::if_::if_nametoindex(name).unwrap())
}

pub(crate) fn mac(n: u32) -> MacAddr {
    let [a, b, c, d] = n.to_be_bytes();
    MacAddr([2, 0, a, b, c, d])
}

pub(crate) fn vtep(n: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, n])
}

pub(crate) fn key(n: u32) -> FdbKey {
    FdbKey { device: index("vx0"), mac: mac(n) }
}

pub(crate) fn fdb(key: FdbKey, v: u8) -> Change {
    Change::Fdb(key, Some(FdbEntry { to: FdbTarget::Vtep(vtep(v)), sticky: false }))
}

/// A frame from the host behind `acc0`.
pub(crate) fn frame(from: MacAddr) {
    let mut frame = vec![0xff; 6];
    frame.extend(from.0);
    frame.extend([0x88, 0xb5]);
    frame.resize(60, 0);
    send("host0", &frame);
}

/// Sends a frame out of a device.
pub(crate) fn send(device: &str, frame: &[u8]) {
    let device = i32::try_from(index(device).0).unwrap();
    // SAFETY: a socket of our own, and pointers to locals with their lengths.
    unsafe {
        let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0);
        assert!(fd >= 0);
        let mut to: libc::sockaddr_ll = std::mem::zeroed();
        to.sll_family = libc::AF_PACKET as u16;
        to.sll_ifindex = device;
        let length = size_of_val(&to) as u32;
        let sent = libc::sendto(
            fd,
            frame.as_ptr().cast(),
            frame.len(),
            0,
            std::ptr::from_ref(&to).cast(),
            length,
        );
        assert_eq!(usize::try_from(sent), Ok(frame.len()), "{}", std::io::Error::last_os_error());
        libc::close(fd);
    }
}

/// What evpnd's thread is made of.
pub(crate) struct Daemon {
    pub(crate) r: Reconciler,
    pub(crate) requests: Requests,
    pub(crate) monitor: Monitor,
    pub(crate) now: Time,
    pub(crate) overruns: usize,
    pub(crate) log: Vec<Op>,
    pub(crate) logs: bool,
}

impl Daemon {
    pub(crate) fn start(buffer: usize) -> Self {
        let (monitor, _) = Monitor::open(buffer).unwrap();
        let mut requests = Requests::open(PROTOCOL).unwrap();
        requests.check_permission().unwrap();
        let mut r = Reconciler::new(Settings::default(), 1);
        r.manage(&[index("vx0")]);
        let mut daemon = Self {
            r,
            requests,
            monitor,
            now: Time::ZERO,
            overruns: 0,
            log: Vec::new(),
            logs: true,
        };
        daemon.dump();
        daemon.hear();
        let _ = daemon.r.take_news(usize::MAX);
        daemon
    }

    pub(crate) fn steady() -> Self {
        let mut daemon = Self::start(BUFFER);
        daemon.r.set_mode(Mode::Steady);
        daemon
    }

    pub(crate) fn dump(&mut self) {
        self.r.begin_dump();
        let r = &mut self.r;
        self.requests.dump(&mut |seen| r.observe(seen)).unwrap();
        self.r.end_dump();
    }

    pub(crate) fn hear(&mut self) {
        loop {
            let r = &mut self.r;
            let heard = self.monitor.read(&mut |seen| r.observe(seen)).unwrap();
            self.overruns += usize::from(heard.overrun);
            if !heard.more {
                return;
            }
        }
    }

    /// Until nothing is left to do now; how many writes.
    pub(crate) fn work(&mut self) -> usize {
        let (mut ops, mut results, mut writes) = (Vec::new(), Vec::new(), 0);
        loop {
            self.hear();
            if self.r.take_suspect() {
                self.dump();
                self.hear();
            }
            ops.clear();
            self.r.plan(self.now, BATCH_OPS, &mut ops);
            if ops.is_empty() && !self.r.has_work() {
                return writes;
            }
            self.requests.execute(&ops, &mut results);
            writes += ops.len();
            for (op, result) in ops.iter().zip(results.drain(..)) {
                self.r.done(op, result, self.now);
            }
            if self.logs {
                self.log.append(&mut ops);
            }
        }
    }

    /// Until nothing waits for a time any more.
    pub(crate) fn settle(&mut self) {
        self.work();
        while let Some(at) = self.r.next_deadline() {
            self.now = self.now.max(at);
            self.work();
        }
    }

    pub(crate) fn want(&mut self, change: Change) {
        self.r.want(change, u64::MAX);
    }

    /// Looks again at everything, and finds nothing to do.
    pub(crate) fn assert_equal(&mut self) {
        self.dump();
        self.hear();
        let found = self.r.differences(5);
        assert_eq!(found.total, 0, "{:#?}", found.first);
        assert_eq!(self.work(), 0, "{:?}", self.log.last());
    }

    /// Hears what the kernel says until something follows from it.
    pub(crate) fn wait_until(&mut self, done: impl Fn(&Reconciler) -> bool) {
        for _ in 0..200 {
            self.hear();
            if done(&self.r) {
                return;
            }
            self.wait_for_news(Duration::from_millis(10));
        }
        panic!("the kernel has not said it");
    }

    fn wait_for_news(&self, limit: Duration) {
        let mut set =
            libc::pollfd { fd: self.monitor.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let limit = i32::try_from(limit.as_millis()).unwrap();
        // SAFETY: one entry, which outlives the call.
        unsafe { libc::poll(&raw mut set, 1, limit) };
    }
}
