//! Path attributes and communities as values (RFC 4271 section 5, RFC 4360, RFC 7432 section 7).
//!
//! **What is not understood is kept as it came: an attribute or community that evpnd does not know
//! leaves it as it entered.**

use super::message::Family;
use crate::types::{Asn, Esi, Label, MacAddr, RouteTarget};
use bytes::Bytes;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The attributes that a set of routes shares.
///
/// MP_REACH_NLRI and MP_UNREACH_NLRI are not among them: the next hop stands here, the routes in
/// the message. Equal values are the same set.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PathAttributes {
    /// RFC 4271 section 5.1.1.
    pub origin: Origin,
    /// RFC 4271 section 5.1.2, with 4-octet numbers (RFC 6793).
    pub as_path: AsPath,
    /// The next hop of MP_REACH_NLRI, or of NEXT_HOP; of a pair (RFC 2545) the global one.
    pub next_hop: IpAddr,
    /// The link-local next hop beside it (RFC 2545 section 3, RFC 8950 section 3).
    pub link_local: Option<Ipv6Addr>,
    /// RFC 4271 section 5.1.4.
    pub med: Option<u32>,
    /// RFC 4271 section 5.1.5.
    pub local_pref: Option<u32>,
    /// RFC 1997, in the order sent.
    pub communities: Vec<Community>,
    /// RFC 4360, in the order sent.
    pub ext_communities: Vec<ExtCommunity>,
    /// RFC 4456 section 8.
    pub originator_id: Option<Ipv4Addr>,
    /// RFC 4456 section 8, nearest first.
    pub cluster_list: Vec<Ipv4Addr>,
    /// RFC 6514 section 5, RFC 7432 section 11.2.
    pub pmsi: Option<PmsiTunnel>,
    /// Attributes relayed without being read, by ascending code.
    pub unknown: Vec<RawAttribute>,
    /// Which of the others came with the Partial bit.
    pub partial: Partial,
}

/// Attributes that somebody on the way passed on without knowing them. RFC 4271 section 5: whoever
/// passes them on in turn leaves the Partial bit as it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Partial {
    /// COMMUNITIES.
    pub communities: bool,
    /// EXTENDED COMMUNITIES.
    pub ext_communities: bool,
    /// PMSI_TUNNEL.
    pub pmsi: bool,
}

impl PathAttributes {
    /// A locally originated set: empty path, origin IGP, nothing else.
    pub fn originated(next_hop: IpAddr) -> Self {
        Self {
            origin: Origin::Igp,
            as_path: AsPath::default(),
            next_hop,
            link_local: None,
            med: None,
            local_pref: None,
            communities: Vec::new(),
            ext_communities: Vec::new(),
            originator_id: None,
            cluster_list: Vec::new(),
            pmsi: None,
            unknown: Vec::new(),
            partial: Partial::default(),
        }
    }

    /// Its route targets, in the order sent.
    pub fn route_targets(&self) -> impl Iterator<Item = RouteTarget> + '_ {
        self.ext_communities.iter().filter_map(|c| RouteTarget::from_community(c.0))
    }

    /// The MAC mobility community (RFC 7432 section 7.7); the highest sequence if there are several,
    /// and sticky before not. Their order decides nothing.
    pub fn mac_mobility(&self) -> Option<MacMobility> {
        let all = self.ext_communities.iter().filter_map(|c| c.mac_mobility());
        all.max_by_key(|m| (m.sequence, m.sticky))
    }

    /// The router's MAC community (RFC 9135 section 8.1); the lowest if there are several, so that
    /// their order decides nothing.
    pub fn router_mac(&self) -> Option<MacAddr> {
        self.ext_communities.iter().filter_map(|c| c.router_mac()).min()
    }

    /// The link bandwidth in octets a second; the lowest if there are several, and transitive or
    /// not makes no difference (RFC 10005). Neither negative nor NaN nor infinite.
    pub fn link_bandwidth(&self) -> Option<f32> {
        self.ext_communities
            .iter()
            .filter_map(|c| c.link_bandwidth())
            .reduce(|lowest, next| if next < lowest { next } else { lowest })
    }

    /// The tunnel types of its encapsulation communities (RFC 9012 section 4.1), in the order sent:
    /// any of them is taken (RFC 8365 section 5.1.3).
    pub fn encapsulations(&self) -> impl Iterator<Item = u16> + '_ {
        self.ext_communities.iter().filter_map(|c| c.encapsulation())
    }

    /// Whether it carries the community.
    pub fn has_community(&self, community: Community) -> bool {
        self.communities.contains(&community)
    }
}

