//! What each error of an OPEN or ROUTE-REFRESH answers: RFC 4271 section 6.2 and the capabilities'
//! own RFCs, row by row.

use bytes::Bytes;
use evpn_proto::bgp::message::{Capability, Family, Message, Notification, Open};
use evpn_proto::bgp::role::Role;
use evpn_proto::bgp::wire::{DecodeContext, decode};
use evpn_proto::types::Asn;

fn hex(text: &str) -> Vec<u8> {
    let text: String = text.split_whitespace().collect();
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

fn framed(code: u8, body: &str) -> Vec<u8> {
    let body = hex(body);
    let mut message = vec![0xff; 16];
    message.extend(u16::try_from(19 + body.len()).unwrap().to_be_bytes());
    message.push(code);
    message.extend(body);
    message
}

fn open(body: &str) -> Result<Open, (u8, u8, Bytes)> {
    match decode(&framed(1, body), &DecodeContext::INITIAL) {
        Ok(Message::Open(open)) => Ok(open),
        Ok(other) => panic!("{other:?}"),
        Err(Notification { code, subcode, data }) => Err((code, subcode, data)),
    }
}

fn refused(subcode: u8) -> Result<Open, (u8, u8, Bytes)> {
    Err((2, subcode, Bytes::new()))
}

#[test]
fn each_field_of_an_open_is_judged_by_its_rule() {
    let rows = [
        ("04 fde9 005a 0a000001 00", None),
        ("04 0000 005a 0a000001 00", Some(2)), // RFC 7607: AS 0
        ("04 5ba0 005a 0a000001 00", Some(2)), // AS_TRANS without the capability
        ("04 fde9 0001 0a000001 00", Some(6)),
        ("04 fde9 0002 0a000001 00", Some(6)),
        ("04 fde9 0000 0a000001 00", None),
        ("04 fde9 0003 0a000001 00", None),
        ("04 fde9 005a 00000000 00", Some(3)),
        ("04 fde9 005a e0000001 00", None), // RFC 6286: any number but zero
        ("04 fde9 005a 0a000001 01", Some(0)),
        ("04 fde9 005a 0a000001 00 00", Some(0)),
        ("04 fde9 005a 0a000001 02 0200", None),
        ("04 fde9 005a 0a000001 02 0100", Some(4)), // deprecated authentication
        ("04 fde9 005a 0a000001 02 0201", Some(0)),
        ("04 fde9 005a 0a000001 03 0201 02", Some(0)),
        ("04 fde9 005a 0a000001 04 0202 0201", Some(0)),
        // Capabilities that the session cannot do without have to be right.
        ("04 fde9 005a 0a000001 08 0206 0104 0019 00 46", None),
        ("04 fde9 005a 0a000001 07 0205 0103 0019 00", Some(0)),
        ("04 fde9 005a 0a000001 07 0205 4103 00fde9", Some(0)),
        // 4-octet AS: the field says the same or AS_TRANS.
        ("04 fde9 005a 0a000001 08 0206 4104 0000fde9", None),
        ("04 5ba0 005a 0a000001 08 0206 4104 00011170", None),
        ("04 5ba0 005a 0a000001 08 0206 4104 0000fde9", None),
        ("04 fde9 005a 0a000001 08 0206 4104 0000fdea", Some(2)),
        ("04 fde9 005a 0a000001 08 0206 4104 00000000", Some(2)),
        ("04 0000 005a 0a000001 08 0206 4104 0000fde9", Some(2)),
        ("04 5ba0 005a 0a000001 08 0206 4104 00005ba0", Some(2)),
    ];
    for (body, subcode) in rows {
        match subcode {
            None => assert!(open(body).is_ok(), "{body}: {:?}", open(body)),
            Some(subcode) => assert_eq!(open(body), refused(subcode), "{body}"),
        }
    }
    let version = Err((2, 1, Bytes::from_static(&[0, 4])));
    assert_eq!(open("03 fde9 005a 0a000001 00"), version);
}

#[test]
fn the_as_is_the_capabilitys_where_there_is_one() {
    let told = open("04 5ba0 005a 0a000001 08 0206 4104 00011170").unwrap();
    assert_eq!(told.asn, Asn(70000));
    assert_eq!(told.capabilities, [Capability::FourOctetAs(Asn(70000))]);
    assert_eq!(open("04 fde9 005a 0a000001 00").unwrap().asn, Asn(65001));
}

#[test]
fn capabilities_of_odd_form_are_kept_and_not_agreed_on() {
    let unknown = |code, value: &'static [u8]| Capability::Unknown { code, value: value.into() };
    let read = open("04 fde9 005a 0a000001 0e 020c 0201ff 060101 4000 4900 c800").unwrap();
    assert_eq!(
        read.capabilities,
        [
            unknown(2, &[0xff]),
            unknown(6, &[1]),
            unknown(64, &[]),
            unknown(0x49, &[]),
            unknown(0xc8, &[])
        ]
    );
}

#[test]
fn a_role_is_one_octet_of_those_given_out() {
    let unknown = |value: &'static [u8]| Capability::Unknown { code: 9, value: value.into() };
    let read = open("04 fde9 005a 0a000001 11 020f 090103 090104 090105 09020003 0900").unwrap();
    let roles = [Role::Customer, Role::Peer].map(Capability::Role);
    let [customer, peer] = roles;
    assert_eq!(read.capabilities, [customer, peer, unknown(&[5]), unknown(&[0, 3]), unknown(&[])]);
}

#[test]
fn an_odd_tail_of_graceful_restart_is_no_family() {
    let read = open("04 fde9 005a 0a000001 0c 020a 4008 c078 0019 46 80 0001").unwrap();
    let Capability::GracefulRestart(restart) = &read.capabilities[0] else { panic!("{read:?}") };
    assert!(restart.restarting && restart.notification);
    assert_eq!(restart.restart_time.as_secs(), 120);
    assert_eq!(restart.families.len(), 1);
    assert_eq!(restart.families[0].0, Family::EVPN);
}

#[test]
fn extended_parameters_are_read_whatever_the_short_length_says() {
    for short in ["ff", "08"] {
        let body = format!("04 fde9 005a 0a000001 {short} ff 0009 02 0006 0104 0019 00 46");
        let read = open(&body).unwrap();
        assert_eq!(read.capabilities, [Capability::Multiprotocol(Family::EVPN)]);
    }
    assert_eq!(open("04 fde9 005a 0a000001 ff ff 000a 02 0006 0104 0019 00 46"), refused(0));
}

#[test]
fn a_route_refresh_may_have_filters_after_a_request_and_nothing_after_its_marks() {
    let read = |body| decode(&framed(5, body), &DecodeContext::INITIAL);
    assert!(matches!(read("0019 00 46"), Ok(Message::RouteRefresh(_))));
    assert!(matches!(read("0019 00 46 01 80 0000"), Ok(Message::RouteRefresh(_))));
    for mark in ["0019 01 46 00", "0019 02 46 00"] {
        let refused = read(mark).unwrap_err();
        assert_eq!((refused.code, refused.subcode), (7, 1));
        assert_eq!(refused.data, framed(5, mark));
    }
}
