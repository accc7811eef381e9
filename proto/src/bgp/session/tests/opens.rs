//! **An OPEN that cannot be accepted is answered with the RFC's code, and the operator is told
//! what to correct.**

use super::*;
use crate::bgp::message::ForwardingPreserved;

fn refusal(config: SessionConfig, open: Open) -> ((u8, u8), Script) {
    let mut script = Script::new(config);
    let connection = script.dial();
    let outputs = script.receive(connection, ReceivedMessage::Open(open));
    assert!(closes(&outputs, connection));
    assert_eq!(script.session.state(), SessionState::Idle);
    (notifications(&outputs)[0], script)
}

#[test]
fn a_wrong_as_is_refused_and_named() {
    let (code, script) = refusal(config(), Open { asn: Asn(65009), ..peer_open() });
    assert_eq!(code, (2, 2));
    assert_eq!(
        script.last_reason(),
        "OPEN refused: peer says AS 65009, configured is AS 65002: \
         correct `as` of the neighbor or the peer's configuration"
    );
    assert_eq!(script.session.last_open_received().unwrap().asn, Asn(65009));
}

#[test]
fn internal_and_external_mean_our_own_as_and_any_other() {
    let cases = [
        (PeerAs::Internal, US, true),
        (PeerAs::Internal, PEER, false),
        (PeerAs::External, PEER, true),
        (PeerAs::External, US, false),
        (PeerAs::External, Asn(0), false),
        (PeerAs::Exactly(PEER), PEER, true),
    ];
    for (peer_as, asn, accepted) in cases {
        let config = SessionConfig { peer_as, ..config() };
        let sent = open::our_open(&config);
        let theirs = Open { asn, ..peer_open() };
        let negotiated = open::negotiate(&config, &sent, &theirs);
        assert_eq!(negotiated.is_ok(), accepted, "{peer_as:?} and {asn:?}");
    }
}

#[test]
fn within_an_as_our_router_id_is_refused_and_between_ases_it_is_not() {
    let same = config().router_id;
    let internal = SessionConfig { peer_as: PeerAs::Internal, ..config() };
    let (code, script) = refusal(internal, Open { asn: US, router_id: same, ..peer_open() });
    assert_eq!(code, (2, 3));
    assert!(script.last_reason().contains("10.0.0.1"), "{}", script.last_reason());
    Script::new(config()).establish(Open { router_id: same, ..peer_open() });
}

#[test]
fn router_id_zero_and_hold_times_of_one_and_two_seconds_are_refused() {
    let zero = Open { router_id: Ipv4Addr::UNSPECIFIED, ..peer_open() };
    assert_eq!(refusal(config(), zero).0, (2, 3));
    for hold_time in [1, 2] {
        let open = Open { hold_time: seconds(hold_time), ..peer_open() };
        assert_eq!(refusal(config(), open).0, (2, 6));
    }
}

#[test]
fn the_smaller_hold_time_holds_and_keepalives_take_at_most_a_third() {
    for (ours, theirs, agreed) in [(90, 180, 90), (90, 30, 30), (90, 0, 0), (0, 90, 0), (9, 3, 3)] {
        let mut script = Script::new(SessionConfig { hold_time: seconds(ours), ..config() });
        script.establish(Open { hold_time: seconds(theirs), ..peer_open() });
        let negotiated = script.session.negotiated().unwrap();
        assert_eq!(negotiated.hold_time, seconds(agreed));
        let third = seconds(agreed) / 3;
        let interval = negotiated.keepalive_interval;
        assert!(interval <= third && interval >= third * 3 / 4, "{interval:?} of {third:?}");
    }
}

#[test]
fn a_neighbor_without_evpn_comes_up_and_the_operator_is_told() {
    let no_families =
        without_capability(peer_open(), |c| matches!(c, Capability::Multiprotocol(_)));
    let mut script = Script::new(config());
    script.establish(no_families);
    assert_eq!(script.session.negotiated().unwrap().families, []);
    let notice = script.session.negotiated().unwrap().notices()[0].to_string();
    assert!(
        notice.contains("we offer l2vpn-evpn, the neighbor ipv4-unicast; activate one of ours"),
        "{notice}"
    );
    assert!(script.session.events().any(|e| e.kind.to_string() == notice));
}

#[test]
fn no_capabilities_at_all_mean_ipv4_unicast_and_two_octet_as_numbers() {
    let config = SessionConfig { families: vec![Family::EVPN, Family::IPV4_UNICAST], ..config() };
    let mut script = Script::new(config);
    script.establish(Open { capabilities: Vec::new(), ..peer_open() });
    let negotiated = script.session.negotiated().unwrap();
    assert_eq!(negotiated.families, [Family::IPV4_UNICAST]);
    let notice = negotiated.notices()[0].to_string();
    assert!(notice.contains("does not offer l2vpn-evpn, no route of it"), "{notice}");
    assert!(!negotiated.four_octet_as && !negotiated.route_refresh);
    assert_eq!(negotiated.send_length_max, 4096);
    assert_eq!(negotiated.receive_length_max, 65535, "we did offer it");
}

