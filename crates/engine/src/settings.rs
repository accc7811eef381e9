//! What the operator decided, as the engine needs it: complete, checked and without text.
//!
//! **Two equal settings make two engines that behave alike**: nothing is read from elsewhere.

use evpn_energy::Policy;
use evpn_proto::bgp::session::SessionConfig;
use evpn_proto::types::{Asn, NeighborId, Rd, RouteTarget, Vni};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

/// Everything.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// Our AS.
    pub asn: Asn,
    /// Our BGP identifier; the route distinguishers begin with it.
    pub router_id: Ipv4Addr,
    /// What we add to the CLUSTER_LIST of reflected routes (RFC 4456 section 7).
    pub cluster_id: Ipv4Addr,
    /// The VTEP address, where a VXLAN device does not say one.
    pub vtep: Option<IpAddr>,
    /// Neighbours, in the operator's order.
    pub neighbors: Vec<NeighborSettings>,
    /// Who else may dial us.
    pub listen: Vec<ListenSettings>,
    /// Whether VNIs that are not named are taken from the kernel.
    pub all_vnis: AllVnis,
    /// Exceptions for single VNIs.
    pub vnis: BTreeMap<Vni, VniSettings>,
    /// How automatic route targets are exported.
    pub route_target_form: RouteTargetForm,
    /// What is announced of IPv4 and IPv6 unicast.
    pub unicast: UnicastSettings,
    /// L3VNIs.
    pub vrfs: Vec<VrfSettings>,
    /// How prefixes with several ways are programmed.
    pub multipath: Multipath,
    /// How long after a start what is stale may forward, if not every neighbour ends its routes
    /// before.
    pub sweep_delay: Duration,
    /// How long a neighbour that is back may take to confirm what was kept of it, and one that tells
    /// its routes again to tell all of them.
    pub stale_time: Duration,
    /// The site's energy; none where it is not our concern.
    pub energy: Option<EnergySettings>,
}

/// What is announced to neighbours of the unicast families.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UnicastSettings {
    /// These, always.
    pub prefixes: Vec<IpNet>,
    /// Prefixes of connected links, and addresses of the loopback.
    pub redistribute_connected: bool,
}

/// A neighbour.
#[derive(Clone, PartialEq, Debug)]
pub struct NeighborSettings {
    /// Who it is.
    pub id: NeighborId,
    /// Its session.
    pub session: SessionConfig,
    /// Administratively down.
    pub shutdown: bool,
    /// What its operator is told when it is taken down (RFC 9003); may be empty.
    pub shutdown_message: String,
    /// Farther away than one link: the state of an interface says nothing of it.
    pub multihop: bool,
    /// An internal neighbour whose routes are reflected to all others, and theirs to it.
    pub route_reflector_client: bool,
    /// The accumulated IGP metric is taken from it and told to it (RFC 7311 section 3.3).
    pub aigp: bool,
    /// The most routes that it may have here.
    pub max_prefix: Option<u32>,
}

/// Dynamic neighbours: whoever dials from within these prefixes and is not named.
#[derive(Clone, PartialEq, Debug)]
pub struct ListenSettings {
    /// The group whose values they have.
    pub group: Arc<str>,
    /// Where they dial from. No two groups have the same one.
    pub prefixes: Vec<IpNet>,
    /// How many there may be at a time.
    pub limit: u16,
    /// What each of them is to us. Who it is, its own address says: the one here is nobody's.
    pub neighbor: NeighborSettings,
}

impl ListenSettings {
    /// The one with this address.
    pub fn at(&self, address: IpAddr) -> NeighborSettings {
        NeighborSettings { id: address.into(), ..self.neighbor.clone() }
    }
}

/// Whether every VNI of the kernel is served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AllVnis {
    /// Each that has a VXLAN device.
    Served,
    /// Only those that are named.
    NamedOnly,
}

/// The form of automatic export targets. Imports accept both.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RouteTargetForm {
    /// `(AS & 0xffff):VNI`, as FRR and others.
    AsVni,
    /// RFC 8365 section 5.1.2.1.
    Rfc8365,
}

/// An exception for a VNI.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VniSettings {
    /// Whether it is served.
    pub enabled: bool,
    /// Its route distinguisher; automatic if none.
    pub rd: Option<Rd>,
    /// What it imports.
    pub import: Targets,
    /// What it exports.
    pub export: Targets,
}

impl Default for VniSettings {
    fn default() -> Self {
        Self { enabled: true, rd: None, import: Targets::default(), export: Targets::default() }
    }
}

/// Route targets of one direction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Targets {
    /// The automatic one too.
    pub auto: bool,
    /// These.
    pub explicit: Vec<RouteTarget>,
}

impl Default for Targets {
    fn default() -> Self {
        Self { auto: true, explicit: Vec::new() }
    }
}

impl Targets {
    /// As people write those that a VNI imports by, sorted: `*` is any AS.
    pub fn texts(&self, vni: Vni) -> Vec<String> {
        let auto = self.auto.then(|| format!("*:{vni}"));
        let mut explicit: Vec<String> = self.explicit.iter().map(ToString::to_string).collect();
        explicit.sort_unstable();
        auto.into_iter().chain(explicit).collect()
    }
}

/// An L3VNI and its prefixes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VrfSettings {
    /// Its name.
    pub name: String,
    /// The VNI that carries its routed traffic.
    pub l3vni: Vni,
    /// The kernel's routing table.
    pub table: u32,
    /// What is announced, always.
    pub prefixes: Vec<AnnouncedPrefix>,
    /// Whether connected prefixes are announced too.
    pub redistribute_connected: bool,
    /// Whether, with energy, an address of the switch itself is announced too, which no level
    /// touches.
    pub advertise_own_address: bool,
    /// `drain-time` of connected prefixes, and four times the idle time of received ones.
    pub drain_time: Duration,
    /// Its route distinguisher; automatic if none.
    pub rd: Option<Rd>,
    /// What it imports.
    pub import: Targets,
    /// What it exports.
    pub export: Targets,
}

/// A prefix that is announced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AnnouncedPrefix {
    /// Which.
    pub prefix: IpNet,
    /// How long a drained site still takes the flows that it has.
    pub drain_time: Duration,
}

/// How prefixes with several ways are programmed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Multipath {
    /// Most ways at once.
    pub max_paths: usize,
    /// Buckets of a resilient group.
    pub buckets: u16,
    /// What weights the kernel takes.
    pub weights: GroupWeights,
}

/// The weights that the kernel takes for a nexthop in a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GroupWeights {
    /// 1 to 256.
    Octet,
    /// 1 to 65536, since Linux 6.12.
    TwoOctets,
}

/// The site's energy.
#[derive(Clone, PartialEq, Debug)]
pub struct EnergySettings {
    /// The site's name.
    pub site: String,
    /// What the site can take in bits a second: its link bandwidth at the normal level.
    pub capacity_bits: u64,
    /// When which level begins.
    pub policy: Policy,
    /// What a level does to routes.
    pub levers: evpn_energy::Levers,
    /// Which readings are believed.
    pub plausibility: evpn_energy::Gates,
}
