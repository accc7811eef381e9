//! What happened in a run, line by line, for whoever looks into a failure.
//!
//! **A run that nobody watches formats nothing**, and watching changes nothing of it.

use evpn_proto::types::Time;

/// The lines of a run, if somebody wants them.
#[derive(Debug, Default)]
pub(crate) struct Trace(Option<Vec<String>>);

impl Trace {
    pub(crate) const fn watched() -> Self {
        Self(Some(Vec::new()))
    }

    pub(crate) fn note(&mut self, now: Time, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.0 {
            lines.push(format!("{now:>14?} {}", line()));
        }
    }

    pub(crate) fn lines(&self) -> &[String] {
        self.0.as_deref().unwrap_or_default()
    }
}
