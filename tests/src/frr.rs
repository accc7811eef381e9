//! FRR's daemons in a namespace: the installed version, and the next one by chroot.
//!
//! ```text
//!              programs                    configuration, sockets
//!   FRR 8.4    /usr/lib/frr                the test's directory
//!   FRR 10     FOLDER/usr/lib/frr          the test's directory, bound on FOLDER/run/frr
//! ```
//!
//! **What FRR says of itself comes from its own `vtysh`**, over sockets in the test's directory.
//! FRR 10 sees its folder as root and the test's directory as `/run/frr` in a mount namespace of
//! its own, so that several run side by side and nothing stays mounted.

use crate::fabric::{Fabric, Leaf};
use crate::ns::Ns;
use crate::process::{Daemon, require};
use crate::wait::eventually;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Group, Uid, User, chdir, chown, chroot};
use serde_json::Value;
use std::fmt::{self, Write as _};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PROGRAMS: &str = "/usr/lib/frr";
/// A variable of the environment: the folder that `tests/frr-10` made.
const FOLDER: &str = "EVPND_FRR_10";
/// Where FRR 10 has its sockets, as it sees it.
const RUN: &str = "/run/frr";
/// The user and group that `tests/frr-10` gives it.
const FRR_10_ID: u32 = 113;
const START: Duration = Duration::from_secs(20);

/// Which FRR.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrrVersion {
    /// 8.4, Debian 12's package, as installed.
    Eight,
    /// 10.3, Debian 13's, in the folder that `tests/frr-10` made.
    Ten,
}

impl fmt::Display for FrrVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eight => "FRR 8.4",
            Self::Ten => "FRR 10",
        })
    }
}

/// A running FRR.
#[derive(Debug)]
pub struct Frr {
    version: FrrVersion,
    leaf: Leaf,
    home: Home,
    /// zebra, and what it needs beside it.
    others: Vec<Daemon>,
    /// Its BGP daemon, which a test may kill.
    pub bgpd: Daemon,
}

/// Where its files are.
#[derive(Clone, Debug)]
struct Home {
    /// The folder that its processes see as root, if it is another.
    root: Option<PathBuf>,
    /// The test's directory for it, as the test sees it.
    outside: PathBuf,
    /// The same, as its processes see it.
    inside: PathBuf,
}

impl FrrVersion {
    /// Starts it on a leaf. `zebra` and `bgpd` are its configurations.
    ///
    /// # Panics
    /// Without FRR, and where it does not come up.
    #[track_caller]
    pub fn start(self, fabric: &Fabric, leaf: &Leaf, zebra: &str, bgpd: &str) -> Frr {
        let home = self.home(fabric.path(&format!("frr{}", leaf.number)));
        self.expect(&home, &leaf.ns);
        let start = |name, config| {
            let file = home.outside.join(format!("{name}.conf"));
            let text = format!("hostname leaf{}\nlog stdout informational\n{config}", leaf.number);
            fs::write(&file, text).unwrap_or_else(|e| panic!("{e}"));
            home.start(&leaf.ns, name)
        };
        // Since FRR 10 zebra takes its configuration from mgmtd.
        let others = match self {
            Self::Eight => vec![start("zebra", zebra)],
            Self::Ten => {
                // vtysh complains where it has none.
                fs::write(home.outside.join("vtysh.conf"), "").unwrap_or_else(|e| panic!("{e}"));
                fs::write(home.outside.join("zebra.conf"), zebra).unwrap_or_else(|e| panic!("{e}"));
                vec![start("mgmtd", ""), start("zebra", zebra)]
            }
        };
        let bgpd = start("bgpd", bgpd);
        Frr { version: self, leaf: leaf.clone(), home, others, bgpd }
    }

