//! Devices and their sysctls.

use super::super::finding::State;
use super::healthy::{facts, vni, vxlan as new_vxlan};
use super::{Case, device, hold, link, set, survey, unwell, vxlan};
use evpn_dataplane::facts::LinkKind;
use evpn_dataplane::object::IfIndex;
use std::time::Duration;

#[test]
fn each_setting_of_a_vxlan_device_is_named_with_its_mend() {
    let case = |change: fn(&mut super::Facts), check, state, setting, value, mend| Case {
        change,
        check,
        state,
        setting,
        value,
        mend,
    };
    use State::{Warning, Wrong};
    hold(&[
        case(
            |f| vxlan(f, "vx100").learning = true,
            "vxlan-learning",
            Wrong,
            "vx100 learning",
            "on",
            "ip link set vx100 type vxlan nolearning",
        ),
        case(
            |f| link(f, "vx4000").port.as_mut().unwrap().learning = true,
            "port-learning",
            Wrong,
            "vx4000 bridge port learning",
            "on",
            "bridge link set dev vx4000 learning off",
        ),
        case(
            |f| link(f, "vx100").port.as_mut().unwrap().neigh_suppress = false,
            "neigh-suppress",
            Warning,
            "vx100 neigh_suppress",
            "off",
            "bridge link set dev vx100 neigh_suppress on",
        ),
        case(
            |f| vxlan(f, "vx100").local = None,
            "vtep-address",
            Wrong,
            "vx100 local",
            "none",
            "ip link set vx100 type vxlan local 10.0.0.1",
        ),
        case(
            |f| link(f, "lo").addresses.clear(),
            "vtep-local",
            Wrong,
            "vx100 local",
            "10.0.0.1, an address that this machine does not have",
            "ip addr add 10.0.0.1/32 dev lo",
        ),
        case(
            |f| link(f, "lo").admin_up = false,
            "vtep-local",
            Wrong,
            "vx4000 local",
            "10.0.0.1, on lo, which is down",
            "ip link set lo up",
        ),
        case(
            |f| vxlan(f, "vx100").port = 8472,
            "vxlan-port",
            Wrong,
            "vx100 dstport",
            "8472",
            "ip link del vx100 && ip link add vx100 type vxlan id 100 dstport 4789 local 10.0.0.1 \
             nolearning && ip link set vx100 master br100 up && bridge link set dev vx100 learning \
             off neigh_suppress on",
        ),
        case(
            |f| link(f, "vx100").admin_up = false,
            "device-up",
            Wrong,
            "vx100 state",
            "down",
            "ip link set vx100 up",
        ),
        case(
            |f| link(f, "br4000").admin_up = false,
            "device-up",
            Wrong,
            "br4000 state",
            "down",
            "ip link set br4000 up",
        ),
        case(
            |f| link(f, "vx100").mtu = 1450,
            "mtu",
            Wrong,
            "vx100 mtu",
            "1450",
            "ip link set vx100 mtu 1500",
        ),
        case(
            |f| link(f, "up0").mtu = 1500,
            "mtu",
            Wrong,
            "up0 mtu",
            "1500",
            "ip link set up0 mtu 1550",
        ),
    ]);
}

#[test]
fn a_vtep_that_differs_from_that_of_other_devices_is_to_be_theirs() {
    let mut facts = facts();
    vxlan(&mut facts, "vx100").local = Some("10.0.0.9".parse().unwrap());
    let found = unwell(&facts);
    let [finding] = found.as_slice() else { panic!("{found:#?}") };
    assert_eq!((finding.check, finding.state), ("vtep-local", State::Wrong));
    assert_eq!(finding.mend.as_deref(), Some("ip link set vx100 type vxlan local 10.0.0.1"));
    let breaks = finding.breaks.as_deref().unwrap();
    assert!(breaks.contains("vx4000 has 10.0.0.1, so that the VTEPs differ"), "{breaks}");
}

