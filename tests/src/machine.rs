//! A copy of this machine, in which a document's commands may do what they say.
//!
//! In a mount namespace of its own overlays lie over the directories that a package is installed
//! into, and over that of the build; in it one shell runs, on a leaf. What systemd would do with a
//! unit is done here as far as identity, capabilities, directories and the word that it is ready
//! go; the unit's sandbox (`ProtectSystem=` and the like) is not built.
//!
//! **What is installed in the copy never reaches the machine**: it is written to a tmpfs that ends
//! with the last process inside.

use crate::notify::NotifySocket;
use crate::ns::Ns;
use crate::process::{Daemon, require};
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

/// What a Debian package and its scripts write to; /run is empty in the copy.
const COPIED: [&str; 3] = ["/etc", "/usr", "/var"];

/// Makes the copy, then runs blocks of lines as they come, each ended by an octet of zero, and
/// answers one when a block has ended well. A command that fails ends the shell.
const SHELL: &str = r#"
set -e
exec 2>&1
(
    scratch=$1 count=0
    shift 2
    mount -t tmpfs -o mode=755 tmpfs "$scratch"
    for directory; do
        count=$((count + 1))
        mkdir -p "$scratch/$count/upper" "$scratch/$count/work"
        chmod --reference="$directory" "$scratch/$count/upper"
        mount -t overlay -o "lowerdir=$directory,upperdir=$scratch/$count/upper,workdir=$scratch/$count/work" \
            evpnd-test "$directory"
    done
    mount -t tmpfs -o mode=755 tmpfs /run
)
cd "$2"
set --
printf '\0'
while IFS= read -r -d '' block; do
    eval "$block" </dev/null
    printf '\0'
done
"#;
const COPY_TIME: Duration = Duration::from_secs(10);

/// The copy and its shell.
#[derive(Debug)]
pub struct Machine {
    ns: Ns,
    shell: Child,
    input: ChildStdin,
    output: Receiver<Result<String, String>>,
}

impl Machine {
    /// Makes a copy in the network of `ns`, with its shell in `directory`. `scratch` is made, and
    /// what is written goes there; `build` is one more directory that the machine keeps as it is.
    ///
    /// # Panics
    /// Where the kernel refuses it.
    #[track_caller]
    pub fn copy(ns: &Ns, scratch: &Path, directory: &Path, build: &Path) -> Self {
        for program in ["unshare", "nsenter", "setpriv", "mount"] {
            require(program, "util-linux mount");
        }
        fs::create_dir_all(scratch).unwrap_or_else(|e| panic!("{}: {e}", scratch.display()));
        let mut command = ns.command("unshare");
        command.args(["--mount", "--propagation", "private", "bash", "-c", SHELL, "bash"]);
        command.arg(scratch).arg(directory).args(COPIED);
        if !COPIED.iter().any(|copied| build.starts_with(copied)) {
            command.arg(build);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut shell = command.spawn().unwrap_or_else(|e| panic!("unshare: {e}"));
        let input = shell.stdin.take().expect("its input is a pipe");
        let stdout = shell.stdout.take().expect("its output is a pipe");
        let (tell, output) = sync_channel(1);
        thread::spawn(move || {
            let mut reader = BufReader::new(stdout);
            loop {
                let mut said = Vec::new();
                let ended_well = reader.read_until(0, &mut said).is_ok()
                    && said.pop_if(|&mut o| o == 0).is_some();
                let said = String::from_utf8_lossy(&said).into_owned();
                if tell.send(if ended_well { Ok(said) } else { Err(said) }).is_err() || !ended_well
                {
                    break;
                }
            }
        });
        let machine = Self { ns: ns.clone(), shell, input, output };
        machine.answer(COPY_TIME).unwrap_or_else(|said| panic!("a copy of the machine: {said}"));
        machine
    }

    /// Runs lines of shell as they stand, as `bash -e` would; variables last from one call to the
    /// next. Both outputs of the lines.
    ///
    /// # Errors
    /// The outputs, where a line fails or they do not end in time. The shell has ended then.
    pub fn run(&mut self, lines: &str, within: Duration) -> Result<String, String> {
        let sent = self.input.write_all(lines.as_bytes()).and_then(|()| self.input.write_all(&[0]));
        sent.and_then(|()| self.input.flush()).map_err(|e| format!("the shell has ended: {e}"))?;
        self.answer(within)
    }

    fn answer(&self, within: Duration) -> Result<String, String> {
        let nothing = |_| Err(format!("nothing came to an end within {within:?}"));
        self.output.recv_timeout(within).unwrap_or_else(nothing)
    }

    /// A file of the copy, by its path in it.
    pub fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.shell.id()))
    }

    /// A command in the copy, in its network, that dies with the test.
    pub fn command(&self, program: &str) -> Command {
        let mut command = self.ns.command("nsenter");
        command.arg(format!("--mount=/proc/{}/ns/mnt", self.shell.id())).arg(program);
        command
    }

    /// Starts a service of the copy as its unit says, and waits until it says that it is ready.
    /// `notify` and `log` are where the machine keeps its socket and its log.
    ///
    /// # Panics
    /// Where there is no such unit, or the service is not ready in time.
    #[track_caller]
    pub fn start_service(
        &self,
        unit: &Unit,
        notify: PathBuf,
        log: &Path,
        within: Duration,
    ) -> Daemon {
        let socket = NotifySocket::new(notify);
        // systemd's own is open to everybody too.
        fs::set_permissions(socket.path(), Permissions::from_mode(0o666))
            .unwrap_or_else(|e| panic!("{}: {e}", socket.path().display()));
        let mut command = self.command("bash");
        command.args(["-ec", &unit.start_script()]).env("NOTIFY_SOCKET", socket.path());
        command.env_remove("WATCHDOG_USEC").env("NO_COLOR", "1");
        let daemon = Daemon::spawn(&unit.name, &mut command, log);
        if let Err(seen) = socket.wait_for("READY=1", within) {
            panic!("{} is not ready: {seen:?}\n{}", unit.name, daemon.log());
        }
        daemon
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Both fail only where it has ended, which is what is wanted.
        self.shell.kill().ok();
        self.shell.wait().ok();
    }
}

