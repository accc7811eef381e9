//! Benchmarks of evpnd, each beside a control in the same run: `evpn-bench remote-macs|reflector|idle`.
//!
//! They need root, or `unshare -Urnm`; every namespace that they make has no name and goes with
//! them. docs/benchmarks.md says what each figure means.
//!
//! **No figure is evpnd's own word: the kernel's notifications are counted by a socket of ours, and
//! memory, time and switches are read from /proc.**
//!
//! Exit status: 0 every bound was kept, 1 one was missed, 2 nothing could be measured.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock and waits")]

mod daemon;
mod idle;
mod monitor;
mod netns;
mod nut;
mod process;
mod reflector;
mod remote_macs;
mod report;
mod site;
mod speaker;

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// What can go wrong, in words: a benchmark only passes it on.
type Result<T> = std::result::Result<T, String>;

/// Benchmarks of evpnd.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Debug, Subcommand)]
enum Benchmark {
    /// From a BGP peer into the kernel: many remote MACs, against `bridge -batch`.
    RemoteMacs(remote_macs::Options),
    /// From one BGP client to another through a route reflector, against FRR.
    Reflector(reflector::Options),
    /// Memory and wake-ups with one VNI and two peers.
    Idle(idle::Options),
}

/// What every benchmark takes.
#[derive(Args, Debug)]
struct Common {
    /// The evpnd to measure; by default the one beside this program.
    #[arg(long, value_name = "PROGRAM")]
    evpnd: Option<PathBuf>,
    /// Print JSON.
    #[arg(short)]
    json: bool,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().benchmark {
        Benchmark::RemoteMacs(options) => remote_macs::run(&options),
        Benchmark::Reflector(options) => reflector::run(&options),
        Benchmark::Idle(options) => idle::run(&options),
    };
    match outcome {
        Ok(report::Verdict::Kept) => ExitCode::SUCCESS,
        Ok(report::Verdict::Missed) => ExitCode::from(1),
        Err(error) => {
            eprintln!("evpn-bench: {error}");
            ExitCode::from(2)
        }
    }
}
