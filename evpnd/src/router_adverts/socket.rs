//! The raw socket that router advertisements and solicitations go through.
//!
//! **The kernel lets nothing else in**: its filter passes two types of ICMPv6 and no more.

use crate::peer_io::guard;
use evpn_dataplane::object::IfIndex;
use evpn_proto::nd::{ALL_ROUTERS, HOP_LIMIT, ROUTER_ADVERTISEMENT, ROUTER_SOLICITATION};
use nix::cmsg_space;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::AsRawFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// linux/icmpv6.h; libc has it not.
const ICMPV6_FILTER: libc::c_int = 1;
/// Octets of a message at most: RFC 6980 has them whole in one packet.
const MESSAGE_OCTETS_MAX: usize = 2048;

/// A message as it was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Heard {
    pub(super) device: IfIndex,
    pub(super) source: Ipv6Addr,
    pub(super) hop_limit: u8,
    pub(super) octets: Vec<u8>,
}

/// The socket.
#[derive(Debug)]
pub(super) struct IcmpSocket(AsyncFd<Socket>);

impl IcmpSocket {
    /// # Errors
    /// What the kernel says; CAP_NET_RAW is needed.
    pub(super) fn open() -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
        socket.set_nonblocking(true)?;
        filter(&socket)?;
        socket.set_multicast_hops_v6(HOP_LIMIT.into())?;
        socket.set_unicast_hops_v6(HOP_LIMIT.into())?;
        socket.set_multicast_loop_v6(false)?;
        setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?;
        // SAFETY: the descriptor is the socket's own, who closes it when the `AsyncFd` is dropped
        // and never exchanges it.
        let registered = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) };
        Ok(Self(registered?))
    }

    /// Hears what is said to routers on the interface.
    pub(super) fn join(&self, device: IfIndex) -> io::Result<()> {
        self.0.get_ref().join_multicast_v6(&ALL_ROUTERS, device.0)
    }

    /// No longer does.
    pub(super) fn leave(&self, device: IfIndex) -> io::Result<()> {
        self.0.get_ref().leave_multicast_v6(&ALL_ROUTERS, device.0)
    }

    /// Sends to a group of the link, from our address there.
    pub(super) fn send(
        &self,
        device: IfIndex,
        source: Ipv6Addr,
        to: Ipv6Addr,
        octets: &[u8],
    ) -> io::Result<()> {
        let info = libc::in6_pktinfo {
            ipi6_addr: libc::in6_addr { s6_addr: source.octets() },
            ipi6_ifindex: device.0,
        };
        let to = SockaddrIn6::from(SocketAddrV6::new(to, 0, 0, device.0));
        let control = [ControlMessage::Ipv6PacketInfo(&info)];
        let fd = self.0.get_ref().as_raw_fd();
        sendmsg(fd, &[IoSlice::new(octets)], &control, MsgFlags::empty(), Some(&to))?;
        Ok(())
    }

    /// The next message.
    pub(super) async fn receive(&self) -> io::Result<Heard> {
        loop {
            let mut ready = self.0.readable().await?;
            match ready.try_io(|socket| read(socket.get_ref())) {
                Ok(Ok(Some(heard))) => return Ok(heard),
                Ok(Ok(None)) | Err(_) => {}
                Ok(Err(error)) => return Err(error),
            }
        }
    }
}

/// Reads a message; none if it does not come with all that is to be known of it.
fn read(socket: &Socket) -> io::Result<Option<Heard>> {
    let mut octets = vec![0; MESSAGE_OCTETS_MAX];
    let mut control = cmsg_space!(libc::in6_pktinfo, libc::c_int);
    let (length, source, device, hop_limit) = {
        let mut places = [IoSliceMut::new(&mut octets)];
        let flags = MsgFlags::MSG_DONTWAIT;
        let message =
            recvmsg::<SockaddrIn6>(socket.as_raw_fd(), &mut places, Some(&mut control), flags)?;
        if message.flags.contains(MsgFlags::MSG_TRUNC) {
            return Ok(None);
        }
        let (mut device, mut hop_limit) = (None, None);
        for control in message.cmsgs()? {
            match control {
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    device = Some(IfIndex(info.ipi6_ifindex));
                }
                ControlMessageOwned::Ipv6HopLimit(hops) => hop_limit = u8::try_from(hops).ok(),
                _ => {}
            }
        }
        (message.bytes, message.address, device, hop_limit)
    };
    octets.truncate(length);
    let whole = source.zip(device).zip(hop_limit);
    Ok(whole.map(|((source, device), hop_limit)| {
        let source = source.ip();
        Heard { device, source, hop_limit, octets }
    }))
}

/// `struct icmp6_filter`: a bit for each type that is not let in.
fn filter(socket: &Socket) -> io::Result<()> {
    let mut blocked = [u32::MAX; 8];
    for kind in [ROUTER_SOLICITATION, ROUTER_ADVERTISEMENT] {
        if let Some(word) = blocked.get_mut(usize::from(kind) / 32) {
            *word &= !(1 << (kind % 32));
        }
    }
    guard::set(socket, libc::IPPROTO_ICMPV6, ICMPV6_FILTER, &blocked)
}