/// A unit of systemd, as far as starting its service goes.
#[derive(Clone, Debug)]
pub struct Unit {
    name: String,
    settings: Vec<(String, String)>,
}

impl Unit {
    /// Reads `NAME.service` of a copy, as a package has installed it.
    ///
    /// # Panics
    /// Where it is not there.
    #[track_caller]
    pub fn installed(machine: &Machine, name: &str) -> Self {
        let path = machine.path(&format!("/usr/lib/systemd/system/{name}.service"));
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let settings = lines.filter_map(|line| line.split_once('='));
        let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Self { name: name.to_owned(), settings }
    }

    /// What a setting that stands there once says.
    ///
    /// # Panics
    /// Where it stands there never, or more often.
    #[track_caller]
    pub fn setting(&self, key: &str) -> &str {
        let mut values = self.settings.iter().filter(|(k, _)| k == key).map(|(_, v)| v);
        match (values.next(), values.next()) {
            (Some(value), None) => value,
            other => panic!("{}.service, {key}=: {other:?}", self.name),
        }
    }

    /// The numbers of the capabilities that a setting lists, as /proc shows a set of them.
    ///
    /// # Panics
    /// Where it lists one that is not known here.
    #[track_caller]
    pub fn capabilities(&self, key: &str) -> u64 {
        let bit = |name: &str| match name {
            "CAP_NET_BIND_SERVICE" => 1 << 10,
            "CAP_NET_ADMIN" => 1 << 12,
            "CAP_NET_RAW" => 1 << 13,
            other => panic!("{}.service, {key}=: {other} is not known to this test", self.name),
        };
        self.setting(key).split_whitespace().map(bit).sum()
    }

    fn start_script(&self) -> String {
        let Self { name, .. } = self;
        assert_eq!(self.setting("Type"), "notify", "{name}.service");
        let (user, group) = (self.setting("User"), self.setting("Group"));
        let directory = |kind: &str, parent: &str| {
            let mode = self.setting(&format!("{kind}DirectoryMode"));
            let path = self.setting(&format!("{kind}Directory"));
            format!("install -d -m {mode} -o {user} -g {group} {parent}/{path}\n")
        };
        // setpriv's way to write a list of capabilities: signs, and no CAP_.
        let list = |key: &str| {
            let names = self.setting(key).to_lowercase().replace("cap_", "+");
            names.split_whitespace().collect::<Vec<_>>().join(",")
        };
        let ambient = list("AmbientCapabilities");
        [
            directory("Runtime", "/run"),
            directory("State", "/var/lib"),
            format!("umask {}\n", self.setting("UMask")),
            format!("exec setpriv --reuid {user} --regid {group} --init-groups --pdeathsig KILL "),
            format!("--inh-caps -all,{ambient} --ambient-caps -all,{ambient} "),
            format!("--bounding-set -all,{} ", list("CapabilityBoundingSet")),
            format!("--no-new-privs {}", self.setting("ExecStart")),
        ]
        .concat()
    }
}
