//! Who else works on the same devices.
//!
//! **A daemon counts only where it can touch what evpnd writes**: in this network namespace.

use super::super::facts::{EvpndFound, Facts};
use super::super::finding::{Finding, State};
use super::or_ok;

/// The name of our own process.
const EVPND: &str = "evpnd";
/// Where NetworkManager is told what it does not manage.
const UNMANAGED: &str = "/etc/NetworkManager/conf.d/60-evpnd.conf";

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = rivals(facts);
    findings.extend(port(facts));
    findings.extend(networkd(facts));
    findings.extend(network_manager(facts));
    findings
}

/// The unit that starts a daemon, by the name of its process.
fn unit(process: &str) -> &str {
    match process {
        "bgpd" | "zebra" | "watchfrr" => "frr",
        "bird6" => "bird",
        other => other,
    }
}

fn rivals(facts: &Facts) -> Vec<Finding> {
    let finding = |rival: &String| {
        Finding::setting("other-daemons", State::Wrong, "another EVPN daemon", rival.clone())
            .breaks(
                "two daemons that both hold the same entries for theirs delete each other's: evpnd \
                 deletes nothing that is stale as long as the other is there",
            )
            .mend("systemctl disable --now frr")
    };
    let found = facts.rivals.iter().map(finding).collect();
    or_ok(found, "other-daemons", "no other EVPN daemon in this network namespace")
}

fn port(facts: &Facts) -> Vec<Finding> {
    let Some(intent) = &facts.intent else { return Vec::new() };
    let port = intent.port;
    let running = matches!(facts.evpnd, EvpndFound::Running(_));
    let mut strangers = facts.bgp_listeners.iter().filter(|name| *name != EVPND).peekable();
    let setting = format!("TCP port {port}");
    match strangers.peek().map(|name| name.as_str()) {
        None if facts.bgp_listeners.is_empty() => vec![match running {
            true => Finding::setting("bgp-port", State::Warning, setting, "nobody listens")
                .breaks("neighbors cannot dial in; those that evpnd dials come up all the same")
                .mend("journalctl -u evpnd | grep -i listen"),
            false => Finding::ok("bgp-port", format!("{setting} is free")),
        }],
        None => vec![Finding::ok("bgp-port", format!("evpnd listens on {setting}"))],
        // Without root nobody's name is shown: evpnd's own is as good a guess where it runs.
        Some("?") if running => {
            vec![
                Finding::of("bgp-port", State::Unknown, format!("who listens on {setting}?"))
                    .breaks("only root sees whose sockets these are")
                    .mend("sudo evpnctl doctor"),
            ]
        }
        Some(stranger) => {
            let mend = match stranger {
                "?" => format!("sudo ss -ltnp 'sport = :{port}'"),
                name => format!("systemctl disable --now {}", unit(name)),
            };
            let taken = format!("taken by {stranger}");
            vec![
                Finding::setting("bgp-port", State::Wrong, setting, taken)
                    .breaks("evpnd cannot listen there: sessions that neighbors dial end elsewhere")
                    .mend(mend),
            ]
        }
    }
}

fn networkd(facts: &Facts) -> Vec<Finding> {
    let Some(networkd) = facts.networkd else { return Vec::new() };
    let keys = [
        (networkd.manages_routes, "ManageForeignRoutes"),
        (networkd.manages_nexthops, "ManageForeignNextHops"),
    ];
    let finding = |key: &str| {
        Finding::setting("networkd", State::Warning, format!("systemd-networkd {key}"), "yes")
            .breaks(
                "networkd may delete what it did not make whenever it starts or configures a \
                 device: evpnd's entries go, and come back with the next audit",
            )
            .mend(
                "mkdir -p /etc/systemd/networkd.conf.d && printf '[Network]\\n\
                 ManageForeignRoutes=no\\nManageForeignNextHops=no\\n' \
                 >/etc/systemd/networkd.conf.d/60-evpnd.conf && systemctl restart systemd-networkd",
            )
    };
    let found = keys.iter().filter(|(manages, _)| *manages).map(|(_, key)| finding(key)).collect();
    or_ok(found, "networkd", "systemd-networkd leaves alone what it did not make")
}

fn network_manager(facts: &Facts) -> Vec<Finding> {
    let finding = |device: &String| {
        Finding::setting("network-manager", State::Warning, format!("{device} managed"), "true")
            .about(device)
            .breaks("NetworkManager may take it down, change its MTU or give it an address")
            .mend(format!("nmcli device set {device} managed no"))
            .keep(format!(
                "printf '[device-evpn]\\nmatch-device=interface-name:{device}\\nmanaged=0\\n' \
                 >>{UNMANAGED}"
            ))
    };
    facts.network_manager.iter().map(finding).collect()
}
