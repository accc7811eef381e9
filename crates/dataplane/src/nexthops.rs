//! Nexthops and groups: the engine's ids, the kernel's ids, and who uses what.
//!
//! The engine's ids are names of its own. Which id the kernel has is decided here: what an earlier
//! run left behind is taken over under the id it has, so that a restart rewrites no route and no
//! resilient group forgets its flows; and what cannot become another thing in place gets a new id,
//! so that its users move before the old one goes.
//!
//! **A nexthop or group that something in the kernel uses is never deleted.**

use crate::object::{IfIndex, Member, NexthopGroup, NexthopId};
use crate::observe::NexthopSpec;
use crate::op::{Birth, Op};
use crate::table::Marks;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::net::IpAddr;

type Map<K, V> = HashMap<K, V, FixedState>;

/// Where our own choice of ids begins, when the engine's id is taken: the upper half of the range.
const CHOICE_FIRST: u32 = 0x6e80_0000;

/// How many of those that lead to the same VTEPs are looked at: each look reads all routes.
const ADOPTION_TRIES: usize = 8;

/// What the engine wants under one of its ids.
#[derive(Debug)]
pub(crate) struct Logical {
    /// What it shall say; members by the engine's ids.
    pub(crate) want: NexthopSpec,
    /// The kernel's id.
    pub(crate) bound: Option<NexthopId>,
    pub(crate) marks: Marks,
}

/// What the kernel has, or shall have, under one of its ids.
#[derive(Debug)]
pub(crate) struct Held {
    /// What it says; members by the kernel's ids.
    pub(crate) have: Option<NexthopSpec>,
    /// Whether it carries our protocol number.
    pub(crate) ours: bool,
    /// How many objects of the kernel use it.
    pub(crate) refs: u32,
    /// For which of the engine's ids it stands.
    pub(crate) logical: Option<NexthopId>,
    pub(crate) marks: Marks,
}

impl Held {
    /// Referred to, and not seen yet.
    fn unknown() -> Self {
        Self { have: None, ours: false, refs: 0, logical: None, marks: Marks::default() }
    }
}

/// What two nexthops have in common if one can take the other's place without moving traffic:
/// the same VTEPs behind it, whatever the weights.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Shape {
    Plain(NexthopSpec),
    Group { to: Vec<(IpAddr, Option<IfIndex>)>, buckets: Option<u16>, fdb: bool },
}

/// What happened to the ids that others refer to.
#[derive(Default, Debug)]
pub(crate) struct Moved {
    /// The engine's ids that stand for another kernel id than before.
    pub(crate) rebound: Vec<NexthopId>,
}

#[derive(Debug)]
pub(crate) struct NexthopBook {
    pub(crate) logical: Map<NexthopId, Logical>,
    pub(crate) kernel: Map<NexthopId, Held>,
    adoptable: Map<Shape, Vec<NexthopId>>,
    /// The engine's ids to judge: next round, and this round's nexthops and groups.
    pub(crate) pending: Vec<NexthopId>,
    pub(crate) round: Vec<NexthopId>,
    pub(crate) round_groups: Vec<NexthopId>,
    /// The kernel's ids that may be deleted once nothing uses them.
    pub(crate) gone: Vec<NexthopId>,
    pub(crate) round_gone: Vec<NexthopId>,
    cursor: u32,
}

/// What to do about one of the engine's ids.
#[derive(Debug)]
pub(crate) enum Judged {
    Settled,
    /// A member is not there yet.
    Waits,
    Write(Op),
}

impl NexthopBook {
    pub(crate) fn new(seed: u64) -> Self {
        let hasher = || FixedState::with_seed(seed);
        Self {
            logical: HashMap::with_hasher(hasher()),
            kernel: HashMap::with_hasher(hasher()),
            adoptable: HashMap::with_hasher(hasher()),
            pending: Vec::new(),
            round: Vec::new(),
            round_groups: Vec::new(),
            gone: Vec::new(),
            round_gone: Vec::new(),
            cursor: CHOICE_FIRST,
        }
    }

