//! Several leaves in one thread and in virtual time: engines and reconcilers as they are, kernels,
//! network, hosts and batteries made up, and faults by a seed.
//!
//! ```text
//!   scenario (from the seed) ──► acts ──┬──► hosts ──► machine: fake kernel, ageing, ARP, faults
//!                                       ├──► network: streams in pieces, cuts, refusals
//!                                       └──► process: Engine ◄─news── Reconciler ◄── dumps, news
//!                                                      │ ──wishes──►     │ ──writes──► kernel
//!                                                      └──► disk, sockets ──► network
//!   at every moment: witness        at rest: oracle, a naive model of every kernel
//! ```
//!
//! What it is not: it forwards no packets and measures no speed; the real kernel and real peers are
//! for the tests in namespaces.
//!
//! **A run is a function of its seed: whatever fails, fails again with the one command line that the
//! failure prints.**
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    forbid(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::unimplemented,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

mod acts;
mod around;
mod dataplane;
mod machine;
mod network;
mod oracle;
mod plant;
mod process;
mod random;
pub mod scenario;
mod simulation;
mod site;
mod socket;
mod tables;
mod trace;
mod witness;
mod world;

pub use plant::Plant;
pub use scenario::Scenario;
pub use simulation::{Simulation, Summary, Violation};
pub use site::NodeId;

/// Runs the scenario of a seed, with a bug if one is given.
///
/// # Errors
/// What was found wrong, and how to see it again.
pub fn run(seed: u64, plant: Option<Plant>) -> Result<Summary, Box<Violation>> {
    let simulation = Simulation::new(seed, Scenario::of_seed(seed));
    let mut simulation = match plant {
        Some(plant) => simulation.planting(plant),
        None => simulation,
    };
    simulation.run().map_err(Box::new)
}