#[test]
fn an_address_does_not_change_its_family() {
    let mut facts = facts();
    vxlan(&mut facts, "vx100").local = Some("2001:db8::9".parse().unwrap());
    let found = unwell(&facts);
    let finding = found.iter().find(|f| f.check == "vtep-local").unwrap();
    assert_eq!(finding.mend.as_deref(), Some("ip addr add 2001:db8::9/128 dev lo"));
}

#[test]
fn each_setting_of_a_bridge_is_named_with_its_mend() {
    let case = |change: fn(&mut super::Facts), check, state, setting, value, mend| Case {
        change,
        check,
        state,
        setting,
        value,
        mend,
    };
    use State::{Warning, Wrong};
    hold(&[
        case(
            |f| link(f, "br100").kind = LinkKind::Bridge { vlan_filtering: true },
            "vlan-filtering",
            Wrong,
            "br100 vlan_filtering",
            "1",
            "ip link set br100 type bridge vlan_filtering 0",
        ),
        case(
            |f| device(f, "br100").bridge.as_mut().unwrap().ageing = Duration::ZERO,
            "bridge-ageing",
            Wrong,
            "br100 ageing_time",
            "0",
            "ip link set br100 type bridge ageing_time 30000",
        ),
        case(
            |f| device(f, "br100").bridge.as_mut().unwrap().spanning_tree = true,
            "bridge-stp",
            Warning,
            "br100 stp_state",
            "1",
            "ip link set br100 type bridge stp_state 0",
        ),
        case(
            |f| device(f, "br100").bridge.as_mut().unwrap().filtered = true,
            "bridge-netfilter",
            Warning,
            "br100 nf_call_iptables",
            "1",
            "ip link set br100 type bridge nf_call_iptables 0",
        ),
    ]);
}

#[test]
fn each_sysctl_is_named_with_its_mend() {
    let case = |change: fn(&mut super::Facts), check, state, setting, value, mend| Case {
        change,
        check,
        state,
        setting,
        value,
        mend,
    };
    use State::{Warning, Wrong};
    hold(&[
        case(
            |f| set(f, "net.ipv4.ip_forward", "0"),
            "ip-forward",
            Wrong,
            "net.ipv4.ip_forward",
            "0",
            "sysctl -w net.ipv4.ip_forward=1",
        ),
        case(
            |f| set(f, "net.ipv6.conf.all.forwarding", "0"),
            "ip-forward",
            Wrong,
            "net.ipv6.conf.all.forwarding",
            "0",
            "sysctl -w net.ipv6.conf.all.forwarding=1",
        ),
        case(
            |f| set(f, "net.ipv4.fib_multipath_hash_policy", "0"),
            "multipath-hash",
            Wrong,
            "net.ipv4.fib_multipath_hash_policy",
            "0",
            "sysctl -w net.ipv4.fib_multipath_hash_policy=1",
        ),
        case(
            |f| set(f, "net.ipv6.fib_multipath_hash_policy", "0"),
            "multipath-hash",
            Wrong,
            "net.ipv6.fib_multipath_hash_policy",
            "0",
            "sysctl -w net.ipv6.fib_multipath_hash_policy=1",
        ),
        case(
            |f| set(f, "net.ipv4.conf.br4000.rp_filter", "1"),
            "rp-filter",
            Wrong,
            "net.ipv4.conf.br4000.rp_filter",
            "1",
            "sysctl -w net.ipv4.conf.br4000.rp_filter=2",
        ),
        case(
            |f| set(f, "net.ipv4.conf.all.rp_filter", "1"),
            "rp-filter",
            Wrong,
            "net.ipv4.conf.br4000.rp_filter",
            "0",
            "sysctl -w net.ipv4.conf.br4000.rp_filter=2",
        ),
        case(
            |f| set(f, "net.ipv6.conf.br100.disable_ipv6", "1"),
            "bridge-ipv6",
            Warning,
            "net.ipv6.conf.br100.disable_ipv6",
            "1",
            "sysctl -w net.ipv6.conf.br100.disable_ipv6=0",
        ),
        case(
            |f| set(f, "net.bridge.bridge-nf-call-ip6tables", "1"),
            "bridge-netfilter",
            Warning,
            "net.bridge.bridge-nf-call-ip6tables",
            "1",
            "sysctl -w net.bridge.bridge-nf-call-ip6tables=0",
        ),
        case(
            |f| survey(f).neighbours_ipv4 = 1024,
            "neighbour-table",
            Wrong,
            "net.ipv4.neigh.default.gc_thresh3",
            "1024",
            "sysctl -w net.ipv4.neigh.default.gc_thresh3=8192",
        ),
        case(
            |f| survey(f).neighbours_ipv6 = 900,
            "neighbour-table",
            Warning,
            "net.ipv6.neigh.default.gc_thresh3",
            "1024",
            "sysctl -w net.ipv6.neigh.default.gc_thresh3=8192",
        ),
    ]);
}

