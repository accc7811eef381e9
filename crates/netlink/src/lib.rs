//! Reading and writing the kernel's tables: dumps, the monitor, and batches of writes.
//!
//! - [`requests`]: one socket that asks: [`Requests::dump`] and [`Requests::execute`].
//! - [`lookup`]: by which route the kernel sends packets to an address.
//! - [`monitor`]: another that listens, so that a burst of news never delays an answer.
//! - [`snoop`]: what hosts say of themselves on access ports (ARP and neighbour discovery).
//! - [`others`]: whether another EVPN daemon works in this network namespace.
//! - [`survey`]: the settings that evpnd depends on and never looks at, for `evpnctl doctor`.
//! - [`probe`]: what this kernel can do, by doing it in a namespace that is thrown away.
//! - [`wait`]: waiting for news and for other threads at once.
//!
//! Messages are read and written by hand (`wire`, `parse`, `encode`): a parser that knows all
//! attributes fails as a whole on one that a newer kernel has changed, and this one has to read on;
//! nexthop objects and FDB entries that use them need types of our own in any case.
//!
//! What it is not: it decides nothing; that is `evpn-dataplane`.
//!
//! **Every write gets its own result, matched by its sequence number.**

mod encode;
pub mod error;
pub mod lookup;
pub mod monitor;
pub mod others;
mod parse;
mod parse_link;
pub mod probe;
pub mod requests;
pub mod snoop;
mod socket;
pub mod survey;
pub mod wait;
mod wire;

pub use error::Error;
pub use monitor::Monitor;
pub use requests::Requests;
pub use snoop::Snooper;
