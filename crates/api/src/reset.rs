//! Why a session went down or does not come up, and what to do about it.
//!
//! The mistakes that everybody makes once when two routers are to talk are told apart here, since
//! "Active" alone sends people to a packet capture.
//!
//! **Every cause has a text that names the values at fault**, and a remedy where an operator can do
//! something.

use crate::NeighborId;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The last time that a session went down or failed to come up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastReset {
    /// How long ago, in milliseconds.
    pub last_reset_timer_msecs: u64,
    /// Which cause, as a word for programs: `wrongAs`, `tcpRefused`, ...
    pub cause: String,
    /// Why, in one sentence.
    pub last_reset_due_to: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl LastReset {
    /// What is told of a cause that struck the session with `peer` so many milliseconds ago.
    pub fn new(cause: &Cause, peer: &Whom, ago_msec: u64) -> Self {
        Self {
            last_reset_timer_msecs: ago_msec,
            cause: cause.code().to_owned(),
            last_reset_due_to: cause.text(),
            remedy: cause.remedy(peer),
        }
    }
}

/// Whom a session is with, for remedies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whom {
    /// What the configuration calls it.
    pub id: NeighborId,
    /// Its address, where that is known.
    pub address: Option<IpAddr>,
}

impl From<IpAddr> for Whom {
    fn from(address: IpAddr) -> Self {
        Self { id: address.into(), address: Some(address) }
    }
}

impl Whom {
    /// What to say to `ip route get`.
    fn route(&self) -> String {
        self.on_its_link(" dev ")
    }

    /// What to say to `ping` (RFC 4007 section 11).
    fn reach(&self) -> String {
        self.on_its_link("%")
    }

    /// Its address, with the interface where it means something only there.
    fn on_its_link(&self, joined_by: &str) -> String {
        match (&self.id, self.address) {
            (NeighborId::Interface(name), Some(address)) => format!("{address}{joined_by}{name}"),
            (id, _) => id.to_string(),
        }
    }
}

/// What is the matter with an interface that a neighbour is to be on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkFault {
    /// There is none of this name.
    Missing,
    /// It is administratively down.
    Down,
    /// Nothing is at its other end.
    NoCarrier,
    /// It is a port of a bridge, which takes what comes in there.
    BridgePort,
    /// It has no link-local address.
    NoLinkLocal,
    /// Nobody has advertised himself there.
    NoRouter,
}

/// Why a session is down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its OPEN carries another AS than configured.
    WrongAs {
        /// What the configuration says.
        configured: u32,
        /// What it said.
        received: u32,
    },
    /// It refused our AS (NOTIFICATION 2/2).
    OurAsRefused {
        /// What we said.
        ours: u32,
    },
    /// It accepts the connection and closes it before an OPEN: it knows no neighbour of our address,
    /// or holds it down.
    WrongSource {
        /// The address that we came from, where it is known.
        ours: Option<IpAddr>,
    },
    /// Nobody listens there.
    TcpRefused {
        /// The port that we tried.
        port: u16,
    },
    /// No answer to our SYN.
    TcpTimeout {
        /// The port that we tried.
        port: u16,
    },
    /// The kernel has no route there.
    NoRoute,
    /// It is not on a connected network, and the session is limited to one hop.
    NotConnected,
    /// No address family in common.
    NoCommonFamily {
        /// What we offer, in words.
        ours: String,
        /// What it offers, in words; empty for nothing.
        theirs: String,
    },
    /// Nothing was heard for the hold time.
    HoldExpired {
        /// The hold time in seconds.
        seconds: u64,
    },
    /// It heard nothing from us for its hold time (NOTIFICATION 4 received).
    HoldExpiredThere,
    /// Its BGP identifier is ours, or zero.
    BadRouterId {
        /// What it said.
        received: String,
    },
    /// Its hold time is one or two seconds (RFC 4271 section 4.2).
    BadHoldTime {
        /// What it said.
        seconds: u16,
    },
    /// What it says it is to us does not go with what we are (RFC 9234).
    RoleMismatch {
        /// What we are.
        ours: String,
        /// What it says, in words; empty where it says nothing.
        theirs: String,
    },
    /// It refused our role (NOTIFICATION 2/11).
    OurRoleRefused {
        /// What we said; empty for nothing.
        ours: String,
    },
    /// BFD says that the path is down.
    BfdDown,
    /// The link that it is on went down.
    LinkDown,
    /// Its interface does not lead to it.
    Interface {
        /// The interface.
        name: String,
        /// What is the matter.
        fault: LinkFault,
    },
    /// It sent more routes than allowed.
    MaxPrefix {
        /// The limit.
        limit: u64,
    },
    /// It sent something that cannot be repaired (RFC 4271 section 6).
    Malformed {
        /// What.
        what: String,
    },
    /// It closed the session with a NOTIFICATION.
    Notified {
        /// Error code.
        code: u8,
        /// Error subcode.
        subcode: u8,
        /// Its name and its text (RFC 9003), as far as there is one.
        what: String,
    },
    /// The TCP connection ended without a NOTIFICATION.
    Closed {
        /// What the kernel says.
        what: String,
    },
    /// The configuration holds it down.
    AdminDown,
    /// An operator or a change of the configuration reset it.
    AdminReset {
        /// Who or what.
        by: String,
    },
}

