//! The verdict: each claim, its figure, and who counted it.
//!
//! **A claim that could not be tested is not met.**

use super::screen::Screen;
use crate::text::{cut, hang};
use serde::Serialize;

/// A claim and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Claim {
    /// Which part of the demo.
    pub(crate) part: char,
    /// What is claimed.
    pub(crate) claim: String,
    /// What was counted.
    pub(crate) figure: String,
    /// Who counted it.
    pub(crate) by: String,
    /// Whether it is met.
    pub(crate) ok: bool,
}

/// The last object of the JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Verdict<'c> {
    pub(crate) ok: bool,
    pub(crate) claims: &'c [Claim],
    #[serde(rename = "cannotBeMoved")]
    pub(crate) cannot_be_moved: &'c [String],
    pub(crate) seconds: u64,
}

/// Whether everything is met; nothing at all is not.
pub(crate) fn all_met(claims: &[Claim]) -> bool {
    !claims.is_empty() && claims.iter().all(|claim| claim.ok)
}

impl Verdict<'_> {
    /// Says it.
    pub(crate) fn say(&self, screen: &Screen) {
        let mut lines = vec![String::new(), "Verdict".to_owned()];
        for claim in self.claims {
            let met = if claim.ok { "met    " } else { "NOT MET" };
            let Claim { part, claim, figure, by, .. } = claim;
            lines.push(format!("  {met} ({part}) {:<47} {:<20} {by}", cut(claim, 47), figure));
        }
        lines.push(String::new());
        lines.push("What cannot be moved".to_owned());
        for what in self.cannot_be_moved {
            lines.extend(hang("  - ", 4, what));
        }
        lines.push(String::new());
        let seconds = self.seconds;
        lines.push(match self.claims.iter().filter(|claim| !claim.ok).count() {
            0 if self.ok => format!("All {} claims are met, in {seconds} s.", self.claims.len()),
            failed => format!("{failed} of {} claims are NOT met.", self.claims.len()),
        });
        screen.say("verdict", self, &lines.join("\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_claim_that_is_not_met_fails_all_and_so_does_having_none() {
        let claim = |ok| Claim {
            part: 'b',
            claim: String::new(),
            figure: String::new(),
            by: String::new(),
            ok,
        };
        assert!(all_met(&[claim(true), claim(true)]));
        assert!(!all_met(&[claim(true), claim(false)]));
        assert!(!all_met(&[]));
    }
}
