//! Which rights this process has to make namespaces, found by trying, before anything
//! is touched.
//!
//! **A refusal names the setting that causes it and the way round it.**

use std::ffi::CString;
use std::fs;

use nix::sched::CloneFlags;

use crate::error::LabError;
use crate::ops::{Failure, Op, Step, work};

/// How a lab is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Privilege {
    /// With the rights this process has.
    Root,
    /// With the rights of a user namespace of the lab's own.
    Rootless,
}

/// The namespaces that each node has of its own.
pub(crate) fn node_namespaces() -> CloneFlags {
    CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC
}

/// Becomes root of a new user namespace with the caller's own id as the only one in it.
pub(crate) fn enter_user_namespace() -> Vec<Step> {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let write = |path: &std::ffi::CStr, text: String| {
        let what = format!("writing {}", path.to_string_lossy());
        Step::new(Op::Write { path: CString::from(path), bytes: text.into_bytes() }, what)
    };
    vec![
        Step::new(Op::Unshare(CloneFlags::CLONE_NEWUSER), "making a user namespace"),
        // Without this the kernel lets no unprivileged process map groups.
        write(c"/proc/self/setgroups", "deny".to_owned()),
        write(c"/proc/self/uid_map", format!("0 {uid} 1")),
        write(c"/proc/self/gid_map", format!("0 {gid} 1")),
    ]
}

impl Privilege {
    /// What works here: first without, then with a user namespace.
    pub(crate) fn detect() -> Result<Self, LabError> {
        let namespaces = || {
            vec![
                Step::new(Op::Unshare(node_namespaces()), "making a node's namespaces"),
                Step::new(Op::FollowMounts, "detaching a node's mounts"),
            ]
        };
        if rustix::process::geteuid().is_root() && work(&namespaces()).is_ok() {
            return Ok(Self::Root);
        }
        let mut steps = enter_user_namespace();
        steps.extend(namespaces());
        work(&steps)
            .map(|()| Self::Rootless)
            .map_err(|failure| explain(&failure, rustix::process::geteuid().is_root(), &setting))
    }
}

/// Whether a process with these rights may change its groups, as FRR does at its start.
pub(crate) fn may_set_groups(privilege: Privilege) -> bool {
    let allowed = fs::read_to_string("/proc/self/setgroups").map_or(true, |s| s.trim() == "allow");
    // A namespace with a single id has no other user to become.
    let ids: u64 = fs::read_to_string("/proc/self/uid_map").map_or(u64::MAX, |map| {
        map.lines().filter_map(|l| l.split_whitespace().nth(2)?.parse::<u64>().ok()).sum()
    });
    privilege == Privilege::Root && allowed && ids > 1
}

/// A kernel setting, empty where this kernel does not have it.
fn setting(path: &str) -> String {
    fs::read_to_string(path).map(|s| s.trim().to_owned()).unwrap_or_default()
}

fn explain(failure: &Failure, is_root: bool, setting: &dyn Fn(&str) -> String) -> LabError {
    let sudo = "run it with sudo";
    let (cause, remedy) = if is_root {
        (
            format!(
                "{}: {}; this root lacks CAP_SYS_ADMIN, as in a container",
                failure.what, failure.source
            ),
            "give the container CAP_SYS_ADMIN and CAP_NET_ADMIN, or run it on the machine itself"
                .to_owned(),
        )
    } else if setting("/proc/sys/user/max_user_namespaces") == "0" {
        (
            "user.max_user_namespaces is 0".to_owned(),
            format!("Either {sudo}, or allow them: sudo sysctl user.max_user_namespaces=1000"),
        )
    } else if setting("/proc/sys/kernel/unprivileged_userns_clone") == "0" {
        (
            "kernel.unprivileged_userns_clone is 0".to_owned(),
            format!("Either {sudo}, or allow them: sudo sysctl kernel.unprivileged_userns_clone=1"),
        )
    } else if setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" {
        (
            "AppArmor forbids user namespaces to ordinary programs (kernel.apparmor_restrict_unprivileged_userns is 1)".to_owned(),
            format!("Either {sudo}, or allow them: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"),
        )
    } else if failure.source.raw_os_error() == Some(libc::ENOSPC) {
        (
            "the limit user.max_user_namespaces (or max_net_namespaces) is reached".to_owned(),
            format!("End what uses them, or {sudo}"),
        )
    } else {
        (
            format!("{}: {}", failure.what, failure.source),
            format!("To do it without user namespaces, {sudo}"),
        )
    };
    LabError::NoNamespaces { cause, remedy }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_its_cause_and_the_way_round_it() {
        let failed = |errno| Failure {
            what: "making a user namespace".to_owned(),
            source: std::io::Error::from_raw_os_error(errno),
        };
        let cases = [
            (
                "/proc/sys/user/max_user_namespaces",
                "0",
                libc::ENOSPC,
                "user.max_user_namespaces is 0",
            ),
            (
                "/proc/sys/kernel/unprivileged_userns_clone",
                "0",
                libc::EPERM,
                "unprivileged_userns_clone is 0",
            ),
            (
                "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
                "1",
                libc::EPERM,
                "AppArmor",
            ),
            ("", "", libc::ENOSPC, "the limit"),
            ("", "", libc::EPERM, "making a user namespace"),
        ];
        for (path, value, errno, cause) in cases {
            let read = |p: &str| if p == path { value.to_owned() } else { String::new() };
            let text = explain(&failed(errno), false, &read).to_string();
            assert!(text.contains(cause) && text.contains("sudo"), "{text}");
        }
        let text = explain(&failed(libc::EPERM), true, &|_| String::new()).to_string();
        assert!(text.contains("CAP_SYS_ADMIN") && !text.contains("sudo"), "{text}");
    }
}
