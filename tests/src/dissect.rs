//! What tshark makes of captured BGP: the octets of a conversation, and its complaints.
//!
//! **TCP is put together by tshark, so what is compared is what crossed the wire.**

use crate::octets::{self, hex};
use crate::process::require;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// How grave expert information is from a warning on; a note says, for one, that a route names no
/// IP address.
const SEVERITY_WARN: u32 = 0x0060_0000;

/// Runs tshark on a capture, as text.
///
/// # Panics
/// Where it fails.
#[track_caller]
fn tshark(file: &Path, args: &[&str]) -> String {
    require("tshark", "tshark");
    let mut command = Command::new("tshark");
    command.arg("-r").arg(file).args(args);
    let output = command.output().unwrap_or_else(|e| panic!("tshark: {e}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tshark {args:?}: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The BGP messages that one address sent another, header included, connection by connection.
///
/// # Panics
/// Where tshark fails.
#[track_caller]
pub fn bgp_messages(file: &Path, from: &str, to: &str) -> Vec<Vec<u8>> {
    let between = format!("tcp.port == 179 && ip.addr == {from} && ip.addr == {to}");
    let streams: BTreeSet<u32> =
        tshark(file, &["-Y", &between, "-T", "fields", "-e", "tcp.stream"])
            .lines()
            .filter_map(|line| line.parse().ok())
            .collect();
    streams.iter().flat_map(|stream| octets::messages(&said(file, *stream, from))).collect()
}

/// What an address said in a TCP connection.
fn said(file: &Path, stream: u32, from: &str) -> Vec<u8> {
    let text = tshark(file, &["-q", "-z", &format!("follow,tcp,raw,{stream}")]);
    let is_first = text.lines().any(|l| l.starts_with(&format!("Node 0: {from}:")));
    // The second node's lines are indented by a tab.
    let lines = text.lines().filter(|l| {
        let digits = l.trim_start_matches('\t');
        l.starts_with('\t') != is_first
            && !digits.is_empty()
            && digits.bytes().all(|b| b.is_ascii_hexdigit())
    });
    lines.flat_map(octets::unhex).collect()
}

/// What tshark complains about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Complaint {
    /// The number of the frame.
    pub frame: String,
    /// In its words.
    pub text: String,
}

/// What tshark says of the BGP messages that an address sent: how many it saw, and its complaints.
///
/// # Panics
/// Where tshark fails.
#[track_caller]
pub fn complaints(file: &Path, from: &str) -> (usize, Vec<Complaint>) {
    let display = format!("bgp && ip.src == {from}");
    let text = tshark(file, &["-Y", &display, "-T", "json", "--no-duplicate-keys"]);
    let packets: Vec<Value> = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    let (mut count, mut found) = (0, Vec::new());
    for packet in &packets {
        let layers = &packet["_source"]["layers"];
        let frame = layers["frame"]["frame.number"].as_str().unwrap_or_default();
        count += match &layers["bgp"] {
            Value::Array(all) => all.len(),
            Value::Null => 0,
            _ => 1,
        };
        let mut texts = Vec::new();
        complain(&layers["bgp"], &mut texts);
        if layers.get("_ws.malformed").is_some() {
            texts.push("malformed".to_owned());
        }
        found.extend(texts.into_iter().map(|text| Complaint { frame: frame.to_owned(), text }));
    }
    (count, found)
}

/// Expert information from a warning on, and what tshark calls unknown or undecoded.
fn complain(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                if key == "_ws.expert" {
                    found.extend(many(inner).iter().filter_map(warning));
                    continue;
                }
                let is_complaint = ["malformed", "unknown", "undecoded", "invalid"];
                if is_complaint.iter().any(|word| key.to_lowercase().contains(word)) {
                    found.push(format!("{key}: {inner}"));
                }
                complain(inner, found);
            }
        }
        Value::Array(all) => all.iter().for_each(|one| complain(one, found)),
        _ => {}
    }
}

/// What expert information says, where it is more than a note.
fn warning(expert: &Value) -> Option<String> {
    let text = |key: &str| expert[key].as_str();
    let severity: u32 = text("_ws.expert.severity")?.parse().ok()?;
    let message = text("_ws.expert.message").unwrap_or("no words");
    (severity >= SEVERITY_WARN).then(|| message.to_owned())
}

fn many(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(all) => all.clone(),
        one => vec![one.clone()],
    }
}

/// Writes a capture of one TCP segment from 192.0.2.1 to port 179 of 192.0.2.2.
///
/// # Panics
/// Where the file cannot be written or the segment is too long for a packet.
pub fn write_capture(file: &Path, payload: &[u8]) {
    let total = u16::try_from(40 + payload.len()).expect("one packet holds it");
    let ip = [
        &[0x45, 0],
        &total.to_be_bytes()[..],
        &octets::unhex("0001 4000 40 06 0000 c0000201 c0000202"),
    ]
    .concat();
    // Ports 40000 and 179, sequence and acknowledgement 1, PSH and ACK.
    let tcp = octets::unhex("9c40 00b3 00000001 00000001 50 18 ffff 0000 0000");
    let packet = [&ip, &tcp, payload].concat();
    let length = u32::from(total).to_le_bytes();
    // pcap 2.4 in little endian, link type 101: bare IP packets.
    let head = octets::unhex("d4c3b2a1 0200 0400 00000000 00000000 ffff0000 65000000");
    let whole = [&head, &[0; 8][..], &length, &length, &packet].concat();
    fs::write(file, whole).unwrap_or_else(|e| panic!("{}: {e}", hex(payload)));
}
