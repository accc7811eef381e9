//! BGP roles (RFC 9234 section 3): what a neighbor in another AS is to us, and we to it.
//!
//! **A role is what we are; what the neighbor is follows from it.** Which two go together stands
//! here once, as does what each is called.

use crate::types::ParseError;
use std::fmt;
use std::str::FromStr;

/// What we are toward a neighbor of another AS. Its number is that of the capability (RFC 9234
/// section 4.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// We carry the neighbor's traffic to everybody.
    Provider = 0,
    /// We are a route server.
    RsServer = 1,
    /// We are a client of a route server.
    RsClient = 2,
    /// The neighbor carries our traffic to everybody.
    Customer = 3,
    /// Each exchanges what is its own and its customers'.
    Peer = 4,
}

impl Role {
    /// All of them, by ascending number.
    pub const ALL: [Self; 5] =
        [Self::Provider, Self::RsServer, Self::RsClient, Self::Customer, Self::Peer];

    /// The role of a number; none where it has not been given out.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.number() == number)
    }

    /// Its number in the capability.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// What the neighbor must be (RFC 9234 section 4.2, table 2).
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Provider => Self::Customer,
            Self::Customer => Self::Provider,
            Self::RsServer => Self::RsClient,
            Self::RsClient => Self::RsServer,
            Self::Peer => Self::Peer,
        }
    }

    /// What a number is called, also one that has not been given out.
    pub fn name_of(number: u8) -> String {
        Self::from_number(number).map_or_else(|| format!("role {number}"), |role| role.to_string())
    }

    /// As configurations write it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::RsServer => "rs-server",
            Self::RsClient => "rs-client",
            Self::Customer => "customer",
            Self::Peer => "peer",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Role {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::ALL.into_iter().find(|role| role.word() == text).ok_or_else(|| {
            ParseError::new(text, "a role: provider, customer, peer, rs-server or rs-client")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_and_numbers_are_those_of_table_1_and_pairs_those_of_table_2() {
        let numbers = Role::ALL.map(|role| (role.number(), role.word(), role.opposite().word()));
        assert_eq!(
            numbers,
            [
                (0, "provider", "customer"),
                (1, "rs-server", "rs-client"),
                (2, "rs-client", "rs-server"),
                (3, "customer", "provider"),
                (4, "peer", "peer"),
            ]
        );
        for role in Role::ALL {
            assert_eq!(role.opposite().opposite(), role);
            assert_eq!(Role::from_number(role.number()), Some(role));
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        assert_eq!((5..=u8::MAX).find_map(Role::from_number), None);
        assert!("transit".parse::<Role>().is_err());
    }
}
