//! What is still apart, in words: the kernel's state against the intended one.
//!
//! **Every difference has a reason**, and none means that the kernel holds what the routes say.

use crate::object::{
    FdbEntry, FdbKey, FdbTarget, FloodKey, IfIndex, Neighbour, NeighbourKey, NexthopGroup,
    NexthopId,
};
use crate::observe::{MacState, NexthopSpec};
use crate::obstacle::{Key, Parked, Until};
use crate::op::{ErrorClass, KernelRoute};
use crate::reconciler::{FdbHave, NeighbourHave, Reconciler};
use crate::table::Marks;
use crate::verdict::Verdict;
use evpn_proto::types::Time;
use std::fmt;

/// Why an object is not as intended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Its turn has not come.
    Pending,
    /// It is not wanted, and the sweep has not come to it.
    Stale,
    /// It was stale and its deletion is on the way, or the wish for it was withdrawn.
    Leaving,
    /// A local host has the address; the engine has not decided between them.
    Ceded,
    /// Something that is not ours holds its place.
    Foreign,
    /// Its device is missing, down, or no port of a bridge.
    NoDevice,
    /// Its nexthop is not there yet.
    NoNexthop,
    /// Somebody else deleted it; it will be written again.
    TakenAway,
    /// A write failed; see [`Difference::failure`].
    Failed,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "about to be written",
            Self::Stale => "left from before, not wanted; kept until the sweep",
            Self::Leaving => "about to be deleted",
            Self::Ceded => "a local host has this address; routing decides",
            Self::Foreign => "held by an entry that is not evpnd's; remove that to give way",
            Self::NoDevice => "the device is missing, down, or no port of a bridge",
            Self::NoNexthop => "its nexthop is not in the kernel",
            Self::TakenAway => crate::taken::TAKEN_AWAY,
            Self::Failed => "the kernel refused",
        })
    }
}

/// The last failure of an object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LastFailure {
    /// Its class.
    pub class: ErrorClass,
    /// The kernel's number.
    pub errno: i32,
    /// The kernel's words.
    pub text: String,
    /// When it is tried again; none if it waits for a device, a new wish or the next audit.
    pub retry_at: Option<Time>,
}

/// One object that is not as intended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// The object.
    pub object: String,
    /// What it should say; none if it should not be.
    pub intended: Option<String>,
    /// What the kernel has; none if it has nothing of ours.
    pub kernel: Option<String>,
    /// Why.
    pub reason: Reason,
    /// The last failure, if that is the reason.
    pub failure: Option<LastFailure>,
}

/// All that is apart.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Differences {
    /// How many there are.
    pub total: usize,
    /// The first of them, sorted: nexthops, routes, neighbours, flood entries, FDB entries.
    pub first: Vec<Difference>,
}

impl Reconciler {
    /// What is apart, and the first `limit` of it in words. Looks at every row.
    pub fn differences(&self, limit: usize) -> Differences {
        let mut keys: Vec<(Key, Reason)> = Vec::new();
        self.nexthop_differences(&mut keys);
        let mut note = |key: Key, verdict: Verdict| {
            let reason = match verdict {
                Verdict::Settled => return,
                Verdict::Held(reason) => reason,
                Verdict::Waits => Reason::NoNexthop,
                Verdict::Write(_) | Verdict::Rewrite(..) => Reason::Pending,
                Verdict::Delete(_) => Reason::Leaving,
            };
            keys.push((key, reason));
        };
        for key in self.routes.rows.keys() {
            note(Key::Route(*key), self.judge_route(*key));
        }
        for key in self.neighbours.rows.keys() {
            note(Key::Neighbour(*key), self.judge_neighbour(*key));
        }
        for key in self.flood.rows.keys() {
            note(Key::Flood(*key), self.judge_flood(*key));
        }
        for key in self.fdb.rows.keys() {
            note(Key::Fdb(*key), self.judge_fdb(*key));
        }
        keys.sort_unstable_by_key(|(key, _)| *key);
        let total = keys.len();
        let first = keys.into_iter().take(limit).map(|(k, r)| self.describe(k, r)).collect();
        Differences { total, first }
    }

