//! The shop under fire, seed by seed. `SIM_SEEDS=5000 cargo test -p commerce-tests --test simulation` runs more of them;
//! `SIM_SEED=17` runs one and prints what happened in it.

use std::fmt::Write as _;

use commerce_tests::sim::{Coverage, Guard, simulate};

/// How many seeds CI runs.
const SEEDS: u64 = 500;
/// Seeds that failed once.
const FAILED_ONCE: [u64; 2] = [5046, 6899];

/// What must happen in every CI run: else the simulation has gone blind to it.
const MUST_HAPPEN: &[&str] = &[
    "death",
    "restart",
    "commit fault: Unavailable",
    "commit fault: UnknownDone",
    "commit fault: UnknownNotDone",
    "commit fault: DiesBefore",
    "commit fault: DiesAfter",
    "gateway fault: Refused",
    "gateway fault: LostBefore",
    "gateway fault: LostAfter",
    "gateway fault: Delayed",
    "gateway fault: DiesBefore",
    "gateway fault: DiesAfter",
    "guard: set id",
    "guard: key",
    "guard: claim",
    "guard: version",
    "guard: floor",
    "arrived after all",
    "gateway fault: Refuses",
    "order: cancelled → confirmed",
    "order: confirmed → cancelled",
    "order: confirmed → completed",
    "order: pending → cancelled",
    "order: pending → confirmed",
    "payment: authorized → paid",
    "payment: authorized → voided",
    "payment: paid → partially_refunded",
    "payment: paid → refunded",
    "payment: partially_refunded → refunded",
    "payment: pending → authorized",
    "payment: pending → failed",
    "payment: pending → paid",
    "payment: pending → requires_action",
    "payment: pending → unknown",
    "payment: pending → voided",
    "payment: requires_action → authorized",
    "payment: requires_action → failed",
    "payment: requires_action → paid",
    "payment: requires_action → voided",
    "payment: unknown → authorized",
    "payment: unknown → failed",
    "payment: unknown → paid",
    "payment: unknown → requires_action",
    "payment: unknown → voided",
    "payment: voided → authorized",
    "payment: voided → paid",
    "refund: pending → settled",
    "refund: pending → failed",
    "return: requested → approved",
    "return: requested → rejected",
    "return: approved → received",
    "return: approved → rejected",
    "parcel: pending → cancelled",
    "parcel: pending → shipped",
    "parcel: shipped → delivered",
];

fn env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn show(counts: &Coverage) -> String {
    counts.counts().iter().fold(String::new(), |mut text, (what, count)| {
        writeln!(text, "{count:>8} {what}").unwrap();
        text
    })
}

#[test]
fn no_seed_breaks_the_shop() {
    let coverage = Coverage::default();
    if let Some(seed) = env("SIM_SEED") {
        let report = simulate(seed, None, &coverage);
        println!("{}\n{}", report.trace.join("\n"), show(&coverage));
        assert_eq!(report.failure, None, "SIM_SEED={seed}");
        return;
    }
    let seeds = env("SIM_SEEDS").unwrap_or(SEEDS);
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let failures: Vec<String> = std::thread::scope(|scope| {
        let run = |thread: u64| {
            let coverage = coverage.clone();
            scope.spawn(move || {
                let mine = FAILED_ONCE.into_iter().chain(0..seeds).filter(move |seed| seed % threads == thread);
                let failed = mine.filter_map(|seed| {
                    let failure = simulate(seed, None, &coverage).failure?;
                    Some(format!("SIM_SEED={seed}: {failure}"))
                });
                failed.take(3).collect::<Vec<_>>()
            })
        };
        let threads: Vec<_> = (0..threads).map(run).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    println!("{}", show(&coverage));
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n\n"));
    let never: Vec<_> = MUST_HAPPEN.iter().filter(|what| coverage.of(what) == 0).collect();
    assert!(never.is_empty(), "never happened in {seeds} seeds: {never:?}");
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
        let found = (0..SEEDS).find(|seed| simulate(*seed, Some(guard), &Coverage::default()).failure.is_some());
        println!("without {guard:?}: seed {found:?}");
        assert!(found.is_some(), "nobody noticed that {guard:?} was missing");
    }
}
