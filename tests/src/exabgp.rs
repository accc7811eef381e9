//! ExaBGP in a namespace, as a receiver: it decodes what it is told and programs nothing.
//!
//! **What ExaBGP decoded comes from its own JSON, line by line, as it came.**

use crate::fabric::{Fabric, Leaf};
use crate::process::{Daemon, require};
use crate::wait::eventually;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

const START: Duration = Duration::from_secs(20);

/// A running ExaBGP.
#[derive(Debug)]
pub struct Exabgp {
    told: PathBuf,
    /// The process.
    pub daemon: Daemon,
}

impl Exabgp {
    /// Starts it on a leaf in an AS, with one neighbour (the number of a leaf, its AS) for EVPN.
    ///
    /// # Panics
    /// Without ExaBGP, and where it does not start.
    #[track_caller]
    pub fn start(fabric: &Fabric, leaf: &Leaf, asn: u32, neighbour: (u8, u32)) -> Self {
        require("exabgp", "exabgp");
        let (number, their_as) = neighbour;
        let own = leaf.number;
        let told = fabric.path(&format!("exabgp{own}.json"));
        // The shell stays and holds its output: its end would be the process's to ExaBGP.
        let config = format!(
            "process told {{
    run /bin/sh -c \"cat >>{}; true\";
    encoder json;
}}
neighbor 10.0.0.{number} {{
    router-id 10.0.0.{own};
    local-address 10.0.0.{own};
    local-as {asn};
    peer-as {their_as};
    family {{ l2vpn evpn; }}
    api {{ processes [ told ]; neighbor-changes; receive {{ parsed; update; notification; }} }}
}}
",
            told.display()
        );
        let file = fabric.path(&format!("exabgp{own}.conf"));
        fs::write(&file, config).unwrap_or_else(|e| panic!("{e}"));
        let mut command = leaf.ns.command("exabgp");
        command.arg(&file);
        for (key, value) in [
            ("daemon.user", "root"),
            ("api.cli", "false"),
            ("api.ack", "false"),
            ("log.destination", "stdout"),
        ] {
            command.env(format!("exabgp.{key}"), value);
        }
        let mut daemon =
            Daemon::spawn("exabgp", &mut command, &fabric.path(&format!("exabgp{own}.log")));
        eventually(START, "exabgp has started its process", || {
            daemon.expect_alive();
            if told.exists() { Ok(()) } else { Err(daemon.log()) }
        });
        Self { told, daemon }
    }

    /// What it has told of its neighbour so far: the object `neighbor` of each line, in order.
    ///
    /// # Panics
    /// Where a line is no JSON.
    #[track_caller]
    pub fn told(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.told).unwrap_or_default();
        // The last line may still be on its way.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let line = |line: &str| -> Value {
            serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))
        };
        whole.lines().map(line).map(|v| v["neighbor"].clone()).filter(|v| !v.is_null()).collect()
    }
}
