//! A host that moves is in one place, everywhere, within a second.
#![cfg(feature = "kernel-tests")]

use evpn_tests::pair::{Pair, VNI, VXLAN, config, frr_leaf, reach_each_other};
use evpn_tests::{
    Evpnd, Fabric, Fdb, Flow, FlowReport, Frr, FrrVersion, Host, Leaf, NeighEntry, Ns, eventually,
    gratuitous_arp, now, pause, wait_until,
};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

const MOVES: usize = 10;
const RATE: u32 = 1000;
/// From the first frame at the new place until both leaves agree.
const CONVERGENCE: Duration = Duration::from_secs(1);
/// How long a silent host stays undisturbed before somebody speaks to it.
const SILENCE: Duration = Duration::from_millis(500);
/// From a move between leaves of different make until the next.
const STEP: Duration = Duration::from_millis(700);
const MAC: &str = "02:00:00:00:00:50";
const IP: &str = "172.16.100.50";
/// No event of the kernel may be made up for by an audit.
const AUDIT: &str = "[evpn]\naudit-interval = \"1h\"\n";

/// A host with a link to each leaf, whose address is on one of them. It speaks only when told to.
struct Mover {
    ns: Ns,
}

impl Mover {
    fn new(fabric: &mut Fabric, name: &str, leaves: &[Leaf; 2]) -> Self {
        let ns = fabric.node(name);
        ns.sysctl("net.ipv6.conf.all.disable_ipv6", "1");
        ns.sysctl("net.ipv6.conf.default.disable_ipv6", "1");
        // It answers ARP only where its address is.
        ns.sysctl("net.ipv4.conf.all.arp_ignore", "1");
        for leaf in leaves {
            let (device, port) = (format!("e{}", leaf.number), "h50");
            fabric.link((&leaf.ns, port), (&ns, &device), evpn_tests::LEAF_PORT_MTU);
            leaf.ns.ip(&format!("link set {port} master br{VNI}"));
        }
        Self { ns }
    }

    /// Leaves a place: nothing there takes its packets any more; the link stays up or goes down.
    fn leave(&self, leaf: &Leaf, old_port: OldPort) {
        let device = format!("e{}", leaf.number);
        let down = match old_port {
            OldPort::StaysUp => String::new(),
            OldPort::LosesLink => format!("link set {device} down"),
        };
        self.ns.ip(&format!(
            "{down}
             addr flush dev {device}
             link set {device} address 02:00:00:00:ee:{:02x}",
            leaf.number
        ));
    }

    /// Arrives at a place, without a word.
    fn arrive(&self, leaf: &Leaf) {
        let device = format!("e{}", leaf.number);
        self.ns.ip(&format!(
            "link set {device} address {MAC}
             link set {device} up
             addr add {IP}/24 dev {device}"
        ));
    }

