//! The rules of the policy, one table or story each.

use std::time::Duration;

use evpn_energy::{
    AcceptedReading, Alarm, Decision, Explanation, Guard, Inputs, Level, OverrideRequest,
    OverrideTerms, Permille, Policy, Reading, Reason, State, UnixSeconds, decide,
};
use evpn_proto::types::Time;

const WALL: UnixSeconds = UnixSeconds(1_700_000_000);

/// A site, its feed and its clock.
struct Site {
    policy: Policy,
    state: State,
    now: Time,
    reading: Option<AcceptedReading>,
}

impl Site {
    fn new() -> Self {
        // Not the start of the clock, which hides errors of sign.
        let now = Time::from_nanos(1_000_000_000_000);
        Self { policy: Policy::default(), state: State::new(now), now, reading: None }
    }

    fn at(level: Level) -> Self {
        let mut site = Self::new();
        site.state.level = level;
        site
    }

    fn inputs(&self) -> Inputs {
        Inputs { now: self.now, reading: self.reading }
    }

    fn decide(&mut self) -> Decision {
        let decision = decide(&self.policy, &self.state, &self.inputs());
        self.state = decision.state.clone();
        decision
    }

    fn wait(&mut self, seconds: u64) -> Decision {
        self.now = self.now + Duration::from_secs(seconds);
        self.decide()
    }

    fn read(&mut self, seconds_later: u64, reading: Reading) -> Decision {
        self.now = self.now + Duration::from_secs(seconds_later);
        self.reading = Some(AcceptedReading::fresh(reading, self.now));
        self.decide()
    }

    fn percent(&mut self, seconds_later: u64, percent: u8) -> Decision {
        self.read(seconds_later, Reading::of_charge(Permille::percent(percent)))
    }

    /// A reading of the same charge every half minute.
    fn steady(&mut self, percent: u8, seconds: u64) -> Decision {
        let mut decision = self.percent(0, percent);
        for _ in 0..seconds / 30 {
            decision = self.percent(30, percent);
        }
        decision
    }

    fn order(&mut self, request: OverrideRequest) -> Decision {
        self.state.request(request, self.now, WALL).unwrap();
        self.decide()
    }
}

fn terms(seconds: u64) -> OverrideTerms {
    OverrideTerms { seconds, reason: "works on the roof".to_owned() }
}

#[test]
fn a_confirmed_charge_leads_to_its_level_from_any_better_one() {
    for (percent, level) in [
        (100, Level::Normal),
        (50, Level::Normal),
        (49, Level::PreferLess),
        (30, Level::PreferLess),
        (29, Level::Avoid),
        (15, Level::Avoid),
        (14, Level::Drained),
        (0, Level::Drained),
    ] {
        for start in Level::ALL.into_iter().filter(|start| *start <= level) {
            let mut site = Site::at(start);
            assert_eq!(site.steady(percent, 60).level(), level, "{percent} % from {start}");
        }
    }
}

#[test]
fn a_fall_counts_only_when_readings_have_shown_it_for_the_confirm_time() {
    let mut site = Site::new();
    site.percent(0, 60);
    let decision = site.percent(30, 10);
    assert_eq!((decision.level(), decision.blocked_by), (Level::Normal, Some(Guard::Confirm)));
    assert_eq!(
        decision.reasons,
        [Reason::Confirming { soc: Permille::percent(10), level: Level::Drained, seconds: 60 }]
    );
    assert_eq!(site.wait(200).level(), Level::Normal, "silence confirms nothing");
    assert_eq!(
        site.percent(1, 60).level(),
        Level::Normal,
        "one reading above begins the count anew"
    );
    site.percent(30, 10);
    assert_eq!(site.percent(59, 10).level(), Level::Normal);
    let decision = site.percent(1, 10);
    assert_eq!((decision.from, decision.level()), (Level::Normal, Level::Drained));
    let below = Reason::Below {
        soc: Permille::percent(10),
        threshold: Permille::percent(15),
        level: Level::Drained,
    };
    assert_eq!(decision.reasons, [below]);
}

#[test]
fn readings_on_both_sides_of_a_silence_confirm_nothing() {
    for decided_meanwhile in [true, false] {
        let mut site = Site::new();
        site.percent(0, 10);
        if decided_meanwhile {
            site.wait(299);
            site.wait(1);
        } else {
            site.now = site.now + Duration::from_secs(300);
        }
        assert_eq!(site.percent(0, 10).level(), Level::Normal);
        assert_eq!(site.percent(60, 10).level(), Level::Drained);
    }
}

#[test]
fn each_threshold_is_confirmed_by_itself() {
    let mut site = Site::new();
    for percent in [45, 40, 14] {
        site.percent(30, percent);
    }
    assert_eq!(site.state.level, Level::PreferLess, "below 50 % for 60 s, below 15 % only now");
    assert_eq!(site.percent(60, 14).level(), Level::Drained);
}

