//! What is collected, and from where.
//!
//! **Each source is read by itself**: that one fails says nothing of the next.

use super::MOST_OCTETS;
use super::secrets::without_secrets;
use crate::doctor::{self, Sources};
use crate::local;
use crate::tool::{self, Output, PATIENCE};
use evpn_api::config::{ConfigValue, EffectiveConfig};
use evpn_api::evpn::HostQuery;
use evpn_api::route::{PageQuery, RouteQuery};
use evpn_api::{AddressFamily, Client};
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;

/// Rows of a table that are kept.
const ROWS: u32 = 1000;
/// Words of the kernel's log that are about us.
const OF_INTEREST: [&str; 8] =
    ["bridge", "vxlan", "neighbour", "neighbor", "nexthop", "evpnd", "netlink", "table overflow"];

/// A source.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    /// Versions of everything.
    Versions,
    /// The doctor's answer.
    Doctor,
    /// A question to the daemon.
    Api(&'static str),
    /// A table of the daemon's, its first rows.
    Routes,
    /// The first rows of a family beside EVPN.
    RoutesOf(AddressFamily),
    /// Hosts.
    Macs,
    /// Addresses of hosts.
    Arp,
    /// The daemon's figures.
    Metrics,
    /// The configuration in force.
    Config,
    /// Settings of the kernel.
    Sysctls,
    /// A program of the system.
    Tool(&'static [&'static str]),
    /// The kernel's log, as far as it is about us.
    KernelLog,
}

/// Every source with its name in the archive, in order.
pub(super) fn all() -> Vec<(&'static str, Source)> {
    use Source::{Api, Tool};
    vec![
        ("versions.json", Source::Versions),
        ("doctor.json", Source::Doctor),
        ("show/health.json", Api("health")),
        ("show/summary.json", Api("bgp/l2vpn/evpn/summary")),
        ("show/neighbors.json", Api("bgp/neighbors")),
        ("show/vni.json", Api("evpn/vni")),
        ("show/bgp-vni.json", Api("bgp/l2vpn/evpn/vni")),
        ("show/routes.json", Source::Routes),
        ("show/ipv4-routes.json", Source::RoutesOf(AddressFamily::Ipv4Unicast)),
        ("show/ipv6-routes.json", Source::RoutesOf(AddressFamily::Ipv6Unicast)),
        ("show/rt-constraints.json", Source::RoutesOf(AddressFamily::RtConstraint)),
        ("show/mac.json", Source::Macs),
        ("show/arp.json", Source::Arp),
        ("show/energy.json", Api("energy")),
        ("show/consistency.json", Api("consistency")),
        ("metrics.txt", Source::Metrics),
        ("config.json", Source::Config),
        ("sysctls.txt", Source::Sysctls),
        ("ip/link.json", Tool(&["ip", "-d", "-j", "link"])),
        ("ip/addr.json", Tool(&["ip", "-j", "addr"])),
        ("ip/route.json", Tool(&["ip", "-d", "-j", "route", "show", "table", "all"])),
        ("ip/route6.json", Tool(&["ip", "-6", "-d", "-j", "route", "show", "table", "all"])),
        ("ip/neigh.json", Tool(&["ip", "-d", "-j", "neigh"])),
        ("ip/nexthop.json", Tool(&["ip", "-d", "-j", "nexthop"])),
        ("bridge/link.json", Tool(&["bridge", "-d", "-j", "link"])),
        ("bridge/fdb.json", Tool(&["bridge", "-j", "fdb"])),
        (
            "journal.txt",
            Tool(&["journalctl", "-u", "evpnd", "-n", "2000", "--no-pager", "-o", "short-iso"]),
        ),
        ("kernel.txt", Source::KernelLog),
    ]
}