#[test]
fn a_device_without_a_bridge_gets_the_one_of_its_name() {
    let mut facts = facts();
    link(&mut facts, "vx100").master = None;
    let found = unwell(&facts);
    let finding = found.iter().find(|f| f.check == "bridge-port").unwrap();
    let mend = "ip link set vx100 master br100 && bridge link set dev vx100 learning off \
                neigh_suppress on";
    assert_eq!(finding.mend.as_deref(), Some(mend));
    survey(&mut facts).devices.retain(|device| device.link.name != "br100");
    let found = unwell(&facts);
    let finding = found.iter().find(|f| f.check == "bridge-port").unwrap();
    assert!(finding.mend.as_ref().unwrap().starts_with("ip link add br100 type bridge"));
}

#[test]
fn of_two_devices_with_one_vni_the_second_is_named() {
    let mut facts = facts();
    survey(&mut facts).devices.push(new_vxlan(30, "vx100b", 100, 10));
    let found = unwell(&facts);
    let [finding] = found.as_slice() else { panic!("{found:#?}") };
    assert_eq!((finding.check, finding.subject.as_deref()), ("vni-twice", Some("vx100b")));
    assert_eq!(finding.state, State::Wrong);
    assert_eq!(finding.mend.as_deref(), Some("ip link del vx100b"));
}

#[test]
fn a_vni_that_is_configured_and_has_no_device_is_named() {
    let mut facts = facts();
    facts.intent.as_mut().unwrap().named.insert(vni(300));
    let found = unwell(&facts);
    let [finding] = found.as_slice() else { panic!("{found:#?}") };
    assert_eq!((finding.check, finding.state), ("vni-device", State::Wrong));
    let mend = finding.mend.as_deref().unwrap();
    assert!(mend.contains("vxlan id 300 dstport 4789 local 10.0.0.1 nolearning"), "{mend}");
}

#[test]
fn a_device_in_external_mode_is_named() {
    let mut facts = facts();
    let mut external = new_vxlan(30, "vxlan0", 1, 10);
    if let LinkKind::Vxlan(vxlan) = &mut external.link.kind {
        (vxlan.vni, vxlan.external) = (None, true);
    }
    survey(&mut facts).devices.push(external);
    let found = unwell(&facts);
    let [finding] = found.as_slice() else { panic!("{found:#?}") };
    assert_eq!((finding.check, finding.state), ("vxlan-external", State::Warning));
}

#[test]
fn devices_of_others_are_not_judged() {
    let mut facts = facts();
    // A VNI that the configuration does not serve, with everything wrong.
    let mut other = new_vxlan(30, "docker1", 666, 0);
    other.link.admin_up = false;
    if let LinkKind::Vxlan(vxlan) = &mut other.link.kind {
        (vxlan.learning, vxlan.port, vxlan.local) = (true, 1, None);
    }
    survey(&mut facts).devices.push(other);
    assert_eq!(unwell(&facts), vec![]);
}

#[test]
fn without_a_vrf_nothing_of_routing_is_asked_for() {
    let mut facts = facts();
    facts.intent.as_mut().unwrap().l3vnis.clear();
    facts.intent.as_mut().unwrap().disabled.insert(vni(4000));
    for key in ["net.ipv4.ip_forward", "net.ipv4.fib_multipath_hash_policy"] {
        set(&mut facts, key, "0");
    }
    assert_eq!(unwell(&facts), vec![]);
}

