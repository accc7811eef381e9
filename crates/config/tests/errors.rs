//! What a person reads who made a mistake: the golden messages.

use evpn_config::{Errors, Source, load};
use miette::Diagnostic;

#[path = "errors/families.rs"]
mod families;

/// The leaf that each mistake is added to; the mistake begins on line 3, in `[router]`.
const LEAF: &str = "[router]\nas = 65001\n";

fn refused(text: &str) -> Errors {
    match load(&[Source::new("evpnd.toml", text)]) {
        Err(errors) => errors,
        Ok(_) => panic!("this loaded:\n{text}"),
    }
}

/// Asserts that a leaf with `mistake` is refused with exactly these lines.
#[track_caller]
fn assert_refused(mistake: &str, lines: &[&str]) {
    let errors = refused(&format!("{LEAF}{mistake}"));
    let expected: Vec<String> = lines.iter().map(|line| format!("evpnd.toml:{line}")).collect();
    assert_eq!(errors.lines(), expected.join("\n"));
}

#[test]
fn an_unknown_key_comes_with_the_key_that_was_meant() {
    let known = "as, as-notation, id, cluster-id, vtep, listen, port, graceful-restart, restart-time, stale-time, sweep-delay";
    for (mistake, lines) in [
        (
            "restart-tyme = \"1m\"",
            r#"3:1: unknown key "restart-tyme" in [router]; did you mean "restart-time"?"#,
        ),
        (
            "router-id = \"10.0.0.1\"",
            r#"3:1: unknown key "router-id" in [router]; here it is called "id""#,
        ),
        (
            "audit-interval = \"60s\"",
            r#"3:1: unknown key "audit-interval" in [router]; "audit-interval" belongs in [evpn]"#,
        ),
        (
            "hold_time = \"90s\"",
            r#"3:1: unknown key "hold_time" in [router]; "hold" belongs in [timers]"#,
        ),
        (
            "state-dir = \"/x\"",
            r#"3:1: unknown key "state-dir" in [router]; "state-dir" belongs at the top level, before the first [section]"#,
        ),
        (
            "neighbour = 1",
            r#"3:1: unknown key "neighbour" in [router]; did you mean [[neighbor]]?"#,
        ),
        ("colour = 1", &format!("3:1: unknown key \"colour\" in [router]; known here: {known}")),
        (
            "[[neighbour]]",
            r#"3:3: unknown key "neighbour" in the configuration; did you mean "neighbor"?"#,
        ),
        (
            "[energy]\nguards = { stail = true }",
            r#"4:12: unknown key "stail" in [energy.guards]; did you mean "stale"?"#,
        ),
    ] {
        assert_refused(mistake, &[lines]);
    }
}

