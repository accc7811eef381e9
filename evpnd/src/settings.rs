//! From the configuration to the engine's settings, with what the text leaves open derived from the
//! kernel's devices.
//!
//! **Nothing is decided here that is not in the configuration or told to the operator as derived.**

use crate::disk::Boot;
use crate::peer_io::Target;
use crate::peer_io::guard::{Guard, Key};
use crate::peer_io::targets::Table;
use evpn_config::{
    AutoRouteTarget, Config, Derived, PeerAs, RdChoice, Redistribute, RtChoice, SecretFile,
};
use evpn_dataplane::facts::{Link, LinkKind};
use evpn_energy::plausibility::Gates;
use evpn_energy::policy::{MAX_CHANGES_PER_DAY, Pace, Staleness, Thresholds};
use evpn_energy::{Guards, Levers, Permille, Policy, Share};
use evpn_engine::settings::{
    AllVnis, AnnouncedPrefix, EnergySettings, GroupWeights, ListenSettings, Multipath,
    NeighborSettings, RouteTargetForm, Settings, Targets, UnicastSettings, VniSettings,
    VrfSettings,
};
use evpn_proto::bgp::session::{self, GracefulRestartConfig, Mode, SessionConfig};
use evpn_proto::types::Family;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// The engine's settings and what was derived for them.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) settings: Settings,
    pub(crate) targets: Table,
    pub(crate) derived: Vec<Derived>,
}

/// Resolves a configuration.
///
/// # Errors
/// What cannot be derived, with the key that would say it.
pub(crate) fn resolve(config: &Config, links: &[Link], boot: Boot) -> Result<Resolved, String> {
    let mut derived = Vec::new();
    let router_id = router_id(config, links, &mut derived)?;
    let energy = energy(config, &mut derived);
    let settings = Settings {
        asn: config.router.asn,
        router_id,
        cluster_id: config.router.cluster_id.unwrap_or(router_id),
        vtep: config.router.vtep,
        neighbors: config.neighbors.iter().map(|n| neighbor(config, n, router_id, boot)).collect(),
        listen: config.dynamic_groups.iter().map(|g| listen(config, g, router_id, boot)).collect(),
        all_vnis: if config.evpn.advertise_all_vni { AllVnis::Served } else { AllVnis::NamedOnly },
        vnis: config.vnis.iter().map(|v| (v.vni, vni(v))).collect(),
        route_target_form: match config.evpn.route_target {
            AutoRouteTarget::Auto => RouteTargetForm::AsVni,
            AutoRouteTarget::Rfc8365 => RouteTargetForm::Rfc8365,
        },
        unicast: UnicastSettings {
            prefixes: config.unicast.announce.clone(),
            redistribute_connected: config.unicast.redistribute.contains(&Redistribute::Connected),
        },
        vrfs: config.vrfs.iter().map(vrf).collect(),
        multipath: Multipath {
            max_paths: config.multipath.max_paths.into(),
            buckets: config.multipath.buckets,
            weights: group_weights(&kernel_release()),
        },
        sweep_delay: config.router.sweep_delay,
        stale_time: config.router.stale_time,
        energy: Some(energy),
    };
    let targets = targets_of(config, &settings)?;
    Ok(Resolved { settings, targets, derived })
}

fn targets_of(config: &Config, settings: &Settings) -> Result<Table, String> {
    let of_neighbor = |n: &evpn_config::Neighbor| {
        let who = || format!("neighbor {}", n.id);
        Ok((n.id.clone(), target(config, n, who)?))
    };
    let neighbors: Result<_, String> = config.neighbors.iter().map(of_neighbor).collect();
    let of_group = |(listen, group): (&ListenSettings, &evpn_config::DynamicGroup)| {
        let who = || format!("group {}", group.name);
        Ok((listen.clone(), target(config, &group.neighbor, who)?))
    };
    let groups = settings.listen.iter().zip(&config.dynamic_groups).map(of_group);
    let groups: Result<Vec<_>, String> = groups.collect();
    Ok(Table::new(neighbors?, groups?))
}

