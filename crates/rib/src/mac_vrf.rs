//! The hosts of one L2VNI: who is local, who is remote, who moved (RFC 7432 sections 7 and 15).
//!
//! Events go in (a route came or went, the kernel learned or lost a host); [`MacVrf::take_actions`]
//! gives what follows, each address once, in order.
//!
//! **A MAC address has one place at a time: a local host is announced and not programmed as
//! remote, a remote one is programmed and not announced.**

use crate::Map;
use crate::table::DestId;
use evpn_proto::bgp::attributes::MacMobility;
use evpn_proto::types::MacAddr;
use smallvec::SmallVec;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// A remote route for a MAC address, or for one of its addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Remote {
    /// The route.
    pub dest: DestId,
    /// The MAC address.
    pub mac: MacAddr,
    /// Its VTEP.
    pub vtep: IpAddr,
    /// Its mobility.
    pub mobility: MacMobility,
}

impl Remote {
    /// What makes one route count more than another; the greatest counts. RFC 7432 section 15.1: the
    /// highest sequence, then the lowest VTEP; sticky before all.
    pub fn rank(&self) -> impl Ord + use<> {
        let MacMobility { sequence, sticky } = self.mobility;
        (sticky, sequence, Reverse(self.vtep))
    }
}

/// A host behind one of our own ports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Local {
    /// The sequence it is announced with, and whether it is sticky (written by the operator).
    pub mobility: MacMobility,
}

/// What the tables know of a MAC address.
#[derive(Clone, Debug, Default)]
pub struct MacEntry {
    /// Here, if it is.
    pub local: Option<Local>,
    /// The kernel has it behind one of our ports, but a remote route counts more. It is here again
    /// if that route goes before the kernel has taken it from the port: the kernel will not say so.
    yielded: Option<Local>,
    /// There, by whom.
    pub remote: SmallVec<[Remote; 1]>,
    /// Addresses bound to it, by our own neighbour table or by a remote route.
    bound: SmallVec<[IpAddr; 1]>,
    /// What has been announced of it.
    announced: Option<MacMobility>,
    /// Where it has been programmed to.
    programmed: Option<(IpAddr, Sticky)>,
}

/// Whether an entry must not move.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Sticky {
    /// It must not.
    Yes,
    /// It may.
    No,
}

impl MacEntry {
    /// The remote route that counts.
    pub fn best_remote(&self) -> Option<&Remote> {
        self.remote.iter().max_by_key(|r| r.rank())
    }

    fn is_empty(&self) -> bool {
        self.local.is_none()
            && self.yielded.is_none()
            && self.remote.is_empty()
            && self.bound.is_empty()
            && self.announced.is_none()
            && self.programmed.is_none()
    }
}

/// What the tables know of an IP address.
#[derive(Clone, Debug, Default)]
pub struct IpEntry {
    /// The MAC address that our own neighbour table gives it.
    pub local: Option<MacAddr>,
    /// Remote bindings.
    pub remote: SmallVec<[Remote; 1]>,
    announced: Option<(MacAddr, MacMobility)>,
    programmed: Option<MacAddr>,
}

impl IpEntry {
    fn is_empty(&self) -> bool {
        self.local.is_none()
            && self.remote.is_empty()
            && self.announced.is_none()
            && self.programmed.is_none()
    }
}

/// What follows from an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Remember the sequence before anybody is told of it.
    Persist(MacAddr, u32),
    /// Frames to the host go to this VTEP; with none, no longer.
    Program(MacAddr, Option<(IpAddr, Sticky)>),
    /// The remote host's address has this MAC address; with none, no longer.
    ProgramNeighbour(IpAddr, Option<MacAddr>),
    /// Announce the MAC address, alone or with one of its addresses; without mobility, withdraw.
    Announce(MacAddr, Option<IpAddr>, Option<MacMobility>),
    /// Ask the host, now local, whether the address is still its own.
    Probe(IpAddr, MacAddr),
    /// Our neighbour entry is for a host that is no longer local.
    Forget(IpAddr),
}

/// The tables of one L2VNI.
#[derive(Debug)]
pub struct MacVrf {
    vtep: IpAddr,
    macs: Map<MacAddr, MacEntry>,
    ips: Map<IpAddr, IpEntry>,
    /// Sequences above zero that were once announced, by us, also before a restart.
    sequences: Map<MacAddr, u32>,
    dirty_macs: BTreeSet<MacAddr>,
    dirty_ips: BTreeSet<IpAddr>,
    actions: Vec<Action>,
}

