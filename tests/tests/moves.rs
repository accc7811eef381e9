//! A host that moves is in one place, everywhere, within a second.
#![cfg(feature = "kernel-tests")]

use evpn_tests::pair::{Pair, VNI, VXLAN};
use evpn_tests::{
    Fabric, Fdb, Flow, FlowReport, Leaf, NeighEntry, Ns, gratuitous_arp, now, pause, wait_until,
};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

const MOVES: usize = 10;
const RATE: u32 = 1000;
/// From the first frame at the new place until both leaves agree.
const CONVERGENCE: Duration = Duration::from_secs(1);
/// How long a silent host stays undisturbed before somebody speaks to it.
const SILENCE: Duration = Duration::from_millis(500);
const MAC: &str = "02:00:00:00:00:50";
const IP: &str = "172.16.100.50";
/// No event of the kernel may be made up for by an audit.
const AUDIT: &str = "[evpn]\naudit-interval = \"1h\"\n";

/// A host with a link to each leaf, whose address is on one of them. It speaks only when told to.
struct Mover {
    ns: Ns,
}

impl Mover {
    fn new(fabric: &mut Fabric, leaves: &[Leaf; 2]) -> Self {
        let ns = fabric.node("mover");
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
    let local = Fdb::read(&at.ns);
    let here: Vec<String> = local.of(MAC).iter().map(|e| e.to_string()).collect();
    let own = local.of(MAC);
    let at_port = |e: &&&evpn_tests::FdbEntry| e.device == "h50" && e.in_bridge && !e.extern_learn;
    if own.len() != 1 || own.iter().filter(at_port).count() != 1 {
        return Err(format!("where it is: {here:?}"));
    }
    let remote = Fdb::read(&other.ns);
    let there: Vec<String> = remote.of(MAC).iter().map(|e| e.to_string()).collect();
    let wanted = [
        format!("{MAC} dev {VXLAN} dst - bridge extern_learn"),
        format!("{MAC} dev {VXLAN} dst {} self extern_learn", at.ip()),
    ];
    let as_wanted = |(seen, wanted): (&String, &String)| seen.starts_with(wanted.as_str());
    if there.len() != wanted.len() || !there.iter().zip(&wanted).all(as_wanted) {
        return Err(format!("at the other: {there:?}"));
    }
    let stale: Vec<_> = NeighEntry::of(&at.ns, IP).into_iter().filter(|n| n.extern_learn).collect();
    if !stale.is_empty() {
        return Err(format!("neighbours where it is: {stale:?}"));
    }
    let known = NeighEntry::of(&other.ns, IP);
    if known.len() != 1 || known[0].mac.as_deref() != Some(MAC) || !known[0].extern_learn {
        return Err(format!("neighbours at the other: {known:?}"));
    }
    Ok(())
}

/// Everyone who speaks to the mover knows its MAC address for ever: nobody asks for it.
fn introduce(pair: &Pair) {
    for host in &pair.hosts {
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
    let mover = Mover::new(&mut pair.fabric, &leaves);
    let _evpnds = pair.start(AUDIT);
    pair.reach_each_other();
    introduce(&pair);
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
    let mover = Mover::new(&mut pair.fabric, &leaves);
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