#[test]
fn who_passes_on_unicast_routes_has_to_forward() {
    let mut facts = facts();
    let intent = facts.intent.as_mut().unwrap();
    intent.l3vnis.clear();
    intent.disabled.insert(vni(4000));
    intent.passes_on.ipv4 = true;
    for key in ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"] {
        set(&mut facts, key, "0");
    }
    let found = unwell(&facts);
    let said: Vec<_> = found.iter().map(|finding| (finding.check, finding.state)).collect();
    assert_eq!(said, [("ip-forward", State::Wrong)], "{found:?}");
    set(&mut facts, "net.ipv4.ip_forward", "1");
    assert_eq!(unwell(&facts), vec![]);
}

#[test]
fn a_family_that_nobody_routes_is_not_asked_for() {
    let mut facts = facts();
    facts.intent.as_mut().unwrap().routed.ipv6 = false;
    set(&mut facts, "net.ipv6.conf.all.forwarding", "0");
    set(&mut facts, "net.ipv6.fib_multipath_hash_policy", "0");
    assert_eq!(unwell(&facts), vec![]);
}

#[test]
fn ipv6_in_the_underlay_takes_twenty_octets_more() {
    let mut facts = facts();
    let local = "2001:db8::1".parse().unwrap();
    vxlan(&mut facts, "vx100").local = Some(local);
    vxlan(&mut facts, "vx4000").local = Some(local);
    link(&mut facts, "lo").addresses.push("2001:db8::1/128".parse().unwrap());
    link(&mut facts, "up0").mtu = 1569;
    let found = unwell(&facts);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].mend.as_deref(), Some("ip link set up0 mtu 1570"));
    link(&mut facts, "up0").mtu = 1570;
    assert_eq!(unwell(&facts), vec![]);
}

#[test]
fn strict_reverse_paths_matter_where_there_are_several() {
    let strict = |uplinks: &[u32]| {
        let mut facts = facts();
        let mut second = device(&mut facts, "up0").clone();
        (second.link.index, second.link.name) = (IfIndex(3), "up1".to_owned());
        survey(&mut facts).devices.push(second);
        facts.sysctls.insert("net.ipv4.conf.up1.rp_filter".to_owned(), "0".to_owned());
        facts.underlay = uplinks.iter().copied().map(IfIndex).collect();
        set(&mut facts, "net.ipv4.conf.up0.rp_filter", "1");
        unwell(&facts).into_iter().map(|f| (f.check, f.state)).collect::<Vec<_>>()
    };
    assert_eq!(strict(&[2]), [("rp-filter", State::Note)]);
    assert_eq!(strict(&[2, 3]), [("rp-filter", State::Wrong)]);
    assert_eq!(strict(&[3]), []);
}

#[test]
fn loose_reverse_paths_are_as_good_as_none() {
    let mut facts = facts();
    set(&mut facts, "net.ipv4.conf.all.rp_filter", "1");
    for name in ["br4000", "up0"] {
        set(&mut facts, &format!("net.ipv4.conf.{name}.rp_filter"), "2");
    }
    assert_eq!(unwell(&facts), vec![]);
}

#[test]
fn a_bridge_without_an_address_is_worth_a_note() {
    let mut facts = facts();
    link(&mut facts, "br100").addresses.clear();
    let found = unwell(&facts);
    let [finding] = found.as_slice() else { panic!("{found:#?}") };
    assert_eq!((finding.check, finding.state), ("svi", State::Note));
}

#[test]
fn a_name_with_a_dot_makes_a_command_that_sysctl_reads() {
    use super::super::judge::sysctls::of_device;
    assert_eq!(of_device("ipv4", "br.100", "rp_filter"), "net/ipv4/conf/br.100/rp_filter");
    assert_eq!(of_device("ipv4", "br100", "rp_filter"), "net.ipv4.conf.br100.rp_filter");
}

#[test]
fn what_is_not_visible_is_not_judged() {
    let mut facts = facts();
    facts.sysctls.clear();
    assert_eq!(unwell(&facts), vec![]);
}
