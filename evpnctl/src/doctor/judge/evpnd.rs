//! evpnd itself: its configuration, whether it answers, what it may, where it writes.
//!
//! **That it does not run is a warning, since the doctor is asked before the first start too.**

use super::super::facts::{ConfigFound, EvpndFound, Facts, Outside, PasswordFile, Running};
use super::super::finding::{Finding, State};
use evpn_config::SECRET_FORBIDDEN_MODE;

/// CAP_NET_BIND_SERVICE, CAP_NET_ADMIN, CAP_NET_RAW.
const BIND_SERVICE: u64 = 1 << 10;
const NET_ADMIN: u64 = 1 << 12;
const NET_RAW: u64 = 1 << 13;
/// The ports that need CAP_NET_BIND_SERVICE.
const PRIVILEGED_PORTS: u16 = 1024;
/// Octets that should be left for state: a thousand times what it takes.
const ENOUGH_ROOM: u64 = 16 << 20;

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings: Vec<Finding> = config(&facts.config).into_iter().collect();
    match &facts.evpnd {
        EvpndFound::NotAsked => {}
        EvpndFound::Absent => findings.push(
            Finding::setting("evpnd", State::Warning, "evpnd", "not running")
                .breaks("nobody speaks BGP; what is in the kernel forwards as before")
                .mend("systemctl enable --now evpnd"),
        ),
        EvpndFound::Unreachable(why, remedy) => {
            let finding = Finding::of("evpnd", State::Unknown, "evpnd does not answer");
            let finding = finding.breaks(why.clone());
            findings.push(match remedy {
                Some(remedy) => finding.mend(remedy.clone()),
                None => finding.mend("systemctl status evpnd"),
            });
        }
        EvpndFound::Running(running) => findings.extend(daemon(facts, running)),
    }
    findings.extend(state_dir(facts));
    findings.extend(password_files(facts));
    findings
}

fn config(found: &ConfigFound) -> Option<Finding> {
    Some(match found {
        ConfigFound::NotLookedAt => return None,
        ConfigFound::Valid(path) => Finding::ok("config", format!("{} is valid", path.display())),
        ConfigFound::Missing(path) => {
            Finding::of("config", State::Warning, format!("{} is not there", path.display()))
                .breaks(
                    "evpnd does not start without one, and nobody knows which VNIs and VRFs are \
                     wanted: all VXLAN devices are taken for served",
                )
                .mend(match path.extension() {
                    Some(_) => format!("editor {0} && evpnctl config check {0}", path.display()),
                    None => format!(
                        "mkdir -p {0} && editor {0}/evpnd.toml && evpnctl config check {0}",
                        path.display()
                    ),
                })
        }
        ConfigFound::Unreadable(path, why) => {
            Finding::of("config", State::Unknown, format!("{} cannot be read", path.display()))
                .breaks(why.clone())
                .mend("sudo evpnctl doctor")
        }
        ConfigFound::Invalid(path, errors, first) => Finding::setting(
            "config",
            State::Wrong,
            path.display().to_string(),
            match errors {
                1 => "1 error".to_owned(),
                more => format!("{more} errors"),
            },
        )
        .breaks(format!("evpnd would not start with it, nor take it in a reload: {first}"))
        .mend(format!("evpnctl config check {}", path.display())),
    })
}

