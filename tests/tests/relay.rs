//! Routes of types 1 to 5, and of types that evpnd does not know, pass through it to a third
//! speaker: their NLRI and the attributes that are none of its business leave as they came.
//!
//! **Compared are the octets of both captured conversations**, cut apart by the test's own reading
//! of the RFCs. What a border or a reflector has to change is said here once more, in `passed_on`.
#![cfg(feature = "kernel-tests")]

use evpn_tests::dissect::{Complaint, bgp_messages, complaints, write_capture};
use evpn_tests::octets::{self, Attribute, Attributes, Update, code, hex, unhex};
use evpn_tests::{Capture, Evpnd, Fabric, Gobgp, Leaf, Speaker, eventually};
use std::collections::BTreeMap;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
const OPTIONAL: u8 = 0x80;
const TRANSITIVE: u8 = 0x40;
const PARTIAL: u8 = 0x20;
const RELAYED: u8 = OPTIONAL | TRANSITIVE;
/// Optional transitive attributes that nobody has.
const UNRECOGNISED: [u8; 3] = [200, 201, 202];

/// What evpnd is between its two neighbours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    /// An AS of its own between two others.
    Transit,
    /// A reflector of two clients.
    Reflector,
}

impl Role {
    /// Its AS and those of its neighbours.
    fn systems(self) -> [u32; 3] {
        match self {
            Self::Transit => [65001, 65002, 65003],
            Self::Reflector => [65000; 3],
        }
    }

    fn config(self) -> String {
        let [own, first, second] = self.systems();
        let client = match self {
            Self::Transit => "",
            Self::Reflector => "route-reflector-client = true\n",
        };
        format!(
            "[router]\nas = {own}\nid = \"10.0.0.1\"\n[timers]\nconnect-retry = \"1s\"\n\
             [[neighbor]]\naddress = \"10.0.0.2\"\nas = {first}\n{client}\
             [[neighbor]]\naddress = \"10.0.0.3\"\nas = {second}\n{client}"
        )
    }

    /// The attributes as they are to leave.
    fn passed_on(self, came: &Attributes) -> Attributes {
        let mut leaves = came.clone();
        // RFC 4271 section 5: not transitive and not recognised, it ends here; transitive and not
        // recognised, it is marked.
        leaves.retain(|c, a| {
            let is_ours = match *c {
                code::MED | code::ORIGINATOR_ID | code::CLUSTER_LIST => true,
                // RFC 7311 section 3.3: it is on with internal neighbours.
                code::AIGP => self == Self::Reflector,
                _ => false,
            };
            a.flags & TRANSITIVE != 0 || is_ours
        });
        for (_, attribute) in leaves.iter_mut().filter(|(c, _)| UNRECOGNISED.contains(*c)) {
            attribute.flags |= PARTIAL;
        }
        match self {
            Self::Transit => {
                let path = leaves.get_mut(&code::AS_PATH).expect("every route has a path");
                prepend(&mut path.value, 65001);
                leaves.remove(&code::LOCAL_PREF);
                // RFC 4271 section 5.1.4.
                leaves.remove(&code::MED);
                if let Some(communities) = leaves.get_mut(&code::EXT_COMMUNITIES) {
                    let crosses = |c: &&[u8]| c[0] & 0x40 == 0 || c[..2] == [0x40, 0x04];
                    let kept = communities.value.chunks(8).filter(crosses);
                    communities.value = kept.flatten().copied().collect();
                }
            }
            Self::Reflector => {
                // RFC 4456 section 8.
                let id = |last| Attribute { flags: OPTIONAL, value: vec![10, 0, 0, last] };
                leaves.entry(code::ORIGINATOR_ID).or_insert(id(2));
                let list = leaves.entry(code::CLUSTER_LIST);
                let list = list.or_insert(Attribute { flags: OPTIONAL, value: Vec::new() });
                list.value.splice(..0, [10, 0, 0, 1]);
            }
        }
        leaves
    }
}

/// Puts an AS before a path that is empty or begins with a sequence (RFC 4271 section 5.1.2).
fn prepend(path: &mut Vec<u8>, asn: u32) {
    if path.is_empty() {
        path.extend([2, 0]);
    }
    path[1] += 1;
    path.splice(2..2, asn.to_be_bytes());
}

/// evpnd between the leaves 2 and 3, and a capture of both conversations.
struct Between {
    evpnd: Evpnd,
    capture: Capture,
    us: Leaf,
    neighbours: [Leaf; 2],
    fabric: Fabric,
}

