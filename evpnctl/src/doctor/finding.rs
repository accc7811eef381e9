//! What the doctor says of one thing.
//!
//! **Whatever is not well names the setting and its value, what breaks because of it, and one
//! command that mends it.**

use serde::Serialize;

/// How something is, from well to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum State {
    /// As it should be.
    Ok,
    /// Nothing is wrong, and good to know.
    Note,
    /// Nobody could look.
    Unknown,
    /// Works, and not as well as it should.
    Warning,
    /// Breaks something.
    Wrong,
}

impl State {
    /// As people read it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Wrong => "wrong",
        }
    }
}

/// A finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Finding {
    /// The check's name, which is stable.
    pub(crate) check: &'static str,
    /// How it is.
    pub(crate) state: State,
    /// The device, VRF or file that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<String>,
    /// What was found, in one line: where it is not well, the setting and its value.
    pub(crate) found: String,
    /// The setting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) setting: Option<String>,
    /// Its value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<String>,
    /// What breaks because of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) breaks: Option<String>,
    /// The command that mends it, now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mend: Option<String>,
    /// What makes the mend last over a reboot, where the command does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) keep: Option<String>,
}

impl Finding {
    /// All is well.
    pub(crate) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self::of(check, State::Ok, found)
    }

    /// Something that is neither well nor a setting: nobody could look, or it is good to know.
    pub(crate) fn of(check: &'static str, state: State, found: impl Into<String>) -> Self {
        Self {
            check,
            state,
            subject: None,
            found: found.into(),
            setting: None,
            value: None,
            breaks: None,
            mend: None,
            keep: None,
        }
    }

    /// A setting with a value that should be another.
    pub(crate) fn setting(
        check: &'static str,
        state: State,
        setting: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        let (setting, value) = (setting.into(), value.into());
        let mut finding = Self::of(check, state, format!("{setting} = {value}"));
        finding.setting = Some(setting);
        finding.value = Some(value);
        finding
    }

    /// About this device, VRF or file.
    pub(crate) fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// What breaks.
    pub(crate) fn breaks(mut self, text: impl Into<String>) -> Self {
        self.breaks = Some(text.into());
        self
    }

    /// The command that mends it.
    pub(crate) fn mend(mut self, command: impl Into<String>) -> Self {
        self.mend = Some(command.into());
        self
    }

    /// What makes it last.
    pub(crate) fn keep(mut self, how: impl Into<String>) -> Self {
        self.keep = Some(how.into());
        self
    }
}

/// The whole answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// Nothing is wrong.
    pub(crate) ok: bool,
    /// How many findings are wrong.
    pub(crate) wrong: usize,
    /// How many are warnings.
    pub(crate) warnings: usize,
    /// How many things nobody could look at.
    pub(crate) unknown: usize,
    /// Every finding, in a fixed order.
    pub(crate) checks: Vec<Finding>,
}

impl Report {
    /// Counts.
    pub(crate) fn of(checks: Vec<Finding>) -> Self {
        let count = |state| checks.iter().filter(|finding| finding.state == state).count();
        let wrong = count(State::Wrong);
        Self {
            ok: wrong == 0,
            wrong,
            warnings: count(State::Warning),
            unknown: count(State::Unknown),
            checks,
        }
    }
}
