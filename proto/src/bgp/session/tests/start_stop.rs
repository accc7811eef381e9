//! **Every failure is followed by another attempt, later each time; what was stopped stays stopped
//! until it is started.**

use super::*;

#[test]
fn nothing_happens_before_a_start() {
    let mut script = Script::new(config());
    assert!(script.session.is_stopped());
    assert_eq!(script.session.next_deadline(), None);
    let (caller, outputs) = script.accept_with_outputs();
    assert_eq!(notifications(&outputs), [(6, 5)]);
    assert!(closes(&outputs, caller));
}

#[test]
fn of_two_passive_neighbors_none_dials_and_with_one_active_both_come_up() {
    let passive = |config| SessionConfig { mode: Mode::Passive, ..config };
    let mut pair = Pair::started([passive(config()), passive(peer_config())]);
    pair.run(seconds(600));
    for side in &pair.sides {
        assert_eq!(side.session.state(), SessionState::Active);
        assert_eq!(side.session.next_deadline(), None, "nothing wakes us");
        assert_eq!(side.count(|o| matches!(o, Output::Connect { .. })), 0);
    }
    let mut pair = Pair::started([passive(config()), peer_config()]);
    pair.run(seconds(1));
    assert!(pair.agree());
}

#[test]
fn a_dial_that_fails_is_repeated_after_the_connect_retry_time() {
    let mut pair = Pair::started([config(), peer_config()]);
    pair.input(1, Input::Stop { reason: StopReason::Deconfigured });
    pair.sides[1].listens = false;
    pair.run(seconds(100));
    let dials = pair.sides[0].count(|o| matches!(o, Output::Connect { .. }));
    assert!((10..=14).contains(&dials), "{dials}");
    let (_, error) = pair.sides[0].session.last_connect_error().unwrap();
    assert_eq!(*error, TransportError::Refused);
    let repeated = pair.sides[0].session.events().map(|e| e.times).max().unwrap();
    assert!(repeated > 5, "what repeats takes one place");
}

#[test]
fn a_dial_that_hangs_is_given_up_and_repeated() {
    let mut script = Script::new(config());
    let outputs = script.handle(Input::Start);
    let [Output::Connect { connection: first }] = outputs[..] else { panic!("{outputs:?}") };
    let outputs = script.expire();
    assert!(closes(&outputs, first));
    assert!(outputs.iter().any(|o| matches!(o, Output::Connect { .. })));
    // The answer to the first comes too late.
    let late = Input::Connected { connection: first, local: address(1), remote: address(2) };
    assert_eq!(script.handle(late), [Output::Close { connection: first }]);
    assert_eq!(script.session.state(), SessionState::Connect);
}

#[test]
fn a_wrong_as_backs_off_longer_every_time_up_to_the_limit() {
    let wrong = SessionConfig { peer_as: PeerAs::Exactly(Asn(65009)), ..config() };
    let mut pair = Pair::started([wrong, peer_config()]);
    pair.run(seconds(1200));
    let [ours, theirs] = &pair.sides;
    let dials: Vec<_> = ours
        .outputs
        .iter()
        .filter(|(_, output)| matches!(output, Output::Connect { .. }))
        .map(|(time, _)| *time)
        .collect();
    let gaps: Vec<_> = dials.windows(2).map(|w| w[1].saturating_since(w[0])).collect();
    assert!(gaps[0] < seconds(2) && gaps[3] > gaps[0] * 3, "{gaps:?}");
    assert!(*gaps.last().unwrap() > seconds(44), "{gaps:?}");
    assert!(gaps.iter().all(|gap| *gap < seconds(2 * 60)), "{gaps:?}");
    assert!(ours.session.last_reset().unwrap().reason.to_string().contains("65002"));
    let told = theirs.session.last_reset().unwrap().reason.to_string();
    assert!(told.contains("Bad Peer AS (2/2)") && told.contains("correct our AS"), "{told}");
}

