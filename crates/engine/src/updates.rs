//! What a neighbour's UPDATEs do to the tables (Adj-RIB-In), and what their errors cost.
//!
//! **What is wrong with a route costs that route, its family at most, and never another
//! neighbour's** (RFC 7606).

use crate::add_path::Announced;
use crate::engine::Engine;
use crate::io::{Event, Now, Output};
use crate::peer::Peer;
use crate::settings::Settings;
use crate::unicast::captures;
use evpn_dataplane::facts::Link;
use evpn_proto::bgp::aigp;
use evpn_proto::bgp::attributes::{Community, PathAttributes};
use evpn_proto::bgp::message::{Classic, Update};
use evpn_proto::bgp::otc::{self, Ingress};
use evpn_proto::bgp::session::{Negotiated, PeerKind, StopReason};
use evpn_proto::bgp::wire::error::Action;
use evpn_proto::types::{Family, RouteKey, RtMembership, can_be_vtep};
use evpn_rib::PeerIdx;
use evpn_rib::table::{Outcome, PathKey, Reject, Which};
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;

impl Engine {
    /// What an UPDATE does to the tables.
    pub(crate) fn update(&mut self, now: Now, index: PeerIdx, update: Update) {
        if update.action != Action::Accept {
            self.fault(index, &update);
        } else if let Some(family) = update.end_of_rib {
            self.end_of_rib(index, family);
            return;
        }
        let ids = update.path_ids;
        for (place, key) in update.withdrawn.iter().enumerate() {
            let family = key.family();
            if self.exchanges(index, family) {
                self.withdraw(self.withdrawn_path(index, family, ids.withdrawn.get(place)), key);
            }
        }
        if update.action == Action::DisableAfiSafi {
            update.disabled.iter().for_each(|family| self.disable(index, family));
            return;
        }
        if let Some(attributes) = update.attributes {
            let announced = Announced { routes: update.announced, path_ids: ids.announced };
            self.announce(now, index, attributes, announced);
        }
        if let Some(Classic { attributes, announced: routes }) = update.classic {
            self.announce(now, index, attributes, Announced { routes, path_ids: ids.classic });
        }
    }

    /// RFC 4724 section 2: the neighbour has told everything of a family.
    fn end_of_rib(&mut self, index: PeerIdx, family: Family) {
        let Some(up) = self.peer_mut(index).and_then(|peer| peer.up.as_mut()) else { return };
        let exchange = up.families.get_mut(&family).filter(|exchange| !exchange.given_up);
        let Some(exchange) = exchange else { return };
        exchange.end_of_rib_received = true;
        let has_told_all = up.has_told_all();
        self.drop_paths(index, family, Which::Stale);
        if has_told_all {
            if let Some(peer) = self.peer_mut(index) {
                peer.stale_until = None;
            }
            self.told(index);
        }
    }

    /// Whether UPDATEs of a family count.
    fn exchanges(&self, index: PeerIdx, family: Family) -> bool {
        let up = self.peer(index).and_then(|peer| peer.up.as_ref());
        up.is_some_and(|up| up.hears(family))
    }

    fn withdraw(&mut self, from: PathKey, key: &RouteKey) {
        let Some(rib) = self.ribs.get_mut(key.family()) else { return };
        rib.withdraw(from, key);
        if let RouteKey::RtMembership(gone) = key
            && self.wants.remove(from.peer, gone)
        {
            self.rewanted.insert(from.peer);
        }
    }

    /// Routes of one family, of one set of attributes.
    fn announce(
        &mut self,
        now: Now,
        index: PeerIdx,
        attributes: Arc<PathAttributes>,
        announced: Announced,
    ) {
        let Some(family) = announced.routes.first().map(|route| route.key.family()) else { return };
        let Some(peer) = self.peer(index).filter(|_| self.exchanges(index, family)) else { return };
        let Some(up) = peer.up.as_ref() else { return };
        let attributes = if peer.settings.aigp { attributes } else { without_aigp(attributes) };
        let (attributes, leak) = imported(attributes, family, &up.negotiated);
        let unreachable = || {
            (family.is_unicast() && self.way(index, &attributes).is_none())
                .then_some(Reject::Unreachable)
        };
        let reject =
            leak.or_else(|| reject(&self.settings, &self.links, &attributes)).or_else(unreachable);
        let near = if family.is_unicast() { self.near() } else { Vec::new() };
        let Some(rib) = self.ribs.get_mut(family) else { return };
        // One use of the set for each route, looked up once.
        let Some(set) = rib.store.intern(&attributes) else { return };
        let mut too_many = 0;
        for (from, route) in announced.from(index) {
            // First what stands whatever links come and go.
            let reject = no_host(&route.key).or(reject).or_else(|| captures(&near, &route.key));
            if let RouteKey::RtMembership(membership) = route.key {
                let changed = match reject {
                    None => self.wants.add(index, membership),
                    Some(_) => self.wants.remove(index, &membership),
                };
                if changed {
                    self.rewanted.insert(index);
                }
            }
            if rib.announce(from, route, set, reject) == Outcome::TooMany {
                too_many += 1;
            }
        }
        rib.store.release(set);
        self.too_many_paths(index, too_many);
        self.check_limit(now, index, family);
    }

