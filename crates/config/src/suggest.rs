//! What an unknown key was probably meant to be.
//!
//! **A suggestion is a key of the schema, never a guess beyond it.**

use crate::schema::{self, SectionDoc};

/// Names from other routing daemons' configurations, and what they are called here.
const FOREIGN: &[(&str, &str)] = &[
    ("asn", "as"),
    ("bgp-id", "id"),
    ("ebgp-multihop", "multihop"),
    ("export-rt", "export"),
    ("hold-time", "hold"),
    ("import-rt", "import"),
    ("ip", "address"),
    ("keepalive-interval", "keepalive"),
    ("local-address", "update-source"),
    ("local-as", "as"),
    ("maximum-prefix", "max-prefix"),
    ("md5", "password-file"),
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
    if let Some(doc) = schema::SECTIONS.iter().find(has_key) {
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

/// The word of `words` that a slip of the pen would turn into `name`: one edit in three letters.
pub(crate) fn nearest<'w>(name: &str, words: &[&'w str]) -> Option<&'w str> {
    let distance = |word: &&str| strsim::damerau_levenshtein(name, word);
    let best = words.iter().min_by_key(|word| distance(word))?;
    let allowed = name.chars().count().div_ceil(3);
    (distance(best) <= allowed.min(3)).then_some(*best)
}
