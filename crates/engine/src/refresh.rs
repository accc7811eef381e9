//! Refreshes: the routes of a family are told once more, because somebody asks (RFC 2918), marked
//! with a begin and an end where both sides can (RFC 7313).
//!
//! **A refresh takes away only what its neighbour held when it began and had not told again when it
//! ended**; what a restart keeps, the restart's own End-of-RIB or timer decides about.
//!
//! Everything here is of one family, so that a refresh of one leaves the others alone.

use crate::budget::{Budget, Price};
use crate::engine::Engine;
use crate::io::{Event, Now, Output};
use crate::peer::{Peer, Up};
use crate::rib::Rib;
use evpn_proto::bgp::message::{Capability, RouteRefresh};
use evpn_proto::bgp::session::RefreshStep;
use evpn_proto::bgp::wire;
use evpn_proto::types::{Family, Time};
use evpn_rib::PeerIdx;
use evpn_rib::table::Which;
use std::collections::BTreeMap;
use std::time::Duration;

/// Subtypes of a ROUTE-REFRESH (RFC 7313 section 3.2): a request, and begin and end of what follows
/// it. Others are ignored, as section 5 has it.
const REQUEST: u8 = 0;
const BEGIN: u8 = 1;
const END: u8 = 2;

/// How often a neighbour may begin, and how often at once. Each begin looks at the whole table: who
/// floods us with them must not keep us from our work for others.
const BEGINS: Price = Price { each: Duration::from_secs(1), credit: Duration::from_secs(8) };

/// The refreshes of a session that is up.
#[derive(Debug, Default)]
pub(crate) struct Refreshes {
    /// Those that the neighbour has begun, and when each is over at the latest.
    incoming: BTreeMap<Family, Time>,
    /// For those that it begins.
    begins: BTreeMap<Family, Budget>,
    /// Those that we owe the neighbour.
    outgoing: BTreeMap<Family, Outgoing>,
    /// The log has been told that it begins before its End-of-RIB.
    told_early: bool,
    /// Messages sent of which the session has not been told.
    pub(crate) unreported: u64,
}

/// How far a refresh of ours is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outgoing {
    /// It begins after our End-of-RIB: RFC 7313 §4 forbids it before.
    Waiting,
    /// Its begin has been sent.
    Begun,
}

impl Refreshes {
    /// When the first that a neighbour has begun must have ended.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.incoming.values().min().copied()
    }

    /// The neighbour is not heard in this family any more.
    pub(crate) fn forget(&mut self, family: Family) {
        self.incoming.remove(&family);
    }
}

/// Sends a ROUTE-REFRESH.
fn send(peer: PeerIdx, up: &mut Up, family: Family, subtype: u8) -> Output {
    let octets = wire::encode_route_refresh(&RouteRefresh { family, subtype });
    up.in_flight += octets.len();
    up.refreshes.unreported += 1;
    Output::Send { peer, connection: up.connection, octets }
}

impl Peer {
    /// Ends a refresh that has told everything, and begins one that had to wait. Tells whether there
    /// is something to send again.
    pub(crate) fn carry_refresh(
        &mut self,
        rib: &mut Rib,
        now: Time,
        family: Family,
        outputs: &mut Vec<Output>,
    ) -> bool {
        let peer = self.index;
        let Some(up) = self.up.as_mut() else { return false };
        let Some(exchange) = up.families.get(&family) else { return false };
        let end_of_rib_sent = exchange.end_of_rib_sent;
        let Some(group) = rib.groups.get_mut(&exchange.group) else { return false };
        let step = match up.refreshes.outgoing.get(&family) {
            Some(Outgoing::Begun) if group.updates.is_retold(peer) => {
                up.refreshes.outgoing.remove(&family);
                outputs.push(send(peer, up, family, END));
                RefreshStep::Sent
            }
            Some(Outgoing::Waiting) if end_of_rib_sent => {
                up.refreshes.outgoing.insert(family, Outgoing::Begun);
                outputs.push(send(peer, up, family, BEGIN));
                group.cache.clear();
                group.updates.retell(peer);
                RefreshStep::Sending
            }
            _ => return false,
        };
        self.session.note_refresh(now, family, step);
        step == RefreshStep::Sending
    }
}

impl Engine {
    /// Asks the neighbour to send its routes again, if it offers that.
    pub(crate) fn request_refresh(&mut self, now: Now, index: PeerIdx, family: Family) {
        let Some(peer) = self.peer_mut(index) else { return };
        let offers = |up: &&mut Up| up.negotiated.route_refresh && up.hears(family);
        let Some(up) = peer.up.as_mut().filter(offers) else { return };
        let request = send(index, up, family, REQUEST);
        peer.session.note_refresh(now.time, family, RefreshStep::Asked);
        self.output(request);
    }

