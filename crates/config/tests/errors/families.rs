//! Mistakes in what a neighbor speaks, how its session is used, and what is announced to it.

use super::{LEAF, assert_refused};
use evpn_config::{Source, load};

#[test]
fn a_role_is_for_a_neighbor_of_another_as_and_strictness_for_one_with_a_role() {
    let neighbor = |keys: &str| format!("[[neighbor]]\naddress = \"10.0.0.2\"\n{keys}");
    for (keys, line) in [
        (
            "as = 65001\nrole = \"peer\"",
            "6:8: an internal neighbor has no role; remove it: roles are between ASes (RFC 9234)",
        ),
        (
            "as = 65002\nrole-strict = true",
            "6:15: role-strict is of no use without role; write role too, or remove role-strict",
        ),
        (
            "as = 65002\nrole = \"costumer\"",
            "6:8: role is \"costumer\"; it must be \"provider\" or \"customer\" or \"peer\" \
             or \"rs-server\" or \"rs-client\"; did you mean \"customer\"?",
        ),
    ] {
        assert_refused(&neighbor(keys), &[line]);
    }
    let long = neighbor(&format!("as = 65002\nshutdown-message = \"{}\"", "ä".repeat(128)));
    let line = "6:20: shutdown-message takes 256 octets of UTF-8; it may take 255; \
                shorten it: RFC 9003 section 2 gives its length one octet";
    assert_refused(&long, &[line]);
}

#[test]
fn several_paths_go_one_way_or_both_and_memberships_have_none() {
    let neighbor = |keys: &str| format!("[[neighbor]]\naddress = \"10.0.0.2\"\nas = 65002\n{keys}");
    for (keys, line) in [
        (
            "add-path = \"recieve\"",
            "6:12: add-path is \"recieve\"; it must be \"receive\" or \"send\" or \"both\"; \
             did you mean \"receive\"?",
        ),
        (
            "add-path = \"send\"\nfamilies = [\"rt-constraint\"]",
            "6:12: add-path is of no use with rt-constraint alone; remove it: of what a neighbor \
             wants there is one path",
        ),
    ] {
        assert_refused(&neighbor(keys), &[line]);
    }
}

#[test]
fn a_role_of_a_group_is_its_members() {
    let text = "[[group]]\nname = \"isp\"\nas = \"external\"\nrole = \"customer\"\nrole-strict = true\n\
                [[neighbor]]\naddress = \"10.0.0.2\"\ngroup = \"isp\"\n\
                [[neighbor]]\naddress = \"10.0.0.3\"\ngroup = \"isp\"\nrole = \"peer\"\n";
    let loaded = load(&[Source::new("evpnd.toml", format!("{LEAF}{text}"))]).unwrap();
    let roles = loaded.config.neighbors.iter().map(|n| (n.role.unwrap().word(), n.role_strict));
    assert_eq!(roles.collect::<Vec<_>>(), [("customer", true), ("peer", true)]);
}

#[test]
fn a_family_is_known_by_what_others_call_it() {
    let neighbor = |keys: &str| format!("[[neighbor]]\naddress = \"10.0.0.2\"\nas = 65002\n{keys}");
    for (given, meant) in [
        ("evpn", "l2vpn-evpn"),
        ("L2VPN-EVPN", "l2vpn-evpn"),
        ("l2vpn evpn", "l2vpn-evpn"),
        ("ipv4", "ipv4-unicast"),
        ("ipv4 unicast", "ipv4-unicast"),
        ("IPv6_Unicast", "ipv6-unicast"),
        ("ipv6-unicst", "ipv6-unicast"),
        ("rtc", "rt-constraint"),
    ] {
        let line = format!(
            "6:13: families is \"{given}\"; it must be \"l2vpn-evpn\" or \"ipv4-unicast\" \
             or \"ipv6-unicast\" or \"rt-constraint\"; did you mean \"{meant}\"?"
        );
        // One mistake is one line: a list that was refused is not empty beside.
        assert_refused(&neighbor(&format!("families = [\"{given}\"]")), &[&line]);
    }
    // Which one was meant nobody can tell.
    let line = "6:13: families is \"unicast\"; it must be \"l2vpn-evpn\" or \"ipv4-unicast\" \
                or \"ipv6-unicast\" or \"rt-constraint\"";
    assert_refused(&neighbor("families = [\"unicast\"]"), &[line]);
    for (keys, line) in [
        (
            "families = []",
            "6:12: families is empty, which offers no family at all; \
             write families = [\"l2vpn-evpn\"], or leave it out",
        ),
        (
            "families = [\"ipv4-unicast\", \"ipv4-unicast\"]",
            "6:29: families names \"ipv4-unicast\" twice; remove one",
        ),
        (
            "families = \"l2vpn-evpn\"",
            "6:12: families is a string; it must be a list; for example [\"l2vpn-evpn\"]",
        ),
        (
            "add-path = \"tx\"",
            "6:12: add-path is \"tx\"; it must be \"receive\" or \"send\" or \"both\"; \
             did you mean \"send\"?",
        ),
        (
            "role = \"client\"",
            "6:8: role is \"client\"; it must be \"provider\" or \"customer\" or \"peer\" \
             or \"rs-server\" or \"rs-client\"; did you mean \"rs-client\"?",
        ),
    ] {
        assert_refused(&neighbor(keys), &[line]);
    }
}

