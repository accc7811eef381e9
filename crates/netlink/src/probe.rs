//! What this kernel can do, found out by doing it.
//!
//! Version numbers say little: distributions turn features off and take others from later kernels.
//! So each one is used the way evpnd uses it, and read back where the kernel is known to accept
//! what it then ignores.
//!
//! **It writes, so the caller first moves into a network namespace that nobody else uses** and
//! that ends with the process.

use crate::error::Error;
use crate::parse_link::{UP, ifla, info, vxlan};
use crate::requests::Requests;
use crate::wire::{Writer, flag, kind};
use evpn_dataplane::object::{
    FdbKey, FdbTarget, IfIndex, Member, Nexthop, NexthopGroup, NexthopId, Resilience, RouteKey,
};
use evpn_dataplane::observe::{MacState, NexthopSpec, Observation, PROTOCOL};
use evpn_dataplane::op::{Birth, Failure, KernelRoute, Op};
use evpn_proto::types::MacAddr;
use ipnet::{IpNet, Ipv4Net};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

const LOOPBACK: IfIndex = IfIndex(1);
/// Indexes and ids are the namespace's own.
const BRIDGE: IfIndex = IfIndex(1000);
const VXLAN: IfIndex = IfIndex(1001);
const VNI: u32 = 4096;
const PORT: u16 = 4789;
const FIRST: NexthopId = NexthopId(1);
const SECOND: NexthopId = NexthopId(2);
const FDB_NEXTHOP: NexthopId = NexthopId(11);
const FDB_GROUP: NexthopId = NexthopId(12);
const RESILIENT: NexthopId = NexthopId(13);
const WIDE: NexthopId = NexthopId(14);
/// More than an octet holds.
const WIDE_WEIGHT: u16 = 300;
const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const OTHER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
const MAIN_TABLE: u32 = 254;
const METRIC: u32 = 20;
const UNSPECIFIED: u8 = 0;
/// Says that an attribute holds attributes.
const NESTED: u16 = 0x8000;

/// Something that evpnd asks of the kernel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Feature {
    /// Bridges.
    Bridge,
    /// VXLAN devices, as a bridge's port.
    Vxlan,
    /// Answering ARP and ND from the neighbour table (`neigh_suppress`).
    NeighSuppress,
    /// FDB entries that a control plane owns (`extern_learn`).
    ExternLearn,
    /// Routes that point at a nexthop object.
    NexthopRoutes,
    /// Groups of VTEPs for FDB entries.
    FdbGroups,
    /// Nexthop groups that keep flows when weights change.
    ResilientGroups,
    /// Weights beyond 255.
    WideWeights,
}

impl Feature {
    /// Each one.
    pub const ALL: [Self; 8] = [
        Self::Bridge,
        Self::Vxlan,
        Self::NeighSuppress,
        Self::ExternLearn,
        Self::NexthopRoutes,
        Self::FdbGroups,
        Self::ResilientGroups,
        Self::WideWeights,
    ];

    /// Its name, which is stable.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Vxlan => "vxlan",
            Self::NeighSuppress => "neigh-suppress",
            Self::ExternLearn => "extern-learn",
            Self::NexthopRoutes => "nexthop-routes",
            Self::FdbGroups => "fdb-nexthop-groups",
            Self::ResilientGroups => "resilient-groups",
            Self::WideWeights => "wide-weights",
        }
    }

    /// The feature of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|feature| feature.name() == name)
    }
}

/// What became of a feature: it is there, or why not.
pub type Probed = (Feature, Result<(), String>);

/// Tries every feature in the network namespace of this thread.
///
/// # Errors
/// No netlink socket is to be had, or the loopback device cannot be used. That a feature is missing is an answer and no error.
pub fn probe() -> Result<Vec<Probed>, Error> {
    let mut probe = Probe { requests: Requests::open(PROTOCOL)? };
    // Without an address anywhere the kernel has no table to look gateways up in, and refuses all.
    let up = |message: &mut Writer| message.put(&link_header(LOOPBACK, UP));
    probe.requests.ask(kind::NEWLINK, 0, up, &mut |_| {}).map_err(Error::Probe)?;
    Ok(Feature::ALL.into_iter().map(|feature| (feature, probe.try_out(feature))).collect())
}

