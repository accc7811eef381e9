//! Every path, and every way to ask it wrongly.

use super::Server;
use evpn_api::energy::{OverrideRequest, Verb};
use evpn_api::evpn::HostQuery;
use evpn_api::neighbor::ClearRequest;
use evpn_api::page::{DEFAULT_LIMIT, MAX_LIMIT};
use evpn_api::route::{RouteKind, RouteQuery};
use evpn_api::system::LogLevel;
use evpn_api::why::WhyQuery;
use evpn_api::{ClientError, samples};
use std::sync::atomic::Ordering;

#[tokio::test]
async fn every_read_arrives_as_the_backend_gave_it() {
    let server = Server::start();
    let client = server.client();
    assert_eq!(client.version().await.unwrap(), samples::version());
    assert_eq!(client.health().await.unwrap(), samples::health_ready());
    assert_eq!(client.summary().await.unwrap(), samples::summary());
    assert_eq!(client.routes(&RouteQuery::default()).await.unwrap(), samples::routes());
    assert_eq!(client.bgp_vnis().await.unwrap(), samples::bgp_vnis());
    assert_eq!(client.neighbors().await.unwrap(), vec![samples::neighbor()]);
    let spine = samples::neighbor().id;
    assert_eq!(client.neighbor(&spine).await.unwrap(), samples::neighbor());
    assert_eq!(client.vnis().await.unwrap(), samples::vnis());
    assert_eq!(client.macs(&HostQuery::default()).await.unwrap(), samples::macs());
    assert_eq!(client.arp(&HostQuery::default()).await.unwrap(), samples::arp());
    assert_eq!(client.energy().await.unwrap(), samples::energy());
    assert_eq!(client.consistency().await.unwrap(), samples::consistency_differs());
    assert_eq!(client.effective_config().await.unwrap(), samples::effective_config());
}

#[tokio::test]
async fn filters_reach_the_backend_as_its_own_types() {
    let server = Server::start();
    let query = RouteQuery {
        kind: Some(RouteKind::Prefix),
        rd: Some("10.0.0.1:100".into()),
        vni: Some(100),
        mac: Some("02-00-00-00-00-0A".into()),
        prefix: Some("10.1.2.3/16".into()),
        limit: Some(u32::MAX),
        cursor: Some("c".into()),
    };
    server.client().routes(&query).await.unwrap();
    let [call] = &server.fake.calls()[..] else { panic!("one call") };
    for part in ["Prefix", "10.0.0.1:100", "Vni(100)", "02:00:00:00:00:0a", "10.1.0.0/16"] {
        assert!(call.contains(part), "{part} in {call}");
    }
    assert!(call.contains(&format!("limit: {MAX_LIMIT}, after: Some(\"c\")")), "{call}");
    server.client().macs(&HostQuery::default()).await.unwrap();
    assert!(server.fake.calls()[0].contains(&format!("limit: {DEFAULT_LIMIT}, after: None")));
}

#[tokio::test]
async fn why_takes_a_host_or_a_prefix_and_an_address_is_a_prefix() {
    let server = Server::start();
    let client = server.client();
    let ask = |mac: Option<&str>, prefix: Option<&str>| WhyQuery {
        mac: mac.map(Into::into),
        prefix: prefix.map(Into::into),
        vni: None,
    };
    client.why(&ask(Some("02:00:00:00:00:11"), None)).await.unwrap();
    client.why(&ask(None, Some("10.1.0.7"))).await.unwrap();
    let calls = server.fake.calls().join("\n");
    assert!(calls.contains("02:00:00:00:00:11") && calls.contains("10.1.0.7/32"), "{calls}");
    for wrong in [
        ask(None, None),
        ask(Some("02:00:00:00:00:11"), Some("10.1.0.7")),
        ask(Some("02:00"), None),
        ask(None, Some("10.1.0.7/99")),
    ] {
        let Err(ClientError::Refused { status, .. }) = client.why(&wrong).await else {
            panic!("{wrong:?}")
        };
        assert_eq!(status, 400);
    }
    assert!(server.fake.calls().is_empty());
}

