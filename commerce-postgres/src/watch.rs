//! What is known of a replica: how current it is, and whether it answers.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How far a replica may be behind and still be asked.
pub(crate) const BEHIND: Duration = Duration::from_secs(1);
/// How long ago a replica may have answered to stand in for a primary that is silent.
const STANDS_IN: Duration = Duration::from_secs(2);

/// What a replica is known to hold.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Everything that was committed before.
    pub covers: Option<Instant>,
    /// When it last answered as a copy of this database.
    pub answered: Option<Instant>,
}

#[derive(Debug, Default)]
/// What is known of one replica.
pub(crate) struct Watch(Mutex<Seen>);

impl Watch {
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_current(&self) -> bool {
        self.seen().covers.is_some_and(|covers| covers.elapsed() < BEHIND)
    }

    /// Whether it can stand in for a primary that is silent, whatever that wrote last.
    pub(crate) fn answers(&self) -> bool {
        self.seen().answered.is_some_and(|answered| answered.elapsed() < STANDS_IN)
    }

    /// It failed to answer: not to be asked until it has been seen alive again.
    pub(crate) fn failed(&self) {
        *self.seen() = Seen::default();
    }
}
