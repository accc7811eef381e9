//! Routes of every family: what names one, and what it carries (RFC 7432 section 7, RFC 9136
//! section 3, RFC 9251 section 9, RFC 4271 section 4.3, RFC 4684 section 4).

use super::{Esi, Family, Label, MacAddr, Membership, Rd, RtMembership};
use bytes::Bytes;
use ipnet::IpNet;
use std::fmt;
use std::net::IpAddr;

/// An Ethernet tag: 0 in a VLAN-based service (RFC 7432 section 6).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct EthernetTag(pub u32);

/// The number that says what an EVPN route is (IANA "EVPN Route Types").
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RouteType(pub u8);

impl RouteType {
    /// Ethernet Auto-Discovery (RFC 7432 section 7.1).
    pub const ETHERNET_AD: Self = Self(1);
    /// MAC/IP Advertisement (RFC 7432 section 7.2).
    pub const MAC_IP: Self = Self(2);
    /// Inclusive Multicast Ethernet Tag (RFC 7432 section 7.3).
    pub const IMET: Self = Self(3);
    /// Ethernet Segment (RFC 7432 section 7.4).
    pub const ETHERNET_SEGMENT: Self = Self(4);
    /// IP Prefix (RFC 9136 section 3).
    pub const IP_PREFIX: Self = Self(5);
    /// Selective Multicast Ethernet Tag (RFC 9251 section 9.1).
    pub const SMET: Self = Self(6);
    /// Multicast Membership Report Synch (RFC 9251 section 9.2).
    pub const JOIN_SYNCH: Self = Self(7);
    /// Multicast Leave Synch (RFC 9251 section 9.3).
    pub const LEAVE_SYNCH: Self = Self(8);
    /// Per-Region I-PMSI A-D (RFC 9572 section 3.1).
    pub const REGION_PMSI: Self = Self(9);
    /// S-PMSI A-D (RFC 9572 section 3.2).
    pub const SELECTIVE_PMSI: Self = Self(10);
    /// Leaf A-D (RFC 9572 section 3.3).
    pub const LEAF: Self = Self(11);

    /// Octets that follow the key: the flags of types 6 and 7; reserved octets, maximum response
    /// time and flags of type 8. None elsewhere.
    pub const fn membership_octets(self) -> usize {
        match self {
            Self::SMET | Self::JOIN_SYNCH => 1,
            Self::LEAVE_SYNCH => 6,
            _ => 0,
        }
    }
}

/// What names a route, and only that: an update replaces the route of the same key, and a
/// withdrawal removes it.
///
/// For type 2 the ESI and the labels are not part of it (RFC 7432 section 7.2), for type 5 neither
/// are the ESI, the gateway and the label, and the prefix is masked (RFC 9136 section 3.1); for
/// types 6 to 8 the flags, the maximum response time and what is reserved are not (RFC 9251 section
/// 9).
/// The order (type first, then distinguisher) is the one people see.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RouteKey {
    /// Type 1.
    EthernetAd {
        /// Route distinguisher.
        rd: Rd,
        /// The segment.
        esi: Esi,
        /// The tag; all ones for a route per segment.
        etag: EthernetTag,
    },
    /// Type 2.
    MacIp {
        /// Route distinguisher.
        rd: Rd,
        /// The tag.
        etag: EthernetTag,
        /// The host's MAC address.
        mac: MacAddr,
        /// The host's address, if the route binds one.
        ip: Option<IpAddr>,
    },
    /// Type 3.
    Imet {
        /// Route distinguisher.
        rd: Rd,
        /// The tag.
        etag: EthernetTag,
        /// The originating router.
        originator: IpAddr,
    },
    /// Type 4.
    EthernetSegment {
        /// Route distinguisher.
        rd: Rd,
        /// The segment.
        esi: Esi,
        /// The originating router.
        originator: IpAddr,
    },
    /// Type 5.
    IpPrefix {
        /// Route distinguisher.
        rd: Rd,
        /// The tag.
        etag: EthernetTag,
        /// The prefix, masked.
        prefix: IpNet,
    },
    /// A type that is relayed and not acted upon: types 6 to 11, which [`RouteKey::multicast`]
    /// reads, and those that this implementation does not know.
    Opaque {
        /// Which.
        route_type: RouteType,
        /// The body after the type and length octets; of types 6 to 8 without what follows the key
        /// ([`RouteType::membership_octets`]).
        body: Bytes,
    },
    /// A prefix of IPv4 or IPv6 unicast.
    Unicast {
        /// The prefix, masked.
        prefix: IpNet,
    },
    /// Route targets that somebody wants (RFC 4684).
    RtMembership(RtMembership),
}

impl RouteKey {
    /// The EVPN route's type; none of other families.
    pub const fn route_type(&self) -> Option<RouteType> {
        Some(match self {
            Self::EthernetAd { .. } => RouteType::ETHERNET_AD,
            Self::MacIp { .. } => RouteType::MAC_IP,
            Self::Imet { .. } => RouteType::IMET,
            Self::EthernetSegment { .. } => RouteType::ETHERNET_SEGMENT,
            Self::IpPrefix { .. } => RouteType::IP_PREFIX,
            Self::Opaque { route_type, .. } => *route_type,
            Self::Unicast { .. } | Self::RtMembership(_) => return None,
        })
    }

