//! OPEN: what we offer, whether what the neighbor offers is acceptable, and what both agree upon.
//!
//! **What was negotiated is a function of the two OPENs: nothing that changes later changes it.**

use super::config::SessionConfig;
use super::reason::{Ending, OpenRefusal};
use super::role;
use crate::bgp::message::{
    AddPath, Capability, Family, ForwardingPreserved, GracefulRestart, Open,
};
use crate::bgp::role::Role;
use crate::bgp::wire::FamilySet;
use crate::types::{AS_TRANS, Asn};
use std::fmt;
use std::time::Duration;

/// The longest message without RFC 8654, in octets.
const MESSAGE_LENGTH_MAX: u16 = 4096;
/// The longest message with RFC 8654, in octets.
const EXTENDED_MESSAGE_LENGTH_MAX: u16 = u16::MAX;

/// How the neighbor stands to us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PeerKind {
    /// Of our AS.
    Internal,
    /// Of another.
    External,
}

/// What both sides agreed upon.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Negotiated {
    /// The OPEN we sent.
    pub sent: Open,
    /// The OPEN we received; its sender's AS and identifier are the neighbor's.
    pub received: Open,
    /// iBGP or eBGP.
    pub kind: PeerKind,
    /// The smaller hold time; zero for none (RFC 4271 section 4.2).
    pub hold_time: Duration,
    /// Time between our KEEPALIVEs, already jittered; zero for none.
    pub keepalive_interval: Duration,
    /// Families that both offer, ascending. None in common leaves an empty session.
    pub families: Vec<Family>,
    /// Both speak 4-octet AS numbers in AS_PATH (RFC 6793).
    pub four_octet_as: bool,
    /// The longest message the neighbor may send, in octets.
    pub receive_length_max: u16,
    /// The longest message the neighbor takes, in octets.
    pub send_length_max: u16,
    /// The neighbor answers ROUTE-REFRESH (RFC 2918).
    pub route_refresh: bool,
    /// Both mark begin and end of a refresh (RFC 7313).
    pub enhanced_route_refresh: bool,
    /// Families in common of which IPv6 next hops go for IPv4 routes (RFC 8950).
    pub extended_next_hop: FamilySet,
    /// Families in common whose routes come with path identifiers (RFC 7911).
    pub add_path_received: FamilySet,
    /// Families in common whose routes are sent with path identifiers.
    pub add_path_sent: FamilySet,
    /// The neighbor's graceful restart with the families in common only, where both offer it. Its
    /// N is set only if ours is too.
    pub graceful_restart: Option<GracefulRestart>,
    /// What we are to a neighbor of another AS (RFC 9234), whether or not it says what it is.
    pub role: Option<Role>,
}

impl Negotiated {
    /// The neighbor's AS.
    pub const fn peer_as(&self) -> Asn {
        self.received.asn
    }

    /// Whether the neighbor has just restarted: it must not be waited for before our End-of-RIB is
    /// sent (RFC 4724 section 4.1).
    pub fn peer_is_restarting(&self) -> bool {
        self.graceful_restart.as_ref().is_some_and(|restart| restart.restarting)
    }

    /// Whether routes of `family` that were kept from before may stay until the neighbor's
    /// End-of-RIB. RFC 4724 §4.2: if not (no capability, family not in it, F not set), they go now.
    pub fn retains(&self, family: Family) -> bool {
        self.graceful_restart
            .as_ref()
            .is_some_and(|restart| restart.families.contains(&(family, ForwardingPreserved::Yes)))
    }

    /// Families whose routes stay after such an end, and for how long; none if none do.
    pub(super) fn kept_after(&self, ending: Ending) -> Option<(Vec<Family>, Duration)> {
        let restart = self.graceful_restart.as_ref()?;
        let keeps = match ending {
            Ending::Silent => true,
            Ending::Notified => restart.notification,
            Ending::Hard => false,
        };
        let families: Vec<Family> = restart.families.iter().map(|(family, _)| *family).collect();
        (keeps && !families.is_empty() && !restart.restart_time.is_zero())
            .then_some((families, restart.restart_time))
    }

    /// Whether both sides have set N (RFC 8538 section 2).
    pub(super) fn notification_keeps_routes(&self) -> bool {
        self.graceful_restart.as_ref().is_some_and(|restart| restart.notification)
    }

    /// Families that we offer and the neighbor does not, ascending.
    pub fn missing_families(&self) -> Vec<Family> {
        let mut missing = offered_families(&self.sent);
        missing.retain(|family| !self.families.contains(family));
        missing
    }

