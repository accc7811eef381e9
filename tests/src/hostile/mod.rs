//! A neighbour that means harm: it speaks BGP well enough to be let in, and then does not.
//!
//! What it does follows from a seed. Timing is the kernel's and the other side's, so a seed gives
//! the same octets, not the same interleaving.
//!
//! **It judges nothing**: whether anybody suffered is for the test to ask of others.

mod acts;
mod corpus;
mod random;
mod speaker;

pub use random::Random;

use crate::ns::Ns;
use acts::Act;
use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Whom it speaks to, and as whom.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The speaker under attack.
    pub address: Ipv4Addr,
    /// Its AS.
    pub asn: u32,
    /// The address that it knows the attacker by.
    pub from: Ipv4Addr,
    /// The AS that it expects of the attacker.
    pub own_asn: u32,
}

/// What an attacker has done.
#[derive(Clone, Default, Debug)]
pub struct Deeds {
    acts: BTreeMap<&'static str, u64>,
    /// Sessions that were let in.
    pub established: u64,
    /// Messages that were sent on them.
    pub messages: u64,
    /// Octets that were sent in all.
    pub octets: u64,
}

impl Deeds {
    fn add(&mut self, other: &Self) {
        for (name, count) in &other.acts {
            *self.acts.entry(name).or_default() += count;
        }
        self.established += other.established;
        self.messages += other.messages;
        self.octets += other.octets;
    }

    /// How often it did each thing that it can do.
    pub fn acts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Act::ALL.into_iter().map(|act| {
            let name = act.name();
            (name, self.acts.get(name).copied().unwrap_or_default())
        })
    }

    /// Of several attackers together.
    pub fn total(all: &[Self]) -> Self {
        let mut total = Self::default();
        all.iter().for_each(|deeds| total.add(deeds));
        total
    }
}

impl fmt::Display for Deeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let acts: Vec<String> =
            self.acts().map(|(name, count)| format!("{name} {count}")).collect();
        write!(
            f,
            "{} sessions let in, {} messages, {} octets; {}",
            self.established,
            self.messages,
            self.octets,
            acts.join(", ")
        )
    }
}

/// Attacks from a namespace for a while; the thread ends with what it did.
pub fn attack(ns: &Ns, target: Target, seed: u64, lasting: Duration) -> JoinHandle<Deeds> {
    let ns = ns.clone();
    std::thread::spawn(move || {
        ns.inside(|| {
            let (mut random, mut deeds) = (Random::new(seed), Deeds::default());
            let end = Instant::now() + lasting;
            while Instant::now() < end {
                let act = random.pick(&Act::ALL);
                *deeds.acts.entry(act.name()).or_default() += 1;
                act.carry_out(target, &mut random, &mut deeds, end);
            }
            deeds
        })
    })
}
