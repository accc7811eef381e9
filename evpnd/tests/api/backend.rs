//! A daemon that answers fixed values and remembers what it was asked to do.

use crate::api::backend::{Answer, ApiError, Backend, Caller};
use crate::api::metrics::{PeerFigures, PeerState, SiteFigures, Snapshot, VniFigures};
use crate::api::params::{HostFilter, PageRequest, RouteFilter, WhySubject};
use evpn_api::bgp::{BgpVni, Summary};
use evpn_api::config::{EffectiveConfig, Reloaded};
use evpn_api::consistency::Consistency;
use evpn_api::energy::{Energy, Level, OverrideRequest};
use evpn_api::evpn::{Arp, Mac, Vni};
use evpn_api::neighbor::{ClearRequest, Done, Neighbor};
use evpn_api::route::Route;
use evpn_api::system::{Health, LogLevel, Version};
use evpn_api::why::Why;
use evpn_api::{Page, samples};
use evpn_proto::types::NeighborId;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::Semaphore;

/// What was asked, and how to answer.
pub(crate) struct Fake {
    /// Every call with arguments, in their debug form.
    pub(crate) calls: Mutex<Vec<String>>,
    /// Not ready yet.
    pub(crate) waiting: AtomicBool,
    /// A call of `version` takes one of these and keeps it.
    pub(crate) version_answers: Semaphore,
    version_calls: AtomicUsize,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            calls: Mutex::default(),
            waiting: AtomicBool::new(false),
            version_answers: Semaphore::new(Semaphore::MAX_PERMITS),
            version_calls: AtomicUsize::new(0),
        }
    }
}

impl Fake {
    fn note(&self, call: impl std::fmt::Debug) {
        self.calls.lock().unwrap().push(format!("{call:?}"));
    }

    /// How many calls of `version` there were.
    pub(crate) fn waiting_for_version(&self) -> usize {
        self.version_calls.load(Ordering::Relaxed)
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }
}

impl Backend for Fake {
    async fn version(&self) -> Answer<Version> {
        self.version_calls.fetch_add(1, Ordering::Relaxed);
        self.version_answers.acquire().await.unwrap().forget();
        Ok(samples::version())
    }

    async fn health(&self) -> Answer<Health> {
        let waiting = self.waiting.load(Ordering::Relaxed);
        Ok(if waiting { samples::health_waiting() } else { samples::health_ready() })
    }

    async fn metrics(&self) -> Answer<Snapshot> {
        Ok(snapshot())
    }

    async fn summary(&self) -> Answer<Summary> {
        Ok(samples::summary())
    }

    async fn neighbors(&self) -> Answer<Vec<Neighbor>> {
        Ok(vec![samples::neighbor()])
    }

    async fn neighbor(&self, id: NeighborId) -> Answer<Neighbor> {
        let neighbor = samples::neighbor();
        if neighbor.id.to_string() == id.to_string() {
            return Ok(neighbor);
        }
        Err(ApiError::not_found(format!("no neighbor {id}")).remedy("evpnctl show bgp summary"))
    }

    async fn clear_neighbor(
        &self,
        id: NeighborId,
        request: ClearRequest,
        caller: Caller,
    ) -> Answer<Done> {
        self.note((&id, request, caller.uid));
        Ok(Done { text: format!("session with {id} reset by {caller}") })
    }

    async fn routes(&self, filter: RouteFilter, page: PageRequest) -> Answer<Page<Route>> {
        self.note((filter, page));
        Ok(samples::routes())
    }

    async fn bgp_vnis(&self) -> Answer<Vec<BgpVni>> {
        Ok(samples::bgp_vnis())
    }

    async fn vnis(&self) -> Answer<Vec<Vni>> {
        Ok(samples::vnis())
    }

    async fn macs(&self, filter: HostFilter, page: PageRequest) -> Answer<Page<Mac>> {
        self.note((filter, page));
        Ok(samples::macs())
    }

    async fn arp(&self, filter: HostFilter, page: PageRequest) -> Answer<Page<Arp>> {
        self.note((filter, page));
        Ok(samples::arp())
    }

    async fn energy(&self) -> Answer<Energy> {
        Ok(samples::energy())
    }

    async fn override_energy(&self, request: OverrideRequest, caller: Caller) -> Answer<Energy> {
        self.note((request, caller.uid));
        Ok(samples::energy())
    }

    async fn consistency(&self) -> Answer<Consistency> {
        Ok(samples::consistency_differs())
    }

    async fn why(&self, subject: WhySubject) -> Answer<Why> {
        self.note(subject);
        Ok(samples::why_mac())
    }

    async fn effective_config(&self) -> Answer<EffectiveConfig> {
        Ok(samples::effective_config())
    }

    async fn reload(&self, _: Caller) -> Answer<Reloaded> {
        let problems = vec!["evpnd.toml:3:1: unknown key \"neighbour\"".to_owned()];
        Err(ApiError::unprocessable("the configuration has 1 error; nothing changed")
            .remedy("evpnctl config check /etc/evpnd")
            .details(problems))
    }

    async fn set_log_level(&self, level: LogLevel, _: Caller) -> Answer<LogLevel> {
        self.note(&level);
        Ok(level)
    }
}

fn snapshot() -> Snapshot {
    let up = PeerFigures {
        peer: "10.0.0.2".to_owned(),
        local_as: 65_000,
        peer_as: Some(65_001),
        state: PeerState::Established,
        uptime_seconds: Some(62),
        prefixes_received: 12,
        prefixes_accepted: 11,
        prefixes_advertised: 3,
        messages_received: 100,
        messages_sent: 90,
        drops: 1,
        treat_as_withdraw: 2,
    };
    let down = PeerFigures {
        peer: "10.0.0.3".to_owned(),
        peer_as: None,
        state: PeerState::Down,
        uptime_seconds: None,
        ..up.clone()
    };
    let held = PeerFigures { peer: "swp1".to_owned(), state: PeerState::AdminDown, ..down.clone() };
    let vni = VniFigures {
        vni: 100,
        up: true,
        local_macs: 2,
        remote_macs: 40,
        arp_nd: 31,
        remote_vteps: 2,
    };
    let barn = SiteFigures {
        site: "barn \"one\"".into(),
        soc_permille: Some(315),
        feed_age_seconds: Some(8),
        level: Level::Avoid,
        transitions: 3,
        rejected_readings: 2,
    };
    let mill = SiteFigures {
        site: "mill".into(),
        soc_permille: None,
        feed_age_seconds: None,
        level: Level::Normal,
        ..barn.clone()
    };
    Snapshot {
        version: "0.1.0".into(),
        resident_octets: None,
        rib_routes: 12,
        rib_octets: 4096,
        peers: vec![up, down, held],
        vnis: vec![vni],
        sites: vec![barn, mill],
        drift_entries: 1,
        repairs: 7,
        kernel_refusals: 0,
    }
}