/// The ORIGIN attribute; lower is preferred.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Origin {
    /// 0
    Igp,
    /// 1
    Egp,
    /// 2
    Incomplete,
}

/// An AS_PATH: segments from the nearest AS on.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct AsPath {
    /// Segments, nearest first.
    pub segments: Vec<AsSegment>,
}

/// A segment of an AS_PATH. Confederation segments count nothing toward the length (RFC 5065).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct AsSegment {
    /// What it is.
    pub kind: AsSegmentKind,
    /// The numbers.
    pub asns: Vec<Asn>,
}

/// Kinds of segment with their codes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AsSegmentKind {
    /// 1: unordered; read, and never originated (RFC 9774).
    Set = 1,
    /// 2: ordered.
    Sequence = 2,
    /// 3: RFC 5065.
    ConfedSequence = 3,
    /// 4: RFC 5065.
    ConfedSet = 4,
}

impl AsPath {
    /// Length as the decision counts it: a set is one, confederation segments are none.
    pub fn length(&self) -> u32 {
        let count = |s: &AsSegment| match s.kind {
            AsSegmentKind::Sequence => u32::try_from(s.asns.len()).unwrap_or(u32::MAX),
            AsSegmentKind::Set => 1,
            AsSegmentKind::ConfedSequence | AsSegmentKind::ConfedSet => 0,
        };
        self.segments.iter().map(count).fold(0, u32::saturating_add)
    }

    /// Whether the AS is anywhere in it.
    pub fn contains(&self, asn: Asn) -> bool {
        self.segments.iter().any(|s| s.asns.contains(&asn))
    }

    /// The neighbouring AS: the first of a leading sequence.
    pub fn first(&self) -> Option<Asn> {
        let leading = self.segments.first()?;
        if leading.kind == AsSegmentKind::Sequence { leading.asns.first().copied() } else { None }
    }

    /// The originating AS: the last of a trailing sequence.
    pub fn origin(&self) -> Option<Asn> {
        let last = self.segments.last()?;
        if last.kind == AsSegmentKind::Sequence { last.asns.last().copied() } else { None }
    }

    /// The path with `asn` put in front (RFC 4271 section 5.1.2).
    #[must_use]
    pub fn prepended(&self, asn: Asn) -> Self {
        let mut path = self.clone();
        match path.segments.first_mut() {
            Some(s) if s.kind == AsSegmentKind::Sequence && s.asns.len() < AS_SEGMENT_MAX => {
                s.asns.insert(0, asn);
            }
            _ => {
                let sequence = AsSegment { kind: AsSegmentKind::Sequence, asns: vec![asn] };
                path.segments.insert(0, sequence);
            }
        }
        path
    }
}

/// The most numbers that a segment's length octet can count.
pub const AS_SEGMENT_MAX: usize = 255;

/// A community of RFC 1997.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Community(pub u32);

impl Community {
    /// GRACEFUL_SHUTDOWN, 65535:0 (RFC 8326).
    pub const GRACEFUL_SHUTDOWN: Self = Self(0xffff_0000);
    /// NO_EXPORT (RFC 1997).
    pub const NO_EXPORT: Self = Self(0xffff_ff01);
    /// NO_ADVERTISE (RFC 1997).
    pub const NO_ADVERTISE: Self = Self(0xffff_ff02);
    /// NO_EXPORT_SUBCONFED (RFC 1997).
    pub const NO_EXPORT_SUBCONFED: Self = Self(0xffff_ff03);
}

/// An extended community: 8 octets of which the first two say what it is (RFC 4360).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ExtCommunity(pub [u8; 8]);

