//! The backend over real engines that are wired to each other.

#[path = "../../../crates/engine/tests/common/mod.rs"]
mod net;
mod reach;
mod unicast;

use super::{
    AppBackend, ConfigControl, ConfigSource, ConfigValue, Dataplane, DataplaneReport, Lookups,
    Pending,
};
use crate::api::backend::{ApiError, Backend, Caller};
use crate::api::metrics;
use crate::api::params::{HostFilter, PageRequest, RouteFilter, WhySubject};
use crate::engine_io::{EngineHandle, ToEngine};
use crate::peer_io::ListenerState;
use evpn_api::bgp::SessionState;
use evpn_api::energy::{DrainState, Level, OverrideRequest, Verb};
use evpn_api::neighbor::{ClearRequest, SoftDirection};
use evpn_api::system::{Health, LogLevel};
use evpn_api::{Locality, UpDown};
use evpn_dataplane::difference::{Difference, Differences, Reason};
use evpn_dataplane::object::Mode;
use evpn_dataplane::reconciler::{Counters, Summary, Tally};
use evpn_engine::settings::{Settings, Targets, VniSettings};
use evpn_proto::bgp::session::PeerAs;
use evpn_proto::types::{Asn, Time};
use net::{Ases, Net, VNI, energy, host, prefix, service, underlay, vni, vtep};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A dataplane in which these objects differ.
#[derive(Clone, Default)]
struct Kernel {
    differs: Vec<String>,
    parked: usize,
    lookups: Lookups,
}

impl Dataplane for Kernel {
    fn report(&self, limit: usize) -> Pending<'_, Result<DataplaneReport, String>> {
        let difference = |object: &String| Difference {
            object: object.clone(),
            intended: Some("to 10.0.0.2".into()),
            kernel: None,
            reason: Reason::Pending,
            failure: None,
        };
        let fdb = Tally { wanted: 2, present: 1 };
        let report = DataplaneReport {
            mode: Mode::Steady,
            checked_ago: Duration::from_millis(5),
            summary: Summary { fdb, parked: self.parked, ..Summary::default() },
            counters: Counters { repairs: 3, ..Counters::default() },
            differences: Differences {
                total: self.differs.len(),
                first: self.differs.iter().map(difference).take(limit).collect(),
            },
            held: None,
        };
        Box::pin(async move { Ok(report) })
    }

    fn lookups(&self, to: Vec<IpAddr>) -> Pending<'_, Lookups> {
        let asked = to.iter().filter_map(|to| Some((*to, self.lookups.get(to)?.clone())));
        let answer = asked.collect();
        Box::pin(async move { answer })
    }
}

struct Config;

impl ConfigControl for Config {
    fn effective(&self) -> ConfigSource {
        let value = |key: &str, value: &str| ConfigValue {
            key: key.into(),
            value: value.into(),
            origin: "evpnd.toml:1".into(),
        };
        ConfigSource {
            files: vec!["evpnd.toml".into()],
            loaded_at: Time::ZERO + Duration::from_secs(1000),
            values: vec![value("router.as", "65001")],
        }
    }

    fn feed(&self) -> String {
        "nut".into()
    }

    fn reload(&self) -> Pending<'_, Result<Vec<(String, String)>, Vec<String>>> {
        Box::pin(async { Err(vec!["evpnd.toml:3: unknown key".into(), "another".into()]) })
    }

    fn set_log_level(&self, level: &str) -> Result<(), String> {
        if level == "debug" { Ok(()) } else { Err(format!("\"{level}\" is no log level")) }
    }
}

struct Daemon {
    backend: AppBackend,
    listeners: ListenerState,
    net: Arc<Mutex<Net>>,
}

impl Daemon {
    /// The first leaf of the net behind the API.
    fn new(net: Net, kernel: Kernel) -> Self {
        let net = Arc::new(Mutex::new(net));
        let (engine, inbox) = EngineHandle::new();
        let thread = Arc::clone(&net);
        std::thread::spawn(move || {
            while let Ok(message) = inbox.recv() {
                let mut net = thread.lock().unwrap();
                let now = net.now;
                if let ToEngine::Ask(question) = message {
                    question(&mut net.leaves[0].engine, now);
                    net.advance(Duration::from_nanos(1));
                }
            }
        });
        let listeners = ListenerState::default();
        let address: SocketAddr = "0.0.0.0:179".parse().unwrap();
        listeners.lock().unwrap().insert(address, Ok(()));
        let backend = AppBackend::new(engine, kernel, Arc::new(Config), Arc::clone(&listeners));
        Self { backend, listeners, net }
    }

