//! What a process acts upon: the network, its machine, its disk, and who watches.
//!
//! **A record is on the disk when the call returns**: nothing that the engine puts out later is
//! carried out before.

use crate::machine::Machine;
use crate::network::Network;
use crate::plant::Planted;
use crate::random::Random;
use crate::scenario::Scenario;
use crate::site::{Birth, NodeId};
use crate::trace::Trace;
use crate::witness::Sequences;
use evpn_energy::{Snapshot, UnixSeconds};
use evpn_engine::{Memory, Now, PersistRecord, Start};
use evpn_proto::types::{MacAddr, Time, Vni};
use std::collections::BTreeMap;

/// The wall clock at the start of a run.
const WALL_START: u64 = 1_780_000_000;

/// What outlives a process.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    sequences: BTreeMap<Vni, BTreeMap<MacAddr, u32>>,
    energy: Option<Snapshot>,
}

impl Disk {
    pub(crate) fn write(&mut self, record: PersistRecord, planted: Planted) {
        match record {
            PersistRecord::Sequence(..) if planted.forgets_sequences() => {}
            PersistRecord::Sequence(vni, mac, sequence) => {
                self.sequences.entry(vni).or_default().insert(mac, sequence);
            }
            PersistRecord::Energy(snapshot) => self.energy = Some(*snapshot),
        }
    }

    pub(crate) fn memory(&self, birth: Birth) -> Memory {
        let start = match birth {
            Birth::First => Start::Cold,
            Birth::Restart => Start::Restart,
        };
        let sequences = self.sequences.iter();
        let sequences = sequences.map(|(vni, macs)| (*vni, macs.clone().into_iter().collect()));
        Memory { sequences: sequences.collect(), energy: self.energy.clone(), start }
    }
}

/// What a process acts upon.
pub(crate) struct Around<'a> {
    pub(crate) now: Time,
    pub(crate) node: NodeId,
    pub(crate) scenario: &'a Scenario,
    pub(crate) network: &'a mut Network,
    pub(crate) machine: &'a mut Machine,
    pub(crate) disk: &'a mut Disk,
    pub(crate) random: &'a mut Random,
    pub(crate) sequences: &'a mut Sequences,
    pub(crate) planted: Planted,
    pub(crate) trace: &'a mut Trace,
    /// When anything last happened that a network at rest does not do.
    pub(crate) active: &'a mut Time,
}

impl Around<'_> {
    pub(crate) fn clocks(&self) -> Now {
        let wall = UnixSeconds(WALL_START + self.now.as_nanos() / 1_000_000_000);
        Now { time: self.now, wall }
    }

    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        let node = self.node.0;
        self.trace.note(self.now, || format!("[{node}] {}", line()));
    }
}
