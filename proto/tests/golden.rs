//! Bytes that other implementations made: each message reads as what its maker was told to send
//! (the comments in `golden/`), and what evpnd writes for it reads the same.

use bytes::BytesMut;
use evpn_proto::bgp::message::{Capability, Family, Message, Open, Update};
use evpn_proto::bgp::wire::error::Action;
use evpn_proto::bgp::wire::{
    AsWidth, DecodeContext, EncodeContext, FamilySet, MESSAGE_LENGTH_MAX, SessionKind, decode,
    encode_announcements, encode_end_of_rib, encode_keepalive, encode_notification, encode_open,
    encode_route_refresh, encode_withdrawals,
};
use evpn_proto::types::{Asn, Route};

const FRR: &str = include_str!("golden/frr-8.4.4.txt");
const GOBGP: &str = include_str!("golden/gobgp-3.10.0.txt");

fn context(session: SessionKind) -> DecodeContext {
    DecodeContext {
        as_width: AsWidth::Four,
        length_max: MESSAGE_LENGTH_MAX,
        families: FamilySet::EVPN,
        session,
        ..DecodeContext::INITIAL
    }
}

fn messages(fixture: &str) -> Vec<Vec<u8>> {
    let hex = |line: &str| -> Vec<u8> {
        let octet = |i| u8::from_str_radix(&line[i..i + 2], 16).unwrap();
        (0..line.len()).step_by(2).map(octet).collect()
    };
    fixture.lines().filter(|line| !line.starts_with('#')).map(hex).collect()
}

fn decoded(fixture: &str, session: SessionKind) -> Vec<Message> {
    let context = context(session);
    messages(fixture).iter().map(|message| decode(message, &context).unwrap()).collect()
}

fn updates(fixture: &str, session: SessionKind) -> Vec<Update> {
    decoded(fixture, session)
        .into_iter()
        .filter_map(|message| match message {
            Message::Update(update) => Some(update),
            _ => None,
        })
        .collect()
}

fn told(route: &Route) -> String {
    let rd = route.key.rd().unwrap();
    let mut text = format!("{} rd {rd} label {}", route.key, route.label1);
    if let Some(second) = route.label2 {
        text += &format!(",{second}");
    }
    if !route.esi.is_zero() {
        text += &format!(" esi {}", route.esi);
    }
    if let Some(gateway) = route.gateway {
        text += &format!(" gw {gateway}");
    }
    text
}

fn announced(updates: &[Update]) -> Vec<String> {
    updates.iter().flat_map(|update| &update.announced).map(told).collect()
}

fn withdrawn(updates: &[Update]) -> Vec<String> {
    updates.iter().flat_map(|update| &update.withdrawn).map(ToString::to_string).collect()
}

#[test]
fn frr_routes_read_as_frr_shows_them() {
    let updates = updates(FRR, SessionKind::External);
    assert!(updates.iter().all(|update| update.action == Action::Accept), "{updates:?}");
    let routes = announced(&updates);
    assert_eq!(
        routes,
        [
            "[5]:[0]:[32]:[10.0.0.1] rd 10.0.0.1:1 label 300",
            // A veth's own address, which the kernel draws by chance.
            &routes[1],
            "[3]:[0]:[32]:[10.0.0.1] rd 10.0.0.1:2 label 0",
            "[2]:[0]:[48]:[02:00:00:00:00:01] rd 10.0.0.1:2 label 100",
            "[2]:[0]:[48]:[02:00:00:00:00:02] rd 10.0.0.1:2 label 100",
            "[2]:[0]:[48]:[02:00:00:00:00:02]:[32]:[198.51.100.2] rd 10.0.0.1:2 label 100,300",
            "[2]:[0]:[48]:[02:00:00:00:00:02]:[128]:[2001:db8::2] rd 10.0.0.1:2 label 100,300",
            "[5]:[0]:[24]:[203.0.113.0] rd 10.0.0.1:1 label 300",
        ]
    );
    assert!(routes[1].starts_with("[2]:[0]:[48]:[") && routes[1].ends_with("2 label 100"));
    assert_eq!(
        withdrawn(&updates),
        [
            "[2]:[0]:[48]:[02:00:00:00:00:02]:[32]:[198.51.100.2]",
            "[2]:[0]:[48]:[02:00:00:00:00:02]:[128]:[2001:db8::2]",
            "[2]:[0]:[48]:[02:00:00:00:00:02]",
            "[5]:[0]:[24]:[203.0.113.0]",
        ]
    );
    let markers: Vec<Family> = updates.iter().filter_map(|update| update.end_of_rib).collect();
    assert_eq!(markers, [Family::EVPN]);
}

#[test]
fn frr_attributes_read_as_frr_shows_them() {
    let updates = updates(FRR, SessionKind::External);
    // *> [5]:[0]:[32]:[10.0.0.1]  ET:8 RT:65001:300 Rmac:02:00:00:00:01:ff
    let prefix = updates[0].attributes.as_ref().unwrap();
    assert_eq!(prefix.next_hop.to_string(), "10.0.0.1");
    assert_eq!(prefix.encapsulations().collect::<Vec<_>>(), [8]);
    assert_eq!(prefix.router_mac().unwrap().to_string(), "02:00:00:00:01:ff");
    assert_eq!(prefix.med, Some(0));
    assert_eq!(prefix.as_path.first(), Some(Asn(65001)));
    let targets: Vec<String> = prefix.route_targets().map(|target| target.to_string()).collect();
    assert_eq!(targets, ["65001:300"]);
    let imet = updates[2].attributes.as_ref().unwrap().pmsi.as_ref().unwrap();
    assert_eq!((imet.tunnel_type, imet.label.value()), (6, 100));
    assert_eq!(imet.identifier.as_ref(), [10, 0, 0, 1]);
}

