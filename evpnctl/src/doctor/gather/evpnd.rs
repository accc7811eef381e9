//! The daemon and its configuration.
//!
//! **A password's file is looked at from outside**: that it is there, and who may read it.

use super::super::facts::{
    ConfigFound, EvpndFound, Families, Folder, Intent, Outside, PasswordFile, Process, Running,
};
use super::Asked;
use crate::{Failure, local};
use evpn_api::bgp::VniKind;
use evpn_api::client::Unreachable;
use evpn_api::{Client, ClientError, NeighborId};
use evpn_config::{Config, SecretFile};
use evpn_proto::types::Vni;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where a configuration is unless told otherwise.
pub(crate) const USUAL_CONFIG: &str = "/etc/evpnd";
/// How long each question may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// BGP's port.
const BGP: u16 = 179;
/// The user namespace of the machine itself maps every number to itself.
const EVERY_USER: [&str; 3] = ["0", "0", "4294967295"];

/// Asks the daemon.
pub(super) async fn ask(socket: &Path) -> Asked {
    let client = Client::new(socket).with_timeout(PATIENCE);
    let version = match client.version().await {
        Ok(version) => version,
        Err(ClientError::Unreachable {
            cause: Unreachable::NotRunning | Unreachable::Stopped,
            ..
        }) => return Asked { found: EvpndFound::Absent, ..Asked::default() },
        Err(error) => {
            let remedy = error.remedy().map(str::to_owned);
            let found = EvpndFound::Unreachable(error.to_string(), remedy);
            return Asked { found, ..Asked::default() };
        }
    };
    let health = client.health().await;
    let waits = health.iter().flat_map(|health| &health.checks).filter(|check| !check.ok);
    let waits_for = waits.map(|check| format!("{}: {}", check.name, check.text)).collect();
    let running = Running { version: version.version, waits_for, process: process(version.pid) };
    let files = client.effective_config().await.map(|config| config.files).unwrap_or_default();
    let summary = client.summary().await;
    let vnis = client.vnis().await.unwrap_or_default();
    let ids = summary.iter().flat_map(|s| s.peers.keys());
    let addresses = ids.filter_map(|id| match id {
        NeighborId::Address(address) => Some(*address),
        NeighborId::Interface(_) => None,
    });
    let neighbors: Vec<_> = addresses.collect();
    let vteps = vnis.iter().flat_map(|vni| vni.remote_vteps.iter().copied()).collect();
    let of_kind = |kind: VniKind| vnis.iter().filter(move |vni| vni.kind == kind);
    let l3 = of_kind(VniKind::L3).filter_map(|v| Some((Vni::new(v.vni)?, v.tenant_vrf.clone())));
    let intent = Intent {
        l3vnis: l3.collect(),
        routed: Families { ipv4: true, ipv6: false },
        named: of_kind(VniKind::L2).filter_map(|vni| Vni::new(vni.vni)).collect(),
        neighbors: neighbors.clone(),
        port: BGP,
        ..Intent::default()
    };
    Asked {
        found: EvpndFound::Running(Box::new(running)),
        files: files.into_iter().map(PathBuf::from).collect(),
        neighbors,
        vteps,
        intent: Some(intent),
    }
}

/// What /proc tells of the daemon, if it is visible and really is one.
fn process(pid: u32) -> Option<Process> {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).ok();
    read("comm").filter(|name| name.trim() == "evpnd")?;
    let status = read("status")?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
    let capabilities = u64::from_str_radix(field("CapEff:")?.trim(), 16).ok()?;
    let user = field("Uid:")?.split_whitespace().nth(1)?.parse().ok()?;
    let map = read("uid_map")?;
    let initial_user_namespace = map.split_whitespace().eq(EVERY_USER);
    Some(Process { capabilities, initial_user_namespace, user })
}

/// A configuration, and what became of the look for it.
pub(super) struct Configuration {
    pub(super) found: ConfigFound,
    pub(super) config: Option<Config>,
}

/// Reads the configuration: the one that is named, the daemon's, or the one in the usual place.
pub(super) fn configuration(named: Option<&Path>, asked: &Asked) -> Configuration {
    let first = asked.files.first().cloned();
    let path = match named {
        Some(path) => path.to_owned(),
        None => first.unwrap_or_else(|| PathBuf::from(USUAL_CONFIG)),
    };
    let sources = match named {
        None if !asked.files.is_empty() => {
            let read = |file: &PathBuf| local::read_file(file, file.display().to_string());
            asked.files.iter().map(read).collect()
        }
        _ => local::read(&path),
    };
    let without = |found| Configuration { found, config: None };
    match sources {
        Ok(sources) => match evpn_config::load(&sources) {
            Ok(loaded) => {
                let found = ConfigFound::Valid(path);
                Configuration { found, config: Some(loaded.config) }
            }
            Err(errors) => {
                let first = errors
                    .errors
                    .first()
                    .map(|error| format!("{}:{}: {}", error.at.file, error.at.line, error.message));
                let count = errors.errors.len();
                without(ConfigFound::Invalid(path, count, first.unwrap_or_default()))
            }
        },
        Err(Failure::Io(_, error)) if error.kind() == ErrorKind::NotFound => {
            without(ConfigFound::Missing(main_file(path)))
        }
        Err(Failure::Io(_, error)) => without(ConfigFound::Unreadable(path, error.to_string())),
        Err(_) => without(ConfigFound::NotLookedAt),
    }
}

/// What is missing of a configuration: in a folder that is there, its main file.
fn main_file(path: PathBuf) -> PathBuf {
    if path.is_dir() { path.join(local::MAIN_FILE) } else { path }
}

/// A folder from outside.
pub(super) fn folder(path: &Path) -> Folder {
    let owner = fs::metadata(path).ok().filter(fs::Metadata::is_dir).map(|found| found.uid());
    let room = nix::sys::statvfs::statvfs(path).ok();
    let free = room.map(|r| {
        // Their width differs from one architecture to the next.
        #[allow(clippy::useless_conversion, reason = "c_ulong is u32 on some machines")]
        u64::from(r.blocks_available()).saturating_mul(u64::from(r.fragment_size()))
    });
    Folder { path: path.to_owned(), owner, free }
}

/// The files of secrets that the configuration names.
pub(super) fn password_files(config: &Config) -> Vec<PasswordFile> {
    let file = |secret: SecretFile<'_>| {
        let outside = match fs::metadata(secret.path) {
            Ok(found) => {
                let mode = found.permissions().mode() & 0o7777;
                Some(Outside { mode, length: found.len() })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            // Its folder is closed to us: then it is to everybody else.
            Err(_) => return None,
        };
        Some(PasswordFile { path: secret.path.to_owned(), whose: secret.whose, outside })
    };
    config.secret_files().into_iter().filter_map(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_folder_that_is_there_the_file_is_missing_and_not_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let found = |path: &Path| configuration(Some(path), &Asked::default()).found;
        let file = folder.path().join("evpnd.toml");
        assert_eq!(found(folder.path()), ConfigFound::Missing(file.clone()));
        assert_eq!(found(&file), ConfigFound::Missing(file));
        let absent = folder.path().join("absent");
        assert_eq!(found(&absent), ConfigFound::Missing(absent));
    }
}
