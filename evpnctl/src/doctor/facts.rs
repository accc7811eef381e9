//! What was found on the machine, before anybody judges it.
//!
//! **A fact that could not be had is `None`, or says why not**: it is never taken for a good one.

use evpn_dataplane::object::IfIndex;
use evpn_netlink::probe::Probed;
use evpn_netlink::survey::Survey;
use evpn_proto::types::Vni;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;

/// Everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// The kernel's release, as `uname -r` tells it.
    pub(crate) kernel: String,
    /// What the kernel can do; or why nobody could try.
    pub(crate) features: Option<Result<Vec<Probed>, String>>,
    /// Devices and neighbours; or why they cannot be read.
    pub(crate) survey: Option<Result<Survey, String>>,
    /// The devices through which neighbors and VTEPs are reached.
    pub(crate) underlay: BTreeSet<IfIndex>,
    /// Sysctls by name (`net.ipv4.ip_forward`), those that could be read.
    pub(crate) sysctls: BTreeMap<String, String>,
    /// What the configuration wants; none where there is none.
    pub(crate) intent: Option<Intent>,
    /// The configuration's files.
    pub(crate) config: ConfigFound,
    /// The daemon.
    pub(crate) evpnd: EvpndFound,
    /// Where it keeps its state.
    pub(crate) state_dir: Option<Folder>,
    /// The files of secrets, from outside; their content is nobody's business.
    pub(crate) password_files: Vec<PasswordFile>,
    /// Other EVPN daemons in this network namespace, as evpnd finds them.
    pub(crate) rivals: Vec<String>,
    /// Who listens on the port of BGP: names of processes, `?` where that cannot be seen.
    pub(crate) bgp_listeners: Vec<String>,
    /// systemd-networkd, where it runs beside these devices.
    pub(crate) networkd: Option<Networkd>,
    /// Devices that NetworkManager manages.
    pub(crate) network_manager: BTreeSet<String>,
    /// The firewall; none where there is none, or nobody may read it.
    pub(crate) firewall: Option<Firewall>,
    /// Whether the clock is synchronised.
    pub(crate) clock_synchronised: Option<bool>,
}

/// What the configuration wants of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Intent {
    /// L3VNIs with their VRFs' names.
    pub(crate) l3vnis: BTreeMap<Vni, String>,
    /// Whether routed prefixes may be IPv4, and IPv6.
    pub(crate) routed: Families,
    /// Families of unicast routes that are passed on from one neighbor to another.
    pub(crate) passes_on: Families,
    /// What neighbors are told of the underlay.
    pub(crate) told: Told,
    /// VNIs that are named and served.
    pub(crate) named: BTreeSet<Vni>,
    /// VNIs that are named and not served.
    pub(crate) disabled: BTreeSet<Vni>,
    /// Whether VNIs that are not named are served.
    pub(crate) all_vnis: bool,
    /// Our VTEP, where the configuration says it.
    pub(crate) vtep: Option<IpAddr>,
    /// The neighbors.
    pub(crate) neighbors: Vec<IpAddr>,
    /// The port that it listens on.
    pub(crate) port: u16,
    /// Octets that the kernel's news may take.
    pub(crate) receive_buffer: u64,
}

/// What neighbors are told of the underlay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// The unicast families that some neighbor speaks.
    pub(crate) families: Families,
    /// The prefixes that are announced always.
    pub(crate) prefixes: Vec<IpNet>,
    /// Whether what is connected is announced beside.
    pub(crate) connected: bool,
}

/// Address families.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Families {
    pub(crate) ipv4: bool,
    pub(crate) ipv6: bool,
}

impl Families {
    /// Whether that of an address is one of them.
    pub(crate) const fn has(self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(_) => self.ipv4,
            IpAddr::V6(_) => self.ipv6,
        }
    }
}

/// A configuration on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum ConfigFound {
    /// Nobody looked.
    #[default]
    NotLookedAt,
    /// There is none.
    Missing(PathBuf),
    /// It may not be read.
    Unreadable(PathBuf, String),
    /// It has errors: how many, and the first with its place.
    Invalid(PathBuf, usize, String),
    /// It is valid.
    Valid(PathBuf),
}

/// The daemon, as far as it answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum EvpndFound {
    /// Nobody asked.
    #[default]
    NotAsked,
    /// It does not run.
    Absent,
    /// It cannot be asked: why, and what to do about it.
    Unreachable(String, Option<String>),
    /// It answers.
    Running(Box<Running>),
}

/// A daemon that answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Running {
    /// Its version.
    pub(crate) version: String,
    /// What it waits for.
    pub(crate) waits_for: Vec<String>,
    /// Its process, where /proc shows it.
    pub(crate) process: Option<Process>,
}

/// What /proc tells of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Process {
    /// Its effective capabilities, as a bit field.
    pub(crate) capabilities: u64,
    /// Whether these count in the machine's own user namespace.
    pub(crate) initial_user_namespace: bool,
    /// Its effective user.
    pub(crate) user: u32,
}

/// A folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    /// Whose it is; none where it is not there.
    pub(crate) owner: Option<u32>,
    /// Octets left for those who are not root, where that is known.
    pub(crate) free: Option<u64>,
}

/// The file of a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PasswordFile {
    /// Whose it is, e.g. `neighbor 10.0.0.2`.
    pub(crate) whose: String,
    pub(crate) path: PathBuf,
    /// What is seen of it; none where it is not there.
    pub(crate) outside: Option<Outside>,
}

/// A file from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outside {
    /// Its permission bits.
    pub(crate) mode: u32,
    /// Its octets.
    pub(crate) length: u64,
}

/// systemd-networkd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Networkd {
    /// It deletes routes that it did not make.
    pub(crate) manages_routes: bool,
    /// It deletes nexthops that it did not make.
    pub(crate) manages_nexthops: bool,
}

/// A firewall.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Firewall {
    /// The tool that showed it.
    pub(crate) tool: String,
    /// Chains for packets to this machine that drop what no rule accepts: family, table, chain.
    pub(crate) dropping: Vec<[String; 3]>,
    /// Whether a rule speaks of VXLAN's port, and of BGP's.
    pub(crate) names_vxlan: bool,
    pub(crate) names_bgp: bool,
}
