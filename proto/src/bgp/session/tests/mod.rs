//! Tests of the session: against a scripted neighbor, against another session over a network that
//! is only a queue, and against nonsense.

mod chaos;
mod collisions;
mod graceful_restart;
mod liveness;
mod opens;
mod pair;
mod roles;
mod start_stop;

use super::*;
use crate::bgp::message::{Capability, Notification, Open};
use crate::types::Asn;
use pair::Pair;
use std::net::{Ipv4Addr, SocketAddr};

const US: Asn = Asn(65001);
const PEER: Asn = Asn(65002);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn at(seconds: u64) -> Time {
    Time::ZERO + Duration::from_secs(seconds)
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(192, 0, 2, last), 179))
}

/// Ours, toward AS 65002.
fn config() -> SessionConfig {
    SessionConfig::new(US, PeerAs::Exactly(PEER), Ipv4Addr::new(10, 0, 0, 1))
}

/// The neighbor's, toward us.
fn peer_config() -> SessionConfig {
    SessionConfig::new(PEER, PeerAs::Exactly(US), Ipv4Addr::new(10, 0, 0, 2))
}

fn restart_config() -> GracefulRestartConfig {
    GracefulRestartConfig {
        restart_time: seconds(120),
        restarting: false,
        preserved: vec![Family::EVPN],
    }
}

/// The OPEN of a neighbor that is evpnd.
fn peer_open() -> Open {
    open::our_open(&peer_config())
}

fn plain(code: u8, subcode: u8) -> Notification {
    notification::plain(code, subcode)
}

/// A session and the script of its neighbor.
struct Script {
    session: Session,
    now: Time,
    incoming: u64,
}

impl Script {
    fn new(config: SessionConfig) -> Self {
        Self { session: Session::new(config, 7), now: at(1000), incoming: 0 }
    }

    /// Hands an input in and takes all outputs but those that only tell the state.
    fn handle(&mut self, input: Input) -> Vec<Output> {
        self.session.handle(self.now, input);
        self.outputs()
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.session.poll_output())
            .filter(|output| !matches!(output, Output::StateChanged { .. }))
            .collect()
    }

    fn receive(&mut self, connection: ConnectionId, message: ReceivedMessage) -> Vec<Output> {
        self.handle(Input::Received { connection, message, at: self.now })
    }

    fn accept(&mut self) -> ConnectionId {
        self.accept_with_outputs().0
    }

    fn accept_with_outputs(&mut self) -> (ConnectionId, Vec<Output>) {
        self.incoming += 1;
        let connection = ConnectionId::incoming(self.incoming);
        let (local, remote) = (address(1), address(2));
        (connection, self.handle(Input::Connected { connection, local, remote }))
    }

    /// Starts, and lets the dial succeed.
    fn dial(&mut self) -> ConnectionId {
        let outputs = self.handle(Input::Start);
        let Some(Output::Connect { connection }) = outputs.first().cloned() else {
            panic!("no dial in {outputs:?}")
        };
        let outputs =
            self.handle(Input::Connected { connection, local: address(1), remote: address(2) });
        assert!(matches!(outputs.as_slice(), [Output::Send { message: Message::Open(_), .. }]));
        connection
    }

    /// Brings the session up with a neighbor that sends this OPEN.
    fn establish(&mut self, open: Open) -> ConnectionId {
        let connection = self.dial();
        self.receive(connection, ReceivedMessage::Open(open));
        self.receive(connection, ReceivedMessage::Keepalive);
        assert_eq!(self.session.state(), SessionState::Established);
        connection
    }

    /// Lets time pass to the next deadline.
    fn expire(&mut self) -> Vec<Output> {
        self.now = self.now.max(self.session.next_deadline().expect("a deadline"));
        self.handle(Input::Timeout)
    }

    fn last_reason(&self) -> String {
        self.session.last_reset().expect("a reset").reason.to_string()
    }
}

fn notifications(outputs: &[Output]) -> Vec<(u8, u8)> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Send { message: Message::Notification(n), .. } => Some((n.code, n.subcode)),
            _ => None,
        })
        .collect()
}

fn closes(outputs: &[Output], wanted: ConnectionId) -> bool {
    outputs.iter().any(|o| matches!(o, Output::Close { connection } if *connection == wanted))
}

fn without_capability(mut open: Open, unwanted: fn(&Capability) -> bool) -> Open {
    open.capabilities.retain(|capability| !unwanted(capability));
    open
}
