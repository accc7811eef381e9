//! One connection to the speaker under attack.

use super::{Deeds, Target};
use crate::bgp::{self, KEEPALIVE, OPEN};
use evpn_proto::bgp::message::{AddPath, Capability, Family, Open};
use evpn_proto::bgp::wire::{encode_keepalive, encode_open};
use evpn_proto::types::Asn;
use std::io;
use std::time::Duration;

const HOLD: Duration = Duration::from_secs(9);
/// The receive buffer of who reads nothing: as little as the kernel allows.
const NO_ROOM: usize = 2048;

/// What it speaks.
pub(super) const FAMILIES: [Family; 4] =
    [Family::EVPN, Family::IPV4_UNICAST, Family::IPV6_UNICAST, Family::RT_CONSTRAINT];

/// Every other attacker has several paths to its routes (RFC 7911).
pub(super) const fn sends_path_ids(asn: u32) -> bool {
    asn % 2 == 1
}

/// Whether answers are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ears {
    /// Yes.
    Open,
    /// As little as the kernel takes by itself.
    Shut,
}

pub(super) struct Connection {
    inner: bgp::Connection,
    ears: Ears,
}

/// A right OPEN: every family there is, and all that changes how routes are read.
pub(super) fn open(target: Target) -> Vec<u8> {
    let mut capabilities: Vec<_> = FAMILIES.map(Capability::Multiprotocol).into();
    capabilities.extend([
        Capability::FourOctetAs(Asn(target.own_asn)),
        Capability::RouteRefresh,
        Capability::EnhancedRouteRefresh,
        Capability::ExtendedNextHop(vec![(Family::IPV4_UNICAST, Family::IPV6_UNICAST.afi)]),
    ]);
    if sends_path_ids(target.own_asn) {
        let send = |family| (family, AddPath::Send);
        capabilities.push(Capability::AddPath(FAMILIES.map(send).into()));
    }
    let open =
        Open { asn: Asn(target.own_asn), hold_time: HOLD, router_id: target.from, capabilities };
    encode_open(&open).to_vec()
}

impl Connection {
    pub(super) fn dial(target: Target, ears: Ears) -> io::Result<Self> {
        let room = (ears == Ears::Shut).then_some(NO_ROOM);
        let inner = bgp::Connection::dial(target.from, target.address, room)?;
        Ok(Self { inner, ears })
    }

    /// Dials and opens; the session is up when this succeeds.
    pub(super) fn establish(target: Target, ears: Ears, deeds: &mut Deeds) -> io::Result<Self> {
        let mut connection = Self::dial(target, ears)?;
        connection.send(&open(target), deeds)?;
        // Its OPEN and its KEEPALIVE, whatever else comes in between.
        connection.hear(OPEN)?;
        connection.send(&encode_keepalive(), deeds)?;
        connection.hear(KEEPALIVE)?;
        deeds.established += 1;
        Ok(connection)
    }

    /// Waits for a message of a type.
    pub(super) fn hear(&mut self, wanted: u8) -> io::Result<()> {
        self.inner.hear(wanted)
    }

    /// Sends, and leaves the answer to be heard.
    fn send(&mut self, octets: &[u8], deeds: &mut Deeds) -> io::Result<()> {
        self.inner.say(octets)?;
        deeds.messages += 1;
        deeds.octets += u64::try_from(octets.len()).unwrap_or_default();
        Ok(())
    }

    /// Sends, and forgets what has come.
    pub(super) fn say(&mut self, octets: &[u8], deeds: &mut Deeds) -> io::Result<()> {
        self.send(octets, deeds)?;
        if self.ears == Ears::Open {
            self.inner.drain();
        }
        Ok(())
    }

    /// Whether the other side still holds the connection.
    pub(super) fn is_open(&self) -> bool {
        self.inner.is_open()
    }

    /// Ends it with a reset instead of a close.
    pub(super) fn reset(self) {
        self.inner.reset();
    }
}
