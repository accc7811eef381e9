//! `show bgp ipv4 unicast`, `show bgp ipv6 unicast` and `show bgp rt-constraint`.
//!
//! **Every path is shown, a rejected one with the reason.**

use super::Lines;
use super::route::{add_path, finish, legend};
use crate::text::{AsNotation, or_dash};
use evpn_api::Page;
use evpn_api::route::{Route, RoutePath, Scope};

/// Routes of a family whose names are prefixes.
pub(crate) fn routes(page: &Page<Route>, notation: AsNotation) -> String {
    let mut lines = Lines::default();
    legend(&mut lines);
    lines.gap();
    for route in &page.items {
        lines.add(1, &route.prefix);
        for path in &route.paths {
            add_path(&mut lines, path, notation);
        }
    }
    finish(lines, page)
}

/// The next hop, with that of the link where there is one beside it.
pub(super) fn next_hop(path: &RoutePath) -> String {
    let mut text = or_dash(path.nexthop);
    let beside = path.nexthops.iter().find(|hop| hop.scope == Some(Scope::LinkLocal));
    if let Some(of_link) = beside.filter(|hop| Some(hop.ip) != path.nexthop) {
        text += &format!(" link-local {}", of_link.ip);
    }
    text
}
