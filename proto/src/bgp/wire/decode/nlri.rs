//! Routes as they stand in MP_REACH_NLRI, MP_UNREACH_NLRI and in an UPDATE's own fields: a run of
//! them, whatever their family, and those of EVPN (RFC 7432 section 7, RFC 9136 section 3, RFC 9251
//! section 9).
//!
//! ```text
//! EVPN:    | type (1) | length (1)  | body (length octets)
//! others:  | length in bits (1)     | prefix (as many octets as its bits need)
//! with ADD-PATH each after a path identifier (4)
//! ```
//!
//! **A run whose boundaries cannot be walked to the end yields no route at all; within a run that
//! can, a bad route costs only itself.**
//!
//! Of EVPN types 1 to 5 are read here. Types 6 to 11 are checked ([`super::multicast`]) and, like every
//! other type, kept as octets to be relayed (RFC 7606 section 5.4 asks to discard what is not
//! recognised "unless specified otherwise"; a route reflector that discards would break its
//! clients). Nothing in evpnd acts on an opaque route.

use super::faults::Faults;
use super::{multicast, prefix};
use crate::bgp::wire::DecodeContext;
use crate::bgp::wire::error::{Action, ErrorKind, UpdateError, WireError};
use crate::bgp::wire::reader::{Reader, leaf};
use crate::types::{Esi, Family, Label, Route, RouteKey, RouteType};
use bytes::Bytes;
use ipnet::IpNet;
use nom::Parser;
use nom::number::complete::be_u8;
use std::net::IpAddr;

/// Bits of a MAC address, the only length its field can have (RFC 7432 section 7.2).
const MAC_BITS: u8 = 48;
/// Octets of a type 2 route before its IP address length: RD, ESI, tag, MAC length, MAC.
const MAC_IP_HEAD: usize = 8 + 10 + 4 + 1 + 6;
/// Octets of a type 5 route before its label, by family: RD, ESI, tag, length, prefix, gateway.
const IP_PREFIX_HEAD_V4: usize = 8 + 10 + 4 + 1 + 4 + 4;
const IP_PREFIX_HEAD_V6: usize = 8 + 10 + 4 + 1 + 16 + 16;
/// Octets of a label.
const LABEL: usize = 3;
/// Reserved as an identifier of a segment (RFC 7432 section 5).
pub(super) const MAX_ESI: Esi = Esi([0xff; 10]);

/// Whether routes come or go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// In MP_REACH_NLRI.
    Announced,
    /// In MP_UNREACH_NLRI: labels may be left out, and only the key counts.
    Withdrawn,
}

/// Whether each route of a run follows a path identifier of 4 octets (RFC 7911 section 3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PathIds {
    /// It does not.
    Absent,
    /// It does.
    Present,
}

impl PathIds {
    /// What was agreed on for a family.
    pub(super) fn of(family: Family, context: &DecodeContext) -> Self {
        if context.add_path.contains(family) { Self::Present } else { Self::Absent }
    }
}

/// What a run of NLRI says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Routes {
    /// Routes announced, in the order sent.
    pub announced: Vec<Route>,
    /// Routes withdrawn, those included that an error of their own withdraws.
    pub withdrawn: Vec<RouteKey>,
    /// Path identifiers of `announced`, as many; empty where there are none.
    pub announced_ids: Vec<u32>,
    /// Path identifiers of `withdrawn`, as many; empty where there are none.
    pub withdrawn_ids: Vec<u32>,
    /// The worst that an error demands.
    pub action: Action,
    /// Errors in the order found, at most [`ERRORS_MAX`](super::ERRORS_MAX).
    pub errors: Vec<UpdateError>,
}

/// Reads NLRI of family 25/70 that stand alone.
///
/// # Errors
/// The run cannot be walked: a length leads beyond its end (RFC 7606 section 5.3).
pub fn decode_nlri(octets: &[u8], direction: Direction) -> Result<Routes, WireError> {
    let run = Run { rest: Reader::new(octets), family: Family::EVPN, path_ids: PathIds::Absent };
    routes(run, direction)
}

/// As [`decode_nlri`], within a message and of any family.
pub(super) fn routes(run: Run<'_>, direction: Direction) -> Result<Routes, WireError> {
    // All boundaries before the first route: nothing is half applied, and the count bounds memory.
    let count = count(run)?;
    let mut found = Routes::default();
    match direction {
        Direction::Announced => found.announced.reserve_exact(count),
        Direction::Withdrawn => found.withdrawn.reserve_exact(count),
    }
    let mut faults = Faults::default();
    for item in run {
        let item = item?;
        match (item.route(direction), direction) {
            (Ok(route), Direction::Withdrawn) => found.withdraw(route.key, item.path_id),
            // RFC 9136 §3.1: ESI and gateway MUST NOT both be set; such a route is treated as
            // withdrawn, the others of the message have no part in it.
            (Ok(route), Direction::Announced) if contradicts_itself(&route) => {
                let field = "IP prefix route's gateway";
                faults.note(item.error(field, ErrorKind::Conflict), Action::TreatAsWithdraw);
                found.withdraw(route.key, item.path_id);
            }
            (Ok(route), Direction::Announced) => {
                found.announced.push(route);
                found.announced_ids.extend(item.path_id);
            }
            (Err(error), _) => faults.note(error, Action::DiscardNlri),
        }
    }
    found.action = faults.action;
    found.errors = faults.errors;
    Ok(found)
}

