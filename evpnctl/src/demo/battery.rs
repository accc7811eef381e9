//! The battery of one site: a real upsd whose UPS is a file, or, without NUT, a file alone.
//!
//! **The charge that is shown is what `upsc` reads from upsd**, not what was written.

use super::clock;
use super::files::{DRAINED, Files};
use super::network::{Lab, Trouble};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Where distributions put the parts of NUT.
const NUT_DIRECTORIES: [&str; 7] = [
    "/lib/nut",
    "/usr/lib/nut",
    "/usr/libexec/nut",
    "/usr/lib/ups/driver",
    "/usr/sbin",
    "/sbin",
    "/usr/bin",
];
/// A little more than a second.
const A_SECOND: Duration = Duration::from_millis(1100);
/// The name of the UPS.
const UPS: &str = "site";
/// The UPS's file, which its driver reads anew whenever it changes.
const DEVICE: &str = "nut/site.dev";
/// What stands for the battery where there is no NUT.
const FILE: &str = "battery.json";

/// Parts of NUT.
#[derive(Debug, Clone)]
pub(crate) struct Nut {
    driver: PathBuf,
    upsd: PathBuf,
    upsc: PathBuf,
    /// As upsd says it.
    pub(crate) version: String,
}

impl Nut {
    /// What is installed, if all of it is.
    pub(crate) fn find() -> Option<Self> {
        // /sbin/upsd may be a wrapper that obeys /etc/nut: the directories are in order.
        let find = |name: &str| {
            let paths = NUT_DIRECTORIES.iter().map(|dir| Path::new(dir).join(name));
            paths.into_iter().find(|path| path.is_file())
        };
        let (driver, upsd, upsc) = (find("dummy-ups")?, find("upsd")?, find("upsc")?);
        let said = Command::new(&upsd).arg("-V").output().ok()?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let version = said.lines().find_map(|line| line.split(" upsd ").nth(1));
        let version = version.unwrap_or("of unknown version").trim().to_owned();
        Some(Self { driver, upsd, upsc, version })
    }
}

/// The battery.
pub(crate) struct Battery {
    nut: Option<Nut>,
    discharging: bool,
    /// How often its file was written.
    writes: u32,
    /// When it was written last.
    written: Duration,
    charge: u8,
}

impl Battery {
    /// Prepares it, full, before the network is up.
    ///
    /// # Errors
    /// If its files cannot be written.
    pub(crate) fn prepare(nut: Option<Nut>, files: &Files) -> Result<Self, Trouble> {
        let mut battery =
            Self { nut, discharging: false, writes: 0, written: Duration::ZERO, charge: 100 };
        if battery.nut.is_none() {
            files.feed_from(&files.path(FILE))?;
        } else {
            let put = |name: &str, text: &str| files.put(Path::new(name), text).map(drop);
            let ups = "maxretry = 3\npollinterval = 1\n[site]\ndriver = dummy-ups\n\
                       port = site.dev\nmode = dummy-once\ndesc = \"Battery of site-a\"\n";
            put("nut/ups.conf", ups)?;
            put("nut/upsd.conf", "LISTEN 127.0.0.1 3493\n")?;
            put("nut/upsd.users", "")?;
        }
        battery.write(files, 100)?;
        Ok(battery)
    }

    /// Starts its server at its site.
    ///
    /// # Errors
    /// What NUT said.
    pub(crate) fn start(&self, lab: &Lab) -> Result<(), Trouble> {
        let Some(nut) = &self.nut else { return Ok(()) };
        // Both give up the rights of root at their start. In a user namespace they cannot, unless
        // they are somebody else in one more.
        let start = |program: &Path, args: &[&str]| {
            let mut words = vec![program.to_string_lossy().into_owned()];
            if lab.is_rootless() {
                let nested = ["unshare", "-U", "--map-user=1000", "--map-group=1000", "--"];
                words.splice(0..0, nested.map(str::to_owned));
            } else {
                words.extend(["-u".to_owned(), "root".to_owned()]);
            }
            words.extend(args.iter().map(ToString::to_string));
            run(lab, &words)
        };
        start(&nut.driver, &["-a", UPS])?;
        start(&nut.upsd, &[])
    }