    pub(crate) fn want(&mut self, id: NexthopId, want: Option<NexthopSpec>) {
        let Some(want) = want else {
            let Some(old) = self.logical.remove(&id) else { return };
            if let Some(kernel_id) = old.bound {
                self.release(kernel_id);
            }
            return;
        };
        match self.logical.get_mut(&id) {
            Some(row) => row.want = want,
            None => {
                let row = Logical { want, bound: None, marks: Marks::default() };
                self.logical.insert(id, row);
            }
        }
        self.queue(id);
    }

    /// A kernel id stands for nothing any more: it goes when nothing uses it.
    fn release(&mut self, kernel_id: NexthopId) {
        let Some(held) = self.kernel.get_mut(&kernel_id) else { return };
        held.logical = None;
        held.marks.set(Marks::RUN);
        held.marks.set(Marks::CONDEMNED);
        if held.have.is_none() {
            self.kernel.remove(&kernel_id);
        } else {
            self.gone.push(kernel_id);
        }
    }

    pub(crate) fn queue(&mut self, id: NexthopId) {
        if let Some(row) = self.logical.get_mut(&id)
            && !row.marks.has(Marks::QUEUED)
        {
            row.marks.set(Marks::QUEUED);
            self.pending.push(id);
        }
    }

    /// The kernel's id for one of the engine's, once it is there to be used.
    pub(crate) fn ready(&self, id: NexthopId) -> Option<NexthopId> {
        let bound = self.logical.get(&id)?.bound?;
        self.kernel.get(&bound)?.have.as_ref().map(|_| bound)
    }

    /// The engine's specification in the kernel's ids; none while a member is missing.
    pub(crate) fn translate(&self, want: &NexthopSpec) -> Option<NexthopSpec> {
        let members = |group: &NexthopGroup| -> Option<NexthopGroup> {
            let mut members = group
                .members
                .iter()
                .map(|m| Some(Member { nexthop: self.ready(m.nexthop)?, weight: m.weight }))
                .collect::<Option<Vec<_>>>()?;
            members.sort_by_key(|m| m.nexthop);
            Some(NexthopGroup { members, resilience: group.resilience })
        };
        Some(match want {
            NexthopSpec::Group(group) => NexthopSpec::Group(members(group)?),
            NexthopSpec::FdbGroup(group) => NexthopSpec::FdbGroup(members(group)?),
            plain => plain.clone(),
        })
    }

    /// What to write for one of the engine's ids.
    ///
    /// `alone` says whether every route that uses a kernel id is wanted to use one of the engine's:
    /// only then may that be rewritten for it, or a stale route would be led elsewhere.
    pub(crate) fn judge(
        &mut self,
        id: NexthopId,
        alone: impl Fn(NexthopId, NexthopId) -> bool,
        moved: &mut Moved,
    ) -> Judged {
        let Some(row) = self.logical.get(&id) else { return Judged::Settled };
        let bound = row.bound;
        let Some(want) = self.translate(&row.want) else { return Judged::Waits };
        let kernel_id = match bound {
            Some(kernel_id) => kernel_id,
            None => {
                moved.rebound.push(id);
                self.bind(id, &want, alone)
            }
        };
        let have = self.kernel.get(&kernel_id).and_then(|held| held.have.as_ref());
        match have {
            Some(have) if *have == want => Judged::Settled,
            Some(have) if have.becomes(&want) => {
                Judged::Write(Op::Nexthop { id: kernel_id, spec: want, birth: Birth::Replace })
            }
            Some(_) => {
                // It cannot become that in place: a new id, the users move, then the old one goes.
                self.release(kernel_id);
                moved.rebound.push(id);
                let kernel_id = self.allocate(id);
                Judged::Write(Op::Nexthop { id: kernel_id, spec: want, birth: Birth::New })
            }
            None => Judged::Write(Op::Nexthop { id: kernel_id, spec: want, birth: Birth::New }),
        }
    }

