//! Advertises us as a router where the engine looks for a neighbour, and tells it who advertises
//! himself there.
//!
//! ```text
//!  engine ──the interfaces──► task ◄──► raw ICMPv6 socket, one for all
//!         ◄──RouterSeen──────
//! ```
//!
//! **Without an interface there is no socket, no timer and no wake-up.** With one it wakes when an
//! advertisement is due, about every ten seconds for each interface, and when one comes; the engine
//! wakes only when a source is another than before.

mod schedule;
mod socket;

use crate::clock::Clock;
use crate::engine_io::EngineHandle;
use crate::timer::Timer;
use evpn_dataplane::object::IfIndex;
use evpn_engine::{Input, RouterPort};
use evpn_proto::nd::{self, ALL_NODES, ALL_ROUTERS, Message, Received};
use schedule::{Schedule, chance};
use socket::{Heard, IcmpSocket};
use std::collections::BTreeMap;
use std::io;
use std::net::Ipv6Addr;
use std::time::Duration;
use tokio::sync::watch;

/// So often in a row a tentative address may be refused before it is told: 7 s or so.
const TENTATIVE_FAILURES: u32 = 4;
/// How long to wait before the socket is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// An interface.
#[derive(Debug)]
struct Port {
    settings: RouterPort,
    schedule: Schedule,
    /// Whom the engine knows there.
    told: Option<Ipv6Addr>,
    /// What was last told to the log of an advertisement that could not be sent.
    failure: Option<String>,
}

/// What the task works with.
pub(crate) struct RouterAdverts {
    pub(crate) engine: EngineHandle,
    pub(crate) clock: Clock,
    pub(crate) seed: u64,
    /// Where the engine wants us to be seen.
    pub(crate) wanted: watch::Receiver<Vec<RouterPort>>,
}

impl RouterAdverts {
    /// Works until the engine has ended.
    pub(crate) async fn run(mut self) {
        let mut told = None;
        while self.until_wanted().await.is_ok() {
            if let Err(error) = self.serve().await {
                let text = explain(&error);
                if told.as_ref() != Some(&text) {
                    tracing::error!("{text}");
                }
                told = Some(text);
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    async fn until_wanted(&mut self) -> Result<(), watch::error::RecvError> {
        self.wanted.wait_for(|ports| !ports.is_empty()).await.map(drop)
    }

    /// Returns when no interface is left, or with what the system refused.
    async fn serve(&mut self) -> io::Result<()> {
        let (socket, timer) = (IcmpSocket::open()?, Timer::new()?);
        let mut ports = BTreeMap::new();
        self.wanted.mark_changed();
        loop {
            tokio::select! {
                changed = self.wanted.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    let wanted = self.wanted.borrow_and_update().clone();
                    if wanted.is_empty() {
                        return Ok(());
                    }
                    self.take(&socket, &mut ports, wanted);
                }
                expired = timer.expired() => expired?,
                heard = socket.receive() => self.hear(&mut ports, &heard?).await,
            }
            self.send_due(&socket, &mut ports);
            if let Some(next) = ports.values().map(|port| port.schedule.next()).min() {
                timer.set(self.clock.until(next))?;
            }
        }
    }

    fn take(
        &self,
        socket: &IcmpSocket,
        ports: &mut BTreeMap<IfIndex, Port>,
        wanted: Vec<RouterPort>,
    ) {
        ports.retain(|device, port| {
            // One that came again in the meantime begins anew, and so does what the engine knows.
            let stays =
                wanted.iter().any(|new| new.device == *device && new.epoch == port.settings.epoch);
            if !stays {
                // A device that is gone has taken its groups with it.
                drop(socket.leave(*device));
            }
            stays
        });
        for settings in wanted {
            match ports.get_mut(&settings.device) {
                Some(port) => port.settings = settings,
                None => {
                    if let Err(error) = socket.join(settings.device) {
                        tracing::warn!("solicitations will not be heard: {error}");
                    }
                    let schedule = Schedule::new(self.clock.time());
                    let device = settings.device;
                    ports.insert(device, Port { settings, schedule, told: None, failure: None });
                }
            }
        }
    }

    fn send_due(&mut self, socket: &IcmpSocket, ports: &mut BTreeMap<IfIndex, Port>) {
        let now = self.clock.time();
        for port in ports.values_mut().filter(|port| port.schedule.next() <= now) {
            match send(socket, port) {
                Ok(()) => {
                    port.schedule.sent(now, chance(&mut self.seed));
                    port.failure = None;
                }
                Err(error) => {
                    let times = port.schedule.failed(now);
                    port.tell(&error, times);
                }
            }
        }
    }

    async fn hear(&self, ports: &mut BTreeMap<IfIndex, Port>, heard: &Heard) {
        let Some(port) = ports.get_mut(&heard.device) else { return };
        let Heard { device, source, hop_limit, octets } = heard;
        let received = Received { source: *source, hop_limit: *hop_limit, octets };
        match nd::parse(received) {
            _ if *source == port.settings.source => {}
            Ok(Message::Solicitation) => port.schedule.solicited(self.clock.time()),
            Ok(Message::Advertisement { .. }) => {
                port.schedule.heard();
                if port.told.replace(*source) != Some(*source) {
                    let input = Input::RouterSeen { device: *device, address: *source };
                    self.engine.input(input).await;
                }
            }
            // Anybody on the link may send nonsense, as often as he likes.
            Err(error) => tracing::debug!(%source, "not a router on the link: {error}"),
        }
    }
}

impl Port {
    /// The kernel refuses an address that is not known yet to be ours alone: that passes by itself,
    /// unless somebody else on the link has it.
    fn tell(&mut self, error: &io::Error, times: u32) {
        if error.raw_os_error() == Some(libc::EINVAL) && times < TENTATIVE_FAILURES {
            return;
        }
        let text = format!("cannot advertise from {}: {error}", self.settings.source);
        if self.failure.as_ref() != Some(&text) {
            tracing::warn!("{text}");
            self.failure = Some(text);
        }
    }
}

fn send(socket: &IcmpSocket, port: &Port) -> io::Result<()> {
    let RouterPort { device, mac, source, .. } = port.settings;
    socket.send(device, source, ALL_NODES, &nd::encode_advertisement(mac))?;
    if port.schedule.solicits() {
        socket.send(device, source, ALL_ROUTERS, &nd::encode_solicitation(mac))?;
    }
    Ok(())
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "router advertisements need CAP_NET_RAW: start evpnd by its systemd unit or as root; \
             neighbors on interfaces are not found without it"
                .to_owned()
        }
        _ => format!("cannot send and hear router advertisements: {error}"),
    }
}
