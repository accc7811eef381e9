//! What holds for every policy, every sequence of readings and every clock.

use std::time::Duration;

use evpn_energy::feed::{file, nut};
use evpn_energy::{
    AcceptedReading, Alarm, Decision, Gate, Gates, Guards, Inputs, Level, Levers, Mark,
    OverrideRequest, OverrideTerms, Permille, Policy, Reading, Snapshot, State, Thresholds,
    UnixSeconds, Verdict, decide, levers,
};
use evpn_proto::types::Time;
use proptest::prelude::*;

const WALL: UnixSeconds = UnixSeconds(1_700_000_000);
const DAY: Duration = Duration::from_secs(86_400);

/// Something that happens to a site.
#[derive(Debug, Clone)]
enum Event {
    Read { after_ms: u64, reading: Reading },
    Wait { after_ms: u64 },
    Order(OverrideRequest),
    Restart { wall: u64 },
}

fn permille() -> impl Strategy<Value = Permille> {
    (0..=1000_u16).prop_map(|p| Permille::new(p).unwrap())
}

fn alarm() -> impl Strategy<Value = Alarm> {
    prop_oneof![20 => Just(Alarm::None), 1 => Just(Alarm::LowBattery), 1 => Just(Alarm::ForcedShutdown)]
}

fn event() -> impl Strategy<Value = Event> {
    let request = prop_oneof![
        Just(OverrideRequest::Auto),
        (1..10_000_u64).prop_map(|seconds| OverrideRequest::Drain(OverrideTerms {
            seconds,
            reason: String::new()
        })),
        (1..10_000_u64).prop_map(|seconds| OverrideRequest::Hold(OverrideTerms {
            seconds,
            reason: String::new()
        })),
    ];
    prop_oneof![
        12 => (0..120_000_u64, permille(), alarm())
            .prop_map(|(after_ms, soc, alarm)| Event::Read { after_ms, reading: Reading { alarm, ..Reading::of_charge(soc) } }),
        4 => (0..7_200_000_u64).prop_map(|after_ms| Event::Wait { after_ms }),
        1 => request.prop_map(Event::Order),
        1 => any::<u64>().prop_map(|wall| Event::Restart { wall }),
    ]
}

fn duration(max_seconds: u64) -> impl Strategy<Value = Duration> {
    (0..=max_seconds * 1000).prop_map(Duration::from_millis)
}

/// Any policy that can be written down, sensible or not.
fn any_policy() -> impl Strategy<Value = Policy> {
    let thresholds = (permille(), permille(), permille());
    let pace = (permille(), duration(1200), duration(120), any::<u8>());
    let stale = (duration(600), duration(7200));
    (thresholds, pace, stale, any::<bool>(), any::<bool>()).prop_map(|(t, p, s, guard, dry_run)| {
        let mut policy = Policy {
            thresholds: Thresholds { prefer_less: t.0, avoid: t.1, drained: t.2 },
            guards: Guards { stale_feed_never_drains: guard },
            dry_run,
            ..Policy::default()
        };
        (
            policy.pace.recovery,
            policy.pace.dwell,
            policy.pace.confirm,
            policy.pace.max_changes_per_day,
        ) = p;
        (policy.stale.after, policy.stale.hold) = s;
        policy
    })
}

fn valid_policy() -> impl Strategy<Value = Policy> {
    any_policy().prop_map(|mut policy| {
        policy.thresholds = Thresholds::default();
        policy.pace.recovery = Permille::new(policy.pace.recovery.get() % 300 + 1).unwrap();
        policy.pace.max_changes_per_day = policy.pace.max_changes_per_day % 61 + 4;
        policy.stale.after += Duration::from_secs(1);
        policy.validate().unwrap();
        policy
    })
}

/// A site that events happen to, and every decision it took.
struct Site {
    policy: Policy,
    state: State,
    reading: Option<AcceptedReading>,
    now: Time,
}

impl Site {
    fn new(policy: Policy) -> Self {
        Self { policy, state: State::new(Time::ZERO), reading: None, now: Time::ZERO }
    }

    fn inputs(&self) -> Inputs {
        Inputs { now: self.now, reading: self.reading }
    }

