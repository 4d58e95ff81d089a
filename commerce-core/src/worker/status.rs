//! [`WorkerStatus`]: whether background work gets on.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How the workers of one process are getting on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerStatus {
    /// Whether any worker runs in this process.
    pub is_running: bool,
    /// How long ago a round was finished without an error; `None` before the first.
    pub since_last_round: Option<Duration>,
    /// For how long no round has been finished, if that is longer, by a fifth, than a round may take.
    pub stalled_for: Option<Duration>,
    /// How many rounds were given up because they took too long.
    pub stalls: u64,
}

impl WorkerStatus {
    /// Whether a worker runs and gets nothing done.
    #[must_use]
    pub const fn is_stalled(&self) -> bool {
        self.stalled_for.is_some()
    }
}

#[derive(Debug, Default)]
struct Progress {
    running: usize,
    started: Option<Instant>,
    finished: Option<Instant>,
    stalls: u64,
    round_limit: Duration,
}

/// What the workers of one process note of themselves.
#[derive(Debug, Default)]
pub(crate) struct WorkerWatch(Mutex<Progress>);

impl WorkerWatch {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a worker runs, whose rounds take no longer than this, until the guard is dropped.
    pub(crate) fn start(&self, round_limit: Duration) -> Running<'_> {
        let mut progress = self.progress();
        progress.round_limit = progress.round_limit.max(round_limit);
        progress.running += 1;
        progress.started = Some(Instant::now());
        Running(self)
    }

    pub(crate) fn finished_round(&self) {
        self.progress().finished = Some(Instant::now());
    }

    pub(crate) fn stalled(&self) {
        self.progress().stalls += 1;
    }

    pub(crate) fn status(&self) -> WorkerStatus {
        self.status_at(Instant::now())
    }

    fn status_at(&self, now: Instant) -> WorkerStatus {
        let progress = self.progress();
        let since = |at: Instant| now.saturating_duration_since(at);
        let alive = progress.finished.max(progress.started).map(since);
        WorkerStatus {
            is_running: progress.running > 0,
            since_last_round: progress.finished.map(since),
            stalled_for: alive.filter(|idle| progress.running > 0 && *idle > progress.round_limit * 6 / 5),
            stalls: progress.stalls,
        }
    }
}

/// A worker that runs.
pub(crate) struct Running<'a>(&'a WorkerWatch);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.progress().running -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_finishes_no_round_is_stalled() {
        let watch = WorkerWatch::default();
        let limit = Duration::from_secs(50);
        let later = || Instant::now() + limit * 2;
        assert_eq!(watch.status_at(later()), WorkerStatus::default(), "nobody works here");
        let running = watch.start(limit);
        assert!(watch.status().is_running && !watch.status().is_stalled());
        assert!(!watch.status_at(Instant::now() + limit).is_stalled(), "its first round may take so long");
        assert!(watch.status_at(later()).is_stalled());
        watch.finished_round();
        assert!(!watch.status().is_stalled());
        assert!(watch.status_at(later()).is_stalled());
        watch.stalled();
        drop(running);
        let stopped = watch.status_at(later());
        assert!(!stopped.is_running && !stopped.is_stalled() && stopped.stalls == 1);
    }
}