struct Probe {
    requests: Requests,
}

impl Probe {
    fn try_out(&mut self, feature: Feature) -> Result<(), String> {
        match feature {
            Feature::Bridge => self.device(BRIDGE, "bridge", |_| {}, None),
            Feature::Vxlan => self.device(VXLAN, "vxlan", vxlan_settings, Some(BRIDGE)),
            Feature::NeighSuppress => self.neigh_suppress(),
            Feature::ExternLearn => self.extern_learn(),
            Feature::NexthopRoutes => self.nexthop_routes(),
            Feature::FdbGroups => self.fdb_groups(),
            Feature::ResilientGroups => {
                let resilience = Resilience { buckets: 8, idle: Duration::from_secs(15) };
                let group = group(&[(FIRST, 1), (SECOND, 1)], Some(resilience));
                self.nexthop(RESILIENT, NexthopSpec::Group(group))?;
                let kept = |spec: &NexthopSpec| {
                    spec.group().is_some_and(|g| g.resilience.is_some_and(|r| r.buckets == 8))
                };
                self.holds_nexthop(RESILIENT, &kept)
            }
            Feature::WideWeights => {
                let wide = group(&[(FIRST, WIDE_WEIGHT), (SECOND, 1)], None);
                self.nexthop(WIDE, NexthopSpec::Group(wide))?;
                let kept = |spec: &NexthopSpec| {
                    spec.group().is_some_and(|g| g.members.iter().any(|m| m.weight == WIDE_WEIGHT))
                };
                self.holds_nexthop(WIDE, &kept)
            }
        }
    }

    /// Makes a device that is up, below a master if it has one.
    fn device(
        &mut self,
        index: IfIndex,
        of_kind: &str,
        settings: impl FnOnce(&mut Writer),
        master: Option<IfIndex>,
    ) -> Result<(), String> {
        let mut data = Writer::default();
        settings(&mut data);
        let mut about = Writer::default();
        about.attribute(info::KIND, of_kind.as_bytes());
        about.attribute(info::DATA | NESTED, &data.buffer);
        let name = format!("probe{}\0", index.0);
        let write = |message: &mut Writer| {
            message.put(&link_header(index, UP));
            message.attribute(ifla::NAME, name.as_bytes());
            if let Some(master) = master {
                message.attribute(ifla::MASTER, &master.0.to_ne_bytes());
            }
            message.attribute(ifla::LINKINFO | NESTED, &about.buffer);
        };
        let flags = flag::CREATE | flag::EXCL;
        self.requests.ask(kind::NEWLINK, flags, write, &mut |_| {}).map_err(words)
    }

    fn neigh_suppress(&mut self) -> Result<(), String> {
        let mut settings = Writer::default();
        settings.attribute(info::PORT_NEIGH_SUPPRESS, &[1]);
        settings.attribute(info::PORT_LEARNING, &[0]);
        let mut about = Writer::default();
        about.attribute(info::SLAVE_KIND, b"bridge");
        about.attribute(info::SLAVE_DATA | NESTED, &settings.buffer);
        let write = |message: &mut Writer| {
            message.put(&link_header(VXLAN, 0));
            message.attribute(ifla::LINKINFO | NESTED, &about.buffer);
        };
        self.requests.ask(kind::NEWLINK, 0, write, &mut |_| {}).map_err(words)?;
        let survey = self.requests.survey().map_err(|error| error.to_string())?;
        let port = survey.devices.iter().find(|d| d.link.index == VXLAN).and_then(|d| d.link.port);
        kept(port.is_some_and(|port| port.neigh_suppress && !port.learning))
    }

    fn extern_learn(&mut self) -> Result<(), String> {
        let key = FdbKey { device: VXLAN, mac: MAC };
        self.write(Op::Fdb { key, to: FdbTarget::Vtep(vtep(1)) })?;
        let external = |seen: &Observation| match seen {
            Observation::BridgeMac(seen) => seen.mac == MAC && seen.state == MacState::External,
            _ => false,
        };
        self.holds(&external)
    }