    /// What works less well than the operator may expect.
    pub fn notices(&self) -> Vec<Notice> {
        let mut notices = Vec::new();
        if self.families.is_empty() {
            notices.push(Notice::NoCommonFamily {
                ours: offered_families(&self.sent),
                theirs: offered_families(&self.received),
            });
        } else {
            let missing = Some(self.missing_families()).filter(|missing| !missing.is_empty());
            notices.extend(missing.map(Notice::FamiliesMissing));
        }
        if !self.four_octet_as {
            notices.push(Notice::TwoOctetAs);
        }
        if self.hold_time.is_zero() {
            notices.push(Notice::NoHoldTime);
        }
        notices
    }
}

/// Something about a session that came up which the operator should know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notice {
    /// No route will be exchanged.
    NoCommonFamily {
        /// What we offer, ascending.
        ours: Vec<Family>,
        /// What the neighbor offers, ascending.
        theirs: Vec<Family>,
    },
    /// Routes are exchanged, but none of these families.
    FamiliesMissing(Vec<Family>),
    /// The neighbor knows AS numbers of two octets only.
    TwoOctetAs,
    /// A dead neighbor will not be noticed by silence.
    NoHoldTime,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |families: &[Family]| {
            let names: Vec<_> = families.iter().map(ToString::to_string).collect();
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        };
        match self {
            Self::NoCommonFamily { ours, theirs } => write!(
                f,
                "no address family in common, no route is exchanged: we offer {}, the neighbor {}; activate one of ours for us there",
                list(ours),
                list(theirs)
            ),
            Self::FamiliesMissing(missing) => write!(
                f,
                "the neighbor does not offer {}, no route of it is exchanged: activate it for us there, or take it out of `families`",
                list(missing)
            ),
            Self::TwoOctetAs => write!(
                f,
                "the neighbor does not know 4-octet AS numbers: it sees those above 65535 as {AS_TRANS}"
            ),
            Self::NoHoldTime => {
                f.write_str("hold time 0: if the neighbor dies, only BFD or the interface can tell")
            }
        }
    }
}

/// The OPEN that a configuration stands for.
pub(super) fn our_open(config: &SessionConfig) -> Open {
    let mut capabilities: Vec<_> =
        config.families.iter().copied().map(Capability::Multiprotocol).collect();
    capabilities.push(Capability::RouteRefresh);
    if config.enhanced_route_refresh {
        capabilities.push(Capability::EnhancedRouteRefresh);
    }
    if config.extended_message {
        capabilities.push(Capability::ExtendedMessage);
    }
    if config.extended_next_hop && config.families.contains(&Family::IPV4_UNICAST) {
        let v6 = Family::IPV6_UNICAST.afi;
        capabilities.push(Capability::ExtendedNextHop(vec![(Family::IPV4_UNICAST, v6)]));
    }
    if !config.add_path.is_empty() {
        capabilities.push(Capability::AddPath(config.add_path.clone()));
    }
    capabilities.push(Capability::FourOctetAs(config.local_as));
    capabilities.extend(config.role.map(Capability::Role));
    if let Some(restart) = &config.graceful_restart {
        let forwarding = |family: &Family| match restart.preserved.contains(family) {
            true => ForwardingPreserved::Yes,
            false => ForwardingPreserved::No,
        };
        capabilities.push(Capability::GracefulRestart(GracefulRestart {
            restarting: restart.restarting,
            notification: true,
            restart_time: restart.restart_time,
            families: config.families.iter().map(|f| (*f, forwarding(f))).collect(),
        }));
    }
    Open {
        asn: config.local_as,
        hold_time: config.hold_time,
        router_id: config.router_id,
        capabilities,
    }
}