/// What the MAC mobility community says (RFC 7432 section 7.7).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct MacMobility {
    /// Grows with each move.
    pub sequence: u32,
    /// The MAC must not move.
    pub sticky: bool,
}

/// VXLAN's number among tunnel types (RFC 9012, RFC 8365 section 5.1.3).
pub const ENCAP_VXLAN: u16 = 8;

impl ExtCommunity {
    /// A route target.
    pub const fn route_target(target: RouteTarget) -> Self {
        Self(target.0)
    }

    /// Encapsulation (RFC 9012 section 4.1).
    pub const fn encap(tunnel_type: u16) -> Self {
        let [a, b] = tunnel_type.to_be_bytes();
        Self([0x03, 0x0c, 0, 0, 0, 0, a, b])
    }

    /// Router's MAC (RFC 9135 section 8.1).
    pub const fn with_router_mac(mac: MacAddr) -> Self {
        let [a, b, c, d, e, f] = mac.0;
        Self([0x06, 0x03, a, b, c, d, e, f])
    }

    /// MAC mobility (RFC 7432 section 7.7).
    pub const fn with_mac_mobility(mobility: MacMobility) -> Self {
        let [a, b, c, d] = mobility.sequence.to_be_bytes();
        Self([0x06, 0x00, mobility.sticky as u8, 0, a, b, c, d])
    }

    /// Link bandwidth in octets a second, non-transitive, as FRR and others read it (RFC 10005).
    pub fn with_link_bandwidth(asn: Asn, octets_per_second: f32) -> Self {
        let [a, b] = asn.two_octet().to_be_bytes();
        let [w, x, y, z] = octets_per_second.to_be_bytes();
        Self([0x40, 0x04, a, b, w, x, y, z])
    }

    fn mac_mobility(self) -> Option<MacMobility> {
        match self.0 {
            [0x06, 0x00, flags, _, a, b, c, d] => Some(MacMobility {
                sequence: u32::from_be_bytes([a, b, c, d]),
                sticky: flags & 1 == 1,
            }),
            _ => None,
        }
    }

    fn router_mac(self) -> Option<MacAddr> {
        match self.0 {
            [0x06, 0x03, mac @ ..] => Some(MacAddr(mac)),
            _ => None,
        }
    }

    fn link_bandwidth(self) -> Option<f32> {
        match self.0 {
            [0x00 | 0x40, 0x04, _, _, w, x, y, z] => {
                Some(f32::from_be_bytes([w, x, y, z])).filter(|v| v.is_finite() && *v >= 0.0)
            }
            _ => None,
        }
    }

    fn encapsulation(self) -> Option<u16> {
        match self.0 {
            [0x03, 0x0c, _, _, _, _, a, b] => Some(u16::from_be_bytes([a, b])),
            _ => None,
        }
    }

    /// The default gateway community (RFC 7432 section 7.8).
    pub const DEFAULT_GATEWAY: Self = Self([0x03, 0x0d, 0, 0, 0, 0, 0, 0]);

    /// Whether it may cross an AS border (RFC 4360 section 2).
    pub const fn is_transitive(self) -> bool {
        let [kind, ..] = self.0;
        kind & 0x40 == 0
    }

    /// The segment label of an ESI label community (RFC 7432 section 7.5), with its single-active bit.
    pub const fn esi_label(self) -> Option<(Label, bool)> {
        match self.0 {
            [0x06, 0x01, flags, _, _, a, b, c] => {
                Some((Label::from_octets([a, b, c]), flags & 1 == 1))
            }
            _ => None,
        }
    }

    /// The ES-import target that belongs to a segment (RFC 7432 section 7.6).
    pub const fn es_import(esi: Esi) -> Self {
        let [_, a, b, c, d, e, f, ..] = esi.0;
        Self([0x06, 0x02, a, b, c, d, e, f])
    }
}

/// The PMSI tunnel attribute (RFC 6514 section 5).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PmsiTunnel {
    /// Flags as sent.
    pub flags: u8,
    /// 6 is ingress replication.
    pub tunnel_type: u8,
    /// With VXLAN the VNI (RFC 8365 section 5.1.3).
    pub label: Label,
    /// The tunnel's end, by the type's form; for ingress replication an IP address.
    pub identifier: Bytes,
}

