//! A fabric of namespaces: leaves on a common underlay, hosts behind them.
//!
//! ```text
//!   host ──eth0   hN│ br100 │vx100    up0   ┌──────┐
//!                   └ leaf 10.0.0.N ────────┤ core │ a bridge, the underlay 10.0.0.0/24
//!   host ──eth0   hM│ br100 │vx100    up0   └──────┘
//! ```
//!
//! **Names begin with the test's own prefix, and one fabric stands at a time**: a lock of the
//! machine keeps tests of several programs from each other's namespaces and packets.

use crate::ns::{NETNS_DIR, Ns, run_here};
use crate::process::require;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What every namespace of these tests is called first.
const PREFIX: &str = "e2e-";
/// A variable of the environment: a test's directory, with all logs, is kept where it is set.
const KEEP: &str = "EVPND_E2E_KEEP";
/// The underlay takes a host's full-size frame and what VXLAN adds to it.
pub const UNDERLAY_MTU: u32 = 1600;
/// The MTU of hosts.
pub const LEAF_PORT_MTU: u32 = 1500;

/// Namespaces, a directory, and the lock.
#[derive(Debug)]
pub struct Fabric {
    prefix: String,
    nodes: BTreeMap<String, Ns>,
    directory: TempDir,
    _lock: Flock<File>,
}

/// A leaf switch: a namespace with an address in the underlay.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// Its namespace.
    pub ns: Ns,
    /// The last octet of its address, and of its AS number where it has its own.
    pub number: u8,
}

/// A host: a namespace with one link.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its namespace.
    pub ns: Ns,
    /// Its MAC address.
    pub mac: String,
    /// Its IPv4 address.
    pub ip: String,
    /// Its IPv6 address.
    pub ip6: String,
    /// The leaf's end of its link.
    pub port: String,
}

impl Fabric {
    /// Begins a fabric: an empty underlay.
    ///
    /// # Panics
    /// Without root, iproute2 or ping.
    #[track_caller]
    pub fn new(test: &str) -> Self {
        assert!(
            Uid::effective().is_root(),
            "these tests make network namespaces: run them as root"
        );
        require("ip", "iproute2");
        require("ping", "iputils-ping");
        let lock = lock();
        let prefix = format!("{PREFIX}{test}-");
        remove_namespaces(PREFIX);
        let directory = tempfile::Builder::new().prefix(&prefix).tempdir();
        let directory = directory.unwrap_or_else(|e| panic!("a directory for the test: {e}"));
        // FRR and NUT give up root and must still reach their own directories.
        let open = Permissions::from_mode(0o755);
        fs::set_permissions(directory.path(), open).unwrap_or_else(|e| panic!("{e}"));
        let mut fabric = Self { prefix, nodes: BTreeMap::new(), directory, _lock: lock };
        let core = fabric.node("core");
        core.sysctl("net.ipv6.conf.all.disable_ipv6", "1");
        core.ip(&format!(
            "link add br0 type bridge\nlink set br0 mtu {UNDERLAY_MTU}\nlink set br0 up"
        ));
        fabric
    }

    /// The test's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A new namespace.
    pub fn node(&mut self, name: &str) -> Ns {
        let ns = Ns::create(&format!("{}{name}", self.prefix));
        self.nodes.insert(name.to_owned(), ns.clone());
        ns
    }

    /// A link between two namespaces, both ends up.
    ///
    /// # Panics
    /// Where the kernel refuses it.
    #[track_caller]
    pub fn link(&self, a: (&Ns, &str), b: (&Ns, &str), mtu: u32) {
        Self::cable(a, b);
        raise(a, mtu);
        raise(b, mtu);
    }

    fn cable(a: (&Ns, &str), b: (&Ns, &str)) {
        let (a_ns, b_ns) = (a.0.name(), b.0.name());
        run_here(
            "ip",
            &[
                "link", "add", a.1, "netns", a_ns, "type", "veth", "peer", "name", b.1, "netns",
                b_ns,
            ],
        );
    }

    /// A leaf with 10.0.0.`number` on `up0`.
    pub fn leaf(&mut self, number: u8) -> Leaf {
        let ns = self.node(&format!("leaf{number}"));
        let core = self.nodes["core"].clone();
        let port = format!("p{number}");
        self.link((&ns, "up0"), (&core, &port), UNDERLAY_MTU);
        core.ip(&format!("link set {port} master br0"));
        ns.ip(&format!("addr add 10.0.0.{number}/24 dev up0"));
        Leaf { ns, number }
    }

    /// A host behind a leaf in `vni`, with addresses that end in `number`.
    pub fn host(&mut self, name: &str, leaf: &Leaf, vni: u32, number: u8) -> Host {
        let ns = self.node(name);
        let host = Host {
            ns,
            mac: format!("02:00:00:00:{:02x}:{number:02x}", vni % 256),
            ip: format!("172.16.{}.{number}", vni % 256),
            ip6: format!("2001:db8:{vni}::{number}"),
            port: format!("h{number}"),
        };
        self.attach(&host, "eth0", leaf, vni);
        host.set_up("eth0");
        host
    }

