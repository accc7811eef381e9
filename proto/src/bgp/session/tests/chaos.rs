//! **From any state, after any inputs: no panic, at most one connection Established, no output for a
//! connection that is closed, and always a deadline or somebody to wait for.**

use super::*;
use crate::bgp::message::{ForwardingPreserved, GracefulRestart};
use proptest::prelude::*;
use std::collections::HashSet;

/// Something to do to a session; `which` picks one of the connections that it knows or knew.
#[derive(Clone, Copy, Debug)]
enum Act {
    Start,
    Stop(u8),
    ConnectFailed(usize),
    Connected(usize),
    Accept,
    Closed(usize),
    Open(usize, u8),
    Receive(usize, u8),
    Malformed(usize),
    Alive(usize),
    LinkDown,
    Expire,
    Wait(u16),
    Reconfigure(u8),
}

fn acts() -> impl Strategy<Value = Act> {
    let which = 0_usize..8;
    prop_oneof![
        2 => Just(Act::Start),
        1 => any::<u8>().prop_map(Act::Stop),
        2 => which.clone().prop_map(Act::ConnectFailed),
        6 => which.clone().prop_map(Act::Connected),
        4 => Just(Act::Accept),
        2 => which.clone().prop_map(Act::Closed),
        8 => (which.clone(), any::<u8>()).prop_map(|(which, kind)| Act::Open(which, kind)),
        8 => (which.clone(), any::<u8>()).prop_map(|(which, kind)| Act::Receive(which, kind)),
        1 => which.clone().prop_map(Act::Malformed),
        2 => which.prop_map(Act::Alive),
        1 => Just(Act::LinkDown),
        6 => Just(Act::Expire),
        3 => any::<u16>().prop_map(Act::Wait),
        1 => any::<u8>().prop_map(Act::Reconfigure),
    ]
}

fn some_config(kind: u8) -> SessionConfig {
    SessionConfig {
        mode: if kind & 1 == 0 { Mode::Active } else { Mode::Passive },
        hold_time: if kind & 2 == 0 { seconds(90) } else { Duration::ZERO },
        graceful_restart: (kind & 4 == 0).then(restart_config),
        idle_hold_min: if kind & 8 == 0 { seconds(1) } else { Duration::ZERO },
        connect_retry: if kind & 16 == 0 { seconds(10) } else { Duration::ZERO },
        router_id: Ipv4Addr::new(10, 0, 0, if kind & 32 == 0 { 1 } else { 3 }),
        ..config()
    }
}

fn some_open(kind: u8) -> Open {
    let mut open = peer_open();
    if kind & 1 == 0 {
        open.capabilities.push(Capability::GracefulRestart(GracefulRestart {
            restarting: kind & 2 == 0,
            notification: kind & 4 == 0,
            restart_time: seconds(60),
            families: vec![(Family::EVPN, ForwardingPreserved::Yes)],
        }));
    }
    match kind >> 3 {
        0 => open.asn = Asn(9),
        1 => open.hold_time = Duration::ZERO,
        2 => open.hold_time = seconds(2),
        3 => open.router_id = Ipv4Addr::UNSPECIFIED,
        _ => {}
    }
    open
}

/// The session, and what a shell would know of it.
struct Chaos {
    script: Script,
    /// Every connection there ever was, and the one that stands for none.
    known: Vec<ConnectionId>,
    dials: HashSet<ConnectionId>,
    open: HashSet<ConnectionId>,
    established: Option<ConnectionId>,
}

impl Chaos {
    fn new(config: SessionConfig) -> Self {
        Self {
            script: Script::new(config),
            known: vec![ConnectionId::incoming(0)],
            dials: HashSet::new(),
            open: HashSet::new(),
            established: None,
        }
    }

    /// Recent connections rather than old ones.
    fn pick(&self, which: usize) -> ConnectionId {
        self.known[self.known.len() - 1 - which % self.known.len()]
    }

