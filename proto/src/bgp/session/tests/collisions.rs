//! **Whatever the delays, of colliding connections exactly one stays, and both sides mean the
//! same.**

use super::*;
use crate::bgp::session::collision::{Rank, Verdict, resolve};
use proptest::prelude::*;

#[test]
fn the_verdicts_of_both_sides_never_contradict_each_other() {
    use Direction::{Incoming, Outgoing};
    let low = Rank { router_id: Ipv4Addr::new(10, 0, 0, 1), asn: Asn(65009) };
    let high = Rank { router_id: Ipv4Addr::new(10, 0, 0, 2), asn: Asn(65001) };
    let same_id_higher_as = Rank { router_id: low.router_id, asn: Asn(65010) };
    for (loser, winner) in [(low, high), (low, same_id_higher_as)] {
        assert_eq!(resolve(winner, loser, Outgoing), Verdict::KeepOpened);
        assert_eq!(resolve(winner, loser, Incoming), Verdict::KeepOther);
        assert_eq!(resolve(loser, winner, Incoming), Verdict::KeepOpened);
        assert_eq!(resolve(loser, winner, Outgoing), Verdict::KeepBoth);
    }
}

#[test]
fn identifiers_are_compared_as_numbers() {
    let rank = |router_id| Rank { router_id, asn: US };
    let (nine, ten) = (Ipv4Addr::new(9, 255, 255, 255), Ipv4Addr::new(10, 0, 0, 0));
    assert_eq!(resolve(rank(ten), rank(nine), Direction::Outgoing), Verdict::KeepOpened);
}

/// Both of our connections stand, no OPEN came yet.
fn two_connections(config: SessionConfig) -> (Script, ConnectionId, ConnectionId) {
    let mut script = Script::new(config);
    let outgoing = script.dial();
    let incoming = script.accept();
    (script, outgoing, incoming)
}

#[test]
fn the_loser_gives_its_own_connection_up_for_the_winners_with_cease_7() {
    let (mut script, outgoing, incoming) = two_connections(config());
    let outputs = script.receive(incoming, ReceivedMessage::Open(peer_open()));
    assert_eq!(notifications(&outputs), [(6, 7)]);
    assert!(closes(&outputs, outgoing) && !closes(&outputs, incoming));
    script.receive(incoming, ReceivedMessage::Keepalive);
    assert!(script.session.is_established(incoming));
}

#[test]
fn the_loser_keeps_the_winners_connection_until_its_own_is_confirmed() {
    let (mut script, outgoing, incoming) = two_connections(config());
    let outputs = script.receive(outgoing, ReceivedMessage::Open(peer_open()));
    assert_eq!(notifications(&outputs), []);
    let outputs = script.receive(outgoing, ReceivedMessage::Keepalive);
    assert!(closes(&outputs, incoming));
    assert!(script.session.is_established(outgoing));
}

#[test]
fn the_winner_keeps_its_own_connection() {
    let config = SessionConfig { router_id: Ipv4Addr::new(10, 0, 0, 3), ..config() };
    let (mut script, outgoing, incoming) = two_connections(config);
    let outputs = script.receive(incoming, ReceivedMessage::Open(peer_open()));
    assert_eq!(notifications(&outputs), [(6, 7)]);
    assert!(closes(&outputs, incoming) && !closes(&outputs, outgoing));
    assert_eq!(script.session.state(), SessionState::OpenSent);
}

#[test]
fn a_winner_whose_dial_is_never_answered_lets_the_caller_in_soon() {
    let config = SessionConfig { router_id: Ipv4Addr::new(10, 0, 0, 3), ..config() };
    let (mut script, outgoing, incoming) = two_connections(config);
    script.receive(incoming, ReceivedMessage::Open(peer_open()));
    let began = script.now;
    let outputs = script.expire();
    assert!(closes(&outputs, outgoing), "{outputs:?}");
    assert_eq!(script.now.saturating_since(began), seconds(10));
    assert!(script.last_reason().contains("for 10s, in OpenSent"), "{}", script.last_reason());
    let again = script.accept();
    script.receive(again, ReceivedMessage::Open(peer_open()));
    script.receive(again, ReceivedMessage::Keepalive);
    assert!(script.session.is_established(again));
}

#[test]
fn the_winner_whose_dial_is_under_way_commits_to_what_stands() {
    let config = SessionConfig { router_id: Ipv4Addr::new(10, 0, 0, 3), ..config() };
    let mut script = Script::new(config);
    let outputs = script.handle(Input::Start);
    let [Output::Connect { connection: dial }] = outputs[..] else { panic!("{outputs:?}") };
    let incoming = script.accept();
    let outputs = script.receive(incoming, ReceivedMessage::Open(peer_open()));
    assert!(closes(&outputs, dial) && !closes(&outputs, incoming));
    // The dial came about in the same moment: it is closed, and nothing else happens.
    let late = Input::Connected { connection: dial, local: address(1), remote: address(2) };
    assert_eq!(script.handle(late), [Output::Close { connection: dial }]);
    script.receive(incoming, ReceivedMessage::Keepalive);
    assert!(script.session.is_established(incoming));
}

#[test]
fn a_session_that_stands_refuses_another_connection() {
    let mut script = Script::new(config());
    let connection = script.establish(peer_open());
    script.now = script.now + seconds(60);
    let (incoming, outputs) = script.accept_with_outputs();
    assert_eq!(notifications(&outputs), [(6, 7)]);
    assert!(closes(&outputs, incoming));
    assert!(script.session.is_established(connection));
}

#[test]
fn a_neighbor_that_dials_again_replaces_its_earlier_connection() {
    let mut script = Script::new(SessionConfig { mode: Mode::Passive, ..config() });
    script.handle(Input::Start);
    let first = script.accept();
    let (second, outputs) = script.accept_with_outputs();
    assert!(closes(&outputs, first) && !closes(&outputs, second));
    assert_eq!(script.receive(first, ReceivedMessage::Open(peer_open())), []);
    script.receive(second, ReceivedMessage::Open(peer_open()));
    script.receive(second, ReceivedMessage::Keepalive);
    assert!(script.session.is_established(second));
}

/// Delays from a list, again and again.
fn cycle(delays: Vec<u16>) -> impl FnMut() -> Duration {
    let mut next = 0;
    move || {
        next += 1;
        Duration::from_millis(u64::from(delays[next % delays.len()]))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn simultaneous_opens_always_leave_one_connection_that_stays(
        delays in prop::collection::vec(0_u16..3000, 1..40),
        head_start in prop_oneof![3 => Just(0_u64), 1 => 0_u64..6000],
        ids in prop::sample::select(vec![(1, 2), (2, 1), (5, 5)]),
        restarts in any::<bool>(),
    ) {
        let graceful_restart = restarts.then(restart_config);
        let configs = [(config(), ids.0), (peer_config(), ids.1)].map(|(config, id)| SessionConfig {
            router_id: Ipv4Addr::new(10, 0, 0, id),
            graceful_restart: graceful_restart.clone(),
            ..config
        });
        let mut pair = Pair::new(configs, cycle(delays));
        pair.input(0, Input::Start);
        pair.input_after(1, Duration::from_millis(head_start), Input::Start);
        pair.run(seconds(300));
        prop_assert!(pair.agree());
        for side in &pair.sides {
            prop_assert_eq!(side.count(|o| matches!(o, Output::Established { .. })), 1);
            prop_assert_eq!(side.count(|o| matches!(o, Output::Down { .. })), 0);
        }
        // Where both were ready, no attempt was in vain.
        prop_assert!(head_start > 0 || pair.losses == 0);
    }
}
