//! Start, life and end of the daemon.
//!
//! **Nothing is written to the kernel and nobody is dialled before the kernel has been read and the
//! configuration resolved against it.**

use crate::api;
use crate::backend::AppBackend;
use crate::clock::Clock;
use crate::control::{self, Control, Read};
use crate::dataplane_io;
use crate::disk::{Boot, Disk};
use crate::engine_io::{self, EngineHandle, ToEngine};
use crate::logging;
use crate::peer_io::{Accepted, Listener, ListenerState, Targets, ToPeers};
use crate::router_adverts::RouterAdverts;
use crate::settings::{Resolved, resolve};
use crate::systemd;
use crossbeam_channel::Receiver;
use evpn_config::{Config, DataplaneMode};
use evpn_dataplane::facts::{KernelEvent, Link};
use evpn_engine::{Engine, Start};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How long the kernel's first dump may take before we say that we wait for it.
const DUMP_PATIENCE: Duration = Duration::from_secs(30);

/// Why evpnd cannot run.
#[derive(Debug, Error)]
pub(crate) enum RunError {
    /// The log.
    #[error("{0}")]
    Log(String),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] control::ConfigError),
    /// The state directory.
    #[error(transparent)]
    Disk(#[from] crate::disk::DiskError),
    /// The kernel.
    #[error(transparent)]
    Dataplane(#[from] dataplane_io::SpawnError),
    /// The kernel did not answer.
    #[error("the kernel's tables could not be read within {0:?}: see the log above")]
    NoDump(Duration),
    /// The API's socket.
    #[error("{0}")]
    Api(String),
    /// Threads, signals, the runtime.
    #[error("{0}")]
    System(#[from] std::io::Error),
}

/// Runs until SIGTERM or SIGINT.
pub(crate) fn run(path: PathBuf, read: Read) -> Result<(), RunError> {
    let loaded = &read.loaded;
    let set_log_level = logging::start(loaded.config.log.level.as_str()).map_err(RunError::Log)?;
    let clock = Clock::start();
    let config = &loaded.config;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), config = %path.display(), "starting");
    let (disk, mut memory, boot) = Disk::open(&config.state_dir)?;
    memory.start = if boot == Boot::Same { Start::Restart } else { Start::Cold };
    let (engine, inbox) = EngineHandle::new();
    let dataplane = dataplane_io::spawn(dataplane_settings(config), engine.clone())?;
    let (links, backlog) = first_dump(&inbox)?;
    let Resolved { settings, targets, derived } =
        resolve(config, &links, boot).map_err(control::ConfigError::Unresolved)?;
    for derived in &derived {
        tracing::info!("{} = {} (derived from {})", derived.key, derived.value, derived.from);
    }
    let seed = u64::from(u32::from(settings.router_id)) ^ u64::from(std::process::id());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (accepted, targets): (Accepted, _) =
        (Arc::default(), Arc::new(watch::Sender::new(targets)));
    let peers = ToPeers::new(
        runtime.handle().clone(),
        engine.clone(),
        clock,
        Arc::clone(&accepted),
        Arc::clone(&targets),
    );
    let (router_ports, wanted) = watch::channel(Vec::new());
    let adverts = RouterAdverts { engine: engine.clone(), clock, seed, wanted };
    runtime.spawn(adverts.run());
    let parts = engine_io::Parts {
        engine: Engine::new(settings, memory, seed, clock.now()),
        clock,
        backlog,
        inbox,
        peers,
        dataplane: dataplane.clone(),
        router_ports,
        disk,
    };
    let thread = engine_io::spawn(parts)?;
    let daemon = Daemon { engine: engine.clone(), dataplane: dataplane.clone(), accepted };
    let parts = control::Parts {
        path,
        clock,
        engine,
        dataplane: dataplane.clone(),
        targets,
        boot,
        set_log_level,
        read,
        derived,
    };
    let served = runtime.block_on(daemon.serve(parts));
    // Whatever was the reason to end: sessions close without a word, forwarding stays.
    daemon.engine.stop();
    if thread.join().is_err() {
        tracing::error!("the engine thread has panicked");
    }
    runtime.block_on(async { tokio::time::sleep(crate::peer_io::PARTING).await });
    dataplane.stop();
    served
}