    /// Fails the test where it is another version: figures would be called by a wrong name.
    #[track_caller]
    fn expect(self, home: &Home, ns: &Ns) {
        let wanted = match self {
            Self::Eight => "bgpd version 8.4",
            Self::Ten => "bgpd version 10.",
        };
        let output = home.command(ns, &format!("{PROGRAMS}/bgpd")).arg("--version").output();
        let output = output.unwrap_or_else(|e| panic!("{self}: {e}"));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.starts_with(wanted), "{self} is wanted, and this is {said}");
    }

    /// Makes its directory.
    fn home(self, outside: PathBuf) -> Home {
        fs::create_dir_all(&outside).unwrap_or_else(|e| panic!("{e}"));
        let (home, user, group) = match self {
            Self::Eight => {
                for program in ["vtysh", "/usr/lib/frr/zebra", "/usr/lib/frr/bgpd"] {
                    require(program, "frr");
                }
                let user = User::from_name("frr").ok().flatten().map(|u| u.uid);
                let group = Group::from_name("frr").ok().flatten().map(|g| g.gid);
                (Home { root: None, inside: outside.clone(), outside }, user, group)
            }
            Self::Ten => {
                let home = Home { root: Some(frr_10_folder()), inside: RUN.into(), outside };
                (home, Some(Uid::from_raw(FRR_10_ID)), Some(Gid::from_raw(FRR_10_ID)))
            }
        };
        chown(&home.outside, user, group).unwrap_or_else(|e| panic!("chown: {e}"));
        home
    }
}

/// The folder with FRR 10 in it.
#[track_caller]
fn frr_10_folder() -> PathBuf {
    let default = || {
        let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
        target.unwrap_or_else(beside).join("frr-10")
    };
    let folder = std::env::var_os(FOLDER).map_or_else(default, PathBuf::from);
    let path = folder.join("run/frr");
    assert!(
        path.is_dir() && folder.join("usr/lib/frr/bgpd").is_file(),
        "FRR 10 is not in {}: run tests/frr-10 {0}, or set {FOLDER}",
        folder.display()
    );
    folder
}

impl Home {
    /// A command of FRR's in a namespace.
    fn command(&self, ns: &Ns, program: &str) -> Command {
        let mut command = ns.command(program);
        if let Some(root) = self.root.clone() {
            let (outside, run) = (self.outside.clone(), root.join(&RUN[1..]));
            let (etc, proc) = (root.join("etc/frr"), root.join("proc"));
            let enter = move || {
                let bind = |from: &Path, to: &Path| {
                    mount(Some(from), to, None::<&str>, MsFlags::MS_BIND, None::<&str>)
                };
                unshare(CloneFlags::CLONE_NEWNS)?;
                let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
                mount(None::<&str>, "/", None::<&str>, private, None::<&str>)?;
                bind(&outside, &run)?;
                // mgmtd reads zebra.conf there, and nowhere else.
                bind(&outside, &etc)?;
                // zebra reads and sets sysctls of its namespace.
                bind(Path::new("/proc"), &proc)?;
                chroot(&root)?;
                chdir("/")?;
                Ok(())
            };
            // SAFETY: between fork and exec only system calls are made; paths of less than 1024
            // octets are copied to the stack.
            unsafe { command.pre_exec(enter) };
        }
        command
    }

    /// Starts one of its daemons with the configuration of its name.
    #[track_caller]
    fn start(&self, ns: &Ns, name: &str) -> Daemon {
        let socket = self.outside.join(format!("{name}.vty"));
        // Of a process that was killed.
        fs::remove_file(&socket).ok();
        let inside = |name: String| self.inside.join(name);
        let mut command = self.command(ns, &format!("{PROGRAMS}/{name}"));
        command.arg("-i").arg(inside(format!("{name}.pid")));
        command.arg("--vty_socket").arg(&self.inside).args(["-A", "127.0.0.1"]);
        if name != "mgmtd" {
            command.arg("-f").arg(inside(format!("{name}.conf")));
            command.arg("-z").arg(inside("zserv.api".to_owned()));
        }
        if name == "bgpd" {
            command.args(["-p", "179"]);
        }
        let log = self.outside.join(format!("{name}.log"));
        let mut daemon = Daemon::spawn(name, &mut command, &log);
        eventually(START, &format!("{name} listens for vtysh"), || {
            daemon.expect_alive();
            if socket.exists() { Ok(()) } else { Err("it does not") }
        });
        daemon
    }
}

impl Frr {
    /// Starts FRR 8.4; see [`FrrVersion::start`].
    ///
    /// # Panics
    /// As there.
    #[track_caller]
    pub fn start(fabric: &Fabric, leaf: &Leaf, zebra: &str, bgpd: &str) -> Self {
        FrrVersion::Eight.start(fabric, leaf, zebra, bgpd)
    }

    /// Its version.
    pub fn version(&self) -> FrrVersion {
        self.version
    }