impl Cause {
    /// The cause as a word for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::WrongAs { .. } => "wrongAs",
            Self::OurAsRefused { .. } => "ourAsRefused",
            Self::WrongSource { .. } => "wrongSource",
            Self::TcpRefused { .. } => "tcpRefused",
            Self::TcpTimeout { .. } => "tcpTimeout",
            Self::NoRoute => "noRoute",
            Self::NotConnected => "notConnected",
            Self::NoCommonFamily { .. } => "noCommonFamily",
            Self::HoldExpired { .. } => "holdExpired",
            Self::HoldExpiredThere => "holdExpiredThere",
            Self::BadRouterId { .. } => "badRouterId",
            Self::BadHoldTime { .. } => "badHoldTime",
            Self::RoleMismatch { .. } => "roleMismatch",
            Self::OurRoleRefused { .. } => "ourRoleRefused",
            Self::BfdDown => "bfdDown",
            Self::LinkDown => "linkDown",
            Self::Interface { fault, .. } => match fault {
                LinkFault::Missing => "noInterface",
                LinkFault::Down => "interfaceDown",
                LinkFault::NoCarrier => "noCarrier",
                LinkFault::BridgePort => "bridgePort",
                LinkFault::NoLinkLocal => "noLinkLocal",
                LinkFault::NoRouter => "noRouterAdvertisement",
            },
            Self::MaxPrefix { .. } => "maxPrefix",
            Self::Malformed { .. } => "malformed",
            Self::Notified { .. } => "notified",
            Self::Closed { .. } => "closed",
            Self::AdminDown => "adminDown",
            Self::AdminReset { .. } => "adminReset",
        }
    }

    /// The cause in one sentence.
    pub fn text(&self) -> String {
        match self {
            Self::WrongAs { configured, received } => {
                format!("it says AS {received}, the configuration says AS {configured}")
            }
            Self::OurAsRefused { ours } => format!("it refuses our AS {ours}"),
            Self::WrongSource { ours: Some(ours) } => {
                format!(
                    "it closes the connection at once: it seems not to expect us at {ours}, or to \
                     hold us down"
                )
            }
            Self::WrongSource { ours: None } => {
                "it closes the connection at once: it seems not to expect us, or to hold us down"
                    .into()
            }
            Self::TcpRefused { port } => format!("TCP port {port}: connection refused"),
            Self::TcpTimeout { port } => format!("TCP port {port}: no answer"),
            Self::NoRoute => "no way to it: no route, or nobody at its address".into(),
            Self::NotConnected => "it is not on a connected network".into(),
            Self::NoCommonFamily { ours, theirs } => {
                let theirs = if theirs.is_empty() { "none" } else { theirs };
                format!("no address family in common: it offers {theirs}, we {ours}")
            }
            Self::HoldExpired { seconds } => {
                format!("nothing heard from it for the hold time of {seconds} s")
            }
            Self::HoldExpiredThere => "it heard nothing from us for its hold time".into(),
            Self::BadRouterId { received } => {
                format!("its router id {received} is ours or not valid")
            }
            Self::BadHoldTime { seconds } => {
                format!("it asks for a hold time of {seconds} s; less than 3 is not valid")
            }
            Self::RoleMismatch { ours, theirs } if theirs.is_empty() => {
                format!("it says no role, and we are to be its {ours}")
            }
            Self::RoleMismatch { ours, theirs } => {
                format!("it says that it is our {theirs}, and we are to be its {ours}")
            }
            Self::OurRoleRefused { ours } if ours.is_empty() => {
                "it wants us to say a role, and we say none".into()
            }
            Self::OurRoleRefused { ours } => format!("it refuses us as its {ours}"),
            Self::BfdDown => "BFD says that the path to it is down".into(),
            Self::LinkDown => "the link to it went down".into(),
            Self::Interface { name, fault } => match fault {
                LinkFault::Missing => format!("interface {name} does not exist"),
                LinkFault::Down => format!("interface {name} is not up"),
                LinkFault::NoCarrier => format!("interface {name} has no carrier"),
                LinkFault::BridgePort => format!("interface {name} is a port of a bridge"),
                LinkFault::NoLinkLocal => format!("interface {name} has no link-local address"),
                LinkFault::NoRouter => format!("no router advertisement heard on {name} yet"),
            },
            Self::MaxPrefix { limit } => format!("it sent more than {limit} routes of one family"),
            Self::Malformed { what } => format!("it sent a malformed message: {what}"),
            Self::Notified { code, subcode, what } if what.is_empty() => {
                format!("it closed the session: NOTIFICATION {code}/{subcode}")
            }
            Self::Notified { code, subcode, what } => {
                format!("it closed the session: {what} (NOTIFICATION {code}/{subcode})")
            }
            Self::Closed { what } => format!("the connection ended: {what}"),
            Self::AdminDown => "held down by the configuration".into(),
            Self::AdminReset { by } => format!("reset by {by}"),
        }
    }

    /// What an operator can do about it.
    pub fn remedy(&self, peer: &Whom) -> Option<String> {
        let (reach, route, peer) = (peer.reach(), peer.route(), &peer.id);
        Some(match self {
            Self::WrongAs { received, .. } => {
                format!("set `as = {received}` for neighbor {peer}, or correct it there")
            }
            Self::OurAsRefused { ours } => {
                format!("configure AS {ours} for us at {peer}, or correct ours")
            }
            Self::WrongSource { .. } if matches!(peer, NeighborId::Interface(_)) => {
                format!("look there for the neighbor on the link to our {peer}, and for a shutdown")
            }
            Self::WrongSource { .. } => format!(
                "set `update-source` of neighbor {peer} to the address that it has for us \
                 (`ip route get {route}` shows the one in use), or look for a shutdown there"
            ),
            Self::TcpRefused { .. } => {
                format!("start BGP at {peer}, or correct the address that it listens on")
            }
            Self::TcpTimeout { port } => format!(
                "`ping {reach}`; then look for a firewall on TCP {port}, for a password that \
                 differs, and for `ttl-security` at one end only"
            ),
            Self::NoRoute => format!("`ip route get {route}`; with a route: does it answer there?"),
            Self::NotConnected => {
                format!("set `multihop` for neighbor {peer}, or use its address on the link")
            }
            Self::NoCommonFamily { ours, theirs } if theirs.is_empty() => {
                format!("activate {ours} for us at {peer}")
            }
            Self::NoCommonFamily { ours, .. } => format!(
                "activate {ours} for us at {peer}, or write what it offers into `families` of \
                 neighbor {peer}"
            ),
            Self::HoldExpired { .. } | Self::HoldExpiredThere => format!(
                "`ping -M do -s 1472 {reach}`: look for loss, for an MTU that differs and for a \
                 busy CPU"
            ),
            Self::BadRouterId { .. } => "give every router an id of its own".into(),
            Self::BadHoldTime { .. } => format!("set a hold time of 3 s or more at {peer}"),
            Self::RoleMismatch { .. } | Self::OurRoleRefused { .. } => {
                format!("correct `role` of neighbor {peer}, or its role for us there")
            }
            Self::LinkDown if matches!(peer, NeighborId::Interface(_)) => {
                format!("`ip link show {peer}`")
            }
            Self::BfdDown | Self::LinkDown => {
                format!("`ip route get {route}`, then look at that link")
            }
            Self::Interface { name, fault } => match fault {
                LinkFault::Missing => "`ip link` shows those that there are".into(),
                LinkFault::Down => format!("`ip link set {name} up`"),
                LinkFault::NoCarrier => {
                    "look at the cable, and at the port at its other end".into()
                }
                LinkFault::BridgePort => {
                    format!("name the bridge as interface, or `ip link set {name} nomaster`")
                }
                LinkFault::NoLinkLocal => format!(
                    "`sysctl net.ipv6.conf.{name}.disable_ipv6=0` lets the kernel give it one"
                ),
                LinkFault::NoRouter => {
                    "the other end needs IPv6 router advertisements, for FRR `neighbor X interface`"
                        .into()
                }
            },
            Self::MaxPrefix { .. } => {
                format!(
                    "find out why {peer} sends so many, or raise its `max-prefix`; then `evpnctl \
                     clear bgp {peer}`"
                )
            }
            Self::Notified { code: 6, subcode: 2, .. } => {
                format!("it was shut down there: enable us at {peer}")
            }
            Self::Notified { code: 6, subcode: 3, .. } => {
                format!("it has removed us: name us as a neighbor at {peer} again")
            }
            Self::AdminDown => format!("remove `shutdown` from neighbor {peer}"),
            Self::Malformed { .. } | Self::Notified { .. } => {
                format!("read the log of {peer} at this time")
            }
            Self::Closed { .. } | Self::AdminReset { .. } => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_interface(fault: LinkFault) -> Cause {
        Cause::Interface { name: "swp1".into(), fault }
    }

    fn all() -> Vec<Cause> {
        vec![
            Cause::WrongAs { configured: 65_001, received: 65_002 },
            Cause::OurAsRefused { ours: 65_000 },
            Cause::WrongSource { ours: Some(IpAddr::from([10, 0, 0, 1])) },
            Cause::WrongSource { ours: None },
            Cause::TcpRefused { port: 179 },
            Cause::TcpTimeout { port: 179 },
            Cause::NoRoute,
            Cause::NotConnected,
            Cause::NoCommonFamily { ours: "l2vpn evpn".into(), theirs: "ipv4 unicast".into() },
            Cause::NoCommonFamily {
                ours: "ipv4 unicast, l2vpn evpn".into(),
                theirs: String::new(),
            },
            Cause::HoldExpired { seconds: 90 },
            Cause::HoldExpiredThere,
            Cause::BadRouterId { received: "10.0.0.1".into() },
            Cause::BadHoldTime { seconds: 2 },
            Cause::RoleMismatch { ours: "customer".into(), theirs: "peer".into() },
            Cause::RoleMismatch { ours: "customer".into(), theirs: String::new() },
            Cause::OurRoleRefused { ours: "peer".into() },
            Cause::OurRoleRefused { ours: String::new() },
            Cause::BfdDown,
            Cause::LinkDown,
            of_interface(LinkFault::Missing),
            of_interface(LinkFault::Down),
            of_interface(LinkFault::NoCarrier),
            of_interface(LinkFault::BridgePort),
            of_interface(LinkFault::NoLinkLocal),
            of_interface(LinkFault::NoRouter),
            Cause::MaxPrefix { limit: 1_000 },
            Cause::Malformed { what: "UPDATE of 18 octets".into() },
            Cause::Notified { code: 6, subcode: 2, what: "administrative shutdown".into() },
            Cause::Notified { code: 5, subcode: 0, what: String::new() },
            Cause::Closed { what: "reset by peer".into() },
            Cause::AdminDown,
            Cause::AdminReset { by: "ana (uid 1000)".into() },
        ]
    }

    #[test]
    fn every_cause_says_what_is_wrong_and_what_to_do() {
        let peer = Whom::from(IpAddr::from([10, 0, 0, 2]));
        let shown: Vec<String> = all()
            .iter()
            .map(|cause| {
                let reset = LastReset::new(cause, &peer, 0);
                let remedy = reset.remedy.unwrap_or_else(|| "-".into());
                format!("{}: {}\n    {remedy}", reset.cause, reset.last_reset_due_to)
            })
            .collect();
        insta::assert_snapshot!(shown.join("\n"));
    }

    #[test]
    fn a_neighbour_on_an_interface_is_pinged_by_its_address_and_configured_by_its_name() {
        let id = NeighborId::Interface("swp1".into());
        let peer = Whom { id, address: Some("fe80::1".parse().unwrap()) };
        let ping = Cause::TcpTimeout { port: 179 }.remedy(&peer).unwrap();
        assert!(ping.starts_with("`ping fe80::1%swp1`"), "{ping}");
        let set = Cause::AdminDown.remedy(&peer).unwrap();
        assert_eq!(set, "remove `shutdown` from neighbor swp1");
        let closed = Cause::WrongSource { ours: None }.remedy(&peer).unwrap();
        assert!(!closed.contains("update-source"), "{closed}");
        let route = Cause::NoRoute.remedy(&peer).unwrap();
        assert!(route.starts_with("`ip route get fe80::1 dev swp1`"), "{route}");
    }
}
