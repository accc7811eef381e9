//! What a feed reports, as integers.
//!
//! The border between floating point and integers is here and nowhere else. Not here: whether a reading is to be
//! believed (`plausibility`) and what follows from it (`decide`).
//!
//! **A [`Reading`] cannot hold a charge outside 0 to 100 % or a power that is not a number.**

use std::fmt;
use std::time::Duration;

use evpn_proto::types::Time;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::state::Mark;

/// The largest power that a feed may report, in watts: 10 MW, far above any site that this is for, so that a
/// value in the wrong unit is seen.
pub const MAX_WATTS: i32 = 10_000_000;

/// A part of a thousand, 0 to 1000: a state of charge, a threshold, a change of charge.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(try_from = "u16", into = "u16")]
pub struct Permille(u16);

impl Permille {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The whole.
    pub const FULL: Self = Self(1000);

    /// `permille` thousandths, if that is at most 1000.
    pub const fn new(permille: u16) -> Option<Self> {
        if permille <= 1000 { Some(Self(permille)) } else { None }
    }

    /// `percent` hundredths; more than 100 is taken as 100.
    pub const fn percent(percent: u8) -> Self {
        if percent >= 100 { Self::FULL } else { Self(percent as u16 * 10) }
    }

    /// A percentage as a feed or an operator writes it, rounded to the nearest thousandth, halves up.
    ///
    /// # Errors
    /// If it is not a number, negative, or more than 100. Nothing is clamped: a source that says 140 % does not
    /// know its charge.
    pub fn from_percent(percent: f64) -> Result<Self, NumberError> {
        if !percent.is_finite() {
            return Err(NumberError::NotFinite);
        }
        if !(0.0..=100.0).contains(&percent) {
            return Err(NumberError::NotAPercentage(percent));
        }
        // Between 0 and 1000 by the check above, so the conversion is exact after rounding.
        Ok(Self((percent * 10.0 + 0.5) as u16).min(Self::FULL))
    }

    /// The number of thousandths.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The sum, at most the whole.
    pub const fn saturating_add(self, other: Self) -> Self {
        let sum = self.0 + other.0;
        if sum > 1000 { Self::FULL } else { Self(sum) }
    }

    /// The distance between two values.
    pub const fn abs_diff(self, other: Self) -> Self {
        Self(self.0.abs_diff(other.0))
    }
}

impl TryFrom<u16> for Permille {
    type Error = NumberError;

    fn try_from(permille: u16) -> Result<Self, Self::Error> {
        Self::new(permille).ok_or(NumberError::NotAPercentage(f64::from(permille) / 10.0))
    }
}

impl From<Permille> for u16 {
    fn from(value: Permille) -> Self {
        value.0
    }
}

impl fmt::Display for Permille {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 10, self.0 % 10) {
            (whole, 0) => write!(f, "{whole} %"),
            (whole, tenth) => write!(f, "{whole}.{tenth} %"),
        }
    }
}

/// A number that cannot become part of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum NumberError {
    /// NaN or infinity.
    #[error("it is not a finite number")]
    NotFinite,
    /// A percentage below 0 or above 100.
    #[error("{0} is not a percentage from 0 to 100")]
    NotAPercentage(f64),
    /// A power above [`MAX_WATTS`] in either direction.
    #[error("{0} W is more than {MAX_WATTS} W: is it in another unit?")]
    TooManyWatts(f64),
}

/// A power as a feed writes it, rounded to a whole watt, halves away from zero.
///
/// # Errors
/// If it is not a number or beyond [`MAX_WATTS`].
pub fn watts(value: f64) -> Result<i32, NumberError> {
    if !value.is_finite() {
        return Err(NumberError::NotFinite);
    }
    if value.abs() > f64::from(MAX_WATTS) {
        return Err(NumberError::TooManyWatts(value));
    }
    let half = if value < 0.0 { -0.5 } else { 0.5 };
    // Within MAX_WATTS by the check above, so the conversion only cuts the fraction.
    Ok((value + half) as i32)
}