#[test]
fn keys_of_the_underlay_and_of_sessions_are_known_by_what_others_call_them() {
    let neighbor = "[[neighbor]]\naddress = \"10.0.0.2\"\nas = 65002\n";
    let group = "[[group]]\nname = \"leaves\"\nas = \"external\"\n";
    for (text, line) in [
        (
            "[unicst]\nannounce = []".to_owned(),
            r#"3:2: unknown key "unicst" in the configuration; did you mean "unicast"?"#,
        ),
        (
            "[underlay]\nannounce = []".to_owned(),
            r#"3:2: unknown key "underlay" in the configuration; here it is called "unicast""#,
        ),
        (
            "[unicast]\nnetwork = []".to_owned(),
            r#"4:1: unknown key "network" in [unicast]; here it is called "announce""#,
        ),
        (
            format!("{neighbor}family = []"),
            r#"6:1: unknown key "family" in neighbor[10.0.0.2]; here it is called "families""#,
        ),
        (
            format!("{neighbor}local-role = \"peer\""),
            r#"6:1: unknown key "local-role" in neighbor[10.0.0.2]; here it is called "role""#,
        ),
        (
            format!("{neighbor}listen = []"),
            r#"6:1: unknown key "listen" in neighbor[10.0.0.2]; "listen" belongs in [[group]]"#,
        ),
        (
            format!("{group}listen-range = []"),
            r#"6:1: unknown key "listen-range" in group[leaves]; here it is called "listen""#,
        ),
    ] {
        assert_refused(&text, &[line]);
    }
}

#[test]
fn what_is_announced_can_be_sent_to() {
    let help = "write prefixes that other switches can send to, such as the VTEP's \"10.0.0.1/32\"";
    for (prefix, what) in [
        ("224.0.0.0/24", "groups"),
        ("fe80::/64", "link-local addresses"),
        ("169.254.1.0/24", "link-local addresses"),
        ("127.0.0.0/8", "loopback addresses"),
        ("::1/128", "loopback addresses"),
    ] {
        let line = format!("4:13: announce is {prefix}, which holds {what}; {help}");
        assert_refused(&format!("[unicast]\nannounce = [\"{prefix}\"]"), &[&line]);
    }
    for default in ["0.0.0.0/0", "::/0"] {
        let text = format!("{LEAF}[unicast]\nannounce = [\"{default}\"]");
        assert!(load(&[Source::new("evpnd.toml", text)]).is_ok(), "{default}");
    }
}

#[test]
fn what_is_announced_is_told_to_somebody() {
    let with = |families: &str, unicast: &str| {
        format!(
            "[[neighbor]]\naddress = \"10.0.0.2\"\nas = 65002\nfamilies = [{families}]\n\
             [unicast]\n{unicast}"
        )
    };
    for (families, unicast, line) in [
        (
            "\"l2vpn-evpn\"",
            "announce = [\"10.0.0.1/32\"]",
            "8:12: announce: no neighbor is told 10.0.0.1/32; \
             add \"ipv4-unicast\" to `families` of those that are to be, or remove it",
        ),
        (
            "\"ipv4-unicast\"",
            "announce = [\"10.0.0.1/32\", \"2001:db8::1/128\"]",
            "8:12: announce: no neighbor is told 2001:db8::1/128; \
             add \"ipv6-unicast\" to `families` of those that are to be, or remove it",
        ),
        (
            "\"l2vpn-evpn\"",
            "redistribute = [\"connected\"]",
            "8:16: redistribute: no neighbor is told connected prefixes; \
             add \"ipv4-unicast\" to `families` of those that are to be, or remove it",
        ),
    ] {
        assert_refused(&with(families, unicast), &[line]);
    }
    let range = "[[group]]\nname = \"leaves\"\nas = \"external\"\nlisten = [\"10.0.0.0/24\"]\n\
                 families = [\"ipv4-unicast\"]\n[unicast]\nannounce = [\"10.0.0.1/32\"]\n";
    let fine = [
        with("\"ipv6-unicast\"", "redistribute = [\"connected\"]"),
        with("\"l2vpn-evpn\"", "announce = []"),
        range.to_owned(),
        // Nobody is there yet.
        "[unicast]\nannounce = [\"10.0.0.1/32\"]\n".to_owned(),
    ];
    for text in fine {
        assert!(load(&[Source::new("evpnd.toml", format!("{LEAF}{text}"))]).is_ok(), "{text}");
    }
}
