//! What an unknown key, or a word that is none of those allowed, was probably meant to be.
//!
//! **A suggestion is a key or a word of the schema, never a guess beyond it.**

use crate::schema::{self, SectionDoc};

/// Names from other routing daemons' configurations, and what they are called here.
const FOREIGN: &[(&str, &str)] = &[
    ("activate", "families"),
    ("address-families", "families"),
    ("address-family", "families"),
    ("addpath-tx-all-paths", "add-path"),
    ("afi-safi", "families"),
    ("afi-safis", "families"),
    ("asn", "as"),
    ("bgp-id", "id"),
    ("ebgp-multihop", "multihop"),
    ("device", "interface"),
    ("export-rt", "export"),
    ("family", "families"),
    ("hold-time", "hold"),
    ("import-rt", "import"),
    ("ip", "address"),
    ("ipv4", "unicast"),
    ("ipv4-unicast", "unicast"),
    ("ipv6", "unicast"),
    ("ipv6-unicast", "unicast"),
    ("keepalive-interval", "keepalive"),
    ("listen-range", "listen"),
    ("local-address", "update-source"),
    ("local-as", "as"),
    ("local-role", "role"),
    ("maximum-prefix", "max-prefix"),
    ("md5", "password-file"),
    ("network", "announce"),
    ("networks", "announce"),
    ("password", "password-file"),
    ("peer", "neighbor"),
    ("peer-as", "as"),
    ("peer-group", "group"),
    ("remote-as", "as"),
    ("route-distinguisher", "rd"),
    ("route-reflector", "route-reflector-client"),
    ("router-id", "id"),
    ("rr-client", "route-reflector-client"),
    ("shut", "shutdown"),
    ("source-address", "update-source"),
    ("ttl", "multihop"),
    ("ttl-security-hops", "ttl-security"),
    ("underlay", "unicast"),
];

/// Words from elsewhere for values, and what they are called here.
const FOREIGN_WORDS: &[(&str, &str)] = &[
    ("asdot", "dot"),
    ("asplain", "plain"),
    ("route-target", "rt-constraint"),
    ("rt-filter", "rt-constraint"),
    ("rtc", "rt-constraint"),
    ("rtfilter", "rt-constraint"),
    ("rx", "receive"),
    ("tx", "send"),
];

/// The advice for an unknown key of a section whose known keys are `known`.
pub(crate) fn for_key(name: &str, section: &SectionDoc, known: &[&str]) -> String {
    let plain = name.to_lowercase().replace('_', "-");
    let foreign = FOREIGN.iter().find(|(theirs, _)| *theirs == plain);
    let ours = foreign.map_or(plain.as_str(), |(_, ours)| ours);
    if foreign.is_some() && known.contains(&ours) {
        return format!("here it is called \"{ours}\"");
    }
    if let Some(near) = nearest(&plain, known) {
        return format!("did you mean \"{near}\"?");
    }
    let has_key = |doc: &&&SectionDoc| doc.path != section.path && doc.key(ours).is_some();
    let homes = || schema::SECTIONS.iter().filter(has_key);
    // What neighbors have in common stands in a group: it comes before another section of that key.
    let group = || homes().find(|doc| section.path == "neighbor[]" && doc.path == "group[]");
    if let Some(doc) = group().or_else(|| homes().next()) {
        return format!(
            "\"{ours}\" belongs {}",
            match doc.path {
                "" => "at the top level, before the first [section]".to_owned(),
                _ => format!("in {}", heading(doc)),
            }
        );
    }
    let names: Vec<&str> =
        schema::SECTIONS.iter().map(|doc| doc.name()).filter(|name| !name.is_empty()).collect();
    let near = nearest(ours, &names);
    if let Some(doc) = schema::SECTIONS.iter().find(|doc| Some(doc.name()) == near) {
        return format!("did you mean {}?", heading(doc));
    }
    format!("known here: {}", known.join(", "))
}

/// How a section's heading is written.
fn heading(doc: &SectionDoc) -> String {
    match doc.path.strip_suffix("[]") {
        Some(list) => format!("[[{}]]", list.replace("[]", "")),
        None => format!("[{}]", doc.path.replace("[]", "")),
    }
}

/// The word of `words` that was meant by `given`: in other letters, as others call it, by a part of it
/// that no other has, or by a slip of the pen.
pub(crate) fn word<'w>(given: &str, words: &[&'w str]) -> Option<&'w str> {
    let plain = given.to_lowercase().replace(['_', ' '], "-");
    let called = |name: &str| words.iter().find(|word| **word == name).copied();
    let foreign = FOREIGN_WORDS.iter().find(|(theirs, _)| *theirs == plain);
    let mut with_part = words.iter().filter(|word| word.split('-').any(|part| part == plain));
    let by_part = with_part.next().filter(|_| with_part.next().is_none()).copied();
    called(&plain)
        .or_else(|| foreign.and_then(|(_, ours)| called(ours)))
        .or(by_part)
        .or_else(|| nearest(&plain, words))
}

/// The word of `words` that a slip of the pen would turn into `name`: one edit in three letters.
pub(crate) fn nearest<'w>(name: &str, words: &[&'w str]) -> Option<&'w str> {
    let distance = |word: &&str| strsim::damerau_levenshtein(name, word);
    let best = words.iter().min_by_key(|word| distance(word))?;
    let allowed = name.chars().count().div_ceil(3);
    (distance(best) <= allowed.min(3)).then_some(*best)
}
