//! What changes between two configurations, by meaning and not by text.
//!
//! **Two configurations without a difference here make the daemon behave alike.**

use crate::{Config, schema};
use evpn_proto::types::{NeighborId, Vni};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What a change of a key does when it is applied to a running daemon, the mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// It takes effect at once and disturbs nothing.
    Live,
    /// It takes effect when a session is next established; none is reset for it.
    NextSession,
    /// The neighbor's session is reset.
    ResetsSession,
    /// It takes effect after a restart of the daemon only.
    Restart,
}

impl Effect {
    /// In words, for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::NextSession => "next session",
            Self::ResetsSession => "resets the session",
            Self::Restart => "needs a restart",
        }
    }
}

/// What a change is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A section that exists once, e.g. `router` or `energy`; the top level is empty.
    Section(&'static str),
    /// A group that lets in who is not named.
    Group(String),
    /// A neighbor.
    Neighbor(NeighborId),
    /// An L2 VNI.
    Vni(Vni),
    /// A VRF, its prefixes included.
    Vrf(String),
}

/// What happened to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// Its value is another; `unset` stands for none.
    Changed {
        /// The old value.
        from: String,
        /// The new value.
        to: String,
    },
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What it is about.
    pub subject: Subject,
    /// The path of the key or of the element, e.g. `neighbor[10.0.0.2].hold`.
    pub key: String,
    /// What happened.
    pub kind: ChangeKind,
    /// What applying it does.
    pub effect: Effect,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (key, effect) = (&self.key, self.effect.as_str());
        match &self.kind {
            ChangeKind::Added => write!(f, "+ {key} ({effect})"),
            ChangeKind::Removed => write!(f, "- {key} ({effect})"),
            ChangeKind::Changed { from, to } => write!(f, "~ {key}: {from} -> {to} ({effect})"),
        }
    }
}

/// Every difference from `old` to `new`, sections first, then groups that listen, neighbors, VNIs and VRFs.
pub fn diff(old: &Config, new: &Config) -> Vec<Change> {
    let (old, new) = (parts(old), parts(new));
    let effects = effects();
    let subjects: BTreeSet<&Subject> = old.keys().chain(new.keys()).collect();
    let mut changes = Vec::new();
    for subject in subjects {
        match (old.get(subject), new.get(subject)) {
            (Some(old), Some(new)) => compare(subject, old, new, &effects, &mut changes),
            (None, Some(part)) => changes.push(element(subject, &part.path, ChangeKind::Added)),
            (Some(part), None) => changes.push(element(subject, &part.path, ChangeKind::Removed)),
            (None, None) => {}
        }
    }
    changes
}

/// A part of the configuration that can come and go, as keys and values.
#[derive(Default)]
struct Part {
    path: String,
    /// By path: the path in the schema, and the value.
    values: BTreeMap<String, (String, String)>,
    /// The lists' elements: they come and go as a whole.
    elements: BTreeSet<String>,
}

impl Part {
    fn of(path: String, schema: &str, value: &impl Serialize) -> Self {
        let mut part = Self { path, ..Self::default() };
        match serde_json::to_value(value) {
            Ok(value) => part.flatten(&part.path.clone(), schema, &value),
            // Nothing in a Config fails to serialise. If it did, it would differ from everything.
            Err(error) => {
                let unreadable = (schema.to_owned(), error.to_string());
                part.values.insert(part.path.clone(), unreadable);
            }
        }
        part
    }

    fn flatten(&mut self, path: &str, schema: &str, value: &Value) {
        let join = |path: &str, key: &str| {
            if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
        };
        match value {
            Value::Object(keys) => {
                for (key, value) in keys {
                    self.flatten(&join(path, key), &join(schema, key), value);
                }
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                for item in items {
                    let name = item.get("prefix").and_then(Value::as_str).unwrap_or_default();
                    let path = format!("{path}[{name}]");
                    self.elements.insert(path.clone());
                    self.flatten(&path, &format!("{schema}[]"), item);
                }
            }
            // A list of tables without elements has no value of its own.
            Value::Array(items)
                if items.is_empty() && schema::is_section(&format!("{schema}[]")) => {}
            Value::Null => {}
            _ => {
                self.values.insert(path.to_owned(), (schema.to_owned(), value.to_string()));
            }
        }
    }
}