    /// The family that it is of.
    pub const fn family(&self) -> Family {
        match self {
            Self::Unicast { prefix: IpNet::V4(_) } => Family::IPV4_UNICAST,
            Self::Unicast { prefix: IpNet::V6(_) } => Family::IPV6_UNICAST,
            Self::RtMembership(_) => Family::RT_CONSTRAINT,
            _ => Family::EVPN,
        }
    }

    /// The route distinguisher; an opaque route's is not read (see [`RouteKey::multicast`]).
    pub const fn rd(&self) -> Option<Rd> {
        match self {
            Self::EthernetAd { rd, .. }
            | Self::MacIp { rd, .. }
            | Self::Imet { rd, .. }
            | Self::EthernetSegment { rd, .. }
            | Self::IpPrefix { rd, .. } => Some(*rd),
            Self::Opaque { .. } | Self::Unicast { .. } | Self::RtMembership(_) => None,
        }
    }
}

impl fmt::Display for RouteKey {
    /// The form of FRR's tables: `[2]:[0]:[48]:[02:00:00:00:00:01]:[32]:[192.0.2.1]`; a unicast
    /// prefix is just that.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EthernetAd { esi, etag, .. } => write!(f, "[1]:[{}]:[{esi}]", etag.0),
            Self::MacIp { etag, mac, ip: None, .. } => write!(f, "[2]:[{}]:[48]:[{mac}]", etag.0),
            Self::MacIp { etag, mac, ip: Some(ip), .. } => {
                let bits = if ip.is_ipv4() { 32 } else { 128 };
                write!(f, "[2]:[{}]:[48]:[{mac}]:[{bits}]:[{ip}]", etag.0)
            }
            Self::Imet { etag, originator, .. } => {
                let bits = if originator.is_ipv4() { 32 } else { 128 };
                write!(f, "[3]:[{}]:[{bits}]:[{originator}]", etag.0)
            }
            Self::EthernetSegment { esi, originator, .. } => {
                let bits = if originator.is_ipv4() { 32 } else { 128 };
                write!(f, "[4]:[{esi}]:[{bits}]:[{originator}]")
            }
            Self::IpPrefix { etag, prefix, .. } => {
                write!(f, "[5]:[{}]:[{}]:[{}]", etag.0, prefix.prefix_len(), prefix.addr())
            }
            Self::Opaque { route_type, body } => match self.multicast() {
                Some(key) => key.fmt(f),
                None => write!(f, "[{}]:[{} octets]", route_type.0, body.len()),
            },
            Self::Unicast { prefix } => prefix.fmt(f),
            Self::RtMembership(membership) => membership.fmt(f),
        }
    }
}

/// A route as announced: its key and what the NLRI carries beside it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// What names it.
    pub key: RouteKey,
    /// The segment of a type 2 or type 5 route; zero elsewhere (that of types 1 and 4 is in the key).
    pub esi: Esi,
    /// The overlay index of a type 5 route (RFC 9136 section 3.2); none where it is all zeros.
    pub gateway: Option<IpAddr>,
    /// First label: the L2VNI of types 1 and 2, the L3VNI of type 5. Zero in types 3, 4 and opaque,
    /// except that types 6 to 8 keep [their membership](Self::membership) in place of both labels.
    pub label1: Label,
    /// Second label of a type 2 route: the L3VNI (RFC 9135 section 4.1).
    pub label2: Option<Label>,
}

impl Route {
    /// A route that carries nothing beside its key (types 3, 4 and opaque, and other families).
    pub const fn bare(key: RouteKey) -> Self {
        let label1 = Label::from_octets([0; 3]);
        Self { key, esi: Esi::ZERO, gateway: None, label1, label2: None }
    }

    /// A single-homed route with one label (types 1, 2 and 5).
    pub const fn labelled(key: RouteKey, label1: Label) -> Self {
        Self { key, esi: Esi::ZERO, gateway: None, label1, label2: None }
    }

    /// A route of types 6 to 8. What it says beside its key takes the six octets of the labels,
    /// which it has not, so that a path in the table need not grow for it.
    pub fn with_membership(key: RouteKey, membership: Membership) -> Self {
        let Membership { reserved: [a, b, c, d], max_response, flags } = membership;
        let label1 = Label::from_octets([a, b, c]);
        let label2 = Some(Label::from_octets([d, max_response, flags]));
        let label2 = label2.filter(|label| *label != Label::default());
        Self { label2, ..Self::labelled(key, label1) }
    }

    /// What a route of types 6 to 8 says beside its key; none of others.
    pub fn membership(&self) -> Option<Membership> {
        if self.key.route_type()?.membership_octets() == 0 {
            return None;
        }
        let [a, b, c] = self.label1.octets();
        let [d, max_response, flags] = self.label2.unwrap_or_default().octets();
        Some(Membership { reserved: [a, b, c, d], max_response, flags })
    }

    /// Its labels in order: those of types 1, 2 and 5.
    pub fn labels(&self) -> impl Iterator<Item = Label> + use<> {
        let labelled = !matches!(
            self.key,
            RouteKey::Imet { .. }
                | RouteKey::EthernetSegment { .. }
                | RouteKey::Opaque { .. }
                | RouteKey::Unicast { .. }
                | RouteKey::RtMembership(_)
        );
        [Some(self.label1).filter(|_| labelled), self.label2.filter(|_| labelled)]
            .into_iter()
            .flatten()
    }
}
