//! The configuration in force: read at the start, read again on request, shown with its origins.
//!
//! **A reload takes all of it or nothing**: what cannot be taken without a restart is refused as a
//! whole, and named.

use crate::backend::{ConfigControl, ConfigSource, ConfigValue, Pending};
use crate::clock::Clock;
use crate::dataplane_io;
use crate::disk::Boot;
use crate::engine_io::EngineHandle;
use crate::feeds;
use crate::logging::SetLevel;
use crate::peer_io::targets::Moved;
use crate::peer_io::{Targets, lock};
use crate::settings::{Resolved, resolve};
use evpn_config::{Change, Derived, Effect, Feed, Loaded, Source, diff, effective, load};
use evpn_engine::view::neighbors::Neighbor;
use evpn_engine::{ClearKind, Engine, Input, Now};
use evpn_proto::bgp::session::StopReason;
use evpn_proto::types::Time;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use thiserror::Error;
use tokio::task::JoinHandle;

/// The folder beside the main file whose files are read after it, in lexical order.
const FRAGMENTS: &str = "conf.d";

/// Why a configuration is not taken.
#[derive(Debug, Error)]
pub(crate) enum ConfigError {
    /// It cannot be read.
    #[error("cannot read {path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It has errors.
    #[error("{}", .0.report())]
    Invalid(evpn_config::Errors),
    /// Something that it leaves open cannot be derived, or a file that it names cannot be used.
    #[error("{0}")]
    Unresolved(String),
    /// It can be taken by a restart only.
    #[error("a restart is needed for: {}", .0.join("; "))]
    NeedsRestart(Vec<String>),
}

impl ConfigError {
    /// One problem a line.
    pub(crate) fn lines(&self) -> Vec<String> {
        match self {
            Self::Invalid(errors) => errors.lines().lines().map(str::to_owned).collect(),
            Self::NeedsRestart(changes) => changes.clone(),
            other => vec![other.to_string()],
        }
    }
}

/// Reads the main file and its fragments.
pub(crate) fn read(path: &Path) -> Result<Read, ConfigError> {
    let mut sources = vec![source(path)?];
    let fragments = path.with_file_name(FRAGMENTS);
    for fragment in fragment_files(&fragments)? {
        sources.push(source(&fragment)?);
    }
    let loaded = load(&sources).map_err(ConfigError::Invalid)?;
    Ok(Read { loaded, files: sources.into_iter().map(|source| source.name).collect() })
}

/// A configuration and the files that it came from.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) loaded: Loaded,
    pub(crate) files: Vec<String>,
}

fn source(path: &Path) -> Result<Source, ConfigError> {
    let read = fs::read_to_string(path);
    let text = read.map_err(|error| ConfigError::Read { path: path.to_owned(), error })?;
    Ok(Source::new(path.display().to_string(), text))
}

