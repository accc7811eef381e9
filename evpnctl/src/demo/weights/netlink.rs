//! Nexthops and routes by netlink: `evpnctl demo __weights`, inside a node.
//!
//! **It only asks**: two dumps, and nothing is ever changed.

use super::{Kernel, Member, Nexthop};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// RTM_GETNEXTHOP; its answers have [`NEW_NEXTHOP`] (linux/rtnetlink.h).
const GET_NEXTHOP: u16 = 106;
const NEW_NEXTHOP: u16 = 104;
/// NHA_ID, NHA_GROUP, NHA_GATEWAY (linux/nexthop.h).
const NHA_ID: u16 = 1;
const NHA_GROUP: u16 = 2;
const NHA_GATEWAY: u16 = 6;
/// RTA_NH_ID (linux/rtnetlink.h).
const RTA_NH_ID: u16 = 30;
/// Octets of struct nlmsghdr, struct nhmsg, struct rtmsg, struct nexthop_grp.
const HEADER: usize = 16;
const NHMSG: usize = 8;
const RTMSG: usize = 12;
const MEMBER: usize = 8;
/// The largest answer at a time that the kernel sends.
const ANSWER_MAX: usize = 1 << 16;

/// What the kernel of this namespace holds.
pub(crate) fn read() -> io::Result<Kernel> {
    let protocol = Protocol::from(libc::NETLINK_ROUTE);
    let mut socket = Socket::new(Domain::from(libc::AF_NETLINK), Type::RAW, Some(protocol))?;
    let mut kernel = Kernel::default();
    dump(&mut socket, GET_NEXTHOP, &[0; NHMSG], &mut |kind, body| {
        if kind == NEW_NEXTHOP {
            kernel.nexthops.extend(body.get(NHMSG..).and_then(nexthop));
        }
    })?;
    for family in [libc::AF_INET, libc::AF_INET6] {
        let mut request = [0; RTMSG];
        if let (Some(first), Ok(family)) = (request.first_mut(), u8::try_from(family)) {
            *first = family;
        }
        dump(&mut socket, libc::RTM_GETROUTE, &request, &mut |kind, body| {
            if kind == libc::RTM_NEWROUTE {
                kernel.routes.extend(route(body));
            }
        })?;
    }
    Ok(kernel)
}

/// Asks for everything of a kind, and hands each message on.
fn dump(
    socket: &mut Socket,
    kind: u16,
    request: &[u8],
    each: &mut dyn FnMut(u16, &[u8]),
) -> io::Result<()> {
    let flags = u16::try_from(libc::NLM_F_REQUEST | libc::NLM_F_DUMP).map_err(io::Error::other)?;
    let length = u32::try_from(HEADER + request.len()).map_err(io::Error::other)?;
    let message =
        [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &flags.to_ne_bytes(), &[0; 8], request];
    socket.write_all(&message.concat())?;
    let mut answer = vec![0; ANSWER_MAX];
    loop {
        let count = socket.read(&mut answer)?;
        let mut rest = answer.get(..count).unwrap_or_default();
        while let Some((kind, body)) = next_message(&mut rest) {
            match i32::from(kind) {
                libc::NLMSG_DONE => return Ok(()),
                libc::NLMSG_ERROR => {
                    let code =
                        body.get(..4).and_then(|o| o.try_into().ok()).map(i32::from_ne_bytes);
                    return Err(io::Error::from_raw_os_error(code.unwrap_or_default().abs()));
                }
                _ => each(kind, body),
            }
        }
    }
}

fn next_message<'o>(rest: &mut &'o [u8]) -> Option<(u16, &'o [u8])> {
    let length = u32::from_ne_bytes(rest.get(..4)?.try_into().ok()?);
    let length = usize::try_from(length).ok().filter(|length| *length >= HEADER)?;
    let kind = u16::from_ne_bytes(rest.get(4..6)?.try_into().ok()?);
    let body = rest.get(HEADER..length)?;
    *rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((kind, body))
}

/// The attributes of a message: type and value.
fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(rest.get(..2)?.try_into().ok()?));
        // The upper bits are flags.
        let kind = u16::from_ne_bytes(rest.get(2..4)?.try_into().ok()?) & 0x3fff;
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

fn number(octets: &[u8]) -> Option<u32> {
    octets.get(..4)?.try_into().ok().map(u32::from_ne_bytes)
}

fn nexthop(octets: &[u8]) -> Option<Nexthop> {
    let value = |kind| attributes(octets).find(|(k, _)| *k == kind).map(|(_, value)| value);
    let members = value(NHA_GROUP).unwrap_or_default().chunks_exact(MEMBER);
    Some(Nexthop {
        id: number(value(NHA_ID)?)?,
        gateway: value(NHA_GATEWAY).and_then(address),
        group: members.filter_map(member).collect(),
    })
}

/// The weight less one stands in two octets, the upper one since Linux 6.12.
fn member(octets: &[u8]) -> Option<Member> {
    let [low, high] = octets.get(4..6)?.try_into().ok()?;
    Some(Member { id: number(octets)?, weight: u32::from(u16::from_le_bytes([low, high])) + 1 })
}

/// A route by its destination, with the nexthop that it points at.
fn route(octets: &[u8]) -> Option<(String, u32)> {
    let length = octets.get(1)?;
    let value = |kind| attributes(octets.get(RTMSG..)?).find(|(k, _)| *k == kind).map(|(_, v)| v);
    let destination = address(value(libc::RTA_DST)?)?;
    Some((format!("{destination}/{length}"), number(value(RTA_NH_ID)?)?))
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => <[u8; 4]>::try_from(octets).ok().map(|o| Ipv4Addr::from(o).into()),
        16 => <[u8; 16]>::try_from(octets).ok().map(|o| Ipv6Addr::from(o).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_of_this_machine_is_understood() {
        let kernel = read().unwrap();
        assert!(kernel.nexthops.iter().all(|n| n.gateway.is_none() || n.group.is_empty()));
    }

    #[test]
    fn a_weight_has_sixteen_bits() {
        assert_eq!(member(&[7, 0, 0, 0, 255, 0, 0, 0]), Some(Member { id: 7, weight: 256 }));
        assert_eq!(member(&[7, 0, 0, 0, 255, 255, 0, 0]), Some(Member { id: 7, weight: 65_536 }));
        assert_eq!(member(&[7, 0, 0, 0]), None);
    }
}
