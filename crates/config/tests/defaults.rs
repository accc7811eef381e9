//! A leaf that says next to nothing, and what it gets.

use evpn_config::{
    Config, DataplaneMode, Feed, PeerAs, RdChoice, RtChoice, Source, load, schema_keys,
};
use std::time::Duration;

fn config(text: &str) -> Config {
    match load(&[Source::new("evpnd.toml", text)]) {
        Ok(loaded) => loaded.config,
        Err(errors) => panic!("{}", errors.report()),
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_working_leaf_takes_five_lines() {
    let config =
        config("[router]\nas = 65001\n[[neighbor]]\naddress = \"10.0.0.254\"\nas = 65000\n");
    let [spine] = config.neighbors.as_slice() else { panic!("one neighbor") };
    assert_eq!(
        (spine.hold, spine.keepalive, spine.connect_retry),
        (SECOND * 90, SECOND * 30, SECOND * 10)
    );
    assert_eq!((spine.multihop, spine.port, spine.passive, spine.shutdown), (1, 179, false, false));
    assert!(!spine.is_internal(config.router.asn));
    assert!(config.router.graceful_restart && config.evpn.advertise_all_vni);
    assert_eq!((config.router.id, config.router.vtep), (None, None));
    assert_eq!(config.dataplane.mode, DataplaneMode::Program);
    assert_eq!(config.energy.feed, Feed::Manual);
    assert_eq!(config.energy.drain_time.idle_ticks(), 1_500);
    assert_eq!(config.api.mode, 0o660);
}

#[test]
fn every_key_can_be_written() {
    let full = include_str!("full.toml");
    for key in schema_keys() {
        let name = key.path.rsplit('.').next().unwrap();
        // A configuration has one feed, and there it is not one that reads a file.
        let is_there = key.path == "energy.feed.path" || full.contains(&format!("{name} = "));
        assert!(is_there, "{}", key.path);
    }
    let config = config(full);
    assert_eq!(config.unicast.announce.len(), 2);
    assert_eq!(config.router.asn.0, (65_000 << 16) | 1);
    let [first, second, _, on_link] = config.neighbors.as_slice() else { panic!("four neighbors") };
    assert_eq!((on_link.id.to_string().as_str(), on_link.multihop), ("swp1", 1));
    let [guests] = config.dynamic_groups.as_slice() else { panic!("one group listens") };
    assert_eq!((guests.listen.len(), guests.listen_limit), (2, 7));
    assert_eq!(guests.neighbor.connect_retry, SECOND * 5, "of the timers");
    // From the group.
    assert_eq!((first.asn, first.multihop, first.passive), (PeerAs::External, 2, true));
    assert_eq!(
        (first.hold, first.keepalive, first.connect_retry),
        (SECOND * 9, SECOND * 3, SECOND)
    );
    // Its own; no keepalives without a hold time, though [timers] has some.
    assert_eq!(
        (second.hold, second.keepalive, second.connect_retry),
        (Duration::ZERO, Duration::ZERO, SECOND * 20)
    );
    let [vrf] = config.vrfs.as_slice() else { panic!("one vrf") };
    let drains: Vec<u64> =
        vrf.prefixes.iter().map(|prefix| prefix.drain_time.get().as_secs()).collect();
    assert_eq!(drains, [120, 3600], "the vrf's, then its own");
    let [vni] = config.vnis.as_slice() else { panic!("one vni") };
    assert!(matches!(vni.rd, RdChoice::Fixed(rd) if rd.to_string() == "10.0.0.1:100"));
    assert!(matches!(vni.import.as_slice(), [RtChoice::Fixed(_), RtChoice::Auto]));
    assert_eq!(config.dataplane.receive_buffer, 8 << 20);
    assert_eq!(config.energy.capacity.bits_per_second(), 1_000_000_000);
    let Feed::Nut { address, password_file, .. } = &config.energy.feed else { panic!("nut") };
    assert_eq!(address.to_string(), "[::1]:3493");
    assert_eq!(password_file.as_deref(), Some("/etc/evpnd/ups".as_ref()));
}

#[test]
fn values_come_from_the_neighbor_then_its_group_then_the_timers() {
    let config = config(
        r#"
        router.as = 65001
        timers = { hold = "30s", keepalive = "5s", connect-retry = "3s" }
        [[group]]
        name = "spines"
        as = "internal"
        connect-retry = "2s"
        [[neighbor]]
        address = "10.0.0.1"
        group = "spines"
        [[neighbor]]
        address = "10.0.0.2"
        group = "spines"
        as = 65002
        hold = "9s"
        "#,
    );
    let [first, second] = config.neighbors.as_slice() else { panic!("two neighbors") };
    assert_eq!((first.asn, first.multihop), (PeerAs::Internal, 255));
    assert_eq!(
        (first.hold, first.keepalive, first.connect_retry),
        (SECOND * 30, SECOND * 5, SECOND * 2)
    );
    assert_eq!((second.asn.to_string().as_str(), second.multihop), ("65002", 1));
    assert_eq!((second.hold, second.keepalive), (SECOND * 9, SECOND * 3), "a pair of its own");
}

#[test]
fn the_order_of_the_text_does_not_matter() {
    let (a, b) = (
        "[[neighbor]]\naddress = \"10.0.0.9\"\nas = 1\n",
        "[[neighbor]]\naddress = \"10.0.0.10\"\nas = 2\n",
    );
    assert_eq!(
        config(&format!("router.as = 65001\n{a}{b}")),
        config(&format!("router.as = 65001\n{b}{a}"))
    );
}

#[test]
fn a_stale_time_fits_the_feed() {
    let stale = |feed: &str| {
        config(&format!("router.as = 65001\n[energy]\nfeed = {feed}\n")).energy.stale_after
    };
    assert_eq!(stale("{ type = \"manual\" }"), SECOND * 300);
    assert_eq!(stale("{ type = \"nut\", ups = \"site\" }"), SECOND * 300);
    assert_eq!(stale("{ type = \"file\", path = \"/x\", interval = \"10m\" }"), SECOND * 1_800);
}

#[test]
fn the_pace_of_energy_can_be_as_fast_as_its_feed() {
    let energy = config(
        r#"
        router.as = 65001
        [energy]
        hysteresis = 1
        dwell = "0s"
        confirm = "0s"
        stale-after = "1s"
        stale-hold = "1s"
        max-change-per-minute = 100
        max-changes-per-day = 64
        drain-time = "1s"
        feed = { type = "file", path = "/run/battery.json", interval = "100ms" }
        thresholds = { prefer-less = 3, avoid = 2, drained = 1 }
        weights = { prefer-less = 2, avoid = 1 }
        "#,
    )
    .energy;
    assert_eq!((energy.dwell, energy.confirm), (Duration::ZERO, Duration::ZERO));
    assert_eq!((energy.stale_after, energy.stale_hold), (SECOND, SECOND));
    assert_eq!((energy.hysteresis, energy.max_change_per_minute), (1, 100));
    assert_eq!((energy.drain_time.get(), energy.drain_time.idle_ticks()), (SECOND, 25));
    assert_eq!(energy.feed.interval(), Some(Duration::from_millis(100)));
}
