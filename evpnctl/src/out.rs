//! Where answers go.
//!
//! **What somebody else wrote can never command the terminal**: names and reasons come from other
//! machines, so control characters are replaced before they are shown. And a reader who has seen
//! enough, such as `head`, is no failure.

use crate::text::WIDTH;
use serde::Serialize;
use std::io::{self, ErrorKind, Write};

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Writes an answer to standard output, in the form that was asked for.
///
/// # Errors
/// Of the output, except that nobody reads it any more.
pub(crate) fn answer<T: Serialize>(
    form: Form,
    value: &T,
    text: impl FnOnce(&T) -> String,
) -> io::Result<()> {
    match form {
        Form::Text => write_text(&text(value)),
        Form::Json => {
            let mut json = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
            json.push('\n');
            write_raw(&json)
        }
    }
}

/// Writes a text to standard output.
///
/// # Errors
/// As [`answer`].
pub(crate) fn write_text(text: &str) -> io::Result<()> {
    write_raw(&harmless(text))
}

/// Writes octets that are known to be harmless, such as JSON and completions.
///
/// # Errors
/// As [`answer`].
pub(crate) fn write_raw(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Writes to standard error, whose own failure nobody could be told.
pub(crate) fn complain(text: &str) {
    io::stderr().lock().write_all(harmless(text).as_bytes()).unwrap_or_default();
}

/// An error with what to do about it, in lines that fit.
pub(crate) fn failure(error: &str, remedy: Option<&str>, details: &[String]) -> String {
    let mut lines = crate::text::hang("evpnctl: ", 9, error);
    for detail in details {
        // A detail has lines of its own, with carets below them.
        // An excerpt of a file keeps its columns; a sentence keeps its end, which is the remedy.
        if detail.contains('\n') {
            lines.extend(detail.lines().map(|line| crate::text::cut(line, WIDTH)));
        } else {
            lines.extend(crate::text::wrap(detail, 0));
        }
    }
    if let Some(remedy) = remedy.filter(|remedy| !remedy.is_empty()) {
        lines.extend(crate::table::remedy_lines(remedy, 6));
    }
    lines.join("\n") + "\n"
}

/// The text without what a terminal would obey.
fn harmless(text: &str) -> String {
    let harmless =
        |c: char| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c };
    text.chars().map(harmless).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_cannot_command_the_terminal() {
        assert_eq!(harmless("spine\x1b[2J\r1\u{9b}\n"), "spine\u{fffd}[2J\u{fffd}1\u{fffd}\n");
    }

    #[test]
    fn a_failure_fits_and_ends_with_what_to_do() {
        let text = failure(&"wrong ".repeat(40), Some("do it right"), &["x".repeat(300)]);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.ends_with("-> do it right\n"));
    }
}
