//! What this process remembers of accounts between calls: keys, sessions seen alive, and its latest rotations.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use moka::sync::Cache;

use super::{access::AccessTokens, password::Passwords};
use crate::{
    clock::Timestamp,
    id::{SessionId, UserId},
    role::Role,
    store::{AggregateId, Change, ChangeSet},
};

/// How long a session that was seen alive is believed to be, in processes other than the one that ended it.
const SESSION_CACHE_TTL: Duration = Duration::from_secs(2);
/// How many sessions are remembered.
const REMEMBERED: u64 = 100_000;
/// Users share this many counters of what was ended; a power of two.
const EPOCHS: usize = 4096;

/// Kept by the engine, one a shop and process.
pub(crate) struct SessionCache {
    pub(super) access: AccessTokens,
    pub(super) passwords: Passwords,
    seen: Cache<SessionId, Seen>,
    epochs: Box<[AtomicU64]>,
    rotations: Cache<SessionId, Rotation>,
    tickets: AtomicU64,
}

/// A session as it was read.
#[derive(Clone, Copy)]
struct Seen {
    user: UserId,
    role: Role,
    at: Timestamp,
    epoch: u64,
}

/// A rotation that this process made.
#[derive(Clone, Copy)]
struct Rotation {
    generation: i64,
    done_at: Timestamp,
    done: u64,
}

/// When a refresh began, for telling a lost race from the reuse of an old token.
#[derive(Clone, Copy)]
pub(super) struct Ticket {
    number: u64,
    arrived: Timestamp,
}

impl SessionCache {
    pub fn new(secret: &[u8]) -> Self {
        Self {
            access: AccessTokens::new(&[secret]),
            passwords: Passwords::new(),
            seen: Cache::new(REMEMBERED),
            epochs: (0..EPOCHS).map(|_| AtomicU64::new(0)).collect(),
            rotations: Cache::new(REMEMBERED),
            tickets: AtomicU64::new(0),
        }
    }

    /// The role behind a session that was seen alive lately.
    pub(super) fn recall(&self, session: SessionId, user: UserId, now: Timestamp) -> Option<Role> {
        let seen = self.seen.get(&session)?;
        let fresh = now.since(seen.at) < SESSION_CACHE_TTL && seen.epoch == self.epoch(user);
        (seen.user == user && fresh).then_some(seen.role)
    }

    /// How often something was ended for this user. Ask before reading the store, and hand it to [`Self::remember`]: what was
    /// read before an end can't be remembered after it.
    pub(super) fn epoch(&self, user: UserId) -> u64 {
        self.counter(user).load(Ordering::Acquire)
    }

    pub(super) fn remember(&self, session: SessionId, user: UserId, role: Role, at: Timestamp, epoch: u64) {
        self.seen.insert(session, Seen { user, role, at, epoch });
    }

    /// Forgets what was seen of the sessions that a commit may have ended, or whose user it may have changed.
    pub(crate) fn forget_changed(&self, set: &ChangeSet) {
        for change in set.changes() {
            match change {
                Change::User(write) if write.before().is_some() => self.forget(write.after().id),
                Change::Session(write) if write.after().ended_at.is_some() => self.forget(write.after().user_id),
                Change::Remove(AggregateId::User(user), _) => self.forget(*user),
                _ => {}
            }
        }
    }

    fn forget(&self, user: UserId) {
        self.counter(user).fetch_add(1, Ordering::Release);
    }

    fn counter(&self, user: UserId) -> &AtomicU64 {
        let bytes = user.0.as_bytes();
        &self.epochs[usize::from(u16::from_be_bytes([bytes[14], bytes[15]])) % EPOCHS]
    }

    /// Marks the beginning of a refresh that arrived at this time.
    pub(super) fn ticket(&self, arrived: Timestamp) -> Ticket {
        Ticket { number: self.tickets.fetch_add(1, Ordering::AcqRel), arrived }
    }

    /// Notes that this process has rotated a session's token to `generation` and is about to say so.
    pub(super) fn rotated(&self, session: SessionId, generation: i64, now: Timestamp) {
        let done = self.tickets.load(Ordering::Acquire);
        self.rotations.insert(session, Rotation { generation, done_at: now, done });
    }

    /// Whether a refresh that presents generation `presented` began before the client could know of the rotation to
    /// `generation`, which was composed at `rotated_at`.
    pub(super) fn raced(
        &self,
        session: SessionId,
        presented: i64,
        generation: i64,
        rotated_at: Timestamp,
        ticket: Ticket,
    ) -> bool {
        match self.rotations.get(&session) {
            Some(own) if own.generation == generation => ticket.number < own.done || ticket.arrived < own.done_at,
            // Another process rotated it. How long its commit took and how well the clocks agree isn't known here, so the
            // last rotation is given some time; older tokens aren't.
            _ => presented + 1 == generation && ticket.arrived < rotated_at + SESSION_CACHE_TTL,
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    fn ids() -> (SessionCache, SessionId, UserId) {
        (SessionCache::new(&[1; 32]), SessionId(Uuid::from_bytes([1; 16])), UserId(Uuid::from_bytes([2; 16])))
    }

    #[test]
    fn a_session_is_believed_for_two_seconds_at_most() {
        let (shared, session, user) = ids();
        shared.remember(session, user, Role::Support, NOW, shared.epoch(user));
        assert_eq!(shared.recall(session, user, NOW + SECOND), Some(Role::Support));
        assert_eq!(shared.recall(session, user, NOW + 2 * SECOND), None);
        assert_eq!(shared.recall(session, UserId(Uuid::nil()), NOW), None);
    }

    #[test]
    fn what_was_read_before_an_end_is_not_remembered_after_it() {
        let (shared, session, user) = ids();
        let epoch = shared.epoch(user);
        shared.forget(user);
        shared.remember(session, user, Role::Customer, NOW, epoch);
        assert_eq!(shared.recall(session, user, NOW), None);
    }

    #[test]
    fn own_rotations_tell_races_from_reuse_exactly() {
        let (shared, session, _) = ids();
        let early = shared.ticket(NOW);
        shared.rotated(session, 1, NOW);
        let late = shared.ticket(NOW);
        let was_on_its_way = shared.ticket(NOW - SECOND);
        assert!(shared.raced(session, 0, 1, NOW, early), "even if the clock stands still");
        assert!(!shared.raced(session, 0, 1, NOW, late));
        assert!(shared.raced(session, 0, 1, NOW, was_on_its_way));
    }

    #[test]
    fn rotations_elsewhere_are_given_some_time() {
        let (shared, session, _) = ids();
        assert!(shared.raced(session, 0, 1, NOW, shared.ticket(NOW + SECOND)));
        assert!(!shared.raced(session, 0, 1, NOW, shared.ticket(NOW + 2 * SECOND)));
        assert!(!shared.raced(session, 0, 2, NOW, shared.ticket(NOW)));
    }
}
