//! Routes as NLRI: those of EVPN (RFC 7432 section 7, RFC 9136 section 3, RFC 9251 section 9), and
//! prefixes (RFC 4271 section 4.3, RFC 4684 section 4).
//!
//! **`length` octets are what `put` writes, for every route.**

use crate::bgp::wire::error::EncodeError;
use crate::types::{Esi, Family, Label, Membership, Route, RouteKey};
use bytes::{BufMut, BytesMut};
use ipnet::IpNet;
use std::net::IpAddr;

/// Type and length.
const HEAD: usize = 2;
const RD: usize = 8;
const ESI: usize = 10;
const TAG: usize = 4;
const LABEL: usize = 3;
const MAC: usize = 1 + 6;
/// The length of an address or prefix, in bits.
const BITS: usize = 1;
const PATH_ID: usize = 4;

/// A route, or a key with zeros for what it does not name.
#[derive(Clone, Copy)]
pub(super) struct Nlri<'a> {
    key: &'a RouteKey,
    esi: Esi,
    gateway: Option<IpAddr>,
    label1: Label,
    label2: Option<Label>,
    /// Of types 6 to 8.
    membership: Option<Membership>,
    /// Octets of the body.
    body: u8,
    /// What stands before it where ADD-PATH was agreed on (RFC 7911 section 3).
    path_id: Option<u32>,
}

impl<'a> Nlri<'a> {
    /// A route to announce.
    ///
    /// # Errors
    /// An opaque body beyond 255 octets, or a gateway of the other address family (RFC 9136 section
    /// 3.1 has one length for both).
    pub(super) fn announced(route: &'a Route) -> Result<Self, EncodeError> {
        let Route { key, esi, gateway, label1, label2 } = route;
        if let (RouteKey::IpPrefix { prefix, .. }, Some(gateway)) = (key, gateway)
            && prefix.addr().is_ipv4() != gateway.is_ipv4()
        {
            return Err(EncodeError::GatewayOfOtherFamily);
        }
        let body = body_length(key, label2.is_some())?;
        Ok(Self {
            key,
            esi: *esi,
            gateway: *gateway,
            label1: *label1,
            label2: *label2,
            membership: route.membership(),
            body,
            path_id: None,
        })
    }

    /// A key to withdraw, with one label of zero or no flags: receivers look at the key alone.
    ///
    /// # Errors
    /// An opaque body beyond 255 octets.
    pub(super) fn withdrawn(key: &'a RouteKey) -> Result<Self, EncodeError> {
        let body = body_length(key, false)?;
        let label1 = Label::default();
        let membership = Some(Membership::default());
        let (esi, gateway, label2, path_id) = (Esi::ZERO, None, None, None);
        Ok(Self { key, esi, gateway, label1, label2, membership, body, path_id })
    }

    /// With a path identifier before it.
    pub(super) fn with_path_id(self, path_id: Option<u32>) -> Self {
        Self { path_id, ..self }
    }

