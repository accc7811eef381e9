//! The protocols evpnd speaks, without input or output. *proto means protocol.*
//!
//! [`types`] holds the identities that every other crate shares (a VNI, a MAC address, a route's
//! key); [`bgp`] holds BGP-4: its messages on the wire and its session state machine; [`nd`] holds
//! what of IPv6 Neighbor Discovery neighbours without addresses find each other by.
//!
//! **Nothing in here opens a socket, reads a clock or draws a random number: bytes, time and seeds
//! are arguments.**
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

pub mod bgp;
pub mod nd;
pub mod types;
