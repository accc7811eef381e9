//! The death of a daemon with FRR opposite: who keeps forwarding, and for how long packets are lost
//! where nobody does. evpnd opposite evpnd is in `restart`.
//!
//! **Packets are numbered and counted by their receiver.**
#![cfg(feature = "kernel-tests")]

use evpn_tests::FrrVersion::{Eight, Ten};
use evpn_tests::pair::{Pair, VXLAN};
use evpn_tests::{
    Evpnd, Fdb, Flow, FlowReport, Frr, FrrBgp, FrrVersion, Host, eventually, pause, wait_until,
};
use std::time::Duration;

const RATE: u32 = 1000;
const SOON: Duration = Duration::from_secs(20);
/// How long a daemon is dead, if it is not started again at once.
const DEAD: Duration = Duration::from_secs(1);
/// FRR tells its routes a second after a session is up; what is to change has changed by then.
const SETTLED: Duration = Duration::from_millis(2500);
/// evpnd and FRR find each other again long before.
const RECOVERY: Duration = Duration::from_secs(5);
/// So many packets are lost where nobody keeps forwarding.
const MANY: usize = 100;

fn config(graceful_restart: bool) -> String {
    format!(
        "[router]\nas = 65001\ngraceful-restart = {graceful_restart}\n\
         [timers]\nconnect-retry = \"1s\"\n[[neighbor]]\naddress = \"10.0.0.2\"\nas = 65002\n"
    )
}

/// evpnd on the first leaf and FRR on the second.
struct Opposite {
    evpnd: Evpnd,
    frr: Frr,
    pair: Pair,
}

/// What became of packets from evpnd's host to FRR's, and back.
struct Lost {
    there: FlowReport,
    back: FlowReport,
}

impl Lost {
    fn tell(&self, what: &str) {
        let [there, back] =
            [&self.there, &self.back].map(|f| format!("{} (outage {:?})", f.summary(), f.outage()));
        println!("{what}: from evpnd's host {there}; from FRR's host {back}");
    }
}

impl Opposite {
    fn new(test: &str, version: FrrVersion) -> Self {
        let pair = Pair::new(test);
        pair.control_nothing_connects();
        let bgp = FrrBgp {
            own_as: 65002,
            neighbours: &[(1, 65001)],
            router: &["bgp graceful-restart", "bgp graceful-restart preserve-fw-state"],
            is_leaf: true,
            ..FrrBgp::default()
        };
        let frr = version.start(&pair.fabric, &pair.leaves[1], "", &bgp.text(2));
        let evpnd = Evpnd::start(&pair.fabric, &pair.leaves[0], &config(false));
        pair.reach_each_other();
        Self { evpnd, frr, pair }
    }

    /// Counts packets both ways while something happens.
    fn lost(&mut self, what: impl FnOnce(&mut Evpnd, &mut Frr)) -> Lost {
        let [a, b] = &self.pair.hosts;
        let flow = |from: &Host, to: &Host, port| {
            Flow::start((&from.ns, &from.ip), (&to.ns, &to.ip), port, RATE)
        };
        let (there, back) = (flow(a, b, 5000), flow(b, a, 5001));
        pause(Duration::from_millis(300));
        what(&mut self.evpnd, &mut self.frr);
        eventually(SOON, "the session is up", || is_up(&self.frr));
        pause(SETTLED);
        Lost { there: there.stop(), back: back.stop() }
    }
}

fn is_up(frr: &Frr) -> Result<(), String> {
    match frr.state("10.0.0.1")?.as_str() {
        "Established" => Ok(()),
        other => Err(other.to_owned()),
    }
}

fn kill_bgpd(_: &mut Evpnd, frr: &mut Frr) {
    frr.bgpd.kill9();
    pause(DEAD);
    frr.start_bgpd_again();
}

fn start_again(evpnd: &mut Evpnd) {
    evpnd.start_again();
    evpnd.wait_ready();
}

fn both_roles(test: &str, version: FrrVersion) {
    let mut both = Opposite::new(test, version);
    let control = both.lost(kill_bgpd);
    control.tell(&format!("{version} restarts, evpnd without graceful restart"));
    assert!(control.there.lost.len() > MANY, "control: {}", control.there.summary());

    both.evpnd.write_config(&both.pair.fabric, &config(true));
    for order in [&["config", "reload"][..], &["clear", "bgp", "10.0.0.2"]] {
        let answer = both.evpnd.ctl(order);
        assert_eq!(answer.status, 0, "{}{}", answer.stdout, answer.stderr);
    }
    pause(Duration::from_secs(1));
    both.pair.reach_each_other();
    // evpnd keeps what leads to FRR's hosts; FRR's own kernel loses what leads to ours.
    let helped = both.lost(kill_bgpd);
    helped.tell(&format!("{version} restarts, evpnd helps"));
    assert_eq!(helped.there.lost.len(), 0, "{}", helped.there.summary());

    let at_once = both.lost(|evpnd, _| {
        evpnd.daemon.kill9();
        start_again(evpnd);
    });
    at_once.tell(&format!("evpnd restarts at once, {version} opposite"));
    let (leaf, host) = (both.pair.leaves[1].clone(), both.pair.hosts[0].mac.clone());
    let late = both.lost(|evpnd, _| {
        evpnd.daemon.kill9();
        let gone = wait_until(DEAD, || {
            let remote = Fdb::read(&leaf.ns).remote(VXLAN);
            if remote.iter().any(|(mac, _)| *mac == host) { Err(remote.len()) } else { Ok(()) }
        });
        let gone = gone.map(|(_, took)| took);
        println!("{version} drops the routes of an evpnd that was killed after {gone:?}");
        pause(DEAD.saturating_sub(gone.unwrap_or(DEAD)));
        start_again(evpnd);
    });
    late.tell(&format!("evpnd is dead for {DEAD:?}, {version} opposite"));
    // Our kernel forwards all the time. FRR helps nobody with EVPN: it loses us until we are back.
    for lost in [&at_once, &late] {
        assert_eq!(lost.there.lost.len(), 0, "{}", lost.there.summary());
        assert!(lost.back.outage() < DEAD + RECOVERY, "{}", lost.back.summary());
    }
    assert!(late.back.lost.len() > MANY, "does {version} help? {}", late.back.summary());
    both.frr.expect_alive();
}

#[test]
fn frr_in_both_roles() {
    both_roles("gr-frr", Eight);
}

#[test]
fn frr_10_in_both_roles() {
    both_roles("gr-frr10", Ten);
}