#[test]
fn a_level_eases_one_step_at_a_time_and_not_within_a_dwell() {
    let mut site = Site::new();
    site.steady(10, 60);
    let drained_at = site.now;
    let mut eased = Vec::new();
    for _ in 0..120 {
        let decision = site.percent(30, 90);
        if decision.changed() {
            eased.push((decision.level(), site.now.saturating_since(drained_at).as_secs()));
        } else if decision.level() != Level::Normal
            && site.now.saturating_since(drained_at).as_secs() > 60
        {
            assert_eq!(decision.blocked_by, Some(Guard::Dwell));
        }
    }
    assert_eq!(eased, [(Level::Avoid, 600), (Level::PreferLess, 1200), (Level::Normal, 1800)]);
}

#[test]
fn a_charge_that_hovers_at_a_threshold_changes_the_level_once() {
    let mut site = Site::new();
    site.steady(49, 60);
    let mut changes = 0;
    for round in 0..5_000_u32 {
        // 48 % to 57 %: up to one below threshold plus recovery.
        let decision = site.percent(60, 48 + (round % 10) as u8);
        changes += u32::from(decision.changed());
        if round % 10 == 5 {
            let needs = Permille::percent(58);
            assert_eq!(
                decision.reasons,
                [Reason::NotRecovered { soc: Permille::percent(53), needs }]
            );
        }
    }
    assert_eq!((site.state.level, changes), (Level::PreferLess, 0));
}

#[test]
fn one_high_reading_does_not_ease_a_level_that_has_dwelt_for_long() {
    let mut site = Site::new();
    site.steady(10, 1200);
    let decision = site.percent(30, 90);
    assert_eq!((decision.level(), decision.blocked_by), (Level::Drained, Some(Guard::Confirm)));
    assert_eq!(site.percent(30, 10).level(), Level::Drained);
}

#[test]
fn an_alarm_drains_at_once_against_confirmation_dwell_and_cap() {
    for alarm in [Alarm::LowBattery, Alarm::ForcedShutdown] {
        let mut site = Site::new();
        site.policy.pace.max_changes_per_day = 0;
        let decision = site.read(0, Reading { alarm, ..Reading::of_charge(Permille::percent(90)) });
        assert_eq!(
            (decision.level(), decision.reasons),
            (Level::Drained, vec![Reason::Alarm { alarm }])
        );
    }
}

#[test]
fn a_stale_feed_holds_the_level_then_eases_it_and_never_drains() {
    let mut site = Site::new();
    site.steady(25, 60);
    assert_eq!(site.state.level, Level::Avoid);
    site.percent(30, 5);
    let last = site.now;

    let decision = site.wait(299);
    assert_eq!(decision.level(), Level::Avoid);
    let stale_at = decision.next_deadline.unwrap();
    assert_eq!(stale_at, last + Duration::from_secs(300));

    site.now = stale_at;
    let decision = site.decide();
    assert_eq!((decision.level(), decision.blocked_by), (Level::Avoid, Some(Guard::StaleHold)));
    assert_eq!(decision.reasons, [Reason::StaleKept { silent: 300 }]);
    let held_until = decision.next_deadline.unwrap();
    assert_eq!(held_until, last + Duration::from_secs(3900));

    let mut easings = Vec::new();
    site.now = held_until;
    loop {
        let decision = site.decide();
        if decision.changed() {
            assert!(matches!(decision.reasons.first(), Some(Reason::StaleEased { .. })));
            easings.push((decision.level(), site.now.saturating_since(last).as_secs()));
        }
        let Some(next) = decision.next_deadline else { break };
        site.now = next;
    }
    assert_eq!(easings, [(Level::PreferLess, 3900), (Level::Normal, 4500)]);
}

#[test]
fn without_its_guard_a_stale_feed_drains() {
    // The negative control of the test above.
    let mut site = Site::new();
    site.policy.guards.stale_feed_never_drains = false;
    site.percent(0, 90);
    let decision = site.wait(299);
    assert_eq!(decision.level(), Level::Normal);
    let decision = site.wait(1);
    assert_eq!(decision.level(), Level::Drained);
    assert_eq!(decision.reasons, [Reason::StaleGuardOff { silent: 300 }]);
}

#[test]
fn an_alarm_that_went_stale_drains_nobody() {
    let mut site = Site::new();
    let alarm =
        Reading { alarm: Alarm::ForcedShutdown, ..Reading::of_charge(Permille::percent(5)) };
    site.reading = Some(AcceptedReading::fresh(alarm, site.now));
    assert_eq!(site.wait(300).level(), Level::Normal);
}

