//! Keys of types 6 to 11 as the octets that name their routes (RFC 9251 section 9, RFC 9572 section
//! 3).
//!
//! **What [`RouteKey::multicast`] reads from a key that was made here is what it was made from.**

use super::nlri::put_sized;
use crate::types::{Flow, MulticastKey, RouteKey};
use bytes::{BufMut, BytesMut};
use std::net::IpAddr;

impl From<&MulticastKey> for RouteKey {
    fn from(key: &MulticastKey) -> Self {
        let mut out = BytesMut::new();
        match key {
            MulticastKey::Smet { rd, etag, flow }
            | MulticastKey::SelectivePmsi { rd, etag, flow } => {
                out.put_slice(&rd.0);
                out.put_u32(etag.0);
                put_flow(*flow, &mut out);
            }
            MulticastKey::JoinSynch { rd, esi, etag, flow }
            | MulticastKey::LeaveSynch { rd, esi, etag, flow } => {
                out.put_slice(&rd.0);
                out.put_slice(&esi.0);
                out.put_u32(etag.0);
                put_flow(*flow, &mut out);
            }
            MulticastKey::RegionPmsi { rd, etag, region } => {
                out.put_slice(&rd.0);
                out.put_u32(etag.0);
                out.put_slice(region);
            }
            MulticastKey::Leaf { route_key, originator } => {
                out.put_slice(route_key);
                put_sized(*originator, &mut out);
            }
        }
        Self::Opaque { route_type: key.route_type(), body: out.freeze() }
    }
}

fn put_flow(flow: Flow, out: &mut BytesMut) {
    let Flow { source, group, originator } = flow;
    put_or_any(source, out);
    put_or_any(group, out);
    put_sized(originator, out);
}

/// The address after its length in bits, which is 0 for any address.
fn put_or_any(ip: Option<IpAddr>, out: &mut BytesMut) {
    match ip {
        Some(ip) => put_sized(ip, out),
        None => out.put_u8(0),
    }
}
