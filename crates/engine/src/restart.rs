//! Graceful restart, our own (RFC 4724 section 4.1): when what is stale may go, and when we say that
//! we have told everything.
//!
//! **Nothing that forwarded before is deleted until every neighbour has told its routes, or the
//! deferral timer has run out.**

use evpn_dataplane::object::Mode;
use evpn_proto::types::Time;
use evpn_rib::PeerIdx;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a neighbour without graceful restart, which need not send End-of-RIB, may take to tell
/// its routes.
const SILENT_NEIGHBOUR_TAKES: Duration = Duration::from_secs(10);

/// Where we are.
#[derive(Debug)]
pub(crate) struct Restart {
    mode: Mode,
    /// Neighbours that have not told their routes yet, and until when each is waited for.
    waiting: BTreeMap<PeerIdx, Time>,
}

/// Why the wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Complete {
    /// Every neighbour has sent End-of-RIB.
    EndOfRib,
    /// The timer has run out.
    Deferral,
}

impl Complete {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::EndOfRib => "End-of-RIB from every neighbor",
            Self::Deferral => "the deferral timer ran out before every neighbor sent End-of-RIB",
        }
    }
}

impl Restart {
    pub(crate) const fn new() -> Self {
        Self { mode: Mode::Adopt, waiting: BTreeMap::new() }
    }

    pub(crate) const fn mode(&self) -> Mode {
        self.mode
    }

    /// The kernel has been read: these neighbours are waited for.
    pub(crate) fn adopted(
        &mut self,
        now: Time,
        delay: Duration,
        peers: impl IntoIterator<Item = PeerIdx>,
    ) {
        self.mode = Mode::Grow;
        self.waiting = peers.into_iter().map(|peer| (peer, now + delay)).collect();
    }

    /// Whether we are still collecting what neighbours have to tell.
    pub(crate) const fn in_progress(&self) -> bool {
        matches!(self.mode, Mode::Adopt | Mode::Grow)
    }

    /// A neighbour has told everything, or will not: it is no longer waited for.
    pub(crate) fn told(&mut self, peer: PeerIdx) {
        self.waiting.remove(&peer);
    }

    /// A neighbour that will not say when it has told everything has come up.
    pub(crate) fn will_not_tell(&mut self, now: Time, peer: PeerIdx) {
        if let Some(until) = self.waiting.get_mut(&peer) {
            *until = (*until).min(now + SILENT_NEIGHBOUR_TAKES);
        }
    }

    /// When to look again.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.waiting.values().copied().max().filter(|_| self.mode == Mode::Grow)
    }

    /// Moves on if the wait is over.
    pub(crate) fn advance(&mut self, now: Time) -> Option<Complete> {
        if self.mode != Mode::Grow {
            return None;
        }
        let complete = if self.waiting.is_empty() {
            Complete::EndOfRib
        } else if self.waiting.values().all(|until| *until <= now) {
            Complete::Deferral
        } else {
            return None;
        };
        self.mode = Mode::Sweep;
        self.waiting.clear();
        Some(complete)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_that_will_not_tell_is_not_waited_for_as_long() {
        let mut restart = Restart::new();
        restart.adopted(Time::ZERO, Duration::from_secs(100), [PeerIdx(0)]);
        restart.will_not_tell(Time::ZERO, PeerIdx(0));
        let due = Time::ZERO + SILENT_NEIGHBOUR_TAKES;
        assert_eq!(restart.next_deadline(), Some(due));
        assert_eq!(restart.advance(due), Some(Complete::Deferral));
    }

    #[test]
    fn the_wait_ends_with_the_last_neighbour_or_the_timer() {
        let second = Duration::from_secs(1);
        let peers = [PeerIdx(0), PeerIdx(1)];
        let mut restart = Restart::new();
        assert_eq!(restart.advance(Time::ZERO), None);
        restart.adopted(Time::ZERO, second, peers);
        restart.told(PeerIdx(0));
        assert_eq!(restart.advance(Time::ZERO), None);
        restart.told(PeerIdx(1));
        assert_eq!(restart.advance(Time::ZERO), Some(Complete::EndOfRib));
        assert_eq!(restart.mode(), Mode::Sweep);

        let mut restart = Restart::new();
        restart.adopted(Time::ZERO, second, peers);
        assert_eq!(restart.next_deadline(), Some(Time::ZERO + second));
        assert_eq!(restart.advance(Time::ZERO + second), Some(Complete::Deferral));
        assert_eq!(restart.next_deadline(), None);
    }
}
