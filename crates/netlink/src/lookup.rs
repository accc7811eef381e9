//! By which route the kernel sends packets to an address, asked of the kernel itself.
//!
//! The dumps read the kernel's routes and ours, which is all that reconciling needs. Those of an
//! operator or another daemon are in neither, and decide all the same where packets go.
//!
//! **It only reads, and keeps nothing**: an answer is true when it is given.

use crate::encode::{AF_INET, AF_INET6, rta};
use crate::parse::ip;
use crate::parse_link::find;
use crate::requests::Requests;
use crate::wire::{Message, Writer, kind, u32_at};
use evpn_dataplane::object::IfIndex;
use evpn_dataplane::op::{ErrorClass, Failure};
use ipnet::IpNet;
use std::net::IpAddr;

/// Octets of `struct rtmsg`.
const ROUTE_HEADER: usize = 12;
/// `RTM_F_FIB_MATCH`: the route of the table, and not what it makes of this destination.
const FIB_MATCH: u32 = 0x2000;

/// What the kernel does with packets to an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lookup {
    /// It sends them by this route.
    Route(Matched),
    /// It drops them: the route is of this type.
    Dropped(&'static str),
    /// It has no route that covers the address.
    NoRoute,
}

/// The route that the kernel chooses for an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Matched {
    /// Its prefix.
    pub prefix: IpNet,
    /// Whether it is one of ours.
    pub ours: bool,
    /// Who wrote it (`RTPROT_*`).
    pub protocol: u8,
    /// Its metric; 0 if it has none.
    pub metric: u32,
    /// The gateway; none of a connected route, and of one with several.
    pub gateway: Option<IpAddr>,
    /// The device; none of a route with several.
    pub device: Option<IfIndex>,
}

impl Requests {
    /// Asks by which route packets to an address leave.
    ///
    /// # Errors
    /// The kernel does not answer, or not with a route.
    pub fn lookup(&mut self, address: IpAddr) -> Result<Lookup, Failure> {
        let ours = self.protocol();
        let mut route = None;
        let asked = self.ask(
            kind::GETROUTE,
            0,
            |message| question(message, address, FIB_MATCH),
            &mut |answer| route = matched(answer, ours),
        );
        match asked {
            Ok(()) => route.map(Lookup::Route).ok_or_else(|| Failure {
                class: ErrorClass::Other,
                errno: 0,
                text: "the kernel's answer is no route".to_owned(),
            }),
            // The kernel says with an error what a route makes of packets that it lets nobody send.
            Err(failure) => match failure.errno {
                libc::ENETUNREACH => Ok(Lookup::NoRoute),
                libc::EHOSTUNREACH => Ok(Lookup::Dropped("unreachable")),
                libc::EACCES => Ok(Lookup::Dropped("prohibit")),
                libc::EINVAL => Ok(Lookup::Dropped("blackhole")),
                _ => Err(failure),
            },
        }
    }

    /// The device through which packets to an address leave; none where there is no route.
    pub fn device_to(&mut self, address: IpAddr) -> Option<IfIndex> {
        let mut device = None;
        let asked =
            self.ask(kind::GETROUTE, 0, |message| question(message, address, 0), &mut |answer| {
                let attributes = answer.payload.get(ROUTE_HEADER..).unwrap_or_default();
                device = find(attributes, rta::OIF).and_then(|value| u32_at(value, 0));
            });
        device.filter(|_| asked.is_ok()).map(IfIndex)
    }
}

/// ```text
/// struct rtmsg  family:8 dst_len:8 src_len:8 tos:8 table:8 protocol:8 scope:8 type:8 flags:32
/// ```
fn question(message: &mut Writer, address: IpAddr, flags: u32) {
    let (family, bits, octets) = match address {
        IpAddr::V4(v4) => (AF_INET, 32, v4.octets().to_vec()),
        IpAddr::V6(v6) => (AF_INET6, 128, v6.octets().to_vec()),
    };
    let mut header = [0; ROUTE_HEADER];
    header[0] = family;
    header[1] = bits;
    header[8..].copy_from_slice(&flags.to_ne_bytes());
    message.put(&header);
    message.attribute(rta::DST, &octets);
}

fn matched(answer: &Message<'_>, ours: u8) -> Option<Matched> {
    let &[family, length, _, _, _, protocol] = answer.payload.first_chunk::<6>()?;
    let attributes = answer.payload.get(ROUTE_HEADER..)?;
    // A default route comes without a destination.
    let any = if family == AF_INET { IpAddr::from([0; 4]) } else { IpAddr::from([0; 16]) };
    let destination = find(attributes, rta::DST).and_then(ip).unwrap_or(any);
    let number = |wanted| find(attributes, wanted).and_then(|value| u32_at(value, 0));
    let gateway = find(attributes, rta::GATEWAY).and_then(ip);
    // Of the other address family it stands in a `struct rtvia`, after 16 bits for the family.
    Some(Matched {
        prefix: IpNet::new(destination, length).ok()?.trunc(),
        ours: protocol == ours,
        protocol,
        metric: number(rta::PRIORITY).unwrap_or_default(),
        gateway: gateway.or_else(|| find(attributes, rta::VIA).and_then(|via| ip(via.get(2..)?))),
        device: number(rta::OIF).map(IfIndex),
    })
}
