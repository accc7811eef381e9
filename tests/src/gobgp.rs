//! GoBGP in a namespace: its daemon, and its own command to announce routes and to tell its table.
//!
//! **What GoBGP knows comes from its own `gobgp`.** It programs no kernel.

use crate::fabric::{Fabric, Leaf};
use crate::ns::Ns;
use crate::process::{Daemon, require};
use crate::wait::eventually;
use serde_json::Value;
use std::fs;
use std::time::Duration;

const START: Duration = Duration::from_secs(20);
/// How to install it.
const PACKAGE: &str = "gobgpd, or run ./test, which builds a newer one";

/// A running GoBGP.
#[derive(Debug)]
pub struct Gobgp {
    ns: Ns,
    /// The process.
    pub daemon: Daemon,
}

impl Gobgp {
    /// Starts it on a leaf in an AS, with neighbours (the number of a leaf, its AS) for EVPN, and
    /// `more` of its configuration. Tells which version it is.
    ///
    /// # Panics
    /// Without GoBGP, and where it does not answer.
    #[track_caller]
    pub fn start(
        fabric: &Fabric,
        leaf: &Leaf,
        asn: u32,
        neighbours: &[(u8, u32)],
        more: &str,
    ) -> Self {
        Self::start_with(fabric, leaf, asn, neighbours, &["l2vpn-evpn"], more)
    }

    /// As [`Gobgp::start`], with families in its own words.
    ///
    /// # Panics
    /// As [`Gobgp::start`].
    #[track_caller]
    pub fn start_with(
        fabric: &Fabric,
        leaf: &Leaf,
        asn: u32,
        neighbours: &[(u8, u32)],
        families: &[&str],
        more: &str,
    ) -> Self {
        for program in ["gobgpd", "gobgp"] {
            require(program, PACKAGE);
        }
        let name = format!("gobgp{}", leaf.number);
        let mut config =
            format!("[global.config]\nas = {asn}\nrouter-id = \"10.0.0.{}\"\n{more}", leaf.number);
        for (number, their_as) in neighbours {
            config += &format!(
                "[[neighbors]]\n\
                 [neighbors.config]\nneighbor-address = \"10.0.0.{number}\"\npeer-as = {their_as}\n\
                 [neighbors.timers.config]\nconnect-retry = 1\nidle-hold-time-after-reset = 1\n"
            );
            for family in families {
                config += &format!(
                    "[[neighbors.afi-safis]]\n\
                     [neighbors.afi-safis.config]\nafi-safi-name = \"{family}\"\n"
                );
            }
        }
        let file = fabric.path(&format!("{name}.toml"));
        fs::write(&file, config).unwrap_or_else(|e| panic!("{e}"));
        let mut command = leaf.ns.command("gobgpd");
        command.args(["--config-type", "toml", "--pprof-disable", "--config-file"]).arg(&file);
        let daemon = Daemon::spawn(&name, &mut command, &fabric.path(&format!("{name}.log")));
        let mut gobgp = Self { ns: leaf.ns.clone(), daemon };
        eventually(START, "gobgpd answers", || {
            gobgp.daemon.expect_alive();
            gobgp.try_run("global")
        });
        println!("{name}: {}", gobgp.run("--version").trim());
        gobgp
    }

    /// Runs `gobgp` with these words.
    ///
    /// # Errors
    /// What it said, where it fails.
    pub fn try_run(&self, words: &str) -> Result<String, String> {
        self.ns.try_sh(&format!("gobgp {words}"))
    }

    /// As [`Gobgp::try_run`], where failure is the test's.
    ///
    /// # Panics
    /// Where it fails.
    #[track_caller]
    pub fn run(&self, words: &str) -> String {
        self.try_run(words).unwrap_or_else(|e| panic!("{e}"))
    }

    /// Waits until its session with a neighbour is up.
    ///
    /// # Panics
    /// Where it does not come up.
    #[track_caller]
    pub fn wait_established(&self, neighbour: &str) {
        eventually(START, &format!("GoBGP's session with {neighbour} is up"), || {
            let text = self.try_run(&format!("neighbor {neighbour}"))?;
            let mut lines = text.lines().filter(|l| l.contains("BGP state"));
            let is_up = lines.any(|l| l.to_uppercase().contains("ESTABLISHED"));
            if is_up { Ok(()) } else { Err(text) }
        });
    }

    /// Announces an EVPN route, in the words of `gobgp global rib add`.
    ///
    /// # Panics
    /// Where it is refused.
    #[track_caller]
    pub fn announce(&self, route: &str) {
        self.run(&format!("global rib add -a evpn {route}"));
    }

    /// Withdraws an EVPN route.
    ///
    /// # Panics
    /// Where it is refused.
    #[track_caller]
    pub fn withdraw(&self, route: &str) {
        self.run(&format!("global rib del -a evpn {route}"));
    }

    /// Its EVPN table: a path each, best first for each route.
    ///
    /// # Panics
    /// Where it does not tell.
    #[track_caller]
    pub fn paths(&self) -> Vec<Value> {
        let text = self.run("global rib -a evpn -j");
        let table: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
        let rows = table.as_object().into_iter().flat_map(|routes| routes.values());
        rows.filter_map(Value::as_array).flatten().cloned().collect()
    }
}
