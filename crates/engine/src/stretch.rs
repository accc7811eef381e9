//! A stretch of a group's changes as octets.
//!
//! **What a neighbour is told is what the table has when it is encoded**: who has changed since then
//! is further on in the group's changes.

use crate::peer::{Sender, outgoing, reflected};
use crate::rib::{Encoded, GroupKey, Own, Rib};
use bytes::BytesMut;
use evpn_proto::bgp::wire::error::EncodeError;
use evpn_proto::bgp::wire::{self, encode_attributes};
use evpn_proto::types::Route;
use evpn_rib::PeerIdx;
use evpn_rib::attr_store::AttrId;
use evpn_rib::table::{DestId, Path, PathId, PathKey};
use evpn_rib::update_group::{Batch, Stretch};
use std::mem::discriminant;
use std::net::Ipv4Addr;

/// Changes that are encoded at a time.
const BATCH_MAX: usize = 4096;
/// Stretches that are kept for those who come behind.
const CACHE_MAX: usize = 8;

/// The next stretch for a neighbour; none if it is current.
///
/// A route that cannot be told to the group is withdrawn from it, lest the group keep what it was
/// told before; the text says so, once for each kind of error.
pub(crate) fn next_octets(
    rib: &mut Rib,
    key: GroupKey,
    peer: PeerIdx,
    sender: &Sender,
) -> Option<(Encoded, Option<String>)> {
    let group = rib.groups.get(&key)?;
    if group.updates.is_current(peer) {
        return None;
    }
    let from = group.updates.cursor(peer)?;
    if let Some(cached) = group.cache.iter().find(|c| c.from == from) {
        return Some((cached.clone(), None));
    }
    let stretch = group.updates.next_stretch(from, BATCH_MAX);
    let shared = stretch.is_some();
    let stretch = stretch.unwrap_or_else(|| {
        let batch = group.updates.next_batch(peer, BATCH_MAX);
        let announce = batch.announce.into_iter().map(|id| (id, PeerIdx::LOCAL)).collect();
        let Batch { to, withdraw, paths, gone, .. } = batch;
        Stretch { to, announce, withdraw, paths, gone }
    });
    let mut out = BytesMut::new();
    let withdrawn = stretch.withdraw.iter().map(|id| (*id, None));
    let gone = stretch.gone.iter().map(|(id, path_id)| (*id, Some(*path_id)));
    put_withdrawals(rib, withdrawn.chain(gone), key, &mut out);
    let best = stretch.announce.iter().filter_map(|(id, source)| {
        let best = rib.told_path(*id, key)?;
        Some((*source, told(rib, *id, best, key, None)))
    });
    let paths = stretch.paths.iter().filter_map(|(id, path, path_id)| {
        let named = Some((*path, *path_id));
        Some((path.peer, told(rib, *id, rib.table.path(*id, *path)?, key, named)))
    });
    let mut by_source: Vec<(PeerIdx, Told)> = best.chain(paths).collect();
    // Stable: within one set of attributes the order of change stays.
    by_source.sort_by_key(|(source, told)| (*source, told.set()));
    let mut untold = Vec::new();
    let mut own = Vec::new();
    let mut messages = count_messages(&out);
    for of_source in by_source.chunk_by(|a, b| a.0 == b.0) {
        let begin = out.len();
        for set in of_source.chunk_by(|a, b| a.1.set() == b.1.set()) {
            let set: Vec<Told> = set.iter().map(|(_, told)| *told).collect();
            untold.extend(put_announcements(rib, &set, key, sender, &mut out));
        }
        let count = count_messages(out.get(begin..).unwrap_or_default());
        messages += count;
        if let Some((source, _)) = of_source.first() {
            own.push(Own { source: *source, begin, end: out.len(), messages: count });
        }
    }
    let begin = out.len();
    put_withdrawals(rib, untold.iter().map(|(told, _)| (told.id, told.path_id())), key, &mut out);
    messages += count_messages(out.get(begin..).unwrap_or_default());
    let encoded = Encoded { from, to: stretch.to, messages, octets: out.freeze(), own };
    let first = untold.first().copied();
    let group = rib.groups.get_mut(&key)?;
    if shared {
        if group.cache.len() >= CACHE_MAX {
            group.cache.pop_front();
        }
        group.cache.push_back(encoded.clone());
    }
    let news = first.filter(|(_, error)| {
        group.untold.replace(discriminant(error)) != Some(discriminant(error))
    });
    let text = news.and_then(|(told, error)| {
        let route = &rib.table.get(told.id)?.key;
        Some(format!(
            "{} cannot be told to it, the first is {route}: {error}",
            routes(untold.len())
        ))
    });
    Some((encoded, text))
}

