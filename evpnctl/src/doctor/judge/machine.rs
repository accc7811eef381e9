//! The machine below: kernel, clock, firewall.
//!
//! **What a kernel can do is what a probe found**; its version is told and judges nothing.

use super::super::facts::{Facts, Firewall};
use super::super::finding::{Finding, State};
use evpn_netlink::probe::Feature;

/// How Debian installs a current kernel.
const NEWER_KERNEL: &str = "apt-get install linux-image-$(dpkg --print-architecture) && reboot";
/// The ports of VXLAN and BGP.
const VXLAN_PORT: u16 = 4789;

pub(super) fn kernel(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![Finding::ok("kernel", format!("Linux {}", facts.kernel))];
    match &facts.features {
        None => {}
        Some(Err(reason)) => findings.push(
            Finding::of("kernel-features", State::Unknown, "what the kernel can do was not probed")
                .breaks(reason.clone())
                .mend("sudo evpnctl doctor"),
        ),
        Some(Ok(probed)) => {
            let missing = probed.iter().filter_map(|(feature, outcome)| {
                outcome.as_ref().err().map(|reason| lacks(*feature, reason))
            });
            let well = format!("all {} that evpnd uses were tried out, and work", probed.len());
            findings.extend(super::or_ok(missing.collect(), "kernel-features", well));
        }
    }
    findings
}

/// What a missing feature breaks, how bad that is, and how to get it.
fn lacks(feature: Feature, reason: &str) -> Finding {
    let (state, breaks, mend) = match feature {
        Feature::Bridge => {
            (State::Wrong, "without bridges there are no L2 and no L3 VNIs", "modprobe bridge")
        }
        Feature::Vxlan => {
            (State::Wrong, "without VXLAN there is no way to other leaves", "modprobe vxlan")
        }
        Feature::NeighSuppress => {
            (State::Warning, "every ARP and ND question is flooded to every leaf", NEWER_KERNEL)
        }
        Feature::ExternLearn => (
            State::Wrong,
            "entries of evpnd cannot be told from others: none can be written",
            NEWER_KERNEL,
        ),
        Feature::NexthopRoutes => {
            (State::Wrong, "routed prefixes (Linux 5.3) cannot be written", NEWER_KERNEL)
        }
        Feature::FdbGroups => (
            State::Warning,
            "hosts that several VTEPs reach (Linux 5.8) cannot be written",
            NEWER_KERNEL,
        ),
        Feature::ResilientGroups => (
            State::Wrong,
            "prefixes of several sites (Linux 5.13) cannot be written: a change of weight would \
             break connections",
            NEWER_KERNEL,
        ),
        Feature::WideWeights => (
            State::Note,
            "evpnd uses weights up to 255 (Linux 6.12 takes more): a drained site keeps a share of \
             half a per cent instead of less",
            NEWER_KERNEL,
        ),
    };
    Finding::setting("kernel-features", state, feature.name(), reason).breaks(breaks).mend(mend)
}

/// Clock and firewall.
pub(super) fn surroundings(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    match facts.clock_synchronised {
        Some(true) => findings.push(Finding::ok("clock", "synchronised")),
        Some(false) => findings.push(
            Finding::setting("clock", State::Warning, "clock", "not synchronised")
                .breaks(
                    "decisions about energy carry the time of day: they cannot be compared with \
                     those of other sites, and a battery's readings may seem old",
                )
                .mend("timedatectl set-ntp true"),
        ),
        None => {}
    }
    findings.extend(facts.firewall.iter().flat_map(firewall));
    findings
}

fn firewall(firewall: &Firewall) -> Vec<Finding> {
    let tool = &firewall.tool;
    let Some([family, table, chain]) = firewall.dropping.first() else {
        return vec![Finding::of("firewall", State::Note, format!("{tool} holds rules")).breaks(
            "packets to UDP 4789 (VXLAN) and TCP 179 (BGP) have to pass; nothing drops by default",
        )];
    };
    let missing: Vec<String> = [
        (firewall.names_vxlan, format!("udp dport {VXLAN_PORT}")),
        (firewall.names_bgp, "tcp dport 179".to_owned()),
    ]
    .into_iter()
    .filter(|(named, _)| !named)
    .map(|(_, what)| what)
    .collect();
    if missing.is_empty() {
        return vec![Finding::ok("firewall", format!("{tool}: rules name UDP 4789 and TCP 179"))];
    }
    let each = missing.iter().map(|what| match tool.as_str() {
        "nft" => format!("nft insert rule {family} {table} {chain} {what} accept"),
        _ => {
            let (protocol, port) = what.split_once(" dport ").unwrap_or((what, ""));
            format!("iptables -I {chain} -p {protocol} --dport {port} -j ACCEPT")
        }
    });
    let setting = format!("{tool} {family} {table} {chain} policy");
    vec![
        Finding::setting("firewall", State::Warning, setting, "drop")
            .breaks(format!(
                "no rule names {}: without one, VXLAN or BGP from other leaves is dropped",
                missing.join(" or ")
            ))
            .mend(each.collect::<Vec<_>>().join(" && "))
            .keep("write the rules into /etc/nftables.conf, or where your firewall has them"),
    ]
}