fn dataplane_settings(config: &Config) -> dataplane_io::Settings {
    dataplane_io::Settings {
        protocol: config.dataplane.protocol,
        receive_buffer: config.dataplane.receive_buffer,
        audit_interval: config.evpn.audit_interval,
        write: match config.dataplane.mode {
            DataplaneMode::Program => dataplane_io::Writing::Program,
            DataplaneMode::DryRun => dataplane_io::Writing::DryRun,
        },
    }
}

/// Waits until the kernel has been read once. What it said is kept for the engine, in order.
fn first_dump(inbox: &Receiver<ToEngine>) -> Result<(Vec<Link>, Vec<ToEngine>), RunError> {
    let (mut backlog, mut links) = (Vec::new(), Vec::new());
    loop {
        let message =
            inbox.recv_timeout(DUMP_PATIENCE).map_err(|_| RunError::NoDump(DUMP_PATIENCE))?;
        let mut adopted = false;
        if let ToEngine::Kernel { events, .. } = &message {
            for event in events {
                match event {
                    KernelEvent::Links(all) => links.clone_from(all),
                    KernelEvent::Adopted => adopted = true,
                    _ => {}
                }
            }
        }
        backlog.push(message);
        if adopted {
            return Ok((links, backlog));
        }
    }
}

/// What lives on the runtime.
struct Daemon {
    engine: EngineHandle,
    dataplane: dataplane_io::Handle,
    accepted: Accepted,
}

impl Daemon {
    async fn serve(&self, parts: control::Parts) -> Result<(), RunError> {
        let config = parts.read.loaded.config.clone();
        let targets = Arc::clone(&parts.targets);
        let control = Arc::new(Control::new(parts)?);
        let listeners = self.listen(&config, targets);
        let backend = AppBackend::new(
            self.engine.clone(),
            self.dataplane.clone(),
            Arc::clone(&control),
            listeners,
        );
        let listener = api_listener(&config)?;
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = tokio::spawn(api::serve(listener, Arc::new(backend), async {
            // Both a word and the loss of the sender end it.
            drop(stopped.await);
        }));
        systemd::ready();
        tracing::info!(socket = %config.api.socket.display(), "ready");
        tokio::spawn(systemd::watchdog(self.engine.clone()));
        let outcome = self.until_told(&control).await;
        systemd::stopping();
        drop(stop);
        // The server ends when the requests in progress are answered, within their own time limit.
        drop(serving.await);
        outcome
    }

    fn listen(&self, config: &Config, targets: Targets) -> ListenerState {
        let state = ListenerState::default();
        let listener = Listener {
            engine: self.engine.clone(),
            accepted: Arc::clone(&self.accepted),
            serials: Arc::new(AtomicU64::new(0)),
            state: Arc::clone(&state),
            targets,
        };
        for address in &config.router.listen {
            let address = SocketAddr::new(*address, config.router.port);
            tokio::spawn(listener.clone().run(address));
        }
        state
    }

    /// Returns when the daemon is to end; reloads in between.
    async fn until_told(&self, control: &Control) -> Result<(), RunError> {
        let mut hangup = signal(SignalKind::hangup())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        loop {
            tokio::select! {
                _ = hangup.recv() => reload(control).await,
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            }
        }
        tracing::info!("ending; forwarding stays in place");
        Ok(())
    }
}

/// The API's socket. A group that cannot be given leaves it to our own, which lets in fewer, so it
/// is no reason not to start.
fn api_listener(config: &Config) -> Result<api::Listener, RunError> {
    let mut options = api::SocketOptions {
        path: config.api.socket.clone(),
        mode: config.api.mode,
        group: Some(config.api.group.clone()),
    };
    let listener = api::listen(&options).or_else(|error| {
        options.group = None;
        let listener = api::listen(&options)?;
        tracing::warn!("the API's socket is for evpnd's own group only: {error}");
        Ok::<_, api::SocketError>(listener)
    });
    listener.map_err(|e| RunError::Api(e.to_string()))
}

async fn reload(control: &Control) {
    systemd::reloading();
    // What came of it is in the log.
    drop(control.take_files().await);
    systemd::ready();
}
