//! What the kernel can do.
//!
//! **It is tried out by a process of its own in namespaces of its own**: whatever it made ends
//! with it.

use crate::{Exit, Outcome, out, tool};
use evpn_netlink::probe::{Feature, Probed, probe};
use nix::sched::{CloneFlags, unshare};
use std::io;

/// More than the answer takes.
const MOST: u64 = 16 << 10;
/// What root may do about a probe that an ordinary user may not make.
const BY_ROOT: &str = "this user may not make a network namespace to try it in";

/// The kernel's release.
pub(super) fn release() -> String {
    let name = nix::sys::utsname::uname().ok();
    let release = name.as_ref().and_then(|name| name.release().to_str());
    release.unwrap_or_default().to_owned()
}

/// Has the features tried out.
pub(super) async fn features() -> Result<Vec<Probed>, String> {
    let output = tool::output("/proc/self/exe", &["doctor", "--probe"], MOST).await?;
    let answer: Vec<(String, Option<String>)> =
        serde_json::from_slice(&output.octets).map_err(|error| error.to_string())?;
    let known = |(name, reason): (String, Option<String>)| {
        Some((Feature::named(&name)?, reason.map_or(Ok(()), Err)))
    };
    Ok(answer.into_iter().filter_map(known).collect())
}

/// The other process: leaves for namespaces of its own, tries, and tells.
pub(in super::super) fn probe_here() -> Outcome {
    if let Err(error) = leave() {
        out::complain(&format!("{BY_ROOT} ({error})"));
        return Ok(Exit::No);
    }
    match probe() {
        Ok(probed) => {
            let tell = |(feature, outcome): &Probed| (feature.name(), outcome.clone().err());
            let answer: Vec<_> = probed.iter().map(tell).collect();
            let answer = serde_json::to_string(&answer).map_err(io::Error::other)?;
            out::write_raw(&answer)?;
            Ok(Exit::Yes)
        }
        Err(error) => {
            out::complain(&format!("{BY_ROOT}: {error}"));
            Ok(Exit::No)
        }
    }
}

/// With rights, a network namespace; without, one inside a user namespace that grants them.
fn leave() -> nix::Result<()> {
    let network = CloneFlags::CLONE_NEWNET;
    unshare(network).or_else(|_| unshare(network | CloneFlags::CLONE_NEWUSER))
}