impl Between {
    fn new(test: &str, role: Role) -> Self {
        let mut fabric = Fabric::new(test);
        let [us, first, second] = [1, 2, 3].map(|n| fabric.leaf(n));
        let file = fabric.path("relay.pcap");
        let capture = Capture::start(&us.ns, "up0", "tcp port 179", &file);
        let evpnd = Evpnd::start(&fabric, &us, &role.config());
        Self { evpnd, capture, us, neighbours: [first, second], fabric }
    }

    /// Compares what came from the first neighbour with what went to the second. Returns how many
    /// routes there were.
    fn compare(&mut self, role: Role) -> usize {
        let file = self.capture.finish();
        let came = latest(&bgp_messages(file, "10.0.0.2", "10.0.0.1"));
        let left = latest(&bgp_messages(file, "10.0.0.1", "10.0.0.3"));
        for (route, (attributes, next_hop)) in &came {
            let Some((told, told_hop)) = left.get(route) else {
                panic!("{} was not passed on", hex(route));
            };
            let wanted = role.passed_on(attributes);
            assert_eq!(told, &wanted, "attributes of {}", hex(route));
            assert_eq!(told_hop, next_hop, "next hop of {}", hex(route));
        }
        assert_eq!(left.len(), came.len(), "nothing else was told");
        came.len()
    }

    /// tshark sees every message of evpnd's and has no complaint, unless about what came that way.
    fn tshark_is_content(&mut self) {
        let file = self.capture.finish();
        let to = |neighbour| bgp_messages(file, "10.0.0.1", neighbour).len();
        let sent = to("10.0.0.2") + to("10.0.0.3");
        let (_, came_so) = complaints(file, "10.0.0.2");
        let (seen, complaints) = complaints(file, "10.0.0.1");
        let new: Vec<&Complaint> =
            complaints.iter().filter(|c| !came_so.iter().any(|o| o.text == c.text)).collect();
        println!("tshark: {seen} messages of evpnd's, {} complaints of its making", new.len());
        assert!(new.is_empty(), "{new:#?}");
        assert_eq!(seen, sent, "tshark sees every message");
    }
}

/// What was last announced of each route: its attributes and its next hop.
fn latest(messages: &[Vec<u8>]) -> BTreeMap<Vec<u8>, (Attributes, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for update in messages.iter().filter_map(|m| octets::update_of(m)) {
        for route in update.announced {
            found.insert(route, (update.attributes.clone(), update.next_hop.clone()));
        }
    }
    found
}

/// A route as octets, and the attributes that it has beside those that all have.
type Case = (Vec<u8>, Attributes);

const RD: &str = "0001 0a000002 0064";
const ESI: &str = "03 020000000001 000064";
const NO_ESI: &str = "00000000000000000000";
const MAC: &str = "30 0200000000aa";
const V6: &str = "20010db8000000000000000000000021";
/// Route target 65002:100, VXLAN.
const TARGET: &str = "0002fdea00000064 030c000000000008";

/// A case of hexadecimal digits: a route, and attributes by their flags, code and value.
fn case(route: &str, own: &[(u8, u8, &str)]) -> Case {
    let attribute = |(flags, code, value): &(u8, u8, &str)| {
        (*code, Attribute { flags: *flags, value: unhex(value) })
    };
    let mut attributes: Attributes = own.iter().map(attribute).collect();
    let target = Attribute { flags: RELAYED, value: unhex(TARGET) };
    attributes.entry(code::EXT_COMMUNITIES).or_insert(target);
    (unhex(route), attributes)
}