#[test]
fn a_site_that_starts_without_a_feed_keeps_its_level_then_eases() {
    let mut site = Site::at(Level::Drained);
    let decision = site.decide();
    assert_eq!((decision.level(), decision.reasons), (Level::Drained, vec![Reason::NoReadingYet]));
    assert_eq!(site.wait(3899).level(), Level::Drained);
    assert_eq!(site.wait(1).level(), Level::Avoid);
}

#[test]
fn changes_in_a_day_never_exceed_the_cap_and_a_fall_always_fits_under_it() {
    for cap in [4, 6, 12] {
        let mut site = Site::new();
        site.policy.pace.max_changes_per_day = cap;
        let mut times: Vec<Time> = Vec::new();
        let mut blocked = 0;
        // A battery that empties and fills every two hours, for four days.
        for half_minute in 0..4 * 2880_u32 {
            let phase = half_minute % 240;
            let percent = if phase < 120 { 5 } else { 95 };
            let decision = site.percent(30, percent);
            if decision.changed() {
                times.push(site.now);
            }
            if percent == 5 && phase > 3 {
                assert_eq!(decision.level(), Level::Drained, "a fall is never blocked by the cap");
            }
            blocked += u32::from(decision.blocked_by == Some(Guard::ChangesPerDay));
        }
        for (index, first) in times.iter().enumerate() {
            let within = times[index..]
                .iter()
                .filter(|t| t.saturating_since(*first) < Duration::from_secs(86_400));
            assert!(within.count() <= usize::from(cap));
        }
        assert!(blocked > 0, "the cap of {cap} was met");
    }
}

#[test]
fn a_drain_order_drains_at_once_and_ends_by_itself_step_by_step() {
    let mut site = Site::new();
    site.steady(90, 60);
    let decision = site.order(OverrideRequest::Drain(terms(3600)));
    assert_eq!(decision.level(), Level::Drained);
    assert!(matches!(decision.reasons.first(), Some(Reason::Override { seconds: 3600, .. })));
    let decision = site.steady(90, 3570);
    assert_eq!(decision.level(), Level::Drained);
    let decision = site.percent(30, 90);
    assert_eq!(decision.level(), Level::Avoid, "the dwell was served during the order");
    assert!(decision.reasons.iter().any(|reason| matches!(reason, Reason::OverrideEnded { .. })));
    assert_eq!(site.state.override_, None);
    assert_eq!(site.steady(90, 1200).level(), Level::Normal);
}

#[test]
fn an_order_ends_without_any_reading_at_its_deadline() {
    let mut site = Site::new();
    let decision = site.order(OverrideRequest::Hold(terms(60)));
    assert_eq!(decision.next_deadline, Some(site.now + Duration::from_secs(60)));
    site.now = site.now + Duration::from_secs(60);
    assert_eq!(site.decide().state.override_, None);
}

#[test]
fn a_hold_keeps_the_level_even_against_an_alarm_and_says_so() {
    let mut site = Site::new();
    site.order(OverrideRequest::Hold(terms(3600)));
    let alarm = Reading { alarm: Alarm::LowBattery, ..Reading::of_charge(Permille::percent(3)) };
    let decision = site.read(30, alarm);
    assert_eq!((decision.level(), decision.blocked_by), (Level::Normal, Some(Guard::Override)));
    let decision = site.order(OverrideRequest::Auto);
    assert_eq!(decision.level(), Level::Drained);
}

#[test]
fn a_dry_run_decides_and_announces_normal() {
    let mut site = Site::new();
    site.policy.dry_run = true;
    let decision = site.steady(10, 60);
    assert_eq!((decision.level(), decision.announced), (Level::Drained, Level::Normal));
    assert!(decision.reasons.contains(&Reason::DryRun));
}

#[test]
fn an_explanation_says_what_an_operator_asks() {
    let mut site = Site::new();
    site.steady(25, 60);
    let decision = site.steady(60, 60);
    let explanation =
        Explanation::new(&decision, &site.inputs(), site.now + Duration::from_secs(40));
    let json = serde_json::to_value(&explanation).unwrap();
    let expected = serde_json::json!({
        "reading": {"soc": 600, "pv_watts": null, "load_watts": null, "battery_watts": null, "alarm": "none",
            "on_battery": null, "source_time": null, "quality": "good"},
        "reading_age_seconds": 40,
        "level": "avoid", "announced": "avoid", "level_age_seconds": 100,
        "falls": {"level": "drained", "at": 150}, "rises": {"level": "prefer-less", "at": 380},
        "dwell_remaining_seconds": 500, "blocked_by": "dwell",
        "reasons": [{"reason": "dwelling", "seconds": 540}],
        "changes_in_a_day": 1, "override": null, "decides_again_in_seconds": 260,
    });
    assert_eq!(json, expected);
    assert_eq!(
        explanation.to_string(),
        "avoid: the level must last for another 540 s before it eases"
    );
}