/// Wall-clock time in whole seconds since 1970-01-01 UTC.
///
/// Only for what must be compared with other machines or survive a restart: time stamps of a source and the
/// expiry of an override. Everything else uses the monotonic [`Time`].
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixSeconds(pub u64);

impl UnixSeconds {
    /// How long ago `earlier` was; zero if it is not earlier.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }

    /// This moment plus `duration`, which is cut to whole seconds.
    pub const fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_secs()))
    }
}

/// What the battery's own controller says beyond its charge, worst last.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Alarm {
    /// No alarm.
    #[default]
    None,
    /// The battery is low (NUT: LB).
    LowBattery,
    /// Power is about to be cut (NUT: FSD).
    ForcedShutdown,
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "no alarm",
            Self::LowBattery => "low battery",
            Self::ForcedShutdown => "forced shutdown",
        })
    }
}

/// How much the source itself trusts its charge. Shown to people; the charge counts all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quality {
    /// Nothing is known against it.
    #[default]
    Good,
    /// The UPS discharges its battery on purpose to learn its capacity (NUT: CAL).
    Calibrating,
    /// The UPS asks for a new battery (NUT: RB): a worn one empties faster than its percentage says.
    WornBattery,
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Good => "good",
            Self::Calibrating => "calibrating",
            Self::WornBattery => "battery needs replacing",
        })
    }
}

/// One report of a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Reading {
    /// State of charge.
    pub soc: Permille,
    /// Power that comes from the panels, in watts.
    pub pv_watts: Option<i32>,
    /// Power that the site uses, in watts.
    pub load_watts: Option<i32>,
    /// Power that the battery gives, in watts: positive while it discharges and negative while it charges, so
    /// that panels and battery together make the load.
    pub battery_watts: Option<i32>,
    /// Alarm of the battery's controller.
    pub alarm: Alarm,
    /// Whether the site runs on its battery, where the source says so.
    pub on_battery: Option<bool>,
    /// When the source took the sample, by the source's clock.
    pub source_time: Option<UnixSeconds>,
    /// What the source says against its own charge.
    pub quality: Quality,
}

impl Reading {
    /// A reading that holds a charge and nothing else.
    pub fn of_charge(soc: Permille) -> Self {
        Self { soc, ..Self::default() }
    }
}

/// A reading that passed the plausibility gates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcceptedReading {
    /// What was read.
    pub reading: Reading,
    /// When it came in.
    pub received: Time,
    /// When the source took the sample: earlier than `received` if it carried a time stamp.
    pub sampled: Mark,
}

impl AcceptedReading {
    /// A reading that was sampled when it came in.
    pub fn fresh(reading: Reading, received: Time) -> Self {
        Self { reading, received, sampled: Mark::new(received) }
    }

    /// How old the sample is.
    pub fn age(&self, now: Time) -> Duration {
        self.sampled.age(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_rounded_to_the_nearest_thousandth_and_never_clamped() {
        for (percent, permille) in [
            (0.0, 0),
            (-0.0, 0),
            (41.5, 415),
            (41.54, 415),
            (41.55, 416),
            (99.96, 1000),
            (100.0, 1000),
        ] {
            assert_eq!(Permille::from_percent(percent), Ok(Permille(permille)), "{percent}");
        }
        for nonsense in [-0.01, 100.01, 4150.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(Permille::from_percent(nonsense).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn watts_are_rounded_and_bounded() {
        for (value, whole) in [(0.4, 0), (-0.4, 0), (119.5, 120), (-39.5, -40), (1e7, MAX_WATTS)] {
            assert_eq!(watts(value), Ok(whole), "{value}");
        }
        for nonsense in [1e7 + 1.0, -1e9, f64::NAN, f64::INFINITY] {
            assert!(watts(nonsense).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn a_permille_shows_as_the_percentage_an_operator_wrote() {
        assert_eq!(Permille(415).to_string(), "41.5 %");
        assert_eq!(Permille(500).to_string(), "50 %");
        assert_eq!(Permille(3).to_string(), "0.3 %");
    }
}