    fn act(&mut self, act: Act) {
        let now = self.script.now;
        let (local, remote) = (address(1), address(2));
        let input = match act {
            Act::Start => Input::Start,
            Act::Stop(kind) => Input::Stop {
                reason: match kind % 6 {
                    0 => StopReason::AdminShutdown { text: "x".repeat(kind.into()) },
                    1 => StopReason::Deconfigured,
                    2 => StopReason::ConfigChanged,
                    3 => StopReason::MaximumPrefixes,
                    4 => StopReason::Restart,
                    _ => StopReason::Reset { text: String::new() },
                },
            },
            Act::ConnectFailed(which) => {
                let connection = self.pick(which);
                self.dials.remove(&connection);
                Input::ConnectFailed { connection, error: TransportError::TimedOut }
            }
            Act::Connected(which) => {
                let connection = self.pick(which);
                if self.dials.remove(&connection) {
                    self.open.insert(connection);
                } else if connection.direction() == Direction::Incoming {
                    return;
                }
                Input::Connected { connection, local, remote }
            }
            Act::Accept => {
                self.script.incoming += 1;
                let connection = ConnectionId::incoming(self.script.incoming);
                self.known.push(connection);
                self.open.insert(connection);
                Input::Connected { connection, local, remote }
            }
            Act::Closed(which) => {
                // Our half stands until the session has it closed.
                let connection = self.pick(which);
                Input::Closed { connection, error: TransportError::Closed }
            }
            Act::Open(which, kind) => Input::Received {
                connection: self.pick(which),
                message: ReceivedMessage::Open(some_open(kind)),
                at: now,
            },
            Act::Receive(which, kind) => Input::Received {
                connection: self.pick(which),
                message: match kind % 16 {
                    0 => ReceivedMessage::Update,
                    1 => ReceivedMessage::RouteRefresh,
                    2 => ReceivedMessage::Notification(plain(kind, 2)),
                    3 => ReceivedMessage::Notification(plain(6, 9)),
                    _ => ReceivedMessage::Keepalive,
                },
                at: now,
            },
            Act::Malformed(which) => {
                Input::Malformed { connection: self.pick(which), notification: plain(1, 1) }
            }
            Act::Alive(which) => {
                let connection = self.pick(which);
                self.script.session.handle(now, Input::Heard { connection, at: now });
                Input::Sent { connection, at: now, messages: MessageCounts::default() }
            }
            Act::LinkDown => Input::LinkDown { detector: Detector::Bfd },
            Act::Expire => {
                let Some(deadline) = self.script.session.next_deadline() else { return };
                self.script.now = now.max(deadline);
                Input::Timeout
            }
            Act::Wait(seconds_) => {
                self.script.now = now + seconds(u64::from(seconds_ % 100));
                Input::Timeout
            }
            Act::Reconfigure(kind) => {
                self.script.session.reconfigure(now, some_config(kind));
                Input::Timeout
            }
        };
        let timeout = input == Input::Timeout;
        self.script.session.handle(self.script.now, input);
        self.check_outputs();
        self.check_state();
        if timeout {
            let next = self.script.session.next_deadline();
            assert!(next.is_none_or(|next| next > self.script.now), "a timer that spins");
        }
    }

    fn check_outputs(&mut self) {
        for output in self.script.outputs() {
            match output {
                Output::Connect { connection } => {
                    assert!(!self.known.contains(&connection), "a name used twice");
                    self.known.push(connection);
                    self.dials.insert(connection);
                }
                Output::Close { connection } => {
                    self.dials.remove(&connection);
                    self.open.remove(&connection);
                }
                Output::Send { connection, .. }
                | Output::Negotiated { connection, .. }
                | Output::Lease { connection, .. } => assert!(self.open.contains(&connection)),
                Output::Established { connection } => {
                    assert!(self.open.contains(&connection));
                    assert_eq!(self.established.replace(connection), None);
                }
                Output::Down { connection, .. } => {
                    assert_eq!(self.established.take(), Some(connection));
                }
                Output::StateChanged { .. } => {}
            }
        }
    }

    fn check_state(&self) {
        let session = &self.script.session;
        let established: Vec<_> =
            self.known.iter().copied().filter(|c| session.is_established(*c)).collect();
        assert_eq!(established, self.established.into_iter().collect::<Vec<_>>());
        assert_eq!(!established.is_empty(), session.state() == SessionState::Established);
        assert!(self.open.len() <= 2 && self.dials.len() <= 1, "{:?} {:?}", self.open, self.dials);
        if session.state() < SessionState::OpenSent {
            assert!(self.open.is_empty(), "left behind: {:?}", self.open);
        }
        let waits_for_somebody = session.is_stopped()
            || session.state() == SessionState::Active && session.config().mode == Mode::Passive
            || session.state() == SessionState::Established
                && session.negotiated().unwrap().hold_time.is_zero();
        assert!(session.next_deadline().is_some() || waits_for_somebody, "stuck: {session:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn no_inputs_break_the_invariants(
        kind in any::<u8>(),
        acts in prop::collection::vec(acts(), 1..120),
    ) {
        let mut chaos = Chaos::new(some_config(kind));
        chaos.act(Act::Start);
        for act in acts {
            chaos.act(act);
        }
    }

    #[test]
    fn after_any_inputs_a_good_neighbor_comes_up(
        kind in any::<u8>(),
        acts in prop::collection::vec(acts(), 1..60),
    ) {
        let mut chaos = Chaos::new(some_config(kind));
        for act in acts {
            chaos.act(act);
        }
        chaos.act(Act::Stop(1));
        chaos.act(Act::Start);
        let connection = chaos.script.accept();
        chaos.script.receive(connection, ReceivedMessage::Open(peer_open()));
        chaos.script.receive(connection, ReceivedMessage::Keepalive);
        prop_assert!(chaos.script.session.is_established(connection));
    }
}