    /// Octets that [`put`](Self::put) writes.
    pub(super) fn length(&self) -> usize {
        let head = if self.key.family() == Family::EVPN { HEAD } else { BITS };
        let path_id = if self.path_id.is_some() { PATH_ID } else { 0 };
        path_id + head + usize::from(self.body)
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        if let Some(path_id) = self.path_id {
            out.put_u32(path_id);
        }
        if let Some(route_type) = self.key.route_type() {
            out.put_slice(&[route_type.0, self.body]);
        }
        match self.key {
            RouteKey::EthernetAd { rd, esi, etag } => {
                out.put_slice(&rd.0);
                out.put_slice(&esi.0);
                out.put_u32(etag.0);
                out.put_slice(&self.label1.octets());
            }
            RouteKey::MacIp { rd, etag, mac, ip } => {
                out.put_slice(&rd.0);
                out.put_slice(&self.esi.0);
                out.put_u32(etag.0);
                out.put_u8(48);
                out.put_slice(&mac.0);
                match ip {
                    None => out.put_u8(0),
                    Some(ip) => put_sized(*ip, out),
                }
                out.put_slice(&self.label1.octets());
                if let Some(label) = self.label2 {
                    out.put_slice(&label.octets());
                }
            }
            RouteKey::Imet { rd, etag, originator } => {
                out.put_slice(&rd.0);
                out.put_u32(etag.0);
                put_sized(*originator, out);
            }
            RouteKey::EthernetSegment { rd, esi, originator } => {
                out.put_slice(&rd.0);
                out.put_slice(&esi.0);
                put_sized(*originator, out);
            }
            RouteKey::IpPrefix { rd, etag, prefix } => {
                out.put_slice(&rd.0);
                out.put_slice(&self.esi.0);
                out.put_u32(etag.0);
                self.put_prefix(*prefix, out);
                out.put_slice(&self.label1.octets());
            }
            RouteKey::Opaque { route_type, body } => {
                out.put_slice(body);
                let Membership { reserved, max_response, flags } =
                    self.membership.unwrap_or_default();
                match route_type.membership_octets() {
                    0 => {}
                    1 => out.put_u8(flags),
                    _ => {
                        out.put_slice(&reserved);
                        out.put_slice(&[max_response, flags]);
                    }
                }
            }
            RouteKey::Unicast { prefix } => match prefix.network() {
                IpAddr::V4(ip) => self.put_bits(prefix.prefix_len(), &ip.octets(), out),
                IpAddr::V6(ip) => self.put_bits(prefix.prefix_len(), &ip.octets(), out),
            },
            RouteKey::RtMembership(membership) => {
                self.put_bits(membership.bits(), &membership.octets(), out);
            }
        }
    }

    fn put_bits(&self, bits: u8, octets: &[u8], out: &mut BytesMut) {
        out.put_u8(bits);
        out.put_slice(octets.get(..usize::from(self.body)).unwrap_or(octets));
    }

    fn put_prefix(&self, prefix: IpNet, out: &mut BytesMut) {
        out.put_u8(prefix.prefix_len());
        // RFC 9136 §3.1: bits beyond the prefix length are zero.
        put_ip(prefix.network(), out);
        match (self.gateway, prefix) {
            (Some(gateway), _) => put_ip(gateway, out),
            (None, IpNet::V4(_)) => out.put_bytes(0, 4),
            (None, IpNet::V6(_)) => out.put_bytes(0, 16),
        }
    }
}

fn body_length(key: &RouteKey, has_second_label: bool) -> Result<u8, EncodeError> {
    let second = if has_second_label { LABEL } else { 0 };
    let length = match key {
        RouteKey::EthernetAd { .. } => RD + ESI + TAG + LABEL,
        RouteKey::MacIp { ip, .. } => {
            RD + ESI + TAG + MAC + BITS + ip.map_or(0, octets) + LABEL + second
        }
        RouteKey::Imet { originator, .. } => RD + TAG + BITS + octets(*originator),
        RouteKey::EthernetSegment { originator, .. } => RD + ESI + BITS + octets(*originator),
        RouteKey::IpPrefix { prefix, .. } => {
            RD + ESI + TAG + BITS + 2 * octets(prefix.addr()) + LABEL
        }
        RouteKey::Opaque { route_type, body } => {
            body.len().saturating_add(route_type.membership_octets())
        }
        RouteKey::Unicast { prefix } => usize::from(prefix.prefix_len().div_ceil(8)),
        RouteKey::RtMembership(membership) => usize::from(membership.bits().div_ceil(8)),
    };
    u8::try_from(length).map_err(|_| EncodeError::RouteTooLong { length })
}

const fn octets(ip: IpAddr) -> usize {
    if ip.is_ipv4() { 4 } else { 16 }
}

/// The address after its length in bits.
pub(super) fn put_sized(ip: IpAddr, out: &mut BytesMut) {
    out.put_u8(if ip.is_ipv4() { 32 } else { 128 });
    put_ip(ip, out);
}

/// The address alone.
pub(super) fn put_ip(ip: IpAddr, out: &mut BytesMut) {
    match ip {
        IpAddr::V4(ip) => out.put_slice(&ip.octets()),
        IpAddr::V6(ip) => out.put_slice(&ip.octets()),
    }
}
