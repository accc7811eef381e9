//! A hundred runs, and what makes them worth something: they are the same every time, and they walk
//! the ways that they are meant to walk.

use evpn_sim::{Scenario, Simulation, run};
use std::sync::atomic::{AtomicU64, Ordering};

/// How many seeds are run.
const SEEDS: u64 = 100;
/// How many of them are watched for the ways that they walk.
const WATCHED: u64 = 24;

/// Runs `each` for every number below `seeds`, on every processor there is.
fn in_parallel(seeds: u64, each: impl Fn(u64) + Sync) {
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    each(seed);
                }
            });
        }
    });
}

#[test]
fn at_rest_every_kernel_is_what_the_ground_truth_says() {
    in_parallel(SEEDS, |seed| {
        if let Err(violation) = run(seed, None) {
            panic!("{violation}");
        }
    });
}

#[test]
fn a_run_is_a_function_of_its_seed_whether_watched_or_not() {
    for seed in [3, 4] {
        let unwatched = Simulation::new(seed, Scenario::of_seed(seed)).run();
        let traces = [(); 2].map(|()| {
            let mut watched = Simulation::new(seed, Scenario::of_seed(seed)).watched();
            assert_eq!(watched.run(), unwatched);
            watched.trace().to_vec()
        });
        assert!(traces[0].len() > 100);
        assert_eq!(traces[0], traces[1]);
    }
    let fingerprint = |seed| run(seed, None).map(|summary| summary.fingerprint);
    assert_ne!(fingerprint(3), fingerprint(4));
}

/// What must be seen in the traces, or the scenarios have gone tame.
const WAYS: &[(&str, &str)] = &[
    ("a neighbour falls silent", "nothing heard from the neighbor"),
    ("an uplink goes down", "the interface toward the neighbor is down"),
    ("a process dies in the middle of its work", "evpnd is gone"),
    ("a process ends in peace", "evpnd restarts"),
    ("a batch dies with its process", "and nobody hears it"),
    ("a restart ends with every End-of-RIB", "End-of-RIB from every neighbor"),
    ("a restart ends with the timer", "the deferral timer ran out"),
    ("a host moves", "persists Sequence"),
    ("a host that moved here is asked for its addresses", "kernel Probe"),
    ("a neighbour entry of ours is not needed any more", "ForgetNeighbour"),
    ("the VXLAN device's half stays and is deleted", "halves: Vxlan } -> Ok"),
    ("a write fails", "a fault of the simulation"),
    ("a reconciler is suspicious", "suspect true"),
    ("a monitor overruns", "lost true"),
    ("an audit is made", "audit true"),
    ("a dump fails", "the dump fails"),
    ("a sticky host is announced", "sticky: true"),
    ("a level is reached by alarm or charge", "energy level normal -> drained"),
    ("a level eases", "energy level drained -> avoid"),
    ("a reading is not believed", "was not believed"),
    ("a group of nexthops is written", "Group(NexthopGroup"),
    ("a route moves to another nexthop", "birth: Replace } -> Ok"),
    ("a session is cleared", "cleared by the operator"),
    ("a VXLAN device is gone", "no VXLAN device has this VNI"),
];

#[test]
fn the_seeds_walk_every_way_that_they_are_meant_to() {
    let seen: Vec<AtomicU64> = WAYS.iter().map(|_| AtomicU64::new(0)).collect();
    in_parallel(WATCHED, |seed| {
        let mut simulation = Simulation::new(seed, Scenario::of_seed(seed)).watched();
        assert!(simulation.run().is_ok(), "see the test of every seed");
        for line in simulation.trace() {
            for ((_, mark), count) in WAYS.iter().zip(&seen) {
                count.fetch_add(u64::from(line.contains(mark)), Ordering::Relaxed);
            }
        }
    });
    let missing: Vec<&str> = WAYS
        .iter()
        .zip(&seen)
        .filter(|(_, count)| count.load(Ordering::Relaxed) == 0)
        .map(|((way, _), _)| *way)
        .collect();
    assert!(missing.is_empty(), "no seed below {WATCHED} has seen: {missing:?}");
}
