//! Roles in OPENs (RFC 9234 section 4.2): whether what both sides say they are goes together.
//!
//! **Two that do not agree on what they are to each other exchange no route.**

use super::config::SessionConfig;
use super::open::PeerKind;
use super::reason::OpenRefusal;
use crate::bgp::message::{Capability, Open};
use crate::bgp::role::Role;
use crate::bgp::wire::codes::capability::ROLE;

/// The role numbers of an OPEN, in the order sent; those that are not given out as well. A
/// capability of another length than one octet says nothing.
fn told(open: &Open) -> impl Iterator<Item = u8> + '_ {
    open.capabilities.iter().filter_map(|capability| match capability {
        Capability::Role(role) => Some(role.number()),
        Capability::Unknown { code: ROLE, value } => match value.as_ref() {
            [number] => Some(*number),
            _ => None,
        },
        _ => None,
    })
}

/// Our role toward the neighbor, if the two go together. Roles are for neighbors of other ASes: of
/// an internal one nothing is asked, and its role means nothing.
pub(super) fn agree(
    config: &SessionConfig,
    received: &Open,
    kind: PeerKind,
) -> Result<Option<Role>, OpenRefusal> {
    if kind == PeerKind::Internal {
        return Ok(None);
    }
    let mut all = told(received);
    let theirs = all.next();
    // RFC 9234 §4.2: several that say the same are one.
    if let Some(other) = all.find(|other| Some(*other) != theirs) {
        let first = theirs.unwrap_or(other);
        return Err(OpenRefusal::SeveralRoles { first, other });
    }
    match (config.role, theirs) {
        (Some(ours), Some(theirs)) if ours.opposite().number() != theirs => {
            Err(OpenRefusal::RoleMismatch { ours, theirs })
        }
        (Some(ours), None) if config.role_strict => Err(OpenRefusal::NoRole { ours }),
        (ours, _) => Ok(ours),
    }
}