/// Types 1 to 5 in the ways that RFCs allow.
fn known_types() -> Vec<Case> {
    let ad = |etag: &str, label: &str| format!("01 19 {RD} {ESI} {etag} {label}");
    let mac = |length: &str, esi: &str, rest: &str| {
        format!("02 {length} {RD} {esi} 00000000 {MAC} {rest}")
    };
    let prefix = |length: &str, esi: &str, rest: &str| format!("05 {length} {RD} {esi} {rest}");
    let zeros = "00".repeat(16);
    vec![
        // Type 1 by segment with its ESI label, and by EVI.
        case(&ad("ffffffff", "000000"), &[(RELAYED, 16, "0002fdea00000064 0601000000000640")]),
        // Somebody on the way did not know these, and the bit that says so stays.
        case(&ad("00000000", "000064"), &[(RELAYED | PARTIAL, 8, "fdea0007 ffff0000")]),
        // Type 2: MAC alone and sticky; IPv4 with two labels, router's MAC and default gateway;
        // IPv6 on a segment; a tag.
        case(
            &mac("21", NO_ESI, "00 000064"),
            &[(RELAYED | PARTIAL, 16, "0600010000000007 0002fdea00000064")],
        ),
        case(
            &mac("28", NO_ESI, "20 ac106415 000064 001388"),
            &[(RELAYED, 16, "0002fdea00000064 0002fdea00001388 0603020000005002 030d000000000000")],
        ),
        case(&mac("31", ESI, &format!("80 {V6} 000064")), &[]),
        case(&format!("02 21 {RD} {NO_ESI} 0000000a {MAC} 00 0000c8"), &[]),
        // Type 3 with its tunnel, with another kind of tunnel, from IPv6, and with none.
        case(
            &format!("03 11 {RD} 00000000 20 0a000002"),
            &[(RELAYED | PARTIAL, 22, "00 06 000064 0a000002")],
        ),
        case(
            &format!("03 11 {RD} 00000001 20 0a000002"),
            &[(RELAYED, 22, "01 03 000641 0a000002 e0000001")],
        ),
        case(&format!("03 1d {RD} 00000000 80 {V6}"), &[]),
        // Type 4 with its ES-import target.
        case(&format!("04 17 {RD} {ESI} 20 0a000002"), &[(RELAYED, 16, "0602020000000001")]),
        case(&format!("04 23 {RD} {ESI} 80 {V6}"), &[]),
        // Type 5 with link bandwidth and MED, with a gateway, and IPv6 by a segment.
        case(
            &prefix("22", NO_ESI, "00000000 18 c6336400 00000000 001388"),
            &[
                (OPTIONAL, 4, "00000005"),
                (RELAYED, 16, "0002fdea00001388 4004fdea49989680 0603020000005002"),
            ],
        ),
        case(&prefix("22", NO_ESI, "00000000 20 c6336401 0a000002 001388"), &[]),
        case(
            &prefix("3a", ESI, &format!("00000000 40 20010db8000a{} {zeros} 001388", &zeros[12..])),
            &[(RELAYED, 16, "0002fdea00001388 4300000000000001 8006000000000001")],
        ),
    ]
}

/// Attributes that evpnd knows only by name, and not at all; those that are not transitive end
/// here.
fn foreign_attributes() -> Vec<Case> {
    let long = "ab".repeat(300);
    let own: [&[(u8, u8, &str)]; 7] = [
        &[(RELAYED, 32, "0000fdea 00000001 00000002 0000fdea 00000001 00000001")],
        &[(RELAYED, 200, "deadbeef"), (RELAYED | PARTIAL, 201, "")],
        &[(RELAYED, 202, &long), (OPTIONAL, 203, "01")],
        &[
            (TRANSITIVE, 6, ""),
            (RELAYED, 7, "fffffde8 0a000009"),
            (OPTIONAL, 26, "01 000b 0000000000000064"),
        ],
        &[(RELAYED | PARTIAL, 7, "0000fdea 0a000009"), (RELAYED, 35, "0000fdea")],
        &[(RELAYED, 23, "0008 0004 04020001"), (RELAYED, 40, "01 0007 00 0000 00000064")],
        &[(RELAYED, 25, "0002 20010db8000000000000000000000001 0064")],
    ];
    let one = |(place, own)| case(&format!("01 19 {RD} {ESI} {:08x} 000064", 0x100 + place), own);
    own.into_iter().enumerate().map(one).collect()
}

/// Types of route that evpnd does not know: RFC 9251's, and one that is nobody's.
fn foreign_types() -> Vec<Case> {
    vec![
        case(&format!("06 18 {RD} 00000000 00 20 e0000105 20 0a000002 02"), &[]),
        case("c8 05 0102030405", &[]),
    ]
}