#[test]
fn the_reason_that_matters_is_not_hidden_by_what_follows_from_it() {
    let mut script = Script::new(config());
    let connection = script.dial();
    script.receive(connection, ReceivedMessage::Open(Open { asn: Asn(9), ..peer_open() }));
    let refused = script.session.last_reset().cloned();
    // The neighbor backs off as well, and sends our next attempts away.
    for _ in 0..2 {
        let outputs = script.expire();
        let [Output::Connect { connection }] = outputs[..] else { panic!("{outputs:?}") };
        let (local, remote) = (address(1), address(2));
        script.handle(Input::Connected { connection, local, remote });
        script.receive(connection, ReceivedMessage::Notification(plain(6, 5)));
        assert_eq!(script.session.last_reset().cloned(), refused);
    }
    // Once it came up, the old reason explains nothing.
    let connection = script.accept();
    script.receive(connection, ReceivedMessage::Open(peer_open()));
    script.receive(connection, ReceivedMessage::Keepalive);
    script.receive(connection, ReceivedMessage::Notification(plain(6, 5)));
    assert!(script.last_reason().contains("Connection Rejected"), "{}", script.last_reason());
}

#[test]
fn a_shutdown_there_stays_the_reason_though_the_neighbor_then_closes_every_connection() {
    let mut script = Script::new(config());
    let connection = script.establish(peer_open());
    script.receive(connection, ReceivedMessage::Notification(plain(6, 2)));
    for _ in 0..2 {
        let outputs = script.expire();
        let [Output::Connect { connection }] = outputs[..] else { panic!("{outputs:?}") };
        let (local, remote) = (address(1), address(2));
        script.handle(Input::Connected { connection, local, remote });
        script.handle(Input::Closed { connection, error: TransportError::Closed });
        let reason = script.last_reason();
        assert!(reason.contains("Administrative Shutdown"), "{reason}");
    }
}

#[test]
fn a_caller_that_ends_each_session_at_once_has_to_wait_and_one_that_stands_has_not() {
    for (stands, lets_in) in [(seconds(0), false), (seconds(2), true)] {
        let mut script = Script::new(SessionConfig { mode: Mode::Passive, ..config() });
        script.handle(Input::Start);
        let mut sent_away = false;
        for _ in 0..10 {
            let (connection, outputs) = script.accept_with_outputs();
            sent_away |= notifications(&outputs) == [(6, 5)];
            script.receive(connection, ReceivedMessage::Open(peer_open()));
            script.receive(connection, ReceivedMessage::Keepalive);
            script.now = script.now + stands;
            script.handle(Input::Closed { connection, error: TransportError::Closed });
        }
        assert_eq!(!sent_away, lets_in, "{stands:?}");
        // It is kept out for a while, and not for good.
        while script.session.state() == SessionState::Idle {
            script.expire();
        }
        let connection = script.accept();
        script.receive(connection, ReceivedMessage::Open(peer_open()));
        script.receive(connection, ReceivedMessage::Keepalive);
        assert_eq!(script.session.state(), SessionState::Established);
    }
}

#[test]
fn jitter_shortens_by_at_most_a_quarter_and_differs() {
    let mut jitter = Jitter::new(42);
    let base = seconds(100);
    let drawn: Vec<_> = (0..1000).map(|_| jitter.apply(base)).collect();
    assert!(drawn.iter().all(|d| *d >= base * 3 / 4 && *d <= base));
    assert!(drawn.iter().any(|d| *d < base * 77 / 100));
    assert!(drawn.iter().any(|d| *d > base * 98 / 100));
}

#[test]
fn a_session_that_stood_for_long_comes_back_as_soon_as_after_its_first_failure() {
    let wait_after = |uptime: Duration| {
        let mut script = Script::new(config());
        let connection = script.dial();
        // Four failures before it comes up.
        for _ in 0..4 {
            let connection = script.session.endpoints().map_or(connection, |e| e.connection);
            let error = TransportError::Closed;
            script.handle(Input::Closed { connection, error });
            let outputs = script.expire();
            let Output::Connect { connection } = outputs[0] else { panic!("{outputs:?}") };
            let (local, remote) = (address(1), address(2));
            script.handle(Input::Connected { connection, local, remote });
        }
        let connection = script.session.endpoints().unwrap().connection;
        script.receive(connection, ReceivedMessage::Open(peer_open()));
        script.receive(connection, ReceivedMessage::Keepalive);
        script.now = script.now + uptime;
        script.handle(Input::Closed { connection, error: TransportError::Reset });
        script.session.deadline(Timer::IdleHold).unwrap().saturating_since(script.now)
    };
    assert!(wait_after(seconds(1)) > seconds(10));
    assert!(wait_after(seconds(61)) <= seconds(1));
}

