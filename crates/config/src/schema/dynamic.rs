//! What a `[[group]]` says of neighbors that nobody names: whoever dials from within `listen`.
//!
//! **A prefix belongs to one group**, so that of several around an address one is the longest.

use super::neighbor::{Neighbor, common_of_whole};
use super::router::Router;
use super::{Default, Key};
use crate::Effect;
use crate::parse::{self, Parsed};
use crate::problem::Problem;
use crate::section::{Reading, Section};
use crate::source::{Node, Place};
use crate::value::as_texts;
use evpn_proto::types::{NeighborId, is_link_local};
use ipnet::IpNet;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// A group that listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DynamicGroup {
    /// Its name.
    pub name: String,
    /// Where its neighbors dial from.
    #[serde(serialize_with = "as_texts")]
    pub listen: Vec<IpNet>,
    /// How many there may be at a time.
    pub listen_limit: u16,
    /// What each of them is to us. Who it is, its own address says: the one here is nobody's.
    #[serde(flatten, serialize_with = "as_values")]
    pub neighbor: Neighbor,
}

/// The values of a neighbor without who it is.
fn as_values<S: Serializer>(neighbor: &Neighbor, to: S) -> Result<S::Ok, S::Error> {
    let mut value = serde_json::to_value(neighbor).map_err(serde::ser::Error::custom)?;
    if let Value::Object(keys) = &mut value {
        keys.retain(|key, _| !matches!(key.as_str(), "address" | "group" | "description"));
    }
    value.serialize(to)
}

pub(super) const LISTEN_KEYS: &[Key] = &[
    Key {
        name: "listen",
        kind: "list of prefixes",
        default: Default::Unset,
        why: "who dials from there is a neighbor with the group's values; the longest prefix wins",
        effect: Effect::Live,
    },
    Key {
        name: "listen-limit",
        kind: "integer, 1 to 10000",
        default: Default::Value("100"),
        why: "dynamic neighbors of the group at a time; more are refused and told",
        effect: Effect::Live,
    },
];

/// A prefix of a network whose addresses mean the same on every link.
fn range(node: &Node) -> Parsed<IpNet> {
    let prefix = parse::prefix(node)?;
    if is_link_local(prefix.addr()) || prefix.addr().is_multicast() {
        let message = format!("is {prefix}, where nobody can be told by an address alone");
        let help = "for whoever is at the other end of a link: [[neighbor]] with interface";
        return parse::refuse(node, message, help);
    }
    Ok(prefix)
}

/// Groups that listen, each prefix with where it stands.
#[derive(Default)]
pub(super) struct DynamicGroups {
    groups: Vec<DynamicGroup>,
    prefixes: Vec<(IpNet, String, Place)>,
}

impl DynamicGroups {
    /// Reads a group that listens; it inherits as a neighbor would.
    pub(super) fn read(
        &mut self,
        section: &Section<'_>,
        reading: &mut Reading,
        router: &Router,
        name: &str,
    ) {
        let listen = section.opt(reading, "listen", parse::list(range));
        let limit = section.opt(reading, "listen-limit", parse::integer(1..=10_000));
        let Some(listen) = listen else { return };
        let place = section.place("listen");
        for prefix in &listen {
            if let Some((_, other, first)) = self.prefixes.iter().find(|(p, ..)| p == prefix) {
                let message = format!("groups \"{other}\" and \"{name}\" both listen for {prefix}");
                let problem = Problem::new(place.clone(), message);
                let problem = problem.also(first.clone(), "the other is at");
                reading.problems.push(problem.help("remove it from one of them"));
            } else {
                self.prefixes.push((*prefix, name.to_owned(), place.clone()));
            }
        }
        let Some(first) = listen.first() else {
            let help = "remove listen, or name a prefix such as \"10.0.0.0/24\"";
            section.refuse(reading, "listen", "listen is empty".to_owned(), help.to_owned());
            return;
        };
        if router.listen.is_empty() {
            let message = "nobody can dial in: router.listen is empty".to_owned();
            let help = "name the addresses to listen on under [router], or remove listen here";
            section.refuse(reading, "listen", message, help.to_owned());
        }
        let nobody = NeighborId::from(first.addr());
        let neighbor = common_of_whole(section, reading, router, nobody, name);
        if let (Some(neighbor), Some(listen_limit)) = (neighbor, limit) {
            let name = name.to_owned();
            self.groups.push(DynamicGroup { name, listen, listen_limit, neighbor });
        }
    }

    /// The kernel asks everybody in a prefix for its key: a neighbor there that has none could not
    /// dial us.
    pub(super) fn check_keys<'a>(
        &self,
        neighbors: impl Iterator<Item = &'a (Neighbor, Place)>,
        reading: &mut Reading,
    ) {
        for (neighbor, place) in neighbors.filter(|(n, _)| n.password_file.is_none()) {
            let Some(address) = neighbor.id.address() else { continue };
            let with_key = self.groups.iter().filter(|g| g.neighbor.password_file.is_some());
            let around =
                |group: &&DynamicGroup| group.listen.iter().any(|net| net.contains(&address));
            if let Some(group) = { with_key }.find(around) {
                let message = format!(
                    "neighbor {address} has no password-file, but group \"{}\" listens around it \
                     with one",
                    group.name
                );
                let help = "give it one: the kernel asks everybody in the prefix for a key";
                reading.problems.push(Problem::new(place.clone(), message).help(help));
            }
        }
    }

    /// By name.
    pub(super) fn into_groups(mut self) -> Vec<DynamicGroup> {
        self.groups.sort_by(|a, b| a.name.cmp(&b.name));
        self.groups
    }
}
