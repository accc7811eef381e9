//! Settings of the kernel in /proc/sys.
//!
//! Left out on purpose: `arp_accept`, `arp_ignore` and `arp_announce`. evpnd hears hosts on their
//! ports, so what the kernel makes of their ARP decides nothing.
//!
//! **One that is not visible is not judged**: a network namespace shows its own only.

use super::super::finding::{Finding, State};
use super::or_ok;
use super::served::Fabric;
use evpn_netlink::survey::Survey;

/// The file that makes a sysctl last.
const LASTING: &str = "/etc/sysctl.d/60-evpnd.conf";
/// CAP_NET_ADMIN.
const NET_ADMIN: u64 = 1 << 12;
/// What a mend makes of a full neighbour table, at least.
const ENOUGH_NEIGHBOURS: u64 = 8192;

/// What is read, beside the settings of devices.
pub(in super::super) const PLAIN: [&str; 10] = [
    "net.ipv4.ip_forward",
    "net.ipv6.conf.all.forwarding",
    "net.ipv4.fib_multipath_hash_policy",
    "net.ipv6.fib_multipath_hash_policy",
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.neigh.default.gc_thresh3",
    "net.ipv6.neigh.default.gc_thresh3",
    "net.core.rmem_max",
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
];

/// What is read of each device: family and name.
pub(in super::super) const OF_DEVICES: [(&str, &str); 2] =
    [("ipv4", "rp_filter"), ("ipv6", "disable_ipv6")];

/// The name of a device's sysctl. sysctl reads slashes as well, and a name with a dot needs them.
pub(in super::super) fn of_device(family: &str, device: &str, name: &str) -> String {
    match device.contains('.') {
        true => format!("net/{family}/conf/{device}/{name}"),
        false => format!("net.{family}.conf.{device}.{name}"),
    }
}

/// A sysctl that should have another value.
pub(super) fn finding(
    check: &'static str,
    state: State,
    key: &str,
    value: &str,
    wanted: &str,
) -> Finding {
    Finding::setting(check, state, key, value)
        .mend(format!("sysctl -w {key}={wanted}"))
        .keep(format!("echo '{key} = {wanted}' >>{LASTING}"))
}

pub(super) fn judge(fabric: &Fabric<'_>, survey: &Survey) -> Vec<Finding> {
    let mut findings = Vec::new();
    if fabric.served.iter().any(|served| served.l3) {
        findings.extend(forwarding(fabric));
        findings.extend(hashing(fabric));
    } else {
        findings.extend(transit(fabric));
    }
    findings.extend(reverse_path(fabric));
    findings.extend(bridge_netfilter(fabric));
    findings.extend(neighbour_tables(fabric, survey));
    findings.extend(receive_buffer(fabric));
    findings
}

fn value<'f>(fabric: &Fabric<'f>, key: &str) -> Option<&'f str> {
    fabric.facts.sysctls.get(key).map(String::as_str)
}

fn number(fabric: &Fabric<'_>, key: &str) -> Option<u64> {
    value(fabric, key)?.parse().ok()
}

/// The VRFs, in words.
fn vrfs(fabric: &Fabric<'_>) -> String {
    let names = fabric.facts.intent.iter().flat_map(|intent| intent.l3vnis.values());
    let names: Vec<&str> = names.map(String::as_str).collect();
    if names.is_empty() { "an L3VNI".to_owned() } else { format!("VRF {}", names.join(", ")) }
}

/// Each family's key where that family is routed.
fn routed<'k>(fabric: &Fabric<'_>, ipv4: &'k str, ipv6: &'k str) -> Vec<&'k str> {
    let families = fabric.facts.intent.as_ref().map(|intent| intent.routed).unwrap_or_default();
    let mut keys = Vec::new();
    if families.ipv4 || !families.ipv6 {
        keys.push(ipv4);
    }
    if families.ipv6 {
        keys.push(ipv6);
    }
    keys
}

fn forwarding(fabric: &Fabric<'_>) -> Vec<Finding> {
    let keys = routed(fabric, "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding");
    let off = keys.into_iter().filter(|key| value(fabric, key) == Some("0"));
    let found = off.map(|key| {
        finding("ip-forward", State::Wrong, key, "0", "1")
            .breaks(format!("the switch drops what it should route for {}", vrfs(fabric)))
    });
    or_ok(found.collect(), "ip-forward", "packets are routed")
}

/// A speaker that tells one neighbor of another's routes is taken at its word. Where a VRF is routed
/// more is asked for already.
fn transit(fabric: &Fabric<'_>) -> Vec<Finding> {
    let Some(families) = fabric.facts.intent.as_ref().map(|intent| intent.passes_on) else {
        return Vec::new();
    };
    let keys =
        [(families.ipv4, "net.ipv4.ip_forward"), (families.ipv6, "net.ipv6.conf.all.forwarding")];
    let off = keys.into_iter().filter(|(on, key)| *on && value(fabric, key) == Some("0"));
    let found = off.map(|(_, key)| {
        finding("ip-forward", State::Wrong, key, "0", "1").breaks(
            "neighbors are told of each other's unicast routes by way of this switch, and what they \
             send by them is dropped",
        )
    });
    let found: Vec<Finding> = found.collect();
    match families.ipv4 || families.ipv6 {
        true => or_ok(found, "ip-forward", "packets are routed"),
        false => found,
    }
}

