//! BIRD in a namespace, for the underlay.
//!
//! **What BIRD does is seen in the kernel's routes**, which carry its name.

use crate::fabric::{Fabric, Leaf};
use crate::process::{Daemon, require};
use std::fs;

/// A running BIRD.
#[derive(Debug)]
pub struct Bird {
    /// The process.
    pub daemon: Daemon,
}

impl Bird {
    /// Starts it on a leaf, where it tells its neighbours on `up0` by OSPF of the addresses of the
    /// loopback device, and puts what it hears into the kernel.
    ///
    /// # Panics
    /// Without BIRD, and where its files cannot be written.
    #[track_caller]
    pub fn start(fabric: &Fabric, leaf: &Leaf) -> Self {
        let ospf = "protocol kernel { ipv4 { export all; }; }
protocol ospf v2 {
    ipv4 { import all; export none; };
    area 0 {
        interface \"up0\" { type ptp; hello 1; dead count 4; };
        interface \"lo\" { stub; };
    };
}
";
        Self::start_with(fabric, leaf, ospf)
    }

    /// Starts it with protocols of the test's own.
    ///
    /// # Panics
    /// As [`Bird::start`].
    #[track_caller]
    pub fn start_with(fabric: &Fabric, leaf: &Leaf, protocols: &str) -> Self {
        require("bird", "bird2");
        let number = leaf.number;
        let config = format!(
            "router id 10.0.0.{number};\nlog stderr all;\nprotocol device {{ }}\n{protocols}"
        );
        let path = |end: &str| fabric.path(&format!("bird{number}.{end}"));
        fs::write(path("conf"), config).unwrap_or_else(|e| panic!("{e}"));
        let mut command = leaf.ns.command("bird");
        command.args(["-f", "-c"]).arg(path("conf")).arg("-s").arg(path("ctl"));
        Self { daemon: Daemon::spawn(&format!("bird{number}"), &mut command, &path("log")) }
    }
}
