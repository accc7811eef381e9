//! Every key that a configuration may have: one small file per section, each with its typed
//! values, its table of keys, and the function that reads it.
//!
//! The tables are the one source of the defaults: reading, `config show --effective` and the
//! documentation take them from here.
//!
//! **A key that is not in a table here cannot be read, and one that is cannot be missed out of the
//! effective configuration.**

pub(crate) mod api;
pub(crate) mod dataplane;
pub(crate) mod dynamic;
pub(crate) mod energy;
pub(crate) mod evpn;
mod identity;
pub(crate) mod log;
pub(crate) mod multipath;
pub(crate) mod neighbor;
pub(crate) mod router;
mod session;
pub(crate) mod unicast;
pub(crate) mod vni;
pub(crate) mod vrf;

use crate::parse;
use crate::section::{Reading, Section};
use crate::source::{Node, Place, Table};
use crate::{Config, Effect};

/// What a key is worth where nobody writes it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Default {
    /// This value, in TOML.
    Value(&'static str),
    /// It must be written; the text says how.
    Required(&'static str),
    /// Found at start; the text says where.
    Derived(&'static str),
    /// Nothing, and nothing is needed.
    Unset,
}

/// One key of a section.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) default: Default,
    pub(crate) why: &'static str,
    pub(crate) effect: Effect,
}

/// One section: where it stands, and its keys. Lists of tables end in `[]`.
#[derive(Debug)]
pub(crate) struct SectionDoc {
    pub(crate) path: &'static str,
    pub(crate) keys: &'static [&'static [Key]],
}

impl SectionDoc {
    /// The last word of the path.
    pub(crate) fn name(&self) -> &'static str {
        let last = self.path.rsplit_once('.').map_or(self.path, |(_, last)| last);
        last.trim_end_matches("[]")
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &'static Key> {
        self.keys.iter().copied().flatten()
    }

    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys().find(|key| key.name == name)
    }

    /// The path of one of its keys.
    pub(crate) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

/// The top level.
static ROOT: SectionDoc = SectionDoc {
    path: "",
    keys: &[&[Key {
        name: "state-dir",
        kind: "absolute path",
        default: Default::Value("'/var/lib/evpnd'"),
        why: "where packages keep state that must survive a reboot (mobility sequences, ledger)",
        effect: Effect::Restart,
    }]],
};

/// All sections, in the order in which they are shown.
pub(crate) static SECTIONS: &[&SectionDoc] = &[
    &ROOT,
    &router::ROUTER,
    &neighbor::TIMERS,
    &neighbor::GROUP,
    &neighbor::NEIGHBOR,
    &unicast::UNICAST,
    &evpn::EVPN,
    &vni::VNI,
    &vrf::VRF,
    &vrf::PREFIX,
    &multipath::MULTIPATH,
    &dataplane::DATAPLANE,
    &energy::ENERGY,
    &energy::FEED,
    &energy::THRESHOLDS,
    &energy::WEIGHTS,
    &energy::GUARDS,
    &api::API,
    &log::LOG,
];

/// The sections that stand directly in one.
pub(crate) fn children_of(section: &SectionDoc) -> impl Iterator<Item = &'static SectionDoc> {
    let parent = section.path;
    SECTIONS.iter().copied().filter(move |doc| {
        let above = doc.path.rsplit_once('.').map_or("", |(above, _)| above);
        !doc.path.is_empty() && above == parent
    })
}

/// Whether a path of the schema is a section's.
pub(crate) fn is_section(path: &str) -> bool {
    SECTIONS.iter().any(|doc| doc.path == path)
}

/// One key of the schema, for documentation.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct KeyDoc {
    /// Its path; an element of a list of tables is `[]`, e.g. `neighbor[].hold`.
    pub path: String,
    /// What it takes, in words.
    #[serde(rename = "type")]
    pub type_: &'static str,
    /// Its default in TOML, or `required`, `unset`, `derived: ...`.
    pub default: String,
    /// What it is for, and why this default.
    pub why: &'static str,
    /// What a change of it does.
    pub effect: Effect,
}

/// Every key there is, in the order of the sections.
pub fn schema_keys() -> Vec<KeyDoc> {
    let of_section = |doc: &'static SectionDoc| {
        doc.keys().map(|key| KeyDoc {
            path: doc.path_of(key.name),
            type_: key.kind,
            default: show_default(key),
            why: key.why,
            effect: key.effect,
        })
    };
    SECTIONS.iter().copied().flat_map(of_section).collect()
}

/// A key's default as shown to a person.
pub(crate) fn show_default(key: &Key) -> String {
    match key.default {
        Default::Value(text) => Node::of_default(text, &Place::default())
            .map_or_else(|| text.to_owned(), |n| n.render()),
        Default::Required(_) => "required".to_owned(),
        Default::Derived(from) => format!("derived: {from}"),
        Default::Unset => "unset".to_owned(),
    }
}

/// The duration that is written as so many seconds.
pub(crate) const fn seconds(count: u64) -> std::time::Duration {
    std::time::Duration::from_secs(count)
}

/// Reads and checks the whole configuration. None where something is wrong; `reading` says what.
pub(crate) fn read(table: &Table, reading: &mut Reading) -> Option<Config> {
    let root = Section::root(&ROOT, table);
    let state_dir = root.get(reading, "state-dir", parse::path);
    root.finish(reading);
    let router = router::read(&root, reading);
    let (neighbors, dynamic_groups) = neighbor::read(&root, &router, reading);
    let spoken = unicast::Spoken::by(&neighbors, &dynamic_groups);
    let unicast = unicast::read(&root, reading, &spoken);
    let evpn = evpn::read(&root, reading);
    let vnis = vni::read(&root, reading);
    let (energy, drain) = energy::read(&root, reading);
    let vrfs = vrf::read(&root, &drain, &vnis, reading);
    let multipath = multipath::read(&root, reading);
    let dataplane = dataplane::read(&root, reading);
    let api = api::read(&root, reading);
    let log = log::read(&root, reading);
    let config = Config {
        state_dir,
        router,
        dynamic_groups,
        neighbors,
        unicast,
        evpn,
        vnis: vnis.into_configs(),
        vrfs,
        multipath,
        dataplane,
        energy,
        api,
        log,
    };
    reading.problems.is_empty().then_some(config)
}
