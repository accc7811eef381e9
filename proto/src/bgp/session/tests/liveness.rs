//! **A neighbor that lives is never given up because we are slow, and one that is dead always is.**

use super::*;

#[test]
fn two_sessions_come_up_and_stay_up_on_keepalives() {
    let mut pair = Pair::started([config(), peer_config()]);
    pair.run(seconds(1));
    assert!(pair.agree());
    pair.run(seconds(3600));
    assert!(pair.agree());
    for side in &pair.sides {
        assert_eq!(side.count(|o| matches!(o, Output::Down { .. })), 0);
        let keepalives = side.session.messages_received().keepalive;
        // Every 22.5 to 30 s, and the one that answered the OPEN.
        assert!((120..=162).contains(&keepalives), "{keepalives}");
        let sent = side.session.messages_sent();
        assert!(sent.keepalive.abs_diff(keepalives) <= 40 && sent.open >= 1, "{sent:?}");
        assert!(side.session.uptime(pair.now).unwrap() > seconds(3590));
    }
}

#[test]
fn an_interval_never_changes_while_a_connection_lasts() {
    let mut pair = Pair::started([config(), peer_config()]);
    pair.run(seconds(600));
    let carrier = pair.sides[0].session.endpoints().unwrap().connection;
    let lease = |output: &Output| match output {
        Output::Lease { connection, interval, .. } if *connection == carrier => Some(*interval),
        _ => None,
    };
    let intervals: Vec<_> = pair.sides[0].outputs.iter().filter_map(|(_, o)| lease(o)).collect();
    assert!(intervals.len() > 15 && intervals.iter().all(|i| *i == intervals[0]));
}

#[test]
fn a_busy_engine_costs_no_session_while_its_lease_lasts() {
    let mut pair = Pair::started([config(), peer_config()]);
    pair.run(seconds(100));
    pair.sides[0].busy_until = pair.now + seconds(120);
    pair.run(seconds(300));
    assert!(pair.agree());
    for side in &pair.sides {
        assert_eq!(side.count(|o| matches!(o, Output::Down { .. })), 0);
    }
}

#[test]
fn a_dead_engine_loses_its_lease_and_the_neighbor_notices() {
    let mut pair = Pair::started([config(), peer_config()]);
    pair.run(seconds(100));
    pair.sides[0].busy_until = pair.now + seconds(100_000);
    pair.run(seconds(200));
    let reset = pair.sides[1].session.last_reset().expect("a reset");
    assert!(matches!(reset.reason, Reason::HoldExpired { .. }), "{reset:?}");
}

#[test]
fn silence_ends_a_session_after_the_hold_time_and_not_before() {
    let mut script = Script::new(config());
    let connection = script.establish(peer_open());
    let start = script.now;
    script.now = start + seconds(80);
    script.receive(connection, ReceivedMessage::Update);
    let outputs = loop {
        let outputs = script.expire();
        if script.session.state() != SessionState::Established {
            break outputs;
        }
    };
    assert_eq!(script.now, start + seconds(80 + 90));
    assert_eq!(notifications(&outputs), [(4, 0)]);
    assert!(script.last_reason().contains("nothing heard from the neighbor for 90s"));
}

#[test]
fn in_open_confirm_the_negotiated_hold_time_counts_from_when_the_open_was_read() {
    let mut script = Script::new(config());
    let connection = script.dial();
    let at = script.now;
    script.now = script.now + seconds(20);
    let message = ReceivedMessage::Open(Open { hold_time: seconds(30), ..peer_open() });
    script.handle(Input::Received { connection, message, at });
    assert_eq!(script.session.deadline(Timer::Hold), Some(at + seconds(30)));
    script.now = at + seconds(30);
    assert_eq!(notifications(&script.handle(Input::Timeout)), [(4, 0)]);
    assert!(script.last_reason().contains("for 30s, in OpenConfirm"), "{}", script.last_reason());
}

#[test]
fn hold_expiry_is_judged_on_when_a_message_was_read() {
    let mut script = Script::new(config());
    let connection = script.establish(peer_open());
    let start = script.now;
    // Read after 85 s, handled after 200 s.
    script.now = start + seconds(200);
    let message = ReceivedMessage::Keepalive;
    script.handle(Input::Received { connection, message, at: start + seconds(85) });
    assert_eq!(script.session.deadline(Timer::Hold), Some(start + seconds(175)));
    // Octets wait that we were too slow to read.
    script.handle(Input::Heard { connection, at: script.now });
    script.handle(Input::Timeout);
    assert!(script.session.is_established(connection));
    assert_eq!(script.session.deadline(Timer::Hold), Some(start + seconds(290)));
}

