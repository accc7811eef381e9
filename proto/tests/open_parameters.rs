//! Optional parameters in the short form and in the extended one (RFC 9072).

use bytes::Bytes;
use evpn_proto::bgp::message::{Capability, Message, Open};
use evpn_proto::bgp::wire::{DecodeContext, decode, encode_open};
use evpn_proto::types::Asn;
use std::net::Ipv4Addr;
use std::time::Duration;

/// Where the parameters' length stands in a message.
const LENGTH_AT: usize = 19 + 9;

/// An OPEN whose capabilities take exactly so many octets, with their heads.
fn open_of(mut octets: usize) -> Open {
    let mut capabilities = Vec::new();
    while octets > 0 {
        // Never one octet over, in which no capability has room.
        let taken = if octets <= 257 { octets } else { 200 };
        let value = Bytes::from(vec![0x5a; taken - 2]);
        capabilities.push(Capability::Unknown { code: 200, value });
        octets -= taken;
    }
    let router_id = Ipv4Addr::new(10, 0, 0, 1);
    Open { asn: Asn(65001), hold_time: Duration::from_secs(90), router_id, capabilities }
}

fn read(message: &[u8]) -> Result<Open, (u8, u8)> {
    match decode(message, &DecodeContext::INITIAL) {
        Ok(Message::Open(open)) => Ok(open),
        Ok(other) => panic!("{other:?}"),
        Err(notification) => Err((notification.code, notification.subcode)),
    }
}

/// A message of an OPEN with this behind the BGP identifier, in hexadecimal.
fn message(parameters: &str) -> Vec<u8> {
    let octets = |text: &str| -> Vec<u8> {
        let text: String = text.split_whitespace().collect();
        let pair = |i: usize| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(pair).collect()
    };
    let body = [octets("04 fde9 005a 0a000001"), octets(parameters)].concat();
    let length = u16::try_from(19 + body.len()).unwrap().to_be_bytes();
    [&[0xff; 16][..], &length, &[1], &body].concat()
}

#[test]
fn the_extended_form_is_used_where_the_short_one_cannot_hold_the_capabilities() {
    // The one parameter that holds them has a head of two octets, and the length counts to 255.
    for (octets, extended) in [
        (0, false),
        (2, false),
        (252, false),
        (253, false),
        (254, true),
        (255, true),
        (256, true),
        (257, true),
        (4000, true),
    ] {
        let open = open_of(octets);
        let sent = encode_open(&open);
        let (length, kind) = (sent[LENGTH_AT], sent.get(LENGTH_AT + 1));
        match (octets, extended) {
            (0, _) => assert_eq!((length, kind), (0, None), "no parameter at all"),
            (_, false) => {
                assert_eq!((usize::from(length), kind), (octets + 2, Some(&2)), "{octets}");
                assert_eq!(sent.len(), LENGTH_AT + 1 + 2 + octets);
            }
            (_, true) => {
                assert_eq!((length, kind), (255, Some(&255)), "{octets}");
                let extended_length = u16::try_from(3 + octets).unwrap().to_be_bytes();
                assert_eq!(sent[LENGTH_AT + 2..LENGTH_AT + 4], extended_length, "{octets}");
                assert_eq!(sent.len(), LENGTH_AT + 1 + 3 + 3 + octets);
            }
        }
        assert_eq!(read(&sent), Ok(open), "{octets}");
    }
}

#[test]
fn the_extended_form_is_read_for_short_lists_too_whatever_the_short_length_says() {
    let role = [Capability::Unknown { code: 200, value: Bytes::from_static(&[7]) }];
    // RFC 9072 section 2: the length before the type 255 is ignored, but must not be 0.
    for short in ["ff", "01", "09"] {
        let read = read(&message(&format!("{short} ff 0006 02 0003 c80107"))).unwrap();
        assert_eq!(read.capabilities, role, "{short}");
    }
    let none: [Capability; 0] = [];
    assert_eq!(read(&message("ff ff 0000")).unwrap().capabilities, none, "no parameter");
    assert_eq!(read(&message("ff ff 0003 02 0000")).unwrap().capabilities, none, "no capability");
    let two = read(&message("ff ff 000c 02 0003 c80107 02 0003 c80107")).unwrap();
    assert_eq!(two.capabilities, [role.clone(), role].concat());
}

#[test]
fn lengths_that_contradict_the_message_are_refused() {
    for parameters in [
        "00 ff 0000",
        "ff ff",
        "ff ff 00",
        "ff ff 0006 02 0003 c801",
        "ff ff 0006 02 0004 c80107",
        "ff ff 0005 02 0003 c80107",
        "ff ff 0007 02 0003 c80107",
        "ff ff 0002 02 00",
        "ff ff 0004 02 0001 c8",
        "06 02 03 c80107",
        "04 02 03 c80107",
        "05 02 04 c80107",
    ] {
        assert_eq!(read(&message(parameters)), Err((2, 0)), "{parameters}");
    }
    assert_eq!(read(&message("ff ff 0004 03 0001 00")), Err((2, 4)), "another parameter");
}

#[test]
fn a_list_of_exactly_255_octets_is_short_where_its_first_parameter_is_not_255() {
    let capabilities = format!("c8 fb {}", "5a".repeat(251));
    let read = read(&message(&format!("ff 02 fd {capabilities}"))).unwrap();
    let value = Bytes::from(vec![0x5a; 251]);
    assert_eq!(read.capabilities, [Capability::Unknown { code: 200, value }]);
}
