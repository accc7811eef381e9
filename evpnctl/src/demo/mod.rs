//! `evpnctl demo`: a site drains before its battery is empty, and what happens without evpnd.
//!
//! ```text
//! story    the parts (a), (b), (c)           load     client and servers, which count
//! network  the topology, its processes       capture  BGP as it is on the wire
//! battery  upsd, or a file                   weights  what the kernel holds
//! files    topology and configurations       screen, claims  what is said in the end
//! ```
//!
//! **Everything that it started ends with it**, also when it is interrupted, unless it is to be
//! held.

mod battery;
mod capture;
mod claims;
mod clock;
mod files;
mod load;
mod network;
mod screen;
mod story;
mod weights;

use crate::out::{self, Form};
use crate::{Exit, Failure, Outcome, lab};
use battery::{Battery, Nut};
use claims::{Verdict, all_met};
use clap::Subcommand;
use evpn_lab::{LabError, Silent};
use files::{Files, SpedUp};
use load::client::ClientArgs;
use load::serve::ServeArgs;
use network::{Lab, NAME, Trouble};
use nix::sys::signal::{SigSet, Signal};
use screen::Screen;
use serde::Serialize;
use std::os::unix::process::CommandExt;
use std::process::Command as Process;
use story::Story;

/// The demo.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    /// Leave everything up afterwards, to look at it.
    #[arg(long)]
    hold: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Open a shell in a node of a demo that is held.
    Shell {
        /// spine, site-a, site-b, site-c, host-a, host-b or host-c.
        node: String,
    },
    /// End a demo that is held, or was left behind.
    Down {
        /// The status to end with.
        #[arg(long, hide = true, default_value_t = 0)]
        status: u8,
    },
    /// The client of the load.
    #[command(hide = true, name = "__load")]
    Load(ClientArgs),
    /// A server of the load.
    #[command(hide = true, name = "__serve")]
    Serve(ServeArgs),
    /// What BGP says on this node's links.
    #[command(hide = true, name = "__capture")]
    Capture,
    /// Nexthops and routes by netlink.
    #[command(hide = true, name = "__weights")]
    Weights,
}

/// Runs it.
pub(crate) fn run(args: Args, form: Form) -> Outcome {
    let host = |error| Failure::Io("evpnctl demo".to_owned(), error);
    let done = match args.command {
        None => return Ok(demo(args.hold, form)),
        Some(Command::Shell { node }) => return shell(&node),
        Some(Command::Down { status }) => return down(status),
        Some(Command::Load(args)) => load::client::run(&args),
        Some(Command::Serve(args)) => load::serve::run(&args),
        Some(Command::Capture) => capture::run(),
        Some(Command::Weights) => weights::run(),
    };
    done.map(|()| Exit::Yes).map_err(host)
}

fn demo(hold: bool, form: Form) -> Exit {
    clock::now();
    clear_away_when_interrupted();
    let mut screen = Screen::new(form);
    let outcome = play(hold, &mut screen);
    screen.rest();
    match outcome {
        Ok(ok) => Exit::verdict(ok),
        Err(trouble) => {
            out::complain(&out::failure(&trouble.what, None, &trouble.details));
            Exit::Trouble
        }
    }
}

/// On Ctrl-C or SIGTERM, turns this process into one that takes the demo down.
fn clear_away_when_interrupted() {
    let mut down = Process::new("/proc/self/exe");
    down.args(["demo", "down", "--status", &lab::INTERRUPTED.to_string()]);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        if runtime.and_then(|runtime| runtime.block_on(lab::interrupted())).is_ok() {
            out::complain("\ninterrupted: taking the demo down\n");
            // A second Ctrl-C must not end what clears away; the new program inherits this.
            let signals = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];
            signals.into_iter().collect::<SigSet>().thread_block().unwrap_or_default();
            let error = down.exec();
            out::complain(&out::failure(&error.to_string(), None, &[]));
            std::process::exit(lab::INTERRUPTED.into());
        }
    });
}

/// Plays it, and takes everything down whatever comes of it.
fn play(hold: bool, screen: &mut Screen) -> Result<bool, Trouble> {
    let nut = Nut::find();
    if nut.is_none() && std::env::var_os("CI").is_some_and(|ci| !ci.is_empty()) {
        return Err(Trouble::new(
            "NUT is missing, and $CI is set: there the battery has to be a real upsd; apt-get \
             install nut-server",
        ));
    }
    // Also asked for first, so that a running demo keeps its files.
    if evpn_lab::Lab::open(NAME).is_ok() {
        return Err(Trouble::already_up());
    }
    let files = Files::write()?;
    let mut battery = Battery::prepare(nut.clone(), &files)?;
    files.set_policy(false)?;
    battery.discharge(false);
    let lab = match Lab::up(files, screen) {
        Ok(lab) => lab,
        Err(trouble) => {
            files::remove()?;
            return Err(trouble);
        }
    };
    say_head(screen, &lab, nut.as_ref());
    let outcome = perform(&lab, screen, battery);
    screen.rest();
    if hold {
        screen.explain(HELD);
        return outcome;
    }
    screen.status("taking the demo down".to_owned());
    let down = lab.down(&mut Silent);
    outcome.and_then(|ok| down.map(|()| ok))
}

