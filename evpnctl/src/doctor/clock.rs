//! Whether the clock is synchronised.
//!
//! **The kernel is asked, and nobody else**: it knows whichever daemon does it.
#![allow(unsafe_code, reason = "no library offers adjtimex; the one call is below")]

/// Whether somebody keeps the clock in step with the world's.
pub(super) fn synchronised() -> bool {
    // SAFETY: all zeros is a valid `timex`, and asks for nothing to be changed.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: `state` is ours and outlives the call.
    let answer = unsafe { libc::adjtimex(&raw mut state) };
    answer >= 0 && answer != libc::TIME_ERROR && state.status & libc::STA_UNSYNC == 0
}
