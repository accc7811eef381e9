//! EVPN routes of multicast, types 6 to 11, as values (RFC 9251 section 9, RFC 9572 section 3).
//!
//! In the table such a route is named by the octets of its key
//! ([`RouteKey::Opaque`](super::RouteKey::Opaque)), since nothing in evpnd acts on it: it is
//! checked and relayed. These are the views of those octets for whoever wants to know what they say.
//!
//! **A view and the octets it was read from name the same route.**

use super::{Esi, EthernetTag, Rd, RouteType};
use bytes::Bytes;
use std::fmt;
use std::net::IpAddr;

/// Whose packets to whom, and which router says so.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Flow {
    /// The source; none for any.
    pub source: Option<IpAddr>,
    /// The group; none for any (RFC 9251 section 9.1.1, RFC 6625).
    pub group: Option<IpAddr>,
    /// The originating router.
    pub originator: IpAddr,
}

/// What names a route of types 6 to 11.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum MulticastKey {
    /// Type 6: Selective Multicast Ethernet Tag (RFC 9251 section 9.1).
    Smet {
        /// Route distinguisher.
        rd: Rd,
        /// The tag.
        etag: EthernetTag,
        /// What is asked for.
        flow: Flow,
    },
    /// Type 7: Multicast Membership Report Synch (RFC 9251 section 9.2).
    JoinSynch {
        /// Route distinguisher.
        rd: Rd,
        /// The segment on which a host has joined.
        esi: Esi,
        /// The tag.
        etag: EthernetTag,
        /// What it has joined.
        flow: Flow,
    },
    /// Type 8: Multicast Leave Synch (RFC 9251 section 9.3).
    LeaveSynch {
        /// Route distinguisher.
        rd: Rd,
        /// The segment on which a host has left.
        esi: Esi,
        /// The tag.
        etag: EthernetTag,
        /// What it has left.
        flow: Flow,
    },
    /// Type 9: Per-Region I-PMSI A-D (RFC 9572 section 3.1).
    RegionPmsi {
        /// Route distinguisher.
        rd: Rd,
        /// The tag.
        etag: EthernetTag,
        /// The region, in the form of an extended community.
        region: [u8; 8],
    },
    /// Type 10: S-PMSI A-D (RFC 9572 section 3.2).
    SelectivePmsi {
        /// Route distinguisher.
        rd: Rd,
        /// The tag.
        etag: EthernetTag,
        /// What the tunnel carries.
        flow: Flow,
    },
    /// Type 11: Leaf A-D (RFC 9572 section 3.3).
    Leaf {
        /// The route that it answers, as NLRI: type, length and body.
        route_key: Bytes,
        /// The router that answers.
        originator: IpAddr,
    },
}

impl MulticastKey {
    /// The route's type.
    pub const fn route_type(&self) -> RouteType {
        match self {
            Self::Smet { .. } => RouteType::SMET,
            Self::JoinSynch { .. } => RouteType::JOIN_SYNCH,
            Self::LeaveSynch { .. } => RouteType::LEAVE_SYNCH,
            Self::RegionPmsi { .. } => RouteType::REGION_PMSI,
            Self::SelectivePmsi { .. } => RouteType::SELECTIVE_PMSI,
            Self::Leaf { .. } => RouteType::LEAF,
        }
    }

    /// The route distinguisher; type 11 has none of its own.
    pub const fn rd(&self) -> Option<Rd> {
        match self {
            Self::Smet { rd, .. }
            | Self::JoinSynch { rd, .. }
            | Self::LeaveSynch { rd, .. }
            | Self::RegionPmsi { rd, .. }
            | Self::SelectivePmsi { rd, .. } => Some(*rd),
            Self::Leaf { .. } => None,
        }
    }
}

impl fmt::Display for Flow {
    /// `[bits]:[source]:[bits]:[group]:[bits]:[originator]`, and `[0]:[*]` for any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |f: &mut fmt::Formatter<'_>, ip: Option<IpAddr>| match ip {
            None => f.write_str("[0]:[*]:"),
            Some(ip) => write!(f, "[{}]:[{ip}]:", bits(ip)),
        };
        part(f, self.source)?;
        part(f, self.group)?;
        write!(f, "[{}]:[{}]", bits(self.originator), self.originator)
    }
}

impl fmt::Display for MulticastKey {
    /// In the manner of [`RouteKey`](super::RouteKey)'s other types.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Smet { etag, flow, .. } => write!(f, "[6]:[{}]:{flow}", etag.0),
            Self::JoinSynch { esi, etag, flow, .. } => write!(f, "[7]:[{}]:[{esi}]:{flow}", etag.0),
            Self::LeaveSynch { esi, etag, flow, .. } => {
                write!(f, "[8]:[{}]:[{esi}]:{flow}", etag.0)
            }
            Self::RegionPmsi { etag, region, .. } => {
                write!(f, "[9]:[{}]:[{:016x}]", etag.0, u64::from_be_bytes(*region))
            }
            Self::SelectivePmsi { etag, flow, .. } => write!(f, "[10]:[{}]:{flow}", etag.0),
            Self::Leaf { route_key, originator } => {
                f.write_str("[11]:[")?;
                route_key.iter().try_for_each(|octet| write!(f, "{octet:02x}"))?;
                write!(f, "]:[{}]:[{originator}]", bits(*originator))
            }
        }
    }
}

const fn bits(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

/// What a route of types 6 to 8 says beside its key (RFC 9251 sections 9.1 to 9.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Membership {
    /// Reserved octets of type 8, kept as they came; zero in types 6 and 7.
    pub reserved: [u8; 4],
    /// Maximum response time of type 8, as IGMP codes it; zero in types 6 and 7.
    pub max_response: u8,
    /// See the flags that have names here.
    pub flags: u8,
}

impl Membership {
    /// Flag: IGMP version 1, or MLD version 1.
    pub const V1: u8 = 0x01;
    /// Flag: IGMP version 2, or MLD version 2.
    pub const V2: u8 = 0x02;
    /// Flag: IGMP version 3.
    pub const V3: u8 = 0x04;
    /// Flag IE: the source is excluded.
    pub const EXCLUDE: u8 = 0x08;
}
