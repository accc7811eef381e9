//! The doctor's answer as people read it.
//!
//! **A command is shown so that it can be copied whole**: a line that is broken ends in a
//! backslash.

use super::finding::{Finding, Report, State};
use crate::show::Lines;
use crate::table::{Column, Table};
use crate::text::{WIDTH, counted};

/// Blanks before a command.
const INDENT: usize = 7;

/// The answer.
pub(super) fn report(report: &Report) -> String {
    let mut lines = Lines::default();
    lines.add(0, &verdict(report));
    lines.gap();
    let mut table =
        Table::new([Column::Word("Check"), Column::Word("State"), Column::Text("Finding")]);
    for finding in &report.checks {
        table.row([
            finding.check.to_owned(),
            finding.state.name().to_owned(),
            finding.found.clone(),
        ]);
        explain(&mut table, finding);
    }
    lines.block(&table.render());
    let lasts = |f: &Finding| f.keep.is_none() && f.mend.as_ref().is_some_and(|m| of_device(m));
    if report.checks.iter().any(lasts) {
        lines.gap();
        lines.add(
            0,
            "What `ip` and `bridge` set lasts until the device is made again: write it into \
             whatever makes it, too (ifupdown2, systemd-networkd).",
        );
    }
    lines.into_text()
}

fn of_device(command: &str) -> bool {
    command.starts_with("ip ") || command.starts_with("bridge ")
}

fn verdict(report: &Report) -> String {
    let count =
        |number: usize, noun: &str| counted(u64::try_from(number).unwrap_or(u64::MAX), noun);
    let mut parts = Vec::new();
    if report.wrong > 0 {
        parts.push(format!("{} wrong", report.wrong));
    }
    if report.warnings > 0 {
        parts.push(count(report.warnings, "warning"));
    }
    if report.unknown > 0 {
        parts.push(format!("{} not looked at", report.unknown));
    }
    match (report.ok, parts.is_empty()) {
        (true, true) => "all well".to_owned(),
        (true, false) => format!("nothing wrong; {}", parts.join(", ")),
        (false, _) => parts.join(", "),
    }
}

fn explain(table: &mut Table<3>, finding: &Finding) {
    if finding.state == State::Ok {
        return;
    }
    if let Some(breaks) = &finding.breaks {
        table.note(breaks);
    }
    if let Some(mend) = &finding.mend {
        table.lines_below(command("    -> ", mend));
    }
    if let Some(keep) = &finding.keep {
        table.lines_below(command("       to keep it: ", keep));
    }
}

/// A command in lines that fit, broken between words, and never within quotes.
fn command(lead: &str, text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = lead.to_owned();
    let mut fresh = true;
    for word in words(text) {
        // Room for the blank before it and for " \" behind it.
        let needed = line.chars().count() + word.chars().count() + 3;
        if !fresh && needed > WIDTH {
            line.push_str(" \\");
            lines.push(std::mem::replace(&mut line, " ".repeat(INDENT + 2)));
            fresh = true;
        }
        if !fresh {
            line.push(' ');
        }
        line.push_str(word);
        fresh = false;
    }
    lines.push(line);
    lines
}

/// The words of a command; what is between single quotes is part of one.
fn words(text: &str) -> Vec<&str> {
    let mut quoted = false;
    let parts = text.split(move |c: char| {
        quoted ^= c == '\'';
        c == ' ' && !quoted
    });
    parts.filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_command_is_the_same_command() {
        let text = "a 'b  c' ".repeat(40) + "d";
        let lines = command("-> ", &text);
        assert!(lines.len() > 2 && lines.iter().all(|line| line.chars().count() <= WIDTH));
        let whole = lines.join("\n").replace("\\\n", "");
        let whole = whole.strip_prefix("-> ").unwrap();
        assert_eq!(words(whole), words(&text));
        assert!(whole.contains("'b  c'"));
    }
}