impl MacVrf {
    /// An empty table; `vtep` is ours, `sequences` what was persisted.
    pub fn new(vtep: IpAddr, sequences: impl IntoIterator<Item = (MacAddr, u32)>) -> Self {
        Self {
            vtep,
            macs: Map::default(),
            ips: Map::default(),
            sequences: sequences.into_iter().collect(),
            dirty_macs: BTreeSet::new(),
            dirty_ips: BTreeSet::new(),
            actions: Vec::new(),
        }
    }

    /// A MAC/IP route is (or is still) imported.
    pub fn remote_added(&mut self, ip: Option<IpAddr>, remote: Remote) {
        upsert(&mut self.macs.entry(remote.mac).or_default().remote, remote);
        self.dirty_macs.insert(remote.mac);
        if let Some(ip) = ip {
            upsert(&mut self.ips.entry(ip).or_default().remote, remote);
            self.bind(remote.mac, ip);
        }
    }

    /// A MAC/IP route is no longer imported.
    pub fn remote_removed(&mut self, mac: MacAddr, ip: Option<IpAddr>, dest: DestId) {
        if let Some(entry) = self.macs.get_mut(&mac) {
            entry.remote.retain(|r| r.dest != dest);
            self.dirty_macs.insert(mac);
        }
        let Some(ip) = ip else { return };
        if let Some(entry) = self.ips.get_mut(&ip) {
            entry.remote.retain(|r| r.dest != dest);
            self.unbind(mac, ip);
        }
    }

    /// The kernel has the host behind one of our ports: learned, moved there, or written.
    ///
    /// RFC 7432 section 15.1: a host that was remote takes the sequence of the best remote route
    /// plus one; never less than what was announced before.
    pub fn local_learned(&mut self, mac: MacAddr, sticky: Sticky) {
        let entry = self.macs.entry(mac).or_default();
        let sticky = sticky == Sticky::Yes;
        let known = self.sequences.get(&mac).copied().unwrap_or(0);
        let sequence = match (&entry.local, entry.best_remote()) {
            (Some(local), _) => local.mobility.sequence,
            (None, Some(remote)) if remote.vtep != self.vtep => {
                remote.mobility.sequence.saturating_add(1).max(known)
            }
            _ => known,
        };
        entry.local = Some(Local { mobility: MacMobility { sequence, sticky } });
        entry.yielded = None;
        self.dirty_macs.insert(mac);
    }

    /// The kernel no longer has it behind one of our ports.
    pub fn local_gone(&mut self, mac: MacAddr) {
        if let Some(entry) = self.macs.get_mut(&mac) {
            (entry.local, entry.yielded) = (None, None);
            self.dirty_macs.insert(mac);
        }
    }

    /// The kernel resolved a neighbour on the SVI by itself.
    pub fn neighbour(&mut self, ip: IpAddr, mac: MacAddr) {
        let former = self.ips.entry(ip).or_default().local.replace(mac);
        if let Some(former) = former.filter(|former| *former != mac) {
            self.unbind(former, ip);
        }
        self.bind(mac, ip);
    }

    /// The kernel's own entry is gone.
    pub fn neighbour_gone(&mut self, ip: IpAddr) {
        let Some(entry) = self.ips.get_mut(&ip) else { return };
        if let Some(mac) = entry.local.take() {
            self.unbind(mac, ip);
        }
    }

    fn bind(&mut self, mac: MacAddr, ip: IpAddr) {
        let bound = &mut self.macs.entry(mac).or_default().bound;
        if !bound.contains(&ip) {
            bound.push(ip);
        }
        self.dirty_ips.insert(ip);
    }

    /// Ends the binding unless something else still says it.
    fn unbind(&mut self, mac: MacAddr, ip: IpAddr) {
        self.dirty_ips.insert(ip);
        let still = self
            .ips
            .get(&ip)
            .is_some_and(|e| e.local == Some(mac) || e.remote.iter().any(|r| r.mac == mac));
        if let Some(entry) = self.macs.get_mut(&mac).filter(|_| !still) {
            entry.bound.retain(|b| *b != ip);
            self.dirty_macs.insert(mac);
        }
    }

