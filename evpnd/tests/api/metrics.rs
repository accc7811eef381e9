//! `/metrics`.

use super::Server;

#[tokio::test]
async fn figures_are_open_metrics_with_the_usual_names() {
    let server = Server::start();
    let answer = server.get("/metrics").await;
    assert!(answer.contains("content-type: application/openmetrics-text; version=1.0.0"));
    let lines: Vec<&str> = answer.lines().collect();
    let labels = "vrf=\"default\",afi=\"l2vpn\",safi=\"evpn\",local_as=\"65000\"";
    let spine = format!("{labels},peer=\"10.0.0.2\",peer_as=\"65001\"");
    for expected in [
        format!("evpnd_bgp_peer_state{{{spine}}} 1.0"),
        format!("evpnd_bgp_peer_state{{{labels},peer=\"swp1\",peer_as=\"\"}} 2.0"),
        format!("evpnd_bgp_peer_uptime_seconds{{{spine}}} 62.0"),
        format!("evpnd_bgp_peer_message_received_total{{{spine}}} 100"),
        format!("evpnd_bgp_peer_treat_as_withdraw_total{{{spine}}} 2"),
        "evpnd_evpn_macs{vni=\"100\",type=\"remote\"} 40.0".to_owned(),
        "evpnd_evpn_vnis 1.0".to_owned(),
        "evpnd_energy_soc_ratio{site=\"barn \\\"one\\\"\"} 0.315".to_owned(),
        "evpnd_energy_level{site=\"barn \\\"one\\\"\"} 2.0".to_owned(),
        "evpnd_energy_rejected_readings_total{site=\"mill\"} 2".to_owned(),
        "evpnd_fdb_drift_entries 1.0".to_owned(),
        "evpnd_fdb_repairs_total 7".to_owned(),
        "# EOF".to_owned(),
    ] {
        assert!(lines.contains(&expected.as_str()), "{expected}\n{answer}");
    }
}

#[tokio::test]
async fn an_unknown_figure_is_absent_and_not_zero() {
    let server = Server::start();
    let answer = server.get("/metrics").await;
    assert!(!answer.contains("evpnd_energy_soc_ratio{site=\"mill\"}"));
    assert!(!answer.contains("evpnd_resident_memory_bytes"));
    let uptimes = answer.lines().filter(|l| l.starts_with("evpnd_bgp_peer_uptime_seconds{"));
    assert_eq!(uptimes.count(), 1);
}
