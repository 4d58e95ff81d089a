//! The one writer: a task that owns the one writing connection and groups what waits under one `COMMIT`.
//!
//! There are three ways to write a group, each for when the one before it failed:
//!
//! 1. Bare: savepoints would cost a third of the time, and guards seldom fail.
//! 2. Each member in a savepoint of its own, so that a failed guard undoes that member only.
//! 3. One by one: any other error ends the whole transaction. SQLite may have rolled it back already, and a member that went
//!    on would commit alone.
//!
//! Nobody is answered before the `COMMIT` that holds their outcome.

use std::{any::Any, panic::AssertUnwindSafe};

use async_trait::async_trait;
use commerce_core::store::{Applied, CommitError};
use futures_util::{FutureExt as _, future::BoxFuture};
use sqlx::{
    Connection as _, Executor as _, Sqlite, SqliteConnection, Transaction, query_as, sqlite::SqliteConnectOptions,
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    batch::{SAVEPOINT, WritePlan},
    error::{SharedError, is_certain, not_applied},
    identity::Identity,
    open::connect,
};

/// Sets that may wait; more are refused as [`CommitError::Unavailable`].
const QUEUE: usize = 4096;
/// Members of a group at most: bounds how long the first waits for the last.
const GROUP: usize = 256;
/// After a failed guard, so many groups aren't tried bare: conflicts come in bursts, as when a product sells out.
const SAVEPOINT_COOLDOWN: u32 = 32;

type CommitResult = Result<Applied, CommitError>;

/// What became of the transaction a member ran in.
#[derive(Clone)]
pub(crate) enum TxOutcome {
    Committed,
    NotApplied(SharedError),
    InDoubt(SharedError),
}

impl TxOutcome {
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
    Set {
        set: Box<WritePlan>,
        answer: Option<CommitResult>,
        reply: oneshot::Sender<CommitResult>,
    },
    Work(Box<dyn Work>),
    /// Ends the writer, when all that was queued before is done.
    Close(oneshot::Sender<Result<(), sqlx::Error>>),
}

/// Writes that aren't a change-set: the host's own, and leasing.
#[async_trait]
pub(crate) trait Work: Send {
    /// # Errors
    /// If the whole transaction has to be given up.
    async fn run(&mut self, conn: &mut SqliteConnection) -> Result<(), sqlx::Error>;
    /// Whether it has run and can't do so again.
    fn is_spent(&self) -> bool;
    fn answer(self: Box<Self>, fate: TxOutcome);
}

/// How the members of a group run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// A failed guard ends the transaction.
    Bare,
    /// A failed guard is an answer.
    Savepoints,
}

impl Mode {
    async fn begin(self, conn: &mut SqliteConnection) -> Result<Transaction<'_, Sqlite>, sqlx::Error> {
        let mut tx = conn.begin_with("BEGIN IMMEDIATE").await?;
        if self == Self::Savepoints {
            tx.execute(SAVEPOINT).await?;
        }
        Ok(tx)
    }
}

impl Job {
    /// Whether the transaction may go on.
    async fn run(&mut self, conn: &mut SqliteConnection, mode: Mode) -> Result<bool, sqlx::Error> {
        match (self, mode) {
            (Self::Set { set, answer, .. }, Mode::Bare) => {
                let held = set.run_bare(conn).await?;
                *answer = Some(Ok(Applied::Now));
                Ok(held)
            }
            (Self::Set { set, answer, .. }, Mode::Savepoints) => {
                *answer = Some(set.run(conn).await?);
                Ok(true)
            }
            (Self::Work(work), _) => work.run(conn).await.map(|()| true),
            (Self::Close(_), _) => Ok(true),
        }
    }

    fn is_spent(&self) -> bool {
        match self {
            Self::Set { .. } | Self::Close(_) => false,
            Self::Work(work) => work.is_spent(),
        }
    }

    fn answer(self, fate: TxOutcome) {
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
            Self::Close(_) => {}
        }
    }
}

