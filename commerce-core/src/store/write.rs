//! What a set writes beside aggregates: counters, ledgers, keys, tasks.

use serde_json::Value;
use uuid::Uuid;

use crate::{
    clock::Timestamp,
    event::Task,
    id::{OrderId, TaskId, VariantId},
    inventory::MovementKind,
};

/// How a variant's shared numbers move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StockDelta {
    /// Units in the house.
    pub on_hand: i64,
    /// Units promised to pending orders.
    pub reserved: i64,
    /// If set, `on_hand` must be this before the move ([`super::Conflict::Moved`] otherwise).
    pub expect_on_hand: Option<i64>,
}

/// A line of the stock ledger; the store adds `on_hand_after`, which only it knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    /// The variant; with the set's id, the ledger's key.
    pub variant: VariantId,
    /// Why.
    pub kind: MovementKind,
    /// How `on_hand` moved; the same as in the set's [`StockDelta`].
    pub delta: i64,
    /// For which order.
    pub order: Option<OrderId>,
    /// Staff's words.
    pub reason: Option<String>,
}

/// What is known of an idempotency key.
#[derive(Clone, Debug, PartialEq)]
pub struct IdempotencyRecord {
    /// SHA-256 of caller, operation and key.
    pub key: [u8; 32],
    /// SHA-256 of the request.
    pub fingerprint: [u8; 32],
    /// What the call works on, where it can be resumed: an order's id.
    pub subject: Option<Uuid>,
    /// Core's answer; `None` while the first call's outcome is open.
    pub output: Option<Value>,
    /// When the key came first; kept for 24 hours.
    pub at: Timestamp,
}

/// A write to the idempotency keys.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyWrite {
    /// Take the key; [`super::Conflict::KeyTaken`] if it is there.
    Claim(IdempotencyRecord),
    /// Keep the answer of a call whose key was claimed earlier; no effect if the key has been forgotten.
    Resolve {
        /// The key.
        key: [u8; 32],
        /// Core's answer.
        output: Value,
    },
    /// Forget the key: the call had no effect and may be made afresh.
    Forget([u8; 32]),
}

/// One of the attempts that are allowed within a window of time, whoever makes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// SHA-256 of what is attempted, and on what.
    pub key: [u8; 32],
    /// When the window begins in which it counts. Windows are shorter than a day: older counts are purged.
    pub since: Timestamp,
    /// How many may be counted within the window, at least one.
    pub limit: u32,
}

/// A write to the counts of attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptWrite {
    /// Count one more; [`super::Conflict::LimitReached`] if as many as are allowed were counted in the window. In a later window
    /// than the last it is the first.
    Count(Attempt),
    /// Count one less; no effect in another window.
    TakeBack(Attempt),
}

/// How many attempts were counted in the newest window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptCount {
    /// When the window began.
    pub since: Timestamp,
    /// How many were counted in it.
    pub count: u32,
}

impl AttemptCount {
    /// Whether the limit of another attempt is reached.
    #[must_use]
    pub fn leaves_no_room_for(self, attempt: &Attempt) -> bool {
        self.since >= attempt.since && self.count >= attempt.limit
    }
}

/// A write to the task queue.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskWrite {
    /// New work, due at a time.
    Add {
        /// The task's id; also the Message-Id of a mail.
        id: TaskId,
        /// Not to be leased before.
        due: Timestamp,
        /// What to do.
        task: Task,
    },
    /// The work is done, or no longer needed: remove it.
    Done(TaskId),
    /// The work failed: try again at `due`, or, if that is `None`, keep it as dead for staff to look at.
    Failed {
        /// The task.
        id: TaskId,
        /// When to try again.
        due: Option<Timestamp>,
        /// What went wrong.
        error: String,
    },
}
