//! **Two that do not agree on what they are to each other do not come up (RFC 9234 section 4.2).**

use super::*;
use crate::bgp::role::Role;
use bytes::Bytes;

/// Ours toward an external neighbor.
fn we_are(role: Role, role_strict: bool) -> SessionConfig {
    SessionConfig { role: Some(role), role_strict, ..config() }
}

/// The OPEN of a neighbor that says these roles, known or not.
fn saying(numbers: &[u8]) -> Open {
    let mut open = peer_open();
    open.capabilities.extend(numbers.iter().map(|number| match Role::from_number(*number) {
        Some(role) => Capability::Role(role),
        None => Capability::Unknown { code: 9, value: Bytes::copy_from_slice(&[*number]) },
    }));
    open
}

/// What the neighbor is told, or our role once the session is up.
fn outcome(config: SessionConfig, open: Open) -> Result<Option<Role>, (u8, u8)> {
    let mut script = Script::new(config);
    let connection = script.dial();
    let outputs = script.receive(connection, ReceivedMessage::Open(open));
    match notifications(&outputs).first() {
        Some(code) => Err(*code),
        None => Ok(script.session.negotiated().unwrap().role),
    }
}

#[test]
fn roles_that_correspond_come_up_and_no_others() {
    for ours in Role::ALL {
        for theirs in 0..=5 {
            let pairs = [(0, 3), (3, 0), (1, 2), (2, 1), (4, 4)];
            let wanted = match pairs.contains(&(ours.number(), theirs)) {
                true => Ok(Some(ours)),
                false => Err((2, 11)),
            };
            assert_eq!(outcome(we_are(ours, false), saying(&[theirs])), wanted, "{ours} {theirs}");
        }
    }
}

#[test]
fn a_neighbor_that_says_no_role_comes_up_unless_we_insist() {
    assert_eq!(outcome(we_are(Role::Customer, false), saying(&[])), Ok(Some(Role::Customer)));
    assert_eq!(outcome(we_are(Role::Customer, true), saying(&[])), Err((2, 11)));
    assert_eq!(outcome(we_are(Role::Customer, true), saying(&[0])), Ok(Some(Role::Customer)));
    assert_eq!(outcome(config(), saying(&[0])), Ok(None), "we say none: it is the neighbor's");
    let mut odd = peer_open();
    odd.capabilities.push(Capability::Unknown { code: 9, value: Bytes::from_static(&[0, 0]) });
    assert_eq!(outcome(we_are(Role::Customer, true), odd), Err((2, 11)), "that is no role");
}

#[test]
fn several_roles_that_differ_are_refused_and_equal_ones_are_one() {
    assert_eq!(outcome(we_are(Role::Customer, true), saying(&[0, 0])), Ok(Some(Role::Customer)));
    for numbers in [&[0, 4][..], &[4, 0], &[0, 0, 7], &[9, 0]] {
        assert_eq!(outcome(we_are(Role::Customer, false), saying(numbers)), Err((2, 11)));
        assert_eq!(outcome(config(), saying(numbers)), Err((2, 11)));
    }
}

#[test]
fn within_an_as_there_are_no_roles() {
    let internal = SessionConfig { peer_as: PeerAs::Internal, ..config() };
    let open = Open { asn: US, ..saying(&[0, 4]) };
    assert_eq!(outcome(internal.clone(), open), Ok(None));
    let wrong = SessionConfig { role: Some(Role::Peer), ..internal };
    assert_eq!(wrong.check(), Err(ConfigError::Role));
    assert_eq!(we_are(Role::Peer, true).check(), Ok(()));
}

#[test]
fn a_mismatch_says_what_to_correct_on_both_sides() {
    let mut ours = Script::new(we_are(Role::Customer, false));
    let connection = ours.dial();
    ours.receive(connection, ReceivedMessage::Open(saying(&[4])));
    assert_eq!(
        ours.last_reason(),
        "OPEN refused: peer says it is our peer, and we are to be its customer: correct `role` \
         here or at the peer, its opposite is provider"
    );
    let mut theirs = Script::new(we_are(Role::Customer, false));
    let connection = theirs.dial();
    theirs.receive(connection, ReceivedMessage::Notification(plain(2, 11)));
    let told = theirs.last_reason();
    assert!(told.contains("Role Mismatch (2/11): `role` here"), "{told}");
    let events: Vec<String> = ours.session.events().map(|e| e.kind.to_string()).collect();
    assert!(events.iter().any(|e| e.contains("we are to be its customer")), "{events:?}");
}

#[test]
fn our_role_is_in_our_open_and_another_one_takes_a_new_session() {
    let mut script = Script::new(we_are(Role::Provider, false));
    assert!(script.session.capabilities_sent().contains(&Capability::Role(Role::Provider)));
    script.establish(saying(&[3]));
    let change = script.session.reconfigure(script.now, we_are(Role::Peer, false));
    assert_eq!(change, Change::ResetNeeded);
}
