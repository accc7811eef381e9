//! What keeps strangers out of a session: TCP MD5 (RFC 2385) and the distance that packets may have
//! come (RFC 5082).
//!
//! **Whoever lacks the key is not answered at all**: the kernel drops his packets before anybody
//! here sees them.

use super::Target;
use crate::secret;
use evpn_config::{SecretFile, TCP_MD5_KEY_MAX};
use ipnet::IpNet;
use socket2::Socket;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::ptr;

/// linux/tcp.h; libc has it not.
const TCP_MD5SIG_FLAG_PREFIX: u8 = 1;
/// What packets leave with; each hop takes one.
pub(super) const TTL_MAX: u8 = 255;

/// What a neighbour has to show.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Guard {
    /// The key of TCP MD5.
    pub(crate) key: Option<Key>,
    /// The most hops that its packets may have come.
    pub(crate) max_hops: Option<u8>,
}

/// A key of TCP MD5. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Key(String);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Key {
    /// The first line of a file that nobody else may read.
    ///
    /// # Errors
    /// Whose it is, the file's name and what is wrong with it.
    pub(crate) fn read(file: &SecretFile<'_>) -> Result<Self, String> {
        secret::read(file).map(Self)
    }
}

/// Says how far a socket's packets go, and how far those of its neighbour may have come: of one that
/// is to be dialled with, or was accepted.
pub(super) fn set_distance(
    socket: &Socket,
    address: SocketAddr,
    target: &Target,
) -> io::Result<()> {
    let Some(hops) = target.guard.max_hops else {
        return set_ttl(socket, address.ip(), target.ttl);
    };
    set_ttl(socket, address.ip(), Some(TTL_MAX))?;
    let least = libc::c_int::from(TTL_MAX.saturating_sub(hops).saturating_add(1));
    match address {
        SocketAddr::V4(_) => set(socket, libc::IPPROTO_IP, libc::IP_MINTTL, &least),
        SocketAddr::V6(_) => set(socket, libc::IPPROTO_IPV6, libc::IPV6_MINHOPCOUNT, &least),
    }
}

pub(super) fn set_ttl(socket: &Socket, address: IpAddr, ttl: Option<u8>) -> io::Result<()> {
    match (address, ttl) {
        (_, None) => Ok(()),
        (IpAddr::V4(_), Some(ttl)) => socket.set_ttl_v4(ttl.into()),
        (IpAddr::V6(_), Some(ttl)) => socket.set_unicast_hops_v6(ttl.into()),
    }
}

/// Whom a key is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Signed {
    /// Everybody in a prefix who has none of his own.
    Prefix(IpNet),
    /// One address, on whatever link: the kernel tells no links apart here.
    One(IpAddr),
}

impl Signed {
    /// Whose key the kernel is told.
    pub(super) fn address(self) -> IpAddr {
        match self {
            Self::Prefix(prefix) => prefix.addr(),
            Self::One(address) => address,
        }
    }
}

impl std::fmt::Display for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Prefix(prefix) => prefix.fmt(f),
            Self::One(address) => address.fmt(f),
        }
    }
}

/// Signs what the socket exchanges with a neighbour, or, without a key, no longer.
pub(super) fn sign(socket: &impl AsRawFd, peer: Signed, key: Option<&Key>) -> io::Result<()> {
    let (option, flags, prefix_length) = match peer {
        Signed::Prefix(prefix) => {
            (libc::TCP_MD5SIG_EXT, TCP_MD5SIG_FLAG_PREFIX, prefix.prefix_len())
        }
        Signed::One(_) => (libc::TCP_MD5SIG, 0, 0),
    };
    let text = key.map(|key| key.0.as_bytes()).unwrap_or_default();
    let mut signature = Signature {
        address: storage(peer.address()),
        flags,
        prefix_length,
        length: u16::try_from(text.len()).map_err(io::Error::other)?,
        device: 0,
        key: [0; TCP_MD5_KEY_MAX],
    };
    for (place, octet) in signature.key.iter_mut().zip(text) {
        *place = *octet;
    }
    match set(socket, libc::IPPROTO_TCP, option, &signature) {
        // There was none to take away.
        Err(error) if key.is_none() && error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => Err(io::Error::other(
            "this kernel has no TCP MD5 (CONFIG_TCP_MD5SIG): remove password-file",
        )),
        other => other,
    }
}

/// `struct tcp_md5sig` of linux/tcp.h.
#[repr(C)]
struct Signature {
    address: libc::sockaddr_storage,
    flags: u8,
    prefix_length: u8,
    length: u16,
    device: libc::c_int,
    key: [u8; TCP_MD5_KEY_MAX],
}

fn storage(address: IpAddr) -> libc::sockaddr_storage {
    let address = socket2::SockAddr::from(SocketAddr::new(address, 0));
    // SAFETY: a `sockaddr_storage` is plain data, and socket2's is one as a whole.
    unsafe { *address.as_ptr().cast() }
}

/// Sets an option whose value is laid out as the kernel wants it.
pub(crate) fn set<T>(socket: &impl AsRawFd, level: i32, option: i32, value: &T) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<T>()).map_err(io::Error::other)?;
    let place = ptr::from_ref(value).cast();
    // SAFETY: `place` points at `length` octets that outlive the call.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, place, length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
