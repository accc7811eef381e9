//! Objects of ours that somebody else deletes.
//!
//! They are written again, but not at once: two programs that undo each other's writes as fast as
//! they can would use up a processor and a battery, and whoever deleted an entry to try something
//! could not even see that it was gone.
//!
//! **What somebody else deletes is back after [`HOLD_OFF`], and until then it is shown as apart.**

use crate::object::{FdbKey, IfIndex, Mode};
use crate::obstacle::{Key, Until};
use crate::op::{ErrorClass, Failure};
use crate::reconciler::{FdbHave, Reconciler};
use evpn_proto::types::Time;
use std::time::Duration;

/// How long an object that somebody else deleted stays away.
pub const HOLD_OFF: Duration = Duration::from_secs(2);
/// What is said of it meanwhile.
pub(crate) const TAKEN_AWAY: &str = "deleted by somebody else; evpnd writes it again within 2 s";

impl Reconciler {
    /// Tells the time, before news are observed.
    pub fn tick(&mut self, now: Time) {
        self.now = now;
    }

    pub(crate) fn has_wanted_fdb(&self, key: FdbKey, half: impl Fn(&FdbHave) -> bool) -> bool {
        let row = self.fdb.rows.get(&key);
        row.is_some_and(|row| row.want.is_some() && row.have.as_ref().is_some_and(half))
    }

    /// An object that was wanted and there (`had`) is gone, and not by our doing.
    pub(crate) fn taken_away_if(&mut self, had: bool, key: Key, device: IfIndex) {
        // A device that went down took its entries with it: they come back with it.
        let up = self.tracker.links.get(&device).is_some_and(|link| link.is_up());
        if !had || !up || self.dumping || self.mode == Mode::Adopt {
            return;
        }
        let text = TAKEN_AWAY.to_owned();
        let failure = Failure { class: ErrorClass::Other, errno: 0, text };
        let until = self.now + HOLD_OFF;
        self.park(key, &failure, |_| Until::At(until));
    }

    /// It is back, or its device is gone: nothing is held off any more.
    pub(crate) fn give_back(&mut self, key: Key) {
        if self.obstacles.get(&key).is_some_and(|parked| &*parked.text == TAKEN_AWAY) {
            self.obstacles.forget(&key);
            self.unpark(key);
        }
    }
}
