//! A session that is up: signs of life, a neighbor that restarted, and what an end does to routes.
//!
//! **Whoever was Established goes down with a reason and a decision about routes, exactly once.**

use super::Session;
use super::config::SessionConfig;
use super::events::{ConnectionId, Output, ReceivedMessage, Routes};
use super::history::MessageCounts;
use super::notification;
use super::opening::{Confirmed, Moment};
use super::reason::{Ending, Reason};
use super::state::{Endpoints, Established, Opening, Phase, Rival, SessionState, State};
use super::timers::Timer;
use crate::types::Time;
use std::time::Duration;

/// For how long after Established a new connection is taken for a late collision. A neighbor that
/// restarts without its kernel closing the old connection has lost power: it is not back sooner.
const COLLISION_SETTLE_TIME: Duration = Duration::from_secs(10);

impl Session {
    /// A neighbor with whom the session stands dials. RFC 4724 §5: with graceful restart that tells
    /// of its restart. We wait for its OPEN before we believe it: a dial that was merely late is
    /// closed without one. RFC 4271 §6.8: otherwise the session that stands stays.
    pub(super) fn challenged(
        &mut self,
        now: Time,
        mut established: Box<Established>,
        ends: Endpoints,
    ) -> State {
        let settled = now.saturating_since(established.since) >= COLLISION_SETTLE_TIME;
        let restarts = established.negotiated.kept_after(Ending::Silent).is_some();
        if settled && restarts {
            if let Some(earlier) = established.challenger.take() {
                self.hang_up(now, earlier.connection(), &Reason::Superseded);
            }
            established.challenger = Some(self.open_link(now, ends));
        } else {
            self.hang_up(now, ends.connection, &Reason::Collision);
        }
        State::Established(established)
    }

    pub(super) fn received_in_established(
        &mut self,
        moment: Moment,
        mut established: Box<Established>,
        connection: ConnectionId,
        message: ReceivedMessage,
    ) -> State {
        if established.transport.connection() != connection {
            return self.received_from_challenger(moment, established, message);
        }
        let reason = match message {
            // RFC 4271 §8.2.2: KEEPALIVE and UPDATE restart the hold timer; so do we upon
            // ROUTE-REFRESH, which is as good a sign of life.
            ReceivedMessage::Keepalive
            | ReceivedMessage::Update
            | ReceivedMessage::RouteRefresh => {
                let deadline = moment.at + established.negotiated.hold_time;
                established.transport.timers.postpone(Timer::Hold, deadline);
                return State::Established(established);
            }
            ReceivedMessage::Notification(notification) => Reason::PeerNotification(notification),
            ReceivedMessage::Open(_) => Reason::UnexpectedMessage {
                message: message.name(),
                state: SessionState::Established,
            },
        };
        self.end_in_established(moment.now, established, connection, reason)
    }

    fn received_from_challenger(
        &mut self,
        moment: Moment,
        mut established: Box<Established>,
        message: ReceivedMessage,
    ) -> State {
        let Some(link) = established.challenger.take() else {
            return State::Established(established);
        };
        let (state, connection) = (link.state(), link.connection());
        let reason = match (link.phase, message) {
            (Phase::OpenSent(sent), ReceivedMessage::Open(open)) => {
                match self.judge(&sent, &open) {
                    Ok(negotiated) => {
                        self.put_down(moment.now, &established, &Reason::PeerRestarted);
                        self.history.reset(
                            moment.now,
                            SessionState::Established,
                            Reason::PeerRestarted,
                        );
                        let link = Confirmed { transport: link.transport, negotiated };
                        return self.confirm(moment, link, Rival::None);
                    }
                    Err(refusal) => Reason::Refused(refusal),
                }
            }
            (_, ReceivedMessage::Notification(notification)) => {
                Reason::PeerNotification(notification)
            }
            (_, message) => Reason::UnexpectedMessage { message: message.name(), state },
        };
        self.hang_up(moment.now, connection, &reason);
        State::Established(established)
    }

    /// Ends the session, or the connection of who challenges it. A challenger outlives the session:
    /// it is the neighbor's next one.
    pub(super) fn end_in_established(
        &mut self,
        now: Time,
        mut established: Box<Established>,
        connection: ConnectionId,
        reason: Reason,
    ) -> State {
        if established.transport.connection() == connection {
            self.put_down(now, &established, &reason);
            return match established.challenger {
                Some(link) => {
                    self.history.reset(now, SessionState::Established, reason);
                    State::Opening(Box::new(Opening { link, rival: Rival::None }))
                }
                None => self.rest(now, SessionState::Established, reason),
            };
        }
        if established.challenger.take_if(|link| link.connection() == connection).is_some() {
            self.hang_up(now, connection, &reason);
        }
        State::Established(established)
    }

    /// Closes the connection of a session that is up, and decides about the routes.
    pub(super) fn put_down(&mut self, now: Time, established: &Established, reason: &Reason) {
        let Established { transport, negotiated, since, .. } = established;
        let ending = reason.ending();
        let mut words = reason.notification();
        if ending == Ending::Hard && negotiated.notification_keeps_routes() {
            words = words.as_ref().map(notification::hard_reset);
        }
        let connection = transport.connection();
        self.hang_up_saying(now, connection, reason, words);
        let stood = now.saturating_since(*since);
        self.backoff.stood(stood);
        if stood >= self.config.idle_hold_max {
            self.backoff.reset();
        }
        let routes = match negotiated.kept_after(ending) {
            Some((families, restart_time)) => Routes::Keep { families, restart_time },
            None => Routes::Drop,
        };
        self.outputs.push_back(Output::Down { connection, reason: reason.clone(), routes });
    }

    /// The neighbor is not silent, we are slow.
    pub(super) fn heard(&mut self, connection: ConnectionId, at: Time) {
        for (transport, negotiated) in self.state.transports_mut() {
            if let Some(negotiated) = negotiated.filter(|_| transport.connection() == connection) {
                transport.timers.postpone(Timer::Hold, at + negotiated.hold_time);
            }
        }
    }

    /// The neighbor takes what we send (RFC 9687).
    pub(super) fn sent(&mut self, connection: ConnectionId, at: Time, messages: &MessageCounts) {
        self.history.sent.add(messages);
        for (transport, negotiated) in self.state.transports_mut() {
            if let Some(negotiated) = negotiated.filter(|_| transport.connection() == connection) {
                let send_hold_time = SessionConfig::send_hold_time(negotiated.hold_time);
                transport.timers.postpone(Timer::SendHold, at + send_hold_time);
            }
        }
    }

    pub(super) fn send_hold_expired(&mut self, now: Time, connection: ConnectionId) {
        let send_hold_time = match &self.state {
            State::Established(established) => {
                SessionConfig::send_hold_time(established.negotiated.hold_time)
            }
            _ => return,
        };
        self.end(now, connection, Reason::SendHoldExpired(send_hold_time));
    }
}
