//! What the fake kernel answers to each write.
//!
//! **A write that the kernel refuses leaves what the kernel leaves**, which is not always nothing.

use super::{Entry, Kernel, failure};
use crate::facts::Link;
use crate::object::{FdbKey, FdbTarget, IfIndex, Member, NeighbourKey, NexthopId};
use crate::observe::{
    MacState, NexthopSpec, Observation, PROTOCOL, Resolution, SeenNeighbour, SeenRoute,
};
use crate::op::{Birth, ErrorClass, Failure, Halves, KernelRoute, Op};

fn refused(text: &str) -> Failure {
    failure(ErrorClass::Refused, 22, text)
}

fn no_entry() -> Failure {
    failure(ErrorClass::NoEntry, 2, "No such file or directory")
}

fn exists() -> Failure {
    failure(ErrorClass::Exists, 17, "File exists")
}

fn no_device() -> Failure {
    failure(ErrorClass::NoDevice, 19, "No such device")
}

impl Kernel {
    pub(super) fn execute(&mut self, op: &Op) -> Result<(), Failure> {
        match op {
            Op::Nexthop { id, spec, birth } => self.write_nexthop(*id, spec, *birth),
            Op::NexthopDelete(id) => {
                if !self.nexthops.contains_key(id) {
                    return Err(no_entry());
                }
                self.remove_nexthop(*id, true);
                Ok(())
            }
            Op::Fdb { key, to } => self.write_fdb(*key, *to),
            Op::FdbSticky { key, sticky } => {
                let bridge = self.bridge_of(key.device)?;
                let old = self.bridge.get(&(bridge, key.mac)).copied().ok_or_else(no_entry)?;
                self.set_bridge(
                    bridge,
                    key.mac,
                    Entry { port: key.device, sticky: *sticky, ..old },
                );
                Ok(())
            }
            Op::FdbDelete { key, halves } => self.delete_fdb(*key, *halves),
            Op::Flood(key) => {
                self.device(key.device)?;
                if !self.flood.contains_key(key) {
                    // The mark is that of the zero address's first entry.
                    let first = self.flood.iter().find(|(k, _)| k.device == key.device);
                    let external = first.is_none_or(|(_, external)| *external);
                    self.flood.insert(*key, external);
                    self.news.push_back(Observation::Flood { key: *key, external });
                }
                Ok(())
            }
            Op::FloodDelete(key) => {
                self.device(key.device)?;
                if self.flood.remove(key).is_some() {
                    self.news.push_back(Observation::FloodGone(*key));
                }
                Ok(())
            }
            Op::Neighbour { key, value } => {
                self.device(key.device)?;
                self.other_neighbour(SeenNeighbour {
                    key: *key,
                    mac: Some(value.mac),
                    resolution: Resolution::NoArp,
                    external: true,
                    router: value.router,
                    protocol: PROTOCOL,
                });
                Ok(())
            }
            Op::NeighbourDelete(key) => {
                self.neighbours.remove(key).ok_or_else(no_entry)?;
                self.news.push_back(Observation::NeighbourGone(*key));
                Ok(())
            }
            Op::Route { route, nexthop, birth } => self.write_route(*route, *nexthop, *birth),
            Op::RouteDelete(route) => {
                let seen = self.routes.get(route).copied();
                let seen = seen.filter(|s| s.protocol == PROTOCOL).ok_or_else(no_entry)?;
                self.routes.remove(route);
                self.news.push_back(Observation::RouteGone(seen));
                Ok(())
            }
            Op::Learn { device, address, mac } | Op::Probe { device, address, mac } => {
                self.device(*device)?;
                self.other_neighbour(SeenNeighbour {
                    key: NeighbourKey { device: *device, address: *address },
                    mac: Some(*mac),
                    resolution: Resolution::Resolved,
                    external: false,
                    router: false,
                    protocol: PROTOCOL,
                });
                Ok(())
            }
        }
    }

    fn device(&self, index: IfIndex) -> Result<&Link, Failure> {
        self.links.get(&index).ok_or_else(no_device)
    }

    fn bridge_of(&self, device: IfIndex) -> Result<IfIndex, Failure> {
        self.device(device)?.master.ok_or_else(|| refused("not a port of a bridge"))
    }

