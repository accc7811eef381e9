//! Reads one table of the configuration key by key, as its [`SectionDoc`] describes it.
//!
//! Reading a key finds its value (own, inherited or default), records where that came from, and
//! reports what is wrong with it; no caller can forget one of the three.
//!
//! **A value is only ever used together with a record of its origin.**

use crate::effective::{Line, Origin};
use crate::parse::Parsed;
use crate::problem::{Locator, Problem, Problems};
use crate::schema::{Default, Key, SectionDoc, children_of};
use crate::source::{Node, Place, Source, Table, Value};
use crate::suggest;
use std::collections::BTreeMap;

/// What reading a configuration brings forth beside the values.
pub(crate) struct Reading {
    pub(crate) problems: Problems,
    pub(crate) lines: Vec<Line>,
    locator: Locator,
}

impl Reading {
    pub(crate) fn new(sources: &[Source]) -> Self {
        Self { problems: Problems::default(), lines: Vec::new(), locator: Locator::new(sources) }
    }

    fn origin(&self, place: &Place, via: Option<&str>) -> Origin {
        let at = self.locator.locate(place);
        Origin::File { file: at.file, line: at.line, via: via.map(str::to_owned) }
    }
}

/// Whether a section stands for itself or only lends its values to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Every key has a value in the end: own, inherited or default.
    Whole,
    /// A group: a key that is absent is absent.
    Lender,
}

/// A table from which a section inherits, and what to call it in origins.
#[derive(Clone)]
struct Lender<'a> {
    table: &'a Table,
    name: String,
}

/// One table of the configuration, or one element of a list of tables.
#[derive(Clone)]
pub(crate) struct Section<'a> {
    doc: &'static SectionDoc,
    /// The path of this instance, e.g. `neighbor[10.0.0.2]`.
    path: String,
    /// Where to report a key that is absent.
    place: Place,
    table: &'a Table,
    lenders: Vec<Lender<'a>>,
    role: Role,
}

/// What a section that is not written at all reads from.
static EMPTY: Table = Table { entries: BTreeMap::new() };

impl<'a> Section<'a> {
    /// The whole configuration.
    pub(crate) fn root(doc: &'static SectionDoc, table: &'a Table) -> Self {
        let place = Place::default();
        Self { doc, path: String::new(), place, table, lenders: Vec::new(), role: Role::Whole }
    }

    /// The sub-table that `doc` describes; an absent one is empty.
    pub(crate) fn child(&self, reading: &mut Reading, doc: &'static SectionDoc) -> Section<'a> {
        let (place, table) = match self.table.get(doc.name()) {
            None => (self.place.clone(), &EMPTY),
            Some(Node { place, value: Value::Table(table) }) => (place.clone(), table),
            Some(node) => {
                let message = format!("\"{}\" is {}; it must be a table", doc.name(), node.kind());
                let problem = Problem::new(node.place.clone(), message);
                reading.problems.push(problem.help(format!("write [{}]", self.path_of(doc))));
                (node.place.clone(), &EMPTY)
            }
        };
        let path = self.path_of(doc);
        Section { doc, path, place, table, lenders: Vec::new(), role: self.role }
    }

    /// The elements of the list of tables that `doc` describes, each named by its value of the first
    /// of `keys` that it has.
    pub(crate) fn children(
        &self,
        reading: &mut Reading,
        doc: &'static SectionDoc,
        keys: &[&str],
    ) -> Vec<Section<'a>> {
        let nodes: &[Node] = match self.table.get(doc.name()) {
            None => &[],
            Some(Node { value: Value::List(nodes), .. }) => nodes,
            Some(node) => std::slice::from_ref(node),
        };
        let is_list = matches!(self.table.get(doc.name()).map(|n| &n.value), Some(Value::List(_)));
        let mut sections = Vec::with_capacity(nodes.len());
        for (index, node) in nodes.iter().enumerate() {
            let Node { place, value: Value::Table(table) } = node else {
                reading.problems.push(self.not_a_list(doc, node));
                continue;
            };
            if !is_list {
                reading.problems.push(self.not_a_list(doc, node));
            }
            let naming = keys.iter().find_map(|key| table.get(key));
            let name = match naming.map(|node| &node.value) {
                Some(Value::Text(text)) => text.clone(),
                Some(Value::Integer(number)) => number.to_string(),
                _ => format!("#{}", index.saturating_add(1)),
            };
            let path = format!("{}[{name}]", self.path_of(doc));
            let place = place.clone();
            let lenders = Vec::new();
            sections.push(Section { doc, path, place, table, lenders, role: self.role });
        }
        sections
    }

    fn not_a_list(&self, doc: &SectionDoc, node: &Node) -> Problem {
        let message = format!("\"{}\" is {}; it must be a list of tables", doc.name(), node.kind());
        let help =
            format!("write [[{}]] once for each", doc.path.replace("[]", "").trim_matches('.'));
        Problem::new(node.place.clone(), message).help(help)
    }

    fn path_of(&self, doc: &SectionDoc) -> String {
        if self.path.is_empty() {
            doc.name().to_owned()
        } else {
            format!("{}.{}", self.path, doc.name())
        }
    }

