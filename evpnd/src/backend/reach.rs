//! Whether the kernel does with packets what the routes mean it to.
//!
//! **The kernel holds more routes than ours**, and one of an operator's or of another daemon decides
//! as ours do.

use super::Lookups;
use evpn_api::Notice;
use evpn_dataplane::object::IfIndex;
use evpn_engine::view::why::Table;
use evpn_netlink::lookup::{Lookup, Matched};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Names of devices.
type Devices = BTreeMap<IfIndex, String>;

/// What the kernel does otherwise than a table of `why` says.
pub(super) fn contradictions(table: &Table, lookups: &Lookups, devices: &Devices) -> Vec<Notice> {
    let unreached = table.vteps.iter().filter_map(|vtep| unreached(*vtep, lookups));
    let elsewhere = table.routed.iter().filter_map(|asked| elsewhere(asked, lookups, devices));
    unreached.chain(elsewhere).collect()
}

/// A VTEP to which the kernel sends nothing.
pub(super) fn unreached(vtep: IpAddr, lookups: &Lookups) -> Option<Notice> {
    let text = match lookups.get(&vtep)? {
        Lookup::Route(_) => return None,
        Lookup::NoRoute => format!("the kernel has no route to VTEP {vtep}"),
        Lookup::Dropped(kind) => format!("the kernel drops packets to VTEP {vtep} ({kind} route)"),
    };
    Some(Notice::new(&text, format!("ip route get {vtep}")))
}

/// Another's route by which the kernel sends what a route of ours is for. One that is for a part of
/// the prefix only contradicts nothing.
fn elsewhere(asked: &IpNet, lookups: &Lookups, devices: &Devices) -> Option<Notice> {
    let address = first_address(asked)?;
    let text = match lookups.get(&address)? {
        Lookup::Route(route) if route.ours || !route.prefix.contains(asked) => return None,
        Lookup::Route(route) => {
            let route = in_words(route, devices);
            format!("the kernel sends packets to {address} by another's route: {route}")
        }
        Lookup::NoRoute => format!("the kernel has no route to {address}"),
        Lookup::Dropped(kind) => format!("the kernel drops packets to {address} ({kind} route)"),
    };
    Some(Notice::new(&text, format!("ip route get fibmatch {address}")))
}

/// A route as `ip route` writes it.
fn in_words(route: &Matched, devices: &Devices) -> String {
    let Matched { prefix, protocol, metric, gateway, device, .. } = route;
    let mut words = prefix.to_string();
    words.extend(gateway.map(|gateway| format!(" via {gateway}")));
    words.extend(device.map(|index| {
        let name = devices.get(&index).cloned().unwrap_or_else(|| index.to_string());
        format!(" dev {name}")
    }));
    words.push_str(&format!(" proto {protocol}"));
    if *metric != 0 {
        words.push_str(&format!(" metric {metric}"));
    }
    words
}

/// The first address of a prefix that packets can be sent to; none of those that begin with 0, as
/// the default route does: the kernel sends nothing there.
pub(super) fn first_address(prefix: &IpNet) -> Option<IpAddr> {
    let can_be_sent_to = |address: &IpAddr| match address {
        IpAddr::V4(v4) => v4.octets()[0] != 0,
        IpAddr::V6(v6) => !v6.is_unspecified(),
    };
    prefix.hosts().next().filter(can_be_sent_to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn route(prefix: &str, ours: bool) -> Lookup {
        Lookup::Route(Matched {
            prefix: net(prefix),
            ours,
            protocol: if ours { 110 } else { 4 },
            metric: 5,
            gateway: Some("10.1.0.2".parse().unwrap()),
            device: Some(IfIndex(3)),
        })
    }

    fn told(asked: &str, lookup: Lookup) -> Option<String> {
        let devices = BTreeMap::from([(IfIndex(3), "swp1".to_owned())]);
        let asked = net(asked);
        let lookups = BTreeMap::from([(first_address(&asked).unwrap(), lookup)]);
        elsewhere(&asked, &lookups, &devices).map(|notice| notice.text)
    }

    #[test]
    fn a_route_of_anothers_contradicts_what_it_covers_whole() {
        assert_eq!(told("192.168.2.0/24", route("192.168.2.0/24", true)), None);
        assert_eq!(
            told("192.168.2.0/24", route("192.168.2.0/24", false)).unwrap(),
            "the kernel sends packets to 192.168.2.1 by another's route: \
             192.168.2.0/24 via 10.1.0.2 dev swp1 proto 4 metric 5"
        );
        assert_eq!(told("192.168.0.0/16", route("192.168.0.0/24", false)), None);
        assert!(told("192.168.2.7/32", route("192.168.2.0/24", false)).is_some());
        assert!(
            told("192.168.2.7/32", Lookup::Dropped("blackhole")).unwrap().contains("blackhole")
        );
    }

    #[test]
    fn nothing_is_asked_for_an_address_that_nothing_is_sent_to() {
        for (prefix, first) in [
            ("0.0.0.0/0", None),
            ("::/0", None),
            ("10.0.0.2/32", Some("10.0.0.2")),
            ("192.168.2.0/24", Some("192.168.2.1")),
        ] {
            let first = first.map(|address: &str| address.parse().unwrap());
            assert_eq!(first_address(&net(prefix)), first, "{prefix}");
        }
    }
}