    fn write_nexthop(
        &mut self,
        id: NexthopId,
        spec: &NexthopSpec,
        birth: Birth,
    ) -> Result<(), Failure> {
        match spec {
            NexthopSpec::Routed(nexthop) => {
                if !self.device(nexthop.device)?.is_up() {
                    return Err(failure(ErrorClass::NetDown, 100, "Nexthop device is not up"));
                }
            }
            NexthopSpec::Group(group) | NexthopSpec::FdbGroup(group) => {
                let fdb = matches!(spec, NexthopSpec::FdbGroup(_));
                let fits = |member: &Member| {
                    let spec = self.nexthops.get(&member.nexthop).map(|(spec, _)| spec);
                    match spec {
                        Some(NexthopSpec::Routed(_)) => !fdb,
                        Some(NexthopSpec::Fdb(_)) => fdb,
                        _ => false,
                    }
                };
                if group.members.is_empty() || !group.members.iter().all(fits) {
                    return Err(refused("Invalid nexthop id"));
                }
            }
            NexthopSpec::Fdb(_) => {}
            NexthopSpec::Other => return Err(refused("nothing that is written")),
        }
        match (self.nexthops.get(&id), birth) {
            (Some(_), Birth::New) => return Err(exists()),
            (None, Birth::Replace) => return Err(no_entry()),
            (Some((old, _)), Birth::Replace) if !old.becomes(spec) => {
                return Err(refused(
                    "Can not replace a nexthop group with one of a different type",
                ));
            }
            _ => {}
        }
        self.other_nexthop(id, spec.clone(), PROTOCOL);
        Ok(())
    }

    fn write_fdb(&mut self, key: FdbKey, to: FdbTarget) -> Result<(), Failure> {
        let bridge = self.bridge_of(key.device)?;
        let old = self.bridge.get(&(bridge, key.mac)).copied();
        let stays = old.filter(|old| old.port == key.device);
        let sticky = stays.is_some_and(|old| old.sticky);
        self.set_bridge(
            bridge,
            key.mac,
            Entry { port: key.device, state: MacState::External, sticky },
        );
        if let FdbTarget::Group(id) = to
            && !matches!(self.nexthops.get(&id), Some((NexthopSpec::FdbGroup(_), _)))
        {
            return Err(refused("Nexthop is not a group of FDB nexthops"));
        }
        let new = match (self.vxlan.get(&key).map(|(to, _)| *to), to) {
            (Some(FdbTarget::Vtep(_)), FdbTarget::Group(_)) => {
                return Err(failure(
                    ErrorClass::Refused,
                    95,
                    "Cannot replace an existing non nexthop fdb with a nexthop",
                ));
            }
            // Success, and nothing is changed.
            (Some(FdbTarget::Group(_)), FdbTarget::Vtep(_)) => return Ok(()),
            _ => (to, MacState::External),
        };
        if self.vxlan.insert(key, new) != Some(new) {
            let (to, state) = new;
            self.news.push_back(Observation::VxlanMac { key, to, state });
        }
        Ok(())
    }

    fn delete_fdb(&mut self, key: FdbKey, halves: Halves) -> Result<(), Failure> {
        if halves != Halves::Vxlan {
            let bridge = self.bridge_of(key.device)?;
            let here = self.bridge.get(&(bridge, key.mac)).copied();
            here.filter(|entry| entry.port == key.device).ok_or_else(no_entry)?;
            self.forget_mac(bridge, key.mac);
        }
        if halves != Halves::Bridge {
            self.device(key.device)?;
            self.vxlan.remove(&key).ok_or_else(no_entry)?;
            self.news.push_back(Observation::VxlanMacGone(key));
        }
        Ok(())
    }

    fn write_route(
        &mut self,
        route: KernelRoute,
        nexthop: NexthopId,
        birth: Birth,
    ) -> Result<(), Failure> {
        if !self.nexthops.contains_key(&nexthop) {
            return Err(refused("Nexthop id does not exist"));
        }
        match (self.routes.contains_key(&route), birth) {
            (true, Birth::New) => return Err(exists()),
            (false, Birth::Replace) => return Err(no_entry()),
            _ => {}
        }
        self.other_route(SeenRoute {
            key: route.key,
            metric: route.metric,
            protocol: PROTOCOL,
            nexthop: Some(nexthop),
            connected: None,
        });
        Ok(())
    }
}
