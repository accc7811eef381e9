//! The routes that are reflected: which there are, and the octets in which a client says them.
//!
//! ```text
//!   host number n: MAC 02:42 and n, 10.128.0.0 and n
//!   100 hosts  share a set of attributes: VTEP, route target, encapsulation, mobility sequence
//!   1,000 hosts share a route distinguisher: one VNI at one VTEP; 10 VNIs at each VTEP
//! ```
//!
//! **A route's number is in its MAC address, and everything else of its key follows from the
//! number**: so whoever receives it can tell whether it is whole, and count it by a bit.

use crate::Result;
use crate::site;
use bytes::{Bytes, BytesMut};
use evpn_proto::bgp::attributes::{ENCAP_VXLAN, ExtCommunity, MacMobility, PathAttributes};
use evpn_proto::bgp::message::Family;
use evpn_proto::bgp::wire::{
    AsWidth, EncodeContext, MESSAGE_LENGTH_MAX, encode_announcements, encode_end_of_rib,
};
use evpn_proto::types::{Asn, EthernetTag, Label, Rd, Route, RouteKey, RouteTarget, Vni};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;

/// The AS of reflector and clients.
pub(crate) const AS: u32 = 65000;
/// Routes that share a set of attributes.
pub(crate) const PER_SET: u32 = 100;
/// Routes that share a route distinguisher.
pub(crate) const PER_RD: u32 = 1000;
/// Route distinguishers of a VTEP: its VNIs.
const RDS_PER_VTEP: u32 = 10;
/// The VNI of a VTEP's first route distinguisher.
const VNI_FIRST: u32 = 100;
/// The first VTEP's address; the underlay has a route to them.
const VTEP_FIRST: u32 = u32::from_be_bytes([10, 100, 0, 0]);
/// The VTEPs' addresses.
pub(crate) const VTEPS: &str = "10.100.0.0/16";
/// The first host's address.
const HOST_FIRST: u32 = u32::from_be_bytes([10, 128, 0, 0]);
/// Routes that the addresses last for.
pub(crate) const ROUTES_MAX: u32 = 4_000_000;

/// The route distinguisher of a host.
pub(crate) const fn rd(number: u32) -> Rd {
    let service = number / PER_RD;
    Rd::ipv4(vtep(number), (service % RDS_PER_VTEP) as u16 + 1)
}

/// The address of a host.
pub(crate) const fn host(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(HOST_FIRST + number)
}

const fn vtep(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(VTEP_FIRST + number / PER_RD / RDS_PER_VTEP)
}

fn vni(number: u32) -> Vni {
    Vni::new(VNI_FIRST + number / PER_RD % RDS_PER_VTEP).expect("a hundred and some is a VNI")
}

fn attributes(number: u32) -> PathAttributes {
    let mut attributes = PathAttributes::originated(IpAddr::V4(vtep(number)));
    attributes.local_pref = Some(100);
    attributes.ext_communities = vec![
        ExtCommunity::route_target(RouteTarget::auto(Asn(AS), vni(number))),
        ExtCommunity::encap(ENCAP_VXLAN),
    ];
    // Hosts that have moved once, twice, ...: what makes sets differ in a fabric.
    let sequence = number / PER_SET % (PER_RD / PER_SET);
    if sequence > 0 {
        let mobility = MacMobility { sequence, sticky: false };
        attributes.ext_communities.push(ExtCommunity::with_mac_mobility(mobility));
    }
    attributes
}

/// The route of a host.
pub(crate) fn route(number: u32) -> Route {
    let key = RouteKey::MacIp {
        rd: rd(number),
        etag: EthernetTag(0),
        mac: site::mac(number),
        ip: Some(IpAddr::V4(host(number))),
    };
    Route::labelled(key, Label::from(vni(number)))
}

/// The UPDATEs of a client that has these hosts, set by set and each as full as it goes, with
/// End-of-RIB behind them.
pub(crate) fn updates(numbers: Range<u32>) -> Result<Bytes> {
    let context = EncodeContext { as_width: AsWidth::Four, length_max: MESSAGE_LENGTH_MAX };
    let mut out = BytesMut::new();
    let routes: Vec<Route> = numbers.clone().map(route).collect();
    for (first, set) in numbers.step_by(PER_SET as usize).zip(routes.chunks(PER_SET as usize)) {
        encode_announcements(&attributes(first), &context, set.iter(), &mut out)
            .map_err(|e| format!("encoding: {e}"))?;
    }
    out.extend_from_slice(&encode_end_of_rib(Family::EVPN));
    Ok(out.freeze())
}
