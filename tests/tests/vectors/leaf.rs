//! The leaf that every case is sent to, and the neighbour that sends it.
//!
//! **Every case has a neighbour of its own**: its counters begin at zero, and no case pays for what
//! another did.

use super::case::{Case, Envelope};
use super::kernel::{Lines, snapshot};
use bytes::BytesMut;
use evpn_proto::bgp::attributes::{AsPath, ENCAP_VXLAN, ExtCommunity, PathAttributes};
use evpn_proto::bgp::message::{Capability, Family, Open};
use evpn_proto::bgp::wire::{
    AsWidth, EncodeContext, MESSAGE_LENGTH_MAX, encode_announcements, encode_end_of_rib,
    encode_keepalive, encode_open,
};
use evpn_proto::types::{Asn, EthernetTag, Label, MacAddr, Rd, Route, RouteKey, RouteTarget, Vni};
use evpn_tests::bgp::{Connection, KEEPALIVE, OPEN};
use evpn_tests::{Evpnd, Fabric, Leaf, eventually, now, pause};
use std::fmt::Display;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// The L2VNI of the cases.
pub(super) const L2VNI: u32 = 100;
/// evpnd's AS, and that of the cases' neighbours.
const OURS: u32 = 65_000;
const THEIRS: u32 = 65_001;
/// The leaf's address, and the one that the cases' next hop names: the sender's own.
const LEAF: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);
const SENDER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// Who the leaf is: nobody whom a case names as originator or cluster.
const ROUTER_ID: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 99);
/// Route targets of the marker alone: the numbers that the leaf imports besides the cases'.
const MARKER_TARGETS: [u32; 2] = [910, 911];
const HOLD: Duration = Duration::from_secs(90);
const SOON: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(1);

/// What tells one leaf from another.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeafKind {
    pub(super) l3vni: u32,
    pub(super) underlay: Underlay,
    pub(super) imports: Imports,
}

/// The address family of the leaf's VTEP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Underlay {
    Ipv4,
    Ipv6,
}

/// Whether the leaf imports what the cases carry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Imports {
    Cases,
    MarkersOnly,
}

impl LeafKind {
    /// Whether its VXLAN devices can send to an address.
    pub(super) fn reaches(self, vtep: &IpAddr) -> bool {
        vtep.is_ipv4() == (self.underlay == Underlay::Ipv4)
    }

    fn marker_vtep(self) -> IpAddr {
        match self.underlay {
            Underlay::Ipv4 => IpAddr::from([10, 0, 0, 77]),
            Underlay::Ipv6 => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x77]),
        }
    }

    fn config(self, cases: &[Case]) -> String {
        let [l2, l3] = MARKER_TARGETS.map(|number| format!("\"{THEIRS}:{number}\""));
        let auto = if self.imports == Imports::Cases { "\"auto\", " } else { "" };
        let neighbor = |n: usize, asn: &str| {
            let address = address_of(n);
            format!("[[neighbor]]\naddress = \"{address}\"\nas = {asn}\npassive = true\n")
        };
        let of_case = |(n, case): (usize, &Case)| {
            let external = THEIRS.to_string();
            neighbor(n, if case.has("--ibgp") { "\"internal\"" } else { &external })
        };
        let neighbors: String = cases.iter().enumerate().map(of_case).collect();
        let vrf = match self.underlay {
            Underlay::Ipv4 => {
                format!("[[vrf]]\nl3vni = {}\nimport = [{auto}{l3}]\n", self.l3vni)
            }
            // The kernel takes no gateway to which the same table has another way.
            Underlay::Ipv6 => String::new(),
        };
        let witness = neighbor(WITNESS, &THEIRS.to_string());
        format!(
            "[router]\nas = {OURS}\nid = \"{ROUTER_ID}\"\n\
             [[vni]]\nvni = {L2VNI}\nimport = [{auto}{l2}]\n\
             {vrf}{neighbors}{witness}"
        )
    }
}

/// The neighbour that no case is sent from.
const WITNESS: usize = 60_000;

/// The address of the neighbour of a case.
pub(super) fn address_of(case: usize) -> Ipv4Addr {
    let [.., a, b] = u32::try_from(case + 1).expect("few cases").to_be_bytes();
    Ipv4Addr::new(10, 9, a, b)
}

/// How a session talks, as far as it matters to messages.
#[derive(Clone, Copy, Debug)]
struct Manner {
    asn: Asn,
    width: AsWidth,
    family: bool,
}

