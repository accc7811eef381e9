//! What somebody may ask for again and again, although it costs us much.
//!
//! **A burst is carried out at once, and a flood at a steady pace**: each time is paid for by a while,
//! and only so much may be owed.

use evpn_proto::types::Time;
use std::time::Duration;

/// What each time costs, and how much may be owed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Price {
    pub(crate) each: Duration,
    pub(crate) credit: Duration,
}

/// What was spent of a credit.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Budget {
    /// Everything is paid for up to then.
    paid: Time,
}

impl Budget {
    /// From when on once more can be afforded.
    pub(crate) fn affords_at(self, price: Price) -> Time {
        let paid = self.paid.saturating_since(Time::ZERO);
        Time::ZERO + (paid + price.each).saturating_sub(price.credit)
    }

    /// Pays for once more if it can be afforded.
    pub(crate) fn afford(&mut self, now: Time, price: Price) -> bool {
        let affords = self.affords_at(price) <= now;
        if affords {
            self.paid = self.paid.max(now) + price.each;
        }
        affords
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_afforded_at_once_and_then_one_each_time_that_one_is_paid_for() {
        let seconds = Duration::from_secs;
        let price = Price { each: seconds(1), credit: seconds(8) };
        let mut budget = Budget::default();
        let mut now = Time::ZERO + seconds(100);
        assert_eq!((0..20).filter(|_| budget.afford(now, price)).count(), 8);
        assert_eq!(budget.affords_at(price), now + seconds(1));
        now = now + seconds(1);
        assert_eq!((0..20).filter(|_| budget.afford(now, price)).count(), 1);
        now = now + seconds(1000);
        assert_eq!((0..20).filter(|_| budget.afford(now, price)).count(), 8, "no more is saved");
    }
}