impl PmsiTunnel {
    /// Ingress replication (RFC 7432 section 11.2).
    pub const INGRESS_REPLICATION: u8 = 6;
}

/// An attribute that is relayed and not read.
///
/// AGGREGATOR is kept with a 4-octet AS, whatever the width it came in (RFC 6793 section 4).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RawAttribute {
    /// Optional, transitive and partial as received. ATOMIC_AGGREGATE and AIGP apart, only optional
    /// transitive attributes are kept.
    pub flags: u8,
    /// Its code.
    pub code: u8,
    /// Its value.
    pub value: Bytes,
}

/// A community of RFC 8092: an AS that gives the other two numbers their meaning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LargeCommunity {
    /// Global administrator.
    pub global: u32,
    /// Local data, part 1.
    pub local1: u32,
    /// Local data, part 2.
    pub local2: u32,
}

/// An IPv6 address specific extended community (RFC 5701): 20 octets of which the first two say
/// what it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ipv6ExtCommunity(pub [u8; 20]);

/// A number that says what it is, and octets.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Tlv {
    /// Type.
    pub kind: u8,
    /// Value.
    pub value: Bytes,
}

/// A tunnel of the Tunnel Encapsulation attribute (RFC 9012 section 2).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Tunnel {
    /// As in the encapsulation community: 8 is VXLAN.
    pub tunnel_type: u16,
    /// What is said of it, in the order sent.
    pub sub_tlvs: Vec<Tlv>,
}

/// What an attribute says by itself, before those of its UPDATE are put together: the set of a
/// route is [`PathAttributes`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AttributeValue {
    /// RFC 4271 section 5.1.1.
    Origin(Origin),
    /// RFC 4271 section 5.1.2.
    AsPath(AsPath),
    /// RFC 4271 section 5.1.3; EVPN routes have theirs in [`Self::MpReach`].
    NextHop(Ipv4Addr),
    /// RFC 4271 section 5.1.4.
    Med(u32),
    /// RFC 4271 section 5.1.5.
    LocalPref(u32),
    /// RFC 4271 section 5.1.6.
    AtomicAggregate,
    /// RFC 4271 section 5.1.7.
    Aggregator {
        /// The AS that aggregated.
        asn: Asn,
        /// The router that aggregated.
        router: Ipv4Addr,
    },
    /// RFC 1997.
    Communities(Vec<Community>),
    /// RFC 4456 section 8.
    OriginatorId(Ipv4Addr),
    /// RFC 4456 section 8.
    ClusterList(Vec<Ipv4Addr>),
    /// RFC 4760 section 3.
    MpReach {
        /// Of which family.
        family: Family,
        /// The next hop's octets as sent, and what they are where that is known.
        next_hop: Bytes,
        /// The next hop as addresses: one, or with a link-local one after it (RFC 2545 section 3).
        addresses: Vec<IpAddr>,
        /// The routes.
        nlri: Bytes,
    },
    /// RFC 4760 section 4.
    MpUnreach {
        /// Of which family.
        family: Family,
        /// The routes.
        nlri: Bytes,
    },
    /// RFC 4360.
    ExtCommunities(Vec<ExtCommunity>),
    /// RFC 6793 section 3, without segments of a confederation (section 6).
    As4Path(AsPath),
    /// RFC 6793 section 3.
    As4Aggregator {
        /// The AS that aggregated.
        asn: Asn,
        /// The router that aggregated.
        router: Ipv4Addr,
    },
    /// RFC 6514 section 5.
    Pmsi(PmsiTunnel),
    /// RFC 9012 section 2.
    TunnelEncapsulation(Vec<Tunnel>),
    /// RFC 5701.
    Ipv6ExtCommunities(Vec<Ipv6ExtCommunity>),
    /// RFC 7311 section 3: TLVs, of which type 1 is the metric.
    Aigp(Vec<Tlv>),
    /// RFC 8092.
    LargeCommunities(Vec<LargeCommunity>),
    /// RFC 9234 section 5.
    OnlyToCustomer(Asn),
    /// RFC 8669 section 3.
    PrefixSid(Vec<Tlv>),
}
