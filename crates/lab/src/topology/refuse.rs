//! Says why a key of containerlab is refused, and which key was perhaps meant.
//!
//! **The text of a refusal names the key, and either what to use instead or the
//! nearest key that is known.**

/// Keys that containerlab knows and this lab does not obey, each with the reason.
pub(super) const REFUSED: &[(&str, &str)] = &[
    ("auto-remove", "a node lives until `lab down`"),
    ("certificate", "no certificates are issued; bind the node's own"),
    ("components", "only kinds linux and bridge exist here"),
    ("config", "there is no configuration engine; bind the node's configuration file"),
    ("cpu", "resources are not limited"),
    ("cpu-set", "resources are not limited"),
    ("debug", "there is nothing to debug in an image that is not pulled"),
    ("devices", "nodes share the machine's /dev"),
    ("dns", "nodes share the machine's resolver"),
    ("enforce-startup-config", "only kinds linux and bridge exist here"),
    ("env-files", "put the variables under `env`"),
    ("extras", "only kinds linux and bridge exist here"),
    ("healthcheck", "there is no container runtime that would run it"),
    ("image-pull-policy", "images are not pulled"),
    ("license", "only kinds linux and bridge exist here"),
    ("memory", "resources are not limited"),
    ("mgmt-ipv4", "there is no management network; use a link"),
    ("mgmt-ipv6", "there is no management network; use a link"),
    ("mgmt_ipv4", "there is no management network; use a link"),
    ("mgmt_ipv6", "there is no management network; use a link"),
    ("ports", "nodes are reached by `lab exec`, not by published ports"),
    ("position", "it changes nothing in a lab"),
    ("publish", "nodes are reached by `lab exec`, not by published ports"),
    ("restart-policy", "a command that ends stays ended, so that its failure is seen"),
    ("runtime", "there is no container runtime"),
    ("SANs", "no certificates are issued; bind the node's own"),
    ("settings", "no certificates are issued"),
    ("shm-size", "resources are not limited"),
    ("startup-config", "only kinds linux and bridge exist here; bind the configuration file"),
    ("suppress-startup-config", "only kinds linux and bridge exist here"),
    ("tmpfs", "nodes have a private /run already"),
    ("type", "only kinds linux and bridge exist here"),
    ("user", "commands run as root of the node"),
    ("vars", "there is no configuration engine"),
    ("wait-for", "it goes under `stages`, below a stage"),
    // Of a stage.
    ("exec", "commands of a stage are not run; use the node's own `exec`"),
    ("healthy", "nodes have no health check; wait for `configure`"),
    ("exit", "waiting for the end of a command is not done"),
    // Of a link.
    ("endpoint", "links to the machine itself are not made; only type veth exists here"),
    ("host-interface", "links to the machine itself are not made; only type veth exists here"),
    ("ipv4", "give addresses in `exec`"),
    ("ipv6", "give addresses in `exec`"),
    ("mode", "only links of type veth exist here"),
    ("remote", "only links of type veth exist here"),
    ("vni", "only links of type veth exist here; make VXLAN devices in `exec`"),
];

/// Two names are close when this share of their letters agrees.
const CLOSE: f64 = 0.75;

/// What to tell about the refused `key`, where `accepted` would have been understood.
pub(super) fn explain(key: &str, accepted: &[&str]) -> String {
    if let Some((_, reason)) = REFUSED.iter().find(|(name, _)| *name == key) {
        return format!("`{key}` is not supported by this lab: {reason}");
    }
    match closest(key, accepted.iter().copied()) {
        Some(near) => format!("unknown key `{key}`; did you mean `{near}`?"),
        None => format!("unknown key `{key}`; here may stand {}", accepted.join(", ")),
    }
}

/// The candidate that is nearest to `name`, if one is near at all.
pub(super) fn closest<'a>(
    name: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .map(|c| (strsim::normalized_damerau_levenshtein(name, c), c))
        .filter(|(score, _)| *score >= CLOSE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, c)| c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_is_answered_with_the_key_that_was_meant() {
        let keys = ["image", "binds", "sysctls", "startup-delay"];
        for (wrong, right) in
            [("bind", "binds"), ("sysctl", "sysctls"), ("start-delay", "startup-delay")]
        {
            assert!(explain(wrong, &keys).contains(&format!("did you mean `{right}`")), "{wrong}");
        }
        assert!(explain("frobnicate", &keys).contains("here may stand image, binds"));
    }

    #[test]
    fn a_refused_key_is_not_also_accepted_in_a_node() {
        // `exec` is a node's key as well: it is refused below a stage only.
        for (key, _) in REFUSED.iter().filter(|(key, _)| *key != "exec") {
            assert!(!super::super::schema::is_accepted_node_key(key), "{key}");
        }
        assert!(super::super::schema::is_accepted_node_key("binds"), "the probe can say yes");
    }
}