    fn nexthop_routes(&mut self) -> Result<(), String> {
        for (id, n) in [(FIRST, 1), (SECOND, 2)] {
            let nexthop = Nexthop { gateway: vtep(n), device: BRIDGE };
            self.nexthop(id, NexthopSpec::Routed(nexthop))?;
        }
        let prefix = Ipv4Net::new_assert(Ipv4Addr::new(198, 51, 100, 0), 24);
        let key = RouteKey { table: MAIN_TABLE, prefix: IpNet::V4(prefix) };
        let route = KernelRoute { key, metric: METRIC };
        self.write(Op::Route { route, nexthop: FIRST, birth: Birth::New })?;
        let points = |seen: &Observation| match seen {
            Observation::Route(seen) => seen.key == key && seen.nexthop == Some(FIRST),
            _ => false,
        };
        self.holds(&points)
    }

    fn fdb_groups(&mut self) -> Result<(), String> {
        self.nexthop(FDB_NEXTHOP, NexthopSpec::Fdb(vtep(1)))?;
        self.nexthop(FDB_GROUP, NexthopSpec::FdbGroup(group(&[(FDB_NEXTHOP, 1)], None)))?;
        let key = FdbKey { device: VXLAN, mac: OTHER_MAC };
        self.write(Op::Fdb { key, to: FdbTarget::Group(FDB_GROUP) })?;
        let grouped = FdbTarget::Group(FDB_GROUP);
        let points = |seen: &Observation| match seen {
            Observation::VxlanMac { key: seen, to, .. } => *seen == key && *to == grouped,
            _ => false,
        };
        self.holds(&points)
    }

    fn nexthop(&mut self, id: NexthopId, spec: NexthopSpec) -> Result<(), String> {
        self.write(Op::Nexthop { id, spec, birth: Birth::New })
    }

    fn write(&mut self, op: Op) -> Result<(), String> {
        let mut results = Vec::new();
        self.requests.execute(&[op], &mut results);
        results.pop().unwrap_or(Ok(())).map_err(words)
    }

    fn holds_nexthop(
        &mut self,
        wanted: NexthopId,
        is: &dyn Fn(&NexthopSpec) -> bool,
    ) -> Result<(), String> {
        let found = |seen: &Observation| match seen {
            Observation::Nexthop { id, spec, .. } => *id == wanted && is(spec),
            _ => false,
        };
        self.holds(&found)
    }

    /// Whether the kernel shows what was written.
    fn holds(&mut self, is: &dyn Fn(&Observation) -> bool) -> Result<(), String> {
        let mut found = false;
        self.requests.dump(&mut |seen| found |= is(&seen)).map_err(|error| error.to_string())?;
        kept(found)
    }
}

fn kept(kept: bool) -> Result<(), String> {
    if kept { Ok(()) } else { Err("the kernel takes it and does not keep it".to_owned()) }
}

fn words(failure: Failure) -> String {
    failure.to_string()
}

const fn vtep(n: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, n))
}

fn group(members: &[(NexthopId, u16)], resilience: Option<Resilience>) -> NexthopGroup {
    let member =
        |(nexthop, weight): &(NexthopId, u16)| Member { nexthop: *nexthop, weight: *weight };
    NexthopGroup { members: members.iter().map(member).collect(), resilience }
}

fn vxlan_settings(data: &mut Writer) {
    data.attribute(vxlan::ID, &VNI.to_ne_bytes());
    data.attribute(vxlan::LOCAL, &[192, 0, 2, 100]);
    data.attribute(vxlan::LEARNING, &[0]);
    data.attribute(vxlan::PORT, &PORT.to_be_bytes());
}

/// ```text
/// struct ifinfomsg  family:8 0:8 type:16  index:32  flags:32  change:32
/// ```
fn link_header(index: IfIndex, flags: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[0] = UNSPECIFIED;
    header[4..8].copy_from_slice(&index.0.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..16].copy_from_slice(&flags.to_ne_bytes());
    header
}
