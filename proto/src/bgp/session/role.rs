//! Roles in OPENs (RFC 9234 section 4.2): whether what both sides say they are goes together.
//!
//! **Two that do not agree on what they are to each other exchange no route.**

use super::config::SessionConfig;
use super::open::PeerKind;
use super::reason::OpenRefusal;
use crate::bgp::message::Open;
use crate::bgp::role::Role;

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
    if let Some((first, other)) = received.two_roles() {
        return Err(OpenRefusal::SeveralRoles { first, other });
    }
    match (config.role, received.roles().next()) {
        (Some(ours), Some(theirs)) if ours.opposite().number() != theirs => {
            Err(OpenRefusal::RoleMismatch { ours, theirs })
        }
        (Some(ours), None) if config.role_strict => Err(OpenRefusal::NoRole { ours }),
        (ours, _) => Ok(ours),
    }
}
