//! What crossed a wire, by tcpdump, told by tshark.
//!
//! **A capture has begun when [`Capture::start`] returns**, so a frame that is not in it was not
//! there.

use crate::ns::Ns;
use crate::process::{Daemon, require};
use crate::wait::{eventually, pause};
use nix::sys::signal::Signal;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A running capture.
#[derive(Debug)]
pub struct Capture {
    tcpdump: Daemon,
    file: PathBuf,
}

/// One announcement of a MAC address, as tshark read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MacAnnouncement {
    /// The speaker's address.
    pub source: String,
    /// The MAC address.
    pub mac: String,
    /// The sequence of the MAC mobility community; 0 where there is none (RFC 7432 §7.7).
    pub sequence: u32,
}

impl Capture {
    /// Captures what `filter` matches on a device, into `file`.
    ///
    /// # Panics
    /// Where tcpdump does not start.
    #[track_caller]
    pub fn start(ns: &Ns, device: &str, filter: &str, file: &Path) -> Self {
        require("tcpdump", "tcpdump");
        require("tshark", "tshark");
        let mut command = ns.command("tcpdump");
        command.args(["-Z", "root", "-n", "-U", "--immediate-mode", "-i", device, "-w"]);
        command.arg(file).arg(filter);
        let mut tcpdump = Daemon::spawn("tcpdump", &mut command, &file.with_extension("log"));
        eventually(Duration::from_secs(10), "tcpdump listens", || {
            tcpdump.expect_alive();
            let log = tcpdump.log();
            if log.contains("listening on") { Ok(()) } else { Err(log) }
        });
        Self { tcpdump, file: file.to_owned() }
    }

    /// Ends the capture, if it has not ended yet; its file.
    ///
    /// # Panics
    /// Where tcpdump does not end.
    #[track_caller]
    pub fn finish(&mut self) -> &Path {
        if self.tcpdump.ended().is_none() {
            // What has just been sent is on its way through the packet socket.
            pause(Duration::from_millis(200));
            self.tcpdump.signal(Signal::SIGINT);
            eventually(Duration::from_secs(10), "tcpdump ends", || {
                self.tcpdump.ended().ok_or("it runs")
            });
        }
        &self.file
    }

    /// Ends the capture; the fields of the frames that `display` matches, one frame a line,
    /// separated by tabs, several values of a field by commas.
    ///
    /// # Panics
    /// Where tshark fails.
    #[track_caller]
    pub fn fields(&mut self, display: &str, fields: &[&str]) -> Vec<Vec<String>> {
        self.finish();
        let mut command = Command::new("tshark");
        command.arg("-r").arg(&self.file).args(["-Y", display, "-T", "fields"]);
        for field in fields {
            command.args(["-e", field]);
        }
        let output = command.output().unwrap_or_else(|e| panic!("tshark: {e}"));
        assert!(
            output.status.success(),
            "tshark -Y {display}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(|line| line.split('\t').map(str::to_owned).collect())
            .collect()
    }

    /// Every announcement of a MAC address, in order. Exact where an UPDATE holds one sequence:
    /// routes with different sequences differ in their attributes, so no UPDATE holds two; a TCP
    /// segment with several UPDATEs is taken apart by tshark's own order of fields.
    ///
    /// # Panics
    /// Where tshark fails.
    #[track_caller]
    pub fn mac_announcements(&mut self) -> Vec<MacAnnouncement> {
        self.finish();
        let output = Command::new("tshark")
            .arg("-r")
            .arg(&self.file)
            .args(["-Y", "bgp.type == 2", "-T", "json", "--no-duplicate-keys"])
            .output()
            .unwrap_or_else(|e| panic!("tshark: {e}"));
        let packets: serde_json::Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|e| panic!("tshark -T json: {e}"));
        let packets = packets.as_array().cloned().unwrap_or_default();
        packets.iter().flat_map(announcements_of_packet).collect()
    }
}

fn announcements_of_packet(packet: &serde_json::Value) -> Vec<MacAnnouncement> {
    let layers = &packet["_source"]["layers"];
    let source = layers["ip"]["ip.src"].as_str().unwrap_or_default().to_owned();
    let mut found = Vec::new();
    for message in many(&layers["bgp"]) {
        let mut macs = Vec::new();
        let mut sequences = Vec::new();
        let mut reached = false;
        collect(message, &mut |key, value| match key {
            "bgp.update.path_attribute.mp_reach_nlri" => reached = true,
            "bgp.evpn.nlri.mac_addr" => macs.push(value.to_owned()),
            "bgp.ext_com_evpn.mmac.seq" => sequences.push(value.to_owned()),
            _ => {}
        });
        if !reached {
            continue;
        }
        let sequence = sequences.first().map_or(0, |s| number(s));
        found.extend(macs.into_iter().map(|mac| MacAnnouncement {
            source: source.clone(),
            mac: mac.to_lowercase(),
            sequence,
        }));
    }
    found
}

fn many(value: &serde_json::Value) -> Vec<&serde_json::Value> {
    match value {
        serde_json::Value::Array(all) => all.iter().collect(),
        serde_json::Value::Null => Vec::new(),
        one => vec![one],
    }
}

/// Every key with its text, in order; a key with an object counts with an empty text.
fn collect(value: &serde_json::Value, found: &mut impl FnMut(&str, &str)) {
    match value {
        serde_json::Value::Object(map) => {
            for (key, inner) in map {
                for one in many(inner) {
                    found(key, one.as_str().unwrap_or_default());
                    collect(one, found);
                }
            }
        }
        serde_json::Value::Array(all) => all.iter().for_each(|one| collect(one, found)),
        _ => {}
    }
}

fn number(text: &str) -> u32 {
    match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => text.parse(),
    }
    .unwrap_or_else(|e| panic!("{text}: {e}"))
}
