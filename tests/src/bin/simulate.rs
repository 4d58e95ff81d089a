//! The simulation, for as many seeds as one likes: `simulate --seeds 5000`, or one of them with all that happened in it:
//! `simulate --seed 17`.

use std::process::ExitCode;

use commerce_tests::sim::{Coverage, run, simulate};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let (name, number) = match &arguments[..] {
        [name, number] => (name.as_str(), number.parse::<u64>().ok()),
        _ => ("", None),
    };
    let failures = match (name, number) {
        ("--seeds", Some(seeds)) => {
            let run = run(seeds);
            println!("{}", run.table());
            for what in run.never() {
                println!("never happened: {what}");
            }
            run.failures
        }
        ("--seed", Some(seed)) => {
            let report = simulate(seed, None, &Coverage::default());
            println!("{}", report.trace.join("\n"));
            report.failure.into_iter().collect()
        }
        _ => {
            eprintln!("usage: simulate --seeds COUNT | --seed SEED");
            return ExitCode::from(2);
        }
    };
    println!("{}", failures.join("\n\n"));
    println!("{} seeds failed", failures.len());
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