fn parts(config: &Config) -> BTreeMap<Subject, Part> {
    let Config {
        state_dir,
        router,
        dynamic_groups,
        neighbors,
        unicast,
        evpn,
        vnis,
        vrfs,
        multipath,
        dataplane,
        energy,
        api,
        log,
    } = config;
    let mut parts = BTreeMap::new();
    let mut section = |name: &'static str, part: Part| {
        parts.insert(Subject::Section(name), part);
    };
    let state_dir = BTreeMap::from([("state-dir", state_dir)]);
    section("", Part::of(String::new(), "", &state_dir));
    section("router", Part::of("router".into(), "router", router));
    section("unicast", Part::of("unicast".into(), "unicast", unicast));
    section("evpn", Part::of("evpn".into(), "evpn", evpn));
    section("multipath", Part::of("multipath".into(), "multipath", multipath));
    section("dataplane", Part::of("dataplane".into(), "dataplane", dataplane));
    section("energy", Part::of("energy".into(), "energy", energy));
    section("api", Part::of("api".into(), "api", api));
    section("log", Part::of("log".into(), "log", log));
    for group in dynamic_groups {
        let part = Part::of(format!("group[{}]", group.name), "group[]", group);
        parts.insert(Subject::Group(group.name.clone()), part);
    }
    for neighbor in neighbors {
        let part = Part::of(format!("neighbor[{}]", neighbor.id), "neighbor[]", neighbor);
        parts.insert(Subject::Neighbor(neighbor.id.clone()), part);
    }
    for vni in vnis {
        let part = Part::of(format!("vni[{}]", vni.vni), "vni[]", vni);
        parts.insert(Subject::Vni(vni.vni), part);
    }
    for vrf in vrfs {
        let part = Part::of(format!("vrf[{}]", vrf.name), "vrf[]", vrf);
        parts.insert(Subject::Vrf(vrf.name.clone()), part);
    }
    parts
}

/// What a change of each key does, by its path in the schema.
fn effects() -> BTreeMap<String, Effect> {
    schema::schema_keys().into_iter().map(|key| (key.path, key.effect)).collect()
}

fn element(subject: &Subject, path: &str, kind: ChangeKind) -> Change {
    let effect = match (subject, &kind) {
        (Subject::Neighbor(_) | Subject::Group(_), ChangeKind::Removed) => Effect::ResetsSession,
        _ => Effect::Live,
    };
    Change { subject: subject.clone(), key: path.to_owned(), kind, effect }
}

fn compare(
    subject: &Subject,
    old: &Part,
    new: &Part,
    effects: &BTreeMap<String, Effect>,
    changes: &mut Vec<Change>,
) {
    for path in new.elements.difference(&old.elements) {
        changes.push(element(subject, path, ChangeKind::Added));
    }
    for path in old.elements.difference(&new.elements) {
        changes.push(element(subject, path, ChangeKind::Removed));
    }
    let came_or_went: Vec<String> =
        old.elements.symmetric_difference(&new.elements).map(|path| format!("{path}.")).collect();
    let keys: BTreeSet<&String> = old.values.keys().chain(new.values.keys()).collect();
    for key in keys {
        let (before, after) = (old.values.get(key), new.values.get(key));
        if before == after || came_or_went.iter().any(|path| key.starts_with(path)) {
            continue;
        }
        let schema = after.or(before).map(|(schema, _)| schema.as_str()).unwrap_or_default();
        let show = |value: Option<&(String, String)>| {
            value.map_or_else(|| "unset".to_owned(), |(_, value)| value.clone())
        };
        changes.push(Change {
            subject: subject.clone(),
            key: key.clone(),
            kind: ChangeKind::Changed { from: show(before), to: show(after) },
            // An unknown key cannot be; if it were, a restart would be the safe answer.
            effect: effects.get(schema).copied().unwrap_or(Effect::Restart),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Source, load};

    const FULL: &str = include_str!("../tests/full.toml");

    #[test]
    fn every_value_of_a_configuration_is_a_key_of_the_schema_and_the_reverse() {
        let config = load(&[Source::new("full.toml", FULL)]).unwrap().config;
        let effects = effects();
        let seen: BTreeSet<String> = parts(&config)
            .values()
            .flat_map(|part| part.values.values())
            .map(|(s, _)| s.clone())
            .collect();
        for schema in &seen {
            assert!(effects.contains_key(schema), "{schema} is no key");
        }
        let lent = |key: &&String| !key.starts_with("group[]") && !key.starts_with("timers");
        let other_feed = |key: &&String| *key != "energy.feed.path";
        for key in effects.keys().filter(lent).filter(other_feed) {
            assert!(seen.contains(key), "{key} is missing in the configuration");
        }
    }
}