fn daemon(facts: &Facts, running: &Running) -> Vec<Finding> {
    let mut findings = Vec::new();
    let own = env!("CARGO_PKG_VERSION");
    if running.version == own {
        findings.push(Finding::ok("evpnd", format!("version {own} answers")));
    } else {
        findings.push(
            Finding::setting("evpnd", State::Warning, "evpnd version", running.version.clone())
                .breaks(format!("evpnctl is {own}: the daemon is from before an upgrade, or after"))
                .mend("systemctl restart evpnd"),
        );
    }
    if running.waits_for.is_empty() {
        findings.push(Finding::ok("evpnd-health", "ready"));
    } else {
        findings.push(
            Finding::setting("evpnd-health", State::Warning, "evpnd", "not ready")
                .breaks(format!("it waits for {}", running.waits_for.join("; ")))
                .mend("evpnctl health"),
        );
    }
    let Some(process) = running.process else { return findings };
    let port = facts.intent.as_ref().map_or(0, |intent| intent.port);
    let needs = [
        (
            State::Warning,
            true,
            NET_ADMIN,
            "CAP_NET_ADMIN",
            "it may not change the kernel's tables: it can only run dry",
        ),
        (
            State::Warning,
            true,
            NET_RAW,
            "CAP_NET_RAW",
            "it does not hear ARP and ND on access ports: hosts that never speak to the switch are \
             announced without their addresses",
        ),
        (
            State::Warning,
            port < PRIVILEGED_PORTS,
            BIND_SERVICE,
            "CAP_NET_BIND_SERVICE",
            "it may not listen on a port below 1024",
        ),
    ];
    let lacks =
        needs.into_iter().filter(|(_, needed, bit, ..)| *needed && process.capabilities & bit == 0);
    let found = lacks.map(|(state, _, _, name, breaks)| {
        Finding::setting("capabilities", state, format!("evpnd's {name}"), "missing")
            .breaks(breaks)
            .mend(format!(
                "mkdir -p /etc/systemd/system/evpnd.service.d && printf '%s\\n' '[Service]' \
                 AmbientCapabilities={name} CapabilityBoundingSet={name} \
                 >/etc/systemd/system/evpnd.service.d/{}.conf && systemctl daemon-reload && \
                 systemctl restart evpnd",
                name.to_lowercase()
            ))
    });
    findings.extend(super::or_ok(found.collect(), "capabilities", "evpnd may do what it has to"));
    findings
}

fn state_dir(facts: &Facts) -> Option<Finding> {
    let folder = facts.state_dir.as_ref()?;
    let path = folder.path.display().to_string();
    let process = match &facts.evpnd {
        EvpndFound::Running(running) => running.process,
        _ => None,
    };
    let Some(owner) = folder.owner else {
        // systemd makes it at the first start.
        let process = process?;
        return Some(
            Finding::setting("state-dir", State::Wrong, format!("state-dir {path}"), "not there")
                .breaks("what must survive a restart is lost: a host that moved falls back")
                .mend(format!("install -d -m 0750 -o {} {path}", process.user)),
        );
    };
    if let Some(process) = process.filter(|process| process.user != owner && process.user != 0) {
        let value = format!("owned by user {owner}");
        return Some(
            Finding::setting("state-dir", State::Wrong, format!("state-dir {path}"), value)
                .breaks(format!(
                    "evpnd runs as user {} and cannot write there: a host that moved falls back \
                     after a restart",
                    process.user
                ))
                .mend(format!("chown -R {} {path}", process.user)),
        );
    }
    if let Some(free) = folder.free.filter(|free| *free < ENOUGH_ROOM) {
        let value = format!("{} KiB free", free / 1024);
        return Some(
            Finding::setting("state-dir", State::Warning, format!("state-dir {path}"), value)
                .breaks("soon nothing can be written there")
                .mend("journalctl --vacuum-size=64M"),
        );
    }
    Some(Finding::ok("state-dir", path))
}

fn password_files(facts: &Facts) -> Vec<Finding> {
    let files = &facts.password_files;
    let well = "every file of a secret is there, and closed to others";
    let found = files.iter().filter_map(password_file).collect();
    if files.is_empty() { found } else { super::or_ok(found, "password-file", well) }
}

fn password_file(file: &PasswordFile) -> Option<Finding> {
    let path = file.path.display().to_string();
    let write = || format!("install -m 0640 -g evpnd /dev/stdin {path}");
    let (value, mend) = match file.outside {
        None => ("not there".to_owned(), write()),
        Some(Outside { mode, .. }) if mode & SECRET_FORBIDDEN_MODE != 0 => {
            let mend = format!("chown root:evpnd {path}; chmod 640 {path}");
            (format!("mode {mode:04o}, open to others"), mend)
        }
        // One octet is the end of an empty line: no key is as short.
        Some(Outside { length: 0 | 1, .. }) => ("empty".to_owned(), write()),
        Some(_) => return None,
    };
    Some(
        Finding::setting("password-file", State::Wrong, path, value)
            .about(&file.whose)
            .breaks(format!(
                "evpnd neither starts nor reloads with it: it is for the secret of {}",
                file.whose
            ))
            .mend(mend),
    )
}
