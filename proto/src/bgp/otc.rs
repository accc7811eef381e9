//! Only to Customer (RFC 9234 section 5): which routes are leaks, and which must not become one.
//!
//! **What was once learned from a provider, a peer or a route server goes to customers only, and the
//! attribute that says so is never changed.** The rules are those of IPv4 and IPv6 unicast; routes
//! of any other family are left as they are.

use super::attributes::{PathAttributes, RawAttribute};
use super::message::Family;
use super::role::Role;
use super::wire::codes::attribute::{FLAG_OPTIONAL, FLAG_TRANSITIVE, ONLY_TO_CUSTOMER};
use crate::types::Asn;
use bytes::Bytes;

/// What becomes of a route that comes in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ingress {
    /// It stands as it is.
    Keep,
    /// It is taken, with the attribute of this AS: [`mark`].
    Mark(Asn),
    /// It is a leak, and takes no part in the decision.
    Leak,
}

/// What becomes of a route that would go out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Egress {
    /// It goes as it is.
    Keep,
    /// It goes with the attribute of this AS: [`mark`].
    Mark(Asn),
    /// It is not for this neighbor.
    Withhold,
}

/// Which rules there are for the routes of one family with one neighbor. They exist for a family and
/// a role together, so that none can be applied where it must not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Rules(Option<Role>);

impl Rules {
    /// Routes go in and out as they are.
    pub const NONE: Self = Self(None);

    /// The rules for routes of `family` with a neighbor toward which we are `role`. RFC 9234 §5: for
    /// AFI 1 and 2 with SAFI 1, and by default for no other.
    pub fn of(family: Family, role: Option<Role>) -> Self {
        if family.is_unicast() { Self(role) } else { Self::NONE }
    }

    /// What the neighbor is to us.
    fn neighbor(self) -> Option<Role> {
        self.0.map(Role::opposite)
    }

    /// For a route from the neighbor, whose AS is `remote`.
    pub fn ingress(self, remote: Asn, attributes: &PathAttributes) -> Ingress {
        let Some(neighbor) = self.neighbor() else { return Ingress::Keep };
        match (neighbor, only_to_customer(attributes)) {
            (Role::Customer | Role::RsClient, Some(_)) => Ingress::Leak,
            (Role::Peer, Some(asn)) if asn != remote => Ingress::Leak,
            (Role::Provider | Role::Peer | Role::RsServer, None) => Ingress::Mark(remote),
            _ => Ingress::Keep,
        }
    }

    /// For a route to the neighbor from us, whose AS is `local`.
    pub fn egress(self, local: Asn, attributes: &PathAttributes) -> Egress {
        let Some(neighbor) = self.neighbor() else { return Egress::Keep };
        match (neighbor, only_to_customer(attributes)) {
            _ if self.withholds(attributes) => Egress::Withhold,
            (Role::Customer | Role::Peer | Role::RsClient, None) => Egress::Mark(local),
            _ => Egress::Keep,
        }
    }

    /// Whether the neighbor must not be told a route.
    pub fn withholds(self, attributes: &PathAttributes) -> bool {
        matches!(self.neighbor(), Some(Role::Provider | Role::Peer | Role::RsServer))
            && only_to_customer(attributes).is_some()
    }
}

/// The AS that a set of attributes names in it.
pub fn only_to_customer(attributes: &PathAttributes) -> Option<Asn> {
    let raw = attributes.unknown.iter().find(|raw| raw.code == ONLY_TO_CUSTOMER)?;
    <[u8; 4]>::try_from(raw.value.as_ref()).ok().map(|octets| Asn(u32::from_be_bytes(octets)))
}