impl Routes {
    fn withdraw(&mut self, key: RouteKey, path_id: Option<u32>) {
        self.withdrawn.push(key);
        self.withdrawn_ids.extend(path_id);
    }
}

/// RFC 9136 §3.1: ESI and gateway are not both set.
pub(super) fn contradicts_itself(route: &Route) -> bool {
    route.gateway.is_some() && !route.esi.is_zero()
}

fn count(mut run: Run<'_>) -> Result<usize, WireError> {
    run.try_fold(0_usize, |count, item| item.map(|_| count.saturating_add(1)))
}

/// A run of NLRI of one family, cut into its routes. It ends at the first error.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    pub(super) rest: Reader<'a>,
    pub(super) family: Family,
    pub(super) path_ids: PathIds,
}

/// A route as it stands in a run.
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) path_id: Option<u32>,
    kind: Kind,
    body: Reader<'a>,
}

/// What its body is.
#[derive(Clone, Copy)]
enum Kind {
    /// An EVPN route of this type.
    Evpn(RouteType),
    /// A prefix of so many bits, of this family.
    Prefix(Family, u8),
}

impl Item<'_> {
    /// Reads the route.
    pub(super) fn route(&self, direction: Direction) -> Result<Route, WireError> {
        match self.kind {
            Kind::Evpn(route_type) => route(route_type, self.body, direction),
            Kind::Prefix(family, bits) => prefix::route(family, bits, self.body),
        }
    }

    fn error(&self, field: &'static str, kind: ErrorKind) -> WireError {
        self.body.error(field, kind)
    }
}

impl<'a> Iterator for Run<'a> {
    type Item = Result<Item<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let item = self.item();
        if item.is_err() {
            self.rest = self.rest.after(self.rest.len());
        }
        Some(item)
    }
}

impl<'a> Run<'a> {
    fn item(&mut self) -> Result<Item<'a>, WireError> {
        let path_id = match self.path_ids {
            PathIds::Absent => None,
            PathIds::Present => Some(self.rest.array("path identifier").map(u32::from_be_bytes)?),
        };
        if self.family == Family::EVPN {
            let (route_type, body) = next(&mut self.rest)?;
            return Ok(Item { path_id, kind: Kind::Evpn(route_type), body });
        }
        let (bits, body) = prefix::next(&mut self.rest, self.family)?;
        Ok(Item { path_id, kind: Kind::Prefix(self.family, bits), body })
    }
}

/// Type, length and body of the route at the front.
pub(super) fn next<'a>(run: &mut Reader<'a>) -> Result<(RouteType, Reader<'a>), WireError> {
    let [route_type, length] = run.array("EVPN route's type and length")?;
    Ok((RouteType(route_type), run.take(usize::from(length), "EVPN route")?))
}

/// Reads an EVPN route from its body.
pub(super) fn route(
    route_type: RouteType,
    body: Reader<'_>,
    direction: Direction,
) -> Result<Route, WireError> {
    match route_type.0 {
        0 => Err(body.error("EVPN route type", ErrorKind::BadValue(0))),
        1 => ethernet_ad(body, direction),
        2 => mac_ip(body, direction),
        3 => imet(body),
        4 => ethernet_segment(body),
        5 => ip_prefix(body, direction),
        6..=11 => multicast::route(route_type, body),
        _ => Ok(opaque(route_type, body)),
    }
}

/// ```text
/// RD (8) | ESI (10) | tag (4) | label (3)
/// ```
fn ethernet_ad(mut body: Reader<'_>, direction: Direction) -> Result<Route, WireError> {
    let start = body;
    let head = body.take(8 + 10 + 4, "Ethernet A-D route")?;
    let (rd, esi, etag) = head.parse("Ethernet A-D route", (leaf::rd, leaf::esi, leaf::etag))?;
    let (label1, None) = labels(body, direction)? else {
        return Err(start.bad_length("Ethernet A-D route"));
    };
    if esi == MAX_ESI {
        return Err(start.error("Ethernet A-D route's reserved ESI", ErrorKind::BadValue(0xff)));
    }
    Ok(Route::labelled(RouteKey::EthernetAd { rd, esi, etag }, label1))
}

/// ```text
/// RD (8) | ESI (10) | tag (4) | 48 (1) | MAC (6) | 0, 32 or 128 (1) | IP (0, 4 or 16)
/// | label (3) | second label (0 or 3)
/// ```
fn mac_ip(mut body: Reader<'_>, direction: Direction) -> Result<Route, WireError> {
    let start = body;
    let head = body.take(MAC_IP_HEAD, "MAC/IP route")?;
    let (rd, esi, etag, mac_bits, mac) =
        head.parse("MAC/IP route", (leaf::rd, leaf::esi, leaf::etag, be_u8, leaf::mac))?;
    if mac_bits != MAC_BITS {
        let at = start.after(8 + 10 + 4);
        return Err(at.error("MAC address length", ErrorKind::BadValue(mac_bits.into())));
    }
    let ip = sized_ip(&mut body, "MAC/IP route's IP address length")?;
    let (label1, label2) = labels(body, direction)?;
    let key = RouteKey::MacIp { rd, etag, mac, ip };
    Ok(Route { key, esi, gateway: None, label1, label2 })
}