    /// The neighbour is told everything again.
    pub(crate) fn send_again(&mut self, now: Now, index: PeerIdx, family: Family) {
        let Some(peer) = self.peer_mut(index) else { return };
        let Some(up) = peer.up.as_mut().filter(|up| up.exchange(family).is_some()) else { return };
        if up.negotiated.enhanced_route_refresh {
            // One that runs begins anew within the same begin and end. Whatever else there is to
            // send goes first, so that it is the flush that begins one.
            if up.refreshes.outgoing.get(&family) != Some(&Outgoing::Begun) {
                up.refreshes.outgoing.insert(family, Outgoing::Waiting);
                return;
            }
        } else {
            peer.session.note_refresh(now.time, family, RefreshStep::Sending);
        }
        self.resend(index, family);
    }

    /// The neighbour has sent a ROUTE-REFRESH.
    pub(crate) fn refresh(&mut self, now: Now, index: PeerIdx, refresh: RouteRefresh) {
        let RouteRefresh { family, subtype } = refresh;
        let Some(up) = self.peer(index).and_then(|peer| peer.up.as_ref()) else { return };
        if up.exchange(family).is_none() {
            return;
        }
        let enhanced = up.negotiated.enhanced_route_refresh && up.hears(family);
        match subtype {
            REQUEST => self.send_again(now, index, family),
            BEGIN if enhanced => self.refresh_begins(now, index, family),
            END if enhanced => self.refresh_ends(now, index, family, RefreshStep::Ended),
            _ => {}
        }
    }

    fn refresh_begins(&mut self, now: Now, index: PeerIdx, family: Family) {
        let until = now.time + self.settings.stale_time;
        let Some(peer) = self.peer_mut(index) else { return };
        let Some(up) = peer.up.as_mut() else { return };
        // RFC 7313 §4: from a neighbour with graceful restart it counts after its End-of-RIB only.
        let restarts = |c: &Capability| matches!(c, Capability::GracefulRestart(_));
        let promises = up.negotiated.received.capabilities.iter().any(restarts);
        if promises && !up.exchange(family).is_some_and(|e| e.end_of_rib_received) {
            let news = !std::mem::replace(&mut up.refreshes.told_early, true);
            peer.session.note_refresh(now.time, family, RefreshStep::TooEarly);
            if news {
                self.tell_refresh(index, family, RefreshStep::TooEarly);
            }
            return;
        }
        if !up.refreshes.begins.entry(family).or_default().afford(now.time, BEGINS) {
            peer.session.note_refresh(now.time, family, RefreshStep::TooSoon);
            return;
        }
        up.refreshes.incoming.insert(family, until);
        peer.session.note_refresh(now.time, family, RefreshStep::Begun);
        if let Some(rib) = self.ribs.get_mut(family) {
            rib.table.mark_unrefreshed(index);
        }
    }

    /// What the neighbour has not told again is gone. An end without a begin means nothing.
    fn refresh_ends(
        &mut self,
        now: Now,
        index: PeerIdx,
        family: Family,
        step: fn(usize) -> RefreshStep,
    ) {
        let up = self.peer_mut(index).and_then(|peer| peer.up.as_mut());
        if up.and_then(|up| up.refreshes.incoming.remove(&family)).is_none() {
            return;
        }
        let step = step(self.drop_paths(index, family, Which::Unrefreshed));
        if let Some(peer) = self.peer_mut(index) {
            peer.session.note_refresh(now.time, family, step);
        }
        if matches!(step, RefreshStep::TimedOut(_)) {
            self.tell_refresh(index, family, step);
        }
    }

    /// Ends refreshes that the neighbour has begun and not ended in time.
    pub(crate) fn expire_refreshes(&mut self, now: Now, index: PeerIdx) {
        let Some(up) = self.peer(index).and_then(|peer| peer.up.as_ref()) else { return };
        let due = up.refreshes.incoming.iter().filter(|(_, until)| **until <= now.time);
        for family in due.map(|(family, _)| *family).collect::<Vec<_>>() {
            self.refresh_ends(now, index, family, RefreshStep::TimedOut);
        }
    }

    /// What the operator should look at.
    fn tell_refresh(&mut self, index: PeerIdx, family: Family, step: RefreshStep) {
        let Some(id) = self.peer(index).map(Peer::id) else { return };
        let text = format!("refresh of {family}: {step}");
        self.output(Output::Event(Event::PeerErrors(id, text)));
    }
}