#[tokio::test]
async fn who_gives_an_order_the_kernel_says() {
    let server = Server::start();
    let client = server.client();
    // A name of an interface reaches the backend as it is.
    let peer = "swp1%x?".parse().unwrap();
    let request = ClearRequest { soft: true, ..Default::default() };
    let done = client.clear_neighbor(&peer, request).await.unwrap();
    let uid = nix::unistd::getuid();
    assert!(done.text.contains(&format!("uid {uid}")), "{}", done.text);
    assert!(done.text.contains("with swp1%x? reset"), "{}", done.text);
    let order = OverrideRequest {
        verb: Verb::Drain,
        site: None,
        for_seconds: Some(7200),
        reason: Some("battery exchange".into()),
    };
    assert_eq!(client.override_energy(&order).await.unwrap(), samples::energy());
    let level = LogLevel { level: "debug".into() };
    assert_eq!(client.set_log_level(&level).await.unwrap(), level);
    let put = "PUT /api/v1/log-level HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
               content-type: application/json\r\ncontent-length: 16\r\n\r\n{\"level\":\"info\"}";
    assert!(server.raw(put).await.starts_with("HTTP/1.1 200"));
    let calls = server.fake.calls();
    assert!(calls[0].contains("soft: true") && calls[0].ends_with(&format!("{uid})")), "{calls:?}");
    assert!(calls[1].contains("Drain") && calls[2].contains("debug"), "{calls:?}");
}

#[tokio::test]
async fn an_incomplete_order_never_reaches_the_backend() {
    let server = Server::start();
    let order = OverrideRequest { verb: Verb::Drain, site: None, for_seconds: None, reason: None };
    let error = server.client().override_energy(&order).await.unwrap_err();
    assert!(error.to_string().contains("drain lasts between"), "{error}");
    assert!(error.remedy().unwrap().contains("--for 2h"));
    assert!(server.fake.calls().is_empty());
}

#[tokio::test]
async fn a_refused_reload_brings_every_problem() {
    let server = Server::start();
    let error = server.client().reload().await.unwrap_err();
    let ClientError::Refused { status: 422, body } = &error else { panic!("{error}") };
    assert_eq!(body.details.len(), 1);
    assert!(body.remedy.is_some());
}

#[tokio::test]
async fn readiness_is_a_status_and_its_checks_and_life_is_neither() {
    let server = Server::start();
    assert!(server.get("/readyz").await.starts_with("HTTP/1.1 200"));
    server.fake.waiting.store(true, Ordering::Relaxed);
    let answer = server.get("/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("waiting for spine1"), "{answer}");
    assert!(server.get("/healthz").await.starts_with("HTTP/1.1 200"));
    // `GET health` tells of not being ready, which is no failure to tell.
    assert_eq!(server.client().health().await.unwrap(), samples::health_waiting());
}

#[tokio::test]
async fn every_wrong_request_is_answered_in_the_same_form() {
    let server = Server::start();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let post = |path: &str, body: &str| {
        let length = body.len();
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    };
    let cases = [
        (get("/api/v1/nothing"), "404"),
        (get("/"), "404"),
        (post("/api/v1/version", ""), "405"),
        (get("/api/v1/bgp/neighbors/spine1"), "404"),
        (get("/api/v1/bgp/neighbors/10.0.0.99"), "404"),
        (get("/api/v1/evpn/mac?vni=0"), "400"),
        (get("/api/v1/evpn/mac?vni=x"), "400"),
        (get("/api/v1/evpn/mac?vnj=100"), "400"),
        (get("/api/v1/bgp/l2vpn/evpn/routes?type=7"), "400"),
        (get("/api/v1/bgp/l2vpn/evpn/routes?rd=x"), "400"),
        (get("/api/v1/bgp/l2vpn/evpn/routes?mac=02:00"), "400"),
        (post("/api/v1/log-level", "{"), "400"),
        (post("/api/v1/log-level", "{\"lvl\": 1}"), "400"),
        (post("/api/v1/energy/override", "{\"verb\": \"explode\"}"), "400"),
    ];
    for (request, status) in cases {
        let answer = server.raw(&request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}\n{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let body: evpn_api::ErrorBody = serde_json::from_str(body).unwrap();
        assert!(!body.error.is_empty());
    }
    assert!(server.fake.calls().is_empty());
}
