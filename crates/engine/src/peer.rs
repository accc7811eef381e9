//! One neighbour: its session, its place in an update group, and what it is owed.

use crate::budget::{Budget, Price};
use crate::constraints::Wants;
use crate::interface::FarEnd;
use crate::io::{Event, Output};
use crate::peers::Former;
use crate::refresh::Refreshes;
use crate::rib::{Audience, GroupKey, Rib, Ribs, SelfHop};
use crate::settings::NeighborSettings;
use crate::stretch::next_octets;
use bytes::Bytes;
use evpn_dataplane::object::IfIndex;
use evpn_proto::bgp::aigp;
use evpn_proto::bgp::attributes::{Community, ExtCommunity, PathAttributes};
use evpn_proto::bgp::message::{Family, Message};
use evpn_proto::bgp::otc::{self, Egress};
use evpn_proto::bgp::session::{self, ConnectionId, Negotiated, PeerKind, Session};
use evpn_proto::bgp::wire::{self, AsWidth, DecodeContext, SessionKind, encode_end_of_rib};
use evpn_proto::types::{Asn, NeighborId, Time, is_link_local};
use evpn_rib::PeerIdx;
use evpn_rib::attr_store::LOCAL_PREF_DEFAULT;
use evpn_rib::decision::Source;
use evpn_rib::table::{DestId, Path, PeerInfo};
use evpn_rib::update_group::Export;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

/// Octets that may be on their way to a neighbour's socket; beyond it waits in the tables.
pub(crate) const SEND_WINDOW_OCTETS: usize = 256 * 1024;
/// How long what a neighbour wants is waited for (RFC 4684 section 6).
const WANTS_WAIT: Duration = Duration::from_secs(60);
/// How often a neighbour may want other routes than before, and how often at once. Each time all
/// routes are looked at: who changes its mind without end must not keep us from our work for others.
const WANTS: Price = Price { each: Duration::from_secs(1), credit: Duration::from_secs(8) };
/// What a link adds to the accumulated IGP metric, of which no IGP says the distance: not nothing
/// (RFC 7311 section 3.4.3).
const LINK_DISTANCE: u64 = 1;

/// What is wrong with a neighbour's messages, counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Faults {
    /// Attributes dropped (RFC 7606 section 2).
    pub attributes_discarded: u64,
    /// Routes dropped.
    pub routes_discarded: u64,
    /// UPDATEs whose routes counted as withdrawn.
    pub treated_as_withdrawn: u64,
    /// Times that the family was given up.
    pub family_disabled: u64,
}

/// A neighbour.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) index: PeerIdx,
    pub(crate) settings: NeighborSettings,
    /// The group by which it came, where nobody named it.
    pub(crate) group: Option<Arc<str>>,
    /// The other end of its interface, where that is who it is.
    pub(crate) far_end: Option<FarEnd>,
    pub(crate) session: Session,
    pub(crate) up: Option<Up>,
    /// Its routes are kept over its restart until then.
    pub(crate) stale_until: Option<Time>,
    /// The end or failure that was last told to the log.
    pub(crate) told: Option<String>,
    pub(crate) faults: Faults,
    pub(crate) last_fault: Option<String>,
    /// It announced more than it may, and is down until somebody starts it again.
    pub(crate) is_over_limit: bool,
}

/// What there is only while the session is Established.
#[derive(Debug)]
pub(crate) struct Up {
    pub(crate) connection: ConnectionId,
    pub(crate) negotiated: Arc<Negotiated>,
    /// Families in common.
    pub(crate) families: BTreeMap<Family, Exchange>,
    /// Octets sent that the socket has not taken.
    pub(crate) in_flight: usize,
    /// UPDATEs sent of which the session has not been told.
    pub(crate) updates_unreported: u64,
    /// Until then what the neighbour wants is waited for, before it is told that it has everything.
    pub(crate) wants_until: Time,
    /// For changes of what it wants.
    wants_budget: Budget,
    pub(crate) refreshes: Refreshes,
}

