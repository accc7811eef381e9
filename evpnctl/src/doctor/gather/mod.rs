//! Collecting the facts.
//!
//! **Nothing is changed**: what is tried out is tried in a namespace that ends with its process.

mod evpnd;
mod kernel;
mod processes;
mod services;

pub(crate) use evpnd::USUAL_CONFIG;
pub(super) use kernel::probe_here;

use super::facts::{EvpndFound, Facts, Families, Intent, Told};
use super::judge::sysctls;
use evpn_config::{Config, Redistribute};
use evpn_dataplane::facts::LinkKind;
use evpn_dataplane::object::IfIndex;
use evpn_dataplane::observe::PROTOCOL;
use evpn_netlink::Requests;
use evpn_netlink::survey::{Device, Survey};
use evpn_proto::types::{Family, NeighborId};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// How many ways to other leaves are looked up: they leave through the same few devices.
const MOST_WAYS: usize = 256;

/// Where to look.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    /// The daemon's socket.
    pub(crate) socket: PathBuf,
    /// The configuration; none for the daemon's own, or the usual place.
    pub(crate) config: Option<PathBuf>,
}

/// Collects everything.
pub(super) async fn facts(sources: &Sources) -> Facts {
    let mut facts = Facts { kernel: kernel::release(), ..Facts::default() };
    facts.features = Some(kernel::features().await);
    facts.clock_synchronised = Some(super::clock::synchronised());
    let asked = evpnd::ask(&sources.socket).await;
    let found = evpnd::configuration(sources.config.as_deref(), &asked);
    facts.config = found.found;
    let survey = Requests::open(PROTOCOL).and_then(|mut requests| {
        let survey = requests.survey()?;
        let targets = found.config.as_ref().map(neighbors).unwrap_or_default();
        let targets = targets.into_iter().chain(asked.neighbors.clone());
        let targets = targets.chain(asked.vteps.clone()).collect();
        facts.underlay = underlay(&mut requests, &survey.devices, targets);
        facts.underlay.extend(of_neighbors(found.config.as_ref(), &survey.devices));
        Ok(survey)
    });
    let devices = survey.as_ref().map(|survey| survey.devices.clone()).unwrap_or_default();
    facts.sysctls = read_sysctls(&devices);
    facts.intent = match &found.config {
        Some(config) => Some(intent(config, survey.as_ref().ok(), &facts.underlay)),
        None => asked.intent.clone(),
    };
    if let Some(config) = &found.config {
        facts.state_dir = Some(evpnd::folder(&config.state_dir));
        facts.password_files = evpnd::password_files(config);
    }
    facts.survey = Some(survey.map_err(|error| error.to_string()));
    facts.evpnd = asked.found;
    facts.rivals = evpn_netlink::others::listening().unwrap_or_default();
    let running = processes::here();
    if let Some(intent) = &facts.intent {
        facts.bgp_listeners = processes::listeners(intent.port);
    }
    if running.contains(processes::NETWORKD) {
        facts.networkd = Some(services::networkd());
    }
    if running.contains(processes::NETWORK_MANAGER) {
        facts.network_manager = services::managed(&devices);
    }
    facts.firewall = services::firewall().await;
    facts
}

fn neighbors(config: &Config) -> Vec<IpAddr> {
    config.neighbors.iter().filter_map(|neighbor| neighbor.id.address()).collect()
}

/// The interfaces that neighbors are known by.
fn of_neighbors(config: Option<&Config>, devices: &[Device]) -> BTreeSet<IfIndex> {
    let ids = || config.iter().flat_map(|config| config.neighbors.iter().map(|n| &n.id));
    let is_named = |name: &str| ids().filter_map(NeighborId::interface).any(|i| i.as_str() == name);
    let named = devices.iter().filter(|device| is_named(&device.link.name));
    named.map(|device| device.link.index).collect()
}

/// The devices through which these addresses are reached, and those that share a prefix with one.
fn underlay(
    requests: &mut Requests,
    devices: &[Device],
    targets: BTreeSet<IpAddr>,
) -> BTreeSet<IfIndex> {
    let mut found = BTreeSet::new();
    for target in targets.into_iter().take(MOST_WAYS) {
        found.extend(requests.device_to(target));
        let shares = |device: &&Device| {
            device.link.addresses.iter().any(|net| net.contains(&target) && net.addr() != target)
        };
        found.extend(devices.iter().filter(shares).map(|device| device.link.index));
    }
    found
}

/// Every sysctl that is judged, as far as it is visible here.
fn read_sysctls(devices: &[Device]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut read = |key: String, path: PathBuf| {
        if let Ok(text) = fs::read_to_string(path) {
            found.insert(key, text.trim().to_owned());
        }
    };
    let root = Path::new("/proc/sys");
    for key in sysctls::PLAIN {
        read(key.to_owned(), root.join(key.replace('.', "/")));
    }
    for device in devices {
        let name = &device.link.name;
        for (family, setting) in sysctls::OF_DEVICES {
            let path = root.join("net").join(family).join("conf").join(name).join(setting);
            read(sysctls::of_device(family, name, setting), path);
        }
    }
    found
}

