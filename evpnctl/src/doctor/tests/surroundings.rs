//! Kernel, daemons, evpnd itself.

use super::super::facts::{ConfigFound, EvpndFound, Facts, Firewall, Networkd, Outside, Running};
use super::super::finding::State;
use super::healthy::facts;
use super::{Case, hold, unwell};
use evpn_netlink::probe::Feature;

fn running(facts: &mut Facts) -> &mut Running {
    match &mut facts.evpnd {
        EvpndFound::Running(running) => running,
        other => panic!("{other:?}"),
    }
}

fn drop_capability(facts: &mut Facts, bit: u32) {
    running(facts).process.as_mut().unwrap().capabilities &= !(1 << bit);
}

fn outside(facts: &mut Facts, place: usize) -> &mut Outside {
    facts.password_files[place].outside.as_mut().unwrap()
}

#[test]
fn evpnd_itself_is_looked_at() {
    let case = |change: fn(&mut Facts), check, state, setting, value, mend| Case {
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
            |f| (f.evpnd, f.bgp_listeners) = (EvpndFound::Absent, vec![]),
            "evpnd",
            Warning,
            "evpnd",
            "not running",
            "systemctl enable --now evpnd",
        ),
        case(
            |f| running(f).version = "0.0.1".to_owned(),
            "evpnd",
            Warning,
            "evpnd version",
            "0.0.1",
            "systemctl restart evpnd",
        ),
        case(
            |f| running(f).waits_for.push("peers: none is up".to_owned()),
            "evpnd-health",
            Warning,
            "evpnd",
            "not ready",
            "evpnctl health",
        ),
        case(
            |f| {
                f.config = ConfigFound::Invalid("/etc/evpnd".into(), 2, "evpnd.toml:3: x".into());
            },
            "config",
            Wrong,
            "/etc/evpnd",
            "2 errors",
            "evpnctl config check /etc/evpnd",
        ),
        case(
            |f| {
                drop_capability(f, 12);
                super::set(f, "net.core.rmem_max", "16777216");
            },
            "capabilities",
            Warning,
            "evpnd's CAP_NET_ADMIN",
            "missing",
            "AmbientCapabilities=CAP_NET_ADMIN",
        ),
        case(
            |f| drop_capability(f, 13),
            "capabilities",
            Warning,
            "evpnd's CAP_NET_RAW",
            "missing",
            "AmbientCapabilities=CAP_NET_RAW",
        ),
        case(
            |f| drop_capability(f, 10),
            "capabilities",
            Warning,
            "evpnd's CAP_NET_BIND_SERVICE",
            "missing",
            "AmbientCapabilities=CAP_NET_BIND_SERVICE",
        ),
        case(
            |f| running(f).process.as_mut().unwrap().initial_user_namespace = false,
            "receive-buffer",
            Warning,
            "net.core.rmem_max",
            "212992",
            "sysctl -w net.core.rmem_max=16777216",
        ),
        case(
            |f| f.state_dir.as_mut().unwrap().owner = None,
            "state-dir",
            Wrong,
            "state-dir /var/lib/evpnd",
            "not there",
            "install -d -m 0750 -o 990 /var/lib/evpnd",
        ),
        case(
            |f| f.state_dir.as_mut().unwrap().owner = Some(0),
            "state-dir",
            Wrong,
            "state-dir /var/lib/evpnd",
            "owned by user 0",
            "chown -R 990 /var/lib/evpnd",
        ),
        case(
            |f| f.state_dir.as_mut().unwrap().free = Some(1 << 20),
            "state-dir",
            Warning,
            "state-dir /var/lib/evpnd",
            "1024 KiB free",
            "journalctl --vacuum",
        ),
        case(
            |f| outside(f, 0).mode = 0o644,
            "password-file",
            Wrong,
            "/etc/evpnd/nut",
            "mode 0644",
            "chmod 640 /etc/evpnd/nut",
        ),
        case(
            |f| outside(f, 1).mode = 0o660,
            "password-file",
            Wrong,
            "/etc/evpnd/spine",
            "mode 0660",
            "chmod 640 /etc/evpnd/spine",
        ),
        case(
            |f| f.password_files[1].outside = None,
            "password-file",
            Wrong,
            "/etc/evpnd/spine",
            "not there",
            "install -m 0640 -g evpnd /dev/stdin /etc/evpnd/spine",
        ),
        case(
            |f| outside(f, 1).length = 1,
            "password-file",
            Wrong,
            "/etc/evpnd/spine",
            "empty",
            "install -m 0640 -g evpnd /dev/stdin /etc/evpnd/spine",
        ),
    ]);
}

