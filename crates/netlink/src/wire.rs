//! Netlink's framing: messages, and attributes within them.
//!
//! ```text
//! message    length:32 type:16 flags:16 sequence:32 port:32  payload  (padded to 4)
//! attribute  length:16 type:16                               payload  (padded to 4)
//! ```
//!
//! **A length that does not fit ends the reading, and never reads beyond what was received.**

/// Octets of a message's header.
pub(crate) const HEADER: usize = 16;
/// The type's bits of an attribute's type; the others say "nested" and "network byte order".
const TYPE_MASK: u16 = 0x3fff;

pub(crate) mod kind {
    pub(crate) const ERROR: u16 = 2;
    pub(crate) const DONE: u16 = 3;
    pub(crate) const NEWLINK: u16 = 16;
    pub(crate) const DELLINK: u16 = 17;
    pub(crate) const GETLINK: u16 = 18;
    pub(crate) const NEWADDR: u16 = 20;
    pub(crate) const DELADDR: u16 = 21;
    pub(crate) const GETADDR: u16 = 22;
    pub(crate) const NEWROUTE: u16 = 24;
    pub(crate) const DELROUTE: u16 = 25;
    pub(crate) const GETROUTE: u16 = 26;
    pub(crate) const NEWNEIGH: u16 = 28;
    pub(crate) const DELNEIGH: u16 = 29;
    pub(crate) const GETNEIGH: u16 = 30;
    pub(crate) const NEWNEXTHOP: u16 = 104;
    pub(crate) const DELNEXTHOP: u16 = 105;
    pub(crate) const GETNEXTHOP: u16 = 106;
}

pub(crate) mod flag {
    pub(crate) const REQUEST: u16 = 0x1;
    pub(crate) const ACK: u16 = 0x4;
    pub(crate) const DUMP_INTERRUPTED: u16 = 0x10;
    pub(crate) const DUMP: u16 = 0x300;
    pub(crate) const REPLACE: u16 = 0x100;
    pub(crate) const EXCL: u16 = 0x200;
    pub(crate) const CREATE: u16 = 0x400;
    pub(crate) const APPEND: u16 = 0x800;
    /// In an answer: only the header of what was asked is repeated.
    pub(crate) const CAPPED: u16 = 0x100;
    /// In an answer: attributes follow.
    pub(crate) const TLVS: u16 = 0x200;
}

/// A message as received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    pub(crate) payload: &'a [u8],
}

/// The messages of one datagram.
#[derive(Debug)]
pub(crate) struct Messages<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let length = usize::try_from(u32_at(self.0, 0)?).ok()?;
        let payload = self.0.get(HEADER..length)?;
        let message = Message {
            kind: u16_at(self.0, 4)?,
            flags: u16_at(self.0, 6)?,
            sequence: u32_at(self.0, 8)?,
            payload,
        };
        self.0 = self.0.get(aligned(length)..).unwrap_or_default();
        Some(message)
    }
}

/// The attributes of a payload: type and value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attributes<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        let length = usize::from(u16_at(self.0, 0)?);
        let value = self.0.get(4..length)?;
        let kind = u16_at(self.0, 2)? & TYPE_MASK;
        self.0 = self.0.get(aligned(length)..).unwrap_or_default();
        Some((kind, value))
    }
}

pub(crate) const fn aligned(length: usize) -> usize {
    (length + 3) & !3
}

/// The first `N` octets from `at` on.
pub(crate) fn octets<const N: usize>(from: &[u8], at: usize) -> Option<[u8; N]> {
    from.get(at..at.checked_add(N)?)?.try_into().ok()
}

pub(crate) fn u16_at(from: &[u8], at: usize) -> Option<u16> {
    octets(from, at).map(u16::from_ne_bytes)
}

pub(crate) fn u32_at(from: &[u8], at: usize) -> Option<u32> {
    octets(from, at).map(u32::from_ne_bytes)
}

/// Messages to be sent, in a buffer that is used again.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    pub(crate) buffer: Vec<u8>,
    /// Where the message in work begins.
    begin: usize,
}

impl Writer {
    pub(crate) fn clear(&mut self) {
        self.buffer.clear();
        self.begin = 0;
    }

    pub(crate) fn begin(&mut self, kind: u16, flags: u16, sequence: u32) {
        self.begin = self.buffer.len();
        self.buffer.extend_from_slice(&[0; 4]);
        self.buffer.extend_from_slice(&kind.to_ne_bytes());
        self.buffer.extend_from_slice(&flags.to_ne_bytes());
        self.buffer.extend_from_slice(&sequence.to_ne_bytes());
        self.buffer.extend_from_slice(&[0; 4]);
    }

    /// Part of the payload, whose length is a multiple of 4.
    pub(crate) fn put(&mut self, octets: &[u8]) {
        self.buffer.extend_from_slice(octets);
    }

    pub(crate) fn attribute(&mut self, kind: u16, value: &[u8]) {
        // No value of ours comes near 64 KiB: the longest is a group of nexthops, and those that
        // do not fit are refused before.
        let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
        self.buffer.extend_from_slice(&length.to_ne_bytes());
        self.buffer.extend_from_slice(&kind.to_ne_bytes());
        self.buffer.extend_from_slice(value);
        self.buffer.resize(self.begin + aligned(self.buffer.len() - self.begin), 0);
    }

    /// Completes the message in work.
    pub(crate) fn end(&mut self) {
        let length = u32::try_from(self.buffer.len() - self.begin).unwrap_or(u32::MAX);
        if let Some(place) = self.buffer.get_mut(self.begin..self.begin + 4) {
            place.copy_from_slice(&length.to_ne_bytes());
        }
    }

    /// Has the last message acknowledged.
    pub(crate) fn ask_for_ack(&mut self) {
        let flags = u16_at(&self.buffer, self.begin + 6).unwrap_or_default() | flag::ACK;
        if let Some(place) = self.buffer.get_mut(self.begin + 6..self.begin + 8) {
            place.copy_from_slice(&flags.to_ne_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut writer = Writer::default();
        for n in 0..3u8 {
            writer.begin(kind::NEWNEIGH, flag::REQUEST, u32::from(n));
            writer.put(&[n; 12]);
            writer.attribute(1, &[n; 5]);
            writer.attribute(2, &[n; 4]);
            writer.end();
        }
        writer.ask_for_ack();
        let messages: Vec<_> = Messages(&writer.buffer).collect();
        assert_eq!(messages.len(), 3);
        for (n, message) in (0..3u8).zip(&messages) {
            assert_eq!((message.kind, message.sequence), (kind::NEWNEIGH, u32::from(n)));
            let attributes: Vec<_> = Attributes(&message.payload[12..]).collect();
            assert_eq!(attributes, [(1, &[n; 5][..]), (2, &[n; 4][..])]);
        }
        assert_eq!(messages[2].flags, flag::REQUEST | flag::ACK);
        assert_eq!(messages[1].flags, flag::REQUEST);
    }

    #[test]
    fn a_length_that_does_not_fit_ends_the_reading() {
        for length in [0u32, 3, 15, 21, u32::MAX] {
            let mut datagram = [0u8; 20];
            datagram[..4].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(Messages(&datagram).count(), 0, "{length}");
        }
        for length in [0u16, 3, 9, u16::MAX] {
            let mut payload = [0u8; 8];
            payload[..2].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(Attributes(&payload).count(), 0, "{length}");
        }
    }
}
