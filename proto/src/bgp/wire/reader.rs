//! A place in a message, and the one door through which nom is called.
//!
//! **Every octet is taken once, in order, and an error names the octet it happened at, counted from
//! the start of the message.**
//!
//! nom 8 runs combinators in its streaming mode under `.parse()` and answers `Incomplete` on octets
//! that end early, which reads like "wait for more" where none will come. [`Reader::parse`] is the
//! only caller, uses `parse_complete`, and demands that everything is taken.

use super::error::{ErrorKind, WireError};
use crate::types::{Esi, EthernetTag, Label, MacAddr, Rd};
use nom::{IResult, Parser};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A run of octets not yet read, and where in the message it starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    octets: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// At the start of a message or of an input that stands alone.
    pub(super) const fn new(octets: &'a [u8]) -> Self {
        Self { octets, offset: 0 }
    }

    /// What is left.
    pub(super) const fn octets(self) -> &'a [u8] {
        self.octets
    }

    /// How much is left.
    pub(super) const fn len(self) -> usize {
        self.octets.len()
    }

    /// Whether all is read.
    pub(super) const fn is_empty(self) -> bool {
        self.octets.is_empty()
    }

    /// The next `length` octets as a reader of their own.
    pub(super) fn take(&mut self, length: usize, field: &'static str) -> Result<Self, WireError> {
        match self.octets.split_at_checked(length) {
            Some((taken, rest)) => {
                let taken = Self { octets: taken, offset: self.offset };
                *self = Self { octets: rest, offset: self.offset.saturating_add(length) };
                Ok(taken)
            }
            None => Err(self.truncated(length, field)),
        }
    }

    /// The next `N` octets.
    pub(super) fn array<const N: usize>(
        &mut self,
        field: &'static str,
    ) -> Result<[u8; N], WireError> {
        match self.octets.split_first_chunk::<N>() {
            Some((taken, rest)) => {
                *self = Self { octets: rest, offset: self.offset.saturating_add(N) };
                Ok(*taken)
            }
            None => Err(self.truncated(N, field)),
        }
    }

    pub(super) fn u8(&mut self, field: &'static str) -> Result<u8, WireError> {
        self.array(field).map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self, field: &'static str) -> Result<u16, WireError> {
        self.array(field).map(u16::from_be_bytes)
    }

    /// What comes after the first `octets`, to say where an error is.
    pub(super) fn after(self, octets: usize) -> Self {
        let rest = self.octets.get(octets..).unwrap_or_default();
        Self { octets: rest, offset: self.offset.saturating_add(octets) }
    }

    /// Reads all of it with a leaf parser.
    pub(super) fn parse<O>(
        self,
        field: &'static str,
        mut parser: impl Parser<&'a [u8], Output = O, Error = nom::error::Error<&'a [u8]>>,
    ) -> Result<O, WireError> {
        match parser.parse_complete(self.octets) {
            Ok(([], value)) => Ok(value),
            // Whether octets lack, are left over, or (impossible here) nom would wait for more:
            // the field does not have the length that its parser takes.
            Ok(_) | Err(_) => Err(self.bad_length(field)),
        }
    }

    /// All of it as exactly `N` octets.
    pub(super) fn exactly<const N: usize>(self, field: &'static str) -> Result<[u8; N], WireError> {
        <[u8; N]>::try_from(self.octets).map_err(|_| self.bad_length(field))
    }

    /// All of it as groups of `N` octets, at least one (RFC 7606 section 7: "non-zero multiple").
    pub(super) fn groups<const N: usize>(
        self,
        field: &'static str,
    ) -> Result<&'a [[u8; N]], WireError> {
        match self.octets.as_chunks::<N>() {
            (groups, []) if !groups.is_empty() => Ok(groups),
            _ => Err(self.bad_length(field)),
        }
    }

    /// An error at this place.
    #[cold]
    pub(super) fn error(self, field: &'static str, kind: ErrorKind) -> WireError {
        WireError { offset: clamp(self.offset), field, kind }
    }

    /// The error that this run has a length it cannot have.
    #[cold]
    pub(super) fn bad_length(self, field: &'static str) -> WireError {
        self.error(field, ErrorKind::BadLength(clamp(self.len())))
    }

    #[cold]
    fn truncated(self, needed: usize, field: &'static str) -> WireError {
        let kind = ErrorKind::Truncated { needed: clamp(needed), available: clamp(self.len()) };
        self.error(field, kind)
    }
}

