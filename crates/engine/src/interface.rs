//! Neighbours on an interface: whoever is the router at its other end, found by its router
//! advertisements (RFC 4861), with the session over link-local addresses.
//!
//! **The name of the interface is the neighbour's identity; device, link and router are facts that
//! come and go in any order**, and while one of them is missing nobody is dialled and no timer
//! runs.
//!
//! Of an advertisement nothing counts but where it came from. There is one neighbour on an
//! interface: a new source takes over from an old one whose session does not stand, and never from
//! one whose session does.

use crate::engine::Engine;
use crate::io::{Event, Now, Output};
use crate::peer::Peer;
use evpn_dataplane::facts::{Link, LinkKind};
use evpn_dataplane::object::IfIndex;
use evpn_proto::bgp::session::StopReason;
use evpn_proto::types::{InterfaceName, MacAddr, NeighborId, Time};
use evpn_rib::PeerIdx;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// How long nothing more is told of other routers on an interface: those that share a link are heard
/// in turn without end.
const RIVALS_QUIET: Duration = Duration::from_secs(600);

/// An interface on which a neighbour is looked for: we advertise ourselves there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RouterPort {
    /// The device.
    pub device: IfIndex,
    /// A number for each time that an interface came up: what was heard before counts no more.
    pub epoch: u64,
    /// Its MAC address, where it has one.
    pub mac: Option<MacAddr>,
    /// Our link-local address there.
    pub source: Ipv6Addr,
}

/// What an interface neighbour waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Obstacle {
    /// There is no such interface.
    NoDevice,
    /// It is administratively down.
    NotUp,
    /// Nothing is at its other end.
    NoCarrier,
    /// It is a port of a bridge, which takes what comes in there.
    BridgePort,
    /// It has no link-local address of IPv6.
    NoLinkLocal,
    /// No router has been heard there.
    NoRouter,
}

impl Obstacle {
    /// In words, of this interface.
    pub fn of(self, name: &InterfaceName) -> String {
        match self {
            Self::NoDevice => format!("interface {name} does not exist"),
            Self::NotUp => format!("interface {name} is not up"),
            Self::NoCarrier => format!("interface {name} has no carrier"),
            Self::BridgePort => format!("interface {name} is a port of a bridge"),
            Self::NoLinkLocal => format!("interface {name} has no link-local address"),
            Self::NoRouter => format!("no router advertisement heard on {name} yet"),
        }
    }

    /// Whether it lasts until somebody does something: worth a line in the log.
    const fn is_of_the_link(self) -> bool {
        matches!(self, Self::NoDevice | Self::NotUp | Self::NoCarrier | Self::BridgePort)
    }
}

/// What is known of a neighbour's interface and of who is at its other end.
#[derive(Debug)]
pub(crate) struct FarEnd {
    port: Result<RouterPort, Obstacle>,
    /// The neighbour's address.
    router: Option<Ipv6Addr>,
    /// Another source, heard since.
    rival: Option<Ipv6Addr>,
    /// When the log was last told of one.
    rival_told: Option<Time>,
    /// What the log was told that it waits for.
    told: Option<Obstacle>,
    /// Since when it has waited for what it waits for.
    since: Time,
}

impl FarEnd {
    /// Nothing is known yet.
    pub(crate) const fn new() -> Self {
        Self {
            port: Err(Obstacle::NoDevice),
            router: None,
            rival: None,
            rival_told: None,
            told: None,
            since: Time::ZERO,
        }
    }

    /// Where the neighbour is.
    pub(crate) fn remote(&self) -> Option<(Ipv6Addr, IfIndex)> {
        Some((self.router?, self.port.as_ref().ok()?.device))
    }

    /// What it waits for, and since when.
    pub(crate) fn obstacle(&self) -> Option<(Obstacle, Time)> {
        let obstacle = match &self.port {
            Err(obstacle) => Some(*obstacle),
            Ok(_) if self.router.is_none() => Some(Obstacle::NoRouter),
            Ok(_) => None,
        };
        obstacle.map(|obstacle| (obstacle, self.since))
    }

    fn change(&mut self, now: Now, port: Result<RouterPort, Obstacle>, router: Option<Ipv6Addr>) {
        let before = self.obstacle().map(|(obstacle, _)| obstacle);
        (self.port, self.router) = (port, router);
        let is_new = self.since == Time::ZERO;
        if is_new || self.obstacle().map(|(obstacle, _)| obstacle) != before {
            self.since = now.time;
        }
    }

    fn is_time_to_tell_of_rivals(&mut self, now: Time) -> bool {
        let is_quiet = |told: &Time| now.saturating_since(*told) < RIVALS_QUIET;
        if self.rival_told.as_ref().is_some_and(is_quiet) {
            return false;
        }
        self.rival_told = Some(now);
        true
    }

    fn is_on(&self, device: IfIndex) -> bool {
        self.port.as_ref().is_ok_and(|port| port.device == device)
    }
}