impl Source {
    /// Reads it.
    ///
    /// # Errors
    /// Why it cannot be had, in words.
    pub(super) async fn read(self, from: &Sources) -> Result<Output, String> {
        let client = Client::new(&from.socket).with_timeout(PATIENCE);
        match self {
            Self::Versions => Ok(pretty(&versions(&client).await)),
            Self::Doctor => Ok(pretty(&doctor::examine(from).await)),
            Self::Api(path) => answer(client.get::<Value>(path, &()).await),
            Self::Routes => {
                let query = RouteQuery { limit: Some(ROWS), ..RouteQuery::default() };
                answer(client.routes(&query).await)
            }
            Self::RoutesOf(family) => {
                let query = PageQuery { limit: Some(ROWS), cursor: None };
                answer(client.get::<Value>(family.routes_path(), &query).await)
            }
            Self::Macs => answer(client.macs(&hosts()).await),
            Self::Arp => answer(client.arp(&hosts()).await),
            Self::Metrics => {
                let text = client.metrics().await.map_err(|error| error.to_string())?;
                Ok(limited(text.into_bytes()))
            }
            Self::Config => {
                let config = match client.effective_config().await {
                    Ok(config) => config,
                    Err(error) => from_files(from).ok_or_else(|| error.to_string())?,
                };
                Ok(pretty(&without_secrets(config)))
            }
            Self::Sysctls => {
                let mut text = String::new();
                for (key, value) in doctor::sysctl_values() {
                    writeln!(text, "{key} = {value}").unwrap_or_default();
                }
                Ok(limited(text.into_bytes()))
            }
            Self::Tool([program, args @ ..]) => tool::output(program, args, MOST_OCTETS).await,
            Self::Tool([]) => Err("nothing to run".to_owned()),
            Self::KernelLog => kernel_log().await,
        }
    }
}

const fn hosts() -> HostQuery {
    HostQuery { vni: None, limit: Some(ROWS), cursor: None }
}

/// The configuration as evpnd would take it, where it cannot be asked.
fn from_files(from: &Sources) -> Option<EffectiveConfig> {
    let path = from.config.as_deref().unwrap_or_else(|| Path::new(doctor::USUAL_CONFIG));
    let sources = local::read(path).ok()?;
    let files = sources.iter().map(|source| source.name.clone()).collect();
    let loaded = evpn_config::load(&sources).ok()?;
    let lines = evpn_config::effective(&loaded, &[]).into_iter();
    let values = lines.map(|line| ConfigValue {
        key: line.key,
        value: line.value,
        origin: line.origin.to_string(),
    });
    Some(EffectiveConfig { files, loaded_ago_msec: 0, values: values.collect() })
}

async fn versions(client: &Client) -> Value {
    let evpnd = match client.version().await {
        Ok(version) => json!(version),
        Err(error) => json!(error.to_string()),
    };
    let kernel = nix::sys::utsname::uname().ok();
    let kernel = kernel.map(|k| format!("{:?} {:?}", k.release(), k.version()).replace('"', ""));
    json!({ "evpnctl": env!("CARGO_PKG_VERSION"), "evpnd": evpnd, "kernel": kernel })
}

fn answer<T: Serialize, E: ToString>(answer: Result<T, E>) -> Result<Output, String> {
    answer.map(|value| pretty(&value)).map_err(|error| error.to_string())
}

fn pretty(value: &impl Serialize) -> Output {
    limited(serde_json::to_vec_pretty(value).unwrap_or_default())
}

fn limited(mut octets: Vec<u8>) -> Output {
    let most = usize::try_from(MOST_OCTETS).unwrap_or(usize::MAX);
    let cut = octets.len() > most;
    octets.truncate(most);
    Output { octets, cut }
}

async fn kernel_log() -> Result<Output, String> {
    let all = tool::output("dmesg", &[], MOST_OCTETS).await?;
    let text = String::from_utf8_lossy(&all.octets);
    let mut kept = String::new();
    for line in text.lines().filter(|line| is_of_interest(line)) {
        writeln!(kept, "{line}").unwrap_or_default();
    }
    Ok(Output { octets: kept.into_bytes(), cut: all.cut })
}

fn is_of_interest(line: &str) -> bool {
    let line = line.to_lowercase();
    OF_INTEREST.iter().any(|word| line.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_the_archive_are_unique_and_stay_inside() {
        let mut names: Vec<&str> = all().into_iter().map(|(name, _)| name).collect();
        assert!(names.iter().all(|name| !name.starts_with('/') && !name.contains("..")));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn of_the_kernels_log_only_lines_about_the_network_are_kept() {
        assert!(is_of_interest("[1.0] neighbour: ndisc_cache: neighbor table overflow!"));
        assert!(is_of_interest("[1.0] br100: port 1(vx100) entered blocking state (bridge)"));
        assert!(!is_of_interest("[1.0] usb 1-1: new device, serial 12345"));
    }

    #[test]
    fn no_source_is_kept_beyond_its_limit() {
        let most = usize::try_from(MOST_OCTETS).unwrap();
        let output = limited(vec![0; most + 1]);
        assert!(output.cut && output.octets.len() == most);
        assert!(!limited(vec![0; most]).cut);
    }
}
