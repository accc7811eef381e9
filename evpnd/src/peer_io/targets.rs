//! What is known of each neighbour's connections: how far they go, from where, and with what key.
//!
//! The configuration says it by the neighbour's name. Where those on interfaces are, the engine
//! says.
//!
//! **Whose a connection is, is the engine's to say; this says only how it has to be**, and a
//! stranger's need not be anything.

use super::guard::{Guard, Key, Signed};
use evpn_dataplane::object::IfIndex;
use evpn_engine::settings::ListenSettings;
use evpn_proto::types::{InterfaceName, NeighborId};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// How to reach a neighbour, or any of those that a group lets in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    /// The port to dial.
    pub(crate) port: u16,
    /// The address to dial from.
    pub(crate) source: Option<IpAddr>,
    /// Hops that our packets may take.
    pub(crate) ttl: Option<u8>,
    /// What it has to show.
    pub(crate) guard: Guard,
}

/// A group that lets in who is not named.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Range {
    pub(crate) prefixes: Vec<IpNet>,
    pub(crate) target: Target,
}

/// All of them.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Table {
    pub(crate) neighbors: BTreeMap<NeighborId, Target>,
    pub(crate) ranges: BTreeMap<Arc<str>, Range>,
    /// Where those on interfaces are.
    places: BTreeMap<InterfaceName, (Ipv6Addr, IfIndex)>,
}

/// Who is reached otherwise than before: a connection keeps what it was made with.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Moved {
    pub(crate) neighbors: Vec<NeighborId>,
    pub(crate) groups: Vec<Arc<str>>,
}

impl Table {
    /// What the configuration says.
    pub(crate) fn new(
        neighbors: BTreeMap<NeighborId, Target>,
        listen: impl IntoIterator<Item = (ListenSettings, Target)>,
    ) -> Self {
        let range = |(listen, target): (ListenSettings, Target)| {
            (listen.group, Range { prefixes: listen.prefixes, target })
        };
        let ranges = listen.into_iter().map(range).collect();
        Self { neighbors, ranges, places: BTreeMap::new() }
    }

    /// Takes over what a new configuration says.
    pub(crate) fn replace(&mut self, new: Self) -> Moved {
        let differs = |(id, target): &(&NeighborId, &Target)| {
            self.neighbors.get(*id).is_some_and(|known| known != *target)
        };
        let neighbors = new.neighbors.iter().filter(differs).map(|(id, _)| id.clone()).collect();
        let differs = |(group, range): &(&Arc<str>, &Range)| {
            self.ranges.get(*group).is_some_and(|known| known.target != range.target)
        };
        let groups =
            new.ranges.iter().filter(differs).map(|(group, _)| Arc::clone(group)).collect();
        self.neighbors = new.neighbors;
        self.ranges = new.ranges;
        Moved { neighbors, groups }
    }

    /// Where the neighbour on an interface is from now on. Whether that is news.
    pub(crate) fn locate(
        &mut self,
        interface: InterfaceName,
        remote: Option<(Ipv6Addr, IfIndex)>,
    ) -> bool {
        let former = match remote {
            Some(remote) => self.places.insert(interface, remote),
            None => self.places.remove(&interface),
        };
        former != remote
    }

    /// What holds for a connection with there: of a neighbour of this address, of the one on that
    /// link, or of the longest prefix around.
    pub(crate) fn of(&self, remote: SocketAddr) -> Option<&Target> {
        let address = remote.ip().to_canonical();
        if let SocketAddr::V6(v6) = remote
            && v6.ip().is_unicast_link_local()
        {
            let there = (*v6.ip(), IfIndex(v6.scope_id()));
            let (name, _) = self.places.iter().find(|(_, place)| **place == there)?;
            return self.neighbors.get(&NeighborId::Interface(name.clone()));
        }
        let named = self.neighbors.get(&NeighborId::Address(address));
        named.or_else(|| {
            let prefixes = self
                .ranges
                .values()
                .flat_map(|range| range.prefixes.iter().map(move |prefix| (prefix, &range.target)));
            let around = prefixes.filter(|(prefix, _)| prefix.contains(&address));
            around.max_by_key(|(prefix, _)| prefix.prefix_len()).map(|(_, target)| target)
        })
    }