/// A message has at most 65535 octets; only an input that is none could clamp.
fn clamp(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

/// Leaf parsers: each takes a fixed number of octets.
pub(super) mod leaf {
    use super::*;

    type Leaf<'a, T> = IResult<&'a [u8], T>;

    fn octets<const N: usize>(input: &[u8]) -> Leaf<'_, [u8; N]> {
        match input.split_first_chunk::<N>() {
            Some((taken, rest)) => Ok((rest, *taken)),
            None => Err(nom::Err::Error(nom::error::Error::new(input, nom::error::ErrorKind::Eof))),
        }
    }

    pub(in super::super) fn rd(input: &[u8]) -> Leaf<'_, Rd> {
        octets.map(Rd).parse_complete(input)
    }

    pub(in super::super) fn esi(input: &[u8]) -> Leaf<'_, Esi> {
        octets.map(Esi).parse_complete(input)
    }

    pub(in super::super) fn etag(input: &[u8]) -> Leaf<'_, EthernetTag> {
        octets.map(|o| EthernetTag(u32::from_be_bytes(o))).parse_complete(input)
    }

    pub(in super::super) fn mac(input: &[u8]) -> Leaf<'_, MacAddr> {
        octets.map(MacAddr).parse_complete(input)
    }

    pub(in super::super) fn label(input: &[u8]) -> Leaf<'_, Label> {
        octets.map(Label::from_octets).parse_complete(input)
    }

    pub(in super::super) fn ipv4(input: &[u8]) -> Leaf<'_, IpAddr> {
        octets::<4>.map(|o| IpAddr::V4(Ipv4Addr::from(o))).parse_complete(input)
    }

    pub(in super::super) fn ipv6(input: &[u8]) -> Leaf<'_, IpAddr> {
        octets::<16>.map(|o| IpAddr::V6(Ipv6Addr::from(o))).parse_complete(input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nom::number::be_u8;

    #[test]
    fn a_leaf_that_ends_early_or_late_is_an_error_of_length_and_never_a_wait() {
        let mut message = Reader::new(&[0; 12]);
        message.take(3, "before").unwrap();
        for length in [0, 7, 8] {
            let field = message.take(0, "none").map(|_| message).unwrap();
            let field = { field }.take(length, "field").unwrap();
            // be_u8 without `complete` is the trap: it answers `Incomplete` in streaming mode.
            let parsed = field.parse("field", (leaf::rd, be_u8()));
            let length = u16::try_from(length).unwrap();
            let kind = ErrorKind::BadLength(length);
            assert_eq!(parsed, Err(WireError { offset: 3, field: "field", kind }));
        }
        let nine = message.take(9, "field").unwrap();
        assert_eq!(nine.parse("field", (leaf::rd, be_u8())), Ok((Rd([0; 8]), 0)));
    }

    #[test]
    fn an_error_names_the_octet_counted_from_the_start_of_the_message() {
        let mut reader = Reader::new(&[1, 2, 3, 4, 5]);
        assert_eq!(reader.u16("first"), Ok(0x0102));
        let mut inner = reader.take(2, "inner").unwrap();
        assert_eq!(inner.u8("x"), Ok(3));
        let kind = ErrorKind::Truncated { needed: 2, available: 1 };
        assert_eq!(inner.u16("y"), Err(WireError { offset: 3, field: "y", kind }));
        assert_eq!(inner.u8("a failed read takes nothing"), Ok(4));
        assert_eq!(reader.octets(), [5]);
    }
}