/// The sysctls that were read, for those who collect them.
pub(crate) fn sysctl_values() -> BTreeMap<String, String> {
    let survey = Requests::open(PROTOCOL).and_then(|mut requests| requests.survey());
    read_sysctls(&survey.map(|survey| survey.devices).unwrap_or_default())
}

fn intent(config: &Config, survey: Option<&Survey>, underlay: &BTreeSet<IfIndex>) -> Intent {
    let mut routed = Families::default();
    let mut add = |address: IpAddr| match address {
        IpAddr::V4(_) => routed.ipv4 = true,
        IpAddr::V6(_) => routed.ipv6 = true,
    };
    for vrf in &config.vrfs {
        vrf.prefixes.iter().for_each(|prefix| add(prefix.prefix.addr()));
    }
    if config.vrfs.iter().any(|vrf| !vrf.redistribute.is_empty()) {
        let devices = survey.iter().flat_map(|survey| &survey.devices);
        // What is announced is what hosts are on, not the way to other leaves.
        let toward_hosts = devices.filter(|d| {
            !underlay.contains(&d.link.index) && matches!(d.link.kind, LinkKind::Bridge { .. })
        });
        let addresses = toward_hosts.flat_map(|device| &device.link.addresses);
        let global = |address: &IpAddr| match address {
            IpAddr::V4(_) => true,
            IpAddr::V6(v6) => !v6.is_unicast_link_local(),
        };
        addresses.map(|net| net.addr()).filter(global).for_each(&mut add);
    }
    let named = |enabled: bool| {
        let vnis = config.vnis.iter().filter(move |vni| vni.enabled == enabled);
        vnis.map(|vni| vni.vni).collect()
    };
    Intent {
        l3vnis: config.vrfs.iter().map(|vrf| (vrf.l3vni, vrf.name.clone())).collect(),
        routed,
        passes_on: passes_on(config),
        told: told(config),
        named: named(true),
        disabled: named(false),
        all_vnis: config.evpn.advertise_all_vni,
        vtep: config.router.vtep,
        neighbors: neighbors(config),
        port: config.router.port,
        receive_buffer: config.dataplane.receive_buffer,
    }
}

/// The unicast families of which one neighbor's routes can be told to another.
fn passes_on(config: &Config) -> Families {
    let speaks = |family: Family| {
        let named = config.neighbors.iter().filter(|n| n.families.contains(&family)).count();
        named > 1
    };
    Families { ipv4: speaks(Family::IPV4_UNICAST), ipv6: speaks(Family::IPV6_UNICAST) }
}

/// What is told of the underlay to neighbors that speak a family of it, of groups too.
fn told(config: &Config) -> Told {
    let of_groups = config.dynamic_groups.iter().map(|group| &group.neighbor);
    let neighbors: Vec<_> = config.neighbors.iter().chain(of_groups).collect();
    let speaks = |family: Family| neighbors.iter().any(|n| n.families.contains(&family));
    Told {
        families: Families {
            ipv4: speaks(Family::IPV4_UNICAST),
            ipv6: speaks(Family::IPV6_UNICAST),
        },
        prefixes: config.unicast.announce.clone(),
        connected: config.unicast.redistribute.contains(&Redistribute::Connected),
    }
}

/// What the daemon said of itself, and what follows from it.
#[derive(Clone, Debug, Default)]
struct Asked {
    found: EvpndFound,
    /// The files that its configuration came from.
    files: Vec<PathBuf>,
    neighbors: Vec<IpAddr>,
    vteps: Vec<IpAddr>,
    /// What the configuration must want, where nobody may read it.
    intent: Option<Intent>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use evpn_config::{Source, load};

    #[test]
    fn what_neighbors_and_groups_are_told_is_what_the_configuration_says() {
        let of = |more: &str| {
            let text = format!("[router]\nas = 65001\n{more}");
            told(&load(&[Source::new("evpnd.toml", text)]).unwrap().config)
        };
        let neighbor = "[[neighbor]]\naddress = \"10.9.0.2\"\nas = 65002\n";
        assert_eq!(of(neighbor), Told::default());
        let group = "[unicast]\nannounce = [\"10.0.0.1/32\"]\nredistribute = [\"connected\"]\n\
                     [[group]]\nname = \"g\"\nas = 65002\nlisten = [\"10.9.0.0/24\"]\n\
                     families = [\"ipv4-unicast\", \"l2vpn-evpn\"]\n";
        let expected = Told {
            families: Families { ipv4: true, ipv6: false },
            prefixes: vec!["10.0.0.1/32".parse().unwrap()],
            connected: true,
        };
        assert_eq!(of(group), expected);
    }
}