/// Adds the attribute, unless there is one: RFC 9234 §5 has it preserved unchanged.
pub fn mark(attributes: &mut PathAttributes, asn: Asn) {
    let place = match attributes.unknown.binary_search_by_key(&ONLY_TO_CUSTOMER, |raw| raw.code) {
        Ok(_) => return,
        Err(place) => place,
    };
    let value = Bytes::copy_from_slice(&asn.0.to_be_bytes());
    let flags = FLAG_OPTIONAL | FLAG_TRANSITIVE;
    attributes.unknown.insert(place, RawAttribute { flags, code: ONLY_TO_CUSTOMER, value });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    const REMOTE: Asn = Asn(65002);
    const LOCAL: Asn = Asn(65001);
    const UNICAST: [Family; 2] = [Family::IPV4_UNICAST, Family::IPV6_UNICAST];

    fn set(otc: Option<Asn>) -> PathAttributes {
        let mut attributes = PathAttributes::originated(IpAddr::from([192, 0, 2, 1]));
        if let Some(asn) = otc {
            mark(&mut attributes, asn);
        }
        attributes
    }

    /// What a neighbor that is this to us may tell us: without the attribute, with its own AS in
    /// it, with another.
    fn received(neighbor: Role) -> [Ingress; 3] {
        [None, Some(REMOTE), Some(Asn(65009))].map(|otc| {
            let of =
                |family| Rules::of(family, Some(neighbor.opposite())).ingress(REMOTE, &set(otc));
            let [v4, v6] = UNICAST.map(of);
            assert_eq!(v4, v6);
            v4
        })
    }

    /// What a neighbor that is this to us is told: of a route without the attribute, and with it.
    fn sent(neighbor: Role) -> [Egress; 2] {
        [None, Some(REMOTE)].map(|otc| {
            let of = |family| Rules::of(family, Some(neighbor.opposite())).egress(LOCAL, &set(otc));
            let [v4, v6] = UNICAST.map(of);
            assert_eq!(v4, v6);
            v4
        })
    }

    #[test]
    fn with_the_attribute_from_a_customer_or_an_rs_client_it_is_a_leak() {
        for neighbor in [Role::Customer, Role::RsClient] {
            assert_eq!(received(neighbor), [Ingress::Keep, Ingress::Leak, Ingress::Leak]);
        }
    }

    #[test]
    fn from_a_peer_it_is_a_leak_unless_the_attribute_names_the_peer() {
        let wanted = [Ingress::Mark(REMOTE), Ingress::Keep, Ingress::Leak];
        assert_eq!(received(Role::Peer), wanted);
    }

    #[test]
    fn from_a_provider_or_a_route_server_it_is_marked_unless_it_is_already() {
        for neighbor in [Role::Provider, Role::RsServer] {
            let wanted = [Ingress::Mark(REMOTE), Ingress::Keep, Ingress::Keep];
            assert_eq!(received(neighbor), wanted);
        }
    }

    #[test]
    fn what_is_marked_goes_to_customers_and_rs_clients_only() {
        for neighbor in [Role::Customer, Role::RsClient] {
            assert_eq!(sent(neighbor), [Egress::Mark(LOCAL), Egress::Keep]);
        }
        assert_eq!(sent(Role::Peer), [Egress::Mark(LOCAL), Egress::Withhold]);
        for neighbor in [Role::Provider, Role::RsServer] {
            assert_eq!(sent(neighbor), [Egress::Keep, Egress::Withhold]);
        }
    }

    #[test]
    fn without_a_role_and_in_other_families_nothing_is_done() {
        let marked = set(Some(Asn(65009)));
        for family in UNICAST {
            let rules = Rules::of(family, None);
            assert_eq!(rules.ingress(REMOTE, &marked), Ingress::Keep);
            assert_eq!(rules.egress(LOCAL, &marked), Egress::Keep);
        }
        let others = [Family::EVPN, Family { afi: 1, safi: 128 }, Family { afi: 2, safi: 4 }];
        for (family, role) in others.into_iter().flat_map(|f| Role::ALL.map(|r| (f, Some(r)))) {
            for attributes in [set(None), marked.clone()] {
                let rules = Rules::of(family, role);
                assert_eq!(rules.ingress(REMOTE, &attributes), Ingress::Keep);
                assert_eq!(rules.egress(LOCAL, &attributes), Egress::Keep);
            }
        }
    }

    #[test]
    fn a_mark_is_optional_transitive_in_its_place_and_never_changed() {
        let raw = |code| RawAttribute { flags: 0xc0, code, value: Bytes::new() };
        let mut attributes = set(None);
        attributes.unknown = vec![raw(32), raw(40)];
        mark(&mut attributes, REMOTE);
        mark(&mut attributes, LOCAL);
        assert_eq!(only_to_customer(&attributes), Some(REMOTE));
        let codes: Vec<_> = attributes.unknown.iter().map(|raw| (raw.code, raw.flags)).collect();
        assert_eq!(codes, [(32, 0xc0), (35, 0xc0), (40, 0xc0)]);
    }
}