impl Manner {
    fn of(case: &Case) -> Self {
        let asn = Asn(if case.has("--ibgp") { OURS } else { THEIRS });
        let width = if case.has("--two-octet-as") { AsWidth::Two } else { AsWidth::Four };
        Self { asn, width, family: !case.not_negotiated }
    }

    const WITNESS: Self = Self { asn: Asn(THEIRS), width: AsWidth::Four, family: true };

    fn open(self) -> Vec<u8> {
        let family = self.family.then_some(Capability::Multiprotocol(Family::EVPN));
        let four = (self.width == AsWidth::Four).then_some(Capability::FourOctetAs(self.asn));
        let capabilities = family.into_iter().chain(four).collect();
        let open = Open { asn: self.asn, hold_time: HOLD, router_id: SENDER, capabilities };
        encode_open(&open).to_vec()
    }
}

/// A leaf with evpnd, and who talks to it.
pub(super) struct Stage {
    pub(super) kind: LeafKind,
    pub(super) leaf: Leaf,
    pub(super) evpnd: Evpnd,
    /// What the kernel holds while nobody has said anything.
    pub(super) before: Lines,
    sender: Leaf,
    witness: Connection,
    _fabric: Fabric,
}

impl Stage {
    pub(super) fn new(test: &str, kind: LeafKind, cases: &[Case]) -> Self {
        let mut fabric = Fabric::new(test);
        let [leaf, sender]: [Leaf; 2] = [9, 1].map(|n| fabric.leaf(n));
        // The kernel's own link-local addresses would come and go between two snapshots.
        for scope in ["default", "up0"] {
            leaf.ns.sysctl(&format!("net.ipv6.conf.{scope}.addr_gen_mode"), "1");
        }
        leaf.ns.sh("ip -6 addr flush dev up0");
        leaf.vni(L2VNI);
        leaf.ns.ip("addr add 10.9.255.254/16 dev up0");
        sender.ns.ip("route add local 10.9.0.0/16 dev lo");
        match kind.underlay {
            Underlay::Ipv4 => drop(leaf.l3vni(kind.l3vni)),
            Underlay::Ipv6 => {
                leaf.ns.ip(&format!(
                    "addr add 2001:db8::9/64 dev up0 nodad
                     link del vx{L2VNI}
                     link add vx{L2VNI} type vxlan id {L2VNI} dstport 4789 local 2001:db8::9 nolearning
                     link set vx{L2VNI} mtu 1500 master br{L2VNI}
                     link set vx{L2VNI} up"
                ));
                leaf.ns.bridge(&format!("link set dev vx{L2VNI} learning off neigh_suppress on"));
            }
        }
        let evpnd = Evpnd::start(&fabric, &leaf, &kind.config(cases));
        let witness = eventually(SOON, "evpnd has read the kernel and lets neighbours in", || {
            establish(&sender, WITNESS, Manner::WITNESS)
        });
        let before = snapshot(&leaf.ns);
        let mut stage = Self { kind, leaf, evpnd, before, sender, witness, _fabric: fabric };
        // Whatever the kernel does by itself after its devices came up has been done by then.
        stage.ask_witness(cases.len());
        stage.before = stage.without_markers(snapshot(&stage.leaf.ns));
        stage
    }

    /// Who sends nothing yet.
    pub(super) fn dial(&self, case: usize) -> Connection {
        let dial = || Connection::dial(address_of(case), LEAF, None);
        self.sender.ns.inside(dial).unwrap_or_else(|e| panic!("{}: {e}", address_of(case)))
    }

    /// A session of a case's own, after its End-of-RIB.
    pub(super) fn establish(&self, number: usize, case: &Case) -> Connection {
        let connection = establish(&self.sender, number, Manner::of(case));
        let mut connection = connection.unwrap_or_else(|e| panic!("{}: {e}", case.name));
        connection.say(&encode_end_of_rib(Family::EVPN)).expect("the session is up");
        connection
    }

    /// What makes this leaf take routes.
    pub(super) fn envelope(&self) -> Envelope {
        Envelope {
            next_hop: SENDER,
            targets: vec![L2VNI, self.kind.l3vni],
            flood: L2VNI,
            router_mac: [2, 0, 0, 0, 0, 0xfe],
        }
    }

    /// Valid routes that nobody else has: a host, and a prefix, which is programmed last.
    pub(super) fn marker(&self, number: usize, case: &Case) -> Vec<u8> {
        self.routes_of(number, Manner::of(case))
    }

