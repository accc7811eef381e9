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
    /// What the error touches counts as withdrawn: every route of the message where it is an
    /// attribute's, the one route where it is a route's own (RFC 9136 section 3.1).
    TreatAsWithdraw,
    /// The family is ignored from now on; the session stands.
    DisableAfiSafi,
    /// The session ends with a NOTIFICATION.
    ResetSession,
}

impl Action {
    /// In one word, for people and programs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::DiscardAttribute => "discard-attribute",
            Self::DiscardNlri => "discard-nlri",
            Self::TreatAsWithdraw => "treat-as-withdraw",
            Self::DisableAfiSafi => "disable-afi-safi",
            Self::ResetSession => "reset-session",
        }
    }
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
    /// It contradicts another field.
    #[error("contradicts another field")]
    Conflict,
    /// Its family was not agreed on.
    #[error("is of family {afi}/{safi}, which was not negotiated")]
    NotNegotiated {
        /// Address family identifier.
        afi: u16,
        /// Subsequent address family identifier.
        safi: u8,
    },
    /// It does not belong on a session of this kind.
    #[error("does not belong on a session of this kind")]
    WrongSession,
}

/// An error of an UPDATE with what it demands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UpdateError {
    /// What and where.
    pub error: WireError,
    /// What it demands.
    pub action: Action,
}

/// Why something cannot be put into messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum EncodeError {
    /// One attribute is longer than its length field can say.
    #[error("attribute {code} takes {length} octets, 65535 are possible: shorten it by policy")]
    AttributeTooLong {
        /// Its code.
        code: u8,
        /// Its octets.
        length: usize,
    },
    /// With these attributes not even one route fits a message.
    #[error(
        "a message of {needed} octets is needed and the neighbour takes {length_max}: shorten the \
         attributes by policy, or negotiate extended messages (RFC 8654)"
    )]
    MessageTooLong {
        /// Octets of the shortest message that would hold the route.
        needed: usize,
        /// Octets that the neighbour takes.
        length_max: usize,
    },
    /// The gateway of a type 5 route is of the other address family than its prefix.
    #[error("prefix and gateway are of two address families: give a gateway of the prefix's own")]
    GatewayOfOtherFamily,
    /// The body of an opaque route is longer than its length octet can say.
    #[error("a route of {length} octets cannot be sent, 255 are possible")]
    RouteTooLong {
        /// Its octets.
        length: usize,
    },
}
