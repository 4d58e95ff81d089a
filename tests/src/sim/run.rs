//! Many seeds at once.

use std::fmt::Write as _;

use commerce_core::{
    order::{FulfilmentState, FulfilmentStatus, OrderStatus, ReturnStatus},
    payment::{PaymentStatus, RefundStatus},
    state::State,
};

use super::{Coverage, simulate};

/// Seeds that failed once, besides those of a run.
const FAILED_ONCE: [u64; 6] = [599, 1785, 2935, 4108, 5046, 6899];

/// What must happen in a run of some hundred seeds, besides every move of every table: else the simulation has gone blind to it.
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
    "guard: count",
    "guard: floor",
    "arrived after all",
    "gateway fault: Refuses",
    "Webhook: ok",
    "Bounce: ok",
    "Forge: ok",
    "Dispute: ok",
    "Process: ok",
    "PayAfterAll: ok",
    "PayAgain: Placed",
    "PayAgain: ActionRequired",
    "PayAgain: Declined",
    "PayAgain: not payable",
    "RefundPastUs: ok",
    "Resolve: ok",
    "Resolve: not allowed",
    "returned before the money was taken",
    "a part was taken of what is owed",
    "Pack: out of stock",
];

/// Every move of a table, as it is counted.
fn moves<S: State>(kind: &str, name: fn(S) -> &'static str) -> Vec<String> {
    S::TRANSITIONS.iter().map(|(from, to)| format!("{kind}: {} → {}", name(*from), name(*to))).collect()
}

/// What came of a run.
#[derive(Debug)]
pub struct Run {
    /// The failures, each with its seed.
    pub failures: Vec<String>,
    /// How often each thing happened.
    pub coverage: Coverage,
}

impl Run {
    /// What should have happened and never did.
    pub fn never(&self) -> Vec<String> {
        let moves = [
            moves("order", OrderStatus::as_str),
            moves("goods", FulfilmentState::as_str),
            moves("payment", PaymentStatus::as_str),
            moves("refund", RefundStatus::as_str),
            moves("return", ReturnStatus::as_str),
            moves("parcel", FulfilmentStatus::as_str),
        ];
        let must = MUST_HAPPEN.iter().map(|what| (*what).to_owned()).chain(moves.into_iter().flatten());
        must.filter(|what| self.coverage.of(what) == 0).collect()
    }

    /// All counts, as a table.
    pub fn table(&self) -> String {
        self.coverage.counts().iter().fold(String::new(), |mut text, (what, count)| {
            let _ = writeln!(text, "{count:>8} {what}");
            text
        })
    }
}

/// Runs the seeds below `seeds`, and those that ever failed, on all of the machine.
pub fn run(seeds: u64) -> Run {
    let coverage = Coverage::default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let failures = std::thread::scope(|scope| {
        let run = |thread: u64| {
            let coverage = coverage.clone();
            scope.spawn(move || {
                let mine = FAILED_ONCE.into_iter().chain(0..seeds).filter(move |seed| seed % threads == thread);
                let failed = mine.filter_map(|seed| {
                    let failure = simulate(seed, None, &coverage).failure?;
                    Some(format!("seed {seed}: {failure}"))
                });
                failed.take(3).collect::<Vec<_>>()
            })
        };
        let threads: Vec<_> = (0..threads).map(run).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    Run { failures, coverage }
}