/// Judges the neighbor's OPEN (RFC 4271 section 6.2; the version was judged on the wire) and
/// combines it with ours.
pub(super) fn negotiate(
    config: &SessionConfig,
    sent: &Open,
    received: &Open,
) -> Result<Negotiated, OpenRefusal> {
    let (said, configured) = (received.asn, config.peer_as);
    if !configured.accepts(said, sent.asn) {
        return Err(OpenRefusal::WrongAs { said, configured });
    }
    if received.router_id.is_unspecified() {
        return Err(OpenRefusal::NoRouterId);
    }
    let kind = if said == sent.asn { PeerKind::Internal } else { PeerKind::External };
    // RFC 6286 §2.2: between ASes the same identifier is allowed.
    if kind == PeerKind::Internal && received.router_id == sent.router_id {
        return Err(OpenRefusal::SameRouterId(sent.router_id));
    }
    if matches!(received.hold_time.as_secs(), 1 | 2) {
        return Err(OpenRefusal::HoldTime(received.hold_time));
    }
    let role = role::agree(config, received, kind)?;
    let hold_time = sent.hold_time.min(received.hold_time);
    let third = hold_time / 3;
    let keepalive_interval =
        if config.keepalive_time.is_zero() { third } else { third.min(config.keepalive_time) };
    let both = |capability: &Capability| offers(sent, capability) && offers(received, capability);
    let length_max = |open: &Open| match offers(open, &Capability::ExtendedMessage) {
        true => EXTENDED_MESSAGE_LENGTH_MAX,
        false => MESSAGE_LENGTH_MAX,
    };
    let takes_v6 =
        |family: &Family| extends_next_hop(sent, *family) && extends_next_hop(received, *family);
    let mut families = offered_families(sent);
    let theirs = offered_families(received);
    families.retain(|family| theirs.contains(family));
    Ok(Negotiated {
        kind,
        hold_time,
        keepalive_interval,
        four_octet_as: has_four_octet_as(sent) && has_four_octet_as(received),
        receive_length_max: length_max(sent),
        send_length_max: length_max(received),
        route_refresh: offers(received, &Capability::RouteRefresh),
        enhanced_route_refresh: both(&Capability::EnhancedRouteRefresh),
        graceful_restart: common_restart(sent, received, &families),
        extended_next_hop: families.iter().copied().filter(takes_v6).collect(),
        add_path_received: families
            .iter()
            .copied()
            .filter(|f| add_path(received, sent, *f))
            .collect(),
        add_path_sent: families.iter().copied().filter(|f| add_path(sent, received, *f)).collect(),
        families,
        role,
        sent: sent.clone(),
        received: received.clone(),
    })
}

fn offers(open: &Open, capability: &Capability) -> bool {
    open.capabilities.contains(capability)
}

/// Whether an OPEN offers next hops of IPv6 for a family of IPv4 (RFC 8950 section 4).
fn extends_next_hop(open: &Open, family: Family) -> bool {
    let v6 = Family::IPV6_UNICAST.afi;
    open.capabilities.iter().any(|capability| match capability {
        Capability::ExtendedNextHop(families) => families.contains(&(family, v6)),
        _ => false,
    })
}

/// Whether one side would send path identifiers of a family and the other take them (RFC 7911
/// section 4).
fn add_path(from: &Open, to: &Open, family: Family) -> bool {
    let would = |open: &Open, does: fn(AddPath) -> bool| {
        open.capabilities.iter().any(|capability| match capability {
            Capability::AddPath(families) => families.iter().any(|(f, m)| *f == family && does(*m)),
            _ => false,
        })
    };
    would(from, AddPath::sends) && would(to, AddPath::receives)
}

fn has_four_octet_as(open: &Open) -> bool {
    open.capabilities.iter().any(|c| matches!(c, Capability::FourOctetAs(_)))
}

/// The families of an OPEN, ascending. RFC 4760 §8: one that names none means IPv4 unicast.
fn offered_families(open: &Open) -> Vec<Family> {
    let mut families: Vec<_> = open
        .capabilities
        .iter()
        .filter_map(|capability| match capability {
            Capability::Multiprotocol(family) => Some(*family),
            _ => None,
        })
        .collect();
    if families.is_empty() {
        families.push(Family::IPV4_UNICAST);
    }
    families.sort_unstable();
    families.dedup();
    families
}

fn offered_restart(open: &Open) -> Option<&GracefulRestart> {
    // RFC 4724 §3: of several instances the last one counts.
    open.capabilities.iter().rev().find_map(|capability| match capability {
        Capability::GracefulRestart(restart) => Some(restart),
        _ => None,
    })
}

fn common_restart(sent: &Open, received: &Open, common: &[Family]) -> Option<GracefulRestart> {
    let (ours, theirs) = (offered_restart(sent)?, offered_restart(received)?);
    let mut families = theirs.families.clone();
    families.retain(|(family, _)| common.contains(family));
    families.sort_unstable_by_key(|(family, _)| *family);
    families.dedup_by_key(|(family, _)| *family);
    Some(GracefulRestart {
        notification: ours.notification && theirs.notification,
        families,
        ..theirs.clone()
    })
}