/// ```text
/// RD (8) | tag (4) | 32 or 128 (1) | originating router (4 or 16)
/// ```
fn imet(mut body: Reader<'_>) -> Result<Route, WireError> {
    let head = body.take(8 + 4, "IMET route")?;
    let (rd, etag) = head.parse("IMET route", (leaf::rd, leaf::etag))?;
    let originator = originator(body, "IMET route's originator length")?;
    Ok(Route::bare(RouteKey::Imet { rd, etag, originator }))
}

/// ```text
/// RD (8) | ESI (10) | 32 or 128 (1) | originating router (4 or 16)
/// ```
fn ethernet_segment(mut body: Reader<'_>) -> Result<Route, WireError> {
    let start = body;
    let head = body.take(8 + 10, "Ethernet segment route")?;
    let (rd, esi) = head.parse("Ethernet segment route", (leaf::rd, leaf::esi))?;
    let originator = originator(body, "Ethernet segment route's originator length")?;
    // RFC 7432 §5: both are reserved; zero would make every single-homed port one segment.
    if esi.is_zero() || esi == MAX_ESI {
        return Err(start.error("Ethernet segment route's reserved ESI", ErrorKind::Conflict));
    }
    Ok(Route::bare(RouteKey::EthernetSegment { rd, esi, originator }))
}

/// ```text
/// RD (8) | ESI (10) | tag (4) | prefix length (1) | prefix (4 or 16) | gateway (4 or 16) | label (3)
/// ```
fn ip_prefix(mut body: Reader<'_>, direction: Direction) -> Result<Route, WireError> {
    const FIELD: &str = "IP prefix route";
    let start = body;
    let front = (leaf::rd, leaf::esi, leaf::etag, be_u8);
    // RFC 9136 §3.1: the length alone tells the family.
    let head = if start.len() < IP_PREFIX_HEAD_V6 {
        let head = body.take(IP_PREFIX_HEAD_V4, FIELD)?;
        head.parse(FIELD, (front, leaf::ipv4, leaf::ipv4))?
    } else {
        let head = body.take(IP_PREFIX_HEAD_V6, FIELD)?;
        head.parse(FIELD, (front, leaf::ipv6, leaf::ipv6))?
    };
    let ((rd, esi, etag, bits), prefix, gateway) = head;
    let (label1, None) = labels(body, direction)? else {
        return Err(start.bad_length(FIELD));
    };
    // RFC 9136 §3.1: bits beyond the prefix length do not make another route.
    let prefix = IpNet::new(prefix, bits)
        .map_err(|_| {
            let at = start.after(8 + 10 + 4);
            at.error("IP prefix length", ErrorKind::BadValue(bits.into()))
        })?
        .trunc();
    let gateway = Some(gateway).filter(|ip| !ip.is_unspecified());
    let key = RouteKey::IpPrefix { rd, etag, prefix };
    Ok(Route { key, esi, gateway, label1, label2: None })
}

fn opaque(route_type: RouteType, body: Reader<'_>) -> Route {
    let body = Bytes::copy_from_slice(body.octets());
    Route::bare(RouteKey::Opaque { route_type, body })
}

/// An address after its length in bits; none where that is 0.
pub(super) fn sized_ip(
    body: &mut Reader<'_>,
    field: &'static str,
) -> Result<Option<IpAddr>, WireError> {
    let at = *body;
    match body.u8(field)? {
        0 => Ok(None),
        32 => body.take(4, field)?.parse(field, leaf::ipv4.map(Some)),
        128 => body.take(16, field)?.parse(field, leaf::ipv6.map(Some)),
        bits => Err(at.error(field, ErrorKind::BadValue(bits.into()))),
    }
}

/// The mandatory address at the end of types 3 and 4.
fn originator(mut body: Reader<'_>, field: &'static str) -> Result<IpAddr, WireError> {
    let at = body;
    let ip = sized_ip(&mut body, field)?;
    if !body.is_empty() {
        return Err(body.bad_length(field));
    }
    ip.ok_or_else(|| at.error(field, ErrorKind::BadValue(0)))
}

/// One or two labels that end a route. A withdrawal may leave them out: they are not in the key.
fn labels(body: Reader<'_>, direction: Direction) -> Result<(Label, Option<Label>), WireError> {
    const FIELD: &str = "EVPN route's label";
    match (body.len(), direction) {
        (0, Direction::Withdrawn) => Ok((Label::default(), None)),
        (LABEL, _) => body.parse(FIELD, leaf::label.map(|first| (first, None))),
        _ => body.parse(FIELD, (leaf::label, leaf::label.map(Some))),
    }
}
