//! [`WriteWatch`]: whether the last write of this process succeeded.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::store::{CommitError, StoreError};

/// A write that succeeded proves for so long that writes succeed.
const PROVEN_FOR: Duration = Duration::from_secs(10);
/// After a write that failed, another is tried at most so often.
const RETRIED_AFTER: Duration = Duration::from_secs(2);

#[derive(Clone, Debug)]
enum Outcome {
    Written,
    Failed(Arc<str>),
}

/// How the last write of this process ended.
#[derive(Debug, Default)]
pub(crate) struct WriteWatch {
    last: Mutex<Option<(Instant, Outcome)>>,
    pub trying: tokio::sync::Mutex<()>,
}

impl WriteWatch {
    fn last(&self) -> MutexGuard<'_, Option<(Instant, Outcome)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what came of a commit. Guards that fail say nothing about the database.
    pub fn note<T>(&self, outcome: &Result<T, CommitError>) {
        let outcome = match outcome {
            Ok(_) => Outcome::Written,
            Err(CommitError::Unavailable(error) | CommitError::Unknown(error)) => {
                Outcome::Failed(error.to_string().into())
            }
            Err(CommitError::Conflict(_) | CommitError::Bug(_)) => return,
        };
        *self.last() = Some((Instant::now(), outcome));
    }

    /// What is known without trying; `None` if that is too long ago.
    pub fn known(&self) -> Option<Result<(), StoreError>> {
        match &*self.last() {
            Some((at, Outcome::Written)) if at.elapsed() < PROVEN_FOR => Some(Ok(())),
            Some((at, Outcome::Failed(why))) if at.elapsed() < RETRIED_AFTER => {
                Some(Err(StoreError::unavailable(why.to_string())))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(watch: &WriteWatch, outcome: &Result<(), CommitError>) {
        watch.note(outcome);
    }

    #[test]
    fn the_last_write_tells() {
        let watch = WriteWatch::default();
        assert!(watch.known().is_none(), "nothing is known before the first");
        note(&watch, &Ok(()));
        assert!(watch.known().unwrap().is_ok());
        note(&watch, &Err(CommitError::Unavailable("full".into())));
        assert!(watch.known().unwrap().is_err());
        note(&watch, &Err(CommitError::Conflict(Vec::new())));
        note(&watch, &Err(CommitError::Bug("a constraint".into())));
        assert!(watch.known().unwrap().is_err(), "guards say nothing about the database");
        note(&watch, &Err(CommitError::Unknown("no answer".into())));
        assert!(watch.known().unwrap().is_err());
        note(&watch, &Ok(()));
        assert!(watch.known().unwrap().is_ok());
    }

    #[test]
    fn nothing_is_known_for_ever() {
        let watch = WriteWatch::default();
        let long_ago = |outcome, age| *watch.last() = Some((Instant::now().checked_sub(age).unwrap(), outcome));
        long_ago(Outcome::Written, PROVEN_FOR);
        assert!(watch.known().is_none());
        long_ago(Outcome::Failed("full".into()), RETRIED_AFTER);
        assert!(watch.known().is_none());
    }
}
