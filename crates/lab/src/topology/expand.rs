//! Expands environment variables in the text of a topology, and containerlab's own
//! `__clab…__` names in its values.
//!
//! **A variable that is not set and has no default stays as it stands**, as under
//! containerlab: it may belong to a shell in an `exec` line.

/// The environment as a function, so that tests bring their own.
pub(crate) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// `text` with `$NAME`, `${NAME}` and `${NAME<op>word}` replaced, where `<op>` is one
/// of `:=`, `=`, `:-`, `-` (default) and `:+`, `+` (alternative). With the colon an
/// empty variable counts as not set. `$$` is one `$`.
pub(crate) fn environment(text: &str, env: Env<'_>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((value, after)) = braced(rest, env).or_else(|| bare(rest, env)) {
            out.push_str(&value);
            rest = after;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    out
}

/// The value of a leading `{…}` and what follows it.
fn braced<'a>(rest: &'a str, env: Env<'_>) -> Option<(String, &'a str)> {
    let (inside, after) = rest.strip_prefix('{')?.split_once('}')?;
    let (name, op) = split_name(inside)?;
    let value = env(name);
    let (op, empty_is_unset) = op.strip_prefix(':').map_or((op, false), |op| (op, true));
    let value = value.filter(|v| !(empty_is_unset && v.is_empty()));
    let value = match op.chars().next() {
        None if !empty_is_unset => value?,
        Some('=' | '-') => value.unwrap_or_else(|| op[1..].to_owned()),
        Some('+') => value.map_or_else(String::new, |_| op[1..].to_owned()),
        _ => return None,
    };
    Some((value, after))
}

/// The value of a leading bare name and what follows it.
fn bare<'a>(rest: &'a str, env: Env<'_>) -> Option<(String, &'a str)> {
    let (name, after) = split_name(rest)?;
    Some((env(name)?, after))
}

/// Splits a leading variable name off; `None` where there is none.
fn split_name(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts_well.then_some((name, rest))
}

/// `value` with containerlab's names replaced for one node of one lab.
pub(crate) fn names(value: &str, lab: &str, node: &str) -> String {
    value
        .replace("__clabNodeDir__", &format!("clab-{lab}/{node}"))
        .replace("__clabDir__", &format!("clab-{lab}"))
        .replace("__clabNodeName__", node)
        .replace("__clabLabName__", lab)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> String {
        environment(text, &|name| match name {
            "SET" => Some("value".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        })
    }

    #[test]
    fn defaults_apply_only_where_nothing_is_set() {
        for (text, want) in [
            ("a $SET b", "a value b"),
            ("${SET}/x", "value/x"),
            ("${SET:=no}", "value"),
            ("${NONE:=yes}", "yes"),
            ("${NONE=a:b/c}", "a:b/c"),
            ("${NONE:-}", ""),
            ("${EMPTY:-yes}", "yes"),
            ("${EMPTY-no}", ""),
            ("${SET:+alt}${NONE:+alt}", "alt"),
            ("$$SET", "$SET"),
        ] {
            assert_eq!(expand(text), want, "{text}");
        }
    }

    #[test]
    fn what_is_not_set_stays_as_it_stands() {
        for text in ["sh -c 'echo $i ${i} $1 $? $(id)'", "100$", "${", "${NONE", "${SET:?x}"] {
            assert_eq!(expand(text), text);
        }
    }

    #[test]
    fn containerlab_names_become_the_nodes_own() {
        assert_eq!(names("__clabNodeDir__/f:/f", "lab", "n1"), "clab-lab/n1/f:/f");
        assert_eq!(names("cfg/__clabNodeName__.toml", "lab", "n1"), "cfg/n1.toml");
        assert_eq!(names("__clabDir__-__clabLabName__", "lab", "n1"), "clab-lab-lab");
    }
}
