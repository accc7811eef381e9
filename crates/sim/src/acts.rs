//! What is done to a run from outside: faults, hosts and readings.
//!
//! **An act changes the ground truth, the network or a machine, and tells evpnd nothing**: what it
//! learns, it learns as the daemon would.

use crate::machine::{Machine, Trouble};
use crate::scenario::{Act, Clear, Departure, HostId, Kind, TROUBLE_ENDS};
use crate::simulation::{Due, Node, Simulation};
use crate::site::{self, NodeId};
use crate::world::Feed;
use evpn_dataplane::object::IfIndex;
use evpn_energy::{FeedError, Permille, Reading};
use evpn_engine::{ClearKind, Input};
use evpn_proto::bgp::session::StopReason;
use evpn_proto::types::Time;
use evpn_rib::PeerIdx;
use std::time::Duration;

/// The time between two readings of a battery.
pub(crate) const READING_EVERY: Duration = Duration::from_secs(3);
/// The time between two things that a host says.
const SPEECH: (Duration, Duration) = (Duration::from_secs(4), Duration::from_secs(14));
/// Of a hundred ARP messages, how many are flooded to every leaf that is reached.
const FLOODED_PERCENT: usize = 25;
/// A process that is to die in the middle of its work dies at the latest after this.
const DOOM_WITHIN: Duration = Duration::from_secs(2);
/// A lost piece of news or a write that was refused may be found as late as by the next audit, and
/// a device is down for less.
const BLIND_FOR: Duration = Duration::from_secs(60);

impl Simulation {
    pub(crate) fn act(&mut self, act: Act) {
        let now = self.now;
        self.trace.note(now, || format!("*** {act:?}"));
        match act {
            Act::Arrive(host, leaf, departure) => self.host_arrives(host, leaf, departure),
            Act::SwitchOff(host) => self.host_switches(host, false),
            Act::SwitchOn(host) => self.host_switches(host, true),
            Act::Crash(node, 0) => self.bury(node),
            Act::Crash(node, outputs) => {
                self.world.trouble(now, node);
                if let Some(born) = self.with(node, |process, _| {
                    process.doom(outputs);
                    process.born
                }) {
                    self.schedule(now + DOOM_WITHIN, Due::Doom(node, born));
                }
            }
            Act::Stop(node) => {
                self.with(node, |process, around| process.shut_down(around));
                self.bury(node);
            }
            Act::Restart(node) => self.start(node),
            Act::Cut(a, b) => {
                self.world.path_trouble(now, a, b);
                self.network.cut(a, b);
            }
            Act::Mend(a, b) => {
                if !self.network.passes(a, b) {
                    self.world.path_trouble(now, a, b);
                }
                self.network.mend(now, a, b);
            }
            Act::UplinkDown(node) => self.uplink(node, false),
            Act::UplinkUp(node) => self.uplink(node, true),
            Act::DeviceGone(node, device) => {
                self.meddle(node, |machine| machine.remove_device(device));
            }
            Act::DeviceBack(node, device) => {
                self.meddle(node, |machine| machine.restore_device(device));
            }
            Act::Meddle(node, count) => self.meddle(node, |machine| machine.meddle(count)),
            Act::DeviceDown(node, device) => self.device(node, device, false),
            Act::DeviceUp(node, device) => self.device(node, device, true),
            Act::Clear(node, other, kind) => self.clear(node, other, kind),
            Act::Refuse(node) => {
                self.refusals.insert(node);
            }
            Act::FailWrites { node, count, class, applied } => {
                self.world.trouble(now + BLIND_FOR, node);
                if let Some(node) = self.nodes.get_mut(node.0) {
                    node.machine.fail_next(Trouble { class, applied }, count);
                }
            }
            Act::LoseNews(node, loss) => {
                self.world.trouble(now + BLIND_FOR, node);
                if let Some(node) = self.nodes.get_mut(node.0) {
                    node.machine.lose_news(now, loss);
                }
            }
            Act::Battery(leaf, charge) => {
                self.world.batteries.insert(leaf, charge);
            }
            Act::Lie(leaf, charge) => {
                self.world.feeds.insert(leaf, Feed::Says(charge));
            }
            Act::FeedSilent(leaf) => {
                self.world.feeds.insert(leaf, Feed::Silent);
            }
            Act::Honest(leaf) => {
                self.world.feeds.insert(leaf, Feed::Honest);
            }
        }
        if now >= Time::ZERO + TROUBLE_ENDS {
            self.nodes.iter_mut().for_each(|node| node.machine.behave());
        }
    }

    fn host_arrives(&mut self, id: HostId, leaf: NodeId, departure: Departure) {
        let now = self.now;
        let Some(host) = self.world.host(id).copied() else { return };
        if let Some(former) = host.place.filter(|_| departure == Departure::Unplugged) {
            if let Some(node) = self.nodes.get_mut(former.0) {
                node.machine.unplug(host.domain.bridge, host.mac);
            }
            self.with(former, |process, around| process.rouse_dataplane(around));
        }
        self.write(id, false);
        self.world.change(now, id, |host| (host.place, host.on) = (Some(leaf), true));
        self.write(id, true);
        self.speak(id);
    }

