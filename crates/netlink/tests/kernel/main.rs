//! Against the real kernel, each test in a network namespace of its own that ends with its thread.
//!
//! As root or under `unshare -Urn`: `cargo test -p evpn-netlink --features kernel-tests`.

mod bulk;
mod namespace;
mod objects;
mod reconcile;
mod snoop;
mod survey;