    /// This section as one that only lends: absent keys are neither required nor defaulted.
    pub(crate) fn into_lender(mut self) -> Self {
        self.role = Role::Lender;
        self
    }

    /// Where it says nothing itself, this section takes what `lender` says.
    pub(crate) fn inherit(&mut self, lender: &Section<'a>) {
        self.lenders.push(Lender { table: lender.table, name: lender.path.clone() });
    }

    /// Where a key's value stands, or else the section.
    pub(crate) fn place(&self, name: &str) -> Place {
        self.find(name).map_or_else(|| self.place.clone(), |(node, _)| node.place.clone())
    }

    /// Whether the text gives the key a value, here or where it is inherited from.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// How many sections away a key's value stands: 0 is this one. None where nobody gives one.
    pub(crate) fn distance(&self, name: &str) -> Option<usize> {
        let tables = std::iter::once(self.table).chain(self.lenders.iter().map(|l| l.table));
        tables.enumerate().find_map(|(index, table)| table.get(name).map(|_| index))
    }

    fn find(&self, name: &str) -> Option<(&'a Node, Option<&str>)> {
        let own = self.table.get(name).map(|node| (node, None));
        own.or_else(|| {
            let lent = |lender: &'_ Lender<'a>| lender.table.get(name);
            self.lenders.iter().find_map(|l| lent(l).map(|node| (node, Some(l.name.as_str()))))
        })
    }

    /// Reports a problem with a key's value.
    pub(crate) fn refuse(&self, reading: &mut Reading, name: &str, message: String, help: String) {
        reading.problems.push(Problem::new(self.place(name), message).help(help));
    }

    /// A key that always has a value in a valid configuration; after a problem, the type's own
    /// default stands in, and is never seen since loading fails.
    pub(crate) fn get<T: std::default::Default>(
        &self,
        reading: &mut Reading,
        name: &'static str,
        parse: impl Fn(&Node) -> Parsed<T>,
    ) -> T {
        self.opt(reading, name, parse).unwrap_or_default()
    }

    /// A key that may have no value, either because none is needed or because the daemon derives
    /// it; also a required one whose type has no default.
    pub(crate) fn opt<T>(
        &self,
        reading: &mut Reading,
        name: &'static str,
        parse: impl Fn(&Node) -> Parsed<T>,
    ) -> Option<T> {
        let Some(key) = self.doc.key(name) else {
            let message = format!("\"{}.{name}\" is read but not in the schema", self.path);
            reading.problems.push(Problem::new(self.place.clone(), message));
            return None;
        };
        let default;
        let node = match (self.find(name), key.default) {
            (Some((node, via)), _) => {
                let origin = reading.origin(&node.place, via);
                self.record(reading, name, node.render(), origin);
                node
            }
            (None, _) if self.role == Role::Lender => return None,
            (None, Default::Value(text)) => {
                default = Node::of_default(text, &self.place)?;
                let origin = Origin::Default { why: key.why.to_owned() };
                self.record(reading, name, default.render(), origin);
                &default
            }
            (None, Default::Required(help)) => {
                let message = format!("{} has no \"{name}\"", self.title());
                reading.problems.push(Problem::new(self.place.clone(), message).help(help));
                return None;
            }
            (None, Default::Derived(from)) => {
                let origin = Origin::Derived { from: from.to_owned() };
                self.record(reading, name, "auto".into(), origin);
                return None;
            }
            (None, Default::Unset) => {
                let origin = Origin::Default { why: key.why.to_owned() };
                self.record(reading, name, "unset".into(), origin);
                return None;
            }
        };
        match parse(node) {
            Ok(value) => Some(value),
            Err(refusals) => {
                for problem in refusals {
                    reading.problems.push(problem.of_key(name));
                }
                None
            }
        }
    }

    /// Records the value that this crate itself derived for a key which the text leaves open.
    pub(crate) fn derived(&self, reading: &mut Reading, name: &str, value: String, from: &str) {
        let key = self.key_path(name);
        if let Some(line) = reading.lines.iter_mut().rev().find(|line| line.key == key) {
            line.value = value;
            line.origin = Origin::Derived { from: from.to_owned() };
        }
    }

    fn record(&self, reading: &mut Reading, name: &str, value: String, origin: Origin) {
        let schema = self.doc.path_of(name);
        reading.lines.push(Line { schema, key: self.key_path(name), value, origin });
    }

    fn key_path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// How the section is called in a message.
    pub(crate) fn title(&self) -> String {
        match self.doc.path {
            "" => "the configuration".to_owned(),
            path if path.ends_with("[]") => self.path.clone(),
            _ => format!("[{}]", self.path),
        }
    }

    /// Reports every key that the section does not know. Called once per table of the text.
    pub(crate) fn finish(&self, reading: &mut Reading) {
        let own = self.doc.keys().map(|key: &Key| key.name);
        let known: Vec<&str> = own.chain(children_of(self.doc).map(SectionDoc::name)).collect();
        for (name, (place, _)) in &self.table.entries {
            if !known.contains(&name.as_str()) {
                let message = format!("unknown key \"{name}\" in {}", self.title());
                let help = suggest::for_key(name, self.doc, &known);
                reading.problems.push(Problem::new(place.clone(), message).help(help));
            }
        }
    }
}