/// Whoever dials from where a group listens is waited for: nobody knows whom to dial.
fn listen(
    config: &Config,
    group: &evpn_config::DynamicGroup,
    router_id: Ipv4Addr,
    boot: Boot,
) -> ListenSettings {
    let mut neighbor = neighbor(config, &group.neighbor, router_id, boot);
    neighbor.session.mode = Mode::Passive;
    ListenSettings {
        group: group.name.as_str().into(),
        prefixes: group.listen.clone(),
        limit: group.listen_limit,
        neighbor,
    }
}

/// The configured router id, or the lowest VTEP address of IPv4, or the lowest address that is
/// neither loopback nor link-local.
fn router_id(
    config: &Config,
    links: &[Link],
    derived: &mut Vec<Derived>,
) -> Result<Ipv4Addr, String> {
    if let Some(id) = config.router.id {
        return Ok(id);
    }
    let v4 = |address: IpAddr| match address {
        IpAddr::V4(v4) => Some(v4),
        IpAddr::V6(_) => None,
    };
    let of_devices = links.iter().filter_map(|link| match &link.kind {
        LinkKind::Vxlan(vxlan) => Some((v4(vxlan.local?)?, link.name.clone())),
        _ => None,
    });
    let of_links = links.iter().flat_map(|link| {
        let addresses = link.addresses.iter().filter_map(|net| v4(net.addr()));
        addresses.map(|a| (a, link.name.clone()))
    });
    let usable =
        |(a, _): &(Ipv4Addr, String)| !a.is_unspecified() && !a.is_loopback() && !a.is_link_local();
    let (id, from) = match config.router.vtep.and_then(v4) {
        Some(vtep) => (vtep, "router.vtep".to_owned()),
        None => match of_devices.filter(usable).min() {
            Some((id, name)) => (id, format!("the local address of {name}")),
            None => match of_links.filter(usable).min() {
                Some((id, name)) => (id, format!("the lowest IPv4 address, on {name}")),
                None => {
                    return Err("no router id: no VXLAN device and no interface has an IPv4 \
                                address to take it from; add id = \"A.B.C.D\" to [router]"
                        .to_owned());
                }
            },
        },
    };
    derived.push(Derived { key: "router.id".to_owned(), value: format!("\"{id}\""), from });
    Ok(id)
}

fn neighbor(
    config: &Config,
    neighbor: &evpn_config::Neighbor,
    router_id: Ipv4Addr,
    boot: Boot,
) -> NeighborSettings {
    let own = config.router.asn;
    let peer_as = match neighbor.asn {
        PeerAs::Number(asn) => session::PeerAs::Exactly(asn),
        PeerAs::Internal => session::PeerAs::Internal,
        PeerAs::External => session::PeerAs::External,
    };
    let mut session = SessionConfig::new(own, peer_as, router_id);
    session.description = neighbor.description.clone().unwrap_or_default();
    session.hold_time = neighbor.hold;
    session.keepalive_time = neighbor.keepalive;
    session.connect_retry = neighbor.connect_retry;
    session.families = neighbor.families.clone();
    let may_have_several = |family: &&Family| **family != Family::RT_CONSTRAINT;
    session.add_path = neighbor
        .add_path
        .iter()
        .flat_map(|mode| neighbor.families.iter().filter(may_have_several).map(|f| (*f, *mode)))
        .collect();
    session.role = neighbor.role;
    session.role_strict = neighbor.role_strict;
    session.mode = if neighbor.passive { Mode::Passive } else { Mode::Active };
    session.graceful_restart = config.router.graceful_restart.then(|| GracefulRestartConfig {
        restart_time: config.router.restart_time,
        restarting: boot == Boot::Same,
        // In the same boot the kernel still holds what it held.
        preserved: if boot == Boot::Same { neighbor.families.clone() } else { Vec::new() },
    });
    NeighborSettings {
        id: neighbor.id.clone(),
        session,
        shutdown: neighbor.shutdown,
        shutdown_message: neighbor.shutdown_message.clone().unwrap_or_default(),
        multihop: neighbor.multihop > 1 || neighbor.is_internal(own),
        route_reflector_client: neighbor.route_reflector_client,
        aigp: neighbor.aigp,
        max_prefix: neighbor.max_prefix,
    }
}

