//! evpnd: BGP EVPN for Linux leaf switches that live on a battery.
//!
//! ```text
//!   main thread (tokio)                     engine thread            dataplane thread
//!   peers: listeners, readers, writers ──►                   ──►
//!   feeds, API, signals, watchdog      ──►   engine_io       ◄──     dataplane_io ◄──► kernel
//!   router advertisements              ──►
//! ```
//!
//! Three threads: one waits for sockets, one decides, one speaks with the kernel. Queues between
//! them have bounds with names, in [`engine_io`], [`peer_io`] and [`dataplane_io`].
//!
//! **This crate holds no rule of routing: it moves octets, facts and time.**

mod api;
mod backend;
mod clock;
mod control;
mod dataplane_io;
mod disk;
mod engine_io;
mod feeds;
mod logging;
mod peer_io;
mod router_adverts;
mod run;
mod secret;
mod settings;
mod systemd;
mod timer;

use clap::Parser;
use evpn_config::Config;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// BGP EVPN control plane for Linux leaf switches that live on a battery.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// The configuration; files of conf.d beside it are read after it.
    #[arg(short, long, default_value = "/etc/evpnd/evpnd.toml", value_name = "FILE")]
    config: PathBuf,
    /// Read the configuration and the files that it names for secrets, say what is wrong with them,
    /// and end.
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let read = match control::read(&arguments.config) {
        Ok(read) => read,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    if arguments.check {
        return check(&arguments.config, &read.loaded.config);
    }
    match run::run(arguments.config, read) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            eprintln!("evpnd: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether a configuration without errors can be taken: its secrets are refused at the start too.
fn check(path: &Path, config: &Config) -> ExitCode {
    let problems = secret::problems(config);
    for problem in &problems {
        eprintln!("{problem}");
    }
    if !problems.is_empty() {
        return ExitCode::FAILURE;
    }
    println!("{}: valid", path.display());
    ExitCode::SUCCESS
}