    fn speak(&self, leaf: &Leaf) {
        gratuitous_arp(&self.ns, &format!("e{}", leaf.number), MAC, IP);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum OldPort {
    StaysUp,
    LosesLink,
}

/// Whether both leaves hold the mover at `at` and nowhere else, by `bridge fdb` and `ip neigh`.
fn one_location(at: &Leaf, other: &Leaf) -> Result<(), String> {
    is_here(at)?;
    is_there(other, at)?;
    let known = NeighEntry::of(&other.ns, IP).len();
    if known == 1 { Ok(()) } else { Err(format!("{known} neighbours at the other")) }
}

/// Whether a leaf holds the mover at its own port and nowhere else.
fn is_here(leaf: &Leaf) -> Result<(), String> {
    let local = Fdb::read(&leaf.ns);
    let here: Vec<String> = local.of(MAC).iter().map(|e| e.to_string()).collect();
    let own = local.of(MAC);
    let at_port = |e: &&&evpn_tests::FdbEntry| e.device == "h50" && e.in_bridge && !e.extern_learn;
    if own.len() != 1 || own.iter().filter(at_port).count() != 1 {
        return Err(format!("where it is: {here:?}"));
    }
    let stale: Vec<_> =
        NeighEntry::of(&leaf.ns, IP).into_iter().filter(|n| n.extern_learn).collect();
    if stale.is_empty() { Ok(()) } else { Err(format!("neighbours where it is: {stale:?}")) }
}

/// Whether a leaf holds the mover behind the VTEP of another and nowhere else. Its address it may
/// know from there or not.
fn is_there(leaf: &Leaf, at: &Leaf) -> Result<(), String> {
    let remote = Fdb::read(&leaf.ns);
    let there: Vec<String> = remote.of(MAC).iter().map(|e| e.to_string()).collect();
    let wanted = [
        format!("{MAC} dev {VXLAN} dst - bridge extern_learn"),
        format!("{MAC} dev {VXLAN} dst {} self extern_learn", at.ip()),
    ];
    let as_wanted = |(seen, wanted): (&String, &String)| seen.starts_with(wanted.as_str());
    if there.len() != wanted.len() || !there.iter().zip(&wanted).all(as_wanted) {
        return Err(format!("at the other: {there:?}"));
    }
    let mut known = NeighEntry::of(&leaf.ns, IP);
    known.retain(|n| n.mac.as_deref() != Some(MAC) || !n.extern_learn);
    if known.is_empty() { Ok(()) } else { Err(format!("neighbours at the other: {known:?}")) }
}

/// Everyone who speaks to the mover knows its MAC address for ever: nobody asks for it.
fn introduce(hosts: &[Host; 2]) {
    for host in hosts {
        host.ns.ip(&format!("neigh replace {IP} lladdr {MAC} dev eth0 nud permanent"));
    }
}

fn losses(flows: [&FlowReport; 2], from: Instant, to: Instant) -> String {
    let [near, far] = flows.map(|f| f.lost_between(from, to));
    format!("{near} packets from a, {far} from b")
}

fn twenty(test: &str, old_port: OldPort) {
    let mut pair = Pair::new(test);
    let leaves = pair.leaves.clone();
    let mover = Mover::new(&mut pair.fabric, "mover", &leaves);
    let _evpnds = pair.start(AUDIT);
    pair.reach_each_other();
    introduce(&pair.hosts);
    mover.leave(&leaves[1], old_port);
    mover.arrive(&leaves[0]);
    mover.speak(&leaves[0]);
    let first = wait_until(CONVERGENCE * 3, || one_location(&leaves[0], &leaves[1]));
    first.expect("the mover is known where it begins");

    let [a, b] = &pair.hosts;
    let flows = [(a, 5000), (b, 5001)]
        .map(|(host, port)| Flow::start((&host.ns, &host.ip), (&mover.ns, IP), port, RATE));
    let mut moments = Vec::new();
    for number in 0..MOVES {
        let (from, to) = (&leaves[number % 2], &leaves[(number + 1) % 2]);
        let began = now();
        mover.leave(from, old_port);
        mover.arrive(to);
        if old_port == OldPort::LosesLink {
            // Nobody knows where it is; packets find it by flooding. Then somebody makes it speak.
            pause(SILENCE);
        }
        let spoke = now();
        mover.speak(to);
        let (outcome, took) = match wait_until(CONVERGENCE, || one_location(to, from)) {
            Ok(((), took)) => (Ok(()), took),
            Err(seen) => (Err(seen), spoke.elapsed()),
        };
        outcome.unwrap_or_else(|seen| panic!("move {number} to leaf {}: {seen}", to.number));
        pause(Duration::from_millis(300));
        moments.push((began, now(), took));
    }
    let flows = flows.map(Flow::stop);
    for (number, (began, ended, took)) in moments.into_iter().enumerate() {
        let lost = losses([&flows[0], &flows[1]], began, ended);
        println!("move {number}: one location after {took:?}, lost {lost}");
    }
    let arrived = flows.iter().map(|f| f.received.len()).min();
    assert!(arrived > Some(MOVES * 300), "the flows did reach the mover: {arrived:?}");
}

#[test]
fn ten_moves_with_the_old_port_up_and_one_gratuitous_arp() {
    twenty("move-up", OldPort::StaysUp);
}

#[test]
fn ten_moves_of_a_silent_host_whose_old_link_went_down() {
    twenty("move-down", OldPort::LosesLink);
}

/// With the daemon of one leaf stopped the leaves do not agree, and when it goes on they do.
#[test]
fn control_a_stopped_daemon_leaves_two_locations() {
    let mut pair = Pair::new("move-control");
    let leaves = pair.leaves.clone();
    let mover = Mover::new(&mut pair.fabric, "mover", &leaves);
    let evpnds = pair.start(AUDIT);
    pair.reach_each_other();
    let [one, two] = &leaves;
    mover.arrive(one);
    mover.speak(one);
    wait_until(CONVERGENCE * 3, || one_location(one, two)).expect("known where it begins");
    evpnds[0].daemon.signal(Signal::SIGSTOP);
    mover.leave(one, OldPort::StaysUp);
    mover.arrive(two);
    mover.speak(two);
    let seen = wait_until(CONVERGENCE * 2, || one_location(two, one));
    assert!(seen.is_err(), "control: nobody told leaf 1, yet it knows");
    evpnds[0].daemon.signal(Signal::SIGCONT);
    wait_until(CONVERGENCE, || one_location(two, one)).expect("it knows when it goes on");
}

/// Two leaves, a host behind each, and a host that moves between them.
struct Ground {
    leaves: [Leaf; 2],
    mover: Mover,
    flows: [Flow; 2],
}

/// When a move began and when it was over.
type Span = (Instant, Instant);

impl Ground {
    /// The mover begins at the second leaf, and both hosts send to it.
    fn new(mover: Mover, leaves: [Leaf; 2], hosts: &[Host; 2]) -> Self {
        introduce(hosts);
        mover.leave(&leaves[0], OldPort::StaysUp);
        mover.arrive(&leaves[1]);
        mover.speak(&leaves[1]);
        for host in hosts {
            eventually(CONVERGENCE * 5, "the mover is reached", || host.ns.ping(IP, 56));
        }
        let [near, far] = hosts;
        let flows = [(near, 5000), (far, 5001)]
            .map(|(host, port)| Flow::start((&host.ns, &host.ip), (&mover.ns, IP), port, RATE));
        Self { leaves, mover, flows }
    }

    fn step(&self, number: usize) -> Span {
        let (from, to) = (&self.leaves[(number + 1) % 2], &self.leaves[number % 2]);
        let began = now();
        self.mover.leave(from, OldPort::StaysUp);
        self.mover.arrive(to);
        self.mover.speak(to);
        pause(STEP);
        (began, now())
    }

    /// The packets lost in each move, of both flows.
    fn lost(self, moves: &[Span]) -> Vec<usize> {
        let flows = self.flows.map(Flow::stop);
        let arrived = flows.iter().map(|f| f.received.len()).min();
        assert!(arrived > Some(moves.len() * 300), "the flows did reach the mover: {arrived:?}");
        let of = |(from, to): &Span| flows.iter().map(|f| f.lost_between(*from, *to)).sum();
        moves.iter().map(of).collect()
    }
}

fn median(values: &[usize]) -> usize {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

/// A leaf of FRR, whose kernel learns its hosts' addresses when they speak.
fn frr(version: FrrVersion, fabric: &Fabric, leaf: &Leaf, other: &Leaf) -> Frr {
    leaf.ns.ip(&format!("addr add 172.16.{VNI}.{}/24 dev br{VNI}", leaf.number));
    leaf.ns.sysctl(&format!("net.ipv4.conf.br{VNI}.arp_accept"), "1");
    let systems = [leaf, other].map(|l| 65000 + u32::from(l.number));
    let bgpd = frr_leaf(leaf, systems[0], (other.number, systems[1]));
    version.start(fabric, leaf, "", &bgpd)
}

#[test]
fn twenty_moves_between_evpnd_and_frr_beside_two_of_frr() {
    beside_two_of_frr("move-frr", FrrVersion::Eight);
}

#[test]
fn twenty_moves_between_evpnd_and_frr_10_beside_two_of_it() {
    beside_two_of_frr("move-frr10", FrrVersion::Ten);
}

/// Between evpnd and FRR, and beside it, move by move, between two of FRR's.
fn beside_two_of_frr(test: &str, version: FrrVersion) {
    let mut pair = Pair::new(test);
    let [ours, theirs] = pair.leaves.clone();
    let control = [3, 4].map(|n| pair.fabric.leaf(n));
    let [c, d] = control.each_ref().map(|leaf| {
        leaf.vni(VNI);
        pair.fabric.host(&format!("host{}", leaf.number), leaf, VNI, 10 + leaf.number)
    });
    let mover = Mover::new(&mut pair.fabric, "mover", &pair.leaves);
    let other_mover = Mover::new(&mut pair.fabric, "mover2", &control);
    let evpnd = Evpnd::start(&pair.fabric, &ours, &config(1, AUDIT));
    let opposite = frr(version, &pair.fabric, &theirs, &ours);
    let _frrs = [(0, 1), (1, 0)].map(|(a, b)| frr(version, &pair.fabric, &control[a], &control[b]));
    pair.reach_each_other();
    reach_each_other(&c, &d);
    let ground = Ground::new(mover, pair.leaves.clone(), &pair.hosts);
    let other_ground = Ground::new(other_mover, control, &[c, d]);

    let (mut moves, mut other_moves, mut dirty) = (Vec::new(), Vec::new(), 0);
    for number in 0..2 * MOVES {
        moves.push(ground.step(number));
        let seen = wait_until(CONVERGENCE - STEP, || match number % 2 {
            0 => is_here(&ours),
            _ => is_there(&ours, &theirs),
        });
        seen.unwrap_or_else(|seen| panic!("move {number}, at evpnd: {seen}"));
        other_moves.push(other_ground.step(number));
        let [one, two] = &other_ground.leaves;
        let clean = if number % 2 == 0 { one_location(one, two) } else { one_location(two, one) };
        dirty += usize::from(clean.is_err());
    }
    // FRR counts them as a duplicate address, and nobody blocks it.
    let duplicates = opposite.vtysh(&format!("show evpn mac vni {VNI} duplicate"));
    assert!(duplicates.contains(MAC), "FRR counts twenty moves: {duplicates}");
    for host in &pair.hosts {
        eventually(CONVERGENCE, "the mover is reached", || host.ns.ping(IP, 56));
    }
    // Control: a leaf that is not told holds it where it was.
    evpnd.daemon.signal(Signal::SIGSTOP);
    ground.step(0);
    assert!(is_here(&ours).is_err(), "control: nobody told the kernel, yet it knows");
    evpnd.daemon.signal(Signal::SIGCONT);
    let lost = ground.lost(&moves);
    let other_lost = other_ground.lost(&other_moves);
    println!("evpnd and {version}: lost {lost:?}, median {}", median(&lost));
    println!(
        "{version} and {version}: lost {other_lost:?}, median {}; stale after {dirty}",
        median(&other_lost)
    );
    assert!(median(&lost) <= median(&other_lost), "more than between two of FRR");
}