    /// Gives one of the engine's ids a kernel id: one that an earlier run left, or a free one.
    fn bind(
        &mut self,
        id: NexthopId,
        want: &NexthopSpec,
        alone: impl Fn(NexthopId, NexthopId) -> bool,
    ) -> NexthopId {
        let Some(kernel_id) = self.adopt(id, want, alone) else { return self.allocate(id) };
        if let Some(held) = self.kernel.get_mut(&kernel_id) {
            held.logical = Some(id);
        }
        if let Some(row) = self.logical.get_mut(&id) {
            row.bound = Some(kernel_id);
        }
        kernel_id
    }

    /// What an earlier run left for the same purpose. The engine gives the same things the same ids
    /// where it can, so its own id comes first; then whatever leads to the same VTEPs.
    fn adopt(
        &mut self,
        id: NexthopId,
        want: &NexthopSpec,
        alone: impl Fn(NexthopId, NexthopId) -> bool,
    ) -> Option<NexthopId> {
        if self.adoptable.is_empty() {
            return None;
        }
        let group = want.group().is_some();
        let free = |book: &Self, candidate: NexthopId| {
            book.kernel.get(&candidate).is_some_and(|held| {
                held.ours
                    && held.logical.is_none()
                    && !held.marks.has(Marks::CONDEMNED)
                    && held.have.as_ref().is_some_and(|have| {
                        have == want || (group && have.becomes(want) && alone(candidate, id))
                    })
            })
        };
        if free(self, id) {
            return Some(id);
        }
        let shape = self.shape(want)?;
        let mut left = self.adoptable.remove(&shape)?;
        let exact = |id: &NexthopId| self.spec(*id) == Some(want);
        // A group is somebody's, even if another's says the same.
        let fits =
            |id: &NexthopId, other: NexthopId| free(self, *id) && (!group || alone(*id, other));
        let place = left
            .iter()
            .take(ADOPTION_TRIES)
            .position(|candidate| exact(candidate) && fits(candidate, id))
            .or_else(|| left.iter().take(ADOPTION_TRIES).position(|candidate| fits(candidate, id)));
        let found = place.map(|place| left.swap_remove(place));
        if !left.is_empty() {
            self.adoptable.insert(shape, left);
        }
        found
    }

    /// A kernel id of our choice: the engine's own if it is free.
    fn allocate(&mut self, id: NexthopId) -> NexthopId {
        let mut kernel_id = id;
        while self.kernel.contains_key(&kernel_id) {
            self.cursor =
                if self.cursor >= NexthopId::OURS_LAST { CHOICE_FIRST } else { self.cursor + 1 };
            kernel_id = NexthopId(self.cursor);
        }
        self.kernel.insert(kernel_id, Held { logical: Some(id), ours: true, ..Held::unknown() });
        if let Some(row) = self.logical.get_mut(&id) {
            row.bound = Some(kernel_id);
        }
        kernel_id
    }

    fn shape(&self, spec: &NexthopSpec) -> Option<Shape> {
        let Some(group) = spec.group() else { return Some(Shape::Plain(spec.clone())) };
        let mut to = Vec::with_capacity(group.members.len());
        for member in &group.members {
            match self.kernel.get(&member.nexthop)?.have.as_ref()? {
                NexthopSpec::Routed(nexthop) => to.push((nexthop.gateway, Some(nexthop.device))),
                NexthopSpec::Fdb(vtep) => to.push((*vtep, None)),
                _ => return None,
            }
        }
        to.sort_unstable();
        to.dedup();
        Some(Shape::Group {
            to,
            buckets: group.resilience.map(|r| r.buckets),
            fdb: matches!(spec, NexthopSpec::FdbGroup(_)),
        })
    }

