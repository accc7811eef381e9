//! What is wrong with a configuration, where, and what to do about it.
//!
//! **All problems of a configuration are reported at once, in the order of the text.**

use crate::source::{Place, Source};
use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use std::fmt::{self, Display};
use std::sync::Arc;

/// A problem found while reading, before it is bound to the text that it stands in.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    place: Place,
    message: String,
    help: Option<String>,
    /// Another place that has to do with it, and why.
    also: Option<(Place, &'static str)>,
}

impl Problem {
    pub(crate) fn new(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into(), help: None, also: None }
    }

    /// What to do about it.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Puts the key's name before a message that says what its value is: `hold` + `is 1s; ...`.
    pub(crate) fn of_key(mut self, name: &str) -> Self {
        self.message = format!("{name} {}", self.message);
        self
    }

    /// The other place that it collides with.
    pub(crate) fn also(mut self, place: Place, why: &'static str) -> Self {
        self.also = Some((place, why));
        self
    }
}

/// The problems found so far.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    pub(crate) fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sorted by place and said once each: a value that several sections inherit is read by each.
    pub(crate) fn into_errors(self, sources: &[Source]) -> Errors {
        let texts = Texts::new(sources);
        let mut problems = self.0;
        problems.sort_by(|a, b| {
            let key = |p: &Problem| (p.place.source, p.place.span.start, p.place.span.end);
            key(a).cmp(&key(b)).then_with(|| a.message.cmp(&b.message))
        });
        problems.dedup_by(|a, b| a.place == b.place && a.message == b.message);
        Errors { errors: problems.into_iter().map(|problem| texts.bind(problem)).collect() }
    }
}

/// The texts, in the form that diagnostics share, and where the lines of each begin.
struct Texts(Vec<(NamedSource<Arc<String>>, Vec<usize>)>);

impl Texts {
    fn new(sources: &[Source]) -> Self {
        let named = |source: &Source| {
            let text = Arc::new(source.text.clone());
            let after = |(newline, _): (usize, &str)| newline.saturating_add(1);
            let starts = std::iter::once(0).chain(source.text.match_indices('\n').map(after));
            let starts = starts.collect();
            (NamedSource::new(&source.name, text).with_language("toml"), starts)
        };
        Self(sources.iter().map(named).collect())
    }

    fn bind(&self, problem: Problem) -> Error {
        let at = self.locate(&problem.place);
        let also = problem.also.map(|(place, why)| (self.locate(&place), why));
        let source = self.0.get(problem.place.source).map(|(source, _)| source.clone());
        Error { at, message: problem.message, help: problem.help, also, source }
    }

    fn locate(&self, place: &Place) -> Location {
        let Some((source, starts)) = self.0.get(place.source) else {
            let file = "the configuration".to_owned();
            return Location { file, line: 1, column: 1, ..Location::default() };
        };
        let text: &str = source.inner();
        let mut start = place.span.start.min(text.len());
        // A place at the very end is shown at the last line that has text.
        if start == text.len() {
            start = text.trim_end_matches(['\n', '\r']).len();
        }
        let line = starts.partition_point(|line_start| *line_start <= start);
        let line_start = line.checked_sub(1).and_then(|index| starts.get(index)).copied();
        let head = text.get(line_start.unwrap_or_default()..start).unwrap_or_default();
        let tail = text.get(start..).unwrap_or_default();
        let tail = tail.split(['\n', '\r']).next().unwrap_or_default();
        let octets = place.span.end.saturating_sub(place.span.start).min(tail.len());
        let marked = tail.get(..octets).unwrap_or_default();
        Location {
            file: source.name().to_owned(),
            line,
            column: head.chars().count().saturating_add(1),
            text: format!("{head}{tail}"),
            width: marked.chars().count().max(1),
            offset: start,
            octets,
        }
    }
}

/// The place of a value for a person: file, line and column, both counted from 1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Location {
    /// The source's name.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The line's text.
    pub text: String,
    /// How many characters the caret underlines, at least one.
    pub width: usize,
    offset: usize,
    octets: usize,
}

impl Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Finds the file and line of places, for origins.
pub(crate) struct Locator(Texts);

impl Locator {
    pub(crate) fn new(sources: &[Source]) -> Self {
        Self(Texts::new(sources))
    }

    pub(crate) fn locate(&self, place: &Place) -> Location {
        self.0.locate(place)
    }
}

/// One thing that is wrong. `Display` says it on one line:
/// `evpnd.toml:12:8: unknown key "neighbour"; did you mean "neighbor"?`
#[derive(Debug, Clone)]
pub struct Error {
    /// Where.
    pub at: Location,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The other place that has to do with it, and why.
    pub also: Option<(Location, &'static str)>,
    source: Option<NamedSource<Arc<String>>>,
}

impl Error {
    /// The line's text with a caret below what is meant, for logs and plain terminals.
    pub fn snippet(&self) -> String {
        let number = self.at.line.to_string();
        let gutter = " ".repeat(number.len());
        let indent = " ".repeat(self.at.column.saturating_sub(1));
        let carets = "^".repeat(self.at.width);
        format!("{number} | {}\n{gutter} | {indent}{carets}", self.at.text)
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.message)?;
        if let Some((place, why)) = &self.also {
            write!(f, " ({why} {place})")?;
        }
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

impl Diagnostic for Error {
    fn help<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let own = LabeledSpan::new_primary_with_span(
            Some(self.message.clone()),
            (self.at.offset, self.at.octets),
        );
        let other =
            self.also.iter().filter(|(place, _)| place.file == self.at.file).map(|(place, why)| {
                LabeledSpan::new(Some((*why).into()), place.offset, place.octets)
            });
        Some(Box::new(std::iter::once(own).chain(other)))
    }
}

/// Everything that is wrong with a configuration, in the order of the text; never empty.
/// `Display` is the first problem's line and how many more there are.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", headline(.errors))]
pub struct Errors {
    /// The problems.
    pub errors: Vec<Error>,
}

fn headline(errors: &[Error]) -> String {
    match errors {
        [] => "no errors".to_owned(),
        [only] => only.to_string(),
        [first, others @ ..] => format!("{first} (and {} more)", others.len()),
    }
}

impl Errors {
    /// One line per problem.
    pub fn lines(&self) -> String {
        self.errors.iter().map(Error::to_string).collect::<Vec<_>>().join("\n")
    }

    /// The problems with their lines of text and carets.
    pub fn report(&self) -> String {
        let each = self.errors.iter().map(|error| format!("{error}\n{}\n", error.snippet()));
        each.collect::<Vec<_>>().join("\n")
    }
}

impl Diagnostic for Errors {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.errors.iter().map(|error| error as &dyn Diagnostic)))
    }
}
