//! The texts of a configuration, parsed into one tree in which every value remembers its place.
//!
//! Nothing here knows a key's meaning: that is [`crate::schema`]'s.
//!
//! **Every node of the tree, merged or not, points at the text it came from.**

use crate::problem::{Problem, Problems};
use std::collections::BTreeMap;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// The largest text of one source, in octets: ten thousand neighbours fit four times over.
pub const MAX_SOURCE_OCTETS: usize = 4 << 20;

/// One file's name, as it shall be shown to a person, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The name in messages and origins, e.g. `evpnd.toml` or `conf.d/10-spines.toml`.
    pub name: String,
    /// The text, TOML 1.1.
    pub text: String,
}

impl Source {
    /// A source of this name and text.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }
}

/// Where a key or value stands: which source, and which octets of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) source: usize,
    pub(crate) span: Range<usize>,
}

/// A value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// A value of TOML.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    Bool(bool),
    List(Vec<Node>),
    Table(Table),
    /// A date, a float or an integer beyond 64 bits: no key takes one.
    Other(String),
}

/// A table: the place of each key, and its value, in the order of the keys.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    pub(crate) entries: BTreeMap<String, (Place, Node)>,
}

impl Table {
    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entries.get(key).map(|(_, node)| node)
    }

    /// Takes over what a later source says: tables merge, lists of tables append, the rest is
    /// replaced. A table that names its `type` is another kind of thing and replaces the earlier.
    fn merge(&mut self, later: Self) {
        for (key, (place, node)) in later.entries {
            match (self.entries.get_mut(&key).map(|(_, old)| &mut old.value), node.value) {
                (Some(Value::Table(old)), Value::Table(new)) if new.get("type").is_none() => {
                    old.merge(new);
                }
                (Some(Value::List(old)), Value::List(new))
                    if are_tables(old) && are_tables(&new) =>
                {
                    old.extend(new);
                }
                (_, value) => {
                    self.entries.insert(key, (place, Node { place: node.place, value }));
                }
            }
        }
    }
}

fn are_tables(list: &[Node]) -> bool {
    !list.is_empty() && list.iter().all(|node| matches!(node.value, Value::Table(_)))
}

impl Node {
    /// A default's text as a value; its place is that of the section it stands in.
    pub(crate) fn of_default(text: &str, place: &Place) -> Option<Self> {
        let value = DeValue::parse(text).ok()?;
        let node = convert(value.get_ref(), place.source, place.span.clone());
        Some(Self { place: place.clone(), value: node.value })
    }

    /// What kind of value this is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Text(_) => "a string",
            Value::Integer(_) => "an integer",
            Value::Bool(_) => "a boolean",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
            Value::Other(_) => "a float, a date or a number beyond 64 bits",
        }
    }

    /// The value in TOML's own notation, on one line.
    pub(crate) fn render(&self) -> String {
        match &self.value {
            Value::Text(text) => toml::Value::String(text.clone()).to_string(),
            Value::Integer(number) => number.to_string(),
            Value::Bool(on) => on.to_string(),
            Value::Other(text) => text.clone(),
            Value::List(list) => {
                let items: Vec<_> = list.iter().map(Self::render).collect();
                format!("[{}]", items.join(", "))
            }
            Value::Table(table) => {
                let items = table.entries.iter().map(|(k, (_, v))| format!("{k} = {}", v.render()));
                format!("{{ {} }}", items.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// Parses every source and merges them in their order. Where one has an error of syntax, all
/// such errors are reported and nothing else: what is read from a broken text misleads.
pub(crate) fn parse_all(sources: &[Source], problems: &mut Problems) -> Table {
    let mut root = Table::default();
    for (index, source) in sources.iter().enumerate() {
        if source.text.len() > MAX_SOURCE_OCTETS {
            let place = Place { source: index, span: 0..0 };
            let message = format!("this file is larger than {} MiB", MAX_SOURCE_OCTETS >> 20);
            problems.push(Problem::new(place, message).help("split it, or is it another file?"));
            continue;
        }
        let (table, errors) = DeTable::parse_recoverable(&source.text);
        for error in errors {
            let place = Place { source: index, span: error.span().unwrap_or_default() };
            problems.push(syntax_problem(place, error.message()));
        }
        root.merge(convert_table(table.get_ref(), index));
    }
    root
}

/// A parser's message with what to do about it, where that is known.
fn syntax_problem(place: Place, message: &str) -> Problem {
    let help = match message {
        "duplicate key" => {
            Some("each key and each [table] is written once per file; [[lists]] repeat")
        }
        text if text.starts_with("string values must be quoted") => {
            Some("put the value in double quotes, e.g. \"90s\" or \"10.0.0.1\"")
        }
        text if text.starts_with("invalid float") => {
            Some("addresses and durations are strings: put the value in double quotes")
        }
        _ => None,
    };
    let problem = Problem::new(place, format!("not TOML: {message}"));
    match help {
        Some(help) => problem.help(help),
        None => problem,
    }
}

fn convert_table(table: &DeTable<'_>, source: usize) -> Table {
    let entries = table.iter().map(|(key, value)| {
        let place = Place { source, span: key.span() };
        let node = convert(value.get_ref(), source, value.span());
        (key.get_ref().to_string(), (place, node))
    });
    Table { entries: entries.collect() }
}

fn convert(value: &DeValue<'_>, source: usize, span: Range<usize>) -> Node {
    let value = match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Value::Other(number.to_string()), Value::Integer),
        DeValue::Boolean(on) => Value::Bool(*on),
        DeValue::Float(number) => Value::Other(number.to_string()),
        DeValue::Datetime(date) => Value::Other(date.to_string()),
        DeValue::Array(list) => {
            let items = list.iter().map(|item| convert(item.get_ref(), source, item.span()));
            Value::List(items.collect())
        }
        DeValue::Table(table) => Value::Table(convert_table(table, source)),
    };
    Node { place: Place { source, span }, value }
}