/// What is exchanged of one family.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) group: GroupKey,
    pub(crate) end_of_rib_sent: bool,
    pub(crate) end_of_rib_received: bool,
    /// Nothing of it is heard any more after an error (RFC 7606 section 2). What we tell is told
    /// all the same: else the neighbour would keep what it was told before.
    pub(crate) given_up: bool,
}

impl Exchange {
    /// Whether nothing more of it is waited for.
    const fn is_told(&self) -> bool {
        self.end_of_rib_received || self.given_up
    }
}

impl Up {
    /// What is exchanged of a family.
    pub(crate) fn exchange(&self, family: Family) -> Option<&Exchange> {
        self.families.get(&family)
    }

    /// Whether what the neighbour says of a family counts.
    pub(crate) fn hears(&self, family: Family) -> bool {
        self.exchange(family).is_some_and(|exchange| !exchange.given_up)
    }

    /// Whether the neighbour has told everything, of every family.
    pub(crate) fn has_told_all(&self) -> bool {
        self.families.values().all(Exchange::is_told)
    }

    /// Whether it has said all that it wants, if it says such things.
    pub(crate) fn has_said_its_wants(&self) -> bool {
        self.exchange(Family::RT_CONSTRAINT).is_none_or(Exchange::is_told)
    }

    /// Whether its memberships are known, so that what it wants of EVPN is (RFC 4684 section 6).
    fn wants_are_known(&self, now: Time) -> bool {
        self.awaits_wants().is_none_or(|until| until <= now)
    }

    /// Whether it may have all routes looked at for a change of what it wants. While it is still to
    /// be told what there was when it came, always: that must not end before it has been told.
    pub(crate) fn may_want_anew(&mut self, now: Time) -> bool {
        let is_told = self.exchange(Family::EVPN).is_some_and(|evpn| evpn.end_of_rib_sent);
        !is_told || self.wants_budget.afford(now, WANTS)
    }

    /// From when on it may.
    pub(crate) fn wants_anew_at(&self) -> Time {
        self.wants_budget.affords_at(WANTS)
    }

    /// Until when its memberships are waited for.
    pub(crate) fn awaits_wants(&self) -> Option<Time> {
        let exchange = self.exchange(Family::RT_CONSTRAINT)?;
        let evpn = self.exchange(Family::EVPN).is_some_and(|evpn| !evpn.end_of_rib_sent);
        (evpn && !exchange.is_told()).then_some(self.wants_until)
    }
}

impl Peer {
    pub(crate) fn new(index: PeerIdx, settings: NeighborSettings, seed: u64) -> Self {
        let session = Session::new(settings.session.clone(), seed ^ u64::from(index.0));
        let far_end = settings.id.interface().map(|_| FarEnd::new());
        Self {
            index,
            settings,
            group: None,
            far_end,
            session,
            up: None,
            stale_until: None,
            told: None,
            faults: Faults::default(),
            last_fault: None,
            is_over_limit: false,
        }
    }

    /// Takes over the number of another one.
    pub(crate) fn after(mut self, former: Former) -> Self {
        self.session = self.session.after_dials(former.dials);
        self
    }

    pub(crate) fn id(&self) -> NeighborId {
        self.settings.id.clone()
    }

    /// Its address, if that is known, with the interface on which a link-local one is.
    pub(crate) fn remote(&self) -> Option<(IpAddr, Option<IfIndex>)> {
        match &self.far_end {
            Some(far) => far.remote().map(|(address, device)| (address.into(), Some(device))),
            None => self.settings.id.address().map(|address| (address, None)),
        }
    }