/// One UPDATE for each case; every third has a next hop in IPv6.
fn updates(role: Role, cases: &[Case]) -> Vec<Vec<u8>> {
    let well_known = |value: &str| Attribute { flags: TRANSITIVE, value: unhex(value) };
    let one = |(place, (route, own)): (usize, &Case)| {
        let mut attributes = own.clone();
        attributes.insert(code::ORIGIN, well_known(["00", "01", "02"][place % 3]));
        let path = match (role, place % 2) {
            (Role::Transit, 0) => "02 01 0000fdea",
            (Role::Transit, _) => "02 02 0000fdea fffffde8 01 02 0000fdf0 0000fdf1",
            (Role::Reflector, 0) => "",
            (Role::Reflector, _) => "02 01 fffffde8",
        };
        attributes.insert(code::AS_PATH, well_known(path));
        if role == Role::Reflector {
            attributes.insert(code::LOCAL_PREF, well_known("000000c8"));
            if place % 4 == 1 {
                let mut put = |code, value: &str| {
                    let value = unhex(value);
                    attributes.insert(code, Attribute { flags: OPTIONAL, value });
                };
                put(code::ORIGINATOR_ID, "0a000009");
                put(code::CLUSTER_LIST, "0a000008 0a000007");
            }
        }
        let next_hop = unhex(if place % 3 == 2 { V6 } else { "0a000002" });
        octets::update(&Update {
            attributes,
            next_hop,
            announced: vec![route.clone()],
            withdrawn: vec![],
        })
    };
    cases.iter().enumerate().map(one).collect()
}

fn octet_for_octet(test: &str, role: Role, cases: &[Case]) -> Between {
    let mut between = Between::new(test, role);
    let [_, first, second] = role.systems();
    let [a, b] = between.neighbours.clone();
    let mut source = Speaker::start(&a, first, &between.us);
    let mut sink = Speaker::start(&b, second, &between.us);
    let updates = updates(role, cases);
    for update in &updates {
        source.send(update);
    }
    let told = |sink: &Speaker| -> usize { sink.updates().iter().map(|u| u.announced.len()).sum() };
    eventually(SOON, "everything is passed on", || {
        let count = told(&sink);
        if count == updates.len() {
            return Ok(());
        }
        let shown = between.evpnd.ctl(&["show", "bgp", "neighbor", "10.0.0.2"]).stdout;
        Err(format!("{count} of {}\n{shown}", updates.len()))
    });
    // Asked for the routes, it tells them again; and they are withdrawn one and all.
    sink.send(&octets::message(5, &[0, 25, 0, 70]));
    eventually(SOON, "asked again, it tells again", || {
        let count = told(&sink);
        if count == 2 * updates.len() { Ok(()) } else { Err(count) }
    });
    let announced: Vec<Vec<u8>> = cases.iter().map(|(route, _)| route.clone()).collect();
    let gone = Update { withdrawn: announced.clone(), ..Update::default() };
    source.send(&octets::update(&gone));
    eventually(SOON, "every withdrawal is passed on", || {
        let count: usize = sink.updates().iter().map(|u| u.withdrawn.len()).sum();
        if count == announced.len() { Ok(()) } else { Err(count) }
    });
    assert_eq!(between.compare(role), announced.len());
    // Nobody was told that anything was wrong.
    for speaker in [&source, &sink] {
        let kinds: Vec<u8> = speaker.heard().iter().map(|m| octets::kind_of(m)).collect();
        assert!(!kinds.contains(&octets::kind::NOTIFICATION), "{kinds:?}");
    }
    between
}

#[test]
fn a_border_passes_on_octet_for_octet() {
    let cases = [known_types(), foreign_attributes()].concat();
    octet_for_octet("octets-ebgp", Role::Transit, &cases).tshark_is_content();
}

#[test]
fn a_reflector_passes_on_octet_for_octet() {
    let cases = [known_types(), foreign_attributes()].concat();
    octet_for_octet("octets-ibgp", Role::Reflector, &cases).tshark_is_content();
}

/// tshark does not know them either.
#[test]
fn types_that_nobody_knows_are_passed_on() {
    octet_for_octet("octets-types", Role::Transit, &foreign_types());
}

