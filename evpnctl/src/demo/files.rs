//! The demo's files: the topology and its configurations, written to a directory of the user's own.
//!
//! **What is sped up is read from the files that speed it up**, so that the demo cannot say
//! anything else than what is in force.

use super::network::Trouble;
use evpn_config::{Origin, Source};
use evpn_lab::Bind;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A file of the topology's directory, as it is in the source tree.
macro_rules! topology_file {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../topologies/three-solar-sites/", $name)))
    };
}

const TOPOLOGY: (&str, &str) = topology_file!("three-solar-sites.clab.yml");
const SITE_A: (&str, &str) = topology_file!("site-a/evpnd.toml");
const CONFIGURATIONS: [(&str, &str); 4] = [
    SITE_A,
    topology_file!("site-b/evpnd.toml"),
    topology_file!("site-c/evpnd.toml"),
    topology_file!("spine/evpnd.toml"),
];
const SPED_UP: (&str, &str) = topology_file!("demo/sped-up.toml");
const BATTERY: (&str, &str) = topology_file!("demo/battery.toml");
const WITHOUT_POLICY: (&str, &str) = topology_file!("demo/without-policy.toml");
/// The nodes with a daemon, and the one whose battery is emptied.
const DAEMONS: [&str; 4] = ["spine", "site-a", "site-b", "site-c"];
pub(crate) const DRAINED: &str = "site-a";
/// Fragments, in the order in which they are read.
const SPED_UP_AS: &str = "50-sped-up.toml";
const BATTERY_AS: &str = "60-battery.toml";
const FEED_AS: &str = "70-feed.toml";
const WITHOUT_POLICY_AS: &str = "80-without-policy.toml";

/// The directory.
#[derive(Debug)]
pub(crate) struct Files {
    directory: PathBuf,
}

/// A value that the demo does not take from production.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct SpedUp {
    /// The key's last name, as `dwell`.
    pub(crate) key: String,
    /// Its value here.
    pub(crate) value: String,
    /// Its default.
    pub(crate) default: String,
}

fn directory() -> PathBuf {
    // Not /run: every node has a /run of its own.
    std::env::temp_dir().join(format!("evpnd-demo-{}", nix::unistd::geteuid()))
}

/// Removes the directory of a demo that is over.
///
/// # Errors
/// If it is not ours, or cannot be removed.
pub(crate) fn remove() -> Result<(), Trouble> {
    let directory = directory();
    let io = |error: io::Error| Trouble::new(format!("{}: {error}", directory.display()));
    match fs::symlink_metadata(&directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io(error)),
        Ok(found) if found.is_dir() && found.uid() == nix::unistd::geteuid().as_raw() => {
            fs::remove_dir_all(&directory).map_err(io)
        }
        Ok(_) => Err(Trouble::new(format!(
            "{} is not a directory of yours; remove it, or set TMPDIR",
            directory.display()
        ))),
    }
}

impl Files {
    /// Writes them anew.
    ///
    /// # Errors
    /// If they cannot be written.
    pub(crate) fn write() -> Result<Self, Trouble> {
        remove()?;
        let files = Self { directory: directory() };
        let io = |error| Trouble::new(format!("{}: {error}", files.directory.display()));
        // Others may neither read nor write: the battery's server obeys what stands there.
        fs::DirBuilder::new().mode(0o700).create(&files.directory).map_err(io)?;
        for (name, text) in CONFIGURATIONS.iter().chain([&TOPOLOGY]) {
            files.put(Path::new(name), text)?;
        }
        for node in DAEMONS {
            files.put(&fragment(node, SPED_UP_AS), SPED_UP.1)?;
        }
        files.put(&fragment(DRAINED, BATTERY_AS), BATTERY.1)?;
        Ok(files)
    }

