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
    assert_eq!(ways(&net, 0, far), ["2001:db8:9::2"]);
    // Control: on a common link it is preferred (RFC 2545 section 3).
    net.kernel(0, vec![KernelEvent::Connected(vec![(UNDERLAY, prefix("10.9.0.0/24"))])]);
    assert_eq!(ways(&net, 0, far), ["fe80::2"]);
}