#[test]
fn a_section_of_the_wrong_shape_is_refused_with_the_right_one() {
    assert_refused(
        "[neighbor]\naddress = \"10.0.0.2\"\nas = 65002",
        &[
            r#"3:1: "neighbor" is a table; it must be a list of tables; write [[neighbor]] once for each"#,
        ],
    );
    assert_refused(
        "[[log]]\nlevel = \"info\"",
        &[r#"3:1: "log" is a list; it must be a table; write [log]"#],
    );
    assert_eq!(
        refused("").to_string(),
        r#"evpnd.toml:1:1: [router] has no "as"; write as = 65001 under [router], with your AS number"#
    );
}

#[test]
fn an_error_of_syntax_comes_alone_and_says_what_to_write() {
    assert_refused(
        "hold = 90s\ncolour = 1",
        &[
            r#"3:8: not TOML: string values must be quoted, expected literal string; put the value in double quotes, e.g. "90s" or "10.0.0.1""#,
        ],
    );
    assert_refused(
        "id = 10.0.0.1",
        &[
            "3:10: not TOML: invalid float, expected nothing; addresses and durations are strings: put the value in double quotes",
        ],
    );
    assert_refused(
        "as = 65002",
        &[
            "3:1: not TOML: duplicate key; each key and each [table] is written once per file; [[lists]] repeat",
        ],
    );
    assert_refused("[timers", &["3:8: not TOML: unclosed table, expected `]`"]);
}

#[test]
fn a_neighbor_must_be_reachable_and_of_some_as() {
    let neighbor = "[[neighbor]]\naddress = \"10.0.0.2\"\n";
    assert_refused(
        neighbor,
        &[
            r#"3:1: neighbor[10.0.0.2] has no "as"; write as = 65002 (or "internal", "external") in the neighbor or in its group"#,
        ],
    );
    assert_refused(
        &format!("{neighbor}group = \"spine\"\n[[group]]\nname = \"spines\"\nas = \"external\""),
        &[r#"5:9: there is no group "spine"; did you mean "spines"?"#],
    );
    assert_refused(
        &format!("{neighbor}as = \"extern\""),
        &[
            r#"5:6: as is "extern"; it must be an AS number, "internal" or "external"; did you mean "external"?"#,
        ],
    );
    assert_refused(
        &format!("{neighbor}as = 23456"),
        &[
            "5:6: as is 23456, a reserved AS number; private ones are 64512 to 65534 and 4200000000 to 4294967294",
        ],
    );
    assert_refused(
        &format!("{neighbor}as = 65002\n{neighbor}as = 65003"),
        &[
            "7:11: neighbor 10.0.0.2 is defined twice (first defined at evpnd.toml:4:11); keep one of them, or merge the two",
        ],
    );
    assert_refused(
        &format!("{neighbor}as = 65002\nupdate-source = \"2001:db8::1\"\nmultihop = 0"),
        &[
            "6:17: update-source 2001:db8::1 cannot reach 10.0.0.2; write an IPv4 address",
            "7:12: multihop is 0; it must be 1 to 255",
        ],
    );
    assert_refused(
        &format!("vtep = \"10.0.0.2\"\n{neighbor}as = 65002"),
        &["5:11: address 10.0.0.2 is this router's own; write the neighbor's address"],
    );
    assert_refused(
        "[[neighbor]]\naddress = \"fe80::1%eth0\"\nas = 65002",
        &[
            "4:11: address is fe80::1%eth0, a link-local address, which says nothing by itself; a neighbor on a link is named by interface = \"swp1\" in place of address",
        ],
    );
}

#[test]
fn a_neighbor_has_an_address_or_an_interface() {
    assert_refused(
        "[[neighbor]]\nas = 65002",
        &[
            r#"3:1: neighbor[#1] has neither "address" nor "interface"; write address = "10.0.0.2" with its address, or interface = "swp1" for whoever is at the other end of that link"#,
        ],
    );
    assert_refused(
        "[[neighbor]]\naddress = \"10.0.0.2\"\ninterface = \"swp1\"\nas = 65002",
        &[
            "5:13: a neighbor has an address or an interface, not both; remove one: on an interface its address is found by router advertisements",
        ],
    );
    let wrong =
        "is \"{}\"; it must be the name of an interface, 15 octets at most; for example \"swp1\"";
    for name in ["10.0.0.2", "a-name-too-long-1", "a/b"] {
        assert_refused(
            &format!("[[neighbor]]\ninterface = \"{name}\"\nas = 65002"),
            &[&format!("4:13: interface {}", wrong.replace("{}", name))],
        );
    }
    let twice = "[[neighbor]]\ninterface = \"swp1\"\nas = 65002\n";
    assert_refused(
        &format!("{twice}{twice}"),
        &[
            "7:13: neighbor swp1 is defined twice (first defined at evpnd.toml:4:13); keep one of them, or merge the two",
        ],
    );
    assert_refused(
        &format!("{twice}update-source = \"10.0.0.1\"\nmultihop = 2"),
        &[
            "6:17: update-source cannot be set for neighbor swp1; remove it: on an interface both ends speak from their link-local addresses",
            "7:12: multihop cannot be set for neighbor swp1; remove it: whoever is at the other end of a link is one hop away",
        ],
    );
}

#[test]
fn a_group_that_listens_is_complete_and_alone_with_its_prefixes() {
    let group = |name: &str, more: &str| format!("[[group]]\nname = \"{name}\"\n{more}\n");
    let listen = "as = \"external\"\nlisten = [\"10.0.0.0/24\"]";
    assert_refused(
        &group("a", "listen = [\"10.0.0.0/24\"]"),
        &[
            r#"3:1: group[a] has no "as"; write as = 65002 (or "internal", "external") in the neighbor or in its group"#,
        ],
    );
    assert_refused(
        &group("a", "as = 65002\nlisten = [\"10.0.0.1/24\", \"fe80::/10\"]\nlisten-limit = 0"),
        &[
            "6:11: listen is 10.0.0.1/24, which has host bits set; write \"10.0.0.0/24\"",
            "6:26: listen is fe80::/10, where nobody can be told by an address alone; for whoever is at the other end of a link: [[neighbor]] with interface",
            "7:16: listen-limit is 0; it must be 1 to 10000",
        ],
    );
    assert_refused(
        &group("a", "as = 65002\nlisten = []"),
        &["6:10: listen is empty; remove listen, or name a prefix such as \"10.0.0.0/24\""],
    );
    assert_refused(
        &group("a", "as = 65002\nlisten-limit = 5"),
        &[
            "6:16: listen-limit has nothing to limit; add listen with the prefixes that neighbors may dial from",
        ],
    );
    assert_refused(
        &format!("{}{}", group("a", listen), group("b", listen)),
        &[
            r#"10:10: groups "a" and "b" both listen for 10.0.0.0/24 (the other is at evpnd.toml:6:10); remove it from one of them"#,
        ],
    );
    assert_refused(
        &group("a", &format!("{listen}\nroute-reflector-client = true")),
        &[
            r#"7:26: a neighbor of group "a" is external and cannot be a client; remove it: routes of other ASes are passed on anyway, with or without it"#,
        ],
    );
    assert_refused(
        &format!("listen = []\n{}", group("a", listen)),
        &[
            "7:10: nobody can dial in: router.listen is empty; name the addresses to listen on under [router], or remove listen here",
        ],
    );
    // The kernel asks for the key by the prefix, whoever is in it.
    let keyed = group("a", &format!("{listen}\npassword-file = \"/etc/evpnd/a.key\""));
    assert_refused(
        &format!("{keyed}[[neighbor]]\naddress = \"10.0.0.2\"\nas = 65002"),
        &[
            r#"9:11: neighbor 10.0.0.2 has no password-file, but group "a" listens around it with one; give it one: the kernel asks everybody in the prefix for a key"#,
        ],
    );
}

#[test]
fn timers_obey_rfc_4271() {
    assert_refused(
        "[timers]\nhold = 90",
        &[
            r#"4:8: hold is 90 without a unit; it must be a duration with its unit; write "90s" for seconds; the units are ms, s, m, h and d"#,
        ],
    );
    assert_refused(
        "[timers]\nhold = \"90 seconds\"",
        &[
            r#"4:8: hold is "90 seconds"; it must be a duration with its unit; for example "500ms", "90s", "10m" or "1h30m""#,
        ],
    );
    assert_refused(
        "[timers]\nhold = \"2s\"",
        &[
            "4:8: hold is 2s; it must be 0s (never expires) or 3s to 65535s; RFC 4271 section 4.2 allows no other; BFD detects faster",
        ],
    );
    assert_refused("restart-time = \"2h\"", &["3:16: restart-time is 2h; it must be 1s to 4095s"]);
    assert_refused(
        "restart-time = \"1500ms\"",
        &[r#"3:16: restart-time is 1500ms; BGP carries whole seconds; write "1s""#],
    );
    assert_refused(
        "[timers]\nhold = \"0s\"\nkeepalive = \"10s\"",
        &[
            "5:13: keepalive is 10s but hold is 0s; with a hold time of 0 no keepalives are sent: remove one of them",
        ],
    );
}

#[test]
fn what_many_neighbors_inherit_is_refused_once() {
    let neighbors = "[[neighbor]]\naddress = \"10.0.0.2\"\nas = 65002\n[[neighbor]]\naddress = \"10.0.0.3\"\nas = 65002";
    assert_refused(
        &format!("[timers]\nhold = \"9s\"\nkeepalive = \"9s\"\n{neighbors}"),
        &[
            r#"5:13: keepalive is 9s; it must be shorter than hold (9s); remove it, or write "3s", a third of hold"#,
        ],
    );
}

#[test]
fn a_prefix_has_no_host_bits_and_stands_once() {
    assert_refused(
        "[[vrf]]\nl3vni = 5000\nprefixes = [\n  { prefix = \"198.51.100.10/24\" },\n  { prefix = \"198.51.100.10\" },\n  { prefix = \"2001:db8::/32\" },\n  { prefix = \"2001:db8::/32\" },\n  \"10.0.0.0/8\",\n]",
        &[
            r#"6:14: prefix is 198.51.100.10/24, which has host bits set; write "198.51.100.0/24""#,
            r#"7:14: prefix is "198.51.100.10"; it must be a prefix with its length; for example "198.51.100.10/32""#,
            "9:14: prefix 2001:db8::/32 is listed twice (first listed at evpnd.toml:8:14); keep one of them",
            r#"10:3: "prefixes" is a string; it must be a list of tables; write [[vrf.prefixes]] once for each"#,
        ],
    );
}

#[test]
fn a_vrf_is_the_default_one_with_a_vni_of_its_own_and_a_drain_time_the_kernel_can_keep() {
    assert_refused(
        "[[vrf]]\nname = \"blue\"\nl3vni = 5000\ndrain-time = \"2d\"",
        &[
            r#"4:8: vrf "blue" is not supported: this version routes in the default VRF; write name = "default", or leave the vrf out"#,
            "6:14: drain-time is 48h; it must be 1s to 24h",
        ],
    );
    assert_refused(
        "[[vrf]]\nl3vni = 5000\ndrain-time = \"1001ms\"",
        &[
            r#"5:14: drain-time is 1001ms; it must be a multiple of 40ms; write "1s": a quarter of it is the idle time, which the kernel keeps in units of 10 ms"#,
        ],
    );
    assert_refused(
        "[[vni]]\nvni = 5000\n[[vrf]]\nl3vni = 5000",
        &[
            "6:9: l3vni 5000 is an L2 VNI too (defined at evpnd.toml:4:7); give routed packets a VNI of their own",
        ],
    );
    assert_refused(
        "[[vni]]\nvni = 16777216\nrd = \"100\"\nimport = [\"auto\", \"65000\", \"auto\"]",
        &[
            "4:7: vni is 16777216; it must be 1 to 16777215",
            r#"5:6: rd is "100"; it must be "auto" or a route distinguisher; for example "10.0.0.1:100" or "1.10:100""#,
            r#"6:19: import is "65000"; it must be "auto" or a route target; for example "65000:100" or "1.10:100""#,
            r#"6:28: import names "auto" twice; remove one"#,
        ],
    );
}

#[test]
fn levels_of_energy_descend_and_end_one_at_a_time() {
    assert_refused(
        "[energy]\nthresholds = { prefer-less = 30, avoid = 50 }\nweights = { avoid = 60 }",
        &[
            "4:42: prefer-less is 30 and avoid is 50; they must descend; lower avoid below 30, or raise prefer-less above 50",
            "5:21: prefer-less is 50 and avoid is 60; they must descend; lower avoid below 50, or raise prefer-less above 60",
        ],
    );
    assert_refused(
        "[energy]\nthresholds = { avoid = 0, drained = 50 }",
        &[
            "4:37: prefer-less is 50 and drained is 50; they must descend; lower drained below 50, or raise prefer-less above 50",
        ],
    );
    assert_refused(
        "[energy]\nhysteresis = 20",
        &[
            "4:14: hysteresis is 20; it must fit between the thresholds (100, 50, 30, 15); write at most 15",
        ],
    );
    assert_refused(
        "[energy]\nthresholds = { drained = 101 }\nmax-changes-per-day = 3",
        &[
            "4:26: drained is 101; it must be 0 to 99",
            "5:23: max-changes-per-day is 3; it must be 4 to 64",
        ],
    );
}

#[test]
fn a_feed_has_the_keys_of_its_type_and_no_others() {
    assert_refused(
        "[energy]\nfeed = { type = \"mqtt\" }\ncapacity = \"10G\"",
        &[
            r#"4:17: type is "mqtt"; it must be "manual" or "nut" or "file""#,
            r#"5:12: capacity is "10G"; it must be a bandwidth with its unit, 1Mbit/s to 100Tbit/s; for example "10Gbit/s" or "2.5Gbit/s""#,
        ],
    );
    assert_refused(
        "[energy]\nfeed = { type = \"nut\", username = \"evpnd\" }",
        &[
            r#"4:8: [energy.feed] has no "ups"; write ups = "site", with the name that upsc -l shows"#,
            "4:35: username is of no use without password-file; write password-file too, or remove username",
        ],
    );
    assert_refused(
        "[energy]\nfeed = { type = \"file\", path = \"battery\", ups = \"site\" }",
        &[
            r#"4:32: path is "battery", which depends on the working directory; write a path that starts with "/""#,
            r#"4:49: ups means nothing to a feed of type "file"; remove it, or write another type"#,
        ],
    );
    assert_refused(
        "[energy]\nfeed = { address = \"127.0.0.1\" }",
        &[
            r#"4:20: address means nothing to a feed of type "manual"; write type = "nut" or type = "file" beside it"#,
        ],
    );
    assert_refused(
        "[energy]\nstale-after = \"9m\"\nfeed = { type = \"file\", path = \"/x\", interval = \"5m\" }",
        &[
            "4:15: stale-after is 9m; it must be at least two feed intervals (10m); lengthen it, or shorten the interval",
        ],
    );
}

#[test]
fn the_shells_keys_are_checked_before_anything_is_opened() {
    assert_refused(
        "[api]\nmode = \"0666\"\nsocket = \"evpnd.sock\"",
        &[
            r#"4:8: mode is 0666, which lets every user of the switch drain it; write "0660" and add people to the group"#,
            r#"5:10: socket is "evpnd.sock", which depends on the working directory; write a path that starts with "/""#,
        ],
    );
    assert_refused(
        "[dataplane]\nprotocol = 186\nmode = \"programm\"\nreceive-buffer = \"1KiB\"",
        &[
            "4:12: protocol is 186, which belongs to FRR's BGP; evpnd sweeps what carries its number: take a free one such as 110",
            r#"5:8: mode is "programm"; it must be "program" or "dry-run"; did you mean "program"?"#,
            r#"6:18: receive-buffer is "1KiB"; it must be 64KiB to 1048576KiB; for example "16MiB", or an integer of octets"#,
        ],
    );
    assert_refused(
        "listen = \"0.0.0.0\"\nport = 70000\ngraceful-restart = \"yes\"\n[multipath]\nbuckets = 8",
        &[
            r#"3:10: listen is a string; it must be a list; for example ["0.0.0.0"]"#,
            "4:8: port is 70000; it must be 1 to 65535",
            "5:20: graceful-restart is a string; it must be true or false; for example true",
            "7:11: buckets is 8, fewer than max-paths; write at least 64: each path needs one",
        ],
    );
}

#[test]
fn a_report_shows_each_line_with_a_caret_below_what_is_meant() {
    let errors = refused("[router]\nas = 65001\nid = \"10.0.0\" # tür\nport = 0\n");
    insta::assert_snapshot!(errors.report(), @r#"
    evpnd.toml:3:6: id is "10.0.0"; it must be four octets in the form of an IPv4 address; for example "10.0.0.1"
    3 | id = "10.0.0" # tür
      |      ^^^^^^^^

    evpnd.toml:4:8: port is 0; it must be 1 to 65535
    4 | port = 0
      |        ^
    "#);
    assert!(errors.to_string().ends_with("(and 1 more)"), "{errors}");
}

#[test]
fn columns_count_characters_and_lines_may_end_in_crlf() {
    let errors = refused(
        "[router]\r\nas = 65001\r\n[[neighbor]]\r\naddress = \"10.0.0.2\"\r\nas = 65002\r\nmultihop = \"müll\"\r\n",
    );
    assert_eq!(
        errors.report(),
        "evpnd.toml:6:12: multihop is a string; it must be an integer; for example 1\n6 | multihop = \"müll\"\n  |            ^^^^^^\n"
    );
}

#[test]
fn binaries_get_diagnostics_with_source_label_and_help() {
    let errors = refused("[router]\nas = 65001\nneighbour = 1\n");
    let related: Vec<_> = errors.related().unwrap().collect();
    let [only] = related.as_slice() else { panic!("{}", related.len()) };
    let label = only.labels().unwrap().next().unwrap();
    assert_eq!((label.offset(), label.len()), (20, 9));
    assert_eq!(only.help().unwrap().to_string(), "did you mean [[neighbor]]?");
    let context = only.source_code().unwrap().read_span(label.inner(), 0, 0).unwrap();
    assert_eq!((context.name(), context.data()), (Some("evpnd.toml"), b"neighbour".as_slice()));
}

#[test]
fn any_text_loads_or_is_refused_with_reasons_that_lie_within_it() {
    let full = include_str!("full.toml");
    let mut refusals = 0;
    for (at, _) in full.char_indices() {
        let (head, tail) = full.split_at(at);
        let bitten = format!("{head}{}", tail.chars().skip(3).collect::<String>());
        for text in [head, bitten.as_str()] {
            let Err(errors) = load(&[Source::new("evpnd.toml", text)]) else { continue };
            refusals += 1;
            assert!(!errors.errors.is_empty());
            for error in &errors.errors {
                let line = text.lines().nth(error.at.line - 1).unwrap_or_default();
                assert_eq!(error.at.text, line, "{error}");
                assert!(error.at.column <= line.chars().count() + 1, "{error}");
            }
        }
    }
    assert!(refusals > 1_000, "{refusals}");
}

#[test]
fn an_as_number_with_a_dot_is_written_in_quotes() {
    let errors = refused("[router]\nas = 1.10\n");
    let line = "evpnd.toml:2:6: as is a float, a date or a number beyond 64 bits; it must be an AS \
                number; one with a dot is written in quotes: \"65000.1\"";
    assert_eq!(errors.lines(), line);
}

#[test]
fn an_as_number_is_read_in_both_notations_wherever_one_stands() {
    let text = |own: &str, peer: &str| {
        format!(
            "[router]\nas = \"{own}\"\n[[neighbor]]\naddress = \"10.0.0.2\"\nas = \"{peer}\"\n\
             [[vni]]\nvni = 100\nrd = \"{own}:100\"\nimport = [\"{peer}:100\"]\nexport = [\"{own}:100\"]\n\
             [[vrf]]\nl3vni = 5000\nrd = \"{own}:5000\"\nimport = [\"{peer}:5000\"]\n"
        )
    };
    let load = |text: String| load(&[Source::new("evpnd.toml", text)]).unwrap().config;
    assert_eq!(load(text("1.10", "65000.1")), load(text("65546", "4259840001")));
}