fn fragment_files(folder: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let failed = |error| ConfigError::Read { path: folder.to_owned(), error };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|e| e == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

struct InForce {
    loaded: Loaded,
    files: Vec<String>,
    since: Time,
    derived: Vec<Derived>,
    feed: Option<JoinHandle<()>>,
}

/// The configuration in force and what depends on it.
pub(crate) struct Control {
    path: PathBuf,
    clock: Clock,
    engine: EngineHandle,
    dataplane: dataplane_io::Handle,
    targets: Targets,
    boot: Boot,
    set_log_level: SetLevel,
    in_force: Mutex<InForce>,
    /// One reload at a time.
    reloading: tokio::sync::Mutex<()>,
}

/// What a [`Control`] is made of.
pub(crate) struct Parts {
    pub(crate) path: PathBuf,
    pub(crate) clock: Clock,
    pub(crate) engine: EngineHandle,
    pub(crate) dataplane: dataplane_io::Handle,
    pub(crate) targets: Targets,
    pub(crate) boot: Boot,
    pub(crate) set_log_level: SetLevel,
    pub(crate) read: Read,
    pub(crate) derived: Vec<Derived>,
}

impl Control {
    /// Takes the configuration that evpnd starts with, and starts its feed.
    pub(crate) fn new(parts: Parts) -> Result<Self, ConfigError> {
        let Parts { path, clock, engine, dataplane, targets, boot, set_log_level, .. } = parts;
        let Read { loaded, files } = parts.read;
        let feed = feeds::start(&loaded.config.energy.feed, engine.clone());
        let feed = feed.map_err(ConfigError::Unresolved)?;
        let since = clock.time();
        let in_force = Mutex::new(InForce { loaded, files, since, derived: parts.derived, feed });
        let reloading = tokio::sync::Mutex::new(());
        Ok(Self {
            path,
            clock,
            engine,
            dataplane,
            targets,
            boot,
            set_log_level,
            in_force,
            reloading,
        })
    }

    /// Reads the files again and takes what has changed; tells what that is, here and in the log.
    pub(crate) async fn take_files(&self) -> Result<Vec<Change>, ConfigError> {
        let taken = self.try_to_take_files().await;
        match &taken {
            Ok(changes) if changes.is_empty() => tracing::info!("reloaded: nothing has changed"),
            Ok(changes) => changes.iter().for_each(|change| tracing::info!("reloaded: {change}")),
            Err(error) => {
                tracing::error!("not reloaded, the configuration in force stays:");
                error.lines().iter().for_each(|line| tracing::error!("{line}"));
            }
        }
        taken
    }

    async fn try_to_take_files(&self) -> Result<Vec<Change>, ConfigError> {
        let _one = self.reloading.lock().await;
        let read = read(&self.path)?;
        let loaded = &read.loaded;
        let changes = diff(&lock(&self.in_force).loaded.config, &loaded.config);
        let of_restart = changes.iter().filter(|c| c.effect == Effect::Restart);
        let of_restart: Vec<String> = of_restart.map(ToString::to_string).collect();
        if !of_restart.is_empty() {
            return Err(ConfigError::NeedsRestart(of_restart));
        }
        let links = self.engine.ask(|engine, _| engine.links().to_vec()).await;
        let links = links.map_err(|e| ConfigError::Unresolved(e.to_string()))?;
        let resolved = resolve(&loaded.config, &links, self.boot);
        let resolved = resolved.map_err(ConfigError::Unresolved)?;
        self.take(read, resolved).await?;
        Ok(changes)
    }

    async fn take(&self, read: Read, resolved: Resolved) -> Result<(), ConfigError> {
        let Resolved { settings, targets, derived } = resolved;
        let Read { loaded, files } = read;
        let energy = &loaded.config.energy;
        let same_feed = lock(&self.in_force).loaded.config.energy.feed == energy.feed;
        let new_feed = if same_feed {
            None
        } else {
            let feed = feeds::start(&energy.feed, self.engine.clone());
            Some(feed.map_err(ConfigError::Unresolved)?)
        };
        // From here on nothing can fail.
        let level = loaded.config.log.level.as_str();
        if let Err(error) = (self.set_log_level)(level) {
            tracing::warn!("the log level stays as it was: {error}");
        }
        self.dataplane.audit_interval(loaded.config.evpn.audit_interval);
        let mut moved = Moved::default();
        self.targets.send_modify(|known| moved = known.replace(targets));
        let taken = self.engine.ask(move |engine, now| {
            engine.handle(now, Input::Reconfigure(Box::new(settings)));
            reset(engine, now, &moved);
        });
        taken.await.map_err(|e| ConfigError::Unresolved(e.to_string()))?;
        let mut in_force = lock(&self.in_force);
        in_force.loaded = loaded;
        in_force.files = files;
        in_force.since = self.clock.time();
        in_force.derived = derived;
        if let Some(feed) = new_feed
            && let Some(former) = std::mem::replace(&mut in_force.feed, feed)
        {
            former.abort();
        }
        Ok(())
    }
}

impl ConfigControl for Control {
    fn effective(&self) -> ConfigSource {
        let in_force = lock(&self.in_force);
        let lines = effective(&in_force.loaded, &in_force.derived);
        let value = |line: evpn_config::EffectiveLine| ConfigValue {
            key: line.key,
            value: line.value,
            origin: line.origin.to_string(),
        };
        ConfigSource {
            files: in_force.files.clone(),
            loaded_at: in_force.since,
            values: lines.into_iter().map(value).collect(),
        }
    }

    fn feed(&self) -> String {
        let kind = match lock(&self.in_force).loaded.config.energy.feed {
            Feed::Manual => "manual",
            Feed::Nut { .. } => "nut",
            Feed::File { .. } => "file",
        };
        kind.to_owned()
    }

    fn reload(&self) -> Pending<'_, Result<Vec<(String, String)>, Vec<String>>> {
        Box::pin(async move {
            let told = |change: Change| (change.to_string(), change.effect.as_str().to_owned());
            let taken = self.take_files().await;
            taken.map(|changes| changes.into_iter().map(told).collect()).map_err(|e| e.lines())
        })
    }

    fn set_log_level(&self, level: &str) -> Result<(), String> {
        (self.set_log_level)(level)
    }
}

/// A connection keeps the ends, the distance and the key that it was made with: who is reached
/// otherwise from now on begins anew.
fn reset(engine: &mut Engine, now: Now, moved: &Moved) {
    let is_moved = |n: &Neighbor<'_>| match n.dynamic {
        Some(group) => moved.groups.iter().any(|g| g.as_ref() == group),
        None => moved.neighbors.contains(n.id()),
    };
    let neighbors = engine.view(now).neighbors();
    let peers: Vec<_> = neighbors.iter().filter(|n| is_moved(n)).map(|n| n.index).collect();
    for peer in peers {
        let kind = ClearKind::Hard(StopReason::ConfigChanged);
        engine.handle(now, Input::Clear { peer, kind });
    }
}
