//! Address families: the engine's in the API's words, and what a neighbour carries of each.
//!
//! **Every family that evpnd speaks has a name here**, and one that only a neighbour speaks is told
//! by its numbers.

use super::count;
use evpn_api::AddressFamily;
use evpn_api::neighbor::FamilyCounters;
use evpn_engine::view::View;
use evpn_engine::view::neighbors::Neighbor;
use evpn_proto::bgp::message::Family;

/// The engine's family.
pub(super) const fn of_api(family: AddressFamily) -> Family {
    match family {
        AddressFamily::L2VpnEvpn => Family::EVPN,
        AddressFamily::Ipv4Unicast => Family::IPV4_UNICAST,
        AddressFamily::Ipv6Unicast => Family::IPV6_UNICAST,
        AddressFamily::RtConstraint => Family::RT_CONSTRAINT,
    }
}

/// The API's family; none of one that evpnd does not speak.
pub(super) fn to_api(family: Family) -> Option<AddressFamily> {
    AddressFamily::ALL.into_iter().find(|known| of_api(*known) == family)
}

/// A family in the words of `show bgp`, which are FRR's too.
pub(super) fn name(family: Family) -> String {
    match family {
        Family::EVPN => "l2vpn evpn".to_owned(),
        Family::IPV4_UNICAST => "ipv4 unicast".to_owned(),
        Family::IPV6_UNICAST => "ipv6 unicast".to_owned(),
        Family::RT_CONSTRAINT => "rt-constraint".to_owned(),
        Family { afi, safi } => format!("family {afi}/{safi}"),
    }
}

/// Families in words.
pub(super) fn names(families: &[Family]) -> String {
    families.iter().map(|family| name(*family)).collect::<Vec<_>>().join(", ")
}

/// Families that we offer and an established neighbour does not.
pub(super) fn missing(neighbor: &Neighbor<'_>) -> impl Iterator<Item = AddressFamily> + use<> {
    let agreed = neighbor.session.negotiated().filter(|_| neighbor.is_established());
    let missing = agreed.map(|agreed| agreed.missing_families()).unwrap_or_default();
    missing.into_iter().filter_map(to_api)
}

/// Families of which nothing is heard any more after an error.
pub(super) fn given_up(neighbor: &Neighbor<'_>) -> impl Iterator<Item = AddressFamily> {
    let given_up = neighbor.families.iter().filter(|state| state.given_up);
    given_up.filter_map(|state| to_api(state.family))
}

/// Routes held, of each family.
pub(super) fn counts(view: View<'_>) -> Vec<(AddressFamily, u64)> {
    let known = view.route_counts().into_iter();
    known.filter_map(|(family, routes)| Some((to_api(family)?, count(routes)))).collect()
}

/// What a neighbour carries of a family.
pub(super) fn counters(
    view: View<'_>,
    neighbor: &Neighbor<'_>,
    family: AddressFamily,
) -> FamilyCounters {
    let family = of_api(family);
    let held = view.held(neighbor.index, family);
    let exchanged = neighbor.families.iter().find(|state| state.family == family);
    FamilyCounters {
        received_prefix_counter: count(held.held),
        accepted_prefix_counter: count(held.held.saturating_sub(held.rejected)),
        sent_prefix_counter: count(exchanged.map_or(0, |state| state.advertised)),
        prefix_allowed_max: neighbor.settings.max_prefix,
        end_of_rib_received: exchanged.is_some_and(|state| state.end_of_rib_received),
        end_of_rib_sent: exchanged.is_some_and(|state| state.end_of_rib_sent),
    }
}

/// What it carries of each family that is exchanged, or of which something is held.
pub(super) fn exchanged(
    view: View<'_>,
    neighbor: &Neighbor<'_>,
) -> impl Iterator<Item = (AddressFamily, FamilyCounters)> {
    all(view, neighbor).filter(|(family, counters)| {
        let exchanged = neighbor.families.iter().any(|state| state.family == of_api(*family));
        exchanged || counters.received_prefix_counter > 0
    })
}

/// What it carries of each family that we offer it.
pub(super) fn offered(
    view: View<'_>,
    neighbor: &Neighbor<'_>,
) -> impl Iterator<Item = (AddressFamily, FamilyCounters)> {
    let families = &neighbor.session.config().families;
    all(view, neighbor).filter(|(family, _)| families.contains(&of_api(*family)))
}

fn all(
    view: View<'_>,
    neighbor: &Neighbor<'_>,
) -> impl Iterator<Item = (AddressFamily, FamilyCounters)> {
    AddressFamily::ALL.into_iter().map(move |family| (family, counters(view, neighbor, family)))
}