/// RFC 4271 leaves it to the implementation: toward another AS packets live one hop unless
/// `multihop` says more, as every other speaker does.
fn target(
    config: &Config,
    neighbor: &evpn_config::Neighbor,
    who: impl Fn() -> String,
) -> Result<Target, String> {
    let internal = neighbor.is_internal(config.router.asn);
    let file = neighbor.password_file.as_deref().map(|path| SecretFile::tcp_md5(who(), path));
    let key = file.as_ref().map(Key::read).transpose()?;
    let guard = Guard { key, max_hops: neighbor.ttl_security };
    Ok(Target {
        port: neighbor.port,
        source: neighbor.update_source,
        ttl: (!internal).then_some(neighbor.multihop),
        guard,
    })
}

fn targets(choices: &[RtChoice]) -> Targets {
    let explicit = choices.iter().filter_map(|choice| match choice {
        RtChoice::Auto => None,
        RtChoice::Fixed(target) => Some(*target),
    });
    Targets { auto: choices.contains(&RtChoice::Auto), explicit: explicit.collect() }
}

const fn rd(choice: RdChoice) -> Option<evpn_proto::types::Rd> {
    match choice {
        RdChoice::Auto => None,
        RdChoice::Fixed(rd) => Some(rd),
    }
}

fn vni(vni: &evpn_config::VniConfig) -> VniSettings {
    VniSettings {
        enabled: vni.enabled,
        rd: rd(vni.rd),
        import: targets(&vni.import),
        export: targets(&vni.export),
    }
}

fn vrf(vrf: &evpn_config::Vrf) -> VrfSettings {
    let prefixes = vrf
        .prefixes
        .iter()
        .map(|p| AnnouncedPrefix { prefix: p.prefix, drain_time: p.drain_time.get() });
    VrfSettings {
        name: vrf.name.clone(),
        l3vni: vrf.l3vni,
        table: vrf.table,
        prefixes: prefixes.collect(),
        redistribute_connected: vrf.redistribute.contains(&Redistribute::Connected),
        advertise_own_address: vrf.advertise_own_address,
        drain_time: vrf.drain_time.get(),
        rd: rd(vrf.rd),
        import: targets(&vrf.import),
        export: targets(&vrf.export),
    }
}

fn energy(config: &Config, derived: &mut Vec<Derived>) -> EnergySettings {
    let energy = &config.energy;
    let percent = Permille::percent;
    let site = energy.site.clone().unwrap_or_else(|| {
        let host = host_name();
        let value = format!("\"{host}\"");
        let from = "the host name".to_owned();
        derived.push(Derived { key: "energy.site".to_owned(), value, from });
        host
    });
    let share = |value: u8| Share::from(percent(value));
    EnergySettings {
        site,
        capacity_bits: energy.capacity.bits_per_second(),
        policy: by_feed(
            energy,
            Policy {
                thresholds: Thresholds {
                    prefer_less: percent(energy.thresholds.prefer_less),
                    avoid: percent(energy.thresholds.avoid),
                    drained: percent(energy.thresholds.drained),
                },
                pace: Pace {
                    recovery: percent(energy.hysteresis),
                    dwell: energy.dwell,
                    confirm: energy.confirm,
                    max_changes_per_day: energy.max_changes_per_day,
                },
                stale: Staleness { after: energy.stale_after, hold: energy.stale_hold },
                guards: Guards { stale_feed_never_drains: energy.guards.stale },
                dry_run: energy.dry_run,
            },
        ),
        levers: Levers {
            prefer_less: share(energy.weights.prefer_less),
            avoid: share(energy.weights.avoid),
            drained_local_pref: energy.drained_local_preference,
            ..Levers::default()
        },
        plausibility: Gates {
            enforce: energy.guards.plausibility,
            max_change_per_minute: percent(energy.max_change_per_minute),
            max_age: energy.stale_after,
            ..Gates::default()
        },
    }
}

/// Linux 6.12 took the second octet of a weight into use.
fn group_weights(release: &str) -> GroupWeights {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= (6, 12) => GroupWeights::TwoOctets,
        _ => GroupWeights::Octet,
    }
}

fn kernel_release() -> String {
    let name = nix::sys::utsname::uname().ok();
    let release = name.as_ref().and_then(|u| u.release().to_str());
    release.unwrap_or_default().to_owned()
}

