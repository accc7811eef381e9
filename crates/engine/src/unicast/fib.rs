//! From ways to a prefix to the kernel's nexthops, groups and routes.
//!
//! **What leads to the same place is the same object**: prefixes share nexthops, and those with the
//! same ways share a group, so that a fabric of thousands of prefixes takes a handful of objects.
//! A prefix whose ways change is pointed at what it needs before what it needed goes.

use crate::fib::{Ids, metric};
use crate::underlay::UNDERLAY_TABLE;
use evpn_dataplane::object::{
    Change, IfIndex, Member, Nexthop, NexthopGroup, NexthopId, Route, RouteKey,
};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A gateway on a link.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Way {
    pub(crate) gateway: IpAddr,
    pub(crate) device: IfIndex,
}

#[derive(Debug)]
struct Shared {
    id: NexthopId,
    users: usize,
}

/// What is programmed.
#[derive(Debug, Default)]
pub(crate) struct Fib {
    nexthops: BTreeMap<Way, Shared>,
    groups: BTreeMap<Vec<Way>, Shared>,
    /// Each with its ways, ascending and at least one.
    routes: BTreeMap<IpNet, Vec<Way>>,
}

impl Fib {
    /// Every prefix that is programmed, with its ways.
    pub(crate) fn routes(&self) -> impl Iterator<Item = (&IpNet, &[Way])> {
        self.routes.iter().map(|(prefix, ways)| (prefix, ways.as_slice()))
    }

    /// The ways of a prefix, ascending; none if it is not programmed.
    pub(crate) fn ways(&self, prefix: &IpNet) -> &[Way] {
        self.routes.get(prefix).map_or(&[], Vec::as_slice)
    }

    /// What the kernel is to hold of a prefix.
    pub(crate) fn objects(&self, prefix: &IpNet) -> Vec<Change> {
        let ways = self.ways(prefix);
        let mut objects = Vec::new();
        let mut members = Vec::new();
        for way in ways {
            let Some(shared) = self.nexthops.get(way) else { continue };
            let Way { gateway, device } = *way;
            objects.push(Change::Nexthop(shared.id, Some(Nexthop { gateway, device })));
            members.push(Member { nexthop: shared.id, weight: 1 });
        }
        members.sort_by_key(|member| member.nexthop);
        let group = self.groups.get(ways).map(|shared| shared.id);
        let nexthop = group.or_else(|| members.first().map(|member| member.nexthop));
        if let Some(id) = group {
            objects.push(Change::Group(id, Some(NexthopGroup { members, resilience: None })));
        }
        if let Some(nexthop) = nexthop {
            let key = RouteKey { table: UNDERLAY_TABLE, prefix: *prefix };
            objects.push(Change::Route(key, Some(Route { nexthop, metric: metric(prefix) })));
        }
        objects
    }

    /// Whether a change would delete a route that is programmed here: both are in one table, and a
    /// prefix has one route there.
    pub(crate) fn replaces(&self, change: &Change) -> bool {
        let Change::Route(RouteKey { table, prefix }, None) = change else { return false };
        *table == UNDERLAY_TABLE && self.routes.contains_key(prefix)
    }

    /// The ways of a prefix are these from now on, ascending; none removes it. Tells whether there is
    /// a route that was not, or one less.
    pub(crate) fn set(
        &mut self,
        ids: &mut Ids,
        prefix: IpNet,
        ways: Vec<Way>,
        changes: &mut Vec<Change>,
    ) -> bool {
        let former = self.routes.remove(&prefix).unwrap_or_default();
        if former == ways {
            if !ways.is_empty() {
                self.routes.insert(prefix, ways);
            }
            return false;
        }
        let key = RouteKey { table: UNDERLAY_TABLE, prefix };
        let appeared = former.is_empty() != ways.is_empty();
        if ways.is_empty() {
            changes.push(Change::Route(key, None));
        } else {
            let nexthop = self.take(ids, &ways, changes);
            changes.push(Change::Route(key, Some(Route { nexthop, metric: metric(&prefix) })));
        }
        // Make before break: what the former ways needed goes last.
        self.give_back(ids, &former, changes);
        if !ways.is_empty() {
            self.routes.insert(prefix, ways);
        }
        appeared
    }