fn hashing(fabric: &Fabric<'_>) -> Vec<Finding> {
    let [ipv4, ipv6] = ["net.ipv4.fib_multipath_hash_policy", "net.ipv6.fib_multipath_hash_policy"];
    let off = routed(fabric, ipv4, ipv6).into_iter().filter(|k| value(fabric, k) == Some("0"));
    let found = off.map(|key| {
        finding("multipath-hash", State::Wrong, key, "0", "1").breaks(
            "pairs of hosts instead of connections are spread over sites: shares follow no weight, \
             and a drain finds no idle connection to begin with",
        )
    });
    or_ok(found.collect(), "multipath-hash", "connections are spread, not pairs of hosts")
}

/// The stricter of a device's own value and everybody's counts; loose (2) is more than strict (1).
fn reverse_path(fabric: &Fabric<'_>) -> Vec<Finding> {
    let all = number(fabric, "net.ipv4.conf.all.rp_filter").unwrap_or_default();
    let routers = fabric.served.iter().filter(|served| served.l3);
    let routers = routers.filter_map(|served| Some((&served.bridge?.link, State::Wrong)));
    let uplinks: Vec<_> = fabric.underlay().collect();
    // With one way there is no other way back.
    let severity = if uplinks.len() > 1 { State::Wrong } else { State::Note };
    let uplinks = uplinks.into_iter().map(|link| (link, severity));
    let strict = |(link, state): (&evpn_dataplane::facts::Link, State)| {
        let key = of_device("ipv4", &link.name, "rp_filter");
        let own = number(fabric, &key)?;
        (own.max(all) == 1).then(|| {
            finding("rp-filter", state, &key, &own.to_string(), "2").about(&link.name).breaks(
                format!(
                    "strict{}: packets whose way back is another are dropped, such as those of a \
                     host that several sites announce",
                    if own == 1 { "" } else { " by net.ipv4.conf.all.rp_filter = 1" }
                ),
            )
        })
    };
    let mut seen = std::collections::BTreeSet::new();
    let links = routers.chain(uplinks).filter(|(link, _)| seen.insert(link.index));
    let found: Vec<Finding> = links.filter_map(strict).collect();
    or_ok(found, "rp-filter", "no packet is dropped for its way back")
}

fn bridge_netfilter(fabric: &Fabric<'_>) -> Vec<Finding> {
    if fabric.served.is_empty() {
        return Vec::new();
    }
    let keys = ["net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables"];
    let breaks = "bridged frames of tenants pass through this machine's own firewall: a FORWARD \
                  policy of DROP (Docker sets one) swallows them, and connection tracking takes \
                  memory for each";
    let on = keys.into_iter().filter(|key| value(fabric, key) == Some("1"));
    let mut found: Vec<Finding> = on
        .map(|key| finding("bridge-netfilter", State::Warning, key, "1", "0").breaks(breaks))
        .collect();
    for (_, bridge) in fabric.bridges() {
        let name = &bridge.link.name;
        if bridge.bridge.is_some_and(|settings| settings.filtered) {
            let setting = format!("{name} nf_call_iptables");
            found.push(
                Finding::setting("bridge-netfilter", State::Warning, setting, "1")
                    .about(name)
                    .breaks(breaks)
                    .mend(format!(
                        "ip link set {name} type bridge nf_call_iptables 0 nf_call_ip6tables 0"
                    )),
            );
        }
    }
    or_ok(found, "bridge-netfilter", "bridged frames do not pass through iptables")
}

fn neighbour_tables(fabric: &Fabric<'_>, survey: &Survey) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut visible = false;
    for (family, used) in [("ipv4", survey.neighbours_ipv4), ("ipv6", survey.neighbours_ipv6)] {
        let key = format!("net.{family}.neigh.default.gc_thresh3");
        let Some(limit) = number(fabric, &key) else { continue };
        visible = true;
        // From four fifths on there is no room for a burst.
        let state = match used {
            used if used >= limit => State::Wrong,
            used if used.saturating_mul(5) >= limit.saturating_mul(4) => State::Warning,
            _ => continue,
        };
        let wanted = used.saturating_mul(4).max(ENOUGH_NEIGHBOURS).to_string();
        found.push(finding("neighbour-table", state, &key, &limit.to_string(), &wanted).breaks(
            format!(
                "{used} neighbours are there: beyond {limit} the kernel takes no host of this \
                 switch any more (entries of evpnd do not count)"
            ),
        ));
    }
    let well = match visible {
        true => "room for more neighbours",
        false => "the limits are not visible in this network namespace",
    };
    or_ok(found, "neighbour-table", well)
}

fn receive_buffer(fabric: &Fabric<'_>) -> Option<Finding> {
    let wanted = fabric.facts.intent.as_ref()?.receive_buffer;
    let limit = number(fabric, "net.core.rmem_max")?;
    let super::super::facts::EvpndFound::Running(running) = &fabric.facts.evpnd else {
        return None;
    };
    let process = running.process?;
    // Forcing a buffer takes the capability in the machine's own user namespace.
    if process.initial_user_namespace && process.capabilities & NET_ADMIN != 0 {
        return None;
    }
    (limit < wanted).then(|| {
        let (limit, wanted) = (limit.to_string(), wanted.to_string());
        finding("receive-buffer", State::Warning, "net.core.rmem_max", &limit, &wanted).breaks(
            "evpnd may not force a larger buffer for the kernel's news: a burst overruns it, and \
             evpnd reads all tables again",
        )
    })
}