/// The way into the queue.
#[derive(Clone, Debug)]
pub(crate) struct Queue(mpsc::Sender<Job>);

impl Queue {
    /// Starts the writer; it ends when the last queue into it is dropped.
    pub(crate) fn start(conn: SqliteConnection, options: SqliteConnectOptions, files: Identity) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        tokio::spawn(Writer { conn: Some(conn), options: Some(options), files, jobs, savepoints_for: 0 }.run());
        Self(queue)
    }

    /// The same of a writer that writes nothing, and only closes the connection in the end.
    pub(crate) fn refuse(conn: Option<SqliteConnection>, files: Identity) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        tokio::spawn(Writer { conn, options: None, files, jobs, savepoints_for: 0 }.run());
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

    pub(crate) async fn commit(&self, set: WritePlan) -> CommitResult {
        let (reply, answer) = oneshot::channel();
        self.push(Job::Set { set: Box::new(set), answer: None, reply })?;
        answer.await.unwrap_or_else(|gone| Err(CommitError::Unknown(Box::new(gone))))
    }

    /// Waits for what was queued, and for the write-ahead log to be copied into the database.
    pub(crate) async fn close(&self) -> Result<(), sqlx::Error> {
        let (reply, closed) = oneshot::channel();
        // Closed already, if there is no room or nobody.
        if self.0.send(Job::Close(reply)).await.is_err() {
            return Ok(());
        }
        closed.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
    }
}

const READ_ONLY: &str = "the database was opened for reading only";
const STILL_READ: &str =
    "another process is reading the database: the newest writes are still in the file -wal beside it";

struct Writer {
    conn: Option<SqliteConnection>,
    /// How to connect; not at all, if nothing is to be written.
    options: Option<SqliteConnectOptions>,
    files: Identity,
    jobs: mpsc::Receiver<Job>,
    /// Groups until one is tried bare again.
    savepoints_for: u32,
}

impl Writer {
    async fn run(mut self) {
        let waiting = metrics::gauge!("commerce_writer_queue");
        let mut group = Vec::with_capacity(GROUP);
        let mut closing = Vec::new();
        while self.jobs.recv_many(&mut group, GROUP).await > 0 {
            for job in group.extract_if(.., |job| matches!(job, Job::Close(_))) {
                if let Job::Close(reply) = job {
                    closing.push(reply);
                }
            }
            if !closing.is_empty() {
                self.jobs.close();
            }
            if group.is_empty() {
                continue;
            }
            #[allow(clippy::cast_precision_loss)] // The queue is short.
            waiting.set((group.len() + self.jobs.len()) as f64);
            self.serve(&mut group).await;
            waiting.set(0.0);
        }
        let mut closed = self.close().await;
        for reply in closing {
            // Only the first to ask hears what went wrong.
            let _ = reply.send(std::mem::replace(&mut closed, Ok(())));
        }
    }

    /// Makes the database one file: what is in the log goes into it, and the log goes away with its last connection. If that
    /// fails, the next to open the database does it.
    async fn close(&mut self) -> Result<(), sqlx::Error> {
        let Some(mut conn) = self.conn.take() else { return Ok(()) };
        self.files.check()?;
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        let (busy, ..): (i64, i64, i64) = query_as(checkpoint).fetch_one(&mut conn).await?;
        conn.close().await?;
        if busy == 0 { Ok(()) } else { Err(sqlx::Error::Io(std::io::Error::other(STILL_READ))) }
    }

    async fn serve(&mut self, group: &mut Vec<Job>) {
        let error = match self.write(group).await {
            Ok(fate) => {
                group.drain(..).for_each(|job| job.answer(fate.clone()));
                return;
            }
            Err(error) => error,
        };
        let alone = group.len() == 1;
        if !alone {
            tracing::warn!(%error, members = group.len(), "a group of writes was rolled back; writing them one by one");
        }
        for mut job in group.drain(..) {
            let fate = if alone || job.is_spent() {
                Err(error.clone())
            } else {
                self.attempt(std::slice::from_mut(&mut job), Mode::Savepoints).await
            };
            job.answer(fate.unwrap_or_else(TxOutcome::NotApplied));
        }
    }

