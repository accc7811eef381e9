//! What the kernel's tables should hold, what they do hold, and the way from one to the other.
//!
//! - [`object`]: the kernel's objects as values: what routing wants, one [`Change`](object::Change)
//!   at a time.
//! - [`facts`]: what routing has to know of the kernel: devices, local hosts, connected routes.
//! - [`observe`]: what the kernel says, object by object, in a dump or as news.
//! - [`op`]: what is written to the kernel, and how it can fail.
//! - [`heard`]: hosts that said which address they have.
//! - [`reconciler`]: the way from one to the other; [`difference`] tells what is still apart.
//! - [`fake`]: a kernel to test against, with the real one's quirks.
//!
//! **Nothing in here talks to a kernel: `evpn-netlink` reads and writes, the simulator plays one.**
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

pub mod difference;
mod dump;
pub mod facts;
pub mod fake;
mod fdb;
pub mod heard;
mod nexthops;
pub mod object;
mod objects;
pub mod observe;
mod obstacle;
pub mod op;
mod outcome;
mod plan;
pub mod reconciler;
mod table;
pub mod taken;
mod tracker;
mod verdict;
mod words;