fn perform(lab: &Lab, screen: &Screen, battery: Battery) -> Result<bool, Trouble> {
    let mut story = Story::begin(lab, screen, battery)?;
    let told = story.tell();
    if let Err(trouble) = &told {
        screen.rest();
        out::complain(&out::failure(&trouble.what, None, &trouble.details));
    }
    let claims = &story.claims;
    let ok = told.is_ok() && all_met(claims);
    let cannot_be_moved = CANNOT_BE_MOVED.map(str::to_owned);
    let seconds = clock::now().as_secs();
    Verdict { ok, claims, cannot_be_moved: &cannot_be_moved, seconds }.say(screen);
    Ok(ok)
}

/// What a drain does not do, however well it goes.
const CANNOT_BE_MOVED: [&str; 3] = [
    "connections that do not end within drain-time (8 s here, 60 s by default): they end with the \
     path; a longer drain-time keeps more of them",
    "connections that are silent for longer than a quarter of drain-time (2 s here, 15 s by \
     default): nobody can tell them from those that are over",
    "hosts that are at one site only, such as host-a by its own address 172.16.1.2: they go dark \
     with it",
];

const HELD: &str = "
Everything stays up. To look at it:
  ./demo shell site-a    then: evpnctl show energy
  ./demo shell site-c    then: evpnctl why 198.51.100.10/32
  ./demo shell host-c    then: ping -c 3 198.51.100.10
./demo down ends it.";

const TOPOLOGY: &str = "
                      spine  AS 65000                  real BGP EVPN sessions, VXLAN
             /              |              \\
       site-a 65001   site-b 65002   site-c 65003      evpnd at each, and at the spine
             |              |              |
          host-a         host-b         host-c         host-a and host-b offer the same service,
          battery                       clients        198.51.100.10 and 2001:db8:a::10";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    kernel: String,
    upsd: Option<String>,
    rootless: bool,
    sped_up: Vec<SpedUp>,
}

fn say_head(screen: &Screen, lab: &Lab, nut: Option<&Nut>) {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let head = Head {
        kernel: kernel.trim().to_owned(),
        upsd: nut.map(|nut| nut.version.clone()),
        rootless: lab.is_rootless(),
        sped_up: files::sped_up(),
    };
    let battery = head.upsd.as_ref().map_or_else(
        || "FILE FEED (NUT is not installed; apt-get install nut-server)".to_owned(),
        |version| format!("upsd {version}"),
    );
    let whose = if head.rootless { "in a user namespace, without root" } else { "as root" };
    let mut lines = vec![TOPOLOGY.trim_start_matches('\n').to_owned()];
    let system = format!("kernel {}, {whose}; battery of site A: {battery}", head.kernel);
    lines.push(String::new());
    lines.extend(crate::text::hang("", 0, &system));
    let sped_up: Vec<String> = head
        .sped_up
        .iter()
        .map(|s| format!("{} {} (default {})", s.key, s.value, s.default))
        .collect();
    lines.extend(crate::text::hang("sped up: ", 9, &sped_up.join(", ")));
    let load = format!(
        "{} UDP requests a second from 16 addresses, each a new flow, half of them IPv6; {} TCP \
         sessions at a time, half busy, half pausing for up to {} s, each ending within {} s and \
         followed by a new one; {} endless ones",
        screen::thousands(story::REQUESTS_A_SECOND),
        story::SESSIONS,
        story::IDLE_TIME.as_secs() / 2,
        story::DRAIN_TIME.as_secs() / 2,
        story::ENDLESS
    );
    lines.extend(crate::text::hang("load: ", 6, &load));
    screen.say("head", &head, &lines.join("\n"));
}

/// A shell in a node, with the node's evpnctl and evpnd.
fn shell(node: &str) -> Outcome {
    let shell = std::env::var("SHELL").unwrap_or_else(|_| "/bin/sh".to_owned());
    let lab = match evpn_lab::Lab::open(NAME) {
        Err(LabError::NotUp { .. }) => {
            out::complain("evpnctl: no demo is up; `./demo --hold` leaves one up\n");
            return Ok(Exit::Trouble);
        }
        lab => lab?,
    };
    let status = lab.exec(node, [shell])?;
    Ok(Exit::Of(lab::code_of(status)))
}

fn down(status: u8) -> Outcome {
    evpn_lab::Lab::down_by(NAME, &mut Silent)?;
    match files::remove() {
        Ok(()) => Ok(Exit::Of(status)),
        Err(trouble) => Err(Failure::Io(trouble.what, std::io::Error::other("not removed"))),
    }
}