/// Where no feed reads a battery its silence means nothing: when the operator's override ends, the
/// site is an ordinary leaf again at once.
fn by_feed(energy: &evpn_config::Energy, policy: Policy) -> Policy {
    if energy.feed != evpn_config::Feed::Manual {
        return policy;
    }
    let now = Duration::ZERO;
    Policy {
        pace: Pace {
            dwell: now,
            confirm: now,
            max_changes_per_day: MAX_CHANGES_PER_DAY,
            ..policy.pace
        },
        stale: Staleness { after: MANUAL_STALE_AFTER, hold: now },
        ..policy
    }
}

/// How soon a feed that is not there counts as silent.
const MANUAL_STALE_AFTER: Duration = Duration::from_millis(1);

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "site".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evpn_config::{Source, load};
    use evpn_energy::{Inputs, Level, OverrideRequest, State, UnixSeconds, decide};
    use evpn_proto::bgp::message::AddPath;
    use evpn_proto::bgp::role::Role;
    use evpn_proto::types::Time;

    #[test]
    fn wide_weights_are_used_only_where_the_kernel_is_known_to_take_them() {
        for release in ["6.12.0", "6.12", "6.18.44-fc", "7.0-rc1"] {
            assert_eq!(group_weights(release), GroupWeights::TwoOctets, "{release}");
        }
        for release in ["6.11.9", "5.19.0", "6.1.0-40-amd64", "6", "", "next"] {
            assert_eq!(group_weights(release), GroupWeights::Octet, "{release}");
        }
    }

    #[test]
    fn what_a_neighbor_says_of_its_session_reaches_the_engine() {
        let text = "[router]\nas = 65001\n\
                    [[neighbor]]\naddress = \"10.0.0.2\"\nas = 65002\nrole = \"customer\"\n\
                    role-strict = true\nshutdown-message = \"moves\"\n\
                    [[neighbor]]\naddress = \"10.0.0.3\"\nas = \"internal\"\n\
                    [[neighbor]]\naddress = \"10.0.0.4\"\nas = 65002\naigp = true\n\
                    add-path = \"send\"\nfamilies = [\"ipv4-unicast\", \"rt-constraint\"]\n";
        let config = load(&[Source::new("evpnd.toml", text)]).unwrap().config;
        let of = |n| neighbor(&config, n, Ipv4Addr::new(10, 0, 0, 1), Boot::Same);
        let all: Vec<NeighborSettings> = config.neighbors.iter().map(of).collect();
        let session = &all[0].session;
        assert_eq!((session.role, session.role_strict), (Some(Role::Customer), true));
        assert!(session.enhanced_route_refresh && session.check().is_ok());
        assert_eq!(all[0].shutdown_message, "moves");
        assert_eq!((session.add_path.len(), all[1].session.add_path.len()), (0, 0));
        assert_eq!(all[2].session.add_path, [(Family::IPV4_UNICAST, AddPath::Send)]);
        assert_eq!(all.iter().map(|n| n.aigp).collect::<Vec<_>>(), [false, true, true]);
        assert_eq!((all[1].session.role, all[1].shutdown_message.as_str()), (None, ""));
    }

    #[test]
    fn without_a_feed_a_site_is_back_at_once_when_the_override_ends() {
        let text = "[router]\nas = 65001\n";
        let config = load(&[Source::new("evpnd.toml", text)]).unwrap().config;
        let policy = energy(&config, &mut Vec::new()).policy;
        let request = serde_json::from_str(r#"{"mode":"drain","seconds":60,"reason":"work"}"#);
        let request: OverrideRequest = request.unwrap();
        let mut state = State::new(Time::ZERO);
        state.request(request, Time::ZERO, UnixSeconds(0)).unwrap();
        let mut at = |time| {
            for _ in Level::ALL {
                state = decide(&policy, &state, &Inputs { now: time, reading: None }).state;
            }
            state.level
        };
        assert_eq!(at(Time::ZERO), Level::Drained);
        assert_eq!(at(Time::ZERO + Duration::from_secs(59)), Level::Drained);
        assert_eq!(at(Time::ZERO + Duration::from_secs(61)), Level::Normal);
    }
}