/// What GoBGP can say of every type.
const ROUTES: [&str; 12] = [
    "a-d esi AS 65002 100 etag 4294967295 label 0 rd 10.0.0.2:1 rt 65002:100 encap vxlan \
     esi-label 100",
    "a-d esi AS 65002 100 etag 0 label 100 rd 10.0.0.2:100 rt 65002:100 encap vxlan",
    "macadv 02:00:00:00:aa:01 0.0.0.0 etag 0 label 100 rd 10.0.0.2:100 rt 65002:100 encap vxlan",
    "macadv 02:00:00:00:aa:01 172.16.100.21 etag 0 label 100,5000 rd 10.0.0.2:100 \
     rt 65002:100 65002:5000 encap vxlan router-mac 02:00:00:00:50:02",
    "macadv 02:00:00:00:aa:01 2001:db8:100::21 esi AS 65002 100 etag 0 label 100 rd 10.0.0.2:100 \
     rt 65002:100 encap vxlan",
    "multicast 10.0.0.2 etag 0 rd 10.0.0.2:100 rt 65002:100 encap vxlan \
     pmsi ingress-repl 100 10.0.0.2",
    "multicast 2001:db8::2 etag 0 rd 10.0.0.2:100 rt 65002:100 encap vxlan",
    "esi 10.0.0.2 esi AS 65002 100 rd 10.0.0.2:1 rt 65002:100 encap vxlan",
    "prefix 198.51.100.0/24 gw 0.0.0.0 etag 0 label 5000 rd 10.0.0.2:5000 rt 65002:5000 \
     encap vxlan router-mac 02:00:00:00:50:02 large-community 65002:1:2 community 65002:7",
    "prefix 2001:db8:a::/48 gw :: etag 0 label 5000 rd 10.0.0.2:5000 rt 65002:5000 encap vxlan \
     router-mac 02:00:00:00:50:02 med 5 aggregator 65002:10.0.0.9",
    "prefix 203.0.113.0/24 gw 10.0.0.9 etag 0 label 5000 rd 10.0.0.2:5000 rt 65002:5000 \
     encap vxlan nexthop 10.0.0.9",
    "prefix 2001:db8:b::/48 gw 2001:db8::9 etag 7 label 5000 rd 10.0.0.2:5000 rt 65002:5000 \
     encap vxlan nexthop 2001:db8::2",
];

fn from_gobgp_to_gobgp(test: &str, role: Role) {
    let mut between = Between::new(test, role);
    let [own, first, second] = role.systems();
    let [a, b] = between.neighbours.clone();
    let source = Gobgp::start(&between.fabric, &a, first, &[(1, own)], "");
    let sink = Gobgp::start(&between.fabric, &b, second, &[(1, own)], "");
    for gobgp in [&source, &sink] {
        gobgp.wait_established("10.0.0.1");
    }
    assert!(sink.paths().is_empty(), "control: nothing yet");
    for route in ROUTES {
        source.announce(route);
    }
    let known = |count: usize| {
        eventually(SOON, &format!("the third has {count} routes"), || {
            let paths = sink.paths();
            if paths.len() == count { Ok(()) } else { Err(format!("{paths:#?}")) }
        });
    };
    known(ROUTES.len());
    // GoBGP read of each what GoBGP wrote.
    let nlri = |gobgp: &Gobgp| -> Vec<String> {
        let mut all: Vec<String> = gobgp.paths().iter().map(|p| p["nlri"].to_string()).collect();
        all.sort();
        all
    };
    assert_eq!(nlri(&sink), nlri(&source));
    for route in ROUTES {
        // What names a route is enough, and some of the rest GoBGP does not take here.
        source.withdraw(route);
    }
    known(0);
    assert_eq!(between.compare(role), ROUTES.len());
    between.tshark_is_content();
}

#[test]
fn a_border_passes_on_what_gobgp_says() {
    from_gobgp_to_gobgp("gobgp-transit", Role::Transit);
}

#[test]
fn a_reflector_passes_on_what_gobgp_says() {
    from_gobgp_to_gobgp("gobgp-reflect", Role::Reflector);
}

/// Control: what is wrong with a message, tshark and the comparison do find.
#[test]
fn a_broken_message_is_complained_about() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("made.pcap");
    let look = |payload: &[u8]| {
        write_capture(&file, payload);
        complaints(&file, "192.0.2.1")
    };
    let whole: Vec<Vec<u8>> =
        updates(Role::Transit, &[known_types(), foreign_attributes()].concat());
    let (seen, said) = look(&whole[0]);
    assert_eq!((seen, said.len()), (1, 0), "a type 1 route as it should be");
    // A route shorter than its type; an attribute longer than the message.
    for (place, length, what) in [(37, 9, "route"), (26, 200, "attribute")] {
        let mut broken = whole[0].clone();
        broken[place] = length;
        let (_, said) = look(&broken);
        println!("{what}: {said:?}");
        assert!(!said.is_empty(), "a broken {what}: {}", hex(&broken));
    }
    // Another octet in an attribute or a missing mark is another attribute.
    let read = whole.iter().filter_map(|m| octets::update_of(m));
    let mut came = read.map(|u| u.attributes).find(|a| a.contains_key(&200)).expect("one has it");
    let leaves = Role::Transit.passed_on(&came);
    assert_ne!(came, leaves);
    came.get_mut(&200).expect("it has it").value[0] ^= 1;
    assert_ne!(Role::Transit.passed_on(&came), leaves);
}
