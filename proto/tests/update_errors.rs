//! What each error of an UPDATE costs: RFC 7606, row by row.

use bytes::Bytes;
use evpn_proto::bgp::attributes::{AsSegmentKind, RawAttribute};
use evpn_proto::bgp::message::{Family, Message, Notification, Update};
use evpn_proto::bgp::wire::error::{Action, ErrorKind};
use evpn_proto::bgp::wire::{
    AsWidth, DecodeContext, FamilySet, MESSAGE_LENGTH_MAX, SessionKind, decode,
};
use evpn_proto::types::Asn;

const EBGP: DecodeContext = DecodeContext {
    as_width: AsWidth::Four,
    length_max: MESSAGE_LENGTH_MAX,
    families: FamilySet::EVPN,
    session: SessionKind::External,
    ..DecodeContext::INITIAL
};
const IBGP: DecodeContext = DecodeContext { session: SessionKind::Internal, ..EBGP };
const EBGP_TWO: DecodeContext = DecodeContext { as_width: AsWidth::Two, ..EBGP };

/// A type 3 route of 10.0.0.1.
const ROUTE: &str = "031100010a000001006400000000200a000001";
const ORIGIN: &str = "400101 00";
const AS_PATH: &str = "400206 0201 0000fde9";

fn hex(text: &str) -> Vec<u8> {
    let text: String = text.split_whitespace().collect();
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

fn attribute(flags: u8, code: u8, value: &str) -> Vec<u8> {
    let value = hex(value);
    let mut octets = vec![flags, code, u8::try_from(value.len()).unwrap()];
    octets.extend(value);
    octets
}

/// MP_REACH_NLRI of 25/70 with next hop 10.0.0.1.
fn reach(nlri: &str) -> Vec<u8> {
    attribute(0x80, 14, &format!("001946 04 0a000001 00 {nlri}"))
}

fn unreach(nlri: &str) -> Vec<u8> {
    attribute(0x80, 15, &format!("001946 {nlri}"))
}

fn message(withdrawn: &[u8], attributes: &[u8], nlri: &[u8]) -> Vec<u8> {
    let length = |octets: &[u8]| u16::try_from(octets.len()).unwrap().to_be_bytes();
    let mut body = length(withdrawn).to_vec();
    body.extend(withdrawn);
    body.extend(length(attributes));
    body.extend(attributes);
    body.extend(nlri);
    let mut message = vec![0xff; 16];
    message.extend(u16::try_from(19 + body.len()).unwrap().to_be_bytes());
    message.push(2);
    message.extend(body);
    message
}

fn read(attributes: &[u8], context: &DecodeContext) -> Result<Update, Notification> {
    read_message(&message(&[], attributes, &[]), context)
}

fn read_message(message: &[u8], context: &DecodeContext) -> Result<Update, Notification> {
    decode(message, context).map(|read| match read {
        Message::Update(update) => update,
        other => panic!("{other:?}"),
    })
}

/// A valid announcement with more attributes after it.
fn with(more: &str) -> Vec<u8> {
    [reach(ROUTE), hex(ORIGIN), hex(AS_PATH), hex(more)].concat()
}

fn reset(subcode: u8, data: &[u8]) -> Result<Update, Notification> {
    Err(Notification { code: 3, subcode, data: Bytes::copy_from_slice(data) })
}

#[test]
fn each_malformed_attribute_costs_what_its_section_says() {
    use Action::{Accept, DiscardAttribute as Discard, TreatAsWithdraw as Withdraw};
    let rows: &[(&str, &DecodeContext, Action)] = &[
        // RFC 7606 §7.3, §7.4: NEXT_HOP and MED have four octets.
        ("400304 0a000001", &EBGP, Accept),
        ("400303 0a0000", &EBGP, Withdraw),
        ("800404 00000001", &EBGP, Accept),
        ("800403 000001", &EBGP, Withdraw),
        // §7.5: LOCAL_PREF is not an external neighbour's to say, well formed or not.
        ("400504 00000064", &IBGP, Accept),
        ("400503 000064", &IBGP, Withdraw),
        ("400504 00000064", &EBGP, Discard),
        ("c00503 000064", &EBGP, Discard),
        // §7.6, §7.7 and RFC 7607.
        ("400600", &EBGP, Accept),
        ("400601 00", &EBGP, Discard),
        ("c00708 0000fde9 0a000001", &EBGP, Accept),
        ("c00706 fde9 0a000001", &EBGP, Discard),
        ("c00706 fde9 0a000001", &EBGP_TWO, Accept),
        ("c00708 00000000 0a000001", &EBGP, Discard),
        // §7.8 to §7.10.
        ("c00804 ffff0000", &EBGP, Accept),
        ("c00803 ffff00", &EBGP, Withdraw),
        ("c00800", &EBGP, Withdraw),
        ("800904 0a000001", &IBGP, Accept),
        ("800905 0a00000100", &IBGP, Withdraw),
        ("800904 0a000001", &EBGP, Discard),
        ("800a04 0a000001", &IBGP, Accept),
        ("800a00", &IBGP, Withdraw),
        ("800a03 0a0000", &EBGP, Discard),
        // §7.14, §7.15, RFC 8092 §6, RFC 9234 §5.
        ("c01008 0002fde900000064", &EBGP, Accept),
        ("c01007 0002fde9000000", &EBGP, Withdraw),
        ("c01913 00022001 0db80000 00000000 00000000 000001", &EBGP, Withdraw),
        ("c0200c 0000fde9 00000001 00000002", &EBGP, Accept),
        ("c02008 0000fde9 00000001", &EBGP, Withdraw),
        ("c02304 0000fde9", &EBGP, Accept),
        ("c02303 00fde9", &EBGP, Withdraw),
        // RFC 6793 §4.1, §6.
        ("c01106 0201 0000fde9", &EBGP, Discard),
        ("c01106 0201 0000fde9", &EBGP_TWO, Accept),
        ("c01105 0201 0000fd", &EBGP_TWO, Discard),
        // §3(c): the optional and the transitive bit, and no other.
        ("c00404 00000001", &EBGP, Withdraw),
        ("a00404 00000001", &EBGP, Accept),
        ("8f0404 00000001", &EBGP, Accept),
        ("400804 ffff0000", &EBGP, Withdraw),
        ("c00600", &EBGP, Discard),
        // Unknown: passed on, or dropped without a word.
        ("c06302 0102", &EBGP, Accept),
        ("806302 0102", &EBGP, Accept),
        // §3(g), §4.
        ("400101 01", &EBGP, Discard),
        ("c00804 ffff0000 c00803 ffff00", &EBGP, Discard),
        ("c00805 ffff0000", &EBGP, Withdraw),
        ("c0", &EBGP, Withdraw),
        ("c008", &EBGP, Withdraw),
        ("d00800", &EBGP, Withdraw),
    ];
    for (more, context, action) in rows {
        let valid: Vec<u8> = match context.as_width {
            AsWidth::Four => with(more),
            AsWidth::Two => {
                [reach(ROUTE), hex(ORIGIN), hex("400204 0201 fde9"), hex(more)].concat()
            }
        };
        let update = read(&valid, context).unwrap_or_else(|n| panic!("{more}: {n:?}"));
        assert_eq!(update.action, *action, "{more}: {:?}", update.errors);
        let withdraws = *action == Action::TreatAsWithdraw;
        assert_eq!(update.withdrawn.len(), usize::from(withdraws), "{more}");
        assert_eq!(update.announced.len(), usize::from(!withdraws), "{more}");
    }
}

#[test]
fn origin_and_as_path_must_be_there_and_well_formed() {
    let rows = [
        (ORIGIN, AS_PATH, Action::Accept),
        ("", AS_PATH, Action::TreatAsWithdraw),
        (ORIGIN, "", Action::TreatAsWithdraw),
        ("400101 03", AS_PATH, Action::TreatAsWithdraw),
        ("400102 0000", AS_PATH, Action::TreatAsWithdraw),
        (ORIGIN, "400200", Action::Accept),
        (ORIGIN, "400206 0201 00000000", Action::TreatAsWithdraw), // RFC 7607: AS 0
        (ORIGIN, "400206 0301 0000fde9", Action::TreatAsWithdraw), // RFC 5065 §5, from outside
        (ORIGIN, "400206 0101 0000fde9", Action::Accept),          // a set
        (ORIGIN, "400206 0202 0000fde9", Action::TreatAsWithdraw), // overrun
        (ORIGIN, "400207 0201 0000fde9 02", Action::TreatAsWithdraw), // underrun
        (ORIGIN, "400202 0200", Action::TreatAsWithdraw),
        (ORIGIN, "400206 0901 0000fde9", Action::TreatAsWithdraw),
    ];
    for (origin, as_path, action) in rows {
        let update = read(&[reach(ROUTE), hex(origin), hex(as_path)].concat(), &EBGP).unwrap();
        assert_eq!(update.action, action, "{origin} {as_path}");
    }
    // Nothing announced, nothing mandatory.
    assert_eq!(read(&unreach(ROUTE), &EBGP).unwrap().action, Action::Accept);
}

#[test]
fn confederation_segments_are_read_within_the_as() {
    let octets = [reach(ROUTE), hex(ORIGIN), hex("400206 0301 0000fde9")].concat();
    let update = read(&octets, &IBGP).unwrap();
    let path = &update.attributes.unwrap().as_path;
    assert_eq!(path.segments[0].kind, AsSegmentKind::ConfedSequence);
    assert_eq!(path.length(), 0);
}

#[test]
fn errors_without_a_route_to_go_with_them_reset_the_session() {
    // RFC 7606 §5.2: the routes may be what the error has hidden.
    let bad_med = hex("800403 000001");
    assert_eq!(read(&[hex(ORIGIN), bad_med.clone()].concat(), &EBGP), reset(1, &[]));
    assert_eq!(read(&[unreach(ROUTE), bad_med].concat(), &EBGP), reset(1, &[]));
    // A discard does not.
    let discard = [unreach(ROUTE), hex("400504 00000064")].concat();
    assert_eq!(read(&discard, &EBGP).unwrap().withdrawn.len(), 1);
    // An attribute that swallows MP_REACH_NLRI by its length does.
    let swallowed = [hex(ORIGIN), hex("4002ff"), reach(ROUTE)].concat();
    assert_eq!(read(&swallowed, &EBGP), reset(1, &[]));
}

#[test]
fn multiprotocol_attributes_twice_or_cut_off_reset_the_session() {
    assert_eq!(read(&[with(""), reach(ROUTE)].concat(), &EBGP), reset(1, &[]));
    assert_eq!(read(&[unreach(ROUTE), unreach("")].concat(), &EBGP), reset(1, &[]));
    assert_eq!(read(&with("800fff 001946"), &EBGP), reset(1, &[]));
    // Too short to name a family.
    assert_eq!(read(&hex("800f02 0019"), &EBGP), reset(9, &hex("800f02 0019")));
    assert_eq!(read(&hex("800e00"), &EBGP), reset(9, &hex("800e00")));
}

#[test]
fn an_incorrect_multiprotocol_attribute_disables_the_family_and_nothing_stands() {
    let rows = [
        attribute(0x80, 14, &format!("001946 05 0a00000101 00 {ROUTE}")), // §7.11: next hop length
        attribute(0x80, 14, &format!("001946 18 {} 00 {ROUTE}", "00".repeat(24))),
        attribute(0x80, 14, "001946 04 0a00"),
        attribute(0x80, 14, "001946 04 0a000001"), // no reserved octet
        attribute(0xc0, 14, &format!("001946 04 0a000001 00 {ROUTE}")), // §5.3: flags
        attribute(0x80, 14, &format!("001946 04 0a000001 00 {ROUTE} 03ff")), // overrun
    ];
    for bad in rows {
        let octets = [unreach(ROUTE), hex(ORIGIN), hex(AS_PATH), bad.clone()].concat();
        let update = read(&octets, &EBGP).unwrap();
        assert_eq!(update.action, Action::DisableAfiSafi, "{bad:02x?}");
        assert!(update.withdrawn.is_empty() && update.announced.is_empty(), "{bad:02x?}");
    }
    let update = read(&attribute(0xc0, 15, "001946"), &EBGP).unwrap();
    assert_eq!((update.action, update.end_of_rib), (Action::DisableAfiSafi, None));
}

#[test]
fn a_next_hop_that_is_no_host_withdraws_and_means_nothing_without_routes() {
    let hops = ["04 00000000", "04 e0000001", "04 ffffffff", "10 00000000000000000000000000000000"];
    for hop in hops {
        let octets = |nlri: &str| {
            let reach = attribute(0x80, 14, &format!("001946 {hop} 00 {nlri}"));
            [reach, hex(ORIGIN), hex(AS_PATH)].concat()
        };
        let update = read(&octets(ROUTE), &EBGP).unwrap();
        assert_eq!((update.action, update.withdrawn.len()), (Action::TreatAsWithdraw, 1), "{hop}");
        assert_eq!(read(&octets(""), &EBGP).unwrap().action, Action::Accept, "{hop}");
    }
}

#[test]
fn a_well_known_attribute_that_is_not_known_resets_the_session_and_is_quoted() {
    assert_eq!(read(&with("406302 0102"), &EBGP), reset(2, &hex("406302 0102")));
}

#[test]
fn a_family_that_was_not_negotiated_is_ignored_whatever_is_in_it() {
    for value in ["000101 04 0a000001 00 21ffffffff", "000101", "001980 03 000000"] {
        let reach = attribute(0x80, 14, value);
        let update = read(&[reach, hex(ORIGIN), hex(AS_PATH)].concat(), &EBGP).unwrap();
        assert_eq!(update.action, Action::DiscardNlri, "{value}");
        assert!(matches!(update.errors[0].error.kind, ErrorKind::NotNegotiated { .. }), "{value}");
        assert_eq!(update.attributes, None);
    }
    // Its End-of-RIB says nothing that could be wrong.
    let end = read(&attribute(0x80, 15, "000201"), &EBGP).unwrap();
    assert_eq!((end.action, end.end_of_rib), (Action::Accept, None));
}

#[test]
fn routes_of_the_old_fields_reset_where_they_cannot_be_read_and_else_cost_nothing_unasked() {
    let good = hex("18 cb0071");
    for bad in ["21 cb007100 00", "18 cb00"] {
        for fields in [(hex(bad), vec![]), (vec![], hex(bad))] {
            let octets = message(&fields.0, &with(""), &fields.1);
            let both = [Family::EVPN, Family::IPV4_UNICAST].into_iter().collect();
            let context = DecodeContext { families: both, ..EBGP };
            assert_eq!(read_message(&octets, &context), reset(10, &[]), "{bad}");
            assert_eq!(read_message(&octets, &EBGP), reset(10, &[]), "{bad}");
            let well_formed = message(&good, &with("40 03 04 c0000201"), &good);
            assert_eq!(read_message(&well_formed, &context).unwrap().action, Action::Accept);
            let unasked = read_message(&well_formed, &EBGP).unwrap();
            assert_eq!((unasked.action, unasked.announced.len()), (Action::DiscardNlri, 1));
        }
    }
}

#[test]
fn lengths_that_contradict_the_messages_reset_the_session() {
    let mut octets = message(&[], &with(""), &[]);
    octets[20] = 0xff; // withdrawn routes length
    assert_eq!(read_message(&octets, &EBGP), reset(1, &[]));
    let mut octets = message(&[], &with(""), &[]);
    octets[22] += 1; // total path attribute length
    assert_eq!(read_message(&octets, &EBGP), reset(1, &[]));
}

#[test]
fn the_true_path_and_aggregator_come_from_the_as4_attributes() {
    // AS_PATH 65001 AS_TRANS, AS4_PATH 70000, AGGREGATOR AS_TRANS, AS4_AGGREGATOR 70000.
    let octets = |aggregator: &str| {
        let more = "400206 0202 fde9 5ba0 c01106 0201 00011170 c01208 00011170 0a000001";
        [reach(ROUTE), hex(ORIGIN), hex(more), hex(aggregator)].concat()
    };
    let update = read(&octets("c00706 5ba0 0a000001"), &EBGP_TWO).unwrap();
    assert_eq!(update.action, Action::Accept, "{:?}", update.errors);
    let set = update.attributes.unwrap();
    assert_eq!(set.as_path.segments[0].asns, [Asn(65001), Asn(70000)]);
    let aggregator = RawAttribute { flags: 0xc0, code: 7, value: hex("00011170 0a000001").into() };
    assert_eq!(set.unknown, [aggregator]);
    // Without an AS4_AGGREGATOR nothing makes the path stale.
    let path = [reach(ROUTE), hex(ORIGIN), hex("400206 0202 fde9 5ba0 c01106 0201 00011170")];
    let octets_without = [path.concat(), hex("c00706 fde9 0a000001")].concat();
    let set = read(&octets_without, &EBGP_TWO).unwrap().attributes.unwrap();
    assert_eq!(set.as_path.segments[0].asns, [Asn(65001), Asn(70000)]);
    // RFC 6793 §4.2.3: a true AS in AGGREGATOR makes both AS4 attributes stale.
    let set = read(&octets("c00706 fde9 0a000001"), &EBGP_TWO).unwrap().attributes.unwrap();
    assert_eq!(set.as_path.segments[0].asns, [Asn(65001), Asn(23456)]);
    assert_eq!(set.unknown[0].value, hex("0000fde9 0a000001"));
}

#[test]
fn what_is_relayed_is_sorted_and_without_the_bits_of_its_encoding() {
    let update = read(&with("d0ff0001 02 c06300 400600"), &EBGP).unwrap();
    let raw = |flags, code, value: &'static [u8]| RawAttribute { flags, code, value: value.into() };
    let expected = [raw(0x40, 6, &[]), raw(0xc0, 0x63, &[]), raw(0xc0, 0xff, &[2])];
    assert_eq!(update.attributes.unwrap().unknown, expected);
}

#[test]
fn a_withdrawal_needs_no_label_and_takes_any() {
    let fixed = "00010a0000010064 00000000000000000000 00000000 30 020000000001 00";
    let kinds = [("021e", ""), ("0221", "000064"), ("0221", "800000"), ("0224", "000064 00012c")];
    for (head, labels) in kinds {
        let update = read(&unreach(&format!("{head} {fixed} {labels}")), &EBGP).unwrap();
        assert_eq!(update.action, Action::Accept, "{labels}");
        assert_eq!(update.withdrawn[0].to_string(), "[2]:[0]:[48]:[02:00:00:00:00:01]");
    }
    // Announced, it needs one.
    let octets = [reach(&format!("021e {fixed}")), hex(ORIGIN), hex(AS_PATH)].concat();
    assert_eq!(read(&octets, &EBGP).unwrap().action, Action::DiscardNlri);
}

#[test]
fn every_other_tunnel_type_that_is_defined_is_kept_and_others_withdraw() {
    for (tunnel, action) in [
        ("00 00 000000", Action::Accept),
        ("00 03 000000 0a000001 ef000001", Action::Accept),
        ("00 0a 000064 0a000001", Action::Accept),
        ("00 86 000064 000010 0a000001", Action::Accept),
        ("00 09 000064 0a000001", Action::TreatAsWithdraw),
        ("00 06 000064", Action::TreatAsWithdraw),
    ] {
        let octets = [with(""), attribute(0xc0, 22, tunnel)].concat();
        assert_eq!(read(&octets, &EBGP).unwrap().action, action, "{tunnel}");
    }
}
