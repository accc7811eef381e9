//! The neighbours by their numbers, and how a number comes free.
//!
//! A number names a neighbour in tables, groups and the shell. When the neighbour is gone its
//! number is first *leaving*: tables and groups hear of the end of its paths in their own time, and
//! only when all have may somebody else have it.
//!
//! **A number stands for one neighbour at a time, and so does the name of a connection**: who takes
//! over a number goes on counting connections where the former one ended.

use crate::peer::Peer;
use evpn_proto::types::NeighborId;
use evpn_rib::PeerIdx;

/// A number.
#[derive(Debug)]
enum Slot {
    Used(Box<Peer>),
    /// Its neighbour is gone, what it left behind is not yet.
    Leaving(Former),
    Free(Former),
}

/// What is to be known of the former neighbour of a number.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Former {
    /// How often it was dialled.
    pub(crate) dials: u64,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    slots: Vec<Slot>,
    /// How many numbers are leaving.
    leaving: usize,
}

impl Peers {
    /// Adds a neighbour, made for the lowest free number; none if all are taken.
    pub(crate) fn add(&mut self, make: impl FnOnce(PeerIdx, Former) -> Peer) -> Option<PeerIdx> {
        let free = self.slots.iter().position(|slot| matches!(slot, Slot::Free(_)));
        let place = free.unwrap_or(self.slots.len());
        let index = u16::try_from(place).ok().map(PeerIdx).filter(|i| *i != PeerIdx::LOCAL)?;
        let former = match self.slots.get(place) {
            Some(Slot::Free(former)) => *former,
            _ => Former::default(),
        };
        let used = Slot::Used(Box::new(make(index, former)));
        match self.slots.get_mut(place) {
            Some(slot) => *slot = used,
            None => self.slots.push(used),
        }
        Some(index)
    }

    /// Takes a neighbour out: from now on it is seen nowhere. Its number waits for
    /// [`Peers::take_leaving`].
    pub(crate) fn remove(&mut self, index: PeerIdx) {
        let Some(slot) = self.slots.get_mut(usize::from(index.0)) else { return };
        if let Slot::Used(peer) = slot {
            *slot = Slot::Leaving(Former { dials: peer.session.dials() });
            self.leaving = self.leaving.saturating_add(1);
        }
    }

    /// Nothing refers any more to neighbours that are gone: their numbers are free.
    pub(crate) fn take_leaving(&mut self) -> Vec<PeerIdx> {
        if std::mem::take(&mut self.leaving) == 0 {
            return Vec::new();
        }
        let mut freed = Vec::new();
        for (index, slot) in (0..).map(PeerIdx).zip(&mut self.slots) {
            if let Slot::Leaving(former) = slot {
                *slot = Slot::Free(*former);
                freed.push(index);
            }
        }
        freed
    }

    pub(crate) fn get(&self, index: PeerIdx) -> Option<&Peer> {
        match self.slots.get(usize::from(index.0))? {
            Slot::Used(peer) => Some(peer),
            Slot::Leaving(_) | Slot::Free(_) => None,
        }
    }

    pub(crate) fn get_mut(&mut self, index: PeerIdx) -> Option<&mut Peer> {
        match self.slots.get_mut(usize::from(index.0))? {
            Slot::Used(peer) => Some(peer),
            Slot::Leaving(_) | Slot::Free(_) => None,
        }
    }

    /// Every neighbour, by its number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Used(peer) => Some(peer.as_ref()),
            Slot::Leaving(_) | Slot::Free(_) => None,
        })
    }

    /// Every neighbour, by its number.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Peer> {
        self.slots.iter_mut().filter_map(|slot| match slot {
            Slot::Used(peer) => Some(peer.as_mut()),
            Slot::Leaving(_) | Slot::Free(_) => None,
        })
    }

    /// The numbers in use, for who changes neighbours while going through them.
    pub(crate) fn indices(&self) -> Vec<PeerIdx> {
        self.iter().map(|peer| peer.index).collect()
    }

    /// The neighbour of this name.
    pub(crate) fn named(&self, id: &NeighborId) -> Option<&Peer> {
        self.iter().find(|peer| peer.settings.id == *id)
    }
}