/// Whether the interface can carry a session, and how.
fn port(links: &[Link], name: &InterfaceName) -> Result<RouterPort, Obstacle> {
    let link = links.iter().find(|l| l.name == name.as_str()).ok_or(Obstacle::NoDevice)?;
    if !link.admin_up {
        return Err(Obstacle::NotUp);
    }
    if !link.carrier {
        return Err(Obstacle::NoCarrier);
    }
    if links.iter().any(|l| Some(l.index) == link.master && is_bridge(l)) {
        return Err(Obstacle::BridgePort);
    }
    let link_local = |address| match address {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Some(v6),
        _ => None,
    };
    let source = link.addresses.iter().find_map(|net| link_local(net.addr()));
    let source = source.ok_or(Obstacle::NoLinkLocal)?;
    Ok(RouterPort { device: link.index, epoch: 0, mac: link.mac, source })
}

const fn is_bridge(link: &Link) -> bool {
    matches!(link.kind, LinkKind::Bridge { .. })
}

impl Engine {
    /// Looks at the interfaces of neighbours again: links or settings have changed.
    pub(crate) fn refresh_interfaces(&mut self, now: Now) {
        for index in self.peers.indices() {
            let Some(peer) = self.peers.get_mut(index) else { continue };
            let (NeighborId::Interface(name), Some(far)) = (&peer.settings.id, &mut peer.far_end)
            else {
                continue;
            };
            let mut is = port(&self.links, name);
            let moved = match (&far.port, &mut is) {
                (Ok(was), Ok(is)) if was.device == is.device => {
                    is.epoch = was.epoch;
                    false
                }
                (was, is) => {
                    if let Ok(is) = is {
                        self.epoch = self.epoch.saturating_add(1);
                        is.epoch = self.epoch;
                    }
                    was.is_ok()
                }
            };
            let of_link = is.as_ref().err().copied().filter(|o| o.is_of_the_link());
            let tell = of_link.filter(|_| !peer.settings.shutdown);
            let news = tell.filter(|_| far.told != tell);
            far.told = tell;
            let event = news.map(|o| Event::PeerDown(peer.settings.id.clone(), o.of(name)));
            let router = far.router.filter(|_| !moved);
            far.change(now, is, router);
            if moved {
                far.rival = None;
                self.locate(now, index, None);
            }
            self.outputs.extend(event.map(Output::Event));
        }
        self.advertise();
    }

    /// Tells the shell where to advertise, if that has changed.
    fn advertise(&mut self) {
        let wanted = self.peers.iter().filter(|p| !p.settings.shutdown);
        let ports: Vec<RouterPort> =
            wanted.filter_map(|p| p.far_end.as_ref()?.port.as_ref().ok().cloned()).collect();
        if ports != self.advertised {
            self.advertised.clone_from(&ports);
            self.output(Output::Advertise(ports));
        }
    }

    /// A router advertisement was heard.
    pub(crate) fn router_seen(&mut self, now: Now, device: IfIndex, address: Ipv6Addr) {
        let on = |p: &&Peer| p.far_end.as_ref().is_some_and(|far| far.is_on(device));
        let Some(index) = self.peers.iter().find(on).map(|p| p.index) else { return };
        let Some(peer) = self.peers.get_mut(index) else { return };
        let (is_up, id) = (peer.up.is_some(), peer.id());
        let Some(far) = peer.far_end.as_mut() else { return };
        if far.port.as_ref().is_ok_and(|port| port.source == address) {
            return;
        }
        match far.router {
            Some(router) if router == address => far.rival = None,
            Some(router) if is_up => {
                far.rival = Some(address);
                if far.is_time_to_tell_of_rivals(now.time) {
                    let text = format!(
                        "another router, {address}, is heard on its interface; the session with \
                         {router} stands: an interface has one neighbor"
                    );
                    self.output(Output::Event(Event::PeerErrors(id, text)));
                }
            }
            _ => self.locate(now, index, Some(address)),
        }
    }

    /// What to tell of a caller from a link whose address is not that of a neighbour there.
    pub(crate) fn unheard(&self, device: IfIndex, address: Ipv6Addr) -> Event {
        let on = |p: &&Peer| p.far_end.as_ref().is_some_and(|far| far.is_on(device));
        match self.peers.iter().find(on).map(Peer::id) {
            Some(id) => {
                let why = format!("it is not the router that is heard on {id}");
                Event::PeerRefused(address.into(), why)
            }
            None => Event::UnknownPeer(address.into()),
        }
    }

    /// Once the session does not stand any more, who was heard last is the neighbour.
    pub(crate) fn give_way(&mut self, now: Now, index: PeerIdx) {
        let Some(peer) = self.peers.get_mut(index).filter(|p| p.up.is_none()) else { return };
        if let Some(rival) = peer.far_end.as_mut().and_then(|far| far.rival.take()) {
            self.locate(now, index, Some(rival));
        }
    }

    /// The neighbour is at this address from now on, or nobody knows where.
    fn locate(&mut self, now: Now, index: PeerIdx, router: Option<Ipv6Addr>) {
        let Some(peer) = self.peers.get_mut(index) else { return };
        let NeighborId::Interface(interface) = peer.id() else { return };
        let is_stopped = peer.session.is_stopped();
        if let Some(far) = peer.far_end.as_mut() {
            far.change(now, far.port.clone(), router);
        }
        let remote = peer.far_end.as_ref().and_then(FarEnd::remote);
        // Whatever is under way leads to where it was.
        if !is_stopped {
            self.stop(now, index, StopReason::PathGone);
        }
        self.underlay.forget_fixed();
        self.output(Output::Located { interface, remote });
        self.start(now, index);
    }
}
