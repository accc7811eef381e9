//! A real NUT server whose UPS is a file.
//!
//! **It serves one namespace's loopback only, and ends with this value.**

use crate::Result;
use crate::netns::Netns;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What the UPS is called.
pub(crate) const UPS: &str = "site";
/// How long it may take to come up.
const PATIENCE: Duration = Duration::from_secs(20);

/// Driver and server.
pub(crate) struct Nut {
    processes: Vec<Child>,
    _directory: TempDir,
}

impl Nut {
    /// Starts both in the namespace.
    pub(crate) fn start(namespace: &Netns) -> Result<Self> {
        let directory = TempDir::new().map_err(|e| format!("a temporary directory: {e}"))?;
        let path = directory.path().to_owned();
        let device = path.join("site.dev");
        let driver = format!("[{UPS}]\ndriver = dummy-ups\nport = {}\n", device.display());
        let files = [
            ("ups.conf", driver.as_str()),
            ("upsd.conf", "LISTEN 127.0.0.1 3493\n"),
            ("upsd.users", ""),
            ("site.dev", "battery.charge: 80\nups.status: OL\n"),
        ];
        for (name, text) in files {
            let file = path.join(name);
            fs::write(&file, text)
                .and_then(|()| fs::set_permissions(&file, Permissions::from_mode(0o600)))
                .map_err(|e| format!("{}: {e}", file.display()))?;
        }
        let mut nut = Self { processes: Vec::new(), _directory: directory };
        nut.spawn(namespace, &path, "/lib/nut/dummy-ups", &["-a", UPS, "-u", "root", "-D"])?;
        let socket = path.join(format!("dummy-ups-{UPS}"));
        wait("NUT's driver", || socket.exists())?;
        nut.spawn(namespace, &path, "/lib/nut/upsd", &["-u", "root", "-D"])?;
        let question = format!("{UPS}@127.0.0.1");
        wait("upsd", || namespace.output("upsc", &[&question, "battery.charge"]).is_ok())?;
        Ok(nut)
    }

    fn spawn(
        &mut self,
        namespace: &Netns,
        directory: &Path,
        program: &str,
        arguments: &[&str],
    ) -> Result<()> {
        let child = namespace
            .command(program)
            .args(arguments)
            .envs(["NUT_CONFPATH", "NUT_STATEPATH", "NUT_ALTPIDPATH"].map(|v| (v, directory)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("{program}: {e}; apt-get install nut-server"))?;
        self.processes.push(child);
        Ok(())
    }
}

fn wait(what: &str, ready: impl Fn() -> bool) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !ready() {
        if Instant::now() > deadline {
            return Err(format!("{what} did not come up within {PATIENCE:?}"));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

impl Drop for Nut {
    fn drop(&mut self) {
        for child in self.processes.iter_mut().rev() {
            // Both fail only where it has ended already.
            child.kill().ok();
            child.wait().ok();
        }
    }
}