    /// Together: bare where that is promising, or else with savepoints. A closure can't be run twice.
    async fn write(&mut self, group: &mut [Job]) -> Result<TxOutcome, SharedError> {
        if self.savepoints_for > 0 {
            self.savepoints_for -= 1;
        } else if group.iter().all(|job| matches!(job, Job::Set { .. })) {
            match self.attempt(group, Mode::Bare).await {
                Ok(fate) => return Ok(fate),
                Err(_) => self.savepoints_for = SAVEPOINT_COOLDOWN,
            }
        }
        self.attempt(group, Mode::Savepoints).await
    }

    /// One transaction.
    ///
    /// # Errors
    /// If nothing was written, and a more careful way may do better.
    async fn attempt(&mut self, group: &mut [Job], mode: Mode) -> Result<TxOutcome, SharedError> {
        let mut conn = match self.connection().await {
            Ok(conn) => conn,
            Err(error) => return Ok(TxOutcome::NotApplied(SharedError::new(error))),
        };
        let (outcome, usable) = transaction(&mut conn, group, mode).await;
        if usable {
            self.conn = Some(conn);
        }
        match (outcome, self.files.check()) {
            // It was written, but maybe to a file that nobody will ever find.
            (Ok(TxOutcome::Committed), Err(gone)) => Ok(TxOutcome::InDoubt(SharedError::new(gone.into()))),
            (outcome, _) => outcome,
        }
    }

    /// The connection, or a new one, to the database that was opened in the beginning.
    async fn connection(&mut self) -> Result<SqliteConnection, sqlx::Error> {
        let options = self.options.as_ref().ok_or_else(|| sqlx::Error::Io(std::io::Error::other(READ_ONLY)))?;
        if self.conn.is_some() {
            // The connection is kept: the files may come back.
            self.files.check()?;
        }
        match self.conn.take() {
            Some(conn) => Ok(conn),
            None => {
                self.files.check_database()?;
                let conn = connect(options).await?;
                self.files.note_beside();
                Ok(conn)
            }
        }
    }
}

/// As [`Writer::attempt`], and whether the connection can be used again.
async fn transaction(
    conn: &mut SqliteConnection,
    group: &mut [Job],
    mode: Mode,
) -> (Result<TxOutcome, SharedError>, bool) {
    let mut tx = match mode.begin(conn).await {
        Ok(tx) => tx,
        Err(error) => return (Ok(TxOutcome::NotApplied(SharedError::new(error))), false),
    };
    for job in group {
        let error = match job.run(&mut tx, mode).await {
            Ok(true) => continue,
            Ok(false) => sqlx::Error::RowNotFound,
            Err(error) => {
                // When the disk is full, SQLite rolls back by itself, which the driver takes no notice of: it would count
                // the transaction as open for good. If this BEGIN succeeds it has, and either way there is one to roll back.
                let _ = tx.execute("BEGIN").await;
                error
            }
        };
        let usable = tx.rollback().await.is_ok();
        return (Err(SharedError::new(error)), usable);
    }
    match tx.commit().await {
        Ok(()) => (Ok(TxOutcome::Committed), true),
        Err(error) if is_certain(&error) => (Err(SharedError::new(error)), false),
        Err(error) => (Ok(TxOutcome::InDoubt(SharedError::new(error))), false),
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

    fn answer(self: Box<Self>, fate: TxOutcome) {
        let Self { outcome, reply, .. } = *self;
        let answer = match (fate.error(), outcome) {
            (Some(error), _) => Err(error),
            (None, Some(outcome)) => Ok(outcome),
            (None, None) => Err(CommitError::Bug("a closure was committed without having run".into())),
        };
        let _ = reply.send(answer);
    }
}
