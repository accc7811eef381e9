//! What systemd is told, and when.
#![cfg(feature = "kernel-tests")]

use evpn_tests::pair::{Pair, config};
use evpn_tests::{Evpnd, NotifySocket, eventually, now};
use nix::sys::signal::Signal;
use std::fs;
use std::time::Duration;

const WATCHDOG: Duration = Duration::from_millis(1000);
const START: Duration = Duration::from_secs(15);

fn start(pair: &Pair) -> (Evpnd, NotifySocket) {
    let socket = NotifySocket::new(pair.fabric.path("notify"));
    let environment = [
        ("NOTIFY_SOCKET", socket.path().to_str().expect("a path in letters").to_owned()),
        ("WATCHDOG_USEC", WATCHDOG.as_micros().to_string()),
    ];
    let environment = environment.each_ref().map(|(k, v)| (*k, v.as_str()));
    let evpnd = Evpnd::launch_with(&pair.fabric, &pair.leaves[0], &config(1, ""), &environment);
    (evpnd, socket)
}

#[test]
fn ready_comes_when_it_answers_and_stopping_when_it_ends() {
    let pair = Pair::new("notify");
    let (mut evpnd, socket) = start(&pair);
    socket.wait_for("READY=1", START).unwrap_or_else(|seen| panic!("no READY: {seen:?}"));
    let answer = evpnd.ctl(&["show", "version"]);
    assert_eq!(answer.status, 0, "who is ready answers: {}", answer.stderr);

    // A reload says so, and is over with the next READY (systemd.service(5), notify-reload).
    evpnd.daemon.signal(Signal::SIGHUP);
    socket.wait_for("RELOADING=1", START).unwrap_or_else(|seen| panic!("{seen:?}"));
    socket.wait_for("READY=1", START).unwrap_or_else(|seen| panic!("{seen:?}"));

    evpnd.daemon.signal(Signal::SIGTERM);
    socket.wait_for("STOPPING=1", START).unwrap_or_else(|seen| panic!("{seen:?}"));
    let ended = eventually(START, "it ends", || evpnd.daemon.ended().ok_or("it runs"));
    assert!(ended.success(), "{ended}");
}

/// A configuration with a mistake never gets ready.
#[test]
fn control_who_cannot_start_is_never_ready() {
    let pair = Pair::new("not-ready");
    let socket = NotifySocket::new(pair.fabric.path("notify"));
    let path = socket.path().to_str().expect("a path in letters").to_owned();
    let mistake = "[router]\nas = 0\n";
    let environment = [("NOTIFY_SOCKET", path.as_str())];
    let mut evpnd = Evpnd::launch_with(&pair.fabric, &pair.leaves[0], mistake, &environment);
    let ended = eventually(START, "it ends", || evpnd.daemon.ended().ok_or("it runs"));
    assert!(!ended.success());
    let seen = socket.wait_for("READY=1", Duration::from_millis(300));
    assert!(seen.is_err(), "it said READY");
}

#[test]
fn the_watchdog_is_fed_in_time_and_only_while_the_engine_answers() {
    let pair = Pair::new("watchdog");
    let (evpnd, socket) = start(&pair);
    socket.wait_for("READY=1", START).unwrap_or_else(|seen| panic!("no READY: {seen:?}"));
    for _ in 0..5 {
        let began = now();
        let fed = socket.wait_for("WATCHDOG=1", WATCHDOG);
        fed.unwrap_or_else(|seen| panic!("not fed within {:?}: {seen:?}", began.elapsed()));
    }
    // The engine's thread alone hangs; the others go on.
    let engine = thread_of(evpnd.daemon.pid(), "engine");
    let frozen = Frozen::new(engine);
    // What was asked before is answered; after that nothing may come.
    while socket.wait_for("WATCHDOG=1", WATCHDOG / 4).is_ok() {}
    let fed = socket.wait_for("WATCHDOG=1", WATCHDOG * 3);
    assert!(fed.is_err(), "the watchdog is fed although the engine hangs");
    drop(frozen);
    let fed = socket.wait_for("WATCHDOG=1", WATCHDOG * 3);
    fed.unwrap_or_else(|seen| panic!("not fed again: {seen:?}"));
}

/// The thread of a process whose name has this in it.
fn thread_of(pid: i32, name: &str) -> i32 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives").flatten();
    let mut names = Vec::new();
    for task in tasks {
        let comm = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        if comm.contains(name) {
            return task.file_name().to_string_lossy().parse().expect("a number");
        }
        names.push(comm.trim().to_owned());
    }
    panic!("no thread is called {name}: {names:?}")
}

/// A thread that a tracer holds still.
struct Frozen(i32);

impl Frozen {
    fn new(thread: i32) -> Self {
        ptrace(libc::PTRACE_SEIZE, thread);
        ptrace(libc::PTRACE_INTERRUPT, thread);
        let mut status = 0;
        // SAFETY: the status is a live value, and the thread is traced by this one.
        let stopped = unsafe { libc::waitpid(thread, &raw mut status, libc::__WALL) };
        assert_eq!(stopped, thread, "{}", std::io::Error::last_os_error());
        Self(thread)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        ptrace(libc::PTRACE_DETACH, self.0);
    }
}

fn ptrace(request: libc::c_uint, thread: i32) {
    let nothing = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: these requests take no pointers.
    let result = unsafe { libc::ptrace(request, thread, nothing, nothing) };
    assert_eq!(result, 0, "ptrace: {}", std::io::Error::last_os_error());
}
