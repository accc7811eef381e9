//! Who a neighbor is: its address, or the interface at whose other end it is.
//!
//! **Exactly one of the two keys says so**, and what has no meaning with it is refused.

use super::router::Router;
use crate::parse;
use crate::section::{Reading, Section};
use evpn_proto::types::{InterfaceName, NeighborId};
use std::net::IpAddr;

/// Who it is: exactly one of two keys says so.
pub(super) fn read_id(section: &Section<'_>, reading: &mut Reading) -> Option<NeighborId> {
    let address = section.opt(reading, "address", parse::host_address);
    let interface = section.opt(reading, "interface", parse::interface);
    match (section.has("address"), section.has("interface")) {
        (true, true) => {
            let message = "a neighbor has an address or an interface, not both".to_owned();
            let help = "remove one: on an interface its address is found by router advertisements";
            section.refuse(reading, "interface", message, help.into());
            None
        }
        (false, false) => {
            let help = "write address = \"10.0.0.2\" with its address, or interface = \"swp1\" \
                        for whoever is at the other end of that link";
            let message = format!("{} has neither \"address\" nor \"interface\"", section.title());
            section.refuse(reading, "address", message, help.into());
            None
        }
        _ => address.map(NeighborId::from).or(interface.map(NeighborId::from)),
    }
}

/// A neighbor is at the other end of its interface, and speaks from there.
pub(super) fn check_interface(section: &Section<'_>, reading: &mut Reading, name: &InterfaceName) {
    if section.has("update-source") {
        let message = format!("update-source cannot be set for neighbor {name}");
        let help = "remove it: on an interface both ends speak from their link-local addresses";
        section.refuse(reading, "update-source", message, help.into());
    }
    if section.has("multihop") {
        let message = format!("multihop cannot be set for neighbor {name}");
        let help = "remove it: whoever is at the other end of a link is one hop away";
        section.refuse(reading, "multihop", message, help.into());
    }
}

/// Its address is not ours, and can be reached from where we speak.
pub(super) fn check_addresses(
    section: &Section<'_>,
    reading: &mut Reading,
    router: &Router,
    address: IpAddr,
    source: Option<IpAddr>,
) {
    if Some(address) == router.vtep || Some(address) == source {
        let message = format!("address {address} is this router's own");
        section.refuse(reading, "address", message, "write the neighbor's address".into());
    }
    if let Some(source) = source.filter(|source| source.is_ipv4() != address.is_ipv4()) {
        let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
        let message = format!("update-source {source} cannot reach {address}");
        section.refuse(reading, "update-source", message, format!("write an {family} address"));
    }
}
