//! systemd-networkd, NetworkManager, and the firewall.
//!
//! **What cannot be read is not there**: a guess about somebody else's settings helps nobody.

use super::super::facts::{Firewall, Networkd};
use crate::tool;
use evpn_dataplane::facts::LinkKind;
use evpn_netlink::survey::Device;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

/// Folders of systemd's settings, the strongest first.
const SYSTEMD: [&str; 3] = ["/etc/systemd", "/run/systemd", "/usr/lib/systemd"];
/// Where NetworkManager tells what it does with each device.
const MANAGED: &str = "/run/NetworkManager/devices";
/// There while the kernel has nftables loaded, and while it has tables of the older kind. Asking
/// the tools without these would have the kernel load them.
const NF_TABLES: &str = "/sys/module/nf_tables";
const IP_TABLES: &str = "/proc/thread-self/net/ip_tables_names";
/// More rules than anybody reads.
const MOST_RULES: u64 = 4 << 20;

/// systemd-networkd's settings as it reads them: the main file, then fragments by their names, of
/// which the strongest folder's counts.
pub(super) fn networkd() -> Networkd {
    let main = SYSTEMD.iter().find_map(|f| fs::read_to_string(format!("{f}/networkd.conf")).ok());
    let mut fragments: BTreeMap<_, PathBuf> = BTreeMap::new();
    for folder in SYSTEMD.iter().rev() {
        let entries = fs::read_dir(format!("{folder}/networkd.conf.d"));
        for entry in entries.into_iter().flatten().flatten() {
            let is_one = entry.path().extension().is_some_and(|extension| extension == "conf");
            if is_one {
                fragments.insert(entry.file_name(), entry.path());
            }
        }
    }
    let fragments = fragments.into_values().filter_map(|path| fs::read_to_string(path).ok());
    networkd_of(main.into_iter().chain(fragments))
}

fn networkd_of(texts: impl Iterator<Item = String>) -> Networkd {
    // What it does unless it is told not to.
    let mut found = Networkd { manages_routes: true, manages_nexthops: true };
    for text in texts {
        for line in text.lines() {
            let Some((key, value)) = line.split_once('=') else { continue };
            let value = value.trim().to_lowercase();
            let yes = matches!(value.as_str(), "yes" | "true" | "on" | "1" | "y" | "t");
            match key.trim() {
                "ManageForeignRoutes" => found.manages_routes = yes,
                "ManageForeignNextHops" => found.manages_nexthops = yes,
                _ => {}
            }
        }
    }
    found
}

/// Bridges and VXLAN devices that NetworkManager says it manages.
pub(super) fn managed(devices: &[Device]) -> BTreeSet<String> {
    let ours = devices
        .iter()
        .filter(|device| matches!(device.link.kind, LinkKind::Bridge { .. } | LinkKind::Vxlan(_)));
    let managed = ours.filter(|device| {
        let text = fs::read_to_string(format!("{MANAGED}/{}", device.link.index.0));
        text.is_ok_and(|text| text.lines().any(|line| line.trim() == "managed=true"))
    });
    managed.map(|device| device.link.name.clone()).collect()
}

/// The firewall, if there is one and we may read it.
pub(super) async fn firewall() -> Option<Firewall> {
    let tables = fs::exists(NF_TABLES).unwrap_or_default();
    let legacy = fs::read_to_string(IP_TABLES).is_ok_and(|names| !names.trim().is_empty());
    if tables && let Ok(rules) = tool::output("nft", &["list", "ruleset"], MOST_RULES).await {
        return whole(&rules).and_then(|rules| nftables(&rules));
    }
    if !tables && !legacy {
        return None;
    }
    let rules = tool::output("iptables", &["-S"], MOST_RULES).await.ok()?;
    iptables(&whole(&rules)?)
}

/// Of rules whose end is missing nobody can say what they let through.
fn whole(rules: &tool::Output) -> Option<String> {
    (!rules.cut).then(|| String::from_utf8_lossy(&rules.octets).into_owned())
}

fn speaks_of(rules: &str, port: &str) -> bool {
    let word = |c: char| !c.is_ascii_alphanumeric();
    rules.split(word).any(|part| part == port)
}

fn nftables(rules: &str) -> Option<Firewall> {
    if rules.trim().is_empty() {
        return None;
    }
    let mut dropping = Vec::new();
    let (mut table, mut chain) = (("", ""), "");
    for line in rules.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["table", family, name, ..] => table = (family, name),
            ["chain", name, ..] => chain = name,
            words if words.contains(&"input") && line.contains("policy drop") => {
                dropping.push([table.0.to_owned(), table.1.to_owned(), chain.to_owned()]);
            }
            _ => {}
        }
    }
    Some(found("nft", rules, dropping))
}

fn iptables(rules: &str) -> Option<Firewall> {
    // Policies alone, all of them ACCEPT, are no firewall.
    let idle = |line: &str| line.starts_with("-P ") && line.ends_with(" ACCEPT");
    if rules.lines().all(idle) {
        return None;
    }
    let drops = rules.lines().any(|line| line.trim() == "-P INPUT DROP");
    let chain = ["ip".to_owned(), "filter".to_owned(), "INPUT".to_owned()];
    Some(found("iptables", rules, if drops { vec![chain] } else { Vec::new() }))
}

fn found(tool: &str, rules: &str, dropping: Vec<[String; 3]>) -> Firewall {
    Firewall {
        tool: tool.to_owned(),
        dropping,
        names_vxlan: speaks_of(rules, "4789") || speaks_of(rules, "vxlan"),
        names_bgp: speaks_of(rules, "179") || speaks_of(rules, "bgp"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_about_foreign_routes_counts() {
        let of = |texts: &[&str]| networkd_of(texts.iter().map(|text| (*text).to_owned()));
        let all = Networkd { manages_routes: true, manages_nexthops: true };
        assert_eq!(of(&[]), all);
        assert_eq!(of(&["[Network]\n#ManageForeignRoutes=no\n"]), all);
        let main = "[Network]\nManageForeignRoutes=no\nManageForeignNextHops = no\n";
        assert_eq!(of(&[main]), Networkd { manages_routes: false, manages_nexthops: false });
        let later = "[Network]\nManageForeignRoutes=yes\n";
        assert_eq!(of(&[main, later]), Networkd { manages_routes: true, manages_nexthops: false });
    }

    #[test]
    fn a_chain_that_drops_is_found_with_what_is_let_through() {
        let rules = "table inet filter {\n\tchain input {\n\t\ttype filter hook input priority \
                     filter; policy drop;\n\t\ttcp dport { 22, 179 } accept\n\t}\n\tchain forward \
                     {\n\t\ttype filter hook forward priority filter; policy drop;\n\t}\n}\n";
        let firewall = nftables(rules).unwrap();
        assert_eq!(firewall.dropping, [["inet", "filter", "input"].map(str::to_owned)]);
        assert!(firewall.names_bgp && !firewall.names_vxlan);
        assert_eq!(nftables("\n"), None);
        assert!(!speaks_of("tcp dport 1790 accept", "179"));
    }

    #[test]
    fn policies_that_accept_are_no_firewall() {
        assert_eq!(iptables("-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n"), None);
        let firewall = iptables("-P INPUT DROP\n-A INPUT -p udp --dport 4789 -j ACCEPT\n").unwrap();
        assert!(firewall.names_vxlan && !firewall.names_bgp && firewall.dropping.len() == 1);
    }
}