    fn routes_of(&self, number: usize, manner: Manner) -> Vec<u8> {
        let [.., a, b] = u32::try_from(number).expect("few cases").to_be_bytes();
        let mut attributes = PathAttributes::originated(self.kind.marker_vtep());
        if manner.asn == Asn(THEIRS) {
            attributes.as_path = AsPath::default().prepended(manner.asn);
        } else {
            attributes.local_pref = Some(100);
        }
        let target = |number: u32| {
            let vni = Vni::new(number).expect("a VNI");
            ExtCommunity::route_target(RouteTarget::auto(Asn(THEIRS), vni))
        };
        attributes.ext_communities = MARKER_TARGETS.map(target).to_vec();
        attributes.ext_communities.push(ExtCommunity::encap(ENCAP_VXLAN));
        let router = MacAddr([2, 0xca, 0x5e, 0xff, 0, 0]);
        attributes.ext_communities.push(ExtCommunity::with_router_mac(router));
        let (rd, etag) = (Rd::ipv4(SENDER, 77), EthernetTag(0));
        let mac = MacAddr([2, 0xca, 0x5e, 0, a, b]);
        let prefix = marker_prefix(number).parse().expect("a prefix");
        let routes = [
            (RouteKey::MacIp { rd, etag, mac, ip: None }, L2VNI),
            (RouteKey::IpPrefix { rd, etag, prefix }, self.kind.l3vni),
        ];
        let routes = routes
            .map(|(key, vni)| Route::labelled(key, Label::from(Vni::new(vni).expect("a VNI"))));
        let served = if self.kind.underlay == Underlay::Ipv4 { &routes[..] } else { &routes[..1] };
        let context = EncodeContext { as_width: manner.width, length_max: MESSAGE_LENGTH_MAX };
        let mut out = BytesMut::new();
        encode_announcements(&attributes, &context, served.iter(), &mut out).expect("it fits");
        out.to_vec()
    }

    /// Whether the marker has come through to the kernel, to the last of it.
    pub(super) fn is_marked(&self, number: usize) -> bool {
        let look = match self.kind.underlay {
            Underlay::Ipv4 => format!("ip -4 route show {}", marker_prefix(number)),
            Underlay::Ipv6 => {
                format!("bridge fdb get {} dev vx{L2VNI} self 2>&1 || true", marker_mac(number))
            }
        };
        let seen = self.leaf.ns.sh(&look);
        seen.contains("198.1") || seen.contains("dst")
    }

    /// Has another neighbour announce a marker and waits for it: whatever the engine took in
    /// before is in the kernel then.
    pub(super) fn ask_witness(&mut self, number: usize) {
        let number = number + 0x8000;
        let marker = self.routes_of(number, Manner::WITNESS);
        self.witness.drain();
        self.witness.say(&encode_keepalive()).expect("the witness is heard");
        self.witness.say(&marker).expect("the witness is heard");
        promptly("the witness's marker is programmed", || {
            if self.is_marked(number) { Ok(()) } else { Err("it is not") }
        });
    }

    /// A snapshot less what markers have made.
    pub(super) fn without_markers(&self, lines: Lines) -> Lines {
        let vtep = format!(" {}", self.kind.marker_vtep());
        let of_marker = |line: &String| {
            line.contains("02:ca:5e:") || line.contains(&vtep) || line.starts_with("route 198.1")
        };
        lines.into_iter().filter(|line| !of_marker(line)).collect()
    }
}

/// As [`eventually`], and looks again at once: there are hundreds of cases.
#[track_caller]
pub(super) fn promptly<T, E: Display>(what: &str, mut look: impl FnMut() -> Result<T, E>) -> T {
    let start = now();
    loop {
        match look() {
            Ok(value) => return value,
            Err(last) if start.elapsed() > SOON => panic!("{what}; last seen: {last}"),
            Err(_) => pause(AGAIN),
        }
    }
}

/// The marker's host.
pub(super) fn marker_mac(number: usize) -> String {
    let [.., a, b] = u32::try_from(number).expect("few cases").to_be_bytes();
    format!("02:ca:5e:00:{a:02x}:{b:02x}")
}

fn marker_prefix(number: usize) -> String {
    let [.., a, b] = u32::try_from(number).expect("few cases").to_be_bytes();
    let high = 18 + (a >> 7);
    format!("198.{high}.{}.{b}/32", a & 0x7f)
}

fn establish(sender: &Leaf, number: usize, manner: Manner) -> io::Result<Connection> {
    let dial = || Connection::dial(address_of(number), LEAF, None);
    let mut connection = sender.ns.inside(dial)?;
    connection.say(&manner.open())?;
    connection.hear(OPEN)?;
    connection.say(&encode_keepalive())?;
    connection.hear(KEEPALIVE)?;
    Ok(connection)
}
