//! What is wrong with an UPDATE so far, and what it costs.
//!
//! **The action is that of the worst error ever noted, also of errors that are not kept.**

use super::nlri::Routes;
use crate::bgp::message::Notification;
use crate::bgp::wire::FamilySet;
use crate::bgp::wire::codes::error;
use crate::bgp::wire::error::{Action, UpdateError, WireError};
use crate::types::Family;
use bytes::Bytes;

/// How many errors of one UPDATE are kept: a message of rubbish could hold tens of thousands.
pub const ERRORS_MAX: usize = 64;

/// Errors in the order found, and the worst of what they demand.
#[derive(Default, Debug)]
pub(super) struct Faults {
    /// At most [`ERRORS_MAX`].
    pub(super) errors: Vec<UpdateError>,
    /// What the message as a whole comes to. RFC 7606 §3(h): the strongest action wins.
    pub(super) action: Action,
    /// What single routes came to.
    routes_action: Action,
    /// The families that are given up.
    pub(super) disabled: FamilySet,
}

impl Faults {
    #[cold]
    pub(super) fn note(&mut self, error: WireError, action: Action) {
        self.keep(error, action);
        self.action = self.action.max(action);
    }

    /// Gives up a family (RFC 7606 section 2).
    #[cold]
    pub(super) fn disable(&mut self, family: Family, error: WireError) {
        self.note(error, Action::DisableAfiSafi);
        self.disabled = self.disabled.with(family);
    }

    /// Notes what is wrong with single routes and has been acted on.
    #[cold]
    pub(super) fn note_routes(&mut self, error: WireError, action: Action) {
        self.keep(error, action);
        self.routes_action = self.routes_action.max(action);
    }

    fn keep(&mut self, error: WireError, action: Action) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(UpdateError { error, action });
        }
    }

    /// Takes over what is wrong with single routes: it has been acted on, so none of it withdraws
    /// the others.
    pub(super) fn absorb_routes(&mut self, routes: &Routes) {
        let room = ERRORS_MAX.saturating_sub(self.errors.len());
        self.errors.extend(routes.errors.iter().take(room));
        self.routes_action = self.routes_action.max(routes.action);
    }

    /// The first error that costs at least so much.
    pub(super) fn first_of(&self, action: Action) -> Option<WireError> {
        self.errors.iter().find(|e| e.action >= action).map(|e| e.error)
    }

    /// The worst of all.
    pub(super) fn worst(&self) -> Action {
        self.action.max(self.routes_action)
    }
}

/// A message for which the session ends: what to answer, and what is wrong and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Refusal {
    /// What to answer.
    pub(super) notification: Notification,
    /// Why.
    pub(super) error: WireError,
}

/// An UPDATE Message Error (RFC 4271 section 6.3): the session ends.
#[cold]
pub(super) fn reset(subcode: u8, data: &[u8], error: WireError) -> Refusal {
    let data = Bytes::copy_from_slice(data);
    Refusal { notification: Notification { code: error::UPDATE, subcode, data }, error }
}
