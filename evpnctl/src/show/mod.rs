//! Answers as people read them. Each function takes a value of the interface and returns text.
//!
//! **Nothing here asks, waits or writes**, so that every view is held by a snapshot.

pub(crate) mod bgp;
pub(crate) mod config;
pub(crate) mod consistency;
pub(crate) mod energy;
pub(crate) mod evpn;
pub(crate) mod neighbor;
pub(crate) mod route;
pub(crate) mod system;
#[cfg(test)]
mod tests;
pub(crate) mod underlay;
pub(crate) mod why;

use crate::table::remedy_lines;
use crate::text::wrap;
use std::fmt::Write as _;

/// Text that grows line by line.
#[derive(Default)]
pub(crate) struct Lines(String);

impl Lines {
    /// Adds a text, wrapped, after so many blanks.
    pub(crate) fn add(&mut self, indent: usize, text: &str) {
        self.extend(wrap(text, indent));
    }

    /// Adds `label` and a text that is set off from it, wrapped.
    pub(crate) fn field(&mut self, label: &str, text: &str) {
        self.item(label, 20, text);
    }

    /// Adds `label` and a text that begins at the given column, wrapped.
    pub(crate) fn item(&mut self, label: &str, column: usize, text: &str) {
        self.extend(crate::text::hang(&format!("{label:<column$}"), column, text));
    }

    /// Adds what to do.
    pub(crate) fn remedy(&mut self, indent: usize, text: &str) {
        self.extend(remedy_lines(text, indent));
    }

    /// Adds an empty line.
    pub(crate) fn gap(&mut self) {
        self.0.push('\n');
    }

    /// Adds a table or another text whose lines fit already.
    pub(crate) fn block(&mut self, text: &str) {
        self.0.push_str(text);
    }

    fn extend(&mut self, lines: Vec<String>) {
        for line in lines {
            // Writing to a string does not fail.
            writeln!(self.0, "{}", line.trim_end()).unwrap_or_default();
        }
    }

    /// The text.
    pub(crate) fn into_text(self) -> String {
        self.0
    }
}
