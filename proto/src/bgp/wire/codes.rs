//! Numbers that the wire gives to things (IANA "Border Gateway Protocol (BGP) Parameters").
//!
//! **A number stands here once, and nowhere else as a literal.**

/// Error codes of a NOTIFICATION (RFC 4271 section 4.5).
pub mod error {
    /// Message Header Error.
    pub const HEADER: u8 = 1;
    /// OPEN Message Error.
    pub const OPEN: u8 = 2;
    /// UPDATE Message Error.
    pub const UPDATE: u8 = 3;
    /// Hold Timer Expired.
    pub const HOLD_TIMER: u8 = 4;
    /// Finite State Machine Error.
    pub const FSM: u8 = 5;
    /// Cease.
    pub const CEASE: u8 = 6;
    /// ROUTE-REFRESH Message Error (RFC 7313).
    pub const ROUTE_REFRESH: u8 = 7;
}

/// Subcodes of a Message Header Error (RFC 4271 section 6.1).
pub mod header {
    /// Connection Not Synchronized: the marker is not all ones.
    pub const NOT_SYNCHRONIZED: u8 = 1;
    /// Bad Message Length; the data is the length field.
    pub const BAD_LENGTH: u8 = 2;
    /// Bad Message Type; the data is the type field.
    pub const BAD_TYPE: u8 = 3;
}

/// Subcodes of an OPEN Message Error (RFC 4271 section 6.2).
pub mod open {
    /// Unspecific: an optional parameter or capability is malformed.
    pub const UNSPECIFIC: u8 = 0;
    /// Unsupported Version Number; the data is the largest version supported.
    pub const UNSUPPORTED_VERSION: u8 = 1;
    /// Bad Peer AS.
    pub const BAD_PEER_AS: u8 = 2;
    /// Bad BGP Identifier.
    pub const BAD_IDENTIFIER: u8 = 3;
    /// Unsupported Optional Parameter.
    pub const UNSUPPORTED_PARAMETER: u8 = 4;
    /// Unacceptable Hold Time.
    pub const UNACCEPTABLE_HOLD_TIME: u8 = 6;
    /// Unsupported Capability (RFC 5492 section 5).
    pub const UNSUPPORTED_CAPABILITY: u8 = 7;
    /// Role Mismatch (RFC 9234 section 4.2).
    pub const ROLE_MISMATCH: u8 = 11;
}

/// Subcodes of an UPDATE Message Error (RFC 4271 section 6.3).
pub mod update {
    /// Malformed Attribute List.
    pub const MALFORMED_ATTRIBUTE_LIST: u8 = 1;
    /// Unrecognized Well-known Attribute; the data is the attribute.
    pub const UNRECOGNIZED_WELL_KNOWN: u8 = 2;
    /// Optional Attribute Error; the data is the attribute.
    pub const OPTIONAL_ATTRIBUTE: u8 = 9;
    /// Invalid Network Field.
    pub const INVALID_NETWORK: u8 = 10;
}

/// Subcodes of a ROUTE-REFRESH Message Error (RFC 7313 section 5).
pub mod route_refresh {
    /// Invalid Message Length; the data is the message.
    pub const INVALID_LENGTH: u8 = 1;
}

/// Path attributes (RFC 4271 section 5 and those named).
pub mod attribute {
    /// ORIGIN.
    pub const ORIGIN: u8 = 1;
    /// AS_PATH.
    pub const AS_PATH: u8 = 2;
    /// NEXT_HOP.
    pub const NEXT_HOP: u8 = 3;
    /// MULTI_EXIT_DISC.
    pub const MED: u8 = 4;
    /// LOCAL_PREF.
    pub const LOCAL_PREF: u8 = 5;
    /// ATOMIC_AGGREGATE.
    pub const ATOMIC_AGGREGATE: u8 = 6;
    /// AGGREGATOR.
    pub const AGGREGATOR: u8 = 7;
    /// COMMUNITIES (RFC 1997).
    pub const COMMUNITIES: u8 = 8;
    /// ORIGINATOR_ID (RFC 4456).
    pub const ORIGINATOR_ID: u8 = 9;
    /// CLUSTER_LIST (RFC 4456).
    pub const CLUSTER_LIST: u8 = 10;
    /// MP_REACH_NLRI (RFC 4760).
    pub const MP_REACH_NLRI: u8 = 14;
    /// MP_UNREACH_NLRI (RFC 4760).
    pub const MP_UNREACH_NLRI: u8 = 15;
    /// Extended communities (RFC 4360).
    pub const EXT_COMMUNITIES: u8 = 16;
    /// AS4_PATH (RFC 6793).
    pub const AS4_PATH: u8 = 17;
    /// AS4_AGGREGATOR (RFC 6793).
    pub const AS4_AGGREGATOR: u8 = 18;
    /// PMSI_TUNNEL (RFC 6514).
    pub const PMSI_TUNNEL: u8 = 22;
    /// Tunnel Encapsulation (RFC 9012).
    pub const TUNNEL_ENCAPSULATION: u8 = 23;
    /// IPv6 address specific extended communities (RFC 5701).
    pub const IPV6_EXT_COMMUNITIES: u8 = 25;
    /// AIGP (RFC 7311).
    pub const AIGP: u8 = 26;
    /// LARGE_COMMUNITY (RFC 8092).
    pub const LARGE_COMMUNITIES: u8 = 32;
    /// Only to Customer (RFC 9234).
    pub const ONLY_TO_CUSTOMER: u8 = 35;
    /// Prefix-SID (RFC 8669).
    pub const PREFIX_SID: u8 = 40;

    /// Flag: optional, not well-known.
    pub const FLAG_OPTIONAL: u8 = 0x80;
    /// Flag: transitive.
    pub const FLAG_TRANSITIVE: u8 = 0x40;
    /// Flag: somebody on the way did not know it.
    pub const FLAG_PARTIAL: u8 = 0x20;
    /// Flag: the length takes two octets.
    pub const FLAG_EXTENDED_LENGTH: u8 = 0x10;

    /// Octets of type and length of a TLV of AIGP and of Prefix-SID.
    pub(crate) const TLV_HEAD: usize = 3;
}

/// Capabilities (RFC 5492).
pub mod capability {
    /// The optional parameter of an OPEN that holds capabilities.
    pub const PARAMETER: u8 = 2;
    /// Multiprotocol (RFC 4760 section 8).
    pub const MULTIPROTOCOL: u8 = 1;
    /// Route refresh (RFC 2918).
    pub const ROUTE_REFRESH: u8 = 2;
    /// Extended next hop encoding (RFC 8950 section 4).
    pub const EXTENDED_NEXT_HOP: u8 = 5;
    /// Extended message (RFC 8654).
    pub const EXTENDED_MESSAGE: u8 = 6;
    /// BGP Role (RFC 9234).
    pub const ROLE: u8 = 9;
    /// Graceful restart (RFC 4724).
    pub const GRACEFUL_RESTART: u8 = 64;
    /// 4-octet AS numbers (RFC 6793).
    pub const FOUR_OCTET_AS: u8 = 65;
    /// ADD-PATH (RFC 7911 section 4).
    pub const ADD_PATH: u8 = 69;
    /// Enhanced route refresh (RFC 7313).
    pub const ENHANCED_ROUTE_REFRESH: u8 = 70;
}
