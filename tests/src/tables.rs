//! The kernel's tables as `bridge` and `ip` show them.
//!
//! **This is the kernel's word, not evpnd's.**

use crate::ns::Ns;
use serde_json::Value;
use std::fmt;

/// The FDB of a namespace.
#[derive(Clone, Debug, Default)]
pub struct Fdb {
    /// Its entries.
    pub entries: Vec<FdbEntry>,
}

/// An entry of `bridge -j fdb show`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FdbEntry {
    /// The MAC address.
    pub mac: String,
    /// The device.
    pub device: String,
    /// The VTEP, of entries in a VXLAN device.
    pub dst: Option<String>,
    /// The nexthop group, of entries that point at one.
    pub nhid: Option<u64>,
    /// Whether it is the bridge's entry rather than the device's own.
    pub in_bridge: bool,
    /// Whether a control plane put it there.
    pub extern_learn: bool,
    /// `permanent`, `static`, or empty.
    pub state: String,
}

impl fmt::Display for FdbEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mac, device, .. } = self;
        let dst = self.dst.as_deref().unwrap_or("-");
        let place = if self.in_bridge { "bridge" } else { "self" };
        let owner = if self.extern_learn { " extern_learn" } else { "" };
        write!(f, "{mac} dev {device} dst {dst} {place}{owner} {}", self.state)
    }
}

impl Fdb {
    /// Reads it.
    ///
    /// # Panics
    /// Where `bridge` cannot.
    #[track_caller]
    pub fn read(ns: &Ns) -> Self {
        let text = ns.sh("bridge -j fdb show");
        let all: Vec<Value> = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
        let mut entries: Vec<FdbEntry> = all.iter().map(entry).collect();
        entries.sort();
        Self { entries }
    }

    /// Where a MAC address is, in full.
    pub fn of(&self, mac: &str) -> Vec<&FdbEntry> {
        self.entries.iter().filter(|e| e.mac == mac).collect()
    }

    /// What a control plane put into a VXLAN device: MAC (zeros for flooding) and VTEP.
    pub fn remote(&self, device: &str) -> Vec<(String, String)> {
        let of_device = self.entries.iter().filter(|e| e.device == device && !e.in_bridge);
        let mut all: Vec<(String, String)> =
            of_device.filter_map(|e| Some((e.mac.clone(), e.dst.clone()?))).collect();
        all.sort();
        all
    }

    /// MAC addresses that the bridge itself has learnt on a port.
    pub fn learnt(&self, device: &str) -> Vec<String> {
        self.entries
            .iter()
            .filter(|e| e.device == device && e.in_bridge && !e.extern_learn)
            .filter(|e| e.state != "permanent")
            .map(|e| e.mac.clone())
            .collect()
    }
}

fn entry(value: &Value) -> FdbEntry {
    let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let flags: Vec<&str> =
        value["flags"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    FdbEntry {
        mac: text("mac"),
        device: text("ifname"),
        dst: value["dst"].as_str().map(str::to_owned),
        nhid: value["nhid"].as_u64(),
        in_bridge: value["master"].is_string(),
        extern_learn: flags.contains(&"extern_learn"),
        state: text("state"),
    }
}

/// An entry of `ip -j neigh show`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeighEntry {
    /// The address.
    pub ip: String,
    /// The device.
    pub device: String,
    /// The MAC address, where it is known.
    pub mac: Option<String>,
    /// Whether a control plane put it there.
    pub extern_learn: bool,
    /// `REACHABLE`, `NOARP`, ...
    pub state: String,
}

impl NeighEntry {
    /// Those of an address, IPv4 or IPv6, in a namespace.
    ///
    /// # Panics
    /// Where `ip` cannot tell.
    #[track_caller]
    pub fn of(ns: &Ns, address: &str) -> Vec<Self> {
        let text = ns.sh(&format!("ip -j neigh show to {address}"));
        let all: Vec<Value> = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
        let one = |v: &Value| Self {
            ip: v["dst"].as_str().unwrap_or_default().to_owned(),
            device: v["dev"].as_str().unwrap_or_default().to_owned(),
            mac: v["lladdr"].as_str().map(str::to_owned),
            // iproute2 prints a flag as a key whose value is null.
            extern_learn: v.get("extern_learn").is_some(),
            state: v["state"][0].as_str().unwrap_or_default().to_owned(),
        };
        all.iter().map(one).collect()
    }
}