    fn suffer(&mut self, event: &Event) -> Decision {
        match event {
            Event::Read { after_ms, reading } => {
                self.now = self.now + Duration::from_millis(*after_ms);
                self.reading = Some(AcceptedReading::fresh(*reading, self.now));
            }
            Event::Wait { after_ms } => self.now = self.now + Duration::from_millis(*after_ms),
            Event::Order(request) => self.state.request(request.clone(), self.now, WALL).unwrap(),
            Event::Restart { wall } => {
                let text = Snapshot::of(&self.state, self.now, WALL).encode().unwrap();
                self.state = Snapshot::decode(text.as_bytes())
                    .unwrap()
                    .restore(self.now, UnixSeconds(*wall));
                self.reading = None;
            }
        }
        let decision = decide(&self.policy, &self.state, &self.inputs());
        self.state = decision.state.clone();
        decision
    }
}

fn after(policy: Policy, events: &[Event]) -> Site {
    let mut site = Site::new(policy);
    for event in events {
        site.suffer(event);
    }
    site
}

fn events(max: usize) -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec(event(), 0..max)
}

proptest! {
    #[test]
    fn a_lower_charge_never_gives_a_better_level_from_the_same_state(
        policy in any_policy(), before in events(40), later in 0..400_000_u64, a in permille(), b in permille(),
        alarm in alarm(),
    ) {
        let site = after(policy, &before);
        let now = site.now + Duration::from_millis(later);
        let level = |soc| {
            let reading = Reading { alarm, ..Reading::of_charge(soc) };
            let inputs = Inputs { now, reading: Some(AcceptedReading::fresh(reading, now)) };
            decide(&policy, &site.state, &inputs).level()
        };
        prop_assert!(level(a.min(b)) >= level(a.max(b)));
    }

    #[test]
    fn an_alarm_is_never_better_than_none(policy in any_policy(), before in events(40), soc in permille()) {
        let site = after(policy, &before);
        let level = |alarm| {
            let reading = Reading { alarm, ..Reading::of_charge(soc) };
            let inputs = Inputs { now: site.now, reading: Some(AcceptedReading::fresh(reading, site.now)) };
            decide(&policy, &site.state, &inputs).level()
        };
        prop_assert!(level(Alarm::LowBattery) >= level(Alarm::None));
        prop_assert_eq!(level(Alarm::LowBattery), level(Alarm::ForcedShutdown));
    }

    #[test]
    fn easing_goes_one_step_at_a_time_and_at_most_once_per_dwell(policy in any_policy(), all in events(120)) {
        let mut site = Site::new(policy);
        let mut last_easing: Option<Time> = None;
        for event in &all {
            let decision = site.suffer(event);
            if decision.level() < decision.from {
                prop_assert_eq!(decision.from.better(), Some(decision.level()));
                if let Some(last) = last_easing {
                    // A snapshot keeps whole milliseconds, so nothing is rounded here.
                    prop_assert!(site.now.saturating_since(last) >= policy.pace.dwell);
                }
                last_easing = Some(site.now);
            }
        }
    }

    #[test]
    fn silence_never_worsens_a_level(
        policy in valid_policy(), before in events(60), waits in prop::collection::vec(0..20_000_000_u64, 1..40),
    ) {
        let policy = Policy { guards: Guards::default(), ..policy };
        let mut site = after(policy, &before);
        site.state.override_ = None;
        // One decision on the last reading, then nothing more is heard.
        let mut level = site.suffer(&Event::Wait { after_ms: 0 }).level();
        let mut waited = Duration::ZERO;
        for after_ms in waits {
            waited += Duration::from_millis(after_ms);
            let decision = site.suffer(&Event::Wait { after_ms });
            prop_assert!(decision.level() <= level);
            level = decision.level();
        }
    }

    #[test]
    fn an_alarm_drains_at_once_unless_an_operator_holds(policy in any_policy(), before in events(60), soc in permille()) {
        prop_assume!(!policy.stale.after.is_zero());
        let mut site = after(policy, &before);
        site.state.override_ = None;
        let reading = Reading { alarm: Alarm::LowBattery, ..Reading::of_charge(soc) };
        prop_assert_eq!(site.suffer(&Event::Read { after_ms: 0, reading }).level(), Level::Drained);
    }

    #[test]
    fn changes_in_any_day_stay_under_the_cap(policy in valid_policy(), all in events(200)) {
        let mut site = Site::new(policy);
        let mut times = Vec::new();
        for event in &all {
            if site.suffer(event).changed() {
                times.push(site.now);
            }
        }
        for (index, first) in times.iter().enumerate() {
            let within = times[index..].iter().filter(|time| time.saturating_since(*first) < DAY).count();
            prop_assert!(within <= usize::from(policy.pace.max_changes_per_day));
        }
    }

    #[test]
    fn nothing_changes_by_itself_before_the_deadline_that_was_given(
        policy in valid_policy(), before in events(60), fraction in 0..1000_u64,
    ) {
        let mut site = after(policy, &before);
        let decision = site.suffer(&Event::Wait { after_ms: 0 });
        let limit = decision.next_deadline.unwrap_or(site.now + DAY * 400);
        let span = limit.saturating_since(site.now);
        prop_assume!(!span.is_zero());
        let earlier = site.now + (span - Duration::from_nanos(1)) / 1000 * fraction as u32;
        let early = decide(&policy, &site.state, &Inputs { now: earlier, ..site.inputs() });
        prop_assert_eq!(early.level(), decision.level());
        prop_assert_eq!(early.blocked_by, decision.blocked_by);
        prop_assert_eq!(early.state.override_, decision.state.override_);
    }

    #[test]
    fn following_deadlines_alone_ends(policy in any_policy(), before in events(60)) {
        let mut site = after(policy, &before);
        let mut decisions = 0;
        let mut decision = site.suffer(&Event::Wait { after_ms: 0 });
        while let Some(next) = decision.next_deadline {
            decisions += 1;
            prop_assert!(decisions < 200, "wakes for ever: {:?}", decision);
            site.now = site.now.max(next);
            decision = site.suffer(&Event::Wait { after_ms: 0 });
        }
    }

    #[test]
    fn an_order_never_outlasts_its_duration_whatever_the_clocks_do(
        policy in any_policy(), seconds in 1..100_000_u64, drain in any::<bool>(),
        walls in prop::collection::vec((any::<u64>(), 0..10_000_u64), 0..20),
    ) {
        let mut site = Site::new(policy);
        let terms = OverrideTerms { seconds, reason: String::new() };
        let request = if drain { OverrideRequest::Drain(terms) } else { OverrideRequest::Hold(terms) };
        site.suffer(&Event::Order(request));
        let end = site.now + Duration::from_secs(seconds);
        for (wall, after_ms) in walls {
            site.suffer(&Event::Wait { after_ms });
            site.suffer(&Event::Restart { wall });
            if let Some(order) = &site.state.override_ {
                prop_assert!(order.until <= end);
            }
        }
        site.now = site.now.max(end);
        site.suffer(&Event::Wait { after_ms: 0 });
        prop_assert_eq!(&site.state.override_, &None);
    }

    #[test]
    fn a_restart_changes_no_level(policy in valid_policy(), before in events(60), wall in any::<u64>()) {
        let mut site = after(policy, &before);
        let dwelt = site.state.since.age(site.now);
        let level = site.state.level;
        let text = Snapshot::of(&site.state, site.now, WALL).encode().unwrap();
        // The new process has a clock of its own.
        let restarted = Time::from_nanos(77);
        site.state = Snapshot::decode(text.as_bytes()).unwrap().restore(restarted, UnixSeconds(wall));
        prop_assert_eq!(site.state.level, level);
        prop_assert_eq!(site.state.since.age(restarted), dwelt);
    }

    #[test]
    fn decide_is_total_and_deterministic(
        policy in any_policy(), before in events(30), now in any::<u64>(), received in any::<u64>(),
        age in any::<u64>(), soc in permille(), alarm in alarm(),
    ) {
        let site = after(policy, &before);
        let accepted = AcceptedReading {
            reading: Reading { alarm, ..Reading::of_charge(soc) },
            received: Time::from_nanos(received),
            sampled: Mark::aged(Time::from_nanos(received), Duration::from_nanos(age)),
        };
        let inputs = Inputs { now: Time::from_nanos(now), reading: Some(accepted) };
        let first = decide(&policy, &site.state, &inputs);
        prop_assert_eq!(&first, &decide(&policy, &site.state.clone(), &inputs));
        let replayed = decide(&policy, &first.state, &inputs);
        prop_assert_eq!(&replayed.state, &decide(&policy, &first.state, &inputs).state);
        if policy.dry_run {
            prop_assert_eq!(first.announced, Level::Normal);
        } else {
            prop_assert_eq!(first.announced, first.level());
        }
    }

    #[test]
    fn a_refused_reading_leaves_what_decisions_read_as_it_was(
        offers in prop::collection::vec((0..600_u64, permille(), prop::option::of(any::<u64>()), alarm()), 1..80),
    ) {
        let gates = Gates::default();
        let mut gate = Gate::new();
        let (mut seconds, mut accepted, mut refused) = (0, 0, 0);
        for (later, soc, source_time, alarm) in offers {
            seconds += later;
            let before = gate.last();
            let source_time = source_time.map(|t| UnixSeconds(t % (2 * WALL.0)));
            let reading = Reading { source_time, alarm, ..Reading::of_charge(soc) };
            let now = Time::ZERO + Duration::from_secs(seconds);
            match gate.judge(&gates, reading, now, UnixSeconds(WALL.0 + seconds)) {
                Verdict::Accepted(reading) => {
                    accepted += 1;
                    prop_assert_eq!(gate.last(), Some(reading));
                }
                Verdict::Repeated => prop_assert_eq!(gate.last(), before),
                Verdict::Refused(_) => {
                    refused += 1;
                    prop_assert_eq!(gate.last(), before);
                }
            }
        }
        prop_assert_eq!(gate.accepted(), accepted);
        prop_assert_eq!(gate.refusals().map(|(_, count)| count).sum::<u64>(), refused);
    }

    #[test]
    fn steady_readings_are_believed_sooner_or_later(
        before in prop::collection::vec((0..600_u64, permille()), 0..40), soc in 1..=1000_u16,
    ) {
        let gates = Gates::default();
        let mut gate = Gate::new();
        let mut seconds = 0;
        let mut offer = |later: u64, soc: Permille| {
            seconds += later;
            let now = Time::ZERO + Duration::from_secs(seconds);
            gate.judge(&gates, Reading::of_charge(soc), now, UnixSeconds(WALL.0 + seconds))
        };
        for (later, soc) in before {
            offer(later, soc);
        }
        let steady = Permille::new(soc).unwrap();
        let believed = (0..6).any(|_| matches!(offer(30, steady), Verdict::Accepted(_)));
        prop_assert!(believed);
    }

    #[test]
    fn no_share_of_any_capacity_is_zero_and_more_share_is_never_less(bits in any::<u64>(), a in 0..2000_u16, b in 0..2000_u16) {
        let bandwidth = |permille| levers::link_bandwidth_bytes_per_second(bits, levers::Share::clamped(permille));
        prop_assert!(bandwidth(a) >= 1.0 && bandwidth(a).is_finite());
        prop_assert!(bandwidth(a.min(b)) <= bandwidth(a.max(b)));
    }

    #[test]
    fn the_default_levers_lose_preference_with_each_level(lasting in duration(100_000), drain_time in duration(100_000)) {
        let levers = Levers::default();
        for pair in Level::ALL.windows(2) {
            let (better, worse) = (levers.lever(pair[0], lasting, drain_time), levers.lever(pair[1], lasting, drain_time));
            prop_assert!(better.bandwidth > worse.bandwidth);
            prop_assert!(better.graceful_shutdown <= worse.graceful_shutdown);
        }
    }

    #[test]
    fn no_bytes_of_upsd_break_the_client(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20)) {
        let mut client = nut::NutClient::new(nut::NutTarget::new("site", None).unwrap());
        for chunk in chunks {
            let _ignored = client.poll();
            if let Some(Ok(reading)) = client.receive(&chunk) {
                prop_assert!(reading.soc <= Permille::FULL);
            }
        }
    }

    #[test]
    fn an_answer_cut_and_garbled_anywhere_is_never_misread(at in 0..600_usize, byte in any::<u8>(), cut in 1..600_usize) {
        let mut bytes = include_bytes!("fixtures/nut-2.8.0-list-var.txt").to_vec();
        let index = at % bytes.len();
        bytes[index] = byte;
        let mut client = nut::NutClient::new(nut::NutTarget::new("site", None).unwrap());
        client.poll().unwrap();
        let mut whole = nut::NutClient::new(nut::NutTarget::new("site", None).unwrap());
        whole.poll().unwrap();
        let expected = whole.receive(&bytes);
        // An error may come earlier in pieces, but a reading is the same one.
        let (head, tail) = bytes.split_at(cut % bytes.len());
        let pieces = client.receive(head).or_else(|| client.receive(tail));
        prop_assert_eq!(pieces, expected);
    }

    #[test]
    fn no_file_breaks_the_parser(bytes in prop::collection::vec(any::<u8>(), 0..200), soc in any::<f64>(), watts in any::<f64>()) {
        let _ignored = file::parse(&bytes, None);
        let text = format!("{{\"soc\": {soc:e}, \"pv_w\": {watts:e}}}");
        match file::parse(text.as_bytes(), None) {
            Ok(parsed) => {
                prop_assert!((0.0..=100.0).contains(&soc));
                let difference = f64::from(parsed.reading.soc.get()) - soc * 10.0;
                prop_assert!(difference.abs() <= 0.5 + 1e-9);
            }
            Err(_) => prop_assert!(!(0.0..=100.0).contains(&soc) || watts.abs() > 1e7 || !watts.is_finite()),
        }
    }
}