    /// What a listener has to ask whom for.
    pub(crate) fn keys(&self) -> BTreeMap<Signed, &Key> {
        let named = self.neighbors.iter().filter_map(|(id, target)| {
            let address = match id {
                NeighborId::Address(address) => *address,
                NeighborId::Interface(name) => self.places.get(name)?.0.into(),
            };
            Some((Signed::One(address), target.guard.key.as_ref()?))
        });
        let ranges = self.ranges.values().flat_map(|range| {
            let key = range.target.guard.key.as_ref();
            range.prefixes.iter().filter_map(move |prefix| Some((Signed::Prefix(*prefix), key?)))
        });
        ranges.chain(named).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddrV6;

    fn target(port: u16) -> Target {
        Target { port, source: None, ttl: Some(1), guard: Guard::default() }
    }

    fn table() -> Table {
        let ids = [("10.0.0.2", 1), ("swp1", 2), ("swp2", 3)];
        let range = |prefix: &str, port| Range {
            prefixes: vec![prefix.parse().unwrap()],
            target: target(port),
        };
        Table {
            neighbors: ids.map(|(id, port)| (id.parse().unwrap(), target(port))).into(),
            ranges: BTreeMap::from([
                ("wide".into(), range("10.0.0.0/8", 4)),
                ("close".into(), range("10.0.0.0/24", 5)),
            ]),
            places: BTreeMap::new(),
        }
    }

    #[test]
    fn a_name_comes_before_a_prefix_and_the_longest_prefix_first() {
        let table = table();
        let of = |remote: &str| table.of(remote.parse().unwrap()).map(|t| t.port);
        assert_eq!(of("10.0.0.2:40000"), Some(1));
        assert_eq!(of("10.0.0.3:40000"), Some(5));
        assert_eq!(of("10.1.0.3:40000"), Some(4));
        assert_eq!(of("[::ffff:10.1.0.3]:40000"), Some(4));
        assert_eq!(of("192.0.2.1:40000"), None);
    }

    #[test]
    fn a_link_local_address_counts_on_its_link_only() {
        let mut table = table();
        let address: Ipv6Addr = "fe80::1".parse().unwrap();
        assert!(table.locate("swp1".parse().unwrap(), Some((address, IfIndex(7)))));
        assert!(!table.locate("swp1".parse().unwrap(), Some((address, IfIndex(7)))));
        let of = |table: &Table, scope| {
            let remote = SocketAddrV6::new(address, 40000, 0, scope).into();
            table.of(remote).map(|t| t.port)
        };
        assert_eq!((of(&table, 7), of(&table, 8)), (Some(2), None));
        // Two links, the same address at the other end of each.
        table.locate("swp2".parse().unwrap(), Some((address, IfIndex(8))));
        assert_eq!((of(&table, 7), of(&table, 8)), (Some(2), Some(3)));
        table.locate("swp1".parse().unwrap(), None);
        assert_eq!(of(&table, 7), None);
    }

    #[test]
    fn a_new_configuration_says_who_is_reached_otherwise_and_keeps_places() {
        let mut known = table();
        known.locate("swp1".parse().unwrap(), Some(("fe80::1".parse().unwrap(), IfIndex(7))));
        let mut new = table();
        new.neighbors.insert("10.0.0.2".parse().unwrap(), target(9));
        new.neighbors.insert("10.0.0.9".parse().unwrap(), target(9));
        if let Some(range) = new.ranges.get_mut("wide") {
            range.target = target(9);
        }
        let moved = known.replace(new);
        assert_eq!(moved.neighbors, ["10.0.0.2".parse().unwrap()]);
        assert_eq!(moved.groups, [Arc::from("wide")]);
        assert_eq!(known.places.len(), 1);
    }
}
