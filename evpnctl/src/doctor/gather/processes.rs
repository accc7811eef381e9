//! Who runs in this network namespace, and who listens.
//!
//! **A process that cannot be looked at counts as being here**: without rights only names are seen.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// systemd-networkd's name, of which the kernel keeps 15 characters.
pub(super) const NETWORKD: &str = "systemd-network";
/// NetworkManager's.
pub(super) const NETWORK_MANAGER: &str = "NetworkManager";
/// The state of a socket that listens, in /proc/net/tcp.
const LISTENS: &str = "0A";

fn all() -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let number = |entry: &fs::DirEntry| {
        entry.file_name().to_str().is_some_and(|name| name.bytes().all(|b| b.is_ascii_digit()))
    };
    entries.filter(number).map(|entry| entry.path())
}

fn name(process: &Path) -> Option<String> {
    fs::read_to_string(process.join("comm")).ok().map(|name| name.trim().to_owned())
}

/// The names of the processes in this network namespace.
pub(super) fn here() -> BTreeSet<String> {
    let own = fs::read_link("/proc/self/ns/net").ok();
    let is_here = |process: &PathBuf| match fs::read_link(process.join("ns/net")) {
        Ok(theirs) => Some(theirs) == own,
        Err(_) => true,
    };
    all().filter(is_here).filter_map(|process| name(&process)).collect()
}

/// The names of those who listen on a TCP port in this network namespace; `?` where it is not
/// visible.
pub(super) fn listeners(port: u16) -> Vec<String> {
    let tables = ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"];
    let texts = tables.iter().filter_map(|path| fs::read_to_string(path).ok());
    let wanted: BTreeSet<String> = texts.flat_map(|text| sockets(&text, port)).collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    let mut known = BTreeSet::new();
    let mut names = BTreeSet::new();
    for process in all() {
        let files = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        for file in files {
            let Ok(target) = fs::read_link(file.path()) else { continue };
            let Some(target) = target.to_str().filter(|target| wanted.contains(*target)) else {
                continue;
            };
            known.insert(target.to_owned());
            names.extend(name(&process));
        }
    }
    if known != wanted {
        names.insert("?".to_owned());
    }
    names.into_iter().collect()
}

/// The sockets of a table of /proc/net that listen on a port, as links of /proc/PID/fd name them.
///
/// ```text
///   sl  local_address rem_address   st tx_queue:rx_queue tr:when retrnsmt uid timeout inode
///    0: 00000000:00B3 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 26547 ...
/// ```
fn sockets(table: &str, port: u16) -> Vec<String> {
    let socket = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        let (_, number) = local.rsplit_once(':')?;
        let matches = u16::from_str_radix(number, 16) == Ok(port) && *state == LISTENS;
        matches.then(|| format!("socket:[{inode}]"))
    };
    table.lines().skip(1).filter_map(socket).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_that_listen_on_the_port_are_found() {
        let table = "  sl  local_address rem_address   st tx rx tr uid timeout inode\n\
            0: 00000000:00B3 00000000:0000 0A 0:0 00:0 0 0 0 26547 1\n\
            1: 0100007F:00B3 0200007F:9C40 01 0:0 00:0 0 0 0 26548 1\n\
            2: 00000000:04B3 00000000:0000 0A 0:0 00:0 0 0 0 26549 1\n";
        assert_eq!(sockets(table, 179), ["socket:[26547]"]);
        let table6 = "header\n0: 00000000000000000000000000000000:00B3 0:0 0A 0:0 00:0 0 0 0 7 1\n";
        assert_eq!(sockets(table6, 179), ["socket:[7]"]);
        assert_eq!(sockets("", 179), Vec::<String>::new());
    }

    #[test]
    fn we_are_here_ourselves() {
        let own = name(Path::new("/proc/self")).unwrap();
        assert!(here().contains(&own), "{own}");
    }
}
