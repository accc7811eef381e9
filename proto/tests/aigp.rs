//! AIGP (RFC 7311) through an UPDATE: kept with every TLV that it came with, or dropped as malformed.

use bytes::{Bytes, BytesMut};
use evpn_proto::bgp::aigp;
use evpn_proto::bgp::attributes::{PathAttributes, RawAttribute};
use evpn_proto::bgp::message::{Message, Update};
use evpn_proto::bgp::wire::error::Action;
use evpn_proto::bgp::wire::{
    AsWidth, DecodeContext, EncodeContext, FamilySet, SessionKind, decode, encode_announcements,
};
use evpn_proto::types::{EthernetTag, Label, MacAddr, Rd, Route, RouteKey, Vni};
use std::net::{IpAddr, Ipv4Addr};

/// An optional attribute that is not transitive, and one that wrongly is.
const OPTIONAL: u8 = 0x80;
const TRANSITIVE: u8 = 0xc0;

/// What is read of a route with this AIGP.
fn read(flags: u8, value: &[u8]) -> Update {
    let rd = Rd::ipv4(Ipv4Addr::new(10, 0, 0, 1), 100);
    let mac = MacAddr([2, 0, 0, 0, 0, 1]);
    let key = RouteKey::MacIp { rd, etag: EthernetTag(0), mac, ip: None };
    let route = Route::labelled(key, Label::from(Vni::new(100).unwrap()));
    let mut attributes = PathAttributes::originated(IpAddr::from([192, 0, 2, 1]));
    let value = Bytes::copy_from_slice(value);
    attributes.unknown = vec![RawAttribute { flags, code: 26, value }];
    let length_max = 4096;
    let context = EncodeContext { as_width: AsWidth::Four, length_max };
    let mut out = BytesMut::new();
    encode_announcements(&attributes, &context, [&route].into_iter(), &mut out).unwrap();
    let (families, session) = (FamilySet::EVPN, SessionKind::Internal);
    let context = DecodeContext {
        as_width: AsWidth::Four,
        length_max,
        families,
        session,
        ..DecodeContext::INITIAL
    };
    match decode(&out, &context) {
        Ok(Message::Update(update)) => update,
        other => panic!("{other:?}"),
    }
}

fn metric(octets: [u8; 8]) -> Vec<u8> {
    [&[1, 0, 11][..], &octets].concat()
}

#[test]
fn it_comes_back_as_it_was_written_with_tlvs_that_nobody_knows() {
    let value = [&[9, 0, 4, 42][..], &metric([0, 0, 0, 0, 0, 0, 1, 2])].concat();
    let update = read(OPTIONAL, &value);
    assert_eq!(update.action, Action::Accept);
    let attributes = update.attributes.unwrap();
    assert_eq!(aigp::metric(&attributes), Some(258));
    let raw = RawAttribute { flags: OPTIONAL, code: 26, value: value.into() };
    assert_eq!(attributes.unknown, [raw], "neither transitive nor partial");
}

#[test]
fn a_malformed_one_is_dropped_and_its_route_stands() {
    let most = metric([0xff; 8]);
    let rows: [(u8, &[u8]); 6] = [
        (OPTIONAL, &most),
        (OPTIONAL, &[&[9, 0, 4, 42][..], &most].concat()),
        (OPTIONAL, &[1, 0, 10, 0, 0, 0, 0, 0, 0, 0]),
        (OPTIONAL, &[1, 0, 12, 0, 0, 0, 0, 0, 0, 0, 1, 1]),
        (OPTIONAL, &[]),
        (TRANSITIVE, &metric([0, 0, 0, 0, 0, 0, 0, 1])),
    ];
    for (flags, value) in rows {
        let update = read(flags, value);
        assert_eq!(update.action, Action::DiscardAttribute, "{flags:#x} {value:?}");
        assert_eq!(update.announced.len(), 1);
        assert_eq!(update.attributes.unwrap().unknown, []);
    }
    let second = [metric([0, 0, 0, 0, 0, 0, 0, 3]), most].concat();
    let update = read(OPTIONAL, &second);
    assert_eq!(update.action, Action::Accept, "the first one counts");
    assert_eq!(aigp::metric(&update.attributes.unwrap()), Some(3));
}
