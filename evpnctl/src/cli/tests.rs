//! Lines that people type, and lines that cannot be meant.

use super::*;
use clap::CommandFactory;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    let args = line.split_whitespace().map(OsString::from).collect();
    Cli::try_parse_from(with_json_word(args))
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn lines_that_people_know_from_vtysh_are_understood() {
    for line in [
        "evpnctl show bgp l2vpn evpn summary",
        "evpnctl show bgp l2vpn evpn summary json",
        "evpnctl sh bgp sum",
        "evpnctl show bgp summary -j",
        "evpnctl -j show bgp l2vpn evpn route --type macip",
        "evpnctl show bgp l2vpn evpn route type prefix",
        "evpnctl show bgp l2vpn evpn route rd 10.0.0.1:100 vni 100",
        "evpnctl show bgp l2vpn evpn vni",
        "evpnctl show bgp neighbor",
        "evpnctl show bgp ipv4 unicast",
        "evpnctl sh bgp ipv4 uni 10.0.0.1/32 json",
        "evpnctl show bgp ipv6 unicast 2001:db8::1 -j",
        "evpnctl show bgp rt --limit 7",
        "evpnctl show bgp ipv4 unicast summary json",
        "evpnctl sh bgp ipv6 uni sum",
        "evpnctl show bgp neighbors 10.0.0.2",
        "evpnctl show bgp nei 2001:db8::1",
        "evpnctl show bgp neighbor 10.0.0.2 events",
        "evpnctl show evpn vni",
        "evpnctl show evpn vni 100",
        "evpnctl show evpn mac vni all",
        "evpnctl show evpn mac",
        "evpnctl show evpn arp-cache vni 100 json",
        "evpnctl show energy",
        "evpnctl show consistency",
        "evpnctl show version",
        "evpnctl why 02:00:00:00:00:01",
        "evpnctl why 10.1.0.0/24 --vni 4000",
        "evpnctl clear bgp 10.0.0.2",
        "evpnctl clear bgp 10.0.0.2 soft",
        "evpnctl clear bgp all --soft --in",
        "evpnctl clear bgp 10.0.0.2 --message moves",
        "evpnctl log-level debug",
        "evpnctl energy drain --reason x",
        "evpnctl energy hold barn --for 30m --reason x",
        "evpnctl energy auto",
        "evpnctl config check conf",
        "evpnctl config show --effective",
        "evpnctl config reload",
        "evpnctl lab up t.clab.yml --keep",
        "evpnctl lab exec t.clab.yml host1 ping -c 1 10.0.0.1",
        "evpnctl lab down t",
        "evpnctl decode ffff",
        "evpnctl -j decode --as nlri --add-path 0x03 11",
        "evpnctl decode --as update --two-octet-as --ibgp -",
        "evpnctl demo",
        "evpnctl demo --hold -j",
        "evpnctl demo shell site-a",
        "evpnctl demo down",
        "evpnctl health --wait --timeout 5s",
        "evpnctl show bgp neighbor swp1 events",
        "evpnctl clear bgp swp1 soft",
        "evpnctl doctor",
        "evpnctl doctor -j --config conf",
        "evpnctl tech-support",
        "evpnctl tech-support out.tar --config conf",
        "evpnctl completions fish",
    ] {
        assert!(parse(line).is_ok(), "{line}: {}", parse(line).unwrap_err());
    }
}

#[test]
fn lines_that_cannot_be_meant_are_refused() {
    for line in [
        "evpnctl",
        "evpnctl show",
        "evpnctl show bgp neighbor 10.0.0.2/24",
        "evpnctl show bgp neighbor the-spine-in-rack-4",
        "evpnctl clear bgp swp1/2",
        "evpnctl show bgp ipv4",
        "evpnctl show bgp ipv4 unicast loopback",
        "evpnctl show bgp l2vpn evpn route --type 7",
        "evpnctl show evpn mac vni 100 200",
        "evpnctl why spine1",
        "evpnctl decode",
        "evpnctl decode --as packet 00",
        "evpnctl energy drain",
        "evpnctl energy hold --for 2 --reason x",
        "evpnctl energy auto --reason x",
        "evpnctl clear bgp 10.0.0.2 hard",
        "evpnctl health --timeout soon",
        "evpnctl log-level",
        "evpnctl why json",
    ] {
        let error = parse(line).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[test]
fn the_word_json_is_a_flag_only_at_the_end_of_a_show() {
    assert!(parse("evpnctl show energy json").unwrap().json);
    let args = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
    let log = args("evpnctl log-level json");
    assert_eq!(with_json_word(log.clone()), log);
}

#[test]
fn an_order_ends_by_itself_unless_told_when() {
    let Command::Energy(EnergyOrder::Drain(order)) =
        parse("evpnctl energy drain --reason x").unwrap().command
    else {
        panic!("not a drain")
    };
    assert_eq!(order.seconds, 7200);
}

#[test]
fn words_come_in_known_pairs() {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let good = words("vni 100 type macip");
    assert_eq!(keywords(&good, &["vni", "type"]).unwrap()["vni"], "100");
    for wrong in ["vni", "vlan 100", "vni 1 vni 2"] {
        assert!(keywords(&words(wrong), &["vni", "type"]).is_err(), "{wrong}");
    }
    assert_eq!(vni_word("all"), Ok(None));
    assert_eq!(vni_word("100"), Ok(Some(100)));
    assert!(vni_word("x").is_err());
}