    /// Its address, if that is known.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.remote().map(|(address, _)| address)
    }

    /// Whether its routes are reflected to every internal neighbour.
    pub(crate) const fn is_client(&self) -> bool {
        self.settings.route_reflector_client
    }

    /// Whether UPDATEs of this connection count.
    pub(crate) fn up_on(&self, connection: ConnectionId) -> Option<&Up> {
        self.up.as_ref().filter(|up| up.connection == connection)
    }

    /// The session has come up. `self_hops` says where it is to find us, by family.
    pub(crate) fn established(
        &mut self,
        now: Time,
        connection: ConnectionId,
        self_hop: impl Fn(Family) -> Option<SelfHop>,
    ) -> Option<&Up> {
        let negotiated = Arc::clone(self.session.negotiated()?);
        let audience = match negotiated.kind {
            PeerKind::External => Audience::External,
            PeerKind::Internal if self.settings.route_reflector_client => Audience::Client,
            PeerKind::Internal => Audience::Internal,
        };
        let constrained = negotiated.families.contains(&Family::RT_CONSTRAINT);
        let is_alone =
            |family| family == Family::RT_CONSTRAINT || (family == Family::EVPN && constrained);
        let exchange = |family: Family| Exchange {
            group: GroupKey {
                audience,
                four_octet_as: negotiated.four_octet_as,
                length_max: negotiated.send_length_max.into(),
                aigp: self.settings.aigp,
                otc: otc::Rules::of(family, negotiated.role),
                self_hop: self_hop(family),
                extended_next_hop: negotiated.extended_next_hop.contains(family),
                alone: is_alone(family).then_some(self.index),
                path_ids: negotiated.add_path_sent.contains(family),
            },
            end_of_rib_sent: false,
            end_of_rib_received: false,
            given_up: false,
        };
        let spoken = negotiated.families.iter().filter(|family| Ribs::FAMILIES.contains(family));
        let families = spoken.map(|family| (*family, exchange(*family))).collect();
        self.up = Some(Up {
            connection,
            negotiated,
            families,
            in_flight: 0,
            updates_unreported: 0,
            wants_until: now + WANTS_WAIT,
            wants_budget: Budget::default(),
            refreshes: Refreshes::default(),
        });
        self.up.as_ref()
    }

    /// Sends what there is to send, as far as the window allows.
    pub(crate) fn flush(&mut self, ribs: &mut Ribs, sender: &Sender, outputs: &mut Vec<Output>) {
        for family in Ribs::FAMILIES {
            if let Some(rib) = ribs.get_mut(family) {
                self.flush_family(rib, sender, outputs);
            }
        }
    }

    fn flush_family(&mut self, rib: &mut Rib, sender: &Sender, outputs: &mut Vec<Output>) {
        let (peer, family) = (self.index, rib.family);
        let Some(up) = self.up.as_mut() else { return };
        let wants_are_known = family != Family::EVPN || up.wants_are_known(sender.now);
        let Some(exchange) = up.families.get_mut(&family) else { return };
        let key = exchange.group;
        while up.in_flight < SEND_WINDOW_OCTETS {
            let Some((encoded, untold)) = next_octets(rib, key, peer, sender) else { break };
            if let Some(text) = untold {
                let event = Event::PeerErrors(self.settings.id.clone(), text);
                outputs.push(Output::Event(event));
            }
            if let Some(group) = rib.groups.get_mut(&key) {
                group.updates.advance(&mut rib.table, peer, encoded.to);
            }
            let own = encoded.own.iter().find(|own| own.source == peer);
            let length = encoded.octets.len();
            let (begin, end, messages) =
                own.map_or((length, length, 0), |own| (own.begin, own.end, own.messages));
            for octets in [encoded.octets.slice(..begin), encoded.octets.slice(end..)] {
                if !octets.is_empty() {
                    up.in_flight += octets.len();
                    outputs.push(Output::Send { peer, connection: up.connection, octets });
                }
            }
            up.updates_unreported += encoded.messages - messages;
        }
        let initial_done = rib.groups.get(&key).is_some_and(|g| g.updates.is_initial_done(peer));
        let may_end = match family {
            Family::RT_CONSTRAINT => sender.may_end_of_wants,
            _ => sender.may_end_of_rib && wants_are_known,
        };
        if initial_done && !exchange.end_of_rib_sent && may_end {
            exchange.end_of_rib_sent = true;
            let octets = encode_end_of_rib(family);
            up.in_flight += octets.len();
            up.updates_unreported += 1;
            outputs.push(Output::Send { peer, connection: up.connection, octets });
        }
        if self.carry_refresh(rib, sender.now, family, outputs) {
            self.flush_family(rib, sender, outputs);
        }
    }
}