    /// Starts bgpd again, with the same configuration, after it was killed.
    ///
    /// # Panics
    /// Where it does not come up.
    #[track_caller]
    pub fn start_bgpd_again(&mut self) {
        self.bgpd = self.home.start(&self.leaf.ns, "bgpd");
    }

    /// Runs a line in vtysh, or several.
    ///
    /// # Panics
    /// Where vtysh cannot be run.
    #[track_caller]
    pub fn vtysh(&self, lines: &str) -> String {
        let program = if self.home.root.is_some() { "/usr/bin/vtysh" } else { "vtysh" };
        let mut command = self.home.command(&self.leaf.ns, program);
        command.arg("--vty_socket").arg(&self.home.inside).args(["-c", lines]);
        let output = command.output().unwrap_or_else(|e| panic!("vtysh: {e}"));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text + &String::from_utf8_lossy(&output.stderr)
    }

    /// Its EVPN paths in full, as its neighbours sent them: those whose route has `what` in its name.
    pub fn paths(&self, what: &str) -> String {
        let text = self.vtysh("show bgp l2vpn evpn route detail");
        let routes = text.split("BGP routing table entry for ");
        routes.filter(|r| r.lines().next().is_some_and(|l| l.contains(what))).collect()
    }

    /// Runs a line that answers in JSON.
    ///
    /// # Errors
    /// What it said, where that is none.
    pub fn json(&self, line: &str) -> Result<Value, String> {
        let text = self.vtysh(line);
        // zebra answers some questions twice over, once for each kind of table.
        let mut values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
        values.next().and_then(Result::ok).ok_or(text)
    }

    /// The state of its session with a neighbour.
    ///
    /// # Errors
    /// What it said, where there is no such neighbour.
    pub fn state(&self, neighbour: &str) -> Result<String, String> {
        let value = self.json(&format!("show bgp neighbors {neighbour} json"))?;
        let state = &value[neighbour]["bgpState"];
        state.as_str().map(str::to_owned).ok_or_else(|| value.to_string())
    }

    /// Fails the test where one of its processes has ended.
    ///
    /// # Panics
    /// Where one has.
    #[track_caller]
    pub fn expect_alive(&mut self) {
        self.others.iter_mut().for_each(Daemon::expect_alive);
        self.bgpd.expect_alive();
    }
}

/// A configuration of bgpd for EVPN alone, in the default VRF.
#[derive(Clone, Copy, Default, Debug)]
pub struct FrrBgp<'a> {
    /// Its AS number.
    pub own_as: u32,
    /// Its neighbours: the last octet of their addresses, and their AS numbers.
    pub neighbours: &'a [(u8, u32)],
    /// Lines of the whole router.
    pub router: &'a [&'a str],
    /// What every neighbour is, as in `neighbor ADDRESS password WORD`.
    pub all: &'a [&'a str],
    /// What every neighbour is in EVPN, as in `neighbor ADDRESS route-reflector-client`.
    pub evpn: &'a [&'a str],
    /// Whether it announces its own VNIs.
    pub is_leaf: bool,
}

impl FrrBgp<'_> {
    /// The text, for a leaf of that number.
    pub fn text(&self, number: u8) -> String {
        let mut text = format!(
            "router bgp {}\n bgp router-id 10.0.0.{number}\n no bgp ebgp-requires-policy\n \
             no bgp default ipv4-unicast\n",
            self.own_as
        );
        let mut add = |line: fmt::Arguments<'_>| writeln!(text, " {line}").unwrap_or_default();
        for line in self.router {
            add(format_args!("{line}"));
        }
        for (neighbour, asn) in self.neighbours {
            add(format_args!("neighbor 10.0.0.{neighbour} remote-as {asn}"));
            for what in ["timers 3 9", "timers connect 1"].iter().chain(self.all) {
                add(format_args!("neighbor 10.0.0.{neighbour} {what}"));
            }
        }
        add(format_args!("address-family l2vpn evpn"));
        for (neighbour, _) in self.neighbours {
            for what in ["activate"].iter().chain(self.evpn) {
                add(format_args!(" neighbor 10.0.0.{neighbour} {what}"));
            }
        }
        if self.is_leaf {
            add(format_args!(" advertise-all-vni"));
        }
        text
    }
}