/// A route to be told: what leaves alike has the same attributes and the same originator.
#[derive(Clone, Copy, Debug)]
struct Told {
    attributes: AttrId,
    originator: Option<Ipv4Addr>,
    id: DestId,
    /// Which of its paths, and by which identifier; none where it is the one for all.
    named: Option<(PathKey, PathId)>,
}

impl Told {
    const fn set(&self) -> (AttrId, Option<Ipv4Addr>) {
        (self.attributes, self.originator)
    }

    fn path_id(&self) -> Option<PathId> {
        self.named.map(|(_, path_id)| path_id)
    }

    /// The route as it is announced.
    fn route(&self, rib: &Rib, key: GroupKey) -> Option<Route> {
        let path = match self.named {
            Some((path, _)) => rib.table.path(self.id, path),
            None => rib.told_path(self.id, key),
        };
        Some(rib.table.route(rib.table.get(self.id)?, path?))
    }
}

fn told(
    rib: &Rib,
    id: DestId,
    path: &Path,
    key: GroupKey,
    named: Option<(PathKey, PathId)>,
) -> Told {
    let originator = reflected(rib, path, key).map(|info| info.router_id);
    Told { attributes: path.attributes, originator, id, named }
}

fn routes(count: usize) -> String {
    if count == 1 { "1 route".to_owned() } else { format!("{count} routes") }
}

/// Withdraws, where need be one at a time: a key that cannot be written was never told either.
pub(crate) fn put_withdrawals(
    rib: &Rib,
    ids: impl Iterator<Item = (DestId, Option<PathId>)> + Clone,
    key: GroupKey,
    out: &mut BytesMut,
) {
    let number = |path_id: Option<PathId>| path_id.map(|id| id.0);
    let keys = ids.filter_map(|(id, path_id)| Some((&rib.table.get(id)?.key, number(path_id))));
    if wire::withdraw(keys.clone(), key.length_max, out).is_err() {
        for one in keys {
            let _never_told = wire::withdraw(std::iter::once(one), key.length_max, out);
        }
    }
}

/// Announces what shares a set of attributes, where need be one at a time; returns what cannot be
/// announced.
fn put_announcements(
    rib: &Rib,
    set: &[Told],
    key: GroupKey,
    sender: &Sender,
    out: &mut BytesMut,
) -> Vec<(Told, EncodeError)> {
    let Some(first) = set.first() else { return Vec::new() };
    let Some(attributes) = rib.store.get(first.attributes) else { return Vec::new() };
    let outgoing = outgoing(attributes, rib.family, key, sender, first.originator);
    let octets = match encode_attributes(&outgoing, rib.family, key.as_width()) {
        Ok(octets) => octets,
        Err(error) => return set.iter().map(|told| (*told, error)).collect(),
    };
    let routes: Vec<(Told, Route)> =
        set.iter().filter_map(|told| Some((*told, told.route(rib, key)?))).collect();
    let shared = wire::Shared::new(&octets, &outgoing, rib.family);
    let number = |told: &Told| told.path_id().map(|id| id.0);
    let all = routes.iter().map(|(told, route)| (route, number(told)));
    if wire::announce(&shared, all.clone(), key.length_max, out).is_ok() {
        return Vec::new();
    }
    let mut one = |one| wire::announce(&shared, std::iter::once(one), key.length_max, out).err();
    let each = routes.iter().zip(all);
    each.filter_map(|((told, _), route)| Some((*told, one(route)?))).collect()
}

/// How many messages stand in the octets, by their length fields.
pub(crate) fn count_messages(mut octets: &[u8]) -> u64 {
    let mut count = 0;
    while let Some([high, low]) = octets.get(16..18) {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some(rest) = octets.get(length.max(wire::HEADER_LENGTH)..) else { break };
        octets = rest;
        count += 1;
    }
    count
}
