//! What a doctor sees, and what a probe finds.

use crate::namespace::{enter, index, ip, run};
use evpn_netlink::lookup::{Lookup, Matched};
use evpn_netlink::probe::{Feature, probe};
use evpn_netlink::{Requests, survey::Survey};
use nix::sched::{CloneFlags, unshare};
use std::time::Duration;

fn survey() -> Survey {
    Requests::open(110).unwrap().survey().unwrap()
}

#[test]
fn what_this_kernel_does_is_found_and_what_it_refuses_is_named() {
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    let found = probe().unwrap();
    assert_eq!(found.len(), Feature::ALL.len());
    for (feature, outcome) in found {
        assert_eq!(outcome, Ok(()), "{}", feature.name());
        assert_eq!(Feature::named(feature.name()), Some(feature));
    }
    // The control: in a namespace where its devices cannot be made, nothing is claimed to work.
    let again = probe().unwrap();
    assert!(again.iter().filter(|(_, outcome)| outcome.is_err()).count() >= 4, "{again:?}");
}

#[test]
fn a_survey_tells_what_was_set() {
    enter();
    let before = survey();
    let bridge = |survey: &Survey| {
        let found = survey.devices.iter().find(|d| d.link.name == "br0").cloned();
        found.unwrap().bridge.unwrap()
    };
    assert_eq!(bridge(&before).ageing, Duration::from_secs(300));
    assert!(!bridge(&before).spanning_tree);
    assert!(before.devices.iter().all(|d| d.link.name.starts_with("br") == d.bridge.is_some()));
    ip("link set br0 type bridge ageing_time 0");
    ip("link set br0 type bridge stp_state 1");
    let after = survey();
    assert_eq!(bridge(&after).ageing, Duration::ZERO);
    assert!(bridge(&after).spanning_tree);
    let vxlan = after.devices.iter().find(|d| d.link.name == "vx0").unwrap();
    assert!(vxlan.link.port.unwrap().neigh_suppress);
    run("bridge", "link set dev vx0 neigh_suppress off");
    let vxlan = survey().devices.into_iter().find(|d| d.link.name == "vx0").unwrap();
    assert!(!vxlan.link.port.unwrap().neigh_suppress);
}

#[test]
fn neighbours_that_the_kernel_may_forget_are_counted() {
    enter();
    let before = survey().neighbours_ipv4;
    for n in 10..40 {
        ip(&format!("neigh add 192.0.2.{n} lladdr 02:00:00:00:00:07 dev br0 nud stale"));
        ip(&format!("neigh add 192.0.2.1{n} lladdr 02:00:00:00:00:08 dev br0 nud permanent"));
    }
    for n in 40..70 {
        ip(&format!(
            "neigh add 192.0.2.{n} lladdr 02:00:00:00:00:09 dev br0 nud noarp extern_learn"
        ));
    }
    // The kernel adds a few multicast groups of its own, whenever it pleases.
    let counted = survey().neighbours_ipv4 - before;
    assert!((30..40).contains(&counted), "{counted}");
}

#[test]
fn the_way_to_an_address_is_the_kernels_own() {
    enter();
    let mut requests = Requests::open(110).unwrap();
    assert_eq!(requests.device_to("192.0.2.99".parse().unwrap()), Some(index("br0")));
    assert_eq!(requests.device_to("203.0.113.1".parse().unwrap()), None);
}

#[test]
fn the_route_that_the_kernel_chooses_is_told_whoevers_it_is() {
    enter();
    for line in [
        "-6 addr add 2001:db8::1/64 dev br0 nodad",
        "route add blackhole 10.0.0.2/32",
        "route add unreachable 10.0.0.3/32",
        "route add prohibit 10.0.0.4/32",
        "-6 route add blackhole 2001:db8:2::/64",
        "route add 10.1.0.0/16 via 192.0.2.9 proto static metric 7",
        "-6 route add 2001:db8:5::/64 via 2001:db8::9 proto static",
        "route add 10.6.0.0/16 via inet6 2001:db8::9 dev br0 proto static",
        "nexthop add id 5 via 192.0.2.9 dev br0 proto 110",
        "route add 10.1.1.0/24 nhid 5 proto 110 metric 20",
    ] {
        ip(line);
    }
    let mut requests = Requests::open(110).unwrap();
    let mut ask = |to: &str| requests.lookup(to.parse().unwrap()).unwrap();
    assert_eq!(ask("203.0.113.1"), Lookup::NoRoute);
    assert_eq!(ask("2001:db9::1"), Lookup::NoRoute);
    assert_eq!(ask("10.0.0.2"), Lookup::Dropped("blackhole"));
    assert_eq!(ask("10.0.0.3"), Lookup::Dropped("unreachable"));
    assert_eq!(ask("10.0.0.4"), Lookup::Dropped("prohibit"));
    assert_eq!(ask("2001:db8:2::1"), Lookup::Dropped("blackhole"));
    let theirs = Matched {
        prefix: "10.1.0.0/16".parse().unwrap(),
        ours: false,
        protocol: 4,
        metric: 7,
        gateway: Some("192.0.2.9".parse().unwrap()),
        device: Some(index("br0")),
    };
    assert_eq!(ask("10.1.2.1"), Lookup::Route(theirs.clone()));
    let prefix = "10.1.1.0/24".parse().unwrap();
    let ours = Matched { prefix, ours: true, protocol: 110, metric: 20, ..theirs.clone() };
    assert_eq!(ask("10.1.1.1"), Lookup::Route(ours));
    let (prefix, gateway) = ("2001:db8:5::/64".parse().unwrap(), "2001:db8::9".parse().ok());
    let sixth = Matched { prefix, gateway, metric: 1024, ..theirs.clone() };
    assert_eq!(ask("2001:db8:5::1"), Lookup::Route(sixth));
    let prefix = "10.6.0.0/16".parse().unwrap();
    assert_eq!(ask("10.6.0.1"), Lookup::Route(Matched { prefix, gateway, metric: 0, ..theirs }));
}
