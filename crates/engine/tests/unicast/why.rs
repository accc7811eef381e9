//! Why packets go by a unicast route, and why not by another.

use super::*;
use evpn_engine::view::why::Fate;

#[test]
fn why_tells_which_paths_a_prefix_has_and_by_what_one_is_preferred() {
    let mut net = fabric();
    let why = net.view(0).why_prefix(loopback(4), None);
    assert!(why.reachable);
    assert_eq!(
        why.verdict,
        "packets to 10.0.0.4/32 are shared between 2 next hops of the underlay"
    );
    let [table] = &why.tables[..] else { panic!("one table: {why:#?}") };
    assert_eq!(table.name, "IPv4 unicast, 10.0.0.4/32");
    let told: Vec<_> =
        table.candidates.iter().map(|c| (c.fate, c.next_hop, c.reason.as_str())).collect();
    let equal = "it costs as much as the best, which has the better router id";
    assert_eq!(
        told,
        [
            (Fate::Best, Some(underlay(2)), "preferred by router id"),
            (Fate::Multipath, Some(underlay(3)), equal),
        ]
    );
    assert_eq!(
        table.winner.as_deref(),
        Some("2 paths cost the same and share the traffic equally")
    );
    // Two nexthops, their group, and the route.
    assert_eq!(table.intended.len(), 4);
    // A host within a prefix is forwarded by it.
    inject(&mut net, 0, 2, "10.9.0.2", &[prefix("10.77.0.0/16")]);
    let why = net.view(0).why_prefix(prefix("10.77.1.2/32"), None);
    assert_eq!(why.verdict, "packets to 10.77.0.0/16 go to 10.9.0.2 on eth0");
    assert_eq!(why.tables[0].intended.len(), 2);
    // One that cannot be reached is told, and the shorter one that takes its packets.
    inject(&mut net, 0, 2, "172.31.0.1", &[prefix("10.77.1.0/24")]);
    let why = net.view(0).why_prefix(prefix("10.77.1.2/32"), None);
    assert_eq!(why.verdict, "packets to 10.77.0.0/16 go to 10.9.0.2 on eth0");
    let names: Vec<&str> = why.tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["IPv4 unicast, 10.77.1.0/24", "IPv4 unicast, 10.77.0.0/16"]);
    let reason = &why.tables[0].candidates[0].reason;
    assert_eq!(reason, "its next hop is on no connected link");
}

#[test]
fn why_tells_of_what_is_ours_of_what_is_here_and_of_what_nobody_knows() {
    let mut net = two(&BOTH);
    let why = net.view(0).why_prefix(loopback(1), None);
    assert!(!why.reachable);
    assert!(why.tables[0].candidates[0].reason.starts_with("announced by us: the configuration"));
    net.reconfigure(1, |settings| settings.unicast.prefixes.push(prefix("10.9.0.0/24")));
    let why = net.view(0).why_prefix(prefix("10.9.0.0/24"), None);
    assert_eq!(why.verdict, "packets to 10.9.0.0/24 stay here, on eth0");
    assert_eq!(why.tables[0].candidates[0].fate, Fate::Lost);
    let why = net.view(0).why_prefix(prefix("172.16.0.0/12"), None);
    assert_eq!(
        why.verdict,
        "no route for it: 3 IPv4 unicast routes; 2 prefixes from others in VRF red"
    );
    // In a VRF only the VRF is told of.
    assert!(net.view(0).why_prefix(loopback(2), Some(vni(L3VNI))).tables.is_empty());
}

#[test]
fn why_tells_that_a_type_5_route_gave_way() {
    let mut net = in_main();
    let both = prefix("198.51.2.0/24");
    net.reconfigure(1, |settings| settings.unicast.prefixes.push(both));
    let why = net.view(0).why_prefix(both, None);
    assert_eq!(why.verdict, "packets to 198.51.2.0/24 go to 10.9.0.2 on eth0");
    let names: Vec<&str> = why.tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["IPv4 unicast, 198.51.2.0/24", "VRF red, 198.51.2.0/24"]);
    let gave_way = &why.tables[1].candidates[0];
    assert_eq!(gave_way.fate, Fate::Rejected);
    assert_eq!(gave_way.reason, "the underlay has a unicast route of its own to it");
    assert!(why.tables[1].intended.is_empty());
}