#[test]
fn others_on_the_same_machine_are_named() {
    let case = |change: fn(&mut Facts), check, state, setting, value, mend| Case {
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
            |f| f.rivals.push("FRR's bgpd listens on /run/frr/bgpd.vty".to_owned()),
            "other-daemons",
            Wrong,
            "another EVPN daemon",
            "FRR's bgpd listens",
            "systemctl disable --now frr",
        ),
        case(
            |f| f.bgp_listeners = vec!["bgpd".to_owned()],
            "bgp-port",
            Wrong,
            "TCP port 179",
            "taken by bgpd",
            "systemctl disable --now frr",
        ),
        case(
            |f| f.bgp_listeners = vec!["bird".to_owned(), "evpnd".to_owned()],
            "bgp-port",
            Wrong,
            "TCP port 179",
            "taken by bird",
            "systemctl disable --now bird",
        ),
        case(
            |f| f.bgp_listeners.clear(),
            "bgp-port",
            Warning,
            "TCP port 179",
            "nobody listens",
            "journalctl -u evpnd",
        ),
        case(
            |f| f.networkd = Some(Networkd { manages_routes: true, manages_nexthops: false }),
            "networkd",
            Warning,
            "systemd-networkd ManageForeignRoutes",
            "yes",
            "ManageForeignRoutes=no",
        ),
        case(
            |f| f.networkd = Some(Networkd { manages_routes: false, manages_nexthops: true }),
            "networkd",
            Warning,
            "systemd-networkd ManageForeignNextHops",
            "yes",
            "ManageForeignNextHops=no",
        ),
        case(
            |f| f.network_manager = ["vx100".to_owned()].into(),
            "network-manager",
            Warning,
            "vx100 managed",
            "true",
            "nmcli device set vx100 managed no",
        ),
        case(
            |f| f.clock_synchronised = Some(false),
            "clock",
            Warning,
            "clock",
            "not synchronised",
            "timedatectl set-ntp true",
        ),
        case(
            |f| {
                let chain = ["inet", "filter", "input"].map(str::to_owned);
                f.firewall = Some(Firewall {
                    tool: "nft".to_owned(),
                    dropping: vec![chain],
                    names_vxlan: false,
                    names_bgp: true,
                });
            },
            "firewall",
            Warning,
            "nft inet filter input policy",
            "drop",
            "nft insert rule inet filter input udp dport 4789 accept",
        ),
        case(
            |f| {
                let chain = ["ip", "filter", "INPUT"].map(str::to_owned);
                f.firewall = Some(Firewall {
                    tool: "iptables".to_owned(),
                    dropping: vec![chain],
                    names_vxlan: false,
                    names_bgp: false,
                });
            },
            "firewall",
            Warning,
            "iptables ip filter INPUT policy",
            "drop",
            "iptables -I INPUT -p udp --dport 4789 -j ACCEPT && iptables -I INPUT -p tcp --dport 179",
        ),
    ]);
}

#[test]
fn each_feature_that_the_kernel_lacks_is_named() {
    for feature in Feature::ALL {
        let mut facts = facts();
        let probed = facts.features.as_mut().unwrap().as_mut().unwrap();
        let found = probed.iter_mut().find(|(which, _)| *which == feature).unwrap();
        found.1 = Err("Operation not supported (errno 95, refused)".to_owned());
        let unwell = unwell(&facts);
        let [finding] = unwell.as_slice() else { panic!("{unwell:#?}") };
        assert_eq!(finding.setting.as_deref(), Some(feature.name()));
        assert!(finding.value.as_ref().unwrap().contains("errno 95"));
        assert!(finding.breaks.is_some() && finding.mend.is_some());
        // Without these nothing works; the others only work worse.
        let fatal =
            !matches!(feature, Feature::NeighSuppress | Feature::FdbGroups | Feature::WideWeights);
        assert_eq!(finding.state == State::Wrong, fatal, "{feature:?}");
    }
}

#[test]
fn what_could_not_be_looked_at_is_said_and_is_not_wrong() {
    let mut facts = facts();
    facts.features = Some(Err("forbidden".to_owned()));
    facts.config = ConfigFound::Unreadable("/etc/evpnd".into(), "permission denied".into());
    facts.evpnd = EvpndFound::Unreachable("permission denied".into(), None);
    facts.survey = Some(Err("no netlink".to_owned()));
    facts.password_files.clear();
    let states: Vec<_> = unwell(&facts).into_iter().map(|f| (f.check, f.state)).collect();
    let unknown = ["kernel-features", "devices", "config", "evpnd"];
    assert_eq!(states, unknown.map(|check| (check, State::Unknown)));
}

#[test]
fn whose_a_socket_is_may_be_hidden() {
    let mut facts = facts();
    facts.bgp_listeners = vec!["?".to_owned()];
    let found = unwell(&facts);
    assert_eq!((found[0].check, found[0].state), ("bgp-port", State::Unknown));
    facts.evpnd = EvpndFound::Absent;
    let found = unwell(&facts);
    assert_eq!((found[0].check, found[0].state), ("bgp-port", State::Wrong));
    assert!(found[0].mend.as_ref().unwrap().contains("ss -ltnp"));
}

#[test]
fn what_is_missing_of_a_configuration_is_what_has_to_be_written() {
    let mend = |missing: &str| {
        let mut facts = facts();
        facts.config = ConfigFound::Missing(missing.into());
        let found = unwell(&facts);
        assert_eq!((found[0].check, found[0].state), ("config", State::Warning));
        assert_eq!(found[0].found, format!("{missing} is not there"));
        found[0].mend.clone().unwrap()
    };
    let file = "editor /etc/evpnd/evpnd.toml && evpnctl config check /etc/evpnd/evpnd.toml";
    assert_eq!(mend("/etc/evpnd/evpnd.toml"), file);
    assert!(mend("/etc/evpnd").starts_with("mkdir -p /etc/evpnd && editor /etc/evpnd/evpnd.toml"));
}

#[test]
fn before_the_first_start_nothing_is_wrong() {
    let mut facts = facts();
    facts.config = ConfigFound::Missing("/etc/evpnd".into());
    facts.intent = None;
    facts.evpnd = EvpndFound::Absent;
    facts.bgp_listeners.clear();
    assert!(unwell(&facts).iter().all(|f| f.state == State::Warning), "{:#?}", unwell(&facts));
}
