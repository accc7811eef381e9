//! FRR's bgpd as a route reflector, as installed here or unpacked into a folder.
//!
//! It runs without zebra (`--no_zebra`): a reflector forwards nothing and needs none.
//!
//! **It is spared whatever it can do without**: no log, no address family but EVPN, one peer group,
//! the largest quanta that it takes.

use crate::Result;
use crate::netns::Netns;
use crate::reflector::routes::AS;
use crate::reflector::trial::REFLECTOR;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Where Debian's package has it.
const BGPD: &str = "/usr/lib/frr/bgpd";
/// Send buffer of a session, in octets.
const SEND_BUFFER: &str = "4194304";

/// A bgpd to run.
#[derive(Clone, Default, Debug)]
pub(crate) struct Program {
    /// The folder that it takes for the root of the file system, if not that.
    root: Option<PathBuf>,
    /// What it says of itself.
    pub(crate) version: String,
}

impl Program {
    /// The one below a folder, or the installed one.
    pub(crate) fn find(root: Option<&Path>) -> Result<Self> {
        let found = Self { root: root.map(Path::to_owned), version: String::new() };
        let path = found.below_root(Path::new(BGPD));
        if !path.is_file() {
            return Err(format!("no {}", path.display()));
        }
        let output = found.command(None).arg("--version").output();
        let output = output.map_err(|e| format!("{}: {e}", path.display()))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.lines().next().and_then(|line| line.strip_prefix("bgpd version "));
        let version = version.ok_or_else(|| format!("{} tells no version", path.display()))?;
        Ok(Self { version: version.to_owned(), ..found })
    }

    /// A path inside as one that we can open.
    fn below_root(&self, path: &Path) -> PathBuf {
        match &self.root {
            Some(root) => root.join(path.strip_prefix("/").unwrap_or(path)),
            None => path.to_owned(),
        }
    }

    fn command(&self, namespace: Option<&Netns>) -> Command {
        let command = |program: &str| {
            namespace.map_or_else(|| Command::new(program), |namespace| namespace.command(program))
        };
        let Some(root) = &self.root else { return command(BGPD) };
        let mut inside = command("chroot");
        inside.arg(root).arg(BGPD);
        inside
    }
}

/// A running bgpd; it ends with this value.
pub(crate) struct Bgpd {
    child: Child,
    directory: TempDir,
}

impl Bgpd {
    /// Starts it with these clients.
    pub(crate) fn start(
        program: &Program,
        namespace: &Netns,
        clients: &[Ipv4Addr],
    ) -> Result<Self> {
        let failed = |e: std::io::Error| format!("bgpd's directory: {e}");
        let directory = TempDir::new_in(program.below_root(Path::new("/tmp"))).map_err(failed)?;
        let name = directory.path().file_name().ok_or("a directory without a name")?;
        let inside = Path::new("/tmp").join(name);
        let config = directory.path().join("bgpd.conf");
        fs::write(&config, configuration(clients).map_err(|e| e.to_string())?).map_err(failed)?;
        let log = File::create(directory.path().join("log")).map_err(failed)?;
        let second = log.try_clone().map_err(failed)?;
        let child = program
            .command(Some(namespace))
            .arg("--config_file")
            .arg(inside.join("bgpd.conf"))
            .arg("--pid_file")
            .arg(inside.join("pid"))
            .arg("--vty_socket")
            .arg(&inside)
            // Root stays root, so that bgpd ends with us whatever happens.
            .args(["--skip_runas", "--no_zebra", "--vty_port", "0", "--bgp_port", "179"])
            .args(["--socket_size", SEND_BUFFER])
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(second)
            .spawn()
            .map_err(|e| format!("bgpd: {e}"))?;
        Ok(Self { child, directory })
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Bgpd {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn configuration(clients: &[Ipv4Addr]) -> std::result::Result<String, std::fmt::Error> {
    let mut out = format!(
        "hostname reflector
router bgp {AS}
 bgp router-id {REFLECTOR}
 no bgp default ipv4-unicast
 write-quanta 64
 read-quanta 10
 neighbor CLIENTS peer-group
 neighbor CLIENTS remote-as {AS}
 neighbor CLIENTS passive
"
    );
    for client in clients {
        writeln!(out, " neighbor {client} peer-group CLIENTS")?;
    }
    out.push_str(
        " address-family l2vpn evpn
  neighbor CLIENTS activate
  neighbor CLIENTS route-reflector-client
 exit-address-family
",
    );
    Ok(out)
}
