//! What is wrong with octets, where, and what that demands.

use thiserror::Error;

/// What RFC 7606 section 2 demands, from mildest to harshest: several errors combine with `max`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Action {
    /// Nothing is wrong.
    #[default]
    Accept,
    /// The attribute is dropped, the routes stand.
    DiscardAttribute,
    /// The route is dropped, the others stand (RFC 7606 section 5.4, RFC 7432 section 7).
    DiscardNlri,
    /// Every route of the message counts as withdrawn.
    TreatAsWithdraw,
    /// The family is ignored from now on; the session stands.
    DisableAfiSafi,
    /// The session ends with a NOTIFICATION.
    ResetSession,
}

/// Octets that are not what they should be. Small and `Copy`: it is made on hot paths.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("{field} at octet {offset}: {kind}")]
pub struct WireError {
    /// Where, in octets from the start of the message (of the input where there is no message).
    pub offset: u16,
    /// What was being read, in the RFC's words.
    pub field: &'static str,
    /// What is wrong with it.
    pub kind: ErrorKind,
}

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ErrorKind {
    /// The octets end before the field does.
    #[error("needs {needed} octets, {available} are left")]
    Truncated {
        /// Octets that the field takes.
        needed: u16,
        /// Octets that are there.
        available: u16,
    },
    /// A length that the field cannot have.
    #[error("length {0} is not allowed")]
    BadLength(u16),
    /// A value that the field cannot have.
    #[error("value {0} is not allowed")]
    BadValue(u32),
    /// Attribute flags that its code cannot have.
    #[error("flags {0:#04x} are wrong for this attribute")]
    BadFlags(u8),
    /// It stands there twice.
    #[error("appears more than once")]
    Duplicate,
    /// It should be there.
    #[error("is missing")]
    Missing,
}

/// An error of an UPDATE with what it demands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UpdateError {
    /// What and where.
    pub error: WireError,
    /// What it demands.
    pub action: Action,
}
