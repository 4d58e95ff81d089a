//! Many seeds at once.

use std::fmt::Write as _;

use super::{Coverage, simulate};

/// Seeds that failed once, besides those of a run.
const FAILED_ONCE: [u64; 2] = [5046, 6899];

/// What must happen in a run of some hundred seeds: else the simulation has gone blind to it.
pub const MUST_HAPPEN: &[&str] = &[
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
    "Resolve: ok",
    "Resolve: not allowed",
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
    "refund: settled → failed",
    "payment: refunded → paid",
    "payment: refunded → partially_refunded",
    "payment: partially_refunded → paid",
    "return: requested → approved",
    "return: requested → rejected",
    "return: approved → received",
    "return: approved → rejected",
    "parcel: pending → cancelled",
    "parcel: pending → shipped",
    "parcel: shipped → delivered",
];

/// What came of a run.
#[derive(Debug)]
pub struct Run {
    /// The failures, each with its seed.
    pub failures: Vec<String>,
    /// How often each thing happened.
    pub coverage: Coverage,
}

impl Run {
    /// Which of [`MUST_HAPPEN`] never happened.
    pub fn never(&self) -> Vec<&'static str> {
        MUST_HAPPEN.iter().filter(|what| self.coverage.of(what) == 0).copied().collect()
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