#[test]
fn gobgp_routes_read_as_gobgp_was_told() {
    let updates = updates(GOBGP, SessionKind::Internal);
    assert!(updates.iter().all(|update| update.action == Action::Accept), "{updates:?}");
    let esi = "01:aa:bb:cc:dd:ee:ff:00:64:00";
    assert_eq!(
        announced(&updates),
        [
            &format!("[1]:[100]:[{esi}] rd 10.0.0.1:100 label 100"),
            "[2]:[0]:[48]:[02:00:00:00:00:01] rd 10.0.0.1:100 label 100",
            &format!(
                "[2]:[10]:[48]:[02:00:00:00:00:02]:[32]:[198.51.100.2] rd 10.0.0.1:100 \
                 label 100,300 esi {esi}"
            ),
            "[3]:[0]:[32]:[10.0.0.1] rd 10.0.0.1:100 label 0",
            "[3]:[0]:[128]:[2001:db8::1] rd 10.0.0.1:100 label 0",
            &format!("[4]:[{esi}]:[32]:[10.0.0.1] rd 10.0.0.1:0 label 0"),
            "[5]:[0]:[24]:[203.0.113.0] rd 10.0.0.1:300 label 300",
            "[5]:[0]:[25]:[203.0.113.0] rd 10.0.0.1:300 label 300 gw 198.51.100.2",
            "[5]:[0]:[48]:[2001:db8:1::] rd 10.0.0.1:300 label 300",
        ]
    );
    // GoBGP withdraws with ESI and labels: the key is the same without them.
    assert_eq!(
        withdrawn(&updates),
        ["[2]:[10]:[48]:[02:00:00:00:00:02]:[32]:[198.51.100.2]", "[5]:[0]:[48]:[2001:db8:1::]",]
    );
    let first = updates[0].attributes.as_ref().unwrap();
    assert_eq!(first.next_hop.to_string(), "192.0.2.1");
    assert_eq!(first.local_pref, Some(100));
    assert_eq!(first.as_path.length(), 0);
}

#[test]
fn opens_of_both_name_their_as_and_family() {
    for (fixture, asn) in [(FRR, 65001), (GOBGP, 4_200_000_001)] {
        let messages = decoded(fixture, SessionKind::External);
        let Message::Open(Open { asn: told, router_id, capabilities, .. }) = &messages[0] else {
            panic!("{:?}", messages[0]);
        };
        assert_eq!((*told, router_id.to_string().as_str()), (Asn(asn), "10.0.0.1"));
        assert!(capabilities.contains(&Capability::Multiprotocol(Family::EVPN)));
        assert!(capabilities.contains(&Capability::FourOctetAs(Asn(asn))));
        assert!(capabilities.contains(&Capability::RouteRefresh));
    }
}

#[test]
fn what_has_one_form_is_written_octet_for_octet_as_frr_writes_it() {
    let encode = EncodeContext { as_width: AsWidth::Four, length_max: MESSAGE_LENGTH_MAX };
    let mut compared = 0;
    for octets in messages(FRR) {
        let written = match decode(&octets, &context(SessionKind::External)).unwrap() {
            Message::Open(_) => continue, // one parameter for each capability there, one here
            Message::Keepalive => encode_keepalive(),
            Message::Notification(notification) => encode_notification(&notification),
            Message::RouteRefresh(refresh) => encode_route_refresh(&refresh),
            Message::Update(update) => match (update.end_of_rib, update.attributes) {
                (Some(family), _) => encode_end_of_rib(family),
                (None, None) => {
                    let mut out = BytesMut::new();
                    encode_withdrawals(update.withdrawn.iter(), &encode, &mut out).unwrap();
                    out.freeze()
                }
                (None, Some(attributes)) => {
                    let mut out = BytesMut::new();
                    let routes = update.announced.iter();
                    encode_announcements(&attributes, &encode, routes, &mut out).unwrap();
                    // FRR gives AS_PATH a length of two octets, evpnd one of one.
                    let long = [0x50, 2, 0, 6].as_slice();
                    let at = octets.windows(4).position(|window| window == long).unwrap();
                    let mut expected = octets.clone();
                    expected.splice(at..at + 4, [0x40, 2, 6]);
                    expected[17] -= 1;
                    expected[22] -= 1;
                    assert_eq!(out, expected);
                    compared += 1;
                    continue;
                }
            },
        };
        assert_eq!(written, octets);
        compared += 1;
    }
    assert_eq!(compared, messages(FRR).len() - 1);
}

#[test]
fn what_is_written_reads_as_what_was_read() {
    let encode = EncodeContext { as_width: AsWidth::Four, length_max: MESSAGE_LENGTH_MAX };
    for (fixture, session) in [(FRR, SessionKind::External), (GOBGP, SessionKind::Internal)] {
        for message in decoded(fixture, session) {
            let written = match &message {
                Message::Open(open) => encode_open(open),
                Message::Update(update) => {
                    let Some(attributes) = &update.attributes else { continue };
                    let mut out = BytesMut::new();
                    let routes = update.announced.iter();
                    encode_announcements(attributes, &encode, routes, &mut out).unwrap();
                    out.freeze()
                }
                _ => continue,
            };
            assert_eq!(decode(&written, &context(session)).as_ref(), Ok(&message));
        }
    }
}
