//! **Routes stay exactly when RFC 4724 and RFC 8538 say so, and never when the neighbor wants them
//! gone.**

use super::*;
use crate::bgp::message::{ForwardingPreserved, GracefulRestart};
use bytes::Bytes;

fn helper() -> SessionConfig {
    SessionConfig { graceful_restart: Some(restart_config()), ..config() }
}

fn restart(f: ForwardingPreserved) -> GracefulRestart {
    GracefulRestart {
        restarting: false,
        notification: true,
        restart_time: seconds(90),
        families: vec![(Family::EVPN, f)],
    }
}

fn open_with(restart: GracefulRestart) -> Open {
    let mut open = peer_open();
    open.capabilities.push(Capability::GracefulRestart(restart));
    open
}

fn without_n() -> Open {
    open_with(GracefulRestart { notification: false, ..restart(ForwardingPreserved::Yes) })
}

fn with_n() -> Open {
    open_with(restart(ForwardingPreserved::Yes))
}

fn decision(outputs: &[Output]) -> Routes {
    let downs: Vec<_> = outputs
        .iter()
        .filter_map(|output| match output {
            Output::Down { routes, .. } => Some(routes.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(downs.len(), 1, "{outputs:?}");
    downs[0].clone()
}

fn kept() -> Routes {
    Routes::Keep { families: vec![Family::EVPN], restart_time: seconds(90) }
}

/// How a session ends, and whether routes stay without and with N on both sides.
type Case = (fn(ConnectionId) -> Input, Routes, Routes);

fn received(connection: ConnectionId, notification: Notification) -> Input {
    let message = ReceivedMessage::Notification(notification);
    Input::Received { connection, message, at: at(1000) }
}

fn stop(reason: StopReason) -> Input {
    Input::Stop { reason }
}

#[test]
fn the_table_of_what_each_end_does_to_routes() {
    let cases: [Case; 12] = [
        (|connection| Input::Closed { connection, error: TransportError::Reset }, kept(), kept()),
        (|_| stop(StopReason::Restart), kept(), kept()),
        (|c| received(c, plain(6, 2)), Routes::Drop, kept()),
        (|c| received(c, plain(6, 4)), Routes::Drop, kept()),
        (|c| received(c, plain(4, 0)), Routes::Drop, kept()),
        (|c| received(c, plain(6, 9)), Routes::Drop, Routes::Drop),
        (
            |connection| Input::Malformed { connection, notification: plain(3, 1) },
            Routes::Drop,
            kept(),
        ),
        (|_| stop(StopReason::ConfigChanged), Routes::Drop, kept()),
        (|_| stop(StopReason::AdminShutdown { text: String::new() }), Routes::Drop, Routes::Drop),
        (|_| stop(StopReason::Reset { text: String::new() }), Routes::Drop, Routes::Drop),
        (|_| stop(StopReason::Deconfigured), Routes::Drop, Routes::Drop),
        (|_| Input::LinkDown { detector: Detector::Bfd }, Routes::Drop, Routes::Drop),
    ];
    for (number, (end, plain, with_both_n)) in cases.into_iter().enumerate() {
        for (open, expected) in
            [(peer_open(), Routes::Drop), (without_n(), plain), (with_n(), with_both_n)]
        {
            let mut script = Script::new(helper());
            let connection = script.establish(open);
            let outputs = script.handle(end(connection));
            assert_eq!(decision(&outputs), expected, "case {number}");
        }
    }
}

#[test]
fn hold_expiry_keeps_routes_with_n_only() {
    for (open, expected) in [(without_n(), Routes::Drop), (with_n(), kept())] {
        let mut script = Script::new(helper());
        script.establish(open);
        script.now = script.now + seconds(90);
        let outputs = script.handle(Input::Timeout);
        assert_eq!(decision(&outputs), expected);
        assert_eq!(notifications(&outputs), [(4, 0)], "no hard reset");
    }
}

#[test]
fn nothing_is_kept_by_who_is_not_configured_to() {
    let mut script = Script::new(config());
    let connection = script.establish(with_n());
    let outputs = script.handle(Input::Closed { connection, error: TransportError::Reset });
    assert_eq!(decision(&outputs), Routes::Drop);
    assert_eq!(script.session.negotiated(), None);
}

#[test]
fn only_families_in_common_are_kept() {
    let families = vec![
        (Family::IPV4_UNICAST, ForwardingPreserved::Yes),
        (Family::EVPN, ForwardingPreserved::No),
    ];
    let mut script = Script::new(helper());
    let connection = script
        .establish(open_with(GracefulRestart { families, ..restart(ForwardingPreserved::No) }));
    let outputs = script.handle(Input::Closed { connection, error: TransportError::Closed });
    assert_eq!(decision(&outputs), kept());
}

#[test]
fn after_a_restart_f_decides_what_may_stay() {
    let no_families = GracefulRestart { families: Vec::new(), ..restart(ForwardingPreserved::Yes) };
    let cases = [
        (with_n(), true),
        (open_with(restart(ForwardingPreserved::No)), false),
        (open_with(no_families), false),
        (peer_open(), false),
    ];
    for (open, retains) in cases {
        let mut script = Script::new(helper());
        script.establish(open);
        let negotiated = script.session.negotiated().unwrap();
        assert_eq!(negotiated.retains(Family::EVPN), retains);
        assert!(!negotiated.retains(Family::IPV4_UNICAST));
        assert!(!negotiated.peer_is_restarting());
    }
    let mut script = Script::new(helper());
    let restarted = GracefulRestart { restarting: true, ..restart(ForwardingPreserved::Yes) };
    script.establish(open_with(restarted));
    assert!(script.session.negotiated().unwrap().peer_is_restarting());
}

#[test]
fn a_shutdown_is_a_hard_reset_where_notifications_keep_routes() {
    let text = "rack 7 moves".to_owned();
    let shutdown = Input::Stop { reason: StopReason::AdminShutdown { text } };
    let sent = |open| {
        let mut script = Script::new(helper());
        script.establish(open);
        let outputs = script.handle(shutdown.clone());
        match &outputs[0] {
            Output::Send { message: Message::Notification(n), .. } => n.clone(),
            other => panic!("{other:?}"),
        }
    };
    let plain = sent(without_n());
    assert_eq!((plain.code, plain.subcode), (6, 2));
    assert_eq!(plain.data, Bytes::from_static(b"\x0crack 7 moves"));
    let hard = sent(with_n());
    assert_eq!((hard.code, hard.subcode), (6, 9));
    assert_eq!(hard.data, Bytes::from_static(b"\x06\x02\x0crack 7 moves"));
    assert_eq!(
        describe_notification(&hard),
        "Cease/Hard Reset (6/9) of Administrative Shutdown (6/2) \"rack 7 moves\""
    );
}

#[test]
fn our_own_restart_closes_without_a_word() {
    let mut script = Script::new(helper());
    let connection = script.establish(with_n());
    let outputs = script.handle(stop(StopReason::Restart));
    assert_eq!(notifications(&outputs), []);
    assert!(closes(&outputs, connection));
    assert!(script.session.is_stopped());
}

#[test]
fn an_open_on_a_new_connection_is_the_neighbors_restart() {
    let mut script = Script::new(helper());
    let old = script.establish(without_n());
    script.now = script.now + seconds(60);
    let new = script.accept();
    assert!(script.session.is_established(old), "a connection alone tells nothing");
    let outputs = script.receive(new, ReceivedMessage::Open(without_n()));
    assert_eq!(notifications(&outputs), []);
    assert!(closes(&outputs, old));
    assert_eq!(decision(&outputs), kept());
    script.receive(new, ReceivedMessage::Keepalive);
    assert!(script.session.is_established(new));
    assert!(script.last_reason().contains("the neighbor restarted"));
}

#[test]
fn a_late_dial_that_is_closed_is_no_restart() {
    let mut script = Script::new(helper());
    let old = script.establish(with_n());
    script.now = script.now + seconds(60);
    let new = script.accept();
    script.handle(Input::Closed { connection: new, error: TransportError::Closed });
    assert!(script.session.is_established(old));
    // A wrong OPEN is none either.
    let new = script.accept();
    let outputs = script.receive(new, ReceivedMessage::Open(Open { asn: Asn(1), ..with_n() }));
    assert_eq!(notifications(&outputs), [(2, 2)]);
    assert!(script.session.is_established(old));
}

#[test]
fn the_neighbors_next_session_outlives_the_one_before() {
    let mut script = Script::new(helper());
    let old = script.establish(with_n());
    script.now = script.now + seconds(60);
    let new = script.accept();
    let outputs = script.handle(Input::Closed { connection: old, error: TransportError::Reset });
    assert_eq!(decision(&outputs), kept());
    assert_eq!(script.session.state(), SessionState::OpenSent);
    script.receive(new, ReceivedMessage::Open(with_n()));
    script.receive(new, ReceivedMessage::Keepalive);
    assert!(script.session.is_established(new));
}

#[test]
fn a_power_failure_is_survived_without_dropping_a_route() {
    let peer = SessionConfig { graceful_restart: Some(restart_config()), ..peer_config() };
    let mut pair = Pair::started([helper(), peer.clone()]);
    pair.run(seconds(60));
    assert!(pair.agree());
    pair.power_cycle(1, peer);
    pair.run(seconds(20));
    pair.input(1, Input::Start);
    pair.run(seconds(5));
    assert!(pair.agree());
    let downs = pair.sides[0].count(|o| matches!(o, Output::Down { .. }));
    let keeps =
        pair.sides[0].count(|o| matches!(o, Output::Down { routes: Routes::Keep { .. }, .. }));
    assert_eq!((downs, keeps), (1, 1));
}
