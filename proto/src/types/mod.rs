//! Identity types shared by every crate: what a thing *is*, never how it is stored or sent.
//!
//! **Two values are equal if and only if they name the same thing**, so each can be a map's key.

mod address;
mod asn;
mod esi;
mod family;
mod label;
mod mac;
mod multicast;
mod neighbor;
mod rd;
mod route;
mod route_target;
mod rt_membership;
mod time;
mod vni;

pub use address::{can_be_vtep, is_link_local};
pub use asn::{AS_TRANS, Asn};
pub use esi::Esi;
pub use family::Family;
pub use label::Label;
pub use mac::MacAddr;
pub use multicast::{Flow, Membership, MulticastKey};
pub use neighbor::{InterfaceName, NeighborId};
pub use rd::Rd;
pub use route::{EthernetTag, Route, RouteKey, RouteType};
pub use route_target::RouteTarget;
pub use rt_membership::RtMembership;
pub use time::Time;
pub use vni::{VlanId, Vni};

use thiserror::Error;

/// A text that is not what it should be: `expected` says what was looked for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("\"{text}\" is not {expected}")]
pub struct ParseError {
    /// The text as given.
    pub text: String,
    /// What it should have been, with an example.
    pub expected: &'static str,
}

impl ParseError {
    pub(crate) fn new(text: &str, expected: &'static str) -> Self {
        Self { text: text.to_owned(), expected }
    }
}
