//! What can go wrong with the sockets, and what the kernel's error numbers mean.

use crate::wire::{Attributes, HEADER, Message, aligned, flag, octets, u32_at};
use evpn_dataplane::op::{ErrorClass, Failure};
use std::io;
use thiserror::Error;

/// The kernel's words (`NLMSGERR_ATTR_MSG`).
const ATTR_MESSAGE: u16 = 1;

/// A socket failed, as opposed to a write that the kernel refused.
#[derive(Debug, Error)]
pub enum Error {
    /// No netlink socket.
    #[error("cannot {step} a netlink socket: {source}")]
    Socket {
        /// What was tried.
        step: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The kernel refused a dump.
    #[error("the kernel does not show its {what}: {failure}")]
    Dump {
        /// Of what.
        what: &'static str,
        /// Why not.
        failure: Failure,
    },
    /// No answer came in time.
    #[error("no answer from the kernel while reading its {what}; it is tried again")]
    Timeout {
        /// Of what.
        what: &'static str,
    },
    /// The table changed during each of several dumps.
    #[error("the kernel's {what} changed during every one of several dumps; they are tried again")]
    Unstable {
        /// Of what.
        what: &'static str,
    },
    /// Features cannot be tried out here.
    #[error("cannot try out what the kernel can do: {0}")]
    Probe(Failure),
    /// Hosts cannot be listened to.
    #[error("cannot listen to ARP and ND on access ports: {0}")]
    Snoop(io::Error),
    /// The process may not listen to hosts.
    #[error(
        "evpnd may not listen to ARP and ND on access ports, so hosts that never speak to the switch \
         are announced without their addresses: give it CAP_NET_RAW (the packaged systemd unit does)"
    )]
    SnoopNotPermitted,
    /// The process may not write.
    #[error(
        "evpnd may not change the kernel's network tables: run it with CAP_NET_ADMIN (the packaged \
         systemd unit grants it) or as root"
    )]
    NotPermitted,
}

impl Error {
    pub(crate) fn snoop(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::SnoopNotPermitted,
            _ => Self::Snoop(error),
        }
    }

    pub(crate) fn socket(step: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Socket { step, source }
    }
}

/// What class an error number belongs to.
pub(crate) fn class(errno: i32) -> ErrorClass {
    match errno {
        libc::EEXIST => ErrorClass::Exists,
        libc::ENOENT | libc::ESRCH => ErrorClass::NoEntry,
        libc::ENODEV | libc::ENXIO => ErrorClass::NoDevice,
        libc::ENETDOWN | libc::ENETUNREACH | libc::EHOSTUNREACH => ErrorClass::NetDown,
        libc::EINVAL
        | libc::EOPNOTSUPP
        | libc::EAFNOSUPPORT
        | libc::EPROTONOSUPPORT
        | libc::ERANGE
        | libc::EADDRNOTAVAIL
        | libc::EMSGSIZE => ErrorClass::Refused,
        libc::ENOMEM | libc::ENOSPC | libc::ENOBUFS => ErrorClass::NoMemory,
        libc::EPERM | libc::EACCES => ErrorClass::Denied,
        libc::EBUSY | libc::EAGAIN | libc::EINTR | libc::ETIMEDOUT => ErrorClass::Busy,
        _ => ErrorClass::Other,
    }
}

/// A failure by its (positive) error number, in the kernel's words where it has some.
pub(crate) fn failure(errno: i32, words: Option<String>) -> Failure {
    let text = words.unwrap_or_else(|| {
        let text = io::Error::from_raw_os_error(errno).to_string();
        // std appends "(os error N)"; the number is shown anyway.
        text.split(" (os error").next().unwrap_or_default().to_owned()
    });
    Failure { class: class(errno), errno, text }
}

/// The result in an answer (`NLMSG_ERROR`, which also says that all went well).
pub(crate) fn result(message: &Message<'_>) -> Result<(), Failure> {
    let Some(code) = octets(message.payload, 0).map(i32::from_ne_bytes) else { return Ok(()) };
    if code == 0 {
        return Ok(());
    }
    Err(failure(code.saturating_neg(), words(message)))
}

fn words(message: &Message<'_>) -> Option<String> {
    if message.flags & flag::TLVS == 0 {
        return None;
    }
    let repeated = if message.flags & flag::CAPPED != 0 {
        HEADER
    } else {
        usize::try_from(u32_at(message.payload, 4)?).ok()?
    };
    let attributes = message.payload.get(4usize.checked_add(aligned(repeated))?..)?;
    let (_, text) = Attributes(attributes).find(|(kind, _)| *kind == ATTR_MESSAGE)?;
    let text = text.strip_suffix(&[0]).unwrap_or(text);
    Some(String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Messages, Writer, kind};

    #[test]
    fn the_kernels_words_are_read_from_an_answer() {
        let mut writer = Writer::default();
        writer.begin(kind::ERROR, flag::CAPPED | flag::TLVS, 7);
        writer.put(&(-libc::EINVAL).to_ne_bytes());
        writer.put(&[0; HEADER]);
        writer.attribute(2, &[0; 4]);
        writer.attribute(ATTR_MESSAGE, b"Invalid nexthop id\0");
        writer.end();
        let message = Messages(&writer.buffer).next().unwrap();
        let failure = result(&message).unwrap_err();
        assert_eq!(failure.text, "Invalid nexthop id");
        assert_eq!((failure.class, failure.errno), (ErrorClass::Refused, libc::EINVAL));
    }

    #[test]
    fn an_error_without_words_has_those_of_its_number() {
        let mut writer = Writer::default();
        writer.begin(kind::ERROR, 0, 7);
        writer.put(&(-libc::ENODEV).to_ne_bytes());
        writer.put(&[0; HEADER]);
        writer.end();
        let failure = result(&Messages(&writer.buffer).next().unwrap()).unwrap_err();
        assert_eq!(failure.text, "No such device");
        assert_eq!(failure.class, ErrorClass::NoDevice);
    }
}
