//! The topology file as it is written: containerlab's keys, and only those that this
//! lab obeys. Meaning and defaults are [`super::resolve`]'s business.
//!
//! **A key that this lab would not obey is an error, never a silence**, so each
//! structure denies unknown fields and [`super::refuse`] explains the refusal.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_saphyr::Spanned;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) name: Spanned<String>,
    pub(super) prefix: Option<String>,
    /// Read and not obeyed: nodes of this lab have no management network.
    #[serde(rename = "mgmt")]
    _mgmt: Option<IgnoredAny>,
    pub(super) topology: Body,
}

/// The `topology` section.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    pub(super) defaults: Option<NodeDef>,
    pub(super) kinds: Option<Ordered<Option<NodeDef>>>,
    pub(super) nodes: Ordered<Option<NodeDef>>,
    pub(super) links: Option<Vec<Spanned<LinkDef>>>,
}

/// What can be said about a node, a kind of node, or all nodes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct NodeDef {
    pub(super) kind: Option<Spanned<String>>,
    pub(super) image: Option<Spanned<String>>,
    pub(super) cmd: Option<Spanned<String>>,
    pub(super) entrypoint: Option<Spanned<String>>,
    pub(super) exec: Option<Vec<Spanned<String>>>,
    pub(super) binds: Option<Vec<Spanned<String>>>,
    pub(super) env: Option<Ordered<String>>,
    pub(super) sysctls: Option<Ordered<String>>,
    pub(super) network_mode: Option<Spanned<String>>,
    /// Seconds.
    pub(super) startup_delay: Option<u32>,
    pub(super) stages: Option<Stages>,
    pub(super) labels: Option<Ordered<String>>,
    pub(super) group: Option<String>,
    /// Nodes have every capability inside their own namespaces anyway.
    #[serde(rename = "cap-add")]
    _cap_add: Option<Vec<String>>,
    #[serde(rename = "privileged")]
    _privileged: Option<bool>,
}

/// Before which of a node's stages it waits for others.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Stages {
    pub(super) create: Option<Stage>,
    pub(super) create_links: Option<Stage>,
    pub(super) configure: Option<Stage>,
}

/// One stage.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Stage {
    pub(super) wait_for: Vec<WaitFor>,
}

/// Another node, and the stage it must have completed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitFor {
    pub(super) node: Spanned<String>,
    pub(super) stage: Spanned<String>,
}

/// A link in either form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LinkDef {
    #[serde(rename = "type")]
    pub(super) kind: Option<Spanned<String>>,
    pub(super) endpoints: Vec<Spanned<EndpointDef>>,
    pub(super) mtu: Option<u32>,
    #[serde(rename = "labels")]
    _labels: Option<Ordered<String>>,
}

/// One end of a link: `node:interface`, or an object.
#[derive(Debug)]
pub(super) enum EndpointDef {
    Brief(String),
    Full(EndpointObject),
}

/// The object form of an end of a link.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndpointObject {
    pub(super) node: String,
    pub(super) interface: String,
    pub(super) mac: Option<String>,
}

impl<'de> Deserialize<'de> for EndpointDef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EndpointVisitor;
        impl<'de> Visitor<'de> for EndpointVisitor {
            type Value = EndpointDef;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"node:interface\" or an object with node and interface")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<EndpointDef, E> {
                Ok(EndpointDef::Brief(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<EndpointDef, A::Error> {
                EndpointObject::deserialize(MapAccessDeserializer::new(map)).map(EndpointDef::Full)
            }
        }
        deserializer.deserialize_any(EndpointVisitor)
    }
}

/// A mapping in the order of the file.
#[derive(Debug)]
pub(super) struct Ordered<T>(pub(super) Vec<(Spanned<String>, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OrderedVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for OrderedVisitor<T> {
            type Value = Ordered<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered<T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Ordered(entries))
            }
        }
        deserializer.deserialize_map(OrderedVisitor(PhantomData))
    }
}

/// The keys that a structure of this schema accepts, as serde itself lists them.
#[cfg(test)]
pub(super) fn is_accepted_node_key(key: &str) -> bool {
    let probe: Result<NodeDef, _> = serde_saphyr::from_str(&format!("{key}: ~"));
    !matches!(
        probe.as_ref().map_err(serde_saphyr::Error::without_snippet),
        Err(serde_saphyr::Error::SerdeUnknownField { .. })
    )
}