    /// RFC 4486 section 4: a neighbour that announces more than it may is stopped, before what it
    /// announces takes the room of others. What is kept of a former session is not what it announces.
    pub(crate) fn check_limit(&mut self, now: Now, index: PeerIdx, family: Family) {
        let counts = self.ribs.get(family).map(|rib| rib.table.counts(index)).unwrap_or_default();
        let told = counts.held.saturating_sub(counts.stale);
        let Some(peer) = self.peer_mut(index) else { return };
        let limit = peer.settings.max_prefix.filter(|_| peer.up.is_some());
        let limit = limit.and_then(|max| usize::try_from(max).ok());
        if limit.is_some_and(|max| told > max) && !peer.is_over_limit {
            peer.is_over_limit = true;
            self.stop(now, index, StopReason::MaximumPrefixes);
        }
    }

    /// Counts what was wrong with an UPDATE and tells it once for each text.
    fn fault(&mut self, index: PeerIdx, update: &Update) {
        let Some(peer) = self.peer_mut(index) else { return };
        for error in &update.errors {
            let faults = &mut peer.faults;
            *match error.action {
                Action::Accept | Action::DiscardAttribute => &mut faults.attributes_discarded,
                Action::DiscardNlri => &mut faults.routes_discarded,
                Action::TreatAsWithdraw => &mut faults.treated_as_withdrawn,
                Action::DisableAfiSafi | Action::ResetSession => &mut faults.family_disabled,
            } += 1;
        }
        let text = update.errors.last().map(|e| e.error.to_string()).unwrap_or_default();
        let news = peer.last_fault.as_ref() != Some(&text);
        peer.last_fault = Some(text.clone());
        if news {
            let text = format!("error in an UPDATE, the session stands: {text}");
            let event = Event::PeerErrors(peer.id(), text);
            self.output(Output::Event(event));
        }
    }

    /// RFC 7606 section 2, "AFI/SAFI disable": the family's routes go, and no more are heard. Ours
    /// are told as before.
    fn disable(&mut self, index: PeerIdx, family: Family) {
        let up = self.peer_mut(index).and_then(|p| p.up.as_mut());
        let Some(up) = up.filter(|up| up.hears(family)) else { return };
        up.refreshes.forget(family);
        if let Some(exchange) = up.families.get_mut(&family) {
            exchange.given_up = true;
        }
        let has_told_all = up.has_told_all();
        if let Some(id) = self.peer(index).map(Peer::id) {
            let text = format!(
                "{family} is given up after an error: nothing of it is heard until the session \
                 begins again (evpnctl clear bgp {id})"
            );
            self.output(Output::Event(Event::PeerErrors(id, text)));
        }
        self.drop_paths(index, family, Which::All);
        if family == Family::RT_CONSTRAINT {
            // What it wants cannot be known any more: it is told everything, as those are who never
            // agreed on the family.
            self.wants.add(index, RtMembership::DEFAULT);
        }
        if has_told_all {
            self.told(index);
        }
    }
}

/// RFC 7311 section 3.3: where it is not enabled the metric is treated as an attribute that nobody
/// knows and that is not transitive: it is left out without a word.
fn without_aigp(mut attributes: Arc<PathAttributes>) -> Arc<PathAttributes> {
    if aigp::is_present(&attributes) {
        aigp::remove(Arc::make_mut(&mut attributes));
    }
    attributes
}

/// What a neighbour's attributes of a family count as, and whether they say that the routes are
/// leaks (RFC 9234 section 5). RFC 8326 section 4.2: from another AS, GRACEFUL_SHUTDOWN makes the
/// path the least preferred.
fn imported(
    mut attributes: Arc<PathAttributes>,
    family: Family,
    negotiated: &Negotiated,
) -> (Arc<PathAttributes>, Option<Reject>) {
    let external = negotiated.kind == PeerKind::External;
    if external && attributes.has_community(Community::GRACEFUL_SHUTDOWN) {
        Arc::make_mut(&mut attributes).local_pref = Some(0);
    }
    let rules = otc::Rules::of(family, negotiated.role);
    let leak = match rules.ingress(negotiated.peer_as(), &attributes) {
        Ingress::Keep => None,
        Ingress::Mark(asn) => {
            otc::mark(Arc::make_mut(&mut attributes), asn);
            None
        }
        Ingress::Leak => Some(Reject::RouteLeak),
    };
    (attributes, leak)
}

fn reject(settings: &Settings, links: &[Link], attributes: &PathAttributes) -> Option<Reject> {
    let ours = |address: IpAddr| {
        settings.vtep == Some(address)
            || links.iter().any(|l| l.addresses.iter().any(|a| a.addr() == address))
    };
    if attributes.as_path.contains(settings.asn) {
        Some(Reject::AsLoop)
    } else if attributes.originator_id == Some(settings.router_id) {
        Some(Reject::OriginatorLoop)
    } else if attributes.cluster_list.contains(&settings.cluster_id) {
        Some(Reject::ClusterLoop)
    } else if attributes.next_hop.is_loopback() || ours(attributes.next_hop) {
        Some(Reject::OwnNextHop)
    } else {
        None
    }
}

fn no_host(key: &RouteKey) -> Option<Reject> {
    match key {
        RouteKey::MacIp { mac, .. } if !mac.is_host() => Some(Reject::NotAHost),
        RouteKey::Imet { originator, .. } if !can_be_vtep(*originator) => {
            Some(Reject::NotAnOriginator)
        }
        RouteKey::Unicast { prefix: IpNet::V6(net) }
            if net.addr().is_unicast_link_local() || net.addr().is_loopback() =>
        {
            Some(Reject::NotRoutable)
        }
        RouteKey::Unicast { prefix: IpNet::V4(net) } if net.addr().is_loopback() => {
            Some(Reject::NotRoutable)
        }
        _ => None,
    }
}
