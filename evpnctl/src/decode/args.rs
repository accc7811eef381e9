//! What `decode` is asked.

use clap::{Args, ValueEnum};
use evpn_proto::types::Family;

/// Octets, and how they came.
#[derive(Debug, Args)]
pub(crate) struct DecodeArgs {
    /// What they are.
    #[arg(long = "as", value_name = "KIND", value_enum, default_value_t = DecodeKind::Message)]
    pub(crate) kind: DecodeKind,
    /// The neighbor has AS numbers of 2 octets, and says the rest in AS4_PATH and AS4_AGGREGATOR.
    #[arg(long)]
    pub(crate) two_octet_as: bool,
    /// A path identifier of 4 octets stands before each route (ADD-PATH, RFC 7911).
    #[arg(long)]
    pub(crate) add_path: bool,
    /// A family that both sides have agreed on; may be given more than once. Of a run of NLRI the first
    /// one says what it is.
    #[arg(long = "family", value_name = "FAMILY", value_enum, default_value = "l2vpn-evpn")]
    pub(crate) families: Vec<DecodeFamily>,
    /// The neighbor is in our AS: LOCAL_PREF, ORIGINATOR_ID, CLUSTER_LIST and confederation
    /// segments are its to send. Of an external one they are discarded or malformed (RFC 7606).
    #[arg(long)]
    pub(crate) ibgp: bool,
    /// The octets in hexadecimal; spaces, colons, line ends and 0x are skipped. - reads them from
    /// standard input.
    #[arg(value_name = "HEX", required = true)]
    pub(crate) hex: Vec<String>,
}

/// What octets are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DecodeKind {
    /// A run of routes as in MP_REACH_NLRI.
    Nlri,
    /// A whole message, from its marker on.
    Message,
    /// The body of an UPDATE, without header.
    Update,
}

/// A family by the name that it has in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DecodeFamily {
    /// L2VPN EVPN (25/70).
    L2vpnEvpn,
    /// IPv4 unicast (1/1).
    Ipv4Unicast,
    /// IPv6 unicast (2/1).
    Ipv6Unicast,
    /// Route target constraints (1/132).
    RtConstraint,
}

impl From<DecodeFamily> for Family {
    fn from(family: DecodeFamily) -> Self {
        match family {
            DecodeFamily::L2vpnEvpn => Self::EVPN,
            DecodeFamily::Ipv4Unicast => Self::IPV4_UNICAST,
            DecodeFamily::Ipv6Unicast => Self::IPV6_UNICAST,
            DecodeFamily::RtConstraint => Self::RT_CONSTRAINT,
        }
    }
}