    fn nexthop_differences(&self, keys: &mut Vec<(Key, Reason)>) {
        for (id, row) in &self.nexthops.logical {
            let wanted = self.nexthops.translate(&row.want);
            let have = self.nexthops.ready(*id).and_then(|id| self.nexthops.spec(id));
            if wanted.is_some() && wanted.as_ref() == have {
                continue;
            }
            let reason = if row.marks.has(Marks::PARKED) {
                Reason::Failed
            } else if !self.nexthop_has_device(*id) {
                Reason::NoDevice
            } else if wanted.is_none() {
                Reason::NoNexthop
            } else {
                Reason::Pending
            };
            keys.push((Key::Nexthop(*id), reason));
        }
        for (id, held) in &self.nexthops.kernel {
            if held.ours && held.have.is_some() && held.logical.is_none() {
                let leaving = held.marks.has(Marks::CONDEMNED);
                let reason = if leaving { Reason::Leaving } else { Reason::Stale };
                keys.push((Key::Held(*id), reason));
            }
        }
    }

    fn describe(&self, key: Key, reason: Reason) -> Difference {
        let (object, intended, kernel) = match key {
            Key::Nexthop(id) => self.describe_nexthop(id),
            Key::Held(id) => {
                let have = self.nexthops.spec(id).map(|spec| self.spec_text(spec));
                (format!("nexthop {}", id.0), None, have)
            }
            Key::Route(route) => self.describe_route(route),
            Key::Neighbour(key) => self.describe_neighbour(key),
            Key::Flood(key) => self.describe_flood(key),
            Key::Fdb(key) => self.describe_fdb(key),
        };
        let failed = self.obstacles.get(&key).filter(|_| reason == Reason::Failed);
        let taken = failed.is_some_and(|parked| &*parked.text == crate::taken::TAKEN_AWAY);
        let (reason, failed) = if taken { (Reason::TakenAway, None) } else { (reason, failed) };
        let failure = failed.map(|Parked { until, class, errno, text, .. }| LastFailure {
            class: *class,
            errno: *errno,
            text: text.to_string(),
            retry_at: match until {
                Until::At(at) => Some(*at),
                Until::Link(_) | Until::Changed => None,
            },
        });
        Difference { object, intended, kernel, reason, failure }
    }

    fn describe_nexthop(&self, id: NexthopId) -> (String, Option<String>, Option<String>) {
        let row = self.nexthops.logical.get(&id);
        let bound = row.and_then(|row| row.bound).unwrap_or(id);
        let wanted = row.map(|row| {
            let translated = self.nexthops.translate(&row.want);
            self.spec_text(translated.as_ref().unwrap_or(&row.want))
        });
        let have = self.nexthops.spec(bound).map(|spec| self.spec_text(spec));
        (format!("nexthop {}", bound.0), wanted, have)
    }

    fn describe_route(&self, route: KernelRoute) -> (String, Option<String>, Option<String>) {
        let row = self.routes.rows.get(&route);
        let text = |id: NexthopId| match self.nexthops.spec(id) {
            Some(spec) => format!("nexthop {} {}", id.0, self.spec_text(spec)),
            None => format!("nexthop {}", id.0),
        };
        let wanted = row.and_then(|row| row.want);
        let wanted = wanted.map(|id| text(self.nexthops.ready(id).unwrap_or(id)));
        let have = row.and_then(|row| row.have).map(text);
        (format!("route {route}"), wanted, have)
    }

    fn describe_neighbour(&self, key: NeighbourKey) -> (String, Option<String>, Option<String>) {
        let row = self.neighbours.rows.get(&key);
        let have = row.and_then(|row| row.have).map(|have| match have {
            NeighbourHave::Ours(value) => neighbour_text(value),
            NeighbourHave::Foreign => "another control plane's entry".to_owned(),
        });
        let local = || self.tracker.neighbours.get(&key).map(|n| format!("{}, not ours", n.mac));
        let object = self.neighbour_name(key);
        (object, row.and_then(|row| row.want).map(neighbour_text), have.or_else(local))
    }

