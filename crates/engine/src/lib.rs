//! The one place where sessions, routes, hosts and energy meet.
//!
//! ```text
//!  Input ──► sessions ► Adj-RIB-In ► import ► decision ► Loc-RIB ─┬─► update groups ──► Output::Send
//!            kernel facts ► fabric ► MAC-VRFs, IP-VRFs ───────────┴─► desired state ──► Output::Dataplane
//!            readings ► energy policy ► levers ► our own type 5 routes
//! ```
//!
//! No I/O, no clock, no randomness, no threads. **Whoever calls [`Engine::handle`] then calls
//! [`Engine::run`] and drains [`Engine::poll_output`] until it is empty, in that order; nothing else
//! drives it, and the same calls yield the same outputs.**
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    forbid(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::unimplemented,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

mod add_path;
mod budget;
mod constraints;
mod dynamic;
mod energy;
mod engine;
mod evi;
pub mod fabric;
mod fib;
mod hosts;
mod import;
mod interface;
mod io;
mod own_address;
mod peer;
mod peers;
mod propagate;
mod rebuild;
mod refresh;
mod restart;
mod rib;
mod sessions;
pub mod settings;
mod stretch;
mod tell;
mod underlay;
mod unicast;
mod updates;
pub mod view;
mod vrf;

pub use engine::{Engine, Memory, Progress, Start};
pub use interface::{Obstacle, RouterPort};
pub use io::{ClearKind, Event, Input, Now, Output, PersistRecord};
pub use peer::Faults;
pub use vrf::Advertised;
