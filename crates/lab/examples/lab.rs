//! The smallest user of this crate: `lab up|down FILE`, `lab exec FILE NODE COMMAND…`.
//! `evpnctl lab` does the same with help, colours and a progress bar.

use std::process::ExitCode;

use evpn_lab::{Down, Lab, LabError, Topology, UpOptions};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut show = |node: &str, what: &str| eprintln!("{node:12} {what}");
    let result = match args.as_slice() {
        ["up", file] => Topology::load(file)
            .and_then(|topology| Lab::up(&topology, &UpOptions::default(), &mut show))
            .map(|_| ExitCode::SUCCESS),
        ["down", file] => Lab::down_by(file, &mut show)
            .map(|down| if down == Down::Removed { ExitCode::SUCCESS } else { ExitCode::from(1) }),
        ["exec", file, node, command @ ..] => exec(file, node, command),
        _ => {
            eprintln!("usage: lab up|down FILE, lab exec FILE NODE COMMAND...");
            return ExitCode::from(2);
        }
    };
    result.unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::from(2)
    })
}

fn exec(file: &str, node: &str, command: &[&str]) -> Result<ExitCode, LabError> {
    let status = Lab::open(file)?.exec(node, command)?;
    let code = status.code().and_then(|c| u8::try_from(c).ok());
    Ok(ExitCode::from(code.unwrap_or(2)))
}