    fn two() -> Self {
        Self::new(two(|_| {}), Kernel::default())
    }

    async fn health(&self) -> Health {
        self.backend.health().await.unwrap()
    }
}

fn two(change: impl Fn(&mut Settings)) -> Net {
    let mut net = Net::mesh(2, Ases::Each, |settings| {
        settings.energy = Some(energy());
        change(settings);
    });
    net.learn(0, 1);
    net.learn(1, 2);
    net
}

fn ana() -> Caller {
    Caller { uid: 1000, name: Some("ana".into()) }
}

fn page(limit: usize, after: Option<String>) -> PageRequest {
    PageRequest { limit, after }
}

fn status(error: &ApiError) -> String {
    error.to_string().rsplit(' ').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_session_that_stands_is_shown_with_its_counts() {
    let daemon = Daemon::two();
    let summary = daemon.backend.summary().await.unwrap();
    assert_eq!((summary.total_peers, summary.failed_peers, summary.rib_count), (1, 0, 12));
    let line = &summary.peers[&underlay(2).into()];
    assert_eq!(line.state, SessionState::Established);
    assert_eq!((line.remote_as, line.pfx_rcd, line.pfx_snt), (Some(65002), 6, 6));
    assert!(line.peer_uptime_msec.is_some() && line.last_reset.is_none());

    let neighbor = daemon.backend.neighbor(underlay(2).into()).await.unwrap();
    assert_eq!(neighbor.timers.bgp_timer_hold_time_msecs, 90_000);
    assert!(neighbor.timers.hold_remaining_msecs.is_some_and(|left| left <= 90_000));
    assert_eq!(neighbor.l2_vpn_evpn.accepted_prefix_counter, 6);
    let restart = neighbor.graceful_restart_info;
    assert!(restart.advertised && restart.received && restart.notification);
    assert!(restart.end_of_rib_received && restart.end_of_rib_sent);
    let evpn = neighbor.neighbor_capabilities.iter().find(|c| c.name == "l2vpn evpn").unwrap();
    assert!(evpn.advertised && evpn.received);
    assert!(neighbor.neighbor_capabilities.is_sorted_by_key(|c| c.name.clone()));
    assert!(neighbor.events[0].text.contains("Established"), "{:?}", neighbor.events);
    assert_eq!(status(&daemon.backend.neighbor(vtep(9).into()).await.unwrap_err()), "(404)");
}

#[tokio::test]
async fn a_session_that_does_not_come_up_says_why() {
    let wrong_as = |settings: &mut Settings| {
        if settings.asn == Asn(65001) {
            settings.neighbors[0].session.peer_as = PeerAs::Exactly(Asn(64999));
        }
    };
    let cause = async |net: Net| {
        let daemon = Daemon::new(net, Kernel::default());
        let summary = daemon.backend.summary().await.unwrap();
        summary.peers[&underlay(2).into()]
            .last_reset
            .clone()
            .map(|reset| (reset.cause, reset.remedy))
    };
    let (code, remedy) = cause(two(wrong_as)).await.unwrap();
    assert_eq!(code, "wrongAs");
    assert!(remedy.is_some_and(|text| text.contains("65002")));
    let theirs = |settings: &mut Settings| {
        if settings.asn == Asn(65002) {
            settings.neighbors[0].session.peer_as = PeerAs::Exactly(Asn(64999));
        }
    };
    assert_eq!(cause(two(theirs)).await.unwrap().0, "ourAsRefused");
    let mut gone = two(|_| {});
    gone.unplug(1);
    gone.advance(Duration::from_secs(30));
    assert_eq!(cause(gone).await.unwrap().0, "noRoute");
    let down = |settings: &mut Settings| settings.neighbors[0].shutdown = true;
    assert_eq!(cause(two(down)).await.unwrap().0, "adminDown");
}

#[tokio::test]
async fn clearing_does_what_it_says_or_says_why_not() {
    let daemon = Daemon::two();
    let clear = async |peer, soft| {
        daemon
            .backend
            .clear_neighbor(
                underlay(peer).into(),
                ClearRequest { soft, ..Default::default() },
                ana(),
            )
            .await
    };
    assert_eq!(status(&clear(9, false).await.unwrap_err()), "(404)");
    assert!(clear(2, true).await.unwrap().text.contains("exchanged again"));
    assert!(clear(2, false).await.unwrap().text.contains("is reset"));
    let summary = daemon.backend.summary().await.unwrap();
    let line = &summary.peers[&underlay(2).into()];
    assert_ne!(line.state, SessionState::Established);
    assert_eq!(line.last_reset.as_ref().unwrap().last_reset_due_to, "reset by an operator");
    assert_eq!(line.connections_dropped, 1);
    assert_eq!(status(&clear(2, true).await.unwrap_err()), "(409)");
}

#[tokio::test]
async fn a_soft_clear_goes_one_way_if_asked_and_a_message_goes_with_a_reset_only() {
    let daemon = Daemon::two();
    let clear = async |request| {
        daemon
            .backend
            .clear_neighbor(underlay(2).into(), request, ana())
            .await
            .map(|done| done.text)
    };
    let soft = |direction| ClearRequest { soft: true, direction: Some(direction), message: None };
    let text = clear(soft(SoftDirection::In)).await.unwrap();
    assert!(text.contains("is asked for its routes"), "{text}");
    let text = clear(soft(SoftDirection::Out)).await.unwrap();
    assert!(text.contains("our routes are sent"), "{text}");
    let message = Some("x".repeat(256));
    let wrong = ClearRequest { message: message.clone(), ..soft(SoftDirection::In) };
    assert_eq!(status(&clear(wrong).await.unwrap_err()), "(400)");
    let wrong = ClearRequest { soft: false, ..soft(SoftDirection::In) };
    assert_eq!(status(&clear(wrong).await.unwrap_err()), "(400)");
    let text = clear(ClearRequest { message, ..ClearRequest::default() }).await.unwrap();
    assert!(text.ends_with("the first 255 octets of the message"), "{text}");
}

#[tokio::test]
async fn the_events_tell_of_refreshes_and_of_what_was_said_at_a_reset() {
    let daemon = Daemon::two();
    let clear =
        async |request| daemon.backend.clear_neighbor(underlay(2).into(), request, ana()).await;
    let events = async || {
        let neighbor = daemon.backend.neighbor(underlay(2).into()).await.unwrap();
        neighbor.events.into_iter().map(|event| event.text).collect::<Vec<_>>()
    };
    clear(ClearRequest { soft: true, ..ClearRequest::default() }).await.unwrap();
    for text in ["we ask the neighbor", "begins to send", "routes gone: 0", "have been sent again"]
    {
        assert!(events().await.iter().any(|e| e.contains(text)), "{text}: {:?}", events().await);
    }
    let message = Some("new\noptics".to_owned());
    clear(ClearRequest { message, ..ClearRequest::default() }).await.unwrap();
    let told = events().await;
    let said = "cleared by the operator, saying \"new\\noptics\"";
    assert!(told.iter().any(|e| e.contains(said)), "{told:?}");
}

#[tokio::test]
async fn roles_are_shown_and_their_mismatch_is_a_cause_of_its_own() {
    use evpn_proto::bgp::role::Role;
    let with = |ours, theirs| {
        two(move |settings: &mut Settings| {
            let role = if settings.asn == Asn(65001) { ours } else { theirs };
            settings.neighbors[0].session.role = Some(role);
        })
    };
    let daemon = Daemon::new(with(Role::Customer, Role::Provider), Kernel::default());
    let neighbor = daemon.backend.neighbor(underlay(2).into()).await.unwrap();
    let roles = (neighbor.local_role.as_deref(), neighbor.remote_role.as_deref());
    assert_eq!(roles, (Some("customer"), Some("provider")));
    let role = neighbor.neighbor_capabilities.iter().find(|c| c.name == "role").unwrap();
    assert!(role.advertised && role.received);
    let daemon = Daemon::new(with(Role::Customer, Role::Peer), Kernel::default());
    let reset = daemon.backend.neighbor(underlay(2).into()).await.unwrap().last_reset.unwrap();
    let shown = (reset.cause.as_str(), reset.last_reset_due_to.as_str());
    let text = "it says that it is our peer, and we are to be its customer";
    assert_eq!(shown, ("roleMismatch", text));
}

#[tokio::test]
async fn routes_come_in_pages_by_the_tokens_that_the_pages_carry() {
    let daemon = Daemon::two();
    let (mut read, mut after) = (Vec::new(), None);
    loop {
        let found = daemon.backend.routes(RouteFilter::default(), page(3, after)).await.unwrap();
        assert_eq!(found.total, Some(12));
        read.extend(found.items);
        after = found.next_cursor;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(read.len(), 12);
    let route = read
        .iter()
        .find(|r| r.rd.as_deref() == Some("10.0.0.2:100") && r.ip == Some(host(2).to_string()));
    let route = route.unwrap();
    assert_eq!(route.prefix, "[2]:[0]:[48]:[02:00:00:00:00:02]:[32]:[192.168.100.2]");
    let path = &route.paths[0];
    assert!(path.valid && path.bestpath);
    assert_eq!((path.path.as_str(), path.vni.as_deref()), ("65002", Some([VNI].as_slice())));
    assert_eq!(path.extended_community, ["RT:65002:100", "ET:8"]);
    assert_eq!(path.selection_reason.as_deref(), Some("only path"));
    let flood = read.iter().find(|r| r.ip == Some(vtep(2).to_string())).unwrap();
    assert_eq!(flood.paths[0].vni, Some(vec![VNI]), "in its PMSI tunnel");
    let five = read.iter().find(|r| r.ip == Some(service().to_string())).unwrap();
    assert_eq!(five.paths[0].link_bandwidth, Some(1_000_000_000));

    let wrong = daemon.backend.routes(RouteFilter::default(), page(3, Some("x".into()))).await;
    assert_eq!(status(&wrong.unwrap_err()), "(400)");
}

#[tokio::test]
async fn hosts_come_in_pages_and_vnis_whole() {
    let daemon = Daemon::two();
    let first = daemon.backend.macs(HostFilter::default(), page(1, None)).await.unwrap();
    assert_eq!(
        (first.items[0].kind, first.items[0].intf.as_deref()),
        (Locality::Local, Some("swp1"))
    );
    let rest = daemon.backend.macs(HostFilter::default(), page(9, first.next_cursor)).await;
    let rest = rest.unwrap();
    assert_eq!(rest.items.len(), 1);
    assert_eq!((rest.items[0].kind, rest.items[0].remote_vtep), (Locality::Remote, Some(vtep(2))));
    assert!(rest.next_cursor.is_none());
    let wrong = daemon.backend.arp(HostFilter::default(), page(9, Some("100/zz".into()))).await;
    assert_eq!(status(&wrong.unwrap_err()), "(400)");
    let arp = daemon.backend.arp(HostFilter::default(), page(9, None)).await.unwrap().items;
    assert_eq!(arp.iter().map(|a| a.ip).collect::<Vec<_>>(), [host(1), host(2)]);

    let vnis = daemon.backend.vnis().await.unwrap();
    assert_eq!((vnis[0].vni, vnis[0].state, vnis[0].num_macs), (VNI, UpDown::Up, 2));
    assert_eq!(
        (vnis[0].vxlan_if.as_deref(), vnis[0].svi_if.as_deref()),
        (Some("vx100"), Some("br100"))
    );
    assert_eq!(vnis[1].tenant_vrf, "red");
    let bgp = daemon.backend.bgp_vnis().await.unwrap();
    assert_eq!((bgp[0].rd.as_str(), bgp[0].in_kernel), ("10.0.0.1:100", true));
    assert_eq!(
        (&bgp[0].import_rts, &bgp[0].export_rts),
        (&vec!["*:100".to_owned()], &vec!["65001:100".to_owned()])
    );
}

#[tokio::test]
async fn a_vni_that_is_down_says_what_to_do() {
    let net = two(|settings| {
        settings.vnis.insert(vni(300), Default::default());
    });
    let daemon = Daemon::new(net, Kernel::default());
    let vnis = daemon.backend.vnis().await.unwrap();
    let down = vnis.iter().find(|v| v.vni == 300).unwrap();
    assert_eq!(down.state, UpDown::Down);
    assert_eq!(down.notices[0].text, "no VXLAN device has this VNI");
    assert!(down.notices[0].remedy.as_ref().unwrap().starts_with("ip link add vx300"));
    let bgp = daemon.backend.bgp_vnis().await.unwrap();
    assert_eq!(bgp.iter().find(|v| v.vni == 300).unwrap().rd, "10.0.0.1:300");
}

#[tokio::test]
async fn vteps_with_other_route_targets_are_named_beside_those_that_match() {
    let others = |settings: &mut Settings| {
        let n = settings.router_id.octets()[3];
        if n > 2 {
            let explicit = vec![format!("6500{n}:777").parse().unwrap()];
            let export = Targets { auto: false, explicit };
            settings.vnis.insert(vni(VNI), VniSettings { export, ..VniSettings::default() });
        }
    };
    let notices = async |leaves| {
        let daemon = Daemon::new(Net::mesh(leaves, Ases::Each, others), Kernel::default());
        let vni = daemon.backend.vnis().await.unwrap().remove(0);
        assert_eq!(vni.remote_vteps, [vtep(2)]);
        // The leaves of this net have their VTEPs on no device, of which there is a notice too.
        let others = vni.notices.into_iter().filter(|n| !n.text.contains("on no device here"));
        others.map(|notice| (notice.text, notice.remedy.unwrap())).collect()
    };
    let none: Vec<(String, String)> = notices(2).await;
    assert_eq!(none, []);
    let [(text, remedy)] = &notices(3).await[..] else { panic!("one notice") };
    assert_eq!(text, "10.0.0.3 announces it with route target 65003:777, and *:100 is imported");
    let wanted = "add the one to `import` of [[vni]] 100, or correct `export` there";
    assert_eq!(remedy, wanted);
    let [(text, _)] = &notices(6).await[..] else { panic!("one notice") };
    assert_eq!(
        text,
        "10.0.0.3 (65003:777), 10.0.0.4 (65004:777), 10.0.0.5 (65005:777) and 1 more announce it \
         with route targets that nothing here imports, and *:100 is imported"
    );
}

#[tokio::test]
async fn an_order_is_shown_with_who_gave_it_until_it_is_taken_back() {
    let daemon = Daemon::two();
    let order = |verb, site: Option<&str>| OverrideRequest {
        verb,
        site: site.map(str::to_owned),
        for_seconds: Some(600),
        reason: Some("battery exchange: the new one".into()),
    };
    let elsewhere = daemon.backend.override_energy(order(Verb::Drain, Some("mill")), ana()).await;
    assert_eq!(status(&elsewhere.unwrap_err()), "(404)");
    let energy = daemon.backend.override_energy(order(Verb::Drain, None), ana()).await.unwrap();
    let site = &energy.sites[0];
    assert_eq!((site.level, site.name.as_str()), (Level::Drained, "barn"));
    let manual = site.manual.as_ref().unwrap();
    assert_eq!((manual.verb, manual.who.as_str()), (Verb::Drain, "ana (uid 1000)"));
    assert_eq!(
        (manual.reason.as_str(), manual.expires_in_sec),
        ("battery exchange: the new one", 600)
    );
    let announced = site.announced.as_ref().unwrap();
    assert_eq!((announced.link_bandwidth_percent, announced.loc_prf), (1, None));
    assert_eq!(site.prefixes[0].state, DrainState::Draining);
    assert_eq!(site.prefixes[0].drain_time_sec, 120);

    daemon.net.lock().unwrap().advance(Duration::from_secs(121));
    let site = daemon.backend.energy().await.unwrap().sites.remove(0);
    assert_eq!(site.prefixes[0].state, DrainState::Drained);
    let announced = site.announced.unwrap();
    assert_eq!((announced.loc_prf, announced.graceful_shutdown), (Some(0), true));
    let auto =
        daemon.backend.override_energy(order(Verb::Auto, Some("barn")), ana()).await.unwrap();
    assert!(auto.sites[0].manual.is_none());
}

#[test]
fn without_a_feed_no_feed_is_silent_and_nothing_is_announced_because_of_energy() {
    let mut net = two(|_| {});
    let charge = evpn_energy::Permille::percent(90);
    net.input(0, evpn_engine::Input::Reading(evpn_energy::Reading::of_charge(charge)));
    net.advance(Duration::from_secs(3600));
    let with = super::energy::energy(net.view(0), "nut");
    assert!(with.sites[0].reason.starts_with("the feed has been silent for "));
    assert!(with.sites[0].announced.is_some());
    let without = super::energy::energy(net.view(0), "manual");
    assert!(!without.enabled);
    assert_eq!(without.sites[0].reason, "there is no feed; the level is kept");
    assert_eq!(without.sites[0].announced, None);
}

#[tokio::test]
async fn ready_waits_for_every_neighbor_and_the_feed_and_names_what_is_missing() {
    let daemon = Daemon::two();
    let failing = |health: &Health| -> Vec<String> {
        health.checks.iter().filter(|c| !c.ok).map(|c| c.name.clone()).collect()
    };
    let health = daemon.health().await;
    assert_eq!(failing(&health), ["feed"]);
    {
        let mut net = daemon.net.lock().unwrap();
        let charge = evpn_energy::Permille::percent(90);
        let reading = evpn_energy::Reading::of_charge(charge);
        net.input(0, evpn_engine::Input::Reading(reading));
    }
    let health = daemon.health().await;
    assert!(health.ready, "{health:?}");
    let names: Vec<&str> = health.checks.iter().map(|c| c.name.as_str()).collect();
    let wanted =
        ["config", "listen", "kernel", "peers", "end-of-rib", "sweep", "dataplane", "feed"];
    assert_eq!(names, wanted);

    daemon.net.lock().unwrap().unplug(1);
    let address: SocketAddr = "0.0.0.0:179".parse().unwrap();
    daemon.listeners.lock().unwrap().insert(address, Err("address in use".into()));
    let health = daemon.health().await;
    assert_eq!(failing(&health), ["listen", "peers"]);
    let peers = health.checks.iter().find(|c| c.name == "peers").unwrap();
    assert!(peers.text.starts_with("0 of 1 established; 10.9.0.2: "), "{}", peers.text);

    let parked = Daemon::new(two(|_| {}), Kernel { parked: 2, ..Kernel::default() });
    assert_eq!(failing(&parked.health().await), ["dataplane", "feed"]);
}

#[tokio::test]
async fn consistent_means_that_nothing_differs() {
    let same = Daemon::two().backend.consistency().await.unwrap();
    assert!(same.ok && same.differences.is_empty());
    assert_eq!((same.objects[0].intended, same.objects[0].kernel), (2, 1));
    let differs = vec!["mac 02:00:00:00:00:02 on vx100".to_owned()];
    let daemon = Daemon::new(two(|_| {}), Kernel { differs, ..Kernel::default() });
    let found = daemon.backend.consistency().await.unwrap();
    assert!(!found.ok);
    assert_eq!((found.total_differences, found.differences[0].kind.as_str()), (1, "fdb"));
}

#[tokio::test]
async fn figures_are_those_of_the_engine_and_the_kernel() {
    let differs = vec!["route x".to_owned(); 4];
    let daemon = Daemon::new(two(|_| {}), Kernel { differs, ..Kernel::default() });
    let text = metrics::encode(daemon.backend.metrics().await.unwrap()).unwrap();
    for line in [
        "evpnd_bgp_rib_routes 12.0",
        "evpnd_fdb_drift_entries 4.0",
        "evpnd_fdb_repairs_total 3",
        "evpnd_evpn_macs{vni=\"100\",type=\"remote\"} 1.0",
        "evpnd_energy_level{site=\"barn\"} 0.0",
        "evpnd_bgp_peer_prefixes_received_count{vrf=\"default\",afi=\"l2vpn\",safi=\"evpn\",\
         local_as=\"65001\",peer=\"10.9.0.2\",peer_as=\"65002\"} 6.0",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
    assert!(text.contains("evpnd_resident_memory_bytes"));
}

#[tokio::test]
async fn the_daemon_tells_of_itself_and_of_its_configuration() {
    let daemon = Daemon::two();
    let version = daemon.backend.version().await.unwrap();
    assert_eq!(version.version, env!("CARGO_PKG_VERSION"));
    assert!(!version.kernel.is_empty() && version.uptime_msec >= 1_015_000);
    let config = daemon.backend.effective_config().await.unwrap();
    assert_eq!((config.values[0].key.as_str(), config.files.len()), ("router.as", 1));
    assert_eq!(config.loaded_ago_msec, 15_000);
    let refused = daemon.backend.reload(ana()).await.unwrap_err();
    assert_eq!(refused.to_string(), "the configuration has 2 problems; nothing changed (422)");
    let level = |text: &str| LogLevel { level: text.into() };
    assert!(daemon.backend.set_log_level(level("debug"), ana()).await.is_ok());
    let refused = daemon.backend.set_log_level(level("loud"), ana()).await.unwrap_err();
    assert_eq!(status(&refused), "(400)");
}
