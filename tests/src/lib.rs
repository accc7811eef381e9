//! The harness of the end-to-end tests: namespaces, real peers, numbered packets, captures.
//!
//! It is no part of the daemon. It makes a [`Fabric`] of network namespaces on the running
//! kernel, starts evpnd, FRR, GoBGP, ExaBGP, BIRD and NUT in them, and observes from outside: by packets that a
//! receiver counts, by `ip`, `bridge` and tshark, by a peer's own `show`.
//!
//! **What is missing (a program, a right, a binary) fails a test with the reason; nothing is
//! skipped.** What a test made is gone when it ends, also when it panics; what a killed run
//! left behind goes when the next begins.
#![allow(clippy::disallowed_methods, reason = "tests of the kernel read the clock and wait")]

pub mod bgp;
mod bird;
mod capture;
pub mod dissect;
mod evpnd;
mod exabgp;
mod fabric;
mod flow;
mod frames;
mod frr;
mod gobgp;
pub mod hostile;
mod machine;
mod notify;
mod ns;
mod nut;
pub mod octets;
pub mod pair;
mod process;
mod shares;
mod speaker;
mod tables;
mod wait;

pub use bird::Bird;
pub use capture::{Capture, MacAnnouncement};
pub use evpnd::{Answer, Evpnd, binary};
pub use exabgp::Exabgp;
pub use fabric::{Fabric, Host, LEAF_PORT_MTU, Leaf, UNDERLAY_MTU};
pub use flow::{Flow, FlowReport};
pub use frames::{gratuitous_arp, parse_mac};
pub use frr::{Frr, FrrBgp, FrrVersion};
pub use gobgp::{Gobgp, GobgpConfig};
pub use machine::{Machine, Unit};
pub use notify::NotifySocket;
pub use ns::Ns;
pub use nut::Nut;
pub use process::{Daemon, require};
pub use shares::shares;
pub use speaker::Speaker;
pub use tables::{Fdb, FdbEntry, NeighEntry};
pub use wait::{eventually, holds_for, now, pause, wait_until};
