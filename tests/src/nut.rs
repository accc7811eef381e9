//! A real upsd whose UPS is a file.
//!
//! **A test sets the battery by writing the file, and asks `upsc` what a client is told.**

use crate::fabric::Fabric;
use crate::ns::Ns;
use crate::process::{Daemon, require};
use crate::wait::eventually;
use nix::sys::signal::Signal;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

const START: Duration = Duration::from_secs(20);
/// How often the driver reads the file, in seconds: the least it takes.
const POLL_SECONDS: u32 = 1;

/// A running upsd with its driver.
#[derive(Debug)]
pub struct Nut {
    ns: Ns,
    directory: PathBuf,
    driver: Daemon,
    /// The server, which a test may kill.
    pub upsd: Daemon,
}

impl Nut {
    /// Starts driver and server of the UPS `site` in a namespace, on its loopback.
    ///
    /// # Panics
    /// Without NUT, and where it does not come up.
    #[track_caller]
    pub fn start(fabric: &Fabric, ns: &Ns, charge: u8, status: &str) -> Self {
        for program in ["/lib/nut/upsd", "/lib/nut/dummy-ups"] {
            require(program, "nut-server");
        }
        require("upsc", "nut-client");
        let directory = fabric.path("nut");
        fs::create_dir_all(&directory).unwrap_or_else(|e| panic!("{e}"));
        fs::set_permissions(&directory, Permissions::from_mode(0o700))
            .unwrap_or_else(|e| panic!("{e}"));
        let device = directory.join("site.dev");
        let files = [
            (
                "ups.conf",
                format!(
                    "[site]\n driver = dummy-ups\n port = {}\n mode = dummy-once\n pollinterval = {POLL_SECONDS}\n",
                    device.display()
                ),
            ),
            ("upsd.conf", "LISTEN 127.0.0.1 3493\nMAXAGE 10\n".to_owned()),
            ("upsd.users", String::new()),
        ];
        for (name, text) in files {
            let path = directory.join(name);
            fs::write(&path, text).unwrap_or_else(|e| panic!("{e}"));
            fs::set_permissions(path, Permissions::from_mode(0o600))
                .unwrap_or_else(|e| panic!("{e}"));
        }
        write_device(&device, &[("battery.charge", &charge.to_string()), ("ups.status", status)]);
        let driver =
            spawn(ns, &directory, "/lib/nut/dummy-ups", &["-a", "site", "-u", "root", "-D"]);
        eventually(START, "the driver listens", || {
            let socket = directory.join("dummy-ups-site");
            if socket.exists() { Ok(()) } else { Err(driver.log()) }
        });
        let upsd = spawn(ns, &directory, "/lib/nut/upsd", &["-u", "root", "-D"]);
        let nut = Self { ns: ns.clone(), directory, driver, upsd };
        eventually(START, "upsc reads the charge", || {
            let seen = nut.upsc("battery.charge");
            if seen.as_deref() == Ok(&charge.to_string()) {
                Ok(())
            } else {
                Err(format!("{seen:?}"))
            }
        });
        nut
    }

    /// Sets what the UPS says and waits until a client is told so.
    ///
    /// # Panics
    /// Where it does not come about.
    #[track_caller]
    pub fn set(&self, variables: &[(&str, &str)]) {
        write_device(&self.directory.join("site.dev"), variables);
        for (name, value) in variables {
            eventually(START, &format!("upsc says {name}: {value}"), || {
                let seen = self.upsc(name);
                if seen.as_deref() == Ok(*value) { Ok(()) } else { Err(format!("{seen:?}")) }
            });
        }
    }

    /// What a client is told.
    ///
    /// # Errors
    /// What upsc says where it is told nothing.
    pub fn upsc(&self, variable: &str) -> Result<String, String> {
        let text = self.ns.try_sh(&format!("upsc site@127.0.0.1 {variable}"))?;
        Ok(text.trim().to_owned())
    }

    /// Kills the server, as `kill -9` does.
    pub fn kill_server(&mut self) {
        self.upsd.kill9();
    }

    /// Starts the server again.
    ///
    /// # Panics
    /// Where it does not come up.
    #[track_caller]
    pub fn start_server(&mut self) {
        self.upsd = spawn(&self.ns, &self.directory, "/lib/nut/upsd", &["-u", "root", "-D"]);
        eventually(START, "upsd answers again", || self.upsc("ups.status").map(|_| ()));
    }

    /// Lets the driver hang or go on: a hung one makes upsd say that its data are stale.
    pub fn hang_driver(&self, hang: bool) {
        self.driver.signal(if hang { Signal::SIGSTOP } else { Signal::SIGCONT });
    }
}

/// The driver reads the file again only when the second of its change is another one: so each
/// change is dated a second after the one before.
fn write_device(path: &Path, variables: &[(&str, &str)]) {
    let text: String = variables.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    // A rename is one change: the driver never reads half a file.
    let temporary = path.with_extension("new");
    fs::write(&temporary, text).unwrap_or_else(|e| panic!("{e}"));
    let before = fs::metadata(path).and_then(|m| m.modified()).unwrap_or(UNIX_EPOCH);
    let file = File::options().write(true).open(&temporary).unwrap_or_else(|e| panic!("{e}"));
    file.set_modified(before + Duration::from_secs(1)).unwrap_or_else(|e| panic!("{e}"));
    fs::rename(&temporary, path).unwrap_or_else(|e| panic!("{e}"));
}

#[track_caller]
fn spawn(ns: &Ns, directory: &Path, program: &str, args: &[&str]) -> Daemon {
    let name = program.rsplit('/').next().unwrap_or(program);
    let mut command: Command = ns.command(program);
    command.args(args);
    for variable in ["NUT_CONFPATH", "NUT_STATEPATH", "NUT_ALTPIDPATH"] {
        command.env(variable, directory);
    }
    Daemon::spawn(name, &mut command, &directory.join(format!("{name}.log")))
}