    /// Writes one file, whole or not at all, with the directories above it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn put(&self, name: &Path, text: &str) -> Result<PathBuf, Trouble> {
        let path = self.directory.join(name);
        let io = |error| Trouble::new(format!("{}: {error}", path.display()));
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(io)?;
        }
        let half = path.with_extension("new");
        fs::write(&half, text).and_then(|()| fs::rename(&half, &path)).map_err(io)?;
        Ok(path)
    }

    /// Has the drained site's evpnd act on its battery or not, from its next reload on.
    ///
    /// # Errors
    /// If that cannot be written.
    pub(crate) fn set_policy(&self, acts: bool) -> Result<(), Trouble> {
        let name = fragment(DRAINED, WITHOUT_POLICY_AS);
        if !acts {
            return self.put(&name, WITHOUT_POLICY.1).map(drop);
        }
        let path = self.directory.join(name);
        fs::remove_file(&path).map_err(|e| Trouble::new(format!("{}: {e}", path.display())))
    }

    /// Has the drained site's evpnd read its battery from a file instead.
    ///
    /// # Errors
    /// If that cannot be written.
    pub(crate) fn feed_from(&self, file: &Path) -> Result<(), Trouble> {
        let feed = format!(
            "[energy.feed]\ntype = \"file\"\npath = \"{}\"\ninterval = \"250ms\"\n",
            file.display()
        );
        self.put(&fragment(DRAINED, FEED_AS), &feed).map(drop)
    }

    pub(crate) fn topology(&self) -> PathBuf {
        self.directory.join(TOPOLOGY.0)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The log of a process.
    pub(crate) fn log(&self, what: &str) -> PathBuf {
        self.directory.join(format!("{}.log", what.replace(' ', "-")))
    }

    /// What a daemon's node sees as the fragments of its configuration.
    pub(crate) fn fragments_bind(&self, node: &str) -> Option<Bind> {
        let source = fragments(node);
        DAEMONS.contains(&node).then(|| Bind {
            source: self.directory.join(source),
            target: PathBuf::from("/etc/evpnd/conf.d"),
            read_only: true,
        })
    }
}

fn fragments(node: &str) -> PathBuf {
    Path::new(node).join("conf.d")
}

fn fragment(node: &str, name: &str) -> PathBuf {
    fragments(node).join(name)
}

/// What is sped up, read as evpnd reads it.
pub(crate) fn sped_up() -> Vec<SpedUp> {
    let fragments = [SPED_UP, BATTERY];
    let sources: Vec<Source> =
        [SITE_A].iter().chain(&fragments).map(|(name, text)| Source::new(*name, *text)).collect();
    let Ok(loaded) = evpn_config::load(&sources) else { return Vec::new() };
    let defaults = evpn_config::schema_keys();
    let ours = |origin: &Origin| match origin {
        Origin::File { file, via: None, .. } => fragments.iter().any(|(name, _)| name == file),
        _ => false,
    };
    let of = |line: evpn_config::EffectiveLine| {
        let default = defaults.iter().find(|key| key.path == line.key)?;
        Some(SpedUp {
            key: line.key.rsplit('.').next()?.to_owned(),
            value: plain(&line.value),
            default: plain(&default.default),
        })
    };
    let lines = evpn_config::effective(&loaded, &[]);
    lines.into_iter().filter(|line| ours(&line.origin)).filter_map(of).collect()
}

/// A value of TOML as people write it: `"10m"` is `10 min`.
fn plain(value: &str) -> String {
    let value = value.trim_matches(['"', '\'']);
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    match value.get(digits.len()..) {
        Some("") | None => value.to_owned(),
        Some("m") => format!("{digits} min"),
        Some(unit) => format!("{digits} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sped_up_is_told_with_its_default() {
        let all = sped_up();
        let dwell = all.iter().find(|s| s.key == "dwell").unwrap();
        assert_eq!((dwell.value.as_str(), dwell.default.as_str()), ("2 s", "10 min"));
        let keys: Vec<&str> = all.iter().map(|s| s.key.as_str()).collect();
        for key in ["drain-time", "confirm", "interval", "connect-retry", "max-change-per-minute"] {
            assert!(keys.contains(&key), "{key}: {keys:?}");
        }
        assert!(all.iter().all(|s| s.value != s.default), "{all:?}");
    }

    #[test]
    fn every_configuration_is_valid_with_and_without_what_the_demo_adds() {
        for (name, text) in CONFIGURATIONS {
            let mut sources = vec![Source::new(name, text)];
            assert!(evpn_config::load(&sources).is_ok(), "{name}");
            sources.push(Source::new(SPED_UP.0, SPED_UP.1));
            assert!(evpn_config::load(&sources).is_ok(), "{name}");
        }
        let site_a = [SITE_A, SPED_UP, BATTERY, WITHOUT_POLICY];
        let sources = site_a.map(|(name, text)| Source::new(name, text));
        assert!(evpn_config::load(&sources).is_ok());
    }
}