    fn host_switches(&mut self, id: HostId, on: bool) {
        self.write(id, false);
        self.world.change(self.now, id, |host| host.on = on);
        self.write(id, true);
        self.speak(id);
    }

    /// The operator writes a host where it is, or deletes it there, if the host is one that is
    /// written.
    fn write(&mut self, id: HostId, present: bool) {
        let host = self.world.host(id).copied().filter(|host| host.kind == Kind::Written);
        let Some((host, place)) = host.and_then(|host| Some((host, host.speaks_at()?))) else {
            return;
        };
        let Some(node) = self.nodes.get_mut(place.0) else { return };
        match host.domain.port.filter(|_| present) {
            Some(port) => node.machine.write_host(port, host.mac),
            None => node.machine.delete_host(host.domain.bridge, host.mac),
        }
        self.with(place, |process, around| process.rouse_dataplane(around));
    }

    /// Somebody does something to a leaf's kernel behind evpnd's back.
    fn meddle(&mut self, node: NodeId, meddle: impl FnOnce(&mut Machine)) {
        self.world.trouble(self.now + BLIND_FOR, node);
        if let Some(node) = self.nodes.get_mut(node.0) {
            meddle(&mut node.machine);
        }
        self.with(node, |process, around| process.rouse_dataplane(around));
    }

    fn speak(&mut self, host: HostId) {
        if let Some(epoch) = self.world.host(host).map(|host| host.epoch) {
            self.speech(host, epoch);
        }
    }

    /// A host speaks, if it has not changed since it was about to: a frame, and an ARP message that
    /// others may see as well.
    pub(crate) fn speech(&mut self, id: HostId, epoch: u32) {
        let now = self.now;
        let Some(host) = self.world.host(id).copied().filter(|h| h.epoch == epoch) else { return };
        let Some((leaf, port)) = host.speaks_at().zip(host.domain.port) else { return };
        let flooded = self.random.chance(FLOODED_PERCENT);
        let hears = |node: &Node| {
            node.id == leaf
                || flooded && site::is_leaf(&self.scenario, node.id) && self.reaches(leaf, node.id)
        };
        let hearers: Vec<NodeId> = self.nodes.iter().filter(|n| hears(n)).map(|n| n.id).collect();
        for hearer in hearers {
            if let Some(node) = self.nodes.get_mut(hearer.0) {
                match host.kind {
                    _ if hearer != leaf => {}
                    Kind::Speaking => node.machine.frame(now, port, host.mac),
                    // The kernel lets evpnd take over an entry that was written while its own write
                    // was on the way; the operator's tools look after theirs as well.
                    Kind::Written => node.machine.write_host(port, host.mac),
                }
                for address in host.ips {
                    node.machine.arp(now, host.domain.bridge, address, host.mac);
                }
            }
            self.with(hearer, |process, around| process.rouse_dataplane(around));
        }
        let (least, most) = SPEECH;
        let next = now + self.random.between(least, most);
        self.schedule(next, Due::Speech(id, epoch));
    }

    pub(crate) fn reading(&mut self, leaf: NodeId) {
        self.schedule(self.now + READING_EVERY, Due::Reading(leaf));
        let truth = self.world.batteries.get(&leaf).copied().unwrap_or(100);
        let feed = self.world.feeds.get(&leaf).copied().unwrap_or(Feed::Honest);
        let of = |charge: u8| Input::Reading(Reading::of_charge(Permille::percent(charge)));
        let input = match feed {
            Feed::Honest => of(truth),
            Feed::Says(charge) => of(charge),
            Feed::Silent => {
                let (what, cause) = ("ups".to_owned(), "no such host".to_owned());
                Input::FeedFailed(FeedError::Unreachable { what, cause })
            }
        };
        self.with(leaf, |process, around| process.input(around, input));
    }

    fn uplink(&mut self, node: NodeId, up: bool) {
        self.world.trouble(self.now, node);
        self.network.uplink(self.now, node, up);
        self.device(node, site::UPLINK, up);
    }

    fn device(&mut self, node: NodeId, device: IfIndex, up: bool) {
        self.world.trouble(self.now + BLIND_FOR, node);
        if let Some(node) = self.nodes.get_mut(node.0) {
            node.machine.set_up(device, up);
        }
        self.with(node, |process, around| process.rouse_dataplane(around));
    }

    fn clear(&mut self, node: NodeId, other: NodeId, kind: Clear) {
        self.world.path_trouble(self.now, node, other);
        let place = site::neighbours(&self.scenario, node).iter().position(|n| *n == other);
        let Some(peer) = place.and_then(|place| u16::try_from(place).ok()).map(PeerIdx) else {
            return;
        };
        let kind = match kind {
            Clear::Soft => ClearKind::Soft,
            Clear::Hard => ClearKind::Hard(StopReason::Reset { text: "again".to_owned() }),
        };
        self.with(node, |process, around| process.input(around, Input::Clear { peer, kind }));
    }
}
