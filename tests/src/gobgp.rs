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

/// A configuration of gobgpd.
#[derive(Clone, Copy, Debug)]
pub struct GobgpConfig<'a> {
    /// Its AS number.
    pub own_as: u32,
    /// Its neighbours: the last octet of their addresses, and their AS numbers.
    pub neighbours: &'a [(u8, u32)],
    /// The families of every neighbour, in its own words.
    pub families: &'a [&'a str],
    /// Tables of every neighbour, as `[neighbors.route-reflector.config]`.
    pub all: &'a str,
    /// Tables of every family of every neighbour, as `[neighbors.afi-safis.add-paths.config]`.
    pub every_family: &'a str,
    /// What stands before its neighbours.
    pub more: &'a str,
}

impl Default for GobgpConfig<'_> {
    /// Of EVPN, with nobody.
    fn default() -> Self {
        let (own_as, neighbours, families) = (0, &[], &["l2vpn-evpn"]);
        Self { own_as, neighbours, families, all: "", every_family: "", more: "" }
    }
}

impl GobgpConfig<'_> {
    /// The text, for a leaf of that number.
    fn text(&self, number: u8) -> String {
        let mut text = format!(
            "[global.config]\nas = {}\nrouter-id = \"10.0.0.{number}\"\n{}",
            self.own_as, self.more
        );
        for (number, their_as) in self.neighbours {
            text += &format!(
                "[[neighbors]]\n\
                 [neighbors.config]\nneighbor-address = \"10.0.0.{number}\"\npeer-as = {their_as}\n\
                 [neighbors.timers.config]\nconnect-retry = 1\nidle-hold-time-after-reset = 1\n{}",
                self.all
            );
            for family in self.families {
                text += &format!(
                    "[[neighbors.afi-safis]]\n\
                     [neighbors.afi-safis.config]\nafi-safi-name = \"{family}\"\n{}",
                    self.every_family
                );
            }
        }
        text
    }
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
        let config = GobgpConfig { own_as: asn, neighbours, more, ..GobgpConfig::default() };
        Self::start_with(fabric, leaf, &config)
    }

    /// As [`Gobgp::start`], with all of a configuration.
    ///
    /// # Panics
    /// As [`Gobgp::start`].
    #[track_caller]
    pub fn start_with(fabric: &Fabric, leaf: &Leaf, config: &GobgpConfig<'_>) -> Self {
        for program in ["gobgpd", "gobgp"] {
            require(program, PACKAGE);
        }
        let name = format!("gobgp{}", leaf.number);
        let file = fabric.path(&format!("{name}.toml"));
        fs::write(&file, config.text(leaf.number)).unwrap_or_else(|e| panic!("{e}"));
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
