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
pub(crate) const SILENT_NEIGHBOUR_TAKES: Duration = Duration::from_secs(10);

/// Where we are.
#[derive(Debug)]
pub(crate) struct Restart {
    mode: Mode,
    /// Neighbours that have not told their routes yet.
    waiting: BTreeMap<PeerIdx, Awaited>,
}

/// A neighbour that has not told its routes yet.
#[derive(Clone, Copy, Debug)]
struct Awaited {
    /// Until when it is waited for.
    until: Time,
    /// Whether it says that it has restarted too.
    has_restarted: bool,
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
        let awaited = Awaited { until: now + delay, has_restarted: false };
        self.waiting = peers.into_iter().map(|peer| (peer, awaited)).collect();
    }

    /// Whether we are still collecting what neighbours have to tell.
    pub(crate) const fn in_progress(&self) -> bool {
        matches!(self.mode, Mode::Adopt | Mode::Grow)
    }

    /// Whether we may say that we have told everything. RFC 4724 section 4.1: two that restart do
    /// not wait for each other. What is stale waits for both all the same: the other may have begun
    /// long ago (FRR says for two minutes that it has restarted) and has still to tell its routes.
    pub(crate) fn may_end_of_rib(&self) -> bool {
        self.may_end(|_| false)
    }

    /// Whether we may say that we have told all that is wanted of us and of those behind us. A
    /// neighbour tells its other routes, to their end, when it knows that: it is waited for only
    /// until it has said what it wants, else each would wait for the other.
    pub(crate) fn may_end_of_wants(&self, has_said: impl Fn(PeerIdx) -> bool) -> bool {
        self.may_end(has_said)
    }

    fn may_end(&self, is_enough: impl Fn(PeerIdx) -> bool) -> bool {
        let mut waiting = self.waiting.iter();
        match self.mode {
            Mode::Adopt => false,
            Mode::Grow => waiting.all(|(peer, awaited)| awaited.has_restarted || is_enough(*peer)),
            _ => true,
        }
    }

    /// A neighbour has come up, and says whether it has restarted.
    pub(crate) fn is_up(&mut self, peer: PeerIdx, has_restarted: bool) {
        if let Some(awaited) = self.waiting.get_mut(&peer) {
            awaited.has_restarted = has_restarted;
        }
    }

    /// A neighbour has told everything, or will not: it is no longer waited for.
    pub(crate) fn told(&mut self, peer: PeerIdx) {
        self.waiting.remove(&peer);
    }

    /// A neighbour that will not say when it has told everything has come up.
    pub(crate) fn will_not_tell(&mut self, now: Time, peer: PeerIdx) {
        if let Some(awaited) = self.waiting.get_mut(&peer) {
            awaited.until = awaited.until.min(now + SILENT_NEIGHBOUR_TAKES);
        }
    }

    fn deadlines(&self) -> impl Iterator<Item = Time> {
        self.waiting.values().map(|awaited| awaited.until)
    }

    /// When to look again.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.deadlines().max().filter(|_| self.mode == Mode::Grow)
    }

    /// Moves on if the wait is over.
    pub(crate) fn advance(&mut self, now: Time) -> Option<Complete> {
        if self.mode != Mode::Grow {
            return None;
        }
        let complete = if self.waiting.is_empty() {
            Complete::EndOfRib
        } else if self.deadlines().all(|until| until <= now) {
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
    fn who_has_restarted_too_is_not_waited_for_with_our_end_of_rib_but_with_the_sweep() {
        let peers = [PeerIdx(0), PeerIdx(1)];
        let mut restart = Restart::new();
        restart.is_up(PeerIdx(0), true);
        assert!(!restart.may_end_of_rib(), "nothing is known before the kernel has been read");
        restart.adopted(Time::ZERO, Duration::from_secs(1), peers);
        restart.is_up(PeerIdx(0), true);
        assert!(!restart.may_end_of_rib(), "the other has not told its routes");
        restart.told(PeerIdx(1));
        assert!(restart.may_end_of_rib());
        assert_eq!(restart.advance(Time::ZERO), None, "nothing is swept yet");
        // It came up again and had not restarted this time.
        restart.is_up(PeerIdx(0), false);
        assert!(!restart.may_end_of_rib());
        restart.told(PeerIdx(0));
        assert_eq!(restart.advance(Time::ZERO), Some(Complete::EndOfRib));
        assert!(restart.may_end_of_rib());
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