    fn take(&mut self, ids: &mut Ids, ways: &[Way], changes: &mut Vec<Change>) -> NexthopId {
        let members: Vec<NexthopId> =
            ways.iter().map(|way| self.take_nexthop(ids, *way, changes)).collect();
        if let [only] = members[..] {
            return only;
        }
        let shared = self.groups.entry(ways.to_vec()).or_insert_with(|| {
            let mut members: Vec<Member> =
                members.iter().map(|id| Member { nexthop: *id, weight: 1 }).collect();
            members.sort_by_key(|member| member.nexthop);
            let names: Vec<[u8; 4]> = members.iter().map(|m| m.nexthop.0.to_be_bytes()).collect();
            let id = ids.take(&[b"unicast group", names.as_flattened()]);
            changes.push(Change::Group(id, Some(NexthopGroup { members, resilience: None })));
            Shared { id, users: 0 }
        });
        shared.users = shared.users.saturating_add(1);
        shared.id
    }

    fn take_nexthop(&mut self, ids: &mut Ids, way: Way, changes: &mut Vec<Change>) -> NexthopId {
        let shared = self.nexthops.entry(way).or_insert_with(|| {
            let Way { gateway, device } = way;
            let device_name = device.0.to_be_bytes();
            let id = ids.take(&[b"unicast", gateway.to_string().as_bytes(), &device_name]);
            changes.push(Change::Nexthop(id, Some(Nexthop { gateway, device })));
            Shared { id, users: 0 }
        });
        shared.users = shared.users.saturating_add(1);
        shared.id
    }

    fn give_back(&mut self, ids: &mut Ids, ways: &[Way], changes: &mut Vec<Change>) {
        if ways.len() > 1
            && let Some(shared) = self.groups.get_mut(ways)
        {
            shared.users = shared.users.saturating_sub(1);
            if shared.users == 0 {
                let id = shared.id;
                changes.push(Change::Group(id, None));
                ids.give_back(id);
                self.groups.remove(ways);
            }
        }
        for way in ways {
            let Some(shared) = self.nexthops.get_mut(way) else { continue };
            shared.users = shared.users.saturating_sub(1);
            if shared.users == 0 {
                let id = shared.id;
                changes.push(Change::Nexthop(id, None));
                ids.give_back(id);
                self.nexthops.remove(way);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(n: u8) -> Way {
        Way { gateway: IpAddr::from([10, 0, n, 1]), device: IfIndex(n.into()) }
    }

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    fn prefixes_with_the_same_ways_share_their_objects() {
        let (mut fib, mut ids, mut changes) = (Fib::default(), Ids::default(), Vec::new());
        assert!(fib.set(&mut ids, net("10.9.0.1/32"), vec![way(1), way(2)], &mut changes));
        let first = std::mem::take(&mut changes);
        assert!(matches!(
            first[..],
            [Change::Nexthop(..), Change::Nexthop(..), Change::Group(..), Change::Route(..)]
        ));
        fib.set(&mut ids, net("10.9.0.2/32"), vec![way(1), way(2)], &mut changes);
        assert!(matches!(changes[..], [Change::Route(_, Some(_))]), "{changes:?}");
        changes.clear();
        assert!(!fib.set(&mut ids, net("10.9.0.2/32"), vec![way(1), way(2)], &mut changes));
        assert!(changes.is_empty());
    }

    #[test]
    fn a_lost_way_is_replaced_before_it_goes_and_the_last_prefix_takes_all() {
        let (mut fib, mut ids, mut changes) = (Fib::default(), Ids::default(), Vec::new());
        let prefix = net("10.9.0.1/32");
        fib.set(&mut ids, prefix, vec![way(1), way(2)], &mut changes);
        changes.clear();
        assert!(!fib.set(&mut ids, prefix, vec![way(2)], &mut changes));
        assert!(matches!(
            changes[..],
            [Change::Route(_, Some(_)), Change::Group(_, None), Change::Nexthop(_, None)]
        ));
        changes.clear();
        assert!(fib.set(&mut ids, prefix, Vec::new(), &mut changes));
        assert!(matches!(changes[..], [Change::Route(_, None), Change::Nexthop(_, None)]));
        assert!(fib.nexthops.is_empty() && fib.groups.is_empty() && fib.routes.is_empty());
    }
}
