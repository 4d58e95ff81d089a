//! The shop under fire, seed by seed. `cargo run -p commerce-tests --bin simulate -- --seeds 5000` runs more of them, `--seed 17`
//! runs one and prints what happened in it.

use commerce_tests::sim::{Coverage, Guard, run, simulate};

/// How many seeds CI runs.
const SEEDS: u64 = 1000;
/// Within how many a missing guard must be found.
const GUARD_SEEDS: u64 = 300;

#[test]
fn no_seed_breaks_the_shop() {
    let run = run(SEEDS);
    println!("{}", run.table());
    assert!(run.failures.is_empty(), "{} failed:\n{}", run.failures.len(), run.failures.join("\n\n"));
    assert_eq!(run.never(), [] as [String; 0], "never happened in {SEEDS} seeds");
}

#[test]
fn a_seed_replays_exactly() {
    for seed in [1, 2, 3] {
        let runs = [simulate(seed, None, &Coverage::default()), simulate(seed, None, &Coverage::default())];
        assert_eq!(runs[0].trace, runs[1].trace, "seed {seed}");
    }
}

/// A simulation that finds nothing when a guard is missing wouldn't find its absence in a real store either.
#[test]
fn each_guard_that_is_taken_out_is_missed() {
    for guard in Guard::ALL {
        let found = (0..GUARD_SEEDS).find(|seed| simulate(*seed, Some(guard), &Coverage::default()).failure.is_some());
        println!("without {guard:?}: seed {found:?}");
        assert!(found.is_some(), "nobody noticed that {guard:?} was missing");
    }
}