    fn describe_flood(&self, key: FloodKey) -> (String, Option<String>, Option<String>) {
        let row = self.flood.rows.get(&key);
        let object = self.flood_name(key);
        let wanted = row.and_then(|row| row.want).map(|()| "flood".to_owned());
        (object, wanted, row.and_then(|row| row.have).map(|_| "flood".to_owned()))
    }

    fn describe_fdb(&self, key: FdbKey) -> (String, Option<String>, Option<String>) {
        let row = self.fdb.rows.get(&key);
        let object = self.fdb_name(key);
        let wanted = row.and_then(|row| row.want).map(|want| {
            let to = match want.to {
                FdbTarget::Group(id) => FdbTarget::Group(self.nexthops.ready(id).unwrap_or(id)),
                vtep @ FdbTarget::Vtep(_) => vtep,
            };
            entry_text(FdbEntry { to, ..want })
        });
        let mut have = row.and_then(|row| row.have).map(fdb_text);
        let bridge = self.tracker.bridge_of(key.device);
        let local = bridge.and_then(|bridge| self.tracker.locals.get(&(bridge, key.mac)));
        if let Some(local) = local {
            let text = have.get_or_insert_default();
            let comma = if text.is_empty() { "" } else { ", " };
            text.push_str(&format!("{comma}local on {}", self.name(local.port)));
        }
        (object, wanted, have)
    }

    pub(crate) fn neighbour_name(&self, key: NeighbourKey) -> String {
        format!("neighbour {} on {}", key.address, self.name(key.device))
    }

    pub(crate) fn flood_name(&self, key: FloodKey) -> String {
        format!("flood to {} on {}", key.vtep, self.name(key.device))
    }

    pub(crate) fn fdb_name(&self, key: FdbKey) -> String {
        format!("mac {} on {}", key.mac, self.name(key.device))
    }

    pub(crate) fn name(&self, device: IfIndex) -> String {
        match self.tracker.links.get(&device) {
            Some(link) => link.name.clone(),
            None => format!("device {device}"),
        }
    }

    pub(crate) fn spec_text(&self, spec: &NexthopSpec) -> String {
        match spec {
            NexthopSpec::Routed(nexthop) => {
                format!("via {} dev {}", nexthop.gateway, self.name(nexthop.device))
            }
            NexthopSpec::Fdb(vtep) => format!("vtep {vtep}"),
            NexthopSpec::Group(group) => format!("group {}", group_text(group)),
            NexthopSpec::FdbGroup(group) => format!("fdb group {}", group_text(group)),
            NexthopSpec::Other => "not of evpnd's making".to_owned(),
        }
    }
}

fn group_text(group: &NexthopGroup) -> String {
    let members: Vec<String> =
        group.members.iter().map(|m| format!("{},{}", m.nexthop.0, m.weight)).collect();
    let members = members.join("/");
    match group.resilience {
        Some(r) => format!("{members} resilient buckets {} idle {:?}", r.buckets, r.idle),
        None => members,
    }
}

pub(crate) fn neighbour_text(value: Neighbour) -> String {
    format!("{}{}", value.mac, if value.router { " router" } else { "" })
}

pub(crate) fn target_text(to: FdbTarget) -> String {
    match to {
        FdbTarget::Vtep(vtep) => format!("vtep {vtep}"),
        FdbTarget::Group(id) => format!("group {}", id.0),
    }
}

fn entry_text(entry: FdbEntry) -> String {
    format!("{}{}", target_text(entry.to), if entry.sticky { " sticky" } else { "" })
}

fn fdb_text(have: FdbHave) -> String {
    let state = |state: MacState| match state {
        MacState::External => "",
        MacState::Learned => " (learned)",
        MacState::Static => " (the operator's)",
        MacState::Permanent => " (the machine's own)",
    };
    let vxlan = match have.vxlan {
        Some(half) => format!("{}{}", target_text(half.to), state(half.state)),
        None => "not in the VXLAN device".to_owned(),
    };
    match have.bridge {
        Some(half) => {
            format!("{vxlan}{}{}", if half.sticky { " sticky" } else { "" }, state(half.state))
        }
        None => format!("{vxlan}, not on this port of the bridge"),
    }
}
