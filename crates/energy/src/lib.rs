//! The energy of a site: from what a battery reports to how much the site wants to be preferred.
//!
//! ```text
//!  bytes of a feed          Reading            AcceptedReading         Decision           Lever
//!  feed::{nut, file} ---> (integers) ---> plausibility::Gate ---> decide(policy, ---> levers: share of
//!                                               |                 state, inputs)      bandwidth, LOCAL_PREF,
//!                                            Refusal,                  |              GRACEFUL_SHUTDOWN
//!                                            counted              State (snapshot)
//! ```
//!
//! Pure: no socket, no file, no clock, no randomness. Time is an argument, and a decision depends on nothing but
//! the arguments of [`decide()`], so an auditor can repeat it. Numbers become integers at the border (a thousandth
//! of the charge, a whole watt); nothing behind the border computes with floating point except the one value that
//! BGP carries as a float, which [`levers::link_bandwidth_bytes_per_second`] makes.
//!
//! Not here: reading sockets and files (the shell does), attaching attributes to routes (the engine does), and
//! forecasts. **A level changes how much a site is preferred and never whether its routes exist.**
#![cfg_attr(
    not(test),
    forbid(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::unimplemented,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]
#![forbid(unsafe_code)]

pub mod decide;
pub mod explain;
pub mod feed;
pub mod levers;
pub mod plausibility;
pub mod policy;
pub mod reading;
pub mod snapshot;
pub mod state;

pub use decide::{Decision, Guard, Inputs, NextThreshold, Reason, decide};
pub use explain::Explanation;
pub use feed::FeedError;
pub use levers::{Lever, Levers, Share};
pub use plausibility::{Gate, Gates, Refusal, Verdict};
pub use policy::{Guards, Level, Policy, Thresholds};
pub use reading::{AcceptedReading, Alarm, Permille, Quality, Reading, UnixSeconds};
pub use snapshot::Snapshot;
pub use state::{Mark, Override, OverrideMode, OverrideRequest, OverrideTerms, State};
