//! The one writer: a task that owns the one writing connection and groups what waits under one `COMMIT`.
//!
//! Each member of a group runs in a savepoint of its own, so a failed guard undoes that member only. Any other error ends the
//! whole transaction: SQLite may have rolled it back already, and a member that went on would commit alone. The members are
//! then run one by one. Nobody is answered before the `COMMIT` that holds their outcome.

use std::{any::Any, panic::AssertUnwindSafe};

use async_trait::async_trait;
use commerce_core::store::{Applied, CommitError};
use futures_util::{FutureExt as _, future::BoxFuture};
use sqlx::{Connection as _, Executor as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::sync::{mpsc, oneshot};

use crate::{
    error::{SharedError, is_certain, not_applied},
    open::connect,
    script::Compiled,
};

/// Sets that may wait; more are refused as [`CommitError::Unavailable`].
const QUEUE: usize = 4096;
/// Members of a group at most: bounds how long the first waits for the last.
const GROUP: usize = 256;
const BEGIN: &str = "BEGIN IMMEDIATE; SAVEPOINT commerce_set";

type Answer = Result<Applied, CommitError>;

/// What became of the transaction a member ran in.
#[derive(Clone)]
pub(crate) enum Fate {
    Committed,
    NotApplied(SharedError),
    InDoubt(SharedError),
}

impl Fate {
    fn error(self) -> Option<CommitError> {
        match self {
            Self::Committed => None,
            Self::NotApplied(error) => Some(not_applied(error)),
            Self::InDoubt(error) => Some(CommitError::Unknown(Box::new(error))),
        }
    }
}

/// One who waits for the writer.
pub(crate) enum Job {
    Set { set: Box<Compiled>, answer: Option<Answer>, reply: oneshot::Sender<Answer> },
    Work(Box<dyn Work>),
}

/// Writes that aren't a change-set: the host's own, and leasing.
#[async_trait]
pub(crate) trait Work: Send {
    /// # Errors
    /// If the whole transaction has to be given up.
    async fn run(&mut self, conn: &mut SqliteConnection) -> Result<(), sqlx::Error>;
    /// Whether it has run and can't do so again.
    fn is_spent(&self) -> bool;
    fn answer(self: Box<Self>, fate: Fate);
}

impl Job {
    async fn run(&mut self, conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        match self {
            Self::Set { set, answer, .. } => {
                *answer = Some(set.run(conn).await?);
                Ok(())
            }
            Self::Work(work) => work.run(conn).await,
        }
    }

    fn is_spent(&self) -> bool {
        match self {
            Self::Set { .. } => false,
            Self::Work(work) => work.is_spent(),
        }
    }

    fn answer(self, fate: Fate) {
        match self {
            Self::Set { answer, reply, .. } => {
                let answer = match (fate.error(), answer) {
                    (Some(error), _) => Err(error),
                    (None, Some(answer)) => answer,
                    (None, None) => Err(CommitError::Bug("a set was committed without having run".into())),
                };
                // Whoever asked may have gone away; the write stands.
                let _ = reply.send(answer);
            }
            Self::Work(work) => work.answer(fate),
        }
    }
}

/// The way into the queue.
#[derive(Clone, Debug)]
pub(crate) struct Queue(mpsc::Sender<Job>);

impl Queue {
    /// Starts the writer; it ends when the last queue into it is dropped.
    pub(crate) fn start(conn: SqliteConnection, options: SqliteConnectOptions) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        tokio::spawn(Writer { conn: Some(conn), options, jobs }.run());
        Self(queue)
    }

    /// Queues without waiting, so that a caller who goes away afterwards changes nothing.
    pub(crate) fn push(&self, job: Job) -> Result<(), CommitError> {
        self.0.try_send(job).map_err(|error| {
            CommitError::Unavailable(match error {
                mpsc::error::TrySendError::Full(_) => "too many writes are waiting".into(),
                mpsc::error::TrySendError::Closed(_) => "the store is closed".into(),
            })
        })
    }

    pub(crate) async fn commit(&self, set: Compiled) -> Answer {
        let (reply, answer) = oneshot::channel();
        self.push(Job::Set { set: Box::new(set), answer: None, reply })?;
        answer.await.unwrap_or_else(|gone| Err(CommitError::Unknown(Box::new(gone))))
    }
}

struct Writer {
    conn: Option<SqliteConnection>,
    options: SqliteConnectOptions,
    jobs: mpsc::Receiver<Job>,
}

