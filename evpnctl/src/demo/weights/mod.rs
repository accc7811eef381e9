//! The weights that a leaf's kernel holds for a prefix.
//!
//! They are read by netlink, and shown as `ip` shows them where it knows them.
//!
//! **They come from the kernel alone**; evpnd is not asked.

mod netlink;

use super::network::{Lab, Trouble};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

/// Nexthops and the routes that point at them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Kernel {
    /// Nexthops and groups.
    pub(crate) nexthops: Vec<Nexthop>,
    /// Prefixes, each with the nexthop or group it points at.
    pub(crate) routes: BTreeMap<String, u32>,
}

/// A nexthop or a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Nexthop {
    /// Its number.
    pub(crate) id: u32,
    /// Where it leads; none for a group.
    pub(crate) gateway: Option<IpAddr>,
    /// Its members, if it is a group.
    #[serde(default)]
    pub(crate) group: Vec<Member>,
}

/// A member of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    /// The nexthop.
    pub(crate) id: u32,
    /// Its weight; `ip` leaves 1 out.
    #[serde(default = "one")]
    pub(crate) weight: u32,
}

const fn one() -> u32 {
    1
}

/// The weight of each gateway of a prefix.
pub(crate) type Weights = BTreeMap<IpAddr, u32>;

/// `__weights`: what netlink says, as JSON.
///
/// # Errors
/// Of netlink.
pub(crate) fn run() -> io::Result<()> {
    super::load::tell(&netlink::read()?)
}

/// Who tells the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum Source {
    /// `ip nexthop` and `ip route`.
    #[serde(rename = "ip nexthop")]
    Ip,
    /// Netlink.
    #[serde(rename = "netlink")]
    Netlink,
}

/// The weights of a leaf for prefixes, by netlink.
///
/// # Errors
/// If they cannot be read.
pub(crate) fn read(lab: &Lab, node: &str, prefixes: &[IpAddr]) -> Result<Vec<Weights>, Trouble> {
    let text = lab.output_of_self(node, &["__weights"])?;
    let kernel = serde_json::from_str(&text);
    Ok(of(&kernel.map_err(|e| Trouble::new(format!("__weights: {e}")))?, prefixes))
}

/// The same as `ip` shows them, if it does: where it is older than weights of two octets it shows
/// the lower one only, and netlink is believed.
///
/// # Errors
/// If they cannot be read.
pub(crate) fn show(
    lab: &Lab,
    node: &str,
    prefixes: &[IpAddr],
) -> Result<(Vec<Weights>, Source), Trouble> {
    let by_netlink = read(lab, node, prefixes)?;
    match ask_ip(lab, node, prefixes) {
        Ok(kernel) if of(&kernel, prefixes) == by_netlink => Ok((by_netlink, Source::Ip)),
        _ => Ok((by_netlink, Source::Netlink)),
    }
}

fn of(kernel: &Kernel, prefixes: &[IpAddr]) -> Vec<Weights> {
    let weights = |prefix: &IpAddr| {
        let id = kernel.routes.get(&host_prefix(*prefix));
        id.map(|id| by_gateway(&kernel.nexthops, *id)).unwrap_or_default()
    };
    prefixes.iter().map(weights).collect()
}

fn host_prefix(address: IpAddr) -> String {
    format!("{address}/{}", if address.is_ipv6() { 128 } else { 32 })
}

/// A route as `ip -j route` shows it.
#[derive(Deserialize)]
struct IpRoute {
    nhid: Option<u32>,
}

fn ask_ip(lab: &Lab, node: &str, prefixes: &[IpAddr]) -> Result<Kernel, Trouble> {
    let wrong =
        |e: serde_json::Error| Trouble::new(format!("what ip -j says is not understood: {e}"));
    let mut kernel = Kernel::default();
    let text = lab.output(node, "ip", &["-j", "nexthop", "show"])?;
    kernel.nexthops = serde_json::from_str(&text).map_err(wrong)?;
    for prefix in prefixes.iter().copied().map(host_prefix) {
        let family = if prefix.contains(':') { "-6" } else { "-4" };
        let text = lab.output(node, "ip", &[family, "-j", "route", "show", &prefix])?;
        let routes: Vec<IpRoute> = serde_json::from_str(&text).map_err(wrong)?;
        let nexthop = routes.first().and_then(|route| route.nhid);
        kernel.routes.extend(nexthop.map(|id| (prefix, id)));
    }
    Ok(kernel)
}

/// The weight of each gateway of a nexthop or group, its members with the same gateway summed up.
fn by_gateway(nexthops: &[Nexthop], id: u32) -> Weights {
    let of = |id: u32| nexthops.iter().find(|n| n.id == id);
    let Some(nexthop) = of(id) else { return Weights::new() };
    let single = [Member { id, weight: 1 }];
    let members = if nexthop.group.is_empty() { &single[..] } else { &nexthop.group };
    let mut weights = Weights::new();
    for member in members {
        if let Some(gateway) = of(member.id).and_then(|n| n.gateway) {
            *weights.entry(plain(gateway)).or_insert(0) += member.weight;
        }
    }
    weights
}

/// An IPv4 address that stands in an IPv6 one, by itself.
fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What iproute2 6.1 printed for a group of two ways with two members each.
    const IP: &str = r#"[
        {"id":1,"gateway":"10.0.0.1","dev":"br5000","scope":"link","flags":["onlink"]},
        {"id":2,"gateway":"10.0.0.1","dev":"br5000","scope":"link","flags":["onlink"]},
        {"id":3,"gateway":"::ffff:10.0.0.2","dev":"br5000","scope":"link","flags":["onlink"]},
        {"id":4,"gateway":"::ffff:10.0.0.2","dev":"br5000","scope":"link","flags":["onlink"]},
        {"id":9,"group":[{"id":1},{"id":2},{"id":3,"weight":256},{"id":4,"weight":256}],
         "type":"resilient","resilient_args":{"buckets":32768,"idle_timer":2},"scope":"link"}]"#;

    #[test]
    fn a_way_weighs_what_its_members_weigh_together() {
        let nexthops: Vec<Nexthop> = serde_json::from_str(IP).unwrap();
        let weights = by_gateway(&nexthops, 9);
        let gateway = |n| IpAddr::from([10, 0, 0, n]);
        assert_eq!(weights, BTreeMap::from([(gateway(1), 2), (gateway(2), 512)]));
        assert_eq!(by_gateway(&nexthops, 3), BTreeMap::from([(gateway(2), 1)]));
        assert_eq!(by_gateway(&nexthops, 77), BTreeMap::new());
    }
}
