//! A look at devices, their settings and neighbours, for those who judge them.
//!
//! It tells of settings that routing does not depend on and hosts do (a bridge's ageing time, its
//! spanning tree), which is why they are no [`facts`](evpn_dataplane::facts).
//!
//! **It only reads**, and needs no rights.

use crate::encode::{AF_INET, family};
use crate::error::Error;
use crate::parse::parse;
use crate::parse_link::{LINK_HEADER, find, ifla, info, is_set, text};
use crate::requests::Requests;
use crate::wire::{Message, u32_at};
use evpn_dataplane::facts::Link;
use evpn_dataplane::object::IfIndex;
use evpn_dataplane::observe::{Observation, Resolution};
use std::collections::BTreeMap;
use std::time::Duration;

/// A bridge's settings (`IFLA_BR_*`).
mod br {
    pub(super) const AGEING_TIME: u16 = 4;
    pub(super) const STP_STATE: u16 = 5;
    pub(super) const NF_CALL_IPTABLES: u16 = 36;
    pub(super) const NF_CALL_IP6TABLES: u16 = 37;
}

/// What was found.
#[derive(Clone, Default, Debug)]
pub struct Survey {
    /// Every device of the namespace, by ascending index.
    pub devices: Vec<Device>,
    /// Neighbours that count against `net.ipv4.neigh.default.gc_thresh3`: not the permanent ones
    /// and not those that a control plane wrote.
    pub neighbours_ipv4: u64,
    /// The same for IPv6.
    pub neighbours_ipv6: u64,
}

/// A device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Device {
    /// What routing knows of it.
    pub link: Link,
    /// A bridge's further settings.
    pub bridge: Option<BridgeSettings>,
}

/// A bridge's settings beyond [`LinkKind`](evpn_dataplane::facts::LinkKind).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BridgeSettings {
    /// How long a silent host is remembered.
    pub ageing: Duration,
    /// Whether it speaks the spanning tree protocol.
    pub spanning_tree: bool,
    /// Whether its frames are shown to iptables or ip6tables, whatever the sysctl says.
    pub filtered: bool,
}

impl Requests {
    /// Looks at devices and neighbours.
    ///
    /// # Errors
    /// The kernel refused, did not answer, or changed too fast.
    pub fn survey(&mut self) -> Result<Survey, Error> {
        let mut survey = Survey::default();
        let mut devices: BTreeMap<IfIndex, Device> = BTreeMap::new();
        self.dump_devices(&mut |message| match parse(message) {
            Some(Observation::Link(link)) => {
                let bridge = bridge_settings(message);
                devices.insert(link.index, Device { link: *link, bridge });
            }
            Some(Observation::Address { device, address }) => {
                if let Some(device) = devices.get_mut(&device) {
                    device.link.addresses.push(address);
                }
            }
            Some(Observation::Neighbour(seen)) => {
                if seen.external || seen.resolution == Resolution::Permanent {
                    return;
                }
                match family(seen.key.address) {
                    AF_INET => survey.neighbours_ipv4 += 1,
                    _ => survey.neighbours_ipv6 += 1,
                }
            }
            _ => {}
        })?;
        survey.devices = devices.into_values().collect();
        for device in &mut survey.devices {
            device.link.addresses.sort_unstable();
            device.link.addresses.dedup();
        }
        Ok(survey)
    }
}

fn bridge_settings(message: &Message<'_>) -> Option<BridgeSettings> {
    let attributes = message.payload.get(LINK_HEADER..)?;
    let info = find(attributes, ifla::LINKINFO)?;
    find(info, info::KIND).filter(|kind| text(kind) == "bridge")?;
    let data = find(info, info::DATA)?;
    let number = |wanted| find(data, wanted).and_then(|value| u32_at(value, 0)).unwrap_or_default();
    Some(BridgeSettings {
        // The kernel tells it in hundredths of a second (USER_HZ), whatever its own clock.
        ageing: Duration::from_millis(10 * u64::from(number(br::AGEING_TIME))),
        spanning_tree: number(br::STP_STATE) != 0,
        filtered: is_set(data, br::NF_CALL_IPTABLES) || is_set(data, br::NF_CALL_IP6TABLES),
    })
}