#[test]
fn what_both_offer_is_negotiated() {
    let mut script = Script::new(config());
    script.establish(peer_open());
    let negotiated = script.session.negotiated().unwrap();
    assert_eq!(negotiated.kind, PeerKind::External);
    assert_eq!(negotiated.families, [Family::EVPN]);
    assert!(negotiated.four_octet_as && negotiated.route_refresh);
    assert!(negotiated.enhanced_route_refresh);
    assert_eq!(negotiated.send_length_max, 65535);
    assert_eq!(negotiated.graceful_restart, None);
    assert_eq!(negotiated.notices(), []);
}

#[test]
fn reading_may_go_on_before_the_keepalive_answers_the_open() {
    let mut script = Script::new(config());
    let connection = script.dial();
    let outputs = script.receive(connection, ReceivedMessage::Open(peer_open()));
    let [negotiated, keepalive, lease] = &outputs[..] else { panic!("{outputs:?}") };
    assert!(matches!(negotiated, Output::Negotiated { .. }));
    assert!(matches!(keepalive, Output::Send { message: Message::Keepalive, .. }));
    assert!(matches!(lease, Output::Lease { until, .. } if *until == script.now + seconds(90)));
}

#[test]
fn our_graceful_restart_says_r_until_the_restart_is_complete_and_f_where_forwarding_stayed() {
    let restart = GracefulRestartConfig { restarting: true, ..restart_config() };
    let families = vec![Family::EVPN, Family::IPV6_UNICAST];
    let config = SessionConfig { families, graceful_restart: Some(restart), ..config() };
    let mut session = Session::new(config, 0);
    let offered = |session: &Session| {
        let sent = session.capabilities_sent();
        sent.into_iter()
            .find_map(|c| match c {
                Capability::GracefulRestart(restart) => Some(restart),
                _ => None,
            })
            .unwrap()
    };
    let restart = offered(&session);
    assert!(restart.restarting && restart.notification);
    assert_eq!(
        restart.families,
        [(Family::EVPN, ForwardingPreserved::Yes), (Family::IPV6_UNICAST, ForwardingPreserved::No)]
    );
    session.restart_complete();
    assert!(!offered(&session).restarting);
}

#[test]
fn a_message_that_the_state_does_not_allow_is_answered_with_the_subcode_of_the_state() {
    let mut script = Script::new(config());
    let connection = script.dial();
    assert_eq!(notifications(&script.receive(connection, ReceivedMessage::Update)), [(5, 1)]);

    let mut script = Script::new(config());
    let connection = script.dial();
    script.receive(connection, ReceivedMessage::Open(peer_open()));
    let outputs = script.receive(connection, ReceivedMessage::Open(peer_open()));
    assert_eq!(notifications(&outputs), [(5, 2)]);

    let mut script = Script::new(config());
    let connection = script.establish(peer_open());
    let outputs = script.receive(connection, ReceivedMessage::Open(peer_open()));
    assert_eq!(notifications(&outputs), [(5, 3)]);
    assert!(script.last_reason().contains("OPEN received in Established"));
}

#[test]
fn a_malformed_message_ends_the_session_with_what_the_decoder_says() {
    let mut script = Script::new(config());
    let connection = script.establish(peer_open());
    let outputs = script.handle(Input::Malformed { connection, notification: plain(1, 2) });
    assert_eq!(notifications(&outputs), [(1, 2)]);
    assert!(closes(&outputs, connection));
    assert!(script.last_reason().contains("Bad Message Length (1/2)"), "{}", script.last_reason());
}

#[test]
fn a_configuration_that_cannot_be_offered_is_refused() {
    let broken = [
        SessionConfig { hold_time: seconds(2), ..config() },
        SessionConfig { hold_time: Duration::from_millis(90_500), ..config() },
        SessionConfig { hold_time: seconds(65_536), ..config() },
        SessionConfig { local_as: Asn(0), ..config() },
        SessionConfig { router_id: Ipv4Addr::UNSPECIFIED, ..config() },
        SessionConfig {
            graceful_restart: Some(GracefulRestartConfig {
                restart_time: seconds(4096),
                ..restart_config()
            }),
            ..config()
        },
    ];
    for config in broken {
        assert!(config.check().is_err(), "{config:?}");
    }
    assert_eq!(config().check(), Ok(()));
    assert_eq!(SessionConfig { hold_time: Duration::ZERO, ..config() }.check(), Ok(()));
}
