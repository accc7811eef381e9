//! Figures to words.
//!
//! **A median stands beside its extremes, and a bound beside what was measured against it.**

use serde_json::{Value, json};
use std::time::Duration;

/// Whether every bound was kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Yes.
    Kept,
    /// One was not.
    Missed,
}

impl Verdict {
    /// Kept if it is so.
    pub(crate) const fn of(kept: bool) -> Self {
        if kept { Self::Kept } else { Self::Missed }
    }

    /// Kept if both are.
    pub(crate) fn and(self, other: Self) -> Self {
        Self::of(self == Self::Kept && other == Self::Kept)
    }

    /// As a word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Missed => "MISSED",
        }
    }
}

/// The least, the middle and the most of some measurements.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of at least one measurement; of none, nothing but zeros.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |place: usize| values.get(place).copied().unwrap_or_default();
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) && middle > 0 {
            (at(middle - 1) + at(middle)) / 2.0
        } else {
            at(middle)
        };
        Self { min: at(0), median, max: at(values.len().saturating_sub(1)) }
    }

    /// Of durations, in milliseconds.
    pub(crate) fn milliseconds(values: impl IntoIterator<Item = Duration>) -> Self {
        Self::of(values.into_iter().map(|d| d.as_secs_f64() * 1000.0))
    }

    pub(crate) fn json(self) -> Value {
        json!({ "min": self.min, "median": self.median, "max": self.max })
    }

    /// A line of a table, with this many decimals.
    pub(crate) fn line(self, name: &str, decimals: usize) -> String {
        let Self { min, median, max } = self;
        format!("{name:<58} {min:>9.decimals$} {median:>9.decimals$} {max:>9.decimals$}")
    }
}

/// The head of a table of [`Spread::line`]s.
pub(crate) fn head(title: &str) -> String {
    format!("{title:<58} {:>9} {:>9} {:>9}", "least", "median", "most")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_the_mean_of_the_two_middle_ones() {
        assert_eq!(Spread::of([9.0, 1.0, 2.0]), Spread { min: 1.0, median: 2.0, max: 9.0 });
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 9.0]), Spread { min: 1.0, median: 3.0, max: 9.0 });
        assert_eq!(Spread::of([]), Spread { min: 0.0, median: 0.0, max: 0.0 });
    }

    #[test]
    fn one_missed_bound_is_enough() {
        assert_eq!(Verdict::Kept.and(Verdict::Missed), Verdict::Missed);
        assert_eq!(Verdict::Kept.and(Verdict::Kept), Verdict::Kept);
    }
}