#[test]
fn without_a_hold_time_silence_ends_nothing_and_no_lease_is_given() {
    let mut script = Script::new(SessionConfig { hold_time: Duration::ZERO, ..config() });
    let connection = script.dial();
    let outputs = script.receive(connection, ReceivedMessage::Open(peer_open()));
    assert!(!outputs.iter().any(|o| matches!(o, Output::Lease { .. })));
    assert!(script.session.next_deadline().is_some(), "OpenConfirm does not last for ever");
    script.receive(connection, ReceivedMessage::Keepalive);
    assert_eq!(script.session.next_deadline(), None);
    let notices = script.session.negotiated().unwrap().notices();
    assert_eq!(notices, [Notice::NoHoldTime]);
}

#[test]
fn a_neighbor_that_never_sends_its_open_is_given_up_after_four_minutes() {
    let mut script = Script::new(config());
    let connection = script.dial();
    let start = script.now;
    let outputs = script.expire();
    assert_eq!(script.now, start + seconds(240));
    assert_eq!(notifications(&outputs), [(4, 0)]);
    assert!(closes(&outputs, connection));
}

#[test]
fn a_neighbor_that_takes_nothing_is_given_up_after_the_send_hold_time() {
    let mut pair =
        Pair::started([config(), SessionConfig { hold_time: seconds(65535), ..peer_config() }]);
    pair.sides[0]
        .session
        .reconfigure(Time::ZERO, SessionConfig { hold_time: seconds(300), ..config() });
    pair.run(seconds(1));
    assert!(pair.agree());
    // The neighbor speaks; what we send does not leave. Its own hold timer is broken.
    pair.sides[0].stuck = true;
    pair.sides[1].busy_until = pair.now + seconds(100_000);
    let stuck_since = pair.now;
    while pair.sides[0].session.last_reset().is_none() {
        pair.run(seconds(1));
        let session = &pair.sides[0].session;
        let connection = session.endpoints().map(|ends| ends.connection);
        if let Some(connection) = connection.filter(|c| session.is_established(*c)) {
            let message = ReceivedMessage::Keepalive;
            let at = pair.now;
            pair.input(0, Input::Received { connection, message, at });
        }
    }
    let reset = pair.sides[0].session.last_reset().unwrap();
    assert_eq!(reset.reason, Reason::SendHoldExpired(seconds(600)));
    assert!(pair.now.saturating_since(stuck_since).abs_diff(seconds(600)) <= seconds(2));
    let told = pair.sides[0].count(|output| {
        matches!(output, Output::Send { message: Message::Notification(n), .. } if *n == plain(8, 0))
    });
    assert_eq!(told, 1);
}

#[test]
fn progress_of_sending_is_enough_if_told_right_before_the_deadline() {
    let mut script = Script::new(config());
    let connection = script.establish(peer_open());
    let deadline = script.session.deadline(Timer::SendHold).unwrap();
    assert_eq!(deadline, script.now + SEND_HOLD_TIME_MIN);
    script.now = deadline;
    script.receive(connection, ReceivedMessage::Keepalive);
    let messages = MessageCounts { keepalive: 16, update: 3, ..MessageCounts::default() };
    script.handle(Input::Sent { connection, at: deadline, messages });
    script.handle(Input::Timeout);
    assert!(script.session.is_established(connection));
    assert_eq!(script.session.messages_sent().update, 3);
    assert_eq!(script.session.messages_sent().keepalive, 17);
}

#[test]
fn a_path_that_is_gone_ends_the_session_at_once() {
    let cases = [
        (Detector::Interface, (6, 0), "interface toward the neighbor is down"),
        (Detector::Bfd, (6, 10), "BFD"),
    ];
    for (detector, code, words) in cases {
        let mut script = Script::new(config());
        let connection = script.establish(peer_open());
        let outputs = script.handle(Input::LinkDown { detector });
        assert_eq!(notifications(&outputs), [code]);
        assert!(closes(&outputs, connection));
        assert!(script.last_reason().contains(words));
        assert!(script.session.next_deadline().is_some(), "it comes back by itself");
    }
}
