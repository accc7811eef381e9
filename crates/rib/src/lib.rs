//! The routing tables of EVPN: what neighbours said, what is preferred, who is told.
//!
//! - [`attr_store`]: path attributes, each set stored once.
//! - [`table`]: every route with the paths of every neighbour (Adj-RIB-In and Loc-RIB in one).
//! - [`path`]: what names a path within a route.
//! - [`decision`]: which path of a route is preferred, and why.
//! - [`update_group`]: what neighbours that are told the same are told (Adj-RIB-Out).
//! - [`mac_vrf`]: hosts of one L2VNI: mobility, local against remote.
//! - [`ip_vrf`]: prefixes of one L3VNI: best path and multipath.
//!
//! **The same sequence of calls yields the same tables and the same answers, in the same order.**
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

pub mod attr_store;
pub mod decision;
pub mod ip_vrf;
pub mod mac_vrf;
pub mod path;
pub mod slab;
pub mod table;
pub mod update_group;

/// A hash map whose order depends on its contents only: seeds are fixed, so runs repeat.
pub type Map<K, V> = hashbrown::HashMap<K, V, foldhash::fast::FixedState>;

/// A neighbour's number in this daemon. One that is gone leaves it to another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PeerIdx(pub u16);

impl PeerIdx {
    /// Not a neighbour: the path is originated here.
    pub const LOCAL: Self = Self(u16::MAX);
}