    /// Everything that follows from the events since the last call.
    pub fn take_actions(&mut self) -> Vec<Action> {
        for mac in std::mem::take(&mut self.dirty_macs) {
            self.settle_mac(mac);
        }
        for ip in std::mem::take(&mut self.dirty_ips) {
            self.settle_ip(ip);
        }
        std::mem::take(&mut self.actions)
    }

    /// Whether there is anything to take.
    pub fn is_dirty(&self) -> bool {
        !self.dirty_macs.is_empty() || !self.dirty_ips.is_empty()
    }

    fn settle_mac(&mut self, mac: MacAddr) {
        let Some(entry) = self.macs.get_mut(&mac) else { return };
        let best = entry.best_remote().copied().filter(|r| r.vtep != self.vtep);
        let here = entry.local.or(entry.yielded);
        let local = here.filter(|l| local_wins(*l, best, self.vtep));
        entry.local = local;
        entry.yielded = here.filter(|_| local.is_none());
        let announced = local.map(|l| l.mobility);
        let programmed = best.filter(|_| local.is_none()).map(|r| {
            let sticky = if r.mobility.sticky { Sticky::Yes } else { Sticky::No };
            (r.vtep, sticky)
        });
        if let Some(MacMobility { sequence, .. }) = announced.filter(|m| m.sequence > 0)
            && self.sequences.insert(mac, sequence) != Some(sequence)
        {
            self.actions.push(Action::Persist(mac, sequence));
        }
        if entry.programmed != programmed {
            entry.programmed = programmed;
            self.actions.push(Action::Program(mac, programmed));
        }
        if entry.announced != announced {
            entry.announced = announced;
            self.actions.push(Action::Announce(mac, None, announced));
        }
        self.dirty_ips.extend(entry.bound.iter().copied());
        if entry.is_empty() {
            self.macs.remove(&mac);
        }
    }

    fn settle_ip(&mut self, ip: IpAddr) {
        let Some(entry) = self.ips.get_mut(&ip) else { return };
        let macs = &self.macs;
        let local_of = |mac: &MacAddr| macs.get(mac).and_then(|m| m.local);
        let best = entry.remote.iter().filter(|r| r.vtep != self.vtep).max_by_key(|r| r.rank());
        let best = best.copied();
        let here = entry.local.and_then(|mac| Some((mac, local_of(&mac)?)));
        let here = here.filter(|(mac, l)| {
            best.is_none_or(|r| r.mac == *mac || local_wins(*l, Some(r), self.vtep))
        });
        let moved_here = best.filter(|r| here.is_none() && local_of(&r.mac).is_some());
        let programmed = best.filter(|_| here.is_none() && moved_here.is_none()).map(|r| r.mac);
        let announced = here.map(|(mac, l)| (mac, l.mobility));
        if entry.programmed != programmed {
            entry.programmed = programmed;
            self.actions.push(Action::ProgramNeighbour(ip, programmed));
        }
        match moved_here {
            Some(remote) if entry.local.is_none() => {
                self.actions.push(Action::Probe(ip, remote.mac));
            }
            _ => {}
        }
        let homeless = entry
            .local
            .filter(|mac| here.is_none() && macs.get(mac).is_some_and(|m| m.programmed.is_some()));
        if homeless.is_some() && programmed.is_none() {
            self.actions.push(Action::Forget(ip));
        }
        if entry.announced != announced {
            if let Some((mac, _)) = entry.announced.filter(|(m, _)| here.map(|h| h.0) != Some(*m)) {
                self.actions.push(Action::Announce(mac, Some(ip), None));
            }
            if let Some((mac, mobility)) = announced {
                self.actions.push(Action::Announce(mac, Some(ip), Some(mobility)));
            }
            entry.announced = announced;
        }
        if entry.is_empty() {
            self.ips.remove(&ip);
        }
    }

    /// What is known of a MAC address.
    pub fn mac(&self, mac: MacAddr) -> Option<&MacEntry> {
        self.macs.get(&mac)
    }

    /// What is known of an IP address.
    pub fn ip(&self, ip: IpAddr) -> Option<&IpEntry> {
        self.ips.get(&ip)
    }

    /// Every MAC address, in no order that means anything.
    pub fn macs(&self) -> impl Iterator<Item = (MacAddr, &MacEntry)> {
        self.macs.iter().map(|(mac, entry)| (*mac, entry))
    }

