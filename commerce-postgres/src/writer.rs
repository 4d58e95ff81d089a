//! Who writes which sets when: what waits at the same time is written together.
//!
//! A set that comes alone is written at once. While some are being written, others gather; whoever writes next takes all of
//! them that go together (see [`group`](crate::group)). A group is applied whole or not at all: a member whose guard failed leaves it
//! and is judged by itself, the others go again. If it meets a lock that isn't given up soon, each goes by itself.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use commerce_core::store::{Applied, CommitError};
use futures_util::future::join_all;
use tokio::{
    sync::{Semaphore, oneshot},
    time::timeout,
};

use crate::{
    batch::WriteBatch,
    commit::{CommitFailure, Target, commit, try_group},
    layout::Layout,
};

/// Transactions at once. With more, fewer sets would gather for each.
const MAX_TRANSACTIONS: usize = 2;
/// One that takes longer waits for a lock, or the network does: others don't wait for it.
const LONG: Duration = Duration::from_millis(10);
/// Members of a group at most: bounds how long the first waits for the last.
const MEMBERS: usize = 64;

type CommitResult = Result<Applied, CommitError>;

#[derive(Debug)]
struct Waiting {
    draft: WriteBatch,
    reply: oneshot::Sender<CommitResult>,
}

fn answer_one(reply: oneshot::Sender<CommitResult>, answer: CommitResult) {
    // One who doesn't listen any more had it written all the same.
    let _ = reply.send(answer);
}

fn answer_all(group: impl Iterator<Item = Waiting>, answer: impl Fn() -> CommitResult) {
    for member in group {
        answer_one(member.reply, answer());
    }
}

/// Writes sets. Cheap to clone; clones write together.
#[derive(Clone, Debug)]
pub(crate) struct Writer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    target: Target,
    queue: Mutex<VecDeque<Waiting>>,
    slots: Semaphore,
}

impl Writer {
    pub(crate) fn new(target: Target) -> Self {
        Self(Arc::new(Inner { target, queue: Mutex::default(), slots: Semaphore::new(MAX_TRANSACTIONS) }))
    }

    pub(crate) fn target(&self) -> &Target {
        &self.0.target
    }

    /// Writes a set in a task of its own: a caller that goes away in the middle must not leave a transaction open (sqlx 0.9
    /// forgets to roll back a BEGIN that was cancelled).
    pub(crate) async fn write(&self, draft: WriteBatch) -> CommitResult {
        let (reply, answer) = oneshot::channel();
        let (waiting, inner) = (Waiting { draft, reply }, self.0.clone());
        if inner.target.layout.get() == Some(&Layout::Distributed) {
            // Row by row, sets would wait for each other's rows: they are done sooner side by side.
            tokio::spawn(async move { inner.write(vec![waiting]).await });
        } else {
            inner.queue().push_back(waiting);
            // There are as many of these tasks as sets in the queue, or more, so that none is left there.
            tokio::spawn(async move { inner.serve().await });
        }
        // A task that panicked or was cut off by the end of the runtime may have committed before.
        answer.await.unwrap_or_else(|gone| Err(CommitError::Unknown(gone.into())))
    }
}

impl Inner {
    fn queue(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(&self) {
        let Ok(slot) = self.slots.acquire().await else { return };
        // Those that were answered together, and are about to come again, go together again.
        tokio::task::yield_now().await;
        let group = self.take();
        let mut work = pin!(self.write(group));
        if timeout(LONG, &mut work).await.is_err() {
            drop(slot);
            work.await;
        }
    }

    /// The set that waits longest, and those that go with it.
    fn take(&self) -> Vec<Waiting> {
        let mut queue = self.queue();
        let Some(first) = queue.pop_front() else { return Vec::new() };
        if queue.is_empty() {
            return vec![first];
        }
        let mut touched = first.draft.touched().clone();
        let mut group = vec![first];
        for waiting in std::mem::take(&mut *queue) {
            let draft = &waiting.draft;
            if group.len() < MEMBERS && draft.is_like(&group[0].draft) && !draft.touched().clashes(&touched) {
                touched.add(draft.touched());
                group.push(waiting);
            } else {
                queue.push_back(waiting);
            }
        }
        group
    }

    async fn write(&self, mut group: Vec<Waiting>) {
        let mut apart = Vec::new();
        while group.len() > 1 {
            let plan = WriteBatch::plan(group.iter().map(|member| &member.draft));
            match try_group(&self.target, &plan).await {
                Ok(judged) if judged.failures.is_empty() => answer_all(group.drain(..), || Ok(Applied::Now)),
                Ok(judged) => {
                    let failures_among =
                        |member: &mut Waiting| judged.failures.iter().any(|failure| member.draft.may_fail(failure));
                    let left = apart.len();
                    apart.extend(group.extract_if(.., failures_among));
                    // It can't be nobody's; if it were, rather one by one than for ever.
                    if apart.len() == left {
                        break;
                    }
                }
                Err(CommitFailure::Unknown(error)) => {
                    let error = Arc::new(error);
                    answer_all(group.drain(..), || Err(CommitError::Unknown(Box::new(error.clone()))));
                }
                Err(CommitFailure::Failed(_)) => break,
            }
        }
        let alone = |member: Waiting| async move {
            let answer = commit(&self.target, &member.draft.into_plan()).await;
            answer_one(member.reply, answer);
        };
        join_all(apart.into_iter().chain(group).map(alone)).await;
    }
}
