//! The battery's site: what a dead, lying or alarmed UPS may do, seen from a neighbour.
#![cfg(feature = "kernel-tests")]

use evpn_tests::{Evpnd, Fabric, Frr, Leaf, Nut, eventually, holds_for, now, pause};
use std::time::Duration;

const PREFIX: &str = "198.51.100.10/32";
/// Link bandwidth at the normal level, in octets a second: 10 Gbit/s.
const FULL: u64 = 1_250_000_000;
const STALE_AFTER: Duration = Duration::from_secs(2);
const STALE_HOLD: Duration = Duration::from_secs(5);
const DWELL: Duration = Duration::from_secs(1);
/// A driver's poll, a feed's interval and a second.
const REACTION: Duration = Duration::from_secs(4);
/// Thresholds of `config`, from the best level to the worst, with the share of each.
const THRESHOLDS: [(f64, u64); 3] = [(15.0, 1), (30.0, 100), (50.0, 500)];

struct Site {
    evpnd: Evpnd,
    nut: Nut,
    frr: Frr,
    fabric: Fabric,
}

fn config(guards: &str, confirm: &str) -> String {
    format!(
        "[router]
as = 65001
[timers]
connect-retry = \"1s\"
[[neighbor]]
address = \"10.0.0.2\"
as = 65002
[[vrf]]
l3vni = 5000
prefixes = [{{ prefix = \"{PREFIX}\", drain-time = \"1h\" }}]
[energy]
site = \"barn\"
feed = {{ type = \"nut\", ups = \"site\", interval = \"200ms\" }}
dwell = \"{}s\"
confirm = \"{confirm}\"
stale-after = \"{}s\"
stale-hold = \"{}s\"
max-change-per-minute = 100
max-changes-per-day = 64
{guards}",
        DWELL.as_secs(),
        STALE_AFTER.as_secs(),
        STALE_HOLD.as_secs()
    )
}

impl Site {
    fn new(test: &str, charge: u8, guards: &str, confirm: &str) -> Self {
        let mut fabric = Fabric::new(test);
        let [leaf, peer]: [Leaf; 2] = [1, 2].map(|n| fabric.leaf(n));
        for leaf in [&leaf, &peer] {
            leaf.l3vni(5000);
        }
        let nut = Nut::start(&fabric, &leaf.ns, charge, "OL");
        let bgpd = "router bgp 65002
 bgp router-id 10.0.0.2
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 neighbor 10.0.0.1 remote-as 65001
 neighbor 10.0.0.1 timers connect 1
 address-family l2vpn evpn
  neighbor 10.0.0.1 activate
  advertise-all-vni
";
        let frr = Frr::start(&fabric, &peer, "vni 5000\n", bgpd);
        let evpnd = Evpnd::start(&fabric, &leaf, &config(guards, confirm));
        let site = Self { evpnd, nut, frr, fabric };
        eventually(Duration::from_secs(20), "FRR has the route", || site.announced());
        site
    }

    /// The link bandwidth that FRR has received with the site's prefix.
    fn announced(&self) -> Result<u64, String> {
        let text = self.frr.vtysh("show bgp l2vpn evpn route type prefix json");
        let (_, rest) = text.split_once("LB:65001:").ok_or_else(|| text.clone())?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().map_err(|e| format!("{e}: {rest}"))
    }

    /// Whether the share of capacity that FRR has received is this, in thousandths.
    fn share_is(&self, permille: u64) -> Result<(), String> {
        let announced = self.announced()?;
        if announced == FULL / 1000 * permille { Ok(()) } else { Err(format!("LB {announced}")) }
    }

    /// The share that goes with the charge that `upsc` tells, in thousandths.
    fn expected(&self) -> u64 {
        let charge: f64 = self.nut.upsc("battery.charge").expect("upsc").parse().expect("a number");
        let level = THRESHOLDS.iter().find(|(below, _)| charge < *below);
        level.map_or(1000, |(_, share)| *share)
    }

    fn battery(&self, charge: &str, status: &str) {
        self.nut.set(&[("battery.charge", charge), ("ups.status", status)]);
    }

    fn energy(&self) -> String {
        let answer = self.evpnd.ctl(&["show", "energy"]);
        assert_eq!(answer.status, 0, "{}{}", answer.stdout, answer.stderr);
        assert!(answer.stdout.lines().all(|l| l.chars().count() <= 100), "{}", answer.stdout);
        answer.stdout
    }
}

#[test]
fn levels_follow_what_upsc_tells() {
    let site = Site::new("levels", 90, "", "0s");
    for charge in ["90", "45", "25", "10", "22", "35", "45", "70"] {
        site.battery(charge, if charge == "70" { "OL CHRG" } else { "OB DISCHRG" });
        // On the way up a level is left only `hysteresis` above its threshold: 15, 30, 50 plus 8.
        let share = match charge {
            "22" => 1,
            "35" | "45" if site.announced() != Ok(FULL) => {
                eventually(REACTION + DWELL, "a recovering site", || site.announced().map(|_| ()));
                continue;
            }
            _ => site.expected(),
        };
        let within = REACTION + DWELL * 4;
        eventually(within, &format!("{share} thousandths at {charge} %"), || site.share_is(share));
    }
}

#[test]
fn a_dead_upsd_drains_nothing_and_a_drained_site_eases_after_stale_hold() {
    let mut site = Site::new("dead-upsd", 90, "", "0s");
    eventually(REACTION, "normal", || site.share_is(1000));

    // A normal site stays normal.
    site.nut.kill_server();
    holds_for(STALE_AFTER + STALE_HOLD + DWELL * 2, "a dead feed drains nothing", || {
        site.share_is(1000)
    });
    let text = site.energy();
    assert!(text.contains("stale") || text.contains("refused"), "it says why:\n{text}");
    println!("{text}");

    // A drained one stays drained for stale-hold, then eases a level at a time.
    site.nut.start_server();
    site.battery("10", "OB DISCHRG");
    eventually(REACTION, "drained", || site.share_is(1));
    site.nut.kill_server();
    let killed = now();
    holds_for(STALE_HOLD, "what was reached is held", || site.share_is(1));
    println!("{}", site.energy());
    for share in [100, 500, 1000] {
        eventually(STALE_AFTER + STALE_HOLD + DWELL * 2, "eased by a level", || {
            let announced = site.announced()?;
            if announced >= FULL / 1000 * share { Ok(()) } else { Err(announced.to_string()) }
        });
        println!("{share} thousandths after {:?}", killed.elapsed());
    }
    let whole = killed.elapsed();
    assert!(whole >= STALE_HOLD + DWELL * 2, "one dwell at a time: {whole:?}");
}

/// Without the guard a dead feed does drain the site: the guard is what protects it.
#[test]
fn control_without_the_guard_a_dead_upsd_drains() {
    let mut site = Site::new("no-guard", 90, "[energy.guards]\nstale = false\n", "0s");
    eventually(REACTION, "normal", || site.share_is(1000));
    site.nut.kill_server();
    eventually(STALE_AFTER + REACTION, "control: drained by silence", || site.share_is(1));
}

#[test]
fn nonsense_changes_a_counter_and_nothing_else() {
    let site = Site::new("nonsense", 90, "", "0s");
    eventually(REACTION, "normal", || site.share_is(1000));
    let refused = || {
        let value = site.evpnd.json(&["show", "energy"]).expect("show energy");
        value["sites"][0]["rejectedReadings"].as_u64().expect("a counter")
    };
    for nonsense in ["250", "-5", "nan", "full", "0"] {
        let before = refused();
        site.battery(nonsense, "OL");
        holds_for(Duration::from_millis(800), nonsense, || site.share_is(1000));
        eventually(REACTION, &format!("{nonsense} is counted"), || {
            let after = refused();
            if after > before { Ok(()) } else { Err(format!("{after} refused")) }
        });
        site.battery("90", "OL");
        pause(Duration::from_millis(500));
    }
    let transitions = site.evpnd.json(&["show", "energy"]).expect("show energy");
    assert_eq!(transitions["sites"][0]["transitions"], 0, "{transitions}");
}

/// What the UPS itself calls the end needs no confirmation and no threshold.
#[test]
fn low_battery_and_forced_shutdown_drain_at_once() {
    for alarm in ["OB LB", "FSD OB"] {
        let site = Site::new("alarm", 80, "", "10m");
        eventually(REACTION, "normal", || site.share_is(1000));
        // Control: the same battery without the alarm waits for its confirmation.
        site.battery("10", "OB DISCHRG");
        holds_for(Duration::from_millis(800), "an unconfirmed low charge", || site.share_is(1000));
        site.battery("80", alarm);
        let began = now();
        eventually(Duration::from_secs(2), alarm, || site.share_is(1));
        println!("{alarm}: drained {:?} after upsc said so", began.elapsed());
        drop(site.fabric);
    }
}
