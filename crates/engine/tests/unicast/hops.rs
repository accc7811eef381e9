//! Next hops as neighbours tell them, and as they are told.

use super::*;

#[test]
fn a_link_local_next_hop_of_no_common_link_does_not_hide_the_global_one() {
    let mut net = two(&[Family::IPV6_UNICAST]);
    let far = prefix("2001:db8:77::/48");
    let (mut attributes, routes) = said(2, "2001:db8:9::2", &[far]);
    attributes.link_local = Some("fe80::2".parse().unwrap());
    // The neighbour is several hops away, as a reflector may be; its client is on a link.
    net.kernel(0, vec![KernelEvent::Connected(vec![(DUMMY, prefix("2001:db8:9::/64"))])]);
    net.inject(0, 2, attributes, routes);
    let explained = |net: &Net| net.view(0).why_prefix(far, None).tables[0].candidates[0].next_hop;
    assert_eq!(ways(&net, 0, far), ["2001:db8:9::2"]);
    assert_eq!(explained(&net), Some("2001:db8:9::2".parse().unwrap()));
    // Control: on a common link it is preferred (RFC 2545 section 3).
    net.kernel(0, vec![KernelEvent::Connected(vec![(UNDERLAY, prefix("10.9.0.0/24"))])]);
    assert_eq!(ways(&net, 0, far), ["fe80::2"]);
    assert_eq!(explained(&net), Some("fe80::2".parse().unwrap()));
}

#[test]
fn what_is_of_a_link_or_a_host_alone_is_not_routed_through_a_neighbour() {
    let mut net = two(&[Family::IPV4_UNICAST, Family::IPV6_UNICAST]);
    let nobodys = ["fe80::3/128", "fe80::/64", "::1/128", "127.0.0.0/8"].map(prefix);
    inject(&mut net, 0, 2, "fe80::2", &nobodys[..3]);
    inject(&mut net, 0, 2, "10.9.0.2", &nobodys[3..]);
    for prefix in nobodys {
        assert!(ways(&net, 0, prefix).is_empty(), "{prefix}");
        let fate = paths(&net, 0, prefix).remove(0).fate;
        assert_eq!(fate, PathFate::Rejected("its prefix is of a link or of a host alone"));
    }
    // Nor does a link that comes change that.
    inject(&mut net, 0, 2, "10.8.0.2", &nobodys[3..]);
    let nets = [(UNDERLAY, "10.9.0.0/24"), (DUMMY, "10.8.0.0/24")];
    let connected = nets.map(|(device, net)| (device, prefix(net))).to_vec();
    net.kernel(0, vec![KernelEvent::Connected(connected)]);
    assert!(ways(&net, 0, nobodys[3]).is_empty());
    inject(&mut net, 0, 2, "fe80::2", &[prefix("::/0")]);
    assert_eq!(ways(&net, 0, prefix("::/0")), ["fe80::2"]);
}

#[test]
fn no_neighbour_leads_the_way_to_another_away_from_its_link() {
    let mut net = two(&[Family::IPV4_UNICAST]);
    let astray = ["10.9.0.2/32", "10.9.0.0/25"].map(prefix);
    inject(&mut net, 0, 2, "10.9.0.2", &astray);
    for prefix in astray {
        assert!(ways(&net, 0, prefix).is_empty(), "{prefix}");
        let fate = paths(&net, 0, prefix).remove(0).fate;
        let why = "it would lead the way to a neighbor away from the link to it";
        assert_eq!(fate, PathFate::Rejected(why));
    }
    // Control: beside the neighbour, and as wide as the link, it takes nothing from anybody.
    let beside = ["10.9.0.128/25", "10.9.0.0/24"].map(prefix);
    inject(&mut net, 0, 2, "10.9.0.2", &beside);
    assert!(beside.iter().all(|prefix| ways(&net, 0, *prefix) == ["10.9.0.2"]));
    // What leads to the neighbour changes, and with it what would capture it.
    net.kernel(0, vec![KernelEvent::Connected(vec![(UNDERLAY, prefix("10.9.0.0/16"))])]);
    assert!(ways(&net, 0, prefix("10.9.0.0/24")).is_empty());
    assert_eq!(ways(&net, 0, prefix("10.9.0.128/25")), ["10.9.0.2"]);
}
