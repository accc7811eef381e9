//! The message header: where a message ends and what it is (RFC 4271 section 4.1).
//!
//! **A frame is whole and of a length that its type can have; nothing after this layer waits for
//! more octets.**

use super::codes::{error, header};
use crate::bgp::message::Notification;
use bytes::Bytes;

/// Octets of the header: marker, length, type.
pub const HEADER_LENGTH: usize = 19;
/// The longest message, header included (RFC 4271 section 4).
pub const MESSAGE_LENGTH_MAX: usize = 4096;
/// The longest message once both sides offered extended messages (RFC 8654 section 4).
pub const EXTENDED_MESSAGE_LENGTH_MAX: usize = 65535;
/// The marker (RFC 4271 section 4.1).
pub(super) const MARKER: [u8; 16] = [0xff; 16];

/// What a message is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum MessageType {
    /// RFC 4271 section 4.2.
    Open = 1,
    /// RFC 4271 section 4.3.
    Update = 2,
    /// RFC 4271 section 4.5.
    Notification = 3,
    /// RFC 4271 section 4.4.
    Keepalive = 4,
    /// RFC 2918 section 3.
    RouteRefresh = 5,
}

impl MessageType {
    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Open),
            2 => Some(Self::Update),
            3 => Some(Self::Notification),
            4 => Some(Self::Keepalive),
            5 => Some(Self::RouteRefresh),
            _ => None,
        }
    }

    /// The shortest it can be, header included (RFC 4271 section 6.1, RFC 2918 section 3).
    const fn length_min(self) -> usize {
        match self {
            Self::Open => 29,
            Self::Update => 23,
            Self::Notification => 21,
            Self::Keepalive => HEADER_LENGTH,
            Self::RouteRefresh => 23,
        }
    }

    /// The longest it can be under a session's maximum. RFC 8654 §4: OPEN and KEEPALIVE keep
    /// theirs.
    fn length_max(self, session_max: usize) -> usize {
        match self {
            Self::Open => MESSAGE_LENGTH_MAX,
            Self::Keepalive => HEADER_LENGTH,
            Self::Update | Self::Notification | Self::RouteRefresh => session_max,
        }
    }
}

/// A message at the front of a buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame {
    /// What it is.
    pub kind: MessageType,
    /// Its octets, header included.
    pub length: usize,
}

/// Looks for a message at the front of `buffer`; `length_max` is what the session allows, header
/// included.
///
/// `None` says that more octets are needed.
///
/// # Errors
/// The NOTIFICATION to send when the header is wrong (RFC 4271 section 6.1).
pub fn frame(buffer: &[u8], length_max: usize) -> Result<Option<Frame>, Notification> {
    let Some(front) = buffer.first_chunk::<HEADER_LENGTH>() else { return Ok(None) };
    let [marker @ .., high, low, code] = front;
    if *marker != MARKER {
        return Err(refuse(header::NOT_SYNCHRONIZED, &[]));
    }
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let bad_length = || refuse(header::BAD_LENGTH, &[*high, *low]);
    if length < HEADER_LENGTH || length > length_max {
        return Err(bad_length());
    }
    let kind = MessageType::from_code(*code).ok_or_else(|| refuse(header::BAD_TYPE, &[*code]))?;
    if length < kind.length_min() || length > kind.length_max(length_max) {
        return Err(bad_length());
    }
    Ok((buffer.len() >= length).then_some(Frame { kind, length }))
}

/// A Message Header Error.
pub(super) fn refuse(subcode: u8, data: &[u8]) -> Notification {
    Notification { code: error::HEADER, subcode, data: Bytes::copy_from_slice(data) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header_of(length: u16, code: u8) -> Vec<u8> {
        let mut octets = MARKER.to_vec();
        octets.extend(length.to_be_bytes());
        octets.push(code);
        octets
    }

    fn verdict(length: u16, code: u8, length_max: usize) -> Result<Option<Frame>, (u8, Vec<u8>)> {
        let mut octets = header_of(length, code);
        octets.resize(usize::from(length).max(HEADER_LENGTH), 0);
        frame(&octets, length_max).map_err(|n| {
            assert_eq!(n.code, error::HEADER);
            (n.subcode, n.data.to_vec())
        })
    }

    #[test]
    fn a_frame_is_found_only_when_it_is_whole() {
        let keepalive = header_of(19, 4);
        for length in 0..keepalive.len() {
            assert_eq!(frame(&keepalive[..length], MESSAGE_LENGTH_MAX), Ok(None), "{length}");
        }
        let mut two = keepalive.clone();
        two.extend(&keepalive);
        let whole = Frame { kind: MessageType::Keepalive, length: 19 };
        assert_eq!(frame(&two, MESSAGE_LENGTH_MAX), Ok(Some(whole)));
        let update = header_of(23, 2);
        assert_eq!(frame(&update, MESSAGE_LENGTH_MAX), Ok(None));
    }

    #[test]
    fn every_type_has_its_least_and_its_greatest_length() {
        let bad = |length: u16| Err((header::BAD_LENGTH, length.to_be_bytes().to_vec()));
        for (code, least) in [(1, 29), (2, 23), (3, 21), (4, 19), (5, 23)] {
            assert_eq!(verdict(least - 1, code, MESSAGE_LENGTH_MAX), bad(least - 1));
            assert!(matches!(verdict(least, code, MESSAGE_LENGTH_MAX), Ok(Some(_))), "{code}");
        }
        assert_eq!(verdict(20, 4, MESSAGE_LENGTH_MAX), bad(20));
        assert_eq!(verdict(4097, 2, MESSAGE_LENGTH_MAX), bad(4097));
        assert!(matches!(verdict(65535, 2, EXTENDED_MESSAGE_LENGTH_MAX), Ok(Some(_))));
        assert_eq!(verdict(4097, 1, EXTENDED_MESSAGE_LENGTH_MAX), bad(4097));
    }

    #[test]
    fn a_bad_marker_or_type_is_told_apart() {
        let mut octets = header_of(19, 4);
        octets[15] = 0xfe;
        assert_eq!(frame(&octets, MESSAGE_LENGTH_MAX), Err(refuse(header::NOT_SYNCHRONIZED, &[])));
        assert_eq!(verdict(19, 6, MESSAGE_LENGTH_MAX), Err((header::BAD_TYPE, vec![6])));
        assert_eq!(verdict(19, 0, MESSAGE_LENGTH_MAX), Err((header::BAD_TYPE, vec![0])));
    }
}
