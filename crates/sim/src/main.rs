//! Runs one seed of the simulation, or many.
//!
//! **It exits with 0 only if every run went well.**

use evpn_sim::{Plant, Scenario, Simulation};
use std::ops::Range;
use std::process::ExitCode;

const USAGE: &str = "usage: evpn-sim [--seed N | --seeds FIRST..LAST] [--trace] [--plant NAME]
  --seed N             one run
  --seeds FIRST..LAST  several, LAST excluded; 0..100 if nothing is said
  --trace              print everything that happens, line by line
  --plant NAME         with a bug (needs a build with --features planted-bugs)";

#[derive(Debug)]
struct Arguments {
    seeds: Range<u64>,
    trace: bool,
    plant: Option<Plant>,
}

fn main() -> ExitCode {
    match arguments(std::env::args().skip(1)) {
        Ok(arguments) => run(&arguments),
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn arguments(mut given: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments { seeds: 0..100, trace: false, plant: None };
    while let Some(argument) = given.next() {
        let mut value = || given.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--seed" => {
                let seed = number(&value()?)?;
                arguments.seeds = seed..seed.saturating_add(1);
            }
            "--seeds" => {
                let value = value()?;
                let (first, last) = value.split_once("..").ok_or("--seeds takes FIRST..LAST")?;
                arguments.seeds = number(first)?..number(last)?;
            }
            "--trace" => arguments.trace = true,
            "--plant" => {
                let name = value()?;
                let plant = Plant::named(&name);
                arguments.plant = Some(plant.ok_or_else(|| no_such_plant(&name))?);
            }
            _ => return Err(format!("unknown argument {argument}")),
        }
    }
    Ok(arguments)
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text:?} is no seed: give a whole number"))
}

fn no_such_plant(name: &str) -> String {
    let names: Vec<&str> = Plant::ALL.iter().map(|(name, _)| *name).collect();
    if names.is_empty() {
        format!("this build has no bug {name:?}: build with --features planted-bugs")
    } else {
        format!("no bug {name:?}; there are {}", names.join(", "))
    }
}

fn run(arguments: &Arguments) -> ExitCode {
    let mut failed = 0;
    for seed in arguments.seeds.clone() {
        let mut simulation = Simulation::new(seed, Scenario::of_seed(seed));
        if let Some(plant) = arguments.plant {
            simulation = simulation.planting(plant);
        }
        if arguments.trace {
            simulation = simulation.watched();
        }
        let outcome = simulation.run();
        for line in simulation.trace() {
            println!("{line}");
        }
        match outcome {
            Ok(summary) => println!("seed {seed}: at rest after {:?}", summary.rested),
            Err(violation) => {
                failed += 1;
                println!("{violation}");
            }
        }
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