    /// Every IP address, in no order that means anything.
    pub fn ips(&self) -> impl Iterator<Item = (IpAddr, &IpEntry)> {
        self.ips.iter().map(|(ip, entry)| (*ip, entry))
    }

    /// Sequences above zero, as persisted.
    pub fn sequences(&self) -> impl Iterator<Item = (MacAddr, u32)> {
        self.sequences.iter().map(|(mac, sequence)| (*mac, *sequence))
    }
}

fn upsert(remotes: &mut SmallVec<[Remote; 1]>, remote: Remote) {
    match remotes.iter_mut().find(|r| r.dest == remote.dest) {
        Some(slot) => *slot = remote,
        None => remotes.push(remote),
    }
}

/// RFC 7432 sections 15.1 and 15.2: the higher sequence wins, at equal sequence the lower VTEP; a
/// sticky address does not move to where it is not sticky.
fn local_wins(local: Local, remote: Option<Remote>, vtep: IpAddr) -> bool {
    let Some(remote) = remote else { return true };
    let MacMobility { sequence, sticky } = local.mobility;
    let ours = (sticky, sequence, Reverse(vtep));
    let theirs = (remote.mobility.sticky, remote.mobility.sequence, Reverse(remote.vtep));
    ours > theirs
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    fn address(n: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, n])
    }

    fn mobility(sequence: u32) -> MacMobility {
        MacMobility { sequence, sticky: false }
    }

    fn remote(dest: u32, vtep: u8, sequence: u32) -> Remote {
        Remote { dest: DestId(dest), mac: MAC, vtep: address(vtep), mobility: mobility(sequence) }
    }

    fn leaf() -> MacVrf {
        MacVrf::new(address(1), [])
    }

    #[test]
    fn a_new_local_host_is_announced_and_a_lost_one_withdrawn() {
        let mut vrf = leaf();
        vrf.local_learned(MAC, Sticky::No);
        assert_eq!(vrf.take_actions(), [Action::Announce(MAC, None, Some(mobility(0)))]);
        vrf.local_learned(MAC, Sticky::No);
        assert_eq!(vrf.take_actions(), []);
        vrf.local_gone(MAC);
        assert_eq!(vrf.take_actions(), [Action::Announce(MAC, None, None)]);
        assert!(vrf.mac(MAC).is_none());
    }

    #[test]
    fn a_host_that_moves_here_takes_the_next_sequence_persisted_before_it_is_announced() {
        let mut vrf = leaf();
        vrf.remote_added(None, remote(7, 2, 4));
        let to = Some((address(2), Sticky::No));
        assert_eq!(vrf.take_actions(), [Action::Program(MAC, to)]);
        vrf.local_learned(MAC, Sticky::No);
        assert_eq!(
            vrf.take_actions(),
            [
                Action::Persist(MAC, 5),
                Action::Program(MAC, None),
                Action::Announce(MAC, None, Some(mobility(5)))
            ]
        );
    }

    #[test]
    fn a_host_that_moves_away_is_programmed_and_withdrawn() {
        let mut vrf = leaf();
        vrf.local_learned(MAC, Sticky::No);
        vrf.take_actions();
        vrf.remote_added(None, remote(7, 2, 1));
        let to = Some((address(2), Sticky::No));
        assert_eq!(
            vrf.take_actions(),
            [Action::Program(MAC, to), Action::Announce(MAC, None, None)]
        );
    }

    #[test]
    fn a_host_that_the_kernel_never_gave_away_is_here_again_when_the_remote_route_goes() {
        let mut vrf = leaf();
        vrf.local_learned(MAC, Sticky::No);
        vrf.take_actions();
        vrf.remote_added(None, remote(7, 2, 1));
        vrf.take_actions();
        vrf.remote_removed(MAC, None, DestId(7));
        assert_eq!(
            vrf.take_actions(),
            [Action::Program(MAC, None), Action::Announce(MAC, None, Some(mobility(0)))]
        );
        vrf.remote_added(None, remote(7, 2, 1));
        vrf.take_actions();
        vrf.local_gone(MAC);
        vrf.remote_removed(MAC, None, DestId(7));
        assert_eq!(vrf.take_actions(), [Action::Program(MAC, None)]);
        assert!(vrf.mac(MAC).is_none());
    }

    #[test]
    fn a_sequence_never_falls_over_a_restart() {
        let mut vrf = MacVrf::new(address(1), [(MAC, 9)]);
        vrf.local_learned(MAC, Sticky::No);
        assert_eq!(
            vrf.take_actions().last(),
            Some(&Action::Announce(MAC, None, Some(mobility(9))))
        );
        vrf.local_gone(MAC);
        vrf.remote_added(None, remote(7, 2, 3));
        vrf.take_actions();
        vrf.local_learned(MAC, Sticky::No);
        assert_eq!(
            vrf.take_actions().last(),
            Some(&Action::Announce(MAC, None, Some(mobility(9))))
        );
    }

    #[test]
    fn at_equal_sequence_the_lower_vtep_keeps_the_host() {
        let mut low = MacVrf::new(address(1), []);
        low.local_learned(MAC, Sticky::No);
        low.remote_added(None, remote(7, 2, 0));
        assert_eq!(low.take_actions(), [Action::Announce(MAC, None, Some(mobility(0)))]);
        let mut high = MacVrf::new(address(3), []);
        high.local_learned(MAC, Sticky::No);
        high.remote_added(None, remote(7, 2, 0));
        assert_eq!(high.take_actions(), [Action::Program(MAC, Some((address(2), Sticky::No)))]);
    }

    #[test]
    fn a_sticky_remote_host_does_not_move_here() {
        let mut vrf = leaf();
        let sticky = MacMobility { sequence: 0, sticky: true };
        vrf.remote_added(None, Remote { mobility: sticky, ..remote(7, 2, 0) });
        vrf.take_actions();
        vrf.local_learned(MAC, Sticky::No);
        assert_eq!(vrf.take_actions(), []);
        assert!(vrf.mac(MAC).unwrap().local.is_none());
    }

    #[test]
    fn an_address_is_announced_while_its_host_is_local() {
        let mut vrf = leaf();
        let ip = address(100);
        vrf.neighbour(ip, MAC);
        assert_eq!(vrf.take_actions(), []);
        vrf.local_learned(MAC, Sticky::No);
        let announced = Action::Announce(MAC, Some(ip), Some(mobility(0)));
        assert_eq!(vrf.take_actions().last(), Some(&announced));
        vrf.local_gone(MAC);
        assert!(vrf.take_actions().contains(&Action::Announce(MAC, Some(ip), None)));
    }

    #[test]
    fn a_host_that_moves_here_is_asked_for_its_addresses() {
        let mut vrf = leaf();
        let ip = address(100);
        vrf.remote_added(Some(ip), remote(7, 2, 0));
        assert!(vrf.take_actions().contains(&Action::ProgramNeighbour(ip, Some(MAC))));
        vrf.local_learned(MAC, Sticky::No);
        let actions = vrf.take_actions();
        assert!(actions.contains(&Action::ProgramNeighbour(ip, None)));
        assert!(actions.contains(&Action::Probe(ip, MAC)));
        vrf.neighbour(ip, MAC);
        assert_eq!(vrf.take_actions(), [Action::Announce(MAC, Some(ip), Some(mobility(1)))]);
    }

    #[test]
    fn a_host_that_moves_away_leaves_no_neighbour_entry_of_ours() {
        let mut vrf = leaf();
        let ip = address(100);
        vrf.local_learned(MAC, Sticky::No);
        vrf.neighbour(ip, MAC);
        vrf.take_actions();
        vrf.remote_added(None, remote(7, 2, 1));
        assert!(vrf.take_actions().contains(&Action::Forget(ip)));
        vrf.neighbour_gone(ip);
        vrf.remote_added(Some(ip), remote(8, 2, 1));
        assert_eq!(vrf.take_actions(), [Action::ProgramNeighbour(ip, Some(MAC))]);
    }

    #[test]
    fn nothing_is_left_when_everything_is_gone() {
        let mut vrf = leaf();
        let ip = address(100);
        vrf.remote_added(Some(ip), remote(7, 2, 0));
        vrf.local_learned(MAC, Sticky::No);
        vrf.neighbour(ip, MAC);
        vrf.take_actions();
        vrf.remote_removed(MAC, Some(ip), DestId(7));
        vrf.local_gone(MAC);
        vrf.neighbour_gone(ip);
        vrf.take_actions();
        assert_eq!((vrf.macs.len(), vrf.ips.len()), (0, 0));
    }
}