    /// The name of whoever says the charge.
    pub(crate) const fn source(&self) -> &'static str {
        if self.nut.is_some() { "upsc" } else { "file" }
    }

    /// Brings the battery to a charge, in per cent.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn set(&mut self, files: &Files, charge: u8) -> Result<(), Trouble> {
        self.write(files, charge)
    }

    /// Whether the battery is being emptied or filled from now on.
    pub(crate) const fn discharge(&mut self, discharging: bool) {
        self.discharging = discharging;
    }

    /// How long a charge takes to be a reading of its own: a file's time counts in seconds, and upsd
    /// takes about one by itself.
    pub(crate) const fn settles_in(&self) -> Duration {
        if self.nut.is_some() { Duration::ZERO } else { A_SECOND }
    }

    /// Writes the file again once it is a second old, as whatever reads a battery would: without new
    /// samples evpnd has nothing that confirms the last one. upsd is asked, and needs none.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn keep_up(&mut self, files: &Files) -> Result<(), Trouble> {
        if self.nut.is_some() || clock::now() < self.written + A_SECOND {
            return Ok(());
        }
        self.write(files, self.charge)
    }

    fn write(&mut self, files: &Files, charge: u8) -> Result<(), Trouble> {
        let (name, text) = if self.nut.is_some() {
            let status = if self.discharging { "OB DISCHRG" } else { "OL CHRG" };
            (DEVICE, format!("battery.charge: {charge}\nups.status: {status}\n"))
        } else {
            (FILE, format!("{{\"soc\": {charge}, \"on_battery\": {}}}\n", self.discharging))
        };
        let path = files.put(Path::new(name), &text)?;
        (self.written, self.charge) = (clock::now(), charge);
        if self.nut.is_some() {
            // The driver reads a file again whose time has changed, and looks at whole seconds.
            self.writes += 1;
            let later = Duration::from_secs(2) * self.writes;
            let io = |e| Trouble::new(format!("{}: {e}", path.display()));
            let file = OpenOptions::new().append(true).open(&path).map_err(io)?;
            let written = file.metadata().and_then(|m| m.modified()).map_err(io)?;
            file.set_modified(written + later).map_err(io)?;
        }
        Ok(())
    }

    /// The charge as an outsider reads it, in per cent.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn read(&self, lab: &Lab) -> Result<String, Trouble> {
        match &self.nut {
            Some(nut) => {
                let upsc = nut.upsc.to_string_lossy();
                let target = format!("{UPS}@127.0.0.1");
                let said = lab.output(DRAINED, &upsc, &[&target, "battery.charge"])?;
                Ok(said.trim().to_owned())
            }
            None => {
                let path = lab.files().path(FILE);
                let text = std::fs::read_to_string(&path);
                let text = text.map_err(|e| Trouble::new(format!("{}: {e}", path.display())))?;
                let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
                Ok(value.get("soc").map(ToString::to_string).unwrap_or_default())
            }
        }
    }
}

fn run(lab: &Lab, words: &[String]) -> Result<(), Trouble> {
    let Some((program, args)) = words.split_first() else { return Ok(()) };
    let log = lab.files().log("nut");
    let io = |e| Trouble::new(format!("{}: {e}", log.display()));
    let file = || OpenOptions::new().create(true).append(true).open(&log).map_err(io);
    let nut = lab.files().path("nut");
    let mut command = lab.command(DRAINED, program)?;
    for variable in ["NUT_CONFPATH", "NUT_STATEPATH", "NUT_ALTPIDPATH"] {
        command.env(variable, &nut);
    }
    // They go into the background by themselves and keep these files open.
    command.args(args).stdin(Stdio::null()).stdout(file()?).stderr(file()?);
    let status = command.status().map_err(|e| Trouble::new(format!("{program}: {e}")))?;
    if status.success() {
        return Ok(());
    }
    let said = std::fs::read_to_string(&log).unwrap_or_default();
    let details = said.lines().map(str::to_owned).collect();
    Err(Trouble { what: format!("{} failed ({status})", words.join(" ")), details })
}
