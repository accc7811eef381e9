//! What the demo says: lines for people, or one JSON object a line for programs.
//!
//! On a terminal a last line shows what is under way; in a pipe there are results only.
//!
//! **Every figure for people is in the JSON too.**

use crate::out::{self, Form};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::time::Duration;

/// How often the last line turns.
const TURN: Duration = Duration::from_millis(120);

/// Where the demo speaks.
pub(crate) struct Screen {
    form: Form,
    bar: ProgressBar,
}

/// One object of the JSON.
#[derive(Serialize)]
struct Event<'e, T> {
    event: &'e str,
    #[serde(flatten)]
    about: &'e T,
}

impl Screen {
    pub(crate) fn new(form: Form) -> Self {
        let bar = ProgressBar::new_spinner();
        let style = ProgressStyle::with_template("{spinner} {elapsed:>3} {wide_msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.enable_steady_tick(TURN);
        Self { form, bar }
    }

    /// Says something: `text` to people, `about` to programs.
    pub(crate) fn say<T: Serialize>(&self, event: &str, about: &T, text: &str) {
        self.bar.suspend(|| {
            // A reader who has seen enough does not end the demo.
            match self.form {
                Form::Text => out::write_text(&format!("{text}\n")).unwrap_or_default(),
                Form::Json => {
                    let line = serde_json::to_string(&Event { event, about }).unwrap_or_default();
                    out::write_raw(&format!("{line}\n")).unwrap_or_default();
                }
            }
        });
    }

    /// Says something to people only: it repeats or explains what programs get elsewhere.
    pub(crate) fn explain(&self, text: &str) {
        if self.form == Form::Text {
            self.bar.suspend(|| out::write_text(&format!("{text}\n")).unwrap_or_default());
        }
    }

    /// What is under way.
    pub(crate) fn status(&self, text: String) {
        self.bar.set_message(text);
    }

    /// Nothing is under way any more.
    pub(crate) fn rest(&self) {
        self.bar.finish_and_clear();
    }
}

impl evpn_lab::Progress for Screen {
    fn step(&mut self, node: &str, what: &str) {
        self.status(format!("{node} {what}"));
    }
}

/// A count with its thousands set apart: `61,234`.
pub(crate) fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Thousandths as percent, always with one decimal: `33.0 %`.
pub(crate) fn percent(permille: u64) -> String {
    format!("{}.{} %", permille / 10, permille % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1000, 61_234, 1_000_000].map(thousands).join(" "), {
            "0 999 1,000 61,234 1,000,000"
        });
        assert_eq!([0, 4, 330, 1000].map(percent).join(" "), "0.0 % 0.4 % 33.0 % 100.0 %");
    }
}