    /// After the first dump: what may be taken over. Ascending ids, for runs that repeat.
    pub(crate) fn offer_for_adoption(&mut self) {
        let mut ids: Vec<_> = self.kernel.iter().filter(|(_, held)| held.ours).collect();
        ids.sort_unstable_by_key(|(id, _)| **id);
        let offers: Vec<(Shape, NexthopId)> = ids
            .into_iter()
            .filter_map(|(id, held)| Some((self.shape(held.have.as_ref()?)?, *id)))
            .collect();
        for (shape, id) in offers {
            self.adoptable.entry(shape).or_default().push(id);
        }
    }

    /// No sweep any more: what was only stale stays.
    pub(crate) fn pardon(&mut self) {
        for held in self.kernel.values_mut().filter(|held| !held.marks.has(Marks::RUN)) {
            held.marks.clear(Marks::CONDEMNED);
        }
    }

    /// The sweep has begun: nothing is taken over any more.
    pub(crate) fn end_adoption(&mut self) {
        self.adoptable.clear();
    }

    /// What the kernel has under an id, seen or written.
    pub(crate) fn set_have(&mut self, id: NexthopId, have: Option<NexthopSpec>, ours: bool) {
        let new: Vec<NexthopId> = members_of(have.as_ref());
        let held = self.kernel.entry(id).or_insert_with(Held::unknown);
        held.ours = ours;
        let old = members_of(held.have.as_ref());
        held.have = have;
        for member in new {
            self.add_ref(member);
        }
        for member in old {
            self.drop_ref(member);
        }
        self.tidy(id);
    }

    /// What the kernel has under an id.
    pub(crate) fn spec(&self, id: NexthopId) -> Option<&NexthopSpec> {
        self.kernel.get(&id)?.have.as_ref()
    }

    fn tidy(&mut self, id: NexthopId) {
        if self
            .kernel
            .get(&id)
            .is_some_and(|h| h.have.is_none() && h.logical.is_none() && h.refs == 0)
        {
            self.kernel.remove(&id);
        }
    }

    pub(crate) fn add_ref(&mut self, id: NexthopId) {
        if id.is_ours() {
            let held = self.kernel.entry(id).or_insert_with(Held::unknown);
            held.refs = held.refs.saturating_add(1);
        }
    }

    pub(crate) fn drop_ref(&mut self, id: NexthopId) {
        if let Some(held) = self.kernel.get_mut(&id) {
            held.refs = held.refs.saturating_sub(1);
            if held.refs == 0 && held.marks.has(Marks::CONDEMNED) {
                self.gone.push(id);
            }
            self.tidy(id);
        }
    }

    /// Whether a kernel id is to be deleted and may be.
    pub(crate) fn deletable(&self, id: NexthopId) -> bool {
        self.kernel.get(&id).is_some_and(|held| {
            held.ours
                && held.have.is_some()
                && held.logical.is_none()
                && held.refs == 0
                && held.marks.has(Marks::CONDEMNED)
        })
    }

    /// The groups that a nexthop is a member of, by ascending id.
    pub(crate) fn groups_with(&self, member: NexthopId) -> Vec<NexthopId> {
        let mut ids: Vec<_> = self
            .kernel
            .iter()
            .filter(|(_, held)| members_of(held.have.as_ref()).contains(&member))
            .map(|(id, _)| *id)
            .collect();
        ids.sort_unstable();
        ids
    }

    pub(crate) fn has_work(&self) -> bool {
        !(self.pending.is_empty()
            && self.round.is_empty()
            && self.round_groups.is_empty()
            && self.gone.is_empty()
            && self.round_gone.is_empty())
    }
}

fn members_of(spec: Option<&NexthopSpec>) -> Vec<NexthopId> {
    spec.and_then(NexthopSpec::group)
        .map(|group| group.members.iter().map(|m| m.nexthop).collect())
        .unwrap_or_default()
}