impl Writer {
    async fn run(mut self) {
        let waiting = metrics::gauge!("commerce_writer_queue");
        let mut group = Vec::with_capacity(GROUP);
        while self.jobs.recv_many(&mut group, GROUP).await > 0 {
            #[allow(clippy::cast_precision_loss)] // The queue is short.
            waiting.set((group.len() + self.jobs.len()) as f64);
            self.serve(&mut group).await;
            waiting.set(0.0);
        }
        if let Some(conn) = self.conn {
            // Closing checkpoints the log; if that fails, the next to open the file does it.
            let _ = conn.close().await;
        }
    }

    async fn serve(&mut self, group: &mut Vec<Job>) {
        let fate = self.attempt(group).await;
        if let (Fate::NotApplied(error), true) = (&fate, group.len() > 1) {
            tracing::warn!(%error, members = group.len(), "a group of writes was rolled back; writing them one by one");
            for mut job in group.drain(..) {
                let fate =
                    if job.is_spent() { fate.clone() } else { self.attempt(std::slice::from_mut(&mut job)).await };
                job.answer(fate);
            }
            return;
        }
        for job in group.drain(..) {
            job.answer(fate.clone());
        }
    }

    /// One transaction.
    async fn attempt(&mut self, group: &mut [Job]) -> Fate {
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => match connect(&self.options).await {
                Ok(conn) => conn,
                Err(error) => return Fate::NotApplied(SharedError::new(error)),
            },
        };
        let (fate, usable) = transaction(&mut conn, group).await;
        if usable {
            self.conn = Some(conn);
        }
        fate
    }
}

/// What became of it, and whether the connection can be used again.
async fn transaction(conn: &mut SqliteConnection, group: &mut [Job]) -> (Fate, bool) {
    let mut tx = match conn.begin_with(BEGIN).await {
        Ok(tx) => tx,
        Err(error) => return (Fate::NotApplied(SharedError::new(error)), false),
    };
    for job in group {
        if let Err(error) = job.run(&mut tx).await {
            // When the disk is full, SQLite rolls back by itself, which the driver takes no notice of: it would count the
            // transaction as open for good. If this BEGIN succeeds it has, and either way there is one to roll back.
            let _ = tx.execute("BEGIN").await;
            let usable = tx.rollback().await.is_ok();
            return (Fate::NotApplied(SharedError::new(error)), usable);
        }
    }
    match tx.commit().await {
        Ok(()) => (Fate::Committed, true),
        Err(error) if is_certain(&error) => (Fate::NotApplied(SharedError::new(error)), false),
        Err(error) => (Fate::InDoubt(SharedError::new(error)), false),
    }
}

/// Why a [`SqliteStore::write`](crate::SqliteStore::write) had no effect, or may have had.
#[derive(Debug, thiserror::Error)]
pub enum WriteError<E> {
    /// The closure's own error: what it had written was rolled back.
    #[error(transparent)]
    Host(E),
    /// The database's.
    #[error(transparent)]
    Commit(CommitError),
}

type Outcome<T, E> = Result<Result<T, E>, Box<dyn Any + Send>>;

/// A host's closure, in a savepoint of its own.
pub(crate) struct HostWork<F, T, E> {
    pub(crate) work: Option<F>,
    pub(crate) outcome: Option<Outcome<T, E>>,
    pub(crate) reply: oneshot::Sender<Result<Outcome<T, E>, CommitError>>,
}

#[async_trait]
impl<F, T, E> Work for HostWork<F, T, E>
where
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, E>> + Send,
    T: Send,
    E: Send,
{
    async fn run(&mut self, conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let Some(work) = self.work.take() else { return Ok(()) };
        let mut savepoint = conn.begin().await?;
        let outcome = AssertUnwindSafe(work(&mut savepoint)).catch_unwind().await;
        match &outcome {
            Ok(Ok(_)) => savepoint.commit().await?,
            Ok(Err(_)) | Err(_) => savepoint.rollback().await?,
        }
        self.outcome = Some(outcome);
        Ok(())
    }

    fn is_spent(&self) -> bool {
        self.work.is_none()
    }

    fn answer(self: Box<Self>, fate: Fate) {
        let Self { outcome, reply, .. } = *self;
        let answer = match (fate.error(), outcome) {
            (Some(error), _) => Err(error),
            (None, Some(outcome)) => Ok(outcome),
            (None, None) => Err(CommitError::Bug("a closure was committed without having run".into())),
        };
        let _ = reply.send(answer);
    }
}