/// What every neighbour is sent alike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sender {
    pub(crate) now: Time,
    pub(crate) asn: Asn,
    /// What marks the routes that we reflect.
    pub(crate) cluster_id: Ipv4Addr,
    pub(crate) router_id: Ipv4Addr,
    /// Whether we have told all that a restart took from us (RFC 4724 section 4.1).
    pub(crate) may_end_of_rib: bool,
    /// Whether we have told all that we and those behind us want (RFC 4684 section 6).
    pub(crate) may_end_of_wants: bool,
}

/// What a change of best path means to a group.
pub(crate) fn export_to(rib: &Rib, wants: &Wants, id: DestId, key: GroupKey) -> Export {
    match rib.told_path(id, key) {
        Some(best) if is_told(rib, wants, best, key) => Export::Announce(best.peer),
        _ => Export::Withdraw,
    }
}

/// Whether a path is told to a group, but for the neighbour from which it came.
pub(crate) fn is_told(rib: &Rib, wants: &Wants, path: &Path, key: GroupKey) -> bool {
    let Some(attributes) = rib.store.get(path.attributes) else { return false };
    let is_wanted = |peer| rib.family != Family::EVPN || wants.takes(peer, attributes);
    if !key.alone.is_none_or(is_wanted) {
        return false;
    }
    if becomes_ours(rib.family, attributes, key) {
        if key.self_hop.is_none() {
            return false;
        }
    } else if rib.family == Family::IPV4_UNICAST
        && attributes.next_hop.is_ipv6()
        && !key.extended_next_hop
    {
        // RFC 8950 section 4: who did not agree on it cannot read the message, and gives up more
        // than this route.
        return false;
    }
    let well_known = |c| attributes.has_community(c);
    let external = key.audience == Audience::External;
    if well_known(Community::NO_ADVERTISE)
        || (external && no_export(attributes))
        || key.otc.withholds(attributes)
    {
        return false;
    }
    may_be_reflected(rib, path, key)
}

/// RFC 4456 section 6: a client's routes go to everybody, those of others to clients; without
/// clients what an internal neighbour told stays with us.
pub(crate) fn may_be_reflected(rib: &Rib, path: &Path, key: GroupKey) -> bool {
    reflected(rib, path, key)
        .is_none_or(|info| info.route_reflector_client || key.audience != Audience::Internal)
}

/// The internal neighbour whose path is told to internal neighbours of this group.
pub(crate) fn reflected<'a>(rib: &'a Rib, path: &Path, key: GroupKey) -> Option<&'a PeerInfo> {
    let info = rib.table.peer(path.peer)?;
    (info.source == Source::Internal && key.audience != Audience::External).then_some(info)
}

fn no_export(attributes: &PathAttributes) -> bool {
    attributes.has_community(Community::NO_EXPORT)
        || attributes.has_community(Community::NO_EXPORT_SUBCONFED)
}

/// Whether the next hop that leaves toward a group is ours: where the speaker is the next hop, that
/// of our own routes and of those that cross to another AS (RFC 4271 section 5.1.3). An EVPN route
/// keeps its VTEP.
fn becomes_ours(family: Family, attributes: &PathAttributes, key: GroupKey) -> bool {
    match family {
        Family::EVPN => false,
        Family::RT_CONSTRAINT => true,
        // A link-local next hop leads nowhere from elsewhere (RFC 2545 section 3).
        _ => {
            let hop = attributes.next_hop;
            key.audience == Audience::External || hop.is_unspecified() || is_link_local(hop)
        }
    }
}

