//! 100,000 MAC addresses, beside `bridge -batch`. Run in release with `--nocapture` for the figures.

use crate::namespace::*;
use evpn_dataplane::object::Change;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const MACS: u32 = 100_000;

fn entries() -> usize {
    bridge("fdb show dev vx0").lines().filter(|line| line.contains("extern_learn")).count()
}

/// Wall time and processor time: the latter is what compares on a busy machine.
struct Meter {
    begun: Instant,
    used: [Duration; 2],
    who: libc::c_int,
}

impl Meter {
    #[allow(clippy::disallowed_methods, reason = "a measurement needs a clock")]
    fn start(who: libc::c_int) -> Self {
        Self { begun: Instant::now(), used: used(who), who }
    }

    fn read(&self) -> String {
        let wall = self.begun.elapsed();
        let [user, system] = used(self.who);
        let [user_before, system_before] = self.used;
        let (user, system) = (user - user_before, system - system_before);
        format!(
            "{:.2} s (processor {:.2} s, of which the kernel {:.2} s)",
            wall.as_secs_f64(),
            (user + system).as_secs_f64(),
            system.as_secs_f64()
        )
    }
}

fn used(who: libc::c_int) -> [Duration; 2] {
    // SAFETY: the structure is plain numbers, and ours.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(who, &raw mut usage), 0);
        usage
    };
    let of = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
    [of(usage.ru_utime), of(usage.ru_stime)]
}

fn batch() -> String {
    let mut lines = String::new();
    for n in 0..MACS {
        let m = mac(n);
        lines.push_str(&format!("fdb replace {m} dev vx0 dst 10.0.0.2 self master extern_learn\n"));
    }
    let meter = Meter::start(libc::RUSAGE_CHILDREN);
    let mut tool =
        Command::new("bridge").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    tool.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    assert!(tool.wait().unwrap().success());
    meter.read()
}

#[test]
fn a_hundred_thousand_macs_are_written_read_and_deleted() {
    enter();
    let mut d = Daemon::steady();
    d.logs = false;
    let key_of = key(0);
    let key = |n| evpn_dataplane::object::FdbKey { mac: mac(n), ..key_of };
    let meter = Meter::start(libc::RUSAGE_THREAD);
    (0..MACS).for_each(|n| d.want(fdb(key(n), 2)));
    d.work();
    let written = meter.read();
    assert_eq!(entries(), 2 * MACS as usize);
    let meter = Meter::start(libc::RUSAGE_THREAD);
    d.dump();
    let dumped = meter.read();
    assert_eq!(d.r.differences(1).total, 0);
    let meter = Meter::start(libc::RUSAGE_THREAD);
    (0..MACS).for_each(|n| d.want(fdb(key(n), 3)));
    d.work();
    let moved = meter.read();
    let meter = Meter::start(libc::RUSAGE_THREAD);
    (0..MACS).for_each(|n| d.want(Change::Fdb(key(n), None)));
    d.work();
    let deleted = meter.read();
    assert_eq!(entries(), 0);
    assert_eq!(d.overruns, 0, "our own burst does not overrun the monitor");
    drop(d);
    let tool = batch();
    assert_eq!(entries(), 2 * MACS as usize);
    println!(
        "{MACS} MACs: written {written}, read {dumped}, moved {moved}, deleted {deleted}; \
         bridge -batch {tool}"
    );
}