    /// One more link of a host, to a port of `vni` at a leaf, without addresses.
    pub fn attach(&self, host: &Host, device: &str, leaf: &Leaf, vni: u32) {
        Self::cable((&leaf.ns, &host.port), (&host.ns, device));
        // Before it is up: with the address that the kernel gave it, it would speak once.
        host.ns.ip(&format!("link set {device} address {}", host.mac));
        raise((&leaf.ns, &host.port), LEAF_PORT_MTU);
        raise((&host.ns, device), LEAF_PORT_MTU);
        leaf.ns.ip(&format!("link set {} master br{vni}", host.port));
    }
}

impl Host {
    /// Gives `device` the host's addresses.
    pub fn set_up(&self, device: &str) {
        let Self { ip, ip6, .. } = self;
        self.ns.ip(&format!(
            "addr add {ip}/24 dev {device}
             addr add {ip6}/64 dev {device} nodad"
        ));
    }
}

impl Leaf {
    /// Its address in the underlay.
    pub fn ip(&self) -> String {
        format!("10.0.0.{}", self.number)
    }

    /// A bridge and a VXLAN device for an L2VNI, set as an EVPN leaf must be.
    pub fn vni(&self, vni: u32) -> &Self {
        let ip = self.ip();
        self.ns.ip(&format!(
            "link add br{vni} type bridge
             link add vx{vni} type vxlan id {vni} dstport 4789 local {ip} nolearning
             link set vx{vni} mtu {LEAF_PORT_MTU}
             link set vx{vni} master br{vni}
             link set vx{vni} up
             link set br{vni} up"
        ));
        self.ns.bridge(&format!("link set dev vx{vni} learning off neigh_suppress on"));
        self
    }

    /// The devices of an L3VNI; the router's MAC ends in the leaf's number.
    pub fn l3vni(&self, vni: u32) -> &Self {
        let ip = self.ip();
        for key in ["ip_forward", "fib_multipath_hash_policy"] {
            self.ns.sysctl(&format!("net.ipv4.{key}"), "1");
        }
        self.ns.sysctl("net.ipv6.conf.all.forwarding", "1");
        self.ns.sysctl("net.ipv6.fib_multipath_hash_policy", "1");
        for scope in ["all", "default"] {
            self.ns.sysctl(&format!("net.ipv4.conf.{scope}.rp_filter"), "0");
        }
        self.ns.ip(&format!(
            "link add br{vni} address 02:00:00:00:50:{:02x} type bridge
             link add vx{vni} type vxlan id {vni} dstport 4789 local {ip} nolearning
             link set vx{vni} mtu {LEAF_PORT_MTU}
             link set vx{vni} master br{vni}
             link set vx{vni} up
             link set br{vni} up",
            self.number
        ));
        self.ns.bridge(&format!("link set dev vx{vni} learning off"));
        self
    }
}

impl Drop for Fabric {
    fn drop(&mut self) {
        if std::env::var_os(KEEP).is_some() {
            self.directory.disable_cleanup(true);
            eprintln!("{KEEP}: see {}", self.directory.path().display());
        }
        remove_namespaces(&self.prefix);
    }
}

fn raise((ns, device): (&Ns, &str), mtu: u32) {
    ns.ip(&format!("link set {device} mtu {mtu}\nlink set {device} up"));
}

/// Waits until no other test of this machine has a fabric.
fn lock() -> Flock<File> {
    let path = std::env::temp_dir().join("evpnd-e2e.lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    Flock::lock(file, FlockArg::LockExclusive)
        .unwrap_or_else(|(_, e)| panic!("{}: {e}", path.display()))
}

/// Ends every process in the namespaces whose names begin so, and removes them.
fn remove_namespaces(prefix: &str) {
    let names = fs::read_dir(NETNS_DIR).into_iter().flatten().flatten();
    let ours: Vec<String> = names
        .filter_map(|e| e.file_name().into_string().ok())
        .filter(|name| name.starts_with(prefix))
        .collect();
    if ours.is_empty() {
        return;
    }
    let inodes: Vec<u64> = ours
        .iter()
        .filter_map(|name| fs::metadata(Path::new(NETNS_DIR).join(name)).ok())
        .map(|meta| meta.ino())
        .collect();
    for pid in processes_in(&inodes) {
        // It may have ended meanwhile.
        kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
    }
    for name in ours {
        std::process::Command::new("ip").args(["netns", "del", &name]).status().ok();
    }
}

fn processes_in(namespaces: &[u64]) -> Vec<i32> {
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| *pid != own)
        .filter(|pid| {
            let meta = fs::metadata(format!("/proc/{pid}/ns/net"));
            meta.is_ok_and(|m| namespaces.contains(&m.ino()))
        })
        .collect()
}