/// The attributes as they leave toward a group. `originator` is the router id of the internal
/// neighbour whose route is reflected.
pub(crate) fn outgoing(
    attributes: &PathAttributes,
    family: Family,
    key: GroupKey,
    sender: &Sender,
    originator: Option<Ipv4Addr>,
) -> PathAttributes {
    let mut out = attributes.clone();
    // RFC 2545 section 3: it means something on the link that it came by only.
    out.link_local = None;
    let hop = key.self_hop.filter(|_| becomes_ours(family, attributes, key));
    if let Some(hop) = hop {
        (out.next_hop, out.link_local) = (hop.address, hop.link_local);
    }
    if !key.aigp {
        aigp::remove(&mut out);
    } else if hop.is_some() {
        aigp::increase(&mut out, LINK_DISTANCE);
    }
    if key.audience != Audience::External {
        // RFC 4271 section 5.1.5: always present toward internal neighbours.
        out.local_pref = Some(attributes.local_pref.unwrap_or(LOCAL_PREF_DEFAULT));
        if let Some(router_id) = originator {
            // RFC 4456 section 8: who brought it into the AS, once, and by whom it came. RFC 4684
            // section 3.2: a membership is the reflector's own, lest its origin ignore it and with
            // it what others want.
            if family == Family::RT_CONSTRAINT {
                out.originator_id = Some(sender.router_id);
            }
            out.originator_id.get_or_insert(router_id);
            out.cluster_list.insert(0, sender.cluster_id);
        }
        return out;
    }
    if let Egress::Mark(asn) = key.otc.egress(sender.asn, attributes) {
        otc::mark(&mut out, asn);
    }
    let originated = attributes.as_path.segments.is_empty();
    out.as_path = attributes.as_path.prepended(sender.asn);
    out.local_pref = None;
    out.originator_id = None;
    out.cluster_list.clear();
    if !originated {
        // RFC 4271 section 5.1.4: a MED of one neighbouring AS is not for another.
        out.med = None;
    }
    // RFC 4360 section 2. Link bandwidth crosses borders all the same (RFC 10005): else no route
    // server could pass on what a drain says.
    out.ext_communities.retain(|c| c.is_transitive() || is_link_bandwidth(c));
    out
}

const fn is_link_bandwidth(community: &ExtCommunity) -> bool {
    matches!(community.0, [0x40, 0x04, ..])
}

/// A session's message as octets.
pub(crate) fn encode(message: &Message) -> Bytes {
    match message {
        Message::Open(open) => wire::encode_open(open),
        Message::Notification(notification) => wire::encode_notification(notification),
        Message::RouteRefresh(refresh) => wire::encode_route_refresh(refresh),
        // A session sends no UPDATEs.
        Message::Keepalive | Message::Update(_) => wire::encode_keepalive(),
    }
}

/// How to read what comes after the OPEN.
pub(crate) fn decode_context(negotiated: &Negotiated) -> DecodeContext {
    DecodeContext {
        as_width: if negotiated.four_octet_as { AsWidth::Four } else { AsWidth::Two },
        length_max: negotiated.receive_length_max.into(),
        families: negotiated.families.iter().copied().collect(),
        extended_next_hop: negotiated.extended_next_hop,
        add_path: negotiated.add_path_received,
        session: match negotiated.kind {
            PeerKind::Internal => SessionKind::Internal,
            PeerKind::External => SessionKind::External,
        },
    }
}

/// What a session says, as the engine says it. What concerns routes the engine deals with itself.
pub(crate) fn translate(peer: PeerIdx, output: session::Output) -> Option<Output> {
    Some(match output {
        session::Output::Close { connection } => Output::Close { peer, connection },
        session::Output::Send { connection, message } => {
            Output::Send { peer, connection, octets: encode(&message) }
        }
        session::Output::Negotiated { connection, negotiated } => {
            Output::Negotiated { peer, connection, context: decode_context(&negotiated) }
        }
        session::Output::Lease { connection, interval, until } => {
            Output::Lease { peer, connection, interval, until }
        }
        session::Output::Connect { .. }
        | session::Output::Established { .. }
        | session::Output::Down { .. }
        | session::Output::StateChanged { .. } => return None,
    })
}