#[test]
fn a_shutdown_lasts_until_the_start_and_its_text_is_shown_at_the_other_side() {
    let mut pair = Pair::started([config(), peer_config()]);
    pair.run(seconds(60));
    let text = "battery \u{1b}[31mservice".to_owned();
    pair.input(0, Input::Stop { reason: StopReason::AdminShutdown { text } });
    pair.run(seconds(600));
    assert!(pair.sides[0].session.is_stopped());
    assert_eq!(pair.sides[0].session.next_deadline(), None);
    let down = pair.sides[1].outputs.iter().find_map(|(_, output)| match output {
        Output::Down { reason, .. } => Some(reason.to_string()),
        _ => None,
    });
    let told = down.expect("the other side goes down");
    assert!(told.contains("Administrative Shutdown (6/2)"), "{told}");
    assert!(told.contains(r#""battery \u{1b}[31mservice""#), "escaped: {told}");
    pair.input(0, Input::Start);
    pair.run(seconds(2));
    assert!(pair.agree(), "the other side lets us in though it backs off");
}

#[test]
fn a_clear_comes_up_again_by_itself_and_does_not_start_what_is_stopped() {
    let mut pair = Pair::started([config(), peer_config()]);
    pair.run(seconds(60));
    pair.input(0, Input::Stop { reason: StopReason::Reset { text: String::new() } });
    pair.run(seconds(5));
    assert!(pair.agree());
    assert_eq!(pair.sides[0].session.times_established(), 2);

    let mut script = Script::new(config());
    script.handle(Input::Stop { reason: StopReason::Reset { text: String::new() } });
    assert!(script.session.is_stopped());
    assert_eq!(script.session.next_deadline(), None);
}

#[test]
fn a_lost_neighbor_that_dials_is_let_in_during_the_back_off_and_a_wrong_one_is_not() {
    let mut script = Script::new(config());
    let connection = script.establish(peer_open());
    script.handle(Input::Closed { connection, error: TransportError::Reset });
    assert_eq!(script.session.state(), SessionState::Idle);
    let (_, outputs) = script.accept_with_outputs();
    assert!(matches!(outputs[..], [Output::Send { message: Message::Open(_), .. }]));
    assert_eq!(script.session.deadline(Timer::IdleHold), None);

    let mut script = Script::new(config());
    let connection = script.dial();
    script.receive(connection, ReceivedMessage::Open(Open { asn: Asn(9), ..peer_open() }));
    let (_, outputs) = script.accept_with_outputs();
    assert_eq!(notifications(&outputs), [(6, 5)]);
}

/// What is told of a NOTIFICATION that the neighbor sends in Established, in the reason of the reset.
fn told_of(subcode: u8, data: &[u8]) -> String {
    let mut script = Script::new(config());
    let connection = script.establish(peer_open());
    let notification = Notification { code: 6, subcode, data: data.to_vec().into() };
    script.receive(connection, ReceivedMessage::Notification(notification));
    let reason = script.last_reason();
    let events: Vec<String> = script.session.events().map(|e| e.kind.to_string()).collect();
    assert!(events.iter().any(|e| e.ends_with(&reason)), "{events:?}");
    reason
}

#[test]
fn what_the_neighbor_says_at_a_shutdown_is_shown_and_does_nothing_to_a_terminal() {
    let say = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let told = told_of(2, &say("rack 7 moves, cäll 42"));
    assert!(told.contains("Administrative Shutdown (6/2) \"rack 7 moves, cäll 42\""), "{told}");
    let told = told_of(4, &say("a\x1b[2Jb\nc\u{202e}d\u{7}\"e"));
    assert!(told.contains("\"a\\u{1b}[2Jb\\nc\\u{202e}d\\u{7}\\\"e\""), "{told}");
    assert!(!told.contains(|c: char| c.is_control() || c == '\u{202e}'), "{told}");
    // RFC 8538 section 3.1: within a hard reset too.
    let told = told_of(9, &[&[6, 4][..], &say("maintenance")].concat());
    assert!(told.contains("Administrative Reset (6/4) \"maintenance\""), "{told}");
}

#[test]
fn a_shutdown_communication_that_is_not_well_formed_is_shown_as_octets() {
    for data in [&[5, b'a', b'b'][..], &[2, 0xc3, 0x28]] {
        let hex: String = data.iter().map(|octet| format!("{octet:02x}")).collect();
        let told = told_of(2, data);
        assert!(told.contains(&format!("is not well formed: {hex}")), "{told}");
    }
    for data in [&[][..], &[0]] {
        assert!(!told_of(2, data).contains("communication"));
    }
}

#[test]
fn a_shutdown_text_is_cut_at_a_character() {
    let long = "é".repeat(200);
    let cut = notification::cease_with_text(2, &long);
    assert_eq!(cut.data.len(), 255, "one octet of length, 127 characters of two");
    assert_eq!(shutdown_text(&cut), Some("é".repeat(127)));
    assert_eq!(notification::cease_with_text(2, "").data.len(), 0);
    for broken in [&b"\x05abc"[..], b"\x02\xff\xff", b"\x00", b""] {
        let data = bytes::Bytes::copy_from_slice(broken);
        assert_eq!(shutdown_text(&Notification { code: 6, subcode: 2, data }), None);
    }
}

#[test]
fn a_change_of_the_offer_needs_a_reset_and_a_corrected_mistake_is_tried_at_once() {
    let mut script = Script::new(config());
    script.establish(peer_open());
    let slower = SessionConfig { connect_retry: seconds(60), ..config() };
    assert_eq!(script.session.reconfigure(script.now, slower), Change::Applied);
    let other = SessionConfig { hold_time: seconds(30), ..config() };
    assert_eq!(script.session.reconfigure(script.now, other), Change::ResetNeeded);
    assert_eq!(script.session.state(), SessionState::Established);

    let mut script = Script::new(SessionConfig { peer_as: PeerAs::Internal, ..config() });
    let connection = script.dial();
    script.receive(connection, ReceivedMessage::Open(peer_open()));
    assert_eq!(script.session.state(), SessionState::Idle);
    assert_eq!(script.session.reconfigure(script.now, config()), Change::Applied);
    assert!(matches!(script.outputs()[..], [Output::Connect { .. }]));
}

#[test]
fn a_change_of_mode_applies_to_who_waits() {
    let passive = SessionConfig { mode: Mode::Passive, ..config() };
    let mut script = Script::new(config());
    script.handle(Input::Start);
    assert_eq!(script.session.reconfigure(script.now, passive), Change::Applied);
    assert!(matches!(script.outputs()[..], [Output::Close { .. }]));
    assert_eq!(script.session.state(), SessionState::Active);
    assert_eq!(script.session.reconfigure(script.now, config()), Change::Applied);
    assert!(matches!(script.outputs()[..], [Output::Connect { .. }]));
}

#[test]
fn a_start_cuts_every_wait_short() {
    let mut script = Script::new(config());
    let connection = script.dial();
    script.handle(Input::Closed { connection, error: TransportError::Closed });
    assert_eq!(script.session.state(), SessionState::Idle);
    let outputs = script.handle(Input::Start);
    let [Output::Connect { connection }] = outputs[..] else { panic!("{outputs:?}") };
    script.handle(Input::ConnectFailed { connection, error: TransportError::Unreachable });
    assert_eq!(script.session.state(), SessionState::Active);
    let outputs = script.handle(Input::Start);
    assert!(matches!(outputs[..], [Output::Connect { .. }]));
}

#[test]
fn the_ring_of_events_is_bounded() {
    let mut script = Script::new(config());
    for _ in 0..100 {
        let outputs = script.handle(Input::Start);
        let Some(Output::Connect { connection }) = outputs.first().cloned() else { panic!() };
        let (local, remote) = (address(1), address(2));
        script.handle(Input::Connected { connection, local, remote });
        script.handle(Input::Closed { connection, error: TransportError::Closed });
    }
    assert_eq!(script.session.events().len(), EVENTS_MAX);
}
