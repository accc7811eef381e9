//! Which of two connections stays (RFC 4271 section 6.8, RFC 6286 section 2.3).
//!
//! **Both sides give the same answer, and neither gives up the connection to which the other may
//! already have committed itself.**
//!
//! RFC 4271 lets a speaker look at connections in OpenConfirm, and in OpenSent as well if it knows
//! the neighbor's identifier, which the OPEN just received tells. What it leaves open decides
//! whether both connections can be lost. So that they cannot, however late any message comes:
//!
//! - The side that wins (the higher identifier) commits to a connection with its first KEEPALIVE:
//!   to its own, if that stands by then, and otherwise to the neighbor's, and stops dialling.
//! - The side that loses gives up its own connection only for one on which the winner's OPEN came:
//!   a winner that stopped dialling never sends one.

use super::events::Direction;
use crate::types::Asn;
use std::net::Ipv4Addr;

/// What ranks two speakers: the identifier first, the AS where both have the same (RFC 6286).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Rank {
    /// BGP identifier, compared as a number.
    pub router_id: Ipv4Addr,
    /// AS number.
    pub asn: Asn,
}

/// What to do with two connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Keep the one on which the OPEN came; close the other.
    KeepOpened,
    /// Keep the other; close the one on which the OPEN came.
    KeepOther,
    /// Go on with both: the neighbor decides.
    KeepBoth,
}

/// Resolves a collision when an OPEN came on a connection of direction `opened`, while another of
/// the opposite direction stands on which none came yet.
pub fn resolve(local: Rank, remote: Rank, opened: Direction) -> Verdict {
    // RFC 4271 §6.8: the connection initiated by the speaker with the higher identifier stays.
    let survivor = if local > remote { Direction::Outgoing } else { Direction::Incoming };
    match (survivor, opened) {
        (Direction::Outgoing, Direction::Outgoing) | (Direction::Incoming, Direction::Incoming) => {
            Verdict::KeepOpened
        }
        (Direction::Outgoing, Direction::Incoming) => Verdict::KeepOther,
        (Direction::Incoming, Direction::Outgoing) => Verdict::KeepBoth,
    }
}
