//! What the kernel's tables should hold, what they do hold, and the way from one to the other.
//!
//! - [`object`]: the kernel's objects as values: what routing wants, one [`Change`](object::Change)
//!   at a time.
//! - [`facts`]: what routing has to know of the kernel: devices, local hosts, connected routes.
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

pub mod facts;
pub mod object;
